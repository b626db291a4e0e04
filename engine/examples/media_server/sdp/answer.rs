//! Writes the answer to an offer, section by section, and the offer of this server's own clients.

use std::net::Ipv4Addr;
use std::time::Duration;

use floe_dtls::{CertificateFingerprint, Setup};
use floe_ice::{Candidate, Mode, Parameters};
use webrtc_sdp::address::ExplicitlyTypedAddress;
use webrtc_sdp::attribute_type::{
    SdpAttribute, SdpAttributeGroup, SdpAttributeGroupSemantic, SdpAttributePayloadType,
    SdpAttributeRtpmap, SdpAttributeSetup, SdpAttributeType,
};
use webrtc_sdp::error::SdpParserInternalError;
use webrtc_sdp::media_type::{
    SdpFormatList, SdpMedia, SdpMediaLine, SdpMediaValue, SdpProtocolValue,
};
use webrtc_sdp::{SdpConnection, SdpOrigin, SdpSession, SdpTiming};

use crate::data_channel::MAX_MESSAGE;

use super::{Description, Refusal, is_rejected, is_webrtc, malformed, mid, unsupported};

/// Audio codec accepted; all that this server does with media is to count it.
const AUDIO: &[&str] = &["opus"];
/// Video codecs accepted, best first.
const VIDEO: &[&str] = &["VP8", "H264", "VP9", "AV1"];

/// This side of the transport, as an answer or an offer states it.
#[derive(Debug)]
pub(crate) struct Local<'a> {
    /// The `o=` line's session id.
    pub(crate) session_id: u64,
    /// And its version: one more with each description of the session.
    pub(crate) session_version: u64,
    pub(crate) parameters: &'a Parameters,
    pub(crate) mode: Mode,
    /// What the agent says it can do ([`floe_ice::Agent::ice_options`]).
    pub(crate) options: &'a [&'static str],
    pub(crate) pacing: Option<Duration>,
    pub(crate) fingerprint: CertificateFingerprint,
    pub(crate) setup: Setup,
    pub(crate) candidates: &'a [Candidate],
}

/// An answer without this side's transport: whether the offer can be accepted is known before anything is made for it.
#[derive(Debug)]
pub(crate) struct Answer {
    bundle: Vec<String>,
    sections: Vec<SdpMedia>,
    tagged: usize,
}

impl Answer {
    /// Answers `offer`: every section accepted, or the whole refused (RFC 9725 §4.4.3).
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] with the section and the reason.
    pub(crate) fn to(offer: &Description) -> Result<Self, Refusal> {
        // A WHIP client sends (RFC 9725 §4.2).
        let idle = |section: &SdpMedia| !is_rejected(section) && sends_nothing(section);
        if let Some(index) = offer.sections().iter().position(idle) {
            return Err(unsupported(format!(
                "m= section {index}: the offer sends nothing there"
            )));
        }
        Ok(Self {
            bundle: offer.bundle.clone(),
            sections: answered(offer.sections())?,
            tagged: offer.tagged,
        })
    }

    /// The answer's text.
    ///
    /// # Errors
    /// None for parameters and candidates that ICE made.
    pub(crate) fn text(mut self, local: &Local<'_>) -> Result<String, Refusal> {
        let mut session = blank(local, &self.bundle)?;
        // Once, in the section that carries the BUNDLE-tag (RFC 9143 §7.3).
        transport_attributes(&mut self.sections[self.tagged], local)?;
        candidate_attributes(&mut self.sections[self.tagged], local.candidates)?;
        session.extend_media(self.sections);
        Ok(session.to_string())
    }
}

/// Every offered section accepted, or rejected as the offer has it.
///
/// # Errors
/// [`Refusal::Unsupported`] with the first section that cannot be accepted, and the reason.
pub(super) fn answered(offered: &[SdpMedia]) -> Result<Vec<SdpMedia>, Refusal> {
    let answer = |(index, offered): (usize, &SdpMedia)| {
        let mut section = match is_rejected(offered) {
            true => rejected(offered),
            false => accepted(offered)
                .map_err(|why| unsupported(format!("m= section {index}: {why}")))?,
        };
        if let Some(mid) = mid(offered) {
            add(&mut section, SdpAttribute::Mid(mid.to_owned()))?;
        }
        Ok(section)
    };
    offered.iter().enumerate().map(answer).collect()
}

/// The offer of a client that sends one audio stream.
///
/// # Errors
/// None for parameters that ICE made.
pub(crate) fn offer(local: &Local<'_>) -> Result<String, Refusal> {
    let mut session = blank(local, &["0".to_owned()])?;
    let mut audio = audio("0", SdpAttribute::Sendonly)?;
    transport_attributes(&mut audio, local)?;
    candidate_attributes(&mut audio, local.candidates)?;
    session.media.push(audio);
    Ok(session.to_string())
}

