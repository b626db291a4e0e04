//! Laws that hold for every agent: the timer law, determinism, the transitions of W3C, no panic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_ice::nomination::{ByApplication, Continuous, LiteServer, Mobile, Policy, Regular};
use floe_ice::{
    Agent, Candidate, Config, Event, FiveTuple, Freezing, Initiation, Mode, PairId, Parameters,
    RemoteParameters, State, Timing,
};
use proptest::prelude::*;
use sim::Link;

use crate::support::solo::{Solo, local, remote};
use crate::support::{Peer, Story, addresses, assert_completed, between, ms, secs, signal};

// req: I14
#[test]
fn the_matrix_of_states_is_w3cs() {
    use State::{Checking, Closed, Completed, Connected, Disconnected, Failed, New};
    let states = [
        New,
        Checking,
        Connected,
        Completed,
        Disconnected,
        Failed,
        Closed,
    ];
    let row = |from: &State| -> String {
        states
            .iter()
            .map(|to| if from.may_become(*to) { 'x' } else { '.' })
            .collect()
    };
    let matrix: Vec<String> = states.iter().map(row).collect();
    let expected = [
        // new, checking, connected, completed, disconnected, failed, closed
        ".x...xx", // new
        "..xxxxx", // checking
        ".x.xxxx", // connected
        ".xx.xxx", // completed
        ".xxx.xx", // disconnected
        ".x....x", // failed
        ".......", // closed
    ];
    assert_eq!(matrix, expected);
    let words: Vec<String> = states.iter().map(State::to_string).collect();
    assert_eq!(
        words,
        [
            "new",
            "checking",
            "connected",
            "completed",
            "disconnected",
            "failed",
            "closed"
        ]
    );
}

/// One thing that can happen to an agent.
#[derive(Clone, Debug)]
enum Step {
    Local(u16),
    RemoveLocal(u16),
    LocalComplete,
    Remote(u16),
    RemoveRemote(u16),
    RemoteComplete,
    Meet,
    Restart(bool),
    RollBack,
    Request {
        from: u16,
        nominate: bool,
        nomination: Option<u32>,
        role: Option<(bool, u64)>,
    },
    Answer {
        index: usize,
        error: Option<u16>,
    },
    Nominate(usize),
    Veto(usize),
    Release(usize),
    Garbage(Vec<u8>),
    Traffic,
    Revoke,
    Timing(u8),
    Wait(u64),
    Jump {
        seconds: u64,
        called: bool,
    },
    Close,
}

fn any_step() -> impl Strategy<Value = Step> {
    let role = prop::option::of((any::<bool>(), any::<u64>()));
    let nomination = prop::option::weighted(0.3, 0_u32..6);
    let error = prop::option::weighted(0.3, prop::sample::select(vec![400_u16, 403, 487, 500]));
    prop_oneof![
        4 => (0_u16..4).prop_map(Step::Local),
        1 => (0_u16..4).prop_map(Step::RemoveLocal),
        1 => Just(Step::LocalComplete),
        4 => (0_u16..8).prop_map(Step::Remote),
        1 => (0_u16..8).prop_map(Step::RemoveRemote),
        1 => Just(Step::RemoteComplete),
        3 => Just(Step::Meet),
        1 => any::<bool>().prop_map(Step::Restart),
        1 => Just(Step::RollBack),
        8 => (0_u16..12, any::<bool>(), nomination, role)
            .prop_map(|(from, nominate, nomination, role)| Step::Request { from, nominate, nomination, role }),
        12 => (any::<usize>(), error).prop_map(|(index, error)| Step::Answer { index, error }),
        1 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Step::Garbage),
        1 => any::<usize>().prop_map(Step::Nominate),
        1 => any::<usize>().prop_map(Step::Veto),
        1 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::Traffic),
        1 => Just(Step::Revoke),
        1 => (0_u8..4).prop_map(Step::Timing),
        2 => (prop_oneof![20_u64..60, 60_u64..100_000], any::<bool>())
            .prop_map(|(seconds, called)| Step::Jump { seconds, called }),
        12 => prop_oneof![0_u64..100, 0_u64..1000, 0_u64..45_000].prop_map(Step::Wait),
        1 => Just(Step::Close),
    ]
}

fn policies() -> Vec<Arc<dyn Policy>> {
    vec![
        Arc::new(Regular),
        Arc::new(Continuous::default()),
        Arc::new(Mobile::default()),
        Arc::new(LiteServer),
        Arc::new(ByApplication::default()),
    ]
}

