//! Writing a message in place, in the caller's slice (RFC 8489 §5, §14).
//!
//! The order attributes → integrity → FINGERPRINT is fixed by type: [`Writer<Open>`](Open) takes attributes and becomes
//! [`Writer<Protected>`](Protected) by integrity, which takes none; `fingerprint` and `finish` end either. Running out of
//! buffer is noted and reported once, at the end, with the size the message would have needed.

use core::{fmt, marker::PhantomData, net::SocketAddr};

use crate::{
    attribute::{self, AttributeType, address, error_code::ErrorCode},
    error::WriteError,
    fingerprint::{self, FINGERPRINT_LEN},
    header::{self, Class, HEADER_LEN, Method, TransactionId},
    hmac::write_words,
    integrity::{IntegrityAlgorithm, IntegrityKey, MacKey, Sha1Key},
    message::RoleAttribute,
};

/// A message being written: attributes first, then integrity, then FINGERPRINT; the type of the stage holds to that order.
///
/// ```compile_fail,E0599
/// use floe_stun::{IntegrityKey, Method, TransactionId, Writer};
///
/// let key = IntegrityKey::short_term(b"a password of 22 bytes");
/// let mut buf = [0; 100];
/// let writer = Writer::request(&mut buf, Method::BINDING, TransactionId::from_bytes([0; 12]));
/// writer.integrity(&key).priority(1); // would not be authenticated, and does not compile
/// ```
#[must_use = "a message is complete only after `fingerprint` or `finish`"]
pub struct Writer<'b, Stage = Open> {
    buf: &'b mut [u8],
    /// Bytes written so far, or that would have been: beyond `buf.len()` the message has failed.
    len: usize,
    /// Why it cannot be finished, whatever the buffer.
    fault: Option<WriteError>,
    stage: PhantomData<Stage>,
}

/// The stage in which attributes can be added.
#[derive(Debug)]
pub enum Open {}

/// The stage behind message integrity: what is added now would not count.
#[derive(Debug)]
pub enum Protected {}

impl<'b> Writer<'b, Open> {
    /// Begins a request.
    #[inline]
    pub fn request(buf: &'b mut [u8], method: Method, id: TransactionId) -> Self {
        Self::begin(buf, Class::Request, method, id)
    }

    /// Begins an indication.
    #[inline]
    pub fn indication(buf: &'b mut [u8], method: Method, id: TransactionId) -> Self {
        Self::begin(buf, Class::Indication, method, id)
    }

    /// Begins a success response to the request with this method and id.
    #[inline]
    pub fn success(buf: &'b mut [u8], method: Method, id: TransactionId) -> Self {
        Self::begin(buf, Class::SuccessResponse, method, id)
    }

    /// Begins an error response to the request with this method and id. ERROR-CODE is its first attribute.
    pub fn error(buf: &'b mut [u8], method: Method, id: TransactionId, code: ErrorCode) -> Self {
        Self::begin(buf, Class::ErrorResponse, method, id).error_code(code)
    }

    #[inline]
    fn begin(buf: &'b mut [u8], class: Class, method: Method, id: TransactionId) -> Self {
        if let Some(front) = buf.first_chunk_mut() {
            *front = header::encode(class, method, id);
        }
        Self {
            buf,
            len: HEADER_LEN,
            fault: None,
            stage: PhantomData,
        }
    }

    /// USERNAME.
    pub fn username(self, username: &[u8]) -> Self {
        self.attribute(AttributeType::USERNAME, username)
    }

    /// USERNAME from the two fragments of an ICE check, `remote:local` (RFC 8445 §7.2.2).
    #[inline]
    pub fn ice_username(mut self, remote: impl AsRef<[u8]>, local: impl AsRef<[u8]>) -> Self {
        let (remote, local) = (remote.as_ref(), local.as_ref());
        let len = remote.len() + 1 + local.len();
        if let Some(value) = self.space(AttributeType::USERNAME, len) {
            join(value, remote, local);
        }
        self
    }

    /// PRIORITY.
    #[inline]
    pub fn priority(self, priority: u32) -> Self {
        self.fixed(AttributeType::PRIORITY, priority.to_be_bytes())
    }

    /// USE-CANDIDATE.
    #[inline]
    pub fn use_candidate(self) -> Self {
        self.fixed(AttributeType::USE_CANDIDATE, [])
    }

    /// ICE-CONTROLLING or ICE-CONTROLLED, with the tiebreaker.
    #[inline]
    pub fn role(self, role: RoleAttribute) -> Self {
        match role {
            RoleAttribute::Controlling(tiebreaker) => {
                self.fixed(AttributeType::ICE_CONTROLLING, tiebreaker.to_be_bytes())
            }
            RoleAttribute::Controlled(tiebreaker) => {
                self.fixed(AttributeType::ICE_CONTROLLED, tiebreaker.to_be_bytes())
            }
        }
    }

