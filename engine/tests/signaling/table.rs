//! The state table, cell by cell, and against a model that knows nothing but the table.

use crate::party::{Party, as_kind, remote, slots};
use floe::signaling::{
    Action, Completed, Config, Description, Effect, Event, Failure, ForeignDescriptions,
    OperationError, RollbackThrough, SdpType, Side, Signaling, SignalingState, Step,
};
use proptest::prelude::*;
use std::{sync::Arc, time::Instant};

/// Rows as [`SignalingState::ALL`], columns as [`Step::ALL`]. `-`: refused. `=`: stays. `+s`: through stable to `s`. `?`: D4.
const TABLE: [[&str; 9]; 6] = [
    ["lo", "-", "-", "-", "ro", "-", "-", "-", "x"],
    ["=", "-", "-", "s", "+ro", "rp", "s", "?", "x"],
    ["-", "lp", "s", "?", "=", "-", "-", "s", "x"],
    ["-", "=", "s", "-", "-", "-", "-", "-", "x"],
    ["-", "-", "-", "-", "-", "=", "s", "-", "x"],
    ["-", "-", "-", "-", "-", "-", "-", "-", "="],
];

const NAMES: [&str; 6] = ["s", "lo", "ro", "lp", "rp", "x"];

fn state_named(name: &str) -> SignalingState {
    let index = NAMES.iter().position(|known| *known == name);
    SignalingState::ALL[index.expect("it is a name")]
}

fn cell(state: SignalingState, step: Step, rollback: RollbackThrough) -> &'static str {
    let mut rows = SignalingState::ALL.into_iter().zip(TABLE);
    let row = rows.find(|(of, _)| *of == state).map(|(_, row)| row);
    let mut cells = Step::ALL.into_iter().zip(row.expect("it is a state"));
    let cell = cells.find(|(of, _)| *of == step).map(|(_, cell)| cell);
    match (cell.expect("it is a step"), rollback) {
        ("?", RollbackThrough::Owner) => "-",
        ("?", RollbackThrough::Either) => "s",
        (cell, _) => cell,
    }
}

// req: R29 R30 R31 R32 R33 R34
#[test]
fn the_function_is_the_table() {
    assert_eq!(SignalingState::default(), SignalingState::Stable);
    for rollback in [RollbackThrough::Owner, RollbackThrough::Either] {
        for state in SignalingState::ALL {
            for step in Step::ALL {
                let effect = state.step(step, rollback);
                match cell(state, step, rollback) {
                    "-" => {
                        let refused = effect.expect_err("it is refused");
                        assert_eq!((refused.state, refused.step), (state, step));
                    }
                    "=" => assert_eq!(effect, Ok(Effect::Stay), "{step} in {state}"),
                    "+ro" => assert_eq!(
                        effect,
                        Ok(Effect::RollBackThenGo(SignalingState::HaveRemoteOffer))
                    ),
                    to => assert_eq!(effect, Ok(Effect::Go(state_named(to))), "{step} in {state}"),
                }
            }
        }
    }
}

/// A machine brought to this state by the shortest way.
fn machine_in(state: SignalingState, rollback: RollbackThrough) -> Party {
    let mut config = Config::default();
    config.rollback = rollback;
    config.foreign_descriptions = ForeignDescriptions::Accept;
    let mut party = Party::with(config);
    let local = |kind| Description::new(kind, "ours");
    let steps: &[(Side, SdpType)] = match state {
        SignalingState::Stable | SignalingState::Closed => &[],
        SignalingState::HaveLocalOffer => &[(Side::Local, SdpType::Offer)],
        SignalingState::HaveRemoteOffer => &[(Side::Remote, SdpType::Offer)],
        SignalingState::HaveLocalPranswer => &[
            (Side::Remote, SdpType::Offer),
            (Side::Local, SdpType::Pranswer),
        ],
        SignalingState::HaveRemotePranswer => &[
            (Side::Local, SdpType::Offer),
            (Side::Remote, SdpType::Pranswer),
        ],
    };
    for (side, kind) in steps {
        match side {
            Side::Local => party.sld(local(*kind)),
            Side::Remote => party.srd(remote(*kind, "theirs", "r1")),
        }
        .expect("this way is open");
    }
    if state == SignalingState::Closed {
        party.signaling.close(party.now);
    }
    assert_eq!(party.signaling.state(), state);
    party.told.clear();
    party
}

