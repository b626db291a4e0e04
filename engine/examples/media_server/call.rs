//! One call: floe's `Session`, the transports that it negotiates, and the time line of both.

use std::sync::Arc;
use std::time::Instant;

use floe::close::CloseReason;
use floe::recovery::{self, StatsSample};
use floe::session::{Action, Event, Session};
use floe::signaling::negotiation::{self, Message};
use floe::signaling::{
    self, CandidateInit, Completed, Description, Failure, OfferId, SdpType, link,
};
use floe::{Endpoint, PeerEvent, TransportStates};
use serde::{Deserialize, Serialize};

use crate::legs::{Credentials, Legs, Net};
use crate::sdp::{CallDescription, Kind};
use crate::server::Channel;
use crate::session::{pair_view, role_name, side_name};
use crate::view::{CallView, Timeline, TransportView, milliseconds};

/// A call that lives, or ended lately.
#[derive(Debug)]
pub(crate) struct Call {
    /// Public name: a number that counts up.
    pub(crate) number: u64,
    pub(crate) session: Session,
    pub(crate) legs: Legs,
    /// The channel that greeted it last.
    pub(crate) channel: Option<Channel>,
    timeline: Timeline,
    wish: Option<Wish>,
}

/// What is to be done about a call's channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Another one is needed. A server cannot do anything about that.
    Open,
    /// It has done its work.
    Close,
}

/// What a message looks like to a page: in the words of `RTCSessionDescription` and `RTCIceCandidateInit`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Signal {
    #[serde(rename_all = "camelCase")]
    Description {
        #[serde(rename = "type")]
        kind: SdpType,
        sdp: String,
        offer_id: Option<OfferId>,
    },
    #[serde(rename_all = "camelCase")]
    Candidate {
        candidate: Box<str>,
        sdp_mid: Option<Box<str>>,
        sdp_m_line_index: Option<u16>,
        username_fragment: Option<Box<str>>,
    },
}

/// What a page can ask of the server, to see it happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// An offer with one more section of audio, which has a transport of its own.
    Audio,
    /// The same with data channels.
    Data,
    /// An offer that restarts ICE.
    Restart,
    /// The end.
    Remove,
}

impl Signal {
    /// With what the text says about its sections, where it can be read; where it cannot, applying it will say so.
    pub(crate) fn into_message(self) -> Message {
        match self {
            Self::Description {
                kind,
                sdp,
                offer_id,
            } => {
                let media = CallDescription::parse(&sdp).map(|text| text.media());
                let mut description =
                    Description::new(kind, sdp).with_media(media.unwrap_or_default());
                description.offer_id = offer_id;
                Message::Description(Arc::new(description))
            }
            Self::Candidate {
                candidate,
                sdp_mid,
                sdp_m_line_index,
                username_fragment,
            } => Message::Candidate(CandidateInit {
                candidate,
                mid: sdp_mid,
                line_index: sdp_m_line_index,
                ufrag: username_fragment,
            }),
        }
    }

    pub(crate) fn from_message(message: Message) -> Self {
        match message {
            Message::Description(description) => Self::Description {
                kind: description.kind,
                sdp: String::from_utf8_lossy(&description.body).into_owned(),
                offer_id: description.offer_id,
            },
            Message::Candidate(init) => Self::Candidate {
                candidate: init.candidate,
                sdp_mid: init.mid,
                sdp_m_line_index: init.line_index,
                username_fragment: init.ufrag,
            },
        }
    }
}

impl Call {
    pub(crate) fn new(now: Instant, number: u64, session: Session) -> Self {
        Self {
            number,
            session,
            legs: Legs::new(),
            channel: None,
            timeline: Timeline::new(now),
            wish: None,
        }
    }

    /// What a page asks for.
    pub(crate) fn ask(&mut self, net: &mut Net<'_>, ask: &Ask) {
        let now = net.now;
        match ask {
            Ask::Audio => self.legs.want(Kind::Audio),
            Ask::Data => self.legs.want(Kind::Data),
            Ask::Restart => return self.session.restart_ice(now),
            Ask::Remove => {
                let reason = CloseReason::ServiceRequestRemoveParticipant;
                return self.session.close(now, reason);
            }
        }
        self.session.negotiation_needed(now);
    }

