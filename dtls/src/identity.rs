//! Our own certificate and the key that proves it (RFC 8827 §6.5).
//!
//! The private key is imported once, when the identity is made, into each backend that the build has; handshakes only sign
//! with it. Whether key and certificate belong together is tried there too, by one signature.

use std::fmt;
use std::sync::Arc;

use rustls::sign::SigningKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::certificate::{KeyAlgorithm, PublicKey};
use crate::crypto::{Authentication, CryptoBackend};
use crate::error;
use crate::error::PeerIncompatible;
use crate::few::Few;
use crate::fingerprint::{CertificateFingerprint, HashAlgorithm};
use crate::msgs::certificate::DigitallySigned;
use crate::msgs::codec::List;
use crate::msgs::enums::{ProtocolVersion, SignatureScheme};

/// Why no identity can be made of what was given.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum IdentityError {
    /// No certificate in the PEM text.
    #[error("there is no certificate")]
    NoCertificate,
    /// No private key in the PEM text, or one that is encrypted.
    #[error("there is no private key in plain PKCS#8, SEC1 or PKCS#1")]
    NoPrivateKey,
    /// The certificate is not DER, or its key is not RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519.
    #[error("the certificate cannot be used")]
    UnusableCertificate,
    /// The private key does not parse, or is of another kind than those.
    #[error("the private key cannot be used")]
    UnusablePrivateKey,
    /// The private key is not that of the certificate.
    #[error("the private key is not that of the certificate")]
    KeyDoesNotFitCertificate,
    /// The backend could not make a key or a certificate.
    #[error("no certificate could be generated")]
    GenerationFailed,
}

/// A certificate and its private key: what a peer knows this end by. Share it as `Arc<Identity>`.
///
/// One identity for each user and origin is WebRTC's rule (RFC 8827 §6.5); a server usually has one for its life time.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    algorithm: KeyAlgorithm,
    /// The private key as each backend of this build holds it, if it can.
    keys: Vec<(CryptoBackend, Arc<dyn SigningKey>)>,
}

impl Identity {
    /// A new ECDSA P-256 key and a self-signed certificate that says nothing about anybody. A fraction of a millisecond.
    ///
    /// # Errors
    ///
    /// [`IdentityError::GenerationFailed`] if there is no randomness.
    #[cfg(feature = "rcgen")]
    pub fn generate() -> Result<Self, IdentityError> {
        let failed = |_| IdentityError::GenerationFailed;
        let mut key_pair =
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "WebRTC");
        let certificate = params.self_signed(&key_pair).map_err(failed)?;
        let private_key = key_pair.serialize_der();
        zeroize::Zeroize::zeroize(&mut key_pair);
        let private_key = PrivateKeyDer::Pkcs8(private_key.into());
        Self::new(certificate.der().clone(), private_key)
    }

    /// From a certificate in DER and its private key in PKCS#8, SEC1 or PKCS#1 DER: ECDSA P-256 or P-384, RSA of 2048 to
    /// 8192 bits, Ed25519. [`CryptoBackend::Ring`] signs with RSA keys of up to 4096 bits.
    ///
    /// # Errors
    ///
    /// One of the two cannot be used, or they do not belong together.
    pub fn from_der(certificate: &[u8], private_key: &[u8]) -> Result<Self, IdentityError> {
        let private_key =
            PrivateKeyDer::try_from(private_key).map_err(|_| IdentityError::UnusablePrivateKey)?;
        Self::new(certificate.to_vec().into(), private_key.clone_key())
    }

    /// From PEM text: the first certificate in one, the first private key in the other. Both may be the same text.
    ///
    /// # Errors
    ///
    /// As [`Identity::from_der`], or a text does not hold what it should.
    pub fn from_pem(certificate: &str, private_key: &str) -> Result<Self, IdentityError> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| IdentityError::NoCertificate)?;
        let private_key = PrivateKeyDer::from_pem_slice(private_key.as_bytes())
            .map_err(|_| IdentityError::NoPrivateKey)?;
        Self::new(certificate, private_key)
    }

    /// Imports the key into every backend that takes it, and wipes it.
    fn new(
        certificate: CertificateDer<'static>,
        private_key: PrivateKeyDer<'static>,
    ) -> Result<Self, IdentityError> {
        let private_key = Zeroizing::new(private_key);
        let public_key =
            PublicKey::of(&certificate).map_err(|_| IdentityError::UnusableCertificate)?;
        let mut keys = Vec::with_capacity(CryptoBackend::ALL.len());
        for backend in CryptoBackend::ALL {
            let provider = backend.provider().key_provider;
            if let Ok(key) = provider.load_private_key(private_key.clone_key()) {
                check_pair(*backend, &*key, &public_key)?;
                keys.push((*backend, key));
            }
        }
        if keys.is_empty() {
            return Err(IdentityError::UnusablePrivateKey);
        }
        Ok(Self {
            algorithm: public_key.algorithm,
            certificate,
            keys,
        })
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// What goes into an `a=fingerprint` line.
    #[must_use]
    pub fn fingerprint(&self, algorithm: HashAlgorithm) -> CertificateFingerprint {
        CertificateFingerprint::of(&self.certificate, algorithm)
    }

    /// Which cipher suites the key authenticates.
    pub(crate) fn authentication(&self) -> Authentication {
        self.algorithm.authentication()
    }

    /// Whether this backend can sign with the key at all.
    pub(crate) fn fits(&self, backend: CryptoBackend) -> bool {
        self.key(backend).is_some()
    }

    /// Whether our key makes signatures of one of these schemes for this version.
    pub(crate) fn can_sign(
        &self,
        backend: CryptoBackend,
        version: ProtocolVersion,
        offered: List<'_, SignatureScheme>,
    ) -> bool {
        let usable = |scheme: &SignatureScheme| {
            scheme.usable_in(version)
                && self.algorithm.signs_with(*scheme)
                && offered.contains(*scheme)
        };
        self.fits(backend) && CryptoBackend::SIGNATURE_SCHEMES.iter().any(usable)
    }

    /// Signs with the best scheme of this version that the peer offers and we know.
    pub(crate) fn sign(
        &self,
        backend: CryptoBackend,
        version: ProtocolVersion,
        offered: List<'_, SignatureScheme>,
        message: &[u8],
    ) -> Result<(SignatureScheme, Vec<u8>), error::Error> {
        let key = self.key(backend).ok_or(error::Error::CryptoFailed)?;
        sign(key, version, offered, message)
    }

    fn key(&self, backend: CryptoBackend) -> Option<&dyn SigningKey> {
        let (_, key) = self.keys.iter().find(|(of, _)| *of == backend)?;
        Some(&**key)
    }
}