// req: R29 R30 R31 R32 R33 R34 W48 W57 W61
#[test]
fn the_machine_is_the_table() {
    for rollback in [RollbackThrough::Owner, RollbackThrough::Either] {
        for state in SignalingState::ALL {
            for step in Step::ALL {
                takes(state, step, rollback);
            }
        }
    }
}

/// A machine in this state takes the step as its cell says: state, error, events; and an error leaves every slot as it was.
fn takes(state: SignalingState, step: Step, rollback: RollbackThrough) {
    let mut party = machine_in(state, rollback);
    let before = party.slots();
    let outcome = match step {
        Step::Close => {
            party.signaling.close(party.now);
            Ok(())
        }
        Step::Set(..) if state == SignalingState::Closed => {
            let now = party.now;
            let refused = set(&mut party.signaling, now, step, "new");
            assert_eq!(refused, Err(floe::signaling::Refused::Closed));
            return;
        }
        Step::Set(Side::Local, kind) => party.sld(Description::new(kind, "new")),
        Step::Set(Side::Remote, kind) => party.srd(remote(kind, "new", "r2")),
    };
    let told: Vec<_> = party.transitions().map(|change| change.to).collect();
    let cell = cell(state, step, rollback);
    let context = format!("{step} in {state}: {cell}");
    match cell {
        "-" => {
            let failed = matches!(outcome, Err(OperationError::InvalidState { state: of, .. }) if of == state);
            assert!(failed, "{context}: {outcome:?}");
            assert_eq!(party.signaling.state(), state, "{context}");
            assert_eq!(party.slots(), before, "{context}");
            assert!(told.is_empty(), "{context}");
        }
        "=" => {
            assert_eq!(outcome, Ok(()), "{context}");
            assert_eq!(
                (party.signaling.state(), told),
                (state, vec![]),
                "{context}"
            );
            let replaced = party.slots() != before;
            assert_eq!(replaced, state != SignalingState::Closed, "{context}");
        }
        "+ro" => {
            assert_eq!(outcome, Ok(()), "{context}");
            assert_eq!(
                told,
                [SignalingState::Stable, SignalingState::HaveRemoteOffer]
            );
        }
        "x" => {
            assert_eq!(party.signaling.state(), SignalingState::Closed);
            assert!(party.told.is_empty(), "closing is not told");
        }
        to => {
            assert_eq!(outcome, Ok(()), "{context}");
            assert_eq!(party.signaling.state(), state_named(to), "{context}");
            assert_eq!(told, [state_named(to)], "{context}");
        }
    }
}

fn set(
    signaling: &mut Signaling,
    now: Instant,
    step: Step,
    body: &'static str,
) -> Result<floe::signaling::OperationId, floe::signaling::Refused> {
    match step {
        Step::Set(Side::Local, kind) => {
            signaling.set_local_description(now, Description::new(kind, body))
        }
        Step::Set(Side::Remote, kind) => {
            signaling.set_remote_description(now, Description::new(kind, body))
        }
        Step::Close => unreachable!("it is no description"),
    }
}

/// Nothing but the table and four texts.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    state: SignalingState,
    /// pendingLocal, pendingRemote, currentLocal, currentRemote
    slots: [String; 4],
    rollback: RollbackThrough,
    told: Vec<SignalingState>,
}

impl Model {
    /// Takes a step, or says that it may not.
    fn take(&mut self, step: Step, body: &str, applies: Applies) -> Result<(), &'static str> {
        let cell = cell(self.state, step, self.rollback);
        let Step::Set(side, kind) = step else {
            self.state = SignalingState::Closed;
            self.slots[0].clear();
            self.slots[1].clear();
            self.told.clear();
            return Ok(());
        };
        if cell == "-" {
            return Err("state");
        }
        if cell == "+ro" {
            self.slots[0].clear();
            self.go("s");
        }
        if applies == Applies::No && kind != SdpType::Rollback {
            return Err("refused");
        }
        let text = format!("{kind} {body}");
        let (own, other) = if side == Side::Local { (0, 1) } else { (1, 0) };
        match kind {
            SdpType::Offer | SdpType::Pranswer => self.slots[own] = text,
            SdpType::Answer => {
                self.slots[2 + own] = text;
                self.slots[2 + other] = std::mem::take(&mut self.slots[other]);
                self.slots[own].clear();
            }
            SdpType::Rollback => {
                self.slots[0].clear();
                self.slots[1].clear();
            }
        }
        if cell != "=" {
            self.go(cell.trim_start_matches('+'));
        }
        Ok(())
    }

    fn go(&mut self, name: &str) {
        self.state = state_named(name);
        self.told.push(self.state);
    }
}

