//! The contestants: each one's probes, and where they come from.
//!
//! | | probes of the SQL container | from |
//! | --- | --- | --- |
//! | a | none: the container is started again when its process ends | Microsoft, "Deploy an Azure SQL Edge container in Kubernetes": its Deployment has no probe |
//! | b | tcpSocket 1433. Liveness after 30 s, each 15 s; readiness after 20 s, each 10 s; timeout and thresholds by default: 1 s, 3 | popul/mssql-k8s-operator, `internal/controller/sqlserver_instance.go` |
//! | c | exec of a SQL client, `SELECT 1`: each 10 s, timeout 5 s, threshold 3. Startup after 15 s, threshold 10; liveness and readiness after 5 s | period, timeout and threshold as the benchmark's task has them; the rest from ElmCompany/helm-charts, `charts/mssql/values.yaml` (the layout of Bitnami's charts) |
//! | d | `sp_server_diagnostics` once, each 10 s, 20 s for the login and 20 s for the query, 30 s for all; the first failure counts; a start may take 1000 s | microsoft/mssql-server-ha, `fci/docs/fci_metadata` and `go/src/mssqlcommon/lib.go` |
//! | e | this supervisor | below |
//!
//! The grace period is the default of 30 s for everybody.

use std::net::SocketAddr;

use crate::check::Check;
use crate::kubelet::{Kind, Probe};

/// A pod's default.
const GRACE: f64 = 30.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    NoProbe,
    TcpSocket,
    SqlClient,
    Diagnostics,
    Supervisor,
}

/// Who restarts a container for the supervisor.
#[allow(dead_code, reason = "one of the two is the default")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartBy {
    /// The kubelet, by `/livez`.
    Kubelet,
    /// The supervisor itself; `/livez` fails only where it could not.
    Supervisor,
}

/// What the supervisor under test does by default.
pub const RESTART_BY: RestartBy = RestartBy::Supervisor;

/// What a contestant's probes need to know.
pub struct Target<'a> {
    pub port: u16,
    pub password: &'a str,
    /// Where the supervisor answers, in its own rig.
    pub supervisor: Option<SocketAddr>,
}

impl Contestant {
    pub const ALL: [Self; 5] = [
        Self::NoProbe,
        Self::TcpSocket,
        Self::SqlClient,
        Self::Diagnostics,
        Self::Supervisor,
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoProbe => "none",
            Self::TcpSocket => "tcp",
            Self::SqlClient => "exec",
            Self::Diagnostics => "diagnostics",
            Self::Supervisor => "supervisor",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::NoProbe => "(a) no probe",
            Self::TcpSocket => "(b) tcpSocket",
            Self::SqlClient => "(c) exec SELECT 1",
            Self::Diagnostics => "(d) diagnostics once",
            Self::Supervisor => "(e) this supervisor",
        }
    }

    /// Seconds between the order to end a container and its SIGKILL.
    pub fn grace(self) -> f64 {
        GRACE
    }

    pub fn probes(self, target: &Target<'_>) -> Vec<Probe> {
        let sql = SocketAddr::from(([127, 0, 0, 1], target.port));
        match self {
            Self::NoProbe => Vec::new(),
            Self::TcpSocket => {
                let check = Check::Tcp(sql);
                vec![
                    probe(Kind::Liveness, &check, 30.0, 15.0, 1.0, 3),
                    probe(Kind::Readiness, &check, 20.0, 10.0, 1.0, 3),
                ]
            }
            Self::SqlClient => {
                let check = Check::Exec {
                    port: target.port,
                    password: target.password.to_owned(),
                };
                vec![
                    probe(Kind::Startup, &check, 15.0, 10.0, 5.0, 10),
                    probe(Kind::Liveness, &check, 5.0, 10.0, 5.0, 3),
                    probe(Kind::Readiness, &check, 5.0, 10.0, 5.0, 3),
                ]
            }
            Self::Diagnostics => {
                let check = Check::Diagnostics {
                    port: target.port,
                    password: target.password.to_owned(),
                };
                vec![
                    probe(Kind::Startup, &check, 0.0, 10.0, 30.0, 100),
                    probe(Kind::Liveness, &check, 0.0, 10.0, 30.0, 1),
                    probe(Kind::Readiness, &check, 0.0, 10.0, 30.0, 1),
                ]
            }
            Self::Supervisor => target.supervisor.map(supervised).unwrap_or_default(),
        }
    }
}

/// The probes of a container that the supervisor watches: the one place that knows who restarts it.
fn supervised(address: SocketAddr) -> Vec<Probe> {
    let http = |path| Check::Http(address, path);
    let (period, failures) = match RESTART_BY {
        RestartBy::Kubelet => (1.0, 1),
        // As the README's manifest: the kubelet is what is left where the supervisor can't, and one
        // that stands still or is itself restarted costs no database.
        RestartBy::Supervisor => (5.0, 24),
    };
    vec![
        probe(Kind::Startup, &http("/startupz"), 0.0, 1.0, 1.0, 86_400),
        probe(Kind::Liveness, &http("/livez"), 0.0, period, 1.0, failures),
        probe(Kind::Readiness, &http("/readyz"), 0.0, 1.0, 1.0, 1),
    ]
}

fn probe(
    kind: Kind,
    check: &Check,
    initial_delay: f64,
    period: f64,
    timeout: f64,
    failures: u32,
) -> Probe {
    Probe {
        kind,
        check: check.clone(),
        initial_delay,
        period,
        timeout,
        failures,
    }
}
