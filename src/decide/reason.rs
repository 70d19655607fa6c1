//! The catalogue of reasons. It stands in `catalogue` below and nowhere else: the probe answers, `/status`,
//! the metrics, the `reasons` command and the runbook in docs/probes-and-reasons.md are made from it.

use serde::Serialize;

/// What a reason asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Worth knowing; changes no answer by itself.
    Notice,
    /// It passes by itself: do nothing and do not route to it.
    Wait,
    /// A person has to change something; a restart would not.
    Operator,
    /// A new pod can help, a restart of the container can't.
    Recreate,
    /// A restart helps.
    Restart,
}

/// What a reason does to `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReadyEffect {
    /// Nothing.
    None,
    /// It fails.
    Fails,
    /// It stays as it was proven: passes if this process has already answered a query.
    AsProven,
}

/// The row of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasonInfo {
    /// The stable name, in CamelCase.
    pub code: &'static str,
    /// What it asks for.
    pub outcome: Outcome,
    /// From which failure-condition level on an [`Outcome::Restart`] fails liveness.
    pub level: u8,
    /// What it does to `/readyz`.
    pub ready: ReadyEffect,
    /// It keeps `/gatez` shut.
    pub gate: bool,
    /// It holds liveness: while it is there, nothing fails `/livez`.
    pub holds: bool,
    /// The engine can't answer or advance while this lasts: its silence counts from the end of it.
    pub excuses: bool,
    /// The engine does nothing any more, so that it can't shut down either: a restart for this reason
    /// has a short grace.
    pub lifeless: bool,
    /// The engine may not write the volume: it is killed at once, again and again, against any hold.
    pub fences: bool,
    /// One line: what was found.
    pub summary: &'static str,
    /// What to do about it.
    pub action: &'static str,
    /// Why nothing can give this reason yet, if so.
    pub pending: Option<&'static str>,
}

/// Declares the enum and its table in one place. The last identifiers of a row are optional.
macro_rules! reasons {
    ($( $code:ident: $outcome:ident $(level $level:literal)?, ready $ready:ident
        $(, $flag:ident)* ; $summary:literal ; $action:literal $(; pending $pending:literal)? )+) => {
        /// Why a probe answers as it does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Reason {
            $( #[doc = $summary] $code, )+
        }

        impl Reason {
            /// Every reason, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[ $( Self::$code, )+ ];

            /// Its row.
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
                                ready: ReadyEffect::$ready,
                                gate: false,
                                holds: false,
                                excuses: false,
                                lifeless: false,
                                fences: false,
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
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.info().code
    }

    /// The reason of that name.
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
