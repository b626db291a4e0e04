//! The transports of a call, and what offers and answers of either side do to them.
//!
//! ```text
//!             our offer, or the peer's            the answer
//!   (none) ─────────────────────────▶ pending ───────────────▶ current ───▶ (none): its section was stopped, or bundled
//!                                        └── rollback ──▶ (none)
//! ```
//!
//! A section is named by its mid, a transport by the section that carries it. Nothing here knows which description may come when:
//! that is `floe::signaling`'s, which asks for one thing at a time.

use std::time::Instant;

use floe::signaling::{CandidateInit, Description, Failure, Media, SdpType, Side};
use floe::{ApiMisuse, Endpoint, RemoteDtls, TransportId, TransportOptions};
use floe_dtls::{RemoteIdentity, Setup, answer_setup};
use floe_ice::{Candidate, Initiation, Protocol, RemoteParameters};

use crate::sdp::{CallDescription, Facts, Kind, Local, Refusal, Sections};
use crate::server::random_u64;
use crate::sessions::{Settings, add_local_candidates, add_remote_candidates};
use crate::traffic::Traffic;

/// The most sections that offers are made with, and the most transports that an offer is taken with: pages are not to be trusted.
const MOST_SECTIONS: usize = 32;

/// Where the transports live.
pub(crate) struct Net<'a> {
    pub(crate) now: Instant,
    pub(crate) endpoint: &'a mut Endpoint,
    pub(crate) settings: &'a Settings,
}

/// The transports of one call.
#[derive(Debug)]
pub(crate) struct Legs {
    legs: Vec<Leg>,
    /// What the last answer has agreed on.
    current: Sections,
    /// What an offer would make of it.
    pending: Option<Sections>,
    /// Sections for the next offer, until an answer has them.
    wanted: Vec<Kind>,
    session_id: u64,
    session_version: u64,
}

/// One transport.
#[derive(Debug)]
struct Leg {
    id: TransportId,
    /// The section that carries it.
    mid: String,
    since: Since,
    /// The peer's username fragment in the newest generation; none until it has answered.
    remote: Option<String>,
    /// That of the generation before, while an offer of ours that restarts ICE is not answered.
    former: Option<String>,
    traffic: Traffic,
}

/// Which descriptions a leg is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// An offer that is not answered yet.
    Pending,
    /// An answer.
    Current,
}

/// With which ICE credentials an offer is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Those that there are.
    Same,
    /// New ones: ICE restarts.
    New,
}

impl Legs {
    pub(crate) fn new() -> Self {
        Self {
            legs: Vec::new(),
            current: Sections::default(),
            pending: None,
            wanted: Vec::new(),
            session_id: random_u64() >> 2,
            session_version: 0,
        }
    }

