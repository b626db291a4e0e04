//! What may answer a ClientHello, and which version it chooses (RFC 9147 §5.1, RFC 8446 §4.1.3, §4.1.4).
//!
//! ```text
//!   ClientHello ──┬─ ServerHello of DTLS 1.2 ─────────────────────────────▶ v12
//!                 ├─ ServerHello of DTLS 1.3 ─────────────────────────────▶ v13
//!                 ├─ HelloVerifyRequest ─ ClientHello ─ ServerHello of 1.2 ▶ v12
//!                 └─ HelloRetryRequest ── ClientHello ─ ServerHello of 1.3 ▶ v13
//! ```

use super::ClientState;
use super::offer::{Cookie, Offer};
use crate::crypto::SuiteV13;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::{Context, unexpected};
use crate::msgs::codec::Codec;
use crate::msgs::enums::{HandshakeType, ProtocolVersion};
use crate::msgs::hello::{HelloVerifyRequest, ServerHello};
use crate::reassembly::Message;
use crate::transcript::{Messages, Transcript, TranscriptHash};

#[derive(Debug)]
pub(crate) struct ExpectServerHello {
    offer: Offer,
    asked: Asked,
}

/// How the ClientHello that is in the air came about.
#[derive(Debug)]
enum Asked {
    /// It is the first: any version may answer it.
    First(Transcript),
    /// It has the cookie of a HelloVerifyRequest: only DTLS 1.2 has those.
    Verified(Transcript),
    /// It is what a HelloRetryRequest asked for, in DTLS 1.3 and with this suite.
    Retried(Box<TranscriptHash>, SuiteV13),
}

impl ExpectServerHello {
    pub(super) fn start(cx: &mut Context<'_>) -> Result<Self, Error> {
        let offer = Offer::new(cx.config, cx.random)?;
        let mut transcript = Transcript::begin(&[]);
        offer.send(Cookie::None, &mut transcript, cx);
        Ok(Self {
            offer,
            asked: Asked::First(transcript),
        })
    }

    pub(super) fn handle(
        self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        match message.handshake_type {
            HandshakeType::HELLO_VERIFY_REQUEST => self.verify(message, cx),
            HandshakeType::SERVER_HELLO => {
                let hello = ServerHello::read_all(message.body())?;
                match hello.extensions.selected_version() {
                    _ if hello.is_hello_retry_request() => self.retry(&hello, message, cx),
                    Some(ProtocolVersion::DTLS1_3) => self.agree_v13(&hello, message, cx),
                    Some(_) => Err(PeerMisbehaved::SupportedVersionsSelectsAnother.into()),
                    None => self.agree_v12(&hello, message, cx),
                }
            }
            _ => Err(unexpected()),
        }
    }

    /// The server wants its cookie back before it keeps anything.
    fn verify(self, message: &Message, cx: &mut Context<'_>) -> Result<ClientState, Error> {
        let request = HelloVerifyRequest::read_all(message.body())?;
        match self.asked {
            Asked::First(_) if cx.config.offers(ProtocolVersion::DTLS1_2) => {}
            Asked::Verified(_) => return Err(PeerMisbehaved::CookieDemandedTwice.into()),
            // Who asks like this has not DTLS 1.3, and we have not DTLS 1.2.
            Asked::First(_) => return Err(PeerIncompatible::NoVersionInCommon.into()),
            Asked::Retried(..) => return Err(unexpected()),
        }
        let mut transcript = Transcript::begin(&[]);
        self.offer
            .send(Cookie::Verify(request.cookie), &mut transcript, cx);
        Ok(ClientState::ServerHello(Self {
            offer: self.offer,
            asked: Asked::Verified(transcript),
        }))
    }

    /// The server wants a share of another group, its cookie back, or both.
    fn retry(
        mut self,
        hello: &ServerHello<'_>,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        let transcript = match self.asked {
            Asked::First(transcript) => transcript,
            Asked::Verified(_) => return Err(PeerMisbehaved::VersionChanged.into()),
            Asked::Retried(..) => return Err(PeerMisbehaved::RetriedTwice.into()),
        };
        let suite = super::v13::check_retry(hello, cx.config)?;
        cx.flight.use_acks();
        if let Some(group) = hello.extensions.selected_group() {
            self.offer.retry(group, cx)?;
        }
        let cookie = hello
            .extensions
            .cookie()
            .map_or(Cookie::None, Cookie::Retry);
        let mut transcript = transcript.v13_after_retry(suite.hash());
        transcript.add(&message.bytes);
        self.offer.send(cookie, &mut transcript, cx);
        Ok(ClientState::ServerHello(Self {
            offer: self.offer,
            asked: Asked::Retried(Box::new(transcript), suite),
        }))
    }

    fn agree_v12(
        self,
        hello: &ServerHello<'_>,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        let transcript = match self.asked {
            Asked::First(transcript) | Asked::Verified(transcript) => transcript,
            Asked::Retried(..) => return Err(PeerMisbehaved::VersionChanged.into()),
        };
        super::v12::begin(hello, message, self.offer.random, transcript, cx)
    }

    fn agree_v13(
        self,
        hello: &ServerHello<'_>,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        let suite = super::v13::check_hello(hello, cx.config)?;
        cx.flight.use_acks();
        let transcript = match self.asked {
            Asked::First(transcript) => transcript.v13(suite.hash()),
            Asked::Verified(_) => return Err(PeerMisbehaved::VersionChanged.into()),
            Asked::Retried(transcript, before) if before == suite => *transcript,
            Asked::Retried(..) => return Err(PeerMisbehaved::CipherSuiteChanged.into()),
        };
        super::v13::begin(hello, message, suite, self.offer, transcript, cx)
    }
}

#[cfg(test)]
impl ExpectServerHello {
    pub(crate) fn transcript_bytes(&mut self) -> &mut [u8] {
        match &mut self.asked {
            Asked::First(transcript) | Asked::Verified(transcript) => transcript.bytes(),
            Asked::Retried(..) => &mut [],
        }
    }
}
