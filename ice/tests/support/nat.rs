//! Two nodes, each at home somewhere: in the internet, behind a NAT of its own, behind the same one, behind several. The
//! STUN server and the relay stand in the internet.

use std::net::{IpAddr, SocketAddr};

use sim::{Dependence, Link, Nat, NatId, Node, Pair};

use super::servers::{Host, Relay, StunServer};

/// Mapping and filtering of a NAT.
pub(crate) type Behaviour = (Dependence, Dependence);

const INDEPENDENT: Dependence = Dependence::EndpointIndependent;
const BY_ADDRESS: Dependence = Dependence::AddressDependent;
const BY_PORT: Dependence = Dependence::AddressAndPortDependent;

pub(crate) const FULL_CONE: Behaviour = (INDEPENDENT, INDEPENDENT);
pub(crate) const RESTRICTED: Behaviour = (INDEPENDENT, BY_ADDRESS);
pub(crate) const PORT_RESTRICTED: Behaviour = (INDEPENDENT, BY_PORT);
pub(crate) const SYMMETRIC: Behaviour = (BY_PORT, BY_PORT);

/// Where the two are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Homes {
    /// Each behind these NATs, the innermost first; behind none, in the internet.
    Apart(Vec<Behaviour>, Vec<Behaviour>),
    /// Both behind one NAT, which hairpins or not.
    Together {
        behaviour: Behaviour,
        hairpinning: bool,
        /// Whether they also reach each other directly; a guest network does not let them.
        reachable: bool,
    },
    /// Each behind a NAT of its own, and those behind one carrier's, which hairpins or not.
    OneCarrier {
        homes: [Behaviour; 2],
        carrier: Behaviour,
        hairpinning: bool,
    },
}

pub(crate) fn apart(a: Option<Behaviour>, b: Option<Behaviour>) -> Homes {
    Homes::Apart(Vec::from_iter(a), Vec::from_iter(b))
}

/// The NATs of a world, each side's from the inside out.
pub(crate) struct Nats {
    pub(crate) a: Vec<NatId>,
    pub(crate) b: Vec<NatId>,
}

pub(crate) fn stun_server() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 3478))
}

fn relay() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 2], 3478))
}

impl Homes {
    /// The socket of a side. Behind a NAT it is a private address.
    pub(crate) fn socket(&self, side: u8) -> SocketAddr {
        let private = match self {
            Self::Apart(a, b) => !if side == 1 { a } else { b }.is_empty(),
            Self::Together { .. } | Self::OneCarrier { .. } => true,
        };
        let ip = match private {
            true => [10, 0, 0, side],
            false => [192, 0, 2, side],
        };
        SocketAddr::from((ip, 5000))
    }

    /// Two nodes at home, 10 ms apart, that have not asked the servers yet. With `relays`, the sides that know of the
    /// relay.
    pub(crate) fn settle<A: Node, B: Node>(
        &self,
        seed: u64,
        (a, b): (A, B),
        relays: [bool; 2],
    ) -> (Pair<Host<A>, Host<B>>, Nats) {
        let (of_a, of_b) = (self.socket(1), self.socket(2));
        let [for_a, for_b] = relays.map(|relays| relays.then(relay));
        let a = Host::new(a, of_a, stun_server(), for_a);
        let b = Host::new(b, of_b, stun_server(), for_b);
        let mut pair = Pair::new(seed, (a, &[of_a]), (b, &[of_b]));
        pair.add_server(StunServer::default(), &[stun_server()]);
        let lent = [1, 2].map(|n| SocketAddr::new(relay().ip(), 50_000 + n));
        let of_relay = [&[relay()][..], &lent].concat();
        pair.add_server(Relay::new(relay(), &lent), &of_relay);
        let nats = self.put_nats(&mut pair);
        pair.network.set_links(Link::with_delay(super::ms(10)));
        if let Self::Together { reachable, .. } = self {
            pair.network.link(of_a, of_b).up = *reachable;
            pair.network.link(of_b, of_a).up = *reachable;
        }
        (pair, nats)
    }

    fn put_nats<A: Node, B: Node>(&self, pair: &mut Pair<A, B>) -> Nats {
        let (of_a, of_b) = (self.socket(1), self.socket(2));
        let mut built = Builder { pair, count: 0 };
        let (a, b) = match self {
            Self::Apart(a, b) => (built.chain(of_a.ip(), a), built.chain(of_b.ip(), b)),
            Self::Together {
                behaviour,
                hairpinning,
                ..
            } => {
                let (nat, _) = built.nat(*behaviour);
                built.pair.network.nat(nat).hairpinning = *hairpinning;
                built.pair.network.place_behind(nat, of_a.ip());
                built.pair.network.place_behind(nat, of_b.ip());
                (vec![nat], vec![nat])
            }
            Self::OneCarrier {
                homes: [a, b],
                carrier,
                hairpinning,
            } => {
                let (carrier, _) = built.nat(*carrier);
                built.pair.network.nat(carrier).hairpinning = *hairpinning;
                let mut home = |ip, behaviour| {
                    let (nat, public) = built.nat(behaviour);
                    built.pair.network.place_behind(nat, ip);
                    built.pair.network.place_behind(carrier, public);
                    vec![nat, carrier]
                };
                (home(of_a.ip(), *a), home(of_b.ip(), *b))
            }
        };
        Nats { a, b }
    }
}

struct Builder<'p, A, B> {
    pair: &'p mut Pair<A, B>,
    count: u8,
}

impl<A: Node, B: Node> Builder<'_, A, B> {
    fn nat(&mut self, (mapping, filtering): Behaviour) -> (NatId, IpAddr) {
        self.count += 1;
        let public = IpAddr::from([203, 0, 113, self.count]);
        let nat = Nat::new(public, mapping, filtering);
        (self.pair.network.add_nat(nat), public)
    }

    /// A host behind NATs, the innermost first.
    fn chain(&mut self, mut ip: IpAddr, behaviours: &[Behaviour]) -> Vec<NatId> {
        let behind = |behaviour| {
            let (nat, public) = self.nat(behaviour);
            self.pair.network.place_behind(nat, ip);
            ip = public;
            nat
        };
        behaviours.iter().copied().map(behind).collect()
    }
}
