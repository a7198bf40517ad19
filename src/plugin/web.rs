//! GET over HTTP and HTTPS, as a verifier does it: the system's roots or one CA file, no redirects, bounds on time and
//! size. Proxies of the environment are not used.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::{Error, innermost, one_line};

/// Fetches what is public.
pub(super) struct Web {
    client: HttpClient<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Web {
    /// Trusts the CAs of the file, or else those of the system.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| Error::Io(error.to_string()))?;
        let config = match ca_file {
            Some(path) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
            None => builder.with_native_roots().map_err(Error::output)?.with_no_client_auth(),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self { client: HttpClient::builder(TokioExecutor::new()).build(connector) })
    }

    /// The document at that URL: only 200 has one.
    pub(super) async fn document(&self, url: &Uri) -> Result<Bytes, Error> {
        let answer = self.get(url).await?;
        let refused = |why: String| Err(Error::Web { url: url.to_string(), why });
        let status = answer.status();
        if status.is_redirection() {
            let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            return refused(format!(
                "answers {status} with a redirect to {to:?}, which many verifiers do not follow: give that URL to them and to --url"
            ));
        }
        if status != http::StatusCode::OK {
            return refused(format!("answers {status}"));
        }
        Ok(answer.into_body())
    }

    /// What it answers, whatever it is.
    pub(super) async fn get(&self, url: &Uri) -> Result<Response<Bytes>, Error> {
        let failed = |why: String| Error::Web { url: url.to_string(), why };
        let request = Request::get(url).header(header::USER_AGENT, "kubectl-keyset").header(header::ACCEPT, ACCEPT);
        let request = request.body(Empty::new()).map_err(|error| failed(format!("cannot be asked: {error}")))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| failed(reason(&error)))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LARGEST).collect().await;
            let body = body.map_err(|_| failed(format!("breaks off, or has more than {LARGEST} octets")))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let answer = tokio::time::timeout(WITHIN, exchange).await;
        answer.unwrap_or_else(|_| Err(failed(format!("does not answer within {} s", WITHIN.as_secs()))))
    }
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let unusable = |why: String| Error::Io(format!("--ca-file {}: {why}", path.display()));
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(one_line(&error.to_string())))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(one_line(&error.to_string())))?;
        roots.add(certificate).map_err(|error| unusable(one_line(&error.to_string())))?;
    }
    if roots.is_empty() { Err(unusable("it has no PEM certificate".to_owned())) } else { Ok(roots) }
}

fn reason(error: &dyn std::error::Error) -> String {
    let why = one_line(&innermost(error));
    let hint = if why.contains("UnknownIssuer") { ": give its CA with --ca-file" } else { "" };
    format!("does not answer: {why}{hint}")
}

const ACCEPT: &str = "application/jwk-set+json, application/json";
const WITHIN: Duration = Duration::from_secs(10);
/// In octets: sixty-four keys and more fit in.
const LARGEST: usize = 1 << 20;
