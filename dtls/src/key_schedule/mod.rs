//! From an agreed secret to the keys of an association; one file for each version.

pub(crate) mod v12;
pub(crate) mod v13;

use zeroize::Zeroizing;

use crate::error::ApiMisuse;

/// Labels that DTLS 1.2 itself uses (RFC 5705 §4, RFC 7627 §6): exporting under them would give its keys away. Refused
/// in both versions, so that what works does not hang on the version.
const RESERVED_LABELS: [&str; 5] = [
    "client finished",
    "server finished",
    "master secret",
    "extended master secret",
    "key expansion",
];

/// What an established association derives its secrets from.
#[derive(Debug)]
pub(crate) enum Secrets {
    V12(Box<v12::MasterSecret>),
    V13(v13::Application),
}

impl Secrets {
    /// Keying material for something above (RFC 5705 §4, RFC 8446 §7.5).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::ExportRefused`]: a label of the protocol's own, or more of anything than the version can take.
    pub(crate) fn export(
        &self,
        label: &str,
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ApiMisuse> {
        if RESERVED_LABELS.contains(&label) {
            return Err(ApiMisuse::ExportRefused);
        }
        match self {
            Self::V12(secret) => secret.export(label, context, out),
            Self::V13(secrets) => secrets.export(label, context, out),
        }
    }
}

/// A line by which tools that read captures find an association's keys (NSS key log format).
fn key_log_line(label: &str, client_random: &[u8; 32], secret: &[u8]) -> Zeroizing<String> {
    let mut line = Zeroizing::new(String::with_capacity(
        label.len() + 2 + 2 * (client_random.len() + secret.len()),
    ));
    line.push_str(label);
    for bytes in [client_random, secret] {
        line.push(' ');
        for byte in bytes {
            line.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
        }
    }
    line
}
