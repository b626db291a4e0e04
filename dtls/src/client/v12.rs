//! The client's script of DTLS 1.2 after the hellos (RFC 5246 §7.3, RFC 8422 §2).
//!
//! ```text
//!   ◀── Certificate
//!   ◀── ServerKeyExchange
//!   ◀── CertificateRequest*
//!   ◀── ServerHelloDone
//!       Certificate*, ClientKeyExchange, CertificateVerify*, ChangeCipherSpec, Finished ──▶
//!   ◀── Finished
//! ```

mod hello;

use super::ClientState;
use crate::certificate::{PublicKey, SignatureVerified};
use crate::config::Side;
use crate::crypto::KnownSchemes;
use crate::error::{Error, InvalidMessage, PeerMisbehaved};
use crate::handshake::v12::{Agreed, RecordKeys, check_finished, read_certificate, say_finished};
use crate::handshake::{self, Completed, Context, Negotiated, Peer, PeerCertificate, unexpected};
use crate::key_schedule::Secrets;
use crate::key_schedule::v12::MasterSecret;
use crate::msgs::certificate::{CertificateRequest, DigitallySigned};
use crate::msgs::codec::Codec;
use crate::msgs::enums::{HandshakeType, NamedGroup, ProtocolVersion};
use crate::msgs::hello::{RANDOM_LEN, ServerHello};
use crate::msgs::key_exchange::{ClientKeyExchange, ServerKeyExchange};
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::transcript::{Messages, SessionTranscript, Transcript};

/// The version is DTLS 1.2.
pub(super) fn begin(
    server_hello: &ServerHello<'_>,
    message: &Message,
    client_random: [u8; RANDOM_LEN],
    transcript: Transcript,
    cx: &mut Context<'_>,
) -> Result<ClientState, Error> {
    let agreed = hello::check(server_hello, client_random, cx.config)?;
    cx.use_servers_id(server_hello.extensions.connection_id())?;
    let mut transcript = transcript.v12(agreed.suite.hash());
    transcript.add(&message.bytes);
    Ok(ClientState::Certificate(ExpectCertificate {
        session: Box::new(Session { agreed, transcript }),
    }))
}

/// What all states after the ServerHello have.
#[derive(Debug)]
struct Session {
    agreed: Agreed,
    transcript: SessionTranscript,
}

#[derive(Debug)]
pub(crate) struct ExpectCertificate {
    session: Box<Session>,
}

impl ExpectCertificate {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        let der = read_certificate(message)?.ok_or(PeerMisbehaved::NoServerCertificate)?;
        if PublicKey::of(der)?.algorithm.authentication()
            != self.session.agreed.suite.authentication
        {
            return Err(PeerMisbehaved::CertificateDoesNotFitCipherSuite.into());
        }
        let certificate = cx.admit(der)?;
        self.session.transcript.add(&message.bytes);
        Ok(ClientState::ServerKeyExchange(ExpectServerKeyExchange {
            session: self.session,
            certificate,
        }))
    }
}

#[derive(Debug)]
pub(crate) struct ExpectServerKeyExchange {
    session: Box<Session>,
    certificate: PeerCertificate,
}

/// The server proved its certificate by signing its ephemeral key.
#[derive(Debug)]
struct Server {
    certificate: PeerCertificate,
    signature: SignatureVerified,
    group: NamedGroup,
    public: Vec<u8>,
}

impl ExpectServerKeyExchange {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        if message.handshake_type != HandshakeType::SERVER_KEY_EXCHANGE {
            return Err(unexpected());
        }
        let exchange = ServerKeyExchange::read_all(message.body())?;
        let mut offered = cx.config.usable_groups(ProtocolVersion::DTLS1_2);
        if !offered.any(|group| group == exchange.params.group) {
            return Err(PeerMisbehaved::SelectedUnofferedGroup.into());
        }
        let randoms = &self.session.agreed.randoms;
        let signed_message = exchange
            .params
            .signed_message(&randoms.client, &randoms.server);
        let signature = PublicKey::of(&self.certificate.der)?.verify(
            cx.config.backend,
            ProtocolVersion::DTLS1_2,
            &signed_message,
            exchange.signed,
        )?;
        self.session.transcript.add(&message.bytes);
        Ok(ClientState::CertificateRequest(ExpectCertificateRequest {
            server: Server {
                certificate: self.certificate,
                signature,
                group: exchange.params.group,
                public: exchange.params.public.to_vec(),
            },
            session: self.session,
        }))
    }
}

/// A CertificateRequest, or the ServerHelloDone at once.
#[derive(Debug)]
pub(crate) struct ExpectCertificateRequest {
    session: Box<Session>,
    server: Server,
}

