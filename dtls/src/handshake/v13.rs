//! The parts of the DTLS 1.3 scripts that both sides have: Certificate, CertificateVerify and Finished (RFC 8446 §4.4).
//!
//! All of them are of epoch 2. What is signed and authenticated is the hash of the transcript before the message itself.

use crate::certificate::{PublicKey, SignatureVerified};
use crate::config::Side;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::{Context, FinishedVerified, unexpected};
use crate::key_schedule::v13::HandshakeTraffic;
use crate::msgs::certificate::DigitallySigned;
use crate::msgs::certificate_v13::{CertificateV13, FinishedV13};
use crate::msgs::codec::{Codec, List};
use crate::msgs::enums::{HandshakeType, ProtocolVersion, SignatureScheme};
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::transcript::{Messages, TranscriptHash};

const VERSION: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// What a CertificateVerify signs (RFC 8446 §4.4.3): so that no signature of one side, or of another protocol, can be
/// taken for it.
struct SignedContent {
    bytes: [u8; Self::PADDING + Self::CONTEXT + Self::HASH_MAX],
    len: usize,
}

impl SignedContent {
    const PADDING: usize = 64;
    const CONTEXT: usize = 34;
    const HASH_MAX: usize = 64;

    fn new(side: Side, transcript: &TranscriptHash) -> Self {
        let context: &[u8; Self::CONTEXT] = match side {
            Side::Client => b"TLS 1.3, client CertificateVerify\0",
            Side::Server => b"TLS 1.3, server CertificateVerify\0",
        };
        let hash = transcript.current();
        let mut bytes = [0x20; Self::PADDING + Self::CONTEXT + Self::HASH_MAX];
        let (_, behind) = bytes.split_at_mut(Self::PADDING);
        for (to, from) in behind.iter_mut().zip(context.iter().chain(hash.as_ref())) {
            *to = *from;
        }
        Self {
            bytes,
            len: Self::PADDING + Self::CONTEXT + hash.as_ref().len(),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Our certificate, or the empty list of a client that has none for its peer.
pub(crate) fn say_certificate(
    der: Option<&[u8]>,
    transcript: &mut TranscriptHash,
    cx: &mut Context<'_>,
) {
    cx.say(
        transcript,
        Epoch::HANDSHAKE,
        HandshakeType::CERTIFICATE,
        |out| CertificateV13::ours(der).encode(out),
    );
}

/// The certificate in the peer's Certificate, if there is one. We ask for no extension of it.
pub(crate) fn read_certificate(message: &Message) -> Result<Option<&[u8]>, Error> {
    if message.handshake_type != HandshakeType::CERTIFICATE {
        return Err(unexpected());
    }
    let certificate = CertificateV13::read_all(message.body())?;
    if !certificate.context.is_empty() {
        return Err(PeerMisbehaved::RequestContextDoesNotFit.into());
    }
    if certificate.has_extensions() {
        return Err(PeerMisbehaved::UnsolicitedExtension.into());
    }
    Ok(certificate.end_entity.map(|entry| entry.der))
}

/// The proof that our certificate is ours, by one of the schemes the peer takes.
pub(crate) fn say_certificate_verify(
    side: Side,
    schemes: List<'_, SignatureScheme>,
    transcript: &mut TranscriptHash,
    cx: &mut Context<'_>,
) -> Result<(), Error> {
    let content = SignedContent::new(side, transcript);
    let (scheme, signature) =
        cx.config
            .identity
            .sign(cx.config.backend, VERSION, schemes, content.as_bytes())?;
    let signed = DigitallySigned {
        scheme,
        signature: &signature,
    };
    cx.say(
        transcript,
        Epoch::HANDSHAKE,
        HandshakeType::CERTIFICATE_VERIFY,
        |out| signed.encode(out),
    );
    Ok(())
}

/// The peer's proof that the certificate is its own, over the transcript before it; the message is added to that.
pub(crate) fn check_certificate_verify(
    peer: Side,
    certificate: &[u8],
    transcript: &mut TranscriptHash,
    message: &Message,
    cx: &Context<'_>,
) -> Result<SignatureVerified, Error> {
    if message.handshake_type != HandshakeType::CERTIFICATE_VERIFY {
        return Err(unexpected());
    }
    let signed = DigitallySigned::read_all(message.body())?;
    let content = SignedContent::new(peer, transcript);
    let verified = PublicKey::of(certificate)?.verify(
        cx.config.backend,
        VERSION,
        content.as_bytes(),
        signed,
    )?;
    transcript.add(&message.bytes);
    Ok(verified)
}

/// Our Finished, under the secret of our handshake traffic.
pub(crate) fn say_finished(
    side: Side,
    traffic: &HandshakeTraffic,
    transcript: &mut TranscriptHash,
    cx: &mut Context<'_>,
) {
    let verify_data = traffic.verify_data(side, transcript.current().as_ref());
    let finished = FinishedV13 {
        verify_data: verify_data.as_ref(),
    };
    cx.say(
        transcript,
        Epoch::HANDSHAKE,
        HandshakeType::FINISHED,
        |out| finished.encode(out),
    );
}

/// The peer's Finished over the transcript before it; the message is added to that.
pub(crate) fn check_finished(
    peer: Side,
    traffic: &HandshakeTraffic,
    transcript: &mut TranscriptHash,
    message: &Message,
) -> Result<FinishedVerified, Error> {
    if message.handshake_type != HandshakeType::FINISHED {
        return Err(unexpected());
    }
    let received = FinishedV13::read_all(message.body())?;
    let expected = traffic.verify_data(peer, transcript.current().as_ref());
    let verified = FinishedVerified::check(expected.as_ref(), received.verify_data)?;
    transcript.add(&message.bytes);
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::Hash;
    use crate::transcript::Transcript;

    // req: T3
    #[test]
    fn what_is_signed_names_its_side_before_the_hash() {
        for (hash, hash_len) in [(Hash::Sha256, 32), (Hash::Sha384, 48)] {
            let transcript = Transcript::begin(&[1; 12]).v13(hash);
            for (side, context) in [
                (Side::Client, &b"TLS 1.3, client CertificateVerify\0"[..]),
                (Side::Server, b"TLS 1.3, server CertificateVerify\0"),
            ] {
                let content = SignedContent::new(side, &transcript);
                let hash = transcript.current();
                assert_eq!(hash.as_ref().len(), hash_len);
                let expected = [&[b' '; 64], context, hash.as_ref()].concat();
                assert_eq!(content.as_bytes(), expected);
            }
        }
    }
}
