//! A media server's front door, made of floe: WHIP signaling, UDP sockets, and a page that shows what happens inside.
//!
//! ```text
//! cargo run --release --example media_server                  # then open the printed URL and press Connect
//! cargo run --release --example media_server -- --clients 3   # life without a browser
//! cargo run --release --example media_server -- --help
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `options` | the command line |
//! | `net` | the sockets: batches in and out, one task that owns the machine behind them |
//! | `sessions`, `session` | floe's `Endpoint` with a `PeerConnection` beside each transport |
//! | `server` | the handle by which HTTP reaches that task |
//! | `whip` | HTTP: WHIP's rules (RFC 9725), the page, `/sessions` |
//! | `signal` | the WebSocket beside it, for calls |
//! | `traffic` | what comes over a transport: counted, or carried back |
//! | `sdp` | offers into facts, facts into answers, fragments |
//! | `calls`, `call`, `legs` | floe's `Session`: offers of either side over a WebSocket, transports that come and go |
//! | `data_channel` | SCTP in DTLS, by `sctp-proto`: an echo |
//! | `key_log` | DTLS secrets into a file, for Wireshark |
//! | `view` | the JSON of `/sessions` |
//! | `clients` | floe as the other side, for `--clients` |
//!
//! What an embedding looks like is in `sessions` and `net`; the rest is what any server needs around it.
//!
//! # For tests that drive it
//!
//! The page exposes `window.floe = { pc, states, start(options), restartIce(), stop() }`: `states` holds every value of `connection`,
//! `iceConnection`, `iceGathering`, `signaling`, `dtls` and `iceTransport` of the browser's side, the first one included;
//! `start({fingerprintOverride})` puts another fingerprint into the answer. `GET /sessions` is described in `view`. One line on
//! standard output names the URL; everything else goes to standard error. The exit code is 0 after Ctrl-C or SIGTERM, 1 when
//! something does not start, 2 for a bad option.
//!
//! What it does not do: SRTP (media is counted, not decrypted), TLS, authorization, several threads.

mod call;
mod calls;
mod clients;
mod data_channel;
mod key_log;
mod legs;
mod net;
mod options;
mod sdp;
mod server;
mod session;
mod sessions;
mod signal;
mod traffic;
mod view;
mod whip;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use floe::{EndpointConfig, TransportConfig};
use floe_dtls::{CertificateFingerprint, HashAlgorithm, Identity, IdentityError, NamedGroup, Side};
use floe_ice::{Access, Candidate, Initiation, Mode, Timing};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::key_log::KeyLogFile;
use crate::net::{Loopback, Sockets, Traffic};
use crate::options::{DtlsSetup, IceInitiation, IceMode, Options};
use crate::server::Server;
use crate::sessions::{Sessions, Settings};

/// How long a clean end may take.
const FAREWELL: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return explain(&error),
    };
    tracing_subscriber::fmt()
        .with_env_filter(options.log.as_str())
        .with_writer(io::stderr)
        .init();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("media_server: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `--help` as it is; a bad option as one line, with exit code 2.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let first_paragraph = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    let line = first_paragraph.collect::<Vec<_>>().join(" ");
    eprintln!("media_server: {}", line.trim_start_matches("error: "));
    ExitCode::from(2)
}

/// Why the server did not start, as one line.
#[derive(Debug)]
enum StartError {
    Bind(&'static str, SocketAddr, io::Error),
    Addresses(io::Error),
    Identity(IdentityError),
    KeyLog(PathBuf, io::Error),
    Http(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(what, address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "{what} port {} is in use on {}; choose another",
                    address.port(),
                    address.ip()
                )
            }
            Self::Bind(what, address, error) => write!(f, "cannot open {what} {address}: {error}"),
            Self::Addresses(error) => write!(f, "cannot list this machine's addresses: {error}"),
            Self::Identity(error) => write!(f, "cannot make a certificate: {error}"),
            Self::KeyLog(path, error) => {
                write!(f, "cannot open the key log {}: {error}", path.display())
            }
            Self::Http(error) => write!(f, "HTTP ended: {error}"),
        }
    }
}

/// A started server.
struct Running {
    server: Server,
    listener: TcpListener,
    url: String,
    network: JoinHandle<Traffic>,
}

async fn run(options: Options) -> Result<(), StartError> {
    let running = start(&options).await?;
    println!("Open {} in a browser; Ctrl-C ends.", running.url);
    let app = whip::router(running.server.clone());
    let clients = clients::start(options.clients, &app);
    serve(running.listener, app, interrupted()).await?;
    tracing::info!("closing");
    clients.close().await;
    close(&running.server, running.network).await;
    Ok(())
}

