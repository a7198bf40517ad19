//! `doctor`: whether all is as it should be, as far as its caller may see.
//!
//! Invariants: nothing is written; each check stands alone, so that one that cannot be made hides no other; what was not
//! looked at is `SKIPPED` with the reason, never `OK`. Secrets are not read.

mod access;
mod cluster;
mod installation;
mod served;
mod sets;
mod url;

use std::fmt::{self, Display};
use std::path::PathBuf;

use http::Uri;
use kube::Api;
use kube::api::ListParams;
use serde::Serialize;

use super::output::{BAD, Cell, DOUBTFUL, GOOD, QUIET, Table};
use super::session::Session;
use super::web::Web;
use super::{Answer, Error, Outcome};
use crate::api::KeySet;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet to look at [default: all of the namespace]
    #[arg(value_name = "NAME", conflicts_with = "all_namespaces")]
    name: Option<String>,
    /// KeySets of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// URL that verifiers have for the set
    #[arg(long, value_name = "URL", requires = "name")]
    url: Option<Uri>,
    /// Public address of each replica of the server [default: its Pods, through the API server]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    server_endpoint: Vec<Uri>,
    /// PEM file of the CAs that certify the URLs [default: those of the system]
    #[arg(long, value_name = "FILE", hide_default_value = true)]
    ca_file: Option<PathBuf>,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let web = Web::new(arguments.ca_file.as_deref())?;
    let mut checks = cluster::checks(session).await;
    checks.extend(access::checks(session).await);
    let installation = installation::find(session).await;
    checks.extend(installation.checks(session).await);
    match key_sets(session, arguments).await {
        Ok(key_sets) => {
            checks.push(cluster::clock(session, &key_sets).await);
            checks.extend(sets::checks(&key_sets));
            checks.extend(served::checks(session, &web, &arguments.server_endpoint, &installation, &key_sets).await);
            if let (Some(url), [key_set]) = (&arguments.url, &key_sets[..]) {
                checks.extend(url::checks(&web, url, key_set).await);
            }
        }
        Err(error @ Error::NotFound { .. }) => return Err(error),
        Err(error) => checks.push(Check::skipped("KeySets", error.to_string())),
    }
    let answer = if checks.iter().any(|check| check.verdict == Verdict::Fail) { Answer::No } else { Answer::Yes };
    session.print(&Report { checks })?;
    Ok(answer)
}

async fn key_sets(session: &Session, arguments: &Arguments) -> Result<Vec<KeySet>, Error> {
    if let Some(name) = &arguments.name {
        return Ok(vec![session.key_set(name).await?]);
    }
    let api = if arguments.all_namespaces { Api::all(session.client.clone()) } else { session.key_sets() };
    Ok(api.list(&ListParams::default()).await.map_err(Error::api)?.items)
}

#[derive(Serialize)]
struct Report {
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    subject: String,
    verdict: Verdict,
    /// What was found, and what to do about it.
    found: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verdict {
    Ok,
    Warn,
    Fail,
    Skipped,
}

impl Check {
    fn ok(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Ok, found: found.into() }
    }

    fn warn(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Warn, found: found.into() }
    }

    fn fail(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Fail, found: found.into() }
    }

    fn skipped(subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Skipped, found: why.into() }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["VERDICT", "ABOUT", "FOUND"]);
        for Check { subject, verdict, found } in &self.checks {
            let (word, style) = match verdict {
                Verdict::Ok => ("OK", GOOD),
                Verdict::Warn => ("WARN", DOUBTFUL),
                Verdict::Fail => ("FAIL", BAD),
                Verdict::Skipped => ("SKIPPED", QUIET),
            };
            table.row([Cell::styled(word, style), subject.as_str().into(), found.as_str().into()]);
        }
        table.fmt(f)
    }
}
