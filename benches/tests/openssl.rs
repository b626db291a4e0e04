//! floe against OpenSSL (crate `openssl`, built from its own sources) in virtual time: DTLS 1.2, the newest it has.
//!
//! Nothing is lost here: OpenSSL's timers read the machine's clock. Loss is in the stories with other strangers.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[expect(dead_code, reason = "not every story is for every stranger")]
mod interop;
#[path = "../../dtls/tests/common/peer.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "written for the stories of the dtls crate, which use all of it"
)]
mod peer;
#[path = "interop/ssl.rs"]
mod ssl;

use floe_dtls::{CipherSuite, NamedGroup, ProtocolVersion, Side};
use interop::{Case, FLOE, P384, RSA, SIDES};

use crate::ssl::SslNode;

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
/// Of the certificates. OpenSSL shows none whose curve is not among the peer's groups (RFC 8422 §5.1).
const CURVE: NamedGroup = NamedGroup::SECP256R1;

/// The bindings, and that OpenSSL's clock cannot be set.
mod library {
    pub(crate) use openssl::*;

    use std::time::{Duration, Instant};

    use ssl::{SslContextBuilder, SslRef, SslVersion};

    use crate::interop::Case;

    pub(crate) const NAME: &str = "OpenSSL";

    pub(crate) fn prepare(context: &mut SslContextBuilder, case: &Case) {
        let only = Some(SslVersion::DTLS1_2);
        context.set_min_proto_version(only).unwrap();
        context.set_max_proto_version(only).unwrap();
        if let Some(groups) = case.groups {
            let names: Vec<_> = groups.iter().map(ToString::to_string).collect();
            context.set_groups_list(&names.join(":")).unwrap();
        }
    }

    pub(crate) fn set_time(_: Instant) {}

    pub(crate) fn time_left(_: &SslRef) -> Option<Duration> {
        None
    }

    pub(crate) fn time_is_up(_: &SslRef) {}
}

// req: T64
#[test]
fn floe_is_the_client() {
    interop::lives::<SslNode>(Case::new(Side::Client, V12, 0));
}

// req: T64
#[test]
fn floe_is_the_server() {
    interop::lives::<SslNode>(Case::new(Side::Server, V12, 0));
}

// req: T64
#[test]
fn its_certificate_may_be_of_rsa_or_p384() {
    for floe in SIDES {
        for pem in [RSA, P384] {
            let case = Case {
                pem,
                ..Case::new(floe, V12, 256)
            };
            interop::whole_life::<SslNode>(case, FLOE);
        }
    }
}

// req: T64
#[test]
fn every_suite_and_group_of_floe_is_also_openssls() {
    for floe in SIDES {
        let case = Case::new(floe, V12, 1200);
        for suite in [
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ] {
            let suite = Some(suite);
            interop::whole_life::<SslNode>(Case { suite, ..case }, FLOE);
        }
        for groups in [
            &[NamedGroup::X25519, CURVE][..],
            &[CURVE],
            &[NamedGroup::SECP384R1, CURVE],
        ] {
            let groups = Some(groups);
            interop::whole_life::<SslNode>(Case { groups, ..case }, FLOE);
        }
    }
}

// req: T6 T64
#[test]
fn a_wrong_fingerprint_is_refused_by_floe() {
    for floe in SIDES {
        interop::floe_refuses_the_wrong_certificate::<SslNode>(Case::new(floe, V12, 1200));
    }
}

// req: T64
#[test]
fn a_certificate_that_openssl_does_not_expect_is_refused_by_it() {
    for floe in SIDES {
        interop::floe_is_refused::<SslNode>(Case::new(floe, V12, 1200));
    }
}