/// Whether the caller can apply a description.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Applies {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Set(Side, SdpType, Applies),
    CreateOffer,
    CreateAnswer,
    Implied,
    Close,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let side = prop_oneof![Just(Side::Local), Just(Side::Remote)];
    let kind = prop_oneof![
        3 => Just(SdpType::Offer),
        1 => Just(SdpType::Pranswer),
        3 => Just(SdpType::Answer),
        2 => Just(SdpType::Rollback),
    ];
    let set = (
        side,
        kind,
        prop_oneof![9 => Just(Applies::Yes), 1 => Just(Applies::No)],
    )
        .prop_map(|(side, kind, applies)| Move::Set(side, kind, applies));
    let one = prop_oneof![
        30 => set,
        3 => Just(Move::CreateOffer),
        3 => Just(Move::CreateAnswer),
        6 => Just(Move::Implied),
        1 => Just(Move::Close),
    ];
    prop::collection::vec(one, 1..60)
}

/// Carries out every action; `applies` says whether descriptions can be.
fn carry_out(signaling: &mut Signaling, now: Instant, applies: Applies, body: &str) -> Vec<Event> {
    let mut told = Vec::new();
    while let Some(action) = signaling.poll_action() {
        let made = |kind| {
            let description = Description::new(kind, body.to_owned());
            Ok(Completed::Created(Arc::new(description)))
        };
        let result = match &action {
            Action::CreateOffer { .. } => made(SdpType::Offer),
            Action::CreateAnswer { .. } => made(SdpType::Answer),
            Action::Apply { .. } if applies == Applies::No => Err(Failure::Operation),
            _ => Ok(Completed::Done),
        };
        signaling
            .complete(now, action.operation(), result)
            .expect("it was asked for");
    }
    told.extend(std::iter::from_fn(|| signaling.poll_event()));
    told
}

proptest! {
    // req: P16 P17 P18 E10
    #[test]
    fn any_sequence_goes_as_the_table_says(
        moves in moves(),
        either in any::<bool>(),
    ) {
        let now = sim::Clock::epoch();
        let rollback = if either { RollbackThrough::Either } else { RollbackThrough::Owner };
        let mut config = Config::default();
        config.rollback = rollback;
        config.foreign_descriptions = ForeignDescriptions::Accept;
        let mut signaling = Signaling::new(now, Arc::new(config)).unwrap();
        let mut model = Model {
            state: SignalingState::Stable,
            slots: Default::default(),
            rollback,
            told: Vec::new(),
        };
        let mut at_stable = model.slots.clone();
        for (index, one) in moves.into_iter().enumerate() {
            let body = format!("number {index}");
            model.told.clear();
            let (expected, told) = match one {
                Move::Close => {
                    signaling.close(now);
                    (model.take(Step::Close, "", Applies::Yes), vec![])
                }
                Move::Set(side, kind, applies) => {
                    let description = Description::new(kind, body.clone());
                    let id = match side {
                        Side::Local => signaling.set_local_description(now, description),
                        Side::Remote => signaling.set_remote_description(now, description),
                    };
                    let told = carry_out(&mut signaling, now, applies, &body);
                    prop_assert_eq!(id.is_err(), model.state == SignalingState::Closed);
                    (model.take(Step::Set(side, kind), &body, applies), told)
                }
                Move::CreateOffer | Move::CreateAnswer | Move::Implied => {
                    continue_with(one, &mut signaling, &mut model, now, &body)
                }
            };
            prop_assert_eq!(signaling.state(), model.state);
            prop_assert_eq!(&slots(&signaling), &model.slots);
            let states: Vec<_> = told.iter().filter_map(|event| match event {
                Event::SignalingStateChange(change) => Some(change.to),
                _ => None,
            }).collect();
            prop_assert_eq!(&states, &model.told);
            let error = told.iter().find_map(|event| match event {
                Event::Failed(_, OperationError::InvalidState { .. }) => Some("state"),
                Event::Failed(_, _) => Some("refused"),
                _ => None,
            });
            if model.state != SignalingState::Closed {
                prop_assert_eq!(error, expected.err());
            }

            // Nothing is pending exactly in stable, or after the end; and one side's offer at most.
            let nothing_pending = model.slots[0].is_empty() && model.slots[1].is_empty();
            let settled = matches!(signaling.state(), SignalingState::Stable | SignalingState::Closed);
            prop_assert_eq!(slots(&signaling)[..2].iter().all(String::is_empty), settled);
            prop_assert_eq!(nothing_pending, settled);
            let offers = slots(&signaling)[..2].iter().filter(|text| text.starts_with("offer")).count();
            prop_assert!(offers <= 1);
            // What was rolled back is as it was on leaving stable.
            if told.iter().any(|event| matches!(event, Event::SignalingStateChange(change)
                if change.step == Step::Set(Side::Local, SdpType::Rollback) || change.step == Step::Set(Side::Remote, SdpType::Rollback)))
            {
                prop_assert_eq!(&slots(&signaling)[2..], &at_stable[2..]);
            }
            if signaling.state() == SignalingState::Stable {
                at_stable = slots(&signaling);
            }
        }
    }
}

