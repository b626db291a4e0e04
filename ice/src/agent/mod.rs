//! The agent: its fields, the five verbs, and what can be read from it. All else is delegated.

mod commands;
mod outbound;
mod refusal;
mod report;
mod restart;
mod rulings;
mod trickle;
mod unreachable;
mod validation;

pub use commands::{RemoteParameters, Removal};

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_stun::{Class, Message, Method, RouteKey, TransactionIds, is_stun};

use crate::address::{FiveTuple, Transmit};
use crate::config::{Config, MIN_MTU};
use crate::error::DropReason;
use crate::event::Event;
use crate::generation::{Generation, Peer};
use crate::local::LocalCandidates;
use crate::moment::Moment;
use crate::packed::Packed;
use crate::pair::{CandidatePair, Pair, PairId};
use crate::parameters::{LocalParameters, Parameters};
#[cfg(feature = "deterministic")]
use crate::random::Random;
use crate::random::{Label, Source};
use crate::responder::{intact, integrity_drop};
use crate::role::{Initiation, Mode, Role};
use crate::shared::{Moved, Passing, Responses, Shared};
use crate::state::{GatheringState, Reason, State};
use crate::stats::{CandidatePairStats, Counters, Stats};

/// What became of a datagram. Never an error: the network cannot make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// It was ICE's and has been dealt with.
    Handled,
    /// It is not STUN: DTLS, SRTP or something else.
    NotMine,
    /// It had no effect but on a counter. A request without credentials or with the wrong ones may have an error answer besides,
    /// one in a second at most (RFC 8489 §9.1.3).
    Dropped(DropReason),
}

/// An ICE agent for one data stream of one component (RFC 8445), full or lite.
///
/// See the [crate's documentation](crate) for the loop around it.
pub struct Agent {
    shared: Shared,
    /// The newest generation.
    current: Generation,
    /// While a restart is under way and shortly after, the one before.
    previous: Option<Box<Generation>>,
    /// What was reported last: the state, the pair and whether it was nominated.
    state: State,
    selected: Option<PairId>,
    nominated: bool,
    /// The role that the checklists are in.
    role: Option<Role>,
    /// Whether a restart is the reason of the next change of state.
    restarted: Option<Reason>,
    deadline: Option<Moment>,
}

impl std::fmt::Debug for Agent {
    /// Prints no address and no password: what an agent holds does not get into logs by itself (I45). Its pairs and candidates
    /// are there to be asked for.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("mode", &self.shared.mode)
            .field("role", &self.shared.role)
            .field("state", &self.state)
            .field("gathering", &self.shared.gathering)
            .field("restarting", &self.is_restarting())
            .field("pairs", &self.candidate_pairs().count())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent with its randomness from the operating system. Without `local`, credentials are generated.
    ///
    /// # Panics
    ///
    /// When the operating system has no entropy to give.
    pub fn new(
        config: Arc<Config>,
        mode: Mode,
        initiation: Initiation,
        local: Option<LocalParameters>,
    ) -> Self {
        Self::born(Source::Entropy, config, mode, initiation, local)
    }

    /// An agent whose every random number follows from `seed`: for tests, simulation and replay.
    #[cfg(feature = "deterministic")]
    pub fn with_seed(
        seed: [u8; 32],
        config: Arc<Config>,
        mode: Mode,
        initiation: Initiation,
        local: Option<LocalParameters>,
    ) -> Self {
        let seeded = Source::Seeded(Box::new(Random::from_seed(seed)));
        Self::born(seeded, config, mode, initiation, local)
    }

