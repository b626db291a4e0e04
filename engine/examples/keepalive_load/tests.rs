//! The two sides in one process, over real sockets.

use std::io::pipe;
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::control::Control;
use crate::options::{Dtls, Options, Plan};
use crate::report::{Report, Share};
use crate::{clients, server};

fn plan(sessions: u32, dtls: Dtls) -> Plan {
    Plan {
        sessions,
        interval: Duration::from_millis(300),
        measured: Duration::from_secs(1),
        join: Duration::from_millis(2),
        sockets: 3,
        dtls,
    }
}

fn run(plan: Plan) -> Report {
    let (orders, to_clients) = pipe().unwrap();
    let (words, to_server) = pipe().unwrap();
    let clients = thread::spawn(move || clients::run(&plan, Control::new(orders, to_server)));
    let report = server::run(&plan, Control::new(words, to_clients)).unwrap();
    clients.join().unwrap().unwrap();
    report
}

fn assert_alive(share: &Share, sessions: usize) {
    assert_eq!((share.sessions, share.connected), (sessions, sessions));
    assert!(share.sent > 0 && share.confirmed > 0 && share.answered > 0);
    assert!(share.loss() < 0.5, "{share:?}");
    assert!(share.response_p99 >= share.response_median && share.response_median > 0.0);
    assert!(share.user + share.kernel > 0.0);
}

#[test]
fn sessions_keep_consent_over_sockets() {
    let report = run(plan(40, Dtls::Unused));
    assert_alive(&report.server, 40);
    assert_alive(&report.clients, 40);
    let text = report.to_string();
    assert!(text.contains("40 sessions, ICE alone") && text.contains("user / kernel"));
}

#[test]
fn sessions_have_dtls_if_asked() {
    let report = run(plan(8, Dtls::Established));
    assert_alive(&report.server, 8);
    assert_alive(&report.clients, 8);
}

#[test]
fn the_command_line_makes_the_plan() {
    let parse = |line: &str| Options::try_parse_from(line.split(' '));
    let plan = parse("keepalive_load --sessions 7 --rate chromium --joins 100 --dtls")
        .unwrap()
        .plan();
    assert_eq!((plan.sessions, plan.dtls), (7, Dtls::Established));
    assert_eq!(plan.interval, Duration::from_millis(2500));
    assert_eq!(plan.join, Duration::from_millis(10));
    assert!(plan.patience() > plan.settling() + plan.measured);
    assert!(parse("keepalive_load --sessions 0").is_err());
    assert!(parse("keepalive_load --sockets 0").is_err());
}
