//! The ServerHello and the HelloRetryRequest of DTLS 1.3, checked against what was offered (RFC 8446 §4.1.3, §4.1.4).

use crate::client::offer;
use crate::config::Config;
use crate::crypto::SuiteV13;
use crate::error::{Error, PeerMisbehaved};
use crate::msgs::enums::{ExtensionType, ProtocolVersion};
use crate::msgs::hello::ServerHello;

const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// Says the suite of a ServerHello that selects DTLS 1.3.
pub(in crate::client) fn check_hello(
    hello: &ServerHello<'_>,
    config: &Config,
) -> Result<SuiteV13, Error> {
    const ALLOWED: &[ExtensionType] = &[
        ExtensionType::SUPPORTED_VERSIONS,
        ExtensionType::KEY_SHARE,
        ExtensionType::CONNECTION_ID,
    ];
    offer::check_extensions(hello.extensions, ALLOWED, config)?;
    check_common(hello, config)
}

/// Says the suite of a HelloRetryRequest that changes something.
pub(in crate::client) fn check_retry(
    hello: &ServerHello<'_>,
    config: &Config,
) -> Result<SuiteV13, Error> {
    const ALLOWED: &[ExtensionType] = &[
        ExtensionType::SUPPORTED_VERSIONS,
        ExtensionType::KEY_SHARE,
        // The one extension that is not an answer.
        ExtensionType::COOKIE,
    ];
    if !hello
        .extensions
        .types()
        .all(|found| ALLOWED.contains(&found))
    {
        return Err(PeerMisbehaved::UnsolicitedExtension.into());
    }
    let suite = check_common(hello, config)?;
    let retries =
        hello.extensions.selected_group().is_some() || hello.extensions.cookie().is_some();
    match retries {
        true => Ok(suite),
        false => Err(PeerMisbehaved::RetryChangesNothing.into()),
    }
}

fn check_common(hello: &ServerHello<'_>, config: &Config) -> Result<SuiteV13, Error> {
    // The version is what supported_versions says; the field of old says DTLS 1.2 for ever.
    let selected = hello.extensions.selected_version();
    if hello.version != ProtocolVersion::DTLS1_2 || selected != Some(V13) || !config.offers(V13) {
        return Err(PeerMisbehaved::SelectedUnofferedVersion.into());
    }
    if !hello.session_id.is_empty() {
        return Err(PeerMisbehaved::SessionIdDoesNotFit.into());
    }
    if hello.compression_method != ServerHello::NO_COMPRESSION {
        return Err(PeerMisbehaved::SelectedCompression.into());
    }
    config
        .usable_cipher_suites(V13)
        .find(|suite| *suite == hello.cipher_suite)
        .and_then(|suite| config.backend.suite_v13(suite))
        .ok_or_else(|| PeerMisbehaved::SelectedUnofferedCipherSuite.into())
}

#[cfg(test)]
mod tests;
