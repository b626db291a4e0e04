//! A connected agent wakes only to send: every deadline it names is a datagram.

use std::time::{Duration, Instant};

use floe_ice::{Agent, Config, FiveTuple, Timing};

use crate::support::{Peer, Story, addresses, between, connected, full_and_lite, ms, secs, signal};
use floe_ice::{Initiation, Mode, Moved};

/// What an agent was woken for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    wakeups: u32,
    datagrams: u32,
}

/// The two agents without the network between them: what one sends arrives at the other after `delay`.
struct Wire {
    now: Instant,
    delay: Duration,
    agents: [Agent; 2],
    under_way: Vec<(Instant, usize, FiveTuple, Vec<u8>)>,
    tallies: [Tally; 2],
}

impl Wire {
    fn of(story: Story) -> Self {
        let now = story.now();
        let Story { a, b, .. } = story;
        Self {
            now,
            delay: ms(20),
            agents: [a.agent, b.agent],
            under_way: Vec::new(),
            tallies: Default::default(),
        }
    }

    /// What is pending leaves; says how much that was.
    fn drain(&mut self, from: usize) -> u32 {
        let (mut buf, mut sent) = ([0; 1200], 0);
        while let Some(transmit) = self.agents[from].poll_transmit(&mut buf) {
            let path = FiveTuple::udp(transmit.path.remote, transmit.path.local);
            let bytes = buf[..transmit.len].to_vec();
            let arrival = self.now + self.delay;
            self.under_way.push((arrival, 1 - from, path, bytes));
            sent += 1;
        }
        while self.agents[from].poll_event().is_some() {}
        sent
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let arrival = self.under_way.iter().map(|(at, ..)| *at).min();
            let deadlines = [0, 1].map(|side| self.agents[side].poll_timeout());
            let next = deadlines.into_iter().chain([arrival]).flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = next;
            let arrived: Vec<_> = self.under_way.extract_if(.., |w| w.0 <= next).collect();
            for (_, to, path, bytes) in arrived {
                let _ = self.agents[to].handle_datagram(next, path, &bytes);
                // Answers are no reason to wake.
                self.drain(to);
            }
            for side in [0, 1] {
                if self.agents[side]
                    .poll_timeout()
                    .is_some_and(|at| at <= next)
                {
                    self.agents[side].handle_timeout(next);
                    self.tallies[side].wakeups += 1;
                    self.tallies[side].datagrams += self.drain(side);
                }
            }
        }
        self.now = end;
    }
}

/// Both sides of a call after it has settled, for ten minutes.
fn tallies(story: Story) -> [Tally; 2] {
    let mut wire = Wire::of(story);
    wire.run_for(secs(60));
    wire.tallies = Default::default();
    wire.run_for(secs(600));
    wire.tallies
}

// req: I51
#[test]
fn either_side_of_a_call_wakes_once_for_each_datagram_it_sends() {
    for candidates in [1, 4] {
        for tally in tallies(connected(candidates)) {
            assert_eq!(tally.wakeups, tally.datagrams, "{candidates} candidates");
            // Consent every 5 s, give or take a fifth.
            assert!((100..=150).contains(&tally.datagrams), "{tally:?}");
        }
    }
}

// req: I51
#[test]
fn a_lite_side_never_wakes_while_its_peer_is_there() {
    let mut story = full_and_lite();
    signal(&mut story);
    story.run_for(secs(5));
    let [full, lite] = tallies(story);
    assert_eq!(full.wakeups, full.datagrams);
    assert!((100..=150).contains(&full.datagrams), "{full:?}");
    assert_eq!(lite, Tally::default());
}

// req: I51
#[test]
fn every_preset_wakes_only_to_send() {
    for timing in [Timing::webrtc(), Timing::low_power(), Timing::livekit()] {
        let peer = |seed, host, initiation| {
            let config = Config::with_timing(timing.clone());
            Peer::new(seed, Mode::Full, initiation, config, &addresses(host, 2))
        };
        let mut story = between(
            peer(1, 1, Initiation::Initiating),
            peer(2, 2, Initiation::Responding),
        );
        signal(&mut story);
        story.run_for(secs(5));
        for tally in tallies(story) {
            assert_eq!(tally.wakeups, tally.datagrams, "{timing:?}");
            assert!(tally.datagrams >= 40, "{tally:?}");
        }
    }
}

// req: I50
#[test]
fn who_keeps_tables_beside_an_agent_hears_when_there_is_nothing_to_look_at() {
    let mut story = connected(1);
    story.run_for(secs(60));
    let mut wire = Wire::of(story);
    let (mut checks, mut forged) = (0, None);
    while checks < 10 {
        let deadlines = [0, 1].map(|side| wire.agents[side].poll_timeout());
        wire.now = deadlines.into_iter().flatten().min().unwrap();
        for side in [0, 1] {
            let early = wire.now - ms(1);
            let before = format!("{:?}", wire.agents[side]);
            wire.agents[side].handle_timeout(early);
            assert_eq!(format!("{:?}", wire.agents[side]), before);
            wire.agents[side].handle_timeout(wire.now);
            assert!(wire.agents[side].moved() <= Moved::Deadline, "at rest");
            wire.drain(side);
        }
        for (_, to, path, bytes) in std::mem::take(&mut wire.under_way) {
            let agent = &mut wire.agents[to];
            let before = (agent.poll_timeout(), agent.state());
            let mut bad = bytes.clone();
            bad.iter_mut()
                .last()
                .into_iter()
                .for_each(|byte| *byte = !*byte);
            let _ = agent.handle_datagram(wire.now, path, &bad);
            assert_eq!(agent.moved(), Moved::Nothing, "turned away");
            let _ = agent.handle_datagram(wire.now, path, &bytes);
            assert_eq!(agent.moved(), Moved::Nothing, "a check answered");
            assert_eq!((agent.poll_timeout(), agent.state()), before);
            wire.drain(to);
            forged = Some((to, path, bad));
            checks += 1;
        }
        for (_, to, path, bytes) in std::mem::take(&mut wire.under_way) {
            let agent = &mut wire.agents[to];
            let before = agent.poll_timeout();
            let _ = agent.handle_datagram(wire.now, path, &bytes);
            assert_eq!(agent.moved(), Moved::Deadline, "consent renewed");
            assert_ne!(agent.poll_timeout(), before);
        }
    }
    // What time brings about before a message is not to be overlooked, whatever becomes of the message.
    let (late, path, forged) = forged.expect("there were checks");
    let agent = &mut wire.agents[late];
    let due = agent.poll_timeout().unwrap();
    let _ = agent.handle_datagram(due, path, &forged);
    assert_eq!(agent.moved(), Moved::Deadline, "a check left");
    assert!(agent.poll_timeout() > Some(due));
    let _ = agent.handle_datagram(due, path, &forged);
    assert_eq!(agent.moved(), Moved::Nothing);
}
