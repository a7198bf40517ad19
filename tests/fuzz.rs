//! The fuzz targets without a fuzzer: every seed, and seeds that were changed by chance.
//!
//! `make fuzz TARGET=...` searches with coverage; this finds what a change breaks at once, on the stable toolchain.
//! `PROPTEST_CASES` sets how many changed seeds each target gets. What fails is kept as one more file in `fuzz/seeds`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a crate of its own there")]
mod targets;

use std::{env, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};

#[test]
fn secret_content() {
    run("secret_content", targets::secret_content);
}

#[test]
fn import() {
    run("import", targets::import);
}

#[test]
fn public_jwk() {
    run("public_jwk", targets::public_jwk);
}

#[test]
fn jwk_set() {
    run("jwk_set", targets::jwk_set);
}

#[test]
fn config_map_document() {
    run("config_map_document", targets::config_map_document);
}

#[test]
fn token() {
    run("token", targets::token);
}

#[test]
fn duration() {
    run("duration", targets::duration);
}

/// One change of a content. What lies beyond its end is cut to it.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Write(Index, Index),
    Insert(Index, Index),
    Cut(Index, usize),
    Truncate(Index),
    /// What follows is from another seed.
    Splice(Index, Index, Index),
    Repeat(Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        2 => (at(), at()).prop_map(|(at, word)| Edit::Write(at, word)),
        2 => (at(), at()).prop_map(|(at, word)| Edit::Insert(at, word)),
        2 => (at(), 1..40_usize).prop_map(|(at, length)| Edit::Cut(at, length)),
        1 => at().prop_map(Edit::Truncate),
        1 => (at(), at(), at()).prop_map(|(at, seed, from)| Edit::Splice(at, seed, from)),
        1 => (at(), 1..40_usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
    ]
}

impl Edit {
    fn apply(&self, content: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>]) {
        let end = content.len();
        let within = |at: &Index| at.index(end + 1);
        match self {
            Self::Flip(at, bit) => {
                if let Some(octet) = content.get_mut(within(at)) {
                    *octet ^= 1 << bit;
                }
            }
            Self::Write(at, word) => {
                let (at, word) = (within(at), word.get(words));
                content.splice(at..end.min(at + word.len()), word.iter().copied());
            }
            Self::Insert(at, word) => drop(content.splice(within(at)..within(at), word.get(words).iter().copied())),
            Self::Cut(at, length) => drop(content.drain(within(at)..end.min(within(at) + length))),
            Self::Truncate(at) => content.truncate(within(at)),
            Self::Splice(at, seed, from) => {
                let seed = seed.get(seeds);
                content.truncate(within(at));
                content.extend_from_slice(&seed[from.index(seed.len() + 1)..]);
            }
            Self::Repeat(at, length) => {
                let part = content[within(at)..end.min(within(at) + length)].to_vec();
                content.splice(within(at)..within(at), part);
            }
        }
    }
}

fn run(target: &str, check: impl Fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let files = fs::read_dir(root.join("seeds").join(target)).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    // The directory has its own order, and a failure must come again.
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    let words = words(&fs::read_to_string(root.join("dictionary")).unwrap());
    for seed in &seeds {
        check(seed);
    }

    let mut config = Config { failure_persistence: None, ..Config::default() };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let changed = (any::<Index>(), vec(edit(), 1..5), any::<bool>());
    let outcome = TestRunner::new(config).run(&changed, |(seed, edits, inside)| {
        let mut content = seed.get(&seeds).clone();
        let change = |content: &mut Vec<u8>| edits.iter().for_each(|edit| edit.apply(content, &seeds, &words));
        if !inside || !change_octets(&mut content, change) {
            change(&mut content);
        }
        check(&content);
        Ok(())
    });
    outcome.unwrap();
}

/// Changes what the base64 of a PEM stands for: a changed character alone seldom gets past the decoder.
fn change_octets(content: &mut Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> bool {
    let text = String::from_utf8_lossy(content).into_owned();
    let lines = || text.lines().map(str::trim);
    let (Some(begin), Some(end)) =
        (lines().find(|line| line.starts_with("-----BEGIN ")), lines().find(|line| line.starts_with("-----END ")))
    else {
        return false;
    };
    let body: String = lines().skip_while(|line| *line != begin).skip(1).take_while(|line| *line != end).collect();
    let Ok(mut octets) = STANDARD.decode(body) else { return false };
    change(&mut octets);
    *content = format!("{begin}\n{}\n{end}\n", STANDARD.encode(octets)).into_bytes();
    true
}

/// The words of a libFuzzer dictionary.
fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let quoted = dictionary.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(unescaped).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'\\' => match rest.next().unwrap() {
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                escaped => escaped,
            },
            octet => octet,
        });
    }
    octets
}

/// A target's share of some seconds.
const CASES: u32 = 1024;