/// A section of one audio stream.
pub(super) fn audio(mid: &str, direction: SdpAttribute) -> Result<SdpMedia, Refusal> {
    let mut audio = section_of(
        SdpMediaValue::Audio,
        SdpProtocolValue::UdpTlsRtpSavpf,
        SdpFormatList::Integers(Vec::new()),
    );
    let mut opus = SdpAttributeRtpmap::new(111, "opus".to_owned(), 48_000);
    opus.channels = Some(2);
    audio
        .add_codec(opus)
        .map_err(|error| malformed(error.to_string()))?;
    for attribute in [
        SdpAttribute::Mid(mid.to_owned()),
        direction,
        SdpAttribute::RtcpMux,
        SdpAttribute::RtcpMuxOnly,
    ] {
        add(&mut audio, attribute)?;
    }
    Ok(audio)
}

/// A section of data channels.
pub(super) fn data(mid: &str) -> Result<SdpMedia, Refusal> {
    let mut data = section_of(
        SdpMediaValue::Application,
        SdpProtocolValue::UdpDtlsSctp,
        SdpFormatList::Strings(vec!["webrtc-datachannel".to_owned()]),
    );
    sctp_attributes(&mut data).map_err(|error| malformed(error.to_string()))?;
    add(&mut data, SdpAttribute::Mid(mid.to_owned()))?;
    Ok(data)
}

/// SCTP's port and message size, RFC 8841 §5 and §6.
fn sctp_attributes(section: &mut SdpMedia) -> Result<(), SdpParserInternalError> {
    section.add_attribute(SdpAttribute::SctpPort(5000))?;
    section.add_attribute(SdpAttribute::MaxMessageSize(u64::from(MAX_MESSAGE)))
}

/// A description without sections: what it says of all of them.
pub(super) fn blank(local: &Local<'_>, bundle: &[String]) -> Result<SdpSession, Refusal> {
    let origin = SdpOrigin {
        username: "-".to_owned(),
        session_id: local.session_id,
        session_version: local.session_version,
        unicast_addr: ExplicitlyTypedAddress::from(Ipv4Addr::LOCALHOST),
    };
    let mut session = SdpSession::new(0, origin, "-".to_owned());
    session.set_timing(SdpTiming { start: 0, stop: 0 });
    let mut attributes = Vec::new();
    if !bundle.is_empty() {
        attributes.push(SdpAttribute::Group(SdpAttributeGroup {
            semantics: SdpAttributeGroupSemantic::Bundle,
            tags: bundle.to_vec(),
        }));
    }
    if local.mode == Mode::Lite {
        attributes.push(SdpAttribute::IceLite);
    }
    if let Some(pacing) = local.pacing {
        attributes.push(SdpAttribute::IcePacing(pacing.as_millis() as u64));
    }
    let options = local.options.iter().map(|option| (*option).to_owned());
    attributes.push(SdpAttribute::IceOptions(options.collect()));
    for attribute in attributes {
        session
            .add_attribute(attribute)
            .map_err(|error| malformed(error.to_string()))?;
    }
    Ok(session)
}

fn section_of(media: SdpMediaValue, proto: SdpProtocolValue, formats: SdpFormatList) -> SdpMedia {
    let mut section = SdpMedia::new(SdpMediaLine {
        media,
        port: 9,
        port_count: 0,
        proto,
        formats,
    });
    section.set_connection(SdpConnection {
        address: ExplicitlyTypedAddress::from(Ipv4Addr::UNSPECIFIED),
        ttl: None,
        amount: None,
    });
    section
}

/// A section the offer itself rejected stays in its place, rejected (RFC 3264 §8.2).
fn rejected(offered: &SdpMedia) -> SdpMedia {
    let mut section = section_of(
        offered.get_type().clone(),
        offered.get_proto().clone(),
        offered.get_formats().clone(),
    );
    section.set_port(0);
    section
}

fn accepted(offered: &SdpMedia) -> Result<SdpMedia, String> {
    if !is_webrtc(offered) {
        return Err(format!(
            "{} over {} is not supported",
            offered.get_type(),
            offered.get_proto()
        ));
    }
    match offered.get_type() {
        SdpMediaValue::Audio => accepted_rtp(offered, AUDIO),
        SdpMediaValue::Video => accepted_rtp(offered, VIDEO),
        SdpMediaValue::Application | SdpMediaValue::Unknown(_) => accepted_data(offered),
    }
    .map_err(|error| match error {
        SdpParserInternalError::Unsupported(why) => why,
        other => other.to_string(),
    })
}

