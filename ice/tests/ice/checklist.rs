//! What a checklist has, beside what it ought to have by the definition: all pairs, sorted, and as many of the best as there is room
//! for (RFC 8445 §6.1.2).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floe_ice::{
    Candidate, Config, FiveTuple, Foundation, Freezing, Initiation, Mode, Pacer, PairState,
};
use proptest::prelude::*;

use crate::support::address;
use crate::support::solo::{Solo, remote};

/// What the agent is told, in some order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A socket, or with `seen_as` how it is seen from outside.
    Local {
        socket: u16,
        seen_as: Option<u16>,
        preference: u16,
    },
    Remote {
        at: u16,
        preference: u16,
    },
    Parameters,
}

/// Where something is, how it is seen if that is not all, and what it is worth beside 499 others.
type Told = (bool, u16, Option<u16>, u16);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let told = (
        any::<bool>(),
        0..12_u16,
        prop::option::of(0..3_u16),
        0..500_u16,
    );
    let told = prop::collection::vec(told, 1..40);
    (told, any::<prop::sample::Index>()).prop_map(|(told, when)| {
        let mut steps: Vec<Step> = (0..).zip(told).map(step).collect();
        // All at once, half of the time.
        let position = when.index(2 * steps.len()).min(steps.len());
        steps.insert(position, Step::Parameters);
        steps
    })
}

/// No preference comes twice: no two pairs are alike.
fn step((number, (ours, at, seen_as, worth)): (u16, Told)) -> Step {
    let preference = worth * 64 + number;
    match ours {
        true => Step::Local {
            socket: at % 8,
            seen_as,
            preference,
        },
        false => Step::Remote { at, preference },
    }
}

/// A candidate with this local preference, whatever kind it is of, and one of three foundations.
fn preferred(candidate: Candidate, preference: u16) -> Candidate {
    let foundation = likeness(candidate.base().expect("it has an address"));
    candidate
        .with_priority(126 << 24 | u32::from(preference) << 8 | 255)
        .with_foundation(Foundation::new(&foundation.to_string()).unwrap())
}

fn likeness(base: SocketAddr) -> u16 {
    base.port() % 3
}

fn tell(solo: &mut Solo, step: Step) {
    let now = solo.now;
    match step {
        Step::Local {
            socket,
            seen_as,
            preference,
        } => {
            let base = address(1, socket);
            let candidate = match seen_as {
                None => Candidate::host(base),
                Some(outside) => Candidate::server_reflexive(address(9, outside), base),
            };
            let candidate = preferred(candidate, preference);
            solo.agent.add_local_candidate(now, candidate).unwrap();
        }
        Step::Remote { at, preference } => {
            let candidate = preferred(Candidate::host(remote(at)), preference);
            solo.agent.add_remote_candidate(now, candidate).unwrap();
        }
        Step::Parameters => solo.meet(),
    }
}

/// Paths and priorities of all pairs, each path once and under the best of its names, sorted: the best first. Nobody has been told
/// twice: whatever has its address already is not told again.
fn from_scratch(steps: &[Step], initiation: Initiation) -> Vec<(u64, FiveTuple)> {
    let (mut locals, mut remotes) = (BTreeMap::new(), BTreeMap::new());
    for step in steps {
        match *step {
            Step::Local {
                socket,
                seen_as,
                preference,
            } => {
                locals.entry((socket, seen_as)).or_insert(preference);
            }
            Step::Remote { at, preference } => {
                remotes.entry(at).or_insert(preference);
            }
            Step::Parameters => {}
        }
    }
    let priority = |preference: u16| 126_u64 << 24 | u64::from(preference) << 8 | 255;
    let mut pairs: BTreeMap<FiveTuple, u64> = BTreeMap::new();
    for ((socket, _), ours) in &locals {
        for (at, theirs) in &remotes {
            let (ours, theirs) = (priority(*ours), priority(*theirs));
            let (controlling, controlled) = match initiation {
                Initiation::Initiating => (ours, theirs),
                Initiation::Responding => (theirs, ours),
            };
            // RFC 8445 §6.1.2.3.
            let of_pair = (controlling.min(controlled) << 32)
                + 2 * controlling.max(controlled)
                + u64::from(controlling > controlled);
            let path = FiveTuple::udp(address(1, *socket), remote(*at));
            let best = pairs.entry(path).or_default();
            *best = of_pair.max(*best);
        }
    }
    let mut sorted: Vec<_> = pairs.into_iter().map(|(path, of)| (of, path)).collect();
    sorted.sort_by(|one, other| other.cmp(one));
    sorted
}

/// A pace that lets nothing go yet, so that no pair is under way.
fn standstill() -> Arc<Pacer> {
    let pacer = Pacer::new(Duration::from_secs(3600));
    pacer.reserve(sim::Clock::epoch());
    Arc::new(pacer)
}

proptest! {
    // req: I2 I3
    #[test]
    fn pairs_that_come_one_by_one_are_those_that_sorting_all_would_choose(
        steps in steps(),
        room in prop_oneof![1..12_usize, Just(100)],
        responding in any::<bool>(),
    ) {
        let initiation = match responding {
            true => Initiation::Responding,
            false => Initiation::Initiating,
        };
        let mut config = Config::default();
        config.max_pairs = room;
        config.pacer = Some(standstill());
        let mut solo = Solo::new(Mode::Full, initiation, config);
        for step in &steps {
            tell(&mut solo, *step);
        }
        let mut pairs: Vec<(u64, FiveTuple)> = solo
            .agent
            .candidate_pairs()
            .map(|pair| {
                assert_eq!(pair.state, PairState::Waiting);
                (pair.priority, pair.pair.path)
            })
            .collect();
        pairs.sort_by(|one, other| other.cmp(one));
        let mut wanted = from_scratch(&steps, initiation);
        if matches!(steps.last(), Some(Step::Parameters)) {
            let left_out = wanted.len().saturating_sub(room) as u64;
            prop_assert_eq!(solo.agent.stats().pairs_dropped, left_out);
        }
        wanted.truncate(room);
        prop_assert_eq!(pairs, wanted);
    }

    // req: I3
    #[test]
    fn of_each_foundation_one_pair_waits_and_of_those_that_come_at_once_the_best(
        steps in steps(),
        room in prop_oneof![1..12_usize, Just(100)],
    ) {
        let mut config = Config::default();
        config.max_pairs = room;
        config.pacer = Some(standstill());
        config.freezing = Freezing::On;
        let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
        for step in &steps {
            tell(&mut solo, *step);
        }
        let at_once = matches!(steps.last(), Some(Step::Parameters));
        // One that waited may have given way to a better one: then its like come up when nothing waits any more.
        let all_stay = at_once || solo.agent.stats().pairs_dropped == 0;
        let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for pair in solo.agent.candidate_pairs() {
            let path = pair.pair.path;
            let foundation = (likeness(path.local), likeness(path.remote));
            alike.entry(foundation).or_default().push((pair.priority, pair.state));
        }
        for pairs in alike.values_mut() {
            pairs.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
            let waiting = pairs.iter().filter(|(_, state)| *state == PairState::Waiting).count();
            prop_assert!(waiting <= 1 && (waiting == 1 || !all_stay));
            prop_assert!(!at_once || pairs[0].1 == PairState::Waiting);
        }
    }
}
