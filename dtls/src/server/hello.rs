//! ClientHello in, and the version chosen (RFC 8446 §4.2.1, RFC 9147 §5.3).
//!
//! The hello is whole by now, however many datagrams it came in: a supported_versions in its last bytes counts. The newest
//! version that both sides have is taken; its script goes on.

use super::{ServerState, v12, v13};
use crate::config::is_host_name;
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
        let hello = read(message, cx)?;
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
pub(super) fn read<'a>(
    message: &'a Message,
    cx: &mut Context<'_>,
) -> Result<ClientHello<'a>, Error> {
    if message.handshake_type != HandshakeType::CLIENT_HELLO {
        return Err(unexpected());
    }
    let hello = ClientHello::read_all(message.body())?;
    let name = hello
        .extensions
        .server_name()
        .filter(|name| is_host_name(name));
    let name = name.and_then(|name| std::str::from_utf8(name).ok());
    if let Some(name) = name {
        cx.particulars.get_or_insert_default().asked_for = Some(name.into());
    }
    Ok(hello)
}
