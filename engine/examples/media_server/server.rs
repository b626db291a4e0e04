//! The asynchronous side of the sessions: a handle whose calls become commands to the one task that owns the `Endpoint`.
//!
//! HTTP handlers run on any thread; floe runs on one, without a lock. What crosses is a [`Command`] with a place for its reply.

use std::fmt;
use std::str::FromStr;

use tokio::sync::{mpsc, oneshot};

use crate::sdp::{Answer, Description, Refusal};
use crate::view::Overview;

/// Commands that may wait; beyond that, HTTP handlers wait.
const QUEUE: usize = 256;

/// One request to the task that owns the sessions.
#[derive(Debug)]
pub(crate) enum Command {
    Create {
        offer: Box<Description>,
        answer: Answer,
        reply: Reply<Result<Created, Rejection>>,
    },
    Exists {
        key: SessionKey,
        reply: Reply<Result<(), Rejection>>,
    },
    Patch {
        key: SessionKey,
        precondition: IfMatch,
        fragment: String,
        reply: Reply<Result<Patched, Rejection>>,
    },
    End {
        key: SessionKey,
        reply: Reply<Result<(), Rejection>>,
    },
    Overview {
        reply: Reply<Overview>,
    },
    /// A WebSocket is open; frames for it go into `sender`.
    OpenChannel {
        sender: mpsc::Sender<String>,
        reply: Reply<Channel>,
    },
    /// A frame of a WebSocket.
    Hear {
        channel: Channel,
        frame: String,
        reply: Reply<()>,
    },
    /// A WebSocket is gone.
    CloseChannel {
        channel: Channel,
        reply: Reply<()>,
    },
    /// Ends every session with close_notify; nothing is accepted any more.
    Close {
        reply: Reply<usize>,
    },
}

/// Names one WebSocket, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Channel(pub(crate) u64);

/// Where the answer goes; whoever asked may have gone away meanwhile.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// A session made from an offer.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) key: SessionKey,
    pub(crate) entity_tag: EntityTag,
    /// The SDP answer.
    pub(crate) answer: String,
}

/// What a `PATCH` did.
#[derive(Debug)]
pub(crate) enum Patched {
    /// Candidates taken, nothing to say.
    Trickled,
    /// ICE restarted: this side's new generation.
    Restarted {
        entity_tag: EntityTag,
        fragment: String,
    },
}

/// Why a command was not carried out. The session, if there is one, is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    NoSession,
    /// `If-Match` names another ICE generation.
    Stale,
    Sdp(Refusal),
    /// floe refused: one sentence.
    Engine(String),
    Full,
    Closing,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSession => "no such session",
            Self::Stale => "the entity-tag is not the current one",
            Self::Sdp(Refusal::Malformed(why) | Refusal::Unsupported(why)) | Self::Engine(why) => {
                why
            }
            Self::Full => "as many sessions as this server takes are live",
            Self::Closing => "the server is closing",
        })
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Sdp(refusal)
    }
}

/// The secret part of a session's URL: 192 random bits. `Debug` does not show it (I63).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey([u8; 24]);

impl SessionKey {
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 24];
        fill(&mut bytes);
        Self(bytes)
    }
}

/// The URL's form, for `Location` alone.
impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

impl FromStr for SessionKey {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 24];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// A strong entity-tag: names one ICE generation of one session (RFC 9725 §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntityTag(u64);

impl EntityTag {
    pub(crate) fn random() -> Self {
        Self(random_u64())
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{:016x}\"", self.0)
    }
}

/// The `If-Match` of a request, RFC 9110 §13.1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    Any,
    Tags(Vec<String>),
}

impl IfMatch {
    /// Strong comparison.
    pub(crate) fn allows(&self, current: EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.contains(&current.to_string()),
        }
    }
}

/// 64 random bits.
pub(crate) fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the example's one source of entropy: session keys, entity-tags and SDP session ids"
)]
fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives entropy");
}

/// Hands commands to the sessions; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    commands: mpsc::Sender<Command>,
}

impl Server {
    /// A handle, and the end from which the sessions take its commands.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(QUEUE);
        (Self { commands }, receiver)
    }

    pub(crate) async fn create(&self, offer: Description) -> Result<Created, Rejection> {
        let answer = Answer::to(&offer)?;
        let offer = Box::new(offer);
        self.ask(|reply| Command::Create {
            offer,
            answer,
            reply,
        })
        .await?
    }

    pub(crate) async fn exists(&self, key: SessionKey) -> Result<(), Rejection> {
        self.ask(|reply| Command::Exists { key, reply }).await?
    }

    pub(crate) async fn patch(
        &self,
        key: SessionKey,
        precondition: IfMatch,
        fragment: String,
    ) -> Result<Patched, Rejection> {
        self.ask(|reply| Command::Patch {
            key,
            precondition,
            fragment,
            reply,
        })
        .await?
    }

    pub(crate) async fn end(&self, key: SessionKey) -> Result<(), Rejection> {
        self.ask(|reply| Command::End { key, reply }).await?
    }

    pub(crate) async fn overview(&self) -> Result<Overview, Rejection> {
        self.ask(|reply| Command::Overview { reply }).await
    }

    pub(crate) async fn open_channel(
        &self,
        sender: mpsc::Sender<String>,
    ) -> Result<Channel, Rejection> {
        self.ask(|reply| Command::OpenChannel { sender, reply })
            .await
    }

    pub(crate) async fn hear(&self, channel: Channel, frame: String) -> Result<(), Rejection> {
        self.ask(|reply| Command::Hear {
            channel,
            frame,
            reply,
        })
        .await
    }

    pub(crate) async fn close_channel(&self, channel: Channel) -> Result<(), Rejection> {
        self.ask(|reply| Command::CloseChannel { channel, reply })
            .await
    }

    /// Ends every session; tells how many there were.
    pub(crate) async fn close(&self) -> Result<usize, Rejection> {
        self.ask(|reply| Command::Close { reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Rejection> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| Rejection::Closing)?;
        answer.await.map_err(|_| Rejection::Closing)
    }
}
