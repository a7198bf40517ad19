//! `status`.

use std::process::Command;

use serde_json::{Value, json};

use super::{said, tidy};
use crate::rig::{Rig, SET};

#[tokio::test]
async fn status_tells_of_one_set_and_of_all() {
    let rig = Rig::start("plugin-status").await;
    assert_eq!(rig.kubectl_keyset(&["status"]).ok(), "There are no KeySets here.\n");
    rig.apply(json!({})).await;
    rig.until_settled().await;
    insta::assert_snapshot!("status_of_all", tidy(&rig.kubectl_keyset(&["status"]).ok()));
    insta::assert_snapshot!("status_of_one", tidy(&rig.kubectl_keyset(&["status", SET]).ok()));
    let json: Value = serde_json::from_str(&rig.kubectl_keyset(&["status", "-o", "json"]).ok()).unwrap();
    assert_eq!(json["keySets"][0]["name"], SET);
    assert_eq!(json["keySets"][0]["ready"], "True");
    let yaml: Value = serde_yaml::from_str(&rig.kubectl_keyset(&["status", SET, "-o", "yaml"]).ok()).unwrap();
    assert_eq!(yaml["status"]["activeKeyName"], "pay-1");
    let all = rig.kubectl_keyset(&["status", "-A"]).ok();
    assert!(all.starts_with("NAMESPACE") && all.contains("plugin-status"), "{all}");

    // Suspended, it has something that people must look at.
    rig.edit(json!({ "rotation": { "mode": "Suspended" } })).await;
    rig.rotate().await;
    rig.until_condition("RotationOverdue=True/Suspended").await;
    let line = rig.kubectl_keyset(&["status"]).ok();
    assert!(line.contains("RotationOverdue"), "{line}");
    rig.finish().await;
}

#[tokio::test]
async fn what_stands_in_the_way_is_one_clear_line() {
    let rig = Rig::without_controller("plugin-errors").await;
    let line = |arguments: &[&str], code| {
        let said = rig.kubectl_keyset(arguments);
        assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (code, "", 1), "{said:?}");
        said.err
    };
    assert_eq!(
        line(&["status", "none"], 1),
        "error: KeySet none is not in namespace plugin-errors: see -n and `kubectl get keyset -A`\n"
    );
    let forbidden = line(&["status", "--as", "nobody"], 1);
    assert!(forbidden.contains("\"nobody\" cannot list resource \"keysets\""), "{forbidden}");
    let context = line(&["status", "--context", "other"], 1);
    assert!(context.contains("no cluster to ask") && context.contains("--context"), "{context}");
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_kubectl-keyset"));
    nowhere.arg("status").env("KUBECONFIG", "/nonexistent").env_remove("KUBERNETES_SERVICE_HOST");
    let nowhere = said(nowhere);
    assert_eq!((nowhere.code, nowhere.err.lines().count()), (1, 1), "{nowhere:?}");
    assert!(nowhere.err.starts_with("error: no cluster to ask"), "{nowhere:?}");
    let mut silent = Command::new(env!("CARGO_BIN_EXE_kubectl-keyset"));
    let kubeconfig = rig.cluster.directory().join("silent.kubeconfig");
    let text = "{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], users: [], contexts: [{name: c, context: {cluster: c, user: ''}}], current-context: c}";
    std::fs::write(&kubeconfig, text).unwrap();
    silent.args(["status", "--kubeconfig"]).arg(&kubeconfig);
    let silent = said(silent);
    assert!(silent.code == 1 && silent.err.starts_with("error: the API server does not answer"), "{silent:?}");
    assert_eq!(rig.kubectl_keyset(&["nonsense"]).code, 2);
    for shell in ["bash", "zsh", "fish"] {
        assert!(rig.kubectl_keyset(&["completion", shell]).ok().contains("kubectl-keyset"));
    }
    rig.finish_discreetly().await;
}
