//! Issuers: who is at which URL, and what is answered there.

use serde_json::{Value, json};

use super::*;
use crate::server::{index::Change, issuers::Standing};

const ISSUER: &str = "https://login.example.com/tenant";
const METADATA: &str = "/tenant/.well-known/openid-configuration";

/// Sets of some namespaces, and who is at which URL of them by now.
struct Sets(World);

impl Sets {
    fn new() -> Self {
        Self(World::empty())
    }

    /// A KeySet that was made in that second, whose status has that issuer.
    fn apply(&mut self, name: &str, second: u32, issuer: Option<&str>) {
        let seed = name.len().try_into().unwrap();
        let (namespace, key_set) = name.split_once('/').unwrap();
        let mut status = status(1, &document(&[seed]), &[]);
        status["publication"]["issuer"] = json!(issuer);
        self.write(namespace, key_set, second, &status);
        let (_, candidate) = config_map(key_set, "1", &document(&[seed]));
        let config_map = Event::Written(Name::new(namespace, &format!("{key_set}-jwks")), candidate);
        let changes = self.0.index.config_maps(config_map);
        self.take(changes);
    }

    fn write(&mut self, namespace: &str, key_set: &str, second: u32, status: &Value) {
        let object: ServedKeySet = serde_json::from_value(json!({
            "metadata": {
                "namespace": namespace, "name": key_set,
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
            },
            "spec": { "algorithm": "EdDSA", "tokens": { "maxLifetime": "1h" } },
            "status": status,
        }))
        .unwrap();
        let changes = self.0.index.key_sets(Event::Written(Name::new(namespace, key_set), Some(Claim::of(&object))));
        self.take(changes);
    }

    fn delete(&mut self, name: &str) {
        let (namespace, key_set) = name.split_once('/').unwrap();
        let changes = self.0.index.key_sets(Event::Deleted(Name::new(namespace, key_set)));
        self.take(changes);
    }

    /// The ConfigMap of `auth/a` with that annotation, and a record that vouches for its key.
    fn retain(&mut self, issuer: Option<&str>) {
        let mut object: ConfigMap = serde_json::from_value(json!({
            "metadata": {
                "namespace": "auth", "name": "a-jwks", "labels": { "keyset.dev/keyset": "a" },
                "annotations": { "keyset.dev/revision": "1" },
            },
            "data": { "jwks.json": document(&[6]) },
        }))
        .unwrap();
        let annotations = object.metadata.annotations.as_mut().unwrap();
        annotations.extend(issuer.map(|issuer| ("keyset.dev/issuer".to_owned(), issuer.to_owned())));
        let candidate = Event::Written(Name::new("auth", "a-jwks"), Some(Candidate::of(&object)));
        let changes = self.0.index.config_maps(candidate);
        self.take(changes);
        let changes = self.0.index.signing_keys(written(signing_key("a", 6, &json!({}))));
        self.take(changes);
    }

    fn take(&mut self, changes: Vec<Change>) {
        self.0.store.apply(changes, Instant::now);
    }

    /// Whose set is at that URL.
    fn at(&self, host: &str, path: &str) -> Option<String> {
        let answers = self.0.store.answers();
        let page: *const _ = answers.at(host, path)?;
        let found = answers.pages.iter().find(|(_, other)| std::ptr::eq(page, other.as_ref()));
        Some(found.unwrap().0.as_str().to_owned())
    }

    #[track_caller]
    fn is_at_issuer(&self, expected: Option<&str>) {
        assert_eq!(self.at("login.example.com", "/tenant").as_deref(), expected);
    }
}

