//! ICE restarts among offers and answers: in every state, crossed, lost, and while candidates are being gathered.

use super::{
    glare::{number, told},
    world::*,
};
use floe::{
    IceGatheringState::{self, Complete, Gathering},
    signaling::{
        Description, Media, SdpType, Side,
        SignalingState::{HaveLocalOffer, HaveRemoteOffer, Stable},
        negotiation::{self, Config, Phase, Remedy},
    },
};

const RESTART: &str = "create restart offer";

/// One track is agreed on.
fn agreed() -> World {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run();
    world
}

fn ufrags(world: &World) -> [Option<String>; 2] {
    [POLITE, IMPOLITE].map(|who| world.parties[who].ufrag(Side::Local))
}

#[track_caller]
fn assert_all_new(before: &[Option<String>; 2], after: &[Option<String>; 2]) {
    for (before, after) in before.iter().zip(after) {
        assert!(after.is_some());
        assert_ne!(before, after);
    }
}

fn gathering(world: &mut World, who: usize, state: IceGatheringState) {
    let now = world.now();
    world.parties[who]
        .machine
        .handle_gathering_state(now, state);
    world.settle();
}

// req: N37 N43
#[test]
fn in_stable_a_restart_is_one_offer_with_new_credentials() {
    for who in [POLITE, IMPOLITE] {
        let mut world = agreed();
        let (before, offers) = (ufrags(&world), world.parties[who].offers());
        world.restart_ice(who);
        world.restart_ice(who);
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        assert_all_new(&before, &ufrags(&world));
        assert_eq!(world.parties[who].offers(), offers + 1);
        assert_eq!(world.parties[who].count(RESTART), 1);
        // And the next offer keeps them.
        let after = ufrags(&world);
        world.add_track(who, 2);
        world.run();
        assert_eq!(ufrags(&world), after);
    }
}

// req: N38 N43
#[test]
fn in_have_local_offer_the_round_ends_on_the_old_credentials_and_one_restart_follows() {
    for who in [POLITE, IMPOLITE] {
        let mut world = agreed();
        let (before, rounds) = (ufrags(&world), world.parties[who].native.rounds.len());
        world.add_track(who, 2);
        world.run_for(ms(5));
        assert_eq!(world.parties[who].state(), HaveLocalOffer);
        for _ in 0..3 {
            world.restart_ice(who);
        }
        while world.parties[who].native.rounds.len() == rounds {
            world.run_for(ms(1));
        }
        assert_eq!(ufrags(&world), before);
        world.run();
        world.assert_agreed();
        assert_all_new(&before, &ufrags(&world));
        assert_eq!(world.parties[who].native.rounds.len(), rounds + 2);
        assert_eq!(world.parties[who].count(RESTART), 1);
    }
}

// req: N39
#[test]
fn a_lost_answer_does_not_keep_a_restart_waiting_for_ever() {
    for media in [
        floe::PeerConnectionState::Connected,
        floe::PeerConnectionState::Disconnected,
    ] {
        let mut world = agreed();
        let before = ufrags(&world);
        let now = world.now();
        world.polite().machine.handle_connection_state(now, media);
        world.up[IMPOLITE] = false;
        world.add_track(POLITE, 2);
        world.run();
        world.restart_ice(POLITE);
        world.run_for(ms(14_999));
        assert_eq!(world.polite().offers(), 2);
        world.run_for(ms(100));
        assert_eq!(
            world.polite().failures()[0].remedy,
            Remedy::RollBack(Side::Local)
        );
        assert_eq!(
            world.polite().offers(),
            3,
            "the one that was lost, and the restart"
        );
        assert_eq!(world.polite().count(RESTART), 1);
        world.channel[IMPOLITE].pop_front();
        world.up[IMPOLITE] = true;
        world.run();
        world.assert_agreed();
        assert_all_new(&before, &ufrags(&world));
        assert_eq!(world.polite().offers(), 3);
    }
}

