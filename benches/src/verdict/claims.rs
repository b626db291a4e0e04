//! What of floe's is held against what of the peers', and what bounds it.

use super::{Claim, Given, Measured, Part};
use crate::connect::{LAYOUTS, Layout};

/// All claims, in the order in which they are shown.
pub(super) fn all() -> Vec<Claim> {
    let connecting = LAYOUTS.iter().filter_map(dead).flat_map(connecting);
    let of_ice = agents().into_iter().chain(at_scale()).chain(endpoint());
    of_ice
        .chain(connecting)
        .chain(construction())
        .chain(dtls())
        .collect()
}

const AGENTS: &[&str] = &["is 0.12", "rice-proto", "rtc-ice"];
/// `rice-proto` sends no consent checks.
const ASKING: &[&str] = &["is 0.12", "rtc-ice"];
const DTLS: &[&str] = &["dimpl", "rtc-dtls", "OpenSSL"];

pub(super) const ANSWER: (&str, &str) = ("consent", "request in → response out");
pub(super) const SECOND: (&str, &str) = ("scale", "ns per agent·second");
pub(super) const RESIDENT: (&str, &str) = ("scale", "resident bytes per agent");
const COLD: (&str, &str) = ("scale", "cold request → response, ns");
pub(super) const CHECK: (&str, &str) = ("consent", "own check from the timer");
pub(super) const RESPONSE: (&str, &str) = ("consent", "its response handled");

const OF_ANSWER: &[Part] = &[Measured(1.0, ANSWER.0, "crypto floor", ANSWER.1)];
const OF_CHECK: &[Part] = &[Measured(1.0, CHECK.0, "crypto floor", CHECK.1)];
const OF_RESPONSE: &[Part] = &[Measured(1.0, RESPONSE.0, "crypto floor", RESPONSE.1)];
/// A check each way every five seconds, in the agents' own loop or in the endpoint's.
const OF_SECOND: &[Part] = &[
    Measured(0.2, ANSWER.0, "crypto floor", ANSWER.1),
    Measured(0.2, CHECK.0, "crypto floor", CHECK.1),
    Measured(0.2, RESPONSE.0, "crypto floor", RESPONSE.1),
];
/// Made, answered and handled.
const OF_BOTH_WAYS: &[Part] = &[
    Measured(1.0, ANSWER.0, "crypto floor", ANSWER.1),
    Measured(1.0, CHECK.0, "crypto floor", CHECK.1),
    Measured(1.0, RESPONSE.0, "crypto floor", RESPONSE.1),
];
/// A check every five seconds, on average, is what keeps consent (RFC 7675 §5.1).
const RATE: &[Part] = &[Given(0.2)];

/// What a floor takes of the same.
fn floor((table, column): (&'static str, &'static str), row: &'static str) -> Part {
    Measured(1.0, table, row, column)
}

/// Whose peers do the same.
fn same(
    what: impl Into<String>,
    (table, column): (&'static str, &'static str),
    row: &'static str,
    peers: &'static [&'static str],
) -> Claim {
    beside(what, (table, column), row, (table, column), peers)
}

/// Whose peers have nothing that does as much.
fn beside(
    what: impl Into<String>,
    (table, column): (&'static str, &'static str),
    row: &'static str,
    theirs: (&'static str, &'static str),
    peers: &'static [&'static str],
) -> Claim {
    Claim {
        what: what.into(),
        table,
        column,
        row,
        part: None,
        theirs,
        peers,
        floor: Vec::new(),
    }
}
const HANDSHAKE: (&str, &str) = ("handshakes", "CPU, µs (× its floor)");
const SEALED: (&str, &str) = ("records", "seal 1200 bytes");
const OPENED: (&str, &str) = ("records", "open 1200 bytes");

fn agents() -> Vec<Claim> {
    let mut claims = vec![
        same(
            "STUN: a request answered",
            ("stun", "request → response"),
            "floe",
            &["stun-types", "is 0.12", "rtc-stun"],
        )
        .over(&[Measured(1.0, "stun", "crypto floor", "request → response")]),
        same("agent: request in → response out", ANSWER, "floe", AGENTS).over(OF_ANSWER),
        same("agent: own check from the timer", CHECK, "floe", AGENTS).over(OF_CHECK),
        same("agent: its response handled", RESPONSE, "floe", AGENTS).over(OF_RESPONSE),
    ];
    for column in [ANSWER, CHECK, RESPONSE] {
        let what = format!("agent: {}, allocations", column.1);
        claims.push(same(what, column, "floe", AGENTS).part("allocations"));
    }
    claims
}

fn at_scale() -> Vec<Claim> {
    vec![
        same(
            "agents: consent, a second",
            SECOND,
            "floe, # agents",
            ASKING,
        )
        .over(OF_SECOND),
        same(
            "a million agents: consent, a second",
            SECOND,
            "floe, 1000000 agents",
            ASKING,
        )
        .over(OF_SECOND),
        same(
            "agents: wake-ups of one, a second",
            ("scale", "wake-ups /s"),
            "floe, # agents",
            ASKING,
        )
        .over(RATE),
        same(
            "agents: checks of one, a second",
            ("scale", "checks /s"),
            "floe, # agents",
            ASKING,
        )
        .over(RATE),
        same(
            "agents: a check both ways",
            ("scale", "ns per check, both ways"),
            "floe, # agents",
            ASKING,
        )
        .over(OF_BOTH_WAYS),
        same("agents: memory of one", RESIDENT, "floe, # agents", AGENTS),
        same(
            "agents: a request answered, cold",
            COLD,
            "floe, # agents",
            AGENTS,
        )
        .over(OF_ANSWER),
    ]
}

