//! Two agents find each other (RFC 8445 §6, §7, §8).

use floe_ice::{Reason, State};

use crate::support::{both_in_use, full_and_lite, ms, signal, two};

// req: I1 I14 R36 R37 R38 R39
#[test]
fn two_full_agents_connect_and_complete() {
    let mut story = two(1);
    assert_eq!(story.a.state(), State::New);
    signal(&mut story);
    assert_eq!(story.a.state(), State::Checking);
    story.drive_until(both_in_use);
    for peer in [&story.a, &story.b] {
        assert_eq!(
            peer.states(),
            [
                State::New,
                State::Checking,
                State::Connected,
                State::Completed
            ]
        );
        let reasons: Vec<Reason> = peer.transitions().iter().map(|t| t.reason).collect();
        assert_eq!(
            reasons,
            [
                Reason::ChecksBegan,
                Reason::PairSucceeded,
                Reason::CandidatesComplete
            ]
        );
    }
    assert_eq!(story.a.path().local, story.b.path().remote);
}

// req: I52
#[test]
fn it_takes_one_round_trip_to_use_a_pair_and_two_to_agree_on_it() {
    for count in [1, 4, 16] {
        let mut story = two(count);
        signal(&mut story);
        let usable = |agent: &floe_ice::Agent| agent.usable_path().is_some();
        story.drive_until(|a, b| usable(&a.agent) && usable(&b.agent));
        assert_eq!(story.elapsed(), ms(100), "usable, {count} candidates");
        story.drive_until(|_, b| b.is_in_use());
        assert_eq!(
            story.elapsed(),
            ms(150),
            "controlled side, {count} candidates"
        );
        story.drive_until(both_in_use);
        assert_eq!(
            story.elapsed(),
            ms(200),
            "controlling side, {count} candidates"
        );
    }
}

// req: I1
#[test]
fn a_full_agent_connects_to_a_lite_one() {
    let mut story = full_and_lite();
    signal(&mut story);
    story.drive_until(both_in_use);
    assert_eq!(story.a.state(), State::Completed);
    assert_eq!(story.b.state(), State::Completed);
}
