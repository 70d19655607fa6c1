//! One result set of `sp_server_diagnostics`: a row for each component, with its particulars as
//! attributes in XML.

use crate::decide::observation::{ComponentState, Diagnostics};
use crate::tds::value::Cells;

/// Bytes of an element's start tag that are looked at. The attributes wanted are all on the root
/// element; what it contains (queries of users among it) is never parsed.
const MAX_TAG_BYTES: usize = 8 * 1024;

/// Gathers the rows of a report.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// The report under way; none before its first row, and after it was handed out.
    report: Option<Diagnostics>,
    /// Whether the report of this result set was handed out; rows that come late are dropped then, lest half
    /// a report follows a whole one.
    done: bool,
}

impl Collector {
    /// Begins a new result set. Returns the report of the one before, if it was not handed out yet.
    pub(super) fn begin(&mut self) -> Option<Diagnostics> {
        self.done = false;
        self.report.take()
    }

    /// Takes a row.
    pub(super) fn take(&mut self, cells: &Cells<'_>) {
        if self.done {
            return;
        }
        let report = self.report.get_or_insert_default();
        let Some(name) = cells.text("component_name") else {
            return;
        };
        let state = cells.integer("state").map(ComponentState::from);
        let data = cells.text("data").unwrap_or_default();
        apply(report, name, state, data);
    }

    /// Whether a report is under way.
    pub(super) fn is_open(&self) -> bool {
        self.report.is_some()
    }

    /// Whether every component that is used has come.
    pub(super) fn is_complete(&self) -> bool {
        self.report.as_ref().is_some_and(|report| {
            [
                report.system,
                report.resource,
                report.query_processing,
                report.io_subsystem,
            ]
            .iter()
            .all(Option::is_some)
        })
    }

    /// Hands the report out.
    pub(super) fn finish(&mut self) -> Option<Diagnostics> {
        self.done = true;
        self.report.take()
    }
}

impl From<i64> for ComponentState {
    fn from(state: i64) -> Self {
        match state {
            1 => Self::Clean,
            2 => Self::Warning,
            3 => Self::Error,
            _ => Self::Unknown,
        }
    }
}

/// Records what one component reports. Others (`events`, availability groups) are left out.
fn apply(report: &mut Diagnostics, name: &str, state: Option<ComponentState>, data: &str) {
    let is = |component: &str| name.eq_ignore_ascii_case(component);
    let attributes = Attributes::of(data);
    if is("system") {
        report.system = state;
        report.non_yielding_tasks = attributes.count("nonYieldingTasksReported");
        report.dump_requests = attributes.count("totalDumpRequests");
    } else if is("resource") {
        report.resource = state;
        report.out_of_memory_exceptions = attributes.count("outOfMemoryExceptions");
    } else if is("query_processing") {
        report.query_processing = state;
        report.tasks_completed = attributes.count("tasksCompletedWithinInterval");
        report.pending_tasks = attributes.count("pendingTasks");
        report.max_workers = attributes.count("maxWorkers");
        report.workers_created = attributes.count("workersCreated");
        report.workers_idle = attributes.count("workersIdle");
        report.deadlocked_schedulers = attributes
            .count("hasDeadlockedSchedulersOccurred")
            .map(|count| count > 0);
    } else if is("io_subsystem") {
        report.io_subsystem = state;
        report.long_ios = attributes.count("totalLongIos");
    }
}

/// The attributes of an XML document's root element.
struct Attributes(Vec<(String, u64)>);

impl Attributes {
    /// Returns the attributes that hold a count. Whatever is wrong with the document, the rest is absent: the
    /// set varies by version of the engine, and a state is worth more than its particulars.
    fn of(xml: &str) -> Self {
        Self(Self::parse(xml).unwrap_or_default())
    }

    fn parse(xml: &str) -> Option<Vec<(String, u64)>> {
        let tag = root_tag(xml)?;
        let element = format!("{}/>", tag.strip_suffix('/').unwrap_or(tag));
        let document = roxmltree::Document::parse(&element).ok()?;
        let counts = document
            .root_element()
            .attributes()
            .filter_map(|attribute| {
                let count = attribute.value().trim().parse().ok()?;
                Some((attribute.name().to_owned(), count))
            });
        Some(counts.collect())
    }

    /// Returns the attribute `name`; its case is not regular in the engine's output.
    fn count(&self, name: &str) -> Option<u64> {
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, count)| *count)
    }
}

