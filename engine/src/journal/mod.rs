//! The journal: what happened to a session, in an order that can be replayed.
//!
//! ```text
//!   inputs, before they are handled ──▶ ┌──────────── Journal ────────────┐ ── entries, poll_entry ─▶ who looks, or keeps
//!   events of every machine, after ───▶ │ bounded; oldest give way,       │ ── write_lines ─────────▶ JSON lines (serde)
//!   time ─────────────────────────────▶ │ counted; times never decrease   │ ── each, as it comes ───▶ tracing
//!                                       └─────────────────────────────────┘ ── poll_alert ──────────▶ who is to look now
//!
//!   JSON lines ──▶ Log ── replay(start, machine) ──▶ the same inputs at the same times ──▶ another Log: divergence
//! ```
//!
//! A journal stands beside the machines and is fed with what they tell; it never feeds them. What it keeps:
//!
//! | kind | what |
//! |---|---|
//! | `transition` | a change of state of any machine: [`Change`] |
//! | `refused` | a change of a transport that none can make, and that was not made |
//! | `alert` | a state has lasted too long: [`Alarm`] |
//! | `drift` | recovery and the native connection disagree |
//! | `stats` | a sample of the path, and recovery's state when it was taken |
//! | `ended` | the session is over, and why |
//! | `ignored` | a trigger that recovery's table ignores; in [`Detail::Debug`] only |
//! | `input` | what was given to the machine; in [`Detail::Debug`] only. From these a session can be [replayed](Log::replay) |
//!
//! Every entry bears the session's [`CorrelationId`], a number that rises by one, and the time since the journal began. A gap in the
//! numbers is what was dropped.
//!
//! | state | alert when it lasts longer than |
//! |---|---|
//! | recovery is connecting | [`Config::connecting`] |
//! | recovery is disconnected | [`Config::disconnected`] |
//! | connectionState is disconnected | [`Config::disconnected`]: recovery has long gone on then, to its restart |
//!
//! Left out: payloads and addresses. An entry says what changed and why, not what was sent; inputs are the caller's to choose.

mod change;
mod config;
mod id;
#[cfg(feature = "serde")]
mod lines;
mod log;
mod record;
#[cfg(feature = "tracing")]
mod trace;
mod watch;

pub use change::{Change, Machine, Parts};
pub use config::{Config, ConfigError, Detail};
pub use id::{CorrelationId, InvalidCorrelationId};
#[cfg(feature = "serde")]
pub use lines::LogError;
pub use log::{Divergence, Incomplete, Log};
pub use record::{Entry, Record};
pub use watch::Alarm;

use crate::{
    clock::{Clock, Time},
    recovery::{State, Trigger},
};
use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use watch::Watches;

/// The journal of one session. `I` is what is given to the machine, if inputs are kept.
///
/// ```
/// use floe::{PeerConnectionState, journal::{Config, CorrelationId, Journal}, recovery::{self, Input, Recovery}};
/// use std::{sync::Arc, time::Instant};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let now = Instant::now();
/// let mut recovery = Recovery::new(now, Arc::new(recovery::Config::default()))?;
/// let mut journal = Journal::new(now, CorrelationId::new(0x5eed), Arc::new(Config::default()))?;
/// for input in [Input::OfferReceived, Input::ConnectionState(PeerConnectionState::Connected)] {
///     journal.input(now, input);
///     recovery.handle(now, input);
///     while let Some(event) = recovery.poll_event() {
///         journal.record(event.at(), event);
///     }
///     journal.handle_timeout(now);
/// }
/// let told: Vec<String> = journal.entries().map(|entry| entry.to_string()).collect();
/// assert_eq!(told[1], "0.000 recovery: connecting → connected, ICE_CONNECTED, the connection is connected");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Journal<I = ()> {
    config: Arc<Config>,
    clock: Clock,
    id: CorrelationId,
    /// Recovery was closed before: whatever begins now is another life.
    closed: bool,
    kept: VecDeque<Kept<I>>,
    /// How many entries there were before the first that is kept, and how many of those nobody took.
    taken: u64,
    dropped: u64,
    watches: Watches,
}

