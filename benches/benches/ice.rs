//! Connected agents: a check from the timer, a request answered, an answer handled, and what is turned away; floe and the
//! peers, taking turns.

use floe_benches::compare::{Effort, keepalive, rejection};
use floe_benches::report::Report;

fn main() {
    let mut report = Report::default();
    report.add(keepalive(Effort::Full));
    report.add(rejection(Effort::Full));
}
