//! The borrowed message: one pass over the bytes decides whether they are STUN and notes what the fast path asks for.
//!
//! RFC 8489 §5, §6.3 and §14, RFC 8445 §16.1. The pass copies no bytes and allocates nothing. Of attributes that occur
//! twice the first counts; those behind message integrity do not count at all. Values this module reads are checked for form,
//! so an accessor's `None` means "absent", never "absent or broken"; only NOMINATION, whose number is not
//! registered, is passed over when its form is another's.

use core::{fmt, net::SocketAddr};

use crate::{
    attribute::{
        self, AttributeType, Attributes, Kind, Position, Step, Walk, error_code::ErrorCode,
    },
    error::{IntegrityError, ParseError},
    fingerprint::{self, FINGERPRINT_LEN, FingerprintStatus},
    header::{Class, HEADER_LEN, Header, Method, TransactionId},
    integrity::{IntegrityAlgorithm, IntegrityKey, Sha1Key, Verified},
    reader::Reader,
};

/// A STUN message in a datagram. A view: cheap to copy, borrowed from the bytes it was parsed from.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header<'a>,
    positions: Positions,
}

impl<'a> Message<'a> {
    /// Parses a datagram that is exactly one message. FINGERPRINT is not computed before it is [asked for](Self::fingerprint).
    ///
    /// # Errors
    ///
    /// [`ParseError`] says what is wrong with the bytes; no byte sequence panics.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, reader) = Header::read(bytes)?;
        let mut positions = Positions::default();
        if !positions.note_answer(reader.rest()) {
            positions.note_all(Walk::new(reader))?;
        }
        Ok(Self {
            bytes,
            header,
            positions,
        })
    }

    /// The class.
    #[must_use]
    #[inline]
    pub fn class(&self) -> Class {
        self.header.class()
    }

    /// The method.
    #[must_use]
    #[inline]
    pub fn method(&self) -> Method {
        self.header.method()
    }

    /// The transaction id.
    #[must_use]
    #[inline]
    pub fn transaction_id(&self) -> TransactionId {
        self.header.transaction_id()
    }

    /// USERNAME, as bytes: ICE compares it, nothing ever shows it.
    #[must_use]
    #[inline]
    pub fn username(&self) -> Option<&'a [u8]> {
        self.value(Kind::Username)
    }

    /// PRIORITY (RFC 8445 §7.1.1).
    #[must_use]
    #[inline]
    pub fn priority(&self) -> Option<u32> {
        self.value(Kind::Priority).and_then(read_u32)
    }

    /// Whether USE-CANDIDATE is present (RFC 8445 §7.1.2).
    #[must_use]
    #[inline]
    pub fn use_candidate(&self) -> bool {
        self.positions.get(Kind::UseCandidate).is_some()
    }

    /// ICE-CONTROLLING or ICE-CONTROLLED, whichever comes first (RFC 8445 §7.1.3).
    #[must_use]
    #[inline]
    pub fn role(&self) -> Option<RoleAttribute> {
        let attribute = self.positions.get(Kind::Role)?.attribute(self.bytes)?;
        let tiebreaker = read_u64(attribute.value)?;
        Some(
            if attribute.attribute_type == AttributeType::ICE_CONTROLLING {
                RoleAttribute::Controlling(tiebreaker)
            } else {
                RoleAttribute::Controlled(tiebreaker)
            },
        )
    }

    /// XOR-MAPPED-ADDRESS.
    #[must_use]
    #[inline]
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        let value = self.value(Kind::XorMappedAddress)?;
        attribute::address::read(value, &self.transaction_id())
    }

    /// The number in ERROR-CODE.
    #[must_use]
    #[inline]
    pub fn error_code(&self) -> Option<ErrorCode> {
        self.value(Kind::ErrorCode).and_then(ErrorCode::read)
    }

    /// NOMINATION: among several nominations the greatest counts.
    #[must_use]
    #[inline]
    pub fn nomination(&self) -> Option<u32> {
        self.value(Kind::Nomination).and_then(read_u32)
    }

    /// META-DTLS-IN-STUN: DTLS records carried by the check (SPED).
    #[must_use]
    #[inline]
    pub fn dtls_in_stun(&self) -> Option<&'a [u8]> {
        self.value(Kind::DtlsInStun)
    }

    /// META-DTLS-IN-STUN-ACK: the hashes of the flights that arrived (SPED).
    #[must_use]
    pub fn dtls_in_stun_ack(&self) -> Option<&'a [u8]> {
        self.value(Kind::DtlsInStunAck)
    }

    /// Whether an integrity attribute is present that [`verify`](Self::verify) would look at.
    #[must_use]
    pub fn has_integrity(&self) -> bool {
        self.integrity().is_some()
    }

    /// What FINGERPRINT says, from a CRC-32 over the message. ICE drops what is not [`Valid`](FingerprintStatus::Valid); STUN servers
    /// may leave it out.
    #[must_use]
    #[inline]
    pub fn fingerprint(&self) -> FingerprintStatus {
        match self.positions.get(Kind::Fingerprint) {
            Some(position) => check_fingerprint(self.bytes, position),
            None => FingerprintStatus::Absent,
        }
    }

    /// The comprehension-required attributes that this crate does not know, in order.
    ///
    /// A request that has any is answered with 420 and this list, once it is authenticated (RFC 8489 §6.3.1); a response that has any
    /// fails its transaction (§6.3.3).
    #[inline]
    pub fn unknown_required(&self) -> impl Iterator<Item = AttributeType> + Clone + use<'a> {
        let attributes = self.has_unknown_required().then(|| self.attributes());
        attributes
            .into_iter()
            .flatten()
            .map(|attribute| attribute.attribute_type)
            .filter(|attribute_type| attribute_type.is_unknown_required())
    }

    /// Whether there [are any](Self::unknown_required).
    #[must_use]
    #[inline]
    pub fn has_unknown_required(&self) -> bool {
        self.positions.get(Kind::UnknownRequired).is_some()
    }

    /// All attributes that count, in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        let (_, behind_header) = self.bytes.split_at_checked(HEADER_LEN).unwrap_or_default();
        Attributes(Walk::new(Reader::new(behind_header)))
    }

    /// The bytes this message was parsed from.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Checks the message integrity, in constant time. Where both attributes are present MESSAGE-INTEGRITY-SHA256 decides (RFC 8489
    /// §9.1.3). GOOG-MESSAGE-INTEGRITY-32 counts in a GOOG_PING only.
    ///
    /// # Errors
    ///
    /// [`IntegrityError::Missing`] without such an attribute, [`IntegrityError::Mismatch`] when `key` does not produce it.
    #[inline]
    pub fn verify<'m>(&'m self, key: &IntegrityKey) -> Result<Verified<'m>, IntegrityError> {
        let (algorithm, position) = self.integrity().ok_or(IntegrityError::Missing)?;
        Verified::check(self, algorithm, position, key)
    }

    /// [`verify`](Self::verify) by who has a key for MESSAGE-INTEGRITY alone. No MESSAGE-INTEGRITY-SHA256 matches it.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    #[inline]
    pub fn verify_sha1<'m>(&'m self, key: &Sha1Key) -> Result<Verified<'m>, IntegrityError> {
        let (algorithm, position) = self.integrity().ok_or(IntegrityError::Missing)?;
        Verified::check(self, algorithm, position, key)
    }

    /// [`verify`](Self::verify) with a [key](IntegrityKey::sha1_only) that learns MESSAGE-INTEGRITY-SHA256 from the password it was
    /// made from, when the first message comes that is authentic by it. Before that nothing is kept or allocated, and `password` is not
    /// asked.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    #[inline]
    pub fn verify_or_learn<'m, 'p>(
        &'m self,
        key: &mut IntegrityKey,
        password: impl FnOnce() -> &'p [u8],
    ) -> Result<Verified<'m>, IntegrityError> {
        let (algorithm, position) = self.integrity().ok_or(IntegrityError::Missing)?;
        Verified::check_or_learn(self, algorithm, position, key, password)
    }

    #[inline]
    fn integrity(&self) -> Option<(IntegrityAlgorithm, Position)> {
        if let Some(position) = self.positions.get(Kind::IntegritySha256) {
            return Some((IntegrityAlgorithm::Sha256, position));
        }
        if let Some(position) = self.positions.get(Kind::Integrity) {
            return Some((IntegrityAlgorithm::Sha1, position));
        }
        self.positions
            .get(Kind::Integrity32)
            .filter(|position| self.method() == Method::GOOG_PING && self.is_tail(*position))
            .map(|position| (IntegrityAlgorithm::Sha1Truncated32, position))
    }

    /// Whether nothing but FINGERPRINT follows this 32-bit attribute: the walk does not hide what stands behind it.
    fn is_tail(&self, position: Position) -> bool {
        let fingerprint = self
            .positions
            .get(Kind::Fingerprint)
            .map_or(0, |_| FINGERPRINT_LEN);
        position.before(self.bytes).len() + 8 + fingerprint == self.bytes.len()
    }

    #[inline]
    fn value(&self, kind: Kind) -> Option<&'a [u8]> {
        Some(self.positions.get(kind)?.attribute(self.bytes)?.value)
    }
}

