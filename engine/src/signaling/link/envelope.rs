//! What goes over the channel: a message with its number, or what the two sides say to each other beside the messages.

use crate::{close::Leave, entropy};
use std::{fmt, num::NonZeroU32, str::FromStr};
use thiserror::Error;

/// What a channel carries. The channel keeps it whole and does not change it; it need not keep the order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Envelope<M> {
    /// The session it is of.
    pub session: SessionId,
    /// Everything up to here has reached the sender. `None`: nothing yet.
    pub ack: Option<SequenceId>,
    /// What it says.
    pub body: Body<M>,
}

/// What an envelope says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub enum Body<M> {
    /// Dialing side, first on a channel: a new session.
    Open {
        /// Which channel of the session it is, by the dialing side's count. It begins anew after 65 535.
        channel: u16,
    },
    /// Dialing side, first on a channel: a session that both know.
    Resume {
        /// Which channel of the session it is.
        channel: u16,
    },
    /// Accepting side, to either.
    Welcome {
        /// Which channel was greeted.
        channel: u16,
    },
    /// A message of the caller.
    Message {
        /// Its place among the messages of this side.
        id: SequenceId,
        /// The message.
        payload: M,
    },
    /// Nothing but the acknowledgement.
    Ack,
    /// The session, or this channel of it, is over.
    Leave(Leave),
}

impl<M> Envelope<M> {
    /// The same envelope with the message in another form, such as that of the wire.
    pub fn map<N>(self, form: impl FnOnce(M) -> N) -> Envelope<N> {
        let Self { session, ack, body } = self;
        let body = match body {
            Body::Message { id, payload } => Body::Message {
                id,
                payload: form(payload),
            },
            Body::Open { channel } => Body::Open { channel },
            Body::Resume { channel } => Body::Resume { channel },
            Body::Welcome { channel } => Body::Welcome { channel },
            Body::Ack => Body::Ack,
            Body::Leave(leave) => Body::Leave(leave),
        };
        Envelope { session, ack, body }
    }

    /// The answer to a resume of a session that is unknown or over: begin anew.
    #[must_use]
    pub fn refusal(session: SessionId) -> Self {
        Self {
            session,
            ack: None,
            body: Body::Leave(Leave::UNKNOWN_SESSION),
        }
    }
}

/// The number of a message among those of its sender in its session: 1, 2, 3, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SequenceId(NonZeroU32);

impl SequenceId {
    /// The id of this number. `None` for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a signaling session, made by the dialing side: 128 bits, in text 32 lowercase hexadecimal digits.
///
/// Who knows it can ask to resume, so that it is not to be logged (`Debug` shows its first 32 bits), but it proves nobody's
/// identity: who may use which session is the caller's to check, on an encrypted channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// A new one, from the operating system's entropy.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = [0; 16];
        entropy::fill(&mut bytes);
        Self(bytes)
    }

    /// One that the caller has made. The delays of the back-off are drawn from it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "SessionId({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

/// Not 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a session id is 32 lowercase hexadecimal digits")]
pub struct ParseSessionIdError;

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(ParseSessionIdError);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| ParseSessionIdError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(feature = "serde")]
mod json {
    use super::{Envelope, SessionId};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
    use std::{borrow::Cow, fmt};

    impl Serialize for SessionId {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for SessionId {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        }
    }

    /// Bytes that are not an envelope, or a message that JSON cannot say.
    #[derive(Debug)]
    pub struct JsonError(serde_json::Error);

    impl fmt::Display for JsonError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    impl std::error::Error for JsonError {}

    impl<M: Serialize> Envelope<M> {
        /// The envelope as one line of JSON: a text frame of a WebSocket.
        ///
        /// ```
        /// # use floe::signaling::link::{Body, Envelope, SequenceId, SessionId};
        /// let envelope = Envelope {
        ///     session: SessionId::from_bytes([0xab; 16]),
        ///     ack: SequenceId::new(7),
        ///     body: Body::Message { id: SequenceId::new(3).unwrap(), payload: "v=0" },
        /// };
        /// let text = envelope.to_json()?;
        /// assert_eq!(
        ///     text,
        ///     r#"{"session":"abababababababababababababababab","ack":7,"body":{"message":{"id":3,"payload":"v=0"}}}"#,
        /// );
        /// assert_eq!(Envelope::from_json(text.as_bytes())?, envelope.clone());
        /// # Ok::<(), floe::signaling::link::JsonError>(())
        /// ```
        ///
        /// # Errors
        ///
        /// The message is none that JSON can say, such as a map whose keys are not strings.
        pub fn to_json(&self) -> Result<String, JsonError> {
            serde_json::to_string(self).map_err(JsonError)
        }
    }

    impl<'de, M: Deserialize<'de>> Envelope<M> {
        /// The envelope in these bytes. Their number is the channel's to bound: a WebSocket's largest frame.
        ///
        /// # Errors
        ///
        /// They are not one envelope and nothing else.
        pub fn from_json(bytes: &'de [u8]) -> Result<Self, JsonError> {
            serde_json::from_slice(bytes).map_err(JsonError)
        }
    }
}

#[cfg(feature = "serde")]
pub use json::JsonError;
