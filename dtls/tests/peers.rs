//! Peers of one version each: their messages whole or in pieces, with a cookie demanded or not, with a share in a group of
//! the post-quantum kind before the one that is taken, or without. They connect to a client and a server of both versions.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::puppet::stage::Stage;
use common::puppet::{Cast, Letter, Version};
use common::wire::{self, ClientHello, list16};
use floe_dtls::{Config, ProtocolVersion, Side, State};

const X25519MLKEM768: u16 = 0x11ec;

/// How a peer goes about it.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Bytes of a message in one record.
    fragment: usize,
    cookie: bool,
    post_quantum: bool,
}

fn manners() -> Vec<Manner> {
    let mut manners = Vec::new();
    for fragment in [1, 50, 100_000] {
        for cookie in [false, true] {
            for post_quantum in [false, true] {
                manners.push(Manner {
                    fragment,
                    cookie,
                    post_quantum,
                });
            }
        }
    }
    manners
}

/// As browsers have it: the hybrid first, with 1216 bytes of share in DTLS 1.3.
fn add_post_quantum_share(version: Version, body: &mut Vec<u8>) {
    let mut hello = ClientHello::parse(body);
    hello.set(
        wire::SUPPORTED_GROUPS,
        Some(list16(&[X25519MLKEM768, 0x001d])),
    );
    if version == Version::V13 {
        let position = |(code, _): &(u16, Vec<u8>)| *code == wire::KEY_SHARE;
        let at = hello.extensions.iter().position(position).unwrap();
        let classical = hello.extensions[at].1[2..].to_vec();
        let mut shares = X25519MLKEM768.to_be_bytes().to_vec();
        shares.extend_from_slice(&1216_u16.to_be_bytes());
        shares.extend_from_slice(&[0x5a; 1216]);
        shares.extend_from_slice(&classical);
        let len = (shares.len() as u16).to_be_bytes();
        hello.extensions[at].1 = [&len[..], &shares].concat();
    }
    *body = hello.to_bytes();
}

impl Manner {
    fn word(self, version: Version, victim: Side) -> Vec<Letter> {
        let demand = match (version, victim) {
            (Version::V12, Side::Client) => Some(Letter::HelloVerifyRequest),
            (Version::V13, Side::Client) => Some(Letter::HelloRetryRequest),
            (Version::V13, Side::Server) => Some(Letter::ClientHelloWithoutShare),
            // It is the victim who would demand one.
            (Version::V12, Side::Server) => None,
        };
        let demand = demand.filter(|_| self.cookie);
        let word = version.word(victim).iter().copied();
        demand.into_iter().chain(word).collect()
    }

    fn say(self, stage: &mut Stage, version: Version, letter: Letter) {
        let change = |body: &mut Vec<u8>| {
            // With the share that was asked for there is no other.
            if self.post_quantum && !self.cookie && letter == Letter::ClientHello {
                add_post_quantum_share(version, body);
            }
        };
        let cuts = |len: usize| {
            let starts = (0..len.max(1)).step_by(self.fragment);
            starts
                .map(|start| (start, len.min(start + self.fragment)))
                .collect()
        };
        stage.say_in_pieces(letter, change, cuts);
    }
}

// req: T1 T2
#[test]
fn peers_of_one_version_connect_whatever_their_manner() {
    let cast = Cast::new();
    for version in Version::ALL {
        for victim in [Side::Client, Side::Server] {
            for manner in manners() {
                let mut config = Config::new(cast.victim.clone());
                Version::allow_all(&mut config);
                let remote = common::ends::expecting_owner_of(&cast.signalled.identity());
                let mut stage = Stage::with(version, victim, &cast, config, remote);
                for letter in manner.word(version, victim) {
                    manner.say(&mut stage, version, letter);
                }
                let context = format!("{version:?} {victim} {manner:?}");
                assert_eq!(stage.victim.state(), State::Connected, "{context}");
                let negotiated = match version {
                    Version::V12 => ProtocolVersion::DTLS1_2,
                    Version::V13 => ProtocolVersion::DTLS1_3,
                };
                assert_eq!(stage.victim.version(), Some(negotiated), "{context}");
                stage.assert_talking();
            }
        }
    }
}
