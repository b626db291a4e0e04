//! One connection under the runner's clock: time stands still unless the runner moves it.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_dtls::{
    AlertDescription, ClientAuth, Config, Connection, CryptoBackend, Error, Event, Identity,
    KeyUpdateRequest, PlaintextAcks, PlaintextAlerts, ProtocolVersion, Received, RemoteIdentity,
    Setup, Side, State,
};

use crate::flags::{Export, Flags, Verify};
use crate::verdict::tokens;
use crate::wire::{self, Opcode};

/// Beyond what any test waits for.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How often a flight is sent again.
const TRIES: u32 = 12;

/// Where the runner sets no MTU: as long as an Ethernet frame's payload leaves in IPv6.
const MTU: usize = 1452;

/// A runner that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a test does not end well, which may be what it wants.
#[derive(Debug)]
pub(crate) enum Failure {
    Association(Error),
    Stream(io::Error),
    Timer {
        expected: Option<Duration>,
        actual: Option<Duration>,
    },
    EndedEarly,
    /// The runner's certificate, as it had told us to.
    Refused,
    Identity(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Association(error) => write!(f, "{} {error}", tokens(error)),
            Self::Stream(error) => write!(f, "the runner's stream: {error}"),
            Self::Timer { expected, actual } => {
                write!(f, "the next timer is {actual:?} away, not {expected:?}")
            }
            Self::EndedEarly => f.write_str("the runner ended before the handshake did"),
            Self::Refused => f.write_str(":CERTIFICATE_VERIFY_FAILED:"),
            Self::Identity(what) => write!(f, "our certificate: {what}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Association(error)
    }
}

/// Whether the test goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    Continue,
    Done,
}

struct Session<'a> {
    flags: &'a Flags,
    connection: Connection,
    stream: TcpStream,
    now: Instant,
    buf: Vec<u8>,
    mtu: usize,
    /// The connection has been connected, and what is said first has been said.
    greeted: bool,
}

/// Runs one test from the TCP connection to its end.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(flags.runner)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    wire::write_id(&mut stream, flags.shim_id)?;
    let result = exchange(flags, &stream);
    // What was written last must reach the runner before the connection goes.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = io::copy(&mut stream.by_ref(), &mut io::sink());
    result
}

#[expect(
    clippy::disallowed_methods,
    reason = "the runner's clock needs a beginning"
)]
fn beginning() -> Instant {
    Instant::now()
}

fn exchange(flags: &Flags, stream: &TcpStream) -> Result<(), Failure> {
    let setup = match flags.side {
        Side::Client => Setup::Active,
        Side::Server => Setup::Passive,
    };
    let config = config(flags)?;
    let connection =
        Connection::new(Arc::new(config), setup, remote(flags)).map_err(Error::ApiMisuse)?;
    let mut session = Session {
        flags,
        connection,
        stream: stream.try_clone()?,
        now: beginning(),
        buf: vec![0; *Config::MTUS.end()],
        mtu: flags.mtu.unwrap_or(MTU),
        greeted: false,
    };
    // The runner is no stranger's address: nothing limits what it is sent.
    session.connection.set_path_validated();
    session.connection.start(session.now);
    session.settle()?;
    let mut reader = BufReader::new(stream);
    while let Some(opcode) = wire::read(&mut reader)? {
        if session.on_opcode(opcode)? == Flow::Done {
            return Ok(());
        }
    }
    if session.greeted {
        Ok(())
    } else {
        Err(Failure::EndedEarly)
    }
}

fn config(flags: &Flags) -> Result<Config, Failure> {
    let mut config = Config::new(Arc::new(identity(flags)?));
    config.backend = CryptoBackend::AwsLcRs;
    // No version at all is what the configuration refuses.
    config.min_version = *flags.versions.first().unwrap_or(&ProtocolVersion::DTLS1_3);
    config.max_version = *flags.versions.last().unwrap_or(&ProtocolVersion::DTLS1_2);
    if !flags.groups.is_empty() {
        config.groups.clone_from(&flags.groups);
    }
    config.client_auth = match flags.verify {
        // Who decides on a certificate must have one.
        Verify::Refuse(_) => ClientAuth::Required,
        Verify::Accept => flags.client_auth,
    };
    config.srtp_profiles.clone_from(&flags.srtp_profiles);
    config.mtu = flags.mtu.unwrap_or(MTU);
    config.fallback_mtu = config.mtu;
    config.plaintext_alerts = PlaintextAlerts::Immediate;
    config.plaintext_acks = PlaintextAcks::Believed;
    if let Some(initial) = flags.initial_timeout {
        config.retransmission.initial = initial;
    }
    config.retransmission.tries = TRIES;
    config.retransmission.deadline = FOREVER;
    Ok(config)
}

/// The runner's credential, or one that nobody asks for.
fn identity(flags: &Flags) -> Result<Identity, Failure> {
    let failed = |error: &dyn fmt::Display| Failure::Identity(error.to_string());
    let (Some(certificate), Some(private_key)) = (&flags.certificate, &flags.private_key) else {
        return Identity::generate().map_err(|error| failed(&error));
    };
    let certificate = std::fs::read_to_string(certificate)?;
    let private_key = std::fs::read_to_string(private_key)?;
    Identity::from_pem(&certificate, &private_key).map_err(|error| failed(&error))
}

