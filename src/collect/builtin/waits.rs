//! Waits by category: what requests wait for. Idle waits, those of threads that have nothing to do,
//! are left out.

mod categories;

use super::{Builtin, OWN, fresh, metrics};
use crate::collect::{Failure, Output, Reading};
use crate::tds::value::Cells;
use categories::Category;

const BATCH: &str = "\
SELECT wait_type, waiting_tasks_count, wait_time_ms, signal_wait_time_ms
FROM sys.dm_os_wait_stats WHERE waiting_tasks_count > 0";

metrics! {
    WAITS: OWN, Counter "sql_edge_waits_total" ["category"]
        "Waits.";
    WAIT_TIME: OWN, Counter "sql_edge_wait_seconds_total" ["category"]
        "Time waited, for a processor after what was waited for included.";
    SIGNAL_TIME: OWN, Counter "sql_edge_wait_signal_seconds_total" ["category"]
        "Time waited for a processor after what was waited for.";
}

pub(super) const COLLECTOR: Builtin = Builtin::new("waits", METRICS, BATCH, fresh::<Answer>);

#[derive(Clone, Copy, Default)]
struct Sum {
    tasks: f64,
    ms: f64,
    signal_ms: f64,
}

/// The sums of a reading: one for each category, by its place in [`Category::ALL`].
#[derive(Default)]
struct Answer {
    sums: [Sum; Category::ALL.len()],
}

impl Reading for Answer {
    fn row(&mut self, _result_set: usize, cells: &Cells<'_>, _out: &mut Output<'_>) {
        let Some(category) = cells.text("wait_type").and_then(Category::of) else {
            return;
        };
        let place = Category::ALL.iter().position(|known| *known == category);
        let Some(sum) = place.and_then(|place| self.sums.get_mut(place)) else {
            return;
        };
        sum.tasks += cells.number("waiting_tasks_count").unwrap_or_default();
        sum.ms += cells.number("wait_time_ms").unwrap_or_default();
        sum.signal_ms += cells.number("signal_wait_time_ms").unwrap_or_default();
    }

    fn finish(self: Box<Self>, out: &mut Output<'_>) -> Result<(), Failure> {
        for (category, sum) in Category::ALL.iter().zip(self.sums) {
            let label = [category.word()];
            out.sample(&WAITS, &label, sum.tasks);
            out.sample(&WAIT_TIME, &label, sum.ms / 1000.0);
            out.sample(&SIGNAL_TIME, &label, sum.signal_ms / 1000.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Row, int, samples, text};
    use super::*;

    fn wait(name: &str, tasks: i64, ms: i64, signal: i64) -> Row {
        vec![
            ("wait_type", text(name)),
            ("waiting_tasks_count", int(tasks)),
            ("wait_time_ms", int(ms)),
            ("signal_wait_time_ms", int(signal)),
        ]
    }

    #[test]
    fn waits_of_a_category_are_added_and_idle_ones_left_out() {
        let rows = vec![
            wait("LCK_M_X", 3, 1500, 10),
            wait("LCK_M_S", 2, 500, 0),
            wait("SLEEP_TASK", 9, 9_000_000, 0),
        ];
        let lines = samples(&COLLECTOR, &[rows]).unwrap();
        assert_eq!(lines.len(), 3 * Category::ALL.len());
        for line in [
            "sql_edge_waits_total{category=\"lock\"} 5",
            "sql_edge_wait_seconds_total{category=\"lock\"} 2",
            "sql_edge_wait_signal_seconds_total{category=\"lock\"} 0.01",
            "sql_edge_wait_seconds_total{category=\"other\"} 0",
        ] {
            assert!(
                lines.iter().any(|known| known == line),
                "{line} in {lines:#?}"
            );
        }
    }
}
