//! The CEL rules of both CRDs, with the messages that users read.
//!
//! Invariants: a rule about durations guards itself with the pattern, because a pattern does not stop
//! CEL and one bad duration would print an error for each rule; every message says what would be
//! legal; a message expression only joins fields of bounded length (`string(duration)` makes a CRD
//! invalid). A rule on `spec` is never tightened later: the API server would then refuse every other
//! edit of an old object.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

use super::FileFormat;
use super::duration::PATTERN;
use super::names::secret;

/// A rule without its message expression and field path; both are optional.
fn rule(rule: impl Into<String>, message: &str) -> ValidationRule {
    ValidationRule { rule: rule.into(), message: Some(message.to_owned()), ..ValidationRule::default() }
}

/// What most rules have beside rule and message.
trait RuleExt {
    /// The message with the values that it is about: a CEL expression.
    fn explained(self, expression: &str) -> Self;
    /// The field that the error names.
    fn at(self, path: &str) -> Self;
}

impl RuleExt for ValidationRule {
    fn explained(self, expression: &str) -> Self {
        Self { message_expression: Some(expression.to_owned()), ..self }
    }

    fn at(self, path: &str) -> Self {
        Self { field_path: Some(path.to_owned()), ..self }
    }
}

/// Any duration.
pub(super) fn duration() -> Vec<ValidationRule> {
    vec![rule(guarded_self("duration(self) <= duration('8760h')"), "must be at most 8760h (one year)")]
}

/// A duration that must not be zero.
pub(super) fn positive_duration() -> Vec<ValidationRule> {
    let mut rules = duration();
    rules.push(rule(guarded_self("duration(self) > duration('0s')"), "must be longer than 0s"));
    rules
}

/// Rules across the fields of a KeySet, and what must not change.
pub(super) fn key_set_spec() -> Vec<ValidationRule> {
    vec![
        rule(
            "!has(self.rsaKeyBits) || self.algorithm.startsWith('RS') || self.algorithm.startsWith('PS')",
            "must be set only with RS* and PS* algorithms",
        )
        .explained("'must not be set with algorithm ' + self.algorithm")
        .at(".rsaKeyBits"),
        interval_covers_the_lead(),
        rule(
            guarded(
                "[self.publication.cacheMaxAge, self.verifiers.maxCacheAge]",
                "duration(self.publication.cacheMaxAge) <= duration(self.verifiers.maxCacheAge)",
            ),
            "must be at most verifiers.maxCacheAge",
        )
        .explained("'must be at most verifiers.maxCacheAge = ' + self.verifiers.maxCacheAge")
        .at(".publication.cacheMaxAge"),
        rollback_ends_before_removal(),
        retired_keys_are_few(),
        rule(
            guarded(
                "[self.retention.margin, self.clockSkew]",
                "duration(self.retention.margin) >= duration(self.clockSkew)",
            ),
            "must be at least clockSkew",
        )
        .explained("'must be at least clockSkew = ' + self.clockSkew")
        .at(".retention.margin"),
        rule(
            "!has(self.signers.files) || self.signers.files.all(f, \
             (f.format != 'PKCS1PEM' || self.algorithm.startsWith('RS') || self.algorithm.startsWith('PS')) && \
             (f.format != 'SEC1PEM' || self.algorithm.startsWith('ES')))",
            "must not have PKCS1PEM without RS* or PS*, nor SEC1PEM without ES*",
        )
        .at(".signers.files"),
        fixed("signers.secretName", NAME_IS_FIXED),
        fixed("publication.configMapName", NAME_IS_FIXED),
    ]
}

const NAME_IS_FIXED: &str = "is immutable: readers of the old object would be left behind. \
    Delete the KeySet (deletionPolicy Retain) and apply it with the new name instead";

/// A key must be public for the whole lead before it signs, once per interval.
fn interval_covers_the_lead() -> ValidationRule {
    let cond = guarded(
        "[self.rotation.interval, self.publication.maxDelay, self.verifiers.maxCacheAge, self.clockSkew]",
        "duration(self.rotation.interval) >= duration(self.publication.maxDelay) + \
         duration(self.verifiers.maxCacheAge) + duration(self.clockSkew)",
    );
    rule(
        format!("self.rotation.mode != 'Interval' || {cond}"),
        "must be at least publication.maxDelay + verifiers.maxCacheAge + clockSkew",
    )
    .explained(
        "'must be at least publication.maxDelay + verifiers.maxCacheAge + clockSkew = ' + \
         self.publication.maxDelay + ' + ' + self.verifiers.maxCacheAge + ' + ' + self.clockSkew + \
         ': a key must be public that long before it signs'",
    )
    .at(".rotation.interval")
}

