//! Floods: whatever comes in masses, the consent of every other session is on time.

use crate::{
    crafted,
    crowd::{Costs, Crowd, client_address, server_address},
    support::Host,
};
use floe::{
    DropReason, Outcome, Received,
    ice::{self, FiveTuple, Parameters},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

const SESSIONS: usize = 40;
/// How long each flood goes on: some rounds of consent.
const FLOOD: Duration = Duration::from_secs(20);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn crowd(seed: u8, change: impl FnOnce(&mut floe::EndpointConfig)) -> Crowd {
    let costs = Costs {
        datagram: Duration::from_micros(10),
        dtls_datagram: Duration::from_micros(10),
        handshake: Duration::from_micros(10),
    };
    let server = Host::with(seed, &[server_address()], change);
    Crowd::new(seed, SESSIONS, server, costs)
}

/// Runs a flood: `send` gives the datagrams of each millisecond. Consent is looked at all the time.
fn flood(
    crowd: &mut Crowd,
    except: &[usize],
    mut send: impl FnMut(&mut Crowd, u64) -> Vec<(FiveTuple, Vec<u8>)>,
) {
    for millisecond in 0..FLOOD.as_millis() as u64 {
        for (path, bytes) in send(crowd, millisecond) {
            crowd.inject(path, bytes);
        }
        crowd.run_for(ms(1), |_| {});
        if millisecond % 100 == 0 {
            crowd.consent_is_on_time(except, ms(100));
        }
    }
    crowd.consent_is_on_time(except, ms(100));
    assert!(crowd.longest_wait <= ms(5), "{:?}", crowd.longest_wait);
    assert!(crowd.longest_delay <= ms(5), "{:?}", crowd.longest_delay);
}

fn from(address: SocketAddr) -> FiveTuple {
    FiveTuple::udp(server_address(), address)
}

fn stranger(number: u64) -> SocketAddr {
    let [.., a, b, c] = number.to_be_bytes();
    (Ipv4Addr::new(172, a, b, c), 6000).into()
}

// req: I41
#[test]
fn a_flood_of_unknown_names_is_dropped_and_first_checks_still_get_through() {
    let mut crowd = crowd(201, |_| {});
    let mut heard = 0;
    let mut asked = 0;
    let mut number = 0u64;
    let mut elsewhere = 0;
    flood(&mut crowd, &[], |crowd, millisecond| {
        // From one network; every second a genuine one, from a network of its own.
        if millisecond % 1000 == 500 {
            asked += 1;
            let mut late = crafted::write("late-1", "0123456789012345678901", "peer", 1);
            let path = from(stranger(0x10_0000 + millisecond * 256));
            let now = crowd.now;
            let outcome = crowd.server.endpoint.handle_datagram(now, path, &mut late);
            heard += u32::from(matches!(
                outcome,
                Outcome::UnknownUfrag {
                    local: "late-1",
                    ..
                }
            ));
        }
        elsewhere += crowd.elsewhere.len();
        let flood = (0..5).map(|_| {
            number += 1;
            let name = format!("nobody{number:06}");
            let bytes = crafted::write(&name, "0123456789012345678901", "peer", number);
            (from(stranger(number % 200)), bytes)
        });
        flood.collect()
    });
    assert_eq!(heard, asked, "of first checks from elsewhere");
    let stats = crowd.server.endpoint.stats();
    assert_eq!(
        stats.dropped.count(DropReason::UnknownUfrag),
        number - (stats.unknown_ufrag - u64::from(heard))
    );
    // 20 a second and 50 at once, per network: the application hears no more of 100 000.
    assert!(
        stats.unknown_ufrag <= 50 + 20 * 20 + u64::from(heard) + 1,
        "{stats:?}"
    );
    assert_eq!(elsewhere, 0, "nothing is answered");
}

// req: I41
#[test]
fn forged_macs_are_not_worth_verifying_for_long_and_cost_nobody_else_anything() {
    let mut crowd = crowd(202, |_| {});
    let victims: Vec<Parameters> = crowd
        .clients
        .iter()
        .map(|client| crowd.names_of(client).0)
        .collect();
    let mut number = 0u64;
    flood(&mut crowd, &[], |_, _| {
        let forgeries = (0..5).map(|_| {
            number += 1;
            let victim = &victims[number as usize % SESSIONS];
            let bytes = crafted::forged_request(victim, "peer", number);
            // From strangers, and with the sessions' own addresses.
            let source = match number % 2 {
                0 => stranger(number),
                _ => client_address(number as usize % SESSIONS),
            };
            (from(source), bytes)
        });
        forgeries.collect()
    });
    let dropped: u64 = crowd
        .clients
        .iter()
        .map(|client| {
            let stats = crowd.server.transport(client.id).ice().stats();
            [
                ice::DropReason::BadIntegrity,
                ice::DropReason::IntegrityBudget,
            ]
            .iter()
            .map(|reason| stats.dropped(*reason))
            .sum::<u64>()
        })
        .sum();
    assert_eq!(dropped, number, "every one is counted");
    // Of the 2500 that each hears from strangers or from its peer's address, one a second is told 401. Every other session's
    // forgeries are the strangers'.
    let answers = &crowd.elsewhere;
    assert_eq!(
        answers.len() as u64,
        (SESSIONS / 2) as u64 * FLOOD.as_secs()
    );
    for (_, answer) in answers {
        let message = floe::stun::Message::parse(answer).expect("it is STUN");
        let code = message.error_code().map(floe::stun::ErrorCode::number);
        assert_eq!((code, message.has_integrity()), (Some(401), false));
        assert!(answer.len() <= crafted::forged_request(&victims[0], "peer", 1).len());
    }
}

// req: I54
#[test]
fn a_peer_that_comes_from_everywhere_takes_nobodys_path() {
    let mut crowd = crowd(203, |_| {});
    let churner = 7;
    let client = &crowd.clients[churner];
    let (to, own) = crowd.names_of(client);
    let mut number = 0u64;
    flood(&mut crowd, &[churner], |crowd, _| {
        crowd.elsewhere.clear();
        let churn = (0..3).map(|turn| {
            number += 1;
            let bytes = crafted::request(&to, &own, number);
            // From new addresses, and from those where the others live.
            let source = match turn {
                0 => client_address((number as usize / 3) % SESSIONS),
                _ => stranger(number),
            };
            (from(source), bytes)
        });
        churn.collect()
    });
    let stats = crowd.server.endpoint.stats();
    assert_eq!(stats.takeovers, 0);
    assert!(stats.contested_tuples > 0, "{stats:?}");
    // Everybody's media still finds them.
    let now = crowd.now;
    let mut packet = [0x80, 96, 0, 0];
    for (number, client) in crowd.clients.iter().enumerate() {
        let outcome = crowd
            .server
            .endpoint
            .handle_datagram(now, client.path, &mut packet);
        let Outcome::Routed { transport, .. } = outcome else {
            panic!("{number}: {outcome:?}");
        };
        assert_eq!(transport, client.id, "{number}");
    }
}

#[test]
fn one_hot_session_makes_nobody_wait() {
    let mut crowd = crowd(204, |_| {});
    let hot = 3;
    let client = &crowd.clients[hot];
    let (to, own) = crowd.names_of(client);
    let path = client.path;
    let mut number = 0u64;
    // Authentic checks and media, more than all the others together send in an hour.
    flood(&mut crowd, &[], |_, _| {
        let mut burst: Vec<_> = (0..5)
            .map(|_| {
                number += 1;
                (path, crafted::request(&to, &own, number))
            })
            .collect();
        burst.extend((0..20).map(|_| (path, vec![0x80; 200])));
        burst
    });
}

#[test]
fn answers_to_a_hot_session_do_not_fill_the_way_out() {
    let mut crowd = crowd(205, |_| {});
    let hot = &crowd.clients[3];
    let to = Parameters::clone(crowd.server.transport(hot.id).local_parameters());
    let own = hot.agent.local_parameters().username_fragment().to_owned();
    let (now, path) = (crowd.now, hot.path);
    let endpoint = &mut crowd.server.endpoint;
    let mut buf = [0; 1500];
    // Whoever has a check due is among the next to send, however much the hot one has pending.
    for round in 0..10 {
        let handled = (0..60).filter(|number| {
            let mut request = crafted::request(&to, &own, round * 100 + number);
            let outcome = endpoint.handle_datagram(now, path, &mut request);
            matches!(
                outcome,
                Outcome::Routed {
                    received: Received::Handled,
                    ..
                }
            )
        });
        assert_eq!(handled.count(), 60);
        let quiet = &crowd.clients[10 + round as usize];
        let peer = quiet.agent.local_parameters().username_fragment();
        let credentials = endpoint
            .transport(quiet.id)
            .expect("it lives")
            .local_parameters();
        let mut request = crafted::request(&Parameters::clone(credentials), peer, round);
        let _ = endpoint.handle_datagram(now, quiet.path, &mut request);
        let mut turns = 0;
        loop {
            let transmit = endpoint.poll_transmit(&mut buf).expect("an answer");
            turns += 1;
            if transmit.path == quiet.path {
                break;
            }
        }
        assert!(turns <= 2, "{turns}");
        while endpoint.poll_transmit(&mut buf).is_some() {}
    }
}

// req: I53
#[test]
fn a_miss_of_any_kind_allocates_nothing() {
    let mut crowd = crowd(206, |_| {});
    let (now, path) = (crowd.now, from(stranger(77)));
    let (mut answer, mut indication) = ([0; 100], crafted::indication());
    let id = crafted::transaction_id(5);
    let writer = floe::stun::Writer::success(&mut answer, floe::stun::Method::BINDING, id);
    let len = writer.fingerprint().expect("it fits");
    let mut check = crafted::write("nobody", "0123456789012345678901", "peer", 1);
    let client = &crowd.clients[5];
    let to = crowd.server.transport(client.id).local_parameters();
    let mut forged = crafted::forged_request(to, "peer", 1);
    let (mut media, mut record) = ([0x80; 100], [22; 100]);
    let steering = floe::steering::Steering::new([1; 32], 4);
    let endpoint = &mut crowd.server.endpoint;
    let before = endpoint.stats();
    let info = allocation_counter::measure(|| {
        for _ in 0..1000 {
            for datagram in [
                &mut answer[..len],
                &mut indication,
                &mut check,
                &mut forged,
                &mut media,
                &mut record,
            ] {
                assert_eq!(steering.route(datagram), None);
                let _ = endpoint.handle_datagram(now, path, datagram);
            }
        }
    });
    assert_eq!(info.count_total, 0);
    let stats = endpoint.stats();
    let dropped = |reason| stats.dropped.count(reason) - before.dropped.count(reason);
    // Media, DTLS and indications go by 5-tuple.
    assert_eq!(dropped(DropReason::UnknownPath), 3000);
    let reported = stats.unknown_ufrag - before.unknown_ufrag;
    assert_eq!((reported, dropped(DropReason::UnknownUfrag)), (50, 950));
    assert_eq!(
        stats.routed - before.routed,
        1000,
        "to where its MAC is wrong"
    );
    assert!(dropped(DropReason::UnknownTransaction) <= 1000);
}
