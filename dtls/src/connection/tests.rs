//! What only an authentic peer that misbehaves can show, and what takes 2⁴⁸ records: both reach into the machine.

mod again;
mod alerts;
mod keys;
mod late;
mod leftovers;

use std::time::Duration;

use super::*;
use crate::config::{ExtendedMasterSecret, PlaintextAlerts};
use crate::error::{PeerIncompatible, PeerMisbehaved};
use crate::event::State;
use crate::fingerprint::HashAlgorithm;
use crate::identity::Identity;
use crate::msgs::codec::Codec;
use crate::msgs::enums::{HandshakeType, ProtocolVersion};
use crate::msgs::handshake::HandshakeHeader;
use crate::msgs::post_handshake::{Ack, AckNumber};
use crate::reassembly::Message;
use crate::record::header::{ContentType, Header, RecordNumber};

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do: only differences count"
)]
fn now() -> Instant {
    Instant::now()
}

struct Ends {
    now: Instant,
    client: Connection,
    server: Connection,
}

impl Ends {
    fn new(change: impl Fn(&mut Config, Side)) -> Self {
        let identities = [(); 2].map(|()| Arc::new(Identity::generate().unwrap()));
        let end = |side: Side| {
            let index = usize::from(side == Side::Server);
            let mut config = Config::new(identities[index].clone());
            config.max_version = ProtocolVersion::DTLS1_2;
            change(&mut config, side);
            let theirs = identities[1 - index].fingerprint(HashAlgorithm::Sha256);
            let remote = RemoteIdentity::Fingerprints(FingerprintSet::new([theirs]).unwrap());
            let setup = match side {
                Side::Client => Setup::Active,
                Side::Server => Setup::Passive,
            };
            Connection::new(Arc::new(config), setup, remote).unwrap()
        };
        let mut ends = Self {
            now: now(),
            client: end(Side::Client),
            server: end(Side::Server),
        };
        ends.server.set_path_validated();
        ends.server.start(ends.now);
        ends.client.start(ends.now);
        ends
    }

    fn of_v13() -> Self {
        Self::new(|config, _| {
            config.min_version = ProtocolVersion::DTLS1_3;
            config.max_version = ProtocolVersion::DTLS1_3;
        })
    }

    fn connected() -> Self {
        let mut ends = Self::new(|_, _| ());
        ends.run();
        assert_eq!(ends.client.state(), State::Connected);
        assert_eq!(ends.server.state(), State::Connected);
        for end in [&ends.client, &ends.server] {
            assert!(end.affairs.opening().is_none(), "it has served");
        }
        ends
    }

    /// Carries datagrams until there are none, and lets the time pass that acknowledgements take.
    fn run(&mut self) {
        let mut buf = [0; 1500];
        loop {
            if let Some(len) = self.client.poll_transmit(&mut buf) {
                let _ = self.server.handle_datagram(self.now, &mut buf[..len]);
            } else if let Some(len) = self.server.poll_transmit(&mut buf) {
                let _ = self.client.handle_datagram(self.now, &mut buf[..len]);
            } else if [&mut self.client, &mut self.server]
                .map(|end| end.work().timers.runs(Timer::Ack))
                != [false; 2]
            {
                self.now += Duration::from_millis(100);
                self.client.handle_timeout(self.now);
                self.server.handle_timeout(self.now);
            } else {
                return;
            }
        }
    }
}

/// Both ends speak DTLS 1.3, and its handshake is done and acknowledged.
fn connected_v13() -> Ends {
    let mut ends = Ends::of_v13();
    ends.run();
    for end in [&mut ends.client, &mut ends.server] {
        assert_eq!(end.state(), State::Connected);
        assert_eq!(end.version(), Some(ProtocolVersion::DTLS1_3));
    }
    ends
}

impl Ends {
    fn epochs(&self) -> [u16; 4] {
        [
            self.client.records.write_epoch().0,
            self.client.records.read_epoch().0,
            self.server.records.write_epoch().0,
            self.server.records.read_epoch().0,
        ]
    }

    fn talk(&mut self) {
        let mut buf = [0; 200];
        let len = self.client.seal(self.now, b"up", &mut buf).unwrap();
        let received = self.server.handle_datagram(self.now, &mut buf[..len]);
        assert!(matches!(received, Received::Data { .. }), "{received:?}");
        let len = self.server.seal(self.now, b"down", &mut buf).unwrap();
        let received = self.client.handle_datagram(self.now, &mut buf[..len]);
        assert!(matches!(received, Received::Data { .. }), "{received:?}");
    }
}

