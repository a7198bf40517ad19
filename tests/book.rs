//! The book that `make docs` builds: every page is in it, and every link leads somewhere.
//!
//! Links to other sites are held to their form only: nothing here asks the network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

#[test]
fn every_link_of_the_book_leads_somewhere() {
    let Some(book) = built() else { return };
    let pages: BTreeMap<PathBuf, String> =
        files(&book, "html").into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    assert!(pages.len() > 30, "the pages are not found");
    let mut links = 0;
    let mut broken = Vec::new();
    for (path, page) in &pages {
        let shown = attributes(page, "src").map(|target| (target, !target.contains(':')));
        let linked = attributes(page, "href").map(|target| (target, true));
        for (target, is_ours) in shown.chain(linked) {
            links += 1;
            // To read the book fetches nothing from elsewhere.
            if !is_ours || !leads_somewhere(&pages, path, target) {
                broken.push(format!("{}: {target}", path.strip_prefix(&book).unwrap().display()));
            }
        }
    }
    assert!(links > 1000, "the links are not found");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn broken_links_are_found() {
    let page = r#"<h2 id="here">a</h2>"#.to_owned();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/page.html");
    let pages = BTreeMap::from([(path.clone(), page)]);
    for (target, expected) in [
        ("#here", true),
        ("page.html#here", true),
        ("../docs/page.html", true),
        ("timeline.svg", true),
        ("https://keys.example.com/a?b=c", true),
        ("#there", false),
        ("page.html#there", false),
        ("none.html", false),
        ("timing.md", false),
        ("../docs", false),
        ("/docs/page.html", false),
        ("https:/keys.example.com", false),
        ("http://keys.example.com", false),
        ("https://localhost/", false),
        ("ftp://keys.example.com", false),
    ] {
        assert_eq!(leads_somewhere(&pages, &path, target), expected, "{target}");
    }
}

/// A document that no chapter names is in no menu.
#[test]
fn every_document_is_a_chapter() {
    let summary = fs::read_to_string("docs/SUMMARY.md").unwrap();
    let targets =
        summary.split("](").skip(1).map(|rest| normal(&Path::new("docs").join(rest.split(')').next().unwrap())));
    let chapters: BTreeSet<PathBuf> = targets.collect();
    let mut documents: BTreeSet<PathBuf> = files(Path::new("docs"), "md").into_iter().collect();
    documents.remove(Path::new("docs/SUMMARY.md"));
    let missing: Vec<_> = documents.difference(&chapters).collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md lacks {missing:?}");
}

/// The directory of the book; `None` on a machine without mdbook, but never in CI.
fn built() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if Command::new("mdbook").arg("--version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "`make tools` installs mdbook");
        println!("skipped: there is no mdbook");
        return None;
    }
    let output = Command::new("sh").arg(root.join("tools/docs/build.sh")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    Some(root.join("target/book"))
}

fn leads_somewhere(pages: &BTreeMap<PathBuf, String>, path: &Path, target: &str) -> bool {
    if let Some((scheme, rest)) = target.split_once(':') {
        let host = rest.strip_prefix("//").map(|rest| rest.split('/').next().unwrap());
        return scheme == "https" && host.is_some_and(|host| host.contains('.'));
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() { path.to_owned() } else { normal(&path.parent().unwrap().join(file)) };
    match pages.get(&file) {
        Some(page) => anchor.is_empty() || attributes(page, "id").any(|id| id == anchor),
        None => file.is_file() && file.extension().is_some_and(|extension| extension != "md") && anchor.is_empty(),
    }
}

/// The values of an attribute, as mdbook writes it.
fn attributes<'a>(page: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!(" {name}=\"");
    let values: Vec<&str> = page.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    values.into_iter()
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

/// Without `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, component| {
        match component {
            Component::ParentDir => drop(normal.pop()),
            component => normal.push(component),
        }
        normal
    })
}
