//! Records in whatever state: fragments on their own, whole datagrams with either kind of header into a record layer that
//! has keys, then into a fresh client and a fresh server.

use std::{sync::Arc, time::Duration};

use floe_dtls::{Config, Connection, Received, Setup, State, fuzzing};

use crate::{clock, identities};

/// Datagrams, each behind two bytes of length.
pub fn run(data: &[u8]) {
    fuzzing::fragments(data);
    fuzzing::records(data);
    let config = Arc::new(Config::new(identities::identity()).without_protection());
    for setup in [Setup::Active, Setup::Passive, Setup::ActPass] {
        let connection = Connection::new(config.clone(), setup, identities::expected());
        receive(connection.expect("a valid configuration"), data);
    }
}

fn receive(mut connection: Connection, mut data: &[u8]) {
    let mut now = clock::epoch();
    let mut out = [0; 1500];
    connection.start(now);
    for _ in 0..32 {
        let Some((&[l0, l1], rest)) = data.split_first_chunk() else {
            break;
        };
        let (datagram, rest) =
            rest.split_at(rest.len().min(usize::from(u16::from_be_bytes([l0, l1]))));
        data = rest;
        let received = connection.handle_datagram(now, &mut datagram.to_vec());
        assert!(
            !matches!(received, Received::Data { .. }),
            "data from nobody"
        );
        while connection.poll_transmit(&mut out).is_some() {}
        while connection.poll_event().is_some() {}
        now += Duration::from_millis(10);
        connection.handle_timeout(now);
        assert!(
            connection.poll_timeout().is_none_or(|at| at > now),
            "a deadline was left behind"
        );
    }
    assert_ne!(connection.state(), State::Connected, "connected to nobody");
}