    /// XOR-MAPPED-ADDRESS. An IPv6 address is written as it is, without zone or flow label.
    #[inline]
    pub fn xor_mapped_address(self, address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => self.fixed(
                AttributeType::XOR_MAPPED_ADDRESS,
                address::encode_v4(*v4.ip(), v4.port()),
            ),
            SocketAddr::V6(v6) => {
                let value = address::encode_v6(*v6.ip(), v6.port(), &self.transaction_id());
                self.fixed(AttributeType::XOR_MAPPED_ADDRESS, value)
            }
        }
    }

    /// UNKNOWN-ATTRIBUTES: what a 420 is about.
    pub fn unknown_attributes(
        mut self,
        types: impl Iterator<Item = AttributeType> + Clone,
    ) -> Self {
        let len = 2 * types.clone().count();
        if let Some(value) = self.space(AttributeType::UNKNOWN_ATTRIBUTES, len) {
            for (slot, attribute_type) in value.chunks_exact_mut(2).zip(types) {
                slot.copy_from_slice(&attribute_type.number().to_be_bytes());
            }
        }
        self
    }

    /// NOMINATION.
    pub fn nomination(self, nomination: u32) -> Self {
        self.fixed(AttributeType::NOMINATION, nomination.to_be_bytes())
    }

    /// Any other attribute. Integrity and FINGERPRINT are computed by methods of their own; given here they make the message fail.
    pub fn attribute(mut self, attribute_type: AttributeType, value: &[u8]) -> Self {
        if attribute_type.is_computed() {
            self.fault = Some(WriteError::OutOfOrder);
        }
        if let Some(space) = self.space(attribute_type, value.len()) {
            space.copy_from_slice(value);
        }
        self
    }

    /// MESSAGE-INTEGRITY over all that is written so far: what ICE sends.
    #[inline]
    pub fn integrity(self, key: &IntegrityKey) -> Writer<'b, Protected> {
        self.integrity_as(IntegrityAlgorithm::Sha1, key)
    }

    /// MESSAGE-INTEGRITY over all that is written so far, by who has a key for nothing else.
    #[inline]
    pub fn integrity_sha1(self, key: &Sha1Key) -> Writer<'b, Protected> {
        self.protected(IntegrityAlgorithm::Sha1, key)
    }

    /// MESSAGE-INTEGRITY-SHA256 over all that is written so far.
    pub fn integrity_sha256(self, key: &IntegrityKey) -> Writer<'b, Protected> {
        self.integrity_as(IntegrityAlgorithm::Sha256, key)
    }

    /// The integrity attribute of this algorithm: an answer takes [`Verified::algorithm`](crate::Verified::algorithm) of its request.
    #[inline]
    pub fn integrity_as(
        self,
        algorithm: IntegrityAlgorithm,
        key: &IntegrityKey,
    ) -> Writer<'b, Protected> {
        self.protected(algorithm, key)
    }

    #[inline]
    fn protected(
        mut self,
        algorithm: IntegrityAlgorithm,
        key: &impl MacKey,
    ) -> Writer<'b, Protected> {
        let attribute_type = match algorithm {
            IntegrityAlgorithm::Sha1 => AttributeType::MESSAGE_INTEGRITY,
            IntegrityAlgorithm::Sha256 => AttributeType::MESSAGE_INTEGRITY_SHA256,
            IntegrityAlgorithm::Sha1Truncated32 => AttributeType::GOOG_MESSAGE_INTEGRITY_32,
        };
        let start = self.len;
        self.space(attribute_type, algorithm.mac_len());
        // The length that FINGERPRINT will want, while there is time: its CRC waits for what was written last.
        self.write_length(self.len + FINGERPRINT_LEN);
        let Self {
            buf, len, fault, ..
        } = self;
        // In too short a buffer there is nothing to authenticate: `seal` refuses.
        let written = buf
            .get_mut(..len)
            .is_none_or(|message| protect(message, start, algorithm, key));
        Writer {
            buf,
            len,
            fault: match written {
                true => fault,
                false => Some(WriteError::KeyWithoutSha256),
            },
            stage: PhantomData,
        }
    }

    /// As it stands in the buffer; a buffer too short for it makes a message that fails.
    fn transaction_id(&self) -> TransactionId {
        let id = self
            .buf
            .get(8..HEADER_LEN)
            .and_then(|id| id.try_into().ok());
        TransactionId::from_bytes(id.unwrap_or_default())
    }

    fn error_code(mut self, code: ErrorCode) -> Self {
        let phrase = code.reason_phrase().as_bytes();
        if let Some(value) = self.space(AttributeType::ERROR_CODE, 4 + phrase.len()) {
            let (number, reason) = value.split_at_mut(4);
            number.copy_from_slice(&code.encode());
            reason.copy_from_slice(phrase);
        }
        self
    }

    #[inline]
    fn fixed<const N: usize>(mut self, attribute_type: AttributeType, value: [u8; N]) -> Self {
        if let Some(space) = self.space(attribute_type, N) {
            space.copy_from_slice(&value);
        }
        self
    }
}

