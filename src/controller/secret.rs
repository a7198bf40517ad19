//! Secrets as the controller handles them: metadata in the open, data as [`SecretData`] that only `key_material` reads.
//!
//! Not the type of `k8s_openapi`: its `Debug` prints the data, and its bytes are not zeroized.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::key_material::SecretData;

/// A Secret of type `Opaque`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Secret {
    #[serde(default = "api_version")]
    api_version: Cow<'static, str>,
    #[serde(default = "kind")]
    kind: Cow<'static, str>,
    pub(crate) metadata: ObjectMeta,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) immutable: Option<bool>,
    #[serde(default)]
    pub(crate) data: SecretData,
}

impl Secret {
    /// A Secret to be written.
    pub(crate) fn new(metadata: ObjectMeta, immutable: Option<bool>, data: SecretData) -> Self {
        Self { api_version: api_version(), kind: kind(), metadata, immutable, data }
    }
}

impl Resource for Secret {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        kind()
    }

    fn group((): &()) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn version((): &()) -> Cow<'_, str> {
        api_version()
    }

    fn plural((): &()) -> Cow<'_, str> {
        Cow::Borrowed("secrets")
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

fn api_version() -> Cow<'static, str> {
    Cow::Borrowed("v1")
}

fn kind() -> Cow<'static, str> {
    Cow::Borrowed("Secret")
}
