//! An engine that is well and can't be asked by the supervisor, one that somebody else stops, restarts that
//! do not help, and a machine that was suspended. What the supervisor can't do counts against nobody.

use rustix::process::Signal;

use super::hang;
use crate::scale::scaled_ms;
use crate::scenario::{Deed, FAULT, Scenario, Told, UP, VolumeDeed, scenario};
use crate::standin::script::{Accept, Phase, StartPhase};

/// Past the quarter of an hour after which a start counts as stalled.
const PAST_A_START: f64 = 990.0;
/// How long the checkpoint of the shutdown takes.
const CHECKPOINT: f64 = 120.0;

pub fn all() -> Vec<Scenario> {
    [unasked(), stopped(), repeated(), two_instances()].concat()
}

/// Only this supervisor has the mistake; what the others do is as with a healthy engine.
fn unasked() -> Vec<Scenario> {
    let mistake = |name, what, settings, code| {
        scenario(name, what)
            .setting(settings)
            .length(PAST_A_START)
            .told(Told::Found(code))
    };
    vec![
        mistake(
            "password-unreadable",
            "the password's file does not exist: an idle, healthy engine is left alone",
            &[("sql-password-file", "/no/such/file")],
            "CredentialsUnreadable",
        ),
        mistake(
            "wrong-port",
            "another port is configured than the engine listens on",
            &[("sql-port", "1")],
            "ListeningElsewhere",
        ),
        mistake(
            "other-address",
            "another address is configured than the engine listens on",
            &[("sql-host", "127.0.0.9")],
            "ListeningElsewhere",
        ),
        scenario(
            "no-tds",
            "what should be TDS is garbage from the start: nothing is known of the engine",
        )
        .script(|script| script.accept = Accept::TlsGarbage)
        .unfit(UP, PAST_A_START)
        .length(PAST_A_START)
        .told(Told::Found("TlsFailed")),
    ]
}

fn stopped() -> Vec<Scenario> {
    vec![
        scenario(
            "shutdown-two-minutes",
            "somebody else stops the engine: it says so once, closes its port, and its checkpoint takes two minutes",
        )
        .script(|script| script.shutdown_ms = scaled_ms(CHECKPOINT))
        .at(FAULT, Deed::Parent(Signal::TERM))
        .at(FAULT + 6.0, Deed::Process(|script| script.accept = Accept::Refuse))
        .restart(FAULT + CHECKPOINT - 2.0, 14.0, 8.0)
        .serves(UP, FAULT)
        .unfit(FAULT, FAULT + CHECKPOINT)
        .serves(FAULT + CHECKPOINT + 60.0, FAULT + CHECKPOINT + 90.0)
        .length(FAULT + CHECKPOINT + 90.0)
        .told(Told::Ready(&["Stopping"])),
        scenario(
            "suspended",
            "the machine is suspended for 70 s, and goes on as if nothing had been",
        )
        .at(FAULT, Deed::Supervisor(Signal::STOP))
        .at(FAULT, Deed::Child(Signal::STOP))
        .at(FAULT + 70.0, Deed::Child(Signal::CONT))
        .at(FAULT + 70.0, Deed::Supervisor(Signal::CONT))
        .serves(UP, FAULT)
        .serves(FAULT + 90.0, 180.0)
        .length(180.0)
        .told(Told::Anything),
        scenario(
            "full-at-the-start",
            "the volume is full when the engine starts: it runs, and an operator makes room",
        )
        .at(0.5, Deed::Volume(VolumeDeed::Fill))
        .length(100.0)
        .told(Told::Found("DiskFull")),
    ]
}

/// On one machine, seen by one supervisor: it is for one volume, and so for one of them.
fn two_instances() -> Vec<Scenario> {
    vec![
        scenario(
            "other-instance-hangs",
            "two instances on one host: the other one stands still for good, this one is well",
        )
        .beside_another()
        .at(FAULT, Deed::Neighbour(Signal::STOP))
        .serves(UP, 160.0),
        scenario(
            "hang-beside-another",
            "two instances on one host: this one hangs, and the other one may not be touched",
        )
        .beside_another()
        .at(FAULT, Deed::Process(hang))
        .restart(FAULT, 60.0, 33.0)
        .serves(UP, FAULT)
        .serves(150.0, 180.0)
        .length(180.0)
        .told(Told::Live("EngineUnresponsive")),
    ]
}

fn repeated() -> Vec<Scenario> {
    vec![
        scenario(
            "failed-restarts",
            "each start stalls, five minutes after the one before: three restarts do not help, and there is no fourth",
        )
        .phases(vec![StartPhase {
            phase: Phase::Refusing,
            ms: None,
        }])
        .setting(&[("startup-stalled-after", "5m")])
        .restart_at_most(3, 280.0, 1600.0)
        .unfit(0.0, 2000.0)
        .length(2000.0)
        .told(Told::Found("RestartBudgetExhausted")),
    ]
}
