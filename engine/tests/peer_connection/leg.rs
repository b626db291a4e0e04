//! A call between two sides: what is signalled, in steps that a story can take one by one.

use crate::side::{Description, Side};
use floe::{ApiMisuse, PeerConnectionState, TransportId};
use floe_dtls::Setup;
use floe_ice::{Initiation, RemoteParameters};
use sim::{Datagram, Pair, Random, address};
use std::net::SocketAddr;

/// Two sides and the network between them.
pub(crate) type Call = Pair<Side, Side>;

/// What a story may end with.
pub(crate) type Story = Result<(), ApiMisuse>;

/// A transport on each side, and what each signals about it.
pub(crate) struct Leg {
    pub(crate) a: TransportId,
    pub(crate) b: TransportId,
    pub(crate) of_a: Description,
    pub(crate) of_b: Description,
}

pub(crate) fn sides(seed: u64, a: &[SocketAddr], b: &[SocketAddr]) -> Call {
    let mut seeds = Random::new(seed);
    Pair::new(
        seed,
        (Side::new(seeds.seed()), a),
        (Side::new(seeds.seed()), b),
    )
}

impl Leg {
    /// Opens a transport on each side. A offers; nothing is signalled yet.
    pub(crate) fn open(call: &mut Call, at_a: SocketAddr, at_b: SocketAddr) -> Self {
        let now = call.now();
        let (a, of_a) = call
            .a
            .open(now, at_a, Initiation::Initiating, Setup::ActPass);
        let (b, of_b) = call
            .b
            .open(now, at_b, Initiation::Responding, Setup::Active);
        Self { a, b, of_a, of_b }
    }

    /// Offer and answer arrive, without candidates.
    pub(crate) fn signal(&self, call: &mut Call) -> Result<(), ApiMisuse> {
        let now = call.now();
        call.b.apply(now, self.b, &self.of_a)?;
        call.a.apply(now, self.a, &self.of_b)
    }

    /// Each side's candidate reaches the other.
    pub(crate) fn trickle(&self, call: &mut Call) -> Result<(), ApiMisuse> {
        let now = call.now();
        call.a.with(now, self.a, |transport| {
            transport.add_remote_candidate(now, self.of_b.candidate.clone())
        })?;
        call.b.with(now, self.b, |transport| {
            transport.add_remote_candidate(now, self.of_a.candidate.clone())
        })
    }

    /// Both sides have no more candidates and say so.
    pub(crate) fn complete(&self, call: &mut Call) {
        let now = call.now();
        for (side, id) in [(&mut call.a, self.a), (&mut call.b, self.b)] {
            side.with(now, id, |transport| {
                transport.local_candidates_complete(now);
                transport.remote_candidates_complete(now);
            });
        }
    }

    /// All of it at once.
    pub(crate) fn connect(
        call: &mut Call,
        at_a: SocketAddr,
        at_b: SocketAddr,
    ) -> Result<Self, ApiMisuse> {
        let leg = Self::open(call, at_a, at_b);
        leg.signal(call)?;
        leg.trickle(call)?;
        leg.complete(call);
        Ok(leg)
    }

    /// Offer and answer of an ICE restart, with the same candidates, and no more to come.
    pub(crate) fn restart(&self, call: &mut Call) -> Result<(), ApiMisuse> {
        self.signal_restart(call)?;
        self.trickle(call)?;
        self.complete(call);
        Ok(())
    }

    /// Offer and answer of an ICE restart, without candidates.
    pub(crate) fn signal_restart(&self, call: &mut Call) -> Result<(), ApiMisuse> {
        let now = call.now();
        let offer = call.a.with(now, self.a, |transport| {
            transport.restart(now, None, None)?;
            Ok::<_, ApiMisuse>(transport.local_parameters().clone())
        })?;
        let answer = call.b.with(now, self.b, |transport| {
            transport.restart(now, None, Some(RemoteParameters::new(offer)))?;
            Ok::<_, ApiMisuse>(transport.local_parameters().clone())
        })?;
        call.a.with(now, self.a, |transport| {
            transport.set_remote_parameters(now, RemoteParameters::new(answer))
        })
    }
}

/// Two sides with one address each and a transport between them, everything signalled.
pub(crate) fn call(seed: u64) -> (Call, Leg) {
    let mut call = sides(seed, &[address(1)], &[address(2)]);
    let leg = Leg::connect(&mut call, address(1), address(2)).expect("a plain call is no misuse");
    (call, leg)
}

pub(crate) fn both_are(state: PeerConnectionState) -> impl Fn(&Side, &Side) -> bool {
    move |a, b| a.is(state) && b.is(state)
}

pub(crate) fn is_dtls(datagram: &Datagram) -> bool {
    datagram
        .bytes
        .first()
        .is_some_and(|first| (20..64).contains(first))
}
