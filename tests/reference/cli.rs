//! `cli.md`: every command and argument, out of clap.

use std::fmt::Write;

use clap::{Arg, Command};

use super::plain;

pub(crate) fn page() -> String {
    let mut page = PREFACE.to_owned();
    for mut command in [keyset_operator::cli::command(), keyset_operator::plugin::command()] {
        command.build();
        section(&command, 2, &mut page);
    }
    page
}

/// A section for a command, and after it for each of its subcommands.
fn section(command: &Command, depth: usize, page: &mut String) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    writeln!(page, "\n{} {name}\n", "#".repeat(depth)).unwrap();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    writeln!(page, "{}\n", plain(&about)).unwrap();
    let usage = command.clone().render_usage().to_string();
    writeln!(page, "`{}`", usage.trim_start_matches("Usage: ").split_whitespace().collect::<Vec<_>>().join(" "))
        .unwrap();
    let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| is_shown(argument, depth)).collect();
    if !arguments.is_empty() {
        page.push_str("\n| argument | default | meaning |\n|---|---|---|\n");
    }
    for argument in arguments {
        writeln!(page, "| {} | {} | {} |", spelling(argument), default(argument), meaning(argument)).unwrap();
    }
    if let Some(notes) = command.get_after_help() {
        writeln!(page, "\n{}", plain(&notes.to_string())).unwrap();
    }
    for command in command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        section(command, depth + 1, page);
    }
}

/// Global ones are told once, where they are defined.
fn is_shown(argument: &Arg, depth: usize) -> bool {
    let is_own = !["help", "version"].contains(&argument.get_id().as_str());
    is_own && !argument.is_hide_set() && (depth == 2 || !argument.is_global_set())
}

fn spelling(argument: &Arg) -> String {
    let names: Vec<String> = argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let takes = argument.get_action().takes_values();
    let value = if takes { names.join(" ") } else { String::new() };
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    match flags.join(", ") {
        flags if flags.is_empty() => format!("`{value}`"),
        flags if value.is_empty() => format!("`{flags}`"),
        flags => format!("`{flags} {value}`"),
    }
}

fn default(argument: &Arg) -> String {
    let values: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    match values.join(" ") {
        _ if argument.is_required_set() => "required".to_owned(),
        _ if !argument.get_action().takes_values() => String::new(),
        values => values,
    }
}

fn meaning(argument: &Arg) -> String {
    let help =
        argument.get_long_help().or(argument.get_help()).map(|help| plain(&help.to_string())).unwrap_or_default();
    let values = argument.get_possible_values();
    let values: Vec<String> = values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), plain(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    let one_of = if argument.get_action().takes_values() && !values.is_empty() {
        format!("; one of {}", values.join(", "))
    } else {
        String::new()
    };
    let variable = argument
        .get_env()
        .map(|name| format!("; also `{}` in the environment", name.to_string_lossy()))
        .unwrap_or_default();
    format!("{help}{one_of}{variable}")
}

const PREFACE: &str = "# The command line

Written from the programs by `make reference`. `--help` says the same, and `--version` the version.
";
