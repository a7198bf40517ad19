//! SigningKeys that the API server takes or refuses.

use serde_json::{Value, json};

use crate::{Case, Chain, merge_patch::merge};

/// A key that was decided and not made yet.
pub(crate) fn object() -> Value {
    json!({
        "apiVersion": "keyset.dev/v1alpha1",
        "kind": "SigningKey",
        "metadata": { "name": "payments-2" },
        "spec": { "keySetName": "payments", "sequence": 2, "origin": "Generated", "algorithm": "RS256", "rsaKeyBits": 2048 },
    })
}

/// Each patch is laid over `object`.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = names();
    let specs = origins().into_iter().chain(public_jwks()).chain(lifecycles());
    cases.extend(specs.map(|(name, spec, expected)| (name, json!({ "spec": spec }), expected)));
    cases
}

/// Edits of stored SigningKeys.
pub(crate) fn chains() -> Vec<Chain> {
    let spec = |(name, spec, expected): Case| (name, json!({ "spec": spec }), expected);
    let lifecycle = |(name, times, expected): Case| (name, json!({ "spec": { "lifecycle": times } }), expected);
    let mut made = object();
    merge(&mut made, &json!({ "spec": { "publicJWK": generated() } }));
    vec![
        Chain { name: "signing-key-identity", object: object(), edits: identity().into_iter().map(spec).collect() },
        Chain {
            name: "signing-key-promises",
            object: made.clone(),
            edits: promises().into_iter().map(lifecycle).collect(),
        },
        Chain { name: "signing-key-revoked", object: made, edits: revocation().into_iter().map(lifecycle).collect() },
    ]
}

fn names() -> Vec<Case> {
    const NAME: &str = "metadata.name must be spec.keySetName + \"-\" + spec.sequence";
    let named = |name: &str| json!({ "metadata": { "name": name } });
    vec![
        ("minimal", json!({}), None),
        ("another number", named("payments-3"), Some(("<nil>", NAME))),
        ("another set", named("orders-2"), Some(("<nil>", NAME))),
        ("no number", named("payments"), Some(("<nil>", NAME))),
        ("a leading zero", named("payments-02"), Some(("<nil>", NAME))),
        ("sequence zero", json!({ "spec": { "sequence": 0 } }), Some(("spec.sequence", "greater than or equal to 1"))),
    ]
}

fn origins() -> Vec<Case> {
    vec![
        (
            "a kid of its own",
            json!({ "publicJWK": rsa() }),
            Some((
                "spec.publicJWK.kid",
                "must have a kid of 43 characters (RFC 7638 SHA-256 thumbprint) when origin is Generated",
            )),
        ),
        (
            "imported from nowhere",
            json!({ "origin": "Imported", "entryName": "x" }),
            Some(("spec.importFrom", "must be set if and only if origin is Imported")),
        ),
        (
            "generated from an entry",
            json!({ "entryName": "x" }),
            Some(("spec.entryName", "must be set if and only if origin is Imported or External")),
        ),
        (
            "imported",
            json!({ "origin": "Imported", "entryName": "x", "importFrom": { "name": "old", "key": "tls.key" } }),
            None,
        ),
        (
            "external without a key",
            json!({ "origin": "External", "entryName": "x" }),
            Some(("spec.publicJWK", "must be set when origin is External")),
        ),
        ("external", json!({ "origin": "External", "entryName": "x", "publicJWK": rsa() }), None),
        (
            "external that signs",
            json!({ "origin": "External", "entryName": "x", "publicJWK": rsa(), "lifecycle": active() }),
            Some(("spec.lifecycle", "must not be set when origin is External: the key never signs here")),
        ),
    ]
}

fn public_jwks() -> Vec<Case> {
    const JWK: &str = "spec.publicJWK";
    let external = |jwk: Value| json!({ "origin": "External", "entryName": "x", "rsaKeyBits": null, "algorithm": jwk["alg"], "publicJWK": jwk });
    let with = |mut jwk: Value, patch: Value| {
        merge(&mut jwk, &patch);
        external(jwk)
    };
    let mut cases: Vec<Case> = jwks(JWK, "spec.publicJWK.alg")
        .into_iter()
        .map(|(name, jwk, expected)| (name, external(jwk), expected))
        .collect();
    cases.extend([
        (
            "another algorithm than the key's",
            json!({ "algorithm": "RS512", "publicJWK": generated() }),
            Some(("spec.publicJWK.alg", "must have the alg of spec.algorithm")),
        ),
        ("oct", with(rsa(), json!({ "kty": "oct" })), Some(("spec.publicJWK.kty", "Unsupported value"))),
        ("a private member", with(rsa(), json!({ "d": "AAAA" })), Some(("", "unknown field \"spec.publicJWK.d\""))),
        ("a kid with a space", with(rsa(), json!({ "kid": "a b" })), Some(("spec.publicJWK.kid", "should match"))),
    ]);
    cases
}

