//! What was recorded of real engines (tests/corpus), and what a supervisor has to make of it.

use rustix::process::Signal;

use super::phase;
use crate::scale::scaled_ms;
use crate::scenario::{Deed, FAULT, Scenario, Told, UP, scenario};
use crate::standin::command::Command;
use crate::standin::failure::FailStart;
use crate::standin::script::Phase;

pub fn all() -> Vec<Scenario> {
    vec![
        first_start_with_a_collation(),
        first_start_without_a_login(),
        tempdb_fails_after_ready(),
        shutdown_with_18451(),
        stop_of_another_with_a_long_checkpoint(),
        uneven_recovery(),
    ]
}

fn first_start_with_a_collation() -> Scenario {
    scenario(
        "first-start-collation",
        "18456 at first, then the port is refused for 70 s after \"ready\" while the system databases are rebuilt: no listener is lost",
    )
    .phases(vec![
        phase(Phase::Refusing, 10.0),
        phase(Phase::SettingUp, 15.0),
        phase(Phase::ChangingCollation, 70.0),
    ])
    .unfit(0.0, 95.0)
    .serves(115.0, 160.0)
    .told(Told::Found("Starting"))
}

fn first_start_without_a_login() -> Scenario {
    scenario(
        "first-start-18456",
        "the first start refuses a correct password for a minute (18456, state 7 in the errorlog)",
    )
    .phases(vec![
        phase(Phase::Refusing, 10.0),
        phase(Phase::SettingUp, 60.0),
    ])
    .unfit(0.0, 70.0)
    // The supervisor pauses its logins after refused ones, so as not to lock the account.
    .serves(140.0, 170.0)
    .length(170.0)
    .told(Told::Anything)
}

fn tempdb_fails_after_ready() -> Scenario {
    scenario(
        "tempdb-after-ready",
        "\"ready\" is written and logins pass, then tempdb can't be made: the engine ends by itself and the next start succeeds",
    )
    .phases(vec![phase(Phase::Finishing, 30.0)])
    .at(
        20.0,
        Deed::Order(|| Command::FailStart {
            why: FailStart::Tempdb,
        }),
    )
    .restart(20.0, 5.0, 2.0)
    .serves(75.0, 110.0)
    .length(110.0)
    .told(Told::Found("ProcessExited"))
}

fn shutdown_with_18451() -> Scenario {
    scenario(
        "shutdown-18451",
        "SIGTERM by somebody else: new logins get 6005 and 18451 for half a minute, sessions 6005, 18456 and 596",
    )
    .script(|script| script.shutdown_ms = scaled_ms(30.0))
    .at(FAULT, Deed::Parent(Signal::TERM))
    .restart(FAULT + 28.0, 12.0, 6.0)
    .serves(UP, FAULT)
    .unfit(FAULT + 3.0, FAULT + 30.0)
    .told(Told::Ready(&["Stopping"]))
}

fn stop_of_another_with_a_long_checkpoint() -> Scenario {
    scenario(
        "stop-long-checkpoint",
        "SIGTERM by somebody else, and the checkpoints take two minutes: it is waited for",
    )
    .script(|script| script.shutdown_ms = scaled_ms(120.0))
    .at(FAULT, Deed::Parent(Signal::TERM))
    .restart(FAULT + 118.0, 12.0, 6.0)
    .serves(UP, FAULT)
    .unfit(FAULT + 3.0, FAULT + 120.0)
    .length(220.0)
    .told(Told::Ready(&["Stopping"]))
}

fn uneven_recovery() -> Scenario {
    scenario(
        "uneven-recovery",
        "master recovers for 25 minutes; the errorlog tells of it four times, 13 minutes apart at the most",
    )
    .phases(vec![phase(
        Phase::Recovering {
            databases: vec!["master".to_owned()],
            percent: None,
        },
        1500.0,
    )])
    .unfit(0.0, 1500.0)
    .serves(1515.0, 1545.0)
    .length(1545.0)
    .told(Told::Found("Recovering"))
}
