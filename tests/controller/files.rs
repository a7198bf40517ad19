//! `spec.signers.files`: further files in the one Signer Secret, with no activation of their own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{repairs::until_nudged, rig::Rig, until};

const LEAST: [&str; 5] = ["alg", "kid", "private.jwk", "private.pem", "public.pem"];

#[tokio::test]
async fn files_come_and_go_and_are_put_right_without_an_activation() {
    let rig = Rig::start("signer-files").await;
    rig.apply(json!({})).await;
    let plain = rig.until_settled().await;
    rig.until_quiet(1.0).await;
    let secret_writes = || {
        let writes = rig.controller_api.writes();
        writes.iter().filter(|call| call.name.as_deref() == Some("pay-signing-key")).count()
    };
    let before = secret_writes();
    rig.edit(json!({ "signers": { "files": [{ "format": "SEC1PEM" }, { "format": "PKCS8PEM", "name": "key" }] } }))
        .await;
    let both = until_files(&rig, &["key", "private.sec1.pem"]).await;
    rig.until_quiet(1.0).await;
    assert_eq!(secret_writes(), before + 1, "one write");
    assert_eq!(both["key"], both["private.pem"]);
    for name in LEAST {
        assert_eq!(both[name], plain.data[name], "{name} is as it was");
    }
    for (accident, patch) in [
        ("a file gone", json!({ "key": null })),
        ("a file with the content of another", json!({ "private.sec1.pem": both["public.pem"] })),
        ("a file of somebody else", json!({ "extra": "e30=" })),
    ] {
        rig.patch("secrets", "pay-signing-key", json!({ "data": patch })).await;
        until_nudged(&rig, accident, async || (rig.signer().await?.data == both).then_some(())).await;
    }
    assert!(!rig.events("ObjectRepaired").await.is_empty());
    // A name changes, a file goes.
    rig.edit(json!({ "signers": { "files": [{ "format": "PKCS8PEM", "name": "service-account.key" }] } })).await;
    until_files(&rig, &["service-account.key"]).await;
    let now = rig.until_settled().await;
    assert_eq!((now.term, &now.kid), (plain.term, &plain.kid), "no activation");
    // They follow a switch.
    rig.rotate().await;
    let next = until("the switch", async || rig.signer().await.filter(|now| now.kid != plain.kid)).await;
    assert_eq!(next.data["service-account.key"], next.data["private.pem"]);
    assert_ne!(next.data["private.pem"], plain.data["private.pem"]);
    rig.edit(json!({ "signers": { "files": null } })).await;
    until_files(&rig, &[]).await;
    rig.until_settled().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_file_that_the_key_has_no_form_for_comes_with_a_key_that_has_one() {
    let rig = Rig::start("signer-files-migrate").await;
    rig.apply(json!({ "signers": { "files": [{ "format": "SEC1PEM" }] } })).await;
    let ec = rig.until_settled().await;
    assert_eq!(names(&ec.data), with_usual(&["private.sec1.pem"]));
    // The EC key goes on signing until the RSA key may.
    rig.edit(json!({ "algorithm": "RS256", "signers": { "files": [{ "format": "PKCS1PEM" }] } })).await;
    until_files(&rig, &[]).await;
    assert_eq!(rig.signer().await.unwrap().kid, ec.kid);
    rig.until_settled().await;
    rig.rotate().await;
    let data = until_files(&rig, &["private.pkcs1.pem"]).await;
    assert_ne!(data["kid"], ec.data["kid"]);
    rig.finish().await;
}

/// Waits until the Signer Secret has the usual files and these.
async fn until_files(rig: &Rig, further: &[&str]) -> Value {
    until(&format!("the files {further:?}"), async || {
        let data = rig.signer().await?.data;
        (names(&data) == with_usual(further)).then_some(data)
    })
    .await
}

fn with_usual<'a>(further: &[&'a str]) -> BTreeSet<&'a str> {
    LEAST.iter().chain(further).copied().collect()
}

fn names(data: &Value) -> BTreeSet<&str> {
    data.as_object().unwrap().keys().map(String::as_str).collect()
}