/// Public JWKs, wherever they stand: `at` is their field, `alg` that of their algorithm.
pub(crate) fn jwks(at: &'static str, alg: &'static str) -> Vec<Case> {
    let with = |mut jwk: Value, patch: Value| {
        merge(&mut jwk, &patch);
        jwk
    };
    vec![
        ("RSA", rsa(), None),
        ("EC", ec(), None),
        ("Ed25519", ed(), None),
        ("Ed25519 by its new name", with(ed(), json!({ "alg": "Ed25519" })), None),
        (
            "RSA without n",
            with(rsa(), json!({ "n": null })),
            Some((at, "must have n and e, and no crv, x or y, when kty is RSA")),
        ),
        (
            "EC without y",
            with(ec(), json!({ "y": null })),
            Some((at, "must have crv (P-256, P-384 or P-521), x and y, and no n or e, when kty is EC")),
        ),
        (
            "OKP with y",
            with(ed(), json!({ "y": "A".repeat(43) })),
            Some((at, "must have crv Ed25519 and x, and no y, n or e, when kty is OKP")),
        ),
        (
            "P-256 with ES384",
            with(ec(), json!({ "alg": "ES384" })),
            Some((
                alg,
                "must be an algorithm of this key type and curve: RS* or PS* for RSA, ES256 for P-256, ES384 for P-384, \
                 ES512 for P-521, EdDSA or Ed25519 for Ed25519",
            )),
        ),
        (
            "a short coordinate",
            with(ec(), json!({ "crv": "P-384", "alg": "ES384" })),
            Some((at, "must have coordinates of the full length of the curve: 43, 64 or 88 characters")),
        ),
    ]
}

fn lifecycles() -> Vec<Case> {
    let made = |times: Value| {
        let mut lifecycle = active();
        merge(&mut lifecycle, &times);
        json!({ "publicJWK": generated(), "lifecycle": lifecycle })
    };
    vec![
        (
            "active before it is made",
            json!({ "lifecycle": active() }),
            Some(("spec.publicJWK", "must be set before the key signs")),
        ),
        (
            "retired without a deadline",
            made(json!({ "retirementTime": "2026-02-01T00:00:00Z" })),
            Some(("spec.lifecycle.retirementTime", "must come with activationTime and earliestRemovalTime")),
        ),
        (
            "removed before the deadline",
            made(json!({
                "retirementTime": "2026-02-01T00:00:00Z",
                "earliestRemovalTime": "2026-02-02T00:00:00Z",
                "removalTime": "2026-02-01T00:00:00Z",
            })),
            Some(("spec.lifecycle.removalTime", "must not be before earliestRemovalTime unless the key is revoked")),
        ),
        (
            "removed at once when revoked",
            made(json!({ "revocationTime": "2026-02-01T00:00:00Z", "removalTime": "2026-02-01T00:00:00Z" })),
            None,
        ),
    ]
}

/// What the key is.
fn identity() -> Vec<Case> {
    const JWK: (&str, &str) = ("spec.publicJWK", "is immutable once set: a kid names one key for ever");
    let source = json!({ "name": "old", "key": "tls.key" });
    vec![
        ("keySetName", json!({ "keySetName": "orders" }), Some(("spec.keySetName", "is immutable"))),
        ("sequence", json!({ "sequence": 3 }), Some(("spec.sequence", "is immutable"))),
        ("origin", json!({ "origin": "External" }), Some(("spec.origin", "is immutable"))),
        ("algorithm", json!({ "algorithm": "RS512" }), Some(("spec.algorithm", "is immutable"))),
        ("rsaKeyBits", json!({ "rsaKeyBits": 4096 }), Some(("spec.rsaKeyBits", "is immutable"))),
        ("rsaKeyBits dropped", json!({ "rsaKeyBits": null }), Some(("spec.rsaKeyBits", "is immutable"))),
        ("entryName", json!({ "entryName": "x" }), Some(("spec.entryName", "is immutable"))),
        ("importFrom", json!({ "importFrom": source }), Some(("spec.importFrom", "is immutable"))),
        ("publicJWK set", json!({ "publicJWK": generated() }), None),
        ("publicJWK changed", json!({ "publicJWK": { "e": "Aw" } }), Some(JWK)),
        ("publicJWK dropped", json!({ "publicJWK": null }), Some(JWK)),
    ]
}

