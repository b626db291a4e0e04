//! The client's script: which message may come now, and who handles it (RFC 6347 §4.2.4, RFC 5246 §7.3).
//!
//! Each state owns what is known by then and is consumed by the message that ends it.

mod hello;
mod v12;

use self::hello::ExpectServerHello;
use self::v12::{
    ExpectCertificate, ExpectCertificateRequest, ExpectFinished, ExpectServerHelloDone,
    ExpectServerKeyExchange,
};
use crate::error::Error;
use crate::handshake::{Completed, Context, unexpected};
use crate::reassembly::Message;
use crate::record::header::Epoch;

#[derive(Debug)]
pub(crate) enum ClientState {
    ServerHello(ExpectServerHello),
    Certificate(ExpectCertificate),
    ServerKeyExchange(ExpectServerKeyExchange),
    CertificateRequest(ExpectCertificateRequest),
    ServerHelloDone(ExpectServerHelloDone),
    Finished(ExpectFinished),
    Completed(Box<Completed>),
}

impl ClientState {
    /// Sends the first ClientHello.
    pub(crate) fn start(cx: &mut Context<'_>) -> Result<Self, Error> {
        ExpectServerHello::start(cx).map(Self::ServerHello)
    }

    /// The epoch in which the next message comes.
    pub(crate) fn expected_epoch(&self) -> Epoch {
        match self {
            Self::Finished(_) | Self::Completed(_) => Epoch::DTLS1_2,
            _ => Epoch::PLAINTEXT,
        }
    }

    pub(crate) fn handle(self, message: &Message, cx: &mut Context<'_>) -> Result<Self, Error> {
        match self {
            Self::ServerHello(state) => state.handle(message, cx),
            Self::Certificate(state) => state.handle(message, cx),
            Self::ServerKeyExchange(state) => state.handle(message, cx),
            Self::CertificateRequest(state) => state.handle(message, cx),
            Self::ServerHelloDone(state) => state.handle(message, cx),
            Self::Finished(state) => state.handle(message),
            // The connection takes a completed handshake away at once.
            Self::Completed(_) => Err(unexpected()),
        }
    }
}
