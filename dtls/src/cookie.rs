//! A gate before raw listeners: who sends a ClientHello must first show that it receives at its address (RFC 9147 §5.1,
//! RFC 6347 §4.2.1).
//!
//! ```text
//!   client                                   gate, which keeps nothing
//!   ClientHello             ───────────────▶
//!                           ◀───────────────  DTLS 1.2: HelloVerifyRequest with a cookie
//!                                             DTLS 1.3: HelloRetryRequest with a cookie
//!   ClientHello with cookie ───────────────▶  Proven: make a Connection of it, and give it this datagram
//! ```
//!
//! The cookie is a MAC over the client's address, the ClientHello without what its second edition may change, and the
//! period of time, whose secret it is made with: so a cookie is good for one client, one hello and one to two periods, and
//! the gate needs no memory. In DTLS 1.3 it also carries what the HelloRetryRequest chose and the hash of the first hello,
//! which the transcript begins with (RFC 8446 §4.2.2, §4.4.1).
//!
//! Where ICE has shown the path (an answered check) none of this is of use.
//!
//! A ClientHello that needs two datagrams, because it has a post-quantum share or because the cookie made it too long for
//! the client's MTU, cannot be answered without keeping its first half: the gate says [`Verdict::Fragment`]. A caller who
//! serves such clients keeps a [`PartialHello`] for the address, up to as many as it likes, and has the gate
//! [`collect`](CookieGate::collect) into it: the hello that comes out is judged as one in a single datagram is.

mod partial;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

pub use self::partial::PartialHello;
use self::partial::{WholeHello, hello_record};
use self::token::{Kept, Secret, Subject};
use crate::config::Config;
use crate::connection::{Beginning, Connection};
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};
use crate::fingerprint::RemoteIdentity;
use crate::msgs::alert::Alert;
use crate::msgs::codec::{Codec, Reader};
use crate::msgs::enums::{AlertDescription, HandshakeType, ProtocolVersion};
use crate::msgs::handshake::{Fragment, HandshakeHeader};
use crate::msgs::hello::{ClientHello, HelloVerifyRequest};
use crate::reassembly::Message;
use crate::record::RecordLayer;
use crate::record::header::{ContentType, Epoch, RecordNumber};
use crate::server::{ExpectSecondClientHello, Retry, ServerState};
use crate::stats::DropReason;

/// An answer is at most this many times as long as what it answers (RFC 9147 §5.1).
const AMPLIFICATION: usize = 3;

/// What a datagram from an unknown address is.
#[non_exhaustive]
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    /// Nothing is proven: send this many bytes of `out` to where the datagram came from, and forget it.
    Answer(usize),
    /// A ClientHello from where it says it is from: make a connection with [`CookieGate::accept`] and give it the datagram.
    Proven(Proof),
    /// A part of a ClientHello that needs more than one datagram. It cannot be answered without keeping it: drop it, or
    /// [`collect`](CookieGate::collect) it into the [`PartialHello`] of this client. How many of those there may be at a
    /// time is the caller's to limit. From `collect`: it is kept, and more is missing.
    Fragment,
    /// Not the beginning of a handshake, or one that earns no answer.
    Dropped(DropReason),
}

/// A client receives at the address that it sends from.
#[derive(Debug)]
pub struct Proof(Box<Beginning>);

/// Answers first ClientHellos without keeping anything, and lets second ones in. Share it as you like.
pub struct CookieGate {
    config: Arc<Config>,
    secret: Secret,
}

/// A whole ClientHello in one record.
struct Arrival<'a> {
    number: RecordNumber,
    message_seq: u16,
    /// Header and body.
    message: &'a [u8],
    hello: ClientHello<'a>,
}

/// What a ClientHello leads to.
enum Examined {
    /// It has our cookie: the handshake goes on here.
    Proven(ServerState),
    /// It must come again with the cookie in this message.
    Again(Vec<u8>),
}

/// What a whole ClientHello has shown.
enum Judged {
    Proven(ServerState),
    Not(Verdict),
}

#[track_caller]
fn assert_holds_an_answer(out: &[u8]) {
    assert!(
        out.len() >= CookieGate::MAX_ANSWER,
        "the buffer must hold an answer"
    );
}

impl CookieGate {
    /// The longest answer, in bytes.
    pub const MAX_ANSWER: usize = 256;

    /// A gate with a secret of its own, before connections of this configuration.
    ///
    /// # Errors
    ///
    /// A configuration that no connection can be made of ([`Connection::new`]), or no randomness.
    pub fn new(now: Instant, config: Arc<Config>) -> Result<Self, Error> {
        let mut secret = [0; Secret::LEN];
        config.backend.fill_random(&mut secret)?;
        Self::with_secret(secret, now, config)
    }

