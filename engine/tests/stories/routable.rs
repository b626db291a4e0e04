//! Several endpoints behind one socket: the username fragment says whose a check is (I60).

use crate::{
    crafted,
    support::{self, create, parameters_of},
};
use floe::{
    Endpoint, EndpointConfig, Outcome, Received, TransportId,
    ice::{Config, FiveTuple, Initiation, Mode, Parameters, RoutableUfrag, UsernameFragments},
    stun::Message,
};
use std::{collections::HashSet, sync::Arc, time::Instant};

fn worker(number: u32, routable: &Arc<RoutableUfrag>) -> Endpoint {
    let mut ice = Config::default();
    ice.username_fragments = UsernameFragments::Routable {
        routable: routable.clone(),
        number,
    };
    let mut config = support::transport_config(&support::identity(1));
    config.ice = Arc::new(ice);
    Endpoint::with_seed([number as u8; 32], EndpointConfig::new(config))
}

/// What a dispatcher does: it knows the key and no session.
fn dispatch(
    workers: &mut [Endpoint],
    routable: &RoutableUfrag,
    now: Instant,
    datagram: &mut [u8],
) -> Option<(u32, TransportId)> {
    let message = Message::parse(datagram).ok()?;
    let username = std::str::from_utf8(message.username()?).ok()?;
    let number = routable.route(username.split(':').next()?)?;
    let path = FiveTuple::udp(sim::address(2), sim::address(1));
    let worker = workers.get_mut(number as usize)?;
    match worker.handle_datagram(now, path, datagram) {
        Outcome::Routed {
            transport,
            received: Received::Handled,
        } => Some((number, transport)),
        _ => None,
    }
}

// req: I60
#[test]
fn a_check_finds_its_worker_by_the_fragment_alone_and_after_a_restart_too() {
    let now = support::world(90).now();
    let routable = Arc::new(RoutableUfrag::new([5; 16]));
    let mut workers: Vec<Endpoint> = (0..4).map(|number| worker(number, &routable)).collect();
    let mut fragments = HashSet::new();
    let mut passwords = HashSet::new();
    let mut transaction = 0;
    for number in 0..4 {
        for round in 0..5 {
            let id = create(
                &mut workers[number as usize],
                now,
                Mode::Lite,
                Initiation::Responding,
            );
            let before = parameters_of(&workers[number as usize], id);
            if round == 2 {
                // A key grows old meanwhile: what it minted is still read.
                routable.rotate([number as u8; 16]);
            }
            let restarted = workers[number as usize].restart(now, id, None, None);
            restarted.expect("a restart of its own");
            let after = parameters_of(&workers[number as usize], id);
            for own in [&before, &after] {
                assert!(own.username_fragment().len() <= 32);
                assert!(fragments.insert(own.username_fragment().to_owned()), "new");
                assert!(passwords.insert(own.password().to_owned()), "independent");
            }
            transaction += 1;
            let mut check = crafted::request(&after, "peer", transaction);
            let found = dispatch(&mut workers, &routable, now, &mut check);
            assert_eq!(found, Some((number, id)));
        }
    }
    assert_eq!(routable.misses(), 0);
    // A forgery costs one miss, and no worker hears of it.
    let received: Vec<u64> = workers
        .iter()
        .map(|worker| worker.stats().received)
        .collect();
    let forged = Parameters::new("AbCdEfGhIjKlMnOpQrStUvW", "0123456789012345678901")
        .expect("it looks good");
    let mut check = crafted::request(&forged, "peer", 999);
    assert_eq!(dispatch(&mut workers, &routable, now, &mut check), None);
    assert_eq!(routable.misses(), 1);
    let still: Vec<u64> = workers
        .iter()
        .map(|worker| worker.stats().received)
        .collect();
    assert_eq!(still, received);
}
