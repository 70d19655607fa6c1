//! Logins and queries that are refused by name: the engine answers, so it lives.

use super::{heal, refuse};
use crate::scenario::{Deed, FAULT, HEAL, Scenario, Told, UP, scenario};
use crate::standin::messages::SqlError;
use crate::standin::script::{Accept, Effect, Fault, Match, Script};
use crate::standin::sql::Kind;

pub fn all() -> Vec<Scenario> {
    [credentials(), states(), permissions(), queries()].concat()
}

/// The supervisor's own login is refused, clients' are not: readiness stays as it was proven.
fn credentials() -> Vec<Scenario> {
    let refused = |name, what, deed, code| {
        scenario(name, what)
            .at(FAULT, deed)
            .serves(UP, 160.0)
            .told(Told::Found(code))
    };
    vec![
        refused(
            "password-rotated",
            "the login's password is another one now, and no probe knows it",
            Deed::Lasting(rotate),
            "LoginFailed",
        )
        .quick(),
        refused(
            "login-disabled",
            "18470: the login is disabled",
            Deed::Lasting(|script| refuse(script, 18_470)),
            "LoginDisabled",
        ),
        refused(
            "login-locked",
            "18486: the login is locked out",
            Deed::Lasting(|script| refuse(script, 18_486)),
            "LoginDisabled",
        ),
        refused(
            "password-expired",
            "18488: the password must be changed",
            Deed::Lasting(|script| refuse(script, 18_488)),
            "PasswordExpired",
        ),
        refused(
            "tls-broken",
            "what should be TLS is garbage; DESIGN: readiness stays as it was proven",
            Deed::Lasting(|script| script.accept = Accept::TlsGarbage),
            "TlsFailed",
        ),
        scenario(
            "wrong-password",
            "the password never was right: never proven, so not ready; no restart mends it",
        )
        .script(rotate)
        .unfit(UP, 160.0)
        .told(Told::Found("LoginFailed")),
    ]
}

fn rotate(script: &mut Script) {
    script
        .logins
        .insert("sa".to_owned(), "Rotated_1".to_owned());
}

/// Nobody gets in, for a reason that passes or that an operator ends.
fn states() -> Vec<Scenario> {
    let state = |name, what, deed, codes| {
        scenario(name, what)
            .at(FAULT, deed)
            .at(HEAL, Deed::Lasting(heal))
            .serves(UP, FAULT)
            .unfit(FAULT, HEAL)
            .serves(HEAL, 160.0)
            .told(Told::Ready(codes))
    };
    vec![
        state(
            "connections-exhausted",
            "17809: no more connections are taken",
            Deed::Lasting(|script| refuse(script, 17_809)),
            &["ConnectionsExhausted"],
        ),
        state(
            "workers-exhausted",
            "17189: no thread for a new connection",
            Deed::Lasting(|script| refuse(script, 17_189)),
            &["WorkersExhausted"],
        ),
        state(
            "paused",
            "17142: an administrator has paused the engine",
            Deed::Lasting(|script| script.paused = true),
            &["Paused"],
        ),
        state(
            "single-user",
            "18461: only one administrator may log in",
            Deed::Lasting(|script| refuse(script, 18_461)),
            &["SingleUser"],
        ),
        state(
            "single-user-sa",
            "IsSingleUser: sa passes still, and nobody else would",
            Deed::Lasting(|script| script.single_user = true),
            &["SingleUser"],
        ),
        state(
            "logon-trigger",
            "17892: a logon trigger refuses logins",
            Deed::Lasting(|script| refuse(script, 17_892)),
            &["LogonTriggerRefuses"],
        ),
    ]
}

fn permissions() -> Vec<Scenario> {
    vec![
        scenario(
            "no-permission",
            "300: the login may not see the server's state",
        )
        .script(|script| script.view_server_state = false)
        .serves(UP, 160.0),
        scenario(
            "no-diagnostics",
            "2812: sp_server_diagnostics does not exist",
        )
        .script(|script| script.diagnostics.missing = true)
        .serves(UP, 160.0),
    ]
}

fn queries() -> Vec<Scenario> {
    let lasting = |name, what, deed, codes| {
        scenario(name, what)
            .at(FAULT, deed)
            .at(HEAL, Deed::Lasting(heal))
            .serves(UP, FAULT)
            .unfit(FAULT, HEAL)
            .serves(HEAL, 160.0)
            .told(Told::Ready(codes))
    };
    vec![
        scenario("out-of-memory-once", "701, once")
            .at(FAULT, Deed::Process(|script| fail(script, 701, Some(1))))
            .serves(UP, FAULT)
            .serves(100.0, 160.0)
            .told(Told::Anything),
        lasting(
            "corruption",
            "823: storage gives wrong data; a restart mends nothing",
            Deed::Lasting(|script| fail(script, 823, None)),
            &["DataCorruption"],
        ),
        lasting(
            "log-full",
            "9002: the transaction log is full",
            Deed::Lasting(|script| fail(script, 9002, None)),
            &["LogFull"],
        ),
    ]
}

/// Queries are answered with this error.
fn fail(script: &mut Script, number: i32, times: Option<u32>) {
    script.faults = vec![Fault {
        on: Match {
            kind: Some(Kind::Ping),
            ..Match::default()
        },
        effect: Effect::Error(SqlError::new(number)),
        times,
    }];
}
