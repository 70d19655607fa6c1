//! The alerts on what the engine says, with series that the product itself makes of a recorded log or
//! answer: read by its reader, decided upon, and exposed as a scrape finds them.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sql_edge_supervisor::decide::engine::{State, decide};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::decide::snapshot::Snapshot;
use sql_edge_supervisor::decide::time::Time;
use sql_edge_supervisor::decide::volumes::Volume;
use sql_edge_supervisor::errorlog::{Lines, Reader};
use sql_edge_supervisor::publish::Published;
use sql_edge_supervisor::publish::metrics::Metrics;
use sql_edge_supervisor::publish::view::{Limits, ObserverBounds, View};

use super::shared::scratch::Scratch;
use super::{promtool, reasons, rules};

/// Minutes before the engine says it, and after.
const BEFORE: u32 = 20;
const AFTER: u32 = 90;

/// Since when what is seen first has been seen.
const SECOND: Duration = Duration::from_secs(1);

/// What is added to each series, as a scrape does.
const TARGET: &str = r#"job="sql-edge",instance="10.0.0.1:9433",namespace="db",pod="sql-0""#;

/// What the engine says.
#[derive(Clone, Copy)]
enum Says {
    /// This log of the corpus, and goes on.
    Log(&'static str),
    /// This log of the corpus, and then it ends with exit code 1.
    Ends(&'static str),
    /// This error, as the answer to a query: number and severity.
    Answer(u32, u8),
}

/// The alerts, each with what the engine says for it to fire.
const ALERTS: &[(&str, Says)] = &[
    ("SqlEdgeIoOver15Seconds", Says::Log(SEVERITY_10)),
    ("SqlEdgeIoSlow", Says::Log(SEVERITY_10)),
    ("SqlEdgeEngineFault", Says::Log(SEVERITY_10)),
    ("SqlEdgeMemoryPagedOut", Says::Log(SEVERITY_10)),
    (
        "SqlEdgeRecovering",
        Says::Log("recorded/errorlog/03-recovery-phase-1.log"),
    ),
    (
        "SqlEdgeRecoveryNotAdvancing",
        Says::Log("recorded/errorlog/03-recovery-phase-1.log"),
    ),
    (
        "SqlEdgeTempdbUnavailable",
        Says::Ends("recorded/errorlog/02-tempdb-fails-after-ready.log"),
    ),
    (
        "SqlEdgeUpgradeFailed",
        Says::Ends("recorded/errorlog/15-script-upgrade-failed.log"),
    ),
    (
        "SqlEdgeSystemDatabaseUnreadable",
        Says::Ends("recorded/errorlog/10-two-writers-in-one-line.txt"),
    ),
    (
        "SqlEdgeNotExecutable",
        Says::Ends("starts/08-openshift-not-permitted.log"),
    ),
    (
        "SqlEdgeStorageUnsupported",
        Says::Ends("starts/31-error-87-no-direct-io.log"),
    ),
    (
        "SqlEdgeDiskFull",
        Says::Ends("starts/32-upgrade-script-failed.log"),
    ),
    (
        "SqlEdgeDowngradeRefused",
        Says::Ends("starts/33-downgrade.log"),
    ),
    (
        "SqlEdgeVolumeIoError",
        Says::Ends("starts/34-nfs-write-1117.log"),
    ),
    (
        "SqlEdgeMemoryTooSmall",
        Says::Ends("starts/35-pal-no-memory.log"),
    ),
    (
        "SqlEdgeKernelUnsupported",
        Says::Ends("starts/35c-pal-kernel-6.7.log"),
    ),
    (
        "SqlEdgeHostUnsupported",
        Says::Ends("starts/38-page-size.log"),
    ),
    (
        "SqlEdgeMasterFileDenied",
        Says::Ends("starts/41-master-locked-by-the-old-pod.log"),
    ),
    ("SqlEdgeLogFull", Says::Answer(9002, 17)),
    ("SqlEdgeDiskFull", Says::Answer(1105, 17)),
    ("SqlEdgeDataCorruption", Says::Answer(824, 24)),
    ("SqlEdgeScriptUpgrade", Says::Answer(18_401, 14)),
    ("SqlEdgePaused", Says::Answer(17_142, 16)),
    ("SqlEdgeLoginFailed", Says::Answer(18_456, 14)),
    ("SqlEdgeLoginDisabled", Says::Answer(18_470, 14)),
    ("SqlEdgePasswordExpired", Says::Answer(18_487, 14)),
    ("SqlEdgePermissionMissing", Says::Answer(297, 16)),
    ("SqlEdgeWorkersExhausted", Says::Answer(17_300, 16)),
    ("SqlEdgeConnectionsExhausted", Says::Answer(17_809, 20)),
    ("SqlEdgeOutOfMemory", Says::Answer(701, 17)),
    ("SqlEdgeQueryRefused", Says::Answer(208, 16)),
];

const SEVERITY_10: &str = "recorded/errorlog/04-severity-10-without-a-number.log";

/// Those of the alerts on the engine's words that nothing recorded is known for.
const UNRECORDED: [Reason; 8] = [
    Reason::EvaluationExpired,
    Reason::EulaNotAccepted,
    Reason::SaPasswordRejected,
    Reason::ListenFailed,
    Reason::DataDirectoryDenied,
    Reason::MasterUnrecoverable,
    Reason::ConfigurationInvalid,
    Reason::StartFailed,
];

/// Logs for these, made by the words that the table of faults quotes.
fn made_for(reason: Reason) -> &'static str {
    match reason {
        Reason::EvaluationExpired => "Error: The evaluation period has expired.",
        Reason::EulaNotAccepted => {
            "The SQL Server End-User License Agreement (EULA) must be accepted before SQL"
        }
        Reason::SaPasswordRejected => {
            "ERROR: Unable to set system administrator password: Password validation failed."
        }
        Reason::ListenFailed => "Error: 17182, Severity: 16, State: 1.",
        Reason::DataDirectoryDenied => {
            "/opt/mssql/bin/sqlservr: Error: The system directory [/.system] could not be created."
        }
        Reason::MasterUnrecoverable => "Error: 3417, Severity: 21, State: 3.",
        Reason::ConfigurationInvalid => "mssql.conf: parse error in line 3",
        _ => "Error: 4711, Severity: 21, State: 1.",
    }
}

/// The supervisor, as far as it is pure.
struct Supervisor {
    policy: Policy,
    state: State,
    snapshot: Snapshot,
    now: Time,
    metrics: Metrics,
}

impl Supervisor {
    fn start() -> Self {
        let policy = Policy::default();
        Self {
            state: State::new(&policy),
            policy,
            snapshot: Snapshot::default(),
            now: Time::ZERO.plus(SECOND),
            metrics: Metrics::new(),
        }
    }

