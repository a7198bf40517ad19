//! KeySets that the API server takes or refuses.

use serde_json::{Value, json};

use crate::{
    Case, Chain,
    merge_patch::merge,
    signing_keys::{ec, jwks, rsa},
};

/// The smallest complete one.
pub(crate) fn object() -> Value {
    json!({
        "apiVersion": "keyset.dev/v1alpha1",
        "kind": "KeySet",
        "metadata": { "name": "payments" },
        "spec": { "algorithm": "RS256", "tokens": { "maxLifetime": "1h" } },
    })
}

/// Each patch is laid over `object`.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        ("minimal", json!({}), None),
        ("name too long", json!({ "metadata": { "name": "a".repeat(53) } }), Some(("metadata.name", "Too long"))),
        ("name with a dot", json!({ "metadata": { "name": "a.b" } }), Some(("metadata.name", "should match"))),
    ];
    let specs = algorithms()
        .into_iter()
        .chain(durations())
        .chain(across())
        .chain(words())
        .chain(issuers())
        .chain(files())
        .chain(lists());
    cases.extend(specs.map(|(name, spec, expected)| (name, json!({ "spec": spec }), expected)));
    cases
}

/// Edits of a stored KeySet.
pub(crate) fn chains() -> Vec<Chain> {
    const FIXED: &str = "is immutable: readers of the old object would be left behind. Delete the KeySet \
        (deletionPolicy Retain) and apply it with the new name instead";
    let edit = |(name, spec, expected): Case| (name, json!({ "spec": spec }), expected);
    let mut named = object();
    let chosen = json!({ "spec": { "signers": { "secretName": "a" }, "publication": { "configMapName": "b" } } });
    merge(&mut named, &chosen);
    let unnamed = [
        ("secretName added", json!({ "signers": { "secretName": "x" } }), Some(("spec.signers.secretName", FIXED))),
        (
            "configMapName added",
            json!({ "publication": { "configMapName": "x" } }),
            Some(("spec.publication.configMapName", FIXED)),
        ),
        ("signers dropped: the defaults come back", json!({ "signers": null }), None),
        ("algorithm alone", json!({ "algorithm": "ES256" }), None),
        ("deletionPolicy", json!({ "deletionPolicy": "Delete" }), None),
        ("a shorter lifetime", json!({ "tokens": { "maxLifetime": "10m" } }), None),
        ("an external key", json!({ "externalKeys": [external("a", &rsa())] }), None),
        (
            "another key under its name",
            json!({ "externalKeys": [external("a", &ec())] }),
            Some(("spec.externalKeys[0].publicJWK", "is immutable: add the new key under a new name")),
        ),
        ("the external key dropped", json!({ "externalKeys": null }), None),
        ("a pin", json!({ "rotation": { "pinnedKeyID": "a" } }), None),
        ("the pin removed", json!({ "rotation": { "pinnedKeyID": null } }), None),
    ];
    let renamed = [
        ("secretName changed", json!({ "signers": { "secretName": "c" } }), Some(("spec.signers.secretName", FIXED))),
        ("secretName dropped", json!({ "signers": null }), Some(("spec.signers.secretName", FIXED))),
        (
            "configMapName dropped",
            json!({ "publication": { "configMapName": null } }),
            Some(("spec.publication.configMapName", FIXED)),
        ),
    ];
    vec![
        Chain { name: "key-set-by-default", object: object(), edits: unnamed.map(edit).into() },
        Chain { name: "key-set-with-names", object: named, edits: renamed.map(edit).into() },
        Chain { name: "key-set-with-an-issuer", object: object(), edits: issuer_edits() },
    ]
}

/// An issuer may be corrected until the status says that it is served.
fn issuer_edits() -> Vec<Case> {
    const SERVED: Option<(&str, &str)> = Some((
        "spec.publication.issuer",
        "is immutable once it is served: tokens carry it. Make another KeySet for another issuer, or delete this one \
         (deletionPolicy Retain) and apply it anew",
    ));
    let issuer = |issuer: Value| json!({ "spec": { "publication": { "issuer": issuer } } });
    let served = |issuer: Value| json!({ "status": { "publication": { "issuer": issuer } } });
    vec![
        ("added", issuer("https://login.example.con".into()), None),
        ("corrected", issuer("https://login.example.com".into()), None),
        ("dropped", issuer(Value::Null), None),
        ("added again", issuer("https://login.example.com".into()), None),
        ("served", served("https://login.example.com".into()), None),
        ("changed", issuer("https://login.example.com/x".into()), SERVED),
        ("spelt otherwise", issuer("https://login.example.com/".into()), SERVED),
        ("dropped although it is served", issuer(Value::Null), SERVED),
        ("another edit", json!({ "spec": { "algorithm": "ES256" } }), None),
        ("its status taken back", served(Value::Null), None),
        ("changed, since it is served no more", issuer("https://login.example.org".into()), None),
        ("a status that says something else", served("https://login.example.com".into()), None),
        ("another edit all the same", json!({ "spec": { "algorithm": "RS256" } }), None),
        ("another status all the same", json!({ "status": { "observedGeneration": 3 } }), None),
        ("changed to what is served", issuer("https://login.example.com".into()), None),
    ]
}

