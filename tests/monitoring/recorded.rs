//! The alerts on what the engine says, for `scrapes`, with series that the product itself makes of a recorded log or
//! answer: read by its reader, decided upon, and exposed as a scrape finds them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sql_edge_supervisor::decide::engine::{State, decide};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::snapshot::Snapshot;
use sql_edge_supervisor::decide::time::Time;
use sql_edge_supervisor::decide::volumes::Volume;
use sql_edge_supervisor::errorlog::{Lines, Reader};
use sql_edge_supervisor::publish::Published;
use sql_edge_supervisor::publish::metrics::Metrics;
use sql_edge_supervisor::publish::view::{Limits, ObserverBounds, View};

use super::shared::alerts::{Recorded, Scrape};

/// Since when what is seen first has been seen.
const SECOND: Duration = Duration::from_secs(1);

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
    (
        "SqlEdgeEvaluationExpired",
        Says::Ends("recorded/errorlog/16-evaluation-expired-2022.txt"),
    ),
    (
        "SqlEdgeEulaNotAccepted",
        Says::Ends("recorded/errorlog/17-eula-2019.txt"),
    ),
    (
        "SqlEdgeSaPasswordRejected",
        Says::Ends("recorded/errorlog/18-sa-password-2019.log"),
    ),
    (
        "SqlEdgeDataDirectoryDenied",
        Says::Ends("recorded/errorlog/19-system-directory-denied-2019.txt"),
    ),
    (
        "SqlEdgeConfigurationInvalid",
        Says::Ends("recorded/errorlog/27-configuration-empty.txt"),
    ),
    (
        "SqlEdgeListenFailed",
        Says::Ends("recorded/errorlog/28-no-certificate.log"),
    ),
    (
        "SqlEdgeMasterUnrecoverable",
        Says::Ends("recorded/errorlog/29-master-not-recovered.log"),
    ),
    (
        "SqlEdgeStartFailed",
        Says::Ends("starts/86-platform-not-up-in-time.log"),
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

/// What a scrape shows before and after each of [`ALERTS`].
pub fn all() -> Vec<(String, Recorded)> {
    let shown = |(alert, says): &(&str, Says)| {
        let log = match says {
            Says::Log(file) | Says::Ends(file) => recorded(file),
            Says::Answer(..) => EngineLog::default(),
        };
        let [before, after] = scrapes(*says, log).map(|text| Scrape::of(&text));
        let mut recorded = Recorded::of(alert, &before, Some(&after), false);
        // No test of the real program took these.
        recorded.test.clear();
        ((*alert).to_owned(), recorded)
    };
    ALERTS.iter().map(shown).collect()
}
