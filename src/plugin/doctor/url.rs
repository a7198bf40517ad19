//! What verifiers get at their URL: the same set, with headers that keep the contract, and no cache that breaks it.

use http::{HeaderMap, Uri, header};
use jiff::SignedDuration;
use kube::ResourceExt;

use super::cluster::compared;
use super::{Check, KeySet};
use crate::controller::now;
use crate::jose::Digest;
use crate::plugin::web::Web;

pub(super) async fn checks(web: &Web, url: &Uri, key_set: &KeySet) -> Vec<Check> {
    let subject = format!("{} at {url}", key_set.name_any());
    let answer = match web.get(url).await {
        Ok(answer) => answer,
        Err(error) => return vec![Check::fail(subject, error.to_string())],
    };
    let status = answer.status();
    if status.is_redirection() {
        let to = text(answer.headers(), &header::LOCATION).unwrap_or("nowhere");
        return vec![Check::fail(
            subject,
            format!("answers {status} to {to}, and many verifiers follow no redirect: give them that URL, or none"),
        )];
    }
    if status != http::StatusCode::OK {
        return vec![Check::fail(subject, format!("answers {status}: see the route to the servers"))];
    }
    let skew = key_set.spec.clock_skew.length();
    let date = text(answer.headers(), &header::DATE);
    vec![
        same(&subject, answer.body(), key_set),
        content_type(&subject, answer.headers()),
        caching(&subject, answer.headers(), key_set),
        age(&subject, answer.headers(), key_set),
        cors(&subject, answer.headers()),
        encryption(&subject, url),
        compared(&format!("clock of {url}"), "this machine's", "it", date, now(), skew),
    ]
}

fn same(subject: &str, body: &[u8], key_set: &KeySet) -> Check {
    let digest = Digest::of(body);
    match key_set.status.as_ref().and_then(|status| status.publication.as_ref()) {
        None => Check::skipped(subject, "nothing is published yet"),
        Some(publication) if publication.digest.as_ref() == Some(&digest) => {
            Check::ok(subject, "gives what is published, to the byte")
        }
        Some(publication) if publication.accepts(&digest) => {
            Check::warn(subject, "gives the set before the latest: a cache, or a replica that follows in seconds")
        }
        Some(_) => Check::fail(
            subject,
            "gives another document than was published: an old copy, another set, or something that rewrites it",
        ),
    }
}

fn content_type(subject: &str, headers: &HeaderMap) -> Check {
    match text(headers, &header::CONTENT_TYPE).unwrap_or("none") {
        found if found.starts_with("application/jwk-set+json") => {
            Check::ok(subject, format!("Content-Type is {found}"))
        }
        found if found.starts_with("application/json") => {
            Check::ok(subject, format!("Content-Type is {found}, which verifiers take, too"))
        }
        found => {
            Check::warn(subject, format!("Content-Type is {found}, and the server sends application/jwk-set+json"))
        }
    }
}

/// Law 4: what is sent keeps within `C`.
fn caching(subject: &str, headers: &HeaderMap, key_set: &KeySet) -> Check {
    let bound = key_set.spec.verifiers.max_cache_age.length().as_secs();
    let Some(found) = text(headers, &header::CACHE_CONTROL) else {
        return Check::fail(
            subject,
            "there is no Cache-Control: verifiers and caches choose how long they keep a copy",
        );
    };
    let directive = |name: &str| {
        let mut parts = found.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.trim_matches('"').parse::<i64>().ok())
    };
    let never = found.split(',').any(|part| ["no-store", "no-cache"].contains(&part.trim()));
    let Some(max_age) = directive("max-age").or(never.then_some(0)) else {
        return Check::fail(subject, format!("Cache-Control is {found:?}, without a max-age"));
    };
    // A shared cache goes by s-maxage.
    let fresh = max_age.max(directive("s-maxage").unwrap_or(0));
    let stale =
        directive("stale-while-revalidate").unwrap_or(0).max(0) + directive("stale-if-error").unwrap_or(0).max(0);
    let longest = fresh.saturating_add(stale);
    if longest > bound {
        return Check::fail(
            subject,
            format!(
                "Cache-Control is {found:?}: a copy may live for {longest} s, and maxCacheAge (C) is {bound} s: see what rewrites it"
            ),
        );
    }
    let wanted = key_set.spec.publication.cache_max_age.length().as_secs();
    if max_age == wanted.min(bound) {
        Check::ok(subject, format!("Cache-Control is {found:?}, within maxCacheAge (C), {bound} s"))
    } else {
        Check::warn(
            subject,
            format!("Cache-Control is {found:?}, and the server sends max-age={wanted}: something rewrites it"),
        )
    }
}

