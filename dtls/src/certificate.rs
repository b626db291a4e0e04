//! The peer's certificate: where its public key is, and whether a signature is that key's.
//!
//! A walk over the DER of RFC 5280 §4.1 that stops at the subjectPublicKeyInfo and looks at nothing else: in WebRTC the
//! fingerprint says whose certificate it is (RFC 8827 §6.5), so issuer, dates, extensions and the certificate's own
//! signature mean nothing. Expired, odd and unsigned (RFC 9925) ones are fine.

use rustls_pki_types::{AlgorithmIdentifier, alg_id};

use crate::crypto::{Authentication, CryptoBackend};
use crate::error::{Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};
use crate::msgs::certificate::DigitallySigned;
use crate::msgs::codec::Reader;
use crate::msgs::enums::{ProtocolVersion, SignatureScheme};

/// DER tags (X.690 §8).
mod tag {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const BIT_STRING: u8 = 0x03;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const SEQUENCE: u8 = 0x30;
    /// `[0] EXPLICIT Version`.
    pub(super) const VERSION: u8 = 0xa0;
}

/// Object identifiers: RFC 3279 §2.3.1, RFC 5480 §2.1, RFC 8410 §3.
mod oid {
    pub(super) const RSA_ENCRYPTION: &[u8] =
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    pub(super) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    pub(super) const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    pub(super) const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
}

/// Sizes of an RSA modulus that we verify with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyAlgorithm {
    Rsa,
    EcdsaP256,
    EcdsaP384,
    Ed25519,
}

impl KeyAlgorithm {
    /// Which cipher suites of DTLS 1.2 it authenticates (RFC 8422 §2.1, §5.10 for Ed25519).
    pub(crate) fn authentication(self) -> Authentication {
        match self {
            Self::Rsa => Authentication::Rsa,
            Self::EcdsaP256 | Self::EcdsaP384 | Self::Ed25519 => Authentication::Ecdsa,
        }
    }

    /// Whether a key of this kind makes signatures of this scheme. An ECDSA key signs with the hash of its curve's size.
    pub(crate) fn signs_with(self, scheme: SignatureScheme) -> bool {
        match self {
            Self::EcdsaP256 => scheme == SignatureScheme::ECDSA_SECP256R1_SHA256,
            Self::EcdsaP384 => scheme == SignatureScheme::ECDSA_SECP384R1_SHA384,
            Self::Ed25519 => scheme == SignatureScheme::ED25519,
            Self::Rsa => matches!(
                scheme,
                SignatureScheme::RSA_PSS_RSAE_SHA256
                    | SignatureScheme::RSA_PSS_RSAE_SHA384
                    | SignatureScheme::RSA_PSS_RSAE_SHA512
                    | SignatureScheme::RSA_PKCS1_SHA256
                    | SignatureScheme::RSA_PKCS1_SHA384
                    | SignatureScheme::RSA_PKCS1_SHA512
            ),
        }
    }

    /// What the backend's verifiers name it by.
    fn identifier(self) -> AlgorithmIdentifier {
        match self {
            Self::Rsa => alg_id::RSA_ENCRYPTION,
            Self::EcdsaP256 => alg_id::ECDSA_P256,
            Self::EcdsaP384 => alg_id::ECDSA_P384,
            Self::Ed25519 => alg_id::ED25519,
        }
    }
}

/// The public key of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey<'a> {
    pub(crate) algorithm: KeyAlgorithm,
    /// The bits of subjectPublicKey.
    key: &'a [u8],
}

/// A message was signed by the key of the certificate that the peer presented.
#[derive(Debug)]
pub(crate) struct SignatureVerified(());

