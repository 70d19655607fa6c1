//! The catalogue of reasons. It stands in `catalogue` below and nowhere else: the probe answers, `/status`,
//! the metrics, the `reasons` command and the runbook in docs/probes-and-reasons.md are made from it.

use serde::Serialize;

/// The outcome that a reason asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// A notice: worth knowing, and no answer changes by it.
    Notice,
    /// Wait: the state passes by itself, and no client is to be routed to the engine meanwhile.
    Wait,
    /// An operator has to change something; a restart would not.
    Operator,
    /// A new pod can help, a restart of the container can't.
    Recreate,
    /// A restart helps.
    Restart,
}

/// The effect of a reason on `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReadyEffect {
    /// The reason has no effect.
    None,
    /// The probe fails.
    Fails,
    /// The probe stays as it was proven: it passes if this process has already answered a query.
    AsProven,
}

/// The evidence that a restart has to rest on: something that was *seen*, lately, by somebody who could have
/// seen an engine that is well. That the supervisor can't ask (no password that it can read, TLS, another
/// address, a refused login) is never such evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Evidence {
    /// The processes, looked at just now: dead, or gone where there was one before.
    Process,
    /// Questions that the engine left open. They went to its own address: it has answered in this run; or
    /// in an earlier one, and is seen to be there still.
    Silence,
    /// A port that is refused now: this very process was reached there before, or is seen not to listen.
    Refusal,
    /// A report of the engine itself, not long ago.
    Report,
    /// A start that is known to be under way: the engine is seen not to listen, or its log has the start's
    /// beginning and not yet that it is ready; and nothing advances.
    StartUnderWay,
    /// A recovery that is listed just now, and nothing advances.
    RecoveryUnderWay,
    /// A process that may not write the volume and outlived the supervisor's SIGKILL.
    Fence,
}

/// The row of a reason in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasonInfo {
    /// The stable name, in CamelCase.
    pub code: &'static str,
    /// The outcome that the reason asks for.
    pub outcome: Outcome,
    /// The failure-condition level from which on an [`Outcome::Restart`] fails liveness.
    pub level: u8,
    /// The evidence that has to have been seen for the reason, where it is an [`Outcome::Restart`].
    pub evidence: Option<Evidence>,
    /// The effect of the reason on `/readyz`.
    pub ready: ReadyEffect,
    /// Whether the reason keeps `/gatez` shut.
    pub gate: bool,
    /// Whether the reason holds liveness: while it is there, nothing fails `/livez`.
    pub holds: bool,
    /// Whether the engine can't answer or advance while the reason lasts: its silence counts from the end
    /// of that.
    pub excuses: bool,
    /// Whether the engine does nothing any more, so that it can't shut down either: a restart for this
    /// reason has a short grace.
    pub lifeless: bool,
    /// Whether the reason fences: the engine may not write the volume, and is killed at once, again and
    /// again, against any hold.
    pub fences: bool,
    /// Whether the directory of the volume may hold something else than the volume: no identity is written
    /// there.
    pub no_volume: bool,
    /// The summary of what was found, in one line.
    pub summary: &'static str,
    /// The advice for an operator.
    pub action: &'static str,
    /// The cause for which nothing can give this reason yet, if so.
    pub pending: Option<&'static str>,
}

/// Declares the enum and its table in one place. The last identifiers of a row are optional.
macro_rules! reasons {
    ($( $code:ident: $outcome:ident $(level $level:literal on $evidence:ident)?, ready $ready:ident
        $(, $flag:ident)* ; $summary:literal ; $action:literal $(; pending $pending:literal)? )+) => {
        /// A reason for which a probe answers as it does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Reason {
            $( #[doc = $summary] $code, )+
        }

        impl Reason {
            /// Every reason, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[ $( Self::$code, )+ ];

            /// Returns the row of the reason.
            #[must_use]
            pub const fn info(self) -> &'static ReasonInfo {
                match self {
                    $( Self::$code => {
                        const INFO: ReasonInfo = {
                            #[allow(unused_mut)] // not every row carries a flag
                            let mut info = ReasonInfo {
                                code: stringify!($code),
                                outcome: Outcome::$outcome,
                                level: 0 $(+ $level)?,
                                evidence: [$(Some(Evidence::$evidence),)? None][0],
                                ready: ReadyEffect::$ready,
                                gate: false,
                                holds: false,
                                excuses: false,
                                lifeless: false,
                                fences: false,
                                no_volume: false,
                                summary: $summary,
                                action: $action,
                                pending: [$(Some($pending),)? None][0],
                            };
                            $( info.$flag = true; )*
                            info
                        };
                        &INFO
                    } )+
                }
            }
        }
    };
}

pub use catalogue::Reason;

mod catalogue;

impl Reason {
    /// Returns the stable name of the reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.info().code
    }

    /// Returns the reason with the stable name `code`.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.code() == code)
    }

    /// Whether a restart of the container helps.
    #[must_use]
    pub const fn restart_helps(self) -> bool {
        matches!(self.info().outcome, Outcome::Restart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_code_and_says_what_to_do() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
            let info = reason.info();
            assert!(info.summary.ends_with('.'), "{}", info.code);
            assert!(info.action.ends_with('.'), "{}", info.code);
        }
    }

    #[test]
    fn only_a_restart_has_a_level_and_it_never_holds() {
        for reason in Reason::ALL {
            let info = reason.info();
            let restart = info.outcome == Outcome::Restart;
            assert_eq!(restart, (1..=5).contains(&info.level), "{}", info.code);
            assert_eq!(restart, info.evidence.is_some(), "{}", info.code);
            assert!(!(restart && info.holds), "{}", info.code);
            assert_eq!(restart, reason.restart_helps());
        }
    }

    #[test]
    fn what_a_new_pod_has_to_mend_holds_liveness() {
        for reason in Reason::ALL {
            let info = reason.info();
            if info.outcome == Outcome::Recreate {
                assert!(info.holds, "{}: a restart could not help", info.code);
            }
        }
    }

    #[test]
    fn json_shows_the_code() {
        let json = serde_json::to_string(&Reason::ProcessKilled).expect("serializes");
        assert_eq!(json, "\"ProcessKilled\"");
    }
}
