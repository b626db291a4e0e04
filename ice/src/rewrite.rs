//! Announcing other addresses than the sockets are bound to (I66): static one-to-one translations, wildcard binds.
//!
//! The rules are pure: from host candidates to host candidates, in order, the first that matches wins. What they change
//! is what is signalled; checks still leave from the base, and the agent treats both as one.

use std::net::{IpAddr, SocketAddr};

use crate::candidate::{Candidate, CandidateType};

/// Which bound addresses a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Matches {
    /// All of them (of the announced address's family, or a wildcard).
    Any,
    /// This one.
    Address(IpAddr),
    /// Those of this network: address and prefix length in bits.
    Network(IpAddr, u8),
    /// Those of this interface, by the name the caller gives.
    Interface(Box<str>),
}

/// Whether the announced candidate stands in for the bound one or beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rewrite {
    /// Only the announced address is signalled.
    Replace,
    /// Both are.
    Add,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRewrite {
    /// For which sockets.
    pub matches: Matches,
    /// What to announce.
    pub announce: IpAddr,
    /// Instead or besides.
    pub rewrite: Rewrite,
}

/// The host candidates to add for a UDP socket bound to `bound` on `interface`, after these rules.
///
/// ```
/// use floe_ice::{AddressRewrite, Matches, Rewrite, host_candidates};
///
/// let rule = AddressRewrite {
///     matches: Matches::Any,
///     announce: "203.0.113.7".parse()?,
///     rewrite: Rewrite::Replace,
/// };
/// let candidates = host_candidates("0.0.0.0:5000".parse()?, None, &[rule]);
/// assert_eq!(candidates.len(), 1);
/// assert_eq!(candidates[0].address(), Some("203.0.113.7:5000".parse()?));
/// assert_eq!(candidates[0].base(), Some("0.0.0.0:5000".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn host_candidates(
    bound: SocketAddr,
    interface: Option<&str>,
    rules: &[AddressRewrite],
) -> Vec<Candidate> {
    let host = Candidate::host(bound);
    debug_assert_eq!(host.kind(), CandidateType::Host);
    let matching: Vec<&AddressRewrite> = rules
        .iter()
        .filter(|rule| rule.applies(bound.ip(), interface))
        .collect();
    // The first rule decides whether the bound address shows; every rule that matches with it adds its own.
    let Some(first) = matching.first() else {
        return announceable(host).into_iter().collect();
    };
    let bound_too = (first.rewrite == Rewrite::Add)
        .then(|| announceable(host.clone()))
        .flatten();
    let announced = matching.iter().filter(|rule| rule.rewrite == first.rewrite);
    let mut candidates: Vec<Candidate> = bound_too.into_iter().collect();
    for (index, rule) in announced.enumerate() {
        let address = SocketAddr::new(rule.announce, bound.port());
        let preference = crate::priority::local_preference(rule.announce, index as u16 + 1);
        candidates.push(
            host.clone()
                .announced_as(address)
                .with_local_preference(preference),
        );
    }
    candidates
}

/// A wildcard is nowhere: it is not signalled as itself.
fn announceable(host: Candidate) -> Option<Candidate> {
    host.address()
        .is_some_and(|address| !address.ip().is_unspecified())
        .then_some(host)
}

impl AddressRewrite {
    fn applies(&self, bound: IpAddr, interface: Option<&str>) -> bool {
        let wildcard_v6 = bound.is_unspecified() && bound.is_ipv6();
        let family = bound.is_ipv4() == self.announce.is_ipv4() || wildcard_v6;
        family
            && match &self.matches {
                Matches::Any => true,
                Matches::Address(address) => *address == bound,
                Matches::Network(network, prefix) => contains(*network, *prefix, bound),
                Matches::Interface(name) => interface == Some(name),
            }
    }
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((network_bits, size), (address_bits, other)) = (bits(network), bits(address));
    let mask = u128::MAX
        .checked_shl(128 - u32::from(prefix.min(size)))
        .unwrap_or(0);
    size == other && (network_bits ^ address_bits) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(matches: Matches, announce: &str, rewrite: Rewrite) -> AddressRewrite {
        AddressRewrite {
            matches,
            announce: announce.parse().unwrap(),
            rewrite,
        }
    }

    fn addresses(bound: &str, interface: Option<&str>, rules: &[AddressRewrite]) -> Vec<String> {
        let candidates = host_candidates(bound.parse().unwrap(), interface, rules);
        assert!(
            candidates
                .iter()
                .all(|c| c.base() == Some(bound.parse().unwrap()))
        );
        candidates
            .iter()
            .map(|c| c.address().unwrap().to_string())
            .collect()
    }

    // req: I66
    #[test]
    fn rules_match_by_address_network_and_interface() {
        let network = rule(
            Matches::Network("10.1.0.0".parse().unwrap(), 16),
            "203.0.113.1",
            Rewrite::Replace,
        );
        let address = rule(
            Matches::Address("10.2.0.9".parse().unwrap()),
            "203.0.113.2",
            Rewrite::Replace,
        );
        let interface = rule(
            Matches::Interface("eth1".into()),
            "203.0.113.3",
            Rewrite::Replace,
        );
        let rules = [network, address, interface];
        assert_eq!(addresses("10.1.200.3:9", None, &rules), ["203.0.113.1:9"]);
        assert_eq!(addresses("10.2.0.9:9", None, &rules), ["203.0.113.2:9"]);
        assert_eq!(
            addresses("10.2.0.8:9", Some("eth1"), &rules),
            ["203.0.113.3:9"]
        );
        assert_eq!(
            addresses("10.2.0.8:9", Some("eth0"), &rules),
            ["10.2.0.8:9"]
        );
        assert_eq!(
            addresses("[2001:db8::1]:9", Some("eth1"), &rules),
            ["[2001:db8::1]:9"]
        );
    }

    // req: I66
    #[test]
    fn announcing_replaces_or_adds() {
        let any = |announce, rewrite| rule(Matches::Any, announce, rewrite);
        assert_eq!(
            addresses("10.0.0.1:9", None, &[any("203.0.113.1", Rewrite::Add)]),
            ["10.0.0.1:9", "203.0.113.1:9"]
        );
        assert_eq!(
            addresses("0.0.0.0:9", None, &[any("203.0.113.1", Rewrite::Add)]),
            ["203.0.113.1:9"]
        );
        let two = [
            any("203.0.113.1", Rewrite::Replace),
            any("203.0.113.2", Rewrite::Replace),
        ];
        assert_eq!(
            addresses("0.0.0.0:9", None, &two),
            ["203.0.113.1:9", "203.0.113.2:9"]
        );
        let candidates = host_candidates("0.0.0.0:9".parse().unwrap(), None, &two);
        assert!(candidates[0].priority() > candidates[1].priority());
    }

    // req: I66
    #[test]
    fn prefixes_of_every_length() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(contains(ip("0.0.0.0"), 0, ip("192.0.2.1")));
        assert!(contains(ip("192.0.2.1"), 32, ip("192.0.2.1")));
        assert!(!contains(ip("192.0.2.1"), 32, ip("192.0.2.2")));
        assert!(contains(ip("2001:db8::"), 32, ip("2001:db8:ffff::1")));
        assert!(!contains(ip("2001:db8::"), 33, ip("2001:db8:ffff::1")));
        assert!(!contains(ip("::"), 0, ip("192.0.2.1")));
    }
}
