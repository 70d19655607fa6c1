//! The alerts on the supervisor's reasons, made from the catalogue: one for each reason that needs a
//! person, with the catalogue's own words.
//!
//! [`asks`] decides for every reason whether it does. It is a match without a catch-all: a new reason
//! does not compile until somebody has decided.

use std::fmt::Write as _;

use sql_edge_supervisor::decide::reason::{Outcome, Reason};

/// How loudly a reason asks for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// `critical`: clients are cut off or data is in danger.
    Critical(Patience),
    /// `warning`: it will become that, or somebody works without knowing.
    Warning(Patience),
    /// `info`: worth a line on a dashboard, and nobody's sleep.
    Info(Patience),
    /// No alert, and why not.
    Nobody(&'static str),
}

/// How long the reason may hold before it is told, and why so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub minutes: u32,
    pub because: &'static str,
}

const AT_ONCE: Patience = Patience {
    minutes: 0,
    because: "data is in danger: nothing is gained by waiting",
};
const STEADY: Patience = Patience {
    minutes: 1,
    because: "it does not pass by itself; a minute is two scrapes at the usual 30 s",
};
const ROTATION: Patience = Patience {
    minutes: 5,
    because: "a secret that was changed reaches the pod within the kubelet's sync, 1 to 2 minutes",
};
const ATTENDED: Patience = Patience {
    minutes: 15,
    because: "somebody is probably at work on it: told when it was forgotten",
};
const RESTARTED: Patience = Patience {
    minutes: 15,
    because: "a restart mends it within a minute or two, and three that do not are held after ten: this one is not restarted at all",
};
const NOT_AT_THIS_LEVEL: Patience = Patience {
    minutes: 5,
    because: "the default failure-condition-level (3) does not restart for it",
};
const BACK_OFF: Patience = Patience {
    minutes: 6,
    because: "the kubelet's back-off before a new start is at most 5 minutes",
};
const LOAD: Patience = Patience {
    minutes: 10,
    because: "a burst of load passes in minutes",
};
const FIRST_CHECK: Patience = Patience {
    minutes: 5,
    because: "it takes seconds; the engine is not started meanwhile",
};
const TAKEOVER: Patience = Patience {
    minutes: 7,
    because: "after a node was lost its volume is detached by force after 6 minutes",
};
const LONG_START: Patience = Patience {
    minutes: 30,
    because: "a first start takes a minute or two, an upgrade of the image some more",
};
const LONG_WORK: Patience = Patience {
    minutes: 60,
    because: "it advances, or another alert says that it does not; after an hour clients want to know",
};
const EVENT: Patience = Patience {
    minutes: 0,
    because: "it is over within seconds: seen if it held at all in the last 15 minutes",
};
const STANDING: Patience = Patience {
    minutes: 60,
    because: "it is a setting and not an event",
};

impl Asks {
    /// What the rules file says: severity, patience.
    fn told(self) -> Option<(&'static str, Patience)> {
        match self {
            Self::Critical(patience) => Some(("critical", patience)),
            Self::Warning(patience) => Some(("warning", patience)),
            Self::Info(patience) => Some(("info", patience)),
            Self::Nobody(_) => None,
        }
    }
}

