//! What tools make of a KeySet and a SigningKey in each of their states: Flux by its own library (kstatus), Argo CD by our
//! health checks in Lua.
//!
//! The cases beside the health checks have the form of those that Argo CD collects. Their objects are what this test saw:
//! `UPDATE_HEALTH=1 cargo test --test controller health::` writes them anew.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use mlua::{Lua, LuaOptions, LuaSerdeExt, StdLib};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    brought::external,
    flux::built,
    repairs::nudge,
    rig::{Rig, SET, key_set},
    until,
};

#[tokio::test]
async fn tools_tell_what_is_well_what_is_under_way_and_what_is_amiss() {
    let mut rig = Rig::without_controller("health").await;
    let mut states = Vec::new();
    rig.apply(json!({"externalKeys": [{"name": "dex", "publicJWK": external("dex-1")}]})).await;
    states.push(see(&rig, "KeySet", SET, "", "progressing_Unseen", "InProgress").await);
    rig.start_controller();
    make_others(&rig).await;
    for (kind, name, condition, case, kstatus) in [
        ("KeySet", "new", "Reconciling=True/Bootstrapping", "progressing_Bootstrapping", "InProgress"),
        ("KeySet", "taken", "Stalled=True/NameConflict", "degraded_NameConflict", "Failed"),
        ("KeySet", "askew", "Stalled=True/InvalidImport", "degraded_InvalidImport", "Failed"),
        ("KeySet", SET, "StandbyReady=True", "healthy_Serving", "Current"),
        ("SigningKey", "pay-1", "Ready=True/PublicOnly", "healthy_PublicOnly", "Current"),
        ("SigningKey", "pay-2", "Ready=True/Stored", "healthy_Stored", "Current"),
    ] {
        states.push(see(&rig, kind, name, condition, case, kstatus).await);
    }
    // To wait for verifiers' caches is what the spec asks for.
    rig.patch("keysets", "patient", json!({"spec": {"rotation": {"after": Rig::now()}}})).await;
    states.push(see(&rig, "KeySet", "patient", "Ready=True", "healthy_RotationWaits", "Current").await);
    rig.rotate().await;
    states.push(see(&rig, "SigningKey", "pay-2", "Ready=True/Destroyed", "healthy_Destroyed", "Current").await);
    rig.until_settled().await;
    rig.edit(json!({"rotation": {"pinnedKeyID": "nobody"}})).await;
    states.push(see(&rig, "KeySet", SET, "Stalled=True/PinUnavailable", "degraded_PinUnavailable", "Failed").await);
    rig.edit(json!({"rotation": {"pinnedKeyID": null}})).await;
    rig.until_settled().await;
    // With no server in sight nothing takes the place of what is lost.
    rig.servers.iter().for_each(|server| server.process.victim().kill());
    states.push(see(&rig, "KeySet", SET, "Ready=False/NotServed", "degraded_NotServed", "InProgress").await);
    let signer = rig.signer().await.unwrap();
    rig.delete("secrets", &signer.key).await;
    rig.delete("secrets", "pay-signing-key").await;
    nudge(&rig).await;
    states.push(see(&rig, "KeySet", SET, "Ready=False/NoActiveKey", "degraded_NoActiveKey", "InProgress").await);
    states.push(see(&rig, "SigningKey", &signer.key, "Ready=False/Lost", "degraded_Lost", "InProgress").await);
    rig.stop_controller().await;
    rig.edit(json!({"rotation": {"interval": "1h"}})).await;
    states.push(see(&rig, "KeySet", SET, "", "progressing_Edited", "InProgress").await);
    // As a backup brings it back that leaves every status out.
    let mut record = rig.get("signingkeys", &signer.key).await.unwrap();
    rig.delete("signingkeys", &signer.key).await;
    record.as_object_mut().unwrap().remove("status");
    record["metadata"] = json!({"name": signer.key, "labels": record["metadata"]["labels"]});
    rig.create("signingkeys", &record).await;
    states.push(see(&rig, "SigningKey", &signer.key, "", "progressing_Unseen", "InProgress").await);

    if std::env::var_os("UPDATE_HEALTH").is_some() {
        write(&states);
    }
    let cases = states.iter().map(|state| (state.kind, state.file())).collect::<Vec<_>>();
    let kept = KINDS.map(|kind| cases_of(kind).into_iter().map(move |case| (kind, case.input_path)));
    assert!(kept.into_iter().flatten().all(|case| cases.contains(&case)), "a case that nobody has seen");
    rig.finish_discreetly().await;
}

