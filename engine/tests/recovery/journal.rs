//! What the journal keeps, for how long, and when it raises its voice.

use crate::{
    call::story,
    support::{Peer, ms, native},
};
use floe::{
    journal::{
        Alarm, Config, ConfigError, CorrelationId, Detail, InvalidCorrelationId, Journal, Record,
    },
    recovery::{self, Input, Recovery, State, StatsSample},
};
use proptest::prelude::*;
use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const ID: CorrelationId = CorrelationId::new(0x5eed);

/// A recovery and its journal.
struct Kept {
    start: Instant,
    now: Instant,
    recovery: Recovery,
    journal: Journal<Input>,
    alerts: Vec<(Duration, Alarm)>,
}

impl Kept {
    fn new(journal: Config, recovery: recovery::Config) -> Self {
        let start = sim::Clock::new().now();
        Self {
            start,
            now: start,
            recovery: Recovery::new(start, Arc::new(recovery)).expect("it is fine"),
            journal: Journal::new(start, ID, Arc::new(journal)).expect("it is fine"),
            alerts: Vec::new(),
        }
    }

    fn debugging() -> Self {
        let mut config = Config::default();
        config.detail = Detail::Debug;
        Self::new(config, recovery::Config::default())
    }

    fn to(&mut self, elapsed: Duration) -> &mut Self {
        let until = self.start + elapsed;
        loop {
            let due = [self.recovery.poll_timeout(), self.journal.poll_timeout()];
            let due = due.into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= until) else {
                break;
            };
            self.now = due;
            self.recovery.handle_timeout(due);
            self.drain();
            let next = self.journal.poll_timeout();
            assert!(next.is_none_or(|next| next > due), "the timer law");
        }
        self.now = until;
        self
    }

    fn feed(&mut self, input: Input) -> &mut Self {
        self.journal.input(self.now, input);
        self.recovery.handle(self.now, input);
        self.drain();
        self
    }

    fn drain(&mut self) {
        while let Some(event) = self.recovery.poll_event() {
            self.journal.record(event.at(), event);
        }
        self.journal.handle_timeout(self.now);
        let elapsed = self.now - self.start;
        let alerts = std::iter::from_fn(|| self.journal.poll_alert());
        self.alerts.extend(alerts.map(|alarm| (elapsed, alarm)));
    }

    fn told(&self) -> Vec<String> {
        self.journal.entries().map(|e| e.to_string()).collect()
    }
}

fn lines<I: serde::Serialize>(journal: &Journal<I>) -> Vec<String> {
    let mut written = Vec::new();
    journal
        .write_lines(&mut written)
        .expect("a vector takes all");
    let written = String::from_utf8(written).expect("JSON is text");
    written.lines().map(String::from).collect()
}

// req: R158
#[test]
fn a_change_is_one_line_with_whose_when_what_and_why() {
    let mut kept = Kept::new(Config::default(), recovery::Config::default());
    kept.to(ms(1500)).feed(Input::OfferReceived);
    assert_eq!(
        lines(&kept.journal),
        [
            r#"{"session":"00000000000000000000000000005eed","number":0,"at_ns":1500000000,"kind":"transition","machine":"recovery","from":"new","to":"connecting","action":"OFFER_RECEIVED","cause":"offer-received"}"#
        ]
    );
    assert_eq!(
        kept.told(),
        ["1.500 recovery: new → connecting, OFFER_RECEIVED, an offer was received"]
    );
}

/// Every machine's changes are there, in one shape, each beginning where the last one of its machine ended.
// req: R158
#[test]
fn the_changes_of_all_machines_are_chains() {
    let call = story(ID);
    let mut ends = std::collections::HashMap::new();
    let mut changes = std::collections::BTreeMap::new();
    for entry in call.journal.entries() {
        let Record::Transition(change) = &entry.record else {
            continue;
        };
        let parts = change.parts();
        *changes.entry(parts.machine.to_string()).or_insert(0) += 1;
        let to = parts.to.to_string();
        let before = ends.insert(parts.machine, to);
        if let (Some(before), Some(from)) = (before, parts.from) {
            assert_eq!(from.to_string(), before, "{entry}");
        }
        assert_eq!(entry.session, ID);
    }
    let changes: Vec<_> = changes.iter().map(|(m, n)| format!("{m} {n}")).collect();
    assert_eq!(
        changes,
        [
            "DTLS 0.1 2",
            "ICE 0.1 10",
            "ICE connection 10",
            "ICE gathering 2",
            "connection 10",
            "gatherer 0.1 2",
            "recovery 11",
            "signaling 6",
        ]
    );
}

