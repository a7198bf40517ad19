//! One GET as a verifier would send it.
//!
//! Invariants: no redirect is followed, as many verifiers follow none; a server that does not answer in 5 s or answers more
//! than 1 MiB has not answered. Deliberately absent: what an answer means, and any cache.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

use super::error::{Error, innermost, one_line};

/// Whom an HTTPS server must be certified by.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Trust {
    /// PEM file of the CAs that the URL's certificate may be from [default: those of the system]
    #[arg(long, value_name = "FILE", hide_default_value = true)]
    ca_file: Option<PathBuf>,
}

/// Sends GETs, each over a connection of its own: a kept one would always show the same replica.
pub(super) struct Fetcher(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Fetcher {
    pub(super) fn new(trust: &Trust) -> Result<Self, Error> {
        let builder = HttpsConnectorBuilder::new();
        let builder = match &trust.ca_file {
            Some(path) => builder.with_tls_config(trusting(path)?),
            None => builder
                .with_provider_and_native_roots(ring::default_provider())
                .map_err(|error| Error::Io(format!("no CAs of the system: {error}; give --ca-file")))?,
        };
        let connector = builder.https_or_http().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)))
    }

    /// The answer, whatever its status; or why there is none, for people.
    pub(super) async fn get(&self, url: &Uri) -> Result<Answer, String> {
        let answer = async {
            let answer = self.0.get(url.clone()).await.map_err(|error| one_line(&innermost(&error)))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LARGEST_BODY).collect().await;
            let body = body.map_err(|_| "its answer is larger than 1 MiB or breaks off".to_owned())?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        tokio::time::timeout(PATIENCE, answer).await.map_err(|_| format!("no answer within {PATIENCE:?}"))?
    }
}

impl Answer {
    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn trusting(path: &Path) -> Result<ClientConfig, Error> {
    let unusable = |why: String| Error::Io(format!("{}: {why}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no PEM certificate".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| unusable(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

const PATIENCE: Duration = Duration::from_secs(5);
const LARGEST_BODY: usize = 1 << 20;
