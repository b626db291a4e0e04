//! The parts of the DTLS 1.2 scripts that both sides have: the agreed secret, its record keys, and Finished.

use crate::config::{Config, ExtendedMasterSecret, Side};
use crate::crypto::{KeyExchange, SuiteV12};
use crate::error::{Error, PeerIncompatible};
use crate::handshake::{ApplicationProtocol, Context, FinishedVerified, unexpected};
use crate::key_schedule::v12::{Binding, MasterSecret, Randoms};
use crate::msgs::certificate::Certificate;
use crate::msgs::codec::Codec;
use crate::msgs::enums::HandshakeType;
use crate::msgs::key_exchange::Finished;
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::record::protect::{Aead, RecordKey};
use crate::srtp::SrtpProfile;
use crate::transcript::SessionTranscript;

/// What the two hellos settle.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) suite: SuiteV12,
    pub(crate) randoms: Randoms,
    pub(crate) master_secret: MasterSecretKind,
    pub(crate) srtp_profile: Option<SrtpProfile>,
    pub(crate) protocol: Option<ApplicationProtocol>,
}

/// How the master secret is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MasterSecretKind {
    /// Bound to the whole session (RFC 7627).
    Extended,
    /// Bound to the randoms only.
    Plain,
}

impl ExtendedMasterSecret {
    /// What is made with a peer that sent the extension, or did not.
    pub(crate) fn with_peer(self, offered: Option<()>) -> Result<MasterSecretKind, Error> {
        match (offered, self) {
            (Some(()), _) => Ok(MasterSecretKind::Extended),
            (None, Self::Preferred) => Ok(MasterSecretKind::Plain),
            (None, Self::Required) => Err(PeerIncompatible::ExtendedMasterSecretRequired.into()),
        }
    }
}

impl Agreed {
    /// Completes the key exchange. The transcript ends with the ClientKeyExchange.
    pub(crate) fn agree(
        &self,
        key_exchange: KeyExchange,
        peer_public: &[u8],
        transcript: &SessionTranscript,
    ) -> Result<MasterSecret, Error> {
        let session_hash = transcript.current();
        let binding = match self.master_secret {
            MasterSecretKind::Extended => Binding::SessionHash(session_hash.as_ref()),
            MasterSecretKind::Plain => Binding::Randoms,
        };
        MasterSecret::agree(self.suite, self.randoms, key_exchange, peer_public, binding)
    }
}

/// The record keys of both directions, each to be taken when its epoch begins.
#[derive(Debug)]
pub(crate) struct RecordKeys {
    client: RecordKey,
    server: RecordKey,
}

impl RecordKeys {
    pub(crate) fn new(
        suite: &SuiteV12,
        secret: &MasterSecret,
        config: &Config,
    ) -> Result<Self, Error> {
        let aead = Aead::of(suite.cipher_suite).ok_or(Error::CryptoFailed)?;
        let block = secret.key_block(aead.key_len(), aead.fixed_iv_len());
        let key = |side| {
            let (key, iv) = (block.write_key(side), block.write_iv(side));
            RecordKey::v12(aead, key, iv, config.protection()).ok_or(Error::CryptoFailed)
        };
        Ok(Self {
            client: key(Side::Client)?,
            server: key(Side::Server)?,
        })
    }

    /// What the client writes with, and what the server does.
    pub(crate) fn into_parts(self) -> (RecordKey, RecordKey) {
        (self.client, self.server)
    }
}

/// Our certificate, or the empty list of a client that has none for its peer.
pub(crate) fn say_certificate(
    der: Option<&[u8]>,
    transcript: &mut SessionTranscript,
    cx: &mut Context<'_>,
) {
    let certificate = Certificate {
        end_entity: der,
        chain: &[],
    };
    cx.say(
        transcript,
        Epoch::PLAINTEXT,
        HandshakeType::CERTIFICATE,
        |out| certificate.encode(out),
    );
}

/// The certificate in the peer's Certificate, if there is one.
pub(crate) fn read_certificate(message: &Message) -> Result<Option<&[u8]>, Error> {
    if message.handshake_type != HandshakeType::CERTIFICATE {
        return Err(unexpected());
    }
    Ok(Certificate::read_all(message.body())?.end_entity)
}

/// Our Finished, in the protected epoch.
pub(crate) fn say_finished(
    side: Side,
    secret: &MasterSecret,
    transcript: &mut SessionTranscript,
    cx: &mut Context<'_>,
) {
    let verify_data = secret.verify_data(side, transcript.current().as_ref());
    cx.say(transcript, Epoch::DTLS1_2, HandshakeType::FINISHED, |out| {
        Finished { verify_data }.encode(out);
    });
}

/// The peer's Finished over the transcript before it.
pub(crate) fn check_finished(
    peer: Side,
    secret: &MasterSecret,
    transcript: &SessionTranscript,
    message: &Message,
) -> Result<FinishedVerified, Error> {
    if message.handshake_type != HandshakeType::FINISHED {
        return Err(unexpected());
    }
    let expected = secret.verify_data(peer, transcript.current().as_ref());
    // One of another length is one that does not verify.
    FinishedVerified::check(&expected, message.body())
}
