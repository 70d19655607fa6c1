//! The world of the simulation.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::{Action, Finding, Verdict};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::{Policy, RestartBy};
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::decide::restart::HANDOVER_AFTER;
use sql_edge_supervisor::decide::time::Time;

use crate::bench::*;
use crate::invariants::Invariants;

/// How the kubelet of this world asks for liveness.
const PERIOD: Duration = Duration::from_secs(5);
/// Pace of the observers.
const PING: Duration = Duration::from_secs(2);
/// Decisions that a trace shows.
const TRACE: usize = 60;

/// SplitMix64: small, seeded, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// What the engine of the world does. The truth, which the supervisor only sees through observations.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Truth {
    /// No process; the runtime starts one at this moment.
    Down(Time),
    /// It starts until this moment, and works hard at it.
    Starting(Time),
    /// The same, but only its errorlog shows that it advances.
    StartingQuietly(Time),
    /// It starts for ever and does nothing.
    Stuck,
    /// `master` recovers until this moment, advancing.
    Recovering(Time),
    /// It serves, and the recovery of `master` stands still for ever.
    RecoveryStuck,
    Healthy,
    /// It answers nobody but works, until this moment.
    Busy(Time),
    /// It answers the administrator only, until this moment.
    AdministratorsOnly(Time),
    /// A dump stops it until this moment.
    Dumping(Time),
    /// A core grows and nothing else happens, until this moment.
    WritingCore(Time),
    /// It answers nobody and does nothing, for ever.
    Hung,
    /// It works, but its port is closed, for ever.
    ListenerLost,
    /// Dead and not reaped.
    Zombie,
    /// It refuses logins by name.
    WrongPassword(Time),
    /// It shuts down until this moment: the listener is closed, and the checkpoint goes on.
    Stopping(Time),
}

/// Why a run of the supervisor can't ask the engine, whatever the engine does. Each is the supervisor's own
/// want, or another peer's answer.
const CANNOT_ASK: [fn() -> ContactError; 9] = [
    || ContactError::Credentials("no such file".to_owned()),
    || ContactError::Tls("the certificate is not trusted".to_owned()),
    || ContactError::Refused,
    || ContactError::Closed,
    || ContactError::Unreachable("no route".to_owned()),
    || ContactError::Protocol("HTTP".to_owned()),
    || ContactError::TimedOut(AttemptStage::Connect),
    || ContactError::TimedOut(AttemptStage::Prelogin),
    || server(18456),
];

/// What the supervisor has beside its questions, in one world.
#[derive(Clone, Copy, Debug)]
struct Sees {
    /// The sockets on which the engine listens.
    listeners: bool,
    /// The errorlog.
    log: bool,
}

impl Truth {
    /// Whether the engine's processes listen for clients.
    fn listens(self) -> bool {
        !matches!(
            self,
            Self::Down(_)
                | Self::Starting(_)
                | Self::StartingQuietly(_)
                | Self::Stuck
                | Self::ListenerLost
                | Self::Stopping(_)
                | Self::Zombie
        )
    }

    /// Whether a restart helps, and after which time at the latest it has to be asked for.
    fn restart_within(self, policy: &Policy) -> Option<Duration> {
        let looks = PING * 3;
        Some(match self {
            Self::Hung => policy.unresponsive_after + looks,
            Self::ListenerLost => policy.listener_lost_after + looks,
            Self::Zombie => policy.zombie_after + looks,
            // the window has to be without the last progress before
            Self::Stuck | Self::RecoveryStuck => policy.startup_stalled_after * 2,
            _ => return None,
        })
    }

    fn until(self) -> Option<Time> {
        match self {
            Self::Down(until)
            | Self::Starting(until)
            | Self::StartingQuietly(until)
            | Self::Recovering(until)
            | Self::Busy(until)
            | Self::AdministratorsOnly(until)
            | Self::Dumping(until)
            | Self::WritingCore(until)
            | Self::WrongPassword(until)
            | Self::Stopping(until) => Some(until),
            _ => None,
        }
    }
}

