//! The signaling session: numbers, acknowledgements, order, and coming back after a loss, over any channel.
//!
//! A [`Link`] carries the caller's messages, whatever they are, over a channel that the caller opens: a WebSocket, an
//! HTTP long poll, a data channel. It knows of the channel that it is open or closed, and of the envelopes that go through it.
//! Each message is delivered once and in order, though channels break, lose, repeat, reorder, and are replaced by
//! others.
//!
//! ```text
//!  the dialing side                                                                     the accepting side
//!                    channel opened            Welcome             channel opened
//!   ──► Connecting ─────────────────► Greeting ───────► Up ──────────────────────► Swapping      ──► Down
//!        ▲  ▲ │                          │              │ ▲                         │   │             │ ▲
//!        │  │ │ channel closed,          │              │ └──────── Welcome ────────┘   │       Open, │ │ channel closed,
//!        │  │ │ no response              ▼              ▼                               │     Resume │ │ no response,
//!        │  │ └──────────────────────► Down ◄──────── channel closed, no response, ◄────┘            │ │ own leave{RESUME}
//!        │  └─────── back-off over ──────┤            leave{RESUME}                                  ▼ │
//!        │                               │ attempts used up                                           Up
//!        └── reconnect ◄── Exhausted ◄───┘
//!                                                 any ── leave, close ──► Closed
//! ```
//!
//! | | dialing | accepting |
//! |---|---|---|
//! | first on a channel | `Open`, and once welcomed `Resume` | `Welcome` |
//! | when the channel is gone | comes back after a [back-off](Config::back_off), [6 times](Config::attempts), then [escalates](Action::Escalate), once | waits |
//! | when a session is unknown or over | `Leave` with `STATE_MISMATCH`: begins anew | sends that ([`AcceptError::Refused`], [`Outcome::Refused`]) |
//!
//! Numbers and acknowledgements. Each message has the next [`SequenceId`]. Each envelope says up to which id everything has been
//! polled by the caller; where nothing else is to be sent, an `Ack` says it. What is not acknowledged is kept, and sent again with the
//! same ids when the next channel is greeted. What comes twice is dropped and acknowledged again; what comes early waits for what
//! is missing. All of that is bounded: [`Config::max_unacknowledged`], [`Config::max_ahead`].
//!
//! Signaling is not media. A link takes no input from a media path and moves no deadline of one; whether its end is the end of the
//! session is for [`close::Ending`](crate::close::Ending) to say.
//!
//! Another channel in the place of one that works ([`Link::handle_channel_opened`] while up) takes nothing down: what was under
//! way on the old one is sent again on the new one, and what still comes from the old one may be given in. Its end is then not to
//! be reported.
//!
//! Left out: who may use a session, and how long a message may be, are the channel's to check; a channel that is idle is not
//! probed, WebSocket's pings do that.
//!
//! # The loop
//!
//! ```
//! use floe::signaling::link::{AcceptError, Action, Config, Envelope, Link, Outcome, SessionId};
//! use std::{collections::HashMap, sync::Arc, time::Instant};
//!
//! type Sessions = HashMap<SessionId, Link<String>>;
//!
//! /// The accepting side: a text frame came; the answer to it goes back the same way.
//! fn accept(now: Instant, sessions: &mut Sessions, config: &Arc<Config>, frame: &[u8]) -> Vec<Envelope<String>> {
//!     let Ok(envelope) = Envelope::from_json(frame) else { return Vec::new() };
//!     let session = envelope.session;
//!     if let Some(link) = sessions.get_mut(&session) {
//!         if let Outcome::Refused(refusal) = link.handle_envelope(now, envelope) {
//!             return vec![refusal];
//!         }
//!     } else {
//!         match Link::accept(now, envelope, config.clone()) {
//!             Ok(link) => _ = sessions.insert(session, link),
//!             Err(AcceptError::Refused(refusal)) => return vec![refusal],
//!             Err(_) => return Vec::new(),
//!         }
//!     }
//!     let link = sessions.get_mut(&session).expect("it was found, or made");
//!     while let Some(message) = link.poll_message() {
//!         println!("{session:?}: {message}");
//!     }
//!     std::iter::from_fn(|| link.poll_transmit()).collect()
//! }
//!
//! let (mut sessions, config, now) = (Sessions::new(), Arc::new(Config::default()), Instant::now());
//! let mut link = Link::dialing(now, SessionId::generate(), config.clone())?;
//! link.send(now, "an offer".to_owned())?; // waits until there is a channel
//! assert_eq!(link.poll_action(), Some(Action::OpenChannel { attempt: 0 }));
//! link.handle_channel_opened(now);
//! while let Some(envelope) = link.poll_transmit() {
//!     for answer in accept(now, &mut sessions, &config, envelope.to_json()?.as_bytes()) {
//!         assert_eq!(link.handle_envelope(now, answer), Outcome::Handled);
//!     }
//! }
//! assert_eq!(link.unacknowledged(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buffers;
mod config;
mod envelope;
mod event;
mod receive;
#[cfg(feature = "serde")]
mod saved;
mod timer;

