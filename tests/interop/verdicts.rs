//! `kubectl keyset verify` and jose agree on every token of a table (`tokens`), for every algorithm: the same allow-list,
//! issuer, audience and clock tolerance, and one time.

use std::{collections::BTreeSet, num::NonZeroUsize, path::Path};

use jiff::{SignedDuration, Timestamp};
use keyset_operator::{
    key_material::Generator,
    plugin::verify::{Expectations, ServedSet, verify},
};
use serde_json::json;

use crate::{
    Fixture,
    interpreter::Interpreter,
    tokens::{AUDIENCE, Case, ISSUER, NOW, TOLERANCE, table},
};

#[tokio::test(flavor = "multi_thread")]
async fn verify_judges_as_jose_does() {
    let fixture = Fixture::new("verdicts").await;
    let Some(node) = Interpreter::node(&fixture.directory) else { return };
    let mut jose = node.start("verdicts.mjs", Path::new("/nowhere"));
    let strangers = Generator::new(NonZeroUsize::MIN);
    let mut disagreements = Vec::new();
    let (mut tokens, mut names) = (0, BTreeSet::new());
    for issuer in fixture.issuers {
        let stranger = strangers.generate(issuer.algorithm, None).await.unwrap();
        for case in table(issuer, &stranger) {
            let options = json!({
                "algorithms": case.algorithms, "issuer": ISSUER, "audience": AUDIENCE, "clockTolerance": TOLERANCE, "now": NOW,
            });
            let theirs = jose.ask(&json!({"set": case.set, "token": case.token, "options": options}).to_string());
            disagreements.extend(disagreement(&case, &theirs).map(|why| format!("{} {why}", issuer.algorithm)));
            tokens += 1;
            names.insert(case.name);
        }
    }
    jose.finish();
    assert!(disagreements.is_empty(), "{} of {tokens}:\n{}", disagreements.len(), disagreements.join("\n"));
    assert!(names.len() >= 100, "the table has only {} kinds of tokens", names.len());
}

/// What is wrong with both verdicts: each must be the one of the table, and ours for the reason of the table.
fn disagreement(case: &Case, theirs: &str) -> Option<String> {
    let expected = Expectations {
        algorithms: case.algorithms.iter().map(|name| name.parse().unwrap()).collect(),
        issuer: Some(ISSUER.to_owned()),
        audiences: vec![AUDIENCE.to_owned()],
        tolerance: SignedDuration::from_secs(TOLERANCE),
        ..Expectations::default()
    };
    let now = Timestamp::from_second(NOW).unwrap();
    let set = ServedSet::parse(case.set.to_string().as_bytes());
    let verdict = set.map(|set| verify(&case.token, &set, &expected, now));
    let refusal = match &verdict {
        Ok(verdict) => verdict.refusal().map(|check| (check.name, check.explanation.as_str())),
        Err(why) => Some(("set", why.as_str())),
    };
    let agreed = (theirs == "valid") == refusal.is_none();
    let as_foretold = refusal.map(|(name, _)| name) == case.refused_for && agreed == case.differs.is_none();
    let ours = refusal.map_or_else(|| "valid".to_owned(), |(name, why)| format!("{name}: {why}"));
    (!as_foretold).then(|| {
        format!(
            "{}\n  token    {}\n  expected {:?}, jose differs: {:?}\n  ours     {ours}\n  jose     {theirs}",
            case.name, case.token, case.refused_for, case.differs
        )
    })
}
