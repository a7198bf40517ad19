//! Fragments of the schema that many fields share: names, times, kids, algorithms.
//!
//! Invariants: no fragment is nullable, every string is bounded, every number is signed. Fragments
//! have no description (the docs of a field are its description) and no default (the server stores
//! defaults, so each belongs to one field). Types of `jose` get their schema here, so that `jose`
//! knows nothing of CRDs.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::{
    duration::{MAX_LENGTH, MIN_LENGTH, PATTERN},
    rules,
};

/// An RFC 1123 label: the name of a KeySet.
pub(super) const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const BASE64URL: &str = "^[A-Za-z0-9_-]+$";
const ALGORITHMS: [&str; 11] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];

/// A duration of at most a year.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": MIN_LENGTH,
        "maxLength": MAX_LENGTH,
        "pattern": PATTERN,
        "x-kubernetes-validations": rules::duration(),
    })
}

/// A duration that was accepted before: a status repeats what the spec was checked for.
pub(super) fn stored_duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": MIN_LENGTH, "maxLength": MAX_LENGTH, "pattern": PATTERN })
}

/// A duration of at most a year that is not zero.
pub(super) fn positive_duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": MIN_LENGTH,
        "maxLength": MAX_LENGTH,
        "pattern": PATTERN,
        "x-kubernetes-validations": rules::positive_duration(),
    })
}

/// A point in time (RFC 3339).
pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 64 })
}

/// The name of an object.
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    text(1, 253, DNS_SUBDOMAIN)
}

/// The name of a file, which an entry of a Secret may have: no `..`, and nothing hidden.
pub(super) fn file_name(_: &mut SchemaGenerator) -> Schema {
    text(1, 63, "^[-_a-zA-Z0-9][-._a-zA-Z0-9]*$")
}

/// The name of a KeySet. 52 characters: a name of an object can be made by adding to it.
pub(super) fn key_set_name(_: &mut SchemaGenerator) -> Schema {
    text(1, 52, DNS_LABEL)
}

/// The name of an entry of a list in a KeySet.
pub(super) fn entry_name(_: &mut SchemaGenerator) -> Schema {
    text(1, 32, DNS_LABEL)
}

/// A key in the data of a Secret.
pub(super) fn data_key(_: &mut SchemaGenerator) -> Schema {
    text(1, 253, "^[-._a-zA-Z0-9]+$")
}

/// A word of a condition.
pub(super) fn camel_case(_: &mut SchemaGenerator) -> Schema {
    text(1, 63, "^[A-Z][A-Za-z0-9]*$")
}

/// A UID of an object.
pub(super) fn uid(_: &mut SchemaGenerator) -> Schema {
    text(1, 64, "^[-A-Za-z0-9]+$")
}

/// A kid: one line of visible ASCII.
pub(super) fn key_id(_: &mut SchemaGenerator) -> Schema {
    text(1, 256, "^[!-~]+$")
}

/// A digest of a published document.
pub(super) fn digest(_: &mut SchemaGenerator) -> Schema {
    text(71, 71, "^sha256:[0-9a-f]{64}$")
}

/// Digests of documents, each once.
pub(super) fn digests(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "set",
        "items": digest(generator),
    })
}

/// A JWS algorithm.
pub(super) fn algorithm(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ALGORITHMS })
}

/// The size of an RSA modulus.
pub(super) fn rsa_key_bits(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "enum": [2048, 3072, 4096] })
}

/// The URL of an issuer.
pub(super) fn issuer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 9, "maxLength": 255, "x-kubernetes-validations": rules::issuer() })
}

/// The URL of an issuer that was accepted before.
pub(super) fn stored_issuer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 9, "maxLength": 255 })
}

/// A public JWK. Private members are not part of it: the API server never stores one.
pub(super) fn public_jwk(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["kty", "alg", "kid"],
        "properties": {
            "kty": {
                "description": "kty is the key type (RFC 7517 section 4.1).",
                "type": "string",
                "enum": ["RSA", "EC", "OKP"],
            },
            "use": {
                "description": "use is the intended use of the key (RFC 7517 section 4.2); published as sig.",
                "type": "string",
                "enum": ["sig"],
            },
            "alg": {
                "description": "alg is the only algorithm that the key may be used with (RFC 7517 section 4.4).",
                "type": "string",
                "enum": ALGORITHMS,
            },
            "kid": {
                "description": "kid is the key ID (RFC 7517 section 4.5).",
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                "pattern": "^[!-~]+$",
            },
            "n": base64url(342, 1366,
                "n is the modulus of an RSA key, 2048 to 8192 bits, base64url (RFC 7518 section 6.3.1)."),
            "e": base64url(2, 8, "e is the public exponent of an RSA key, base64url."),
            "crv": {
                "description": "crv is the curve of an EC or OKP key.",
                "type": "string",
                "enum": ["P-256", "P-384", "P-521", "Ed25519"],
            },
            "x": base64url(43, 88,
                "x is the x coordinate of an EC key or the public key of an OKP key, base64url."),
            "y": base64url(43, 88, "y is the y coordinate of an EC key, base64url."),
        },
        "x-kubernetes-validations": rules::public_jwk(),
    })
}

fn text(min: u32, max: u32, pattern: &str) -> Schema {
    json_schema!({ "type": "string", "minLength": min, "maxLength": max, "pattern": pattern })
}

fn base64url(min: u32, max: u32, description: &str) -> serde_json::Value {
    json!({
        "description": description,
        "type": "string",
        "minLength": min,
        "maxLength": max,
        "pattern": BASE64URL,
    })
}
