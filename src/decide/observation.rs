//! What the observers report: plain values, each stamped with the moment it was taken.
//!
//! **Architecture invariant:** no variant here says what follows from it. "Port refused" is an
//! observation; that it is normal in a start and fatal an hour later is the engine's business.

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
use super::time::Time;
use super::volumes::Layout;
pub use act::{ActionReport, ActionStep, LinkReport};
pub use contact::{Attempt, AttemptResult, ContactError, ServerError, Stage};
pub use host::{
    CgroupReport, Denial, EngineMount, HostFacts, KernelVersion, Mount, Space, VolumeCheck,
    VolumeEvent, VolumeFault, VolumeReport, WriteCheck,
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
    /// When the value was taken.
    pub at: Time,
    /// The value.
    pub value: T,
}

/// One report of one observer.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// The `sqlservr` processes.
    Process(ProcessReport),
    /// Where the engine listens and where it is asked.
    Listeners(ListenersReport),
    /// One query on the standing connection.
    Ping(Attempt),
    /// A fresh connection with login and query: what a new client meets.
    Login(Attempt),
    /// The dedicated administrator connection, asked only while the other ways are silent.
    Dac(Attempt),
    /// A result of the `sp_server_diagnostics` stream.
    Diagnostics(DiagnosticsReport),
    /// The contents of `sys.databases`.
    Databases(DatabasesReport),
    /// Where the files of databases lie.
    Files(Vec<EngineDirectory>),
    /// Which volumes there are; told when the supervisor has found out.
    Layout(Layout),
    /// One of the volumes.
    Volume(VolumeReport),
    /// The engine's control group.
    Cgroup(CgroupReport),
    /// What the engine says of itself, read after a login.
    Server(ServerProperties),
    /// Until when the certificates are valid, told when that is news.
    Certificates(Certificates),
    /// The kernel that everything runs on; told once.
    Kernel(KernelVersion),
    /// Properties of the node that the engine depends on; told once.
    Host(HostFacts),
    /// What became of an action of the supervisor's.
    Action(ActionReport),
    /// The link to `launch` came or went.
    Link(LinkReport),
    /// How often the engine was started again in its container; told by the agent.
    RestartsInPlace(u32),
    /// The engine's errorlog, where only the agent can read it.
    AgentLog(Box<EngineLog>),
    /// The lease on the volume, held from here.
    Lease(LeaseReport),
    /// The lease on the volume, held by the agent of the SQL container.
    AgentLease(LeaseReport),
    /// The supervisor itself did not run for this long.
    Stall(Duration),
    /// An operator's word, or a signal to the pod.
    Operator(OperatorCommand),
}

/// What was said to the supervisor rather than seen by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCommand {
    /// The engine is being stopped on purpose.
    Stopping,
    /// Its processes are to be ended now, if this is the outer one: the last rung of a stop.
    Terminate {
        /// The outer `sqlservr`.
        parent: ProcessId,
        /// From SIGTERM to SIGKILL.
        grace: Duration,
    },
    /// Liveness is held until this moment.
    MaintenanceUntil(Time),
    /// Maintenance is over.
    Resume,
    /// The restart budget's hold is over.
    Release,
    /// The volume is accepted as it is: what was remembered of another one is forgotten.
    Adopt,
}

/// How it stands with the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseReport {
    /// Who holds it. Its ages are those of the moment of the report.
    pub state: LeaseState,
    /// Why the last try to take or renew it failed, if it did.
    pub failure: Option<String>,
    /// Until when the engine may run, CLOCK_BOOTTIME: the begin of the last durable renewal and the time
    /// for which it counts. Absent where the lease is not held, or not strict.
    #[serde(default)]
    pub run_until: Option<Duration>,
}
