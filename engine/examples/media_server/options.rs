//! What the command line says, checked before anything starts: a bad option is one clear line and exit code 2.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use floe_dtls::{CryptoBackend, ProtocolVersion};
use tracing_subscriber::filter::{LevelFilter, Targets};

/// A media server's front door: WHIP signaling, one page, and floe underneath.
///
/// Starts with no arguments: open the printed URL in a browser.
#[derive(Debug, Clone, Parser)]
#[command(name = "media_server", version)]
pub(crate) struct Options {
    /// Address on which the page, `/sessions` and the WHIP endpoint are served. Browsers give a page the full WebRTC API only over
    /// HTTPS or from localhost.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) http_bind: IpAddr,

    /// TCP port for HTTP; 0 lets the system choose.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) http_port: u16,

    /// Address of the UDP socket; may be given several times, for instance once for each address family.
    #[arg(long, value_name = "ADDRESS", default_values_t = [IpAddr::V4(Ipv4Addr::UNSPECIFIED)])]
    pub(crate) bind: Vec<IpAddr>,

    /// UDP port of every socket; 0 lets the system choose.
    #[arg(long, value_name = "PORT", default_value_t = 10_000)]
    pub(crate) udp_port: u16,

    /// Address put into the answers' candidates instead of the machine's own (a public address in front of a one-to-one NAT); may be
    /// given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) announce: Vec<IpAddr>,

    /// ICE mode of the server: `full` checks and keeps consent itself, `lite` only answers (RFC 8445 §2.5).
    #[arg(long, value_enum, default_value_t = IceMode::Full)]
    pub(crate) ice: IceMode,

    /// Who made the first offer, as ICE is told: with `initiating` a full server and a browser both begin as controlling agents, and
    /// settle it (RFC 8445 §7.3.1.1). For tests.
    #[arg(long, value_enum, default_value_t = IceInitiation::Responding)]
    pub(crate) ice_initiation: IceInitiation,

    /// DTLS side answered to an offer that leaves the choice (`a=setup:actpass`).
    #[arg(long, value_enum, default_value_t = DtlsSetup::Passive)]
    pub(crate) dtls: DtlsSetup,

    /// Newest DTLS version that is spoken.
    #[arg(long, value_enum, default_value_t = DtlsVersion::V1_3)]
    pub(crate) dtls_max_version: DtlsVersion,

    /// Where DTLS has its cryptography from.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) crypto: Crypto,

    /// Sessions that may live at once; further offers get 503.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_sessions: u32,

    /// Seconds after which a session without a connection is removed.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) expiry: u64,

    /// Starts this many floe clients that connect to this server over loopback sockets: life on the page without a browser.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) clients: u16,

    /// File that gets the DTLS secrets of every session, for Wireshark. Whoever has it can read the sessions.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_log: Option<PathBuf>,

    /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`) or a filter such as `media_server=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_filter)]
    pub(crate) log: String,
}

/// ICE mode, RFC 8445 §2.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IceMode {
    Full,
    Lite,
}

/// Which of the first two descriptions is this side's, RFC 8445 §6.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IceInitiation {
    Initiating,
    Responding,
}

/// The answer's `a=setup` where the offer says `actpass`, RFC 8842 §5.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtlsSetup {
    Active,
    Passive,
}

/// A DTLS version that a server can have as its newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtlsVersion {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

impl From<DtlsVersion> for ProtocolVersion {
    fn from(version: DtlsVersion) -> Self {
        match version {
            DtlsVersion::V1_2 => Self::DTLS1_2,
            DtlsVersion::V1_3 => Self::DTLS1_3,
        }
    }
}

/// A crypto backend of this build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Crypto {
    #[cfg_attr(not(feature = "aws-lc-rs"), default)]
    Ring,
    /// Has X25519MLKEM768, which today's browsers offer first.
    #[cfg(feature = "aws-lc-rs")]
    #[default]
    AwsLcRs,
}

impl From<Crypto> for CryptoBackend {
    fn from(crypto: Crypto) -> Self {
        match crypto {
            Crypto::Ring => Self::Ring,
            #[cfg(feature = "aws-lc-rs")]
            Crypto::AwsLcRs => Self::AwsLcRs,
        }
    }
}

impl Options {
    /// Where HTTP is served.
    pub(crate) fn http(&self) -> SocketAddr {
        SocketAddr::new(self.http_bind, self.http_port)
    }

    /// The UDP sockets to open.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.bind
            .iter()
            .map(|address| SocketAddr::new(*address, self.udp_port))
    }
}

/// A level alone, or a filter; a word that is neither would silently name a target.
fn log_filter(text: &str) -> Result<String, String> {
    let parsed = match text.contains('=') {
        true => text
            .parse::<Targets>()
            .map(|_| ())
            .map_err(|error| error.to_string()),
        false => text
            .parse::<LevelFilter>()
            .map(|_| ())
            .map_err(|error| error.to_string()),
    };
    parsed.map(|()| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("media_server").chain(arguments.iter().copied()))
    }

    #[test]
    fn no_arguments_are_needed() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.http(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(
            options.sockets().collect::<Vec<_>>(),
            ["0.0.0.0:10000".parse().unwrap()]
        );
        assert_eq!(
            (options.ice, options.dtls),
            (IceMode::Full, DtlsSetup::Passive)
        );
        assert_eq!(options.clients, 0);
    }

    #[test]
    fn every_option_is_understood() {
        let options = parse(&[
            "--http-bind=::1",
            "--http-port=0",
            "--bind=127.0.0.1",
            "--bind=::1",
            "--udp-port=4000",
            "--announce=192.0.2.1",
            "--ice=lite",
            "--dtls=active",
            "--dtls-max-version=1.2",
            "--crypto=ring",
            "--max-sessions=3",
            "--expiry=5",
            "--clients=2",
            "--log=media_server=debug,warn",
        ])
        .unwrap();
        assert_eq!(options.http(), "[::1]:0".parse().unwrap());
        assert_eq!(options.sockets().count(), 2);
        assert_eq!(
            (options.ice, options.dtls),
            (IceMode::Lite, DtlsSetup::Active)
        );
        assert_eq!(
            (options.dtls_max_version, options.crypto),
            (DtlsVersion::V1_2, Crypto::Ring)
        );
        assert_eq!(
            (options.max_sessions, options.expiry, options.clients),
            (3, 5, 2)
        );
    }

    #[test]
    fn a_bad_option_is_refused_with_exit_code_two() {
        for bad in [
            "--http-port=70000",
            "--bind=here",
            "--ice=half",
            "--dtls-max-version=1.1",
            "--clients=-1",
            "--clients=257",
            "--log=loud",
            "--what",
        ] {
            let error = parse(&[bad]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad}");
        }
    }
}
