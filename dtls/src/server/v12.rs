//! The server's script of DTLS 1.2 after the ClientHello (RFC 5246 §7.3, RFC 8422 §2).
//!
//! ```text
//!       ServerHello, Certificate, ServerKeyExchange, CertificateRequest*, ServerHelloDone ──▶
//!   ◀── Certificate*
//!   ◀── ClientKeyExchange
//!   ◀── CertificateVerify*
//!   ◀── Finished
//!       ChangeCipherSpec, Finished ──▶
//! ```

mod hello;

use self::hello::Choice;
pub(super) use self::hello::on_client_hello;
use super::{NO_EXTENSION, ServerState, anonymous, choice};
use crate::certificate::{PublicKey, SignatureVerified};
use crate::config::{ClientAuth, Side};
use crate::crypto::{CryptoBackend, KeyExchange};
use crate::error::{Error, IdentityRefused};
use crate::few::Few;
use crate::fingerprint::FingerprintVerified;
use crate::handshake::v12::{
    Agreed, MasterSecretKind, RecordKeys, check_finished, read_certificate, say_certificate,
    say_finished,
};
use crate::handshake::{
    Completed, Context, Negotiated, Peer, PeerCertificate, UNCOMPRESSED, unexpected,
};
use crate::key_schedule::Secrets;
use crate::key_schedule::v12::MasterSecret;
use crate::msgs::certificate::{CertificateRequest, DigitallySigned};
use crate::msgs::codec::{Codec, List};
use crate::msgs::enums::{ClientCertificateType, HandshakeType, ProtocolVersion};
use crate::msgs::extensions::{Extension, Extensions};
use crate::msgs::hello::ServerHello;
use crate::msgs::key_exchange::{ClientKeyExchange, EcdhParams, ServerKeyExchange};
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::record::protect::RecordKey;
use crate::transcript::{Messages, SessionTranscript};

/// The kinds of client certificates we ask for: a signature by any key we can verify.
const CERTIFICATE_TYPES: &[ClientCertificateType] = &[
    ClientCertificateType::ECDSA_SIGN,
    ClientCertificateType::RSA_SIGN,
];

/// Sends the server's first flight.
fn answer(
    choice: Choice<'_>,
    mut transcript: SessionTranscript,
    cx: &mut Context<'_>,
) -> Result<ServerState, Error> {
    cx.flight.begin(cx.now);
    say_server_hello(&choice, &mut transcript, cx);
    cx.use_connection_ids(choice.connection_id);
    let config = cx.config;
    say_certificate(Some(config.identity.certificate()), &mut transcript, cx);
    let key_exchange = say_key_exchange(&choice, &mut transcript, cx)?;
    let ask = cx.config.client_auth != ClientAuth::None;
    if ask {
        say_certificate_request(&mut transcript, cx);
    }
    cx.say(
        &mut transcript,
        Epoch::PLAINTEXT,
        HandshakeType::SERVER_HELLO_DONE,
        |_| {},
    );
    cx.send_flight();
    let hello = Box::new(Hello {
        agreed: choice.agreed,
        key_exchange,
        transcript,
    });
    Ok(match ask {
        true => ServerState::Certificate(ExpectCertificate { hello }),
        false => ServerState::ClientKeyExchange(ExpectClientKeyExchange {
            client: Client::Anonymous(anonymous(cx)?),
            hello,
        }),
    })
}

fn say_server_hello(choice: &Choice<'_>, transcript: &mut SessionTranscript, cx: &mut Context<'_>) {
    let (agreed, config) = (&choice.agreed, cx.config);
    let extended = agreed.master_secret == MasterSecretKind::Extended;
    let answered = [
        extended.then_some(Extension::ExtendedMasterSecret),
        choice
            .secure_renegotiation
            .then_some(Extension::RenegotiationInfo(&[])),
        choice
            .point_formats
            .then_some(Extension::EcPointFormats(&[UNCOMPRESSED])),
        agreed.srtp_profile.map(choice::srtp_answer),
        agreed
            .protocol
            .and_then(|protocol| choice::protocol_answer(protocol, config)),
        choice
            .connection_id
            .and_then(|_| config.connection_id_extension()),
    ];
    let extensions = Few::<_, 6>::of(NO_EXTENSION, answered.into_iter().flatten());
    let hello = ServerHello {
        version: ProtocolVersion::DTLS1_2,
        random: choice.agreed.randoms.server,
        session_id: &[],
        cipher_suite: choice.agreed.suite.cipher_suite,
        compression_method: ServerHello::NO_COMPRESSION,
        extensions: Extensions::Items(&extensions),
    };
    cx.say(
        transcript,
        Epoch::PLAINTEXT,
        HandshakeType::SERVER_HELLO,
        |out| hello.encode(out),
    );
}

fn say_key_exchange(
    choice: &Choice<'_>,
    transcript: &mut SessionTranscript,
    cx: &mut Context<'_>,
) -> Result<KeyExchange, Error> {
    let key_exchange = cx
        .random
        .start_key_exchange(cx.config.backend, choice.group)?;
    let params = EcdhParams {
        group: choice.group,
        public: key_exchange.public(),
    };
    let randoms = &choice.agreed.randoms;
    let message = params.signed_message(&randoms.client, &randoms.server);
    let (scheme, signature) = cx.config.identity.sign(
        cx.config.backend,
        ProtocolVersion::DTLS1_2,
        choice.schemes,
        &message,
    )?;
    let signed = DigitallySigned {
        scheme,
        signature: &signature,
    };
    cx.say(
        transcript,
        Epoch::PLAINTEXT,
        HandshakeType::SERVER_KEY_EXCHANGE,
        |out| {
            ServerKeyExchange { params, signed }.encode(out);
        },
    );
    Ok(key_exchange)
}

