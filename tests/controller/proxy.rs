//! The API server as a controller or a server under test sees it: plain HTTP, for one namespace, recorded, and with
//! accidents on demand.
//!
//! Lists and watches of all namespaces are narrowed to one, so that the tests of one cluster do not meet. The client
//! behind it is an administrator.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::{Client, client::Body};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::process::Victim;

/// Listens until it is dropped with its runtime.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

/// A request that was made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// What was sent, of a write.
    pub(crate) body: Value,
    pub(crate) status: u16,
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
}

/// What happens at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accident {
    /// The writer is killed; the write never reaches the API server.
    KilledBefore,
    /// The write is done, and the writer killed before it hears of it.
    KilledAfter,
    /// The write is done; its answer is lost.
    Unanswered,
    /// Somebody else writes to the object first.
    Overtaken,
}

struct Shared {
    client: Client,
    namespace: String,
    open: watch::Sender<bool>,
    calls: Mutex<Vec<Call>>,
    fault: Mutex<Option<Fault>>,
}

struct Fault {
    writes_left: usize,
    accident: Accident,
    victim: Victim,
}

impl Proxy {
    pub(crate) async fn start(client: Client, namespace: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            client,
            namespace: namespace.to_owned(),
            open: watch::Sender::new(true),
            calls: Mutex::default(),
            fault: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&accepting)));
            }
        });
        Self { address, shared }
    }

    /// Breaks every connection, and takes no other until `open`.
    pub(crate) fn close(&self) {
        self.shared.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.shared.open.send_replace(true);
    }

    /// Lets an accident happen at the write that is `number` (from 1) writes away; `victim` is who writes.
    pub(crate) fn arm(&self, number: usize, accident: Accident, victim: Victim) {
        *self.shared.fault.lock().unwrap() = Some(Fault { writes_left: number, accident, victim });
    }

    /// Nothing happens any more.
    pub(crate) fn disarm(&self) {
        self.shared.fault.lock().unwrap().take();
    }

    /// Everything that was asked so far, in the order of the answers.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// Writes so far of what a settled controller leaves alone.
    pub(crate) fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(Call::is_write).collect()
    }
}

impl Call {
    fn new(request: &Request<Bytes>, path: &Path) -> Self {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let name = path.name.clone().or_else(|| text(&body["metadata"]["name"]));
        let (resource, subresource, now) = (path.resource.clone(), path.subresource.clone(), Instant::now());
        let method = request.method().clone();
        Self { method, resource, name, subresource, body, status: 0, sent: now, answered: now }
    }

    /// The Lease is renewed and events are told whatever happens to the sets.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET && self.resource != "leases" && self.resource != "events"
    }

    pub(crate) fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// For messages: never the body, which may hold a private key.
    pub(crate) fn summary(&self) -> String {
        let part = |part: &Option<String>| part.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
        format!("{} {}{}{} {}", self.method, self.resource, part(&self.name), part(&self.subresource), self.status)
    }
}

/// The parts of the path of a request for Kubernetes objects.
#[derive(Debug, Default)]
struct Path {
    resource: String,
    name: Option<String>,
    subresource: Option<String>,
    /// Where it is sent: of all namespaces, only one is shown.
    narrowed: String,
}

impl Path {
    fn parse(uri: &Uri, namespace: &str) -> Self {
        let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let root = if parts[0] == "api" { 2 } else { 3 };
        let (group, rest) = parts.split_at(root.min(parts.len()));
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let of = |rest: &[&str], narrowed| {
            let part = |index: usize| rest.get(index).map(|&part| part.to_owned());
            Self { resource: part(0).unwrap_or_default(), name: part(1), subresource: part(2), narrowed }
        };
        match rest {
            ["namespaces", _, rest @ ..] => of(rest, uri.to_string()),
            ["keysets" | "signingkeys" | "configmaps" | "secrets"] => {
                of(rest, format!("/{}/namespaces/{namespace}/{}{query}", group.join("/"), rest[0]))
            }
            _ => of(rest, uri.to_string()),
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut open = shared.open.subscribe();
    if !*open.borrow_and_update() {
        return;
    }
    let service = service_fn(|request| forward(request, Arc::clone(&shared)));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        _ = open.changed() => {}
    }
}

/// An error breaks the connection off: the client gets no answer.
async fn forward(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, io::Error> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = Path::parse(&parts.uri, &shared.namespace);
    parts.uri = path.narrowed.parse().map_err(io::Error::other)?;
    parts.headers.remove(http::header::HOST);
    let request = Request::from_parts(parts, body);
    let mut call = Call::new(&request, &path);
    let accident = call.is_write().then(|| shared.strike()).flatten();
    match &accident {
        Some((Accident::KilledBefore, victim)) => {
            victim.kill();
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Some((Accident::Overtaken, _)) => shared.overtake(request.uri().path()).await,
        _ => {}
    }
    let answer = shared.client.send(request.map(Body::from)).await.map_err(io::Error::other)?;
    (call.status, call.answered) = (answer.status().as_u16(), Instant::now());
    shared.calls.lock().unwrap().push(call);
    match accident {
        Some((Accident::KilledAfter, victim)) => victim.kill(),
        Some((Accident::Unanswered, _)) => {}
        _ => return Ok(answer),
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}

impl Shared {
    /// Counts a write; gives what happens at it, if it is the one.
    fn strike(&self) -> Option<(Accident, Victim)> {
        let mut fault = self.fault.lock().unwrap();
        let counting = fault.as_mut()?;
        counting.writes_left -= 1;
        if counting.writes_left > 0 {
            return None;
        }
        fault.take().map(|fault| (fault.accident, fault.victim))
    }

    /// Writes an annotation to the object. There may be none yet: then nobody is overtaken.
    async fn overtake(&self, path: &str) {
        let request = Request::patch(path.trim_end_matches("/status"));
        let request = request.header("content-type", "application/merge-patch+json");
        let annotation = br#"{"metadata": {"annotations": {"overtaken": "true"}}}"#;
        let _ = self.client.send(request.body(Body::from(annotation.to_vec())).unwrap()).await;
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}
