//! Nothing wrong, and starts of all kinds.

use super::phase;
use crate::scenario::{Deed, Scenario, Told, UP, scenario};
use crate::standin::command::Command;
use crate::standin::script::{Database, Effect, Fault, Load, Match, Phase, StartPhase};
use crate::standin::sql::Kind;

const NEEDS_ORDERS: &[(&str, &str)] = &[("required-databases", "orders")];

pub fn all() -> Vec<Scenario> {
    [steady(), slow(), recovering(), broken()].concat()
}

fn steady() -> Vec<Scenario> {
    let load = |cpu_percent, io_writes_per_second| Load {
        cpu_threads: 1,
        cpu_percent,
        io_writes_per_second,
        memory_mib: 0,
    };
    let slow = |ms| {
        vec![Fault {
            on: Match {
                kind: Some(Kind::Ping),
                ..Match::default()
            },
            effect: Effect::Delay { ms },
            times: None,
        }]
    };
    vec![
        scenario("healthy", "nothing happens, a little is done")
            .script(|script| script.load = load(5, 10))
            .serves(UP, 160.0)
            .quick(),
        scenario("idle", "nothing at all happens").serves(UP, 160.0),
        scenario("under-load", "half a core is busy, with writes")
            .script(|script| script.load = load(50, 50))
            .serves(UP, 160.0)
            .weight(2),
        scenario(
            "slow-answers",
            "each query takes 1 s, below the ping's timeout of 2 s",
        )
        .script(|script| script.faults = slow(100))
        .serves(20.0, 160.0),
        scenario(
            "slower-answers",
            "each query takes 3 s, above the ping's timeout, below a login's: no hang",
        )
        .script(|script| script.faults = slow(300))
        .told(Told::Anything),
    ]
}

fn slow() -> Vec<Scenario> {
    let working = Load {
        cpu_threads: 1,
        cpu_percent: 15,
        ..Load::default()
    };
    vec![
        scenario(
            "slow-start",
            "the port is refused for four minutes, while the start works",
        )
        .phases(vec![phase(Phase::Refusing, 240.0)])
        .script(|script| script.load = working)
        .unfit(0.0, 240.0)
        .serves(250.0, 300.0)
        .length(300.0)
        .told(Told::Found("Starting")),
        scenario(
            "start-closing",
            "connections are accepted and closed for four minutes: a proxy before a closed port",
        )
        .phases(vec![phase(Phase::ClosingAtAccept, 240.0)])
        .unfit(0.0, 240.0)
        .serves(260.0, 300.0)
        .length(300.0)
        .told(Told::Found("Starting")),
        scenario(
            "start-17187",
            "logins are answered with 17187, not ready yet, for four minutes",
        )
        .phases(vec![phase(Phase::NotReady, 240.0)])
        .unfit(0.0, 240.0)
        .serves(260.0, 300.0)
        .length(300.0)
        .told(Told::Found("Starting")),
        scenario(
            "script-upgrade",
            "18401 for four minutes: a restart begins the upgrade anew",
        )
        .phases(vec![phase(
            Phase::Upgrading {
                administrators: false,
            },
            240.0,
        )])
        .unfit(0.0, 240.0)
        .serves(260.0, 300.0)
        .length(300.0)
        .told(Told::Found("ScriptUpgrade")),
    ]
}

fn recovering() -> Vec<Scenario> {
    vec![
        scenario("long-recovery", "master recovers for 18 minutes, which the errorlog says; nothing listens meanwhile")
            .phases(vec![phase(recovery("master", None), 1080.0)])
            .unfit(0.0, 1080.0)
            .serves(1095.0, 1130.0)
            .length(1130.0)
            .told(Told::Found("Starting")),
        scenario("user-database-recovers", "a required database recovers for four minutes while master serves")
            .phases(vec![phase(recovery("orders", None), 240.0)])
            .script(|script| script.databases.push(Database::online("orders")))
            .setting(NEEDS_ORDERS)
            .unfit(UP, 240.0)
            .serves(255.0, 300.0)
            .length(300.0)
            .told(Told::Found("Recovering")),
        scenario(
            "recovery-stands-still",
            "a required database stands at 42 % for three minutes while the engine answers: below the 15 minutes",
        )
        .phases(vec![StartPhase {
            phase: recovery("orders", Some(42.0)),
            ms: None,
        }])
        .script(|script| script.databases.push(Database::online("orders")))
        .setting(NEEDS_ORDERS)
        .unfit(UP, 200.0)
        .length(200.0)
        .told(Told::Found("Recovering")),
    ]
}

fn recovery(name: &str, percent: Option<f64>) -> Phase {
    Phase::Recovering {
        databases: vec![name.to_owned()],
        percent,
    }
}

fn broken() -> Vec<Scenario> {
    vec![
        scenario(
            "start-stalls",
            "a start in which nothing advances: DESIGN restarts it after 15 minutes, no earlier",
        )
        .phases(vec![StartPhase {
            phase: Phase::Refusing,
            ms: None,
        }])
        .at(300.0, Deed::Lasting(|script| script.start.clear()))
        .restart(880.0, 60.0, 26.0)
        .unfit(0.0, 880.0)
        .serves(970.0, 1000.0)
        .length(1000.0)
        .told(Told::Live("StartupStalled")),
        scenario(
            "recovery-stuck",
            "a required database stands at 42 % and nothing advances: restarted after 15 minutes, no earlier",
        )
        .phases(vec![StartPhase {
            phase: recovery("orders", Some(42.0)),
            ms: None,
        }])
        .script(|script| script.databases.push(Database::online("orders")))
        .setting(NEEDS_ORDERS)
        .at(300.0, Deed::Lasting(|script| script.start.clear()))
        .restart(890.0, 60.0, 40.0)
        .unfit(UP, 890.0)
        .serves(990.0, 1020.0)
        .length(1020.0)
        .told(Told::Live("RecoveryStalled")),
        scenario(
            "exit-at-start",
            "the first start ends with code 1, the next one does not",
        )
        .at(3.0, Deed::Order(|| Command::Exit { status: 1 }))
        .restart(3.0, 5.0, 2.0)
        .serves(50.0, 80.0)
        .length(80.0)
        .told(Told::Found("ProcessExited"))
        .quick(),
        scenario(
            "freeze-in-start",
            "the start is frozen for 30 s, then goes on: below the 15 minutes",
        )
        .phases(vec![phase(Phase::NotReady, 60.0)])
        .at(20.0, Deed::Child(rustix::process::Signal::STOP))
        .at(50.0, Deed::Child(rustix::process::Signal::CONT))
        .serves(110.0, 150.0)
        .length(150.0)
        .told(Told::Anything),
    ]
}
