//! What a connection believes of its transports, and what not.

use super::*;
use crate::{
    Cause, Event, IceConnectionState, IceGatheringState, PeerConnection, PeerConnectionState,
    PeerEvent,
    legal::tests::{DTLS, DTLS_REASONS, ICE, ICE_REASONS},
    transport_input::Passage,
};
use proptest::prelude::*;
use std::{iter, time::Duration};

use dtls::{Reason as DtlsReason, State as Dtls};
use ice::{GatheringState as Gathering, Reason as IceReason, State as Ice};

const ID: u64 = 1 << 32 | 1;

/// A connection with one transport.
struct Story {
    peer: PeerConnection,
    now: Instant,
}

impl Story {
    fn new(profile: Profile) -> Self {
        Self::with(profile, TransportStates::default())
    }

    fn with(profile: Profile, states: TransportStates) -> Self {
        let mut story = Self {
            peer: PeerConnection::with_profile(profile),
            now: sim::Clock::epoch() + Duration::from_secs(3600),
        };
        story
            .peer
            .add_transport(story.now, TransportId::from_bits(ID), states);
        story.told();
        story
    }

    fn states(&self) -> TransportStates {
        let mut transports = self.peer.transports();
        transports.next().expect("it is referred to").1
    }

    fn hear(&mut self, input: TransportInput) -> Vec<String> {
        self.now += Duration::from_millis(1);
        let id = TransportId::from_bits(ID);
        self.peer.handle_transport_input(self.now, id, &input);
        self.told()
    }

    /// ICE goes from where it is.
    fn ice(&mut self, to: Ice, reason: IceReason) -> Vec<String> {
        let from = self.states().ice;
        self.hear(ice(from, to, reason))
    }

    fn dtls(&mut self, to: Dtls, reason: DtlsReason) -> Vec<String> {
        let from = self.states().dtls;
        self.hear(dtls(from, to, reason))
    }

    fn gathering(&mut self, to: Gathering) -> Vec<String> {
        self.hear(TransportInput::Gathering(to))
    }

    /// The other transport of a legal call: connected and complete.
    fn connected(profile: Profile) -> Self {
        let mut story = Self::new(profile);
        story.gathering(Gathering::Gathering);
        story.ice(Ice::Checking, IceReason::ChecksBegan);
        story.ice(Ice::Connected, IceReason::PairSucceeded);
        story.dtls(Dtls::Connecting, DtlsReason::Started);
        story.dtls(Dtls::Connected, DtlsReason::PeerVerified);
        story.gathering(Gathering::Complete);
        story.ice(Ice::Completed, IceReason::CandidatesComplete);
        assert_eq!(story.peer.anomalies(), 0);
        story
    }

    fn told(&mut self) -> Vec<String> {
        iter::from_fn(|| self.peer.poll_event())
            .map(|event| in_words(&event))
            .collect()
    }
}

fn ice(from: Ice, to: Ice, reason: IceReason) -> TransportInput {
    TransportInput::Ice(Passage {
        from,
        to,
        reason,
        coalesced: false,
        age: Duration::ZERO,
    })
}

fn dtls(from: Dtls, to: Dtls, reason: DtlsReason) -> TransportInput {
    TransportInput::Dtls(Passage {
        from,
        to,
        reason,
        coalesced: false,
        age: Duration::ZERO,
    })
}

fn in_words(event: &PeerEvent) -> String {
    match event {
        PeerEvent::IceTransportStateChange(_, t) if t.coalesced => {
            format!("{} … {}", t.from, t.to)
        }
        PeerEvent::IceTransportStateChange(_, t) => format!("{} → {}", t.from, t.to),
        PeerEvent::DtlsTransportStateChange(_, t) => format!("DTLS {} → {}", t.from, t.to),
        PeerEvent::DtlsError(_, reason) => format!("error: {reason}"),
        PeerEvent::GatheringStateChange(_, to) => format!("gathers: {to}"),
        PeerEvent::EndOfCandidates(_, of) => format!("end of candidates: {of:?}"),
        PeerEvent::AllCandidatesGathered => "no more candidates".to_owned(),
        PeerEvent::IceConnectionStateChange(change) => format!("iceConnection {}", change.to),
        PeerEvent::ConnectionStateChange(change) => format!("connection {}", change.to),
        PeerEvent::IceGatheringStateChange(change) => format!("iceGathering {}", change.to),
        PeerEvent::Refused(_, anomaly) => format!("refused: {anomaly}"),
        PeerEvent::SelectedCandidatePairChange(..) | PeerEvent::SendPathLost(..) => "path".into(),
    }
}

