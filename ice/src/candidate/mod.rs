//! Candidates (RFC 8445 §5.1): a transport address, how it was found, and how much we like it.
//!
//! The text form of RFC 8839 is in [`text`]. Names (mDNS) can be parsed, printed and signalled; a check needs an
//! address, so a candidate with a name stays out of the checklist until somebody resolves it.

mod foundation;
mod text;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

pub use foundation::Foundation;

use crate::address::{Protocol, canonical};
use crate::packed::PackedAddress;
use crate::priority::{self, Preference};

/// Names a candidate of one agent, local or remote. Never used twice by that agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CandidateId(pub(crate) u32);

impl fmt::Display for CandidateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "candidate {}", self.0)
    }
}

/// How a candidate was found (RFC 8445 §5.1.1). Displays as `host`, `srflx`, `prflx` or `relay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum CandidateType {
    /// An address of our own interface.
    Host,
    /// What a STUN server sees.
    ServerReflexive,
    /// What the peer sees.
    PeerReflexive,
    /// An address on a TURN server.
    Relayed,
}

impl fmt::Display for CandidateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        })
    }
}

/// Who opens the connection of a TCP candidate (RFC 6544 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpType {
    /// We connect.
    Active,
    /// They connect.
    Passive,
    /// Both at once.
    SimultaneousOpen,
}

impl TcpType {
    /// Whether a connection between the two can come about (RFC 6544 §6.2).
    pub(crate) fn pairs_with(self, remote: Self) -> bool {
        matches!(
            (self, remote),
            (Self::Active, Self::Passive)
                | (Self::Passive, Self::Active)
                | (Self::SimultaneousOpen, Self::SimultaneousOpen)
        )
    }
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        })
    }
}

/// A candidate, ours or the peer's. Clones share their memory: a server's thousand agents on one socket hold its
/// candidate once.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Candidate(Arc<Facts>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Facts {
    /// What candidates of sockets do not have. `None` if there is nothing in it, so that what is equal compares equal.
    more: Option<Box<More>>,
    /// Of IPv4 the mapped address, which IPv6's canonical addresses never are; of no meaning while there is a name.
    ip: Ipv6Addr,
    port: u16,
    /// The foundation, unless there is one of letters.
    foundation: u32,
    priority: u32,
    component: u16,
    /// Not signalled.
    epoch: u16,
    kind: CandidateType,
    protocol: Protocol,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct More {
    /// What stands for an address.
    name: Option<Box<str>>,
    /// The zone of the address, 0 for none.
    zone: u32,
    /// Where checks leave from, if not from the address itself. Not signalled.
    base: Option<PackedAddress>,
    related: Option<PackedAddress>,
    tcp_type: Option<TcpType>,
    username_fragment: Option<Box<str>>,
    foundation: Option<Foundation>,
}

impl Facts {
    /// To add to it.
    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// To take from it.
    fn amend(&mut self, change: impl FnOnce(&mut More)) {
        if let Some(more) = &mut self.more {
            change(more);
        }
        self.more.take_if(|more| **more == More::default());
    }

    /// Takes a canonical address, and no name any more.
    fn set_address(&mut self, address: SocketAddr) {
        let zone = match address {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(v6) => v6.scope_id(),
        };
        self.ip = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        self.port = address.port();
        self.amend(|more| (more.name, more.zone) = (None, 0));
        if zone != 0 {
            self.more().zone = zone;
        }
    }

    fn set_name(&mut self, name: &str, port: u16) {
        (self.ip, self.port) = (Ipv6Addr::UNSPECIFIED, port);
        self.more().name = Some(name.into());
    }

    /// `None` while there is a name.
    #[inline]
    fn address(&self) -> Option<SocketAddr> {
        let zone = match &self.more {
            Some(more) if more.name.is_some() => return None,
            Some(more) => more.zone,
            None => 0,
        };
        Some(match self.ip.to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, self.port)),
            None => SocketAddr::V6(SocketAddrV6::new(self.ip, self.port, 0, zone)),
        })
    }

    /// What else there is of its kind, base and protocol is alike, if the same `server` showed it.
    fn compute_foundation(&mut self, base: IpAddr, server: Option<IpAddr>) {
        self.foundation = Foundation::compute(self.kind, base, server, self.protocol);
        self.amend(|more| more.foundation = None);
    }

    fn set_foundation(&mut self, foundation: Foundation) {
        match foundation.number() {
            Some(number) => {
                self.foundation = number;
                self.amend(|more| more.foundation = None);
            }
            None => {
                self.foundation = 0;
                self.more().foundation = Some(foundation);
            }
        }
    }
}

