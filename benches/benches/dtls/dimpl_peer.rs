//! The same handshake by `dimpl`, which runs on aws-lc-rs.

use std::sync::Arc;

use dimpl::{Config, Dtls, DtlsCertificate, NamedGroup, Output};
use floe_dtls::ProtocolVersion;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::now;

/// A certificate on P-256 with its key; both sides show it.
const PEM: &str = include_str!("../../../dtls/tests/data/p256-sec1.pem");

pub(crate) struct Fixture {
    version: ProtocolVersion,
    config: Arc<Config>,
    certificate: DtlsCertificate,
}

impl Fixture {
    /// `None` if it does not have the group.
    pub(crate) fn new(version: ProtocolVersion, group: floe_dtls::NamedGroup) -> Option<Self> {
        let group = match group {
            floe_dtls::NamedGroup::X25519 => NamedGroup::X25519,
            floe_dtls::NamedGroup::SECP256R1 => NamedGroup::Secp256r1,
            _ => return None,
        };
        let config = Config::builder()
            .mtu(1200)
            .use_server_cookie(false)
            .kx_groups(&[group]);
        Some(Self {
            version,
            config: Arc::new(config.build().ok()?),
            certificate: DtlsCertificate {
                certificate: CertificateDer::from_pem_slice(PEM.as_bytes())
                    .ok()?
                    .to_vec(),
                private_key: PrivateKeyDer::from_pem_slice(PEM.as_bytes())
                    .ok()?
                    .secret_der()
                    .to_vec(),
            },
        })
    }

    pub(crate) fn connect(&self) {
        let now = now();
        let mut ends = [0, 1].map(|index: usize| {
            let new = match self.version {
                ProtocolVersion::DTLS1_2 => Dtls::new_12,
                _ => Dtls::new_13,
            };
            let mut end = new(self.config.clone(), self.certificate.clone(), now);
            end.set_active(index == 0);
            end.handle_timeout(now).expect("it starts");
            end
        });
        let mut connected = [false; 2];
        let mut buf = vec![0; 2048];
        let mut datagrams = Vec::new();
        let mut silent = 0;
        while silent < 2 {
            for from in [0, 1] {
                connected[from] |= drain(&mut ends[from], &mut buf, &mut datagrams);
                silent = if datagrams.is_empty() { silent + 1 } else { 0 };
                for datagram in datagrams.drain(..) {
                    ends[1 - from]
                        .handle_packet(&datagram)
                        .expect("a good datagram");
                }
            }
        }
        assert_eq!(connected, [true, true]);
    }
}

/// What one end has to send; says whether it reports to be connected.
fn drain(end: &mut Dtls, buf: &mut [u8], datagrams: &mut Vec<Vec<u8>>) -> bool {
    let mut connected = false;
    loop {
        match end.poll_output(buf) {
            Output::Packet(datagram) => datagrams.push(datagram.to_vec()),
            Output::Connected => connected = true,
            Output::Timeout(_) => return connected,
            _ => {}
        }
    }
}