fn algorithms() -> Vec<Case> {
    vec![
        ("ES256", json!({ "algorithm": "ES256" }), None),
        ("EdDSA", json!({ "algorithm": "EdDSA" }), None),
        ("PS512 with 4096 bits", json!({ "algorithm": "PS512", "rsaKeyBits": 4096 }), None),
        ("HS256", json!({ "algorithm": "HS256" }), Some(("spec.algorithm", "Unsupported value"))),
        ("no algorithm", json!({ "algorithm": null }), Some(("spec.algorithm", "Required value"))),
        (
            "RSA bits with ES256",
            json!({ "algorithm": "ES256", "rsaKeyBits": 3072 }),
            Some(("spec.rsaKeyBits", "must not be set with algorithm ES256")),
        ),
        ("1024 bits", json!({ "rsaKeyBits": 1024 }), Some(("spec.rsaKeyBits", "Unsupported value"))),
    ]
}

/// One duration by itself.
fn durations() -> Vec<Case> {
    const T: &str = "spec.tokens.maxLifetime";
    let lifetime = |text: &str| json!({ "tokens": { "maxLifetime": text } });
    let year = |field| Some((field, "must be at most 8760h (one year)"));
    vec![
        ("no lifetime", json!({ "tokens": { "maxLifetime": null } }), Some((T, "Required value"))),
        ("lifetime zero", lifetime("0s"), Some((T, "must be longer than 0s"))),
        ("lifetime in words", lifetime("1 hour"), Some((T, "should match"))),
        ("lifetime as a number", json!({ "tokens": { "maxLifetime": 3600 } }), Some((T, "must be of type string"))),
        ("lifetime too long", lifetime("9999h"), year(T)),
        ("C too long", json!({ "verifiers": { "maxCacheAge": "9999h" } }), year("spec.verifiers.maxCacheAge")),
        ("L too long", json!({ "signers": { "maxReloadLag": "9999h" } }), year("spec.signers.maxReloadLag")),
        ("S too long", json!({ "clockSkew": "9999h" }), year("spec.clockSkew")),
        ("R too long", json!({ "rotation": { "interval": "8760h1ms" } }), year("spec.rotation.interval")),
        ("B too long", json!({ "rotation": { "rollbackWindow": "9999h" } }), year("spec.rotation.rollbackWindow")),
        ("M too long", json!({ "retention": { "margin": "9999h" } }), year("spec.retention.margin")),
        ("A too long", json!({ "publication": { "cacheMaxAge": "9999h" } }), year("spec.publication.cacheMaxAge")),
        ("D too long", json!({ "publication": { "maxDelay": "9999h" } }), year("spec.publication.maxDelay")),
        ("R of a year", json!({ "rotation": { "interval": "8760h" } }), None),
    ]
}

/// Durations that do not fit each other.
fn across() -> Vec<Case> {
    const R: &str = "spec.rotation.interval";
    vec![
        (
            "R below D + C + S",
            json!({ "rotation": { "interval": "24h" } }),
            Some((
                R,
                "must be at least publication.maxDelay + verifiers.maxCacheAge + clockSkew = 5m + 24h + 5m: a key",
            )),
        ),
        ("R at D + C + S", json!({ "rotation": { "interval": "24h10m" } }), None),
        ("short R on request", json!({ "rotation": { "interval": "24h", "mode": "OnRequest" } }), None),
        (
            "A above C",
            json!({ "verifiers": { "maxCacheAge": "1m" } }),
            Some(("spec.publication.cacheMaxAge", "must be at most verifiers.maxCacheAge = 1m")),
        ),
        (
            "B above L + T + S + M",
            json!({ "rotation": { "rollbackWindow": "100h" } }),
            Some((
                "spec.rotation.rollbackWindow",
                "must be at most signers.maxReloadLag + tokens.maxLifetime + clockSkew + retention.margin = \
                 10m + 1h + 5m + 24h: a private key",
            )),
        ),
        (
            "more than 8 retired keys",
            json!({ "rotation": { "interval": "25h" }, "tokens": { "maxLifetime": "720h" } }),
            Some((
                R,
                "must be at least an eighth of signers.maxReloadLag + tokens.maxLifetime + clockSkew + \
                 retention.margin = 10m + 720h + 5m + 24h: more than 8 retired keys would be published",
            )),
        ),
        (
            "M below S",
            json!({ "retention": { "margin": "1m" } }),
            Some(("spec.retention.margin", "must be at least clockSkew = 5m")),
        ),
        (
            "seconds",
            json!({
                "tokens": { "maxLifetime": "5s" },
                "verifiers": { "maxCacheAge": "3s" },
                "clockSkew": "1s",
                "signers": { "maxReloadLag": "2s" },
                "rotation": { "interval": "20s", "rollbackWindow": "2s" },
                "retention": { "margin": "2s" },
                "publication": { "cacheMaxAge": "1s", "maxDelay": "2s" },
            }),
            None,
        ),
    ]
}

