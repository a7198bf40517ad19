//! Conditions, as `metav1.Condition` has them.
//!
//! The types and reasons are constants of [`names`](super::names). How a condition is derived, and
//! when its transition time moves, is not decided here.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Condition is metav1.Condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// type of the condition, in CamelCase.
    #[schemars(schema_with = "schema::camel_case")]
    pub r#type: String,
    /// status of the condition.
    pub status: ConditionStatus,
    /// observedGeneration is the metadata.generation that the condition was set for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// lastTransitionTime is when status last changed.
    #[schemars(schema_with = "schema::time")]
    pub last_transition_time: Timestamp,
    /// reason is a stable CamelCase word for programs.
    #[schemars(schema_with = "schema::camel_case")]
    pub reason: String,
    /// message is a sentence for people: what is so, and what to do next. No time that changes with
    /// each pass, no key material.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// ConditionStatus says whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody can tell.
    Unknown,
}
