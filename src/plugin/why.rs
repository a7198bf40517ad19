//! `why`: what each step waits for. Every guard, met or not, its terms with their values, and the earliest time.

use std::fmt::{self, Display};

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::observed::{Objects, Seen, told_pass};
use super::output::{BAD, DOUBTFUL, GOOD, QUIET, STRONG, length, relative};
use super::session::Session;
use super::status::{is_alarm, word};
use super::{Answer, Outcome};
use crate::api::names::condition;
use crate::api::{Condition, ConditionStatus, Guard, KeySet, TransitionAction};
use crate::lifecycle::{Check, Clock, Pending, pending};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet to explain
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let key_set = session.key_set(&arguments.name).await?;
    let Seen { mut observed, assumptions } =
        Objects::read(session, &key_set, Some(&key_set)).await?.seen(session, &key_set).await?;
    observed.pass = Some(told_pass(&observed, session.now));
    if let Some(it) = conditions(&key_set).find(|it| is_untrusted_clock(it)) {
        observed.clock = Clock::Untrusted(it.message.clone());
    }
    let steps = pending(&observed, session.now).iter().map(Explained::of).collect();
    let current = key_set.status.as_ref().and_then(|it| it.observed_generation) == key_set.metadata.generation;
    let alarms = conditions(&key_set).filter(|it| is_alarm(it)).cloned().collect();
    let (namespace, name) = (key_set.namespace().unwrap_or_default(), key_set.name_any());
    session.print(&Report { now: session.now, namespace, name, current, alarms, steps, assumptions })?;
    Ok(Answer::Yes)
}

/// What holds a KeySet back.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(skip)]
    now: Timestamp,
    namespace: String,
    name: String,
    /// Whether the operator has answered the latest edit.
    current: bool,
    /// Conditions that people must look at.
    alarms: Vec<Condition>,
    steps: Vec<Explained>,
    assumptions: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    action: TransitionAction,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
    asked_by: String,
    /// Absent while a guard is not met that no time tells of.
    #[serde(skip_serializing_if = "Option::is_none")]
    earliest_time: Option<Timestamp>,
    guards: Vec<Explanation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    guard: Guard,
    met: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    note: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    terms: Vec<Summand>,
}

/// A length of the timing contract, with its letter and its field.
#[derive(Serialize)]
struct Summand {
    symbol: &'static str,
    field: &'static str,
    value: String,
}

impl Explained {
    fn of(step: &Pending) -> Self {
        Self {
            action: step.action,
            key_name: step.key.clone(),
            asked_by: step.asked.clone(),
            earliest_time: step.earliest_time(),
            guards: step.guards.iter().map(Explanation::of).collect(),
        }
    }
}

impl Explanation {
    fn of(check: &Check) -> Self {
        let Check { guard, met, time, terms, note } = check.clone();
        let summand = |term: crate::lifecycle::Term| Summand {
            symbol: term.symbol,
            field: term.field,
            value: length(term.value),
        };
        Self { guard, met, time, note, terms: terms.into_iter().map(summand).collect() }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{STRONG}{}/{}{STRONG:#}", self.namespace, self.name)?;
        if !self.current {
            writeln!(f, "{DOUBTFUL}The operator has not answered the latest edit yet.{DOUBTFUL:#}")?;
        }
        for it in &self.alarms {
            writeln!(f, "{BAD}{} is {:?} ({}):{BAD:#} {}", it.r#type, it.status, it.reason, it.message)?;
        }
        for step in &self.steps {
            let key = step.key_name.as_deref().unwrap_or("the next key");
            let when = match step.earliest_time {
                Some(time) if time > self.now => format!("not before {time} ({})", relative(time, self.now)),
                Some(_) => "as soon as what is open below is done".to_owned(),
                None => "no time can be told".to_owned(),
            };
            writeln!(f, "\n{STRONG}{} {key}{STRONG:#} ({}): {when}", word(step.action), step.asked_by)?;
            step.guards.iter().try_for_each(|guard| guard.line(f, self.now))?;
        }
        for it in &self.assumptions {
            writeln!(f, "\n{DOUBTFUL}Assumed:{DOUBTFUL:#} {it}")?;
        }
        Ok(())
    }
}

impl Explanation {
    fn line(&self, f: &mut fmt::Formatter<'_>, now: Timestamp) -> fmt::Result {
        let (mark, style) = if self.met { ("met ", GOOD) } else { ("open", DOUBTFUL) };
        write!(f, "  {style}{mark}{style:#} {:?}: {}", self.guard, self.note)?;
        if !self.terms.is_empty() {
            let letters: Vec<&str> = self.terms.iter().map(|term| term.symbol).collect();
            let values: Vec<&str> = self.terms.iter().map(|term| term.value.as_str()).collect();
            write!(f, "; {} = {}", letters.join(" + "), values.join(" + "))?;
        }
        if let Some(time) = self.time {
            write!(f, " {QUIET}{time} ({}){QUIET:#}", relative(time, now))?;
        }
        writeln!(f)
    }
}

fn conditions(key_set: &KeySet) -> impl Iterator<Item = &Condition> {
    key_set.status.iter().flat_map(|status| &status.conditions)
}

fn is_untrusted_clock(it: &Condition) -> bool {
    it.r#type == condition::CLOCK_UNTRUSTED && it.status == ConditionStatus::True
}
