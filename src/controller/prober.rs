//! Passes: what every replica of the server serves, asked of every one of them (PROTOCOL 4).
//!
//! Invariants: endpoints are listed live for every pass, ready or not, terminating or not; one that does not answer
//! makes the pass incomplete and is named; nothing is remembered of an earlier answer but the process that gave it.
//! One pass has all sets, and those who ask at the same time share it. Whether a pass is evidence is `lifecycle`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tokio::sync::Mutex;

use super::clock::now;
use super::objects::within;
use crate::api::{KeySet, SERVED_PATH, Served};
use crate::jose::{Digest, JwkSet};
use crate::lifecycle::{Pass, PassState, Replica, ServedKeys, Witness};

/// Where the replicas of the server are.
#[derive(Clone, Debug)]
pub enum Endpoints {
    /// Their admin addresses, each of one process.
    Urls(Vec<Uri>),
    /// A Service whose EndpointSlices name them, by its port `admin`.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Asks the replicas.
pub(super) struct Prober {
    client: Client,
    endpoints: Endpoints,
    http: HttpClient<HttpConnector, Empty<Bytes>>,
    last: Mutex<Memory>,
}

/// The name of a set in the answers: `<namespace>/<KeySet>`.
pub(super) struct Set(String);

impl Set {
    pub(super) fn of(key_set: &KeySet) -> Self {
        Self(format!("{}/{}", key_set.namespace().unwrap_or_default(), key_set.name_any()))
    }
}

/// What every replica answered.
pub(super) struct Sweep {
    asked: Instant,
    time: Timestamp,
    /// By endpoint.
    urls: BTreeMap<String, Uri>,
    /// By endpoint: the answer, or what is wrong with it, for people.
    answers: BTreeMap<String, Result<Served, String>>,
    /// Why the endpoints are not known.
    unknown: Option<String>,
}

#[derive(Default)]
struct Memory {
    sweep: Option<Arc<Sweep>>,
    /// By endpoint: the process that answered last, and those that answered before it.
    instances: BTreeMap<String, (String, BTreeSet<String>)>,
}

impl Prober {
    pub(super) fn new(client: Client, endpoints: Endpoints) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(ANSWER_WITHIN));
        // A connection for each question: one that is kept would always show the same process behind a balancer.
        let http = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, endpoints, http, last: Mutex::default() }
    }

    /// A pass that began after the call.
    pub(super) async fn pass(&self) -> Arc<Sweep> {
        let called = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(shared) = last.sweep.as_ref().filter(|sweep| sweep.asked >= called) {
            return Arc::clone(shared);
        }
        let mut sweep = self.sweep().await;
        last.doubt(&mut sweep);
        let sweep = Arc::new(sweep);
        last.sweep = Some(Arc::clone(&sweep));
        sweep
    }

    async fn sweep(&self) -> Sweep {
        let asked = Instant::now();
        let (endpoints, unknown) = match self.listed().await {
            Ok(endpoints) => (endpoints, None),
            Err(why) => (BTreeMap::new(), Some(why)),
        };
        let known = endpoints.iter().filter_map(|(endpoint, url)| Some((endpoint.clone(), url.clone().ok()?)));
        let urls = known.collect();
        let answers = endpoints.into_iter().map(async |(endpoint, url)| (endpoint, self.ask(url).await));
        let answers = join_all(answers).await.into_iter().collect();
        Sweep { asked, time: now(), urls, answers, unknown }
    }

    /// The document that a replica serves for a set, for objects that know less than it does (PROTOCOL 9).
    pub(super) async fn witness(&self, sweep: &Sweep, replica: &Replica, set: &Set) -> Option<Witness> {
        let served = replica.served.as_ref()?;
        let url = sweep.urls.get(&replica.endpoint).cloned().ok_or_else(String::new);
        let document = self.fetch(url, &format!("{SERVED_PATH}/{}", set.0)).await.ok();
        let document = document.filter(|document| Digest::of(document) == served.digest);
        let set = document.and_then(|document| JwkSet::parse(&document).ok());
        Some(Witness { digest: served.digest.clone(), set })
    }

    /// The URL of each endpoint, or why one is not known.
    async fn listed(&self) -> Result<BTreeMap<String, Result<Uri, String>>, String> {
        match &self.endpoints {
            Endpoints::Urls(urls) if urls.is_empty() => {
                Err("no server is known: start the controller with --server-endpoint or --server-service".to_owned())
            }
            Endpoints::Urls(urls) => Ok(urls.iter().map(|url| (url.to_string(), Ok(url.clone()))).collect()),
            Endpoints::Service { namespace, name } => {
                let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
                let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
                let slices = within("list EndpointSlices", slices.list(&of_service)).await;
                let slices = slices.map_err(|error| error.to_string())?;
                let endpoints: BTreeMap<_, _> = slices.iter().flat_map(addresses).collect();
                if endpoints.is_empty() {
                    return Err(format!("Service {namespace}/{name} has no endpoints"));
                }
                Ok(endpoints)
            }
        }
    }

    async fn ask(&self, url: Result<Uri, String>) -> Result<Served, String> {
        let report = self.fetch(url, SERVED_PATH).await?;
        serde_json::from_slice(&report).map_err(|_| "gives an answer that is not a report".to_owned())
    }

    async fn fetch(&self, url: Result<Uri, String>, path: &str) -> Result<Bytes, String> {
        let mut parts = url?.into_parts();
        parts.path_and_query = path.parse().ok();
        let url = Uri::from_parts(parts).map_err(|error| error.to_string())?;
        let answer = async {
            let answer = self.http.get(url).await.map_err(|_| "does not answer".to_owned())?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
            let body = body.map_err(|_| "breaks off its answer".to_owned())?.to_bytes();
            if !status.is_success() {
                let why: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                return Err(format!("answers {}: {}", status.as_u16(), why.trim()));
            }
            Ok(body)
        };
        tokio::time::timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| Err("does not answer in time".to_owned()))
    }
}

