//! The end of our own candidates, each for the generation that it is the end of (RFC 8838 §8.2, W3C webrtc-pc §5.6).

use floe_ice::{Candidate, Event, GatheredGeneration, GatheringState, Mode, Reason, State};

use crate::support::solo::{Solo, controlled_with_pairs, in_a_call, local};
use crate::support::{address, ms};

/// What was told since the last look of gathering and of restarts.
fn told(solo: &mut Solo) -> Vec<Event> {
    solo.drain();
    let of_these = |event: &Event| {
        matches!(
            event,
            Event::EndOfCandidates(_)
                | Event::GatheringStateChange(_)
                | Event::RestartBegan
                | Event::RestartRolledBack(_)
        )
    };
    let events = std::mem::take(&mut solo.events);
    events.into_iter().filter(of_these).collect()
}

const NEWEST: Event = Event::EndOfCandidates(GatheredGeneration::Newest);
const FORMER: Event = Event::EndOfCandidates(GatheredGeneration::Former);
const GATHERING: Event = Event::GatheringStateChange(GatheringState::Gathering);
const COMPLETE: Event = Event::GatheringStateChange(GatheringState::Complete);

impl Solo {
    fn complete_of(&mut self, username_fragment: &str) -> Vec<Event> {
        self.agent
            .local_candidates_complete_of(self.now, username_fragment);
        told(self)
    }

    fn own_fragment(&self) -> String {
        self.agent.local_parameters().username_fragment().to_owned()
    }
}

// req: I12 I14
#[test]
fn the_end_of_our_candidates_is_told_once_and_before_gathering_is_complete() {
    let mut solo = controlled_with_pairs(1);
    assert_eq!(told(&mut solo), [GATHERING]);
    let own = solo.own_fragment();
    assert_eq!(solo.complete_of("nobody's"), []);
    assert_eq!(solo.complete_of(&own), [NEWEST, COMPLETE]);
    assert_eq!(solo.complete_of(&own), []);
    solo.agent.local_candidates_complete(solo.now);
    // What a full agent adds afterwards is after the end.
    let late = Candidate::host(address(3, 0));
    solo.agent.add_local_candidate(solo.now, late).unwrap();
    assert_eq!(told(&mut solo), []);
    assert_eq!(solo.agent.gathering_state(), GatheringState::Complete);
    // Who has no candidate at all has an end as well.
    let mut none = Solo::new(
        Mode::Full,
        floe_ice::Initiation::Responding,
        floe_ice::Config::default(),
    );
    let own = none.own_fragment();
    assert_eq!(none.complete_of(&own), [GATHERING, NEWEST, COMPLETE]);
}

// req: I12 I14 I15
#[test]
fn an_end_of_the_generation_before_completes_what_a_rollback_goes_back_to() {
    let rolled_back = Event::RestartRolledBack(Reason::RolledBack);
    for ends_before in [false, true] {
        let mut solo = in_a_call();
        told(&mut solo);
        let former = solo.own_fragment();
        solo.agent.restart(solo.now, None, None).unwrap();
        // It is gathering still, so that this is no change.
        assert_eq!(told(&mut solo), [Event::RestartBegan]);
        if ends_before {
            assert_eq!(solo.complete_of(&former), [FORMER]);
            assert_eq!(solo.complete_of(&former), [], "once");
        }
        assert_eq!(solo.agent.gathering_state(), GatheringState::Gathering);
        solo.agent.rollback_restart(solo.now).unwrap();
        let expected = match ends_before {
            true => vec![COMPLETE, rolled_back],
            false => vec![rolled_back],
        };
        assert_eq!(told(&mut solo), expected);
        let rest = solo.complete_of(&former);
        match ends_before {
            true => assert_eq!(rest, []),
            false => assert_eq!(rest, [NEWEST, COMPLETE]),
        }
    }
}

