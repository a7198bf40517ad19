//! The laws of DESIGN section 3, for arbitrary histories: edits, losses, crashes, lagging and silent replicas, long pauses.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::world::World;
use crate::api::{KeySetStatus, KeyState, RotationMode, RotationReason};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId};
use crate::lifecycle::{Clock, PrivateHalf, Published, Signer, SignerContent};

/// What happens to a cluster.
#[derive(Clone, Debug)]
enum Act {
    /// Nobody is in control for so many minutes; then a controller looks.
    Pause(u32),
    /// The controller follows its wake-ups for so many minutes.
    Run(u32),
    /// The controller dies after so many writes.
    Crash(usize),
    Lifetime(u32),
    CacheAge(u32),
    AskForRotation(u32),
    Mode(RotationMode),
    Algorithm(Algorithm),
    ServerFollows(usize, bool),
    ServerAnswers(usize, bool),
    ServerRestarts(usize),
    LoseSigner,
    DamageSigner,
    LoseKeySecret(usize),
    LoseConfigMap,
    TamperConfigMap,
    LoseSigningKey(usize),
    LoseStatus,
    Clock(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1_u32..60_000).prop_map(Act::Pause),
        8 => (1_u32..30_000).prop_map(Act::Run),
        4 => (0_usize..8).prop_map(Act::Crash),
        1 => (1_u32..3000).prop_map(Act::Lifetime),
        1 => (10_u32..2000).prop_map(Act::CacheAge),
        2 => (0_u32..3000).prop_map(Act::AskForRotation),
        1 => prop_oneof![Just(RotationMode::Interval), Just(RotationMode::OnRequest), Just(RotationMode::Suspended)]
            .prop_map(Act::Mode),
        1 => prop_oneof![Just(Algorithm::ES256), Just(Algorithm::EdDSA)].prop_map(Act::Algorithm),
        2 => (0_usize..2, any::<bool>()).prop_map(|(index, it)| Act::ServerFollows(index, it)),
        2 => (0_usize..2, any::<bool>()).prop_map(|(index, it)| Act::ServerAnswers(index, it)),
        1 => (0_usize..2).prop_map(Act::ServerRestarts),
        1 => Just(Act::LoseSigner),
        1 => Just(Act::DamageSigner),
        1 => (0_usize..4).prop_map(Act::LoseKeySecret),
        1 => Just(Act::LoseConfigMap),
        1 => Just(Act::TamperConfigMap),
        1 => (0_usize..4).prop_map(Act::LoseSigningKey),
        1 => Just(Act::LoseStatus),
        1 => any::<bool>().prop_map(Act::Clock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_a_law(acts in prop::collection::vec(act(), 1..40)) {
        let mut judge = Judge::new();
        for act in acts {
            judge.act(&act);
            judge.check();
        }
        judge.heal();
    }
}

/// PROPTEST_CASES if it is set. A case is weeks of a cluster's life, so a day's run takes fewer than other properties.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(96)
}

/// A world and what it promised so far.
struct Judge {
    world: World,
    /// `C` in force from each time on.
    cache_ages: Vec<(Timestamp, SignedDuration)>,
    judged_activations: usize,
    published: Option<JwkSet>,
    /// kid and key are one to one for ever.
    names: std::collections::BTreeMap<KeyId, String>,
    crashed: bool,
}

impl Judge {
    fn new() -> Self {
        let world = World::new(&json!({
            "algorithm": "ES256",
            "tokens": {"maxLifetime": "2h"},
            "verifiers": {"maxCacheAge": "6h"},
            "rotation": {"interval": "96h"},
            "retention": {"margin": "1h"},
        }));
        let cache_ages = vec![(world.now, world.key_set.spec.verifiers.max_cache_age.length())];
        Self {
            world,
            cache_ages,
            judged_activations: 0,
            published: None,
            names: std::collections::BTreeMap::new(),
            crashed: false,
        }
    }

    fn act(&mut self, act: &Act) {
        let world = &mut self.world;
        let minutes = |count: u32| SignedDuration::from_mins(i64::from(count));
        let crashed = std::mem::replace(&mut self.crashed, false);
        match act {
            Act::Pause(length) => world.advance_to(world.now + minutes(*length)),
            Act::Run(length) => world.run_until(world.now + minutes(*length)),
            Act::Crash(writes) => {
                let _ = world.settle_within(*writes);
                self.crashed = true;
                return;
            }
            Act::Lifetime(length) => world.edit(|spec| spec.tokens.max_lifetime = text(*length)),
            Act::CacheAge(length) => {
                world.edit(|spec| spec.verifiers.max_cache_age = text(*length));
                // It counts from when the status has acknowledged it: users lower their caches after that.
                let _ = world.settle();
                self.cache_ages.push((world.now, minutes(*length)));
            }
            Act::AskForRotation(delay) => {
                let time = world.now + minutes(*delay);
                world.edit(|spec| spec.rotation.after = Some(time));
            }
            Act::Mode(mode) => world.edit(|spec| spec.rotation.mode = *mode),
            Act::Algorithm(algorithm) => world.edit(|spec| spec.algorithm = *algorithm),
            Act::ServerFollows(index, follows) => world.servers[*index].follows = *follows,
            Act::ServerAnswers(index, answers) => world.servers[*index].answers = *answers,
            Act::ServerRestarts(index) => world.restart_server(*index),
            Act::LoseSigner => world.signer = Signer::Absent,
            Act::DamageSigner => {
                if let Signer::Ours(signer) = &mut world.signer {
                    signer.content = SignerContent::Damaged;
                }
            }
            Act::LoseKeySecret(index) => {
                if let Some(key) = world.keys.get_mut(*index) {
                    key.private = PrivateHalf::Absent;
                }
            }
            Act::LoseConfigMap => world.published = Published::Absent,
            Act::TamperConfigMap => {
                let intruder = JwkSet::new(vec![World::jwk(Algorithm::ES256, 255)]).unwrap();
                if let Published::Ours(content) = &mut world.published {
                    content.digest = Some(Digest::of(intruder.to_json().as_bytes()));
                    content.set = Some(intruder);
                }
            }
            // PROTOCOL 12: a record and the object that backs it up, lost at once, is beyond the guarantee.
            Act::LoseSigningKey(index) if !crashed && *index < world.keys.len() => {
                world.keys.remove(*index);
            }
            Act::LoseStatus if !crashed => world.key_set.status = KeySetStatus::default(),
            Act::LoseSigningKey(_) | Act::LoseStatus => {}
            Act::Clock(true) => world.clock = Clock::Trusted,
            Act::Clock(false) => world.clock = Clock::Untrusted("jumped".to_owned()),
        }
        world.serve();
        let _ = world.settle();
    }

