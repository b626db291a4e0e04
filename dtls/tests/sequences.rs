//! Every sequence of handshake messages, up to eight of them, and which reach `Connected`.
//!
//! A peer that has keys and certificates says each word of the alphabet in every order to a client and to a server of
//! either version: whole messages, properly encoded, and properly protected where there are keys. A word that made the
//! victim fail is not continued; ChangeCipherSpec, which means nothing, is no letter. The words that connect are exactly
//! those of the RFCs' diagrams (RFC 5246 §7.3, RFC 6347 §4.2.4, RFC 8446 §2, RFC 9147 §5.6).

mod common;

use std::collections::BTreeSet;

use common::ends::expecting_owner_of;
use common::puppet::stage::Stage;
use common::puppet::{Cast, Letter, Version, Who};
use floe_dtls::{ClientAuth, Config, RemoteIdentity, Side, State};

/// The longest word.
const LONGEST: usize = 8;

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
    fn stage(self, cast: &Cast) -> Stage {
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
        Stage::with(self.version, self.victim, cast, config, remote)
    }

    /// Letters of a word that may be dropped without effect before the word is given up: each of them leads back to where
    /// the word was, so that more of them only repeat what was seen.
    fn most_dropped(self) -> usize {
        usize::from(self.accepts == Accepts::Signalled)
    }

    /// The words that connect, by depth-first search.
    fn language(self, cast: &Cast) -> BTreeSet<Vec<Letter>> {
        let mut language = BTreeSet::new();
        let mut words = vec![Vec::new()];
        while let Some(word) = words.pop() {
            for letter in self.version.letters() {
                let mut word: Vec<Letter> = word.clone();
                word.push(letter);
                let mut stage = self.stage(cast);
                stage.say_all(&word);
                match stage.victim.state() {
                    State::Connected => drop(language.insert(stage.taken)),
                    State::Connecting
                        if word.len() < LONGEST && stage.dropped <= self.most_dropped() =>
                    {
                        words.push(word);
                    }
                    State::Connecting => {}
                    state => assert_eq!(state, State::Failed, "{word:?}"),
                }
                if stage.victim.state() != State::Connected {
                    assert!(stage.victim.srtp_keys().is_none());
                    assert!(stage.victim.peer_certificate().is_none());
                }
            }
        }
        language
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

// req: T61
#[test]
fn a_client_of_dtls_1_3_connects_by_the_words_of_its_diagram_only() {
    for (accepts, certificates) in [
        (Accepts::Signalled, &[&[CERTIFICATE][..]][..]),
        (Accepts::Any, &[&[CERTIFICATE], &[OF_A_STRANGER]]),
    ] {
        let scene = Scene {
            version: Version::V13,
            victim: Side::Client,
            accepts,
        };
        assert_language(
            scene,
            &[
                &[&[], &[Letter::HelloRetryRequest]],
                &[&[Letter::ServerHello, Letter::EncryptedExtensions]],
                &[&[], &[Letter::CertificateRequest]],
                certificates,
                &[&[Letter::CertificateVerify, Letter::Finished]],
            ],
        );
    }
}

// req: T61
#[test]
fn a_server_of_dtls_1_3_connects_by_the_words_of_its_diagram_only() {
    let proof = |certificate| [certificate, Letter::CertificateVerify];
    for (accepts, proofs) in [
        (Accepts::Signalled, &[&proof(CERTIFICATE)[..]][..]),
        (Accepts::Any, &[&proof(CERTIFICATE), &proof(OF_A_STRANGER)]),
        (
            Accepts::AnyOrNone,
            &[&proof(CERTIFICATE), &proof(OF_A_STRANGER), &[EMPTY]],
        ),
        (Accepts::Unasked, &[&[]]),
    ] {
        let scene = Scene {
            version: Version::V13,
            victim: Side::Server,
            accepts,
        };
        let hellos: &[&[Letter]] = &[
            &[Letter::ClientHello],
            &[Letter::ClientHelloWithoutShare, Letter::ClientHello],
        ];
        assert_language(scene, &[hellos, proofs, &[&[Letter::Finished]]]);
    }
}
