//! `revoke`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::tidy;
use crate::rig::{Rig, SET};
use crate::until;

// `--wait` waits for what the proxies of this runtime bring about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_foretold_written_and_waited_for() {
    let rig = Rig::start("plugin-revoke").await;
    rig.apply_as("kustomize-controller", json!({})).await;
    let first = rig.until_settled().await;
    assert_eq!(rig.refused(&["revoke", SET, "pay-1"]), "to revoke is for ever, and nobody is here to ask: give --yes");
    assert!(
        rig.refused(&["revoke", SET, "nobody", "--yes"]).starts_with("no key of pay is nobody: it has pay-1 (kid ")
    );
    insta::assert_snapshot!("revoke_printed", tidy(&rig.kubectl_keyset(&["revoke", SET, "pay-1", "--print"]).ok()));
    let said = rig.kubectl_keyset(&["revoke", SET, &first.kid[..10], "--yes", "--wait"]).ok();
    insta::assert_snapshot!("revoke", tidy(&said));
    assert_eq!(rig.signer().await.unwrap().key, "pay-2");
    let again = rig.refused(&["revoke", SET, "pay-1", "--yes"]);
    assert!(again.starts_with("pay-1 is revoked already (AfterSwitch): Removed, exposure ends "), "{again}");
    assert!(rig.refused(&["hold", SET, "pay-1"]).contains("pay-1 is revoked"));
    assert_eq!(rig.refused(&["pin", SET, "pay-1"]), "pay-1 is revoked, and never signs again");

    // A second entry stands beside the first, and the sync of Git takes neither away.
    let standby = rig.until_settled().await;
    let said = rig.kubectl_keyset(&["revoke", SET, "pay-3", "--yes", "--wait", "1m", "-o", "json"]).ok();
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["revocation"]["state"], "Removed", "{json}");
    rig.apply_as("kustomize-controller", json!({})).await;
    assert_eq!(rig.spec().await["revokedKeys"].as_array().unwrap().len(), 2);
    assert_eq!(rig.until_settled().await, standby, "the signing key is not concerned");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_without_a_ready_standby_says_what_each_mode_costs() {
    let rig = Rig::start("plugin-revoke-modes").await;
    rig.apply(json!({ "verifiers": { "maxCacheAge": "24h" }, "signers": { "maxReloadLag": "10m" } })).await;
    until("the standby", async || {
        let status = rig.status().await;
        status["keys"][1]["earliestActivationTime"].is_string().then_some(())
    })
    .await;
    for mode in ["AfterSwitch", "ForceSwitch", "Immediate"] {
        let said = rig.kubectl_keyset(&["revoke", SET, "pay-1", "--mode", mode, "--dry-run", "server"]).ok();
        let costs = said.contains("Verifiers may meet an unknown kid until");
        assert_eq!(
            (costs, said.contains("none meets an unknown kid")),
            (mode != "AfterSwitch", mode == "AfterSwitch"),
            "{said}"
        );
        insta::assert_snapshot!(format!("revoke_{mode}"), tidy(&said));
    }
    // A mode is only made sharper.
    rig.kubectl_keyset(&["revoke", SET, "pay-1", "--yes"]).ok();
    until("the acknowledgement", async || rig.status().await["revocations"][0]["state"].is_string().then_some(()))
        .await;
    let again = rig.refused(&["revoke", SET, "pay-1", "--yes"]);
    assert_eq!(again, "pay-1 is revoked already (AfterSwitch): WaitingForStandby");
    rig.kubectl_keyset(&["revoke", SET, "pay-1", "--mode", "Immediate", "--yes", "--wait"]).ok();
    assert_eq!(rig.spec().await["revokedKeys"].as_array().unwrap().len(), 1);
    assert_eq!(rig.spec().await["revokedKeys"][0]["mode"], "Immediate");
    assert_eq!(rig.signer().await.unwrap().key, "pay-2");
    rig.until_quiet(1.0).await;
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn nobody_answers_a_revocation_while_the_operator_is_away() {
    let rig = Rig::without_controller("plugin-revoke-away").await;
    rig.apply(json!({})).await;
    // Without a status there is no key to name: a set that nobody looked at has none.
    assert_eq!(rig.refused(&["revoke", SET, "pay-1", "--yes"]), "no key of pay is pay-1: it has none yet");
    let kid = "k".repeat(43);
    // The key of RFC 7515, appendix A.3.
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let key = json!({
        "apiVersion": "keyset.dev/v1alpha1", "kind": "SigningKey", "metadata": { "name": "pay-1" },
        "spec": {
            "keySetName": SET, "sequence": 1, "origin": "Generated", "algorithm": "ES256", "publicJWK": jwk,
            "lifecycle": { "term": 1, "activationTime": Rig::now() },
        },
        "status": { "privateKey": "Stored" },
    });
    rig.create("signingkeys", &key).await;
    let key = json!({ "name": "pay-1", "keyID": kid, "algorithm": "ES256", "state": "Active", "privateKey": "Stored" });
    let uid = rig.get("keysets", SET).await.unwrap()["metadata"]["uid"].clone();
    let status = json!({ "activeKeyName": "pay-1", "observedUID": uid, "keys": [key], "observedGeneration": 0 });
    rig.patch_status(&status).await;
    insta::assert_snapshot!(
        "revoke_the_last",
        tidy(&rig.kubectl_keyset(&["revoke", SET, "pay-1", "--mode", "Immediate", "--dry-run", "server"]).ok())
    );
    // Who may not see the keys is not kept from revoking one in an emergency.
    let_write_key_sets(&rig, "fireman").await;
    let blind = until("the right to be known", async || {
        let said = rig.kubectl_keyset(&["revoke", SET, "pay-1", "--as", "fireman", "--dry-run", "server"]);
        (said.code == 0).then_some(said.out)
    })
    .await;
    assert!(
        blind.contains("Warning: What follows cannot be foretold for you: ") && blind.contains("signingkeys"),
        "{blind}"
    );
    // At a terminal it asks; only a yes is one.
    if let Some((code, said)) = at_a_terminal(&rig, "n\n") {
        assert!(
            code == 1 && said.contains("Shall it be so? [y/N]") && said.contains("error: nothing was revoked"),
            "{said}"
        );
        assert!(said.find("is revoked for ever").unwrap() < said.find("Shall it be so?").unwrap(), "{said}");
        assert!(rig.spec().await["revokedKeys"].is_null());
        let (code, said) = at_a_terminal(&rig, "y\n").unwrap();
        assert!(code == 0 && rig.spec().await["revokedKeys"][0]["keyID"] == kid, "{said}");
        rig.edit(json!({ "revokedKeys": null })).await;
    } else {
        println!("not tried, since there is no `script`: the question at a terminal");
    }
    let away = rig.refused(&["revoke", SET, "pay-1", "--yes", "--wait", "1s"]);
    assert!(away.contains("is written, but the operator has not answered it"), "{away}");
    rig.finish_discreetly().await;
}

/// Lets a user read and write KeySets, and nothing else.
async fn let_write_key_sets(rig: &Rig, user: &str) {
    rig.create_at(
        &format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles", rig.namespace),
        &json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "keysets" },
            "rules": [{ "apiGroups": ["keyset.dev"], "resources": ["keysets"], "verbs": ["get", "patch"] }],
        }),
    )
    .await;
    rig.create_at(
        &format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings", rig.namespace),
        &json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "keysets" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "keysets" },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        }),
    )
    .await;
}

/// Revokes at a terminal at which somebody types.
fn at_a_terminal(rig: &Rig, typed: &str) -> Option<(i32, String)> {
    let line = format!("{} revoke {SET} pay-1 -n {}", env!("CARGO_BIN_EXE_kubectl-keyset"), rig.namespace);
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("KUBECONFIG", rig.cluster.kubeconfig());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Some((output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned()))
}
