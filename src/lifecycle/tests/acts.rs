//! What happens to a cluster: users, accidents, time.

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::world::World;
use crate::api::{
    Duration, ExternalKey, HeldKey, ImportedKey, KeySetStatus, RevocationMode, RevokedKey, RotationMode, SecretKeyRef,
};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId};
use crate::lifecycle::{Clock, Import, PrivateHalf, Published, Signer, SignerContent};

/// What happens to a cluster.
#[derive(Clone, Debug)]
pub(super) enum Act {
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
    /// A workload is listed as a rollout target, or no longer.
    Target(usize, bool),
    /// So many of its Pods start anew.
    RestartPods(usize, usize),
    CrashPod(usize),
    /// It may not be read.
    Refuse(usize, bool),
    Undeploy(usize),
    DeployAgain(usize),
    Snapshot,
    RollBack,
}

pub(super) fn act() -> impl Strategy<Value = Act> {
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
        2 => (0_usize..WORKLOADS, any::<bool>()).prop_map(|(index, it)| Act::Target(index, it)),
        4 => (0_usize..WORKLOADS, 1_usize..3).prop_map(|(index, count)| Act::RestartPods(index, count)),
        1 => (0_usize..WORKLOADS).prop_map(Act::CrashPod),
        1 => (0_usize..WORKLOADS, any::<bool>()).prop_map(|(index, it)| Act::Refuse(index, it)),
        1 => (0_usize..WORKLOADS).prop_map(Act::Undeploy),
        2 => (0_usize..WORKLOADS).prop_map(Act::DeployAgain),
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

impl World {
    /// What an act does by itself. What needs a memory of what was is for the judge.
    pub(super) fn befall(&mut self, act: &Act) {
        match act {
            Act::Pause(length) => self.advance_to(self.now + minutes(*length)),
            Act::Run(length) => self.run_until(self.now + minutes(*length)),
            Act::ServerFollows(index, follows) => self.servers[*index].follows = *follows,
            Act::ServerAnswers(index, answers) => self.servers[*index].answers = *answers,
            Act::ServerRestarts(index) => self.restart_server(*index),
            Act::LoseSigner => self.signer = Signer::Absent,
            Act::DamageSigner => {
                if let Signer::Ours(signer) = &mut self.signer {
                    signer.content = SignerContent::Damaged;
                }
            }
            Act::LoseKeySecret(index) => {
                if let Some(key) = self.keys.get_mut(*index) {
                    key.private = PrivateHalf::Absent;
                }
            }
            Act::LoseConfigMap => self.published = Published::Absent,
            Act::TamperConfigMap => {
                let intruder = JwkSet::new(vec![Self::jwk(Algorithm::ES256, 255)]).unwrap();
                if let Published::Ours(content) = &mut self.published {
                    content.digest = Some(Digest::of(intruder.to_json().as_bytes()));
                    content.set = Some(intruder);
                }
            }
            Act::LoseStatus => self.key_set.status = KeySetStatus::default(),
            Act::Clock(true) => self.clock = Clock::Trusted,
            Act::Clock(false) => self.clock = Clock::Untrusted("jumped".to_owned()),
            // The servers run on, and one that could not be asked would be no witness.
            Act::RollBack => {
                self.clock = Clock::Trusted;
                for server in &mut self.servers {
                    server.follows = true;
                    server.answers = true;
                }
            }
            Act::Import(index) => self.import(*index),
            Act::Target(index, true) => self.target(WORKLOAD_NAMES[*index]),
            Act::RestartPods(index, count) => self.restart_pods(*index, *count),
            Act::CrashPod(index) => self.crash_pod(*index),
            Act::Refuse(index, refused) => {
                if let Some(running) = self.workloads.get_mut(*index) {
                    running.refused = *refused;
                }
            }
            Act::Undeploy(index) => self.undeploy(*index),
            Act::DeployAgain(index) => self.deploy_again(*index),
            _ => self.ask(act),
        }
    }

    /// What users ask for.
    fn ask(&mut self, act: &Act) {
        let now = self.now;
        let named = |index: &usize| self.keys.get(*index).and_then(|key| key.kid().cloned());
        let kid = match act {
            Act::Revoke(index, _) | Act::Pin(index) | Act::Hold(index) => named(index),
            _ => None,
        };
        self.edit(|spec| match act {
            Act::Lifetime(length) => spec.tokens.max_lifetime = text(*length),
            Act::CacheAge(length) => spec.verifiers.max_cache_age = text(*length),
            Act::AskForRotation(delay) => spec.rotation.after = Some(now + minutes(*delay)),
            Act::Mode(mode) => spec.rotation.mode = *mode,
            Act::Algorithm(algorithm) => spec.algorithm = *algorithm,
            Act::Revoke(_, mode) => {
                spec.revoked_keys.retain(|revoked| Some(&revoked.key_id) != kid.as_ref());
                spec.revoked_keys.extend(kid.map(|key_id| RevokedKey { key_id, mode: *mode }));
            }
            Act::ForgetRevocations => spec.revoked_keys.clear(),
            Act::Pin(_) => spec.rotation.pinned_key_id = kid,
            Act::Unpin => spec.rotation.pinned_key_id = None,
            Act::Hold(_) => spec.held_keys = kid.map(|key_id| HeldKey { key_id }).into_iter().collect(),
            Act::Release => spec.held_keys.clear(),
            Act::External(index) => spec.external_keys = vec![external(*index)],
            Act::DropExternal => spec.external_keys.clear(),
            Act::Target(index, _) => spec.signers.rollout_targets.retain(|it| it.name != WORKLOAD_NAMES[*index]),
            _ => {}
        });
    }

    /// An entry of `importedKeys` whose Secret is there, unless the entry is known already. A Secret that gets another key
    /// under the kid of the entry, when the record that would refuse it was deleted, is beyond the guarantee.
    fn import(&mut self, index: usize) {
        let name = format!("legacy-{index}");
        if self.key_set.spec.imported_keys.iter().any(|entry| entry.name == name) {
            return;
        }
        let key_id = KeyId::try_from(name.as_str()).unwrap();
        let seed = 200 + i64::try_from(index).unwrap();
        let jwk = Self::jwk(self.key_set.spec.algorithm, seed).with_key_id(key_id.clone());
        let secret_ref = SecretKeyRef { name: "old".to_owned(), key: "tls.key".to_owned() };
        let entry = ImportedKey { name: name.clone(), secret_ref, algorithm: None, key_id: Some(key_id) };
        self.edit(|spec| spec.imported_keys.push(entry));
        self.imports.push(Import { entry_name: name, key: Ok(jwk) });
    }
}

pub(super) fn minutes(count: u32) -> SignedDuration {
    SignedDuration::from_mins(i64::from(count))
}

fn text(minutes: u32) -> Duration {
    format!("{minutes}m").parse().unwrap()
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

const EXTERNALS: usize = 2;
pub(super) const WORKLOAD_NAMES: [&str; WORKLOADS] = ["issuer", "gateway"];
const WORKLOADS: usize = 2;
