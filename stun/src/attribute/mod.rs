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
    pub(crate) const fn is_unknown_required(self) -> bool {
        let known = matches!(
            self,
            Self::MAPPED_ADDRESS
                | Self::USERNAME
                | Self::MESSAGE_INTEGRITY
                | Self::ERROR_CODE
                | Self::UNKNOWN_ATTRIBUTES
                | Self::REALM
                | Self::NONCE
                | Self::MESSAGE_INTEGRITY_SHA256
                | Self::XOR_MAPPED_ADDRESS
                | Self::PRIORITY
                | Self::USE_CANDIDATE
        );
        self.is_comprehension_required() && !known
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
        let [t0, t1, l0, l1] = reader.take_array()?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let (value, _padding) = reader.take(padded(len))?.split_at_checked(len)?;
        let attribute_type = AttributeType(u16::from_be_bytes([t0, t1]));
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
    /// Of an attribute that begins so many bytes behind the start of its message: behind the header, so never 0.
    #[inline]
    fn at(offset: usize) -> Self {
        Self(NonZeroU16::new((offset / 4) as u16).unwrap_or(NonZeroU16::MIN))
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

/// A walk over the attributes that count. Hidden ones are still checked for framing.
#[derive(Clone)]
pub(crate) struct Walk<'a> {
    reader: Reader<'a>,
    /// The length of the message: what was read and what remains.
    total: usize,
    stage: Stage,
}

impl<'a> Walk<'a> {
    /// `reader` stands behind the header.
    #[inline]
    pub(crate) fn new(reader: Reader<'a>) -> Self {
        Self {
            reader,
            total: HEADER_LEN + reader.remaining(),
            stage: Stage::Attributes,
        }
    }

    /// The next attribute that counts, and where it is.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(Position, Attribute<'a>)>, ParseError> {
        while self.reader.remaining() > 0 {
            let position = Position::at(self.total - self.reader.remaining());
            let attribute =
                Attribute::read(&mut self.reader).ok_or(ParseError::AttributeTruncated)?;
            let stage = Stage::of(attribute.attribute_type);
            if self.stage.admits(stage) {
                self.stage = stage;
                return Ok(Some((position, attribute)));
            }
        }
        Ok(None)
    }
}

/// How far the tail of a message has been read.
///
/// ```text
/// Attributes ──► Integrity ──► IntegritySha256 ──► Fingerprint
///     └──────────────┴────(each step may be skipped)────▲
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Attributes,
    Integrity,
    IntegritySha256,
    Fingerprint,
}

impl Stage {
    /// The stage that such an attribute belongs to.
    #[inline]
    fn of(attribute_type: AttributeType) -> Self {
        match attribute_type {
            AttributeType::MESSAGE_INTEGRITY => Self::Integrity,
            AttributeType::MESSAGE_INTEGRITY_SHA256 => Self::IntegritySha256,
            AttributeType::FINGERPRINT => Self::Fingerprint,
            _ => Self::Attributes,
        }
    }

    /// Whether an attribute of this stage counts here; the others are to be ignored.
    #[inline]
    fn admits(self, stage: Self) -> bool {
        self == Self::Attributes || self < stage
    }
}

/// The attributes of a parsed message: those that count, in order, duplicates included.
#[derive(Clone)]
pub struct Attributes<'a>(pub(crate) Walk<'a>);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // The message was walked once when it was parsed: an error cannot occur, and would merely end the walk.
        self.0.next().ok().flatten().map(|(_, attribute)| attribute)
    }
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.clone().map(|attribute| attribute.attribute_type))
            .finish()
    }
}
