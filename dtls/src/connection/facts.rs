//! What can be asked of a connection at any time. Nothing here changes anything.

use std::sync::Arc;

use super::established::Established;
use super::{Connection, Phase};
use crate::association::AssociationId;
use crate::config::{Config, Side};
use crate::error::{ApiMisuse, Error};
use crate::event::State;
use crate::msgs::enums::{CipherSuite, NamedGroup, ProtocolVersion};
use crate::srtp::{SrtpKeys, SrtpProfile};
use crate::stats::Stats;

impl Connection {
    /// The state, as an `RTCDtlsTransport` has it.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::New(_) | Phase::Started(_) => State::New,
            Phase::Client(_) | Phase::Server(_) | Phase::Unidentified(_) => State::Connecting,
            Phase::Connected(_) => State::Connected,
            Phase::Closed => State::Closed,
            Phase::Failed(_) => State::Failed,
        }
    }

    /// Whether there is nothing to send, to tell, or to wait for but what comes in: before the handshake begins, and most of the time
    /// of an established connection.
    #[must_use]
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.affairs.work().is_none()
    }

    /// Whether the handshake is complete and the peer is known to have all of ours, so that nothing of it will be needed
    /// again. In DTLS 1.3 the client learns it by an ACK and the server with the client's Finished; in DTLS 1.2 the client
    /// with the server's Finished and the server by the first application data. Not after the end.
    #[must_use]
    pub fn is_handshake_confirmed(&self) -> bool {
        let is_complete = matches!(self.phase, Phase::Unidentified(_) | Phase::Connected(_));
        is_complete && !self.affairs.is_handshake_in_air()
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Which association of its transport this is.
    #[must_use]
    pub fn association(&self) -> AssociationId {
        self.association
    }

    /// This end, once it is decided.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        self.side
    }

    /// Why the connection failed.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match &self.phase {
            Phase::Failed(error) => Some(error),
            _ => None,
        }
    }

    fn established(&self) -> Option<&Established> {
        match &self.phase {
            Phase::Connected(established) => Some(established),
            _ => None,
        }
    }

    /// The negotiated version; known once connected, and after the end too.
    #[must_use]
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.negotiated.map(|negotiated| negotiated.version())
    }

    /// The negotiated cipher suite; known once connected, and after the end too.
    #[must_use]
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.negotiated.map(|negotiated| negotiated.cipher_suite)
    }

    /// The negotiated key-exchange group; known once connected, and after the end too.
    #[must_use]
    pub fn group(&self) -> Option<NamedGroup> {
        self.negotiated.map(|negotiated| negotiated.group)
    }

    /// The negotiated SRTP profile; known once connected, and after the end too. `None` also if the peer has no SRTP.
    #[must_use]
    pub fn srtp_profile(&self) -> Option<SrtpProfile> {
        self.negotiated?.srtp_profile
    }

    /// The negotiated application protocol (ALPN, RFC 7301); known once connected, and after the end too. `None` also if
    /// none was negotiated.
    #[must_use]
    pub fn application_protocol(&self) -> Option<&[u8]> {
        self.negotiated?.protocol?.name(&self.config)
    }

    /// The host name that the client asks for (SNI, RFC 6066 §3): a client's own [`Config::server_name`], and what a server
    /// read in the hello, which anybody may have written before the connection is `Connected`. `None` also where it is
    /// nothing that a [`Config`] could ask for.
    ///
    /// [`Config`]: crate::Config
    /// [`Config::server_name`]: crate::Config::server_name
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match self.side {
            Some(Side::Server) => self.particulars.as_ref()?.asked_for.as_deref(),
            _ => self.config.server_name.as_deref(),
        }
    }

    /// Derives the SRTP keys (RFC 5764 §4.2); `None` unless connected and a profile was negotiated.
    #[must_use]
    pub fn srtp_keys(&self) -> Option<SrtpKeys> {
        let profile = self.srtp_profile()?;
        self.established()?.srtp_keys(self.association, profile)
    }

    /// Derives keying material (RFC 5705 §4, RFC 8446 §7.5) into the whole of `out`. In DTLS 1.2 no context and an empty one
    /// differ. Any label may be used, the empty one too, but those that the protocol uses itself.
    ///
    /// # Errors
    ///
    /// Not connected, or a label or context that cannot be used: [`ApiMisuse`].
    pub fn export_keying_material(
        &self,
        label: &str,
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ApiMisuse> {
        self.established()
            .ok_or(ApiMisuse::NotConnected)?
            .export(label, context, out)
    }

    /// The verified peer's certificate in DER; `None` unless connected and [`Config::peer_certificates`] says that it is
    /// kept, or if the peer has none.
    ///
    /// [`Config::peer_certificates`]: crate::Config::peer_certificates
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.established()?;
        self.particulars.as_ref()?.certificate.as_deref()
    }

    /// Counters since birth.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let round_trip_time = self.affairs.sender().round_trip_time();
        self.counters.stats(self.records.written(), round_trip_time)
    }
}
