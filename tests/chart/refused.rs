//! Values that are refused, each with a message that names the key.

use std::sync::Mutex;

use crate::helm::{NEWEST, OLD, template};

/// By the schema: values, and the place that the message has to name.
const BY_SCHEMA: &[(&str, &str)] = &[
    ("{acceptEula: 'yes'}", "/acceptEula"),
    ("{accept: true}", "'accept'"),
    ("{replicas: 2}", "/replicas"),
    ("{workload: DaemonSet}", "/workload"),
    ("{sql: {engine: postgres}}", "/sql/engine"),
    ("{sql: {password: secret}}", "'password'"),
    ("{sql: {port: 0}}", "/sql/port"),
    ("{sql: {port: '1433'}}", "/sql/port"),
    ("{sql: {edition: Enterprize}}", "/sql/edition"),
    ("{sql: {hostname: a-name-of-more-than-15}}", "/sql/hostname"),
    (
        "{sql: {image: {digest: 'sha256:123'}}}",
        "/sql/image/digest",
    ),
    (
        "{sql: {image: {pullPolicy: Sometimes}}}",
        "/sql/image/pullPolicy",
    ),
    (
        "{sql: {resources: {limits: {memory: 2GB}}}}",
        "/sql/resources/limits/memory",
    ),
    ("{sql: {resources: {limit: {memory: 2Gi}}}}", "'limit'"),
    (
        "{sql: {memory: {limitShare: 100}}}",
        "/sql/memory/limitShare",
    ),
    ("{sql: {extraEnv: [{nme: A}]}}", "/sql/extraEnv/0"),
    (
        "{sql: {extraVolumeMounts: [{name: a, mountPath: relative}]}}",
        "/sql/extraVolumeMounts/0/mountPath",
    ),
    ("{sql: {conf: {memory: [1]}}}", "/sql/conf/memory"),
    (
        "{sql: {restartAllContainersOn: [0]}}",
        "/sql/restartAllContainersOn/0",
    ),
    (
        "{auth: {existingSecret: Not_A_Name}}",
        "/auth/existingSecret",
    ),
    ("{tls: {serverName: 127.0.0.1}}", "/tls/serverName"),
    ("{supervisor: {mode: watch}}", "/supervisor/mode"),
    ("{supervisor: {sidecar: yes}}", "/supervisor/sidecar"),
    (
        "{supervisor: {image: {repository: ''}}}",
        "/supervisor/image/repository",
    ),
    (
        "{supervisor: {bindAddress: localhost}}",
        "/supervisor/bindAddress",
    ),
    ("{supervisor: {stateDir: /run/}}", "/supervisor/stateDir"),
    ("{supervisor: {settings: {listn: a}}}", "'listn'"),
    (
        "{supervisor: {settings: {listen: '0.0.0.0:1'}}}",
        "'listen'",
    ),
    (
        "{supervisor: {settings: {sql-password: canary}}}",
        "'sql-password'",
    ),
    (
        "{supervisor: {settings: {ping-interval: 2}}}",
        "/supervisor/settings/ping-interval",
    ),
    (
        "{supervisor: {settings: {ping-interval: 2 seconds}}}",
        "/supervisor/settings/ping-interval",
    ),
    (
        "{supervisor: {settings: {max-databases: 0}}}",
        "/supervisor/settings/max-databases",
    ),
    (
        "{supervisor: {settings: {disk-low-ratio: 1.5}}}",
        "/supervisor/settings/disk-low-ratio",
    ),
    (
        "{supervisor: {settings: {restart-by: both}}}",
        "/supervisor/settings/restart-by",
    ),
    ("{volume: {lease: maybe}}", "/volume/lease"),
    ("{volume: {id: 'a b'}}", "/volume/id"),
    ("{persistence: {size: large}}", "/persistence/size"),
    (
        "{persistence: {accessMode: ReadOnlyMany}}",
        "/persistence/accessMode",
    ),
    (
        "{persistence: {dataSource: {kind: VolumeSnapshot}}}",
        "/persistence/dataSource",
    ),
    ("{service: {type: ExternalName}}", "/service/type"),
    (
        "{service: {loadBalancerSourceRanges: [10.0.0.1]}}",
        "/service/loadBalancerSourceRanges/0",
    ),
    (
        "{probes: {liveness: {periodSeconds: 0}}}",
        "/probes/liveness/periodSeconds",
    ),
    (
        "{probes: {liveness: {initialDelaySeconds: 5}}}",
        "'initialDelaySeconds'",
    ),
    (
        "{terminationGracePeriodSeconds: 5}",
        "/terminationGracePeriodSeconds",
    ),
    (
        "{podSecurityContext: {runAsUser: 0}}",
        "/podSecurityContext/runAsUser",
    ),
    ("{podSecurityContext: {privileged: true}}", "'privileged'"),
    ("{tolerations: [{kye: a}]}", "/tolerations/0"),
    ("{affinity: {nodeAfinity: {}}}", "'nodeAfinity'"),
    (
        "{topologySpreadConstraints: [{maxSkew: 1}]}",
        "/topologySpreadConstraints/0",
    ),
    (
        "{extraVolumes: [{name: sqldata, emptyDir: {}}]}",
        "/extraVolumes/0/name",
    ),
    (
        "{podDisruptionBudget: {maxUnavailable: 2}}",
        "/podDisruptionBudget/maxUnavailable",
    ),
    (
        "{networkPolicy: {clients: [{podSelectr: {}}]}}",
        "/networkPolicy/clients/0",
    ),
    (
        "{networkPolicy: {nodeCIDRs: [nodes]}}",
        "/networkPolicy/nodeCIDRs/0",
    ),
    (
        "{metrics: {podMonitor: {interval: 15}}}",
        "/metrics/podMonitor/interval",
    ),
    ("{metrics: {collectors: {'orders.txt': a}}}", "orders.txt"),
];

