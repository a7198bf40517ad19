//! The chart as plain objects (`make manifests`): kubectl takes them, and the Pods keep to the restricted Pod Security.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{cluster::Cluster, root};

#[tokio::test]
async fn the_plain_objects_are_taken_and_their_pods_are_restricted() {
    let mut write = Command::new("sh");
    write.arg(root().join("tools/chart/manifests.sh")).env_remove("VALUES").env_remove("NAMESPACE");
    let output = write.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = root().join(String::from_utf8(output.stdout).unwrap().trim());
    let cluster = Cluster::start().await.unwrap();
    let Some(kubectl) = cluster.kubectl() else { return eprintln!("not tried: there is no kubectl") };
    let mut apply = Command::new(kubectl);
    apply.arg("--kubeconfig").arg(cluster.kubeconfig()).args(["apply", "--server-side", "--filename"]).arg(&file);
    let output = apply.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{complaint}");

    let pods: Api<Pod> = Api::namespaced(cluster.client().await.unwrap(), "keyset-system");
    let patience = Instant::now() + Duration::from_mins(1);
    let mut names = Vec::new();
    while names.len() < 4 {
        assert!(Instant::now() < patience, "only {names:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let there = pods.list(&ListParams::default()).await.unwrap();
        names = there.iter().map(ResourceExt::name_any).collect();
    }
}
