//! The ServerHello of DTLS 1.2, checked against what was offered (RFC 5246 §7.4.1.3, RFC 8446 §4.1.3).

use crate::client::offer;
use crate::config::Config;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::UNCOMPRESSED;
use crate::handshake::v12::Agreed;
use crate::key_schedule::v12::Randoms;
use crate::msgs::enums::{ExtensionType, ProtocolVersion};
use crate::msgs::hello::{RANDOM_LEN, ServerHello};

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;

/// What may be in it. The groups are the client's to say, but servers are known that say theirs.
const ALLOWED: &[ExtensionType] = &[
    ExtensionType::USE_SRTP,
    ExtensionType::ALPN,
    ExtensionType::SERVER_NAME,
    ExtensionType::CONNECTION_ID,
    ExtensionType::EXTENDED_MASTER_SECRET,
    ExtensionType::RENEGOTIATION_INFO,
    ExtensionType::EC_POINT_FORMATS,
    ExtensionType::SUPPORTED_GROUPS,
    ExtensionType::SIGNATURE_ALGORITHMS,
];

/// Checks what a server chose.
pub(super) fn check(
    hello: &ServerHello<'_>,
    client_random: [u8; RANDOM_LEN],
    config: &Config,
) -> Result<Agreed, Error> {
    if hello.version != V12 || !config.offers(V12) {
        return Err(PeerMisbehaved::SelectedUnofferedVersion.into());
    }
    if config.offers(ProtocolVersion::DTLS1_3) && hello.says_downgraded() {
        return Err(PeerMisbehaved::Downgraded.into());
    }
    if hello.compression_method != ServerHello::NO_COMPRESSION {
        return Err(PeerMisbehaved::SelectedCompression.into());
    }
    let suite = config
        .usable_cipher_suites(V12)
        .find(|suite| *suite == hello.cipher_suite)
        .and_then(|suite| config.backend.suite_v12(suite))
        .ok_or(PeerMisbehaved::SelectedUnofferedCipherSuite)?;
    check_extensions(hello, config)?;
    let extended = hello.extensions.extended_master_secret();
    Ok(Agreed {
        suite,
        randoms: Randoms {
            client: client_random,
            server: hello.random,
        },
        master_secret: config.extended_master_secret.with_peer(extended)?,
        srtp_profile: offer::check_srtp(hello.extensions, config)?,
        protocol: offer::check_protocol(hello.extensions, config)?,
    })
}

/// Only what was asked is answered, and in a way that makes sense in a first handshake.
fn check_extensions(hello: &ServerHello<'_>, config: &Config) -> Result<(), Error> {
    offer::check_extensions(hello.extensions, ALLOWED, config)?;
    let connection = hello.extensions.renegotiation_info();
    if connection.is_some_and(|connection| !connection.is_empty()) {
        return Err(PeerMisbehaved::RenegotiationInfoDoesNotFit.into());
    }
    let points = hello.extensions.ec_point_formats();
    if points.is_some_and(|formats| !formats.contains(&UNCOMPRESSED)) {
        return Err(PeerMisbehaved::UncompressedPointsNotOffered.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
