//! `keyset controller`, `keyset server`, and who else works on the same objects, as processes.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::cluster::Cluster;

/// A running program. Drop ends it.
pub(crate) struct Process {
    pub(crate) log: PathBuf,
    child: Victim,
}

/// Who can be killed from elsewhere.
#[derive(Clone)]
pub(crate) struct Victim(Arc<Mutex<Child>>);

impl Victim {
    /// SIGKILL; it is dead on return.
    pub(crate) fn kill(&self) {
        let mut child = self.0.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Process {
    /// Starts `keyset` with the API server at `api`; `name` is that of its log.
    pub(crate) fn start(cluster: &Cluster, name: &str, api: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyset"));
        command.args(arguments).args(["--log-format", "json", "--log-level", "debug"]);
        Self::run(cluster, name, api, command)
    }

    /// Starts another program in the same way.
    pub(crate) fn run(cluster: &Cluster, name: &str, api: SocketAddr, mut command: Command) -> Self {
        let kubeconfig = cluster.directory().join(name).with_extension("kubeconfig");
        let text = format!(
            "{{clusters: [{{name: c, cluster: {{server: 'http://{api}'}}}}], users: [{{name: u, user: {{}}}}], \
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}], current-context: c}}"
        );
        fs::write(&kubeconfig, text).unwrap();
        command.env("KUBECONFIG", kubeconfig);
        let child = cluster.spawn(name, command).unwrap();
        let log = cluster.directory().join(name).with_extension("log");
        Self { log, child: Victim(Arc::new(Mutex::new(child))) }
    }

    pub(crate) fn victim(&self) -> Victim {
        self.child.clone()
    }

    /// SIGTERM; gives how it ended and how long that took.
    pub(crate) async fn terminate(&self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        assert!(Command::new("kill").arg(self.id().to_string()).status().unwrap().success());
        let status = crate::until("the end of a process", async || self.ended()).await;
        (status, began.elapsed())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.0.lock().unwrap().id()
    }

    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.0.lock().unwrap().try_wait().unwrap()
    }

    /// The first line of the log that says so.
    pub(crate) async fn says(&self, message: &str) -> Value {
        crate::until(&format!("{message:?} in {}", self.log.display()), async || {
            let log = fs::read_to_string(&self.log).unwrap();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut said = lines.filter(|line| line["message"] == message);
            if let Some(status) = self.ended() {
                panic!("{status}: {}", log.lines().last().unwrap_or_default());
            }
            said.next()
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill();
    }
}
