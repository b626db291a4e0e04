//! What a server chooses of a ClientHello in either version: the first of ours that the client offers.

use crate::config::{Config, SrtpPolicy};
use crate::error::{Error, PeerIncompatible};
use crate::handshake::ApplicationProtocol;
use crate::msgs::codec::List;
use crate::msgs::extensions::{Extension, UseSrtp};
use crate::msgs::hello::ClientHello;
use crate::msgs::names::ProtocolNames;
use crate::srtp::SrtpProfile;

/// RFC 5764 §4.1.1. An MKI is answered with the empty one.
pub(super) fn srtp_profile(
    hello: &ClientHello<'_>,
    config: &Config,
) -> Result<Option<SrtpProfile>, Error> {
    let offer = hello.extensions.use_srtp();
    let chosen = offer.and_then(|offer| {
        let offered = |profile: &SrtpProfile| offer.profiles.contains(profile.code_point());
        config.srtp_profiles.iter().copied().find(offered)
    });
    if chosen.is_none() && config.srtp_policy == SrtpPolicy::Required {
        return Err(PeerIncompatible::NoSrtpProfileInCommon.into());
    }
    Ok(chosen)
}

/// RFC 7301 §3.2: a client that offers only what we do not speak is refused.
pub(super) fn protocol(
    hello: &ClientHello<'_>,
    config: &Config,
) -> Result<Option<ApplicationProtocol>, Error> {
    let Some(offered) = hello.extensions.alpn() else {
        return Ok(None);
    };
    if config.alpn_protocols.is_empty() {
        return Ok(None);
    }
    let ours = config
        .alpn_protocols
        .iter()
        .find(|name| offered.contains(name));
    ours.and_then(|name| ApplicationProtocol::named(name, config))
        .map(Some)
        .ok_or_else(|| PeerIncompatible::NoApplicationProtocolInCommon.into())
}

/// use_srtp with the one profile, and the empty MKI.
pub(super) fn srtp_answer(profile: SrtpProfile) -> Extension<'static> {
    Extension::UseSrtp(UseSrtp {
        profiles: List::One(profile.code_point()),
        mki: &[],
    })
}

pub(super) fn protocol_answer(
    protocol: ApplicationProtocol,
    config: &Config,
) -> Option<Extension<'_>> {
    let name = protocol.name(config)?;
    Some(Extension::Alpn(ProtocolNames::One(name)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::identity::Identity;
    use crate::msgs::enums::{CipherSuite, ProtocolVersion, SrtpProtectionProfile};
    use crate::msgs::extensions::Extensions;

    fn config() -> Config {
        Config::new(Arc::new(Identity::generate().unwrap()))
    }

    fn hello<'a>(extensions: &'a [Extension<'a>]) -> ClientHello<'a> {
        ClientHello {
            version: ProtocolVersion::DTLS1_2,
            random: [3; 32],
            session_id: &[],
            cookie: &[],
            cipher_suites: List::Items(&[CipherSuite::TLS13_AES_128_GCM_SHA256]),
            compression_methods: ClientHello::NO_COMPRESSION,
            extensions: Extensions::Items(extensions),
        }
    }

    // req: T8
    #[test]
    fn an_mki_and_unknown_profiles_do_not_hinder() {
        let profiles = [
            SrtpProtectionProfile(0x0005),
            SrtpProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_80,
        ];
        let extensions = [Extension::UseSrtp(UseSrtp {
            profiles: List::Items(&profiles),
            mki: b"an mki",
        })];
        let mut config = config();
        let chosen = srtp_profile(&hello(&extensions), &config);
        assert_eq!(chosen, Ok(Some(SrtpProfile::Aes128CmSha1_80)));
        assert_eq!(srtp_profile(&hello(&[]), &config), Ok(None));
        config.srtp_policy = SrtpPolicy::Required;
        let nothing = PeerIncompatible::NoSrtpProfileInCommon;
        assert_eq!(srtp_profile(&hello(&[]), &config), Err(nothing.into()));
    }

    // req: T10
    #[test]
    fn our_first_protocol_that_is_offered_is_spoken_and_none_is_no_answer() {
        let mut config = config();
        let chosen = |config: &Config, offer: &[&[u8]]| {
            let extensions = [Extension::Alpn(ProtocolNames::Items(offer))];
            let chosen = protocol(&hello(&extensions), config);
            chosen.map(|chosen| chosen.and_then(|chosen| chosen.name(config).map(<[u8]>::to_vec)))
        };
        let both: &[&[u8]] = &[b"c-webrtc", b"webrtc"];
        assert_eq!(chosen(&config, both), Ok(None));
        config.alpn_protocols = vec![b"webrtc".to_vec(), b"c-webrtc".to_vec()];
        assert_eq!(chosen(&config, both), Ok(Some(b"webrtc".to_vec())));
        assert_eq!(chosen(&config, &both[..1]), Ok(Some(b"c-webrtc".to_vec())));
        assert_eq!(protocol(&hello(&[]), &config), Ok(None));
        let nothing = PeerIncompatible::NoApplicationProtocolInCommon;
        assert_eq!(chosen(&config, &[b"h2", b"web"]), Err(nothing.into()));
    }
}
