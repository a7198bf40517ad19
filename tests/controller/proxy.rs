//! The API server as a controller or a server under test sees it: plain HTTP, for one namespace, recorded, and with
//! accidents on demand: writes that go wrong, watches that go silent, caches that are old, and clocks that lie.
//!
//! Lists and watches of all namespaces are narrowed to one, so that the tests of one cluster do not meet.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
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

/// Listens until its runtime ends.
#[derive(Clone)]
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
    pub(crate) is_watch: bool,
    pub(crate) is_dry_run: bool,
    /// What was sent, of a write.
    pub(crate) body: Value,
    pub(crate) status: u16,
    /// It was stuck on its way.
    pub(crate) was_held: bool,
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
    /// The write gets stuck on its way, and arrives when it is let go, whoever still waits for it.
    Held,
}

/// What the proxy shows of the API server. A change breaks off every watch.
#[derive(Clone)]
enum Sight {
    Clear,
    /// Nothing at all.
    Closed,
    /// Watches tell nothing, and lists of these resources are old.
    Stale(Arc<BTreeMap<String, Bytes>>),
}

struct Shared {
    client: Client,
    namespace: String,
    sight: watch::Sender<Sight>,
    calls: Mutex<Vec<Call>>,
    fault: Mutex<Option<Fault>>,
    /// Lets a held write go.
    held: watch::Sender<bool>,
    /// Whether a write was ever held.
    holds: AtomicBool,
    /// Resources whose next watch begins too far back.
    expired: Mutex<BTreeSet<String>>,
    /// How many seconds the API server's clock seems to be ahead.
    ahead: AtomicI64,
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
            sight: watch::Sender::new(Sight::Clear),
            calls: Mutex::default(),
            fault: Mutex::default(),
            held: watch::Sender::new(false),
            holds: AtomicBool::default(),
            expired: Mutex::default(),
            ahead: AtomicI64::default(),
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
        self.shared.sight.send_replace(Sight::Closed);
    }

    pub(crate) fn open(&self) {
        self.shared.sight.send_replace(Sight::Clear);
    }

    /// From now on watches tell nothing; all else goes on.
    pub(crate) fn mute(&self) {
        self.shared.sight.send_replace(Sight::Stale(Arc::default()));
    }

    /// From now on watches tell nothing, and lists show what there is at this moment: a cache that is stuck.
    pub(crate) async fn freeze(&self) {
        let mut lists = BTreeMap::new();
        for (group, resource) in WATCHED {
            let labels = if resource == "configmaps" { "?labelSelector=keyset.dev/keyset" } else { "" };
            let path = format!("{group}/namespaces/{}/{resource}{labels}", self.shared.namespace);
            let answer = self.shared.client.send(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            lists.insert(resource.to_owned(), answer.into_body().collect().await.unwrap().to_bytes());
        }
        self.shared.sight.send_replace(Sight::Stale(Arc::new(lists)));
    }

    /// All is clear again, but what the watches missed is no longer to be had: each begins with a 410.
    pub(crate) fn expire(&self) {
        self.shared.expired.lock().unwrap().extend(WATCHED.map(|(_, resource)| resource.to_owned()));
        self.open();
    }

    /// Shifts the `Date` of every answer.
    pub(crate) fn lie(&self, seconds: i64) {
        self.shared.ahead.store(seconds, Ordering::Relaxed);
    }

    /// Whether a write is stuck, or was.
    pub(crate) fn is_holding(&self) -> bool {
        self.shared.holds.load(Ordering::Relaxed)
    }

    /// Lets the write go that is held.
    pub(crate) fn release(&self) {
        self.shared.held.send_replace(true);
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
        let (method, is_watch) = (request.method().clone(), is_watch(request.uri()));
        let is_dry_run = request.uri().query().is_some_and(|query| query.contains("dryRun=All"));
        Self {
            method,
            resource,
            name,
            subresource,
            is_watch,
            is_dry_run,
            body,
            status: 0,
            was_held: false,
            sent: now,
            answered: now,
        }
    }

    /// The Lease is renewed and events are told whatever happens to the sets.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET && !self.is_dry_run && self.resource != "leases" && self.resource != "events"
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
    let mut sight = shared.sight.subscribe();
    let watches = Arc::new(AtomicBool::default());
    let service = service_fn(|request: Request<Incoming>| {
        watches.fetch_or(is_watch(request.uri()), Ordering::Relaxed);
        forward(request, Arc::clone(&shared))
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    while !matches!(*sight.borrow_and_update(), Sight::Closed) {
        tokio::select! {
            _ = &mut connection => return,
            _ = sight.changed() => if watches.load(Ordering::Relaxed) { return },
        }
    }
}

fn is_watch(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.contains("watch=true"))
}

/// An error breaks the connection off: the client gets no answer.
async fn forward(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, io::Error> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = Path::parse(&parts.uri, &shared.namespace);
    if let Some(answer) = shared.instead(&parts, &path).await {
        return Ok(answer);
    }
    parts.uri = path.narrowed.parse().map_err(io::Error::other)?;
    parts.headers.remove(http::header::HOST);
    let request = Request::from_parts(parts, body);
    let call = Call::new(&request, &path);
    let accident = call.is_write().then(|| shared.strike()).flatten();
    match &accident {
        Some((Accident::KilledBefore, victim)) => {
            victim.kill();
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Some((Accident::Overtaken, _)) => shared.overtake(request.uri().path()).await,
        _ => {}
    }
    // Goes on when the client gives up.
    let is_held = matches!(accident, Some((Accident::Held, _)));
    let answer = tokio::spawn(Arc::clone(&shared).send(request, call, is_held)).await.map_err(io::Error::other)??;
    match accident {
        Some((Accident::KilledAfter, victim)) => victim.kill(),
        Some((Accident::Unanswered, _)) => {}
        _ => return Ok(answer),
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}

impl Shared {
    async fn send(
        self: Arc<Self>,
        request: Request<Bytes>,
        mut call: Call,
        is_held: bool,
    ) -> Result<Response<Body>, io::Error> {
        if is_held {
            self.holds.store(true, Ordering::Relaxed);
            let _ = self.held.subscribe().wait_for(|free| *free).await;
            (call.sent, call.was_held) = (Instant::now(), true);
        }
        let mut answer = self.client.send(request.map(Body::from)).await.map_err(io::Error::other)?;
        (call.status, call.answered) = (answer.status().as_u16(), Instant::now());
        self.calls.lock().unwrap().push(call);
        self.falsify(answer.headers_mut());
        Ok(answer)
    }

    /// What is answered where the API server is not asked.
    async fn instead(&self, parts: &http::request::Parts, path: &Path) -> Option<Response<Body>> {
        let is_watch = is_watch(&parts.uri);
        let json = |body| Response::builder().header("content-type", "application/json").body(body).unwrap();
        if is_watch && self.expired.lock().unwrap().remove(&path.resource) {
            return Some(json(Body::from(GONE.to_vec())));
        }
        let Sight::Stale(lists) = self.sight.borrow().clone() else { return None };
        let list = lists.get(&path.resource).filter(|_| parts.method == Method::GET && path.name.is_none());
        if is_watch {
            // Silent until somebody breaks the connection off.
            return std::future::pending().await;
        }
        list.map(|list| json(Body::from(list.to_vec())))
    }

    fn falsify(&self, headers: &mut http::HeaderMap) {
        let ahead = jiff::SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        let Some(date) = headers.get(http::header::DATE).filter(|_| !ahead.is_zero()) else { return };
        let date = jiff::fmt::rfc2822::parse(date.to_str().unwrap()).unwrap().timestamp() + ahead;
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
        headers.insert(http::header::DATE, date.parse().unwrap());
    }

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

/// What the controller and the servers watch.
const WATCHED: [(&str, &str); 3] =
    [("/apis/keyset.dev/v1alpha1", "keysets"), ("/apis/keyset.dev/v1alpha1", "signingkeys"), ("/api/v1", "configmaps")];
const GONE: &[u8] = br#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}
"#;