/// Makes the extension that offers the extended master secret one that nobody knows, before the hello is sent.
fn forget_extended_master_secret(client: &mut Connection) {
    let Phase::Client(state) = &mut client.phase else {
        panic!("a client");
    };
    let ClientState::ServerHello(state) = &mut **state else {
        panic!("the first state");
    };
    let work = client.affairs.wake(&client.config);
    for hello in [state.transcript_bytes(), work.flight.bytes()] {
        let at = hello
            .windows(4)
            .position(|four| four == [0, 23, 0, 0])
            .unwrap();
        hello[at] = 0x7a;
    }
}

// req: T4
#[test]
fn a_client_without_extended_master_secret_connects_only_where_both_allow_it() {
    for demanding in [None, Some(Side::Client), Some(Side::Server)] {
        let mut ends = Ends::new(|config, side| {
            if demanding != Some(side) {
                config.extended_master_secret = ExtendedMasterSecret::Preferred;
            }
        });
        forget_extended_master_secret(&mut ends.client);
        ends.run();
        let refused = PeerIncompatible::ExtendedMasterSecretRequired.into();
        match demanding {
            None => {
                let [ours, theirs] =
                    [&ends.client, &ends.server].map(|end| end.srtp_keys().unwrap());
                assert_eq!(ours.key(Side::Client), theirs.key(Side::Client));
            }
            Some(Side::Client) => assert_eq!(ends.client.error(), Some(&refused)),
            Some(Side::Server) => assert_eq!(ends.server.error(), Some(&refused)),
        }
    }
}

// req: T20
#[test]
fn early_calls_of_handle_timeout_do_nothing() {
    let mut ends = Ends::new(|_, _| ());
    let due = ends.client.poll_timeout().unwrap();
    let mut buf = [0; 1200];
    while ends.client.poll_transmit(&mut buf).is_some() {}
    ends.client.handle_timeout(due - Duration::from_nanos(1));
    assert_eq!(ends.client.poll_transmit(&mut buf), None);
    assert_eq!(ends.client.poll_timeout(), Some(due));
    ends.client.handle_timeout(due);
    assert!(ends.client.poll_transmit(&mut buf).is_some());
    assert!(ends.client.poll_timeout().unwrap() > due);
}

// req: T20
#[test]
fn deadlines_may_be_so_far_that_they_never_come() {
    let mut ends = Ends::new(|config, _| {
        config.retransmission.deadline = Duration::MAX;
        config.fingerprint_deadline = Duration::MAX;
    });
    ends.run();
    assert_eq!(ends.client.state(), State::Connected);
    assert_eq!(ends.server.state(), State::Connected);
}

// req: T32
#[test]
fn a_plaintext_finished_that_waits_for_its_turn_is_forgotten_when_the_turn_comes() {
    let mut ends = Ends::new(|_, _| ());
    let mut buf = [0; 1200];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    // Certificate, ClientKeyExchange, CertificateVerify are 1 to 3.
    let header = HandshakeHeader::whole(HandshakeType::FINISHED, 4, 12).to_bytes();
    let mut forged = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 24];
    forged.extend(header);
    forged.extend([0; 12]);
    let received = ends.server.handle_datagram(ends.now, &mut forged);
    assert_eq!(received, Received::Handled, "it may be the next but three");
    ends.run();
    assert_eq!(ends.server.state(), State::Connected);
    assert_eq!(ends.client.state(), State::Connected);
}

// req: T5
#[test]
fn a_certificate_verify_in_the_protected_epoch_is_out_of_order() {
    let mut ends = Ends::new(|_, _| ());
    let mut buf = [0; 1200];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    let len = ends.server.poll_transmit(&mut buf).unwrap();
    let _ = ends.client.handle_datagram(ends.now, &mut buf[..len]);
    ends.client.work().flight.move_to(Epoch::DTLS1_2, 2);
    ends.run();
    let unexpected = PeerMisbehaved::UnexpectedMessage;
    assert_eq!(ends.server.error(), Some(&unexpected.into()));
}

