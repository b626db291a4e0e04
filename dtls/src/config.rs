//! Everything that can be chosen about a connection, with its default.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::connection_id::ConnectionId;
use crate::crypto::CryptoBackend;
use crate::error::ApiMisuse;
use crate::fingerprint::RemoteIdentity;
use crate::identity::Identity;
use crate::msgs::enums::{CipherSuite, NamedGroup, ProtocolVersion};
use crate::record::protect::Protection;
use crate::srtp::SrtpProfile;

/// The most bytes of all application protocols together.
const MOST_PROTOCOL_BYTES: usize = 4096;

/// Which end of the handshake a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Sends the ClientHello.
    Client,
    /// Answers it.
    Server,
}

impl Side {
    /// The other end.
    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// This end's `a=setup` (RFC 4145 §4, RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Client.
    Active,
    /// Server.
    Passive,
    /// Not decided: the remote `a=setup` does, or a ClientHello that arrives before it.
    ActPass,
}

impl Setup {
    /// The side this value decides, if it does.
    pub fn side(self) -> Option<Side> {
        match self {
            Self::Active => Some(Side::Client),
            Self::Passive => Some(Side::Server),
            Self::ActPass => None,
        }
    }
}

/// What a server asks of its client (RFC 5246 §7.4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// A client without a certificate is refused. WebRTC's rule (RFC 8827 §6.5).
    #[default]
    Required,
    /// Asked for, but an empty answer is accepted. Only with [`crate::RemoteIdentity::AcceptAny`].
    Requested,
    /// Not asked for. Only with [`crate::RemoteIdentity::AcceptAny`].
    None,
}

/// Whether the extended master secret must be negotiated (RFC 7627).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExtendedMasterSecret {
    /// A peer without it is refused.
    #[default]
    Required,
    /// Offered, and used whenever the peer has it.
    Preferred,
}

/// What the absence of `use_srtp` in the peer's hello means (RFC 5764 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Nothing: peers that only have data channels are fine.
    #[default]
    Optional,
    /// The handshake fails.
    Required,
}

/// What a fatal alert does that arrives in plaintext, before there are keys to authenticate it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlaintextAlerts {
    /// It ends the handshake if nothing valid follows within one retransmission time-out.
    #[default]
    AfterGrace,
    /// It ends the handshake at once. Anybody who can write to the path can do that.
    Immediate,
}

/// What becomes of the certificate of a verified peer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PeerCertificates {
    /// It is forgotten: that it has one of the expected fingerprints is all that most want to know, and a certificate takes
    /// hundreds of bytes as long as the connection lives.
    #[default]
    Forgotten,
    /// It is kept for [`Connection::peer_certificate`](crate::Connection::peer_certificate), as an `RTCDtlsTransport` needs
    /// it for `getRemoteCertificates`.
    Kept,
}

/// What an ACK does that arrives in plaintext, before there are keys to authenticate it (RFC 9147 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlaintextAcks {
    /// Nothing, and what comes again in plaintext is not acknowledged: it is repeated until it is answered, which costs
    /// bytes and never the handshake.
    #[default]
    Ignored,
    /// The same as one under keys, both ways. Anybody who can write to the path can stop a retransmission, or the
    /// handshake.
    Believed,
}

/// How flights are sent again (RFC 6347 §4.2.4).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// The first time-out where no round-trip time is known. 50 ms to 3 s; default 400 ms.
    pub initial: Duration,
    /// Time-outs double up to this, in steps of 10 ms and at most 655 s. Default 60 s; inside a transport whose path has fresh consent the engine lowers it
    /// with [`crate::Connection::set_retransmission_cap`].
    pub cap: Duration,
    /// How often one flight is sent again at most; the time-out after that fails the handshake. Default 12. Where the engine has
    /// lowered the cap, it is sent again as often at that pace before its time-outs double on: a peer that does not answer on a path
    /// that works is busy, and has until the deadline.
    pub tries: u32,
    /// From `start` to the end of the handshake, at most, but for the time that it is
    /// [held](crate::Connection::hold_deadline). Default 60 s. What then is missing are fingerprints, if anything:
    /// [`Config::fingerprint_deadline`].
    pub deadline: Duration,
    /// Up to a quarter is added to each time-out, at random. Default off.
    pub jitter: Jitter,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(400),
            cap: Duration::from_secs(60),
            tries: 12,
            deadline: Duration::from_secs(60),
            jitter: Jitter::Off,
        }
    }
}

