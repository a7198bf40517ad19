//! What a verdict consists of.

use serde::Serialize;
use serde_json::Value;

/// One thing that a verifier looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, as docs/verify.md lists it.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found, what it means, and what to do. Text of the token is quoted and escaped.
    pub explanation: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// A verifier goes on.
    Passed,
    /// A verifier goes on, and people should look.
    Advice,
    /// It could not be looked at, because of something else that failed, or was not asked for.
    Skipped,
    /// A verifier refuses the token.
    Failed,
}

/// All checks, in the order in which they decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// None is left out because an earlier one failed, as long as it can be told.
    pub checks: Vec<Check>,
}

/// The outcome of a check and its explanation.
pub(super) struct Finding(Outcome, String);

impl Verdict {
    /// Whether a verifier accepts the token.
    pub fn is_valid(&self) -> bool {
        self.refusal().is_none()
    }

    /// The check that decides: the first that failed.
    pub fn refusal(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.outcome == Outcome::Failed)
    }

    pub(super) fn note(&mut self, name: &'static str, Finding(outcome, explanation): Finding) {
        self.checks.push(Check { name, outcome, explanation });
    }

    /// Notes why there is no value, or what the value is.
    pub(super) fn keep<T>(
        &mut self,
        name: &'static str,
        value: Result<T, String>,
        told: impl FnOnce(&T) -> Finding,
    ) -> Option<T> {
        let (finding, value) = match value {
            Ok(value) => (told(&value), Some(value)),
            Err(why) => (failed(why), None),
        };
        self.note(name, finding);
        value
    }
}

pub(super) fn passed(explanation: impl Into<String>) -> Finding {
    Finding(Outcome::Passed, explanation.into())
}

pub(super) fn advice(explanation: impl Into<String>) -> Finding {
    Finding(Outcome::Advice, explanation.into())
}

pub(super) fn skipped(explanation: impl Into<String>) -> Finding {
    Finding(Outcome::Skipped, explanation.into())
}

pub(super) fn failed(explanation: impl Into<String>) -> Finding {
    Finding(Outcome::Failed, explanation.into())
}

/// A value of a token or of a set for a terminal: it comes from a stranger, so nothing in it may move the cursor, and it
/// may be of any length.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => {
            let text = other.to_string();
            let plain = text.chars().all(|c| matches!(c, ' '..='~'));
            if plain && text.len() <= LONGEST { text } else { quoted(&text) }
        }
    }
}

/// A text in quotes, without what a terminal would obey.
pub(super) fn quoted(text: &str) -> String {
    let (short, more) = match text.char_indices().nth(LONGEST) {
        Some((end, _)) => (&text[..end], "..."),
        None => (text, ""),
    };
    format!("{short:?}{more}")
}

/// What a value is, for a message about what it should be.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Names of algorithms and of other things, for a sentence.
pub(super) fn list(names: impl IntoIterator<Item = impl ToString>) -> String {
    names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// `1 key`, `2 keys`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// In characters.
const LONGEST: usize = 100;
