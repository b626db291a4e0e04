//! A peer that says whatever it is told, in any order, and does it properly: every message is encoded as its RFC has it,
//! fits what was said before, and is protected wherever there are keys to protect it with.
//!
//! It is an implementation of both versions of its own (one suite, one group, one kind of key) and shares nothing with the
//! engine. What it makes of the victim's answers is what it needs to go on: randoms, key shares, the transcript.

mod bodies;
mod crypto;
mod letters;
pub mod stage;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use floe_dtls::{Config, Identity, ProtocolVersion, Side};

pub use self::bodies::RETRY;
pub use self::crypto::Credential;
use self::crypto::{Keys, Share, expand_label, extract, prf, sha256};
pub use self::letters::{Letter, Who};
use super::wire::{self, Fragment, Record};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V12,
    V13,
}

/// Whom a victim expects, and somebody else. They live as long as the test.
pub struct Cast {
    pub signalled: Rc<Credential>,
    pub stranger: Rc<Credential>,
    /// The victim's own.
    pub victim: Arc<Identity>,
}

impl Cast {
    pub fn new() -> Self {
        Self {
            signalled: Rc::new(Credential::new()),
            stranger: Rc::new(Credential::new()),
            victim: Credential::new().identity(),
        }
    }
}

/// More than any test has.
const EPOCHS: usize = 8;

pub struct Puppet {
    version: Version,
    side: Side,
    signalled: Rc<Credential>,
    stranger: Rc<Credential>,
    share: Share,
    random: [u8; 32],
    /// What was heard.
    peer_public: Vec<u8>,
    peer_random: [u8; 32],
    cookie: Vec<u8>,
    incoming: Incoming,
    /// Every message of the transcript with its header of 12 bytes.
    messages: Vec<Vec<u8>>,
    presented: Who,
    next_seq: u16,
    /// Of the next record of each epoch.
    sequences: [u64; EPOCHS],
    /// Both have said their Finished.
    has_finished: bool,
    /// How often our keys were updated.
    updates: u16,
    master_secret: Option<Vec<u8>>,
    v13: Option<Secrets>,
    /// Every handshake message heard: type and body.
    pub heard: Vec<(u8, Vec<u8>)>,
    /// Every alert heard.
    pub alerts: Vec<[u8; 2]>,
    /// The record numbers of every ACK heard: epoch and sequence.
    pub acks: Vec<Vec<(u64, u64)>>,
}

/// The secrets of DTLS 1.3 after the ServerHello.
struct Secrets {
    client: Vec<u8>,
    server: Vec<u8>,
    handshake: Vec<u8>,
    /// Client's and server's, after the server's Finished.
    application: Option<[Vec<u8>; 2]>,
}

/// A message under way.
pub struct Outgoing {
    pub datagram: Vec<u8>,
    letter: Letter,
    message: Vec<u8>,
}

impl Outgoing {
    pub fn letter(&self) -> Letter {
        self.letter
    }
}

impl Puppet {
    pub fn new(version: Version, side: Side, cast: &Cast) -> Self {
        Self {
            version,
            side,
            signalled: cast.signalled.clone(),
            stranger: cast.stranger.clone(),
            share: Share::new(),
            random: [0x70; 32],
            peer_public: Vec::new(),
            peer_random: [0; 32],
            cookie: Vec::new(),
            incoming: Incoming::default(),
            messages: Vec::new(),
            presented: Who::Nobody,
            next_seq: 0,
            sequences: [0; EPOCHS],
            has_finished: false,
            updates: 0,
            master_secret: None,
            v13: None,
            heard: Vec::new(),
            alerts: Vec::new(),
            acks: Vec::new(),
        }
    }

    /// Puts a message into a datagram. Nothing is assumed of it until [`Self::taken`].
    pub fn say(&mut self, letter: Letter) -> Outgoing {
        self.say_changed(letter, |_| ())
    }

    /// As [`Self::say`], but the body is not what it should be.
    pub fn say_changed(&mut self, letter: Letter, change: impl FnOnce(&mut Vec<u8>)) -> Outgoing {
        let mut body = self.body(letter);
        change(&mut body);
        let message = Fragment::whole(letter.message_type(), self.next_seq, &body).to_bytes();
        let datagram = self.record(letter, &message);
        Outgoing {
            datagram,
            letter,
            message,
        }
    }

    fn record(&mut self, letter: Letter, message: &[u8]) -> Vec<u8> {
        let epoch = self.epoch(letter);
        self.seal(epoch, wire::HANDSHAKE, message)
    }

