//! The calls: whose channel brings what, and whose transport an event is of.
//!
//! A frame of a WebSocket is an envelope of `floe::signaling::link`, or asks the server for something that a page cannot do for it.
//! The first envelope makes the call. A channel belongs to the call that it greets; a call has the last channel that greeted it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use floe::close::CloseReason;
use floe::signaling::link::{Body, Envelope, SessionId};
use floe::{Endpoint, Event, TransportId, session};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::call::{Ask, Call, Signal, Wish};
use crate::legs::Net;
use crate::server::Channel;
use crate::traffic::Traffic;
use crate::view::CallView;

/// Ended calls still shown, and still refusing who would resume them.
const REMEMBERED: usize = 20;
/// How long a channel may be open that is no call's: it has not greeted, or its call has ended.
const IDLE: Duration = Duration::from_secs(10);

/// All calls of the server.
#[derive(Debug)]
pub(crate) struct Calls {
    config: session::Config,
    calls: HashMap<SessionId, Call>,
    owners: HashMap<TransportId, SessionId>,
    channels: HashMap<Channel, Line>,
    /// Channels ever opened, and calls ever made.
    opened: u64,
    created: u64,
    /// No later than the first deadline of any call.
    next_timeout: Option<Instant>,
}

/// An open channel.
#[derive(Debug)]
struct Line {
    sender: mpsc::Sender<String>,
    call: Option<SessionId>,
    /// When it was last some call's, or else opened.
    seen: Instant,
}

/// What a frame says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Frame {
    Envelope(Envelope<Signal>),
    Ask(Ask),
}

impl Calls {
    pub(crate) fn new() -> Self {
        let mut config = session::Config::default();
        // The page is polite.
        config.role = floe::signaling::negotiation::Role::Impolite;
        Self {
            config,
            calls: HashMap::new(),
            owners: HashMap::new(),
            channels: HashMap::new(),
            opened: 0,
            created: 0,
            next_timeout: None,
        }
    }

