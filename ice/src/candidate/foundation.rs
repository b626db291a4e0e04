//! Foundations (RFC 8445 §5.1.1.3): equal for candidates of one type, base address, server and protocol.

use std::fmt;
use std::net::IpAddr;

use super::{CandidateId, CandidateType};
use crate::address::Protocol;
use crate::error::InvalidCandidate;

/// 1 to 32 `ice-char`s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foundation {
    bytes: [u8; 32],
    len: u8,
}

impl Foundation {
    /// Takes a foundation that was signalled: 1–32 `ice-char`s.
    ///
    /// # Errors
    ///
    /// [`InvalidCandidate::Foundation`] for any other text.
    pub fn new(text: &str) -> Result<Self, InvalidCandidate> {
        let valid = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        if !(1..=32).contains(&text.len()) || !valid {
            return Err(InvalidCandidate::Foundation);
        }
        let mut bytes = [0; 32];
        let (head, _) = bytes.split_at_mut(text.len());
        head.copy_from_slice(text.as_bytes());
        Ok(Self {
            bytes,
            len: text.len() as u8,
        })
    }

    /// The number that stands for what makes candidates alike, FNV-1a over it: stable between runs, and says nothing more than the
    /// candidate does.
    pub(super) fn compute(
        kind: CandidateType,
        base: IpAddr,
        server: Option<IpAddr>,
        protocol: Protocol,
    ) -> u32 {
        let mut hash = 0x811c_9dc5_u32;
        let mut mix = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        mix(kind as u8);
        mix(protocol as u8);
        for ip in [Some(base), server].into_iter().flatten() {
            match ip {
                IpAddr::V4(v4) => v4.octets().into_iter().for_each(&mut mix),
                IpAddr::V6(v6) => v6.octets().into_iter().for_each(&mut mix),
            }
        }
        hash
    }

    /// In decimal digits.
    pub(super) fn of_number(number: u32) -> Self {
        Self::new(&number.to_string()).expect("ten digits are ice-chars")
    }

    /// The number that it is the digits of.
    pub(super) fn number(&self) -> Option<u32> {
        let number = self.as_str().parse().ok()?;
        (Self::of_number(number) == *self).then_some(number)
    }

    /// Of a remote candidate that a check revealed: like no other (RFC 8445 §7.3.1.3).
    pub(crate) fn of_stranger(id: CandidateId) -> Self {
        Self::new(&format!("unsignalled+{}", id.0)).expect("letters and digits are ice-chars")
    }

    /// As it is signalled.
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(text).expect("ice-chars are ASCII")
    }
}

impl fmt::Display for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foundation({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I2
    #[test]
    fn candidates_of_one_type_base_and_protocol_share_it() {
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let of = |kind, ip, protocol| Foundation::compute(kind, ip, None, protocol);
        let host = of(CandidateType::Host, ip, Protocol::Udp);
        assert_eq!(host, of(CandidateType::Host, ip, Protocol::Udp));
        assert_ne!(host, of(CandidateType::ServerReflexive, ip, Protocol::Udp));
        assert_ne!(
            host,
            of(
                CandidateType::Host,
                "192.0.2.2".parse().unwrap(),
                Protocol::Udp
            )
        );
        assert_ne!(host, of(CandidateType::Host, ip, Protocol::Tcp));
    }

    // req: I2
    #[test]
    fn strangers_are_like_nobody() {
        let [one, other] = [1, u32::MAX].map(|id| Foundation::of_stranger(CandidateId(id)));
        assert_ne!(one, other);
        let host = crate::Candidate::host("192.0.2.1:1".parse().unwrap()).foundation();
        assert!(one != host && other != host);
    }

    #[test]
    fn digits_are_a_number_if_they_come_back() {
        for digits in ["0", "7", "842163049", "4294967295"] {
            let number = Foundation::new(digits).unwrap().number().unwrap();
            assert_eq!(Foundation::of_number(number).as_str(), digits);
        }
        for text in ["00", "+7", "4294967296", "a", "1a"] {
            assert_eq!(Foundation::new(text).unwrap().number(), None, "{text}");
        }
    }

    // req: I2
    #[test]
    fn signalled_ones_are_checked() {
        assert_eq!(Foundation::new("a+/9").unwrap().as_str(), "a+/9");
        for bad in ["", "a b", "ä", &"x".repeat(33)] {
            assert_eq!(Foundation::new(bad), Err(InvalidCandidate::Foundation));
        }
    }
}
