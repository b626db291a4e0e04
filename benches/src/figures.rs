//! The pictures of the page, drawn from the figures of a run as SVG. They have no background of their own, and two sets of
//! greys: what a page in the dark asks for is decided by whoever shows them.

use std::path::Path;
use std::{fs, io};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::Report;

/// Text and axes.
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2F);
const INK_IN_THE_DARK: &str = "#E6EDF3";
/// The lines behind.
const GRID: RGBColor = RGBColor(0xD0, 0xD7, 0xDE);
const GRID_IN_THE_DARK: &str = "#3D444D";

/// Of floe, of its peers, and of floors; each can be told from the others in the light, in the dark, and without colours.
const OURS: [RGBColor; 3] = [
    RGBColor(0x1F, 0x7A, 0xE0),
    RGBColor(0x12, 0xA1, 0x8B),
    RGBColor(0x8A, 0x63, 0xD2),
];
const PEER: RGBColor = RGBColor(0xD9, 0x73, 0x0D);
const FLOOR: RGBColor = RGBColor(0x7D, 0x85, 0x90);

const SIZE: (u32, u32) = (860, 440);

type Drawn<T> = Result<T, Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One of four marks, which can be told apart without their colours, at a place of either kind.
macro_rules! mark {
    ($index:expr, $at:expr, $color:expr) => {
        match $index % 4 {
            0 => Circle::new($at, 4, $color.filled()).into_dyn(),
            1 => TriangleMarker::new($at, 6, $color.filled()).into_dyn(),
            2 => Cross::new($at, 5, $color.stroke_width(3)).into_dyn(),
            _ => Circle::new($at, 5, $color.stroke_width(2)).into_dyn(),
        }
    };
}

/// Draws all figures for which the report has tables into a directory.
///
/// # Errors
///
/// When a file cannot be written.
pub fn draw(report: &Report, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let figures = [
        ("scale.svg", scale(report)),
        ("endpoint.svg", endpoint(report)),
        ("latency.svg", latency(report)),
        ("handshake.svg", handshake(report)),
    ];
    for (name, figure) in figures {
        let svg = figure.map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        if let Some(svg) = svg {
            fs::write(directory.join(name), for_both_lights(&svg))?;
        }
    }
    Ok(())
}

/// The same with a style sheet that has greys for a page in the dark.
fn for_both_lights(svg: &str) -> String {
    let swap = |from: RGBColor, to: &str| {
        let RGBColor(r, g, b) = from;
        let from = format!("#{r:02X}{g:02X}{b:02X}");
        format!("[fill=\"{from}\"]{{fill:{to}}}[stroke=\"{from}\"]{{stroke:{to}}}")
    };
    let style = format!(
        "<style>@media (prefers-color-scheme: dark){{{}{}}}</style>\n",
        swap(INK, INK_IN_THE_DARK),
        swap(GRID, GRID_IN_THE_DARK)
    );
    match svg.find(">\n") {
        Some(end) => format!("{}{style}{}", &svg[..end + 2], &svg[end + 2..]),
        None => svg.to_owned(),
    }
}

/// A line through what was measured with different numbers of agents or sessions; one that was measured with one number alone
/// is a mark.
struct Curve {
    name: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// The rows of a table that are called `before`, a number, and `after`.
    fn of(
        report: &Report,
        color: RGBColor,
        (table, column): (&str, &str),
        (before, after): (&str, &str),
        name: &str,
    ) -> Self {
        let table = report.table(table);
        let rows = table.into_iter().flat_map(|table| {
            table.rows().filter_map(|row| {
                let number = row.strip_prefix(before)?.strip_suffix(after)?;
                Some((number.parse().ok()?, table.figure(row, column)?.0))
            })
        });
        Self {
            name: name.to_owned(),
            color,
            points: rows.collect(),
        }
    }
}

fn scale(report: &Report) -> Drawn<Option<String>> {
    let agents = ("scale", "ns per agent·second");
    let sessions = ("endpoint-scale", "ns per session·second");
    let curve = |color, what, rows, name| Curve::of(report, color, what, rows, name);
    curves(
        "Consent both ways, in virtual time",
        "connected agents or sessions in one thread",
        "ns of CPU per agent or session and second",
        &[
            curve(OURS[0], agents, ("floe, ", " agents"), "floe, agents"),
            curve(
                OURS[1],
                sessions,
                ("", " sessions, ICE alone"),
                "floe, sessions of an endpoint",
            ),
            curve(PEER, agents, ("is 0.12, ", " agents"), "is 0.12, agents"),
            curve(
                PEER,
                agents,
                ("rtc-ice 0.21.1, ", " agents"),
                "rtc-ice 0.21.1, agents",
            ),
            curve(
                FLOOR,
                agents,
                ("the driver alone, ", " agents"),
                "the driver alone",
            ),
        ],
    )
}

fn endpoint(report: &Report) -> Drawn<Option<String>> {
    let rows = ("", " sessions, ICE alone");
    let curve = |color, column, name| Curve::of(report, color, ("endpoint", column), rows, name);
    let cold = ("scale", "cold request → response, ns");
    let peer = |before, name| Curve::of(report, PEER, cold, (before, " agents"), name);
    curves(
        "A consent check answered",
        "sessions of the endpoint, agents of the peers",
        "ns from bytes in to bytes out",
        &[
            curve(OURS[0], "warm", "floe's endpoint, warm"),
            curve(OURS[1], "cold", "floe's endpoint, cold"),
            peer("is 0.12, ", "is 0.12, an agent alone, cold"),
            peer("rtc-ice 0.21.1, ", "rtc-ice 0.21.1, an agent alone, cold"),
            peer(
                "rice-proto 0.4.3, ",
                "rice-proto 0.4.3, an agent alone, cold",
            ),
        ],
    )
}

