//! What a server's NONCE says about it, so that nobody between can talk the two into less (RFC 8489 §9.2, §9.2.1).
//!
//! A server that offers password algorithms says so twice: in PASSWORD-ALGORITHMS, which anybody on the way can take out of a
//! challenge, and in the first thirteen characters of its nonce, the *nonce cookie*, which it checks when the nonce comes back.

use crate::{attribute::AttributeType, message::Message};

const COOKIE: &[u8] = b"obMatJos2";

/// The set of security features that a nonce cookie carries (RFC 8489 §18.1), 24 bits.
///
/// The RFC's prose numbers the bits from one end and its example, as erratum 6290 confirms, from the other. Servers of both kinds
/// exist, and the bits they could mean otherwise are not assigned: a feature is on if either reading says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityFeatures(u32);

impl SecurityFeatures {
    /// Reads the cookie that a nonce begins with; `None` if it does not begin with one.
    #[must_use]
    pub fn of_nonce(nonce: &[u8]) -> Option<Self> {
        let (digits, _) = nonce.strip_prefix(COOKIE)?.split_first_chunk::<4>()?;
        let bits = digits.iter().try_fold(0, |bits, digit| {
            Some(bits << 6 | u32::from(base64(*digit)?))
        });
        bits.map(Self)
    }

    /// Whether the server takes PASSWORD-ALGORITHM: SHA-256 beside MD5.
    #[must_use]
    pub fn password_algorithms(self) -> bool {
        self.has(0)
    }

    /// Whether the server takes USERHASH in place of USERNAME.
    #[must_use]
    pub fn username_anonymity(self) -> bool {
        self.has(1)
    }

    fn has(self, bit: u32) -> bool {
        self.0 & (1 << bit | 0x80_0000 >> bit) != 0
    }
}

/// Whether somebody took PASSWORD-ALGORITHMS out of this challenge (401 or 438): its nonce cookie says that the server sent them.
/// A client must not answer such a challenge with its credentials (RFC 8489 §9.2.5).
#[must_use]
pub fn is_bid_down(challenge: &Message<'_>) -> bool {
    let value = |wanted| {
        let mut attributes = challenge.attributes();
        attributes
            .find(|attribute| attribute.attribute_type == wanted)
            .map(|attribute| attribute.value)
    };
    let promised = value(AttributeType::NONCE)
        .and_then(SecurityFeatures::of_nonce)
        .is_some_and(SecurityFeatures::password_algorithms);
    promised && value(AttributeType::PASSWORD_ALGORITHMS).is_none()
}

fn base64(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, Method, TransactionId, Writer};

    const MD5_AND_SHA256: [u8; 8] = [0, 1, 0, 0, 0, 2, 0, 0];

    // req: S9
    #[test]
    fn the_features_stand_in_the_first_thirteen_characters_counted_from_either_end() {
        let of = |nonce: &str| {
            SecurityFeatures::of_nonce(nonce.as_bytes()).map(|features| {
                (
                    features.password_algorithms(),
                    features.username_anonymity(),
                )
            })
        };
        let table = [
            // RFC 8489, appendix B.1.
            (
                "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA",
                Some((false, true)),
            ),
            ("obMatJos2AAAA", Some((false, false))),
            ("obMatJos2AAAB+more", Some((true, false))),
            ("obMatJos2AAAD", Some((true, true))),
            ("obMatJos2gAAA", Some((true, false))),
            ("obMatJos2QAAA", Some((false, true))),
            ("obMatJos2wAAA", Some((true, true))),
            ("obMatJos2P//8", Some((false, false))),
            ("obMatJos2AAA", None),
            ("obMatJos2AA-A", None),
            ("obmatjos2AAAB", None),
            ("f//499k954d6OL34oL9FSTvy64sA", None),
            ("", None),
        ];
        for (nonce, features) in table {
            assert_eq!(of(nonce), features, "{nonce}");
        }
    }

    // req: S9
    #[test]
    fn a_challenge_without_the_algorithms_that_its_nonce_promises_is_a_bid_down() {
        let is_refused = |code, nonce: Option<&str>, algorithms: bool| {
            let mut buf = [0; 200];
            let id = TransactionId::from_bytes([4; 12]);
            let mut writer = Writer::error(&mut buf, Method::new(3).unwrap(), id, code)
                .attribute(AttributeType::REALM, b"example.org");
            if let Some(nonce) = nonce {
                writer = writer.attribute(AttributeType::NONCE, nonce.as_bytes());
            }
            if algorithms {
                writer = writer.attribute(AttributeType::PASSWORD_ALGORITHMS, &MD5_AND_SHA256);
            }
            let len = writer.finish().unwrap();
            let (challenge, _) = buf.split_at(len);
            is_bid_down(&Message::parse(challenge).unwrap())
        };
        for code in [ErrorCode::UNAUTHENTICATED, ErrorCode::STALE_NONCE] {
            for promising in ["obMatJos2AAAB-1", "obMatJos2gAAA-1", "obMatJos2AAAD-1"] {
                assert!(is_refused(code, Some(promising), false), "{promising}");
                assert!(!is_refused(code, Some(promising), true), "{promising}");
            }
            for silent in [Some("obMatJos2AAAC-1"), Some("an older server's"), None] {
                assert!(!is_refused(code, silent, false), "{silent:?}");
                assert!(!is_refused(code, silent, true), "{silent:?}");
            }
        }
    }
}
