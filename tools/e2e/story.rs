//! The chapters, in their order.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Failure, NAMESPACES, SYSTEM, Settings,
    audit::AuditLog,
    commands::{apply, feed, get, kubectl, run, until},
    documents,
    set::{Contract, Set},
    traffic::{self, Host, Phase, Traffic},
};

pub(crate) struct Story {
    contract: Contract,
    settings: Settings,
    audit: Option<AuditLog>,
    hosts: Vec<Host>,
    began: Instant,
}

impl Story {
    pub(crate) fn new(settings: Settings) -> Result<Self, Failure> {
        let host = |name| Host { url: settings.ingress_url.clone(), name };
        let mut hosts = vec![host(INGRESS)];
        hosts.extend(settings.gateway.as_ref().map(|_| host(GATEWAY)));
        let audit = settings.audit_log.clone().map(AuditLog::new);
        Ok(Self { contract: Contract::read(KEY_SETS, PAY)?, settings, audit, hosts, began: Instant::now() })
    }

    pub(crate) async fn tell(mut self) -> Result<(), Failure> {
        self.first_key().await?;
        let traffic = self.issuer().await?;
        self.busy_rotation(&traffic).await?;
        self.killed_server(&traffic).await?;
        self.stopped_kubelet(&traffic).await?;
        self.documented().await?;
        self.everything().await?;
        self.secrets_replaced().await?;
        self.restored_namespace().await?;
        self.compare_rights("the whole cluster").await?;
        let before = self.uninstall(&traffic).await?;
        self.reinstall(&traffic, &before).await?;
        self.everything().await?;
        self.compare_rights("two namespaces").await?;
        traffic.judge()?;
        self.tls(&traffic).await?;
        self.say(&format!("in all: {}", traffic.count()));
        Ok(())
    }

    /// From `helm install` to a set that a verifier outside gets.
    async fn first_key(&self) -> Result<(), Failure> {
        for namespace in NAMESPACES {
            kubectl(&format!("create namespace {namespace}")).await?;
            kubectl(&format!("label namespace {namespace} pod-security.kubernetes.io/enforce=restricted")).await?;
        }
        let began = Instant::now();
        self.helm("install", &[]).await?;
        self.say(&format!("helm install --wait took {}", seconds(began)));
        apply(KEY_SETS).await?;
        for host in &self.hosts {
            until("a key through the ingress", 60, async || traffic::published(self.contract, host).await.map(Some))
                .await?;
            self.say(&format!("{} after helm install began, {} serves a key", seconds(began), host.name));
        }
        if began.elapsed() > FIRST_KEY {
            return Err(format!("the first key took longer than {} s", FIRST_KEY.as_secs()).into());
        }
        Ok(())
    }

    /// An issuer in a Pod, and everybody who asks.
    async fn issuer(&self) -> Result<Traffic, Failure> {
        let Settings { signer_image, pull_policy, ingress_class, ingress_url, .. } = &self.settings;
        let issuer = ISSUER
            .replace("$SIGNER_IMAGE", signer_image)
            .replace("$PULL_POLICY", pull_policy)
            .replace("$INGRESS_CLASS", ingress_class);
        feed("kubectl", &["apply", "--server-side", "-n", "payments", "-f", "-"], &issuer).await?;
        kubectl("rollout status -n payments deployment/signer --timeout=60s").await?;
        let traffic =
            Traffic::start(self.contract, Host { url: ingress_url.clone(), name: "signer.test" }, &self.hosts);
        until("a token through the ingress", 30, async || Ok(traffic.tokens.newest())).await?;
        PAY.until_settled().await?;
        self.say("an issuer signs in a Pod, verifiers ask through the ingress");
        Ok(traffic)
    }

    /// A rotation while the servers are rolled, by another value of the chart, and the leader is killed.
    async fn busy_rotation(&self, traffic: &Traffic) -> Result<(), Failure> {
        let before = traffic.count();
        let (first, _) = PAY.until_settled().await?;
        PAY.rotate().await?;
        kill(&leader().await?).await?;
        self.helm("upgrade", &["--set", "logging.level=debug"]).await?;
        let lag = reload(traffic, &first).await?;
        self.say(&format!("the mounted Secret was {lag:.1} s late"));
        PAY.until_removed(&first).await?;
        until("many answers", 120, async || Ok((traffic.count().answers - before.answers >= ANSWERS).then_some(())))
            .await?;
        traffic.judge()?;
        let after = traffic.count();
        let (answers, verified) = (after.answers - before.answers, after.verified - before.verified);
        if verified < VERIFIED {
            return Err(format!("only {verified} tokens were verified").into());
        }
        self.say(&format!(
            "{answers} answers in a rotation, a rollout and a leader's end, all lawful; {verified} tokens verified"
        ));
        Ok(())
    }

