//! Apply: the writes of a plan, in their order, each fenced; stops at the first that fails.
//!
//! Invariants: create-only Secrets for keys (AlreadyExists means adopt or refuse); every later write carries the uid
//! and resourceVersion that the plan saw; bodies are built from scratch, never from a cached object; a private half is
//! read live and tested before it signs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use serde::Serialize;
use serde_json::json;

use super::context::Context;
use super::error::Error;
use super::objects::{Object, Objects, fence, is_ours, labels, owner_references};
use super::observe::imported;
use super::secret::Secret;
use super::workloads;
use crate::api::{ImportedKey, KeySet, Lifecycle, Origin, SigningKey, SigningKeySpec, SigningKeyStatus, names};
use crate::jose::{Digest, JwkSet, KeyId, PublicJwk};
use crate::key_material::{KeyPair, SecretData};
use crate::lifecycle::{Effect, Event, Fence, Observed, ObservedKeySet, Plan, Provenance, SignerRecord};

/// Performs the plan: its writes, or if there are none, its status.
pub(super) async fn apply(context: &Context, objects: &Objects, observed: &Observed, plan: &Plan) -> Result<(), Error> {
    let key_set = &observed.key_set;
    let pass = Pass { context, objects, key_set };
    for effect in &plan.effects {
        pass.perform(effect, plan).await?;
        if let Some(event) = effect.event(&key_set.name) {
            pass.tell(&event);
        }
    }
    if plan.effects.is_empty() {
        pass.record_status(plan).await?;
    }
    Ok(())
}

struct Pass<'a> {
    context: &'a Context,
    objects: &'a Objects,
    key_set: &'a ObservedKeySet,
}

