//! The client's script of DTLS 1.3 after the ServerHello (RFC 8446 §2, RFC 9147 §5).
//!
//! ```text
//!   ◀── EncryptedExtensions
//!   ◀── CertificateRequest*
//!   ◀── Certificate
//!   ◀── CertificateVerify
//!   ◀── Finished
//!       Certificate*, CertificateVerify*, Finished ──▶
//! ```

mod hello;

pub(super) use self::hello::{check_hello, check_retry};
use super::ClientState;
use super::offer::{self, Offer};
use crate::certificate::{PublicKey, SignatureVerified};
use crate::config::Side;
use crate::crypto::{KnownSchemes, SuiteV13};
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::v13::{
    check_certificate_verify, check_finished, read_certificate, say_certificate,
    say_certificate_verify, say_finished,
};
use crate::handshake::{Completed, Context, Negotiated, Peer, PeerCertificate, unexpected};
use crate::key_schedule::Secrets;
use crate::key_schedule::v13::{EarlySecret, HandshakeSecret, HandshakeTraffic};
use crate::msgs::certificate_v13::{CertificateRequestV13, EncryptedExtensions};
use crate::msgs::codec::Codec;
use crate::msgs::enums::{ExtensionType, HandshakeType, ProtocolVersion};
use crate::msgs::hello::{RANDOM_LEN, ServerHello};
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::transcript::{Messages, TranscriptHash};

/// What all states after the ServerHello have.
#[derive(Debug)]
struct Handshake {
    negotiated: Negotiated,
    client_random: [u8; RANDOM_LEN],
    transcript: TranscriptHash,
    secret: HandshakeSecret,
    traffic: HandshakeTraffic,
}

/// Agrees with the server's share: from here on everything is protected.
pub(super) fn begin(
    hello: &ServerHello<'_>,
    message: &Message,
    suite: SuiteV13,
    offer: Offer,
    mut transcript: TranscriptHash,
    cx: &mut Context<'_>,
) -> Result<ClientState, Error> {
    let share = hello
        .extensions
        .key_share()
        .ok_or(PeerMisbehaved::ExtensionMissing)?;
    let client_random = offer.random;
    let shared_secret = offer.agree(share)?;
    transcript.add(&message.bytes);
    let secret = EarlySecret::without_psk(suite).handshake(shared_secret.as_bytes());
    let traffic = secret.traffic(transcript.current().as_ref());
    cx.log_secrets(|| traffic.key_log_lines(&client_random));
    let [read, write] =
        [Side::Server, Side::Client].map(|side| traffic.record_key(side, cx.config));
    cx.use_servers_id(hello.extensions.connection_id())?;
    cx.records.add_read_key(Epoch::HANDSHAKE, read?);
    cx.records.add_write_key(Epoch::HANDSHAKE, write?);
    Ok(ClientState::EncryptedExtensions(
        ExpectEncryptedExtensions {
            handshake: Box::new(Handshake {
                negotiated: Negotiated {
                    cipher_suite: suite.cipher_suite(),
                    group: share.group,
                    srtp_profile: None,
                    protocol: None,
                },
                client_random,
                transcript,
                secret,
                traffic,
            }),
        },
    ))
}

#[derive(Debug)]
pub(crate) struct ExpectEncryptedExtensions {
    handshake: Box<Handshake>,
}

impl ExpectEncryptedExtensions {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        const ALLOWED: &[ExtensionType] = &[
            ExtensionType::USE_SRTP,
            ExtensionType::ALPN,
            ExtensionType::SERVER_NAME,
            ExtensionType::SUPPORTED_GROUPS,
        ];
        if message.handshake_type != HandshakeType::ENCRYPTED_EXTENSIONS {
            return Err(unexpected());
        }
        let extensions = EncryptedExtensions::read_all(message.body())?.extensions;
        offer::check_extensions(extensions, ALLOWED, cx.config)?;
        let negotiated = &mut self.handshake.negotiated;
        negotiated.srtp_profile = offer::check_srtp(extensions, cx.config)?;
        negotiated.protocol = offer::check_protocol(extensions, cx.config)?;
        self.handshake.transcript.add(&message.bytes);
        Ok(ClientState::CertificateRequestV13(
            ExpectCertificateRequest {
                handshake: self.handshake,
            },
        ))
    }
}

/// A CertificateRequest, or the Certificate at once.
#[derive(Debug)]
pub(crate) struct ExpectCertificateRequest {
    handshake: Box<Handshake>,
}

