//! `import`: from a file and from a Secret, with the refusals of the operator.

use serde_json::json;

use super::tidy;
use crate::rig::{Rig, SET};
use crate::until;

/// The key of RFC 7515, appendix A.3: everybody has it.
const JWK: &str = r#"{"kty":"EC","crv":"P-256","kid":"old-1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

#[tokio::test]
async fn a_key_is_imported_from_a_file_and_from_a_secret() {
    let rig = Rig::start("plugin-import").await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let directory = rig.cluster.directory().join("plugin-import");
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("Old_Issuer.jwk", JWK);
    let printed = rig.kubectl_keyset(&["import", SET, "--file", &good, "--print"]).ok();
    let private = "jpsQnnGQmL";
    assert!(!printed.contains(private), "{printed}");
    insta::assert_snapshot!("import_printed", printed.replace(directory.to_str().unwrap(), "<directory>"));
    let dry = rig.kubectl_keyset(&["import", SET, "--file", &good, "--dry-run", "server"]).ok();
    assert!(dry.ends_with("It was a dry run: nothing was written.\n"), "{dry}");
    assert!(rig.get("secrets", "pay-import-old-issuer").await.is_none());

    // The same refusals as the operator's, before anything is written.
    let refused = |name: &str, text: &str, more: &[&str]| {
        let path = file(name, text);
        let line = rig.refused(&[&["import", SET, "--file", &path], more].concat());
        assert!(!line.contains(private), "{line}");
        line
    };
    let wrong = refused("wrong.jwk", JWK, &["--algorithm", "RS256"]);
    assert!(wrong.contains("it is a key of type P-256, and RS256 needs RSA"), "{wrong}");
    let public = refused("public.jwk", &JWK.replace("\"d\"", "\"x-d\""), &[]);
    assert!(public.contains("public half"), "{public}");
    let text = refused("text.pem", "hello", &[]);
    assert!(text.contains("neither PEM nor JSON"), "{text}");
    assert!(refused("none.jwk", "", &[]).contains("neither PEM nor JSON"));
    let absent = rig.refused(&["import", SET, "--file", "/nonexistent/key.pem"]);
    assert!(absent.starts_with("/nonexistent/key.pem cannot be read"), "{absent}");
    assert_eq!(rig.kubectl_keyset(&["import", SET]).code, 2);
    let kid = rig.recorded().await["pay-1"].clone();
    let taken = refused("taken.jwk", JWK, &["--key-id", &kid]);
    assert!(taken.contains("is the kid of another key (pay-1)"), "{taken}");
    assert_eq!(rig.spec().await["importedKeys"], serde_json::Value::Null);

    let said = rig.kubectl_keyset(&["import", SET, "--file", &good]).ok();
    insta::assert_snapshot!("import", tidy(&said));
    until("the key in the set", async || rig.published().await.contains(&"old-1".to_owned()).then_some(())).await;
    let secret = rig.get("secrets", "pay-import-old-issuer").await.unwrap();
    assert_eq!((&secret["type"], &secret["immutable"]), (&json!("Opaque"), &json!(true)));
    assert_eq!(secret["metadata"]["labels"]["keyset.dev/import"], SET);
    let again = rig.refused(&["import", SET, "--file", &good, "--entry", "other"]);
    assert!(again.starts_with("the same key is in the set already"), "{again}");
    let entry = rig.refused(&["import", SET, "--file", &good]);
    assert!(entry.contains("has an importedKeys entry old-issuer already"), "{entry}");
    rig.until_settled().await;

    from_a_secret(&rig).await;
    rig.finish_discreetly().await;
}

/// Its owner consents by the label, and nothing else of it is written.
async fn from_a_secret(rig: &Rig) {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "made" }, "stringData": { "a.pem": pem, "b": "x" },
    });
    rig.create("secrets", &object).await;
    let doubt = rig.refused(&["import", SET, "--secret", "made"]);
    assert_eq!(doubt, "Secret made has a.pem, b: name one, --secret made/ENTRY");
    let printed = rig.kubectl_keyset(&["import", SET, "--secret", "made/a.pem", "--key-id", "made-1", "--print"]).ok();
    insta::assert_snapshot!("import_secret_printed", printed);
    rig.kubectl_keyset(&["import", SET, "--secret", "made/a.pem", "--key-id", "made-1"]).ok();
    until("the key in the set", async || rig.published().await.contains(&"made-1".to_owned()).then_some(())).await;
    assert_eq!(rig.spec().await["importedKeys"].as_array().unwrap().len(), 2);
    assert!(
        rig.refused(&["import", SET, "--secret", "none"]).contains("Secret none is not in namespace plugin-import")
    );
    rig.patch("secrets", "made", json!({ "metadata": { "labels": { "keyset.dev/import": "other" } } })).await;
    assert!(rig.refused(&["import", SET, "--secret", "made/a.pem"]).contains("consents to KeySet other"));
    rig.until_settled().await;
}
