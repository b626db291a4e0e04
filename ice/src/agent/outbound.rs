//! Writing what is pending: descriptors become datagrams only in the caller's buffer.

use std::net::SocketAddr;

use floe_stun::{AttributeType, IntegrityKey, Method, TransactionId, Writer};

use super::Agent;
use crate::address::{FiveTuple, Transmit};
use crate::generation::Generation;
use crate::packed::Packed;
use crate::pair::PairId;
use crate::role::Role;
use crate::shared::{Answer, Purpose, Response, Shared};
use crate::state::State;

impl Agent {
    /// Answers first: somebody waits for them.
    pub(super) fn write_next(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        if self.state == State::Closed {
            return None;
        }
        match self.write_waiting_response(buf) {
            None => self.write_waiting_request(buf),
            response => response,
        }
    }

    /// What was queued for a generation that has gone meanwhile is not sent.
    fn write_waiting_response(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        while let Some((response, unknown)) = self.shared.next_answer() {
            let (shared, generation) = self.split_by(|g| g.serial == response.generation);
            let Some((generation, path)) = generation.zip(shared.responses.path()) else {
                continue;
            };
            let key = &generation.local_key;
            let Some(len) = write_response(response, path.remote(), &unknown, key, buf) else {
                continue;
            };
            if !response.answer.is_to_anybody() {
                shared.stats.responses_sent += 1;
                generation.count_response(shared, path);
            }
            let path = path.unpack();
            return Some(Transmit { path, len });
        }
        None
    }

    fn write_waiting_request(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        let generations = std::iter::once(&mut self.current).chain(self.previous.as_deref_mut());
        for generation in generations {
            while let Some(request) = generation.next_request() {
                if let Some(len) = write_request(&mut self.shared, generation, request, buf)
                    && let Some(pair) = generation.checklist.get(request.pair)
                {
                    let path = pair.path();
                    return Some(Transmit { path, len });
                }
            }
        }
        None
    }

    /// Whether there is a datagram to write. Says yes too often rather than never.
    #[inline]
    pub fn has_transmit(&self) -> bool {
        let waits = |generation: &Generation| {
            let due = generation
                .checklist
                .under_way
                .checks()
                .iter()
                .any(|check| check.due);
            let consent = generation.selected.as_ref();
            due || consent.is_some_and(|selected| selected.consent.is_due())
        };
        self.shared.has_answer() || self.generations().any(waits)
    }
}

/// A check that is to be written.
#[derive(Clone, Copy)]
struct Request {
    id: TransactionId,
    pair: PairId,
    purpose: Purpose,
    /// Whether it was sent before.
    repeated: bool,
}

impl Generation {
    #[inline]
    fn count_response(&mut self, shared: &Shared, path: &Packed) {
        let mut pairs = self.checklist.pairs.iter_mut();
        match pairs.find(|pair| pair.path == *path) {
            Some(pair) => pair.counters.responses_sent += 1,
            None => self.count_response_on(&shared.canonical(path.unpack())),
        }
    }

    fn count_response_on(&mut self, path: &FiveTuple) {
        if let Some(pair) = self.checklist.on_path(path) {
            pair.counters.responses_sent += 1;
        }
    }

    /// The next check that waits to be written. No queue: checks and consent say it themselves, so what was answered or
    /// given up meanwhile is not sent.
    fn next_request(&mut self) -> Option<Request> {
        let mut checks = self.checklist.under_way.checks_mut().iter_mut();
        if let Some(check) = checks.find(|check| check.due) {
            check.due = false;
            return Some(Request {
                id: check.transaction.id(),
                pair: check.pair,
                purpose: check.purpose,
                repeated: check.transaction.sent() > 1,
            });
        }
        let selected = self.selected.as_mut()?;
        Some(Request {
            id: selected.consent.take_due()?,
            pair: selected.pair,
            purpose: Purpose::Consent,
            repeated: false,
        })
    }
}

/// RFC 8445 §7.2.2: USERNAME, PRIORITY, the role, and USE-CANDIDATE when nominating.
fn write_request(
    shared: &mut Shared,
    generation: &mut Generation,
    request: Request,
    buf: &mut [u8],
) -> Option<usize> {
    let peer = generation.peer.as_ref()?;
    let role = shared.role?;
    let selected = generation
        .selected
        .as_ref()
        .filter(|s| s.nominated)
        .map(|s| s.pair);
    let pending = generation.pending_nomination(request.pair);
    let pair = generation.checklist.get_mut(request.pair)?;
    let (remote, local) = (
        peer.username_fragment.as_bytes(),
        generation.local.fragment_bytes(),
    );
    let writer = Writer::request(buf, Method::BINDING, request.id)
        .ice_username(remote, local)
        .priority(pair.check_priority)
        .role(role.attribute(shared.tie_breaker));
    let writer = match (request.purpose, pending) {
        (Purpose::Nomination(value), _) => nominate(writer, value),
        (Purpose::Consent, Some(pending)) => nominate(writer, pending.value),
        // Some lite servers forget the pair unless each check nominates it (I20).
        (Purpose::Consent, None) if role == Role::Controlling && selected == Some(pair.id) => {
            writer.use_candidate()
        }
        (Purpose::Consent | Purpose::Connectivity, _) => writer,
    };
    let len = writer.integrity_sha1(&peer.key).fingerprint().ok()?;
    shared.stats.requests_sent += 1;
    if request.purpose == Purpose::Consent {
        shared.stats.consent_requests_sent += 1;
        pair.counters.consent_requests_sent += 1;
    } else if !request.repeated {
        pair.counters.requests_sent += 1;
    }
    Some(len)
}

fn nominate(writer: Writer<'_>, value: Option<u32>) -> Writer<'_> {
    let writer = writer.use_candidate();
    match value {
        Some(value) => writer.nomination(value),
        None => writer,
    }
}

/// RFC 8445 §7.3.1: the answer is authenticated as its request was, and goes back the way it came.
fn write_response(
    response: Response,
    to: SocketAddr,
    unknown: &[AttributeType],
    key: &IntegrityKey,
    buf: &mut [u8],
) -> Option<usize> {
    let Response {
        id,
        algorithm,
        answer,
        ..
    } = response;
    let Some(code) = answer.error_code() else {
        let writer = Writer::success(buf, Method::BINDING, id).xor_mapped_address(to);
        return writer.integrity_as(algorithm, key).fingerprint().ok();
    };
    let mut writer = Writer::error(buf, Method::BINDING, id, code);
    if answer.is_to_anybody() {
        return writer.fingerprint().ok();
    }
    if answer == Answer::UnknownAttributes {
        writer = writer.unknown_attributes(unknown.iter().copied());
    }
    writer.integrity_as(algorithm, key).fingerprint().ok()
}
