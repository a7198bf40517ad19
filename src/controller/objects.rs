//! Typed, bounded calls to the API server about one KeySet's objects, and whose objects they are.
//!
//! Every call has a deadline. What is fenced carries uid and resourceVersion, so that it neither overwrites a newer
//! object nor creates a deleted one again (PROTOCOL 2).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, DeserializeGuard, DynamicObject, NamespaceResourceScope, ObjectMeta};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::secret::Secret;
use crate::api::names::{FIELD_MANAGER, LABEL_KEY_SET, LABEL_MANAGED_BY, MANAGED_BY};
use crate::api::{DeletionPolicy, KeySet, SigningKey};
use crate::lifecycle::{Fence, ObservedKeySet};

/// The objects of one namespace.
#[derive(Clone)]
pub(super) struct Objects {
    client: Client,
    namespace: String,
}

impl Objects {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    /// The KeySet, `None` if it is gone. One that cannot be decoded is an `Err` inside.
    pub(super) async fn key_set(&self, name: &str) -> Result<Option<DeserializeGuard<KeySet>>, Error> {
        within("read the KeySet", self.all::<DeserializeGuard<KeySet>>().get_opt(name)).await
    }

    /// Every SigningKey whose `spec.keySetName` is `key_set`, by a quorum read.
    pub(super) async fn signing_keys(&self, key_set: &str) -> Result<Vec<DeserializeGuard<SigningKey>>, Error> {
        let owned = ListParams::default().fields(&format!("spec.keySetName={key_set}"));
        Ok(within("list SigningKeys", self.all().list(&owned)).await?.items)
    }

    /// The SigningKey of that name, `None` if it is gone.
    pub(super) async fn signing_key(&self, name: &str) -> Result<Option<DeserializeGuard<SigningKey>>, Error> {
        within("read a SigningKey", self.all().get_opt(name)).await
    }

    pub(super) async fn secret(&self, name: &str) -> Result<Option<Secret>, Error> {
        within("read a Secret", self.all().get_opt(name)).await
    }

    pub(super) async fn config_map(&self, name: &str) -> Result<Option<ConfigMap>, Error> {
        within("read a ConfigMap", self.all().get_opt(name)).await
    }

    pub(super) async fn workload<K: Object>(&self, name: &str) -> Result<Option<K>, Error> {
        within("read a workload", self.all().get_opt(name)).await
    }

    /// Creates the object; a name that is taken is a conflict.
    pub(super) async fn create<K: Object + Serialize>(&self, object: &K) -> Result<(), Error> {
        let by = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = within("create an object", self.all::<K>().create(&by, object)).await;
        created.map_err(|error| conflict::<K>(error, &object.name_any())).map(|_| ())
    }

    /// Applies a whole object, or the part of it that is ours. `body` carries the fence ([`metadata`], [`fence`]).
    pub(super) async fn apply<K: Object>(&self, name: &str, body: &(impl Serialize + Debug)) -> Result<(), Error> {
        let (api, by, patch) = (self.all::<K>(), applied(), Patch::Apply(body));
        within("apply an object", api.patch(name, &by, &patch)).await.map_err(|error| conflict::<K>(error, name))?;
        Ok(())
    }

    /// Applies a part of an object that is not ours, as another field manager. `body` carries the uid.
    pub(super) async fn apply_as<K: Object>(
        &self,
        name: &str,
        body: &serde_json::Value,
        manager: &str,
    ) -> Result<(), Error> {
        let (api, by, patch) = (self.all::<K>(), PatchParams::apply(manager).force(), Patch::Apply(body));
        within("mark a workload", api.patch(name, &by, &patch)).await.map_err(|error| conflict::<K>(error, name))?;
        Ok(())
    }

    /// Applies a status. `body` carries the fence.
    pub(super) async fn apply_status<K: Object>(
        &self,
        name: &str,
        body: &(impl Serialize + Debug),
    ) -> Result<(), Error> {
        let (api, by, patch) = (self.all::<K>(), applied(), Patch::Apply(body));
        within("apply a status", api.patch_status(name, &by, &patch))
            .await
            .map_err(|error| conflict::<K>(error, name))?;
        Ok(())
    }

