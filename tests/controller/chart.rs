//! The chart on a real API server: `helm install`, and then both processes with the rights that it gives them and no
//! others, under the admission policies that it installs.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::Command,
    sync::{Arc, LazyLock},
};

use http::Method;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, binaries},
    proxy::Call,
    rig::{Install, Rig, SET},
    rights, rollouts, until,
};

#[tokio::test]
async fn the_rights_of_the_chart_are_those_that_are_used_in_the_whole_cluster() {
    let rig = Installed::new(&[], &["rbac.rolloutTargets=true"]).await;
    rig.live("clusterroles", &["Deployment", "StatefulSet"]).await;
}

#[tokio::test]
async fn the_rights_of_the_chart_are_those_that_are_used_in_one_namespace() {
    let rig = Installed::new(&[NAMESPACE], &[]).await;
    let roles = list(&rig.client, "clusterroles", None).await;
    let ours: Vec<_> = roles.iter().filter(|role| role["metadata"]["labels"]["helm.sh/chart"].is_string()).collect();
    assert!(ours.is_empty(), "{ours:?}");
    rig.live("roles", &[]).await;
}

#[tokio::test]
async fn a_right_that_lacks_for_rollouts_is_named_and_holds_up_nothing_but_the_old_key() {
    let Installed { mut rig, client } = Installed::new(&[], &[]).await;
    rig.controller = Some(rig.new_controller("one", SYSTEM));
    rig.create("deployments", &rollouts::workload("Deployment", "issuer", 0)).await;
    rig.apply(json!({"signers": {"rolloutTargets": [{"kind": "Deployment", "name": "issuer"}]}})).await;
    let first = rig.until_settled().await;
    let told = |status: &Value| {
        let of = |it: &&Value| it["type"] == "RolloutBlocked";
        status["conditions"].as_array().unwrap().iter().find(of).unwrap()["message"].as_str().unwrap().to_owned()
    };
    let refused = told(&rig.until_condition("RolloutBlocked=True/TargetRefused").await);
    assert!(refused.contains("rbac.rolloutTargets") && refused.contains("cannot get"), "{refused}");
    // The right to look is not the right to patch.
    let rule = json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]});
    let looker = json!({"metadata": {"name": "looker"}, "rules": [rule]});
    request(&client, Method::POST, &format!("{RBAC}/namespaces/{NAMESPACE}/roles"), &looker).await.unwrap();
    let binding = json!({
        "metadata": {"name": "looker"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "looker"},
        "subjects": [{"kind": "ServiceAccount", "name": "keyset-controller", "namespace": SYSTEM}],
    });
    request(&client, Method::POST, &format!("{RBAC}/namespaces/{NAMESPACE}/rolebindings"), &binding).await.unwrap();
    rig.rotate().await;
    let second = until("the switch", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
    until("the refused patch", async || told(&rig.status().await).contains("cannot patch").then_some(())).await;
    assert_eq!(rig.until_settled().await, second, "the next standby is made");
    assert!(rig.published().await.contains(&first.kid));
    // What the chart grants when it is asked to.
    let rule = json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]});
    let path = format!("{RBAC}/namespaces/{NAMESPACE}/roles/looker");
    request(&client, Method::PATCH, &path, &json!({"rules": [rule]})).await.unwrap();
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn an_editor_changes_nothing_that_the_operator_wrote() {
    let Installed { mut rig, client } = Installed::new(&[], &[]).await;
    rig.controller = Some(rig.new_controller("one", SYSTEM));
    rig.apply(json!({})).await;
    rig.until_settled().await;
    // Even where somebody gave an editor the right to write records and status.
    let rule = json!({"apiGroups": ["keyset.dev"], "resources": ["signingkeys", "keysets/status"], "verbs": ["patch"]});
    let writer = json!({"metadata": {"name": "writer"}, "rules": [rule]});
    request(&client, Method::POST, &format!("{RBAC}/namespaces/{NAMESPACE}/roles"), &writer).await.unwrap();
    for (kind, role) in [("ClusterRole", "edit"), ("Role", "writer")] {
        let binding = json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "editor"}],
        });
        request(&client, Method::POST, &format!("{RBAC}/namespaces/{NAMESPACE}/rolebindings"), &binding).await.unwrap();
    }
    let editor = rig.cluster.client_as("editor", &["system:authenticated"]).await.unwrap();
    let sets = "/apis/keyset.dev/v1alpha1/namespaces/auth/keysets";
    until("the rights of the editor", async || request(&editor, Method::GET, sets, &Value::Null).await.ok()).await;
    let edit = json!({"spec": {"rotation": {"after": Rig::now()}}});
    request(&editor, Method::PATCH, &format!("{sets}/{SET}"), &edit).await.unwrap();
    let keys = "/apis/keyset.dev/v1alpha1/namespaces/auth/signingkeys";
    let signer = format!("/api/v1/namespaces/auth/secrets/{SET}-signing-key");
    for (path, change) in [
        (format!("{sets}/{SET}/status"), json!({"status": {"activeKeyName": "pay-7"}})),
        (format!("{keys}/{SET}-1"), json!({"spec": {"lifecycle": {"earliestRemovalTime": "2099-01-01T00:00:00Z"}}})),
        (format!("/api/v1/namespaces/auth/configmaps/{SET}-jwks"), json!({"data": {"jwks.json": "{\"keys\":[]}"}})),
        (signer.clone(), json!({"data": {"private.jwk": "e30="}})),
        (signer.clone(), json!({"metadata": {"annotations": {"keyset.dev/term": "7"}}})),
        (signer.clone(), json!({"metadata": {"annotations": {"keyset.dev/term": null}}})),
        (signer.clone(), json!({"metadata": {"annotations": {"keyset.dev/forged": ""}}})),
        (signer.clone(), json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}})),
    ] {
        let refused = request(&editor, Method::PATCH, &path, &change).await.unwrap_err();
        assert!(refused.to_string().contains("only the operator writes"), "{path}: {refused}");
    }
    // What does not change what they say passes.
    let label = json!({"metadata": {"labels": {"team": "a"}, "annotations": {"seen": "today"}}});
    request(&editor, Method::PATCH, &format!("/api/v1/namespaces/auth/configmaps/{SET}-jwks"), &label).await.unwrap();
    // Nothing that guards them holds up the end of a namespace.
    drop(rig.controller.take());
    request(&client, Method::DELETE, "/api/v1/namespaces/auth", &Value::Null).await.unwrap();
    until("the end of the namespace", async || {
        request(&client, Method::GET, "/api/v1/namespaces/auth", &Value::Null).await.err()
    })
    .await;
}

