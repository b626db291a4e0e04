//! The seam to the cryptographic backend: key exchange, suites, signature verifiers, randomness.
//!
//! A backend is a `CryptoProvider` of rustls behind our own [`CryptoBackend`], so that no type of it stands in a public
//! signature. Record ciphers have a seam of their own in `record::protect`: rustls keeps its AEADs to itself. The hashes of
//! the handshake and the MACs of the key schedules are our own choice, the same for every backend: `hash`, `hmac`.

mod exchange;
pub(crate) mod hash;
pub(crate) mod hmac;
pub(crate) mod random;

use std::fmt;
use std::sync::LazyLock;

use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm};

pub(crate) use self::exchange::{Accepted, KeyExchange, SharedSecret};
use self::hash::Hash;
use crate::error::Error;
use crate::few::Few;
use crate::msgs::codec::List;
use crate::msgs::enums::{CipherSuite, ProtocolVersion, SignatureScheme};
use crate::record::protect::Aead;

static RING: LazyLock<CryptoProvider> = LazyLock::new(rustls::crypto::ring::default_provider);
#[cfg(feature = "aws-lc-rs")]
static AWS_LC_RS: LazyLock<CryptoProvider> =
    LazyLock::new(rustls::crypto::aws_lc_rs::default_provider);

/// Where the cryptography of a connection comes from: key exchange, signatures, record ciphers, randomness. The hash of the
/// handshake, the MACs of the key schedule and the mask over record numbers are the same in all.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CryptoBackend {
    /// The `ring` crate.
    #[default]
    Ring,
    /// The `aws-lc-rs` crate: a quicker handshake, and X25519MLKEM768.
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
}

/// What authenticates the server in a cipher suite (RFC 8422 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// ECDSA or Ed25519.
    Ecdsa,
    Rsa,
}

impl CryptoBackend {
    /// Those that this build has.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Ring,
        #[cfg(feature = "aws-lc-rs")]
        Self::AwsLcRs,
    ];

    /// The signature schemes that we offer and accept, in order of preference.
    pub(crate) const SIGNATURE_SCHEMES: &'static [SignatureScheme] = &Self::ALL_SCHEMES;

    const ALL_SCHEMES: [SignatureScheme; 9] = [
        SignatureScheme::ECDSA_SECP256R1_SHA256,
        SignatureScheme::ED25519,
        SignatureScheme::ECDSA_SECP384R1_SHA384,
        SignatureScheme::RSA_PSS_RSAE_SHA256,
        SignatureScheme::RSA_PSS_RSAE_SHA384,
        SignatureScheme::RSA_PSS_RSAE_SHA512,
        SignatureScheme::RSA_PKCS1_SHA256,
        SignatureScheme::RSA_PKCS1_SHA384,
        SignatureScheme::RSA_PKCS1_SHA512,
    ];

    /// What is offered where no older version than this can be negotiated: PKCS #1 v1.5 comes last.
    pub(crate) fn signature_schemes(oldest: ProtocolVersion) -> &'static [SignatureScheme] {
        let all = Self::SIGNATURE_SCHEMES;
        let usable = all.iter().take_while(|scheme| scheme.usable_in(oldest));
        all.get(..usable.count()).unwrap_or(all)
    }

    pub(crate) fn provider(self) -> &'static CryptoProvider {
        match self {
            Self::Ring => &RING,
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => &AWS_LC_RS,
        }
    }

    pub(crate) fn fill_random(self, out: &mut [u8]) -> Result<(), Error> {
        self.provider()
            .secure_random
            .fill(out)
            .map_err(|_| Error::CryptoFailed)
    }

    /// The parts of a DTLS 1.2 suite; `None` if the backend does not have it.
    pub(crate) fn suite_v12(self, cipher_suite: CipherSuite) -> Option<SuiteV12> {
        let authentication = match cipher_suite {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => Authentication::Ecdsa,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Authentication::Rsa,
            _ => return None,
        };
        let provided = self.provided_suite(cipher_suite)?;
        matches!(provided, SupportedCipherSuite::Tls12(_)).then_some(SuiteV12 {
            cipher_suite,
            authentication,
        })
    }

    /// The parts of a DTLS 1.3 suite; `None` if the backend does not have it.
    pub(crate) fn suite_v13(self, cipher_suite: CipherSuite) -> Option<SuiteV13> {
        let suite = SuiteV13::of(cipher_suite)?;
        let provided = self.provided_suite(cipher_suite)?;
        matches!(provided, SupportedCipherSuite::Tls13(_)).then_some(suite)
    }

    fn provided_suite(self, cipher_suite: CipherSuite) -> Option<SupportedCipherSuite> {
        let mut suites = self.provider().cipher_suites.iter().copied();
        suites.find(|suite| u16::from(suite.suite()) == cipher_suite.0)
    }

    /// What verifies signatures of this scheme by a key of this algorithm. A scheme for ECDSA names one curve in DTLS 1.3
    /// (RFC 8446 §4.2.3) and only a hash in DTLS 1.2 (RFC 8422 §5.4).
    pub(crate) fn verifier(
        self,
        version: ProtocolVersion,
        scheme: SignatureScheme,
        key: AlgorithmIdentifier,
    ) -> Option<&'static dyn SignatureVerificationAlgorithm> {
        let mapping = self.provider().signature_verification_algorithms.mapping;
        let (_, verifiers) = mapping
            .iter()
            .find(|(known, _)| u16::from(*known) == scheme.0)?;
        // The provider puts the curve that the scheme is named after first.
        let usable = match version {
            ProtocolVersion::DTLS1_3 => verifiers.get(..1)?,
            _ => verifiers,
        };
        let fits =
            |verifier: &&&dyn SignatureVerificationAlgorithm| verifier.public_key_alg_id() == key;
        usable.iter().find(fits).copied()
    }
}

