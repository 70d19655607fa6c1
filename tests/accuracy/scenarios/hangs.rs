//! Hangs, and what looks like one.

use rustix::process::Signal;

use super::{hang, heal};
use crate::scenario::{Deed, FAULT, HEAL, Scenario, Told, UP, Volume, scenario};
use crate::standin::command::Command;
use crate::standin::script::{Accept, Fault, Load, LoginAnswer, Script};
use crate::standin::sql::Kind;

/// `unresponsive-after`, a ping's interval until the first question that gets no answer, and a second.
const HUNG: f64 = 33.0;

pub fn all() -> Vec<Scenario> {
    [real(), alive(), brief(), listener()].concat()
}

fn real() -> Vec<Scenario> {
    vec![
        scenario(
            "frozen",
            "the engine process is stopped by SIGSTOP and stays so",
        )
        .at(FAULT, Deed::Child(Signal::STOP))
        .restart(FAULT, 60.0, HUNG)
        .serves(UP, FAULT)
        .serves(150.0, 180.0)
        .length(180.0)
        .told(Told::Live("EngineUnresponsive"))
        .quick(),
        scenario("hang", "nothing is answered any more, and nothing is done")
            .at(FAULT, Deed::Process(hang))
            .restart(FAULT, 60.0, HUNG)
            .serves(UP, FAULT)
            .serves(150.0, 180.0)
            .length(180.0)
            .told(Told::Live("EngineUnresponsive")),
        scenario(
            "hang-loop",
            "each start hangs after 20 s: three restarts that do not help are enough",
        )
        .each_start(20.0, Deed::Process(hang))
        .restart_at_most(3, 20.0, 60.0)
        .length(400.0)
        .told(Told::Live("EngineUnresponsive")),
    ]
}

/// No answer to some, or to all, and yet no hang.
fn alive() -> Vec<Scenario> {
    vec![
        scenario(
            "prelogin-hangs",
            "new connections are accepted and never answered, standing ones work: DESIGN calls that busy",
        )
        .at(FAULT, Deed::Process(|script| script.accept = Accept::Hang))
        .at(HEAL, Deed::Process(heal))
        .serves(UP, FAULT)
        .unfit(FAULT, HEAL)
        .serves(HEAL, 160.0)
        .told(Told::Ready(&["EngineBusy"])),
        scenario("queries-hang", "no query is answered, diagnostics go on: workers are busy, DESIGN waits")
            .at(FAULT, Deed::Process(queries_hang))
            .at(HEAL, Deed::Process(heal))
            .serves(UP, FAULT)
            .unfit(FAULT, HEAL)
            .serves(HEAL, 160.0)
            .told(Told::Ready(&["EngineBusy"])),
        scenario("diagnostics-silent", "the diagnostics stand still, queries are answered")
            .at(FAULT, Deed::Process(|script| script.diagnostics.silent = true))
            .at(HEAL, Deed::Process(heal))
            .serves(UP, 160.0),
        scenario("busy-cpu", "nothing is answered, a third of a core works: a rollback, a checkpoint")
            .at(
                FAULT,
                Deed::Process(|script| {
                    hang(script);
                    script.load = Load {
                        cpu_threads: 1,
                        cpu_percent: 35,
                        ..Load::default()
                    };
                }),
            )
            .at(HEAL, Deed::Process(heal))
            .serves(UP, FAULT)
            .unfit(FAULT, HEAL)
            .serves(HEAL, 160.0)
            .told(Told::Ready(&["EngineBusy"]))
            .weight(2),
        scenario("busy-io", "nothing is answered, 120 KiB/s are written")
            .on(Volume::Disk)
            .at(
                FAULT,
                Deed::Process(|script| {
                    hang(script);
                    script.load = Load {
                        io_writes_per_second: 30,
                        ..Load::default()
                    };
                }),
            )
            .at(HEAL, Deed::Process(heal))
            .serves(UP, FAULT)
            .unfit(FAULT, HEAL)
            .serves(HEAL, 160.0)
            .told(Told::Ready(&["EngineBusy"])),
    ]
}

