//! Two sides that do what they like whenever they like, over any channel: they always end well, and the models that must not end
//! well are found out.

use super::world::*;
use floe::{
    IceGatheringState,
    signaling::{
        Failure, Side, SignalingState,
        link::{self, Envelope, Link, SessionId},
        negotiation::{Config, Message, OfferIds, Resumption},
    },
};
use proptest::prelude::*;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a side does by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whim {
    Add(u8),
    Restart,
    Gathering(IceGatheringState),
}

fn whim() -> impl Strategy<Value = Whim> {
    prop_oneof![
        6 => (0..30_u8).prop_map(Whim::Add),
        2 => Just(Whim::Restart),
        1 => Just(Whim::Gathering(IceGatheringState::Gathering)),
        1 => Just(Whim::Gathering(IceGatheringState::Complete)),
    ]
}

/// Who does what, and how long after the one before.
pub(crate) fn whims() -> impl Strategy<Value = Vec<(usize, Whim, u64)>> {
    prop::collection::vec((0..2_usize, whim(), 0..40_u64), 1..40)
}

pub(crate) fn follow(world: &mut World, who: usize, whim: Whim) {
    let now = world.now();
    match whim {
        Whim::Add(track) => world.add_track(who, track),
        Whim::Restart => world.restart_ice(who),
        Whim::Gathering(state) => {
            world.parties[who]
                .machine
                .handle_gathering_state(now, state);
            world.settle();
        }
    }
}

fn live(world: &mut World, whims: &[(usize, Whim, u64)]) {
    for &(who, whim, pause) in whims {
        follow(world, who, whim);
        world.run_for(ms(pause));
    }
    for who in [POLITE, IMPOLITE] {
        follow(world, who, Whim::Gathering(IceGatheringState::Complete));
    }
    world.run();
}

/// Each side makes at most one offer for each of its own whims, and one more for each of the peer's that it yields to.
fn assert_bounded(world: &World, whims: usize) {
    for party in &world.parties {
        assert!(
            party.offers() <= 2 * whims + 1,
            "{} offers for {whims} whims",
            party.offers()
        );
        assert!(
            party.native.rounds.len() <= 2 * whims,
            "{} rounds",
            party.native.rounds.len()
        );
    }
}

// req: P19 N1
#[test]
fn whatever_both_do_over_a_channel_in_order_they_end_in_agreement() {
    proptest!(ProptestConfig::with_cases(400), |(seed: u64, whims in whims(), latency in 0..40_u64, labour in 0..20_u64)| {
        let mut world = World::random(seed, ms(latency), ms(labour));
        live(&mut world, &whims);
        world.assert_agreed();
        world.assert_no_failure();
        assert_bounded(&world, whims.len());
    });
}

/// The W3C's example knows no numbers, and needs none while the order is kept.
// req: P19
#[test]
fn without_numbers_they_do_too() {
    let mut config = Config::default();
    config.offer_ids = OfferIds::Absent;
    proptest!(ProptestConfig::with_cases(200), |(seed: u64, whims in whims())| {
        let mut world = World::with(&config);
        world.random = sim::Random::new(seed);
        (world.latency, world.labour, world.jitter) = (ms(30), ms(10), true);
        live(&mut world, &whims);
        world.assert_agreed();
        world.assert_no_failure();
    });
}

/// The session below the negotiation: two links, and channels that lose, repeat and delay what goes through them.
struct Session {
    /// The accepting one is there when the first greeting has come.
    links: [Option<Link<Message>>; 2],
    packets: Vec<(Instant, usize, Envelope<Message>)>,
    next_channel: Instant,
    config: Arc<link::Config>,
}

impl Session {
    /// A channel lasts so long; what it lost goes through the next one.
    const CHANNEL: Duration = Duration::from_millis(50);

    fn new(now: Instant) -> Self {
        let config = Arc::new(link::Config::default());
        let dialing = Link::dialing(now, SessionId::from_bytes([7; 16]), config.clone());
        Self {
            links: [Some(dialing.expect("defaults work")), None],
            packets: Vec::new(),
            next_channel: now,
            config,
        }
    }

