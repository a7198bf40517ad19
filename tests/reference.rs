//! The reference in `docs/reference` is what the CRDs and the command lines say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "reference/api.rs"]
mod api;
#[path = "reference/cli.rs"]
mod cli;

use std::{env, fs, path::Path};

#[test]
fn the_page_of_the_api_is_what_the_crds_say() {
    assert_page("api.md", &api::page());
}

#[test]
fn the_page_of_the_command_line_is_what_the_arguments_say() {
    assert_page("cli.md", &cli::page());
}

fn assert_page(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{} is out of date: run `make reference`", path.display());
}

/// As a cell of a table and as prose: no character of it is markup.
fn plain(text: &str) -> String {
    let escape = |letter: char| match letter {
        '|' | '*' | '<' => format!("\\{letter}"),
        '\n' => " ".to_owned(),
        letter => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || ['-', '_'].contains(letter)).collect()
}
