//! What no implementation can leave out of a record of its version: the floor of sealing and opening.
//!
//! Sealing copies the plaintext behind its header, as an interface must that takes the one and gives the other, makes the nonce
//! of the record's number, and encrypts under the header; opening undoes that in place. DTLS 1.3 encrypts the content type too,
//! one byte more, and masks the number with a block of its own. Of all else there is nothing: no record is looked at before it
//! is opened, none is refused, no number is remembered, and nobody is asked whether there is a connection.

use std::time::Instant;

use aws_lc_rs::aead as aws;
use floe_dtls::{CryptoBackend, ProtocolVersion};
use ring::aead::{self, quic};

use super::{End, Progress, V12};

const TAG: usize = 16;

/// A key of AES-128-GCM.
enum Cipher {
    Ring(Box<aead::LessSafeKey>),
    AwsLcRs(aws::LessSafeKey),
}

impl Cipher {
    fn new(backend: CryptoBackend) -> Self {
        match backend {
            CryptoBackend::Ring => {
                let key = aead::UnboundKey::new(&aead::AES_128_GCM, &[7; 16]).expect("16 bytes");
                Self::Ring(Box::new(aead::LessSafeKey::new(key)))
            }
            _ => {
                let key = aws::UnboundKey::new(&aws::AES_128_GCM, &[7; 16]).expect("16 bytes");
                Self::AwsLcRs(aws::LessSafeKey::new(key))
            }
        }
    }

    /// Encrypts all of `body` but its end, which gets the tag.
    fn seal(&self, nonce: [u8; 12], header: &[u8], body: &mut [u8]) {
        let (text, place) = body.split_at_mut(body.len() - TAG);
        match self {
            Self::Ring(key) => {
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, aead::Aad::from(header), text);
                place.copy_from_slice(tag.expect("short enough").as_ref());
            }
            Self::AwsLcRs(key) => {
                let nonce = aws::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, aws::Aad::from(header), text);
                place.copy_from_slice(tag.expect("short enough").as_ref());
            }
        }
    }

    /// Decrypts `body`, and says the length of the plaintext.
    fn open(&self, nonce: [u8; 12], header: &[u8], body: &mut [u8]) -> usize {
        match self {
            Self::Ring(key) => {
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                let opened = key.open_in_place(nonce, aead::Aad::from(header), body);
                opened.expect("authentic").len()
            }
            Self::AwsLcRs(key) => {
                let nonce = aws::Nonce::assume_unique_for_key(nonce);
                let opened = key.open_in_place(nonce, aws::Aad::from(header), body);
                opened.expect("authentic").len()
            }
        }
    }
}

/// The keys of one end. Its numbers come again after 2¹⁶ records, so that the two bytes in a record are all of one.
pub(super) struct Floor {
    cipher: Cipher,
    form: Form,
    next: u16,
}

/// What records look like.
enum Form {
    /// A header of 13 bytes and eight of the nonce, which are the number.
    V12,
    /// A header of five bytes, with two of the number, which are masked; `ring`'s mask is the cheapest for either backend.
    V13(Box<quic::HeaderProtectionKey>),
}

impl Floor {
    pub(super) fn new(version: ProtocolVersion, backend: CryptoBackend) -> Self {
        let form = match version {
            V12 => Form::V12,
            _ => {
                let key = quic::HeaderProtectionKey::new(&quic::AES_128, &[8; 16]);
                Form::V13(Box::new(key.expect("16 bytes")))
            }
        };
        Self {
            cipher: Cipher::new(backend),
            form,
            next: 0,
        }
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [3; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

fn masked(header: &mut [u8; 5], mask: [u8; 5]) {
    header[1] ^= mask[0];
    header[2] ^= mask[1];
}

impl End for Floor {
    fn seal(&mut self, _: Instant, data: &[u8], out: &mut [u8]) -> usize {
        let number = u64::from(self.next);
        self.next = self.next.wrapping_add(1);
        let bytes = number.to_be_bytes();
        match &self.form {
            Form::V12 => {
                let (record, _) = out.split_at_mut(21 + data.len() + TAG);
                let (header, body) = record.split_at_mut(13);
                let (explicit, body) = body.split_at_mut(8);
                header.copy_from_slice(&[5; 13]);
                header[3..11].copy_from_slice(&bytes);
                explicit.copy_from_slice(&bytes);
                body[..data.len()].copy_from_slice(data);
                self.cipher.seal(nonce(number), header, body);
                record.len()
            }
            Form::V13(mask) => {
                let (record, _) = out.split_at_mut(5 + data.len() + 1 + TAG);
                let (header, body) = record.split_first_chunk_mut().expect("long enough");
                *header = [0x2f, bytes[6], bytes[7], 4, 4];
                body[..data.len()].copy_from_slice(data);
                body[data.len()] = 23;
                self.cipher.seal(nonce(number), header, body);
                masked(header, mask.new_mask(&body[..16]).expect("16 bytes"));
                record.len()
            }
        }
    }

    fn open(&mut self, _: Instant, datagram: &mut [u8], _: &mut [u8]) -> usize {
        match &self.form {
            Form::V12 => {
                let (header, body) = datagram.split_at_mut(13);
                let (explicit, body) = body.split_first_chunk_mut().expect("long enough");
                let number = u64::from_be_bytes(*explicit);
                self.cipher.open(nonce(number), header, body)
            }
            Form::V13(mask) => {
                let (header, body) = datagram.split_first_chunk_mut().expect("long enough");
                masked(header, mask.new_mask(&body[..16]).expect("16 bytes"));
                let number = u16::from_be_bytes([header[1], header[2]]);
                let len = self.cipher.open(nonce(number.into()), header, body);
                len - 1
            }
        }
    }

    fn receive(&mut self, _: Instant, _: &mut [u8]) {}

    fn transmit(&mut self, _: &mut [u8]) -> Option<usize> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn wake(&mut self, _: Instant) {}

    fn progress(&self) -> Progress {
        Progress::Connected
    }
}