pub use config::{Config, ConfigError, Escalation};
#[cfg(feature = "serde")]
pub use envelope::JsonError;
pub use envelope::{Body, Envelope, ParseSessionIdError, SequenceId, SessionId};
pub use event::{
    Action, Cause, DropReason, Drops, Event, LinkState, Outcome, SendError, Transition,
};
#[cfg(feature = "serde")]
pub use saved::{RestoreError, Saved};

use crate::close::{Leave, LeaveAction};
use buffers::{Buffers, id_after};
use std::{fmt, mem, sync::Arc, time::Instant};
use thiserror::Error;
use timer::Timer;

/// One side of a signaling session. See the [module](self). 80 bytes while all is said, and nothing on the heap.
#[derive(Clone)]
pub struct Link<M> {
    config: Arc<Config>,
    session: SessionId,
    /// The response that is awaited, or the back-off.
    timer: Timer,
    /// The peer has polled everything up to here.
    acknowledged: u32,
    /// This side's caller has polled everything up to here.
    delivered: u32,
    /// The last channel that was greeted on, by the dialing side's count.
    channel: u16,
    /// How many channels were asked for since the loss.
    attempt: u8,
    state: LinkState,
    greeting: Greeting,
    /// Goes out before all else.
    announcement: Option<Announcement>,
    ack_due: bool,
    buffers: Option<Box<Buffers<M>>>,
    drops: Option<Box<Drops>>,
}

/// What this side says first on a channel, and so which side it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Greeting {
    /// Dialing, and never welcomed.
    Open,
    /// Dialing.
    Resume,
    /// Accepting.
    Welcome,
}

impl Greeting {
    fn on<M>(self, channel: u16) -> Body<M> {
        match self {
            Self::Open => Body::Open { channel },
            Self::Resume => Body::Resume { channel },
            Self::Welcome => Body::Welcome { channel },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Announcement {
    Greeting,
    Leave(Leave),
}

/// Why no session began with an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AcceptError<M> {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It resumes a session that is not known: send this back the way it came.
    #[error("the session is not known")]
    Refused(Envelope<M>),
    /// It does not begin a session.
    #[error("the envelope begins no session")]
    Dropped(DropReason),
}

/// Life of a session.
impl<M> Link<M> {
    /// The side that opens the channels, and asks for the first one at once.
    ///
    /// # Errors
    ///
    /// `config` does not hold what it promises.
    pub fn dialing(
        now: Instant,
        session: SessionId,
        config: Arc<Config>,
    ) -> Result<Self, ConfigError> {
        let mut link = Self::new(now, session, config, Greeting::Open)?;
        link.state = LinkState::Connecting;
        link.ask_for_channel();
        Ok(link)
    }

    /// The other side, from the first envelope that names a session nobody has.
    ///
    /// # Errors
    ///
    /// The envelope begins no session: if it resumes one, there is an answer to send.
    pub fn accept(
        now: Instant,
        first: Envelope<M>,
        config: Arc<Config>,
    ) -> Result<Self, AcceptError<M>> {
        let channel = match first.body {
            Body::Open { channel } => channel,
            Body::Resume { .. } => {
                return Err(AcceptError::Refused(Envelope::refusal(first.session)));
            }
            _ => return Err(AcceptError::Dropped(DropReason::WrongSession)),
        };
        let mut link = Self::new(now, first.session, config, Greeting::Welcome)?;
        link.channel = channel;
        match link.handle_envelope(now, first) {
            Outcome::Dropped(reason) => Err(AcceptError::Dropped(reason)),
            _ => Ok(link),
        }
    }

    fn new(
        now: Instant,
        session: SessionId,
        config: Arc<Config>,
        greeting: Greeting,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            config,
            session,
            timer: Timer::new(now),
            acknowledged: 0,
            delivered: 0,
            channel: 0,
            attempt: 0,
            state: LinkState::Down,
            greeting,
            announcement: None,
            ack_due: false,
            buffers: None,
            drops: None,
        })
    }

