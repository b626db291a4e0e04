//! A log is enough: the same inputs at the same times give the same states and the same records.

use crate::{
    call::{Call, Given, story},
    support::{Peer, any_script, native},
};
use floe::{
    journal::{Config, CorrelationId, Detail, Incomplete, Journal, Log, LogError, Record},
    recovery::{self, Input, Recovery},
};
use proptest::prelude::*;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const ID: CorrelationId = CorrelationId::new(0xf10e);

/// A recovery that keeps a journal of itself.
struct Kept {
    recovery: Recovery,
    journal: Journal<Input>,
}

impl Kept {
    fn new(start: Instant, config: recovery::Config, capacity: usize) -> Self {
        let mut journal = Config::default();
        journal.detail = Detail::Debug;
        journal.capacity = capacity;
        Self {
            recovery: Recovery::new(start, Arc::new(config)).expect("it is fine"),
            journal: Journal::new(start, ID, Arc::new(journal)).expect("it is fine"),
        }
    }

    fn handle(&mut self, now: Instant, input: Input) {
        self.journal.input(now, input);
        self.recovery.handle(now, input);
        while let Some(event) = self.recovery.poll_event() {
            self.journal.record(event.at(), event);
        }
        self.journal.handle_timeout(now);
    }

    fn play(&mut self, start: Instant, script: &[(Duration, Input)]) {
        let mut now = start;
        for (gap, input) in script {
            now += *gap;
            self.handle(now, *input);
        }
    }
}

fn written<I: serde::Serialize>(journal: &Journal<I>) -> Vec<u8> {
    let mut lines = Vec::new();
    journal.write_lines(&mut lines).expect("a vector takes all");
    lines
}

proptest! {
    // req: R163 R162 P24
    #[test]
    fn a_log_that_is_written_read_and_replayed_gives_the_same_states_and_records(
        script in any_script(),
        close in any::<bool>(),
    ) {
        let start = sim::Clock::new().now();
        let mut lived = Kept::new(start, recovery::Config::default(), 10_000);
        lived.play(start, &script);
        if close {
            lived.handle(start, Input::Close);
            lived.handle(start, Input::Reopen);
            lived.play(start, &script);
        }
        let lines = written(&lived.journal);
        let log: Log<Input> = Log::read_lines(&lines[..]).expect("it was written so");
        prop_assert_eq!(&log, &lived.journal.log());
        // Elsewhere, at another time.
        let elsewhere = start + Duration::from_secs(1_000_000);
        let mut again = Kept::new(elsewhere, recovery::Config::default(), 10_000);
        log.replay(elsewhere, |now, input| again.handle(now, *input)).expect("it is whole");
        let replayed = again.journal.log();
        prop_assert_eq!(log.divergence(&replayed), None);
        prop_assert_eq!(written(&again.journal), lines);
        prop_assert_eq!(again.recovery.state(), lived.recovery.state());
        prop_assert_eq!(again.recovery.native(), lived.recovery.native());
    }
}

/// Several machines at once, from a log that stands in the repository: made by this test, read by the example.
// req: R163
#[test]
fn the_committed_log_is_the_storys_and_replays_to_itself() {
    const LOG: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/floe_replay/call.jsonl"
    );
    let told = story(ID);
    let lines = written(&told.journal);
    if std::env::var_os("FLOE_WRITE_LOG").is_some() {
        std::fs::write(LOG, &lines).expect("the log can be written");
    }
    let committed = std::fs::read(LOG).expect("the log is there");
    assert!(
        committed == lines,
        "the story has changed: run this test with FLOE_WRITE_LOG=1"
    );
    let log: Log<Given> = Log::read_lines(&committed[..]).expect("it was written so");
    let mut again = Call::new(ID, recovery::Config::default());
    let start = again.start;
    log.replay(start, |now, given| again.handle(now, given))
        .expect("it is whole");
    assert_eq!(log.divergence(&again.journal.log()), None);
    assert_eq!(again.actions, told.actions);
    assert_eq!(again.peer.connection_state(), told.peer.connection_state());
    assert_eq!(again.signaling.state(), told.signaling.state());
}

