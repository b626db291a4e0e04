//! Live consent at scale over real sockets: a server and its clients, two processes on this machine.
//!
//! ```text
//! cargo run --release --example keepalive_load                            # 10 000 sessions, half a minute
//! cargo run --release --example keepalive_load -- --sessions 100000
//! cargo run --release --example keepalive_load -- --sessions 100000 --rate chromium
//! ```
//!
//! Every session is a floe transport in the server and one in the clients' process, each checking the other's consent (RFC 7675)
//! through the kernel's loopback. Each client has an address of its own in 127/8. The sessions join at a bounded rate, settle, and
//! are then measured for a while; what the two processes did in that time is printed. It ends by itself, at the latest after
//! [`Plan::patience`], and never leaves this machine.
//!
//! | module | what it is |
//! |---|---|
//! | `options` | the command line, and the plan it makes |
//! | `socket` | a UDP socket: batches in, datagrams out, many local addresses |
//! | `fleet` | floe's `Endpoint` behind such sockets: the loop of a server, and of many clients |
//! | `control` | what the two processes tell each other, a line of JSON each |
//! | `server`, `clients` | the two processes |
//! | `report` | processor time, loss, response times, memory |
//!
//! The exit code is 0 after a report, 1 when something does not start or takes too long, 2 for a bad option. The report goes to
//! standard output, progress to standard error.

mod clients;
mod control;
mod fleet;
mod options;
mod report;
mod server;
mod socket;

#[cfg(test)]
mod tests;

use std::env;
use std::io;
use std::process::{Child, Command, ExitCode, Stdio};

use clap::Parser;

use crate::control::Control;
use crate::options::{Options, Plan, Role};

fn main() -> ExitCode {
    let options = Options::parse();
    let plan = options.plan();
    let done = match options.role {
        Role::Server => serve(&plan),
        Role::Clients => clients::run(&plan, Control::new(io::stdin(), io::stdout())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keepalive_load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the clients' process and is their server.
fn serve(plan: &Plan) -> io::Result<()> {
    let mut clients = Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .args(["--role", "clients"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(Clients)?;
    let (Some(stdin), Some(stdout)) = (clients.0.stdin.take(), clients.0.stdout.take()) else {
        return Err(io::Error::other("the clients' process has no pipes"));
    };
    let report = server::run(plan, Control::new(stdout, stdin))?;
    println!("{report}");
    Ok(())
}

/// The clients' process. Gone when its server is.
struct Clients(Child);

impl Drop for Clients {
    fn drop(&mut self) {
        // It ends by itself when its standard input does; whatever it is doing now, nobody waits for it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
