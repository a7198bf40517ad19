//! `verify`.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, UdpSocket},
    process::{Command, Stdio},
    thread,
};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use super::{Said, tidy};
use crate::{
    process::Process,
    proxy::Proxy,
    rig::{Install, Rig, SET},
};

#[tokio::test]
async fn verify_explains_each_check() {
    let rig = Rig::start("plugin-verify").await;
    rig.apply(json!({ "tokens": { "maxLifetime": "1h" } })).await;
    rig.until_settled().await;
    let url = format!("http://{}/plugin-verify/pay/jwks.json", rig.servers[0].public);
    let source = format!("--url={url}");
    let shown = |said: &Said| tidy(&said.out.replace(&url, "<url>"));
    let token = minted(&rig, &["--issuer=https://login.example.com", "--audience=orders", "--claim=scope=read"]);

    let asked = ["--audience=orders", "--issuer=https://login.example.com", "--keyset", SET];
    let valid = rig.kubectl_keyset(&[&["verify", &token, &source], &asked[..]].concat());
    assert_eq!((valid.code, valid.err.as_str()), (0, ""), "{}", valid.out);
    insta::assert_snapshot!("verify_valid", shown(&valid));
    let from_stdin = with_input(&rig, &["verify", "-", &source, "--audience=orders"], &format!("{token}\n"));
    assert_eq!(from_stdin.code, 0, "{from_stdin:?}");

    // For somebody else, and for something else.
    let refused = rig.kubectl_keyset(&["verify", &token, &source, "--audience=billing", "--purpose=login"]);
    assert_eq!((refused.code, refused.err.as_str()), (3, ""), "{}", refused.out);
    insta::assert_snapshot!("verify_refused", shown(&refused));
    let json = rig.kubectl_keyset(&["verify", &token, &source, "-o", "json"]);
    assert_eq!(json.code, 3);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["valid"], &json["refusedFor"]), (&json!(false), &json!("aud")));
    let checks = json["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["source", "set", "size", "form"]);
    assert!(checks.iter().any(|check| check["name"] == "signature" && check["outcome"] == "Passed"), "{json}");

    let (message, signature) = token.rsplit_once('.').unwrap();
    for (token, name) in [
        (format!("{message}.{}{signature}", &signature[..4]), "signature"),
        (format!("Bearer {token}"), "form"),
        ("2YotnFZFEjr1zCsicMWpAA".to_owned(), "form"),
    ] {
        let said = rig.kubectl_keyset(&["verify", &token, &source, "--audience=orders"]);
        assert!(said.code == 3 && said.out.contains(&format!("refuses it for its {name}.")), "{token}: {said:?}");
    }
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn verify_fetches_as_a_verifier_would() {
    let rig = Rig::start("plugin-verify-web").await;
    rig.apply(json!({ "tokens": { "maxLifetime": "1h" } })).await;
    rig.until_settled().await;
    let token = minted(&rig, &["--audience=orders"]);
    let verify = |more: &[&str]| rig.kubectl_keyset(&[&["verify", &token, "--audience=orders"], more].concat());
    let path = "/plugin-verify-web/pay/jwks.json";

    // HTTPS, with a CA of its own.
    let (server, address) = tls_server(&rig, &[]).await;
    let ca = rig.cluster.directory().join("plugin-verify-web-ca.pem");
    let url = format!("--url=https://{address}{path}");
    assert_eq!(verify(&[&url, "--ca-file", ca.to_str().unwrap()]).code, 0);
    let unknown = verify(&[&url]);
    assert_eq!((unknown.code, unknown.err.lines().count()), (1, 1), "{unknown:?}");
    assert!(unknown.err.contains("UnknownIssuer: give its CA with --ca-file"), "{unknown:?}");
    drop(server);

    // Discovered.
    let set = format!("http://{}{path}", rig.servers[0].public);
    let web = web(move |host, path| match path {
        "/.well-known/openid-configuration" => ok(&json!({ "issuer": format!("http://{host}"), "jwks_uri": set })),
        "/other/.well-known/openid-configuration" => {
            ok(&json!({ "issuer": format!("http://{host}"), "jwks_uri": set }))
        }
        "/moved" => "HTTP/1.1 301 Moved Permanently\r\nlocation: /here\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "/html" => "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>".to_owned(),
        "/endless" => "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n".to_owned() + &" ".repeat(2_000_000),
        _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
    });
    let discovered = verify(&["-o=json", &format!("--issuer=http://{web}")]);
    let discovered: Value = serde_json::from_str(&discovered.out).unwrap();
    assert_eq!(discovered["refusedFor"], "iss", "the token has none");
    assert!(discovered["checks"][0]["explanation"].as_str().unwrap().ends_with(path), "{discovered}");

    for (argument, words) in [
        (format!("--issuer=http://{web}/other"), "is the discovery document of \"http://"),
        (format!("--issuer=http://{web}/none"), "/none/.well-known/openid-configuration answers 404 Not Found"),
        (format!("--url=http://{web}/moved"), "a redirect to \"/here\", which many verifiers do not follow"),
        (format!("--url=http://{web}/html"), "/html has no set: the set is not JSON"),
        (format!("--url=http://{web}/endless"), "has more than 1048576 octets"),
        (format!("--url=http://{}/x/y/jwks.json", rig.servers[0].public), "answers 404 Not Found"),
        ("--url=http://127.0.0.1:9/".to_owned(), "does not answer: Connection refused"),
        ("--ca-file=/nonexistent".to_owned(), "error: --ca-file /nonexistent"),
        ("--output=table".to_owned(), "where is the set? Give its --url"),
    ] {
        let said = verify(&[&argument]);
        assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (1, "", 1), "{argument}: {said:?}");
        assert!(said.err.contains(words), "{argument}: {}", said.err);
    }
    assert_eq!(verify(&["--url=ftp://localhost/"]).code, 2);

    // With the URL alone, no cluster is asked for.
    let mut alone = Command::new(env!("CARGO_BIN_EXE_kubectl-keyset"));
    alone.args(["verify", &token, "--audience=orders", &format!("--url=http://{}{path}", rig.servers[0].public)]);
    alone.env("KUBECONFIG", "/nonexistent");
    assert_eq!(super::said(alone).code, 0);
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn verify_discovers_the_issuer_of_the_key_set() {
    let consent = "--allow-issuer-host=127.0.0.1=plugin-verify-issuer";
    let install = Install { flags: vec![consent.to_owned()], ..Install::default() };
    let mut rig = Rig::installed(crate::cluster().await, "plugin-verify-issuer", install).await;
    rig.start_controller();
    let (_server, address) = tls_server(&rig, &[consent]).await;
    let issuer = format!("https://{address}/payments");
    rig.apply(json!({ "tokens": { "maxLifetime": "1h" }, "publication": { "issuer": issuer } })).await;
    rig.until_settled().await;
    let token = minted(&rig, &["--audience=orders"]);
    let ca = format!("--ca-file={}", rig.cluster.directory().join("plugin-verify-issuer-ca.pem").display());
    let verify = |token: &str| {
        let said = rig.kubectl_keyset(&["verify", token, "--audience=orders", "--keyset", SET, &ca, "-o=json"]);
        let answer: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        (said.code, answer)
    };
    let (code, answer) = crate::until("the documents of the issuer", async || {
        let said = rig.kubectl_keyset(&["verify", &token, "--audience=orders", "--keyset", SET, &ca]);
        (said.code != 1).then(|| verify(&token))
    })
    .await;
    assert_eq!((code, &answer["valid"]), (0, &json!(true)), "{answer}");
    let told = |name: &str| {
        let check = answer["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
        check["explanation"].as_str().unwrap().to_owned()
    };
    assert_eq!(told("source"), format!("the set is that of {issuer}/.well-known/jwks.json"));
    assert_eq!(told("iss"), format!("it is \"{issuer}\""));
    let (code, answer) = verify(&minted(&rig, &["--audience=orders", "--issuer=https://login.example.com"]));
    assert_eq!((code, &answer["refusedFor"]), (3, &json!("iss")));
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn verify_reaches_the_service_through_the_api_server() {
    let rig = Rig::start("plugin-verify-service").await;
    rig.apply(json!({ "tokens": { "maxLifetime": "1h" } })).await;
    rig.until_settled().await;
    let token = minted(&rig, &["--audience=orders"]);
    let verify = |service: &str| {
        rig.kubectl_keyset(&["verify", &token, "--audience=orders", "--keyset", SET, "--server-service", service])
    };
    let missing = verify("plugin-verify-service/keyset");
    let expected = "error: Service plugin-verify-service/keyset, through the API server, answers 503: no endpoints available \
                    for service \"keyset\"\n";
    assert_eq!((missing.code, missing.out.as_str(), missing.err.as_str()), (1, "", expected));

    // The API server proxies to no loopback address.
    let Some(host) = own_address() else {
        println!("skipped: this machine has no address but its loopback one");
        return;
    };
    let server = rig.new_server("0.0.0.0:0", "127.0.0.1:0").await;
    service_of(&rig, &host, server.public.port()).await;
    let said = crate::until("the Service", async || {
        let said = verify("plugin-verify-service/keyset");
        (said.code != 1).then_some(said)
    })
    .await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("Service plugin-verify-service/keyset"), "{}", said.out);
    let denied = rig.kubectl_keyset(&[
        "verify",
        &token,
        "--keyset",
        SET,
        "--server-service=plugin-verify-service/keyset",
        "--as=nobody",
    ]);
    assert_eq!((denied.code, denied.err.lines().count()), (1, 1), "{denied:?}");
    drop(server);
    rig.finish_discreetly().await;
}

/// The Service `keyset`, whose only Pod is a server on this machine. The API server proxies to addresses of Pods alone.
async fn service_of(rig: &Rig, host: &str, port: u16) {
    let pod = json!({
        "metadata": { "name": "server" },
        "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "server", "image": "none" }] },
    });
    crate::until("the account of the Pod", async || rig.get("serviceaccounts", "default").await).await;
    rig.create("pods", &pod).await;
    rig.patch("pods", "server/status", json!({ "status": { "podIP": host, "podIPs": [{ "ip": host }] } })).await;
    let ports = json!([{ "name": "http", "port": 80, "targetPort": port }]);
    rig.create("services", &json!({ "metadata": { "name": "keyset" }, "spec": { "ports": ports } })).await;
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": { "name": "keyset", "labels": { "kubernetes.io/service-name": "keyset" } },
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": [host],
            "conditions": { "ready": true },
            "targetRef": { "kind": "Pod", "namespace": rig.namespace, "name": "server" },
        }],
        "ports": [{ "name": "http", "port": port, "protocol": "TCP" }],
    }))
    .unwrap();
    let slices: Api<EndpointSlice> = Api::namespaced(rig.client.clone(), &rig.namespace);
    slices.create(&PostParams::default(), &slice).await.unwrap();
}

