//! Sees what verifiers see: asks both servers for the set all along, and holds it against the laws of DESIGN 3.
//!
//! Every judgement errs on the side of the operator by what the witness could not see between two looks; what it does
//! accuse is certain.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::proxy::Call;

/// The lengths of the guarantees.
pub(crate) struct Clock {
    /// `C + S`.
    lead: Duration,
    /// `L + T + S + M`.
    retention: Duration,
}

impl Clock {
    /// Of `rig::key_set`.
    pub(crate) fn short() -> Self {
        Self::of(2, 4)
    }

    /// In seconds.
    pub(crate) fn of(lead: u64, retention: u64) -> Self {
        Self { lead: Duration::from_secs(lead), retention: Duration::from_secs(retention) }
    }
}

#[derive(Default)]
pub(crate) struct Witness {
    looks: Arc<Mutex<Vec<Vec<Look>>>>,
    /// Dropped with the witness.
    _looking: JoinSet<()>,
}

/// One answer of a server.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
    /// `None`: no answer at all.
    pub(crate) status: Option<u16>,
    pub(crate) kids: Vec<String>,
}

/// An activation: a write of the Signer Secret with another key than before.
struct Switch<'a> {
    term: i64,
    kid: &'a str,
    /// The exception of PROTOCOL 6.
    is_first: bool,
    /// For how long after the switch the status said that verifiers may not know the key: of a revocation only.
    declared: Option<Duration>,
    sent: Instant,
    answered: Instant,
}

impl Witness {
    pub(crate) fn start(servers: Vec<SocketAddr>, path: &str) -> Self {
        let looks = Arc::new(Mutex::new(vec![Vec::new(); servers.len()]));
        let mut looking = JoinSet::new();
        for (index, server) in servers.into_iter().enumerate() {
            let (looks, url) = (Arc::clone(&looks), format!("http://{server}{path}"));
            looking.spawn(async move {
                loop {
                    let look = look(&url).await;
                    looks.lock().unwrap()[index].push(look);
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
            });
        }
        Self { looks, _looking: looking }
    }

    /// Everything that a server answered so far.
    pub(crate) fn looks(&self, server: usize) -> Vec<Look> {
        self.looks.lock().unwrap()[server].clone()
    }

    /// Panics at the first law that was broken.
    pub(crate) fn judge(&self, clock: &Clock, calls: &[Call]) {
        let (switches, revoked) = (switches(calls), revocations(calls));
        let looks = self.looks.lock().unwrap().clone();
        for (server, looks) in looks.iter().enumerate() {
            never_empty(server, looks);
            // A new process has no document for a moment, and nobody keeps that; before the first there was nothing.
            let first = looks.iter().position(|look| look.status == Some(200)).unwrap_or(looks.len());
            let (before, since) = looks.split_at(first);
            let unserved = before.iter().filter(|look| look.status.is_some());
            let documents: Vec<&Look> = unserved.chain(since.iter().filter(|look| look.status == Some(200))).collect();
            for (number, switch) in switches.iter().enumerate() {
                served_before_it_signs(server, &documents, switch, clock);
                let retired = switches[number + 1..].iter().find(|later| later.kid != switch.kid);
                let until = stays_for_its_tokens(server, &documents, switch, retired, clock);
                // A revoked key leaves by design, once another one signs.
                let by_design = |gone: Instant| revoked.get(switch.kid).is_some_and(|revoked| *revoked <= gone);
                if let Err((gone, why)) = until {
                    assert!(by_design(gone), "{why}");
                }
            }
        }
        minted_once(calls);
    }
}

/// The kids of a JWK Set, and that no key in it is private.
pub(crate) fn kids(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let keys = document["keys"].as_array().cloned().unwrap_or_default();
    for key in &keys {
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().find(|member| key.get(**member).is_some());
        assert_eq!(private, None, "a private member is published");
    }
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Pieces of private keys that nobody else may show, out of the data of Secrets, ours and those of users.
pub(crate) fn private<'a>(secrets: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    let mut private = BTreeSet::new();
    for (entry, text) in secrets.filter_map(Value::as_object).flatten() {
        let Some(text) = text.as_str().filter(|_| !PUBLIC_ENTRIES.contains(&entry.as_str())) else { continue };
        // Past what all keys have in common.
        private.extend(text.get(text.len() / 2..text.len() / 2 + 40).map(ToOwned::to_owned));
        let Some(plain) = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else { continue };
        let jwk: Value = serde_json::from_str(&plain).unwrap_or_default();
        private.extend(jwk["d"].as_str().map(ToOwned::to_owned));
        if plain.contains("PRIVATE KEY") {
            // Of a short key the second line.
            let lines: Vec<&str> = plain.lines().filter(|line| !line.starts_with('-') && line.len() >= 40).collect();
            private.extend(lines.get(lines.len() / 2).map(|&line| line.to_owned()));
        }
    }
    private
}

async fn look(url: &str) -> Look {
    let asked = Instant::now();
    let answer = tokio::time::timeout(Duration::from_secs(5), fetch(url)).await.ok().flatten();
    let kids = answer.as_ref().filter(|(status, _)| *status == 200).map(|(_, text)| kids(text)).unwrap_or_default();
    Look { asked, answered: Instant::now(), status: answer.map(|(status, _)| status), kids }
}

/// Status and body; `None` if nobody answers.
pub(crate) async fn fetch(url: &str) -> Option<(u16, String)> {
    ask(Request::get(url)).await
}

/// The same, of a server that is asked in the name of a host.
pub(crate) async fn fetch_of(host: &str, url: &str) -> Option<(u16, String)> {
    ask(Request::get(url).header("host", host)).await
}

async fn ask(request: http::request::Builder) -> Option<(u16, String)> {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Empty::new()).unwrap()).await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// Activations, in order: a term is a key, and only climbs.
fn switches(calls: &[Call]) -> Vec<Switch<'_>> {
    let mut switches: Vec<Switch<'_>> = Vec::new();
    let of_the_set = |call: &&Call| call.resource == "secrets" && call.name.as_deref() == Some("pay-signing-key");
    for call in calls.iter().filter(of_the_set).filter(|call| call.is_write() && call.is_done()) {
        let annotations = &call.body["metadata"]["annotations"];
        let Some(kid) = annotations["keyset.dev/key-id"].as_str() else { continue };
        let term: i64 = annotations["keyset.dev/term"].as_str().unwrap().parse().unwrap();
        match switches.last() {
            Some(last) if last.term == term => assert_eq!(last.kid, kid, "term {term} has two keys"),
            Some(last) => assert!(last.term < term, "term {term} after {}", last.term),
            None => {}
        }
        if switches.last().is_none_or(|last| last.term != term) {
            let is_first = annotations["keyset.dev/rotation-reason"] == "Bootstrap";
            let declared = declared(calls, annotations);
            switches.push(Switch { term, kid, is_first, declared, sent: call.sent, answered: call.answered });
        }
    }
    switches
}

