//! Who is behind which NAT, and the way of a datagram through them.
//!
//! ```text
//!              realm of nat 1 │ the internet          the internet │ realm of nat 0 │ realm of nat 2
//!   10.0.0.1 ── outbound ─────┼─▶ link, in flight ─────────────────┼─▶ inbound ─────┼─▶ inbound ──▶ 10.1.0.1
//!              when sent      │                        on arrival  │                │
//! ```
//!
//! A realm is what is behind one NAT; the internet is behind none. What a sender's own realm does not have goes out
//! through its NAT, and so on outwards. A NAT works where it stands: at the sender's end when a datagram is sent, at
//! the receiver's end when it arrives.

use crate::{Datagram, Fate, Nat, nat::Translator};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// Names a NAT of a [`Network`](crate::Network).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatId(usize);

/// What is behind a NAT, or, as `None`, behind none.
type Realm = Option<NatId>;

#[derive(Debug, Default)]
pub(crate) struct Topology {
    translators: Vec<Translator>,
    /// The addresses that are behind a NAT: of hosts, and of NATs behind NATs.
    behind: BTreeMap<IpAddr, NatId>,
}

impl Topology {
    pub(crate) fn add(&mut self, nat: Nat) -> NatId {
        assert!(self.nat_at(nat.public).is_none(), "sim: two NATs in one");
        self.translators.push(Translator::new(nat));
        NatId(self.translators.len() - 1)
    }

    pub(crate) fn place(&mut self, ip: IpAddr, nat: NatId) {
        self.behind.insert(ip, nat);
        let mut around = Some(nat);
        while let Some(nat) = around {
            let public = self.translators[nat.0].nat.public;
            assert_ne!(public, ip, "sim: a NAT behind itself");
            around = self.realm(public);
        }
    }

    pub(crate) fn translator(&mut self, nat: NatId) -> &mut Translator {
        &mut self.translators[nat.0]
    }

    pub(crate) fn table(&self, nat: NatId) -> &Translator {
        &self.translators[nat.0]
    }

    /// Where links to NATs end: whatever the port, it is the same way.
    pub(crate) fn entrances(&self) -> impl Iterator<Item = SocketAddr> {
        self.translators.iter().map(|t| entrance(t.nat.public))
    }

    fn realm(&self, ip: IpAddr) -> Realm {
        self.behind.get(&ip).copied()
    }

    fn nat_at(&self, ip: IpAddr) -> Option<NatId> {
        let at = |translator: &Translator| translator.nat.public == ip;
        self.translators.iter().position(at).map(NatId)
    }

    /// Takes a datagram from its sender outwards until its destination is in sight, and gives the end of the link to
    /// take from there.
    pub(crate) fn leave(
        &mut self,
        now: Instant,
        origin: SocketAddr,
        datagram: &mut Datagram,
    ) -> Result<SocketAddr, Fate> {
        let destination = datagram.destination;
        let target = self.nat_at(destination.ip());
        let far_end = match target {
            Some(_) => entrance(destination.ip()),
            None => destination,
        };
        let there = self.realm(destination.ip());
        let mut realm = self.realm(origin.ip());
        loop {
            let hairpin = target.is_some() && target == realm;
            if realm == there && !hairpin {
                return Ok(far_end);
            }
            let translator = match realm {
                Some(nat) => self.translator(nat),
                None => return Err(Fate::Unroutable),
            };
            if hairpin && !translator.nat.hairpinning {
                return Err(Fate::Filtered);
            }
            datagram.source = translator.outbound(now, datagram.source, destination);
            if hairpin {
                return Ok(far_end);
            }
            let public = translator.nat.public;
            realm = self.realm(public);
        }
    }

    /// Takes a datagram that has arrived inwards, to the host it is for.
    pub(crate) fn enter(&mut self, now: Instant, datagram: &mut Datagram) -> Result<(), Fate> {
        while let Some(nat) = self.nat_at(datagram.destination.ip()) {
            let (source, port) = (datagram.source, datagram.destination.port());
            datagram.destination = self
                .translator(nat)
                .inbound(now, source, port)
                .ok_or(Fate::Filtered)?;
        }
        Ok(())
    }
}

