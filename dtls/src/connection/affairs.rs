//! What a connection is busy with: flights, messages that are put together, timers, what waits to be taken.
//!
//! ```text
//!              the handshake begins           identified, nothing is left to do
//!    Waiting ──────────────────────▶ Busy ──────────────────────────────────────▶ Idle
//!                                      ▲                                           │
//!                                      └───────────────────────────────────────────┘
//!                                         a KeyUpdate, an alert, an event, a ticket
//! ```
//!
//! A connection may wait long for a path or for a peer to be named, and an established one has nothing to do most of the time
//! but to seal and to open. Either keeps a few numbers instead.

use std::time::Instant;

use crate::config::Config;
use crate::crypto::random::Randomness;
use crate::event::{Event, State};
use crate::fingerprint::RemoteIdentity;
use crate::flight::{Flight, Kept, Sender};
use crate::msgs::alert::Alert;
use crate::msgs::enums::AlertDescription;
use crate::queue::Queue;
use crate::reassembly::Reassembler;
use crate::record::RecordLayer;
use crate::record::header::Epoch;
use crate::timer::TimerTable;

use super::amplification::Amplification;
use super::key_update::KeyUpdates;
use super::post_handshake::SpareIds;

#[derive(Debug)]
pub(super) enum Affairs {
    Waiting(Box<Waiting>),
    Busy(Box<Work>),
    Idle(Rest),
}

/// What there is before the handshake.
#[derive(Debug)]
pub(super) struct Waiting {
    sender: Sender,
    /// Until there is something to do.
    opening: Option<Opening>,
}

/// What stays when nothing is to be done.
#[derive(Debug)]
pub(super) struct Rest {
    sender: Sender,
    /// For a few minutes.
    kept: Option<Box<Kept>>,
    /// message_seq of the peer's next message.
    next_seq: u32,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) flight: Flight,
    pub(super) reassembler: Reassembler,
    pub(super) timers: TimerTable,
    pub(super) events: Queue<Event>,
    pub(super) alerts: Queue<(Epoch, Alert)>,
    /// The state that the last event said.
    pub(super) announced: State,
    /// Until the peer is known.
    pub(super) opening: Option<Box<Opening>>,
    pub(super) key_updates: KeyUpdates,
    pub(super) spare_ids: SpareIds,
}

/// What only matters until the peer is known.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) remote: RemoteIdentity,
    pub(super) random: Randomness,
    /// What a server may send to an address that has not shown that anybody is there.
    pub(super) amplification: Amplification,
    /// The plaintext alert whose grace is running.
    pub(super) suspected_alert: Option<AlertDescription>,
    /// Whether the time for the handshake waits to begin.
    pub(super) holds_deadline: bool,
}

impl Opening {
    /// With somebody of whom nothing is known.
    pub(super) fn new(random: Randomness, remote: RemoteIdentity) -> Self {
        Self {
            remote,
            random,
            amplification: Amplification::START,
            suspected_alert: None,
            holds_deadline: false,
        }
    }
}

impl Affairs {
    pub(super) fn new(config: &Config, mut opening: Opening) -> Self {
        let sender = Sender::new(config, &mut opening.random);
        Self::Waiting(Box::new(Waiting {
            sender,
            opening: Some(opening),
        }))
    }

    /// The work there is, to look at.
    #[inline]
    pub(super) fn work(&self) -> Option<&Work> {
        match self {
            Self::Busy(work) => Some(work),
            Self::Waiting(_) | Self::Idle(_) => None,
        }
    }

    pub(super) fn opening(&self) -> Option<&Opening> {
        match self {
            Self::Waiting(waiting) => waiting.opening.as_ref(),
            Self::Busy(work) => work.opening.as_deref(),
            Self::Idle(_) => None,
        }
    }

    pub(super) fn opening_mut(&mut self) -> Option<&mut Opening> {
        match self {
            Self::Waiting(waiting) => waiting.opening.as_mut(),
            Self::Busy(work) => work.opening.as_deref_mut(),
            Self::Idle(_) => None,
        }
    }

    /// The work there is, to go on with it.
    pub(super) fn work_mut(&mut self) -> Option<&mut Work> {
        match self {
            Self::Busy(work) => Some(work),
            Self::Waiting(_) | Self::Idle(_) => None,
        }
    }

    /// There is something to do.
    pub(super) fn wake(&mut self, config: &Config) -> &mut Work {
        let woken = match self {
            Self::Waiting(waiting) => Some(waiting.wake(config)),
            Self::Busy(_) => None,
            Self::Idle(rest) => Some(rest.wake(config)),
        };
        if let Some(work) = woken {
            *self = Self::Busy(Box::new(work));
        }
        match self {
            Self::Busy(work) => work,
            Self::Waiting(_) | Self::Idle(_) => unreachable!("it was woken"),
        }
    }