    fn born(
        mut random: Source,
        mut config: Arc<Config>,
        mode: Mode,
        initiation: Initiation,
        local: Option<LocalParameters>,
    ) -> Self {
        let (local, ids, tie_breaker) = random.draw(|random| {
            let fragments = &config.username_fragments;
            let local = local.unwrap_or_else(|| LocalParameters::random(random, fragments));
            let mut ids = [0; 32];
            random.fill(Label::Transactions, &mut ids);
            let ids = TransactionIds::untagged(ids);
            (local, ids, random.next_u64(Label::TieBreaker))
        });
        let timing = config.timing.clone().bounded();
        if timing != config.timing {
            Arc::make_mut(&mut config).timing = timing;
        }
        let shared = Shared {
            config,
            mode,
            initiation,
            role: None,
            tie_breaker,
            random,
            ids,
            tag: 0,
            locals: LocalCandidates::default(),
            gathering: GatheringState::New,
            passing: Passing::default(),
            responses: Responses::default(),
            stats: Counters::default(),
            moved: Moved::Anything,
            last_name: 0,
            last_generation: 0,
        };
        Self {
            shared,
            current: Generation::new(0, local.into_parameters()),
            previous: None,
            state: State::New,
            selected: None,
            nominated: false,
            role: None,
            restarted: None,
            deadline: None,
        }
    }

    /// Takes a datagram that arrived at `path.local` from `path.remote`.
    pub fn handle_datagram(&mut self, now: Instant, path: FiveTuple, datagram: &[u8]) -> Received {
        if !is_stun(datagram) {
            return Received::NotMine;
        }
        black_box(self.glance());
        match Message::parse(datagram) {
            Ok(message) => self.take(now, path, &message),
            Err(_) if self.state == State::Closed => self.drop(DropReason::Closed),
            Err(_) => self.drop(DropReason::Malformed),
        }
    }

