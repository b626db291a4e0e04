//! The media monitors on a real path: consent feeds them, and nothing else.

use super::support::{FULL_ACTIVE, FULL_ACTPASS, connected};
use floe::{
    Transport,
    liveness::{Config, Event, MediaPath, Monitor},
};
use std::time::{Duration, Instant};

fn look(now: Instant, transport: &Transport, monitor: &mut Monitor) -> Option<Event> {
    let age = transport.ice().consent_age(now);
    if let Some(proof) = age.and_then(|age| now.checked_sub(age)) {
        monitor.handle_keep_alive(proof);
    }
    monitor.handle_timeout(now);
    monitor.poll_event()
}

// req: R1 R2 R3 R4
#[test]
fn a_cut_path_is_lost_to_the_client_after_fifteen_seconds_and_to_the_server_after_twenty() {
    let (mut pair, (a, b)) = connected(70, FULL_ACTPASS, FULL_ACTIVE);
    let config = Config::default();
    let mut client = Monitor::client(pair.now(), &config).expect("the defaults work");
    let mut server = Monitor::server(pair.now(), &config).expect("the defaults work");
    let second = Duration::from_secs(1);
    // Nothing but consent, for ten minutes: the path is alive.
    for _ in 0..600 {
        pair.run_for(second);
        assert_eq!(look(pair.now(), pair.a.transport(a), &mut client), None);
        assert_eq!(look(pair.now(), pair.b.transport(b), &mut server), None);
    }
    assert_eq!(
        (client.state(), server.state()),
        (MediaPath::Alive, MediaPath::Alive)
    );
    // An outage that is shorter than the client's patience goes unnoticed.
    pair.network.cut();
    pair.run_for(8 * second);
    pair.network.heal();
    for _ in 0..30 {
        pair.run_for(second);
        assert_eq!(look(pair.now(), pair.a.transport(a), &mut client), None);
        assert_eq!(look(pair.now(), pair.b.transport(b), &mut server), None);
    }
    let proofs = [pair.a.transport(a), pair.b.transport(b)].map(|transport| {
        let age = transport.ice().consent_age(pair.now());
        pair.now() - age.expect("there is a pair")
    });
    pair.network.cut();
    let (mut lost, mut dead) = (Vec::new(), Vec::new());
    for _ in 0..60 * 4 {
        pair.run_for(second / 4);
        lost.extend(
            look(pair.now(), pair.a.transport(a), &mut client).map(|event| (event, pair.now())),
        );
        dead.extend(
            look(pair.now(), pair.b.transport(b), &mut server).map(|event| (event, pair.now())),
        );
    }
    for (found, event, proof, timeout) in [
        (lost, Event::MediaPathLost, proofs[0], config.client_timeout),
        (dead, Event::MediaPathDead, proofs[1], config.server_timeout),
    ] {
        let [(what, at)] = found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(what, event);
        // Answers that were on their way when the cut came count too.
        let silence = at - proof;
        assert!(
            silence >= timeout && silence < timeout + second,
            "{silence:?}"
        );
    }
}
