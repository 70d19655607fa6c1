//! Has the supervisor's own login made where the engine refuses it and an administrator's is configured.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use crate::act::bootstrap::{Bootstrapped, bootstrap};
use crate::config::SqlConfig;
use crate::decide::reason::Reason;
use crate::publish::{Published, Reader};

/// The pause between a failed try and the next: each is a login of an administrator's, and may be a line in
/// the engine's log.
const RETRY: Duration = Duration::from_secs(60);

/// Makes the login once for each time that the engine refuses it while it serves. Ends at once where no
/// administrator is configured, and when nothing is decided any more.
///
/// # Cancel safety
/// The same as of [`bootstrap`].
pub async fn follow(sql: SqlConfig, mut decisions: Reader) {
    let Some(administrator) = sql.bootstrap.user.clone() else {
        return;
    };
    loop {
        if decisions.wait_for(wanted).await.is_err() {
            return;
        }
        match bootstrap(&sql, &administrator).await {
            Ok(Bootstrapped::Made) => info!(login = sql.user, "the supervisor's login was made"),
            Ok(Bootstrapped::AlreadyThere) => warn!(
                login = sql.user,
                "the engine knows this login and refuses its password: it is left as it is; set its password to the Secret's, or drop it"
            ),
            Err(error) => {
                warn!(
                    login = sql.user,
                    ?error,
                    "the supervisor's login could not be made"
                );
                sleep(RETRY).await;
                continue;
            }
        }
        // Not again before it was let in: another engine may come that does not know it.
        if decisions
            .wait_for(|published| !wanted(published))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Whether the engine refuses the login, and nobody works on it or ends it.
fn wanted(published: &Arc<Published>) -> bool {
    published.decision.as_ref().is_some_and(|decision| {
        let found = |reason| decision.finding(reason).is_some();
        let busy = [Reason::Stopping, Reason::Maintenance]
            .into_iter()
            .any(found);
        found(Reason::LoginFailed) && !busy && decision.action.is_none()
    })
}
