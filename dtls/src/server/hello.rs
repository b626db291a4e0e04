//! ClientHello in, and the version chosen (RFC 8446 §4.2.1, RFC 9147 §5.3).
//!
//! The hello is whole by now, however many datagrams it came in: a supported_versions in its last bytes counts. The newest
//! version that both sides have is taken; its script goes on.

use super::{ServerState, v12, v13};
use crate::error::{Error, PeerIncompatible};
use crate::handshake::{Context, unexpected};
use crate::msgs::codec::Codec;
use crate::msgs::enums::{HandshakeType, ProtocolVersion};
use crate::msgs::hello::ClientHello;
use crate::reassembly::Message;

#[derive(Debug)]
pub(crate) struct ExpectClientHello;

impl ExpectClientHello {
    pub(super) fn handle(
        self,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Result<ServerState, Error> {
        let hello = read(message)?;
        let version = cx
            .config
            .usable_versions()
            .find(|version| hello.offers(*version))
            .ok_or(PeerIncompatible::NoVersionInCommon)?;
        match version {
            ProtocolVersion::DTLS1_3 => v13::on_client_hello(&hello, message, cx),
            _ => v12::on_client_hello(&hello, message, cx),
        }
    }
}

/// The ClientHello in a message that must be one.
pub(super) fn read(message: &Message) -> Result<ClientHello<'_>, Error> {
    if message.handshake_type != HandshakeType::CLIENT_HELLO {
        return Err(unexpected());
    }
    Ok(ClientHello::read_all(message.body())?)
}
