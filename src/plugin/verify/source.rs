//! Where the set comes from: the URL that verifiers have, the discovery document of the issuer, or the Service of the
//! server through the API server.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use http::{Request, Uri};
use serde_json::Value;

use super::ServedSet;
use super::check::{quoted, shown};
use super::compact::object;
use crate::plugin::Error;
use crate::plugin::error::one_line;
use crate::plugin::session::Session;
use crate::plugin::web::Web;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where the set is")]
pub(in crate::plugin) struct SourceArguments {
    /// URL of the set, as verifiers have it [default: the jwks_uri of the issuer's discovery document]
    #[arg(long, value_name = "URL", conflicts_with = "server_service", value_parser = web_url)]
    url: Option<Uri>,
    /// Service of the servers, asked through the API server, for a set that no URL leads to from here
    #[arg(long, value_name = "NAMESPACE/NAME[:PORT]", requires = "keyset")]
    server_service: Option<Service>,
    /// CA certificates to trust, PEM [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// A set, and where it was.
pub(super) struct Fetched {
    pub(super) set: ServedSet,
    /// For people.
    pub(super) source: String,
    /// Whether anybody on the way could have replaced it.
    pub(super) is_exposed: bool,
}

/// A Service by its port.
#[derive(Clone, Debug)]
struct Service {
    namespace: String,
    name: String,
    port: String,
}

impl SourceArguments {
    /// Fetches the set. `key_set` is where a KeySet of that name is.
    pub(super) async fn fetch(
        &self,
        key_set: Option<(&Session, &str)>,
        issuer: Option<&str>,
    ) -> Result<Fetched, Error> {
        let fetched = |source: String, is_exposed, document: &[u8]| match ServedSet::parse(document) {
            Ok(set) => Ok(Fetched { set, source, is_exposed }),
            Err(why) => Err(Error::Web { url: source, why: format!("has no set: {why}") }),
        };
        if let (Some(service), Some((session, name))) = (&self.server_service, key_set) {
            let document = service.document(session, name).await?;
            return fetched(service.to_string(), false, document.as_bytes());
        }
        let web = Web::new(self.ca_file.as_deref())?;
        let url = match (&self.url, issuer) {
            (Some(url), _) => url.clone(),
            (None, Some(issuer)) => discovered(&web, issuer).await?,
            (None, None) => return Err(Error::Refused(NO_SOURCE.to_owned())),
        };
        fetched(url.to_string(), is_exposed(&url), &web.document(&url).await?)
    }
}

impl Service {
    async fn document(&self, session: &Session, key_set: &str) -> Result<String, Error> {
        let Self { namespace, name, port } = self;
        let scheme = if port == "https" { "https:" } else { "" };
        let path = format!("/{}/{key_set}/jwks.json", session.namespace);
        let path = format!("/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy{path}");
        let request = Request::get(path).body(Vec::new()).map_err(|error| Error::Refused(error.to_string()))?;
        match session.impatient_client()?.request_text(request).await {
            Ok(document) => Ok(document),
            // What the server itself says comes as an error of the API server, too.
            Err(kube::Error::Api(status)) if status.code != 401 => Err(Error::Web {
                url: self.to_string(),
                why: format!("answers {}: {}", status.code, one_line(&status.message)),
            }),
            Err(error) => Err(Error::api(error)),
        }
    }
}

impl Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service {}/{}, through the API server,", self.namespace, self.name)
    }
}

impl FromStr for Service {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = text.split_once('/').ok_or(SERVICE)?;
        let (name, port) = name.split_once(':').unwrap_or((name, "http"));
        let is_name =
            |text: &str| !text.is_empty() && text.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if ![namespace, name, port].into_iter().all(is_name) {
            return Err(SERVICE);
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned(), port: port.to_owned() })
    }
}

/// The URL of the set in the discovery document (OpenID Connect Discovery section 4.3: the issuer in it must be the one
/// that was asked for).
async fn discovered(web: &Web, issuer: &str) -> Result<Uri, Error> {
    let url = web_url(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')));
    let url = url.map_err(|why| Error::Refused(format!("the issuer {}: {why}", quoted(issuer))))?;
    let document = web.document(&url).await?;
    let refused = |why: String| Error::Web { url: url.to_string(), why };
    let document = object("discovery document", &document).map_err(|why| refused(format!("is of no use: {why}")))?;
    let told = document.get("issuer").unwrap_or(&Value::Null);
    if told != issuer {
        return Err(refused(format!("is the discovery document of {}, not of {}", shown(told), quoted(issuer))));
    }
    let uri = document.get("jwks_uri").and_then(Value::as_str).and_then(|uri| web_url(uri).ok());
    uri.ok_or_else(|| refused("has no jwks_uri that is a URL".to_owned()))
}

/// Plain HTTP, and not within this machine.
fn is_exposed(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme_str() != Some("https") && !is_local
}

fn web_url(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_| URL)?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https")) && url.authority().is_some();
    if is_web { Ok(url) } else { Err(URL) }
}

const URL: &str = "it must be a URL such as https://keys.example.com/auth/payments/jwks.json";
const SERVICE: &str = "it must be NAMESPACE/NAME, with :PORT if the port is not named http";
const NO_SOURCE: &str =
    "where is the set? Give its --url, or --issuer to have it discovered, or --server-service and --keyset";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_by_its_namespace() {
        let path = |text: &str| text.parse::<Service>().map(|it| format!("{} {} {}", it.namespace, it.name, it.port));
        assert_eq!(path("keys/server").unwrap(), "keys server http");
        assert_eq!(path("keys/server:https").unwrap(), "keys server https");
        // It becomes a part of a path.
        for text in [
            "",
            "server",
            "/server",
            "keys/",
            "keys/server:",
            "keys/a/b",
            "keys/..",
            "keys/server?a",
            "keys/server:a:b",
        ] {
            assert!(path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_leaves_this_machine_in_the_clear_is_exposed() {
        let exposed = |text: &str| is_exposed(&web_url(text).unwrap());
        assert!(
            exposed("http://keys.example.com/")
                && exposed("http://10.0.0.1:8080/a")
                && exposed("http://127.0.0.1.example/")
        );
        for text in ["https://keys.example.com/", "http://127.0.0.1:80/", "http://localhost/", "http://[::1]:8080/"] {
            assert!(!exposed(text), "{text}");
        }
        for text in ["", "keys.example.com", "/jwks.json", "ftp://keys.example.com/", "http://", "https:///jwks.json"] {
            assert!(web_url(text).is_err(), "{text}");
        }
    }
}
