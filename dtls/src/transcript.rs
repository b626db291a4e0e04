//! The handshake messages so far, as both sides hash them (RFC 6347 §4.2.6, RFC 5246 §7.4.9; RFC 8446 §4.4.1, RFC 9147 §5.2).
//!
//! ```text
//!                        DTLS 1.2: the messages and their running hash
//!   ClientHello ──▶ Transcript ── v12 ────────▶ SessionTranscript ───────────────────────────▶
//!                       │ DTLS 1.3: the running hash alone
//!                       ├── v13 ───────────────▶ TranscriptHash ─────────────────────────────▶
//!                       └── v13_after_retry ──▶ message_hash(ClientHello1), HelloRetryRequest ▶
//! ```
//!
//! DTLS 1.2 keeps the bytes too: its CertificateVerify signs them with the hash of the signature scheme, which is not known
//! when the first of them is sent. DTLS 1.3 hashes them as TLS has them, without the fields that DTLS adds to the header.

use crate::crypto::hash::{Digest, Hash, Running};
use crate::msgs::enums::HandshakeType;
use crate::msgs::handshake::HandshakeHeader;

/// Room for a mutual handshake with usual certificates.
const USUAL: usize = 2048;

/// The type and the length that TLS has in its handshake header, and DTLS has first.
const TLS_HEADER: usize = 4;

/// What a message that is said or heard is added to.
pub(crate) trait Messages {
    /// Adds a whole message: its header as a single fragment, and its body.
    fn add(&mut self, message: &[u8]);
}

/// The messages before the version is known.
pub(crate) struct Transcript {
    bytes: Vec<u8>,
}

impl Transcript {
    /// Begins with the ClientHello that is answered: one that only got a HelloVerifyRequest does not count, nor does the
    /// HelloVerifyRequest.
    pub(crate) fn begin(client_hello: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(USUAL.max(client_hello.len()));
        bytes.extend_from_slice(client_hello);
        Self { bytes }
    }

    /// The version is DTLS 1.2, and this the hash of its suite.
    pub(crate) fn v12(self, hash: Hash) -> SessionTranscript {
        let mut running = hash.start();
        running.update(&self.bytes);
        SessionTranscript {
            messages: self,
            running,
        }
    }

    /// The version is DTLS 1.3: the ClientHello, which is all there is, is hashed.
    pub(crate) fn v13(&self, hash: Hash) -> TranscriptHash {
        let mut transcript = TranscriptHash::new(hash);
        transcript.add(&self.bytes);
        transcript
    }

    /// As [`Self::v13`], but the ClientHello is answered by a HelloRetryRequest: only its hash counts.
    pub(crate) fn v13_after_retry(&self, hash: Hash) -> TranscriptHash {
        TranscriptHash::after_retry(hash, self.v13(hash).current().as_ref())
    }
}

impl Messages for Transcript {
    fn add(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
    }
}

impl std::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transcript({} bytes)", self.bytes.len())
    }
}

/// The messages of DTLS 1.2 and their hash.
#[derive(Debug)]
pub(crate) struct SessionTranscript {
    messages: Transcript,
    running: Running,
}

impl SessionTranscript {
    /// What CertificateVerify signs.
    pub(crate) fn messages(&self) -> &[u8] {
        &self.messages.bytes
    }

    /// The hash of all messages so far.
    pub(crate) fn current(&self) -> Digest {
        self.running.current()
    }
}

impl Messages for SessionTranscript {
    fn add(&mut self, message: &[u8]) {
        self.messages.add(message);
        self.running.update(message);
    }
}

/// The running hash of DTLS 1.3.
#[derive(Debug)]
pub(crate) struct TranscriptHash {
    running: Running,
}

impl TranscriptHash {
    fn new(hash: Hash) -> Self {
        Self {
            running: hash.start(),
        }
    }

    /// Begins with the hash of a ClientHello that is answered by a HelloRetryRequest, which is added next: all that a
    /// stateless server has kept of it in its cookie.
    pub(crate) fn after_retry(hash: Hash, client_hello: &[u8]) -> Self {
        let mut transcript = Self::new(hash);
        let length = client_hello.len() as u8;
        transcript
            .running
            .update(&[HandshakeType::MESSAGE_HASH.0, 0, 0, length]);
        transcript.running.update(client_hello);
        transcript
    }

    /// The hash of all messages so far.
    pub(crate) fn current(&self) -> Digest {
        self.running.current()
    }
}

impl Messages for TranscriptHash {
    fn add(&mut self, message: &[u8]) {
        let header = message.get(..TLS_HEADER).unwrap_or_default();
        let body = message.get(HandshakeHeader::LEN..).unwrap_or_default();
        self.running.update(header);
        self.running.update(body);
    }
}

#[cfg(test)]
impl Transcript {
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256, Sha384};

    use super::*;
    fn message(handshake_type: HandshakeType, seq: u16, body: &[u8]) -> Vec<u8> {
        let header = HandshakeHeader::whole(handshake_type, seq, body.len() as u32);
        [&header.to_bytes()[..], body].concat()
    }

    // req: T1
    #[test]
    fn one_version_hashes_the_header_of_dtls_and_the_other_that_of_tls() {
        let transcript = Transcript::begin(&message(HandshakeType::CLIENT_HELLO, 0, b"hello"));
        let mut running = transcript.v13(Hash::Sha256);
        let mut session = transcript.v12(Hash::Sha384);
        let answer = message(HandshakeType::SERVER_HELLO, 1, b"hi");
        session.add(&answer);
        running.add(&answer);
        let v12 = b"\x01\0\0\x05\0\0\0\0\0\0\0\x05hello\x02\0\0\x02\0\x01\0\0\0\0\0\x02hi";
        assert_eq!(session.messages(), v12);
        assert_eq!(session.current().as_ref(), &Sha384::digest(v12)[..]);
        let v13 = Sha256::digest(b"\x01\0\0\x05hello\x02\0\0\x02hi");
        assert_eq!(running.current().as_ref(), &v13[..]);
    }

    // req: T1
    #[test]
    fn a_client_hello_that_is_answered_by_a_retry_counts_by_its_hash() {
        let transcript = Transcript::begin(&message(HandshakeType::CLIENT_HELLO, 0, b"hello"));
        let mut running = transcript.v13_after_retry(Hash::Sha384);
        running.add(&message(HandshakeType::SERVER_HELLO, 0, b"again"));
        let expected = Sha384::new()
            .chain_update([254, 0, 0, 48])
            .chain_update(Sha384::digest(b"\x01\0\0\x05hello"))
            .chain_update(b"\x02\0\0\x05again")
            .finalize();
        assert_eq!(running.current().as_ref(), &expected[..]);
    }
}
