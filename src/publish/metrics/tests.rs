use std::sync::Arc;

use super::*;
use crate::decide::observation::{
    ActionReport, ActionStep, AttemptStage, ServerError, VolumeCheck, VolumeFault,
};
use crate::decide::reason::Reason;
use crate::decide::time::Time;
use crate::exposition::{CollectorReport, Exposition, Outcome};
use crate::publish::fixture::{self, attempt};

fn observed(value: Observation) -> Observed<Observation> {
    Observed {
        at: Time::ZERO,
        value,
    }
}

fn terminated() -> Observation {
    let process = ProcessId {
        pid: 12,
        start_ticks: 1,
    };
    let step = ActionStep::Terminated;
    Observation::Action(ActionReport { process, step })
}

fn volume(write: WriteCheck) -> Observation {
    fixture::volume(VolumeCheck {
        mount: None,
        engine_mount: None,
        space: None,
        write,
        denial: None,
        master_present: None,
        identity: None,
        errorlog: None,
        output: None,
        dumps: None,
    })
}

/// Returns metrics after a bit of everything.
fn busy() -> Metrics {
    let metrics = Metrics::new();
    let server_error = |number| {
        Observation::Login(attempt(AttemptResult::Failed(ContactError::Server(
            ServerError {
                number,
                state: 1,
                class: 14,
            },
        ))))
    };
    let answered = attempt(AttemptResult::Answered {
        round_trip: Duration::from_millis(3),
    });
    for value in [
        Observation::Ping(answered.clone()),
        Observation::Ping(attempt(AttemptResult::Failed(ContactError::TimedOut(
            AttemptStage::Query,
        )))),
        Observation::Login(answered),
        server_error(18456),
        server_error(99_999),
        server_error(99_998),
        volume(WriteCheck::Written(Duration::from_millis(40))),
        volume(WriteCheck::Failed(VolumeFault::Other(42))),
        volume(WriteCheck::Skipped),
        Observation::Process(ProcessReport::Exited(ProcessExit {
            process: ProcessId {
                pid: 13,
                start_ticks: 1,
            },
            role: ProcessRole::Engine,
            status: Some(ExitStatus::Signal(9)),
            oom_killed: false,
        })),
        terminated(),
        Observation::Stall(Duration::from_millis(2_500)),
    ] {
        metrics.record(&observed(value));
    }
    metrics.own.set(own::Values {
        cpu_seconds: 1.25,
        resident_bytes: 5_000_000,
        virtual_bytes: 9_000_000,
        open_fds: 21,
        max_fds: Some(1024),
        threads: 3,
        start_time_seconds: 1_795_410_000.5,
    });
    let before = fixture::view("ready").published;
    let after = fixture::view("killed").published;
    let (before_decision, after_decision) = (
        before.decision.as_ref().unwrap(),
        after.decision.as_ref().unwrap(),
    );
    metrics.decided(None, before_decision, &before.snapshot);
    metrics.decided(Some(before_decision), after_decision, &after.snapshot);
    metrics
}

/// Returns a view of a recovering engine, with collectors that fare differently.
fn collecting() -> View {
    let mut view = fixture::view("recovering");
    let report = |name: &str, outcome| CollectorReport {
        outcome,
        ..CollectorReport::pending(name)
    };
    let ago = |seconds| {
        view.moment
            .checked_sub(Duration::from_secs(seconds))
            .unwrap()
    };
    let good = CollectorReport {
        runs: 7,
        duration: Some(Duration::from_millis(12)),
        succeeded: Some(ago(3)),
        left_out: 2,
        fragment: Some((Arc::default(), view.moment + Duration::from_secs(1))),
        ..report("io", Outcome::Succeeded)
    };
    let late = CollectorReport {
        runs: 3,
        duration: Some(Duration::from_secs(10)),
        succeeded: Some(ago(120)),
        fragment: Some((Arc::default(), ago(1))),
        ..report("waits", Outcome::Failed("timed_out"))
    };
    let collectors = vec![
        good,
        late,
        report("jobs", Outcome::Failed("unsupported")),
        report("orders", Outcome::Pending),
    ];
    view.collected = Arc::new(Exposition { collectors });
    view
}

