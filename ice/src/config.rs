//! What the caller can choose, with the defaults and their sources.

use std::sync::Arc;
use std::time::Duration;

use crate::filter::AddressFilter;
use crate::moment::Clock;
use crate::nomination;
use crate::pacer::Pacer;
use crate::routable::RoutableUfrag;
use crate::timing::Timing;

/// Between two probes of the agents of one [`Config`].
const PROBE_INTERVAL: Duration = Duration::from_millis(1);
/// How much later than now the slot of a probe may be that leaves now.
pub(crate) const PROBE_BURST: Duration = Duration::from_secs(1);

/// Everything about an agent that does not change while it lives. Shared between agents as `Arc<Config>`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The timers an agent starts with; [`Agent::set_timing`](crate::Agent::set_timing) changes them later.
    pub timing: Timing,
    /// Which pair to nominate, which nomination to follow, what to keep beside it. Default:
    /// [`Regular`](nomination::Regular).
    pub nomination: Arc<dyn nomination::Policy>,
    /// Whether pairs start frozen and are released by foundation (RFC 8445 §6.1.2.6). Default: no, because with BUNDLE
    /// there is one checklist of one component and freezing can only delay it.
    pub freezing: Freezing,
    /// When remote candidates of a generation stop being accepted. Default: at its end-of-candidates.
    pub trickle: Trickle,
    /// A pace shared with other agents, for ordinary checks, beside each agent's own Ta. Default: none.
    pub pacer: Option<Arc<Pacer>>,
    /// A pace shared with other agents, for probes: the consent checks that follow an unanswered one sooner than consent itself
    /// asks for (`Timing::rto`, [`Timing::disconnected_probe`]). When very many paths fall silent at once it is rather this
    /// machine that is late, and ten times as many checks would keep it so; what finds no slot waits for its regular time, and
    /// counts as missed then. Slots for a second may go at once. Default: one each millisecond, among the agents of this
    /// `Config` and of its clones; endpoints that are shards have such a pace each, so that no thread waits for another.
    /// `None`: each agent probes as if it were alone.
    pub probes: Option<Arc<Pacer>>,
    /// Which remote addresses are used. Default: all but loopback, link-local and metadata addresses.
    pub addresses: AddressFilter,
    /// Whether a lite agent follows a nomination to another path only after an own check was answered there, and keeps the
    /// old path until then: an authenticated peer could otherwise turn the traffic on somebody else. Default: yes.
    pub validate_paths: Validation,
    /// What the username fragments are that the agent makes up, at its birth and at each restart. Default: random.
    pub username_fragments: UsernameFragments,
    /// The size in bytes that the caller promises for the buffer of `poll_transmit`. Default: 1200, at least 640.
    pub mtu: usize,
    /// The longest STUN message, in bytes, that is worth a MAC. Default: 600.
    pub max_message: usize,
    /// The most pairs of a checklist (RFC 8445 §6.1.2.5). While nothing works, those that found no room come up in the places of
    /// pairs that failed or do not answer. Default: 100.
    pub max_pairs: usize,
    /// The most signalled remote candidates of a generation, those included that were heard before. Default: 64.
    pub max_remote_candidates: usize,
    /// The most local candidates that are added, and as many peer-reflexive ones besides. Default: 64.
    pub max_local_candidates: usize,
    /// The most peer-reflexive remote candidates that have not answered; with 0 none is taken. Default: 8.
    pub max_peer_reflexive: usize,
    /// What the moments of all its agents count from.
    pub(crate) clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            nomination: Arc::new(nomination::Regular),
            freezing: Freezing::Off,
            trickle: Trickle::UntilEndOfCandidates,
            pacer: None,
            probes: Some(Arc::new(Pacer::new(PROBE_INTERVAL))),
            addresses: AddressFilter::default(),
            validate_paths: Validation::OwnCheck,
            username_fragments: UsernameFragments::Random,
            mtu: 1200,
            max_message: 600,
            max_pairs: 100,
            max_remote_candidates: 64,
            max_local_candidates: 64,
            max_peer_reflexive: 8,
            clock: Clock::default(),
        }
    }
}

impl Config {
    /// The defaults with other timers.
    pub fn with_timing(timing: Timing) -> Self {
        Self {
            timing,
            ..Self::default()
        }
    }
}

/// Whether pairs start frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freezing {
    /// Every pair may be checked at once.
    Off,
    /// One pair per foundation first (RFC 8445 §6.1.2.6, §6.1.4.2).
    On,
}

/// What username fragments of ours are made of. Passwords are random always.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UsernameFragments {
    /// 96 random bits, 16 characters.
    Random,
    /// 64 random bits and the number of this server, for whoever routes by it; 23 characters.
    Routable {
        /// The keys, shared with who routes.
        routable: Arc<RoutableUfrag>,
        /// This server's number.
        number: u32,
    },
}

/// When a lite agent asks for proof that the peer is on the path that it moves to (I56).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validation {
    /// Before it moves: one check of its own has to be answered there, and the old path carries meanwhile (RFC 8445
    /// §19.5.1's concern, for who sends no checks otherwise).
    OwnCheck,
    /// After: the nomination is followed at once, for peers that do not answer checks of a lite agent. What goes there is
    /// three times what came from there at most, and no media, until the application says that the peer is there
    /// ([`Agent::set_path_validated`](crate::Agent::set_path_validated)), or an own check was answered after all. Between two
    /// lite agents nobody nominates, so that this changes nothing there; that word of the application does.
    Afterwards,
}

/// When remote candidates stop being accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trickle {
    /// After their generation's end-of-candidates they are ignored (RFC 8838 §14).
    UntilEndOfCandidates,
    /// They are accepted as long as the generation lives, for peers that gather continually.
    Continual,
}

/// Queues that the network can make grow. Not configurable: nothing legitimate reaches them.
pub(crate) const MAX_PENDING_RESPONSES: usize = 64;
/// In a 420: with all that goes with them they fill [`MIN_MTU`].
pub(crate) const MAX_UNKNOWN_ATTRIBUTES: usize = 256;
pub(crate) const MAX_EARLY_REQUESTS: usize = 32;
pub(crate) const MAX_EVENTS: usize = 32;
pub(crate) const MAX_REFUSED_PATHS: usize = 64;
/// An agent's longest message, with two username fragments of 256 characters, fits.
pub(crate) const MIN_MTU: usize = 640;
/// Ta is never less (RFC 8445 §14.2).
pub(crate) const MIN_PACING: Duration = Duration::from_millis(5);
/// Sums of waits are instants still.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
