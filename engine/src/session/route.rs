//! Who tells whom: what comes out of one machine goes into others, until all are quiet.

use super::{
    Action, Ended, Event, Input, Session, Side,
    output::{Escalation, Outbox},
};
use crate::{
    PeerConnectionState, PeerEvent,
    close::{self, CloseReason, Leave, LeaveAction},
    liveness, recovery,
    signaling::{
        self, SdpType, SignalingState,
        link::{self, LinkState, Outcome},
        negotiation::{self, Message, Resumption},
    },
};
use std::time::Instant;

impl Session {
    /// One input, to the machine it is for.
    pub(super) fn apply(&mut self, now: Instant, input: Input) -> Option<super::Envelope> {
        match input {
            Input::AddTransport(id, states) => _ = self.peer.add_transport(now, id, states),
            Input::RemoveTransport(id) => _ = self.peer.remove_transport(now, id),
            Input::Transport(id, input) => self.peer.handle_transport_input(now, id, &input),
            Input::KeepAlive(age) => self
                .monitor
                .handle_keep_alive(now.checked_sub(age).unwrap_or(now)),
            Input::ChannelOpened => self.link.handle_channel_opened(now),
            Input::ChannelClosed => self.on_channel_closed(now),
            Input::Envelope(envelope) => {
                if let Outcome::Refused(refusal) = self.link.handle_envelope(now, envelope) {
                    return Some(refusal);
                }
            }
            Input::Reconnect => self.link.reconnect(now),
            Input::NegotiationNeeded => self.negotiation.negotiation_needed(now),
            Input::NegotiationSatisfied => self.negotiation.negotiation_satisfied(now),
            Input::RestartIce => self.negotiation.restart_ice(now),
            Input::LocalCandidate(candidate) => {
                self.negotiation.handle_local_candidate(now, candidate);
            }
            // What nobody waits for changes nothing.
            Input::Completed(operation, result) => {
                _ = self.negotiation.complete(now, operation, result);
            }
            Input::Resumed => self.on_resumed(now),
            Input::NetworkChanged => {
                self.link.reconnect(now);
                self.recovery.network_changed(now);
            }
            Input::Stats(sample) => self.recovery.handle_stats(now, sample),
            Input::Close(reason) => self.on_close(now, reason),
            Input::Timeout => self.on_timeout(now),
        }
        None
    }

    /// Passes on what the machines have to say, until none has anything.
    pub(super) fn settle(&mut self, now: Instant) {
        while self.pass_on(now) {}
    }

    /// One thing that a machine has to say, if there is one. The transports come before what follows from them.
    fn pass_on(&mut self, now: Instant) -> bool {
        if let Some(event) = self.peer.poll_event() {
            self.on_peer(now, event);
        } else if let Some(event) = self.monitor.poll_event() {
            self.on_silence(now, event);
        } else if self.monitor.poll_action() == Some(liveness::Action::RequestReconnect) {
            self.on_resumed(now);
        } else if let Some(event) = self.recovery.poll_event() {
            self.tell(Event::Recovery(event));
        } else if let Some(action) = self.recovery.poll_action() {
            self.on_recovery(now, action);
        } else if let Some(event) = self.link.poll_event() {
            self.on_link(now, event);
        } else if let Some(action) = self.link.poll_action() {
            self.on_channel(action);
        } else if let Some(message) = self.link.poll_message() {
            self.on_message(now, message);
        } else if let Some(event) = self.negotiation.poll_event() {
            self.on_negotiation(now, event);
        } else if let Some(action) = self.negotiation.poll_action() {
            self.on_wish(now, action);
        } else if let Some(action) = self.ending().and_then(close::Ending::poll_action) {
            self.on_ending(now, action);
        } else {
            return false;
        }
        true
    }

    fn on_timeout(&mut self, now: Instant) {
        self.monitor.handle_timeout(now);
        self.recovery.handle_timeout(now);
        self.link.handle_timeout(now);
        self.negotiation.handle_timeout(now);
        if let Some(ending) = self.ending() {
            ending.handle_timeout(now);
        }
    }

