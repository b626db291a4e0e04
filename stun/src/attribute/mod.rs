//! Attributes: their types, and the one walk over them that both the parser and [`Message::attributes`] use.
//!
//! The walk settles framing and padding (RFC 8489 §14) and which attributes count at all: whatever follows message
//! integrity is hidden, but for MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (§14.5, §14.6), and nothing follows FINGERPRINT (§14.7).
//!
//! [`Message::attributes`]: crate::Message::attributes

pub(crate) mod address;
pub(crate) mod error_code;

use core::{fmt, num::NonZeroU16};

use crate::{error::ParseError, header::HEADER_LEN, reader::Reader};

/// The type of an attribute (RFC 8489 §18.3). Any value can be carried; the constants are those this crate understands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(u16);

impl AttributeType {
    /// MAPPED-ADDRESS.
    pub const MAPPED_ADDRESS: Self = Self(0x0001);
    /// USERNAME.
    pub const USERNAME: Self = Self(0x0006);
    /// MESSAGE-INTEGRITY.
    pub const MESSAGE_INTEGRITY: Self = Self(0x0008);
    /// ERROR-CODE.
    pub const ERROR_CODE: Self = Self(0x0009);
    /// UNKNOWN-ATTRIBUTES.
    pub const UNKNOWN_ATTRIBUTES: Self = Self(0x000A);
    /// REALM.
    pub const REALM: Self = Self(0x0014);
    /// NONCE.
    pub const NONCE: Self = Self(0x0015);
    /// MESSAGE-INTEGRITY-SHA256.
    pub const MESSAGE_INTEGRITY_SHA256: Self = Self(0x001C);
    /// XOR-MAPPED-ADDRESS.
    pub const XOR_MAPPED_ADDRESS: Self = Self(0x0020);
    /// PRIORITY (RFC 8445 §16.1).
    pub const PRIORITY: Self = Self(0x0024);
    /// USE-CANDIDATE (RFC 8445 §16.1).
    pub const USE_CANDIDATE: Self = Self(0x0025);
    /// PASSWORD-ALGORITHMS.
    pub const PASSWORD_ALGORITHMS: Self = Self(0x8002);
    /// SOFTWARE.
    pub const SOFTWARE: Self = Self(0x8022);
    /// FINGERPRINT.
    pub const FINGERPRINT: Self = Self(0x8028);
    /// ICE-CONTROLLED (RFC 8445 §16.1).
    pub const ICE_CONTROLLED: Self = Self(0x8029);
    /// ICE-CONTROLLING (RFC 8445 §16.1).
    pub const ICE_CONTROLLING: Self = Self(0x802A);
    /// NOMINATION: a number that orders nominations (draft-thatcher-ice-renomination).
    pub const NOMINATION: Self = Self(0xC001);
    /// GOOG-MESSAGE-INTEGRITY-32: the four bytes that authenticate a GOOG_PING.
    pub const GOOG_MESSAGE_INTEGRITY_32: Self = Self(0xC060);
    /// META-DTLS-IN-STUN: a DTLS flight carried by a check (SPED).
    pub const DTLS_IN_STUN: Self = Self(0xC070);
    /// META-DTLS-IN-STUN-ACK: which flights arrived (SPED).
    pub const DTLS_IN_STUN_ACK: Self = Self(0xC071);

