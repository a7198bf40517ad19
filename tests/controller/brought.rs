//! Keys that users bring along: private ones out of hand-made Secrets, and public ones of signers elsewhere.

use std::time::Instant;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    revocations::{refused, switched, time},
    rig::{Rig, SET},
    until,
};

macro_rules! seed {
    ($name:literal) => {
        include_str!(concat!("../../fuzz/seeds/import/", $name))
    };
}

/// Entry, content and consent of a Secret.
type Source = (&'static str, &'static str, Option<&'static str>);

/// The witness holds the wait of the key against law 1.
#[tokio::test]
async fn every_encoding_is_imported_and_the_users_secret_is_left_alone() {
    let rig = Rig::start("imports").await;
    let sources = [
        ("pkcs8", "tls.key", "ES384", seed!("p384-pkcs8.pem")),
        ("pkcs1", "tls.key", "RS256", seed!("rsa-pkcs1.pem")),
        ("sec1", "ec.pem", "ES256", seed!("p256-sec1.pem")),
        ("jwk", "key.json", "ES512", seed!("rfc7520-ec.json")),
    ];
    let mut entries = Vec::new();
    let mut untouched = Vec::new();
    for (name, key, algorithm, content) in sources {
        untouched.push(secret(&rig, name, key, content, Some(SET)).await);
        let kid = format!("old-{name}");
        let secret_ref = json!({ "name": name, "key": key });
        entries.push(json!({ "name": name, "secretRef": secret_ref, "algorithm": algorithm, "keyID": kid }));
    }
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.edit(json!({ "importedKeys": entries })).await;
    let published = until("the imported keys", async || Some(rig.published().await).filter(|it| it.len() == 6)).await;
    rig.until_settled().await;
    assert!(["pkcs8", "pkcs1", "sec1", "jwk"].iter().all(|name| published.contains(&format!("old-{name}"))));
    for key in rig.list("signingkeys").await.iter().filter(|key| key["spec"]["origin"] == "Imported") {
        let (name, entry) = (&key["metadata"]["name"], key["spec"]["entryName"].as_str().unwrap());
        assert_eq!(key["spec"]["publicJWK"]["kid"], format!("old-{entry}"), "{name}");
        assert_eq!(key["spec"]["importFrom"]["name"], entry, "{name}");
        assert_eq!(key["status"]["privateKey"], "Stored", "{name}");
    }
    assert_eq!(rig.events("KeyImported").await.len(), 4);
    assert_eq!(rig.signer().await.unwrap(), first, "a copy is no rotation");

    rig.edit(json!({ "rotation": { "pinnedKeyID": "old-sec1" } })).await;
    let signer = switched(&rig, &first).await;
    assert_eq!(signer.kid, "old-sec1");
    assert_eq!(jwk(&signer.data)["d"], jwk_of(seed!("p256-sec1.pem"))["d"]);
    // The key is ours by now: neither its entry nor its source is needed any more.
    rig.edit(json!({ "importedKeys": [] })).await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    for before in &untouched {
        let name = before["metadata"]["name"].as_str().unwrap();
        let now = rig.get("secrets", name).await.unwrap();
        assert_eq!(&now, before, "Secret {name}");
        rig.delete("secrets", name).await;
    }
    crate::repairs::nudge(&rig).await;
    rig.until_quiet(2.0).await;
    assert_eq!(rig.signer().await.unwrap(), signer);
    rig.finish().await;
}

#[tokio::test]
async fn what_cannot_be_imported_is_told_and_healed_at_the_secret_alone() {
    let pem = seed!("p256-pkcs8.pem");
    let labelled = json!({ "metadata": { "labels": { "keyset.dev/import": SET } } });
    let with = |name: &str, content: &str| json!({ "data": { name: STANDARD.encode(content) } });
    let message = "Secret legacy lacks its owner's consent: label it keyset.dev/import=pay";
    let missing = "Secret legacy does not exist: create it in this namespace";
    let cases = [
        ("no-consent", Some(("tls.key", pem, None)), message, Some(labelled.clone())),
        ("consent-elsewhere", Some(("tls.key", pem, Some("other"))), message, Some(labelled)),
        ("no-secret", None, missing, None),
        ("no-entry", Some(("key.pem", pem, Some(SET))), "tls.key", Some(with("tls.key", pem))),
        ("no-key", Some(("tls.key", "nothing", Some(SET))), "it is neither PEM nor JSON", Some(with("tls.key", pem))),
        (
            "wrong-algorithm",
            Some(("tls.key", seed!("rsa-pkcs8.pem"), Some(SET))),
            "it is a key of type RSA, and ES256 needs P-256",
            Some(with("tls.key", pem)),
        ),
    ];
    let one = async |(namespace, source, why, cure): (&str, Option<Source>, &str, Option<Value>)| {
        let rig = Rig::start(&format!("import-{namespace}")).await;
        rig.apply(json!({})).await;
        let signer = rig.until_settled().await;
        if let Some((key, content, consent)) = source {
            secret(&rig, "legacy", key, content, consent).await;
        }
        rig.edit(json!({ "importedKeys": [entry("legacy", None)] })).await;
        refused(&rig, "importedKeys entry legacy: ").await;
        refused(&rig, why).await;
        let status = rig.until_condition("Stalled=True/InvalidImport").await;
        assert!(Rig::has(&status, "Ready=False/InvalidImport"), "{namespace}: {status:#}");
        let events =
            until("the event", async || Some(rig.events("NotAccepted").await).filter(|it| !it.is_empty())).await;
        assert_eq!((events.len(), &events[0]["type"]), (1, &json!("Warning")), "{namespace}");
        assert_eq!((rig.signer().await.unwrap(), rig.recorded().await.len()), (signer.clone(), 2), "{namespace}");

        // Nobody touches the KeySet: the operator looks again, and less and less often.
        let began = Instant::now();
        match cure {
            Some(cure) => drop(rig.patch("secrets", "legacy", cure).await),
            None => drop(secret(&rig, "legacy", "tls.key", pem, Some(SET)).await),
        }
        let whole = rig.get("secrets", "legacy").await.unwrap();
        until("the import", async || rig.recorded().await.contains_key("pay-3").then_some(())).await;
        println!("import-{namespace}: taken {:?} after its Secret was put right", began.elapsed());
        until("its publication", async || (rig.published().await.len() == 3).then_some(())).await;
        assert_eq!(rig.until_settled().await, signer, "{namespace}");
        assert_eq!(rig.get("secrets", "legacy").await.unwrap(), whole, "{namespace}");
        rig.until_quiet(1.0).await;
        rig.finish().await;
    };
    futures::future::join_all(cases.map(one)).await;
}

#[tokio::test]
async fn a_set_that_waits_for_its_import_makes_nothing_before_and_signs_with_it_first() {
    let rig = Rig::start("wait-for-import").await;
    secret(&rig, "legacy", "tls.key", seed!("p256-pkcs8.pem"), None).await;
    rig.apply(json!({
        "rotation": { "firstKey": "WaitForImport" },
        "importedKeys": [entry("legacy", Some("issuer-2025"))],
    }))
    .await;
    refused(&rig, "lacks its owner's consent").await;
    rig.until_quiet(3.0).await;
    assert_eq!((rig.recorded().await.len(), rig.list("secrets").await.len()), (0, 1));
    rig.patch("secrets", "legacy", json!({ "metadata": { "labels": { "keyset.dev/import": SET } } })).await;
    let signer = rig.until_settled().await;
    assert_eq!((signer.kid.as_str(), signer.key.as_str(), signer.term), ("issuer-2025", "pay-1", 1));
    assert_eq!(jwk(&signer.data)["d"], jwk_of(seed!("p256-pkcs8.pem"))["d"]);
    // It is rotated away like any other, and its record stays for ever.
    rig.edit(json!({ "importedKeys": [], "retention": { "historyLimit": 0 } })).await;
    rig.rotate().await;
    let second = switched(&rig, &signer).await;
    until("its end", async || (!rig.published().await.contains(&signer.kid)).then_some(())).await;
    assert_eq!(rig.until_settled().await, second);
    rig.until_quiet(1.0).await;
    assert!(rig.get("secrets", "pay-1").await.is_none(), "our copy is destroyed");
    assert!(rig.get("secrets", "legacy").await.is_some(), "and the source is the user's");
    rig.edit(json!({ "importedKeys": [entry("again", None)] })).await;
    refused(&rig, "the same key left the set (pay-1) and must not sign again: bring another key").await;
    rig.finish().await;
}

#[tokio::test]
async fn an_external_key_is_published_never_signs_and_retires_with_its_entry() {
    let rig = Rig::start("external").await;
    let entries = json!([{ "name": "dex", "publicJWK": external("dex-1") }]);
    rig.apply(json!({ "externalKeys": entries })).await;
    let signer = rig.until_settled().await;
    let key = rig.get("signingkeys", "pay-1").await.unwrap();
    assert_eq!((&key["spec"]["origin"], &key["spec"]["entryName"]), (&json!("External"), &json!("dex")));
    // Somebody verifies already: the newcomer waited for C + S.
    let keys = rig.status().await["keys"].as_array().cloned().unwrap();
    let first = keys.iter().find(|key| key["name"] == signer.key.as_str()).unwrap();
    let waited = time(&first["activationTime"]).duration_since(time(&first["visibleTime"]));
    assert!(waited.as_secs_f64() >= 2.0, "{waited}");
    assert!(rig.status().await["unknownKeyIDEndTime"].is_null());

    rig.rotate().await;
    let second = switched(&rig, &signer).await;
    rig.until_settled().await;
    assert_ne!(second.kid, "dex-1");
    // A revert in time changes nothing.
    rig.edit(json!({ "externalKeys": [] })).await;
    until("its retirement", async || {
        (rig.get("signingkeys", "pay-1").await?["status"]["state"] == "Retiring").then_some(())
    })
    .await;
    let ledger = rig.get("signingkeys", "pay-1").await.unwrap()["spec"]["lifecycle"].clone();
    rig.edit(json!({ "externalKeys": entries })).await;
    until("the promised time", async || {
        (Rig::now().parse::<jiff::Timestamp>().unwrap() > time(&ledger["earliestRemovalTime"])).then_some(())
    })
    .await;
    rig.until_quiet(1.5).await;
    assert!(rig.published().await.contains(&"dex-1".to_owned()));

    let dropped: jiff::Timestamp = Rig::now().parse().unwrap();
    rig.edit(json!({ "externalKeys": [] })).await;
    until("its end", async || (!rig.published().await.contains(&"dex-1".to_owned())).then_some(())).await;
    let removal = rig.get("signingkeys", "pay-1").await.unwrap()["spec"]["lifecycle"]["removalTime"].clone();
    assert!(time(&removal).duration_since(dropped).as_secs_f64() >= 4.0, "L + T + S + M");
    assert_eq!(rig.until_settled().await, second);
    rig.finish().await;
}

#[tokio::test]
async fn an_external_key_leaves_at_its_time() {
    let rig = Rig::start("external-until").await;
    let until_time: jiff::Timestamp =
        Rig::now().parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_secs(12);
    let entry = json!({ "name": "dex", "publicJWK": external("dex-1"), "publishUntilTime": until_time.to_string() });
    rig.apply(json!({ "externalKeys": [entry] })).await;
    let signer = rig.until_settled().await;
    until("its end", async || {
        let removed = rig.get("signingkeys", "pay-1").await?["spec"]["lifecycle"]["removalTime"].clone();
        removed.is_string().then(|| assert!(time(&removed) >= until_time, "{removed}"))
    })
    .await;
    until("the set without it", async || (rig.published().await.len() == 2).then_some(())).await;
    assert_eq!(rig.until_settled().await, signer);
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

/// A Secret of the user's, labelled with the KeySet that may import from it.
pub(crate) async fn secret(rig: &Rig, name: &str, key: &str, pem_or_jwk: &str, consent: Option<&str>) -> Value {
    let labels: Value = consent.map_or_else(|| json!({}), |set| json!({ "keyset.dev/import": set }));
    let metadata = json!({ "name": name, "labels": labels });
    let data = json!({ key: STANDARD.encode(pem_or_jwk) });
    let object = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data });
    rig.create("secrets", &object).await
}

/// The entry of `importedKeys` for `tls.key` of the Secret `legacy`.
fn entry(name: &str, kid: Option<&str>) -> Value {
    let mut entry = json!({ "name": name, "secretRef": { "name": "legacy", "key": "tls.key" } });
    if let Some(kid) = kid {
        entry["keyID"] = json!(kid);
    }
    entry
}

/// RFC 7517 appendix A.1.
pub(crate) fn external(kid: &str) -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid,
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    })
}

fn jwk(data: &Value) -> Value {
    serde_json::from_slice(&STANDARD.decode(data["private.jwk"].as_str().unwrap()).unwrap()).unwrap()
}

/// A P-256 key in PEM as the operator itself would store it.
fn jwk_of(pem: &str) -> Value {
    use keyset_operator::{jose::Algorithm, key_material::KeyPair};
    let data = serde_json::from_value(json!({ "tls.key": STANDARD.encode(pem) })).unwrap();
    let pair = KeyPair::import(&data, "tls.key", Algorithm::ES256, None).unwrap();
    jwk(&serde_json::to_value(pair.key_secret_data().unwrap()).unwrap())
}
