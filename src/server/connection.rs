//! The public listener: accepts, limits, drains.
//!
//! Invariants: no client holds a slot for ever, however slowly it sends or reads; a signal to stop lets answers finish,
//! within a deadline.

use std::{convert::Infallible, future::ready, io, pin::pin, sync::Arc, time::Duration};

use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{routes, store::Store, tls::Tls};
use crate::telemetry::server::Metrics;

/// What one client, and all of them, may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more wait in the queue of the listener.
    pub connections: usize,
    /// For the headers of a request, and between two requests.
    pub header_timeout: Duration,
    /// Of a connection, however busy: clients then spread over new replicas, and one that never reads is let go.
    pub lifetime: Duration,
    /// For answers under way when the process stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            header_timeout: Duration::from_secs(30),
            lifetime: Duration::from_mins(10),
            drain: Duration::from_secs(10),
        }
    }
}

/// What every connection shares.
#[derive(Debug)]
pub(super) struct Public {
    pub(super) store: Arc<Store>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) metrics: Metrics,
    pub(super) limits: Limits,
}

/// Serves until `shutdown`, then until every connection is done, or the deadline is there.
pub(super) async fn serve(listener: TcpListener, public: Arc<Public>, shutdown: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let (stop, stopped) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            stream = accept(&listener), if connections.len() < public.limits.connections => {
                connections.spawn(Arc::clone(&public).connection(stream, stopped.clone()));
            }
        }
        public.metrics.connections(connections.len());
    }
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(public.limits.drain, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "Closed connections that did not end in time");
    }
}

/// The next connection. A failure (no file handles left) passes when others end.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "Failed to accept a connection");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

impl Public {
    async fn connection(self: Arc<Self>, stream: TcpStream, stopped: watch::Receiver<()>) {
        // Answers are small: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.requests(TokioIo::new(stream), stopped).await };
        let handshake = timeout(self.limits.header_timeout, tls.acceptor().accept(stream)).await;
        match handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => self.requests(TokioIo::new(stream), stopped).await,
            Err(error) => tracing::debug!(%error, "A TLS handshake failed"),
        }
    }

    async fn requests(&self, stream: impl Read + Write + Unpin, mut stopped: watch::Receiver<()>) {
        let service = service_fn(|request| ready(Ok::<_, Infallible>(self.answer(&request))));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(stream, service);
        let mut connection = pin!(connection);
        select! {
            // A client that breaks off, or sends what is no HTTP, is its own affair.
            _ = connection.as_mut() => return,
            _ = stopped.changed() => {}
            () = sleep(self.limits.lifetime) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.limits.drain, connection).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<http_body_util::Full<Bytes>> {
        let (route, response) = routes::answer(&self.store.answers(), request);
        self.metrics.request(route.as_str(), response.status());
        response
    }
}

/// Line and headers of a request: what proxies add fits well.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);
