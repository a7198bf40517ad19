//! The CRDs as files: what is committed is what the types say, and a schema that every reader takes alike.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{env, fs, path::PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyset_operator::api::{crd_yaml, crds, crds_yaml};
use serde_json::Value;

#[test]
fn committed_files_are_what_the_types_say() {
    for crd in crds() {
        let (path, generated) = (path(&crd), crd_yaml(&crd).unwrap());
        if env::var_os("UPDATE_CRDS").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == generated, "{} is out of date: run `make crds`", path.display());
    }
}

#[test]
fn the_printed_stream_is_both_files() {
    let files: Vec<String> = crds().iter().map(|crd| fs::read_to_string(path(crd)).unwrap()).collect();
    assert_eq!(crds_yaml().unwrap(), files.join("---\n"));
}

#[test]
fn a_reader_of_yaml_1_1_reads_the_same() {
    for crd in crds() {
        let text = crd_yaml(&crd).unwrap();
        assert_eq!(read_as_yaml_1_1(&text).as_ref(), Ok(&crd), "{}", crd.spec.names.kind);
    }
}

#[test]
fn the_reader_of_yaml_1_1_trips_over_bare_booleans() {
    let committed = crds_yaml().unwrap();
    let signing_key = committed.split("---\n").last().unwrap();
    for name in ["n", "y"] {
        let bare = signing_key.replace(&format!("\"{name}\":"), &format!("{name}:"));
        assert!(bare != signing_key && read_as_yaml_1_1(&bare).is_err(), "{name}");
    }
}

#[test]
fn schemas_are_bounded_and_plain() {
    for crd in crds() {
        let crd = serde_json::to_value(crd).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(faults(schema), Vec::<String>::new());
    }
}

#[test]
fn faults_are_found() {
    let schema = serde_json::json!({ "type": "object", "properties": {
        "a": { "type": "string" },
        "b": { "type": "integer", "format": "uint32" },
        "c": { "type": "string", "maxLength": 3, "nullable": true },
        "d": { "type": "array", "items": { "type": "string", "enum": ["x"] } },
        "e": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        "f": { "type": "object", "additionalProperties": { "type": "string", "maxLength": 3 } },
        "g": {},
    } });
    assert_eq!(
        faults(&schema),
        [
            ".a is a string without bounds",
            ".b has the odd format uint32",
            ".c is nullable",
            ".d is a list without bounds",
            ".e takes anything",
            ".f is a map without bounds",
            ".g has no type",
        ]
    );
}

fn path(crd: &CustomResourceDefinition) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "crds", &format!("{}.yaml", crd.spec.names.plural)].iter().collect()
}

/// An error if YAML 1.1 takes a bare word, where a string belongs, for something else.
fn read_as_yaml_1_1(text: &str) -> Result<CustomResourceDefinition, String> {
    let options = serde_saphyr::options! { strict_booleans: false, no_schema: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// What the API server or a client would take badly, each with its path. What the API server itself
/// defines (apiVersion, kind) is bounded there.
fn faults(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, property) in properties.filter(|(name, _)| !["apiVersion", "kind"].contains(&name.as_str())) {
        collect_faults(&format!(".{name}"), property, &mut found);
    }
    found
}

fn collect_faults(path: &str, schema: &Value, found: &mut Vec<String>) {
    let has = |key: &str| schema.get(key).is_some();
    let kind = schema["type"].as_str().unwrap_or_default();
    let mut fault = |text: &str| found.push(format!("{path} {text}"));
    match kind {
        "" => fault("has no type"),
        "string" if !has("maxLength") && !has("enum") => fault("is a string without bounds"),
        "array" if !has("maxItems") => fault("is a list without bounds"),
        "object" if has("additionalProperties") && !has("maxProperties") => fault("is a map without bounds"),
        _ => {}
    }
    if has("nullable") {
        fault("is nullable");
    }
    if has("x-kubernetes-preserve-unknown-fields") {
        fault("takes anything");
    }
    if let Some(format) = schema["format"].as_str().filter(|f| !["int32", "int64", "date-time"].contains(f)) {
        fault(&format!("has the odd format {format}"));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect_faults(&format!("{path}.{name}"), property, found);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
            collect_faults(&format!("{path}[]"), inner, found);
        }
    }
}