/// Those that a peer takes and we know, in our order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownSchemes(Few<SignatureScheme, { CryptoBackend::ALL_SCHEMES.len() }>);

impl KnownSchemes {
    pub(crate) fn among(taken: List<'_, SignatureScheme>) -> Self {
        let known = CryptoBackend::ALL_SCHEMES.into_iter();
        let common = known.filter(|scheme| taken.contains(*scheme));
        Self(Few::of(SignatureScheme(0), common))
    }

    pub(crate) fn as_list(&self) -> List<'_, SignatureScheme> {
        List::Items(&self.0)
    }
}

impl SignatureScheme {
    /// Whether handshake messages of this version are signed so: PKCS #1 v1.5 ended with DTLS 1.2 (RFC 8446 §4.2.3).
    pub(crate) fn usable_in(self, version: ProtocolVersion) -> bool {
        let pkcs1 = matches!(
            self,
            Self::RSA_PKCS1_SHA256 | Self::RSA_PKCS1_SHA384 | Self::RSA_PKCS1_SHA512
        );
        !pkcs1 || version != ProtocolVersion::DTLS1_3
    }
}

/// A cipher suite of DTLS 1.2 that a backend has.
#[derive(Clone, Copy)]
pub(crate) struct SuiteV12 {
    pub(crate) cipher_suite: CipherSuite,
    pub(crate) authentication: Authentication,
}

impl SuiteV12 {
    /// The hash of the transcript and of the PRF.
    pub(crate) fn hash(&self) -> Hash {
        Hash::of(self.cipher_suite)
    }
}

impl fmt::Debug for SuiteV12 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SuiteV12({})", self.cipher_suite)
    }
}

/// A cipher suite of DTLS 1.3: its cipher says all of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SuiteV13(pub(crate) Aead);