impl Pass<'_> {
    async fn perform(&self, effect: &Effect, plan: &Plan) -> Result<(), Error> {
        match effect {
            Effect::RecordStatus => self.record_status(plan).await,
            Effect::StageKey { sequence, algorithm, rsa_key_bits, status } => {
                let name = format!("{}-{sequence}", self.key_set.name);
                let pair = self.stored_or_made(&name, *algorithm, *rsa_key_bits).await?;
                let rsa_key_bits = rsa_key_bits.filter(|_| pair.algorithm().is_rsa());
                let spec = self.signing_key(*sequence, &Provenance::Generated, pair.public_jwk());
                self.create_signing_key(SigningKeySpec { rsa_key_bits, ..spec }, status).await
            }
            Effect::AdoptKey { sequence, provenance, jwk, lifecycle, status } => {
                let spec = self.signing_key(*sequence, provenance, jwk);
                let lifecycle = Some(lifecycle.clone()).filter(|lifecycle| *lifecycle != Lifecycle::default());
                self.create_signing_key(SigningKeySpec { lifecycle, ..spec }, status).await
            }
            Effect::ImportKey { sequence, entry, jwk, lifecycle, status } => {
                self.copy_private_key(&format!("{}-{sequence}", self.key_set.name), entry, jwk).await?;
                let (entry_name, secret_ref) = (entry.name.clone(), entry.secret_ref.clone());
                let spec = self.signing_key(*sequence, &Provenance::Imported { entry_name, secret_ref }, jwk);
                self.create_signing_key(SigningKeySpec { lifecycle: Some(lifecycle.clone()), ..spec }, status).await
            }
            Effect::WriteSigner { fence, record, .. } => self.write_signer(fence.as_ref(), record).await,
            Effect::RecordKey { key, fence, lifecycle, status, .. } => {
                let mut body = json!({
                    "apiVersion": api_version::<SigningKey>(), "kind": "SigningKey",
                    "metadata": fenced(key, fence), "status": status,
                });
                if *lifecycle != Lifecycle::default() {
                    body["spec"] = json!({"lifecycle": lifecycle});
                }
                self.objects.apply::<SigningKey>(key, &body).await
            }
            Effect::ApplyConfigMap { fence, set, digest, revision, issuer, .. } => {
                let annotations = config_map_annotations(*revision, digest, issuer.as_deref());
                self.write_config_map(fence.as_ref(), set, annotations).await
            }
            Effect::RebuildKeySecret { key, key_id } => self.rebuild_key_secret(key, key_id).await,
            Effect::DeleteKeySecret { key, fence, .. } => self.objects.delete::<Secret>(key, fence).await,
            Effect::MarkWorkload { target, uid, mark } => {
                workloads::mark(self.objects, target, uid, mark, &self.key_set.name).await
            }
            Effect::DeleteSigningKey { key, fence } => self.objects.delete::<SigningKey>(key, fence).await,
            Effect::RecordOwnership { key, fence } => self.record_ownership(key, fence).await,
        }
    }

    /// Stores the status, then tells what its change is worth telling.
    async fn record_status(&self, plan: &Plan) -> Result<(), Error> {
        let (name, fence) = (&self.key_set.name, self.key_set.fence());
        let body = json!({
            "apiVersion": api_version::<KeySet>(), "kind": "KeySet",
            "metadata": fenced(name, &fence), "status": plan.status,
        });
        self.objects.apply_status::<KeySet>(name, &body).await?;
        plan.events.iter().for_each(|event| self.tell(event));
        Ok(())
    }

    /// The key of a Key Secret that is there already, or a new one in a new Key Secret.
    async fn stored_or_made(
        &self,
        name: &str,
        algorithm: crate::jose::Algorithm,
        rsa_key_bits: Option<i32>,
    ) -> Result<KeyPair, Error> {
        match self.stored(name).await {
            Ok(None) => {}
            // A copy of a user's key whose import was given up: its kid may not be its thumbprint.
            Ok(Some(_)) if self.is_copy(name).await? => return Err(self.discard(name).await?),
            Ok(Some(pair)) => return Ok(pair),
            // No SigningKey names it and nobody can read it: it was never published, and it is in the way.
            Err(Error::Key { .. }) => return Err(self.discard(name).await?),
            Err(error) => return Err(error),
        }
        let key_error = |source| Error::Key { object: format!("Secret {name}"), source };
        let pair = self.context.generator.generate(algorithm, rsa_key_bits).await.map_err(key_error)?;
        let secret = self.key_secret(name, pair.key_secret_data().map_err(key_error)?);
        match self.objects.create(&secret).await {
            Ok(()) => Ok(pair),
            // Another controller was faster: its key is as good, ours is forgotten.
            Err(conflict @ Error::Conflict { .. }) => self.stored(name).await?.ok_or(conflict),
            Err(error) => Err(error),
        }
    }

    /// Copies the key that an entry names into a Key Secret of ours; the user's Secret stays as it is.
    async fn copy_private_key(&self, name: &str, entry: &ImportedKey, jwk: &PublicJwk) -> Result<(), Error> {
        let changed = |object: &str| Error::Conflict { object: format!("Secret {object}") };
        match self.stored(name).await {
            Ok(None) => {}
            Ok(Some(pair)) if pair.public_jwk() == jwk => return Ok(()),
            // Nobody names it, so it was never published: another key than the one to copy is in the way.
            Ok(Some(_)) | Err(Error::Key { .. }) => return Err(self.discard(name).await?),
            Err(error) => return Err(error),
        }
        let source = &entry.secret_ref.name;
        let secret = self.objects.secret(source).await?;
        // What the plan saw must still be so; else the next look says what is wrong now.
        let pair = imported(entry, secret.as_ref(), self.key_set.spec.algorithm, &self.key_set.name);
        let pair = pair.ok().filter(|pair| pair.public_jwk() == jwk).ok_or_else(|| changed(source))?;
        let data = pair.key_secret_data().map_err(|source| Error::Key { object: format!("Secret {name}"), source })?;
        let mut secret = self.key_secret(name, data);
        let entry_name = (names::key_secret::ENTRY_NAME.to_owned(), entry.name.clone());
        secret.metadata.annotations.get_or_insert_default().extend([entry_name]);
        self.objects.create(&secret).await
    }

    /// Whether a Key Secret holds a copy of a user's key.
    async fn is_copy(&self, name: &str) -> Result<bool, Error> {
        let secret = self.objects.secret(name).await?;
        let annotations = secret.and_then(|secret| secret.metadata.annotations).unwrap_or_default();
        Ok(annotations.contains_key(names::key_secret::ENTRY_NAME))
    }

    async fn discard(&self, name: &str) -> Result<Error, Error> {
        if let Some(secret) = self.objects.secret(name).await? {
            self.objects.delete::<Secret>(name, &fence(&secret.metadata)).await?;
        }
        Ok(Error::Conflict { object: format!("Secret {name}") })
    }

    /// The key of our Key Secret of that name, tested.
    async fn stored(&self, name: &str) -> Result<Option<KeyPair>, Error> {
        let Some(secret) = self.objects.secret(name).await? else { return Ok(None) };
        let object = format!("Secret {name}");
        if !is_ours(&secret.metadata, &self.key_set.name) {
            return Err(Error::NameConflict { object });
        }
        if secret.metadata.deletion_timestamp.is_some() {
            return Err(Error::BeingDeleted { object });
        }
        let tested = KeyPair::from_secret_data(&secret.data).and_then(|pair| pair.self_test().map(|()| pair));
        tested.map(Some).map_err(|source| Error::Key { object, source })
    }

    async fn create_signing_key(&self, spec: SigningKeySpec, status: &SigningKeyStatus) -> Result<(), Error> {
        let name = format!("{}-{}", self.key_set.name, spec.sequence);
        let metadata = self.metadata(&name, BTreeMap::new());
        let key = SigningKey { metadata, spec, status: Some(status.clone()) };
        self.objects.create(&key).await
    }

    fn signing_key(&self, sequence: i64, provenance: &Provenance, jwk: &PublicJwk) -> SigningKeySpec {
        let (origin, entry_name, import_from) = match provenance.clone() {
            Provenance::Generated => (Origin::Generated, None, None),
            Provenance::Imported { entry_name, secret_ref } => (Origin::Imported, Some(entry_name), Some(secret_ref)),
            Provenance::External { entry_name } => (Origin::External, Some(entry_name), None),
        };
        SigningKeySpec {
            key_set_name: self.key_set.name.clone(),
            sequence,
            origin,
            algorithm: jwk.algorithm(),
            rsa_key_bits: None,
            entry_name,
            import_from,
            public_jwk: Some(jwk.clone()),
            lifecycle: None,
        }
    }

    async fn write_signer(&self, fence: Option<&Fence>, record: &SignerRecord) -> Result<(), Error> {
        let name = self.key_set.signer_secret_name();
        let pair = self.signing_pair(&name, record).await?;
        let files = &self.key_set.spec.signers.files;
        let data =
            pair.signer_secret_data(files).map_err(|source| Error::Key { object: format!("Secret {name}"), source })?;
        let mut metadata = self.metadata(&name, signer_annotations(record, &self.key_set.uid));
        let Some(fence) = fence else { return self.objects.create(&Secret::new(metadata, None, data)).await };
        let found = self.objects.secret(&name).await?;
        if found.as_ref().is_some_and(|secret| secret.immutable == Some(true)) {
            return self.replace(&name, fence, &Secret::new(metadata, None, data)).await;
        }
        let entries = found.iter().flat_map(|secret| secret.data.names());
        let strangers =
            entries.filter(|entry| !data.names().any(|name| name == *entry)).map(ToOwned::to_owned).collect();
        let owned = found.as_ref().is_some_and(|secret| secret.metadata.owner_references.is_some());
        fence_in(&mut metadata, fence);
        self.objects.apply::<Secret>(&name, &Secret::new(metadata, None, data)).await?;
        self.tidy::<Secret>(&name, strangers, owned).await
    }

    /// The private half for the Signer Secret: from the Key Secret, else from the Signer Secret itself.
    async fn signing_pair(&self, signer_secret: &str, record: &SignerRecord) -> Result<KeyPair, Error> {
        for name in [record.key_name.as_str(), signer_secret] {
            if let Ok(Some(pair)) = self.stored(name).await
                && pair.public_jwk().kid() == &record.key_id
            {
                return Ok(pair);
            }
        }
        Err(Error::Conflict { object: format!("Secret {}", record.key_name) })
    }

    async fn write_config_map(
        &self,
        fence: Option<&Fence>,
        set: &JwkSet,
        annotations: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let name = self.key_set.config_map_name();
        // The ConfigMap was read after the KeySet: its fence alone would let a set pass that was decided before the other
        // controller accepted the one that is there.
        let current = self.objects.undecoded_key_set(&self.key_set.name).await?;
        if current.and_then(|it| it.resource_version()).as_ref() != Some(&self.key_set.resource_version) {
            return Err(Error::Conflict { object: format!("KeySet {}", self.key_set.name) });
        }
        let mut metadata = self.metadata(&name, annotations);
        let data = Some([(names::config_map::JWKS.to_owned(), set.to_json())].into());
        let Some(fence) = fence else {
            return self.objects.create(&ConfigMap { metadata, data, ..ConfigMap::default() }).await;
        };
        let found = self.objects.config_map(&name).await?.unwrap_or_default();
        withdraw_issuer(&mut metadata, &found.metadata);
        if found.immutable == Some(true) {
            return self.replace(&name, fence, &ConfigMap { metadata, data, ..ConfigMap::default() }).await;
        }
        let entries = found.data.into_iter().flatten().map(|(entry, _)| entry);
        let entries = entries.chain(found.binary_data.into_iter().flatten().map(|(entry, _)| entry));
        let strangers = entries.filter(|entry| entry != names::config_map::JWKS).collect();
        fence_in(&mut metadata, fence);
        let body = ConfigMap { metadata, data, ..ConfigMap::default() };
        self.objects.apply::<ConfigMap>(&name, &body).await?;
        self.tidy::<ConfigMap>(&name, strangers, found.metadata.owner_references.is_some()).await
    }

    /// Deletes an object that somebody has made immutable, and creates it anew at once: no write puts that right. After a
    /// crash in between it is a lost object like any other.
    async fn replace<K: Object + Serialize>(&self, name: &str, fence: &Fence, object: &K) -> Result<(), Error> {
        self.objects.delete::<K>(name, fence).await?;
        self.objects.create(object).await
    }

    async fn rebuild_key_secret(&self, key: &str, key_id: &KeyId) -> Result<(), Error> {
        let name = self.key_set.signer_secret_name();
        let changed = || Error::Conflict { object: format!("Secret {name}") };
        let pair = self.stored(&name).await?.filter(|pair| pair.public_jwk().kid() == key_id).ok_or_else(changed)?;
        let data = pair.key_secret_data().map_err(|source| Error::Key { object: format!("Secret {key}"), source })?;
        self.objects.create(&self.key_secret(key, data)).await
    }

    async fn record_ownership(&self, key: &str, fence: &Fence) -> Result<(), Error> {
        let references = owner_references(self.key_set);
        let body = |fence: &Fence| {
            json!({"metadata": {
                "uid": fence.uid, "resourceVersion": fence.resource_version, "ownerReferences": references,
            }})
        };
        // The private half first: with Delete it must not outlive its record.
        if let Some(secret) = self.objects.secret(key).await?.filter(|it| is_ours(&it.metadata, &self.key_set.name)) {
            self.objects.merge::<Secret>(key, &body(&self::fence(&secret.metadata))).await?;
        }
        self.objects.merge::<SigningKey>(key, &body(fence)).await
    }

    /// An apply leaves alone what it did not write: entries of others, and an owner reference that the create set. Our
    /// objects must hold nothing but what we wrote.
    async fn tidy<K: Object>(&self, name: &str, strangers: Vec<String>, owned: bool) -> Result<(), Error> {
        let disown = owned && owner_references(self.key_set).is_none();
        if strangers.is_empty() && !disown {
            return Ok(());
        }
        let mut body = json!({});
        if disown {
            body["metadata"] = json!({"ownerReferences": null});
        }
        for entry in strangers {
            body["data"][&entry] = json!(null);
            body["binaryData"][&entry] = json!(null);
        }
        self.objects.merge::<K>(name, &body).await
    }

    fn key_secret(&self, name: &str, data: SecretData) -> Secret {
        Secret::new(self.metadata(name, BTreeMap::new()), Some(true), data)
    }

    fn metadata(&self, name: &str, annotations: BTreeMap<String, String>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.key_set.namespace.clone()),
            labels: Some(labels(&self.key_set.name)),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            owner_references: owner_references(self.key_set),
            ..ObjectMeta::default()
        }
    }

    fn tell(&self, event: &Event) {
        self.context.events.tell(&self.key_set.namespace, &self.key_set.name, &self.key_set.uid, event);
    }
}