struct Walk {
    solo: Solo,
    requests: Vec<crate::support::solo::Sent>,
    generation: u32,
}

fn role_attribute((controlling, tie_breaker): (bool, u64)) -> floe_stun::RoleAttribute {
    match controlling {
        true => floe_stun::RoleAttribute::Controlling(tie_breaker),
        false => floe_stun::RoleAttribute::Controlled(tie_breaker),
    }
}

fn presets() -> [Timing; 4] {
    [
        Timing::default(),
        Timing::webrtc(),
        Timing::low_power(),
        Timing::livekit(),
    ]
}

impl Walk {
    fn new(mode: Mode, initiation: Initiation, config: Config) -> Self {
        Self {
            solo: Solo::new(mode, initiation, config),
            requests: Vec::new(),
            generation: 0,
        }
    }

    fn next_peer(&mut self) -> RemoteParameters {
        self.generation += 1;
        let fragment = format!("peer{}", self.generation);
        let password = format!("{:0>24}", self.generation);
        self.solo.peer = Parameters::new(&fragment, &password).unwrap();
        RemoteParameters::new(self.solo.peer.clone())
    }

    fn step(&mut self, step: &Step) {
        let now = self.solo.now;
        let solo = &mut self.solo;
        let agent = &mut solo.agent;
        match step.clone() {
            Step::Local(n) => {
                let _ =
                    agent.add_local_candidate(now, Candidate::host(crate::support::address(1, n)));
            }
            Step::RemoveLocal(n) => {
                let _ = agent.remove_local_candidate(now, crate::support::address(1, n));
            }
            Step::LocalComplete => agent.local_candidates_complete(now),
            Step::Remote(n) => {
                let _ = agent.add_remote_candidate(now, Candidate::host(remote(n)));
            }
            Step::RemoveRemote(n) => {
                let _ = agent.remove_remote_candidate(now, remote(n));
            }
            Step::RemoteComplete => agent.remote_candidates_complete(now),
            Step::Meet => solo
                .agent
                .set_remote_parameters(now, RemoteParameters::new(solo.peer.clone()))
                .unwrap_or(()),
            Step::Restart(with_peer) => {
                let remote = with_peer.then(|| self.next_peer());
                self.solo.agent.restart(now, None, remote).unwrap_or(());
            }
            Step::RollBack => agent.rollback_restart(now).unwrap_or(()),
            Step::Request {
                from,
                nominate,
                nomination,
                role,
            } => {
                let mut check = solo.check();
                check.use_candidate = nominate;
                check.nomination = nomination;
                check.role = role.map(role_attribute);
                let _ = solo.receive(remote(from), &check.bytes());
            }
            Step::Nominate(n) => {
                let _ = self.any_pair(n).map(|id| self.solo.agent.nominate(now, id));
            }
            Step::Veto(n) => {
                let _ = self.any_pair(n).map(|id| self.solo.agent.veto(now, id));
            }
            Step::Release(n) => {
                let _ = self.any_pair(n).map(|id| self.solo.agent.release(now, id));
            }
            Step::Answer { index, error } => self.answer(index, error),
            Step::Garbage(bytes) => {
                let _ = solo.receive(remote(0), &bytes);
            }
            Step::Traffic => agent.note_authenticated_traffic(now),
            Step::Revoke => agent.revoke_consent(now, floe_ice::Reason::PeerClosed),
            Step::Timing(n) => agent.set_timing(now, presets()[usize::from(n)].clone()),
            Step::Wait(milliseconds) => solo.run_for(ms(milliseconds)),
            Step::Jump { seconds, called } => {
                self.requests.extend(solo.take_requests());
                solo.now += secs(seconds);
                // Whether the timer is noticed before the next input is the caller's luck.
                if called {
                    self.call_late();
                }
            }
            Step::Close => agent.close(now),
        }
        self.solo.drain();
        self.requests.extend(self.solo.take_requests());
    }

    /// The clock is suddenly far ahead, and nothing makes up for what was missed.
    fn call_late(&mut self) {
        let solo = &mut self.solo;
        solo.agent.handle_timeout(solo.now);
        let burst = solo.take();
        // At most one for each pair under way or kept, for consent and for a nomination, in each generation.
        let pairs = solo.agent.candidate_pairs().count();
        assert!(burst.len() <= pairs + 6, "{} at once", burst.len());
    }

    fn any_pair(&self, n: usize) -> Option<PairId> {
        let pairs = || self.solo.agent.candidate_pairs();
        let index = n.checked_rem(pairs().count())?;
        pairs().nth(index).map(|pair| pair.pair.id)
    }