// req: R159
#[test]
fn times_never_decrease_whatever_the_clock_does() {
    let mut kept = Kept::debugging();
    kept.to(ms(5000)).feed(Input::OfferSent);
    kept.now = kept.start + ms(1000);
    kept.feed(native(Peer::Connected));
    // Nor for a machine that remembers less.
    let change = recovery::Transition {
        from: State::New,
        to: State::Connecting,
        trigger: recovery::Trigger::OfferSent,
        cause: recovery::Cause::OfferSent,
        at: kept.start,
        coalesced: false,
    };
    kept.journal
        .record(change.at, recovery::Event::Transition(change));
    kept.to(ms(6000)).feed(Input::Close);
    let times: Vec<_> = kept.journal.entries().map(|entry| entry.at).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times.len(), 8, "the last but two is an alert");
    assert_eq!(
        (times[0], times[4], times[7]),
        (ms(5000), ms(5000), ms(6000))
    );
}

// req: R160
#[test]
fn more_than_five_seconds_of_connecting_raise_one_alert() {
    let mut kept = Kept::debugging();
    kept.to(ms(1000)).feed(Input::OfferSent);
    kept.to(ms(6000));
    kept.journal.handle_timeout(kept.now);
    assert_eq!(kept.alerts, [], "exactly five seconds are allowed");
    kept.to(ms(6000) + Duration::from_nanos(1));
    let late = ms(6000) + Duration::from_nanos(1);
    assert_eq!(kept.alerts, [(late, Alarm::Connecting)]);
    kept.to(ms(15_999));
    assert_eq!(kept.alerts.len(), 1, "once");
    assert_eq!(
        kept.told()[2],
        "6.000 alert: recovery is connecting for more than 5.000 s"
    );
    // Entered again, by a restart: another one.
    kept.to(ms(21_001));
    assert_eq!(kept.recovery.state(), State::Connecting);
    assert_eq!(kept.alerts.len(), 2);
    // Left in time: none.
    let mut kept = Kept::debugging();
    kept.feed(Input::OfferSent).to(ms(5000));
    kept.feed(native(Peer::Connected)).to(ms(60_000));
    assert_eq!(kept.alerts, []);
    assert_eq!(kept.journal.poll_timeout(), None);
}

// req: R161
#[test]
fn more_than_ten_seconds_of_disconnected_raise_one_alert() {
    // Recovery leaves disconnected before, as it is to: a shorter threshold than the default shows it.
    let mut config = Config::default();
    config.disconnected = ms(4000);
    let connected = [
        Input::OfferSent,
        native(Peer::Connected),
        native(Peer::Disconnected),
    ];
    let mut kept = Kept::new(config.clone(), recovery::Config::default());
    connected.into_iter().for_each(|input| {
        kept.feed(input);
    });
    kept.to(ms(6500));
    assert_eq!(kept.alerts, [], "four seconds since 2.5");
    kept.to(ms(7000));
    let late = ms(6500) + Duration::from_nanos(1);
    assert_eq!(kept.alerts, [(late, Alarm::Disconnected)]);
    // Left at exactly the threshold: none.
    let mut kept = Kept::new(config, recovery::Config::default());
    connected.into_iter().for_each(|input| {
        kept.feed(input);
    });
    kept.to(ms(6500))
        .feed(native(Peer::Connected))
        .to(ms(60_000));
    assert_eq!(kept.alerts, []);
    // With the defaults it is the connection itself that is disconnected for ten seconds.
    let mut call = crate::call::Call::new(ID, recovery::Config::default());
    use crate::call::Given;
    use floe::ice::{Reason, State::*};
    call.give(Given::Ice(Checking, Reason::ChecksBegan));
    call.to(1000)
        .give(Given::Ice(Disconnected, Reason::PairsFailed));
    let mut alerts = Vec::new();
    for millis in [11_000, 11_001, 60_000] {
        call.to(millis);
        alerts.push(call.journal.poll_alert());
    }
    assert_eq!(alerts, [None, Some(Alarm::ConnectionDisconnected), None]);
}

// req: R160 R161
#[test]
fn a_journal_that_nobody_looked_at_in_time_alerts_only_of_what_was_so() {
    let mut kept = Kept::debugging();
    kept.feed(Input::OfferSent).feed(native(Peer::Connected));
    kept.feed(native(Peer::Disconnected));
    // Nobody comes for a day. Recovery has been disconnected for five seconds of it, and connecting until a time-out.
    kept.now += Duration::from_secs(86_400);
    kept.feed(Input::Timeout);
    assert!(
        !kept
            .alerts
            .iter()
            .any(|(_, alarm)| *alarm == Alarm::Disconnected)
    );
    assert!(
        kept.alerts
            .iter()
            .any(|(_, alarm)| *alarm == Alarm::Connecting)
    );
    let mut kept = Kept::debugging();
    kept.feed(Input::OfferSent);
    kept.now += ms(9000);
    kept.feed(native(Peer::Connected));
    assert_eq!(
        kept.alerts,
        [(ms(9000), Alarm::Connecting)],
        "it was, for nine seconds"
    );
}