    fn see(&mut self, value: Observation) {
        self.now = self.now.plus(SECOND);
        let observed = Observed {
            at: self.now,
            value,
        };
        self.metrics.record(&observed);
        self.snapshot.apply(observed);
    }

    /// What a scrape finds.
    fn scrape(&mut self) -> String {
        let state = std::mem::replace(&mut self.state, State::new(&self.policy));
        let (state, decision) = decide(&self.policy, state, &self.snapshot, self.now);
        self.state = state;
        let published = Published {
            decision: Some(decision),
            snapshot: self.snapshot.clone(),
            ..Published::default()
        };
        let bound = Duration::from_secs(3600);
        let view = View {
            published: Arc::new(published),
            age: Duration::ZERO,
            uptime: Duration::from_secs(100),
            limits: Limits {
                stale_after: bound,
                observers: ObserverBounds {
                    process: bound,
                    ping: bound,
                    login: bound,
                    databases: bound,
                    cgroup: bound,
                },
            },
            collected: Arc::default(),
            moment: Instant::now(),
        };
        self.metrics.expose(&view)
    }
}

fn process() -> ProcessId {
    ProcessId {
        pid: 12,
        start_ticks: 1,
    }
}

fn running() -> Observation {
    Observation::Process(ProcessReport::Running(RunningProcess {
        parent: process(),
        engine: None,
        parent_state: RunState::Sleeping,
        state: RunState::Sleeping,
        dumper: None,
        cpu: None,
        io_bytes: None,
        resident_bytes: None,
        threads: None,
        open_fds: None,
        companions: 0,
    }))
}

fn exited() -> Observation {
    Observation::Process(ProcessReport::Exited(ProcessExit {
        process: process(),
        role: ProcessRole::Parent,
        status: Some(ExitStatus::Code(1)),
        oom_killed: false,
    }))
}

fn volume(log: EngineLog) -> Observation {
    let data_dir = Path::new("/var/opt/mssql");
    let check = VolumeCheck {
        mount: None,
        engine_mount: None,
        space: None,
        write: WriteCheck::Written(SECOND),
        denial: None,
        master_present: None,
        identity: None,
        errorlog: Some(log),
        output: None,
        dumps: None,
    };
    Observation::Volume(VolumeReport {
        volume: Arc::new(Volume::whole(data_dir, data_dir)),
        event: VolumeEvent::Checked(Box::new(check)),
    })
}

fn read(bytes: &[u8]) -> EngineLog {
    let mut reader = Reader::default();
    let mut lines = Lines::begin(bytes);
    lines.feed(bytes, &mut |line| reader.line(line));
    lines.finish(&mut |line| reader.line(line));
    reader.log(bytes.len() as u64)
}

fn recorded(file: &str) -> EngineLog {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    read(&std::fs::read(corpus.join(file)).expect("the corpus is readable"))
}

fn answered(result: AttemptResult, started: Time) -> Observation {
    Observation::Ping(Attempt { started, result })
}

/// What a scrape finds before the engine says it, and after.
fn scrapes(says: Says, log: EngineLog) -> [String; 2] {
    let mut supervisor = Supervisor::start();
    supervisor.see(running());
    supervisor.see(volume(EngineLog::default()));
    if let Says::Answer(..) = says {
        let round_trip = Duration::from_millis(1);
        let now = supervisor.now;
        supervisor.see(answered(AttemptResult::Answered { round_trip }, now));
    }
    let before = supervisor.scrape();
    match says {
        Says::Log(_) => supervisor.see(volume(log)),
        Says::Ends(_) => {
            supervisor.see(volume(log));
            supervisor.see(exited());
        }
        Says::Answer(number, class) => {
            let error = ServerError {
                number,
                state: 1,
                class,
            };
            let result = AttemptResult::Failed(ContactError::Server(error));
            for _ in 0..2 {
                // That memory runs out counts once it has lasted.
                let now = supervisor.now.plus(Duration::from_secs(3600));
                supervisor.now = now;
                supervisor.see(running());
                supervisor.see(answered(result.clone(), now));
                let _ = supervisor.scrape();
            }
        }
    }
    [before, supervisor.scrape()]
}

/// Each sample with the target's labels, and its value.
fn samples(exposition: &str) -> Vec<(String, &str)> {
    let lines = exposition.lines().filter(|line| !line.starts_with('#'));
    let wanted = [
        "sql_edge_supervisor_reason_active",
        "sql_edge_errorlog",
        "sql_edge_recovery",
    ];
    lines
        .filter(|line| wanted.iter().any(|name| line.starts_with(name)))
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labelled = match series.strip_suffix('}') {
                Some(labels) => format!("{labels},{TARGET}}}"),
                None => format!("{series}{{{TARGET}}}"),
            };
            Some((labelled, value))
        })
        .collect()
}

