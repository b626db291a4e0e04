//! The handshake messages so far, as both sides hash them (RFC 6347 §4.2.6, RFC 5246 §7.4.9).
//!
//! Kept as bytes until the handshake is complete: CertificateVerify signs the messages themselves, with the hash of the
//! signature scheme, which is not known when the first of them is sent. Dropped as a whole afterwards.

use rustls::crypto::hash::{Hash, Output};

/// Room for a mutual handshake with usual certificates.
const USUAL: usize = 2048;

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

    /// Adds a whole message, header and body.
    pub(crate) fn add(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
    }

    /// What CertificateVerify signs.
    pub(crate) fn messages(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn hash(&self, hash: &dyn Hash) -> Output {
        hash.hash(&self.bytes)
    }
}

impl std::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transcript({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
impl Transcript {
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