/// What the status told of a switch that a revocation forced.
fn declared(calls: &[Call], annotations: &Value) -> Option<Duration> {
    let time = |value: &Value| value.as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let switched = time(&annotations["keyset.dev/activated-time"]).filter(|_| is_revocation(annotations))?;
    let told =
        calls.iter().filter(|call| call.resource == "keysets" && call.is_done()).map(|call| &call.body["status"]);
    let mut told = told.filter(|status| time(&status["lastRotation"]["time"]) == Some(switched));
    let end = told.find_map(|status| time(&status["unknownKeyIDEndTime"]))?;
    end.duration_since(switched).try_into().ok()
}

fn is_revocation(annotations: &Value) -> bool {
    annotations["keyset.dev/rotation-reason"] == "Revoked"
}

/// When the revocation of each kid was recorded.
fn revocations(calls: &[Call]) -> BTreeMap<&str, Instant> {
    let done = |call: &&Call| call.resource == "signingkeys" && call.is_write() && call.is_done();
    let created = calls.iter().filter(done).filter(|call| call.method == http::Method::POST);
    let kids: BTreeMap<_, _> = created
        .filter_map(|call| Some((call.name.as_deref()?, call.body["spec"]["publicJWK"]["kid"].as_str()?)))
        .collect();
    let recorded =
        calls.iter().filter(done).filter(|call| call.body["spec"]["lifecycle"]["revocationTime"].is_string());
    // The first one of each.
    recorded.rev().filter_map(|call| Some((*kids.get(call.name.as_deref()?)?, call.sent))).collect()
}