/// One codec with its parameters. The server sends no media, but where it was offered to, it may.
fn accepted_rtp(offered: &SdpMedia, codecs: &[&str]) -> Result<SdpMedia, SdpParserInternalError> {
    let Some(codec) = pick_codec(offered, codecs) else {
        return Err(SdpParserInternalError::Unsupported(
            "none of its codecs is supported".to_owned(),
        ));
    };
    let payload_type = codec.payload_type;
    let mut section = section_of(
        offered.get_type().clone(),
        offered.get_proto().clone(),
        SdpFormatList::Integers(Vec::new()),
    );
    section.add_codec(codec)?;
    for attribute in offered.get_attributes() {
        if belongs_to(attribute, payload_type)
            || matches!(
                attribute,
                SdpAttribute::RtcpMuxOnly | SdpAttribute::RtcpRsize
            )
        {
            section.add_attribute(attribute.clone())?;
        }
    }
    section.add_attribute(SdpAttribute::RtcpMux)?;
    section.add_attribute(direction(offered))?;
    Ok(section)
}

/// The other end of the offered direction (RFC 3264 §6.1), without receiving and sending at once.
fn direction(offered: &SdpMedia) -> SdpAttribute {
    let has = |direction| offered.get_attribute(direction).is_some();
    if has(SdpAttributeType::Inactive) {
        SdpAttribute::Inactive
    } else if has(SdpAttributeType::Recvonly) {
        SdpAttribute::Sendonly
    } else {
        SdpAttribute::Recvonly
    }
}

fn sends_nothing(offered: &SdpMedia) -> bool {
    [SdpAttributeType::Recvonly, SdpAttributeType::Inactive]
        .into_iter()
        .any(|direction| offered.get_attribute(direction).is_some())
}

fn pick_codec(offered: &SdpMedia, codecs: &[&str]) -> Option<SdpAttributeRtpmap> {
    let rtpmaps = || {
        offered
            .get_attributes()
            .iter()
            .filter_map(|attribute| match attribute {
                SdpAttribute::Rtpmap(rtpmap) => Some(rtpmap),
                _ => None,
            })
    };
    let named = |name: &&str| {
        rtpmaps()
            .find(|rtpmap| rtpmap.codec_name.eq_ignore_ascii_case(name))
            .cloned()
    };
    codecs.iter().find_map(named)
}

fn belongs_to(attribute: &SdpAttribute, payload_type: u8) -> bool {
    match attribute {
        SdpAttribute::Fmtp(fmtp) => fmtp.payload_type == payload_type,
        SdpAttribute::Rtcpfb(feedback) => {
            matches!(feedback.payload_type, SdpAttributePayloadType::PayloadType(own) if own == payload_type)
        }
        _ => false,
    }
}

fn accepted_data(offered: &SdpMedia) -> Result<SdpMedia, SdpParserInternalError> {
    let formats = offered.get_formats();
    if !matches!(formats, SdpFormatList::Strings(names) if names.as_slice() == ["webrtc-datachannel"])
    {
        return Err(SdpParserInternalError::Unsupported(
            "only webrtc-datachannel is supported".to_owned(),
        ));
    }
    let mut section = section_of(
        SdpMediaValue::Application,
        offered.get_proto().clone(),
        formats.clone(),
    );
    sctp_attributes(&mut section)?;
    Ok(section)
}

/// ICE and DTLS of the transport that a section uses (RFC 9143 §7.1.2).
pub(super) fn transport_attributes(
    section: &mut SdpMedia,
    local: &Local<'_>,
) -> Result<(), Refusal> {
    add(
        section,
        SdpAttribute::IceUfrag(local.parameters.username_fragment().to_owned()),
    )?;
    add(
        section,
        SdpAttribute::IcePwd(local.parameters.password().to_owned()),
    )?;
    add(
        section,
        parsed(&format!("fingerprint:{}", local.fingerprint))?,
    )?;
    add(
        section,
        SdpAttribute::Setup(match local.setup {
            Setup::Active => SdpAttributeSetup::Active,
            Setup::Passive => SdpAttributeSetup::Passive,
            Setup::ActPass => SdpAttributeSetup::Actpass,
        }),
    )
}

/// The whole list: a WHIP server cannot trickle (RFC 9725 §4.3.2).
pub(super) fn candidate_attributes(
    section: &mut SdpMedia,
    candidates: &[Candidate],
) -> Result<(), Refusal> {
    for candidate in candidates {
        add(section, parsed(&candidate.to_string())?)?;
    }
    add(section, SdpAttribute::EndOfCandidates)
}

fn parsed(text: &str) -> Result<SdpAttribute, Refusal> {
    text.parse()
        .map_err(|error: SdpParserInternalError| malformed(error.to_string()))
}

fn add(section: &mut SdpMedia, attribute: SdpAttribute) -> Result<(), Refusal> {
    section
        .add_attribute(attribute)
        .map_err(|error| malformed(error.to_string()))
}
