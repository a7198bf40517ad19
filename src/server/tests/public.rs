//! The public routes over a real listener.

use std::io::{Read, Write};

use flate2::read::GzDecoder;
use serde_json::json;
use tokio::time::timeout;

use super::*;

const PATH: &str = "/auth/a/jwks.json";

/// Serves `auth/a` with eight keys; `auth/b` waits for its document.
async fn served() -> Listener {
    let mut world = World::empty();
    world.publish("a", 1, &eight());
    let changes = world.index.key_sets(written(key_set("b", &json!({}))));
    world.store.apply(changes, Instant::now);
    listen(world.store, None, impatient()).await
}

/// A client that is in charge of each byte, and waits two seconds for one.
fn connect(address: SocketAddr) -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream
}

fn eight() -> String {
    document(&[1, 2, 3, 4, 5, 6, 7, 8])
}

#[tokio::test]
async fn a_set_is_served_at_both_paths_with_all_its_headers() {
    let server = served().await;
    let etag = format!("\"{}\"", Digest::of(eight()));
    for path in [PATH, "/auth/a/.well-known/jwks.json", "/auth/a/jwks.json?x=1"] {
        let response = request(server.address, Method::GET, path, &[]).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.body(), &eight());
        let expected = HeaderMap::from_iter(
            [
                ("content-type", "application/jwk-set+json"),
                ("content-length", eight().len().to_string().as_str()),
                ("etag", &etag),
                ("cache-control", "public, max-age=300, stale-while-revalidate=300, stale-if-error=43050"),
                ("access-control-allow-origin", "*"),
                ("vary", "accept-encoding"),
                ("x-content-type-options", "nosniff"),
            ]
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())),
        );
        assert_eq!(headers(&response), expected);

        let head = request(server.address, Method::HEAD, path, &[]).await;
        assert_eq!((head.status().as_u16(), headers(&head)), (200, expected));
        assert!(head.body().is_empty());
    }
}

#[tokio::test]
async fn a_set_that_is_larger_than_any_buffer_is_served_whole() {
    let rsa = |seed| PublicJwk::rsa(Algorithm::RS256, &[[129; 256], [seed; 256]].concat(), &[1, 0, 1]).unwrap();
    let large = JwkSet::new((1..128).step_by(2).map(rsa).collect()).unwrap().to_json();
    assert!(large.len() > 48 * 1024);
    let mut world = World::empty();
    world.publish("a", 1, &large);
    let server = listen(world.store, None, impatient()).await;
    assert_eq!(request(server.address, Method::GET, PATH, &[]).await.body(), &large);
}