/// Opens the sockets and starts the task that owns the sessions.
async fn start(options: &Options) -> Result<Running, StartError> {
    let listener = TcpListener::bind(options.http())
        .await
        .map_err(|error| StartError::Bind("HTTP", options.http(), error))?;
    let url = format!(
        "http://{}/",
        listener.local_addr().map_err(StartError::Http)?
    );
    let sockets = Sockets::bind(options.sockets())
        .await
        .map_err(|(address, error)| StartError::Bind("UDP", address, error))?;
    let loopback = match options.http_bind.is_loopback() || options.clients > 0 {
        true => Loopback::Announced,
        false => Loopback::LastResort,
    };
    let candidates = sockets
        .announce(&options.announce, loopback)
        .map_err(StartError::Addresses)?;
    let settings = settings(options, candidates)?;
    let (server, commands) = Server::new();
    let network = tokio::spawn(net::run(
        Sessions::new(net::now(), settings),
        sockets,
        commands,
    ));
    Ok(Running {
        server,
        listener,
        url,
        network,
    })
}

async fn serve(
    listener: TcpListener,
    app: axum::Router,
    until: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        result = axum::serve(listener, service) => result.map_err(StartError::Http),
        () = until => Ok(()),
    }
}

/// Ends every session with close_notify, and waits for the last datagram, within bounds.
async fn close(server: &Server, network: JoinHandle<Traffic>) {
    let closing = async {
        let sessions = server.close().await.unwrap_or_default();
        let traffic = network.await.unwrap_or_default();
        tracing::info!(sessions, ?traffic, "closed");
    };
    if tokio::time::timeout(FAREWELL, closing).await.is_err() {
        tracing::warn!("not all sessions could be closed in time");
    }
}

/// Ctrl-C, or a service manager's SIGTERM.
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// A new certificate, the configuration that uses it, and the fingerprint by which SDP names it. What else DTLS is told is
/// the caller's. Peers on loopback are taken if these candidates are for them.
fn identity(
    candidates: &[Candidate],
    configure: impl FnOnce(&mut floe_dtls::Config) -> Result<(), StartError>,
) -> Result<(EndpointConfig, CertificateFingerprint), StartError> {
    let identity = Identity::generate().map_err(StartError::Identity)?;
    let fingerprint = identity.fingerprint(HashAlgorithm::Sha256);
    let mut ice = floe_ice::Config::with_timing(Timing::webrtc());
    let loopback =
        |candidate: &Candidate| candidate.address().is_some_and(|a| a.ip().is_loopback());
    if candidates.iter().any(loopback) {
        ice.addresses.loopback = Access::Allowed;
    }
    let mut dtls = floe_dtls::Config::new(Arc::new(identity));
    configure(&mut dtls)?;
    Ok((
        EndpointConfig::new(TransportConfig::new(Arc::new(ice), Arc::new(dtls))),
        fingerprint,
    ))
}

/// What the command line says about DTLS.
fn configure(dtls: &mut floe_dtls::Config, options: &Options) -> Result<(), StartError> {
    dtls.max_version = options.dtls_max_version.into();
    dtls.backend = options.crypto.into();
    // First, as browsers have it; a backend that does not know it passes it over.
    dtls.groups
        .retain(|group| *group != NamedGroup::X25519MLKEM768);
    dtls.groups.insert(0, NamedGroup::X25519MLKEM768);
    if let Some(path) = &options.key_log {
        let file =
            KeyLogFile::open(path).map_err(|error| StartError::KeyLog(path.clone(), error))?;
        dtls.key_log = Some(Arc::new(file));
    }
    Ok(())
}

fn settings(options: &Options, candidates: Vec<Candidate>) -> Result<Settings, StartError> {
    let (endpoint, fingerprint) = identity(&candidates, |dtls| configure(dtls, options))?;
    Ok(Settings {
        endpoint,
        fingerprint,
        mode: match options.ice {
            IceMode::Full => Mode::Full,
            IceMode::Lite => Mode::Lite,
        },
        initiation: match options.ice_initiation {
            IceInitiation::Initiating => Initiation::Initiating,
            IceInitiation::Responding => Initiation::Responding,
        },
        side: match options.dtls {
            DtlsSetup::Active => Side::Client,
            DtlsSetup::Passive => Side::Server,
        },
        candidates,
        max_sessions: options.max_sessions as usize,
        expiry: Duration::from_secs(options.expiry),
    })
}
