//! `token`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use crate::rig::{Rig, SET};

#[tokio::test]
async fn token_signs_with_the_active_key_and_says_nothing_else() {
    let rig = Rig::start("plugin-token").await;
    rig.apply(json!({ "tokens": { "maxLifetime": "1h" } })).await;
    let signer = rig.until_settled().await;
    let token = rig.kubectl_keyset(&["token", SET]).ok();
    let (header, claims) = decoded(&token);
    assert_eq!(header, json!({ "alg": "ES256", "kid": signer.kid, "typ": "JWT" }));
    assert_eq!(lifetime(&claims), 300, "{claims}");
    assert_eq!(claims.as_object().unwrap().len(), 2, "{claims}");

    let token = rig.kubectl_keyset(&[
        "token",
        SET,
        "--issuer=https://login.example.com",
        "--audience=orders",
        "--audience=stock",
        "--subject=alice",
        "--claim=scope=read write",
        "--claim=groups=[\"admins\"]",
        "--claim=number=007",
        "--expires-in=1h",
        "--typ=at+jwt",
    ]);
    let (header, claims) = decoded(&token.ok());
    assert_eq!((&header["typ"], lifetime(&claims)), (&json!("at+jwt"), 3600));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("https://login.example.com"), &json!("alice")));
    assert_eq!(claims["aud"], json!(["orders", "stock"]));
    assert_eq!((&claims["scope"], &claims["groups"]), (&json!("read write"), &json!(["admins"])));
    assert_eq!(claims["number"], "007", "no JSON, so a string");

    for (arguments, code, words) in [
        (&["token", SET, "--expires-in=61m"][..], 1, "--expires-in 61m is longer than spec.tokens.maxLifetime, 1h"),
        (&["token", SET, "--claim=exp=1"], 1, "the claim \"exp\" is set twice, or not by --claim"),
        (&["token", SET, "--subject=a", "--claim=sub=b"], 1, "the claim \"sub\" is set twice"),
        (&["token", SET, "--claim=sub"], 2, "it must be NAME=VALUE"),
        (&["token", "none"], 1, "KeySet none is not in namespace plugin-token"),
    ] {
        let said = rig.kubectl_keyset(arguments);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{arguments:?}");
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
    }
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn token_wants_the_right_to_read_the_signer_secret() {
    let rig = Rig::start("plugin-token-rights").await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let role: Role = serde_json::from_value(json!({
        "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": ["keyset.dev"], "resources": ["keysets"], "verbs": ["get"] }],
    }))
    .unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": { "name": "reader" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader" }],
    }))
    .unwrap();
    let roles: Api<Role> = Api::namespaced(rig.client.clone(), &rig.namespace);
    let bindings: Api<RoleBinding> = Api::namespaced(rig.client.clone(), &rig.namespace);
    roles.create(&PostParams::default(), &role).await.unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    let said = crate::until("the right of the reader", async || {
        let said = rig.kubectl_keyset(&["token", SET, "--as=reader"]);
        (!said.err.contains("keysets")).then_some(said)
    })
    .await;
    let expected = "error: secrets \"pay-signing-key\" is forbidden: User \"reader\" cannot get resource \"secrets\" \
                    in API group \"\" in the namespace \"plugin-token-rights\"\n";
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (1, "", expected));
    // T is a second here.
    assert_eq!(lifetime(&decoded(&rig.kubectl_keyset(&["token", SET]).ok()).1), 1);

    rig.patch("secrets", "pay-signing-key", json!({ "data": { "kid": "b3RoZXI=" } })).await;
    let damaged = rig.kubectl_keyset(&["token", SET]);
    // The controller may have mended it by now.
    if damaged.code != 0 {
        assert!(damaged.err.starts_with("error: the Signer Secret pay-signing-key: entry \"kid\""), "{damaged:?}");
    }
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn without_a_signer_secret_token_says_where_to_look() {
    let rig = Rig::without_controller("plugin-token-early").await;
    rig.apply(json!({})).await;
    let said = rig.kubectl_keyset(&["token", SET]);
    let expected = "error: the Signer Secret pay-signing-key is not there yet: see `kubectl keyset status pay`\n";
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (1, "", expected));
    rig.finish_discreetly().await;
}

/// Header and claims of the one token that was printed.
fn decoded(out: &str) -> (Value, Value) {
    let token = out.strip_suffix('\n').unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    assert!(parts.len() == 3 && !token.contains(char::is_whitespace), "{out:?}");
    let decode = |part: &str| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (decode(parts[0]), decode(parts[1]))
}

fn lifetime(claims: &Value) -> i64 {
    claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
}
