//! Issuers: what their URLs say, where their documents are, and which namespace may have which host.
//!
//! Invariants: two URLs that verifiers take for the same issuer have one [`Address`]; a host that nobody was given is
//! nobody's, and both processes judge that by the same [`Consent`]. Pure: no client, no clock. Deliberately absent: which
//! of two KeySets has an issuer that both claim; whoever compares them knows their age.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::json;

use crate::jose::Algorithm;

/// The URL of an issuer, in the form that the API demands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer {
    url: String,
    address: Address,
}

/// Where the documents of an issuer are: what is left of its URL when nothing is in it that does not tell it from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Host, and port if it is not the default one.
    pub authority: String,
    /// Empty, or begins with a slash and does not end with one.
    pub path: String,
}

/// The URL of an issuer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an issuer is an https URL with a host, without query, fragment or user")]
pub struct IssuerError;

impl Issuer {
    /// As tokens and `issuer` of the documents have it, to the letter.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its documents are.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The host, without a port.
    pub fn host(&self) -> &str {
        let authority = &self.address.authority;
        authority.rsplit_once(':').map_or(authority, |(host, _)| host)
    }

    /// Every URL that has the same address.
    pub fn spellings(&self) -> [String; 2] {
        let url = self.url.trim_end_matches('/');
        [url.to_owned(), format!("{url}/")]
    }

    /// The namespace and name of the KeySet whose set is at that path on every host, if there is one.
    pub fn key_set(&self) -> Option<(&str, &str)> {
        let (namespace, name) = self.address.path.strip_prefix('/')?.split_once('/')?;
        (is_label(namespace) && is_label(name)).then_some((namespace, name))
    }

    /// The document of OpenID Connect Discovery 1.0 section 3 and of RFC 8414 section 2, for keys of these algorithms. It
    /// tells what a verifier needs; endpoints are not ours to have.
    pub fn metadata(&self, algorithms: &BTreeSet<Algorithm>) -> String {
        let algorithms: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        let metadata = json!({
            "issuer": self.url,
            "jwks_uri": format!("{}/.well-known/jwks.json", self.url.trim_end_matches('/')),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        });
        metadata.to_string()
    }
}

impl FromStr for Issuer {
    type Err = IssuerError;

    fn from_str(url: &str) -> Result<Self, IssuerError> {
        let rest = url.strip_prefix("https://").ok_or(IssuerError)?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if authority.is_empty() || rest.contains(['?', '#', '@']) || !rest.is_ascii() {
            return Err(IssuerError);
        }
        let address = Address { authority: normal(authority), path: path.trim_end_matches('/').to_owned() };
        Ok(Self { url: url.to_owned(), address })
    }
}

/// Host and port as an [`Address`] has them.
pub fn normal(authority: &str) -> String {
    let authority = authority.to_ascii_lowercase();
    authority.strip_suffix(":443").map_or_else(|| authority.clone(), ToOwned::to_owned)
}

/// Which hosts the administrator gives to which namespaces. By default none to any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent(Vec<Grant>);

impl Consent {
    /// Everything that is granted.
    pub fn of(grants: Vec<Grant>) -> Self {
        Self(grants)
    }

    /// Whether a KeySet of that namespace may have that issuer.
    pub fn covers(&self, issuer: &Issuer, namespace: &str) -> bool {
        self.0.iter().any(|grant| grant.host.matches(issuer.host()) && grant.namespaces.contain(namespace))
    }
}

/// One host, or the hosts right below one, for some namespaces: `HOST=NAMESPACE,...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    host: Pattern,
    namespaces: Namespaces,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Host(String),
    /// One label more than this domain has, as in a certificate.
    Below(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Namespaces {
    All,
    These(Vec<String>),
}

/// A grant cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no `=`.
    #[error("it must be HOST=NAMESPACE,... such as login.example.com=auth")]
    NoNamespace,
    /// Not a host.
    #[error("the host must be one such as login.example.com, or *.example.com for those below it")]
    Host,
    /// Not a name of a namespace.
    #[error("each namespace must be a name, or * alone for all of them")]
    Namespace,
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let (host, namespaces) = text.split_once('=').ok_or(GrantError::NoNamespace)?;
        Ok(Self { host: host.trim().parse()?, namespaces: namespaces.parse()? })
    }
}

impl FromStr for Pattern {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let text = text.to_ascii_lowercase();
        let (host, below) = text.strip_prefix("*.").map_or((text.as_str(), false), |domain| (domain, true));
        // A domain of one label is everybody's.
        if !host.split('.').all(is_label) || below && !host.contains('.') {
            return Err(GrantError::Host);
        }
        Ok(if below { Self::Below(host.to_owned()) } else { Self::Host(host.to_owned()) })
    }
}

impl Pattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Below(domain) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == domain)
            }
        }
    }
}

impl FromStr for Namespaces {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        match names[..] {
            ["*"] => Ok(Self::All),
            _ if names.iter().all(|name| is_label(name)) => {
                Ok(Self::These(names.into_iter().map(Into::into).collect()))
            }
            _ => Err(GrantError::Namespace),
        }
    }
}

