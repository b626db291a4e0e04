//! Our candidates, and which of them a datagram's local address stands for.
//!
//! They belong to the agent and not to a generation: a restart keeps the sockets (RFC 8445 §9 lets it).

use std::net::{IpAddr, SocketAddr};

use crate::address::Protocol;
use crate::candidate::{Candidate, CandidateId, CandidateType};
use crate::few::Few;
use crate::pair::End;

#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) id: CandidateId,
    /// The candidate's; at hand, and where a list of one shows that it is one.
    kind: CandidateType,
    pub(crate) candidate: Candidate,
}

impl Local {
    pub(crate) fn new(id: CandidateId, candidate: Candidate) -> Self {
        let kind = candidate.kind();
        Self {
            id,
            kind,
            candidate,
        }
    }

    /// Its transport address. Every candidate of ours has one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.candidate.address()
    }

    /// Where its checks leave from. Every candidate of ours has one.
    pub(crate) fn base(&self) -> Option<SocketAddr> {
        self.candidate.base()
    }

    pub(crate) fn end(&self) -> End {
        End {
            id: self.id,
            kind: self.kind,
            priority: self.candidate.priority(),
            epoch: self.candidate.epoch(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct LocalCandidates(Few<Local>);

impl LocalCandidates {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Local> {
        self.0.iter()
    }

    pub(crate) fn compact(&mut self) {
        self.0.compact();
    }

    /// What stands on this base is on a newer network than it was. Says whether it is.
    pub(crate) fn raise_epoch(&mut self, base: SocketAddr, epoch: u16) -> bool {
        let older = |l: &&mut Local| l.base() == Some(base) && l.candidate.epoch() < epoch;
        let mut raised = false;
        for local in self.0.iter_mut().filter(older) {
            local.candidate = local.candidate.clone().with_epoch(epoch);
            raised = true;
        }
        raised
    }

    /// How many the caller has added; the others are peer-reflexive.
    pub(crate) fn added(&self) -> usize {
        self.0.len() - self.peer_reflexive()
    }

    pub(crate) fn peer_reflexive(&self) -> usize {
        let found = |l: &&Local| l.kind == CandidateType::PeerReflexive;
        self.0.iter().filter(found).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The candidate with this transport address and base, which is the one a second would be redundant with
    /// (RFC 8445 §5.1.3).
    pub(crate) fn find(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        base: SocketAddr,
    ) -> Option<&Local> {
        self.0.iter().find(|l| {
            l.address() == Some(address)
                && l.base() == Some(base)
                && l.candidate.protocol() == protocol
        })
    }

    pub(crate) fn push(&mut self, local: Local) {
        self.0.push(local);
    }

    /// The best candidate of a base: what a pair on it is built from.
    pub(crate) fn best_of(&self, protocol: Protocol, base: SocketAddr) -> Option<&Local> {
        self.0
            .iter()
            .filter(|l| l.base() == Some(base) && l.candidate.protocol() == protocol)
            .max_by_key(|l| (l.candidate.priority(), std::cmp::Reverse(l.id)))
    }

    /// The base that a datagram's local address belongs to (I66): the base itself, an address that was announced for
    /// it, or a wildcard of that port.
    pub(crate) fn base_of(&self, protocol: Protocol, local: SocketAddr) -> Option<SocketAddr> {
        let of_protocol = || self.0.iter().filter(|l| l.candidate.protocol() == protocol);
        of_protocol()
            .find(|l| l.base() == Some(local))
            .or_else(|| {
                of_protocol().find(|l| l.address() == Some(local) && l.kind == CandidateType::Host)
            })
            .or_else(|| {
                of_protocol().find(|l| l.base().is_some_and(|base| is_wildcard_for(base, local)))
            })
            .and_then(Local::base)
    }

    /// Removes what stands on this transport address: all candidates of a base, or the one announced so. Gives the
    /// bases that lost a candidate.
    pub(crate) fn remove(&mut self, address: SocketAddr) -> Vec<(Protocol, SocketAddr)> {
        let hit = |l: &Local| [l.base(), l.address()].contains(&Some(address));
        let bases = self
            .0
            .iter()
            .filter(|l| hit(l))
            .filter_map(|l| Some((l.candidate.protocol(), l.base()?)))
            .collect();
        self.0.retain(|l| !hit(l));
        bases
    }
}

fn is_wildcard_for(base: SocketAddr, local: SocketAddr) -> bool {
    let same_family = match (base.ip(), local.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => true,
        // A wildcard IPv6 socket carries IPv4 too, as mapped addresses.
        (IpAddr::V6(_), IpAddr::V4(_)) => true,
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    };
    base.ip().is_unspecified() && base.port() == local.port() && same_family
}
