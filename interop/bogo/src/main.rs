//! The shim that puts floe-dtls under BoringSSL's protocol test runner: one process for each test, told by flags what to
//! be and over TCP, on loopback, what arrives and when.
//!
//! The verdict is the exit status: 0 with nothing on stderr for a success, 1 with the runner's own word for what went
//! wrong, 89 for a test that asks for what floe has not.

mod flags;
mod session;
mod verdict;
mod wire;

use std::process::ExitCode;

use crate::flags::{Flags, NotUnderstood};

/// The runner's code for a test that the shim does not take.
const UNIMPLEMENTED: u8 = 89;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .iter()
        .any(|argument| argument == "-is-handshaker-supported")
    {
        println!("No");
        return ExitCode::SUCCESS;
    }
    let flags = match Flags::parse(&arguments) {
        Ok(flags) => flags,
        Err(NotUnderstood(flag)) => {
            eprintln!("{flag} is not implemented");
            return ExitCode::from(UNIMPLEMENTED);
        }
    };
    match session::run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
