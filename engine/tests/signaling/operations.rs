//! The operations chain: one at a time, in order, whatever becomes of each.

use crate::party::{Party, invalid_state, remote};
use floe::signaling::{
    Action, CandidateInit, Config, Description, Event, Failure, OperationError, Refused, SdpType,
    SignalingState,
};
use proptest::prelude::*;

// req: W65 E12
#[test]
fn two_that_are_not_awaited_run_one_after_the_other() {
    let mut party = Party::new();
    let now = party.now;
    let local = party.signaling.set_implied_description(now).unwrap();
    let theirs = remote(SdpType::Offer, "theirs", "r1");
    let remote = party.signaling.set_remote_description(now, theirs).unwrap();
    assert_eq!(party.signaling.state(), SignalingState::Stable);
    party.settle();
    assert_eq!(
        party.states(),
        ["have-local-offer", "stable", "have-remote-offer"]
    );
    assert_eq!(party.outcome(local), Some(Ok(())));
    assert_eq!(party.outcome(remote), Some(Ok(())));
}

// req: W69
#[test]
fn every_operation_waits_for_the_one_before() {
    let mut party = Party::new();
    let now = party.now;
    let candidate = |text: &str| CandidateInit::new(text, "0", "r1");
    let early = party.signaling.add_candidate(now, candidate("c1")).unwrap();
    let signaling = &mut party.signaling;
    let ids = [
        signaling
            .set_remote_description(now, remote(SdpType::Offer, "theirs", "r1"))
            .unwrap(),
        signaling.create_answer(now).unwrap(),
        signaling.add_candidate(now, candidate("c2")).unwrap(),
        signaling.set_implied_description(now).unwrap(),
        signaling.create_offer(now, Default::default()).unwrap(),
    ];
    // None of them has done anything: each is asked for when the one before has ended.
    for done in 0..ids.len() {
        let ended = ids.iter().filter(|id| party.outcome(**id).is_some());
        assert!(ended.count() <= done + 1);
        assert!(party.act());
    }
    party.settle();
    let kinds: Vec<_> = party
        .asked
        .iter()
        .map(|action| match action {
            Action::CreateOffer { .. } => "create offer",
            Action::CreateAnswer { .. } => "create answer",
            Action::Apply { .. } => "apply",
            Action::AddCandidate { .. } => "candidate",
            _ => "?",
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "apply",
            "candidate", // the one that was held goes first
            "create answer",
            "candidate",
            "apply", // the answer that was created
            "create offer"
        ]
    );
    for id in ids.into_iter().chain([early]) {
        assert_eq!(party.outcome(id), Some(Ok(())));
    }
}

// req: W69
#[test]
fn a_state_error_comes_at_once_if_nothing_waits_and_in_turn_if_something_does() {
    let mut party = Party::new();
    let now = party.now;
    let id = party.signaling.create_answer(now).unwrap();
    let Some(Event::Failed(failed, OperationError::InvalidState { .. })) =
        party.signaling.poll_event()
    else {
        panic!("it is known at once");
    };
    assert_eq!(failed, id);
    assert_eq!(party.signaling.poll_action(), None);

    let offer = remote(SdpType::Offer, "theirs", "r1");
    party.signaling.set_remote_description(now, offer).unwrap();
    let id = party.signaling.create_answer(now).unwrap();
    assert_eq!(party.signaling.poll_event(), None, "not known yet");
    party.settle();
    assert_eq!(
        party.outcome(id),
        Some(Ok(())),
        "the state was another when its turn came"
    );
}

// req: W69
#[test]
fn negotiationneeded_takes_no_turn_in_the_chain() {
    let mut party = Party::new();
    party.signaling.negotiation_wanted(party.now);
    party.signaling.handle_timeout(party.now);
    assert!(party.signaling.is_chain_empty());
    party
        .signaling
        .create_offer(party.now, Default::default())
        .unwrap();
    assert!(
        matches!(
            party.signaling.poll_action(),
            Some(Action::CreateOffer { .. })
        ),
        "it runs, although the event was not even taken"
    );
    assert_eq!(party.signaling.poll_event(), Some(Event::NegotiationNeeded));
}

// req: W70 E9
#[test]
fn they_end_in_order_and_our_candidates_come_after_their_description() {
    let mut party = Party::new();
    party.exchange("r1");
    party.told.clear();
    let now = party.now;
    let signaling = &mut party.signaling;
    let first = signaling.set_implied_description(now).unwrap();
    let second = signaling.set_implied_description(now).unwrap();
    let third = signaling
        .add_candidate(now, CandidateInit::new("c1", "0", "r1"))
        .unwrap();
    party.settle();
    let ends: Vec<_> = party
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Done(id) => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [first, second, third]);

    for offers in [true, false] {
        let mut party = Party::new();
        let now = party.now;
        if !offers {
            party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
        }
        party.told.clear();
        let id = party.signaling.set_implied_description(now).unwrap();
        // Gathering begins while the description is being applied.
        assert!(party.act(), "it is created");
        let ufrag = party.ufrag();
        for text in ["host", "srflx", ""] {
            let candidate = CandidateInit::new(text, "0", ufrag.clone());
            party.signaling.handle_local_candidate(now, candidate);
            party.listen();
            assert!(party.told.is_empty(), "{:?}", party.told);
        }
        party.settle();
        let [Event::SignalingStateChange(_), Event::Done(done), rest @ ..] = &party.told[..] else {
            panic!("{:?}", party.told);
        };
        assert_eq!((*done, rest.len()), (id, 3));
        assert_eq!(party.gathered(), ["host", "srflx", ""]);
    }
}

