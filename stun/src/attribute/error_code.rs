//! ERROR-CODE (RFC 8489 §14.8): the numbers, and the phrases that go with them.

use core::fmt;

use crate::reader::Reader;

/// The number in an ERROR-CODE attribute, 300 to 699.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(u16);

impl ErrorCode {
    /// 300: use another server.
    pub const TRY_ALTERNATE: Self = Self(300);
    /// 400: the request was malformed.
    pub const BAD_REQUEST: Self = Self(400);
    /// 401: the request did not carry the right credentials.
    pub const UNAUTHENTICATED: Self = Self(401);
    /// 403: consent is withdrawn (RFC 7675 §5.2).
    pub const FORBIDDEN: Self = Self(403);
    /// 420: the request carried comprehension-required attributes that the server does not know.
    pub const UNKNOWN_ATTRIBUTE: Self = Self(420);
    /// 438: the nonce has expired.
    pub const STALE_NONCE: Self = Self(438);
    /// 487: both agents claim the same role (RFC 8445 §7.3.1.1).
    pub const ROLE_CONFLICT: Self = Self(487);
    /// 500: the server failed.
    pub const SERVER_ERROR: Self = Self(500);

    /// A code by number; `None` outside 300 to 699.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if matches!(number, 300..=699) {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The recommended reason phrase; empty for a code without a constant.
    #[must_use]
    pub const fn reason_phrase(self) -> &'static str {
        match self {
            Self::TRY_ALTERNATE => "Try Alternate",
            Self::BAD_REQUEST => "Bad Request",
            Self::UNAUTHENTICATED => "Unauthenticated",
            Self::FORBIDDEN => "Forbidden",
            Self::UNKNOWN_ATTRIBUTE => "Unknown Attribute",
            Self::STALE_NONCE => "Stale Nonce",
            Self::ROLE_CONFLICT => "Role Conflict",
            Self::SERVER_ERROR => "Server Error",
            _ => "",
        }
    }

    /// Reads the number from the attribute's value. The reason phrase behind it is for humans and not looked at.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let [_, _, class, number] = Reader::new(value).take_array()?;
        match (class & 0x07, number) {
            (hundreds @ 3..=6, 0..=99) => Self::new(u16::from(hundreds) * 100 + u16::from(number)),
            _ => None,
        }
    }

    /// The four bytes that precede the reason phrase.
    pub(crate) fn encode(self) -> [u8; 4] {
        [0, 0, (self.0 / 100) as u8, (self.0 % 100) as u8]
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason_phrase() {
            "" => write!(f, "{}", self.0),
            phrase => write!(f, "{} {phrase}", self.0),
        }
    }
}