fn endpoint() -> Vec<Claim> {
    vec![
        beside(
            "endpoint, beside agents alone: consent, a second",
            ("endpoint-scale", "ns per session·second"),
            "# sessions, ICE alone",
            SECOND,
            ASKING,
        )
        .over(OF_SECOND),
        beside(
            "endpoint with a million sessions, beside agents alone: consent, a second",
            ("endpoint-scale", "ns per session·second"),
            "1000000 sessions, ICE alone",
            SECOND,
            ASKING,
        )
        .over(OF_SECOND),
        beside(
            "endpoint, beside agents alone: memory of a session",
            ("endpoint-scale", "resident bytes per transport"),
            "# sessions, ICE alone",
            RESIDENT,
            AGENTS,
        ),
        beside(
            "endpoint, beside agents alone: a check answered, warm",
            ("endpoint", "warm"),
            "1000 sessions, ICE alone",
            ANSWER,
            AGENTS,
        )
        .over(OF_ANSWER),
        beside(
            "endpoint, beside agents alone: a check answered, cold",
            ("endpoint", "cold"),
            "# sessions, ICE alone",
            COLD,
            AGENTS,
        )
        .over(OF_ANSWER),
    ]
}

/// A layout, and how many candidates that lead nowhere come before the one that works, where that is all that is in the way.
fn dead(layout: &'static Layout) -> Option<(&'static str, u16)> {
    let dead = layout.candidates - layout.sockets;
    (!layout.only_the_last || dead > 0).then_some((layout.name, dead))
}

/// Both ends ask about each candidate in the order of their priorities, one every 50 ms (RFC 8445 §6.1.4.2, §14.2). A check is
/// answered after 100 ms; the one that it triggers is, too; then comes the one that nominates (§7.3.1.4, §8.1.1).
fn connecting((layout, dead): (&'static str, u16)) -> [Claim; 4] {
    let dead = f64::from(dead);
    let moments = [
        ("usable", 100.0),
        ("controlled selected", 150.0),
        ("controlling done", 200.0),
    ];
    let of = |part, floor| {
        let claim = same(
            format!("connect, {layout}: {part}"),
            ("connect", layout),
            "floe",
            AGENTS,
        );
        claim.part(part).over(&[Given(floor)])
    };
    let [usable, controlled, controlling] =
        moments.map(|(part, after)| of(part, 50.0 * dead + after));
    let datagrams = of("datagrams", 2.0 * dead + 6.0);
    [usable, controlled, controlling, datagrams]
}

fn construction() -> Vec<Claim> {
    vec![same(
        "16 × 16 candidates paired",
        ("construction", "µs"),
        "floe",
        AGENTS,
    )]
}

fn dtls() -> Vec<Claim> {
    vec![
        same(
            "DTLS 1.2: a handshake, both sides, X25519",
            HANDSHAKE,
            "floe, DTLS 1.2, aws-lc-rs, x25519",
            &["dimpl 0.9, DTLS 1.2, aws-lc-rs, x25519"],
        )
        .over(&[floor(HANDSHAKE, "floor, aws-lc-rs, x25519")]),
        same(
            "DTLS 1.3: a handshake, both sides, X25519",
            HANDSHAKE,
            "floe, DTLS 1.3, aws-lc-rs, x25519",
            &["dimpl 0.9, DTLS 1.3, aws-lc-rs, x25519"],
        )
        .over(&[floor(HANDSHAKE, "floor, aws-lc-rs, x25519")]),
        same(
            "DTLS 1.2: 1200 bytes sealed",
            SEALED,
            "floe, DTLS 1.2, ring, x25519",
            DTLS,
        )
        .over(&[floor(SEALED, "floor, DTLS 1.2, ring")]),
        same(
            "DTLS 1.2: 1200 bytes opened",
            OPENED,
            "floe, DTLS 1.2, ring, x25519",
            DTLS,
        )
        .over(&[floor(OPENED, "floor, DTLS 1.2, ring")]),
        same(
            "DTLS 1.3: 1200 bytes opened",
            OPENED,
            "floe, DTLS 1.3, ring, x25519",
            &["dimpl 0.9, DTLS 1.3"],
        )
        .over(&[floor(OPENED, "floor, DTLS 1.3, ring")]),
        same(
            "DTLS 1.2: memory of an established side",
            ("memory", "resident"),
            "floe, DTLS 1.2, ring, x25519",
            DTLS,
        ),
        same(
            "DTLS 1.3: memory of an established side",
            ("memory", "resident"),
            "floe, DTLS 1.3, ring, x25519",
            &["dimpl 0.9, DTLS 1.3"],
        ),
        same(
            "DTLS: connected where 30 % get lost, median",
            ("loss", "30 %"),
            "floe, DTLS 1.3, ring, x25519",
            DTLS,
        ),
    ]
}