// req: T1 T61
#[test]
fn a_message_of_a_later_epoch_than_its_turn_is_fatal_to_a_client() {
    for (version, later) in [
        (ProtocolVersion::DTLS1_2, Epoch::DTLS1_2),
        (ProtocolVersion::DTLS1_3, Epoch::HANDSHAKE),
        (ProtocolVersion::DTLS1_3, Epoch::APPLICATION),
    ] {
        for epoch in [Epoch::PLAINTEXT, later] {
            let mut ends = Ends::new(|config, _| {
                (config.min_version, config.max_version) = (version, version);
            });
            let mut buf = [0; 1500];
            let len = ends.client.poll_transmit(&mut buf).unwrap();
            let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
            let len = ends.server.poll_transmit(&mut buf).unwrap();
            // A whole ServerHello, the first message of the first record, as if it had come in that epoch.
            let hello = &buf[Header::LEN..];
            let length = u32::from_be_bytes([0, hello[1], hello[2], hello[3]]) as usize;
            let message = Message {
                epoch,
                handshake_type: HandshakeType::SERVER_HELLO,
                bytes: hello[..HandshakeHeader::LEN + length].to_vec(),
            };
            assert_eq!(message.bytes[0], HandshakeType::SERVER_HELLO.0);
            ends.client.work().reassembler.begin_with(0, Some(message));
            let _ = ends.client.handle_datagram(ends.now, &mut buf[..len]);
            ends.run();
            let unexpected = Error::from(PeerMisbehaved::UnexpectedMessage);
            let (error, state) = match epoch {
                Epoch::PLAINTEXT => (None, State::Connected),
                _ => (Some(&unexpected), State::Failed),
            };
            assert_eq!(ends.client.error(), error, "{version} {epoch}");
            assert_eq!(ends.client.state(), state, "{version} {epoch}");
        }
    }
}

// req: T67
#[test]
fn a_connection_whose_fingerprints_came_late_is_not_ended_by_the_deadline_for_them() {
    let mut ends = Ends::new(|_, _| ());
    let expected = std::mem::replace(
        &mut ends.client.affairs.opening_mut().unwrap().remote,
        RemoteIdentity::Later,
    );
    ends.run();
    assert_eq!(ends.client.state(), State::Connecting);
    let deadline = ends.client.poll_timeout().unwrap();
    assert_eq!(deadline, ends.now + Duration::from_secs(30));
    let RemoteIdentity::Fingerprints(set) = expected else {
        panic!("a set");
    };
    ends.client.set_remote_fingerprints(ends.now, set).unwrap();
    assert_eq!(ends.client.state(), State::Connected);
    assert_eq!(ends.client.poll_timeout(), None);
    ends.client.handle_timeout(deadline);
    assert_eq!(ends.client.state(), State::Connected);
}

#[cfg(feature = "deterministic")]
mod seeded {
    use super::*;

    const ED25519: &str = include_str!("../../tests/data/ed25519.pem");

    /// All datagrams of a handshake and some data, each way.
    fn conversation(seed: u8) -> Vec<Vec<u8>> {
        let identity = Arc::new(Identity::from_pem(ED25519, ED25519).unwrap());
        let end = |side: u8, setup| {
            let mut config = Config::new(identity.clone());
            config.max_version = ProtocolVersion::DTLS1_2;
            let config = Arc::new(config);
            Connection::with_seed([seed ^ side; 32], config, setup, RemoteIdentity::AcceptAny)
                .unwrap()
        };
        let now = now();
        let (mut client, mut server) = (end(0x40, Setup::Active), end(0x80, Setup::Passive));
        client.start(now);
        server.set_path_validated();
        server.start(now);
        let mut said = Vec::new();
        let mut buf = [0; 1200];
        loop {
            if let Some(len) = client.poll_transmit(&mut buf) {
                said.push(buf[..len].to_vec());
                let _ = server.handle_datagram(now, &mut buf[..len]);
            } else if let Some(len) = server.poll_transmit(&mut buf) {
                said.push(buf[..len].to_vec());
                let _ = client.handle_datagram(now, &mut buf[..len]);
            } else {
                break;
            }
        }
        let len = client.seal(now, b"connected", &mut buf).unwrap();
        said.push(buf[..len].to_vec());
        said
    }

    #[test]
    fn the_same_seed_says_the_same() {
        assert_eq!(conversation(1), conversation(1));
        assert_ne!(conversation(1), conversation(2));
    }
}
