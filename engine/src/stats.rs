//! Counters of an endpoint and of a transport. `Copy`, cumulative, never reset; what an agent or a connection counts itself
//! is found there.

use crate::DropReason;

/// What an [`Endpoint`](crate::Endpoint) has counted.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Datagrams given in.
    pub received: u64,
    /// Datagrams that went to a transport.
    pub routed: u64,
    /// Checks for a username fragment that nobody has, as far as they were reported.
    pub unknown_ufrag: u64,
    /// Authenticated messages of one transport from a 5-tuple that belongs to another.
    pub contested_tuples: u64,
    /// Contests that the challenger won.
    pub takeovers: u64,
    /// Checks for closed sessions that were answered with 403.
    pub refused: u64,
    /// Closed sessions forgotten before their time, because there were too many.
    pub farewells_cut_short: u64,
    /// Paths not learned because their transport already has as many as it may.
    pub paths_refused: u64,
    /// Restarts inside [`with`](crate::Endpoint::with) to a username fragment that another transport holds: the new one
    /// gets nothing.
    pub ufrag_conflicts: u64,
    /// Datagrams dropped before they reached a transport, by reason.
    pub dropped: Drops,
}

/// What a [`Transport`](crate::Transport) has counted. Of what had to wait and what was dropped, 65 535 at most.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportStats {
    /// SRTP and SRTCP packets handed to the caller.
    pub media: u64,
    /// DTLS application records handed to the caller.
    pub data: u64,
    /// Datagrams of DTLS that had to wait until more had come from an address that is not proven.
    pub held: u64,
    /// Datagrams dropped by the transport itself, by reason.
    pub dropped: Drops,
}

/// [`TransportStats`] as a transport keeps them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TransportCounters {
    pub(crate) media: u64,
    pub(crate) data: u64,
    held: u16,
    dropped: [u16; Self::REASONS.len()],
}

impl TransportCounters {
    /// Why a transport itself drops.
    const REASONS: [DropReason; 3] = [
        DropReason::MalformedStun,
        DropReason::UnprovenPath,
        DropReason::NotConnected,
    ];

    pub(crate) fn hold(&mut self) {
        self.held = self.held.saturating_add(1);
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        let place = Self::REASONS.iter().position(|other| *other == reason);
        if let Some(count) = place.and_then(|place| self.dropped.get_mut(place)) {
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn report(&self) -> TransportStats {
        let mut dropped = Drops::default();
        for (reason, count) in Self::REASONS.into_iter().zip(self.dropped) {
            dropped.add_many(reason, count.into());
        }
        TransportStats {
            media: self.media,
            data: self.data,
            held: self.held.into(),
            dropped,
        }
    }
}

/// Dropped datagrams by reason. Those of the agent and of the connection are in their own statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; Self::REASONS.len()]);

impl Drops {
    /// The reasons counted here.
    pub const REASONS: [DropReason; 11] = [
        DropReason::UnknownProtocol,
        DropReason::MalformedStun,
        DropReason::MissingUsername,
        DropReason::UnknownTransaction,
        DropReason::UnknownPath,
        DropReason::UnknownUfrag,
        DropReason::UnauthenticatedFarewell,
        DropReason::TooManyHandshakes,
        DropReason::Overloaded,
        DropReason::UnprovenPath,
        DropReason::NotConnected,
    ];

    /// How many datagrams were dropped for this reason; 0 for a reason that is counted elsewhere.
    #[must_use]
    pub fn count(&self, reason: DropReason) -> u64 {
        Self::place(reason).map_or(0, |place| self.0[place])
    }

    /// How many datagrams were dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Reasons that have occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        Self::REASONS
            .into_iter()
            .zip(self.0)
            .filter(|(_, count)| *count > 0)
    }

    pub(crate) fn add(&mut self, reason: DropReason) {
        self.add_many(reason, 1);
    }

    fn add_many(&mut self, reason: DropReason, count: u64) {
        if let Some(place) = Self::place(reason) {
            self.0[place] += count;
        }
    }

    fn place(reason: DropReason) -> Option<usize> {
        Self::REASONS.iter().position(|other| *other == reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transport_counts_is_what_it_reports() {
        let mut counters = TransportCounters::default();
        for (place, reason) in TransportCounters::REASONS.into_iter().enumerate() {
            (0..=place).for_each(|_| counters.drop(reason));
        }
        (counters.media, counters.data) = (u64::MAX, 7);
        counters.hold();
        let stats = counters.report();
        assert_eq!((stats.media, stats.data, stats.held), (u64::MAX, 7, 1));
        assert_eq!(stats.dropped.total(), 6);
        assert_eq!(stats.dropped.count(DropReason::NotConnected), 3);
    }

    #[test]
    fn every_reason_counts_for_itself() {
        let mut drops = Drops::default();
        for (place, reason) in Drops::REASONS.into_iter().enumerate() {
            (0..=place).for_each(|_| drops.add(reason));
        }
        for (place, reason) in Drops::REASONS.into_iter().enumerate() {
            assert_eq!(drops.count(reason), place as u64 + 1);
        }
        assert_eq!(drops.total(), 66);
        assert_eq!(drops.iter().count(), 11);
        assert_eq!(
            drops.count(DropReason::Ice(floe_ice::DropReason::BadIntegrity)),
            0
        );
    }
}
