//! Agents behind NATs: which pairs must connect, which cannot, and what a change of mapping does to a connection.
//!
//! Nothing is assumed of a candidate: a server-reflexive one is what a STUN server really answered, a relayed one was
//! really lent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floe_ice::nomination::Continuous;
use floe_ice::{Candidate, CandidatePair, CandidateType, Config, Initiation, Mode, State};
use sim::{Dependence, End, NatId, Pair};

use crate::support::nat::{
    Behaviour, FULL_CONE, Homes, Nats, PORT_RESTRICTED, RESTRICTED, SYMMETRIC, apart,
};
use crate::support::servers::Host;
use crate::support::{Peer, ms, secs};

type World = Pair<Host<Peer>, Host<Peer>>;

const DIRECT: [bool; 2] = [false, false];

fn candidates(host: &Host<Peer>) -> Vec<Candidate> {
    let mapped = host.mapped.filter(|mapped| *mapped != host.socket);
    let reflexive = mapped.map(|mapped| Candidate::server_reflexive(mapped, host.socket));
    let relayed = host.relayed.map(|relayed| {
        let mapped = host.mapped.expect("it was asked for first");
        Candidate::relayed(relayed, mapped)
    });
    let host = Candidate::host(host.socket);
    [Some(host), reflexive, relayed]
        .into_iter()
        .flatten()
        .collect()
}

/// Two agents that have gathered and know all of each other.
fn signalled(homes: &Homes, relays: [bool; 2], config: &Config) -> (World, Nats) {
    let peer = |seed, initiation, address: SocketAddr| {
        Peer::new(seed, Mode::Full, initiation, config.clone(), &[address])
    };
    let a = peer(1, Initiation::Initiating, homes.socket(1));
    let b = peer(2, Initiation::Responding, homes.socket(2));
    let (mut world, nats) = homes.settle(1, (a, b), relays);
    let now = world.now();
    world.a.ask(now);
    world.b.ask(now);
    world.drive_until(|a, b| a.has_answers() && b.has_answers());
    let now = world.now();
    for host in [&mut world.a, &mut world.b] {
        for candidate in candidates(host) {
            host.node.agent.add_local_candidate(now, candidate).unwrap();
        }
        host.node.agent.local_candidates_complete(now);
    }
    let (of_a, of_b) = (candidates(&world.a), candidates(&world.b));
    let parameters = world.a.node.remote_parameters();
    let (a, b) = (&mut world.a.node, &mut world.b.node);
    a.learn(now, b.remote_parameters(), &of_b);
    b.learn(now, parameters, &of_a);
    (world, nats)
}

fn selected(host: &Host<Peer>) -> Option<CandidatePair> {
    host.node.agent.selected_candidate_pair()
}

/// Runs to the end, and says whether it is a connection. If it is, both agree, and it lasts; if not, both say so, and
/// never said otherwise.
fn connects(homes: &Homes, relays: [bool; 2]) -> bool {
    let (mut world, _) = signalled(homes, relays, &Config::default());
    let settled = |host: &Host<Peer>| host.node.is_in_use() || host.node.state() == State::Failed;
    world.drive_until(|a, b| settled(a) && settled(b));
    world.run_for(secs(60));
    let ends = [&world.a, &world.b];
    let succeeded = ends.map(|host| host.node.state() == State::Completed);
    assert_eq!(succeeded[0], succeeded[1], "{homes:?}: they disagree");
    for host in ends {
        let states = host.node.states();
        let never = match succeeded[0] {
            true => [State::Disconnected, State::Failed],
            false => [State::Connected, State::Completed],
        };
        assert!(
            states.iter().all(|state| !never.contains(state)),
            "{homes:?}: {states:?}"
        );
    }
    succeeded[0]
}

fn relay_is_used(world: &World) -> bool {
    [&world.a, &world.b].into_iter().any(|host| {
        selected(host).is_some_and(|pair| {
            pair.local == CandidateType::Relayed || pair.remote == CandidateType::Relayed
        })
    })
}

