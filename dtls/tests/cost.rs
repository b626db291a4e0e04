//! What a handshake costs besides its cryptography: flights and allocations.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::Arc;

use allocation_counter::measure;
use common::*;
use floe_dtls::*;

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// The most allocations of one side.
const MOST: u64 = 60;

/// What one handshake took.
#[derive(Debug)]
struct Cost {
    /// Of the client and of the server.
    allocations: [u64; 2],
    /// How often the other side got to speak, ACKs of nothing but records not counted.
    flights: usize,
}

fn choices() -> impl Iterator<Item = (ProtocolVersion, CryptoBackend, NamedGroup)> {
    use CryptoBackend::{AwsLcRs, Ring};
    let exchanges = [
        (Ring, NamedGroup::X25519),
        (Ring, NamedGroup::SECP256R1),
        (AwsLcRs, NamedGroup::X25519),
        (AwsLcRs, NamedGroup::SECP256R1),
        (AwsLcRs, NamedGroup::X25519MLKEM768),
    ];
    [V12, V13].into_iter().flat_map(move |version| {
        let classical = |group| group != NamedGroup::X25519MLKEM768;
        exchanges
            .into_iter()
            .filter(move |(_, group)| version == V13 || classical(*group))
            .map(move |(backend, group)| (version, backend, group))
    })
}

/// Runs a handshake between two connections without any harness.
fn handshake(version: ProtocolVersion, backend: CryptoBackend, group: NamedGroup) -> Cost {
    let now = sim::Clock::epoch();
    let mut allocations = [0; 2];
    let mut ends = [
        (CLIENT, SERVER, Setup::Active),
        (SERVER, CLIENT, Setup::Passive),
    ]
    .map(|(host, other, setup)| {
        let mut config = config(host);
        (config.min_version, config.max_version) = (version, version);
        config.backend = backend;
        config.groups = vec![group];
        let (config, remote) = (Arc::new(config), expecting(other));
        let mut end = None;
        let counted = measure(|| {
            let mut connection = Connection::new(config.clone(), setup, remote.clone()).unwrap();
            connection.set_path_validated();
            connection.start(now);
            end = Some(connection);
        });
        allocations[usize::from(setup == Setup::Passive)] += counted.count_total;
        end.unwrap()
    });
    let mut buf = [0; 1200];
    let mut speaker = None;
    let mut flights = 0;
    let mut silent = 0;
    while silent < 2 {
        for from in [0, 1] {
            silent += 1;
            loop {
                let done = ends.each_ref().map(|end| end.state() == State::Connected);
                let mut len = None;
                let sent = measure(|| len = ends[from].poll_transmit(&mut buf));
                allocations[from] += sent.count_total;
                let Some(len) = len else { break };
                silent = 0;
                // What is said when both sides are connected only acknowledges.
                if speaker.replace(from) != Some(from) && done != [true, true] {
                    flights += 1;
                }
                let taken = measure(|| {
                    let _ = ends[1 - from].handle_datagram(now, &mut buf[..len]);
                });
                allocations[1 - from] += taken.count_total;
            }
        }
    }
    for (end, allocations) in ends.iter_mut().zip(&mut allocations) {
        *allocations += measure(|| while end.poll_event().is_some() {}).count_total;
        assert_eq!(end.state(), State::Connected);
        assert_eq!((end.version(), end.group()), (Some(version), Some(group)));
    }
    Cost {
        allocations,
        flights,
    }
}

// req: T50
#[test]
fn a_handshake_takes_four_flights_or_three_and_few_allocations_a_side() {
    for (version, backend, group) in choices() {
        // The first one also pays for what the process keeps.
        handshake(version, backend, group);
        let cost = handshake(version, backend, group);
        println!("{version}, {backend:?}, {group}: {cost:?}");
        assert_eq!(cost.flights, if version == V12 { 4 } else { 3 });
        assert!(
            cost.allocations.iter().all(|count| *count <= MOST),
            "{cost:?}"
        );
    }
}
