//! Fences of YAML. An object is applied as it stands; `spec:` alone is a part of a KeySet; `# values.yaml` is for the chart,
//! and what the chart makes of it is applied. All of it in a dry run, by an API server that knows every kind that documents
//! speak of, and refuses a field that it does not know.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
    discovery::{Scope, pinned_kind},
    runtime::wait::{await_condition, conditions::is_crd_established},
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{
    TOOLS,
    cluster::{Cluster, apply_crds},
    documents::fences,
    merge_patch,
};

#[tokio::test]
async fn every_manifest_is_taken_by_an_api_server() {
    let cluster = Cluster::start().await.unwrap();
    let client = cluster.client().await.unwrap();
    apply_crds(&client).await.unwrap();
    apply_crds_of_others(&client).await;
    let (mut shown, mut wrong) = (0, Vec::new());
    for (place, text) in manifests() {
        match objects(&text) {
            Ok(objects) => {
                shown += objects.len();
                for object in objects {
                    wrong.extend(refusal(&client, &object).await.map(|why| format!("{place}: {why}")));
                }
            }
            Err(why) => wrong.push(format!("{place}: {why}")),
        }
    }
    assert!(shown > 50, "the manifests are not found");
    assert!(wrong.is_empty(), "{wrong:#?}");
    for seeded in [
        "apiVersion: keyset.dev/v1alpha1\nkind: KeySet\nmetadata: {name: a, namespace: auth}\nspec: {algorithm: RS256, tokens: {maxLifetime: 1h}, rotations: {}}",
        "spec:\n  rotation: {intervall: 720h}",
        "spec:\n  rotation: {interval: 1h}",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, namespace: auth}\nspec: {parents: []}",
        "apiVersion: none.example.com/v1\nkind: None\nmetadata: {name: a, namespace: auth}",
    ] {
        let object = objects(seeded).unwrap().remove(0);
        assert!(refusal(&client, &object).await.is_some(), "{seeded}");
    }
    for seeded in ["# values.yaml\nserver: {replica: 3}", "rotation: {interval: 720h}", "spec: ["] {
        objects(seeded).unwrap_err();
    }
}

/// Every fence of YAML, and every example that stands for itself.
fn manifests() -> Vec<(String, String)> {
    let fences = fences().into_iter().filter(|fence| fence.language == "yaml" && !fence.is_nowhere());
    let mut found: Vec<(String, String)> = fences.map(|fence| (fence.place(), fence.text)).collect();
    for path in fs::read_dir("examples").unwrap().map(|file| file.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
        }
    }
    found
}

/// What a text stands for.
fn objects(text: &str) -> Result<Vec<Value>, String> {
    if let Some(values) = text.strip_prefix("# values.yaml\n") {
        return rendered(values);
    }
    let documents = serde_yaml::Deserializer::from_str(text).map(Value::deserialize);
    let documents = documents.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let whole = |document: Value| match (
        &document["kind"],
        document.as_object().map(|members| members.keys().collect::<Vec<_>>()),
    ) {
        (Value::String(_), _) => Ok(document),
        (_, Some(members)) if members == ["spec"] => {
            let mut object = json!({
                "apiVersion": "keyset.dev/v1alpha1", "kind": "KeySet", "metadata": {"name": "login", "namespace": "auth"},
                "spec": {"algorithm": "RS256", "tokens": {"maxLifetime": "1h"}},
            });
            merge_patch::merge(&mut object, &document);
            Ok(object)
        }
        _ => Err("it is no object, no `spec:` of a KeySet and no `# values.yaml`".to_owned()),
    };
    documents.into_iter().map(whole).collect()
}

/// The objects of the chart with these values.
fn rendered(values: &str) -> Result<Vec<Value>, String> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fence-values.yaml");
    fs::write(&file, values).unwrap();
    let mut helm = Command::new(TOOLS.join("helm"));
    helm.args(["template", "keyset", "charts/keyset", "--namespace", "keyset-system", "--values"]).arg(&file);
    let output = helm.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
    Ok(documents.filter(|document| !document.is_null()).collect())
}

/// Why the API server does not take it.
async fn refusal(client: &Client, object: &Value) -> Option<String> {
    let (version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let (resource, capabilities) = match pinned_kind(client, &GroupVersionKind::gvk(group, version, kind)).await {
        Ok(known) => known,
        Err(error) => return Some(format!("{kind} of {group}: {error}")),
    };
    let mut object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.metadata.namespace.get_or_insert_with(|| "keyset-system".to_owned()).clone();
            let one: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
            // It may be there already.
            let _ = Api::all(client.clone()).create(&PostParams::default(), &one).await;
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    let params = PatchParams { dry_run: true, force: true, ..PatchParams::apply("fences").validation_strict() };
    let name = object.metadata.name.clone().unwrap_or_default();
    api.patch(&name, &params, &Patch::Apply(&object)).await.err().map(|error| error.to_string())
}

/// Those of the kinds that documents show.
async fn apply_crds_of_others(client: &Client) {
    let texts: Vec<String> = manifests().into_iter().map(|(_, text)| text).collect();
    let kinds = texts.iter().flat_map(|text| text.lines().filter_map(|line| line.trim_start().strip_prefix("kind: ")));
    let wanted: BTreeSet<&str> = kinds.collect();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for file in fs::read_dir(TOOLS.join("apis")).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document = Value::deserialize(document).unwrap();
            if document["spec"]["names"]["kind"].as_str().is_some_and(|kind| wanted.contains(kind)) {
                let crd: CustomResourceDefinition = serde_json::from_value(document).unwrap();
                let name = crd.metadata.name.as_deref().unwrap();
                api.patch(name, &PatchParams::apply("fences"), &Patch::Apply(&crd)).await.unwrap();
                await_condition(api.clone(), name, is_crd_established()).await.unwrap();
            }
        }
    }
}
