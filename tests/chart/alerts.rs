//! The alerts of the chart: Prometheus' own tool plays what a healthy installation reports with one fault in it, and each
//! alert is silent, fires and ends when it should, and no other does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use crate::{check, render, scratch};

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    let groups: Vec<Value> = CASES.iter().map(Case::group).collect();
    let groups: Vec<Value> = QUIET.iter().map(|(name, series)| quiet(name, series)).chain(groups).collect();
    let directory = scratch("alerts");
    fs::write(directory.join("rules.yaml"), json!({ "groups": rules() }).to_string()).unwrap();
    let test = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": groups });
    fs::write(directory.join("test.yaml"), test.to_string()).unwrap();
    check("promtool").args(["check", "rules", "--lint-fatal", "rules.yaml"]).within(&directory);
    check("promtool").args(["test", "rules", "test.yaml"]).within(&directory);

    let fired: BTreeSet<&str> = CASES.iter().map(|case| case.alert.split('{').next().unwrap()).collect();
    let known: BTreeSet<String> = alerts().iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(fired, known.iter().map(String::as_str).collect(), "alerts without a case");
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(["warning", "critical"].map(Value::from).contains(&alert["labels"]["severity"]), "{name}");
        let notes = &alert["annotations"];
        assert!(notes["summary"].as_str().unwrap().len() > 15, "{name}");
        assert!(notes["description"].as_str().unwrap().len() > 100, "{name}");
        let section = format!("https://wiki.example.com/keyset#{}", name.to_lowercase());
        assert_eq!(notes["runbook_url"], section, "{name}");
    }
}

/// The groups of rules, as the chart renders them.
pub(crate) fn rules() -> Value {
    let runbook = "metrics.prometheusRule.runbook=https://wiki.example.com/keyset";
    let objects = render(&["--set", "metrics.prometheusRule.enabled=true", "--set", runbook]);
    let rule = objects.into_iter().find(|object| object["kind"] == "PrometheusRule");
    rule.unwrap()["spec"]["groups"].take()
}

