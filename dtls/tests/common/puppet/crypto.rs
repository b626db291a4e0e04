//! The puppet's own cryptography: AES-128-GCM with SHA-256, X25519 and Ed25519, straight from the RFCs and without a line
//! of the engine, so that a mistake would have to be made twice.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use floe_dtls::Identity;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use ring::{digest, hmac};

pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().to_vec()
}

/// The PRF of TLS 1.2 (RFC 5246 §5).
pub fn prf(secret: &[u8], label: &str, seed: &[u8], len: usize) -> Vec<u8> {
    let seed = [label.as_bytes(), seed].concat();
    let mut a = hmac_sha256(secret, &[&seed]);
    let mut out = Vec::new();
    while out.len() < len {
        out.extend(hmac_sha256(secret, &[&a, &seed]));
        a = hmac_sha256(secret, &[&a]);
    }
    out.truncate(len);
    out
}

/// HKDF-Expand-Label with the prefix of DTLS 1.3 (RFC 9147 §5.9), up to the 32 bytes of one block.
pub fn expand_label(secret: &[u8], label: &str, context: &[u8], len: usize) -> Vec<u8> {
    let label = format!("dtls13{label}");
    let mut info = (len as u16).to_be_bytes().to_vec();
    info.push(label.len() as u8);
    info.extend_from_slice(label.as_bytes());
    info.push(context.len() as u8);
    info.extend_from_slice(context);
    let mut out = hmac_sha256(secret, &[&info, &[1]]);
    out.truncate(len);
    out
}

/// HKDF-Extract (RFC 5869 §2.2).
pub fn extract(salt: &[u8], secret: &[u8]) -> Vec<u8> {
    hmac_sha256(salt, &[secret])
}

/// One ephemeral key; what it agreed upon is remembered.
#[derive(Clone)]
pub struct Share {
    private: Rc<RefCell<Option<EphemeralPrivateKey>>>,
    agreed: Rc<RefCell<Option<Vec<u8>>>>,
    pub public: Vec<u8>,
}

impl Share {
    pub fn new() -> Self {
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let public = private.compute_public_key().unwrap().as_ref().to_vec();
        Self {
            private: Rc::new(RefCell::new(Some(private))),
            agreed: Rc::default(),
            public,
        }
    }

    /// Nothing at all while no peer's key is known: what an implementation without one might take (CVE-2014-0224).
    pub fn agree(&self, peer: &[u8]) -> Vec<u8> {
        if peer.len() == 32
            && let Some(private) = self.private.borrow_mut().take()
        {
            let peer = UnparsedPublicKey::new(&X25519, peer);
            let agreed = agree_ephemeral(private, &peer, <[u8]>::to_vec).unwrap();
            *self.agreed.borrow_mut() = Some(agreed);
        }
        self.agreed.borrow().clone().unwrap_or_default()
    }
}

/// A certificate and its key.
pub struct Credential {
    pub certificate: Vec<u8>,
    key: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl Credential {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key);
        let pkcs8 = key.serialize_der();
        Self {
            certificate: certificate.unwrap().der().to_vec(),
            key: Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap(),
            pkcs8,
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).as_ref().to_vec()
    }

    /// As the engine has it.
    pub fn identity(&self) -> Arc<Identity> {
        Arc::new(Identity::from_der(&self.certificate, &self.pkcs8).unwrap())
    }
}

/// One direction's keys of one epoch.
#[derive(Clone)]
pub enum Keys {
    V12 {
        key: LessSafeKey,
        salt: Vec<u8>,
    },
    V13 {
        key: LessSafeKey,
        iv: Vec<u8>,
        numbers: Rc<quic::HeaderProtectionKey>,
    },
}

fn aes(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).unwrap())
}

/// A plaintext record as it came out.
pub struct Plain {
    pub content_type: u8,
    pub body: Vec<u8>,
}

impl Keys {
    pub fn v12(key: &[u8], salt: &[u8]) -> Self {
        Self::V12 {
            key: aes(key),
            salt: salt.to_vec(),
        }
    }

    pub fn v13(traffic_secret: &[u8]) -> Self {
        let part = |label, len| expand_label(traffic_secret, label, &[], len);
        let numbers = quic::HeaderProtectionKey::new(&quic::AES_128, &part("sn", 16)).unwrap();
        Self::V13 {
            key: aes(&part("key", 16)),
            iv: part("iv", 12),
            numbers: Rc::new(numbers),
        }
    }

