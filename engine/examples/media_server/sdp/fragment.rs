//! Fragments: the part of an offer or answer that ICE may change later (RFC 8840 §9, RFC 9725 §4.3).

use floe_ice::{Candidate, Mode, Parameters};
use webrtc_sdp::attribute_type::SdpAttribute;
use webrtc_sdp::{SdpType, parse_sdp_line};

use super::{Candidates, Refusal, TransportName, describe, malformed, parameters, tidy};
use webrtc_sdp::error::SdpParserError;

/// What a `PATCH` says.
#[derive(Debug)]
pub(crate) struct Fragment {
    /// The generation it speaks of; none means the current one.
    pub(crate) parameters: Option<Parameters>,
    pub(crate) mode: Mode,
    pub(crate) candidates: Candidates,
}

/// Which ICE generation a fragment speaks of.
#[derive(Debug)]
pub(crate) enum Generation {
    /// The one in use: its candidates are trickled.
    Current,
    /// Another: ICE restarts (RFC 9725 §4.3.3).
    New(Parameters),
}

/// Attributes of one level of a fragment.
#[derive(Default)]
struct Level {
    mid: Option<String>,
    attributes: Vec<SdpAttribute>,
}

impl Fragment {
    /// Reads the fragment for the transport called `name`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when a line does not parse, a section is not one of this transport's, or only half of the credentials is
    /// given.
    pub(crate) fn parse(text: &str, name: &TransportName) -> Result<Self, Refusal> {
        let mut levels = read_levels(text)?;
        let session = levels.remove(0);
        for level in &levels {
            let Some(mid) = &level.mid else {
                return Err(malformed("a section of the fragment has no a=mid"));
            };
            if !name.bundle.contains(mid) {
                return Err(malformed(
                    "the fragment names a section that was not offered",
                ));
            }
        }
        // All sections share the one transport: the BUNDLE-tagged one speaks for it, else the first there is.
        let tagged = levels
            .iter()
            .position(|level| level.mid == name.bundle.first().cloned())
            .unwrap_or(0);
        let section = levels.into_iter().nth(tagged).unwrap_or_default();
        let both = || section.attributes.iter().chain(&session.attributes);
        let ufrag = both().find_map(|a| {
            if let SdpAttribute::IceUfrag(text) = a {
                Some(text)
            } else {
                None
            }
        });
        let password = both().find_map(|a| {
            if let SdpAttribute::IcePwd(text) = a {
                Some(text)
            } else {
                None
            }
        });
        Ok(Self {
            parameters: match (ufrag, password) {
                (Some(ufrag), Some(password)) => Some(parameters(ufrag, password)?),
                (None, None) => None,
                _ => return Err(malformed("ice-ufrag and ice-pwd come together")),
            },
            mode: if both().any(|a| matches!(a, SdpAttribute::IceLite)) {
                Mode::Lite
            } else {
                Mode::Full
            },
            candidates: Candidates::read(&session.attributes, &section.attributes),
        })
    }
}

impl Fragment {
    /// The generation, where `current` is the one in use.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when only one half of the credentials is new: a restart changes both (RFC 8839 §4.4.1.1.1).
    pub(crate) fn generation(&self, current: &Parameters) -> Result<Generation, Refusal> {
        let Some(given) = &self.parameters else {
            return Ok(Generation::Current);
        };
        let same = (
            given.username_fragment() == current.username_fragment(),
            given.password() == current.password(),
        );
        match same {
            (true, true) => Ok(Generation::Current),
            (false, false) => Ok(Generation::New(given.clone())),
            _ => Err(malformed("a restart changes ice-ufrag and ice-pwd")),
        }
    }
}

/// The session level first, then one level for each section.
fn read_levels(text: &str) -> Result<Vec<Level>, Refusal> {
    let mut levels = vec![Level::default()];
    for (number, line) in tidy(text)
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let parsed = match parse_sdp_line(line, number) {
            Ok(line) => line.sdp_type,
            Err(SdpParserError::Unsupported { .. }) if !line.starts_with("m=") => continue,
            Err(error) => return Err(malformed(describe(&error))),
        };
        let level = levels.last_mut().expect("there is always a session level");
        match parsed {
            SdpType::Media(_) => levels.push(Level::default()),
            SdpType::Attribute(SdpAttribute::Mid(mid)) => level.mid = Some(mid),
            SdpType::Attribute(attribute) => level.attributes.push(attribute),
            _ => {
                return Err(malformed(format!(
                    "line {}: only m= and a= lines stand in a fragment",
                    number + 1
                )));
            }
        }
    }
    match levels.iter().all(|level| level.attributes.is_empty()) {
        true => Err(malformed("the fragment says nothing")),
        false => Ok(levels),
    }
}

/// The answer to a restart: the new generation of this side, with the ICE attributes of the answer (RFC 9725 §4.3.3).
pub(crate) fn fragment(
    name: &TransportName,
    mode: Mode,
    options: &[&str],
    parameters: &Parameters,
    candidates: &[Candidate],
) -> String {
    let lite = if mode == Mode::Lite {
        "a=ice-lite\r\n"
    } else {
        ""
    };
    let candidates: String = candidates
        .iter()
        .map(|candidate| format!("a={candidate}\r\n"))
        .collect();
    format!(
        "{lite}a=ice-options:{options}\r\na=group:BUNDLE {bundle}\r\nm={media}\r\na=mid:{mid}\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
         {candidates}a=end-of-candidates\r\n",
        options = options.join(" "),
        bundle = name.bundle.join(" "),
        media = name.media,
        mid = name.bundle.first().map_or("", String::as_str),
        ufrag = parameters.username_fragment(),
        password = parameters.password(),
    )
}
