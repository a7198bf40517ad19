//! A real control plane for tests, the demo and `make cluster-up`: etcd, kube-apiserver and
//! kube-controller-manager on loopback.
//!
//! Invariants: every cluster has ports, credentials and a directory of its own, so several run side
//! by side; drop ends it, and so does the death of the process that started it, however it dies
//! (`process`). Nothing here depends on one async runtime: a cluster may outlive the test that
//! started it. Deliberately absent: nodes, scheduler, audit.
#![allow(dead_code, reason = "each test uses a part of this library")]

pub(crate) mod binaries;
mod credentials;
mod process;
mod requests;

use std::{
    collections::BTreeMap,
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::ServiceAccount, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{Patch, PatchParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError},
    runtime::wait::{await_condition, conditions::is_crd_established},
};

use binaries::Binaries;
use process::{Component, Directory, Watchdog};
pub(crate) use requests::Request;

/// A running control plane. Drop ends it and removes what it wrote.
#[derive(Debug)]
pub(crate) struct Cluster {
    // Dropped in this order: the processes end before their directory goes.
    components: Mutex<Vec<Component>>,
    watchdog: Watchdog,
    directory: Directory,
    kubeconfig: PathBuf,
    kubectl: Option<PathBuf>,
    binaries: Binaries,
    ports: Ports,
    /// Further flags of the API server.
    flags: Vec<String>,
}

/// Where its components listen, for as long as it lives.
#[derive(Clone, Copy, Debug)]
struct Ports {
    etcd: u16,
    etcd_peer: u16,
    api: u16,
}

