//! The server's script: which message may come now, and who handles it (RFC 6347 §4.2.4, RFC 5246 §7.3, RFC 8446 §A.2).
//!
//! The states are drawn in [`states`](crate::states). Each owns what is known by then and is consumed by the message that ends
//! it.

mod choice;
mod hello;
mod v12;
mod v13;

use self::hello::ExpectClientHello;
use self::v12::{
    ExpectCertificate, ExpectCertificateVerify, ExpectClientKeyExchange, ExpectFinished,
};
pub(crate) use self::v13::{ExpectSecondClientHello, Retry};
use crate::error::{Error, IdentityRefused};
use crate::fingerprint::{FingerprintVerified, RemoteIdentity};
use crate::handshake::{Completed, Context, unexpected};
use crate::msgs::extensions::Extension;
use crate::reassembly::Message;
use crate::record::header::Epoch;

/// Where no extension is.
const NO_EXTENSION: Extension<'_> = Extension::ExtendedMasterSecret;

#[derive(Debug)]
pub(crate) enum ServerState {
    ClientHello(ExpectClientHello),
    // DTLS 1.2
    Certificate(ExpectCertificate),
    ClientKeyExchange(ExpectClientKeyExchange),
    CertificateVerify(ExpectCertificateVerify),
    Finished(ExpectFinished),
    // DTLS 1.3
    SecondClientHello(ExpectSecondClientHello),
    CertificateV13(v13::ExpectCertificate),
    CertificateVerifyV13(v13::ExpectCertificateVerify),
    FinishedV13(v13::ExpectFinished),

    Completed(Completed),
    /// It failed, or gave what it completed away.
    Over,
}

impl ServerState {
    pub(crate) fn start() -> Self {
        Self::ClientHello(ExpectClientHello)
    }

    /// The epoch in which the next message comes.
    pub(crate) fn expected_epoch(&self) -> Epoch {
        match self {
            Self::ClientHello(_)
            | Self::SecondClientHello(_)
            | Self::Certificate(_)
            | Self::ClientKeyExchange(_)
            | Self::CertificateVerify(_) => Epoch::PLAINTEXT,
            Self::Finished(_) | Self::Completed(_) | Self::Over => Epoch::DTLS1_2,
            Self::CertificateV13(_) | Self::CertificateVerifyV13(_) | Self::FinishedV13(_) => {
                Epoch::HANDSHAKE
            }
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
            Self::ClientHello(state) => state.handle(message, cx),
            Self::Certificate(state) => state.handle(message, cx),
            Self::ClientKeyExchange(state) => state.handle(message, cx),
            Self::CertificateVerify(state) => state.handle(message, cx),
            Self::Finished(state) => state.handle(message, cx),
            Self::SecondClientHello(state) => state.handle(message, cx),
            Self::CertificateV13(state) => state.handle(message, cx),
            Self::CertificateVerifyV13(state) => state.handle(message, cx),
            Self::FinishedV13(state) => state.handle(message, cx),
            // The connection takes a completed handshake away at once.
            Self::Completed(_) | Self::Over => Err(unexpected()),
        }
    }
}

/// A client without a certificate is let in only where any certificate would be.
fn anonymous(cx: &Context<'_>) -> Result<FingerprintVerified, Error> {
    match cx.remote {
        RemoteIdentity::AcceptAny => Ok(FingerprintVerified::accept_any()),
        RemoteIdentity::Fingerprints(_) | RemoteIdentity::Later => {
            Err(IdentityRefused::NoCertificate.into())
        }
    }
}