// req: I12 I14 I15
#[test]
fn a_restart_begins_gathering_anew_and_its_own_end_is_the_newest_one_s() {
    let mut solo = in_a_call();
    let former = solo.own_fragment();
    assert_eq!(solo.complete_of(&former)[1..], [NEWEST, COMPLETE]);
    solo.agent.restart(solo.now, None, None).unwrap();
    assert_eq!(told(&mut solo), [Event::RestartBegan, GATHERING]);
    assert_eq!(solo.complete_of(&former), [], "it had its end");
    let newest = solo.own_fragment();
    assert_eq!(solo.complete_of(&newest), [NEWEST, COMPLETE]);
    // Without a candidate to begin with there is nothing to gather yet.
    let _ = solo.agent.remove_local_candidate(solo.now, local());
    solo.agent.restart(solo.now, None, None).unwrap();
    let anew = Event::GatheringStateChange(GatheringState::New);
    assert_eq!(told(&mut solo), [Event::RestartBegan, anew]);
}

// req: I14 I15
#[test]
fn once_a_restart_is_confirmed_or_the_agent_is_closed_the_generation_before_has_no_end() {
    for close in [false, true] {
        let mut solo = in_a_call();
        let former = solo.own_fragment();
        let next = floe_ice::Parameters::new("next", "0123456789abcdefghijkl").unwrap();
        solo.peer = next;
        solo.agent.restart(solo.now, None, None).unwrap();
        if close {
            solo.agent.close(solo.now);
            let last = solo.agent.poll_event();
            let closed =
                |event| matches!(event, Event::StateChange(change) if change.to == State::Closed);
            assert!(
                std::iter::once(last)
                    .chain(std::iter::from_fn(|| Some(solo.agent.poll_event())).take(9))
                    .flatten()
                    .any(closed)
            );
        } else {
            solo.meet();
            let request = solo.check().nominating().bytes();
            let _ = solo.receive(crate::support::solo::remote(0), &request);
            let check = solo.take_requests().remove(0);
            let _ = solo.answer(&check);
            assert!(solo.events.contains(&Event::RestartConfirmed));
            assert_eq!(solo.agent.local_username_fragments().count(), 2);
            solo.run_for(ms(10));
        }
        told(&mut solo);
        assert_eq!(solo.complete_of(&former), []);
        assert_eq!(
            solo.agent.poll_event(),
            None,
            "nothing is told of what is over"
        );
    }
}

// req: I12 I14 I15
#[test]
fn what_was_gathered_for_a_restart_that_is_taken_back_is_all_there_is_for_the_one_before() {
    let rolled_back = Event::RestartRolledBack(Reason::RolledBack);
    for ended_before in [false, true] {
        let mut solo = in_a_call();
        solo.agent.remote_candidates_complete(solo.now);
        let former = solo.own_fragment();
        if ended_before {
            assert!(solo.complete_of(&former).ends_with(&[NEWEST, COMPLETE]));
        }
        solo.agent.restart(solo.now, None, None).unwrap();
        let newest = solo.own_fragment();
        assert!(solo.complete_of(&newest).ends_with(&[NEWEST, COMPLETE]));
        solo.agent.rollback_restart(solo.now).unwrap();
        let expected = match ended_before {
            true => vec![rolled_back],
            false => vec![rolled_back, NEWEST],
        };
        assert_eq!(told(&mut solo), expected, "once for each generation");
        assert_eq!(solo.complete_of(&former), []);
        assert_eq!(solo.agent.state(), State::Completed);
    }
}

// req: I13 I15
#[test]
fn a_candidate_added_after_a_restart_is_confirmed_is_the_newest_generation_s_alone() {
    for confirmed in [false, true] {
        let mut solo = in_a_call();
        solo.peer = floe_ice::Parameters::new("next", "0123456789abcdefghijkl").unwrap();
        solo.agent.restart(solo.now, None, None).unwrap();
        solo.meet();
        let theirs = Candidate::host(crate::support::solo::remote(0));
        solo.agent.add_remote_candidate(solo.now, theirs).unwrap();
        solo.drain();
        if confirmed {
            let request = solo.check().nominating().bytes();
            let _ = solo.receive(crate::support::solo::remote(0), &request);
            let check = solo.take_requests().remove(0);
            let _ = solo.answer(&check);
            assert!(solo.events.contains(&Event::RestartConfirmed));
        }
        let before = solo.agent.candidate_pairs().count();
        let ours = Candidate::host(address(3, 0));
        solo.agent.add_local_candidate(solo.now, ours).unwrap();
        let more = solo.agent.candidate_pairs().count() - before;
        assert_eq!(more, if confirmed { 1 } else { 2 });
    }
}