/// A private key never outlives its public half.
fn rollback_ends_before_removal() -> ValidationRule {
    rule(
        guarded(
            "[self.rotation.rollbackWindow, self.signers.maxReloadLag, self.tokens.maxLifetime, self.clockSkew, \
             self.retention.margin]",
            "duration(self.rotation.rollbackWindow) <= duration(self.signers.maxReloadLag) + \
             duration(self.tokens.maxLifetime) + duration(self.clockSkew) + duration(self.retention.margin)",
        ),
        "must be at most signers.maxReloadLag + tokens.maxLifetime + clockSkew + retention.margin",
    )
    .explained(
        "'must be at most signers.maxReloadLag + tokens.maxLifetime + clockSkew + retention.margin = ' + \
         self.signers.maxReloadLag + ' + ' + self.tokens.maxLifetime + ' + ' + self.clockSkew + ' + ' + \
         self.retention.margin + ': a private key never outlives its public half'",
    )
    .at(".rotation.rollbackWindow")
}

/// At most 8 retired keys are published at a time.
fn retired_keys_are_few() -> ValidationRule {
    let cond = guarded(
        "[self.rotation.interval, self.signers.maxReloadLag, self.tokens.maxLifetime, self.clockSkew, \
         self.retention.margin]",
        "8 * duration(self.rotation.interval).getSeconds() >= (duration(self.signers.maxReloadLag) + \
         duration(self.tokens.maxLifetime) + duration(self.clockSkew) + duration(self.retention.margin)).getSeconds()",
    );
    rule(
        format!("self.rotation.mode != 'Interval' || {cond}"),
        "must be at least an eighth of signers.maxReloadLag + tokens.maxLifetime + clockSkew + retention.margin",
    )
    .explained(
        "'must be at least an eighth of signers.maxReloadLag + tokens.maxLifetime + clockSkew + retention.margin = ' + \
         self.signers.maxReloadLag + ' + ' + self.tokens.maxLifetime + ' + ' + self.clockSkew + ' + ' + \
         self.retention.margin + ': more than 8 retired keys would be published'",
    )
    .at(".rotation.interval")
}

/// No file takes the place of another one, be it one that is asked for later.
pub(super) fn signer_files() -> Vec<ValidationRule> {
    let usual = FileFormat::ALL.map(FileFormat::usual_name);
    let taken = usual.into_iter().chain([secret::KID, secret::ALG]);
    let taken = taken.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let own = FileFormat::ALL.map(|format| format!("'{}': '{}'", format.name(), format.usual_name())).join(", ");
    vec![rule(
        format!(
            "self.all(a, !has(a.name) || a.name == {{{own}}}[a.format] || \
             (!(a.name in [{taken}]) && self.exists_one(b, has(b.name) && b.name == a.name)))"
        ),
        "must have distinct names, none of them kid or alg or the usual name of another format",
    )]
}

/// An https URL that has one spelling, but for a slash at its end. A segment that begins with a dot would mix with the
/// paths of discovery documents.
pub(super) fn issuer() -> Vec<ValidationRule> {
    vec![rule(
        format!("self.matches('{ISSUER_PATTERN}') && !self.matches('^https://[^/]*:443(/|$)')"),
        "must be an https URL without query, fragment or user: a host in lower case, no default port, and a path of \
         letters, digits and . _ ~ - whose segments are not empty and do not begin with a dot",
    )]
}

const ISSUER_PATTERN: &str =
    "^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$";

/// The Signer Secret is no Key Secret, and an issuer that is served stays.
pub(super) fn key_set() -> Vec<ValidationRule> {
    vec![
        rule(
            "!has(self.spec.signers.secretName) || \
             !self.spec.signers.secretName.startsWith(self.metadata.name + '-') || \
             !self.spec.signers.secretName.substring(self.metadata.name.size() + 1).matches('^[0-9]+$')",
            "must not be metadata.name + \"-\" + a number: the Secrets of single keys have such names",
        )
        .at(".spec.signers.secretName"),
        issuer_stays(),
    ]
}

