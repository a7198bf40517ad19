//! What alerts and dashboard ask for exists: every metric, label and value of theirs is in docs/metrics.md, which tests of
//! `src/telemetry` hold to what the processes report.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use crate::{alerts, check, render, root, scratch};

#[test]
fn alerts_and_dashboard_ask_only_for_what_is_reported() {
    let alerts = alerts::rules()[0]["rules"].take();
    let alerts = alerts.as_array().unwrap().iter().map(|alert| {
        let notes = alert["annotations"].to_string();
        Query { text: alert["expr"].as_str().unwrap().to_owned(), legend: notes.replace("$labels.", "") }
    });
    let queries: Vec<Query> = alerts.chain(dashboard()).collect();
    assert!(queries.len() > 30);
    let documented = Documented::read();
    let faults: Vec<String> = queries.iter().flat_map(|query| documented.faults(query)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_query_for_what_is_not_reported_is_found() {
    let documented = Documented::read();
    for (text, legend, fault) in [
        ("keyset_leaders == 1", "", "keyset_leaders"),
        ("keyset_leader{name=\"a\"}", "", "name"),
        ("sum by (reason) (keyset_keys)", "", "reason"),
        ("keyset_keys", "{{reason}}", "reason"),
        ("rate(keyset_leader_bucket[5m])", "", "keyset_leader_bucket"),
        ("keyset_keys{state=\"Asleep\"}", "", "Asleep"),
        ("keyset_key_set_conditions{reason=~\"NoActiveKey|Sunk\"}", "", "Sunk"),
    ] {
        let query = Query { text: text.to_owned(), legend: legend.to_owned() };
        let faults = documented.faults(&query);
        assert!(faults.len() == 1 && faults[0].starts_with(&format!("{fault}: ")), "{text}: {faults:?}");
    }
}

#[test]
fn the_queries_of_the_dashboard_can_be_read() {
    let plain = |text: &str| text.replace("$namespace", "keyset-system").replace("$__rate_interval", "5m");
    let rules: Vec<Value> = dashboard()
        .enumerate()
        .map(|(at, query)| json!({"record": format!("panel:{at}"), "expr": plain(&query.text)}))
        .collect();
    let directory = scratch("dashboard");
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(directory.join("rules.yaml"), groups.to_string()).unwrap();
    check("promtool").args(["check", "rules", "rules.yaml"]).within(&directory);
}

struct Query {
    text: String,
    /// Where it names labels between double braces.
    legend: String,
}

/// The queries of the dashboard, as the chart installs it.
fn dashboard() -> impl Iterator<Item = Query> {
    let objects = render(&["--set", "metrics.dashboard.enabled=true"]);
    let map = objects.iter().find(|object| object["metadata"]["labels"]["grafana_dashboard"] == "1").unwrap();
    let dashboard: Value = serde_json::from_str(map["data"]["keyset.json"].as_str().unwrap()).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().clone().into_iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        targets.clone()
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    targets.map(move |target| Query { text: text(&target["expr"]), legend: text(&target["legendFormat"]) })
}

struct Documented {
    /// The labels of each metric.
    metrics: BTreeMap<String, BTreeSet<String>>,
    /// All that stands between backticks, here and among conditions.
    words: BTreeSet<String>,
}

impl Documented {
    fn read() -> Self {
        let file = |name: &str| fs::read_to_string(root().join("docs").join(name)).unwrap();
        let (metrics, conditions) = (file("metrics.md"), file("conditions.md"));
        let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let mut found = BTreeMap::new();
        for row in metrics.lines().filter(|line| line.starts_with("| `keyset_")) {
            let cells: Vec<&str> = row.split('|').collect();
            let name = cells[1].trim().trim_matches('`');
            let mut labels: BTreeSet<String> = quoted(cells[3]).into_iter().collect();
            let is_histogram = cells[2].trim() == "histogram";
            found.extend(is_histogram.then(|| (format!("{name}_sum"), labels.clone())));
            found.extend(is_histogram.then(|| (format!("{name}_count"), labels.clone())));
            labels.extend(is_histogram.then(|| "le".to_owned()));
            found.insert(format!("{name}{}", if is_histogram { "_bucket" } else { "" }), labels);
        }
        let words = metrics.lines().chain(conditions.lines()).flat_map(quoted).collect();
        Self { metrics: found, words }
    }

    /// What a query names that is not there, and where.
    fn faults(&self, query: &Query) -> Vec<String> {
        let text = &query.text;
        let mut faults = Vec::new();
        let mut known: BTreeSet<&str> = TARGET.iter().copied().collect();
        for name in words(text).filter(|word| word.starts_with("keyset_")) {
            match self.metrics.get(name) {
                Some(labels) => known.extend(labels.iter().map(String::as_str)),
                None => faults.push(name),
            }
        }
        let matchers: Vec<&str> = between(text, "{", "}").flat_map(|inner| inner.split(',')).collect();
        let (labels, values): (Vec<&str>, Vec<&str>) =
            matchers.iter().map(|matcher| matcher.split_at(matcher.find(['=', '!']).unwrap())).unzip();
        let grouped = between(text, " by (", ")").flat_map(|inner| inner.split(", "));
        let shown = between(&query.legend, "{{", "}}").flat_map(words).filter(|word| !TEMPLATE.contains(word));
        if faults.is_empty() {
            let named = labels.iter().copied().chain(grouped).chain(shown);
            faults.extend(named.filter(|label| !known.contains(label)));
        }
        let values = labels.iter().zip(&values).filter(|(label, _)| !TARGET.contains(label)).map(|(_, value)| value);
        let values = values.flat_map(|value| between(value, "\"", "\"")).flat_map(|value| value.split('|'));
        if faults.is_empty() {
            faults.extend(values.filter(|value| !self.words.contains(*value)));
        }
        faults.into_iter().map(|fault| format!("{fault}: {text}")).collect()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (inner, after) = rest.split_once(start)?.1.split_once(end)?;
        rest = after;
        Some(inner)
    })
}

/// Labels that Prometheus itself gives to what it scrapes.
const TARGET: &[&str] = &["namespace", "pod"];
/// What templates of alerts have beside labels.
const TEMPLATE: &[&str] = &["value", "printf", "0f", "humanizeDuration"];
