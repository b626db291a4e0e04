//! The server's script of DTLS 1.3 (RFC 8446 §2, RFC 9147 §5).
//!
//! ```text
//!   ◀── ClientHello
//!       HelloRetryRequest* ──▶
//!   ◀── ClientHello*
//!       ServerHello,
//!       EncryptedExtensions, CertificateRequest*, Certificate, CertificateVerify, Finished ──▶
//!   ◀── Certificate*
//!   ◀── CertificateVerify*
//!   ◀── Finished
//!       ACK ──▶
//! ```
//!
//! What stands below the ServerHello is of epoch 2, and so is what the client answers.

mod hello;
mod retry;

use self::hello::{Choice, Exchange};
pub(crate) use self::retry::{ExpectSecondClientHello, Retry};
use super::{NO_EXTENSION, ServerState, anonymous, choice};
use crate::config::{ClientAuth, Side};
use crate::crypto::CryptoBackend;
use crate::error::{Error, IdentityRefused, PeerMisbehaved};
use crate::few::Few;
use crate::handshake::v13::{
    check_certificate_verify, check_finished, read_certificate, say_certificate,
    say_certificate_verify, say_finished,
};
use crate::handshake::{Completed, Context, Negotiated, Peer, PeerCertificate};
use crate::key_schedule::Secrets;
use crate::key_schedule::v13::{Application, EarlySecret, HandshakeTraffic};
use crate::msgs::certificate_v13::{CertificateRequestV13, EncryptedExtensions};
use crate::msgs::codec::{Codec, List};
use crate::msgs::enums::{HandshakeType, ProtocolVersion};
use crate::msgs::extensions::{Extension, Extensions};
use crate::msgs::hello::{ClientHello, RANDOM_LEN, ServerHello};
use crate::msgs::key_share::KeyShareEntry;
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::transcript::{Messages, Transcript, TranscriptHash};

const VERSION: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// The version is DTLS 1.3.
pub(super) fn on_client_hello(
    hello: &ClientHello<'_>,
    message: &Message,
    cx: &mut Context<'_>,
) -> Result<ServerState, Error> {
    if hello.extensions.cookie().is_some() {
        // We have not asked for one.
        return Err(PeerMisbehaved::CookieInvalid.into());
    }
    let choice = choose(hello, cx)?;
    cx.flight.use_acks();
    let transcript = Transcript::begin(&message.bytes);
    let hash = choice.suite.hash();
    match choice.exchange {
        Exchange::Now(share) => answer(&choice, share, transcript.v13(hash), cx),
        Exchange::Retry(group) => {
            let transcript = transcript.v13_after_retry(hash);
            Ok(retry::retry(hello, choice.suite, group, transcript, cx))
        }
    }
}

fn choose<'a>(hello: &ClientHello<'a>, cx: &Context<'_>) -> Result<Choice<'a>, Error> {
    let choice = Choice::new(hello, cx.config)?;
    Ok(Choice {
        connection_id: cx.fitting_id(choice.connection_id),
        ..choice
    })
}

/// Sends the server's flight, all of it: both sides' secrets are known after the ServerHello.
fn answer(
    choice: &Choice<'_>,
    share: KeyShareEntry<'_>,
    mut transcript: TranscriptHash,
    cx: &mut Context<'_>,
) -> Result<ServerState, Error> {
    let accepted =
        cx.random
            .accept_key_exchange(cx.config.backend, share.group, share.key_exchange)?;
    cx.flight.begin(cx.now);
    let ours = KeyShareEntry {
        group: share.group,
        key_exchange: &accepted.share,
    };
    say_server_hello(choice, ours, &mut transcript, cx)?;
    cx.use_connection_ids(choice.connection_id);
    let secret = EarlySecret::without_psk(choice.suite).handshake(accepted.secret.as_bytes());
    let traffic = secret.traffic(transcript.current().as_ref());
    cx.log_secrets(|| traffic.key_log_lines(&choice.client_random));
    let [read, write] =
        [Side::Client, Side::Server].map(|side| traffic.record_key(side, cx.config));
    cx.records.add_read_key(Epoch::HANDSHAKE, read?);
    cx.records.add_write_key(Epoch::HANDSHAKE, write?);
    say_encrypted(choice, &traffic, &mut transcript, cx)?;
    let application = secret.master().application(transcript.current().as_ref());
    cx.log_secrets(|| application.key_log_lines(&choice.client_random));
    // Behind our Finished all is said in the epoch of data, alerts and ACKs too (RFC 9147 §6.1).
    let write = application.record_key(Side::Server, cx.config)?;
    cx.records.add_write_key(Epoch::APPLICATION, write);
    cx.send_flight();
    let handshake = Box::new(Handshake {
        negotiated: Negotiated {
            cipher_suite: choice.suite.cipher_suite(),
            group: share.group,
            srtp_profile: choice.srtp_profile,
            protocol: choice.protocol,
        },
        transcript,
        traffic,
        application,
    });
    expect_client(handshake, cx)
}

/// Whom to expect after our flight.
fn expect_client(handshake: Box<Handshake>, cx: &Context<'_>) -> Result<ServerState, Error> {
    Ok(match cx.config.client_auth {
        ClientAuth::None => ServerState::FinishedV13(ExpectFinished {
            peer: Peer::Anonymous(anonymous(cx)?),
            handshake,
        }),
        ClientAuth::Required | ClientAuth::Requested => {
            ServerState::CertificateV13(ExpectCertificate { handshake })
        }
    })
}