impl fmt::Debug for Message<'_> {
    /// Prints types, never values: user names and addresses stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("class", &self.class())
            .field("method", &self.method())
            .field("transaction_id", &self.transaction_id())
            .field("attributes", &self.attributes())
            .finish()
    }
}

/// The sender's role and tiebreaker (RFC 8445 §16.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleAttribute {
    /// ICE-CONTROLLING.
    Controlling(u64),
    /// ICE-CONTROLLED.
    Controlled(u64),
}

/// Where the pass found the first attribute of each kind.
#[derive(Clone, Copy, Default, PartialEq)]
struct Positions([Option<Position>; Kind::COUNT]);

#[expect(
    clippy::indexing_slicing,
    reason = "the array has one place for every kind"
)]
impl Positions {
    /// Notes what a walk comes by.
    #[inline]
    fn note_all(&mut self, mut walk: Walk<'_>) -> Result<(), ParseError> {
        while let Some(step) = walk.next()? {
            if step.counts {
                self.note(step)?;
            }
        }
        Ok(())
    }

    /// Notes at once what makes up the answer that a check gets, which is half of what an agent at rest reads: XOR-MAPPED-ADDRESS,
    /// MESSAGE-INTEGRITY, FINGERPRINT. A walk takes five times as long for it. False, and nothing noted, of any other message.
    #[inline]
    fn note_answer(&mut self, attributes: &[u8]) -> bool {
        const INTEGRITY: [u8; 4] = [0x00, 0x08, 0, 20];
        const FINGERPRINT: [u8; 4] = [0x80, 0x28, 0, 4];
        let Some((&[0x00, 0x20, 0, len], rest)) = attributes.split_first_chunk() else {
            return false;
        };
        // Of the two lengths that an address has, neither takes padding.
        let Some((address, tail)) = rest.split_at_checked(len.into()) else {
            return false;
        };
        let Ok(&[i0, i1, i2, i3, .., f0, f1, f2, f3, _, _, _, _]) = <&[u8; 32]>::try_from(tail)
        else {
            return false;
        };
        let heads = [i0, i1, i2, i3] == INTEGRITY && [f0, f1, f2, f3] == FINGERPRINT;
        let all = heads && is_well_formed(Kind::XorMappedAddress, address);
        if all {
            let integrity = HEADER_LEN + 4 + address.len();
            self.0[Kind::XorMappedAddress as usize] = Position::at(HEADER_LEN);
            self.0[Kind::Integrity as usize] = Position::at(integrity);
            self.0[Kind::Fingerprint as usize] = Position::at(integrity + 24);
        }
        all
    }

