//! One DTLS association over a UDP socket: a client that says something, or a server that echoes what it hears.
//!
//! ```text
//! cargo run --example dtls_echo -- --server 127.0.0.1:5684 --accept-any
//! cargo run --example dtls_echo -- --client 127.0.0.1:5684 --accept-any --send hello
//! ```
//!
//! The whole caller's side of a sans-IO machine stands in `run`: drain, wait, feed.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use floe_dtls::{
    CertificateFingerprint, Config, Connection, CookieGate, Event, FingerprintSet, HashAlgorithm,
    Identity, PartialHello, Received, RemoteIdentity, Setup, Side, State, Verdict,
};

const HELP: &str = "\
One DTLS association over UDP: a client that says something, or a server that echoes what it hears.

Usage: dtls_echo (--server ADDR | --client ADDR) (--fingerprint FINGERPRINT | --accept-any) [OPTIONS]

  --server ADDR          listen on ADDR, take the first peer that writes
  --client ADDR          connect to ADDR
  --fingerprint TEXT     the peer's certificate, as an a=fingerprint line gives it: \"sha-256 AA:BB:..\"; may be repeated
  --accept-any           any certificate will do
  --cookies              server: take only who answers with our cookie; else every address is believed
  --cert FILE            our certificate, PEM or DER (with --key); else one is generated
  --key FILE             its private key, PEM or DER
  --mtu N                the largest datagram, in bytes (256 to 16384, default 1200)
  --send TEXT            client: what to say once connected, and to wait for the echo of
  --export-srtp          print the SRTP profile and its keying material
  --timeout SECONDS      give up after this long (default 10)
  --help                 this text

Prints a line for each thing that happens:

  listening ADDR                   server: where
  fingerprint FINGERPRINT          our certificate's
  connected VERSION SUITE GROUP    the handshake is complete and the peer verified
  srtp PROFILE                     with --export-srtp, \"none\" if none was negotiated
  keying-material HEX              with --export-srtp
  received TEXT                    application data
  closed REASON | failed ERROR     the end

Ends with 0 only if the handshake was completed, the echo (if any) came back, and the end was a close_notify.";

type Failure = Box<dyn Error>;

/// What the command line says.
struct Options {
    side: Side,
    address: SocketAddr,
    remote: RemoteIdentity,
    identity: Identity,
    mtu: usize,
    send: Option<String>,
    export_srtp: bool,
    cookies: bool,
    timeout: Duration,
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{HELP}");
        return;
    }
    if let Err(failure) = Options::parse(&arguments).and_then(|options| run(&options)) {
        eprintln!("dtls_echo: {failure}");
        std::process::exit(1);
    }
}

/// The socket and the machine.
struct Session {
    socket: UdpSocket,
    peer: SocketAddr,
    dtls: Connection,
    was_connected: bool,
    export_srtp: bool,
    buffer: Vec<u8>,
}

fn run(options: &Options) -> Result<(), Failure> {
    let deadline = now() + options.timeout;
    let mut session = Session::open(options, deadline)?;
    let mut greeting = options.send.as_ref().map(|text| format!("{text}\n"));
    let mut echo_due = greeting.clone();
    while !session.is_over() {
        session.flush()?;
        if session.dtls.state() == State::Connected && options.side == Side::Client {
            match (greeting.take(), &echo_due) {
                (Some(text), _) => session.say(text.as_bytes())?,
                (None, None) => {
                    session.dtls.close(now());
                    continue;
                }
                (None, Some(_)) => {}
            }
        }
        if now() >= deadline {
            return Err("timed out".into());
        }
        for text in session.receive(deadline)? {
            println!("received {}", String::from_utf8_lossy(&text).trim_end());
            match options.side {
                Side::Server => session.say(&text)?,
                Side::Client => {
                    drop(echo_due.take_if(|due| due.trim_end().as_bytes() == text.trim_ascii_end()))
                }
            }
        }
    }
    session.flush()?;
    match (session.dtls.error(), session.was_connected, echo_due) {
        (Some(error), _, _) => Err(error.to_string().into()),
        (None, true, None) => Ok(()),
        (None, true, Some(_)) => Err("closed before the echo came back".into()),
        (None, false, _) => Err("closed before the handshake was complete".into()),
    }
}

impl Session {
    fn open(options: &Options, deadline: Instant) -> Result<Self, Failure> {
        let mut config = Config::new(Arc::new(options.identity.clone()));
        config.mtu = options.mtu;
        println!(
            "fingerprint {}",
            options.identity.fingerprint(HashAlgorithm::Sha256)
        );
        match options.side {
            Side::Server => Self::listen(options, Arc::new(config), deadline),
            Side::Client => Self::connect(options, Arc::new(config)),
        }
    }