    /// Every transport, oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = TransportId> {
        self.legs.iter().map(|leg| leg.id)
    }

    /// Whether this is one of them.
    pub(crate) fn has(&self, id: TransportId) -> bool {
        self.ids().any(|own| own == id)
    }

    /// What comes over one of them.
    pub(crate) fn traffic(&mut self, id: TransportId) -> Option<&mut Traffic> {
        let leg = self.legs.iter_mut().find(|leg| leg.id == id)?;
        Some(&mut leg.traffic)
    }

    /// Each transport with the section that carries it, and what came over it.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, TransportId, &Traffic)> {
        let legs = self.legs.iter();
        legs.map(|leg| (leg.mid.as_str(), leg.id, &leg.traffic))
    }

    /// The sections that were last agreed on, in order.
    pub(crate) fn sections(&self) -> impl Iterator<Item = &str> {
        self.current.mids()
    }

    /// The next offer has one more section, with a transport of its own.
    pub(crate) fn want(&mut self, kind: Kind) {
        if self.current.len() + self.wanted.len() < MOST_SECTIONS {
            self.wanted.push(kind);
        }
    }

    /// An offer: what there is, what is wanted, and with new credentials if ICE is to be restarted.
    pub(crate) fn offer(
        &mut self,
        net: &mut Net<'_>,
        credentials: Credentials,
    ) -> Result<Description, Failure> {
        let mut sections = self.current.clone();
        for kind in &self.wanted {
            sections.add(*kind).map_err(refused)?;
        }
        for mid in sections.carriers() {
            match self.legs.iter_mut().find(|leg| leg.mid == mid) {
                Some(leg) if credentials == Credentials::New => leg.restart(net)?,
                Some(_) => {}
                None => {
                    let id = create(net, Initiation::Initiating, Setup::ActPass, None)?;
                    self.add(id, mid);
                }
            }
        }
        self.pending = Some(sections);
        self.describe(net, SdpType::Offer)
    }

    /// The answer to the pending offer of the peer.
    pub(crate) fn answer(&mut self, net: &mut Net<'_>) -> Result<Description, Failure> {
        self.describe(net, SdpType::Answer)
    }

    /// Does what a description says.
    pub(crate) fn apply(
        &mut self,
        net: &mut Net<'_>,
        side: Side,
        description: &Description,
    ) -> Result<(), Failure> {
        match (side, description.kind) {
            // Its transports were made with it.
            (Side::Local, SdpType::Offer) => Ok(()),
            (Side::Local, _) => {
                self.agree(net);
                Ok(())
            }
            (Side::Remote, SdpType::Offer) => self.offered(net, &parse(description)?),
            (Side::Remote, _) => self.answered(net, &parse(description)?),
        }
    }

    /// The pending offer never was.
    pub(crate) fn rollback(&mut self, net: &mut Net<'_>) {
        self.pending = None;
        let pending = |leg: &Leg| leg.since == Since::Pending;
        for leg in self.legs.extract_if(.., |leg| pending(leg)) {
            net.endpoint.remove(net.now, leg.id);
        }
        for leg in &mut self.legs {
            let now = net.now;
            leg.remote = leg.former.take().or_else(|| leg.remote.take());
            // Refused where there is no restart to take back.
            let _ = net
                .endpoint
                .with(now, leg.id, |transport| transport.rollback_restart(now));
        }
    }

    /// A candidate of the peer's, or their end.
    pub(crate) fn add_candidate(
        &self,
        net: &mut Net<'_>,
        init: &CandidateInit,
    ) -> Result<(), Failure> {
        let now = net.now;
        let sections = self.pending.as_ref().unwrap_or(&self.current);
        let mid = init.mid.as_deref().or_else(|| {
            let index = usize::from(init.line_index.unwrap_or_default());
            sections.mids().nth(index)
        });
        let leg = mid.and_then(|mid| self.leg(sections.carrier(mid)));
        let id = leg.ok_or(Failure::Operation)?.id;
        if init.is_end_of_candidates() {
            net.endpoint.with(now, id, |transport| match &init.ufrag {
                Some(ufrag) => transport.remote_candidates_complete_of(now, ufrag),
                None => transport.remote_candidates_complete(now),
            });
            return Ok(());
        }
        let candidate: Candidate = init.candidate.parse().map_err(|_| Failure::Operation)?;
        // Names (mDNS) and TCP are for others.
        if candidate.protocol() == Protocol::Udp && candidate.address().is_some() {
            let added = net.endpoint.with(now, id, |transport| {
                transport.add_remote_candidate(now, candidate)
            });
            if let Some(Err(error)) = added {
                tracing::debug!(%error, "remote candidate left out");
            }
        }
        Ok(())
    }

    /// Closes every transport.
    pub(crate) fn close(&mut self, net: &mut Net<'_>) {
        for leg in self.legs.drain(..) {
            net.endpoint.remove(net.now, leg.id);
        }
    }

    fn leg(&self, mid: &str) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.mid == mid)
    }

    fn add(&mut self, id: TransportId, mid: &str) {
        self.legs.push(Leg {
            id,
            mid: mid.to_owned(),
            since: Since::Pending,
            remote: None,
            former: None,
            traffic: Traffic::new(),
        });
    }

    /// The peer's offer: transports that it begins, and ICE that it restarts.
    fn offered(&mut self, net: &mut Net<'_>, offer: &CallDescription) -> Result<(), Failure> {
        let sections = Sections::answering(offer).map_err(refused)?;
        if sections.carriers().count() > MOST_SECTIONS {
            return Err(Failure::InvalidAccess);
        }
        for mid in sections.carriers() {
            let facts = offer.facts(mid).map_err(refused)?;
            match self.legs.iter_mut().find(|leg| leg.mid == mid) {
                Some(leg) => leg.hear(net, facts)?,
                None => {
                    let setup = answer_setup(facts.setup, None, net.settings.side)
                        .map_err(|_| Failure::InvalidAccess)?;
                    let initiation = net.settings.initiation;
                    let ufrag = facts.parameters.username_fragment().to_owned();
                    let id = create(net, initiation, setup, Some(facts))?;
                    self.add(id, mid);
                    if let Some(leg) = self.legs.last_mut() {
                        leg.remote = Some(ufrag);
                    }
                }
            }
        }
        self.pending = Some(sections);
        Ok(())
    }

    /// The peer's answer: the other half of what was offered.
    fn answered(&mut self, net: &mut Net<'_>, answer: &CallDescription) -> Result<(), Failure> {
        let mut sections = self.pending.clone().ok_or(Failure::Operation)?;
        sections.keep(|mid| answer.mids().any(|answered| answered == mid));
        for mid in sections.carriers() {
            let facts = answer.facts(mid).map_err(refused)?;
            let leg = self.legs.iter_mut().find(|leg| leg.mid == mid);
            leg.ok_or(Failure::Operation)?.hear(net, facts)?;
        }
        self.pending = Some(sections);
        self.wanted.clear();
        self.agree(net);
        Ok(())
    }

    /// What is pending is agreed on; transports that no section carries are over.
    fn agree(&mut self, net: &mut Net<'_>) {
        let Some(sections) = self.pending.take() else {
            return;
        };
        self.current = sections;
        let current = &self.current;
        let over = |leg: &Leg| !current.carriers().any(|mid| mid == leg.mid);
        for leg in self.legs.extract_if(.., |leg| over(leg)) {
            net.endpoint.remove(net.now, leg.id);
        }
        for leg in &mut self.legs {
            leg.since = Since::Current;
        }
    }

    /// The pending sections with this side of their transports, as a description.
    fn describe(&mut self, net: &Net<'_>, kind: SdpType) -> Result<Description, Failure> {
        self.session_version += 1;
        let sections = self.pending.as_ref().ok_or(Failure::Operation)?;
        let text = sections
            .text(|mid| self.local(net, mid, kind))
            .map_err(refused)?;
        let carriers: Vec<&str> = sections.carriers().collect();
        let media: Vec<Media> = sections
            .mids()
            .map(|mid| {
                let carrier = sections.carrier(mid);
                let mut media = Media::new(mid);
                let index = carriers.iter().position(|other| *other == carrier);
                media.transport = index.unwrap_or_default() as u16;
                media.ufrag = self
                    .local(net, carrier, kind)
                    .map(|local| local.parameters.username_fragment().into());
                media
            })
            .collect();
        Ok(Description::new(kind, text).with_media(media))
    }

    fn local<'n>(&self, net: &'n Net<'_>, mid: &str, kind: SdpType) -> Option<Local<'n>> {
        let transport = net.endpoint.transport(self.leg(mid)?.id)?;
        let setup = match kind {
            SdpType::Offer => Setup::ActPass,
            _ => transport
                .answer_setup(Setup::ActPass, net.settings.side)
                .ok()?,
        };
        Some(Local {
            session_id: self.session_id,
            session_version: self.session_version,
            parameters: transport.ice().local_parameters(),
            mode: net.settings.mode,
            options: transport.ice().ice_options(),
            pacing: transport.ice().ice_pacing(),
            fingerprint: net.settings.fingerprint,
            setup,
            candidates: &net.settings.candidates,
        })
    }
}