#[test]
fn an_issuer_is_served_with_the_consent_for_its_host_alone() {
    for (name, issuer, host, path, is_served) in [
        ("auth/a", "https://login.example.com/tenant", "login.example.com", "/tenant", true),
        ("auth/a", "https://login.example.com", "login.example.com", "", true),
        ("auth/a", "https://login.example.com/", "login.example.com", "", true),
        ("auth/a", "https://login.example.com:8443/x", "login.example.com:8443", "/x", true),
        ("auth/a", "https://x.id.example.com", "x.id.example.com", "", true),
        ("shop/a", "https://x.id.example.com", "x.id.example.com", "", false),
        ("auth/a", "https://other.example.com", "other.example.com", "", false),
        ("evil/a", "https://login.example.com/tenant", "login.example.com", "/tenant", false),
    ] {
        let mut sets = Sets::new();
        sets.apply(name, 1, Some(issuer));
        assert_eq!(sets.at(host, path).as_deref(), Some(name).filter(|_| is_served), "{issuer} of {name}");
        assert_eq!(sets.0.store.answers().sets().count(), 1, "the set is served by its name all the same");
    }
}

#[test]
fn a_request_finds_its_host_however_it_is_written() {
    let mut sets = Sets::new();
    sets.apply("auth/a", 1, Some(ISSUER));
    sets.apply("auth/bb", 2, Some("https://login.example.com:8443/other"));
    for (host, path, expected) in [
        ("login.example.com", "/tenant", Some("auth/a")),
        ("Login.Example.COM", "/tenant", Some("auth/a")),
        ("login.example.com:443", "/tenant", Some("auth/a")),
        ("login.example.com:8443", "/tenant", Some("auth/a")),
        ("login.example.com:8443", "/other", Some("auth/bb")),
        ("login.example.com", "/other", None),
        ("login.example.com", "/Tenant", None),
        ("login.example.com", "/tenant/", None),
        ("login.example.com", "", None),
        ("x.login.example.com", "/tenant", None),
        ("", "/tenant", None),
        (":", "/tenant", None),
    ] {
        assert_eq!(sets.at(host, path).as_deref(), expected, "{host} {path}");
    }
}

#[test]
fn of_two_the_older_one_has_it_and_the_other_one_after_it() {
    let (older, younger, same) = (("auth/a", 1), ("shop/b", 2), ("auth/z", 1));
    for order in [[older, younger, same], [same, younger, older], [younger, older, same]] {
        let mut sets = Sets::new();
        for (name, second) in order {
            sets.apply(name, second, Some(if name == "shop/b" { "https://login.example.com/tenant/" } else { ISSUER }));
        }
        sets.is_at_issuer(Some("auth/a"));
        sets.apply("auth/a", 1, None);
        sets.is_at_issuer(Some("auth/z"));
        sets.apply("auth/z", 1, None);
        sets.is_at_issuer(Some("shop/b"));
    }
    // Who may not have it is in nobody's way.
    let mut sets = Sets::new();
    sets.apply("evil/a", 1, Some(ISSUER));
    sets.apply("auth/a", 2, Some(ISSUER));
    sets.is_at_issuer(Some("auth/a"));
}

#[test]
fn the_path_of_another_set_is_its_own_unless_the_issuer_came_first() {
    let taken = "https://login.example.com/shop/b";
    for (second, expected) in [(1, Some("auth/a")), (3, None)] {
        let mut sets = Sets::new();
        sets.apply("auth/a", second, Some(taken));
        sets.apply("shop/b", 2, None);
        assert_eq!(sets.at("login.example.com", "/shop/b").as_deref(), expected, "made in second {second}");
    }
    let mut sets = Sets::new();
    sets.apply("auth/a", 1, Some("https://login.example.com/auth/a"));
    assert_eq!(sets.at("login.example.com", "/auth/a").as_deref(), Some("auth/a"), "its own path");
    // What is left of a set was there before.
    let mut sets = Sets::new();
    sets.retain(None);
    sets.apply("shop/b", 1, Some("https://login.example.com/auth/a"));
    assert_eq!(sets.at("login.example.com", "/auth/a"), None);
}

