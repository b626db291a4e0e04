//! Which pair to nominate, which nomination to follow, and what to keep beside it: policy, as pure functions.
//!
//! The agent is the mechanism: it checks pairs, sends and follows nominations, keeps at most one of its own under way,
//! switches at most once per round trip, and obeys its application ([`Agent::nominate`](crate::Agent::nominate),
//! [`Agent::veto`](crate::Agent::veto)). Everything that is a matter of taste it asks a [`Policy`], which sees the pairs
//! of one generation as [`Contender`]s in a [`Situation`] and holds nothing of its own about any agent, so that one
//! object serves all agents of a [`Config`](crate::Config).
//!
//! ```text
//!   controlling   pairs ─► Policy::nominate ─► nothing │ look again │ nominate ─► check with USE-CANDIDATE ─► in use
//!   controlled    USE-CANDIDATE on a succeeded pair ─► Policy::follow ─► at most one switch per round trip ─► in use
//!   both          nominated, and at its first consent check ─► Policy::keep ─► drop │ for now │ backup, checked each …
//! ```
//!
//! | preset | nominates | again | keeps |
//! |---|---|---|---|
//! | [`Regular`] | the best pair, after its acceptance wait | when it is lost | nothing |
//! | [`Continuous`] | the best pair that works, at once | for a better one; for another that answers when it does not | a backup per local address |
//! | [`Mobile`] | the same, the newest network first | the same | the same |
//! | [`LiteServer`] | nothing: the peer decides | | what the peer may nominate |
//! | [`ByApplication`] | nothing: the application decides | | every pair that works |
//!
//! A policy of one's own implements the trait, and may use what the presets use:
//!
//! ```
//! use std::sync::Arc;
//! use floe_ice::nomination::{Contender, Decision, Policy, Situation, accepted};
//! use floe_ice::{CandidateType, Config};
//!
//! /// RFC 8445, but never over a relay.
//! #[derive(Debug)]
//! struct NeverRelayed;
//!
//! impl Policy for NeverRelayed {
//!     fn nominate(&self, situation: &Situation<'_>) -> Decision {
//!         let direct = |c: &Contender| c.pair.local != CandidateType::Relayed && c.pair.remote != CandidateType::Relayed;
//!         match situation.nominated() {
//!             Some(_) => Decision::Nothing,
//!             None => accepted(situation, direct),
//!         }
//!     }
//! }
//!
//! let mut config = Config::default();
//! config.nomination = Arc::new(NeverRelayed);
//! ```

mod presets;
mod rules;

use std::fmt;
use std::time::{Duration, Instant};

pub use presets::{ByApplication, Continuous, LiteServer, Mobile, Regular};
pub use rules::{AGGRESSIVE_WINDOW, accepted, contending, latest_wish};

use crate::check::Check;
use crate::moment::{Clock, Moment};
use crate::pair::{CandidatePair, Pair, PairId, PairState};
use crate::role::Role;
use crate::selection::Selected;
use crate::shared::Purpose;
use crate::timing::AcceptanceWaits;

/// What an agent leaves to choice about nomination (RFC 8445 §8).
///
/// Every function is pure: the same situation gives the same answer. They are asked often, [`nominate`](Self::nominate)
/// after everything that happens to a controlling agent with something to choose from, so they should be quick and not
/// allocate.
pub trait Policy: fmt::Debug + Send + Sync {
    /// Controlling: what to nominate now, or when to look again. Not asked before a pair has succeeded, while a nomination
    /// is under way, nor while the application's own choice stands. The pair that is nominated already is no news.
    fn nominate(&self, situation: &Situation<'_>) -> Decision;

    /// Controlled: which pair to use now that the peer wished for `wished`, which has succeeded. `None`: what is in use
    /// stays, and so does what is to [follow it](Situation::upcoming). Not asked about the nominated pair while none is to follow
    /// it. Default: [`latest_wish`].
    fn follow(&self, wished: &Contender, situation: &Situation<'_>) -> Option<PairId> {
        Some(latest_wish(wished, situation))
    }

    /// What becomes of a pair that is not the nominated one. Asked about each when a pair is nominated, when a consent
    /// check of it leaves, and about those that succeeded from then on. Default: [`contending`], so that nothing is
    /// sent on other pairs for long (RFC 7675 §11).
    fn keep(&self, pair: &Contender, situation: &Situation<'_>) -> Keep {
        contending(pair, situation)
    }

    /// Whether nominations carry NOMINATION, counting up (draft-thatcher-ice-renomination). Default: no. The peer
    /// follows later ones in either case, unless it is of the kind that follows the first USE-CANDIDATE only.
    fn counts_nominations(&self) -> bool {
        false
    }
}

/// What the controlling side should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Nothing, until something happens.
    Nothing,
    /// Nothing yet: ask again at this instant, if nothing happens before. Ignored unless it is in the future.
    LookAgain(Instant),
    /// Nominate this pair. Ignored unless it has succeeded.
    Nominate(PairId),
}

