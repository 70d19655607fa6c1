//! The snapshot: everything observed so far, as one value, the fold of all observations.

mod contact;
mod files;
mod recovery;
mod renewal;
mod volumes;

use std::time::Duration;

use super::observation::{
    ActionReport, AttemptResult, AttemptStage, Certificates, CgroupReport, ContactError,
    DatabaseList, DatabasesReport, DiagnosticsReport, EngineLog, HostFacts, KernelVersion,
    LeaseReport, LinkReport, ListenersReport, Observation, Observed, OperatorCommand, ProcessExit,
    ProcessId, ProcessReport, ProcessRole, RunningProcess, ServerProperties,
};
use super::time::Time;
use super::volumes::Outside;
pub use contact::{Answers, Contact, DiagnosticsView};
pub use files::DirectoryState;
pub use recovery::Recovered;
pub use renewal::Aged;
pub use volumes::VolumeState;

/// The processes of parent and engine.
type Ids = (ProcessId, Option<ProcessId>);

/// The time within which the exits of engine and parent have one cause.
const SAME_INCIDENT: Duration = Duration::from_secs(5);

/// The last observation of each observer, with the few sums over time that rules need.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The last report on the processes.
    pub process: Option<Observed<ProcessReport>>,
    /// The last exit of a process that was seen, kept when a new process has taken its place.
    pub last_exit: Option<Observed<ProcessExit>>,
    /// The addresses on which the engine listens, and the one at which it is asked.
    pub listeners: Option<Observed<ListenersReport>>,
    /// The moment since which the engine is seen not to listen.
    pub not_listening_since: Option<Time>,
    /// The queries on the standing connection.
    pub ping: Contact,
    /// The fresh connections with login and query.
    pub login: Contact,
    /// The attempts on the dedicated administrator connection.
    pub dac: Contact,
    /// The state of the diagnostics stream.
    pub diagnostics: DiagnosticsView,
    /// The answers of the engine over all contacts.
    pub answers: Answers,
    /// The last list of databases.
    pub databases: Option<Observed<DatabaseList>>,
    /// The error with which the last attempt to list the databases failed, if it did.
    pub databases_error: Option<Observed<ContactError>>,
    /// The directories in which files of databases lie.
    pub directories: Vec<DirectoryState>,
    /// The moment at which these directories were last listed.
    directories_at: Option<Time>,
    /// The volumes, the main one first.
    pub volumes: Vec<VolumeState>,
    /// The directories of the engine that lie on no volume.
    pub outside: Vec<Outside>,
    /// The number of times that the engine was started again in its container.
    pub restarts_in_place: u32,
    /// The errorlog as the agent read it, where it lies on no volume.
    pub agent_log: Option<Observed<EngineLog>>,
    /// The last report on the lease.
    pub lease: Option<Observed<LeaseReport>>,
    /// The age of the last successful renewal of a lease that is held, at the moment of its report. Unlike
    /// a moment alone it takes in the time in which the supervisor did not run.
    pub lease_renewed: Option<Aged>,
    /// All the time for which the supervisor did not run, by the reports on its stalls.
    pub left_out: Duration,
    /// Whether the agent of the SQL container is the lease holder: it and its PID 1 fence, and the age of a
    /// renewal is not judged from here.
    pub lease_by_agent: bool,
    /// The last report on the control group.
    pub cgroup: Option<Observed<CgroupReport>>,
    /// The properties that the engine reports of itself.
    pub server: Option<Observed<ServerProperties>>,
    /// The times until which the certificates are valid.
    pub certificates: Certificates,
    /// The version of the kernel.
    pub kernel: Option<KernelVersion>,
    /// The properties of the node.
    pub host: Option<HostFacts>,
    /// The last report on an action.
    pub action: Option<Observed<ActionReport>>,
    /// The state of the link to `launch`; absent where there was no link so far.
    pub link: Option<Observed<LinkReport>>,
    /// Whether the last report of a `launch` whose link is lost was that there is no engine.
    pub ended_before_loss: bool,
    /// The moment since which somebody has looked and seen no process. Time in which nobody could look does
    /// not count: the container may have waited for the kubelet's back-off, or for the gate.
    pub absent_since: Option<Time>,
    /// The length of the supervisor's last stall, and the moment at which it ended.
    pub stall: Option<Observed<Duration>>,
    /// The moment since which a stop on purpose is under way.
    pub stopping: Option<Time>,
    /// The moment at which a stop was last commanded: of the same stop, unless that one is over at its limit.
    pub stop_commanded: Option<Time>,
    /// The outer process that is to be ended by the last rung of a stop, and its grace.
    pub terminate: Option<(ProcessId, Duration)>,
    /// The last processes that were seen to run.
    watched: Option<Ids>,
    /// The moment since which the processes of [`Self::watched`] have been the running ones.
    watched_since: Time,
    /// The moment until which liveness is held.
    pub maintenance_until: Option<Time>,
    /// The moment at which the restart budget's hold was last released.
    pub released: Option<Time>,
    /// The moment at which the volumes were last accepted as they are.
    pub adopted: Option<Time>,
}

