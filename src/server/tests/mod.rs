//! Tests of the server as a whole; those of one function are beside it.

mod index;
mod issuers;
mod laws;
mod public;
mod report;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::ConfigMap;
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use super::{
    connection::{self, Limits, Public},
    index::{Event, Index, Name},
    source::{Candidate, Claim, Record, ServedKeySet},
    store::Store,
    tls::Tls,
};
use crate::{
    api::SigningKey,
    issuer::Consent,
    jose::{Algorithm, Digest, JwkSet, PublicJwk},
    scope::Scope,
    telemetry::server::Metrics,
};

/// What the administrator gives to the namespace of most tests.
fn consent() -> Consent {
    Consent::of(vec!["login.example.com=auth,shop".parse().unwrap(), "*.id.example.com=auth".parse().unwrap()])
}

fn jwk(seed: u8) -> PublicJwk {
    PublicJwk::okp(Algorithm::EdDSA, &[seed; 32]).unwrap()
}

/// The document with the keys of these seeds.
fn document(seeds: &[u8]) -> String {
    JwkSet::new(seeds.iter().map(|seed| jwk(*seed)).collect()).unwrap().to_json()
}

/// A status that accepts `current` as `revision`, and `previous` as what it replaces.
fn status(revision: i64, current: &str, previous: &[&str]) -> serde_json::Value {
    let previous: Vec<_> = previous.iter().map(Digest::of).collect();
    json!({ "publication": { "revision": revision, "digest": Digest::of(current), "previousDigests": previous } })
}

fn key_set(name: &str, status: &serde_json::Value) -> (Name, Option<Claim>) {
    let object: ServedKeySet = serde_json::from_value(json!({
        "metadata": { "namespace": "auth", "name": name },
        "spec": { "algorithm": "EdDSA", "tokens": { "maxLifetime": "1h" } },
        "status": status,
    }))
    .unwrap();
    (Name::new("auth", name), Some(Claim::of(&object)))
}

fn config_map(key_set: &str, revision: &str, document: &str) -> (Name, Option<Candidate>) {
    let object: ConfigMap = serde_json::from_value(json!({
        "metadata": {
            "namespace": "auth", "name": format!("{key_set}-jwks"),
            "labels": { "keyset.dev/keyset": key_set }, "annotations": { "keyset.dev/revision": revision },
        },
        "data": { "jwks.json": document },
    }))
    .unwrap();
    (Name::new("auth", &format!("{key_set}-jwks")), Some(Candidate::of(&object)))
}

fn signing_key(key_set: &str, seed: u8, lifecycle: &serde_json::Value) -> (Name, Option<Record>) {
    let name = format!("{key_set}-{seed}");
    let object: SigningKey = serde_json::from_value(json!({
        "metadata": { "namespace": "auth", "name": name },
        "spec": {
            "keySetName": key_set, "sequence": seed, "origin": "Generated", "algorithm": "EdDSA",
            "publicJWK": jwk(seed), "lifecycle": lifecycle,
        },
    }))
    .unwrap();
    (Name::new("auth", &name), Some(Record::of(&object)))
}

fn written<T>((name, object): (Name, Option<T>)) -> Event<T> {
    Event::Written(name, object)
}

fn everything<T>(list: Vec<(Name, Option<T>)>) -> Event<T> {
    Event::Listed(Scope::Cluster, list)
}

/// An index whose first lists are complete, and a store that follows it.
struct World {
    index: Index,
    store: Arc<Store>,
}

impl World {
    fn empty() -> Self {
        let mut world = Self { index: Index::of(&[Scope::Cluster], consent()), store: Arc::default() };
        world.index.key_sets(everything(Vec::new()));
        world.index.config_maps(everything(Vec::new()));
        world.index.signing_keys(everything(Vec::new()));
        world.store.apply(Vec::new(), Instant::now);
        world
    }

    /// Accepts and publishes a set as the operator does: the status first, then the ConfigMap.
    fn publish(&mut self, name: &str, revision: i64, document: &str) {
        self.publish_at(name, revision, document, Instant::now());
    }

    fn publish_at(&mut self, name: &str, revision: i64, document: &str, now: Instant) {
        let mut changes = self.index.key_sets(written(key_set(name, &status(revision, document, &[]))));
        changes.extend(self.index.config_maps(written(config_map(name, &revision.to_string(), document))));
        self.store.apply(changes, || now);
    }
}

/// A public listener on loopback.
struct Listener {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn listen(store: Arc<Store>, tls: Option<Arc<Tls>>, limits: Limits) -> Listener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::register(&mut Registry::default());
    let (stop, stopped) = oneshot::channel();
    let public = Arc::new(Public { store, tls, metrics, limits });
    let served = tokio::spawn(connection::serve(listener, public, async { drop(stopped.await) }));
    Listener { address, stop, served }
}

async fn request(address: SocketAddr, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    request_to(address, method, "test", path, headers).await
}

async fn request_to(
    address: SocketAddr,
    method: Method,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response<Bytes> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut requests, connection) = handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = requests.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// The headers, but for the time.
fn headers<B>(response: &Response<B>) -> HeaderMap {
    let mut headers = response.headers().clone();
    headers.remove("date");
    headers
}

fn impatient() -> Limits {
    Limits {
        connections: 4,
        header_timeout: Duration::from_millis(300),
        lifetime: Duration::from_mins(1),
        drain: Duration::from_secs(2),
    }
}
