//! The borrowed message: one pass over the bytes decides whether they are STUN and notes what the fast path asks for.
//!
//! RFC 8489 §5, §6.3 and §14, RFC 8445 §16.1. The pass copies no bytes and allocates nothing. Of attributes that occur
//! twice the first counts; those behind message integrity do not count at all. Values this module reads are checked for form,
//! so an accessor's `None` means "absent", never "absent or broken"; only NOMINATION, whose number is not
//! registered, is passed over when its form is another's.

use core::{fmt, net::SocketAddr};

use crate::{
    attribute::{self, Attribute, AttributeType, Attributes, Located, Walk, error_code::ErrorCode},
    error::{IntegrityError, ParseError},
    fingerprint::{self, FINGERPRINT_LEN, FingerprintStatus},
    header::{Class, HEADER_LEN, Header, Method, TransactionId},
    integrity::{IntegrityAlgorithm, IntegrityKey, Verified},
    reader::Reader,
};

/// A STUN message in a datagram. A view: cheap to copy, borrowed from the bytes it was parsed from.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header,
    fingerprint: FingerprintStatus,
    fields: Fields<'a>,
}

impl<'a> Message<'a> {
    /// Parses a datagram that is exactly one message. FINGERPRINT is computed if present: see [`fingerprint`](Self::fingerprint).
    ///
    /// # Errors
    ///
    /// [`ParseError`] says what is wrong with the bytes; no byte sequence panics.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, reader) = Header::read(bytes)?;
        let mut fields = Fields::default();
        let mut walk = Walk::new(reader);
        while let Some(located) = walk.next()? {
            fields.note(located, &header.transaction_id)?;
        }
        let fingerprint = fields
            .fingerprint
            .map_or(FingerprintStatus::Absent, |value| {
                check_fingerprint(bytes, value)
            });
        Ok(Self {
            bytes,
            header,
            fingerprint,
            fields,
        })
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> Class {
        self.header.class
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.header.method
    }

    /// The transaction id.
    #[must_use]
    pub fn transaction_id(&self) -> TransactionId {
        self.header.transaction_id
    }

    /// USERNAME, as bytes: ICE compares it, nothing ever shows it.
    #[must_use]
    pub fn username(&self) -> Option<&'a [u8]> {
        self.fields.username
    }

    /// PRIORITY (RFC 8445 §7.1.1).
    #[must_use]
    pub fn priority(&self) -> Option<u32> {
        self.fields.priority
    }

    /// Whether USE-CANDIDATE is present (RFC 8445 §7.1.2).
    #[must_use]
    pub fn use_candidate(&self) -> bool {
        self.fields.use_candidate
    }

    /// ICE-CONTROLLING or ICE-CONTROLLED, whichever comes first (RFC 8445 §7.1.3).
    #[must_use]
    pub fn role(&self) -> Option<RoleAttribute> {
        self.fields.role
    }

    /// XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.fields.xor_mapped_address
    }

    /// The number in ERROR-CODE.
    #[must_use]
    pub fn error_code(&self) -> Option<ErrorCode> {
        self.fields.error_code
    }

    /// NOMINATION: among several nominations the greatest counts.
    #[must_use]
    pub fn nomination(&self) -> Option<u32> {
        self.fields.nomination
    }

    /// META-DTLS-IN-STUN: DTLS records carried by the check (SPED).
    #[must_use]
    pub fn dtls_in_stun(&self) -> Option<&'a [u8]> {
        self.fields.dtls_in_stun
    }

    /// META-DTLS-IN-STUN-ACK: the hashes of the flights that arrived (SPED).
    #[must_use]
    pub fn dtls_in_stun_ack(&self) -> Option<&'a [u8]> {
        self.fields.dtls_in_stun_ack
    }

    /// Whether an integrity attribute is present that [`verify`](Self::verify) would look at.
    #[must_use]
    pub fn has_integrity(&self) -> bool {
        self.integrity().is_some()
    }

    /// What FINGERPRINT says. ICE drops what is not [`Valid`](FingerprintStatus::Valid); STUN servers may leave it out.
    #[must_use]
    pub fn fingerprint(&self) -> FingerprintStatus {
        self.fingerprint
    }

    /// The comprehension-required attributes that this crate does not know, in order.
    ///
    /// A request that has any is answered with 420 and this list, once it is authenticated (RFC 8489 §6.3.1); a response that has any
    /// fails its transaction (§6.3.3).
    pub fn unknown_required(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        let attributes = self.fields.unknown_required.then(|| self.attributes());
        attributes
            .into_iter()
            .flatten()
            .map(|attribute| attribute.attribute_type)
            .filter(|attribute_type| attribute_type.is_unknown_required())
    }

    /// All attributes that count, in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        let (_, behind_header) = self.bytes.split_at_checked(HEADER_LEN).unwrap_or_default();
        Attributes(Walk::new(Reader::new(behind_header)))
    }

    /// The bytes this message was parsed from.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Checks the message integrity, in constant time. Where both attributes are present MESSAGE-INTEGRITY-SHA256 decides (RFC 8489
    /// §9.1.3). GOOG-MESSAGE-INTEGRITY-32 counts in a GOOG_PING only.
    ///
    /// # Errors
    ///
    /// [`IntegrityError::Missing`] without such an attribute, [`IntegrityError::Mismatch`] when `key` does not produce it.
    pub fn verify(&self, key: &IntegrityKey) -> Result<Verified<'a>, IntegrityError> {
        let (algorithm, located) = self.integrity().ok_or(IntegrityError::Missing)?;
        Verified::check(self, algorithm, located, key)
    }

    fn integrity(&self) -> Option<(IntegrityAlgorithm, Located<'a>)> {
        let Fields {
            integrity,
            integrity_sha256,
            integrity_32,
            ..
        } = self.fields;
        let sha256 = integrity_sha256.map(|located| (IntegrityAlgorithm::Sha256, located));
        let sha1 = integrity.map(|located| (IntegrityAlgorithm::Sha1, located));
        let truncated = integrity_32
            .filter(|located| self.method() == Method::GOOG_PING && self.is_tail(located))
            .map(|located| (IntegrityAlgorithm::Sha1Truncated32, located));
        sha256.or(sha1).or(truncated)
    }

    /// Whether nothing but FINGERPRINT follows: the walk does not hide what stands behind the 32-bit attribute.
    fn is_tail(&self, located: &Located<'_>) -> bool {
        let end = located.offset + 4 + located.attribute.value.len();
        let fingerprint = self.fields.fingerprint.map_or(0, |_| FINGERPRINT_LEN);
        end + fingerprint == self.bytes.len()
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

/// What the pass found, each the first of its kind.
#[derive(Clone, Copy, Default)]
struct Fields<'a> {
    username: Option<&'a [u8]>,
    priority: Option<u32>,
    role: Option<RoleAttribute>,
    xor_mapped_address: Option<SocketAddr>,
    error_code: Option<ErrorCode>,
    nomination: Option<u32>,
    dtls_in_stun: Option<&'a [u8]>,
    dtls_in_stun_ack: Option<&'a [u8]>,
    integrity: Option<Located<'a>>,
    integrity_sha256: Option<Located<'a>>,
    integrity_32: Option<Located<'a>>,
    fingerprint: Option<u32>,
    use_candidate: bool,
    unknown_required: bool,
}

