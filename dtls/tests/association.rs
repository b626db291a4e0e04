//! When an exchange means a new association, and which side each answer gives (RFC 8842 §3.1, §5; RFC 9429 §5.11).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use floe_dtls::*;

fn set(hex: &str) -> FingerprintSet {
    let digest = [hex; 32].join(":");
    FingerprintSet::parse([("sha-256", &digest[..])]).unwrap()
}

// req: T65
#[test]
fn an_association_continues_iff_fingerprints_side_and_tls_id_are_the_same() {
    let (same_set, other_set) = (set("aa"), set("bb"));
    let established = Signaled {
        fingerprints: &same_set,
        side: Side::Client,
        tls_id: Some("first"),
    };
    let again = set("AA");
    for fingerprints in [&again, &other_set] {
        for side in [Side::Client, Side::Server] {
            for tls_id in [Some("first"), Some("second"), None] {
                let negotiated = Signaled {
                    fingerprints,
                    side,
                    tls_id,
                };
                let same =
                    *fingerprints == same_set && side == Side::Client && tls_id != Some("second");
                let without = continuation(&established, &negotiated, false);
                let with_restart = continuation(&established, &negotiated, true);
                if same {
                    assert_eq!(
                        (without, with_restart),
                        (Ok(Continuation::Same), Ok(Continuation::Same))
                    );
                } else {
                    assert_eq!(without, Err(SetupError::NewAssociationWithoutRestart));
                    assert_eq!(with_restart, Ok(Continuation::New));
                }
            }
        }
    }
}

// req: T65
#[test]
fn an_absent_tls_id_is_normal() {
    let fingerprints = set("aa");
    let signaled = |tls_id| Signaled {
        fingerprints: &fingerprints,
        side: Side::Server,
        tls_id,
    };
    for (old, new) in [(None, None), (None, Some("new")), (Some("old"), None)] {
        let outcome = continuation(&signaled(old), &signaled(new), false);
        assert_eq!(outcome, Ok(Continuation::Same));
    }
}

// req: T66
#[test]
fn offers_say_actpass_and_answers_repeat_the_established_side() {
    assert_eq!(offer_setup(), Setup::ActPass);
    for (established, answer) in [
        (Side::Client, Setup::Active),
        (Side::Server, Setup::Passive),
    ] {
        for preferred in [Side::Client, Side::Server] {
            assert_eq!(
                answer_setup(Setup::ActPass, Some(established), preferred),
                Ok(answer)
            );
        }
        assert_eq!(answer_setup(Setup::ActPass, None, established), Ok(answer));
    }
}

// req: T66
#[test]
fn offers_that_are_active_or_passive_are_answered_with_the_other() {
    for preferred in [Side::Client, Side::Server] {
        assert_eq!(
            answer_setup(Setup::Active, None, preferred),
            Ok(Setup::Passive)
        );
        assert_eq!(
            answer_setup(Setup::Passive, None, preferred),
            Ok(Setup::Active)
        );
        assert_eq!(
            answer_setup(Setup::Active, Some(Side::Server), preferred),
            Ok(Setup::Passive)
        );
        let contradiction = answer_setup(Setup::Active, Some(Side::Client), preferred);
        assert_eq!(contradiction, Err(SetupError::IncompatibleSetup));
    }
}

// req: T7 T66
#[test]
fn two_setups_make_a_client_and_a_server_or_nothing() {
    use Setup::{ActPass, Active, Passive};
    let bad = Err(SetupError::IncompatibleSetup);
    for (local, remote, side) in [
        (Active, Passive, Ok(Side::Client)),
        (Passive, Active, Ok(Side::Server)),
        (ActPass, Active, Ok(Side::Server)),
        (ActPass, Passive, Ok(Side::Client)),
        (Active, ActPass, Ok(Side::Client)),
        (Passive, ActPass, Ok(Side::Server)),
        (Active, Active, bad),
        (Passive, Passive, bad),
        (ActPass, ActPass, bad),
    ] {
        assert_eq!(negotiated_side(local, remote), side, "{local:?} {remote:?}");
    }
}
