//! Counters of one connection, and why datagrams and records were dropped.

use std::time::Duration;

/// Why received bytes had no effect (RFC 6347 §4.1.2.7).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// The record ends before its header or its length says so, or is too short for its cipher.
    TruncatedRecord,
    /// The content type is none of DTLS, be it the outer one or, in an authentic record, the inner one.
    UnknownContentType,
    /// The version field is not one of DTLS.
    WrongVersion,
    /// The record is longer than 2¹⁴ bytes and its expansion.
    RecordTooLong,
    /// Another connection id than ours, none although there is one, or one although there is none (RFC 9146 §3).
    WrongConnectionId,
    /// No keys for this epoch: it is ahead of us, its time is over, or nonsense.
    UnknownEpoch,
    /// A plaintext record after the keys that replace it.
    PlaintextAfterKeys,
    /// A plaintext record that is not a handshake message, before keys.
    UnexpectedPlaintext,
    /// A record number seen before, or older than the window.
    Replayed,
    /// The record does not authenticate.
    BadMac,
    /// A ChangeCipherSpec that is malformed or encrypted. Others do nothing either: the epoch says it all.
    ChangeCipherSpec,
    /// A plaintext alert: not authenticated, so it ends nothing by itself (T32).
    UnauthenticatedAlert,
    /// An authenticated alert that does not parse, or a warning without consequence.
    IgnoredAlert,
    /// A handshake fragment that does not parse.
    MalformedFragment,
    /// A message older than the one expected next.
    StaleMessage,
    /// A message too far ahead of the one expected next.
    FarFutureMessage,
    /// A message, or the sum of those being put together, above 64 KiB.
    ReassemblyFull,
    /// A fragment that contradicts an earlier one of its message; the message starts again from it.
    FragmentConflict,
    /// An ACK where there is nothing that it could be about: in plaintext, or in DTLS 1.2.
    UnexpectedAck,
    /// Application data before the peer is verified.
    EarlyApplicationData,
    /// More than four datagrams before the start, or one that is no ClientHello, or a copy of one kept.
    EarlyDatagram,
    /// A handshake message after the handshake that DTLS 1.2 does not have.
    LateHandshake,
    /// The connection is closed or has failed.
    Ended,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::Ended as usize + 1;

    /// Every reason, in the order of [`Stats::dropped`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::TruncatedRecord,
        Self::UnknownContentType,
        Self::WrongVersion,
        Self::RecordTooLong,
        Self::WrongConnectionId,
        Self::UnknownEpoch,
        Self::PlaintextAfterKeys,
        Self::UnexpectedPlaintext,
        Self::Replayed,
        Self::BadMac,
        Self::ChangeCipherSpec,
        Self::UnauthenticatedAlert,
        Self::IgnoredAlert,
        Self::MalformedFragment,
        Self::StaleMessage,
        Self::FarFutureMessage,
        Self::ReassemblyFull,
        Self::FragmentConflict,
        Self::UnexpectedAck,
        Self::EarlyApplicationData,
        Self::EarlyDatagram,
        Self::LateHandshake,
        Self::Ended,
    ];
}

/// Counters since birth. Negotiated facts have accessors of their own on [`crate::Connection`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams written by `poll_transmit`, up to 2³² − 1 of them.
    pub datagrams_sent: u64,
    /// Records sealed or written in plaintext, application data included.
    pub records_sent: u64,
    /// Records that passed every check, application data included.
    pub records_received: u64,
    /// Flights sent again, whether by the timer or because the peer repeated its own, up to 65 535 of them.
    pub retransmitted_flights: u32,
    /// From the first transmission of a flight to its complete answer, of the newest flight that was sent only once.
    pub round_trip_time: Option<Duration>,
    dropped: Drops,
    total_dropped: u32,
}

impl Stats {
    /// How many records or fragments were dropped for `reason`: 65 535 stands for that many or more, so that a connection
    /// under attack keeps its size.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped
            .0
            .get(reason as usize)
            .copied()
            .map_or(0, u64::from)
    }

    /// How many were dropped for any reason.
    pub fn total_dropped(&self) -> u64 {
        self.total_dropped.into()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Drops([u16; DropReason::COUNT]);

/// What a connection counts itself. All in its place: what is dropped must not allocate.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) records_received: u64,
    datagrams_sent: u32,
    total_dropped: u32,
    retransmitted_flights: u16,
    dropped: Drops,
}

impl Counters {
    pub(crate) fn count(&mut self, reason: DropReason) {
        if let Some(counter) = self.dropped.0.get_mut(reason as usize) {
            *counter = counter.saturating_add(1);
            self.total_dropped = self.total_dropped.saturating_add(1);
        }
    }

    pub(crate) fn sent_datagram(&mut self) {
        self.datagrams_sent = self.datagrams_sent.saturating_add(1);
    }

    pub(crate) fn retransmitted_flight(&mut self) {
        self.retransmitted_flights = self.retransmitted_flights.saturating_add(1);
    }

    /// With what others count.
    pub(crate) fn stats(&self, records_sent: u64, round_trip_time: Option<Duration>) -> Stats {
        Stats {
            datagrams_sent: self.datagrams_sent.into(),
            records_sent,
            records_received: self.records_received,
            retransmitted_flights: self.retransmitted_flights.into(),
            round_trip_time,
            dropped: self.dropped,
            total_dropped: self.total_dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: T32
    #[test]
    fn what_has_been_counted_too_often_is_still_in_the_sum() {
        let mut counters = Counters::default();
        for _ in 0..70_000 {
            counters.count(DropReason::BadMac);
        }
        let stats = counters.stats(0, None);
        assert_eq!(stats.dropped(DropReason::BadMac), 65_535);
        assert_eq!(stats.total_dropped(), 70_000);
    }

    #[test]
    fn what_is_counted_in_few_bytes_stops_at_their_end() {
        let mut counters = Counters {
            datagrams_sent: u32::MAX - 1,
            retransmitted_flights: u16::MAX - 1,
            ..Counters::default()
        };
        for _ in 0..3 {
            counters.sent_datagram();
            counters.retransmitted_flight();
        }
        let stats = counters.stats(0, None);
        assert_eq!(stats.datagrams_sent, u32::MAX.into());
        assert_eq!(stats.retransmitted_flights, u16::MAX.into());
    }

    #[test]
    fn every_reason_counts_for_itself() {
        let mut counters = Counters::default();
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            counters.count(reason);
            let stats = counters.stats(0, None);
            assert_eq!(stats.dropped(reason), 1);
            assert_eq!(stats.total_dropped(), index as u64 + 1);
        }
    }
}
