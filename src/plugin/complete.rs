//! `__complete`: what may come next of a command that is being typed, in the form that kubectl expects of a plugin's
//! `kubectl_complete-keyset` (cobra's): a candidate a line, a tab and its meaning, and a last line with a directive.
//!
//! Invariant: whatever goes wrong, there are no candidates and no noise: a shell is waiting. Deliberately absent:
//! completion for the binary by itself, which `completion` prints.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};

use super::keys::Known;
use super::output;
use super::session::{Global, Session};

/// The word that asks for it.
pub(super) const NAME: &str = "__complete";

pub(super) fn run(words: &[OsString]) -> ExitCode {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (typed, word) = words.split_last().map_or((&words[..], ""), |(word, typed)| (typed, word.as_str()));
    let mut command = super::command();
    command.build();
    let line = Line::read(&command, typed);
    let (candidates, directive) = line.candidates(word);
    let begins = |candidate: &&Candidate| candidate.0.starts_with(word);
    let lines: Vec<String> =
        candidates.iter().filter(begins).map(|(value, meaning)| format!("{value}\t{meaning}\n")).collect();
    // Nothing is left to do when stdout is closed.
    let _ = output::print(&format!("{}:{directive}\n", lines.concat()));
    ExitCode::SUCCESS
}

/// A value and what it means.
type Candidate = (String, String);

/// What was typed before the word.
struct Line<'a> {
    typed: &'a [String],
    /// The verb, or the whole command before there is one.
    command: &'a Command,
    has_verb: bool,
    /// Values without a flag, after the verb.
    positionals: Vec<&'a str>,
    /// The flag whose value comes next.
    awaiting: Option<&'a Arg>,
}

impl<'a> Line<'a> {
    fn read(root: &'a Command, typed: &'a [String]) -> Self {
        let mut line = Self { typed, command: root, has_verb: false, positionals: Vec::new(), awaiting: None };
        for word in typed {
            if line.awaiting.take().is_some() {
            } else if word.starts_with('-') && !line.may_be_kid(word) {
                line.awaiting = flag(line.command, word).filter(|arg| takes_value(arg) && !word.contains('='));
            } else if line.has_verb {
                line.positionals.push(word);
            } else if let Some(verb) = root.find_subcommand(word) {
                (line.command, line.has_verb) = (verb, true);
            }
        }
        line
    }

    /// Whether a word with a dash in front is a kid, where one is expected.
    fn may_be_kid(&self, word: &str) -> bool {
        let next = self.command.get_positionals().nth(self.positionals.len());
        let expected = self.has_verb && next.is_some_and(|arg| arg.get_id() == "key");
        expected && word.len() > "-y".len() && !word.starts_with("--")
    }

    fn candidates(&self, word: &str) -> (Vec<Candidate>, u8) {
        if let Some(arg) = self.awaiting {
            return self.values(arg);
        }
        if word.starts_with('-') && !self.may_be_kid(word) {
            let flags = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
            let flags = flags.filter_map(|arg| Some((format!("--{}", arg.get_long()?), help(arg.get_help()))));
            return (flags.collect(), NO_FILES);
        }
        if !self.has_verb {
            let verbs = self.command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
            return (verbs.map(|verb| (verb.get_name().to_owned(), help(verb.get_about()))).collect(), NO_FILES);
        }
        match self.command.get_positionals().nth(self.positionals.len()) {
            Some(arg) => self.values(arg),
            None => (Vec::new(), NO_FILES),
        }
    }

    /// What an argument may be.
    fn values(&self, arg: &Arg) -> (Vec<Candidate>, u8) {
        let fixed = arg.get_possible_values();
        if !fixed.is_empty() {
            let values = fixed.iter().map(|value| (value.get_name().to_owned(), help(value.get_help())));
            return (values.collect(), NO_FILES);
        }
        let name = arg.get_value_names().and_then(|names| names.first()).map(clap::builder::Str::as_str);
        match (arg.get_id().as_str(), name) {
            ("context", _) => (contexts(), NO_FILES),
            (_, Some("FILE")) => (Vec::new(), FILES),
            ("namespace", _) => (self.ask(Question::Namespaces), NO_FILES),
            ("name", _) => (self.ask(Question::KeySets), NO_FILES),
            ("key", _) => (self.ask(Question::Keys), NO_FILES),
            _ => (Vec::new(), NO_FILES),
        }
    }