/// A cache in between tells how old its copy is.
fn age(subject: &str, headers: &HeaderMap, key_set: &KeySet) -> Check {
    let bound = key_set.spec.verifiers.max_cache_age.length();
    match text(headers, &header::AGE).map(|age| age.parse::<i64>().map(SignedDuration::from_secs)) {
        None => Check::ok(subject, "no cache in between tells of an old copy (no Age)"),
        Some(Ok(age)) if age > bound => Check::fail(
            subject,
            format!(
                "a cache in between gives a copy that is {} s old, and maxCacheAge (C) is {} s",
                age.as_secs(),
                bound.as_secs()
            ),
        ),
        Some(Ok(age)) => Check::ok(
            subject,
            format!(
                "a cache in between gives a copy that is {} s old: maxCacheAge (C) must cover it and the verifier's own",
                age.as_secs()
            ),
        ),
        Some(Err(_)) => Check::warn(subject, "Age is no number"),
    }
}

fn cors(subject: &str, headers: &HeaderMap) -> Check {
    match text(headers, &header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        Some("*") => Check::ok(subject, "any page may read it (CORS)"),
        found => Check::warn(
            subject,
            format!(
                "Access-Control-Allow-Origin is {}: verifiers in browsers may not read it",
                found.unwrap_or("absent")
            ),
        ),
    }
}

fn encryption(subject: &str, url: &Uri) -> Check {
    if url.scheme_str() == Some("https") {
        Check::ok(subject, "it is HTTPS")
    } else {
        Check::warn(subject, "it is not HTTPS: who is on the way can give verifiers keys of their own")
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Verdict::{self, Fail, Ok, Warn};
    use super::*;

    fn key_set() -> KeySet {
        serde_json::from_value(json!({
            "apiVersion": "keyset.dev/v1alpha1", "kind": "KeySet", "metadata": {"name": "pay"},
            "spec": {
                "algorithm": "ES256", "tokens": {"maxLifetime": "1h"},
                "verifiers": {"maxCacheAge": "1h"}, "publication": {"cacheMaxAge": "5m"},
            },
        }))
        .unwrap()
    }

    fn verdict(check: fn(&str, &HeaderMap, &KeySet) -> Check, name: header::HeaderName, value: &str) -> Verdict {
        let headers = [(name, value.parse().unwrap())].into_iter().collect();
        check("s", &headers, &key_set()).verdict
    }

    #[test]
    fn a_cache_control_keeps_within_c() {
        for (value, expected) in [
            ("public, max-age=300, stale-while-revalidate=300, stale-if-error=1650", Ok),
            ("public, max-age=300, stale-while-revalidate=3000, stale-if-error=1650", Fail),
            ("max-age=3601", Fail),
            ("max-age=60", Warn),
            ("no-store", Warn),
            ("public", Fail),
            ("max-age=300, s-maxage=86400", Fail),
        ] {
            assert_eq!(verdict(caching, header::CACHE_CONTROL, value), expected, "{value}");
        }
        assert_eq!(caching("s", &HeaderMap::new(), &key_set()).verdict, Fail);
    }

    #[test]
    fn a_copy_is_not_older_than_c() {
        for (value, expected) in [("0", Ok), ("3600", Ok), ("3601", Fail), ("old", Warn)] {
            assert_eq!(verdict(age, header::AGE, value), expected, "{value}");
        }
        assert_eq!(age("s", &HeaderMap::new(), &key_set()).verdict, Ok);
    }
}
