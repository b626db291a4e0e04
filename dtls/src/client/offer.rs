//! The ClientHello: what is offered, and whether an answer stays within it (RFC 8446 §4.1.2, RFC 9147 §5.3, RFC 6347 §4.2.1).
//!
//! One message offers both versions. What is repeated after a HelloVerifyRequest or a HelloRetryRequest is made of the same
//! configuration and the same random again, so that nothing changes but what may.

use crate::config::{Config, SrtpPolicy};
use crate::crypto::random::Randomness;
use crate::crypto::{CryptoBackend, KeyExchange, SharedSecret};
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::few::Few;
use crate::handshake::{ApplicationProtocol, Context, UNCOMPRESSED};
use crate::msgs::codec::{Codec, List};
use crate::msgs::enums::{
    CipherSuite, ExtensionType, HandshakeType, NamedGroup, ProtocolVersion, PskKeyExchangeMode,
    SignatureScheme, SrtpProtectionProfile,
};
use crate::msgs::extensions::{Extension, Extensions, UseSrtp};
use crate::msgs::hello::{ClientHello, RANDOM_LEN};
use crate::msgs::key_share::{KeyShareEntry, KeyShares};
use crate::msgs::names::ProtocolNames;
use crate::record::header::Epoch;
use crate::srtp::SrtpProfile;
use crate::transcript::Messages;

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// Where no share is.
const NO_SHARE: KeyShareEntry<'_> = KeyShareEntry {
    group: NamedGroup::X25519,
    key_exchange: &[],
};

/// What a ClientHello contributes besides the configuration.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) random: [u8; RANDOM_LEN],
    /// The key whose share is offered; none if DTLS 1.3 is not.
    exchange: Option<KeyExchange>,
    /// The group inside a hybrid one whose own share is offered too.
    component: Option<NamedGroup>,
}

/// What the server wants to see again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie<'a> {
    None,
    /// Of a HelloVerifyRequest.
    Verify(&'a [u8]),
    /// Of a HelloRetryRequest.
    Retry(&'a [u8]),
}

impl Offer {
    pub(super) fn new(config: &Config, randomness: &mut Randomness) -> Result<Self, Error> {
        let mut random = [0; RANDOM_LEN];
        randomness.fill(&mut random)?;
        let exchange = match config.offers(V13) {
            true => config.usable_groups(V13).next(),
            false => None,
        }
        .map(|group| randomness.start_key_exchange(config.backend, group))
        .transpose()?;
        let component = exchange
            .as_ref()
            .and_then(KeyExchange::hybrid_component)
            .map(|(group, _)| group)
            .filter(|group| config.usable_groups(V13).any(|usable| usable == *group));
        Ok(Self {
            random,
            exchange,
            component,
        })
    }

    /// Sends the ClientHello as a flight of its own.
    pub(super) fn send(
        &self,
        cookie: Cookie<'_>,
        transcript: &mut impl Messages,
        cx: &mut Context<'_>,
    ) {
        let lists = Lists::of(cx.config);
        let shares = Few::<_, 2>::of(NO_SHARE, self.shares());
        let extensions = lists.extensions(&shares, cookie, cx.config);
        let hello = ClientHello {
            version: V12,
            random: self.random,
            session_id: &[],
            cookie: match cookie {
                Cookie::Verify(cookie) => cookie,
                Cookie::None | Cookie::Retry(_) => &[],
            },
            cipher_suites: List::Items(&lists.cipher_suites),
            compression_methods: ClientHello::NO_COMPRESSION,
            extensions: Extensions::Items(&extensions),
        };
        cx.flight.begin(cx.now);
        cx.say(
            transcript,
            Epoch::PLAINTEXT,
            HandshakeType::CLIENT_HELLO,
            |out| hello.encode(out),
        );
        cx.send_flight();
    }

    /// The shares that are offered, in order of preference.
    fn shares(&self) -> impl Iterator<Item = KeyShareEntry<'_>> {
        let whole = self.exchange.iter().map(|exchange| KeyShareEntry {
            group: exchange.group(),
            key_exchange: exchange.public(),
        });
        let inside = self.component.and_then(|_| {
            let (group, key_exchange) = self.exchange.as_ref()?.hybrid_component()?;
            Some(KeyShareEntry {
                group,
                key_exchange,
            })
        });
        whole.chain(inside)
    }

    /// Offers a share of this group instead, which a HelloRetryRequest asks for (RFC 8446 §4.2.8).
    pub(super) fn retry(&mut self, group: NamedGroup, cx: &mut Context<'_>) -> Result<(), Error> {
        let known = cx.config.usable_groups(V13).any(|usable| usable == group);
        if !known {
            return Err(PeerMisbehaved::SelectedUnofferedGroup.into());
        }
        if self.shares().any(|share| share.group == group) {
            return Err(PeerMisbehaved::RetryChangesNothing.into());
        }
        let exchange = cx.random.start_key_exchange(cx.config.backend, group)?;
        self.exchange = Some(exchange);
        self.component = None;
        Ok(())
    }

    /// Agrees with the server's share of a group of which one was offered.
    pub(super) fn agree(self, share: KeyShareEntry<'_>) -> Result<SharedSecret, Error> {
        let unoffered = PeerMisbehaved::SelectedUnofferedGroup;
        let exchange = self.exchange.ok_or(unoffered)?;
        if share.group == exchange.group() {
            return exchange.complete(share.key_exchange);
        }
        match self.component {
            Some(group) if group == share.group => {
                exchange.complete_hybrid_component(share.key_exchange)
            }
            _ => Err(unoffered.into()),
        }
    }
}

