//! A test bench in simulated time: it feeds observations to the engine, and asks it again at just
//! the moments at which it asked to be asked again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sql_edge_supervisor::decide::decision::{Decision, Phase, Verdict};
use sql_edge_supervisor::decide::engine::{State, decide};
use sql_edge_supervisor::decide::identity::{ExpectedId, Identity, IdentityFacts, IdentityFile};
use sql_edge_supervisor::decide::lease::{HolderIdentity, LeaseMode, LeaseState};
use sql_edge_supervisor::decide::memory::Memory;
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::{Policy, RestartBy};
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::decide::snapshot::Snapshot;
use sql_edge_supervisor::decide::time::Time;
use sql_edge_supervisor::decide::volumes::Volume;

pub const SECOND: Duration = Duration::from_secs(1);

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The default policy, with the kubelet restarting: what is due shows in liveness.
pub fn kubelet() -> Policy {
    Policy {
        restart_by: RestartBy::Kubelet,
        ..Policy::default()
    }
}

pub struct Bench {
    /// What an earlier run knew of the engine: it had answered.
    pub remembers_an_answer: bool,
    /// The lease that is held is renewed as time passes.
    pub renews: bool,
    /// Nobody has looked at the processes so far. A test has to say so; else the first sample has to come
    /// from it. From then on each second that passes has one, the one before again where the test feeds none.
    pub nobody_watches: bool,
    /// The other observers go on as well: listeners, control group and databases are reported again, as
    /// they were seen last.
    pub observers_go_on: bool,
    /// When a sample of the processes was last fed.
    sampled: Time,
    /// When the other observers last went on.
    went_on: Time,
    pub policy: Policy,
    pub now: Time,
    pub snapshot: Snapshot,
    state: Option<State>,
    pub decision: Decision,
    /// Every decision in which an answer, the action or the set of reasons differs from the one before.
    pub changes: Vec<Decision>,
}

/// A snapshot in which the lease is held, if there is one.
fn with_lease(policy: &Policy) -> Snapshot {
    let mut snapshot = Snapshot::default();
    if policy.lease == LeaseMode::Advisory {
        snapshot.apply(Observed {
            at: Time::ZERO,
            value: held(1, 1),
        });
    }
    snapshot
}

/// The lease, just renewed.
pub fn held(epoch: u64, first: u64) -> Observation {
    lease(LeaseState::Held {
        epoch,
        first,
        age: Duration::ZERO,
    })
}

pub fn lease(state: LeaseState) -> Observation {
    Observation::Lease(LeaseReport {
        state,
        failure: None,
        run_until: None,
        left_out: Duration::ZERO,
    })
}

/// The same report on the lease, made by the agent of the SQL container.
pub fn by_agent(report: Observation) -> Observation {
    match report {
        Observation::Lease(report) => Observation::AgentLease(report),
        other => other,
    }
}

/// Somebody else's claim; whose, where that can be told.
pub fn elsewhere(holder: Option<&str>, own_pod: bool) -> LeaseState {
    LeaseState::Elsewhere {
        epoch: 2,
        holder: holder.map(|id| HolderIdentity {
            id: id.to_owned(),
            ..HolderIdentity::default()
        }),
        own_pod,
        unchanged: Duration::ZERO,
    }
}

impl Bench {
    pub fn new(policy: Policy) -> Self {
        let snapshot = with_lease(&policy);
        let (state, decision) = decide(&policy, State::new(&policy), &snapshot, Time::ZERO);
        Self {
            remembers_an_answer: false,
            renews: true,
            nobody_watches: false,
            observers_go_on: true,
            sampled: Time::ZERO,
            went_on: Time::ZERO,
            policy,
            now: Time::ZERO,
            snapshot,
            state: Some(state),
            changes: vec![decision.clone()],
            decision,
        }
    }

    /// A bench of a run that another one went before.
    pub fn recall(policy: Policy, memory: Memory) -> Self {
        let mut snapshot = with_lease(&policy);
        if let Some(until) = memory.maintenance_until {
            snapshot.apply(Observed {
                at: Time::ZERO,
                value: Observation::Operator(OperatorCommand::MaintenanceUntil(until)),
            });
        }
        if memory.linked {
            snapshot.apply(Observed {
                at: Time::ZERO,
                value: Observation::Link(LinkReport::Lost),
            });
        }
        let remembers_an_answer = memory.engine.is_some_and(|engine| engine.proven);
        let state = State::recall(&policy, memory);
        let (state, decision) = decide(&policy, state, &snapshot, Time::ZERO);
        Self {
            remembers_an_answer,
            renews: true,
            nobody_watches: false,
            observers_go_on: true,
            sampled: Time::ZERO,
            went_on: Time::ZERO,
            policy,
            now: Time::ZERO,
            snapshot,
            state: Some(state),
            changes: vec![decision.clone()],
            decision,
        }
    }

