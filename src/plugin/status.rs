//! `status`: who signs, what comes next and when, and what people must look at.

use std::fmt::{self, Display};

use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde::Serialize;

use super::output::{BAD, Cell, DOUBTFUL, GOOD, QUIET, STRONG, Table, relative};
use super::session::Session;
use super::{Answer, Error, Outcome};
use crate::api::names::condition;
use crate::api::{Condition, ConditionStatus, KeySet, KeySetStatus, KeyState, KeyStatus, TransitionAction};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet to show in full
    #[arg(value_name = "NAME", conflicts_with = "all_namespaces")]
    name: Option<String>,
    /// KeySets of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    if let Some(name) = &arguments.name {
        let report = Detail::of(&session.key_set(name).await?, session.now);
        session.print(&report)?;
        return Ok(Answer::Yes);
    }
    let all = if arguments.all_namespaces { Api::all(session.client.clone()) } else { session.key_sets() };
    let key_sets: Vec<KeySet> = all.list(&ListParams::default()).await.map_err(Error::api)?.items;
    session.print(&Overview {
        now: session.now,
        namespaced: !arguments.all_namespaces,
        key_sets: key_sets.iter().map(Line::of).collect(),
    })?;
    Ok(Answer::Yes)
}

/// One line for each KeySet.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Overview {
    #[serde(skip)]
    now: Timestamp,
    #[serde(skip)]
    namespaced: bool,
    key_sets: Vec<Line>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    namespace: String,
    name: String,
    algorithm: String,
    active_key_name: Option<String>,
    key_count: Option<i32>,
    next_action: Option<TransitionAction>,
    next_earliest_time: Option<Timestamp>,
    ready: ConditionStatus,
    reason: Option<String>,
    /// Conditions that people must look at, by type.
    attention: Vec<String>,
}

/// One KeySet in full.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(skip)]
    now: Timestamp,
    namespace: String,
    name: String,
    status: KeySetStatus,
    /// Whether the status answers the spec as it is now.
    current: bool,
}

impl Line {
    fn of(key_set: &KeySet) -> Self {
        let status = key_set.status.clone().unwrap_or_default();
        let ready = find(&status, condition::READY);
        let next = status.next_transition.as_ref();
        Self {
            namespace: key_set.namespace().unwrap_or_default(),
            name: key_set.name_any(),
            algorithm: key_set.spec.algorithm.to_string(),
            active_key_name: status.active_key_name.clone(),
            key_count: status.publication.as_ref().and_then(|it| it.key_count),
            next_action: next.map(|it| it.action),
            next_earliest_time: next.and_then(|it| it.earliest_time),
            ready: ready.map_or(ConditionStatus::Unknown, |it| it.status),
            reason: ready.map(|it| it.reason.clone()),
            attention: status.conditions.iter().filter(|it| is_alarm(it)).map(|it| it.r#type.clone()).collect(),
        }
    }
}

impl Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key_sets.is_empty() {
            return writeln!(f, "There are no KeySets here.");
        }
        let titles = ["NAMESPACE", "NAME", "ALGORITHM", "ACTIVE", "KEYS", "READY", "NEXT", "NOT BEFORE", "ATTENTION"];
        let skipped = usize::from(self.namespaced);
        let mut table = Table::new(&titles[skipped..]);
        for line in &self.key_sets {
            let next = line.next_earliest_time.map(|time| relative(time, self.now));
            let attention = if line.attention.is_empty() { "-".to_owned() } else { line.attention.join(",") };
            let cells = [
                Cell::from(line.namespace.as_str()),
                Cell::styled(line.name.as_str(), STRONG),
                Cell::from(line.algorithm.as_str()),
                Cell::of(line.active_key_name.as_deref()),
                Cell::of(line.key_count),
                told(line.ready, line.reason.as_deref()),
                Cell::of(line.next_action.map(word)),
                Cell::of(next),
                Cell::styled(attention, if line.attention.is_empty() { QUIET } else { BAD }),
            ];
            table.row(cells.into_iter().skip(skipped));
        }
        table.fmt(f)
    }
}

impl Detail {
    fn of(key_set: &KeySet, now: Timestamp) -> Self {
        let status = key_set.status.clone().unwrap_or_default();
        let current = status.observed_generation == key_set.metadata.generation;
        let (namespace, name) = (key_set.namespace().unwrap_or_default(), key_set.name_any());
        Self { now, namespace, name, status, current }
    }