    /// The session's name.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.state
    }

    /// How many messages wait to be sent or acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.buffers
            .as_ref()
            .map_or(0, |buffers| buffers.unacknowledged())
    }

    /// The envelopes that had no effect.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.drops.as_deref().copied().unwrap_or_default()
    }

    /// Leaves, and says so to the other side if there is a channel: what [`poll_transmit`](Self::poll_transmit) has then is the
    /// last. The session is over and its messages are forgotten, unless the accepting side says
    /// [`LeaveAction::Resume`]: then it waits for the other to come back. From the dialing side that is a
    /// [`LeaveAction::Disconnect`].
    pub fn leave(&mut self, now: Instant, leave: Leave) {
        self.timer.advance(now);
        if self.state == LinkState::Closed {
            return;
        }
        let has_channel = self.has_channel();
        let action = match (leave.action, self.greeting) {
            (LeaveAction::Resume, Greeting::Welcome) => {
                self.change_state(LinkState::Down, Cause::LocalLeave);
                self.timer.disarm();
                LeaveAction::Resume
            }
            (LeaveAction::Resume, _) => {
                self.close(now);
                LeaveAction::Disconnect
            }
            (action, _) => {
                self.close(now);
                action
            }
        };
        if has_channel {
            self.announcement = Some(Announcement::Leave(Leave { action, ..leave }));
            self.buffers().close_channel();
        }
    }

    /// The session is over, without a word. Nothing comes out any more, but for the refusal of a resume.
    pub fn close(&mut self, now: Instant) {
        self.timer.advance(now);
        self.state = LinkState::Closed;
        self.timer.disarm();
        self.announcement = None;
        self.ack_due = false;
        self.buffers = None;
    }
}

/// The channel.
impl<M> Link<M> {
    /// Dialing side: a channel is open. While one is in use already, the new one takes its place.
    pub fn handle_channel_opened(&mut self, now: Instant) {
        self.timer.advance(now);
        if self.state == LinkState::Closed || self.greeting == Greeting::Welcome {
            return;
        }
        if self.state == LinkState::Exhausted {
            self.attempt = 0;
        }
        self.withdraw_actions();
        let to = match self.state.is_up() {
            true => LinkState::Swapping,
            false => LinkState::Greeting,
        };
        self.change_state(to, Cause::ChannelOpened);
        self.channel = self.channel.wrapping_add(1);
        self.announcement = Some(Announcement::Greeting);
        self.timer.arm(self.config.response_timeout);
    }

    /// The channel in use is closed, or the one asked for cannot be opened.
    pub fn handle_channel_closed(&mut self, now: Instant) {
        self.timer.advance(now);
        if self.has_channel() || self.state == LinkState::Connecting {
            self.withdraw_actions();
            self.lose_channel(Cause::ChannelClosed);
        }
    }

    /// Dialing side: tries again now, and as often as at first, where the session waits for its back-off or has given up. For
    /// when the network is back, or a page.
    pub fn reconnect(&mut self, now: Instant) {
        self.timer.advance(now);
        let waits = matches!(self.state, LinkState::Down | LinkState::Exhausted);
        if waits && self.greeting != Greeting::Welcome {
            self.attempt = 0;
            self.change_state(LinkState::Connecting, Cause::Reconnect);
            self.ask_for_channel();
        }
    }

    fn has_channel(&self) -> bool {
        use LinkState::{Greeting, Swapping, Up};
        matches!(self.state, Greeting | Up | Swapping)
    }

    fn ask_for_channel(&mut self) {
        let attempt = self.attempt;
        self.buffers().next(Action::OpenChannel { attempt });
        self.timer.arm(self.config.response_timeout);
    }

    fn lose_channel(&mut self, cause: Cause) {
        self.announcement = None;
        self.timer.disarm();
        if self.greeting == Greeting::Welcome {
            self.change_state(LinkState::Down, cause);
        } else if self.attempt < self.config.attempts {
            self.attempt += 1;
            self.change_state(LinkState::Down, cause);
            self.timer
                .arm(self.config.delay(self.attempt, &self.session, self.channel));
        } else {
            self.change_state(LinkState::Exhausted, cause);
            let escalation = self.config.escalation;
            self.buffers().next(Action::Escalate(escalation));
        }
    }

