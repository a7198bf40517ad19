//! What the server keeps of the objects that it watches: little, so that many sets cost little.

use bytes::Bytes;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Resource, ResourceExt};

use super::{cache::CacheControl, index::Name};
use crate::{
    api::{KeySet, SigningKey, names},
    jose::{Digest, PublicJwk},
};

/// What a KeySet says of its document.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) config_map: Name,
    /// The digests that may be served, each with the revision that it stands for.
    pub(super) accepted: Vec<(Digest, i64)>,
    pub(super) cache: CacheControl,
}

impl Claim {
    pub(super) fn of(key_set: &KeySet) -> Self {
        let publication = key_set.status.as_ref().and_then(|status| status.publication.as_ref());
        let mut accepted = Vec::new();
        if let Some((publication, revision)) = publication.and_then(|it| Some((it, it.revision?))) {
            accepted.extend(publication.digest.iter().map(|digest| (digest.clone(), revision)));
            accepted.extend(publication.previous_digests.iter().map(|digest| (digest.clone(), revision - 1)));
        }
        Self {
            config_map: beside(key_set, &key_set.config_map_name()),
            accepted,
            cache: CacheControl::of(&key_set.spec),
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
}

impl Candidate {
    pub(super) fn of(config_map: &ConfigMap) -> Self {
        let text = config_map.data.as_ref().and_then(|data| data.get(names::config_map::JWKS));
        let text = text.filter(|text| text.len() <= MAX_DOCUMENT_BYTES);
        let revision = config_map.annotations().get(names::config_map::REVISION);
        Self {
            key_set: config_map.labels().get(names::LABEL_KEY_SET).map(|name| beside(config_map, name)),
            revision: revision.and_then(|text| text.parse().ok()),
            document: text.map(|text| (Digest::of(text), Bytes::copy_from_slice(text.as_bytes()))),
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