#[test]
fn a_set_that_is_retained_keeps_its_issuer_until_a_living_one_claims_it() {
    let mut sets = Sets::new();
    sets.retain(Some(ISSUER));
    sets.is_at_issuer(Some("auth/a"));
    sets.write("shop", "bb", 2, &json!({ "publication": { "issuer": ISSUER } }));
    sets.is_at_issuer(Some("auth/a"));
    sets.apply("shop/bb", 2, Some(ISSUER));
    sets.is_at_issuer(Some("shop/bb"));
    let mut sets = Sets::new();
    sets.retain(Some("https://other.example.com"));
    assert_eq!(sets.at("other.example.com", ""), None, "an annotation is no consent");
    // The annotation was not written yet when the KeySet went.
    let mut sets = Sets::new();
    sets.apply("auth/a", 1, Some(ISSUER));
    sets.retain(None);
    sets.delete("auth/a");
    sets.is_at_issuer(Some("auth/a"));
}

#[test]
fn a_key_set_that_is_made_anew_keeps_the_issuer_until_it_has_accepted_something() {
    let mut sets = Sets::new();
    sets.retain(Some(ISSUER));
    sets.write("auth", "a", 9, &json!({}));
    sets.is_at_issuer(Some("auth/a"));
    sets.write("auth", "a", 9, &status(2, &document(&[6]), &[]));
    sets.is_at_issuer(None);
}

#[test]
fn a_key_set_that_cannot_be_read_keeps_the_issuer() {
    let mut sets = Sets::new();
    sets.apply("auth/a", 1, Some(ISSUER));
    let changes = sets.0.index.key_sets(Event::Written(Name::new("auth", "a"), None));
    sets.take(changes);
    sets.is_at_issuer(Some("auth/a"));
}

#[test]
fn a_refusal_of_an_issuer_is_told_and_costs_the_set_nothing() {
    let mut world = World::empty();
    let mut forged = status(1, &document(&[1]), &[]);
    forged["publication"]["issuer"] = json!("https://other.example.com");
    world.index.config_maps(written(config_map("a", "1", &document(&[1]))));
    let changes = world.index.key_sets(written(key_set("a", &forged)));
    let [Change { issuer: Some(Standing::Refused(issuer)), refusal: None, .. }] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(issuer.url(), "https://other.example.com");
}

async fn served() -> Listener {
    let mut sets = Sets::new();
    sets.apply("auth/a", 1, Some(ISSUER));
    sets.apply("auth/bb", 2, Some("https://x.id.example.com/"));
    sets.apply("auth/ccc", 3, None);
    let mut waiting = status(1, &document(&[9]), &[]);
    waiting["publication"]["issuer"] = json!("https://login.example.com/waiting");
    sets.write("auth", "waiting", 4, &waiting);
    listen(sets.0.store, None, impatient()).await
}

async fn get(server: &Listener, host: &str, path: &str) -> Response<Bytes> {
    ask(server, Method::GET, host, path, &[]).await
}

async fn ask(server: &Listener, method: Method, host: &str, path: &str, more: &[(&str, &str)]) -> Response<Bytes> {
    request_to(server.address, method, host, path, more).await
}

#[tokio::test]
async fn discovery_documents_are_at_the_issuer_and_beside_the_set() {
    let server = served().await;
    let a = json!({
        "issuer": ISSUER,
        "jwks_uri": "https://login.example.com/tenant/.well-known/jwks.json",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    });
    for (host, path) in [
        ("login.example.com", METADATA),
        ("LOGIN.example.com:8443", METADATA),
        ("login.example.com", "/.well-known/oauth-authorization-server/tenant"),
        ("anything", "/auth/a/.well-known/openid-configuration"),
        ("anything", "http://login.example.com/tenant/.well-known/openid-configuration"),
        ("anything", "http://login.example.com:99/.well-known/oauth-authorization-server/tenant"),
    ] {
        let response = get(&server, host, path).await;
        assert_eq!(response.status(), 200, "{host} {path}");
        assert_eq!(serde_json::from_slice::<Value>(response.body()).unwrap(), a, "{host} {path}");
    }
    let root = get(&server, "x.id.example.com", "/.well-known/oauth-authorization-server").await;
    let root: Value = serde_json::from_slice(root.body()).unwrap();
    assert_eq!(root["issuer"], "https://x.id.example.com/");
    assert_eq!(root["jwks_uri"], "https://x.id.example.com/.well-known/jwks.json");
    for (host, path, seed) in [
        ("login.example.com", "/tenant/.well-known/jwks.json", 6),
        ("login.example.com", "/tenant/jwks.json", 6),
        ("x.id.example.com", "/jwks.json", 7),
        ("x.id.example.com", "/.well-known/jwks.json", 7),
        ("login.example.com", "/auth/ccc/jwks.json", 8),
    ] {
        let response = get(&server, host, path).await;
        assert_eq!(
            (response.status().as_u16(), response.body()),
            (200, &Bytes::from(document(&[seed]))),
            "{host} {path}"
        );
        assert_eq!(response.headers()["content-type"], "application/jwk-set+json");
    }
}

