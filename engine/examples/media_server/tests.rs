//! The whole server in one process: sockets on loopback, floe clients as the other side, no browser.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use clap::Parser;
use floe_ice::DropReason;
use floe_stun::{
    Class, ErrorCode, IntegrityKey, Message, Method, RoleAttribute, RouteKey, TransactionIds,
    Writer,
};
use serde_json::Value;
use tokio::net::UdpSocket;
use tower::ServiceExt;

use crate::clients::{self, Client};
use crate::options::Options;
use crate::sdp::tests::OFFER;
use crate::server::Server;
use crate::{close, start, whip};

/// A server on ports of the system's choice, its HTTP side without a listener.
pub(crate) struct TestServer {
    pub(crate) app: Router,
    pub(crate) candidate: SocketAddr,
    server: Server,
    network: tokio::task::JoinHandle<crate::net::Traffic>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let fixed = [
            "media_server",
            "--http-port=0",
            "--udp-port=0",
            "--bind=127.0.0.1",
        ];
        let options = Options::parse_from(fixed.iter().chain(arguments));
        let running = start(&options).await.unwrap();
        let overview = running.server.overview().await.unwrap();
        Self {
            app: whip::router(running.server.clone()),
            candidate: overview.server.candidates[0].parse().unwrap(),
            server: running.server,
            network: running.network,
        }
    }

    /// What `GET /sessions` tells.
    pub(crate) async fn overview(&self) -> Value {
        let response = self
            .app
            .clone()
            .oneshot(Request::get("/sessions").body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
    }

    /// Waits until `/sessions` is as wanted, and returns it.
    pub(crate) async fn until(&self, wanted: impl Fn(&Value) -> bool, patience: Duration) -> Value {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let overview = self.overview().await;
            if wanted(&overview) {
                return overview;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "not in time: {overview:#}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn all_connected(&self, count: usize) -> Value {
        let connected = |session: &&Value| {
            session["connection"] == "connected" && session["ice"] == "completed"
        };
        self.until(
            |overview| {
                overview["sessions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(connected)
                    .count()
                    == count
            },
            PATIENCE,
        )
        .await
    }
}

/// Long enough for a loaded machine; nothing here is timed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The states that the time line tells of one machine, in order.
fn states<'a>(session: &'a Value, what: &str) -> Vec<&'a str> {
    let entries = session["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["what"] == what);
    let mut states: Vec<&str> = entries
        .clone()
        .take(1)
        .filter_map(|entry| entry["from"].as_str())
        .collect();
    states.extend(entries.map(|entry| entry["to"].as_str().unwrap()));
    states
}

// req: T36
#[tokio::test(flavor = "multi_thread")]
async fn the_key_log_file_has_the_secrets_of_each_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.log");
    let server = TestServer::with(&["--key-log", path.to_str().unwrap()]).await;
    let _clients = clients::start(2, &server.app);
    server.all_connected(2).await;
    let log = std::fs::read_to_string(&path).unwrap();
    let randoms: std::collections::HashSet<&str> = log
        .lines()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(
        randoms.len(),
        2,
        "one client random for each session: {log}"
    );
}

