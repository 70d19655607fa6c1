//! `sp_server_diagnostics`, by Microsoft's failure-condition semantics: io_subsystem and events
//! never count, a component that is missing or unknown is no error.

use super::super::findings::Findings;
use super::super::reason::Reason;
use super::View;

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    let diagnostics = &view.snapshot.diagnostics;
    let Some(last) = &diagnostics.last else {
        return;
    };
    let enough = view.policy.diagnostics_reports.max(1);
    if diagnostics.system_errors >= enough {
        let evidence = format!("{} reports in a row", diagnostics.system_errors);
        findings.add(Reason::SystemError, evidence);
    }
    if diagnostics.resource_errors >= enough {
        let evidence = format!("{} reports in a row", diagnostics.resource_errors);
        findings.add(Reason::ResourceError, evidence);
    }
    if diagnostics.query_processing_errors >= enough {
        let deadlocked = match last.value.deadlocked_schedulers {
            Some(true) => ", with deadlocked schedulers",
            _ => "",
        };
        let count = diagnostics.query_processing_errors;
        findings.add(
            Reason::SchedulersDeadlocked,
            format!("{count} reports in a row{deadlocked}"),
        );
    }
}
