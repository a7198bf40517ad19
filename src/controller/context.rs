//! What every pass shares.

use kube::Client;

use super::backoff::Backoff;
use super::clock::Watch;
use super::events::Events;
use super::prober::Prober;
use crate::key_material::Generator;
use crate::telemetry::controller::Metrics;

/// What a pass needs beside the KeySet.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) generator: Generator,
    pub(super) prober: Prober,
    pub(super) watch: Watch,
    pub(super) events: Events,
    pub(super) backoff: Backoff,
    pub(super) metrics: Metrics,
}
