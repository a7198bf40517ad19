//! `kubectl keyset` on the real API server: what each verb says, word for word, and what it writes.
//!
//! What changes from run to run is named instead: `<time>`, `<span>`, and each kid by its number of appearance.

#[path = "complete.rs"]
mod complete;
#[path = "doctor.rs"]
mod doctor;
#[path = "export.rs"]
mod export;
#[path = "history.rs"]
mod history;
#[path = "hold.rs"]
mod hold;
#[path = "import.rs"]
mod import;
#[path = "pin.rs"]
mod pin;
#[path = "plan.rs"]
mod plan;
#[path = "revoke.rs"]
mod revoke;
#[path = "rotate.rs"]
mod rotate;
#[path = "status.rs"]
mod status;
#[path = "timeline.rs"]
mod timeline;
#[path = "token.rs"]
mod token;
#[path = "verify.rs"]
mod verify;
#[path = "why.rs"]
mod why;

use std::process::{Command, Stdio};

use keyset_operator::api::KeySet;
use kube::Api;
use kube::api::{Patch, PatchParams};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::rig::{Rig, SET, key_set};

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

    /// The one line that a run says which is refused.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let said = self.kubectl_keyset(arguments);
        assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (1, "", 1), "{arguments:?}: {said:?}");
        said.err.trim_end().strip_prefix("error: ").unwrap().to_owned()
    }

    /// Applies the KeySet of most tests with `spec` laid over it, as Flux and Argo CD do: with force.
    pub(crate) async fn apply_as(&self, manager: &str, spec: Value) {
        let mut object = key_set(SET);
        crate::merge_patch::merge(&mut object["spec"], &spec);
        self.patch_as(manager, &Patch::Apply(object), PatchParams::apply(manager).force()).await;
    }

    /// Lays `spec` over that of the KeySet as a client does that writes whole lists.
    pub(crate) async fn edit_as(&self, manager: &str, spec: Value) {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.patch_as(manager, &Patch::Merge(json!({ "spec": spec })), params).await;
    }

    async fn patch_as(&self, manager: &str, patch: &Patch<Value>, params: PatchParams) {
        let api: Api<KeySet> = Api::namespaced(self.client.clone(), &self.namespace);
        api.patch(SET, &params, patch).await.unwrap_or_else(|error| panic!("{manager}: {error}"));
    }

    /// Creates an object of a kind that no other test makes.
    pub(crate) async fn create_at(&self, url: &str, object: &Value) {
        let request = http::Request::post(url).header("content-type", "application/json");
        let request = request.body(object.to_string().into_bytes()).unwrap();
        self.client.request::<Value>(request).await.unwrap();
    }

    /// The spec of the KeySet.
    pub(crate) async fn spec(&self) -> Value {
        self.get("keysets", SET).await.unwrap()["spec"].clone()
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
    // A kid may begin and end with a hyphen, which is no boundary of a word.
    let word = Regex::new(r"[-_A-Za-z0-9]+").unwrap();
    let gap = Regex::new(r"(\S) {3,}").unwrap();
    let text = time.replace_all(text, "<time>");
    let text = span.replace_all(&text, "<span>");
    let mut kids: Vec<String> = Vec::new();
    let text = word.replace_all(&text, |found: &Captures<'_>| {
        if found[0].len() != 43 {
            return found[0].to_owned();
        }
        let index = kids.iter().position(|kid| *kid == found[0]).unwrap_or_else(|| {
            kids.push(found[0].to_owned());
            kids.len() - 1
        });
        format!("<kid {}>", index + 1)
    });
    gap.replace_all(&text, "$1   ").into_owned()
}
