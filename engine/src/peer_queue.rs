//! What a connection has to tell and has not told yet.
//!
//! One input does a few things at most, and who polls after each finds them in an [`Indication`], which has its place in the
//! connection itself. Only when nobody polls does a queue come to be, on the heap, and it goes when it is empty.

use crate::{
    IceConnectionState, IceGatheringState, PeerConnectionState,
    peer_event::{Anomaly, Cause, Change, PeerEvent},
};
use floe_dtls as dtls;
use floe_ice as ice;
use std::{collections::VecDeque, mem::discriminant, time::Instant};

/// The three aggregates at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aggregates {
    pub(crate) ice_connection: IceConnectionState,
    pub(crate) connection: PeerConnectionState,
    pub(crate) ice_gathering: IceGatheringState,
}

/// What happened to a transport.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Nothing: the set of transports is another.
    SetChanged,
    SelectedCandidatePair(Box<ice::CandidatePair>),
    SendPathLost(ice::Reason),
    Ice(ice::Transition),
    EndOfCandidates(ice::GatheredGeneration),
    Gathering(ice::GatheringState),
    Dtls(dtls::Transition),
    Refused(Anomaly),
}

/// One input that changed something, as the events it is told in.
#[derive(Debug)]
pub(crate) struct Indication {
    pub(crate) at: Instant,
    pub(crate) cause: Cause,
    pub(crate) what: What,
    pub(crate) before: Aggregates,
    pub(crate) after: Aggregates,
    /// The next step to take.
    step: u8,
}

/// The order of webrtc-pc: what led to the change, the transport, the aggregates, and who waits for all candidates.
const STEPS: u8 = 6;

impl Indication {
    pub(crate) fn new(
        at: Instant,
        cause: Cause,
        what: What,
        before: Aggregates,
        after: Aggregates,
    ) -> Self {
        Self {
            at,
            cause,
            what,
            before,
            after,
            step: 0,
        }
    }

    /// What is told in this step, if anything.
    fn event(&self, step: u8) -> Option<PeerEvent> {
        let (before, after) = (self.before, self.after);
        let (cause, at) = (self.cause, self.at);
        match step {
            0 => self.error(),
            1 => self.of_transport(),
            2 => Change::between(before.ice_connection, after.ice_connection, cause, at)
                .map(PeerEvent::IceConnectionStateChange),
            3 => Change::between(before.connection, after.connection, cause, at)
                .map(PeerEvent::ConnectionStateChange),
            4 => Change::between(before.ice_gathering, after.ice_gathering, cause, at)
                .map(PeerEvent::IceGatheringStateChange),
            _ => {
                let gathered = matches!(self.what, What::Gathering(_))
                    && after.ice_gathering == IceGatheringState::Complete;
                gathered.then_some(PeerEvent::AllCandidatesGathered)
            }
        }
    }

    fn error(&self) -> Option<PeerEvent> {
        match (&self.what, self.cause) {
            (What::Dtls(transition), Cause::Transport(id))
                if transition.to == dtls::State::Failed =>
            {
                Some(PeerEvent::DtlsError(id, transition.reason))
            }
            _ => None,
        }
    }

    fn of_transport(&self) -> Option<PeerEvent> {
        let Cause::Transport(id) = self.cause else {
            return None;
        };
        Some(match &self.what {
            What::SetChanged => return None,
            What::SelectedCandidatePair(pair) => PeerEvent::SelectedCandidatePairChange(id, **pair),
            What::SendPathLost(reason) => PeerEvent::SendPathLost(id, *reason),
            What::Ice(transition) => PeerEvent::IceTransportStateChange(id, *transition),
            What::EndOfCandidates(of) => PeerEvent::EndOfCandidates(id, *of),
            What::Gathering(to) => PeerEvent::GatheringStateChange(id, *to),
            What::Dtls(transition) => PeerEvent::DtlsTransportStateChange(id, *transition),
            What::Refused(anomaly) => PeerEvent::Refused(id, *anomaly),
        })
    }
}

impl Iterator for Indication {
    type Item = PeerEvent;

    fn next(&mut self) -> Option<PeerEvent> {
        while self.step < STEPS {
            let event = self.event(self.step);
            self.step += 1;
            if event.is_some() {
                return event;
            }
        }
        None
    }
}

/// As many events wait as they come; beyond this many, the last one of its kind becomes part of each event.
const FULL: usize = 256;

/// The events not yet polled, oldest first. Its length is bounded by [`FULL`] plus one of each kind and transport.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The latest input; told in part, in whole, or by way of the events that wait. Times do not go back behind its own.
    latest: Option<Indication>,
    #[expect(
        clippy::box_collection,
        reason = "most of the time there is none, and then it takes the room of a pointer"
    )]
    waiting: Option<Box<VecDeque<PeerEvent>>>,
}

impl Queue {
    /// `now`, or the time of the latest input if the caller's clock went back.
    pub(crate) fn no_earlier(&self, now: Instant) -> Instant {
        self.latest
            .as_ref()
            .map_or(now, |latest| latest.at.max(now))
    }

    pub(crate) fn push(&mut self, mut indication: Indication) {
        let mut untold = self.latest.take().into_iter().flatten().peekable();
        if self.waiting.is_some() || untold.peek().is_some() {
            let waiting = self.waiting.get_or_insert_default();
            untold
                .chain(&mut indication)
                .for_each(|event| push(waiting, event));
        }
        self.latest = Some(indication);
    }

    pub(crate) fn pop(&mut self) -> Option<PeerEvent> {
        let Some(waiting) = &mut self.waiting else {
            return self.latest.as_mut()?.next();
        };
        let event = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting = None;
        }
        event
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Stands last in any case, so that the order of the latest input is kept.
fn push(waiting: &mut VecDeque<PeerEvent>, event: PeerEvent) {
    let full = waiting.len() >= FULL;
    let earlier = waiting
        .iter()
        .rposition(|waiting| full && same_kind(waiting, &event));
    let earlier = earlier.and_then(|position| waiting.remove(position));
    waiting.push_back(match earlier {
        Some(earlier) => coalesce(earlier, event),
        None => event,
    });
}

fn same_kind(one: &PeerEvent, other: &PeerEvent) -> bool {
    discriminant(one) == discriminant(other) && one.transport() == other.transport()
}

/// Two events of one kind in one: begun where the first began, ended where the second ended. A DTLS transition has no flag
/// for it: a connection's life is too short for the queue to fill with them.
fn coalesce(earlier: PeerEvent, later: PeerEvent) -> PeerEvent {
    use PeerEvent as E;
    match (earlier, later) {
        (E::IceTransportStateChange(id, earlier), E::IceTransportStateChange(_, mut both)) => {
            both.from = earlier.from;
            both.coalesced = true;
            E::IceTransportStateChange(id, both)
        }
        (E::DtlsTransportStateChange(id, earlier), E::DtlsTransportStateChange(_, mut both)) => {
            both.from = earlier.from;
            E::DtlsTransportStateChange(id, both)
        }
        (E::IceConnectionStateChange(earlier), E::IceConnectionStateChange(later)) => {
            E::IceConnectionStateChange(earlier.then(later))
        }
        (E::ConnectionStateChange(earlier), E::ConnectionStateChange(later)) => {
            E::ConnectionStateChange(earlier.then(later))
        }
        (E::IceGatheringStateChange(earlier), E::IceGatheringStateChange(later)) => {
            E::IceGatheringStateChange(earlier.then(later))
        }
        (_, later) => later,
    }
}
