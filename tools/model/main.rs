//! `make model`: every history of a small world in which the real `lifecycle::plan` decides.
//!
//! Controllers that read at different moments, crash and are paused; replicas that lag and restart; signers and verifiers
//! at their worst; somebody who deletes and tampers. In every state the laws must hold, and left alone it must come to
//! rest. Deliberately absent: the API server, HTTP and keys; for these there are the tests of `controller` and `server`.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the numbers of a small world are small"
)]
#![allow(clippy::unused_self, reason = "what the world does is asked of the world")]
#![allow(clippy::result_large_err, reason = "an error is a state, and ends the search")]

mod cast;
mod coverage;
mod explore;
mod intern;
mod laws;
mod mind;
mod rest;
mod scenario;
mod server;
mod state;
mod trace;
mod world;
mod write;

use std::process::ExitCode;
use std::time::Instant;

// The modules find them where they find them beside a lifecycle with a seeded bug.
use keyset_operator::{api, jose, lifecycle};

use coverage::{COLUMNS, Coverage};
use explore::{Found, Until};
use world::{Rules, World};

/// `[--first-violation] [--without RULE] [SCENARIO ...]`: no scenario means all.
fn main() -> ExitCode {
    let mut until = Until::Complete;
    let mut rules = Rules::default();
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--first-violation" => until = Until::Violated,
            "--without" => match arguments.next().as_deref().and_then(Rules::without) {
                Some(without) => rules = without,
                None => return misused("--without needs the name of a rule"),
            },
            _ => wanted.push(argument),
        }
    }
    let known = scenario::all();
    if let Some(unknown) = wanted.iter().find(|name| known.iter().all(|it| it.name != name.as_str())) {
        return misused(&format!("there is no scenario {unknown:?}"));
    }
    let mut coverage = Coverage::default();
    let (mut states, mut violated) = (0, false);
    let began = Instant::now();
    for scenario in known.into_iter().filter(|it| wanted.is_empty() || wanted.iter().any(|name| name == it.name)) {
        let world = World::new(scenario, rules);
        let start = Instant::now();
        let found = world.explore(until);
        report(&world, &found, start.elapsed().as_secs_f64());
        coverage.add(&found.coverage);
        states += found.states;
        violated |= !found.violations.is_empty();
        if violated && until == Until::Violated {
            break;
        }
    }
    println!("{states} states in {:.0} s", began.elapsed().as_secs_f64());
    if until == Until::Complete {
        print_coverage(&coverage);
    }
    ExitCode::from(u8::from(violated))
}

fn misused(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}

fn report(world: &World, found: &Found, seconds: f64) {
    let name = world.scenario.name;
    let bound = if found.is_complete { "complete" } else { "CUT" };
    let mind = &world.mind;
    println!(
        "{name}: {} states, {bound}, depth {}, {} left alone, {} plans, {} statuses, {} records, {seconds:.1} s",
        found.states,
        found.depth,
        found.rested,
        mind.plans(),
        mind.statuses.len(),
        mind.keys.len(),
    );
    for (law, (count, path)) in &found.violations {
        println!("  VIOLATION {law} ({count} states)");
        for line in world.told(path, *law) {
            println!("    {line}");
        }
    }
}

fn print_coverage(coverage: &Coverage) {
    println!("{:<30} {}", "write", COLUMNS.map(|name| format!("{name:>15}")).join(""));
    for (label, counts) in coverage.rows() {
        println!("{label:<30} {}", counts.map(|count| format!("{count:>15}")).join(""));
    }
}
