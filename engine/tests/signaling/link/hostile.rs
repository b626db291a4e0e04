//! Envelopes that no honest peer sends.

use super::{envelope, events, id, message, messages, transmits, up};
use floe::{
    close::{Leave, LeaveAction},
    signaling::link::{
        AcceptError, Body, Config, DropReason, Envelope, Link, LinkState, Outcome,
        ParseSessionIdError, SendError, SessionId,
    },
};
use sim::Clock;
use std::{sync::Arc, time::Instant};

fn accepting(now: Instant, config: Config) -> Link<u32> {
    let open = envelope(0, Body::Open { channel: 1 });
    let mut link = Link::accept(now, open, Arc::new(config)).unwrap();
    transmits(&mut link);
    events(&mut link);
    link
}

#[track_caller]
fn dropped(link: &mut Link<u32>, envelope: Envelope<u32>, reason: DropReason) {
    let before = (link.state(), link.unacknowledged(), link.poll_timeout());
    assert_eq!(
        link.handle_envelope(Clock::epoch(), envelope),
        Outcome::Dropped(reason)
    );
    assert_eq!(
        before,
        (link.state(), link.unacknowledged(), link.poll_timeout())
    );
    assert!(messages(link).is_empty());
    assert_eq!(transmits(link), []);
    assert_eq!(events(link), []);
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_has_no_effect() {
    let now = Clock::epoch();
    let mut link = up(now, Config::default());
    for ack in [1, 2, u32::MAX] {
        dropped(&mut link, envelope(ack, Body::Ack), DropReason::UnknownAck);
    }
    link.handle_channel_closed(now);
    events(&mut link);
    link.send(now, 1).unwrap();
    dropped(&mut link, envelope(1, Body::Ack), DropReason::UnknownAck);
    link.handle_channel_opened(now);
    super::welcome(now, &mut link, 2);
    link.send(now, 2).unwrap();
    assert_eq!(link.poll_transmit(), Some(message(0, 1, 1)));
    let early = link.handle_envelope(now, message(2, 1, 5));
    assert_eq!(early, Outcome::Dropped(DropReason::UnknownAck));
    assert_eq!((link.drops().unknown_ack, link.unacknowledged()), (5, 2));
    assert!(messages(&mut link).is_empty());
    assert_eq!(transmits(&mut link), [message(0, 2, 2)]);
    assert_eq!(
        link.handle_envelope(now, envelope(2, Body::Ack)),
        Outcome::Handled
    );
    // What was acknowledged once is not acknowledged again as something else.
    dropped(&mut link, envelope(3, Body::Ack), DropReason::UnknownAck);
    assert_eq!(
        link.handle_envelope(now, envelope(1, Body::Ack)),
        Outcome::Handled
    );
    assert_eq!(link.send(now, 3).unwrap(), id(3));
}

#[test]
fn what_left_on_an_earlier_channel_can_still_be_acknowledged() {
    let now = Clock::epoch();
    let mut link = up(now, Config::default());
    for number in 1..=3 {
        link.send(now, number).unwrap();
    }
    assert_eq!(transmits(&mut link).len(), 3);
    link.handle_channel_closed(now);
    link.handle_channel_opened(now);
    super::welcome(now, &mut link, 2);
    assert_eq!(link.poll_transmit(), Some(message(0, 1, 1)));
    assert_eq!(
        link.handle_envelope(now, envelope(2, Body::Ack)),
        Outcome::Handled
    );
    assert_eq!(
        transmits(&mut link),
        [message(0, 3, 3)],
        "and only the rest goes again"
    );
}

#[test]
fn who_is_told_to_leave_says_nothing_more() {
    let now = Clock::epoch();
    let leave = Body::Leave(Leave::CLIENT_INITIATED);
    let mut greeting =
        Link::<u32>::dialing(now, super::SESSION, Arc::new(Config::default())).unwrap();
    greeting.handle_channel_opened(now);
    let mut acknowledging = up::<u32>(now, Config::default());
    assert_eq!(
        acknowledging.handle_envelope(now, message(0, 1, 1)),
        Outcome::Handled
    );
    assert_eq!(messages(&mut acknowledging), [1]);
    let mut speaking = up(now, Config::default());
    speaking.send(now, 1).unwrap();
    for mut link in [greeting, acknowledging, speaking] {
        assert_eq!(
            link.handle_envelope(now, envelope(0, leave.clone())),
            Outcome::Handled
        );
        assert!(transmits(&mut link).is_empty());
        assert_eq!((link.poll_timeout(), link.unacknowledged()), (None, 0));
    }
}

#[test]
fn a_message_too_far_ahead_is_not_kept() {
    let mut config = Config::default();
    config.max_ahead = 4;
    let now = Clock::epoch();
    let mut link = up(now, config);
    for number in [5, 6, 1000, u32::MAX] {
        dropped(&mut link, message(0, number, 0), DropReason::TooFarAhead);
    }
    assert_eq!(link.drops().too_far_ahead, 4);
    for number in [4, 2, 3, 1] {
        assert_eq!(
            link.handle_envelope(now, message(0, number, number)),
            Outcome::Handled
        );
    }
    // Not polled, not out of the way.
    let full = link.handle_envelope(now, message(0, 5, 5));
    assert_eq!(full, Outcome::Dropped(DropReason::TooFarAhead));
    assert_eq!(messages(&mut link), [1, 2, 3, 4]);
    assert_eq!(
        link.handle_envelope(now, message(0, 5, 5)),
        Outcome::Handled
    );
    assert_eq!(messages(&mut link), [5]);
}

#[test]
fn another_sessions_envelopes_have_no_effect() {
    let now = Clock::epoch();
    let other = SessionId::from_bytes([8; 16]);
    let bodies = [
        Body::Open { channel: 9 },
        Body::Resume { channel: 9 },
        Body::Welcome { channel: 1 },
        Body::Message {
            id: id(1),
            payload: 1,
        },
        Body::Ack,
        Body::Leave(Leave::UNKNOWN_SESSION),
    ];
    for mut link in [
        up(now, Config::default()),
        accepting(now, Config::default()),
    ] {
        for body in bodies.clone() {
            let envelope = Envelope {
                session: other,
                ack: None,
                body,
            };
            dropped(&mut link, envelope, DropReason::WrongSession);
        }
        assert_eq!(link.drops().wrong_session, 6);
    }
}

#[test]
fn each_side_says_only_what_is_its_own_to_say() {
    let now = Clock::epoch();
    let resume = Leave {
        action: LeaveAction::Resume,
        ..Leave::CLIENT_INITIATED
    };
    let mut dialing = up(now, Config::default());
    dropped(
        &mut dialing,
        envelope(0, Body::Open { channel: 2 }),
        DropReason::Unexpected,
    );
    dropped(
        &mut dialing,
        envelope(0, Body::Resume { channel: 2 }),
        DropReason::Unexpected,
    );
    dropped(
        &mut dialing,
        envelope(0, Body::Welcome { channel: 1 }),
        DropReason::Unexpected,
    );
    dialing.handle_channel_closed(now);
    events(&mut dialing);
    dropped(
        &mut dialing,
        envelope(0, Body::Welcome { channel: 1 }),
        DropReason::Unexpected,
    );
    dropped(
        &mut dialing,
        envelope(0, Body::Leave(resume)),
        DropReason::Unexpected,
    );
    assert_eq!(dialing.drops().unexpected, 5);
    let mut accepting = accepting(now, Config::default());
    dropped(
        &mut accepting,
        envelope(0, Body::Welcome { channel: 1 }),
        DropReason::Unexpected,
    );
    dropped(
        &mut accepting,
        envelope(0, Body::Leave(resume)),
        DropReason::Unexpected,
    );
}

// req: R22
#[test]
fn no_session_begins_but_with_an_open_and_only_a_resume_is_answered() {
    let (now, config) = (Clock::epoch(), Arc::new(Config::default()));
    let accept =
        |ack, body| Link::<u32>::accept(now, envelope(ack, body), config.clone()).map(drop);
    assert_eq!(accept(0, Body::Open { channel: 40_000 }), Ok(()));
    let refusal = envelope(0, Body::Leave(Leave::UNKNOWN_SESSION));
    assert_eq!(
        accept(0, Body::Resume { channel: 1 }),
        Err(AcceptError::Refused(refusal.clone()))
    );
    assert_eq!(
        accept(9, Body::Resume { channel: 1 }),
        Err(AcceptError::Refused(refusal.clone()))
    );
    for body in [
        Body::Welcome { channel: 1 },
        Body::Message {
            id: id(1),
            payload: 1,
        },
        Body::Ack,
        Body::Leave(Leave::CLIENT_INITIATED),
    ] {
        assert_eq!(
            accept(0, body),
            Err(AcceptError::Dropped(DropReason::WrongSession))
        );
    }
    assert_eq!(
        accept(1, Body::Open { channel: 1 }),
        Err(AcceptError::Dropped(DropReason::UnknownAck))
    );
    let mut bad = Config::default();
    bad.attempts = 0;
    let open = envelope(0, Body::Open { channel: 1 });
    assert!(matches!(
        Link::<u32>::accept(now, open.clone(), Arc::new(bad)),
        Err(AcceptError::Config(_))
    ));

    // Over: whoever greets it is told, and nothing else is answered.
    let mut link = accepting(now, Config::default());
    link.close(now);
    for greeting in [Body::Open { channel: 7 }, Body::Resume { channel: 8 }] {
        let outcome = link.handle_envelope(now, envelope(0, greeting));
        assert_eq!(outcome, Outcome::Refused(refusal.clone()));
    }
    dropped(&mut link, message(0, 1, 1), DropReason::Closed);
    dropped(
        &mut link,
        envelope(0, Body::Leave(Leave::CLIENT_INITIATED)),
        DropReason::Closed,
    );
    assert_eq!(link.drops().closed, 4);
    let mut dialing = up(now, Config::default());
    dialing.close(now);
    dropped(
        &mut dialing,
        envelope(0, Body::Resume { channel: 8 }),
        DropReason::Closed,
    );
}

#[test]
fn the_numbers_of_a_session_end_and_do_not_begin_again() {
    let now = Clock::epoch();
    let mut link = up::<u32>(now, Config::default());
    link.send(now, 0).unwrap();
    link.poll_transmit();
    let mut saved = serde_json::to_value(link.save(now)).unwrap();
    saved["acknowledged"] = (u32::MAX - 2).into();
    saved["delivered"] = (u32::MAX - 1).into();
    let saved = serde_json::from_value(saved).unwrap();
    let mut link = Link::restore(now, saved, Arc::new(Config::default())).unwrap();
    assert_eq!(link.send(now, 1).unwrap(), id(u32::MAX));
    assert_eq!(link.send(now, 2), Err(SendError::Exhausted(2)));
    link.poll_transmit();
    let last = message(u32::MAX, u32::MAX, 9);
    assert_eq!(link.handle_envelope(now, last.clone()), Outcome::Handled);
    assert_eq!((messages(&mut link), link.unacknowledged()), (vec![9], 0));
    assert_eq!(link.send(now, 3), Err(SendError::Exhausted(3)));
    assert!(matches!(
        link.handle_envelope(now, last),
        Outcome::Dropped(DropReason::Duplicate)
    ));
    assert_eq!(link.state(), LinkState::Up);
}

#[test]
fn text_is_an_envelope_or_an_error() {
    let text = |body: &str| {
        format!(
            r#"{{"session":"{SESSION}","ack":null,"body":{body}}}"#,
            SESSION = super::SESSION
        )
    };
    let read = |text: &str| Envelope::<u32>::from_json(text.as_bytes());
    for body in [
        Body::Open { channel: 1 },
        Body::Resume { channel: 65_535 },
        Body::Welcome { channel: 0 },
        Body::Message {
            id: id(u32::MAX),
            payload: 5,
        },
        Body::Ack,
        Body::Leave(Leave::UNKNOWN_SESSION),
    ] {
        let sent = envelope(4, body);
        assert_eq!(read(&sent.to_json().unwrap()).unwrap(), sent);
    }
    let leave = envelope(0, Body::<u32>::Leave(Leave::UNKNOWN_SESSION))
        .to_json()
        .unwrap();
    let said = r#"{"leave":{"reason":"STATE_MISMATCH","action":"RECONNECT"}}"#;
    assert_eq!(leave, text(said));
    let newer = text(&said.replace("STATE_MISMATCH", "OF_TOMORROW"));
    let Body::Leave(leave) = read(&newer).unwrap().body else {
        panic!("no leave")
    };
    assert_eq!(
        leave.reason.number(),
        0,
        "a reason that is not known is no reason to fail"
    );
    for bad in [
        String::new(),
        "{}".into(),
        text(r#"{"message":{"id":0,"payload":1}}"#),
        text(r#"{"message":{"id":-1,"payload":1}}"#),
        text(r#"{"message":{"id":4294967296,"payload":1}}"#),
        text(r#"{"open":{"channel":65536}}"#),
        text(r#""unheard-of""#),
        text(r#""ack""#) + "x",
        text(r#""ack""#).replace("0707", "0g07"),
        text(r#""ack""#).replace("0707", "07"),
        "[".repeat(100_000),
    ] {
        assert!(read(&bad).is_err(), "{bad}");
    }
    let nan = Envelope {
        session: super::SESSION,
        ack: None,
        body: Body::Message {
            id: id(1),
            payload: std::collections::BTreeMap::from([((1, 2), 3)]),
        },
    };
    assert!(!nan.to_json().unwrap_err().to_string().is_empty());
}

#[test]
fn a_session_id_reads_back_and_is_not_shown_whole() {
    let session = SessionId::generate();
    assert_ne!(session, SessionId::generate());
    assert_eq!(session.to_string().parse(), Ok(session));
    assert_eq!(super::SESSION.to_string(), "07".repeat(16));
    assert_eq!(format!("{:?}", super::SESSION), "SessionId(07070707..)");
    let link = up::<u32>(Clock::epoch(), Config::default());
    assert!(!format!("{link:?}").contains(&"07".repeat(5)));
    for bad in [
        "",
        "0",
        &"0".repeat(31),
        &"0".repeat(33),
        &"G".repeat(32),
        &"A".repeat(32),
        "+0000000000000000000000000000000",
        &"é".repeat(16),
    ] {
        assert_eq!(bad.parse::<SessionId>(), Err(ParseSessionIdError), "{bad}");
    }
}