#[test]
fn a_typing_error_in_a_value_is_named() {
    for (value, named) in [
        ("image.tga=1", "'/image': additional properties 'tga' not allowed"),
        ("server.replica=3", "'/server': additional properties 'replica' not allowed"),
        ("controller.replicas=0", "'/controller/replicas': minimum: got 0, want 1"),
        ("issuerHosts.x=auth", "'/issuerHosts/x': got string, want array"),
        ("logging.format=yaml", "'/logging/format': value must be one of 'json', 'text'"),
        ("server.tls.enabled=maybe", "'/server/tls/enabled': got string, want boolean"),
        ("ingress.enabled=true", "ingress.hosts: name at least one host"),
        ("httpRoute.enabled=true", "httpRoute.parentRefs: name at least one Gateway"),
        ("server.tls.enabled=true,server.tls.certificate.create=true", "certificate.issuerRef: name the Issuer"),
        ("server.tls.enabled=true", "server.tls.secretName: name the Secret with the certificate"),
    ] {
        let output = helm().args(["template", "keyset", CHART, "--set", value]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(named), "{value}: {said}");
    }
}

/// A cluster with the chart in it, and two servers that run with its rights.
struct Installed {
    rig: Rig,
    client: Client,
}

impl Installed {
    /// Looks after `namespaces`; none is the whole cluster. With these values.
    async fn new(namespaces: &[&str], values: &[&str]) -> Self {
        let watched = namespaces.iter().map(|namespace| format!("--watch-namespace={namespace}"));
        let flags = watched.chain([format!("--allow-issuer-host=login.example.com={NAMESPACE}")]).collect();
        let cluster = Arc::new(Cluster::start().await.unwrap());
        let client = cluster.client().await.unwrap();
        let account = |component: &str| Some(format!("system:serviceaccount:{SYSTEM}:keyset-{component}"));
        let (controller_account, server_account) = (account("controller"), account("server"));
        let install = Install { controller_account, server_account, flags };
        let rig = Rig::installed(Arc::clone(&cluster), NAMESPACE, install).await;
        let mut helm = helm();
        helm.args(["install", "keyset", CHART, "--namespace", SYSTEM, "--create-namespace"]);
        helm.args(["--set-json", &format!("watchNamespaces={}", json!(namespaces))]);
        helm.args(values.iter().flat_map(|value| ["--set", value]));
        let output = helm.env("KUBECONFIG", cluster.kubeconfig()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { rig, client }
    }

    /// A life of a set in which everything is done that the controller ever does.
    async fn live(self, roles: &str, targets: &[&str]) {
        let Self { mut rig, client } = self;
        rig.controller = Some(rig.new_controller("one", SYSTEM));
        for kind in targets {
            let resource = format!("{}s", kind.to_lowercase());
            rig.create(&resource, &rollouts::workload(kind, "issuer", 0)).await;
        }
        let targets: Vec<_> = targets.iter().map(|kind| json!({"kind": kind, "name": "issuer"})).collect();
        let publication = json!({"issuer": "https://login.example.com/some/path"});
        let signers = json!({"rolloutTargets": targets});
        rig.apply(json!({"retention": {"historyLimit": 0}, "publication": publication, "signers": signers})).await;
        let first = rig.until_settled().await;
        for round in 0..3 {
            rig.rotate().await;
            until("a rotation", async || rig.signer().await.filter(|now| now.term > first.term + round)).await;
            rig.until_settled().await;
        }
        // Owner references, a ConfigMap that no patch puts right, and one that is lost.
        rig.edit(json!({"deletionPolicy": "Delete"})).await;
        rig.until_quiet(2.0).await;
        rig.patch("configmaps", &format!("{SET}-jwks"), json!({"immutable": true, "data": {"jwks.json": "{}"}})).await;
        rig.until_quiet(2.0).await;
        rig.delete("configmaps", &format!("{SET}-jwks")).await;
        rig.until_settled().await;
        rig.stop_controller().await;

        let controller = rig.controller_api.calls();
        let servers = rig.server_calls();
        for (component, calls) in [("controller", &controller), ("server", &servers)] {
            let granted = granted(&client, roles, component).await;
            let done: Vec<_> = calls.iter().map(deed).collect();
            let faults = rights::faults(&done, &granted, RARE);
            assert!(faults.is_empty(), "{component} {faults:#?}");
        }
        for verb in ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"] {
            let review = json!({"spec": {
                "user": format!("system:serviceaccount:{SYSTEM}:keyset-server"),
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {"namespace": NAMESPACE, "verb": verb, "resource": "secrets"},
            }});
            let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
            let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await.unwrap();
            assert!(!answer.status.unwrap().allowed, "the server may {verb} Secrets");
        }
        rig.finish_discreetly().await;
    }
}

