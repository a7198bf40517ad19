//! The chart on a real API server: as plain objects (`make manifests`), and where kinds of others are there or not.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{TOOLS, check, cluster::Cluster, manifests::EVERYTHING, root};

#[tokio::test]
async fn the_plain_objects_are_taken_and_their_pods_are_restricted() {
    let mut write = Command::new("sh");
    write.arg(root().join("tools/chart/manifests.sh")).env_remove("VALUES").env_remove("NAMESPACE");
    let output = write.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = root().join(String::from_utf8(output.stdout).unwrap().trim());
    let cluster = Cluster::start().await.unwrap();
    if cluster.kubectl().is_none() {
        return eprintln!("not tried: there is no kubectl");
    }
    kubectl(&cluster, ["apply", "--server-side", "--filename", file.to_str().unwrap()]);

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

#[tokio::test]
async fn what_the_cluster_lacks_is_left_out_until_an_upgrade_finds_it() {
    let cluster = Cluster::start().await.unwrap();
    if cluster.kubectl().is_none() {
        return eprintln!("not tried: there is no kubectl");
    }
    let helm = |values: &[&str]| {
        let config = ["--kubeconfig", cluster.kubeconfig().to_str().unwrap()];
        let release = ["upgrade", "--install", "keyset", "charts/keyset", "--namespace", "keyset-system"];
        let values =
            [&["--create-namespace", "--values", EVERYTHING, "--set-json", "extraObjects=[]"], values].concat();
        check("helm").args(config).args(release).args(values).within(root())
    };
    let said = helm(&["--set", "server.tls.certificate.create=false,server.tls.secretName=mine"]);
    assert!(said.contains("Left out: the HTTPRoute") && said.contains("Left out: monitors and alerts"), "{said}");
    assert!(!said.contains("the admission policies"), "{said}");

    for file in fs::read_dir(TOOLS.join("apis")).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "yaml") {
            kubectl(&cluster, ["apply", "--server-side", "--filename", file.to_str().unwrap()]);
        }
    }
    kubectl(&cluster, ["wait", "--for=condition=Established", "customresourcedefinitions", "--all"]);
    let said = helm(&[]);
    assert!(!said.contains("Left out"), "{said}");
    for object in [
        "certificate/keyset-server",
        "httproute/keyset-server",
        "servicemonitor/keyset-server",
        "podmonitor/keyset-controller",
        "prometheusrule/keyset",
    ] {
        kubectl(&cluster, ["get", "--namespace", "keyset-system", object]);
    }
}

fn kubectl<const N: usize>(cluster: &Cluster, arguments: [&str; N]) {
    let mut command = Command::new(cluster.kubectl().unwrap());
    let output = command.arg("--kubeconfig").arg(cluster.kubeconfig()).args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{arguments:?}: {complaint}");
}
