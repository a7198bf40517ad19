//! What the objects of the chart say of each other is so: every selector, name and port leads to exactly what it means.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{manifests::EVERYTHING, render};

#[test]
fn every_object_has_its_labels_and_its_namespace() {
    for objects in [render(&[]), render(&["--values", EVERYTHING, "--set-json", "extraObjects=[]"])] {
        let names: BTreeSet<(&str, &str)> =
            objects.iter().map(|object| (text(&object["kind"]), text(&object["metadata"]["name"]))).collect();
        assert_eq!(names.len(), objects.len(), "two objects have one name");
        for object in &objects {
            let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
            let missing = LABELS.iter().filter(|(name, value)| metadata["labels"][name] != *value);
            assert_eq!(missing.count(), 0, "{kind} {metadata}");
            let is_global = GLOBAL.iter().any(|start| kind.starts_with(start));
            let namespace = if is_global { Value::Null } else { "keyset-system".into() };
            assert_eq!(metadata["namespace"], namespace, "{kind} {metadata}");
        }
    }
    let objects = render(&["--set", "watchNamespaces={auth}"]);
    let roles = objects.iter().filter(|object| text(&object["kind"]).starts_with("Role"));
    let elsewhere = roles.filter(|object| object["metadata"]["namespace"] == "auth");
    assert_eq!(elsewhere.count(), 4, "a role and a binding of each process");
}

#[test]
fn selectors_take_the_pods_that_they_mean_and_no_others() {
    for chart in [Chart(render(&[])), Chart(render(&["--values", EVERYTHING]))] {
        let meant = [
            ("Deployment", "keyset-controller", "controller"),
            ("Deployment", "keyset-server", "server"),
            ("PodDisruptionBudget", "keyset-controller", "controller"),
            ("PodDisruptionBudget", "keyset-server", "server"),
            ("NetworkPolicy", "keyset-controller", "controller"),
            ("NetworkPolicy", "keyset-server", "server"),
            ("Service", "keyset-server", "server"),
            ("Service", "keyset-server-admin", "server"),
        ];
        for (kind, name, component) in meant {
            let spec = &chart.get(kind, name)["spec"];
            let selector = ["selector", "podSelector"].into_iter().find_map(|field| spec.get(field)).unwrap();
            assert_eq!(chart.taken("Deployment", selector), [format!("keyset-{component}")], "{kind} {name}");
        }
        let policy = chart.get("NetworkPolicy", "keyset-server");
        let controller = &policy["spec"]["ingress"][1]["from"][0]["podSelector"];
        assert_eq!(chart.taken("Deployment", controller), ["keyset-controller"]);
        for monitor in chart.all("ServiceMonitor") {
            assert_eq!(chart.taken("Service", &monitor["spec"]["selector"]), ["keyset-server-admin"]);
        }
        for monitor in chart.all("PodMonitor") {
            assert_eq!(chart.taken("Deployment", &monitor["spec"]["selector"]), ["keyset-controller"]);
        }
    }
    let chart = Chart(render(&[]));
    for deployment in chart.all("Deployment") {
        for spread in list(&deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]) {
            let taken = chart.taken("Deployment", &spread["labelSelector"]);
            assert_eq!(taken, [text(&deployment["metadata"]["name"])]);
        }
    }
}

#[test]
fn ports_are_those_of_the_containers() {
    let with_tls = Chart(render(&["--values", EVERYTHING]));
    for chart in [&Chart(render(&[])), &with_tls] {
        let of = |deployment: &str| -> Vec<Value> {
            let pod = &chart.get("Deployment", deployment)["spec"]["template"]["spec"];
            list(&pod["containers"][0]["ports"]).iter().map(|port| port["name"].clone()).collect()
        };
        for deployment in chart.all("Deployment") {
            let container = &deployment["spec"]["template"]["spec"]["containers"][0];
            for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
                assert_eq!(container[probe]["httpGet"]["path"], path);
                assert!(of(text(&deployment["metadata"]["name"])).contains(&container[probe]["httpGet"]["port"]));
            }
            let policy = chart.get("NetworkPolicy", text(&deployment["metadata"]["name"]));
            let ports = list(&policy["spec"]["ingress"]).iter().flat_map(|rule| list(&rule["ports"]));
            assert!(ports.map(|port| &port["port"]).all(|port| of(text(&policy["metadata"]["name"])).contains(port)));
        }
        for service in chart.all("Service") {
            let ports = list(&service["spec"]["ports"]);
            assert!(!ports.is_empty() && ports.iter().all(|port| of("keyset-server").contains(&port["targetPort"])));
        }
    }
    // What leads to a Service names a port of it.
    let public = &with_tls.get("Service", "keyset-server")["spec"]["ports"][0];
    let rules = list(&with_tls.get("Ingress", "keyset-server")["spec"]["rules"]);
    for path in rules.iter().flat_map(|rule| list(&rule["http"]["paths"])) {
        assert_eq!(path["backend"]["service"]["name"], "keyset-server");
        assert_eq!(path["backend"]["service"]["port"]["name"], public["name"]);
        assert_eq!(path["pathType"], "Prefix");
    }
    let route = &with_tls.get("HTTPRoute", "keyset-server")["spec"]["rules"][0]["backendRefs"][0];
    assert_eq!((&route["name"], &route["port"]), (&"keyset-server".into(), &public["port"]));
    let monitor = &with_tls.get("ServiceMonitor", "keyset-server")["spec"]["endpoints"][0]["port"];
    assert_eq!(*monitor, with_tls.get("Service", "keyset-server-admin")["spec"]["ports"][0]["name"]);
}