    /// What a later run has to know.
    pub fn bench_memory(&self) -> Memory {
        let state = self.state.as_ref().expect("a step always leaves a state");
        state.memory(&self.snapshot)
    }

    /// The bench of a run that starts `passed` after this one ended.
    pub fn restart_supervisor(&mut self, passed: Duration, same_boot: bool) -> Self {
        let memory = self
            .bench_memory()
            .carried_over(self.now, passed, same_boot);
        Self::recall(self.policy.clone(), memory)
    }

    /// A bench whose engine (pid 100 under 99) has started and is ready.
    pub fn ready(policy: Policy) -> Self {
        let mut bench = Self::new(policy);
        bench.see(volume(healthy_volume()));
        bench.see(running(1, Duration::ZERO));
        let mut online = vec![("master", DatabaseState::Online)];
        let required = bench.policy.required_databases.clone();
        online.extend(
            required
                .iter()
                .map(|name| (name.as_str(), DatabaseState::Online)),
        );
        bench.see(databases(&online));
        bench.ping_ok();
        bench.login_ok();
        assert_eq!(
            bench.decision.ready.verdict,
            Verdict::Pass,
            "{:?}",
            bench.decision.findings
        );
        assert_eq!(bench.decision.phase, Phase::Running);
        bench
    }

    pub fn see(&mut self, mut observation: Observation) -> &Decision {
        if let Observation::Process(_) = observation {
            self.sampled = self.now;
        }
        if let Observation::Lease(report) = &mut observation {
            // It is made now, after every stall of which a test has spoken so far.
            report.left_out = report.left_out.max(self.snapshot.left_out);
        }
        self.snapshot.apply(Observed {
            at: self.now,
            value: observation,
        });
        self.step();
        &self.decision
    }

    fn step(&mut self) {
        let state = self.state.take().expect("a step always leaves a state");
        let (state, decision) = decide(&self.policy, state, &self.snapshot, self.now);
        let key = |d: &Decision| {
            let reasons: Vec<_> = d.findings.iter().map(|f| f.reason).collect();
            (d.answers(), d.action.clone(), reasons)
        };
        if key(&decision) != key(&self.decision) {
            self.changes.push(decision.clone());
        }
        self.state = Some(state);
        self.decision = decision;
    }

    /// Lets time pass, deciding whenever the engine asked for it. The observers look each second.
    pub fn pass(&mut self, span: Duration) -> &Decision {
        let end = self.now.plus(span);
        loop {
            if self.now.since(self.sampled) >= SECOND {
                self.look();
            }
            if self.observers_go_on && self.now.since(self.went_on) >= SECOND {
                self.go_on();
            }
            let next = self.now.plus(SECOND).min(end);
            self.pass_unwatched(next);
            if next == end {
                return &self.decision;
            }
        }
    }

    /// The processes are as they were seen last.
    fn look(&mut self) {
        let report = match self.snapshot.process.as_ref().map(|seen| &seen.value) {
            Some(ProcessReport::Exited(_)) => Some(ProcessReport::NotFound),
            report => report.cloned(),
        };
        match report {
            Some(report) => {
                self.see(Observation::Process(report));
            }
            None => self.sampled = self.now,
        }
    }

    /// The other observers report what they reported last.
    fn go_on(&mut self) {
        self.went_on = self.now;
        let snapshot = &self.snapshot;
        let listeners = snapshot.listeners.clone();
        let cgroup = snapshot.cgroup.clone();
        let databases = snapshot.databases.clone();
        let again = [
            listeners.map(|seen| Observation::Listeners(seen.value)),
            cgroup.map(|seen| Observation::Cgroup(seen.value)),
            databases.map(|seen| Observation::Databases(DatabasesReport::Listed(seen.value))),
        ];
        let at = self.now;
        for value in again.into_iter().flatten() {
            // Not through `answers`: a list that is read again is no new answer of this test's.
            let answers = self.snapshot.answers.clone();
            self.snapshot.apply(Observed { at, value });
            self.snapshot.answers = answers;
        }
    }

    fn pass_unwatched(&mut self, end: Time) -> &Decision {
        let seen = self.snapshot.process.is_some() && end.since(self.sampled) <= SECOND * 2;
        assert!(
            seen || self.nobody_watches || self.snapshot.is_blind(),
            "time passes and nobody has looked at the processes: feed a sample, or say that nobody sees them"
        );
        while let Some(at) = self.decision.recheck_at.filter(|at| *at < end) {
            assert!(at > self.now, "a recheck that lies in the past never ends");
            self.now = at;
            self.renew();
            self.step();
        }
        self.now = end;
        self.renew();
        self.step();
        &self.decision
    }