    /// Tells the session when the peer was last heard of.
    pub(crate) fn look_for_life(&mut self, net: &mut Net<'_>) {
        let ages = self.legs.ids().filter_map(|id| {
            let transport = net.endpoint.transport(id)?;
            transport.ice().consent_age(net.now)
        });
        if let Some(age) = ages.min() {
            self.session.handle_keep_alive(net.now, age);
        }
    }

    /// Does what the session asks for, and writes down what it tells, until it is quiet.
    pub(crate) fn drive(&mut self, net: &mut Net<'_>) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Signaling(action) => self.carry_out(net, &action),
                Action::PollStats => self.sample(net),
                Action::CloseChannel => self.wish = Some(Wish::Close),
                Action::CloseTransports => self.legs.close(net),
                Action::Escalate(what) => {
                    let reason = CloseReason::PeerConnectionDisconnected;
                    tracing::info!(call = self.number, ?what, "given up");
                    self.session.close(net.now, reason);
                }
                Action::OpenChannel { .. } => self.wish = Some(Wish::Open),
                _ => {}
            }
        }
        while let Some(event) = self.session.poll_event() {
            self.write_down(net.now, &event);
        }
    }

    /// What is to be done about the channel, after what was said last.
    pub(crate) fn poll_wish(&mut self) -> Option<Wish> {
        self.wish.take()
    }

    fn carry_out(&mut self, net: &mut Net<'_>, action: &signaling::Action) {
        use signaling::Action as Do;
        let done = |result: Result<(), Failure>| result.map(|()| Completed::Done);
        let made = |result: Result<Description, Failure>| {
            result.map(|description| Completed::Created(Arc::new(description)))
        };
        let result = match action {
            Do::CreateOffer { ice_restart, .. } => made(match ice_restart {
                true => self.legs.offer(net, Credentials::New),
                false => self.legs.offer(net, Credentials::Same),
            }),
            Do::CreateAnswer { .. } => made(self.legs.answer(net)),
            Do::Rollback { .. } => {
                self.legs.rollback(net);
                Ok(Completed::Done)
            }
            Do::Apply {
                side, description, ..
            } => done(self.legs.apply(net, *side, description)),
            Do::AddCandidate { candidate, .. } => done(self.legs.add_candidate(net, candidate)),
            _ => Err(Failure::Operation),
        };
        self.session.complete(net.now, action.operation(), result);
        self.follow(net);
    }

    /// The session's transports are those of the legs.
    fn follow(&mut self, net: &Net<'_>) {
        let known: Vec<_> = self.session.peer().transports().map(|(id, _)| id).collect();
        for id in known.iter().filter(|id| !self.legs.has(**id)) {
            self.session.remove_transport(net.now, *id);
        }
        let new: Vec<_> = self.legs.ids().filter(|id| !known.contains(id)).collect();
        for id in new {
            if let Some(transport) = net.endpoint.transport(id) {
                let states = TransportStates::from(transport);
                self.session.add_transport(net.now, id, states);
            }
        }
    }

    fn sample(&mut self, net: &Net<'_>) {
        let pairs = self.legs.ids().filter_map(|id| {
            let transport = net.endpoint.transport(id)?;
            transport.ice().selected_candidate_pair()
        });
        let sample = StatsSample {
            rtt: pairs.filter_map(|pair| pair.rtt).max(),
            ..StatsSample::default()
        };
        self.session.handle_stats(net.now, sample);
    }

    fn write_down(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Peer(event) => self.write_peer(event),
            Event::Negotiation(event) => self.write_negotiation(now, event),
            Event::Link(link::Event::StateChange(change)) => {
                let cause = change.cause.to_string();
                self.timeline
                    .change(change.at, "link", change.from, change.to, Some(cause));
            }
            Event::Recovery(recovery::Event::Transition(change)) => {
                let cause = change.cause.to_string();
                self.timeline
                    .change(change.at, "recovery", change.from, change.to, Some(cause));
            }
            Event::Recovery(recovery::Event::Drift(drift)) => {
                self.timeline.note(now, "drift", drift);
            }
            Event::Ended(ended) => {
                let reason = ended.close_reason.map(|reason| reason.to_string());
                tracing::info!(call = self.number, ?reason, public = %ended.disconnect_reason, "ended");
                self.timeline
                    .note(ended.at, "ended", ended.disconnect_reason);
            }
            _ => {}
        }
    }

    fn write_peer(&mut self, event: &PeerEvent) {
        let timeline = &mut self.timeline;
        match event {
            PeerEvent::IceTransportStateChange(_, change) => {
                let reason = change.reason.to_string();
                timeline.change(change.at, "ice", change.from, change.to, Some(reason));
            }
            PeerEvent::DtlsTransportStateChange(_, change) => {
                let reason = change.reason.to_string();
                timeline.change(change.at, "dtls", change.from, change.to, Some(reason));
            }
            PeerEvent::ConnectionStateChange(change) => {
                timeline.change(change.at, "connection", change.from, change.to, None);
            }
            PeerEvent::IceConnectionStateChange(change) => {
                timeline.change(change.at, "ice_connection", change.from, change.to, None);
            }
            PeerEvent::IceGatheringStateChange(change) => {
                timeline.change(change.at, "gathering", change.from, change.to, None);
            }
            _ => {}
        }
    }

    fn write_negotiation(&mut self, now: Instant, event: &negotiation::Event) {
        use negotiation::Event as Negotiation;
        match event {
            Negotiation::Signaling(signaling::Event::SignalingStateChange(change)) => {
                self.timeline
                    .change(change.at, "signaling", change.from, change.to, None);
            }
            Negotiation::Discarded(discarded) => {
                let text = format!("{} discarded: {}", discarded.kind, discarded.reason);
                self.timeline.note(now, "negotiation", text);
            }
            Negotiation::Failed(failed) => self.timeline.note(now, "negotiation", failed),
            _ => {}
        }
    }

    /// The call as it is, or as it was when it ended.
    pub(crate) fn view(&self, now: Instant, endpoint: &Endpoint) -> CallView {
        let (peer, ended) = (self.session.peer(), self.session.ended());
        let until = ended.map_or(now, |ended| ended.at);
        CallView {
            id: format!("call-{}", self.number),
            age_ms: milliseconds(self.timeline.age(until)),
            connection: peer.connection_state().to_string(),
            ice_connection: peer.ice_connection_state().to_string(),
            gathering: peer.ice_gathering_state().to_string(),
            signaling: self.session.negotiation().signaling().state().to_string(),
            negotiation: self.session.negotiation().phase().to_string(),
            role: self.session.negotiation().role().to_string(),
            link: self.session.link().state().to_string(),
            recovery: self.session.recovery().state().to_string(),
            sections: self.legs.sections().map(str::to_owned).collect(),
            transports: self.transports(endpoint),
            close_reason: ended
                .and_then(|ended| ended.close_reason)
                .map(|reason| reason.to_string()),
            disconnect_reason: ended.map(|ended| ended.disconnect_reason.to_string()),
            explain: peer.explain().to_string(),
            timeline: self.timeline.entries(),
            timeline_dropped: self.timeline.dropped(),
        }
    }

    fn transports(&self, endpoint: &Endpoint) -> Vec<TransportView> {
        let view = |(mid, id, traffic): (&str, _, &crate::traffic::Traffic)| {
            let transport = endpoint.transport(id)?;
            let (ice, dtls) = (transport.ice(), transport.dtls());
            Some(TransportView {
                mid: mid.to_owned(),
                ice: ice.state().to_string(),
                dtls: dtls.state().to_string(),
                ice_role: ice.role().map(role_name),
                selected_pair: ice.selected_candidate_pair().as_ref().map(pair_view),
                dtls_side: dtls.side().map(side_name),
                dtls_version: dtls.version().map(|version| version.to_string()),
                cipher_suite: dtls.cipher_suite().map(|suite| suite.to_string()),
                group: dtls.group().map(|group| group.to_string()),
                media: traffic.media(),
                data: traffic.data(),
            })
        };
        self.legs.all().filter_map(view).collect()
    }
}

#[cfg(test)]
mod tests;
