//! HelloRetryRequest, and the second ClientHello that must be the first but for what may change (RFC 8446 §4.1.2, §4.1.4).

use rustls::crypto::hash::Hash;

use super::answer;
use super::hello::{Choice, Exchange};
use crate::crypto::SuiteV13;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::Context;
use crate::msgs::codec::Codec;
use crate::msgs::enums::{ExtensionType, HandshakeType, NamedGroup, ProtocolVersion};
use crate::msgs::extensions::{Extension, Extensions};
use crate::msgs::hello::{ClientHello, ServerHello};
use crate::reassembly::Message;
use crate::record::header::Epoch;
use crate::server::{ServerState, hello};
use crate::transcript::{Messages, TranscriptHash};

/// The extensions that a second ClientHello may have changed, gained or lost.
const MAY_CHANGE: [ExtensionType; 5] = [
    ExtensionType::KEY_SHARE,
    ExtensionType::COOKIE,
    ExtensionType::EARLY_DATA,
    ExtensionType::PRE_SHARED_KEY,
    ExtensionType::PADDING,
];

/// Asks for a share of `group`.
pub(super) fn retry(
    hello: &ClientHello<'_>,
    suite: SuiteV13,
    group: NamedGroup,
    mut transcript: TranscriptHash,
    cx: &mut Context<'_>,
) -> ServerState {
    cx.flight.begin(cx.now);
    let extensions = [
        Extension::SelectedVersion(ProtocolVersion::DTLS1_3),
        Extension::SelectedGroup(group),
    ];
    let request = ServerHello {
        version: ProtocolVersion::DTLS1_2,
        random: ServerHello::HELLO_RETRY_REQUEST,
        session_id: &[],
        cipher_suite: suite.cipher_suite,
        compression_method: ServerHello::NO_COMPRESSION,
        extensions: Extensions::Items(&extensions),
    };
    cx.say(
        &mut transcript,
        Epoch::PLAINTEXT,
        HandshakeType::SERVER_HELLO,
        |out| request.encode(out),
    );
    cx.send_flight();
    ServerState::SecondClientHello(ExpectSecondClientHello {
        lasting: lasting(hello, suite.hash()),
        suite,
        group,
        transcript,
    })
}

/// The hash of everything in a ClientHello that its second edition must repeat.
fn lasting(hello: &ClientHello<'_>, hash: &dyn Hash) -> Vec<u8> {
    let extensions: Vec<_> = hello
        .extensions
        .iter()
        .filter(|extension| !MAY_CHANGE.contains(&extension.extension_type()))
        .collect();
    let lasting = ClientHello {
        extensions: Extensions::Items(&extensions),
        ..*hello
    };
    let mut bytes = Vec::new();
    lasting.encode(&mut bytes);
    hash.hash(&bytes).as_ref().to_vec()
}

#[derive(Debug)]
pub(crate) struct ExpectSecondClientHello {
    /// The hash of what the first ClientHello said for good.
    lasting: Vec<u8>,
    suite: SuiteV13,
    group: NamedGroup,
    transcript: TranscriptHash,
}

impl ExpectSecondClientHello {
    pub(in crate::server) fn handle(
        mut self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        let hello = hello::read(message)?;
        if lasting(&hello, self.suite.hash()) != self.lasting || hello.extensions.cookie().is_some()
        {
            return Err(PeerMisbehaved::SecondClientHelloDiffers.into());
        }
        let choice = Choice::new(&hello, cx.config)?;
        let one_share = hello
            .extensions
            .key_shares()
            .is_some_and(|shares| shares.iter().count() == 1);
        match choice.exchange {
            Exchange::Now(share) if one_share && share.group == self.group => {
                self.transcript.add(&message.bytes);
                answer(&choice, share, self.transcript, cx)
            }
            _ => Err(PeerMisbehaved::KeyShareNotAsRequested.into()),
        }
    }
}