fn signer_annotations(record: &SignerRecord, key_set_uid: &str) -> BTreeMap<String, String> {
    let barred: Vec<&str> = record.barred.iter().map(KeyId::as_str).collect();
    let reason = serde_json::to_value(record.reason).ok().and_then(|it| it.as_str().map(ToOwned::to_owned));
    let annotations = [
        (names::signer::KEY_SET_UID, Some(key_set_uid.to_owned())),
        (names::signer::TERM, Some(record.term.to_string())),
        (names::signer::KEY_ID, Some(record.key_id.to_string())),
        (names::signer::SIGNING_KEY, Some(record.key_name.clone())),
        (names::signer::ACTIVATED_TIME, Some(record.activation_time.to_string())),
        (names::signer::REPLACED_KEY_ID, record.replaced.as_ref().map(ToString::to_string)),
        (names::signer::BARRED_KEY_IDS, Some(barred.join(" "))),
        (names::signer::ROTATION_REASON, reason),
    ];
    // Each is always written: an apply leaves out nothing that the create before it has set.
    annotations.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap_or_default())).collect()
}

fn config_map_annotations(revision: i64, digest: &Digest, issuer: Option<&str>) -> BTreeMap<String, String> {
    let annotations = [
        (names::config_map::REVISION, Some(revision.to_string())),
        (names::config_map::DIGEST, Some(digest.to_string())),
        (names::config_map::ISSUER, issuer.map(ToOwned::to_owned)),
    ];
    annotations.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// An apply leaves out nothing that the create before it has set: an issuer that is served no more becomes an empty one.
fn withdraw_issuer(metadata: &mut ObjectMeta, found: &ObjectMeta) {
    let issuer = names::config_map::ISSUER;
    if found.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(issuer)) {
        metadata.annotations.get_or_insert_default().entry(issuer.to_owned()).or_default();
    }
}

fn fenced(name: &str, fence: &Fence) -> serde_json::Value {
    json!({"name": name, "uid": fence.uid, "resourceVersion": fence.resource_version})
}

fn fence_in(metadata: &mut ObjectMeta, fence: &Fence) {
    metadata.uid = Some(fence.uid.clone());
    metadata.resource_version = Some(fence.resource_version.clone());
}

fn api_version<K: kube::Resource<DynamicType = ()>>() -> String {
    K::api_version(&()).into_owned()
}
