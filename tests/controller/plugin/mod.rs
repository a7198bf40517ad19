//! `kubectl keyset` on the real API server: what each verb says, word for word, and what it writes.
//!
//! What changes from run to run is named instead: `<time>`, `<span>`, and each kid by its number of appearance.

#[path = "plan.rs"]
mod plan;
#[path = "status.rs"]
mod status;
#[path = "token.rs"]
mod token;
#[path = "verify.rs"]
mod verify;

use std::process::{Command, Stdio};

use regex::{Captures, Regex};

use crate::rig::Rig;

/// What a run of `kubectl keyset` left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Rig {
    /// Runs `kubectl keyset` in the namespace of the rig, as an administrator.
    pub(crate) fn kubectl_keyset(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-keyset"));
        command.args(arguments).args(["-n", &self.namespace]).env("KUBECONFIG", self.cluster.kubeconfig());
        said(command)
    }
}

/// Runs a command that asks nothing.
pub(crate) fn said(mut command: Command) -> Said {
    let output = command.env_remove("COLUMNS").stdin(Stdio::null()).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

impl Said {
    /// Standard output of a run that went well.
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }
}

/// The text without what changes from run to run; runs of spaces count as one column gap.
pub(crate) fn tidy(text: &str) -> String {
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap();
    let span = Regex::new(r"\bin (\d+[dhms])+|(\d+[dhms])+ ago|\bnow\b").unwrap();
    let kid = Regex::new(r"\b[-_A-Za-z0-9]{43}\b").unwrap();
    let gap = Regex::new(r"(\S) {3,}").unwrap();
    let text = time.replace_all(text, "<time>");
    let text = span.replace_all(&text, "<span>");
    let mut kids: Vec<String> = Vec::new();
    let text = kid.replace_all(&text, |found: &Captures<'_>| {
        let index = kids.iter().position(|kid| *kid == found[0]).unwrap_or_else(|| {
            kids.push(found[0].to_owned());
            kids.len() - 1
        });
        format!("<kid {}>", index + 1)
    });
    gap.replace_all(&text, "$1   ").into_owned()
}