    /// Takes what the parties have sent, and gives them what has come.
    fn carry(&mut self, world: &mut World, loss: f64) {
        let now = world.now();
        if let Some(dialing) = &mut self.links[POLITE]
            && now >= self.next_channel
        {
            self.next_channel = now + Self::CHANNEL;
            dialing.handle_channel_opened(now);
        }
        for from in [POLITE, IMPOLITE] {
            let Some(link) = &mut self.links[from] else {
                continue;
            };
            for (_, message) in world.channel[1 - from].drain(..) {
                link.send(now, message).expect("few messages wait");
            }
            if link.poll_timeout().is_some_and(|due| due <= now) {
                link.handle_timeout(now);
            }
            while link.poll_action().is_some() || link.poll_event().is_some() {}
            while let Some(envelope) = link.poll_transmit() {
                let copies = 1 + usize::from(world.random.chance(0.2));
                let arrives = (0..copies).filter(|_| !world.random.chance(loss)).count();
                let late = |_| now + world.random.up_to(ms(60));
                let times: Vec<_> = (0..arrives).map(late).collect();
                let packet = |at| (at, 1 - from, envelope.clone());
                self.packets.extend(times.into_iter().map(packet));
            }
        }
        let (due, later) = self.packets.drain(..).partition(|(at, ..)| *at <= now);
        self.packets = later;
        let due: Vec<_> = due;
        for (_, to, envelope) in due {
            self.arrive(world, to, envelope);
        }
    }

    fn arrive(&mut self, world: &mut World, to: usize, envelope: Envelope<Message>) {
        let now = world.now();
        match &mut self.links[to] {
            Some(link) => _ = link.handle_envelope(now, envelope),
            None => self.links[to] = Link::accept(now, envelope, self.config.clone()).ok(),
        }
        while let Some(message) = self.links[to].as_mut().and_then(Link::poll_message) {
            world.tell(to, message);
        }
    }

    fn is_done(&self, world: &World) -> bool {
        let is_done = |link: &Option<Link<Message>>| {
            link.as_ref().is_some_and(|link| link.unacknowledged() == 0)
        };
        self.links.iter().all(is_done) && world.channel.iter().all(VecDeque::is_empty)
    }
}

// req: P20
#[test]
fn loss_repetition_and_delay_below_the_session_make_no_difference() {
    proptest!(ProptestConfig::with_cases(80), |(seed: u64, whims in whims(), loss in 0.0..0.5_f64)| {
        let mut world = World::random(seed, ms(0), ms(5));
        world.up = [false; 2]; // what is sent goes through the session
        let mut session = Session::new(world.now());
        for &(who, whim, pause) in &whims {
            follow(&mut world, who, whim);
            for _ in 0..pause {
                session.carry(&mut world, loss);
                world.run_for(ms(1));
            }
        }
        for who in [POLITE, IMPOLITE] {
            follow(&mut world, who, Whim::Gathering(IceGatheringState::Complete));
        }
        let mut quiet = 0;
        while quiet < 100 {
            session.carry(&mut world, loss);
            world.run_for(ms(1));
            quiet = if session.is_done(&world) { quiet + 1 } else { 0 };
        }
        world.assert_agreed();
        world.assert_no_failure();
    });
}

/// Whether they end in agreement on every round, over a channel that does not keep the order.
fn agrees_without_order(seed: u64) -> bool {
    let mut world = World::random(seed, ms(30), ms(5));
    world.order = Order::Broken;
    for track in 1..=8 {
        world.add_track(POLITE, track);
        world.add_track(IMPOLITE, 100 + track);
        world.run_for(ms(u64::from(track) * 7));
    }
    world.run();
    let [polite, impolite] = &world.parties;
    polite.state() == SignalingState::Stable
        && impolite.state() == SignalingState::Stable
        && polite.native.rounds == impolite.native.rounds
}

