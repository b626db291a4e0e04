//! Why sessions end: the map from one vocabulary to the other, and what happens until it comes to that.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod laws;
mod map;
mod monitors;

use floe::{
    PeerConnectionState,
    close::{
        Action, CloseReason, Config, DisconnectReason, Ended, Ending, Event, Leave, LeaveAction,
        Profile,
    },
    liveness::{self, MediaPath, Monitor},
    recovery::{self, Recovery},
    signaling::link::{self, Body, Envelope, Link, LinkState, Outcome, SequenceId, SessionId},
};
use sim::Clock;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A monitor of each side, with the defaults.
fn monitors(now: Instant) -> (Monitor, Monitor) {
    let config = liveness::Config::default();
    (
        Monitor::server(now, &config).unwrap(),
        Monitor::client(now, &config).unwrap(),
    )
}

/// What a server does with one participant: its machines, wired as their documentation says, and a client that may be gone.
struct Server {
    start: Instant,
    now: Instant,
    monitor: Monitor,
    ending: Ending,
    link: Link<u8>,
    /// In seconds since the start.
    log: Vec<(f64, Said)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    /// On the signaling channel.
    Leave(Leave),
    Closed,
    Ended(CloseReason, DisconnectReason),
}

impl Server {
    fn new(profile: Profile) -> Self {
        let mut config = Config::default();
        config.profile = profile;
        let now = Clock::epoch();
        let open = envelope(Body::Open { channel: 1 });
        let mut link = Link::accept(now, open, Arc::new(link::Config::default())).unwrap();
        assert!(link.poll_transmit().is_some());
        Self {
            start: now,
            now,
            monitor: Monitor::server(now, &liveness::Config::default()).unwrap(),
            ending: Ending::new(now, &config).unwrap(),
            link,
            log: Vec::new(),
        }
    }

    /// A session whose media connected at the start.
    fn joined(profile: Profile) -> Self {
        let mut server = Self::new(profile);
        server.ending.handle_media_connected(server.now);
        server.keep_alive();
        server
    }

    fn keep_alive(&mut self) {
        self.monitor.handle_keep_alive(self.now);
        self.turn();
    }

    /// Keep-alives every two and a half seconds, until then.
    fn alive_until(&mut self, at: f64) {
        while self.elapsed() + 2.5 <= at {
            self.run_until(self.elapsed() + 2.5);
            self.keep_alive();
        }
        self.run_until(at);
    }

    fn elapsed(&self) -> f64 {
        (self.now - self.start).as_secs_f64()
    }

    fn run_until(&mut self, at: f64) {
        let until = self.start + Duration::from_secs_f64(at);
        loop {
            let due = [
                self.monitor.poll_timeout(),
                self.ending.poll_timeout(),
                self.link.poll_timeout(),
            ];
            let Some(due) = due.into_iter().flatten().min().filter(|due| *due <= until) else {
                break;
            };
            self.now = self.now.max(due);
            self.monitor.handle_timeout(self.now);
            self.ending.handle_timeout(self.now);
            self.link.handle_timeout(self.now);
            self.turn();
        }
        self.now = until;
    }

    /// An envelope on the signaling channel; what is sent back at once.
    fn hear(&mut self, body: Body<u8>) -> Option<Envelope<u8>> {
        let greets = matches!(body, Body::Open { .. } | Body::Resume { .. });
        match self.link.handle_envelope(self.now, envelope(body)) {
            Outcome::Refused(refusal) => return Some(refusal),
            Outcome::Handled if greets => {
                self.ending.handle_resume(self.now).unwrap();
                self.monitor.resume(self.now);
            }
            _ => {}
        }
        self.turn();
        None
    }

    fn channel_closed(&mut self) {
        self.link.handle_channel_closed(self.now);
        self.turn();
    }

    fn end(&mut self, how: impl FnOnce(&mut Ending, Instant)) {
        how(&mut self.ending, self.now);
        self.turn();
    }