    /// A server that dies without a word: an answer may be lost, a token may not.
    async fn killed_server(&self, traffic: &Traffic) -> Result<(), Failure> {
        let before = traffic.count();
        traffic.enter(Phase::Killing);
        let pods = get(&format!("pods -n {SYSTEM} -l app.kubernetes.io/component=server")).await?;
        kill(pods["items"][0]["metadata"]["name"].as_str().ok_or("no server runs")?).await?;
        kubectl(&format!("rollout status -n {SYSTEM} deployment/keyset-server --timeout=60s")).await?;
        sleep(Duration::from_secs(2)).await;
        traffic.enter(Phase::Strict);
        let lost = traffic.count().excused - before.excused;
        self.say(&format!(
            "a server was killed: {lost} of {} requests lost",
            traffic.count().answers - before.answers + lost
        ));
        traffic.judge()
    }

    /// No Pod starts, no Secret is swapped, for as long as a node may be silent without being given up.
    async fn stopped_kubelet(&self, traffic: &Traffic) -> Result<(), Failure> {
        let Some((stop, cont)) = &self.settings.kubelet else {
            self.say("left out: nobody here can stop a kubelet");
            return Ok(());
        };
        let (first, _) = PAY.until_settled().await?;
        run("sh", &["-c", stop]).await?;
        let rotated = PAY.rotate().await;
        sleep(Duration::from_secs(20)).await;
        run("sh", &["-c", cont]).await?;
        rotated?;
        let lag = reload(traffic, &first).await?;
        PAY.until_removed(&first).await?;
        self.say(&format!("a kubelet slept for 20 s in a rotation: the mounted Secret was {lag:.1} s late"));
        traffic.judge()
    }

    /// What documents say to type where there are Pods.
    async fn documented(&self) -> Result<(), Failure> {
        let pods = get(&format!("pods -n {SYSTEM} -l app.kubernetes.io/component=server")).await?;
        let pod = pods["items"][0]["metadata"]["name"].as_str().ok_or("no server runs")?;
        let scripts = documents::on_a_node();
        for (document, script) in &scripts {
            let script = script.replace("/auth/login/", "/payments/pay/").replace("NAMESPACE", "payments");
            let script = script.replace("NAME", "pay").replace("POD", pod);
            run("bash", &["-euc", &script]).await.map_err(|error| format!("{document}: {error}"))?;
        }
        let documents: Vec<&str> = scripts.keys().map(String::as_str).collect();
        self.say(&format!("what {} say to type does what it says", documents.join(" and ")));
        Ok(())
    }

    /// Everything that the operator ever does, so that all of its rights are used.
    async fn everything(&self) -> Result<(), Failure> {
        for _ in 0..3 {
            let (kid, _) = SHOP.until_settled().await?;
            SHOP.rotate().await?;
            SHOP.until_switched(&kid).await?;
        }
        SHOP.until_settled().await?;
        // Owner references, a ConfigMap that no patch puts right, and one that is lost.
        SHOP.edit(json!({ "deletionPolicy": "Delete" })).await?;
        until("an owner of the ConfigMap", 30, async || {
            Ok(SHOP.read("configmap", "-jwks").await?["metadata"]["ownerReferences"][0]["uid"].as_str().map(drop))
        })
        .await?;
        let spoilt = json!({ "immutable": true, "data": { "jwks.json": "{}" } });
        super::commands::merge("configmap -n orders shop-jwks", &spoilt).await?;
        until("another ConfigMap", 30, async || Ok((!SHOP.published().await?.is_empty()).then_some(()))).await?;
        kubectl("delete configmap -n orders shop-jwks").await?;
        until("a third ConfigMap", 30, async || Ok((!SHOP.published().await?.is_empty()).then_some(()))).await?;
        SHOP.edit(json!({ "deletionPolicy": "Retain" })).await?;
        SHOP.until_settled().await?;
        Ok(())
    }

    async fn secrets_replaced(&self) -> Result<(), Failure> {
        let before = SHOP.signer().await?;
        let secrets = kubectl("get secrets -n orders -o yaml").await?;
        feed("kubectl", &["replace", "-f", "-"], &secrets).await?;
        if SHOP.until_settled().await? != before {
            return Err("replaced Secrets moved the signer".into());
        }
        self.say("kubectl get secrets -o yaml | kubectl replace -f - passes, and changes nothing");
        Ok(())
    }

