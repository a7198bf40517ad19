//! `keyset controller`.

use std::net::SocketAddr;

use clap::Args;
use http::Uri;

use super::{Outcome, process};
use crate::controller::{self, Config, Endpoints, Lease};

/// How to reconcile.
#[derive(Debug, Args)]
pub(super) struct ControllerArguments {
    /// Where health and metrics are, in plain HTTP; port 0 takes a free one
    #[arg(long, env = "KEYSET_ADMIN_LISTEN", value_name = "ADDR:PORT", default_value = "[::]:9090")]
    admin_listen: SocketAddr,
    /// Admin address of one server, `http://ADDR:PORT`; repeat it for each
    #[arg(long, env = "KEYSET_SERVER_ENDPOINT", value_name = "URL", value_delimiter = ',', value_parser = endpoint)]
    server_endpoint: Vec<Uri>,
    /// Service of the servers: its EndpointSlices name them, by the port admin
    #[arg(long, env = "KEYSET_SERVER_SERVICE", value_name = "NAMESPACE/NAME", value_parser = service)]
    #[arg(conflicts_with = "server_endpoint")]
    server_service: Option<Service>,
    /// Namespace of the Lease [default: that of the kubeconfig or of the Pod]
    #[arg(long, env = "KEYSET_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// After how long without a renewal another replica takes over, in seconds
    #[arg(long, env = "KEYSET_LEASE_SECONDS", value_name = "SECONDS", default_value_t = 15)]
    #[arg(value_parser = clap::value_parser!(u64).range(2..=3600))]
    lease_seconds: u64,
    /// Name of this replica in the Lease and in events [default: HOSTNAME and a random part]
    #[arg(long, env = "KEYSET_IDENTITY", value_name = "NAME")]
    identity: Option<String>,
    #[command(flatten)]
    issuers: process::IssuerArguments,
    #[command(flatten)]
    watch: process::WatchArguments,
    #[command(flatten)]
    log: process::LogArguments,
}

/// Reconciles until it is told to stop.
pub(super) fn run(arguments: &ControllerArguments) -> Outcome {
    process::run(&arguments.log, async {
        let shutdown = process::terminated()?;
        let client = process::client().await?;
        let identity = arguments.identity.clone().map_or_else(controller::random_identity, Ok)?;
        let namespace = arguments.lease_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let config = Config {
            admin_listen: arguments.admin_listen,
            endpoints: endpoints(arguments),
            scopes: arguments.watch.scopes(),
            consent: arguments.issuers.consent(),
            lease: Lease { namespace, identity, seconds: arguments.lease_seconds },
        };
        Ok(controller::run(config, client, shutdown).await?)
    })
}

#[derive(Clone, Debug)]
struct Service {
    namespace: String,
    name: String,
}

fn endpoints(arguments: &ControllerArguments) -> Endpoints {
    match &arguments.server_service {
        Some(Service { namespace, name }) => Endpoints::Service { namespace: namespace.clone(), name: name.clone() },
        None => Endpoints::Urls(arguments.server_endpoint.clone()),
    }
}

fn endpoint(text: &str) -> Result<Uri, &'static str> {
    let url = text.parse().ok().filter(|url: &Uri| url.scheme_str() == Some("http") && url.authority().is_some());
    url.ok_or("it must be a URL such as http://10.0.0.7:9090")
}

fn service(text: &str) -> Result<Service, &'static str> {
    let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) = parts.ok_or("it must be NAMESPACE/NAME")?;
    Ok(Service { namespace: namespace.to_owned(), name: name.to_owned() })
}
