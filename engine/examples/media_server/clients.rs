//! Floe as the other side: full ICE agents that offer, control, and speak WHIP to this very server over loopback sockets.
//!
//! Each has a socket, an `Endpoint` and a task of its own, so what they do is what a remote client would do. Only their HTTP requests
//! take a short cut: they go to the router directly. They say something over a data channel once a second, and restart ICE every half
//! minute.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use floe::{Endpoint, Event, Outcome, Received, Transport, TransportId, TransportOptions};
use floe_dtls::{CertificateFingerprint, Reason, RemoteIdentity, Setup, State};
use floe_ice::{Candidate, FiveTuple, Initiation, Mode, RemoteParameters, Transmit};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::data_channel::DataChannels;
use crate::identity;
use crate::net::{self, Loopback, Machine, Sockets, now};
use crate::sdp::{self, Description, Fragment, Local, Refusal, TransportName};
use crate::server::{Rejection, random_u64};
use crate::sessions::seal;

/// Between the starts of two clients.
const STAGGER: Duration = Duration::from_millis(150);
/// Between two utterances.
const SPEAK: Duration = Duration::from_secs(1);
/// Between two restarts.
const RESTART: Duration = Duration::from_secs(30);
/// How long the clients' farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Longest body read, in bytes.
const BODY: usize = 64 * 1024;

/// Running clients.
#[derive(Debug)]
pub(crate) struct Clients {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts `count` clients of the server behind `app`.
pub(crate) fn start(count: u16, app: &Router) -> Clients {
    let (stop, stopped) = watch::channel(false);
    let task = |number: u16| {
        let (app, stopped) = (app.clone(), stopped.clone());
        tokio::spawn(async move {
            tokio::time::sleep(STAGGER * u32::from(number)).await;
            if let Err(error) = live(&app, stopped).await {
                tracing::warn!(client = number, error, "client gave up");
            }
        })
    };
    Clients {
        stop,
        tasks: (0..count).map(task).collect(),
    }
}

impl Clients {
    /// Ends every session with DELETE, within bounds.
    pub(crate) async fn close(self) {
        let _ = self.stop.send(true);
        let all = async {
            for task in self.tasks {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, all).await;
    }
}

/// One client's life, until told to stop.
async fn live(app: &Router, mut stopped: watch::Receiver<bool>) -> Result<(), String> {
    let mut client = Client::connect(app).await?;
    let mut speak = tokio::time::interval(SPEAK);
    let mut restart = tokio::time::interval_at(tokio::time::Instant::now() + RESTART, RESTART);
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            _ = speak.tick() => client.order(Order::Speak).await?,
            _ = restart.tick() => client.restart(app).await?,
        }
    }
    client.end(app).await
}

/// A client that has its answer.
#[derive(Debug)]
pub(crate) struct Client {
    /// The session's URL: relative, as `Location` gave it.
    pub(crate) location: String,
    /// The current ICE generation.
    pub(crate) entity_tag: String,
    orders: mpsc::Sender<Order>,
    /// Drops with the client: its socket ends with it.
    network: JoinHandle<net::Traffic>,
}

impl Client {
    /// Opens a socket, offers, and starts ICE with the answer.
    pub(crate) async fn connect(app: &Router) -> Result<Self, String> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sockets = Sockets::bind(std::iter::once(loopback))
            .await
            .map_err(|(_, error)| error.to_string())?;
        let candidates = sockets
            .announce(&[], Loopback::LastResort)
            .map_err(|error| error.to_string())?;
        let (machine, offer) = ClientMachine::new(now(), candidates)?;
        let response = request(
            app,
            Method::POST,
            "/whip",
            &[(header::CONTENT_TYPE.as_str(), "application/sdp")],
            offer,
        )
        .await?;
        let location = text_header(&response, header::LOCATION.as_str())?;
        let entity_tag = text_header(&response, header::ETAG.as_str())?;
        let answer = Description::parse(&body(response).await?).map_err(told)?;
        let (orders, receiver) = mpsc::channel(8);
        let network = tokio::spawn(net::run(machine, sockets, receiver));
        let client = Self {
            location,
            entity_tag,
            orders,
            network,
        };
        client.order(Order::Answer(Box::new(answer))).await?;
        Ok(client)
    }

    async fn order(&self, order: Order) -> Result<(), String> {
        self.orders
            .send(order)
            .await
            .map_err(|_| "the client has ended".to_owned())
    }

    /// Restarts ICE through WHIP, RFC 9725 §4.3.3.
    pub(crate) async fn restart(&mut self, app: &Router) -> Result<(), String> {
        let (reply, fragment) = oneshot::channel();
        self.order(Order::Restart { reply }).await?;
        let fragment = fragment
            .await
            .map_err(|_| "the client has ended".to_owned())??;
        let headers = [
            (
                header::CONTENT_TYPE.as_str(),
                "application/trickle-ice-sdpfrag",
            ),
            (header::IF_MATCH.as_str(), "*"),
        ];
        let response = request(app, Method::PATCH, &self.location, &headers, fragment).await?;
        self.entity_tag = text_header(&response, header::ETAG.as_str())?;
        self.order(Order::Restarted(body(response).await?)).await
    }

    /// Ends the session with DELETE, then the client with close_notify.
    pub(crate) async fn end(self, app: &Router) -> Result<(), String> {
        request(app, Method::DELETE, &self.location, &[], String::new()).await?;
        // The server's close_notify may have ended the client already.
        let _ = self.order(Order::Close).await;
        self.network
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Whether the server said goodbye within `patience`.
    #[cfg(test)]
    pub(crate) async fn sees_the_end(self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.network).await.is_ok()
    }
}