fn say_certificate_request(transcript: &mut SessionTranscript, cx: &mut Context<'_>) {
    let request = CertificateRequest {
        certificate_types: List::Items(CERTIFICATE_TYPES),
        signature_algorithms: List::Items(CryptoBackend::SIGNATURE_SCHEMES),
        certificate_authorities: &[],
    };
    cx.say(
        transcript,
        Epoch::PLAINTEXT,
        HandshakeType::CERTIFICATE_REQUEST,
        |out| {
            request.encode(out);
        },
    );
}

/// What the server's first flight leaves behind.
#[derive(Debug)]
struct Hello {
    agreed: Agreed,
    key_exchange: KeyExchange,
    transcript: SessionTranscript,
}

/// The client before it has proved anything.
#[derive(Debug)]
enum Client {
    Certificate(PeerCertificate),
    Anonymous(FingerprintVerified),
}

#[derive(Debug)]
pub(crate) struct ExpectCertificate {
    hello: Box<Hello>,
}

impl ExpectCertificate {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        let client = match (read_certificate(message)?, cx.config.client_auth) {
            (Some(der), _) => Client::Certificate(cx.admit(der)?),
            (None, ClientAuth::Requested) => Client::Anonymous(anonymous(cx)?),
            (None, _) => return Err(IdentityRefused::NoCertificate.into()),
        };
        self.hello.transcript.add(&message.bytes);
        Ok(ServerState::ClientKeyExchange(ExpectClientKeyExchange {
            hello: self.hello,
            client,
        }))
    }
}

#[derive(Debug)]
pub(crate) struct ExpectClientKeyExchange {
    hello: Box<Hello>,
    client: Client,
}

impl ExpectClientKeyExchange {
    pub(super) fn handle(
        self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        if message.handshake_type != HandshakeType::CLIENT_KEY_EXCHANGE {
            return Err(unexpected());
        }
        let Hello {
            agreed,
            key_exchange,
            mut transcript,
        } = *self.hello;
        let exchange = ClientKeyExchange::read_all(message.body())?;
        transcript.add(&message.bytes);
        let group = key_exchange.group();
        let secret = agreed.agree(key_exchange, exchange.public, &transcript)?;
        cx.log_secrets(|| [secret.key_log_line()]);
        let (read, write) = RecordKeys::new(&agreed.suite, &secret, cx.config)?.into_parts();
        // A Finished that overtakes the CertificateVerify is kept until its turn.
        cx.records.add_read_key(Epoch::DTLS1_2, read);
        let session = Box::new(Session {
            negotiated: Negotiated {
                cipher_suite: agreed.suite.cipher_suite,
                group,
                srtp_profile: agreed.srtp_profile,
                protocol: agreed.protocol,
            },
            secret,
            write,
            transcript,
        });
        Ok(match self.client {
            Client::Certificate(certificate) => {
                ServerState::CertificateVerify(ExpectCertificateVerify {
                    session,
                    certificate,
                })
            }
            Client::Anonymous(accepted) => ServerState::Finished(ExpectFinished {
                session,
                peer: Peer::Anonymous(accepted),
            }),
        })
    }
}

/// Everything is agreed; who the client is, is being proved.
#[derive(Debug)]
struct Session {
    negotiated: Negotiated,
    secret: MasterSecret,
    write: RecordKey,
    transcript: SessionTranscript,
}

#[derive(Debug)]
pub(crate) struct ExpectCertificateVerify {
    session: Box<Session>,
    certificate: PeerCertificate,
}

impl ExpectCertificateVerify {
    pub(super) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        if message.handshake_type != HandshakeType::CERTIFICATE_VERIFY {
            return Err(unexpected());
        }
        let signed = DigitallySigned::read_all(message.body())?;
        let signature: SignatureVerified = PublicKey::of(&self.certificate.der)?.verify(
            cx.config.backend,
            ProtocolVersion::DTLS1_2,
            self.session.transcript.messages(),
            signed,
        )?;
        self.session.transcript.add(&message.bytes);
        Ok(ServerState::Finished(ExpectFinished {
            session: self.session,
            peer: Peer::Proven(self.certificate, signature),
        }))
    }
}

#[derive(Debug)]
pub(crate) struct ExpectFinished {
    session: Box<Session>,
    peer: Peer,
}

impl ExpectFinished {
    pub(super) fn handle(
        self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        let Session {
            negotiated,
            secret,
            write,
            mut transcript,
        } = *self.session;
        let finished = check_finished(Side::Client, &secret, &transcript, message)?;
        transcript.add(&message.bytes);
        cx.flight.begin(cx.now);
        cx.flight.change_cipher_spec();
        cx.records.add_write_key(Epoch::DTLS1_2, write);
        say_finished(Side::Server, &secret, &mut transcript, cx);
        cx.send_last_flight();
        Ok(ServerState::Completed(Completed {
            negotiated,
            secrets: Secrets::V12(Box::new(secret)),
            peer: self.peer,
            finished,
        }))
    }
}
