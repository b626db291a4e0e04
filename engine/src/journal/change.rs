//! A change of state of any machine, in one shape.

use crate::{
    Cause, IceConnectionState, IceGatheringState, PeerConnectionState, PeerEvent, TransportId,
    recovery::{self, Trigger},
    signaling::{self, SignalingState, Step, link, negotiation},
};
use floe_dtls as dtls;
use floe_ice as ice;
use std::fmt;

/// Which machine changed, from what to what, by what action, and why. Displays as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "machine", rename_all = "kebab-case"))]
#[expect(
    missing_docs,
    reason = "the fields are those of each machine's own transition"
)]
pub enum Change {
    /// [`Recovery`](crate::recovery::Recovery)
    Recovery {
        from: recovery::State,
        to: recovery::State,
        action: Trigger,
        cause: recovery::Cause,
    },
    /// [`Signaling`](crate::signaling::Signaling)
    Signaling {
        from: SignalingState,
        to: SignalingState,
        action: Step,
    },
    /// [`Negotiation`](crate::signaling::negotiation::Negotiation)
    Negotiation {
        from: negotiation::Phase,
        to: negotiation::Phase,
        cause: negotiation::Cause,
    },
    /// [`Link`](crate::signaling::Link)
    Link {
        from: link::LinkState,
        to: link::LinkState,
        cause: link::Cause,
    },
    /// RTCPeerConnection.connectionState
    Connection {
        from: PeerConnectionState,
        to: PeerConnectionState,
        cause: Cause,
    },
    /// RTCPeerConnection.iceConnectionState
    IceConnection {
        from: IceConnectionState,
        to: IceConnectionState,
        cause: Cause,
    },
    /// RTCPeerConnection.iceGatheringState
    IceGathering {
        from: IceGatheringState,
        to: IceGatheringState,
        cause: Cause,
    },
    /// RTCIceTransport.state
    IceTransport {
        transport: TransportId,
        from: ice::State,
        to: ice::State,
        cause: ice::Reason,
    },
    /// RTCIceTransport.gatheringState; what it was before, its machine does not say.
    IceGatherer {
        transport: TransportId,
        to: ice::GatheringState,
    },
    /// RTCDtlsTransport.state
    DtlsTransport {
        transport: TransportId,
        from: dtls::State,
        to: dtls::State,
        cause: dtls::Reason,
    },
}

/// The machines of a session. Displays as a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Machine {
    /// [`Change::Recovery`]
    Recovery,
    /// [`Change::Signaling`]
    Signaling,
    /// [`Change::Negotiation`]
    Negotiation,
    /// [`Change::Link`]
    Link,
    /// [`Change::Connection`]
    Connection,
    /// [`Change::IceConnection`]
    IceConnection,
    /// [`Change::IceGathering`]
    IceGathering,
    /// [`Change::IceTransport`]
    IceTransport(TransportId),
    /// [`Change::IceGatherer`]
    IceGatherer(TransportId),
    /// [`Change::DtlsTransport`]
    DtlsTransport(TransportId),
}

/// A change taken apart, to be printed: all in the words of its machine.
#[derive(Clone, Copy)]
pub struct Parts<'c> {
    /// Whose.
    pub machine: Machine,
    /// From what, if it is known.
    pub from: Option<&'c dyn fmt::Display>,
    /// To what.
    pub to: &'c dyn fmt::Display,
    /// By what action, if the machine has any.
    pub action: Option<&'c dyn fmt::Display>,
    /// Why, if it is known.
    pub cause: Option<&'c dyn fmt::Display>,
}

