//! Every sequence of handshake messages, up to eight of them, and which reach `Connected`.
//!
//! A peer that has keys and certificates says each word of the alphabet in every order to a client and to a server of
//! either version: whole messages, properly encoded, and properly protected where there are keys. A word that made the
//! victim fail is not continued; ChangeCipherSpec, which means nothing, is no letter. The words that connect are exactly
//! those of the RFCs' diagrams (RFC 5246 §7.3, RFC 6347 §4.2.4, RFC 8446 §2, RFC 9147 §5.6).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::ends::expecting_owner_of;
use common::puppet::{Cast, Letter, Puppet, Version, Who};
use common::wire::{CHANGE_CIPHER_SPEC, Record};
use floe_dtls::{ClientAuth, Config, Connection, Received, RemoteIdentity, Setup, Side, State};
use sim::Clock;

/// The longest word.
const LONGEST: usize = 8;

/// Letters of a word that may be dropped without effect before the word is given up: each of them leads back to where the
/// word was, so that more of them only repeat what was seen.
const DROPPED: usize = 1;

#[derive(Clone, Copy, Debug)]
struct Scene {
    version: Version,
    victim: Side,
    /// Whom the victim accepts.
    accepts: Accepts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepts {
    /// The certificate that was signalled, and no client without.
    Signalled,
    /// Any certificate, but one.
    Any,
    /// Anybody.
    AnyOrNone,
    /// The victim, a server, does not ask.
    Unasked,
}

impl Scene {
    fn stage(self, cast: &Cast) -> Play {
        let mut config = Config::new(cast.victim.clone());
        self.version.limit(&mut config);
        config.client_auth = match self.accepts {
            Accepts::Signalled | Accepts::Any => ClientAuth::Required,
            Accepts::AnyOrNone => ClientAuth::Requested,
            Accepts::Unasked => ClientAuth::None,
        };
        let remote = match self.accepts {
            Accepts::Signalled => expecting_owner_of(&cast.signalled.identity()),
            _ => RemoteIdentity::AcceptAny,
        };
        let setup = match self.victim {
            Side::Client => Setup::Active,
            Side::Server => Setup::Passive,
        };
        let mut victim = Connection::new(Arc::new(config), setup, remote).unwrap();
        victim.start(Clock::epoch());
        let mut play = Play {
            victim,
            puppet: Puppet::new(self.version, self.victim.peer(), cast),
            taken: Vec::new(),
            dropped: 0,
        };
        play.listen();
        play
    }

    /// The words that connect, by depth-first search.
    fn language(self, cast: &Cast) -> BTreeSet<Vec<Letter>> {
        let mut language = BTreeSet::new();
        let mut words = vec![Vec::new()];
        while let Some(word) = words.pop() {
            for letter in self.version.letters() {
                let mut word: Vec<Letter> = word.clone();
                word.push(letter);
                let mut play = self.stage(cast);
                word.iter().for_each(|letter| play.say(*letter));
                match play.victim.state() {
                    State::Connected => drop(language.insert(play.taken)),
                    State::Connecting if word.len() < LONGEST && play.dropped <= DROPPED => {
                        words.push(word);
                    }
                    State::Connecting => {}
                    state => assert_eq!(state, State::Failed, "{word:?}"),
                }
                if play.victim.state() != State::Connected {
                    assert!(play.victim.srtp_keys().is_none());
                    assert!(play.victim.peer_certificate().is_none());
                }
            }
        }
        language
    }
}

/// A victim and a puppet in the middle of a word.
struct Play {
    victim: Connection,
    puppet: Puppet,
    taken: Vec<Letter>,
    dropped: usize,
}

impl Play {
    fn say(&mut self, letter: Letter) {
        let outgoing = self.puppet.say(letter);
        if matches!(letter, Letter::Finished | Letter::FinishedForged) {
            let mut spec = Record::new(CHANGE_CIPHER_SPEC, 0, 1 << 20, &[1]).to_bytes();
            let _ = self.victim.handle_datagram(Clock::epoch(), &mut spec);
        }
        let mut datagram = outgoing.datagram.clone();
        match self.victim.handle_datagram(Clock::epoch(), &mut datagram) {
            Received::Handled => {
                self.puppet.taken(outgoing);
                self.taken.push(letter);
            }
            Received::Dropped(_) => self.dropped += 1,
            other => panic!("{letter:?}: {other:?}"),
        }
        self.listen();
    }

    fn listen(&mut self) {
        let mut buf = [0; 1500];
        while let Some(len) = self.victim.poll_transmit(&mut buf) {
            self.puppet.hear(&buf[..len]);
        }
    }
}

/// All words made of one choice at each place.
fn words(places: &[&[&[Letter]]]) -> BTreeSet<Vec<Letter>> {
    let mut words = BTreeSet::from([Vec::new()]);
    for choices in places {
        let continued =
            |word: Vec<Letter>| choices.iter().map(move |choice| [&word, *choice].concat());
        words = words.into_iter().flat_map(continued).collect();
    }
    words
}

const CERTIFICATE: Letter = Letter::Certificate(Who::Signalled);
const OF_A_STRANGER: Letter = Letter::Certificate(Who::Stranger);
const EMPTY: Letter = Letter::Certificate(Who::Nobody);

fn assert_language(scene: Scene, reference: &[&[&[Letter]]]) {
    let language = scene.language(&Cast::new());
    assert_eq!(language, words(reference), "{scene:?}");
}

// req: T61
#[test]
fn a_client_of_dtls_1_2_connects_by_the_words_of_its_diagram_only() {
    for (accepts, certificates) in [
        (Accepts::Signalled, &[&[CERTIFICATE][..]][..]),
        (Accepts::Any, &[&[CERTIFICATE], &[OF_A_STRANGER]]),
    ] {
        let scene = Scene {
            version: Version::V12,
            victim: Side::Client,
            accepts,
        };
        assert_language(
            scene,
            &[
                &[&[], &[Letter::HelloVerifyRequest]],
                &[&[Letter::ServerHello]],
                certificates,
                &[&[Letter::ServerKeyExchange]],
                &[&[], &[Letter::CertificateRequest]],
                &[&[Letter::ServerHelloDone, Letter::Finished]],
            ],
        );
    }
}

// req: T61
#[test]
fn a_server_of_dtls_1_2_connects_by_the_words_of_its_diagram_only() {
    for (accepts, proofs) in [
        (
            Accepts::Signalled,
            &[&[
                CERTIFICATE,
                Letter::ClientKeyExchange,
                Letter::CertificateVerify,
            ][..]][..],
        ),
        (
            Accepts::Any,
            &[
                &[
                    CERTIFICATE,
                    Letter::ClientKeyExchange,
                    Letter::CertificateVerify,
                ],
                &[
                    OF_A_STRANGER,
                    Letter::ClientKeyExchange,
                    Letter::CertificateVerify,
                ],
            ],
        ),
        (
            Accepts::AnyOrNone,
            &[
                &[
                    CERTIFICATE,
                    Letter::ClientKeyExchange,
                    Letter::CertificateVerify,
                ],
                &[
                    OF_A_STRANGER,
                    Letter::ClientKeyExchange,
                    Letter::CertificateVerify,
                ],
                &[EMPTY, Letter::ClientKeyExchange],
            ],
        ),
        (Accepts::Unasked, &[&[Letter::ClientKeyExchange]]),
    ] {
        let scene = Scene {
            version: Version::V12,
            victim: Side::Server,
            accepts,
        };
        assert_language(
            scene,
            &[&[&[Letter::ClientHello]], proofs, &[&[Letter::Finished]]],
        );
    }
}
