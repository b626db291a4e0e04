//! What each message says (RFC 5246 §7.4, RFC 8422 §5, RFC 8446 §4).

use super::crypto::{expand_label, hmac_sha256, prf};
use super::{Letter, Puppet, Version, Who};
use crate::common::wire::{self, ClientHello, ServerHello, list16};
use floe_dtls::Side;

const X25519: u16 = 0x001d;
const ED25519: u16 = 0x0807;

/// The random that makes a ServerHello a HelloRetryRequest (RFC 8446 §4.1.3).
pub const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

fn sized16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn sized24(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat()
}

impl Letter {
    pub fn message_type(self) -> u8 {
        match self {
            Self::HelloRequest => 0,
            Self::ClientHello | Self::ClientHelloWithoutShare => 1,
            Self::ServerHello | Self::HelloRetryRequest => 2,
            Self::HelloVerifyRequest => 3,
            Self::NewSessionTicket => 4,
            Self::EndOfEarlyData => 5,
            Self::EncryptedExtensions => 8,
            Self::Certificate(_) | Self::CertificatePlain => 11,
            Self::ServerKeyExchange | Self::ServerKeyExchangeForged => 12,
            Self::CertificateRequest => 13,
            Self::ServerHelloDone => 14,
            Self::CertificateVerify | Self::CertificateVerifyForged => 15,
            Self::ClientKeyExchange => 16,
            Self::Finished | Self::FinishedForged | Self::FinishedPlain => 20,
            Self::CertificateStatus => 22,
            Self::KeyUpdate => 24,
            Self::MessageHash => 254,
        }
    }
}

impl Puppet {
    pub(super) fn body(&self, letter: Letter) -> Vec<u8> {
        match letter {
            Letter::HelloRequest | Letter::ServerHelloDone | Letter::EndOfEarlyData => Vec::new(),
            Letter::ClientHello => self.client_hello(&self.share.public),
            Letter::ClientHelloWithoutShare => self.client_hello(&[]),
            Letter::HelloVerifyRequest => [&[0xfe, 0xfd, 20][..], &[0xcc; 20]].concat(),
            Letter::HelloRetryRequest => {
                self.server_hello(RETRY, (wire::COOKIE, sized16(&[0xcc; 20])))
            }
            Letter::ServerHello => {
                let share = [&X25519.to_be_bytes()[..], &sized16(&self.share.public)].concat();
                self.server_hello(self.random, (wire::KEY_SHARE, share))
            }
            Letter::EncryptedExtensions => sized16(&[]),
            Letter::Certificate(who) => self.certificate(who),
            Letter::CertificatePlain => self.certificate(Who::Nobody),
            Letter::ServerKeyExchange => self.server_key_exchange(self.presented),
            Letter::ServerKeyExchangeForged => self.server_key_exchange(self.not_presented()),
            Letter::CertificateRequest => self.certificate_request(),
            Letter::ClientKeyExchange => [&[32], &self.share.public[..]].concat(),
            Letter::CertificateVerify => self.certificate_verify(self.presented),
            Letter::CertificateVerifyForged => self.certificate_verify(self.not_presented()),
            Letter::Finished | Letter::FinishedPlain => self.verify_data(),
            Letter::FinishedForged => self.verify_data().iter().map(|byte| byte ^ 1).collect(),
            Letter::NewSessionTicket => match self.version {
                Version::V12 => [&[0, 0, 1, 0][..], &sized16(&[7; 40])].concat(),
                Version::V13 => [
                    &[0, 0, 1, 0, 9, 9, 9, 9, 1, 5][..],
                    &sized16(&[7; 40]),
                    &[0, 0],
                ]
                .concat(),
            },
            Letter::KeyUpdate => vec![0],
            Letter::CertificateStatus => [&[1][..], &sized24(&[7; 30])].concat(),
            Letter::MessageHash => vec![7; 32],
        }
    }