#[tokio::test]
async fn if_none_match_spares_the_body() {
    let server = served().await;
    let etag = format!("\"{}\"", Digest::of(eight()));
    for (value, code) in [
        (etag.clone(), 304),
        (format!("W/{etag}"), 304),
        (format!("\"x\", {etag}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (etag.replace('"', ""), 200),
        // The compressed form is another entity.
        (etag.replace("\"sha", "\"-gzip"), 200),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let response = request(server.address, method, PATH, &[("if-none-match", &value)]).await;
            assert_eq!(response.status(), code, "{value}");
            assert_eq!(response.headers()["etag"], etag);
            assert!(response.headers().contains_key("cache-control") && response.headers().contains_key("vary"));
            assert_eq!(response.headers()["access-control-allow-origin"], "*");
            assert_eq!(response.headers().contains_key("content-type"), code == 200);
        }
    }
}

#[tokio::test]
async fn gzip_is_sent_to_those_who_name_it() {
    let server = served().await;
    for (accept, is_gzip) in [
        ("gzip", true),
        ("br, GZIP;q=0.5", true),
        ("gzip; q=0.001", true),
        ("gzip;q=0", false),
        ("gzip;q=x", false),
        ("*", false),
        ("identity", false),
        ("xgzip", false),
    ] {
        let response = request(server.address, Method::GET, PATH, &[("accept-encoding", accept)]).await;
        assert_eq!(response.headers().contains_key("content-encoding"), is_gzip, "{accept}");
        assert_eq!(response.headers()["vary"], "accept-encoding");
        if is_gzip {
            assert!(response.body().len() < eight().len());
            let mut text = String::new();
            GzDecoder::new(response.body().as_ref()).read_to_string(&mut text).unwrap();
            assert_eq!(text, eight());
            let etag = response.headers()["etag"].to_str().unwrap();
            assert_eq!(etag, format!("\"{}-gzip\"", Digest::of(eight())));
            let again = [("accept-encoding", accept), ("if-none-match", etag)];
            assert_eq!(request(server.address, Method::GET, PATH, &again).await.status(), 304);
        }
    }
}

#[tokio::test]
async fn everything_that_is_not_served_is_answered_alike() {
    let server = served().await;
    let expected = request(server.address, Method::GET, "/", &[]).await;
    assert_eq!(expected.status(), 404);
    assert_eq!(expected.headers()["cache-control"], "no-store");
    for path in [
        "/auth/unknown/jwks.json",
        "/auth/unknown/.well-known/jwks.json",
        "/other/a/jwks.json",
        "/auth/a",
        "/auth/a/",
        "/auth/a/.well-known/openid-configuration",
        "/auth/a/jwks.json/",
        "//auth/a/jwks.json",
        "/auth//a/jwks.json",
        "/auth/%61/jwks.json",
        "/auth/./a/jwks.json",
        "/auth/x/../a/jwks.json",
        "/auth/a/.well-known/.well-known/jwks.json",
        "/.well-known/jwks.json",
        "/jwks.json",
        "/metrics",
        "/served",
        "*",
    ] {
        let response = request(server.address, Method::GET, path, &[("if-none-match", "*")]).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(headers(&response), headers(&expected), "{path}");
        assert_eq!(response.body(), expected.body(), "{path}");
        let head = request(server.address, Method::HEAD, path, &[]).await;
        assert_eq!((head.status().as_u16(), headers(&head)), (404, headers(&expected)), "{path}");
    }
}

#[tokio::test]
async fn a_set_without_a_document_is_unavailable_and_so_is_every_set_before_the_first_lists() {
    let server = served().await;
    let starting = listen(Arc::default(), None, impatient()).await;
    for (address, path) in [(server.address, "/auth/b/jwks.json"), (starting.address, PATH)] {
        let response = request(address, Method::GET, path, &[]).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "5");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    assert_eq!(request(starting.address, Method::GET, "/", &[]).await.status(), 404);
}

#[tokio::test]
async fn other_methods_are_refused_and_preflights_are_allowed_wherever_they_go() {
    let server = served().await;
    for path in [PATH, "/auth/unknown/jwks.json"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::TRACE, Method::PATCH] {
            let response = request(server.address, method, path, &[]).await;
            assert_eq!(response.status(), 405);
            assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
        let asked = [("origin", "https://x.test"), ("access-control-request-method", "GET")];
        let response = request(server.address, Method::OPTIONS, path, &asked).await;
        assert_eq!(response.status(), 204);
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
            ("access-control-allow-headers", "*"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
    }
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let server = served().await;
    let response = request(server.address, Method::GET, PATH, &[("x", &"x".repeat(20_000))]).await;
    assert_eq!(response.status(), 431);
    let response = request(server.address, Method::GET, PATH, &[("x", &"x".repeat(10_000))]).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_let_go_and_give_their_slots_back() {
    let server = served().await;
    let mut slow = Vec::new();
    for text in ["", "GET /auth", "GET /auth/a/jwks.json HTTP/1.1\r\nhost: x\r\n", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"]
    {
        let mut stream = connect(server.address);
        stream.write_all(text.as_bytes()).unwrap();
        slow.push(stream);
    }
    // All four slots are taken: this one is served when they are given back.
    let response = timeout(Duration::from_secs(5), request(server.address, Method::GET, PATH, &[])).await.unwrap();
    assert_eq!(response.status(), 200);
    for mut stream in slow {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("still open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_after_its_lifetime() {
    let mut world = World::empty();
    world.publish("a", 1, &eight());
    let limits = Limits { lifetime: Duration::from_millis(100), header_timeout: Duration::from_mins(1), ..impatient() };
    let server = listen(world.store, None, limits).await;
    let mut stream = connect(server.address);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("still open");
    assert!(rest.starts_with(b"HTTP/1.1 404 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_requests_finish_and_waits_no_longer_than_it_may() {
    let limits = Limits { header_timeout: Duration::from_mins(1), ..impatient() };
    let mut world = World::empty();
    world.publish("a", 1, &eight());
    let server = listen(world.store, None, limits).await;
    let mut idle = connect(server.address);
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).unwrap();
    let mut late = connect(server.address);
    late.write_all(b"GET /auth/a/jwks.json HTTP/1.1\r\n").unwrap();
    let mut stuck = connect(server.address);
    stuck.write_all(b"GET /auth").unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;

    let started = Instant::now();
    server.stop.send(()).unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).expect("an idle connection stays open");
    assert!(std::net::TcpStream::connect(server.address).is_err(), "still accepts");
    late.write_all(b"host: x\r\n\r\n").unwrap();
    rest.clear();
    late.read_to_end(&mut rest).expect("no answer");
    assert!(rest.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&rest));
    timeout(Duration::from_secs(5), server.served).await.expect("never stops").unwrap();
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(1900) && waited < Duration::from_secs(4), "{waited:?}");
}
