//! The secrets of each handshake appended to a file, in the format by which Wireshark decrypts a capture.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use floe_dtls::KeyLog;

/// An open key log. Whoever can read the file can read the sessions.
pub(crate) struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Opens `path` for appending; a new file is readable by its owner only, where the system knows owners.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map(|file| Self(Mutex::new(file)))
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, line: &str) {
        // Writing secrets for a debugger is no reason to end a session: a full disk is said, and life goes on.
        let written = match self.0.lock() {
            Ok(mut file) => writeln!(file, "{line}"),
            Err(_) => return,
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the key log cannot be written");
        }
    }
}