    #[inline]
    fn get(&self, kind: Kind) -> Option<Position> {
        self.0[kind as usize]
    }

    /// Notes an attribute if it is the first of its kind; a later duplicate is not even looked at.
    #[inline]
    fn note(&mut self, step: Step<'_>) -> Result<(), ParseError> {
        let Step {
            position,
            kind,
            attribute,
            ..
        } = step;
        let first = &mut self.0[kind as usize];
        if first.is_none() {
            match is_well_formed(kind, attribute.value) {
                true => *first = position,
                // Their numbers are not registered: this is somebody else's.
                false if matches!(kind, Kind::Nomination | Kind::Integrity32) => {}
                false => return Err(ParseError::MalformedAttribute(attribute.attribute_type)),
            }
        }
        Ok(())
    }
}

/// Whether a value looks like what it is to be.
#[inline]
fn is_well_formed(kind: Kind, value: &[u8]) -> bool {
    match kind.len() {
        Some(len) => value.len() == len,
        None => match kind {
            Kind::XorMappedAddress => attribute::address::is_well_formed(value),
            Kind::ErrorCode => ErrorCode::read(value).is_some(),
            Kind::IntegritySha256 => matches!(value.len(), 16 | 20 | 24 | 28 | 32),
            _ => true,
        },
    }
}

