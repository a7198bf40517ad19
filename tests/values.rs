//! The values of the chart: each has a comment, a row in the chart's README, and a place in the schema.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{env, fmt::Write, fs, path::Path};

use serde_json::Value;

#[test]
fn the_table_of_the_readme_is_what_the_comments_say() {
    let mut table = String::from("| value | default | meaning |\n|---|---|---|\n");
    for Row { path, default, meaning } in rows() {
        writeln!(table, "| `{path}` | `{default}` | {} |", meaning.replace('|', "\\|")).unwrap();
    }
    let path = chart("README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}\n{table}{END}{after}");
    if env::var_os("UPDATE_VALUES").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == wanted, "charts/keyset/README.md is out of date: run `make chart`");
}

#[test]
fn every_value_is_in_the_schema_and_every_place_of_the_schema_is_a_value() {
    let schema: Value = serde_json::from_str(&fs::read_to_string(chart("values.schema.json")).unwrap()).unwrap();
    let values: Value = serde_yaml::from_str(&fs::read_to_string(chart("values.yaml")).unwrap()).unwrap();
    let mut faults = Vec::new();
    compare("", &schema, &values, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_value_has_a_comment() {
    let values: Value = serde_yaml::from_str(&fs::read_to_string(chart("values.yaml")).unwrap()).unwrap();
    let rows: Vec<String> = rows().into_iter().map(|row| row.path).collect();
    let mut leaves = Vec::new();
    collect("", &values, &rows, &mut leaves);
    assert_eq!(leaves, Vec::<String>::new(), "without a comment");
}

#[test]
fn every_value_is_set_to_another_one_in_a_suite_of_the_chart() {
    let mut sets = Vec::new();
    let files = fs::read_dir(chart("tests")).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|path| path.is_file()) {
        let suite: Value = serde_yaml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        sets.extend(suite["tests"].as_array().unwrap().iter().filter_map(|test| test["set"].as_object()).cloned());
    }
    let is_set = |row: &Row| {
        sets.iter().flatten().any(|(path, value)| {
            let rest = if row.path == *path { Some("") } else { row.path.strip_prefix(&format!("{path}.")) };
            let names = rest.into_iter().flat_map(|rest| rest.split('.').filter(|name| !name.is_empty()));
            let found = rest.and_then(|_| names.into_iter().try_fold(value, |value, name| value.get(name)));
            found.is_some_and(|value| *value != row.default)
        })
    };
    let unset: Vec<String> = rows().into_iter().filter(|row| !is_set(row)).map(|row| row.path).collect();
    assert!(unset.is_empty(), "no suite in charts/keyset/tests sets {unset:?}");
}

#[test]
fn the_crds_of_the_chart_are_those_of_the_project() {
    for file in ["keysets.yaml", "signingkeys.yaml"] {
        let ours = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("crds").join(file)).unwrap();
        let path = chart("files/crds").join(file);
        if env::var_os("UPDATE_VALUES").is_some() {
            fs::write(&path, &ours).unwrap();
        }
        assert!(fs::read_to_string(&path).unwrap() == ours, "{} is out of date: run `make chart`", path.display());
    }
}

struct Row {
    path: String,
    default: Value,
    meaning: String,
}

/// The commented values, in their order. A value is what stands on the line after its comment and below it.
fn rows() -> Vec<Row> {
    let text = fs::read_to_string(chart("values.yaml")).unwrap();
    let values: Value = serde_yaml::from_str(&text).unwrap();
    let (mut parents, mut comment, mut rows) = (Vec::<(usize, String)>::new(), None::<String>, Vec::new());
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if let Some(meaning) = line.trim_start().strip_prefix("# -- ") {
            comment = Some(meaning.to_owned());
            continue;
        }
        let Some((name, _)) = line.trim_start().split_once(':').filter(|_| !line.trim_start().starts_with('#')) else {
            continue;
        };
        parents.retain(|(depth, _)| *depth < indent);
        parents.push((indent, name.to_owned()));
        if let Some(meaning) = comment.take() {
            let names: Vec<&str> = parents.iter().map(|(_, name)| name.as_str()).collect();
            let default = names.iter().fold(&values, |value, name| &value[name]).clone();
            rows.push(Row { path: names.join("."), default, meaning });
        }
    }
    rows
}

fn compare(path: &str, schema: &Value, value: &Value, faults: &mut Vec<String>) {
    let (Some(places), Some(values)) = (schema["properties"].as_object(), value.as_object()) else { return };
    if schema["additionalProperties"] != false {
        faults.push(format!("{path} takes any name"));
    }
    // What no value is given for: Helm's own, and the parts of a map that people fill.
    let known = |name: &String| name == "global" || values.is_empty() || path.ends_with(".resources");
    faults.extend(
        places
            .keys()
            .filter(|name| !values.contains_key(*name) && !known(name))
            .map(|name| format!("{path}.{name} is no value")),
    );
    for (name, value) in values {
        match places.get(name) {
            Some(place) => compare(&format!("{path}.{name}"), place, value, faults),
            None => faults.push(format!("{path}.{name} is not in the schema")),
        }
    }
}

fn collect(path: &str, value: &Value, rows: &[String], leaves: &mut Vec<String>) {
    if rows.iter().any(|row| row == path) {
        return;
    }
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(&path, value, rows, leaves);
            }
        }
        None => leaves.push(path.to_owned()),
    }
}

fn chart(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/keyset").join(file)
}

const BEGIN: &str = "<!-- values -->";
const END: &str = "<!-- end of values -->";