#[test]
fn the_cases_of_the_health_checks_hold() {
    for kind in KINDS {
        let cases = cases_of(kind);
        assert!(cases.len() > 3, "{kind}");
        for case in cases {
            let object = serde_saphyr::from_str(&fs::read_to_string(directory(kind).join(&case.input_path)).unwrap());
            assert_eq!(health(kind, &object.unwrap()), case.health_status, "{kind} {}", case.input_path);
        }
    }
}

/// An object as it was seen, and what was made of it.
struct State {
    kind: &'static str,
    /// What Argo CD makes of it, and why: the name of the file.
    case: &'static str,
    object: Value,
    health: Health,
}

impl State {
    fn file(&self) -> String {
        format!("testdata/{}.yaml", self.case)
    }
}

/// As Argo CD has it.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Health {
    status: String,
    message: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    input_path: String,
    health_status: Health,
}

/// Waits for the condition, and holds both readers to what is expected.
async fn see(rig: &Rig, kind: &'static str, name: &str, condition: &str, case: &'static str, expected: &str) -> State {
    let resource = format!("{}s", kind.to_lowercase());
    let mut object = until(case, async || {
        let object = rig.get(&resource, name).await?;
        let seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        (condition.is_empty() || seen && Rig::has(&object["status"], condition)).then_some(object)
    })
    .await;
    assert_eq!(kstatus(&object), expected, "{case}: {object}");
    let health = health(kind, &object);
    let (status, _) = case.split_once('_').unwrap();
    assert_eq!(health.status.to_lowercase(), status, "{case}: {health:?}");
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    State { kind, case, object, health }
}

async fn make_others(rig: &Rig) {
    let mut new = key_set("new");
    new["spec"]["rotation"]["firstKey"] = json!("WaitForImport");
    rig.create("keysets", &new).await;
    let stranger = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taken-jwks"}});
    rig.create("configmaps", &stranger).await;
    rig.create("keysets", &key_set("taken")).await;
    let mut askew = key_set("askew");
    askew["spec"]["importedKeys"] = json!([{"name": "legacy", "secretRef": {"name": "nowhere", "key": "key.pem"}}]);
    rig.create("keysets", &askew).await;
    let mut patient = key_set("patient");
    patient["spec"]["verifiers"]["maxCacheAge"] = json!("1h");
    patient["spec"]["rotation"]["interval"] = json!("24h");
    rig.create("keysets", &patient).await;
}

/// What Flux makes of it.
pub(crate) fn kstatus(object: &Value) -> String {
    let mut command = Command::new(built("kstatus"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!([object]).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What Argo CD makes of it. There a health check has the tables of Lua and nothing else, no strings either.
fn health(kind: &str, object: &Value) -> Health {
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default()).unwrap();
    lua.globals().set("obj", lua.to_value(object).unwrap()).unwrap();
    let script = fs::read_to_string(directory(kind).join("health.lua")).unwrap();
    lua.from_value(lua.load(script).eval().unwrap()).unwrap()
}

fn cases_of(kind: &str) -> Vec<Case> {
    let text = fs::read_to_string(directory(kind).join("health_test.yaml")).unwrap();
    let mut tests: BTreeMap<String, Vec<Case>> = serde_saphyr::from_str(&text).unwrap();
    tests.remove("tests").unwrap()
}

fn write(states: &[State]) {
    for kind in KINDS {
        let of = || states.iter().filter(|state| state.kind == kind);
        for state in of() {
            // It quotes the member y of a key, which is true for a reader of YAML 1.1.
            let text = serde_saphyr::to_string(&state.object).unwrap();
            fs::write(directory(kind).join(state.file()), text).unwrap();
        }
        let tests: Vec<_> = of().map(|it| json!({"inputPath": it.file(), "healthStatus": it.health})).collect();
        let text = serde_saphyr::to_string(&json!({"tests": tests})).unwrap();
        fs::write(directory(kind).join("health_test.yaml"), text).unwrap();
    }
}

fn directory(kind: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "examples/gitops/argocd/health/keyset.dev", kind].iter().collect()
}

const KINDS: [&str; 2] = ["KeySet", "SigningKey"];
