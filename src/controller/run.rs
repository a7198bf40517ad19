//! The process: leadership, watches, workers, shutdown.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::RwLock;

use super::backoff::Backoff;
use super::clock::{Watch, now};
use super::context::Context;
use super::events::Events;
use super::issuers::Issuers;
use super::leader::{Leadership, Lease};
use super::prober::{Endpoints, Prober};
use super::reconcile::{reconcile, retry};
use crate::api::names::{LABEL_KEY_SET, LABEL_MANAGED_BY, MANAGED_BY};
use crate::api::{KeySet, SigningKey};
use crate::issuer::Consent;
use crate::key_material::Generator;
use crate::scope::Scope;
use crate::telemetry::{self, controller::Metrics};

/// How a controller runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where health and metrics are.
    pub admin_listen: SocketAddr,
    /// Where the replicas of the server are.
    pub endpoints: Endpoints,
    /// Where the KeySets are that it looks after.
    pub scopes: Vec<Scope>,
    /// Who may have which issuer.
    pub consent: Consent,
    /// How it becomes the leader, and its name.
    pub lease: Lease,
}

/// The controller cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The admin address is not to be had.
    #[error("the admin address is not to be had: {0}")]
    Listen(#[source] std::io::Error),
    /// The Lease cannot be asked for.
    #[error("the Lease cannot be asked for: {0}")]
    Lease(#[from] kube_lease_manager::LeaseManagerError),
    /// Another replica leads now.
    #[error("the Lease was lost: another replica leads")]
    LeaseLost,
}

/// Reconciles until `shutdown`, then lets running passes end. Waits for the Lease first.
pub async fn run(
    config: Config,
    client: Client,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<(), RunError> {
    let metrics = Metrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry, now);
    let listener = TcpListener::bind(config.admin_listen).await.map_err(RunError::Listen)?;
    let admin = listener.local_addr().map_err(RunError::Listen)?;
    // A replica that waits for its turn is as ready as one that leads.
    let router = telemetry::admin::router(registry, || Ok(()));
    let served = tokio::spawn(async move { axum::serve(listener, router).await });
    tracing::info!(%admin, "listening");
    let led = lead(&config, client, metrics, shutdown).await;
    served.abort();
    led
}

async fn lead(
    config: &Config,
    client: Client,
    metrics: Metrics,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<(), RunError> {
    let shutdown = futures::FutureExt::shared(shutdown);
    let mut leadership = Leadership::compete(client.clone(), &config.lease).await?;
    tokio::select! {
        won = leadership.won() => if !won { return Err(RunError::LeaseLost) },
        () = shutdown.clone() => return Ok(()),
    }
    tracing::info!(identity = %config.lease.identity, "leading");
    metrics.leads();
    let passes = Arc::new(RwLock::with_max_readers((), CONCURRENCY));
    // Not left to the loop alone: where its first lists never came it waits for them even now.
    let drained = async {
        shutdown.clone().await;
        if tokio::time::timeout(DRAIN, passes.write()).await.is_err() {
            tracing::warn!("ended with passes under way");
        }
    };
    tokio::select! {
        () = work(config, client, metrics, Arc::clone(&passes), shutdown.clone()) => {}
        () = drained => {}
        () = leadership.lost() => return Err(RunError::LeaseLost),
    }
    leadership.release().await;
    Ok(())
}

/// Every watch carries metadata only, as a pass reads all else live.
async fn work(
    config: &Config,
    client: Client,
    metrics: Metrics,
    passes: Arc<RwLock<()>>,
    shutdown: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let context = Arc::new(Context {
        prober: Prober::new(client.clone(), config.endpoints.clone()),
        generator: Generator::new(cores),
        watch: Watch::default(),
        issuers: Issuers { consent: config.consent.clone(), scopes: config.scopes.clone() },
        events: Events::new(client.clone(), &config.lease.identity),
        backoff: Backoff::default(),
        client: client.clone(),
        metrics,
        passes,
    });
    let scopes = config.scopes.iter();
    join_all(scopes.map(|scope| follow(scope, client.clone(), Arc::clone(&context), shutdown.clone()))).await;
}

/// Hands what changes in one scope to `reconcile`, until `shutdown`.
async fn follow(
    scope: &Scope,
    client: Client,
    context: Arc<Context>,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let key_sets: Api<PartialObjectMeta<KeySet>> = scope.api(client.clone());
    let signing_keys: Api<PartialObjectMeta<SigningKey>> = scope.api(client.clone());
    let config_maps: Api<PartialObjectMeta<ConfigMap>> = scope.api(client);
    // The client's read timeout is longer than that.
    let all = || watcher::Config::default().timeout(WATCH_SECONDS);
    let ours = all().labels(&format!("{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_KEY_SET}"));
    Controller::new(key_sets, all())
        .watches(signing_keys, all(), |key| set_of_key(&key))
        .watches(config_maps, ours, |config_map| set_of_label(&config_map))
        .graceful_shutdown_on(shutdown)
        .run(reconcile, retry, context)
        .for_each(|outcome| async move {
            match outcome {
                // Nothing happens until it is put right.
                Err(controller::Error::QueueError(error)) if is_unknown_kind(&error) => {
                    tracing::warn!(
                        "the CRDs are missing, looking again soon: keyset crds | kubectl apply --server-side -f -"
                    );
                }
                Err(controller::Error::QueueError(error)) => {
                    tracing::warn!(%error, "a watch failed, and is started again");
                }
                // `retry` has told it.
                Err(error) => tracing::debug!(%error, "pass"),
                Ok(_) => {}
            }
        })
        .await;
}

/// Whether the API server does not know the kind that was asked for. It answers so for no other list.
fn is_unknown_kind(error: &watcher::Error) -> bool {
    match error {
        // The answer is plain text: it has no reason.
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}

/// By its name, `<KeySet>-<sequence>`: membership is not a matter of labels, and the name is bound to the spec by CEL.
fn set_of_key(key: &PartialObjectMeta<SigningKey>) -> Option<ObjectRef<PartialObjectMeta<KeySet>>> {
    let name = key.name_any();
    let (set, _) = name.rsplit_once('-')?;
    Some(ObjectRef::new(set).within(&key.namespace()?))
}

fn set_of_label(object: &PartialObjectMeta<ConfigMap>) -> Option<ObjectRef<PartialObjectMeta<KeySet>>> {
    let set = object.labels().get(LABEL_KEY_SET)?;
    Some(ObjectRef::new(set).within(&object.namespace()?))
}

const WATCH_SECONDS: u32 = 60;
/// Less than what a Pod is given, with what the release of the Lease takes.
const DRAIN: Duration = Duration::from_secs(15);
/// Passes at once: they mostly wait for the API server. Not told to kube, which would take the next from an unordered set:
/// where there is more to do than can be done, some sets would never have their turn.
const CONCURRENCY: u32 = 8;