    fn keys(&self) -> Table {
        let mut table = Table::new(&["KEY", "STATE", "ALGORITHM", "KID", "NEXT FOR IT"]);
        for key in &self.status.keys {
            table.row([
                Cell::from(key.name.as_str()),
                Cell::styled(format!("{:?}", key.state), state_style(key.state)),
                Cell::of(key.algorithm),
                Cell::of(key.key_id.as_ref().map(crate::jose::KeyId::as_str)),
                Cell::from(prospect(key, self.now)),
            ]);
        }
        table
    }

    fn conditions(&self) -> Table {
        let mut table = Table::new(&["CONDITION", "STATUS", "REASON", "MESSAGE"]);
        for condition in &self.status.conditions {
            let style = if is_alarm(condition) { BAD } else { QUIET };
            table.row([
                Cell::from(condition.r#type.as_str()),
                Cell::styled(format!("{:?}", condition.status), style),
                Cell::from(condition.reason.as_str()),
                Cell::from(condition.message.as_str()),
            ]);
        }
        table
    }
}

impl Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{STRONG}{}/{}{STRONG:#}", self.namespace, self.name)?;
        if !self.current {
            writeln!(f, "{DOUBTFUL}The operator has not answered the latest edit yet.{DOUBTFUL:#}")?;
        }
        let status = &self.status;
        if let Some(rotation) = &status.last_rotation {
            let (time, reason) = (rotation.time, rotation.reason);
            writeln!(f, "{} signs since {time} ({}, {reason:?}).", rotation.key_name, relative(time, self.now))?;
        }
        if let Some(next) = &status.next_transition {
            let key = next.key_name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
            let time = next.earliest_time.map(|time| format!(", not before {time} ({})", relative(time, self.now)));
            let waiting = next.waiting_for;
            writeln!(f, "Next: {}{key}{}; waiting for {waiting:?}.", word(next.action), time.unwrap_or_default())?;
        }
        if !status.keys.is_empty() {
            write!(f, "\n{}", self.keys())?;
        }
        for revocation in &status.revocations {
            let end =
                revocation.exposure_end_time.map(|end| format!(", exposure ends {end} ({})", relative(end, self.now)));
            writeln!(
                f,
                "\nRevocation of {}: {:?}{}",
                revocation.key_id.as_str(),
                revocation.state,
                end.unwrap_or_default()
            )?;
        }
        write!(f, "\n{}", self.conditions())
    }
}

/// What the life of the key has next, as far as its times tell.
fn prospect(key: &KeyStatus, now: Timestamp) -> String {
    let at = |what: &str, time: Option<Timestamp>| time.map(|time| format!("{what} {}", relative(time, now)));
    let text = match key.state {
        KeyState::Published => at("may sign", key.earliest_activation_time),
        KeyState::Standby => Some("may sign".to_owned()),
        KeyState::Active => at("signs since", key.activation_time),
        KeyState::Retiring => at("may leave", key.earliest_removal_time),
        KeyState::Pending | KeyState::Removed | KeyState::Revoked | KeyState::External => None,
    };
    text.unwrap_or_else(|| "-".to_owned())
}

fn find<'a>(status: &'a KeySetStatus, r#type: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|it| it.r#type == r#type)
}

/// Whether the condition says something that people must look at.
pub(super) fn is_alarm(condition: &Condition) -> bool {
    match condition.r#type.as_str() {
        condition::READY | condition::ACCEPTED | condition::PUBLISHED => condition.status == ConditionStatus::False,
        condition::STANDBY_READY | condition::RECONCILING => false,
        _ => condition.status == ConditionStatus::True,
    }
}

fn told(ready: ConditionStatus, reason: Option<&str>) -> Cell {
    match ready {
        ConditionStatus::True => Cell::styled("True", GOOD),
        ConditionStatus::False => Cell::styled(reason.unwrap_or("False"), BAD),
        ConditionStatus::Unknown => Cell::styled("Unknown", DOUBTFUL),
    }
}

fn state_style(state: KeyState) -> anstyle::Style {
    match state {
        KeyState::Active => GOOD,
        KeyState::Revoked => BAD,
        KeyState::Retiring | KeyState::Removed => QUIET,
        _ => anstyle::Style::new(),
    }
}

/// A step as people say it.
pub(super) fn word(action: TransitionAction) -> &'static str {
    match action {
        TransitionAction::Generate => "generate",
        TransitionAction::Publish => "publish",
        TransitionAction::Activate => "activate",
        TransitionAction::DestroyPrivateKey => "destroy the private half of",
        TransitionAction::Remove => "remove",
        TransitionAction::Revoke => "revoke",
    }
}