    fn with_secret(
        secret: [u8; Secret::LEN],
        now: Instant,
        config: Arc<Config>,
    ) -> Result<Self, Error> {
        config.check(&RemoteIdentity::AcceptAny)?;
        Ok(Self {
            secret: Secret::new(now, secret),
            config,
        })
    }

    /// As [`CookieGate::new`] with a secret that everybody knows: same inputs, same answers. For tests only.
    ///
    /// # Errors
    ///
    /// A configuration that no connection can be made of.
    #[cfg(feature = "deterministic")]
    pub fn with_seed(seed: [u8; 32], now: Instant, config: Arc<Config>) -> Result<Self, Error> {
        Self::with_secret(seed, now, config)
    }

    /// Looks at a datagram from a client that there is no connection with.
    ///
    /// `client` names the address it came from, port included, in bytes of the caller's choice. `out` takes the answer,
    /// which is never more than three times as long as the datagram.
    ///
    /// # Panics
    ///
    /// If `out` is shorter than [`CookieGate::MAX_ANSWER`]: the caller's bug, seen at the first call.
    pub fn handle_datagram(
        &self,
        now: Instant,
        client: &[u8],
        datagram: &[u8],
        out: &mut [u8],
    ) -> Verdict {
        assert_holds_an_answer(out);
        match Arrival::read(datagram) {
            Ok(arrival) => match self.judge(now, client, &arrival, out) {
                Judged::Proven(state) => Verdict::Proven(arrival.proof(state, None)),
                Judged::Not(verdict) => verdict,
            },
            Err(Unread::Fragment) => Verdict::Fragment,
            Err(Unread::Dropped(reason)) => Verdict::Dropped(reason),
        }
    }

    /// As [`CookieGate::handle_datagram`] for a client of whom pieces are kept: any datagram may bring more of them.
    ///
    /// Nothing is answered before the ClientHello is whole, and the answer is not longer than three times the datagrams it
    /// came in. With any verdict but [`Verdict::Fragment`] and [`Verdict::Dropped`] nothing is kept any more, and
    /// `partial` can be forgotten.
    ///
    /// # Panics
    ///
    /// As [`CookieGate::handle_datagram`].
    pub fn collect(
        &self,
        now: Instant,
        client: &[u8],
        partial: &mut PartialHello,
        datagram: &[u8],
        out: &mut [u8],
    ) -> Verdict {
        assert_holds_an_answer(out);
        let whole = match partial.take(now, datagram) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Verdict::Fragment,
            Err(reason) => return Verdict::Dropped(reason),
        };
        let Ok(arrival) = Arrival::collected(&whole) else {
            return Verdict::Dropped(DropReason::MalformedFragment);
        };
        match self.judge(now, client, &arrival, out) {
            Judged::Proven(state) => {
                Verdict::Proven(arrival.proof(state, Some(whole.message.clone())))
            }
            Judged::Not(verdict) => verdict,
        }
    }

    /// Looks at a whole ClientHello and answers it if it proves nothing, with no more than three bytes for each of it.
    fn judge(&self, now: Instant, client: &[u8], arrival: &Arrival<'_>, out: &mut [u8]) -> Judged {
        let (content_type, body) = match self.examine(now, client, arrival) {
            Ok(Examined::Proven(state)) => return Judged::Proven(state),
            Ok(Examined::Again(message)) => (ContentType::Handshake, message),
            Err(error) => {
                let description = error.alert().unwrap_or(AlertDescription::INTERNAL_ERROR);
                let alert = Alert::fatal(description).to_bytes();
                (ContentType::Alert, alert.to_vec())
            }
        };
        // Numbered as what it answers is, so that it is not taken for a repetition (RFC 6347 §4.2.1).
        let mut records = RecordLayer::default();
        records.begin_plaintext_at(arrival.number.sequence());
        let room = out.len().min(AMPLIFICATION * arrival.message.len());
        let (out, _) = out.split_at_mut(room);
        Judged::Not(
            match records.seal(Epoch::PLAINTEXT, content_type, [&body, &[]], out) {
                Ok(sealed) => Verdict::Answer(sealed.len),
                Err(_) => Verdict::Dropped(DropReason::MalformedFragment),
            },
        )
    }

    /// The connection that a proven ClientHello begins: started, its path taken for validated. Give it the datagram that
    /// proved it next; the pieces that came before it, if any, it has.
    ///
    /// # Errors
    ///
    /// [`Config::client_auth`] weaker than required without [`RemoteIdentity::AcceptAny`].
    pub fn accept(
        &self,
        now: Instant,
        proof: Proof,
        remote: RemoteIdentity,
    ) -> Result<Connection, ApiMisuse> {
        Connection::begun(now, self.config.clone(), remote, *proof.0)
    }

    fn examine(
        &self,
        now: Instant,
        client: &[u8],
        arrival: &Arrival<'_>,
    ) -> Result<Examined, Error> {
        let hello = &arrival.hello;
        let subject = Subject {
            client,
            hello: &ExpectSecondClientHello::lasting(hello),
        };
        let version = self
            .config
            .usable_versions()
            .find(|version| hello.offers(*version))
            .ok_or(PeerIncompatible::NoVersionInCommon)?;
        if version == ProtocolVersion::DTLS1_3 {
            return match hello.extensions.cookie() {
                Some(cookie) => self.taste_v13(now, &subject, cookie),
                None => self.retry(now, &subject, arrival),
            };
        }
        // A cookie that is not ours is as good as none (RFC 6347 §4.2.1).
        if self.secret.taste(now, hello.cookie, &subject) == Some(&[]) {
            return Ok(Examined::Proven(ServerState::start()));
        }
        let request = HelloVerifyRequest {
            version: ProtocolVersion::DTLS1_0,
            cookie: &self.secret.bake(now, &[], &subject),
        };
        let message_type = HandshakeType::HELLO_VERIFY_REQUEST;
        let again = arrival.answer(message_type, |out| request.encode(out));
        Ok(Examined::Again(again))
    }

    /// A HelloRetryRequest that also asks for the share that is missing, if one is: there is no other to come.
    fn retry(
        &self,
        now: Instant,
        subject: &Subject<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Examined, Error> {
        let (suite, group) = Retry::choose(&arrival.hello, &self.config)?;
        let kept = Kept {
            cipher_suite: suite.cipher_suite(),
            group,
            first_hello: Retry::hash_of_first(suite, arrival.message),
        };
        let retry = Retry {
            suite,
            group,
            cookie: self.secret.bake(now, &kept.to_bytes(), subject),
        };
        let again = arrival.answer(HandshakeType::SERVER_HELLO, |out| retry.encode(out));
        Ok(Examined::Again(again))
    }

    /// A cookie that is not ours ends the handshake: the client begins again without it (RFC 9147 §5.1).
    fn taste_v13(
        &self,
        now: Instant,
        subject: &Subject<'_>,
        cookie: &[u8],
    ) -> Result<Examined, Error> {
        let kept = self
            .secret
            .taste(now, cookie, subject)
            .and_then(|bytes| Reader::all(bytes, Kept::read).ok())
            .ok_or(PeerMisbehaved::CookieInvalid)?;
        let suite = self
            .config
            .backend
            .suite_v13(kept.cipher_suite)
            .ok_or(PeerMisbehaved::CookieInvalid)?;
        let retry = Retry {
            suite,
            group: kept.group,
            cookie: cookie.to_vec(),
        };
        let state = ExpectSecondClientHello::resume(retry, subject.hello, &kept.first_hello);
        Ok(Examined::Proven(ServerState::SecondClientHello(state)))
    }
}

