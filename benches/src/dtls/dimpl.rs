//! `dimpl`, the DTLS of str0m, on aws-lc-rs.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use dimpl::crypto::{Dtls12CipherSuite, Dtls13CipherSuite};
use dimpl::{Config, Dtls, DtlsCertificate, NamedGroup, Output};
use floe_dtls::{ProtocolVersion, Side};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{End, PEM, Progress, Stack, V12};

/// `dimpl` in one version with one group, without cookies.
pub struct Dimpl {
    version: ProtocolVersion,
    group: floe_dtls::NamedGroup,
    config: Arc<Config>,
    certificate: DtlsCertificate,
}

impl fmt::Debug for Dimpl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dimpl").finish_non_exhaustive()
    }
}

impl Dimpl {
    /// With datagrams of at most `mtu` bytes, on X25519 or P-256.
    #[must_use]
    pub fn new(version: ProtocolVersion, group: floe_dtls::NamedGroup, mtu: usize) -> Self {
        let theirs = match group {
            floe_dtls::NamedGroup::X25519 => NamedGroup::X25519,
            _ => NamedGroup::Secp256r1,
        };
        let config = Config::builder()
            .mtu(mtu)
            .use_server_cookie(false)
            .dtls12_cipher_suites(&[Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256])
            .dtls13_cipher_suites(&[Dtls13CipherSuite::AES_128_GCM_SHA256])
            .kx_groups(&[theirs]);
        let certificate = CertificateDer::from_pem_slice(PEM.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(PEM.as_bytes()).expect("a key");
        Self {
            version,
            group,
            config: Arc::new(config.build().expect("a good configuration")),
            certificate: DtlsCertificate {
                certificate: certificate.to_vec(),
                private_key: key.secret_der().to_vec(),
            },
        }
    }
}

pub(super) struct DimplEnd {
    dtls: Dtls,
    now: Instant,
    deadline: Option<Instant>,
    progress: Progress,
}

impl Stack for Dimpl {
    type End = DimplEnd;

    fn name(&self) -> String {
        format!("dimpl 0.9, {}, aws-lc-rs, {}", self.version, self.group)
    }

    fn end(&self, now: Instant, side: Side) -> DimplEnd {
        let new = match self.version {
            V12 => Dtls::new_12,
            _ => Dtls::new_13,
        };
        let mut dtls = new(self.config.clone(), self.certificate.clone(), now);
        dtls.set_active(side == Side::Client);
        let mut end = DimplEnd {
            dtls,
            now,
            deadline: None,
            progress: Progress::Connecting,
        };
        end.wake(now);
        end
    }
}

impl DimplEnd {
    /// Its errors are final (its documentation says).
    fn note(&mut self, result: Result<(), dimpl::Error>) {
        if result.is_err() {
            self.progress = Progress::Failed;
        }
    }

    fn feed(&mut self, now: Instant, datagram: &[u8]) {
        // Its clock is to be refreshed before it is given a datagram.
        if now != self.now {
            self.wake(now);
        }
        if self.progress != Progress::Failed {
            let result = self.dtls.handle_packet(datagram);
            self.note(result);
        }
    }
}

impl End for DimplEnd {
    fn receive(&mut self, now: Instant, datagram: &mut [u8]) {
        self.feed(now, datagram);
    }

    fn transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        while self.progress != Progress::Failed {
            match self.dtls.poll_output(buf) {
                Output::Packet(datagram) => return Some(datagram.len()),
                Output::Connected => self.progress = Progress::Connected,
                Output::Timeout(at) => {
                    self.deadline = Some(at);
                    return None;
                }
                _ => {}
            }
        }
        None
    }

    fn seal(&mut self, _: Instant, data: &[u8], out: &mut [u8]) -> usize {
        self.dtls.send_application_data(data).expect("connected");
        self.transmit(out).expect("a record")
    }

    fn open(&mut self, now: Instant, datagram: &mut [u8], buf: &mut [u8]) -> usize {
        self.feed(now, datagram);
        let mut len = 0;
        loop {
            match self.dtls.poll_output(buf) {
                Output::ApplicationData(data) => len += data.len(),
                Output::Timeout(_) => return len,
                _ => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn wake(&mut self, now: Instant) {
        self.now = now;
        let result = self.dtls.handle_timeout(now);
        self.note(result);
    }

    fn progress(&self) -> Progress {
        self.progress
    }
}
