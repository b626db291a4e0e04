//! What a session keeps while there is something to keep.

use super::{Action, Event, SequenceId, Transition};
use std::{collections::VecDeque, mem::discriminant};

/// As many events wait as they come; beyond this many, an event takes the place of the last one of its kind.
const MAX_EVENTS: usize = 64;

/// Messages out and in, and what the caller has not polled yet. A session on which all is said has none of this.
#[derive(Clone, Debug)]
pub(super) struct Buffers<M> {
    /// Not acknowledged, oldest first: the first one's id is one after the last acknowledged.
    sent: VecDeque<M>,
    /// How many of them have left, on whatever channel.
    transmitted: usize,
    /// And on this channel.
    cursor: usize,
    /// Not polled, by their distance from the last polled; `None` where one is missing. The last is never missing.
    ahead: VecDeque<Option<M>>,
    close_channel: bool,
    /// [`Action::OpenChannel`] or [`Action::Escalate`]: the later wish takes the place of the earlier.
    next: Option<Action>,
    events: VecDeque<Event>,
    /// What the last polled change of state means.
    signaling: Option<Event>,
}

impl<M> Default for Buffers<M> {
    fn default() -> Self {
        Self {
            sent: VecDeque::new(),
            transmitted: 0,
            cursor: 0,
            ahead: VecDeque::new(),
            close_channel: false,
            next: None,
            events: VecDeque::new(),
            signaling: None,
        }
    }
}

/// Messages to the peer.
impl<M> Buffers<M> {
    pub(super) fn unacknowledged(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn transmitted(&self) -> usize {
        self.transmitted
    }

    pub(super) fn push(&mut self, message: M) {
        self.sent.push_back(message);
    }

    /// The next message for this channel, and its place among the unacknowledged.
    pub(super) fn next_to_transmit(&mut self) -> Option<(usize, &M)> {
        let place = self.cursor;
        let message = self.sent.get(place)?;
        self.cursor += 1;
        self.transmitted = self.transmitted.max(self.cursor);
        Some((place, message))
    }

    /// All that is not acknowledged is to be transmitted again.
    pub(super) fn rewind(&mut self) {
        self.cursor = 0;
    }

    /// The first so many have arrived.
    pub(super) fn acknowledge(&mut self, count: usize) {
        self.sent.drain(..count);
        self.transmitted -= count;
        self.cursor = self.cursor.saturating_sub(count);
    }
}

/// Messages from the peer.
impl<M> Buffers<M> {
    /// How far the buffer reaches, with those that are missing.
    #[cfg(feature = "serde")]
    pub(super) fn held(&self) -> usize {
        self.ahead.len()
    }

    pub(super) fn holds(&self, distance: usize) -> bool {
        self.ahead.get(distance).is_some_and(Option::is_some)
    }

    pub(super) fn hold(&mut self, distance: usize, message: M) {
        if self.ahead.len() <= distance {
            self.ahead.resize_with(distance + 1, || None);
        }
        self.ahead[distance] = Some(message);
    }

    /// The next message in order, if it is there.
    pub(super) fn next_in_order(&mut self) -> Option<M> {
        let message = self.ahead.front_mut()?.take()?;
        self.ahead.pop_front();
        Some(message)
    }
}

/// What the caller polls.
impl<M> Buffers<M> {
    pub(super) fn close_channel(&mut self) {
        self.close_channel = true;
    }

    pub(super) fn next(&mut self, action: Action) {
        self.next = Some(action);
    }

    /// There is another channel, or none: what was to be done about the last one is not to be done to this.
    pub(super) fn withdraw_actions(&mut self) {
        self.close_channel = false;
        self.next = None;
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        if std::mem::take(&mut self.close_channel) {
            return Some(Action::CloseChannel);
        }
        self.next.take()
    }

    pub(super) fn record(&mut self, event: Event) {
        let full = self.events.len() >= MAX_EVENTS;
        let same_kind = |waiting: &&mut Event| discriminant(*waiting) == discriminant(&event);
        match self
            .events
            .iter_mut()
            .rev()
            .filter(|_| full)
            .find(same_kind)
        {
            Some(waiting) => *waiting = coalesce(*waiting, event),
            None => self.events.push_back(event),
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.signaling.take() {
            return Some(event);
        }
        let event = self.events.pop_front()?;
        if let Event::StateChange(transition) = &event {
            self.signaling = transition.signaling();
        }
        Some(event)
    }

    /// Forgets the messages, and keeps what the caller is still to learn.
    pub(super) fn forget_messages(&mut self) {
        *self = Self {
            events: std::mem::take(&mut self.events),
            signaling: self.signaling,
            ..Self::default()
        };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
            && self.ahead.is_empty()
            && !self.close_channel
            && self.next.is_none()
            && self.events.is_empty()
            && self.signaling.is_none()
    }
}

fn coalesce(earlier: Event, later: Event) -> Event {
    match (earlier, later) {
        (Event::StateChange(earlier), Event::StateChange(later)) => {
            Event::StateChange(Transition {
                from: earlier.from,
                coalesced: true,
                ..later
            })
        }
        (_, later) => later,
    }
}

/// The id that stands this far after `number`.
pub(super) fn id_after(number: u32, distance: usize) -> Option<SequenceId> {
    let distance = u32::try_from(distance).ok()?;
    SequenceId::new(number.checked_add(distance)?.checked_add(1)?)
}

#[cfg(feature = "serde")]
mod saved {
    use super::{Action, Buffers};
    use std::collections::VecDeque;

    /// The buffers without the events: those hold times of another clock.
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(in super::super) struct SavedBuffers<M> {
        sent: VecDeque<M>,
        transmitted: usize,
        cursor: usize,
        ahead: VecDeque<Option<M>>,
        close_channel: bool,
        next: Option<Action>,
    }

    impl<M: Clone> Buffers<M> {
        pub(in super::super) fn save(&self) -> SavedBuffers<M> {
            SavedBuffers {
                sent: self.sent.clone(),
                transmitted: self.transmitted,
                cursor: self.cursor,
                ahead: self.ahead.clone(),
                close_channel: self.close_channel,
                next: self.next,
            }
        }
    }

    impl<M> SavedBuffers<M> {
        pub(in super::super) fn restore(self, max_sent: u16, max_ahead: u16) -> Option<Buffers<M>> {
            let sound = self.cursor <= self.transmitted
                && self.transmitted <= self.sent.len()
                && self.sent.len() <= max_sent.into()
                && self.ahead.len() <= max_ahead.into()
                && self.ahead.back().is_none_or(Option::is_some);
            sound.then(|| Buffers {
                sent: self.sent,
                transmitted: self.transmitted,
                cursor: self.cursor,
                ahead: self.ahead,
                close_channel: self.close_channel,
                next: self.next,
                ..Buffers::default()
            })
        }
    }
}

#[cfg(feature = "serde")]
pub(super) use saved::SavedBuffers;
