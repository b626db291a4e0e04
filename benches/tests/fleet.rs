//! What `compare` measures of floe and what needs no clock: who is woken, what is allocated, when agents have found each
//! other.

use floe_benches::connect::{LAYOUTS, connect};
use floe_benches::keepalive::{Measure, Step, calls};
use floe_benches::peers::{AtChromiumsRate, Floe, Is, Peer, Rtc};
use floe_benches::scale;

// req: I51
#[test]
fn a_fleet_is_woken_once_for_each_check() {
    fn rates<P: Peer>() -> [f64; 2] {
        let figures = scale::measure::<P>(400, 40).expect("they connect");
        [figures.wake_ups, figures.checks]
    }
    for (interval, [wake_ups, checks]) in
        [(5.0, rates::<Floe>()), (2.5, rates::<AtChromiumsRate>())]
    {
        assert!((checks * interval - 1.0).abs() < 0.03, "{checks} a second");
        assert!(wake_ups <= checks * 1.01, "{wake_ups} for {checks}");
    }
}

// req: I41 I50
#[test]
fn nothing_that_a_connected_agent_does_or_refuses_allocates() {
    let mut calls = calls::<Floe>();
    for step in [
        Step::Answer,
        Step::Check,
        Step::Handle,
        Step::WrongUsername,
        Step::UnknownTransaction,
        Step::ForgedMac,
    ] {
        let allocations = calls.step(step, Measure::Allocations);
        assert_eq!(allocations, Some(0.0), "{step:?}");
        calls.other_way();
    }
}

// req: I52
#[test]
fn agents_find_each_other_as_fast_as_the_peers_do_and_with_few_datagrams() {
    for layout in LAYOUTS.iter().filter(|layout| !layout.only_the_last) {
        let [floe, is, rtc] = [connect::<Floe>, connect::<Is>, connect::<Rtc>].map(|f| f(layout));
        assert_eq!(floe.usable, Some(100), "{}", layout.name);
        assert_eq!(floe.controlled, Some(150), "{}", layout.name);
        assert_eq!(floe.controlling, Some(200), "{}", layout.name);
        assert!(floe.usable < is.usable && floe.usable < rtc.usable);
        assert!(floe.datagrams < 100, "{} datagrams", floe.datagrams);
    }
    for layout in &LAYOUTS[3..5] {
        let floe = connect::<Floe>(layout);
        assert!(floe.controlling <= Some(1000), "{floe:?}");
        assert!(
            floe.controlling.is_some() && floe.datagrams <= 100,
            "{floe:?}"
        );
    }
}
