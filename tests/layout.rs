//! The module law (ARCHITECTURE.md): what each module of `src` never imports.
//!
//! Reads the source as text: every path in `use` declarations and in code, comments and literals
//! taken out, unit tests left out. `controller` never holds policy, which no import shows; reviews do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Whatever talks to something outside of the process, or waits for it.
const CLIENTS: &[&str] = &[
    "axum",
    "crate::controller",
    "crate::server",
    "hyper",
    "hyper_util",
    "kube::Api",
    "kube::Client",
    "kube::Config",
    "kube::api::Api",
    "kube::client",
    "kube::config",
    "kube::runtime",
    "kube_lease_manager",
    "std::net",
    "tokio::net",
    "tokio_rustls",
    "tower",
];
const CLOCK: &[&str] =
    &["jiff::Timestamp::now", "jiff::Zoned::now", "std::time::Instant", "std::time::SystemTime", "tokio::time"];
const RNG: &[&str] = &["getrandom", "rand", "rand_core", "rsa::rand_core"];
const SECRETS: &[&str] = &["crate::key_material", "k8s_openapi::api::core::v1::Secret"];
const TOKIO: &[&str] = &["tokio"];
const TRACING: &[&str] = &["crate::telemetry", "tracing", "tracing_subscriber"];

/// Module, and what it never imports.
const LAW: &[(&str, &[&[&str]])] = &[
    ("api", &[CLIENTS, CLOCK]),
    ("forecast", &[CLIENTS, CLOCK, RNG, TOKIO, TRACING]),
    ("issuer", &[CLIENTS, CLOCK, RNG]),
    ("jose", &[CLIENTS, RNG]),
    ("key_material", &[CLIENTS, TRACING]),
    ("lifecycle", &[CLIENTS, CLOCK, RNG, TOKIO, TRACING]),
    ("server", &[SECRETS]),
];

#[test]
fn modules_keep_the_law() {
    let mut broken = Vec::new();
    for &(module, forbidden) in LAW {
        let files = source_files(module);
        assert!(!files.is_empty(), "the module {module} is gone: put the table of the law right");
        for file in files {
            let found = violations(&fs::read_to_string(&file).unwrap(), forbidden);
            broken.extend(found.into_iter().map(|path| format!("{} uses {path}", file.display())));
        }
    }
    assert!(broken.is_empty(), "the module law is broken (ARCHITECTURE.md):\n{}", broken.join("\n"));
}

#[test]
fn violations_are_found() {
    let source = r#"
        //! use tokio::fs; is a comment, and so is kube::Client.
        use std::{fmt, time::{Duration, SystemTime as Wall}};
        use kube::{self, api::{Api, Patch}, Client as C, ResourceExt};
        pub use jiff::Timestamp;
        use super::super::server::store;
        /* tracing::warn /* nested */ tracing::warn */
        fn f(text: &'static str) -> char {
            let _ = (Timestamp::now(), "rand::random \" tower::Service", '"', r"tokio::net");
            crate::controller::run();
            tracing::info!("{}", getrandom::fill(&mut []));
            'tower: loop { break 'tower; }
        }
        #[cfg(test)]
        mod tests { use tokio::test; }
    "#;
    assert_eq!(
        violations(source, &[CLIENTS, CLOCK, RNG, TOKIO, TRACING]),
        [
            "crate::controller::run",
            "crate::server::store",
            "getrandom::fill",
            "jiff::Timestamp::now",
            "kube::Client",
            "kube::api::Api",
            "std::time::SystemTime",
            "tracing::info",
        ]
    );
    assert_eq!(violations(source, &[SECRETS]), [""; 0]);
}

#[test]
fn secrets_are_found_in_every_form() {
    for source in [
        "use k8s_openapi::api::core::v1::{ConfigMap, Secret};",
        "use k8s_openapi::api::core::v1; fn f(_: v1::Secret) {}",
        "use k8s_openapi::api::core::v1::*;",
        "use crate::{api, key_material::SecretData};",
    ] {
        assert_eq!(violations(source, &[SECRETS]).len(), 1, "{source}");
    }
    assert!(violations("use k8s_openapi::api::core::v1::{ConfigMap, SecretReference};", &[SECRETS]).is_empty());
}