/// The whole exposition of a busy supervisor. Reasons that do not hold are left out of the file, so
/// that a new one does not change it. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn golden_exposition() {
    let text = busy().expose(&collecting());
    let text: String = text
        .lines()
        .filter(|line| !(line.contains("reason_active{") && line.ends_with(" 0")))
        .map(|line| line.replace(env!("CARGO_PKG_VERSION"), "VERSION") + "\n")
        .map(|line| line.replace(std::env::consts::ARCH, "ARCH"))
        .collect();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/publish/metrics/golden.prom"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap());
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map(|value| value.parse().unwrap())
}

#[test]
fn every_metric_of_the_catalogue_is_exposed_and_no_other() {
    let text = busy().expose(&collecting());
    for row in catalogue::ALL {
        let kind = format!("{:?}", row.kind).to_lowercase();
        assert!(
            text.contains(&format!("# TYPE {} {kind}\n", row.name)),
            "{}",
            row.name
        );
    }
    assert_eq!(text.matches("# TYPE ").count(), catalogue::ALL.len());
}

#[test]
fn every_reason_is_there() {
    let text = Metrics::new().expose(&fixture::view("killed"));
    for reason in Reason::ALL {
        let series = format!(
            "sql_edge_supervisor_reason_active{{reason=\"{}\"}}",
            reason.code()
        );
        let holds = matches!(reason, Reason::ProcessKilled | Reason::DiskLow);
        assert_eq!(
            value(&text, &series),
            Some(families::flag(holds)),
            "{series}"
        );
    }
}

#[test]
fn an_unknown_error_number_makes_no_series_of_its_own() {
    let text = busy().expose(&fixture::view("ready"));
    let errors = |number| {
        value(
            &text,
            &format!("sql_edge_supervisor_login_errors_total{{number=\"{number}\"}}"),
        )
    };
    assert_eq!(errors("18456"), Some(1.0));
    assert_eq!(errors("other"), Some(2.0));
    assert_eq!(errors("99999"), None);
}

#[test]
fn a_stale_decision_leaves_no_verdict_standing() {
    let text = Metrics::new().expose(&fixture::view("stale"));
    let verdict = |probe| {
        value(
            &text,
            &format!("sql_edge_supervisor_probe_verdict{{probe=\"{probe}\"}}"),
        )
    };
    assert_eq!(verdict("live"), Some(1.0));
    assert_eq!(verdict("ready"), Some(0.0));
    assert_eq!(
        value(&text, "sql_edge_supervisor_decision_age_seconds"),
        Some(31.0)
    );
}

#[test]
fn before_the_first_decision_nothing_is_made_up() {
    let text = Metrics::new().expose(&fixture::view("undecided"));
    assert_eq!(
        value(&text, "sql_edge_supervisor_phase{phase=\"unseen\"}"),
        Some(1.0)
    );
    assert!(!text.contains("\nsql_edge_process_running"));
    assert!(!text.contains("\nsql_edge_volume_size_bytes{"));
}

#[test]
fn a_restart_is_another_identity_and_not_a_gap() {
    let metrics = Metrics::new();
    let published = fixture::view("ready").published;
    let decision = published.decision.as_ref().unwrap();
    let gone = fixture::view("killed").published;
    metrics.decided(None, decision, &published.snapshot);
    metrics.decided(Some(decision), decision, &gone.snapshot);
    metrics.decided(Some(decision), decision, &published.snapshot);
    assert_eq!(metrics.instruments.process_restarts.get(), 0);
    let mut other = published.snapshot.clone();
    if let Some(Observed {
        value: ProcessReport::Running(running),
        ..
    }) = &mut other.process
    {
        running.parent.start_ticks += 1;
    }
    metrics.decided(Some(decision), decision, &other);
    assert_eq!(metrics.instruments.process_restarts.get(), 1);
    assert_eq!(metrics.instruments.decisions.get(), 4);
}

#[test]
fn a_hostile_label_stays_a_label() {
    let mut view = fixture::view("ready");
    let mut published = (*view.published).clone();
    published.snapshot.server.as_mut().unwrap().value.edition = "a\"} 1\nfake_metric 2\\".into();
    view.published = published.into();
    let text = Metrics::new().expose(&view);
    assert!(!text.lines().any(|line| line.starts_with("fake_metric")));
}
