use std::ffi::OsString;
use std::path::Path;

use proptest::prelude::*;

use super::super::file;
use super::super::raw::Shown;
use super::super::settings::DefaultValue;
use super::super::show::{effective_yaml, reference};
use super::super::sources::{Environment, Flags};
use super::*;

/// A secret that must never be shown.
const CANARY: &str = "c4naryP@ss";

#[derive(Default)]
struct Given<'a> {
    flags: &'a [(&'static str, &'a str)],
    env: &'a [(&'a str, &'a str)],
    file: &'a str,
}

impl Given<'_> {
    fn sources(&self) -> Sources {
        let flags = self.flags.iter();
        Sources {
            flags: Flags {
                values: flags
                    .map(|(key, text)| (*key, Raw::Text((*text).to_owned())))
                    .collect(),
                ..Flags::default()
            },
            environment: Environment::from_vars(
                self.env
                    .iter()
                    .map(|(name, value)| (name.into(), value.into())),
            ),
            file: Some(file::parse(Path::new("/c.yaml"), self.file).expect("a good file")),
            file_mistake: None,
        }
    }

    fn effective(&self) -> Effective {
        parse(&self.sources()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn mistakes(&self) -> Vec<String> {
        match parse(&self.sources()) {
            Ok(_) => vec![],
            Err(errors) => errors.mistakes().iter().map(ToString::to_string).collect(),
        }
    }
}

/// Returns a value of the setting that is not its default, and breaks no relation.
fn sample(setting: &Setting) -> &'static str {
    match setting.key {
        "listen" => "127.0.0.1:1234",
        "launch-socket" => "/else/where",
        "launch-listen" => "127.0.0.1:1235",
        "sql-host" => "db.example",
        "sql-port" => "1555",
        "sql-dac-port" => "0",
        "engine-output" => "/other/output",
        "sql-user" => "monitor",
        "process-name" => "standin",
        "sql-tls" => "off",
        "log-format" => "json",
        "log-level" => "debug",
        "require-mount" => "false",
        "allow-ephemeral" => "true",
        "restart-by" => "kubelet",
        "engine-restart" => "in-place",
        "required-databases" => "orders,stock",
        "max-header-bytes" => "16Ki",
        "progress-io" => "1Mi",
        "disk-full-bytes" => "1Gi",
        "progress-cpu" | "throttled-ratio" | "disk-low-ratio" => "0.25",
        "failure-condition-level" => "5",
        "diagnostics-reports" | "throttled-stretch" | "restart-budget" => "5",
        "max-connections" | "max-databases" | "metrics-max-databases" => "77",
        "metrics-collect" => "false",
        "metrics-interval" => "1m",
        "metrics-profiles" => "own,awaragi",
        "health-check-timeout" | "termination-grace-period" => "1m",
        "diagnostics-interval" => "6s",
        "lease" => "strict",
        "volume-init" => "never",
        "lease-fence" => "15s",
        "lease-stale" => "1m",
        "pod-uid" | "pod-name" | "node-name" | "volume-id" | "kubernetes-service-host" => "some-id",
        "kubernetes-events" => "true",
        "kubernetes-service-account" => "/some/where",
        "kubernetes-service-port" => "6443",
        "ping-interval" | "ping-timeout" => "1s",
        "process-interval" | "login-timeout" => "3s",
        "unresponsive-after" | "listener-lost-after" | "process-missing-after" => "1m",
        "ready-freshness" => "20m",
        "busy-limit" => "1h",
        key if key.ends_with("-dir") || key.ends_with("-socket") || key.ends_with("-root") => {
            "/some/where"
        }
        key if ["-tls-ca", "-file", "-log"]
            .iter()
            .any(|part| key.ends_with(part)) =>
        {
            "/some/file"
        }
        _ => "7s",
    }
}

fn shown(effective: &Effective, setting: &Setting) -> Shown {
    (setting.show)(&effective.config)
}

