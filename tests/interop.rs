//! What others read works for them: the served document, the Signer Secret, the snippets of the README.
//!
//! Keys are made by `key_material` and published by `jose`; everything else here is somebody else's code: JWT libraries in
//! Rust, Python and Node, each with nothing but a URL or a mounted Secret.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "interop/interpreter.rs"]
mod interpreter;
#[path = "interop/mounted.rs"]
mod mounted;
#[path = "interop/responder.rs"]
mod responder;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use interpreter::Interpreter;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, get_current_timestamp};
use keyset_operator::{
    api::{FileFormat, KeySet, SignerFile},
    jose::{Algorithm, Family, JwkSet},
    key_material::{Generator, KeyPair},
};
use mounted::{Mounted, entries};
use responder::Responder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

const EXAMPLES: [(&str, &str); 3] = [
    ("minimal.yaml", include_str!("../examples/minimal.yaml")),
    ("full.yaml", include_str!("../examples/full.yaml")),
    ("demo.yaml", include_str!("../examples/demo.yaml")),
];

/// Every algorithm of the API.
const ALGORITHMS: [Algorithm; 11] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::EdDSA,
    Algorithm::Ed25519,
];

/// One algorithm: two keys in a published set.
struct Issuer {
    algorithm: Algorithm,
    keys: [KeyPair; 2],
}

impl Issuer {
    fn path(&self) -> String {
        format!("/auth/{}/jwks.json", self.algorithm)
    }

    fn document(&self) -> String {
        JwkSet::new(self.keys.iter().map(|key| key.public_jwk().clone()).collect()).unwrap().to_json()
    }
}

/// An issuer for every algorithm, made once for all tests.
async fn issuers() -> &'static [Issuer] {
    static ISSUERS: OnceCell<Vec<Issuer>> = OnceCell::const_new();
    let make = async || {
        let generator = Generator::new(NonZeroUsize::new(2).unwrap());
        let mut issuers = Vec::new();
        for algorithm in ALGORITHMS {
            let pair = tokio::join!(generator.generate(algorithm, None), generator.generate(algorithm, None));
            issuers.push(Issuer { algorithm, keys: [pair.0.unwrap(), pair.1.unwrap()] });
        }
        issuers
    };
    ISSUERS.get_or_init(make).await
}

/// A web server that publishes the sets, and a directory of the test's own.
struct Fixture {
    issuers: &'static [Issuer],
    responder: Responder,
    directory: PathBuf,
}

impl Fixture {
    async fn new(name: &str) -> Self {
        let issuers = issuers().await;
        let responder = Responder::start(issuers.iter().map(|issuer| (issuer.path(), issuer.document())).collect());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("interop-{name}-{}", std::process::id()));
        Self { issuers, responder, directory }
    }

    /// Tokens of the README's signer, before and after a swap of its Secret, and tokens of Rust's jsonwebtoken: each is
    /// verified by every library of the language, and by Rust's jsonwebtoken.
    fn exchange(&self, language: &Language, interpreter: &Interpreter) {
        let mut verify = interpreter.start(language.verify, Path::new("/nowhere"));
        let mut expected = Vec::new();
        for issuer in self.issuers {
            let algorithm = issuer.algorithm;
            let mut tokens: Vec<String> =
                issuer.keys.iter().filter_map(|key| rust_token(&signer_entries(key))).collect();
            if (language.signs)(algorithm) {
                tokens.extend(self.tokens_across_a_rotation(issuer, language, interpreter));
            }
            for token in tokens {
                rust_verifies(algorithm, &issuer.document(), &token);
                let url = self.responder.url(&issuer.path());
                verify.give(&json!({"url": url, "alg": algorithm, "token": token}).to_string());
                let libraries = language.libraries.iter().filter(|(_, knows)| knows(algorithm));
                expected.extend(libraries.map(|(library, _)| format!("{algorithm} {library}")));
            }
        }
        assert_eq!(verify.finish(), expected);
    }

    /// One process signs, its Secret is swapped, and it signs again: it must have the new key, kid and all.
    fn tokens_across_a_rotation(&self, issuer: &Issuer, language: &Language, interpreter: &Interpreter) -> [String; 2] {
        let secrets = issuer.keys.each_ref().map(|key| key.signer_secret_data(&[]).unwrap());
        let mounted = Mounted::new(self.directory.join(issuer.algorithm.to_string()), &secrets[0]);
        let mut sign = interpreter.start(language.sign, mounted.path());
        let before = sign.ask("");
        mounted.update(&secrets[1]);
        let after = sign.ask("");
        sign.finish();
        let kids = issuer.keys.each_ref().map(|key| key.public_jwk().kid().to_string());
        assert_eq!([key_id(&before), key_id(&after)], kids);
        [before, after]
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Whether a library knows an algorithm.
type Knows = fn(Algorithm) -> bool;

/// What is there in a language, and which algorithms it knows.
struct Language {
    sign: &'static str,
    signs: Knows,
    verify: &'static str,
    libraries: &'static [(&'static str, Knows)],
}

