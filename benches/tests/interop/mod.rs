//! What another implementation goes through with floe: stories in virtual time that do not know whose it is.
//!
//! floe is the pair's first node, the stranger the second, whoever is client. The link carries nothing above the case's
//! MTU, and a story that ends well has seen nobody try.
#![expect(
    unreachable_pub,
    reason = "each stranger is a test binary that compiles this module"
)]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::sync::Arc;
use std::time::Instant;

use floe_dtls::{
    CipherSuite, Config, Connection, Identity, NamedGroup, ProtocolVersion, Reason, RemoteIdentity,
    Setup, Side, State,
};
use sim::{Link, Node, Pair, address};

use crate::peer::{Peer, expecting, fingerprints, identity};

/// floe's own host; the stranger's.
pub const FLOE: u8 = 1;
pub const STRANGER: u8 = 2;

/// The smallest that is configurable, one between, and the default.
pub const MTUS: [usize; 3] = [256, 900, 1200];
pub const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// A certificate with its key, in PEM: what strangers are given.
pub const P256: &str = include_str!("../../../dtls/tests/data/p256-sec1.pem");
pub const P384: &str = include_str!("../../../dtls/tests/data/p384.pem");
pub const RSA: &str = include_str!("../../../dtls/tests/data/rsa2048.pem");

/// How one meeting is set up.
#[derive(Clone, Copy)]
pub struct Case {
    pub seed: u64,
    /// Which end floe is.
    pub floe: Side,
    /// What must be agreed, and all that the stranger speaks ...
    pub version: ProtocolVersion,
    /// ... but for this.
    pub also: Option<ProtocolVersion>,
    /// Of both ends, and of the link between them.
    pub mtu: usize,
    /// The stranger's certificate and key.
    pub pem: &'static str,
    /// Whether a stranger that is the server gives session tickets, if it can.
    pub tickets: bool,
    /// The groups of both ends, if not their own choice.
    pub groups: Option<&'static [NamedGroup]>,
    /// floe's only suite, if not its own choice.
    pub suite: Option<CipherSuite>,
    /// What else floe is told.
    pub prepare: fn(&mut Config),
}

impl Case {
    pub fn new(floe: Side, version: ProtocolVersion, mtu: usize) -> Self {
        Self {
            seed: 1,
            floe,
            version,
            also: None,
            mtu,
            pem: P256,
            tickets: true,
            groups: None,
            suite: None,
            prepare: |_| {},
        }
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new(identity(FLOE));
        config.mtu = self.mtu;
        config.fallback_mtu = self.mtu.min(config.fallback_mtu);
        if let Some(groups) = self.groups {
            config.groups = groups.to_vec();
        }
        if let Some(suite) = self.suite {
            config.cipher_suites = vec![suite];
        }
        (self.prepare)(&mut config);
        config
    }

    /// Everything is as signaling said.
    pub fn meet<S: Stranger>(self) -> Pair<Peer, S> {
        self.meet_with(self.stranger(), identity(FLOE).certificate())
    }

    /// Who the stranger is.
    pub fn stranger(&self) -> RemoteIdentity {
        let identity = Identity::from_pem(self.pem, self.pem).unwrap();
        RemoteIdentity::Fingerprints(fingerprints(&identity))
    }

    /// The path is usable, both have started.
    pub fn meet_with<S: Stranger>(
        self,
        floe_expects: RemoteIdentity,
        stranger_expects: &[u8],
    ) -> Pair<Peer, S> {
        self.tell();
        let setup = match self.floe {
            Side::Client => Setup::Active,
            Side::Server => Setup::Passive,
        };
        let dtls = Connection::new(Arc::new(self.config()), setup, floe_expects).unwrap();
        let floe = Peer::new(FLOE, STRANGER, dtls);
        let stranger = S::new(&self, stranger_expects);
        let addresses = ([address(FLOE)], [address(STRANGER)]);
        let mut pair = Pair::new(self.seed, (floe, &addresses.0), (stranger, &addresses.1));
        pair.network.set_links(self.link());
        let now = pair.now();
        pair.a.dtls.start(now);
        pair.b.start(now);
        pair
    }

    /// For who reads what a test did.
    pub fn tell(&self) {
        let Self {
            floe, version, mtu, ..
        } = self;
        println!(
            "floe as {floe}, {version}, MTU {mtu}, {:?}, {:?}",
            self.groups, self.suite
        );
    }

    pub fn link(&self) -> Link {
        Link {
            mtu: self.mtu,
            ..Link::default()
        }
    }
}

/// Another implementation as a node at `address(STRANGER)`.
pub trait Stranger: Node + Sized {
    /// The end that floe is not, as the case says, accepting nobody but the owner of this certificate (DER).
    fn new(case: &Case, accepts: &[u8]) -> Self;
    /// The path is usable.
    fn start(&mut self, now: Instant);
    /// The handshake is complete, and floe's certificate was the expected one.
    fn is_connected(&self) -> bool;
    /// floe's close_notify arrived.
    fn has_closed(&self) -> bool;
    /// It gave up.
    fn has_failed(&self) -> bool;
    /// Application data, one element for each record.
    fn heard(&self) -> &[Vec<u8>];
    fn say(&mut self, now: Instant, data: &[u8]);
    /// Sends close_notify.
    fn close(&mut self, now: Instant);
    /// As RFC 5764 §4.2 exports it, `len` bytes, and the name of the profile.
    fn srtp(&self, len: usize) -> (String, Vec<u8>);
}

