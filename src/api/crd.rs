//! The CustomResourceDefinitions, finished and printed.
//!
//! Invariants: one printing has one text (no time, no version of ours in it), and a reader of YAML 1.1
//! (kubectl) reads it as one of YAML 1.2 does: keys and values that look like booleans, above all the
//! members `n` and `y` of a JWK, are quoted. What kube's derive can say stands on the types; what it
//! cannot say is added here and nowhere else.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, ValidationRule,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{KeySet, SigningKey, rules, schema};

/// The CRDs cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// A CRD has no JSON form.
    #[error("the CRD cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// A CRD has no YAML form.
    #[error("the CRD cannot be printed: {0}")]
    Print(#[from] serde_saphyr::ser::Error),
}

/// Both CRDs: KeySet, SigningKey.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        finish(KeySet::crd(), &Root { name_length: 52, rules: rules::key_set() }),
        record(finish(SigningKey::crd(), &Root { name_length: 63, rules: rules::signing_key() })),
    ]
}

/// Both CRDs as one stream of YAML documents.
pub fn crds_yaml() -> Result<String, CrdError> {
    let documents: Vec<String> = crds().iter().map(crd_yaml).collect::<Result<_, _>>()?;
    Ok(documents.join("---\n"))
}

/// One CRD as a YAML document.
pub fn crd_yaml(crd: &CustomResourceDefinition) -> Result<String, CrdError> {
    let mut value = serde_json::to_value(crd)?;
    whole_numbers(&mut value);
    Ok(serde_saphyr::to_string(&value)?)
}

/// What the root of a schema says beyond `spec` and `status`.
struct Root {
    name_length: i64,
    rules: Vec<ValidationRule>,
}

fn finish(mut crd: CustomResourceDefinition, root: &Root) -> CustomResourceDefinition {
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    let schemas = crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    for schema in schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        tidy(schema);
        finish_root(schema, root);
    }
    crd
}

/// Takes the status subresource away: SigningKey has one writer, and its record and the report that follows from it are
/// one write (docs/adr/0002).
fn record(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    crd.spec.versions.iter_mut().for_each(|version| version.subresources = None);
    crd
}

fn finish_root(schema: &mut JSONSchemaProps, root: &Root) {
    let properties = schema.properties.get_or_insert_default();
    for name in ["apiVersion", "kind"] {
        properties.insert(name.to_owned(), described(&format!("{name} of this object.")));
    }
    properties.insert("metadata".to_owned(), metadata(root.name_length));
    if let Some(status) = properties.get_mut("status") {
        status.default = Some(JSON(json!({ "observedGeneration": -1 })));
    }
    schema.x_kubernetes_validations = Some(root.rules.clone());
}

fn described(description: &str) -> JSONSchemaProps {
    JSONSchemaProps {
        type_: Some("string".to_owned()),
        description: Some(description.to_owned()),
        ..JSONSchemaProps::default()
    }
}

/// The only part of metadata that a schema may bound is the name.
fn metadata(name_length: i64) -> JSONSchemaProps {
    let name = JSONSchemaProps {
        type_: Some("string".to_owned()),
        max_length: Some(name_length),
        pattern: Some(schema::DNS_LABEL.to_owned()),
        ..JSONSchemaProps::default()
    };
    JSONSchemaProps {
        type_: Some("object".to_owned()),
        properties: Some([("name".to_owned(), name)].into()),
        ..JSONSchemaProps::default()
    }
}

/// No field is nullable (an optional one is absent), and a description is one paragraph.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(description) = &mut schema.description {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(tidy);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}

/// Bounds are floats in the Go type and whole in what people read.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        Value::Number(number) if number.is_f64() => {
            if let Some(whole) = number.to_string().strip_suffix(".0").and_then(|text| text.parse::<i64>().ok()) {
                *value = whole.into();
            }
        }
        _ => {}
    }
}
