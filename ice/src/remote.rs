//! The peer's candidates, as much of them as checks need.

use std::net::SocketAddr;

use crate::address::Protocol;
use crate::candidate::{Candidate, CandidateId, CandidateType, Foundation, TcpType};
use crate::pair::End;

/// A candidate of the peer.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) id: CandidateId,
    pub(crate) address: SocketAddr,
    pub(crate) kind: CandidateType,
    pub(crate) protocol: Protocol,
    pub(crate) tcp_type: Option<TcpType>,
    pub(crate) component: u16,
    pub(crate) priority: u32,
    pub(crate) epoch: u16,
    pub(crate) foundation: Foundation,
    /// Whose it is said to be; of interest only until the peer's parameters are known.
    pub(crate) username_fragment: Option<Box<str>>,
}

impl Remote {
    pub(crate) fn new(id: CandidateId, address: SocketAddr, candidate: &Candidate) -> Self {
        Self {
            id,
            address,
            kind: candidate.kind(),
            protocol: candidate.protocol(),
            tcp_type: candidate.tcp_type(),
            component: candidate.component(),
            priority: candidate.priority(),
            epoch: candidate.epoch(),
            foundation: candidate.foundation(),
            username_fragment: candidate.username_fragment().map(Box::from),
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
