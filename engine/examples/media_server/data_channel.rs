//! Data channels: `sctp-proto`'s SCTP inside floe's DTLS (RFC 8261), opened by DCEP (RFC 8832).
//!
//! [`DataChannels`] is a sans-IO machine: decrypted records in, packets to be sealed out. As the accepting end it echoes every message
//! on the channel it came from; as the connecting end it opens one channel and says what it is told to.
//!
//! Left out: closing single channels, partial reliability of what is echoed, DCEP priorities.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    Payload, PayloadProtocolIdentifier, ServerConfig, StreamEvent, StreamId, TransportConfig,
};

/// Longest message taken, in bytes: what the answer's `a=max-message-size` says.
pub(crate) const MAX_MESSAGE: u32 = 65_536;
/// Bytes received and not yet read, over all channels.
const RECEIVE_BUFFER: u32 = 4 * MAX_MESSAGE;
/// User data in one packet, in bytes: with the headers of SCTP and of the DTLS record it stays below 1200.
const PAYLOAD: u32 = 1100;
/// Channels that the other side may open.
const CHANNELS: u16 = 256;
/// Packets waiting to be sealed; beyond that they are lost, and SCTP sends them again.
const WAITING: usize = 256;
/// SCTP wants an address, and inside DTLS has none.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);
/// The channel that the connecting end opens: even, since it is the DTLS client (RFC 8832 §6).
const OWN_CHANNEL: StreamId = 0;
/// DATA_CHANNEL_OPEN of a reliable, ordered channel without a name (RFC 8832 §5.1), and its acknowledgement (§5.2).
const OPEN: [u8; 12] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const OPEN_TYPE: u8 = 3;
const ACK: [u8; 1] = [2];

/// The channels of one session.
pub(crate) struct DataChannels {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    packets: VecDeque<Bytes>,
    role: Role,
    messages: u64,
    opened: u64,
}

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Sends it back.
    Echo,
    /// Opens a channel and counts what comes.
    Speaker,
}

impl std::fmt::Debug for DataChannels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataChannels")
            .field("role", &self.role)
            .field("messages", &self.messages)
            .finish_non_exhaustive()
    }
}

impl DataChannels {
    /// Waits for the other side's association, and echoes.
    pub(crate) fn accepting() -> Self {
        let mut server = ServerConfig::new();
        server.transport = transport_config();
        Self::new(Some(Arc::new(server)), Role::Echo)
    }

    /// Begins an association; its first packet waits to be sealed.
    pub(crate) fn connecting(now: Instant) -> Self {
        let mut channels = Self::new(None, Role::Speaker);
        let mut client = ClientConfig::new();
        client.transport = transport_config();
        channels.association = channels.endpoint.connect(client, NOWHERE).ok();
        channels.drive(now);
        channels
    }

    fn new(server: Option<Arc<ServerConfig>>, role: Role) -> Self {
        let mut config = EndpointConfig::new();
        config.max_payload_size(PAYLOAD);
        let endpoint = Endpoint::new(Arc::new(config), server);
        Self {
            endpoint,
            association: None,
            packets: VecDeque::new(),
            role,
            messages: 0,
            opened: 0,
        }
    }