#[inline]
fn read_u32(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

#[inline]
fn read_u64(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// Only a FINGERPRINT at the very end can match: the CRC covers the length field as it was sent.
#[inline]
fn check_fingerprint(bytes: &[u8], position: Position) -> FingerprintStatus {
    match bytes.split_last_chunk::<FINGERPRINT_LEN>() {
        Some((covered, &[_, _, _, _, v0, v1, v2, v3]))
            if covered.len() == position.before(bytes).len()
                && fingerprint::compute(covered) == u32::from_be_bytes([v0, v1, v2, v3]) =>
        {
            FingerprintStatus::Valid
        }
        _ => FingerprintStatus::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    /// Both kinds of address, behind them MESSAGE-INTEGRITY and FINGERPRINT.
    fn answers() -> impl Strategy<Value = Vec<u8>> {
        let address = prop_oneof![Just((1, 8)), Just((2, 20))];
        (address, any::<[u8; 20]>()).prop_map(|((family, len), value)| {
            let mut mapped = vec![0x00, 0x20, 0, len, 0, family];
            mapped.resize(4 + usize::from(len), 7);
            [
                &mapped,
                &[0x00, 0x08, 0, 20][..],
                &value,
                &[0x80, 0x28, 0, 4],
                &[5; 4],
            ]
            .concat()
        })
    }

    proptest! {
        #[test]
        fn an_answer_seen_at_once_is_what_a_walk_comes_by(
            answer in answers(),
            mutations in vec((any::<Index>(), prop_oneof![0..40u8, any::<u8>()]), 0..3),
            len in any::<Option<Index>>(),
        ) {
            let noted = |attributes: &[u8]| {
                let mut positions = Positions::default();
                positions.note_answer(attributes).then_some(positions)
            };
            let walked = |attributes: &[u8]| {
                let mut positions = Positions::default();
                positions.note_all(Walk::new(Reader::new(attributes))).map(|()| positions)
            };
            prop_assert!(noted(&answer).is_some());
            prop_assert!(noted(&answer) == walked(&answer).ok());
            let mut other = answer;
            for (place, byte) in mutations {
                *place.get_mut(&mut other) = byte;
            }
            let len = len.map_or(other.len(), |len| len.index(other.len()));
            other.truncate(len);
            if let Some(noted) = noted(&other) {
                prop_assert!(walked(&other) == Ok(noted));
            }
        }
    }
}
