//! One namespace of the cluster with a controller and two servers of its own.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    process::Process,
    proxy::Proxy,
    until,
    witness::{Clock, Witness},
};

/// The KeySet of most tests.
pub(crate) const SET: &str = "pay";

/// Drop ends its processes. Call `finish` at the end of a test: it holds the history against the laws.
pub(crate) struct Rig {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) namespace: String,
    pub(crate) client: Client,
    pub(crate) controller_api: Proxy,
    install: Install,
    /// One for each server that was ever started.
    server_apis: Mutex<Vec<Proxy>>,
    pub(crate) controller: Option<Process>,
    pub(crate) servers: Vec<Server>,
    witness: Witness,
    /// Every log that was written.
    logs: Arc<Mutex<Vec<std::path::PathBuf>>>,
}

/// How both processes are installed.
#[derive(Default)]
pub(crate) struct Install {
    /// Who they are; administrators, if nobody.
    pub(crate) controller_account: Option<String>,
    pub(crate) server_account: Option<String>,
    /// Further arguments of both.
    pub(crate) flags: Vec<String>,
}

pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) api: Proxy,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Rig {
    /// Starts everything.
    pub(crate) async fn start(namespace: &str) -> Self {
        let mut rig = Self::without_controller(namespace).await;
        rig.start_controller();
        rig
    }

    /// Starts two servers.
    pub(crate) async fn without_controller(namespace: &str) -> Self {
        Self::without_controller_on(crate::cluster().await, namespace).await
    }

    pub(crate) async fn without_controller_on(cluster: Arc<Cluster>, namespace: &str) -> Self {
        Self::installed(cluster, namespace, Install::default()).await
    }

    /// Starts two servers, installed that way.
    pub(crate) async fn installed(cluster: Arc<Cluster>, namespace: &str, install: Install) -> Self {
        let client = cluster.client().await.unwrap();
        let object: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
        Api::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        let mut rig = Self {
            namespace: namespace.to_owned(),
            controller_api: Proxy::start(client_of(&cluster, install.controller_account.as_deref()).await, namespace)
                .await,
            install,
            cluster,
            server_apis: Mutex::default(),
            client,
            controller: None,
            servers: Vec::new(),
            witness: Witness::default(),
            logs: Arc::default(),
        };
        for _ in 0..2 {
            let server = rig.new_server("127.0.0.1:0", "127.0.0.1:0").await;
            rig.servers.push(server);
        }
        let publics = rig.servers.iter().map(|server| server.public).collect();
        rig.witness = Witness::start(publics, &format!("/{namespace}/{SET}/jwks.json"));
        rig
    }

    /// A server of its own, that the controller does not know.
    pub(crate) async fn new_server(&self, public: &str, admin: &str) -> Server {
        let client = client_of(&self.cluster, self.install.server_account.as_deref()).await;
        let api = Proxy::start(client, &self.namespace).await;
        self.server_apis.lock().unwrap().push(api.clone());
        self.server_behind(api, public, admin, &[]).await
    }

    /// A server of its own that serves over TLS.
    pub(crate) async fn new_tls_server(&self, public: &str, certificate: &Path, key: &Path) -> Server {
        let api = Proxy::start(client_of(&self.cluster, None).await, &self.namespace).await;
        self.server_apis.lock().unwrap().push(api.clone());
        let [certificate, key] = [certificate, key].map(|path| path.to_str().unwrap());
        self.server_behind(api, public, "127.0.0.1:0", &["--tls-cert", certificate, "--tls-key", key]).await
    }

    /// What all servers asked for.
    pub(crate) fn server_calls(&self) -> Vec<crate::proxy::Call> {
        self.server_apis.lock().unwrap().iter().flat_map(Proxy::calls).collect()
    }

    /// Starts a server anew, at its old addresses and with its old view of the API server.
    pub(crate) async fn restart_server(&mut self, index: usize) {
        let Server { process, api, public, admin } = &self.servers[index];
        process.victim().kill();
        let (public, admin) = (public.to_string(), admin.to_string());
        self.servers[index] = self.server_behind(api.clone(), &public, &admin, &[]).await;
    }

    async fn server_behind(&self, api: Proxy, public: &str, admin: &str, more: &[&str]) -> Server {
        let arguments = [&["server", "--listen", public, "--admin-listen", admin], more].concat();
        let process = self.process("server", &api, &arguments);
        let line = process.says("listening").await;
        let address = |field: &str| line[field].as_str().unwrap().parse().unwrap();
        Server { public: address("public"), admin: address("admin"), process, api }
    }

    pub(crate) fn start_controller(&mut self) {
        self.controller = Some(self.new_controller("one", &self.namespace));
    }

    /// Another controller, with its Lease in `lease_namespace`.
    pub(crate) fn new_controller(&self, identity: &str, lease_namespace: &str) -> Process {
        let endpoints: Vec<String> = self.servers.iter().map(|server| format!("http://{}", server.admin)).collect();
        let arguments = [
            "controller",
            "--admin-listen=127.0.0.1:0",
            &format!("--server-endpoint={}", endpoints.join(",")),
            &format!("--identity={identity}"),
            &format!("--lease-namespace={lease_namespace}"),
            "--lease-seconds=3",
        ];
        self.process("controller", &self.controller_api, &arguments)
    }

    /// How many were started so far.
    pub(crate) fn controllers(&self) -> usize {
        self.logs.lock().unwrap().iter().filter(|log| log.to_string_lossy().contains("-controller-")).count()
    }

    /// Ends the controller by SIGTERM.
    pub(crate) async fn stop_controller(&mut self) {
        let controller = self.controller.take().unwrap();
        assert!(controller.terminate().await.0.success());
    }

    fn process(&self, command: &str, api: &Proxy, arguments: &[&str]) -> Process {
        let mut logs = self.logs.lock().unwrap();
        let name = format!("{}-{command}-{}", self.namespace, logs.len());
        let flags = self.install.flags.iter().map(String::as_str);
        let arguments: Vec<&str> = arguments.iter().copied().chain(flags).collect();
        let process = Process::start(&self.cluster, &name, api.address, &arguments);
        logs.push(process.log.clone());
        process
    }

    /// A KeySet on a clock of seconds that rotates only when it is asked, with `spec` laid over it.
    pub(crate) async fn apply(&self, spec: Value) {
        let mut object = key_set(SET);
        crate::merge_patch::merge(&mut object["spec"], &spec);
        self.create("keysets", &object).await;
    }

    pub(crate) async fn create(&self, resource: &str, object: &Value) -> Value {
        self.send(http::Request::post(self.url(resource, "")), object).await.unwrap()
    }

    /// Asks whether the API server would take it, and knows every field.
    pub(crate) async fn validate(&self, resource: &str, object: &Value) {
        let url = format!("{}?dryRun=All&fieldValidation=Strict", self.url(resource, ""));
        self.send(http::Request::post(url), object).await.unwrap();
    }

    pub(crate) async fn get(&self, resource: &str, name: &str) -> Option<Value> {
        match self.send(http::Request::get(self.url(resource, name)), &Value::Null).await {
            Ok(object) => Some(object),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn list(&self, resource: &str) -> Vec<Value> {
        let url = self.url(resource, "");
        let list = self.send(http::Request::get(url), &Value::Null).await.unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// RFC 7396.
    pub(crate) async fn patch(&self, resource: &str, name: &str, patch: Value) -> Value {
        self.try_patch(resource, name, &patch).await.unwrap()
    }

    pub(crate) async fn try_patch(&self, resource: &str, name: &str, patch: &Value) -> Result<Value, kube::Error> {
        let request = http::Request::patch(self.url(resource, name));
        self.send(request.header("content-type", "application/merge-patch+json"), patch).await
    }

    pub(crate) async fn patch_status(&self, status: &Value) {
        self.patch("keysets", &format!("{SET}/status"), json!({ "status": status })).await;
    }

    pub(crate) async fn delete(&self, resource: &str, name: &str) {
        self.send(http::Request::delete(self.url(resource, name)), &Value::Null).await.unwrap();
    }

    fn url(&self, resource: &str, name: &str) -> String {
        let group = match resource {
            "keysets" | "signingkeys" => "/apis/keyset.dev/v1alpha1",
            "events" => "/apis/events.k8s.io/v1",
            "deployments" | "statefulsets" => "/apis/apps/v1",
            "gitrepositories" => "/apis/source.toolkit.fluxcd.io/v1",
            "kustomizations" => "/apis/kustomize.toolkit.fluxcd.io/v1",
            _ => "/api/v1",
        };
        format!("{group}/namespaces/{}/{resource}/{name}", self.namespace).trim_end_matches('/').to_owned()
    }

    async fn send(&self, request: http::request::Builder, body: &Value) -> Result<Value, kube::Error> {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        self.client.request(request.body(body).unwrap()).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.get("keysets", SET).await.map(|mut set| set["status"].take()).unwrap_or_default()
    }

    /// Waits for a condition of the KeySet, `Type=Status` or `Type=Status/Reason`.
    pub(crate) async fn until_condition(&self, wanted: &str) -> Value {
        let what = format!("{wanted} of {}", self.namespace);
        until(&what, async || {
            let status = self.status().await;
            Self::has(&status, wanted).then_some(status)
        })
        .await
    }

    pub(crate) fn has(status: &Value, wanted: &str) -> bool {
        let says = |condition: &Value| {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            let short = format!("{}={}", text("type"), text("status"));
            short == wanted || format!("{short}/{}", text("reason")) == wanted
        };
        status["conditions"].as_array().is_some_and(|conditions| conditions.iter().any(says))
    }

    /// Waits until the set signs and its standby may sign.
    pub(crate) async fn until_settled(&self) -> Signer {
        until(&format!("a settled {}", self.namespace), async || {
            let status = self.status().await;
            let key_set = self.get("keysets", SET).await?;
            let seen = status["observedGeneration"] == key_set["metadata"]["generation"];
            (seen && Self::has(&status, "Ready=True") && Self::has(&status, "StandbyReady=True")).then_some(())
        })
        .await;
        self.signer().await.unwrap()
    }

    /// Waits until nobody has written anything for `seconds`, and nothing more was to be done.
    pub(crate) async fn until_quiet(&self, seconds: f64) {
        let mut last = (self.controller_api.writes().len(), std::time::Instant::now());
        until(&format!("quiet in {}", self.namespace), async || {
            let writes = self.controller_api.writes().len();
            if writes != last.0 {
                last = (writes, std::time::Instant::now());
            }
            (last.1.elapsed().as_secs_f64() > seconds).then_some(())
        })
        .await;
    }

    /// Waits until so many more writes were made.
    pub(crate) async fn until_writes(&self, number: usize) {
        let before = self.controller_api.writes().len();
        let enough = || self.controller_api.writes().len() >= before + number;
        until(&format!("writes in {}", self.namespace), async || enough().then_some(())).await;
    }

    /// What the Signer Secret says.
    pub(crate) async fn signer(&self) -> Option<Signer> {
        let secret = self.get("secrets", &format!("{SET}-signing-key")).await?;
        let annotation = |name: &str| secret["metadata"]["annotations"][format!("keyset.dev/{name}")].as_str();
        Some(Signer {
            term: annotation("term")?.parse().ok()?,
            kid: annotation("key-id")?.to_owned(),
            key: annotation("signing-key")?.to_owned(),
            data: secret["data"].clone(),
        })
    }

    /// The kids in the ConfigMap.
    pub(crate) async fn published(&self) -> Vec<String> {
        let config_map = self.get("configmaps", &format!("{SET}-jwks")).await.unwrap_or_default();
        crate::witness::kids(config_map["data"]["jwks.json"].as_str().unwrap_or_default())
    }

    /// The kid of each SigningKey, by name.
    pub(crate) async fn recorded(&self) -> std::collections::BTreeMap<String, String> {
        let keys = self.list("signingkeys").await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        keys.iter().map(|key| (text(&key["metadata"]["name"]), text(&key["spec"]["publicJWK"]["kid"]))).collect()
    }

    pub(crate) async fn events(&self, reason: &str) -> Vec<Value> {
        self.list("events").await.into_iter().filter(|event| event["reason"] == reason).collect()
    }

    /// Asks for a rotation now.
    pub(crate) async fn rotate(&self) {
        let now = Self::now();
        self.patch("keysets", SET, json!({ "spec": { "rotation": { "after": now } } })).await;
    }

    #[allow(clippy::disallowed_methods, reason = "a request says when it was made")]
    pub(crate) fn now() -> String {
        let now = jiff::Timestamp::now();
        jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap().to_string()
    }

    /// Lays `spec` over that of the KeySet.
    pub(crate) async fn edit(&self, spec: Value) {
        self.patch("keysets", SET, json!({ "spec": spec })).await;
    }

    pub(crate) fn witness(&self) -> &Witness {
        &self.witness
    }

    /// Holds all that happened against the laws, and ends.
    pub(crate) async fn finish(self) {
        self.finish_by(Clock::short()).await;
    }

    /// The same, by the clock of another KeySet.
    pub(crate) async fn finish_by(self, clock: Clock) {
        println!("holding {} against the laws", self.namespace);
        self.witness.judge(&clock, &self.controller_api.calls());
        self.finish_discreetly().await;
    }

    /// Ends a set whose life was not one: what may be asked for and what may be told are laws all the same.
    pub(crate) async fn finish_discreetly(mut self) {
        let secrets = self.list("secrets").await;
        let asked = |proxy: &Proxy, wrong: fn(&crate::proxy::Call) -> bool| {
            let calls = proxy.calls();
            calls.iter().filter(|call| wrong(call)).map(crate::proxy::Call::summary).collect::<Vec<_>>()
        };
        let listed = asked(&self.controller_api, |call| call.resource == "secrets" && call.name.is_none());
        assert!(listed.is_empty(), "the controller lists Secrets: {listed:?}");
        for server in self.server_apis.lock().unwrap().iter() {
            let secret = asked(server, |call| call.resource == "secrets" || call.is_write());
            assert!(secret.is_empty(), "a server asks for more than it may: {secret:?}");
        }
        self.controller = None;
        self.servers.clear();
        let mut private = crate::witness::private(secrets.iter().map(|secret| &secret["data"]));
        let written = self.controller_api.writes();
        let written = written.iter().filter(|call| call.resource == "secrets");
        private.extend(crate::witness::private(written.map(|call| &call.body["data"])));
        let mut public = Vec::new();
        for resource in ["keysets", "signingkeys", "configmaps", "events"] {
            public.extend(self.list(resource).await);
        }
        let public = Value::from(public).to_string();
        assert!(!public.contains("PRIVATE KEY"), "a private key is in an object of {}", self.namespace);
        let told = private.iter().any(|secret| public.contains(secret.as_str()));
        assert!(!told, "a private key is in an object of {}", self.namespace);
        for log in self.logs.lock().unwrap().iter() {
            let text = fs::read_to_string(log).unwrap();
            assert!(
                !text.contains("PRIVATE KEY") && !text.contains("\\\"d\\\":"),
                "a private key is in {}",
                log.display()
            );
            let told = private.iter().any(|secret| text.contains(secret.as_str()));
            assert!(!told, "a private key is in {}", log.display());
        }
    }
}

async fn client_of(cluster: &Cluster, account: Option<&str>) -> Client {
    match account {
        Some(account) => cluster.client_as(account, &["system:serviceaccounts", "system:authenticated"]).await.unwrap(),
        None => cluster.client().await.unwrap(),
    }
}

/// What the Signer Secret says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signer {
    pub(crate) term: i64,
    pub(crate) kid: String,
    pub(crate) key: String,
    pub(crate) data: Value,
}

/// The shortest lawful clock.
pub(crate) fn key_set(name: &str) -> Value {
    json!({
        "apiVersion": "keyset.dev/v1alpha1",
        "kind": "KeySet",
        "metadata": { "name": name },
        "spec": {
            "algorithm": "ES256",
            "tokens": { "maxLifetime": "1s" },
            "verifiers": { "maxCacheAge": "1s" },
            "clockSkew": "1s",
            "signers": { "maxReloadLag": "1s" },
            "rotation": { "mode": "OnRequest", "interval": "4s", "rollbackWindow": "1s" },
            "retention": { "margin": "1s" },
            "publication": { "cacheMaxAge": "1s", "maxDelay": "1s" },
        },
    })
}