#[test]
fn another_machine_diverges_and_the_log_says_where() {
    let start = sim::Clock::new().now();
    let mut lived = Kept::new(start, recovery::Config::default(), 100);
    lived.handle(start, Input::OfferSent);
    lived.handle(start, native(Peer::Connected));
    lived.handle(start, native(Peer::Disconnected));
    lived.handle(start + Duration::from_millis(2500), Input::Timeout);
    let log = lived.journal.log();
    let mut slower = recovery::Config::default();
    slower.grace = Duration::from_secs(3);
    let mut again = Kept::new(start, slower, 100);
    log.replay(start, |now, input| again.handle(now, *input))
        .expect("it is whole");
    let replayed = again.journal.log();
    let divergence = log.divergence(&replayed).expect("it waited longer");
    assert_eq!(divergence.replayed, None);
    assert_eq!(
        divergence.to_string(),
        "recorded #6: 2.500 recovery: connected → disconnected, TRANSPORT_FLAP, the path was lost for longer than a blip lasts; replayed: the end"
    );
    assert_eq!(log.divergence(&log), None);
}

#[test]
fn a_log_with_a_gap_is_not_replayed() {
    let start = sim::Clock::new().now();
    let mut lived = Kept::new(start, recovery::Config::default(), 3);
    for _ in 0..5 {
        lived.handle(start, Input::Timeout);
    }
    let log = lived.journal.log();
    let replayed = log.replay(start, |_, _| panic!("nothing is given"));
    assert_eq!(replayed, Err(Incomplete { missing: 2 }));
}

#[test]
fn what_is_no_log_is_refused_with_its_line() {
    let start = sim::Clock::new().now();
    let mut lived = Kept::new(start, recovery::Config::default(), 100);
    lived.handle(start, Input::OfferSent);
    lived.handle(start + Duration::from_secs(1), Input::Close);
    lived.handle(start + Duration::from_secs(2), Input::Reopen);
    lived.handle(start + Duration::from_secs(2), Input::OfferSent);
    let text = String::from_utf8(written(&lived.journal)).expect("JSON is text");
    let lines: Vec<&str> = text.lines().collect();
    let read = |lines: &[&str]| Log::<Input>::read_lines(lines.join("\n").as_bytes());
    let all = read(&lines).expect("it is one");
    assert_eq!(all.entries().len(), 7);
    assert_eq!(all.entries()[6].session.life(), 1);
    // Empty lines are nothing.
    assert!(read(&["", lines[0], " ", lines[1]]).is_ok());
    assert!(read(&[]).is_ok_and(|log| log.missing() == 0));
    assert!(matches!(
        read(&[lines[0], "{}"]),
        Err(LogError::Line { line: 2, .. })
    ));
    assert!(matches!(
        read(&["no JSON"]),
        Err(LogError::Line { line: 1, .. })
    ));
    let unknown = lines[1].replace("transition", "transmogrification");
    assert!(matches!(
        read(&[&unknown]),
        Err(LogError::Line { line: 1, .. })
    ));
    let other = lines[1].replace("f10e", "beef");
    let other = read(&[lines[0], &other]);
    assert!(matches!(other, Err(LogError::OtherSession { line: 2 })));
    for wrong in [
        [lines[1], lines[0]],
        [lines[0], lines[0]],
        [
            lines[0],
            &lines[1].replace(r#""number":1"#, r#""number":0"#),
        ],
    ] {
        let refused = read(&wrong);
        assert!(
            matches!(refused, Err(LogError::OutOfOrder { line: 2 })),
            "{refused:?}"
        );
    }
    let earlier = lines[4].replace(r#""at_ns":2000000000"#, r#""at_ns":1"#);
    let refused = read(&[lines[0], lines[3], &earlier]);
    assert!(
        matches!(refused, Err(LogError::OutOfOrder { line: 3 })),
        "{refused:?}"
    );
    // An earlier life of the session.
    let earlier = lines[0].replace(
        r#""number":0,"at_ns":0"#,
        r#""number":9,"at_ns":2000000000"#,
    );
    let refused = read(&[lines[6], &earlier]);
    assert!(
        matches!(refused, Err(LogError::OutOfOrder { line: 2 })),
        "{refused:?}"
    );
}

/// The journal knows nothing of its inputs but how to keep them.
#[test]
fn any_input_can_be_kept() {
    let start = sim::Clock::new().now();
    let mut config = Config::default();
    config.detail = Detail::Debug;
    let mut journal = Journal::new(start, ID, Arc::new(config)).expect("it is fine");
    journal.input(start, vec![("anything", 1), ("at all", 2)]);
    let lines = written(&journal);
    let log: Log<Vec<(String, u8)>> = Log::read_lines(&lines[..]).expect("it was written so");
    let input = vec![("anything".into(), 1), ("at all".into(), 2)];
    assert_eq!(log.entries()[0].record, Record::Input { input });
    // Who does not know what it is reads it all the same.
    let log: Log<serde_json::Value> = Log::read_lines(&lines[..]).expect("it was written so");
    assert_eq!(log.entries().len(), 1);
}
