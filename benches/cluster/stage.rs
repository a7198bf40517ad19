//! A control plane with the released `keyset` in it: one controller, two servers.

use std::{
    fs,
    io::{BufRead, BufReader, copy, sink},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use keyset_operator::api::KeySet;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::http::{Connection, get};
use crate::control_plane::{Cluster, apply_crds};

/// Everything that a KeySet needs.
pub(crate) struct Stage {
    // Dropped in this order.
    pub(crate) controller: Process,
    pub(crate) servers: [Process; 2],
    pub(crate) client: Client,
    pub(crate) cluster: Cluster,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let cluster = Cluster::start().await.expect("a control plane");
        let client = cluster.client().await.expect("a client");
        apply_crds(&client).await.expect("the CRDs");
        let kubeconfig = cluster.kubeconfig();
        let server = || Process::start(&["server", "--listen", "127.0.0.1:0"], kubeconfig);
        let servers = [server(), server()];
        let endpoints = servers.each_ref().map(|server| format!("--server-endpoint=http://{}", server.admin));
        let controller = Process::start(&["controller", &endpoints[0], &endpoints[1]], kubeconfig);
        Self { controller, servers, client, cluster }
    }

    pub(crate) fn key_sets(&self) -> Api<KeySet> {
        Api::default_namespaced(self.client.clone())
    }

    /// Server-side apply, as `kubectl apply --server-side` does it.
    pub(crate) async fn apply(&self, name: &str, spec: &Value) {
        let body = json!({
            "apiVersion": "keyset.dev/v1alpha1", "kind": "KeySet", "metadata": {"name": name}, "spec": spec,
        });
        let by = PatchParams::apply("bench").force();
        self.key_sets().patch(name, &by, &Patch::Apply(body)).await.expect("the KeySet is accepted");
    }

    /// Waits until both servers answer 200 for that KeySet. Looks every 2 ms, over connections that are open already.
    pub(crate) fn wait_served(&self, name: &str) {
        let request = get(&path(name), "");
        for server in &self.servers {
            let mut connection = Connection::open(server.public.expect("a server")).expect("the server listens");
            wait(Duration::from_millis(2), || {
                connection.ask(&request).expect("the server answers").starts_with("HTTP/1.1 200 ")
            });
        }
    }

    /// Waits until the status of that KeySet is as asked for, and gives it.
    pub(crate) async fn wait_status(&self, name: &str, is_it: impl Fn(&KeySet) -> bool) -> KeySet {
        let start = Instant::now();
        loop {
            let key_set = self.key_sets().get(name).await.expect("the KeySet is there");
            if is_it(&key_set) {
                return key_set;
            }
            assert!(start.elapsed() < PATIENCE, "{} is not there yet: {:#?}", key_set.name_any(), key_set.status);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Path of a set of the default namespace.
pub(crate) fn path(name: &str) -> String {
    format!("/default/{name}/jwks.json")
}

/// A running `keyset`, killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) public: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

impl Process {
    fn start(arguments: &[&str], kubeconfig: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyset"))
            .args(arguments)
            .args(["--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            .env("KUBECONFIG", kubeconfig)
            .stderr(Stdio::piped())
            .spawn()
            .expect("keyset starts");
        let mut log = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut line = String::new();
        log.read_line(&mut line).expect("keyset says where it listens");
        let line: Value = serde_json::from_str(&line).expect("the log is JSON");
        let address = |name: &str| line[name].as_str().and_then(|text| text.parse().ok());
        thread::spawn(move || copy(&mut log, &mut sink()));
        Self { child, public: address("public"), admin: address("admin").expect("an admin address") }
    }

    /// Resident memory and its anonymous part, in KiB.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs");
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        (kib("VmRSS:"), kib("RssAnon:"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(interval: Duration, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < PATIENCE, "it took longer than {PATIENCE:?}");
        thread::sleep(interval);
    }
}

const PATIENCE: Duration = Duration::from_mins(2);