    fn client_hello(&self, share: &[u8]) -> Vec<u8> {
        let schemes = list16(&[ED25519, 0x0403, 0x0804]);
        let mut hello = ClientHello {
            version: 0xfefd,
            random: self.random,
            session_id: vec![],
            cookie: vec![],
            suites: vec![],
            compression: vec![0],
            extensions: vec![
                (wire::SUPPORTED_GROUPS, list16(&[X25519])),
                (wire::SIGNATURE_ALGORITHMS, schemes),
            ],
        };
        match self.version {
            Version::V12 => {
                hello.suites = vec![0xc02b];
                hello.cookie = self.cookie.clone();
                hello.set(wire::EC_POINT_FORMATS, Some(vec![1, 0]));
                hello.set(wire::EXTENDED_MASTER_SECRET, Some(vec![]));
                hello.set(wire::RENEGOTIATION_INFO, Some(vec![0]));
            }
            Version::V13 => {
                hello.suites = vec![0x1301];
                let entry = [&X25519.to_be_bytes()[..], &sized16(share)].concat();
                let entries = if share.is_empty() { vec![] } else { entry };
                hello.set(wire::KEY_SHARE, Some(sized16(&entries)));
                hello.set(wire::SUPPORTED_VERSIONS, Some(vec![2, 0xfe, 0xfc]));
                let cookie = (!self.cookie.is_empty()).then(|| self.cookie.clone());
                hello.set(wire::COOKIE, cookie);
            }
        }
        hello.to_bytes()
    }

    fn server_hello(&self, random: [u8; 32], by_13: (u16, Vec<u8>)) -> Vec<u8> {
        let mut hello = ServerHello {
            version: 0xfefd,
            random,
            session_id: vec![],
            suite: 0xc02b,
            compression: 0,
            extensions: vec![],
        };
        match self.version {
            Version::V12 => {
                hello.set(wire::EXTENDED_MASTER_SECRET, Some(vec![]));
                hello.set(wire::RENEGOTIATION_INFO, Some(vec![0]));
            }
            Version::V13 => {
                hello.suite = 0x1301;
                hello.set(wire::SUPPORTED_VERSIONS, Some(vec![0xfe, 0xfc]));
                hello.set(by_13.0, Some(by_13.1));
            }
        }
        hello.to_bytes()
    }

    fn certificate(&self, who: Who) -> Vec<u8> {
        let der = self
            .credential(who)
            .map(|credential| sized24(&credential.certificate));
        match (self.version, der) {
            (Version::V12, der) => sized24(&der.unwrap_or_default()),
            (Version::V13, None) => vec![0, 0, 0, 0],
            (Version::V13, Some(der)) => {
                let entry = [&der[..], &[0, 0]].concat();
                [&[0], &sized24(&entry)[..]].concat()
            }
        }
    }

    fn server_key_exchange(&self, who: Who) -> Vec<u8> {
        let params = [&[3][..], &X25519.to_be_bytes(), &[32], &self.share.public].concat();
        let randoms = self.randoms();
        [
            params.clone(),
            self.signature(who, &[randoms, params].concat()),
        ]
        .concat()
    }

    fn certificate_request(&self) -> Vec<u8> {
        let schemes = list16(&[ED25519, 0x0403, 0x0804]);
        match self.version {
            Version::V12 => [&[1, 64][..], &schemes, &[0, 0]].concat(),
            Version::V13 => {
                let extension = [&[0, 13][..], &sized16(&schemes)].concat();
                [&[0], &sized16(&extension)[..]].concat()
            }
        }
    }

    fn certificate_verify(&self, who: Who) -> Vec<u8> {
        match self.version {
            Version::V12 => self.signature(who, &self.messages.concat()),
            Version::V13 => {
                let side = match self.side {
                    Side::Client => "client",
                    Side::Server => "server",
                };
                let title = format!("TLS 1.3, {side} CertificateVerify\0");
                let hash = self.transcript_hash();
                self.signature(who, &[&[0x20; 64][..], title.as_bytes(), &hash].concat())
            }
        }
    }

    /// Scheme and signature; whoever has no certificate signs with any key.
    fn signature(&self, who: Who, message: &[u8]) -> Vec<u8> {
        let signer = self.credential(who).unwrap_or(&self.stranger);
        [&ED25519.to_be_bytes()[..], &sized16(&signer.sign(message))].concat()
    }

    fn not_presented(&self) -> Who {
        match self.presented {
            Who::Signalled => Who::Stranger,
            Who::Stranger | Who::Nobody => Who::Signalled,
        }
    }

    fn verify_data(&self) -> Vec<u8> {
        let hash = self.transcript_hash();
        match self.version {
            Version::V12 => {
                let label = match self.side {
                    Side::Client => "client finished",
                    Side::Server => "server finished",
                };
                prf(&self.master_secret(), label, &hash, 12)
            }
            Version::V13 => match self.handshake_secret(self.side) {
                Some(secret) => {
                    let key = expand_label(secret, "finished", &[], 32);
                    hmac_sha256(&key, &[&hash])
                }
                None => vec![7; 32],
            },
        }
    }
}