// req: P21 N30
#[test]
fn without_the_order_of_the_session_the_model_finds_the_divergence() {
    let found = (0..200).filter(|seed| !agrees_without_order(*seed)).count();
    assert!(found > 0, "the model would not notice");
}

// req: N30
#[test]
fn why_the_order_matters() {
    // The impolite side answers the first offer and makes one of its own at once; the channel exchanges the two.
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run_for(ms(12));
    world.up[POLITE] = false;
    world.add_track(IMPOLITE, 2);
    world.run();
    let exchanged: Vec<_> = world.channel[POLITE].drain(..).rev().collect();
    assert_eq!(exchanged.len(), 2);
    let answered = world.impolite().native.rounds.clone();
    assert_eq!(answered.len(), 1, "it holds the first round");
    for (at, message) in exchanged {
        world.channel[POLITE].push_back((at.max(world.now()), message));
    }
    world.up[POLITE] = true;
    world.run();
    // The polite side took the offer back that had been answered already: it never knew of that round.
    assert_eq!(world.polite().count("roll back local"), 1);
    assert!(!world.polite().native.rounds.contains(&answered[0]));
    let [polite, impolite] = &world.parties;
    assert_ne!(polite.native.rounds, impolite.native.rounds);
    // In order it is not so.
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run_for(ms(12));
    world.up[POLITE] = false;
    world.add_track(IMPOLITE, 2);
    world.run();
    world.up[POLITE] = true;
    world.run();
    world.assert_agreed();
    assert_eq!(world.polite().count("roll back local"), 0);
}

/// How many offers a side has begun to make.
fn begun(party: &Party) -> usize {
    let is_offer = |entry: &&String| entry.starts_with("create ") && entry.ends_with("offer");
    party.native.log.iter().filter(is_offer).count()
}

// req: P22 N8 R115
#[test]
fn any_number_of_requests_during_a_round_makes_one_offer() {
    for (who, offerer) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for after in 0..30 {
            for requests in [1, 2, 7] {
                let mut world = World::new();
                world.add_track(offerer, 1);
                world.run_for(ms(after));
                let before = begun(&world.parties[who]);
                let now = world.now();
                for request in 0..requests {
                    world.parties[who].native.tracks.insert(10 + request);
                    world.parties[who].machine.negotiation_needed(now);
                    world.parties[who].machine.restart_ice(now);
                }
                world.run();
                world.assert_agreed();
                world.assert_no_failure();
                // If it crossed the other's, and this is the polite side, it had to be made again.
                let yielded = world.parties[who].count("roll back local");
                let offers = begun(&world.parties[who]) - before;
                assert_eq!(offers, 1 + yielded, "{who} {offerer} {after} {requests}");
                assert!(yielded <= 1);
            }
        }
    }
}

/// Both sides add a track in each of 11 rounds: one side at once, the other a little later.
fn glare_rounds(first: usize, gap: impl Fn(u64) -> Duration, pause: Duration) -> World {
    let mut world = World::new();
    for round in 0..11 {
        let track = u8::try_from(round).expect("few rounds");
        world.add_track(first, 1 + track);
        world.run_for(gap(round));
        world.add_track(1 - first, 101 + track);
        world.run_for(pause);
    }
    world.run();
    world
}

// req: W74
#[test]
fn each_side_in_its_turn_and_both_agree() {
    for first in [POLITE, IMPOLITE] {
        let mut world = World::new();
        world.add_track(first, 1);
        world.run();
        world.assert_agreed();
        assert_eq!(world.polite().agreed().len(), 1);
        world.add_track(1 - first, 2);
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        for party in &world.parties {
            assert_eq!(party.agreed().len(), 2);
            assert_eq!(party.negotiations_needed(), 1);
            assert_eq!(party.count("roll back local"), 0);
        }
    }
}

