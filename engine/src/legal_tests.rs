//! The tables, every cell of them.

use super::*;
use proptest::prelude::*;
use sim::Clock;

use dtls::{Reason as DtlsReason, State as Dtls};
use ice::{GatheringState as Gathering, Reason as IceReason, State as Ice};

pub(crate) const ICE: [Ice; 7] = [
    Ice::New,
    Ice::Checking,
    Ice::Connected,
    Ice::Completed,
    Ice::Disconnected,
    Ice::Failed,
    Ice::Closed,
];

pub(crate) const DTLS: [Dtls; 5] = [
    Dtls::New,
    Dtls::Connecting,
    Dtls::Connected,
    Dtls::Failed,
    Dtls::Closed,
];

pub(crate) const ICE_REASONS: [IceReason; 23] = [
    IceReason::ChecksBegan,
    IceReason::PairSucceeded,
    IceReason::PairNominated,
    IceReason::CandidatesComplete,
    IceReason::PairAdded,
    IceReason::ConsentChecksMissed,
    IceReason::Recovered,
    IceReason::RequestsMissed,
    IceReason::PairsFailed,
    IceReason::ChecksExhausted,
    IceReason::IntegrityViolated,
    IceReason::NoPairs,
    IceReason::AddressesRefused,
    IceReason::ConsentExpired,
    IceReason::ConsentRevoked,
    IceReason::PeerClosed,
    IceReason::DtlsFailed,
    IceReason::RequestsStopped,
    IceReason::CandidateRemoved,
    IceReason::PairVetoed,
    IceReason::Restarted,
    IceReason::RolledBack,
    IceReason::Closed,
];

pub(crate) const DTLS_REASONS: [DtlsReason; 15] = [
    DtlsReason::Started,
    DtlsReason::PeerVerified,
    DtlsReason::ClosedLocally,
    DtlsReason::ClosedByPeer,
    DtlsReason::PeerAlert,
    DtlsReason::HandshakeTimedOut,
    DtlsReason::FingerprintsNeverSet,
    DtlsReason::FingerprintMismatch,
    DtlsReason::NoCertificate,
    DtlsReason::VerificationFailed,
    DtlsReason::InvalidMessage,
    DtlsReason::PeerMisbehaved,
    DtlsReason::PeerIncompatible,
    DtlsReason::RecordNumbersExhausted,
    DtlsReason::CryptoFailed,
];

/// One row of a table for each state: what each change is, in a letter.
fn table<S: Copy>(states: &[S], letter: impl Fn(S, S) -> char) -> Vec<String> {
    let row = |from: &S| states.iter().map(|to| letter(*from, *to)).collect();
    states.iter().map(row).collect()
}

fn letter(edge: Edge) -> char {
    match edge {
        Edge::Legal => 'x',
        Edge::Coalesced => 'c',
        Edge::Same => '=',
        Edge::Illegal => '.',
    }
}

// req: P13 R44 R50 R87
#[test]
fn ice_has_the_table_of_the_module_for_every_reason() {
    for reason in ICE_REASONS {
        let expected = match reason {
            IceReason::Restarted => [
                // new, checking, connected, completed, disconnected, failed, closed
                "=x...xx", // new
                ".=xxxxx", // checking
                ".x=xxcx", // connected
                ".xx=xxx", // completed
                ".xxx=xx", // disconnected
                ".x...=x", // failed
                "......=", // closed
            ],
            IceReason::RolledBack => [
                "=x...xx", ".=xxxxx", ".x=xxcx", ".xx=xxx", ".xxx=xx", ".....=x", "......=",
            ],
            _ => [
                "=x...xx", ".=xxxxx", ".x=xxcx", ".x.=xxx", ".xxx=xx", ".....=x", "......=",
            ],
        };
        let is = table(&ICE, |from, to| letter(ice(from, to, reason)));
        assert_eq!(is, expected, "{reason}");
    }
}

// The agent never reports a change that is refused here, whatever its reason. One that needs the trigger of a restart has it.
// req: P13
#[test]
fn what_an_agent_may_do_is_legal_and_the_other_way_round() {
    for from in ICE {
        for to in ICE {
            let with_its_trigger = ice(from, to, IceReason::Restarted);
            let drawn = matches!(with_its_trigger, Edge::Legal | Edge::Coalesced);
            assert_eq!(drawn, from.may_become(to), "{from} to {to}");
        }
    }
}

// req: P13 P15 R55
#[test]
fn dtls_has_the_table_of_the_module_for_every_reason() {
    for reason in DTLS_REASONS {
        let verified = if reason == DtlsReason::PeerVerified {
            'x'
        } else {
            '.'
        };
        let by_us = if reason == DtlsReason::ClosedLocally {
            'x'
        } else {
            '.'
        };
        let is = table(&DTLS, |from, to| {
            letter(dtls(from, to, reason, Association::Current))
        });
        let expected = [
            // new, connecting, connected, failed, closed
            "=x.xx".to_owned(),
            format!(".={verified}xx"),
            "..=xx".to_owned(),
            format!("...={by_us}"),
            "....=".to_owned(),
        ];
        assert_eq!(is, expected, "{reason}");
        let is = table(&DTLS, |from, to| {
            letter(dtls(from, to, reason, Association::Successor))
        });
        let expected = [
            "=x.xx".to_owned(),
            format!(".={verified}xx"),
            "xx=xx".to_owned(),
            format!("xx.={by_us}"),
            ".x..=".to_owned(),
        ];
        assert_eq!(is, expected, "{reason}, of another association");
    }
}

