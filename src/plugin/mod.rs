//! `kubectl keyset`: what will happen to the keys, when, why not yet, what if, and is it true.
//!
//! Invariants: it acts as its caller and can do no more than they may; it writes nothing but the values of
//! `KeySet.spec` that a verb stands for, as field manager `keyset-cli`; it never lists Secrets, and reads the one that a
//! verb is about only when that is what the verb is for (`token`, `import`). What it foretells comes from the very
//! rules of `lifecycle`. Each verb is a file with its arguments, its report and nothing of another's.
//!
//! Exit codes: 0 the answer is yes, or it is done; 1 it could not be found out or done; 2 bad arguments; 3 the answer is
//! no.

mod completion;
mod error;
mod observed;
mod output;
mod plan;
mod session;
mod status;
mod token;
pub mod verify;
mod web;

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
    /// Foretell what an edit would do, or what is ahead without one; exit code 3 if the API server would refuse it
    Plan(plan::Arguments),
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
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
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
            Verb::Plan(arguments) => plan::run(&session().await?, &arguments).await,
            Verb::Status(arguments) => status::run(&session().await?, &arguments).await,
            Verb::Verify(arguments) => verify::run(&global, &arguments).await,
            Verb::Token(arguments) => token::run(&session().await?, &arguments).await,
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
}
