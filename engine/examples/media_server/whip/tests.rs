use axum::body::{Body, to_bytes};
use tower::ServiceExt;

use super::*;
use crate::sdp::tests::OFFER;
use crate::tests::TestServer;

/// What came back, with its body.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

async fn ask(
    app: &Router,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let builder = headers.iter().fold(
        Request::builder().method(method).uri(uri),
        |builder, (name, value)| builder.header(*name, *value),
    );
    send(app, builder.body(Body::from(body.to_owned())).unwrap()).await
}

async fn post(app: &Router, offer: &str) -> Answer {
    ask(app, Method::POST, "/whip", &[("content-type", SDP)], offer).await
}

async fn patch(app: &Router, session: &Answer, if_match: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![("content-type", FRAGMENT)];
    headers.extend(if_match.map(|value| ("if-match", value)));
    ask(
        app,
        Method::PATCH,
        session.header("location").unwrap(),
        &headers,
        body,
    )
    .await
}

const TRICKLE: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n\
                       a=candidate:1 1 udp 2122260223 127.0.0.1 61764 typ host\r\n";
const RESTART: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:fresh\r\na=ice-pwd:freshfreshfreshfreshfresh\r\n\
                       a=candidate:1 1 udp 2122260223 127.0.0.1 61764 typ host\r\na=end-of-candidates\r\n";

// req: W25
#[tokio::test]
async fn an_offer_makes_a_session() {
    let server = TestServer::start().await;
    let made = post(&server.app, OFFER).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header("content-type"), Some(SDP));
    assert_eq!(made.header("accept-patch"), Some(FRAGMENT));
    let tag = made.header("etag").unwrap();
    assert!(
        tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2,
        "a strong entity-tag: {tag}"
    );
    let key = made
        .header("location")
        .unwrap()
        .strip_prefix("/whip/")
        .unwrap();
    assert!(hex::decode(key).unwrap().len() * 8 >= 128);
    let port = server.candidate.port().to_string();
    assert!(
        made.body.contains("a=candidate:")
            && made.body.contains(&port)
            && made.body.contains("a=end-of-candidates")
    );
    assert!(made.body.contains("a=setup:passive\r\n"));
    let options = "a=ice-options:trickle ice2 renomination\r\n";
    assert!(made.body.contains(options), "what the agent says it can do");

    let again = post(&server.app, OFFER).await;
    assert_ne!(again.header("location"), made.header("location"));
    assert_ne!(again.header("etag"), made.header("etag"));
}

