//! Shapes of the leaf modules until they land.
#![expect(missing_docs, reason = "replaced by the leaf modules")]
use crate::association::AssociationId;
use std::sync::Arc;

pub mod crypto {
    #[non_exhaustive]
    #[derive(Clone, Debug, Default)]
    pub enum CryptoBackend {
        #[default]
        Ring,
    }
}
pub mod identity {
    #[derive(Clone, Debug)]
    pub struct Identity;
    impl Identity {
        pub fn generate() -> Result<Self, crate::error::Error> {
            Ok(Self)
        }
        pub fn from_der(_certificate: &[u8], _key: &[u8]) -> Result<Self, crate::error::Error> {
            Ok(Self)
        }
        pub fn fingerprint(
            &self,
            _hash: super::fingerprint::HashAlgorithm,
        ) -> super::fingerprint::CertificateFingerprint {
            super::fingerprint::CertificateFingerprint
        }
    }
}
pub mod fingerprint {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum HashAlgorithm {
        Sha256,
        Sha384,
        Sha512,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CertificateFingerprint;
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("fingerprint")]
    pub struct FingerprintError;
    impl std::str::FromStr for CertificateFingerprint {
        type Err = FingerprintError;
        fn from_str(_: &str) -> Result<Self, FingerprintError> {
            Ok(Self)
        }
    }
    impl std::fmt::Display for CertificateFingerprint {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("sha-256 00")
        }
    }
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FingerprintSet(Vec<CertificateFingerprint>);
    impl FingerprintSet {
        pub fn new(
            fingerprints: impl IntoIterator<Item = CertificateFingerprint>,
        ) -> Result<Self, FingerprintError> {
            Ok(Self(fingerprints.into_iter().collect()))
        }
    }
    #[derive(Clone, Debug)]
    pub enum RemoteIdentity {
        Fingerprints(FingerprintSet),
        Later,
        AcceptAny,
    }
}
pub mod srtp {
    use super::*;
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum SrtpProfile {
        Aes128CmSha1_80,
        Aes128CmSha1_32,
        Aes128Gcm,
        Aes256Gcm,
    }
    #[derive(Clone, Debug)]
    pub struct SrtpKeys {
        pub association: AssociationId,
        pub profile: SrtpProfile,
        pub _keys: Arc<[u8]>,
    }
}
