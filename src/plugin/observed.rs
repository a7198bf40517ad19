//! A KeySet as its reader can see it, in the plain values that `lifecycle` plans with.
//!
//! No Secret of ours is read. What the Signer Secret says is in the ledger of the SigningKeys too, and where private
//! halves are is in their status. What cannot be seen is assumed to be as it should be, and told as an assumption.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Resource, ResourceExt};

use super::error::Error;
use super::keys;
use super::session::Session;
use crate::api::names::{condition, reason};
use crate::api::{
    ConditionStatus, FileFormat, ImportedKey, KeySet, Origin, PrivateKeyState, RotationReason, SignerFile, SigningKey,
    VisibilitySource,
};
use crate::controller::{Secret, fence, imported, look, observed_key_set, ownership, published};
use crate::forecast::made_up;
use crate::jose::KeyId;
use crate::lifecycle::{
    Clock, ConfigMapContent, Fence, Import, IssuerObstacle, Key, Observed, Pass, PassState, Pods, PrivateHalf,
    Published, Replica, ServedKeys, Signer, SignerContent, SignerSecret, Target, Workload,
};

/// What belongs to a KeySet, as it was read.
pub(super) struct Objects {
    pub(super) signing_keys: Vec<SigningKey>,
    config_map: Option<ConfigMap>,
    /// The issuer that the status is about.
    live_issuer: Option<String>,
    /// The files that the Signer Secret has beside the usual ones.
    live_files: Vec<SignerFile>,
}

/// What was observed, and what was taken for granted.
pub(super) struct Seen {
    pub(super) observed: Observed,
    /// Sentences for people.
    pub(super) assumptions: Vec<String>,
}

impl Objects {
    /// Reads what there is under the names of the KeySet; `live` is the KeySet as it is, if it is there.
    pub(super) async fn read(session: &Session, key_set: &KeySet, live: Option<&KeySet>) -> Result<Self, Error> {
        let (client, namespace) = (&session.client, key_set.namespace().unwrap_or_default());
        let signing_keys = keys::list(session, &namespace, &key_set.name_any()).await.map_err(Error::api)?;
        let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let config_map = config_maps.get_opt(&key_set.config_map_name()).await.map_err(Error::api)?;
        let live_issuer = live.and_then(|live| live.spec.publication.issuer.clone());
        let live_files = live.map(|live| live.spec.signers.files.clone()).unwrap_or_default();
        Ok(Self { signing_keys, config_map, live_issuer, live_files })
    }

    /// The KeySet with them, be it as it is or as an edit would make it.
    pub(super) async fn seen(&self, session: &Session, key_set: &KeySet) -> Result<Seen, Error> {
        let mut assumptions = Vec::new();
        let mut keys: Vec<Key> = self.signing_keys.iter().map(|key| self::key(key, key_set)).collect();
        keys.sort_by_key(|key| key.sequence);
        let imports = imports(session, key_set, &keys, &mut assumptions).await?;
        let published =
            published(self.config_map.clone(), key_set).map_err(|error| Error::Refused(error.to_string()))?;
        let mut signer = signer(key_set, &keys);
        if let Signer::Ours(signer) = &mut signer
            && self.asks_for_other_files(key_set, &keys, &signer.key_id)
        {
            signer.content = SignerContent::OtherFiles;
        }
        let targets = targets(session, key_set, &mut assumptions).await?;
        let observed = Observed {
            obstacle: obstacle(key_set, &published),
            keys,
            undecodable: Vec::new(),
            strays: Vec::new(),
            imports,
            issuer: self.issuer(key_set, &mut assumptions),
            signer,
            published,
            pass: None,
            witness: None,
            targets,
            clock: Clock::Trusted,
            key_set: observed_key_set(key_set.clone()),
        };
        assumptions.extend(doubts(key_set));
        Ok(Seen { observed, assumptions })
    }

    /// Whether an edit adds or takes away a file that the signing key has a form for.
    fn asks_for_other_files(&self, key_set: &KeySet, keys: &[Key], signing: &KeyId) -> bool {
        let algorithm = keys.iter().find(|key| key.kid() == Some(signing)).map(|key| key.algorithm);
        let names = |files: &[SignerFile]| -> BTreeSet<(&'static str, String)> {
            let of = |file: &&SignerFile| algorithm.is_some_and(|algorithm| file.format.is_of(algorithm));
            let further = files.iter().filter(of).filter(|file| {
                let usual =
                    matches!(file.format, FileFormat::Pkcs8Pem | FileFormat::PublicPem | FileFormat::PrivateJwk);
                !usual || file.name() != file.format.usual_name()
            });
            further.map(|file| (file.format.name(), file.name().to_owned())).collect()
        };
        names(&self.live_files) != names(&key_set.spec.signers.files)
    }

