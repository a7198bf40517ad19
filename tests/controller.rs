//! `keyset controller` and `keyset server` on a real API server: they are killed, lied to and cut off, and the laws of
//! DESIGN 3 are held against what verifiers saw all along.
//!
//! Each test has a namespace, a controller and two servers of its own (`rig`); what they ask of the API server goes
//! through a proxy that records it (`proxy`), and a witness asks the servers for the set all the time (`witness`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "controller/backup.rs"]
mod backup;
#[path = "controller/backups.rs"]
mod backups;
#[path = "controller/brought.rs"]
mod brought;
#[path = "controller/chart.rs"]
mod chart;
#[path = "controller/clocks.rs"]
mod clocks;
#[path = "cluster/mod.rs"]
mod cluster;
#[path = "controller/corruption.rs"]
mod corruption;
#[path = "controller/crashes.rs"]
mod crashes;
#[path = "controller/deletions.rs"]
mod deletions;
#[path = "controller/discovery.rs"]
mod discovery;
#[path = "controller/edits.rs"]
mod edits;
#[path = "controller/files.rs"]
mod files;
#[path = "controller/flux.rs"]
mod flux;
#[path = "controller/foreign.rs"]
mod foreign;
#[path = "controller/guides.rs"]
mod guides;
#[path = "controller/health.rs"]
mod health;
#[path = "controller/incidents.rs"]
mod incidents;
#[path = "interop/interpreter.rs"]
mod interpreter;
#[path = "controller/issuers.rs"]
mod issuers;
#[path = "controller/laggards.rs"]
mod laggards;
#[path = "controller/manifests.rs"]
mod manifests;
mod merge_patch;
#[path = "controller/plugin/mod.rs"]
mod plugin;
#[path = "controller/process.rs"]
mod process;
#[path = "controller/processes.rs"]
mod processes;
#[path = "controller/proxy.rs"]
mod proxy;
#[path = "controller/repairs.rs"]
mod repairs;
#[path = "controller/requests.rs"]
mod requests;
#[path = "controller/restores.rs"]
mod restores;
#[path = "controller/revocations.rs"]
mod revocations;
#[path = "controller/rig.rs"]
mod rig;
mod rights;
#[path = "controller/rollback.rs"]
mod rollback;
#[path = "controller/rollouts.rs"]
mod rollouts;
#[path = "controller/verb_crashes.rs"]
mod verb_crashes;
#[path = "controller/verbs.rs"]
mod verbs;
#[path = "controller/witness.rs"]
mod witness;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::OnceCell;

use cluster::{Cluster, apply_crds};

/// One for all tests that do it no harm. It ends with this process.
async fn cluster() -> Arc<Cluster> {
    static CLUSTER: OnceCell<Arc<Cluster>> = OnceCell::const_new();
    Arc::clone(CLUSTER.get_or_init(own_cluster).await)
}

/// One for a test of its own.
async fn own_cluster() -> Arc<Cluster> {
    let cluster = Cluster::start().await.unwrap();
    apply_crds(&cluster.client().await.unwrap()).await.unwrap();
    Arc::new(cluster)
}

/// Looks until there is something to see.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// A loaded machine takes its time; only a test that fails waits as long.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);
