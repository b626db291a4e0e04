//! One network address translator, in the words of RFC 4787: how it maps, what it lets in, whether it hairpins.
//!
//! | classic name (RFC 3489 §5) | mapping (RFC 4787 §4.1) | filtering (§5) |
//! |---|---|---|
//! | full cone | endpoint-independent | endpoint-independent |
//! | restricted cone | endpoint-independent | address-dependent |
//! | port-restricted cone | endpoint-independent | address and port-dependent |
//! | symmetric | address and port-dependent | address and port-dependent |

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// How much of the other side's address a NAT looks at, when it chooses a mapping and when it lets something in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dependence {
    /// Nothing of it.
    EndpointIndependent,
    /// The IP address.
    AddressDependent,
    /// The IP address and the port.
    AddressAndPortDependent,
}

impl Dependence {
    /// All three, the most permissive first.
    pub const ALL: [Self; 3] = [
        Self::EndpointIndependent,
        Self::AddressDependent,
        Self::AddressAndPortDependent,
    ];

    /// What it sees of `endpoint`: two endpoints that look the same are treated the same.
    fn view(self, endpoint: SocketAddr) -> View {
        match self {
            Self::EndpointIndependent => (None, None),
            Self::AddressDependent => (Some(endpoint.ip()), None),
            Self::AddressAndPortDependent => (Some(endpoint.ip()), Some(endpoint.port())),
        }
    }
}

type View = (Option<IpAddr>, Option<u16>);

/// How a NAT behaves. All fields but the address may change at any time; mappings that exist stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// Its address outside: every mapping is a port of it.
    pub public: IpAddr,
    /// For which destinations one inside address keeps one mapping.
    pub mapping: Dependence,
    /// Who may send in through a mapping, given whom it was used to send to.
    pub filtering: Dependence,
    /// Whether what is sent from inside to a mapping comes back in, with its own mapping as the source
    /// (RFC 4787 §6, REQ-9a).
    pub hairpinning: bool,
    /// How long a mapping lives after something was last sent out through it, and a filter entry after something was
    /// last sent to that endpoint. What comes in refreshes neither (RFC 4787 §4.3, REQ-6).
    pub lifetime: Duration,
}

impl Nat {
    /// A NAT without hairpinning whose mappings live for two minutes (RFC 4787 §4.3, REQ-5).
    #[must_use]
    pub fn new(public: IpAddr, mapping: Dependence, filtering: Dependence) -> Self {
        Self {
            public,
            mapping,
            filtering,
            hairpinning: false,
            lifetime: Duration::from_secs(120),
        }
    }

    /// One mapping for all destinations, open to everybody.
    #[must_use]
    pub fn full_cone(public: IpAddr) -> Self {
        Self::new(
            public,
            Dependence::EndpointIndependent,
            Dependence::EndpointIndependent,
        )
    }

    /// One mapping for all destinations, open to the IP addresses it was used for.
    #[must_use]
    pub fn restricted_cone(public: IpAddr) -> Self {
        Self::new(
            public,
            Dependence::EndpointIndependent,
            Dependence::AddressDependent,
        )
    }

    /// One mapping for all destinations, open to the transport addresses it was used for.
    #[must_use]
    pub fn port_restricted_cone(public: IpAddr) -> Self {
        Self::new(
            public,
            Dependence::EndpointIndependent,
            Dependence::AddressAndPortDependent,
        )
    }

    /// A mapping per destination, open to that destination.
    #[must_use]
    pub fn symmetric(public: IpAddr) -> Self {
        Self::new(
            public,
            Dependence::AddressAndPortDependent,
            Dependence::AddressAndPortDependent,
        )
    }

    /// The same NAT, hairpinning.
    #[must_use]
    pub fn with_hairpinning(self) -> Self {
        Self {
            hairpinning: true,
            ..self
        }
    }

    /// The same NAT with another [lifetime](Self::lifetime) of its mappings.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }
}

/// A NAT and its table.
#[derive(Debug)]
pub(crate) struct Translator {
    pub(crate) nat: Nat,
    mappings: Vec<Mapping>,
    last_port: u16,
}

#[derive(Debug)]
struct Mapping {
    inside: SocketAddr,
    /// The destinations it is for, as the NAT sees them.
    toward: View,
    port: u16,
    /// Whom it was used to send to, and when last: what filtering goes by.
    sent: BTreeMap<SocketAddr, Instant>,
}

/// The first ports of a table are above this one: ports are never those of a host by chance.
const BELOW_MAPPINGS: u16 = 19_999;

impl Translator {
    pub(crate) fn new(nat: Nat) -> Self {
        Self {
            nat,
            mappings: Vec::new(),
            last_port: BELOW_MAPPINGS,
        }
    }

    /// The source under which a datagram from `inside` to `destination` leaves. Makes the mapping, or refreshes it.
    pub(crate) fn outbound(
        &mut self,
        now: Instant,
        inside: SocketAddr,
        destination: SocketAddr,
    ) -> SocketAddr {
        self.expire(now);
        let toward = self.nat.mapping.view(destination);
        let wanted = |mapping: &Mapping| mapping.inside == inside && mapping.toward == toward;
        let index = self.mappings.iter().position(wanted).unwrap_or_else(|| {
            let port = self.free_port();
            self.mappings.push(Mapping {
                inside,
                toward,
                port,
                sent: BTreeMap::new(),
            });
            self.mappings.len() - 1
        });
        let mapping = &mut self.mappings[index];
        mapping.sent.insert(destination, now);
        SocketAddr::new(self.nat.public, mapping.port)
    }