/// Words from a list, times, and fields that do not exist.
fn words() -> Vec<Case> {
    const MODE: &str = "spec.rotation.mode";
    vec![
        ("unknown mode", json!({ "rotation": { "mode": "Never" } }), Some((MODE, "Unsupported value"))),
        ("suspended", json!({ "rotation": { "mode": "Suspended" } }), None),
        ("first key", json!({ "rotation": { "firstKey": "AfterCacheAge" } }), None),
        ("assumed visibility", json!({ "publication": { "visibility": "Assumed" } }), None),
        ("after", json!({ "rotation": { "after": "2026-11-23T10:00:00Z" } }), None),
        (
            "after in words",
            json!({ "rotation": { "after": "tomorrow" } }),
            Some(("spec.rotation.after", "must be of type date-time")),
        ),
        ("unknown field", json!({ "rotate": true }), Some(("", "unknown field \"spec.rotate\""))),
        (
            "field with a typing error",
            json!({ "rotation": { "intervall": "1h" } }),
            Some(("", "unknown field \"spec.rotation.intervall\"")),
        ),
        (
            "bad name of the Secret",
            json!({ "signers": { "secretName": "A_b" } }),
            Some(("spec.signers.secretName", "should match")),
        ),
        (
            "Signer Secret with the name of a Key Secret",
            json!({ "signers": { "secretName": "payments-7" } }),
            Some((
                "spec.signers.secretName",
                "must not be metadata.name + \"-\" + a number: the Secrets of single keys have such names",
            )),
        ),
        ("Signer Secret with a name like that", json!({ "signers": { "secretName": "payments-7a" } }), None),
    ]
}

/// Further files of the Signer Secret.
fn files() -> Vec<Case> {
    const FILES: &str = "spec.signers.files";
    let files = |files: Value| json!({ "signers": { "files": files } });
    let named = |format: &str, name: &str| files(json!([{ "format": format, "name": name }]));
    let wrong_kind = Some((FILES, "must not have PKCS1PEM without RS* or PS*, nor SEC1PEM without ES*"));
    let taken = Some((FILES, "must have distinct names, none of them kid or alg or the usual name of another format"));
    let on = |algorithm: &str, format: &str| json!({ "algorithm": algorithm, "signers": { "files": [{ "format": format }] } });
    vec![
        (
            "files",
            files(json!([{ "format": "PKCS1PEM", "name": "rsa.pem" }, { "format": "PKCS8PEM", "name": "key.pem" }])),
            None,
        ),
        ("PKCS1PEM on PS", on("PS256", "PKCS1PEM"), None),
        ("SEC1PEM on ES", on("ES384", "SEC1PEM"), None),
        ("SEC1PEM on RSA", files(json!([{ "format": "SEC1PEM" }])), wrong_kind),
        ("PKCS1PEM on ES", on("ES256", "PKCS1PEM"), wrong_kind),
        ("SEC1PEM on EdDSA", on("EdDSA", "SEC1PEM"), wrong_kind),
        (
            "two files of one name",
            files(json!([{ "format": "PublicPEM", "name": "a" }, { "format": "PKCS8PEM", "name": "a" }])),
            taken,
        ),
        ("a file kid", named("PublicPEM", "kid"), taken),
        ("a file alg", named("PrivateJWK", "alg"), taken),
        ("another file private.pem", named("PKCS1PEM", "private.pem"), taken),
        ("a file with the usual name of one that is not there", named("PKCS8PEM", "private.sec1.pem"), taken),
        ("its own usual name", named("PKCS1PEM", "private.pkcs1.pem"), None),
        (
            "a format twice",
            files(json!([{ "format": "PublicPEM" }, { "format": "PublicPEM", "name": "b" }])),
            Some(("spec.signers.files[1]", "Duplicate value")),
        ),
        ("an unknown format", named("PKCS12", "a"), Some(("spec.signers.files[0].format", "Unsupported value"))),
        // The API server takes no such entry of a Secret.
        ("a name with dots first", named("PublicPEM", "..a"), Some(("spec.signers.files[0].name", "should match"))),
        ("a name with a slash", named("PublicPEM", "a/b"), Some(("spec.signers.files[0].name", "should match"))),
    ]
}

