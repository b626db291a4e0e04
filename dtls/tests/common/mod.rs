//! The stories' usual beginnings.
#![expect(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles this module and uses its own part of it"
)]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

pub mod attacker;
#[cfg(feature = "deterministic")]
pub mod duel;
pub mod ends;
mod peer;
pub mod puppet;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use floe_dtls::{
    Config, Connection, Identity, PeerCertificates, ProtocolVersion, RemoteIdentity, Setup,
};
use sim::{Link, Pair, address};

pub use peer::{Peer, expecting, fingerprints, identity};

pub const CLIENT: u8 = 1;
pub const SERVER: u8 = 2;

/// A story is of DTLS 1.2 unless it says otherwise.
pub fn config(host: u8) -> Config {
    only_v12(keeping(identity(host)))
}

/// The defaults, but that the peer's certificate can be asked for.
pub fn keeping(identity: Arc<Identity>) -> Config {
    let mut config = Config::new(identity);
    config.peer_certificates = PeerCertificates::Kept;
    config
}

pub fn only_v12(mut config: Config) -> Config {
    config.max_version = ProtocolVersion::DTLS1_2;
    config
}

pub fn only_v13(mut config: Config) -> Config {
    config.min_version = ProtocolVersion::DTLS1_3;
    config.max_version = ProtocolVersion::DTLS1_3;
    config
}

pub const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3];

/// What a story of this version has.
pub fn config_of(host: u8, version: ProtocolVersion) -> Config {
    match version {
        ProtocolVersion::DTLS1_3 => only_v13(config(host)),
        _ => config(host),
    }
}

pub fn client_with(config: Config, remote: RemoteIdentity) -> Peer {
    let dtls = Connection::new(Arc::new(config), Setup::Active, remote).unwrap();
    Peer::new(CLIENT, SERVER, dtls)
}

pub fn server_with(config: Config, remote: RemoteIdentity) -> Peer {
    let dtls = Connection::new(Arc::new(config), Setup::Passive, remote).unwrap();
    Peer::new(SERVER, CLIENT, dtls)
}

pub type Story = Pair<Peer, Peer>;

/// A client and a server that expect each other, not started.
pub fn pair(seed: u64) -> Story {
    pair_in(ProtocolVersion::DTLS1_2, seed)
}

/// As [`pair`], in this version.
pub fn pair_in(version: ProtocolVersion, seed: u64) -> Story {
    let [client, server] = [CLIENT, SERVER].map(|host| config_of(host, version));
    pair_with(seed, client, server)
}

pub fn pair_with(seed: u64, client: Config, server: Config) -> Story {
    pair_of(
        seed,
        client_with(client, expecting(SERVER)),
        server_with(server, expecting(CLIENT)),
    )
}

pub fn pair_of(seed: u64, client: Peer, server: Peer) -> Story {
    let addresses = ([address(CLIENT)], [address(SERVER)]);
    Pair::new(seed, (client, &addresses.0), (server, &addresses.1))
}

/// The path is usable on both sides.
pub fn start(pair: &mut Story) {
    let now = pair.now();
    pair.a.dtls.start(now);
    pair.b.dtls.start(now);
}

/// Starts and runs until both are connected; says how long that took.
pub fn connect(pair: &mut Story) -> Duration {
    start(pair);
    pair.drive_until(|a, b| a.is_connected() && b.is_connected())
}

/// A pair that is connected over a good link.
pub fn connected(seed: u64) -> Story {
    connected_in(ProtocolVersion::DTLS1_2, seed)
}

/// As [`connected`], in this version.
pub fn connected_in(version: ProtocolVersion, seed: u64) -> Story {
    let mut pair = pair_in(version, seed);
    connect(&mut pair);
    pair.drive();
    pair
}

/// Data flows both ways, and what is heard is what was said.
pub fn assert_talking(pair: &mut Story) {
    let now = pair.now();
    let (heard_a, heard_b) = (pair.a.heard.len(), pair.b.heard.len());
    pair.a.say(now, b"from the client");
    pair.b.say(now, b"from the server");
    pair.drive();
    assert_eq!(pair.a.heard[heard_a..], [b"from the server"]);
    assert_eq!(pair.b.heard[heard_b..], [b"from the client"]);
}

/// 50 ms each way and nothing else.
pub fn slow_link() -> Link {
    Link::with_delay(Duration::from_millis(50))
}
