//! The table of five states and eight triggers, all of it; and what is translated into it.

use crate::support::{ICE, NATIVE, Peer, Run, any_script, native};
use floe::recovery::{Event, Input, State, Trigger, reduce, stand_in, translate};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The ten edges, written out. What is not here changes nothing.
const EDGES: [(&str, &str, &str); 10] = [
    ("new", "OFFER_SENT", "connecting"),
    ("new", "OFFER_RECEIVED", "connecting"),
    ("connecting", "ICE_CONNECTED", "connected"),
    ("connecting", "ERROR", "failed"),
    ("connected", "TRANSPORT_FLAP", "disconnected"),
    ("connected", "CLOSE", "new"),
    ("disconnected", "ICE_CONNECTED", "connected"),
    ("disconnected", "RESTART_TIMEOUT", "failed"),
    ("failed", "ICE_RESTART", "connecting"),
    ("failed", "CLOSE", "new"),
];

fn pairs() -> impl Iterator<Item = (State, Trigger)> {
    State::ALL
        .into_iter()
        .flat_map(|state| Trigger::ALL.map(|trigger| (state, trigger)))
}

// req: R89 R90 R91 R92 R93 R94 R95 R96 R97 R98 R99 R108 P23
#[test]
fn ten_pairs_are_edges_and_the_other_thirty_change_nothing() {
    let words: BTreeMap<(String, String), &str> = EDGES
        .iter()
        .map(|(from, trigger, to)| ((from.to_string(), trigger.to_string()), *to))
        .collect();
    let mut edges = 0;
    for (state, trigger) in pairs() {
        let to = reduce(state, trigger).to_string();
        match words.get(&(state.to_string(), trigger.to_string())) {
            Some(expected) => {
                edges += 1;
                assert_eq!(to, *expected, "{trigger} in {state}");
            }
            None => assert_eq!(to, state.to_string(), "{trigger} in {state} is ignored"),
        }
    }
    assert_eq!((pairs().count(), edges), (40, 10));
}

// req: R88
#[test]
fn there_are_five_states_and_the_first_is_new() {
    let words = State::ALL.map(|state| state.to_string());
    assert_eq!(
        words,
        ["new", "connecting", "connected", "disconnected", "failed"]
    );
    assert_eq!(Run::new().recovery.state(), State::New);
}

/// The table in the module's documentation is read as its readers read it.
// req: R178
#[test]
fn the_documented_table_is_the_one_that_is_built() {
    let source = include_str!("../../src/recovery/mod.rs");
    let table = source.lines().filter_map(|line| line.strip_prefix("//! |"));
    let table: Vec<Vec<&str>> = table
        .map(|line| {
            line.trim_end_matches('|')
                .split('|')
                .map(str::trim)
                .collect()
        })
        .collect();
    let head: Vec<&str> = table[0].clone();
    assert_eq!(head[0], "trigger");
    let mut cells = 0;
    for trigger in Trigger::ALL {
        let name = trigger.to_string();
        let row = table.iter().find(|row| row[0] == name);
        let row = row.unwrap_or_else(|| panic!("{name} has a row"));
        for (state, cell) in State::ALL.into_iter().zip(&row[1..]) {
            let column = head.iter().position(|word| *word == state.to_string());
            assert_eq!(row[column.expect("every state has a column")], *cell);
            let expected = reduce(state, trigger);
            let changed = expected != state;
            let word = if changed {
                expected.to_string()
            } else {
                "·".into()
            };
            assert_eq!(*cell, word, "{trigger} in {state}");
            cells += 1;
        }
    }
    assert_eq!(cells, 40);
}

