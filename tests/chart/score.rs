//! The chart is as safe as a linter of Kubernetes objects wants it, but for what has a reason here. `kube-linter`, which many
//! take, cannot be built from its module; kube-score asks the same.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{check, manifests::EVERYTHING, scratch, template};

#[test]
fn a_linter_finds_nothing_but_what_has_a_reason() {
    let excused: BTreeSet<String> = EXCUSED.iter().map(|(fault, _)| (*fault).to_owned()).collect();
    assert_eq!(faults(&[]), excused);
    assert_eq!(faults(&["--values", EVERYTHING]), excused);
}

/// What kube-score says of the chart with these values.
fn faults(arguments: &[&str]) -> BTreeSet<String> {
    let directory = scratch("score");
    fs::write(directory.join("manifest.yaml"), template("helm", arguments)).unwrap();
    let mut tool = check("kube-score").args(["score", "--kubernetes-version", "v1.33", "--output-format", "json"]);
    for optional in ["container-seccomp-profile", "container-ports-check"] {
        tool = tool.args(["--enable-optional-test", optional]);
    }
    let output = tool.args(["manifest.yaml"]).0.current_dir(&directory).output().unwrap();
    let objects: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let checks = objects.iter().flat_map(|object| object["checks"].as_array().unwrap());
    let done: Vec<&Value> = checks.filter(|check| check["skipped"] != true).collect();
    assert!(done.len() > 30, "{}", done.len());
    let failed = done.iter().filter(|check| check["grade"].as_u64().unwrap() < GOOD);
    let comments = failed.flat_map(|check| check["comments"].as_array().unwrap());
    comments.map(|comment| comment["summary"].as_str().unwrap().to_owned()).collect()
}

const GOOD: u64 = 10;

const EXCUSED: &[(&str, &str)] = &[
    ("CPU limit is not set", "A limit would hold back the answer to a burst of verifiers on an idle node."),
    (
        "Ephemeral Storage limit is not set",
        "No file is ever written: the root is read-only, and no volume can be written.",
    ),
    ("Ephemeral Storage request is not set", "As before."),
    (
        "ImagePullPolicy is not set to Always",
        "A tag is a version, or there is a digest; a node then starts without a registry.",
    ),
    (
        "The container is running with a low user ID",
        "None is set, as some platforms assign one; the image has a high one.",
    ),
    ("The container running with a low group ID", "As before."),
    (
        "The pod does not have a matching egress NetworkPolicy",
        "Where the API server is differs from cluster to cluster, and both need it.",
    ),
    (
        "Deployment does not have a host podAntiAffinity set",
        "Spread constraints do that, and let a cluster of one node run it.",
    ),
];
