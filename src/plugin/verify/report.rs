//! The verdict for people and for programs.

use std::fmt::{self, Display};

use serde::Serialize;

use super::{Check, Outcome, Verdict};
use crate::plugin::output::{BAD, Cell, DOUBTFUL, GOOD, QUIET, STRONG, Table};

/// What `verify` answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    valid: bool,
    /// The check that decided against it.
    refused_for: Option<&'static str>,
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(verdict: Verdict) -> Self {
        let refused_for = verdict.refusal().map(|check| check.name);
        Self { valid: verdict.is_valid(), refused_for, checks: verdict.checks }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["CHECK", "RESULT", "WHY"]);
        for Check { name, outcome, explanation } in &self.checks {
            let (word, style) = match outcome {
                Outcome::Passed => ("passed", GOOD),
                Outcome::Advice => ("advice", DOUBTFUL),
                Outcome::Skipped => ("skipped", QUIET),
                Outcome::Failed => ("failed", BAD),
            };
            let mut lines = wrapped(explanation).into_iter();
            table.row([Cell::from(*name), Cell::styled(word, style), Cell::from(lines.next().unwrap_or_default())]);
            for line in lines {
                table.row(["", "", &line].map(Cell::from));
            }
        }
        writeln!(f, "{table}")?;
        match self.refused_for {
            None => writeln!(f, "{GOOD}Valid{GOOD:#}: a verifier that asks for the same accepts it."),
            Some(name) => writeln!(f, "{BAD}Not valid{BAD:#}: a verifier refuses it for its {STRONG}{name}{STRONG:#}."),
        }
    }
}

/// Lines that fit beside the first two columns in a terminal of 80.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const WIDTH: usize = 57;
