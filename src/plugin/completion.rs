//! `completion`: what a shell needs to complete the arguments.

use clap_complete::Shell;

use super::{Answer, Outcome, command, output};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Shell to complete for
    #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "kubectl-keyset", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Answer::Yes)
}