/// A unit test for promtool: the alert is silent before, and fires after.
fn case(text: &mut String, alert: &str, [before, after]: &[String; 2]) {
    let _ = write!(
        text,
        "  - name: {alert}\n    interval: 1m\n    input_series:\n"
    );
    let before = samples(before);
    for (series, value) in samples(after) {
        let was = before.iter().find(|(known, _)| *known == series);
        let first = match was {
            Some((_, value)) => format!("{value}x{}", BEFORE - 1),
            None => format!("_x{BEFORE}"),
        };
        let _ = write!(
            text,
            "      - series: '{series}'\n        values: '{first} {value}x{AFTER}'\n"
        );
    }
    text.push_str("    promql_expr_test:\n");
    let firing = format!("count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})");
    for (minute, samples) in [
        (BEFORE - 1, "[]"),
        (BEFORE + 80, "[{ labels: '{}', value: 1 }]"),
    ] {
        // What is over within seconds is told for a quarter of an hour.
        let minute = match minute > BEFORE && soon(alert) {
            true => BEFORE + 2,
            false => minute,
        };
        let _ = write!(
            text,
            "      - expr: '{firing}'\n        eval_time: {minute}m\n        exp_samples: {samples}\n"
        );
    }
}

/// Alerts on what has grown lately, which end by themselves.
fn soon(alert: &str) -> bool {
    alert == "SqlEdgeIoOver15Seconds"
}

fn logs() -> Vec<(String, [String; 2])> {
    let named = ALERTS.iter().map(|(alert, says)| {
        let log = match says {
            Says::Log(file) | Says::Ends(file) => recorded(file),
            Says::Answer(..) => EngineLog::default(),
        };
        ((*alert).to_owned(), scrapes(*says, log))
    });
    let made = UNRECORDED.iter().map(|reason| {
        let log = read(made_for(*reason).as_bytes());
        (reasons::alert_name(*reason), scrapes(Says::Ends(""), log))
    });
    named.chain(made).collect()
}

#[test]
fn alerts_on_the_engines_words_fire_on_what_the_product_makes_of_them() {
    let folder = rules::folder("rules");
    let mut text = String::from("rule_files:\n");
    for file in ["recording.yaml", "supervisor.yaml", "reasons.yaml"] {
        let _ = writeln!(text, "  - {}", folder.join(file).display());
    }
    text.push_str("evaluation_interval: 1m\ntests:\n");
    for (alert, scrapes) in logs() {
        case(&mut text, &alert, &scrapes);
    }
    let scratch = Scratch::new();
    let file = scratch.path().join("recorded.yaml");
    std::fs::write(&file, &text).expect("the scratch folder is writable");
    promtool(&["test", "rules"], std::slice::from_ref(&file));
}
