//! The peer's candidates, as much of them as checks need.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use crate::address::Protocol;
use crate::candidate::{Candidate, CandidateId, CandidateType, Foundation, TcpType};
use crate::packed::PackedAddress;
use crate::pair::End;

/// The same for the same foundation. Who makes two alike keeps but their own pairs waiting for each other.
fn likeness(foundation: &Foundation) -> u32 {
    let mut hasher = DefaultHasher::new();
    foundation.hash(&mut hasher);
    hasher.finish() as u32
}

/// A candidate of the peer.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) id: CandidateId,
    pub(crate) address: PackedAddress,
    pub(crate) kind: CandidateType,
    pub(crate) protocol: Protocol,
    pub(crate) tcp_type: Option<TcpType>,
    pub(crate) component: u16,
    pub(crate) priority: u32,
    pub(crate) epoch: u16,
    /// Stands for its foundation, of which only likeness counts.
    pub(crate) foundation: u32,
}

impl Remote {
    pub(crate) fn new(id: CandidateId, address: SocketAddr, candidate: &Candidate) -> Self {
        Self {
            id,
            address: address.into(),
            kind: candidate.kind(),
            protocol: candidate.protocol(),
            tcp_type: candidate.tcp_type(),
            component: candidate.component(),
            priority: candidate.priority(),
            epoch: candidate.epoch(),
            foundation: likeness(&candidate.foundation()),
        }
    }

    pub(crate) fn end(&self) -> End {
        End {
            id: self.id,
            kind: self.kind,
            priority: self.priority,
            epoch: self.epoch,
        }
    }
}