impl SuiteV13 {
    /// `None` if it is none of DTLS 1.3, or none that is known.
    pub(crate) fn of(cipher_suite: CipherSuite) -> Option<Self> {
        match cipher_suite {
            CipherSuite::TLS13_AES_128_GCM_SHA256 => Some(Self(Aead::Aes128Gcm)),
            CipherSuite::TLS13_AES_256_GCM_SHA384 => Some(Self(Aead::Aes256Gcm)),
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some(Self(Aead::ChaCha20Poly1305)),
            _ => None,
        }
    }

    pub(crate) fn cipher_suite(self) -> CipherSuite {
        match self.0 {
            Aead::Aes128Gcm => CipherSuite::TLS13_AES_128_GCM_SHA256,
            Aead::Aes256Gcm => CipherSuite::TLS13_AES_256_GCM_SHA384,
            Aead::ChaCha20Poly1305 => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        }
    }

    /// The hash of the transcript and of the key schedule.
    pub(crate) fn hash(self) -> Hash {
        Hash::of(self.cipher_suite())
    }
}

impl fmt::Debug for SuiteV13 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SuiteV13({})", self.cipher_suite())
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::alg_id;

    use super::*;

    // req: T3
    #[test]
    fn the_backend_has_what_is_promised_and_nothing_with_cbc() {
        for backend in CryptoBackend::ALL {
            for code in 0..=u16::MAX {
                let suite = backend.suite_v12(CipherSuite(code));
                let promised = matches!(code, 0xc02b | 0xc02c | 0xc02f | 0xc030 | 0xcca8 | 0xcca9);
                assert_eq!(suite.is_some(), promised, "{code:#06x}");
                let suite = backend.suite_v13(CipherSuite(code));
                let promised = matches!(code, 0x1301..=0x1303);
                assert_eq!(suite.is_some(), promised, "{code:#06x}");
            }
        }
    }

    // req: T3
    #[test]
    fn every_offered_scheme_verifies_with_the_keys_it_is_for() {
        use ProtocolVersion as Version;
        let keys = [
            alg_id::ECDSA_P256,
            alg_id::ECDSA_P384,
            alg_id::ED25519,
            alg_id::RSA_ENCRYPTION,
        ];
        let fitting = |backend: CryptoBackend, version, scheme| {
            keys.map(|key| backend.verifier(version, scheme, key).is_some())
        };
        for backend in CryptoBackend::ALL {
            for scheme in CryptoBackend::SIGNATURE_SCHEMES {
                let (old, new) = match *scheme {
                    SignatureScheme::ECDSA_SECP256R1_SHA256 => (0b1100, 0b1000),
                    SignatureScheme::ECDSA_SECP384R1_SHA384 => (0b1100, 0b0100),
                    SignatureScheme::ED25519 => (0b0010, 0b0010),
                    _ => (0b0001, 0b0001),
                };
                let bits = |version| {
                    let fitting = fitting(*backend, version, *scheme);
                    fitting
                        .iter()
                        .fold(0, |bits, fits| bits << 1 | i32::from(*fits))
                };
                assert_eq!(bits(Version::DTLS1_2), old, "{scheme}");
                assert_eq!(bits(Version::DTLS1_3), new, "{scheme}");
            }
            let sha1 = SignatureScheme(0x0203);
            assert_eq!(fitting(*backend, Version::DTLS1_2, sha1), [false; 4]);
        }
    }

    // req: T3
    #[test]
    fn signatures_of_the_old_padding_are_of_the_old_version() {
        for scheme in CryptoBackend::SIGNATURE_SCHEMES {
            assert!(scheme.usable_in(ProtocolVersion::DTLS1_2));
            let pkcs1 = scheme.to_string().starts_with("rsa_pkcs1");
            assert_eq!(scheme.usable_in(ProtocolVersion::DTLS1_3), !pkcs1);
        }
    }

    #[test]
    fn no_two_randoms_are_alike() {
        for backend in CryptoBackend::ALL {
            let random = || {
                let mut out = [0; 32];
                backend.fill_random(&mut out).map(|()| out)
            };
            assert_ne!(random(), random());
            assert_ne!(random(), Ok([0; 32]));
        }
    }
}
