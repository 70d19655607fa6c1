use std::time::Duration;

use super::*;
use crate::config::endpoint::Endpoint;
use crate::config::refusals::Refusals;
use crate::config::secret::PasswordSource;
use crate::config::{BootstrapConfig, Pace, TlsMode};

/// The settings host, port and administrator's port.
fn config(host: &str, port: u16, dac_port: Option<u16>) -> SqlConfig {
    let pace = Pace {
        interval: Duration::from_secs(1),
        deadline: Duration::from_secs(1),
    };
    SqlConfig {
        host: (host != "auto").then(|| host.to_owned()),
        port: (port > 0).then_some(port),
        dac_port,
        endpoint: Endpoint::default(),
        refusals: Refusals::default(),
        user: String::new(),
        password: PasswordSource::Missing,
        tls: TlsMode::Off,
        tls_ca: None,
        tls_server_name: None,
        bootstrap: BootstrapConfig::default(),
        ping: pace,
        login: pace,
        databases: pace,
        diagnostics: pace,
        max_databases: 1,
    }
}

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

/// An engine in the supervisor's own network namespace that has these sockets.
fn seen(sockets: &[&str]) -> Known {
    Known {
        network: Some(EngineNetwork {
            sockets: Some(addresses(sockets)),
            namespace: Some(7),
            ..EngineNetwork::default()
        }),
        own_namespace: Some(7),
        ..Known::default()
    }
}

/// An engine of which only this is known.
fn said(change: impl FnOnce(&mut Known)) -> Known {
    let mut known = Known::default();
    change(&mut known);
    known
}

fn show(target: &Target) -> String {
    let host = match &target.host {
        TargetHost::Name(name) => name.clone(),
        TargetHost::Addresses(addresses) => {
            let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            texts.join(",")
        }
    };
    format!("{host} {}", target.port)
}

const HERE: &str = "127.0.0.1,::1";

#[test]
fn what_is_listened_on_counts_more_than_what_is_configured() {
    let usual = [
        "0.0.0.0:1433",
        "[::]:1433",
        "127.0.0.1:1434",
        "[::1]:1434",
        "127.0.0.1:1431",
    ];
    let moved = ["0.0.0.0:1500", "127.0.0.1:1434", "127.0.0.1:1431"];
    let many = ["10.0.0.7:1500", "10.0.0.7:5022", "10.0.0.7:1501"];
    for (host, port, sockets, expected) in [
        ("auto", 0, &usual[..], format!("{HERE} 1433")),
        ("127.0.0.1", 1433, &usual, "127.0.0.1 1433".to_owned()),
        ("sql.internal", 1433, &usual, "sql.internal 1433".to_owned()),
        ("0.0.0.0", 0, &usual, format!("{HERE} 1433")),
        ("auto", 0, &moved, "127.0.0.1 1500".to_owned()),
        // The settings are mistaken.
        ("127.0.0.1", 1433, &moved, "127.0.0.1 1500".to_owned()),
        ("auto", 0, &["[::]:1433"], "::1 1433".to_owned()),
        ("auto", 0, &["10.0.0.7:1433"], "10.0.0.7 1433".to_owned()),
        (
            "127.0.0.1",
            0,
            &["10.0.0.7:1433"],
            "10.0.0.7 1433".to_owned(),
        ),
        (
            "auto",
            0,
            &["10.0.0.8:1433", "10.0.0.7:1433"],
            "10.0.0.7,10.0.0.8 1433".to_owned(),
        ),
        // Nobody says which of them: what is usual is asked, and refused.
        ("auto", 0, &many, format!("{HERE} 1433")),
        ("auto", 1501, &many, "10.0.0.7 1501".to_owned()),
        // It listens for administrators alone, as in a start: nothing is known yet.
        (
            "auto",
            0,
            &["127.0.0.1:1434", "127.0.0.1:1431"],
            format!("{HERE} 1433"),
        ),
        // A port that is another one's by default is the clients' if that is configured.
        ("auto", 1434, &["0.0.0.0:1434"], "127.0.0.1 1434".to_owned()),
    ] {
        let (targets, report) = choose(&config(host, port, None), &seen(sockets));
        assert_eq!(
            show(&targets.clients),
            expected,
            "{host} {port} {sockets:?}"
        );
        let asked = report.asked.map(|asked| report.serves(asked));
        if let Some(Some(serves)) = asked {
            assert_eq!(
                serves,
                !expected.starts_with(HERE) || sockets == usual,
                "{expected}"
            );
        }
    }
}

