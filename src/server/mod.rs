//! The server: serves the published sets over HTTP(S) from memory.
//!
//! Watches KeySets, SigningKeys and ConfigMaps, decides which documents are lawful (`index`, pure), holds them rendered
//! (`store`), answers from there (`routes`, `connection`), and reports to the controller what it answers (`report`).
//! Invariants: only a document that the status of its KeySet accepts is served, never an earlier one than before, and
//! the last good one rather than none. Deliberately absent: Secrets, private keys, writes of any kind; the wall clock
//! (ages are monotonic).

mod cache;
mod connection;
mod index;
mod issuers;
mod report;
mod routes;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod unverified;
mod watch;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, select};

pub use connection::Limits;
pub use tls::{TlsError, TlsFiles};

use crate::{
    api::SERVED_PATH,
    issuer::Consent,
    scope::Scope,
    telemetry::{admin, server::Metrics},
};
use connection::Public;
use index::Name;
use report::Reporter;
use store::{Page, Store};
use tls::Tls;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the sets are served. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where health, metrics and the report are, always plain HTTP. Port 0 takes a free one.
    pub admin_listen: SocketAddr,
    /// Where the sets are that it serves.
    pub scopes: Vec<Scope>,
    /// Which namespaces may have which issuer.
    pub consent: Consent,
    /// Serves the sets over TLS.
    pub tls: Option<TlsFiles>,
    /// What clients may take.
    pub limits: Limits,
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives no random number, to tell this process from others.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The admin listener broke.
    #[error("the admin listener failed: {0}")]
    Admin(io::Error),
}

/// Serves until `shutdown`, then drains. Logs the bound addresses as `listening`.
pub async fn run(config: Config, client: Client, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let store = Arc::new(Store::default());
    let tls = config.tls.map(Tls::load).transpose()?.map(Arc::new);
    let (public_listener, public_address) = listen(config.listen).await?;
    let (admin_listener, admin_address) = listen(config.admin_listen).await?;
    tracing::info!(public = %public_address, admin = %admin_address, "listening");

    let reporter = Reporter { instance: instance()?, store: store.clone(), public: public_address, tls: tls.clone() };
    let stopping = Arc::new(AtomicBool::new(false));
    let router = admin(registry, reporter, stopping.clone());
    let reload = {
        let (tls, metrics) = (tls.clone(), metrics.clone());
        async move {
            match tls {
                Some(tls) => tls.reload(TLS_INTERVAL, &metrics).await,
                None => std::future::pending().await,
            }
        }
    };
    let watch = watch::run(client, &config.scopes, config.consent, store.clone(), metrics.clone());
    let public = Arc::new(Public { store, tls, metrics, limits: config.limits });
    let shutdown = async {
        shutdown.await;
        stopping.store(true, Ordering::Relaxed);
        tracing::info!("Stopped accepting, draining");
    };
    // The admin listener stays to the end: the controller asks replicas that are terminating too.
    select! {
        () = connection::serve(public_listener, public, shutdown) => Ok(()),
        error = axum::serve(admin_listener, router).into_future() => {
            Err(ServerError::Admin(error.err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())))
        }
        ((), ()) = async { tokio::join!(watch, reload) } => Ok(()),
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let bind = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind.await.map_err(|error| ServerError::Listen(address, error))
}

/// The admin routes of the server. Ready once the first lists are complete: a set whose document is refused is what
/// this replica shares with every other.
fn admin(registry: Registry, reporter: Reporter, stopping: Arc<AtomicBool>) -> Router {
    let store = reporter.store.clone();
    let answers = store.clone();
    let ready = move || match () {
        () if stopping.load(Ordering::Relaxed) => Err("stopping"),
        () if !answers.answers().is_complete => Err("the first lists are not complete yet"),
        () => Ok(()),
    };
    let reporter = Arc::new(reporter);
    let served = move || async move {
        let no_store = [(header::CACHE_CONTROL, "no-store")];
        match reporter.json().await {
            Ok(json) => ([(header::CONTENT_TYPE, "application/json")], no_store, json).into_response(),
            Err(error) => {
                tracing::warn!(%error, "Had nothing to report to the controller");
                (StatusCode::SERVICE_UNAVAILABLE, no_store, format!("{error}\n")).into_response()
            }
        }
    };
    let document =
        move |Path((namespace, key_set)): Path<(String, String)>| async move { document(&store, &namespace, &key_set) };
    admin::router(registry, ready)
        .route(SERVED_PATH, get(served))
        .route(&format!("{SERVED_PATH}/{{namespace}}/{{key_set}}"), get(document))
}

/// The document that is served for a set, for a controller whose objects know less (PROTOCOL 9).
fn document(store: &Store, namespace: &str, key_set: &str) -> Response {
    let answers = store.answers();
    match answers.pages.get(Name::new(namespace, key_set).as_str()).map(AsRef::as_ref) {
        Some(Page::Set(set)) => ([(header::CACHE_CONTROL, "no-store")], set.document.bytes.clone()).into_response(),
        Some(Page::Waiting) | None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A name for this process that no other has.
fn instance() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

const TLS_INTERVAL: Duration = Duration::from_secs(5);