// Every edge that is not drawn, from every state: told as an anomaly, counted, and without any effect.
// req: P13 P14 R50 R55
#[test]
fn a_change_that_cannot_be_is_told_and_not_made() {
    for from in ICE {
        for to in ICE {
            for reason in ICE_REASONS {
                let states = TransportStates {
                    ice: from,
                    ..TransportStates::default()
                };
                let mut story = Story::with(Profile::W3c, states);
                let told = story.ice(to, reason);
                let refused = legal::ice(from, to, reason) == Edge::Illegal;
                if refused {
                    let anomaly = format!("refused: ICE cannot go from {from} to {to} ({reason})");
                    assert_eq!(told, [anomaly]);
                    assert_eq!(story.states(), states);
                } else {
                    assert_eq!(story.states().ice, to, "{from} {to} {reason}");
                }
                assert_eq!(story.peer.anomalies(), u32::from(refused));
            }
        }
    }
    for from in DTLS {
        for to in DTLS {
            for reason in DTLS_REASONS {
                let states = TransportStates {
                    dtls: from,
                    ..TransportStates::default()
                };
                let mut story = Story::with(Profile::W3c, states);
                let told = story.dtls(to, reason);
                let refused = legal::dtls(from, to, reason, Association::Current) == Edge::Illegal;
                if refused {
                    let anomaly = format!("refused: DTLS cannot go from {from} to {to} ({reason})");
                    assert_eq!(told, [anomaly]);
                }
                assert_eq!(story.states().dtls, if refused { from } else { to });
                assert_eq!(story.peer.anomalies(), u32::from(refused));
            }
        }
    }
}

// req: R50 P14
#[test]
fn failed_is_left_by_a_restart_and_by_nothing_else() {
    let mut story = Story::connected(Profile::W3c);
    story.ice(Ice::Failed, IceReason::ConsentExpired);
    for to in [
        Ice::Connected,
        Ice::Completed,
        Ice::Checking,
        Ice::Disconnected,
        Ice::New,
    ] {
        let told = story.ice(to, IceReason::Recovered);
        assert_eq!(
            told,
            [format!(
                "refused: ICE cannot go from failed to {to} (the path answers again)"
            )]
        );
    }
    // An agent that goes on by itself, as if it had never failed.
    story.hear(ice(
        Ice::Connected,
        Ice::Disconnected,
        IceReason::ConsentChecksMissed,
    ));
    story.hear(ice(Ice::Disconnected, Ice::Connected, IceReason::Recovered));
    assert_eq!(story.states().ice, Ice::Failed);
    assert_eq!(story.peer.connection_state(), PeerConnectionState::Failed);
    assert_eq!(story.peer.anomalies(), 7);

    assert_eq!(
        story.ice(Ice::Checking, IceReason::Restarted),
        [
            "failed → checking",
            "iceConnection checking",
            "connection connecting"
        ]
    );
    story.ice(Ice::Connected, IceReason::PairNominated);
    assert_eq!(
        story.peer.connection_state(),
        PeerConnectionState::Connected
    );
    assert_eq!(story.peer.anomalies(), 7);
}

// req: R50
#[test]
fn what_is_failed_may_be_closed() {
    let mut story = Story::connected(Profile::W3c);
    story.ice(Ice::Failed, IceReason::ConsentExpired);
    story.dtls(Dtls::Failed, DtlsReason::PeerAlert);
    assert_eq!(
        story.dtls(Dtls::Closed, DtlsReason::ClosedByPeer),
        ["refused: DTLS cannot go from failed to closed (the peer sent close_notify)"]
    );
    assert_eq!(
        story.dtls(Dtls::Closed, DtlsReason::ClosedLocally),
        ["DTLS failed → closed"]
    );
    assert_eq!(
        story.ice(Ice::Closed, IceReason::Closed),
        ["failed → closed", "iceConnection new", "connection new"]
    );
}

