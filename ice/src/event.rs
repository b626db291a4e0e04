//! What an agent reports, and the bounded queue it waits in.

use std::collections::VecDeque;

use crate::address::FiveTuple;
use crate::config::MAX_EVENTS;
use crate::pair::CandidatePair;
use crate::role::Role;
use crate::state::{GatheringState, Reason, Transition};

/// Something happened. Polled with [`Agent::poll_event`](crate::Agent::poll_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The agent's state changed.
    StateChange(Transition),
    /// The gathering state changed.
    GatheringStateChange(GatheringState),
    /// Another pair carries the traffic, or the same one is now nominated. Comes before the state change it causes.
    SelectedCandidatePairChange(CandidatePair),
    /// There is no pair to send on any more, and why: consent that expired or was revoked, a candidate that was removed, a
    /// veto. Comes before the state change it causes, and also where there is none: an agent that is `disconnected` stays so
    /// while candidates may still come.
    SendPathLost(Reason),
    /// An own check was answered there for the first time.
    PathValidated(FiveTuple),
    /// A role conflict was settled against us, or a restart found a peer of another mode.
    RoleChange(Role),
    /// No more local candidates are to come in this generation, and the peer may be told so (RFC 8838 §8.2). Comes before
    /// the change of the gathering state, and after [`RestartRolledBack`](Self::RestartRolledBack) where what the rollback goes
    /// back to has all candidates that were gathered meanwhile; for a generation that a restart has replaced there is none.
    EndOfCandidates(GatheredGeneration),
    /// A restart began: a new generation of candidates is gathered and checked.
    RestartBegan,
    /// The new generation of a restart has its pair; the old generation is going.
    RestartConfirmed,
    /// The new generation of a restart was given up; the old one goes on.
    RestartRolledBack(Reason),
}

/// Which generation has all its local candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum GatheredGeneration {
    /// The newest: gathering is complete.
    Newest,
    /// The one that an unconfirmed restart would go back to: the newest one goes on gathering.
    Former,
}

/// What a change is a change of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    State,
    Gathering,
    Pair,
    Loss,
    Role,
    End(GatheredGeneration),
    RestartBegan,
    RestartEnded,
}

impl Event {
    /// `None` for what is no change.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::StateChange(_) => Some(Kind::State),
            Self::GatheringStateChange(_) => Some(Kind::Gathering),
            Self::SelectedCandidatePairChange(_) => Some(Kind::Pair),
            Self::SendPathLost(_) => Some(Kind::Loss),
            Self::RoleChange(_) => Some(Kind::Role),
            Self::EndOfCandidates(of) => Some(Kind::End(*of)),
            Self::RestartBegan => Some(Kind::RestartBegan),
            Self::RestartConfirmed | Self::RestartRolledBack(_) => Some(Kind::RestartEnded),
            Self::PathValidated(_) => None,
        }
    }

    /// Both as one.
    fn instead_of(self, earlier: Option<Self>) -> Self {
        match (self, earlier) {
            (Self::StateChange(later), Some(Self::StateChange(earlier))) => {
                Self::StateChange(Transition {
                    from: earlier.from,
                    coalesced: true,
                    ..later
                })
            }
            (later, _) => later,
        }
    }
}

/// Events wait here until polled.
///
/// At the cap, what changes takes the place of the latest change of its kind, and stands last, so that what is reported last is always
/// true; paths that answered are dropped and counted.
#[derive(Debug, Default)]
pub(crate) struct EventQueue(VecDeque<Event>);

impl EventQueue {
    /// Says whether the event will be told.
    #[must_use]
    pub(crate) fn push(&mut self, event: Event) -> bool {
        if self.0.len() < MAX_EVENTS {
            self.0.push_back(event);
            return true;
        }
        let Some(kind) = event.kind() else {
            return false;
        };
        // The first of its kind has none to take the place of: so much longer than the cap the queue may be.
        let earlier = self
            .0
            .iter()
            .rposition(|queued| queued.kind() == Some(kind));
        let earlier = earlier.and_then(|position| self.0.remove(position));
        self.0.push_back(event.instead_of(earlier));
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::state::State;

    // req: I14
    #[test]
    fn unpolled_state_changes_coalesce_and_are_never_lost() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to begin with"
        )]
        let at = Instant::now();
        let mut queue = EventQueue::default();
        let change = |from, to| {
            Event::StateChange(Transition {
                from,
                to,
                reason: Reason::Recovered,
                at,
                coalesced: false,
            })
        };
        for _ in 0..MAX_EVENTS {
            assert!(queue.push(change(State::Connected, State::Disconnected)));
            assert!(queue.push(change(State::Disconnected, State::Connected)));
        }
        assert!(queue.push(change(State::Connected, State::Failed)));
        let events: Vec<Event> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(events.len(), MAX_EVENTS);
        let Some(Event::StateChange(last)) = events.last() else {
            panic!("a state change is last")
        };
        assert!(last.coalesced);
        assert_eq!(last.to, State::Failed);
        // The chain stays closed: each begins where the one before ended.
        let mut previous = State::Connected;
        for event in &events {
            let Event::StateChange(transition) = event else {
                panic!("only state changes were kept")
            };
            assert_eq!(transition.from, previous);
            previous = transition.to;
        }
    }
    // req: I14 I43
    #[test]
    fn at_the_cap_what_is_told_last_of_each_kind_is_true_and_stands_in_its_order() {
        let path = FiveTuple::udp(([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], 2).into());
        let mut queue = EventQueue::default();
        for _ in 0..MAX_EVENTS {
            assert!(queue.push(Event::PathValidated(path)));
        }
        assert!(
            !queue.push(Event::PathValidated(path)),
            "it can be asked for"
        );
        let changes = [
            Event::RoleChange(Role::Controlling),
            Event::RestartBegan,
            Event::RestartConfirmed,
            Event::GatheringStateChange(GatheringState::Gathering),
            Event::SendPathLost(Reason::PairsFailed),
            Event::RestartRolledBack(Reason::RolledBack),
            Event::EndOfCandidates(GatheredGeneration::Former),
            Event::RestartBegan,
            Event::RoleChange(Role::Controlled),
            Event::EndOfCandidates(GatheredGeneration::Newest),
            Event::GatheringStateChange(GatheringState::Complete),
            Event::RestartConfirmed,
            Event::SendPathLost(Reason::ConsentExpired),
        ];
        for _ in 0..100 {
            assert!(changes.iter().all(|change| queue.push(*change)));
        }
        let told: Vec<Event> = std::iter::from_fn(|| queue.pop()).collect();
        let (paths, last) = told.split_at(MAX_EVENTS);
        assert!(
            paths
                .iter()
                .all(|event| *event == Event::PathValidated(path))
        );
        assert_eq!(last, &changes[6..]);
    }
}
