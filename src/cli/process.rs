//! What the commands that run for long have in common: logs, the client, the signal to stop.

use std::{num::NonZeroUsize, thread::available_parallelism};

use clap::Args;
use kube::Client;
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;
use crate::issuer::{Consent, Grant};
use crate::scope::Scope;
use crate::telemetry::logging::{self, Filter, Format};

/// How to log.
#[derive(Debug, Args)]
pub(super) struct LogArguments {
    /// Level (error, warn, info, debug, trace), or directives such as debug,kube=trace
    #[arg(long, env = "KEYSET_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    log_level: Filter,
    /// How a line on standard error looks
    #[arg(long, env = "KEYSET_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    log_format: Format,
}

/// Where to look.
#[derive(Debug, Args)]
pub(super) struct WatchArguments {
    /// Namespace whose KeySets it looks after; repeat it for each [default: the whole cluster]
    #[arg(long, env = "KEYSET_WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    watch_namespace: Vec<String>,
}

/// Who may have which issuer.
#[derive(Debug, Args)]
pub(super) struct IssuerArguments {
    /// Host, or *.DOMAIN for those right below it, that KeySets of these namespaces (* for all) may have an issuer at;
    /// repeat it for each, in the environment with a semicolon between [default: none]
    #[arg(long, env = "KEYSET_ALLOW_ISSUER_HOST", value_name = "HOST=NAMESPACE,...", value_delimiter = ';')]
    allow_issuer_host: Vec<Grant>,
}

impl IssuerArguments {
    pub(super) fn consent(&self) -> Consent {
        Consent::of(self.allow_issuer_host.clone())
    }
}

impl WatchArguments {
    pub(super) fn scopes(&self) -> Vec<Scope> {
        Scope::of(&self.watch_namespace)
    }
}

/// Runs a command that takes its time.
pub(super) fn run(log: &LogArguments, command: impl Future<Output = Outcome>) -> Outcome {
    logging::init(&log.log_level, log.log_format);
    let workers = available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_WORKERS);
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?.block_on(command)
}

/// A client by KUBECONFIG or in-cluster, that waits for nothing for ever. A watch must end before `READ_TIMEOUT`.
pub(super) async fn client() -> Result<Client, Box<dyn std::error::Error>> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    Ok(Client::try_from(config)?)
}

/// Completes on SIGTERM or SIGINT, of which it is told from now on.
pub(super) fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Each thread keeps memory of its own, and a large node has many cores. Four serve more than any set of keys is asked for.
const MOST_WORKERS: usize = 4;
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
const READ_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(90);
