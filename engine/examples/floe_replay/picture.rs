//! The time line, drawn: a lane for each machine, a bar for each state, a dashed line for each mark.

use crate::timeline::{Lane, Mark, Span, Timeline};
use std::time::Duration;
use svg::{
    Document,
    node::element::{Group, Line, Rectangle, Text, Title},
};

/// Pixels.
const LABELS: f64 = 130.0;
const BARS: f64 = 900.0;
const LANE: f64 = 30.0;
const BAR: f64 = 20.0;
const TOP: f64 = 56.0;
const FOOT: f64 = 26.0;
const EDGE: f64 = 12.0;
/// What a letter is wide, about: names that do not fit their bar are left to its tooltip.
const LETTER: f64 = 6.6;
const MARK: &str = "#b3261e";

pub(crate) fn draw(timeline: &Timeline) -> Document {
    let bottom = TOP + LANE * timeline.lanes.len() as f64;
    let (width, height) = (LABELS + BARS + EDGE, bottom + FOOT);
    let scale = Scale {
        length: timeline.length.as_secs_f64().max(f64::MIN_POSITIVE),
    };
    let mut document = Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(
            Rectangle::new()
                .set("width", "100%")
                .set("height", "100%")
                .set("fill", "#ffffff"),
        )
        .add(text(&timeline.title, EDGE, 20.0).set("font-weight", "bold"));
    for tick in scale.ticks() {
        document = document.add(axis(tick, scale.x(tick), bottom));
    }
    for (row, lane) in timeline.lanes.iter().enumerate() {
        document = document.add(bars(lane, TOP + LANE * row as f64, &scale));
    }
    for mark in &timeline.marks {
        document = document.add(crossing(mark, scale.x(mark.at.as_secs_f64()), bottom));
    }
    document
}

/// Seconds to pixels.
struct Scale {
    length: f64,
}

impl Scale {
    fn x(&self, seconds: f64) -> f64 {
        LABELS + BARS * seconds / self.length
    }

    fn at(&self, at: Duration) -> f64 {
        self.x(at.as_secs_f64())
    }

    /// Some ten round numbers of seconds.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let power = 10_f64.powf((self.length / 10.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| self.length / step <= 10.0);
        let step = step.unwrap_or(self.length);
        let count = (self.length / step).floor() as u32;
        (0..=count).map(move |tick| f64::from(tick) * step)
    }
}

fn axis(seconds: f64, x: f64, bottom: f64) -> Group {
    let label = format!("{} s", (seconds * 1e6).round() / 1e6);
    Group::new()
        .add(line(x, TOP - 6.0, bottom, "#dddddd"))
        .add(text(&label, x, bottom + 16.0).set("text-anchor", "middle"))
}

fn bars(lane: &Lane, top: f64, scale: &Scale) -> Group {
    let name = text(&lane.machine.to_string(), EDGE, top + 15.0);
    let spans = lane.spans.iter();
    spans.fold(Group::new().add(name), |group, span| {
        group.add(bar(lane, span, top, scale))
    })
}

fn bar(lane: &Lane, span: &Span, top: f64, scale: &Scale) -> Group {
    let (left, right) = (scale.at(span.from), scale.at(span.to));
    // What was over at once is seen all the same.
    let width = (right - left).max(1.0);
    let tooltip = format!(
        "{}: {}, {:.3} s to {:.3} s",
        lane.machine,
        span.state,
        span.from.as_secs_f64(),
        span.to.as_secs_f64()
    );
    let rectangle = Rectangle::new()
        .set("class", "state")
        .set("x", left)
        .set("y", top)
        .set("width", width)
        .set("height", BAR)
        .set("fill", color(&span.state))
        .add(Title::new(tooltip));
    let group = Group::new().add(rectangle);
    if span.state.chars().count() as f64 * LETTER + 8.0 > width {
        return group;
    }
    group.add(text(&span.state, left + 4.0, top + 14.0))
}

/// Green for what is reached, amber for what is on its way, orange and red for what is lost, grey for what has not begun or is over.
fn color(state: &str) -> &'static str {
    match state {
        "connected" | "completed" | "complete" | "stable" | "up" => "#a5d6a7",
        "disconnected" | "down" => "#ffab66",
        "failed" | "exhausted" => "#ef9a9a",
        "new" | "closed" => "#e0e0e0",
        _ => "#ffe082",
    }
}

fn crossing(mark: &Mark, x: f64, bottom: f64) -> Group {
    let label = text("!", x, TOP - 8.0)
        .set("text-anchor", "middle")
        .set("fill", MARK)
        .set("font-weight", "bold");
    let line = line(x, TOP - 6.0, bottom, MARK).set("stroke-dasharray", "4 3");
    Group::new()
        .set("class", "mark")
        .add(line)
        .add(label.add(Title::new(format!(
            "{:.3} s: {}",
            mark.at.as_secs_f64(),
            mark.text
        ))))
}

fn line(x: f64, top: f64, bottom: f64, color: &str) -> Line {
    Line::new()
        .set("x1", x)
        .set("x2", x)
        .set("y1", top)
        .set("y2", bottom)
        .set("stroke", color)
}

fn text(words: &str, x: f64, y: f64) -> Text {
    Text::new(words).set("x", x).set("y", y)
}