/// Law 5, and that a set that was served goes on being served; only a new process may not know it yet.
fn never_empty(server: usize, looks: &[Look]) {
    let mut has_begun = false;
    for look in looks {
        match look.status {
            None => has_begun = false,
            Some(200) => {
                assert!(!look.kids.is_empty(), "server {server} serves an empty set");
                has_begun = true;
            }
            Some(status) => assert!(!has_begun, "server {server} stopped serving: {status}"),
        }
    }
}

/// Law 1. The very first key needs to be served, and no more; where a revocation forced the switch, the status must have
/// told of all the time that was missing.
fn served_before_it_signs(server: usize, documents: &[&Look], switch: &Switch<'_>, clock: &Clock) {
    let lead = if switch.is_first { Duration::ZERO } else { clock.lead };
    let before = || documents.iter().filter(|look| look.asked <= switch.answered);
    if let Some(look) = before().rev().find(|look| look.answered <= switch.answered && !look.has(switch.kid)) {
        let waited = switch.answered.duration_since(look.asked);
        let told = switch.declared.is_some_and(|declared| waited + declared + ROUNDING >= lead);
        assert!(
            waited >= lead || told,
            "term {} signs {waited:?} after server {server} answered without it",
            switch.term
        );
    }
    // The looks are a moment apart.
    let seen = documents.iter().filter(|look| look.asked <= switch.answered + BETWEEN_LOOKS * 10);
    assert!(seen.count() == 0 || documents.iter().any(|look| look.has(switch.kid)), "term {} is unseen", switch.term);
}

/// Law 2: from its switch on a key is served, until its tokens have ended. Else gives when it was gone too early.
fn stays_for_its_tokens(
    server: usize,
    documents: &[&Look],
    switch: &Switch<'_>,
    retired: Option<&Switch<'_>>,
    clock: &Clock,
) -> Result<(), (Instant, String)> {
    let Some(gone) = documents.iter().find(|look| look.asked >= switch.answered && !look.has(switch.kid)) else {
        return Ok(());
    };
    let retired = retired.filter(|retired| retired.sent <= gone.answered);
    let Some(retired) = retired else {
        panic!("server {server} answered without the signing key of term {}", switch.term);
    };
    let stayed = gone.answered.saturating_duration_since(retired.sent);
    if stayed >= clock.retention {
        return Ok(());
    }
    let term = switch.term;
    let why = format!("server {server} answered without the key of term {term} only {stayed:?} after it retired");
    Err((gone.answered, why))
}

/// Law 7: a name has one key for ever, and no key is made that no record names.
fn minted_once(calls: &[Call]) {
    let mut kids: BTreeMap<&str, &str> = BTreeMap::new();
    let created = |resource: &'static str| {
        calls
            .iter()
            .filter(move |call| call.method == http::Method::POST && call.resource == resource && call.is_done())
    };
    for call in created("signingkeys") {
        let (name, kid) = (call.name.as_deref().unwrap(), call.body["spec"]["publicJWK"]["kid"].as_str().unwrap());
        let before = kids.insert(name, kid);
        assert!(before.is_none_or(|before| before == kid), "{name} has two keys");
    }
    let distinct: BTreeSet<_> = kids.values().collect();
    assert_eq!(distinct.len(), kids.len(), "two SigningKeys have one key");
    let mut minted: BTreeMap<&str, &str> = BTreeMap::new();
    let secrets = created("secrets").filter(|call| call.body["immutable"] == true);
    for call in secrets {
        let (name, kid) = (call.name.as_deref().unwrap(), call.body["data"]["kid"].as_str().unwrap());
        let before = minted.insert(name, kid);
        assert!(before.is_none_or(|before| before == kid), "Key Secret {name} was made with two keys");
        let kid = String::from_utf8(STANDARD.decode(kid).unwrap()).unwrap();
        let recorded = kids.get(name).is_none_or(|recorded| *recorded == kid);
        assert!(recorded, "Key Secret {name} holds another key than its SigningKey names");
    }
}

impl Look {
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.kids.iter().any(|it| it == kid)
    }
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(60);
/// Entries of Secrets that anybody may see.
const PUBLIC_ENTRIES: [&str; 4] = ["public.pem", "kid", "alg", "tls.crt"];
/// The times of the API are in milliseconds.
const ROUNDING: Duration = Duration::from_millis(2);