// req: W75 N11
#[test]
fn glare_once_under_stress_and_in_line() {
    for first in [POLITE, IMPOLITE] {
        let mut world = World::new();
        for who in [first, 1 - first] {
            world.add_track(who, [1, 101][who]);
        }
        world.run();
        world.assert_agreed();
        assert_eq!(world.polite().agreed().len(), 2);
        for pause in [0, 1, 5, 10, 30, 100] {
            let shrinking = glare_rounds(first, |round| ms(9_u64.saturating_sub(round)), ms(pause));
            let none = glare_rounds(first, |_| ms(0), ms(pause));
            for world in [shrinking, none] {
                world.assert_agreed();
                world.assert_no_failure();
                for party in &world.parties {
                    assert_eq!(party.agreed().len(), 22);
                }
            }
        }
    }
}

// req: N12 N29 R124
#[test]
fn channels_that_fail_and_come_back_make_no_difference() {
    proptest!(ProptestConfig::with_cases(150), |(seed: u64, whims in whims(), outages in prop::collection::vec((any::<bool>(), 0..60_u64), 1..6))| {
        let mut world = World::random(seed, ms(20), ms(5));
        let whims: Vec<_> = whims.into_iter().filter(|(_, whim, _)| !matches!(whim, Whim::Gathering(_))).collect();
        let mut chunks = whims.chunks(whims.len() / outages.len() + 1);
        for (is_lost, outage) in outages {
            live_on(&mut world, chunks.next().unwrap_or_default());
            let resumption = if is_lost { Resumption::Lost } else { Resumption::Kept };
            fail(&mut world, resumption, ms(outage));
        }
        world.run();
        world.assert_settled();
        world.assert_no_failure();
    });
}

fn live_on(world: &mut World, whims: &[(usize, Whim, u64)]) {
    for &(who, whim, pause) in whims {
        follow(world, who, whim);
        world.run_for(ms(pause));
    }
}

/// The channel is down for a while; what was under way is lost with it, or not.
fn fail(world: &mut World, resumption: Resumption, outage: Duration) {
    let now = world.now();
    world.up = [false; 2];
    for party in &mut world.parties {
        party.machine.signaling_down(now);
    }
    world.run_for(outage);
    if resumption == Resumption::Lost {
        world.channel.iter_mut().for_each(VecDeque::clear);
    }
    let now = world.now();
    world.up = [true; 2];
    for party in &mut world.parties {
        party.machine.signaling_up(now, resumption);
    }
    world.settle();
}

/// Whatever fails, nobody is left between two states, and nothing panics.
// req: R117 R120 N14
#[test]
fn failures_anywhere_leave_both_able_to_go_on() {
    const STEPS: [&str; 9] = [
        "create offer",
        "create answer",
        "apply local offer",
        "apply local answer",
        "apply remote offer",
        "apply remote answer",
        "roll back local",
        "roll back remote",
        "add candidate",
    ];
    let failures = prop::collection::vec((0..2_usize, 0..STEPS.len(), 0..4_usize), 0..8);
    proptest!(ProptestConfig::with_cases(300), |(seed: u64, whims in whims(), failures in failures)| {
        let mut config = Config::default();
        config.max_attempts = 200;
        let mut world = World::with(&config);
        world.random = sim::Random::new(seed);
        (world.latency, world.labour, world.jitter) = (ms(20), ms(5), true);
        for (who, step, after) in failures {
            world.parties[who].native.failures.push((STEPS[step], after, Failure::Operation));
        }
        for party in &mut world.parties {
            party.machine.handle_connection_state(sim::Clock::epoch(), floe::PeerConnectionState::Connected);
        }
        live(&mut world, &whims);
        world.run_for(ms(100_000));
        for party in &mut world.parties {
            party.native.failures.clear();
        }
        world.add_track(POLITE, 50);
        world.run_for(ms(100_000));
        world.add_track(IMPOLITE, 51);
        world.run_for(ms(100_000));
        let [polite, impolite] = &world.parties;
        prop_assert_eq!(polite.state(), SignalingState::Stable);
        prop_assert_eq!(impolite.state(), SignalingState::Stable);
        prop_assert_eq!(polite.agreed(), impolite.agreed());
        prop_assert_eq!(polite.ufrag(Side::Local), impolite.ufrag(Side::Remote));
    });
}
