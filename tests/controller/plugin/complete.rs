//! Completion, by the binary and through a real kubectl with the plugin in its PATH.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::said;
use crate::rig::{Rig, SET};

#[tokio::test]
async fn names_and_kids_are_offered_and_kubectl_finds_the_plugin() {
    let rig = Rig::start("plugin-complete").await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let offered = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-keyset"));
        command.arg("__complete").args(["-n", &rig.namespace]).args(words).env("KUBECONFIG", rig.cluster.kubeconfig());
        said(command).ok()
    };
    assert_eq!(offered(&["status", ""]), "pay\tES256\n:4\n");
    assert_eq!(offered(&["revoke", SET, "pay-"]), "pay-1\tActive\npay-2\tStandby\n:4\n");
    let kid = rig.recorded().await["pay-1"].clone();
    assert_eq!(offered(&["hold", SET, &kid[..8]]), format!("{kid}\tpay-1 Active\n:4\n"));
    assert_eq!(offered(&["hold", SET, &kid, ""]), ":4\n");
    assert_eq!(offered(&["hold", "nobody", ""]), ":4\n");
    assert!(offered(&["status", "-n", "plugin-comp"]).contains("plugin-complete\t"));
    assert_eq!(offered(&["import", SET, "--file", ""]), ":0\n");

    let Some(kubectl) = rig.cluster.kubectl() else {
        return println!("not tried, since there is no kubectl beside the control plane: the plugin through kubectl");
    };
    let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-keyset")).parent().unwrap();
    let completer = Path::new(env!("CARGO_MANIFEST_DIR")).join("krew");
    let path = [plugin, completer.as_path(), kubectl.parent().unwrap(), Path::new("/usr/bin"), Path::new("/bin")];
    let path = std::env::join_paths(path).unwrap();
    let through = |words: &[&str]| {
        let mut command = Command::new(kubectl);
        command.args(words).env("PATH", &path).env("KUBECONFIG", rig.cluster.kubeconfig());
        said(command)
    };
    let status = through(&["keyset", "status", "-n", &rig.namespace]);
    assert!(status.code == 0 && status.out.contains("pay-1"), "{status:?}");
    let refused = through(&["keyset", "status", "nobody", "-n", &rig.namespace]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "the exit code comes through: {refused:?}");
    let found = through(&["__complete", "keyset", ""]);
    assert!(found.out.contains("revoke\tTrust a key no more, for ever\n") && found.out.ends_with(":4\n"), "{found:?}");
    let found = through(&["__complete", "keyset", "-n", &rig.namespace, "pin", SET, "pay-"]);
    assert!(found.out.starts_with("pay-1\tActive\npay-2\tStandby\n:4\n"), "{found:?}");
    rig.finish().await;
}
