//! The HTTP side: WHIP (RFC 9725 §4), the page and `GET /sessions`.
//!
//! | resource | method | answer |
//! |---|---|---|
//! | `/whip` | `POST` `application/sdp` | 201, `Location`, `ETag`, the answer with all candidates; 400 malformed, 413 too long, 415 another type, 422 unsupported, 429 too often, 503 full |
//! | `/whip/{session}` | `PATCH` `application/trickle-ice-sdpfrag` | 204 candidates taken; 200 ICE restarted, new `ETag`; 400, 404, 412 stale, 415, 422, 428 no `If-Match` |
//! | `/whip/{session}` | `DELETE` | 200, the session is over; 404 |
//! | `/call` | `GET`, upgraded to a WebSocket | a call's signaling, see `signal` |
//! | both | `GET`, `HEAD` | 204: they have no representation (RFC 9725 §4.1) |
//! | both | `OPTIONS` | CORS, `Accept-Post`, `Accept-Patch` |
//! | both | all else | 405 with `Allow` |
//!
//! A session's URL is its key: whoever holds it may end or restart the session, so it carries 192 random bits and appears in nothing but
//! the `Location` of its own answer. Left out: bearer tokens (RFC 9725 §4.7) and TLS, which a reverse proxy adds.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{
    ConnectInfo, DefaultBodyLimit, Extension, FromRequestParts, Path, Request, State,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::sdp::{Description, Refusal};
use crate::server::{Created, IfMatch, Patched, Rejection, Server, SessionKey};
use crate::signal;

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Longest body read, in bytes; a browser's offer has some 5 000.
const BODY_LIMIT: usize = 64 * 1024;
/// How long a request may take, its body included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Offers that one address may make: so many a second, and at once.
const OFFERS: (u32, u32) = (5, 30);
/// Other requests to WHIP resources, likewise.
const REQUESTS: (u32, u32) = (50, 200);

/// The routes, over a running server.
pub(crate) fn router(server: Server) -> Router {
    let whip = Router::new()
        .route("/whip", post(create).get(nothing).options(options))
        .route(
            "/whip/{session}",
            get(exists).patch(patch).delete(end).options(options),
        )
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Limits::new(), limit))
        .layer(middleware::map_response(cors))
        .with_state(server.clone());
    let calls = Router::new()
        .route("/call", get(signal::upgrade))
        .route(
            "/call.js",
            get(|| async { script(include_str!("call.js")) }),
        )
        .route(
            "/link.mjs",
            get(|| async { script(include_str!("link.mjs")) }),
        )
        .layer(middleware::from_fn_with_state(Limits::new(), limit));
    Router::new()
        .route("/", get(page))
        .route("/sessions", get(sessions))
        .merge(calls)
        .with_state(server)
        .merge(whip)
        .layer(middleware::map_response(harden))
}

async fn create(
    State(server): State<Server>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    require_type(&headers, SDP)?;
    let offer = Description::parse(text(&body)?)?;
    let Created {
        key,
        entity_tag,
        answer,
    } = server.create(offer).await?;
    let headers = [
        (header::CONTENT_TYPE, SDP.to_owned()),
        (header::LOCATION, format!("/whip/{key}")),
        (header::ETAG, entity_tag.to_string()),
    ];
    Ok((StatusCode::CREATED, headers, answer).into_response())
}

async fn patch(
    State(server): State<Server>,
    Session(key): Session,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    server.exists(key).await?;
    require_type(&headers, FRAGMENT)?;
    let precondition = if_match(&headers)?;
    match server
        .patch(key, precondition, text(&body)?.to_owned())
        .await?
    {
        Patched::Trickled => Ok(StatusCode::NO_CONTENT.into_response()),
        Patched::Restarted {
            entity_tag,
            fragment,
        } => {
            let headers = [
                (header::CONTENT_TYPE, FRAGMENT.to_owned()),
                (header::ETAG, entity_tag.to_string()),
            ];
            Ok((StatusCode::OK, headers, fragment).into_response())
        }
    }
}

/// Entity-tags are ignored here, RFC 9725 §4.3.1.
async fn end(State(server): State<Server>, Session(key): Session) -> Result<StatusCode, Problem> {
    server.end(key).await?;
    Ok(StatusCode::OK)
}