/// Only an edit of the issuer is judged: a status that says something else must not keep anybody from writing.
fn issuer_stays() -> ValidationRule {
    let (new, old, served) =
        ("self.spec.publication.issuer", "oldSelf.spec.publication.issuer", "oldSelf.status.publication.issuer");
    rule(
        format!(
            "(has({new}) == has({old}) && (!has({new}) || {new} == {old})) || \
             !has(oldSelf.status) || !has(oldSelf.status.publication) || !has({served}) || (has({new}) && {new} == {served})"
        ),
        "is immutable once it is served: tokens carry it. Make another KeySet for another issuer, or delete this one \
         (deletionPolicy Retain) and apply it anew",
    )
    .at(".spec.publication.issuer")
}

/// The name of a SigningKey says whose key it is and which.
pub(super) fn signing_key() -> Vec<ValidationRule> {
    vec![rule(
        "self.metadata.name.startsWith(self.spec.keySetName + '-') && \
         self.metadata.name.substring(self.spec.keySetName.size() + 1).matches('^[1-9][0-9]{0,9}$') && \
         int(self.metadata.name.substring(self.spec.keySetName.size() + 1)) == self.spec.sequence",
        "metadata.name must be spec.keySetName + \"-\" + spec.sequence",
    )]
}

/// What a SigningKey is never changes; what was promised about it is never taken back.
pub(super) fn signing_key_spec() -> Vec<ValidationRule> {
    let fixed_and_required =
        |field: &str| rule(format!("self.{field} == oldSelf.{field}"), "is immutable").at(&format!(".{field}"));
    vec![
        fixed_and_required("keySetName"),
        fixed_and_required("sequence"),
        fixed_and_required("origin"),
        fixed_and_required("algorithm"),
        fixed("rsaKeyBits", "is immutable"),
        fixed("entryName", "is immutable"),
        fixed("importFrom", "is immutable"),
        rule(
            "!has(oldSelf.publicJWK) || (has(self.publicJWK) && self.publicJWK == oldSelf.publicJWK)",
            "is immutable once set: a kid names one key for ever",
        )
        .at(".publicJWK"),
        rule("!has(oldSelf.lifecycle) || has(self.lifecycle)", "must not be unset").at(".lifecycle"),
        rule("!has(self.publicJWK) || self.publicJWK.alg == self.algorithm", "must have the alg of spec.algorithm")
            .at(".publicJWK.alg"),
        rule(
            "self.origin != 'Generated' || !has(self.publicJWK) || self.publicJWK.kid.size() == 43",
            "must have a kid of 43 characters (RFC 7638 SHA-256 thumbprint) when origin is Generated",
        )
        .at(".publicJWK.kid"),
        rule("(self.origin == 'Imported') == has(self.importFrom)", "must be set if and only if origin is Imported")
            .at(".importFrom"),
        rule(
            "(self.origin == 'Generated') != has(self.entryName)",
            "must be set if and only if origin is Imported or External",
        )
        .at(".entryName"),
        rule("self.origin != 'External' || has(self.publicJWK)", "must be set when origin is External")
            .at(".publicJWK"),
        rule(
            "self.origin != 'External' || !has(self.lifecycle) || !has(self.lifecycle.activationTime)",
            "must not be set when origin is External: the key never signs here",
        )
        .at(".lifecycle"),
        rule(
            "!has(self.lifecycle) || !has(self.lifecycle.activationTime) || has(self.publicJWK)",
            "must be set before the key signs",
        )
        .at(".publicJWK"),
    ]
}

