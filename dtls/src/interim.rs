//! Shapes of the leaf modules until they land.
#![expect(missing_docs, reason = "replaced by the leaf modules")]
use std::sync::Arc;
use crate::association::AssociationId;

pub mod crypto {
    #[non_exhaustive]
    #[derive(Clone, Debug, Default)]
    pub enum CryptoBackend { #[default] Ring }
}
pub mod error {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[non_exhaustive]
    pub enum ApiMisuse {
        #[error("mtu out of range")] MtuOutOfRange,
        #[error("fingerprints already decided")] FingerprintsAlreadySet,
        #[error("side already decided")] SideAlreadyDecided,
        #[error("not connected")] NotConnected,
    }
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    #[non_exhaustive]
    pub enum Error { #[error("{0}")] ApiMisuse(#[from] ApiMisuse), #[error("timed out")] HandshakeTimedOut }
    impl Error { pub(crate) const _USED: &'static [Self] = &[Self::HandshakeTimedOut]; }
}
pub mod identity {
    #[derive(Clone, Debug)]
    pub struct Identity;
    impl Identity {
        pub fn generate() -> Result<Self, super::error::Error> { Ok(Self) }
        pub fn from_der(_certificate: &[u8], _key: &[u8]) -> Result<Self, super::error::Error> { Ok(Self) }
        pub fn fingerprint(&self, _hash: super::fingerprint::HashAlgorithm) -> super::fingerprint::CertificateFingerprint { super::fingerprint::CertificateFingerprint }
    }
}
pub mod fingerprint {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum HashAlgorithm { Sha256, Sha384, Sha512 }
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CertificateFingerprint;
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("fingerprint")]
    pub struct FingerprintError;
    impl std::str::FromStr for CertificateFingerprint {
        type Err = FingerprintError;
        fn from_str(_: &str) -> Result<Self, FingerprintError> { Ok(Self) }
    }
    impl std::fmt::Display for CertificateFingerprint {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("sha-256 00") }
    }
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FingerprintSet(Vec<CertificateFingerprint>);
    impl FingerprintSet {
        pub fn new(fingerprints: impl IntoIterator<Item = CertificateFingerprint>) -> Result<Self, FingerprintError> { Ok(Self(fingerprints.into_iter().collect())) }
    }
    #[derive(Clone, Debug)]
    pub enum RemoteIdentity { Fingerprints(FingerprintSet), Later, AcceptAny }
}
pub mod srtp {
    use super::*;
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum SrtpProfile { Aes128CmSha1_80, Aes128CmSha1_32, Aes128Gcm, Aes256Gcm }
    #[derive(Clone, Debug)]
    pub struct SrtpKeys { pub association: AssociationId, pub profile: SrtpProfile, pub _keys: Arc<[u8]> }
}
pub mod msgs { pub mod enums {
    macro_rules! cp { ($($n:ident { $($i:ident = $v:literal),* })*) => { $(
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)] pub struct $n(pub u16);
        impl $n { $(pub const $i: Self = Self($v);)* }
        impl std::fmt::Display for $n { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) } }
    )* } }
    cp! {
        ProtocolVersion { DTLS1_2 = 0xfefd }
        CipherSuite { TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02b, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xc02c, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xc02f, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xc030, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca8, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca9 }
        NamedGroup { SECP256R1 = 0x17, SECP384R1 = 0x18, X25519 = 0x1d }
    }
} }
