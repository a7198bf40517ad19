//! What the documents tell people to type and to apply: every fence, and the commands in those of `sh`.
//!
//! `tests/fences.rs` applies each manifest and runs each command on a control plane. What takes Pods is in [`ON_A_NODE`], and
//! `make e2e` runs it. What nobody tries as it stands is in [`NOWHERE`], with the reason.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each program uses a part of this library; a fault ends it"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// A block of code in a document.
#[derive(Debug)]
pub(crate) struct Fence {
    pub(crate) document: String,
    /// Where it begins.
    pub(crate) line: usize,
    /// How many headings of the second level there were before.
    pub(crate) section: usize,
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Every fence of the README, of what is in docs, and of the chart's page.
pub(crate) fn fences() -> Vec<Fence> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md"), root.join("charts/keyset/README.md")];
    let mut directories = vec![root.join("docs")];
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
        .iter()
        .flat_map(|path| fences_of(path.strip_prefix(root).unwrap(), &fs::read_to_string(path).unwrap()))
        .collect()
}

fn fences_of(document: &Path, text: &str) -> Vec<Fence> {
    let document = document.display().to_string();
    let mut found = Vec::new();
    let mut open: Option<(usize, Fence)> = None;
    let mut section = 0;
    for (line, content) in (1..).zip(text.lines()) {
        let marker = content.trim_start().strip_prefix("```");
        match (&mut open, marker) {
            (None, None) => section += usize::from(content.starts_with("## ")),
            (None, Some(language)) => {
                let (document, language) = (document.clone(), language.trim().to_owned());
                let fence = Fence { document, line, section, language, text: String::new() };
                open = Some((content.len() - content.trim_start().len(), fence));
            }
            (Some(_), Some(_)) => found.extend(open.take().map(|(_, fence)| fence)),
            (Some((indent, fence)), None) => {
                fence.text.push_str(content.get(*indent..).unwrap_or_default());
                fence.text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "{document} does not close its last fence");
    found
}

impl Fence {
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    /// The name in its first line, when that is a comment with the name of a file and nothing else.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        Path::new(name).extension().filter(|_| !name.contains([' ', '/']))?;
        Some(name)
    }

    /// Whether it is in [`NOWHERE`] as a whole.
    pub(crate) fn is_nowhere(&self) -> bool {
        self.language != "sh" && is_listed(&nowhere(), &self.document, &self.text)
    }

    /// What a shell reads at once: a line, or several that belong together. Comments of their own are left out.
    pub(crate) fn commands(&self) -> Vec<String> {
        let (mut commands, mut open) = (Vec::new(), String::new());
        for line in self.text.lines() {
            if open.is_empty() && (line.trim().is_empty() || line.starts_with('#')) {
                continue;
            }
            open.push_str(line);
            if is_whole(&open) {
                commands.push(std::mem::take(&mut open));
            } else {
                open.push('\n');
            }
        }
        assert!(open.is_empty(), "{} ends within a command: {open}", self.place());
        commands
    }
}

/// A shell can read it, and waits for nothing more.
fn is_whole(text: &str) -> bool {
    let mut child = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{text}").unwrap();
    let output = child.wait_with_output().unwrap();
    !text.ends_with('\\') && output.status.success() && output.stderr.is_empty()
}

/// Each document with something in [`ON_A_NODE`], and the script that types it, with the functions that the document defines.
pub(crate) fn on_a_node() -> BTreeMap<String, String> {
    let mut scripts = BTreeMap::<String, String>::new();
    for fence in fences().iter().filter(|fence| fence.language == "sh") {
        for command in fence.commands() {
            let takes_pods = is_listed(ON_A_NODE, &fence.document, &command);
            if takes_pods || is_definition(&command) {
                *scripts.entry(fence.document.clone()).or_insert(PROLOGUE.to_owned()) += &typed(&command);
            }
        }
    }
    scripts.retain(|document, _| ON_A_NODE.iter().any(|(of, _)| of == document));
    scripts
}

/// As a line of a script that ends at the first failure. grep has looked, also where it finds nothing.
pub(crate) fn typed(command: &str) -> String {
    command.to_owned() + if command.contains("| grep ") { " || [ $? = 1 ]\n" } else { "\n" }
}

/// [`NOWHERE`] without the reasons.
pub(crate) fn nowhere() -> Vec<(&'static str, &'static str)> {
    NOWHERE.iter().map(|&(document, beginning, _)| (document, beginning)).collect()
}

/// Whether an entry of a list speaks of a command.
pub(crate) fn is_listed(list: &[(&str, &str)], document: &str, command: &str) -> bool {
    list.iter().any(|&(of, beginning)| of == document && command.starts_with(beginning))
}

/// What defines a function for the commands below it.
pub(crate) fn is_definition(command: &str) -> bool {
    command.lines().next().is_some_and(|line| line.ends_with("() {"))
}

/// Each part of a pipe must succeed, and whatever a script leaves running ends with it.
pub(crate) const PROLOGUE: &str = "set -o pipefail; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";

/// Document and beginning of each command that takes Pods.
pub(crate) const ON_A_NODE: &[(&str, &str)] = &[
    ("docs/incidents.md", "kubectl get --raw "),
    ("docs/runbook.md", "kubectl logs "),
    ("docs/runbook.md", "served"),
    ("docs/upgrade.md", "kubectl rollout status "),
];

/// Document, beginning of a command or of a fence that is none of `sh`, and why nobody tries it as it stands.
pub(crate) const NOWHERE: &[(&str, &str, &str)] = &[
    ("README.md", "make demo", "it takes a minute, and its parts have tests of their own"),
    ("README.md", "make test", "it would run itself"),
    ("docs/install.md", "make image", "it takes minutes, and `make e2e` does it"),
    ("docs/install.md", "skopeo copy ", "it needs a registry"),
    ("docs/install.md", "ctr ", "it needs a node; `make e2e` imports the image in the same way"),
    ("docs/issuers.md", "curl ", "it needs a name and a certificate; tests/controller/discovery.rs has both"),
    (
        "docs/issuers.md",
        "# --authentication-config",
        "a file of kube-apiserver's; tests/controller/discovery.rs starts one with its like",
    ),
    ("docs/issuers.md", "provider, err :=", "two lines of what tests/controller/discovery.rs runs"),
    ("docs/migration.md", "vault write ", "it needs a Vault"),
    ("docs/migration.md", "curl -s https://vault.example.com/", "it needs a Vault"),
    ("docs/quickstart.md", "make image", "as in docs/install.md"),
    ("docs/quickstart.md", "make demo", "as in README.md"),
    ("docs/quickstart.md", "cargo install ", "it takes minutes; the same program is run here"),
    ("docs/quickstart.md", "kind ", "it needs a container engine"),
    (
        "docs/quickstart.md",
        "kubectl port-forward ",
        "it needs a Pod; `make e2e` does it in `served` of docs/runbook.md",
    ),
];
