//! SDP: from an offer to the facts that a transport needs, and from a transport's facts to an answer.
//!
//! Parsing and printing are `webrtc-sdp`'s. What stands here are the rules of one bundled transport: its facts come from the section
//! that carries the BUNDLE-tag, media level over session level (RFC 9143 §7.1, RFC 9429 §5.8); an answer mirrors the offer's sections
//! (RFC 3264 §6) and is all or nothing (RFC 9725 §4.4.3); a fragment (RFC 8840 §9) trickles candidates or restarts ICE.
//!
//! A call (`sdp/call.rs`) has offers of either side, again and again, and sections with transports of their own.
//!
//! Left out: header extensions, simulcast. No text of an offer is ever logged.

use floe_dtls::{CertificateFingerprint, FingerprintSet, Setup};
use floe_ice::{Candidate, Mode, Parameters, Protocol, RemoteParameters};
use webrtc_sdp::attribute_type::{
    SdpAttribute, SdpAttributeGroupSemantic, SdpAttributeSetup, SdpAttributeType,
};
use webrtc_sdp::error::SdpParserError;
use webrtc_sdp::media_type::{SdpMedia, SdpMediaValue, SdpProtocolValue};
use webrtc_sdp::{SdpSession, parse_sdp, parse_sdp_line};

mod answer;
mod call;
mod fragment;

pub(crate) use answer::{Answer, Local, offer};
pub(crate) use call::{CallDescription, Kind, Sections};
pub(crate) use fragment::{Fragment, Generation, fragment};

/// Why a description is refused. One sentence, made for the other side to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not parse, or contradicts itself.
    Malformed(String),
    /// It is SDP, but asks for what this server does not do.
    Unsupported(String),
}

fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::Malformed(why.into())
}

fn unsupported(why: impl Into<String>) -> Refusal {
    Refusal::Unsupported(why.into())
}

/// An offer or an answer whose sections all share one transport.
#[derive(Debug)]
pub(crate) struct Description {
    session: SdpSession,
    /// The mids of the BUNDLE group, in its order: the first is the BUNDLE-tag.
    pub(crate) bundle: Vec<String>,
    /// Index of the BUNDLE-tagged section.
    tagged: usize,
    /// What the transport needs.
    pub(crate) facts: Facts,
}

/// The transport's facts, all from the BUNDLE-tagged section.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) parameters: Parameters,
    pub(crate) mode: Mode,
    pub(crate) pacing: Option<std::time::Duration>,
    pub(crate) fingerprints: FingerprintSet,
    pub(crate) setup: Setup,
    pub(crate) candidates: Candidates,
}

/// Candidates, and whether there will be no more of them (RFC 8840 §8.2).
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) list: Vec<Candidate>,
    pub(crate) are_all: bool,
}

impl Description {
    /// Reads an offer or an answer.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when it is no SDP, [`Refusal::Unsupported`] when its sections do not share one BUNDLE transport or no
    /// identity is given for it.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let session = parse_session(text)?;
        let bundle = bundle_group(&session)?;
        if bundle.is_empty() {
            return Err(unsupported(
                "no a=group:BUNDLE: one bundled transport is required",
            ));
        }
        let tagged = tagged_section(&session, &bundle)?;
        check_sections(&session, &bundle)?;
        let facts = Facts::read(&session, &session.media[tagged])?;
        Ok(Self {
            session,
            bundle,
            tagged,
            facts,
        })
    }

    /// The offered or answered sections.
    fn sections(&self) -> &[SdpMedia] {
        &self.session.media
    }

    /// The line `m=` of the BUNDLE-tagged section and the group, as fragments repeat them (RFC 8840 §9.2).
    pub(crate) fn transport_name(&self) -> TransportName {
        let media = &self.session.media[self.tagged];
        TransportName {
            bundle: self.bundle.clone(),
            media: format!(
                "{} 9 {} {}",
                media.get_type(),
                media.get_proto(),
                media.get_formats()
            ),
        }
    }
}

/// How a session's fragments name its transport.
#[derive(Debug, Clone)]
pub(crate) struct TransportName {
    bundle: Vec<String>,
    media: String,
}

impl Facts {
    /// What ICE is told of the other side.
    pub(crate) fn remote_parameters(&self) -> RemoteParameters {
        let mut remote = RemoteParameters::new(self.parameters.clone());
        remote.mode = self.mode;
        remote.pacing = self.pacing;
        remote
    }

