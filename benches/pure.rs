//! What needs no cluster: making keys, and planning.
#![allow(clippy::expect_used, reason = "a benchmark that cannot go on says why and ends")]

mod common;
#[allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "the tests use the rest, and may panic")]
#[path = "../src/lifecycle/tests/world.rs"]
mod world;

use std::{hint::black_box, num::NonZeroUsize, time::Instant};

// The world finds them where it finds them in the library.
use keyset_operator::{api, jose, lifecycle};

use common::{Samples, line};
use jose::Algorithm;
use keyset_operator::key_material::Generator;
use world::World;

#[tokio::main]
async fn main() {
    for (algorithm, bits, count) in [
        (Algorithm::ES256, None, 200),
        (Algorithm::EdDSA, None, 200),
        (Algorithm::RS256, Some(2048), 40),
        (Algorithm::RS256, Some(3072), 20),
        (Algorithm::RS256, Some(4096), 12),
    ] {
        keys(algorithm, bits, count).await;
    }
    plans();
    plan_of_a_long_life();
}

/// With the self-test, one after the other.
async fn keys(algorithm: Algorithm, bits: Option<i32>, count: usize) {
    let generator = Generator::new(NonZeroUsize::MIN);
    let mut durations = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        black_box(generator.generate(algorithm, bits).await.expect("a key"));
        durations.push(start.elapsed());
    }
    let bits = bits.map(|bits| format!(" {bits}")).unwrap_or_default();
    line(&format!("a new key, {algorithm}{bits}"), &Samples::new(durations), "");
}

/// A KeySet in its third month with nothing to do: two keys and one that retires.
fn plans() {
    let mut world = World::at_defaults();
    world.run_for("1441h");
    let durations = planned(&world.observe(), world.now);
    line(&format!("a plan, {} keys published", world.set().map_or(0, jose::JwkSet::len)), &durations, "");
}

/// 10 keys published, and the records of 90 that left: as long a list as revocations and imports can make it.
fn plan_of_a_long_life() {
    let mut world = World::at_defaults();
    world.run_for("1441h");
    let model = world.observe().keys.first().expect("a removed key").clone();
    assert!(model.lifecycle.removal_time.is_some(), "the first key has left");
    let gone = (100..190).map(|sequence| {
        let jwk = World::jwk(Algorithm::ES256, sequence);
        let lifecycle = api::Lifecycle { revocation_time: model.lifecycle.removal_time, ..model.lifecycle.clone() };
        let name = format!("pay-{sequence}");
        lifecycle::Key { name, sequence, jwk: Some(jwk), lifecycle, ..model.clone() }
    });
    world.keys.retain(|key| key.lifecycle.removal_time.is_none());
    world.keys.extend(gone.collect::<Vec<_>>());
    let missing = i64::try_from(10 - world.set().map_or(0, jose::JwkSet::len)).expect("a few");
    let external = (200..200 + missing).map(|seed| api::ImportedKey {
        name: format!("legacy-{seed}"),
        secret_ref: api::SecretKeyRef { name: "old".to_owned(), key: "tls.key".to_owned() },
        algorithm: None,
        key_id: None,
    });
    for entry in external.collect::<Vec<_>>() {
        let seed = entry.name.rsplit('-').next().and_then(|seed| seed.parse().ok()).expect("a number");
        let key = Ok(World::jwk(Algorithm::ES256, seed));
        world.imports.push(lifecycle::Import { entry_name: entry.name.clone(), key });
        world.edit(|spec| spec.imported_keys.push(entry));
    }
    world.settle();
    let published = world.set().map_or(0, jose::JwkSet::len);
    let observed = world.observe();
    let records = observed.keys.len() - published;
    assert_eq!((published, records), (10, 90));
    let durations = planned(&observed, world.now);
    line(&format!("a plan, {published} keys published and {records} removed"), &durations, "");
}

/// Times of plans of a set with nothing to do.
fn planned(observed: &lifecycle::Observed, now: jiff::Timestamp) -> Samples {
    assert!(lifecycle::plan(observed, now).effects.is_empty(), "the world has settled");
    let durations = (0..10_000).map(|_| {
        let start = Instant::now();
        black_box(lifecycle::plan(black_box(observed), now));
        start.elapsed()
    });
    Samples::new(durations.collect())
}