/// Returns the start tag of the root element, from `<` to before its `>`. What comes before it (declaration,
/// comments) is passed over.
fn root_tag(xml: &str) -> Option<&str> {
    let start = xml
        .match_indices('<')
        .map(|(at, _)| at)
        .take_while(|at| *at < MAX_TAG_BYTES)
        .find(|at| xml[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()))?;
    let mut quote = None;
    for (at, byte) in xml.bytes().enumerate().skip(start).take(MAX_TAG_BYTES) {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (None, b'>') => return Some(&xml[start..at]),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tiberius::ColumnData;

    use super::*;

    const SYSTEM: &str = r#"<system spinlockBackoffs="0" sickSpinlockType="none" sickSpinlockTypeAfterAv="none"
        latchWarnings="0" isAccessViolationOccurred="0" writeAccessViolationCount="0" totalDumpRequests="2"
        intervalDumpRequests="0" nonYieldingTasksReported="7" pageFaults="0" systemCpuUtilization="6"
        sqlCpuUtilization="3" BadPagesDetected="0" BadPagesFixed="0" LastBadPageAddress="0x0"/>"#;

    const QUERY_PROCESSING: &str = r#"<queryProcessing maxWorkers="512" workersCreated="44" workersIdle="17"
        tasksCompletedWithinInterval="123" pendingTasks="1" oldestPendingTaskWaitingTime="0"
        hasUnresolvableDeadlockOccurred="0" hasDeadlockedSchedulersOccurred="1" trackingNonYieldingScheduler="0x0">
        <topWaits><nonPreemptive><byCount><wait waitType="X" waits="1"/></byCount></nonPreemptive></topWaits>
        <blockingTasks><blocked-process-report pendingTasks="99"/></blockingTasks></queryProcessing>"#;

    fn row(name: &'static str, state: i32, data: &str) -> [(&'static str, ColumnData<'static>); 3] {
        [
            ("component_name", ColumnData::String(Some(name.into()))),
            ("state", ColumnData::I32(Some(state))),
            ("data", ColumnData::String(Some(data.to_owned().into()))),
        ]
    }

    fn collect(rows: &[(&'static str, i32, &str)]) -> Collector {
        let mut collector = Collector::default();
        assert_eq!(collector.begin(), None);
        for (name, state, data) in rows {
            collector.take(&Cells::of(&row(name, *state, data)));
        }
        collector
    }

    #[test]
    fn a_report_is_complete_without_the_events() {
        let mut collector = collect(&[
            ("system", 1, SYSTEM),
            (
                "RESOURCE",
                2,
                r#"<resource lastNotification="RESOURCE_MEM_STEADY" outOfMemoryExceptions="3"/>"#,
            ),
            ("query_processing", 3, QUERY_PROCESSING),
        ]);
        assert!(collector.is_open() && !collector.is_complete());
        let io = r#"<ioSubsystem ioLatchTimeouts="0" intervalLongIos="0" totalLongIos="5"/>"#;
        collector.take(&Cells::of(&row("io_subsystem", 1, io)));
        assert!(collector.is_complete());
        let expected = Diagnostics {
            system: Some(ComponentState::Clean),
            resource: Some(ComponentState::Warning),
            query_processing: Some(ComponentState::Error),
            io_subsystem: Some(ComponentState::Clean),
            tasks_completed: Some(123),
            pending_tasks: Some(1),
            max_workers: Some(512),
            workers_created: Some(44),
            workers_idle: Some(17),
            deadlocked_schedulers: Some(true),
            non_yielding_tasks: Some(7),
            dump_requests: Some(2),
            out_of_memory_exceptions: Some(3),
            long_ios: Some(5),
        };
        assert_eq!(collector.finish(), Some(expected));
        collector.take(&Cells::of(&row("events", 0, "<events/>")));
        assert_eq!(collector.begin(), None, "late rows make no report");
    }

    #[test]
    fn the_next_result_set_ends_one_that_was_not_complete() {
        let mut collector = collect(&[("system", 3, "")]);
        let report = collector.begin().expect("a report without particulars");
        assert_eq!(report.system, Some(ComponentState::Error));
        assert_eq!(report.resource, None);
        assert_eq!(report.dump_requests, None);
    }

    #[test]
    fn states_that_are_not_documented_are_unknown() {
        for state in [0, 4, -1, i64::MAX] {
            assert_eq!(ComponentState::from(state), ComponentState::Unknown);
        }
    }

    #[test]
    fn torn_and_hostile_xml_gives_absent_fields() {
        let long = format!("<system a=\"{}\"/>", "x".repeat(MAX_TAG_BYTES));
        let bomb = "<!DOCTYPE system [<!ENTITY a \"1\"><!ENTITY b \"&a;&a;\">]>\
                    <system totalDumpRequests=\"&b;\"/>";
        for xml in [
            "",
            "<",
            "no xml",
            "<system totalDumpRequests=\"1",
            "<system totalDumpRequests=1/>",
            "<system totalDumpRequests=\"1\" totalDumpRequests=\"2\"/>",
            "<system totalDumpRequests=\"-1\"/>",
            "<system totalDumpRequests=\"99999999999999999999999\"/>",
            "<system x:y=\"1\" totalDumpRequests=\"1\"/>",
            bomb,
            long.as_str(),
            "\u{fffd}<é>",
        ] {
            let report = collect(&[("system", 1, xml)]).finish().expect("a report");
            assert_eq!(report.system, Some(ComponentState::Clean), "{xml:.40}");
            assert_eq!(report.dump_requests, None, "{xml:.40}");
        }
    }

    #[test]
    fn a_document_torn_after_its_root_tag_still_tells() {
        let torn = &QUERY_PROCESSING[..QUERY_PROCESSING.len() - 60];
        let report = collect(&[("query_processing", 1, torn)]).finish();
        assert_eq!(report.and_then(|report| report.pending_tasks), Some(1));
        let declared = format!("<?xml version=\"1.0\"?><!-- a > b -->{SYSTEM}");
        let report = collect(&[("system", 1, &declared)]).finish();
        assert_eq!(report.and_then(|report| report.dump_requests), Some(2));
    }

    #[test]
    fn attributes_are_found_whatever_their_case() {
        let report = collect(&[("System", 1, "<system TotalDumpRequests='4' a='>'/>")]).finish();
        assert_eq!(report.and_then(|report| report.dump_requests), Some(4));
    }
}
