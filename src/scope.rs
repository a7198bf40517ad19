//! Where this process looks after KeySets: in the whole cluster, or in some namespaces.
//!
//! Only watches know of it: everything else follows from the objects that they show.

use std::fmt::Debug;
use std::sync::Arc;

use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// What one watch covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Every namespace of the cluster.
    Cluster,
    /// One namespace.
    Namespace(Arc<str>),
}

impl Scope {
    /// One scope for each of `namespaces`, or the cluster if none is named. Naming one twice changes nothing.
    pub fn of(namespaces: &[String]) -> Vec<Self> {
        if namespaces.is_empty() {
            return vec![Self::Cluster];
        }
        let mut scopes: Vec<_> = namespaces.iter().map(|name| Self::Namespace(name.as_str().into())).collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// Whether it covers what is in `namespace`.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(name) => **name == *namespace,
        }
    }

    pub(crate) fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug,
    {
        match self {
            Self::Cluster => Api::all(client),
            Self::Namespace(name) => Api::namespaced(client, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_the_cluster_and_a_name_counts_once() {
        assert_eq!(Scope::of(&[]), [Scope::Cluster]);
        let named = Scope::of(&["b".to_owned(), "a".to_owned(), "b".to_owned()]);
        assert_eq!(named, [Scope::Namespace("a".into()), Scope::Namespace("b".into())]);
        assert!(named[0].contains("a") && !named[0].contains("ab") && Scope::Cluster.contains("ab"));
    }
}