#[tokio::test]
async fn a_bad_offer_gets_its_status_and_one_line() {
    let server = TestServer::start().await;
    let cases = [
        (post(&server.app, "hello").await, StatusCode::BAD_REQUEST),
        (
            post(&server.app, &OFFER.replace("opus", "speex")).await,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            post(&server.app, &OFFER.replace("a=setup:actpass\r\n", "")).await,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            ask(
                &server.app,
                Method::POST,
                "/whip",
                &[("content-type", "text/plain")],
                OFFER,
            )
            .await,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            ask(&server.app, Method::POST, "/whip", &[], OFFER).await,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
    ];
    for (answer, status) in cases {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.body.lines().count(), 1);
        assert!(answer.body.len() > 5 && answer.header("location").is_none());
    }
    assert_eq!(
        server.overview().await["server"]["created"],
        0,
        "nothing was made"
    );
    let typed = ask(
        &server.app,
        Method::POST,
        "/whip",
        &[("content-type", "Application/SDP; charset=utf-8")],
        OFFER,
    )
    .await;
    assert_eq!(typed.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_has_a_length_limit() {
    let server = TestServer::start().await;
    let long = OFFER.to_owned() + &"a=x:y\r\n".repeat(BODY_LIMIT / 7);
    assert_eq!(
        post(&server.app, &long).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn candidates_trickle_with_the_current_entity_tag_alone() {
    let server = TestServer::start().await;
    let session = post(&server.app, OFFER).await;
    let tag = session.header("etag").unwrap();
    assert_eq!(
        patch(&server.app, &session, None, TRICKLE).await.status,
        StatusCode::PRECONDITION_REQUIRED
    );
    for stale in ["\"0\"", &format!("W/{tag}"), tag.trim_matches('"')] {
        assert_eq!(
            patch(&server.app, &session, Some(stale), TRICKLE)
                .await
                .status,
            StatusCode::PRECONDITION_FAILED,
            "{stale}"
        );
    }
    for current in [tag, &format!("\"0\", {tag}"), "*"] {
        let answer = patch(&server.app, &session, Some(current), TRICKLE).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::NO_CONTENT, ""),
            "{current}"
        );
        assert_eq!(answer.header("etag"), None);
    }
}

#[tokio::test]
async fn a_restart_gives_new_credentials_and_a_new_entity_tag() {
    let server = TestServer::start().await;
    let session = post(&server.app, OFFER).await;
    let old = session.header("etag").unwrap();
    let restarted = patch(&server.app, &session, Some("*"), RESTART).await;
    assert_eq!(restarted.status, StatusCode::OK, "{}", restarted.body);
    assert_eq!(restarted.header("content-type"), Some(FRAGMENT));
    let new = restarted.header("etag").unwrap();
    assert_ne!(new, old);
    let line = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
        assert_ne!(line(&restarted.body, name), line(&session.body, name));
    }
    assert_eq!(
        line(&restarted.body, "a=ice-options:"),
        line(&session.body, "a=ice-options:")
    );
    assert!(restarted.body.contains("a=candidate:"));

    // What was gathered for the old generation comes too late.
    assert_eq!(
        patch(&server.app, &session, Some(old), TRICKLE)
            .await
            .status,
        StatusCode::PRECONDITION_FAILED
    );
    let fresh = TRICKLE
        .replace("EsAw", "fresh")
        .replace("bP+XJMM09aR8AiX1jdukzR6Y", "freshfreshfreshfreshfresh");
    assert_eq!(
        patch(&server.app, &session, Some(new), &fresh).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn a_failed_restart_keeps_the_session() {
    let server = TestServer::start().await;
    let session = post(&server.app, OFFER).await;
    let half = RESTART.replace("ice-ufrag:fresh", "ice-ufrag:EsAw");
    for bad in [
        "hello",
        "a=ice-ufrag:fresh\r\n",
        &RESTART.replace("freshfreshfreshfreshfresh", "short"),
        &half,
    ] {
        assert_eq!(
            patch(&server.app, &session, Some("*"), bad).await.status,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    let path = session.header("location").unwrap();
    let wrong_type = ask(
        &server.app,
        Method::PATCH,
        path,
        &[("content-type", SDP), ("if-match", "*")],
        RESTART,
    )
    .await;
    assert_eq!(wrong_type.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let trickled = patch(&server.app, &session, session.header("etag"), TRICKLE).await;
    assert_eq!(
        trickled.status,
        StatusCode::NO_CONTENT,
        "the session and its generation are as they were"
    );
    assert_eq!(server.overview().await["sessions"][0]["ice_restarts"], 0);
}

#[tokio::test]
async fn a_deleted_session_is_gone() {
    let server = TestServer::start().await;
    let session = post(&server.app, OFFER).await;
    let path = session.header("location").unwrap();
    assert_eq!(
        ask(
            &server.app,
            Method::DELETE,
            path,
            &[("if-match", "\"0\"")],
            ""
        )
        .await
        .status,
        StatusCode::OK
    );
    for method in [Method::DELETE, Method::GET, Method::HEAD] {
        assert_eq!(
            ask(&server.app, method, path, &[], "").await.status,
            StatusCode::NOT_FOUND
        );
    }
    let patched = patch(&server.app, &session, Some("*"), TRICKLE).await;
    assert_eq!(
        (patched.status, patched.body.as_str()),
        (StatusCode::NOT_FOUND, "no such session\n")
    );
    let overview = server.overview().await;
    assert_eq!(
        (
            &overview["server"]["live"],
            &overview["sessions"][0]["end_reason"]
        ),
        (&0.into(), &"ended by DELETE".into())
    );
}

#[tokio::test]
async fn resources_have_no_representation_and_refuse_other_methods() {
    let server = TestServer::start().await;
    let session = post(&server.app, OFFER).await;
    for path in ["/whip", session.header("location").unwrap()] {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(&server.app, method, path, &[], "").await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (StatusCode::NO_CONTENT, ""),
                "{path}"
            );
        }
    }
    for (method, path, allowed) in [
        (Method::PUT, "/whip", "POST"),
        (Method::PATCH, "/whip", "POST"),
        (Method::PUT, session.header("location").unwrap(), "PATCH"),
        (Method::POST, session.header("location").unwrap(), "DELETE"),
    ] {
        let answer = ask(&server.app, method, path, &[], "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert!(
            answer.header("allow").unwrap().contains(allowed),
            "{:?}",
            answer.header("allow")
        );
    }
    for path in ["/whip/0", "/whip/zz", &format!("/whip/{}", "0".repeat(48))] {
        assert_eq!(
            ask(&server.app, Method::GET, path, &[], "").await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn other_origins_may_publish_and_read_the_headers_they_need() {
    let server = TestServer::start().await;
    let session = post(&server.app, OFFER).await;
    for path in ["/whip", session.header("location").unwrap()] {
        let preflight = [
            ("origin", "https://example.com"),
            ("access-control-request-method", "PATCH"),
        ];
        let answer = ask(&server.app, Method::OPTIONS, path, &preflight, "").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("accept-post"), Some(SDP));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        for method in ["POST", "PATCH", "DELETE"] {
            assert!(
                answer
                    .header("access-control-allow-methods")
                    .unwrap()
                    .contains(method)
            );
        }
        for header in ["Content-Type", "If-Match"] {
            assert!(
                answer
                    .header("access-control-allow-headers")
                    .unwrap()
                    .contains(header)
            );
        }
    }
    for header in ["Location", "ETag", "Link"] {
        assert!(
            session
                .header("access-control-expose-headers")
                .unwrap()
                .contains(header)
        );
    }
    assert_eq!(session.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn one_address_cannot_ask_without_end() {
    let server = TestServer::start().await;
    let ask_as = |address: &'static str| {
        let app = server.app.clone();
        async move {
            let mut request = Request::builder()
                .method(Method::POST)
                .uri("/whip")
                .body(Body::empty())
                .unwrap();
            request
                .extensions_mut()
                .insert(ConnectInfo(address.parse::<SocketAddr>().unwrap()));
            send(&app, request).await
        }
    };
    let mut refused = None;
    for _ in 0..OFFERS.1 * 2 {
        let answer = ask_as("192.0.2.1:1000").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    assert!(
        refused
            .expect("the limit is reached")
            .header("retry-after")
            .is_some()
    );
    assert_eq!(
        ask_as("192.0.2.1:2000").await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "whatever the port"
    );
    assert_eq!(
        ask_as("192.0.2.2:1000").await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "others are not concerned"
    );
}

#[tokio::test]
async fn a_full_server_says_so() {
    let server = TestServer::with(&["--max-sessions=1"]).await;
    let first = post(&server.app, OFFER).await;
    let second = post(&server.app, OFFER).await;
    assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(second.header("retry-after").is_some());
    ask(
        &server.app,
        Method::DELETE,
        first.header("location").unwrap(),
        &[],
        "",
    )
    .await;
    assert_eq!(post(&server.app, OFFER).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_session_that_never_connects_expires() {
    let server = TestServer::with(&["--expiry=1"]).await;
    let session = post(&server.app, OFFER).await;
    server
        .until(
            |overview| overview["server"]["live"] == 0,
            Duration::from_secs(10),
        )
        .await;
    assert_eq!(
        ask(
            &server.app,
            Method::GET,
            session.header("location").unwrap(),
            &[],
            ""
        )
        .await
        .status,
        StatusCode::NOT_FOUND
    );
    let overview = server.overview().await;
    assert!(
        overview["sessions"][0]["end_reason"]
            .as_str()
            .unwrap()
            .contains("expired")
    );
}

// req: I63
#[tokio::test]
async fn pages_hold_no_secret() {
    let server = TestServer::start().await;
    let session = post(&server.app, OFFER).await;
    let restarted = patch(&server.app, &session, Some("*"), RESTART).await;
    let secrets = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix("a=ice-pwd:"))
            .map(|password| password.trim().to_owned())
            .collect()
    };
    let mut secrets = [
        secrets(&session.body),
        secrets(&restarted.body),
        secrets(OFFER),
        secrets(RESTART),
    ]
    .concat();
    assert_eq!(secrets.len(), 4);
    secrets.push(
        session
            .header("location")
            .unwrap()
            .strip_prefix("/whip/")
            .unwrap()
            .to_owned(),
    );
    secrets.push("a=candidate".to_owned());
    secrets.push("/whip/".to_owned());
    for path in ["/sessions", "/"] {
        let page = ask(&server.app, Method::GET, path, &[], "").await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        for secret in secrets.iter().filter(|_| path == "/sessions") {
            assert!(!page.body.contains(secret.as_str()), "{secret}");
        }
    }
    let debug = format!(
        "{:?}",
        session
            .header("location")
            .unwrap()
            .strip_prefix("/whip/")
            .unwrap()
            .parse::<SessionKey>()
            .unwrap()
    );
    assert_eq!(debug, "SessionKey(..)");
}