    /// As [`Self::say_changed`], but in the fragments that `cuts` makes of the length of the body.
    pub fn say_in_pieces(
        &mut self,
        letter: Letter,
        change: impl FnOnce(&mut Vec<u8>),
        cuts: impl Fn(usize) -> Vec<(usize, usize)>,
    ) -> (Outgoing, Vec<Vec<u8>>) {
        let mut body = self.body(letter);
        change(&mut body);
        let whole = Fragment::whole(letter.message_type(), self.next_seq, &body);
        let datagrams = cuts(body.len())
            .into_iter()
            .map(|(start, end)| self.record(letter, &whole.part(start, end).to_bytes()))
            .collect();
        let outgoing = Outgoing {
            datagram: Vec::new(),
            letter,
            message: whole.to_bytes(),
        };
        (outgoing, datagrams)
    }

    /// The epoch of application data.
    pub fn data_epoch(&self) -> u16 {
        match self.version {
            Version::V12 => 1,
            Version::V13 => 3 + self.updates,
        }
    }

    /// Our KeyUpdate was acknowledged: from now on we write with the next keys.
    pub fn update_keys(&mut self) {
        self.updates += 1;
    }

    pub fn seal_data(&mut self, data: &[u8]) -> Vec<u8> {
        self.seal(self.data_epoch(), wire::APPLICATION_DATA, data)
    }

    /// The data of a datagram with one record.
    pub fn open_data(&self, datagram: &[u8]) -> Vec<u8> {
        let (content_type, data) = match self.version {
            Version::V12 => self.open(datagram, 1).unwrap(),
            Version::V13 => self.open_unified(datagram).unwrap(),
        };
        assert_eq!(content_type, wire::APPLICATION_DATA);
        data
    }

    /// Says the newest message once more.
    pub fn repeat_last(&mut self) -> Vec<u8> {
        let message = self.messages.last().unwrap().clone();
        let epoch = match (self.version, message[0]) {
            (Version::V12, 20) => 1,
            (Version::V12, _) => 0,
            (Version::V13, 20) => 2,
            (Version::V13, _) => self.data_epoch(),
        };
        self.seal(epoch, wire::HANDSHAKE, &message)
    }

    /// How many records of the epoch were written.
    pub fn written(&self, epoch: u16) -> u64 {
        self.sequences[usize::from(epoch)]
    }

    /// Goes on as if records of the epoch had been written.
    pub fn skip_records(&mut self, epoch: u16, count: u64) {
        self.sequences[usize::from(epoch)] += count;
    }

    /// The message_seq of the next message.
    pub fn next_seq(&self) -> u16 {
        self.next_seq
    }

    /// A record of this epoch; in plaintext where there are no keys for it.
    pub fn seal(&mut self, epoch: u16, content_type: u8, body: &[u8]) -> Vec<u8> {
        let sequence = self.sequences[usize::from(epoch)];
        self.sequences[usize::from(epoch)] += 1;
        match self.keys(self.side, epoch) {
            Some(keys) => keys.seal(content_type, epoch, sequence, body),
            None => Record::new(content_type, epoch, sequence, body).to_bytes(),
        }
    }

    fn epoch(&self, letter: Letter) -> u16 {
        match (self.version, letter) {
            (_, Letter::FinishedPlain | Letter::CertificatePlain) => 0,
            (Version::V12, Letter::Finished | Letter::FinishedForged) => 1,
            (Version::V12, _) => 0,
            (
                Version::V13,
                Letter::ClientHello
                | Letter::ClientHelloWithoutShare
                | Letter::ServerHello
                | Letter::HelloRetryRequest
                | Letter::HelloVerifyRequest,
            ) => 0,
            (Version::V13, _) if self.has_finished => self.data_epoch(),
            (Version::V13, _) => 2 * u16::from(self.v13.is_some()),
        }
    }

    /// The victim took the message.
    pub fn taken(&mut self, outgoing: Outgoing) {
        self.next_seq += 1;
        match outgoing.letter {
            // Both start anew: the exchange with the cookie is no part of the transcript (RFC 6347 §4.2.1).
            Letter::HelloVerifyRequest => return self.messages.clear(),
            Letter::HelloRetryRequest => self.retry(),
            Letter::Certificate(who) => self.presented = who,
            Letter::CertificatePlain => self.presented = Who::Nobody,
            _ => {}
        }
        self.messages.push(outgoing.message);
        self.progress(outgoing.letter.message_type());
    }

    /// Takes what the victim sent.
    pub fn hear(&mut self, datagram: &[u8]) {
        for record in split(datagram) {
            let plain = match record[0] {
                wire::CHANGE_CIPHER_SPEC => continue,
                first if first & 0xe0 == 0x20 => self.open_unified(record),
                _ if record[3..5] != [0, 0] => self.open(record, 1),
                content_type => Some((content_type, record[13..].to_vec())),
            };
            match plain {
                Some((wire::HANDSHAKE, body)) => self.incoming.accept(&body),
                Some((wire::ALERT, body)) => self.alerts.push(body.try_into().unwrap()),
                Some((wire::ACK, body)) => self.acks.push(acknowledged(&body)),
                _ => {}
            }
            while let Some(message) = self.incoming.next() {
                self.on_message(message);
            }
        }
    }