fn entrance(public: IpAddr) -> SocketAddr {
    SocketAddr::new(public, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Dependence, address};

    const SERVER: u8 = 9;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    fn socket(text: &str) -> SocketAddr {
        SocketAddr::new(ip(text), 5000)
    }

    struct World(Topology);

    impl World {
        /// 10.0.0.1 and 10.0.0.2 behind 203.0.113.1; 10.1.0.1 behind 100.64.0.1 behind 203.0.113.2.
        fn new(change: impl Fn(Nat) -> Nat) -> Self {
            let mut topology = Topology::default();
            let mut add = |public| topology.add(change(Nat::port_restricted_cone(ip(public))));
            let (home, carrier, nested) =
                (add("203.0.113.1"), add("203.0.113.2"), add("100.64.0.1"));
            topology.place(ip("10.0.0.1"), home);
            topology.place(ip("10.0.0.2"), home);
            topology.place(ip("100.64.0.1"), carrier);
            topology.place(ip("10.1.0.1"), nested);
            Self(topology)
        }

        /// Sends and delivers; gives the source and the destination as the receiver sees them.
        fn send(
            &mut self,
            source: SocketAddr,
            destination: SocketAddr,
        ) -> Result<(SocketAddr, SocketAddr), Fate> {
            let mut datagram = Datagram {
                source,
                destination,
                bytes: Vec::new(),
            };
            let now = Clock::epoch();
            self.0.leave(now, source, &mut datagram)?;
            self.0.enter(now, &mut datagram)?;
            Ok((datagram.source, datagram.destination))
        }

        /// How the server sees `inside`.
        fn mapped(&mut self, inside: SocketAddr) -> SocketAddr {
            let (source, _) = self
                .send(inside, address(SERVER))
                .unwrap_or_else(|fate| panic!("{fate:?}"));
            source
        }
    }

    #[test]
    fn a_private_address_is_known_only_behind_its_nat() {
        let mut world = World::new(|nat| nat);
        let (one, two, far) = (socket("10.0.0.1"), socket("10.0.0.2"), socket("10.1.0.1"));
        assert_eq!(world.send(one, two), Ok((one, two)));
        assert_eq!(world.send(one, far), Err(Fate::Unroutable));
        assert_eq!(world.send(address(SERVER), one), Err(Fate::Unroutable));
    }

    #[test]
    fn what_was_asked_for_comes_back_in() {
        let mut world = World::new(|nat| nat);
        let one = socket("10.0.0.1");
        let mapped = world.mapped(one);
        assert_eq!(mapped.ip(), ip("203.0.113.1"));
        assert_eq!(
            world.send(address(SERVER), mapped),
            Ok((address(SERVER), one))
        );
        assert_eq!(world.send(address(8), mapped), Err(Fate::Filtered));
    }

    #[test]
    fn nats_behind_nats_translate_one_after_the_other() {
        let mut world = World::new(|nat| nat);
        let far = socket("10.1.0.1");
        let mapped = world.mapped(far);
        assert_eq!(mapped.ip(), ip("203.0.113.2"));
        assert_eq!(
            world.send(address(SERVER), mapped),
            Ok((address(SERVER), far))
        );
        // Two homes meet, after both have sent.
        let one = socket("10.0.0.1");
        let other = world.mapped(one);
        assert_eq!(world.send(far, other), Err(Fate::Filtered));
        assert_eq!(world.send(one, mapped), Ok((other, far)));
        assert_eq!(world.send(far, other), Ok((mapped, one)));
    }

    #[test]
    fn hairpinning_is_the_nats_choice_and_shows_mappings_only() {
        for hairpinning in [false, true] {
            let mut world = World::new(|nat| Nat { hairpinning, ..nat });
            let (one, two) = (socket("10.0.0.1"), socket("10.0.0.2"));
            let (of_one, of_two) = (world.mapped(one), world.mapped(two));
            // The filter holds for a neighbour too.
            assert_eq!(world.send(one, of_two), Err(Fate::Filtered));
            let expected = match hairpinning {
                true => Ok((of_two, one)),
                false => Err(Fate::Filtered),
            };
            assert_eq!(world.send(two, of_one), expected);
        }
    }

    #[test]
    #[should_panic(expected = "behind itself")]
    fn no_nat_is_behind_itself() {
        let mut world = World::new(|nat| nat);
        let nested = world.0.nat_at(ip("100.64.0.1")).expect("it is there");
        world.0.place(ip("203.0.113.2"), nested);
    }

    #[test]
    fn what_a_nat_does_can_change() {
        let mut world = World::new(|nat| nat);
        let mapped = world.mapped(socket("10.0.0.1"));
        assert_eq!(world.send(address(8), mapped), Err(Fate::Filtered));
        let home = world.0.nat_at(mapped.ip()).expect("it is there");
        world.0.translator(home).nat.filtering = Dependence::EndpointIndependent;
        assert!(world.send(address(8), mapped).is_ok());
        world.0.translator(home).forget();
        assert_eq!(world.send(address(8), mapped), Err(Fate::Filtered));
        assert_ne!(world.mapped(socket("10.0.0.1")), mapped);
    }
}
