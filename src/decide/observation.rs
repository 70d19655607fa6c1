//! The reports of the observers: plain values, each stamped with the moment it was taken.
//!
//! **Architecture invariant:** no variant here states what follows from it. "Port refused" is an
//! observation; that it is normal in a start and fatal an hour later is for the decision engine.

mod act;
mod contact;
mod host;
mod listeners;
mod log;
mod network;
mod process;
mod server;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lease::LeaseState;
pub use super::mount::Mount;
use super::time::Time;
use super::volumes::Layout;
pub use act::{ActionReport, ActionStep, LinkReport};
pub use contact::{Attempt, AttemptResult, AttemptStage, ContactError, ServerError};
pub use host::{
    CgroupReport, Denial, EngineMount, HostFacts, KernelVersion, Space, VolumeCheck, VolumeEvent,
    VolumeFault, VolumeReport, WriteCheck,
};
pub use listeners::ListenersReport;
pub use log::{
    Dumps, EngineBuild, EngineLog, ListenAddress, LoggedDac, LoggedError, LoggedLines,
    LoggedMessage, LoggedRecovery, LoggedStart, LoggedStop, LoggedUpgrade,
};
pub use network::EngineNetwork;
pub use process::{
    ExitStatus, ProcessExit, ProcessId, ProcessReport, ProcessRole, RunState, RunningProcess,
};
pub use server::{
    Certificates, ComponentState, Database, DatabaseList, DatabaseState, DatabasesReport,
    Diagnostics, DiagnosticsReport, EngineDirectory, ServerProperties,
};

/// A value with the moment at which it was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Observed<T> {
    /// The moment at which the value was taken.
    pub at: Time,
    /// The value.
    pub value: T,
}

/// A report of one observer.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// The `sqlservr` processes.
    Process(ProcessReport),
    /// The addresses on which the engine listens, and the one at which it is asked.
    Listeners(ListenersReport),
    /// A query on the standing connection.
    Ping(Attempt),
    /// A fresh connection with login and query: what a new client meets.
    Login(Attempt),
    /// The dedicated administrator connection, asked only while the other ways are silent.
    Dac(Attempt),
    /// A result of the `sp_server_diagnostics` stream.
    Diagnostics(DiagnosticsReport),
    /// The contents of `sys.databases`.
    Databases(DatabasesReport),
    /// The directories in which files of databases lie.
    Files(Vec<EngineDirectory>),
    /// The volumes that there are, reported when the supervisor has found them out.
    Layout(Layout),
    /// A check of one of the volumes.
    Volume(VolumeReport),
    /// The engine's control group.
    Cgroup(CgroupReport),
    /// The properties that the engine reports of itself, read after a login.
    Server(ServerProperties),
    /// The times until which the certificates are valid, reported when that is news.
    Certificates(Certificates),
    /// The kernel that everything runs on, reported once.
    Kernel(KernelVersion),
    /// The properties of the node that the engine depends on, reported once.
    Host(HostFacts),
    /// A step of an action of the supervisor's.
    Action(ActionReport),
    /// The link to `launch` came or went.
    Link(LinkReport),
    /// The number of times that the engine was started again in its container, reported by the agent.
    RestartsInPlace(u32),
    /// The engine's errorlog, where only the agent can read it.
    AgentLog(Box<EngineLog>),
    /// The lease on the volume, where the supervisor itself contends for it.
    Lease(LeaseReport),
    /// The lease on the volume, where the agent of the SQL container contends for it.
    AgentLease(LeaseReport),
    /// The time for which the supervisor itself did not run.
    Stall(Duration),
    /// A command of an operator, or a signal to the pod.
    Operator(OperatorCommand),
}

/// A command that was sent to the supervisor, as opposed to what it observes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCommand {
    /// The engine is being stopped on purpose.
    Stopping,
    /// The engine's processes are to be ended now, if this is the outer one: the last rung of a stop.
    Terminate {
        /// The outer `sqlservr`.
        parent: ProcessId,
        /// The time from SIGTERM to SIGKILL.
        grace: Duration,
    },
    /// Liveness is held until this moment.
    MaintenanceUntil(Time),
    /// Maintenance is over.
    Resume,
    /// The hold of the restart budget is over: restarts may be asked for again.
    Release,
    /// The volume is accepted as it is: what was remembered of another one is forgotten.
    Adopt,
}

/// A report on the state of the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseReport {
    /// The state of the lease. Its ages are those of the moment of the report.
    pub state: LeaseState,
    /// The cause for which the last try to take or renew the lease failed, if it did.
    pub failure: Option<String>,
    /// The moment until which the engine may run, CLOCK_BOOTTIME: the beginning of the last durable renewal
    /// plus the time for which it counts. Absent where the lease is not held, or not strict.
    #[serde(default)]
    pub run_until: Option<Duration>,
    /// The time for which the supervisor had not run in all when the report was made, a stall included that
    /// is yet to be reported. Zero in a report of the agent, whose renewals are not judged by their age.
    #[serde(skip)]
    pub left_out: Duration,
}
