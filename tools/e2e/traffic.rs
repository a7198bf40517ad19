//! Verifiers outside of the cluster, who know a URL of the ingress and how long they may keep a copy, and clients who ask
//! all the time.
//!
//! Invariant: nothing is asked twice. An answer that is not 200 with a lawful set is a failure, as long as nobody said
//! that the servers are being killed, or are not there.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    Failure,
    set::Contract,
    tokens::{Token, Tokens},
};

/// A host of the ingress.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// `http://ADDRESS:PORT`.
    pub(crate) url: String,
    /// What DNS would point there.
    pub(crate) name: &'static str,
}

/// What is done to the servers just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// They must answer.
    Strict,
    /// One is killed: an answer may fail, a verifier with a copy may not.
    Killing,
    /// There are none, and nobody asks.
    Absent,
}

/// Everybody who asks.
pub(crate) struct Traffic {
    pub(crate) contract: Contract,
    pub(crate) tokens: Arc<Tokens>,
    tally: Arc<Tally>,
    phase: watch::Sender<Phase>,
    _clients: JoinSet<()>,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) answers: u64,
    pub(crate) verified: u64,
    pub(crate) excused: u64,
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, verified, excused } = self;
        write!(out, "{answers} answers, {verified} tokens verified, {excused} excused")
    }
}