    /// The names that the cluster has.
    fn ask(&self, question: Question) -> Vec<Candidate> {
        let Some(global) = self.global() else { return Vec::new() };
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
        let asked = async {
            let session = Session::start(&global).await.ok()?;
            question.ask(&session, self.positionals.first().copied()).await
        };
        let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
        answer.ok().flatten().unwrap_or_default()
    }

    /// Whom to ask: the flags that were typed and say so.
    fn global(&self) -> Option<Global> {
        let command =
            Global::augment_args(Command::new("kubectl-keyset").no_binary_name(true).args_override_self(true));
        let mut given = Vec::new();
        let mut words = self.typed.iter();
        while let Some(word) = words.next() {
            let Some(arg) = word.starts_with('-').then(|| flag(&command, word)).flatten() else { continue };
            if !takes_value(arg) || word.contains('=') {
                given.push(word.clone());
            } else if let Some(value) = words.next() {
                given.extend([word.clone(), value.clone()]);
            }
        }
        Global::from_arg_matches(&command.try_get_matches_from(given).ok()?).ok()
    }
}

/// What is asked of a cluster.
#[derive(Clone, Copy)]
enum Question {
    Namespaces,
    KeySets,
    Keys,
}

impl Question {
    async fn ask(self, session: &Session, name: Option<&str>) -> Option<Vec<Candidate>> {
        match self {
            Self::Namespaces => {
                let namespaces =
                    Api::<Namespace>::all(session.client.clone()).list(&ListParams::default()).await.ok()?;
                Some(namespaces.iter().map(|it| (it.name_any(), String::new())).collect())
            }
            Self::KeySets => {
                let key_sets = session.key_sets().list(&ListParams::default()).await.ok()?;
                Some(key_sets.iter().map(|it| (it.name_any(), it.spec.algorithm.to_string())).collect())
            }
            Self::Keys => {
                let known = Known::read(session, name?).await.ok()?;
                let mut candidates = Vec::new();
                for key in &known.keys {
                    let state = key.state().map(|state| format!("{state:?}")).unwrap_or_default();
                    candidates.extend(key.kid().map(|kid| (kid.to_string(), format!("{} {state}", key.name))));
                    candidates.push((key.name.clone(), state));
                }
                Some(candidates)
            }
        }
    }
}

/// The contexts of the kubeconfig.
fn contexts() -> Vec<Candidate> {
    let kubeconfig = Kubeconfig::read().unwrap_or_default();
    kubeconfig.contexts.into_iter().map(|context| (context.name, String::new())).collect()
}

/// The argument that a flag stands for.
fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let word = word.split('=').next().unwrap_or_default();
    let short = word.strip_prefix('-').and_then(|rest| rest.chars().next());
    command.get_arguments().find(|arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some() && arg.get_short() == short,
    })
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().lines().next().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// Directives of cobra: whether the shell may offer names of files instead.
const FILES: u8 = 0;
const NO_FILES: u8 = 4;
/// Longer than that nobody waits for a shell.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    /// What is offered without a cluster.
    fn offered(line: &str) -> (Vec<String>, u8) {
        let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        let (word, typed) = words.split_last().unwrap();
        let mut command = super::super::command();
        command.build();
        let (candidates, directive) = Line::read(&command, typed).candidates(word);
        let begins = |candidate: &String| candidate.starts_with(word.as_str());
        (candidates.into_iter().map(|(value, _)| value).filter(begins).collect(), directive)
    }

    #[test]
    fn verbs_flags_and_fixed_values_are_offered() {
        assert_eq!(offered("ro"), (vec!["rotate".to_owned()], NO_FILES));
        assert!(offered("").0.contains(&"revoke".to_owned()) && !offered("").0.contains(&"help".to_owned()));
        assert_eq!(offered("-n auth rev").0, ["revoke"]);
        assert!(offered("revoke pay -yMeFCWOS8 --m").0.contains(&"--mode".to_owned()));
        assert_eq!(offered("revoke pay kid --mode ").0, ["AfterSwitch", "ForceSwitch", "Immediate"]);
        assert_eq!(offered("revoke pay kid --mode=F --y").0, ["--yes"]);
        assert!(offered("status --").0.contains(&"--namespace".to_owned()));
        assert_eq!(offered("status -o y").0, ["yaml"]);
        assert_eq!(offered("import pay --file ").1, FILES);
        assert_eq!(offered("completion z").0, ["zsh"]);
        assert!(offered("completion zsh ").0.is_empty());
    }
}
