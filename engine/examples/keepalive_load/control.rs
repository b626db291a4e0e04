//! What the two processes tell each other: a line of JSON each, over the clients' standard input and output.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::report::Share;

/// One side of one session, as signalling would carry it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Party {
    pub(crate) ufrag: String,
    pub(crate) password: String,
    pub(crate) address: SocketAddr,
}

/// From the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// The fingerprint of its certificate.
    Identity(String),
    /// So many more sessions, in the order in which they are numbered.
    Join(Vec<Party>),
    /// The measurement begins.
    Begin,
    /// It ends: [`Word::Measured`] is the answer, and the end.
    End,
}

/// From the clients.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// The fingerprint of their certificate.
    Identity(String),
    /// The other sides of as many sessions as were announced.
    Joined(Vec<Party>),
    /// How many are connected.
    Connected(usize),
    /// What they did in the time measured.
    Measured(Box<Share>),
}

/// One end of the line.
pub(crate) struct Control<W> {
    lines: Receiver<io::Result<String>>,
    writer: W,
}

impl<W: Write> Control<W> {
    /// Reads in a thread of its own, so that [`poll`](Self::poll) never waits.
    pub(crate) fn new(reader: impl Read + Send + 'static, writer: W) -> Self {
        let (sender, lines) = channel();
        let reader = BufReader::new(reader);
        thread::spawn(move || reader.lines().try_for_each(|line| sender.send(line)));
        Self { lines, writer }
    }

    pub(crate) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.writer, message)?;
        self.writer.write_all(b"\n")?;
        self.writer.flush()
    }

    /// The next message, if one has come.
    ///
    /// # Errors
    ///
    /// When the other process has gone.
    pub(crate) fn poll<M: DeserializeOwned>(&self) -> io::Result<Option<M>> {
        match self.lines.try_recv() {
            Ok(line) => Ok(Some(serde_json::from_str(&line?)?)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
