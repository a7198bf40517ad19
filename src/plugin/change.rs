//! A change of the spec: printed, tried or written, with what follows from it and who may undo it.
//!
//! Written as a merge patch with the resourceVersion of what was read, by the field manager `keyset-cli`. So the manager
//! comes to own what it changed and nothing else, an entry of a list beside those of others too; what others own and it
//! changes it takes over without asking, since an emergency must work; and nobody's edit of the same moment is lost. An
//! apply would have to repeat whatever an earlier verb wrote, or would take it away.

use std::fmt::{self, Display};

use clap::ValueEnum;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::Error;
use super::keys::Known;
use super::output::{self, DOUBTFUL, STRONG, relative};
use super::ownership::{self, Owner, Step};
use super::session::Session;
use super::{Answer, Outcome};
use crate::api::names::CLI_FIELD_MANAGER;
use crate::api::{KeySet, RevocationStatus};

/// What every verb takes that writes.
#[derive(Debug, clap::Args)]
pub(super) struct Writing {
    /// Print the YAML to commit, and write nothing
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) print: bool,
    /// Let the API server check the change without storing it
    #[arg(long, value_name = "WHERE", value_enum)]
    pub(super) dry_run: Option<DryRun>,
}

/// What every verb takes that takes a value away.
#[derive(Debug, clap::Args)]
pub(super) struct Taking {
    #[command(flatten)]
    pub(super) writing: Writing,
    /// Take it away even if somebody else has it and puts it back at the next sync
    #[arg(long)]
    pub(super) force: bool,
}

/// Where a change is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DryRun {
    /// By the API server
    Server,
}

/// What a verb makes of the spec, and what follows.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) wish: Wish,
    /// What is so then, in a sentence.
    pub(super) done: String,
    /// When it shows, as far as that is known.
    pub(super) earliest_time: Option<Timestamp>,
    /// What follows, a sentence each.
    pub(super) consequences: Vec<String>,
    /// What to look out for.
    pub(super) warnings: Vec<String>,
}

/// A value in the spec, or its absence.
#[derive(Debug)]
pub(super) struct Wish {
    place: Place,
    value: Option<Value>,
}

#[derive(Debug)]
enum Place {
    Rotation(&'static str),
    Entry { list: &'static str, key: Value },
}

impl Wish {
    /// A field of `rotation`.
    pub(super) fn rotation(field: &'static str, value: Option<Value>) -> Self {
        Self { place: Place::Rotation(field), value }
    }

    /// The entry of a list that has this key.
    pub(super) fn entry(list: &'static str, key: Value, value: Option<Value>) -> Self {
        Self { place: Place::Entry { list, key }, value }
    }

    fn path(&self) -> Vec<Step> {
        match &self.place {
            Place::Rotation(field) => ownership::spec([Step::Field("rotation"), Step::Field(field)]),
            Place::Entry { list, key } => ownership::spec([Step::Field(list), Step::Entry(key.clone())]),
        }
    }

    /// The place as people say it.
    fn spoken(&self) -> String {
        match &self.place {
            Place::Rotation(field) => format!("spec.rotation.{field}"),
            Place::Entry { list, key } => format!("the entry of spec.{list} for {}", spoken_key(key)),
        }
    }

    /// What a document is about that changes nothing else.
    fn subject(&self) -> &'static str {
        match &self.place {
            Place::Rotation(name) | Place::Entry { list: name, .. } => name,
        }
    }

    /// What is there now.
    fn current<'a>(&self, spec: &'a Value) -> Option<&'a Value> {
        match &self.place {
            Place::Rotation(field) => spec["rotation"].get(field),
            Place::Entry { list, key } => spec[list].as_array()?.iter().find(|entry| has(entry, key)),
        }
    }

    /// The merge patch (RFC 7396) of the spec. It has no way to change one entry of a list: the list is given as it was read.
    fn patch(&self, spec: &Value) -> Value {
        match &self.place {
            Place::Rotation(field) => json!({ "rotation": { *field: self.value } }),
            Place::Entry { list, key } => {
                let mut entries = spec[list].as_array().cloned().unwrap_or_default();
                match (entries.iter().position(|entry| has(entry, key)), &self.value) {
                    (Some(index), Some(value)) => entries[index] = value.clone(),
                    (Some(index), None) => drop(entries.remove(index)),
                    (None, Some(value)) => entries.push(value.clone()),
                    (None, None) => {}
                }
                json!({ *list: Some(entries).filter(|entries| !entries.is_empty()) })
            }
        }
    }

    /// The part of the manifest that goes.
    fn taken(&self, spec: &Value) -> Value {
        let current = self.current(spec);
        match &self.place {
            Place::Rotation(field) => json!({ "rotation": { *field: current } }),
            Place::Entry { list, .. } => json!({ *list: [current] }),
        }
    }
}

