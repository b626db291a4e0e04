//! The client's script: which message may come now, and who handles it (RFC 6347 §4.2.4, RFC 5246 §7.3; RFC 9147 §5, RFC
//! 8446 §A.1).
//!
//! The states are drawn in [`states`](crate::states). Each owns what is known by then and is consumed by the message that ends
//! it.

mod hello;
mod offer;
mod v12;
mod v13;

use self::hello::ExpectServerHello;
use crate::error::Error;
use crate::handshake::{Completed, Context, unexpected};
use crate::reassembly::Message;
use crate::record::header::Epoch;

#[derive(Debug)]
pub(crate) enum ClientState {
    ServerHello(ExpectServerHello),
    Certificate(v12::ExpectCertificate),
    ServerKeyExchange(v12::ExpectServerKeyExchange),
    CertificateRequest(v12::ExpectCertificateRequest),
    ServerHelloDone(v12::ExpectServerHelloDone),
    Finished(v12::ExpectFinished),
    EncryptedExtensions(v13::ExpectEncryptedExtensions),
    CertificateRequestV13(v13::ExpectCertificateRequest),
    CertificateV13(v13::ExpectCertificate),
    CertificateVerify(v13::ExpectCertificateVerify),
    FinishedV13(v13::ExpectFinished),
    Completed(Completed),
    /// It failed, or gave what it completed away.
    Over,
}

impl ClientState {
    /// Sends the first ClientHello.
    pub(crate) fn start(cx: &mut Context<'_>) -> Result<Self, Error> {
        ExpectServerHello::start(cx).map(Self::ServerHello)
    }

    /// The epoch in which the next message comes.
    pub(crate) fn expected_epoch(&self) -> Epoch {
        match self {
            Self::Finished(_) => Epoch::DTLS1_2,
            Self::EncryptedExtensions(_)
            | Self::CertificateRequestV13(_)
            | Self::CertificateV13(_)
            | Self::CertificateVerify(_)
            | Self::FinishedV13(_) => Epoch::HANDSHAKE,
            // The connection takes a completed handshake away at once.
            Self::Completed(_) => Epoch::APPLICATION,
            _ => Epoch::PLAINTEXT,
        }
    }

    /// Handles a message in its place; gives the handshake away that it completes. After an error nothing comes.
    pub(crate) fn advance(
        &mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<Option<Completed>, Error> {
        match std::mem::replace(self, Self::Over).handle(message, cx)? {
            Self::Completed(completed) => Ok(Some(completed)),
            next => {
                *self = next;
                Ok(None)
            }
        }
    }

    fn handle(self, message: &Message, cx: &mut Context<'_>) -> Result<Self, Error> {
        match self {
            Self::ServerHello(state) => state.handle(message, cx),
            Self::Certificate(state) => state.handle(message, cx),
            Self::ServerKeyExchange(state) => state.handle(message, cx),
            Self::CertificateRequest(state) => state.handle(message, cx),
            Self::ServerHelloDone(state) => state.handle(message, cx),
            Self::Finished(state) => state.handle(message),
            Self::EncryptedExtensions(state) => state.handle(message, cx),
            Self::CertificateRequestV13(state) => state.handle(message, cx),
            Self::CertificateV13(state) => state.handle(message, cx),
            Self::CertificateVerify(state) => state.handle(message, cx),
            Self::FinishedV13(state) => state.handle(message, cx),
            Self::Completed(_) | Self::Over => Err(unexpected()),
        }
    }
}
