//! `hold` and `release`, beside what others have in the same list.

use serde_json::{Value, json};

use super::tidy;
use crate::rig::{Rig, SET};

fn held(spec: &Value) -> Vec<&str> {
    spec["heldKeys"].as_array().into_iter().flatten().map(|entry| entry["keyID"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_hold_stands_beside_those_of_others() {
    let rig = Rig::start("plugin-hold").await;
    let git = json!({ "heldKeys": [{ "keyID": "git-1" }] });
    rig.apply_as("kustomize-controller", git.clone()).await;
    rig.until_settled().await;
    let kids = rig.recorded().await;
    let (first, second) = (kids["pay-1"].clone(), kids["pay-2"].clone());

    insta::assert_snapshot!("hold_printed", tidy(&rig.kubectl_keyset(&["hold", SET, "pay-1", "--print"]).ok()));
    insta::assert_snapshot!("hold", tidy(&rig.kubectl_keyset(&["hold", SET, "pay-1"]).ok()));
    // A second hold does not release the first, and the next sync of Git takes neither away.
    rig.kubectl_keyset(&["hold", SET, &second[..12]]).ok();
    let all = ["git-1", &first, &second];
    assert_eq!(held(&rig.spec().await), all);
    rig.apply_as("kustomize-controller", git).await;
    assert_eq!(held(&rig.spec().await), all);

    assert_eq!(rig.refused(&["hold", SET, "pay-1"]), "pay-1 is held already");
    let unknown = rig.refused(&["hold", SET, "pay-9"]);
    assert_eq!(unknown, format!("no key of pay is pay-9: it has pay-1 (kid {first}), pay-2 (kid {second})"));
    // What Git has comes back.
    insta::assert_snapshot!("release_refused", rig.refused(&["release", SET, "git-1"]));
    insta::assert_snapshot!("release_printed", rig.kubectl_keyset(&["release", SET, "git-1", "--print"]).ok());
    insta::assert_snapshot!("release_forced", rig.kubectl_keyset(&["release", SET, "git-1", "--force"]).ok());
    assert_eq!(held(&rig.spec().await), [first.as_str(), &second]);
    insta::assert_snapshot!("release", tidy(&rig.kubectl_keyset(&["release", SET, "pay-1"]).ok()));
    assert_eq!(held(&rig.spec().await), [second.as_str()]);
    assert!(rig.refused(&["release", SET, "pay-1"]).ends_with(&format!("is not held: held are {second}")));
    rig.kubectl_keyset(&["release", SET, &second]).ok();
    assert!(rig.spec().await["heldKeys"].is_null());

    // Nobody's edit of the same moment is lost.
    for _ in 0..3 {
        for verb in ["hold", "release"] {
            std::thread::scope(|scope| {
                for key in ["pay-1", "pay-2"] {
                    scope.spawn(|| rig.kubectl_keyset(&[verb, SET, key]).ok());
                }
            });
            assert_eq!(held(&rig.spec().await).len(), if verb == "hold" { 2 } else { 0 }, "{verb}");
        }
    }

    // Who writes whole lists takes the entry out.
    rig.edit_as("argocd-controller", json!({ "heldKeys": [{ "keyID": "git-2" }] })).await;
    let warned = rig.kubectl_keyset(&["hold", SET, "pay-2"]).ok();
    assert!(warned.contains("Warning: argocd-controller writes the whole list"), "{warned}");
    rig.edit(json!({ "heldKeys": null })).await;
    rig.until_settled().await;
    rig.finish().await;
}

#[tokio::test]
async fn what_is_printed_is_what_kubectl_takes() {
    let rig = Rig::start("plugin-print").await;
    let Some(kubectl) = crate::manifests::Kubectl::of(&rig) else {
        return println!("not tried, since there is no kubectl beside the control plane: what is printed");
    };
    rig.apply_as("kustomize-controller", json!({})).await;
    rig.until_settled().await;
    let names = ["hold pay pay-1", "pin pay pay-1", "rotate pay --at 2031-01-01T00:00:00Z", "revoke pay pay-2"];
    for (index, line) in names.iter().enumerate() {
        let arguments: Vec<&str> = line.split(' ').chain(["--print"]).collect();
        // What asks for nothing while it is pinned is printed before.
        if index == 2 {
            rig.edit(json!({ "rotation": { "pinnedKeyID": null } })).await;
        }
        let file = rig.cluster.directory().join(format!("printed-{index}.yaml"));
        let printed = rig.kubectl_keyset(&arguments).ok();
        std::fs::write(&file, &printed).unwrap();
        let file = file.to_str().unwrap();
        let manager = printed.split_whitespace().find(|word| word.starts_with("--field-manager=")).unwrap();
        kubectl.done(&["apply", "--server-side", "--validate=strict", manager, "--filename", file]);
        let spec = rig.spec().await;
        let kids = rig.recorded().await;
        match index {
            0 => assert_eq!(held(&spec), [kids["pay-1"].as_str()]),
            1 => assert_eq!(spec["rotation"]["pinnedKeyID"], kids["pay-1"]),
            2 => assert_eq!(spec["rotation"]["after"], "2031-01-01T00:00:00Z"),
            _ => assert_eq!(spec["revokedKeys"], json!([{ "keyID": kids["pay-2"], "mode": "AfterSwitch" }])),
        }
    }
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn a_client_side_apply_takes_out_an_entry_beside_its_own_and_leaves_what_it_has_not() {
    let rig = Rig::start("plugin-client-side").await;
    let Some(kubectl) = crate::manifests::Kubectl::of(&rig) else {
        return println!("not tried, since there is no kubectl beside the control plane: client-side apply");
    };
    let mut object = crate::rig::key_set(SET);
    object["metadata"]["namespace"] = json!(rig.namespace);
    object["spec"]["heldKeys"] = json!([{ "keyID": "git-1" }]);
    let file = rig.cluster.directory().join("client-side.json");
    std::fs::write(&file, object.to_string()).unwrap();
    let apply = || kubectl.done(&["apply", "--filename", file.to_str().unwrap()]);
    apply();
    rig.until_settled().await;
    let warned = rig.kubectl_keyset(&["hold", SET, "pay-1"]).ok();
    assert!(warned.contains("Warning: kubectl-client-side-apply writes the whole list"), "{warned}");
    let told = rig.kubectl_keyset(&["rotate", SET, "--at", "2099-01-01T00:00:00Z"]).ok();
    assert!(
        told.contains("kubectl-client-side-apply applies this KeySet and leaves spec.rotation.after alone"),
        "{told}"
    );
    apply();
    let spec = rig.spec().await;
    assert_eq!(held(&spec), ["git-1"], "the warning was right");
    assert_eq!(spec["rotation"]["after"], "2099-01-01T00:00:00Z", "and so was the other sentence");
    rig.finish().await;
}
