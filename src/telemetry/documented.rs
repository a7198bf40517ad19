//! For tests: the metrics that `docs/metrics.md` lists, and those that a registry reports.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::{encoding::text::encode, registry::Registry};

/// Name as it is scraped -> (type, labels).
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// The rows `| name | type | labels | meaning |` under a heading.
pub(crate) fn in_docs(heading: &str) -> Metrics {
    let text = include_str!("../../docs/metrics.md");
    let lines = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let rows = lines.filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert!(cells.len() == 6 && !cells[4].is_empty(), "{row}");
        let labels = cells[3].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels))
    })
    .collect()
}

/// What a registry reports. Each family must have been used once, or its labels are not known.
pub(crate) fn in_registry(registry: &Registry) -> Metrics {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let mut types = BTreeMap::new();
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            types.insert(name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            let (sample, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let family = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = family.filter(|family| types.contains_key(*family)).unwrap_or(name);
            let kind = types.get(family).unwrap_or_else(|| panic!("no type of {name}"));
            let shown = if kind == "histogram" { family } else { name };
            let labels = labels.trim_end_matches('}').split(',').filter_map(|label| Some(label.split_once('=')?.0));
            let labels = labels.filter(|label| *label != "le").map(str::to_owned).collect();
            metrics.insert(shown.to_owned(), (kind.clone(), labels));
        }
    }
    metrics
}
