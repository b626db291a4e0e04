//! The certificate of every fuzzed endpoint: read once, because making one costs more than a run.

use std::sync::{Arc, OnceLock};

use floe_dtls::{FingerprintSet, HashAlgorithm, Identity, RemoteIdentity};

const PEM: &str = include_str!("../../dtls/tests/data/p256-sec1.pem");

pub(crate) fn identity() -> Arc<Identity> {
    static IDENTITY: OnceLock<Arc<Identity>> = OnceLock::new();
    let read =
        || Arc::new(Identity::from_pem(PEM, PEM).expect("a committed certificate and its key"));
    IDENTITY.get_or_init(read).clone()
}

/// What the peer of such an endpoint was told.
pub(crate) fn expected() -> RemoteIdentity {
    RemoteIdentity::Fingerprints(fingerprints())
}

pub(crate) fn fingerprints() -> FingerprintSet {
    FingerprintSet::new([identity().fingerprint(HashAlgorithm::Sha256)]).expect("there is one")
}
