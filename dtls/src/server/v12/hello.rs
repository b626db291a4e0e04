//! What a ClientHello leads to in DTLS 1.2 (RFC 5246 §7.4.1.2, RFC 8422 §4).

use super::answer;
use crate::config::Config;
use crate::crypto::SuiteV12;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::v12::Agreed;
use crate::handshake::{Context, UNCOMPRESSED};
use crate::key_schedule::v12::Randoms;
use crate::msgs::codec::List;
use crate::msgs::enums::{CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme};
use crate::msgs::hello::{ClientHello, RANDOM_LEN, ServerHello};
use crate::reassembly::Message;
use crate::server::{ServerState, choice};
use crate::transcript::Transcript;

const VERSION: ProtocolVersion = ProtocolVersion::DTLS1_2;

pub(in crate::server) struct Choice<'a> {
    pub(super) agreed: Agreed,
    pub(super) group: NamedGroup,
    /// The signature schemes the client takes.
    pub(super) schemes: List<'a, SignatureScheme>,
    pub(super) secure_renegotiation: bool,
    /// Whether the client sent its point formats and so gets ours.
    pub(super) point_formats: bool,
    /// What the client wants to be called, if it knows connection ids.
    pub(super) connection_id: Option<&'a [u8]>,
}

/// The version is DTLS 1.2.
pub(in crate::server) fn on_client_hello(
    hello: &ClientHello<'_>,
    message: &Message,
    cx: &mut Context<'_>,
) -> Result<ServerState, Error> {
    check(hello)?;
    let choice = Choice {
        agreed: Agreed {
            suite: choose_suite(hello, cx.config)?,
            randoms: Randoms {
                client: hello.random,
                server: server_random(cx)?,
            },
            master_secret: cx
                .config
                .extended_master_secret
                .with_peer(hello.extensions.extended_master_secret())?,
            srtp_profile: choice::srtp_profile(hello, cx.config)?,
            protocol: choice::protocol(hello, cx.config)?,
        },
        group: choose_group(hello, cx.config)?,
        schemes: hello
            .extensions
            .signature_algorithms()
            .ok_or(PeerIncompatible::NoSignatureSchemeInCommon)?,
        secure_renegotiation: knows_secure_renegotiation(hello),
        point_formats: hello.extensions.ec_point_formats().is_some(),
        connection_id: cx.fitting_id(hello.extensions.connection_id()),
    };
    let transcript = Transcript::begin(&message.bytes).v12(choice.agreed.suite.hash());
    answer(choice, transcript, cx)
}

/// Its end says so if we could have done better (RFC 8446 §4.1.3).
fn server_random(cx: &mut Context<'_>) -> Result<[u8; RANDOM_LEN], Error> {
    let mut random = [0; RANDOM_LEN];
    cx.random.fill(&mut random)?;
    if cx
        .config
        .usable_versions()
        .any(|version| VERSION.is_older_than(version))
        && let Some(end) = random.last_chunk_mut()
    {
        *end = ServerHello::DOWNGRADED_TO_V12;
    }
    Ok(random)
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
        .usable_cipher_suites(VERSION)
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
        .usable_groups(VERSION)
        .find(|group| offered.contains(*group))
        .ok_or_else(|| PeerIncompatible::NoGroupInCommon.into())
}

#[cfg(test)]
mod tests;
