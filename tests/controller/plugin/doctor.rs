//! `doctor`.

use std::future::IntoFuture;

use regex::Regex;
use serde_json::{Value, json};

use super::{Said, tidy};
use crate::rig::{Rig, SET};

fn checks(said: &Said) -> Vec<Value> {
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    report["checks"].as_array().unwrap().clone()
}

/// The verdicts of all checks whose subject or finding has the text.
fn verdicts(checks: &[Value], text: &str) -> Vec<String> {
    let has = |check: &&Value| {
        check["subject"].as_str().unwrap().contains(text) || check["found"].as_str().unwrap().contains(text)
    };
    checks.iter().filter(has).map(|check| check["verdict"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_finds_all_well_and_each_thing_amiss() {
    let rig = Rig::start("plugin-doctor").await;
    rig.apply(json!({ "clockSkew": "2s", "retention": { "margin": "2s" } })).await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    let endpoints: Vec<String> = rig.servers.iter().map(|server| format!("http://{}", server.public)).collect();
    let url = format!("{}/{}/{SET}/jwks.json", endpoints[0], rig.namespace);
    let all = ["doctor", SET, "--server-endpoint", &endpoints.join(","), "--url", &url];
    let said = rig.kubectl_keyset(&all);
    assert_eq!(said.err, "");
    let said = said.out;
    // Other tests may install the chart meanwhile.
    let of_others = Regex::new(r"installation|(controller|server) [a-z0-9-]+/").unwrap();
    let lines: Vec<&str> = said.lines().filter(|line| !of_others.is_match(line)).collect();
    let text = tidy(&(lines.join("\n") + "\n"));
    let text = Regex::new(r"127\.0\.0\.1:\d+").unwrap().replace_all(&text, "<address>").into_owned();
    let text = Regex::new("sha256:[0-9a-f]{12}").unwrap().replace_all(&text, "<digest>").into_owned();
    let text = Regex::new(r"is [01] s (ahead of|behind)").unwrap().replace_all(&text, "is <little>").into_owned();
    insta::assert_snapshot!("doctor", text);

    // Somebody serves another document with headers that break the contract.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wrong = format!("http://{}", listener.local_addr().unwrap());
    let answer = || async {
        ([("cache-control", "max-age=999999"), ("content-type", "text/html"), ("age", "4000")], "{\"keys\":[]}")
    };
    let moved = || async { (http::StatusCode::FOUND, [("location", "/elsewhere")], "") };
    let router = axum::Router::new().route("/moved", axum::routing::get(moved)).fallback(answer);
    tokio::spawn(axum::serve(listener, router).into_future());
    let said = rig.kubectl_keyset(&["doctor", SET, "--server-endpoint", &wrong, "--url", &wrong, "-o", "json"]);
    assert_eq!((said.code, said.err.as_str()), (3, ""));
    let found = checks(&said);
    assert_eq!(verdicts(&found, "serves another set than the operator published"), ["FAIL"], "{found:#?}");
    assert_eq!(verdicts(&found, "gives another document than was published"), ["FAIL"], "{found:#?}");
    assert_eq!(verdicts(&found, "a copy may live for 999999 s"), ["FAIL"]);
    assert_eq!(verdicts(&found, "a copy that is 4000 s old"), ["FAIL"]);
    assert_eq!(verdicts(&found, "Content-Type is text/html"), ["WARN"]);
    assert_eq!(verdicts(&found, "Access-Control-Allow-Origin is absent"), ["WARN"]);
    let moved = rig.kubectl_keyset(&[
        "doctor",
        SET,
        "--server-endpoint",
        &endpoints[0],
        "--url",
        &format!("{wrong}/moved"),
        "-o",
        "json",
    ]);
    assert_eq!((moved.code, verdicts(&checks(&moved), "to /elsewhere")), (3, vec!["FAIL".to_owned()]));
    let silent = rig.kubectl_keyset(&["doctor", "--server-endpoint", "http://127.0.0.1:9", "-o", "json"]);
    assert_eq!((silent.code, verdicts(&checks(&silent), "does not answer")), (3, vec!["FAIL".to_owned()]));
    rig.finish().await;
}

#[tokio::test]
async fn doctor_tells_rights_that_are_amiss() {
    let rig = Rig::without_controller("plugin-doctor-rights").await;
    rig.apply(json!({})).await;
    let unseen = rig.kubectl_keyset(&["doctor", "-o", "json"]);
    assert_eq!((unseen.code, verdicts(&checks(&unseen), "no operator has looked at it")), (3, vec!["FAIL".to_owned()]));
    assert!(rig.refused(&["doctor", "none"]).starts_with("KeySet none is not in namespace"));

    // A caller who may do little: what cannot be looked at is said, and what will not work.
    let namespace = &rig.namespace;
    let user = format!("system:serviceaccount:{namespace}:default");
    let blind = rig.kubectl_keyset(&["doctor", "--as", &user, "-o", "json"]);
    let found = checks(&blind);
    assert!(verdicts(&found, "your right to patch keysets").iter().all(|verdict| verdict != "OK"), "{found:#?}");
    assert_eq!(verdicts(&found, "CRD keysets.keyset.dev"), ["SKIPPED"]);
    assert_eq!(blind.code, 0, "nothing that was looked at has failed: {found:#?}");

    // Servers whose account may read Secrets, of another version, and none available.
    let labels = json!({
        "app.kubernetes.io/name": "keyset", "app.kubernetes.io/component": "server", "app.kubernetes.io/version": "9.9.9",
    });
    let selector = json!({ "app": "doctor" });
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "odd", "labels": labels },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": selector },
            "template": {
                "metadata": { "labels": selector },
                "spec": { "serviceAccountName": "odd", "containers": [{ "name": "server", "image": "none" }] },
            },
        },
    });
    rig.create_at(&format!("/apis/apps/v1/namespaces/{namespace}/deployments"), &object).await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "odd" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "odd", "namespace": namespace }],
    });
    rig.create_at(&format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"), &binding).await;
    let odd = crate::until("the binding to be known", async || {
        let odd = checks(&rig.kubectl_keyset(&["doctor", "-o", "json"]));
        (verdicts(&odd, "right of server plugin-doctor-rights/odd to get secrets") == ["FAIL"]).then_some(odd)
    })
    .await;
    assert_eq!(verdicts(&odd, "version 9.9.9, and this plugin is"), ["WARN"]);
    assert_eq!(verdicts(&odd, "0 of 1 replicas are available"), ["FAIL"]);
    assert_eq!(verdicts(&odd, "right of server plugin-doctor-rights/odd to watch keysets"), ["OK"]);
    rig.finish_discreetly().await;
}
