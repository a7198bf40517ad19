//! What a replica of the server says of itself to the controller: `GET /served` on its admin port.
//!
//! The wire contract of visibility (PROTOCOL 4): one answer has every set, so that a pass costs one request a
//! replica. Ages instead of times: the two clocks need not agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::jose::{Digest, KeyId};

/// Path of the report on the admin port of the server.
pub const SERVED_PATH: &str = "/served";

/// One replica's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// Random for each process: a URL that shows two instances in turn is no evidence.
    pub instance: String,
    /// Every set that this process has bytes for, by `<namespace>/<KeySet>`.
    pub sets: BTreeMap<String, ServedSet>,
}

/// One set as this process answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServedSet {
    /// UID of the KeySet whose status accepted the set: another KeySet of that name owes its keys nothing.
    #[serde(default, rename = "keySetUID", skip_serializing_if = "Option::is_none")]
    pub key_set_uid: Option<String>,
    /// Revision of the set.
    pub revision: i64,
    /// Digest of the served bytes.
    pub digest: Digest,
    /// For each kid in the served set: seconds since this process last answered without it, `None` for never.
    pub keys: BTreeMap<KeyId, Option<f64>>,
}