#[test]
fn every_setting_has_flag_variable_file_key_and_default() {
    let default = Given::default().effective();
    // By itself it is a mistake, see `relations`.
    let alone = |setting: &&Setting| setting.key != "kubernetes-events";
    for setting in SETTINGS.iter().filter(alone) {
        let key = setting.key;
        let value = sample(setting);
        let env = setting.env();
        let yaml = format!("{key}: {value:?}");
        let flag = Given {
            flags: &[(key, value)],
            ..Given::default()
        }
        .effective();
        let env = Given {
            env: &[(&env, value)],
            ..Given::default()
        }
        .effective();
        let file = Given {
            file: &yaml,
            ..Given::default()
        }
        .effective();
        assert_ne!(shown(&default, setting), shown(&flag, setting), "{key}");
        assert_eq!(shown(&flag, setting), shown(&env, setting), "{key}");
        assert_eq!(shown(&flag, setting), shown(&file, setting), "{key}");
        assert_eq!(default.origins[key], Origin::Default);
        assert_eq!(flag.origins[key], Origin::Flag(key.to_owned()));
        assert_eq!(env.origins[key], Origin::Env(setting.env()));
        let origin = Origin::File {
            path: "/c.yaml".into(),
            line: 1,
        };
        assert_eq!(file.origins[key], origin);
        // Nothing else moves but what is made from this setting.
        for other in SETTINGS.iter().filter(|other| other.key != key) {
            let made = matches!(other.default, DefaultValue::From { .. });
            assert!(
                made || shown(&default, other) == shown(&flag, other),
                "{key}, {}",
                other.key
            );
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_policy() {
    let effective = Given::default().effective();
    assert_eq!(effective.config.policy, Policy::default());
    assert!(effective.warnings.is_empty(), "{:?}", effective.warnings);
    let config = effective.config;
    assert_eq!(config.http.listen, SocketAddr::from(([0, 0, 0, 0], 9433)));
    assert_eq!(
        (&config.sql.host, config.sql.port, config.sql.dac_port),
        (&None, None, None)
    );
    assert_eq!(config.sql.diagnostics.interval, Duration::from_secs(10));
    assert_eq!(config.volume.engine_data_dir, config.volume.data_dir);
    let socket = Path::new("/run/sql-edge-supervisor/control.sock");
    assert_eq!(config.control_socket, socket);
}

#[test]
fn flag_before_variable_before_file_before_fallback_before_default() {
    let mut given = Given {
        flags: &[("sql-port", "1")],
        env: &[("SUPERVISOR_SQL_PORT", "2"), ("MSSQL_TCP_PORT", "4")],
        file: "sql-port: 3",
    };
    let port = |given: &Given| given.effective().config.sql.port;
    assert_eq!(port(&given), Some(1));
    given.flags = &[];
    assert_eq!(port(&given), Some(2));
    given.env = &given.env[1..];
    assert_eq!(port(&given), Some(3));
    given.file = "sql-port:";
    assert_eq!(port(&given), Some(4));
    given.env = &[("MSSQL_TCP_PORT", ""), ("SUPERVISOR_SQL_PORT", "")];
    assert_eq!(port(&given), None);
}

#[test]
fn the_password_is_found_and_never_looked_at() {
    let source = |env, file| {
        Given {
            env,
            file,
            ..Given::default()
        }
        .effective()
        .config
        .sql
        .password
    };
    let both = &[("MSSQL_SA_PASSWORD", CANARY), ("SA_PASSWORD", CANARY)];
    assert_eq!(
        source(both, ""),
        PasswordSource::Env("MSSQL_SA_PASSWORD".to_owned())
    );
    assert_eq!(
        source(&both[1..], ""),
        PasswordSource::Env("SA_PASSWORD".to_owned())
    );
    let file = PasswordSource::File("/run/secret".into());
    assert_eq!(source(both, "sql-password-file: /run/secret"), file);
    assert_eq!(source(&[], ""), PasswordSource::Missing);
}

#[test]
fn what_is_made_from_other_settings_follows_them() {
    let config = Given {
        flags: &[
            ("health-check-timeout", "16s"),
            ("state-dir", "/s"),
            ("data-dir", "/d"),
        ],
        ..Given::default()
    }
    .effective()
    .config;
    assert_eq!(config.sql.diagnostics.interval, Duration::from_secs(5));
    assert_eq!(config.control_socket, Path::new("/s/control.sock"));
    assert_eq!(config.volume.engine_data_dir, Path::new("/d"));
}

#[test]
fn all_mistakes_are_named_at_once() {
    let mistakes = Given {
        flags: &[("listen", "9433"), ("ping-interval", "2")],
        env: &[("SUPERVISOR_SQL_PORT", "70000"), ("SUPERVISOR_LISTN", "x"), ("SUPERVISOR_PORT", "tcp://10.0.0.1:1")],
        file: "process-name: a-name-of-17-bytes\nsql-prot: 1\nlog-level: {a: 1}\nrestart-budget: 0\n",
    }
    .mistakes();
    let expected = [
        "listn (env SUPERVISOR_LISTN): is not a setting; did you mean SUPERVISOR_LISTEN?",
        "sql-prot (file /c.yaml:2): is not a setting; did you mean sql-port?",
        "listen = \"9433\" (flag --listen): is a port without an address; give 0.0.0.0:9433 for every address, 127.0.0.1:9433 for this host only",
        "sql-port = \"70000\" (env SUPERVISOR_SQL_PORT): is above 65535; give auto, or a whole number from 1 to 65535",
        "ping-interval = \"2\" (flag --ping-interval): has no unit; add one: 2s for seconds, 2ms for milliseconds",
        "process-name = \"a-name-of-17-bytes\" (file /c.yaml:1): is longer than 15 bytes; give a name of at most 15 bytes",
        "restart-budget = \"0\" (file /c.yaml:4): is below 1; give a whole number from 1 to 100",
        "log-level = a map (file /c.yaml:3): is a map where a value is needed; give one of error, warn, info, debug, trace",
    ];
    assert_eq!(mistakes, expected);
}

#[test]
fn relations_between_settings() {
    for (flags, key, part) in [
        (
            &[("ping-timeout", "30s")][..],
            "unresponsive-after",
            "not above ping-timeout, 30s",
        ),
        (
            &[("unresponsive-after", "6s"), ("ping-interval", "4s")],
            "unresponsive-after",
            "2 x ping-interval, 8s",
        ),
        (
            &[("login-timeout", "31s")],
            "unresponsive-after",
            "login-timeout, 31s",
        ),
        (
            &[("listener-lost-after", "3s")],
            "listener-lost-after",
            "2 x ping-interval, 4s",
        ),
        (
            &[("process-missing-after", "1s")],
            "process-missing-after",
            "2 x process-interval, 2s",
        ),
        (
            &[("zombie-after", "900ms")],
            "zombie-after",
            "process-interval, 1s",
        ),
        (
            &[("ready-freshness", "3s")],
            "ready-freshness",
            "ping-interval + ping-timeout, 4s",
        ),
        (
            &[("diagnostics-interval", "11s")],
            "health-check-timeout",
            "3 x diagnostics-interval, 33s",
        ),
        (
            &[("busy-limit", "29s")],
            "busy-limit",
            "unresponsive-after, 30s",
        ),
        (
            &[("max-databases", "2"), ("required-databases", "a,b")],
            "max-databases",
            "3 with master",
        ),
    ] {
        let mistakes = Given {
            flags,
            ..Given::default()
        }
        .mistakes();
        let found = mistakes
            .iter()
            .any(|m| m.starts_with(key) && m.contains(part));
        assert!(found, "{flags:?} gives {mistakes:?}");
    }
}

#[test]
fn a_refused_value_breaks_no_relation_as_well() {
    let given = Given {
        flags: &[("ping-timeout", "soon")],
        ..Given::default()
    };
    assert_eq!(given.mistakes().len(), 1);
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    for (flags, key) in [
        (&[("unresponsive-after", "10s")][..], "unresponsive-after"),
        (
            &[("failure-condition-level", "0")],
            "failure-condition-level",
        ),
        (&[("sql-host", "db.example")], "sql-tls"),
    ] {
        let effective = Given {
            flags,
            ..Given::default()
        }
        .effective();
        assert_eq!(effective.warnings.len(), 1, "{flags:?}");
        assert_eq!(effective.warnings[0].setting, key);
        assert!(effective_yaml(&effective).contains(&format!("# warning: {key}")));
    }
}

#[test]
fn fast_paces_are_allowed() {
    let config = Given {
        flags: &[
            ("ping-interval", "50ms"),
            ("ping-timeout", "50ms"),
            ("login-interval", "50ms"),
            ("login-timeout", "50ms"),
            ("unresponsive-after", "200ms"),
            ("ready-freshness", "200ms"),
            ("process-interval", "20ms"),
            ("settle", "0s"),
            ("volume-interval", "50ms"),
            ("volume-timeout", "100ms"),
            ("drain-timeout", "0s"),
            ("zombie-after", "100ms"),
        ],
        ..Given::default()
    }
    .effective()
    .config;
    assert_eq!(config.policy.settle, Duration::ZERO);
}

#[test]
fn secrets_are_never_shown() {
    let mut sources = Given {
        flags: &[("sql-password-file", CANARY)],
        env: &[
            ("SUPERVISOR_SQL_PASSWORD", CANARY),
            ("SUPERVISOR_SQL_PASSWD", CANARY),
            ("SUPERVISOR_SQL_PASWORD", CANARY),
            ("MSSQL_SA_PASSWORD", CANARY),
        ],
        file: &format!("sql-password: {CANARY}\nsql_password: {CANARY}\nsa: {CANARY}\n"),
    }
    .sources();
    sources.flags.password = true;
    let errors = parse(&sources).expect_err("must be refused");
    assert!(!errors.to_string().contains(CANARY), "{errors}");
    let refused = errors
        .mistakes()
        .iter()
        .filter(|m| m.what.contains("password is no setting"));
    assert_eq!(refused.count(), 5, "{errors}");
    let relative = errors
        .mistakes()
        .iter()
        .find(|m| m.setting == "sql-password-file");
    assert_eq!(
        relative.map(|m| m.what.as_str()),
        Some("is not an absolute path")
    );

    let given = Given {
        env: &[("MSSQL_SA_PASSWORD", CANARY)],
        ..Given::default()
    };
    let effective = given.effective();
    let yaml = effective_yaml(&effective);
    assert!(
        yaml.contains("# sql-password-file: ***  # from env MSSQL_SA_PASSWORD"),
        "{yaml}"
    );
    let all = format!(
        "{effective:?} {yaml} {} {:?}",
        reference(),
        given.sources().environment
    );
    assert!(!all.contains(CANARY));
}

#[test]
fn an_unreadable_password_is_a_warning_line() {
    let flags = &[("sql-password-file", "/no/such\u{a0}file")];
    let yaml = effective_yaml(
        &Given {
            flags,
            ..Given::default()
        }
        .effective(),
    );
    assert!(
        yaml.contains("\n# warning: the password file /no/such\u{a0}file can't be read: "),
        "{yaml}"
    );
}

#[test]
fn variables_that_are_not_text_are_mistakes_and_strange_names_are_not_ours() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = OsString::from_vec(vec![0xff]);
    let mut sources = Sources {
        environment: Environment::from_vars([
            ("SUPERVISOR_SQL_HOST".into(), bytes.clone()),
            (bytes, "x".into()),
        ]),
        ..Sources::default()
    };
    let errors = parse(&sources).expect_err("must be refused");
    assert_eq!(errors.mistakes().len(), 1);
    assert_eq!(errors.mistakes()[0].what, "is not UTF-8");
    // A secret's bytes are not judged here: only the login needs them.
    let secret = OsString::from_vec(vec![0xff]);
    sources.environment = Environment::from_vars([("SA_PASSWORD".into(), secret)]);
    assert!(parse(&sources).is_ok());
}

#[test]
fn a_probe_needs_only_the_address() {
    let given = Given {
        env: &[("SUPERVISOR_SQL_PORT", "x"), ("SUPERVISOR_X", "x")],
        file: "listen: 1.2.3.4:5",
        ..Given::default()
    };
    assert_eq!(
        parse_listen(&given.sources()),
        Ok(SocketAddr::from(([1, 2, 3, 4], 5)))
    );
    let given = Given {
        flags: &[("listen", "x")],
        ..Given::default()
    };
    assert!(parse_listen(&given.sources()).is_err());
}

#[test]
fn an_order_needs_only_the_socket() {
    let given = Given {
        env: &[("SUPERVISOR_STATE_DIR", "/s"), ("SUPERVISOR_X", "x")],
        file: "sql-port: x",
        ..Given::default()
    };
    let socket = parse_control_socket(&given.sources());
    assert_eq!(socket, Ok(PathBuf::from("/s/control.sock")));
    let given = Given {
        flags: &[("control-socket", "/c.sock")],
        env: &[("SUPERVISOR_STATE_DIR", "/s")],
        ..Given::default()
    };
    let socket = parse_control_socket(&given.sources());
    assert_eq!(socket, Ok(PathBuf::from("/c.sock")));
    let given = Given {
        flags: &[("state-dir", "relative")],
        ..Given::default()
    };
    assert!(parse_control_socket(&given.sources()).is_err());
}

#[test]
fn a_file_that_cant_be_read_hides_no_other_mistake() {
    let flags = Flags {
        config: Some("/no/such/file".into()),
        values: [("listen", Raw::Text("x".to_owned()))].into(),
        password: false,
    };
    let errors = parse(&Sources::load(flags, Environment::default())).expect_err("must be refused");
    let keys: Vec<_> = errors
        .mistakes()
        .iter()
        .map(|m| m.setting.as_str())
        .collect();
    assert_eq!(keys, ["config", "listen"]);
}

fn fed_back(effective: &Effective) -> Effective {
    let yaml = effective_yaml(effective);
    let file =
        file::parse(Path::new("/c.yaml"), &yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    parse(&sources).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"))
}

#[test]
fn what_check_config_prints_can_be_fed_back() {
    let flags: Vec<_> = SETTINGS
        .iter()
        .map(|setting| (setting.key, sample(setting)))
        .collect();
    for flags in [&[][..], &flags] {
        let effective = Given {
            flags,
            ..Given::default()
        }
        .effective();
        let again = fed_back(&effective);
        for setting in SETTINGS {
            assert_eq!(
                shown(&effective, setting),
                shown(&again, setting),
                "{}",
                setting.key
            );
        }
    }
}

/// Generates texts that come close to being values, and any others.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9]{1,20}(ms|s|m|h|Ki|Mi|Gi|)",
        "-?[0-9]{0,3}\\.?[0-9]{0,5}(e-?[0-9]{1,3})?",
        "/[a-z: #'\"\\[\\]{}&*!|>%@`é]{0,20}",
        "(yes|no|on|off|null|~|true|false|NaN|\\.inf|0x1f|1e3)",
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_setting_panic(index in 0..SETTINGS.len(), text in any_text()) {
        let setting = &SETTINGS[index];
        let flags = &[(setting.key, text.as_str())];
        let sources = Given { flags, ..Given::default() }.sources();
        match parse(&sources) {
            Ok(effective) => {
                let again = fed_back(&effective);
                prop_assert_eq!(shown(&effective, setting), shown(&again, setting));
            }
            Err(errors) => {
                // One line for each, whatever is in the value.
                let lines = errors.to_string().lines().count();
                prop_assert_eq!(lines, errors.mistakes().len() + 1);
            }
        }
    }

    #[test]
    fn no_file_makes_it_panic(text in any::<String>(), key in 0..SETTINGS.len(), value in any_text()) {
        for text in [text, format!("{}: {value}", SETTINGS[key].key)] {
            if let Ok(file) = file::parse(Path::new("/c.yaml"), &text) {
                let _ = parse(&Sources { file: Some(file), ..Sources::default() });
            }
        }
    }

    #[test]
    fn no_variable_makes_it_panic(name in "[A-Z_]{0,20}", value in any::<String>()) {
        let name = format!("SUPERVISOR_{name}");
        let _ = Given { env: &[(&name, &value)], ..Given::default() }.effective_or_not();
    }
}

impl Given<'_> {
    fn effective_or_not(&self) -> Option<Effective> {
        parse(&self.sources()).ok()
    }
}

#[test]
fn events_without_a_pod_are_a_mistake_that_says_what_is_lacking() {
    let given = |env: &[(&str, &str)]| {
        parse(
            &Given {
                flags: &[("kubernetes-events", "true")],
                env,
                ..Given::default()
            }
            .sources(),
        )
    };
    let error = given(&[("POD_NAME", "sql-0")]).expect_err("two are lacking");
    let text = error.to_string();
    assert!(
        text.contains("POD_UID") && !text.contains("POD_NAME"),
        "{text}"
    );
    let whole = [
        ("POD_NAME", "sql-0"),
        ("POD_UID", "some-id"),
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ];
    assert!(given(&whole).is_ok());
}
