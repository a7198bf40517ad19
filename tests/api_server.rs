//! The API on a real API server: what it takes, what it refuses and with which words, what it stores.
//!
//! The tables are in `key_sets` and `signing_keys`; `every_rule_has_a_case` holds them complete. Cases of
//! one object are dry runs; each chain of edits has a namespace of its own. The last tests are about the
//! control plane itself (`cluster`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "cluster/mod.rs"]
mod cluster;
#[path = "api_server/key_sets.rs"]
mod key_sets;
mod merge_patch;
#[path = "api_server/signing_keys.rs"]
mod signing_keys;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use keyset_operator::api::{KeySet, crds};
use kube::{
    Api, Client, Error,
    api::{DeleteParams, ListParams, PostParams},
    core::Status,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use cluster::{Cluster, Request, apply_crds};

/// One try: what it is, the merge patch that makes it, and which field is refused with which words.
type Case = (&'static str, Value, Option<(&'static str, &'static str)>);

/// An object is made and then edited, step by step; a refused edit changes nothing.
struct Chain {
    name: &'static str,
    object: Value,
    edits: Vec<Case>,
}

#[tokio::test]
async fn key_sets_are_taken_or_refused() {
    assert_all(key_sets::object(), key_sets::cases()).await;
}

#[tokio::test]
async fn signing_keys_are_taken_or_refused() {
    assert_all(signing_keys::object(), signing_keys::cases()).await;
}

#[tokio::test]
async fn edits_are_taken_or_refused() {
    let client = client().await;
    let mut wrong = Vec::new();
    for chain in key_sets::chains().into_iter().chain(signing_keys::chains()) {
        let namespace = new_namespace(&client, chain.name).await;
        let mut url = url(&namespace, &chain.object);
        send(&client, http::Request::post(&url), &chain.object).await.unwrap();
        url.insert_str(url.find('?').unwrap(), &format!("/{}", chain.object["metadata"]["name"].as_str().unwrap()));
        for (name, patch, expected) in chain.edits {
            // A SigningKey has its status with the rest.
            let is_status = chain.object["kind"] == "KeySet" && patch["status"].is_object();
            let url = if is_status { url.replacen('?', "/status?", 1) } else { url.clone() };
            let request = http::Request::patch(&url).header("content-type", "application/merge-patch+json");
            let answer = send(&client, request, &patch).await;
            wrong.extend(surprise(answer, expected).map(|what| format!("{}, {name}: {what}", chain.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A rule without a case that it refuses, by its own words at its own field, may say anything.
#[test]
fn every_rule_has_a_case() {
    let chains = key_sets::chains().into_iter().chain(signing_keys::chains());
    let mut refusals: Vec<(&str, &str)> = chains.flat_map(|chain| chain.edits).filter_map(|edit| edit.2).collect();
    refusals.extend(key_sets::cases().into_iter().chain(signing_keys::cases()).filter_map(|case| case.2));
    let mut rules = Vec::new();
    for crd in crds() {
        let crd = serde_json::to_value(crd).unwrap();
        collect_rules("", &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut rules);
    }
    assert!(rules.len() > 40, "the rules are not found");
    let is_covered = |(field, words): &(String, String)| {
        refusals.iter().any(|(at, said)| at.replace("[0]", "[]") == *field && said.contains(words))
    };
    rules.retain(|rule| !is_covered(rule));
    assert!(rules.is_empty(), "rules without a case: {rules:#?}");
}

#[tokio::test]
async fn stored_defaults_are_those_of_the_types() {
    let client = client().await;
    let namespace = new_namespace(&client, "defaults").await;
    let object = key_sets::object();
    let stored = send(&client, http::Request::post(url(&namespace, &object)), &object).await.unwrap();
    let (stored, local): (KeySet, KeySet) =
        (serde_json::from_value(stored).unwrap(), serde_json::from_value(object).unwrap());
    assert_eq!(stored.spec, local.spec);
    assert_eq!(stored.status.unwrap().observed_generation, Some(-1), "no tool takes a KeySet for healthy unseen");
}

/// kubectl reads YAML 1.1, where a bare `n` or `y` is a boolean, and the API server drops what it does not know.
#[tokio::test]
async fn kubectl_applies_the_committed_files_whole() {
    let cluster = cluster().await;
    let Some(kubectl) = cluster.kubectl() else {
        return eprintln!("skipped: there is no kubectl beside the control plane");
    };
    for crd in crds() {
        let file: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "crds", &format!("{}.yaml", crd.spec.names.plural)].iter().collect();
        let mut command = Command::new(kubectl);
        command.args([
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--output=json",
            "--filename",
        ]);
        let output = command.arg(&file).arg("--kubeconfig").arg(cluster.kubeconfig()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let applied: CustomResourceDefinition = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(applied.spec.versions, crd.spec.versions, "{}", file.display());
    }
}

#[tokio::test]
async fn requests_are_counted() {
    let client = client().await;
    let namespace = new_namespace(&client, "counted").await;
    let create = Request { verb: "POST".to_owned(), resource: "configmaps".to_owned(), subresource: String::new() };
    let count = async || cluster().await.requests().await.unwrap().get(&create).copied().unwrap_or_default();
    let before = count().await;
    let object: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "one" } })).unwrap();
    Api::namespaced(client, &namespace).create(&PostParams::default(), &object).await.unwrap();
    assert!(create.is_write() && count().await > before);
}

#[tokio::test]
async fn users_may_what_rbac_says() {
    let nobody = cluster().await.client_as("somebody", &["system:authenticated"]).await.unwrap();
    let refused = Api::<KeySet>::default_namespaced(nobody).list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(&refused, Error::Api(status) if status.is_forbidden()), "{refused}");
    let admin = cluster().await.client_as("somebody", &["system:masters"]).await.unwrap();
    Api::<KeySet>::default_namespaced(admin).list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn what_an_owner_leaves_is_collected() {
    let client = client().await;
    let namespace = new_namespace(&client, "collected").await;
    let api: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let object = |metadata: Value| serde_json::from_value(json!({ "metadata": metadata })).unwrap();
    let owner = api.create(&PostParams::default(), &object(json!({ "name": "owner" }))).await.unwrap();
    let reference = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid });
    let dependent = object(json!({ "name": "dependent", "ownerReferences": [reference] }));
    api.create(&PostParams::default(), &dependent).await.unwrap();
    api.delete("owner", &DeleteParams::background()).await.unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while api.get_opt("dependent").await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "the garbage collector does not work");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The other half of the next test, in a process of its own.
#[tokio::test]
#[ignore = "holds a cluster until somebody kills it"]
async fn holds_a_cluster() {
    let cluster = Cluster::start().await.unwrap();
    println!("\nkubeconfig {}", cluster.kubeconfig().display());
    std::future::pending::<()>().await;
}

#[test]
fn a_killed_process_leaves_nothing() {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "holds_a_cluster"]).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let path = lines.find_map(|line| line.strip_prefix("kubeconfig ").map(PathBuf::from)).unwrap();
    let kubeconfig: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let server = kubeconfig["clusters"][0]["cluster"]["server"].as_str().unwrap().replace("https://", "");
    assert!(TcpStream::connect(&server).is_ok());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&server).is_ok() || path.parent().unwrap().exists() {
        assert!(Instant::now() < deadline, "the control plane outlives the process that started it");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The cluster of this process. Nobody drops it; its watchdog ends it when the process is gone.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    let start = async || {
        let cluster = Cluster::start().await.unwrap();
        apply_crds(&cluster.client().await.unwrap()).await.unwrap();
        cluster
    };
    CLUSTER.get_or_init(start).await
}

