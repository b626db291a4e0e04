//! What comes in: a datagram into records, records into messages, messages into the script.
//!
//! Everything here is decided by what has been authenticated. Before there are keys the next expected plaintext message
//! is the handshake itself; all else in plaintext is dropped and counted (T32).

use std::time::Instant;

use super::{Connection, Phase, Received};
use crate::config::{PlaintextAcks, PlaintextAlerts, Side};
use crate::error::{Error, InvalidMessage, PeerMisbehaved};
use crate::event::Reason;
use crate::flight::{Acknowledged, Arrival, CHANGE_CIPHER_SPEC};
use crate::handshake::unexpected;
use crate::msgs::alert::Alert;
use crate::msgs::codec::{Codec, Reader};
use crate::msgs::enums::{AlertDescription, AlertLevel, HandshakeType, ProtocolVersion};
use crate::msgs::handshake::Fragment;
use crate::msgs::post_handshake::{Ack, AckNumber};
use crate::reassembly::Message;
use crate::record::Record;
use crate::record::header::{ContentType, Epoch, Header, RecordNumber};
use crate::stats::DropReason;
use crate::timer::{Second, Timer};

/// Datagrams kept until the path is usable and the side known (T7).
pub(super) const MAX_EARLY: usize = 4;

/// The longest datagram kept; a ClientHello comes in pieces of the path's MTU.
const MAX_EARLY_LEN: usize = 2048;

/// The first bytes that are DTLS (RFC 7983 §7).
const DTLS_FIRST_BYTES: std::ops::RangeInclusive<u8> = 20..=63;

/// What became of one record.
enum Outcome {
    Handled,
    Data,
    Dropped(DropReason),
}

