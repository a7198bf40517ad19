//! The examples for GitOps: kustomize builds them, the API server takes every field of them, and an operator at work
//! changes nothing that a tool would put back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use crate::{flux, rig::Rig, until};

// kubectl waits for what the proxies of this runtime bring about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_gitops_are_taken_as_they_stand_and_never_drift() {
    // The namespace of the examples.
    let rig = Rig::start("auth").await;
    let Some(kubectl) = Kubectl::of(&rig) else {
        return println!("not tried, since there is no kubectl beside the control plane: kustomize");
    };
    kubectl.done(&["apply", "--server-side", "--validate=strict", "--kustomize", &example("keysets/production")]);
    let objects = ["keyset/payments", "signingkey/payments-1"];
    until("the first key", async || rig.get("signingkeys", "payments-1").await).await;
    kubectl.done(&[&["wait", "--for=condition=Ready", "--timeout=1m", "--namespace=auth"], &objects[..]].concat());
    rig.until_quiet(2.0).await;
    // What Argo CD asks of the API server with ServerSideDiff, and Flux before it writes.
    kubectl.done(&["diff", "--server-side", "--kustomize", &example("keysets/production")]);
    // Of an edit by hand it shows what Git has, too.
    for (edit, expected) in [(json!({"rollbackWindow": "2h"}), 0), (json!({"after": Rig::now()}), 1)] {
        rig.patch("keysets", "payments", json!({"spec": {"rotation": edit}})).await;
        let difference =
            kubectl.run(&["diff", "--server-side", "--force-conflicts", "--kustomize", &example("keysets/production")]);
        assert_eq!(difference.status.code(), Some(expected), "{edit}: {difference:?}");
    }

    flux::apply_crds(&rig).await;
    namespace(&rig, "flux-system").await;
    let arguments = ["apply", "--server-side", "--validate=strict", "--dry-run=server", "--filename"];
    kubectl.done(&[&arguments[..], &[&example("flux")]].concat());
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn the_health_checks_are_laid_over_the_settings_of_argo_cd() {
    let rig = Rig::without_controller("argocd").await;
    let Some(kubectl) = Kubectl::of(&rig) else {
        return println!("not tried, since there is no kubectl beside the control plane: kustomize");
    };
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {"url": "https://argocd.example.com"},
    });
    rig.create("configmaps", &settings).await;
    let built = kubectl.done(&["kustomize", &example("argocd")]);
    let documents: Vec<Value> = serde_saphyr::from_multiple(&built).unwrap();
    let laid = documents.iter().find(|document| document["kind"] == "ConfigMap").unwrap();
    let file = rig.cluster.directory().join("argocd-cm.json");
    fs::write(&file, laid.to_string()).unwrap();
    kubectl.done(&["apply", "--server-side", "--validate=strict", "--filename", file.to_str().unwrap()]);
    let data = rig.get("configmaps", "argocd-cm").await.unwrap()["data"].clone();
    assert_eq!(data["url"], "https://argocd.example.com");
    for kind in ["KeySet", "SigningKey"] {
        let script = fs::read_to_string(example(&format!("argocd/health/keyset.dev/{kind}/health.lua"))).unwrap();
        assert_eq!(data[format!("resource.customizations.health.keyset.dev_{kind}")], script);
    }
    rig.finish_discreetly().await;
}

/// kubectl, which has a kustomize, as an administrator of the cluster.
pub(crate) struct Kubectl {
    path: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn of(rig: &Rig) -> Option<Self> {
        let path = rig.cluster.kubectl().map(Path::to_owned)?;
        Some(Self { path, kubeconfig: rig.cluster.kubeconfig().to_owned() })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.path).args(arguments).env("KUBECONFIG", &self.kubeconfig).output().unwrap()
    }

    /// Its output.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    }
}

async fn namespace(rig: &Rig, name: &str) {
    let object: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    Api::all(rig.client.clone()).create(&PostParams::default(), &object).await.unwrap();
}

fn example(path: &str) -> String {
    format!("{}/examples/gitops/{path}", env!("CARGO_MANIFEST_DIR"))
}
