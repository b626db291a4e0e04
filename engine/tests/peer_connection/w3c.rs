//! Scenarios of the web platform tests that no other story tells.

use crate::leg::{Leg, Story, both_are, call, sides};
use crate::side::Side;
use PeerConnectionState::{Connected, New};
use floe::{
    IceConnectionState, IceGatheringState, PeerConnection, PeerConnectionState, PeerEvent,
    TransportStates,
    signaling::{
        Action, CandidateInit, Completed, Config, Description, Event as Signal, Media, SdpType,
        Side as Whose, Signaling,
    },
};
use floe_dtls as dtls;
use floe_dtls::Setup;
use floe_ice::{self as ice, Initiation, PairState, Role};
use sim::address;
use std::{sync::Arc, time::Duration};

// req: W1
#[test]
fn a_connection_is_new_until_something_begins() {
    let peer = PeerConnection::new();
    assert_eq!(peer.connection_state(), New);
    assert_eq!(peer.ice_connection_state(), IceConnectionState::New);
    assert_eq!(peer.ice_gathering_state(), IceGatheringState::New);
    let mut call = sides(50, &[address(1)], &[address(2)]);
    Leg::open(&mut call, address(1), address(2));
    call.run_for(Duration::from_secs(5));
    assert!(call.a.is(New) && call.a.connection_states().is_empty());
}

// req: W13
#[test]
fn both_sides_go_from_new_over_checking_to_connected() -> Story {
    for complete in [false, true] {
        let mut call = sides(51, &[address(1)], &[address(2)]);
        let leg = Leg::open(&mut call, address(1), address(2));
        leg.signal(&mut call)?;
        leg.trickle(&mut call)?;
        if complete {
            leg.complete(&mut call);
        }
        call.drive_until(both_are(Connected));
        call.run_for(Duration::from_secs(1));
        let expected = ["checking", "connected", "completed"];
        let expected = &expected[..if complete { 3 } else { 2 }];
        assert_eq!(call.a.ice_connection_states(), expected, "the offerer");
        assert_eq!(call.b.ice_connection_states(), expected, "the responder");
    }
    Ok(())
}

/// RTCBundlePolicy, as an offer of audio and video shows it.
#[derive(Clone, Copy, Debug)]
enum BundlePolicy {
    /// A transport for each kind.
    Balanced,
    /// A transport for each m-line.
    MaxCompat,
    /// One transport.
    MaxBundle,
}

// req: W12 W32 R25
#[test]
fn under_every_bundle_policy_the_transport_that_remains_is_the_aggregate() -> Story {
    for policy in [
        BundlePolicy::Balanced,
        BundlePolicy::MaxCompat,
        BundlePolicy::MaxBundle,
    ] {
        let (a, b) = ([address(1), address(3)], [address(2)]);
        let mut call = sides(52, &a, &b);
        let leg = Leg::open(&mut call, a[0], b[0]);
        let now = call.now();
        let video = match policy {
            BundlePolicy::MaxBundle => leg.a,
            BundlePolicy::Balanced | BundlePolicy::MaxCompat => {
                let opened = call
                    .a
                    .open(now, a[1], Initiation::Initiating, Setup::ActPass);
                opened.0
            }
        };
        let fresh = TransportStates::default();
        let offered = [(leg.a, fresh), (video, fresh)];
        call.a.peer.set_transports(now, offered);
        let separate = usize::from(video != leg.a);
        assert_eq!(call.a.peer.transports().count(), 1 + separate, "{policy:?}");

        // The answer accepts the group: both m-lines are on the first transport.
        leg.signal(&mut call)?;
        call.a
            .peer
            .set_transports(now, [(leg.a, fresh), (leg.a, fresh)]);
        if video != leg.a {
            call.a.with(now, video, |transport| transport.close(now));
        }
        leg.trickle(&mut call)?;
        leg.complete(&mut call);
        call.drive_until(both_are(Connected));
        let remaining: Vec<_> = call.a.peer.transports().collect();
        assert!(
            matches!(remaining[..], [(id, states)] if id == leg.a && states.dtls == dtls::State::Connected)
        );
        let place = |wanted: &dyn Fn(&PeerEvent) -> bool| call.a.told.iter().position(wanted);
        let transport = place(
            &|event| matches!(event, PeerEvent::IceTransportStateChange(_, t) if t.to == ice::State::Connected),
        );
        let aggregate = place(
            &|event| matches!(event, PeerEvent::IceConnectionStateChange(change) if change.to == IceConnectionState::Connected),
        );
        assert!(transport.is_some() && aggregate == transport.map(|place| place + 1));
        let closed = place(
            &|event| matches!(event, PeerEvent::IceTransportStateChange(id, t) if *id == video && t.to == ice::State::Closed),
        );
        assert_eq!(
            closed.is_some(),
            video != leg.a,
            "with an event, {policy:?}"
        );
        assert_eq!(call.a.connection_states(), ["connecting", "connected"]);
    }
    Ok(())
}

