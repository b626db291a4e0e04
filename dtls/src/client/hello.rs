//! ClientHello out, HelloVerifyRequest or ServerHello in (RFC 6347 §4.2.1, RFC 5246 §7.4.1).
//!
//! The answer chooses the version: what a ServerHello of DTLS 1.2 says is checked here against what was offered, and
//! `v12` goes on.

use super::ClientState;
use super::v12::ExpectCertificate;
use crate::config::{Config, SrtpPolicy};
use crate::crypto::CryptoBackend;
use crate::crypto::random::Randomness;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::v12::Agreed;
use crate::handshake::{Context, UNCOMPRESSED, unexpected};
use crate::key_schedule::v12::Randoms;
use crate::msgs::codec::{Codec, List};
use crate::msgs::enums::{
    CipherSuite, ExtensionType, HandshakeType, NamedGroup, ProtocolVersion, SrtpProtectionProfile,
};
use crate::msgs::extensions::{Extension, Extensions, UseSrtp};
use crate::msgs::hello::{ClientHello, HelloVerifyRequest, RANDOM_LEN, ServerHello};
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::srtp::SrtpProfile;
use crate::transcript::{Messages, Transcript};

/// What the ClientHello offers, kept for its repetition and for checking the answer.
#[derive(Debug)]
struct Offer {
    random: [u8; RANDOM_LEN],
    cipher_suites: Vec<CipherSuite>,
    groups: Vec<NamedGroup>,
    srtp_profiles: Vec<SrtpProtectionProfile>,
}

#[derive(Debug)]
pub(crate) struct ExpectServerHello {
    offer: Offer,
    transcript: Transcript,
    /// A HelloVerifyRequest was answered: there will not be another.
    cookie_sent: CookieSent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CookieSent {
    No,
    Yes,
}

impl Offer {
    fn new(config: &Config, randomness: &mut Randomness) -> Result<Self, Error> {
        let mut random = [0; RANDOM_LEN];
        randomness.fill(&mut random)?;
        Ok(Self {
            random,
            cipher_suites: config
                .usable_cipher_suites(ProtocolVersion::DTLS1_2)
                .collect(),
            groups: config.usable_groups(ProtocolVersion::DTLS1_2).collect(),
            srtp_profiles: config
                .srtp_profiles
                .iter()
                .map(|profile| profile.code_point())
                .collect(),
        })
    }

    /// Sends the ClientHello as a flight of its own. Two of them differ in the cookie only.
    fn send(&self, cookie: &[u8], cx: &mut Context<'_>) -> Transcript {
        let extensions = [
            Extension::ExtendedMasterSecret,
            Extension::RenegotiationInfo(&[]),
            Extension::SupportedGroups(List::Items(&self.groups)),
            Extension::EcPointFormats(&[UNCOMPRESSED]),
            Extension::SignatureAlgorithms(List::Items(CryptoBackend::SIGNATURE_SCHEMES)),
            Extension::UseSrtp(UseSrtp {
                profiles: List::Items(&self.srtp_profiles),
                mki: &[],
            }),
        ];
        let offered = match self.srtp_profiles.as_slice() {
            [] => extensions.len() - 1,
            _ => extensions.len(),
        };
        let hello = ClientHello {
            version: ProtocolVersion::DTLS1_2,
            random: self.random,
            session_id: &[],
            cookie,
            cipher_suites: List::Items(&self.cipher_suites),
            compression_methods: ClientHello::NO_COMPRESSION,
            extensions: Extensions::Items(extensions.get(..offered).unwrap_or_default()),
        };
        cx.flight.begin(cx.now);
        let message = cx
            .flight
            .message(Epoch::PLAINTEXT, HandshakeType::CLIENT_HELLO, |out| {
                hello.encode(out);
            });
        let transcript = Transcript::begin(message);
        cx.send_flight();
        transcript
    }

    /// Checks what a server chose against what it was offered.
    fn check(&self, hello: &ServerHello<'_>, config: &Config) -> Result<Agreed, Error> {
        if hello.version != ProtocolVersion::DTLS1_2 {
            return Err(PeerMisbehaved::SelectedUnofferedVersion.into());
        }
        if hello.compression_method != ServerHello::NO_COMPRESSION {
            return Err(PeerMisbehaved::SelectedCompression.into());
        }
        let suite = Some(hello.cipher_suite)
            .filter(|suite| self.cipher_suites.contains(suite))
            .and_then(|suite| config.backend.suite_v12(suite))
            .ok_or(PeerMisbehaved::SelectedUnofferedCipherSuite)?;
        self.check_extensions(hello)?;
        let extended = hello.extensions.extended_master_secret();
        Ok(Agreed {
            suite,
            randoms: Randoms {
                client: self.random,
                server: hello.random,
            },
            master_secret: config.extended_master_secret.with_peer(extended)?,
            srtp_profile: self.check_srtp(hello, config.srtp_policy)?,
            protocol: None,
        })
    }