    /// Merges a patch, for what an apply cannot say: that a field of somebody else goes. `body` carries the fence.
    pub(super) async fn merge<K: Object>(&self, name: &str, body: &serde_json::Value) -> Result<(), Error> {
        let (api, patch) = (self.all::<K>(), Patch::Merge(body));
        within("patch an object", api.patch(name, &merged(), &patch))
            .await
            .map_err(|error| conflict::<K>(error, name))?;
        Ok(())
    }

    /// Applies the status of a KeySet that this version cannot decode. `body` carries the fence.
    pub(super) async fn apply_undecoded_status(&self, name: &str, body: &serde_json::Value) -> Result<(), Error> {
        let (api, by, patch) = (self.undecoded(), applied(), Patch::Apply(body));
        within("apply a status", api.patch_status(name, &by, &patch)).await?;
        Ok(())
    }

    /// The KeySet without a decoded spec.
    pub(super) async fn undecoded_key_set(&self, name: &str) -> Result<Option<DynamicObject>, Error> {
        within("read the KeySet", self.undecoded().get_opt(name)).await
    }

    /// Deletes exactly the object that was read. One that is gone already is deleted.
    pub(super) async fn delete<K: Object>(&self, name: &str, fence: &Fence) -> Result<(), Error> {
        let seen =
            Preconditions { uid: Some(fence.uid.clone()), resource_version: Some(fence.resource_version.clone()) };
        match within("delete an object", self.all::<K>().delete(name, &DeleteParams::default().preconditions(seen)))
            .await
        {
            Ok(_) => Ok(()),
            Err(Error::Api { source, .. }) if is_gone(&source) => Ok(()),
            Err(error) => Err(conflict::<K>(error, name)),
        }
    }

    fn undecoded(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &ApiResource::erase::<KeySet>(&()))
    }

    fn all<K: Object>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// What the calls need of a kind.
pub(super) trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug
{
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug
{
}

/// Bounds a call.
pub(super) async fn within<T>(call: &str, answer: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Error::Api { call: call.to_owned(), source: Box::new(error) }),
        Err(_) => Err(Error::Timeout { call: call.to_owned(), seconds: DEADLINE.as_secs() }),
    }
}

/// Whether the labels say that an object belongs to this KeySet.
pub(crate) fn is_ours(metadata: &ObjectMeta, key_set: &str) -> bool {
    let label = |name: &str| metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
    label(LABEL_KEY_SET) == Some(key_set) && label(LABEL_MANAGED_BY) == Some(MANAGED_BY)
}

/// The labels of everything that belongs to a KeySet.
pub(super) fn labels(key_set: &str) -> BTreeMap<String, String> {
    [(LABEL_KEY_SET, key_set), (LABEL_MANAGED_BY, MANAGED_BY)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Owner references as `deletionPolicy` wants them: ours or none.
pub(super) fn owner_references(key_set: &ObservedKeySet) -> Option<Vec<OwnerReference>> {
    (key_set.spec.deletion_policy == DeletionPolicy::Delete).then(|| {
        vec![OwnerReference {
            api_version: KeySet::api_version(&()).into_owned(),
            kind: KeySet::kind(&()).into_owned(),
            name: key_set.name.clone(),
            uid: key_set.uid.clone(),
            ..OwnerReference::default()
        }]
    })
}

/// Identity and version of an object that was read.
pub(crate) fn fence(metadata: &ObjectMeta) -> Fence {
    Fence {
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn merged() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn applied() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// A fence that did not hold is a conflict, whatever the API server calls it: an apply to a deleted object with a uid
/// is a 409, a merge to one is a 404, and another uid is invalid.
fn conflict<K: Object>(error: Error, name: &str) -> Error {
    match &error {
        Error::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 409 || status.code == 404) => {
            Error::Conflict { object: format!("{} {name}", K::kind(&())) }
        }
        _ => error,
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

/// Longer than any healthy answer, shorter than a Lease.
const DEADLINE: Duration = Duration::from_secs(10);
