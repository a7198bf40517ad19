//! The picture in letters: one row a key, then what is planned, in words.
//!
//! Each stage has a letter of its own before `now` and another one after it, so that it is read without colours too. No
//! stage is too short to be seen: it takes at least the place of one letter, from the longest one in its way.

use std::fmt::{self, Display, Write as _};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use super::axis::Axis;
use super::model::{Guard, Life, Stage, Timeline};
use super::text::{elide, range, wrap};
use crate::plugin::output::{BAD, Cell, DOUBTFUL, GOOD, QUIET, STRONG, Table, relative};

/// A timeline for a terminal of that many columns.
pub(super) struct Terminal<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) columns: usize,
}

impl Display for Terminal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timeline { namespace, name, from, until, .. } = self.timeline;
        let place = elide(&format!("{namespace}/{name}"), self.columns.saturating_sub(RANGE));
        writeln!(f, "{STRONG}{place}{STRONG:#}, {}\n", range(*from, *until))?;
        let labels: Vec<String> = self.timeline.shown().map(|life| self.label(life)).collect();
        if labels.is_empty() {
            return writeln!(f, "No key has a part of its life in this time.");
        }
        let gutter = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default() + 2;
        let width = self.columns.saturating_sub(gutter).max(SHORTEST);
        let rows = Rows { timeline: self.timeline, axis: self.timeline.axis(cells(width)), width };
        writeln!(f, "{:gutter$}{QUIET}{}{QUIET:#}", "", rows.now())?;
        writeln!(f, "{:gutter$}{}", "", rows.ticks())?;
        for (life, label) in self.timeline.shown().zip(labels) {
            writeln!(f, "{label:gutter$}{}", rows.row(life))?;
        }
        writeln!(f, "\n{}", self.legend())?;
        for line in guards(self.timeline).iter().flat_map(|guard| wrap(guard, self.columns)) {
            writeln!(f, "{QUIET}{line}{QUIET:#}")?;
        }
        self.plan(f)?;
        let granted = self.timeline.assumptions.iter().map(|it| format!("Taken for granted: {it}"));
        let lines = granted.flat_map(|it| wrap(&it, self.columns));
        lines.map(|line| format!("{DOUBTFUL}{line}{DOUBTFUL:#}\n")).try_for_each(|line| f.write_str(&line))
    }
}

impl Terminal<'_> {
    /// The algorithm is told where keys differ in it.
    fn label(&self, life: &Life) -> String {
        let name = elide(&life.name, LONGEST_NAME);
        let mut others = self.timeline.keys.iter().map(|life| life.algorithm);
        if others.any(|other| other != life.algorithm) { format!("{name} {}", life.algorithm) } else { name }
    }

    fn legend(&self) -> String {
        let mut stages: Vec<Stage> = Vec::new();
        for span in self.timeline.shown().flat_map(|life| &life.spans) {
            if !stages.contains(&span.stage) {
                stages.push(span.stage);
            }
        }
        let (mut text, mut length) = (String::new(), 0);
        for stage in STAGES.into_iter().filter(|stage| stages.contains(stage)) {
            let (style, (past, planned), word) = (style(stage), letters(stage), stage.word());
            let room = SWATCH + word.chars().count();
            let gap = match length {
                0 => "",
                _ if length + 2 + room <= self.columns => "  ",
                _ => "\n",
            };
            length = if gap == "  " { length + 2 + room } else { room };
            // A String takes everything.
            let _ = write!(text, "{gap}{style}{past}{past}{planned}{planned}{style:#} {word}");
        }
        text
    }

    fn plan(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planned = self.timeline.planned();
        if planned.is_empty() {
            return writeln!(f, "\nNothing is planned in this time.");
        }
        let mut table = Table::new(&["NOT BEFORE", "THAT IS", "STEP"]);
        for (time, step) in planned.iter().take(MOST_STEPS) {
            let time = (time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), relative(*time, self.timeline.now));
            table.row([Cell::from(time.0), Cell::from(time.1), Cell::from(step.words(LONGEST_NAME))]);
        }
        write!(f, "\n{table}")?;
        match planned.len().saturating_sub(MOST_STEPS) {
            0 => Ok(()),
            more => writeln!(f, "and {more} more: see -o yaml"),
        }
    }
}

/// What has the width of the axis.
struct Rows<'a> {
    timeline: &'a Timeline,
    axis: Axis,
    width: usize,
}