/// What the configuration offers, as lists of the wire.
struct Lists<'a> {
    /// Newest first.
    versions: Few<ProtocolVersion, 2>,
    cipher_suites: Few<CipherSuite, { Config::MOST_CIPHER_SUITES }>,
    groups: Few<NamedGroup, { Config::MOST_GROUPS }>,
    srtp_profiles: Few<SrtpProtectionProfile, { Config::MOST_SRTP_PROFILES }>,
    protocols: Vec<&'a [u8]>,
}

impl<'a> Lists<'a> {
    fn of(config: &'a Config) -> Self {
        let newest = config.usable_versions().next().unwrap_or(V12);
        let suites = config
            .usable_versions()
            .flat_map(|version| config.usable_cipher_suites(version));
        let profiles = config
            .srtp_profiles
            .iter()
            .map(|profile| profile.code_point());
        Self {
            versions: Few::of(newest, config.usable_versions()),
            cipher_suites: Few::of(CipherSuite(0), suites),
            groups: Few::of(NamedGroup(0), config.usable_groups(newest)),
            srtp_profiles: Few::of(SrtpProtectionProfile(0), profiles),
            protocols: config.alpn_protocols.iter().map(Vec::as_slice).collect(),
        }
    }

    /// All that we know, but for what is not offered.
    fn extensions<'b>(
        &'b self,
        shares: &'b [KeyShareEntry<'b>],
        cookie: Cookie<'b>,
        config: &'b Config,
    ) -> Few<Extension<'b>, 13> {
        let name = config.server_name.as_deref().unwrap_or_default();
        let known = [
            Extension::SupportedGroups(List::Items(&self.groups)),
            Extension::SignatureAlgorithms(List::Items(signature_schemes(config))),
            Extension::UseSrtp(UseSrtp {
                profiles: List::Items(&self.srtp_profiles),
                mki: &[],
            }),
            Extension::Alpn(ProtocolNames::Items(&self.protocols)),
            Extension::ServerName(name.as_bytes()),
            Extension::ExtendedMasterSecret,
            Extension::RenegotiationInfo(&[]),
            Extension::EcPointFormats(&[UNCOMPRESSED]),
            Extension::SupportedVersions(List::Items(&self.versions)),
            Extension::KeyShares(KeyShares::Items(shares)),
            Extension::PskKeyExchangeModes(List::Items(&[PskKeyExchangeMode::PSK_DHE_KE])),
        ];
        let offered = |extension: &Extension<'_>| offers(config, extension.extension_type());
        let cookie = match cookie {
            Cookie::Retry(cookie) => Some(Extension::Cookie(cookie)),
            Cookie::None | Cookie::Verify(_) => None,
        };
        let extensions = known
            .into_iter()
            .filter(offered)
            .chain(config.connection_id_extension())
            .chain(cookie);
        Few::of(Extension::ExtendedMasterSecret, extensions)
    }
}