impl ExpectCertificateRequest {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        if message.handshake_type != HandshakeType::CERTIFICATE_REQUEST {
            return self.without_request().handle(message, cx);
        }
        let request = CertificateRequest::read_all(message.body())?;
        let schemes = KnownSchemes::among(request.signature_algorithms);
        self.session.transcript.add(&message.bytes);
        Ok(ClientState::ServerHelloDone(ExpectServerHelloDone {
            request: Some(schemes),
            ..self.without_request()
        }))
    }

    fn without_request(self) -> ExpectServerHelloDone {
        ExpectServerHelloDone {
            session: self.session,
            server: self.server,
            request: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct ExpectServerHelloDone {
    session: Box<Session>,
    server: Server,
    /// The signature schemes the server takes, if it asked for a certificate.
    request: Option<KnownSchemes>,
}

impl ExpectServerHelloDone {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        if message.handshake_type != HandshakeType::SERVER_HELLO_DONE {
            return Err(unexpected());
        }
        if !message.body().is_empty() {
            return Err(InvalidMessage::TrailingBytes.into());
        }
        self.session.transcript.add(&message.bytes);
        self.answer(cx)
    }

    /// The client's second flight: its certificate and key, the proof of both, and everything so far confirmed.
    fn answer(self, cx: &mut Context<'_>) -> Result<ClientState, Error> {
        let Self {
            mut session,
            server,
            request,
        } = self;
        let Session { agreed, transcript } = &mut *session;
        cx.flight.begin(cx.now);
        let certificate_sent = request
            .as_ref()
            .map(|schemes| say_certificate(schemes, transcript, cx));
        let key_exchange = cx
            .random
            .start_key_exchange(cx.config.backend, server.group)?;
        let public = key_exchange.public();
        cx.say(
            transcript,
            Epoch::PLAINTEXT,
            HandshakeType::CLIENT_KEY_EXCHANGE,
            |out| {
                ClientKeyExchange { public }.encode(out);
            },
        );
        let secret = agreed.agree(key_exchange, &server.public, transcript)?;
        cx.log_secrets(|| [secret.key_log_line()]);
        if let (Some(schemes), Some(CertificateSent::Ours)) = (request, certificate_sent) {
            say_certificate_verify(&schemes, transcript, cx)?;
        }
        let (write, read) = RecordKeys::new(&agreed.suite, &secret, cx.config)?.into_parts();
        cx.flight.change_cipher_spec();
        cx.records.add_write_key(Epoch::DTLS1_2, write);
        cx.records.add_read_key(Epoch::DTLS1_2, read);
        say_finished(Side::Client, &secret, transcript, cx);
        cx.send_flight();
        Ok(ClientState::Finished(ExpectFinished {
            session,
            server,
            secret,
        }))
    }
}

/// How a CertificateRequest was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CertificateSent {
    Ours,
    /// The server takes no signature of our key: whether no certificate will do is up to it (RFC 5246 §7.4.6).
    Empty,
}

fn say_certificate(
    schemes: &KnownSchemes,
    transcript: &mut SessionTranscript,
    cx: &mut Context<'_>,
) -> CertificateSent {
    let identity = cx.config.identity.clone();
    let sent = match identity.can_sign(
        cx.config.backend,
        ProtocolVersion::DTLS1_2,
        schemes.as_list(),
    ) {
        true => CertificateSent::Ours,
        false => CertificateSent::Empty,
    };
    let der = (sent == CertificateSent::Ours).then(|| identity.certificate());
    handshake::v12::say_certificate(der, transcript, cx);
    sent
}

fn say_certificate_verify(
    schemes: &KnownSchemes,
    transcript: &mut SessionTranscript,
    cx: &mut Context<'_>,
) -> Result<(), Error> {
    let (scheme, signature) = cx.config.identity.sign(
        cx.config.backend,
        ProtocolVersion::DTLS1_2,
        schemes.as_list(),
        transcript.messages(),
    )?;
    let signed = DigitallySigned {
        scheme,
        signature: &signature,
    };
    cx.say(
        transcript,
        Epoch::PLAINTEXT,
        HandshakeType::CERTIFICATE_VERIFY,
        |out| {
            signed.encode(out);
        },
    );
    Ok(())
}

#[derive(Debug)]
pub(crate) struct ExpectFinished {
    session: Box<Session>,
    server: Server,
    secret: MasterSecret,
}

impl ExpectFinished {
    pub(super) fn handle(self, message: &Message) -> Result<ClientState, Error> {
        let suite = &self.session.agreed.suite;
        let finished = check_finished(
            Side::Server,
            &self.secret,
            &self.session.transcript,
            message,
        )?;
        Ok(ClientState::Completed(Completed {
            negotiated: Negotiated {
                cipher_suite: suite.cipher_suite,
                group: self.server.group,
                srtp_profile: self.session.agreed.srtp_profile,
                protocol: self.session.agreed.protocol,
            },
            secrets: Secrets::V12(Box::new(self.secret)),
            peer: Peer::Proven(self.server.certificate, self.server.signature),
            finished,
        }))
    }
}
