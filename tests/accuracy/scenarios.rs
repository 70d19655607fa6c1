//! The suite. Each scenario is a few lines: what it is, what is done, what is right.
//!
//! What is right is what DESIGN's section on deciding says: a restart where there is evidence that the
//! engine is dead or hangs, and where a restart can help. Where that can be argued its line says so.

mod databases;
mod hangs;
mod logins;
mod processes;
mod recorded;
mod starts;
mod unasked;
mod volumes;

use crate::scale::scaled_ms;
use crate::scenario::Scenario;
use crate::standin::messages::SqlError;
use crate::standin::script::{
    Accept, Effect, Fault, Load, LoginAnswer, Match, Phase, Script, StartPhase,
};

/// All of them.
pub fn all() -> Vec<Scenario> {
    [
        starts::all(),
        hangs::all(),
        logins::all(),
        processes::all(),
        recorded::all(),
        databases::all(),
        volumes::all(),
        unasked::all(),
    ]
    .concat()
}

/// A phase of a start that takes `seconds`.
fn phase(phase: Phase, seconds: f64) -> StartPhase {
    StartPhase {
        phase,
        ms: Some(scaled_ms(seconds)),
    }
}

/// Nothing is answered any more, whoever asks and by whatever way.
fn hang(script: &mut Script) {
    script.accept = Accept::Hang;
    script.login = LoginAnswer::Hang;
    script.faults = vec![every(Effect::Hang)];
    script.diagnostics.silent = true;
}

/// All is answered again, and nothing is done beside it.
fn heal(script: &mut Script) {
    script.accept = Accept::Answer;
    script.login = LoginAnswer::Check;
    script.faults.clear();
    script.diagnostics.silent = false;
    script.diagnostics.states.clear();
    script.load = Load::default();
    script.paused = false;
    script.single_user = false;
}

fn every(effect: Effect) -> Fault {
    Fault {
        on: Match::default(),
        effect,
        times: None,
    }
}

/// The login is answered with this error.
fn refuse(script: &mut Script, number: i32) {
    script.login = LoginAnswer::Errors(vec![SqlError::new(number)]);
}
