//! Leadership by a Lease: it keeps replicas quiet, safety never depends on it (PROTOCOL 2).
//!
//! Two controllers at once are slower and no more: every write is fenced. So a lost Lease ends the process, and a new
//! one waits for its turn.

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the Lease is held.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Who we are; two processes must not share it.
    pub identity: String,
    /// After how many seconds without a renewal another replica takes over.
    pub seconds: u64,
}

/// A name that no other process has: the host's, which is the Pod's, and a random part.
pub fn random_identity() -> Result<String, getrandom::Error> {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "keyset".to_owned());
    Ok(format!("{host}-{:08x}", getrandom::u32()?))
}

/// Whether this process leads, now and later.
pub(super) struct Leadership {
    leads: watch::Receiver<bool>,
    renewal: JoinHandle<kube_lease_manager::Result<LeaseManager>>,
}

impl Leadership {
    /// Starts to compete for the Lease.
    pub(super) async fn compete(client: Client, lease: &Lease) -> Result<Self, kube_lease_manager::LeaseManagerError> {
        let manager = LeaseManagerBuilder::new(client, LEASE_NAME)
            .with_namespace(&lease.namespace)
            .with_identity(&lease.identity)
            .with_duration(lease.seconds)
            .with_grace((lease.seconds / 3).max(1))
            .build()
            .await?;
        let (leads, renewal) = manager.watch().await;
        Ok(Self { leads, renewal })
    }

    /// Waits until this process leads; `false` if it never will.
    pub(super) async fn won(&mut self) -> bool {
        self.leads.wait_for(|leads| *leads).await.is_ok()
    }

    /// Waits until it leads no more.
    pub(super) async fn lost(&mut self) {
        // An error means that the task which renews the Lease has ended: nobody renews it any more.
        let _ = self.leads.wait_for(|leads| !*leads).await;
    }

    /// Gives the Lease back, so that the next replica need not wait until it runs out. Best effort.
    pub(super) async fn release(self) {
        drop(self.leads);
        let released = async {
            if let Ok(Ok(manager)) = self.renewal.await {
                let _ = manager.release().await;
            }
        };
        let _ = tokio::time::timeout(RELEASE_WITHIN, released).await;
    }
}

const LEASE_NAME: &str = "keyset-controller";
const RELEASE_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);
