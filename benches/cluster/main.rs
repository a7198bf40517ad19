//! What a KeySet costs on a real API server: time until it is served, writes, reads, memory, requests per second.
//!
//! `cargo bench --bench cluster` runs all parts; words after `--` choose some of them: `latency`, `writes`, `hundred`,
//! `requests`. Nothing is asserted but that the thing measured happened at all: the numbers are for people to judge.
#![allow(clippy::expect_used, reason = "a benchmark that cannot go on says why and ends")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../tests/cluster/mod.rs"]
mod control_plane;
mod http;
mod nginx;
mod stage;

use std::{collections::BTreeMap, env, fs, time::Duration};

use keyset_operator::api::{KeySet, KeyState};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use common::{Samples, line};
use control_plane::Request;
use nginx::Nginx;
use stage::{Stage, path};

#[tokio::main]
async fn main() {
    let chosen: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runs = |part: &str| chosen.is_empty() || chosen.iter().any(|word| word == part);
    binary();
    if runs("latency") || runs("writes") || runs("requests") {
        let stage = Stage::set().await;
        if runs("writes") {
            writes(&stage).await;
        }
        if runs("latency") {
            latency(&stage, "ES256", "p50 < 250ms").await;
            latency(&stage, "RS256", "p50 < 1s").await;
        }
        if runs("requests") {
            requests(&stage).await;
        }
    }
    if runs("hundred") {
        hundred(&Stage::set().await).await;
    }
}

fn binary() {
    let size = fs::metadata(env!("CARGO_BIN_EXE_keyset")).expect("the binary is there").len();
    line("binary", &mib(size / 1024), "15 MiB");
}

/// From the apply to 200 from both servers, one KeySet after the other; the first is not counted.
async fn latency(stage: &Stage, algorithm: &str, bar: &str) {
    let mut durations = Vec::new();
    for number in 0..=SAMPLES {
        let name = format!("latency-{}-{number}", algorithm.to_lowercase());
        let start = Instant::now();
        stage.apply(&name, &at_defaults(algorithm)).await;
        stage.wait_served(&name);
        durations.push(start.elapsed());
        stage.wait_status(&name, has_standby).await;
    }
    line(&format!("apply to served by both servers, {algorithm}"), &Samples::new(durations.split_off(1)), bar);
}

/// Writes of a bootstrap, and of one whole rotation with every date some seconds from every other.
async fn writes(stage: &Stage) {
    let before = quiet(stage).await;
    stage.apply("bootstrap", &at_defaults("ES256")).await;
    stage.wait_status("bootstrap", has_standby).await;
    report("writes of a bootstrap with its standby", &since(&before, &quiet(stage).await), "14");

    let spec = json!({
        "algorithm": "ES256",
        "tokens": {"maxLifetime": "6s"},
        "verifiers": {"maxCacheAge": "7s"},
        "signers": {"maxReloadLag": "3s"},
        "clockSkew": "1s",
        "rotation": {"interval": "22s", "rollbackWindow": "4s"},
        "retention": {"margin": "3s"},
        "publication": {"cacheMaxAge": "1s", "maxDelay": "2s"},
    });
    stage.apply("rotation", &spec).await;
    let signs = |sequence: i64| {
        move |key_set: &KeySet| {
            let status = key_set.status.as_ref();
            status.and_then(|it| it.active_key_name.as_deref()) == Some(&format!("rotation-{sequence}"))
        }
    };
    let mut counts = Vec::new();
    for sequence in [3, 4] {
        stage.wait_status("rotation", signs(sequence)).await;
        sleep(Duration::from_secs(2)).await;
        counts.push(stage.cluster.requests().await.expect("metrics"));
    }
    let rotation = since(&counts[0], &counts[1]);
    report("writes of a rotation", &rotation, "16");
    let events: u64 = rotation.iter().filter(|(it, _)| it.resource == "events").map(|(_, count)| count).sum();
    line("events of a rotation", &events, "6");
    stage.key_sets().delete("rotation", &kube::api::DeleteParams::default()).await.expect("deleted");
}

/// 100 KeySets at rest: writes in a minute, memory, and what a pass that finds nothing to do asks for.
async fn hundred(stage: &Stage) {
    let names: Vec<String> = (0..100).map(|number| format!("rest-{number}")).collect();
    for name in &names {
        stage.apply(name, &at_defaults("RS256")).await;
    }
    for name in &names {
        stage.wait_status(name, has_standby).await;
    }
    let before = quiet(stage).await;
    sleep(Duration::from_mins(1)).await;
    let after = stage.cluster.requests().await.expect("metrics");
    report("writes in 60 s of 100 KeySets at rest", &since(&before, &after), "0");

    let [server, _] = &stage.servers;
    for (what, process, bar) in [("controller", &stage.controller, "25 MiB"), ("server", server, "15 MiB")] {
        let (resident, anonymous) = process.memory();
        let result = format!("{} resident, {} of it anonymous", mib(resident), mib(anonymous));
        line(&format!("memory of the {what} at 100 KeySets"), &result, bar);
    }

    // Any change of the object makes the controller look at it.
    for name in &names {
        let touch = json!({"metadata": {"annotations": {"bench": "touched"}}});
        stage.key_sets().patch(name, &PatchParams::default(), &Patch::Merge(touch)).await.expect("patched");
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_secs(2)).await;
    let reads = reads(&since(&after, &stage.cluster.requests().await.expect("metrics")));
    let total = reads.values().sum::<f64>() / 100.0;
    let each: Vec<_> = reads.iter().map(|(what, count)| format!("{what} {:.1}", count / 100.0)).collect();
    line("reads of a pass with nothing to do", &format!("{total:.1}: {}", each.join(", ")), "");
}