impl Candidate {
    /// A UDP host candidate: the address a socket is bound to.
    pub fn host(address: SocketAddr) -> Self {
        let address = canonical(address);
        Self::found(CandidateType::Host, address, address, None)
    }

    /// A UDP server-reflexive candidate: how a STUN server sees `base`.
    pub fn server_reflexive(address: SocketAddr, base: SocketAddr) -> Self {
        let base = canonical(base);
        Self::found(
            CandidateType::ServerReflexive,
            canonical(address),
            base,
            Some(base),
        )
    }

    /// A UDP candidate on a TURN server: its base is itself, `mapped` is how that server sees us (RFC 8445 §5.1.1.2).
    pub fn relayed(address: SocketAddr, mapped: SocketAddr) -> Self {
        let address = canonical(address);
        Self::found(
            CandidateType::Relayed,
            address,
            address,
            Some(canonical(mapped)),
        )
    }

    /// A candidate that a check revealed, ours (`base` is a socket's) or theirs (`base` is the address itself).
    pub(crate) fn peer_reflexive(
        protocol: Protocol,
        address: SocketAddr,
        base: SocketAddr,
        priority: u32,
    ) -> Self {
        let mut candidate = Self::found(CandidateType::PeerReflexive, address, base, Some(base));
        let facts = candidate.facts_mut();
        facts.protocol = protocol;
        facts.compute_foundation(base.ip(), None);
        facts.priority = priority;
        candidate
    }

    fn found(
        kind: CandidateType,
        address: SocketAddr,
        base: SocketAddr,
        related: Option<SocketAddr>,
    ) -> Self {
        let mut facts = Facts {
            more: None,
            ip: Ipv6Addr::UNSPECIFIED,
            port: 0,
            foundation: 0,
            priority: priority::candidate(
                Preference::of_type(kind),
                priority::local_preference(base.ip(), 0),
                1,
            ),
            component: 1,
            epoch: 0,
            kind,
            protocol: Protocol::Udp,
        };
        facts.set_address(address);
        facts.compute_foundation(base.ip(), None);
        if base != address {
            facts.more().base = Some(base.into());
        }
        if let Some(related) = related {
            facts.more().related = Some(related.into());
        }
        Self(Arc::new(facts))
    }

    /// To change it before anybody else has it.
    fn facts_mut(&mut self) -> &mut Facts {
        Arc::make_mut(&mut self.0)
    }

    /// The same candidate over TCP: local preference and type preference follow RFC 6544 §4.2.
    #[must_use]
    pub fn over_tcp(mut self, tcp_type: TcpType) -> Self {
        let base = self.base();
        let facts = self.facts_mut();
        facts.protocol = Protocol::Tcp;
        facts.more().tcp_type = Some(tcp_type);
        if let Some(base) = base {
            facts.compute_foundation(base.ip(), None);
        }
        facts.priority = priority::candidate(
            Preference::of_type_over_tcp(facts.kind),
            priority::tcp_local_preference(facts.kind, tcp_type),
            facts.component,
        );
        self
    }

    /// The same candidate with another priority (1 to 2³¹−1; clamped).
    #[must_use]
    pub fn with_priority(mut self, priority: u32) -> Self {
        self.facts_mut().priority = priority.clamp(1, priority::MAX);
        self
    }

    /// The same candidate, preferred to others of its type by `preference`, 65535 the most (RFC 8445 §5.1.2.1).
    /// Addresses of one host should differ here; [`local_preferences`](crate::local_preferences) gives them their order.
    #[must_use]
    pub fn with_local_preference(mut self, preference: u16) -> Self {
        let facts = self.facts_mut();
        let of_type = match facts.protocol {
            Protocol::Udp => Preference::of_type(facts.kind),
            Protocol::Tcp => Preference::of_type_over_tcp(facts.kind),
        };
        facts.priority = priority::candidate(of_type, preference, facts.component);
        self
    }

    /// The same candidate, found through the STUN or TURN server at `server`: what other servers showed has another
    /// foundation (RFC 8445 §5.1.1.3).
    #[must_use]
    pub fn found_through(mut self, server: IpAddr) -> Self {
        let base = self.base();
        let facts = self.facts_mut();
        if let Some(base) = base {
            facts.compute_foundation(base.ip(), Some(server.to_canonical()));
        }
        self
    }