    fn answer(&mut self, index: usize, error: Option<u16>) {
        if self.requests.is_empty() {
            return;
        }
        let check = self.requests[index % self.requests.len()].clone();
        let bytes = match error.and_then(floe_stun::ErrorCode::new) {
            Some(code) => self.solo.error_to(&check, code),
            None => self.solo.success_to(&check, check.path.local),
        };
        let path = check.path;
        let _ = self.solo.agent.handle_datagram(self.solo.now, path, &bytes);
    }

    fn check_laws(&mut self) {
        let agent = &self.solo.agent;
        let state = agent.state();
        if matches!(state, State::New | State::Failed | State::Closed) {
            assert_eq!(agent.send_path(), None, "{state}");
        }
        if matches!(state, State::Connected | State::Completed) {
            assert!(agent.send_path().is_some(), "{state}");
        }
        assert!(agent.local_username_fragments().count() <= 2);
        assert!(agent.candidate_pairs().count() <= 200);
        let mut previous = State::New;
        for transition in self.solo.transitions() {
            assert_eq!(transition.from, previous);
            assert!(transition.from.may_become(transition.to), "{transition:?}");
            previous = transition.to;
        }
        assert_eq!(previous, state, "what is reported is what is");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // req: I14 I20 I24
    #[test]
    fn whatever_happens_timers_and_states_keep_their_laws(
        steps in prop::collection::vec(any_step(), 1..60),
        lite in any::<bool>(),
        initiating in any::<bool>(),
        policy in 0_usize..5,
        freezing in any::<bool>(),
    ) {
        let mut config = Config::default();
        config.nomination = policies().swap_remove(policy);
        config.freezing = if freezing { Freezing::On } else { Freezing::Off };
        let mode = if lite { Mode::Lite } else { Mode::Full };
        let initiation = if initiating { Initiation::Initiating } else { Initiation::Responding };
        let mut walk = Walk::new(mode, initiation, config);
        for step in &steps {
            walk.step(step);
            // `run_for` and this: after `handle_timeout(t)` the deadline is later than t, or there is none.
            let now = walk.solo.now;
            walk.solo.agent.handle_timeout(now);
            prop_assert!(walk.solo.agent.poll_timeout().is_none_or(|later| later > now), "after {step:?}");
            walk.solo.drain();
            walk.check_laws();
        }
    }
}

// req: I14
#[test]
fn calls_before_the_deadline_do_nothing() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::default(),
        &[remote(0), remote(1)],
    );
    solo.take();
    let deadline = solo.agent.poll_timeout().unwrap();
    for early in [1, 10, 30] {
        solo.agent.handle_timeout(solo.now + ms(early));
        solo.drain();
        assert!(solo.take().is_empty());
        assert_eq!(solo.agent.poll_timeout(), Some(deadline));
    }
}

// req: I14
#[test]
fn a_clock_that_jumps_is_one_late_call() {
    let mut story = crate::support::connected(1);
    story.sleep(secs(20));
    story.run_for(secs(2));
    assert_completed(&story);
    // Suspended for an hour: consent is long over, and that is what is said.
    story.sleep(secs(3600));
    story.step();
    story.run_for(secs(1));
    assert_eq!(story.a.state(), State::Failed);
}

// req: I20
#[test]
fn a_connected_agent_wakes_only_to_send() {
    let mut story = crate::support::connected(1);
    story.run_for(secs(60));
    let mut wake_ups = 0;
    let end = story.now() + secs(100);
    let sent = |peer: &Peer| peer.agent.stats().requests_sent;
    let before = (sent(&story.a), story.a.agent.poll_timeout());
    let mut deadline = before.1;
    while story.now() < end {
        story.step();
        if deadline.is_some_and(|at| at <= story.now()) {
            wake_ups += 1;
        }
        deadline = story.a.agent.poll_timeout();
    }
    let checks = sent(&story.a) - before.0;
    assert!((15..=26).contains(&checks), "{checks}");
    assert!(
        wake_ups <= checks + 1,
        "{wake_ups} wake-ups for {checks} checks"
    );
}

fn run(seed: u8) -> Vec<String> {
    let peer = |seed, initiation, host| {
        Peer::new(
            seed,
            Mode::Full,
            initiation,
            Config::default(),
            &addresses(host, 3),
        )
    };
    let mut story: Story = between(
        peer(seed, Initiation::Initiating, 1),
        peer(seed + 1, Initiation::Responding, 2),
    );
    story.network.set_links(Link::hostile());
    let tap = story.network.wiretap();
    signal(&mut story);
    story.run_for(secs(30));
    tap.take()
        .into_iter()
        .map(|(at, datagram)| format!("{at:?} {datagram:?}"))
        .collect()
}

