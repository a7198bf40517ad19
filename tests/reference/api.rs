//! `api.md`: every kind, field, type, default, bound and rule, out of the CRDs.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition,
};
use keyset_operator::api::crds;
use serde_json::Value;

use super::plain;

pub(crate) fn page() -> String {
    let mut page = PREFACE.to_owned();
    for crd in crds() {
        kind(&crd, &mut page);
    }
    page
}

fn kind(crd: &CustomResourceDefinition, page: &mut String) {
    let names = &crd.spec.names;
    let version = &crd.spec.versions[0];
    let schema = serde_json::to_value(version.schema.as_ref().unwrap()).unwrap()["openAPIV3Schema"].take();
    let short = names.short_names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    writeln!(page, "\n## {}\n\n{}\n", names.kind, plain(schema["description"].as_str().unwrap())).unwrap();
    let group = format!("{}/{}", crd.spec.group, version.name);
    writeln!(page, "`apiVersion: {group}`, `kind: {}`; for kubectl `{}`, {short}.", names.kind, names.plural).unwrap();
    rules(&schema, page);
    let metadata = &schema["properties"]["metadata"]["properties"]["name"];
    writeln!(page, "\n`metadata.name` is {}.", bounds(metadata).join(", ")).unwrap();
    for name in ["spec", "status"] {
        object(&names.kind, name, &schema["properties"][name], page);
    }
    columns(version.additional_printer_columns.iter().flatten(), &names.kind, page);
}

/// A section for an object, and after it for each object in it.
fn object(kind: &str, path: &str, schema: &Value, page: &mut String) {
    writeln!(page, "\n### {kind} {path}\n\n{}\n", plain(schema["description"].as_str().unwrap())).unwrap();
    page.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    let properties = schema["properties"].as_object().unwrap();
    for (name, property) in properties {
        let is_required =
            schema["required"].as_array().is_some_and(|names| names.contains(&Value::from(name.as_str())));
        let default = match &property["default"] {
            _ if is_required => "required".to_owned(),
            Value::Null => String::new(),
            Value::Object(members) if members.is_empty() => "`{}`".to_owned(),
            Value::String(text) => format!("`{text}`"),
            value => format!("`{value}`"),
        };
        let (typed, meaning) =
            (types(kind, path, name, property), plain(property["description"].as_str().unwrap_or_default()));
        writeln!(page, "| `{name}` | {typed} | {default} | {meaning} |").unwrap();
    }
    rules(schema, page);
    for (name, property) in properties {
        if let Some((inner, suffix)) = structure(property) {
            object(kind, &format!("{path}.{name}{suffix}"), inner, page);
        }
    }
}

/// What a field is made of: the fields of an object, or of the objects in a list.
fn structure(property: &Value) -> Option<(&Value, &'static str)> {
    [(property, ""), (&property["items"], "[]")].into_iter().find(|(schema, _)| schema["properties"].is_object())
}

fn types(kind: &str, path: &str, name: &str, property: &Value) -> String {
    let mut words = bounds(property);
    if let Some((_, suffix)) = structure(property) {
        let heading = format!("{kind} {path}.{name}{suffix}");
        words[0] = format!("[{}](#{})", words[0], super::anchor(&heading));
    }
    words.join(", ")
}

/// The type, and what it is held to.
fn bounds(property: &Value) -> Vec<String> {
    let text = |key: &str| property[key].as_str().unwrap_or_default();
    let mut words = Vec::new();
    if let Some(values) = property["enum"].as_array() {
        let values: Vec<String> =
            values.iter().map(|value| format!("`{}`", value.to_string().trim_matches('"'))).collect();
        return vec![values.join(" \\| ")];
    }
    let items = &property["items"];
    words.push(match text("type") {
        "array" if items["properties"].is_object() => "list of objects".to_owned(),
        "array" => format!("list of {}", bounds(items).join(", ")),
        "string" if text("format") == "date-time" => return vec!["time".to_owned()],
        "string" if text("pattern") == DURATION => return vec!["duration".to_owned()],
        other => other.to_owned(),
    });
    let range =
        [("minLength", "maxLength", " characters"), ("minimum", "maximum", ""), ("minItems", "maxItems", " items")];
    for (least, most, unit) in range {
        words.extend(match (&property[least], &property[most]) {
            (Value::Null, Value::Null) => None,
            (Value::Null, most) => Some(format!("at most {most}{unit}")),
            (least, Value::Null) => Some(format!("at least {least}{unit}")),
            (least, most) if least == most => Some(format!("{least}{unit}")),
            (least, most) => Some(format!("{least} to {most}{unit}")),
        });
    }
    if let Some(keys) = property["x-kubernetes-list-map-keys"].as_array() {
        words.push(format!("one for each `{}`", keys[0].as_str().unwrap()));
    }
    if !text("pattern").is_empty() {
        words.push(format!("`{}`", text("pattern").replace('|', "\\|")));
    }
    words
}

/// What the API server refuses beyond types, and the fields with rules of their own.
fn rules(schema: &Value, page: &mut String) {
    let of = |schema: &Value, path: &str| -> Vec<String> {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        let lines = rules.map(|rule| {
            let field = format!("{path}{}", rule["fieldPath"].as_str().unwrap_or_default());
            let field = field.trim_start_matches('.');
            let subject = if field.is_empty() { String::new() } else { format!("`{field}` ") };
            format!("- {subject}{}", plain(rule["message"].as_str().unwrap()))
        });
        lines.collect()
    };
    let mut lines = of(schema, "");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        // An object has a section of its own.
        if property["properties"].is_null() {
            let own = of(property, name);
            lines.extend(own.into_iter().filter(|line| !line.ends_with(EVERY_DURATION)));
        }
    }
    if !lines.is_empty() {
        writeln!(page, "\nThe API server holds:\n\n{}", lines.join("\n")).unwrap();
    }
}

fn columns<'a>(columns: impl Iterator<Item = &'a CustomResourceColumnDefinition>, kind: &str, page: &mut String) {
    writeln!(page, "\n### Columns of {kind}\n\n| column | field | meaning |\n|---|---|---|").unwrap();
    for column in columns {
        let wide = if column.priority.unwrap_or_default() > 0 { " (with `-o wide`)" } else { "" };
        let meaning = plain(column.description.as_deref().unwrap_or_default());
        writeln!(page, "| {} | `{}` | {meaning}{wide} |", column.name, column.json_path.trim_start_matches('.'))
            .unwrap();
    }
}

const DURATION: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
const EVERY_DURATION: &str = "must be at most 8760h (one year)";
const PREFACE: &str = "# The API

Written from the CRDs by `make reference`. [examples/full.yaml](../../examples/full.yaml) has every field of a KeySet in one
place, [timing.md](../timing.md) says what the durations are for, and [conditions.md](../conditions.md) what the status tells.

- A **duration** is a text such as `720h`, `1h30m` or `10s`, of at most four parts, as in the Gateway API, and at most `8760h`,
  one year.
- A **time** is RFC 3339, such as `2026-11-28T12:00:00Z`.
- Everything under `spec` of a KeySet is yours, and the operator never writes it. Everything else is written by the operator alone.
";
