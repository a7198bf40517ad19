//! The arguments of `keyset`.
//!
//! Invariants: bad arguments are one line on stderr and exit code 2; standard output carries nothing
//! but what was asked for. Each subcommand does its work in the module that owns it; here it is only
//! named and called.

mod controller;
mod process;
mod server;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

use crate::api;

/// Exit code of bad arguments.
const BAD_ARGUMENTS: u8 = 2;

/// Rotates JWT signing keys and publishes their JWK Set.
#[derive(Debug, Parser)]
#[command(name = "keyset", version, subcommand_required = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Print the CRDs as YAML.
    Crds,
    /// Reconcile KeySets: make, publish, rotate and remove their keys.
    Controller(controller::ControllerArguments),
    /// Serve the published sets over HTTP or HTTPS.
    Server(server::ServerArguments),
}

/// Runs `keyset` with the arguments of the process.
pub fn run() -> ExitCode {
    run_with(std::env::args_os())
}

/// Every argument of `keyset`, for the reference.
pub fn command() -> clap::Command {
    Arguments::command()
}

fn run_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command }) => command,
        Err(error) => return refuse(&error),
    };
    let done = match command {
        Command::Crds => print_crds(),
        Command::Controller(arguments) => controller::run(&arguments),
        Command::Server(arguments) => server::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn print_crds() -> Outcome {
    let text = api::crds_yaml()?;
    match io::stdout().write_all(text.as_bytes()) {
        // A reader that has seen enough (`keyset crds | head`) is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// Help and version are what was asked for; everything else is one line.
fn refuse(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    complain(&one_line(error));
    ExitCode::from(BAD_ARGUMENTS)
}

/// The first paragraph of clap's message, on one line, without its prefix.
fn one_line(error: &clap::Error) -> String {
    let text = match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a subcommand is required, see keyset --help".to_owned()
        }
        _ => error.to_string(),
    };
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

fn complain(line: &str) {
    // Nothing is left to do when stderr is closed.
    let _ = writeln!(io::stderr(), "keyset: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(arguments: &[&str]) -> String {
        let error = Arguments::try_parse_from(["keyset"].iter().chain(arguments)).unwrap_err();
        one_line(&error)
    }

    #[test]
    fn bad_arguments_are_one_line() {
        for arguments in [&["crds", "--nonsense"][..], &["nonsense"], &[], &["crds", "extra"], &["--x=\n\nfoo"]] {
            let line = line_of(arguments);
            assert!(!line.contains('\n') && !line.is_empty(), "{arguments:?}: {line}");
        }
        assert_eq!(line_of(&["crds", "--nonsense"]), "unexpected argument '--nonsense' found");
    }
}
