use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_wildcard_socket_is_the_machine_and_loopback_only_where_it_helps() {
    let any = ip("0.0.0.0");
    let own = [
        ip("127.0.0.1"),
        ip("192.0.2.7"),
        ip("169.254.3.4"),
        ip("2001:db8::7"),
        ip("fe80::1"),
    ];
    assert_eq!(
        addresses(any, &own, Loopback::LastResort),
        [ip("192.0.2.7")]
    );
    assert_eq!(
        addresses(any, &own, Loopback::Announced),
        [ip("192.0.2.7"), ip("127.0.0.1")]
    );
    assert_eq!(
        addresses(any, &own[..1], Loopback::LastResort),
        [ip("127.0.0.1")]
    );
    assert_eq!(
        addresses(ip("::"), &own, Loopback::LastResort),
        [ip("2001:db8::7")]
    );
    assert_eq!(
        addresses(ip("192.0.2.9"), &own, Loopback::Announced),
        [ip("192.0.2.9")]
    );
}

#[test]
fn announced_addresses_stand_for_the_machine_s() {
    let bound: SocketAddr = "0.0.0.0:9".parse().unwrap();
    let own = [ip("127.0.0.1"), ip("192.0.2.7")];
    let announced = [ip("203.0.113.1"), ip("2001:db8::1")];
    let told = |candidates: Vec<Candidate>| -> Vec<_> {
        candidates
            .iter()
            .map(|candidate| (candidate.address(), candidate.base()))
            .collect()
    };
    let (outside, inside): (SocketAddr, SocketAddr) = (
        "203.0.113.1:9".parse().unwrap(),
        "192.0.2.7:9".parse().unwrap(),
    );
    let loopback: SocketAddr = "127.0.0.1:9".parse().unwrap();
    assert_eq!(
        told(candidates(bound, &announced, &own, Loopback::LastResort)),
        [(Some(outside), Some(inside))]
    );
    assert_eq!(
        told(candidates(bound, &announced, &own, Loopback::Announced)),
        [
            (Some(outside), Some(inside)),
            (Some(loopback), Some(loopback))
        ]
    );
    assert_eq!(
        told(candidates(
            bound,
            &announced[1..],
            &own,
            Loopback::LastResort
        )),
        [(Some(inside), Some(inside))]
    );
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_address() {
    let first = Sockets::bind(std::iter::once("127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap();
    let taken = first.bound().next().unwrap();
    let (address, error) = Sockets::bind(std::iter::once(taken)).await.unwrap_err();
    assert_eq!((address, error.kind()), (taken, io::ErrorKind::AddrInUse));
}

/// Sends what it is told to, and echoes nothing.
struct Burst {
    waiting: Vec<(FiveTuple, usize)>,
    received: mpsc::UnboundedSender<Vec<u8>>,
    is_done: bool,
}

enum Order {
    Send(Vec<(FiveTuple, usize)>),
    Stop,
}

impl Machine for Burst {
    type Command = Order;

    fn handle_datagram(&mut self, _: Instant, _: FiveTuple, datagram: &mut [u8]) {
        self.received.send(datagram.to_vec()).unwrap();
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn handle_command(&mut self, _: Instant, order: Order) {
        match order {
            Order::Send(all) => self.waiting.extend(all.into_iter().rev()),
            Order::Stop => self.is_done = true,
        }
    }
    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        let (path, len) = self.waiting.pop()?;
        assert!(buf.len() >= DATAGRAM);
        buf[..len].fill(self.waiting.len() as u8);
        Some(Transmit { path, len })
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn is_finished(&self) -> bool {
        self.is_done
    }
}

#[tokio::test]
async fn runs_of_equal_length_share_system_calls_and_arrive_whole() {
    let sockets = Sockets::bind(std::iter::once("127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap();
    let own = sockets.bound().next().unwrap();
    let path = FiveTuple {
        protocol: Protocol::Udp,
        local: own,
        remote: own,
    };
    let (received, mut arrivals) = mpsc::unbounded_channel();
    let (orders, receiver) = mpsc::channel(4);
    let machine = Burst {
        waiting: Vec::new(),
        received,
        is_done: false,
    };
    let running = tokio::spawn(run(machine, sockets, receiver));

    let lengths: Vec<usize> = [
        vec![1000; 20],
        vec![300],
        vec![1000; 2],
        vec![1200],
        vec![50; 3],
    ]
    .concat();
    orders
        .send(Order::Send(
            lengths.iter().map(|len| (path, *len)).collect(),
        ))
        .await
        .unwrap();
    let mut got = Vec::new();
    for n in (0..lengths.len()).rev() {
        let datagram = arrivals.recv().await.unwrap();
        assert!(
            datagram.iter().all(|byte| usize::from(*byte) == n),
            "datagrams keep their bounds and order"
        );
        got.push(datagram.len());
    }
    assert_eq!(got, lengths);
    orders.send(Order::Stop).await.unwrap();
    let traffic = running.await.unwrap();
    assert_eq!(
        (traffic.sent, traffic.received, traffic.unsent),
        (27, 27, 0)
    );
    assert!(traffic.send_calls < 27, "{traffic:?}");
}
