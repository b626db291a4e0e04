//! The WebSocket beside WHIP: what carries a call's signaling, as text frames of JSON both ways.
//!
//! A socket is a channel and no more: which call it belongs to is said by its first frame, and a call outlives it. Frames are read
//! by the task that owns the calls; here they are only bounded in length, number and time.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::mpsc;

use crate::server::{Channel, Server};

/// Longest frame read, in bytes.
const FRAME: usize = 64 * 1024;
/// Frames that wait for a slow socket; it is dropped beyond.
pub(crate) const WAITING: usize = 256;
/// Frames a second that a socket may send, and at once.
const FRAMES: (u32, u32) = (50, 500);
/// How long one frame may take to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET /call`
pub(crate) async fn upgrade(State(server): State<Server>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(FRAME)
        .on_upgrade(|socket| carry(socket, server))
}

/// Carries frames both ways until either end is gone.
async fn carry(mut socket: WebSocket, server: Server) {
    let (sender, mut outbox) = mpsc::channel(WAITING);
    let Ok(channel) = server.open_channel(sender).await else {
        return;
    };
    let limiter = limiter();
    loop {
        let goes_on = tokio::select! {
            frame = outbox.recv() => match frame {
                Some(frame) => send(&mut socket, frame).await,
                None => false,
            },
            frame = socket.recv() => match frame {
                Some(Ok(frame)) if limiter.check().is_ok() => hear(&server, channel, frame).await,
                _ => false,
            },
        };
        if !goes_on {
            break;
        }
    }
    // The calls may be gone first.
    let _ = server.close_channel(channel).await;
}

async fn send(socket: &mut WebSocket, frame: String) -> bool {
    let sent = tokio::time::timeout(PATIENCE, socket.send(Message::Text(frame.into()))).await;
    matches!(sent, Ok(Ok(())))
}

async fn hear(server: &Server, channel: Channel, frame: Message) -> bool {
    match frame {
        Message::Text(text) => server.hear(channel, text.to_string()).await.is_ok(),
        Message::Ping(_) | Message::Pong(_) => true,
        Message::Binary(_) | Message::Close(_) => false,
    }
}

fn limiter() -> DefaultDirectRateLimiter {
    let nonzero = |n| NonZeroU32::new(n).expect("the limits are constants above zero");
    RateLimiter::direct(Quota::per_second(nonzero(FRAMES.0)).allow_burst(nonzero(FRAMES.1)))
}