    /// Only what was asked is answered (RFC 5246 §7.4.1.4), and in a way that makes sense in a first handshake.
    fn check_extensions(&self, hello: &ServerHello<'_>) -> Result<(), Error> {
        let offered = |extension| match extension {
            ExtensionType::USE_SRTP => !self.srtp_profiles.is_empty(),
            ExtensionType::EXTENDED_MASTER_SECRET
            | ExtensionType::RENEGOTIATION_INFO
            | ExtensionType::SUPPORTED_GROUPS
            | ExtensionType::EC_POINT_FORMATS
            | ExtensionType::SIGNATURE_ALGORITHMS => true,
            _ => false,
        };
        if !hello.extensions.types().all(offered) {
            return Err(PeerMisbehaved::UnsolicitedExtension.into());
        }
        if hello
            .extensions
            .renegotiation_info()
            .is_some_and(|connection| !connection.is_empty())
        {
            return Err(PeerMisbehaved::RenegotiationInfoDoesNotFit.into());
        }
        let points = hello.extensions.ec_point_formats();
        if points.is_some_and(|formats| !formats.contains(&UNCOMPRESSED)) {
            return Err(PeerMisbehaved::UncompressedPointsNotOffered.into());
        }
        Ok(())
    }

    /// RFC 5764 §4.1.1: exactly one profile, an offered one, and the empty MKI that was sent.
    fn check_srtp(
        &self,
        hello: &ServerHello<'_>,
        policy: SrtpPolicy,
    ) -> Result<Option<SrtpProfile>, Error> {
        let Some(answer) = hello.extensions.use_srtp() else {
            return match policy {
                SrtpPolicy::Optional => Ok(None),
                SrtpPolicy::Required => Err(PeerIncompatible::NoSrtpProfileInCommon.into()),
            };
        };
        let mut profiles = answer.profiles.iter();
        let (Some(profile), None) = (profiles.next(), profiles.next()) else {
            return Err(PeerMisbehaved::SelectedUnofferedSrtpProfile.into());
        };
        if !answer.mki.is_empty() {
            return Err(PeerMisbehaved::SelectedUnofferedMki.into());
        }
        let profile = Some(profile)
            .filter(|profile| self.srtp_profiles.contains(profile))
            .and_then(SrtpProfile::from_code_point)
            .ok_or(PeerMisbehaved::SelectedUnofferedSrtpProfile)?;
        Ok(Some(profile))
    }
}

impl ExpectServerHello {
    pub(super) fn start(cx: &mut Context<'_>) -> Result<Self, Error> {
        let offer = Offer::new(cx.config, cx.random)?;
        let transcript = offer.send(&[], cx);
        Ok(Self {
            offer,
            transcript,
            cookie_sent: CookieSent::No,
        })
    }

    pub(super) fn handle(
        self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ClientState, Error> {
        match message.handshake_type {
            HandshakeType::HELLO_VERIFY_REQUEST => self.verify(message, cx),
            HandshakeType::SERVER_HELLO => self.agree(message, cx),
            _ => Err(unexpected()),
        }
    }

    /// The server wants its cookie back before it keeps anything.
    fn verify(self, message: &Message, cx: &mut Context<'_>) -> Result<ClientState, Error> {
        let request = HelloVerifyRequest::read_all(message.body())?;
        if self.cookie_sent == CookieSent::Yes {
            return Err(PeerMisbehaved::CookieDemandedTwice.into());
        }
        let transcript = self.offer.send(request.cookie, cx);
        Ok(ClientState::ServerHello(Self {
            transcript,
            cookie_sent: CookieSent::Yes,
            ..self
        }))
    }

    fn agree(mut self, message: &Message, cx: &mut Context<'_>) -> Result<ClientState, Error> {
        let hello = ServerHello::read_all(message.body())?;
        let agreed = self.offer.check(&hello, cx.config)?;
        self.transcript.add(&message.bytes);
        Ok(ClientState::Certificate(ExpectCertificate {
            agreed,
            groups: self.offer.groups,
            transcript: self.transcript,
        }))
    }
}

#[cfg(test)]
impl ExpectServerHello {
    pub(crate) fn transcript_bytes(&mut self) -> &mut [u8] {
        self.transcript.bytes()
    }
}

#[cfg(test)]
mod tests;
