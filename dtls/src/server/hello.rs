//! ClientHello in, the version chosen (RFC 5246 §7.4.1.2, RFC 8446 §4.2.1), and everything a ServerHello of DTLS 1.2 says.
//!
//! The hello is whole by now, however many datagrams it came in: a supported_versions in its last bytes counts. We speak
//! DTLS 1.2 only, so a client that also offers DTLS 1.3 is met with 1.2 and without the downgrade sentinel, which is for
//! servers that could have done better (RFC 8446 §4.1.3).

use super::ServerState;
use super::v12::{Choice, answer};
use crate::config::{Config, SrtpPolicy};
use crate::crypto::SuiteV12;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::v12::Agreed;
use crate::handshake::{Context, UNCOMPRESSED, unexpected};
use crate::key_schedule::v12::Randoms;
use crate::msgs::codec::{Codec, List};
use crate::msgs::enums::{CipherSuite, HandshakeType, NamedGroup, ProtocolVersion};
use crate::msgs::hello::{ClientHello, RANDOM_LEN};
use crate::reassembly::Message;
use crate::srtp::SrtpProfile;
use crate::transcript::Transcript;

#[derive(Debug)]
pub(crate) struct ExpectClientHello;

impl ExpectClientHello {
    pub(super) fn handle(
        self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        if message.handshake_type != HandshakeType::CLIENT_HELLO {
            return Err(unexpected());
        }
        let hello = ClientHello::read_all(message.body())?;
        if !hello.offers(ProtocolVersion::DTLS1_2) {
            return Err(PeerIncompatible::NoVersionInCommon.into());
        }
        check(&hello)?;
        let mut server_random = [0; RANDOM_LEN];
        cx.random.fill(&mut server_random)?;
        let choice = Choice {
            agreed: Agreed {
                suite: choose_suite(&hello, cx.config)?,
                randoms: Randoms {
                    client: hello.random,
                    server: server_random,
                },
                master_secret: cx
                    .config
                    .extended_master_secret
                    .with_peer(hello.extensions.extended_master_secret())?,
                srtp_profile: choose_srtp(&hello, cx.config)?,
                protocol: None,
            },
            group: choose_group(&hello, cx.config)?,
            schemes: hello
                .extensions
                .signature_algorithms()
                .ok_or(PeerIncompatible::NoSignatureSchemeInCommon)?,
            secure_renegotiation: knows_secure_renegotiation(&hello),
            point_formats: hello.extensions.ec_point_formats().is_some(),
        };
        answer(choice, Transcript::begin(&message.bytes), cx)
    }
}

/// What is forbidden in any ClientHello of a first handshake.
fn check(hello: &ClientHello<'_>) -> Result<(), Error> {
    if !hello.offers_no_compression() {
        return Err(PeerMisbehaved::CompressionDemanded.into());
    }
    let points = hello.extensions.ec_point_formats();
    if points.is_some_and(|formats| !formats.contains(&UNCOMPRESSED)) {
        return Err(PeerMisbehaved::UncompressedPointsNotOffered.into());
    }
    let connection = hello.extensions.renegotiation_info();
    if connection.is_some_and(|connection| !connection.is_empty()) {
        return Err(PeerMisbehaved::RenegotiationInfoDoesNotFit.into());
    }
    Ok(())
}

/// RFC 5746 §3.6: by the extension or by the suite that stands for it.
fn knows_secure_renegotiation(hello: &ClientHello<'_>) -> bool {
    hello.extensions.renegotiation_info().is_some()
        || hello
            .cipher_suites
            .contains(CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV)
}

/// The first of ours that the client offers and our key authenticates.
fn choose_suite(hello: &ClientHello<'_>, config: &Config) -> Result<SuiteV12, Error> {
    config
        .usable_cipher_suites(ProtocolVersion::DTLS1_2)
        .filter(|suite| hello.cipher_suites.contains(*suite))
        .filter_map(|suite| config.backend.suite_v12(suite))
        .find(|suite| suite.authentication == config.identity.authentication())
        .ok_or_else(|| PeerIncompatible::NoCipherSuiteInCommon.into())
}

/// The first of ours that the client offers. A client that does not say can do P-256 (RFC 8422 §4).
fn choose_group(hello: &ClientHello<'_>, config: &Config) -> Result<NamedGroup, Error> {
    let offered = hello
        .extensions
        .supported_groups()
        .unwrap_or(List::Items(&[NamedGroup::SECP256R1]));
    config
        .usable_groups(ProtocolVersion::DTLS1_2)
        .find(|group| offered.contains(*group))
        .ok_or_else(|| PeerIncompatible::NoGroupInCommon.into())
}

/// The first of ours that the client offers (RFC 5764 §4.1.1). An MKI is answered with the empty one.
fn choose_srtp(hello: &ClientHello<'_>, config: &Config) -> Result<Option<SrtpProfile>, Error> {
    let offer = hello.extensions.use_srtp();
    let chosen = offer.and_then(|offer| {
        config
            .srtp_profiles
            .iter()
            .copied()
            .find(|profile| offer.profiles.contains(profile.code_point()))
    });
    if chosen.is_none() && config.srtp_policy == SrtpPolicy::Required {
        return Err(PeerIncompatible::NoSrtpProfileInCommon.into());
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests;
