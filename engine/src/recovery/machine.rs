//! The machine around the reducer: inputs, timers, actions.

use super::{
    Action, Cause, Config, ConfigError, Drift, Event, Input, Restarts, State, StatsSample,
    Transition, Trigger, agree, event::Queue, reduce, translate, translator::Native,
};
use crate::{
    IceConnectionState, Life, PeerConnectionState, PeerEvent,
    clock::{Clock, Time},
};
use std::{
    mem::take,
    sync::Arc,
    time::{Duration, Instant},
};

/// The recovery of one session. See the [module](super) for what it does.
///
/// ```
/// use floe::{PeerConnectionState, recovery::{Action, Config, Recovery, State}};
/// use std::{sync::Arc, time::{Duration, Instant}};
///
/// # fn main() -> Result<(), floe::recovery::ConfigError> {
/// let mut now = Instant::now();
/// let mut recovery = Recovery::new(now, Arc::new(Config::default()))?;
/// recovery.offer_received(now);
/// recovery.handle_connection_state(now, PeerConnectionState::Connected);
/// assert_eq!(recovery.state(), State::Connected);
///
/// recovery.handle_connection_state(now, PeerConnectionState::Disconnected);
/// while let Some(due) = recovery.poll_timeout() {
///     now = due; // a real loop sleeps until then
///     recovery.handle_timeout(now);
///     match recovery.poll_action() {
///         Some(Action::RestartIce { cause }) => {
///             println!("offering an ICE restart: {cause}");
///             recovery.restart_offered(now); // once it has left
///             break;
///         }
///         Some(Action::PollStats) => {} // `recovery.handle_stats(now, …)`
///         _ => {}
///     }
/// }
/// assert_eq!(recovery.state(), State::Connecting);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Recovery {
    pub(super) config: Arc<Config>,
    pub(super) clock: Clock,
    /// When the state, or its phase, is over.
    pub(super) deadline: Option<Time>,
    /// When statistics are asked for next.
    pub(super) stats: Option<Time>,
    /// Since when the native connection is disconnected or worse.
    pub(super) down: Option<Time>,
    pub(super) events: Queue,
    pub(super) life: Life,
    pub(super) state: State,
    pub(super) phase: Phase,
    pub(super) native: Native,
    /// What the native connection was when ICE restarted, until it is anything else.
    pub(super) restarted_from: Option<PeerConnectionState>,
    /// The drift that was warned of last, while it lasts.
    pub(super) warned: Option<(State, PeerConnectionState)>,
    /// Automatic restarts since it was last connected.
    pub(super) restarts: u8,
    pub(super) wanted: Wanted,
}

/// What is awaited within a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Phase {
    /// Only what the state itself awaits.
    Plain,
    /// Connected, and the native connection disconnected: a blip, until the grace time is over.
    Grace,
    /// Connected, and the native connection connecting or new: a transport joins, until the connect timeout is over.
    Joining,
    /// Connecting, and the offer that restarts ICE has not left.
    OfferDue,
}

/// The actions that nobody has taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Wanted {
    pub(super) restart: Option<Cause>,
    pub(super) escalation: bool,
    pub(super) stats: bool,
}

/// What to tell the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presentation {
    /// Nothing was begun, or it is over.
    Idle,
    /// On the way, for the first time.
    Connecting,
    /// All is well.
    Connected,
    /// The path was lost lately, and is being mended: nothing to worry about.
    Reconnecting,
    /// It failed, or is lost for longer than [`Config::error_after`].
    Error,
}

