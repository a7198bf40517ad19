//! What documents show is true: every manifest is taken by a real API server, and every command does what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "cluster/mod.rs"]
mod cluster;
#[path = "fences/commands.rs"]
mod commands;
mod documents;
#[path = "fences/manifests.rs"]
mod manifests;
mod merge_patch;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// helm, jq, and the CRDs of others.
static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| cluster::binaries::built("chart", &["checks"]).unwrap());

#[test]
fn every_fence_is_held_to_something() {
    let fences = documents::fences();
    assert!(fences.len() > 40, "the fences are not found");
    let mut wrong = Vec::new();
    for fence in fences {
        let is_held = match fence.language.as_str() {
            // Output, and what is no code; the others have tests below.
            "" | "text" | "yaml" | "sh" => true,
            "json" => serde_json::from_str::<serde_json::Value>(&fence.text).is_ok(),
            // A command of the same document reads the file.
            "jq" => fence.file().is_some(),
            // The file has a test that runs it.
            language => is_an_example(language, &fence.text) || fence.is_nowhere(),
        };
        if !is_held {
            wrong.push(format!("{} of {}", fence.language, fence.place()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}: show a file of examples as it is");
}

/// Whether a file of that language in examples has exactly this text.
fn is_an_example(language: &str, text: &str) -> bool {
    let extensions: &[&str] = match language {
        "python" => &["py"],
        "javascript" => &["js", "mjs"],
        "go" => &["go"],
        "rust" => &["rs"],
        "toml" => &["toml"],
        _ => return false,
    };
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")];
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| extensions.iter().any(|extension| it == *extension))
                && fs::read_to_string(path).unwrap() == text
            {
                return true;
            }
        }
    }
    false
}