/// What happened in a world.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    by_kubelet: u64,
    by_supervisor: u64,
    handed_over: u64,
    supervisor_restarts: u64,
    budgets_held: u64,
    failed_starts: u64,
    stops: u64,
    pauses: u64,
    /// Steps in which an engine that is well could not be asked.
    unasked: u64,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.by_kubelet += other.by_kubelet;
        self.by_supervisor += other.by_supervisor;
        self.handed_over += other.handed_over;
        self.supervisor_restarts += other.supervisor_restarts;
        self.budgets_held += other.budgets_held;
        self.failed_starts += other.failed_starts;
        self.stops += other.stops;
        self.pauses += other.pauses;
        self.unasked += other.unasked;
    }

    pub fn all_happened(&self) -> bool {
        [
            self.by_kubelet,
            self.by_supervisor,
            self.handed_over,
            self.supervisor_restarts,
            self.budgets_held,
            self.failed_starts,
            self.stops,
            self.pauses,
            self.unasked,
        ]
        .iter()
        .all(|count| *count > 0)
    }
}

/// Moments are of the world's own clock, which goes on when the supervisor is started anew.
pub struct World {
    pub counts: Counts,
    /// It keeps a trace.
    pub watched: bool,
    trace: Vec<String>,
    random: Random,
    bench: Bench,
    invariants: Invariants,
    /// The world's time at which the present supervisor started.
    started: Time,
    truth: Truth,
    since: Time,
    generation: u64,
    cpu: Duration,
    percent: f64,
    log_bytes: u64,
    core_bytes: Option<u64>,
    stalled_until: Option<Time>,
    /// Since when nothing but the engine itself has kept a restart from being asked for.
    undisturbed: Time,
    /// The processes can't be seen.
    blind: bool,
    sees: Sees,
    /// Which of [`CANNOT_ASK`] meets the present run of the supervisor, if one does.
    cannot_ask: Option<usize>,
    /// This process has answered a query: ever, and in the present run of the supervisor.
    proven: bool,
    answered_now: bool,
    /// The engine has said, in an answer, that it stops.
    said_stop: bool,
    /// Until when nothing is asked, because somebody said `pause`.
    paused_until: Option<Time>,
    /// It starts fast, and soon falls ill again.
    sickly: bool,
    /// Since when liveness has failed, as the kubelet sees it.
    failing: Option<Time>,
    /// When the supervisor's signals take effect: none where the process can't be ended.
    dies_at: Option<Option<Time>>,
}