/// Each promise only moves later; a removed or revoked key never signs again.
pub(super) fn lifecycle() -> Vec<ValidationRule> {
    let only_later = |field: &str| {
        rule(
            format!("!has(oldSelf.{field}) || (has(self.{field}) && self.{field} >= oldSelf.{field})"),
            "must not be unset or moved earlier",
        )
        .at(&format!(".{field}"))
    };
    let once = |field: &str| {
        rule(
            format!("!has(oldSelf.{field}) || (has(self.{field}) && self.{field} == oldSelf.{field})"),
            "is immutable once set",
        )
        .at(&format!(".{field}"))
    };
    vec![
        rule("!has(oldSelf.term) || (has(self.term) && self.term >= oldSelf.term)", "must not be unset or lowered")
            .at(".term"),
        rule("has(self.term) == has(self.activationTime)", "must come with activationTime").at(".term"),
        only_later("activationTime"),
        only_later("retirementTime"),
        only_later("earliestRemovalTime"),
        once("removalTime"),
        once("revocationTime"),
        rule(
            "!has(self.retirementTime) || (has(self.activationTime) && has(self.earliestRemovalTime))",
            "must come with activationTime and earliestRemovalTime",
        )
        .at(".retirementTime"),
        rule(
            "!has(self.removalTime) || has(self.revocationTime) || \
             (has(self.earliestRemovalTime) && self.removalTime >= self.earliestRemovalTime)",
            "must not be before earliestRemovalTime unless the key is revoked",
        )
        .at(".removalTime"),
        rule(
            "!(has(oldSelf.removalTime) || has(oldSelf.revocationTime)) || \
             has(self.activationTime) == has(oldSelf.activationTime) && \
             (!has(self.activationTime) || self.activationTime == oldSelf.activationTime)",
            "must not change: a removed or revoked key never signs again",
        )
        .at(".activationTime"),
    ]
}

/// Two entries with one kid could not both be published.
pub(super) fn external_keys() -> Vec<ValidationRule> {
    vec![rule("self.all(a, self.exists_one(b, b.publicJWK.kid == a.publicJWK.kid))", "must have distinct kids")]
}

/// What is published under the name of an entry never changes.
pub(super) fn external_key() -> Vec<ValidationRule> {
    vec![rule("self.publicJWK == oldSelf.publicJWK", "is immutable: add the new key under a new name").at(".publicJWK")]
}

/// A public JWK has the members of its type, whole, and an algorithm that fits.
pub(super) fn public_jwk() -> Vec<ValidationRule> {
    vec![
        rule(
            "self.kty == 'RSA' ? has(self.n) && has(self.e) && !has(self.crv) && !has(self.x) && !has(self.y) : true",
            "must have n and e, and no crv, x or y, when kty is RSA",
        ),
        rule(
            "self.kty == 'EC' ? has(self.crv) && self.crv.startsWith('P-') && has(self.x) && has(self.y) && \
             !has(self.n) && !has(self.e) : true",
            "must have crv (P-256, P-384 or P-521), x and y, and no n or e, when kty is EC",
        ),
        rule(
            "self.kty == 'OKP' ? has(self.crv) && self.crv == 'Ed25519' && has(self.x) && !has(self.y) && \
             !has(self.n) && !has(self.e) : true",
            "must have crv Ed25519 and x, and no y, n or e, when kty is OKP",
        ),
        rule(
            "self.kty == 'RSA' ? self.alg.startsWith('RS') || self.alg.startsWith('PS') : \
             (self.kty == 'EC' ? has(self.crv) && self.alg == {'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512', \
             'Ed25519': ''}[self.crv] : self.alg in ['EdDSA', 'Ed25519'])",
            "must be an algorithm of this key type and curve: RS* or PS* for RSA, ES256 for P-256, ES384 for P-384, \
             ES512 for P-521, EdDSA or Ed25519 for Ed25519",
        )
        .at(".alg"),
        rule(
            "!has(self.x) || !has(self.crv) || \
             (self.x.size() == {'P-256': 43, 'P-384': 64, 'P-521': 88, 'Ed25519': 43}[self.crv] && \
             (!has(self.y) || self.y.size() == self.x.size()))",
            "must have coordinates of the full length of the curve: 43, 64 or 88 characters",
        ),
    ]
}

/// An optional field that keeps its value, or its absence.
fn fixed(field: &str, message: &str) -> ValidationRule {
    rule(
        format!("has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"),
        message,
    )
    .at(&format!(".{field}"))
}

/// `condition`, asked only when every duration of the CEL list is one.
fn guarded(durations: &str, condition: &str) -> String {
    format!("{durations}.exists(d, !d.matches('{PATTERN}')) || {condition}")
}

/// `condition` about the duration itself, asked only when it is one.
fn guarded_self(condition: &str) -> String {
    format!("!self.matches('{PATTERN}') || {condition}")
}
