//! Issuers of their own: consent, typing errors, two that want the same one, forged statuses, and what is retained.

use serde_json::{Value, json};

use crate::{
    rig::{Install, Rig, SET, key_set},
    until,
    witness::fetch_of,
};

const HOST: &str = "login.example.com";
const METADATA: &str = "/.well-known/openid-configuration";

/// A namespace that may have issuers at `HOST`.
async fn start(namespace: &str) -> Rig {
    let flags = vec![format!("--allow-issuer-host={HOST}={namespace},nobody")];
    let install = Install { flags, ..Install::default() };
    let mut rig = Rig::installed(crate::cluster().await, namespace, install).await;
    rig.start_controller();
    rig
}

/// What a server answers in the name of a host.
async fn answer(rig: &Rig, server: usize, host: &str, path: &str) -> (u16, Value) {
    let (status, text) = fetch_of(host, &format!("http://{}{path}", rig.servers[server].public)).await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// Waits until both servers have the documents of `issuer` at `HOST`, with the set of that KeySet.
async fn until_served(rig: &Rig, issuer: &str, key_set: &str) {
    let path = issuer.strip_prefix("https://login.example.com").unwrap().trim_end_matches('/');
    for server in 0..rig.servers.len() {
        until(&format!("{issuer} of {key_set} in {}", rig.namespace), async || {
            let (status, metadata) = answer(rig, server, HOST, &format!("{path}{METADATA}")).await;
            let (_, set) = answer(rig, server, HOST, &format!("{path}/.well-known/jwks.json")).await;
            let (_, of_name) = answer(rig, server, "any", &format!("/{}/{key_set}/jwks.json", rig.namespace)).await;
            (status == 200 && metadata["issuer"] == issuer && set == of_name).then_some(())
        })
        .await;
    }
}

/// Waits for a condition of any KeySet.
async fn until_accepted(rig: &Rig, key_set: &str, wanted: &str) -> Value {
    until(&format!("{wanted} of {key_set}"), async || {
        let status = rig.get("keysets", key_set).await?["status"].clone();
        Rig::has(&status, wanted).then_some(status)
    })
    .await
}

#[tokio::test]
async fn an_issuer_needs_consent_and_a_typing_error_can_be_put_right_until_it_is_served() {
    let rig = start("issuer-consent").await;
    rig.apply(json!({ "publication": { "issuer": "https://login.example.con" } })).await;
    let status = rig.until_condition("Accepted=False/IssuerNotAllowed").await;
    assert_eq!(status["publication"]["issuer"], Value::Null);
    rig.until_condition("Stalled=True/IssuerNotAllowed").await;
    until("a warning", async || (!rig.events("NotAccepted").await.is_empty()).then_some(())).await;
    let first = until("the first key", async || rig.signer().await).await;
    rig.rotate().await;
    until("a rotation all the same", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    assert_eq!(answer(&rig, 0, "login.example.con", METADATA).await.0, 404);

    rig.edit(json!({ "publication": { "issuer": "https://login.example.com/tenant" } })).await;
    rig.until_settled().await;
    until_served(&rig, "https://login.example.com/tenant", SET).await;
    let beside = format!("/{}/{SET}{METADATA}", rig.namespace);
    assert_eq!(
        answer(&rig, 0, "any", &beside).await,
        answer(&rig, 1, HOST, "/tenant/.well-known/openid-configuration").await
    );

    let other = json!({ "spec": { "publication": { "issuer": "https://login.example.com/other" } } });
    let refused = rig.try_patch("keysets", SET, &other).await.unwrap_err().to_string();
    assert!(refused.contains("is immutable once it is served"), "{refused}");
    rig.until_quiet(2.0).await;
    rig.finish().await;
}

#[tokio::test]
async fn of_two_key_sets_the_older_one_has_the_issuer_and_the_younger_one_after_it() {
    let rig = start("issuer-conflict").await;
    rig.apply(json!({ "publication": { "issuer": "https://login.example.com/tenant" } })).await;
    rig.until_settled().await;
    until_served(&rig, "https://login.example.com/tenant", SET).await;
    let mut late = key_set("late");
    late["spec"]["publication"]["issuer"] = json!("https://login.example.com/tenant/");
    rig.create("keysets", &late).await;
    let mut namesake = key_set("namesake");
    namesake["spec"]["publication"]["issuer"] = json!(format!("https://login.example.com/{}/{SET}", rig.namespace));
    rig.create("keysets", &namesake).await;
    for name in ["late", "namesake"] {
        let status = until_accepted(&rig, name, "Accepted=False/IssuerConflict").await;
        let accepted = status["conditions"].as_array().unwrap().iter().find(|it| it["type"] == "Accepted").unwrap();
        let older = format!("the older KeySet {}/{SET} ", rig.namespace);
        assert!(accepted["message"].as_str().unwrap().contains(&older), "{accepted}");
    }
    rig.until_condition("Accepted=True").await;
    until_served(&rig, "https://login.example.com/tenant", SET).await;

    // What is left of the older one goes on being served, but not at an issuer that somebody else claims.
    rig.delete("keysets", SET).await;
    for name in ["late", "namesake"] {
        until_accepted(&rig, name, "Accepted=True").await;
    }
    until_served(&rig, "https://login.example.com/tenant/", "late").await;
    assert_eq!(answer(&rig, 0, "any", &format!("/{}/{SET}/jwks.json", rig.namespace)).await.0, 200);
    rig.finish().await;
}

#[tokio::test]
async fn a_status_that_is_forged_takes_no_host() {
    let mut rig = start("issuer-forged").await;
    rig.apply(json!({ "publication": { "issuer": "https://login.example.com" } })).await;
    rig.until_settled().await;
    until_served(&rig, "https://login.example.com", SET).await;
    rig.stop_controller().await;
    rig.patch_status(&json!({ "publication": { "issuer": "https://bank.example.com" } })).await;
    let path = format!("/{}/{SET}{METADATA}", rig.namespace);
    // The servers have seen it when the old one is gone, and took nothing in its place.
    until("the end of the old one", async || (answer(&rig, 0, HOST, METADATA).await.0 == 404).then_some(())).await;
    for (host, path) in [("bank.example.com", METADATA), ("any", path.as_str())] {
        assert_eq!(answer(&rig, 0, host, path).await.0, 404, "{host}");
    }
    assert_eq!(answer(&rig, 0, "any", &format!("/{}/{SET}/jwks.json", rig.namespace)).await.0, 200);
    rig.start_controller();
    until_served(&rig, "https://login.example.com", SET).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_retained_set_keeps_its_issuer_through_restarts_and_gives_it_back() {
    let mut rig = start("issuer-retained").await;
    rig.apply(json!({ "publication": { "issuer": "https://login.example.com/tenant" } })).await;
    let signer = rig.until_settled().await;
    until_served(&rig, "https://login.example.com/tenant", SET).await;
    rig.delete("keysets", SET).await;
    for server in 0..2 {
        rig.servers[server].process.victim().kill();
        // A new process has no document for a moment: verifiers must have seen that it is one.
        let is_seen = || rig.witness().looks(server).last().unwrap().status.is_none();
        until("a server that is gone", async || is_seen().then_some(())).await;
        rig.restart_server(server).await;
    }
    until_served(&rig, "https://login.example.com/tenant", SET).await;
    rig.apply(json!({ "publication": { "issuer": "https://login.example.com/tenant" } })).await;
    assert_eq!(rig.until_settled().await, signer);
    until_served(&rig, "https://login.example.com/tenant", SET).await;

    // Applied anew with another issuer, it has that one.
    rig.delete("keysets", SET).await;
    rig.apply(json!({ "publication": { "issuer": "https://login.example.com/other" } })).await;
    rig.until_settled().await;
    until_served(&rig, "https://login.example.com/other", SET).await;
    assert_eq!(answer(&rig, 0, HOST, "/tenant/jwks.json").await.0, 404);
    // And none, when it is dropped before it is served again.
    rig.delete("keysets", SET).await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    until("the end of the issuer", async || (answer(&rig, 1, HOST, "/other/jwks.json").await.0 == 404).then_some(()))
        .await;
    let annotation =
        rig.get("configmaps", "pay-jwks").await.unwrap()["metadata"]["annotations"]["keyset.dev/issuer"].clone();
    assert!(annotation.is_null() || annotation == "", "{annotation}");
    rig.finish().await;
}