#[test]
fn what_was_configured_and_is_not_listened_on_is_reported() {
    let moved = seen(&["0.0.0.0:1500", "127.0.0.1:1434"]);
    let (_, report) = choose(&config("127.0.0.1", 1433, None), &moved);
    assert_eq!(report.configured, Some("127.0.0.1:1433".parse().unwrap()));
    assert_eq!(report.serves(report.configured.unwrap()), Some(false));
    assert_eq!(report.listening, Some(addresses(&["0.0.0.0:1500"])));
    // Without a setting, a variable or mssql.conf nobody was mistaken.
    let (_, report) = choose(&config("auto", 0, None), &moved);
    assert_eq!(report.configured, None);
    // Any of its addresses will do.
    let (_, report) = choose(&config("auto", 1500, None), &moved);
    assert_eq!(report.serves(report.configured.unwrap()), Some(true));
    // A name may lead anywhere.
    let (_, report) = choose(&config("sql.internal", 1433, None), &moved);
    assert_eq!((report.configured, report.asked), (None, None));
}

#[test]
fn without_sockets_the_settings_count_then_the_errorlog_the_variables_and_the_file() {
    let variables = |known: &mut Known| {
        known.network = Some(EngineNetwork {
            tcp_port: Some(1501),
            ip_address: Some("10.0.0.7".parse().unwrap()),
            ..EngineNetwork::default()
        });
    };
    let conf = |known: &mut Known| {
        known.conf.tcp_port = Some(1502);
        known.conf.ip_address = Some("10.0.0.8".parse().unwrap());
    };
    let log = |known: &mut Known| {
        known.logged.listening = addresses(&["[::1]:1434", "[::]:1503", "0.0.0.0:1503"]);
        known.logged.dac_port = Some(1434);
    };
    for (port, known, expected) in [
        (0, Known::default(), format!("{HERE} 1433")),
        (0, said(conf), "10.0.0.8 1502".to_owned()),
        (
            0,
            said(|k| (conf(k), variables(k)).0),
            "10.0.0.7 1501".to_owned(),
        ),
        (
            0,
            said(|k| (conf(k), variables(k), log(k)).0),
            format!("{HERE} 1503"),
        ),
        (
            1504,
            said(|k| (variables(k), log(k)).0),
            "10.0.0.7 1504".to_owned(),
        ),
    ] {
        let (targets, report) = choose(&config("auto", port, None), &known);
        assert_eq!(show(&targets.clients), expected);
        assert_eq!(report.listening, None);
    }
}

/// A container's port that another one publishes: what is listened on there leads nowhere from here.
#[test]
fn sockets_of_another_network_do_not_count_against_the_settings() {
    let mut far = seen(&["0.0.0.0:1500", "127.0.0.1:1434"]);
    far.own_namespace = Some(8);
    let (targets, report) = choose(&config("127.0.0.1", 11433, None), &far);
    assert_eq!(show(&targets.clients), "127.0.0.1 11433");
    assert_eq!(report.listening, None);
    far.own_namespace = None;
    let (targets, _) = choose(&config("127.0.0.1", 11433, None), &far);
    assert_eq!(show(&targets.clients), "127.0.0.1 11433");
    // By a name and no port: it has that container's address, and the port is as there.
    far.network.as_mut().unwrap().sockets = Some(addresses(&["0.0.0.0:1500"]));
    let (targets, _) = choose(&config("sql", 0, None), &far);
    assert_eq!(show(&targets.clients), "sql 1500");
}

#[test]
fn the_administrators_port_is_found_alike() {
    let sockets = ["0.0.0.0:1433", "127.0.0.1:1444", "127.0.0.1:1431"];
    let logged = |mut known: Known, port| {
        known.logged.dac_port = Some(port);
        known
    };
    for (dac_port, known, expected) in [
        (None, Known::default(), Some(format!("{HERE} 1434"))),
        (Some(0), seen(&sockets), None),
        (
            None,
            logged(Known::default(), 1500),
            Some(format!("{HERE} 1500")),
        ),
        (Some(1600), Known::default(), Some(format!("{HERE} 1600"))),
        (None, seen(&sockets), Some("127.0.0.1 1444".to_owned())),
        (
            Some(1434),
            logged(seen(&sockets), 1444),
            Some("127.0.0.1 1444".to_owned()),
        ),
        (
            None,
            seen(&["[::]:1433", "[::1]:1434"]),
            Some("::1 1434".to_owned()),
        ),
    ] {
        let (targets, _) = choose(&config("auto", 0, dac_port), &known);
        assert_eq!(targets.admin.as_ref().map(show), expected, "{known:?}");
    }
    let (targets, _) = choose(&config("10.0.0.7", 0, None), &Known::default());
    assert_eq!(
        targets.admin.as_ref().map(show),
        Some("10.0.0.7 1434".to_owned())
    );
}