// req: R80 R81 R82 R83
#[tokio::test(flavor = "multi_thread")]
async fn clients_connect_are_shown_and_end_with_the_server() {
    // A lite agent does nothing between the first check it answers and the nomination that this check may carry.
    let full = ["new", "checking", "connected", "completed"];
    let lite = ["new", "checking", "completed"];
    for (mode, ice) in [("--ice=full", &full[..]), ("--ice=lite", &lite[..])] {
        let server = TestServer::with(&[mode]).await;
        let clients = clients::start(2, &server.app);
        let overview = server.all_connected(2).await;
        for session in overview["sessions"].as_array().unwrap() {
            assert_eq!(states(session, "ice"), ice, "{mode}");
            assert_eq!(states(session, "ice_connection"), ice, "{mode}");
            assert_eq!(states(session, "dtls"), ["new", "connecting", "connected"]);
            assert_eq!(
                states(session, "connection"),
                ["new", "connecting", "connected"]
            );
            assert_eq!(
                states(session, "gathering"),
                ["new", "gathering", "complete"]
            );
            assert_eq!(session["ice_role"], "controlled");
            assert_eq!(session["dtls_side"], "server");
            assert!(
                session["dtls_version"].is_string()
                    && session["cipher_suite"].is_string()
                    && session["group"].is_string()
            );
            assert_eq!(
                session["selected_pair"]["local"]
                    .as_str()
                    .unwrap()
                    .parse::<SocketAddr>()
                    .unwrap(),
                server.candidate
            );
            assert!(session["consent_age_ms"].as_f64().unwrap() < 30_000.0);
            assert!(session["end_reason"].is_null());
        }
        let spoken = |overview: &Value| {
            overview["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .all(|session| session["data"]["messages"] != 0)
        };
        server.until(spoken, PATIENCE).await;
        clients.close().await;
        let overview = server
            .until(|overview| overview["server"]["live"] == 0, PATIENCE)
            .await;
        assert_eq!(
            overview["sessions"].as_array().unwrap().len(),
            2,
            "ended sessions are still shown"
        );
        close(&server.server, server.network).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_ends_for_its_client_too() {
    let server = TestServer::start().await;
    let client = Client::connect(&server.app).await.unwrap();
    let other = Client::connect(&server.app).await.unwrap();
    server.all_connected(2).await;
    let delete = Request::delete(&client.location)
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        server.app.clone().oneshot(delete).await.unwrap().status(),
        StatusCode::OK
    );
    let overview = server.overview().await;
    assert_eq!(overview["server"]["live"], 1);
    let ended = overview["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|session| session["end_reason"] == "ended by DELETE")
        .unwrap();
    assert_eq!(ended["id"], "session-1");
    for state in ["ice", "dtls", "connection"] {
        assert_eq!(ended[state], "closed");
        assert_eq!(states(ended, state).last(), Some(&"closed"));
    }
    assert!(
        ended["selected_pair"].is_object(),
        "what there was is still told"
    );
    assert!(
        client.sees_the_end(PATIENCE).await,
        "close_notify reaches the client"
    );
    assert_eq!(other.end(&server.app).await, Ok(()));
}

/// Offers as a browser would; where the session is, and the answer.
async fn offer(server: &TestServer) -> (String, String) {
    let offer = Request::post("/whip")
        .header("content-type", "application/sdp")
        .body(Body::from(OFFER))
        .unwrap();
    let made = server.app.clone().oneshot(offer).await.unwrap();
    let location = made.headers()["location"].to_str().unwrap().to_owned();
    let answer = to_bytes(made.into_body(), 1 << 20).await.unwrap();
    (location, String::from_utf8(answer.to_vec()).unwrap())
}

fn attribute<'a>(sdp: &'a str, name: &str) -> &'a str {
    sdp.lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap()
}

/// The check that the browser of `OFFER` would send.
fn binding_request(answer: &str, key: &IntegrityKey) -> Vec<u8> {
    let mut ids = TransactionIds::new(RouteKey::from_bytes([1; 16]), [2; 32]);
    let mut request = vec![0; 256];
    let len = Writer::request(&mut request, Method::BINDING, ids.mint(0))
        .ice_username(attribute(answer, "a=ice-ufrag:"), "EsAw")
        .priority(1_845_501_695)
        .role(RoleAttribute::Controlling(1))
        .integrity(key)
        .fingerprint()
        .unwrap();
    request.truncate(len);
    request
}

/// Sends that check, and returns the verified answer's class and error.
async fn check(server: SocketAddr, answer: &str) -> (Class, Option<ErrorCode>) {
    let key = IntegrityKey::short_term(attribute(answer, "a=ice-pwd:").as_bytes());
    let request = binding_request(answer, &key);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&request, server).await.unwrap();
    let id = Message::parse(&request).unwrap().transaction_id();
    let mut datagram = [0; 1500];
    let receive = async {
        loop {
            let (len, from) = socket.recv_from(&mut datagram).await.unwrap();
            // A full agent asks back: that is not the answer.
            let message = Message::parse(&datagram[..len]).unwrap();
            if message.transaction_id() == id {
                assert_eq!(from, server);
                let verified = message.verify(&key).expect("the answer is authenticated");
                return (verified.class(), verified.error_code());
            }
        }
    };
    tokio::time::timeout(PATIENCE, receive)
        .await
        .expect("an answer comes")
}

#[tokio::test]
async fn a_forged_check_is_counted_and_changes_nothing() {
    let server = TestServer::start().await;
    let (_, answer) = offer(&server).await;
    let before = server.overview().await["sessions"][0].clone();
    let forged = binding_request(&answer, &IntegrityKey::short_term(b"not the password"));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&forged, server.candidate).await.unwrap();
    let counted = |overview: &Value| overview["sessions"][0]["drops"] != before["drops"];
    let after = server.until(counted, PATIENCE).await["sessions"][0].clone();
    let drops = after["drops"].as_object().unwrap();
    assert_eq!(
        drops.iter().collect::<Vec<_>>(),
        [(
            &format!("ICE: {}", DropReason::BadIntegrity),
            &Value::from(1)
        )]
    );
    assert_eq!(
        (&after["ice"], &after["timeline"]),
        (&before["ice"], &before["timeline"])
    );
}