    fn renew(&mut self) {
        let state = self.snapshot.lease.as_ref().map(|seen| &seen.value.state);
        if let Some(&LeaseState::Held { epoch, first, .. }) = state.filter(|_| self.renews) {
            let at = self.now;
            let mut value = held(epoch, first);
            if let Observation::Lease(report) = &mut value {
                report.left_out = self.snapshot.left_out;
            }
            self.snapshot.apply(Observed { at, value });
        }
    }

    pub fn ping_ok(&mut self) -> &Decision {
        self.see(Observation::Ping(answered(self.now)))
    }

    pub fn login_ok(&mut self) -> &Decision {
        self.see(Observation::Login(answered(self.now)))
    }

    pub fn ping_fails(&mut self, error: ContactError) -> &Decision {
        let started = self.now;
        self.see(Observation::Ping(failed(started, error)))
    }

    pub fn login_fails(&mut self, error: ContactError) -> &Decision {
        let started = self.now;
        self.see(Observation::Login(failed(started, error)))
    }

    /// Each second for `span`: the process' counters (with `cpu` used per second) and a ping that
    /// ends as `ping` says.
    pub fn live_for(&mut self, span: Duration, cpu: Duration, ping: &AttemptResult) {
        for _ in 0..span.as_secs() {
            let started = self.now;
            self.pass(SECOND);
            let used = self.cpu() + cpu;
            self.see(running(1, used));
            self.see(Observation::Ping(Attempt {
                started,
                result: ping.clone(),
            }));
        }
    }

    /// Each second for `span`: the process of `generation`, idle, and a ping that gets no answer.
    pub fn hang_for(&mut self, span: Duration, generation: u64) {
        for _ in 0..span.as_secs() {
            let started = self.now;
            self.pass(SECOND);
            self.see(running(generation, Duration::ZERO));
            self.see(Observation::Ping(Attempt {
                started,
                result: TIMED_OUT,
            }));
        }
    }

    fn cpu(&self) -> Duration {
        let running = self.snapshot.running();
        running.and_then(|process| process.cpu).unwrap_or_default()
    }

    pub fn has(&self, reason: Reason) -> bool {
        self.decision.finding(reason).is_some()
    }

    /// Whether nothing was done to the engine, nor asked of the kubelet, at any moment so far.
    pub fn left_alone(&self) -> bool {
        let alone = |decision: &Decision| {
            decision.action.is_none() && decision.live.verdict == Verdict::Pass
        };
        self.changes.iter().all(alone)
    }

    pub fn live(&self) -> Verdict {
        self.decision.live.verdict
    }

    pub fn is_ready(&self) -> Verdict {
        self.decision.ready.verdict
    }
}

pub trait Answers {
    fn answers(&self) -> [Verdict; 4];
}

impl Answers for Decision {
    fn answers(&self) -> [Verdict; 4] {
        [
            self.startup.verdict,
            self.live.verdict,
            self.ready.verdict,
            self.gate.verdict,
        ]
    }
}

pub const TIMED_OUT: AttemptResult =
    AttemptResult::Failed(ContactError::TimedOut(AttemptStage::Query));

pub fn answered_result() -> AttemptResult {
    AttemptResult::Answered {
        round_trip: Duration::from_millis(1),
    }
}

pub fn answered(started: Time) -> Attempt {
    Attempt {
        started,
        result: answered_result(),
    }
}

pub fn failed(started: Time, error: ContactError) -> Attempt {
    Attempt {
        started,
        result: AttemptResult::Failed(error),
    }
}

pub fn server(number: u32) -> ContactError {
    ContactError::Server(ServerError {
        number,
        state: 1,
        class: 14,
    })
}

/// The address that the supervisor asks in these tests.
pub fn engine_address() -> SocketAddr {
    "127.0.0.1:1433".parse().expect("an address")
}

/// The engine listens on these addresses, and [`engine_address`] is asked.
pub fn listening(addresses: &[&str]) -> Observation {
    let parse = |address: &&str| address.parse().expect("an address");
    Observation::Listeners(ListenersReport {
        listening: Some(addresses.iter().map(parse).collect()),
        configured: Some(engine_address()),
        asked: Some(engine_address()),
    })
}

/// The engine is seen not to listen: its start is under way.
pub fn not_listening() -> Observation {
    listening(&[])
}

/// The process of generation `generation`: parent and engine are told apart from those before.
pub fn process(generation: u64, cpu: Duration) -> RunningProcess {
    let pid = i32::try_from(generation).expect("small") * 100;
    RunningProcess {
        parent: ProcessId {
            pid: pid - 1,
            start_ticks: generation,
        },
        engine: Some(ProcessId {
            pid,
            start_ticks: generation,
        }),
        parent_state: RunState::Sleeping,
        state: RunState::Sleeping,
        dumper: None,
        cpu: Some(cpu),
        io_bytes: None,
        resident_bytes: None,
        threads: None,
        open_fds: None,
        companions: 0,
    }
}

