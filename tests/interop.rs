//! What others read works for them: the served document, the Signer Secret, the snippets of the guides.
//!
//! Keys are made by `key_material` and published by `jose`; everything else here is somebody else's code: JWT libraries in
//! Rust, Go, Python and Node, each with nothing but a URL or a mounted Secret.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "interop/interpreter.rs"]
mod interpreter;
#[path = "../tools/soak/jws.rs"]
#[allow(dead_code, reason = "the soak signs with it, too")]
mod jws;
#[path = "interop/mounted.rs"]
mod mounted;
#[path = "interop/responder.rs"]
mod responder;
#[path = "interop/signatures.rs"]
mod signatures;
#[path = "../examples/signer.rs"]
#[allow(missing_docs, unreachable_pub, clippy::missing_errors_doc, reason = "it is a module of its reader's")]
mod signer;
#[path = "interop/swaps.rs"]
mod swaps;
#[path = "interop/tokens/mod.rs"]
mod tokens;
#[path = "interop/verdicts.rs"]
mod verdicts;

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
use mounted::{Entries, Mounted, entries};
use responder::Responder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signer::Signer;
use swaps::Sign;
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

    /// Tokens of the guide's signer, before and after a swap of its Secret, and tokens of Rust's jsonwebtoken: each is
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

    /// The snippet of a language, in a process of its own for each algorithm that its library knows.
    fn sign_while_swapped(&self, interpreter: &Interpreter, script: &str, knows: Knows) {
        self.swap_under(knows, |mounted, swaps| {
            let mut script = interpreter.start(script, mounted.path());
            swaps(&mut |wish| script.ask(&wish.to_string()));
            script.finish();
        });
    }

    /// Starts a signer for each algorithm, and swaps its Secret while it signs. Prints how long it went on with the key before.
    fn swap_under(&self, knows: Knows, with_signer: impl Fn(&Mounted, &mut dyn FnMut(Sign<'_>))) {
        for Issuer { algorithm, keys } in self.issuers.iter().filter(|issuer| knows(issuer.algorithm)) {
            let mounted = Mounted::new(self.directory.join(algorithm.to_string()), &signer_entries(&keys[0]));
            let mut lags = Vec::new();
            with_signer(&mounted, &mut |sign| {
                lags = swaps::sign_across_swaps(keys, &mounted, sign);
                if *algorithm == Algorithm::ES256 {
                    swaps::sign_through_a_bad_secret(keys, &mounted, sign);
                }
            });
            lags.sort_unstable();
            let (median, longest) = (lags[lags.len() / 2], lags[lags.len() - 1]);
            println!("{algorithm}: the first token with the new kid after {median:.1?}, at most {longest:.1?}");
        }
    }

    /// One process signs, its Secret is swapped, and it signs again: it must have the new key, kid and all.
    fn tokens_across_a_rotation(&self, issuer: &Issuer, language: &Language, interpreter: &Interpreter) -> [String; 2] {
        let secrets = issuer.keys.each_ref().map(signer_entries);
        let mounted = Mounted::new(self.directory.join(issuer.algorithm.to_string()), &secrets[0]);
        let mut sign = interpreter.start(language.sign, mounted.path());
        let wish = json!([{ "sub": "alice" }, 600]).to_string();
        let before = sign.ask(&wish);
        mounted.update(&secrets[1]);
        let after = sign.ask(&wish);
        sign.finish();
        let kids = issuer.keys.each_ref().map(|key| key.public_jwk().kid().to_string());
        assert_eq!([&before, &after].map(|token| jws::key_id(token).unwrap()), kids);
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

/// go-jose knows `EdDSA` and not yet its new name.
const GO_SIGNS: Knows = |algorithm| algorithm != Algorithm::Ed25519;

/// Nor does jsonwebtoken, and no P-521.
const RUST_SIGNS: Knows = |algorithm| !matches!(algorithm, Algorithm::Ed25519 | Algorithm::ES512);

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
        let mounted = Mounted::new(fixture.directory.join(format!("files-{}", issuer.algorithm)), &entries);
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

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_in_go_follows_a_swap_at_once() {
    let fixture = Fixture::new("swaps-go").await;
    if let Some(go) = Interpreter::go(&fixture.directory) {
        fixture.sign_while_swapped(&go, "sign", GO_SIGNS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_in_node_follows_a_swap_at_once() {
    let fixture = Fixture::new("swaps-node").await;
    if let Some(node) = Interpreter::node(&fixture.directory) {
        fixture.sign_while_swapped(&node, NODE.sign, NODE.signs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_in_python_follows_a_swap_at_once() {
    let fixture = Fixture::new("swaps-python").await;
    if let Some(python) = Interpreter::python(&fixture.directory) {
        fixture.sign_while_swapped(&python, PYTHON.sign, PYTHON.signs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_in_rust_follows_a_swap_at_once() {
    let fixture = Fixture::new("swaps-rust").await;
    fixture.swap_under(RUST_SIGNS, |mounted, swaps| {
        let signer = Signer::new(mounted.path().to_owned()).unwrap();
        swaps(&mut |wish| {
            let claims = wish[0].as_object().unwrap().clone();
            signer.sign(claims, wish[1].as_u64().unwrap()).unwrap()
        });
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_authenticates_with_its_key() {
    let fixture = Fixture::new("client").await;
    let Some(python) = Interpreter::python(&fixture.directory) else { return };
    let issuer = fixture.issuers.iter().find(|issuer| issuer.algorithm == Algorithm::ES256).unwrap();
    let mounted = Mounted::new(fixture.directory.join("mounted"), &signer_entries(&issuer.keys[0]));
    let mut client = python.start("assertion_for.py", mounted.path());
    let forms = [(); 2].map(|()| {
        let form: Value = serde_json::from_str(&client.ask(r#"["shop", "https://login.example.com"]"#)).unwrap();
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        form["client_assertion"].as_str().unwrap().to_owned()
    });
    client.finish();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&issuer.document()).unwrap();
    let mut validation = Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.set_audience(&["https://login.example.com"]);
    validation.set_issuer(&["shop"]);
    let claims = forms.map(|token| {
        let key = DecodingKey::from_jwk(set.find(&jws::key_id(&token).unwrap()).unwrap()).unwrap();
        jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap().claims
    });
    assert_eq!(claims[0]["sub"], "shop");
    assert_ne!(claims[0]["jti"], claims[1]["jti"], "an assertion is good for one request");
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
fn the_documents_show_the_tested_signers() {
    let (readme, guide) = (include_str!("../README.md"), include_str!("../docs/signers.md"));
    let shows =
        |document: &str, language: &str, source: &str| document.contains(&format!("```{language}\n{source}```\n"));
    assert!(
        shows(readme, "yaml", include_str!("../examples/minimal.yaml")),
        "README.md must show examples/minimal.yaml"
    );
    let clients = include_str!("../docs/client-keys.md");
    assert!(
        shows(clients, "python", include_str!("../examples/assertion.py")),
        "client-keys.md must show assertion.py"
    );
    for (language, name, source) in [
        ("go", "signer.go", include_str!("../examples/signer.go")),
        ("javascript", "signer.mjs", include_str!("../examples/signer.mjs")),
        ("python", "signer.py", include_str!("../examples/signer.py")),
        ("rust", "signer.rs", include_str!("../examples/signer.rs")),
    ] {
        assert!(shows(guide, language, source), "docs/signers.md must show examples/{name}");
    }
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

fn signer_entries(key: &KeyPair) -> Entries {
    entries(&key.signer_secret_data(&[]).unwrap())
}

/// A token signed with `private.pem`; `None` for an algorithm that jsonwebtoken does not know.
fn rust_token(entries: &Entries) -> Option<String> {
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
    let jwk = set.find(&jws::key_id(token).unwrap()).unwrap();
    let Ok(algorithm) = algorithm.to_string().parse() else { return };
    let token = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &Validation::new(algorithm));
    assert_eq!(token.unwrap().claims["sub"], "alice");
}
