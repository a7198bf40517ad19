//! The documents name what the code has: every condition, reason and event, and no other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{collections::BTreeSet, fs};

#[test]
fn docs_conditions_md_lists_every_condition_and_reason() {
    let names = fs::read_to_string("src/api/names.rs").unwrap();
    let module = |name: &str| {
        let start = names.find(&format!("pub mod {name} {{")).unwrap();
        constants(names[start..].split("\n}").next().unwrap())
    };
    let cells = |column| cells("## KeySet", column).into_iter().chain(cells("## SigningKey", column)).collect();
    let (conditions, reasons): (BTreeSet<_>, BTreeSet<_>) = (cells(1), cells(2));
    assert_eq!(conditions, module("condition"));
    // One condition is its own reason.
    let reasons: BTreeSet<_> = reasons.into_iter().filter(|reason| reason != "ClockUntrusted").collect();
    assert_eq!(reasons, module("reason"));
}

#[test]
fn docs_conditions_md_lists_every_event() {
    let source = fs::read_to_string("src/lifecycle/effect.rs").unwrap();
    let known =
        source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \"")).collect::<Vec<_>>();
    let known: BTreeSet<_> = known.into_iter().map(|(_, text)| text.trim_end_matches("\",").to_owned()).collect();
    assert!(known.len() > 10);
    assert_eq!(cells("## Events", 1), known);
}

/// Each row names a test on the real API server, and that test runs.
#[test]
fn docs_guarantees_accidents_md_names_tests_that_there_are() {
    let files = fs::read_dir("tests/controller").unwrap();
    let sources: Vec<String> = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let document = fs::read_to_string("docs/guarantees-accidents.md").unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| accident"));
    let names: Vec<&str> = rows.map(|row| row.split('|').nth(3).unwrap().trim().trim_matches('`')).collect();
    assert!(names.len() > 40);
    for name in names {
        let function = format!("async fn {name}(");
        let source = sources.iter().find(|source| source.contains(&function));
        let source = source.unwrap_or_else(|| panic!("there is no test {name}"));
        let attributes = source.split(&function).next().unwrap().rsplit("\n\n").next().unwrap();
        assert!(attributes.contains("#[tokio::test"), "{name} is no test");
        assert!(!attributes.contains("#[ignore"), "{name} does not run");
    }
}

/// The values of `pub const NAME: &str = "value";`.
fn constants(source: &str) -> BTreeSet<String> {
    let values = source.lines().filter_map(|line| line.split_once(": &str = \"")?.1.strip_suffix("\";"));
    values.map(ToOwned::to_owned).collect()
}

/// What is between backticks in a column of the table under a heading.
fn cells(heading: &str, column: usize) -> BTreeSet<String> {
    let document = fs::read_to_string("docs/conditions.md").unwrap();
    let section = document.split(heading).nth(1).unwrap().split("\n## ").next().unwrap().to_owned();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.flat_map(|row| row.split('|').nth(column).unwrap().split(','));
    cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}
