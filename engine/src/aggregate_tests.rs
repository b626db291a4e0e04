//! The derivations against tables written out by hand, over every set of states there is.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ICE: [(char, ice::State); 7] = [
    ('n', ice::State::New),
    ('k', ice::State::Checking),
    ('c', ice::State::Connected),
    ('C', ice::State::Completed),
    ('d', ice::State::Disconnected),
    ('f', ice::State::Failed),
    ('x', ice::State::Closed),
];

const DTLS: [(char, dtls::State); 5] = [
    ('n', dtls::State::New),
    ('k', dtls::State::Connecting),
    ('c', dtls::State::Connected),
    ('f', dtls::State::Failed),
    ('x', dtls::State::Closed),
];

/// Every subset of `all`, as letters and as states.
fn subsets<S: Copy>(all: &[(char, S)]) -> Vec<(String, Vec<S>)> {
    (0..1_u32 << all.len())
        .map(|bits| {
            let chosen = all
                .iter()
                .enumerate()
                .filter(move |(index, _)| bits >> index & 1 == 1);
            chosen.map(|(_, (letter, state))| (*letter, *state)).unzip()
        })
        .collect()
}

/// What the sets of four well states mean, written out. `x`, `d` and `f` are dealt with by the caller.
const WELL: [(&str, &str); 16] = [
    ("", "new"),
    ("n", "new"),
    ("k", "checking"),
    ("nk", "checking"),
    ("c", "connected"),
    ("nc", "checking"),
    ("kc", "checking"),
    ("nkc", "checking"),
    ("C", "completed"),
    ("nC", "checking"),
    ("kC", "checking"),
    ("nkC", "checking"),
    ("cC", "connected"),
    ("ncC", "checking"),
    ("kcC", "checking"),
    ("nkcC", "checking"),
];

fn expected_ice(letters: &str) -> &'static str {
    let well: String = letters
        .chars()
        .filter(|letter| !"dfx".contains(*letter))
        .collect();
    let row = WELL.iter().find(|(set, _)| *set == well);
    match () {
        () if letters.contains('f') => "failed",
        () if letters.contains('d') => "disconnected",
        () => row.expect("the table has every set").1,
    }
}

/// connectionState by iceConnectionState (rows) and the kind of DTLS set (columns).
const CONNECTION: [(&str, [&str; 5]); 6] = [
    // DTLS:          any failed   all closed      some new        some connected  any other mixture
    //                                             (rest closed)   (rest closed)
    ("failed", ["failed", "failed", "failed", "failed", "failed"]),
    (
        "disconnected",
        [
            "failed",
            "disconnected",
            "disconnected",
            "disconnected",
            "disconnected",
        ],
    ),
    ("new", ["failed", "new", "new", "connecting", "connecting"]),
    (
        "checking",
        [
            "failed",
            "connecting",
            "connecting",
            "connecting",
            "connecting",
        ],
    ),
    (
        "connected",
        [
            "failed",
            "connected",
            "connecting",
            "connected",
            "connecting",
        ],
    ),
    (
        "completed",
        [
            "failed",
            "connected",
            "connecting",
            "connected",
            "connecting",
        ],
    ),
];

fn expected_connection(ice: &str, dtls: &str) -> &'static str {
    let column = match dtls {
        _ if dtls.contains('f') => 0,
        "" | "x" => 1,
        "n" | "nx" => 2,
        "c" | "cx" => 3,
        _ => 4,
    };
    CONNECTION
        .iter()
        .find(|(row, _)| *row == ice)
        .expect("the table has every row")
        .1[column]
}