// req: I62
#[test]
fn the_same_seed_sends_the_same_datagrams_at_the_same_instants() {
    let (one, again, other) = (run(3), run(3), run(7));
    assert!(one.len() > 20);
    assert_eq!(one, again);
    assert_ne!(one, other);
}

// req: I14
#[test]
fn a_hostile_network_ends_in_a_connection() {
    for seed in 0..20 {
        let peer = |initiation, host| {
            Peer::new(
                seed,
                Mode::Full,
                initiation,
                Config::default(),
                &addresses(host, 2),
            )
        };
        let mut story = between(peer(Initiation::Initiating, 1), {
            let mut other = peer(Initiation::Responding, 2);
            other.agent = Agent::with_seed(
                [seed + 50; 32],
                Arc::new(Config::default()),
                Mode::Full,
                Initiation::Responding,
                None,
            );
            other
        });
        story.network.set_links(Link::hostile());
        signal(&mut story);
        story.drive_until(crate::support::both_in_use);
        assert!(story.elapsed() < secs(10), "{:?}", story.elapsed());
        story.run_for(secs(120));
        assert_completed(&story);
    }
}

// req: I14
#[test]
fn an_agent_whose_events_nobody_polls_tells_the_truth_at_last() {
    let mut solo = crate::support::solo::controlled_with_pairs(1);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let end: Instant = solo.now + Duration::from_secs(600);
    let mut buf = [0; 1200];
    // Disconnected and back, a hundred times, with nobody looking.
    while solo.now < end {
        solo.now += ms(1000);
        solo.agent.handle_timeout(solo.now);
        while let Some(transmit) = solo.agent.poll_transmit(&mut buf) {
            let message = floe_stun::Message::parse(&buf[..transmit.len]).unwrap();
            let (id, late) = (
                message.transaction_id(),
                solo.agent.state() == State::Disconnected,
            );
            if message.class() == floe_stun::Class::Request && late {
                let answer = crate::support::solo::success(id, local(), solo.peer.password());
                let _ = solo.agent.handle_datagram(
                    solo.now,
                    FiveTuple::udp(local(), remote(0)),
                    &answer,
                );
            }
        }
    }
    let mut last = None;
    let mut count = 0;
    while let Some(event) = solo.agent.poll_event() {
        count += 1;
        if let Event::StateChange(transition) = event {
            assert!(last.is_none_or(|to| to == transition.from));
            last = Some(transition.to);
        }
    }
    assert!(count <= 34, "{count}");
    assert_eq!(last, Some(solo.agent.state()));
}

// req: I14
#[test]
fn every_change_of_state_that_is_legal_happens_to_somebody() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(any_step(), 1..60);
    let mut seen = std::collections::HashSet::new();
    // Half of them begin in a call that is complete, where few get by chance.
    let call = [
        Step::Local(0),
        Step::LocalComplete,
        Step::Meet,
        Step::Remote(0),
        Step::RemoteComplete,
        Step::Answer {
            index: 0,
            error: None,
        },
        Step::Request {
            from: 0,
            nominate: true,
            nomination: None,
            role: None,
        },
        Step::Answer {
            index: 1,
            error: None,
        },
    ];
    for round in 0..500 {
        let mut config = Config::default();
        config.nomination = policies().swap_remove(round % 5);
        let mode = if round % 7 == 0 {
            Mode::Lite
        } else {
            Mode::Full
        };
        let initiation = if round % 2 == 0 {
            Initiation::Initiating
        } else {
            Initiation::Responding
        };
        let mut walk = Walk::new(mode, initiation, config);
        let prefix = call.iter().take(call.len() * (round / 2 % 2)).cloned();
        for step in prefix.chain(steps.new_tree(&mut runner).unwrap().current()) {
            walk.step(&step);
            walk.solo.agent.handle_timeout(walk.solo.now);
            walk.solo.drain();
        }
        for transition in walk.solo.transitions() {
            seen.insert((transition.from, transition.to));
        }
    }
    use State::{Checking, Closed, Completed, Connected, Disconnected, Failed, New};
    let states = [
        New,
        Checking,
        Connected,
        Completed,
        Disconnected,
        Failed,
        Closed,
    ];
    for from in states {
        for to in states {
            let edge = (from, to);
            assert_eq!(seen.contains(&edge), from.may_become(to), "{from} to {to}");
        }
    }
}
