//! The public routes: from a request to an answer that was rendered ahead.
//!
//! Invariants: an answer that is not 200 or 304 is `no-store`; every name that is not served is answered alike; no
//! redirect, nothing of the request is reflected. A set costs one lookup by a slice of the path, and one by host and path
//! where there are issuers.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{self, ACCEPT_ENCODING, IF_NONE_MATCH},
    uri::Authority,
};
use http_body_util::Full;

use super::store::{Answers, Forms, Page, Representation};

/// The user agent of requests for the report. Whoever else takes it is counted there, nothing more.
pub(super) const CHECK_AGENT: &str = "keyset-check";

/// What a request was for, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The path of a set, known or not.
    Jwks,
    /// The path of a discovery document, known or not.
    Discovery,
    /// The same, but for the report of this process.
    Check,
    Other,
}

impl Route {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Jwks => "jwks",
            Self::Discovery => "discovery",
            Self::Check => "check",
            Self::Other => "other",
        }
    }
}

/// The answer to a request, and which route it took.
pub(super) fn answer<B>(answers: &Answers, request: &Request<B>) -> (Route, Response<Full<Bytes>>) {
    let target = Target::of(request.uri().path());
    let is_check = || request.headers().get(header::USER_AGENT).is_some_and(|agent| agent == CHECK_AGENT);
    let route = match &target {
        Some(Target { kind: Kind::Jwks, .. }) if is_check() => Route::Check,
        Some(Target { kind: Kind::Jwks, .. }) => Route::Jwks,
        Some(Target { kind: Kind::Metadata, .. }) => Route::Discovery,
        None => Route::Other,
    };
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => page(answers, target.as_ref(), request),
        Method::OPTIONS => preflight(),
        _ => refusal(StatusCode::METHOD_NOT_ALLOWED, &[(header::ALLOW, METHODS)], "method not allowed\n"),
    };
    if *request.method() == Method::HEAD {
        *response.body_mut() = Full::default();
    }
    (route, response)
}

/// What a path asks for. Nothing is decoded: no name and no issuer needs it.
struct Target<'a> {
    kind: Kind,
    /// `/<namespace>/<KeySet>`, or the path of an issuer.
    directory: &'a str,
}

#[derive(Clone, Copy)]
enum Kind {
    Jwks,
    /// The discovery document.
    Metadata,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Option<Self> {
        // RFC 8414 section 3.1 puts its part in front of the issuer's path, OpenID Connect Discovery 1.0 section 4 behind it.
        let issuer = path.strip_prefix("/.well-known/oauth-authorization-server");
        if let Some(directory) = issuer.or_else(|| path.strip_suffix("/.well-known/openid-configuration")) {
            return Some(Self { kind: Kind::Metadata, directory });
        }
        let directory = path.strip_suffix("/jwks.json")?;
        Some(Self { kind: Kind::Jwks, directory: directory.strip_suffix("/.well-known").unwrap_or(directory) })
    }

    /// The page at the host of the request, else that of the set of that name.
    fn page<'b, B>(&self, answers: &'b Answers, request: &Request<B>) -> Option<&'b Page> {
        let at = |authority| answers.at(authority, self.directory);
        let page = if answers.has_issuers() { authority(request).and_then(at) } else { None };
        page.or_else(|| answers.pages.get(self.directory.strip_prefix('/')?).map(AsRef::as_ref))
    }
}

/// The host that a request is for (RFC 9112 section 3.2.2: that of its target comes first).
fn authority<B>(request: &Request<B>) -> Option<&str> {
    let of_target = request.uri().authority().map(Authority::as_str);
    of_target.or_else(|| request.headers().get(header::HOST)?.to_str().ok())
}

fn page<B>(answers: &Answers, target: Option<&Target<'_>>, request: &Request<B>) -> Response<Full<Bytes>> {
    let Some(target) = target else { return not_found() };
    match (target.page(answers, request), target.kind) {
        (Some(Page::Set(set)), Kind::Jwks) => document(&set.jwks, request.headers()),
        (Some(Page::Set(set)), Kind::Metadata) => {
            set.metadata.as_ref().map_or_else(not_found, |metadata| document(metadata, request.headers()))
        }
        (Some(Page::Waiting), _) => unavailable(),
        (None, _) if !answers.is_complete => unavailable(),
        (None, _) => not_found(),
    }
}

fn document(forms: &Forms, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let Representation { etag, body, headers: full, not_modified } = match &forms.gzip {
        Some(gzip) if accepts_gzip(headers) => gzip,
        _ => &forms.plain,
    };
    if names(headers, etag) {
        return response(StatusCode::NOT_MODIFIED, not_modified.clone(), Bytes::new());
    }
    response(StatusCode::OK, full.clone(), body.clone())
}

/// Whether If-None-Match names the entity (RFC 9110 section 13.1.2: weak comparison).
fn names(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    elements(headers, &IF_NONE_MATCH)
        .any(|element| element == "*" || element.strip_prefix("W/").unwrap_or(element).as_bytes() == etag.as_bytes())
}

/// Whether gzip is asked for by name (RFC 9110 section 12.5.3); who asks for anything gets the plain form.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    elements(headers, &ACCEPT_ENCODING).any(|element| {
        let (coding, weight) = element.split_once(';').unwrap_or((element, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        coding.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// The elements of a header that is a list.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

fn not_found() -> Response<Full<Bytes>> {
    refusal(StatusCode::NOT_FOUND, &[], "not found\n")
}

fn unavailable() -> Response<Full<Bytes>> {
    let retry = [(header::RETRY_AFTER, "5")];
    refusal(StatusCode::SERVICE_UNAVAILABLE, &retry, "not available yet\n")
}

/// CORS: any page may read the sets, and ask whether they changed.
fn preflight() -> Response<Full<Bytes>> {
    let extra = [
        (header::ALLOW, METHODS),
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    refusal(StatusCode::NO_CONTENT, &extra, "")
}

/// An answer that nobody may store.
fn refusal(status: StatusCode, extra: &[(HeaderName, &'static str)], body: &'static str) -> Response<Full<Bytes>> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    headers.extend(extra.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
    response(status, headers, Bytes::from_static(body.as_bytes()))
}

fn response(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

const METHODS: &str = "GET, HEAD, OPTIONS";