    /// The header has two bits of the epoch.
    fn open_unified(&self, record: &[u8]) -> Option<(u8, Vec<u8>)> {
        let mut epochs = (2..EPOCHS as u16).filter(|epoch| epoch & 3 == u16::from(record[0] & 3));
        epochs.find_map(|epoch| self.open(record, epoch))
    }

    fn open(&self, record: &[u8], epoch: u16) -> Option<(u8, Vec<u8>)> {
        let plain = self.keys(self.side.peer(), epoch)?.open(record, 0)?;
        Some((plain.content_type, plain.body))
    }

    fn on_message(&mut self, message: Vec<u8>) {
        let (message_type, body) = (message[0], message[12..].to_vec());
        match message_type {
            wire::CLIENT_HELLO => self.peer_random.copy_from_slice(&body[2..34]),
            wire::HELLO_VERIFY_REQUEST => {
                self.cookie = body[3..].to_vec();
                self.messages.clear();
            }
            wire::SERVER_HELLO => self.peer_random.copy_from_slice(&body[2..34]),
            wire::SERVER_KEY_EXCHANGE => self.peer_public = body[4..36].to_vec(),
            16 => self.peer_public = body[1..33].to_vec(),
            _ => {}
        }
        self.hear_extensions(message_type, &body);
        if message_type == wire::SERVER_HELLO && self.peer_random == RETRY {
            self.retry();
        }
        if message_type != wire::HELLO_VERIFY_REQUEST {
            self.messages.push(message);
            self.progress(message_type);
        }
        self.heard.push((message_type, body));
    }

    fn hear_extensions(&mut self, message_type: u8, body: &[u8]) {
        let extensions = match message_type {
            wire::CLIENT_HELLO => wire::ClientHello::parse(body).extensions,
            wire::SERVER_HELLO => wire::ServerHello::parse(body).extensions,
            _ => return,
        };
        for (code, body) in extensions {
            match code {
                44 => self.cookie = body,
                // The one group there is, in a list or alone.
                51 => {
                    let at = body.windows(4).position(|four| four == [0, 0x1d, 0, 32]);
                    let found = at.and_then(|at| body.get(at + 4..at + 36));
                    self.peer_public = found.map(<[u8]>::to_vec).unwrap_or_default();
                }
                _ => {}
            }
        }
    }

    /// The first ClientHello is replaced by its hash (RFC 8446 §4.4.1).
    fn retry(&mut self) {
        let hash = self.transcript_hash();
        self.messages = vec![Fragment::whole(254, 0, &hash).to_bytes()];
    }

    /// Derives what the transcript now allows.
    fn progress(&mut self, message_type: u8) {
        match (self.version, message_type) {
            (Version::V12, 16) => {
                self.master_secret = None;
                self.master_secret = Some(self.master_secret());
            }
            (Version::V13, wire::SERVER_HELLO) if self.messages.len() != 2 || !self.is_retry() => {
                self.v13 = Some(self.handshake_secrets());
            }
            (Version::V13, 20) => self.on_finished(),
            _ => {}
        }
    }

    fn is_retry(&self) -> bool {
        self.messages
            .last()
            .is_some_and(|last| last.get(14..46) == Some(&RETRY))
    }

    fn handshake_secrets(&self) -> Secrets {
        let early = extract(&[0; 32], &[0; 32]);
        let derived = expand_label(&early, "derived", &sha256(&[]), 32);
        let handshake = extract(&derived, &self.share.agree(&self.peer_public));
        let hash = self.transcript_hash();
        Secrets {
            client: expand_label(&handshake, "c hs traffic", &hash, 32),
            server: expand_label(&handshake, "s hs traffic", &hash, 32),
            handshake,
            application: None,
        }
    }

    /// The server's Finished is the first.
    fn on_finished(&mut self) {
        let finished = |message: &&Vec<u8>| message[0] == 20;
        self.has_finished = self.messages.iter().filter(finished).count() == 2;
        let hash = self.transcript_hash();
        if let Some(secrets) = &mut self.v13
            && secrets.application.is_none()
        {
            let derived = expand_label(&secrets.handshake, "derived", &sha256(&[]), 32);
            let master = extract(&derived, &[0; 32]);
            let traffic = |label| expand_label(&master, label, &hash, 32);
            secrets.application = Some([traffic("c ap traffic"), traffic("s ap traffic")]);
        }
    }

    fn handshake_secret(&self, side: Side) -> Option<&[u8]> {
        let secrets = self.v13.as_ref()?;
        Some(match side {
            Side::Client => &secrets.client,
            Side::Server => &secrets.server,
        })
    }

