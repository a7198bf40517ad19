//! What every pass shares.

use std::sync::Arc;

use kube::Client;
use tokio::sync::RwLock;

use super::backoff::Backoff;
use super::clock::Watch;
use super::events::Events;
use super::issuers::Issuers;
use super::prober::Prober;
use crate::key_material::Generator;
use crate::telemetry::controller::Metrics;

/// What a pass needs beside the KeySet.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) generator: Generator,
    pub(super) prober: Prober,
    pub(super) watch: Watch,
    pub(super) issuers: Issuers,
    pub(super) events: Events,
    pub(super) backoff: Backoff,
    pub(super) metrics: Metrics,
    /// Read by every pass for as long as it runs, by so many at once, in the order in which they came: whoever may write knows
    /// that none is under way, and that none begins.
    pub(super) passes: Arc<RwLock<()>>,
}
