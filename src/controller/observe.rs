//! Observe: one look at everything that a KeySet consists of, by live reads, as the plain values that `lifecycle` plans
//! with.
//!
//! Nothing is decided here but whose an object is and whether its content is what it says.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{DeserializeGuard, ObjectMeta};
use kube::{Resource, ResourceExt};

use super::context::Context;
use super::error::Error;
use super::objects::{Objects, fence, is_ours};
use super::prober::Set;
use super::secret::Secret;
use super::workloads;
use crate::api::{
    DeletionPolicy, ImportedKey, KeySet, Origin, RotationReason, SecretKeyRef, SignerFile, SigningKey,
    VisibilitySource, names,
};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId};
use crate::key_material::{KeyPair, SecretData};
use crate::lifecycle::{
    ConfigMapContent, Contract, Import, Key, Observed, ObservedKeySet, Ownership, PrivateHalf, Published, Signer,
    SignerContent, SignerSecret, Stray, sought,
};

/// Looks at a KeySet and all that belongs to it. `None`: there is no such KeySet, or it is being deleted.
///
/// SigningKeys are listed, or read by name if their names are `known` from the look before.
pub(super) async fn observe(
    context: &Context,
    objects: &Objects,
    name: &str,
    known: Option<BTreeSet<String>>,
) -> Result<Option<Observed>, Error> {
    // First of all: what is read after it may be newer than its status, never older.
    let key_set = match objects.key_set(name).await? {
        None => return Ok(None),
        Some(DeserializeGuard(Err(unreadable))) => return Err(Error::Unreadable { why: unreadable.error }),
        Some(DeserializeGuard(Ok(key_set))) if key_set.meta().deletion_timestamp.is_some() => return Ok(None),
        Some(DeserializeGuard(Ok(key_set))) => key_set,
    };
    let contract = Contract::new(&key_set.spec);
    let (signer_secret, config_map) = (key_set.signer_secret_name(), key_set.config_map_name());
    let targets = key_set.spec.signers.rollout_targets.iter();
    let targets = targets.map(|entry| workloads::target(objects, entry, name));
    let ((keys, undecodable), signer, published, targets, clock) = tokio::try_join!(
        keys(objects, &key_set, known),
        async { signer(objects.secret(&signer_secret).await?, &key_set) },
        async { published(objects.config_map(&config_map).await?, &key_set) },
        try_join_all(targets),
        context.watch.judge(&context.client, contract.clock_skew),
    )?;
    let (strays, imports, issuer) = tokio::try_join!(
        strays(objects, &key_set, &keys, &signer),
        imports(objects, &key_set, &keys),
        context.issuers.obstacle(&context.client, &key_set),
    )?;
    // Last of all: what the replicas serve is judged by objects that are not newer.
    let (visibility, set) = (key_set.spec.publication.visibility, Set::of(&key_set));
    let key_set = observed_key_set(key_set);
    let sweep = match visibility {
        VisibilitySource::Assumed => None,
        VisibilitySource::Replicas => Some(context.prober.pass().await),
    };
    let pass = sweep.as_ref().map(|sweep| sweep.of(&set));
    let (obstacle, witness) = (None, None);
    let mut observed = Observed {
        key_set,
        keys,
        undecodable,
        strays,
        imports,
        issuer,
        obstacle,
        signer,
        published,
        pass,
        witness,
        targets,
        clock,
    };
    if let Some((sweep, replica)) = sweep.zip(sought(&observed)) {
        observed.witness = context.prober.witness(&sweep, replica, &set).await;
    }
    Ok(Some(observed))
}

/// The KeySet as plain values.
pub(crate) fn observed_key_set(key_set: KeySet) -> ObservedKeySet {
    let fence = fence(key_set.meta());
    ObservedKeySet {
        name: key_set.name_any(),
        namespace: key_set.namespace().unwrap_or_default(),
        uid: fence.uid,
        resource_version: fence.resource_version,
        generation: key_set.meta().generation.unwrap_or_default(),
        status: key_set.status.unwrap_or_default(),
        spec: key_set.spec,
    }
}

