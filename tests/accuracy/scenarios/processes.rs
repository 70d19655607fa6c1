//! Processes: killed, crashed, zombies, traced, stopping. And what the engine says of itself.

use rustix::process::Signal;

use super::{hang, heal};
use crate::scale::scaled_ms;
use crate::scenario::{Deed, FAULT, HEAL, Scenario, Told, UP, scenario};
use crate::standin::command::Command;
use crate::standin::script::Script;

/// How long the clean shutdown takes.
const SHUTDOWN: f64 = 50.0;
/// From one report to the next, twice, and what is between: two reports in a row have to show it.
const TWO_REPORTS: f64 = 23.0;

pub fn all() -> Vec<Scenario> {
    [ended(), held(), diagnostics()].concat()
}

fn ended() -> Vec<Scenario> {
    let ends = |name, what, deed| {
        scenario(name, what)
            .at(FAULT, deed)
            .restart(FAULT, 5.0, 2.0)
            .serves(UP, FAULT)
            .serves(100.0, 130.0)
            .length(130.0)
            .told(Told::Ready(&["ProcessKilled"]))
    };
    vec![
        ends(
            "engine-killed",
            "SIGKILL of the engine process",
            Deed::Child(Signal::KILL),
        )
        .quick(),
        ends(
            "parent-killed",
            "SIGKILL of the parent, which the engine does not outlive",
            Deed::Parent(Signal::KILL),
        ),
        ends(
            "crash",
            "SIGSEGV of the engine process",
            Deed::Order(|| Command::Die { signal: 11 }),
        ),
        scenario(
            "zombie",
            "the engine is dead and its parent does not reap it: the container runs on",
        )
        .at(FAULT, Deed::Order(|| Command::Zombie))
        // `zombie-after`, a look at /proc, a second.
        .restart(FAULT, 75.0, 8.0)
        .serves(UP, FAULT)
        .serves(150.0, 180.0)
        .length(180.0)
        .told(Told::Live("ProcessZombie")),
        scenario(
            "clean-shutdown",
            "SIGTERM, and 50 s of checkpoints: whoever restarts it meanwhile cuts them short",
        )
        .script(|script| script.shutdown_ms = scaled_ms(SHUTDOWN))
        .at(FAULT, Deed::Parent(Signal::TERM))
        .restart(FAULT + SHUTDOWN - 2.0, 12.0, 6.0)
        .serves(UP, FAULT)
        .unfit(FAULT, FAULT + SHUTDOWN)
        .serves(150.0, 180.0)
        .length(180.0)
        .told(Told::Ready(&["Stopping"])),
    ]
}

fn held() -> Vec<Scenario> {
    vec![
        scenario(
            "traced",
            "a tracer holds the engine for 80 s; 5 s after that it answers again",
        )
        .at(FAULT, Deed::Process(hang))
        .at(FAULT, Deed::Trace { dumper: false })
        .at(HEAL, Deed::Untrace)
        .at(HEAL + 5.0, Deed::Process(heal))
        .serves(UP, FAULT)
        .unfit(FAULT, HEAL)
        .serves(HEAL + 10.0, 170.0)
        .length(170.0)
        .told(Told::Ready(&["DumpInProgress"])),
        scenario(
            "dump",
            "paldumper writes a dump for 80 s, the engine is held meanwhile",
        )
        .at(FAULT, Deed::Trace { dumper: true })
        .at(HEAL, Deed::Untrace)
        .serves(UP, FAULT)
        .unfit(FAULT, HEAL)
        .serves(HEAL, 160.0)
        .told(Told::Ready(&["DumpInProgress"]))
        .alone(),
        scenario(
            "dump-without-end",
            "a tracer never lets go: DESIGN bounds a dump to 15 minutes, from which on silence counts",
        )
        .at(FAULT, Deed::Trace { dumper: false })
        .restart(FAULT + 890.0, 75.0, 45.0)
        .serves(UP, FAULT)
        .unfit(FAULT, FAULT + 890.0)
        .length(FAULT + 990.0)
        .told(Told::Live("EngineUnresponsive")),
    ]
}

fn diagnostics() -> Vec<Scenario> {
    vec![
        scenario(
            "system-error",
            "sp_server_diagnostics shows the component system in error from now on",
        )
        .at(FAULT, Deed::Process(|script| component(script, "system")))
        .restart(FAULT, 60.0, TWO_REPORTS)
        .serves(UP, FAULT)
        .serves(120.0, 160.0)
        .told(Told::Live("SystemError")),
        scenario("system-error-once", "the same in a single report")
            .at(FAULT, Deed::Process(|script| component(script, "system")))
            .at(FAULT + 9.0, Deed::Process(heal))
            .serves(UP, 160.0),
        scenario(
            "resource-error",
            "the component resource is in error: level 4, and the default level is 3",
        )
        .at(FAULT, Deed::Process(|script| component(script, "resource")))
        .at(HEAL, Deed::Process(heal))
        .serves(UP, FAULT)
        .serves(150.0, 160.0)
        .told(Told::Ready(&["ResourceError"])),
        scenario(
            "query-processing-error",
            "the component query_processing is in error: level 5",
        )
        .at(
            FAULT,
            Deed::Process(|script| component(script, "query_processing")),
        )
        .at(HEAL, Deed::Process(heal))
        .serves(UP, FAULT)
        .serves(150.0, 160.0)
        .told(Told::Ready(&["SchedulersDeadlocked"])),
    ]
}

fn component(script: &mut Script, name: &str) {
    script.diagnostics.states.insert(name.to_owned(), 3);
}