fn say_server_hello(
    choice: &Choice<'_>,
    share: KeyShareEntry<'_>,
    transcript: &mut TranscriptHash,
    cx: &mut Context<'_>,
) -> Result<(), Error> {
    let mut random = [0; RANDOM_LEN];
    cx.random.fill(&mut random)?;
    let config = cx.config;
    let extensions = [
        Some(Extension::SelectedVersion(VERSION)),
        Some(Extension::KeyShare(share)),
        choice
            .connection_id
            .and_then(|_| config.connection_id_extension()),
    ];
    let extensions = Few::<_, 3>::of(NO_EXTENSION, extensions.into_iter().flatten());
    let hello = ServerHello {
        version: ProtocolVersion::DTLS1_2,
        random,
        // Not the client's, whatever it was (RFC 9147 §5.3).
        session_id: &[],
        cipher_suite: choice.suite.cipher_suite(),
        compression_method: ServerHello::NO_COMPRESSION,
        extensions: Extensions::Items(&extensions),
    };
    cx.say(
        transcript,
        Epoch::PLAINTEXT,
        HandshakeType::SERVER_HELLO,
        |out| hello.encode(out),
    );
    Ok(())
}

/// Everything after the ServerHello.
fn say_encrypted(
    choice: &Choice<'_>,
    traffic: &HandshakeTraffic,
    transcript: &mut TranscriptHash,
    cx: &mut Context<'_>,
) -> Result<(), Error> {
    say_encrypted_extensions(choice, transcript, cx);
    if cx.config.client_auth != ClientAuth::None {
        say_certificate_request(transcript, cx);
    }
    let config = cx.config;
    say_certificate(Some(config.identity.certificate()), transcript, cx);
    say_certificate_verify(Side::Server, choice.schemes, transcript, cx)?;
    say_finished(Side::Server, traffic, transcript, cx);
    Ok(())
}

fn say_encrypted_extensions(
    choice: &Choice<'_>,
    transcript: &mut TranscriptHash,
    cx: &mut Context<'_>,
) {
    let config = cx.config;
    let extensions = [
        choice.srtp_profile.map(choice::srtp_answer),
        choice
            .protocol
            .and_then(|protocol| choice::protocol_answer(protocol, config)),
    ];
    let extensions = Few::<_, 2>::of(NO_EXTENSION, extensions.into_iter().flatten());
    let message = EncryptedExtensions {
        extensions: Extensions::Items(&extensions),
    };
    cx.say(
        transcript,
        Epoch::HANDSHAKE,
        HandshakeType::ENCRYPTED_EXTENSIONS,
        |out| message.encode(out),
    );
}

fn say_certificate_request(transcript: &mut TranscriptHash, cx: &mut Context<'_>) {
    let schemes = CryptoBackend::signature_schemes(VERSION);
    let extensions = [Extension::SignatureAlgorithms(List::Items(schemes))];
    let request = CertificateRequestV13 {
        context: &[],
        extensions: Extensions::Items(&extensions),
    };
    cx.say(
        transcript,
        Epoch::HANDSHAKE,
        HandshakeType::CERTIFICATE_REQUEST,
        |out| request.encode(out),
    );
}

/// What our flight leaves behind.
#[derive(Debug)]
struct Handshake {
    negotiated: Negotiated,
    transcript: TranscriptHash,
    traffic: HandshakeTraffic,
    application: Application,
}

#[derive(Debug)]
pub(crate) struct ExpectCertificate {
    handshake: Box<Handshake>,
}

impl ExpectCertificate {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        let certificate = read_certificate(message)?;
        self.handshake.transcript.add(&message.bytes);
        let handshake = self.handshake;
        Ok(match (certificate, cx.config.client_auth) {
            (Some(der), _) => ServerState::CertificateVerifyV13(ExpectCertificateVerify {
                certificate: cx.admit(der)?,
                handshake,
            }),
            (None, ClientAuth::Requested) => ServerState::FinishedV13(ExpectFinished {
                peer: Peer::Anonymous(anonymous(cx)?),
                handshake,
            }),
            (None, _) => return Err(IdentityRefused::CertificateRequired.into()),
        })
    }
}

#[derive(Debug)]
pub(crate) struct ExpectCertificateVerify {
    handshake: Box<Handshake>,
    certificate: PeerCertificate,
}

impl ExpectCertificateVerify {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        let transcript = &mut self.handshake.transcript;
        let der = &self.certificate.der;
        let signature = check_certificate_verify(Side::Client, der, transcript, message, cx)?;
        Ok(ServerState::FinishedV13(ExpectFinished {
            handshake: self.handshake,
            peer: Peer::Proven(self.certificate, signature),
        }))
    }
}

#[derive(Debug)]
pub(crate) struct ExpectFinished {
    handshake: Box<Handshake>,
    peer: Peer,
}

impl ExpectFinished {
    pub(super) fn handle(
        self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        let Handshake {
            negotiated,
            mut transcript,
            traffic,
            application,
        } = *self.handshake;
        let finished = check_finished(Side::Client, &traffic, &mut transcript, message)?;
        let read = application.record_key(Side::Client, cx.config)?;
        cx.records.keep_handshake(traffic.secret(Side::Client));
        cx.records.add_read_key(Epoch::APPLICATION, read);
        Ok(ServerState::Completed(Completed {
            negotiated,
            secrets: Secrets::V13(application),
            peer: self.peer,
            finished,
        }))
    }
}