impl Rows<'_> {
    /// The column that a time begins.
    fn column(&self, time: Timestamp) -> usize {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the width")]
        let column = self.axis.at(time).round() as usize;
        column.min(self.width - 1)
    }

    fn now(&self) -> String {
        if self.timeline.now < self.timeline.from || self.timeline.now > self.timeline.until {
            return String::new();
        }
        let at = self.column(self.timeline.now);
        match at + "╷now".chars().count() {
            end if end <= self.width => format!("{:at$}╷now", ""),
            _ => format!("{:>1$}", "now╷", at + 1),
        }
    }

    fn ticks(&self) -> String {
        let mut line = String::new();
        for tick in self.axis.ticks(1.0) {
            let (at, length) = (self.column(tick.time), line.chars().count());
            if at >= length && at + 1 + tick.label.len() <= self.width {
                let _ = write!(line, "{:1$}╷{2}", "", at - length, tick.label);
            }
        }
        line
    }

    fn row(&self, life: &Life) -> String {
        let now = self.column(self.timeline.now);
        let in_window = self.timeline.now >= self.timeline.from && self.timeline.now <= self.timeline.until;
        let mut cells: Vec<(char, Style)> = vec![(' ', Style::new()); self.width];
        if in_window {
            cells[now] = ('│', QUIET);
        }
        let mut spans: Vec<(usize, usize, Stage)> = Vec::new();
        for span in &life.spans {
            if let Some((from, until)) = self.timeline.clip(span.from, span.until) {
                let first = self.column(from);
                let end = if until == self.timeline.until { self.width } else { self.column(until) };
                spans.push((first, end.max(first + 1), span.stage));
            }
        }
        // The longest ones make room for the shorter ones.
        spans.sort_by_key(|(first, end, _)| std::cmp::Reverse(end - first));
        for (first, end, stage) in spans {
            for (column, cell) in cells.iter_mut().enumerate().take(end).skip(first) {
                let (past, planned) = letters(stage);
                let is_planned = self.timeline.now < self.timeline.from || (in_window && column >= now);
                *cell = (if is_planned { planned } else { past }, style(stage));
            }
        }
        painted(&cells)
    }
}

/// One style for each run of letters, nothing behind the last one.
fn painted(cells: &[(char, Style)]) -> String {
    let end = cells.iter().rposition(|(letter, _)| *letter != ' ').map_or(0, |last| last + 1);
    let mut line = String::new();
    for run in cells[..end].chunk_by(|one, other| one.1 == other.1) {
        let style = run[0].1;
        let text: String = run.iter().map(|(letter, _)| letter).collect();
        let _ = write!(line, "{style}{text}{style:#}");
    }
    line
}

/// The sums of the contract that the picture shows, each once.
fn guards(timeline: &Timeline) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for guard in timeline.shown().flat_map(|life| &life.guards) {
        let line = guard.lengths().map(|lengths| format!("{} = {lengths}: {}", guard.letters(), why(guard)));
        told.extend(line.filter(|line| !told.contains(line)));
    }
    told
}

fn why(guard: &Guard) -> &'static str {
    if guard.terms.len() == 2 { "until no copy is without the key" } else { "until no token of the key is left" }
}

fn cells(width: usize) -> f64 {
    u16::try_from(width).map_or(f64::from(u16::MAX), f64::from)
}

/// How it looks before now, and after.
fn letters(stage: Stage) -> (char, char) {
    match stage {
        Stage::Staged => ('·', '·'),
        Stage::Published => ('┄', '┄'),
        Stage::Standby => ('━', '─'),
        Stage::Active => ('█', '░'),
        Stage::Retiring => ('▄', '▁'),
        Stage::Revoked => ('×', '×'),
        Stage::External => ('═', '═'),
    }
}

fn style(stage: Stage) -> Style {
    match stage {
        Stage::Staged | Stage::Published => QUIET,
        Stage::Standby => AnsiColor::Blue.on_default(),
        Stage::Active => GOOD,
        Stage::Retiring => DOUBTFUL,
        Stage::Revoked => BAD,
        Stage::External => AnsiColor::Cyan.on_default(),
    }
}

const STAGES: [Stage; 7] =
    [Stage::Staged, Stage::Published, Stage::Standby, Stage::Active, Stage::Retiring, Stage::Revoked, Stage::External];
/// The times behind the name of the set.
const RANGE: usize = ", 2026-01-01 00:00:00 to 2026-01-01 00:00:00 UTC".len();
/// Four letters of a stage, and a space.
const SWATCH: usize = 5;
const LONGEST_NAME: usize = 18;
/// The least columns that are worth drawing in.
const SHORTEST: usize = 20;
const MOST_STEPS: usize = 12;