    fn read(session: &SdpSession, section: &SdpMedia) -> Result<Self, Refusal> {
        let text = |kind| match attribute(session, section, kind) {
            Some(SdpAttribute::IceUfrag(text) | SdpAttribute::IcePwd(text)) => Some(text.as_str()),
            _ => None,
        };
        let (Some(ufrag), Some(password)) = (
            text(SdpAttributeType::IceUfrag),
            text(SdpAttributeType::IcePwd),
        ) else {
            return Err(unsupported(
                "no ice-ufrag and ice-pwd for the BUNDLE-tagged section",
            ));
        };
        let lite = session.get_attribute(SdpAttributeType::IceLite).is_some();
        Ok(Self {
            parameters: parameters(ufrag, password)?,
            mode: if lite { Mode::Lite } else { Mode::Full },
            pacing: match session.get_attribute(SdpAttributeType::IcePacing) {
                Some(SdpAttribute::IcePacing(ms)) => Some(std::time::Duration::from_millis(*ms)),
                _ => None,
            },
            fingerprints: fingerprints(session, section)?,
            setup: setup(attribute(session, section, SdpAttributeType::Setup))?,
            candidates: Candidates::read(&session.attribute, section.get_attributes()),
        })
    }
}

/// What both kinds of description begin with.
fn parse_session(text: &str) -> Result<SdpSession, Refusal> {
    let text = tidy(text);
    check_media_lines(&text)?;
    let session = parse_sdp(&text, false).map_err(|error| malformed(describe(&error)))?;
    match session.media.is_empty() {
        true => Err(unsupported("no m= section")),
        false => Ok(session),
    }
}

/// Takes out of a text what the parser would refuse but the rules tell us to pass over: candidates of other transports (RFC 8839 §5.1,
/// RFC 9725 §4.3.2), and the upper case that hash names may have (RFC 8122 §5).
fn tidy(text: &str) -> String {
    text.lines()
        .filter(|line| !is_foreign_candidate(line))
        .map(|line| {
            match line
                .strip_prefix("a=fingerprint:")
                .and_then(|value| value.split_once(' '))
            {
                Some((hash, value)) => {
                    format!("a=fingerprint:{} {value}\r\n", hash.to_ascii_lowercase())
                }
                None => format!("{line}\r\n"),
            }
        })
        .collect()
}

fn is_foreign_candidate(line: &str) -> bool {
    let Some(candidate) = line.strip_prefix("a=candidate:") else {
        return false;
    };
    candidate
        .split_whitespace()
        .nth(2)
        .is_some_and(|transport| !transport.eq_ignore_ascii_case("udp"))
}

/// The parser's complaint without the line it complains of: that may hold a password.
fn describe(error: &SdpParserError) -> String {
    match error {
        SdpParserError::Line {
            error, line_number, ..
        }
        | SdpParserError::Unsupported {
            error, line_number, ..
        } => {
            format!("line {}: {error}", line_number + 1)
        }
        SdpParserError::Sequence { message, .. } => message.clone(),
    }
}

/// A section of an unknown protocol is only a warning to the parser, and its attributes would count as those of what stands before.
fn check_media_lines(text: &str) -> Result<(), Refusal> {
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("m="));
    match lines.find_map(|(number, line)| parse_sdp_line(line, number).err()) {
        Some(error @ SdpParserError::Unsupported { .. }) => Err(unsupported(describe(&error))),
        _ => Ok(()),
    }
}

fn bundle_group(session: &SdpSession) -> Result<Vec<String>, Refusal> {
    let groups = session
        .attribute
        .iter()
        .filter_map(|attribute| match attribute {
            SdpAttribute::Group(group)
                if matches!(group.semantics, SdpAttributeGroupSemantic::Bundle) =>
            {
                Some(&group.tags)
            }
            _ => None,
        });
    match groups.collect::<Vec<_>>().as_slice() {
        [] => Ok(Vec::new()),
        [tags] => Ok((*tags).clone()),
        _ => Err(unsupported("more than one BUNDLE group")),
    }
}

fn tagged_section(session: &SdpSession, bundle: &[String]) -> Result<usize, Refusal> {
    let tag = bundle.first().map(String::as_str);
    let section = session.media.iter().position(|section| mid(section) == tag);
    let section = section.ok_or_else(|| malformed("the BUNDLE-tag names no section"))?;
    if session.media[section].get_port() == 0 {
        return Err(malformed(
            "the BUNDLE-tagged section is rejected or bundle-only",
        ));
    }
    Ok(section)
}

/// Every section but a rejected one is in the group (RFC 9725 §4.4.1).
fn check_sections(session: &SdpSession, bundle: &[String]) -> Result<(), Refusal> {
    check_names(session, bundle)?;
    let outside = |section: &SdpMedia| !bundle.iter().any(|tag| Some(tag.as_str()) == mid(section));
    match session.media.iter().any(|s| !is_rejected(s) && outside(s)) {
        true => Err(unsupported("a section is outside the BUNDLE group")),
        false => Ok(()),
    }
}