/// Both axes logarithmic.
fn curves(title: &str, x: &str, y: &str, curves: &[Curve]) -> Drawn<Option<String>> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    if points().count() == 0 {
        return Ok(None);
    }
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for (_, value) in points() {
        (low, high) = (low.min(*value), high.max(*value));
    }
    let low = 10_f64.powf(low.log10().floor());
    let high = 10_f64.powf(high.log10().ceil());
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw_curves(&area, title, [x, y], low..high, curves)?;
        area.present()?;
    }
    Ok(Some(svg))
}

fn draw_curves(
    area: &Area<'_>,
    title: &str,
    [x, y]: [&str; 2],
    values: std::ops::Range<f64>,
    curves: &[Curve],
) -> Drawn<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, text(18))
        .margin(12)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(76)
        .build_cartesian_2d((800_f64..1_250_000.0).log_scale(), values.log_scale())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(text(14))
        .axis_desc_style(text(15))
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| grouped(*value))
        .y_label_formatter(&|value| grouped(*value))
        .draw()?;
    for (index, curve) in curves.iter().enumerate() {
        let color = curve.color;
        let line = LineSeries::new(curve.points.iter().copied(), color.stroke_width(2));
        chart.draw_series(line)?;
        chart
            .draw_series(curve.points.iter().map(|point| mark!(index, *point, color)))?
            .label(&curve.name)
            .legend(move |(x, y)| mark!(index, (x + 8, y), color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(text(14))
        .legend_area_size(20)
        .draw()?;
    Ok(())
}

/// A row of a bar chart.
struct Bar {
    name: String,
    color: RGBColor,
    value: f64,
}

impl Bar {
    /// All rows of a table that have this column, with `before` in front of their names.
    fn all(report: &Report, table: &str, column: &str, before: &str) -> Vec<Self> {
        let table = report.table(table);
        let rows = table.into_iter().flat_map(|table| {
            table.rows().filter_map(|row| {
                Some(Self {
                    name: format!("{before}{row}"),
                    color: color_of(row),
                    value: table.figure(row, column)?.0,
                })
            })
        });
        rows.collect()
    }
}

fn color_of(row: &str) -> RGBColor {
    match row {
        floor if floor.contains("floor") => FLOOR,
        ours if ours.starts_with("floe") => OURS[0],
        _ => PEER,
    }
}

fn latency(report: &Report) -> Drawn<Option<String>> {
    let mut all = Bar::all(report, "stun", "request → response", "STUN: ");
    let agents = Bar::all(
        report,
        "consent",
        "request in → response out",
        "in an agent: ",
    );
    all.extend(agents);
    bars("A Binding request answered", "ns", &all)
}

fn handshake(report: &Report) -> Drawn<Option<String>> {
    let all = Bar::all(report, "handshakes", "CPU, µs (× its floor)", "");
    bars("A mutual DTLS handshake, both sides", "µs of CPU", &all)
}

fn bars(title: &str, unit: &str, bars: &[Bar]) -> Drawn<Option<String>> {
    if bars.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let height = 100 + 26 * bars.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        draw_bars(&area, title, unit, bars)?;
        area.present()?;
    }
    Ok(Some(svg))
}

/// The first on top.
fn draw_bars(area: &Area<'_>, title: &str, unit: &str, bars: &[Bar]) -> Drawn<()> {
    let count = i32::try_from(bars.len())?;
    let name = |segment: &SegmentValue<i32>| match segment {
        SegmentValue::CenterOf(place) => {
            let index = usize::try_from(count - 1 - place).unwrap_or(usize::MAX);
            bars.get(index).map_or("", |bar| &bar.name).to_owned()
        }
        _ => String::new(),
    };
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, text(18))
        .margin(12)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(330)
        .build_cartesian_2d(0.0..most * 1.12, (0..count - 1).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .y_labels(bars.len())
        .label_style(text(14))
        .axis_desc_style(text(15))
        .x_desc(unit)
        .y_label_formatter(&name)
        .x_label_formatter(&|value| grouped(*value))
        .draw()?;
    let end = Pos::new(HPos::Left, VPos::Center);
    for (place, bar) in (0..count).rev().zip(bars) {
        let corners = [
            (0.0, SegmentValue::Exact(place)),
            (bar.value, SegmentValue::Exact(place + 1)),
        ];
        let mut rectangle = Rectangle::new(corners, bar.color.filled());
        rectangle.set_margin(4, 4, 0, 0);
        chart.draw_series([rectangle])?;
        let at = (bar.value + most * 0.008, SegmentValue::CenterOf(place));
        let label = Text::new(grouped(bar.value), at, text(14).pos(end));
        chart.draw_series([label])?;
    }
    Ok(())
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// With a space between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202F}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cell, Table};

    #[test]
    fn a_figure_has_axes_with_units_and_greys_for_the_dark() {
        let mut report = Report::default();
        let mut table = Table::new("endpoint", "title", &["warm", "cold"]);
        for count in [1000, 100_000] {
            let cells = vec![Cell::new(400.0, "ns", 0), Cell::new(900.0, "ns", 0)];
            table.row(&format!("{count} sessions, ICE alone"), cells);
        }
        report.add(table);
        let svg = for_both_lights(&endpoint(&report).unwrap().unwrap());
        for text in [
            "ns from bytes in to bytes out",
            "cold",
            "100\u{202F}000",
            INK_IN_THE_DARK,
        ] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert!(scale(&report).unwrap().is_none(), "there is no such table");
    }
}
