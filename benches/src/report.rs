//! Tables as they are printed, and the same figures for machines.

use serde_json::{Value as Json, json};

/// All tables of a run.
#[derive(Debug, Default)]
pub struct Report {
    tables: Vec<Table>,
}

impl Report {
    /// Prints a table and keeps it.
    pub fn add(&mut self, table: Table) {
        println!("\n## {}\n\n{}", table.name, table.markdown());
        self.tables.push(table);
    }

    /// All tables, in the order in which they were measured.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The table with this id.
    #[must_use]
    pub fn table(&self, id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.id == id)
    }

    /// One object per figure: `{table, row, column, value, unit, ratio_to_floor}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        self.tables.iter().flat_map(Table::figures).collect()
    }
}

/// Rows of cells.
#[derive(Debug)]
pub struct Table {
    id: &'static str,
    name: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

impl Table {
    /// A table without rows. The id is that of its place in the page.
    #[must_use]
    pub fn new(id: &'static str, name: &str, columns: &[&str]) -> Self {
        Self {
            id,
            name: name.to_owned(),
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: one cell for each column.
    pub fn row(&mut self, name: &str, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push((name.to_owned(), cells));
    }

    /// Its place in the page.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The names of its rows.
    pub fn rows(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(name, _)| name.as_str())
    }

    /// The first figure of a cell, and its unit.
    #[must_use]
    pub fn figure(&self, row: &str, column: &str) -> Option<(f64, &'static str)> {
        let figure = self.cell(row, column)?.figures.first()?;
        Some((figure.value, figure.unit))
    }

    /// The figure of a cell that is called so, and its unit.
    #[must_use]
    pub fn part(&self, row: &str, column: &str, part: &str) -> Option<(f64, &'static str)> {
        let mut figures = self.cell(row, column)?.figures.iter();
        let figure = figures.find(|figure| figure.part == part)?;
        Some((figure.value, figure.unit))
    }

    fn cell(&self, row: &str, column: &str) -> Option<&Cell> {
        let column = self.columns.iter().position(|known| known == column)?;
        let (_, cells) = self.rows.iter().find(|(known, _)| known == row)?;
        cells.get(column)
    }

    /// The table as a page shows it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |first: &str, rest: Vec<&str>| format!("| {first} | {} |\n", rest.join(" | "));
        let mut text = line("", self.columns.iter().map(String::as_str).collect());
        text += &format!("|---|{}\n", "---|".repeat(self.columns.len()));
        for (name, cells) in &self.rows {
            text += &line(name, cells.iter().map(|cell| cell.text.as_str()).collect());
        }
        text
    }

    fn figures(&self) -> impl Iterator<Item = Json> {
        let of_row = |(row, cells): &(String, Vec<Cell>)| -> Vec<Json> {
            let of_cell = |(column, cell): (&String, &Cell)| -> Vec<Json> {
                let figures = cell.figures.iter();
                let json = figures.map(|figure| figure.to_json(self.id, row, column));
                json.collect()
            };
            self.columns.iter().zip(cells).flat_map(of_cell).collect()
        };
        self.rows.iter().flat_map(of_row)
    }
}

/// What stands in a cell: none, one or several figures.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    figures: Vec<Figure>,
}

#[derive(Clone, Debug)]
struct Figure {
    part: &'static str,
    value: f64,
    unit: &'static str,
    ratio: Option<f64>,
}

impl Figure {
    fn to_json(&self, table: &str, row: &str, column: &str) -> Json {
        let column = match self.part {
            "" => column.to_owned(),
            part => format!("{column}: {part}"),
        };
        json!({
            "table": table,
            "row": row,
            "column": column,
            "value": self.value,
            "unit": self.unit,
            "ratio_to_floor": self.ratio,
        })
    }
}

impl Cell {
    /// Nothing to be said.
    #[must_use]
    pub fn none() -> Self {
        Self {
            text: "–".to_owned(),
            figures: Vec::new(),
        }
    }

    /// A figure with this many digits after the point.
    #[must_use]
    pub fn new(value: f64, unit: &'static str, digits: usize) -> Self {
        Self {
            text: format!("{value:.digits$}"),
            figures: vec![Figure {
                part: "",
                value,
                unit,
                ratio: None,
            }],
        }
    }

    /// Nanoseconds, and how many times the floor they are.
    #[must_use]
    pub fn over(nanos: f64, floor: f64) -> Self {
        let ratio = nanos / floor;
        let mut cell = Self::new(nanos, "ns", 0);
        cell.figures[0].ratio = Some(ratio);
        cell.text += &format!(" ({ratio:.2})");
        cell
    }

    /// Microseconds, and how many times the floor they are.
    #[must_use]
    pub fn micros_over(nanos: f64, floor: f64) -> Self {
        let mut cell = Self::new(nanos / 1000.0, "µs", 0);
        cell.figures[0].ratio = Some(nanos / floor);
        cell.text += &format!(" ({:.2})", nanos / floor);
        cell
    }

    /// The same, and how many heap allocations that took.
    #[must_use]
    pub fn and_allocations(mut self, count: f64) -> Self {
        self.text += &format!(" / {count:.0}");
        self.figures.push(Figure {
            part: "allocations",
            value: count,
            unit: "",
            ratio: None,
        });
        self
    }

    /// Several figures that are read together.
    #[must_use]
    pub fn parts(text: String, parts: &[(&'static str, f64, &'static str)]) -> Self {
        let figure = |(part, value, unit): &(&'static str, f64, &'static str)| Figure {
            part,
            value: *value,
            unit,
            ratio: None,
        };
        Self {
            text,
            figures: parts.iter().map(figure).collect(),
        }
    }
}
