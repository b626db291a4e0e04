//! The peer's candidates, as much of them as checks need.

use std::net::SocketAddr;

use crate::address::Protocol;
use crate::candidate::{Candidate, CandidateId, CandidateType, TcpType};
use crate::packed::FarEnd;
use crate::pair::End;

/// A candidate of the peer.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) id: CandidateId,
    /// Marked with how it was found and what carries it.
    pub(crate) address: FarEnd<(CandidateType, Protocol, Option<TcpType>)>,
    pub(crate) component: u16,
    pub(crate) priority: u32,
    pub(crate) epoch: u16,
    /// Stands for its foundation, of which only likeness counts.
    pub(crate) foundation: u32,
}

impl Remote {
    pub(crate) fn new(id: CandidateId, address: SocketAddr, candidate: &Candidate) -> Self {
        let mark = (candidate.kind(), candidate.protocol(), candidate.tcp_type());
        Self {
            id,
            address: FarEnd::new(address, mark),
            component: candidate.component(),
            priority: candidate.priority(),
            epoch: candidate.epoch(),
            foundation: candidate.likeness(),
        }
    }

    pub(crate) fn kind(&self) -> CandidateType {
        self.address.mark().0
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.address.mark().1
    }

    pub(crate) fn tcp_type(&self) -> Option<TcpType> {
        self.address.mark().2
    }

    pub(crate) fn end(&self) -> End {
        End {
            id: self.id,
            kind: self.kind(),
            priority: self.priority,
            epoch: self.epoch,
        }
    }
}