/// By the templates: values, and what the message begins with.
const BY_TEMPLATE: &[(&str, &str)] = &[
    (
        "{kubernetesEvents: {enabled: true}, serviceAccount: {create: false}}",
        "kubernetesEvents.enabled: ",
    ),
    ("{acceptEula: false}", "acceptEula: "),
    ("{sql: {edition: Standard}}", "sql.edition: "),
    ("{sql: {engine: server, edition: Premium}}", "sql.edition: "),
    (
        "{sql: {resources: {limits: {memory: 512Mi}, requests: {memory: 256Mi}}}}",
        "sql.resources.limits.memory: 512Mi is less",
    ),
    (
        "{sql: {engine: server, resources: {limits: {memory: 1900M}, requests: {memory: 1900M}}}}",
        "sql.resources.limits.memory: 1900M is less",
    ),
    (
        "{sql: {resources: {requests: {memory: 4Gi}}}}",
        "sql.resources.requests.memory: ",
    ),
    ("{sql: {memory: {limitMB: 2048}}}", "sql.memory.limitMB: "),
    ("{sql: {port: 9433}}", "9433 is "),
    ("{supervisor: {livezPort: 9433}}", "9433 is "),
    (
        "{sql: {extraEnv: [{name: MSSQL_PID, value: Developer}]}}",
        "sql.extraEnv[0].name: MSSQL_PID",
    ),
    (
        "{sql: {extraEnv: [{name: SUPERVISOR_LEASE, value: 'off'}]}}",
        "sql.extraEnv[0].name: SUPERVISOR_LEASE",
    ),
    (
        "{sql: {extraEnv: [{name: A, value: a}, {name: A, value: b}]}}",
        "sql.extraEnv[1].name: A",
    ),
    (
        "{auth: {existingSecret: a, password: Given-1234}}",
        "auth.password: ",
    ),
    ("{auth: {password: canary}}", "auth.password: "),
    ("{tls: {serverName: db.example.com}}", "tls.serverName: "),
    (
        "{tls: {secretName: a, caKey: '', serverName: db.example.com}}",
        "tls.serverName: ",
    ),
    ("{tls: {forceEncryption: true}}", "tls.forceEncryption: "),
    (
        "{supervisor: {stateDir: /var/opt/mssql/run}}",
        "supervisor.stateDir: ",
    ),
    (
        "{supervisor: {settings: {control-socket: /tmp/c.sock}}}",
        "supervisor.settings.control-socket: ",
    ),
    (
        "{supervisor: {settings: {required-databases: ['a,b']}}}",
        "supervisor.settings.required-databases: ",
    ),
    (
        "{supervisor: {settings: {stop-grace: 60s}}}",
        "supervisor.settings.stop-grace: ",
    ),
    (
        "{supervisor: {settings: {restart-by: kubelet, restart-grace: 1m}}}",
        "supervisor.settings.restart-grace: ",
    ),
    (
        "{supervisor: {settings: {startup-stalled-after: 1day}}}",
        "probes.startup.failureThreshold: ",
    ),
    (
        "{supervisor: {settings: {lease-stale: 24h}}}",
        "probes.supervisorStartup.failureThreshold: ",
    ),
    (
        "{supervisor: {settings: {decision-stale-after: 30s}}}",
        "probes.supervisorLiveness.failureThreshold: ",
    ),
    (
        "{probes: {readiness: {failureThreshold: 2}}, supervisor: {settings: {ready-freshness: 1s}}}",
        "probes.readiness.failureThreshold: ",
    ),
    (
        "{probes: {startup: {failureThreshold: 900}}}",
        "probes.startup.failureThreshold: ",
    ),
    (
        "{probes: {supervisorStartup: {failureThreshold: 30}}}",
        "probes.supervisorStartup.failureThreshold: ",
    ),
    (
        "{probes: {supervisorLiveness: {periodSeconds: 1, failureThreshold: 5}}}",
        "probes.supervisorLiveness.failureThreshold: ",
    ),
    (
        "{probes: {readiness: {periodSeconds: 4, failureThreshold: 3}}}",
        "probes.readiness.failureThreshold: ",
    ),
    (
        "{probes: {liveness: {timeoutSeconds: 6}}}",
        "probes.liveness.timeoutSeconds: ",
    ),
    (
        "{supervisor: {mode: attach}, probes: {liveness: {failureThreshold: 11}}}",
        "probes.liveness.failureThreshold: ",
    ),
    (
        "{volume: {lease: advisory}, persistence: {accessMode: ReadWriteMany}}",
        "volume.lease: ",
    ),
    (
        "{volume: {lease: 'off'}, persistence: {accessMode: ReadWriteMany}}",
        "volume.lease: ",
    ),
    (
        "{persistence: {existingClaim: a, storageClass: b}}",
        "persistence.storageClass: ",
    ),
    (
        "{persistence: {existingClaim: a, volumeName: b}}",
        "persistence.volumeName: ",
    ),
    (
        "{persistence: {storageClass: a}, storageClass: {create: true, name: b}}",
        "persistence.storageClass: ",
    ),
    (
        "{service: {type: ClusterIP, loadBalancerSourceRanges: [10.0.0.0/8]}}",
        "service.loadBalancerSourceRanges: ",
    ),
    (
        "{service: {type: NodePort, loadBalancerClass: a}}",
        "service.loadBalancerClass: ",
    ),
    (
        "{service: {type: ClusterIP, nodePort: 30000}}",
        "service.nodePort: ",
    ),
    ("{networkPolicy: {egress: [{}]}}", "networkPolicy.egress: "),
    (
        "{metrics: {podMonitor: {enabled: true}, serviceMonitor: {enabled: true}}}",
        "metrics.serviceMonitor.enabled: ",
    ),
    (
        "{metrics: {podMonitor: {scrapeTimeout: 1m}}}",
        "metrics.podMonitor.scrapeTimeout: ",
    ),
];