#[test]
fn a_connection_that_fails_at_once_skipped_disconnected() {
    let mut story = Story::new(Profile::W3c);
    story.ice(Ice::Checking, IceReason::ChecksBegan);
    story.ice(Ice::Connected, IceReason::PairSucceeded);
    let told = story.ice(Ice::Failed, IceReason::ConsentRevoked);
    assert_eq!(told[0], "connected … failed");
    let explained = story.peer.explain();
    let Fault::Ice(Ice::Failed, Some(transition)) = explained.culprits[0].fault else {
        panic!("{explained}")
    };
    assert!(transition.coalesced && transition.from == Ice::Connected);
    assert_eq!(story.peer.anomalies(), 0);

    let mut story = Story::connected(Profile::W3c);
    assert_eq!(
        story.ice(Ice::Failed, IceReason::ConsentExpired)[0],
        "completed → failed"
    );
}

// Events that got lost on the way: the chain as told stays whole.
// req: R87
#[test]
fn a_gap_in_what_is_reported_is_told_as_several_changes_in_one() {
    let mut story = Story::new(Profile::W3c);
    assert_eq!(
        story.hear(ice(Ice::Checking, Ice::Connected, IceReason::PairSucceeded)),
        [
            "new … connected",
            "iceConnection connected",
            "connection connecting"
        ]
    );
    assert_eq!(
        story.hear(ice(Ice::Checking, Ice::Completed, IceReason::PairNominated)),
        ["connected … completed", "iceConnection completed"]
    );
    assert_eq!(
        story.hear(dtls(
            Dtls::Connecting,
            Dtls::Connected,
            DtlsReason::PeerVerified
        )),
        ["DTLS new → connected", "connection connected"]
    );
    assert_eq!(story.peer.anomalies(), 0);
}

// req: R44 R87
#[test]
fn a_restart_in_completed_leads_to_connected_or_in_the_articles_profile_to_checking() {
    let mut w3c = Story::connected(Profile::W3c);
    assert_eq!(w3c.hear(TransportInput::RestartBegan), [""; 0]);
    assert_eq!(
        w3c.ice(Ice::Connected, IceReason::Restarted),
        ["completed → connected", "iceConnection connected"]
    );
    assert_eq!(w3c.hear(TransportInput::RestartConfirmed), [""; 0]);
    assert_eq!(
        w3c.ice(Ice::Completed, IceReason::CandidatesComplete),
        ["connected → completed", "iceConnection completed"]
    );

    let mut article = Story::connected(Profile::Article);
    assert_eq!(article.hear(TransportInput::RestartBegan), [""; 0]);
    assert_eq!(
        article.ice(Ice::Connected, IceReason::Restarted),
        [
            "completed → checking",
            "iceConnection checking",
            "connection connecting"
        ]
    );
    assert!(
        article
            .peer
            .explain()
            .to_string()
            .ends_with("ICE checking (an ICE restart began)")
    );
    assert_eq!(
        article.hear(TransportInput::RestartConfirmed),
        [
            "checking → connected",
            "iceConnection connected",
            "connection connected"
        ]
    );
    assert_eq!(
        article.ice(Ice::Completed, IceReason::CandidatesComplete),
        ["connected → completed", "iceConnection completed"]
    );
    assert_eq!((w3c.peer.anomalies(), article.peer.anomalies()), (0, 0));
}