/// The moves that create something.
fn continue_with(
    one: Move,
    signaling: &mut Signaling,
    model: &mut Model,
    now: Instant,
    body: &str,
) -> (Result<(), &'static str>, Vec<Event>) {
    use SignalingState::{HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, Stable};
    let asked = match one {
        Move::CreateOffer => signaling.create_offer(now, Default::default()),
        Move::CreateAnswer => signaling.create_answer(now),
        _ => signaling.set_implied_description(now),
    };
    let before = slots(signaling);
    let told = carry_out(signaling, now, Applies::Yes, body);
    if asked.is_err() {
        assert_eq!(model.state, SignalingState::Closed);
        return (Ok(()), told);
    }
    let allowed = |states: &[SignalingState]| {
        if states.contains(&model.state) {
            Ok(())
        } else {
            Err("state")
        }
    };
    let expected = match one {
        Move::CreateOffer => allowed(&[Stable, HaveLocalOffer]),
        Move::CreateAnswer => allowed(&[HaveRemoteOffer, HaveLocalPranswer]),
        _ => {
            let kind = match model.state {
                HaveRemoteOffer | HaveLocalPranswer => SdpType::Answer,
                _ => SdpType::Offer,
            };
            // What was created before may be used again: the model takes over the text.
            let after = slots(signaling);
            let set = if kind == SdpType::Answer {
                &after[2]
            } else {
                &after[0]
            };
            let text = set.split_once(' ').map_or("", |(_, text)| text).to_owned();
            let expected = model.take(Step::Set(Side::Local, kind), &text, Applies::Yes);
            assert_eq!(
                expected.is_err(),
                after == before && model.state == SignalingState::HaveRemotePranswer
            );
            expected
        }
    };
    (expected, told)
}

// req: W68
#[test]
fn a_description_keeps_its_kind_through_a_provisional_answer() {
    let mut party = Party::new();
    party.sld_implied().unwrap();
    party.srd(remote(SdpType::Pranswer, "same", "r1")).unwrap();
    assert_eq!(party.slots(), ["offer offer 1", "pranswer same", "", ""]);
    party.srd(remote(SdpType::Answer, "same", "r1")).unwrap();
    assert_eq!(party.slots(), ["", "", "offer offer 1", "answer same"]);

    let mut party = Party::new();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    let answer = party.answer();
    party.sld(as_kind(&answer, SdpType::Pranswer)).unwrap();
    assert_eq!(party.slots(), ["pranswer answer 1", "offer theirs", "", ""]);
    party.sld(answer).unwrap();
    assert_eq!(party.slots(), ["", "", "answer answer 1", "offer theirs"]);
}

#[test]
fn the_states_and_steps_print_in_the_words_of_webrtc_pc() {
    let words: Vec<_> = SignalingState::ALL.map(|state| state.to_string()).into();
    assert_eq!(
        words,
        [
            "stable",
            "have-local-offer",
            "have-remote-offer",
            "have-local-pranswer",
            "have-remote-pranswer",
            "closed"
        ]
    );
    for state in SignalingState::ALL {
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(json, format!("\"{state}\""));
    }
    let steps = Step::ALL.map(|step| step.to_string());
    assert_eq!(steps[1], "setLocalDescription(pranswer)");
    assert_eq!(steps[7], "setRemoteDescription(rollback)");
    assert_eq!(steps[8], "close");
}