impl Snapshot {
    /// Takes in one observation. The function is total: whatever the order in which observations arrive,
    /// the result is a snapshot; a late one does not make `answers` younger than it is.
    pub fn apply(&mut self, observed: Observed<Observation>) {
        let Observed { at, value } = observed;
        match value {
            Observation::Process(report) => self.apply_process(at, report),
            Observation::Listeners(value) => {
                let since = self.not_listening_since.unwrap_or(at);
                self.not_listening_since = (value.listens() == Some(false)).then_some(since);
                self.listeners = Some(Observed { at, value });
            }
            Observation::Ping(attempt) => {
                self.answers.apply(at, &attempt);
                // That a query on a connection that stands is not answered proves nothing of the listener.
                self.answers.greet(at, &attempt.result, AttemptStage::Login);
                self.ping.apply(at, attempt);
            }
            Observation::Login(attempt) => {
                self.answers.apply(at, &attempt);
                self.answers.greet(at, &attempt.result, AttemptStage::Query);
                self.login.apply(at, attempt);
            }
            Observation::Dac(attempt) => {
                self.answers.apply(at, &attempt);
                self.dac.apply(at, attempt);
            }
            Observation::Diagnostics(report) => self.apply_diagnostics(at, report),
            Observation::Databases(report) => self.apply_databases(at, report),
            Observation::Files(list) => self.apply_files(at, list),
            Observation::Layout(layout) => self.apply_layout(layout),
            Observation::Volume(report) => self.apply_volume(at, report),
            Observation::Cgroup(value) => self.cgroup = Some(Observed { at, value }),
            Observation::Server(value) => self.server = Some(Observed { at, value }),
            Observation::Certificates(value) => self.certificates = value,
            Observation::Kernel(value) => self.kernel = Some(value),
            Observation::Host(value) => self.host = Some(value),
            Observation::Action(value) => self.action = Some(Observed { at, value }),
            Observation::Link(value) => self.apply_link(at, value),
            Observation::Stall(value) => self.apply_stall(at, value),
            Observation::RestartsInPlace(count) => self.restarts_in_place = count,
            Observation::AgentLog(mut value) => {
                value.recognize();
                self.agent_log = Some(Observed { at, value: *value });
            }
            Observation::Lease(value) => self.apply_lease(at, value, false),
            Observation::AgentLease(value) => self.apply_lease(at, value, true),
            Observation::Operator(command) => self.apply_command(at, &command),
        }
    }

    /// Returns the running process, if one is seen.
    #[must_use]
    pub fn running(&self) -> Option<&RunningProcess> {
        match &self.process.as_ref()?.value {
            ProcessReport::Running(process) => Some(process),
            ProcessReport::NotFound | ProcessReport::Exited(_) => None,
        }
    }