impl Recovery {
    /// A recovery in state `new`.
    ///
    /// # Errors
    /// If a value of `config` is out of its range.
    pub fn new(now: Instant, config: Arc<Config>) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            config,
            clock: Clock::starting(now),
            deadline: None,
            stats: None,
            down: None,
            events: Queue::default(),
            life: Life::Open,
            state: State::New,
            phase: Phase::Plain,
            native: Native::UNKNOWN,
            restarted_from: None,
            warned: None,
            restarts: 0,
            wanted: Wanted::default(),
        })
    }

    /// Takes whatever happens. The methods below are short for it, each for one [`Input`].
    ///
    /// What was due before `now` happens first, at its time. A `now` earlier than one seen before is taken for that one.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let now = self.clock.see(now);
        if self.life == Life::Closed {
            if input == Input::Reopen {
                self.life = Life::Open;
            }
            return;
        }
        self.run_until(now);
        self.apply(now, input);
        self.check(now);
    }

    /// This side's offer has left.
    pub fn offer_sent(&mut self, now: Instant) {
        self.handle(now, Input::OfferSent);
    }

    /// The peer's offer has come.
    pub fn offer_received(&mut self, now: Instant) {
        self.handle(now, Input::OfferReceived);
    }

    /// The offer that [`Action::RestartIce`] asked for has left: from here on the connect timeout runs.
    pub fn restart_offered(&mut self, now: Instant) {
        self.handle(now, Input::RestartOffered);
    }

    /// The peer has restarted ICE. What was disconnected or failed is connecting again, and no offer of this side's is needed.
    pub fn peer_restarted(&mut self, now: Instant) {
        self.handle(now, Input::PeerRestarted);
    }

    /// The native connectionState changed.
    pub fn handle_connection_state(&mut self, now: Instant, state: PeerConnectionState) {
        self.handle(now, Input::ConnectionState(state));
    }

    /// The native iceConnectionState changed. Feed it too, or alone, where connectionState comes late or not at all.
    pub fn handle_ice_connection_state(&mut self, now: Instant, state: IceConnectionState) {
        self.handle(now, Input::IceConnectionState(state));
    }

    /// Takes whatever a [`PeerConnection`](crate::PeerConnection) tells. Only its two connection states matter; candidates and
    /// gathering move nothing.
    pub fn handle_peer_event(&mut self, now: Instant, event: &PeerEvent) {
        match event {
            PeerEvent::ConnectionStateChange(change) => {
                self.handle_connection_state(now, change.to);
            }
            PeerEvent::IceConnectionStateChange(change) => {
                self.handle_ice_connection_state(now, change.to);
            }
            _ => {}
        }
    }

    /// The page, or the machine, is back from the background: one ICE restart, at once, whatever the native connection says.
    /// Nothing in `new`, and in `connecting`, where a path is sought already.
    pub fn resume(&mut self, now: Instant) {
        self.handle(now, Input::Resumed);
    }

    /// This side's network changed: as [`resume`](Self::resume). Also for who has added a relay after
    /// [`Action::Escalate`].
    pub fn network_changed(&mut self, now: Instant) {
        self.handle(now, Input::NetworkChanged);
    }

    /// The statistics that [`Action::PollStats`] asked for.
    pub fn handle_stats(&mut self, now: Instant, sample: StatsSample) {
        self.handle(now, Input::Stats(sample));
    }

    /// Ends the session. Nothing comes out any more but the record of it, until [`reopen`](Self::reopen).
    pub fn close(&mut self, now: Instant) {
        self.handle(now, Input::Close);
    }

    /// A fresh connection takes the place of the closed one. Nothing unless it is closed.
    pub fn reopen(&mut self, now: Instant) {
        self.handle(now, Input::Reopen);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle(now, Input::Timeout);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due().map(|due| self.clock.instant(due))
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        let wanted = &mut self.wanted;
        if let Some(cause) = wanted.restart.take() {
            return Some(Action::RestartIce { cause });
        }
        if take(&mut wanted.escalation) {
            return Some(Action::Escalate);
        }
        take(&mut wanted.stats).then_some(Action::PollStats)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Whether the offer of a restart is awaited: it has not left yet.
    #[must_use]
    pub fn is_offer_due(&self) -> bool {
        self.phase == Phase::OfferDue
    }

    /// `now`, or the latest time seen if that is later. Nothing is done for it.
    pub(crate) fn see(&mut self, now: Instant) -> Instant {
        let seen = self.clock.see(now);
        self.clock.instant(seen)
    }

    /// The latest time seen.
    pub(crate) fn now(&self) -> Instant {
        self.clock.instant(self.clock.latest())
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What the native connection last was, by both of its reports.
    #[must_use]
    pub fn native(&self) -> PeerConnectionState {
        self.native.state
    }

    /// Whether recovery and the native connection agree at `now`, or have a reason not to. If not, [`Event::Drift`] tells; the
    /// same check is made after each input.
    pub fn agrees(&mut self, now: Instant) -> bool {
        self.handle(now, Input::Timeout);
        self.warned.is_none()
    }

    /// What to tell the user at `now`.
    #[must_use]
    pub fn presentation(&self, now: Instant) -> Presentation {
        let now = self.clock.peek(now);
        let failed =
            self.state == State::Failed || self.native.state == PeerConnectionState::Failed;
        match (self.state, self.down) {
            (State::New, _) => Presentation::Idle,
            _ if failed => Presentation::Error,
            (_, Some(down)) if now.since(down) > self.config.error_after => Presentation::Error,
            (State::Connected, _) => Presentation::Connected,
            (State::Connecting, None) if self.restarts == 0 => Presentation::Connecting,
            _ => Presentation::Reconnecting,
        }
    }

    fn apply(&mut self, now: Time, input: Input) {
        match input {
            Input::OfferSent => self.dispatch(Trigger::OfferSent, Cause::OfferSent, now),
            Input::OfferReceived => {
                self.dispatch(Trigger::OfferReceived, Cause::OfferReceived, now);
            }
            Input::RestartOffered if self.phase == Phase::OfferDue => self.await_path(now),
            Input::PeerRestarted => self.follow_restart(now),
            Input::ConnectionState(state) => {
                if self.native.connection(state) {
                    self.heed_native(now);
                }
            }
            Input::IceConnectionState(state) => {
                if self.native.ice(state) {
                    self.heed_native(now);
                }
            }
            Input::Resumed => self.force_restart(Cause::Resumed, now),
            Input::NetworkChanged => self.force_restart(Cause::NetworkChanged, now),
            Input::Stats(sample) => self.events.push(Event::Stats {
                state: self.state,
                sample,
                at: self.clock.instant(now),
            }),
            Input::Close => self.end(Cause::Closed, now),
            Input::RestartOffered | Input::Reopen | Input::Timeout => {}
        }
    }

    /// The native connection is something else.
    fn heed_native(&mut self, now: Time) {
        use PeerConnectionState as Peer;
        self.restarted_from = None;
        match self.native.state {
            Peer::Connected => self.down = None,
            Peer::Disconnected | Peer::Failed => self.down = self.down.or(Some(now)),
            _ => {}
        }
        match (self.state, self.native.state) {
            (_, Peer::Closed) => self.end(Cause::NativeClosed, now),
            (State::Connected, native) => self.heed_while_connected(native, now),
            (State::Disconnected, Peer::Failed) => self.give_up(Cause::NativeFailed, now),
            (_, native) => self.heed_report(native, now),
        }
    }

    /// By the table, and no more.
    fn heed_report(&mut self, native: PeerConnectionState, now: Time) {
        let (Some(trigger), Some(cause)) = (translate(native), Cause::of(native)) else {
            return;
        };
        let before = self.state;
        self.dispatch(trigger, cause, now);
        if before != State::Failed && self.state == State::Failed {
            self.recover(cause, now);
        }
    }

    fn heed_while_connected(&mut self, native: PeerConnectionState, now: Time) {
        use PeerConnectionState as Peer;
        match (native, self.phase) {
            (Peer::Failed, _) => {
                self.dispatch(Trigger::TransportFlap, Cause::NativeFailed, now);
                self.give_up(Cause::NativeFailed, now);
            }
            // Checking is not yet recovering: the blip goes on.
            (Peer::Disconnected | Peer::Connecting | Peer::New, Phase::Grace) => {}
            (Peer::Disconnected, _) => self.pause(Phase::Grace, now.after(self.config.grace)),
            (Peer::Connecting | Peer::New, Phase::Joining) => {}
            (Peer::Connecting | Peer::New, _) => {
                self.pause(Phase::Joining, now.after(self.config.connect_timeout));
            }
            (Peer::Connected | Peer::Closed, _) => {
                self.phase = Phase::Plain;
                self.deadline = None;
            }
        }
    }

    fn pause(&mut self, phase: Phase, until: Time) {
        self.phase = phase;
        self.deadline = Some(until);
    }

    /// One restart, now.
    fn force_restart(&mut self, cause: Cause, now: Time) {
        match (self.state, self.phase) {
            (State::New | State::Connecting, _) => return,
            (State::Connected, Phase::Grace) => {
                self.dispatch(Trigger::TransportFlap, cause, now);
                self.dispatch(Trigger::RestartTimeout, cause, now);
            }
            (State::Disconnected, _) => self.dispatch(Trigger::RestartTimeout, cause, now),
            (State::Connected | State::Failed, _) => {}
        }
        self.restarts = 0;
        self.wanted.escalation = false;
        match self.state {
            State::Failed => self.restart(cause, now),
            _ => self.wanted.restart = Some(cause),
        }
    }

    /// The peer's restart is as good as one's own.
    fn follow_restart(&mut self, now: Time) {
        if self.state == State::Disconnected {
            self.dispatch(Trigger::RestartTimeout, Cause::PeerRestarted, now);
        }
        if self.state == State::Failed {
            self.leave_failed(Cause::PeerRestarted, now);
        }
        if self.phase == Phase::OfferDue {
            self.await_path(now);
        }
        self.wanted.restart = None;
        self.wanted.escalation = false;
    }

    /// Disconnected, and not to wait any longer.
    fn give_up(&mut self, cause: Cause, now: Time) {
        self.dispatch(Trigger::RestartTimeout, cause, now);
        self.recover(cause, now);
    }

    /// Failed, and what is done about it.
    fn recover(&mut self, cause: Cause, now: Time) {
        match self.config.restarts {
            Restarts::Elsewhere => {}
            Restarts::Automatic if self.restarts < self.config.max_restarts => {
                self.restart(cause, now);
            }
            Restarts::Automatic => {
                self.wanted.restart = None;
                self.wanted.escalation = true;
            }
        }
    }

    fn restart(&mut self, cause: Cause, now: Time) {
        self.restarts += 1;
        self.wanted.restart = Some(cause);
        self.leave_failed(cause, now);
    }

    fn leave_failed(&mut self, cause: Cause, now: Time) {
        self.dispatch(Trigger::IceRestart, cause, now);
        if self.state != State::Connecting {
            return;
        }
        self.restarted_from = Some(self.native.state);
        let patience = self
            .config
            .offer_wait
            .saturating_add(self.config.connect_timeout);
        self.pause(Phase::OfferDue, now.after(patience));
    }

    /// The offer has left.
    fn await_path(&mut self, now: Time) {
        self.pause(Phase::Plain, now.after(self.config.connect_timeout));
    }

    /// Back to the beginning, from everywhere.
    fn end(&mut self, cause: Cause, now: Time) {
        if self.state != State::New {
            self.enter(State::New, Trigger::Close, cause, now);
        }
        self.life = Life::Closed;
        self.down = None;
        self.native = Native::UNKNOWN;
        self.restarts = 0;
        self.wanted = Wanted::default();
    }

    /// Runs one trigger through the reducer.
    fn dispatch(&mut self, trigger: Trigger, cause: Cause, now: Time) {
        let to = reduce(self.state, trigger);
        if to != self.state {
            self.enter(to, trigger, cause, now);
        } else {
            self.events.push(Event::Ignored {
                state: self.state,
                trigger,
                at: self.clock.instant(now),
            });
        }
    }

    fn enter(&mut self, to: State, trigger: Trigger, cause: Cause, now: Time) {
        self.events.push(Event::Transition(Transition {
            from: self.state,
            to,
            trigger,
            cause,
            at: self.clock.instant(now),
            coalesced: false,
        }));
        self.state = to;
        self.phase = Phase::Plain;
        self.restarted_from = None;
        self.wanted.stats = false;
        self.deadline = match to {
            State::Connecting => Some(now.after(self.config.connect_timeout)),
            State::Disconnected => Some(now.after(self.config.restart_window)),
            State::New | State::Connected | State::Failed => None,
        };
        self.stats = self.deadline.map(|_| now.after(self.config.stats_interval));
        match to {
            State::Connected => self.restarts = 0,
            // The path is there already: no report will come of it.
            State::Connecting if self.native.state == PeerConnectionState::Connected => {
                self.dispatch(Trigger::IceConnected, Cause::NativeConnected, now);
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<Time> {
        [self.deadline, self.stats].into_iter().flatten().min()
    }

    /// Whatever is due by `now`, each at its time.
    fn run_until(&mut self, now: Time) {
        while let Some(due) = self.due().filter(|due| *due <= now) {
            if self.deadline == Some(due) {
                self.expire(due);
                self.check(due);
            } else {
                self.ask_for_stats(due, now);
            }
        }
    }

    fn expire(&mut self, now: Time) {
        self.deadline = None;
        match (self.state, self.phase) {
            (State::Connected, Phase::Grace) => {
                self.dispatch(Trigger::TransportFlap, Cause::GracePassed, now);
            }
            (State::Disconnected, _) => self.give_up(Cause::WindowPassed, now),
            (State::Connecting, _) => {
                self.dispatch(Trigger::Error, Cause::ConnectTimedOut, now);
                self.recover(Cause::ConnectTimedOut, now);
            }
            _ => self.phase = Phase::Plain,
        }
    }

    /// Asks once, however many times it was due.
    fn ask_for_stats(&mut self, due: Time, now: Time) {
        self.wanted.stats = true;
        let interval = self.config.stats_interval.as_nanos();
        let missed = now.since(due).as_nanos() / interval;
        let step = u64::try_from(interval * (missed + 1)).unwrap_or(u64::MAX);
        self.stats = Some(due.after(Duration::from_nanos(step)));
    }

    fn check(&mut self, now: Time) {
        let (fsm, native) = (self.state, self.native.state);
        let excused = match (fsm, self.phase) {
            (_, Phase::Grace | Phase::Joining) => true,
            // New pairs are being checked; the restart window bounds that.
            (State::Disconnected, _) => native == PeerConnectionState::Connecting,
            _ => self.restarted_from == Some(native),
        };
        if excused || agree(fsm, native) {
            self.warned = None;
        } else if self.warned.replace((fsm, native)) != Some((fsm, native)) {
            let at = self.clock.instant(now);
            self.events.push(Event::Drift(Drift { fsm, native, at }));
        }
    }
}

const _: () = assert!(size_of::<Recovery>() <= 80);