// req: R76 R77 P13
#[test]
fn gathering_has_the_table_of_the_module() {
    const STATES: [Gathering; 3] = [Gathering::New, Gathering::Gathering, Gathering::Complete];
    let is = |profile, restart| {
        table(&STATES, |from, to| {
            letter(gathering(profile, from, to, restart))
        })
    };
    assert_eq!(is(Profile::W3c, Restart::Settled), ["=xx", ".=x", "..="]);
    assert_eq!(
        is(Profile::Article, Restart::Settled),
        ["=xx", ".=x", ".x="]
    );
    for profile in [Profile::W3c, Profile::Article] {
        assert_eq!(is(profile, Restart::UnderWay), ["=xx", "x=x", "xx="]);
    }
}

fn ice_step(from: Ice, to: Ice, reason: IceReason) -> ice::Transition {
    ice::Transition::new(from, to, reason, Clock::epoch())
}

fn merged_step(from: Ice, to: Ice, reason: IceReason) -> ice::Transition {
    let mut merged = ice_step(from, to, reason);
    merged.coalesced = true;
    merged
}

// req: P13 P14 R50
#[test]
fn a_gap_is_several_steps_in_one_but_never_out_of_failed_or_closed() {
    let is = |held, from, to| {
        letter(ice_with_gaps(
            held,
            &ice_step(from, to, IceReason::PairSucceeded),
        ))
    };
    assert_eq!(is(Ice::New, Ice::Checking, Ice::Connected), 'c');
    assert_eq!(is(Ice::New, Ice::New, Ice::Connected), '.', "no gap");
    assert_eq!(
        is(Ice::New, Ice::Completed, Ice::Connected),
        '.',
        "not a step"
    );
    assert_eq!(is(Ice::Disconnected, Ice::Checking, Ice::Connected), 'x');
    assert_eq!(is(Ice::Connected, Ice::Disconnected, Ice::New), '.');
    assert_eq!(is(Ice::Connected, Ice::Checking, Ice::Connected), '=');
    for to in ICE {
        let expected = match to {
            Ice::Failed => '=',
            Ice::Closed => 'x',
            _ => '.',
        };
        assert_eq!(is(Ice::Failed, Ice::Checking, to), expected, "{to}");
        assert_eq!(
            is(Ice::Closed, Ice::Checking, to),
            letter(ice(Ice::Closed, to, IceReason::Closed))
        );
    }

    let merged = |from, to| {
        letter(ice_with_gaps(
            from,
            &merged_step(from, to, IceReason::PairSucceeded),
        ))
    };
    assert_eq!(merged(Ice::New, Ice::Connected), 'c');
    assert_eq!(
        merged(Ice::Failed, Ice::Connected),
        'c',
        "with a restart in it"
    );
    assert_eq!(merged(Ice::Connected, Ice::New), '.');
    assert_eq!(merged(Ice::Closed, Ice::Connected), '.');
    let elsewhere = merged_step(Ice::Checking, Ice::Connected, IceReason::PairSucceeded);
    assert_eq!(letter(ice_with_gaps(Ice::Failed, &elsewhere)), '.');
}

// req: P15 R52 R55
#[test]
fn a_gap_in_dtls_never_skips_the_fingerprint() {
    let is = |held, from, to, reason| {
        let at = Clock::epoch();
        let reported = dtls::Transition::new(from, to, reason, at);
        letter(dtls_with_gaps(held, &reported, Association::Current))
    };
    let (verified, started) = (DtlsReason::PeerVerified, DtlsReason::Started);
    assert_eq!(
        is(Dtls::New, Dtls::Connecting, Dtls::Connected, verified),
        'c'
    );
    assert_eq!(
        is(Dtls::New, Dtls::Connecting, Dtls::Connected, started),
        '.'
    );
    assert_eq!(is(Dtls::New, Dtls::New, Dtls::Connected, verified), '.');
    assert_eq!(
        is(Dtls::Failed, Dtls::Connecting, Dtls::Connected, verified),
        '.'
    );
    assert_eq!(
        is(Dtls::Closed, Dtls::Connecting, Dtls::Connected, verified),
        '.'
    );
    assert_eq!(is(Dtls::Closed, Dtls::New, Dtls::Connecting, started), '.');
}

proptest! {
    // req: P5 P13
    #[test]
    fn no_gap_leads_where_no_steps_lead(
        held in prop::sample::select(ICE.to_vec()),
        from in prop::sample::select(ICE.to_vec()),
        to in prop::sample::select(ICE.to_vec()),
        reason in prop::sample::select(ICE_REASONS.to_vec()),
        step in prop::sample::select(vec![ice_step as fn(_, _, _) -> _, merged_step]),
    ) {
        let edge = ice_with_gaps(held, &step(from, to, reason));
        match edge {
            Edge::Same => prop_assert_eq!(held, to),
            Edge::Legal => prop_assert!(held.may_become(to)),
            Edge::Coalesced => prop_assert!(held != Ice::Closed && to != Ice::New),
            Edge::Illegal => prop_assert!(held == Ice::Closed || ice(held, to, reason) == Edge::Illegal),
        }
    }
}