#[test]
fn choices_that_make_no_sense_are_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        Journal::<()>::new(sim::Clock::new().now(), ID, Arc::new(config)).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|c| c.capacity = 0), Some(ConfigError::Capacity));
    assert_eq!(refused(|c| c.capacity = 1), None);
    let connecting = Some(ConfigError::Connecting);
    assert_eq!(refused(|c| c.connecting = Duration::ZERO), connecting);
    let disconnected = Some(ConfigError::Disconnected);
    assert_eq!(refused(|c| c.disconnected = Duration::ZERO), disconnected);
}

// req: R102 R162
#[test]
fn debugging_keeps_inputs_and_what_was_ignored_and_otherwise_only_changes_are_kept() {
    let play = |mut kept: Kept| {
        kept.feed(Input::OfferSent).feed(Input::OfferSent);
        kept.to(ms(1000)).feed(native(Peer::Connected));
        kept.told()
    };
    assert_eq!(
        play(Kept::debugging()),
        [
            "0.000 input",
            "0.000 recovery: new → connecting, OFFER_SENT, an offer was sent",
            "0.000 input",
            "0.000 ignored OFFER_SENT in connecting",
            "1.000 input",
            "1.000 recovery: connecting → connected, ICE_CONNECTED, the connection is connected",
        ]
    );
    let plain = play(Kept::new(Config::default(), recovery::Config::default()));
    assert_eq!(plain.len(), 2);
    assert!(plain.iter().all(|line| line.contains("→")));
}

// req: R165
#[test]
fn a_sample_is_kept_with_the_state_it_was_taken_in() {
    let mut kept = Kept::new(Config::default(), recovery::Config::default());
    let sample = StatsSample {
        fraction_lost: 64,
        rtt: Some(ms(120)),
    };
    kept.feed(Input::OfferSent)
        .to(ms(1000))
        .feed(Input::Stats(sample));
    let entry = kept.journal.entries().last().expect("it is kept");
    assert_eq!(entry.session, ID);
    let state = State::Connecting;
    assert_eq!(entry.record, Record::Stats { state, sample });
    assert_eq!(
        kept.told()[1],
        "1.000 stats while connecting: 25.0 % lost, round trip 120.0 ms"
    );
    assert_eq!(
        lines(&kept.journal)[1],
        r#"{"session":"00000000000000000000000000005eed","number":1,"at_ns":1000000000,"kind":"stats","state":"connecting","sample":{"fraction_lost":64,"rtt":{"secs":0,"nanos":120000000}}}"#
    );
}

#[test]
fn drift_and_refused_changes_are_kept() {
    let mut kept = Kept::new(Config::default(), recovery::Config::default());
    kept.feed(Input::OfferSent).feed(native(Peer::Disconnected));
    assert_eq!(
        kept.told()[1],
        "0.000 drift: fsm=connecting native=disconnected"
    );
    let mut call = crate::call::Call::new(ID, recovery::Config::default());
    use floe::ice::{Reason, State};
    // Nothing completes before it has checked.
    call.give(crate::call::Given::Ice(
        State::Completed,
        Reason::CandidatesComplete,
    ));
    let last = call.journal.entries().last().expect("it is kept");
    assert!(matches!(last.record, Record::Refused { .. }), "{last}");
    assert!(
        last.to_string()
            .starts_with("0.000 refused of transport 0.1: ")
    );
}

