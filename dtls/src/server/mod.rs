//! The server's script: which message may come now, and who handles it (RFC 6347 §4.2.4, RFC 5246 §7.3).
//!
//! Each state owns what is known by then and is consumed by the message that ends it.

mod hello;
mod v12;

use self::hello::ExpectClientHello;
use self::v12::{
    ExpectCertificate, ExpectCertificateVerify, ExpectClientKeyExchange, ExpectFinished,
};
use crate::error::Error;
use crate::handshake::{Completed, Context, unexpected};
use crate::reassembly::Message;
use crate::record::header::Epoch;

#[derive(Debug)]
pub(crate) enum ServerState {
    ClientHello(ExpectClientHello),
    Certificate(ExpectCertificate),
    ClientKeyExchange(ExpectClientKeyExchange),
    CertificateVerify(Box<ExpectCertificateVerify>),
    Finished(Box<ExpectFinished>),
    Completed(Box<Completed>),
}

impl ServerState {
    pub(crate) fn start() -> Self {
        Self::ClientHello(ExpectClientHello)
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
            Self::ClientHello(state) => state.handle(message, cx),
            Self::Certificate(state) => state.handle(message, cx),
            Self::ClientKeyExchange(state) => state.handle(message, cx),
            Self::CertificateVerify(state) => state.handle(message, cx),
            Self::Finished(state) => state.handle(message, cx),
            // The connection takes a completed handshake away at once.
            Self::Completed(_) => Err(unexpected()),
        }
    }
}