#[tokio::test]
async fn a_discovery_document_is_sent_as_a_set_is() {
    let server = served().await;
    let set = get(&server, "login.example.com", "/tenant/jwks.json").await;
    let found = get(&server, "login.example.com", METADATA).await;
    let text = String::from_utf8(found.body().to_vec()).unwrap();
    let mut expected = headers(&set);
    for (name, value) in [
        ("content-type", "application/json".to_owned()),
        ("content-length", text.len().to_string()),
        ("etag", format!("\"{}\"", Digest::of(&text))),
    ] {
        expected.insert(name, value.parse().unwrap());
    }
    assert_eq!(headers(&found), expected);
    let host = "login.example.com";
    let head = ask(&server, Method::HEAD, host, METADATA, &[]).await;
    assert_eq!((head.status().as_u16(), headers(&head), head.body().len()), (200, expected.clone(), 0));
    let etag = expected["etag"].to_str().unwrap();
    let again = ask(&server, Method::GET, host, METADATA, &[("if-none-match", etag)]).await;
    assert_eq!((again.status().as_u16(), &again.headers()["cache-control"]), (304, &expected["cache-control"]));
    let gzip = ask(&server, Method::GET, host, METADATA, &[("accept-encoding", "gzip")]).await;
    assert_eq!(gzip.headers()["content-encoding"], "gzip");
    assert!(gzip.body().len() < text.len());
    let post = ask(&server, Method::POST, host, METADATA, &[]).await;
    assert_eq!((post.status().as_u16(), &post.headers()["cache-control"]), (405, &"no-store".parse().unwrap()));
    assert_eq!(ask(&server, Method::OPTIONS, host, METADATA, &[]).await.status(), 204);
}

#[tokio::test]
async fn what_is_not_at_an_issuer_is_answered_alike() {
    let server = served().await;
    let expected = get(&server, "anything", "/").await;
    for (host, path) in [
        ("anything", METADATA),
        ("login.example.com", "/.well-known/openid-configuration"),
        ("login.example.com", "/tenant"),
        ("login.example.com", "/tenant/"),
        ("login.example.com", "/tenant//jwks.json"),
        ("login.example.com", "/tenant/x/jwks.json"),
        ("login.example.com", "/tenant/.well-known/oauth-authorization-server"),
        ("login.example.com", "/.well-known/oauth-authorization-server"),
        ("login.example.com", "/.well-known/oauth-authorization-servertenant"),
        ("login.example.com", "/.well-known/oauth-authorization-server/tenant/"),
        ("x.id.example.com", "/tenant/jwks.json"),
        ("anything", "/auth/ccc/.well-known/openid-configuration"),
        ("anything", "/auth/unknown/.well-known/openid-configuration"),
        ("anything", "http://other.example.com/tenant/.well-known/openid-configuration"),
        ("login.example.com", "http://other.example.com/tenant/.well-known/openid-configuration"),
    ] {
        let response = get(&server, host, path).await;
        assert_eq!(response.status(), 404, "{host} {path}");
        assert_eq!((headers(&response), response.body()), (headers(&expected), expected.body()), "{host} {path}");
    }
    for path in ["/waiting/jwks.json", "/waiting/.well-known/openid-configuration"] {
        let response = get(&server, "login.example.com", path).await;
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    }
    let starting = listen(Arc::default(), None, impatient()).await;
    assert_eq!(get(&starting, "login.example.com", METADATA).await.status(), 503);
}