impl Config {
    /// Whether a client with this configuration offers this version.
    pub(super) fn offers(&self, version: ProtocolVersion) -> bool {
        self.usable_versions().any(|usable| usable == version)
    }
}

/// What we take from the server: in DTLS 1.3 alone not those that only the older version has, which come last.
fn signature_schemes(config: &Config) -> &'static [SignatureScheme] {
    CryptoBackend::signature_schemes(if config.offers(V12) { V12 } else { V13 })
}

/// Whether our ClientHello has this extension.
fn offers(config: &Config, extension: ExtensionType) -> bool {
    match extension {
        ExtensionType::USE_SRTP => !config.srtp_profiles.is_empty(),
        ExtensionType::ALPN => !config.alpn_protocols.is_empty(),
        ExtensionType::SERVER_NAME => config.server_name.is_some(),
        ExtensionType::CONNECTION_ID => config.connection_id.is_some(),
        ExtensionType::SUPPORTED_GROUPS | ExtensionType::SIGNATURE_ALGORITHMS => true,
        ExtensionType::EXTENDED_MASTER_SECRET
        | ExtensionType::RENEGOTIATION_INFO
        | ExtensionType::EC_POINT_FORMATS => config.offers(V12),
        ExtensionType::SUPPORTED_VERSIONS
        | ExtensionType::KEY_SHARE
        | ExtensionType::PSK_KEY_EXCHANGE_MODES => config.offers(V13),
        _ => false,
    }
}

/// Only what was asked is answered, and where it is to be (RFC 5246 §7.4.1.4, RFC 8446 §4.2).
pub(super) fn check_extensions(
    answer: Extensions<'_>,
    allowed: &[ExtensionType],
    config: &Config,
) -> Result<(), Error> {
    let solicited = |extension| allowed.contains(&extension) && offers(config, extension);
    match answer.types().all(solicited) {
        true => Ok(()),
        false => Err(PeerMisbehaved::UnsolicitedExtension.into()),
    }
}

/// RFC 5764 §4.1.1: exactly one profile, an offered one, and the empty MKI that was sent.
pub(super) fn check_srtp(
    answer: Extensions<'_>,
    config: &Config,
) -> Result<Option<SrtpProfile>, Error> {
    let Some(answer) = answer.use_srtp() else {
        return match config.srtp_policy {
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
    let profile = SrtpProfile::from_code_point(profile)
        .filter(|profile| config.srtp_profiles.contains(profile))
        .ok_or(PeerMisbehaved::SelectedUnofferedSrtpProfile)?;
    Ok(Some(profile))
}

/// RFC 7301 §3.1: exactly one protocol, an offered one. A server that chooses none is fine.
pub(super) fn check_protocol(
    answer: Extensions<'_>,
    config: &Config,
) -> Result<Option<ApplicationProtocol>, Error> {
    let Some(names) = answer.alpn() else {
        return Ok(None);
    };
    names
        .only()
        .and_then(|name| ApplicationProtocol::named(name, config))
        .map(Some)
        .ok_or_else(|| PeerMisbehaved::SelectedUnofferedProtocol.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    // req: T3
    #[test]
    fn the_schemes_of_the_older_version_are_offered_with_it_only() {
        let mut config = Config::new(std::sync::Arc::new(Identity::generate().unwrap()));
        assert_eq!(signature_schemes(&config), CryptoBackend::SIGNATURE_SCHEMES);
        config.min_version = V13;
        let of_v13: Vec<_> = CryptoBackend::SIGNATURE_SCHEMES
            .iter()
            .copied()
            .filter(|scheme| scheme.usable_in(V13))
            .collect();
        assert_eq!(signature_schemes(&config), of_v13);
        assert!(!of_v13.contains(&SignatureScheme::RSA_PKCS1_SHA256));
    }
}
