//! Memory: of the process, of the system as the engine sees it, and the engine's targets.

use super::{ALLOY, AWARAGI, Builtin, EachRow, KIB, OWN, PERCENT, SQL_EXPORTER, flag, metrics};
use crate::collect::Output;
use crate::tds::value::Cells;

const BATCH: &str = "\
SELECT physical_memory_in_use_kb, virtual_address_space_committed_kb, available_commit_limit_kb,
       locked_page_allocations_kb, page_fault_count, memory_utilization_percentage,
       process_physical_memory_low, process_virtual_memory_low
FROM sys.dm_os_process_memory;
SELECT total_physical_memory_kb, available_physical_memory_kb,
       total_page_file_kb, available_page_file_kb
FROM sys.dm_os_sys_memory;
SELECT committed_kb, committed_target_kb FROM sys.dm_os_sys_info";

metrics! {
    RESIDENT: ALLOY.and(SQL_EXPORTER), Gauge "mssql_resident_memory_bytes" []
        "SQL Server resident memory size (AKA working set).";
    PHYSICAL: OWN, Gauge "sql_edge_memory_physical_bytes" []
        "Physical memory that the engine uses.";
    VIRTUAL: ALLOY.and(SQL_EXPORTER), Gauge "mssql_virtual_memory_bytes" []
        "SQL Server committed virtual memory size.";
    VIRTUAL_OWN: OWN, Gauge "sql_edge_memory_virtual_committed_bytes" []
        "Virtual memory that the engine has committed.";
    AVAILABLE_COMMIT: ALLOY, Gauge "mssql_available_commit_memory_bytes" []
        "SQL Server available to be committed memory size.";
    AVAILABLE_COMMIT_OWN: OWN, Gauge "sql_edge_memory_available_commit_bytes" []
        "Memory that the engine could commit.";
    LOCKED: OWN, Gauge "sql_edge_memory_locked_pages_bytes" []
        "Memory that is locked.";
    FAULTS: SQL_EXPORTER.and(AWARAGI), Counter "mssql_page_fault_count" []
        "The number of page faults that were incurred by the SQL Server process.";
    FAULTS_ALLOY: ALLOY, Counter "mssql_page_fault_count_total" []
        "The number of page faults that were incurred by the SQL Server process.";
    FAULTS_OWN: OWN, Counter "sql_edge_memory_page_faults_total" []
        "Page faults of the engine.";
    UTILIZATION: ALLOY.and(SQL_EXPORTER).and(AWARAGI), Gauge "mssql_memory_utilization_percentage" []
        "The percentage of committed memory that is in the working set.";
    UTILIZATION_OWN: OWN, Gauge "sql_edge_memory_utilization_ratio" []
        "Share of the committed memory that is in the working set, 0 to 1.";
    LOW: OWN, Gauge "sql_edge_memory_low" ["kind"]
        "Whether the engine responds to a lack of memory (1) or not (0).";
    TOTAL_PHYSICAL: AWARAGI, Gauge "mssql_total_physical_memory_kb" []
        "Total physical memory in KB.";
    AVAILABLE_PHYSICAL: AWARAGI, Gauge "mssql_available_physical_memory_kb" []
        "Available physical memory in KB.";
    TOTAL_PAGE_FILE: AWARAGI, Gauge "mssql_total_page_file_kb" []
        "Total page file in KB.";
    AVAILABLE_PAGE_FILE: AWARAGI, Gauge "mssql_available_page_file_kb" []
        "Available page file in KB.";
    OS_MEMORY: ALLOY.and(SQL_EXPORTER), Gauge "mssql_os_memory" ["state"]
        "OS physical memory, used and available.";
    OS_MEMORY_OWN: OWN, Gauge "sql_edge_os_memory_bytes" ["state"]
        "Physical memory of the system as the engine sees it.";
    OS_PAGE_FILE: ALLOY.and(SQL_EXPORTER), Gauge "mssql_os_page_file" ["state"]
        "OS page file, used and available.";
    OS_PAGE_FILE_OWN: OWN, Gauge "sql_edge_os_page_file_bytes" ["state"]
        "Commit limit of the system as the engine sees it.";
    SERVER_TOTAL: ALLOY, Gauge "mssql_server_total_memory_bytes" []
        "SQL Server committed memory in the memory manager.";
    SERVER_TARGET: ALLOY, Gauge "mssql_server_target_memory_bytes" []
        "SQL Server target committed memory set for the memory manager.";
    COMMITTED: OWN, Gauge "sql_edge_memory_committed_bytes" []
        "Memory that the memory manager holds.";
    TARGET: OWN, Gauge "sql_edge_memory_target_bytes" []
        "Memory that the memory manager aims at.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("memory", METRICS, BATCH, || Box::new(EachRow(row)));

fn row(result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    match result_set {
        0 => process(cells, out),
        1 => system(cells, out),
        _ => {
            let bytes = |name| cells.number(name).map(|kb| kb * KIB);
            for (metrics, value) in [
                ([SERVER_TOTAL, COMMITTED], bytes("committed_kb")),
                ([SERVER_TARGET, TARGET], bytes("committed_target_kb")),
            ] {
                metrics
                    .iter()
                    .for_each(|metric| out.maybe(metric, &[], value));
            }
        }
    }
}

fn process(cells: &Cells<'_>, out: &mut Output<'_>) {
    let bytes = |name| cells.number(name).map(|kb| kb * KIB);
    for (metrics, value) in [
        ([RESIDENT, PHYSICAL], bytes("physical_memory_in_use_kb")),
        (
            [VIRTUAL, VIRTUAL_OWN],
            bytes("virtual_address_space_committed_kb"),
        ),
        (
            [AVAILABLE_COMMIT, AVAILABLE_COMMIT_OWN],
            bytes("available_commit_limit_kb"),
        ),
    ] {
        metrics
            .iter()
            .for_each(|metric| out.maybe(metric, &[], value));
    }
    out.maybe(&LOCKED, &[], bytes("locked_page_allocations_kb"));
    let faults = cells.number("page_fault_count");
    for metric in [FAULTS, FAULTS_ALLOY, FAULTS_OWN] {
        out.maybe(&metric, &[], faults);
    }
    let percent = cells.number("memory_utilization_percentage");
    out.maybe(&UTILIZATION, &[], percent);
    out.maybe(
        &UTILIZATION_OWN,
        &[],
        percent.map(|percent| percent * PERCENT),
    );
    for (kind, name) in [
        ("physical", "process_physical_memory_low"),
        ("virtual", "process_virtual_memory_low"),
    ] {
        let is_low = cells.integer(name).map(|low| flag(low != 0));
        out.maybe(&LOW, &[kind], is_low);
    }
}

fn system(cells: &Cells<'_>, out: &mut Output<'_>) {
    let total = cells.number("total_physical_memory_kb");
    let available = cells.number("available_physical_memory_kb");
    out.maybe(&TOTAL_PHYSICAL, &[], total);
    out.maybe(&AVAILABLE_PHYSICAL, &[], available);
    states([&OS_MEMORY, &OS_MEMORY_OWN], total, available, out);
    let total = cells.number("total_page_file_kb");
    let available = cells.number("available_page_file_kb");
    out.maybe(&TOTAL_PAGE_FILE, &[], total);
    out.maybe(&AVAILABLE_PAGE_FILE, &[], available);
    states([&OS_PAGE_FILE, &OS_PAGE_FILE_OWN], total, available, out);
}

fn states(
    metrics: [&crate::collect::Metric; 2],
    total_kb: Option<f64>,
    available_kb: Option<f64>,
    out: &mut Output<'_>,
) {
    let used_kb = total_kb
        .zip(available_kb)
        .map(|(total, available)| total - available);
    for metric in metrics {
        out.maybe(metric, &["used"], used_kb.map(|kb| kb * KIB));
        out.maybe(metric, &["available"], available_kb.map(|kb| kb * KIB));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{int, samples, samples_of};
    use super::*;

    #[test]
    fn kilobytes_become_bytes_and_the_rest_of_the_total_is_used() {
        let process = vec![
            ("physical_memory_in_use_kb", int(2)),
            ("memory_utilization_percentage", int(97)),
            ("process_physical_memory_low", int(1)),
            ("page_fault_count", int(5)),
        ];
        let system = vec![
            ("total_physical_memory_kb", int(10)),
            ("available_physical_memory_kb", int(4)),
        ];
        let info = vec![("committed_kb", int(1)), ("committed_target_kb", int(3))];
        let sets = [vec![process], vec![system], vec![info]];
        let lines = samples(&COLLECTOR, &sets).unwrap();
        for line in [
            "mssql_resident_memory_bytes 2048",
            "sql_edge_memory_physical_bytes 2048",
            "mssql_memory_utilization_percentage 97",
            "sql_edge_memory_utilization_ratio 0.97",
            "sql_edge_memory_low{kind=\"physical\"} 1",
            "mssql_page_fault_count_total 5",
            "mssql_total_physical_memory_kb 10",
            "mssql_os_memory{state=\"used\"} 6144",
            "mssql_os_memory{state=\"available\"} 4096",
            "mssql_server_total_memory_bytes 1024",
            "sql_edge_memory_target_bytes 3072",
        ] {
            assert!(
                lines.iter().any(|known| known == line),
                "{line} in {lines:#?}"
            );
        }
        // What was NULL or missing is absent, and no zero.
        assert!(samples_of("mssql_virtual", &COLLECTOR, &sets).is_empty());
        assert!(samples_of("mssql_os_page_file", &COLLECTOR, &sets).is_empty());
    }
}
