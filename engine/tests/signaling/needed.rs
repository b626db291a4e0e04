//! When negotiation is needed, and when that is said; and what `restartIce` wants until it has it.

use crate::party::{Party, remote};
use floe::signaling::{
    Action, Description, Event, Failure, IceRestart, Media, SdpType, Side, SignalingState,
};

// req: W72 E14 E15
#[test]
fn changes_in_one_turn_are_one_event_in_the_next() {
    let mut party = Party::new();
    let now = party.now;
    assert_eq!(party.signaling.poll_timeout(), None);
    party.signaling.negotiation_wanted(now);
    party.signaling.negotiation_wanted(now);
    assert_eq!(party.signaling.poll_event(), None, "not in this turn");
    assert_eq!(party.signaling.poll_timeout(), Some(now), "in the next");
    party.settle();
    assert_eq!(party.told, [Event::NegotiationNeeded]);
    assert!(party.signaling.is_negotiation_needed());
}

// req: E16
#[test]
fn it_is_not_said_twice() {
    let mut party = Party::new();
    for _ in 0..3 {
        party.signaling.negotiation_wanted(party.now);
        party.settle();
    }
    assert_eq!(party.times_needed(), 1);

    // Taken back, and wanted again: that is news.
    party.signaling.negotiation_satisfied(party.now);
    party.settle();
    assert!(!party.signaling.is_negotiation_needed());
    party.signaling.negotiation_wanted(party.now);
    party.settle();
    assert_eq!(party.times_needed(), 2);
}

// req: E14 E15 E17 W72
#[test]
fn it_waits_for_an_empty_chain_and_for_stable() {
    let mut party = Party::new();
    let now = party.now;
    // Something runs: the check waits for its end, however often it is asked for.
    party
        .signaling
        .create_offer(now, IceRestart::IfWanted)
        .unwrap();
    for _ in 0..3 {
        party.signaling.negotiation_wanted(now);
    }
    party
        .signaling
        .create_offer(now, IceRestart::IfWanted)
        .unwrap();
    assert_eq!(party.signaling.poll_timeout(), None);
    party.settle();
    assert_eq!(party.times_needed(), 1);

    // Something begins between the change and the next turn.
    let mut party = Party::new();
    party.signaling.negotiation_wanted(now);
    party
        .signaling
        .create_offer(now, IceRestart::IfWanted)
        .unwrap();
    party.signaling.handle_timeout(now);
    assert_eq!(party.signaling.poll_event(), None);
    assert_eq!(party.signaling.poll_timeout(), None, "the chain first");
    party.settle();
    assert_eq!(party.times_needed(), 1);

    // In the middle of an exchange: nothing, and one event after it, behind everything else.
    let mut party = Party::new();
    party.sld_implied().unwrap();
    for _ in 0..3 {
        party.signaling.negotiation_wanted(party.now);
        party.settle();
    }
    assert_eq!(party.times_needed(), 0);
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    let [
        ..,
        Event::SignalingStateChange(_),
        Event::Done(_),
        Event::NegotiationNeeded,
    ] = &party.told[..]
    else {
        panic!("{:?}", party.told);
    };
    assert_eq!(party.times_needed(), 1);
}

// req: W72
#[test]
fn two_changes_one_after_the_other_are_two_events() {
    let mut party = Party::new();
    for times in 1..=2 {
        party.signaling.negotiation_wanted(party.now);
        party.settle();
        assert_eq!(party.times_needed(), times);
        party.exchange("r1");
        assert_eq!(party.times_needed(), times, "it is settled");
        assert!(!party.signaling.is_negotiation_needed());
    }
}

// req: E14
#[test]
fn what_an_offer_does_not_take_in_is_left_over() {
    let mut party = Party::new();
    party.signaling.negotiation_wanted(party.now);
    party.settle();
    let operation = party.signaling.set_implied_description(party.now).unwrap();
    let action = party.signaling.poll_action().unwrap();
    // While the offer is being made: nobody knows whether it takes this in.
    party.signaling.negotiation_wanted(party.now);
    let made = party.result_of(&action);
    party.complete(operation, made).unwrap();
    party.settle();
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    assert_eq!(party.times_needed(), 2, "so there is another round");
    party.exchange("r1");
    assert_eq!(party.times_needed(), 2, "and no third");

    // An answer of ours settles nothing by itself.
    party.signaling.negotiation_wanted(party.now);
    party.settle();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    party.sld_implied().unwrap();
    assert_eq!(party.times_needed(), 4, "once before, and once after");
}