impl Memory {
    /// An endpoint that shows two processes is a balancer: it hides the others, so it is no evidence.
    ///
    /// A restarted replica shows a new process once and for good; one that comes back after another is a balancer.
    fn doubt(&mut self, sweep: &mut Sweep) {
        self.instances.retain(|endpoint, _| sweep.answers.contains_key(endpoint));
        for (endpoint, answer) in &mut sweep.answers {
            let Ok(served) = answer else { continue };
            let instance = served.instance.clone();
            let (last, earlier) = self.instances.entry(endpoint.clone()).or_insert((instance.clone(), BTreeSet::new()));
            let changed = *last != instance;
            if changed {
                earlier.insert(std::mem::replace(last, instance.clone()));
            }
            if changed || earlier.contains(&instance) {
                *answer = Err("shows more than one process: name each replica by an address of its own".to_owned());
            }
        }
    }
}

impl Sweep {
    /// What this pass says of one set.
    pub(super) fn of(&self, set: &Set) -> Pass {
        let mut doubts: Vec<String> = self.unknown.iter().cloned().collect();
        let mut replicas = Vec::new();
        for (endpoint, answer) in &self.answers {
            match answer {
                Ok(served) => replicas.push(replica(endpoint, served, &set.0)),
                Err(why) => doubts.push(format!("{endpoint} {why}")),
            }
        }
        let state = if doubts.is_empty() { PassState::Complete } else { PassState::Incomplete(doubts.join("; ")) };
        Pass { time: self.time, state, replicas }
    }
}

fn replica(endpoint: &str, served: &Served, set: &str) -> Replica {
    let served = served.sets.get(set).map(|set| ServedKeys {
        key_set_uid: set.key_set_uid.clone(),
        revision: set.revision,
        digest: set.digest.clone(),
        ages: set.keys.iter().map(|(kid, age)| (kid.clone(), age.map(length))).collect(),
    });
    Replica { endpoint: endpoint.to_owned(), served }
}

/// Seconds that make no sense count as none: the key has just appeared.
fn length(seconds: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(SignedDuration::ZERO)
}

fn addresses(slice: &EndpointSlice) -> Vec<(String, Result<Uri, String>)> {
    let port = slice.ports.iter().flatten().find(|port| port.name.as_deref() == Some("admin")).and_then(|it| it.port);
    let addresses = slice.endpoints.iter().filter_map(|endpoint| endpoint.addresses.first());
    addresses
        .map(|address| {
            let host = if address.contains(':') { format!("[{address}]") } else { address.clone() };
            let url = port.ok_or_else(|| "has no port named admin".to_owned()).and_then(|port| {
                format!("http://{host}:{port}/").parse().map_err(|_| "has no usable address".to_owned())
            });
            (host, url)
        })
        .collect()
}

const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// A thousand sets of sixteen keys fit in.
const LARGEST_ANSWER: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(answers: &[(&str, Result<&str, &str>)]) -> Sweep {
        let served = |instance: &str| Served { instance: instance.to_owned(), sets: BTreeMap::new() };
        let answers = answers
            .iter()
            .map(|(endpoint, answer)| ((*endpoint).to_owned(), answer.map(served).map_err(ToOwned::to_owned)));
        Sweep { asked: Instant::now(), time: now(), urls: BTreeMap::new(), answers: answers.collect(), unknown: None }
    }

    #[test]
    fn a_restart_costs_one_pass_and_a_balancer_is_never_evidence() {
        let mut memory = Memory::default();
        let mut complete = |instance: &str| {
            let mut sweep = sweep(&[("a", Ok(instance))]);
            memory.doubt(&mut sweep);
            sweep.answers["a"].is_ok()
        };
        assert_eq!(["1", "1", "2", "2", "2"].map(&mut complete), [true, true, false, true, true]);
        assert_eq!(["1", "2", "2", "1"].map(&mut complete), [false, false, false, false]);
    }

    #[test]
    fn who_does_not_answer_is_named_and_makes_the_pass_incomplete() {
        let pass =
            sweep(&[("http://a/", Ok("1")), ("http://b/", Err("does not answer"))]).of(&Set("auth/pay".to_owned()));
        let PassState::Incomplete(why) = pass.state else { panic!("complete") };
        assert_eq!(why, "http://b/ does not answer");
        assert_eq!(pass.replicas.len(), 1);
    }

    #[test]
    fn every_endpoint_counts_ready_or_not() {
        let slice: EndpointSlice = serde_json::from_value(serde_json::json!({
            "addressType": "IPv4", "metadata": {},
            "ports": [{"name": "http", "port": 8080}, {"name": "admin", "port": 9090}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "terminating": true}},
            ],
        }))
        .unwrap();
        let found: Vec<_> = addresses(&slice).into_iter().map(|(_, url)| url.unwrap().to_string()).collect();
        assert_eq!(found, ["http://10.0.0.1:9090/", "http://10.0.0.2:9090/"]);
    }
}
