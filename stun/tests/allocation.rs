//! Reading, verifying and writing leave the heap alone.

use allocation_counter::measure;
use floe_stun::{
    AttributeType, ErrorCode, FingerprintStatus, IntegrityAlgorithm, IntegrityKey, Message, Method,
    RoleAttribute, RouteKey, TransactionIds, Writer,
};

// req: S1 S2 S3
#[test]
fn a_request_is_parsed_verified_and_answered_without_an_allocation() {
    let key = IntegrityKey::short_term(b"a password of 22 chars");
    let mut ids = TransactionIds::new(RouteKey::from_bytes([1; 16]), [2; 32]);
    let (mut request, mut answer) = ([0; 256], [0; 256]);
    let address = "[2001:db8::1]:4321".parse().unwrap();
    for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
        let counted = measure(|| {
            let len = Writer::request(&mut request, Method::BINDING, ids.mint(7))
                .ice_username("remote", "local")
                .priority(7)
                .use_candidate()
                .role(RoleAttribute::Controlling(9))
                .attribute(AttributeType::new(0x7ABC), b"unknown")
                .integrity_as(algorithm, &key)
                .fingerprint()
                .unwrap();
            let message = Message::parse(&request[..len]).unwrap();
            assert_eq!(message.fingerprint(), FingerprintStatus::Valid);
            assert_eq!(message.username(), Some(&b"remote:local"[..]));
            let verified = message.verify(&key).unwrap();
            let len = Writer::success(&mut answer, Method::BINDING, verified.transaction_id())
                .xor_mapped_address(address)
                .integrity_as(verified.algorithm(), &key)
                .fingerprint()
                .unwrap();
            assert_eq!(
                Message::parse(&answer[..len]).unwrap().xor_mapped_address(),
                Some(address)
            );
            let len = Writer::error(
                &mut answer,
                Method::BINDING,
                verified.transaction_id(),
                ErrorCode::UNKNOWN_ATTRIBUTE,
            )
            .unknown_attributes(verified.unknown_required())
            .integrity_as(verified.algorithm(), &key)
            .fingerprint()
            .unwrap();
            assert!(Message::parse(&answer[..len]).unwrap().verify(&key).is_ok());
        });
        assert_eq!(counted.count_total, 0);
    }
}

// req: S1
#[test]
fn refusing_a_datagram_allocates_nothing() {
    let key = IntegrityKey::short_term(b"right");
    let mut datagram = [0; 128];
    let id = floe_stun::TransactionId::from_bytes([1; 12]);
    let len = Writer::request(&mut datagram, Method::BINDING, id)
        .integrity(&IntegrityKey::short_term(b"wrong"))
        .fingerprint()
        .unwrap();
    let counted = measure(|| {
        assert!(
            Message::parse(&datagram[..len])
                .unwrap()
                .verify(&key)
                .is_err()
        );
        for cut in 0..len {
            assert!(Message::parse(&datagram[..cut]).is_err());
        }
    });
    assert_eq!(counted.count_total, 0);
}