    /// A namespace ends while the admission policies watch, and comes back from a backup that has neither status nor
    /// owners.
    async fn restored_namespace(&self) -> Result<(), Failure> {
        let before = (SHOP.until_settled().await?.0, SHOP.published().await?);
        let mut backup = get("keysets,signingkeys,secrets,configmaps -n orders").await?;
        for object in backup["items"].as_array_mut().ok_or("a list has items")? {
            strip(object);
        }
        let items = backup["items"].as_array_mut().ok_or("a list has items")?;
        items.retain(|object| object["metadata"]["name"] != "kube-root-ca.crt");
        let began = Instant::now();
        kubectl("delete namespace orders --timeout=60s").await?;
        self.say(&format!("kubectl delete namespace took {}", seconds(began)));
        kubectl("create namespace orders").await?;
        feed("kubectl", &["create", "-f", "-"], &backup.to_string()).await?;
        let (kid, _) = SHOP.until_settled().await?;
        let published = SHOP.published().await?;
        if kid != before.0 || !before.1.is_subset(&published) {
            return Err(format!("restored, {kid} signs and {published:?} are published; it was {before:?}").into());
        }
        self.say("restored without status and owners, the same keys sign and are published");
        Ok(())
    }

    async fn compare_rights(&mut self, scope: &str) -> Result<(), Failure> {
        let Some(audit) = &mut self.audit else {
            self.say("left out: no audit log shows which rights were used");
            return Ok(());
        };
        let number = audit.compare().await?;
        self.say(&format!("in {scope}, all of the {number} rights were used, and no other was wanted"));
        Ok(())
    }

    /// Takes the release away; gives what must be as it was.
    async fn uninstall(&self, traffic: &Traffic) -> Result<Vec<Value>, Failure> {
        PAY.until_settled().await?;
        traffic.enter(Phase::Absent);
        let before = kept().await?;
        run("helm", &["uninstall", "keyset", "-n", SYSTEM, "--wait", "--timeout", "90s"]).await?;
        if kept().await? != before {
            return Err("helm uninstall changed keys, records or sets".into());
        }
        until("the end of the Pods", 60, async || {
            let pods = get(&format!("pods -n {SYSTEM}")).await?;
            Ok(pods["items"].as_array().is_some_and(Vec::is_empty).then_some(()))
        })
        .await?;
        let left =
            kubectl(&format!("get all,roles,rolebindings,leases,configmaps,secrets -n {SYSTEM} -o name")).await?;
        let left: Vec<&str> = left.lines().filter(|name| *name != "configmap/kube-root-ca.crt").collect();
        if left != ["lease.coordination.k8s.io/keyset-controller"] {
            return Err(format!("helm uninstall left {left:?}").into());
        }
        self.say("helm uninstall left every key and set; in its own namespace, the Lease");
        kubectl(&format!("delete lease -n {SYSTEM} keyset-controller")).await?;
        Ok(before)
    }

    /// Installs again, with rights in two namespaces only; nothing may rotate by that.
    async fn reinstall(&self, traffic: &Traffic, before: &[Value]) -> Result<(), Failure> {
        let signer = PAY.signer().await?;
        self.helm("install", &["--set", "watchNamespaces={payments,orders}"]).await?;
        for host in &self.hosts {
            until("the set to be served", 30, async || traffic::published(self.contract, host).await.map(Some)).await?;
        }
        traffic.enter(Phase::Strict);
        // A pass over every KeySet, and then some.
        sleep(Duration::from_secs(5)).await;
        if PAY.until_settled().await? != signer || keys(&kept().await?) != keys(before) {
            return Err("another installation rotated keys".into());
        }
        PAY.rotate().await?;
        let lag = reload(traffic, &signer.0).await?;
        self.say(&format!("installed again for two namespaces, the same keys signed; rotated, {lag:.1} s late"));
        traffic.judge()
    }

