//! Whether every replica serves, byte for byte, what the operator published.

use http::{Request, Uri, header};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;

use super::cluster::compared;
use super::installation::Installation;
use super::sets::place;
use super::{Check, Error, KeySet, Session};
use crate::controller::now;
use crate::jose::Digest;
use crate::plugin::web::Web;

/// Where one replica can be asked.
enum Replica {
    /// By itself.
    Direct(Uri),
    /// Through the API server: the path of its proxy.
    Proxied(String),
}

pub(super) async fn checks(
    session: &Session,
    web: &Web,
    endpoints: &[Uri],
    installation: &Installation,
    key_sets: &[KeySet],
) -> Vec<Check> {
    let replicas = if endpoints.is_empty() {
        pods(session, installation).await
    } else {
        Ok(endpoints.iter().cloned().map(Replica::Direct).collect())
    };
    let replicas = match replicas {
        Ok(replicas) if replicas.is_empty() => {
            return vec![Check::skipped("replicas of the server", "none is seen: name each with --server-endpoint")];
        }
        Ok(replicas) => replicas,
        Err(why) => {
            return vec![Check::skipped("replicas of the server", format!("{why}; name each with --server-endpoint"))];
        }
    };
    let mut checks = Vec::new();
    for replica in &replicas {
        let mut dates = Vec::new();
        for key_set in key_sets {
            let (check, date) = replica.check(session, web, key_set).await;
            checks.push(check);
            dates.extend(date.map(|date| (date, now(), key_set.spec.clock_skew.length())));
        }
        if let Some((date, now, _)) = dates.first() {
            let skew = dates.iter().map(|(_, _, skew)| *skew).min().unwrap_or_default();
            let subject = format!("clock of {}", replica.name());
            checks.push(compared(&subject, "this machine's", "it", Some(date), *now, skew));
        }
    }
    checks
}

impl Replica {
    /// What it serves, and its time if it tells.
    async fn check(&self, session: &Session, web: &Web, key_set: &KeySet) -> (Check, Option<String>) {
        let subject = format!("{} from {}", place(key_set), self.name());
        let publication = key_set.status.as_ref().and_then(|status| status.publication.as_ref());
        let Some(publication) = publication else {
            return (Check::skipped(subject, "nothing is published yet"), None);
        };
        let (status, date, body) = match self.ask(session, web, &format!("/{}/jwks.json", place(key_set))).await {
            Ok(answer) => answer,
            Err(why) => return (Check::fail(subject, why), None),
        };
        let digest = Digest::of(&body);
        let is_current = publication.digest.as_ref() == Some(&digest);
        let check = match status {
            200 if is_current => {
                Check::ok(subject, format!("serves what is published, to the byte ({})", short(&digest)))
            }
            200 if publication.accepts(&digest) => {
                Check::warn(subject, "serves the set before the latest: it should follow in seconds")
            }
            200 => Check::fail(
                subject,
                "serves another set than the operator published: does it reach the API server, and this cluster's?",
            ),
            status => Check::fail(
                subject,
                format!("answers {status}: does it watch this namespace, and reach the API server?"),
            ),
        };
        (check, date)
    }

    /// Status, `Date`, and the document.
    async fn ask(&self, session: &Session, web: &Web, path: &str) -> Result<(u16, Option<String>, Vec<u8>), String> {
        match self {
            Self::Direct(url) => {
                let url = format!("{}{path}", url.to_string().trim_end_matches('/'));
                let url: Uri = url.parse().map_err(|_| format!("{url} is no URL"))?;
                let answer = web.get(&url).await.map_err(|error| error.to_string())?;
                let date =
                    answer.headers().get(header::DATE).and_then(|date| date.to_str().ok()).map(ToOwned::to_owned);
                Ok((answer.status().as_u16(), date, answer.into_body().to_vec()))
            }
            Self::Proxied(proxy) => {
                let request =
                    Request::get(format!("{proxy}{path}")).body(Vec::new()).map_err(|error| error.to_string())?;
                match session.client.request_text(request).await {
                    Ok(text) => Ok((200, None, text.into_bytes())),
                    Err(kube::Error::Api(status)) if status.code != 403 => Ok((status.code, None, Vec::new())),
                    Err(error) => Err(Error::api(error).to_string()),
                }
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Direct(url) => url.to_string(),
            Self::Proxied(path) => path.trim_start_matches("/api/v1/namespaces/").trim_end_matches("/proxy").to_owned(),
        }
    }
}

/// The Pods behind the Services of the chart's servers, through the proxy of the API server.
async fn pods(session: &Session, installation: &Installation) -> Result<Vec<Replica>, String> {
    let mut replicas = Vec::new();
    for namespace in installation.server_namespaces() {
        let api: Api<EndpointSlice> = Api::namespaced(session.client.clone(), &namespace);
        let servers = ListParams::default().labels("app.kubernetes.io/name=keyset,app.kubernetes.io/component=server");
        let slices = api.list(&servers).await.map_err(|error| Error::api(error).to_string())?;
        for slice in slices {
            replicas.extend(slice.endpoints.iter().filter_map(|it| it.target_ref.as_ref()?.name.as_ref()).flat_map(
                |pod| {
                    let ports = slice.ports.iter().flatten();
                    let public = ports.filter_map(|port| Some((port.name.as_deref()?, port.port?)));
                    public
                        .filter(|(name, _)| ["http", "https"].contains(name))
                        .map(|(scheme, port)| {
                            Replica::Proxied(format!("/api/v1/namespaces/{namespace}/pods/{scheme}:{pod}:{port}/proxy"))
                        })
                        .collect::<Vec<_>>()
                },
            ));
        }
    }
    Ok(replicas)
}

/// Enough of a digest to tell two apart.
fn short(digest: &Digest) -> &str {
    digest.as_str().get(.."sha256:".len() + 12).unwrap_or_default()
}
