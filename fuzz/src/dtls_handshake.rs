//! Handshake messages, certificates and fingerprints on their own: what is read is written back the same.

use floe_dtls::fuzzing;

/// The first byte says what the rest is.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0xFF, der)) => fuzzing::certificate(der),
        Some((0xFE, text)) => fuzzing::fingerprint(&String::from_utf8_lossy(text)),
        _ => fuzzing::handshake_message(data),
    }
}
