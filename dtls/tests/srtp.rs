//! DTLS-SRTP: what is offered, what is chosen, and that both ends hold the same keys (RFC 5764).

mod common;

use common::*;
use floe_dtls::*;

const ALL: [SrtpProfile; 4] = [
    SrtpProfile::Aes128CmSha1_80,
    SrtpProfile::Aes128CmSha1_32,
    SrtpProfile::Aes128Gcm,
    SrtpProfile::Aes256Gcm,
];

fn with_profiles(host: u8, profiles: &[SrtpProfile]) -> Config {
    let mut config = config(host);
    config.srtp_profiles = profiles.to_vec();
    config
}

// req: T8
#[test]
fn each_profile_gives_both_ends_the_same_keys_in_both_layouts() {
    for profile in ALL {
        let mut pair = pair_with(1, with_profiles(CLIENT, &[profile]), config_all());
        connect(&mut pair);
        assert!(pair.a.has_said(&Event::SrtpReady(profile)));
        assert!(pair.b.has_said(&Event::SrtpReady(profile)));
        let [ours, theirs] = [&pair.a, &pair.b].map(|peer| peer.dtls.srtp_keys().unwrap());
        assert_eq!((ours.profile(), theirs.profile()), (profile, profile));
        let mut exported = vec![0; 2 * (profile.key_len() + profile.salt_len())];
        let label = "EXTRACTOR-dtls_srtp";
        pair.a
            .dtls
            .export_keying_material(label, None, &mut exported)
            .unwrap();
        let mut rest = &exported[..];
        let mut take = |len| {
            let (taken, after) = rest.split_at(len);
            rest = after;
            taken
        };
        // RFC 5764 §4.2: client key, server key, client salt, server salt.
        let keys = [take(profile.key_len()), take(profile.key_len())];
        let salts = [take(profile.salt_len()), take(profile.salt_len())];
        for (index, side) in [Side::Client, Side::Server].into_iter().enumerate() {
            for of in [&ours, &theirs] {
                assert_eq!(of.key(side), keys[index]);
                assert_eq!(of.salt(side), salts[index]);
                assert_eq!(of.libsrtp_key(side), [keys[index], salts[index]].concat());
            }
        }
        assert_ne!(ours.key(Side::Client), ours.key(Side::Server));
        assert!(!format!("{ours:?}").contains(&format!("{:?}", keys[0])));
    }
}

fn config_all() -> Config {
    with_profiles(SERVER, &ALL)
}

// req: T8
#[test]
fn the_servers_order_decides() {
    let client = with_profiles(
        CLIENT,
        &[SrtpProfile::Aes128CmSha1_80, SrtpProfile::Aes256Gcm],
    );
    let server = with_profiles(
        SERVER,
        &[SrtpProfile::Aes256Gcm, SrtpProfile::Aes128CmSha1_80],
    );
    let mut pair = pair_with(1, client, server);
    connect(&mut pair);
    assert_eq!(pair.a.dtls.srtp_profile(), Some(SrtpProfile::Aes256Gcm));
    assert_eq!(pair.b.dtls.srtp_profile(), Some(SrtpProfile::Aes256Gcm));
}

// req: T8
#[test]
fn peers_without_srtp_connect_unless_it_is_required() {
    for (client, server) in [
        (&ALL[..], &[][..]),
        (&[][..], &ALL[..]),
        (&ALL[..1], &ALL[3..]),
    ] {
        let mut pair = pair_with(
            1,
            with_profiles(CLIENT, client),
            with_profiles(SERVER, server),
        );
        connect(&mut pair);
        for peer in [&pair.a, &pair.b] {
            assert_eq!(peer.dtls.srtp_profile(), None);
            assert!(peer.dtls.srtp_keys().is_none());
            assert!(
                !peer
                    .events
                    .iter()
                    .any(|(_, event)| matches!(event, Event::SrtpReady(_)))
            );
        }
        assert_talking(&mut pair);

        for demanding in [CLIENT, SERVER] {
            let mut configs = [with_profiles(CLIENT, client), with_profiles(SERVER, server)];
            configs[usize::from(demanding == SERVER)].srtp_policy = SrtpPolicy::Required;
            let [client, server] = configs;
            let mut pair = pair_with(1, client, server);
            start(&mut pair);
            pair.drive_until(|a, b| a.is_over() && b.is_over());
            let refuser = if demanding == CLIENT {
                &pair.a
            } else {
                &pair.b
            };
            let error = PeerIncompatible::NoSrtpProfileInCommon.into();
            assert_eq!(refuser.dtls.error(), Some(&error));
        }
    }
}

// req: T8
#[test]
fn exported_material_depends_on_label_and_context_and_no_context_is_not_an_empty_one() {
    let pair = connected(1);
    let export = |peer: &Peer, label: &str, context: Option<&[u8]>| {
        let mut out = [0; 32];
        peer.dtls
            .export_keying_material(label, context, &mut out)
            .unwrap();
        out
    };
    let mut seen = std::collections::HashSet::new();
    for label in ["EXPORTER-one", "EXPORTER-two"] {
        for context in [None, Some(&b""[..]), Some(b"context")] {
            let ours = export(&pair.a, label, context);
            assert_eq!(ours, export(&pair.b, label, context));
            assert!(seen.insert(ours));
        }
    }
    for reserved in ["master secret", "key expansion"] {
        let refused = pair
            .a
            .dtls
            .export_keying_material(reserved, None, &mut [0; 8]);
        assert_eq!(refused, Err(ApiMisuse::ExportRefused));
    }
}

// req: T65
#[test]
fn keys_name_the_association_they_belong_to() {
    for version in VERSIONS {
        let mut pair = connected_in(version, 1);
        let first = pair.a.dtls.srtp_keys().unwrap();
        assert_eq!(first.association(), pair.a.dtls.association());
        let next = pair
            .a
            .dtls
            .successor(Setup::Active, expecting(SERVER))
            .unwrap();
        assert_ne!(next.association(), pair.a.dtls.association());
        assert_eq!(next.state(), State::New);
        // The old association lives beside it.
        assert_talking(&mut pair);
        let successor = pair
            .b
            .dtls
            .successor(Setup::Passive, expecting(CLIENT))
            .unwrap();
        let mut renewed = pair_of(
            2,
            Peer::new(CLIENT, SERVER, next),
            Peer::new(SERVER, CLIENT, successor),
        );
        connect(&mut renewed);
        let second = renewed.a.dtls.srtp_keys().unwrap();
        assert_eq!(second.association(), renewed.a.dtls.association());
        assert_ne!(second.association(), first.association());
        assert_ne!(second.key(Side::Client), first.key(Side::Client));
    }
}
