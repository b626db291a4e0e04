//! Why a connection is in the state it is in: the transports responsible, and the reason each of them gave.

use crate::{PeerConnectionState, TransportId, member::Member};
use floe_dtls as dtls;
use floe_ice as ice;
use std::fmt;

/// connectionState, and every transport without which it would be a better one. Prints as one sentence.
///
/// | connectionState | culprits |
/// |---|---|
/// | `failed` | ICE failed, DTLS failed |
/// | `disconnected` | ICE disconnected |
/// | `connecting` | ICE new or checking, DTLS new or connecting |
/// | `new`, `connected`, `closed` | none: nothing is missing, or nothing was begun |
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Explanation {
    /// What is explained.
    pub state: PeerConnectionState,
    /// Who is responsible, in the order in which the transports were added; the ICE half before the DTLS half.
    pub culprits: Vec<Culprit>,
}

/// One machine of one transport that holds the connection where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Culprit {
    /// The transport.
    pub transport: TransportId,
    /// Which of its two machines, the state it is in, and the reason.
    pub fault: Fault,
}

/// The state that is to blame, and the transition that led there. Its reason is the latest: consent that ends while ICE is
/// `disconnected` changes the reason and not the state. `None`: the transport was in this state when the
/// connection began to refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The ICE agent.
    Ice(ice::State, Option<ice::Transition>),
    /// The DTLS connection.
    Dtls(dtls::State, Option<dtls::Transition>),
}

pub(crate) fn explain(state: PeerConnectionState, members: &[Member]) -> Explanation {
    let culprits = members.iter().flat_map(|member| {
        let guilty = [member.ice(), member.dtls()]
            .into_iter()
            .filter(move |fault| fault.holds_in(state));
        guilty.map(|fault| Culprit {
            transport: member.id,
            fault,
        })
    });
    Explanation {
        state,
        culprits: culprits.collect(),
    }
}

impl Fault {
    /// Whether a machine in this state is what makes connectionState `state`.
    fn holds_in(self, state: PeerConnectionState) -> bool {
        use PeerConnectionState as Peer;
        match (state, self) {
            (Peer::Failed, Self::Ice(at, _)) => at == ice::State::Failed,
            (Peer::Failed, Self::Dtls(at, _)) => at == dtls::State::Failed,
            (Peer::Disconnected, Self::Ice(at, _)) => at == ice::State::Disconnected,
            (Peer::Connecting, Self::Ice(at, _)) => {
                matches!(at, ice::State::New | ice::State::Checking)
            }
            (Peer::Connecting, Self::Dtls(at, _)) => {
                matches!(at, dtls::State::New | dtls::State::Connecting)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        for (index, culprit) in self.culprits.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{culprit}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transport {}: {}", self.transport, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ice(state, None) => write!(f, "ICE {state}"),
            Self::Ice(state, Some(transition)) => write!(f, "ICE {state} ({})", transition.reason),
            Self::Dtls(state, None) => write!(f, "DTLS {state}"),
            Self::Dtls(state, Some(transition)) => {
                write!(f, "DTLS {state} ({})", transition.reason)
            }
        }
    }
}
