//! Calls between this server and a floe client, in virtual time: envelopes and datagrams handed over, no socket.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use floe::close::DisconnectReason;
use floe::session::Config;
use floe::signaling::link::{Body, Envelope, SessionId};
use floe::signaling::negotiation::Role;
use floe_ice::{Candidate, FiveTuple};
use tokio::sync::mpsc;

use super::*;
use crate::calls::{Calls, Frame};
use crate::net::now;
use crate::options::Options;
use crate::sessions::Settings;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A machine's endpoint, and whether its datagrams arrive.
struct Host {
    endpoint: Endpoint,
    settings: Settings,
    reachable: bool,
}

impl Host {
    fn new(address: &str, arguments: &[&str]) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let options = Options::parse_from(["media_server"].iter().chain(arguments));
        let settings = crate::settings(&options, vec![Candidate::host(address)]).unwrap();
        Self {
            endpoint: Endpoint::new(settings.endpoint.clone()),
            settings,
            reachable: true,
        }
    }

    fn net(&mut self, now: Instant) -> Net<'_> {
        Net {
            now,
            endpoint: &mut self.endpoint,
            settings: &self.settings,
        }
    }

    fn datagrams(&mut self) -> Vec<(FiveTuple, Vec<u8>)> {
        let mut buf = [0; 1500];
        let mut sent = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit(&mut buf) {
            sent.push((transmit.path, buf[..transmit.len].to_vec()));
        }
        sent
    }

    fn receive(&mut self, now: Instant, sent: Vec<(FiveTuple, Vec<u8>)>) {
        for (path, mut datagram) in sent.into_iter().filter(|_| self.reachable) {
            let path = FiveTuple::udp(path.remote, path.local);
            let _ = self.endpoint.handle_datagram(now, path, &mut datagram);
        }
    }
}

/// A server with its calls, a client with one, and what is between them.
struct World {
    now: Instant,
    server: Host,
    calls: Calls,
    client: Host,
    call: Call,
    channel: Option<(Channel, mpsc::Receiver<String>)>,
}

impl World {
    fn new() -> Self {
        let now = now();
        let config = Config::default();
        assert_eq!(config.role, Role::Polite);
        let session = Session::dial(now, SessionId::generate(), &config).unwrap();
        Self {
            now,
            server: Host::new("127.0.0.1:10000", &[]),
            calls: Calls::new(),
            client: Host::new("127.0.0.1:20000", &["--ice-initiation=initiating"]),
            call: Call::new(now, 1, session),
            channel: None,
        }
    }

    /// A call with data channels, connected.
    fn connected() -> Self {
        let mut world = Self::new();
        world.call.legs.want(Kind::Data);
        world.call.session.negotiation_needed(world.now);
        world.run_until(|world| world.both("connected"));
        world
    }

    fn view(&self) -> CallView {
        self.calls.views(self.now, &self.server.endpoint).remove(0)
    }

    fn client_view(&self) -> CallView {
        self.call.view(self.now, &self.client.endpoint)
    }

    fn both(&self, state: &str) -> bool {
        let server = self.calls.views(self.now, &self.server.endpoint);
        server.iter().all(|call| call.connection == state)
            && !server.is_empty()
            && self.client_view().connection == state
    }

    fn is_stable(&self) -> bool {
        let idle = |view: &CallView| view.signaling == "stable" && view.negotiation == "idle";
        idle(&self.view()) && idle(&self.client_view())
    }

    /// What the server is asked for by this client's page.
    fn ask(&mut self, ask: Ask) {
        let frame = serde_json::to_string(&Frame::Ask(ask)).unwrap();
        let channel = self.channel.as_ref().unwrap().0;
        let mut net = self.server.net(self.now);
        self.calls.hear(&mut net, channel, &frame);
    }

