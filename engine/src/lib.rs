//! Sans-IO ICE and DTLS transports, many behind one set of sockets, and the W3C connection states above them.

mod aggregate;
mod config;
pub mod demux;
mod endpoint;
mod error;
mod event;
mod explain;
mod id;
mod peer;
mod peer_event;
mod stats;
mod transport;

pub use floe_dtls as dtls;
pub use floe_ice as ice;
pub use floe_stun as stun;

pub use aggregate::{
    IceConnectionState, IceGatheringState, Life, PeerConnectionState, connection_state,
    ice_connection_state, ice_gathering_state,
};
pub use config::{EndpointConfig, TransportConfig, TransportOptions};
pub use demux::MediaKind;
pub use endpoint::{AttachError, Endpoint};
pub use error::{ApiMisuse, SealError};
pub use event::{DropReason, Event, Outcome, Received};
pub use explain::{Culprit, Explanation, Fault};
pub use id::TransportId;
pub use peer::{PeerConnection, TransportStates};
pub use peer_event::{Cause, Change, PeerEvent};
pub use stats::{Drops, EndpointStats, TransportStats};
pub use transport::{RemoteDtls, Transport};
