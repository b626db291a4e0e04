//! Both sides restart at once: every order in which their restarts and messages can follow each other, under both
//! conventions of signaling (RFC 8445 §9, RFC 9429 §4.1.10.2), with media flowing throughout.

use std::collections::VecDeque;
use std::time::Duration;

use floe_ice::{Candidate, Config, Initiation, Mode, RemoteParameters, Role, State, Timing};

use crate::support::talker::{Call, Talker, expect_no_gap, talking};
use crate::support::{Peer, addresses, ms, secs};

/// How signaling settles that two offers cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convention {
    /// Perfect negotiation: one side takes its own offer back, the other ignores the one it gets.
    OneRollsBack,
    /// No offers and answers: whoever has restarted takes what comes next for the other half.
    EachAnswersTheOther,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    RestartA,
    RestartB,
    DeliverToA,
    DeliverToB,
}

use Action::{DeliverToA, DeliverToB, RestartA, RestartB};

#[derive(Clone, Debug)]
enum Message {
    Offer(RemoteParameters, Vec<Candidate>),
    Answer(RemoteParameters, Vec<Candidate>),
}

/// One side's signaling.
#[derive(Default)]
struct Signaling {
    /// What was sent to it.
    inbox: VecDeque<Message>,
    /// Whether an offer of its own awaits its answer.
    offering: bool,
    restarts: usize,
    polite: bool,
}

struct World {
    call: Call,
    of_a: Signaling,
    of_b: Signaling,
    convention: Convention,
}

fn words(talker: &Talker) -> (RemoteParameters, Vec<Candidate>) {
    (talker.remote_parameters(), talker.candidates())
}

fn take_other_half(talker: &mut Talker, now: std::time::Instant, candidates: &[Candidate]) {
    for candidate in candidates {
        talker
            .agent
            .add_remote_candidate(now, candidate.clone())
            .unwrap();
    }
    talker.agent.remote_candidates_complete(now);
    talker.agent.local_candidates_complete(now);
}

impl World {
    fn new(convention: Convention, restarts: usize) -> Self {
        let peer = |seed, initiation| {
            let mut timing = Timing::default();
            timing.generation_linger = secs(1);
            let own = addresses(seed, 2);
            Peer::new(
                seed,
                Mode::Full,
                initiation,
                Config::with_timing(timing),
                &own,
            )
        };
        let a = peer(1, Initiation::Initiating);
        let b = peer(2, Initiation::Responding);
        let signaling = |polite| Signaling {
            polite,
            restarts,
            ..Signaling::default()
        };
        Self {
            call: talking(a, b),
            of_a: signaling(false),
            of_b: signaling(true),
            convention,
        }
    }

    /// What can happen next.
    fn possible(&self) -> Vec<Action> {
        let may_restart = |side: &Signaling| side.restarts > 0 && !side.offering;
        [
            (RestartA, may_restart(&self.of_a)),
            (RestartB, may_restart(&self.of_b)),
            (DeliverToA, !self.of_a.inbox.is_empty()),
            (DeliverToB, !self.of_b.inbox.is_empty()),
        ]
        .into_iter()
        .filter_map(|(action, possible)| possible.then_some(action))
        .collect()
    }

    fn act(&mut self, action: Action) {
        let now = self.call.now();
        let (talker, own, other) = match action {
            RestartA | DeliverToA => (&mut self.call.a, &mut self.of_a, &mut self.of_b),
            RestartB | DeliverToB => (&mut self.call.b, &mut self.of_b, &mut self.of_a),
        };
        match action {
            RestartA | RestartB => {
                own.restarts -= 1;
                own.offering = true;
                talker.agent.restart(now, None, None).unwrap();
                let (parameters, candidates) = words(talker);
                other
                    .inbox
                    .push_back(Message::Offer(parameters, candidates));
            }
            DeliverToA | DeliverToB => match own.inbox.pop_front().unwrap() {
                Message::Answer(parameters, candidates) => {
                    own.offering = false;
                    talker.agent.set_remote_parameters(now, parameters).unwrap();
                    take_other_half(talker, now, &candidates);
                }
                Message::Offer(parameters, candidates) if own.offering => match self.convention {
                    Convention::OneRollsBack if !own.polite => {}
                    Convention::OneRollsBack => {
                        own.offering = false;
                        talker.agent.rollback_restart(now).unwrap();
                        answer(talker, now, other, parameters, &candidates);
                    }
                    Convention::EachAnswersTheOther => {
                        own.offering = false;
                        talker.agent.set_remote_parameters(now, parameters).unwrap();
                        take_other_half(talker, now, &candidates);
                    }
                },
                Message::Offer(parameters, candidates) => {
                    answer(talker, now, other, parameters, &candidates);
                }
            },
        }
    }

