//! What happened on the wire: counters for ever, the last deliveries in detail.

use crate::Clock;
use std::{collections::VecDeque, fmt, net::SocketAddr, time::Instant};

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Handed to the node that owns the destination.
    Delivered,
    /// Lost by chance.
    Lost,
    /// The link was down.
    Cut,
    /// Larger than the link's MTU.
    TooBig,
    /// No node has the destination address.
    Unroutable,
    /// A NAT did not let it in: no mapping, a filter, no hairpinning.
    Filtered,
    /// A tap dropped it.
    Dropped,
    /// A tap holds it.
    Held,
}

/// One line of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When its fate was decided: at arrival if delivered, when sent otherwise.
    pub at: Instant,
    /// Where it claims to come from.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
    /// UDP payload in bytes.
    pub len: usize,
    /// What became of it.
    pub fate: Fate,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            source,
            destination,
            len,
            fate,
        } = self;
        let at = (*at - Clock::epoch()).as_secs_f64();
        write!(
            f,
            "{at:10.6} s  {source} → {destination}  {len} bytes  {fate:?}"
        )
    }
}

/// How many datagrams met which fate, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sent by the nodes.
    pub sent: u64,
    /// Put on the wire by [`Network::inject`](crate::Network::inject) or a tap.
    pub injected: u64,
    /// Handed to a node, duplicates and injected ones included.
    pub delivered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Sent into a link that was down.
    pub cut: u64,
    /// Larger than the MTU.
    pub too_big: u64,
    /// To an address that nobody has.
    pub unroutable: u64,
    /// Not let in by a NAT.
    pub filtered: u64,
    /// Dropped by a tap.
    pub dropped: u64,
    /// Held by a tap, released or not.
    pub held: u64,
    /// Delivered a second time.
    pub duplicated: u64,
    /// Held back for others to overtake.
    pub reordered: u64,
    /// Damaged on the way.
    pub corrupted: u64,
}

/// The most deliveries remembered; older ones are forgotten first.
const REMEMBERED: usize = 16_384;

#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) counters: Counters,
    pub(crate) deliveries: VecDeque<Delivery>,
}

impl Trace {
    pub(crate) fn note(&mut self, delivery: Delivery) {
        let counters = &mut self.counters;
        *match delivery.fate {
            Fate::Delivered => &mut counters.delivered,
            Fate::Lost => &mut counters.lost,
            Fate::Cut => &mut counters.cut,
            Fate::TooBig => &mut counters.too_big,
            Fate::Unroutable => &mut counters.unroutable,
            Fate::Filtered => &mut counters.filtered,
            Fate::Dropped => &mut counters.dropped,
            Fate::Held => &mut counters.held,
        } += 1;
        if self.deliveries.len() == REMEMBERED {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery);
    }

    /// The last lines, for the message of a panic.
    pub(crate) fn tail(&self) -> String {
        let skip = self.deliveries.len().saturating_sub(20);
        self.deliveries
            .iter()
            .skip(skip)
            .map(|delivery| format!("  {delivery}\n"))
            .collect()
    }
}