/// What was stored, and what is to be told of it.
pub(super) struct Written {
    pub(super) key_set: KeySet,
    pub(super) report: Report,
}

/// Carries out what `decide` makes of the KeySet, and tells.
pub(super) async fn perform(
    session: &Session,
    name: &str,
    writing: &Writing,
    decide: impl FnMut(&Known) -> Result<Change, Error>,
) -> Outcome {
    if let Some(written) = write(session, name, writing, decide, |_| Ok(())).await? {
        session.print(&written.report)?;
    }
    Ok(Answer::Yes)
}

/// Stores what `decide` makes of the KeySet as it is, and `agree` is content with; again, if somebody else wrote at the same
/// time. `None` if it was only to be printed.
pub(super) async fn write(
    session: &Session,
    name: &str,
    writing: &Writing,
    mut decide: impl FnMut(&Known) -> Result<Change, Error>,
    mut agree: impl FnMut(&Change) -> Result<(), Error>,
) -> Result<Option<Written>, Error> {
    let mut attempts = 0;
    loop {
        let known = Known::read(session, name).await?;
        let mut change = decide(&known)?;
        if writing.print {
            output::print(&manifest(session, &known, &change)?)?;
            return Ok(None);
        }
        let (told, warnings) = undoing(&known, &change.wish);
        change.consequences.extend(told);
        change.warnings.extend(warnings);
        if writing.dry_run.is_none() {
            agree(&change)?;
        }
        attempts += 1;
        match store(session, &known, &change.wish, writing.dry_run).await {
            Ok(key_set) => {
                let report = Report::of(session, name, change, writing.dry_run.is_some());
                return Ok(Some(Written { key_set, report }));
            }
            Err(kube::Error::Api(status)) if status.code == 409 && attempts < ATTEMPTS => {}
            Err(error) => return Err(session.absent(name, error)),
        }
    }
}

/// Refuses to take away what somebody else puts back.
pub(super) fn check_taking(known: &Known, wish: &Wish, taking: &Taking) -> Result<(), Error> {
    let owners = ownership::owners(&known.key_set, &wish.path());
    match owners.iter().find(|owner| owner.comes_back()) {
        Some(owner) if !taking.force && !taking.writing.print => Err(Error::Refused(format!(
            "{} is {}'s, which puts it back when it is applied again: take it out of the manifest (--print shows what), \
             or give --force to be without it until then",
            wish.spoken(),
            owner.manager
        ))),
        _ => Ok(()),
    }
}

