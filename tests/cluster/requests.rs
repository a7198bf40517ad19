//! What the API server was asked, from its metrics (Prometheus text format).

use std::collections::BTreeMap;

/// One kind of request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    /// In capitals: `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `GET`, `LIST`, `WATCH`.
    pub(crate) verb: String,
    /// In plural: `secrets`.
    pub(crate) resource: String,
    /// `status`, or nothing.
    pub(crate) subresource: String,
}

impl Request {
    /// Whether it asks for a change.
    pub(crate) fn is_write(&self) -> bool {
        ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"].contains(&self.verb.as_str())
    }
}

/// The counts of `apiserver_request_total`, added up over what tells less: result, version, scope.
pub(super) fn parse(metrics: &str) -> BTreeMap<Request, u64> {
    let mut counts = BTreeMap::new();
    for (labels, count) in metrics.lines().filter_map(sample) {
        let value = |name| label(labels, name).unwrap_or_default().to_owned();
        let request = Request { verb: value("verb"), resource: value("resource"), subresource: value("subresource") };
        *counts.entry(request).or_default() += count;
    }
    counts
}

fn sample(line: &str) -> Option<(&str, u64)> {
    let (labels, count) = line.strip_prefix("apiserver_request_total{")?.rsplit_once("} ")?;
    Some((labels, count.parse().ok()?))
}

/// None of these labels holds a quotation mark.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}
