//! STUN written by hand, for peers that do what ours never would.

use floe::{
    ice::Parameters,
    stun::{IntegrityKey, Message, Method, RoleAttribute, TransactionId, Writer},
};

/// A valid connectivity check for `to`, from somebody whose own fragment is `from`.
pub(crate) fn request(to: &Parameters, from: &str, transaction: u64) -> Vec<u8> {
    write(to.username_fragment(), to.password(), from, transaction)
}

/// The same, with USE-CANDIDATE.
pub(crate) fn nominating_request(to: &Parameters, from: &str, transaction: u64) -> Vec<u8> {
    let mut buf = [0; 256];
    let len = Writer::request(&mut buf, Method::BINDING, transaction_id(transaction))
        .ice_username(to.username_fragment(), from)
        .priority(0x6e00_01ff)
        .role(RoleAttribute::Controlling(77))
        .use_candidate()
        .integrity(&IntegrityKey::short_term(to.password().as_bytes()))
        .fingerprint()
        .expect("it fits");
    buf[..len].to_vec()
}

/// The same with a password that is not the right one.
pub(crate) fn forged_request(to: &Parameters, from: &str, transaction: u64) -> Vec<u8> {
    write(
        to.username_fragment(),
        "not the password at all, no",
        from,
        transaction,
    )
}

/// An answer to a check that nobody has sent.
pub(crate) fn response(to: &Parameters) -> Vec<u8> {
    let mut buf = [0; 128];
    let len = Writer::success(&mut buf, Method::BINDING, transaction_id(1))
        .xor_mapped_address(([192, 0, 2, 1], 9).into())
        .integrity(&IntegrityKey::short_term(to.password().as_bytes()))
        .fingerprint()
        .expect("it fits");
    buf[..len].to_vec()
}

/// A Binding request that names nobody and carries no MAC.
pub(crate) fn bare_request(transaction: u64) -> Vec<u8> {
    let mut buf = [0; 128];
    let len = Writer::request(&mut buf, Method::BINDING, transaction_id(transaction))
        .priority(0x6e00_01ff)
        .role(RoleAttribute::Controlling(77))
        .fingerprint()
        .expect("it fits");
    buf[..len].to_vec()
}

/// A Binding indication, which carries no MAC.
pub(crate) fn indication() -> Vec<u8> {
    let mut buf = [0; 64];
    let len = Writer::indication(&mut buf, Method::BINDING, transaction_id(1))
        .fingerprint()
        .expect("it fits");
    buf[..len].to_vec()
}

pub(crate) fn write(to: &str, password: &str, from: &str, transaction: u64) -> Vec<u8> {
    let mut buf = [0; 256];
    let len = Writer::request(&mut buf, Method::BINDING, transaction_id(transaction))
        .ice_username(to, from)
        .priority(0x6e00_01ff)
        .role(RoleAttribute::Controlling(77))
        .integrity(&IntegrityKey::short_term(password.as_bytes()))
        .fingerprint()
        .expect("it fits");
    buf[..len].to_vec()
}

pub(crate) fn transaction_id(number: u64) -> TransactionId {
    let mut bytes = [7; 12];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    TransactionId::from_bytes(bytes)
}

/// The error code of a response, if it is authentic under `key`.
pub(crate) fn authentic_error(response: &[u8], key: &Parameters) -> Option<u16> {
    let key = IntegrityKey::short_term(key.password().as_bytes());
    let message = Message::parse(response).ok()?;
    let verified = message.verify(&key).ok()?;
    verified.error_code().map(floe::stun::ErrorCode::number)
}
