//! The proof of the proof: the model finds each rule of the protocol that is taken away, and nothing while all are there.
//!
//! A copy of the model is built around a copy of `src/lifecycle` in which every bug of the table sits behind a number, so
//! one build has them all. A bug counts as found if the model says so: a panic or a scenario that ends does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "seeded_bugs/bugs.rs"]
mod bugs;
#[path = "../tools/cargo.rs"]
mod cargo;
#[path = "seeded_bugs/seed.rs"]
mod seed;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;

use bugs::{BUGS, LARGE, RULES};

static MODEL: LazyLock<PathBuf> = LazyLock::new(|| seed::build(BUGS));

#[test]
fn the_model_finds_every_seeded_bug() {
    let bugs = BUGS.iter().map(|bug| (bug.name, bug.scenario, Seeded::Bug(seed::number(BUGS, bug.name))));
    let rules = RULES.iter().map(|(rule, scenario)| (*rule, *scenario, Seeded::Without(rule)));
    let seeded: Vec<_> = bugs.chain(rules).collect();
    let missed = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((name, scenario, seeded)) = seeded.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = find(&MODEL, scenario, seeded) {
                        missed.lock().unwrap().push(format!("{name:?} in {scenario:?}: {why}"));
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "{} bugs were not found:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn without_a_bug_the_same_scenarios_hold_every_law() {
    let bugs = BUGS.iter().map(|bug| bug.scenario).chain(RULES.iter().map(|(_, scenario)| *scenario));
    let scenarios: BTreeSet<&str> = bugs.filter(|scenario| !LARGE.contains(scenario)).collect();
    let output = Command::new(&*MODEL).args(scenarios).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("VIOLATION"), "{said}");
    assert!(!said.contains("CUT"), "small enough to be looked at in whole: {said}");
}

enum Seeded {
    Bug(usize),
    Without(&'static str),
}

fn find(model: &Path, scenario: &str, seeded: &Seeded) -> Result<(), String> {
    let mut command = Command::new(model);
    command.arg("--first-violation");
    match seeded {
        Seeded::Bug(number) => command.env(seed::BUG, number.to_string()),
        Seeded::Without(rule) => command.args(["--without", rule]),
    };
    let output = command.arg(scenario).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(1) if said.contains("VIOLATION") => Ok(()),
        Some(0) => Err("it holds every law".to_owned()),
        code => Err(format!("exit code {code:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Each runs a model, which has two threads of its own for a large scenario.
const THREADS: usize = 2;
