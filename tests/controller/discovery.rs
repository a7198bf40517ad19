//! Who needs nothing but the URL of an issuer: go-oidc, openid-client and kube-apiserver find the keys of a KeySet by
//! discovery, over TLS, and take its tokens, before and after a rotation.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, api::PostParams};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, apply_crds},
    interpreter::Interpreter,
    rig::{Install, Rig, Signer},
    until,
    witness::Clock,
};

const AUDIENCE: &str = "kubernetes";

/// The files of a server at localhost, and of those who trust it.
struct Trust {
    directory: PathBuf,
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Trust {
    fn new() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("discovery-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // A certificate with the name of its issuer looks as if it had signed itself.
        params.distinguished_name.push(DnType::CommonName, "discovery");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let server = server.signed_by(&server_key, &issuer).unwrap().pem();
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (authority, certificate) = (write("ca.crt", authority), write("tls.crt", server));
        Self { authority, certificate, key: write("tls.key", server_key.serialize_pem()), directory }
    }

    /// Structured authentication as the document shows it, for this issuer.
    fn authentication(&self, issuer: &str) -> String {
        let page = include_str!("../../docs/issuers.md");
        let shown = page.split("```yaml\n# --authentication-config\n").nth(1).unwrap().split("```").next().unwrap();
        let mut config: Value = serde_yaml::from_str(shown).unwrap();
        let expected = config["jwt"][0]["issuer"].as_object_mut().unwrap();
        assert_eq!(expected["audiences"], json!([AUDIENCE]));
        expected["url"] = json!(issuer);
        expected["certificateAuthority"] = json!(fs::read_to_string(&self.authority).unwrap());
        // JSON is YAML.
        let path = self.directory.join("authentication.yaml");
        fs::write(&path, config.to_string()).unwrap();
        format!("--authentication-config={}", path.display())
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn go_oidc_openid_client_and_kube_apiserver_need_nothing_but_the_issuer() {
    let trust = Trust::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let issuer = format!("https://localhost:{port}/tenant");
    let cluster = Arc::new(Cluster::start_with(&[trust.authentication(&issuer)]).await.unwrap());
    apply_crds(&cluster.client().await.unwrap()).await.unwrap();
    let flags = vec!["--allow-issuer-host=localhost=discovery".to_owned()];
    let install = Install { flags, ..Install::default() };
    let mut rig = Rig::installed(Arc::clone(&cluster), "discovery", install).await;
    let server = rig.new_tls_server(&format!("127.0.0.1:{port}"), &trust.certificate, &trust.key).await;
    rig.start_controller();
    rig.apply(json!({ "tokens": { "maxLifetime": "60s" }, "publication": { "issuer": issuer } })).await;
    let first = rig.until_settled().await;
    let trusting = |client: Option<Interpreter>| client.map(|client| client.trusting(&trust.authority));
    let clients = [
        (trusting(Interpreter::go_oidc(&trust.directory)), "oidc", &["alice"][..]),
        (trusting(Interpreter::node(&trust.directory)), "discover.mjs", &["oidc alice", "oauth2 alice"]),
    ];
    everybody_takes(&clients, &cluster, &issuer, &token(&first, &issuer)).await;

    rig.rotate().await;
    let second = until("a rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    everybody_takes(&clients, &cluster, &issuer, &token(&second, &issuer)).await;
    let stranger = token(&second, "https://localhost/other");
    assert_eq!(user(&cluster, &stranger).await, None, "an issuer that is not configured");
    drop(server);
    rig.finish_by(Clock::of(2, 63)).await;
}

/// A client, if there is one, its script, and what that says to a token that it takes.
type Client<'a> = (Option<Interpreter>, &'a str, &'a [&'a str]);

async fn everybody_takes(clients: &[Client<'_>], cluster: &Cluster, issuer: &str, token: &str) {
    let question = json!({ "issuer": issuer, "audience": AUDIENCE, "token": token }).to_string();
    for (client, script, answer) in clients {
        let Some(client) = client else { continue };
        let mut script = client.start(script, Path::new("/nowhere"));
        script.give(&question);
        assert_eq!(script.finish(), *answer);
    }
    // The API server looks for an issuer that was not there at its start every ten seconds.
    until("a user", async || user(cluster, token).await.filter(|user| user == "login:alice")).await;
}

/// What `kubectl auth whoami` says to that token.
async fn user(cluster: &Cluster, token: &str) -> Option<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(cluster.client_with(token).await.unwrap());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
    review.status?.user_info?.username
}

/// As an issuer with the mounted Secret makes it.
fn token(signer: &Signer, issuer: &str) -> String {
    let pem = BASE64_STANDARD.decode(signer.data["private.pem"].as_str().unwrap()).unwrap();
    let header = Header { kid: Some(signer.kid.clone()), ..Header::new(Algorithm::ES256) };
    let now = get_current_timestamp();
    let claims: Value = json!({ "iss": issuer, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 60 });
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_pem(&pem).unwrap()).unwrap()
}
