//! DTLS implementations behind the same few verbs, and what is measured of each: a mutual handshake on P-256 certificates,
//! application records of AES-128-GCM, a handshake where datagrams get lost, and the memory of what is connected.
//!
//! An adapter does what the documentation of its implementation says that a caller does, and no more.

mod course;
#[cfg(feature = "peers")]
mod dimpl;
mod floe;
mod floor;
#[cfg(feature = "peers")]
mod openssl;
mod records;
#[cfg(feature = "peers")]
mod rtc;

use std::time::Instant;

use allocation_counter::measure;
use floe_dtls::{ProtocolVersion, Side};

#[cfg(feature = "peers")]
pub use self::dimpl::Dimpl;
pub use self::floe::Floe;
#[cfg(feature = "peers")]
pub use self::openssl::OpenSsl;
pub use self::records::{Meter, Part, RECORDS, Records, Turn, floor as record_floor};
#[cfg(feature = "peers")]
pub use self::rtc::Rtc;

use crate::call::epoch;
use crate::machine::resident;

/// The longest datagram, in bytes.
const MTU: usize = 1500;

/// DTLS 1.2.
pub const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;

/// DTLS 1.3.
pub const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// A P-256 certificate with its key, in PEM, for those that cannot make one.
#[cfg(feature = "peers")]
const PEM: &str = include_str!("../../dtls/tests/data/p256-sec1.pem");

/// How far an end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not there yet.
    Connecting,
    /// Data can be exchanged.
    Connected,
    /// Given up.
    Failed,
}

/// One end of an association.
trait End {
    /// A datagram of the handshake arrived. [`transmit`](Self::transmit) is called until it has nothing more.
    fn receive(&mut self, now: Instant, datagram: &mut [u8]);

    /// Writes the next datagram into a buffer of [`MTU`] bytes.
    fn transmit(&mut self, buf: &mut [u8]) -> Option<usize>;

    /// Application data as a datagram in a buffer of [`MTU`] bytes; gives its length.
    fn seal(&mut self, now: Instant, data: &[u8], out: &mut [u8]) -> usize;

    /// A datagram of application data arrived; gives how many bytes of data. The buffer, of [`MTU`] bytes, is for those that
    /// need one.
    fn open(&mut self, now: Instant, datagram: &mut [u8], buf: &mut [u8]) -> usize;

    /// When it wants to be woken.
    fn deadline(&self) -> Option<Instant>;

    /// Time has passed.
    fn wake(&mut self, now: Instant);

    /// How far it has come.
    fn progress(&self) -> Progress;
}

/// An implementation with its configuration.
trait Stack {
    type End: End;

    /// Its name, version and what else it was told.
    fn name(&self) -> String;

    /// A new end that has started.
    fn end(&self, now: Instant, side: Side) -> Self::End;
}

/// What is measured of an implementation.
pub trait Implementation {
    /// Its name, version and what else it was told.
    fn name(&self) -> String;

    /// A whole handshake, both sides.
    fn handshake(&self);

    /// What a handshake takes besides time.
    fn cost(&self) -> Cost;

    /// A connected pair that exchanges records of so many bytes of data.
    fn records(&self, size: usize) -> Box<dyn Records>;

    /// In how many milliseconds both are connected over 50 ms one way, where a datagram gets lost with this probability.
    /// `None` if one fails.
    fn course(&self, loss: f64, seed: u64) -> Option<u64>;

    /// What one of so many connected pairs takes in memory.
    fn memory(&self, pairs: usize) -> Memory;
}

/// What a handshake takes besides time.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Heap allocations of the client and of the server, as far as they are in Rust's heap.
    pub allocations: [u64; 2],
    /// How often the other side gets to speak until both are connected.
    pub flights: u32,
}

/// What a side of an established association takes in memory, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident memory of the process, divided.
    pub resident: f64,
    /// The machine itself and what it keeps in Rust's heap.
    pub counted: f64,
}

impl<S: Stack> Implementation for S
where
    S::End: 'static,
{
    fn name(&self) -> String {
        Stack::name(self)
    }

    fn handshake(&self) {
        connect(self, epoch());
    }

    fn cost(&self) -> Cost {
        // The first one also pays for what the process keeps.
        connect(self, epoch());
        cost(self, epoch())
    }

    fn records(&self, size: usize) -> Box<dyn Records> {
        Box::new(records::Pair::new(connect(self, epoch()), size))
    }

    fn course(&self, loss: f64, seed: u64) -> Option<u64> {
        course::course(self, loss, seed)
    }

    fn memory(&self, pairs: usize) -> Memory {
        let now = epoch();
        for _ in 0..8 {
            established(self, now);
        }
        let mut pair = None;
        let counted = measure(|| pair = Some(established(self, now))).bytes_current;
        let counted = counted as f64 / 2.0 + size_of::<S::End>() as f64;
        let before = resident();
        let pairs: Vec<_> = (0..pairs).map(|_| established(self, now)).collect();
        Memory {
            resident: (resident() - before) / (2 * pairs.len()) as f64,
            counted,
        }
    }
}

/// A pair that is connected and has exchanged a few records.
fn established<S: Stack>(stack: &S, now: Instant) -> [S::End; 2] {
    let mut ends = connect(stack, now);
    let [mut out, mut buf] = [[0; MTU]; 2];
    for from in [0, 1, 0, 1, 0, 1] {
        let len = ends[from].seal(now, b"some data", &mut out);
        let len = ends[1 - from].open(now, &mut out[..len], &mut buf);
        assert_eq!(len, 9);
    }
    ends
}

fn start<S: Stack>(stack: &S, now: Instant) -> [S::End; 2] {
    [Side::Client, Side::Server].map(|side| stack.end(now, side))
}

/// A pair that has nothing more to say about its handshake.
fn connect<S: Stack>(stack: &S, now: Instant) -> [S::End; 2] {
    let mut ends = start(stack, now);
    let mut buf = [0; MTU];
    let mut silent = 0;
    while silent < 2 {
        for from in [0, 1] {
            silent += 1;
            while let Some(len) = ends[from].transmit(&mut buf) {
                silent = 0;
                ends[1 - from].receive(now, &mut buf[..len]);
            }
        }
    }
    let progress = ends.each_ref().map(End::progress);
    assert_eq!(progress, [Progress::Connected; 2], "{}", stack.name());
    ends
}

/// The same, counted.
fn cost<S: Stack>(stack: &S, now: Instant) -> Cost {
    let mut allocations = [0; 2];
    let mut counted = |whose: usize, work: &mut dyn FnMut()| {
        allocations[whose] += measure(work).count_total;
    };
    let mut ends = [None, None];
    for (index, side) in [Side::Client, Side::Server].into_iter().enumerate() {
        counted(index, &mut || ends[index] = Some(stack.end(now, side)));
    }
    let mut ends = ends.map(|end| end.expect("just made"));
    let mut buf = [0; MTU];
    let (mut speaker, mut flights, mut silent) = (None, 0, 0);
    while silent < 2 {
        for from in [0, 1] {
            silent += 1;
            loop {
                let done = ends.each_ref().map(End::progress) == [Progress::Connected; 2];
                let mut len = None;
                counted(from, &mut || len = ends[from].transmit(&mut buf));
                let Some(len) = len else { break };
                silent = 0;
                // What is said when both are connected only acknowledges.
                if speaker.replace(from) != Some(from) && !done {
                    flights += 1;
                }
                let to = 1 - from;
                counted(to, &mut || ends[to].receive(now, &mut buf[..len]));
            }
        }
    }
    Cost {
        allocations,
        flights,
    }
}
