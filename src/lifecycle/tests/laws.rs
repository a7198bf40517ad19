//! The laws of DESIGN section 3, for arbitrary histories: edits, losses, crashes, lagging and silent replicas, long pauses.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::acts::{Act, WORKLOAD_NAMES, act, minutes};
use super::world::{Activation, Backup, World};
use crate::api::{HeldKey, KeyState, RotationMode, RotationReason};
use crate::jose::{JwkSet, KeyId};
use crate::lifecycle::{Clock, Signer};

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
    kids: BTreeMap<KeyId, KeyId>,
    crashed: bool,
    backup: Option<Backup>,
    rollbacks: usize,
    /// Thumbprints.
    revoked: BTreeSet<KeyId>,
}

impl Judge {
    fn new() -> Self {
        let mut world = World::new(&json!({
            "algorithm": "ES256",
            "tokens": {"maxLifetime": "2h"},
            "verifiers": {"maxCacheAge": "6h"},
            "rotation": {"interval": "96h"},
            "retention": {"margin": "1h"},
        }));
        for name in WORKLOAD_NAMES {
            world.deploy(name);
        }
        let cache_ages = vec![(world.now, world.key_set.spec.verifiers.max_cache_age.length())];
        Self {
            world,
            cache_ages,
            judged_activations: 0,
            published: None,
            kids: BTreeMap::new(),
            crashed: false,
            backup: None,
            rollbacks: 0,
            revoked: BTreeSet::new(),
        }
    }

    fn act(&mut self, act: &Act) {
        let world = &mut self.world;
        let crashed = std::mem::replace(&mut self.crashed, false);
        match act {
            Act::Crash(writes) => {
                let _ = world.settle_within(*writes);
                self.crashed = true;
                return;
            }
            Act::CacheAge(length) => {
                world.befall(act);
                // It counts from when the status has acknowledged it: users lower their caches after that.
                let _ = world.settle();
                self.cache_ages.push((world.now, minutes(*length)));
            }
            // PROTOCOL 12: a record and the object that backs it up, lost at once, is beyond the guarantee. What is recorded
            // as removed leaves, whichever targets the spec lists by then.
            Act::LoseSigningKey(_) | Act::LoseStatus | Act::Snapshot | Act::RollBack | Act::Target(..) if crashed => {}
            Act::LoseSigningKey(index) if *index < world.keys.len() => {
                let lost = world.keys.remove(*index);
                // Whoever deletes the tombstone of a key that left, and not its entry in the spec, forgets it.
                if lost.lifecycle.removal_time.is_some() {
                    self.revoked.remove(lost.jwk.unwrap().thumbprint());
                }
            }
            Act::Snapshot => self.backup = Some(world.back_up()),
            Act::RollBack if self.rollbacks < 3 => {
                if let Some(backup) = self.backup.take() {
                    world.befall(act);
                    world.roll_back(backup);
                    self.rollbacks += 1;
                    self.revoked.clear();
                }
            }
            _ => world.befall(act),
        }
        // A snapshot of before knows nothing of such an edit, and nobody else does: beyond the guarantee.
        if matches!(act, Act::Lifetime(_) | Act::CacheAge(_)) {
            self.backup = None;
        }
        self.world.serve();
        let _ = self.world.settle();
    }

    fn check(&mut self) {
        self.check_activations();
        self.check_removals();
        self.check_verbs();
        let world = &self.world;
        if let (Signer::Ours(signer), Some(set), false) = (&world.signer, world.set(), self.crashed) {
            assert!(set.contains(&signer.key_id), "law 5: the signing key is not in the set");
        }
        for key in &world.keys {
            let kid = key.kid().unwrap().clone();
            let thumbprint = key.jwk.as_ref().unwrap().thumbprint();
            let known = self.kids.entry(kid).or_insert_with(|| thumbprint.clone());
            assert_eq!(known, thumbprint, "law 7: a kid got another key");
        }
    }

    /// Law 1: no copy without the key was in use when it began to sign.
    fn check_activations(&mut self) {
        let world = &self.world;
        let skew = world.key_set.spec.clock_skew.length();
        for switch in &world.activations[self.judged_activations..] {
            // The status tells until when verifiers may not know it: `check_verbs` holds it to that.
            if switch.reason == RotationReason::Bootstrap || is_forced(switch) {
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
            let key = world.keys.iter().find(|key| key.kid() == Some(jwk.kid()));
            if key.is_some_and(|key| key.lifecycle.revocation_time.is_some()) {
                continue;
            }
            let held = |held: &HeldKey| held.key_id == *jwk.kid();
            assert!(!world.key_set.spec.held_keys.iter().any(held), "a held key left: {:#?}", world.log);
            let Some(lifetime) = world.ghosts.longest_lifetime.get(jwk.kid()) else { continue };
            let overwritten = world.ghosts.overwritten.get(jwk.kid()).copied();
            // Pods that read their key only when they start go on with it until they do.
            let held = world.listed().filter_map(|running| running.held_until(jwk.kid(), world.now));
            // A cluster that was rolled back knows nothing of Pods that run on with a key of later.
            let held = held.filter(|_| self.rollbacks == 0);
            let overwritten = held.chain(overwritten).max().unwrap_or(Timestamp::MIN);
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

    /// A revoked key is on its way out for good; a switch that may cost an unknown kid is told with its end.
    fn check_verbs(&mut self) {
        let world = &self.world;
        let revoked = world.keys.iter().filter(|key| key.lifecycle.revocation_time.is_some());
        self.revoked.extend(revoked.filter_map(|key| Some(key.jwk.as_ref()?.thumbprint().clone())));
        for key in world.keys.iter().filter(|key| self.revoked.contains(key.jwk.as_ref().unwrap().thumbprint())) {
            assert!(key.lifecycle.revocation_time.is_some(), "a revoked key came back: {:#?}", world.log);
        }
        let Some(switch) = world.activations.last().filter(|_| !self.crashed) else { return };
        let forced = is_forced(switch);
        let status = &world.key_set.status;
        let told = status.last_rotation.as_ref().is_some_and(|last| last.time >= switch.time);
        let (Some(copy), true) = (switch.last_without, forced && told) else { return };
        let since = self.cache_ages.iter().map(|(_, cache_age)| *cache_age).min().unwrap();
        let until = copy + since + world.key_set.spec.clock_skew.length();
        let end = status.unknown_key_id_end_time;
        assert!(until <= world.now || end >= Some(until), "until {until}, told {end:?}; {:#?}", world.log);
    }

    /// Liveness: left alone it converges, is healthy, and then plans no write.
    fn heal(&mut self) {
        let world = &mut self.world;
        world.clock = Clock::Trusted;
        for server in &mut world.servers {
            server.follows = true;
            server.answers = true;
        }
        world.edit(|spec| {
            if spec.rotation.mode == RotationMode::Suspended {
                spec.rotation.mode = RotationMode::OnRequest;
            }
            // A pin and an entry that cannot be honoured are for a person to take back.
            spec.rotation.pinned_key_id = None;
            spec.external_keys.clear();
            spec.imported_keys.clear();
        });
        world.imports.clear();
        for index in 0..world.workloads.len() {
            world.deploy_again(index);
            world.workloads[index].refused = false;
            world.workloads[index].follows = true;
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

/// Whether a switch did not wait for guard 1. What a status says that was rolled back is no evidence.
fn is_forced(switch: &Activation) -> bool {
    let early = switch.earliest.is_none_or(|time| time > switch.time);
    let may = matches!(switch.reason, RotationReason::KeyLost | RotationReason::Revoked);
    switch.reason == RotationReason::Restored || (may && early)
}