/// Two runs of the supervisor in three can ask.
fn draw_cannot_ask(random: &mut Random) -> Option<usize> {
    let cannot = random.one_in(3);
    let how = random.below(CANNOT_ASK.len() as u64) as usize;
    cannot.then_some(how)
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let policy = Policy {
            restart_by: match random.one_in(2) {
                true => RestartBy::Kubelet,
                false => RestartBy::Supervisor,
            },
            // where it is not tight, each hang has to be ended
            restart_budget: if random.one_in(2) { 3 } else { u32::MAX },
            ..Policy::default()
        };
        let blind = random.one_in(10);
        let sickly = random.one_in(8);
        let sees = Sees {
            listeners: !blind && random.one_in(2),
            log: random.one_in(2),
        };
        let cannot_ask = draw_cannot_ask(&mut random);
        let mut bench = Bench::new(policy);
        bench.observers_go_on = false;
        bench.nobody_watches = blind;
        bench.see(Observation::Process(ProcessReport::NotFound));
        bench.see(volume(healthy_volume()));
        Self {
            counts: Counts::default(),
            watched: false,
            trace: Vec::new(),
            random,
            bench,
            invariants: Invariants::default(),
            started: Time::ZERO,
            truth: Truth::Down(Time::from_start(seconds(3))),
            since: Time::ZERO,
            generation: 1,
            cpu: Duration::ZERO,
            percent: 0.0,
            log_bytes: 100,
            core_bytes: None,
            stalled_until: None,
            undisturbed: Time::ZERO,
            blind,
            sees,
            cannot_ask,
            proven: false,
            answered_now: false,
            said_stop: false,
            paused_until: None,
            sickly,
            failing: None,
            dies_at: None,
        }
    }

    fn now(&self) -> Time {
        self.started.plus(self.bench.now.elapsed())
    }

    fn soon(&mut self, most: u64) -> Time {
        let span = seconds(1 + self.random.below(most));
        self.now().plus(span)
    }

    fn become_(&mut self, truth: Truth) {
        self.note(|world| format!("{:?} -> {truth:?}", world.truth));
        self.truth = truth;
        self.since = self.now();
        self.undisturbed = self.undisturbed.max(self.since);
    }

    fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.watched {
            let line = format!(
                "{:>8.1} s  {}",
                self.now().elapsed().as_secs_f64(),
                text(self)
            );
            self.trace.push(line);
        }
    }

    pub fn print_trace(&self) {
        let policy = &self.bench.policy;
        println!(
            "restart by {:?}, budget {}, blind {}, {:?}, cannot ask: {:?}",
            policy.restart_by, policy.restart_budget, self.blind, self.sees, self.cannot_ask
        );
        for line in self.trace.iter().rev().take(TRACE).rev() {
            println!("{line}");
        }
        println!("the last decision: {:#?}", self.bench.decision);
    }

    /// One step: time passes, the world moves, the observers look, the kubelet asks.
    pub fn step(&mut self) {
        let before = self.bench.changes.len();
        let span = Duration::from_millis(200 + self.random.below(1800));
        self.bench.pass(span);
        self.advance();
        self.observe(span);
        self.supervisor();
        self.kubelet();
        self.disturb();
        for at in before..self.bench.changes.len() {
            self.note(|world| {
                let decision = &world.bench.changes[at];
                let codes: Vec<_> = decision.findings.iter().map(|f| f.reason.code()).collect();
                format!("{:?} {codes:?}", decision.answers())
            });
        }
        self.invariants.check(&self.bench);
        self.nothing_is_missed();
    }

    fn advance(&mut self) {
        let now = self.now();
        if self.stalled_until.is_some_and(|until| now >= until) {
            self.stalled_until = None;
            self.undisturbed = now;
            self.bench.see(volume(self.volume()));
        }
        if self.truth == Truth::Healthy {
            self.fault();
        }
        if self.truth.until().is_none_or(|until| now < until) {
            return;
        }
        self.core_bytes = None;
        match self.truth {
            Truth::Down(_) => self.start(),
            Truth::Stopping(_) => self.die(ExitStatus::Code(0), 60),
            Truth::Starting(_) | Truth::StartingQuietly(_) => match self.random.below(12) {
                0..=3 => {
                    self.percent = 0.0;
                    let until = self.soon(1200);
                    self.become_(Truth::Recovering(until));
                }
                4 => self.fail_to_start(),
                _ => self.become_(Truth::Healthy),
            },
            _ => self.become_(Truth::Healthy),
        }
    }

    fn start(&mut self) {
        self.generation += 1;
        self.proven = false;
        self.answered_now = false;
        self.said_stop = false;
        self.cpu = Duration::ZERO;
        self.dies_at = None;
        self.log_bytes += 500;
        let truth = match self.random.below(12) {
            0 => Truth::Stuck,
            1..=3 if self.sees.log => Truth::StartingQuietly(self.soon(3000)),
            _ => Truth::Starting(self.soon(if self.sickly { 5 } else { 900 })),
        };
        self.become_(truth);
    }

    fn fail_to_start(&mut self) {
        self.counts.failed_starts += 1;
        let mut check = self.volume();
        let line = "Error: 17826, Severity: 18, State: 3.";
        check.errorlog = Some(wrote(self.log_bytes, &[line]));
        self.bench.see(volume(check));
        self.die(ExitStatus::Code(1), 300);
        self.bench.see(volume(self.volume()));
    }

    fn fault(&mut self) {
        let drawn = match self.sickly && self.random.one_in(20) {
            true => [0, 9, 10][self.random.below(3) as usize],
            false => self.random.below(260),
        };
        let truth = match drawn {
            0 => Truth::Hung,
            1 => Truth::Busy(self.soon(600)),
            2 => Truth::Dumping(self.soon(600)),
            3 => Truth::WrongPassword(self.soon(3600)),
            4 => return self.die(ExitStatus::Signal(9), 12),
            5 if self.stalled_until.is_none() => {
                self.stalled_until = Some(self.soon(300));
                self.bench.see(volume_began());
                return;
            }
            6 => {
                self.bench.see(Observation::Stall(seconds(30)));
                return;
            }
            7 => Truth::AdministratorsOnly(self.soon(600)),
            8 => {
                self.core_bytes = Some(0);
                Truth::WritingCore(self.soon(600))
            }
            9 => Truth::ListenerLost,
            10 => Truth::Zombie,
            11 => {
                self.percent = 30.0;
                Truth::RecoveryStuck
            }
            // A stop of somebody else's making shows in the log, or in an answer.
            12..=14 if self.sees.log || self.answers_now() => {
                self.counts.stops += 1;
                let most = [20, 240, 1500][self.random.below(3) as usize];
                Truth::Stopping(self.soon(most))
            }
            15 => {
                self.counts.pauses += 1;
                let until = self.bench.now.plus(seconds(1 + self.random.below(1800)));
                self.paused_until = Some(until);
                let word = OperatorCommand::MaintenanceUntil(until);
                self.bench.see(Observation::Operator(word));
                return;
            }
            16 if self.paused_until.is_some() => {
                self.paused_until = None;
                self.bench
                    .see(Observation::Operator(OperatorCommand::Resume));
                return;
            }
            _ => return,
        };
        self.become_(truth);
    }

    /// Whether an answer of the engine's reaches the supervisor now.
    fn answers_now(&self) -> bool {
        let paused = self
            .paused_until
            .is_some_and(|until| self.bench.now < until);
        self.cannot_ask.is_none() && !paused
    }

    /// The engine ends, and the runtime starts it anew within so many seconds.
    fn die(&mut self, status: ExitStatus, most: u64) {
        if !self.blind {
            let parent = process(self.generation, self.cpu).parent;
            self.bench
                .see(Observation::Process(ProcessReport::Exited(ProcessExit {
                    process: parent,
                    role: ProcessRole::Parent,
                    status: Some(status),
                    oom_killed: false,
                })));
        }
        let until = self.soon(most);
        self.become_(Truth::Down(until));
        self.failing = None;
        self.dies_at = None;
    }

    fn volume(&self) -> VolumeCheck {
        let mut check = healthy_volume();
        check.errorlog = self.sees.log.then(|| self.log());
        check.dumps = Some(Dumps {
            count: u32::from(self.core_bytes.is_some()),
            bytes: self.core_bytes.unwrap_or(0),
            writing_bytes: self.core_bytes,
        });
        check
    }

    /// What the engine has written of its start and its stop.
    fn log(&self) -> EngineLog {
        let starts = !self.truth.listens() && !matches!(self.truth, Truth::Stopping(_));
        let starts = starts && !matches!(self.truth, Truth::ListenerLost | Truth::Zombie);
        EngineLog {
            start: LoggedStart {
                begun: true,
                ready: !starts,
                complete: !starts,
                ..LoggedStart::default()
            },
            stop: matches!(self.truth, Truth::Stopping(_)).then_some(LoggedStop::StopRequest),
            ..log(self.log_bytes)
        }
    }

    fn observe(&mut self, span: Duration) {
        if let Truth::Down(_) = self.truth {
            let report = ProcessReport::NotFound;
            if self.random.one_in(4) {
                self.bench.see(Observation::Process(report));
            }
            return;
        }
        self.observe_process(span);
        self.observe_volume();
        self.observe_listeners();
        if self
            .paused_until
            .is_some_and(|until| self.bench.now < until)
        {
            return;
        }
        self.paused_until = None;
        if self.cannot_ask.is_none() {
            self.observe_databases();
        } else if self.truth == Truth::Healthy {
            self.counts.unasked += 1;
        }
        let result = self.result();
        // An attempt is reported when it ends; one that got no answer began its deadline earlier.
        let started = match result {
            TIMED_OUT => {
                let since = self.now().since(self.since).min(PING);
                Time::from_start(self.bench.now.elapsed().saturating_sub(since))
            }
            _ => self.bench.now,
        };
        if let Truth::AdministratorsOnly(_) = self.truth
            && matches!(self.cannot_ask, None | Some(1 | 8))
        {
            // An error is an answer too; it comes from the engine's own threads.
            self.bench.see(Observation::Dac(answered(self.bench.now)));
        }
        self.bench
            .see(Observation::Ping(Attempt { started, result }));
    }

    fn observe_process(&mut self, span: Duration) {
        if self.blind {
            self.bench
                .see(Observation::Process(ProcessReport::NotFound));
            return;
        }
        let works = matches!(
            self.truth,
            Truth::Starting(_) | Truth::Recovering(_) | Truth::Busy(_) | Truth::ListenerLost
        );
        self.cpu += span.mul_f64(if works { 0.7 } else { 0.01 });
        let mut seen = process(self.generation, self.cpu);
        match self.truth {
            Truth::Dumping(_) => seen.state = RunState::Traced,
            Truth::Zombie => seen.state = RunState::Zombie,
            _ => {}
        }
        self.bench
            .see(Observation::Process(ProcessReport::Running(seen)));
    }

    fn observe_volume(&mut self) {
        if self.stalled_until.is_some() {
            return;
        }
        match self.truth {
            Truth::StartingQuietly(_) => self.log_bytes += self.random.below(200),
            Truth::WritingCore(_) => {
                self.core_bytes = self.core_bytes.map(|bytes| bytes + 1_000_000);
            }
            _ => {}
        }
        self.bench.see(volume(self.volume()));
    }

    fn observe_databases(&mut self) {
        match self.truth {
            Truth::Recovering(_) => {
                self.percent += 0.01;
                self.bench.see(recovering("master", self.percent));
            }
            Truth::RecoveryStuck => {
                self.bench.see(recovering("master", self.percent));
            }
            Truth::Healthy => {
                self.bench
                    .see(databases(&[("master", DatabaseState::Online)]));
            }
            _ => {}
        }
    }

    /// Where the engine listens, and the address that is asked: its own, or another one.
    fn observe_listeners(&mut self) {
        if !self.sees.listeners {
            return;
        }
        let address = match self.cannot_ask {
            // a password, a certificate or a login is wanting at the right address
            None | Some(0 | 1 | 8) => "0.0.0.0:1433",
            Some(_) => "0.0.0.0:1500",
        };
        let addresses: &[&str] = if self.truth.listens() {
            &[address]
        } else {
            &[]
        };
        self.bench.see(listening(addresses));
    }

    /// What comes of a question.
    fn result(&mut self) -> AttemptResult {
        if let Some(how) = self.cannot_ask {
            let wants_the_engine = matches!(how, 1 | 8);
            if !wants_the_engine || self.truth == Truth::Healthy {
                return AttemptResult::Failed(CANNOT_ASK[how]());
            }
        }
        if let Truth::Stopping(_) = self.truth
            && !std::mem::replace(&mut self.said_stop, true)
            && self.cannot_ask.is_none()
        {
            return AttemptResult::Failed(server(6005));
        }
        let result = self.answer();
        if matches!(result, AttemptResult::Answered { .. }) {
            self.proven = true;
            self.answered_now = true;
        }
        result
    }

    fn answer(&self) -> AttemptResult {
        match self.truth {
            Truth::Starting(_)
            | Truth::StartingQuietly(_)
            | Truth::Stuck
            | Truth::ListenerLost
            | Truth::Stopping(_)
            | Truth::Zombie => AttemptResult::Failed(ContactError::Refused),
            Truth::Healthy | Truth::Recovering(_) | Truth::RecoveryStuck => answered_result(),
            Truth::WrongPassword(_) => AttemptResult::Failed(server(18456)),
            _ => TIMED_OUT,
        }
    }

    /// The supervisor's own restart: it takes effect after the grace, or never.
    fn supervisor(&mut self) {
        let Some(Action::Restart(restart)) = self.bench.decision.action.clone() else {
            self.dies_at = None;
            return;
        };
        self.restart_is_right();
        let now = self.now();
        assert_eq!(
            restart.parent,
            process(self.generation, self.cpu).parent,
            "another process than the one that is there"
        );
        if self.dies_at.is_none() {
            let step = match self.random.one_in(8) {
                true => ActionStep::Failed("EPERM".to_owned()),
                false => ActionStep::Terminated,
            };
            let failed = matches!(step, ActionStep::Failed(_));
            let unkillable = failed || self.random.one_in(16);
            self.dies_at = Some((!unkillable).then(|| now.plus(restart.grace)));
            self.bench.see(Observation::Action(ActionReport {
                process: restart.parent,
                step,
            }));
        }
        if self.dies_at.flatten().is_some_and(|at| now >= at) {
            self.counts.by_supervisor += 1;
            self.die(ExitStatus::Signal(9), 12);
        }
    }

    fn kubelet(&mut self) {
        if self.bench.live() == Verdict::Pass {
            self.failing = None;
            return;
        }
        self.restart_is_right();
        let now = self.now();
        let failing = *self.failing.get_or_insert(now);
        if now.since(failing) < PERIOD {
            return;
        }
        if let Truth::Down(_) = self.truth {
            return; // the container does not run: nobody asks
        }
        match self.bench.policy.restart_by {
            RestartBy::Kubelet => self.counts.by_kubelet += 1,
            RestartBy::Supervisor => self.counts.handed_over += 1,
        }
        self.die(ExitStatus::Signal(9), 12);
    }

    fn restart_is_right(&self) {
        let helps = self.truth.restart_within(&self.bench.policy).is_some();
        let down = matches!(self.truth, Truth::Down(_));
        assert!(
            helps || down,
            "a restart of an engine that is {:?}: {:?}",
            self.truth,
            self.bench.decision
        );
    }

    /// The supervisor is restarted beside whatever the engine does.
    fn disturb(&mut self) {
        if !self.random.one_in(2000) {
            return;
        }
        self.note(|_| "the supervisor is restarted".to_owned());
        self.counts.supervisor_restarts += 1;
        let away = seconds(1 + self.random.below(30));
        let started = self.now().plus(away);
        self.bench = self.bench.restart_supervisor(away, true);
        self.bench.observers_go_on = false;
        self.bench.nobody_watches = self.blind;
        match self.truth {
            Truth::Down(_) => {
                self.bench
                    .see(Observation::Process(ProcessReport::NotFound));
            }
            _ => self.observe_process(Duration::ZERO),
        }
        self.paused_until = self.bench.snapshot.maintenance_until;
        self.cannot_ask = draw_cannot_ask(&mut self.random);
        self.answered_now = false;
        self.started = started;
        self.undisturbed = started;
        self.invariants = Invariants::default();
        self.bench.see(volume(self.volume()));
        if self.stalled_until.is_some() {
            self.bench.see(volume_began());
        }
        self.failing = None;
    }

    /// Whether somebody sees what would tell this state from that of an engine that is well.
    fn can_be_known(&self) -> bool {
        match self.truth {
            Truth::Zombie => !self.blind,
            Truth::Stuck => self.sees.listeners || self.sees.log,
            Truth::RecoveryStuck => self.cannot_ask.is_none(),
            Truth::Hung => self.cannot_ask.is_none() && self.answered_now,
            Truth::ListenerLost => self.cannot_ask.is_none() && self.answered_now,
            _ => true,
        }
    }

    /// What a restart helps is asked to be ended within its threshold, plus what the observers need
    /// to see it; unless it is held for a reason that is shown.
    fn nothing_is_missed(&mut self) {
        let Some(limit) = self.truth.restart_within(&self.bench.policy) else {
            return;
        };
        if !self.can_be_known() {
            // It is not for the supervisor to find: the world ends it.
            self.undisturbed = self.now();
            if self.now().since(self.since) > limit * 3 {
                self.die(ExitStatus::Signal(9), 12);
            }
            return;
        }
        if self.bench.has(Reason::RestartBudgetExhausted) {
            self.counts.budgets_held += 1;
            self.bench
                .see(Observation::Operator(OperatorCommand::Release));
            return;
        }
        let excused = |finding: &Finding| finding.reason.info().excuses;
        if self.bench.decision.findings.iter().any(excused) {
            self.undisturbed = self.now();
        }
        if self.stalled_until.is_some() || self.blind {
            // A hang behind a stalled volume can't be helped; one that can't be seen is not found.
            self.undisturbed = self.now();
            if self.blind {
                self.die(ExitStatus::Signal(9), 12);
            }
            return;
        }
        // Where the supervisor's own try had no effect the kubelet's comes after it.
        let limit = limit + HANDOVER_AFTER + self.bench.policy.restart_grace + PERIOD;
        let lasted = self.now().since(self.since.max(self.undisturbed));
        assert!(
            lasted < limit,
            "{:?} for {lasted:?} and still there: {:?}",
            self.truth,
            self.bench.decision
        );
    }
}
