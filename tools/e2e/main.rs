//! `make e2e`: the life of an installation on a real cluster, told by `helm`, `kubectl` and verifiers who come through an
//! ingress.
//!
//! Each chapter of `story` prints what it found; the first thing that is not as it should be ends the story, with the
//! logs. Whatever the story made, it removes. Absent on purpose: everything that the tests on a control plane show
//! (tests/controller), unless it takes kubelets, Pods, Services or an ingress to show it.

mod audit;
mod commands;
#[path = "../../tests/documents/mod.rs"]
mod documents;
#[path = "../../tests/rights/mod.rs"]
mod rights;
mod set;
mod story;
mod tokens;
mod traffic;

use std::{env, error::Error, path::PathBuf, process::ExitCode};

use commands::{kubectl, run};
use jiff::Timestamp;
use story::Story;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let told = match Settings::read() {
        Ok(settings) => tell(settings).await,
        Err(failure) => Err(failure),
    };
    match told {
        Ok(()) => {
            println!("e2e: all is well");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("e2e: FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// What the script that starts this program knows of the cluster.
struct Settings {
    /// `REPOSITORY:TAG` of the operator, and of the issuer.
    image: String,
    signer_image: String,
    pull_policy: String,
    /// `http://ADDRESS:PORT`, and the class of Ingresses that are served there.
    ingress_url: String,
    ingress_class: String,
    /// `NAMESPACE/NAME` of the Gateway that serves HTTPRoutes at the same place, if there is one.
    gateway: Option<String>,
    /// The audit log of the API server, if it can be read.
    audit_log: Option<PathBuf>,
    /// Shell commands that stop the kubelets and let them go on, if somebody can.
    kubelet: Option<(String, String)>,
}

impl Settings {
    fn read() -> Result<Self, Failure> {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let needed = |name: &str| text(name).ok_or_else(|| format!("{name} is not set: see tools/e2e/run.sh"));
        Ok(Self {
            image: needed("E2E_IMAGE")?,
            signer_image: needed("E2E_SIGNER_IMAGE")?,
            pull_policy: text("E2E_PULL_POLICY").unwrap_or_else(|| "IfNotPresent".to_owned()),
            ingress_url: needed("E2E_INGRESS_URL")?,
            ingress_class: needed("E2E_INGRESS_CLASS")?,
            gateway: text("E2E_GATEWAY"),
            audit_log: text("E2E_AUDIT_LOG").map(PathBuf::from),
            kubelet: text("E2E_STOP_KUBELET").zip(text("E2E_CONTINUE_KUBELET")),
        })
    }
}

/// The one clock of the story.
#[expect(clippy::disallowed_methods, reason = "a story takes place now")]
fn clock() -> Timestamp {
    Timestamp::now()
}

async fn tell(settings: Settings) -> Result<(), Failure> {
    // What is removed at the end must not be somebody's.
    if kubectl("get crd keysets.keyset.dev").await.is_ok() {
        return Err("there are KeySets in this cluster: uninstall keyset first, with its CRDs".into());
    }
    for namespace in NAMESPACES {
        if kubectl(&format!("get namespace {namespace}")).await.is_ok() {
            return Err(format!("there is a namespace {namespace} in this cluster, that the test would remove").into());
        }
    }
    let told = Story::new(settings)?.tell().await;
    if told.is_err() {
        show().await;
    }
    let removed = remove().await;
    told.and(removed)
}

/// Prints whatever may explain a failure.
async fn show() {
    for words in [
        "get all,ingress,httproute -A -o wide",
        "get keysets,signingkeys,configmaps -n payments -o yaml",
        "get keysets,signingkeys,configmaps -n orders -o yaml",
        "get events -A --sort-by=.lastTimestamp",
        "logs -n keyset-system -l app.kubernetes.io/name=keyset --prefix --tail=200",
        "logs -n payments -l app=signer --prefix --tail=50",
    ] {
        let text = kubectl(words).await.unwrap_or_else(|error| error.to_string());
        println!("--- kubectl {words}\n{text}");
    }
}

async fn remove() -> Result<(), Failure> {
    let _ = run("helm", &["uninstall", "keyset", "-n", SYSTEM, "--wait", "--ignore-not-found"]).await;
    let namespaces = NAMESPACES.join(" ");
    kubectl(&format!("delete namespace --ignore-not-found --timeout=90s {namespaces}")).await?;
    kubectl("delete crd --ignore-not-found --timeout=60s keysets.keyset.dev signingkeys.keyset.dev").await?;
    Ok(())
}

const SYSTEM: &str = "keyset-system";
const NAMESPACES: &[&str] = &[SYSTEM, "payments", "orders"];