    fn on_peer(&mut self, now: Instant, event: PeerEvent) {
        self.recovery.handle_peer_event(now, &event);
        match &event {
            PeerEvent::ConnectionStateChange(change) => {
                self.negotiation.handle_connection_state(now, change.to);
                // A failure is the recovery's: it takes no channel down, as LiveKit's leave{RESUME} would.
                if let (PeerConnectionState::Connected, Some(ending)) = (change.to, self.ending()) {
                    ending.handle_media_connected(now);
                }
            }
            PeerEvent::IceGatheringStateChange(change) => {
                self.negotiation.handle_gathering_state(now, change.to);
            }
            _ => {}
        }
        self.tell(Event::Peer(event));
    }

    fn on_silence(&mut self, now: Instant, event: liveness::Event) {
        self.tell(Event::Liveness(event));
        if event == liveness::Event::MediaPathDead
            && let Some(ending) = self.ending()
        {
            ending.handle_media_dead(now);
        }
    }

    /// Back on the channel and on the media path, both at once and neither because of the other.
    fn on_resumed(&mut self, now: Instant) {
        self.link.reconnect(now);
        self.recovery.resume(now);
    }

    fn on_recovery(&mut self, now: Instant, action: recovery::Action) {
        match action {
            recovery::Action::RestartIce { .. } => self.negotiation.restart_ice(now),
            recovery::Action::PollStats => self.ask(Action::PollStats),
            recovery::Action::Escalate => self.ask(Action::Escalate(Escalation::Media)),
        }
    }

    /// The channel is gone. What that means for the session is the ending's to say.
    fn on_channel_closed(&mut self, now: Instant) {
        self.link.handle_channel_closed(now);
        if let Some(ending) = self.ending() {
            ending.handle_signal_closed(now);
        }
    }

    fn on_link(&mut self, now: Instant, event: link::Event) {
        self.tell(Event::Link(event));
        match event {
            link::Event::SignalingUp => {
                self.negotiation.signaling_up(now, Resumption::Kept);
                self.restart_left(now);
                // A leave that came meanwhile has been answered by the link.
                if let Some(ending) = self.ending() {
                    _ = ending.handle_resume(now);
                }
            }
            link::Event::SignalingDown => self.negotiation.signaling_down(now),
            link::Event::Leave(leave) => self.on_leave(now, leave),
            _ => {}
        }
    }

    fn on_leave(&mut self, now: Instant, leave: Leave) {
        match &mut self.side {
            Side::Accepting(ending) => ending.handle_leave(now, leave.reason),
            // The link comes back by itself.
            Side::Dialing(_) if leave.action == LeaveAction::Resume => {}
            Side::Dialing(_) => self.end(Ended {
                disconnect_reason: leave.reason,
                close_reason: None,
                advice: leave.action,
                at: now,
            }),
        }
    }

    fn on_channel(&mut self, action: link::Action) {
        self.ask(match action {
            link::Action::OpenChannel { attempt } => Action::OpenChannel { attempt },
            link::Action::CloseChannel => Action::CloseChannel,
            link::Action::Escalate(way) => Action::Escalate(Escalation::Channel(way)),
        });
    }

    fn on_message(&mut self, now: Instant, message: Message) {
        if is_offer(&message) {
            self.recovery.offer_received(now);
        }
        self.negotiation.handle_message(now, message);
    }

    fn on_negotiation(&mut self, now: Instant, event: negotiation::Event) {
        if let negotiation::Event::Signaling(signaling::Event::SignalingStateChange(change)) =
            &event
            && change.to == SignalingState::HaveRemoteOffer
            && self.peer_restarts()
        {
            self.recovery.peer_restarted(now);
            self.monitor.resume(now);
        }
        self.tell(Event::Negotiation(event));
    }

    /// Whether the peer's pending offer restarts ICE.
    fn peer_restarts(&self) -> bool {
        let signaling = self.negotiation.signaling();
        let pending = signaling.pending_description(signaling::Side::Remote);
        let current = signaling.current_description(signaling::Side::Remote);
        pending
            .zip(current)
            .is_some_and(|(pending, current)| pending.restarts_ice_of(current))
    }