    fn check(&mut self, path: &[Action]) {
        self.call.run_for(secs(3));
        let call = &self.call;
        for talker in [&call.a, &call.b] {
            assert_eq!(talker.state(), State::Completed, "{path:?}");
            assert!(!talker.agent.is_restarting(), "{path:?}");
            assert_eq!(talker.agent.local_username_fragments().count(), 1);
            let after = talker.states().split_off(3);
            let calm = |state: &State| matches!(state, State::Connected | State::Completed);
            assert!(after.iter().all(calm), "{path:?}: {after:?}");
        }
        assert_eq!(
            (call.a.agent.role(), call.b.agent.role()),
            (Some(Role::Controlling), Some(Role::Controlled))
        );
        let (of_a, of_b) = (call.a.path(), call.b.path());
        assert_eq!((of_a.local, of_a.remote), (of_b.remote, of_b.local));
        expect_no_gap(&mut self.call);
    }
}

fn answer(
    talker: &mut Talker,
    now: std::time::Instant,
    other: &mut Signaling,
    parameters: RemoteParameters,
    candidates: &[Candidate],
) {
    talker.agent.restart(now, None, Some(parameters)).unwrap();
    take_other_half(talker, now, candidates);
    let (parameters, candidates) = words(talker);
    other
        .inbox
        .push_back(Message::Answer(parameters, candidates));
}

/// Walks every order, each from the beginning, `gap` between two actions; gives how many there were.
fn explore(convention: Convention, restarts: usize, gap: Duration, path: &mut Vec<Action>) -> u32 {
    let mut world = World::new(convention, restarts);
    let before = [&world.call.a, &world.call.b].map(|t| t.agent.local_parameters().clone());
    for action in path.iter() {
        world.act(*action);
        world.call.run_for(gap);
    }
    let possible = world.possible();
    if possible.is_empty() {
        world.check(path);
        let after = [&world.call.a, &world.call.b].map(|t| t.agent.local_parameters().clone());
        assert!(before[0] != after[0] && before[1] != after[1], "{path:?}");
        return 1;
    }
    let mut count = 0;
    for action in possible {
        path.push(action);
        count += explore(convention, restarts, gap, path);
        path.pop();
    }
    count
}

// req: I15 I16 I65
#[test]
fn crossing_restarts_of_which_one_is_rolled_back_end_in_one_generation() {
    // At once; within a round trip; with the round trips of checks between; after the old generation has gone.
    for gap in [ms(0), ms(70), ms(400), secs(2)] {
        let orders = explore(Convention::OneRollsBack, 1, gap, &mut Vec::new());
        println!("{orders} orders, {gap:?} apart");
        assert!(orders > 4);
    }
}

// req: I15 I16 I65
#[test]
fn crossing_restarts_that_answer_each_other_end_in_one_generation() {
    for gap in [ms(0), ms(70), ms(400), secs(2)] {
        let orders = explore(Convention::EachAnswersTheOther, 1, gap, &mut Vec::new());
        println!("{orders} orders, {gap:?} apart");
        assert!(orders > 4);
    }
}

// req: I15 I16
#[test]
fn two_restarts_of_each_side_in_any_order_leave_one_generation() {
    for convention in [Convention::OneRollsBack, Convention::EachAnswersTheOther] {
        let orders = explore(convention, 2, ms(70), &mut Vec::new());
        println!("{orders} orders, {convention:?}");
        assert!(orders > 50);
    }
}
