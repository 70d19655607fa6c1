//! Without a supervisor: a correct first process.

use std::os::unix::process::ExitStatusExt;

use rustix::process::{Pid, Signal, kill_process};

use super::rig::{Site, is_clean, stop};
use crate::shared::container::{until, with_argument};
use crate::shared::http::get;
use crate::standin::command::Command;
use crate::support::binary;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_stop_reaches_the_engine_and_leaves_nothing() {
    let mut site = Site::new();
    let mut container = site.launch(&site.shell());
    site.announced().await;
    until(|| (with_argument(&site.companion).len() == 2).then_some(())).await;
    site.says("the engine runs").await;
    let status = stop(&mut container).await;
    assert_eq!(status.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()), "{}", site.errorlog());
    assert!(with_argument(&site.companion).is_empty(), "{}", site.log());
    let passed = site.events("passed on to the engine");
    assert_eq!(passed.len(), 1, "{}", site.log());
    // A second request while the first one is carried out changes nothing.
    let mut site = Site::new();
    let mut container = site.launch(&site.shell());
    site.announced().await;
    site.command(Command::ShutdownMs { ms: 60_000 }).await;
    site.says("the engine runs").await;
    container.signal(Signal::TERM);
    site.says("passed on to the engine").await;
    container.signal(Signal::TERM);
    container.signal(Signal::INT);
    site.says("a stop is under way already").await;
    site.command(Command::ShutdownMs { ms: 0 }).await;
    assert_eq!(container.ends().await.code(), Some(0));
    assert_eq!(site.events("passed on to the engine").len(), 1);
}

