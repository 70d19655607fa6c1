//! One contestant over all scenarios.

use std::fmt;

use crate::report::Judged;
use crate::scenario::Told;

#[derive(Debug, Default)]
pub struct Summary {
    scenarios: usize,
    wrong: usize,
    false_restarts: usize,
    /// Scenarios with at least one.
    with_false: usize,
    missed: usize,
    times: Vec<f64>,
    unready: f64,
    wrongly_ready: f64,
}

impl Summary {
    pub fn of<'a>(rows: impl Iterator<Item = &'a Judged>) -> Self {
        let mut summary = Self::default();
        for row in rows {
            summary.scenarios += 1;
            let Ok(verdict) = &row.verdict else {
                summary.wrong += 1;
                continue;
            };
            let right = verdict.restarts_right() && verdict.readiness_right();
            summary.wrong += usize::from(!right);
            summary.false_restarts += verdict.false_restarts;
            summary.with_false += usize::from(verdict.false_restarts > 0);
            summary.missed += usize::from(verdict.missed);
            // An engine that ends by itself is started again at once, whoever watches.
            if matches!(row.scenario.told, Told::Live(_)) {
                summary.times.extend(verdict.time_to_restart);
            }
            summary.unready += verdict.unready;
            summary.wrongly_ready += verdict.wrongly_ready;
        }
        summary.times.sort_by(f64::total_cmp);
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} | {} in {} scenarios | {} | ",
            self.wrong, self.scenarios, self.false_restarts, self.with_false, self.missed
        )?;
        match (self.times.get(self.times.len() / 2), self.times.last()) {
            (Some(median), Some(max)) => write!(f, "{median:.1} s, {max:.1} s")?,
            _ => write!(f, "-")?,
        }
        write!(f, " | {:.0} s | {:.0} s", self.unready, self.wrongly_ready)
    }
}
