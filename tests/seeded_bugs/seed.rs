//! Builds the model with the bugs inside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::bugs::Bug;

/// The environment variable that says which bug is in, by its number from 1.
pub(crate) const BUG: &str = "KEYSET_SEEDED_BUG";

/// A program that was built.
pub(crate) struct Model {
    pub(crate) path: PathBuf,
}

/// Generates and builds it; quick if nothing has changed.
pub(crate) fn build(bugs: &[Bug]) -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let package = target.join("seeded-bugs");
    let mut sources = BTreeMap::new();
    read(&root.join("tools/model"), "", &mut sources);
    read(&root.join("src/lifecycle"), "lifecycle/", &mut sources);
    plant(bugs, &mut sources);
    let main = sources.get_mut("main.rs").unwrap();
    let import = "use keyset_operator::{api, jose, lifecycle};";
    assert!(main.contains(import), "the model takes lifecycle from elsewhere now");
    *main = main.replace(import, "use keyset_operator::{api, jose};\nmod lifecycle;\nmod seeded;");
    main.insert_str(main.find("#![").unwrap(), "#![allow(dead_code, unused, clippy::all, reason = \"generated\")]\n");
    sources.insert("seeded.rs".to_owned(), SEEDED.replace("BUG", BUG));
    for (name, source) in &sources {
        write(&package.join("src").join(name), source);
    }
    write(&package.join("Cargo.toml"), &manifest(root));
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        // What cargo tells this test of our package is not for the build scripts of others.
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.args(["build", "--quiet", "--offline"]).current_dir(&package).env("CARGO_TARGET_DIR", &target);
    assert!(command.status().unwrap().success(), "the model with bugs does not build, see above");
    Model { path: target.join("debug/seeded-bugs") }
}

fn read(directory: &Path, prefix: &str, sources: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "rs") {
            let name = path.file_name().unwrap().to_str().unwrap();
            sources.insert(format!("{prefix}{name}"), fs::read_to_string(&path).unwrap());
        }
    }
}

/// Puts a choice between the expression and its bugs where the expression is. It must be there exactly once.
fn plant(bugs: &[Bug], sources: &mut BTreeMap<String, String>) {
    let mut places: BTreeMap<(&str, &str), Vec<(usize, &Bug)>> = BTreeMap::new();
    for (number, bug) in (1..).zip(bugs) {
        places.entry((bug.file, bug.at)).or_default().push((number, bug));
    }
    for ((file, at), bugs) in places {
        let source = sources.get_mut(file).unwrap_or_else(|| panic!("there is no {file}"));
        let (before, rest) = at.split_once('«').unwrap_or(("", at));
        let (expression, behind) = rest.split_once('»').unwrap_or((rest, ""));
        let whole = format!("{before}{expression}{behind}");
        assert_eq!(source.matches(&whole).count(), 1, "{file} must have this once, to put a bug there: {whole}");
        let arms: Vec<String> = bugs.iter().map(|(number, bug)| format!("{number} => {},", bug.instead)).collect();
        let arms = arms.join(" ");
        let choice = format!("(match crate::seeded::bug() {{ {arms} _ => {expression} }})");
        *source = source.replacen(&whole, &format!("{before}{choice}{behind}"), 1);
    }
}

/// With the very dependencies of our tests, so that none is compiled again.
fn manifest(root: &Path) -> String {
    let ours = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let section = |name: &str| {
        let from = ours.find(&format!("\n[{name}]\n")).map(|at| at + name.len() + 4).unwrap();
        let length = ours[from..].find("\n[").unwrap();
        ours[from..from + length].to_owned()
    };
    let (dependencies, tests) = (section("dependencies"), section("dev-dependencies"));
    let path = root.display();
    format!(
        "{MANIFEST}\n[dependencies]\nkeyset-operator = {{ path = {:?} }}\n{dependencies}\n{tests}\n",
        path.to_string()
    )
}

/// Untouched if it is the same, so that nothing is built again.
fn write(path: &Path, content: &str) {
    if fs::read_to_string(path).is_ok_and(|before| before == content) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

const MANIFEST: &str = r#"[package]
name = "seeded-bugs"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[profile.dev]
debug = false
opt-level = 1

[profile.dev.package."*"]
opt-level = 2
debug = false

[profile.dev.package.keyset-operator]
opt-level = 1
"#;

const SEEDED: &str = r#"//! Which bug is in.

use std::sync::LazyLock;

static NUMBER: LazyLock<u32> =
    LazyLock::new(|| std::env::var("BUG").ok().and_then(|number| number.parse().ok()).unwrap_or(0));

pub(crate) fn bug() -> u32 {
    *NUMBER
}

/// The list with two entries in each other's place.
pub(crate) fn swapped<T: Copy>(rules: &[(&'static str, T)], one: &str, other: &str) -> Vec<(&'static str, T)> {
    let mut rules = rules.to_vec();
    let place = |name: &str| rules.iter().position(|(it, _)| *it == name).unwrap();
    let (one, other) = (place(one), place(other));
    rules.swap(one, other);
    rules
}
"#;