/// D30: one id for a session, whatever restarts; another for what begins after CLOSE.
#[test]
fn an_id_lasts_until_the_session_is_closed_and_the_next_one_has_another() {
    let mut kept = Kept::debugging();
    kept.feed(Input::OfferSent).feed(native(Peer::Connected));
    kept.feed(native(Peer::Failed)).feed(Input::RestartOffered);
    kept.feed(native(Peer::Connected)).feed(Input::Close);
    assert!(kept.journal.entries().all(|entry| entry.session == ID));
    assert_eq!(
        kept.journal.id(),
        ID,
        "what comes late is still the old session's"
    );
    kept.feed(Input::Reopen).feed(Input::OfferSent);
    let next = kept.journal.entries().last().expect("it is kept").session;
    assert_ne!(next, ID);
    assert_eq!((next.session(), next.life()), (ID.session(), 1));
    assert_eq!(next.to_string(), "00000000000000000000000000005eed-1");
    kept.feed(native(Peer::Connected));
    assert_eq!(kept.journal.id(), next);
    assert_eq!(next.to_string().parse(), Ok(next));
    assert_eq!(ID.to_string().parse(), Ok(ID));
    assert_eq!(CorrelationId::new(u128::MAX).session(), u128::MAX);
    for wrong in [
        "",
        "5eed",
        "+0000000000000000000000000005eed",
        "0000000000000000000000000000zzzz",
        "00000000000000000000000000005eed-",
        "00000000000000000000000000005eed-x",
    ] {
        assert_eq!(
            wrong.parse::<CorrelationId>(),
            Err(InvalidCorrelationId),
            "{wrong}"
        );
    }
}

#[test]
fn a_full_journal_gives_up_its_oldest_entries_and_counts_them() {
    let mut config = Config::default();
    config.capacity = 4;
    config.detail = Detail::Debug;
    let mut kept = Kept::new(config, recovery::Config::default());
    for second in 0..10 {
        kept.to(ms(second)).feed(Input::Timeout);
    }
    let numbers: Vec<_> = kept.journal.entries().map(|entry| entry.number).collect();
    assert_eq!(numbers, [6, 7, 8, 9]);
    assert_eq!(kept.journal.dropped(), 6);
    assert_eq!(kept.journal.log().missing(), 6);
    // What somebody takes makes room, and is not dropped.
    let oldest = kept.journal.poll_entry().expect("there are four");
    assert_eq!((oldest.number, oldest.at), (6, ms(6)));
    kept.feed(Input::Timeout);
    assert_eq!(kept.journal.dropped(), 6);
    let numbers: Vec<_> = std::iter::from_fn(|| kept.journal.poll_entry())
        .map(|entry| entry.number)
        .collect();
    assert_eq!(numbers, [7, 8, 9, 10]);
    assert_eq!(kept.journal.poll_entry(), None);
}

/// Where `tracing` writes to.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_entry_is_a_tracing_event_too() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut kept = Kept::debugging();
        kept.feed(Input::OfferSent).feed(Input::OfferSent);
        kept.feed(native(Peer::Disconnected)).to(ms(6000));
    });
    let written = String::from_utf8(written.0.lock().expect("done").clone()).expect("text");
    let session = r#"session=00000000000000000000000000005eed"#;
    let expected = [
        format!("DEBUG floe::journal: input {session} at=0.000"),
        format!(
            r#" INFO floe::journal: {session} at=0.000 machine=recovery from="new" to=connecting action="OFFER_SENT" cause="an offer was sent""#
        ),
        format!("DEBUG floe::journal: ignored OFFER_SENT in connecting {session} at=0.000"),
        format!(
            " WARN floe::journal: drift: fsm=connecting native=disconnected {session} at=0.000"
        ),
        format!(
            " WARN floe::journal: alert: recovery is connecting for more than 5.000 s {session} at=5.000"
        ),
    ];
    for line in expected {
        assert!(written.lines().any(|l| l == line), "{line}\n{written}");
    }
}

proptest! {
    // req: P32
    #[test]
    fn there_are_as_many_alerts_as_states_that_lasted_too_long(
        dwells in prop::collection::vec(
            // At the threshold, a nanosecond beside it, and anywhere.
            prop_oneof![Just(5_000_000_000_u64), Just(5_000_000_001), Just(4_999_999_999), 0..14_999_999_999_u64],
            0..20,
        ),
        often in any::<bool>(),
    ) {
        let mut kept = Kept::debugging();
        let mut elapsed = Duration::ZERO;
        let mut expected = 0;
        let mut each = Vec::new();
        kept.feed(Input::OfferSent);
        for dwell in dwells {
            let dwell = Duration::from_nanos(dwell);
            expected += usize::from(dwell > ms(5000));
            elapsed += dwell;
            if often {
                kept.to(elapsed);
            }
            kept.now = kept.start + elapsed;
            kept.feed(native(Peer::Connected));
            each.push(kept.alerts.len() == expected);
            // And connecting again.
            kept.feed(native(Peer::Failed)).feed(Input::RestartOffered);
        }
        prop_assert!(each.into_iter().all(|right| right));
        prop_assert!(kept.alerts.iter().all(|(_, alarm)| *alarm == Alarm::Connecting));
        let recorded = kept.journal.entries().filter(|e| matches!(e.record, Record::Alert { .. }));
        prop_assert_eq!(recorded.count(), expected);
    }
}