    /// A greeting was answered, or is: what is not acknowledged goes out on this channel.
    fn go_up(&mut self, cause: Cause) {
        self.attempt = 0;
        self.change_state(LinkState::Up, cause);
        if let Some(buffers) = &mut self.buffers {
            buffers.rewind();
        }
        self.await_acknowledgement();
    }

    /// A whole timeout from now, if anything is not acknowledged.
    fn await_acknowledgement(&mut self) {
        match self.unacknowledged() {
            0 => self.timer.disarm(),
            _ => self.timer.arm(self.config.response_timeout),
        }
    }

    fn change_state(&mut self, to: LinkState, cause: Cause) {
        let transition = Transition {
            from: self.state,
            to,
            cause,
            at: self.timer.now(),
            coalesced: false,
        };
        if self.state != to {
            self.state = to;
            self.buffers().record(Event::StateChange(transition));
        }
    }

    fn withdraw_actions(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.withdraw_actions();
        }
    }

    fn buffers(&mut self) -> &mut Buffers<M> {
        self.buffers.get_or_insert_default()
    }

    /// Gives the buffers back when nothing is in them.
    fn release(&mut self) {
        self.buffers.take_if(|buffers| buffers.is_empty());
    }
}

/// Messages, time, and what comes out.
impl<M: Clone> Link<M> {
    /// Sends a message, now or when signaling is up; the id is its own for good.
    ///
    /// # Errors
    ///
    /// The message, if it was not taken.
    pub fn send(&mut self, now: Instant, message: M) -> Result<SequenceId, SendError<M>> {
        self.timer.advance(now);
        let waiting = self.unacknowledged();
        if self.state == LinkState::Closed {
            return Err(SendError::Closed(message));
        }
        if waiting >= self.config.max_unacknowledged.into() {
            return Err(SendError::Full(message));
        }
        let Some(id) = id_after(self.acknowledged, waiting) else {
            return Err(SendError::Exhausted(message));
        };
        self.buffers().push(message);
        if self.state == LinkState::Up && !self.timer.is_armed() {
            self.timer.arm(self.config.response_timeout);
        }
        Ok(id)
    }

    /// The next message of the peer, each once and in order. Taking it acknowledges it.
    pub fn poll_message(&mut self) -> Option<M> {
        let message = self.buffers.as_mut()?.next_in_order()?;
        self.delivered += 1;
        self.ack_due = true;
        self.release();
        Some(message)
    }

    /// The next envelope for the channel in use.
    pub fn poll_transmit(&mut self) -> Option<Envelope<M>> {
        let body = self.next_body()?;
        self.ack_due = false;
        Some(Envelope {
            session: self.session,
            ack: SequenceId::new(self.delivered),
            body,
        })
    }

    fn next_body(&mut self) -> Option<Body<M>> {
        match self.announcement.take() {
            Some(Announcement::Greeting) => return Some(self.greeting.on(self.channel)),
            Some(Announcement::Leave(leave)) => return Some(Body::Leave(leave)),
            None if self.state != LinkState::Up => return None,
            None => {}
        }
        let next = self.buffers.as_mut().and_then(|b| b.next_to_transmit());
        if let Some((place, message)) = next {
            return Some(Body::Message {
                id: id_after(self.acknowledged, place)?,
                payload: message.clone(),
            });
        }
        mem::take(&mut self.ack_due).then_some(Body::Ack)
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.buffers.as_mut()?.poll_event();
        self.release();
        event
    }

    /// What is to be done.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.buffers.as_mut()?.poll_action();
        self.release();
        action
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.timer.advance(now);
        if !self.timer.is_due() {
            return;
        }
        self.timer.disarm();
        match self.state {
            LinkState::Down => {
                self.change_state(LinkState::Connecting, Cause::BackOffOver);
                self.ask_for_channel();
            }
            LinkState::Exhausted | LinkState::Closed => {}
            _ => {
                self.lose_channel(Cause::NoResponse);
                self.buffers().close_channel();
            }
        }
    }

    /// When a response is overdue, or the back-off over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer.deadline()
    }
}

impl<M> fmt::Debug for Link<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("session", &self.session)
            .field("state", &self.state)
            .field("attempt", &self.attempt)
            .field("acknowledged", &self.acknowledged)
            .field("unacknowledged", &self.unacknowledged())
            .field("delivered", &self.delivered)
            .field("deadline", &self.timer.deadline())
            .finish_non_exhaustive()
    }
}