    /// A type by number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether a receiver that does not know this type must refuse the message (RFC 8489 §14).
    #[must_use]
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }

    /// Whether this crate reads the type. Optional types need no answer to that question.
    pub(crate) fn is_unknown_required(self) -> bool {
        Kind::of(self) == Kind::UnknownRequired
    }

    /// Whether the value depends on everything before it.
    pub(crate) const fn is_computed(self) -> bool {
        matches!(
            self,
            Self::MESSAGE_INTEGRITY
                | Self::MESSAGE_INTEGRITY_SHA256
                | Self::GOOG_MESSAGE_INTEGRITY_32
                | Self::FINGERPRINT
        )
    }

    /// The registered name, for the types with a constant.
    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::MAPPED_ADDRESS => "MAPPED-ADDRESS",
            Self::USERNAME => "USERNAME",
            Self::MESSAGE_INTEGRITY => "MESSAGE-INTEGRITY",
            Self::ERROR_CODE => "ERROR-CODE",
            Self::UNKNOWN_ATTRIBUTES => "UNKNOWN-ATTRIBUTES",
            Self::REALM => "REALM",
            Self::NONCE => "NONCE",
            Self::MESSAGE_INTEGRITY_SHA256 => "MESSAGE-INTEGRITY-SHA256",
            Self::XOR_MAPPED_ADDRESS => "XOR-MAPPED-ADDRESS",
            Self::PRIORITY => "PRIORITY",
            Self::USE_CANDIDATE => "USE-CANDIDATE",
            Self::PASSWORD_ALGORITHMS => "PASSWORD-ALGORITHMS",
            Self::SOFTWARE => "SOFTWARE",
            Self::FINGERPRINT => "FINGERPRINT",
            Self::ICE_CONTROLLED => "ICE-CONTROLLED",
            Self::ICE_CONTROLLING => "ICE-CONTROLLING",
            Self::NOMINATION => "NOMINATION",
            Self::GOOG_MESSAGE_INTEGRITY_32 => "GOOG-MESSAGE-INTEGRITY-32",
            Self::DTLS_IN_STUN => "META-DTLS-IN-STUN",
            Self::DTLS_IN_STUN_ACK => "META-DTLS-IN-STUN-ACK",
            _ => return None,
        })
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttributeType({self})")
    }
}

/// What an attribute is to the parser. The last three are the tail of a message, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Nothing that is asked for.
    Other,
    UnknownRequired,
    Username,
    Priority,
    UseCandidate,
    Role,
    XorMappedAddress,
    ErrorCode,
    Nomination,
    DtlsInStun,
    DtlsInStunAck,
    Integrity32,
    Integrity,
    IntegritySha256,
    Fingerprint,
}

#[expect(
    clippy::indexing_slicing,
    reason = "each table is as long as its index can be"
)]
impl Kind {
    pub(crate) const COUNT: usize = Self::Fingerprint as usize + 1;

    /// Looked up for the first types, which most attributes of a check have.
    #[inline]
    pub(crate) fn of(attribute_type: AttributeType) -> Self {
        const FIRST: [Kind; 64] = {
            let mut kinds = [Kind::Other; 64];
            let mut number = 0;
            while number < kinds.len() {
                kinds[number] = Kind::classify(AttributeType(number as u16));
                number += 1;
            }
            kinds
        };
        match FIRST.get(usize::from(attribute_type.0)) {
            Some(kind) => *kind,
            None => Self::classify(attribute_type),
        }
    }

    /// How many bytes a value has that always has as many.
    #[inline]
    pub(crate) fn len(self) -> Option<usize> {
        const ANY: u8 = u8::MAX;
        const LENGTHS: [u8; Kind::COUNT] = {
            let mut lengths = [ANY; Kind::COUNT];
            lengths[Kind::UseCandidate as usize] = 0;
            lengths[Kind::Priority as usize] = 4;
            lengths[Kind::Nomination as usize] = 4;
            lengths[Kind::Integrity32 as usize] = 4;
            lengths[Kind::Fingerprint as usize] = 4;
            lengths[Kind::Role as usize] = 8;
            lengths[Kind::Integrity as usize] = 20;
            lengths
        };
        match LENGTHS[self as usize] {
            ANY => None,
            len => Some(len.into()),
        }
    }

    /// What does not count behind it, a bit for each kind: behind one of the tail only what comes later in it does.
    #[inline]
    fn hides(self) -> u16 {
        const HIDDEN: [u16; Kind::COUNT] = {
            let mut hidden = [0; Kind::COUNT];
            let mut tail = Kind::Integrity as usize;
            while tail < Kind::COUNT {
                hidden[tail] = (1 << (tail + 1)) - 1;
                tail += 1;
            }
            hidden
        };
        HIDDEN[self as usize]
    }

    #[inline]
    const fn classify(attribute_type: AttributeType) -> Self {
        match attribute_type {
            AttributeType::FINGERPRINT => Self::Fingerprint,
            AttributeType::ICE_CONTROLLING | AttributeType::ICE_CONTROLLED => Self::Role,
            AttributeType::USERNAME => Self::Username,
            AttributeType::PRIORITY => Self::Priority,
            AttributeType::USE_CANDIDATE => Self::UseCandidate,
            AttributeType::XOR_MAPPED_ADDRESS => Self::XorMappedAddress,
            AttributeType::ERROR_CODE => Self::ErrorCode,
            AttributeType::MESSAGE_INTEGRITY => Self::Integrity,
            AttributeType::MESSAGE_INTEGRITY_SHA256 => Self::IntegritySha256,
            AttributeType::NOMINATION => Self::Nomination,
            AttributeType::GOOG_MESSAGE_INTEGRITY_32 => Self::Integrity32,
            AttributeType::DTLS_IN_STUN => Self::DtlsInStun,
            AttributeType::DTLS_IN_STUN_ACK => Self::DtlsInStunAck,
            AttributeType::MAPPED_ADDRESS
            | AttributeType::UNKNOWN_ATTRIBUTES
            | AttributeType::REALM
            | AttributeType::NONCE => Self::Other,
            other if other.is_comprehension_required() => Self::UnknownRequired,
            _ => Self::Other,
        }
    }
}