// req: R44 R47
#[test]
fn what_is_shown_as_checking_goes_where_the_transport_goes() {
    let restarting = || {
        let mut story = Story::connected(Profile::Article);
        story.hear(TransportInput::RestartBegan);
        story.ice(Ice::Connected, IceReason::Restarted);
        story
    };
    let mut story = restarting();
    let rolled_back = TransportInput::RestartRolledBack(IceReason::ChecksExhausted);
    assert_eq!(story.hear(rolled_back)[0], "checking → connected");
    assert_eq!(
        story.hear(ice(Ice::Connected, Ice::Completed, IceReason::RolledBack))[0],
        "connected → completed"
    );

    let mut story = restarting();
    let lost = ice(
        Ice::Connected,
        Ice::Disconnected,
        IceReason::ConsentChecksMissed,
    );
    assert_eq!(story.hear(lost)[0], "checking → disconnected");
    assert_eq!(
        story.hear(rolled_back),
        [""; 0],
        "it is not shown so any more"
    );
    assert_eq!(
        story.ice(Ice::Connected, IceReason::Recovered)[0],
        "disconnected → connected"
    );

    let mut story = restarting();
    let looking = ice(Ice::Connected, Ice::Checking, IceReason::ConsentExpired);
    assert_eq!(story.hear(looking), [""; 0], "it is what it was shown as");
    assert_eq!(story.hear(TransportInput::RestartConfirmed), [""; 0]);
    assert_eq!(
        story.ice(Ice::Connected, IceReason::PairNominated)[0],
        "checking → connected"
    );
    assert_eq!(story.peer.anomalies(), 0);
}

// req: R44
#[test]
fn only_a_restart_that_is_under_way_is_shown_as_checking() {
    // Nothing will ever settle it.
    let mut story = Story::connected(Profile::Article);
    assert_eq!(
        story.ice(Ice::Connected, IceReason::Restarted)[0],
        "completed → connected"
    );

    // Another restart takes the place of the one that is shown, and finds no candidates of its own yet.
    let mut story = Story::connected(Profile::Article);
    story.hear(TransportInput::RestartBegan);
    story.ice(Ice::Connected, IceReason::Restarted);
    story.hear(TransportInput::RestartBegan);
    assert_eq!(story.gathering(Gathering::New)[0], "gathers: new");
    assert_eq!(
        story.hear(TransportInput::RestartConfirmed)[0],
        "checking → connected"
    );
    assert_eq!(story.peer.anomalies(), 0);
}

// What the agent reports counts: when it is really looking for a path again, no profile says otherwise.
// req: R44
#[test]
fn completed_may_go_to_checking_when_the_agent_says_so() {
    for profile in [Profile::W3c, Profile::Article] {
        for reason in [IceReason::Restarted, IceReason::ConsentExpired] {
            let mut story = Story::connected(profile);
            assert_eq!(story.ice(Ice::Checking, reason)[0], "completed → checking");
        }
        let mut story = Story::connected(profile);
        assert_eq!(
            story.ice(Ice::Connected, IceReason::Recovered),
            ["refused: ICE cannot go from completed to connected (the path answers again)"]
        );
    }
}

// req: R77 R86
#[test]
fn gathering_begins_before_the_answer_and_again_by_a_restart_or_in_the_articles_profile() {
    let again = ["gathers: gathering", "iceGathering gathering"];
    for profile in [Profile::W3c, Profile::Article] {
        let mut story = Story::new(profile);
        assert_eq!(
            story.gathering(Gathering::Gathering),
            again,
            "no answer yet"
        );
        story.gathering(Gathering::Complete);
        story.hear(TransportInput::RestartBegan);
        assert_eq!(story.gathering(Gathering::Gathering), again);
        story.gathering(Gathering::Complete);
        assert_eq!(
            story.gathering(Gathering::New)[0],
            "gathers: new",
            "without candidates"
        );
        story.gathering(Gathering::Complete);
        story.hear(TransportInput::RestartConfirmed);
        let told = story.gathering(Gathering::Gathering);
        match profile {
            Profile::W3c => {
                assert_eq!(
                    told,
                    ["refused: gathering cannot go from complete to gathering"]
                );
                assert_eq!(
                    story.peer.ice_gathering_state(),
                    IceGatheringState::Complete
                );
            }
            Profile::Article => assert_eq!(told, again),
        }
        let told = story.gathering(Gathering::New);
        let from = story.peer.ice_gathering_state();
        assert_eq!(
            told,
            [format!("refused: gathering cannot go from {from} to new")]
        );
    }
}