impl Traffic {
    /// Starts an issuer's client and, for each host, a crowd of clients and a verifier.
    pub(crate) fn start(contract: Contract, issuer: Host, hosts: &[Host]) -> Self {
        let (tokens, tally) = (Arc::<Tokens>::default(), Arc::<Tally>::default());
        let (phase, current) = watch::channel(Phase::Strict);
        let mut clients = JoinSet::new();
        let outside = |host: Host| Outside {
            contract,
            host,
            client: client(),
            tokens: tokens.clone(),
            tally: tally.clone(),
            phase: current.clone(),
        };
        clients.spawn(outside(issuer).hold_tokens());
        for host in hosts {
            for _ in 0..CROWD {
                clients.spawn(outside(host.clone()).ask());
            }
            clients.spawn(outside(host.clone()).verify());
        }
        Self { contract, tokens, tally, phase, _clients: clients }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(crate) fn count(&self) -> Count {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let Tally { answers, verified, excused, .. } = &*self.tally;
        Count { answers: read(answers), verified: read(verified), excused: read(excused) }
    }

    /// The first failures, if there were any.
    pub(crate) fn judge(&self) -> Result<(), Failure> {
        let failures = self.tally.failures.lock().map_err(|_| "a client panicked")?;
        if failures.is_empty() {
            return Ok(());
        }
        let first: Vec<&str> = failures.iter().take(10).map(String::as_str).collect();
        Err(format!("{} failures among {}; the first: {first:#?}", failures.len(), self.count()).into())
    }
}

/// The kids of the set that a host serves, if it is lawful.
pub(crate) async fn published(contract: Contract, host: &Host) -> Result<Vec<String>, Failure> {
    Ok(fetch(&client(), host, contract).await?.into_keys().collect())
}

#[derive(Default)]
struct Tally {
    answers: AtomicU64,
    verified: AtomicU64,
    excused: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// One client.
struct Outside {
    contract: Contract,
    host: Host,
    client: HttpClient,
    tokens: Arc<Tokens>,
    tally: Arc<Tally>,
    phase: watch::Receiver<Phase>,
}

impl Outside {
    /// Gets a token ten times a second. That the issuer is there is not what is tried here: its Pod may be late.
    async fn hold_tokens(self) {
        let path = format!("/token?lifetime={}", self.contract.lifetime.as_secs());
        loop {
            if let Ok((_, text)) = answer(&self.client, &self.host, &path).await
                && let Ok(token) = Token::read(String::from_utf8_lossy(&text).into_owned())
            {
                self.tokens.add(token);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks for the set, and holds it against the tokens that were out there before it was asked for.
    async fn ask(self) {
        loop {
            let phase = *self.phase.borrow();
            if phase != Phase::Absent {
                let before = self.tokens.kids();
                match fetch(&self.client, &self.host, self.contract).await {
                    Ok(keys) => {
                        let after = self.tokens.kids();
                        let missing = before.intersection(&after).find(|kid| !keys.contains_key(*kid));
                        match missing {
                            None => drop(self.tally.answers.fetch_add(1, Ordering::Relaxed)),
                            Some(kid) => self.fail(&format!("{} answers without {kid}, of a token", self.host.name)),
                        }
                    }
                    Err(error) => self.excuse(phase, &error),
                }
            }
            sleep(Duration::from_millis(15)).await;
        }
    }

    /// Keeps a copy to the last moment, whatever it meets, and shows it the newest token and the one that expires next.
    async fn verify(self) {
        let mut copy: Option<(Instant, BTreeMap<String, Value>)> = None;
        loop {
            sleep(Duration::from_millis(25)).await;
            let phase = *self.phase.borrow();
            if phase == Phase::Absent {
                copy = None;
                continue;
            }
            if copy.as_ref().is_none_or(|(asked, _)| asked.elapsed() >= self.contract.cache_age) {
                let asked = Instant::now();
                match fetch(&self.client, &self.host, self.contract).await {
                    Ok(keys) => copy = Some((asked, keys)),
                    Err(error) => self.excuse(phase, &error),
                }
            }
            let Some((asked, keys)) = &copy else { continue };
            for token in [self.tokens.newest(), self.tokens.oldest()].into_iter().flatten() {
                let verified = match keys.get(&token.kid) {
                    Some(jwk) => token.verify(jwk).map_err(|error| error.to_string()),
                    None => Err(format!("unknown kid {}", token.kid)),
                };
                match verified {
                    Ok(()) => drop(self.tally.verified.fetch_add(1, Ordering::Relaxed)),
                    // It expired while we looked.
                    Err(_) if token.is_expired() => {}
                    Err(why) => {
                        let age = asked.elapsed().as_secs_f64();
                        self.fail(&format!("{}: {why}, in a copy that is {age:.1} s old", self.host.name));
                    }
                }
            }
        }
    }

    /// What was asked for before or after servers had to answer is excused.
    fn excuse(&self, asked: Phase, error: &Failure) {
        if asked == Phase::Strict && *self.phase.borrow() == Phase::Strict {
            self.fail(&format!("{}: {error}", self.host.name));
        } else {
            self.tally.excused.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fail(&self, why: &str) {
        if let Ok(mut failures) = self.tally.failures.lock() {
            failures.push(format!("{} {why}", super::clock()));
        }
    }
}

/// The keys of a lawful set, by kid.
async fn fetch(client: &HttpClient, host: &Host, contract: Contract) -> Result<BTreeMap<String, Value>, Failure> {
    let (headers, body) = answer(client, host, PATH).await?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(header::CONTENT_TYPE) != "application/jwk-set+json" {
        return Err(format!("a set of the type {:?}", text(header::CONTENT_TYPE)).into());
    }
    // max-age and the stale windows add up.
    let ages = text(header::CACHE_CONTROL).split(", ").filter_map(|part| part.split_once('=')?.1.parse::<u64>().ok());
    let age: u64 = ages.sum();
    if age == 0 || age > contract.cache_age.as_secs() {
        return Err(format!("a set to be kept for {age} s").into());
    }
    let document: Value = serde_json::from_slice(&body)?;
    let keys = document["keys"].as_array().filter(|keys| !keys.is_empty()).ok_or("a set without keys")?;
    let mut by_kid = BTreeMap::new();
    for key in keys {
        if PRIVATE.iter().any(|member| key.get(member).is_some()) {
            return Err("a private member is served".into());
        }
        by_kid.insert(key["kid"].as_str().ok_or("a key without kid")?.to_owned(), key.clone());
    }
    Ok(by_kid)
}

/// Headers and body of a 200.
async fn answer(client: &HttpClient, host: &Host, path: &str) -> Result<(HeaderMap, Bytes), Failure> {
    let request = Request::get(format!("{}{path}", host.url)).header(header::HOST, host.name).body(Empty::new())?;
    let (head, body) = timeout(PATIENCE, client.request(request)).await??.into_parts();
    let body = timeout(PATIENCE, Limited::new(body, MAX_BODY).collect()).await?.map_err(|error| error.to_string())?;
    let body = body.to_bytes();
    if head.status != StatusCode::OK {
        return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)).into());
    }
    Ok((head.headers, body))
}

fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// Where the set is that the tokens are of.
pub(crate) const PATH: &str = "/payments/pay/jwks.json";
/// Clients of a host.
const CROWD: usize = 3;
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_BODY: usize = 64 * 1024;
const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
