//! The manifest of the plugin for krew: what krew asks of one, and that a release fills it in.
//!
//! The rules are those of krew's own validation and its guide for developers; krew itself is not run here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

/// Holds a manifest against the rules.
fn check(manifest: &Value) {
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(manifest["kind"], "Plugin");
    // The name of the file, and of the subcommand.
    assert_eq!(manifest["metadata"]["name"], "keyset");
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    let short = spec["shortDescription"].as_str().unwrap();
    assert!(!short.is_empty() && short.len() <= 50 && !short.contains('\n') && !short.ends_with('.'), "{short}");
    assert!(spec["homepage"].as_str().unwrap().starts_with("https://"));
    let platforms = spec["platforms"].as_array().unwrap();
    let mut selected = Vec::new();
    for platform in platforms {
        let labels = platform["selector"]["matchLabels"].as_object().unwrap();
        assert!(labels.keys().all(|key| key == "os" || key == "arch"), "{labels:?}");
        let name = format!("{}-{}", labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap());
        let uri = platform["uri"].as_str().unwrap();
        assert!(uri.starts_with("https://") && uri.ends_with(&format!("/kubectl-keyset-{name}.tar.gz")), "{uri}");
        let digest = platform["sha256"].as_str().unwrap();
        assert!(digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{digest}");
        let files = platform["files"].as_array().unwrap();
        let from: Vec<&str> = files.iter().map(|file| file["from"].as_str().unwrap()).collect();
        assert!(files.iter().all(|file| file["to"] == "."));
        assert_eq!(from, ["kubectl-keyset", "kubectl_complete-keyset", "LICENSE"]);
        assert!(from.contains(&platform["bin"].as_str().unwrap()));
        selected.push(name);
    }
    assert_eq!(selected, ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"]);
}

fn read(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_manifest_is_one_that_krew_takes_and_a_release_fills_it_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = read(&root.join("krew/keyset.yaml"));
    check(&committed);
    assert!(root.join("krew/kubectl_complete-keyset").is_file() && root.join("LICENSE").is_file());

    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("krew");
    drop(fs::remove_dir_all(&directory));
    fs::create_dir_all(&directory).unwrap();
    let release = || {
        let mut command = Command::new("sh");
        command.arg(root.join("krew/release.sh")).arg(&directory).arg("https://releases.test/v1/");
        command.output().unwrap()
    };
    for name in ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"] {
        let missing = release();
        assert!(!missing.status.success(), "{name} is missing");
        assert!(String::from_utf8_lossy(&missing.stderr).contains(&format!("kubectl-keyset-{name}.tar.gz is missing")));
        fs::write(directory.join(format!("kubectl-keyset-{name}.tar.gz")), name).unwrap();
    }
    let done = release();
    assert!(done.status.success(), "{done:?}");
    let filled = read(&directory.join("keyset.yaml"));
    check(&filled);
    for platform in filled["spec"]["platforms"].as_array().unwrap() {
        let name = platform["uri"].as_str().unwrap().rsplit('/').next().unwrap();
        let digest = keyset_operator::jose::Digest::of(fs::read(directory.join(name)).unwrap());
        assert_eq!(platform["sha256"], json!(digest.as_str().trim_start_matches("sha256:")));
        assert_eq!(platform["uri"], format!("https://releases.test/v1/{name}"));
    }
}
