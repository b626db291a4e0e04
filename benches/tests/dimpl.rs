//! floe against `dimpl` in virtual time, over good links and bad ones.
//!
//! `dimpl` runs on aws-lc-rs, as it does by default.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[expect(dead_code, reason = "not every story is for every stranger")]
mod interop;
#[path = "../../dtls/tests/common/peer.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "written for the stories of the dtls crate, which use all of it"
)]
mod peer;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Output};
use floe_dtls::{CipherSuite, NamedGroup, ProtocolVersion, Side};
use interop::{Case, FLOE, P384, SIDES, STRANGER, Stranger};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sim::{Link, Node, address};

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;
const VERSIONS: [ProtocolVersion; 2] = [V12, V13];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Connecting,
    Connected,
    Closed,
    Failed,
}

#[derive(Debug)]
struct Dimpl {
    dtls: Dtls,
    accepts: Vec<u8>,
    accepted: bool,
    life: Life,
    srtp: Option<(String, Vec<u8>)>,
    heard: Vec<Vec<u8>>,
    outbox: VecDeque<Vec<u8>>,
    deadline: Option<Instant>,
}

impl Dimpl {
    /// Its errors are final (its documentation says); a peer it does not know is left without a word.
    fn note(&mut self, now: Instant, result: Result<(), dimpl::Error>) {
        if let Err(error) = result {
            println!("dimpl: {error}");
            self.life = Life::Failed;
        }
        let mut buf = vec![0; 16_384];
        while self.life != Life::Failed {
            match self.dtls.poll_output(&mut buf) {
                Output::Packet(datagram) => self.outbox.push_back(datagram.to_vec()),
                Output::PeerCert(shown) => {
                    self.accepted = shown == self.accepts;
                    if !self.accepted {
                        self.life = Life::Failed;
                    }
                }
                Output::Connected => self.life = Life::Connected,
                Output::KeyingMaterial(material, profile) => {
                    self.srtp = Some((profile.to_string(), material.to_vec()));
                }
                Output::ApplicationData(data) => self.heard.push(data.to_vec()),
                Output::CloseNotify => self.life = Life::Closed,
                Output::Timeout(at) => {
                    // It may name an instant that has passed.
                    self.deadline = Some(at.max(now + Duration::from_millis(1)));
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Stranger for Dimpl {
    fn new(case: &Case, accepts: &[u8]) -> Self {
        let mut config = Config::builder().mtu(case.mtu);
        if let Some(groups) = case.groups {
            let groups: Vec<_> = groups.iter().map(|group| group_of(*group)).collect();
            config = config.kx_groups(&groups);
        }
        let config = Arc::new(config.build().unwrap());
        let certificate = DtlsCertificate {
            certificate: CertificateDer::from_pem_slice(case.pem.as_bytes())
                .unwrap()
                .to_vec(),
            private_key: PrivateKeyDer::from_pem_slice(case.pem.as_bytes())
                .unwrap()
                .secret_der()
                .to_vec(),
        };
        let new = match (case.also, case.version) {
            (Some(_), _) => Dtls::new_auto,
            (None, V12) => Dtls::new_12,
            (None, _) => Dtls::new_13,
        };
        let mut dtls = new(config, certificate, sim::Clock::epoch());
        dtls.set_active(case.floe == Side::Server);
        Self {
            dtls,
            accepts: accepts.to_vec(),
            accepted: false,
            life: Life::Connecting,
            srtp: None,
            heard: Vec::new(),
            outbox: VecDeque::new(),
            deadline: None,
        }
    }

    fn start(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn is_connected(&self) -> bool {
        self.life == Life::Connected && self.accepted
    }

    fn has_closed(&self) -> bool {
        self.life == Life::Closed
    }

    fn has_failed(&self) -> bool {
        self.life == Life::Failed
    }

    fn heard(&self) -> &[Vec<u8>] {
        &self.heard
    }

    fn say(&mut self, now: Instant, data: &[u8]) {
        let result = self.dtls.send_application_data(data).map(|_| ());
        self.note(now, result);
    }

    fn close(&mut self, now: Instant) {
        let result = self.dtls.close();
        self.note(now, result);
    }

    fn srtp(&self, _: usize) -> (String, Vec<u8>) {
        self.srtp.clone().unwrap()
    }
}

impl Node for Dimpl {
    fn handle_datagram(&mut self, now: Instant, _: SocketAddr, _: SocketAddr, datagram: &mut [u8]) {
        if self.has_failed() {
            return;
        }
        let result = self.dtls.handle_timeout(now);
        self.note(now, result);
        let result = self.dtls.handle_packet(datagram);
        self.note(now, result);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let result = self.dtls.handle_timeout(now);
        self.note(now, result);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let datagram = self.outbox.pop_front()?;
        buf[..datagram.len()].copy_from_slice(&datagram);
        Some((address(STRANGER), address(FLOE), datagram.len()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.has_failed())
    }
}

fn group_of(group: NamedGroup) -> dimpl::NamedGroup {
    match group {
        NamedGroup::X25519 => dimpl::NamedGroup::X25519,
        NamedGroup::SECP256R1 => dimpl::NamedGroup::Secp256r1,
        NamedGroup::SECP384R1 => dimpl::NamedGroup::Secp384r1,
        other => panic!("dimpl has no {other}"),
    }
}

// req: T64
#[test]
fn floe_is_the_client() {
    for version in VERSIONS {
        interop::lives::<Dimpl>(Case::new(Side::Client, version, 0));
    }
}

// req: T64
#[test]
fn floe_is_the_server() {
    for version in VERSIONS {
        interop::lives::<Dimpl>(Case::new(Side::Server, version, 0));
    }
}

// req: T64
#[test]
fn it_and_floe_take_the_newest_version_of_both() {
    for floe in SIDES {
        let newer = Case {
            also: Some(V12),
            ..Case::new(floe, V13, 1200)
        };
        interop::whole_life::<Dimpl>(newer, FLOE);
        let older = Case {
            also: Some(V13),
            prepare: |config| config.max_version = V12,
            ..Case::new(floe, V12, 1200)
        };
        interop::whole_life::<Dimpl>(older, FLOE);
    }
}

// req: T64
#[test]
fn its_certificate_may_be_of_p384() {
    for floe in SIDES {
        for version in VERSIONS {
            let case = Case {
                pem: P384,
                ..Case::new(floe, version, 900)
            };
            interop::whole_life::<Dimpl>(case, FLOE);
        }
    }
}

/// Every one at both ends, with each version that has it.
fn with_each(suites: &[CipherSuite], version: ProtocolVersion) {
    for floe in SIDES {
        let case = Case::new(floe, version, 1200);
        for suite in suites {
            let suite = Some(*suite);
            interop::whole_life::<Dimpl>(Case { suite, ..case }, FLOE);
        }
        for groups in [
            &[NamedGroup::X25519],
            &[NamedGroup::SECP256R1],
            &[NamedGroup::SECP384R1],
        ] {
            let groups = Some(&groups[..]);
            interop::whole_life::<Dimpl>(Case { groups, ..case }, FLOE);
        }
    }
}

// req: T64
#[test]
fn every_suite_and_group_of_floe_is_also_dimpls() {
    let suites = [
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    with_each(&suites, V12);
    let suites = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    with_each(&suites, V13);
}

// req: T64
#[test]
fn both_connect_through_loss_doubling_and_reordering() {
    let link = Link {
        loss: 0.1,
        duplication: 0.1,
        reordering: 0.1,
        ..Link::default()
    };
    for floe in SIDES {
        for version in VERSIONS {
            interop::survives::<Dimpl>(Case::new(floe, version, 900), &link, 0..8);
        }
    }
}

// req: T6 T64
#[test]
fn a_wrong_fingerprint_is_refused_by_floe() {
    for floe in SIDES {
        for version in VERSIONS {
            interop::floe_refuses_the_wrong_certificate::<Dimpl>(Case::new(floe, version, 1200));
        }
    }
}
