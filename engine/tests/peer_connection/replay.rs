//! What real transports told, written down as JSON lines and told again.

use crate::leg::{Call, Leg, Story, both_are, call};
use PeerConnectionState::{Connected, Failed};
use floe::{PeerConnection, PeerConnectionState, TransportId, TransportInput, TransportStates};
use serde::{Deserialize, Serialize};
use sim::Clock;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Line {
    at: Duration,
    transport: TransportId,
    input: TransportInput,
}

/// A call with most of what can happen to one: a path lost and found, a restart, a failure, another restart, the end.
fn eventful(seed: u64) -> Result<(Call, Leg), floe::ApiMisuse> {
    let (mut call, leg) = call(seed);
    call.drive_until(both_are(Connected));
    call.drive();
    for outage in [20, 60] {
        call.network.cut();
        call.run_for(Duration::from_secs(outage));
        call.network.heal();
        leg.restart(&mut call)?;
        call.drive_until(both_are(Connected));
        call.run_for(Duration::from_secs(10));
    }
    let now = call.now();
    call.a.with(now, leg.a, |transport| transport.close(now));
    call.drive_until(|_, b| b.is(Failed));
    Ok((call, leg))
}

// req: R163
#[test]
fn a_journal_of_a_call_tells_the_call_again() -> Story {
    let (call, leg) = eventful(60)?;
    for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
        let lines: Vec<_> = side
            .heard
            .iter()
            .map(|(now, transport, input)| {
                let line = Line {
                    at: *now - Clock::epoch(),
                    transport: *transport,
                    input: *input,
                };
                serde_json::to_string(&line).expect("it can be written")
            })
            .collect();
        assert!(lines.len() > 20);

        let mut peer = PeerConnection::new();
        peer.add_transport(Clock::epoch(), id, TransportStates::default());
        let mut told = Vec::new();
        for line in &lines {
            let line: Line = serde_json::from_str(line).expect("it was written so");
            let now = Clock::epoch() + line.at;
            peer.handle_transport_input(now, line.transport, &line.input);
            told.extend(std::iter::from_fn(|| peer.poll_event()));
        }
        // Addresses, times, causes and reasons included.
        assert_eq!(format!("{told:?}"), format!("{:?}", side.told));
        assert_eq!(peer.explain(), side.peer.explain());
        assert_eq!(
            peer.transports().collect::<Vec<_>>(),
            side.peer.transports().collect::<Vec<_>>()
        );
    }
    Ok(())
}

#[test]
fn a_journal_without_addresses_tells_the_same_but_for_them() -> Story {
    let (call, leg) = eventful(61)?;
    let mut peer = PeerConnection::new();
    peer.add_transport(Clock::epoch(), leg.a, TransportStates::default());
    let (mut pairs, mut told) = (0, 0);
    for (now, id, input) in &call.a.heard {
        let input = input.without_addresses();
        let written = serde_json::to_string(&input).expect("it can be written");
        if let TransportInput::SelectedCandidatePair(pair) = input {
            assert!(
                written.contains(r#""local":"0.0.0.0:0","remote":"0.0.0.0:0""#),
                "{written}"
            );
            assert_eq!(pair.path.local, pair.path.remote);
            pairs += 1;
        }
        peer.handle_transport_input(*now, *id, &input);
        told += std::iter::from_fn(|| peer.poll_event()).count();
    }
    assert!(pairs > 2);
    assert_eq!(told, call.a.told.len());
    assert_eq!(peer.explain(), call.a.peer.explain());
    Ok(())
}
