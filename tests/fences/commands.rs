//! Fences of `sh`: each document is typed from its top to its end, in a directory with what a checkout has, on a control
//! plane of its own.
//!
//! What begins with an installation gets an empty cluster. For anything else the chart is installed, and the namespace
//! `auth` has the KeySets `login` and `payments`. There are no Pods, so that both processes run beside the API
//! server, and nothing waits for Pods. What stands for something of the reader's is replaced: see [`Stage::replace`].

use std::{
    env,
    fmt::Write as _,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use futures::{StreamExt, stream};

use crate::{
    TOOLS,
    cluster::Cluster,
    documents::{self, Fence, ON_A_NODE, PROLOGUE, fences, is_definition, is_listed, nowhere},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_it_says() {
    let typed = sittings().into_iter().map(async |sitting| tokio::spawn(typed(sitting)).await.unwrap());
    let outcomes: Vec<_> = stream::iter(typed).buffer_unordered(2).collect().await;
    let wrong: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What one reader types on one cluster: a document, or a part of it that begins with an installation of its own.
fn sittings() -> Vec<Vec<Fence>> {
    let mut sittings: Vec<Vec<Fence>> = Vec::new();
    for fence in fences() {
        let before = sittings.last_mut().filter(|sitting| sitting[0].document == fence.document);
        match before {
            Some(sitting) if !installs(&fence) || sitting.last().is_some_and(|last| last.section == fence.section) => {
                sitting.push(fence);
            }
            _ => sittings.push(vec![fence]),
        }
    }
    let only = env::var("DOCUMENT").ok();
    sittings
        .retain(|sitting| !script(sitting).is_empty() && only.as_ref().is_none_or(|only| sitting[0].document == *only));
    sittings
}

fn installs(fence: &Fence) -> bool {
    fence.language == "sh" && ["helm install keyset", "-f target/manifests"].iter().any(|how| fence.text.contains(how))
}

async fn typed(sitting: Vec<Fence>) -> Result<(), String> {
    let stage = Stage::new(&sitting).await;
    stage.run(&script(&sitting)).map(drop).map_err(|complaint| format!("{}: {complaint}", sitting[0].place()))
}

/// An entry of a list that nothing begins like is of yesterday.
#[test]
fn what_is_not_tried_here_is_in_a_document() {
    let mut texts = Vec::new();
    for fence in fences() {
        let all = if fence.language == "sh" { fence.commands() } else { vec![fence.text] };
        texts.extend(all.into_iter().map(|text| (fence.document.clone(), text)));
    }
    assert!(texts.len() > 100, "the commands are not found");
    let mut stale = [ON_A_NODE, &nowhere()].concat();
    stale.retain(|entry| !texts.iter().any(|(document, text)| is_listed(&[*entry], document, text)));
    assert!(stale.is_empty(), "{stale:?}");
}

/// What is typed here.
fn script(sitting: &[Fence]) -> String {
    let mut script = String::new();
    let mut types = false;
    for fence in sitting.iter().filter(|fence| fence.language == "sh") {
        for command in fence.commands() {
            if [ON_A_NODE, &nowhere()].iter().any(|list| is_listed(list, &fence.document, &command)) {
                continue;
            }
            types |= !is_definition(&command);
            writeln!(script, "echo '+ {}'", fence.place()).unwrap();
            script += &documents::typed(&command);
        }
    }
    if types { script } else { String::new() }
}

/// Where a document is typed.
struct Stage {
    cluster: Cluster,
    directory: PathBuf,
    /// Of the first server: the sets, and the report.
    ports: [u16; 2],
    kid: String,
    /// The cluster ends them.
    processes: Vec<Child>,
}

impl Stage {
    async fn new(sitting: &[Fence]) -> Self {
        let cluster = Cluster::start().await.unwrap();
        let directory = cluster.directory().join("typed");
        fs::create_dir_all(directory.join("bin")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in fs::read_dir(root).unwrap().map(|entry| entry.unwrap()) {
            if entry.file_name() != "target" {
                symlink(entry.path(), directory.join(entry.file_name())).unwrap();
            }
        }
        let programs = [
            ("keyset", PathBuf::from(env!("CARGO_BIN_EXE_keyset"))),
            ("kubectl-keyset", PathBuf::from(env!("CARGO_BIN_EXE_kubectl-keyset"))),
            ("helm", TOOLS.join("helm")),
            ("jq", TOOLS.join("jq")),
        ];
        let kubectl = cluster.kubectl().map(|path| ("kubectl", path.to_owned()));
        for (name, path) in programs.into_iter().chain(kubectl) {
            symlink(path, directory.join("bin").join(name)).unwrap();
        }
        for fence in sitting {
            if let Some(name) = fence.file() {
                fs::write(directory.join(name), &fence.text).unwrap();
            }
        }
        let ports = free_ports();
        let mut stage = Self { cluster, directory, ports, kid: String::new(), processes: Vec::new() };
        for (name, process) in PROCESSES {
            let command = stage.command(
                "bash",
                &["-euc", &format!("{HELPERS}known keysets.keyset.dev signingkeys.keyset.dev; {process}")],
            );
            stage.processes.push(stage.cluster.spawn(name, command).unwrap());
        }
        if !sitting.iter().any(installs) {
            stage.run(INSTALLED).unwrap();
            stage.kid = stage.run("kubectl get keyset login -n auth -o jsonpath='{.status.activeKeyID}'").unwrap();
        }
        for (_, given) in GIVEN.iter().filter(|(of, _)| *of == sitting[0].document) {
            stage.run(given).unwrap();
        }
        stage
    }

    /// Runs it to its end; gives what it printed, or its complaint.
    fn run(&self, script: &str) -> Result<String, String> {
        let lines: Vec<String> = script.lines().map(|line| self.replace(line)).collect();
        let text = format!("{PROLOGUE}{HELPERS}{}", lines.join("\n"));
        let mut command = self.command("timeout", &["180", "bash", "-euc", &text]);
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            Ok(said.into_owned())
        } else {
            Err(format!("{}\n{said}{complaint}", output.status))
        }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.directory);
        let path = format!("{}:{}", self.directory.join("bin").display(), env::var("PATH").unwrap());
        command.env("PATH", path).env("KUBECONFIG", self.cluster.kubeconfig());
        command.env("APIS", TOOLS.join("apis"));
        command.env("PUBLIC", self.ports[0].to_string()).env("ADMIN", self.ports[1].to_string());
        command
    }

    /// What is the reader's own.
    fn replace(&self, line: &str) -> String {
        let server = format!("http://127.0.0.1:{}", self.ports[0]);
        let old = format!("{server}/auth/payments/jwks.json");
        let mut line = line.to_owned();
        for (from, to) in [
            (" --wait", ""),
            ("NAMESPACE", "auth"),
            ("NAME", "login"),
            ("KID", &self.kid),
            ("DIGEST", DIGEST),
            ("REGISTRY", "registry.example.com"),
            ("https://old.example.com/keys", &old),
            ("https://keys.example.com", &server),
            ("http://127.0.0.1:8080", &server),
        ] {
            line = line.replace(from, to);
        }
        line
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
/// Both processes, once there are KeySets.
const PROCESSES: [(&str, &str); 2] = [
    ("server", "exec keyset server --listen 127.0.0.1:$PUBLIC --admin-listen 127.0.0.1:$ADMIN"),
    (
        "controller",
        "exec keyset controller --admin-listen 127.0.0.1:0 --server-endpoint http://127.0.0.1:$ADMIN --lease-namespace keyset-system",
    ),
];
/// `known` waits for CRDs. Each installation finds no other one, and is over when its kinds are known.
const HELPERS: &str = r#"
known() {
  until kubectl wait --for=condition=Established $(printf 'crd/%s ' "$@") >/dev/null 2>&1; do sleep 0.3; done
}
helm() {
  [ "$1" != install ] || command helm uninstall keyset --namespace keyset-system --ignore-not-found >/dev/null
  command helm "$@"
  [ "$1" != install ] || known keysets.keyset.dev signingkeys.keyset.dev
}
"#;
const INSTALLED: &str = "
helm install keyset charts/keyset --namespace keyset-system --create-namespace
kubectl create namespace auth
sed 's/payments/login/' examples/minimal.yaml | kubectl apply -f - -f examples/minimal.yaml
kubectl wait --for=condition=Ready keyset/login keyset/payments -n auth --timeout=60s
";
/// What a document takes for granted beside that.
const GIVEN: &[(&str, &str)] = &[
    (
        "docs/gitops.md",
        "kubectl create namespace argocd; kubectl apply --server-side -f $APIS/application-crd.yaml -f $APIS/appproject-crd.yaml
        known applications.argoproj.io appprojects.argoproj.io",
    ),
    ("docs/install.md", "kubectl create namespace auth; kubectl create namespace payments"),
    ("docs/migration.md", "kubectl create secret generic issuer-tls -n auth --from-literal=tls.key=old"),
];