    /// Whether there is neither a call nor a channel.
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.channels.is_empty()
    }

    /// Every transport of every call.
    pub(crate) fn ids(&self) -> impl Iterator<Item = TransportId> {
        self.owners.keys().copied()
    }

    pub(crate) fn traffic(&mut self, id: TransportId) -> Option<&mut Traffic> {
        let call = self.owners.get(&id)?;
        self.calls.get_mut(call)?.legs.traffic(id)
    }

    pub(crate) fn open_channel(&mut self, now: Instant, sender: mpsc::Sender<String>) -> Channel {
        self.opened += 1;
        let channel = Channel(self.opened);
        let line = Line {
            sender,
            call: None,
            seen: now,
        };
        self.channels.insert(channel, line);
        channel
    }

    /// A channel is gone. Its call hears of it, unless it has another one meanwhile.
    pub(crate) fn close_channel(&mut self, net: &mut Net<'_>, channel: Channel) {
        let Some(Line { call: Some(id), .. }) = self.channels.remove(&channel) else {
            return;
        };
        self.with(net, id, |call, net| {
            if call.channel == Some(channel) {
                call.channel = None;
                call.session.channel_closed(net.now);
            }
        });
    }

    /// A frame came. What cannot be read ends the channel.
    pub(crate) fn hear(&mut self, net: &mut Net<'_>, channel: Channel, frame: &str) {
        match serde_json::from_str(frame) {
            Ok(Frame::Envelope(envelope)) => self.hear_envelope(net, channel, envelope),
            Ok(Frame::Ask(ask)) => {
                let call = self.channels.get(&channel).and_then(|line| line.call);
                if let Some(id) = call {
                    self.with(net, id, |call, net| call.ask(net, &ask));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "frame refused");
                self.close_channel(net, channel);
            }
        }
    }

    fn hear_envelope(&mut self, net: &mut Net<'_>, channel: Channel, envelope: Envelope<Signal>) {
        let id = envelope.session;
        let greets = matches!(envelope.body, Body::Open { .. } | Body::Resume { .. });
        let envelope = envelope.map(Signal::into_message);
        if !self.calls.contains_key(&id) {
            if self.calls.len() >= net.settings.max_sessions {
                return self.close_channel(net, channel);
            }
            match session::Session::accept(net.now, envelope, &self.config) {
                Ok(session) => {
                    self.created += 1;
                    self.calls
                        .insert(id, Call::new(net.now, self.created, session));
                }
                Err(session::NotBegun::Refused(refusal)) => return self.say(channel, refusal),
                Err(_) => return self.close_channel(net, channel),
            }
            self.bind(channel, id);
            return self.with(net, id, |call, _| call.channel = Some(channel));
        }
        let (mut refusal, mut replaced) = (None, None);
        self.with(net, id, |call, net| {
            let drops = call.session.link().drops();
            refusal = call.session.handle_envelope(net.now, envelope);
            // A greeting that was overtaken by a later one is dropped.
            if greets && call.session.link().drops() == drops {
                replaced = Some(call.channel.replace(channel));
            }
        });
        if let Some(before) = replaced {
            self.bind(channel, id);
            if let Some(before) = before.filter(|before| *before != channel) {
                self.channels.remove(&before);
            }
        }
        if let Some(refusal) = refusal {
            self.say(channel, refusal);
        }
    }

    fn bind(&mut self, channel: Channel, call: SessionId) {
        if let Some(line) = self.channels.get_mut(&channel) {
            line.call = Some(call);
        }
    }

    /// Something happened to a transport.
    pub(crate) fn handle_event(&mut self, net: &mut Net<'_>, id: TransportId, event: &Event) {
        if let Some(call) = self.owners.get(&id).copied() {
            self.with(net, call, |call, net| {
                call.session.handle_transport_event(net.now, id, event);
            });
        }
    }

    pub(crate) fn handle_timeout(&mut self, net: &mut Net<'_>) {
        if self.next_timeout.is_none_or(|at| at > net.now) {
            return;
        }
        self.next_timeout = None;
        let ids: Vec<SessionId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with(net, id, |call, net| call.session.handle_timeout(net.now));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout
    }

    /// Looks how long ago each peer was heard of, and forgets calls that ended long ago and channels that are no call's.
    pub(crate) fn sweep(&mut self, net: &mut Net<'_>) {
        let ids: Vec<SessionId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with(net, id, Call::look_for_life);
        }
        let mut ended: Vec<(u64, SessionId)> = self
            .calls
            .iter()
            .filter(|(_, call)| call.session.ended().is_some())
            .map(|(id, call)| (call.number, *id))
            .collect();
        ended.sort_unstable();
        for (_, id) in ended.iter().take(ended.len().saturating_sub(REMEMBERED)) {
            self.calls.remove(id);
        }
        let calls = &self.calls;
        self.channels.retain(|channel, line| {
            let call = line.call.and_then(|id| calls.get(&id));
            if call.is_some_and(|call| call.channel == Some(*channel)) {
                line.seen = net.now;
            }
            net.now.saturating_duration_since(line.seen) < IDLE
        });
    }

    /// How many channels are open.
    #[cfg(test)]
    pub(crate) fn open_channels(&self) -> usize {
        self.channels.len()
    }

    /// Ends every call; how many there were.
    pub(crate) fn close(&mut self, net: &mut Net<'_>) -> usize {
        let ids: Vec<SessionId> = self.calls.keys().copied().collect();
        for id in &ids {
            self.with(net, *id, |call, net| {
                call.session.close(net.now, CloseReason::RoomManagerStop);
            });
        }
        ids.len()
    }

    /// Newest first.
    pub(crate) fn views(&self, now: Instant, endpoint: &Endpoint) -> Vec<CallView> {
        let mut calls: Vec<&Call> = self.calls.values().collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.number));
        calls
            .into_iter()
            .map(|call| call.view(now, endpoint))
            .collect()
    }

    /// Does something to a call, and all that follows from it.
    fn with(
        &mut self,
        net: &mut Net<'_>,
        id: SessionId,
        work: impl FnOnce(&mut Call, &mut Net<'_>),
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        work(call, net);
        call.drive(net);
        self.owners.retain(|_, owner| *owner != id);
        self.owners
            .extend(call.legs.ids().map(|transport| (transport, id)));
        let channel = call.channel;
        let timeout = call.session.poll_timeout();
        let envelopes: Vec<_> = std::iter::from_fn(|| call.session.poll_transmit()).collect();
        let is_done = call.poll_wish() == Some(Wish::Close);
        self.next_timeout = timeout.into_iter().chain(self.next_timeout).min();
        for envelope in envelopes {
            if let Some(channel) = channel {
                self.say(channel, envelope);
            }
        }
        if let (true, Some(channel)) = (is_done, channel) {
            // The socket closes when its sender is gone.
            self.channels.remove(&channel);
        }
    }

    /// A socket that does not keep up is closed.
    fn say(&mut self, channel: Channel, envelope: session::Envelope) {
        let frame = serde_json::to_string(&Frame::Envelope(envelope.map(Signal::from_message)));
        let Some(line) = self.channels.get(&channel) else {
            return;
        };
        if !frame.is_ok_and(|frame| line.sender.try_send(frame).is_ok()) {
            self.channels.remove(&channel);
        }
    }
}
