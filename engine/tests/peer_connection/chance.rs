//! Stories told by chance: loss, cuts, restarts, late and missing candidates, wrong fingerprints, closing at any moment.

use crate::leg::{Call, Leg, Story, both_are, sides};
use crate::side::{DTLS_EDGES, ICE_EDGES, Side};
use floe::{Event, PeerConnectionState};
use floe_dtls::{self as dtls, HashAlgorithm, Identity};
use floe_ice::Candidate;
use sim::{Attacker, Datagram, Link, Random, Wiretap, address};
use std::{collections::BTreeSet, time::Duration};

/// Enough for every edge to be taken several times.
const STORIES: u64 = 1000;

/// Drawn, but not asked for here. The first two take more luck than a thousand stories have, and are stories of their own in
/// `restarts.rs`. The last floe does not take: a DTLS connection that cannot be set up is an error to its creator.
const NOT_ASKED_FOR: [&str; 3] = [
    "ICE connected failed",
    "ICE completed checking",
    "DTLS new failed",
];

// That no other edge is taken is asserted at every transition, in `side.rs`.
// req: P13 P14 P15
#[test]
fn whatever_happens_the_states_move_along_the_drawn_edges_and_along_all_of_them() {
    let mut seen = BTreeSet::new();
    for seed in 0..STORIES {
        let call = story(seed);
        seen.extend([&call.a, &call.b].into_iter().flat_map(edges));
    }
    let drawn = ICE_EDGES.iter().map(|edge| format!("ICE {edge}"));
    let drawn = drawn.chain(DTLS_EDGES.iter().map(|edge| format!("DTLS {edge}")));
    let never: Vec<_> = drawn
        .filter(|edge| !seen.contains(edge) && !NOT_ASKED_FOR.contains(&edge.as_str()))
        .collect();
    assert_eq!(never, [""; 0]);
}

fn edges(side: &Side) -> impl Iterator<Item = String> {
    side.transports.iter().filter_map(|(_, event)| match event {
        Event::IceStateChange(transition) => {
            Some(format!("ICE {} {}", transition.from, transition.to))
        }
        Event::DtlsStateChange(transition) => {
            Some(format!("DTLS {} {}", transition.from, transition.to))
        }
        _ => None,
    })
}

fn story(seed: u64) -> Call {
    let mut chance = Random::new(seed);
    let mut call = sides(seed, &[address(1)], &[address(2)]);
    let mut leg = Leg::open(&mut call, address(1), address(2));
    let wrong = chance.chance(0.1);
    if wrong {
        let stranger = Identity::generate()
            .expect("the backend signs")
            .fingerprint(HashAlgorithm::Sha256);
        leg.of_b.fingerprints = dtls::FingerprintSet::new([stranger]).expect("one is enough");
    }
    if chance.chance(0.5) {
        call.network.set_links(Link::hostile());
    }
    let mut steps: Vec<Step> = vec![Leg::signal, Leg::trickle, complete];
    for _ in 0..chance.below(8) {
        steps.insert(
            chance.below(steps.len() + 1),
            TROUBLE[chance.below(TROUBLE.len())],
        );
    }
    for step in steps {
        // What comes at a bad time is refused, and the story goes on.
        let _ = step(&leg, &mut call);
        let longest = [50, 500, 10_000, 60_000][chance.below(4)];
        call.run_for(chance.up_to(Duration::from_millis(longest)));
    }
    assert!(
        !wrong || !call.a.dtls_states(leg.a).contains(&dtls::State::Connected),
        "the fingerprint was wrong"
    );
    call
}

/// What can be done to a call.
type Step = fn(&Leg, &mut Call) -> Story;

const TROUBLE: [Step; 8] = [
    cut,
    heal,
    heal,
    blink,
    Leg::restart,
    close,
    lead_astray,
    complete,
];

fn cut(_: &Leg, call: &mut Call) -> Story {
    call.network.cut();
    Ok(())
}

fn heal(_: &Leg, call: &mut Call) -> Story {
    call.network.heal();
    Ok(())
}

/// Long enough to be noticed, too short to be the end.
fn blink(_: &Leg, call: &mut Call) -> Story {
    call.network.cut();
    call.run_for(Duration::from_secs(20));
    call.network.heal();
    Ok(())
}

fn complete(leg: &Leg, call: &mut Call) -> Story {
    leg.complete(call);
    Ok(())
}

fn close(leg: &Leg, call: &mut Call) -> Story {
    let now = call.now();
    call.a.with(now, leg.a, |transport| transport.close(now));
    Ok(())
}

/// A candidate at which there is nobody.
fn lead_astray(leg: &Leg, call: &mut Call) -> Story {
    let (now, nobody) = (call.now(), Candidate::host(address(99)));
    call.b.with(now, leg.b, |transport| {
        transport.add_remote_candidate(now, nobody)
    })
}

