//! `rtc-dtls`, the DTLS of webrtc-rs without sockets: DTLS 1.2 on `ring`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use floe_dtls::Side;
use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::default_provider;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_shared::TransportProtocol;

use super::{End, Progress, Stack};

/// `rtc-dtls`, which always asks a client for a cookie, and takes P-256 before X25519.
pub struct Rtc {
    configs: [Arc<HandshakeConfig>; 2],
}

impl fmt::Debug for Rtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rtc").finish_non_exhaustive()
    }
}

impl Rtc {
    /// With datagrams of at most `mtu` bytes.
    #[must_use]
    pub fn new(mtu: usize) -> Self {
        let provider = default_provider().expect("ring");
        let names = ["localhost".to_owned()];
        let certificate = Certificate::generate_self_signed(names, provider.crypto());
        let certificate = certificate.expect("randomness");
        let config = |is_client| {
            let config = ConfigBuilder::default()
                .with_crypto_provider(provider.clone())
                .with_certificates(vec![certificate.clone()])
                .with_cipher_suites(vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256])
                .with_client_auth(ClientAuthType::RequireAnyClientCert)
                .with_extended_master_secret(ExtendedMasterSecretType::Require)
                .with_insecure_skip_verify(true)
                .with_mtu(mtu)
                .build(is_client, Some(address(Side::Server)));
            Arc::new(config.expect("a good configuration"))
        };
        Self {
            configs: [true, false].map(config),
        }
    }
}

fn address(side: Side) -> SocketAddr {
    let host = match side {
        Side::Client => 1,
        Side::Server => 2,
    };
    SocketAddr::from(([192, 0, 2, host], 4000))
}

pub(super) struct RtcEnd {
    endpoint: Endpoint,
    other: SocketAddr,
    progress: Progress,
}

impl Stack for Rtc {
    type End = RtcEnd;

    fn name(&self) -> String {
        "rtc-dtls 0.21.1, DTLS 1.2, ring, secp256r1".to_owned()
    }

    fn end(&self, now: Instant, side: Side) -> RtcEnd {
        let other = address(side.peer());
        let [client, server] = &self.configs;
        let of_server = (side == Side::Server).then(|| server.clone());
        let mut endpoint = Endpoint::new(address(side), TransportProtocol::UDP, of_server);
        if side == Side::Client {
            let begun = endpoint.connect(now, other, client.clone(), None);
            begun.expect("it starts");
        }
        RtcEnd {
            endpoint,
            other,
            progress: Progress::Connecting,
        }
    }
}

impl RtcEnd {
    fn read(&mut self, now: Instant, datagram: &[u8]) -> usize {
        let datagram = BytesMut::from(datagram);
        let Ok(events) = self.endpoint.read(now, self.other, None, datagram) else {
            // A datagram that it does not expect now is an error to it, too.
            return 0;
        };
        let mut len = 0;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => self.progress = Progress::Connected,
                EndpointEvent::ApplicationData(data) => len += data.len(),
                _ => {}
            }
        }
        len
    }
}

impl End for RtcEnd {
    fn receive(&mut self, now: Instant, datagram: &mut [u8]) {
        self.read(now, datagram);
    }

    fn transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        let message = self.endpoint.poll_transmit()?.message;
        buf[..message.len()].copy_from_slice(&message);
        Some(message.len())
    }

    fn seal(&mut self, now: Instant, data: &[u8], out: &mut [u8]) -> usize {
        let written = self.endpoint.write(now, self.other, data);
        written.expect("connected");
        self.transmit(out).expect("a record")
    }

    fn open(&mut self, now: Instant, datagram: &mut [u8], _: &mut [u8]) -> usize {
        self.read(now, datagram)
    }

    fn deadline(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&self.other)
    }

    fn wake(&mut self, now: Instant) {
        if self.endpoint.handle_timeout(self.other, now).is_err() {
            self.progress = Progress::Failed;
        }
    }

    fn progress(&self) -> Progress {
        self.progress
    }
}
