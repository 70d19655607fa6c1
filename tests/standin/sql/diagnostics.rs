//! The result of `sp_server_diagnostics`: five components with the engine's own XML attributes, spelled as
//! there.

use super::super::script::Diagnostics;
use super::super::tds::datetime::DateTime;
use super::super::tds::types::{SYSNAME, SqlType};
use super::super::tds::value::{Column, ResultSet, Value};

/// Intervals from 1 to 4 seconds are refused.
pub const MIN_REPEAT_SECONDS: i64 = 5;
/// "has to run at least 5 seconds to return complete data" (Microsoft's page of the procedure).
pub const COLLECT_SECONDS: i64 = 5;

struct Component {
    name: &'static str,
    element: &'static str,
    healthy_state: u8,
    attributes: &'static [(&'static str, &'static str)],
    body: &'static str,
}

const COMPONENTS: [Component; 5] = [
    Component {
        name: "system",
        element: "system",
        healthy_state: 1,
        attributes: &[
            ("spinlockBackoffs", "0"),
            ("sickSpinlockType", "none"),
            ("sickSpinlockTypeAfterAv", "none"),
            ("latchWarnings", "0"),
            ("isAccessViolationOccurred", "0"),
            ("writeAccessViolationCount", "0"),
            ("totalDumpRequests", "0"),
            ("intervalDumpRequests", "0"),
            ("nonYieldingTasksReported", "0"),
            ("pageFaults", "0"),
            ("systemCpuUtilization", "1"),
            ("sqlCpuUtilization", "1"),
            ("BadPagesDetected", "0"),
            ("BadPagesFixed", "0"),
            ("LastBadPageAddress", "0x0"),
        ],
        body: "",
    },
    Component {
        name: "resource",
        element: "resource",
        healthy_state: 1,
        attributes: &[
            ("lastNotification", "RESOURCE_MEMPHYSICAL_HIGH"),
            ("outOfMemoryExceptions", "0"),
            ("isAnyPoolOutOfMemory", "0"),
            ("processOutOfMemoryPeriod", "0"),
        ],
        body: "<memoryReport name=\"Process/System Counts\" unit=\"Value\">\
               <entry description=\"Available Physical Memory\" value=\"2147483648\"/>\
               <entry description=\"Working Set\" value=\"536870912\"/>\
               <entry description=\"Percent of Committed Memory in WS\" value=\"100\"/>\
               </memoryReport>",
    },
    Component {
        name: "query_processing",
        element: "queryProcessing",
        healthy_state: 1,
        attributes: &[
            ("maxWorkers", "512"),
            ("workersCreated", "42"),
            ("workersIdle", "20"),
            ("tasksCompletedWithinInterval", "10"),
            ("pendingTasks", "0"),
            ("oldestPendingTaskWaitingTime", "0"),
            ("hasUnresolvableDeadlockOccurred", "0"),
            ("hasDeadlockedSchedulersOccurred", "0"),
            ("trackingNonYieldingScheduler", "0x0"),
        ],
        body: "<topWaits><nonPreemptive><byCount>\
               <wait waitType=\"WRITELOG\" waits=\"12\" averageWaitTime=\"1\" maxWaitTime=\"4\"/>\
               </byCount><byDuration/></nonPreemptive>\
               <preemptive><byCount/><byDuration/></preemptive></topWaits>\
               <cpuIntensiveRequests/><pendingTasks/><blockingTasks/>",
    },
    Component {
        name: "io_subsystem",
        element: "ioSubsystem",
        healthy_state: 1,
        attributes: &[
            ("ioLatchTimeouts", "0"),
            ("intervalLongIos", "0"),
            ("totalLongIos", "0"),
        ],
        body: "<longestPendingRequests/>",
    },
    Component {
        name: "events",
        element: "events",
        healthy_state: 0,
        attributes: &[],
        body: "",
    },
];

/// Returns one report: a row for each component.
pub fn report(script: &Diagnostics, time: DateTime) -> ResultSet {
    let rows = COMPONENTS.iter().map(|component| {
        let state = script
            .states
            .get(component.name)
            .copied()
            .unwrap_or(component.healthy_state);
        vec![
            Value::DateTime(time),
            Value::text("instance"),
            Value::text(component.name),
            Value::Int(i64::from(state)),
            Value::text(match state {
                1 => "clean",
                2 => "warning",
                3 => "error",
                _ => "unknown",
            }),
            Value::Text(xml(component, script)),
        ]
    });
    ResultSet {
        rows: rows.collect(),
        columns: vec![
            Column::new("create_time", SqlType::DateTime),
            Column::new("component_type", SYSNAME),
            Column::new("component_name", SYSNAME),
            Column::new("state", SqlType::Int),
            Column::new("state_desc", SYSNAME),
            Column::new("data", SqlType::VarCharMax),
        ],
    }
}

fn xml(component: &Component, script: &Diagnostics) -> String {
    let overrides = script.attributes.get(component.name);
    let mut text = format!("<{}", component.element);
    for (name, healthy) in component.attributes {
        let value = overrides
            .and_then(|map| map.get(*name))
            .map_or(*healthy, String::as_str);
        text.push_str(&format!(" {name}=\"{}\"", escape(value)));
    }
    // Attributes that no known version has: so that tests can see them ignored.
    for (name, value) in overrides.into_iter().flatten() {
        if component.attributes.iter().all(|(known, _)| known != name) {
            text.push_str(&format!(" {name}=\"{}\"", escape(value)));
        }
    }
    if component.body.is_empty() {
        text.push_str("/>");
    } else {
        text.push_str(&format!(">{}</{}>", component.body, component.element));
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
