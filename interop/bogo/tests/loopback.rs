//! The shim as the runner starts it, with a floe connection for a runner: over TCP on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_dtls::{
    AlertDescription, ClientAuth, Config, Connection, Error, Identity, Received, RemoteIdentity,
    Setup, State,
};

const SHIM: &str = env!("CARGO_BIN_EXE_floe-bogo-shim");
/// A certificate and its key.
const PEM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../dtls/tests/data/rsa2048.pem"
);

struct Runner {
    stream: TcpStream,
    peer: Connection,
    now: Instant,
}

/// Starts the shim as the other side of `setup` and hears its id.
fn start(setup: Setup, flags: &[&str]) -> (Runner, std::thread::JoinHandle<Output>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut command = Command::new(SHIM);
    command
        .args(["-port", &port, "-shim-id", "772", "-dtls"])
        .args(flags);
    if setup == Setup::Active {
        command.args(["-server", "-cert-file", PEM, "-key-file", PEM]);
    }
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let shim = std::thread::spawn(|| child.wait_with_output().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut id = [0; 8];
    stream.read_exact(&mut id).unwrap();
    assert_eq!(u64::from_le_bytes(id), 772);
    let mut config = Config::new(Arc::new(Identity::generate().unwrap()));
    config.client_auth = ClientAuth::None;
    let mut peer = Connection::new(Arc::new(config), setup, RemoteIdentity::AcceptAny).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the clock needs a beginning")]
    let now = Instant::now();
    peer.set_path_validated();
    peer.start(now);
    (Runner { stream, peer, now }, shim)
}

impl Runner {
    fn send(&mut self, datagram: &[u8]) {
        let mut framed = vec![b'P'];
        framed.extend_from_slice(&(datagram.len() as u32).to_be_bytes());
        framed.extend_from_slice(datagram);
        self.stream.write_all(&framed).unwrap();
    }

    fn flush(&mut self) {
        let mut buf = [0; 2048];
        while let Some(len) = self.peer.poll_transmit(&mut buf) {
            self.send(&buf[..len]);
        }
    }

    fn read(&mut self) -> Vec<u8> {
        self.try_read().expect("a datagram")
    }

    /// The next datagram, or `None` at the end of the stream.
    fn try_read(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).ok()?;
        assert_eq!(header[0], b'P');
        let len = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let mut datagram = vec![0; len as usize];
        self.stream.read_exact(&mut datagram).ok()?;
        Some(datagram)
    }

    /// Takes what comes until there is data.
    fn hear(&mut self) -> Vec<u8> {
        loop {
            let mut datagram = self.read();
            if let Received::Data { range, .. } = self.peer.handle_datagram(self.now, &mut datagram)
            {
                return datagram[range].to_vec();
            }
            self.flush();
        }
    }

    fn connect(&mut self) {
        self.flush();
        while self.peer.state() != State::Connected {
            let mut datagram = self.read();
            let _ = self.peer.handle_datagram(self.now, &mut datagram);
            self.flush();
        }
    }

    fn say(&mut self, data: &[u8]) {
        let mut buf = [0; 2048];
        let len = self.peer.seal(self.now, data, &mut buf).unwrap();
        self.send(&buf[..len]);
    }
}

fn assert_success(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{}: {said}",
        output.status
    );
}

// req: T63
#[test]
fn on_either_side_it_connects_and_answers_by_the_complement() {
    for setup in [Setup::Active, Setup::Passive] {
        for version in ["65277", "65276"] {
            let flags = ["-min-version", version, "-max-version", version];
            let (mut runner, shim) = start(setup, &flags);
            runner.connect();
            runner.say(&[0x00, 0x0f, 0xff]);
            assert_eq!(runner.hear(), [0xff, 0xf0, 0x00]);
            runner.stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert_success(&shim.join().unwrap());
        }
    }
}

#[test]
fn it_says_hello_first_if_told_to() {
    let (mut runner, shim) = start(Setup::Passive, &["-shim-writes-first"]);
    runner.connect();
    assert_eq!(runner.hear(), b"hello");
    drop(runner);
    assert_success(&shim.join().unwrap());
}

// req: T63
#[test]
fn time_passes_when_the_runner_says_so_and_the_flight_goes_out_again() {
    let (mut runner, shim) = start(Setup::Passive, &[]);
    let hello = runner.read();
    let millis = |millis: u64| (millis * 1_000_000).to_be_bytes();
    runner
        .stream
        .write_all(&[&b"E"[..], &millis(400)].concat())
        .unwrap();
    runner
        .stream
        .write_all(&[&b"T"[..], &millis(400)].concat())
        .unwrap();
    let mut taken = [0];
    runner.stream.read_exact(&mut taken).unwrap();
    assert_eq!(taken, *b"t");
    let again = runner.read();
    assert_eq!(hello.len(), again.len());
    runner
        .stream
        .write_all(&[&b"E"[..], &millis(799)].concat())
        .unwrap();
    let mut rest = Vec::new();
    runner.stream.read_to_end(&mut rest).unwrap();
    drop(runner);
    let output = shim.join().unwrap();
    assert_eq!(output.status.code(), Some(1), "800 ms are not 799");
}

// req: T63
#[test]
fn what_goes_wrong_has_the_runners_word() {
    let flags = ["-verify-fail", "-verify-peer", "-no-tls13"];
    let (mut runner, shim) = start(Setup::Passive, &flags);
    while let Some(mut datagram) = runner.try_read() {
        let _ = runner.peer.handle_datagram(runner.now, &mut datagram);
        runner.flush();
    }
    let told = Error::AlertReceived(AlertDescription::HANDSHAKE_FAILURE);
    let grace = runner.now + Duration::from_secs(10);
    runner.peer.handle_timeout(grace);
    assert_eq!(runner.peer.error(), Some(&told));
    drop(runner);
    let output = shim.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(":CERTIFICATE_VERIFY_FAILED:"));
}

#[test]
fn what_it_cannot_do_is_not_implemented() {
    let run = |arguments: &[&str]| Command::new(SHIM).args(arguments).output().unwrap();
    let probe = run(&["-is-handshaker-supported"]);
    assert_eq!(
        (probe.status.code(), &probe.stdout[..]),
        (Some(0), &b"No\n"[..])
    );
    assert_eq!(run(&["-dtls", "-psk", "00"]).status.code(), Some(89));
}
