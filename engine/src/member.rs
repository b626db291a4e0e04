//! A transport as a connection knows it: the states it was told last, and how they came about.

use crate::{
    TransportId, TransportStates,
    explain::Fault,
    legal::{self, Association, Edge, Profile, Restart},
    peer_event::Anomaly,
    peer_queue::What,
    transport_input::TransportInput,
};
use floe_dtls as dtls;
use floe_ice as ice;
use std::time::Instant;

/// The states of one transport and the latest transition of each machine. Flat, so that nothing of it is padding: a server
/// has a million of them.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: TransportId,
    /// `None`: in its state since before it was referred to. The same below.
    ice_since: Option<Instant>,
    dtls_since: Option<Instant>,
    ice_from: ice::State,
    ice_reason: ice::Reason,
    ice_coalesced: bool,
    dtls_from: dtls::State,
    dtls_reason: dtls::Reason,
    pub(crate) states: TransportStates,
    restart: Renewal,
    association: Association,
}

/// An ICE restart, as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    /// There is none.
    None,
    /// It is neither confirmed nor rolled back.
    UnderWay,
    /// The same, and the transport, whose older generation is `connected`, counts as `checking`: [`Profile::Article`].
    ShownAsChecking,
}

impl Member {
    pub(crate) fn new(id: TransportId, states: TransportStates) -> Self {
        Self {
            id,
            ice_since: None,
            dtls_since: None,
            ice_from: ice::State::New,
            ice_reason: ice::Reason::ChecksBegan,
            ice_coalesced: false,
            dtls_from: dtls::State::New,
            dtls_reason: dtls::Reason::Started,
            states,
            restart: Renewal::None,
            association: Association::Current,
        }
    }

    /// The ICE agent's state, and the transition that led there.
    pub(crate) fn ice(&self) -> Fault {
        let transition = self.ice_since.map(|at| {
            let (from, to) = (self.ice_from, self.states.ice);
            let mut transition = ice::Transition::new(from, to, self.ice_reason, at);
            transition.coalesced = self.ice_coalesced;
            transition
        });
        Fault::Ice(self.states.ice, transition)
    }

    /// The DTLS connection's state, and the transition that led there.
    pub(crate) fn dtls(&self) -> Fault {
        let (from, to) = (self.dtls_from, self.states.dtls);
        let transition = self.dtls_since;
        let transition = transition.map(|at| dtls::Transition::new(from, to, self.dtls_reason, at));
        Fault::Dtls(self.states.dtls, transition)
    }

    /// Both machines are closed with the connection, in silence.
    pub(crate) fn close(&mut self) {
        self.states.ice = ice::State::Closed;
        self.states.dtls = dtls::State::Closed;
    }

    /// Brings the states up to date, and says what is to be told of it.
    pub(crate) fn take(
        &mut self,
        profile: Profile,
        now: Instant,
        input: &TransportInput,
    ) -> Option<What> {
        match input {
            TransportInput::Ice(passage) => self.take_ice(profile, passage.transition(now)),
            TransportInput::Dtls(passage) => self.take_dtls(passage.transition(now)),
            TransportInput::Gathering(to) => self.take_gathering(profile, *to),
            TransportInput::EndOfCandidates(of) => Some(What::EndOfCandidates(*of)),
            TransportInput::SelectedCandidatePair(pair) => {
                Some(What::SelectedCandidatePair(Box::new(*pair)))
            }
            TransportInput::SendPathLost(reason) => {
                self.ice_reason = *reason;
                Some(What::SendPathLost(*reason))
            }
            TransportInput::RestartBegan => {
                if self.restart == Renewal::None {
                    self.restart = Renewal::UnderWay;
                }
                None
            }
            TransportInput::RestartConfirmed => {
                self.settle_restart(now, ice::Reason::PairNominated)
            }
            TransportInput::RestartRolledBack(_) => {
                self.settle_restart(now, ice::Reason::RolledBack)
            }
            TransportInput::AssociationChange(_) => {
                self.expect_association();
                None
            }
        }
    }

    fn take_ice(&mut self, profile: Profile, mut reported: ice::Transition) -> Option<What> {
        let held = self.states.ice;
        let shown = self.restart == Renewal::ShownAsChecking;
        if shown && reported.from == ice::State::Connected {
            // It was told otherwise.
            reported.from = held;
        }
        let edge = legal::ice_with_gaps(held, &reported);
        if edge == Edge::Illegal {
            return Some(What::Refused(Anomaly::Ice {
                held,
                reported: reported.to,
                reason: reported.reason,
            }));
        }
        let restarted = held == ice::State::Completed
            && reported.to == ice::State::Connected
            && reported.reason == ice::Reason::Restarted;
        if profile == Profile::Article && restarted && self.restart == Renewal::UnderWay {
            self.restart = Renewal::ShownAsChecking;
            reported.to = ice::State::Checking;
        } else if shown {
            self.restart = Renewal::UnderWay;
        }
        if edge == Edge::Same {
            return None;
        }
        reported.coalesced |= edge == Edge::Coalesced || reported.from != held;
        reported.from = held;
        Some(self.enter_ice(reported))
    }

    fn enter_ice(&mut self, transition: ice::Transition) -> What {
        self.states.ice = transition.to;
        self.ice_since = Some(transition.at);
        self.ice_from = transition.from;
        self.ice_reason = transition.reason;
        self.ice_coalesced = transition.coalesced;
        What::Ice(transition)
    }

    /// A restart is over: what was shown as `checking` for it is not any more.
    fn settle_restart(&mut self, at: Instant, reason: ice::Reason) -> Option<What> {
        let was = std::mem::replace(&mut self.restart, Renewal::None);
        (was == Renewal::ShownAsChecking).then(|| {
            let (from, to) = (ice::State::Checking, ice::State::Connected);
            self.enter_ice(ice::Transition::new(from, to, reason, at))
        })
    }

    fn take_gathering(&mut self, profile: Profile, to: ice::GatheringState) -> Option<What> {
        let held = self.states.gathering;
        let restart = match self.restart {
            Renewal::None => Restart::Settled,
            Renewal::UnderWay | Renewal::ShownAsChecking => Restart::UnderWay,
        };
        match legal::gathering(profile, held, to, restart) {
            Edge::Same => None,
            Edge::Illegal => Some(What::Refused(Anomaly::Gathering { held, reported: to })),
            Edge::Legal | Edge::Coalesced => {
                self.states.gathering = to;
                Some(What::Gathering(to))
            }
        }
    }

    fn take_dtls(&mut self, mut reported: dtls::Transition) -> Option<What> {
        let held = self.states.dtls;
        match legal::dtls_with_gaps(held, &reported, self.association) {
            Edge::Same => return None,
            Edge::Illegal => {
                return Some(What::Refused(Anomaly::Dtls {
                    held,
                    reported: reported.to,
                    reason: reported.reason,
                }));
            }
            Edge::Legal | Edge::Coalesced => {}
        }
        reported.from = held;
        self.association = Association::Current;
        self.states.dtls = reported.to;
        self.dtls_since = Some(reported.at);
        self.dtls_from = held;
        self.dtls_reason = reported.reason;
        Some(What::Dtls(reported))
    }

    /// Another association has taken the place of the one there was. What this side has closed stays closed.
    fn expect_association(&mut self) {
        let closed_here = self.states.dtls == dtls::State::Closed
            && self.dtls_reason == dtls::Reason::ClosedLocally;
        if !closed_here {
            self.association = Association::Successor;
        }
    }
}

#[cfg(test)]
#[path = "member_tests.rs"]
mod tests;