impl ExpectCertificateRequest {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        if message.handshake_type != HandshakeType::CERTIFICATE_REQUEST {
            return self.asked_for(None).handle(message, cx);
        }
        let request = CertificateRequestV13::read_all(message.body())?;
        if !request.context.is_empty() {
            return Err(PeerMisbehaved::RequestContextDoesNotFit.into());
        }
        let asked_for = request
            .extensions
            .signature_algorithms()
            .ok_or(PeerMisbehaved::ExtensionMissing)?;
        // Those that we do not know say nothing about us.
        let schemes = KnownSchemes::among(asked_for);
        self.handshake.transcript.add(&message.bytes);
        Ok(ClientState::CertificateV13(self.asked_for(Some(schemes))))
    }

    fn asked_for(self, request: Option<KnownSchemes>) -> ExpectCertificate {
        ExpectCertificate {
            handshake: self.handshake,
            request,
        }
    }
}

#[derive(Debug)]
pub(crate) struct ExpectCertificate {
    handshake: Box<Handshake>,
    /// The signature schemes the server takes, if it asked for a certificate.
    request: Option<KnownSchemes>,
}

impl ExpectCertificate {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        let der = read_certificate(message)?.ok_or(PeerMisbehaved::NoServerCertificate)?;
        // A key that nobody can check is refused before anything is made of its signature.
        PublicKey::of(der)?;
        let certificate = cx.admit(der)?;
        self.handshake.transcript.add(&message.bytes);
        Ok(ClientState::CertificateVerify(ExpectCertificateVerify {
            handshake: self.handshake,
            request: self.request,
            certificate,
        }))
    }
}

#[derive(Debug)]
pub(crate) struct ExpectCertificateVerify {
    handshake: Box<Handshake>,
    request: Option<KnownSchemes>,
    certificate: PeerCertificate,
}

impl ExpectCertificateVerify {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        let transcript = &mut self.handshake.transcript;
        let der = &self.certificate.der;
        let signature = check_certificate_verify(Side::Server, der, transcript, message, cx)?;
        Ok(ClientState::FinishedV13(ExpectFinished {
            handshake: self.handshake,
            request: self.request,
            certificate: self.certificate,
            signature,
        }))
    }
}

#[derive(Debug)]
pub(crate) struct ExpectFinished {
    handshake: Box<Handshake>,
    request: Option<KnownSchemes>,
    certificate: PeerCertificate,
    signature: SignatureVerified,
}

impl ExpectFinished {
    pub(super) fn handle(
        self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        let Handshake {
            negotiated,
            client_random,
            mut transcript,
            secret,
            traffic,
        } = *self.handshake;
        let finished = check_finished(Side::Server, &traffic, &mut transcript, message)?;
        let secrets = secret.master().application(transcript.current().as_ref());
        cx.log_secrets(|| secrets.key_log_lines(&client_random));
        cx.flight.begin(cx.now);
        if let Some(schemes) = self.request {
            say_identity(&schemes, &mut transcript, cx)?;
        }
        say_finished(Side::Client, &traffic, &mut transcript, cx);
        let [read, write] =
            [Side::Server, Side::Client].map(|side| secrets.record_key(side, cx.config));
        cx.records.keep_handshake(traffic.secret(Side::Server));
        cx.records.add_read_key(Epoch::APPLICATION, read?);
        cx.records.add_write_key(Epoch::APPLICATION, write?);
        cx.send_flight();
        Ok(ClientState::Completed(Completed {
            negotiated,
            secrets: Secrets::V13(secrets),
            peer: Peer::Proven(self.certificate, self.signature),
            finished,
        }))
    }
}

/// Our certificate and the proof of it; the empty list if the server takes no signature of our key, and whether that will
/// do is up to the server (RFC 8446 §4.4.2).
fn say_identity(
    schemes: &KnownSchemes,
    transcript: &mut TranscriptHash,
    cx: &mut Context<'_>,
) -> Result<(), Error> {
    let (identity, backend) = (&cx.config.identity, cx.config.backend);
    let schemes = schemes.as_list();
    if !identity.can_sign(backend, ProtocolVersion::DTLS1_3, schemes) {
        say_certificate(None, transcript, cx);
        return Ok(());
    }
    say_certificate(Some(identity.certificate()), transcript, cx);
    say_certificate_verify(Side::Client, schemes, transcript, cx)
}