    /// Whether nobody can report on the processes, though somebody could before or soon will: that none is
    /// seen does not mean that none is there.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.link.is_some() && self.process.is_none()
    }

    fn running_ids(&self) -> Option<Ids> {
        let process = self.running()?;
        Some((process.parent, process.engine))
    }

    fn apply_process(&mut self, at: Time, report: ProcessReport) {
        match &report {
            ProcessReport::Exited(exit) => {
                self.forget_engine();
                let value = *exit;
                // The parent ends because its engine has: the engine's status is the cause.
                let consequence = value.role == ProcessRole::Parent
                    && self.last_exit.as_ref().is_some_and(|before| {
                        before.value.role == ProcessRole::Engine
                            && at.since(before.at) < SAME_INCIDENT
                    });
                if !consequence {
                    self.last_exit = Some(Observed { at, value });
                }
            }
            ProcessReport::Running(process) => {
                let seen = (process.parent, process.engine);
                let before = self.watched;
                let engine_before = before.filter(|(parent, _)| *parent == seen.0);
                let engine_before = engine_before.and_then(|(_, engine)| engine);
                // A parent that is seen without its engine for once has not become another one.
                self.watched = Some((seen.0, seen.1.or(engine_before)));
                let another = before.is_none_or(|before| is_another(before, seen));
                if another {
                    self.watched_since = at;
                }
                // Before any was seen, nobody but this one can have answered.
                let gone =
                    before.is_some() && self.process.is_some() && self.running_ids().is_none();
                let had_engine = self
                    .running_ids()
                    .map_or(engine_before, |(_, engine)| engine);
                let lost = had_engine.is_some() && seen.1.is_none();
                if gone || lost || (before.is_some() && another) {
                    self.forget_engine();
                }
            }
            ProcessReport::NotFound => {}
        }
        self.absent_since = match report {
            ProcessReport::Running(_) => None,
            ProcessReport::NotFound | ProcessReport::Exited(_) => {
                Some(self.absent_since.unwrap_or(at))
            }
        };
        self.process = Some(Observed { at, value: report });
    }

    /// Takes in a change of the link: whoever watches from now on, what was seen before counts no more.
    fn apply_link(&mut self, at: Time, value: LinkReport) {
        let last = self.process.take().map(|seen| seen.value);
        let ended = matches!(
            last,
            Some(ProcessReport::Exited(_) | ProcessReport::NotFound)
        );
        self.ended_before_loss =
            value == LinkReport::Lost && (ended || (last.is_none() && self.ended_before_loss));
        self.cgroup = None;
        self.agent_log = None;
        if self.lease_by_agent {
            self.lease = None;
        }
        self.absent_since = None;
        if self.link.as_ref().is_none_or(|link| link.value != value) {
            self.link = Some(Observed { at, value });
        }
    }

    /// Forgets the answers and reports of the engine, which hold only for the process that gave them.
    fn forget_engine(&mut self) {
        self.ping = Contact::default();
        self.login = Contact::default();
        self.dac = Contact::default();
        self.diagnostics = DiagnosticsView::default();
        self.answers = Answers::default();
        self.databases = None;
        self.databases_error = None;
        self.listeners = None;
        self.directories.clear();
        self.not_listening_since = None;
    }

    /// Forgets what was left open or refused, because nothing is asked from now on, or everything anew. That
    /// a query was answered stays known.
    fn ask_anew(&mut self) {
        for contact in [&mut self.ping, &mut self.login, &mut self.dac] {
            *contact = Contact {
                last_success: contact.last_success,
                ..Contact::default()
            };
        }
        self.answers.owed_since = None;
        self.diagnostics.count_anew();
    }

    fn apply_diagnostics(&mut self, at: Time, report: DiagnosticsReport) {
        match report {
            DiagnosticsReport::Report(value) => {
                self.answers.answered(at);
                self.diagnostics.apply(at, value);
            }
            DiagnosticsReport::Unavailable(error) => {
                self.answers.answered(at);
                self.diagnostics = DiagnosticsView {
                    unavailable: Some(error),
                    ..DiagnosticsView::default()
                };
            }
            DiagnosticsReport::Failed(attempt) => {
                self.answers.apply(at, &attempt);
                if let AttemptResult::Failed(value) = attempt.result {
                    self.diagnostics.failed = Some(Observed { at, value });
                }
            }
        }
    }

    fn apply_databases(&mut self, at: Time, report: DatabasesReport) {
        match report {
            DatabasesReport::Listed(value) => {
                self.answers.answered(at);
                self.databases_error = None;
                self.databases = Some(Observed { at, value });
            }
            DatabasesReport::Failed(value) => self.databases_error = Some(Observed { at, value }),
        }
    }

    fn apply_command(&mut self, at: Time, command: &OperatorCommand) {
        match command {
            OperatorCommand::Stopping => {
                // Said again it is the same stop, unless that was another engine's.
                let known = self.stopping.filter(|since| *since >= self.watched_since);
                self.stopping = known.or(Some(at));
                self.stop_commanded = Some(at);
            }
            OperatorCommand::Terminate { parent, grace } => {
                self.terminate = Some((*parent, *grace));
            }
            OperatorCommand::MaintenanceUntil(until) => {
                self.ask_anew();
                self.maintenance_until = Some(*until);
            }
            OperatorCommand::Resume => {
                self.ask_anew();
                self.maintenance_until = None;
            }
            OperatorCommand::Release => self.released = Some(at),
            OperatorCommand::Adopt => self.adopted = Some(at),
        }
    }
}

/// Whether the new processes (parent and engine) are others than before. A parent that has made, or lost, its
/// engine is the same one still; with another engine it is not.
pub(super) fn is_another((parent, engine): Ids, (new_parent, new_engine): Ids) -> bool {
    parent != new_parent || matches!((engine, new_engine), (Some(a), Some(b)) if a != b)
}