impl Leg {
    /// What the peer's offer or answer says of this transport.
    fn hear(&mut self, net: &mut Net<'_>, facts: Facts) -> Result<(), Failure> {
        let (now, id) = (net.now, self.id);
        let ufrag = facts.parameters.username_fragment().to_owned();
        let remote = facts.remote_parameters();
        let dtls = RemoteDtls {
            fingerprints: facts.fingerprints,
            setup: facts.setup,
            tls_id: None,
        };
        if self.remote.as_deref() != Some(&ufrag) {
            match self.remote.is_some() {
                true => restart_ice(net, id, Some(remote))?,
                false => with(net, id, |transport| {
                    transport.set_remote_parameters(now, remote)
                })?,
            }
        }
        with(net, id, |transport| {
            add_remote_candidates(transport, now, facts.candidates, &ufrag);
            transport.set_remote_dtls(now, dtls).map(|_| ())
        })?;
        self.remote = Some(ufrag);
        self.former = None;
        Ok(())
    }

    /// New credentials of ours; the peer's come with its answer.
    fn restart(&mut self, net: &mut Net<'_>) -> Result<(), Failure> {
        restart_ice(net, self.id, None)?;
        self.former = self.remote.take();
        Ok(())
    }
}

/// A transport with this side's candidates, and with what the peer has said of it, if it has.
fn create(
    net: &mut Net<'_>,
    initiation: Initiation,
    setup: Setup,
    remote: Option<Facts>,
) -> Result<TransportId, Failure> {
    let now = net.now;
    let options = TransportOptions {
        mode: net.settings.mode,
        initiation,
        setup,
        remote_identity: match &remote {
            Some(facts) => RemoteIdentity::Fingerprints(facts.fingerprints.clone()),
            None => RemoteIdentity::Later,
        },
        local_parameters: None,
    };
    let id = net.endpoint.create(now, options).map_err(misused)?;
    let candidates = net.settings.candidates.clone();
    let told = with(net, id, |transport| {
        add_local_candidates(transport, now, candidates)?;
        let Some(facts) = remote else { return Ok(()) };
        let ufrag = facts.parameters.username_fragment().to_owned();
        transport.set_remote_parameters(now, facts.remote_parameters())?;
        add_remote_candidates(transport, now, facts.candidates, &ufrag);
        Ok(())
    });
    if let Err(failure) = told {
        net.endpoint.remove(now, id);
        return Err(failure);
    }
    Ok(id)
}

