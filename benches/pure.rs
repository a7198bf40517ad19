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
    let observed = world.observe();
    assert!(lifecycle::plan(&observed, world.now).effects.is_empty(), "the world has settled");
    let durations = (0..10_000).map(|_| {
        let start = Instant::now();
        black_box(lifecycle::plan(black_box(&observed), world.now));
        start.elapsed()
    });
    let durations = Samples::new(durations.collect());
    line(&format!("a plan, {} keys published", world.set().map_or(0, jose::JwkSet::len)), &durations, "");
}