fn alerts() -> Vec<Value> {
    rules().as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// A fault that begins at minute 10.
struct Case {
    /// Replace what is healthy, or are new: a series without its namespace, and its values minute by minute.
    series: &'static [(&'static str, &'static str)],
    /// As it fires: its name and labels.
    alert: &'static str,
    /// The last minute at which nothing fires yet, one at which it fires, and one at which that is over.
    silent: u32,
    firing: u32,
    over: Option<u32>,
}

impl Case {
    fn group(&self) -> Value {
        let at = |minute: u32, alerts: &[String]| {
            let samples: Vec<_> = alerts.iter().map(|labels| json!({ "labels": labels, "value": 1 })).collect();
            json!({ "expr": FIRING, "eval_time": format!("{minute}m"), "exp_samples": samples })
        };
        let (name, labels) = self.alert.split_once('{').unwrap_or((self.alert, "}"));
        let fires = [format!("{{alertname=\"{name}\",{labels}")];
        let over = self.over.map(|minute| at(minute, &[]));
        let tests: Vec<_> = [at(self.silent, &[]), at(self.firing, &fires)].into_iter().chain(over).collect();
        json!({ "name": self.alert, "interval": "1m", "input_series": world(self.series), "promql_expr_test": tests })
    }
}

/// Nothing ever fires.
fn quiet(name: &str, series: &[(&str, &str)]) -> Value {
    let never = json!({ "expr": format!("count_over_time({FIRING}[3h:1m])"), "eval_time": "2h", "exp_samples": [] });
    json!({ "name": name, "interval": "1m", "input_series": world(series), "promql_expr_test": [never] })
}

/// What a healthy installation reports, but for these series, beside one that is well and one that has every fault.
fn world(faults: &[(&str, &str)]) -> Vec<Value> {
    let healthy = HEALTHY.iter().filter(|(series, _)| faults.iter().all(|(fault, _)| fault != series));
    let ours = healthy.chain(faults).map(|series| ("keyset-system", series));
    let well = HEALTHY.iter().map(|series| ("well", series));
    let unwell = CASES.iter().flat_map(|case| case.series).map(|series| ("unwell", series));
    let all: BTreeMap<String, &str> = unwell
        .chain(well)
        .chain(ours)
        .map(|(namespace, (series, values))| (series.replace('{', &format!("{{namespace=\"{namespace}\",")), *values))
        .collect();
    all.into_iter().map(|(series, values)| json!({ "series": series, "values": values })).collect()
}

const FIRING: &str = r#"sum by (alertname, reason, outcome, pod) (ALERTS{alertstate="firing"})"#;

const HEALTHY: &[(&str, &str)] = &[
    (r#"keyset_leader{pod="c-1"}"#, "1x120"),
    (r#"keyset_leader{pod="c-2"}"#, "0x120"),
    (r#"keyset_key_set_conditions{pod="c-1",condition="Ready",status="True",reason="Serving"}"#, "3x120"),
    (r#"keyset_key_set_conditions{pod="c-1",condition="Published",status="True",reason="Visible"}"#, "3x120"),
    (r#"keyset_key_set_conditions{pod="c-1",condition="RotationOverdue",status="False",reason="OnSchedule"}"#, "3x120"),
    (r#"keyset_reconcile_passes_total{pod="c-1",outcome="Settled"}"#, "100+3x120"),
    (r#"keyset_reconcile_passes_total{pod="c-1",outcome="APIError"}"#, "9x120"),
    (r#"keyset_server_sets{pod="s-1",state="Served"}"#, "3x120"),
    (r#"keyset_server_list_age_seconds{pod="s-1"}"#, "0+60x10 0+60x10 300x120"),
    (r#"keyset_server_list_age_seconds{pod="s-2"}"#, "300x120"),
    (r#"keyset_server_refused_documents{pod="s-1",reason="Missing"}"#, "0x120"),
    (r#"keyset_server_sets_fingerprint{pod="s-1"}"#, "7x120"),
    (r#"keyset_server_sets_fingerprint{pod="s-2"}"#, "7x120"),
];

const CASES: &[Case] = &[
    Case {
        series: &[(
            r#"keyset_key_set_conditions{pod="c-1",condition="RolloutBlocked",status="True",reason="RolloutOverdue"}"#,
            "_x10 1x30 stale",
        )],
        alert: r#"KeysetRolloutBlocked{reason="RolloutOverdue"}"#,
        silent: 24,
        firing: 26,
        over: Some(45),
    },
    Case {
        series: &[(
            r#"keyset_key_set_conditions{pod="c-1",condition="RotationOverdue",status="True",reason="Suspended"}"#,
            "_x10 2x30 stale",
        )],
        alert: r#"KeysetRotationOverdue{reason="Suspended"}"#,
        silent: 24,
        firing: 26,
        over: Some(45),
    },
    Case {
        series: &[(
            r#"keyset_key_set_conditions{pod="c-1",condition="Published",status="False",reason="VisibilityLost"}"#,
            "_x10 1x30 stale",
        )],
        alert: "KeysetVisibilityLost",
        silent: 10,
        firing: 12,
        over: Some(45),
    },
    Case {
        series: &[(
            r#"keyset_key_set_conditions{pod="c-1",condition="Ready",status="False",reason="NoActiveKey"}"#,
            "_x10 1x30 stale",
        )],
        alert: r#"KeysetActiveKeyLost{reason="NoActiveKey"}"#,
        silent: 9,
        firing: 11,
        over: Some(45),
    },
    Case {
        series: &[(
            r#"keyset_key_set_conditions{pod="c-1",condition="UnknownKeyIDWindow",status="True",reason="KeyLost"}"#,
            "_x10 1x30 stale",
        )],
        alert: r#"KeysetActiveKeyLost{reason="KeyLost"}"#,
        silent: 9,
        firing: 11,
        over: Some(45),
    },
    Case {
        series: &[(
            r#"keyset_key_set_conditions{pod="c-1",condition="Ready",status="False",reason="NameConflict"}"#,
            "_x10 1x30 stale",
        )],
        alert: r#"KeysetNotReady{reason="NameConflict"}"#,
        silent: 24,
        firing: 26,
        over: Some(45),
    },
    Case {
        series: &[(
            r#"keyset_key_set_conditions{pod="c-1",condition="ClockUntrusted",status="True",reason="ClockUntrusted"}"#,
            "_x10 3x30 stale",
        )],
        alert: "KeysetClockUntrusted",
        silent: 19,
        firing: 21,
        over: Some(45),
    },
    Case {
        // As often as the longest backoff lets it; there is no count of what never happened.
        series: &[(
            r#"keyset_reconcile_passes_total{pod="c-1",outcome="APITimeout"}"#,
            "_x10 1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4 9x4 10x4 11x60",
        )],
        alert: r#"KeysetReconcileFailing{outcome="APITimeout"}"#,
        silent: 30,
        firing: 50,
        over: Some(85),
    },
    Case {
        series: &[(r#"keyset_server_list_age_seconds{pod="s-2"}"#, "300x9 0+60x40 0x60")],
        alert: r#"KeysetSetTooOld{pod="s-2"}"#,
        silent: 30,
        firing: 32,
        over: Some(60),
    },
    Case {
        series: &[(r#"keyset_server_refused_documents{pod="s-2",reason="NotAccepted"}"#, "0x9 1x30 0x60")],
        alert: r#"KeysetDocumentRefused{pod="s-2",reason="NotAccepted"}"#,
        silent: 19,
        firing: 21,
        over: Some(45),
    },
    Case {
        series: &[(r#"keyset_server_sets_fingerprint{pod="s-2"}"#, "7x9 8x30 7x60")],
        alert: "KeysetReplicasDisagree",
        silent: 24,
        firing: 26,
        over: Some(45),
    },
    Case {
        series: &[(r#"keyset_leader{pod="c-1"}"#, "1x9 0x30 1x60")],
        alert: "KeysetNoLeader",
        silent: 14,
        firing: 16,
        over: Some(45),
    },
    Case {
        series: &[(r#"keyset_server_sets{pod="s-1",state="Served"}"#, "3x9 stale _x29 3x60")],
        alert: "KeysetNoServer",
        silent: 14,
        firing: 16,
        over: Some(45),
    },
];

/// What is no fault, or over before anybody need come.
const QUIET: &[(&str, &[(&str, &str)])] = &[
    ("healthy", &[]),
    (
        "a rollout of the servers, while a set changes",
        &[(r#"keyset_server_sets_fingerprint{pod="s-2"}"#, "7x9 8x10 7x120")],
    ),
    (
        "another controller takes over",
        &[(r#"keyset_leader{pod="c-1"}"#, "1x9 stale"), (r#"keyset_leader{pod="c-2"}"#, "0x11 1x120")],
    ),
    (
        "the API server is away for two minutes",
        &[(r#"keyset_reconcile_passes_total{pod="c-1",outcome="APIError"}"#, "9x9 13 17 17x120")],
    ),
    (
        "a KeySet is new",
        &[(
            r#"keyset_key_set_conditions{pod="c-1",condition="Ready",status="False",reason="Bootstrapping"}"#,
            "_x10 1x5 stale",
        )],
    ),
];
