//! Writing what is pending: descriptors become datagrams only in the caller's buffer.

use floe_stun::{ErrorCode, Method, Writer};

use super::Agent;
use crate::address::Transmit;
use crate::check::Check;
use crate::generation::Generation;
use crate::role::Role;
use crate::shared::{Answer, Output, Purpose, Request, Response, Shared};

impl Agent {
    pub(super) fn write_next(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        while let Some(output) = self.shared.outputs.pop_front() {
            let serial = match &output {
                Output::Request(request) => request.generation,
                Output::Response(response) => response.generation,
            };
            let (shared, generation) = self.split_by(|generation| generation.serial == serial);
            // What was queued for a generation or a pair that has gone meanwhile is not sent.
            let Some(generation) = generation else {
                continue;
            };
            let written = match output {
                Output::Request(request) => write_request(shared, generation, request, buf),
                Output::Response(response) => write_response(shared, generation, response, buf),
            };
            if written.is_some() {
                return written;
            }
        }
        None
    }
}

/// RFC 8445 §7.2.2: USERNAME, PRIORITY, the role, and USE-CANDIDATE when nominating.
fn write_request(
    shared: &mut Shared,
    generation: &mut Generation,
    request: Request,
    buf: &mut [u8],
) -> Option<Transmit> {
    let peer = generation.peer.as_ref()?;
    let role = shared.role?;
    let selected = generation
        .selected
        .as_ref()
        .filter(|s| s.nominated)
        .map(|s| s.pair);
    let under_way = |check: &&Check| check.transaction.id() == request.id && !check.cancelled;
    let check = generation.checklist.checks.iter().find(under_way);
    if request.purpose != Purpose::Consent && check.is_none() {
        // Answered or given up while it waited here.
        return None;
    }
    let repeated = check.is_some_and(|check| check.transaction.sent() > 1);
    let pending = generation.pending_nomination(request.pair);
    let pair = generation.checklist.get_mut(request.pair)?;
    let (remote, local) = (
        peer.parameters.username_fragment(),
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
    } else if !repeated {
        pair.counters.requests_sent += 1;
    }
    Some(Transmit {
        path: pair.path,
        len,
    })
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
    shared: &mut Shared,
    generation: &mut Generation,
    response: Response,
    buf: &mut [u8],
) -> Option<Transmit> {
    let Response {
        id,
        path,
        algorithm,
        answer,
        ..
    } = response;
    let error = |buf, code| Writer::error(buf, Method::BINDING, id, code);
    let writer = match answer {
        Answer::Success => {
            Writer::success(buf, Method::BINDING, id).xor_mapped_address(path.remote)
        }
        Answer::BadRequest => error(buf, ErrorCode::BAD_REQUEST),
        Answer::RoleConflict => error(buf, ErrorCode::ROLE_CONFLICT),
        Answer::UnknownAttributes(types) => {
            error(buf, ErrorCode::UNKNOWN_ATTRIBUTE).unknown_attributes(types.into_iter().flatten())
        }
    };
    let len = writer
        .integrity_as(algorithm, &generation.local_key)
        .fingerprint()
        .ok()?;
    shared.stats.responses_sent += 1;
    let base = shared.canonical(path);
    if let Some(pair) = generation.checklist.on_path(&base) {
        pair.counters.responses_sent += 1;
    }
    Some(Transmit { path, len })
}