impl<'a> Fields<'a> {
    #[inline]
    fn note(&mut self, located: Located<'a>, id: &TransactionId) -> Result<(), ParseError> {
        let Attribute {
            attribute_type,
            value,
        } = located.attribute;
        let well_formed = match attribute_type {
            AttributeType::USERNAME => first(&mut self.username, Some(value)),
            AttributeType::PRIORITY => first(&mut self.priority, read_u32(value)),
            AttributeType::USE_CANDIDATE => {
                self.use_candidate |= value.is_empty();
                self.use_candidate
            }
            AttributeType::ICE_CONTROLLING => first(
                &mut self.role,
                read_u64(value).map(RoleAttribute::Controlling),
            ),
            AttributeType::ICE_CONTROLLED => first(
                &mut self.role,
                read_u64(value).map(RoleAttribute::Controlled),
            ),
            AttributeType::XOR_MAPPED_ADDRESS => first(
                &mut self.xor_mapped_address,
                attribute::address::read(value, id),
            ),
            AttributeType::ERROR_CODE => first(&mut self.error_code, ErrorCode::read(value)),
            AttributeType::NOMINATION => {
                first(&mut self.nomination, read_u32(value));
                true
            }
            AttributeType::DTLS_IN_STUN => first(&mut self.dtls_in_stun, Some(value)),
            AttributeType::DTLS_IN_STUN_ACK => first(&mut self.dtls_in_stun_ack, Some(value)),
            AttributeType::MESSAGE_INTEGRITY => {
                first(&mut self.integrity, (value.len() == 20).then_some(located))
            }
            AttributeType::MESSAGE_INTEGRITY_SHA256 => first(
                &mut self.integrity_sha256,
                matches!(value.len(), 16 | 20 | 24 | 28 | 32).then_some(located),
            ),
            AttributeType::GOOG_MESSAGE_INTEGRITY_32 => {
                first(
                    &mut self.integrity_32,
                    (value.len() == 4).then_some(located),
                );
                true
            }
            AttributeType::FINGERPRINT => first(&mut self.fingerprint, read_u32(value)),
            other => {
                self.unknown_required |= other.is_unknown_required();
                true
            }
        };
        if well_formed {
            Ok(())
        } else {
            Err(ParseError::MalformedAttribute(attribute_type))
        }
    }
}

/// Fills an empty slot; whether it is filled now. A later duplicate is not even looked at.
#[inline]
fn first<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    if slot.is_none() {
        *slot = value;
    }
    slot.is_some()
}

fn read_u32(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn read_u64(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// Only a FINGERPRINT at the very end can match: the CRC covers the length field as it was sent.
fn check_fingerprint(bytes: &[u8], value: u32) -> FingerprintStatus {
    let Some((covered, &[t0, t1, ..])) = bytes.split_last_chunk::<FINGERPRINT_LEN>() else {
        return FingerprintStatus::Invalid;
    };
    let is_last = AttributeType::new(u16::from_be_bytes([t0, t1])) == AttributeType::FINGERPRINT;
    if is_last && fingerprint::compute(covered) == value {
        FingerprintStatus::Valid
    } else {
        FingerprintStatus::Invalid
    }
}
