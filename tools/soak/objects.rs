//! The objects of the namespace, as the people of the soak reach them.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use keyset_operator::{
    api::{KeySet, SigningKey, names::config_map::JWKS},
    jose::Digest,
};
use kube::{
    Api, Client, Error, Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::issuer::{Issuer, NAMESPACE};

/// All kinds that a KeySet consists of.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) key_sets: Api<KeySet>,
    pub(crate) signing_keys: Api<SigningKey>,
    pub(crate) secrets: Api<Secret>,
    pub(crate) config_maps: Api<ConfigMap>,
}

impl Objects {
    pub(crate) fn new(client: &Client) -> Self {
        Self {
            key_sets: Api::namespaced(client.clone(), NAMESPACE),
            signing_keys: Api::namespaced(client.clone(), NAMESPACE),
            secrets: Api::namespaced(client.clone(), NAMESPACE),
            config_maps: Api::namespaced(client.clone(), NAMESPACE),
        }
    }

    /// Edits the spec of a KeySet (RFC 7396); gives its generation.
    pub(crate) async fn edit(&self, name: &str, spec: Value) -> Result<i64, Error> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let key_set = self.key_sets.patch(name, &PatchParams::default(), &patch).await?;
        Ok(key_set.meta().generation.unwrap_or_default())
    }

    /// Has the controller look: Secrets are not watched, and what is lost there would be found by the next step only.
    pub(crate) async fn nudge(&self, name: &str, value: &str) -> Result<(), Error> {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { "soak/nudge": value } } }));
        self.key_sets.patch(name, &PatchParams::default(), &patch).await.map(drop)
    }

    /// Takes the status away.
    pub(crate) async fn reset_status(&self, name: &str) -> Result<(), Error> {
        let patch = Patch::Merge(json!({ "status": null }));
        self.key_sets.patch_status(name, &PatchParams::default(), &patch).await.map(drop)
    }

    /// Puts something else where the set was.
    pub(crate) async fn tamper(&self, name: &str, document: &str) -> Result<(), Error> {
        let patch = Patch::Merge(json!({ "data": { JWKS: document } }));
        self.config_maps.patch(name, &PatchParams::default(), &patch).await.map(drop)
    }

    /// The set as it was last written; empty if it is not there.
    pub(crate) async fn document(&self, issuer: &Issuer) -> Result<String, Error> {
        let config_map = self.config_maps.get_opt(&issuer.config_map()).await?;
        Ok(config_map.and_then(|config_map| config_map.data?.remove(JWKS)).unwrap_or_default())
    }

    /// Whether the status accepts what the ConfigMap holds: then a server that starts now has it.
    pub(crate) async fn is_published(&self, issuer: &Issuer) -> Result<bool, Error> {
        let document = self.document(issuer).await?;
        let publication = self.key_sets.get(&issuer.name).await?.status.and_then(|status| status.publication);
        Ok(publication.and_then(|publication| publication.digest) == Some(Digest::of(document)))
    }
}

/// Deletes an object; gives its uid, or nothing if it is not there.
pub(crate) async fn delete<K>(api: &Api<K>, name: &str) -> Result<Option<String>, Error>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let Some(object) = api.get_metadata_opt(name).await? else { return Ok(None) };
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(object.uid()),
        Err(Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