/// Whom each reason asks for.
#[expect(clippy::too_many_lines, reason = "a table: each reason once")]
pub fn asks(reason: Reason) -> Asks {
    use Asks::{Critical, Info, Nobody, Warning};
    use Reason as R;
    match reason {
        R::LeaseLost | R::DataCorruption | R::VolumeReplaced | R::RestartBudgetExhausted => {
            Critical(AT_ONCE)
        }
        R::RestartFailed
        | R::StartFailed
        | R::EvaluationExpired
        | R::EulaNotAccepted
        | R::SaPasswordRejected
        | R::MemoryTooSmall
        | R::KernelUnsupported
        | R::ListenFailed
        | R::DataDirectoryDenied
        | R::SystemDatabaseUnreadable
        | R::MasterUnrecoverable
        | R::UpgradeFailed
        | R::DowngradeRefused
        | R::StorageUnsupported
        | R::MasterFileDenied
        | R::TempdbUnavailable
        | R::NotExecutable
        | R::HostUnsupported
        | R::ConfigurationInvalid
        | R::EngineUnreachable
        | R::QueryRefused
        | R::DatabaseSuspect
        | R::DatabaseRecoveryPending
        | R::LogFull
        | R::DiskFull
        | R::VolumeNotMounted
        | R::VolumeEphemeral
        | R::VolumeMissing
        | R::VolumeForeign
        | R::VolumeEmpty
        | R::VolumeIdentityRefused
        | R::VolumeReadOnly
        | R::VolumeStalled
        | R::VolumeIoError
        | R::VolumeDisconnected
        | R::VolumePermissionDenied
        | R::VolumeMismatch
        | R::Fencing
        | R::FenceFailed => Critical(STEADY),
        R::ProcessExited | R::ProcessKilled => Critical(BACK_OFF),
        R::LeaseNotHeld | R::LeaseHeldElsewhere => Critical(TAKEOVER),
        R::VolumeUnchecked | R::VolumeUnidentified | R::CgroupFrozen | R::NotYetObserved => {
            Critical(FIRST_CHECK)
        }
        R::ProcessMissing
        | R::ProcessZombie
        | R::EngineUnresponsive
        | R::ListenerLost
        | R::SystemError
        | R::StartupStalled
        | R::BusyLimitExceeded
        | R::RecoveryStalled
        | R::Restarting => Critical(RESTARTED),
        R::EngineBusy | R::NoFreshAnswer | R::WorkersExhausted | R::ConnectionsExhausted => {
            Critical(LOAD)
        }
        R::ResourceError | R::SchedulersDeadlocked | R::OutOfMemory => Critical(NOT_AT_THIS_LEVEL),
        R::LoginFailed
        | R::LoginDisabled
        | R::PasswordExpired
        | R::CredentialsUnreadable
        | R::PermissionMissing
        | R::TlsFailed => Warning(ROTATION),
        R::Paused
        | R::AdministratorsOnly
        | R::SingleUser
        | R::LogonTriggerRefuses
        | R::DatabaseOffline
        | R::DatabaseEmergency => Critical(ATTENDED),
        R::Starting => Warning(LONG_START),
        R::Recovering
        | R::ScriptUpgrade
        | R::DumpInProgress
        | R::DatabaseRestoring
        | R::Stopping => Warning(LONG_WORK),
        R::OomKilled => Warning(EVENT),
        R::LeaseNotRenewed | R::ListeningElsewhere | R::DiagnosticsUnavailable => Warning(STEADY),
        R::DiskLow
        | R::CpuThrottled
        | R::SupervisorStalled
        | R::SideVolumeFault
        | R::VolumeSlow => Warning(LOAD),
        R::IoSlow | R::EngineFault | R::MemoryPagedOut => Warning(EVENT),
        R::LeaseOff | R::NotOnVolume => Info(STANDING),
        R::Maintenance => Info(Patience {
            minutes: 0,
            because: "it is there for Alertmanager's inhibit_rules",
        }),
        R::SupervisorAway => Nobody(
            "the agent alone finds it, while the supervisor is away; SqlEdgeSupervisorDown says so",
        ),
        R::Settling => Nobody("it passes by itself within `settle`, a few seconds"),
    }
}

/// Whether an alert is owed, whatever [`asks`] says: these are a person's by their own definition.
pub fn needs_a_person(reason: Reason) -> bool {
    matches!(reason.info().outcome, Outcome::Operator | Outcome::Recreate)
}

/// The name of a reason's alert.
pub fn alert_name(reason: Reason) -> String {
    format!("SqlEdge{}", reason.code())
}

/// The selector that a rule watches, and how; as it is it is a plain scalar of YAML.
fn expression(reason: Reason, patience: Patience) -> String {
    if reason == Reason::OomKilled {
        // The reason holds until the next engine runs: often for less time than passes between two scrapes.
        let ends = "increase(sql_edge_process_exits_total{cause=\"oom_kill\"}[15m])";
        return format!("sum without (cause, role) ({ends}) > 0");
    }
    let series = format!(
        "sql_edge_supervisor_reason_active{{reason=\"{}\"}}",
        reason.code()
    );
    match patience == EVENT {
        true => format!("max_over_time({series}[15m]) == 1"),
        false => format!("{series} == 1"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string becomes JSON, which is YAML too")
}

/// Where the reason's runbook entry is. The chart puts its `runbookBase` before it.
pub fn runbook(reason: Reason) -> String {
    format!(
        "docs/probes-and-reasons.md#{}",
        reason.code().to_lowercase()
    )
}

const HEAD: &str = "\
# Alerts on the supervisor's reasons: one for each that needs a person.
#
# Generated from src/decide/reason.rs by tests/monitoring/reasons.rs, which says how loud each is and why:
# change these, and run `UPDATE_GOLDEN=1 cargo test --test monitoring`.
";

/// The rules file.
pub fn rules() -> String {
    let mut text = format!("{HEAD}groups:\n  - name: sql-edge-reasons\n    rules:\n");
    for reason in Reason::ALL {
        let code = reason.code();
        let (severity, patience) = match asks(*reason) {
            Asks::Nobody(why) => {
                let _ = writeln!(text, "      # {code}: no alert: {why}.");
                continue;
            }
            asked => asked.told().expect("only Nobody is told to nobody"),
        };
        let info = reason.info();
        let _ = write!(
            text,
            "      # {}.\n      \
             - alert: {}\n        \
               expr: {}\n        \
               for: {}m\n        \
               labels:\n          \
                 severity: {severity}\n        \
               annotations:\n          \
                 summary: {}\n          \
                 description: {}\n          \
                 runbook_url: {}\n",
            patience.because,
            alert_name(*reason),
            expression(*reason, patience),
            patience.minutes,
            quoted(&summary(*reason, "{{ or $labels.pod $labels.instance }}")),
            quoted(info.action),
            quoted(&runbook(*reason)),
        );
    }
    text
}

fn summary(reason: Reason, who: &str) -> String {
    format!("{who}: {}", reason.info().summary)
}