async fn exists(
    State(server): State<Server>,
    Session(key): Session,
) -> Result<StatusCode, Problem> {
    server.exists(key).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The headers say it all, RFC 9725 §4.2.
async fn options() -> StatusCode {
    StatusCode::OK
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; script-src 'unsafe-inline' 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    (
        [(header::CONTENT_SECURITY_POLICY, policy)],
        Html(include_str!("page.html")),
    )
}

fn script(text: &'static str) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        text,
    )
}

async fn sessions(State(server): State<Server>) -> Result<Response, Problem> {
    Ok(axum::Json(server.overview().await?).into_response())
}

/// The key in the path; what cannot be one names no session.
struct Session(SessionKey);

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::no_session())?;
        text.parse().map(Self).map_err(|_| Problem::no_session())
    }
}

fn require_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case(wanted) {
        true => Ok(()),
        false => Err(Problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the body has to be {wanted}"),
        )),
    }
}

fn text(body: &Bytes) -> Result<&str, Problem> {
    std::str::from_utf8(body)
        .map_err(|_| Problem(StatusCode::BAD_REQUEST, "the body is not UTF-8".to_owned()))
}

/// `*` or a list of entity-tags, RFC 9110 §13.1.1. Weak ones never match and are left out.
fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
    if values.peek().is_none() {
        return Err(Problem(
            StatusCode::PRECONDITION_REQUIRED,
            "If-Match is required".to_owned(),
        ));
    }
    let values: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    // Some clients quote the asterisk, as the figures of RFC 9725 do.
    if values.iter().any(|value| matches!(*value, "*" | "\"*\"")) {
        return Ok(IfMatch::Any);
    }
    Ok(IfMatch::Tags(
        values.into_iter().map(str::to_owned).collect(),
    ))
}

/// A refusal: the status and one line of text.
#[derive(Debug)]
struct Problem(StatusCode, String);

impl Problem {
    fn no_session() -> Self {
        Rejection::NoSession.into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(why) => Self(StatusCode::BAD_REQUEST, why),
            Refusal::Unsupported(why) => Self(StatusCode::UNPROCESSABLE_ENTITY, why),
        }
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match rejection {
            Rejection::Sdp(refusal) => return refusal.into(),
            Rejection::NoSession => StatusCode::NOT_FOUND,
            Rejection::Stale => StatusCode::PRECONDITION_FAILED,
            Rejection::Engine(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Rejection::Full | Rejection::Closing => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, rejection.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        tracing::debug!(status = self.0.as_u16(), "request refused");
        let mut response = (self.0, format!("{}\n", self.1)).into_response();
        if matches!(
            self.0,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// Requests a second for each remote address.
#[derive(Debug, Clone)]
struct Limits {
    offers: Arc<DefaultKeyedRateLimiter<IpAddr>>,
    requests: Arc<DefaultKeyedRateLimiter<IpAddr>>,
}

/// Addresses remembered before those that have been quiet are dropped.
const REMEMBERED: usize = 10_000;

impl Limits {
    fn new() -> Self {
        let keyed = |(rate, burst)| {
            let nonzero = |n| NonZeroU32::new(n).expect("the limits are constants above zero");
            Arc::new(RateLimiter::keyed(
                Quota::per_second(nonzero(rate)).allow_burst(nonzero(burst)),
            ))
        };
        Self {
            offers: keyed(OFFERS),
            requests: keyed(REQUESTS),
        }
    }
}

async fn limit(
    State(limits): State<Limits>,
    remote: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
    next: Next,
) -> Response {
    let limiter = if request.method() == Method::POST {
        &limits.offers
    } else {
        &limits.requests
    };
    // Requests without an address are this process's own clients.
    if let Some(Extension(ConnectInfo(remote))) = remote {
        if limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        if limiter.check_key(&remote.ip()).is_err() {
            return Problem(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests from this address".to_owned(),
            )
            .into_response();
        }
    }
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long".to_owned(),
        )
        .into_response(),
    }
}

/// Any origin may publish (RFC 9725 §4.2): nothing here rests on cookies.
async fn cors(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 7] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "DELETE, GET, HEAD, OPTIONS, PATCH, POST",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, If-Match",
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "Accept-Patch, Accept-Post, ETag, Link, Location",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (HeaderName::from_static("accept-post"), SDP),
        (HeaderName::from_static("accept-patch"), FRAGMENT),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
