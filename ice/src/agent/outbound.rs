//! Writing what is pending: descriptors become datagrams only in the caller's buffer.

use floe_stun::{ErrorCode, IntegrityKey, Method, TransactionId, Writer};

use super::Agent;
use crate::address::{FiveTuple, Transmit};
use crate::generation::Generation;
use crate::pair::PairId;
use crate::role::Role;
use crate::shared::{Answer, Purpose, Queued, Response, Shared};
use crate::state::State;

impl Agent {
    /// Answers first: somebody waits for them.
    #[inline]
    pub(super) fn write_next(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        if self.state == State::Closed {
            return None;
        }
        while let Some(next) = self.shared.responses.pop() {
            let serial = next.response.generation;
            // What was queued for a generation that has gone meanwhile is not sent.
            let generation = self.generations().find(|g| g.serial == serial);
            let written = generation.and_then(|g| write_response(&next, &g.local_key, buf));
            if let Some(len) = written {
                self.count_response(serial, &next.path);
                let path = next.path;
                return Some(Transmit { path, len });
            }
        }
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

    fn count_response(&mut self, serial: u16, path: &FiveTuple) {
        let (shared, generation) = self.split_by(|generation| generation.serial == serial);
        shared.stats.responses_sent += 1;
        let Some(generation) = generation else { return };
        let pair = match generation.checklist.on_path(path) {
            Some(pair) => Some(pair),
            None => generation.checklist.on_path(&shared.canonical(*path)),
        };
        if let Some(pair) = pair {
            pair.counters.responses_sent += 1;
        }
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
    /// The next check that waits to be written. No queue: checks and consent say it themselves, so what was answered or
    /// given up meanwhile is not sent.
    fn next_request(&mut self) -> Option<Request> {
        if let Some(check) = self.checklist.checks.iter_mut().find(|check| check.due) {
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
        &*peer.username_fragment,
        generation.local.username_fragment(),
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
    let len = writer.integrity(&peer.key).fingerprint().ok()?;
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
fn write_response(queued: &Queued, key: &IntegrityKey, buf: &mut [u8]) -> Option<usize> {
    let Response {
        id,
        algorithm,
        answer,
        ..
    } = queued.response;
    if answer == Answer::Success {
        let writer = Writer::success(buf, Method::BINDING, id);
        let writer = writer.xor_mapped_address(queued.path.remote);
        return writer.integrity_as(algorithm, key).fingerprint().ok();
    }
    let code = match answer {
        Answer::Success | Answer::BadRequest => ErrorCode::BAD_REQUEST,
        Answer::RoleConflict => ErrorCode::ROLE_CONFLICT,
        Answer::Forbidden => ErrorCode::FORBIDDEN,
        Answer::UnknownAttributes => ErrorCode::UNKNOWN_ATTRIBUTE,
    };
    let mut writer = Writer::error(buf, Method::BINDING, id, code);
    if answer == Answer::UnknownAttributes {
        writer = writer.unknown_attributes(queued.unknown.iter().copied());
    }
    writer.integrity_as(algorithm, key).fingerprint().ok()
}
