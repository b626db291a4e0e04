//! The bodies of the fuzz targets: each takes any bytes, and panics only where a law is broken.
//!
//! Under `cargo fuzz` they are driven by libFuzzer. Built without it, the targets replay the files they are given, and
//! `tests/corpus.rs` replays all that are committed. See `docs/fuzzing.md`.

mod clock;
pub mod dtls_connection;
pub mod dtls_handshake;
pub mod dtls_record;
pub mod engine_pair;
pub mod ice_agent;
pub mod ice_candidate;
mod identities;
mod operations;
pub mod signaling_link;
pub mod stun_message;
pub mod stun_verify;

/// The comparison with an independent reader, shared with the property tests of `floe-stun`.
#[path = "../../stun/tests/oracle/mod.rs"]
mod oracle;

use std::{env, fs, process::ExitCode};

/// A target's name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target by name, for the replay of the corpora.
pub const TARGETS: &[Target] = &[
    ("dtls_connection", dtls_connection::run),
    ("dtls_handshake", dtls_handshake::run),
    ("dtls_record", dtls_record::run),
    ("engine_pair", engine_pair::run),
    ("ice_agent", ice_agent::run),
    ("ice_candidate", ice_candidate::run),
    ("signaling_link", signaling_link::run),
    ("stun_message", stun_message::run),
    ("stun_verify", stun_verify::run),
];

/// Makes a binary of a body: a libFuzzer target, or the replay of files.
#[macro_export]
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $run(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay($run)
        }
    };
}

/// Runs a body on each file named on the command line.
#[must_use]
pub fn replay(run: fn(&[u8])) -> ExitCode {
    for path in env::args_os().skip(1) {
        match fs::read(&path) {
            Ok(data) => run(&data),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// A caller's mistake is an error, never a panic; which one does not matter here.
fn ignore<T>(_outcome: T) {}