/// Each time only moves later; a removed key never signs again.
fn promises() -> Vec<Case> {
    const EARLIER: &str = "must not be unset or moved earlier";
    const ACTIVATION: &str = "spec.lifecycle.activationTime";
    const RETIREMENT: &str = "spec.lifecycle.retirementTime";
    const DEADLINE: &str = "spec.lifecycle.earliestRemovalTime";
    const REMOVAL: &str = "spec.lifecycle.removalTime";
    const TERM: &str = "spec.lifecycle.term";
    vec![
        (
            "active without a term",
            json!({ "activationTime": "2026-01-01T00:00:00Z" }),
            Some((TERM, "must come with activationTime")),
        ),
        ("active", json!({ "term": 2, "activationTime": "2026-01-01T00:00:00Z" }), None),
        ("lower term", json!({ "term": 1 }), Some((TERM, "must not be unset or lowered"))),
        ("earlier activation", json!({ "activationTime": "2025-01-01T00:00:00Z" }), Some((ACTIVATION, EARLIER))),
        ("no activation", json!({ "activationTime": null }), Some((ACTIVATION, EARLIER))),
        (
            "retired",
            json!({ "retirementTime": "2026-02-01T00:00:00Z", "earliestRemovalTime": "2026-02-02T01:15:00Z" }),
            None,
        ),
        ("rolled back", json!({ "term": 4, "activationTime": "2026-02-01T00:30:00.250Z" }), None),
        (
            "retired again",
            json!({ "retirementTime": "2026-03-01T00:00:00Z", "earliestRemovalTime": "2026-03-02T01:15:00Z" }),
            None,
        ),
        ("earlier retirement", json!({ "retirementTime": "2026-02-28T00:00:00Z" }), Some((RETIREMENT, EARLIER))),
        ("earlier deadline", json!({ "earliestRemovalTime": "2026-03-01T00:00:00Z" }), Some((DEADLINE, EARLIER))),
        ("later deadline", json!({ "earliestRemovalTime": "2026-03-05T00:00:00Z" }), None),
        ("no lifecycle", Value::Null, Some(("spec.lifecycle", "must not be unset"))),
        (
            "removed early",
            json!({ "removalTime": "2026-03-04T00:00:00Z" }),
            Some((REMOVAL, "must not be before earliestRemovalTime")),
        ),
        ("removed", json!({ "removalTime": "2026-03-05T00:00:01Z" }), None),
        ("removed again", json!({ "removalTime": "2026-03-06T00:00:00Z" }), Some((REMOVAL, "is immutable once set"))),
        (
            "active after removal",
            json!({ "activationTime": "2026-04-01T00:00:00Z" }),
            Some((ACTIVATION, "must not change: a removed or revoked key never signs again")),
        ),
        ("revoked after removal", json!({ "revocationTime": "2026-05-01T00:00:00Z" }), None),
    ]
}

fn revocation() -> Vec<Case> {
    const REVOCATION: &str = "spec.lifecycle.revocationTime";
    vec![
        ("revoked", json!({ "revocationTime": "2026-01-01T00:00:00Z" }), None),
        ("trusted again", json!({ "revocationTime": null }), Some((REVOCATION, "is immutable once set"))),
        (
            "active after revocation",
            json!({ "term": 1, "activationTime": "2026-04-01T00:00:00Z" }),
            Some(("spec.lifecycle.activationTime", "must not change: a removed or revoked key never signs again")),
        ),
        ("removed without a deadline", json!({ "removalTime": "2026-01-02T00:00:00Z" }), None),
    ]
}

fn active() -> Value {
    json!({ "term": 1, "activationTime": "2026-01-01T00:00:00Z" })
}

/// A key whose kid has the length of a thumbprint.
fn generated() -> Value {
    let mut jwk = rsa();
    jwk["kid"] = "A".repeat(43).into();
    jwk
}

pub(crate) fn rsa() -> Value {
    json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": "A".repeat(342), "e": "AQAB" })
}

pub(crate) fn ec() -> Value {
    json!({ "kty": "EC", "use": "sig", "alg": "ES256", "kid": "k2", "crv": "P-256", "x": "A".repeat(43), "y": "B".repeat(43) })
}

fn ed() -> Value {
    json!({ "kty": "OKP", "alg": "EdDSA", "kid": "k3", "crv": "Ed25519", "x": "A".repeat(43) })
}
