//! The objects that documents and examples show to people.

use std::{fs, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// Every object of our API in a block of YAML or in an example, with the file that shows it.
pub(crate) fn objects() -> Vec<(String, Value)> {
    let mut objects = Vec::new();
    for path in files() {
        let (name, text) = (path.display().to_string(), fs::read_to_string(&path).unwrap());
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        let sources = if is_page { blocks(&text) } else { vec![text.as_str()] };
        for document in sources.into_iter().flat_map(serde_yaml::Deserializer::from_str) {
            let object = Value::deserialize(document).unwrap_or_else(|error| panic!("{name}: {error}"));
            if object["apiVersion"].as_str().is_some_and(|version| version.starts_with("keyset.dev/")) {
                objects.push((name.clone(), object));
            }
        }
    }
    objects
}

fn files() -> impl Iterator<Item = PathBuf> {
    let directories = [".", "docs", "charts/keyset", "examples"].into_iter();
    let files = directories.flat_map(|directory| fs::read_dir(directory).unwrap()).map(|file| file.unwrap().path());
    let is_shown = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default();
        extension == "md" || (extension == "yaml" && path.starts_with("examples"))
    };
    files.filter(is_shown)
}

fn blocks(text: &str) -> Vec<&str> {
    text.split("\n```yaml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}