/// Whether retransmission times are spread at random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Jitter {
    /// Exact doubling.
    #[default]
    Off,
    /// Up to 25 % is added to each time-out.
    On,
}

/// Receives the secrets of each handshake in NSS key-log format, for tools that decrypt captures.
///
/// Whoever has these lines can read and forge the connection's traffic.
pub trait KeyLog: Send + Sync {
    /// `line` is a whole line of the format, without its end.
    fn log(&self, line: &str);
}

/// The choices for connections; shared by as many as you like as `Arc<Config>`.
#[non_exhaustive]
#[derive(Clone)]
pub struct Config {
    /// Our certificate and its key.
    pub identity: Arc<Identity>,
    /// Where all cryptography comes from, record ciphers and randomness included. Default: `ring`.
    pub backend: CryptoBackend,
    /// The oldest version offered or accepted. Default: DTLS 1.2, which is also the oldest there is here.
    pub min_version: ProtocolVersion,
    /// The newest version offered or accepted. Default: DTLS 1.3. A server takes the newest that both sides have.
    pub max_version: ProtocolVersion,
    /// Offered or accepted suites in order of preference, those of both versions in one list: each version takes its own.
    /// As a server, our order decides. At most [`Config::MOST_CIPHER_SUITES`]. Default: all there are, AES-128-GCM first,
    /// ECDSA before RSA, and ChaCha20 last.
    pub cipher_suites: Vec<CipherSuite>,
    /// Offered or accepted key-exchange groups in order of preference. Those that the backend does not have are passed
    /// over. A client of DTLS 1.3 sends a key share of the first, and with it that of X25519 if the first is X25519MLKEM768
    /// and X25519 is in the list; a server prefers a group whose share it already has. At most [`Config::MOST_GROUPS`].
    /// Default: X25519, P-256, P-384.
    pub groups: Vec<NamedGroup>,
    /// Application protocols in order of preference, 1 to 255 bytes each (ALPN, RFC 7301): `webrtc` and `c-webrtc` are
    /// WebRTC's (RFC 8833). Empty, the default: none is offered or chosen. A server refuses a client that offers only
    /// others; a client accepts that a server chooses none.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// The host name that a client asks for (SNI, RFC 6066 §3): ASCII, 1 to 255 bytes. Default: none.
    pub server_name: Option<String>,
    /// What this end wants to be called in the protected records sent to it, perhaps nothing (RFC 9146 §3, RFC 9147 §9).
    /// Used if the peer knows connection ids too, and wants to be called nothing that leaves less than
    /// [`ConnectionId::LEAST_ROOM`] of the MTU, or of the fallback MTU, to what a record carries: such a client is answered
    /// that there are no names, and a handshake with such a server fails. A connection with names takes some hundred bytes more
    /// than one without, and more with long ones. Default: none are offered or answered.
    pub connection_id: Option<ConnectionId>,
    /// What a server asks of its client. Default: a certificate is required.
    pub client_auth: ClientAuth,
    /// Whether RFC 7627 is demanded. Default: it is.
    pub extended_master_secret: ExtendedMasterSecret,
    /// Offered or accepted SRTP profiles in order of preference. Empty: `use_srtp` is neither offered nor answered. At
    /// most [`Config::MOST_SRTP_PROFILES`]. Default: AES-128-GCM, AES-256-GCM, AES-128 counter mode with tags of 80 bits.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// Whether a peer without SRTP is refused. Default: it is not.
    pub srtp_policy: SrtpPolicy,
    /// The largest datagram written, in bytes of UDP payload: 256 to 16 640, default 1200.
    pub mtu: usize,
    /// What the MTU falls to when a flight has timed out twice: 256 to 16 640, default 548 (an IPv4 host must take
    /// datagrams of 576 bytes). Handshake flights only, which then go out both ways: they may have been lost for their
    /// length or by chance.
    pub fallback_mtu: usize,
    /// How flights are sent again. Default: [`Retransmission::default`].
    pub retransmission: Retransmission,
    /// How long a finished handshake waits for fingerprints. Default 30 s.
    pub fingerprint_deadline: Duration,
    /// What plaintext fatal alerts do. Default: they end a handshake that then stands still.
    pub plaintext_alerts: PlaintextAlerts,
    /// What plaintext acknowledgements do. Default: nothing.
    pub plaintext_acks: PlaintextAcks,
    /// Whether the certificate of a verified peer can be asked for. Default: it is forgotten.
    pub peer_certificates: PeerCertificates,
    /// The first time that a connection was told.
    pub(crate) origin: OnceLock<Instant>,
    /// Gets the secrets of each handshake. Default: nobody does.
    pub key_log: Option<Arc<dyn KeyLog>>,
    #[cfg(feature = "fuzzing")]
    pub(crate) unprotected: bool,
}