// req: N39
#[test]
fn before_anything_was_agreed_on_the_same_offer_goes_again_and_the_restart_after_it() {
    let mut world = World::new();
    world.up[IMPOLITE] = false;
    world.add_track(POLITE, 1);
    world.run();
    world.channel[IMPOLITE].clear();
    world.restart_ice(POLITE);
    world.run_for(ms(15_100));
    let offers = world.polite().sent_of(SdpType::Offer);
    assert_eq!(offers.len(), 2);
    assert_eq!(offers[0], offers[1]);
    assert_eq!(world.polite().failures()[0].remedy, Remedy::Resend);
    world.up[IMPOLITE] = true;
    world.run();
    world.assert_agreed();
    assert_eq!(world.polite().offers(), 3);
    assert_eq!(
        world
            .polite()
            .native
            .log
            .iter()
            .filter(|entry| entry.starts_with("create"))
            .count(),
        2
    );
    assert_eq!(world.polite().ufrag(Side::Local).as_deref(), Some("p2"));
}

// req: N40
#[test]
fn in_have_remote_offer_the_answer_comes_first() {
    for who in [POLITE, IMPOLITE] {
        let mut world = agreed();
        let before = ufrags(&world);
        world.add_track(1 - who, 2);
        while world.parties[who].state() != HaveRemoteOffer {
            world.run_for(ms(1));
        }
        world.restart_ice(who);
        world.run();
        world.assert_agreed();
        assert_all_new(&before, &ufrags(&world));
        let log = world.parties[who].native.log.join(", ");
        assert!(
            log.contains("create answer, apply local answer, create restart offer"),
            "{log}"
        );
    }
    // The first round has new credentials anyhow.
    let mut world = World::new();
    world.add_track(IMPOLITE, 1);
    while world.polite().state() != HaveRemoteOffer {
        world.run_for(ms(1));
    }
    world.restart_ice(POLITE);
    world.run();
    world.assert_agreed();
    assert_eq!(world.polite().offers(), 0);
}

fn restart_offer(text: &'static str, ufrags: [&str; 2]) -> Description {
    let sections = ["1", "2"].into_iter().zip(ufrags);
    Description::new(SdpType::Offer, text).with_media(
        sections
            .map(|(mid, ufrag)| Media::new(mid).with_ufrag(ufrag))
            .collect::<Vec<_>>(),
    )
}

// req: N41
#[test]
fn a_restart_of_the_peer_s_satisfies_ours() {
    for who in [POLITE, IMPOLITE] {
        let mut world = agreed();
        let before = ufrags(&world);
        // Both want it; this side would offer, and the other was first.
        world.parties[who].paused = true;
        world.restart_ice(1 - who);
        world.run();
        world.parties[who].paused = false;
        let now = world.now();
        world.parties[who].machine.restart_ice(now);
        world.run();
        world.assert_agreed();
        assert_all_new(&before, &ufrags(&world));
        assert_eq!(world.parties[who].count(RESTART), 0);
        assert_eq!(world.parties[1 - who].count(RESTART), 1);
    }
}

/// A side with two transports, and a peer that only exists in what it says.
fn two_transports() -> (World, Vec<Media>) {
    let mut world = World::new();
    world.up = [false; 2];
    world.tell(
        POLITE,
        told(restart_offer("a 1,2 a", ["a1", "a2"]).with_offer_id(number(1))),
    );
    world.polite().paused = true;
    world.run();
    let sections = ["1", "2"].map(|mid| Media::new(mid).with_ufrag(format!("l{mid}")));
    (world, sections.to_vec())
}

/// The answers that are asked for have these ufrags.
fn answer_with(world: &mut World, sections: &[Media]) {
    use floe::signaling::{Action, Completed};
    for _ in 0..10 {
        let now = world.now();
        let Some(negotiation::Action::Signaling(action)) = world.polite().machine.poll_action()
        else {
            continue;
        };
        let done = match &action {
            Action::CreateAnswer { .. } => Completed::Created(
                Description::new(SdpType::Answer, "answer")
                    .with_media(sections.to_vec())
                    .into(),
            ),
            Action::CreateOffer { .. } => return,
            _ => Completed::Done,
        };
        world
            .polite()
            .machine
            .complete(now, action.operation(), Ok(done))
            .expect("it is awaited");
        world.polite().machine.handle_timeout(now);
    }
}

