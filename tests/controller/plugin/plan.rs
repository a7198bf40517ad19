//! `plan`: what it says, and that it never disagrees with what the controller then does.
//!
//! Random edits, one after the other, to several sets at a time. For each, the writes that were foretold are held against
//! those that the API server then saw, in their order, and the status that was foretold against the one that came.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::tidy;
use crate::{
    brought::external,
    proxy::Call,
    rig::{Rig, SET},
    until,
};

#[tokio::test]
async fn plan_tells_what_an_edit_would_do_and_writes_nothing() {
    let owned = Rig::start("plugin-plan").await;
    let rig = &owned;
    rig.apply(json!({ "verifiers": { "maxCacheAge": "1h" }, "retention": { "margin": "1h" } })).await;
    until("the first rotation", async || (rig.status().await["keys"].as_array()?.len() == 2).then_some(())).await;
    rig.until_condition("Published=True").await;
    rig.until_quiet(2.0).await;
    let writes = rig.controller_api.writes().len();
    insta::assert_snapshot!("plan_without_an_edit", tidy(&rig.kubectl_keyset(&["plan", SET]).ok()));
    let ask = async |edit: Value| {
        let path = manifest(rig, &edited(rig, SET, &edit).await);
        rig.kubectl_keyset(&["plan", "-f", &path])
    };
    let algorithm = json!({ "algorithm": "EdDSA", "tokens": { "maxLifetime": "2h" } });
    insta::assert_snapshot!("plan_of_an_algorithm", tidy(&ask(algorithm).await.ok()));
    let kid = rig.signer().await.unwrap().kid;
    let revocation = json!({ "revokedKeys": [{ "keyID": kid, "mode": "ForceSwitch" }] });
    insta::assert_snapshot!("plan_of_a_revocation", tidy(&ask(revocation).await.ok()));
    let refused = ask(json!({ "rotation": { "mode": "Interval", "interval": "1m" } })).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    insta::assert_snapshot!("plan_of_what_is_refused", tidy(&refused.out));
    assert_eq!(rig.controller_api.writes().len(), writes, "nothing was written");
    owned.finish_discreetly().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_never_disagrees_with_what_the_controller_then_does() {
    let seed = std::env::var("PLAN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_128);
    let edits: usize = std::env::var("PLAN_EDITS").ok().and_then(|text| text.parse().ok()).unwrap_or(208);
    println!("PLAN_SEED={seed} PLAN_EDITS={edits}");
    let rig = Rig::start("plugin-edits").await;
    let pem = include_str!("../../../fuzz/seeds/import/p256-pkcs8.pem");
    for set in SETS {
        let object = key_set(set);
        rig.create("keysets", &object).await;
        crate::brought::secret(&rig, &format!("{set}-old"), "tls.key", pem, Some(set)).await;
    }
    let lives = SETS.iter().enumerate().map(async |(index, set)| {
        let mut dice = Dice(seed + u64::try_from(index).unwrap());
        let mut tally = Tally::default();
        at_rest(&rig, set).await;
        for number in 0..edits / SETS.len() {
            let edit = edit(&rig, set, &mut dice).await;
            println!("{set} {number}: {edit}");
            compare(&rig, set, &edit, &mut tally).await;
        }
        tally
    });
    let tallies = futures::future::join_all(lives).await;
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (refused, idle, writes) = (sum(|it| it.refused), sum(|it| it.idle), sum(|it| it.writes));
    println!("{edits} edits: {refused} refused, {idle} without a write, {writes} writes foretold and seen");
    assert!(writes >= edits && refused > 0 && idle > 0, "the edits are too tame");
    rig.finish_discreetly().await;
}

/// What the edits of one set came to.
#[derive(Default)]
struct Tally {
    refused: usize,
    idle: usize,
    writes: usize,
}

/// Foretells the edit, makes it, and holds the two against each other.
async fn compare(rig: &Rig, set: &str, edit: &Value, tally: &mut Tally) {
    let path = manifest(rig, &edited(rig, set, edit).await);
    let before = rig.controller_api.calls().len();
    let plan = tokio::task::block_in_place(|| {
        rig.kubectl_keyset(&["plan", "-f", &path, "--until", &format!("{AHEAD}s"), "-o", "json"])
    });
    let foretold: Value = serde_json::from_str(&plan.out).unwrap_or_else(|_| panic!("{plan:?}"));
    let taken = rig.try_patch("keysets", set, &json!({ "spec": edit })).await;
    if plan.code == 3 {
        tally.refused += 1;
        assert!(taken.is_err(), "{set}: plan said that {edit} is refused: {foretold:#}");
        return;
    }
    assert!(taken.is_ok(), "{set}: plan did not say that {edit} is refused: {taken:?}");
    let wanted = writes_of(&foretold);
    let generation = taken.unwrap()["metadata"]["generation"].clone();
    let began = Instant::now();
    let seen = loop {
        until(&format!("{set} at rest"), async || {
            let status = rig.get("keysets", set).await?["status"].take();
            (status["observedGeneration"] == generation).then_some(())
        })
        .await;
        let seen = writes_seen(&rig.controller_api.calls()[before..], set);
        let settled = agree(&seen, &wanted, &foretold) && resembles(rig, set, &foretold).await.is_ok();
        // A write too many would come at once.
        if settled || began.elapsed() > Duration::from_secs(AHEAD + 20) {
            tokio::time::sleep(Duration::from_millis(700)).await;
            break writes_seen(&rig.controller_api.calls()[before..], set);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(
        agree(&seen, &wanted, &foretold),
        "{set}: after {edit}\nseen     {seen:?}\nforetold {wanted:?}\n{foretold:#}"
    );
    if let Err(difference) = resembles(rig, set, &foretold).await {
        panic!("{set}: after {edit}: {difference}");
    }
    tally.writes += wanted.len();
    tally.idle += usize::from(wanted.is_empty());
    at_rest(rig, set).await;
}

/// Whether the writes are those that were foretold, in their order. Where some are due a second later than others, a slow
/// machine may do them together or the other way round: then the order for each object.
fn agree(seen: &[String], foretold: &[String], plan: &Value) -> bool {
    let is_timed = plan["later"].as_array().unwrap().iter().any(|step| !step["writes"].as_array().unwrap().is_empty());
    if !is_timed {
        return seen == foretold;
    }
    let by_object = |writes: &[String]| {
        let mut objects: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for write in writes {
            let (method, object) = write.split_once(' ').unwrap();
            objects.entry(object.to_owned()).or_default().push(method.to_owned());
        }
        objects.values_mut().for_each(Vec::dedup);
        objects
    };
    by_object(seen) == by_object(foretold)
}

/// Waits until nothing is due within the time that a comparison looks ahead.
async fn at_rest(rig: &Rig, set: &str) {
    until(&format!("rest of {set}"), async || {
        let ahead = ["plan", set, "--until", &format!("{}s", AHEAD + 4), "-o", "json"];
        let said = tokio::task::block_in_place(|| rig.kubectl_keyset(&ahead));
        let plan: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        let status = rig.get("keysets", set).await?["status"].take();
        let published = Rig::has(&status, "Published=True") && !Rig::has(&status, "Ready=False/Bootstrapping");
        (published && writes_of(&plan).is_empty()).then_some(())
    })
    .await;
}

/// The writes as `METHOD resource name`; what an object of ours takes several requests for counts once.
fn writes_of(plan: &Value) -> Vec<String> {
    let steps = plan["atOnce"].as_array().unwrap().iter().chain(plan["later"].as_array().unwrap());
    let writes = steps.flat_map(|step| step["writes"].as_array().unwrap());
    let lines = writes.map(|write| {
        let text = |field: &str| write[field].as_str().unwrap();
        let method = match text("verb") {
            "create" => "POST",
            "delete" => "DELETE",
            _ => "PATCH",
        };
        format!("{method} {} {}", text("resource"), text("name"))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.dedup();
    lines
}

fn writes_seen(calls: &[Call], set: &str) -> Vec<String> {
    let writes = calls.iter().filter(|call| call.method != http::Method::GET && call.subresource.is_none());
    let ours = writes.filter(|call| ["secrets", "signingkeys", "configmaps"].contains(&call.resource.as_str()));
    let lines = ours.filter_map(|call| {
        let name = call.name.as_deref().or_else(|| call.body["metadata"]["name"].as_str())?;
        name.starts_with(&format!("{set}-")).then(|| format!("{} {} {name}", call.method, call.resource))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.dedup();
    lines
}

/// Whether the status says what was foretold, but for times.
async fn resembles(rig: &Rig, set: &str, foretold: &Value) -> Result<(), String> {
    let seen = rig.get("keysets", set).await.unwrap()["status"].take();
    let (seen, foretold) = (gist(&seen), gist(&foretold["eventually"]));
    if seen == foretold { Ok(()) } else { Err(format!("the status is {seen:#}, foretold was {foretold:#}")) }
}

/// What a status says, without times, and without the kids of keys that were not made when it was foretold.
fn gist(status: &Value) -> Value {
    let pick = |objects: &Value, fields: &[&str]| -> Vec<Value> {
        let objects = objects.as_array().cloned().unwrap_or_default();
        objects.iter().map(|object| fields.iter().map(|field| object[*field].clone()).collect()).collect()
    };
    let next = &status["nextTransition"];
    json!({
        "active": status["activeKeyName"],
        "keys": pick(&status["keys"], &["name", "state", "privateKey", "algorithm"]),
        "conditions": pick(&status["conditions"], &["type", "status", "reason"]),
        "revocations": pick(&status["revocations"], &["keyID", "state"]),
        "rotation": [status["lastRotation"]["reason"], status["lastRotation"]["keyName"]],
        "count": status["publication"]["keyCount"],
        "next": [next["action"], next["keyName"], next["waitingFor"]],
    })
}

/// The KeySet as an edit wants it, without what the API server adds.
async fn edited(rig: &Rig, set: &str, edit: &Value) -> Value {
    let live = rig.get("keysets", set).await.unwrap();
    let mut spec = live["spec"].clone();
    crate::merge_patch::merge(&mut spec, edit);
    json!({ "apiVersion": "keyset.dev/v1alpha1", "kind": "KeySet", "metadata": { "name": set }, "spec": spec })
}

fn manifest(rig: &Rig, object: &Value) -> String {
    let name = format!("{}-{}.yaml", rig.namespace, object["metadata"]["name"].as_str().unwrap());
    let path = rig.cluster.directory().join(name);
    fs::write(&path, object.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Half of the sets wait an hour before a key signs, and hours before one leaves; the other half seconds.
fn key_set(set: &str) -> Value {
    let (cache_age, length, margin) = if is_slow(set) { ("1h", "1h", "10h") } else { ("1s", "1s", "1s") };
    json!({
        "apiVersion": "keyset.dev/v1alpha1",
        "kind": "KeySet",
        "metadata": { "name": set },
        "spec": {
            "algorithm": "ES256",
            "tokens": { "maxLifetime": length },
            "verifiers": { "maxCacheAge": cache_age },
            "signers": { "maxReloadLag": length },
            "clockSkew": "1s",
            "rotation": { "mode": "OnRequest", "interval": "20h", "rollbackWindow": length },
            "retention": { "margin": margin, "historyLimit": 2 },
            "publication": { "cacheMaxAge": "1s", "maxDelay": "1m" },
        },
    })
}

fn is_slow(set: &str) -> bool {
    set < "s5"
}

/// One edit, drawn from what users do. What holds a set still is undone half of the time.
async fn edit(rig: &Rig, set: &str, dice: &mut Dice) -> Value {
    let live = rig.get("keysets", set).await.unwrap();
    let kids: Vec<Value> = live["status"]["keys"].as_array().unwrap().iter().map(|key| key["keyID"].clone()).collect();
    let kid = if dice.roll(8) == 0 { json!("never-seen") } else { dice.pick(&kids) };
    let mut edit = drawn(set, &live["spec"], &kid, dice);
    let rotation = &live["spec"]["rotation"];
    if dice.roll(2) == 0 && (rotation["mode"] == "Suspended" || !rotation["pinnedKeyID"].is_null()) {
        let moving = json!({ "rotation": { "mode": "OnRequest", "pinnedKeyID": null } });
        crate::merge_patch::merge(&mut edit, &moving);
        // A merge patch takes null away, which is what the edit is to say.
        edit["rotation"]["pinnedKeyID"] = Value::Null;
    }
    edit
}

fn drawn(set: &str, spec: &Value, kid: &Value, dice: &mut Dice) -> Value {
    let with = |field: &str, entry: Value, by: &str| -> Value {
        let mut entries = spec[field].as_array().cloned().unwrap_or_default();
        entries.retain(|other| other[by] != entry[by]);
        entries.push(entry);
        json!({ field: entries })
    };
    let lengths = if is_slow(set) { ["30m", "1h", "2h"] } else { ["500ms", "1s", "1500ms"] };
    match dice.roll(24) {
        0..=2 => json!({ "algorithm": dice.pick(&["ES256", "EdDSA", "ES384", "RS256"].map(Value::from)) }),
        3..=7 => json!({ "rotation": { "after": Rig::now() } }),
        8 => json!({ "rotation": { "after": dice.pick(&[Value::Null, json!("2030-01-01T00:00:00Z")]) } }),
        9 => json!({ "rotation": { "pinnedKeyID": kid } }),
        10 => with("heldKeys", json!({ "keyID": kid }), "keyID"),
        11 => json!({ "heldKeys": null, "externalKeys": null }),
        12..=14 => {
            let mode = dice.pick(&["AfterSwitch", "ForceSwitch", "Immediate"].map(Value::from));
            with("revokedKeys", json!({ "keyID": kid, "mode": mode }), "keyID")
        }
        15 => {
            let (lifetime, lag) = (dice.pick(&lengths.map(Value::from)), dice.pick(&lengths.map(Value::from)));
            json!({ "tokens": { "maxLifetime": lifetime }, "signers": { "maxReloadLag": lag } })
        }
        16 => {
            json!({ "retention": { "margin": dice.pick(&[json!("1ms"), json!(if is_slow(set) { "11h" } else { "1500ms" }), json!(if is_slow(set) { "9h" } else { "1s" })]) } })
        }
        17 => {
            let mode = dice.pick(&["OnRequest", "Interval", "Suspended"].map(Value::from));
            json!({ "rotation": { "mode": mode, "interval": dice.pick(&[json!("20h"), json!("1m")]) } })
        }
        18 => with("externalKeys", json!({ "name": "elsewhere", "publicJWK": external("elsewhere") }), "name"),
        19 => {
            let secret = dice.pick(&[json!(format!("{set}-old")), json!("missing")]);
            let entry =
                json!({ "name": "old", "secretRef": { "name": secret, "key": "tls.key" }, "algorithm": "ES256" });
            json!({ "importedKeys": [entry] })
        }
        20 => {
            let format = dice.pick(&["PKCS8PEM", "SEC1PEM", "PrivateJWK"].map(Value::from));
            json!({ "signers": { "files": dice.pick(&[Value::Null, json!([{ "format": format, "name": "own" }])]) } })
        }
        21 => {
            let target = json!([{ "kind": "Deployment", "name": "missing" }]);
            json!({ "signers": { "rolloutTargets": dice.pick(&[Value::Null, target]) } })
        }
        _ => json!({ "deletionPolicy": if spec["deletionPolicy"] == "Delete" { "Retain" } else { "Delete" } }),
    }
}

/// `xorshift64*`: any spread will do, as long as a seed gives the same edits.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        for (shift, left) in [(12, false), (25, true), (27, false)] {
            self.0 ^= if left { self.0 << shift } else { self.0 >> shift };
        }
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn pick(&mut self, values: &[Value]) -> Value {
        let index = self.roll(u64::try_from(values.len().max(1)).unwrap());
        values.get(usize::try_from(index).unwrap()).cloned().unwrap_or_default()
    }
}

const SETS: [&str; 8] = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];
/// How many seconds a comparison looks ahead: longer than a fast set waits for anything.
const AHEAD: u64 = 8;
