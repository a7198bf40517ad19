//! What the chart renders fits every supported version of Kubernetes, and is the same by both majors of Helm.

use std::fs;

use flate2::read::GzDecoder;

use crate::{check, objects, root, schemas, scratch, template};

#[test]
fn every_object_fits_every_version_of_kubernetes() {
    let directory = scratch("schemas");
    for version in schemas::versions() {
        let render = |arguments: &&[&str]| template("helm", &[arguments, &["--kube-version", &version][..]].concat());
        let text = VALUES.iter().map(render).collect::<String>();
        let all = objects(&text);
        assert!(all.len() > 80, "{}", all.len());
        schemas::write(&directory, &version, &all);
        let said = conform(&directory, &version, &text).unwrap();
        assert!(said.contains("Invalid: 0, Errors: 0, Skipped: 0"), "{said}");

        // Of two faults each is found: a field that is not there, and a value of another type.
        for (good, bad) in [("replicas: 2", "replica: 2"), ("minReadySeconds: 1", "minReadySeconds: soon")] {
            let text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {GOOD, selector: {}, template: {}}}";
            conform(&directory, &version, &text.replace("GOOD", good)).unwrap();
            conform(&directory, &version, &text.replace("GOOD", bad)).unwrap_err();
        }
    }
}

#[test]
fn both_majors_of_helm_like_the_chart_and_render_the_same() {
    for helm in ["helm", "helm3"] {
        check(helm).args(["lint", "--strict", "charts/keyset"]).within(root());
        check(helm).args(["lint", "--strict", "charts/keyset", "--values", EVERYTHING]).within(root());
    }
    for arguments in VALUES {
        // Each believes in another version where it is not told. Empty lines differ.
        let render = |helm| objects(&template(helm, &[arguments, &["--kube-version", "1.33"][..]].concat()));
        assert!(render("helm") == render("helm3"), "{arguments:?}");
    }
}

#[test]
fn the_package_has_no_tests() {
    let directory = scratch("package");
    let chart = root().join("charts/keyset");
    check("helm").args(["package".as_ref(), chart.as_os_str()]).within(&directory);
    let file = fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(file).unwrap()));
    let paths = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let paths: Vec<String> = paths.collect();
    assert!(paths.iter().any(|path| path == "keyset/files/alerts.yaml"), "{paths:?}");
    assert!(!paths.iter().any(|path| path.contains("test")), "{paths:?}");
}

/// Gives what it says, well or not.
fn conform(directory: &std::path::Path, version: &str, manifest: &str) -> Result<String, String> {
    fs::write(directory.join("manifest.yaml"), manifest).unwrap();
    let plain = version.trim_start_matches('v');
    let tool = check("kubeconform").args(["-strict", "-summary", "-kubernetes-version", plain]);
    tool.args(["-schema-location", schemas::LOCATION, "manifest.yaml"]).attempt(directory)
}

pub(crate) const EVERYTHING: &str = "tests/chart/everything.yaml";

const VALUES: &[&[&str]] = &[
    &[],
    &["--set", "watchNamespaces={auth,shop}"],
    &["--values", EVERYTHING],
    &["--values", EVERYTHING, "--set", "watchNamespaces={auth,shop}"],
];
