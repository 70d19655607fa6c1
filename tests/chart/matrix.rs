//! Every pair of the chart's switches, and more combinations at random.
//!
//! One helm process renders many: a chart made here names this one as a dependency under an alias for
//! each combination, and each alias has its own values.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::checks::assert_sound;
use crate::helm::{NEWEST, OLD, template};
use crate::object::Object;
use crate::{chart, probes, settings};

/// The clusters.
const VERSIONS: &[&str] = &[OLD, "1.29.0", NEWEST];

/// The switches, each with its positions: values of the chart.
const SWITCHES: &[&[&str]] = &[
    &["workload: Deployment", "workload: StatefulSet"],
    &["supervisor: {mode: launch}", "supervisor: {mode: attach}"],
    &[
        "supervisor: {sidecar: auto}",
        "supervisor: {sidecar: classic}",
    ],
    &[
        "sql: {engine: edge}",
        "sql: {engine: edge, edition: Premium, command: [/bin/true]}",
        "sql: {engine: server, edition: Express}",
    ],
    &[
        "auth: {existingSecret: ''}",
        "auth: {existingSecret: my-sa, passwordKey: key}",
        "auth: {password: Given-1234}",
    ],
    &[
        "supervisor: {login: {name: sa}}",
        "supervisor: {login: {name: watcher}}",
        "supervisor: {login: {name: watcher, existingSecret: my-login, passwordKey: key}}",
    ],
    &[
        "persistence: {size: 10Gi}",
        "persistence: {existingClaim: my-claim, accessMode: ReadWriteOncePod}",
        "{persistence: {accessMode: ReadWriteMany, storageClass: files, keep: false}, volume: {lease: strict}}",
        "{storageClass: {create: true, name: own, mountOptions: [noatime]}, persistence: {annotations: {a: b}}}",
        "persistence: {volumeName: disk, dataSource: {kind: PersistentVolumeClaim, name: my-old}}",
    ],
    &[
        "service: {type: LoadBalancer}",
        "service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8], loadBalancerClass: a, port: 31433}",
        "service: {type: ClusterIP, annotations: {a: b}}",
        "service: {type: NodePort, nodePort: 30433, externalTrafficPolicy: Local}",
    ],
    &[
        "tls: {secretName: ''}",
        "tls: {secretName: my-tls}",
        "tls: {secretName: my-tls, caKey: '', forceEncryption: true}",
        "tls: {secretName: my-tls, serverName: db.example.com}",
    ],
    &[
        "{sql: {conf: {}}, metrics: {collectors: {orders.yaml: 'metrics: []', more.yml: ''}}}",
        "sql: {conf: {network: {tlsprotocols: '1.2'}, memory: {disablememorypressure: true}}}",
    ],
    &[
        "volume: {init: once}",
        "volume: {init: never, id: shop}",
        "volume: {idFrom: {configMap: my-volume, key: id}}",
    ],
    &[
        "metrics: {annotations: false}",
        "metrics: {annotations: true, podMonitor: {enabled: true}}",
        "metrics: {serviceMonitor: {enabled: true, labels: {a: b}, relabelings: [{targetLabel: a, replacement: b}]}}",
    ],
    &[
        "metrics: {rules: {enabled: false}}",
        "metrics: {rules: {enabled: true, mixin: true, labels: {a: b}}, dashboards: {enabled: true}}",
    ],
    &[
        "networkPolicy: {enabled: false}",
        "networkPolicy: {enabled: true}",
        "networkPolicy: {enabled: true, clients: [{podSelector: {}}], prometheus: [], nodeCIDRs: [10.0.0.0/8, 'fd00::/8'], restrictEgress: true}",
    ],
    &[
        "{failover: {tolerationSeconds: 60}, serviceAccount: {create: true}, kubernetesEvents: {enabled: true}}",
        "{failover: {tolerationSeconds: 0}, nodeSelector: {a: b}, tolerations: [{operator: Exists}], priorityClassName: high, serviceAccount: {create: false}, fullnameOverride: shop}",
        "{podDisruptionBudget: {enabled: true, maxUnavailable: 1}, topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}], affinity: {podAntiAffinity: {}}, serviceAccount: {name: own, annotations: {a: b}}, nameOverride: db}",
    ],
    &[
        "sql: {restartAllContainersOn: []}",
        "sql: {restartAllContainersOn: [137, 1], port: 14330, extraEnv: [{name: TZ, value: UTC}], hostname: db}",
    ],
    &[
        "supervisor: {settings: {}}",
        "supervisor: {settings: {ping-interval: 500ms, required-databases: [a, b], restart-budget: 5}, port: 19433, livezPort: 19434, bindAddress: '[::]'}",
    ],
    &[
        "terminationGracePeriodSeconds: 60",
        "{terminationGracePeriodSeconds: 10, imagePullSecrets: [{name: my-registry}], commonLabels: {a: b}}",
        "{terminationGracePeriodSeconds: 3600, replicas: 0, podAnnotations: {a: b}, podLabels: {c: d}}",
    ],
    &[
        "podSecurityContext: {runAsUser: 10001}",
        "{podSecurityContext: {runAsUser: 1000700000, runAsGroup: 5, fsGroup: 1000700000}, sql: {resources: {limits: {memory: 3G}, requests: {memory: 2560Mi}}}}",
        "sql: {resources: {limits: {memory: null}, requests: {memory: 2.5Gi}}}",
    ],
];

