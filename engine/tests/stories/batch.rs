//! Many datagrams at a time: the same as one by one, in fewer and longer pieces.

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host},
};
use floe::{
    DropReason, Endpoint, MediaKind, Outcome, Received, Segments, TransportId, TransportOptions,
    dtls::{RemoteIdentity, Setup},
    ice::{Candidate, FiveTuple, Initiation, Mode, Parameters, RemoteParameters},
};
use proptest::prelude::*;
use std::{collections::BTreeMap, net::SocketAddr, time::Instant};

/// A lite session and its peer.
pub(crate) struct Session {
    pub(crate) id: TransportId,
    pub(crate) credentials: Parameters,
    pub(crate) path: FiveTuple,
}

/// Sessions of a lite server that have heard of their peers once. All transactions from 1000 on are new to them.
pub(crate) fn fleet(endpoint: &mut Endpoint, now: Instant, size: u32) -> Vec<Session> {
    let local: SocketAddr = ([192, 0, 2, 1], 3478).into();
    let session = |number: u32| {
        let options = TransportOptions {
            mode: Mode::Lite,
            initiation: Initiation::Responding,
            setup: Setup::Passive,
            remote_identity: RemoteIdentity::Later,
            local_parameters: None,
        };
        let id = endpoint.create(now, options).expect("there is room");
        let peer = Parameters::new("peer", "0123456789012345678901").expect("a good one");
        let [_, a, b, c] = number.to_be_bytes();
        let path = FiveTuple::udp(local, ([10, a, b, c], 5000).into());
        let introduced = endpoint.with(now, id, |transport| {
            transport
                .set_remote_parameters(now, RemoteParameters::new(peer))
                .expect("for the first time");
            transport
                .add_local_candidate(now, Candidate::host(local))
                .expect("a host candidate");
            transport.local_parameters().clone()
        });
        let credentials = introduced.expect("it was just made");
        let mut request = crafted::nominating_request(&credentials, "peer", 1);
        let outcome = endpoint.handle_datagram(now, path, &mut request);
        let received = Received::Handled;
        assert_eq!(
            outcome,
            Outcome::Routed {
                transport: id,
                received
            }
        );
        Session {
            id,
            credentials,
            path,
        }
    };
    let sessions = (0..size).map(session).collect();
    drain(endpoint);
    sessions
}

fn drain(endpoint: &mut Endpoint) -> BTreeMap<FiveTuple, Vec<Vec<u8>>> {
    let (mut sent, mut buf) = (BTreeMap::<_, Vec<_>>::new(), [0; 1500]);
    while let Some(transmit) = endpoint.poll_transmit(&mut buf) {
        let datagram = buf[..transmit.len].to_vec();
        sent.entry(transmit.path).or_default().push(datagram);
    }
    while endpoint.poll_event().is_some() {}
    sent
}

fn server() -> Endpoint {
    let turn = |config: &mut floe::EndpointConfig| config.turn_servers = vec![sim::address(9)];
    Host::with(1, &[], turn).endpoint
}

/// One of the kinds of datagrams that an endpoint gets to see.
fn datagram(kind: u8, session: &Session, number: u64) -> (FiveTuple, Vec<u8>) {
    let (own, transaction) = (&session.credentials, 1000 + number);
    let turn = FiveTuple::udp(session.path.local, sim::address(9));
    let stranger = Parameters::new("stranger", "0123456789012345678901").expect("a good one");
    match kind {
        0..=5 => (session.path, crafted::request(own, "peer", transaction)),
        6 => (
            session.path,
            crafted::forged_request(own, "peer", transaction),
        ),
        7 => (turn, crafted::request(&stranger, "peer", transaction)),
        8 => (
            session.path,
            crafted::request(&stranger, "peer", transaction),
        ),
        9 => (turn, vec![64, 0, 0, 4, 1, 2, 3, 4]),
        10 => (session.path, crafted::indication()),
        11 => (session.path, vec![0x80, 0, 0, number as u8]),
        12 => (session.path, vec![17; 30]),
        13 => (turn, vec![0x80, 0, 0, 0]),
        14 => (session.path, vec![7; 7]),
        15 => (turn, crafted::response(own)),
        _ => (session.path, vec![22; 40]),
    }
}