    /// The servers take the certificate of a mounted Secret, and plain HTTP is gone. The API server is the client.
    async fn tls(&self, traffic: &Traffic) -> Result<(), Failure> {
        traffic.enter(Phase::Absent);
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([INGRESS.to_owned()])?;
        let data = json!({ "tls.crt": cert.pem(), "tls.key": signing_key.serialize_pem() });
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "stringData": data,
            "metadata": { "name": "keys-tls", "namespace": SYSTEM },
        });
        apply(&secret.to_string()).await?;
        let values = "watchNamespaces={payments,orders},server.tls.enabled=true,server.tls.secretName=keys-tls";
        self.helm("upgrade", &["--set", values]).await?;
        let service = format!("/api/v1/namespaces/{SYSTEM}/services/https:keyset-server:https/proxy{}", traffic::PATH);
        until("the set over TLS", 30, async || {
            Ok(kubectl(&format!("get --raw {service}")).await?.contains("keys").then_some(()))
        })
        .await?;
        self.say("with the certificate of a Secret, the servers serve the same over TLS");
        Ok(())
    }

    async fn helm(&self, verb: &str, more: &[&str]) -> Result<(), Failure> {
        let Settings { image, pull_policy, ingress_class, gateway, .. } = &self.settings;
        let (repository, tag) = image.rsplit_once(':').ok_or("E2E_IMAGE lacks its tag")?;
        let mut values = json!({
            "image": {"repository": repository, "tag": tag, "pullPolicy": pull_policy},
            "ingress": {"enabled": true, "className": ingress_class, "hosts": [{"host": INGRESS, "path": "/"}]},
        });
        if let Some((namespace, name)) = gateway.as_ref().and_then(|gateway| gateway.split_once('/')) {
            let parent = json!([{"namespace": namespace, "name": name}]);
            values["httpRoute"] = json!({"enabled": true, "parentRefs": parent, "hostnames": [GATEWAY]});
        }
        let mut arguments = vec![verb, "keyset", CHART, "-n", SYSTEM, "--wait", "--timeout", "120s", "--values", "-"];
        arguments.extend(more);
        feed("helm", &arguments, &values.to_string()).await.map(drop)
    }

    fn say(&self, what: &str) {
        println!("{:5.0} s  {what}", self.began.elapsed().as_secs_f64());
    }
}

/// How long after the switch from that key the issuer signed with the next, in seconds; an error if it is longer than L.
async fn reload(traffic: &Traffic, from: &str) -> Result<f64, Failure> {
    let (kid, switched) = PAY.until_switched(from).await?;
    let seen = until("a token of the next key", 120, async || Ok(traffic.tokens.first_seen(&kid))).await?;
    let lag = seen.duration_since(switched).as_secs_f64();
    if lag > traffic.contract.reload_lag.as_secs_f64() {
        Err(format!("the mounted Secret was {lag} s late").into())
    } else {
        Ok(lag)
    }
}

/// The Pod of the controller that holds the Lease: its name is the holder's without the last part.
async fn leader() -> Result<String, Failure> {
    let lease = get(&format!("lease -n {SYSTEM} keyset-controller")).await?;
    let holder = lease["spec"]["holderIdentity"].as_str().ok_or("nobody leads")?;
    Ok(holder.rsplit_once('-').ok_or("a holder is a Pod and a random part")?.0.to_owned())
}

/// Without time to say goodbye.
async fn kill(pod: &str) -> Result<(), Failure> {
    kubectl(&format!("delete pod -n {SYSTEM} {pod} --grace-period=0 --force")).await.map(drop)
}

/// What an uninstallation leaves: the CRDs, and every object of every set.
async fn kept() -> Result<Vec<Value>, Failure> {
    let mut kept = Vec::new();
    for words in [
        "crd keysets.keyset.dev signingkeys.keyset.dev",
        "keysets,signingkeys -A",
        "secrets,configmaps -A -l keyset.dev/keyset",
    ] {
        let objects = get(words).await?;
        kept.extend(objects["items"].as_array().ok_or("a list has items")?.iter().map(|object| {
            json!({
                "kind": object["kind"], "namespace": object["metadata"]["namespace"], "name": object["metadata"]["name"],
                "uid": object["metadata"]["uid"], "data": object["data"], "keys": object["status"]["keys"],
                "publicJWK": object["spec"]["publicJWK"],
            })
        }));
    }
    Ok(kept)
}

/// Those of them that are key material.
fn keys(kept: &[Value]) -> Vec<&Value> {
    kept.iter().filter(|object| object["kind"] == "Secret" || object["kind"] == "SigningKey").collect()
}

/// As a backup that knows nothing of us is restored.
fn strip(object: &mut Value) {
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| ["name", "namespace", "labels", "annotations"].contains(&name.as_str()));
    }
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/keyset");
const KEY_SETS: &str = include_str!("keysets.yaml");
const ISSUER: &str = include_str!("issuer.yaml");
const PAY: Set = Set { namespace: "payments", name: "pay" };
const SHOP: Set = Set { namespace: "orders", name: "shop" };
const INGRESS: &str = "keys.ingress.test";
const GATEWAY: &str = "keys.gateway.test";
/// From `helm install` to the first key outside, with the image in place.
const FIRST_KEY: Duration = Duration::from_secs(30);
/// Through a rotation, a rollout and the end of a leader.
const ANSWERS: u64 = 10_000;
const VERIFIED: u64 = 1_000;