impl Namespaces {
    fn contain(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.iter().any(|name| name == namespace),
        }
    }
}

/// A label of a host, and the name of a namespace.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(url: &str) -> Issuer {
        url.parse().unwrap()
    }

    fn consent(grants: &[&str]) -> Consent {
        Consent::of(grants.iter().map(|grant| grant.parse().unwrap()).collect())
    }

    #[test]
    fn one_issuer_has_one_address_however_it_is_spelt() {
        let address = issuer("https://login.example.com/a").address().clone();
        for url in
            ["https://Login.Example.COM:443/a/", "https://login.example.com/a/", "https://login.example.com:443/a"]
        {
            assert_eq!(*issuer(url).address(), address, "{url}");
            assert_eq!(issuer(url).url(), url);
            assert_eq!(issuer(url).host(), "login.example.com");
        }
        for url in ["https://login.example.com/A", "https://login.example.com", "https://login.example.com:8443/a"] {
            assert_ne!(*issuer(url).address(), address, "{url}");
        }
        assert_eq!(issuer("https://a.example/").address().path, "");
        assert_eq!(issuer("https://a.example:8443/").host(), "a.example");
    }

    #[test]
    fn each_spelling_has_the_same_address() {
        for url in ["https://a.example", "https://a.example/", "https://a.example:8443/x", "https://a.example/x/y/"] {
            let spellings = issuer(url).spellings();
            assert!(spellings.iter().any(|spelling| spelling == url), "{spellings:?}");
            assert!(spellings.iter().all(|spelling| issuer(spelling).address() == issuer(url).address()));
        }
    }

    #[test]
    fn what_is_no_issuer_is_refused() {
        for url in [
            "",
            "http://a.example",
            "https://",
            "https:///x",
            "https://a.example?x",
            "https://a@b.example",
            "https://ä.example",
        ] {
            assert_eq!(url.parse::<Issuer>(), Err(IssuerError), "{url}");
        }
    }

    #[test]
    fn the_metadata_name_the_issuer_to_the_letter_and_the_algorithms_in_one_order() {
        let algorithms = BTreeSet::from([Algorithm::ES256, Algorithm::RS256]);
        for (url, jwks) in [
            ("https://a.example", "https://a.example/.well-known/jwks.json"),
            ("https://a.example/x/", "https://a.example/x/.well-known/jwks.json"),
        ] {
            let metadata: serde_json::Value = serde_json::from_str(&issuer(url).metadata(&algorithms)).unwrap();
            assert_eq!(
                metadata,
                json!({
                    "issuer": url,
                    "jwks_uri": jwks,
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                })
            );
        }
    }

    #[test]
    fn docs_issuers_md_shows_what_is_served() {
        let page = include_str!("../docs/issuers.md");
        let block = |begin: &str| page.split(begin).nth(1).unwrap().split("```").next().unwrap();
        let url = block("    issuer: ").split_whitespace().next().unwrap();
        let shown: serde_json::Value = serde_json::from_str(block("```json\n")).unwrap();
        let served = issuer(url).metadata(&BTreeSet::from([Algorithm::RS256]));
        assert_eq!(shown, serde_json::from_str::<serde_json::Value>(&served).unwrap());
    }

    #[test]
    fn nothing_is_granted_by_default() {
        assert!(!Consent::default().covers(&issuer("https://login.example.com"), "auth"));
    }

    #[test]
    fn a_host_is_given_to_those_who_are_named() {
        let consent = consent(&["login.example.com=auth,shop", "*.id.example.com=*", "Other.example.com=a"]);
        for (url, namespace, is_covered) in [
            ("https://login.example.com/x", "auth", true),
            ("https://login.example.com:8443", "shop", true),
            ("https://login.example.com", "other", false),
            ("https://login.example.com", "aut", false),
            ("https://x.login.example.com", "auth", false),
            ("https://login.example.com.evil.example", "auth", false),
            ("https://a.id.example.com", "anybody", true),
            ("https://id.example.com", "anybody", false),
            ("https://.id.example.com", "anybody", false),
            ("https://a.b.id.example.com", "anybody", false),
            ("https://aid.example.com", "anybody", false),
            ("https://other.example.com", "a", true),
        ] {
            assert_eq!(consent.covers(&issuer(url), namespace), is_covered, "{url} {namespace}");
        }
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for (text, error) in [
            ("login.example.com", GrantError::NoNamespace),
            ("=auth", GrantError::Host),
            ("*=auth", GrantError::Host),
            ("*.com=auth", GrantError::Host),
            ("*.*.example.com=auth", GrantError::Host),
            ("a*.example.com=auth", GrantError::Host),
            ("https://login.example.com=auth", GrantError::Host),
            ("login.example.com:8443=auth", GrantError::Host),
            ("login..com=auth", GrantError::Host),
            ("login.example.com=", GrantError::Namespace),
            ("login.example.com=auth,", GrantError::Namespace),
            ("login.example.com=auth,*", GrantError::Namespace),
            ("login.example.com=Auth", GrantError::Namespace),
        ] {
            assert_eq!(text.parse::<Grant>(), Err(error), "{text}");
        }
    }
}
