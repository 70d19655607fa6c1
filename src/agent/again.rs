//! Whether an engine that has ended is started again in its container (`engine-restart: in-place`).
//!
//! | the engine that ended | what follows |
//! | --- | --- |
//! | was ended by a stop that somebody ordered | the container ends |
//! | was never called ready: its start failed | the container ends, with the engine's status |
//! | the restarts since the last success have used the budget up | the same |
//! | else | the same checks as before the first start, and the command anew |
//!
//! A success is what it is for the restarts that the supervisor decides: readiness for a minute. What is
//! counted outlives an agent, in [`super::memory`].

use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::link::LinkState;
use super::memory::{Contents, Memory};
use crate::act::restart::termination::TerminationLog;
use crate::decide::budget::SUCCESS_AFTER;
use crate::decide::reason::Reason;
use crate::launch::deadline;
use crate::link::{Command, CommandKind, Verdicts};

/// Takes in the supervisor's verdicts on the engine that runs. Ends with the link.
pub async fn follow(mut state: watch::Receiver<LinkState>, memory: Memory) {
    loop {
        {
            let state = state.borrow_and_update();
            if let Some(verdicts) = state.fresh() {
                memory.change(|contents| see(contents, verdicts, deadline::now()));
            }
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// Takes in the supervisor's verdicts of the moment `now`, in nanoseconds of CLOCK_BOOTTIME.
fn see(contents: &mut Contents, verdicts: &Verdicts, now: u64) {
    contents.stopped |= verdicts.command.as_ref().is_some_and(is_stop);
    let pass = verdicts.ready.as_ref().filter(|ready| ready.verdict.pass);
    let Some(_) = pass.filter(|ready| ready.engine.is_some()) else {
        contents.ready_since = None;
        return;
    };
    contents.served = true;
    let since = *contents.ready_since.get_or_insert(now);
    if Duration::from_nanos(now.saturating_sub(since)) >= SUCCESS_AFTER {
        contents.restarts = 0;
    }
}

/// Whether the command is the last step of a stop that somebody ordered.
fn is_stop(command: &Command) -> bool {
    command.kind == CommandKind::Restart && command.reasons == [Reason::Stopping.code()]
}

/// Decides whether the command may be started again. The start is counted once it was made, see [`count`]:
/// the gate may stay shut.
///
/// # Errors
/// The reason why the container ends with the engine.
pub fn permit(memory: &Memory, budget: u32) -> Result<(), String> {
    let known = memory.get();
    if known.stopped {
        return Err("the engine was stopped on purpose".to_owned());
    }
    if !known.served {
        return Err("its start has failed: it was never ready".to_owned());
    }
    if known.restarts >= budget {
        return Err(format!(
            "it was started again {} times without a minute of readiness (restart-budget {budget})",
            known.restarts
        ));
    }
    memory.change(|contents| contents.permitted = true);
    info!(
        restart = known.restarts + 1,
        budget, "the engine is started again in this container once the gate is open"
    );
    Ok(())
}

/// Counts a start that was permitted and is made by now: what is known of the engine before does not count for
/// the new one. Does nothing where no start was permitted since the last call.
pub fn count(memory: &Memory) {
    memory.change(|contents| {
        if std::mem::take(&mut contents.permitted) {
            contents.restarts = contents.restarts.saturating_add(1);
            contents.restarts_in_all = contents.restarts_in_all.saturating_add(1);
            contents.served = false;
            contents.stopped = false;
            contents.ready_since = None;
        }
    });
}

/// Notes that the command was started. The termination message of the engine before, if any was written, is
/// taken back: the container goes on.
pub async fn begun(memory: &Memory, log: &mut TerminationLog) {
    count(memory);
    let restarts = memory.get().restarts_in_all;
    if restarts > 0 {
        warn!(restarts, "the engine was started again in this container");
        log.write(None, String::new()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::observation::ProcessId;
    use crate::link::{ProbeVerdict, ReadyVerdict};

    const BUDGET: u32 = 2;
    /// The nanoseconds of a second.
    const NANOS: u64 = 1_000_000_000;

    fn verdicts(pass: bool, reasons: Option<&[&str]>) -> Verdicts {
        let verdict = ProbeVerdict {
            pass,
            reasons: Vec::new(),
        };
        let parent = ProcessId {
            pid: 7,
            start_ticks: 1,
        };
        Verdicts {
            gate: verdict.clone(),
            live: verdict.clone(),
            ready: Some(ReadyVerdict {
                verdict,
                engine: Some((parent, None)),
                address: "127.0.0.1:1433".to_owned(),
            }),
            epoch: None,
            command: reasons.map(|reasons| Command {
                kind: CommandKind::Restart,
                parent,
                engine: None,
                grace: Duration::ZERO,
                reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
                message: String::new(),
            }),
            termination_message: None,
        }
    }

    fn after(seen: &[(Verdicts, u64)]) -> Memory {
        let memory = Memory::open(None);
        for (verdicts, seconds) in seen {
            memory.change(|contents| see(contents, verdicts, seconds * NANOS));
        }
        memory
    }

    #[test]
    fn one_that_served_is_started_again_until_the_budget_is_used_up() {
        let memory = after(&[(verdicts(true, None), 1)]);
        let serves = |seconds| {
            memory.change(|contents| see(contents, &verdicts(true, None), seconds * NANOS));
        };
        for restart in 1..=BUDGET {
            assert_eq!(permit(&memory, BUDGET), Ok(()));
            count(&memory);
            assert_eq!(memory.get().restarts, restart);
            serves(2);
        }
        let why = permit(&memory, BUDGET).unwrap_err();
        assert!(why.contains("2 times"), "{why}");
        // A minute of readiness is a success; a break in it is none.
        for (verdict, seconds) in [(true, 10), (true, 40), (false, 41), (true, 42), (true, 101)] {
            memory.change(|contents| see(contents, &verdicts(verdict, None), seconds * NANOS));
        }
        assert!(permit(&memory, BUDGET).is_err());
        memory.change(|contents| see(contents, &verdicts(true, None), 102 * NANOS));
        assert_eq!(permit(&memory, BUDGET), Ok(()));
        count(&memory);
        assert_eq!(memory.get().restarts, 1);
        assert_eq!(memory.get().restarts_in_all, 3);
    }

    #[test]
    fn a_start_counts_once_and_only_where_it_was_made() {
        let memory = after(&[(verdicts(true, None), 1)]);
        count(&memory);
        assert!(memory.get().served, "the first start is no restart");
        // The agent is replaced while the gate is shut, and the next one permits the same start.
        assert_eq!(permit(&memory, BUDGET), Ok(()));
        assert_eq!(permit(&memory, BUDGET), Ok(()));
        assert_eq!(memory.get().restarts_in_all, 0, "the gate is shut");
        count(&memory);
        count(&memory);
        let known = memory.get();
        assert_eq!((known.restarts, known.restarts_in_all), (1, 1));
        assert!(!known.served, "the new engine has to prove itself");
    }

    #[test]
    fn a_failed_start_and_a_stop_end_the_container() {
        let failed = after(&[(verdicts(false, None), 1)]);
        assert!(permit(&failed, BUDGET).unwrap_err().contains("never ready"));
        let stop = [Reason::Stopping.code()];
        let stopped = after(&[
            (verdicts(true, None), 1),
            (verdicts(false, Some(&stop)), 2),
            (verdicts(false, None), 3),
        ]);
        assert!(
            permit(&stopped, BUDGET)
                .unwrap_err()
                .contains("stopped on purpose")
        );
        // A restart that the supervisor decided is none.
        let hung = [Reason::EngineUnresponsive.code()];
        let hung = after(&[(verdicts(true, None), 1), (verdicts(false, Some(&hung)), 2)]);
        assert_eq!(permit(&hung, BUDGET), Ok(()));
    }
}