    pub fn seal(&self, content_type: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
        match self {
            Self::V12 { key, salt } => seal_v12(key, salt, content_type, epoch, sequence, body),
            Self::V13 { key, iv, numbers } => {
                let mut text = body.to_vec();
                text.push(content_type);
                let mut record = vec![0x2c | (epoch & 3) as u8];
                record.extend_from_slice(&(sequence as u16).to_be_bytes());
                record.extend_from_slice(&(text.len() as u16 + 16).to_be_bytes());
                let aad = Aad::from(record.clone());
                let nonce = nonce_v13(iv, sequence);
                key.seal_in_place_append_tag(nonce, aad, &mut text).unwrap();
                let mask = numbers.new_mask(&text[..16]).unwrap();
                record
                    .iter_mut()
                    .skip(1)
                    .zip(&mask[..2])
                    .for_each(|(byte, mask)| *byte ^= mask);
                record.extend_from_slice(&text);
                record
            }
        }
    }

    /// What is written of a record's number in DTLS 1.3.
    pub fn number_of(&self, record: &[u8]) -> Option<u16> {
        let Self::V13 { numbers, .. } = self else {
            return None;
        };
        let mask = numbers.new_mask(record.get(5..21)?).ok()?;
        Some(u16::from_be_bytes([
            record[1] ^ mask[0],
            record[2] ^ mask[1],
        ]))
    }

    /// Opens one record of the forms that the engine writes; `None` if it is not of these keys. Of its number in DTLS 1.3
    /// only 16 bits are written; the others are those of `expected`.
    pub fn open(&self, record: &[u8], expected: u64) -> Option<Plain> {
        match self {
            Self::V12 { key, salt } => {
                let (header, body) = record.split_at_checked(13)?;
                let (explicit, text) = body.split_at_checked(8)?;
                let mut text = text.to_vec();
                let aad = aad_v12(header[0], &header[3..11], text.len().checked_sub(16)?);
                let nonce = [salt, explicit].concat();
                let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
                let body = key.open_in_place(nonce, Aad::from(aad), &mut text).ok()?;
                Some(Plain {
                    content_type: header[0],
                    body: body.to_vec(),
                })
            }
            Self::V13 { key, iv, numbers } => {
                let (header, text) = record.split_at_checked(5)?;
                let (mut header, mut text) = (header.to_vec(), text.to_vec());
                let mask = numbers.new_mask(text.get(..16)?).ok()?;
                header
                    .iter_mut()
                    .skip(1)
                    .zip(&mask[..2])
                    .for_each(|(byte, mask)| *byte ^= mask);
                let written = u64::from(u16::from_be_bytes([header[1], header[2]]));
                let sequence = (expected & !0xffff) | written;
                let nonce = nonce_v13(iv, sequence);
                let inner = key
                    .open_in_place(nonce, Aad::from(header), &mut text)
                    .ok()?;
                let end = inner.iter().rposition(|byte| *byte != 0)?;
                Some(Plain {
                    content_type: inner[end],
                    body: inner[..end].to_vec(),
                })
            }
        }
    }
}

fn seal_v12(
    key: &LessSafeKey,
    salt: &[u8],
    content_type: u8,
    epoch: u16,
    sequence: u64,
    body: &[u8],
) -> Vec<u8> {
    let number = (u64::from(epoch) << 48 | sequence).to_be_bytes();
    let aad = Aad::from(aad_v12(content_type, &number, body.len()));
    let nonce = Nonce::try_assume_unique_for_key(&[salt, &number].concat()).unwrap();
    let mut text = body.to_vec();
    key.seal_in_place_append_tag(nonce, aad, &mut text).unwrap();
    let mut record = vec![content_type, 0xfe, 0xfd];
    record.extend_from_slice(&number);
    record.extend_from_slice(&(8 + text.len() as u16).to_be_bytes());
    record.extend_from_slice(&number);
    record.extend_from_slice(&text);
    record
}

fn aad_v12(content_type: u8, number: &[u8], len: usize) -> Vec<u8> {
    let mut aad = number.to_vec();
    aad.extend_from_slice(&[content_type, 0xfe, 0xfd]);
    aad.extend_from_slice(&(len as u16).to_be_bytes());
    aad
}

fn nonce_v13(iv: &[u8], sequence: u64) -> Nonce {
    let mut nonce: [u8; 12] = iv.try_into().unwrap();
    let number = sequence.to_be_bytes();
    nonce
        .iter_mut()
        .skip(4)
        .zip(number)
        .for_each(|(byte, number)| *byte ^= number);
    Nonce::assume_unique_for_key(nonce)
}