/// A right and the status of the answer.
fn deed(call: &Call) -> (String, u16) {
    let verb = match (&call.method, &call.name) {
        (&Method::GET, _) if call.is_watch => "watch",
        (&Method::GET, Some(_)) => "get",
        (&Method::GET, None) => "list",
        (&Method::POST, _) => "create",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, _) => "delete",
        _ => "update",
    };
    (rights::name(&call.resource, call.subresource.as_deref(), verb), call.status)
}

/// Rights by what the chart gives to the account of a component.
async fn granted(client: &Client, resource: &str, component: &str) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for (resource, namespace) in [(resource, (resource == "roles").then_some(NAMESPACE)), ("roles", Some(SYSTEM))] {
        let of = |role: &&Value| role["metadata"]["name"].as_str().unwrap().ends_with(&format!("keyset-{component}"));
        rights.extend(list(client, resource, namespace).await.iter().filter(of).flat_map(rights::of_role));
    }
    assert!(!rights.is_empty(), "{resource} of {component}");
    rights
}

async fn list(client: &Client, resource: &str, namespace: Option<&str>) -> Vec<Value> {
    let scope = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
    let path = format!("{RBAC}/{scope}{resource}");
    request(client, Method::GET, &path, &Value::Null).await.unwrap()["items"].as_array().unwrap().clone()
}

async fn request(client: &Client, method: Method, path: &str, body: &Value) -> Result<Value, kube::Error> {
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
    let request = http::Request::builder().method(method).uri(path).header("content-type", kind).body(body);
    client.request(request.unwrap()).await
}

/// Of the version that `tools/chart` pins.
fn helm() -> Command {
    static HELM: LazyLock<PathBuf> = LazyLock::new(|| binaries::built("chart", &[]).unwrap().join("helm"));
    Command::new(&*HELM)
}

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/keyset");
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const SYSTEM: &str = "keyset-system";
const NAMESPACE: &str = "auth";

/// Rights that this test sees nobody use: `operate` is asked for by the admission policies, the EndpointSlices are those
/// of a Service, which loopback has not.
const RARE: &[&str] = &["keysets operate", "endpointslices list"];