/// A control plane does not start, or does not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// Nothing to start.
    #[error("there is nothing to start: the line above says why")]
    NoBinaries,
    /// The machine refuses a file, a port or a process.
    #[error("the control plane cannot {0}: {1}")]
    Io(&'static str, #[source] io::Error),
    /// A certificate cannot be made.
    #[error("the control plane has no certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    /// The kubeconfig that was just written is not one.
    #[error("the kubeconfig of the control plane is not readable: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// The API server refuses.
    #[error("the API server refuses: {0}")]
    Api(#[from] kube::Error),
    /// A component ended by itself.
    #[error("{component} ended by itself; the end of its log:\n{log}")]
    Ended { component: &'static str, log: String },
    /// Time is up.
    #[error("{0} took longer than {1:?}")]
    Late(&'static str, Duration),
}

/// How often a start is tried: another process may take a port between our look and its use.
const ATTEMPTS: usize = 3;
/// A loaded machine takes its time; an idle one needs about 3 s.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(25);
/// How many components there are that store: etcd and the API server.
const STORING: usize = 2;

impl Cluster {
    /// Starts a control plane and waits until it works: RBAC, admission, `ServiceAccount`s, garbage
    /// collection. Builds the binaries first if they are not there (`tools/cluster/build.sh`).
    pub(crate) async fn start() -> Result<Self, ClusterError> {
        Self::start_with(&[]).await
    }

    /// The same, with further flags of the API server.
    pub(crate) async fn start_with(flags: &[String]) -> Result<Self, ClusterError> {
        let binaries = Binaries::find()?;
        for _ in 1..ATTEMPTS {
            match Self::launch(binaries.clone(), flags).await {
                Err(ClusterError::Ended { .. }) => {}
                outcome => return outcome,
            }
        }
        Self::launch(binaries, flags).await
    }

    /// Stops etcd and the API server, lets `change` have what etcd has stored, and starts both again where they were.
    /// What runs beside them runs on.
    pub(crate) async fn interrupt(&self, change: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), ClusterError> {
        // The API server first: it must not see that etcd goes.
        self.components().drain(..STORING).rev().for_each(drop);
        change(&self.directory().join("etcd")).map_err(|error| ClusterError::Io("change what is stored", error))?;
        let storing = self.spawn_storing()?;
        self.components().splice(..0, storing);
        self.answers(&self.client().await?, Instant::now() + PATIENCE).await
    }

    /// The kubeconfig of a user in `system:masters`.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What is written here goes with the cluster.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts another program that must not outlive the cluster; its log is `name`.log in the directory.
    pub(crate) fn spawn(&self, name: &str, command: Command) -> Result<Child, ClusterError> {
        self.watchdog.run(command, &self.directory.path().join(name).with_extension("log"))
    }

    /// A client of a user in `system:masters`, for the current async runtime.
    pub(crate) async fn client(&self) -> Result<Client, ClusterError> {
        client(Kubeconfig::read_from(&self.kubeconfig)?).await
    }

    /// A client that acts as `user` (a `ServiceAccount` is `system:serviceaccount:NAMESPACE:NAME`) in
    /// `groups`, for the current async runtime.
    pub(crate) async fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client, ClusterError> {
        let mut kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        for info in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
            info.impersonate = Some(user.to_owned());
            info.impersonate_groups = Some(groups.iter().map(|&group| group.to_owned()).collect());
        }
        client(kubeconfig).await
    }

    /// A client that says who it is by a token alone, for the current async runtime.
    pub(crate) async fn client_with(&self, token: &str) -> Result<Client, ClusterError> {
        let mut kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        for info in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
            *info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        }
        client(kubeconfig).await
    }

    /// kubectl of the same version, if there is one.
    pub(crate) fn kubectl(&self) -> Option<&Path> {
        self.kubectl.as_deref()
    }

    /// How often each request was answered since the start, whoever asked, from the metrics of the
    /// API server.
    pub(crate) async fn requests(&self) -> Result<BTreeMap<Request, u64>, ClusterError> {
        Ok(requests::parse(&text(&self.client().await?, "/metrics").await?))
    }

    async fn launch(binaries: Binaries, flags: &[String]) -> Result<Self, ClusterError> {
        let directory = Directory::create()?;
        let [etcd, etcd_peer, api] = free_ports()?;
        let kubeconfig = credentials::write(directory.path(), api)?;
        let watchdog = Watchdog::start(directory.path())?;
        let ports = Ports { etcd, etcd_peer, api };
        let (components, kubectl) = (Mutex::default(), binaries.kubectl());
        let flags = flags.to_vec();
        let cluster = Self { components, watchdog, directory, kubeconfig, kubectl, binaries, ports, flags };
        let storing = cluster.spawn_storing()?;
        cluster.components().extend(storing);
        cluster.ready().await?;
        Ok(cluster)
    }

    fn spawn_storing(&self) -> Result<[Component; STORING], ClusterError> {
        let (directory, ports) = (self.directory.path(), self.ports);
        let api_server = [api_server_flags(directory, ports), self.flags.clone()].concat();
        Ok([
            self.watchdog.spawn("etcd", &self.binaries, &etcd_flags(directory, ports))?,
            self.watchdog.spawn("kube-apiserver", &self.binaries, &api_server)?,
        ])
    }

    /// The API server answers first; a default `ServiceAccount` tells that the controller manager works.
    async fn ready(&self) -> Result<(), ClusterError> {
        let client = self.client().await?;
        let deadline = Instant::now() + PATIENCE;
        self.answers(&client, deadline).await?;
        let flags = controller_manager_flags(self.directory.path(), &self.kubeconfig);
        let manager = self.watchdog.spawn("kube-controller-manager", &self.binaries, &flags)?;
        self.components().push(manager);
        let accounts: Api<ServiceAccount> = Api::default_namespaced(client);
        while accounts.get("default").await.is_err() {
            self.wait_a_little("the start of the controller manager", deadline).await?;
        }
        Ok(())
    }

    async fn answers(&self, client: &Client, deadline: Instant) -> Result<(), ClusterError> {
        while text(client, "/readyz").await.is_err() {
            self.wait_a_little("the start of the API server", deadline).await?;
        }
        Ok(())
    }

    async fn wait_a_little(&self, what: &'static str, deadline: Instant) -> Result<(), ClusterError> {
        if Instant::now() > deadline {
            return Err(ClusterError::Late(what, PATIENCE));
        }
        self.components().iter_mut().try_for_each(Component::check)?;
        tokio::time::sleep(POLL).await;
        Ok(())
    }

    /// etcd, the API server, and once that answers the controller manager.
    fn components(&self) -> MutexGuard<'_, Vec<Component>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies the CRDs of this package and waits until they are served.
pub(crate) async fn apply_crds(client: &Client) -> Result<(), ClusterError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in keyset_operator::api::crds() {
        let name = crd.name_any();
        api.patch(&name, &PatchParams::apply("keyset-cluster").force(), &Patch::Apply(&crd)).await?;
        let established = await_condition(api.clone(), &name, is_crd_established());
        // An error of the watch is retried inside; what remains is time.
        match tokio::time::timeout(PATIENCE, established).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(ClusterError::Late("the start of a CRD", PATIENCE)),
        }
    }
    Ok(())
}

async fn client(kubeconfig: Kubeconfig) -> Result<Client, ClusterError> {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn text(client: &Client, path: &str) -> Result<String, kube::Error> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await
}

/// Ports that nobody listens on, all different.
fn free_ports<const N: usize>() -> Result<[u16; N], ClusterError> {
    let listeners: Vec<TcpListener> = (0..N)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()
        .map_err(|error| ClusterError::Io("find a free port", error))?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr().map_err(|error| ClusterError::Io("find a free port", error))?.port();
    }
    Ok(ports)
}

fn etcd_flags(directory: &Path, ports: Ports) -> Vec<String> {
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    vec![
        format!("--data-dir={}/etcd", directory.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=warn".to_owned(),
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_server_flags(directory: &Path, Ports { etcd, api, .. }: Ports) -> Vec<String> {
    let directory = directory.display();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--secure-port={api}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--authorization-mode=RBAC,Node".to_owned(),
        "--allow-privileged".to_owned(),
        "--profiling=false".to_owned(),
        format!("--client-ca-file={directory}/ca.crt"),
        format!("--tls-cert-file={directory}/server.crt"),
        format!("--tls-private-key-file={directory}/server.key"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={directory}/service-account.key"),
        format!("--service-account-key-file={directory}/service-account.pub"),
    ]
}

fn controller_manager_flags(directory: &Path, kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-ca-file={}/ca.crt", directory.display()),
        format!("--service-account-private-key-file={}/service-account.key", directory.display()),
        "--use-service-account-credentials".to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]
}
