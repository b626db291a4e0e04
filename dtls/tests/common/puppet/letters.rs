//! The alphabet: every handshake message a peer can say, with the variants that must not be believed.

/// Which certificate a message carries, or whose key signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// The one whose fingerprint was signalled.
    Signalled,
    /// Anybody else.
    Stranger,
    Nobody,
}

/// One handshake message. Where it fits, it is exactly what an honest peer would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Letter {
    HelloRequest,
    ClientHello,
    /// DTLS 1.3: supports the server's group, has no share in it.
    ClientHelloWithoutShare,
    HelloVerifyRequest,
    HelloRetryRequest,
    ServerHello,
    EncryptedExtensions,
    Certificate(Who),
    ServerKeyExchange,
    /// Signed by the key of nobody's certificate.
    ServerKeyExchangeForged,
    CertificateRequest,
    ServerHelloDone,
    ClientKeyExchange,
    /// Signed by the key of the certificate that was presented.
    CertificateVerify,
    /// Signed by another key.
    CertificateVerifyForged,
    Finished,
    /// Protected as it should be, over another transcript.
    FinishedForged,
    /// The right content, not protected.
    FinishedPlain,
    /// DTLS 1.3: an empty Certificate message, not protected.
    CertificatePlain,
    NewSessionTicket,
    KeyUpdate,
    EndOfEarlyData,
    CertificateStatus,
    /// The synthetic message of RFC 8446 §4.4.1, which is never sent.
    MessageHash,
}

impl Letter {
    pub const ALL: [Self; 26] = [
        Self::HelloRequest,
        Self::ClientHello,
        Self::ClientHelloWithoutShare,
        Self::HelloVerifyRequest,
        Self::HelloRetryRequest,
        Self::ServerHello,
        Self::EncryptedExtensions,
        Self::Certificate(Who::Signalled),
        Self::Certificate(Who::Stranger),
        Self::Certificate(Who::Nobody),
        Self::ServerKeyExchange,
        Self::ServerKeyExchangeForged,
        Self::CertificateRequest,
        Self::ServerHelloDone,
        Self::ClientKeyExchange,
        Self::CertificateVerify,
        Self::CertificateVerifyForged,
        Self::Finished,
        Self::FinishedForged,
        Self::FinishedPlain,
        Self::CertificatePlain,
        Self::NewSessionTicket,
        Self::KeyUpdate,
        Self::EndOfEarlyData,
        Self::CertificateStatus,
        Self::MessageHash,
    ];
}

impl super::Version {
    /// Those that are something of their own in this version.
    pub fn letters(self) -> impl Iterator<Item = Letter> {
        let only_13 = [Letter::ClientHelloWithoutShare, Letter::CertificatePlain];
        Letter::ALL
            .into_iter()
            .filter(move |letter| self == Self::V13 || !only_13.contains(letter))
    }
}