/// An entry as it is kept. Its number follows from its place.
#[derive(Clone, Debug)]
struct Kept<I> {
    at: Time,
    id: CorrelationId,
    record: Record<I>,
}

impl<I> Journal<I> {
    /// A journal that begins at `now`.
    ///
    /// # Errors
    /// If a value of `config` is out of its range.
    pub fn new(now: Instant, id: CorrelationId, config: Arc<Config>) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            watches: Watches::new(&config),
            config,
            clock: Clock::starting(now),
            id,
            closed: false,
            kept: VecDeque::new(),
            taken: 0,
            dropped: 0,
        })
    }

    /// What is about to be given to the machine, if inputs are kept ([`Detail::Debug`]).
    pub fn input(&mut self, now: Instant, input: I) {
        if self.keeps_inputs() {
            self.keep(now, Record::Input { input });
        }
    }

    /// Whether inputs are kept: for who would copy one for nothing.
    pub(crate) fn keeps_inputs(&self) -> bool {
        self.config.detail == Detail::Debug
    }

    /// What a machine has told: any of their events, or what [`Record::of_peer`] makes of one. `at`: when it happened. An
    /// entry is never dated before the one before it.
    pub fn record(&mut self, at: Instant, record: impl Into<Record<I>>) {
        let record = record.into();
        if let Record::Transition(change) = &record {
            self.heed(at, change);
        }
        let debug = matches!(record, Record::Ignored { .. } | Record::Input { .. });
        if !debug || self.keeps_inputs() {
            self.keep(at, record);
        }
    }

    /// Looks for states that have lasted too long. After the machines have done what is due: they may have left them.
    pub fn handle_timeout(&mut self, now: Instant) {
        let read = self.clock.peek(now);
        self.watches.look(read);
        self.raise();
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.watches.due().map(|due| self.clock.instant(due))
    }

    /// What somebody should look at now. It is an entry, too.
    pub fn poll_alert(&mut self) -> Option<Alarm> {
        self.watches.poll()
    }

    /// The id of what is recorded now.
    #[must_use]
    pub fn id(&self) -> CorrelationId {
        self.id
    }

    /// Everything that is kept, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = Entry<&I>> {
        self.kept
            .iter()
            .zip(self.taken..)
            .map(|(kept, number)| Entry {
                session: kept.id,
                number,
                at: kept.at.since(Time::START),
                record: kept.record.map(|input| input),
            })
    }

    /// Takes the oldest entry: for who writes entries away as they come.
    pub fn poll_entry(&mut self) -> Option<Entry<I>> {
        let Kept { at, id, record } = self.kept.pop_front()?;
        let number = self.taken;
        self.taken += 1;
        Some(Entry {
            session: id,
            number,
            at: at.since(Time::START),
            record,
        })
    }

    /// How many entries gave way to later ones before anybody took them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What is kept, to be looked at or replayed.
    #[must_use]
    pub fn log(&self) -> Log<I>
    where
        I: Clone,
    {
        Log::new(self.entries().map(Entry::cloned).collect())
    }

    /// A change of state may begin or end a wait, or a life.
    fn heed(&mut self, at: Instant, change: &Change) {
        // By its own time: what is recorded late may have been left long before.
        self.watches.heed(self.clock.read(at), change);
        self.raise();
        if let Change::Recovery { from, action, .. } = change {
            if self.closed && *from == State::New {
                self.id = self.id.next();
            }
            self.closed |= *action == Trigger::Close;
        }
    }

    fn raise(&mut self) {
        while let Some((at, alarm)) = self.watches.raised() {
            let after = self.watches.after(alarm);
            self.keep(self.clock.instant(at), Record::Alert { alarm, after });
        }
    }

    fn keep(&mut self, at: Instant, record: Record<I>) {
        if self.kept.len() >= self.config.capacity {
            self.kept.pop_front();
            self.taken += 1;
            self.dropped += 1;
        }
        let kept = Kept {
            at: self.clock.see(at),
            id: self.id,
            record,
        };
        #[cfg(feature = "tracing")]
        trace::emit(kept.id, kept.at.since(Time::START), &kept.record);
        self.kept.push_back(kept);
    }
}

/// Seconds, to the millisecond, as they are printed.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.as_secs(), self.0.subsec_millis())
    }
}
