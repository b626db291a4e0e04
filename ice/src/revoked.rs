//! What is left of a closed agent: it answers 403, so that the peer stops at once (RFC 7675 §5.2).

use std::sync::Arc;
use std::time::Instant;

use floe_stun::{
    Class, ErrorCode, FingerprintStatus, IntegrityKey, Message, Method, Writer, is_stun,
};

use crate::address::{FiveTuple, Transmit};
use crate::agent::Agent;
use crate::budget::ForgeryBudget;
use crate::config::Config;
use crate::generation::Generation;
use crate::moment::Moment;

/// The username fragment and key of a generation that is over. It sends nothing of its own, and is as wary as the agent was:
/// of addresses, of long messages, and of too many forgeries.
#[derive(Debug)]
pub struct Revoked {
    username_fragment: Box<str>,
    key: IntegrityKey,
    config: Arc<Config>,
    budget: ForgeryBudget,
}

impl Revoked {
    pub(crate) fn of(generation: &Generation, config: Arc<Config>) -> Self {
        Self {
            username_fragment: generation.local.username_fragment().into(),
            key: IntegrityKey::short_term(generation.local.password().as_bytes()),
            config,
            budget: ForgeryBudget::default(),
        }
    }

    /// The username fragment that requests name it by.
    pub fn username_fragment(&self) -> &str {
        &self.username_fragment
    }

    /// Writes the 403 to an authenticated Binding request into `buf`; `None` for everything else, and when `buf` is too
    /// short (100 bytes are enough).
    pub fn answer(
        &mut self,
        now: Instant,
        path: FiveTuple,
        datagram: &[u8],
        buf: &mut [u8],
    ) -> Option<Transmit> {
        let now = self.config.clock.moment(now);
        let path = path.canonical();
        let message = is_stun(datagram)
            .then(|| Message::parse(datagram).ok())
            .flatten()?;
        let binding = message.class() == Class::Request && message.method() == Method::BINDING;
        let (local, _) = split(message.username()?)?;
        if !binding
            || message.fingerprint() != FingerprintStatus::Valid
            || local != self.username_fragment.as_bytes()
            || !self.is_worth_a_mac(now, path, datagram)
        {
            return None;
        }
        let Ok(request) = message.verify(&self.key) else {
            self.budget.spend(now, path.remote);
            return None;
        };
        let len = Writer::error(
            buf,
            Method::BINDING,
            request.transaction_id(),
            ErrorCode::FORBIDDEN,
        )
        .integrity_as(request.algorithm(), &self.key)
        .fingerprint()
        .ok()?;
        Some(Transmit { path, len })
    }

    fn is_worth_a_mac(&self, now: Moment, path: FiveTuple, datagram: &[u8]) -> bool {
        datagram.len() <= self.config.max_message
            && self.config.addresses.allows(path.remote)
            && self.budget.allows(now, path.remote)
    }
}

/// The two halves of a USERNAME.
pub(crate) fn split(username: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = username.iter().position(|byte| *byte == b':')?;
    let (left, right) = username.split_at(colon);
    Some((left, right.get(1..)?))
}

impl Agent {
    /// What can still answer for this agent's username fragments when it is closed or gone: one for each live generation.
    pub fn revoked(&self) -> impl Iterator<Item = Revoked> {
        let revoked = |generation| Revoked::of(generation, self.config().clone());
        self.generations().map(revoked)
    }
}
