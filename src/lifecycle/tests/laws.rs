//! The laws of DESIGN section 3, for arbitrary histories: edits, losses, crashes, lagging and silent replicas, long pauses.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::world::{Activation, Backup, World};
use crate::api::{
    ExternalKey, HeldKey, ImportedKey, KeySetStatus, KeyState, RevocationMode, RevokedKey, RotationMode,
    RotationReason, SecretKeyRef,
};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId};
use crate::lifecycle::{Clock, Import, PrivateHalf, Published, Signer, SignerContent};

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
    Revoke(usize, RevocationMode),
    /// The list is emptied: what was revoked must stay so.
    ForgetRevocations,
    Pin(usize),
    Unpin,
    Hold(usize),
    Release,
    External(usize),
    DropExternal,
    Import(usize),
    Snapshot,
    RollBack,
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
        2 => (0_usize..6, mode()).prop_map(|(index, mode)| Act::Revoke(index, mode)),
        1 => Just(Act::ForgetRevocations),
        2 => (0_usize..6).prop_map(Act::Pin),
        2 => Just(Act::Unpin),
        1 => (0_usize..6).prop_map(Act::Hold),
        1 => Just(Act::Release),
        1 => (0_usize..EXTERNALS).prop_map(Act::External),
        1 => Just(Act::DropExternal),
        1 => (0_usize..4).prop_map(Act::Import),
        1 => Just(Act::Snapshot),
        1 => Just(Act::RollBack),
    ]
}

fn mode() -> impl Strategy<Value = RevocationMode> {
    prop_oneof![
        2 => Just(RevocationMode::AfterSwitch),
        1 => Just(RevocationMode::ForceSwitch),
        1 => Just(RevocationMode::Immediate),
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
    kids: std::collections::BTreeMap<KeyId, KeyId>,
    crashed: bool,
    backup: Option<Backup>,
    rollbacks: usize,
    /// Thumbprints.
    revoked: std::collections::BTreeSet<KeyId>,
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
            kids: std::collections::BTreeMap::new(),
            crashed: false,
            backup: None,
            rollbacks: 0,
            revoked: std::collections::BTreeSet::new(),
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
            // A snapshot of before knows nothing of the edit, and nobody else does: beyond the guarantee.
            Act::Lifetime(length) => {
                self.backup = None;
                world.edit(|spec| spec.tokens.max_lifetime = text(*length));
            }
            Act::CacheAge(length) => {
                self.backup = None;
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
                let lost = world.keys.remove(*index);
                // Whoever deletes the tombstone of a key that left, and not its entry in the spec, forgets it.
                if lost.lifecycle.removal_time.is_some() {
                    self.revoked.remove(lost.jwk.unwrap().thumbprint());
                }
            }
            Act::LoseStatus if !crashed => world.key_set.status = KeySetStatus::default(),
            Act::LoseSigningKey(_) | Act::LoseStatus => {}
            Act::Revoke(index, mode) => {
                let kid = kid_at(world, *index);
                world.edit(|spec| {
                    spec.revoked_keys.retain(|revoked| Some(&revoked.key_id) != kid.as_ref());
                    spec.revoked_keys.extend(kid.map(|key_id| RevokedKey { key_id, mode: *mode }));
                });
            }
            Act::ForgetRevocations => world.edit(|spec| spec.revoked_keys.clear()),
            Act::Pin(index) => {
                let kid = kid_at(world, *index);
                world.edit(|spec| spec.rotation.pinned_key_id = kid);
            }
            Act::Unpin => world.edit(|spec| spec.rotation.pinned_key_id = None),
            Act::Hold(index) => {
                let kid = kid_at(world, *index);
                world.edit(|spec| spec.held_keys = kid.map(|key_id| HeldKey { key_id }).into_iter().collect());
            }
            Act::Release => world.edit(|spec| spec.held_keys.clear()),
            Act::External(index) => world.edit(|spec| spec.external_keys = vec![external(*index)]),
            Act::DropExternal => world.edit(|spec| spec.external_keys.clear()),
            Act::Import(index) => import(world, *index),
            // A crash between a write and its record, and the loss of both, is beyond the guarantee.
            Act::Snapshot if !crashed => self.backup = Some(world.back_up()),
            Act::RollBack if !crashed && self.rollbacks < 3 => {
                // The servers run on, and one that could not be asked would be no witness.
                world.clock = Clock::Trusted;
                for server in &mut world.servers {
                    server.follows = true;
                    server.answers = true;
                }
                if let Some(backup) = self.backup.take() {
                    world.roll_back(backup);
                    self.rollbacks += 1;
                    self.revoked.clear();
                }
            }
            Act::Snapshot | Act::RollBack => {}
            Act::Clock(true) => world.clock = Clock::Trusted,
            Act::Clock(false) => world.clock = Clock::Untrusted("jumped".to_owned()),
        }
        world.serve();
        let _ = world.settle();
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

/// The kid of a key that may be published, or that left.
fn kid_at(world: &World, index: usize) -> Option<KeyId> {
    world.keys.get(index).and_then(|key| key.kid().cloned())
}

/// Real points, as an entry is checked: RFC 7517 appendix A.1 and RFC 7515 appendix A.3.
fn external(index: usize) -> ExternalKey {
    let (x, y) = [
        ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
        ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    ][index];
    let kid = format!("external-{index}");
    let members = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid, "x": x, "y": y });
    ExternalKey { name: kid, public_jwk: serde_json::from_value(members).unwrap(), publish_until_time: None }
}

/// An entry of `importedKeys` whose Secret is there, unless the entry is known already.
fn import(world: &mut World, index: usize) {
    let name = format!("legacy-{index}");
    let known = |key: &crate::lifecycle::Key| key.entry_name.as_ref() == Some(&name);
    if world.keys.iter().any(known) || world.imports.iter().any(|import| import.entry_name == name) {
        return;
    }
    let key_id = KeyId::try_from(name.as_str()).unwrap();
    let seed = 200 + i64::try_from(index).unwrap();
    let jwk = World::jwk(world.key_set.spec.algorithm, seed).with_key_id(key_id.clone());
    let secret_ref = SecretKeyRef { name: "old".to_owned(), key: "tls.key".to_owned() };
    let entry = ImportedKey { name: name.clone(), secret_ref, algorithm: None, key_id: Some(key_id) };
    world.edit(|spec| spec.imported_keys.push(entry));
    world.imports.push(Import { entry_name: name, key: Ok(jwk) });
}

const EXTERNALS: usize = 2;

fn text(minutes: u32) -> crate::api::Duration {
    format!("{minutes}m").parse().unwrap()
}
