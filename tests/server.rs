//! `keyset server` as a process, without a cluster: what it prints, its admin port, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

/// A server whose API server does not answer. Drop ends it.
struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
    kubeconfig: PathBuf,
    public: String,
    admin: String,
}

impl Server {
    fn start() -> Self {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let kubeconfig = std::env::temp_dir().join(format!("keyset-server-{}", nobody.port()));
        let text = format!(
            "{{clusters: [{{name: c, cluster: {{server: 'http://{nobody}'}}}}], users: [{{name: u, user: {{}}}}], \
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}], current-context: c}}"
        );
        fs::write(&kubeconfig, text).unwrap();
        let mut child = keyset()
            .args(["server", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .env("KEYSET_ADMIN_LISTEN", "127.0.0.1:0")
            .env("KUBECONFIG", &kubeconfig)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "listening");
        let address = |field: &str| line[field].as_str().unwrap().to_owned();
        Self { child, log, kubeconfig, public: address("public"), admin: address("admin") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.kubeconfig);
    }
}

fn keyset() -> Command {
    Command::new(env!("CARGO_BIN_EXE_keyset"))
}

/// The whole answer to a GET, as text.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn without_an_api_server_it_is_alive_and_not_ready_and_ends_when_it_is_told() {
    let mut server = Server::start();
    for (path, status, text) in [
        ("/healthz", 200, "ok\n"),
        ("/readyz", 503, "the first lists are not complete yet\n"),
        ("/served", 503, "the first lists are not complete yet\n"),
        ("/metrics", 200, "# EOF\n"),
        ("/auth/a/jwks.json", 404, ""),
    ] {
        let answer = get(&server.admin, path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.ends_with(text), "{path}: {answer}");
    }
    assert!(get(&server.admin, "/served").contains("cache-control: no-store\r\n"));
    assert!(get(&server.admin, "/metrics").contains("content-type: application/openmetrics-text;"));
    assert!(get(&server.public, "/auth/a/jwks.json").starts_with("HTTP/1.1 503 "));
    for path in ["/healthz", "/metrics", "/served"] {
        assert!(get(&server.public, path).starts_with("HTTP/1.1 404 "), "{path}");
    }

    let told = Command::new("kill").arg(server.child.id().to_string()).status().unwrap();
    assert!(told.success());
    assert!(server.child.wait().unwrap().success());
    let mut log = String::new();
    server.log.read_to_string(&mut log).unwrap();
    assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
    assert!(log.contains("Stopped accepting") && log.contains("\"kind\":\"KeySet\""), "{log}");
}

#[test]
fn bad_flags_are_one_line_and_exit_code_2() {
    for arguments in [
        &["--listen", "nowhere"][..],
        &["--admin-listen", "127.0.0.1"],
        &["--tls-cert", "tls.crt"],
        &["--tls-key", "tls.key"],
        &["--allow-issuer-host", "*=auth"],
        &["--log-level", "kube=loud"],
        &["--log-format", "xml"],
    ] {
        let output = keyset().arg("server").args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        assert!(output.stdout.is_empty());
    }
    let output = keyset().arg("server").env("KEYSET_LISTEN", "nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
