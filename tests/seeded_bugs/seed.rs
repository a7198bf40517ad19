//! Builds the model with the bugs inside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::bugs::Bug;
use crate::cargo;

/// The environment variable that says which bug is in, by its number from 1.
pub(crate) const BUG: &str = "KEYSET_SEEDED_BUG";

/// Generates and builds it, and gives its path; quick if nothing has changed.
pub(crate) fn build(bugs: &[Bug]) -> PathBuf {
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
    sources.insert("seeded.rs".to_owned(), SEEDED.replace("\"BUG\"", &format!("{BUG:?}")));
    for (name, source) in &sources {
        write(&package.join("src").join(name), source);
    }
    write(&package.join("Cargo.toml"), &manifest(root));
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let mut command = cargo::command();
    command.args(["build", "--quiet", "--offline"]).current_dir(&package).env("CARGO_TARGET_DIR", &target);
    assert!(command.status().unwrap().success(), "the model with bugs does not build, see above");
    target.join("debug/seeded-bugs")
}

/// What is said to the model to have the bug: its place in the table. One that needs two expressions is there twice.
pub(crate) fn number(bugs: &[Bug], name: &str) -> usize {
    1 + bugs.iter().position(|bug| bug.name == name).unwrap()
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
    for bug in bugs {
        places.entry((bug.file, bug.at)).or_default().push((number(bugs, bug.name), bug));
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
# A build that is interrupted must not spoil the next.
incremental = false
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
    LazyLock::new(|| std::env::var("BUG").map_or(0, |number| number.parse().expect("a number")));

pub(crate) fn bug() -> u32 {
    *NUMBER
}
"#;