// req: I2
#[test]
fn the_classic_table() {
    let rows = [
        ("open internet", None),
        ("full cone", Some(FULL_CONE)),
        ("restricted cone", Some(RESTRICTED)),
        ("port-restricted cone", Some(PORT_RESTRICTED)),
        ("symmetric", Some(SYMMETRIC)),
    ];
    let found = rows.map(|(name, a)| {
        let cells = rows.map(|(_, b)| connects(&apart(a, b), DIRECT));
        let cells = cells.map(|connects| if connects { 'x' } else { '.' });
        (name, cells.iter().collect::<String>())
    });
    // In the order of the rows.
    let expected = [
        ("open internet", "xxxxx"),
        ("full cone", "xxxxx"),
        ("restricted cone", "xxxxx"),
        ("port-restricted cone", "xxxx."),
        ("symmetric", "xxx.."),
    ];
    assert_eq!(
        found,
        expected.map(|(name, cells)| (name, cells.to_owned()))
    );
}

/// Whether two NATs can be crossed from both sides without a relay, by what must hold of a path in the end: each side's
/// mapping toward the other's is the one that the other sends to.
fn can_be_crossed((a, a_filter): Behaviour, (b, b_filter): Behaviour) -> bool {
    use Dependence::{
        AddressAndPortDependent as Port, AddressDependent as Address, EndpointIndependent as None,
    };
    match (a, b) {
        // Both mappings are known from the start, and each side's first check opens its own filter.
        (None, None) => true,
        // One mapping is new. Its first check must pass a filter that has only seen the other port.
        (None, _) => a_filter != Port,
        (_, None) => b_filter != Port,
        // Both are new. Somebody must take a check from an address never sent to; the other one, in return, from a new
        // port of an address that was.
        (Address, Address) => match (a_filter, b_filter) {
            (None, other) | (other, None) => other != Port,
            _ => false,
        },
        // As before; only the side whose mapping stays for all ports can be the one that is found last.
        (Address, Port) => {
            a_filter != Port && (b_filter == None || (a_filter == None && b_filter == Address))
        }
        (Port, Address) => {
            b_filter != Port && (a_filter == None || (b_filter == None && a_filter == Address))
        }
        // Every new port that is learned makes yet another mapping.
        (Port, Port) => false,
    }
}

fn behaviours() -> Vec<Behaviour> {
    let each = |mapping| Dependence::ALL.map(|filtering| (mapping, filtering));
    Dependence::ALL.into_iter().flat_map(each).collect()
}

// req: I2
#[test]
fn every_behaviour_of_rfc_4787_against_every_other() {
    for a in behaviours() {
        for b in behaviours() {
            let expected = can_be_crossed(a, b);
            let found = connects(&apart(Some(a), Some(b)), DIRECT);
            assert_eq!(found, expected, "{a:?} and {b:?}");
        }
    }
}

// req: I2
#[test]
fn two_behind_one_nat_meet_inside_or_by_hairpin() {
    for behaviour in behaviours() {
        for hairpinning in [false, true] {
            for reachable in [false, true] {
                let homes = Homes::Together {
                    behaviour,
                    hairpinning,
                    reachable,
                };
                let crossed = hairpinning && can_be_crossed(behaviour, behaviour);
                assert_eq!(connects(&homes, DIRECT), reachable || crossed, "{homes:?}");
            }
        }
    }
}