#[tokio::test]
async fn the_status_is_the_engines() {
    for (order, expected) in [
        (Command::Exit { status: 7 }, 7),
        (Command::Die { signal: 11 }, 139),
    ] {
        let mut site = Site::new();
        let mut container = site.launch(&site.shell());
        site.announced().await;
        site.says("the engine runs").await;
        let _ = crate::standin::handle::send(&site.path("control.sock"), &order).await;
        assert_eq!(
            container.ends().await.code(),
            Some(expected),
            "{}",
            site.log()
        );
        assert!(with_argument(&site.companion).is_empty());
    }
    // By a signal to the outer process itself; its engine dies with it.
    let mut site = Site::new();
    let mut container = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    let outer = container
        .finds(&site.name, |p| p.parent != container.init())
        .await;
    kill_process(Pid::from_raw(outer.pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(container.ends().await.code(), Some(137), "{}", site.log());
    // A shell that says something else does not hide it.
    let mut site = Site::new();
    let script = format!("{}; exit 3", site.engine());
    let mut container = site.launch(&shell(&script));
    site.announced().await;
    site.says("the engine runs").await;
    let order = Command::Exit { status: 9 };
    let _ = crate::standin::handle::send(&site.path("control.sock"), &order).await;
    assert_eq!(container.ends().await.code(), Some(9), "{}", site.log());
}

#[tokio::test]
async fn without_an_engine_it_is_the_commands() {
    for (command, expected) in [
        (shell("exit 5"), 5),
        (shell("kill -TERM $$"), 143),
        (words("/no/such/program"), 127),
        (words("/etc/passwd"), 126),
        (words("/"), 126),
        (words("true"), 0),
    ] {
        let site = Site::new();
        let mut container = site.launch(&command);
        let status = container.ends().await;
        assert_eq!(status.code(), Some(expected), "{command:?}: {}", site.log());
        if (126..128).contains(&expected) {
            assert!(site.log().contains("can't be run"), "{}", site.log());
        }
    }
    let site = Site::new();
    let mut container = site.launch(&shell("sleep 100000 & exec sleep 100000"));
    container
        .finds("sleep", |p| p.parent == container.init())
        .await;
    assert_eq!(stop(&mut container).await.code(), Some(143));
}

#[tokio::test]
async fn everything_that_ends_is_reaped() {
    let mut site = Site::new();
    let companion = site.companion.clone();
    // Orphans by the hundred, some that end at once and one that stays.
    let storm = "i=0; while [ $i -lt 300 ]; do (true &); i=$((i+1)); done";
    let script = format!("{storm}; (sleep {companion} &); {}", site.engine());
    let mut container = site.launch(&shell(&script));
    site.announced().await;
    site.says("the engine runs").await;
    let is_zombie = |process: &crate::shared::container::Process| process.state == 'Z';
    until(|| (!container.processes().iter().any(is_zombie)).then_some(())).await;
    // They come while it runs, too.
    let orphan = until(|| with_argument(&companion).pop()).await;
    let pid = orphan
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    until(|| (!orphan.exists()).then_some(())).await;
    assert_eq!(stop(&mut container).await.code(), Some(0));
}

/// A kernel that was built without the list of a process's children: a socket in its place can't be opened.
#[tokio::test]
async fn what_is_left_is_ended_and_the_agent_spared_where_no_children_are_listed() {
    let mut site = Site::new();
    let list = site.path("children");
    let _socket = std::os::unix::net::UnixListener::bind(&list).expect("a socket");
    site.before = format!("mount --bind {} /proc/1/task/1/children", list.display());
    let mut container = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    site.says("the lease is held").await;
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
    assert!(with_argument(&site.companion).is_empty(), "{}", site.log());
    assert_eq!(site.events("the agent runs").len(), 1, "{}", site.log());
    assert_eq!(
        site.events("the lease is given up").len(),
        1,
        "{}",
        site.log()
    );
}

#[tokio::test]
async fn other_signals_are_passed_on() {
    let mut site = Site::new();
    let mut container = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    // What the watchdog does not catch ends it. A shell's background has SIGQUIT ignored: not that one.
    container.signal(Signal::USR2);
    assert_eq!(
        container.ends().await.code(),
        Some(128 + 12),
        "{}",
        site.log()
    );
    let site = Site::new();
    let mut container = site.launch(&shell("trap 'exit 42' USR1; while :; do sleep 0.01; done"));
    site.says("the command runs").await;
    let status = loop {
        // The shell may not have set its trap yet: then the signal would end it.
        let caught = container.processes().iter().any(|p| p.name == "sleep");
        if caught {
            container.signal(Signal::USR1);
            break container.ends().await;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(status.code(), Some(42), "{}", site.log());
}

#[tokio::test]
async fn a_stop_before_the_start_starts_nothing() {
    let site = Site::new();
    let mut container = site.launch_waiting("1h", &site.shell());
    let address = site.probes().await;
    let (status, text) = get(&address, "/livez").await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(stop(&mut container).await.code(), Some(143));
    assert!(site.events("the command runs").is_empty());
    assert!(!site.data_dir().join("data").exists());
}

#[tokio::test]
async fn a_port_that_is_taken_costs_no_database() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut site = Site::new();
    let address = held.local_addr().expect("bound").to_string();
    site.settings.push(("launch-listen".to_owned(), address));
    let mut container = site.launch(&site.shell());
    site.announced().await;
    assert!(
        site.log()
            .contains("the kubelet's probes can't be answered"),
        "{}",
        site.log()
    );
    site.says("the engine runs").await;
    assert_eq!(stop(&mut container).await.code(), Some(0));
}

/// Not the first process of its namespace: orphans come to it all the same.
#[tokio::test]
async fn it_need_not_be_the_first_process() {
    let site = Site::new();
    // A shell is the first process, and launch below it.
    let inner = site.shell().pop().expect("a script");
    let launch = format!(
        "{} launch --state-dir {} --data-dir {} --require-mount false --disk-full-bytes 1Mi --process-name {} --gate-patience 10ms --launch-listen 127.0.0.1:0 -- sh -c '(sleep {} &) ; {inner}'; echo $? > {}",
        binary().display(),
        site.path("other").display(),
        site.data_dir().display(),
        site.name,
        site.companion,
        site.path("status").display(),
    );
    let environment = [
        ("STANDIN_NAME", site.name.as_str()),
        (
            "MSSQL_SA_PASSWORD",
            crate::standin::handle::DEFAULT_PASSWORD,
        ),
    ];
    let log = site.path("launch.log");
    let mut container =
        crate::shared::container::Container::start(&shell(&launch), &environment, &log);
    let outer = container.finds(&site.name, |_| true).await;
    until(|| (with_argument(&site.companion).len() == 3).then_some(())).await;
    let launch = container
        .finds("sql-edge-superv", |p| p.parent == container.init())
        .await;
    until(|| site.log().contains("the engine runs").then_some(())).await;
    until(|| {
        site.errorlog()
            .contains("now ready for client")
            .then_some(())
    })
    .await;
    kill_process(Pid::from_raw(launch.pid).unwrap(), Signal::TERM).unwrap();
    let status = container.ends().await;
    assert_eq!(status.signal(), None);
    let said = std::fs::read_to_string(site.path("status")).expect("written");
    assert_eq!(said.trim(), "0", "{outer:?} {}", site.log());
    assert!(with_argument(&site.companion).is_empty());
}

#[tokio::test]
async fn the_log_level_is_that_of_the_first_process_too() {
    let mut site = Site::new();
    site.settings
        .push(("log-level".to_owned(), "warn".to_owned()));
    let mut container = site.launch(&shell("exit 7"));
    assert_eq!(container.ends().await.code(), Some(7), "{}", site.log());
    let log = site.log();
    assert!(log.contains("\"level\":\"WARN\""), "{log}");
    assert!(!log.contains("\"level\":\"INFO\""), "{log}");
}