/// A damaged datagram before keys exist is a bad handshake message, and rightly the end of it; UDP's checksum keeps those away.
fn hostile_but_intact() -> Link {
    Link {
        corruption: 0.0,
        ..Link::hostile()
    }
}

// req: P11 R83
#[test]
fn a_hostile_network_delays_the_golden_trace_and_changes_nothing_else() {
    for seed in 0..40 {
        let mut call = sides(seed, &[address(1)], &[address(2)]);
        call.network.set_links(hostile_but_intact());
        Leg::connect(&mut call, address(1), address(2)).expect("a plain call is no misuse");
        call.drive_until(|a, b| {
            [a, b]
                .iter()
                .all(|side| side.is(PeerConnectionState::Connected))
        });
        for side in [&call.a, &call.b] {
            assert_eq!(
                side.connection_states(),
                ["connecting", "connected"],
                "seed {seed}"
            );
        }
    }
}

// req: R46 R47 R87
#[test]
fn after_any_trouble_a_healed_network_and_a_restart_bring_the_call_back() {
    const PASSING_TROUBLE: [Step; 5] = [cut, heal, blink, Leg::restart, lead_astray];
    for seed in 0..200 {
        let mut chance = Random::new(seed);
        let mut call = sides(seed, &[address(1)], &[address(2)]);
        if chance.chance(0.5) {
            call.network.set_links(hostile_but_intact());
        }
        let leg =
            Leg::connect(&mut call, address(1), address(2)).expect("a plain call is no misuse");
        call.drive_until(both_are(PeerConnectionState::Connected));
        for _ in 0..1 + chance.below(6) {
            let _ = PASSING_TROUBLE[chance.below(PASSING_TROUBLE.len())](&leg, &mut call);
            call.run_for(chance.up_to(Duration::from_secs(40)));
        }
        call.network.heal();
        leg.restart(&mut call).expect("nothing is closed");
        call.run_for(Duration::from_secs(30));
        for side in [&call.a, &call.b] {
            assert!(
                side.is(PeerConnectionState::Connected),
                "seed {seed}: {}",
                side.peer.explain()
            );
            assert_eq!(
                side.dtls_states(leg.a).len(),
                3,
                "seed {seed}: DTLS noticed nothing"
            );
        }
    }
}

// The same, with somebody on the wire: who replays, damages and splices what was sent, makes up what was not, and
// lies about where it comes from. Replayed and damaged consent checks, handshakes and records are among it.
// req: I41 T32 P13
#[test]
fn an_attacker_adds_nothing_to_the_trouble() {
    const PASSING_TROUBLE: [Step; 4] = [heal, blink, Leg::restart, lead_astray];
    for seed in 0..60 {
        let mut chance = Random::new(seed);
        let mut call = sides(seed, &[address(1)], &[address(2)]);
        let mut wire = Attack {
            attacker: Attacker::new(seed),
            tap: call.network.wiretap(),
            seen: Vec::new(),
        };
        let leg =
            Leg::connect(&mut call, address(1), address(2)).expect("a plain call is no misuse");
        call.drive_until(both_are(PeerConnectionState::Connected));
        for _ in 0..3 {
            let _ = PASSING_TROUBLE[chance.below(PASSING_TROUBLE.len())](&leg, &mut call);
            for _ in 0..20 {
                (0..10).for_each(|_| call.inject(wire.next(&mut chance)));
                call.run_for(chance.up_to(Duration::from_secs(2)));
            }
        }
        leg.restart(&mut call).expect("nothing is closed");
        call.run_for(Duration::from_secs(30));
        for side in [&call.a, &call.b] {
            assert!(
                side.is(PeerConnectionState::Connected),
                "seed {seed}: {}",
                side.peer.explain()
            );
            assert_eq!(
                side.dtls_states(leg.a).len(),
                3,
                "seed {seed}: DTLS noticed nothing"
            );
        }
    }
}

/// An attacker on the path, with everything it has seen.
struct Attack {
    attacker: Attacker,
    tap: Wiretap,
    seen: Vec<Datagram>,
}

impl Attack {
    fn next(&mut self, chance: &mut Random) -> Datagram {
        self.seen
            .extend(self.tap.take().into_iter().map(|(_, datagram)| datagram));
        let [one, other] = [(), ()].map(|()| &self.seen[chance.below(self.seen.len())]);
        let mut datagram = match chance.below(4) {
            0 => self.attacker.garbage(address(1), address(2), 700),
            1 => self.attacker.splice(one, other),
            2 => self.attacker.mutate(one),
            _ => one.clone(),
        };
        if chance.chance(0.3) {
            datagram.source = address(77);
        }
        datagram
    }
}
