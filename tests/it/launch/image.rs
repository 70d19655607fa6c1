//! `launch` without a command: the image's own start, with the launcher of SQL Server 2022 CU18 and later, whose
//! setup scripts run beside the engine. The image is a directory in the place of /opt.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Signal, kill_process};

use super::rig::{Site, is_clean, stop};
use crate::shared::container::{Container, until, with_argument};
use crate::standin::command::Command;

/// What the launcher does, in its order: the engine in the background, the setup, the wait; no signal is passed on.
const LAUNCHER: &str = "#!/bin/sh
\"$@\" &
pid=$!
/opt/mssql/bin/run_custom_setup.sh || exit 1
wait $pid
";

/// The container of an image whose setup is `setup`; one without a launcher where there is none.
fn start(site: &Site, setup: Option<&str>) -> Container {
    let image = site.path("image");
    let bin = image.join("mssql/bin");
    fs::create_dir_all(&bin).expect("writable");
    let write = |name: &str, text: &str| {
        let path = bin.join(name);
        fs::write(&path, text).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
    };
    write("sqlservr", &format!("#!/bin/sh\nexec {}\n", site.engine()));
    let checked = site.path("checked").display().to_string();
    write(
        "permissions_check.sh",
        &format!("#!/bin/sh\necho >> {checked}\nexec \"$@\"\n"),
    );
    if let Some(setup) = setup {
        write("launch_sqlservr.sh", LAUNCHER);
        let runs = site.path("setups").display().to_string();
        write(
            "run_custom_setup.sh",
            &format!("#!/bin/sh\necho >> {runs}\n{setup}\n"),
        );
    }
    let image = image.display().to_string();
    site.launch_image(&image)
}

fn count(site: &Site, name: &str) -> usize {
    let text = fs::read_to_string(site.path(name)).unwrap_or_default();
    text.lines().count()
}

/// Waits until the setup script stands at its sleep.
async fn setup_sleeps(site: &Site) -> i32 {
    until(|| {
        let found = with_argument(&site.companion).pop()?;
        found.file_name()?.to_str()?.parse().ok()
    })
    .await
}

#[tokio::test]
async fn the_launcher_runs_the_setup_once_and_the_stop_is_clean() {
    let mut site = Site::new();
    let mut container = start(&site, Some("exit 0"));
    site.announced().await;
    site.says("the engine runs").await;
    until(|| (count(&site, "setups") == 1).then_some(())).await;
    let said = site
        .says("no command is given: the image's own start")
        .await;
    let command = said["command"].as_str().expect("a text");
    assert_eq!(
        command,
        r#"["/opt/mssql/bin/launch_sqlservr.sh", "/opt/mssql/bin/sqlservr"]"#
    );
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()), "{}", site.errorlog());
    assert_eq!(count(&site, "setups"), 1);
}

#[tokio::test]
async fn an_older_image_checks_its_permissions() {
    let mut site = Site::new();
    let mut container = start(&site, None);
    site.announced().await;
    site.says("the engine runs").await;
    assert_eq!(count(&site, "checked"), 1);
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()), "{}", site.errorlog());
}

#[tokio::test]
async fn a_setup_that_still_runs_at_the_stop_ends_with_it() {
    let mut site = Site::new();
    let mut container = start(&site, Some(&format!("sleep {}", site.companion)));
    site.announced().await;
    site.says("the engine runs").await;
    setup_sleeps(&site).await;
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()), "{}", site.errorlog());
    assert!(with_argument(&site.companion).is_empty(), "{}", site.log());
}

#[tokio::test]
async fn a_setup_that_never_ends_ends_with_the_engine() {
    let mut site = Site::new();
    // One that heeds no SIGTERM.
    let setup = format!("trap '' TERM; sleep {}; sleep 100000", site.companion);
    let mut container = start(&site, Some(&setup));
    site.announced().await;
    site.says("the engine runs").await;
    setup_sleeps(&site).await;
    let order = Command::Die { signal: 11 };
    let _ = crate::standin::handle::send(&site.path("control.sock"), &order).await;
    let status = container.ends().await;
    assert_eq!(status.code(), Some(128 + 11), "{}", site.log());
    assert!(with_argument(&site.companion).is_empty(), "{}", site.log());
}

#[tokio::test]
async fn a_setup_that_fails_costs_no_engine() {
    let mut site = Site::new();
    let mut container = start(&site, Some(&format!("sleep {}; exit 3", site.companion)));
    site.announced().await;
    site.says("the engine runs").await;
    let setup = setup_sleeps(&site).await;
    kill_process(Pid::from_raw(setup).expect("a pid"), Signal::KILL).expect("it runs");
    // The launcher ends by it, and nobody else does.
    until(|| {
        let shells = container.processes();
        let launcher = shells
            .iter()
            .any(|process| process.name == "launch_sqlservr");
        (!launcher).then_some(())
    })
    .await;
    assert!(container.runs());
    container.finds(&site.name, |_| true).await;
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()), "{}", site.errorlog());
}

#[tokio::test]
async fn an_image_without_an_engine_is_told_what_to_give() {
    let site = Site::new();
    let empty = site.path("empty");
    fs::create_dir(&empty).expect("writable");
    let mut container = site.launch_image(&empty.display().to_string());
    assert_eq!(container.ends().await.code(), Some(127));
    assert!(
        site.log()
            .contains("give the command that starts the engine after `--`"),
        "{}",
        site.log()
    );
}