impl Config {
    /// The versions there are, newest first.
    const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::DTLS1_3, ProtocolVersion::DTLS1_2];

    /// What an MTU can be, in bytes of UDP payload: at most, the longest record fits one datagram.
    pub const MTUS: RangeInclusive<usize> = 256..=16_640;

    /// The longest [`Config::cipher_suites`]: there are nine to choose from.
    pub const MOST_CIPHER_SUITES: usize = 16;

    /// The longest [`Config::groups`]: there are four to choose from.
    pub const MOST_GROUPS: usize = 8;

    /// The longest [`Config::srtp_profiles`]: there are four to choose from.
    pub const MOST_SRTP_PROFILES: usize = 8;

    /// The defaults, with this identity.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            backend: CryptoBackend::default(),
            min_version: ProtocolVersion::DTLS1_2,
            max_version: ProtocolVersion::DTLS1_3,
            cipher_suites: vec![
                CipherSuite::TLS13_AES_128_GCM_SHA256,
                CipherSuite::TLS13_AES_256_GCM_SHA384,
                CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            ],
            groups: vec![
                NamedGroup::X25519,
                NamedGroup::SECP256R1,
                NamedGroup::SECP384R1,
            ],
            alpn_protocols: vec![],
            server_name: None,
            connection_id: None,
            client_auth: ClientAuth::default(),
            extended_master_secret: ExtendedMasterSecret::default(),
            srtp_profiles: vec![
                SrtpProfile::Aes128Gcm,
                SrtpProfile::Aes256Gcm,
                SrtpProfile::Aes128CmSha1_80,
            ],
            srtp_policy: SrtpPolicy::default(),
            mtu: 1200,
            fallback_mtu: 548,
            retransmission: Retransmission::default(),
            fingerprint_deadline: Duration::from_secs(30),
            plaintext_alerts: PlaintextAlerts::default(),
            plaintext_acks: PlaintextAcks::default(),
            peer_certificates: PeerCertificates::default(),
            origin: OnceLock::new(),
            key_log: None,
            #[cfg(feature = "fuzzing")]
            unprotected: false,
        }
    }

    /// Records are not protected at all, so that a fuzzer gets past the cipher.
    #[cfg(feature = "fuzzing")]
    #[doc(hidden)]
    #[must_use]
    pub fn without_protection(mut self) -> Self {
        self.unprotected = true;
        self
    }

    /// By what records are protected.
    pub(crate) fn protection(&self) -> Protection {
        #[cfg(feature = "fuzzing")]
        if self.unprotected {
            return Protection::Null;
        }
        Protection::Real(self.backend)
    }

    /// The versions that are enabled and leave something to negotiate, newest first.
    pub(crate) fn usable_versions(&self) -> impl Iterator<Item = ProtocolVersion> {
        Self::VERSIONS.into_iter().filter(|version| {
            !version.is_older_than(self.min_version)
                && !self.max_version.is_older_than(*version)
                && self.usable_cipher_suites(*version).next().is_some()
                && self.usable_groups(*version).next().is_some()
        })
    }

    /// The configured suites of this version that the backend has.
    pub(crate) fn usable_cipher_suites(
        &self,
        version: ProtocolVersion,
    ) -> impl Iterator<Item = CipherSuite> {
        let has = move |suite: &CipherSuite| match version {
            ProtocolVersion::DTLS1_3 => self.backend.suite_v13(*suite).is_some(),
            _ => self.backend.suite_v12(*suite).is_some(),
        };
        self.cipher_suites.iter().copied().filter(has)
    }

    /// The configured groups of this version that the backend has.
    pub(crate) fn usable_groups(
        &self,
        version: ProtocolVersion,
    ) -> impl Iterator<Item = NamedGroup> {
        let has =
            move |group: &NamedGroup| self.backend.has_group(*group) && group.usable_in(version);
        self.groups.iter().copied().filter(has)
    }

    /// Checks what a type cannot, also against who the peer must be.
    pub(crate) fn check(&self, remote: &RemoteIdentity) -> Result<(), ApiMisuse> {
        if !Self::MTUS.contains(&self.mtu) || !Self::MTUS.contains(&self.fallback_mtu) {
            return Err(ApiMisuse::MtuOutOfRange);
        }
        if self.client_auth != ClientAuth::Required && *remote != RemoteIdentity::AcceptAny {
            return Err(ApiMisuse::ClientAuthContradictsIdentity);
        }
        if !self.identity.fits(self.backend) {
            return Err(ApiMisuse::IdentityDoesNotFitBackend);
        }
        let known = |version| Self::VERSIONS.contains(version);
        if !known(&self.min_version) || !known(&self.max_version) {
            return Err(ApiMisuse::VersionNotSupported);
        }
        if self.cipher_suites.len() > Self::MOST_CIPHER_SUITES
            || self.groups.len() > Self::MOST_GROUPS
            || self.srtp_profiles.len() > Self::MOST_SRTP_PROFILES
        {
            return Err(ApiMisuse::ListTooLong);
        }
        if self.usable_versions().next().is_none() {
            return Err(ApiMisuse::NothingConfigured);
        }
        self.check_names()
    }

    fn check_names(&self) -> Result<(), ApiMisuse> {
        let name = self.server_name.as_ref();
        if !name.is_none_or(|name| is_host_name(name.as_bytes())) {
            return Err(ApiMisuse::NameRefused);
        }
        let protocols = &self.alpn_protocols;
        let lengths = || protocols.iter().map(Vec::len);
        // All of them go into one extension; no hello should be near its limit.
        if lengths().all(|len| NAME.contains(&len))
            && lengths().sum::<usize>() <= MOST_PROTOCOL_BYTES
        {
            return Ok(());
        }
        Err(ApiMisuse::NameRefused)
    }
}

