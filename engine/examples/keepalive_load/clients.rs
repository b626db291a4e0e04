//! The process of the clients: does what the server says.

use std::io::{self, Write};

use crate::control::{Control, Order, Word};
use crate::fleet::{Fleet, Side};
use crate::options::Plan;
use crate::report::{Beginning, Share, peak_memory};
use crate::socket::now;

/// Serves orders until the measurement is over.
///
/// # Errors
///
/// Of the sockets; when the server has gone or takes longer than planned.
pub(crate) fn run(plan: &Plan, mut control: Control<impl Write>) -> io::Result<()> {
    let empty = peak_memory()?;
    let mut fleet = Fleet::new(Side::Clients, plan)?;
    control.send(&Word::Identity(fleet.fingerprint()))?;
    let (started, mut told) = (now(), 0);
    let mut beginning = None;
    loop {
        while let Some(order) = control.poll()? {
            match order {
                Order::Identity(fingerprint) => fleet.set_peer(&fingerprint)?,
                Order::Join(servers) => {
                    let mut joined = Vec::with_capacity(servers.len());
                    for server in servers {
                        let (now, number) = (now(), fleet.sessions());
                        joined.push(fleet.join(now)?);
                        fleet.meet(now, number, &server)?;
                    }
                    control.send(&Word::Joined(joined))?;
                }
                Order::Begin => beginning = Some(Beginning::of(&fleet)?),
                Order::End => {
                    let beginning = beginning.ok_or(io::ErrorKind::InvalidInput)?;
                    let share = Share::since(&beginning, &fleet, empty)?;
                    return control.send(&Word::Measured(Box::new(share)));
                }
            }
        }
        if fleet.connected() != told {
            told = fleet.connected();
            control.send(&Word::Connected(told))?;
        }
        if started.elapsed() > plan.patience() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        fleet.turn()?;
    }
}