// req: I59
#[tokio::test]
async fn checks_for_a_deleted_session_are_refused_with_an_authenticated_403() {
    let server = TestServer::start().await;
    let (location, answer) = offer(&server).await;
    assert_eq!(
        check(server.candidate, &answer).await,
        (Class::SuccessResponse, None)
    );
    let delete = Request::delete(location).body(Body::empty()).unwrap();
    let deleted = server.app.clone().oneshot(delete).await.unwrap();
    assert_eq!(deleted.status(), StatusCode::OK);
    assert_eq!(
        check(server.candidate, &answer).await,
        (Class::ErrorResponse, Some(ErrorCode::FORBIDDEN))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_the_generation_and_nothing_else() {
    for mode in ["--ice=full", "--ice=lite"] {
        let server = TestServer::with(&[mode]).await;
        let mut client = Client::connect(&server.app).await.unwrap();
        server.all_connected(1).await;
        let tag = client.entity_tag.clone();
        client.restart(&server.app).await.unwrap();
        assert_ne!(client.entity_tag, tag);
        let confirmed = |overview: &Value| {
            states(&overview["sessions"][0], "ice_restart")
                .iter()
                .any(|text| text.contains("confirmed"))
        };
        let overview = server.until(confirmed, PATIENCE).await;
        assert_eq!(overview["sessions"][0]["ice_restarts"], 1);
        assert_eq!(
            states(&overview["sessions"][0], "dtls"),
            ["new", "connecting", "connected"],
            "DTLS goes on, {mode}"
        );
        assert_eq!(client.end(&server.app).await, Ok(()));
    }
}

/// All bodies that HTTP carried, both ways.
type Carried = Arc<Mutex<String>>;

async fn record(State(carried): State<Carried>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let asked = to_bytes(body, 1 << 20).await.unwrap();
    let (told, answer) = next
        .run(Request::from_parts(parts, Body::from(asked.clone())))
        .await
        .into_parts();
    let answered = to_bytes(answer, 1 << 20).await.unwrap();
    for bytes in [&asked, &answered] {
        carried
            .lock()
            .unwrap()
            .push_str(std::str::from_utf8(bytes).unwrap());
    }
    Response::from_parts(told, Body::from(answered))
}

// req: I63
#[tokio::test(flavor = "multi_thread")]
async fn a_connected_and_restarted_session_is_shown_without_its_secrets() {
    let server = TestServer::start().await;
    let carried = Carried::default();
    let app = server
        .app
        .clone()
        .layer(middleware::from_fn_with_state(carried.clone(), record));
    let mut client = Client::connect(&app).await.unwrap();
    server.all_connected(1).await;
    client.restart(&app).await.unwrap();
    let shown = server.all_connected(1).await.to_string();

    let carried = carried.lock().unwrap().clone();
    let passwords: Vec<&str> = carried
        .lines()
        .filter_map(|line| line.strip_prefix("a=ice-pwd:"))
        .collect();
    assert_eq!(passwords.len(), 4, "both sides, before and after");
    let key = client.location.strip_prefix("/whip/").unwrap();
    for secret in passwords
        .into_iter()
        .chain([key, "/whip", "a=", "m=audio", "ice-ufrag"])
    {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_server_says_goodbye() {
    let server = TestServer::start().await;
    let client = Client::connect(&server.app).await.unwrap();
    server.all_connected(1).await;
    close(&server.server, server.network).await;
    assert!(client.sees_the_end(PATIENCE).await);
    assert!(Client::connect(&server.app).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let taken = TestServer::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = listener.local_addr().unwrap().port();
    for (what, port, [http_port, udp_port]) in [
        ("HTTP", http, [http, 0]),
        ("UDP", taken.candidate.port(), [0, taken.candidate.port()]),
    ] {
        let ports = [
            format!("--http-port={http_port}"),
            format!("--udp-port={udp_port}"),
        ];
        let options =
            Options::parse_from(["media_server", "--bind=127.0.0.1", &ports[0], &ports[1]]);
        let line = start(&options).await.err().unwrap().to_string();
        assert!(
            line.starts_with(&format!("{what} port {port} is in use")),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }
}