    fn check(&mut self) {
        self.check_activations();
        self.check_removals();
        let world = &self.world;
        if let (Signer::Ours(signer), Some(set), false) = (&world.signer, world.set(), self.crashed) {
            assert!(set.contains(&signer.key_id), "law 5: the signing key is not in the set");
        }
        for key in &world.keys {
            let kid = key.kid().unwrap().clone();
            let name = self.names.entry(kid).or_insert_with(|| key.name.clone());
            assert_eq!(*name, key.name, "law 7: a kid changed hands");
        }
    }

    /// Law 1: no copy without the key was in use when it began to sign.
    fn check_activations(&mut self) {
        let world = &self.world;
        let skew = world.key_set.spec.clock_skew.length();
        for switch in &world.activations[self.judged_activations..] {
            // Nothing could sign: the newest key took over, and the status tells until when verifiers may not know it.
            let forced = switch.earliest.is_none_or(|time| time > switch.time);
            if switch.reason == RotationReason::Bootstrap || (switch.reason == RotationReason::KeyLost && forced) {
                continue;
            }
            for (number, (since, cache_age)) in self.cache_ages.iter().enumerate() {
                let until = self.cache_ages.get(number + 1).map_or(Timestamp::MAX, |(time, _)| *time);
                let copy = switch.last_without.map(|time| time.min(until)).filter(|copy| copy >= since);
                let Some(copy) = copy else { continue };
                let (kid, time) = (&switch.key_id, switch.time);
                assert!(
                    time >= copy + *cache_age + skew,
                    "law 1: {kid} signs at {time}, a copy of {copy} lives for {cache_age}; {:#?}",
                    world.log
                );
            }
        }
        self.judged_activations = world.activations.len();
    }

    /// Law 2: no token that may be valid lost its key. Law 5: a set never becomes empty.
    fn check_removals(&mut self) {
        let world = &self.world;
        let tampered = world.set().is_none_or(|set| set.keys().iter().all(|jwk| world_lacks(world, jwk.kid())));
        if tampered {
            return;
        }
        let spec = &world.key_set.spec;
        let rest = [&spec.signers.max_reload_lag, &spec.clock_skew, &spec.retention.margin];
        let rest = rest.iter().fold(SignedDuration::ZERO, |sum, it| sum + it.length());
        for jwk in self.published.iter().flat_map(JwkSet::keys) {
            if world.set().unwrap().contains(jwk.kid()) {
                continue;
            }
            let Some(lifetime) = world.ghosts.longest_lifetime.get(jwk.kid()) else { continue };
            let overwritten = world.ghosts.overwritten.get(jwk.kid()).copied().unwrap_or(Timestamp::MIN);
            assert!(
                world.now >= overwritten + rest + *lifetime,
                "law 2: {} left at {}, overwritten at {overwritten}; {:#?}",
                jwk.kid(),
                world.now,
                world.log
            );
        }
        self.published = world.set().cloned();
    }

    /// Liveness: left alone it converges, is healthy, and then plans no write.
    fn heal(&mut self) {
        let world = &mut self.world;
        world.clock = Clock::Trusted;
        for server in &mut world.servers {
            server.follows = true;
            server.answers = true;
        }
        if world.key_set.spec.rotation.mode == RotationMode::Suspended {
            world.edit(|spec| spec.rotation.mode = RotationMode::OnRequest);
        }
        world.run_until(world.now + SignedDuration::from_hours(200));
        let plan = world.plan();
        assert_eq!(plan.effects, [], "{:#?}", world.log);
        assert_eq!(plan.status, world.key_set.status);
        assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"), "{:#?}", world.log);
        assert_eq!(world.condition("RotationOverdue").as_deref(), Some("False/OnSchedule"), "{:#?}", world.log);
        let standby =
            world.key_set.status.keys.iter().any(|key| matches!(key.state, KeyState::Published | KeyState::Standby));
        assert!(standby, "no standby: {:#?}", world.log);
    }
}

fn world_lacks(world: &World, kid: &KeyId) -> bool {
    world.keys.iter().all(|key| key.kid() != Some(kid))
}

fn text(minutes: u32) -> crate::api::Duration {
    format!("{minutes}m").parse().unwrap()
}