fn count<K: Ord>(items: impl IntoIterator<Item = K>) -> BTreeMap<K, u32> {
    let mut counts = BTreeMap::new();
    items
        .into_iter()
        .for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

fn counts<const N: usize>(expected: [(&str, u32); N]) -> BTreeMap<String, u32> {
    expected
        .into_iter()
        .map(|(state, count)| (state.to_owned(), count))
        .collect()
}

/// Every combination of a set of ICE states and a set of DTLS states that transports can be in: both empty or neither.
fn every_pair_of_sets()
-> impl Iterator<Item = ((String, Vec<ice::State>), (String, Vec<dtls::State>))> {
    let pairs = subsets(&ICE).into_iter().flat_map(|ice| {
        subsets(&DTLS)
            .into_iter()
            .map(move |dtls| (ice.clone(), dtls))
    });
    pairs.filter(|((ice, _), (dtls, _))| ice.is_empty() == dtls.is_empty())
}

fn derive(ice: &[ice::State], dtls: &[dtls::State]) -> PeerConnectionState {
    connection_state(
        ice_connection_state(Life::Open, ice.iter().copied()),
        dtls.iter().copied(),
    )
}

// req: P1 P5 R56 R57 R58 R59 R60 R61 R62 R63
#[test]
fn ice_connection_state_is_right_for_every_set_of_states() {
    let derived = subsets(&ICE).into_iter().map(|(letters, states)| {
        let open = ice_connection_state(Life::Open, states.iter().copied());
        assert_eq!(open.to_string(), expected_ice(&letters), "{letters:?}");
        assert_eq!(
            ice_connection_state(Life::Closed, states),
            IceConnectionState::Closed,
            "{letters:?}"
        );
        open.to_string()
    });
    let expected = [
        ("failed", 64),
        ("disconnected", 32),
        ("checking", 22),
        ("new", 4),
        ("connected", 4),
        ("completed", 2),
    ];
    assert_eq!(count(derived), counts(expected));
}

// req: P2 P5 R56 R68 R69 R70 R71 R72 R73
#[test]
fn connection_state_is_right_for_every_pair_of_sets() {
    let mut all = Vec::new();
    for ((ice_letters, ice), (dtls_letters, dtls)) in every_pair_of_sets() {
        let state = derive(&ice, &dtls).to_string();
        let expected = expected_connection(expected_ice(&ice_letters), &dtls_letters);
        assert_eq!(state, expected, "{ice_letters:?} {dtls_letters:?}");
        let closed = ice_connection_state(Life::Closed, ice);
        assert_eq!(connection_state(closed, dtls), PeerConnectionState::Closed);
        all.push(state);
    }
    assert_eq!(all.len(), 3938);
    let expected = [
        ("failed", 2992),
        ("disconnected", 480),
        ("connecting", 438),
        ("connected", 18),
        ("new", 10),
    ];
    assert_eq!(count(all), counts(expected));
}

// Six sets tell the letter of the specification from its intent: ICE all completed (and perhaps closed), DTLS well.
// req: R72
#[test]
fn completed_ice_with_connected_dtls_is_connected() {
    let completed = [
        vec![ice::State::Completed],
        vec![ice::State::Completed, ice::State::Closed],
    ];
    for ice in &completed {
        assert_eq!(
            ice_connection_state(Life::Open, ice.iter().copied()),
            IceConnectionState::Completed
        );
        for (letters, dtls) in subsets(&DTLS)
            .iter()
            .filter(|(letters, _)| ["c", "x", "cx"].contains(&letters.as_str()))
        {
            assert_eq!(
                derive(ice, dtls),
                PeerConnectionState::Connected,
                "{letters}"
            );
        }
    }
}

// req: P3 P5 R56
#[test]
fn gathering_state_is_right_for_every_set_of_states() {
    use ice::GatheringState::{Complete, Gathering, New};
    let table = [
        ("", "new"),
        ("n", "new"),
        ("g", "gathering"),
        ("ng", "gathering"),
        ("c", "complete"),
        ("nc", "new"),
        ("gc", "gathering"),
        ("ngc", "gathering"),
    ];
    let sets = subsets(&[('n', New), ('g', Gathering), ('c', Complete)]);
    let derived: Vec<_> = sets
        .into_iter()
        .map(|(letters, states)| (letters, ice_gathering_state(states).to_string()))
        .collect();
    let expected: Vec<_> = table
        .iter()
        .map(|(set, state)| ((*set).to_owned(), (*state).to_owned()))
        .collect();
    assert_eq!(derived, expected);
}

// req: P6
#[test]
fn a_closed_transport_changes_nothing() {
    for ((_, ice), (_, dtls)) in every_pair_of_sets() {
        let more_ice: Vec<_> = ice.iter().copied().chain([ice::State::Closed]).collect();
        let more_dtls: Vec<_> = dtls.iter().copied().chain([dtls::State::Closed]).collect();
        let derive_ice = |ice: &[ice::State]| ice_connection_state(Life::Open, ice.iter().copied());
        assert_eq!(derive_ice(&ice), derive_ice(&more_ice));
        assert_eq!(derive(&ice, &dtls), derive(&more_ice, &more_dtls));
    }
}

// req: P7 R64 R65
#[test]
fn failed_outweighs_everything_and_disconnected_everything_else() {
    for ((ice_letters, ice), (dtls_letters, dtls)) in every_pair_of_sets() {
        let with = |state| ice.iter().copied().chain([state]).collect::<Vec<_>>();
        assert_eq!(
            derive(&with(ice::State::Failed), &dtls),
            PeerConnectionState::Failed
        );
        let dtls_failed: Vec<_> = dtls.iter().copied().chain([dtls::State::Failed]).collect();
        assert_eq!(derive(&ice, &dtls_failed), PeerConnectionState::Failed);
        if !ice_letters.contains('f') && !dtls_letters.contains('f') {
            assert_eq!(
                derive(&with(ice::State::Disconnected), &dtls),
                PeerConnectionState::Disconnected
            );
        }
    }
    for healthy in 1..64 {
        let crowd = |bad| {
            [bad]
                .into_iter()
                .chain(std::iter::repeat_n(ice::State::Connected, healthy))
        };
        assert_eq!(
            ice_connection_state(Life::Open, crowd(ice::State::Failed)),
            IceConnectionState::Failed
        );
        assert_eq!(
            ice_connection_state(Life::Open, crowd(ice::State::Disconnected)),
            IceConnectionState::Disconnected
        );
    }
}

// req: P8 P9 R74 R75
#[test]
fn connected_and_connecting_say_what_they_promise() {
    for ((ice, ice_states), (dtls, dtls_states)) in every_pair_of_sets() {
        match derive(&ice_states, &dtls_states) {
            PeerConnectionState::Connected => {
                assert!(
                    ice.chars().all(|letter| "cCx".contains(letter)) && ice != "x",
                    "{ice}"
                );
                assert!(dtls.chars().all(|letter| "cx".contains(letter)), "{dtls}");
            }
            PeerConnectionState::Connecting => {
                let under_way = ice.contains(['n', 'k']) || dtls.contains(['n', 'k']);
                // Out of reach while the two machines of a transport close together.
                let half_closed = ice == "x" && ["c", "cx"].contains(&dtls.as_str());
                assert!(under_way || half_closed, "{ice} {dtls}");
            }
            _ => {}
        }
        if ice_connection_state(Life::Open, ice_states.iter().copied())
            == IceConnectionState::Connected
            && dtls.contains(['n', 'k'])
            && !dtls.contains('f')
        {
            assert_eq!(
                derive(&ice_states, &dtls_states),
                PeerConnectionState::Connecting
            );
        }
    }
}

type Transports = Vec<(ice::State, dtls::State, ice::GatheringState)>;

fn transports() -> impl Strategy<Value = Transports> {
    use ice::GatheringState::{Complete, Gathering, New};
    let ice = prop::sample::select(ICE.map(|(_, state)| state).to_vec());
    let dtls = prop::sample::select(DTLS.map(|(_, state)| state).to_vec());
    let gathering = prop::sample::select(vec![New, Gathering, Complete]);
    prop::collection::vec((ice, dtls, gathering), 0..12)
}

fn derive_all(
    transports: &Transports,
) -> (IceConnectionState, PeerConnectionState, IceGatheringState) {
    let ice = ice_connection_state(Life::Open, transports.iter().map(|(ice, _, _)| *ice));
    let connection = connection_state(ice, transports.iter().map(|(_, dtls, _)| *dtls));
    (
        ice,
        connection,
        ice_gathering_state(transports.iter().map(|(_, _, gathering)| *gathering)),
    )
}

// The words of webrtc-pc, in logs and in journals.
#[test]
fn every_state_is_written_as_it_is_printed() {
    fn all<S>(states: &[S], words: &[&str])
    where
        S: fmt::Display + serde::Serialize + serde::de::DeserializeOwned + PartialEq + fmt::Debug,
    {
        assert_eq!(states.len(), words.len());
        for (state, word) in states.iter().zip(words) {
            assert_eq!(state.to_string(), *word);
            let written = serde_json::to_string(state).expect("it can be written");
            assert_eq!(written, format!("\"{word}\""));
            let read: S = serde_json::from_str(&written).expect("it was written so");
            assert_eq!(read, *state);
        }
    }
    use IceConnectionState as Ice;
    use PeerConnectionState as Peer;
    let ice = [
        Ice::Closed,
        Ice::Failed,
        Ice::Disconnected,
        Ice::New,
        Ice::Checking,
        Ice::Completed,
        Ice::Connected,
    ];
    let words = [
        "closed",
        "failed",
        "disconnected",
        "new",
        "checking",
        "completed",
        "connected",
    ];
    all(&ice, &words);
    let peer = [
        Peer::Closed,
        Peer::Failed,
        Peer::Disconnected,
        Peer::New,
        Peer::Connecting,
        Peer::Connected,
    ];
    let words = [
        "closed",
        "failed",
        "disconnected",
        "new",
        "connecting",
        "connected",
    ];
    all(&peer, &words);
    let gathering = [
        IceGatheringState::New,
        IceGatheringState::Gathering,
        IceGatheringState::Complete,
    ];
    all(&gathering, &["new", "gathering", "complete"]);
    all(&[Life::Open, Life::Closed], &["open", "closed"]);
}

proptest! {
    // req: P4 P5
    #[test]
    fn order_and_repetition_do_not_matter(
        (original, shuffled) in transports().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        repeated in 0_usize..12,
    ) {
        prop_assert_eq!(derive_all(&original), derive_all(&shuffled));
        let mut more = shuffled;
        more.extend(original.get(repeated).copied());
        prop_assert_eq!(derive_all(&original), derive_all(&more));
    }
}
