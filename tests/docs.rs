//! The documents name what the code has: every condition, reason and event, and no other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

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
    let source = fs::read_to_string("src/lifecycle/event.rs").unwrap();
    let known =
        source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \"")).collect::<Vec<_>>();
    let known: BTreeSet<_> = known.into_iter().map(|(_, text)| text.trim_end_matches("\",").to_owned()).collect();
    assert!(known.len() > 10);
    assert_eq!(cells("## Events", 1), known);
}

/// Each row names a test on the real API server, and that test runs.
/// Every row of a table whose last column is headed `test`.
#[test]
fn the_tables_of_docs_name_tests_that_there_are_and_that_run() {
    let document = ["docs/guarantees.md", "docs/gitops.md"].map(|file| fs::read_to_string(file).unwrap()).concat();
    let mut sources = Vec::new();
    for directory in ["tests/controller", "src/lifecycle/tests"] {
        let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
        sources.extend(files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()));
    }
    let mut headed = false;
    let mut rows = Vec::new();
    for line in document.lines() {
        match line.strip_prefix("| ") {
            None => headed = headed && line.starts_with('|'),
            Some(line) if line.ends_with("| test |") => headed = true,
            Some(line) if headed => rows.push(line.trim_end_matches(" |").rsplit(" | ").next().unwrap()),
            Some(_) => {}
        }
    }
    let names: BTreeSet<&str> =
        rows.iter().flat_map(|row| row.split(", ")).map(|name| name.trim_matches('`')).collect();
    assert!(names.len() > 50, "the tables are not found");
    for name in names {
        let function = format!("fn {name}(");
        let source = sources.iter().find(|source| source.contains(&function));
        let source = source.unwrap_or_else(|| panic!("there is no test {name}"));
        let attributes = source.split(&function).next().unwrap().rsplit("\n\n").next().unwrap();
        assert!(attributes.contains("#[test]") || attributes.contains("#[tokio::test"), "{name} is no test");
        assert!(!attributes.contains("#[ignore"), "{name} does not run");
    }
}

/// A file that is there, and a heading of it where the link names one.
#[test]
fn links_between_documents_lead_somewhere() {
    let mut links = 0;
    let mut broken = Vec::new();
    for path in documents() {
        // What is code is no link.
        let text: String = prose(&fs::read_to_string(&path).unwrap()).split('`').step_by(2).collect();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://")) {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_there = || anchor.is_empty() || headings(&file).any(|heading| slug(&heading) == anchor);
            if !file.exists() || !is_there() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(links > 50, "the links are not found");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn docs_runbook_md_has_a_whole_section_for_every_alert() {
    let alerts = fs::read_to_string("charts/keyset/files/alerts.yaml").unwrap();
    let alerts: BTreeSet<&str> = alerts.lines().filter_map(|line| line.strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 5, "the alerts are not found");
    let runbook = fs::read_to_string("docs/runbook.md").unwrap();
    let sections = runbook.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap());
    let mut named = BTreeSet::new();
    for (alert, text) in sections {
        for part in ["Meaning", "At stake", "Look", "Do", "Afterwards"] {
            assert!(text.contains(&format!("\n**{part}.**")), "{alert} lacks {part}");
        }
        named.insert(alert);
    }
    assert_eq!(named, alerts);
}

/// The Markdown of the project, not that of others under `target`.
fn documents() -> Vec<PathBuf> {
    let directories = [".", "docs", "docs/adr", "docs/reference", "charts/keyset"];
    let files =
        directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap()).map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// What is outside of blocks of code.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect()
}

fn headings(path: &Path) -> impl Iterator<Item = String> {
    let text = prose(&fs::read_to_string(path).unwrap());
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim().to_owned());
    headings.collect::<Vec<_>>().into_iter()
}

/// The anchor that a forge gives to a heading.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || ['-', '_'].contains(letter)).collect()
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