    /// [`handle_datagram`](Self::handle_datagram) for who has parsed it already, to find out whose it is.
    pub fn handle_message(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> Received {
        black_box(self.glance());
        self.take(now, path, message)
    }

    fn take(&mut self, now: Instant, path: FiveTuple, message: &Message<'_>) -> Received {
        let now = self.shared.config.clock.moment(now);
        // What time alone has ended by now cannot be revived by what comes after.
        let by_time = match self.is_due(now) {
            true => self.pass_time(now),
            false => Moved::Nothing,
        };
        self.shared.moved = Moved::Anything;
        let canonical;
        let path = match path.is_plain() {
            true => &path,
            false => {
                canonical = path.canonical();
                &canonical
            }
        };
        let result = self.receive(now, path, message);
        let by_message = match (result, self.shared.moved) {
            (Ok(()), Moved::Nothing) if self.role == self.shared.role => Moved::Nothing,
            (Ok(()), Moved::Deadline) if self.is_quiet() => {
                self.await_consent(now);
                Moved::Deadline
            }
            (Ok(()) | Err(DropReason::AsymmetricResponse), _) => {
                self.update(now);
                Moved::Anything
            }
            (Err(_), _) => Moved::Nothing,
        };
        self.shared.moved = by_time.max(by_message);
        match result {
            Ok(()) => Received::Handled,
            Err(reason) => self.drop(reason),
        }
    }

    /// What the latest message, or [`handle_timeout`](Self::handle_timeout) after it, has moved: for who looks at an agent after each, and
    /// has nothing to look at after most.
    #[inline]
    pub fn moved(&self) -> Moved {
        self.shared.moved
    }

    fn is_due(&self, now: Moment) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// The path of the selected pair, for who keeps it too.
    #[doc(hidden)]
    pub fn packed_path(&self) -> Option<&Packed> {
        let pair = self.current.selected_pair()?;
        Some(&pair.path)
    }

    /// Reads a byte of each cache line that a check on the path in use, and the answer to it, will need: of places that are no further
    /// apart than a line is long. What is read depends on nothing but where this agent is, so that of many agents, none of which is in
    /// the cache when its turn comes, all comes at once; and while memory is waited for, there are other things to do.
    #[doc(hidden)]
    #[inline]
    pub fn glance(&self) -> u8 {
        let (shared, current) = (&self.shared, &self.current);
        let bytes = [
            current.checklist.pairs.in_place().map_or(0, Pair::glance),
            u8::from(current.local.are_in_place()),
            current.budget.glance(),
            current.peer.as_ref().map_or(0, Peer::glance),
            (current.selected.as_ref()).map_or(0, |selected| selected.consent.glance()),
            u8::from(current.paths.are_in_place()),
            u8::from(current.local_key.is_sha1_only()),
            shared.stats.glance(),
            shared.responses.glance(),
            shared.tie_breaker as u8,
            shared.tag as u8,
            u8::from(self.deadline.is_some()),
            self.state as u8,
        ];
        bytes.into_iter().fold(0, |all, byte| all ^ byte)
    }

    fn drop(&mut self, reason: DropReason) -> Received {
        self.shared.stats.count(reason);
        Received::Dropped(reason)
    }

    /// Cheap tests first, the MAC before anything has an effect. `path` is canonical.
    #[inline]
    fn receive(
        &mut self,
        now: Moment,
        path: &FiveTuple,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        if self.state == State::Closed {
            return Err(DropReason::Closed);
        }
        if message.as_bytes().len() > self.shared.config.max_message
            && message.dtls_in_stun().is_none()
        {
            return Err(DropReason::TooLong);
        }
        if message.method() != Method::BINDING {
            return Err(DropReason::UnknownMethod);
        }
        match message.class() {
            Class::Request => self
                .receive_request(now, path, message)
                .inspect_err(|reason| self.answer_unproven(now, path, message, *reason)),
            // A keepalive: it opens what it opens on its way, and means nothing here (RFC 8445 §11).
            Class::Indication => {
                intact(message.fingerprint())?;
                self.shared.moved = Moved::Nothing;
                Ok(())
            }
            Class::SuccessResponse | Class::ErrorResponse => {
                self.receive_response(now, path, message)
            }
        }
    }

    #[inline]
    fn receive_request(
        &mut self,
        now: Moment,
        path: &FiveTuple,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let username = message.username().ok_or(DropReason::MissingUsername)?;
        let (shared, named) = self.split_by_what(|g| g.local.sender_in(username));
        let (generation, theirs) = named.ok_or(DropReason::UnknownUsername)?;
        // Where it was heard it has passed, and what the budgets do not hold up does not use them up either.
        let stranger = !generation.has_heard(shared, path);
        if stranger && !shared.config.addresses.allows(path.remote) {
            return Err(DropReason::RefusedAddress);
        }
        if stranger && !generation.budget.allows(now, path.remote) {
            return Err(DropReason::IntegrityBudget);
        }
        let (key, local) = (&mut generation.local_key, &generation.local);
        let request = match message.verify_or_learn(key, || local.password().as_bytes()) {
            Ok(request) => request,
            Err(error) => {
                if stranger {
                    generation.budget.spend(now, path.remote);
                }
                return Err(integrity_drop(error));
            }
        };
        intact(request.fingerprint())?;
        generation.on_request(shared, now, path, &request, theirs)
    }

    #[inline]
    fn receive_response(
        &mut self,
        now: Moment,
        path: &FiveTuple,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let (shared, generation) = self.split_by(|generation| generation.is_mine(message));
        generation
            .ok_or(DropReason::UnknownTransaction)?
            .on_response(shared, now, path, message)
    }

    /// The generation that something belongs to, beside what all generations share.
    #[inline]
    fn split_by(
        &mut self,
        wanted: impl Fn(&Generation) -> bool,
    ) -> (&mut Shared, Option<&mut Generation>) {
        let (shared, found) = self.split_by_what(|generation| wanted(generation).then_some(()));
        (shared, found.map(|(generation, ())| generation))
    }

    /// The same, with what shows that it does.
    #[inline]
    fn split_by_what<T>(
        &mut self,
        find: impl Fn(&Generation) -> Option<T>,
    ) -> (&mut Shared, Option<(&mut Generation, T)>) {
        let Self {
            shared,
            current,
            previous,
            ..
        } = self;
        let found = match find(current) {
            Some(found) => Some((current, found)),
            None => previous.as_deref_mut().and_then(|older| {
                let found = find(older)?;
                Some((older, found))
            }),
        };
        (shared, found)
    }

    /// Time has passed. Calls before [`poll_timeout`](Self::poll_timeout)'s instant do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        black_box(self.glance());
        let now = self.shared.config.clock.moment(now);
        self.shared.moved = match self.is_due(now) {
            true => self.pass_time(now),
            false => Moved::Nothing,
        };
    }

