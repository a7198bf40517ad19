//! Answers: the same report as a table for people, or as JSON or YAML for programs.

use std::fmt::{self, Display, Write as _};
use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::error::Error;
use crate::api::Duration;

/// What a verb found out. `Display` is for people; it may have colours, which only a terminal is shown.
pub(super) trait Report: Serialize + Display {}

impl<T: Serialize + Display> Report for T {}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs
    Yaml,
    /// A picture (timeline)
    Svg,
    /// A page with a picture (timeline)
    Html,
}

impl Format {
    /// Whether it is drawn: only a verb that has something to draw knows it.
    pub(super) fn is_picture(self) -> bool {
        matches!(self, Self::Svg | Self::Html)
    }

    pub(super) fn print(self, report: &impl Report) -> Result<(), Error> {
        let text = match self {
            Self::Table => report.to_string(),
            Self::Json => serde_json::to_string_pretty(report).map_err(|error| Error::Io(error.to_string()))? + "\n",
            Self::Yaml => serde_saphyr::to_string(report).map_err(|error| Error::Io(error.to_string()))?,
            Self::Svg | Self::Html => return Err(Error::Refused(NO_PICTURE.to_owned())),
        };
        print(&text)
    }
}

/// Writes to standard output, without colours if that is no terminal.
pub(super) fn print(text: &str) -> Result<(), Error> {
    match anstream::stdout().write_all(text.as_bytes()) {
        // A reader that has seen enough (`| head`) is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::output),
    }
}

/// How wide the answer may be.
pub(super) fn columns() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let seen = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    asked.or_else(seen).unwrap_or(USUAL_COLUMNS).clamp(LEAST_COLUMNS, MOST_COLUMNS)
}

/// Columns as wide as their widest cell, in kubectl's manner. The last one may be of any length.
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// Text and how it looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Table {
    pub(super) fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().copied().map(Cell::from).collect()] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, Cell { text, style }) in row.iter().enumerate() {
                let padding = if column + 1 == row.len() { 0 } else { widths[column] - text.chars().count() + GAP };
                write!(line, "{style}{text}{style:#}{:padding$}", "")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl Cell {
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    /// `-` where there is nothing to tell.
    pub(super) fn of(text: Option<impl ToString>) -> Self {
        Self::from(text.map_or_else(|| "-".to_owned(), |text| text.to_string()))
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

/// Good, doubtful, bad, and what matters less.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const QUIET: Style = Style::new().dimmed();
pub(super) const STRONG: Style = Style::new().bold();

/// How long from `now` until `time`, or since then, for people: `in 23h4m`, `5m ago`, `now`.
pub(super) fn relative(time: Timestamp, now: Timestamp) -> String {
    let distance = time.duration_since(now);
    match distance.as_secs() {
        0 => "now".to_owned(),
        1.. => format!("in {}", length(distance)),
        _ => format!("{} ago", length(distance.abs())),
    }
}

/// A time to come as it stands in a sentence: `at 2026-01-01T00:00:00Z (in 3h)`; one that has come is `at once`.
pub(super) fn moment(time: Timestamp, now: Timestamp) -> String {
    if time <= now { "at once".to_owned() } else { format!("at {time} ({})", relative(time, now)) }
}

/// A length by its two largest units, as kubectl shows ages: `29d23h`, `1h5m`, `40s`.
pub(super) fn length(length: SignedDuration) -> String {
    let seconds = length.as_secs().unsigned_abs();
    let units = [("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let first = units.iter().position(|(_, count)| *count > 0).unwrap_or(3);
    let mut text = String::new();
    for (unit, count) in units.iter().skip(first).take(2).filter(|(_, count)| *count > 0) {
        // A String takes everything.
        let _ = write!(text, "{count}{unit}");
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A length like `60d`, `36h`, `1h30m` or `90s`, up to ten years.
pub(super) fn parse_length(text: &str) -> Result<SignedDuration, String> {
    let refused = || format!("{text:?} is not a length like 60d, 36h or 90s");
    let length = match text.strip_suffix('d') {
        Some(days) => SignedDuration::from_hours(24 * days.parse::<u16>().map(i64::from).map_err(|_| refused())?),
        None => text.parse::<Duration>().map_err(|_| refused())?.length(),
    };
    if length > SignedDuration::ZERO && length <= LONGEST { Ok(length) } else { Err(refused()) }
}

/// What a verb without a picture says of one.
pub(super) const NO_PICTURE: &str = "this verb draws nothing: -o svg and -o html are for timeline";
const USUAL_COLUMNS: usize = 80;
const LEAST_COLUMNS: usize = 60;
const MOST_COLUMNS: usize = 240;
const GAP: usize = 3;
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 3660);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short() {
        let of = |seconds| length(SignedDuration::from_secs(seconds));
        assert_eq!([0, 59, 60, 3900, 86_400, 90_061].map(of), ["0s", "59s", "1m", "1h5m", "1d", "1d1h"]);
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds| relative(now + SignedDuration::from_secs(seconds), now);
        assert_eq!([0, 90, -3600].map(at), ["now", "in 1m30s", "1h ago"]);
    }

    #[test]
    fn lengths_are_read_as_people_write_them() {
        assert_eq!(parse_length("60d"), Ok(SignedDuration::from_hours(1440)));
        assert_eq!(parse_length("1h30m"), Ok(SignedDuration::from_mins(90)));
        for text in ["", "0d", "0s", "-1d", "99999d", "d", "1.5d", "tomorrow"] {
            assert!(parse_length(text).is_err(), "{text}");
        }
    }

    #[test]
    fn columns_are_aligned_and_styles_take_no_room() {
        let mut table = Table::new(&["NAME", "READY"]);
        table.row([Cell::styled("a", BAD), Cell::from("no")]);
        assert_eq!(anstream::adapter::strip_str(&table.to_string()).to_string(), "NAME   READY\na      no\n");
    }
}