    /// The extended one (RFC 7627 §4), over the transcript up to the ClientKeyExchange if there was one.
    fn master_secret(&self) -> Vec<u8> {
        let make = || {
            let agreed = self.share.agree(&self.peer_public);
            prf(
                &agreed,
                "extended master secret",
                &self.transcript_hash(),
                48,
            )
        };
        self.master_secret.clone().unwrap_or_else(make)
    }

    /// What `writer` protects the records of this epoch with.
    pub fn keys(&self, writer: Side, epoch: u16) -> Option<Keys> {
        match (self.version, epoch) {
            (_, 0) => None,
            (Version::V12, _) => {
                let mut seed = self.randoms();
                seed.rotate_left(32);
                let block = prf(&self.master_secret(), "key expansion", &seed, 40);
                Some(match writer {
                    Side::Client => Keys::v12(&block[..16], &block[32..36]),
                    Side::Server => Keys::v12(&block[16..32], &block[36..]),
                })
            }
            (Version::V13, 2) => self.handshake_secret(writer).map(Keys::v13),
            (Version::V13, _) => {
                let [client, server] = self.v13.as_ref()?.application.as_ref()?;
                let mut secret = match writer {
                    Side::Client => client.clone(),
                    Side::Server => server.clone(),
                };
                for _ in 3..epoch {
                    secret = expand_label(&secret, "traffic upd", &[], 32);
                }
                Some(Keys::v13(&secret))
            }
        }
    }

    /// The client's, then the server's.
    fn randoms(&self) -> Vec<u8> {
        match self.side {
            Side::Client => [self.random, self.peer_random].concat(),
            Side::Server => [self.peer_random, self.random].concat(),
        }
    }

    fn transcript_hash(&self) -> Vec<u8> {
        match self.version {
            Version::V12 => sha256(&self.messages.concat()),
            Version::V13 => {
                let short = |message: &Vec<u8>| [&message[..4], &message[12..]].concat();
                sha256(&self.messages.iter().flat_map(short).collect::<Vec<_>>())
            }
        }
    }

    fn credential(&self, who: Who) -> Option<&Credential> {
        match who {
            Who::Signalled => Some(&self.signalled),
            Who::Stranger => Some(&self.stranger),
            Who::Nobody => None,
        }
    }
}

/// The records of a datagram, whatever their headers. The engine writes the unified one with a length.
pub fn split(mut datagram: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some(first) = datagram.first() {
        let header = if first & 0xe0 == 0x20 { 5 } else { 13 };
        let len = u16::from_be_bytes([datagram[header - 2], datagram[header - 1]]);
        let (record, rest) = datagram.split_at(header + usize::from(len));
        records.push(record);
        datagram = rest;
    }
    records
}

/// The record numbers in the body of an ACK (RFC 9147 §7).
fn acknowledged(body: &[u8]) -> Vec<(u64, u64)> {
    let numbers = body[2..].chunks(16).map(|number| {
        let (epoch, sequence) = number.split_at(8);
        let [epoch, sequence] = [epoch, sequence].map(|half| half.try_into().unwrap());
        (u64::from_be_bytes(epoch), u64::from_be_bytes(sequence))
    });
    numbers.collect()
}

/// Puts the victim's messages together, each given out once and in order.
#[derive(Default)]
struct Incoming {
    next: u16,
    messages: BTreeMap<u16, (u8, Vec<Option<u8>>)>,
}

impl Incoming {
    fn accept(&mut self, body: &[u8]) {
        for fragment in Record::new(wire::HANDSHAKE, 0, 0, body).fragments() {
            let empty = || (fragment.message_type, vec![None; fragment.length as usize]);
            let (_, bytes) = self
                .messages
                .entry(fragment.message_seq)
                .or_insert_with(empty);
            let places = bytes.iter_mut().skip(fragment.offset as usize);
            places
                .zip(&fragment.body)
                .for_each(|(place, byte)| *place = Some(*byte));
        }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let (message_type, bytes) = self.messages.get(&self.next)?;
        let body = bytes.iter().copied().collect::<Option<Vec<u8>>>()?;
        let message = Fragment::whole(*message_type, self.next, &body).to_bytes();
        self.next += 1;
        Some(message)
    }
}

impl Version {
    pub const ALL: [Self; 2] = [Self::V12, Self::V13];

    /// Nothing but this version.
    pub fn limit(self, config: &mut Config) {
        let version = match self {
            Self::V12 => ProtocolVersion::DTLS1_2,
            Self::V13 => ProtocolVersion::DTLS1_3,
        };
        config.min_version = version;
        config.max_version = version;
    }

    /// Every version.
    pub fn allow_all(config: &mut Config) {
        config.min_version = ProtocolVersion::DTLS1_2;
        config.max_version = ProtocolVersion::DTLS1_3;
    }
}
