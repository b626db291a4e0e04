//! Priorities of candidates (RFC 8445 §5.1.2) and of pairs (§6.1.2.3), as pure functions.

use std::net::IpAddr;

use crate::candidate::{CandidateType, TcpType};
use crate::role::Role;

/// The greatest priority a candidate may have, 2³¹−1.
pub(crate) const MAX: u32 = 0x7fff_ffff;

/// The type preference, 0 to 126.
#[derive(Clone, Copy)]
pub(crate) struct Preference(u8);

impl Preference {
    /// The values RFC 8445 §5.1.2.2 recommends.
    pub(crate) fn of_type(kind: CandidateType) -> Self {
        Self(match kind {
            CandidateType::Host => 126,
            CandidateType::PeerReflexive => 110,
            CandidateType::ServerReflexive => 100,
            CandidateType::Relayed => 0,
        })
    }

    /// TCP goes after UDP of the same type (RFC 6544 §4.2).
    pub(crate) fn of_type_over_tcp(kind: CandidateType) -> Self {
        Self(Self::of_type(kind).0.saturating_sub(36))
    }
}

/// RFC 8445 §5.1.2.1.
pub(crate) fn candidate(preference: Preference, local_preference: u16, component: u16) -> u32 {
    let component = u32::from(component.clamp(1, 256));
    u32::from(preference.0) << 24 | u32::from(local_preference) << 8 | (256 - component)
}

/// The priority a check says its pair's local end would have as a peer-reflexive candidate (RFC 8445 §7.1.1): the
/// same local preference and component under another type preference.
pub(crate) fn as_peer_reflexive(priority: u32) -> u32 {
    u32::from(Preference::of_type(CandidateType::PeerReflexive).0) << 24 | priority & 0x00ff_ffff
}

/// RFC 8445 §6.1.2.3: G is the controlling agent's candidate, D the controlled one's.
pub(crate) fn pair(role: Role, local: u32, remote: u32) -> u64 {
    let (g, d) = match role {
        Role::Controlling => (local, remote),
        Role::Controlled => (remote, local),
    };
    let (least, most) = (u64::from(g.min(d)), u64::from(g.max(d)));
    (least << 32) + 2 * most + u64::from(g > d)
}

/// The default local preference: IPv6 before IPv4 (RFC 8421 §4), `index` counting the addresses of one family.
pub(crate) fn local_preference(ip: IpAddr, index: u16) -> u16 {
    let step = index.min(0x3fff) * 2;
    65535 - step - u16::from(ip.is_ipv4())
}

/// RFC 6544 §4.2: the direction in the three highest bits; reflexive candidates prefer to be opened from both ends.
pub(crate) fn tcp_local_preference(kind: CandidateType, tcp_type: TcpType) -> u16 {
    let direct = matches!(kind, CandidateType::Host | CandidateType::Relayed);
    let direction: u16 = match (direct, tcp_type) {
        (true, TcpType::Active) | (false, TcpType::SimultaneousOpen) => 6,
        (true, TcpType::Passive) | (false, TcpType::Active) => 4,
        (true, TcpType::SimultaneousOpen) | (false, TcpType::Passive) => 2,
    };
    (direction << 13) + 8191
}

/// Local preferences for a host's addresses, best first, families interleaved (RFC 8421 §4): broken IPv6 then costs
/// one check and not all of them. The caller gives the addresses in its order of liking.
///
/// ```
/// let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|a| a.parse().unwrap());
/// // The IPv6 address first, then the two IPv4 ones.
/// assert_eq!(floe_ice::local_preferences(&addresses), [65534, 65532, 65535]);
/// ```
pub fn local_preferences(addresses: &[IpAddr]) -> Vec<u16> {
    let (mut v4, mut v6) = (0, 0);
    let index = |ip: &IpAddr| {
        let count = if ip.is_ipv4() { &mut v4 } else { &mut v6 };
        *count += 1_u16;
        *count - 1
    };
    let indices: Vec<u16> = addresses.iter().map(index).collect();
    addresses
        .iter()
        .zip(indices)
        .map(|(ip, index)| local_preference(*ip, index))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::Candidate;

    // req: I2
    #[test]
    fn the_recommended_preferences_order_the_types() {
        let (address, base) = (
            "192.0.2.1:1".parse().unwrap(),
            "192.0.2.2:1".parse().unwrap(),
        );
        assert_eq!(
            Candidate::host(address).priority(),
            126 << 24 | 65534 << 8 | 255
        );
        assert_eq!(
            Candidate::server_reflexive(address, base).priority(),
            100 << 24 | 65534 << 8 | 255
        );
        assert_eq!(
            Candidate::relayed(address, base).priority(),
            65534 << 8 | 255
        );
        let tcp = Candidate::host(address)
            .over_tcp(TcpType::Passive)
            .priority();
        assert!(tcp < Candidate::server_reflexive(address, base).priority());
    }

    // req: I2 I3
    #[test]
    fn both_sides_compute_one_pair_priority() {
        let (a, b) = (2_130_706_431, 1_694_498_815);
        assert_eq!(pair(Role::Controlling, a, b), pair(Role::Controlled, b, a));
        assert_eq!(
            pair(Role::Controlling, a, b),
            (u64::from(b) << 32) + 2 * u64::from(a) + 1
        );
        assert_eq!(
            pair(Role::Controlling, b, a),
            (u64::from(b) << 32) + 2 * u64::from(a)
        );
        // The full range must not overflow.
        let most = u64::from(MAX);
        assert_eq!(pair(Role::Controlling, MAX, MAX), (most << 32) + 2 * most);
    }

    // req: I2
    #[test]
    fn families_are_interleaved() {
        let addresses =
            ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"].map(|a| a.parse().unwrap());
        assert_eq!(local_preferences(&addresses), [65534, 65532, 65535, 65533]);
    }

    #[test]
    fn a_check_keeps_local_preference_and_component() {
        let host = candidate(Preference::of_type(CandidateType::Host), 1234, 2);
        assert_eq!(as_peer_reflexive(host), 110 << 24 | 1234 << 8 | 254);
    }
}