// req: N41
#[test]
fn a_partial_restart_of_the_peer_s_leaves_ours_wanted() {
    for (ufrags, is_partial) in [(["b1", "b2"], false), (["b1", "a2"], true)] {
        let now = sim::Clock::epoch();
        let (mut world, mut sections) = two_transports();
        world.parties[POLITE] = World::new().parties.into_iter().next().unwrap();
        world.polite().paused = true;
        let first = restart_offer("a 1,2 a", ["a1", "a2"]).with_offer_id(number(1));
        world
            .polite()
            .machine
            .handle_message(now, negotiation::Message::Description(first.into()));
        answer_with(&mut world, &sections);
        assert_eq!(world.polite().state(), Stable);
        world.polite().machine.restart_ice(now);
        let second = restart_offer("b 1,2 b", ufrags).with_offer_id(number(2));
        world
            .polite()
            .machine
            .handle_message(now, negotiation::Message::Description(second.into()));
        sections[0] = Media::new("1").with_ufrag("m1");
        if !is_partial {
            sections[1] = Media::new("2").with_ufrag("m2");
        }
        answer_with(&mut world, &sections);
        world.polite().machine.handle_timeout(now);
        let offers = world.polite().machine.phase() == Phase::MakingOffer;
        assert_eq!(offers, is_partial);
        assert_eq!(
            world.polite().machine.signaling().is_restart_wanted(),
            is_partial
        );
    }
}

// req: N42
#[test]
fn a_restart_waits_for_gathering_to_complete() {
    for who in [POLITE, IMPOLITE] {
        let mut world = agreed();
        let (before, offers) = (ufrags(&world), world.parties[who].offers());
        gathering(&mut world, who, Gathering);
        world.restart_ice(who);
        world.run_for(ms(4_900));
        assert_eq!(world.parties[who].offers(), offers);
        assert_eq!(ufrags(&world), before);
        gathering(&mut world, who, Complete);
        world.run();
        world.assert_agreed();
        assert_all_new(&before, &ufrags(&world));
        assert_eq!(world.parties[who].offers(), offers + 1);
        assert_eq!(world.parties[who].machine.poll_timeout(), None);
    }
}

// req: N42
#[test]
fn an_own_change_waits_behind_a_restart_of_the_peer_s_that_waits() {
    for who in [POLITE, IMPOLITE] {
        let mut world = agreed();
        let before = ufrags(&world);
        gathering(&mut world, who, Gathering);
        world.restart_ice(1 - who);
        world.run_for(ms(100));
        world.add_track(who, 2);
        world.run_for(ms(100));
        assert_eq!(world.parties[who].machine.phase(), Phase::Idle);
        gathering(&mut world, who, Complete);
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        assert_all_new(&before, &ufrags(&world));
        assert_eq!(world.polite().count("roll back local"), 0);
        assert_eq!(world.impolite().count("roll back local"), 0);
        assert_eq!(world.parties[who].discarded(), []);
    }
}

// req: N42
#[test]
fn a_section_with_credentials_of_its_own_is_no_restart() {
    let mut world = agreed();
    let theirs = world.polite().ufrag(Side::Remote).unwrap_or_default();
    gathering(&mut world, POLITE, Gathering);
    let offer = restart_offer("x 1,2 x", [theirs.as_str(), "another"]);
    world.tell(POLITE, told(offer.with_offer_id(number(1))));
    world.run_for(ms(10));
    assert_eq!(world.polite().sent_of(SdpType::Answer).len(), 1);
}

// req: N42
#[test]
fn a_restart_that_waits_is_not_forgotten_because_everything_else_is_settled() {
    let mut world = agreed();
    let before = ufrags(&world);
    gathering(&mut world, POLITE, Gathering);
    world.restart_ice(POLITE);
    let now = world.now();
    world.polite().machine.negotiation_needed(now);
    world.polite().machine.negotiation_satisfied(now);
    world.run();
    gathering(&mut world, POLITE, Complete);
    world.run();
    world.assert_agreed();
    assert_all_new(&before, &ufrags(&world));
}

// req: N42
#[test]
fn so_does_a_restart_of_the_peer_s_and_what_comes_behind_it() {
    for who in [POLITE, IMPOLITE] {
        let mut world = agreed();
        let before = ufrags(&world);
        gathering(&mut world, who, Gathering);
        world.restart_ice(1 - who);
        world.run_for(ms(1000));
        let next = Native::ufrag_of(
            world.parties[1 - who]
                .machine
                .signaling()
                .description(Side::Local),
        );
        world.tell_candidate(who, "of the restart", "1", next.as_deref());
        assert_eq!(world.parties[who].state(), Stable);
        assert_eq!(world.parties[who].native.added, [""; 0]);
        assert_eq!(world.parties[who].native.rounds.len(), 1);
        gathering(&mut world, who, Complete);
        world.run();
        world.assert_agreed();
        assert_all_new(&before, &ufrags(&world));
        assert_eq!(world.parties[who].native.added, ["of the restart"]);
    }
}