/// New credentials; the old path carries on until the new generation is confirmed.
fn restart_ice(
    net: &mut Net<'_>,
    id: TransportId,
    remote: Option<RemoteParameters>,
) -> Result<(), Failure> {
    let now = net.now;
    net.endpoint
        .restart(now, id, None, remote)
        .map_err(misused)?;
    with(net, id, |transport| {
        // The sockets are the same, so nothing is left to be gathered.
        transport.local_candidates_complete(now);
        Ok(())
    })
}

fn with<T>(
    net: &mut Net<'_>,
    id: TransportId,
    work: impl FnOnce(&mut floe::Transport) -> Result<T, ApiMisuse>,
) -> Result<T, Failure> {
    let done = net.endpoint.with(net.now, id, work);
    done.ok_or(Failure::Operation)?.map_err(misused)
}

fn parse(description: &Description) -> Result<CallDescription, Failure> {
    let text = std::str::from_utf8(&description.body).map_err(|_| Failure::SdpSyntax)?;
    CallDescription::parse(text).map_err(refused)
}

fn refused(refusal: Refusal) -> Failure {
    let (failure, why) = match refusal {
        Refusal::Malformed(why) => (Failure::SdpSyntax, why),
        Refusal::Unsupported(why) => (Failure::InvalidAccess, why),
    };
    tracing::debug!(why, "description refused");
    failure
}

fn misused(error: ApiMisuse) -> Failure {
    tracing::debug!(%error, "refused by the transport");
    Failure::Operation
}