    fn on_wish(&mut self, now: Instant, action: negotiation::Action) {
        match action {
            negotiation::Action::Signaling(action) => self.ask(Action::Signaling(action)),
            negotiation::Action::Send(message) => self.send(now, message),
            negotiation::Action::Reconnect => {
                if let Some(ending) = self.ending() {
                    ending.handle_negotiation_failed(now);
                }
                self.ask(Action::Escalate(Escalation::Negotiation));
            }
        }
    }

    fn send(&mut self, now: Instant, message: Message) {
        let is_offer = is_offer(&message);
        if self.link.send(now, message).is_err() {
            // What was said is lost, so that the two sides cannot agree any more.
            self.on_wish(now, negotiation::Action::Reconnect);
            return;
        }
        if is_offer {
            self.recovery.offer_sent(now);
            self.restart_left(now);
        }
    }

    /// The offer of a restart leaves as soon as it is made and there is a channel.
    fn restart_left(&mut self, now: Instant) {
        let signaling = self.negotiation.signaling();
        let is_made =
            signaling.state() == SignalingState::HaveLocalOffer && !signaling.is_restart_wanted();
        if is_made && self.link.state().is_up() && self.recovery.is_offer_due() {
            self.recovery.restart_offered(now);
        }
    }

    fn on_close(&mut self, now: Instant, reason: CloseReason) {
        match &mut self.side {
            Side::Accepting(ending) => ending.close(now, reason),
            Side::Dialing(Some(_)) => {}
            Side::Dialing(None) => {
                self.link.leave(now, Leave::CLIENT_INITIATED);
                self.end(Ended {
                    disconnect_reason: Leave::CLIENT_INITIATED.reason,
                    close_reason: Some(reason),
                    advice: LeaveAction::Disconnect,
                    at: now,
                });
            }
        }
    }

    fn on_ending(&mut self, now: Instant, action: close::Action) {
        match action {
            close::Action::SendLeave(leave) => self.link.leave(now, leave),
            close::Action::CloseSession => {
                if let Some(ended) = self.ended() {
                    self.end(ended);
                }
            }
        }
    }

    /// Closes every machine. The link keeps its last word for the channel, and refuses who would resume.
    fn end(&mut self, ended: Ended) {
        let now = self.recovery.now();
        self.peer.close(now);
        self.negotiation.close(now);
        self.monitor.close();
        self.recovery.close(now);
        // The peer is not told of every end; who resumes is refused after each.
        let has_channel = self.link.state().is_up();
        if self.link.state() != LinkState::Closed {
            self.link.close(now);
        }
        while let Some(event) = self.recovery.poll_event() {
            self.tell(Event::Recovery(event));
        }
        if let Side::Dialing(state) = &mut self.side {
            *state = Some(Box::new(ended));
        }
        // What was asked for is nobody's any more, but the channel is still there.
        let actions = &mut self.outbox().actions;
        actions.retain(|action| *action == Action::CloseChannel);
        if has_channel {
            actions.push_back(Action::CloseChannel);
        }
        self.ask(Action::CloseTransports);
        self.tell(Event::Ended(ended));
    }

    fn ending(&mut self) -> Option<&mut close::Ending> {
        match &mut self.side {
            Side::Accepting(ending) => Some(ending),
            Side::Dialing(_) => None,
        }
    }

    fn ask(&mut self, action: Action) {
        self.outbox().actions.push_back(action);
    }

    fn tell(&mut self, event: Event) {
        if let Some(journal) = &mut self.journal {
            event.record(self.recovery.now(), journal);
        }
        self.outbox().tell(event);
    }

    /// After the machines have done what is due: they may have left what has lasted too long.
    pub(super) fn look_at_alerts(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        journal.handle_timeout(self.recovery.now());
        while let Some(alarm) = self
            .journal
            .as_mut()
            .and_then(|journal| journal.poll_alert())
        {
            self.tell(Event::Alert(alarm));
        }
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.outbox.get_or_insert_default()
    }
}

fn is_offer(message: &Message) -> bool {
    matches!(message, Message::Description(description) if description.kind == SdpType::Offer)
}
