//! ID token or access token: what it looks like, and what it is about to be used for (OpenID Connect Core section 2,
//! RFC 9068).
//!
//! Nothing here makes a token invalid: no claim says for sure what a token is, but `typ: at+jwt`.

use serde_json::{Map, Value};

use super::check::{Finding, advice, list, passed};

/// What the verifier lets the bearer do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Purpose {
    /// Use an API: wants an access token
    #[default]
    Api,
    /// Sign in to a client: wants an ID token
    Login,
}

pub(super) fn check(header: &Map<String, Value>, claims: &Map<String, Value>, purpose: Purpose) -> Finding {
    let is_marked = super::header::is_typ(header, "at+jwt");
    let mut id: Vec<&str> = present(claims, &["nonce", "at_hash", "c_hash", "auth_time"]);
    if is_for_its_client(claims) {
        id.push("aud is the client");
    }
    let mut access = present(claims, &["scope", "scp", "client_id"]);
    if is_marked {
        access.insert(0, "typ at+jwt");
    }
    let looks_like_access = is_marked || (id.is_empty() && !access.is_empty());
    let looks_like_id = !is_marked && !id.is_empty();
    match purpose {
        Purpose::Api if looks_like_id => advice(format!(
            "it looks like an ID token ({}): it tells its client who signed in, and an API must not take it for a \
             permission. Let the client send its access token; give access tokens typ at+jwt, and ask for it with --typ",
            list(id)
        )),
        Purpose::Login if looks_like_access => advice(format!(
            "it looks like an access token ({}): it lets its bearer use an API, and is no proof that its subject signed \
             in here, since anybody whom the user lets use an API has one. Take the ID token",
            list(access)
        )),
        Purpose::Api if looks_like_access => passed(format!("it looks like an access token ({})", list(access))),
        Purpose::Login if looks_like_id => passed(format!("it looks like an ID token ({})", list(id))),
        _ => passed("nothing tells whether it is an ID token or an access token; typ at+jwt would"),
    }
}

fn present<'a>(claims: &Map<String, Value>, names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| claims.contains_key(*name)).collect()
}

/// Whether the token is for the one that asked for it, as an ID token is. An access token is for an API.
fn is_for_its_client(claims: &Map<String, Value>) -> bool {
    let audience = match claims.get("aud") {
        Some(Value::Array(audiences)) if audiences.len() == 1 => audiences.first(),
        other => other,
    };
    audience.is_some() && ["azp", "client_id"].iter().any(|name| claims.get(*name) == audience)
}
