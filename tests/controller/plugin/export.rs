//! `export`: what is served, and nothing private.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::rig::{Install, Rig, SET};
use crate::until;

#[tokio::test]
async fn an_export_is_what_is_served_and_has_nothing_private() {
    let flags = vec!["--allow-issuer-host=export.example.com=plugin-export".to_owned()];
    let install = Install { flags, ..Install::default() };
    let mut rig = Rig::installed(crate::cluster().await, "plugin-export", install).await;
    rig.start_controller();
    assert!(rig.refused(&["export", SET]).starts_with("KeySet pay is not in namespace"));
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let url = format!("http://{}/{}/{SET}/jwks.json", rig.servers[0].public, rig.namespace);
    let served = crate::witness::fetch(&url).await.unwrap().1;
    let exported = rig.kubectl_keyset(&["export", SET]).ok();
    assert_eq!(exported, served);
    assert_eq!(rig.kubectl_keyset(&["export", SET, "-o", "json"]).ok(), served);
    let yaml = rig.kubectl_keyset(&["export", SET, "-o", "yaml"]).ok();
    let json: Value = serde_json::from_str(&served).unwrap();
    assert_eq!(serde_yaml::from_str::<Value>(&yaml).unwrap(), json);
    assert!(yaml.contains("\"y\":") || yaml.contains("'y':"), "kubectl would read a boolean: {yaml}");
    let pem = rig.kubectl_keyset(&["export", SET, "--pem"]).ok();
    let kids = rig.recorded().await;
    for kid in kids.values() {
        assert!(pem.contains(&format!("# kid: {kid}, alg: ES256\n-----BEGIN PUBLIC KEY-----")), "{pem}");
    }
    // The public half that the operator gives signers is the same.
    let signer = rig.signer().await.unwrap();
    let public = STANDARD.decode(signer.data["public.pem"].as_str().unwrap()).unwrap();
    let public = String::from_utf8(public).unwrap();
    assert!(pem.contains(&public), "{pem}\n{public}");

    let secrets: Vec<Value> = rig.list("secrets").await.into_iter().map(|mut it| it["data"].take()).collect();
    let private = crate::witness::private(secrets.iter());
    assert!(!private.is_empty());
    for text in [&exported, &yaml, &pem] {
        assert!(!text.contains("PRIVATE") && !private.iter().any(|secret| text.contains(secret)), "{text}");
        assert!(!text.contains("\"d\""), "{text}");
    }

    // The document of the issuer is the one that servers answer with.
    assert!(rig.refused(&["export", SET, "--discovery"]).contains("has no issuer that is served"));
    rig.edit(json!({ "publication": { "issuer": "https://export.example.com/tenant" } })).await;
    let url = format!("http://{}/tenant/.well-known/openid-configuration", rig.servers[0].public);
    let served = until("the issuer", async || {
        crate::witness::fetch_of("export.example.com", &url).await.filter(|(status, _)| *status == 200)
    })
    .await;
    assert_eq!(rig.kubectl_keyset(&["export", SET, "--discovery"]).ok(), served.1);

    // Nobody exports what the operator did not publish.
    rig.stop_controller().await;
    let tampered: BTreeMap<&str, &str> = [("jwks.json", "{\"keys\":[]}")].into();
    rig.patch("configmaps", "pay-jwks", json!({ "data": tampered })).await;
    let refused = rig.refused(&["export", SET]);
    assert!(refused.contains("is not what the operator published"), "{refused}");
    rig.start_controller();
    until("the repair", async || (!rig.published().await.is_empty()).then_some(())).await;
    rig.finish().await;
}
