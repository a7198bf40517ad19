//! `keyset server`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{Outcome, process};
use crate::server::{self, Config, Limits, TlsFiles};

/// How to serve.
#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    /// Where the sets are served; port 0 takes a free one
    #[arg(long, env = "KEYSET_LISTEN", value_name = "ADDR:PORT", default_value = "[::]:8080")]
    listen: SocketAddr,
    /// Where health, metrics and the report are, in plain HTTP; port 0 takes a free one
    #[arg(long, env = "KEYSET_ADMIN_LISTEN", value_name = "ADDR:PORT", default_value = "[::]:9090")]
    admin_listen: SocketAddr,
    /// Certificate chain in PEM, to serve the sets over TLS; read again when it changes
    #[arg(long, env = "KEYSET_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM
    #[arg(long, env = "KEYSET_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    issuers: process::IssuerArguments,
    #[command(flatten)]
    watch: process::WatchArguments,
    #[command(flatten)]
    log: process::LogArguments,
}

/// Serves until it is told to stop.
pub(super) fn run(arguments: ServerArguments) -> Outcome {
    let ServerArguments { listen, admin_listen, tls_cert, tls_key, issuers, watch, log } = arguments;
    let tls = tls_cert.zip(tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
    let (scopes, consent) = (watch.scopes(), issuers.consent());
    let config = Config { listen, admin_listen, scopes, consent, tls, limits: Limits::default() };
    process::run(&log, async {
        let shutdown = process::terminated()?;
        Ok(server::run(config, process::client().await?, shutdown).await?)
    })
}
