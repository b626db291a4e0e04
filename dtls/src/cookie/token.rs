//! What makes a cookie good, a MAC that only the gate can make, and what it says in DTLS 1.3.

use std::time::{Duration, Instant};

use ring::hmac;
use subtle::ConstantTimeEq;

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, Reader, put_vector};
use crate::msgs::enums::{CipherSuite, NamedGroup};

/// How long cookies are made with one secret. One is good until the end of the next period.
const PERIOD: Duration = Duration::from_secs(60);

/// The secret that the secrets of all periods are made of.
pub(super) struct Secret {
    key: hmac::Key,
    born: Instant,
}

/// What a cookie speaks for, besides what it says.
pub(super) struct Subject<'a> {
    pub(super) client: &'a [u8],
    /// The ClientHello without what its second edition may change.
    pub(super) hello: &'a [u8],
}

impl Secret {
    pub(super) const LEN: usize = 32;

    /// The bytes of the MAC at the end of a cookie: half of what SHA-256 gives (RFC 2104 §5). With all of it a cookie would
    /// be longer than the 32 bytes that clients of the first DTLS take (RFC 4347 §4.2.1), as some do to this day.
    const TAG_LEN: usize = 16;

    pub(super) fn new(born: Instant, secret: [u8; Self::LEN]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            born,
        }
    }

    /// A cookie that says `what`.
    pub(super) fn bake(&self, now: Instant, what: &[u8], subject: &Subject<'_>) -> Vec<u8> {
        let period = self.period(now);
        let tag = self.tag(period, what, subject);
        [&[period as u8], what, &tag].concat()
    }

    /// What a cookie says, if it is ours, for this subject, of this period or the one before.
    pub(super) fn taste<'c>(
        &self,
        now: Instant,
        cookie: &'c [u8],
        subject: &Subject<'_>,
    ) -> Option<&'c [u8]> {
        let (period, rest) = cookie.split_first()?;
        let (what, tag) = rest.split_at_checked(rest.len().checked_sub(Self::TAG_LEN)?)?;
        let age = (self.period(now) as u8).wrapping_sub(*period);
        let period = self
            .period(now)
            .checked_sub(u64::from(age))
            .filter(|_| age <= 1)?;
        let expected = self.tag(period, what, subject);
        bool::from(expected.ct_eq(tag)).then_some(what)
    }

    fn period(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.born).as_secs() / PERIOD.as_secs()
    }

    fn tag(&self, period: u64, what: &[u8], subject: &Subject<'_>) -> [u8; Self::TAG_LEN] {
        let secret = hmac::sign(&self.key, &period.to_be_bytes());
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()));
        for part in [what, subject.client, subject.hello] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut tag = [0; Self::TAG_LEN];
        tag.copy_from_slice(mac.sign().as_ref().split_at(Self::TAG_LEN).0);
        tag
    }
}

/// What must be known of a first ClientHello and its HelloRetryRequest when the second comes.
pub(super) struct Kept {
    pub(super) cipher_suite: CipherSuite,
    /// The group that a share was asked of, if one was missing.
    pub(super) group: Option<NamedGroup>,
    /// The hash of the first ClientHello, by the suite's function.
    pub(super) first_hello: Vec<u8>,
}

impl Kept {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.cipher_suite.put(&mut out);
        self.group.unwrap_or(NamedGroup(0)).put(&mut out);
        put_vector::<1>(&mut out, &self.first_hello);
        out
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            cipher_suite: CipherSuite::take(reader)?,
            group: Some(NamedGroup::take(reader)?).filter(|group| *group != NamedGroup(0)),
            first_hello: reader.vector::<1>()?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said, the client and the hello follow each other in the MAC: none of them ends where another one begins.
    // req: T9
    #[test]
    fn a_cookie_is_not_good_where_the_same_bytes_are_divided_otherwise() {
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do: only differences count"
        )]
        let now = Instant::now();
        let secret = Secret::new(now, [7; Secret::LEN]);
        let subject = |client, hello| Subject { client, hello };
        let cookie = secret.bake(now, b"said", &subject(b"client", b"hello"));
        let taste = |cookie: &[u8], client, hello| {
            let said = secret.taste(now, cookie, &subject(client, hello));
            said.map(<[u8]>::to_vec)
        };
        let said = Some(b"said".to_vec());
        assert_eq!(taste(&cookie, b"client", b"hello"), said);
        assert_eq!(taste(&cookie, b"clienth", b"ello"), None);
        assert_eq!(taste(&cookie, b"clien", b"thello"), None);
        let (start, tag) = cookie.split_at(cookie.len() - Secret::TAG_LEN);
        let more = [start, b"c", tag].concat();
        assert_eq!(taste(&more, b"lient", b"hello"), None);
        let less = [&start[..start.len() - 1], tag].concat();
        assert_eq!(taste(&less, b"dclient", b"hello"), None);
    }
}