    /// The same candidate with a foundation of the caller's choice.
    #[must_use]
    pub fn with_foundation(mut self, foundation: Foundation) -> Self {
        self.facts_mut().set_foundation(foundation);
        self
    }

    /// The same candidate announced as `address` while its checks leave from where they did: a server behind a static
    /// one-to-one translation, or bound to a wildcard (see [`AddressRewrite`](crate::AddressRewrite)).
    #[must_use]
    pub fn announced_as(mut self, address: SocketAddr) -> Self {
        let base = self.base();
        let facts = self.facts_mut();
        if let Some(base) = base {
            facts.more().base = Some(base.into());
        }
        facts.set_address(canonical(address));
        self
    }

    /// The same candidate with the username fragment of its generation, as trickling signals it (RFC 8838 §4).
    #[must_use]
    pub fn with_username_fragment(mut self, username_fragment: &str) -> Self {
        self.facts_mut().more().username_fragment = Some(username_fragment.into());
        self
    }

    /// The same candidate on a network that was joined later than those of candidates with smaller epochs; they begin at 0.
    /// Not signalled, and of no meaning but to a policy like [`Mobile`](crate::nomination::Mobile): whoever notices a change of
    /// network counts on. A signalled candidate of the peer may be given one too, if the caller knows that the peer has moved.
    #[must_use]
    pub fn with_epoch(mut self, epoch: u16) -> Self {
        self.facts_mut().epoch = epoch;
        self
    }

    /// The candidate with its name resolved.
    #[must_use]
    pub fn resolved(mut self, ip: IpAddr) -> Self {
        if self.host_name().is_some() {
            let address = canonical(SocketAddr::new(ip, self.0.port));
            self.facts_mut().set_address(address);
        }
        self
    }

    /// How it was found.
    pub fn kind(&self) -> CandidateType {
        self.0.kind
    }

    /// Its transport protocol.
    pub fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// Who connects, on TCP.
    pub fn tcp_type(&self) -> Option<TcpType> {
        self.more()?.tcp_type
    }

    /// Its transport address; `None` while it is a name.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address()
    }

    /// Its host name, if it has one instead of an address (mDNS, RFC 8839 §5.1).
    pub fn host_name(&self) -> Option<&str> {
        self.more()?.name.as_deref()
    }

    /// Where its checks leave from (RFC 8445 §2.2); the address itself when nothing else is known.
    #[inline]
    pub fn base(&self) -> Option<SocketAddr> {
        let base = self.more().and_then(|more| more.base.as_ref());
        base.map_or_else(|| self.address(), |base| Some(base.unpack()))
    }

    /// The related address that is signalled beside a reflexive or relayed candidate: 0.0.0.0 or `::` if it is not to be known, and
    /// where the peer signals a name.
    pub fn related(&self) -> Option<SocketAddr> {
        self.more()?.related.as_ref().map(PackedAddress::unpack)
    }

    /// Candidates with one foundation behave alike (RFC 8445 §5.1.1.3).
    pub fn foundation(&self) -> Foundation {
        let text = self.more().and_then(|more| more.foundation);
        text.unwrap_or_else(|| Foundation::of_number(self.0.foundation))
    }

    /// The same for the same foundation. Who makes two alike keeps but their own pairs waiting for each other.
    pub(crate) fn likeness(&self) -> u32 {
        let Some(text) = self.more().and_then(|more| more.foundation) else {
            return self.0.foundation;
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish() as u32
    }

    /// The component, 1 to 256; 1 with RTP/RTCP multiplexing.
    pub fn component(&self) -> u16 {
        self.0.component
    }

    /// The priority, 1 to 2³¹−1.
    pub fn priority(&self) -> u32 {
        self.0.priority
    }

    /// How new its network is.
    pub fn epoch(&self) -> u16 {
        self.0.epoch
    }

    /// The username fragment of the generation it belongs to, if signalled.
    pub fn username_fragment(&self) -> Option<&str> {
        self.more()?.username_fragment.as_deref()
    }

    fn more(&self) -> Option<&More> {
        self.0.more.as_deref()
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { kind, protocol, .. } = &*self.0;
        write!(f, "Candidate({kind} {protocol} ")?;
        match (self.address(), self.host_name()) {
            (Some(address), _) => write!(f, "{address})"),
            (None, name) => write!(f, "{}:{})", name.unwrap_or_default(), self.0.port),
        }
    }
}