/// The files of a module but for its unit tests.
fn source_files(module: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let file = src.join(format!("{module}.rs"));
    let mut found: Vec<PathBuf> = file.is_file().then_some(file).into_iter().collect();
    let mut directories = vec![src.join(module)];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
        for path in entries.filter(|path| path.file_stem().is_some_and(|stem| stem != "tests")) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The paths of `source` that `forbidden` names, or that lie below one it names; a glob import is every
/// path below it.
fn violations(source: &str, forbidden: &[&[&str]]) -> Vec<String> {
    let is_below = |path: &str, parent: &str| {
        path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let is_forbidden =
        |path: &String| {
            forbidden.iter().copied().flatten().any(|&name| {
                is_below(path, name) || path.strip_suffix("::*").is_some_and(|parent| is_below(name, parent))
            })
        };
    paths(&tokens(source)).into_iter().filter(is_forbidden).collect()
}

/// Words, `::` and single signs, without comments, literals and what follows `#[cfg(test)]`.
fn tokens(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            match &rest[..word] {
                "r" | "br" if rest[word..].starts_with(['"', '#']) => word + raw_string(&rest[word..]),
                name => {
                    tokens.push(name.to_owned());
                    word
                }
            }
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            char_or_lifetime(rest)
        } else {
            let sign = if rest.starts_with("::") { "::" } else { &rest[..first.len_utf8()] };
            if !first.is_whitespace() {
                tokens.push(sign.to_owned());
            }
            sign.len()
        };
        rest = &rest[length..];
    }
    tokens
}

fn raw_string(rest: &str) -> usize {
    let hashes = rest.find(|c| c != '#').unwrap_or(rest.len());
    let end = format!("\"{}", "#".repeat(hashes));
    rest[hashes..].get(1..).and_then(|body| body.find(&end)).map_or(rest.len(), |at| hashes + 1 + at + end.len())
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, _) in rest.match_indices(['/', '*']) {
        match rest.get(at..at + 2) {
            Some("/*") => depth += 1,
            Some("*/") => {
                depth -= 1;
                if depth == 0 {
                    return at + 2;
                }
            }
            _ => {}
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn char_or_lifetime(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    let is_char = chars.next() == Some('\\') || chars.next() == Some('\'');
    if is_char {
        quoted(rest, '\'')
    } else {
        1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0)
    }
}

/// Every path, whole: what `use` names, and what the code names by it.
fn paths(tokens: &[String]) -> BTreeSet<String> {
    let mut imported = Vec::new();
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at += 1;
            use_tree(tokens, &mut at, &[], &mut imported);
        } else if tokens[at].starts_with(is_word_start) {
            let path = plain_path(tokens, &mut at);
            if path.len() > 1 {
                found.insert(path);
            }
        } else {
            at += 1;
        }
    }
    let mut whole: BTreeSet<String> = imported.iter().map(|(_, path)| path.join("::")).collect();
    for path in found {
        let known = imported.iter().find(|(name, _)| *name == path[0]);
        let head = known.map_or_else(|| rooted(&path[..1]), |(_, path)| path.clone());
        whole.insert([&head[..], &path[1..]].concat().join("::"));
    }
    whole
}

/// Reads one branch of a `use` tree: pairs of the name that it brings and the whole path.
fn use_tree(tokens: &[String], at: &mut usize, parent: &[String], imported: &mut Vec<(String, Vec<String>)>) {
    let mut path = parent.to_vec();
    while *at < tokens.len() {
        let token = tokens[*at].as_str();
        *at += 1;
        match token {
            "{" => {
                while *at < tokens.len() && tokens[*at] != "}" {
                    use_tree(tokens, at, &path, imported);
                    *at += usize::from(tokens.get(*at).is_some_and(|token| token == ","));
                }
                *at += 1;
                return;
            }
            "::" => {}
            "self" if !path.is_empty() => {}
            word if word == "*" || word.starts_with(is_word_start) => path.push(word.to_owned()),
            _ => {
                *at -= 1;
                break;
            }
        }
        if tokens.get(*at).is_some_and(|token| token == "as") {
            imported.push((tokens[*at + 1].clone(), rooted(&path)));
            *at += 2;
            return;
        }
    }
    if let Some(name) = path.last() {
        imported.push((name.clone(), rooted(&path)));
    }
}

fn plain_path(tokens: &[String], at: &mut usize) -> Vec<String> {
    let mut path = vec![tokens[*at].clone()];
    *at += 1;
    while tokens.get(*at).is_some_and(|token| token == "::")
        && tokens.get(*at + 1).is_some_and(|t| t.starts_with(is_word_start))
    {
        path.push(tokens[*at + 1].clone());
        *at += 2;
    }
    path
}

/// `super::super::server` can only be a module of the crate; `super::x` may be the module's own, and is
/// as harmless as `crate::x` when it is.
fn rooted(path: &[String]) -> Vec<String> {
    let inner = path.iter().take_while(|word| *word == "super" || *word == "self").count();
    let root = (inner > 0).then(|| "crate".to_owned());
    root.into_iter().chain(path[inner..].iter().cloned()).collect()
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}