pub fn running(generation: u64, cpu: Duration) -> Observation {
    Observation::Process(ProcessReport::Running(process(generation, cpu)))
}

pub fn exited(status: Option<ExitStatus>) -> Observation {
    exit_of(ProcessRole::Engine, status, false)
}

pub fn exit_of(role: ProcessRole, status: Option<ExitStatus>, oom_killed: bool) -> Observation {
    Observation::Process(ProcessReport::Exited(ProcessExit {
        process: ProcessId {
            pid: 100,
            start_ticks: 1,
        },
        role,
        status,
        oom_killed,
    }))
}

pub fn databases(rows: &[(&str, DatabaseState)]) -> Observation {
    let databases = rows
        .iter()
        .map(|(name, state)| Database {
            name: (*name).to_owned(),
            state: *state,
            read_only: false,
            recovery_percent: None,
            recovery_remaining: None,
        })
        .collect();
    Observation::Databases(DatabasesReport::Listed(DatabaseList {
        databases,
        left_out: 0,
    }))
}

pub fn recovering(name: &str, percent: f64) -> Observation {
    Observation::Databases(DatabasesReport::Listed(DatabaseList {
        databases: vec![Database {
            name: name.to_owned(),
            state: DatabaseState::Recovering,
            read_only: false,
            recovery_percent: Some(percent),
            recovery_remaining: Some(Duration::from_secs(90)),
        }],
        left_out: 0,
    }))
}

/// A change of a healthy check of the volume.
pub type Change = fn(&mut VolumeCheck);

pub fn healthy_volume() -> VolumeCheck {
    VolumeCheck {
        mount: Some(data_mount()),
        engine_mount: Some(EngineMount::Mounted(data_mount())),
        space: Some(Space {
            total_bytes: 8 << 30,
            free_bytes: 4 << 30,
            total_inodes: 1000,
            free_inodes: 900,
        }),
        write: WriteCheck::Written(Duration::from_millis(2)),
        denial: None,
        master_present: Some(true),
        identity: Some(established()),
        errorlog: Some(log(1000)),
        output: None,
        dumps: None,
    }
}

/// The volume `v`, with the instance `i` on it.
pub fn established() -> IdentityFacts {
    IdentityFacts {
        expected: ExpectedId::Any,
        file: IdentityFile::Known(Identity {
            volume_id: "v".to_owned(),
            instance_id: Some("i".to_owned()),
            ..Identity::default()
        }),
        instance_id: Some("i".to_owned()),
        master_present: Some(true),
        empty: Some(false),
    }
}

/// A log of this size that says nothing.
/// What the product's own reader makes of these lines of an errorlog.
pub fn wrote(bytes: u64, lines: &[&str]) -> EngineLog {
    let mut reader = sql_edge_supervisor::errorlog::Reader::default();
    for line in lines {
        reader.line(&format!("2026-11-23 04:51:00.12 spid9s      {line}"));
    }
    reader.log(bytes)
}

/// An errorlog with one error.
pub fn wrote_error(number: u32, text: &str) -> EngineLog {
    let header = format!("Error: {number}, Severity: 16, State: 1.");
    wrote(1000, &[&header, text])
}

pub fn log(bytes: u64) -> EngineLog {
    EngineLog {
        bytes,
        ..EngineLog::default()
    }
}

pub fn data_mount() -> Mount {
    Mount {
        device: "8:16".to_owned(),
        root: "/".to_owned(),
        fs_type: "ext4".to_owned(),
        read_only: false,
    }
}

pub fn volume(check: VolumeCheck) -> Observation {
    of_volume(VolumeEvent::Checked(Box::new(check)))
}

/// A check of the volume begins.
pub fn volume_began() -> Observation {
    of_volume(VolumeEvent::Began)
}

/// What happens to the one volume that everything lies on.
fn of_volume(event: VolumeEvent) -> Observation {
    let data_dir = Path::new("/var/opt/mssql");
    Observation::Volume(VolumeReport {
        volume: Arc::new(Volume::whole(data_dir, data_dir)),
        event,
    })
}

pub fn diagnostics(change: impl FnOnce(&mut Diagnostics)) -> Observation {
    let mut report = Diagnostics {
        system: Some(ComponentState::Clean),
        resource: Some(ComponentState::Clean),
        query_processing: Some(ComponentState::Clean),
        io_subsystem: Some(ComponentState::Clean),
        ..Diagnostics::default()
    };
    change(&mut report);
    Observation::Diagnostics(DiagnosticsReport::Report(report))
}