proptest! {
    // req: R100 P24
    #[test]
    fn the_same_list_of_triggers_always_leads_to_the_same_states(
        list in prop::collection::vec(prop::sample::select(&Trigger::ALL[..]), 0..200),
    ) {
        let walk = || -> Vec<State> {
            let mut state = State::New;
            list.iter().map(|trigger| { state = reduce(state, *trigger); state }).collect()
        };
        prop_assert_eq!(walk(), walk());
        // Reduced again and again, in between other things or not, a pair gives what it gave.
        for (state, trigger) in pairs() {
            prop_assert_eq!(reduce(state, trigger), reduce(state, trigger));
        }
    }

    // req: R173 P26
    #[test]
    fn only_a_restart_and_closing_leave_failed(
        list in prop::collection::vec(prop::sample::select(&Trigger::ALL[..]), 0..50),
    ) {
        let mut state = State::Failed;
        for trigger in list {
            let next = reduce(state, trigger);
            if state == State::Failed && next != state {
                let expected = match trigger {
                    Trigger::IceRestart => State::Connecting,
                    Trigger::Close => State::New,
                    _ => panic!("{trigger} has left failed"),
                };
                prop_assert_eq!(next, expected);
            }
            state = next;
        }
    }

    // req: R103 P25
    #[test]
    fn every_change_of_state_has_one_record_and_nothing_else_has_one(script in any_script()) {
        let mut run = Run::new();
        for (gap, input) in script {
            run.wait(gap);
            let (before, recorded) = (run.recovery.state(), run.transitions().count());
            run.feed(input);
            let records: Vec<_> = run.transitions().skip(recorded).collect();
            // They chain from the state before to the one after, and each is a change along an edge.
            let mut state = before;
            for record in &records {
                prop_assert_eq!(record.from, state);
                prop_assert_ne!(record.to, state);
                prop_assert!(record.is_edge() && !record.coalesced);
                state = record.to;
            }
            prop_assert_eq!(state, run.recovery.state());
        }
        let mut state = State::New;
        for record in run.transitions() {
            prop_assert_eq!(record.from, state);
            state = record.to;
        }
        prop_assert_eq!(state, run.recovery.state());
    }
}

// req: R104 R105
#[test]
fn native_states_translate_to_four_triggers_and_two_to_none() {
    let translated = NATIVE.map(|state| {
        let trigger = translate(state).map_or_else(|| "–".into(), |trigger| trigger.to_string());
        format!("{state}: {trigger}")
    });
    assert_eq!(
        translated,
        [
            "new: –",
            "connecting: –",
            "connected: ICE_CONNECTED",
            "disconnected: TRANSPORT_FLAP",
            "failed: ERROR",
            "closed: CLOSE",
        ]
    );
}

/// In a state in which the trigger of a native state is an edge, that edge is taken and nothing else happens.
// req: R104 R105
#[test]
fn a_native_state_does_what_its_trigger_does_and_no_more() {
    for (state, to) in [
        (Peer::New, State::Connecting),
        (Peer::Connecting, State::Connecting),
        (Peer::Connected, State::Connected),
    ] {
        let mut run = Run::new();
        run.feed(Input::OfferReceived).feed(native(state));
        assert_eq!(run.recovery.state(), to, "{state}");
        assert_eq!(run.actions, [], "{state}");
        assert_eq!(run.ignored(), [""; 0], "{state}");
    }
    // Nothing is begun: whatever the native connection is, it moves nothing.
    for state in NATIVE.into_iter().filter(|state| *state != Peer::Closed) {
        let mut run = Run::new();
        run.feed(native(state));
        assert_eq!(run.recovery.state(), State::New, "{state}");
        let expected: Vec<_> = translate(state)
            .map(|trigger| format!("ignored {trigger} in new"))
            .into_iter()
            .collect();
        assert_eq!(run.ignored(), expected);
        assert_eq!((run.actions.len(), run.trace().len()), (0, 0));
    }
}

// req: R167
#[test]
fn ice_alone_stands_in_for_every_connection_state() {
    let stood_in = ICE.map(|state| format!("{state}: {}", stand_in(state)));
    assert_eq!(
        stood_in,
        [
            "new: new",
            "checking: connecting",
            "connected: connected",
            "completed: connected",
            "disconnected: disconnected",
            "failed: failed",
            "closed: closed",
        ]
    );
}

// req: R102
#[test]
fn what_is_ignored_leaves_one_record_that_says_so() {
    let mut run = Run::connected();
    run.feed(Input::OfferSent);
    assert_eq!(run.ignored(), ["ignored OFFER_SENT in connected"]);
    let at = run.now;
    run.feed(Input::OfferReceived);
    assert_eq!(
        run.events,
        [
            Event::Ignored {
                state: State::Connected,
                trigger: Trigger::OfferSent,
                at
            },
            Event::Ignored {
                state: State::Connected,
                trigger: Trigger::OfferReceived,
                at
            },
        ]
    );
    assert_eq!(run.actions, []);
}

// req: R101
#[test]
fn a_second_offer_moves_nothing() {
    for input in [Input::OfferSent, Input::OfferReceived] {
        let mut run = Run::new();
        run.feed(Input::OfferReceived)
            .wait(crate::support::ms(7000));
        run.feed(input);
        assert_eq!(run.trace(), ["0 new → connecting: OFFER_RECEIVED"]);
        // Not even the time-out begins anew.
        run.to(crate::support::ms(15_000));
        assert_eq!(run.trace()[1], "15000 connecting → failed: ERROR");
    }
}
