//! The reports of the collectors, as samples. The families that they have collected are served as
//! they are.

use super::catalogue as row;
use super::families::{Families, flag, number};
use crate::exposition::{CollectorReport, Outcome};
use crate::publish::view::View;

/// Adds all samples, family by family.
pub fn expose(families: &mut Families, view: &View) {
    let reports = &view.collected.collectors;
    let mut gauge = |row: &row::Row, value: &dyn Fn(&CollectorReport) -> Option<f64>| {
        for report in reports {
            if let Some(value) = value(report) {
                families.sample(row, &[&report.name], value);
            }
        }
    };
    gauge(&row::COLLECTOR_SUCCESS, &|report| {
        (report.outcome != Outcome::Pending).then(|| flag(report.outcome == Outcome::Succeeded))
    });
    gauge(&row::COLLECTOR_DURATION, &|report| {
        report.duration.map(|duration| duration.as_secs_f64())
    });
    gauge(&row::COLLECTOR_RUNS, &|report| Some(number(report.runs)));
    gauge(&row::COLLECTOR_SUCCESS_AGE, &|report| {
        let age = view.moment.saturating_duration_since(report.succeeded?);
        Some(age.as_secs_f64())
    });
    gauge(&row::COLLECTOR_SERIES, &|report| {
        report.succeeded?;
        let (fragment, until) = report.fragment.as_ref()?;
        let samples = fragment.samples() as u64;
        Some(number(if view.moment < *until { samples } else { 0 }))
    });
    gauge(&row::COLLECTOR_LEFT_OUT, &|report| {
        report.succeeded.map(|_| number(report.left_out))
    });
    for report in reports {
        if let Outcome::Failed(reason) = report.outcome {
            families.sample(&row::COLLECTOR_FAILURE, &[&report.name, reason], 1.0);
        }
    }
}