/// Random combinations beside those that cover all pairs.
const RANDOM: usize = 60;

/// A position for each switch.
type Combination = Vec<usize>;

/// A generator that gives the same each time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn pairs(combination: &[usize]) -> impl Iterator<Item = [usize; 4]> + '_ {
    (0..combination.len()).flat_map(move |a| {
        (a + 1..combination.len()).map(move |b| [a, combination[a], b, combination[b]])
    })
}

/// Combinations in which every pair of positions of two switches occurs: the best of some random
/// ones, as long as a pair is missing.
fn covering(random: &mut Random) -> Vec<Combination> {
    /// Candidates for each.
    const TRIES: usize = 40;
    let mut missing = BTreeSet::new();
    for (a, first) in SWITCHES.iter().enumerate() {
        for (b, second) in SWITCHES.iter().enumerate().skip(a + 1) {
            for i in 0..first.len() {
                missing.extend((0..second.len()).map(|j| [a, i, b, j]));
            }
        }
    }
    let mut chosen = Vec::new();
    while let Some(wanted) = missing.first().copied() {
        let candidates = (0..TRIES).map(|_| {
            let mut one: Combination = SWITCHES.iter().map(|s| random.below(s.len())).collect();
            // So that it ends.
            (one[wanted[0]], one[wanted[2]]) = (wanted[1], wanted[3]);
            one
        });
        let best = candidates.max_by_key(|one| pairs(one).filter(|p| missing.contains(p)).count());
        let best = best.expect("there are candidates");
        for pair in pairs(&best) {
            missing.remove(&pair);
        }
        chosen.push(best);
    }
    chosen
}

/// Those for a version: all pairs, and its share of the random ones.
fn combinations(version: usize) -> Vec<Combination> {
    let wanted = std::env::var("CHART_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut random = Random(0x5eed_1433);
    let mut all = covering(&mut random);
    for case in 0..wanted.unwrap_or(RANDOM) {
        let one = SWITCHES
            .iter()
            .map(|switch| random.below(switch.len()))
            .collect();
        if case % VERSIONS.len() == version {
            all.push(one);
        }
    }
    all
}

/// Values as one document: maps of the same key are merged.
fn values(combination: &[usize]) -> serde_json::Value {
    let mut all = serde_json::json!({"acceptEula": true});
    for (switch, position) in SWITCHES.iter().zip(combination) {
        let one = serde_saphyr::from_str(switch[*position]).expect("a position is YAML");
        merge(&mut all, one);
    }
    all
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// A chart whose dependencies are this one, many times.
struct Umbrella(PathBuf);

impl Umbrella {
    fn new(name: &str, count: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("ses-chart-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("charts")).expect("a directory can be made");
        let mut text = "apiVersion: v2\nname: matrix\nversion: 0.0.0\ndependencies:\n".to_owned();
        for case in 0..count {
            let _ = writeln!(
                text,
                "- {{name: azure-sql-edge, version: '*', alias: case{case}}}"
            );
        }
        fs::write(folder.join("Chart.yaml"), text).expect("it is writable");
        let link = folder.join("charts/azure-sql-edge");
        std::os::unix::fs::symlink(chart(), link).expect("a link can be made");
        Self(folder)
    }
}

impl Drop for Umbrella {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What was rendered for each combination.
fn render_all(version: &str, combinations: &[Combination]) -> Vec<Vec<Object>> {
    let umbrella = Umbrella::new(version, combinations.len());
    let mut all = serde_json::Map::new();
    for (case, combination) in combinations.iter().enumerate() {
        all.insert(format!("case{case}"), values(combination));
    }
    let all = serde_json::Value::Object(all).to_string();
    let objects = template(&umbrella.0, version, &all).unwrap_or_else(|error| panic!("{error}"));
    let mut rendered = vec![Vec::new(); combinations.len()];
    for object in objects {
        let case = object
            .source
            .split('/')
            .nth(2)
            .and_then(|alias| alias.strip_prefix("case"));
        let case: usize = case.expect("below its alias").parse().expect("a number");
        rendered[case].push(object);
    }
    rendered
}

#[test]
fn every_pair_of_switches_gives_a_sound_release() {
    for (index, version) in VERSIONS.iter().enumerate() {
        let combinations = combinations(index);
        let rendered = render_all(version, &combinations);
        for (combination, objects) in combinations.iter().zip(rendered) {
            let told = format!("{version} {}", values(combination));
            assert_sound(&objects, &told);
            settings::assert_understood(&objects, &told);
            probes::assert_agree(&objects, &told);
        }
    }
}

#[test]
fn the_covering_covers() {
    let all = covering(&mut Random(7));
    let seen: BTreeSet<_> = all
        .iter()
        .flat_map(|one| pairs(one).collect::<Vec<_>>())
        .collect();
    let mut wanted = 0;
    for (a, first) in SWITCHES.iter().enumerate() {
        for second in &SWITCHES[a + 1..] {
            wanted += first.len() * second.len();
        }
    }
    assert_eq!(seen.len(), wanted);
    assert!(
        all.len() < 60,
        "{} combinations are more than it takes",
        all.len()
    );
}
