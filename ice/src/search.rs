//! What a generation needs while it looks for its pair, and gives back once it has had one for long.

use std::ops::Deref;

use crate::address::FiveTuple;
use crate::candidate::CandidateId;
use crate::early::EarlyRequest;
use crate::end_of_candidates::EndOfCandidates;
use crate::generation::Generation;
use crate::left_out::LeftOut;
use crate::moment::Moment;
use crate::packed::Packed;
use crate::pair::PairId;
use crate::shared::Shared;
use crate::state::Reason;

/// When what began, what is still to be done about it, and what was given up.
///
/// In this order: what every check of a pair in use asks for comes first, and is in one cache line.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Waits {
    /// When the checks began.
    pub(crate) began: Option<Moment>,
    /// When the policy wants to be asked again, or a backup is to be checked.
    pub(crate) look_again: Option<Moment>,
    /// A switch that has to wait for its round trip to pass.
    pub(crate) deferred: Option<(Moment, PairId)>,
    seldom: Option<Box<Seldom>>,
    /// When the parameters came: the patience of RFC 8863 counts from here.
    pub(crate) paired_at: Option<Moment>,
    /// When the peer's last candidate or its parameters came.
    pub(crate) quiet_since: Option<Moment>,
    /// Since when there was always a peer-reflexive pair to check and none that works.
    pub(crate) strangers_since: Option<Moment>,
    /// When the selected pair came into use.
    pub(crate) in_use_since: Option<Moment>,
    /// Why the last selected pair was lost, while there is no other.
    pub(crate) lost: Option<Reason>,
    /// Whether gathering was complete when a restart made this the old generation.
    pub(crate) gathered: bool,
    pub(crate) integrity_violated: bool,
}

/// As many agents as begin at once have one of them each.
const _: () = assert!(size_of::<Waits>() <= 80);

/// What most have nothing of while they look for a pair: a great many that begin at once do without the room for it.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    /// While there are pairs that the checklist has no room for.
    pub(crate) left_out: Option<LeftOut>,
    pub(crate) early: Vec<EarlyRequest>,
    /// Paths whose consent ended under these credentials: they never come back (RFC 7675 §5.1).
    pub(crate) refused: Vec<FiveTuple>,
    /// Whose candidates are said to be that came before the peer's parameters.
    pub(crate) strays: Vec<(CandidateId, Box<str>)>,
    /// Whose end-of-candidates came before the peer's parameters.
    pub(crate) early_ends: Vec<Box<str>>,
}

impl Seldom {
    const NONE: Self = Self {
        left_out: None,
        early: Vec::new(),
        refused: Vec::new(),
        strays: Vec::new(),
        early_ends: Vec::new(),
    };

    fn is_empty(&self) -> bool {
        self.left_out.is_none()
            && self.early.is_empty()
            && self.refused.is_empty()
            && self.strays.is_empty()
            && self.early_ends.is_empty()
    }
}

impl Waits {
    /// All was long ago, and nothing is left to do.
    const OVER: Self = Self {
        began: Some(Moment::ORIGIN),
        paired_at: Some(Moment::ORIGIN),
        quiet_since: Some(Moment::ORIGIN),
        strangers_since: None,
        look_again: None,
        deferred: None,
        in_use_since: Some(Moment::ORIGIN),
        lost: None,
        gathered: false,
        integrity_violated: false,
        seldom: None,
    };
}

/// The [`Waits`], with no room of their own while they are over.
#[derive(Debug)]
pub(crate) struct Search(Option<Box<Waits>>);

impl Search {
    pub(crate) fn new() -> Self {
        Self(Some(Box::default()))
    }

    /// To add to them.
    pub(crate) fn waits(&mut self) -> &mut Waits {
        self.0.get_or_insert_with(|| Box::new(Waits::OVER))
    }

    pub(crate) fn seldom(&self) -> &Seldom {
        static NONE: Seldom = Seldom::NONE;
        self.seldom.as_deref().unwrap_or(&NONE)
    }

    /// Paths whose consent ended: asked for with every request.
    #[inline]
    pub(crate) fn refused(&self) -> &[FiveTuple] {
        let seldom = self.0.as_ref().and_then(|waits| waits.seldom.as_ref());
        seldom.map_or(&[], |seldom| &seldom.refused)
    }

    /// Whether consent on this path has ended.
    pub(crate) fn refuses(&self, path: &Packed) -> bool {
        self.refused().iter().any(|refused| *path == *refused)
    }

    /// To add to it.
    pub(crate) fn seldom_mut(&mut self) -> &mut Seldom {
        self.waits().seldom.get_or_insert_default()
    }

    /// To take from it, if there is any.
    pub(crate) fn live_seldom(&mut self) -> Option<&mut Seldom> {
        self.live()?.seldom.as_deref_mut()
    }

    /// To end some of them, if there are any.
    pub(crate) fn live(&mut self) -> Option<&mut Waits> {
        self.0.as_deref_mut()
    }
}

impl Deref for Search {
    type Target = Waits;

    fn deref(&self) -> &Waits {
        static OVER: Waits = Waits::OVER;
        self.0.as_deref().unwrap_or(&OVER)
    }
}

impl Generation {
    /// A pair is in use for good: gives back the waits if nothing depends on them any more. Cheap if that has been done.
    #[inline]
    pub(crate) fn rest(&mut self, shared: &mut Shared, now: Moment) {
        if self.search.0.is_some() && self.waits_are_over(shared, now) {
            self.search = Search(None);
        }
        shared.passing.rest(now);
    }

    fn waits_are_over(&self, shared: &Shared, now: Moment) -> bool {
        let Waits {
            began,
            paired_at,
            quiet_since,
            strangers_since: _,
            look_again,
            deferred,
            lost: _,
            gathered: _,
            in_use_since,
            integrity_violated,
            seldom,
        } = &*self.search;
        let timing = &shared.config.timing;
        let in_use = || {
            self.selected.as_ref().is_none_or(|selected| {
                let interval = self.switch_interval(shared, selected.pair);
                in_use_since.is_none_or(|since| since + interval <= now)
            })
        };
        let over = |since: &Option<Moment>, wait| since.is_some_and(|since| since + wait <= now);
        let assumed = || match timing.end_of_candidates {
            Some(wait) if self.end_of_candidates == EndOfCandidates::Open => {
                over(quiet_since, wait)
            }
            _ => true,
        };
        // First what lasts longest almost always: the rest need not be looked at.
        over(began, timing.patience)
            && over(paired_at, timing.patience)
            && assumed()
            && look_again.is_none()
            && deferred.is_none()
            && seldom.as_deref().is_none_or(Seldom::is_empty)
            && !integrity_violated
            && in_use()
    }
}