// req: W33 W36 E18
#[test]
fn closing_the_connection_closes_its_transports_at_once_and_in_silence() -> Story {
    let (mut call, leg) = call(53);
    call.drive_until(both_are(Connected));
    let (now, told) = (call.now(), call.a.told.len());
    call.a.peer.close(now);
    call.a.with(now, leg.a, |transport| transport.close(now));
    let closed = |side: &Side| {
        let (_, states) = side.peer.transports().next().unwrap();
        let itself = side.endpoint.transport(leg.a).unwrap().states();
        assert_eq!((states.ice, states.dtls), itself);
        assert_eq!(itself, (ice::State::Closed, dtls::State::Closed));
    };
    closed(&call.a);
    call.run_for(Duration::from_secs(1));
    closed(&call.a);
    assert_eq!(call.a.told.len(), told, "no statechange in a second");
    Ok(())
}

// req: W34
#[test]
fn the_offerer_controls_and_the_answerer_is_controlled() -> Story {
    let (a, b) = ([address(1), address(3)], [address(2), address(4)]);
    let mut call = sides(54, &a, &b);
    let legs = [
        Leg::connect(&mut call, a[0], b[0])?,
        Leg::connect(&mut call, a[1], b[1])?,
    ];
    call.drive_until(both_are(Connected));
    for leg in legs {
        let role = |side: &Side, id| side.endpoint.transport(id).unwrap().ice().role();
        assert_eq!(role(&call.a, leg.a), Some(Role::Controlling));
        assert_eq!(role(&call.b, leg.b), Some(Role::Controlled));
    }
    Ok(())
}

// req: W38 E24
#[test]
fn a_stopped_m_line_in_a_bundle_leaves_the_transport_as_it_is() -> Story {
    let (mut call, leg) = call(55);
    let fresh = TransportStates::default();
    let now = call.now();
    call.a.peer.set_transports(now, [(leg.a, fresh); 2]);
    call.drive_until(both_are(Connected));
    let told = call.a.told.len();
    let now = call.now();
    call.a.peer.set_transports(now, [(leg.a, fresh)]);
    call.run_for(Duration::from_secs(1));
    let (_, states) = call.a.peer.transports().next().unwrap();
    assert_eq!(states.dtls, dtls::State::Connected);
    assert!(call.a.is(Connected));
    let dtls = |event: &PeerEvent| matches!(event, PeerEvent::DtlsTransportStateChange(..));
    assert!(!call.a.told[told..].iter().any(dtls));
    Ok(())
}

// req: W43
#[test]
fn when_ice_is_connected_there_is_a_pair_that_succeeded() -> Story {
    let (mut call, leg) = call(56);
    for of_a in [true, false] {
        let up = |side: &Side| side.peer.ice_connection_state() == IceConnectionState::Connected;
        call.drive_until(|a, b| up(if of_a { a } else { b }));
        let (side, id) = match of_a {
            true => (&call.a, leg.a),
            false => (&call.b, leg.b),
        };
        let agent = side.endpoint.transport(id).unwrap().ice();
        let selected = agent.selected_candidate_pair().unwrap().id;
        let mut pairs = agent.candidate_pairs();
        assert!(
            pairs.any(|stats| stats.pair.id == selected && stats.state == PairState::Succeeded)
        );
    }
    Ok(())
}