// req: E7 W23
#[test]
fn the_end_of_gathering_is_told_in_two_steps() {
    let mut story = Story::new(Profile::W3c);
    story.gathering(Gathering::Gathering);
    let end = TransportInput::EndOfCandidates(ice::GatheredGeneration::Newest);
    assert_eq!(story.hear(end), ["end of candidates: Newest"]);
    assert_eq!(story.states().gathering, Gathering::Gathering, "not yet");
    assert_eq!(
        story.peer.ice_gathering_state(),
        IceGatheringState::Gathering
    );
    assert_eq!(
        story.gathering(Gathering::Complete),
        [
            "gathers: complete",
            "iceGathering complete",
            "no more candidates"
        ]
    );
}

// req: E7
#[test]
fn the_last_transport_to_gather_ends_it_for_all() {
    let mut story = Story::new(Profile::W3c);
    let other = TransportId::from_bits(ID + 1);
    story
        .peer
        .add_transport(story.now, other, TransportStates::default());
    story.gathering(Gathering::Gathering);
    assert_eq!(
        story.gathering(Gathering::Complete),
        ["gathers: complete", "iceGathering new"]
    );
    for to in [Gathering::Gathering, Gathering::Complete] {
        let input = TransportInput::Gathering(to);
        story.peer.handle_transport_input(story.now, other, &input);
    }
    assert_eq!(
        story.told().last().map(String::as_str),
        Some("no more candidates")
    );
}

// req: R55 E5
#[test]
fn a_new_association_on_the_same_transport_is_announced() {
    let next = TransportInput::AssociationChange(dtls::AssociationId::default());
    for end in [Dtls::Failed, Dtls::Connected, Dtls::Closed] {
        let mut story = Story::connected(Profile::W3c);
        if end != Dtls::Connected {
            story.dtls(end, DtlsReason::ClosedByPeer);
        }
        let refused = story.dtls(Dtls::Connecting, DtlsReason::Started);
        assert!(
            refused[0].starts_with("refused: DTLS cannot go"),
            "{refused:?}"
        );
        assert_eq!(story.hear(next), [""; 0]);
        let begun = story.dtls(Dtls::Connecting, DtlsReason::Started);
        assert_eq!(begun[0], format!("DTLS {end} → connecting"));
        story.dtls(Dtls::Connected, DtlsReason::PeerVerified);
        assert_eq!(
            story.peer.connection_state(),
            PeerConnectionState::Connected
        );
        let again = story.dtls(Dtls::Connecting, DtlsReason::Started);
        assert!(
            again[0].starts_with("refused"),
            "announced once, begun once"
        );
    }

    let mut story = Story::connected(Profile::W3c);
    story.dtls(Dtls::Closed, DtlsReason::ClosedLocally);
    story.hear(next);
    assert!(story.dtls(Dtls::Connecting, DtlsReason::Started)[0].starts_with("refused"));
}

// req: E24 W38 R25
#[test]
fn m_lines_in_a_bundle_share_their_transport_until_the_last_is_stopped() {
    let mut story = Story::connected(Profile::W3c);
    let (id, fresh) = (TransportId::from_bits(ID), TransportStates::default());
    let other = TransportId::from_bits(ID + 1);
    let before = story.states();
    // Audio, video and data in one group; then video is stopped; then audio leaves the group; then all but data stop.
    story.peer.set_transports(story.now, [(id, fresh); 3]);
    assert_eq!(story.told(), [""; 0]);
    story.peer.set_transports(story.now, [(id, fresh); 2]);
    assert_eq!((story.told(), story.states()), (vec![], before));

    story
        .peer
        .set_transports(story.now, [(other, fresh), (id, fresh)]);
    assert_eq!(
        story.told(),
        [
            "iceConnection checking",
            "connection connecting",
            "iceGathering new"
        ]
    );
    assert_eq!(story.states(), before, "it keeps its states, and its place");
    story.peer.set_transports(story.now, [(id, fresh)]);
    assert_eq!(
        story.told(),
        [
            "iceConnection completed",
            "connection connected",
            "iceGathering complete"
        ]
    );

    story.peer.set_transports(story.now, []);
    assert_eq!(
        story.told(),
        ["iceConnection new", "connection new", "iceGathering new"]
    );
    assert_eq!(story.peer.transports().count(), 0);
}

