//! What a request is told that proves nothing (RFC 8489 §9.1.3): that credentials are missing, or are the wrong ones.
//!
//! Anybody can send such a request, with anybody's address as its source. So the answer is never longer than what it answers, there
//! is one in a second at most, nothing is allocated for it, whatever is authentic takes its place, and the request
//! counts as dropped as before.

use floe_stun::{IntegrityAlgorithm, Message};

use super::Agent;
use crate::address::FiveTuple;
use crate::error::DropReason;
use crate::moment::Moment;
use crate::responder::intact;
use crate::shared::{Answer, Response};
use crate::state::State;

/// An error without its phrase: the header, ERROR-CODE and FINGERPRINT.
const SHORTEST_ERROR: usize = 20 + 8 + 8;

impl Agent {
    /// Answers a request that was dropped for this, if that is to be answered at all. `path` is canonical.
    pub(super) fn answer_unproven(
        &mut self,
        now: Moment,
        path: &FiveTuple,
        request: &Message<'_>,
        reason: DropReason,
    ) {
        let answer = match reason {
            DropReason::MissingUsername | DropReason::MissingIntegrity => Answer::NoCredentials,
            DropReason::BadIntegrity => Answer::WrongCredentials,
            // Whose name that is, nobody is told (I41).
            _ => return,
        };
        // What is over answers its peer, with 403, and nobody else.
        let over = self.state == State::Failed;
        if over || !self.current.budget.allows_answer(now) || !self.may_answer(path, request) {
            return;
        }
        let phrase = answer
            .error_code()
            .map_or(0, |code| code.reason_phrase().len());
        if SHORTEST_ERROR + phrase.next_multiple_of(4) > request.as_bytes().len() {
            return;
        }
        let response = Response {
            generation: self.current.serial,
            id: request.transaction_id(),
            algorithm: IntegrityAlgorithm::Sha1,
            answer,
        };
        let mut pairs = self.current.checklist.pairs.iter();
        let known = pairs.find(|pair| pair.path == *path);
        let known = known.map(|pair| &pair.path);
        if self.shared.responses.offer(response, path, known) {
            self.current.budget.spend_answer(now);
        }
    }

    /// Whether nobody else waits for an answer, the source is one that is sent to, and the request is one of ICE.
    fn may_answer(&self, path: &FiveTuple, request: &Message<'_>) -> bool {
        let shared = &self.shared;
        shared.responses.are_empty(&shared.passing)
            && shared.config.addresses.allows(path.remote)
            && intact(request.fingerprint()).is_ok()
    }
}
