//! HelloRetryRequest, and the second ClientHello that must be the first but for what may change (RFC 8446 §4.1.2, §4.1.4).

use super::hello::{Choice, Exchange};
use super::{answer, choose};
use crate::config::Config;
use crate::crypto::SuiteV13;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::Context;
use crate::msgs::codec::Codec;
use crate::msgs::enums::{ExtensionType, HandshakeType, NamedGroup, ProtocolVersion};
use crate::msgs::extensions::{Extension, Extensions};
use crate::msgs::handshake::HandshakeHeader;
use crate::msgs::hello::{ClientHello, ServerHello};
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::server::{ServerState, hello};
use crate::transcript::{Messages, Transcript, TranscriptHash};

/// The extensions that a second ClientHello may have changed, gained or lost.
const MAY_CHANGE: [ExtensionType; 5] = [
    ExtensionType::KEY_SHARE,
    ExtensionType::COOKIE,
    ExtensionType::EARLY_DATA,
    ExtensionType::PRE_SHARED_KEY,
    ExtensionType::PADDING,
];

/// What a HelloRetryRequest says: of which group a share is missing, if one is, and the cookie to come back with it.
pub(crate) struct Retry {
    pub(crate) suite: SuiteV13,
    pub(crate) group: Option<NamedGroup>,
    /// Empty where nothing is to be proven.
    pub(crate) cookie: Vec<u8>,
}

impl Retry {
    /// The suite for this ClientHello, and the group of the share that it lacks.
    pub(crate) fn choose(
        hello: &ClientHello<'_>,
        config: &Config,
    ) -> Result<(SuiteV13, Option<NamedGroup>), Error> {
        let choice = Choice::new(hello, config)?;
        let group = match choice.exchange {
            Exchange::Now(_) => None,
            Exchange::Retry(group) => Some(group),
        };
        Ok((choice.suite, group))
    }

    /// The hash of a first ClientHello, which is all that the transcript needs of it.
    pub(crate) fn hash_of_first(suite: SuiteV13, message: &[u8]) -> Vec<u8> {
        let transcript = Transcript::begin(message).v13(suite.hash());
        transcript.current().as_ref().to_vec()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let extensions = [
            Some(Extension::SelectedVersion(ProtocolVersion::DTLS1_3)),
            self.group.map(Extension::SelectedGroup),
            (!self.cookie.is_empty()).then_some(Extension::Cookie(&self.cookie)),
        ];
        let extensions: Vec<_> = extensions.into_iter().flatten().collect();
        ServerHello {
            version: ProtocolVersion::DTLS1_2,
            random: ServerHello::HELLO_RETRY_REQUEST,
            session_id: &[],
            cipher_suite: self.suite.cipher_suite(),
            compression_method: ServerHello::NO_COMPRESSION,
            extensions: Extensions::Items(&extensions),
        }
        .encode(out);
    }
}

/// Asks for a share of `group`.
pub(super) fn retry(
    hello: &ClientHello<'_>,
    suite: SuiteV13,
    group: NamedGroup,
    mut transcript: TranscriptHash,
    cx: &mut Context<'_>,
) -> ServerState {
    let retry = Retry {
        suite,
        group: Some(group),
        cookie: vec![],
    };
    cx.flight.begin(cx.now);
    cx.say(
        &mut transcript,
        Epoch::PLAINTEXT,
        HandshakeType::SERVER_HELLO,
        |out| retry.encode(out),
    );
    cx.send_flight();
    let lasting = ExpectSecondClientHello::lasting(hello);
    let state = ExpectSecondClientHello::new(retry, &lasting, transcript);
    ServerState::SecondClientHello(state)
}

#[derive(Debug)]
pub(crate) struct ExpectSecondClientHello {
    /// The hash of what the first ClientHello said for good.
    lasting: Vec<u8>,
    suite: SuiteV13,
    group: Option<NamedGroup>,
    cookie: Vec<u8>,
    transcript: Box<TranscriptHash>,
}

impl ExpectSecondClientHello {
    fn new(retry: Retry, lasting: &[u8], transcript: TranscriptHash) -> Self {
        Self {
            lasting: retry.suite.hash().hash(lasting).as_ref().to_vec(),
            suite: retry.suite,
            group: retry.group,
            cookie: retry.cookie,
            transcript: Box::new(transcript),
        }
    }

    /// After a first ClientHello with this hash, and a HelloRetryRequest that is known by what it said.
    pub(crate) fn resume(retry: Retry, lasting: &[u8], hash_of_first: &[u8]) -> Self {
        let mut body = Vec::new();
        retry.encode(&mut body);
        let header = HandshakeHeader::whole(HandshakeType::SERVER_HELLO, 0, body.len() as u32);
        let mut transcript = TranscriptHash::after_retry(retry.suite.hash(), hash_of_first);
        transcript.add(&[&header.to_bytes()[..], &body].concat());
        Self::new(retry, lasting, transcript)
    }

    /// Everything in a ClientHello that its second edition must repeat.
    pub(crate) fn lasting(hello: &ClientHello<'_>) -> Vec<u8> {
        let extensions: Vec<_> = hello
            .extensions
            .iter()
            .filter(|extension| !MAY_CHANGE.contains(&extension.extension_type()))
            .collect();
        let lasting = ClientHello {
            cookie: &[],
            extensions: Extensions::Items(&extensions),
            ..*hello
        };
        let mut bytes = Vec::new();
        lasting.encode(&mut bytes);
        bytes
    }

    pub(in crate::server) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        let hello = hello::read(message, cx)?;
        let lasting = self.suite.hash().hash(&Self::lasting(&hello));
        let cookie = hello.extensions.cookie().unwrap_or_default();
        if lasting.as_ref() != self.lasting || cookie != self.cookie {
            return Err(PeerMisbehaved::SecondClientHelloDiffers.into());
        }
        let choice = choose(&hello, cx)?;
        match choice.exchange {
            Exchange::Now(share) if self.is_as_requested(&hello, share.group) => {
                self.transcript.add(&message.bytes);
                answer(&choice, share, *self.transcript, cx)
            }
            _ => Err(PeerMisbehaved::KeyShareNotAsRequested.into()),
        }
    }

    /// One share of the group that was asked for, if one was.
    fn is_as_requested(&self, hello: &ClientHello<'_>, group: NamedGroup) -> bool {
        let shares = hello.extensions.key_shares();
        let alone = shares.is_some_and(|shares| shares.iter().count() == 1);
        self.group
            .is_none_or(|requested| alone && group == requested)
    }
}
