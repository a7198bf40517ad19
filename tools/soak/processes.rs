//! The controllers and servers, which are killed and come back.
//!
//! Each has a supervisor that starts it, starts it again when it has ended, and kills it when told to. Dropped with the
//! supervisor; the watchdog of the cluster sees to it when this program dies.

use std::{
    path::PathBuf,
    process::{Child, Command},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Failure, clock,
    cluster::Cluster,
    issuer::NAMESPACE,
    random::Random,
    servers::Endpoint,
    tally::{Group, Tally},
};

/// All that runs.
pub(crate) struct Processes {
    controllers: Vec<mpsc::Sender<Kill>>,
    servers: Vec<mpsc::Sender<Kill>>,
    tally: Arc<Tally>,
    _supervisors: JoinSet<()>,
}

/// SIGKILL, and how long it stays away.
struct Kill {
    away: Duration,
}

/// What is needed to start one.
struct Supervised {
    name: String,
    cluster: Arc<Cluster>,
    keyset: PathBuf,
    arguments: Vec<String>,
    endpoint: Option<Arc<Endpoint>>,
    tally: Arc<Tally>,
}

/// Drop kills it.
struct Process(Child);

impl Processes {
    /// Starts a server at each endpoint and as many controllers as are wanted.
    pub(crate) fn start(
        cluster: &Arc<Cluster>,
        keyset: &std::path::Path,
        endpoints: &[Arc<Endpoint>],
        controllers: usize,
        tally: &Arc<Tally>,
    ) -> Self {
        let mut supervisors = JoinSet::new();
        let mut supervise = |name: String, arguments: Vec<String>, endpoint: Option<Arc<Endpoint>>| {
            let (sender, kills) = mpsc::channel(1);
            let (cluster, keyset, tally) = (Arc::clone(cluster), keyset.to_owned(), Arc::clone(tally));
            let supervised = Supervised { name, cluster, keyset, arguments, endpoint, tally };
            supervisors.spawn(supervised.run(kills));
            sender
        };
        let mut servers = Vec::new();
        for (number, endpoint) in endpoints.iter().enumerate() {
            let arguments =
                ["server", &format!("--listen={}", endpoint.public), &format!("--admin-listen={}", endpoint.admin)]
                    .map(ToOwned::to_owned);
            servers.push(supervise(format!("server-{number}"), arguments.into(), Some(Arc::clone(endpoint))));
        }
        let admins: Vec<String> = endpoints.iter().map(|endpoint| format!("http://{}", endpoint.admin)).collect();
        let mut leaders = Vec::new();
        for number in 0..controllers {
            let arguments = [
                "controller".to_owned(),
                "--admin-listen=127.0.0.1:0".to_owned(),
                format!("--server-endpoint={}", admins.join(",")),
                format!("--lease-namespace={NAMESPACE}"),
                "--lease-seconds=3".to_owned(),
            ];
            leaders.push(supervise(format!("controller-{number}"), arguments.into(), None));
        }
        Self { controllers: leaders, servers, tally: Arc::clone(tally), _supervisors: supervisors }
    }

    /// Kills somebody: mostly one, now and then all of a kind.
    pub(crate) async fn kill(&self, random: &mut Random) {
        let Some((name, kind, all)) = random.weigh(&[
            (8, ("controller", &self.controllers, false)),
            (8, ("server", &self.servers, false)),
            (1, ("all controllers", &self.controllers, true)),
            (1, ("all servers", &self.servers, true)),
        ]) else {
            return;
        };
        self.tally.count(Group::Kills, name);
        let victims: Vec<_> = if all { kind.iter().collect() } else { random.pick(kind).into_iter().collect() };
        for victim in victims {
            // A supervisor that is gone has nobody to kill.
            let _ = victim.send(Kill { away: random.millis(AWAY) }).await;
        }
    }
}

impl Supervised {
    async fn run(self, mut kills: mpsc::Receiver<Kill>) {
        let mut starts = 0_u32;
        loop {
            starts += 1;
            match self.start(starts) {
                Ok(mut process) => match self.watch(&mut process, &mut kills).await {
                    Some(kill) => {
                        drop(process);
                        sleep(kill.away).await;
                    }
                    None => sleep(REST).await,
                },
                Err(error) => {
                    eprintln!("soak: {} cannot be started: {error}", self.name);
                    sleep(REST).await;
                }
            }
        }
    }

    fn start(&self, number: u32) -> Result<Process, Failure> {
        let mut command = Command::new(&self.keyset);
        command.args(&self.arguments).args(["--log-format", "json"]);
        command.env("KUBECONFIG", self.cluster.kubeconfig()).env("HOSTNAME", &self.name);
        Ok(Process(self.cluster.spawn(&format!("{}-{number}", self.name), command)?))
    }

    /// Waits until it is to be killed, or has ended by itself (`None`).
    async fn watch(&self, process: &mut Process, kills: &mut mpsc::Receiver<Kill>) -> Option<Kill> {
        let mut looks = interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ready = async {
            match &self.endpoint {
                Some(endpoint) => endpoint.until_ready().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(ready);
        let mut is_ready = false;
        loop {
            tokio::select! {
                () = &mut ready, if !is_ready => is_ready = true,
                kill = kills.recv() => {
                    self.is_gone();
                    return kill;
                }
                _ = looks.tick() => {
                    if let Ok(Some(status)) = process.0.try_wait() {
                        self.is_gone();
                        let kind = if self.endpoint.is_some() { SERVER_ENDED } else { "controllers that ended by themselves" };
                        self.tally.count(Group::Kills, kind);
                        eprintln!("soak: {} ended by itself at {}: {status}", self.name, clock());
                        return None;
                    }
                }
            }
        }
    }

    fn is_gone(&self) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.is_gone();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Neither fails for a child that was not waited for, and there is nothing left to do if one does.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until every server is ready.
pub(crate) async fn until_ready(endpoints: &[Arc<Endpoint>]) -> Result<(), Failure> {
    let all = futures::future::join_all(endpoints.iter().map(|endpoint| endpoint.until_ready()));
    timeout(START_WITHIN, all).await.map(drop).map_err(|_| "the servers do not become ready".into())
}

/// A controller ends when it loses its Lease; a server has no reason.
pub(crate) const SERVER_ENDED: &str = "servers that ended by themselves";
const AWAY: std::ops::Range<u64> = 0..2000;
const REST: Duration = Duration::from_millis(500);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
const START_WITHIN: Duration = Duration::from_mins(1);