#[test]
fn an_offer_of_the_caller_s_own_takes_in_what_was_there_when_it_was_handed_over() {
    let mut config = floe::signaling::Config::default();
    config.foreign_descriptions = floe::signaling::ForeignDescriptions::Accept;
    let mut party = Party::with(config);
    let ours = || remote(SdpType::Offer, "written here", "l1");
    party.signaling.negotiation_wanted(party.now);
    party.settle();
    party.sld(ours()).unwrap();
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    assert!(!party.signaling.is_negotiation_needed());

    let now = party.now;
    let waits_for = party.signaling.create_offer(now, IceRestart::IfWanted);
    assert!(waits_for.is_ok());
    party.signaling.set_local_description(now, ours()).unwrap();
    party.signaling.negotiation_wanted(now);
    party.settle();
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    assert!(party.signaling.is_negotiation_needed(), "it came later");
}

#[test]
fn what_was_settled_otherwise_stays_settled() {
    let mut party = Party::new();
    party.sld_implied().unwrap();
    party.signaling.negotiation_wanted(party.now);
    party.signaling.negotiation_satisfied(party.now);
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    assert!(!party.signaling.is_negotiation_needed());
    assert_eq!(party.times_needed(), 0);

    // An offer of before a rollback takes in no more than it did.
    let offer = party.offer();
    party.signaling.negotiation_wanted(party.now);
    party.settle();
    party.sld(offer).unwrap();
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    assert!(party.signaling.is_negotiation_needed());
    assert_eq!(party.times_needed(), 2);
}

// req: W62 E13 E14
#[test]
fn an_implicit_rollback_passes_stable_without_saying_it_there() {
    for satisfied in [false, true] {
        let mut party = Party::new();
        party.signaling.negotiation_wanted(party.now);
        party.settle();
        party.sld_implied().unwrap();
        party.told.clear();
        party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
        if satisfied {
            party.signaling.negotiation_satisfied(party.now);
        }
        party.settle();
        assert_eq!(party.times_needed(), 0, "neither in stable nor after it");
        party.sld_implied().unwrap();
        let states: Vec<_> = party
            .transitions()
            .map(|change| change.to.to_string())
            .collect();
        assert_eq!(states, ["stable", "have-remote-offer", "stable"]);
        let times = usize::from(!satisfied);
        assert_eq!(
            party.times_needed(),
            times,
            "what the peer brought is there"
        );
        assert_eq!(
            matches!(party.told.last(), Some(Event::NegotiationNeeded)),
            !satisfied
        );
    }
}

// req: E14 W55
#[test]
fn a_rollback_looks_again() {
    let mut party = Party::new();
    party.signaling.negotiation_wanted(party.now);
    party.settle();
    party.sld_implied().unwrap();
    party.sld(Description::rollback()).unwrap();
    assert_eq!(
        party.times_needed(),
        2,
        "the offer is gone, the want is not"
    );

    party.refuses.push(("nonsense", Failure::SdpSyntax));
    party.sld_implied().unwrap();
    let failed = party.srd(remote(SdpType::Offer, "nonsense", "r1"));
    assert!(failed.is_err());
    assert_eq!(party.times_needed(), 3, "so is it if theirs was no good");
}

fn restart(party: &mut Party) {
    party.signaling.restart_ice(party.now);
    party.settle();
}

fn local_ufrag(party: &Party) -> String {
    let current = party.signaling.current_description(Side::Local);
    let mut ufrags = current.into_iter().flat_map(|current| current.ufrags());
    ufrags.next().expect("something is agreed on").to_owned()
}

// req: W73
#[test]
fn a_restart_needs_something_to_restart() {
    let mut party = Party::new();
    restart(&mut party);
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    restart(&mut party);
    party.sld_implied().unwrap();
    assert!(!party.signaling.is_restart_wanted());
    assert_eq!(party.times_needed(), 0);

    restart(&mut party);
    assert!(party.signaling.is_restart_wanted());
    party.signaling.close(party.now);
    assert!(!party.signaling.is_restart_wanted());
    restart(&mut party);
    assert!(!party.signaling.is_restart_wanted());
    assert!(!party.signaling.is_negotiation_needed());
}

// req: W73
#[test]
fn a_restart_gives_new_credentials_once() {
    let mut party = Party::new();
    party.exchange("r1");
    restart(&mut party);
    restart(&mut party);
    assert_eq!(party.times_needed(), 1);
    assert!(party.signaling.is_restart_wanted());
    party.exchange("r2");
    assert_eq!(local_ufrag(&party), "local2");
    assert!(!party.signaling.is_restart_wanted());
    party.exchange("r2");
    assert_eq!(local_ufrag(&party), "local2", "and then they stay");
    assert_eq!(party.times_needed(), 1);
}

