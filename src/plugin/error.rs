//! What can go wrong: each is one line that says what to do next.

use kube::core::Status;

/// Why a verb has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No kubeconfig, or not what was asked of it.
    #[error("no cluster to ask: {0}; see --kubeconfig and --context")]
    NoCluster(String),
    /// The API server does not answer.
    #[error("the API server does not answer: {0}")]
    Unreachable(String),
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    /// The CRDs are not there.
    #[error("this cluster knows no KeySets: install Keyset first (its CRDs are missing)")]
    NotInstalled,
    /// There is no such object.
    #[error("{kind} {name} is not in namespace {namespace}: see -n and `kubectl get {kinds} -A`", kinds = kind.to_lowercase())]
    NotFound {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// The API server, or the command itself, does not take what was asked for.
    #[error("{0}")]
    Refused(String),
    /// What verifiers fetch cannot be fetched.
    #[error("{url} {why}")]
    Web {
        /// What was asked.
        url: String,
        /// A sentence about it.
        why: String,
    },
    /// A file or standard output.
    #[error("{0}")]
    Io(String),
}

impl Error {
    /// What stands in the way of reading or writing.
    #[allow(clippy::needless_pass_by_value, reason = "the argument of map_err")]
    pub(super) fn output(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }

    /// What the API server said, but for the absence of a named object.
    #[allow(clippy::needless_pass_by_value, reason = "the argument of map_err")]
    pub(super) fn api(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => Self::of_status(status),
            kube::Error::Auth(why) => Self::NoCluster(one_line(&why.to_string())),
            kube::Error::SerdeError(why) => Self::Refused(format!(
                "an object is not as this version knows it: {}; use the kubectl-keyset of the operator's version",
                one_line(&why.to_string())
            )),
            error => Self::Unreachable(one_line(&innermost(error))),
        }
    }

    fn of_status(status: &Status) -> Self {
        match status.code {
            403 => Self::Forbidden(one_line(&status.message)),
            401 => Self::Forbidden("the API server does not know you: sign in again (401 Unauthorized)".to_owned()),
            404 => Self::NotInstalled,
            _ => Self::Refused(one_line(&status.message)),
        }
    }
}

/// The first cause: what wraps it only repeats that a request failed.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
