//! `plan`: what an edit would do, foretold by the operator's own rules from the live objects. Nothing is written.
//!
//! The API server judges the edit first, by a dry run; then the forecast of the KeySet as it is and as it would be tell
//! what is done at once, what is done later, and what moves.

mod edit;
mod foretold;
mod moves;

use std::fmt::{self, Display};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde::Serialize;

use self::edit::{Change, Edit, Judged};
use self::foretold::{Foretold, foretold};
use self::moves::{Move, moves};
use super::observed::{Objects, Seen};
use super::output::{self, BAD, Cell, DOUBTFUL, GOOD, QUIET, STRONG, Table, relative};
use super::session::Session;
use super::status::is_alarm;
use super::{Answer, Error, Outcome};
use crate::api::{Condition, KeySet, KeySetStatus};
use crate::forecast::{Forecast, forecast};
use crate::lifecycle::Contract;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet to look ahead for; with -f, the one of the file that is meant
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,
    /// Manifest with the KeySet as you want it, - for standard input
    #[arg(short, long, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Plan what a server-side apply by this field manager would do, instead of taking the file for the whole spec
    #[arg(long, value_name = "NAME", requires = "filename")]
    field_manager: Option<String>,
    /// How far to look ahead, such as 45d or 12h [default: one rotation, until its key has left]
    #[arg(long, value_name = "DURATION", value_parser = output::parse_length)]
    until: Option<SignedDuration>,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let Some(filename) = &arguments.filename else {
        let key_set = session.key_set(arguments.name.as_deref().unwrap_or_default()).await?;
        let report = Report::of(session, Some(&key_set), &key_set, Vec::new(), arguments.until).await?;
        session.print(&report)?;
        return Ok(Answer::Yes);
    };
    let edit = Edit::read(filename, arguments.name.as_deref(), &session.namespace)?;
    let live = edit.live(session).await?;
    match edit.judge(session, live.as_ref(), arguments.field_manager.as_deref()).await? {
        Judged::Refused(refused) => {
            session.print(&Refusal { namespace: edit.namespace, name: edit.name, refused })?;
            Ok(Answer::No)
        }
        Judged::Taken(edited) => {
            let changes = edit::changes(live.as_ref(), &edited);
            session.print(&Report::of(session, live.as_ref(), &edited, changes, arguments.until).await?)?;
            Ok(Answer::Yes)
        }
    }
}

/// What the API server does not take.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    namespace: String,
    name: String,
    /// One for each rule that is broken.
    refused: Vec<String>,
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{BAD}The API server would refuse {}/{}:{BAD:#}", self.namespace, self.name)?;
        self.refused.iter().try_for_each(|why| writeln!(f, "  {why}"))
    }
}

/// What an edit would do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(skip)]
    now: Timestamp,
    namespace: String,
    name: String,
    /// Fields of the spec that differ.
    changes: Vec<Change>,
    /// What the operator does at once.
    at_once: Vec<Foretold>,
    /// What it does later, at the earliest.
    later: Vec<Foretold>,
    /// What would happen at another time than without the edit, or not at all.
    moves: Vec<Move>,
    /// What is taken for granted.
    assumptions: Vec<String>,
    /// How far it was looked ahead.
    until: Timestamp,
    /// The status once all that is done at once is done.
    settled: KeySetStatus,
    /// The status at the end of the time that was looked ahead.
    eventually: KeySetStatus,
}

impl Report {
    async fn of(
        session: &Session,
        live: Option<&KeySet>,
        edited: &KeySet,
        changes: Vec<Change>,
        until: Option<SignedDuration>,
    ) -> Result<Self, Error> {
        let now = session.now;
        let objects = Objects::read(session, edited, live).await?;
        let until =
            now.checked_add(until.unwrap_or_else(|| Contract::new(&edited.spec).cycle())).unwrap_or(Timestamp::MAX);
        let Seen { observed, assumptions } = objects.seen(session, edited).await?;
        let ahead = forecast(observed.clone(), now, until);
        let told = foretold(&observed, &ahead);
        let moves = match live {
            Some(live) => {
                let as_it_is = objects.seen(session, live).await?.observed;
                moves(&foretold(&as_it_is, &forecast(as_it_is.clone(), now, until)), &told)
            }
            None => Vec::new(),
        };
        let (at_once, later) = told.into_iter().partition(|it: &Foretold| it.time <= now);
        Ok(Self {
            now,
            namespace: edited.namespace().unwrap_or_default(),
            name: edited.name_any(),
            changes,
            at_once,
            later,
            moves,
            assumptions,
            until,
            settled: settled(&ahead, edited, now),
            eventually: ahead.end.key_set.status,
        })
    }

    fn table(&self, foretold: &[Foretold]) -> Table {
        let mut table = Table::new(&["WHEN", "NOT BEFORE", "WHAT"]);
        for it in foretold.iter().filter(|it| it.is_news()) {
            let style = if it.is_switch() { GOOD } else { anstyle::Style::new() };
            let when = if it.time <= self.now { "at once".to_owned() } else { relative(it.time, self.now) };
            table.row([
                Cell::from(when),
                Cell::styled(it.time.to_string(), QUIET),
                Cell::styled(it.text.as_str(), style),
            ]);
        }
        table
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{STRONG}{}/{}{STRONG:#}", self.namespace, self.name)?;
        if !self.changes.is_empty() {
            writeln!(f, "\nChanges:")?;
            self.changes.iter().try_for_each(|change| writeln!(f, "  {change}"))?;
        }
        let mut all = self.at_once.clone();
        all.extend(self.later.iter().take(MOST_SHOWN).cloned());
        if all.iter().any(Foretold::is_news) {
            write!(f, "\nThe operator will:\n{}", self.table(&all))?;
        } else {
            writeln!(f, "\nThe operator will do nothing until {}.", self.until)?;
        }
        if let Some(more) = self.later.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
            writeln!(f, "... and {more} more until {}; see -o json", self.until)?;
        }
        if !self.moves.is_empty() {
            writeln!(f, "\nBecause of the edit:")?;
            self.moves.iter().try_for_each(|it| writeln!(f, "  {it}"))?;
        }
        let alarms: Vec<&Condition> = self.settled.conditions.iter().filter(|it| is_alarm(it)).collect();
        if !alarms.is_empty() {
            writeln!(f, "\n{BAD}It would say:{BAD:#}")?;
            alarms.iter().try_for_each(|it| writeln!(f, "  {} ({}): {}", it.r#type, it.reason, it.message))?;
        }
        if !self.assumptions.is_empty() {
            writeln!(f, "\n{DOUBTFUL}Assumed:{DOUBTFUL:#}")?;
            self.assumptions.iter().try_for_each(|it| writeln!(f, "  {it}"))?;
        }
        Ok(())
    }
}

/// The status after everything that is done at once.
fn settled(ahead: &Forecast, edited: &KeySet, now: Timestamp) -> KeySetStatus {
    let last = ahead.steps.iter().take_while(|step| step.time <= now).last();
    last.map_or_else(|| edited.status.clone().unwrap_or_default(), |step| step.status.clone())
}

const MOST_SHOWN: usize = 40;
