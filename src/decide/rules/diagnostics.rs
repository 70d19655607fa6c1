//! The reports of `sp_server_diagnostics`, by Microsoft's failure-condition semantics: io_subsystem and
//! events never count, a component that is missing or unknown is no error.

use super::super::findings::Findings;
use super::super::observation::ContactError;
use super::super::reason::Reason;
use super::super::sql_error::classify;
use super::View;

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    let diagnostics = &view.snapshot.diagnostics;
    unavailable(view, findings);
    // Reports that have ceased to come accuse nobody any more.
    let Some(last) = view.diagnostics() else {
        return;
    };
    let enough = view.policy.diagnostics_reports.max(1);
    // What was reported before a gap stands in no row with what is reported now.
    let row = diagnostics.in_a_row(view.policy.ages.diagnostics);
    let system_errors = diagnostics.system_errors.min(row);
    if system_errors >= enough {
        let evidence = format!("{system_errors} reports in a row");
        findings.add(Reason::SystemError, evidence);
    }
    let resource_errors = diagnostics.resource_errors.min(row);
    if resource_errors >= enough {
        let evidence = format!("{resource_errors} reports in a row");
        findings.add(Reason::ResourceError, evidence);
    }
    let count = diagnostics.query_processing_errors.min(row);
    if count >= enough {
        let deadlocked = match last.deadlocked_schedulers {
            Some(true) => ", with deadlocked schedulers",
            _ => "",
        };
        findings.add(
            Reason::SchedulersDeadlocked,
            format!("{count} reports in a row{deadlocked}"),
        );
    }
}

/// Adds a finding where the stream fails with an error that shows nothing of the engine's state. Errors of
/// the table have reasons of their own, by the ping and the login.
fn unavailable(view: &View<'_>, findings: &mut Findings) {
    if let Some(failed) = &view.snapshot.diagnostics.failed
        && let ContactError::Server(error) = failed.value
        && classify(error.number).is_none()
    {
        let evidence = format!(
            "error {}, state {}, severity {} (not in the table)",
            error.number, error.state, error.class
        );
        findings.add(Reason::DiagnosticsUnavailable, evidence);
    }
}