impl<Stage> Writer<'_, Stage> {
    /// FINGERPRINT, and the end: the length of the message in bytes.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the message does not fit the buffer, or STUN. The buffer's content is then of no use.
    #[inline]
    pub fn fingerprint(mut self) -> Result<usize, WriteError> {
        self.space(AttributeType::FINGERPRINT, 4);
        let total = self.seal()?;
        seal_with_crc(self.buf.get_mut(..total).unwrap_or_default());
        Ok(total)
    }

    /// The end without FINGERPRINT: the length of the message in bytes.
    ///
    /// # Errors
    ///
    /// As [`fingerprint`](Self::fingerprint).
    pub fn finish(mut self) -> Result<usize, WriteError> {
        self.seal()
    }

    /// Ends the message.
    #[inline]
    fn seal(&mut self) -> Result<usize, WriteError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.len - HEADER_LEN > u16::MAX.into() {
            return Err(WriteError::MessageTooLong);
        }
        if self.len > self.buf.len() {
            return Err(WriteError::BufferTooShort { needed: self.len });
        }
        self.write_length(self.len);
        Ok(self.len)
    }

    /// Writes the length field of a message of `len` bytes, unless it says so already.
    #[inline]
    fn write_length(&mut self, len: usize) {
        let length = (len - HEADER_LEN) as u16;
        if let Some([_, _, l0, l1]) = self.buf.first_chunk_mut()
            && u16::from_be_bytes([*l0, *l1]) != length
        {
            [*l0, *l1] = length.to_be_bytes();
        }
    }

    /// Writes an attribute's header and padding, and lends the space of its value.
    #[inline]
    fn space(&mut self, attribute_type: AttributeType, len: usize) -> Option<&mut [u8]> {
        let start = self.len;
        self.len += 4 + attribute::padded(len);
        let (header, padded) = self.buf.get_mut(start..self.len)?.split_first_chunk_mut()?;
        let [t0, t1] = attribute_type.number().to_be_bytes();
        // Too long a value makes too long a message, which `seal` refuses.
        let [l0, l1] = (len as u16).to_be_bytes();
        *header = [t0, t1, l0, l1];
        // The padding, and what of the value stands beside it.
        if let Some(last) = padded.last_chunk_mut() {
            *last = [0; 4];
        }
        padded.get_mut(..len)
    }
}

// The work is done by functions that know nothing of the writer, whose fields stay in registers meanwhile.

/// The two fragments of an ICE check with a colon between them, which are as long as `value`.
fn join(value: &mut [u8], remote: &[u8], local: &[u8]) {
    let (left, right) = value.split_at_mut(remote.len());
    left.copy_from_slice(remote);
    if let Some((colon, right)) = right.split_first_mut() {
        *colon = b':';
        right.copy_from_slice(local);
    }
}

/// Fills in the value of the integrity attribute that stands at `start`, at the end of the message. Whether the key has what it takes.
fn protect(
    message: &mut [u8],
    start: usize,
    algorithm: IntegrityAlgorithm,
    key: &impl MacKey,
) -> bool {
    let (covered, attribute) = message.split_at_mut(start);
    let (_, value) = attribute.split_at_mut(4);
    let mac_len = algorithm.mac_len();
    let written = key.with_mac(
        algorithm,
        covered,
        mac_len,
        || (),
        |mac, ()| write_words(value, mac),
    );
    written.is_some()
}

/// Fills in the value of FINGERPRINT, the message's last attribute.
fn seal_with_crc(message: &mut [u8]) {
    if let Some((covered, attribute)) = message.split_last_chunk_mut::<FINGERPRINT_LEN>()
        && let Some(value) = attribute.last_chunk_mut()
    {
        *value = fingerprint::compute(covered).to_be_bytes();
    }
}

impl<Stage> fmt::Debug for Writer<'_, Stage> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("len", &self.len)
            .field("capacity", &self.buf.len())
            .finish_non_exhaustive()
    }
}
