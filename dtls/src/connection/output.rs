//! What comes out: datagrams and events, and records of the application; and what may be said about the path they take.

use std::time::{Duration, Instant};

use super::affairs::{Affairs, Work};
use super::{Connection, Phase};
use crate::config::Config;
use crate::connection_id::has_room_beside;
use crate::error::{ApiMisuse, Error};
use crate::event::{Event, Reason};
use crate::flight::{FlightDatagramId, FlightPacing};
use crate::msgs::alert::Alert;
use crate::msgs::enums::AlertDescription;
use crate::record::header::{ContentType, MAX_PLAINTEXT};
use crate::record::{RecordLayer, SealError};
use crate::timer::Timer;

impl Connection {
    /// Does what is due at `now`. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.let_go_in_time(now);
        while let Some(timer) = self.expired(now) {
            self.on_expired(now, timer);
        }
        self.rest();
    }

    /// The next timer that has expired.
    fn expired(&mut self, now: Instant) -> Option<Timer> {
        self.affairs.work()?.timers.next().filter(|at| *at <= now)?;
        self.work().timers.take_expired(now)
    }

    fn on_expired(&mut self, now: Instant, timer: Timer) {
        let work = self.affairs.wake(&self.config);
        match timer {
            Timer::Retransmit => match work.flight.on_timeout(now, &mut work.timers) {
                Ok(true) => self.counters.retransmitted_flight(),
                Ok(false) => {}
                Err(error) => self.fail(now, error),
            },
            Timer::Gap => {
                if work.flight.on_gap(now, &mut work.timers) {
                    self.counters.retransmitted_flight();
                }
            }
            Timer::Ack => work.flight.acknowledge_now(&mut work.timers),
            Timer::Handshake => self.fail(now, Error::HandshakeTimedOut),
            Timer::Fingerprints => self.fail(now, Error::FingerprintTimedOut),
            Timer::Alert => {
                let opening = work.opening.as_mut();
                if let Some(description) =
                    opening.and_then(|opening| opening.suspected_alert.take())
                {
                    self.fail(now, Error::AlertReceived(description));
                }
            }
        }
    }

    /// Writes one datagram into `buf` and says its length; `None` if there is nothing to send.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than the MTU: the caller's bug, seen at the first call.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        assert!(
            buf.len() >= self.affairs.sender().path_mtu(),
            "the buffer must hold a datagram of the configured MTU"
        );
        let Affairs::Busy(work) = &mut self.affairs else {
            return None;
        };
        let opening = work.opening.as_ref();
        let room = opening.map_or(usize::MAX, |opening| opening.amplification.room());
        let (buf, _) = buf.split_at_mut(room.min(buf.len()));
        let written = work
            .flight
            .write_datagram(&mut self.records, buf)
            .or_else(|| work.write_alert(&mut self.records, buf));
        if let Some(opening) = &mut work.opening {
            opening.amplification.on_sent(written.unwrap_or(0));
        }
        match written {
            Some(_) => self.counters.sent_datagram(),
            None => self.rest(),
        }
        written
    }

    /// The next event; `None` if all were taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        let Affairs::Busy(work) = &mut self.affairs else {
            return None;
        };
        let event = work.events.pop_front();
        if event.is_none() {
            self.rest();
        }
        event
    }

    /// When [`Connection::handle_timeout`] is due, if ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.affairs.work()?.timers.next()
    }

    /// Seals `plaintext` as one record into `out`, ready to be sent as a datagram, and says its length.
    ///
    /// # Errors
    ///
    /// Not connected, more plaintext than fits the MTU or a record (2¹⁴ bytes), `out` too short: [`Error::ApiMisuse`].
    /// [`Error::KeysUsedUp`] where the record numbers end, or in DTLS 1.3 the records that may have one key if the peer never
    /// acknowledges its change; the connection is closed then.
    pub fn seal(&mut self, now: Instant, plaintext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let longest = self.max_plaintext().ok_or(ApiMisuse::NotConnected)?;
        self.let_go_in_time(now);
        if plaintext.len() > longest {
            return Err(ApiMisuse::PlaintextTooLong.into());
        }
        let epoch = self.records.write_epoch();
        match self
            .records
            .seal(epoch, ContentType::ApplicationData, [plaintext, &[]], out)
        {
            Ok(sealed) => {
                if let Some(limit) = self.records.reached_limit() {
                    self.on_limit(now, limit);
                }
                Ok(sealed.len)
            }
            Err(SealError::Exhausted) => {
                self.queue_alert(Alert::warning(AlertDescription::CLOSE_NOTIFY));
                self.end(now, Phase::Closed, Reason::RecordNumbersExhausted);
                Err(Error::KeysUsedUp)
            }
            Err(SealError::BufferTooSmall) => Err(ApiMisuse::BufferTooSmall.into()),
            Err(SealError::TooLong) => Err(ApiMisuse::PlaintextTooLong.into()),
            Err(SealError::NoKeys) => Err(ApiMisuse::NotConnected.into()),
        }
    }

    /// The most plaintext that [`Connection::seal`] takes, in bytes; `None` unless connected.
    #[must_use]
    pub fn max_plaintext(&self) -> Option<usize> {
        let Phase::Connected(_) = self.phase else {
            return None;
        };
        let overhead = self.records.overhead(self.records.write_epoch());
        Some(
            self.affairs
                .sender()
                .path_mtu()
                .saturating_sub(overhead)
                .min(MAX_PLAINTEXT),
        )
    }

    /// The path's round-trip time as ICE measures it. The first time-out of a flight becomes twice that, within 50 ms and
    /// 3 s, also of a flight that is in the air for the first time.
    pub fn set_rtt_hint(&mut self, rtt: Duration) {
        self.affairs.sender_mut().set_rtt_hint(rtt);
        self.rearm();
    }

    /// Changes what time-outs double up to. Inside a transport whose path has fresh consent 800 ms are right; without
    /// that knowledge, [`Retransmission::cap`](crate::Retransmission::cap).
    pub fn set_retransmission_cap(&mut self, cap: Duration) {
        self.affairs.sender_mut().set_cap(cap);
        self.rearm();
    }

    fn rearm(&mut self) {
        if let Affairs::Busy(work) = &mut self.affairs {
            work.flight.rearm(&mut work.timers);
        }
    }

    /// Changes the MTU, in bytes of UDP payload, also of a flight that is in the air: what is sent from now on obeys it.
    ///
    /// # Errors
    ///
    /// Outside [`Config::MTUS`], or so small that what the peer wants to be called leaves less than
    /// [`ConnectionId::LEAST_ROOM`](crate::ConnectionId::LEAST_ROOM) to what a record carries.
    pub fn set_mtu(&mut self, mtu: usize) -> Result<(), ApiMisuse> {
        if !self.allows_mtu(mtu) {
            return Err(ApiMisuse::MtuOutOfRange);
        }
        self.affairs.sender_mut().set_mtu(mtu);
        Ok(())
    }

    /// Whether [`set_mtu`](Self::set_mtu) would take this one now.
    #[must_use]
    pub fn allows_mtu(&self, mtu: usize) -> bool {
        let ids = self.records.connection_ids();
        let has_room = ids.is_none_or(|ids| has_room_beside(ids.theirs.as_bytes(), mtu as u16));
        Config::MTUS.contains(&mtu) && has_room
    }

    /// Says who carries handshake flights: this connection, or the caller by [`Connection::flight_datagrams`]. At any
    /// time; back to [`FlightPacing::Internal`], a flight that is not answered is sent at once.
    pub fn set_flight_pacing(&mut self, now: Instant, pacing: FlightPacing) {
        let work = self.work();
        work.flight.set_pacing(now, pacing, &mut work.timers);
    }

    /// The datagrams of the current flight that the peer has not acknowledged, in order; none while no flight is in the
    /// air. A last flight that nothing acknowledges (the server's in DTLS 1.2) stays as long as it may be asked for.
    ///
    /// Each has at most the MTU. They may be carried in any order, as often as the caller likes, and besides
    /// [`Connection::poll_transmit`]: the peer takes each once. Ask again after every input: another flight, or another
    /// MTU, makes other datagrams. The first call for a flight seals them. Where nobody has vouched for the path, how much goes
    /// out this way is the carrier's to limit ([`set_path_validated`](Self::set_path_validated)).
    pub fn flight_datagrams(&mut self) -> impl Iterator<Item = FlightDatagramId> {
        let work = self.affairs.with_flight(&self.config);
        let datagrams = work.map(|work| work.flight.datagrams(&mut self.records));
        datagrams.into_iter().flatten()
    }

    /// The bytes of one datagram of the current flight, always the same; `None` if it belongs to an older flight or was
    /// cut for an older MTU.
    #[must_use]
    pub fn flight_datagram(&self, id: FlightDatagramId) -> Option<&[u8]> {
        self.affairs.work()?.flight.datagram(id)
    }
}

impl Work {
    fn write_alert(&mut self, records: &mut RecordLayer, buf: &mut [u8]) -> Option<usize> {
        let (epoch, alert) = self.alerts.iter().next()?;
        let parts: [&[u8]; 2] = [&alert.to_bytes(), &[]];
        let sealed = records.seal(*epoch, ContentType::Alert, parts, buf);
        // It waits until it may be so long: an address that is not validated gets little.
        if sealed != Err(SealError::BufferTooSmall) {
            self.alerts.pop_front();
        }
        sealed.ok().map(|sealed| sealed.len)
    }
}