impl Change {
    /// The change of state that an aggregate's or a transport's event is, if it is one.
    #[must_use]
    pub fn of_peer(event: &PeerEvent) -> Option<Self> {
        Some(match *event {
            PeerEvent::IceTransportStateChange(transport, change) => Self::IceTransport {
                transport,
                from: change.from,
                to: change.to,
                cause: change.reason,
            },
            PeerEvent::DtlsTransportStateChange(transport, change) => Self::DtlsTransport {
                transport,
                from: change.from,
                to: change.to,
                cause: change.reason,
            },
            PeerEvent::GatheringStateChange(transport, to) => Self::IceGatherer { transport, to },
            PeerEvent::IceConnectionStateChange(change) => Self::IceConnection {
                from: change.from,
                to: change.to,
                cause: change.cause,
            },
            PeerEvent::ConnectionStateChange(change) => Self::Connection {
                from: change.from,
                to: change.to,
                cause: change.cause,
            },
            PeerEvent::IceGatheringStateChange(change) => Self::IceGathering {
                from: change.from,
                to: change.to,
                cause: change.cause,
            },
            _ => return None,
        })
    }

    /// Whose change it is.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.parts().machine
    }

    /// All of it, to be printed.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        let parts = |machine, from, to, action, cause| Parts {
            machine,
            from: Some(from),
            to,
            action,
            cause,
        };
        match self {
            Self::Recovery {
                from,
                to,
                action,
                cause,
            } => parts(Machine::Recovery, from, to, Some(action), Some(cause)),
            Self::Signaling { from, to, action } => {
                parts(Machine::Signaling, from, to, Some(action), None)
            }
            Self::Negotiation { from, to, cause } => {
                parts(Machine::Negotiation, from, to, None, Some(cause))
            }
            Self::Link { from, to, cause } => parts(Machine::Link, from, to, None, Some(cause)),
            Self::Connection { from, to, cause } => {
                parts(Machine::Connection, from, to, None, Some(cause))
            }
            Self::IceConnection { from, to, cause } => {
                parts(Machine::IceConnection, from, to, None, Some(cause))
            }
            Self::IceGathering { from, to, cause } => {
                parts(Machine::IceGathering, from, to, None, Some(cause))
            }
            Self::IceTransport {
                transport,
                from,
                to,
                cause,
            } => {
                let machine = Machine::IceTransport(*transport);
                parts(machine, from, to, None, Some(cause))
            }
            Self::DtlsTransport {
                transport,
                from,
                to,
                cause,
            } => {
                let machine = Machine::DtlsTransport(*transport);
                parts(machine, from, to, None, Some(cause))
            }
            Self::IceGatherer { transport, to } => Parts {
                machine: Machine::IceGatherer(*transport),
                from: None,
                to,
                action: None,
                cause: None,
            },
        }
    }
}

impl From<recovery::Transition> for Change {
    fn from(change: recovery::Transition) -> Self {
        Self::Recovery {
            from: change.from,
            to: change.to,
            action: change.trigger,
            cause: change.cause,
        }
    }
}

impl From<signaling::Transition> for Change {
    fn from(change: signaling::Transition) -> Self {
        Self::Signaling {
            from: change.from,
            to: change.to,
            action: change.step,
        }
    }
}

impl From<negotiation::Transition> for Change {
    fn from(change: negotiation::Transition) -> Self {
        Self::Negotiation {
            from: change.from,
            to: change.to,
            cause: change.cause,
        }
    }
}

impl From<link::Transition> for Change {
    fn from(change: link::Transition) -> Self {
        Self::Link {
            from: change.from,
            to: change.to,
            cause: change.cause,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        write!(f, "{}: ", parts.machine)?;
        if let Some(from) = parts.from {
            write!(f, "{from} ")?;
        }
        write!(f, "→ {}", parts.to)?;
        let reasons = [parts.action, parts.cause];
        reasons
            .into_iter()
            .flatten()
            .try_for_each(|why| write!(f, ", {why}"))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recovery => f.pad("recovery"),
            Self::Signaling => f.pad("signaling"),
            Self::Negotiation => f.pad("negotiation"),
            Self::Link => f.pad("link"),
            Self::Connection => f.pad("connection"),
            Self::IceConnection => f.pad("ICE connection"),
            Self::IceGathering => f.pad("ICE gathering"),
            Self::IceTransport(id) => write!(f, "ICE {id}"),
            Self::IceGatherer(id) => write!(f, "gatherer {id}"),
            Self::DtlsTransport(id) => write!(f, "DTLS {id}"),
        }
    }
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("machine", &self.machine)
            .field("to", &format_args!("{}", self.to))
            .finish_non_exhaustive()
    }
}