/// PyJWT knows `EdDSA` and not yet its new name.
const PYTHON: Language = Language {
    sign: "sign.py",
    signs: |algorithm| algorithm != Algorithm::Ed25519,
    verify: "verify.py",
    libraries: &[("PyJWT", |algorithm| algorithm != Algorithm::Ed25519), ("joserfc", |_| true)],
};

/// The package jsonwebtoken knows no Edwards curve.
const NODE: Language = Language {
    sign: "sign.mjs",
    signs: |_| true,
    verify: "verify.mjs",
    libraries: &[("jose", |_| true), ("jsonwebtoken", |algorithm| algorithm.family() != Family::Okp)],
};

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_what_verifiers_expect() {
    for issuer in issuers().await {
        let document: Value = serde_json::from_str(&issuer.document()).unwrap();
        assert_eq!(document.as_object().unwrap().len(), 1, "{document}");
        let keys = document["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2);
        for key in keys {
            let key = key.as_object().unwrap();
            let members = match key["kty"].as_str().unwrap() {
                "RSA" => &["e", "kty", "n"][..],
                "EC" => &["crv", "kty", "x", "y"],
                _ => &["crv", "kty", "x"],
            };
            // RFC 7638 section 3: the required members in lexicographic order, hashed.
            let required: BTreeMap<&str, &Value> = members.iter().map(|&member| (member, &key[member])).collect();
            let hash = Sha256::digest(serde_json::to_vec(&required).unwrap());
            assert_eq!(key["kid"], BASE64_URL_SAFE_NO_PAD.encode(hash), "{key:?}");
            assert_eq!((&key["use"], &key["alg"]), (&json!("sig"), &json!(issuer.algorithm)));
            // No private member, and nothing else that a verifier could stumble over.
            let mut all: Vec<&str> = [members, &["alg", "kid", "use"]].concat();
            all.sort_unstable();
            let mut found: Vec<&str> = key.keys().map(String::as_str).collect();
            found.sort_unstable();
            assert_eq!(found, all);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_signs_and_verifies() {
    let mut known = Vec::new();
    for issuer in issuers().await {
        for token in issuer.keys.iter().filter_map(|key| rust_token(&signer_entries(key))) {
            rust_verifies(issuer.algorithm, &issuer.document(), &token);
            known.push(issuer.algorithm);
        }
    }
    known.dedup();
    assert_eq!(known.len(), 9, "jsonwebtoken knows all but ES512 and Ed25519, tried were {known:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_signs_and_verifies() {
    let fixture = Fixture::new("python").await;
    if let Some(python) = Interpreter::python(&fixture.directory) {
        fixture.exchange(&PYTHON, &python);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_signs_and_verifies() {
    let fixture = Fixture::new("node").await;
    if let Some(node) = Interpreter::node(&fixture.directory) {
        fixture.exchange(&NODE, &node);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_read_by_others() {
    let fixture = Fixture::new("files").await;
    let python = Interpreter::python(&fixture.directory).map(|python| (python, "files.py"));
    let node = Interpreter::node(&fixture.directory).map(|node| (node, "files.mjs"));
    let files = FileFormat::ALL.map(|format| SignerFile { format, name: Some(format.name().to_owned()) });
    for issuer in fixture.issuers {
        let secret = issuer.keys[0].signer_secret_data(&files).unwrap();
        let entries = entries(&secret);
        assert_eq!(entries["PublicPEM"], entries["public.pem"]);
        let mounted = Mounted::new(fixture.directory.join(format!("files-{}", issuer.algorithm)), &secret);
        let private = files.iter().filter(|file| file.format != FileFormat::PublicPem);
        let private: Vec<_> = private.filter(|file| entries.contains_key(file.name())).collect();
        assert_eq!(private.len(), if issuer.algorithm.family() == Family::Okp { 2 } else { 3 });
        for (interpreter, script) in [&python, &node].into_iter().flatten() {
            let mut script = interpreter.start(script, mounted.path());
            for file in &private {
                let path = mounted.path().join(file.name());
                let jwk = file.format == FileFormat::PrivateJwk;
                let public = script.ask(&json!({ "path": path, "jwk": jwk }).to_string());
                let public = BASE64_STANDARD.decode(public).unwrap();
                assert_eq!(public, entries["public.pem"], "{} {}", issuer.algorithm, file.name());
            }
            script.finish();
        }
    }
}

#[test]
fn the_examples_are_of_this_release() {
    for (name, source) in EXAMPLES {
        let written: Value = serde_yaml::from_str(source).unwrap();
        let read: KeySet = serde_yaml::from_str(source).unwrap();
        let read = serde_json::to_value(read).unwrap();
        let unknown: Vec<String> = paths(&written["spec"]).difference(&paths(&read["spec"])).cloned().collect();
        assert!(unknown.is_empty(), "{name} has fields that do not exist: {unknown:?}");
    }
    let crds = serde_json::to_value(keyset_operator::api::crds()).unwrap();
    let schema = &crds[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let full: Value = serde_yaml::from_str(include_str!("../examples/full.yaml")).unwrap();
    assert_eq!(paths(&full["spec"]), schema_paths(schema), "full.yaml has every field");
}

#[test]
fn the_readme_shows_the_tested_signers() {
    let readme = include_str!("../README.md");
    let shown = |language: &str, source: &str| readme.contains(&format!("```{language}\n{source}```\n"));
    assert!(shown("python", include_str!("../examples/signer.py")), "README.md must show examples/signer.py");
    assert!(shown("javascript", include_str!("../examples/signer.mjs")), "README.md must show examples/signer.mjs");
    assert!(shown("yaml", include_str!("../examples/minimal.yaml")), "README.md must show examples/minimal.yaml");
}

/// The paths of all leaves of an object.
fn paths(value: &Value) -> BTreeSet<String> {
    let Some(object) = value.as_object() else { return BTreeSet::from([String::new()]) };
    object.iter().flat_map(|(name, value)| paths(value).into_iter().map(move |path| format!(".{name}{path}"))).collect()
}

/// The paths of all leaves that a schema allows.
fn schema_paths(schema: &Value) -> BTreeSet<String> {
    let Some(properties) = schema["properties"].as_object() else { return BTreeSet::from([String::new()]) };
    let below = |(name, schema)| schema_paths(schema).into_iter().map(move |path| format!(".{name}{path}"));
    properties.iter().flat_map(below).collect()
}

fn key_id(token: &str) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

fn signer_entries(key: &KeyPair) -> BTreeMap<String, Vec<u8>> {
    entries(&key.signer_secret_data(&[]).unwrap())
}

/// A token signed with `private.pem`; `None` for an algorithm that jsonwebtoken does not know.
fn rust_token(entries: &BTreeMap<String, Vec<u8>>) -> Option<String> {
    let [alg, kid] = ["alg", "kid"].map(|name| String::from_utf8(entries[name].clone()).unwrap());
    let header = Header { kid: Some(kid), ..Header::new(alg.parse().ok()?) };
    let pem = &entries["private.pem"];
    let key = match &alg[..2] {
        "RS" | "PS" => EncodingKey::from_rsa_pem(pem),
        "ES" => EncodingKey::from_ec_pem(pem),
        _ => EncodingKey::from_ed_pem(pem),
    };
    let now = get_current_timestamp();
    let claims = json!({"sub": "alice", "iat": now, "exp": now + 600});
    Some(jsonwebtoken::encode(&header, &claims, &key.unwrap()).unwrap())
}

/// Verifies with the document as jsonwebtoken reads it; an algorithm that it does not know it must still read past.
fn rust_verifies(algorithm: Algorithm, document: &str, token: &str) {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(document).unwrap();
    let jwk = set.find(&key_id(token)).unwrap();
    let Ok(algorithm) = algorithm.to_string().parse() else { return };
    let token = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &Validation::new(algorithm));
    assert_eq!(token.unwrap().claims["sub"], "alice");
}