// req: I2
#[test]
fn with_a_relay_every_two_meet_and_it_is_used_only_where_it_must() {
    let both = |behaviour| Homes::Together {
        behaviour,
        hairpinning: false,
        reachable: false,
    };
    let mut homes: Vec<_> = behaviours().into_iter().map(both).collect();
    let ends = [
        None,
        Some(FULL_CONE),
        Some(RESTRICTED),
        Some(PORT_RESTRICTED),
        Some(SYMMETRIC),
    ];
    homes.extend(ends.into_iter().flat_map(|a| ends.map(|b| apart(a, b))));
    for homes in homes {
        let direct = connects(&homes, DIRECT);
        for relays in [[true, false], [false, true], [true, true]] {
            let (mut world, _) = signalled(&homes, relays, &Config::default());
            world.drive_until(|a, b| a.node.is_in_use() && b.node.is_in_use());
            world.run_for(secs(60));
            for host in [&world.a, &world.b] {
                assert_eq!(host.node.state(), State::Completed, "{homes:?} {relays:?}");
            }
            assert_eq!(relay_is_used(&world), !direct, "{homes:?} {relays:?}");
        }
    }
}

// req: I2
#[test]
fn nats_behind_nats_are_as_strict_as_the_strictest() {
    for (a, b, expected) in [
        (
            vec![FULL_CONE, PORT_RESTRICTED],
            vec![PORT_RESTRICTED],
            true,
        ),
        (vec![PORT_RESTRICTED, SYMMETRIC], vec![RESTRICTED], true),
        (
            vec![SYMMETRIC, FULL_CONE],
            vec![RESTRICTED, FULL_CONE],
            true,
        ),
        (
            vec![SYMMETRIC, FULL_CONE],
            vec![FULL_CONE, PORT_RESTRICTED],
            false,
        ),
        (
            vec![FULL_CONE, SYMMETRIC],
            vec![PORT_RESTRICTED, FULL_CONE],
            false,
        ),
    ] {
        let homes = Homes::Apart(a, b);
        assert_eq!(connects(&homes, DIRECT), expected, "{homes:?}");
    }
    for (hairpinning, expected) in [(true, true), (false, false)] {
        let homes = Homes::OneCarrier {
            homes: [PORT_RESTRICTED, RESTRICTED],
            carrier: PORT_RESTRICTED,
            hairpinning,
        };
        assert_eq!(connects(&homes, DIRECT), expected, "{homes:?}");
    }
}

// req: I12
#[test]
fn two_nats_that_show_ever_new_addresses_do_not_keep_agents_busy_for_ever() {
    let open = Some((
        Dependence::AddressAndPortDependent,
        Dependence::EndpointIndependent,
    ));
    let (mut world, _) = signalled(&apart(open, open), DIRECT, &Config::default());
    let failed = |host: &Host<Peer>| host.node.state() == State::Failed;
    let took = world.drive_until(|a, b| failed(a) && failed(b));
    assert!((secs(39)..secs(90)).contains(&took), "{took:?}");
    let sent = world.network.counters().sent;
    world.run_for(secs(600));
    assert_eq!(world.network.counters().sent, sent);
}

/// A call with one side behind a NAT that changes its mapping, and how long its peer sends to where nobody is.
struct Rebinding {
    world: World,
    nat: NatId,
    behind: End,
}

impl Rebinding {
    /// A controls.
    fn new(behaviour: Behaviour, behind: End, config: &Config) -> Self {
        let homes = match behind {
            End::A => apart(Some(behaviour), None),
            End::B => apart(None, Some(behaviour)),
        };
        let (mut world, nats) = signalled(&homes, DIRECT, config);
        world.drive_until(|a, b| a.node.is_in_use() && b.node.is_in_use());
        world.run_for(secs(10));
        let nat = nats.a.iter().chain(&nats.b).next();
        Self {
            nat: *nat.unwrap(),
            world,
            behind,
        }
    }

    fn outside(&self) -> &Host<Peer> {
        match self.behind {
            End::A => &self.world.b,
            End::B => &self.world.a,
        }
    }

    /// How the outside is seen to send to the side behind the NAT.
    fn remote(&self) -> SocketAddr {
        self.outside().node.path().remote
    }

    fn inside(&self) -> SocketAddr {
        match self.behind {
            End::A => self.world.a.socket,
            End::B => self.world.b.socket,
        }
    }