pub fn both_connected<S: Stranger>(floe: &Peer, stranger: &S) -> bool {
    floe.is_connected() && stranger.is_connected()
}

/// From the first datagram to both ends' close, which `first` begins; what was negotiated is left for the story to look at.
pub fn whole_life<S: Stranger>(case: Case, first: u8) -> Pair<Peer, S> {
    let mut pair: Pair<Peer, S> = case.meet();
    pair.drive_until(both_connected);
    pair.drive();
    assert_eq!(pair.a.dtls.version(), Some(case.version));
    assert_eq!(pair.a.dtls.side(), Some(case.floe));
    if let Some(groups) = case.groups {
        let ours = case.config().groups;
        let agreed = ours.into_iter().find(|group| groups.contains(group));
        assert_eq!(pair.a.dtls.group(), agreed);
    }
    if let Some(suite) = case.suite {
        assert_eq!(pair.a.dtls.cipher_suite(), Some(suite));
    }
    assert_same_srtp_keys(&pair.a, &pair.b);
    assert_talking(&mut pair);
    close(&mut pair, first);
    let counters = pair.network.counters();
    assert_eq!(counters.too_big, 0, "nobody writes above the MTU");
    pair
}

/// RFC 5764 §4.2: client key, server key, client salt, server salt.
pub fn assert_same_srtp_keys<S: Stranger>(floe: &Peer, stranger: &S) {
    let keys = floe.dtls.srtp_keys().unwrap();
    let parts = [
        keys.key(Side::Client),
        keys.key(Side::Server),
        keys.salt(Side::Client),
        keys.salt(Side::Server),
    ];
    let material = parts.concat();
    let (profile, theirs) = stranger.srtp(material.len());
    assert_eq!(profile, keys.profile().to_string());
    assert_eq!(theirs, material);
}

/// Data flows both ways, as much as a datagram holds.
pub fn assert_talking<S: Stranger>(pair: &mut Pair<Peer, S>) {
    let now = pair.now();
    let full = vec![0x5a; pair.a.dtls.max_plaintext().unwrap()];
    let before = (pair.a.heard.len(), pair.b.heard().len());
    for data in [b"as the dew", &full[..]] {
        pair.a.say(now, data);
        pair.b.say(now, data);
    }
    pair.drive();
    assert_eq!(pair.a.heard[before.0..], [b"as the dew", &full[..]]);
    assert_eq!(pair.b.heard()[before.1..], [b"as the dew", &full[..]]);
}

fn close<S: Stranger>(pair: &mut Pair<Peer, S>, first: u8) {
    let now = pair.now();
    let reason = if first == FLOE {
        pair.a.dtls.close(now);
        pair.drive();
        assert!(pair.b.has_closed(), "the stranger heard close_notify");
        Reason::ClosedLocally
    } else {
        pair.b.close(now);
        pair.drive();
        Reason::ClosedByPeer
    };
    assert_eq!(pair.a.states().last(), Some(&(State::Closed, reason)));
}

/// Every MTU, and either end closes first.
pub fn lives<S: Stranger>(case: Case) {
    for (mtu, first) in MTUS.into_iter().zip([FLOE, STRANGER, FLOE]) {
        whole_life::<S>(Case { mtu, ..case }, first);
    }
}

/// floe was told another fingerprint: no key, no data, and the stranger learns why.
pub fn floe_refuses_the_wrong_certificate<S: Stranger>(case: Case) {
    let mut pair: Pair<Peer, S> = case.meet_with(expecting(STRANGER), identity(FLOE).certificate());
    pair.drive_until(|floe, stranger| floe.is_over() && stranger.has_failed());
    let refused = (State::Failed, Reason::FingerprintMismatch);
    assert_eq!(pair.a.states().last(), Some(&refused));
    assert!(!pair.a.has_connected());
    assert!(pair.a.dtls.srtp_keys().is_none());
    assert!(pair.a.heard.is_empty());
    assert!(pair.b.heard().is_empty());
}

/// The stranger was told another: floe never says that it is connected to somebody who is not, but for the time that a
/// refusal needs, when floe is the one that finishes first.
pub fn floe_is_refused<S: Stranger>(case: Case) {
    let mut pair: Pair<Peer, S> = case.meet_with(case.stranger(), identity(STRANGER).certificate());
    pair.drive_until(|floe, stranger| floe.is_over() && stranger.has_failed());
    assert_eq!(
        pair.a.states().last(),
        Some(&(State::Failed, Reason::PeerAlert))
    );
    assert!(!pair.b.is_connected());
    assert!(pair.a.heard.is_empty() && pair.b.heard().is_empty());
}

/// The handshake and what follows hold on a network that loses, doubles, overtakes and damages.
pub fn survives<S: Stranger>(case: Case, link: &Link, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut pair: Pair<Peer, S> = Case { seed, ..case }.meet();
        pair.network.set_links(Link {
            mtu: case.mtu,
            ..link.clone()
        });
        pair.drive_until(both_connected);
        pair.network.set_links(case.link());
        pair.drive();
        assert_same_srtp_keys(&pair.a, &pair.b);
        assert_talking(&mut pair);
        assert_eq!(pair.network.counters().too_big, 0);
    }
}