impl fmt::Debug for CookieGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieGate")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Why a datagram is no arrival.
enum Unread {
    Fragment,
    Dropped(DropReason),
}

impl<'a> Arrival<'a> {
    /// A datagram that begins with a whole ClientHello.
    fn read(datagram: &'a [u8]) -> Result<Self, Unread> {
        let dropped = Unread::Dropped;
        let (number, message, _) = hello_record(datagram).map_err(dropped)?;
        let malformed = |_| dropped(DropReason::MalformedFragment);
        let fragment = Fragment::read(&mut Reader::new(message)).map_err(malformed)?;
        let first = fragment.header;
        if first.handshake_type != HandshakeType::CLIENT_HELLO {
            return Err(dropped(DropReason::UnexpectedPlaintext));
        }
        if first.fragment_length != first.length {
            return Err(Unread::Fragment);
        }
        Ok(Self {
            number,
            message_seq: first.message_seq,
            message: message
                .get(..HandshakeHeader::LEN + fragment.body.len())
                .unwrap_or_default(),
            hello: ClientHello::read_all(fragment.body).map_err(malformed)?,
        })
    }

    /// A ClientHello made of its pieces.
    fn collected(whole: &'a WholeHello) -> Result<Self, InvalidMessage> {
        Ok(Self {
            number: whole.number,
            message_seq: whole.message_seq,
            message: &whole.message.bytes,
            hello: ClientHello::read_all(whole.message.body())?,
        })
    }

    fn proof(&self, state: ServerState, collected: Option<Message>) -> Proof {
        Proof(Box::new(Beginning {
            state,
            message_seq: self.message_seq,
            record: self.number,
            collected,
        }))
    }

    /// A message that answers this one.
    fn answer(&self, handshake_type: HandshakeType, encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut body = Vec::new();
        encode(&mut body);
        let header = HandshakeHeader::whole(handshake_type, self.message_seq, body.len() as u32);
        [&header.to_bytes()[..], &body].concat()
    }
}