/// Every section has a name of its own and, with RTP, multiplexes RTCP; the group names sections that are there.
fn check_names(session: &SdpSession, bundle: &[String]) -> Result<(), Refusal> {
    let mut seen = Vec::new();
    for section in session.media.iter() {
        let Some(mid) = mid(section) else {
            return Err(unsupported("a section has no a=mid"));
        };
        if seen.contains(&mid) {
            return Err(malformed("two sections have the same a=mid"));
        }
        seen.push(mid);
        let takes_part = !is_rejected(section);
        if takes_part
            && is_rtp(section)
            && section.get_attribute(SdpAttributeType::RtcpMux).is_none()
        {
            return Err(unsupported("a section without a=rtcp-mux"));
        }
    }
    match bundle.iter().all(|tag| seen.contains(&tag.as_str())) {
        true => Ok(()),
        false => Err(malformed(
            "the BUNDLE group names a section that is not there",
        )),
    }
}

fn mid(section: &SdpMedia) -> Option<&str> {
    match section.get_attribute(SdpAttributeType::Mid) {
        Some(SdpAttribute::Mid(mid)) => Some(mid),
        _ => None,
    }
}

/// Port zero means rejected, unless the section says that it has no address of its own (RFC 9143 §6).
fn is_rejected(section: &SdpMedia) -> bool {
    section.get_port() == 0
        && section
            .get_attribute(SdpAttributeType::BundleOnly)
            .is_none()
}

fn is_rtp(section: &SdpMedia) -> bool {
    matches!(
        section.get_type(),
        SdpMediaValue::Audio | SdpMediaValue::Video
    )
}

/// Media level over session level, RFC 9429 §5.8.
fn attribute<'a>(
    session: &'a SdpSession,
    section: &'a SdpMedia,
    kind: SdpAttributeType,
) -> Option<&'a SdpAttribute> {
    section
        .get_attribute(kind.clone())
        .or_else(|| session.get_attribute(kind))
}

fn parameters(ufrag: &str, password: &str) -> Result<Parameters, Refusal> {
    Parameters::new(ufrag, password)
        .map_err(|error| malformed(format!("ice-ufrag or ice-pwd: {error}")))
}

/// All fingerprints of the section, or else all of the session: levels do not mix.
fn fingerprints(session: &SdpSession, section: &SdpMedia) -> Result<FingerprintSet, Refusal> {
    let of = |attributes: &[SdpAttribute]| -> Vec<String> {
        let text = |attribute: &SdpAttribute| match attribute {
            SdpAttribute::Fingerprint(fingerprint) => Some(fingerprint.to_string()),
            _ => None,
        };
        attributes.iter().filter_map(text).collect()
    };
    let mut found = of(section.get_attributes());
    if found.is_empty() {
        found = of(&session.attribute);
    }
    let parsed: Vec<CertificateFingerprint> =
        found.iter().filter_map(|text| text.parse().ok()).collect();
    FingerprintSet::new(parsed)
        .map_err(|_| unsupported("no usable a=fingerprint for the BUNDLE-tagged section"))
}

fn setup(attribute: Option<&SdpAttribute>) -> Result<Setup, Refusal> {
    match attribute {
        Some(SdpAttribute::Setup(SdpAttributeSetup::Actpass)) => Ok(Setup::ActPass),
        Some(SdpAttribute::Setup(SdpAttributeSetup::Active)) => Ok(Setup::Active),
        Some(SdpAttribute::Setup(SdpAttributeSetup::Passive)) => Ok(Setup::Passive),
        Some(_) => Err(unsupported("a=setup:holdconn")),
        None => Err(unsupported("no a=setup for the BUNDLE-tagged section")),
    }
}

impl Candidates {
    /// The UDP candidates with an address; names (RFC 8839 §5.1, mDNS) and other transports are passed over.
    fn read(session: &[SdpAttribute], section: &[SdpAttribute]) -> Self {
        let candidate = |attribute: &SdpAttribute| match attribute {
            SdpAttribute::Candidate(candidate) => {
                format!("candidate:{candidate}").parse::<Candidate>().ok()
            }
            _ => None,
        };
        let usable = |candidate: &Candidate| {
            candidate.protocol() == Protocol::Udp && candidate.address().is_some()
        };
        let both = || session.iter().chain(section);
        Self {
            list: both().filter_map(candidate).filter(usable).collect(),
            are_all: both().any(|attribute| matches!(attribute, SdpAttribute::EndOfCandidates)),
        }
    }
}

/// Whether the protocol of a section is one a WebRTC transport carries.
fn is_webrtc(section: &SdpMedia) -> bool {
    match section.get_type() {
        SdpMediaValue::Audio | SdpMediaValue::Video => {
            matches!(
                section.get_proto(),
                SdpProtocolValue::UdpTlsRtpSavpf | SdpProtocolValue::UdpTlsRtpSavp
            )
        }
        SdpMediaValue::Application => matches!(section.get_proto(), SdpProtocolValue::UdpDtlsSctp),
        SdpMediaValue::Unknown(_) => false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
