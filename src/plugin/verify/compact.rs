//! The compact form of a token (RFC 7515 section 7.1), and the JSON objects in it.

use serde_json::{Map, Value};

use super::check::quoted;
use crate::jose::{Json, from_base64url};

/// The three parts of a signed token. A part that is no base64url is `None`: the others can be told of all the same.
pub(super) struct Compact<'a> {
    pub(super) header: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) signature: Option<Vec<u8>>,
    /// What the signature is about.
    pub(super) message: &'a str,
    /// Which part is wrong, and how.
    pub(super) flaw: Option<String>,
}

impl<'a> Compact<'a> {
    pub(super) fn split(token: &'a str) -> Result<Self, String> {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else { return Err(no_token(token, parts.len())) };
        let flaw = [("header", header), ("payload", payload), ("signature", signature)]
            .into_iter()
            .find(|(_, part)| from_base64url(part).is_none())
            .map(|(name, part)| format!("the {name} is not base64url (RFC 7515 section 2): {}", no_base64url(part)));
        let message = &token[..header.len() + 1 + payload.len()];
        let [header, payload, signature] = [header, payload, signature].map(from_base64url);
        Ok(Self { header, payload, signature, message, flaw })
    }
}

/// Why this is no signed token in compact form.
fn no_token(token: &str, parts: usize) -> String {
    match parts {
        1 if token.trim().is_empty() => "there is no token: it is empty".to_owned(),
        1 if token.trim_start().starts_with('{') => {
            "this is JSON, not a token in compact form: a verifier of JWTs takes header.payload.signature".to_owned()
        }
        1 => "there are no dots in it: an opaque token. Only the server that issued it knows what it means; ask its \
              introspection endpoint (RFC 7662). A JWK Set says nothing about it"
            .to_owned(),
        5 => "it has five parts: an encrypted token (JWE). Only the owner of the decryption key can read it, and the \
              keys of a KeySet sign, they do not decrypt"
            .to_owned(),
        parts => format!(
            "it has {parts} parts between dots where a signed token has three (header, payload, signature): was it cut \
             off, or copied together with something else?"
        ),
    }
}

fn no_base64url(part: &str) -> String {
    let foreign = part.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
    match foreign {
        Some('=') => "it is padded with =, which JWS leaves out".to_owned(),
        Some(c @ ('+' | '/')) => format!("{c} is of the standard alphabet; base64url has - and _ instead"),
        Some(c) if c.is_whitespace() => "it has white space in it: take line breaks out".to_owned(),
        Some(c) => format!("{} does not belong there", quoted(&c.to_string())),
        None if part.len() % 4 == 1 => {
            "its length is impossible: a character is missing, or was it cut off?".to_owned()
        }
        None => "its last character has bits that say nothing, and they are not zero: was it changed?".to_owned(),
    }
}

/// The JSON object in a part. `what` is its name.
pub(super) fn object(what: &str, octets: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(octets).map_err(|_| format!("the {what} is not UTF-8"))?;
    let json: Json = serde_json::from_str(text).map_err(|error| format!("the {what} is not JSON: {error}"))?;
    if let Some(name) = json.doubled_member() {
        let name = quoted(name);
        return Err(format!("the {what} has the member {name} twice: one reader takes the first, another the last"));
    }
    // A map of its own: `Json` keeps no numbers.
    serde_json::from_str(text).map_err(|_| format!("the {what} must be a JSON object"))
}