    fn connect(options: &Options, config: Arc<Config>) -> Result<Self, Failure> {
        let any: SocketAddr = if options.address.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0u16; 8], 0).into()
        };
        let socket = UdpSocket::bind(any)?;
        let mut dtls = Connection::new(config, Setup::Active, options.remote.clone())?;
        dtls.start(now());
        Ok(Self::new(options, socket, options.address, dtls))
    }

    /// Waits for a client; with cookies, for one that has shown that it is where it says it is.
    fn listen(options: &Options, config: Arc<Config>, deadline: Instant) -> Result<Self, Failure> {
        let socket = UdpSocket::bind(options.address)?;
        println!("listening {}", socket.local_addr()?);
        let gate = match options.cookies {
            true => Some(CookieGate::new(now(), config.clone())?),
            false => None,
        };
        let (mut buffer, mut answer) = (vec![0; 65_536], [0; CookieGate::MAX_ANSWER]);
        let mut partial = Partial::default();
        loop {
            wait(&socket, deadline)?;
            let Some((len, peer)) = arrival(socket.recv_from(&mut buffer))? else {
                return Err("timed out".into());
            };
            let now = now();
            let dtls = match &gate {
                Some(gate) => match partial.judge(gate, now, peer, &buffer[..len], &mut answer) {
                    Verdict::Proven(proof) => gate.accept(now, proof, options.remote.clone())?,
                    Verdict::Answer(len) => {
                        socket.send_to(&answer[..len], peer)?;
                        continue;
                    }
                    _ => continue,
                },
                None => believing(config, options, now)?,
            };
            let mut session = Self::new(options, socket, peer, dtls);
            session.buffer = buffer;
            session.feed(len, &mut Vec::new());
            return Ok(session);
        }
    }

    fn new(options: &Options, socket: UdpSocket, peer: SocketAddr, dtls: Connection) -> Self {
        Self {
            socket,
            peer,
            dtls,
            was_connected: false,
            export_srtp: options.export_srtp,
            buffer: vec![0; 65_536],
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.dtls.state(), State::Closed | State::Failed)
    }

    /// Sends and prints what the machine has ready.
    fn flush(&mut self) -> Result<(), Failure> {
        while let Some(len) = self.dtls.poll_transmit(&mut self.buffer) {
            self.send(len)?;
        }
        self.print_events()
    }

    fn send(&self, len: usize) -> Result<(), Failure> {
        self.socket.send_to(&self.buffer[..len], self.peer)?;
        Ok(())
    }

    fn say(&mut self, data: &[u8]) -> Result<(), Failure> {
        let len = self.dtls.seal(now(), data, &mut self.buffer)?;
        self.send(len)
    }

    /// Waits for one datagram until the machine wants to be woken, and gives the application data in it.
    fn receive(&mut self, deadline: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        let wake = self
            .dtls
            .poll_timeout()
            .map_or(deadline, |at| at.min(deadline));
        wait(&self.socket, wake)?;
        let mut texts = Vec::new();
        match arrival(self.socket.recv_from(&mut self.buffer))? {
            Some((len, from)) if from == self.peer => self.feed(len, &mut texts),
            _ => {}
        }
        self.dtls.handle_timeout(now());
        Ok(texts)
    }

    fn feed(&mut self, len: usize, texts: &mut Vec<Vec<u8>>) {
        let mut unread = 0..len;
        while !unread.is_empty() {
            let start = unread.start;
            let Received::Data { range, rest } =
                self.dtls.handle_datagram(now(), &mut self.buffer[unread])
            else {
                return;
            };
            texts.push(self.buffer[start + range.start..start + range.end].to_vec());
            unread = start + rest.start..start + rest.end;
        }
    }

    fn print_events(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.dtls.poll_event() {
            let Event::StateChange(transition) = event else {
                continue;
            };
            match transition.to {
                State::New | State::Connecting => {}
                State::Connected => {
                    self.was_connected = true;
                    self.print_connected()?;
                }
                State::Closed => println!("closed {}", transition.reason),
                State::Failed => println!(
                    "failed {}",
                    self.dtls
                        .error()
                        .map_or_else(String::new, ToString::to_string)
                ),
            }
        }
        Ok(())
    }

    fn print_connected(&self) -> Result<(), Failure> {
        let (Some(version), Some(suite), Some(group)) = (
            self.dtls.version(),
            self.dtls.cipher_suite(),
            self.dtls.group(),
        ) else {
            return Err("connected without having negotiated".into());
        };
        println!("connected {version} {suite} {group}");
        match self.dtls.srtp_profile() {
            Some(profile) if self.export_srtp => {
                let mut material = vec![0; 2 * (profile.key_len() + profile.salt_len())];
                self.dtls
                    .export_keying_material("EXTRACTOR-dtls_srtp", None, &mut material)?;
                println!("srtp {profile}\nkeying-material {}", hex(&material));
            }
            None if self.export_srtp => println!("srtp none"),
            _ => {}
        }
        Ok(())
    }
}

