//! The command line, and the plan it makes.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Live consent at scale over loopback sockets.
#[derive(Debug, Clone, Parser)]
#[command(name = "keepalive_load", version)]
pub(crate) struct Options {
    /// Sessions: transports in each of the two processes.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sessions: u32,

    /// How often each side of a session asks for consent.
    #[arg(long, value_enum, default_value_t = Rate::Rfc)]
    pub(crate) rate: Rate,

    /// How long to measure, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,

    /// Sessions that join in a second.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) joins: u32,

    /// Sockets of each process.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) sockets: u8,

    /// Establishes DTLS in every session too, before it is measured.
    #[arg(long)]
    pub(crate) dtls: bool,

    /// Which of the two processes this is: the server starts the clients.
    #[arg(long, value_enum, default_value_t = Role::Server, hide = true)]
    pub(crate) role: Role,
}

/// The mean time between two consent checks of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rate {
    /// Every 5 s (RFC 7675 §5.1).
    Rfc,
    /// Every 2.5 s, as Chromium does on a stable connection.
    Chromium,
}

/// One of the two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Server,
    Clients,
}

/// What is to be done, the same in both processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) sessions: u32,
    pub(crate) interval: Duration,
    pub(crate) measured: Duration,
    /// The time between two joins.
    pub(crate) join: Duration,
    pub(crate) sockets: u8,
    pub(crate) dtls: Dtls,
}

/// Whether the sessions have DTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtls {
    /// None is begun: ICE alone.
    Unused,
    Established,
}

impl Options {
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            sessions: self.sessions,
            interval: match self.rate {
                Rate::Rfc => Duration::from_secs(5),
                Rate::Chromium => Duration::from_millis(2500),
            },
            measured: Duration::from_secs(self.seconds),
            join: Duration::from_secs(1) / self.joins,
            sockets: self.sockets,
            dtls: if self.dtls {
                Dtls::Established
            } else {
                Dtls::Unused
            },
        }
    }
}

impl Plan {
    /// How long everybody is at rest before it is measured: two rounds of consent.
    pub(crate) fn settling(&self) -> Duration {
        2 * self.interval
    }

    /// When something is wrong: twice the time that the joins may take, and what comes after them.
    pub(crate) fn patience(&self) -> Duration {
        const SLACK: Duration = Duration::from_secs(30);
        2 * self.sessions * self.join + self.settling() + self.measured + SLACK
    }
}