/// The length of a name, in bytes.
const NAME: RangeInclusive<usize> = 1..=255;

/// Whether this can be the name that a client asks for.
pub(crate) fn is_host_name(name: &[u8]) -> bool {
    NAME.contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("identity", &self.identity)
            .field("backend", &self.backend)
            .field("min_version", &self.min_version)
            .field("max_version", &self.max_version)
            .field("cipher_suites", &self.cipher_suites)
            .field("groups", &self.groups)
            .field("alpn_protocols", &self.alpn_protocols)
            .field("server_name", &self.server_name)
            .field("connection_id", &self.connection_id)
            .field("client_auth", &self.client_auth)
            .field("extended_master_secret", &self.extended_master_secret)
            .field("srtp_profiles", &self.srtp_profiles)
            .field("srtp_policy", &self.srtp_policy)
            .field("mtu", &self.mtu)
            .field("fallback_mtu", &self.fallback_mtu)
            .field("retransmission", &self.retransmission)
            .field("fingerprint_deadline", &self.fingerprint_deadline)
            .field("plaintext_alerts", &self.plaintext_alerts)
            .field("plaintext_acks", &self.plaintext_acks)
            .field("peer_certificates", &self.peer_certificates)
            .field("key_log", &self.key_log.is_some())
            .finish()
    }
}
