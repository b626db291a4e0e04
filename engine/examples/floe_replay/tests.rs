//! On the log of one call, which a test of the journal made; see `engine/tests/recovery/replay.rs`.

use super::{Options, picture, run, timeline::Timeline};
use clap::Parser;
use floe::journal::Log;
use std::{io::Write, path::Path};

const LOG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/floe_replay/call.jsonl"
);

fn options(arguments: &[&str]) -> Options {
    Options::parse_from([&["floe-replay"], arguments].concat())
}

fn printed(path: &Path) -> Result<String, String> {
    let mut printed = Vec::new();
    let options = options(&[path.to_str().expect("a plain path")]);
    run(&options, &mut printed).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(printed).expect("it is text"))
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("there is room");
    file.write_all(text.as_bytes()).expect("there is room");
    file
}

fn log() -> String {
    std::fs::read_to_string(LOG).expect("it is in the repository")
}

#[test]
fn the_time_line_tells_the_call() {
    let printed = printed(Path::new(LOG)).expect("it is a log");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(
        lines[0],
        "session 0000000000000000000000000000f10e, 95 entries, 60.000 s"
    );
    for line in [
        r#"    0.000   given           {"description":["remote","offer"]}"#,
        "    0.000   recovery        new → connecting                 OFFER_RECEIVED, an offer was received",
        "    0.310   recovery        connecting → connected           ICE_CONNECTED, the connection is connected",
        "   22.500   recovery        connected → disconnected         TRANSPORT_FLAP, the path was lost for longer than a blip lasts",
        "   23.600   stats while disconnected: 82.4 % lost, round trip 380.0 ms",
        "   45.000 ! alert: recovery is connecting for more than 5.000 s",
        "   60.000   recovery        connected → new                  CLOSE, the session was closed",
    ] {
        assert!(lines.contains(&line), "{line}\n{printed}");
    }
    // Two flaps were told apart from a blip: two restarts.
    let restarts = lines.iter().filter(|line| line.contains("ICE_RESTART"));
    assert_eq!(restarts.count(), 2);
    let recovery = lines.iter().find(|line| line.starts_with("recovery: "));
    assert_eq!(
        recovery,
        Some(&"recovery: connected 46.190 s, connecting 8.810 s, disconnected 5.000 s")
    );
    assert_eq!(
        lines.last(),
        Some(&"13 triggers replayed, all states as recorded")
    );
}

#[test]
fn the_picture_has_a_bar_for_every_state_and_a_line_for_every_mark() {
    let picture = tempfile::NamedTempFile::new().expect("there is room");
    let path = picture.path().to_str().expect("a plain path");
    run(&options(&[LOG, "--svg", path]), Vec::new()).expect("it is a log");
    let drawn = std::fs::read_to_string(path).expect("it is drawn");
    let log: Log<serde_json::Value> = Log::read_lines(log().as_bytes()).expect("it is a log");
    let timeline = Timeline::of(&log);
    let spans: usize = timeline.lanes.iter().map(|lane| lane.spans.len()).sum();
    assert_eq!(drawn.matches(r#"class="state""#).count(), spans);
    assert_eq!(
        drawn.matches(r#"class="mark""#).count(),
        timeline.marks.len()
    );
    assert_eq!(timeline.marks.len(), 1);
    // From the whole to its parts, and all of them.
    let lanes: Vec<String> = timeline
        .lanes
        .iter()
        .map(|lane| lane.machine.to_string())
        .collect();
    assert_eq!(
        lanes,
        [
            "recovery",
            "connection",
            "signaling",
            "ICE connection",
            "ICE gathering",
            "ICE 0.1",
            "gatherer 0.1",
            "DTLS 0.1",
        ]
    );
    for lane in &timeline.lanes {
        assert!(
            drawn.contains(&format!(">\n{}\n<", lane.machine))
                || drawn.contains(&format!(">{}<", lane.machine))
        );
        // Without gaps, to the end.
        assert!(lane.spans.windows(2).all(|two| two[0].to == two[1].from));
        assert_eq!(lane.spans.last().map(|span| span.to), Some(timeline.length));
    }
    // It is well-formed: every tag that is opened is closed.
    let depth = svg::read(&drawn)
        .expect("it is SVG")
        .fold(0_i32, |depth, event| {
            use svg::{node::element::tag::Type, parser::Event};
            match event {
                Event::Tag(_, Type::Start, _) => depth + 1,
                Event::Tag(_, Type::End, _) => depth - 1,
                Event::Error(error) => panic!("{error}"),
                _ => depth,
            }
        });
    assert_eq!(depth, 0);
}

#[test]
fn a_log_that_the_table_does_not_lead_to_is_told() {
    // The restart window is said to have led back to connected.
    let forged = log().replace(
        r#""from":"disconnected","to":"failed","action":"RESTART_TIMEOUT""#,
        r#""from":"disconnected","to":"connected","action":"RESTART_TIMEOUT""#,
    );
    let error = printed(written(&forged).path()).expect_err("it is forged");
    assert_eq!(
        error,
        "entry 44: recorded connected, but the table leads to failed"
    );
    // A change is missing: the next one does not begin where the last one ended.
    let gap: String = log()
        .lines()
        .filter(|line| !line.contains("TRANSPORT_FLAP"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(printed(written(&gap).path()).is_err());
}

#[test]
fn logs_that_are_none_are_refused_and_short_ones_are_drawn_too() {
    assert!(printed(Path::new("/nowhere/at/all")).is_err());
    let error = printed(written("no JSON\n").path()).expect_err("it is no log");
    assert!(error.starts_with("line 1 is no entry"), "{error}");
    let empty = printed(written("").path()).expect("it is empty");
    assert!(empty.starts_with("an empty log\n"));
    for text in [
        String::new(),
        log().lines().take(3).collect::<Vec<_>>().join("\n"),
    ] {
        let log: Log<serde_json::Value> = Log::read_lines(text.as_bytes()).expect("it is a log");
        let drawn = picture::draw(&Timeline::of(&log)).to_string();
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }
    // The beginning was dropped.
    let tail: Vec<String> = log().lines().skip(40).map(String::from).collect();
    let told = printed(written(&tail.join("\n")).path()).expect("it is a log");
    assert!(told.contains("\n40 entries are missing\n"), "{told}");
}