/// The ClientHellos in pieces, of as many clients as we are willing to keep something for.
#[derive(Default)]
struct Partial(HashMap<SocketAddr, PartialHello>);

impl Partial {
    const MOST: usize = 64;

    fn judge(
        &mut self,
        gate: &CookieGate,
        now: Instant,
        peer: SocketAddr,
        datagram: &[u8],
        answer: &mut [u8],
    ) -> Verdict {
        let client = peer.to_string();
        self.0.retain(|_, partial| now < partial.expires_at());
        if !self.0.contains_key(&peer) {
            match gate.handle_datagram(now, client.as_bytes(), datagram, answer) {
                Verdict::Fragment if self.0.len() < Self::MOST => {}
                verdict => return verdict,
            }
        }
        let partial = self.0.entry(peer).or_insert_with(|| PartialHello::new(now));
        let verdict = gate.collect(now, client.as_bytes(), partial, datagram, answer);
        if partial.is_empty() {
            self.0.remove(&peer);
        }
        verdict
    }
}

/// A server that takes its peer's address for what it says.
fn believing(config: Arc<Config>, options: &Options, now: Instant) -> Result<Connection, Failure> {
    let mut dtls = Connection::new(config, Setup::Passive, options.remote.clone())?;
    dtls.set_path_validated();
    dtls.start(now);
    Ok(dtls)
}

/// The socket's next call blocks until then.
fn wait(socket: &UdpSocket, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(now());
    socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))
}

/// What came, if anything did.
fn arrival<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    use io::ErrorKind::{ConnectionRefused, TimedOut, WouldBlock};
    match result {
        Ok(arrived) => Ok(Some(arrived)),
        // Refused: nobody listens there yet; the handshake's retransmissions will find out.
        Err(error) if matches!(error.kind(), WouldBlock | TimedOut | ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program has a clock; the machine is told what it shows"
)]
fn now() -> Instant {
    Instant::now()
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut ends = Vec::new();
        let mut fingerprints = Vec::new();
        let (mut accept_any, mut export_srtp, mut cookies) = (false, false, false);
        let (mut certificate, mut key, mut send) = (None, None, None);
        let (mut mtu, mut timeout) = (1200, 10.0);
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--server" => ends.push((Side::Server, value()?.parse()?)),
                "--client" => ends.push((Side::Client, value()?.parse()?)),
                "--fingerprint" => fingerprints.push(value()?.parse::<CertificateFingerprint>()?),
                "--accept-any" => accept_any = true,
                "--cookies" => cookies = true,
                "--cert" => certificate = Some(value()?.clone()),
                "--key" => key = Some(value()?.clone()),
                "--mtu" => mtu = value()?.parse()?,
                "--send" => send = Some(value()?.clone()),
                "--export-srtp" => export_srtp = true,
                "--timeout" => timeout = value()?.parse()?,
                _ => return Err(format!("unknown option {option}; --help lists them").into()),
            }
        }
        let [(side, address)] = ends[..] else {
            return Err("one of --server and --client is needed; --help lists all options".into());
        };
        let remote = match (accept_any, fingerprints.is_empty()) {
            (true, true) => RemoteIdentity::AcceptAny,
            (false, false) => RemoteIdentity::Fingerprints(FingerprintSet::new(fingerprints)?),
            _ => return Err("one of --fingerprint and --accept-any is needed".into()),
        };
        Ok(Self {
            side,
            address,
            remote,
            identity: load_identity(certificate.as_deref(), key.as_deref())?,
            mtu,
            send,
            export_srtp,
            cookies,
            timeout: Duration::try_from_secs_f64(timeout)?,
        })
    }
}

/// From files in PEM or DER, or a new one.
fn load_identity(certificate: Option<&str>, key: Option<&str>) -> Result<Identity, Failure> {
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(Identity::generate()?),
        (Some(certificate), Some(key)) => (read(certificate)?, read(key)?),
        _ => return Err("--cert and --key go together".into()),
    };
    let is_pem = |bytes: &[u8]| bytes.starts_with(b"-----");
    match (std::str::from_utf8(&certificate), std::str::from_utf8(&key)) {
        (Ok(certificate), Ok(key)) if is_pem(key.as_bytes()) => {
            Ok(Identity::from_pem(certificate, key)?)
        }
        _ => Ok(Identity::from_der(&certificate, &key)?),
    }
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| format!("{path}: {error}").into())
}