/// The same datagrams, one by one and in batches of these sizes.
fn compare(size: u32, kinds: &[(u8, usize)], sizes: &[usize]) -> Result<(), TestCaseError> {
    let now = sim::Clock::epoch();
    let (mut one, mut many) = (server(), server());
    let sessions = fleet(&mut one, now, size);
    fleet(&mut many, now, size);
    let numbered = kinds.iter().zip(0..);
    let mut datagrams: Vec<_> = numbered
        .map(|((kind, at), number)| datagram(*kind, &sessions[*at], number))
        .collect();

    let mut expected = Vec::new();
    for (path, mut bytes) in datagrams.clone() {
        let length = bytes.len();
        let outcome = one.handle_datagram(now, path, &mut bytes);
        let callers = matches!(
            outcome,
            Outcome::FromTurnServer
                | Outcome::Routed {
                    received: Received::Media(_) | Received::Zrtp | Received::Quic,
                    ..
                }
        );
        let heard = format!("{outcome:?}");
        expected.push((path, heard, if callers { length } else { 0 }));
    }
    let (mut heard, mut rest, mut sent) =
        (Vec::new(), &mut datagrams[..], BTreeMap::<_, Vec<_>>::new());
    let (mut buf, mut transmits) = (vec![0; 9000], Vec::with_capacity(7));
    for most in sizes.iter().cycle() {
        let (batch, behind) = rest.split_at_mut(rest.len().min(*most));
        let batch = batch
            .iter_mut()
            .map(|(path, bytes)| (*path, &mut bytes[..]));
        many.handle_datagrams(now, batch, |path, outcome, payload| {
            heard.push((path, format!("{outcome:?}"), payload.len()));
        });
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    prop_assert_eq!(heard, expected);
    while many.poll_transmits(&mut buf, &mut transmits) > 0 {
        for segments in &transmits {
            let datagrams = segments.datagrams().map(|range| buf[range].to_vec());
            sent.entry(segments.path).or_default().extend(datagrams);
        }
    }
    while many.poll_event().is_some() {}
    prop_assert_eq!(sent, drain(&mut one));
    prop_assert_eq!(many.stats(), one.stats());
    prop_assert_eq!(many.poll_timeout(), one.poll_timeout());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    // req: I50 I53
    #[test]
    fn any_partition_says_what_single_datagrams_say(
        kinds in prop::collection::vec((0u8..17, 0usize..6), 1..200),
        sizes in prop::collection::vec(1usize..50, 1..20),
    ) {
        compare(6, &kinds, &sizes)?;
    }
}

/// So many that memory is fetched ahead.
// req: I50 I53
#[test]
fn batches_for_a_thousand_sessions_say_what_single_datagrams_say() {
    let kinds: Vec<_> = (0..3000)
        .map(|number| ((number % 17) as u8, number * 7919 % 1000))
        .collect();
    compare(1000, &kinds, &[33, 1, 16, 100]).unwrap();
}

// req: T51
#[test]
fn payloads_are_handed_out_with_their_outcomes() {
    let (mut pair, (a, b)) = support::connected(121, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    let path = FiveTuple::udp(sim::address(2), sim::address(1));
    let mut seal = |text: &[u8]| {
        let mut out = [0; 1500];
        let sealed = pair
            .a
            .with_transport(now, a, |t| t.seal(now, text, &mut out));
        out[..sealed.unwrap().len].to_vec()
    };
    let mut datagrams = [
        seal(b"one"),
        vec![0x80, 0, 1, 2],
        [seal(b"two"), seal(b"three")].concat(),
        seal(b"four")[1..].to_vec(),
    ];
    let mut heard = Vec::new();
    let batch = datagrams.iter_mut().map(|bytes| (path, &mut bytes[..]));
    pair.b
        .endpoint
        .handle_datagrams(now, batch, |_, outcome, payload| match outcome {
            Outcome::Routed {
                transport,
                received,
            } => {
                assert_eq!(transport, b);
                if let Received::Data { range, rest } = &received {
                    assert!(*range == (0..payload.len()) && rest.is_empty());
                }
                let is_data = matches!(received, Received::Data { .. });
                let is_media = received == Received::Media(MediaKind::Rtp);
                heard.push((is_data, is_media, payload.to_vec()));
            }
            outcome => assert!(
                matches!(outcome, Outcome::Dropped(DropReason::UnknownProtocol))
                    && payload.is_empty(),
                "{outcome:?}"
            ),
        });
    let data = |text: &[u8]| (true, false, text.to_vec());
    let all = [
        data(b"one"),
        (false, true, vec![0x80, 0, 1, 2]),
        data(b"two"),
        data(b"three"),
    ];
    assert_eq!(heard[..4], all, "{heard:?}");
}

/// `number` answers of the same size wait in each of these sessions.
fn ask(endpoint: &mut Endpoint, now: Instant, sessions: &[Session], number: u64) {
    for Session {
        credentials, path, ..
    } in sessions
    {
        for transaction in 1000..1000 + number {
            let mut request = crafted::request(credentials, "peer", transaction);
            let _ = endpoint.handle_datagram(now, *path, &mut request);
        }
    }
}

// req: I50
#[test]
fn equal_datagrams_on_one_path_go_together() {
    let (mut endpoint, now) = (server(), sim::Clock::epoch());
    let sessions = fleet(&mut endpoint, now, 3);
    ask(&mut endpoint, now, &sessions, 4);
    let (mut buf, mut transmits) = (vec![0; 65_536], Vec::with_capacity(8));
    let bytes = endpoint.poll_transmits(&mut buf, &mut transmits);
    let paths: Vec<_> = transmits.iter().map(|segments| segments.path).collect();
    assert_eq!(
        paths,
        sessions
            .iter()
            .map(|session| session.path)
            .collect::<Vec<_>>()
    );
    let mut start = 0;
    for Segments {
        range,
        segment_size,
        ..
    } in &transmits
    {
        assert_eq!(segment_size.map(|size| 4 * size), Some(range.len()));
        assert_eq!(range.start, start, "side by side");
        start = range.end;
    }
    assert_eq!(bytes, start);
    assert_eq!(endpoint.poll_transmits(&mut buf, &mut transmits), 0);
    assert!(transmits.is_empty());

    // No more than fits, in bytes and in transmits.
    ask(&mut endpoint, now, &sessions[..1], 3);
    ask(&mut endpoint, now, &sessions[1..], 1);
    let (mut lens, mtu) = (
        Vec::new(),
        support::transport_config(&support::identity(1)).mtu(),
    );
    while endpoint.poll_transmits(&mut buf[..mtu + 20], &mut transmits) > 0 {
        lens.push(
            transmits
                .iter()
                .map(|segments| segments.datagrams().count())
                .sum::<usize>(),
        );
    }
    assert_eq!(lens.iter().sum::<usize>(), 5);
    assert!(lens.iter().all(|datagrams| *datagrams == 1), "{lens:?}");
    ask(&mut endpoint, now, &sessions, 1);
    let mut two = Vec::with_capacity(2);
    let capacity = two.capacity();
    while endpoint.poll_transmits(&mut buf, &mut two) > 0 {
        assert!(two.len() <= capacity && two.capacity() == capacity);
    }
}

/// A flood on one session of a thousand: how many datagrams go before each of the others has had its turn.
fn sent_before_all_were_served(next: impl Fn(&mut Endpoint, &mut Vec<FiveTuple>)) -> usize {
    let (mut endpoint, now) = (server(), sim::Clock::epoch());
    let sessions = fleet(&mut endpoint, now, 1001);
    // The hot one is first and has more than anybody.
    ask(&mut endpoint, now, &sessions[..1], 100);
    ask(&mut endpoint, now, &sessions[1..], 1);
    let (mut sent, mut served) = (Vec::new(), 0);
    while served < 1000 {
        let before = sent.len();
        next(&mut endpoint, &mut sent);
        assert!(sent.len() > before, "everybody is answered");
        served = sent
            .iter()
            .filter(|path| **path != sessions[0].path)
            .count();
    }
    sent.len()
}

#[test]
fn one_hot_session_holds_nobody_up() {
    let singly = sent_before_all_were_served(|endpoint, sent| {
        let mut buf = [0; 1500];
        sent.extend(
            endpoint
                .poll_transmit(&mut buf)
                .map(|transmit| transmit.path),
        );
    });
    assert!(singly <= 1002, "{singly}");
    let in_batches = sent_before_all_were_served(|endpoint, sent| {
        let (mut buf, mut transmits) = (vec![0; 65_536], Vec::with_capacity(64));
        endpoint.poll_transmits(&mut buf, &mut transmits);
        for segments in &transmits {
            sent.extend(segments.datagrams().map(|_| segments.path));
        }
    });
    assert!(in_batches <= 1000 + 65, "{in_batches}");
    // Neither does it where a call has room for one datagram, of bytes or of transmits.
    let mtu = support::transport_config(&support::identity(1)).mtu();
    for (bytes, capacity) in [(mtu, 64), (65_536, 1), (mtu + 200, 2)] {
        let one_by_one = sent_before_all_were_served(|endpoint, sent| {
            let (mut buf, mut transmits) = (vec![0; bytes], Vec::with_capacity(capacity));
            endpoint.poll_transmits(&mut buf, &mut transmits);
            for segments in &transmits {
                sent.extend(segments.datagrams().map(|_| segments.path));
            }
        });
        assert!(one_by_one <= 1010, "{bytes}, {capacity}: {one_by_one}");
    }
}

// req: I50 I53
#[test]
fn batches_allocate_nothing() {
    let (mut endpoint, now) = (server(), sim::Clock::epoch());
    let sessions = fleet(&mut endpoint, now, 1000);
    let round = |round: u64| {
        let numbered = sessions.iter().zip(0..);
        let datagrams = numbered.map(|(session, number)| {
            datagram((number % 16) as u8, session, round * 10_000 + number)
        });
        datagrams.collect::<Vec<_>>()
    };
    let (mut buf, mut transmits) = (vec![0; 65_536], Vec::with_capacity(64));
    let mut answers = 0;
    for number in 0..4 {
        let mut datagrams = round(number);
        let info = allocation_counter::measure(|| {
            let batch = datagrams
                .iter_mut()
                .map(|(path, bytes)| (*path, &mut bytes[..]));
            endpoint.handle_datagrams(now, batch, |_, _, _| {});
            while endpoint.poll_transmits(&mut buf, &mut transmits) > 0 {
                answers += transmits.len();
            }
            while endpoint.poll_event().is_some() {}
            let _ = endpoint.poll_timeout();
        });
        assert!(number == 0 || info.count_total == 0, "{number}: {info:?}");
    }
    assert!(answers > 1000, "{answers}");
}