// req: R86
#[test]
fn gathering_may_be_over_before_the_answer_comes() -> Story {
    let mut call = sides(57, &[address(1)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    let now = call.now();
    call.a.with(now, leg.a, |transport| {
        transport.local_candidates_complete(now)
    });
    call.run_for(Duration::from_secs(2));
    assert_eq!(call.a.gathering_states(), ["gathering", "complete"]);
    assert_eq!(call.a.ice_states(leg.a), [], "still new");
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(both_are(Connected));
    Ok(())
}

// Told one by one, as the tasks of webrtc-pc are run one by one.
// req: E7 W23
#[test]
fn the_end_of_candidates_is_told_while_both_states_are_gathering() {
    let mut side = Side::new([58; 32]);
    let now = sim::Clock::epoch();
    let (id, _) = side.open(now, address(1), Initiation::Initiating, Setup::ActPass);
    side.with(now, id, |transport| {
        transport.local_candidates_complete(now)
    });
    let mut seen = Vec::new();
    while let Some((id, event)) = side.endpoint.poll_event() {
        side.peer.handle_transport_event(now, id, &event);
        while let Some(event) = side.peer.poll_event() {
            let word = match event {
                PeerEvent::EndOfCandidates(of, _) if of == id => "the empty candidate",
                PeerEvent::GatheringStateChange(..) => "gatheringstatechange",
                PeerEvent::IceGatheringStateChange(_) => "icegatheringstatechange",
                PeerEvent::AllCandidatesGathered => "the null candidate",
                other => panic!("{other:?}"),
            };
            let transport = side.peer.transports().next().unwrap().1.gathering;
            let aggregate = side.peer.ice_gathering_state();
            seen.push(format!("{word}: {transport}, {aggregate}"));
        }
    }
    assert_eq!(
        seen,
        [
            "gatheringstatechange: gathering, gathering",
            "icegatheringstatechange: gathering, gathering",
            "the empty candidate: gathering, gathering",
            "gatheringstatechange: complete, complete",
            "icegatheringstatechange: complete, complete",
            "the null candidate: complete, complete",
        ]
    );
}

// A transport gathers as soon as it is there. What it finds waits for the description that speaks of it.
// req: W42 E9
#[test]
fn candidates_come_after_the_description_they_belong_to() {
    let mut side = Side::new([59; 32]);
    let now = sim::Clock::epoch();
    for offers in [true, false] {
        let setup = if offers {
            Setup::ActPass
        } else {
            Setup::Active
        };
        let (id, of_side) = side.open(now, address(1), Initiation::Initiating, setup);
        let ufrag = of_side.parameters.username_fragment().to_owned();
        let mut signaling = Signaling::new(now, Arc::new(Config::default())).unwrap();
        let kind = match offers {
            true => SdpType::Offer,
            false => {
                let offer = Description::new(SdpType::Offer, "theirs");
                signaling.set_remote_description(now, offer).unwrap();
                carry_out(&mut signaling, now, None);
                SdpType::Answer
            }
        };
        let mut media = Media::new("0");
        media.ufrag = Some(ufrag.as_str().into());
        let mut ours = Description::new(kind, "ours");
        ours.media = Arc::from([media]);
        let operation = signaling.set_implied_description(now).unwrap();

        // The transport has found all its candidates before anybody has written or applied a description.
        let found = CandidateInit::new("candidate:1 1 udp 1 192.0.2.1 9 typ host", "0", &*ufrag);
        signaling.handle_local_candidate(now, found.clone());
        side.with(now, id, |transport| {
            transport.local_candidates_complete(now)
        });
        while let Some((id, event)) = side.endpoint.poll_event() {
            side.peer.handle_transport_event(now, id, &event);
        }
        let mut end = None;
        while let Some(event) = side.peer.poll_event() {
            if let PeerEvent::EndOfCandidates(..) = event {
                let empty = CandidateInit::new("", "0", &*ufrag);
                signaling.handle_local_candidate(now, empty.clone());
                end = Some(empty);
            }
        }
        let events: Vec<_> = std::iter::from_fn(|| signaling.poll_event()).collect();
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Signal::LocalCandidate(_)))
        );

        carry_out(&mut signaling, now, Some(&Arc::new(ours)));
        let events: Vec<_> = std::iter::from_fn(|| signaling.poll_event()).collect();
        let done = events
            .iter()
            .position(|event| *event == Signal::Done(operation));
        let done = done.expect("the description is applied");
        let after: Vec<_> = events[done + 1..].to_vec();
        let end = end.expect("gathering ends");
        assert_eq!(
            after,
            [Signal::LocalCandidate(found), Signal::LocalCandidate(end)]
        );
    }
}

/// Does all that is asked for; what is to be created is `made`.
fn carry_out(signaling: &mut Signaling, now: std::time::Instant, made: Option<&Arc<Description>>) {
    while let Some(action) = signaling.poll_action() {
        let result = match &action {
            Action::CreateOffer { .. } | Action::CreateAnswer { .. } => {
                Completed::Created(made.expect("something is to be made").clone())
            }
            Action::Apply { side, .. } => {
                assert!(*side == Whose::Remote || made.is_some());
                Completed::Done
            }
            _ => Completed::Done,
        };
        signaling
            .complete(now, action.operation(), Ok(result))
            .expect("it was asked for");
    }
}