// req: R66
#[test]
fn another_set_of_transports_is_one_change_with_that_cause() {
    let mut story = Story::connected(Profile::W3c);
    let (gone, come) = (TransportId::from_bits(ID), TransportId::from_bits(ID + 1));
    let states = story.states();
    story.peer.set_transports(story.now, [(come, states)]);
    assert_eq!(
        story.told(),
        [""; 0],
        "one connected transport in the place of another"
    );
    assert_eq!(story.peer.transports().next(), Some((come, states)));

    let states = TransportStates {
        ice: Ice::Disconnected,
        ..states
    };
    story.peer.set_transports(story.now, [(gone, states)]);
    let causes: Vec<_> = iter::from_fn(|| story.peer.poll_event())
        .map(|event| match event {
            PeerEvent::IceConnectionStateChange(change) => (change.cause, change.to.to_string()),
            PeerEvent::ConnectionStateChange(change) => (change.cause, change.to.to_string()),
            other => panic!("{other:?}"),
        })
        .collect();
    let disconnected = (Cause::TransportSetChanged, "disconnected".to_owned());
    assert_eq!(causes, [disconnected.clone(), disconnected]);

    story.peer.close(story.now);
    story.peer.set_transports(story.now, []);
    assert_eq!(story.peer.transports().count(), 1, "closed is closed");
}

// Time that goes back is taken for the latest there was.
#[test]
fn the_times_of_what_is_told_never_decrease() {
    let mut story = Story::new(Profile::W3c);
    let (id, late) = (
        TransportId::from_bits(ID),
        story.now + Duration::from_secs(9),
    );
    // Told at once, and after having waited behind one another.
    for told_at_once in [3, 1] {
        let steps = [
            (Ice::Checking, late),
            (Ice::Connected, story.now),
            (Ice::Disconnected, late),
            (Ice::Checking, story.now),
        ];
        let mut times = Vec::new();
        for (index, (to, now)) in steps.into_iter().enumerate() {
            let input = ice(story.states().ice, to, IceReason::PairSucceeded);
            story.peer.handle_transport_input(now, id, &input);
            if index < told_at_once {
                times.extend(iter::from_fn(|| story.peer.poll_event()));
            }
        }
        times.extend(iter::from_fn(|| story.peer.poll_event()));
        let times: Vec<_> = times
            .iter()
            .filter_map(|event| match event {
                PeerEvent::IceConnectionStateChange(change) => Some(change.at),
                _ => None,
            })
            .collect();
        assert!(times.len() > 2 && times.iter().all(|at| *at == late));
    }
}

/// Anything that a transport may be said to have done.
fn inputs() -> impl Strategy<Value = Vec<TransportInput>> {
    let states = || prop::sample::select(ICE.to_vec());
    let dtls_states = || prop::sample::select(DTLS.to_vec());
    let gathering = vec![Gathering::New, Gathering::Gathering, Gathering::Complete];
    let input = prop_oneof![
        6 => (states(), states(), prop::sample::select(ICE_REASONS.to_vec()))
            .prop_map(|(from, to, reason)| ice(from, to, reason)),
        4 => (dtls_states(), dtls_states(), prop::sample::select(DTLS_REASONS.to_vec()))
            .prop_map(|(from, to, reason)| dtls(from, to, reason)),
        2 => prop::sample::select(gathering).prop_map(TransportInput::Gathering),
        1 => Just(TransportInput::RestartBegan),
        1 => Just(TransportInput::RestartConfirmed),
        1 => Just(TransportInput::RestartRolledBack(IceReason::RolledBack)),
        1 => Just(TransportInput::SendPathLost(IceReason::ConsentExpired)),
    ];
    prop::collection::vec(input, 0..80)
}

