//! A forecast against the world of the lifecycle's tests, which has servers that remember, fences and judges.
#![allow(dead_code, reason = "the world serves other tests")]
#![allow(clippy::duplicate_mod, reason = "the same world, in a place where it knows nothing of forecasts")]

#[path = "../lifecycle/tests/acts.rs"]
mod acts;
#[path = "../lifecycle/tests/world.rs"]
mod world;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Forecast, forecast};
use crate::api::{RotationMode, RotationReason};
use crate::jose::Algorithm;
use crate::lifecycle::{Clock, Effect, Observed, SignerChange};
use acts::Act;
use world::World;

#[test]
fn a_set_at_its_defaults_is_foretold_for_a_year() {
    let world = World::at_defaults();
    let until = world.now + SignedDuration::from_hours(24 * 365);
    let forecast = forecast(world.observe(), world.now, until);
    let switches = |forecast: &Forecast| {
        let effects = forecast.steps.iter().flat_map(|step| &step.effects);
        let switches = effects.filter_map(|effect| match effect {
            Effect::WriteSigner { record, change: SignerChange::Activate, .. } => Some(record.clone()),
            _ => None,
        });
        switches.collect::<Vec<_>>()
    };
    let records = switches(&forecast);
    assert_eq!(records.len(), 13, "the first and one every 30 days");
    assert_eq!(records[0].reason, RotationReason::Bootstrap);
    assert!(records[1..].iter().all(|record| record.reason == RotationReason::Interval));
    assert!(records.iter().all(|record| forecast.is_made_up(&record.key_id)));
    assert_eq!(forecast.keys.len(), 14, "those of before are not forgotten, and there is a standby");
    assert_eq!(forecast.until, until);
}

#[test]
fn every_algorithm_can_be_foretold() {
    for algorithm in Algorithm::ALL {
        let mut world = World::at_defaults();
        world.edit(|spec| spec.algorithm = algorithm);
        let forecast = forecast(world.observe(), world.now, world.after("1h"));
        let keys = forecast.end.keys;
        assert_eq!(keys.iter().map(|key| key.algorithm).collect::<Vec<_>>(), [algorithm, algorithm]);
    }
}

#[test]
fn what_waits_for_people_ends_all_the_same() {
    let mut world = World::at_defaults();
    world.settle();
    world.edit(|spec| spec.rotation.mode = RotationMode::Suspended);
    let forecast = forecast(world.observe(), world.now, world.after("8760h"));
    let last = forecast.steps.last().unwrap();
    assert!(last.effects.is_empty() && forecast.until == world.after("8760h"), "{last:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_forecast_is_what_the_world_then_does(past in prop::collection::vec(acts::act(), 0..24), days in 1_i64..60) {
        let mut world = World::at_defaults();
        for act in past.iter().filter(|act| is_lived_through(act)) {
            world.befall(act);
        }
        // From now on everybody does their part.
        world.clock = Clock::Trusted;
        for server in &mut world.servers {
            server.follows = true;
            server.answers = true;
        }
        world.serve();
        world.settle();
        let until = world.now + SignedDuration::from_hours(24 * days);
        let observed = Observed { pass: None, witness: None, ..world.observe() };
        let foretold = forecast(observed, world.now, until);
        let lived = world.log.len();
        world.run_until(until);
        let lived = world.log[lived..].to_vec();
        prop_assert_eq!(lines(&foretold, &mut world, until), before(lived, &until_line(&mut world, until)));
    }
}

/// Losses and restores are for the laws; what a replica alone knows no caller can see.
fn is_lived_through(act: &Act) -> bool {
    !matches!(
        act,
        Act::Crash(_)
            | Act::Snapshot
            | Act::RollBack
            | Act::LoseStatus
            | Act::LoseConfigMap
            | Act::TamperConfigMap
            | Act::LoseSigningKey(_)
            | Act::ServerRestarts(_)
    )
}

/// The writes as the world logs them.
fn lines(forecast: &Forecast, world: &mut World, until: Timestamp) -> Vec<String> {
    let steps = forecast.steps.iter().filter(|step| step.time < until);
    let mut lines = Vec::new();
    for step in steps {
        world.now = step.time;
        lines.extend(step.effects.iter().map(|effect| world.line(effect)));
    }
    lines
}

/// How a line begins that is written at that time.
fn until_line(world: &mut World, until: Timestamp) -> String {
    world.now = until;
    let line = world.line(&Effect::RecordStatus);
    line.trim_end_matches("status").to_owned()
}

fn before(lines: Vec<String>, end: &str) -> Vec<String> {
    lines.into_iter().filter(|line| !line.starts_with(end)).collect()
}