/// The SigningKeys with their Key Secrets, by sequence, and the names of those that cannot be decoded.
async fn keys(
    objects: &Objects,
    key_set: &KeySet,
    known: Option<BTreeSet<String>>,
) -> Result<(Vec<Key>, Vec<String>), Error> {
    let mut readable = Vec::new();
    let mut undecodable = Vec::new();
    for DeserializeGuard(key) in signing_keys(objects, key_set, known).await? {
        match key {
            Ok(key) => readable.push(key),
            Err(unreadable) => undecodable.push(unreadable.metadata.name.unwrap_or_default()),
        }
    }
    let mut keys = try_join_all(readable.into_iter().map(|signing_key| key(objects, key_set, signing_key))).await?;
    keys.sort_by_key(|key| key.sequence);
    Ok((keys, undecodable))
}

/// All of them, or those that are known. Right after a write of ours the API server answers a list only once etcd has told
/// it that nothing else changed, which takes up to 100 ms; for a name it answers at once.
async fn signing_keys(
    objects: &Objects,
    key_set: &KeySet,
    known: Option<BTreeSet<String>>,
) -> Result<Vec<DeserializeGuard<SigningKey>>, Error> {
    let Some(mut names) = known else { return objects.signing_keys(&key_set.name_any()).await };
    // What the status tells of must be looked at, whoever made it.
    names.extend(key_set.status.iter().flat_map(|status| &status.keys).map(|key| key.name.clone()));
    let found = try_join_all(names.iter().map(|name| objects.signing_key(name))).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn key(objects: &Objects, key_set: &KeySet, signing_key: SigningKey) -> Result<Key, Error> {
    let name = signing_key.name_any();
    mine(signing_key.meta(), key_set, || format!("SigningKey {name}"))?;
    let secret = objects.secret(&name).await?;
    let metadata = signing_key.meta();
    let secret_ownership = secret.as_ref().map(|secret| ownership(&secret.metadata, key_set));
    let ownership = match (ownership(metadata, key_set), secret_ownership) {
        (Ownership::AsWanted, None | Some(Ownership::AsWanted)) => Ownership::AsWanted,
        _ => Ownership::Differs,
    };
    Ok(Key {
        fence: fence(metadata),
        generation: metadata.generation.unwrap_or_default(),
        private: private_half(secret.as_ref(), key_set, &signing_key)?,
        ownership,
        name,
        sequence: signing_key.spec.sequence,
        origin: signing_key.spec.origin,
        entry_name: signing_key.spec.entry_name,
        algorithm: signing_key.spec.algorithm,
        rsa_key_bits: signing_key.spec.rsa_key_bits,
        jwk: signing_key.spec.public_jwk,
        lifecycle: signing_key.spec.lifecycle.unwrap_or_default(),
        status: signing_key.status,
    })
}

/// A Key Secret counts only if its key is the one that the SigningKey names: a delayed create may have landed after a
/// deletion (PROTOCOL 2), and a file may have been damaged.
fn private_half(secret: Option<&Secret>, key_set: &KeySet, key: &SigningKey) -> Result<PrivateHalf, Error> {
    let Some(secret) = secret else { return Ok(PrivateHalf::Absent) };
    if !is_ours(&secret.metadata, &key_set.name_any()) {
        return Ok(PrivateHalf::Foreign);
    }
    mine(&secret.metadata, key_set, || format!("Secret {}", secret.name_any()))?;
    let fence = fence(&secret.metadata);
    let thumbprint = key.spec.public_jwk.as_ref().map(crate::jose::PublicJwk::thumbprint);
    Ok(match KeyPair::from_secret_data(&secret.data) {
        Ok(pair) if Some(pair.public_jwk().thumbprint()) == thumbprint => PrivateHalf::Stored(fence),
        Ok(_) | Err(_) => PrivateHalf::Mismatched(fence),
    })
}

/// Key Secrets without a SigningKey, under the names that the status tells of. Until the KeySet is claimed it tells of none,
/// and Secrets cannot be listed: then under the names around the signer's and the first ones.
async fn strays(objects: &Objects, key_set: &KeySet, keys: &[Key], signer: &Signer) -> Result<Vec<Stray>, Error> {
    let prefix = format!("{}-", key_set.name_any());
    let sequence = |name: &str| name.strip_prefix(&prefix).and_then(|sequence| sequence.parse::<i64>().ok());
    let claimed = key_set.status.as_ref().filter(|status| status.observed_uid == key_set.uid());
    let sequences: BTreeSet<i64> = if let Some(status) = claimed {
        status.keys.iter().filter_map(|key| sequence(&key.name)).collect()
    } else {
        let signing = match signer {
            Signer::Ours(signer) => sequence(&signer.key_name),
            Signer::Absent | Signer::Foreign | Signer::Illegible(_) => None,
        };
        let around = signing.into_iter().flat_map(|sequence| sequence - STRAYS_AROUND..=sequence + STRAYS_AROUND);
        (1..=STRAYS_AROUND).chain(around).filter(|sequence| *sequence > 0).collect()
    };
    let missing = sequences.into_iter().filter(|sequence| keys.iter().all(|key| key.sequence != *sequence));
    let secrets = try_join_all(missing.map(async |sequence| {
        let secret = objects.secret(&format!("{prefix}{sequence}")).await?;
        Ok::<_, Error>(secret.map(|secret| (sequence, secret)))
    }));
    let ours =
        secrets.await?.into_iter().flatten().filter(|(_, secret)| is_ours(&secret.metadata, &key_set.name_any()));
    let strays = ours.filter_map(|(sequence, secret)| {
        let pair = KeyPair::from_secret_data(&secret.data).ok()?;
        let entry_name = secret.metadata.annotations.unwrap_or_default().remove(names::key_secret::ENTRY_NAME);
        Some(Stray { sequence, jwk: pair.public_jwk().clone(), entry_name })
    });
    Ok(strays.collect())
}

/// What the Secrets hold that `importedKeys` names, for the entries that no SigningKey stands for. A user's Secret is
/// looked at only until its key is copied.
async fn imports(objects: &Objects, key_set: &KeySet, keys: &[Key]) -> Result<Vec<Import>, Error> {
    let stands = |entry: &&ImportedKey| {
        keys.iter().any(|key| key.origin == Origin::Imported && key.entry_name.as_ref() == Some(&entry.name))
    };
    let missing = key_set.spec.imported_keys.iter().filter(|entry| !stands(entry));
    try_join_all(missing.map(async |entry| {
        let secret = objects.secret(&entry.secret_ref.name).await?;
        let key = imported(entry, secret.as_ref(), key_set.spec.algorithm, &key_set.name_any());
        let key = key.map(|pair| pair.public_jwk().clone());
        Ok(Import { entry_name: entry.name.clone(), key })
    }))
    .await
}

/// The private key that an entry names, read and tested; or what is wrong and what to do about it.
///
/// The Secret's owner consents by a label: else editing a KeySet would be a right to use any Secret.
pub(crate) fn imported(
    entry: &ImportedKey,
    secret: Option<&Secret>,
    algorithm: Algorithm,
    key_set: &str,
) -> Result<KeyPair, String> {
    let SecretKeyRef { name, key } = &entry.secret_ref;
    let Some(secret) = secret else {
        return Err(format!("Secret {name} does not exist: create it in this namespace"));
    };
    let consent = secret.metadata.labels.as_ref().and_then(|labels| labels.get(names::LABEL_IMPORT));
    if consent.map(String::as_str) != Some(key_set) {
        return Err(format!("Secret {name} lacks its owner's consent: label it {}={key_set}", names::LABEL_IMPORT));
    }
    let algorithm = entry.algorithm.unwrap_or(algorithm);
    KeyPair::import(&secret.data, key, algorithm, entry.key_id.as_ref())
        .map_err(|error| format!("Secret {name}: {error}"))
}

fn signer(secret: Option<Secret>, key_set: &KeySet) -> Result<Signer, Error> {
    let Some(secret) = secret else { return Ok(Signer::Absent) };
    if !is_ours(&secret.metadata, &key_set.name_any()) {
        return Ok(Signer::Foreign);
    }
    mine(&secret.metadata, key_set, || format!("Secret {}", secret.name_any()))?;
    let Some(record) = signer_record(&secret, key_set) else { return Ok(Signer::Illegible(fence(&secret.metadata))) };
    Ok(Signer::Ours(record))
}

/// The record in the annotations; `None` if it cannot be read, or was written for a key without a name.
fn signer_record(secret: &Secret, key_set: &KeySet) -> Option<SignerSecret> {
    let annotation = |name: &str| secret.metadata.annotations.as_ref()?.get(name).map(String::as_str);
    let key_id = KeyId::try_from(annotation(names::signer::KEY_ID)?).ok()?;
    let barred = annotation(names::signer::BARRED_KEY_IDS).unwrap_or_default();
    let reason = annotation(names::signer::ROTATION_REASON)
        .and_then(|reason| serde_json::from_value(reason.into()).ok())
        .unwrap_or(RotationReason::Adopted);
    Some(SignerSecret {
        fence: fence(&secret.metadata),
        term: annotation(names::signer::TERM)?.parse().ok()?,
        key_name: annotation(names::signer::SIGNING_KEY)?.to_owned(),
        activation_time: annotation(names::signer::ACTIVATED_TIME)?.parse().ok()?,
        replaced: annotation(names::signer::REPLACED_KEY_ID).and_then(|kid| KeyId::try_from(kid).ok()),
        barred: barred.split_whitespace().filter_map(|kid| KeyId::try_from(kid).ok()).collect(),
        content: signer_content(&secret.data, &key_id, &key_set.spec.signers.files),
        key_id,
        reason,
        key_set_uid: annotation(names::signer::KEY_SET_UID).map(ToOwned::to_owned),
        ownership: open(secret.immutable, ownership(&secret.metadata, key_set)),
    })
}

/// Whether the files are those of the recorded key, and just those that the spec asks for.
fn signer_content(data: &SecretData, key_id: &KeyId, files: &[SignerFile]) -> SignerContent {
    let Some(pair) = KeyPair::from_secret_data(data).ok().filter(|pair| pair.kid() == key_id) else {
        return SignerContent::Damaged;
    };
    match (pair.signer_secret_data(files), pair.signer_secret_data(&[])) {
        (Ok(whole), _) if whole == *data => SignerContent::Intact,
        (_, Ok(least)) if data.contains(&least) => SignerContent::OtherFiles,
        _ => SignerContent::Damaged,
    }
}

/// What the JWKS ConfigMap holds.
pub(crate) fn published(config_map: Option<ConfigMap>, key_set: &KeySet) -> Result<Published, Error> {
    let Some(config_map) = config_map else { return Ok(Published::Absent) };
    if !is_ours(&config_map.metadata, &key_set.name_any()) {
        return Ok(Published::Foreign);
    }
    mine(&config_map.metadata, key_set, || format!("ConfigMap {}", config_map.name_any()))?;
    let data = config_map.data.clone().unwrap_or_default();
    let binary = config_map.binary_data.as_ref().is_some_and(|binary| !binary.is_empty());
    // Readers that take any one entry must not be offered a second (PROTOCOL 3).
    let document = data.get(names::config_map::JWKS).filter(|_| data.len() == 1 && !binary);
    let annotations = config_map.annotations();
    Ok(Published::Ours(ConfigMapContent {
        fence: fence(&config_map.metadata),
        digest: document.map(Digest::of),
        set: document.and_then(|document| JwkSet::parse(document.as_bytes()).ok()),
        revision: annotations.get(names::config_map::REVISION).and_then(|revision| revision.parse().ok()),
        issuer: annotations.get(names::config_map::ISSUER).filter(|issuer| !issuer.is_empty()).cloned(),
        ownership: open(config_map.immutable, ownership(&config_map.metadata, key_set)),
    }))
}

/// An object with our labels that belongs to an earlier KeySet of this name is about to be garbage-collected, and one
/// with a deletionTimestamp about to go: neither is adopted (PROTOCOL 2).
fn mine(metadata: &ObjectMeta, key_set: &KeySet, object: impl Fn() -> String) -> Result<(), Error> {
    let owners = metadata.owner_references.iter().flatten();
    let foreign = owners.filter(|owner| owner.kind == "KeySet").any(|owner| Some(&owner.uid) != key_set.uid().as_ref());
    if foreign || metadata.deletion_timestamp.is_some() {
        return Err(Error::BeingDeleted { object: object() });
    }
    Ok(())
}

/// Whether an object has the owner reference that the spec asks for.
pub(crate) fn ownership(metadata: &ObjectMeta, key_set: &KeySet) -> Ownership {
    let owned = metadata.owner_references.iter().flatten().any(|owner| Some(&owner.uid) == key_set.uid().as_ref());
    let wanted = key_set.spec.deletion_policy == DeletionPolicy::Delete;
    if owned == wanted { Ownership::AsWanted } else { Ownership::Differs }
}

/// An object that somebody has made immutable is not as it is wanted, be it whole: it can follow no switch, and a kubelet
/// looks at it no more (PROTOCOL 10).
fn open(immutable: Option<bool>, ownership: Ownership) -> Ownership {
    if immutable == Some(true) { Ownership::Differs } else { ownership }
}

/// A set in good health has keys under at most three names in a row that still have a private half.
const STRAYS_AROUND: i64 = 2;
