//! What the server keeps of the objects that it watches: little, so that many sets cost little.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::ConfigMap};
use kube::{Resource, ResourceExt, core::ObjectMeta};
use serde::Deserialize;

use super::{cache::CacheControl, index::Name};
use crate::{
    api::{Duration, KeySet, Publication, PublicationStatus, SigningKey, Verifiers, names},
    issuer::Issuer,
    jose::{Digest, PublicJwk},
};

/// A KeySet as far as it concerns its document: a value of a later version anywhere else must not keep a server that
/// has just started from serving what is accepted.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ServedKeySet {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: ServedSpec,
    #[serde(default)]
    status: ServedStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServedSpec {
    verifiers: Verifiers,
    publication: ServedPublication,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServedPublication {
    config_map_name: Option<String>,
    cache_max_age: Duration,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServedStatus {
    publication: Option<PublicationStatus>,
}

/// What a KeySet says of its document.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) uid: Option<Arc<str>>,
    pub(super) config_map: Name,
    /// The digests that may be served, each with the revision that it stands for.
    pub(super) accepted: Vec<(Digest, i64)>,
    pub(super) cache: CacheControl,
    /// The issuer that the status lets servers serve.
    pub(super) issuer: Option<Issuer>,
    pub(super) created: Option<Timestamp>,
}

impl Claim {
    pub(super) fn of(key_set: &ServedKeySet) -> Self {
        let publication = key_set.status.publication.as_ref();
        let mut accepted = Vec::new();
        if let Some((publication, revision)) = publication.and_then(|it| Some((it, it.revision?))) {
            accepted.extend(publication.digest.iter().map(|digest| (digest.clone(), revision)));
            // Newest first. Each counts one less, so that a server goes back to none of them from a later one.
            let previous = publication.previous_digests.iter().zip(1..);
            accepted.extend(previous.map(|(digest, age)| (digest.clone(), revision - age)));
        }
        let ServedSpec { verifiers, publication } = &key_set.spec;
        let given = publication.config_map_name.clone();
        let config_map = given.unwrap_or_else(|| format!("{}{}", key_set.name_any(), names::CONFIG_MAP_SUFFIX));
        let cache = CacheControl::new(publication.cache_max_age.length(), verifiers.max_cache_age.length());
        let issuer = key_set.status.publication.as_ref().and_then(|publication| publication.issuer.as_ref());
        Self {
            uid: key_set.metadata.uid.as_deref().map(Arc::from),
            config_map: beside(key_set, &config_map),
            accepted,
            cache,
            issuer: issuer.and_then(|url| url.parse().ok()),
            created: key_set.creation_timestamp().map(|time| time.0),
        }
    }
}

/// A ConfigMap of ours: a document that somebody wants served.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The KeySet that its label names.
    pub(super) key_set: Option<Name>,
    /// The revision that its annotation claims: only for sets whose KeySet is gone.
    pub(super) revision: Option<i64>,
    /// The document with its digest, if there is one that can be ours.
    pub(super) document: Option<(Digest, Bytes)>,
    /// The issuer that its annotation names: only for sets whose KeySet is gone.
    pub(super) issuer: Option<Issuer>,
}

impl Candidate {
    pub(super) fn of(config_map: &ConfigMap) -> Self {
        let text = config_map.data.as_ref().and_then(|data| data.get(names::config_map::JWKS));
        let text = text.filter(|text| text.len() <= MAX_DOCUMENT_BYTES);
        let annotation = |name: &str| config_map.annotations().get(name);
        Self {
            key_set: config_map.labels().get(names::LABEL_KEY_SET).map(|name| beside(config_map, name)),
            revision: annotation(names::config_map::REVISION).and_then(|text| text.parse().ok()),
            document: text.map(|text| (Digest::of(text), Bytes::copy_from_slice(text.as_bytes()))),
            issuer: annotation(names::config_map::ISSUER).and_then(|url| url.parse().ok()),
        }
    }
}

/// What a SigningKey says of a document whose KeySet is gone.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) key_set: Name,
    /// The public key, as long as it is neither removed nor revoked.
    pub(super) vouched: Option<PublicJwk>,
}

impl Record {
    pub(super) fn of(signing_key: &SigningKey) -> Self {
        let lifecycle = signing_key.spec.lifecycle.as_ref();
        let is_over = lifecycle.is_some_and(|it| it.removal_time.is_some() || it.revocation_time.is_some());
        Self {
            key_set: beside(signing_key, &signing_key.spec.key_set_name),
            vouched: signing_key.spec.public_jwk.clone().filter(|_| !is_over),
        }
    }
}

impl Default for ServedPublication {
    fn default() -> Self {
        Self { config_map_name: None, cache_max_age: Publication::default().cache_max_age }
    }
}

impl Resource for ServedKeySet {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KeySet::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        KeySet::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        KeySet::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        KeySet::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The name of `object`.
pub(super) fn name<K: Resource>(object: &K) -> Name {
    beside(object, &object.name_any())
}

/// The name of something in the namespace of `object`.
fn beside<K: Resource>(object: &K, name: &str) -> Name {
    Name::new(object.meta().namespace.as_deref().unwrap_or_default(), name)
}

/// Twice the largest set there can be: 64 keys of RSA 4096.
const MAX_DOCUMENT_BYTES: usize = 128 * 1024;
