//! Databases without which the instance is not ready. What a restart would do to them is nothing, or
//! worse: a restore begins anew.

use crate::scenario::{Deed, FAULT, HEAL, Scenario, Told, UP, scenario};
use crate::standin::script::{Database, DatabaseState, Script};

const NEEDS_ORDERS: &[(&str, &str)] = &[("required-databases", "orders")];

pub fn all() -> Vec<Scenario> {
    let state = |name, what, deed, codes| {
        scenario(name, what)
            .script(|script| script.databases.push(Database::online("orders")))
            .setting(NEEDS_ORDERS)
            .at(FAULT, deed)
            .at(
                HEAL,
                Deed::Lasting(|script| set(script, DatabaseState::Online)),
            )
            .serves(UP, FAULT)
            .unfit(FAULT, HEAL)
            .serves(HEAL, 160.0)
            .told(Told::Ready(codes))
    };
    vec![
        state(
            "database-suspect",
            "a required database is SUSPECT",
            Deed::Lasting(|script| set(script, DatabaseState::Suspect)),
            &["DatabaseSuspect"],
        ),
        state(
            "recovery-pending",
            "a required database is RECOVERY_PENDING",
            Deed::Lasting(|script| set(script, DatabaseState::RecoveryPending)),
            &["DatabaseRecoveryPending"],
        ),
        state(
            "database-emergency",
            "a required database is in EMERGENCY mode",
            Deed::Lasting(|script| set(script, DatabaseState::Emergency)),
            &["DatabaseEmergency"],
        ),
        state(
            "database-offline",
            "a required database is OFFLINE",
            Deed::Lasting(|script| set(script, DatabaseState::Offline)),
            &["DatabaseOffline"],
        ),
        state(
            "database-restoring",
            "a required database is being restored",
            Deed::Lasting(|script| set(script, DatabaseState::Restoring)),
            &["DatabaseRestoring"],
        ),
    ]
}

fn set(script: &mut Script, state: DatabaseState) {
    let orders = script
        .databases
        .iter_mut()
        .find(|database| database.name == "orders");
    if let Some(orders) = orders {
        orders.state = state;
    }
}