/// One signature tells whether the two keys are a pair.
fn check_pair(
    backend: CryptoBackend,
    key: &dyn SigningKey,
    public_key: &PublicKey<'_>,
) -> Result<(), IdentityError> {
    const PROBE: &[u8] = b"does this key belong to this certificate?";
    let version = ProtocolVersion::DTLS1_2;
    let schemes = List::Items(CryptoBackend::SIGNATURE_SCHEMES);
    let (scheme, signature) =
        sign(key, version, schemes, PROBE).map_err(|_| IdentityError::UnusablePrivateKey)?;
    let signed = DigitallySigned {
        scheme,
        signature: &signature,
    };
    public_key
        .verify(backend, version, PROBE, signed)
        .map_err(|_| IdentityError::KeyDoesNotFitCertificate)?;
    Ok(())
}

fn sign(
    key: &dyn SigningKey,
    version: ProtocolVersion,
    offered: List<'_, SignatureScheme>,
    message: &[u8],
) -> Result<(SignatureScheme, Vec<u8>), error::Error> {
    // Those that we sign with in this version, in our order.
    let usable = CryptoBackend::SIGNATURE_SCHEMES
        .iter()
        .filter(|scheme| scheme.usable_in(version) && offered.contains(**scheme))
        .map(|scheme| rustls::SignatureScheme::from(scheme.0));
    let none = rustls::SignatureScheme::Unknown(0);
    let signer = key
        .choose_scheme(&Few::<_, 9>::of(none, usable))
        .ok_or(PeerIncompatible::NoSignatureSchemeInCommon)?;
    let signature = signer
        .sign(message)
        .map_err(|_| error::Error::CryptoFailed)?;
    Ok((SignatureScheme(signer.scheme().into()), signature))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprint", &self.fingerprint(HashAlgorithm::Sha256))
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = include_str!("../tests/data/p256-sec1.pem");
    const P384: &str = include_str!("../tests/data/p384.pem");
    const ED25519: &str = include_str!("../tests/data/ed25519.pem");
    const RSA: &str = include_str!("../tests/data/rsa2048.pem");
    const RSA_8192: &str = include_str!("../tests/data/rsa8192.pem");
    const RSA_PKCS1_KEY: &str = include_str!("../tests/data/rsa2048-pkcs1.key.pem");

    fn load(certificate: &str, key: &str) -> Result<KeyAlgorithm, IdentityError> {
        Identity::from_pem(certificate, key).map(|identity| identity.algorithm)
    }

    // req: T3
    #[test]
    fn identities_of_every_kind_are_read_and_sign() {
        for (certificate, key, algorithm) in [
            (P256, P256, KeyAlgorithm::EcdsaP256),
            (P384, P384, KeyAlgorithm::EcdsaP384),
            (ED25519, ED25519, KeyAlgorithm::Ed25519),
            (RSA, RSA, KeyAlgorithm::Rsa),
            (RSA, RSA_PKCS1_KEY, KeyAlgorithm::Rsa),
        ] {
            assert_eq!(load(certificate, key), Ok(algorithm));
        }
    }

    #[test]
    fn der_is_read_like_pem() {
        for (certificate, key) in [(P256, P256), (P384, P384), (RSA, RSA), (RSA, RSA_PKCS1_KEY)] {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            let identity = Identity::from_der(&certificate, key.secret_der()).unwrap();
            assert_eq!(identity.certificate(), &certificate[..]);
        }
        assert_eq!(
            Identity::from_der(&[], &[]).err(),
            Some(IdentityError::UnusablePrivateKey)
        );
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let generated = include_str!("../tests/data/p521.cert.pem");
        let small = include_str!("../tests/data/rsa1024.cert.pem");
        assert_eq!(
            load(P256, P384),
            Err(IdentityError::KeyDoesNotFitCertificate)
        );
        assert_eq!(
            load(RSA, P256),
            Err(IdentityError::KeyDoesNotFitCertificate)
        );
        assert_eq!(
            load(generated, P256),
            Err(IdentityError::UnusableCertificate)
        );
        assert_eq!(load(small, RSA), Err(IdentityError::UnusableCertificate));
        assert_eq!(load("", P256), Err(IdentityError::NoCertificate));
        assert_eq!(load(P256, small), Err(IdentityError::NoPrivateKey));
    }

    #[cfg(feature = "rcgen")]
    #[test]
    fn a_generated_identity_belongs_together_and_is_like_no_other() {
        let (one, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        assert_eq!(one.algorithm, KeyAlgorithm::EcdsaP256);
        assert_ne!(
            one.fingerprint(HashAlgorithm::Sha256),
            other.fingerprint(HashAlgorithm::Sha256)
        );
    }

    // req: T3
    #[test]
    fn only_an_offered_scheme_signs() {
        let ecdsa = SignatureScheme::ECDSA_SECP256R1_SHA256;
        let pkcs1 = SignatureScheme::RSA_PKCS1_SHA256;
        let p256 = Identity::from_pem(P256, P256).unwrap();
        let none = Err(PeerIncompatible::NoSignatureSchemeInCommon.into());
        for backend in CryptoBackend::ALL {
            for version in [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3] {
                let sign = |offered: &[SignatureScheme]| {
                    let offered = List::Items(offered);
                    let signed = p256.sign(*backend, version, offered, b"message");
                    assert_eq!(p256.can_sign(*backend, version, offered), signed.is_ok());
                    signed.map(|(scheme, _)| scheme)
                };
                assert_eq!(sign(&[pkcs1, ecdsa]), Ok(ecdsa));
                assert_eq!(sign(&[pkcs1]), none);
            }
        }
    }

    // req: T3
    #[test]
    fn an_rsa_key_signs_with_the_old_padding_in_the_old_version_only() {
        let (pkcs1, pss) = (
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PSS_RSAE_SHA256,
        );
        // With SHA-1: offered by many and used by nobody here.
        let sha1 = SignatureScheme(0x0201);
        let rsa = Identity::from_pem(RSA, RSA_PKCS1_KEY).unwrap();
        for backend in CryptoBackend::ALL {
            let sign = |version, offered: &[SignatureScheme]| {
                let signed = rsa.sign(*backend, version, List::Items(offered), b"message");
                signed.map(|(scheme, _)| scheme).ok()
            };
            let (old, new) = (ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3);
            assert_eq!(sign(old, &[sha1, pkcs1]), Some(pkcs1));
            assert_eq!(sign(new, &[sha1, pkcs1]), None);
            assert_eq!(sign(new, &[pkcs1, pss]), Some(pss));
            assert_eq!(sign(old, &[sha1]), None);
        }
    }

    // req: T3
    #[test]
    fn the_longest_rsa_key_goes_with_the_backend_that_takes_it() {
        let identity = Identity::from_pem(RSA_8192, RSA_8192);
        if cfg!(feature = "aws-lc-rs") {
            let identity = identity.unwrap();
            assert!(!identity.fits(CryptoBackend::Ring));
            assert!(identity.fits(*CryptoBackend::ALL.last().unwrap()));
        } else {
            assert_eq!(identity.err(), Some(IdentityError::UnusablePrivateKey));
        }
    }

    // req: T36
    #[test]
    fn the_key_is_not_printed() {
        let printed = format!("{:?}", Identity::from_pem(P256, P256).unwrap());
        assert!(printed.starts_with("Identity { fingerprint: CertificateFingerprint(sha-256 "));
        assert!(printed.ends_with("algorithm: EcdsaP256, .. }"), "{printed}");
    }
}
