//! `timeline`.

use regex::Regex;
use serde_json::{Value, json};

use super::tidy;
use crate::rig::{Rig, SET};
use crate::until;

#[tokio::test]
async fn timeline_shows_the_life_of_each_key() {
    let rig = Rig::start("plugin-timeline").await;
    // Months, so that no second of this run moves a bar.
    rig.apply(json!({
        "tokens": { "maxLifetime": "1h" },
        "verifiers": { "maxCacheAge": "24h" },
        "clockSkew": "5m",
        "signers": { "maxReloadLag": "10m" },
        "rotation": { "mode": "Interval", "interval": "720h", "rollbackWindow": "1h" },
        "retention": { "margin": "24h" },
        "publication": { "maxDelay": "5m" },
    }))
    .await;
    for condition in ["Ready=True", "Published=True", "StandbyReady=False/WaitingForVerifierCaches"] {
        rig.until_condition(condition).await;
    }
    let drawn = rig.kubectl_keyset(&["timeline", SET]).ok();
    assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
    insta::assert_snapshot!("timeline_of_months", tidy(&without_dates(&drawn)));

    let svg = rig.kubectl_keyset(&["timeline", SET, "-o", "svg"]).ok();
    assert!(svg.starts_with("<svg ") && svg.contains(">pay-1</text>") && svg.ends_with("</svg>\n"), "{svg}");
    let html = rig.kubectl_keyset(&["timeline", SET, "-o", "html", "--since", "1d", "--until", "3d"]).ok();
    assert!(html.starts_with("<!doctype html>") && html.contains("waits C + S = 24h + 5m"), "{html}");
    let yaml: Value = serde_yaml::from_str(&rig.kubectl_keyset(&["timeline", SET, "-o", "yaml"]).ok()).unwrap();
    assert_eq!(yaml["keys"][0]["spans"][0]["stage"], "Active");
    assert_eq!(yaml["keys"][2]["keyID"], Value::Null, "it is not made yet: {yaml}");

    for verb in ["status", "plan"] {
        let refused = rig.kubectl_keyset(&[verb, SET, "-o", "svg"]);
        assert_eq!((refused.code, refused.out.as_str(), refused.err.lines().count()), (2, "", 1), "{refused:?}");
    }
    let missing = rig.kubectl_keyset(&["timeline", "none", "-o", "html"]);
    assert_eq!((missing.code, missing.out.as_str(), missing.err.lines().count()), (1, "", 1), "{missing:?}");
    assert_eq!(rig.kubectl_keyset(&["timeline", SET, "--until", "tomorrow"]).code, 2);
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn timeline_foretells_what_then_happens() {
    let rig = Rig::start("plugin-timeline-seconds").await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    rig.rotate().await;
    until("pay-2 signs", async || (rig.status().await["activeKeyName"] == "pay-2").then_some(())).await;
    let timeline =
        || -> Value { serde_json::from_str(&rig.kubectl_keyset(&["timeline", SET, "-o", "json"]).ok()).unwrap() };
    let foretold = timeline();
    assert_eq!(stages(&foretold["keys"][0]), ["Active", "Retiring"]);
    let end = |timeline: &Value| -> jiff::Timestamp {
        let spans = timeline["keys"][0]["spans"].as_array().unwrap();
        spans.last().unwrap()["until"].as_str().unwrap().parse().unwrap()
    };
    let removed = until("pay-1 has left", async || {
        let key = rig.get("signingkeys", "pay-1").await?;
        key["spec"]["lifecycle"]["removalTime"].as_str().map(|time| time.parse::<jiff::Timestamp>().unwrap())
    })
    .await;
    let late = removed.duration_since(end(&foretold)).as_secs_f64();
    assert!((0.0..10.0).contains(&late), "foretold {}, and it was {removed}", end(&foretold));
    // The record tells it from then on; the status has forgotten what was seen of the key.
    let told = timeline();
    assert_eq!(end(&told), removed);
    assert!(told["keys"][0]["privateKeyDestructionTime"].is_string(), "{told}");
    rig.finish().await;
}

fn stages(life: &Value) -> Vec<&str> {
    life["spans"].as_array().unwrap().iter().map(|span| span["stage"].as_str().unwrap()).collect()
}

/// Where the ticks are depends on the day; how long things take does not.
fn without_dates(drawn: &str) -> String {
    let ticks = Regex::new(r"(?m)^ *╷[A-Z][a-z]{2} \d.*$").unwrap();
    let dates = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d").unwrap();
    dates.replace_all(&ticks.replace_all(drawn, "<ticks>"), "<minute>").into_owned()
}