    /// Writes the next datagram into `buf`.
    ///
    /// # Panics
    ///
    /// When `buf` is shorter than [`Config::mtu`] (or than 640 bytes): the caller's bug, seen on the first call.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        assert!(
            buf.len() >= self.shared.config.mtu.max(MIN_MTU),
            "the buffer holds Config::mtu bytes"
        );
        self.write_next(buf)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shared.passing.pop_event()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do. Pure, and valid from birth.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.shared.config.clock.instant(self.deadline?)
    }

    /// The state, of W3C's seven.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// What it was made with; with other timers since [`set_timing`](Self::set_timing).
    pub fn config(&self) -> &Arc<Config> {
        &self.shared.config
    }

    /// Whether local candidates are still to come.
    pub fn gathering_state(&self) -> GatheringState {
        self.shared.gathering
    }

    /// Our role; `None` until the peer's parameters are known.
    pub fn role(&self) -> Option<Role> {
        self.shared.role
    }

    /// What its transaction ids carry, and under which key, since [`set_route`](Self::set_route).
    pub fn route(&self) -> Option<(&Arc<RouteKey>, u32)> {
        Some((self.shared.ids.route()?, self.shared.tag))
    }

    /// Full or lite.
    #[inline]
    pub fn mode(&self) -> Mode {
        self.shared.mode
    }

    /// What our `ice-options` say (RFC 8839 §5.6): RFC 8838, whose candidates a lite agent takes as well; RFC 8445; and
    /// draft-thatcher-ice-renomination, because there are peers that send NOMINATION only to who says so, and every preset
    /// follows it, full or lite. Whether we send it when controlling is the policy's choice
    /// ([`counts_nominations`](crate::nomination::Policy::counts_nominations)), not the peer's options': who does not know the
    /// attribute passes it over.
    pub fn ice_options(&self) -> &'static [&'static str] {
        &["trickle", "ice2", "renomination"]
    }

    /// What our `ice-pacing` says (RFC 8839 §5.5): Ta, in whole milliseconds. `None` for a lite agent, which sends no
    /// checks.
    pub fn ice_pacing(&self) -> Option<Duration> {
        let ours = self.shared.config.timing.pacing_with(None).as_micros();
        let milliseconds = u64::try_from(ours.div_ceil(1000)).unwrap_or(u64::MAX);
        (self.mode() == Mode::Full).then_some(Duration::from_millis(milliseconds))
    }

    /// The newest generation's credentials: what is to be signalled.
    pub fn local_parameters(&self) -> &Parameters {
        &self.current.local
    }

    /// The username fragments that requests may name: of every live generation, the newest first.
    pub fn local_username_fragments(&self) -> impl Iterator<Item = &str> {
        self.generations()
            .map(|generation| generation.local.username_fragment())
    }

    /// Whether a USERNAME is one of ours and somebody else's (RFC 8445 §7.2.2).
    #[inline]
    pub fn is_named_in(&self, username: &[u8]) -> bool {
        self.is_any(|generation| generation.local.sender_in(username).is_some())
    }

    /// Whether requests may name it: it is among [`local_username_fragments`](Self::local_username_fragments).
    #[inline]
    pub fn is_called(&self, username_fragment: &[u8]) -> bool {
        self.is_any(|generation| generation.local.has_fragment(username_fragment))
    }

    /// Another number, never 0, whenever [`local_username_fragments`](Self::local_username_fragments) are others: for who keeps
    /// them in a table and asks often.
    pub fn username_fragments_version(&self) -> u32 {
        // While one generation is the current one, its predecessor goes once and none takes its place.
        2 * u32::from(self.current.serial) + 1 + u32::from(self.previous.is_some())
    }

    /// Our candidates, peer-reflexive ones included.
    pub fn local_candidates(&self) -> impl Iterator<Item = &crate::Candidate> {
        self.shared.locals.iter().map(|local| &local.candidate)
    }

    /// The pair in use. Nominated, or the best that works until one is (`nominated` says which).
    pub fn selected_candidate_pair(&self) -> Option<CandidatePair> {
        self.in_use().and_then(Generation::selected_view)
    }

    /// Where to send: the selected path while the peer consents (RFC 7675). `None`: send nothing. For a lite agent see
    /// [`awaits_proof`](Self::awaits_proof) besides.
    pub fn send_path(&self) -> Option<FiveTuple> {
        self.in_use()?.selected_pair().map(Pair::path)
    }

    /// Where a DTLS handshake may go: a pair that works, nominated or not. A lite agent, which knows of none before it
    /// is nominated, answers where the latest authenticated request came from.
    pub fn usable_path(&self) -> Option<FiveTuple> {
        if self.state == State::Closed {
            return None;
        }
        let heard = || {
            (self.mode() == Mode::Lite && self.current.failed.is_none())
                .then(|| self.current.paths.latest())
                .flatten()
        };
        self.send_path().or_else(heard)
    }

    /// Whether datagrams from there may be the peer's: an authenticated request or an answer came that way, in a
    /// generation that is live.
    pub fn accepts_from(&self, path: &FiveTuple) -> bool {
        let shared = &self.shared;
        let heard = |path| self.is_any(|generation| generation.paths.contains(path));
        let hears = |path| self.is_any(|generation| generation.hears(shared, path));
        // As it is kept, and only then as it may be spelt: media asks for each packet.
        self.state != State::Closed && (heard(path) || hears(&shared.canonical(*path)))
    }

    /// Whether an own check was answered from there, or the owner has said as much
    /// ([`set_path_validated`](Self::set_path_validated)).
    pub fn is_proven(&self, path: &FiveTuple) -> bool {
        let path = self.shared.canonical(*path);
        self.state != State::Closed
            && self
                .generations()
                .any(|generation| generation.has_proven(&self.shared, &path))
    }

    /// The path as pairs have it, from the base that its local address stands for (I66): for who keeps accounts by path.
    #[doc(hidden)]
    pub fn path_of_base(&self, path: FiveTuple) -> FiveTuple {
        self.shared.canonical(path)
    }

    /// How long ago the peer last proved its consent on the selected pair.
    pub fn consent_age(&self, now: Instant) -> Option<Duration> {
        let selected = self.in_use()?.selected.as_ref()?;
        let now = self.shared.config.clock.read(now);
        Some(now.saturating_duration_since(selected.consent.fresh()))
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        self.shared.stats.report()
    }

    /// The pairs of every live generation, the newest generation's first.
    pub fn candidate_pairs(&self) -> impl Iterator<Item = CandidatePairStats> {
        self.generations().flat_map(report::pair_stats)
    }

    /// Whether it is so of one of the [generations](Self::generations), for who asks for each datagram.
    #[inline]
    fn is_any(&self, is_so: impl Fn(&Generation) -> bool) -> bool {
        is_so(&self.current) || self.previous.as_deref().is_some_and(is_so)
    }

    #[inline]
    pub(crate) fn generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.current).chain(self.previous.as_deref())
    }

    /// The generation that carries the traffic: the newest whose pair is nominated; before any is, the oldest whose pair
    /// works.
    fn in_use(&self) -> Option<&Generation> {
        if self.state == State::Closed {
            return None;
        }
        let confirmed = |g: &&Generation| {
            g.selected
                .as_ref()
                .is_some_and(|selected| selected.nominated)
        };
        let working = |g: &&Generation| g.selected.is_some();
        self.generations()
            .find(confirmed)
            .or_else(|| self.generations().filter(working).last())
    }
}
