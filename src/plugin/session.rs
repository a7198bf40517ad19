//! Whom the verbs ask, as whom, where, and at what time.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Api, Client, Config};

use super::error::{Error, one_line};
use super::output::{Format, Report};
use crate::api::KeySet;
use crate::controller::now;

/// What every verb takes, named as kubectl names it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Kubeconfig to use [default: $KUBECONFIG, then ~/.kube/config, then the Pod's own]
    #[arg(long, global = true, value_name = "FILE", hide_default_value = true)]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// Namespace [default: that of the context]
    #[arg(short, long, global = true, value_name = "NAME")]
    namespace: Option<String>,
    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    impersonate: Option<String>,
    /// Format of the answer
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) output: Format,
}

/// One run of a verb.
pub(super) struct Session {
    pub(super) client: Client,
    /// Where names are looked up.
    pub(super) namespace: String,
    /// When the verb began: what it tells is as of then.
    pub(super) now: Timestamp,
    config: Config,
    pub(super) format: Format,
}

impl Global {
    /// Writes an answer for which no cluster was asked.
    pub(super) fn print(&self, report: &impl Report) -> Result<(), Error> {
        self.output.print(report)
    }
}

impl Session {
    pub(super) async fn start(global: &Global) -> Result<Self, Error> {
        let mut config = config(global).await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(READ_TIMEOUT);
        if let Some(user) = &global.impersonate {
            config.auth_info.impersonate = Some(user.clone());
        }
        let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config.clone()).map_err(Error::api)?;
        Ok(Self { client, namespace, now: now(), config, format: global.output })
    }

    /// A client that takes the first answer. The other asks again for two minutes while the API server, or a Service
    /// behind it, is not available.
    pub(super) fn impatient_client(&self) -> Result<Client, Error> {
        let mut config = self.config.clone();
        config.default_retry = false;
        Client::try_from(config).map_err(Error::api)
    }

    /// Writes the answer to standard output.
    pub(super) fn print(&self, report: &impl Report) -> Result<(), Error> {
        self.format.print(report)
    }

    pub(super) fn key_sets(&self) -> Api<KeySet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The KeySet of that name in the namespace of the session.
    pub(super) async fn key_set(&self, name: &str) -> Result<KeySet, Error> {
        self.key_sets().get(name).await.map_err(|error| self.absent(name, error))
    }

    /// What the API server said of the KeySet of that name.
    pub(super) fn absent(&self, name: &str, error: kube::Error) -> Error {
        match error {
            // Without the CRD the path itself is unknown, and no object is named.
            kube::Error::Api(status) if status.code == 404 && names(&status, name) => {
                Error::NotFound { kind: "KeySet", name: name.to_owned(), namespace: self.namespace.clone() }
            }
            error => Error::api(error),
        }
    }
}

fn names(status: &Status, name: &str) -> bool {
    status.details.as_ref().is_some_and(|details| details.name == name)
}

async fn config(global: &Global) -> Result<Config, Error> {
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let refused = |error: &dyn std::error::Error| Error::NoCluster(one_line(&error.to_string()));
    if let Some(path) = &global.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| refused(&error))?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| refused(&error));
    }
    match Config::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        // In a Pod there is none, and none is needed.
        Err(error) if global.context.is_none() => Config::incluster().map_err(|_| refused(&error)),
        Err(error) => Err(refused(&error)),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
