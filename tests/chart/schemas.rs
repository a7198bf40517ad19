//! JSON schemas for kubeconform, out of the OpenAPI of each version of Kubernetes and the CRDs. As strict as an API server
//! that is asked for strict validation: a field that is not there is an error.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Map, Value, json};

use crate::{TOOLS, objects, root};

/// Where kubeconform finds a schema below the directory that [`write`] filled.
pub(crate) const LOCATION: &str = "{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json";

/// The versions of Kubernetes, such as `v1.33.13`.
pub(crate) fn versions() -> BTreeSet<String> {
    let names = files(&TOOLS.join("apis")).filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()));
    names.collect()
}

/// Writes the schemas that `objects` need, by one version of Kubernetes.
pub(crate) fn write(directory: &Path, version: &str, objects: &[Value]) {
    let directory = directory.join(version);
    fs::create_dir_all(&directory).unwrap();
    let api: Value = serde_json::from_slice(&fs::read(TOOLS.join(format!("apis/{version}.json"))).unwrap()).unwrap();
    let definitions = api["definitions"].as_object().unwrap();
    for object in objects {
        let (group_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
        let built_in = definitions.iter().find(|(_, definition)| {
            let kinds = definition["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.contains(&json!({"group": group, "version": version, "kind": kind})))
        });
        let schema = built_in.map(|(name, _)| with_definitions(name, definitions));
        let schema = schema.or_else(|| custom(group, version, kind));
        let schema = schema.unwrap_or_else(|| panic!("no schema of {group_version} {kind}"));
        let group = group.split('.').next().map(|group| group.to_owned() + "-").filter(|group| group != "-");
        let file = format!("{}-{}{version}.json", kind.to_lowercase(), group.unwrap_or_default());
        fs::write(directory.join(file), schema.to_string()).unwrap();
    }
}

/// A definition with all that it refers to.
fn with_definitions(name: &str, definitions: &Map<String, Value>) -> Value {
    let (mut wanted, mut found) = (vec![name.to_owned()], Map::new());
    while let Some(name) = wanted.pop() {
        if !found.contains_key(&name) {
            let mut schema = definitions[&name].clone();
            if name.ends_with(".Quantity") {
                schema["type"] = json!(["string", "number"]);
            }
            strict(&mut schema);
            references(&schema, &mut wanted);
            found.insert(name, schema);
        }
    }
    json!({ "$ref": format!("#/definitions/{name}"), "definitions": found })
}

fn references(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            names.extend(map.get("$ref").and_then(|it| Some(it.as_str()?.strip_prefix("#/definitions/")?.to_owned())));
            map.values().for_each(|value| references(value, names));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, names)),
        _ => {}
    }
}

/// The schema of a kind that a CRD defines, ours or another's.
fn custom(group: &str, version: &str, kind: &str) -> Option<Value> {
    let directories = [root().join("crds"), TOOLS.join("apis")];
    let crds = directories.iter().flat_map(|directory| files(directory).map(|name| directory.join(name)));
    let crds = crds.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut crds = crds.flat_map(|path| objects(&fs::read_to_string(path).unwrap()));
    let crd = crds.find(|crd| crd["spec"]["group"] == group && crd["spec"]["names"]["kind"] == kind)?;
    let known = crd["spec"]["versions"].as_array()?.iter().find(|known| known["name"] == version)?;
    let mut schema = known["schema"]["openAPIV3Schema"].clone();
    strict(&mut schema);
    // A CRD may say something of a name; all else of metadata is the same for every kind.
    schema["properties"]["metadata"]["additionalProperties"] = Value::Bool(true);
    Some(schema)
}

fn strict(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    let is_open = map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if map.contains_key("properties") && !map.contains_key("additionalProperties") && !is_open {
        map.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if map.get("format").is_some_and(|format| format == "int-or-string") {
        map.insert("type".to_owned(), json!(["string", "integer"]));
    }
    if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        map.remove("type");
    }
    for (name, value) in map.iter_mut() {
        match name.as_str() {
            "properties" => value.as_object_mut().unwrap().values_mut().for_each(strict),
            "items" | "additionalProperties" => strict(value),
            // These speak of a part of an object only.
            _ => {}
        }
    }
}

fn files(directory: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap())
}