    /// What keeps the issuer from being served, as the status tells of it. What the administrator allows nobody else can see.
    fn issuer(&self, key_set: &KeySet, assumptions: &mut Vec<String>) -> Option<IssuerObstacle> {
        let issuer = key_set.spec.publication.issuer.as_ref()?;
        let status = key_set.status.as_ref();
        let accepted = status.and_then(|status| status.publication.as_ref()).and_then(|it| it.issuer.as_ref());
        if accepted == Some(issuer) {
            return None;
        }
        let mut conditions = status.iter().flat_map(|status| &status.conditions);
        let told = conditions.find(|it| it.r#type == condition::ACCEPTED && self.live_issuer.as_ref() == Some(issuer));
        match told.map(|it| it.reason.as_str()) {
            Some(reason::ISSUER_NOT_ALLOWED) => Some(IssuerObstacle::NotAllowed),
            Some(reason::ISSUER_CONFLICT) => Some(IssuerObstacle::Taken { by: "another".to_owned() }),
            _ => {
                assumptions.push(format!(
                    "the administrator has given the host of {issuer} to this namespace, and no other KeySet has it"
                ));
                None
            }
        }
    }
}

/// The latest look at the replicas, as the status tells of it.
pub(super) fn told_pass(observed: &Observed, now: Timestamp) -> Pass {
    let status = &observed.key_set.status;
    let published = status.conditions.iter().find(|it| it.r#type == condition::PUBLISHED);
    let served = match &observed.published {
        Published::Ours(ConfigMapContent { digest: Some(digest), set: Some(set), .. }) => Some(ServedKeys {
            key_set_uid: status.observed_uid.clone(),
            revision: status.publication.as_ref().and_then(|it| it.revision).unwrap_or_default(),
            digest: digest.clone(),
            ages: set.keys().iter().map(|jwk| (jwk.kid().clone(), None)).collect(),
        }),
        _ => None,
    };
    let replica = Replica { endpoint: "every replica".to_owned(), served };
    match published {
        Some(it) if it.status != ConditionStatus::True => {
            Pass { time: now, state: PassState::Incomplete(it.message.clone()), replicas: Vec::new() }
        }
        _ => Pass { time: now, state: PassState::Complete, replicas: vec![replica] },
    }
}

fn key(signing_key: &SigningKey, key_set: &KeySet) -> Key {
    let (metadata, spec) = (signing_key.meta(), signing_key.spec.clone());
    let state = signing_key.status.as_ref().and_then(|status| status.private_key);
    Key {
        name: signing_key.name_any(),
        fence: fence(metadata),
        generation: metadata.generation.unwrap_or_default(),
        private: match state {
            Some(PrivateKeyState::Stored) | None if spec.origin != Origin::External => PrivateHalf::Stored(unseen()),
            _ => PrivateHalf::Absent,
        },
        ownership: ownership(metadata, key_set),
        sequence: spec.sequence,
        origin: spec.origin,
        entry_name: spec.entry_name,
        algorithm: spec.algorithm,
        rsa_key_bits: spec.rsa_key_bits,
        jwk: spec.public_jwk,
        lifecycle: spec.lifecycle.unwrap_or_default(),
        status: signing_key.status.clone(),
    }
}

/// The Signer Secret as the ledger and the status tell of it.
fn signer(key_set: &KeySet, keys: &[Key]) -> Signer {
    let active = keys.iter().filter(|key| key.is_active()).max_by_key(|key| key.lifecycle.term);
    let shown = active.or_else(|| revoked_signer(keys));
    let last = key_set.status.as_ref().and_then(|status| status.last_rotation.as_ref());
    let Some((key, key_id, term, activation_time)) =
        shown.and_then(|key| Some((key, key.kid()?.clone(), key.lifecycle.term?, key.lifecycle.activation_time?)))
    else {
        return Signer::Absent;
    };
    let last = last.filter(|last| last.key_name == key.name);
    let previous = last.and_then(|last| last.previous_key_name.as_ref());
    let kid = |name: &String| keys.iter().find(|key| key.name == *name)?.kid().cloned();
    Signer::Ours(SignerSecret {
        fence: unseen(),
        term,
        key_name: key.name.clone(),
        activation_time,
        replaced: previous.and_then(kid),
        barred: keys.iter().filter(|other| other.name != key.name).filter_map(spent).collect(),
        reason: last.map_or(RotationReason::Adopted, |last| last.reason),
        key_set_uid: key_set.uid(),
        content: SignerContent::Intact,
        ownership: key.ownership,
        key_id,
    })
}

/// A revoked key that nobody has replaced yet is not active by its ledger, and signs all the same.
fn revoked_signer(keys: &[Key]) -> Option<&Key> {
    let unreplaced = |key: &&Key| {
        key.is_revoked() && !key.is_removed() && key.lifecycle.activation_time > key.lifecycle.retirement_time
    };
    keys.iter().filter(unreplaced).max_by_key(|key| key.lifecycle.term)
}

/// The kid of a key that nobody may flip to: it was barred before its private half was destroyed.
fn spent(key: &Key) -> Option<KeyId> {
    let over = key.is_over() || (key.is_retired() && key.private == PrivateHalf::Absent);
    key.kid().filter(|_| over && key.origin != Origin::External).cloned()
}

/// An object of a name that we need and that is not ours, as the status tells of it.
fn obstacle(key_set: &KeySet, published: &Published) -> Option<String> {
    let conditions = key_set.status.iter().flat_map(|status| &status.conditions);
    let conflict = conditions
        .filter(|it| it.r#type == condition::READY && it.status == ConditionStatus::False)
        .find(|it| it.reason == reason::NAME_CONFLICT)?;
    let object = conflict.message.split(" exists").next()?.to_owned();
    // That one is seen for itself.
    (*published != Published::Foreign).then_some(object)
}

/// What `importedKeys` names and no SigningKey stands for, read as the caller.
async fn imports(
    session: &Session,
    key_set: &KeySet,
    keys: &[Key],
    assumptions: &mut Vec<String>,
) -> Result<Vec<Import>, Error> {
    let standing: BTreeSet<&String> =
        keys.iter().filter(|key| key.origin == Origin::Imported).filter_map(|key| key.entry_name.as_ref()).collect();
    let missing = key_set.spec.imported_keys.iter().enumerate().filter(|(_, entry)| !standing.contains(&entry.name));
    let secrets: Api<Secret> =
        Api::namespaced(session.client.clone(), &key_set.namespace().unwrap_or(session.namespace.clone()));
    let mut imports = Vec::new();
    for (index, entry) in missing {
        let key = match secrets.get_opt(&entry.secret_ref.name).await {
            Ok(secret) => imported(entry, secret.as_ref(), key_set.spec.algorithm, &key_set.name_any())
                .map(|pair| pair.public_jwk().clone()),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let ImportedKey { name, secret_ref, .. } = entry;
                assumptions.push(format!(
                    "entry {name} finds a usable key in Secret {}, which you may not read",
                    secret_ref.name
                ));
                let algorithm = entry.algorithm.unwrap_or(key_set.spec.algorithm);
                let number = i64::MAX / 4 - i64::try_from(index).unwrap_or_default();
                let jwk = made_up(algorithm, None, number).map_err(|error| error.to_string());
                jwk.map(|jwk| match &entry.key_id {
                    Some(key_id) => jwk.with_key_id(key_id.clone()),
                    None => jwk,
                })
            }
            Err(error) => return Err(Error::api(error)),
        };
        imports.push(Import { entry_name: entry.name.clone(), key });
    }
    Ok(imports)
}

/// The workloads that start anew after a switch. How long that takes nobody knows.
async fn targets(session: &Session, key_set: &KeySet, assumptions: &mut Vec<String>) -> Result<Vec<Target>, Error> {
    let (namespace, name) = (key_set.namespace().unwrap_or_default(), key_set.name_any());
    let mut targets = Vec::new();
    for entry in &key_set.spec.signers.rollout_targets {
        let target = look(&session.client, &namespace, entry, &name).await;
        let mut target = target.map_err(|error| Error::Refused(error.to_string()))?;
        if let Workload::Refused(_) = target.workload {
            // The rights of the controller are others.
            target.workload = Workload::Found { uid: String::new(), mark: None, pods: Pods::Current };
        }
        if target.workload != Workload::Absent {
            assumptions.push(format!("{entry} starts all its Pods anew as soon as it is marked"));
        }
        targets.push(target);
    }
    Ok(targets)
}

/// What the status says of today that a forecast does not believe to last.
fn doubts(key_set: &KeySet) -> Vec<String> {
    let conditions = || key_set.status.iter().flat_map(|status| &status.conditions);
    let says = |r#type: &str, status| conditions().any(|it| it.r#type == r#type && it.status == status);
    let replicas = key_set.spec.publication.visibility == VisibilitySource::Replicas;
    let unseen = replicas && !says(condition::PUBLISHED, ConditionStatus::True);
    let untrusted = says(condition::CLOCK_UNTRUSTED, ConditionStatus::True);
    let unseen = unseen.then(|| "every server replica serves the set from now on, which it does not yet".to_owned());
    let untrusted = untrusted.then(|| "the clocks agree from now on, which they do not yet".to_owned());
    unseen.into_iter().chain(untrusted).collect()
}

fn unseen() -> Fence {
    Fence { uid: String::new(), resource_version: String::new() }
}
