//! What an envelope does: first whether it may do anything, then what.

use super::{
    Announcement, Body, Cause, DropReason, Envelope, Event, Greeting, Link, LinkState, Outcome,
    SequenceId,
};
use crate::close::{Leave, LeaveAction};
use std::time::Instant;

/// Envelopes from the peer.
impl<M> Link<M> {
    /// An envelope came. It may be of a channel that was since replaced. What has no effect is counted.
    pub fn handle_envelope(&mut self, now: Instant, envelope: Envelope<M>) -> Outcome<M> {
        self.timer.advance(now);
        if let Err(reason) = self.admit(&envelope) {
            return self.turn_away(reason, &envelope);
        }
        self.handle_ack(envelope.ack);
        match envelope.body {
            Body::Open { channel } | Body::Resume { channel } => {
                self.channel = channel;
                self.withdraw_actions();
                self.announcement = Some(Announcement::Greeting);
                self.go_up(Cause::Greeting);
            }
            Body::Welcome { .. } => {
                self.greeting = Greeting::Resume;
                self.go_up(Cause::Welcome);
            }
            Body::Message { id, payload } => return self.handle_message(id, payload),
            Body::Ack => {}
            Body::Leave(leave) => self.handle_leave(leave),
        }
        self.release();
        Outcome::Handled
    }

    /// Whether the other side of this session could say that now.
    fn admit(&self, envelope: &Envelope<M>) -> Result<(), DropReason> {
        if envelope.session != self.session {
            return Err(DropReason::WrongSession);
        }
        if self.state == LinkState::Closed {
            return Err(DropReason::Closed);
        }
        let transmitted = self.buffers.as_ref().map_or(0, |b| b.transmitted());
        let ack = envelope.ack.map_or(0, SequenceId::get);
        if ack.saturating_sub(self.acknowledged) as usize > transmitted {
            return Err(DropReason::UnknownAck);
        }
        let accepting = self.greeting == Greeting::Welcome;
        let expected = match &envelope.body {
            Body::Open { channel } | Body::Resume { channel } if accepting => {
                return self.is_latest(*channel);
            }
            Body::Welcome { channel } if self.awaits_welcome() => {
                return self.is_the_one(*channel);
            }
            Body::Open { .. } | Body::Resume { .. } | Body::Welcome { .. } => false,
            Body::Leave(leave) if leave.action == LeaveAction::Resume => {
                !accepting && self.has_channel()
            }
            Body::Message { id, .. } if self.distance(*id) >= self.config.max_ahead.into() => {
                return Err(DropReason::TooFarAhead);
            }
            Body::Message { .. } | Body::Ack | Body::Leave(_) => true,
        };
        expected.then_some(()).ok_or(DropReason::Unexpected)
    }

    fn awaits_welcome(&self) -> bool {
        matches!(self.state, LinkState::Greeting | LinkState::Swapping)
    }

    fn is_the_one(&self, channel: u16) -> Result<(), DropReason> {
        (channel == self.channel)
            .then_some(())
            .ok_or(DropReason::OldChannel)
    }

    /// Not one that was replaced. The count goes round (RFC 1982): what is less than half of it ahead is later.
    fn is_latest(&self, channel: u16) -> Result<(), DropReason> {
        let ahead = channel.wrapping_sub(self.channel);
        (ahead <= u16::MAX / 2)
            .then_some(())
            .ok_or(DropReason::OldChannel)
    }

    fn turn_away(&mut self, reason: DropReason, envelope: &Envelope<M>) -> Outcome<M> {
        self.drops.get_or_insert_default().count(reason);
        let greets = matches!(envelope.body, Body::Open { .. } | Body::Resume { .. });
        if reason == DropReason::Closed && greets && self.greeting == Greeting::Welcome {
            return Outcome::Refused(Envelope::refusal(self.session));
        }
        Outcome::Dropped(reason)
    }

    fn handle_ack(&mut self, ack: Option<SequenceId>) {
        let Some(ack) = ack.filter(|ack| ack.get() > self.acknowledged) else {
            return;
        };
        let news = ack.get() - self.acknowledged;
        self.acknowledged = ack.get();
        if let Some(buffers) = &mut self.buffers {
            buffers.acknowledge(news as usize);
        }
        if self.state == LinkState::Up {
            self.await_acknowledgement();
        }
    }

    /// How many of its messages come before this one that were not polled. 0 for those that were.
    fn distance(&self, id: SequenceId) -> usize {
        (id.get() - 1).saturating_sub(self.delivered) as usize
    }

    fn handle_message(&mut self, id: SequenceId, payload: M) -> Outcome<M> {
        let distance = self.distance(id);
        let held = self.buffers.as_ref().is_some_and(|b| b.holds(distance));
        if id.get() <= self.delivered || held {
            self.ack_due = true;
            self.release();
            self.drops
                .get_or_insert_default()
                .count(DropReason::Duplicate);
            return Outcome::Dropped(DropReason::Duplicate);
        }
        self.buffers().hold(distance, payload);
        Outcome::Handled
    }

    fn handle_leave(&mut self, leave: Leave) {
        if leave.action == LeaveAction::Resume {
            self.lose_channel(Cause::RemoteLeave);
            self.buffers().close_channel();
        } else {
            let has_channel = self.has_channel();
            self.change_state(LinkState::Closed, Cause::RemoteLeave);
            self.timer.disarm();
            self.announcement = None;
            self.ack_due = false;
            self.buffers().forget_messages();
            if has_channel {
                self.buffers().close_channel();
            }
        }
        self.buffers().record(Event::Leave(leave));
    }
}