/// One attribute as it stands in the message, padding excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type.
    pub attribute_type: AttributeType,
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Reads an attribute and skips its padding.
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let header = reader.take_u32()?;
        let len = usize::from(header as u16);
        let (value, _padding) = reader.take(padded(len))?.split_at_checked(len)?;
        let attribute_type = AttributeType((header >> 16) as u16);
        Some(Self {
            attribute_type,
            value,
        })
    }
}

/// A value's length with its padding. As a mask, because every attribute waits for the length of the one before it, and as a sum, which
/// is never less than the length.
#[inline]
pub(crate) const fn padded(len: usize) -> usize {
    len + (len.wrapping_neg() & 3)
}

/// Where an attribute's header begins, in words of four bytes from the start of the message: two bytes say what a slice takes
/// sixteen for, and the bytes there were checked when they were found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position(NonZeroU16);

impl Position {
    /// Of an attribute that begins so many bytes behind the start of its message: behind the header, so there is one.
    #[inline]
    pub(crate) fn at(offset: usize) -> Option<Self> {
        NonZeroU16::new((offset / 4) as u16).map(Self)
    }

    /// The attribute at this position.
    #[inline]
    pub(crate) fn attribute(self, message: &[u8]) -> Option<Attribute<'_>> {
        let (_, rest) = message.split_at_checked(self.offset())?;
        Attribute::read(&mut Reader::new(rest))
    }

    /// What stands before the attribute.
    #[inline]
    pub(crate) fn before(self, message: &[u8]) -> &[u8] {
        message.get(..self.offset()).unwrap_or_default()
    }

    #[inline]
    fn offset(self) -> usize {
        usize::from(self.0.get()) * 4
    }
}

/// A walk over the attributes. Hidden ones are still checked for framing.
///
/// ```text
/// others ──► Integrity ──► IntegritySha256 ──► Fingerprint
///   └──────────────┴────(each step may be skipped)────▲
/// ```
#[derive(Clone)]
pub(crate) struct Walk<'a> {
    reader: Reader<'a>,
    /// The length of the message: what was read and what remains.
    total: usize,
    /// What does not count any more, a bit for each kind.
    hidden: u16,
}

/// An attribute, and where it is.
pub(crate) struct Step<'a> {
    pub(crate) position: Option<Position>,
    pub(crate) kind: Kind,
    pub(crate) attribute: Attribute<'a>,
    /// Whether it counts, or is hidden by what stands before it.
    pub(crate) counts: bool,
}

impl<'a> Walk<'a> {
    /// `reader` stands behind the header.
    #[inline]
    pub(crate) fn new(reader: Reader<'a>) -> Self {
        Self {
            reader,
            total: HEADER_LEN + reader.remaining(),
            hidden: 0,
        }
    }

    /// The next attribute.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Step<'a>>, ParseError> {
        if self.reader.remaining() == 0 {
            return Ok(None);
        }
        let position = Position::at(self.total - self.reader.remaining());
        let attribute = Attribute::read(&mut self.reader).ok_or(ParseError::AttributeTruncated)?;
        let kind = Kind::of(attribute.attribute_type);
        let counts = self.hidden >> kind as u16 & 1 == 0;
        self.hidden |= kind.hides();
        Ok(Some(Step {
            position,
            kind,
            attribute,
            counts,
        }))
    }
}

/// The attributes of a parsed message: those that count, in order, duplicates included.
#[derive(Clone)]
pub struct Attributes<'a>(pub(crate) Walk<'a>);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // The message was walked once when it was parsed: an error cannot occur, and would merely end the walk.
            let step = self.0.next().ok().flatten()?;
            if step.counts {
                return Some(step.attribute);
            }
        }
    }
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.clone().map(|attribute| attribute.attribute_type))
            .finish()
    }
}
