//! The dashboard of all instances: which are not ready, and why.

use super::dashboard::{Dashboard, Panel, query};
use super::instance;

pub const UID: &str = "sql-edge-fleet";

/// Every panel's series are of the instances that are chosen.
const SELECTOR: &str = r#"cluster=~"$cluster",namespace=~"$namespace""#;

const READY: &str = r#"sql_edge_supervisor_probe_verdict{probe="ready",$S}"#;

pub fn dashboard() -> Dashboard {
    Dashboard::new(
        UID,
        "SQL Edge / fleet",
        "Which instances are not ready, and why; restarts, volumes, backups and versions of all of them.",
        SELECTOR,
    )
    .variable("cluster", "", true)
    .variable("namespace", r#"{cluster=~"$cluster"}"#, true)
    .link("SQL Edge / instance", instance::UID)
    .row("Current state", now())
    .row("History", over_time())
    .row("Capacity", running_out())
    .row("Inventory", inventory())
}

fn now() -> Vec<Panel> {
    let not_ready = format!("({READY} == 0)");
    vec![
        Panel::stat("Instances", "short")
            .says("Supervisors that Prometheus scrapes.")
            .of([query("count(sql_edge_supervisor_build_info{$S}) or vector(0)", "instances")]),
        Panel::stat("Ready", "percentunit")
            .says("Share of the instances that serve clients.")
            .steps(1.0, 0.9)
            .of([query(&format!("avg({READY})"), "ready")]),
        Panel::stat("Not ready", "short")
            .says("Instances that are cut off from their clients; the table says why.")
            .steps(1.0, 1.0)
            .of([query(&format!("count({READY} == 0) or vector(0)"), "not ready")]),
        Panel::stat("Gate shut", "short")
            .says("Instances whose engine is not started, because of the volume or its lease.")
            .steps(1.0, 1.0)
            .of([query(
                r#"count(sql_edge_supervisor_probe_verdict{probe="gate",$S} == 0) or vector(0)"#,
                "gate shut",
            )]),
        Panel::stat("Restart budget exhausted", "short")
            .says("Instances that are left alone because restarts did not help.")
            .steps(1.0, 1.0)
            .of([query(
                r#"sum(sql_edge_supervisor_reason_active{reason="RestartBudgetExhausted",$S}) or vector(0)"#,
                "held",
            )]),
        Panel::stat("Restarts, 24 h", "short")
            .says("Restarts of engines that supervisors asked for within a day.")
            .steps(1.0, 5.0)
            .of([query(
                "sum(increase(sql_edge_supervisor_engine_restarts_total{$S}[24h])) or vector(0)",
                "restarts",
            )]),
        Panel::stat("Fences, 24 h", "short")
            .says("Engines that were killed within a day because they may not write their volume.")
            .steps(1.0, 1.0)
            .of([query(
                "sum(increase(sql_edge_supervisor_engine_fences_total{$S}[24h])) or vector(0)",
                "fences",
            )]),
        Panel::stat("Not scraped", "short")
            .says("Supervisors that Prometheus could scrape within the hour and can't now.")
            .steps(1.0, 1.0)
            .of([query(
                "count((up{$S} == 0) and on (job, instance) last_over_time(sql_edge_supervisor_build_info{$S}[1h])) or vector(0)",
                "not scraped",
            )]),
        Panel::table("Not ready, by reason")
            .says("One row for each reason that holds on an instance that is not ready. `sql-edge-supervisor reasons CODE` says what to do.")
            .of([query(
                &format!(
                    "(sql_edge_supervisor_reason_active{{$S}} == 1) and on (job, instance) {not_ready}"
                ),
                "{{reason}}",
            )]),
        Panel::table("Alerts")
            .says("Alerts of the rules that belong to this dashboard, firing now.")
            .of([query(
                r#"ALERTS{alertname=~"SqlEdge.*",alertstate="firing",$S}"#,
                "{{alertname}}",
            )]),
    ]
}

fn over_time() -> Vec<Panel> {
    vec![
        Panel::timeline("Readiness")
            .says("Red: cut off from clients.")
            .texts(&[("0", "not ready", "red"), ("1", "ready", "green")])
            .of([query(READY, "{{namespace}} {{pod}} {{instance}}")]),
        Panel::bars("Reasons on instances that are not ready", "short")
            .says("How many instances each reason holds on.")
            .size(12, 8)
            .of([query(
                &format!(
                    "sum by (reason) (sql_edge_supervisor_reason_active{{$S}} and on (job, instance) ({READY} == 0)) > 0"
                ),
                "{{reason}}",
            )]),
        Panel::bars("Restarts by reason", "short")
            .says("Restarts that supervisors asked for.")
            .size(12, 8)
            .of([query(
                "sum by (reason) (increase(sql_edge_supervisor_engine_restarts_total{$S}[$__rate_interval])) > 0",
                "{{reason}}",
            )]),
    ]
}

fn running_out() -> Vec<Panel> {
    vec![
        Panel::bar_gauge("Volumes with the least free space", "percentunit")
            .says("The ten fullest.")
            .to(1.0)
            .steps(0.2, 0.1)
            .of([query(
                "bottomk(10, sql_edge_volume_free_bytes{$S} / sql_edge_volume_size_bytes{$S})",
                "{{namespace}} {{pod}} {{instance}} {{volume}}",
            )]),
        Panel::bar_gauge("Highest share of the memory limit", "percentunit")
            .says("Resident memory of sqlservr by the container's limit; the page cache is not counted.")
            .to(1.0)
            .steps(0.8, 0.9)
            .of([query(
                "topk(10, sql_edge_process_resident_memory_bytes{$S} / sql_edge_cgroup_memory_limit_bytes{$S})",
                "{{namespace}} {{pod}} {{instance}}",
            )]),
        Panel::bar_gauge("Highest ping latency", "s")
            .says("99th percentile of the ping's round trip.")
            .steps(0.1, 0.5)
            .of([query(
                "topk(10, histogram_quantile(0.99, rate(sql_edge_supervisor_ping_duration_seconds_bucket{$S}[5m])))",
                "{{namespace}} {{pod}} {{instance}}",
            )]),
        Panel::bar_gauge("Oldest last backup", "s")
            .says("Time since the last full or differential backup of the database for which it is longest ago, by instance.")
            .steps(2.0 * 86_400.0, 8.0 * 86_400.0)
            .of([query(
                r#"topk(10, max without (database) (time() - max without (type) (sql_edge_backup_last_finish_timestamp_seconds{type=~"full|differential",$S})))"#,
                "{{namespace}} {{pod}} {{instance}}",
            )]),
        Panel::bar_gauge("TLS certificates, time to expiry", "s")
            .says("Time until the certificate expires.")
            .steps(14.0 * 86_400.0, 2.0 * 86_400.0)
            .of([query(
                "bottomk(10, sql_edge_tls_certificate_expiry_timestamp_seconds{$S} - time())",
                "{{namespace}} {{pod}} {{instance}} {{certificate}}",
            )]),
        Panel::bar_gauge("Highest CPU throttling", "percentunit")
            .says("Share of the cpu limit's periods in which the container was throttled.")
            .to(1.0)
            .steps(0.1, 0.25)
            .of([query(
                "topk(10, rate(sql_edge_cgroup_cpu_throttled_periods_total{$S}[5m]) / (rate(sql_edge_cgroup_cpu_periods_total{$S}[5m]) > 0))",
                "{{namespace}} {{pod}} {{instance}}",
            )]),
    ]
}

fn inventory() -> Vec<Panel> {
    vec![
        Panel::table("Engines")
            .says("Version and edition, as each engine says.")
            .of([query("sql_edge_info{$S}", "{{version}}")]),
        Panel::table("Supervisors")
            .says("Version of each supervisor.")
            .of([query("sql_edge_supervisor_build_info{$S}", "{{version}}")]),
    ]
}
