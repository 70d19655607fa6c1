//! The sections of the table of settings.

/// The section that a setting belongs to; the sections are the headings of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The probes and metrics, and the HTTP server for them.
    Http,
    /// The connections to the engine, and its queries.
    Sql,
    /// The metrics that are collected of the engine.
    Metrics,
    /// The observed processes, the volume and the control group.
    Observe,
    /// The identity and the lease of the volume.
    Lease,
    /// The policy by which verdicts change and the engine is restarted or stopped.
    Policy,
    /// The supervisor itself.
    Supervisor,
    /// The SQL container's first process, `launch`, and its link to the supervisor.
    Launch,
    /// The Kubernetes Events on the pod.
    Events,
}

impl Section {
    /// Returns the heading of the section.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Http => "Probes and metrics (HTTP)",
            Self::Sql => "Asking the engine (SQL)",
            Self::Metrics => "Metrics of the engine",
            Self::Observe => "Processes, volume, control group",
            Self::Lease => "Identity and lease of the volume",
            Self::Policy => "Deciding",
            Self::Supervisor => "The supervisor itself",
            Self::Launch => "The SQL container's first process (launch)",
            Self::Events => "Kubernetes Events",
        }
    }
}
