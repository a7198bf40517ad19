//! What the chart renders, by tools of others that `tools/chart/build.sh checks` builds. How both processes get on with it is
//! in `tests/controller/chart.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde::Deserialize;
use serde_json::Value;

#[path = "chart/alerts.rs"]
mod alerts;
#[path = "cluster/mod.rs"]
mod cluster;
#[path = "chart/installed.rs"]
mod installed;
#[path = "chart/manifests.rs"]
mod manifests;
#[path = "chart/queries.rs"]
mod queries;
#[path = "chart/references.rs"]
mod references;
#[path = "chart/schemas.rs"]
mod schemas;
#[path = "chart/score.rs"]
mod score;

#[test]
fn every_template_renders_what_its_suite_says() {
    check("helm-unittest").args(["--strict", "charts/keyset"]).within(root());
    let names = |directory: &str, end: &str| -> BTreeSet<String> {
        let files = fs::read_dir(root().join("charts/keyset").join(directory)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap().to_lowercase());
        names.filter_map(|name| Some(name.strip_suffix(end)?.to_owned())).collect()
    };
    let mut templates = names("templates", ".yaml");
    templates.extend(names("templates", ".txt"));
    assert_eq!(names("tests", "_test.yaml"), templates, "a suite for each template");
}

/// The directory of the tools, and of the APIs that the chart must fit.
static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| cluster::binaries::built("chart", &["checks"]).unwrap());

/// A tool that must be content.
struct Check(Command);

fn check(tool: &str) -> Check {
    Check(Command::new(TOOLS.join(tool)))
}

impl Check {
    fn args<S: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Runs in a directory; gives what it prints.
    fn within(self, directory: &Path) -> String {
        self.attempt(directory).unwrap_or_else(|complaint| panic!("{complaint}"))
    }

    /// Runs in a directory; gives what it prints, or its complaint.
    fn attempt(mut self, directory: &Path) -> Result<String, String> {
        let output = self.0.current_dir(directory).output().unwrap();
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(said.into_owned()) } else { Err(format!("{:?}\n{said}{complaint}", self.0)) }
    }
}

/// The objects of the chart, installed as `keyset` in the namespace `keyset-system`.
fn render(arguments: &[&str]) -> Vec<Value> {
    objects(&template("helm", arguments))
}

fn template(helm: &str, arguments: &[&str]) -> String {
    let chart = ["template", "keyset", "charts/keyset", "--namespace", "keyset-system"];
    check(helm).args(chart).args(arguments).within(root())
}

fn objects(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
    documents.filter(|document| !document.is_null()).collect()
}

/// An empty directory.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chart").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
