//! The text form: `candidate:` of RFC 8839 §5.1, with `tcptype` (RFC 6544 §4.5) and `ufrag` (RFC 8838 §4).
//!
//! Extensions we do not know are skipped; they are not kept.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::{FromStr, SplitAsciiWhitespace};
use std::sync::Arc;

use super::{Candidate, CandidateType, Facts, Foundation, TcpType};
use crate::address::{Protocol, canonical};
use crate::error::InvalidCandidate;
use crate::priority;

impl FromStr for Candidate {
    type Err = InvalidCandidate;

    /// Reads `candidate:…`, with or without `a=` before it, or with neither.
    fn from_str(text: &str) -> Result<Self, InvalidCandidate> {
        let text = text.trim_ascii();
        let text = text.strip_prefix("a=").unwrap_or(text);
        let text = text.strip_prefix("candidate:").unwrap_or(text);
        let mut fields = text.split_ascii_whitespace();
        let mut next = || fields.next().ok_or(InvalidCandidate::Truncated);
        let foundation = Foundation::new(next()?)?;
        let component = next()?.parse().ok().filter(|c| (1..=256).contains(c));
        let component = component.ok_or(InvalidCandidate::Component)?;
        let protocol = protocol(next()?)?;
        let priority = next()?
            .parse()
            .ok()
            .filter(|p| (1..=priority::MAX).contains(p));
        let priority = priority.ok_or(InvalidCandidate::Priority)?;
        let host = next()?;
        let port = next()?.parse().map_err(|_| InvalidCandidate::Port)?;
        if !next()?.eq_ignore_ascii_case("typ") {
            return Err(InvalidCandidate::Type);
        }
        let kind = kind(next()?)?;
        let mut facts = Facts {
            more: None,
            ip: Ipv6Addr::UNSPECIFIED,
            port,
            foundation: 0,
            priority,
            component,
            epoch: 0,
            kind,
            protocol,
        };
        facts.read_host(host, port)?;
        facts.set_foundation(foundation);
        facts.read_extensions(fields)?;
        let candidate = Self(Arc::new(facts));
        if (protocol == Protocol::Tcp) != candidate.tcp_type().is_some() {
            return Err(InvalidCandidate::TcpType);
        }
        Ok(candidate)
    }
}

impl Facts {
    fn read_host(&mut self, host: &str, port: u16) -> Result<(), InvalidCandidate> {
        match host.parse() {
            Ok(ip) => self.set_address(canonical(SocketAddr::new(ip, port))),
            Err(_) if is_name(host) => self.set_name(host, port),
            Err(_) => return Err(InvalidCandidate::Address),
        }
        Ok(())
    }

    /// The related address is for diagnosis. It may be a name, too: that stands for an address which is not to be known, and is
    /// kept as what is signalled instead of one (RFC 8839 §5.1).
    fn read_related(&mut self, host: &str, port: u16) -> Result<(), InvalidCandidate> {
        let related = match host.parse() {
            Ok(ip) => canonical(SocketAddr::new(ip, port)),
            Err(_) if is_name(host) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9)),
            Err(_) => return Err(InvalidCandidate::RelatedAddress),
        };
        self.more().related = Some(related.into());
        Ok(())
    }

    fn read_extensions(
        &mut self,
        mut fields: SplitAsciiWhitespace<'_>,
    ) -> Result<(), InvalidCandidate> {
        let (mut related, mut port): (Option<&str>, Option<u16>) = (None, None);
        while let Some(name) = fields.next() {
            let value = fields.next().ok_or(InvalidCandidate::Extension)?;
            match name.to_ascii_lowercase().as_str() {
                "raddr" => related = Some(value),
                "rport" => {
                    let number = value.parse();
                    port = Some(number.map_err(|_| InvalidCandidate::RelatedAddress)?);
                }
                "tcptype" => self.more().tcp_type = Some(tcp_type(value)?),
                "ufrag" if (4..=256).contains(&value.len()) => {
                    self.more().username_fragment = Some(value.into())
                }
                "ufrag" => return Err(InvalidCandidate::Extension),
                _ => {}
            }
        }
        match (related, port) {
            (None, None) => Ok(()),
            (Some(host), Some(port)) => self.read_related(host, port),
            _ => Err(InvalidCandidate::RelatedAddress),
        }
    }
}

/// Whether it may be a host's name, and is no address that was mistyped.
fn is_name(host: &str) -> bool {
    let of_names = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    host.len() <= 253 && !numeric && host.bytes().all(of_names)
}

fn protocol(token: &str) -> Result<Protocol, InvalidCandidate> {
    [Protocol::Udp, Protocol::Tcp]
        .into_iter()
        .find(|p| {
            token.eq_ignore_ascii_case(match p {
                Protocol::Udp => "udp",
                Protocol::Tcp => "tcp",
            })
        })
        .ok_or(InvalidCandidate::Transport)
}

/// What the grammar quotes is meant in either case (RFC 5234 §2.3).
fn kind(token: &str) -> Result<CandidateType, InvalidCandidate> {
    match token.to_ascii_lowercase().as_str() {
        "host" => Ok(CandidateType::Host),
        "srflx" => Ok(CandidateType::ServerReflexive),
        "prflx" => Ok(CandidateType::PeerReflexive),
        "relay" => Ok(CandidateType::Relayed),
        _ => Err(InvalidCandidate::Type),
    }
}

fn tcp_type(token: &str) -> Result<TcpType, InvalidCandidate> {
    match token.to_ascii_lowercase().as_str() {
        "active" => Ok(TcpType::Active),
        "passive" => Ok(TcpType::Passive),
        "so" => Ok(TcpType::SimultaneousOpen),
        _ => Err(InvalidCandidate::TcpType),
    }
}

impl fmt::Display for Candidate {
    /// Prints `candidate:…`, as `RTCIceCandidate.candidate` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let foundation = self.foundation();
        let Facts {
            component,
            protocol,
            priority,
            kind,
            ..
        } = &*self.0;
        write!(
            f,
            "candidate:{foundation} {component} {protocol} {priority} "
        )?;
        match (self.address(), self.host_name()) {
            (Some(address), _) => write!(f, "{} {}", address.ip(), address.port())?,
            (None, name) => write!(f, "{} {}", name.unwrap_or_default(), self.0.port)?,
        }
        write!(f, " typ {kind}")?;
        if let Some(related) = self.related() {
            write!(f, " raddr {} rport {}", related.ip(), related.port())?;
        }
        if let Some(tcp_type) = self.tcp_type() {
            write!(f, " tcptype {tcp_type}")?;
        }
        if let Some(fragment) = self.username_fragment() {
            write!(f, " ufrag {fragment}")?;
        }
        Ok(())
    }
}