    /// Whom a datagram from `source` to `port` of this NAT reaches; `None` if there is no such mapping or the filter
    /// is against it.
    pub(crate) fn inbound(
        &mut self,
        now: Instant,
        source: SocketAddr,
        port: u16,
    ) -> Option<SocketAddr> {
        self.expire(now);
        let filtering = self.nat.filtering;
        let source = filtering.view(source);
        let mapping = self.mappings.iter().find(|mapping| mapping.port == port)?;
        let mut known = mapping.sent.keys().map(|known| filtering.view(*known));
        known.any(|known| known == source).then_some(mapping.inside)
    }

    /// Forgets every mapping; the next ones have other ports.
    pub(crate) fn forget(&mut self) {
        self.mappings.clear();
    }

    /// The mappings of `inside`, as they are seen from outside, oldest first.
    pub(crate) fn mappings_of(&self, inside: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        let of_inside = move |mapping: &&Mapping| mapping.inside == inside;
        let public = self.nat.public;
        let outside = move |mapping: &Mapping| SocketAddr::new(public, mapping.port);
        self.mappings.iter().filter(of_inside).map(outside)
    }

    fn expire(&mut self, now: Instant) {
        let lifetime = self.nat.lifetime;
        for mapping in &mut self.mappings {
            mapping.sent.retain(|_, sent| now < *sent + lifetime);
        }
        self.mappings.retain(|mapping| !mapping.sent.is_empty());
    }

    fn free_port(&mut self) -> u16 {
        loop {
            self.last_port = self.last_port.checked_add(1).unwrap_or(BELOW_MAPPINGS + 1);
            if self.mappings.iter().all(|m| m.port != self.last_port) {
                return self.last_port;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, address};

    fn inside(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn public() -> IpAddr {
        IpAddr::from([203, 0, 113, 1])
    }

    /// Another port of the host that has `address`.
    fn next_to(address: SocketAddr) -> SocketAddr {
        SocketAddr::new(address.ip(), address.port() + 1)
    }

    #[test]
    fn mapping_depends_on_what_the_nat_looks_at() {
        let now = Clock::epoch();
        for (mapping, same_host, other_host) in [
            (Dependence::EndpointIndependent, true, true),
            (Dependence::AddressDependent, true, false),
            (Dependence::AddressAndPortDependent, false, false),
        ] {
            let nat = Nat::new(public(), mapping, Dependence::EndpointIndependent);
            let mut translator = Translator::new(nat);
            let mut toward = |destination| translator.outbound(now, inside(1), destination);
            let first = toward(address(2));
            assert_eq!(first.ip(), public());
            assert_eq!(toward(address(2)), first);
            assert_eq!(toward(next_to(address(2))) == first, same_host);
            assert_eq!(toward(address(3)) == first, other_host);
            assert_ne!(translator.outbound(now, inside(2), address(2)), first);
        }
    }

    #[test]
    fn filtering_depends_on_what_the_nat_looks_at() {
        let now = Clock::epoch();
        for (filtering, same_host, other_host) in [
            (Dependence::EndpointIndependent, true, true),
            (Dependence::AddressDependent, true, false),
            (Dependence::AddressAndPortDependent, false, false),
        ] {
            let nat = Nat::new(public(), Dependence::EndpointIndependent, filtering);
            let mut translator = Translator::new(nat);
            let port = translator.outbound(now, inside(1), address(2)).port();
            let mut reaches = |source| translator.inbound(now, source, port);
            assert_eq!(reaches(address(2)), Some(inside(1)));
            assert_eq!(reaches(next_to(address(2))).is_some(), same_host);
            assert_eq!(reaches(address(3)).is_some(), other_host);
            assert_eq!(translator.inbound(now, address(2), port + 1), None);
        }
    }

    #[test]
    fn only_what_goes_out_keeps_a_mapping() {
        let mut clock = Clock::new();
        let nat = Nat::full_cone(public()).with_lifetime(Duration::from_secs(30));
        let mut translator = Translator::new(nat);
        let first = translator.outbound(clock.now(), inside(1), address(2));
        clock.advance(Duration::from_secs(29));
        assert_eq!(
            translator.outbound(clock.now(), inside(1), address(3)),
            first
        );
        clock.advance(Duration::from_secs(29));
        let reaches = |translator: &mut Translator, clock: &Clock| {
            translator.inbound(clock.now(), address(2), first.port())
        };
        assert_eq!(reaches(&mut translator, &clock), Some(inside(1)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(reaches(&mut translator, &clock), None);
        let second = translator.outbound(clock.now(), inside(1), address(2));
        assert_ne!(second, first);
    }

    #[test]
    fn a_filter_entry_ends_before_its_mapping_does() {
        let mut clock = Clock::new();
        let nat = Nat::restricted_cone(public()).with_lifetime(Duration::from_secs(30));
        let mut translator = Translator::new(nat);
        let mapped = translator.outbound(clock.now(), inside(1), address(2));
        clock.advance(Duration::from_secs(20));
        translator.outbound(clock.now(), inside(1), address(3));
        clock.advance(Duration::from_secs(10));
        let mut reaches = |source| translator.inbound(clock.now(), source, mapped.port());
        assert_eq!(reaches(address(2)), None);
        assert_eq!(reaches(address(3)), Some(inside(1)));
    }

    #[test]
    fn ports_are_used_again_only_when_free() {
        let now = Clock::epoch();
        let mut translator = Translator::new(Nat::full_cone(public()));
        let kept = translator.outbound(now, inside(1), address(2));
        translator.last_port = u16::MAX;
        let next = translator.outbound(now, inside(2), address(2));
        assert_eq!(next.port(), kept.port() + 1);
    }
}