    /// Lets go of everything if there is nothing to do.
    pub(super) fn rest(&mut self, records: &mut RecordLayer) {
        if let Self::Busy(work) = self
            && work.is_done()
        {
            *self = Self::Idle(Rest {
                kept: work.flight.take_kept(records).map(Box::new),
                sender: work.flight.sender().clone(),
                next_seq: work.reassembler.next_seq(),
            });
        }
    }

    /// Lets go of what the peer has had the time to ask for.
    #[inline]
    pub(super) fn let_go(&mut self, now: Instant, config: &Config) {
        match self {
            Self::Idle(rest) => {
                let kept = rest.kept.as_ref();
                if kept.is_some_and(|kept| kept.is_over(now, config)) {
                    rest.kept = None;
                }
            }
            Self::Busy(work) => work.flight.let_go(now, &mut work.timers),
            Self::Waiting(_) => {}
        }
    }

    /// The peer is known to have heard what was acknowledged.
    pub(super) fn on_acks_heard(&mut self) {
        match self {
            Self::Idle(rest) => drop(rest.kept.take_if(|kept| !kept.may_come_again())),
            Self::Busy(work) => work.flight.on_acks_heard(),
            Self::Waiting(_) => {}
        }
    }

    /// Whether the peer may lack something of the handshake.
    pub(super) fn is_handshake_in_air(&self) -> bool {
        match self {
            Self::Idle(rest) => rest
                .kept
                .as_ref()
                .is_some_and(|kept| kept.is_handshake_in_air()),
            Self::Busy(work) => work.flight.is_handshake_in_air(),
            Self::Waiting(_) => false,
        }
    }

    /// Application data came.
    pub(super) fn on_data(&mut self) {
        match self {
            Self::Idle(Rest {
                kept: Some(kept), ..
            }) => kept.on_data(),
            Self::Waiting(_) | Self::Idle(_) => {}
            Self::Busy(work) => work.flight.on_data(),
        }
    }

    /// The work there is if there is a flight, in the air or kept.
    pub(super) fn with_flight(&mut self, config: &Config) -> Option<&mut Work> {
        match self {
            Self::Waiting(_) => None,
            Self::Idle(rest) if !rest.kept.as_ref().is_some_and(|kept| kept.has_flight()) => None,
            _ => Some(self.wake(config)),
        }
    }

    pub(super) fn sender(&self) -> &Sender {
        match self {
            Self::Waiting(waiting) => &waiting.sender,
            Self::Idle(rest) => &rest.sender,
            Self::Busy(work) => work.flight.sender(),
        }
    }

    pub(super) fn sender_mut(&mut self) -> &mut Sender {
        match self {
            Self::Waiting(waiting) => &mut waiting.sender,
            Self::Idle(rest) => &mut rest.sender,
            Self::Busy(work) => work.flight.sender_mut(),
        }
    }

    /// message_seq of the peer's next message.
    pub(super) fn next_seq(&self) -> u32 {
        match self {
            Self::Waiting(_) => 0,
            Self::Idle(rest) => rest.next_seq,
            Self::Busy(work) => work.reassembler.next_seq(),
        }
    }
}

impl Waiting {
    fn wake(&mut self, config: &Config) -> Work {
        Work {
            opening: self.opening.take().map(Box::new),
            ..Work::new(Flight::new(config, self.sender.clone(), None), State::New)
        }
    }
}

impl Rest {
    fn wake(&mut self, config: &Config) -> Work {
        let kept = self.kept.take().map(|kept| *kept);
        let flight = Flight::new(config, self.sender.clone(), kept);
        Work {
            reassembler: Reassembler::after(self.next_seq),
            // No other state rests.
            ..Work::new(flight, State::Connected)
        }
    }
}

impl Work {
    fn new(flight: Flight, announced: State) -> Self {
        Self {
            flight,
            reassembler: Reassembler::default(),
            timers: TimerTable::default(),
            events: Queue::default(),
            alerts: Queue::default(),
            announced,
            opening: None,
            key_updates: KeyUpdates::default(),
            spare_ids: SpareIds::default(),
        }
    }

    fn is_done(&self) -> bool {
        self.flight.is_idle()
            && self.reassembler.is_empty()
            && self.timers.next().is_none()
            && self.events.is_empty()
            && self.alerts.is_empty()
    }
}
