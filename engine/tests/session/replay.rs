//! A session that was written down happens again, the same in everything.

use std::{sync::Arc, time::Instant};

use floe::{
    close::CloseReason,
    ice,
    journal::{self, Detail, Log},
    session::{Config, Input, Session},
    signaling::link::SessionId,
};

use crate::world::{MILLISECOND, SECOND, World};

fn journaling() -> Config {
    let mut config = Config::default();
    let mut journal = journal::Config::default();
    journal.detail = Detail::Debug;
    journal.capacity = 100_000;
    config.journal = Some(Arc::new(journal));
    config
}

/// Glare, a flap, a broken channel, silence, and the end.
fn life() -> (World, Log<Input>) {
    let mut world = World::dialing(&journaling());
    world.client.session.negotiation_needed(world.now);
    world.run_for(100 * MILLISECOND);
    let now = world.now;
    world.client.connect(now);
    world.server().connect(now);
    world.run_for(SECOND);
    let now = world.now;
    world.client.session.negotiation_needed(now);
    world.server().session.negotiation_needed(now);
    world.run_for(SECOND);
    let now = world.now;
    let lost = ice::Reason::ConsentChecksMissed;
    world.client.ice(now, ice::State::Disconnected, lost);
    world.break_channel();
    world.run_for(12 * SECOND);
    let now = world.now;
    world
        .client
        .session
        .close(now, CloseReason::ClientRequestLeave);
    world.run_for(SECOND);
    let log = world.client.session.journal().unwrap().log();
    (world, log)
}

/// An input again. What was to be sent is gone already, as it was then.
fn retell(session: &mut Session, now: Instant, input: &Input) {
    session.handle(now, input.clone());
    while session.poll_transmit().is_some() {}
}

// req: R162 R163 P24
#[test]
fn the_same_inputs_at_the_same_times_give_the_same_records() {
    let (world, log) = life();
    assert!(log.entries().len() > 50, "{}", log.entries().len());

    let start = world.start;
    let id = SessionId::from_bytes([7; 16]);
    let mut again = Session::dial(start, id, &journaling()).unwrap();
    log.replay(start, |now, input| retell(&mut again, now, input))
        .unwrap();
    let replayed = again.journal().unwrap().log();
    assert_eq!(log.divergence(&replayed).map(|d| d.to_string()), None);
    assert_eq!(again.ended(), world.client.session.ended());
}

// req: R163
#[test]
fn a_log_that_was_written_as_json_lines_can_be_read_and_replayed() {
    let (world, log) = life();
    let mut text = Vec::new();
    let journal = world.client.session.journal().unwrap();
    journal.write_lines(&mut text).unwrap();
    let read: Log<Input> = Log::read_lines(&text[..]).unwrap();
    assert_eq!(read, log);

    let start = world.start + SECOND;
    let id = SessionId::from_bytes([7; 16]);
    let mut again = Session::dial(start, id, &journaling()).unwrap();
    read.replay(start, |now, input| retell(&mut again, now, input))
        .unwrap();
    assert_eq!(
        log.divergence(&again.journal().unwrap().log())
            .map(|d| d.to_string()),
        None
    );
}

// req: R160 R161
#[test]
fn a_session_that_does_not_connect_in_time_alerts_once() {
    let mut world = World::dialing(&journaling());
    world.client.session.negotiation_needed(world.now);
    world.run_for(14 * SECOND);
    let alerts = world.client.events.iter();
    let alerts = alerts.filter(|event| matches!(event, floe::session::Event::Alert(_)));
    assert_eq!(alerts.count(), 1);
}