#[test]
fn names_are_those_of_objects_that_there_are() {
    for chart in [Chart(render(&[])), Chart(render(&["--values", EVERYTHING, "--set", "watchNamespaces={auth}"]))] {
        for kind in ["ClusterRoleBinding", "RoleBinding"] {
            for binding in chart.all(kind) {
                let role = chart.get(text(&binding["roleRef"]["kind"]), text(&binding["roleRef"]["name"]));
                assert_eq!(role["metadata"]["namespace"], binding["metadata"]["namespace"]);
                let subject = &binding["subjects"][0];
                chart.get(text(&subject["kind"]), text(&subject["name"]));
                assert_eq!(subject["namespace"], "keyset-system");
            }
        }
        for binding in chart.all("ValidatingAdmissionPolicyBinding") {
            assert_eq!(binding["metadata"]["name"], binding["spec"]["policyName"]);
            chart.get("ValidatingAdmissionPolicy", text(&binding["spec"]["policyName"]));
        }
        for deployment in chart.all("Deployment") {
            let pod = &deployment["spec"]["template"]["spec"];
            chart.get("ServiceAccount", text(&pod["serviceAccountName"]));
            assert_eq!(pod["automountServiceAccountToken"], true);
            let container = &pod["containers"][0];
            assert_eq!(container["args"][0], container["name"], "the command");
            let named = |place: &Value| list(place).iter().map(|it| text(&it["name"]).to_owned()).collect::<Vec<_>>();
            assert_eq!(named(&pod["volumes"]), named(&container["volumeMounts"]));
        }
        for certificate in chart.all("Certificate") {
            let pod = &chart.get("Deployment", "keyset-server")["spec"]["template"]["spec"];
            assert_eq!(pod["volumes"][0]["secret"]["secretName"], certificate["spec"]["secretName"]);
        }
    }
}

/// What the chart renders.
struct Chart(Vec<Value>);

impl Chart {
    fn all<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let kind = kind.to_owned();
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    fn get(&self, kind: &str, name: &str) -> &Value {
        let found = self.all(kind).find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// The names of objects of a kind that a selector takes: by their Pods' labels, if they have Pods.
    fn taken(&self, kind: &str, selector: &Value) -> Vec<&str> {
        let wanted = selector.get("matchLabels").unwrap_or(selector).as_object().unwrap();
        let of_release = &LABELS[..2];
        assert!(of_release.iter().all(|(name, value)| wanted[*name] == *value), "takes Pods of others: {selector}");
        let is_taken = |object: &&Value| {
            let object = object["spec"].get("template").unwrap_or(object);
            wanted.iter().all(|(name, value)| object["metadata"]["labels"][name] == *value)
        };
        self.all(kind).filter(is_taken).map(|object| text(&object["metadata"]["name"])).collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

const LABELS: &[(&str, &str)] = &[
    ("app.kubernetes.io/name", "keyset"),
    ("app.kubernetes.io/instance", "keyset"),
    ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
    ("app.kubernetes.io/managed-by", "Helm"),
    ("helm.sh/chart", concat!("keyset-", env!("CARGO_PKG_VERSION"))),
];

/// The kinds that have no namespace.
const GLOBAL: &[&str] = &["Cluster", "CustomResourceDefinition", "ValidatingAdmissionPolicy"];