/// What becomes of a pair beside the nominated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// It is dropped: nothing more is sent there. (At the first consent check; if its own check ends after that, at one before which
    /// the nominated pair has answered again.)
    Drop,
    /// It stays until the nominated pair's first consent check, or as long as what is to be dropped stays after that.
    ForNow,
    /// It stays, and is checked whenever this long has passed since it last answered. One that stops answering fails.
    Backup(Duration),
}

/// What the peer's USE-CANDIDATEs said about a pair (controlled side).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wish {
    /// When the latest came.
    pub at: Instant,
    /// The greatest NOMINATION of all that came.
    pub nomination: Option<u32>,
    /// Whether the latest carried one: a peer that counts repeats its wish without, in its consent checks.
    pub(crate) numbered: bool,
}

/// A pair, as a policy sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Contender {
    /// Its name, path, types, round trip, and whether it is the nominated one.
    pub pair: CandidatePair,
    /// How its checks stand.
    pub state: PairState,
    /// RFC 8445 §6.1.2.3.
    pub priority: u64,
    /// The sum of its candidates' epochs ([`Candidate::with_epoch`](crate::Candidate::with_epoch)): greater is a newer
    /// network.
    pub epoch: u32,
    /// When a check was answered last; to a lite agent, when the peer's last came.
    pub answered: Option<Instant>,
    /// When the first consent check left that nothing has answered since. Only the pair in use has any.
    pub unanswered_since: Option<Instant>,
    /// What the peer's USE-CANDIDATEs on this pair said.
    pub wish: Option<Wish>,
}

impl Contender {
    /// Whether its last check succeeded.
    pub fn has_succeeded(&self) -> bool {
        self.state == PairState::Succeeded
    }

    /// How long ago the pair in use was first asked for an answer that has not come; zero if nothing is amiss.
    pub fn silence(&self, now: Instant) -> Duration {
        self.unanswered_since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// The moment, and the pairs of one generation. Pairs that the application vetoed are left out.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) now: Instant,
    pub(crate) began: Instant,
    pub(crate) role: Role,
    pub(crate) acceptance: AcceptanceWaits,
    pub(crate) pairs: &'a [Pair],
    pub(crate) selected: Option<&'a Selected>,
    /// The pair that takes the place of the nominated one when a round trip has passed.
    pub(crate) switch: Option<PairId>,
    /// The checks under way.
    pub(crate) checks: &'a [Check],
}

impl<'a> Situation<'a> {
    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// When the checks of this generation began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Our role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How long pairs of each type wait for better ones: [`Timing::acceptance`](crate::Timing::acceptance).
    pub fn acceptance_waits(&self) -> AcceptanceWaits {
        self.acceptance
    }

    /// The pairs, the nominated one included.
    pub fn pairs(&self) -> impl Iterator<Item = Contender> + Clone + use<'a> {
        let this = *self;
        let open = this.pairs.iter().filter(|pair| !pair.is_vetoed());
        open.map(move |pair| this.contender(pair))
    }

    /// The nominated pair, if it is in use.
    pub fn nominated(&self) -> Option<Contender> {
        let selected = self.selected.filter(|selected| selected.nominated)?;
        self.pairs().find(|c| c.pair.id == selected.pair)
    }

    /// The pair that is about to take the place of the one in use, if it does not fail before: controlled, the one that the peer
    /// wished for, while a round trip has to pass since the last switch; controlling, the one that is being nominated, while that
    /// waits for its answer. The agent keeps it until then, whatever [`Policy::keep`] says.
    pub fn upcoming(&self) -> Option<Contender> {
        let upcoming = self.switch.or_else(|| self.being_nominated())?;
        let mut pairs = self.pairs();
        pairs.find(|c| c.pair.id == upcoming && c.has_succeeded())
    }

    fn being_nominated(&self) -> Option<PairId> {
        let nominates = |check: &&Check| matches!(check.purpose, Purpose::Nomination(_));
        let mut live = self.checks.iter().filter(|check| !check.cancelled);
        live.find(nominates).map(|check| check.pair)
    }

    /// The pair that wishes have led to so far, in use or about to be.
    fn followed(&self) -> Option<Contender> {
        self.upcoming().or_else(|| self.nominated())
    }

    pub(crate) fn contender(&self, pair: &Pair) -> Contender {
        let selected = self.selected.filter(|selected| selected.pair == pair.id);
        let at = |moment: Option<Moment>| moment.and_then(|moment| self.clock.instant(moment));
        Contender {
            pair: CandidatePair {
                nominated: selected.is_some_and(|selected| selected.nominated),
                ..pair.view()
            },
            state: pair.state(),
            priority: pair.priority(),
            epoch: pair.epoch(),
            answered: at(pair.answered),
            unanswered_since: at(selected.and_then(|selected| selected.consent.unanswered_since())),
            wish: pair.wish.and_then(|wish| {
                Some(Wish {
                    at: self.clock.instant(wish.at)?,
                    nomination: wish.nomination(),
                    numbered: wish.is_numbered(),
                })
            }),
        }
    }
}