    fn break_channel(&mut self) {
        if let Some((channel, _)) = self.channel.take() {
            self.calls
                .close_channel(&mut self.server.net(self.now), channel);
            self.call.session.channel_closed(self.now);
        }
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let give_up = self.now + Duration::from_secs(60);
        while !done(self) {
            assert!(
                self.now < give_up,
                "server: {:#?}\nclient: {:#?}",
                self.view(),
                self.client_view()
            );
            self.step();
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// One millisecond.
    fn step(&mut self) {
        self.now += MILLISECOND;
        let now = self.now;
        self.drive_client();
        self.hand_over_frames();
        let (from_client, from_server) = (self.client.datagrams(), self.server.datagrams());
        self.server.receive(now, from_client);
        self.client.receive(now, from_server);
        self.server.endpoint.handle_timeout(now);
        self.client.endpoint.handle_timeout(now);
        while let Some((id, event)) = self.server.endpoint.poll_event() {
            let mut net = self.server.net(now);
            self.calls.handle_event(&mut net, id, &event);
        }
        while let Some((id, event)) = self.client.endpoint.poll_event() {
            self.call.session.handle_transport_event(now, id, &event);
        }
        let mut net = self.server.net(now);
        self.calls.handle_timeout(&mut net);
        self.calls.sweep(&mut net);
        self.call.session.handle_timeout(now);
    }

    fn drive_client(&mut self) {
        // A browser has a socket for each transport: that is how a server with one socket tells them apart.
        let port = 20_000 + self.call.legs.ids().count() as u16;
        self.client.settings.candidates = vec![Candidate::host(([127, 0, 0, 1], port).into())];
        let mut net = self.client.net(self.now);
        self.call.look_for_life(&mut net);
        self.call.drive(&mut net);
        if self.call.poll_wish() == Some(Wish::Open) {
            let (sender, receiver) = mpsc::channel(64);
            self.channel = Some((self.calls.open_channel(self.now, sender), receiver));
            self.call.session.channel_opened(self.now);
        }
    }

    fn hand_over_frames(&mut self) {
        let Some((channel, receiver)) = &mut self.channel else {
            return;
        };
        while let Some(envelope) = self.call.session.poll_transmit() {
            let frame = Frame::Envelope(envelope.map(Signal::from_message));
            let text = serde_json::to_string(&frame).unwrap();
            let mut net = self.server.net(self.now);
            self.calls.hear(&mut net, *channel, &text);
        }
        while let Ok(frame) = receiver.try_recv() {
            let Ok(Frame::Envelope(envelope)) = serde_json::from_str(&frame) else {
                panic!("{frame}");
            };
            let envelope: Envelope<Signal> = envelope;
            assert!(!matches!(envelope.body, Body::Open { .. }));
            let envelope = envelope.map(Signal::into_message);
            assert_eq!(self.call.session.handle_envelope(self.now, envelope), None);
        }
    }
}

#[test]
fn a_call_connects_and_the_server_adds_a_transport_of_its_own() {
    let mut world = World::connected();
    assert_eq!(world.view().transports.len(), 1);

    world.ask(Ask::Audio);
    world.run_until(|world| world.view().connection == "connecting");
    world.run_until(|world| world.both("connected") && world.is_stable());
    for view in [world.view(), world.client_view()] {
        let mids: Vec<&str> = view.transports.iter().map(|leg| leg.mid.as_str()).collect();
        assert_eq!(mids, ["floe0", "floe1"]);
        assert!(view.transports.iter().all(|leg| leg.dtls == "connected"));
    }
}

#[test]
fn offers_that_cross_are_both_answered_in_the_end() {
    let mut world = World::connected();
    world.ask(Ask::Audio);
    world.call.session.restart_ice(world.now);
    world.run_until(|world| {
        world.is_stable() && world.both("connected") && world.view().transports.len() == 2
    });
    let went = |view: &CallView, what: &str, from: &str, to: &str| {
        let mut entries = view.timeline.iter();
        entries.any(|entry| {
            entry.what == what && entry.from.as_deref() == Some(from) && entry.to == to
        })
    };
    let client = world.client_view();
    // The client is polite: it took its offer back, answered, and offered again.
    assert!(went(&client, "signaling", "have-local-offer", "stable"));
    assert!(went(&client, "signaling", "stable", "have-remote-offer"));
    assert!(
        went(&client, "ice", "completed", "connected"),
        "{client:#?}"
    );
    assert_eq!(client.transports.len(), 2);
}

#[test]
fn a_broken_channel_comes_back_and_media_does_not_notice() {
    let mut world = World::connected();
    world.break_channel();
    world.call.session.restart_ice(world.now);
    world.run_until(|world| world.channel.is_some() && world.view().link == "up");
    world.run_until(World::is_stable);
    assert!(world.both("connected"));
    let entries = world.view().timeline;
    let left_connected = |entry: &crate::view::Entry| {
        entry.what == "connection" && entry.from.as_deref() == Some("connected")
    };
    assert!(!entries.iter().any(left_connected), "{entries:#?}");
}

#[test]
fn a_greeting_that_was_overtaken_takes_no_call_over_and_its_socket_closes() {
    let mut world = World::connected();
    let now = world.now;
    let first = world.channel.as_ref().unwrap().0;
    // A second socket, whose greeting comes late: a third one's was heard before.
    let greeting = |channel| -> String {
        let envelope: Envelope<Signal> = Envelope {
            session: world.call.session.link().session(),
            ack: None,
            body: Body::Resume { channel },
        };
        serde_json::to_string(&Frame::Envelope(envelope)).unwrap()
    };
    let (second, third) = (greeting(2), greeting(3));
    let mut net = world.server.net(now);
    let (sender, mut late) = mpsc::channel(64);
    let late_channel = world.calls.open_channel(now, sender);
    let (sender, mut latest) = mpsc::channel(64);
    let latest_channel = world.calls.open_channel(now, sender);
    world.calls.hear(&mut net, latest_channel, &third);
    world.calls.hear(&mut net, late_channel, &second);
    assert!(latest.try_recv().unwrap().contains("welcome"));
    assert!(late.try_recv().is_err());

    // The first was replaced: it is closed. The end of the late one is not the end of the call's.
    let (_, replaced) = world.channel.as_mut().unwrap();
    assert!(matches!(
        replaced.try_recv(),
        Err(mpsc::error::TryRecvError::Disconnected)
    ));
    world.calls.close_channel(&mut net, first);
    world.calls.close_channel(&mut net, late_channel);
    assert_eq!(world.view().link, "up");
    assert_eq!(world.calls.open_channels(), 1);
}

#[test]
fn a_socket_that_never_greets_is_closed() {
    let mut world = World::connected();
    let (sender, mut silent) = mpsc::channel(64);
    world.calls.open_channel(world.now, sender);
    world.run_for(Duration::from_secs(9));
    assert_eq!(world.calls.open_channels(), 2);
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.calls.open_channels(), 1, "the call's own is kept");
    assert!(matches!(
        silent.try_recv(),
        Err(mpsc::error::TryRecvError::Disconnected)
    ));
}

#[test]
fn a_page_cannot_have_sections_without_end() {
    let mut world = World::new();
    for _ in 0..100 {
        world.call.legs.want(Kind::Audio);
    }
    let mut net = world.client.net(world.now);
    let offer = world.call.legs.offer(&mut net, Credentials::Same).unwrap();
    assert_eq!(world.call.legs.ids().count(), 32);

    let text = String::from_utf8_lossy(&offer.body);
    let last = text.rfind("m=audio").unwrap();
    let more = format!("{text}{}", text[last..].replace("floe31", "floe32"));
    let mut net = world.server.net(world.now);
    let mut legs = Legs::new();
    let mut apply = |text: &str| {
        let offer = Description::new(SdpType::Offer, text.to_owned());
        legs.apply(&mut net, signaling::Side::Remote, &offer)
    };
    assert_eq!(apply(&more), Err(Failure::InvalidAccess));
    assert_eq!(apply(&text), Ok(()));
}

#[test]
fn a_removed_client_is_told_why_and_the_log_knows_more() {
    let mut world = World::connected();
    world.ask(Ask::Remove);
    world.run_for(10 * MILLISECOND);
    let ended = world.call.session.ended().unwrap();
    assert_eq!(
        ended.disconnect_reason,
        DisconnectReason::ParticipantRemoved
    );
    assert_eq!(ended.close_reason, None);
    let view = world.view();
    assert_eq!(
        view.close_reason.as_deref(),
        Some("SERVICE_REQUEST_REMOVE_PARTICIPANT")
    );
    assert_eq!(
        view.disconnect_reason.as_deref(),
        Some("PARTICIPANT_REMOVED")
    );
    assert_eq!(
        (view.connection.as_str(), view.transports.len()),
        ("closed", 0)
    );
}

#[test]
fn a_client_that_vanishes_is_given_up_after_twenty_seconds() {
    let mut world = World::connected();
    world.run_for(Duration::from_secs(6));
    world.server.reachable = false;
    world.break_channel();
    let silent_since = world.now;
    let mut net = world.server.net(world.now);
    world.calls.sweep(&mut net);
    // The client's half stands still.
    while world.view().close_reason.is_none() {
        world.now += MILLISECOND;
        let now = world.now;
        let _ = world.server.datagrams();
        world.server.endpoint.handle_timeout(now);
        while let Some((id, event)) = world.server.endpoint.poll_event() {
            let mut net = world.server.net(now);
            world.calls.handle_event(&mut net, id, &event);
        }
        let mut net = world.server.net(now);
        world.calls.handle_timeout(&mut net);
        world.calls.sweep(&mut net);
        assert!(now < silent_since + Duration::from_secs(30));
    }
    let waited = world.now - silent_since;
    // Since the last consent, which came up to six seconds before.
    assert!((14..=20).contains(&waited.as_secs()), "{waited:?}");
    let view = world.view();
    assert_eq!(
        view.close_reason.as_deref(),
        Some("PEER_CONNECTION_DISCONNECTED")
    );
    assert_eq!(
        view.disconnect_reason.as_deref(),
        Some("CONNECTION_TIMEOUT")
    );
}

#[test]
fn what_a_page_says_and_hears_is_in_the_words_of_webrtc() {
    let offer = r#"{"description":{"type":"offer","sdp":"nonsense","offerId":3}}"#;
    let signal: Signal = serde_json::from_str(offer).unwrap();
    let Message::Description(description) = signal.into_message() else {
        panic!("it is a description");
    };
    assert_eq!(description.kind, SdpType::Offer);
    assert_eq!(&description.body[..], b"nonsense");
    let back = Signal::from_message(Message::Description(description));
    assert_eq!(serde_json::to_string(&back).unwrap(), offer);

    let candidate = r#"{"candidate":{"candidate":"","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}"#;
    let signal: Signal = serde_json::from_str(candidate).unwrap();
    let back = Signal::from_message(signal.into_message());
    assert_eq!(serde_json::to_string(&back).unwrap(), candidate);
}