async fn request(
    app: &Router,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    text: String,
) -> Result<Response<Body>, String> {
    let builder = headers.iter().fold(
        Request::builder().method(&method).uri(uri),
        |builder, (name, value)| builder.header(*name, *value),
    );
    let request = builder
        .body(Body::from(text))
        .map_err(|error| error.to_string())?;
    let response = app
        .clone()
        .oneshot(request)
        .await
        .map_err(|error| error.to_string())?;
    match response.status() {
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(response),
        status => Err(format!(
            "{method}: {status} {}",
            body(response).await?.trim()
        )),
    }
}

fn text_header(response: &Response<Body>, name: &str) -> Result<String, String> {
    let value = response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok());
    value
        .map(str::to_owned)
        .ok_or_else(|| format!("the answer has no {name}"))
}

async fn body(response: Response<Body>) -> Result<String, String> {
    let bytes = to_bytes(response.into_body(), BODY)
        .await
        .map_err(|error| error.to_string())?;
    String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
}

/// What a client's task is told.
#[derive(Debug)]
enum Order {
    Answer(Box<Description>),
    Speak,
    /// Begins a restart; the reply is the fragment to send.
    Restart {
        reply: oneshot::Sender<Result<String, String>>,
    },
    /// The server's fragment.
    Restarted(String),
    Close,
}

/// A client's half of the transport.
#[derive(Debug)]
struct ClientMachine {
    endpoint: Endpoint,
    transport: TransportId,
    name: TransportName,
    candidates: Vec<Candidate>,
    /// Begun once DTLS is connected.
    channels: Option<DataChannels>,
    now: Instant,
    is_finished: bool,
}

impl ClientMachine {
    /// The machine, and its offer.
    fn new(now: Instant, candidates: Vec<Candidate>) -> Result<(Self, String), String> {
        let (config, fingerprint) =
            identity(&candidates, |_| Ok(())).map_err(|error| error.to_string())?;
        let mut endpoint = Endpoint::new(config);
        let options = TransportOptions {
            mode: Mode::Full,
            initiation: Initiation::Initiating,
            setup: Setup::ActPass,
            remote_identity: RemoteIdentity::Later,
            local_parameters: None,
        };
        let id = endpoint
            .create(now, options)
            .map_err(|error| error.to_string())?;
        let offer = endpoint.with(now, id, |transport| {
            add_candidates(transport, now, &candidates)?;
            offer(transport, fingerprint, &candidates)
        });
        let offer = offer.ok_or("no transport")??;
        let name = Description::parse(&offer).map_err(told)?.transport_name();
        Ok((
            Self {
                endpoint,
                transport: id,
                name,
                candidates,
                channels: None,
                now,
                is_finished: false,
            },
            offer,
        ))
    }

    /// Everything the answer says; ICE starts with it, and DTLS once ICE has a path.
    fn answered(&mut self, now: Instant, answer: Description) -> Result<(), String> {
        let facts = answer.facts;
        let remote = facts.remote_parameters();
        let told = self.endpoint.with(now, self.transport, |transport| {
            transport
                .set_remote_setup(now, facts.setup)
                .map_err(|error| error.to_string())?;
            transport
                .set_remote_fingerprints(now, facts.fingerprints)
                .map_err(|error| error.to_string())?;
            hear_of(transport, now, remote, facts.candidates.list)
        });
        told.unwrap_or(Ok(()))
    }

    fn restart(&mut self, now: Instant) -> Result<String, String> {
        let (name, candidates) = (&self.name, &self.candidates);
        let fragment = self.endpoint.with(now, self.transport, |transport| {
            transport
                .restart(now, None, None)
                .map_err(|error| error.to_string())?;
            transport.local_candidates_complete(now);
            Ok(sdp::fragment(
                name,
                Mode::Full,
                transport.ice().ice_options(),
                transport.ice().local_parameters(),
                candidates,
            ))
        });
        fragment.ok_or("no transport")?
    }