/// A token of the set, good for five minutes.
fn minted(rig: &Rig, more: &[&str]) -> String {
    rig.kubectl_keyset(&[&["token", SET], more].concat()).ok().trim_end().to_owned()
}

fn with_input(rig: &Rig, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-keyset"));
    command.args(arguments).env("KUBECONFIG", rig.cluster.kubeconfig());
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A server with a certificate, whose CA is in `<namespace>-ca.pem`.
async fn tls_server(rig: &Rig, more: &[&str]) -> (Process, SocketAddr) {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let directory = rig.cluster.directory();
    let [certificate, key] = ["ca", "key"].map(|name| directory.join(format!("{}-{name}.pem", rig.namespace)));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let api = Proxy::start(rig.client.clone(), &rig.namespace).await;
    let arguments = [
        "server",
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        &format!("--tls-cert={}", certificate.display()),
        &format!("--tls-key={}", key.display()),
    ];
    let arguments = [&arguments, more].concat();
    let process = Process::start(&rig.cluster, &format!("{}-tls", rig.namespace), api.address, &arguments);
    let line = process.says("listening").await;
    let address = line["public"].as_str().unwrap().parse().unwrap();
    // It serves nothing before it has seen everything.
    crate::until("the set over HTTPS", async || {
        let ready = format!("http://{}/readyz", line["admin"].as_str().unwrap());
        crate::witness::fetch(&ready).await.filter(|(status, _)| *status == 200)
    })
    .await;
    (process, address)
}

/// A web server that answers a host and a path with a whole response.
fn web(answer: impl Fn(&str, &str) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            // A client that goes away is its own affair.
            let _ = stream.write_all(answer(&address.to_string(), path).as_bytes());
        }
    });
    address
}

fn ok(body: &Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The address that this machine would send from; nothing is sent.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then(|| address.to_string())
}
