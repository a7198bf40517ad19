//! `token`: a test token, signed with the active key as a signer would, by a caller who may read the Signer Secret.
//!
//! Invariants: it never lives longer than the KeySet allows; only the token is printed; the key stays in `key_material`.

use http::Request;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::session::Session;
use super::{Answer, Error, Outcome, output};
use crate::api::{Duration, KeySet};
use crate::jose::base64url;
use crate::key_material::{KeyError, KeyPair, SecretData};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet whose active key signs
    #[arg(value_name = "NAME")]
    name: String,
    /// Value of iss [default: the issuer of the KeySet, if it has one]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Value of aud; repeat it for more
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// Value of sub
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Another claim; a value that is not JSON is taken for a string
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, Value)>,
    /// How long it is good [default: 5m, or maxLifetime if that is less; never more than maxLifetime]
    #[arg(long, value_name = "DURATION", value_parser = |text: &str| text.parse::<Duration>())]
    expires_in: Option<Duration>,
    /// Value of typ in the header; at+jwt for an access token of RFC 9068
    #[arg(long, value_name = "TYPE", default_value = "JWT")]
    typ: String,
}

/// The part of the Signer Secret that matters. The type of the client library prints its data.
#[derive(Deserialize)]
struct SignerSecret {
    #[serde(default)]
    data: SecretData,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let key_set = session.key_set(&arguments.name).await?;
    let claims = arguments.claims(&key_set, session.now.as_second())?;
    let key = signer(session, &key_set).await?;
    let header = json!({ "alg": key.algorithm(), "kid": key.kid(), "typ": arguments.typ });
    let token = signed(&key, &header, &Value::Object(claims)).map_err(|error| Error::Refused(error.to_string()))?;
    output::print(&format!("{token}\n"))?;
    Ok(Answer::Yes)
}

impl Arguments {
    fn claims(&self, key_set: &KeySet, now: i64) -> Result<Map<String, Value>, Error> {
        let longest = &key_set.spec.tokens.max_lifetime;
        let lifetime = match &self.expires_in {
            Some(asked) if asked.length() > longest.length() => {
                return Err(Error::Refused(format!(
                    "--expires-in {asked} is longer than spec.tokens.maxLifetime, {longest}: the key may leave the set before such a token ends"
                )));
            }
            Some(asked) => asked.length(),
            None => longest.length().min(USUAL),
        };
        let mut claims = Map::from_iter([
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now.saturating_add(lifetime.as_secs()))),
        ]);
        let audience = match &self.audience[..] {
            [] => None,
            [one] => Some(json!(one)),
            several => Some(json!(several)),
        };
        let own =
            || key_set.spec.publication.issuer.as_ref().filter(|_| self.claim.iter().all(|(name, _)| name != "iss"));
        let issuer = self.issuer.as_ref().or_else(own).map(|it| json!(it));
        let named = [("iss", issuer), ("aud", audience), ("sub", self.subject.as_ref().map(|it| json!(it)))];
        let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        for (name, value) in named.chain(self.claim.iter().cloned()) {
            if claims.contains_key(&name) {
                return Err(Error::Refused(format!("the claim {name:?} is set twice, or not by --claim")));
            }
            claims.insert(name, value);
        }
        Ok(claims)
    }
}

/// The active key, if the caller may read it.
async fn signer(session: &Session, key_set: &KeySet) -> Result<KeyPair, Error> {
    let name = key_set.signer_secret_name();
    let path = format!("/api/v1/namespaces/{}/secrets/{name}", session.namespace);
    let request = Request::get(path).body(Vec::new()).map_err(|error| Error::Refused(error.to_string()))?;
    let secret = match session.client.request::<SignerSecret>(request).await {
        Ok(secret) => secret,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Err(Error::Refused(format!(
                "the Signer Secret {name} is not there yet: see `kubectl keyset status {}`",
                key_set.metadata.name.as_deref().unwrap_or_default()
            )));
        }
        Err(error) => return Err(Error::api(error)),
    };
    KeyPair::from_secret_data(&secret.data)
        .map_err(|error| Error::Refused(format!("the Signer Secret {name}: {error}")))
}

/// The compact form (RFC 7515 section 3.1).
fn signed(key: &KeyPair, header: &Value, claims: &Value) -> Result<String, KeyError> {
    let message = [header, claims].map(|part| base64url(part.to_string().as_bytes())).join(".");
    Ok(format!("{message}.{}", base64url(&key.sign(message.as_bytes())?)))
}

fn claim(text: &str) -> Result<(String, Value), &'static str> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("it must be NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value))))
}

const USUAL: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
