//! Flux's kustomize-controller brings a KeySet from Git: what a commit, its revert, drift and pruning come to.
//!
//! Of Flux's source-controller there is only what it leaves behind: an archive of a commit that HTTP serves, and a status
//! of the GitRepository that names it.

use std::{
    fs,
    future::IntoFuture,
    path::PathBuf,
    process::Command,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use bytes::Bytes;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyset_operator::jose::Digest;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::wait::{await_condition, conditions::is_crd_established},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cluster::binaries,
    health::kstatus,
    manifests::Kubectl,
    process::Process,
    proxy::{Call, Proxy},
    rig::{Rig, SET, Signer, key_set},
    until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn git_drives_a_key_set_and_a_revert_of_git_drives_nothing() {
    let mut flux = Flux::start(Rig::without_controller("flux").await).await;
    let added = flux.commit(json!({})).await;
    until("the KeySet", async || flux.rig.get("keysets", SET).await).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(flux.told("Ready").await["status"], "Unknown", "nobody has looked after it yet");
    flux.rig.start_controller();
    flux.applied(&added).await;
    let first = flux.rig.until_settled().await;

    let rotated = flux.commit(json!({"rotation": {"after": Rig::now()}})).await;
    flux.applied(&rotated).await;
    let second = flux.switched(&first).await;
    let reverted = flux.revert().await;
    flux.applied(&reverted).await;
    flux.stays(&second).await;

    // What cannot be honoured is told where people look, and at once, not when the time is up.
    flux.commit(json!({"rotation": {"pinnedKeyID": "nobody"}})).await;
    let told = until("a refusal", async || {
        let told = flux.told("Ready").await;
        (told["reason"] == "HealthCheckFailed").then_some(told["message"].to_string())
    })
    .await;
    assert!(told.contains(&format!("KeySet/flux/{SET} status: 'Failed'")), "{told}");
    let mended = flux.revert().await;
    flux.applied(&mended).await;
    flux.stays(&second).await;

    flux.does_not_fight(&second).await;
    flux.takes_nothing_back(&second).await;
    flux.prunes_and_brings_back().await;
    flux.rig.finish().await;
}

/// A namespace in which Flux brings the KeySet from a repository.
struct Flux {
    rig: Rig,
    api: Proxy,
    repository: PathBuf,
    /// What is served, and where.
    archive: Arc<Mutex<Bytes>>,
    url: String,
    _process: Process,
}

impl Flux {
    async fn start(rig: Rig) -> Self {
        apply_crds(&rig).await;
        let api = Proxy::start(rig.client.clone(), &rig.namespace).await;
        let archive: Arc<Mutex<Bytes>> = Arc::default();
        let served = Arc::clone(&archive);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
        let serve = axum::Router::new().fallback(async move || served.lock().unwrap().clone());
        tokio::spawn(axum::serve(listener, serve).into_future());
        let repository = rig.cluster.directory().join(&rig.namespace).join("repository");
        fs::create_dir_all(repository.join(DIRECTORY)).unwrap();
        let mut command = Command::new(built("kustomize-controller"));
        command.args(["--metrics-addr=0", "--health-addr=127.0.0.1:0", "--watch-all-namespaces=false"]);
        command.env("RUNTIME_NAMESPACE", &rig.namespace).env("TMPDIR", repository.parent().unwrap());
        let process = Process::run(&rig.cluster, "kustomize-controller", api.address, command);
        let flux = Self { rig, api, repository, archive, url, _process: process };
        flux.git(&["init", "--quiet", "--initial-branch=main"]);
        for (resource, text) in [
            ("gitrepositories", include_str!("../../examples/gitops/flux/source.yaml")),
            ("kustomizations", include_str!("../../examples/gitops/flux/keysets.yaml")),
        ] {
            let mut object: Value = serde_yaml::from_str(text).unwrap();
            object["metadata"]["namespace"] = json!(flux.rig.namespace);
            flux.rig.create(resource, &object).await;
        }
        flux
    }

    /// Commits the KeySet with `spec` laid over it; gives the revision that is served then.
    async fn commit(&self, spec: Value) -> String {
        let mut object = key_set(SET);
        crate::merge_patch::merge(&mut object["spec"], &spec);
        object["metadata"]["namespace"] = json!(self.rig.namespace);
        // What Argo CD goes by; Flux adds its own.
        object["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "argocd"});
        object["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "argocd:keyset.dev"});
        // YAML is a superset of JSON.
        fs::write(self.repository.join(DIRECTORY).join(MANIFEST), object.to_string()).unwrap();
        fs::write(self.repository.join(DIRECTORY).join("account.yaml"), ACCOUNT.replace("NAMESPACE", "flux")).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", &spec.to_string()]);
        self.publish().await
    }

    /// Takes the last commit back.
    async fn revert(&self) -> String {
        self.git(&["revert", "--no-edit", "HEAD"]);
        self.publish().await
    }

    /// What Flux's source-controller does about a commit.
    async fn publish(&self) -> String {
        let archive = Bytes::from(self.git(&["archive", "--format=tar.gz", "HEAD"]));
        let commit = String::from_utf8(self.git(&["rev-parse", "HEAD"])).unwrap();
        let (revision, digest) = (format!("main@sha1:{}", commit.trim()), Digest::of(&archive));
        *self.archive.lock().unwrap() = archive;
        let now = Rig::now();
        let status = json!({
            "observedGeneration": 1,
            "artifact": {
                "url": self.url, "path": "archive.tar.gz", "revision": revision, "digest": digest, "lastUpdateTime": now,
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored", "lastTransitionTime": now,
                "observedGeneration": 1,
            }],
        });
        self.rig.patch("gitrepositories", &format!("{NAME}/status"), json!({"status": status})).await;
        revision
    }

    /// Waits until Flux says that what it applied is healthy.
    async fn applied(&self, revision: &str) {
        until(&format!("{revision} to be healthy"), async || {
            let kustomization = self.rig.get("kustomizations", NAME).await?;
            let is_last = kustomization["status"]["lastAppliedRevision"] == revision;
            (is_last && self.told("Ready").await["status"] == "True").then_some(())
        })
        .await;
    }

    /// A condition of the Kustomization.
    async fn told(&self, r#type: &str) -> Value {
        let kustomization = self.rig.get("kustomizations", NAME).await.unwrap();
        let conditions = kustomization["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == r#type).unwrap_or_default()
    }

    /// Has Flux look again, and waits until it has.
    async fn look_again(&self) {
        let now = Rig::now();
        let request = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": now}}});
        self.rig.patch("kustomizations", NAME, request).await;
        until("another look", async || {
            let kustomization = self.rig.get("kustomizations", NAME).await?;
            (kustomization["status"]["lastHandledReconcileAt"] == now.as_str()).then_some(())
        })
        .await;
    }

    async fn switched(&self, before: &Signer) -> Signer {
        let signer = until("a rotation", async || self.rig.signer().await.filter(|now| now.term > before.term)).await;
        assert_eq!(signer.term, before.term + 1);
        self.stays(&signer).await;
        signer
    }

    /// Holds that this key signs, also when everything has come to rest.
    async fn stays(&self, signer: &Signer) {
        self.rig.until_settled().await;
        self.rig.until_quiet(2.0).await;
        assert_eq!(self.rig.signer().await.as_ref(), Some(signer));
    }

    /// Flux leaves alone what the operator made, whoever drifts.
    async fn does_not_fight(&self, signer: &Signer) {
        let tampered = json!({"data": {"jwks.json": "{\"keys\":[]}"}});
        self.rig.patch("configmaps", &format!("{SET}-jwks"), tampered).await;
        until("a repair", async || self.rig.published().await.contains(&signer.kid).then_some(())).await;
        self.stays(signer).await;
        let (written, ours) = (self.written(), self.rig.controller_api.writes().len());
        for _ in 0..3 {
            self.look_again().await;
        }
        self.stays(signer).await;
        assert_eq!(self.written(), written, "what nobody changed is written again");
        assert_eq!(self.rig.controller_api.writes().len(), ours, "a look of Flux is something to do");
        // One for each commit.
        assert_eq!(written, vec![format!("keysets/{SET}"); 5]);
        for object in [self.rig.list("keysets").await, self.rig.list("signingkeys").await].concat() {
            assert_eq!(kstatus(&object), "Current", "{object}");
        }
        for resource in ["signingkeys", "secrets", "configmaps"] {
            for object in self.rig.list(resource).await {
                let metadata = format!("{}{}", object["metadata"]["labels"], object["metadata"]["annotations"]);
                let is_claimed = metadata.contains("fluxcd.io") || metadata.contains("argocd");
                assert!(!is_claimed, "a mark that pruning goes by: {metadata}");
            }
        }
    }

    /// What Flux wrote of the kinds that are ours to make or to read.
    fn written(&self) -> Vec<String> {
        let ours = ["keysets", "signingkeys", "secrets", "configmaps"];
        let named = |call: &Call| format!("{}/{}", call.resource, call.name.as_deref().unwrap_or_default());
        let writes = self.api.writes();
        writes.iter().filter(|call| ours.contains(&call.resource.as_str())).map(named).collect()
    }

    /// A verb that somebody gave by kubectl leaves the spec at the next look of Flux; what it did stays done.
    async fn takes_nothing_back(&self, before: &Signer) {
        let Some(kubectl) = Kubectl::of(&self.rig) else {
            return println!("not tried, since there is no kubectl beside the control plane: an edit by hand");
        };
        let patch = json!({"spec": {"rotation": {"after": Rig::now()}}}).to_string();
        let namespace = &self.rig.namespace;
        kubectl.done(&["patch", "keyset", SET, "--type=merge", "--namespace", namespace, "--patch", &patch]);
        let signer = self.switched(before).await;
        self.look_again().await;
        let key_set = self.rig.get("keysets", SET).await.unwrap();
        assert!(key_set["spec"]["rotation"]["after"].is_null(), "Flux lets it stand: {key_set}");
        // What the plugin writes is none of Flux's.
        self.rig.kubectl_keyset(&["rotate", SET, "--at", "2099-01-01T00:00:00Z"]).ok();
        self.look_again().await;
        self.rig.kubectl_keyset(&["rotate", SET, "--cancel"]).ok();
        self.stays(&signer).await;
    }

    /// A KeySet that leaves Git goes; its keys stay, are served, and sign again when it comes back.
    async fn prunes_and_brings_back(&self) {
        let (signer, keys) = (self.rig.signer().await.unwrap(), self.rig.recorded().await);
        self.git(&["rm", "--quiet", &format!("{DIRECTORY}/{MANIFEST}")]);
        self.git(&["commit", "--quiet", "--message", "The KeySet goes"]);
        let removed = self.publish().await;
        self.applied(&removed).await;
        until("the end of the KeySet", async || self.rig.get("keysets", SET).await.is_none().then_some(())).await;
        self.rig.until_quiet(2.0).await;
        assert_eq!(self.rig.signer().await.as_ref(), Some(&signer));
        assert_eq!(self.rig.recorded().await, keys);
        assert!((0..2).all(|server| self.rig.witness().looks(server).last().unwrap().has(&signer.kid)));
        let back = self.revert().await;
        self.applied(&back).await;
        self.stays(&signer).await;
        // The end of the Kustomization itself is no other.
        self.rig.delete("kustomizations", NAME).await;
        until("the end of the KeySet", async || self.rig.get("keysets", SET).await.is_none().then_some(())).await;
        assert_eq!(self.rig.signer().await.as_ref(), Some(&signer));
    }

    fn git(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("git");
        // Neither the settings of who runs this nor a repository around it.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(&self.repository);
        command.args(["-c", "user.name=keyset", "-c", "user.email=keyset@example.com"]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// The CRDs of Flux.
pub(crate) async fn apply_crds(rig: &Rig) {
    let api: Api<CustomResourceDefinition> = Api::all(rig.client.clone());
    let text = fs::read_to_string(built("crds.yaml")).unwrap();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let crd = CustomResourceDefinition::deserialize(document).unwrap();
        let name = crd.name_any();
        api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&crd)).await.unwrap();
        await_condition(api.clone(), &name, is_crd_established()).await.unwrap();
    }
}

/// A file that `tools/flux` builds.
pub(crate) fn built(name: &str) -> PathBuf {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| binaries::built("flux", &[]).unwrap());
    DIRECTORY.join(name)
}

/// What the examples call both objects of Flux, and the directory of the manifests.
const NAME: &str = "keysets";
const DIRECTORY: &str = "keysets/production";
const MANIFEST: &str = "keyset.yaml";

/// Something that stays in Git: an empty directory is none.
const ACCOUNT: &str = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: issuer, namespace: NAMESPACE}}";