impl<'a> PublicKey<'a> {
    /// Finds the key in a certificate.
    pub(crate) fn of(certificate: &'a [u8]) -> Result<Self, Error> {
        let mut spki = find_spki(certificate)?;
        let mut algorithm = Reader::new(element(&mut spki, tag::SEQUENCE)?);
        // No key we take has unused bits at its end.
        let [0, key @ ..] = element(&mut spki, tag::BIT_STRING)? else {
            return Err(InvalidMessage::CertificateUnreadable.into());
        };
        let algorithm = match element(&mut algorithm, tag::OBJECT_IDENTIFIER)? {
            oid::RSA_ENCRYPTION if RSA_BITS.contains(&rsa_modulus_bits(key)?) => KeyAlgorithm::Rsa,
            oid::ED25519 => KeyAlgorithm::Ed25519,
            oid::EC_PUBLIC_KEY => match element(&mut algorithm, tag::OBJECT_IDENTIFIER)? {
                oid::SECP256R1 => KeyAlgorithm::EcdsaP256,
                oid::SECP384R1 => KeyAlgorithm::EcdsaP384,
                _ => return Err(PeerIncompatible::UnsupportedCertificateKey.into()),
            },
            _ => return Err(PeerIncompatible::UnsupportedCertificateKey.into()),
        };
        Ok(Self { algorithm, key })
    }

    /// Checks the signature of a handshake message of this version, whose scheme must be one that we offer for it.
    pub(crate) fn verify(
        &self,
        backend: CryptoBackend,
        version: ProtocolVersion,
        message: &[u8],
        signed: DigitallySigned<'_>,
    ) -> Result<SignatureVerified, Error> {
        let scheme = signed.scheme;
        if !CryptoBackend::SIGNATURE_SCHEMES.contains(&scheme) || !scheme.usable_in(version) {
            return Err(PeerMisbehaved::SignedWithUnofferedScheme.into());
        }
        backend
            .verifier(version, scheme, self.algorithm.identifier())
            .ok_or(PeerMisbehaved::SchemeDoesNotFitCertificate)?
            .verify_signature(self.key, message, signed.signature)
            .map_err(|_| PeerMisbehaved::SignatureInvalid)?;
        Ok(SignatureVerified(()))
    }
}

/// The fields of a certificate's subjectPublicKeyInfo: the sixth field of its first part, after an optional version.
fn find_spki(certificate: &[u8]) -> Result<Reader<'_>, InvalidMessage> {
    let mut certificate = Reader::new(element(&mut Reader::new(certificate), tag::SEQUENCE)?);
    let mut fields = Reader::new(element(&mut certificate, tag::SEQUENCE)?);
    let mut after_version = fields;
    if element(&mut after_version, tag::VERSION).is_ok() {
        fields = after_version;
    }
    // serialNumber, signature, issuer, validity, subject
    for _ in 0..5 {
        any_element(&mut fields)?;
    }
    element(&mut fields, tag::SEQUENCE).map(Reader::new)
}

/// The size of the modulus in an RSAPublicKey (RFC 8017 §A.1.1).
fn rsa_modulus_bits(key: &[u8]) -> Result<usize, InvalidMessage> {
    let mut fields = Reader::new(element(&mut Reader::new(key), tag::SEQUENCE)?);
    let modulus = element(&mut fields, tag::INTEGER)?;
    let leading_zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(leading_zeros).copied().unwrap_or(0);
    Ok((modulus.len() - leading_zeros) * 8
        - first.leading_zeros() as usize * usize::from(first != 0))
}

/// The contents of the element that comes next, which must have this tag.
fn element<'a>(reader: &mut Reader<'a>, tag: u8) -> Result<&'a [u8], InvalidMessage> {
    match any_element(reader)? {
        (found, contents) if found == tag => Ok(contents),
        _ => Err(InvalidMessage::CertificateUnreadable),
    }
}