/// URLs that an issuer may have, and may not.
fn issuers() -> Vec<Case> {
    const REFUSED: Option<(&str, &str)> = Some((
        "spec.publication.issuer",
        "must be an https URL without query, fragment or user: a host in lower case, no default port, and a path of \
         letters, digits and . _ ~ - whose segments are not empty and do not begin with a dot",
    ));
    let case =
        |(name, url, expected): (&'static str, &str, _)| (name, json!({ "publication": { "issuer": url } }), expected);
    let long = format!("https://a.example/{}", "x".repeat(238));
    vec![
        case(("issuer with a host", "https://login.example.com", None)),
        case(("issuer with a slash at its end", "https://login.example.com/", None)),
        case(("issuer with a path", "https://login.example.com/realms/a_B-1~x.y", None)),
        case(("issuer with a port", "https://login.example.com:8443/x/", None)),
        case(("issuer in plain HTTP", "http://a.example", REFUSED)),
        case(("issuer without a host", "https:///x", REFUSED)),
        case(("issuer with a query", "https://a.example/x?y", REFUSED)),
        case(("issuer with a fragment", "https://a.example/x#y", REFUSED)),
        case(("issuer with a user", "https://u@a.example/x", REFUSED)),
        case(("issuer in capitals", "https://A.example/x", REFUSED)),
        case(("issuer with the default port", "https://a.example:443", REFUSED)),
        case(("issuer with the default port and a path", "https://a.example:443/x", REFUSED)),
        case(("issuer with an empty segment", "https://a.example/x//y", REFUSED)),
        case(("issuer with a dot segment", "https://a.example/x/../y", REFUSED)),
        case(("issuer with a well-known path", "https://a.example/x/.well-known/y", REFUSED)),
        case(("issuer with an encoded path", "https://a.example/%41", REFUSED)),
        case(("issuer with a line", "https://a.example/x\n", REFUSED)),
        case(("issuer that is too long", &long, Some(("spec.publication.issuer", "Too long")))),
    ]
}

/// Keys that a KeySet names.
fn lists() -> Vec<Case> {
    const EXTERNAL: &str = "spec.externalKeys";
    let kids = |count: usize| (0..count).map(|kid| json!({ "keyID": kid.to_string() })).collect::<Vec<_>>();
    let import = |secret: Value| json!({ "importedKeys": [{ "name": "legacy", "secretRef": secret }] });
    let mut cases = vec![
        ("import", import(json!({ "name": "old", "key": "tls.key" })), None),
        (
            "import without an entry",
            import(json!({ "name": "old" })),
            Some(("spec.importedKeys[0].secretRef.key", "Required value")),
        ),
        (
            "revocations",
            json!({ "revokedKeys": [{ "keyID": "a" }, { "keyID": "b", "mode": "Immediate" }], "heldKeys": [{ "keyID": "c" }] }),
            None,
        ),
        (
            "a kid twice",
            json!({ "revokedKeys": [{ "keyID": "a" }, { "keyID": "a" }] }),
            Some(("spec.revokedKeys[1]", "Duplicate value")),
        ),
        ("64 revocations", json!({ "revokedKeys": kids(64) }), None),
        ("65 revocations", json!({ "revokedKeys": kids(65) }), Some(("spec.revokedKeys", "Too many"))),
        (
            "unknown mode of revocation",
            json!({ "revokedKeys": [{ "keyID": "a", "mode": "Now" }] }),
            Some(("spec.revokedKeys[0].mode", "Unsupported value")),
        ),
        (
            "a held kid with a space",
            json!({ "heldKeys": [{ "keyID": "a b" }] }),
            Some(("spec.heldKeys[0].keyID", "should match")),
        ),
        (
            "two external keys with one kid",
            json!({ "externalKeys": [external("a", &rsa()), external("b", &{ let mut jwk = ec(); jwk["kid"] = "k1".into(); jwk })] }),
            Some((EXTERNAL, "must have distinct kids")),
        ),
        (
            "a private member of an external key",
            json!({ "externalKeys": [external("a", &{ let mut jwk = rsa(); jwk["d"] = "AAAA".into(); jwk })] }),
            Some(("", "unknown field \"spec.externalKeys[0].publicJWK.d\"")),
        ),
    ];
    let jwks = jwks("spec.externalKeys[0].publicJWK", "spec.externalKeys[0].publicJWK.alg");
    cases.extend(
        jwks.into_iter()
            .map(|(name, jwk, expected)| (name, json!({ "externalKeys": [external("a", &jwk)] }), expected)),
    );
    cases
}

fn external(name: &str, jwk: &Value) -> Value {
    json!({ "name": name, "publicJWK": jwk })
}