fn profiles() -> impl Strategy<Value = Profile> {
    prop::sample::select(vec![Profile::W3c, Profile::Article])
}

proptest! {
    // Whatever is fed, what is told is a chain of drawn edges, and connected means verified.
    // req: P13 P14 P15 R50 R55
    #[test]
    fn what_is_told_is_drawn(profile in profiles(), inputs in inputs()) {
        let mut story = Story::new(profile);
        let (mut at_ice, mut at_dtls) = (Ice::New, Dtls::New);
        for input in inputs {
            let id = TransportId::from_bits(ID);
            story.peer.handle_transport_input(story.now, id, &input);
            while let Some(event) = story.peer.poll_event() {
                match event {
                    PeerEvent::IceTransportStateChange(_, t) => {
                        prop_assert!(t.from == at_ice && t.to != at_ice);
                        prop_assert!(t.coalesced || t.from.may_become(t.to));
                        prop_assert!(at_ice != Ice::Closed);
                        let restarted = t.reason == IceReason::Restarted;
                        prop_assert!(at_ice != Ice::Failed || t.to == Ice::Closed || restarted);
                        at_ice = t.to;
                    }
                    PeerEvent::DtlsTransportStateChange(_, t) => {
                        prop_assert!(t.from == at_dtls && t.to != at_dtls);
                        prop_assert!(t.to != Dtls::Connected || t.reason == DtlsReason::PeerVerified);
                        prop_assert!(!matches!(at_dtls, Dtls::Failed) || t.to == Dtls::Closed);
                        prop_assert!(at_dtls != Dtls::Closed);
                        at_dtls = t.to;
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(story.states().ice, at_ice);
            prop_assert_eq!(story.states().dtls, at_dtls);
        }
    }

    // What was written down and is fed again gives the same, whatever it was.
    #[test]
    fn a_replay_tells_what_was_told(profile in profiles(), inputs in inputs()) {
        let (mut first, mut again) = (Story::new(profile), Story::new(profile));
        for input in inputs {
            let written = serde_json::to_string(&input).expect("it can be written");
            let read: TransportInput = serde_json::from_str(&written).expect("it can be read");
            prop_assert_eq!(read, input);
            prop_assert_eq!(again.hear(read), first.hear(input));
        }
        prop_assert_eq!(again.states(), first.states());
        prop_assert_eq!(again.peer.explain(), first.peer.explain());
        prop_assert_eq!(again.peer.anomalies(), first.peer.anomalies());
    }
}

#[test]
fn an_event_that_waited_keeps_its_time_in_a_journal() {
    let now = sim::Clock::epoch() + Duration::from_secs(60);
    let at = now - Duration::from_millis(1500);
    let mut transition = ice::Transition::new(Ice::New, Ice::Checking, IceReason::ChecksBegan, at);
    transition.coalesced = true;
    let input = TransportInput::new(now, &Event::IceStateChange(transition));
    let written = serde_json::to_string(&input).expect("it can be written");
    assert_eq!(
        written,
        r#"{"ice":{"from":"new","to":"checking","reason":"checks-began","coalesced":true,"age":{"secs":1,"nanos":500000000}}}"#
    );
    let mut story = Story::new(Profile::W3c);
    let id = TransportId::from_bits(ID);
    let input = input.expect("a connection hears of it");
    story.peer.handle_transport_input(now, id, &input);
    let told = story.peer.poll_event();
    let Some(PeerEvent::IceTransportStateChange(_, told)) = told else {
        panic!("{told:?}")
    };
    assert_eq!(told, transition);
    assert!(matches!(
        story.peer.poll_event(),
        Some(PeerEvent::IceConnectionStateChange(change)) if change.at == now && change.to == IceConnectionState::Checking
    ));

    let plain = TransportInput::Gathering(Gathering::Gathering);
    assert_eq!(
        serde_json::to_string(&plain).expect("it can be written"),
        r#"{"gathering":"gathering"}"#
    );
    assert_eq!(TransportInput::new(now, &Event::NeedFingerprints), None);
}
