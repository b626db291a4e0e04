//! The 20 bytes every STUN message begins with: class and method, length, magic cookie, transaction id (RFC 8489 §5).

use core::fmt;

use crate::{error::ParseError, reader::Reader};

/// Length of the header in bytes.
pub(crate) const HEADER_LEN: usize = 20;

pub(crate) const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();

/// Whether a datagram claims to be STUN: first byte 0 to 3 (RFC 9443 §3), magic cookie, and a length that is exactly the datagram's.
///
/// This is the demultiplexing test, a handful of instructions. It promises nothing about the attributes.
#[must_use]
#[inline]
pub fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(0..=3)) && Header::read(datagram).is_ok()
}

/// A header, read where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Header<'a> {
    /// Checks the header of a whole message; the reader returned stands on the first attribute.
    #[inline]
    pub(crate) fn read(message: &'a [u8]) -> Result<(Self, Reader<'a>), ParseError> {
        let (header, attributes): (&[u8; HEADER_LEN], _) = message
            .split_first_chunk()
            .ok_or(ParseError::HeaderTruncated)?;
        let &[t0, _, l0, l1, c0, c1, c2, c3, ..] = header;
        if t0 & 0xC0 != 0 {
            return Err(ParseError::NotStun);
        }
        if [c0, c1, c2, c3] != MAGIC_COOKIE {
            return Err(ParseError::NoMagicCookie);
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length != attributes.len() || !length.is_multiple_of(4) {
            return Err(ParseError::LengthMismatch);
        }
        Ok((Self(header), Reader::new(attributes)))
    }

    #[inline]
    pub(crate) fn class(self) -> Class {
        Class::of_type(self.message_type())
    }

    #[inline]
    pub(crate) fn method(self) -> Method {
        Method::of_type(self.message_type())
    }

    #[inline]
    pub(crate) fn transaction_id(self) -> TransactionId {
        let [_, _, _, _, _, _, _, _, id @ ..] = self.0;
        TransactionId(*id)
    }

    #[inline]
    fn message_type(self) -> u16 {
        let &[t0, t1, ..] = self.0;
        u16::from_be_bytes([t0, t1])
    }
}

/// A header's bytes, with a zero length.
pub(crate) fn encode(class: Class, method: Method, id: TransactionId) -> [u8; HEADER_LEN] {
    let [t0, t1] = (class.type_bits() | method.type_bits()).to_be_bytes();
    let [c0, c1, c2, c3] = MAGIC_COOKIE;
    let [i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11] = id.0;
    [
        t0, t1, 0, 0, c0, c1, c2, c3, i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11,
    ]
}

/// The class of a message (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Expects a response.
    Request,
    /// Expects none.
    Indication,
    /// The request was carried out.
    SuccessResponse,
    /// The request was refused; the ERROR-CODE attribute says why.
    ErrorResponse,
}

impl Class {
    /// Whether this is one of the two response classes.
    #[must_use]
    #[inline]
    pub fn is_response(self) -> bool {
        matches!(self, Self::SuccessResponse | Self::ErrorResponse)
    }

    #[inline]
    fn of_type(message_type: u16) -> Self {
        match message_type & 0x0110 {
            0x0000 => Self::Request,
            0x0010 => Self::Indication,
            0x0100 => Self::SuccessResponse,
            _ => Self::ErrorResponse,
        }
    }

    #[inline]
    fn type_bits(self) -> u16 {
        match self {
            Self::Request => 0x0000,
            Self::Indication => 0x0010,
            Self::SuccessResponse => 0x0100,
            Self::ErrorResponse => 0x0110,
        }
    }
}

/// A STUN method, 0 to 0xFFF (RFC 8489 §18.2).
///
/// It is kept as it stands in a message's type, the class bits between its own: `M11–M7 C1 M6–M4 C0 M3–M0`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// Binding: the one method of STUN itself, and of ICE.
    pub const BINDING: Self = Self::spread(0x001);
    /// GOOG_PING: libwebrtc's short connectivity check, authenticated by 32 bits only.
    pub const GOOG_PING: Self = Self::spread(0x080);

    /// A method by number; `None` above 0xFFF.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number <= 0xFFF {
            Some(Self::spread(number))
        } else {
            None
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        (self.0 & 0x000F) | (self.0 & 0x00E0) >> 1 | (self.0 & 0x3E00) >> 2
    }

    const fn spread(number: u16) -> Self {
        Self((number & 0x000F) | (number & 0x0070) << 1 | (number & 0x0F80) << 2)
    }

    #[inline]
    fn of_type(message_type: u16) -> Self {
        Self(message_type & 0x3EEF)
    }

    #[inline]
    fn type_bits(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Method").field(&self.number()).finish()
    }
}

/// The 96 bits that tie a response to its request (RFC 8489 §5).
///
/// Minted by [`TransactionIds`](crate::TransactionIds). All 96 bits count when two are compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId([u8; 12]);

impl TransactionId {
    /// The transaction id of a message of which only the beginning is there, as when an ICMP error quotes it. `None`
    /// without the 20 bytes of a STUN header.
    #[must_use]
    pub fn quoted(beginning: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = beginning.first_chunk()?;
        let &[t0, _, _, _, c0, c1, c2, c3, ..] = header;
        let stun = t0 & 0xC0 == 0 && [c0, c1, c2, c3] == MAGIC_COOKIE;
        stun.then(|| Header(header).transaction_id())
    }

    /// An id from its bytes in network order.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Its bytes in network order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransactionId(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [Class; 4] = [
        Class::Request,
        Class::Indication,
        Class::SuccessResponse,
        Class::ErrorResponse,
    ];

    #[test]
    fn class_and_method_share_the_type_without_touching_each_other() {
        for class in CLASSES {
            for number in 0..=0xFFF {
                let method = Method::new(number).unwrap();
                let message_type = class.type_bits() | method.type_bits();
                assert_eq!(message_type & 0xC000, 0);
                assert_eq!(Class::of_type(message_type), class);
                assert_eq!(Method::of_type(message_type), method);
            }
        }
        assert_eq!(Method::new(0x1000), None);
    }

    #[test]
    fn types_on_the_wire_are_the_registered_ones() {
        let wire = |class: Class, method: Method| class.type_bits() | method.type_bits();
        assert_eq!(wire(Class::Request, Method::BINDING), 0x0001);
        assert_eq!(wire(Class::Indication, Method::BINDING), 0x0011);
        assert_eq!(wire(Class::SuccessResponse, Method::BINDING), 0x0101);
        assert_eq!(wire(Class::ErrorResponse, Method::BINDING), 0x0111);
        assert_eq!(wire(Class::Request, Method::GOOG_PING), 0x0200);
        assert_eq!(wire(Class::SuccessResponse, Method::GOOG_PING), 0x0300);
    }

    #[test]
    fn demultiplexing_wants_first_byte_cookie_and_exact_length() {
        let id = TransactionId::from_bytes([7; 12]);
        let header = |method| encode(Class::Request, method, id);
        let good = header(Method::BINDING);
        assert!(is_stun(&good));
        assert!(!is_stun(&good[..19]));
        assert!(!is_stun(&[&good[..], &[0; 4]].concat()));
        let mut other = good;
        other[3] = 4;
        assert!(!is_stun(&other));
        let mut other = good;
        other[4] ^= 1;
        assert!(!is_stun(&other));
        // A method above 0x0FF would put 4 or more in the first byte, which belongs to others on a shared port.
        assert!(!is_stun(&header(Method::new(0x100).unwrap())));
        assert!(Header::read(&header(Method::new(0x100).unwrap())).is_ok());
        assert!(!is_stun(&[]));
    }
}