/// Accepts every certificate, or asks what to do with it.
fn remote(flags: &Flags) -> RemoteIdentity {
    match flags.verify {
        Verify::Refuse(_) => RemoteIdentity::Later,
        Verify::Accept => RemoteIdentity::AcceptAny,
    }
}

impl Session<'_> {
    fn on_opcode(&mut self, opcode: Opcode) -> Result<Flow, Failure> {
        match opcode {
            Opcode::Datagram(datagram) => return self.on_datagram(datagram),
            Opcode::Advance(time) => {
                wire::write_time_taken(&mut self.stream)?;
                self.now += time;
                self.connection.handle_timeout(self.now);
            }
            Opcode::Mtu(mtu) => {
                self.mtu = mtu;
                self.set_mtu(mtu)?;
            }
            Opcode::ExpectTimer(expected) => self.expect_timer(expected)?,
            // The first time-out is twice the round-trip time.
            Opcode::InitialTimeout(timeout) => self.connection.set_rtt_hint(timeout / 2),
        }
        self.settle()
    }

    fn set_mtu(&mut self, mtu: usize) -> Result<(), Failure> {
        Ok(self.connection.set_mtu(mtu).map_err(Error::ApiMisuse)?)
    }

    fn expect_timer(&self, expected: Option<Duration>) -> Result<(), Failure> {
        let actual = self
            .connection
            .poll_timeout()
            .map(|at| at.saturating_duration_since(self.now))
            .filter(|left| *left < FOREVER / 2);
        let micros = |left: Option<Duration>| left.map(|left| left.as_micros());
        if micros(actual) == micros(expected) {
            Ok(())
        } else {
            Err(Failure::Timer { expected, actual })
        }
    }

    fn on_datagram(&mut self, mut datagram: Vec<u8>) -> Result<Flow, Failure> {
        if !self.greeted {
            // Whatever our key has to do, it does while this datagram is looked at.
            self.now += self.flags.private_key_delay;
        }
        let mut start = 0;
        loop {
            let rest = datagram.get_mut(start..).unwrap_or_default();
            let received = self.connection.handle_datagram(self.now, rest);
            if self.settle()? == Flow::Done {
                return Ok(Flow::Done);
            }
            let Received::Data { range, rest: next } = received else {
                return Ok(Flow::Continue);
            };
            let mut answer = rest[range].to_vec();
            for byte in &mut answer {
                *byte ^= 0xff;
            }
            self.write(&answer)?;
            self.before_read()?;
            start += next.start;
            if next.is_empty() {
                return Ok(Flow::Continue);
            }
        }
    }

    /// Sends what there is to send and looks at what has become of the connection.
    fn settle(&mut self) -> Result<Flow, Failure> {
        while let Some(event) = self.connection.poll_event() {
            if let (Event::NeedFingerprints, Verify::Refuse(alert)) = (event, self.flags.verify) {
                self.connection.abort(self.now, alert);
                self.flush()?;
                return Err(Failure::Refused);
            }
        }
        // A peer that has closed gets no answer unless the test looks for one.
        let silent = self.connection.state() == State::Closed && !self.flags.checks_close_notify;
        if !silent {
            self.flush()?;
        }
        match self.connection.state() {
            State::Failed => {
                let error = self.connection.error();
                Err(error.map_or(Failure::EndedEarly, |error| Failure::Association(*error)))
            }
            State::Closed if self.greeted => Ok(Flow::Done),
            State::Closed => Err(Failure::EndedEarly),
            State::Connected if !self.greeted => self.greet(),
            State::New | State::Connecting | State::Connected => Ok(Flow::Continue),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        while let Some(len) = self.connection.poll_transmit(&mut self.buf) {
            wire::write_datagram(&mut self.stream, &self.buf[..len])?;
        }
        Ok(())
    }

    /// Says what is to be said first.
    fn greet(&mut self) -> Result<Flow, Failure> {
        self.greeted = true;
        if let Some(export) = &self.flags.export {
            let material = self.export(export)?;
            self.write(&material)?;
        }
        if self.flags.sends_alert {
            self.connection.abort(self.now, AlertDescription(30));
            self.flush()?;
            return Ok(Flow::Done);
        }
        if self.flags.writes_first {
            self.write(b"hello")?;
        }
        if self.flags.shuts_down {
            if self.flags.checks_close_notify {
                self.connection.close(self.now);
                self.flush()?;
            }
            return Ok(Flow::Done);
        }
        self.before_read()?;
        Ok(Flow::Continue)
    }

    fn export(&self, export: &Export) -> Result<Vec<u8>, Failure> {
        let mut material = vec![0; export.len];
        let context = export.with_context.then_some(export.context.as_bytes());
        self.connection
            .export_keying_material(&export.label, context, &mut material)
            .map_err(Error::ApiMisuse)?;
        Ok(material)
    }

    fn before_read(&mut self) -> Result<(), Failure> {
        if self.flags.updates_keys_before_read {
            let request = KeyUpdateRequest::NotRequested;
            self.connection.update_keys(self.now, request)?;
            self.flush()?;
        }
        Ok(())
    }

    /// One record of application data, whatever the MTU is: the runner means that of handshakes.
    fn write(&mut self, plaintext: &[u8]) -> Result<(), Failure> {
        self.set_mtu(*Config::MTUS.end())?;
        let len = self.connection.seal(self.now, plaintext, &mut self.buf)?;
        self.set_mtu(self.mtu)?;
        wire::write_datagram(&mut self.stream, &self.buf[..len])?;
        Ok(())
    }
}