fn queries_hang(script: &mut Script) {
    let kinds = [
        Kind::Ping,
        Kind::Databases,
        Kind::Requests,
        Kind::Properties,
        Kind::SystemInfo,
    ];
    script.faults = kinds.map(Fault::hang).into();
}

/// Shorter than any threshold.
fn brief() -> Vec<Scenario> {
    let mut flapping = scenario(
        "flapping",
        "a hang of 12 s, five times with as much time between them",
    )
    .told(Told::Anything)
    .serves(UP, FAULT)
    .length(200.0);
    for round in 0..5 {
        let begin = FAULT + 24.0 * f64::from(round);
        flapping = flapping
            .at(begin, Deed::Process(hang))
            .at(begin + 12.0, Deed::Process(heal));
    }
    let mut resets = scenario(
        "resets",
        "all connections are reset, and new ones for 3 s; three times",
    )
    .told(Told::Anything)
    .serves(UP, FAULT)
    .serves(120.0, 160.0);
    for round in 0..3 {
        let begin = FAULT + 15.0 * f64::from(round);
        resets = resets
            .at(begin, Deed::Process(|script| script.accept = Accept::Reset))
            .at(
                begin,
                Deed::Order(|| Command::CloseConnections { reset: true }),
            )
            .at(begin + 3.0, Deed::Process(heal));
    }
    vec![
        flapping,
        resets,
        scenario("slow-login", "logins get no answer for 7 s, once")
            .at(
                FAULT,
                Deed::Process(|script| script.login = LoginAnswer::Hang),
            )
            .at(FAULT + 7.0, Deed::Process(heal))
            .serves(UP, 160.0),
        scenario("freeze", "the engine process is stopped for 9 s")
            .at(FAULT, Deed::Child(Signal::STOP))
            .at(FAULT + 9.0, Deed::Child(Signal::CONT))
            .serves(UP, FAULT)
            .serves(80.0, 160.0)
            .told(Told::Anything),
        scenario(
            "container-freeze",
            "both processes are stopped for 24 s: below the threshold of 30 s",
        )
        .at(FAULT, Deed::Parent(Signal::STOP))
        .at(FAULT, Deed::Child(Signal::STOP))
        .at(FAULT + 24.0, Deed::Child(Signal::CONT))
        .at(FAULT + 24.0, Deed::Parent(Signal::CONT))
        .serves(UP, FAULT)
        .serves(100.0, 160.0)
        .told(Told::Anything)
        .quick(),
        scenario(
            "supervisor-paused",
            "the supervisor itself is stopped for 70 s; the engine is well",
        )
        .at(FAULT, Deed::Supervisor(Signal::STOP))
        .at(FAULT + 70.0, Deed::Supervisor(Signal::CONT))
        .serves(UP, FAULT)
        .serves(140.0, 160.0)
        .told(Told::Anything),
    ]
}

fn listener() -> Vec<Scenario> {
    vec![
        scenario(
            "listener-lost",
            "the port is closed and the connections with it, while the process lives",
        )
        .at(
            FAULT,
            Deed::Process(|script| script.accept = Accept::Refuse),
        )
        .at(
            FAULT,
            Deed::Order(|| Command::CloseConnections { reset: true }),
        )
        .restart(FAULT, 75.0, HUNG)
        .serves(UP, FAULT)
        .serves(150.0, 180.0)
        .length(180.0)
        .told(Told::Live("ListenerLost")),
        scenario(
            "listener-lost-standing",
            "the port is closed, connections that stand go on: nobody new can come",
        )
        .at(
            FAULT,
            Deed::Process(|script| script.accept = Accept::Refuse),
        )
        // A fresh login finds it, each 10 s.
        .restart(FAULT, 75.0, HUNG + 8.0)
        .serves(UP, FAULT)
        .serves(150.0, 180.0)
        .length(180.0)
        .told(Told::Live("ListenerLost")),
    ]
}