    /// Runs until the peer sends to the mapping that is there now.
    fn recover(&mut self) -> Duration {
        let began = self.world.now();
        loop {
            let (remote, inside) = (self.remote(), self.inside());
            let mappings = self.world.network.mappings(self.nat, inside);
            if mappings.contains(&remote) {
                return self.world.now() - began;
            }
            self.world.run_for(ms(50));
        }
    }

    /// The call goes on, consent and all; the outside knows its peer as peer-reflexive.
    fn check_nothing_was_lost(&mut self) {
        self.world.run_for(secs(60));
        for host in [&self.world.a, &self.world.b] {
            assert_eq!(host.node.state(), State::Completed);
            assert!(!host.node.states().contains(&State::Failed));
            let age = host.node.agent.consent_age(self.world.now());
            assert!(age.is_some_and(|age| age < secs(7)), "{age:?}");
        }
        let peer_reflexive = selected(self.outside()).map(|pair| pair.remote);
        assert_eq!(peer_reflexive, Some(CandidateType::PeerReflexive));
    }
}

const EVERY_NAT: [Behaviour; 4] = [FULL_CONE, RESTRICTED, PORT_RESTRICTED, SYMMETRIC];

fn continuous() -> Config {
    let mut config = Config::default();
    config.nomination = Arc::new(Continuous::default());
    config
}

// req: I2
#[test]
fn when_the_controlling_side_is_rebound_its_peer_follows_its_next_check() {
    for config in [Config::default(), continuous()] {
        for behaviour in EVERY_NAT {
            let mut story = Rebinding::new(behaviour, End::A, &config);
            for _ in 0..3 {
                story.world.network.rebind(story.nat);
                let took = story.recover();
                assert!(took < secs(7), "{behaviour:?}: {took:?}");
                story.check_nothing_was_lost();
            }
            for host in [&story.world.a, &story.world.b] {
                assert!(!host.node.states().contains(&State::Disconnected));
            }
        }
    }
}

// req: I2
#[test]
fn when_the_controlled_side_is_rebound_the_policy_says_how_soon_its_peer_follows() {
    // RFC 8445 §8.1.1 has one nomination, which stands until consent ends; browsers nominate again.
    for (config, at_most) in [(Config::default(), secs(31)), (continuous(), secs(8))] {
        for behaviour in EVERY_NAT {
            let mut story = Rebinding::new(behaviour, End::B, &config);
            for _ in 0..3 {
                story.world.network.rebind(story.nat);
                let took = story.recover();
                assert!(took < at_most, "{behaviour:?}: {took:?}");
                story.check_nothing_was_lost();
            }
        }
    }
}

// req: I20
#[test]
fn consent_checks_keep_a_mapping_that_lives_for_ten_seconds() {
    for behind in [End::A, End::B] {
        for behaviour in EVERY_NAT {
            let mut story = Rebinding::new(behaviour, behind, &Config::default());
            story.world.network.nat(story.nat).lifetime = secs(10);
            let remote = story.remote();
            story.world.run_for(secs(600));
            assert_eq!(story.remote(), remote);
            for host in [&story.world.a, &story.world.b] {
                assert_eq!(host.node.last_transition().to, State::Completed);
                assert!(!host.node.states().contains(&State::Disconnected));
            }
        }
    }
}

// req: I2
#[test]
fn mappings_that_end_in_every_silence_cost_no_connection() {
    for behaviour in EVERY_NAT {
        let mut story = Rebinding::new(behaviour, End::A, &Config::default());
        story.world.network.nat(story.nat).lifetime = secs(3);
        let mut remotes = vec![story.remote()];
        for _ in 0..60 {
            story.world.run_for(secs(5));
            remotes.push(story.remote());
        }
        remotes.dedup();
        assert!(remotes.len() > 40, "{behaviour:?}: {}", remotes.len());
        for host in [&story.world.a, &story.world.b] {
            assert!(!host.node.states().contains(&State::Disconnected));
            assert!(host.node.agent.candidate_pairs().count() <= 12);
        }
    }
}
