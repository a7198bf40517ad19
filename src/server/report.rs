//! The report to the controller: what this process answers, and since when (PROTOCOL 4).
//!
//! Invariant: it is written only after every set was fetched from the own public route and was what the store says. A
//! process whose first lists are not complete has nothing to report: it may serve a set that it does not know yet.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::{
    client::conn::http1::{SendRequest, handshake},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{
    index::{Document, Name},
    routes::CHECK_AGENT,
    store::{Answers, Store},
    tls::Tls,
    unverified,
};
use crate::{api::Served, jose::Digest};

/// Why there is no report: the controller then takes this replica for unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error("the first lists are not complete yet")]
    Starting,
    #[error("the own public route does not answer: {0}")]
    Connect(io::Error),
    #[error("the own public route broke off: {0}")]
    Broken(hyper::Error),
    #[error("the own public route does not answer in time")]
    TimedOut,
    #[error("the own public route answers {0} for {1}")]
    Status(StatusCode, String),
    #[error("the own public route does not answer the current document of {0}")]
    Differs(String),
    #[error("cannot write the report: {0}")]
    Json(#[from] serde_json::Error),
}

/// Reports on a store, by way of the route that reads it.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) instance: String,
    pub(super) store: Arc<Store>,
    pub(super) public: SocketAddr,
    pub(super) tls: Option<Arc<Tls>>,
}

impl Reporter {
    /// The report as JSON.
    pub(super) async fn json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string(&self.report().await?)?)
    }

    pub(super) async fn report(&self) -> Result<Served, ReportError> {
        let mut attempts = ATTEMPTS;
        loop {
            let answers = Arc::clone(&self.store.answers());
            if !answers.is_complete {
                return Err(ReportError::Starting);
            }
            attempts -= 1;
            match timeout(DEADLINE, self.check(&answers)).await.unwrap_or(Err(ReportError::TimedOut)) {
                // The store may move on while its route is asked.
                Err(ReportError::Differs(_)) if attempts > 0 && !Arc::ptr_eq(&answers, &self.store.answers()) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let sets = self.store.ages(&answers, Instant::now());
                    return Ok(Served { instance: self.instance.clone(), sets });
                }
            }
        }
    }

    /// Fetches every set over one connection.
    async fn check(&self, answers: &Answers) -> Result<(), ReportError> {
        let stream = TcpStream::connect(own(self.public)).await.map_err(ReportError::Connect)?;
        if self.tls.is_none() {
            return check(TokioIo::new(stream), answers).await;
        }
        let stream = unverified::connect(stream).await.map_err(ReportError::Connect)?;
        check(TokioIo::new(stream), answers).await
    }
}

async fn check(stream: impl Read + Write + Unpin + Send + 'static, answers: &Answers) -> Result<(), ReportError> {
    let (mut requests, connection) = handshake(stream).await.map_err(ReportError::Broken)?;
    // Dropped, and the connection with it, when this is done or given up.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    for (name, set) in answers.sets() {
        fetch(&mut requests, name, &set.document).await?;
    }
    Ok(())
}

async fn fetch(requests: &mut SendRequest<Empty<Bytes>>, name: &Name, document: &Document) -> Result<(), ReportError> {
    let name = name.as_str();
    let mut request = Request::new(Empty::new());
    // The name of a KeySet and of its namespace are always part of a URL as they are.
    *request.uri_mut() = format!("/{name}/jwks.json").parse().unwrap_or_default();
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(CHECK_AGENT));
    requests.ready().await.map_err(ReportError::Broken)?;
    let response = requests.send_request(request).await.map_err(ReportError::Broken)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(ReportError::Broken)?.to_bytes();
    if status != StatusCode::OK {
        return Err(ReportError::Status(status, name.to_owned()));
    }
    if Digest::of(&body) != document.digest {
        return Err(ReportError::Differs(name.to_owned()));
    }
    Ok(())
}

/// Where this process reaches its own listener.
fn own(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

const ATTEMPTS: usize = 3;
/// Well within what the controller waits for a replica.
const DEADLINE: Duration = Duration::from_secs(3);