    fn turn(&mut self) {
        while let Some(event) = self.link.poll_event() {
            match event {
                link::Event::Leave(leave) => self.ending.handle_leave(self.now, leave.reason),
                link::Event::SignalingDown if self.link.state() == LinkState::Down => {
                    self.ending.handle_signal_closed(self.now);
                }
                _ => {}
            }
        }
        while let Some(event) = self.monitor.poll_event() {
            assert_eq!(event, liveness::Event::MediaPathDead);
        }
        while let Some(action) = self.monitor.poll_action() {
            assert_eq!(action, liveness::Action::CloseSession);
            self.ending.handle_media_dead(self.now);
        }
        while let Some(Event::Ended(ended)) = self.ending.poll_event() {
            assert_eq!(ended.at, self.now);
            self.note(Said::Ended(ended.close_reason, ended.disconnect_reason));
        }
        while let Some(action) = self.ending.poll_action() {
            match action {
                Action::SendLeave(leave) => self.link.leave(self.now, leave),
                Action::CloseSession => {
                    self.note(Said::Closed);
                    self.monitor.close();
                    self.flush();
                    self.link.close(self.now);
                }
                _ => {}
            }
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(envelope) = self.link.poll_transmit() {
            if let Body::Leave(leave) = envelope.body {
                self.note(Said::Leave(leave));
            }
        }
        while self.link.poll_action().is_some() {}
    }

    fn note(&mut self, said: Said) {
        self.log.push((self.elapsed(), said));
    }

    #[track_caller]
    fn ended(&self, at: f64, reason: CloseReason, public: DisconnectReason) {
        let ends: Vec<_> = self
            .log
            .iter()
            .filter(|(_, said)| matches!(said, Said::Ended(..)))
            .collect();
        assert_eq!(ends, [&(at, Said::Ended(reason, public))]);
        assert_eq!(
            self.log
                .iter()
                .filter(|(_, said)| *said == Said::Closed)
                .count(),
            1
        );
        assert_eq!(
            self.ending.disconnect_reason(),
            Some(public),
            "for others to see"
        );
        assert_eq!(
            (self.ending.poll_timeout(), self.monitor.poll_timeout()),
            (None, None)
        );
        assert_eq!(
            (self.link.poll_timeout(), self.link.state()),
            (None, LinkState::Closed)
        );
    }

    #[track_caller]
    fn open(&self) {
        assert_eq!(self.log, []);
        assert_eq!(
            (self.ending.ended(), self.ending.disconnect_reason()),
            (None, None)
        );
    }
}

fn envelope<M>(body: Body<M>) -> Envelope<M> {
    Envelope {
        session: SessionId::from_bytes([5; 16]),
        ack: None,
        body,
    }
}

const LOST: (CloseReason, DisconnectReason) = (
    CloseReason::PeerConnectionDisconnected,
    DisconnectReason::ConnectionTimeout,
);

// req: R10
#[test]
fn the_first_reason_wins_and_is_the_only_one() {
    for first in CloseReason::ALL {
        let mut server = Server::joined(Profile::LiveKitHead);
        server.run_until(1.0);
        server.end(|ending, now| ending.close(now, first));
        server.ended(1.0, first, first.disconnect_reason(Profile::LiveKitHead));
        let log = server.log.clone();
        for later in CloseReason::ALL {
            server.end(|ending, now| ending.close(now, later));
        }
        server.end(Ending::handle_media_dead);
        server.end(Ending::handle_negotiation_failed);
        server.end(Ending::handle_signal_closed);
        server.end(Ending::handle_transport_failed);
        server.end(Ending::handle_media_connected);
        server.end(|ending, now| ending.handle_leave(now, DisconnectReason::UserRejected));
        server.keep_alive();
        server.channel_closed();
        server.run_until(500.0);
        assert_eq!(server.log, log);
        // The leave comes before the close, and there is none where there is nobody to hear it.
        let leave =
            Leave::at_end(first, Profile::LiveKitHead).map(|leave| (1.0, Said::Leave(leave)));
        let leaves: Vec<_> = log
            .iter()
            .filter(|(_, said)| matches!(said, Said::Leave(_)))
            .collect();
        assert_eq!(leaves, leave.iter().collect::<Vec<_>>());
    }
}

// req: R15 R3
#[test]
fn a_client_that_vanishes_is_cleaned_up_at_the_deadline() {
    for (profile, public) in [
        (Profile::Article, DisconnectReason::StateMismatch),
        (Profile::LiveKitHead, DisconnectReason::ConnectionTimeout),
    ] {
        let mut server = Server::joined(profile);
        server.alive_until(50.0);
        server.run_until(69.999);
        server.open();
        server.run_until(200.0);
        server.ended(70.0, CloseReason::PeerConnectionDisconnected, public);
    }
}

// req: R9 R16
#[test]
fn a_crash_closes_the_signaling_and_nothing_else_before_the_deadline() {
    let mut server = Server::joined(Profile::Article);
    server.alive_until(10.0);
    server.channel_closed();
    server.run_until(29.999);
    server.open();
    server.run_until(60.0);
    server.ended(
        30.0,
        CloseReason::PeerConnectionDisconnected,
        DisconnectReason::StateMismatch,
    );
}

// req: R9
#[test]
fn while_media_flows_signaling_may_be_gone_for_good() {
    let mut server = Server::joined(Profile::LiveKitHead);
    server.run_until(1.0);
    server.channel_closed();
    server.alive_until(3600.0);
    server.open();
    assert_eq!(server.monitor.state(), MediaPath::Alive);
}

// req: R146
#[test]
fn signaling_that_comes_and_goes_restarts_nothing_while_media_is_well() {
    let mut server = Server::joined(Profile::LiveKitHead);
    let mut recovery = Recovery::new(server.now, Arc::default()).unwrap();
    recovery.offer_received(server.now);
    recovery.handle_connection_state(server.now, PeerConnectionState::Connected);
    while recovery.poll_event().is_some() || recovery.poll_action().is_some() {}
    for channel in 2..30 {
        server.alive_until(server.elapsed() + 20.0);
        server.channel_closed();
        assert_eq!(server.link.state(), LinkState::Down);
        server.link.send(server.now, 1).unwrap();
        server.alive_until(server.elapsed() + 20.0);
        let number = server.link.unacknowledged().try_into().unwrap();
        server.hear(Body::Resume { channel });
        assert_eq!(server.link.state(), LinkState::Up);
        let ack = SequenceId::new(number);
        let session = server.link.session();
        let body = Body::Ack;
        let acknowledgement = Envelope { session, ack, body };
        _ = server.link.handle_envelope(server.now, acknowledgement);
        recovery.handle_timeout(server.now);
        assert_eq!(recovery.state(), recovery::State::Connected);
        assert_eq!(
            (recovery.poll_event(), recovery.poll_action()),
            (None, None)
        );
        assert_eq!(recovery.poll_timeout(), None);
    }
    server.open();
}

// req: R9
#[test]
fn a_channel_that_closes_before_media_ever_connected_is_the_end() {
    for (at, cancelled) in [(2.999, true), (3.0, false)] {
        let mut server = Server::new(Profile::LiveKitHead);
        server.run_until(at);
        server.channel_closed();
        server.run_until(100.0);
        server.ended(
            at,
            CloseReason::SignalSourceClose,
            DisconnectReason::SignalClose,
        );
        assert_eq!(server.ending.ended().unwrap().cancelled, cancelled);
        assert!(
            !server
                .log
                .iter()
                .any(|(_, said)| matches!(said, Said::Leave(_)))
        );
    }
}

#[test]
fn a_session_whose_media_never_connects_ends_after_a_minute() {
    let mut server = Server::new(Profile::LiveKitHead);
    server.run_until(59.999);
    server.open();
    // Whoever asks late asks too late, whether or not the deadline was polled.
    let mut late = server.ending.clone();
    late.handle_media_connected(server.start + secs(60));
    assert_eq!(late.ended().unwrap().close_reason, CloseReason::JoinTimeout);
    server.run_until(100.0);
    server.ended(
        60.0,
        CloseReason::JoinTimeout,
        DisconnectReason::JoinFailure,
    );
    let mut config = Config::default();
    for (timeout, sound) in [
        (0, false),
        (1000, true),
        (1500, false),
        (64_800_000, true),
        (64_801_000, false),
    ] {
        config.join_timeout = ms(timeout);
        assert_eq!(Ending::new(server.now, &config).is_ok(), sound, "{timeout}");
    }
}

// req: R18
#[test]
fn a_leave_request_closes_at_once_and_cancels_every_deadline() {
    for (said, reason) in [
        (
            DisconnectReason::ClientInitiated,
            CloseReason::ClientRequestLeave,
        ),
        (
            DisconnectReason::UnknownReason,
            CloseReason::ClientRequestLeave,
        ),
        (
            DisconnectReason::ServerShutdown,
            CloseReason::ClientRequestLeave,
        ),
        (
            DisconnectReason::UserUnavailable,
            CloseReason::UserUnavailable,
        ),
        (DisconnectReason::UserRejected, CloseReason::UserRejected),
        (DisconnectReason::AgentError, CloseReason::AgentError),
    ] {
        for joined in [true, false] {
            let mut server = match joined {
                true => Server::joined(Profile::LiveKitHead),
                false => Server::new(Profile::LiveKitHead),
            };
            server.run_until(5.0);
            let leave = Leave {
                reason: said,
                ..Leave::CLIENT_INITIATED
            };
            server.hear(Body::Leave(leave));
            server.run_until(100.0);
            server.ended(5.0, reason, reason.disconnect_reason(Profile::LiveKitHead));
            assert_eq!(
                server.log.len(),
                2,
                "nothing is said to who has left: {:?}",
                server.log
            );
        }
    }
    let leave = CloseReason::of_leave_request(DisconnectReason::ClientInitiated);
    assert_eq!(
        leave.disconnect_reason(Profile::Article),
        DisconnectReason::ClientInitiated
    );
}

// req: R7
#[test]
fn a_reconnect_between_fifteen_and_twenty_seconds_keeps_the_session() {
    for at in [15.0, 17.5, 19.999] {
        let mut server = Server::joined(Profile::LiveKitHead);
        server.run_until(at);
        server.channel_closed();
        assert_eq!(server.hear(Body::Resume { channel: 2 }), None);
        server.run_until(at + 19.999);
        server.open();
        server.keep_alive();
        server.alive_until(200.0);
        server.open();
    }
    // If media does not follow, that is not for ever.
    let mut server = Server::joined(Profile::LiveKitHead);
    server.run_until(16.0);
    server.hear(Body::Resume { channel: 2 });
    server.run_until(100.0);
    server.ended(36.0, LOST.0, LOST.1);
}

// req: R7 R22 R20
#[test]
fn a_reconnect_at_the_deadline_or_later_is_told_to_begin_anew() {
    for at in [20.0, 21.0, 1000.0] {
        let mut server = Server::joined(Profile::LiveKitHead);
        server.run_until(at);
        server.ended(20.0, LOST.0, LOST.1);
        let log = server.log.clone();
        let refusal = server.hear(Body::Resume { channel: 2 }).unwrap();
        assert_eq!(refusal.body, Body::Leave(Leave::UNKNOWN_SESSION));
        assert_eq!(
            server.ending.handle_resume(server.now),
            Err(Leave::UNKNOWN_SESSION)
        );
        assert_eq!(
            Leave::UNKNOWN_SESSION.reason,
            DisconnectReason::StateMismatch
        );
        assert_eq!(server.log, log, "and nothing else happens");
    }
}

// req: R17 R4 R5
#[test]
fn in_a_blackout_the_client_tries_and_the_server_gives_up_all_the_same() {
    let mut server = Server::joined(Profile::LiveKitHead);
    let mut client = Monitor::client(server.start, &liveness::Config::default()).unwrap();
    server.alive_until(30.0);
    client.handle_keep_alive(server.now);
    let mut tries = Vec::new();
    for second in 31..60 {
        let now = server.start + secs(second);
        client.handle_timeout(now);
        if client.poll_event() == Some(liveness::Event::MediaPathLost) {
            tries.push(second);
        }
        let asked = client.poll_action() == Some(liveness::Action::RequestReconnect);
        assert_eq!(asked, second == 45);
    }
    assert_eq!(tries, [45]);
    server.run_until(100.0);
    server.ended(50.0, LOST.0, LOST.1);
}

// req: R19 R20 R21
#[test]
fn lost_media_and_disagreement_stay_apart_in_the_log_even_where_the_public_reason_is_one() {
    let ends = |profile| {
        let mut lost = Server::joined(profile);
        lost.run_until(20.0);
        let mut wedged = Server::joined(profile);
        wedged.run_until(15.0);
        wedged.end(Ending::handle_negotiation_failed);
        let mut unknown_tracks = Server::joined(profile);
        unknown_tracks.end(Ending::handle_resume_mismatch);
        [lost, wedged, unknown_tracks].map(|server| server.ending.ended().unwrap())
    };
    let both = |ended: Ended| (ended.close_reason, ended.disconnect_reason);
    use CloseReason::{NegotiateFailed, PeerConnectionDisconnected, PublicationError};
    use DisconnectReason::{ConnectionTimeout, StateMismatch};
    assert_eq!(
        ends(Profile::Article).map(both),
        [
            (PeerConnectionDisconnected, StateMismatch),
            (NegotiateFailed, StateMismatch),
            (PublicationError, StateMismatch),
        ]
    );
    assert_eq!(
        ends(Profile::LiveKitHead).map(both),
        [
            (PeerConnectionDisconnected, ConnectionTimeout),
            (NegotiateFailed, StateMismatch),
            (PublicationError, StateMismatch),
        ]
    );
}

#[test]
fn a_failed_transport_asks_the_client_once_to_resume_and_ends_nothing() {
    let resume = |at| {
        (
            at,
            Said::Leave(Leave {
                reason: DisconnectReason::ConnectionTimeout,
                action: LeaveAction::Resume,
            }),
        )
    };
    let mut server = Server::joined(Profile::LiveKitHead);
    server.run_until(15.0);
    server.end(Ending::handle_transport_failed);
    server.end(Ending::handle_transport_failed);
    assert_eq!(server.log, [resume(15.0)]);
    assert_eq!(
        server.link.state(),
        LinkState::Down,
        "the channel is given up, the session is not"
    );
    server.run_until(16.0);
    assert_eq!(server.hear(Body::Resume { channel: 2 }), None);
    server.alive_until(30.0);
    assert_eq!(server.log, [resume(15.0)]);
    // Having resumed, it can fail again, and the same after media was there again.
    server.end(Ending::handle_transport_failed);
    server.hear(Body::Resume { channel: 3 });
    server.end(Ending::handle_transport_failed);
    server.hear(Body::Resume { channel: 4 });
    server.end(Ending::handle_media_connected);
    server.end(Ending::handle_transport_failed);
    assert_eq!(
        server.log,
        [resume(15.0), resume(30.0), resume(30.0), resume(30.0)]
    );
    server.run_until(100.0);
    server.ended(50.0, LOST.0, LOST.1);
    // Media that is there again is enough: the next failure is another one.
    let mut ending = Ending::new(server.now, &Config::default()).unwrap();
    ending.handle_media_connected(server.now);
    for _ in 0..3 {
        ending.handle_transport_failed(server.now);
        assert!(matches!(ending.poll_action(), Some(Action::SendLeave(_))));
        assert_eq!(ending.poll_action(), None);
        ending.handle_media_connected(server.now);
    }
    // Who never connected is not asked: there is nothing to resume, and the join's deadline stands.
    let mut joining = Server::new(Profile::LiveKitHead);
    joining.end(Ending::handle_transport_failed);
    joining.run_until(59.0);
    joining.open();
    // An end before the client was told takes the place of what it would have been told.
    let mut server = Server::joined(Profile::LiveKitHead);
    server.ending.handle_transport_failed(server.now);
    server.end(Ending::handle_duplicate_identity);
    let disconnect = Leave {
        reason: DisconnectReason::DuplicateIdentity,
        action: LeaveAction::Disconnect,
    };
    assert!(
        matches!(server.log[..], [(_, Said::Ended(..)), (_, Said::Closed), (_, Said::Leave(leave))] | [(_, Said::Ended(..)), (_, Said::Leave(leave)), (_, Said::Closed)] if leave == disconnect),
        "{:?}",
        server.log
    );
}

// req: R13
#[test]
fn the_others_see_why_somebody_is_gone_and_nothing_while_he_is_here() {
    let mut server = Server::joined(Profile::LiveKitHead);
    assert_eq!(server.ending.disconnect_reason(), None);
    server.end(|ending, now| ending.close(now, CloseReason::ServiceRequestRemoveParticipant));
    assert_eq!(
        server.ending.disconnect_reason(),
        Some(DisconnectReason::ParticipantRemoved)
    );
    server.run_until(1000.0);
    assert_eq!(
        server.ending.disconnect_reason(),
        Some(DisconnectReason::ParticipantRemoved)
    );
}

// req: R8
#[test]
fn signaling_moves_no_media_deadline_and_media_none_of_signaling() {
    let mut server = Server::joined(Profile::LiveKitHead);
    for half_second in 1..40u32 {
        server.run_until(f64::from(half_second) / 2.0);
        let (id, payload) = (SequenceId::new(half_second).unwrap(), 0);
        server.hear(Body::Message { id, payload });
        assert!(server.link.poll_message().is_some());
        assert_eq!(server.monitor.poll_timeout(), Some(server.start + secs(20)));
    }
    server.open();
    server.run_until(20.0);
    server.ended(20.0, LOST.0, LOST.1);
    // The reverse: keep-alives do not stand in for an acknowledgement.
    let mut server = Server::joined(Profile::LiveKitHead);
    server.link.send(server.now, 1).unwrap();
    server.turn();
    let due = server.link.poll_timeout();
    for second in 1..10u32 {
        server.run_until(second.into());
        server.keep_alive();
        assert_eq!(server.link.poll_timeout(), due);
    }
    server.run_until(11.0);
    assert_eq!(server.link.state(), LinkState::Down);
    server.open();
}

// req: R145
#[test]
fn while_signaling_comes_back_media_is_heard_at_once() {
    let now = Clock::epoch();
    let (_, mut monitor) = monitors(now);
    let session = SessionId::from_bytes([5; 16]);
    let mut link = Link::<u8>::dialing(now, session, Arc::new(link::Config::default())).unwrap();
    monitor.handle_keep_alive(now);
    for step in 0..400u32 {
        let now = now + ms(250) * step;
        if link.state() == LinkState::Connecting {
            link.handle_channel_closed(now);
        }
        link.handle_timeout(now);
        monitor.handle_keep_alive(now);
        assert_eq!(monitor.poll_timeout(), Some(now + secs(15)));
    }
    assert_eq!(link.state(), LinkState::Exhausted);
    let lost = now + ms(250) * 399 + secs(15);
    monitor.handle_timeout(lost);
    assert_eq!(monitor.poll_event(), Some(liveness::Event::MediaPathLost));
    assert_eq!(link.state(), LinkState::Exhausted);
}
