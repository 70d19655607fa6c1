//! The parts of the table of settings.

/// What a setting belongs to; the headings of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// How the probes are served.
    Http,
    /// How the engine is asked.
    Sql,
    /// What is collected of the engine.
    Metrics,
    /// What else is observed.
    Observe,
    /// Which volume it is, and whose.
    Lease,
    /// When a verdict changes.
    Policy,
    /// The supervisor itself.
    Supervisor,
    /// The SQL container's first process.
    Launch,
    /// Kubernetes Events.
    Events,
}

impl Section {
    /// Its heading.
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