impl Connection {
    /// Takes one received datagram, which is decrypted in place.
    ///
    /// One call stops after the first application record; call again with the `rest` it says. Nothing that comes in is an
    /// error of the caller: what is not understood or not authentic is dropped and counted.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) -> Received {
        if !datagram
            .first()
            .is_some_and(|byte| DTLS_FIRST_BYTES.contains(byte))
        {
            return Received::NotMine;
        }
        self.let_go_in_time(now);
        if let Some(opening) = self.affairs.opening_mut() {
            opening.amplification.on_received(datagram.len());
        }
        let received = match self.phase {
            Phase::New(_) | Phase::Started(_) => self.on_early_datagram(now, datagram),
            Phase::Closed | Phase::Failed(_) => self.dropped(DropReason::Ended),
            _ => self.on_datagram(now, datagram),
        };
        self.rest();
        received
    }

    fn dropped(&mut self, reason: DropReason) -> Received {
        self.counters.count(reason);
        Received::Dropped(reason)
    }

    /// Keeps what may be a ClientHello. Where the path is usable already, it decides the side.
    fn on_early_datagram(&mut self, now: Instant, datagram: &[u8]) -> Received {
        let may_be_server = self.side != Some(Side::Client);
        let (Phase::New(early) | Phase::Started(early)) = &mut self.phase else {
            return self.dropped(DropReason::EarlyDatagram);
        };
        let room = early.iter().count() < MAX_EARLY && datagram.len() <= MAX_EARLY_LEN;
        let known = early.iter().any(|kept| kept == datagram);
        if !may_be_server || !room || known || !looks_like_client_hello(datagram) {
            return self.dropped(DropReason::EarlyDatagram);
        }
        early.push_back(datagram.to_vec());
        self.launch(now);
        Received::Handled
    }

    pub(super) fn on_datagram(&mut self, now: Instant, datagram: &mut [u8]) -> Received {
        let mut next = 0;
        let mut received = None;
        while next < datagram.len() {
            let opened = self.open(datagram, next);
            next = opened.next;
            if let Some(limit) = opened.limit {
                self.on_limit(now, limit);
            }
            if let Some(fault) = opened.fault
                && !self.has_ended()
            {
                self.fail(now, fault.into());
            }
            let outcome = match opened.record {
                Err(reason) => Outcome::Dropped(reason),
                Ok(record) => {
                    let outcome = self.on_record(now, &record, datagram);
                    if let Outcome::Data = outcome {
                        self.counters.records_received += 1;
                        return Received::Data {
                            range: record.payload,
                            rest: next..datagram.len(),
                        };
                    }
                    outcome
                }
            };
            match outcome {
                Outcome::Dropped(reason) => {
                    let dropped = self.dropped(reason);
                    received.get_or_insert(dropped);
                }
                Outcome::Handled | Outcome::Data => {
                    self.counters.records_received += 1;
                    received = Some(Received::Handled);
                }
            }
        }
        received.unwrap_or(Received::Handled)
    }

    fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Closed | Phase::Failed(_))
    }

    fn on_record(&mut self, now: Instant, record: &Record, datagram: &[u8]) -> Outcome {
        if self.has_ended() {
            return Outcome::Dropped(DropReason::Ended);
        }
        let payload = datagram.get(record.payload.clone()).unwrap_or_default();
        let authentic = record.number.epoch() != Epoch::PLAINTEXT;
        if record.number.epoch() == self.records.read_epoch() {
            self.on_newest_epoch(now);
        }
        if authentic {
            // Only who received our share can have made it. It contradicts any alert in plaintext.
            self.set_path_validated();
            self.dismiss_suspicion();
        }
        match record.content_type {
            ContentType::Handshake => self.on_handshake(now, record.number, payload),
            ContentType::Ack => self.on_ack(now, record.number, payload),
            ContentType::Alert if authentic => self.on_alert(now, payload),
            ContentType::Alert => self.on_plaintext_alert(now, payload),
            // Every honest peer sends one, and the epoch of what follows says all there is to it.
            ContentType::ChangeCipherSpec if !authentic && payload == CHANGE_CIPHER_SPEC => {
                Outcome::Handled
            }
            ContentType::ChangeCipherSpec => Outcome::Dropped(DropReason::ChangeCipherSpec),
            ContentType::ApplicationData => match self.phase {
                _ if !authentic => Outcome::Dropped(DropReason::UnexpectedPlaintext),
                // No peer protects data by the keys of its handshake (RFC 8446 §5).
                _ if record.number.epoch() == Epoch::HANDSHAKE => {
                    self.fail(now, unexpected());
                    Outcome::Handled
                }
                Phase::Connected(_) => {
                    self.affairs.on_data();
                    Outcome::Data
                }
                _ => Outcome::Dropped(DropReason::EarlyApplicationData),
            },
        }
    }

    /// An authenticated alert (RFC 5246 §7.2).
    fn on_alert(&mut self, now: Instant, payload: &[u8]) -> Outcome {
        let alert = match Alert::read_all(payload) {
            Ok(alert) => alert,
            Err(fault) => {
                self.fail(now, fault.into());
                return Outcome::Handled;
            }
        };
        match (alert.description, alert.level) {
            (AlertDescription::CLOSE_NOTIFY, _) => {
                self.queue_alert(Alert::warning(AlertDescription::CLOSE_NOTIFY));
                self.end(now, Phase::Closed, Reason::ClosedByPeer);
            }
            (description, AlertLevel::FATAL) => self.fail(now, Error::AlertReceived(description)),
            // DTLS 1.3 has no other warnings: what is said so is an error all the same (RFC 8446 §6).
            (AlertDescription::USER_CANCELED, AlertLevel::WARNING) => {
                return Outcome::Dropped(DropReason::IgnoredAlert);
            }
            (description, AlertLevel::WARNING) if self.affairs.sender().uses_acks() => {
                self.fail(now, Error::AlertReceived(description));
            }
            (_, AlertLevel::WARNING) => return Outcome::Dropped(DropReason::IgnoredAlert),
            _ => self.fail(now, InvalidMessage::UnknownAlertLevel.into()),
        }
        Outcome::Handled
    }

    /// Whether whatever the peer has to say comes under keys: a server of DTLS 1.3 has them from its ServerHello on, and
    /// who has used keys once has them.
    fn peer_has_keys(&self) -> bool {
        let expected = self.phase.expected_epoch();
        self.side == Some(Side::Client) && expected == Epoch::HANDSHAKE || self.records.has_opened()
    }

    /// The peer goes on: what was said in plaintext was not by it.
    fn dismiss_suspicion(&mut self) {
        if let Some(opening) = self.affairs.opening_mut()
            && opening.suspected_alert.take().is_some()
        {
            self.work().timers.stop(Timer::Alert);
        }
    }

    /// A fatal alert that anybody may have written: believed only if the handshake then stands still.
    fn on_plaintext_alert(&mut self, now: Instant, payload: &[u8]) -> Outcome {
        if let Ok(alert) = Alert::read_all(payload)
            && alert.level == AlertLevel::FATAL
            && self.affairs.sender().was_sent()
            && !self.peer_has_keys()
        {
            match self.config.plaintext_alerts {
                PlaintextAlerts::Immediate => {
                    self.fail(now, Error::AlertReceived(alert.description));
                    return Outcome::Handled;
                }
                PlaintextAlerts::AfterGrace => self.suspect(now, alert.description),
            }
        }
        Outcome::Dropped(DropReason::UnauthenticatedAlert)
    }

    /// The handshake ends by this alert if it stands still from now on.
    fn suspect(&mut self, now: Instant, description: AlertDescription) {
        let work = self.work();
        if let Some(opening) = &mut work.opening
            && opening.suspected_alert.is_none()
        {
            opening.suspected_alert = Some(description);
            work.timers.set(Timer::Alert, now + work.flight.timeout());
        }
    }

    /// A record with handshake fragments, one or several.
    fn on_handshake(&mut self, now: Instant, number: RecordNumber, payload: &[u8]) -> Outcome {
        let mut reader = Reader::new(payload);
        let mut outcome = None;
        let mut acknowledge = true;
        let mut is_repetition = false;
        while !reader.is_empty() || outcome.is_none() {
            let taken = match Fragment::read(&mut reader) {
                Ok(fragment) => self.on_fragment(now, number.epoch(), &fragment),
                Err(_) => {
                    reader.rest();
                    Err(DropReason::MalformedFragment)
                }
            };
            is_repetition |= taken == Err(DropReason::StaleMessage);
            acknowledge &= match taken {
                Ok(()) => true,
                Err(DropReason::StaleMessage) => self.believes_acks(number.epoch()),
                Err(_) => false,
            };
            outcome = Some(match (outcome, taken) {
                (None, Ok(())) => Outcome::Handled,
                (None, Err(reason)) => Outcome::Dropped(reason),
                // The record is counted once, by its best or its first fragment.
                (Some(Outcome::Dropped(reason)), Ok(())) => {
                    self.counters.count(reason);
                    Outcome::Handled
                }
                (Some(first), Ok(())) => first,
                (Some(first), Err(reason)) => {
                    self.counters.count(reason);
                    first
                }
            });
        }
        // What is acknowledged need not come again, so all of the record must have been taken (RFC 9147 §7).
        if acknowledge {
            let arrival = Arrival {
                number,
                at: Second::of(now, &self.config),
                is_repetition,
            };
            let work = self.work();
            work.flight.received(now, arrival, &mut work.timers);
        }
        self.on_whole_messages(now);
        outcome.unwrap_or(Outcome::Handled)
    }

    fn on_fragment(
        &mut self,
        now: Instant,
        epoch: Epoch,
        fragment: &Fragment<'_>,
    ) -> Result<(), DropReason> {
        match &self.phase {
            Phase::Client(_) | Phase::Server(_) => {}
            Phase::Unidentified(_) | Phase::Connected(_) => {
                return self.on_late_fragment(now, epoch, fragment);
            }
            _ => return Err(DropReason::Ended),
        }
        if self.was_handled(fragment) {
            self.on_peer_repeats(now);
            return Err(DropReason::StaleMessage);
        }
        if epoch < self.phase.expected_epoch() {
            return Err(DropReason::PlaintextAfterKeys);
        }
        let held = self.work().reassembler.held();
        self.reassemble(epoch, fragment)?;
        // A part of an answer implies an ACK, and may be as forged as one.
        let believed = self.believes_acks(epoch);
        let work = self.work();
        if believed && work.reassembler.held() > held {
            work.flight.on_answer(now, epoch, &mut work.timers);
        }
        Ok(())
    }

    /// Whether the message that a fragment belongs to was complete before.
    pub(super) fn was_handled(&self, fragment: &Fragment<'_>) -> bool {
        u32::from(fragment.header.message_seq) < self.affairs.next_seq()
    }

    /// Keeps a fragment until its message is complete.
    pub(super) fn reassemble(
        &mut self,
        epoch: Epoch,
        fragment: &Fragment<'_>,
    ) -> Result<(), DropReason> {
        match self.work().reassembler.accept(epoch, fragment) {
            // What it contradicts is what was dropped: the fragment itself is kept, and may complete its message.
            Err(DropReason::FragmentConflict) => {
                self.counters.count(DropReason::FragmentConflict);
                Ok(())
            }
            taken => taken,
        }
    }

    /// Hands on what is complete and in its turn.
    fn on_whole_messages(&mut self, now: Instant) {
        while let Phase::Client(_) | Phase::Server(_) = self.phase
            && let Some(message) = self.work().reassembler.pop()
        {
            self.on_message(now, &message);
        }
        self.on_post_handshake_messages(now);
    }

    /// Whether ACKs of this epoch, or for a repetition in it, are more than noise.
    fn believes_acks(&self, epoch: Epoch) -> bool {
        epoch != Epoch::PLAINTEXT || self.config.plaintext_acks == PlaintextAcks::Believed
    }

    /// The peer says which records of ours it has (RFC 9147 §7).
    fn on_ack(&mut self, now: Instant, number: RecordNumber, payload: &[u8]) -> Outcome {
        if !self.affairs.sender().uses_acks() || !self.believes_acks(number.epoch()) {
            return Outcome::Dropped(DropReason::UnexpectedAck);
        }
        match acknowledged(number.epoch(), payload) {
            Ok(numbers) => {
                let work = self.work();
                let news = work.flight.on_ack(now, numbers.iter(), &mut work.timers);
                if news == Acknowledged::All {
                    self.on_all_acknowledged(now);
                }
            }
            Err(error) => self.fail(now, error),
        }
        Outcome::Handled
    }

    fn on_peer_repeats(&mut self, now: Instant) {
        let work = self.affairs.wake(&self.config);
        if work.flight.on_peer_repeats(now, &mut work.timers) {
            self.counters.retransmitted_flight();
        }
    }

    /// An authenticated handshake message after the handshake.
    fn on_late_fragment(
        &mut self,
        now: Instant,
        epoch: Epoch,
        fragment: &Fragment<'_>,
    ) -> Result<(), DropReason> {
        if self.affairs.sender().uses_acks() {
            return self.on_post_handshake_fragment(now, epoch, fragment);
        }
        let is_new = !self.was_handled(fragment);
        match (fragment.header.handshake_type, self.side) {
            // The peer did not get our Finished.
            (HandshakeType::FINISHED, Some(Side::Server)) if !is_new => {
                self.on_peer_repeats(now);
                Err(DropReason::StaleMessage)
            }
            // Renegotiation is declined, politely (RFC 8827 §6.5, RFC 5246 §7.2.2).
            (HandshakeType::HELLO_REQUEST, Some(Side::Client))
            | (HandshakeType::CLIENT_HELLO, Some(Side::Server)) => {
                self.queue_alert(Alert::warning(AlertDescription::NO_RENEGOTIATION));
                Ok(())
            }
            _ if is_new => {
                self.fail(now, unexpected());
                Ok(())
            }
            _ => Err(DropReason::LateHandshake),
        }
    }

    /// A whole message, in its turn.
    fn on_message(&mut self, now: Instant, message: &Message) {
        self.dismiss_suspicion();
        if message.handshake_type != HandshakeType::HELLO_VERIFY_REQUEST {
            self.records.set_plaintext_version(ProtocolVersion::DTLS1_2);
        }
        let mut phase = std::mem::replace(&mut self.phase, Phase::Closed);
        let mut cx = self.context(now);
        let handled = match &mut phase {
            Phase::Client(state) if state.expected_epoch() == message.epoch => {
                state.advance(message, &mut cx)
            }
            Phase::Server(state) if state.expected_epoch() == message.epoch => {
                state.advance(message, &mut cx)
            }
            Phase::Client(_) | Phase::Server(_) => Err(unexpected()),
            // A message behind one that ended the handshake.
            _ => Ok(None),
        };
        match handled {
            Ok(Some(completed)) => self.complete(now, completed),
            Ok(None) => self.go_on(phase),
            Err(error) => self.fail(now, error),
        }
    }

    fn go_on(&mut self, phase: Phase) {
        let expected = phase.expected_epoch();
        self.work().reassembler.forget_before(expected);
        self.phase = phase;
    }
}

/// The records that an ACK of this epoch names. It must not name any that cannot have come yet: during the handshake, one
/// of a later epoch than its own (RFC 9147 erratum 8108).
fn acknowledged(epoch: Epoch, payload: &[u8]) -> Result<Ack<'_>, Error> {
    let ack = Ack::read_all(payload)?;
    let latest = match epoch < Epoch::APPLICATION {
        true => epoch.0,
        false => u16::MAX,
    };
    let possible = |number: AckNumber| {
        number.epoch <= latest.into() && number.sequence < RecordNumber::SEQUENCES
    };
    match ack.iter().all(possible) {
        true => Ok(ack),
        false => Err(PeerMisbehaved::AcknowledgedTheImpossible.into()),
    }
}

/// Whether a datagram begins with a plaintext fragment of a ClientHello.
fn looks_like_client_hello(datagram: &[u8]) -> bool {
    let is_handshake = Header::read(datagram, &[]).is_ok_and(|header| {
        header.content_type == Some(ContentType::Handshake)
            && header.number.epoch() == Epoch::PLAINTEXT
    });
    is_handshake && datagram.get(Header::LEN) == Some(&HandshakeType::CLIENT_HELLO.0)
}