async fn store(session: &Session, known: &Known, wish: &Wish, dry_run: Option<DryRun>) -> Result<KeySet, kube::Error> {
    let version = &known.key_set.metadata.resource_version;
    let patch = json!({ "metadata": { "resourceVersion": version }, "spec": wish.patch(&known.spec) });
    let params = PatchParams {
        dry_run: dry_run.is_some(),
        field_manager: Some(CLI_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    session.key_sets().patch(&known.name(), &params, &Patch::Merge(patch)).await
}

/// What becomes of the change when the manifest is applied again: what is to be told, and what is to be warned of.
fn undoing(known: &Known, wish: &Wish) -> (Vec<String>, Vec<String>) {
    let owner = |path: &[Step], which: fn(&Owner) -> bool| {
        let mut owners = ownership::owners(&known.key_set, path).into_iter();
        owners.find(which).map(|owner| owner.manager)
    };
    let spoken = wish.spoken();
    if let Some(manager) = owner(&wish.path(), Owner::comes_back) {
        let warning = match &wish.value {
            Some(_) if wish.current(&known.spec) == wish.value.as_ref() => return (Vec::new(), Vec::new()),
            Some(_) => format!(
                "{manager} has another value for {spoken} and puts it back when it is applied again: commit this one \
                 first (--print), or suspend its sync."
            ),
            None => format!("{manager} puts {spoken} back when it is applied again: take it out of the manifest."),
        };
        return (Vec::new(), vec![warning]);
    }
    if wish.value.is_none() {
        return (Vec::new(), Vec::new());
    }
    if let Place::Entry { list, .. } = &wish.place {
        let list = ownership::spec([Step::Field(list)]);
        if let Some(manager) = owner(&list, Owner::writes_whole_lists) {
            let warning = format!(
                "{manager} writes the whole list, and takes {spoken} out when it is applied again: commit it first \
                 (--print), or suspend its sync."
            );
            return (Vec::new(), vec![warning]);
        }
    }
    let told = owner(&ownership::spec([]), Owner::applies).map(|manager| {
        format!(
            "{manager} applies this KeySet and leaves {spoken} alone. Commit it as well (--print); it then stays until it \
             is taken out of both."
        )
    });
    (told.into_iter().collect(), Vec::new())
}

/// The YAML to commit: what the manifest must have, or must not have any more.
pub(super) fn manifest(session: &Session, known: &Known, change: &Change) -> Result<String, Error> {
    let yaml = |value: &Value| serde_saphyr::to_string(value).map_err(|error| Error::Io(error.to_string()));
    let (namespace, name) = (&session.namespace, known.name());
    let done = &change.done;
    if change.wish.value.is_none() {
        let gone = yaml(&json!({ "spec": change.wish.taken(&known.spec) }))?;
        let gone = gone.trim_end().replace('\n', "\n#   ");
        return Ok(format!("# {done}\n# Take this out of the manifest of KeySet {namespace}/{name}:\n#   {gone}\n"));
    }
    let document = json!({
        "apiVersion": "keyset.dev/v1alpha1",
        "kind": "KeySet",
        "metadata": { "name": name, "namespace": namespace },
        "spec": change.wish.patch(&known.spec),
    });
    Ok(format!(
        "# {done}\n# Merge this into the manifest of the KeySet. To apply it by itself, be another field manager than the\n\
         # manifest's: kubectl apply --server-side --field-manager={CLI_FIELD_MANAGER}-{} -f FILE\n{}",
        change.wish.subject(),
        yaml(&document)?
    ))
}

fn has(entry: &Value, key: &Value) -> bool {
    key.as_object().is_some_and(|key| key.iter().all(|(name, value)| entry.get(name) == Some(value)))
}

fn spoken_key(key: &Value) -> &str {
    key.as_object().and_then(|key| key.values().next()?.as_str()).unwrap_or_default()
}

/// What was done, and what follows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    namespace: String,
    name: String,
    dry_run: bool,
    done: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    earliest_time: Option<Timestamp>,
    consequences: Vec<String>,
    warnings: Vec<String>,
    /// What the operator says of a revocation, if it was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revocation: Option<RevocationStatus>,
    #[serde(skip)]
    now: Timestamp,
}

impl Report {
    fn of(session: &Session, name: &str, change: Change, dry_run: bool) -> Self {
        let Change { done, earliest_time, consequences, warnings, .. } = change;
        let (namespace, name, now) = (session.namespace.clone(), name.to_owned(), session.now);
        Self { namespace, name, dry_run, done, earliest_time, consequences, warnings, revocation: None, now }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{STRONG}{}{STRONG:#}", self.done)?;
        for line in &self.consequences {
            writeln!(f, "{line}")?;
        }
        for line in &self.warnings {
            writeln!(f, "{DOUBTFUL}Warning:{DOUBTFUL:#} {line}")?;
        }
        if let Some(RevocationStatus { state, exposure_end_time, .. }) = &self.revocation {
            let end = exposure_end_time.map(|end| format!("; exposure ends {end} ({})", relative(end, self.now)));
            writeln!(f, "The operator says: {state:?}{}.", end.unwrap_or_default())?;
        }
        if self.dry_run {
            writeln!(f, "The API server takes it. It was a dry run: nothing was written.")?;
        }
        Ok(())
    }
}

/// The operator writes the status every now and then, and each write is a new version.
const ATTEMPTS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_reader_takes_for_no_text_is_quoted() {
        for kid in ["n", "y", "no", "On", "123", "1e5", "0x1F", "null", "~", "2026-01-01", "1_000", "=", "a: b", ".inf"]
        {
            let yaml = serde_saphyr::to_string(&json!({ "keyID": kid })).unwrap();
            assert!(yaml == format!("keyID: \"{kid}\"\n") || yaml == format!("keyID: '{kid}'\n"), "{yaml}");
        }
    }

    #[test]
    fn a_list_keeps_what_others_wrote() {
        let spec = json!({"heldKeys": [{"keyID": "a", "later": 1}]});
        let entry =
            |kid: &str, value: Option<Value>| Wish::entry("heldKeys", json!({"keyID": kid}), value).patch(&spec);
        assert_eq!(
            entry("b", Some(json!({"keyID": "b"}))),
            json!({"heldKeys": [{"keyID": "a", "later": 1}, {"keyID": "b"}]})
        );
        assert_eq!(entry("b", None), spec);
        assert_eq!(entry("a", None), json!({"heldKeys": null}));
    }
}