// req: W73
#[test]
fn a_restart_overrides_the_offer_s_own_options() {
    let mut party = Party::new();
    party.exchange("r1");
    restart(&mut party);
    for (option, wanted) in [(IceRestart::IfWanted, true), (IceRestart::Always, true)] {
        party.signaling.create_offer(party.now, option).unwrap();
        party.settle();
        let Some(Action::CreateOffer { ice_restart, .. }) = party.asked.last() else {
            panic!("an offer is made");
        };
        assert_eq!(*ice_restart, wanted);
    }
    let mut party = Party::new();
    party.exchange("r1");
    party
        .signaling
        .create_offer(party.now, IceRestart::IfWanted)
        .unwrap();
    party.settle();
    assert!(matches!(
        party.asked.last(),
        Some(Action::CreateOffer {
            ice_restart: false,
            ..
        })
    ));
    party
        .signaling
        .create_offer(party.now, IceRestart::Always)
        .unwrap();
    party.settle();
    assert!(matches!(
        party.asked.last(),
        Some(Action::CreateOffer {
            ice_restart: true,
            ..
        })
    ));
}

// req: W73
#[test]
fn a_restart_in_the_middle_of_our_exchange_takes_one_more() {
    for first in [true, false] {
        let mut party = Party::new();
        if !first {
            party.exchange("r1");
        }
        party.sld_implied().unwrap();
        restart(&mut party);
        assert_eq!(party.times_needed(), 0, "not now");
        party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
        assert_eq!(local_ufrag(&party), "local1", "this round keeps its own");
        assert_eq!(party.times_needed(), 1);
        party.exchange("r2");
        assert_eq!(local_ufrag(&party), "local2");
        assert_eq!(party.times_needed(), 1);
    }
}

// req: W73
#[test]
fn a_restart_in_the_first_exchange_outlives_a_provisional_answer() {
    let mut party = Party::new();
    party.sld_implied().unwrap();
    restart(&mut party);
    party.srd(remote(SdpType::Pranswer, "half", "r1")).unwrap();
    assert!(party.signaling.is_restart_wanted());
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    assert!(party.signaling.is_restart_wanted());
    assert_eq!(party.times_needed(), 1);
}

// req: W73
#[test]
fn an_offer_that_takes_the_place_of_one_brings_the_restart_with_it() {
    let mut party = Party::new();
    party.sld_implied().unwrap();
    restart(&mut party);
    party.sld_implied().unwrap();
    assert_eq!(party.slots()[0], "offer offer 2");
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    assert_eq!(local_ufrag(&party), "local2");
    assert!(!party.signaling.is_restart_wanted());
    assert_eq!(party.times_needed(), 0);
}

// req: W73
#[test]
fn a_restart_survives_what_does_not_bring_it() {
    let mut party = Party::new();
    party.exchange("r1");
    // In have-remote-offer, and through the answer to an offer that restarts nothing.
    party.srd(remote(SdpType::Offer, "plain", "r1")).unwrap();
    restart(&mut party);
    assert_eq!(party.times_needed(), 0);
    party.sld_implied().unwrap();
    assert_eq!(
        (party.times_needed(), local_ufrag(&party)),
        (1, "local1".into())
    );

    // Through a rollback.
    party.sld_implied().unwrap();
    party.sld(Description::rollback()).unwrap();
    assert!(party.signaling.is_restart_wanted());
    assert_eq!(party.times_needed(), 2);

    // A remote restart brings it.
    party.srd(remote(SdpType::Offer, "restarts", "r2")).unwrap();
    party.generation += 1;
    party.sld_implied().unwrap();
    assert!(!party.signaling.is_restart_wanted());
    assert_eq!(party.times_needed(), 2);
}

// req: W73
#[test]
fn a_partial_restart_leaves_the_rest_wanted() {
    let sections = |first: &str, second: &str| {
        [
            Media::new("0").with_ufrag(first),
            Media::new("1").with_ufrag(second),
        ]
    };
    let mut config = floe::signaling::Config::default();
    config.foreign_descriptions = floe::signaling::ForeignDescriptions::Accept;
    let mut party = Party::with(config);
    let round = |party: &mut Party, ours: [Media; 2]| {
        party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
        party
            .sld(Description::new(SdpType::Answer, "ours").with_media(ours))
            .unwrap();
    };
    round(&mut party, sections("z1", "b1"));
    restart(&mut party);
    round(&mut party, sections("z1", "b2"));
    assert!(party.signaling.is_restart_wanted(), "z1 is still there");
    round(&mut party, sections("z2", "b1"));
    assert!(
        !party.signaling.is_restart_wanted(),
        "z1 is gone; b1 is back, and nobody has asked for another since"
    );
    assert_eq!(party.signaling.state(), SignalingState::Stable);
}