async fn client() -> Client {
    cluster().await.client().await.unwrap()
}

async fn new_namespace(client: &Client, name: &str) -> String {
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    name.to_owned()
}

/// Tries to create each patched object, without an effect.
async fn assert_all(object: Value, cases: Vec<Case>) {
    let client = client().await;
    let mut wrong = Vec::new();
    for (name, patch, expected) in cases {
        let mut object = object.clone();
        merge_patch::merge(&mut object, &patch);
        let url = format!("{}&dryRun=All", url("default", &object));
        let answer = send(&client, http::Request::post(url), &object).await;
        wrong.extend(surprise(answer, expected).map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn url(namespace: &str, object: &Value) -> String {
    let plural = object["kind"].as_str().unwrap().to_lowercase() + "s";
    format!("/apis/keyset.dev/v1alpha1/namespaces/{namespace}/{plural}?fieldValidation=Strict")
}

async fn send(client: &Client, request: http::request::Builder, body: &Value) -> Result<Value, Box<Status>> {
    match client.request(request.body(serde_json::to_vec(body).unwrap()).unwrap()).await {
        Ok(stored) => Ok(stored),
        Err(Error::Api(status)) => Err(status),
        Err(error) => panic!("{error}"),
    }
}

/// What was answered, if it is not what was expected. A refusal without a field is about the whole.
fn surprise(answer: Result<Value, Box<Status>>, expected: Option<(&str, &str)>) -> Option<String> {
    let (status, expected) = match (answer, expected) {
        (Ok(_), None) => return None,
        (Ok(_), Some(expected)) => return Some(format!("is taken, {expected:?} is missed")),
        (Err(status), None) => return Some(format!("is refused: {}", status.message)),
        (Err(status), Some(expected)) => (status, expected),
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let is_said = match expected {
        ("", words) => status.message.contains(words),
        (field, words) => causes.into_iter().any(|cause| cause.field == field && cause.message.contains(words)),
    };
    (!is_said).then(|| format!("{expected:?} is missed in: {}", status.message))
}

/// Every rule of a schema: the field that it names, and its words up to the first value in them.
fn collect_rules(path: &str, schema: &Value, rules: &mut Vec<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let field = format!("{path}{}", rule["fieldPath"].as_str().unwrap_or_default());
        let words = match rule["messageExpression"].as_str() {
            Some(expression) => expression.split('\'').nth(1).unwrap(),
            None => rule["message"].as_str().unwrap(),
        };
        // The API server names the whole object so.
        let field = if field.is_empty() { "<nil>".to_owned() } else { field };
        rules.push((field.trim_start_matches('.').to_owned(), words.to_owned()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect_rules(&format!("{path}.{name}"), property, rules);
    }
    if schema["items"].is_object() {
        collect_rules(&format!("{path}[]"), &schema["items"], rules);
    }
}
