//! `kubectl keyset`: what will happen to the keys, when, why not yet, what if, and is it true.
//!
//! Invariants: it acts as its caller and can do no more than they may; it writes nothing but the values of
//! `KeySet.spec` that a verb stands for, and the Secret or its label that `import` needs, as field manager `keyset-cli`; it
//! never lists Secrets, and reads one only when that is what the verb is for (`token`, `import`), or when a wish of
//! `importedKeys` that is still open names it, for whoever foretells and may.
//! What it foretells comes from the very rules of `lifecycle`. Each verb is a file with its arguments, its report and
//! nothing of another's.
//!
//! Exit codes: 0 the answer is yes, or it is done; 1 it could not be found out or done; 2 bad arguments; 3 the answer is
//! no.

mod change;
mod complete;
mod completion;
mod doctor;
mod error;
mod export;
mod history;
mod hold;
mod import;
mod keys;
mod observed;
mod output;
mod ownership;
mod pin;
mod plan;
mod release;
mod revoke;
mod rotate;
mod session;
mod status;
mod timeline;
mod token;
mod unpin;
pub mod verify;
mod web;
mod why;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use error::Error;
use session::{Global, Session};

/// Runs `kubectl-keyset` with the arguments of the process.
pub fn run() -> ExitCode {
    run_with(std::env::args_os())
}

/// Every argument of `kubectl-keyset`, for references and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Ask KeySets what will happen, when, why not yet, and what if; and tell them what you want.
#[derive(Debug, Parser)]
#[command(name = "kubectl-keyset", bin_name = "kubectl keyset", version, subcommand_required = true)]
#[command(after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show KeySets: who signs, what comes next and when, and what people must look at
    Status(status::Arguments),
    /// Explain what each step waits for: every guard, its terms with their values, and the earliest time
    Why(why::Arguments),
    /// Foretell what an edit would do, or what is ahead without one; exit code 3 if the API server would refuse it
    Plan(plan::Arguments),
    /// Show the life of each key, past and planned; -o svg and -o html draw it
    Timeline(timeline::Arguments),
    /// Ask for another active key, now or not before a time
    Rotate(rotate::Arguments),
    /// Keep a key published, however old it is
    Hold(hold::Arguments),
    /// Let a held key go
    Release(release::Arguments),
    /// Let this key sign and no other: a rollback, an early switch, or a stop
    Pin(pin::Arguments),
    /// Let rotation go on
    Unpin(unpin::Arguments),
    /// Trust a key no more, for ever
    Revoke(revoke::Arguments),
    /// Tell every key that a set ever had, what moved it, and who asked
    History(history::Arguments),
    /// Print the public keys as they are served
    Export(export::Arguments),
    /// Take over a private key that verifiers know already, from a file or a Secret
    Import(import::Arguments),
    /// Check CRDs, versions, rights, replicas, the URL of verifiers, and clocks; exit code 3 if anything fails
    Doctor(doctor::Arguments),
    /// Judge a token as a verifier would, and explain each check
    Verify(Box<verify::Arguments>),
    /// Sign a test token with the active key, if you may read the Signer Secret
    Token(token::Arguments),
    /// Print a completion script for bash, zsh or fish
    Completion(completion::Arguments),
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Yes, or done.
    Yes,
    /// No.
    No,
}

type Outcome = Result<Answer, Error>;

fn run_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Words that are being typed are no arguments yet.
    if arguments.get(1).is_some_and(|word| word == complete::NAME) {
        return complete::run(&arguments[2..]);
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    if arguments.global.output.is_picture() && !matches!(arguments.verb, Verb::Timeline(_)) {
        complain(output::NO_PICTURE);
        return ExitCode::from(BAD_ARGUMENTS);
    }
    match perform(arguments) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(NO),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn perform(Arguments { global, verb }: Arguments) -> Outcome {
    // What needs no cluster must not ask for one.
    let session = async || Session::start(&global).await;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::output)?;
    runtime.block_on(async {
        match verb {
            Verb::Why(arguments) => why::run(&session().await?, &arguments).await,
            Verb::Plan(arguments) => plan::run(&session().await?, &arguments).await,
            Verb::Timeline(arguments) => timeline::run(&session().await?, &arguments).await,
            Verb::Status(arguments) => status::run(&session().await?, &arguments).await,
            Verb::Verify(arguments) => verify::run(&global, &arguments).await,
            Verb::Token(arguments) => token::run(&session().await?, &arguments).await,
            Verb::Rotate(arguments) => rotate::run(&session().await?, &arguments).await,
            Verb::Hold(arguments) => hold::run(&session().await?, &arguments).await,
            Verb::Release(arguments) => release::run(&session().await?, &arguments).await,
            Verb::Pin(arguments) => pin::run(&session().await?, &arguments).await,
            Verb::Unpin(arguments) => unpin::run(&session().await?, &arguments).await,
            Verb::Revoke(arguments) => revoke::run(&session().await?, &arguments).await,
            Verb::History(arguments) => history::run(&session().await?, &arguments).await,
            Verb::Export(arguments) => export::run(&session().await?, &arguments).await,
            Verb::Import(arguments) => import::run(&session().await?, &arguments).await,
            Verb::Doctor(arguments) => doctor::run(&session().await?, &arguments).await,
            Verb::Completion(arguments) => completion::run(&arguments),
        }
    })
}

/// Help and version are what was asked for; everything else is bad arguments.
fn refuse(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    match error.print() {
        Ok(()) if asked => ExitCode::SUCCESS,
        _ if asked => ExitCode::FAILURE,
        _ => ExitCode::from(BAD_ARGUMENTS),
    }
}

fn complain(line: &str) {
    // Nothing is left to do when stderr is closed.
    let _ = writeln!(io::stderr(), "error: {line}");
}

const BAD_ARGUMENTS: u8 = 2;
const NO: u8 = 3;
const EXIT_CODES: &str =
    "Exit codes: 0 yes or done, 1 it could not be found out or done, 2 bad arguments, 3 the answer is no.";

#[cfg(test)]
mod tests {
    #[test]
    fn arguments_are_consistent() {
        super::command().debug_assert();
    }

    #[test]
    fn a_kid_may_begin_with_a_dash() {
        let kid = "-yMeFCWOS8EZwgiLu363XlURXT1GppDRwoTjrVVwzZw";
        for (verb, more) in
            [("hold", &[][..]), ("release", &["--force"]), ("pin", &["-n", "auth"]), ("revoke", &["-y"])]
        {
            let words = [&["kubectl-keyset", verb, "pay", kid], more].concat();
            let matches = super::command().try_get_matches_from(words).unwrap();
            let arguments = matches.subcommand_matches(verb).unwrap();
            assert_eq!(arguments.get_one::<String>("key").unwrap(), kid);
        }
        let words = ["kubectl-keyset", "revoke", "-y", "pay", "-o", "json", kid];
        let matches = super::command().try_get_matches_from(words).unwrap();
        assert!(matches.subcommand_matches("revoke").unwrap().get_flag("yes"));
    }
}