/// Tag and contents of the element that comes next. Tags of one byte, definite lengths below 2²⁴ (X.690 §8.1, §10.1).
fn any_element<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), InvalidMessage> {
    let mut read = || {
        let tag = reader.u8()?;
        let contents = match reader.u8()? {
            len if len < 0x80 => reader.take(usize::from(len))?,
            0x81 => reader.vector::<1>()?,
            0x82 => reader.vector::<2>()?,
            0x83 => reader.vector::<3>()?,
            _ => return Err(InvalidMessage::CertificateUnreadable),
        };
        Ok((tag, contents))
    };
    read().map_err(|_| InvalidMessage::CertificateUnreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;
    use crate::identity::Identity;
    use crate::msgs::codec::List;
    use crate::msgs::enums::SignatureScheme;

    const BACKEND: CryptoBackend = CryptoBackend::Ring;
    const SCHEMES: List<'_, SignatureScheme> = List::Items(CryptoBackend::SIGNATURE_SCHEMES);
    const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
    const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

    const PEMS: [&str; 4] = [
        include_str!("../tests/data/p256-sec1.pem"),
        include_str!("../tests/data/p384.pem"),
        include_str!("../tests/data/ed25519.pem"),
        include_str!("../tests/data/rsa2048.pem"),
    ];

    /// Each key with each backend and each version.
    fn everything() -> impl Iterator<Item = (&'static str, CryptoBackend, ProtocolVersion)> {
        let with_backends = |pem| {
            CryptoBackend::ALL
                .iter()
                .map(move |backend| (pem, *backend))
        };
        let keys = PEMS.into_iter().flat_map(with_backends);
        keys.flat_map(|(pem, backend)| [V12, V13].map(|version| (pem, backend, version)))
    }

    fn der(pem: &str) -> Vec<u8> {
        CertificateDer::from_pem_slice(pem.as_bytes())
            .unwrap()
            .to_vec()
    }

    /// One DER element.
    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let [high, low] = (contents.len() as u16).to_be_bytes();
        [&[tag, 0x82, high, low][..], &contents].concat()
    }

    fn spki(algorithm: &[u8], parameters: &[u8], unused_bits: u8, key: &[u8]) -> Vec<u8> {
        let algorithm = tlv(
            tag::SEQUENCE,
            &[&tlv(tag::OBJECT_IDENTIFIER, &[algorithm]), parameters],
        );
        tlv(
            tag::SEQUENCE,
            &[&algorithm, &tlv(tag::BIT_STRING, &[&[unused_bits], key])],
        )
    }

    /// A certificate with nothing in it but a key: no names, no dates, no signature, no version.
    fn bare(spki: &[u8]) -> Vec<u8> {
        let nothing = tlv(tag::SEQUENCE, &[]);
        let fields: [&[u8]; 6] = [
            &tlv(tag::INTEGER, &[]),
            &nothing,
            &nothing,
            &nothing,
            &nothing,
            spki,
        ];
        tlv(tag::SEQUENCE, &[&tlv(tag::SEQUENCE, &fields)])
    }

    fn rsa_key(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0; bits / 8 + 1];
        modulus[1] = 0x80;
        tlv(
            tag::SEQUENCE,
            &[&tlv(tag::INTEGER, &[&modulus]), &tlv(tag::INTEGER, &[&[3]])],
        )
    }

    // req: T3
    #[test]
    fn each_kind_of_key_verifies_what_it_signed_and_nothing_else() {
        for (pem, backend, version) in everything() {
            let identity = Identity::from_pem(pem, pem).unwrap();
            let key = PublicKey::of(identity.certificate()).unwrap();
            let (scheme, signature) = identity
                .sign(backend, version, SCHEMES, b"message")
                .unwrap();
            let signed = DigitallySigned {
                scheme,
                signature: &signature,
            };
            let verify = |message, signed| key.verify(backend, version, message, signed).err();
            let invalid = Error::from(PeerMisbehaved::SignatureInvalid);
            assert_eq!(verify(b"message", signed), None);
            assert_eq!(verify(b"massage", signed), Some(invalid));
            let cut = DigitallySigned {
                signature: &signature[1..],
                ..signed
            };
            assert_eq!(verify(b"message", cut), Some(invalid));
        }
    }

    // req: T3
    #[test]
    fn one_backend_verifies_what_another_signed() {
        for (pem, backend, version) in everything() {
            let identity = Identity::from_pem(pem, pem).unwrap();
            let key = PublicKey::of(identity.certificate()).unwrap();
            let (scheme, signature) = identity
                .sign(backend, version, SCHEMES, b"message")
                .unwrap();
            for verifier in CryptoBackend::ALL {
                let signed = DigitallySigned {
                    scheme,
                    signature: &signature,
                };
                let verified = key.verify(*verifier, version, b"message", signed);
                assert!(
                    verified.is_ok(),
                    "{verifier:?} does not take {backend:?}'s {scheme}"
                );
            }
        }
    }

    // req: T3
    #[test]
    fn every_rsa_scheme_verifies_but_the_old_padding_only_in_the_old_version() {
        let identity = Identity::from_pem(PEMS[3], PEMS[3]).unwrap();
        let key = PublicKey::of(identity.certificate()).unwrap();
        let rsa = |scheme: &&SignatureScheme| scheme.to_string().starts_with("rsa");
        for scheme in CryptoBackend::SIGNATURE_SCHEMES.iter().filter(rsa) {
            let offered = List::Items(std::slice::from_ref(scheme));
            let (signed_with, signature) =
                identity.sign(BACKEND, V12, offered, b"message").unwrap();
            assert_eq!(signed_with, *scheme);
            let signed = DigitallySigned {
                scheme: *scheme,
                signature: &signature,
            };
            let verify = |version| key.verify(BACKEND, version, b"message", signed).err();
            assert_eq!(verify(V12), None);
            let pkcs1 = scheme.to_string().contains("pkcs1");
            let unoffered = Error::from(PeerMisbehaved::SignedWithUnofferedScheme);
            assert_eq!(verify(V13), pkcs1.then_some(unoffered));
        }
    }

    // req: T3
    #[test]
    fn a_scheme_that_is_not_offered_is_refused_whatever_the_signature() {
        let identity = Identity::from_pem(PEMS[0], PEMS[0]).unwrap();
        let key = PublicKey::of(identity.certificate()).unwrap();
        let (_, signature) = identity.sign(BACKEND, V12, SCHEMES, b"message").unwrap();
        // ECDSA with SHA-1, ECDSA with SHA-512, RSASSA-PSS with a key of its own kind.
        for code_point in [0x0203, 0x0603, 0x0809] {
            let signed = DigitallySigned {
                scheme: SignatureScheme(code_point),
                signature: &signature,
            };
            for version in [V12, V13] {
                let error = key.verify(BACKEND, version, b"message", signed).err();
                let unoffered = PeerMisbehaved::SignedWithUnofferedScheme.into();
                assert_eq!(error, Some(unoffered), "{code_point:#06x}");
            }
        }
    }

    // req: T3
    #[test]
    fn an_ecdsa_scheme_binds_the_curve_in_the_newer_version_only() {
        let p256_sha384 = &include_bytes!("../tests/data/p256-sha384.sig")[..];
        let p384_sha256 = &include_bytes!("../tests/data/p384-sha256.sig")[..];
        let (sha256, sha384) = (
            SignatureScheme::ECDSA_SECP256R1_SHA256,
            SignatureScheme::ECDSA_SECP384R1_SHA384,
        );
        for backend in CryptoBackend::ALL {
            for (pem, scheme, signature) in [
                (PEMS[0], sha384, p256_sha384),
                (PEMS[1], sha256, p384_sha256),
            ] {
                let certificate = der(pem);
                let key = PublicKey::of(&certificate).unwrap();
                let verify = |version, scheme| {
                    let signed = DigitallySigned { scheme, signature };
                    key.verify(*backend, version, b"message", signed).err()
                };
                let unfit = Some(PeerMisbehaved::SchemeDoesNotFitCertificate.into());
                assert_eq!(verify(V12, scheme), None, "{scheme}");
                assert_eq!(verify(V13, scheme), unfit, "{scheme}");
                assert_eq!(verify(V12, SignatureScheme::RSA_PKCS1_SHA256), unfit);
            }
        }
    }

    // req: T6
    #[test]
    fn only_the_public_key_of_a_certificate_is_read() {
        let curve = tlv(tag::OBJECT_IDENTIFIER, &[oid::SECP256R1]);
        let certificate = bare(&spki(oid::EC_PUBLIC_KEY, &curve, 0, &[4; 65]));
        assert_eq!(
            PublicKey::of(&certificate),
            Ok(PublicKey {
                algorithm: KeyAlgorithm::EcdsaP256,
                key: &[4; 65],
            })
        );
        let with_trailer = [&certificate[..], b"trailer"].concat();
        assert_eq!(PublicKey::of(&with_trailer), PublicKey::of(&certificate));
    }

    // req: T3
    #[test]
    fn rsa_keys_have_2048_to_8192_bits() {
        let of = |bits| {
            let certificate = bare(&spki(oid::RSA_ENCRYPTION, &[5, 0], 0, &rsa_key(bits)));
            PublicKey::of(&certificate).map(|key| key.algorithm)
        };
        let unsupported = Err(PeerIncompatible::UnsupportedCertificateKey.into());
        assert_eq!(of(2048), Ok(KeyAlgorithm::Rsa));
        assert_eq!(of(8192), Ok(KeyAlgorithm::Rsa));
        assert_eq!(of(2040), unsupported);
        assert_eq!(of(8200), unsupported);
        assert_eq!(rsa_modulus_bits(&rsa_key(2048)), Ok(2048));
        assert_eq!(
            rsa_modulus_bits(&tlv(tag::SEQUENCE, &[&tlv(tag::INTEGER, &[&[0, 0]])])),
            Ok(0)
        );
    }

    #[test]
    fn other_keys_are_unsupported_and_broken_certificates_unreadable() {
        let unsupported = Err(PeerIncompatible::UnsupportedCertificateKey.into());
        let unreadable = Err(InvalidMessage::CertificateUnreadable.into());
        assert_eq!(
            PublicKey::of(&der(include_str!("../tests/data/p521.cert.pem"))),
            unsupported
        );
        assert_eq!(
            PublicKey::of(&bare(&spki(b"???", &[], 0, &[1]))),
            unsupported
        );
        assert_eq!(
            PublicKey::of(&bare(&spki(oid::ED25519, &[], 1, &[1; 32]))),
            unreadable
        );
        assert_eq!(
            PublicKey::of(&bare(&tlv(tag::BIT_STRING, &[&[0, 1]]))),
            unreadable
        );
        let whole = der(PEMS[0]);
        for len in 0..whole.len() {
            assert_eq!(PublicKey::of(&whole[..len]), unreadable, "cut at {len}");
        }
        assert_eq!(PublicKey::of(&[0x30, 0x80, 0, 0]), unreadable);
        assert_eq!(
            PublicKey::of(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
            unreadable
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_certificate_or_an_error(
            bytes: Vec<u8>,
            which in 0usize..4,
            at in any::<prop::sample::Index>(),
            byte: u8,
        ) {
            let _ = PublicKey::of(&bytes);
            let mut mutated = der(PEMS[which]);
            let at = at.index(mutated.len());
            mutated[at] = byte;
            if let Ok(key) = PublicKey::of(&mutated) {
                let signed = DigitallySigned { scheme: SignatureScheme::ED25519, signature: &bytes };
                prop_assert!(key.verify(BACKEND, V12, b"message", signed).is_err());
            }
        }
    }
}