#[test]
fn one_that_fails_does_not_stop_the_next() {
    let mut party = Party::new();
    party.refuses.push(("nonsense", Failure::InvalidAccess));
    let now = party.now;
    let signaling = &mut party.signaling;
    let refused = signaling
        .set_remote_description(now, remote(SdpType::Offer, "nonsense", "r1"))
        .unwrap();
    let illegal = signaling
        .set_remote_description(now, Description::rollback())
        .unwrap();
    let fine = signaling
        .set_remote_description(now, remote(SdpType::Offer, "theirs", "r1"))
        .unwrap();
    party.settle();
    let failure = Err(OperationError::Failed(Failure::InvalidAccess));
    assert_eq!(party.outcome(refused), Some(failure));
    assert!(invalid_state(&party.outcome(illegal).unwrap()));
    assert_eq!(party.outcome(fine), Some(Ok(())));
    assert_eq!(party.states(), ["have-remote-offer"]);
}

#[test]
fn as_many_wait_as_may() {
    let mut config = Config::default();
    config.max_operations = 2;
    let mut party = Party::with(config);
    let now = party.now;
    let ids: Vec<_> = (0..4)
        .map(|_| party.signaling.create_offer(now, Default::default()))
        .collect();
    assert_eq!(
        ids[3],
        Err(Refused::TooManyOperations),
        "one runs, two wait"
    );
    party.settle();
    for id in &ids[..3] {
        assert_eq!(party.outcome(id.unwrap()), Some(Ok(())));
    }
    assert!(
        party
            .signaling
            .create_offer(now, Default::default())
            .is_ok(),
        "there is room again"
    );
}

#[test]
fn candidates_take_no_room_from_descriptions() {
    let mut config = Config::default();
    config.max_operations = 1;
    config.max_held_candidates = 2;
    let mut party = Party::with(config);
    let now = party.now;
    let candidate = || CandidateInit::new("c", "0", "r1");
    let signaling = &mut party.signaling;
    let theirs = remote(SdpType::Offer, "theirs", "r1");
    signaling.set_remote_description(now, theirs).unwrap(); // it runs
    assert!(signaling.add_candidate(now, candidate()).is_ok());
    assert!(signaling.add_candidate(now, candidate()).is_ok());
    let third = signaling.add_candidate(now, candidate());
    assert_eq!(third, Err(Refused::TooManyCandidates));
    assert!(signaling.set_implied_description(now).is_ok());
    let second = signaling.set_implied_description(now);
    assert_eq!(second, Err(Refused::TooManyOperations));
    party.settle();
    assert_eq!(party.states(), ["have-remote-offer", "stable"]);
    assert_eq!(party.applied().len(), 2);
}

#[test]
fn nobody_who_listens_is_no_reason_to_grow() {
    let mut party = Party::new();
    let now = party.now;
    let mut asked = 0;
    while party.signaling.create_answer(now).is_ok() {
        asked += 1;
    }
    assert_eq!(asked, 4096);
    assert_eq!(party.signaling.create_answer(now), Err(Refused::NotPolled));
    party.listen();
    assert_eq!(party.told.len(), 4096);
    assert!(party.signaling.create_answer(now).is_ok());
}

// req: P36
#[test]
fn time_that_goes_back_is_the_latest_seen() {
    let mut party = Party::new();
    let start = party.now;
    party.wait(std::time::Duration::from_secs(5));
    party.sld_implied().unwrap();
    let later = party.now;
    party.now = start;
    let rollback = Description::rollback();
    party
        .signaling
        .set_local_description(start, rollback)
        .unwrap();
    assert!(party.act());
    assert_eq!(party.signaling.poll_timeout(), Some(later));
    let times: Vec<_> = party.transitions().map(|change| change.at).collect();
    assert_eq!(times, [later, later]);
}

proptest! {
    // req: P36
    #[test]
    fn who_listens_seldom_hears_the_same(moves in prop::collection::vec(0..9_u8, 1..60)) {
        let mut often = Party::new();
        let mut seldom = Party::new();
        let mut heard = Vec::new();
        for one in moves {
            for party in [&mut often, &mut seldom] {
                command(party, one);
            }
            heard.extend(std::iter::from_fn(|| often.signaling.poll_event()));
        }
        seldom.listen();
        prop_assert_eq!(heard, seldom.told);
    }
}

/// Something is asked for, or done, or a turn is taken. Nobody listens.
fn command(party: &mut Party, number: u8) {
    let now = party.now;
    let signaling = &mut party.signaling;
    let _ = match number {
        0 => signaling.set_implied_description(now),
        1 => signaling.set_remote_description(now, remote(SdpType::Offer, "o", "r1")),
        2 => signaling.set_remote_description(now, remote(SdpType::Answer, "a", "r2")),
        3 => signaling.set_local_description(now, Description::rollback()),
        4 => signaling.add_candidate(now, CandidateInit::new("c", "0", "r1")),
        5 => {
            signaling.negotiation_wanted(now);
            return;
        }
        6 => {
            signaling.handle_timeout(now);
            return;
        }
        _ => {
            if let Some(action) = signaling.poll_action() {
                let result = party.result_of(&action);
                let taken = party.signaling.complete(now, action.operation(), result);
                taken.expect("it was asked for");
            }
            return;
        }
    };
}