    /// Messages received.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// Channels that the other side opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened
    }

    /// Takes one packet: the plaintext of one DTLS record.
    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        let event = self
            .endpoint
            .handle(now, NOWHERE, None, None, Bytes::copy_from_slice(packet));
        match (event, &mut self.association) {
            (Some((handle, DatagramEvent::NewAssociation(association))), None) => {
                self.association = Some((handle, association))
            }
            (Some((handle, DatagramEvent::AssociationEvent(event))), Some((own, association)))
                if handle == *own =>
            {
                association.handle_event(event);
            }
            // One association for one session (RFC 8831 §6.2): another, or nonsense, is dropped.
            _ => {}
        }
        self.drive(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.drive(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.association
            .as_ref()
            .and_then(|(_, association)| association.poll_timeout())
    }

    /// The next packet to be sealed.
    pub(crate) fn poll_packet(&mut self) -> Option<Bytes> {
        self.packets.pop_front()
    }

    /// Whether packets wait.
    pub(crate) fn has_packets(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Says `text` on the connecting end's channel, if it is open.
    pub(crate) fn say(&mut self, now: Instant, text: &str) {
        self.write(
            OWN_CHANNEL,
            text.as_bytes(),
            PayloadProtocolIdentifier::String,
        );
        self.drive(now);
    }

    /// Handles what happened, then collects what is to be sent.
    fn drive(&mut self, now: Instant) {
        while let Some(event) = self
            .association
            .as_mut()
            .and_then(|(_, association)| association.poll())
        {
            match event {
                Event::Connected if self.role == Role::Speaker => self.open(),
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                _ => {}
            }
        }
        let Some((handle, association)) = &mut self.association else {
            return;
        };
        while association.accept_stream().is_some() {}
        while let Some(event) = association.poll_endpoint_event() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                association.handle_event(event);
            }
        }
        while let Some(transmit) = association.poll_transmit(now) {
            if let Payload::RawEncode(packets) = transmit.payload {
                self.packets.extend(packets);
            }
        }
        self.packets.truncate(WAITING);
    }

    fn open(&mut self) {
        let Some((_, association)) = &mut self.association else {
            return;
        };
        if association
            .open_stream(OWN_CHANNEL, PayloadProtocolIdentifier::Binary)
            .is_ok()
        {
            self.write(OWN_CHANNEL, &OPEN, PayloadProtocolIdentifier::Dcep);
        }
    }

    fn read(&mut self, id: StreamId) {
        while let Some((message, kind)) = self.next_message(id) {
            match (kind, self.role) {
                (PayloadProtocolIdentifier::Dcep, _) if message.first() == Some(&OPEN_TYPE) => {
                    self.opened += 1;
                    self.write(id, &ACK, PayloadProtocolIdentifier::Dcep);
                }
                (PayloadProtocolIdentifier::Dcep, _) => {}
                (_, role) => {
                    self.messages += 1;
                    if role == Role::Echo {
                        self.write(id, &message, kind);
                    }
                }
            }
        }
    }

    fn next_message(&mut self, id: StreamId) -> Option<(Vec<u8>, PayloadProtocolIdentifier)> {
        let (_, association) = self.association.as_mut()?;
        let chunks = association.stream(id).ok()?.read_sctp().ok()??;
        let mut message = vec![0; chunks.len()];
        let len = chunks.read(&mut message).ok()?;
        message.truncate(len);
        Some((message, chunks.ppi))
    }

    /// A channel that cannot take more loses the message: nothing is queued here.
    fn write(&mut self, id: StreamId, message: &[u8], kind: PayloadProtocolIdentifier) {
        let Some((_, association)) = &mut self.association else {
            return;
        };
        if let Ok(mut stream) = association.stream(id)
            && let Err(error) = stream.write_with_ppi(message, kind)
        {
            tracing::debug!(%error, "message lost");
        }
    }
}

fn transport_config() -> Arc<TransportConfig> {
    let config = TransportConfig::default()
        .with_max_send_message_size(MAX_MESSAGE)
        .with_max_receive_message_size(MAX_MESSAGE)
        .with_max_receive_buffer_size(RECEIVE_BUFFER)
        .with_max_num_inbound_streams(CHANNELS);
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::now;

    /// Carries packets until both are silent.
    fn settle(now: Instant, a: &mut DataChannels, b: &mut DataChannels) {
        loop {
            let (from_a, from_b) = (a.poll_packet(), b.poll_packet());
            if from_a.is_none() && from_b.is_none() {
                return;
            }
            for packet in from_a.iter().chain(&from_b) {
                assert!(
                    packet.len() <= 1163,
                    "the packet fits a record of 1200 bytes: {}",
                    packet.len()
                );
            }
            from_a
                .iter()
                .for_each(|packet| b.handle_packet(now, packet));
            from_b
                .iter()
                .for_each(|packet| a.handle_packet(now, packet));
        }
    }

    #[test]
    fn a_channel_opens_and_what_is_said_comes_back() {
        let start = now();
        let (mut speaker, mut echo) = (DataChannels::connecting(start), DataChannels::accepting());
        settle(start, &mut speaker, &mut echo);
        assert_eq!(echo.opened(), 1);
        let mut at = start;
        for (n, text) in ["a", &"long".repeat(5000), "c"].into_iter().enumerate() {
            speaker.say(at, text);
            // Acknowledgements may be delayed: time passes until all is said.
            for _ in 0..50 {
                settle(at, &mut speaker, &mut echo);
                at += Duration::from_millis(50);
                speaker.handle_timeout(at);
                echo.handle_timeout(at);
            }
            assert_eq!(
                (echo.messages(), speaker.messages()),
                (n as u64 + 1, n as u64 + 1)
            );
        }
    }

    #[test]
    fn nonsense_and_lost_packets_do_no_harm() {
        let start = now();
        let mut echo = DataChannels::accepting();
        for packet in [
            &[][..],
            &[0; 5],
            &[0xff; 1200],
            b"hello from nobody, who speaks no SCTP",
        ] {
            echo.handle_packet(start, packet);
        }
        let mut speaker = DataChannels::connecting(start);
        assert!(speaker.has_packets());
        while speaker.poll_packet().is_some() {}
        let at = speaker.poll_timeout().expect("a lost INIT is sent again");
        speaker.handle_timeout(at);
        settle(at, &mut speaker, &mut echo);
        assert_eq!(echo.opened(), 1);
    }
}