/// What helm says to values; each place of the message is to be found in it.
fn refused(version: &str, values: &str, told: &str) -> Option<String> {
    let inner = values.strip_suffix('}').expect("a flow map");
    let accepted = match inner.contains("accept") {
        true => values.to_owned(),
        false => format!("{inner}, acceptEula: true}}"),
    };
    match template(&crate::chart(), version, &accepted) {
        Ok(_) => Some(format!("{values} was not refused")),
        Err(error) if !error.contains(told) => Some(format!("{values}: no {told:?} in {error}")),
        // Whatever is refused, a password is not repeated.
        Err(error) if error.contains("canary") => Some(format!("{values}: repeated in {error}")),
        Err(_) => None,
    }
}

/// Two processors do not wait for one helm after the other.
fn all_refused(cases: &[(&str, &str)]) {
    /// helm processes at a time.
    const AT_ONCE: usize = 2;
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(AT_ONCE)) {
            scope.spawn(|| {
                let found = part
                    .iter()
                    .filter_map(|(values, told)| refused(NEWEST, values, told));
                let found: Vec<_> = found.collect();
                failures
                    .lock()
                    .expect("nobody panics with it")
                    .extend(found);
            });
        }
    });
    let failures = failures.into_inner().expect("nobody panics with it");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_schema_refuses_unknown_and_impossible_values() {
    all_refused(BY_SCHEMA);
}

#[test]
fn the_templates_refuse_what_contradicts_itself_and_the_supervisor() {
    all_refused(BY_TEMPLATE);
    let native = "{supervisor: {sidecar: native}}";
    assert_eq!(refused(OLD, native, "supervisor.sidecar: "), None);
    assert_eq!(
        refused("1.24.0", "{replicas: 1}", "chart requires kubeVersion"),
        None
    );
}

#[test]
fn all_mistakes_are_said_at_once() {
    let error = template(
        &crate::chart(),
        NEWEST,
        "{sql: {port: 9433, edition: Web}, tls: {forceEncryption: true}}",
    )
    .expect_err("it is refused");
    for key in [
        "acceptEula: ",
        "sql.edition: ",
        "tls.forceEncryption: ",
        "supervisor.port: ",
    ] {
        assert!(error.contains(key), "{key}: {error}");
    }
}
