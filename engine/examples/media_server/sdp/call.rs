//! Descriptions of a call: offers and answers of either side, again and again, whose sections may have transports of their own.
//!
//! A section of the BUNDLE group has the transport of the group's first section, any other has its own (RFC 9143 §7). What the
//! answer's group says is what holds: an answer may leave a section out.

use floe::signaling::{Media, MediaLife};
use webrtc_sdp::SdpSession;
use webrtc_sdp::attribute_type::SdpAttribute;
use webrtc_sdp::media_type::SdpMedia;

use super::answer::{answered, audio, blank, candidate_attributes, data, transport_attributes};
use super::{
    Facts, Local, Refusal, bundle_group, check_names, is_rejected, malformed, mid, parse_session,
};

/// The other side's description.
#[derive(Debug)]
pub(crate) struct CallDescription {
    session: SdpSession,
    /// The BUNDLE group; empty where there is none.
    pub(crate) bundle: Vec<String>,
}

impl CallDescription {
    /// Reads an offer or an answer.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when it is no SDP, [`Refusal::Unsupported`] when a section has no name or does not multiplex RTCP.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let session = parse_session(text)?;
        let bundle = bundle_group(&session)?;
        check_names(&session, &bundle)?;
        Ok(Self { session, bundle })
    }

    /// The names of the sections that take part, in order.
    pub(crate) fn mids(&self) -> impl Iterator<Item = &str> {
        let live = self.session.media.iter().filter(|s| !is_rejected(s));
        live.filter_map(mid)
    }

    /// What floe's signaling wants to know of each section.
    pub(crate) fn media(&self) -> Vec<Media> {
        let describe = |section: &SdpMedia| {
            let name = mid(section)?;
            let mut media = Media::new(name);
            if is_rejected(section) {
                media.life = MediaLife::Stopped;
            }
            let carrier = match self.bundle.iter().any(|bundled| bundled == name) {
                true => self.bundle.first().map_or(name, String::as_str),
                false => name,
            };
            media.transport = self.mids().position(|mid| mid == carrier)? as u16;
            if let Ok(facts) = self.facts(carrier) {
                media.ufrag = Some(facts.parameters.username_fragment().into());
            }
            Some(media)
        };
        self.session.media.iter().filter_map(describe).collect()
    }

    /// What the transport of a section needs, if the section takes part.
    ///
    /// # Errors
    /// As [`Self::parse`], and when something of it is missing.
    pub(crate) fn facts(&self, name: &str) -> Result<Facts, Refusal> {
        let mut sections = self.session.media.iter();
        let section = sections
            .find(|section| mid(section) == Some(name) && !is_rejected(section))
            .ok_or_else(|| malformed("a section is missing"))?;
        Facts::read(&self.session, section)
    }
}

/// What a section is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Audio that the server could send.
    Audio,
    /// Data channels.
    Data,
}

/// This side's sections, without their transports: what the last description had, or the next one will have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sections {
    media: Vec<SdpMedia>,
    bundle: Vec<String>,
}

impl Sections {
    /// The answer to an offer: every section is accepted, and what the offer bundles is bundled. An answer could not take it out of the
    /// group again without rejecting it (RFC 9143 §7.3.3).
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] with the section and the reason.
    pub(crate) fn answering(offer: &CallDescription) -> Result<Self, Refusal> {
        Ok(Self {
            bundle: offer.bundle.clone(),
            media: answered(&offer.session.media)?,
        })
    }

    /// One more section, with a transport of its own; its name.
    ///
    /// # Errors
    /// None: the section is of this server's making.
    pub(crate) fn add(&mut self, kind: Kind) -> Result<String, Refusal> {
        // Not a name that a browser gives: those count from zero.
        let name = format!("floe{}", self.media.len());
        self.media.push(match kind {
            Kind::Audio => audio(&name, SdpAttribute::Sendonly)?,
            Kind::Data => data(&name)?,
        });
        Ok(name)
    }

    /// How many there are, with those that are stopped.
    pub(crate) fn len(&self) -> usize {
        self.media.len()
    }

    /// The names of the sections that take part, in order.
    pub(crate) fn mids(&self) -> impl Iterator<Item = &str> {
        let live = self.media.iter().filter(|section| !is_rejected(section));
        live.filter_map(mid)
    }

    /// The sections that carry a transport, in order.
    pub(crate) fn carriers(&self) -> impl Iterator<Item = &str> {
        self.mids().filter(|mid| self.carrier(mid) == *mid)
    }

    /// Stops the sections that the other side has rejected.
    pub(crate) fn keep(&mut self, accepted: impl Fn(&str) -> bool) {
        for section in &mut self.media {
            if !mid(section).is_some_and(&accepted) {
                section.set_port(0);
            }
        }
        self.bundle.retain(|name| accepted(name));
    }

    /// The section whose transport this one uses.
    pub(crate) fn carrier<'a>(&'a self, name: &'a str) -> &'a str {
        match self.bundle.iter().any(|bundled| bundled == name) {
            true => self.bundle.first().map_or(name, String::as_str),
            false => name,
        }
    }

    /// The description's text, where `local` gives this side of the transport of a carrier.
    ///
    /// # Errors
    /// None for parameters and candidates that ICE made.
    pub(crate) fn text<'a>(
        &self,
        local: impl Fn(&str) -> Option<Local<'a>>,
    ) -> Result<String, Refusal> {
        let first = self
            .mids()
            .next()
            .and_then(|name| local(self.carrier(name)));
        let first = first.ok_or_else(|| malformed("no transport"))?;
        let mut session = blank(&first, &self.bundle)?;
        for section in &self.media {
            let mut described = section.clone();
            if let Some(name) = mid(section).filter(|_| !is_rejected(section)) {
                let carrier = self.carrier(name);
                let transport = local(carrier).ok_or_else(|| malformed("no transport"))?;
                // A browser rejects a bundled section that does not repeat what its transport is.
                transport_attributes(&mut described, &transport)?;
                if carrier == name {
                    candidate_attributes(&mut described, transport.candidates)?;
                }
            }
            session.media.push(described);
        }
        Ok(session.to_string())
    }
}