    fn restarted(&mut self, now: Instant, fragment: &str) -> Result<(), String> {
        let fragment = Fragment::parse(fragment, &self.name).map_err(told)?;
        let mut remote =
            RemoteParameters::new(fragment.parameters.ok_or("a restart without credentials")?);
        remote.mode = fragment.mode;
        let heard = self.endpoint.with(now, self.transport, |transport| {
            hear_of(transport, now, remote, fragment.candidates.list)
        });
        heard.unwrap_or(Ok(()))
    }

    /// The client is over when the server has said goodbye.
    fn drain_events(&mut self) {
        while let Some((_, event)) = self.endpoint.poll_event() {
            match event {
                Event::DtlsStateChange(change) if change.to == State::Connected => {
                    self.channels = Some(DataChannels::connecting(self.now))
                }
                Event::DtlsStateChange(change) if change.reason == Reason::ClosedByPeer => {
                    self.is_finished = true
                }
                _ => {}
            }
        }
    }

    /// The next packet of the data channel as a DTLS record, where there is consent to send.
    fn poll_channels(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        let packet = self.channels.as_mut()?.poll_packet()?;
        seal(&mut self.endpoint, self.now, self.transport, &packet, buf)
    }
}

fn offer(
    transport: &Transport,
    fingerprint: CertificateFingerprint,
    candidates: &[Candidate],
) -> Result<String, String> {
    let local = Local {
        session_id: random_u64() >> 2,
        session_version: 1,
        parameters: transport.ice().local_parameters(),
        mode: Mode::Full,
        options: transport.ice().ice_options(),
        pacing: transport.ice().ice_pacing(),
        fingerprint,
        setup: Setup::ActPass,
        candidates,
    };
    sdp::offer(&local).map_err(told)
}

fn add_candidates(
    transport: &mut Transport,
    now: Instant,
    candidates: &[Candidate],
) -> Result<(), String> {
    for candidate in candidates {
        transport
            .add_local_candidate(now, candidate.clone())
            .map_err(|error| error.to_string())?;
    }
    transport.local_candidates_complete(now);
    Ok(())
}

fn hear_of(
    transport: &mut Transport,
    now: Instant,
    remote: RemoteParameters,
    candidates: Vec<Candidate>,
) -> Result<(), String> {
    let fragment = remote.parameters.username_fragment().to_owned();
    transport
        .set_remote_parameters(now, remote)
        .map_err(|error| error.to_string())?;
    for candidate in candidates {
        transport
            .add_remote_candidate(now, candidate)
            .map_err(|error| error.to_string())?;
    }
    transport.remote_candidates_complete_of(now, &fragment);
    Ok(())
}

fn told(refusal: Refusal) -> String {
    Rejection::from(refusal).to_string()
}

impl Machine for ClientMachine {
    type Command = Order;

    fn handle_datagram(&mut self, now: Instant, path: FiveTuple, datagram: &mut [u8]) {
        self.now = now;
        let mut rest = datagram;
        while let Outcome::Routed {
            received: Received::Data { range, rest: next },
            ..
        } = self.endpoint.handle_datagram(now, path, rest)
        {
            if let Some(channels) = &mut self.channels {
                channels.handle_packet(now, &rest[range]);
            }
            rest = &mut rest[next];
            if rest.is_empty() {
                break;
            }
        }
        self.drain_events();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.endpoint.handle_timeout(now);
        if let Some(channels) = self
            .channels
            .as_mut()
            .filter(|channels| channels.poll_timeout().is_some_and(|at| at <= now))
        {
            channels.handle_timeout(now);
        }
        self.drain_events();
    }

    fn handle_command(&mut self, now: Instant, order: Order) {
        self.now = now;
        let done = match order {
            Order::Answer(answer) => self.answered(now, *answer),
            Order::Speak => {
                if let Some(channels) = &mut self.channels {
                    channels.say(now, "hello from a floe client");
                }
                Ok(())
            }
            Order::Restart { reply } => {
                // Whoever asked may be gone: then the reply is nobody's.
                drop(reply.send(self.restart(now)));
                Ok(())
            }
            Order::Restarted(fragment) => self.restarted(now, &fragment),
            Order::Close => {
                self.endpoint
                    .with(now, self.transport, |transport| transport.close(now));
                self.is_finished = true;
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::warn!(error, "a client stands still");
        }
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        self.endpoint
            .poll_transmit(buf)
            .or_else(|| self.poll_channels(buf))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let channels = self.channels.as_ref().and_then(DataChannels::poll_timeout);
        self.endpoint
            .poll_timeout()
            .into_iter()
            .chain(channels)
            .min()
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }
}

#[cfg(test)]
mod tests;
