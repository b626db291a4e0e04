//! What no implementation of a mutual handshake can leave out, with each backend: on both sides one ephemeral key, one
//! agreement, one signature made and one checked (ECDSA P-256), and where the group is hybrid one encapsulation.

use std::hint::black_box;

use aws_lc_rs::kem;
use aws_lc_rs::{agreement as aws_agreement, rand as aws_rand, signature as aws_signature};
use floe_dtls::{CryptoBackend, NamedGroup};
use ring::{agreement, rand, signature};
use signature::KeyPair as _;

const MESSAGE: &[u8] = b"a hash of the handshake so far, and what it is for";

/// The crypto of a mutual handshake on P-256 certificates, both sides.
#[derive(Debug)]
pub struct HandshakeFloor {
    keys: Keys,
    group: NamedGroup,
}

#[derive(Debug)]
enum Keys {
    Ring(signature::EcdsaKeyPair),
    AwsLcRs(aws_signature::EcdsaKeyPair),
}

impl HandshakeFloor {
    /// The floor of this backend with this group: X25519, P-256 or, with `aws-lc-rs`, X25519MLKEM768.
    #[must_use]
    pub fn new(backend: CryptoBackend, group: NamedGroup) -> Self {
        let keys = match backend {
            CryptoBackend::Ring => {
                let random = rand::SystemRandom::new();
                let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
                let pkcs8 = signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random);
                let pkcs8 = pkcs8.expect("randomness");
                let pair = signature::EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random);
                Keys::Ring(pair.expect("just made"))
            }
            _ => {
                let algorithm = &aws_signature::ECDSA_P256_SHA256_ASN1_SIGNING;
                let pair = aws_signature::EcdsaKeyPair::generate(algorithm);
                Keys::AwsLcRs(pair.expect("randomness"))
            }
        };
        Self { keys, group }
    }

    /// All of it once.
    pub fn run(&self) {
        match &self.keys {
            Keys::Ring(pair) => {
                let x25519 = self.group == NamedGroup::X25519;
                exchange_with_ring(match x25519 {
                    true => &agreement::X25519,
                    false => &agreement::ECDH_P256,
                });
                (0..2).for_each(|_| prove_with_ring(pair));
            }
            Keys::AwsLcRs(pair) => {
                exchange_with_aws_lc_rs(match self.group {
                    NamedGroup::SECP256R1 => &aws_agreement::ECDH_P256,
                    _ => &aws_agreement::X25519,
                });
                if self.group == NamedGroup::X25519MLKEM768 {
                    encapsulate();
                }
                (0..2).for_each(|_| prove_with_aws_lc_rs(pair));
            }
        }
    }
}

fn exchange_with_ring(algorithm: &'static agreement::Algorithm) {
    let random = rand::SystemRandom::new();
    let keys = [(); 2].map(|()| {
        agreement::EphemeralPrivateKey::generate(algorithm, &random).expect("randomness")
    });
    let publics = [0, 1].map(|index: usize| keys[index].compute_public_key().expect("a key"));
    for (key, public) in keys.into_iter().zip(publics.iter().rev()) {
        let public = agreement::UnparsedPublicKey::new(algorithm, public);
        agreement::agree_ephemeral(key, &public, |secret| black_box(secret.len()))
            .expect("a point");
    }
}

fn exchange_with_aws_lc_rs(algorithm: &'static aws_agreement::Algorithm) {
    let random = aws_rand::SystemRandom::new();
    let keys = [(); 2].map(|()| {
        aws_agreement::EphemeralPrivateKey::generate(algorithm, &random).expect("randomness")
    });
    let publics = [0, 1].map(|index: usize| keys[index].compute_public_key().expect("a key"));
    for (key, public) in keys.into_iter().zip(publics.iter().rev()) {
        let public = aws_agreement::UnparsedPublicKey::new(algorithm, public);
        aws_agreement::agree_ephemeral(key, public, (), |secret| {
            black_box(secret.len());
            Ok(())
        })
        .expect("a point");
    }
}

fn encapsulate() {
    let key = kem::DecapsulationKey::generate(&kem::ML_KEM_768).expect("randomness");
    let public = key.encapsulation_key().expect("its public half");
    let public = public.key_bytes().expect("its bytes");
    let theirs = kem::EncapsulationKey::new(&kem::ML_KEM_768, public.as_ref()).expect("a key");
    let (ciphertext, secret) = theirs.encapsulate().expect("randomness");
    black_box((secret, key.decapsulate(ciphertext).expect("a ciphertext")));
}

fn prove_with_ring(pair: &signature::EcdsaKeyPair) {
    let made = pair.sign(&rand::SystemRandom::new(), MESSAGE);
    let public = pair.public_key();
    signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, public)
        .verify(MESSAGE, made.expect("randomness").as_ref())
        .expect("authentic");
}

fn prove_with_aws_lc_rs(pair: &aws_signature::EcdsaKeyPair) {
    use aws_signature::KeyPair as _;
    let made = pair.sign(&aws_rand::SystemRandom::new(), MESSAGE);
    let public = pair.public_key();
    aws_signature::UnparsedPublicKey::new(&aws_signature::ECDSA_P256_SHA256_ASN1, public)
        .verify(MESSAGE, made.expect("randomness").as_ref())
        .expect("authentic");
}
