//! Every sequence of handshake messages, up to eight of them, and which reach `Connected`.
//!
//! A peer that has keys and certificates says each word of the alphabet in every order to a client and to a server of
//! either version: whole messages, properly encoded, and properly protected where there are keys. A word that made the
//! victim fail is not continued; ChangeCipherSpec, which means nothing, is no letter. The words that connect are exactly
//! those of the RFCs' diagrams (RFC 5246 §7.3, RFC 6347 §4.2.4, RFC 8446 §2, RFC 9147 §5.6).

mod common;

use std::collections::BTreeSet;

use common::ends::expecting_owner_of;
use common::keeping;
use common::puppet::stage::Stage;
use common::puppet::{Cast, Letter, Version, Who};
use floe_dtls::{ClientAuth, RemoteIdentity, Side, State};

/// The longest word.
const LONGEST: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Scene {
    version: Version,
    victim: Side,
    /// Whom the victim accepts.
    accepts: Accepts,
    /// Whether the victim would speak the other version too.
    dual: bool,
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
        let mut config = keeping(cast.victim.clone());
        match self.dual {
            true => Version::allow_all(&mut config),
            false => self.version.limit(&mut config),
        }
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
        usize::from(self.accepts == Accepts::Signalled && !self.dual)
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

/// The words of the diagrams.
fn reference(scene: Scene) -> BTreeSet<Vec<Letter>> {
    let certificates: &[&[Letter]] = match scene.accepts {
        Accepts::Signalled => &[&[CERTIFICATE]],
        _ => &[&[CERTIFICATE], &[OF_A_STRANGER]],
    };
    let proof: &[&[Letter]] = &[&[Letter::CertificateVerify]];
    let finished: &[&[Letter]] = &[&[Letter::Finished]];
    match (scene.version, scene.victim) {
        (Version::V12, Side::Client) => words(&[
            &[&[], &[Letter::HelloVerifyRequest]],
            &[&[Letter::ServerHello]],
            certificates,
            &[&[Letter::ServerKeyExchange]],
            &[&[], &[Letter::CertificateRequest]],
            &[&[Letter::ServerHelloDone]],
            finished,
        ]),
        (Version::V13, Side::Client) => words(&[
            &[&[], &[Letter::HelloRetryRequest]],
            &[&[Letter::ServerHello, Letter::EncryptedExtensions]],
            &[&[], &[Letter::CertificateRequest]],
            certificates,
            proof,
            finished,
        ]),
        (version, Side::Server) => {
            let (hellos, exchange): (&[&[Letter]], &[&[Letter]]) = match version {
                Version::V12 => (&[&[Letter::ClientHello]], &[&[Letter::ClientKeyExchange]]),
                Version::V13 => (
                    &[
                        &[Letter::ClientHello],
                        &[Letter::ClientHelloWithoutShare, Letter::ClientHello],
                    ],
                    &[&[]],
                ),
            };
            let named = words(&[hellos, certificates, exchange, proof, finished]);
            let empty = words(&[hellos, &[&[EMPTY]], exchange, finished]);
            match scene.accepts {
                Accepts::Signalled | Accepts::Any => named,
                Accepts::AnyOrNone => named.union(&empty).cloned().collect(),
                Accepts::Unasked => words(&[hellos, exchange, finished]),
            }
        }
    }
}

fn assert_languages(version: Version, victim: Side, accepts: &[Accepts]) {
    let cast = Cast::new();
    for accepts in accepts {
        // A victim that would speak the other version too is none the laxer in this one.
        for dual in [false, true] {
            let scene = Scene {
                version,
                victim,
                accepts: *accepts,
                dual,
            };
            if !dual || *accepts == Accepts::Signalled {
                assert_eq!(scene.language(&cast), reference(scene), "{scene:?}");
            }
        }
    }
}

const OF_CLIENTS: &[Accepts] = &[Accepts::Signalled, Accepts::Any];
const OF_SERVERS: &[Accepts] = &[
    Accepts::Signalled,
    Accepts::Any,
    Accepts::AnyOrNone,
    Accepts::Unasked,
];

// req: T61
#[test]
fn a_client_of_dtls_1_2_connects_by_the_words_of_its_diagram_only() {
    assert_languages(Version::V12, Side::Client, OF_CLIENTS);
}

// req: T61
#[test]
fn a_server_of_dtls_1_2_connects_by_the_words_of_its_diagram_only() {
    assert_languages(Version::V12, Side::Server, OF_SERVERS);
}

// req: T61
#[test]
fn a_client_of_dtls_1_3_connects_by_the_words_of_its_diagram_only() {
    assert_languages(Version::V13, Side::Client, OF_CLIENTS);
}

// req: T61
#[test]
fn a_server_of_dtls_1_3_connects_by_the_words_of_its_diagram_only() {
    assert_languages(Version::V13, Side::Server, OF_SERVERS);
}
