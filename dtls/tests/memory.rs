//! What a handshake and an established connection cost in memory.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::*;
use floe_dtls::*;

/// Runs a handshake between two connections without any harness; counts what each side allocates.
fn handshake(version: ProtocolVersion) -> [(Connection, allocation_counter::AllocationInfo); 2] {
    let now = sim::Clock::epoch();
    let end = |host: u8, other: u8, setup| {
        let config = std::sync::Arc::new(config_of(host, version));
        let remote = expecting(other);
        let mut made = None;
        let counted = allocation_counter::measure(|| {
            let mut connection = Connection::new(config.clone(), setup, remote.clone()).unwrap();
            connection.set_path_validated();
            connection.start(now);
            made = Some(connection);
        });
        (made.unwrap(), counted)
    };
    let mut ends = [
        end(CLIENT, SERVER, Setup::Active),
        end(SERVER, CLIENT, Setup::Passive),
    ];
    let mut buf = [0; 1200];
    let mut idle = 0;
    while idle < 2 {
        for from in [0, 1] {
            let mut len = None;
            let sent = allocation_counter::measure(|| len = ends[from].0.poll_transmit(&mut buf));
            add(&mut ends[from].1, &sent);
            let Some(len) = len else {
                idle += 1;
                continue;
            };
            idle = 0;
            let to = &mut ends[1 - from];
            let taken = allocation_counter::measure(|| {
                let _ = to.0.handle_datagram(now, &mut buf[..len]);
            });
            add(&mut to.1, &taken);
        }
    }
    for (end, _) in &mut ends {
        while end.poll_event().is_some() {}
        assert_eq!(end.state(), State::Connected);
    }
    ends
}

fn add(sum: &mut allocation_counter::AllocationInfo, more: &allocation_counter::AllocationInfo) {
    sum.count_total += more.count_total;
    sum.bytes_current += more.bytes_current;
}

// req: T50
#[test]
fn a_handshake_allocates_little_and_leaves_little() {
    for version in VERSIONS {
        // The first one also pays for what the process keeps.
        handshake(version);
        for (connection, counted) in handshake(version) {
            assert_eq!(connection.version(), Some(version));
            let allocations = counted.count_total;
            println!(
                "{version}, {:?}: {allocations} allocations",
                connection.side()
            );
            assert!(allocations <= 60, "{version}: {allocations} allocations");
            let live = size_of_val(&connection) as i64 + counted.bytes_current;
            assert!(live <= 6 * 1024, "{version}: {live} bytes");
        }
    }
}
