//! What a ClientHello leads to in DTLS 1.3 (RFC 8446 §4.1.1, §4.2, §9.2; RFC 9147 §5.3).

use crate::config::Config;
use crate::crypto::SuiteV13;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::ApplicationProtocol;
use crate::msgs::codec::List;
use crate::msgs::enums::{ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme};
use crate::msgs::hello::{ClientHello, RANDOM_LEN};
use crate::msgs::key_share::{KeyShareEntry, KeyShares};
use crate::server::choice;
use crate::srtp::SrtpProfile;

const VERSION: ProtocolVersion = ProtocolVersion::DTLS1_3;

#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) client_random: [u8; RANDOM_LEN],
    pub(super) suite: SuiteV13,
    pub(super) exchange: Exchange<'a>,
    /// The signature schemes the client takes.
    pub(super) schemes: List<'a, SignatureScheme>,
    pub(super) srtp_profile: Option<SrtpProfile>,
    pub(super) protocol: Option<ApplicationProtocol>,
    /// What the client wants to be called, if it knows connection ids.
    pub(super) connection_id: Option<&'a [u8]>,
}

/// How the key exchange can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange<'a> {
    /// With this share of the client.
    Now(KeyShareEntry<'a>),
    /// After the client has sent a share of this group.
    Retry(NamedGroup),
}

impl<'a> Choice<'a> {
    pub(super) fn new(hello: &ClientHello<'a>, config: &Config) -> Result<Self, Error> {
        check(hello)?;
        let missing = PeerMisbehaved::ExtensionMissing;
        let groups = hello.extensions.supported_groups().ok_or(missing)?;
        let shares = hello.extensions.key_shares().ok_or(missing)?;
        let schemes = hello.extensions.signature_algorithms().ok_or(missing)?;
        check_shares(groups, shares)?;
        let suite = choose_suite(hello, config)?;
        let exchange = choose_exchange(groups, shares, config)?;
        if !config.identity.can_sign(config.backend, VERSION, schemes) {
            return Err(PeerIncompatible::NoSignatureSchemeInCommon.into());
        }
        Ok(Self {
            client_random: hello.random,
            suite,
            exchange,
            schemes,
            srtp_profile: choice::srtp_profile(hello, config)?,
            protocol: choice::protocol(hello, config)?,
            connection_id: hello.extensions.connection_id(),
        })
    }
}

/// What is forbidden in any ClientHello of DTLS 1.3.
fn check(hello: &ClientHello<'_>) -> Result<(), Error> {
    if hello.compression_methods != ClientHello::NO_COMPRESSION {
        return Err(PeerMisbehaved::CompressionDemanded.into());
    }
    // The field is that of DTLS 1.2: cookies are an extension now (RFC 9147 §5.3).
    if !hello.cookie.is_empty() {
        return Err(PeerMisbehaved::CookieInvalid.into());
    }
    check_pre_shared_key(hello)
}

/// Pre-shared keys are not for us, but what breaks their rules is broken (RFC 8446 §4.2.9, §4.2.11).
fn check_pre_shared_key(hello: &ClientHello<'_>) -> Result<(), Error> {
    if !hello.extensions.has(ExtensionType::PRE_SHARED_KEY) {
        return Ok(());
    }
    if hello.extensions.types().last() != Some(ExtensionType::PRE_SHARED_KEY) {
        return Err(PeerMisbehaved::PreSharedKeyNotLast.into());
    }
    match hello.extensions.psk_key_exchange_modes() {
        Some(_) => Ok(()),
        None => Err(PeerMisbehaved::ExtensionMissing.into()),
    }
}

/// Each share is of a group that is offered, and they come in the same order (RFC 8446 §4.2.8).
fn check_shares(groups: List<'_, NamedGroup>, shares: KeyShares<'_>) -> Result<(), Error> {
    let mut groups = groups.iter();
    match shares
        .iter()
        .all(|share| groups.any(|group| group == share.group))
    {
        true => Ok(()),
        false => Err(PeerMisbehaved::KeyShareOfUnofferedGroup.into()),
    }
}

/// The first of ours that the client offers.
fn choose_suite(hello: &ClientHello<'_>, config: &Config) -> Result<SuiteV13, Error> {
    config
        .usable_cipher_suites(VERSION)
        .filter(|suite| hello.cipher_suites.contains(*suite))
        .find_map(|suite| config.backend.suite_v13(suite))
        .ok_or_else(|| PeerIncompatible::NoCipherSuiteInCommon.into())
}

/// The first of our groups that the client has sent a share of, which saves a round trip; else the first that it offers.
fn choose_exchange<'a>(
    groups: List<'_, NamedGroup>,
    shares: KeyShares<'a>,
    config: &Config,
) -> Result<Exchange<'a>, Error> {
    let share_of = |group| shares.iter().find(|share| share.group == group);
    if let Some(share) = config.usable_groups(VERSION).find_map(share_of) {
        return Ok(Exchange::Now(share));
    }
    config
        .usable_groups(VERSION)
        .find(|group| groups.contains(*group))
        .map(Exchange::Retry)
        .ok_or_else(|| PeerIncompatible::NoGroupInCommon.into())
}

#[cfg(test)]
mod tests;