/// The public port against nginx with the same document as a file.
async fn requests(stage: &Stage) {
    let mut spec = json!({
        "algorithm": "RS256",
        "tokens": {"maxLifetime": "1h"},
        "verifiers": {"maxCacheAge": "2s"},
        "clockSkew": "1s",
        "rotation": {"mode": "OnRequest"},
        "publication": {"cacheMaxAge": "1s", "maxDelay": "2s"},
    });
    stage.apply("hot", &spec).await;
    let key_set = stage.wait_status("hot", has_standby).await;
    let standby = key_set.status.iter().flat_map(|status| &status.keys).find(|key| key.state != KeyState::Active);
    spec["rotation"]["after"] = json!(standby.and_then(|key| key.earliest_activation_time));
    stage.apply("hot", &spec).await;
    let key_count = |key_set: &KeySet| {
        let status = key_set.status.as_ref();
        status.and_then(|it| it.publication.as_ref()).and_then(|it| it.key_count)
    };
    stage.wait_status("hot", |key_set| key_count(key_set) == Some(3)).await;
    sleep(Duration::from_secs(3)).await;
    let (path, ours) = (path("hot"), stage.servers[0].public.expect("a server"));
    let answer = http::Connection::open(ours).and_then(|mut it| it.ask(&http::get(&path, ""))).expect("an answer");
    let (_, document) = answer.split_once("\r\n\r\n").expect("a body");
    let peer = match Nginx::start(&path, document) {
        Ok(peer) => peer,
        Err(why) => return line("requests per second", &format_args!("skipped: {why}"), ""),
    };
    for conditional in [false, true] {
        let what = if conditional { "If-None-Match (304)" } else { "GET (200)" };
        let [ours, nginx] = [ours, peer.address].map(|address| {
            let answer = http::Connection::open(address).and_then(|mut it| it.ask(&http::get(&path, "")));
            let answer = answer.expect("an answer");
            let etag = http::header(&answer, "etag").expect("an ETag");
            let extra = if conditional { format!("if-none-match: {etag}\r\n") } else { String::new() };
            let (durations, total) = http::load(address, &http::get(&path, &extra)).expect("answers");
            (Samples::new(durations).percentile(99).as_secs_f64(), total.as_secs_f64())
        });
        let result = format!("{:.2} requests per second, {:.2} p99", nginx.1 / ours.1, ours.0 / nginx.0);
        line(&format!("{what}, nginx = 1"), &result, "");
    }
}

fn at_defaults(algorithm: &str) -> Value {
    json!({"algorithm": algorithm, "tokens": {"maxLifetime": "1h"}})
}

/// Whether the first key signs and the second is seen at every server.
fn has_standby(key_set: &KeySet) -> bool {
    let keys = key_set.status.iter().flat_map(|status| &status.keys);
    let states: Vec<_> = keys.map(|key| (key.state, key.visible_time.is_some())).collect();
    states.contains(&(KeyState::Active, true)) && states.contains(&(KeyState::Published, true))
}

type Counts = BTreeMap<Request, u64>;

/// The counts once nothing was written for three seconds.
async fn quiet(stage: &Stage) -> Counts {
    let mut before = stage.cluster.requests().await.expect("metrics");
    loop {
        sleep(Duration::from_secs(3)).await;
        let now = stage.cluster.requests().await.expect("metrics");
        if writes_of(&since(&before, &now)).is_empty() {
            return now;
        }
        before = now;
    }
}

fn since(before: &Counts, after: &Counts) -> Counts {
    let new = |(request, count): (&Request, &u64)| (request.clone(), count - before.get(request).unwrap_or(&0));
    after.iter().map(new).filter(|(_, count)| *count > 0).collect()
}

/// Without Lease and Events, what `Stage::apply` does, and the tokens that the controller manager gives itself.
fn writes_of(counts: &Counts) -> Counts {
    let is_users = |request: &Request| request.resource == "keysets" && request.subresource.is_empty();
    let is_counted = |request: &Request| {
        !["leases", "events", "serviceaccounts"].contains(&request.resource.as_str()) && !is_users(request)
    };
    let counted = counts.iter().filter(|(request, _)| request.is_write() && is_counted(request));
    counted.map(|(request, count)| (request.clone(), *count)).collect()
}

/// Of the objects of KeySets.
fn reads(counts: &Counts) -> BTreeMap<String, f64> {
    let kinds = ["keysets", "signingkeys", "secrets", "configmaps"];
    let is_read = |it: &Request| ["GET", "LIST"].contains(&it.verb.as_str()) && kinds.contains(&it.resource.as_str());
    let read = counts.iter().filter(|(request, _)| is_read(request));
    read.map(|(it, count)| {
        (format!("{} {}", it.verb, it.resource), f64::from(u32::try_from(*count).unwrap_or(u32::MAX)))
    })
    .collect()
}

fn report(what: &str, counts: &Counts, bar: &str) {
    let writes = writes_of(counts);
    line(what, &writes.values().sum::<u64>(), bar);
    for (Request { verb, resource, subresource }, count) in &writes {
        let slash = if subresource.is_empty() { "" } else { "/" };
        println!("    {count} {verb} {resource}{slash}{subresource}");
    }
}

fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

const SAMPLES: usize = 20;