// req: N42
#[test]
fn other_rounds_do_not_wait_for_gathering_and_by_policy_restarts_do_not_either() {
    let mut world = agreed();
    for who in [POLITE, IMPOLITE] {
        gathering(&mut world, who, Gathering);
        world.add_track(who, [10, 20][who]);
        world.run();
    }
    world.assert_agreed();
    assert_eq!(world.polite().native.rounds.len(), 3);
    let mut config = Config::default();
    config.gathering = negotiation::Gathering::Interrupted;
    let mut world = World::with(&config);
    world.add_track(POLITE, 1);
    world.run();
    let before = ufrags(&world);
    for who in [POLITE, IMPOLITE] {
        gathering(&mut world, who, Gathering);
    }
    world.restart_ice(POLITE);
    world.run();
    world.assert_agreed();
    assert_all_new(&before, &ufrags(&world));
}

// req: N42
#[test]
fn gathering_that_never_completes_is_waited_for_5_s() {
    for who in [POLITE, IMPOLITE] {
        for restarter in [who, 1 - who] {
            let mut world = agreed();
            let before = ufrags(&world);
            gathering(&mut world, who, Gathering);
            world.restart_ice(restarter);
            world.run_for(ms(4_999));
            assert_eq!(ufrags(&world), before);
            gathering(&mut world, who, Gathering); // it is said again
            world.run_for(ms(100));
            world.assert_agreed();
            assert_all_new(&before, &ufrags(&world));
            assert_eq!(world.parties[who].machine.poll_timeout(), None);
        }
    }
    let mut config = Config::default();
    config.gathering_timeout = ms(1);
    let mut world = World::with(&config);
    world.add_track(POLITE, 1);
    world.run();
    let before = ufrags(&world);
    gathering(&mut world, POLITE, Gathering);
    world.restart_ice(POLITE);
    world.run_for(ms(1000));
    world.assert_agreed();
    assert_all_new(&before, &ufrags(&world));
}

// req: N44
#[test]
fn when_closed_a_restart_is_nothing() {
    let mut world = agreed();
    let now = world.now();
    world.polite().machine.close(now);
    world.polite().machine.restart_ice(now);
    assert_eq!(world.polite().machine.poll_timeout(), None);
    assert_eq!(world.polite().machine.poll_action(), None);
    assert!(!world.polite().machine.signaling().is_restart_wanted());
}

// req: N13
#[test]
fn two_restarts_that_cross_are_one() {
    for ahead in 0..12 {
        for first in [POLITE, IMPOLITE] {
            let mut world = agreed();
            let before = ufrags(&world);
            let rounds = world.polite().native.rounds.len();
            world.restart_ice(first);
            world.run_for(ms(ahead));
            world.restart_ice(1 - first);
            world.run();
            world.assert_agreed();
            world.assert_no_failure();
            assert_all_new(&before, &ufrags(&world));
            assert_eq!(
                world.polite().native.rounds.len(),
                rounds + 1,
                "{first} {ahead} ms ahead"
            );
        }
    }
}

// req: N18
#[test]
fn a_restart_offer_that_is_rolled_back_stays_wanted() {
    let mut world = agreed();
    let before = ufrags(&world);
    world.restart_ice(POLITE);
    world.run_for(ms(5));
    assert_eq!(world.polite().state(), HaveLocalOffer);
    world.channel[IMPOLITE].clear();
    world.add_track(IMPOLITE, 2); // without a restart
    while world.polite().state() != Stable {
        world.run_for(ms(1));
    }
    assert!(world.polite().machine.signaling().is_restart_wanted());
    world.run();
    world.assert_agreed();
    assert_all_new(&before, &ufrags(&world));
    assert_eq!(world.polite().count(RESTART), 2);
    assert_eq!(world.polite().native.rounds.len(), 3);
}
