//! What the SQL container's image starts by itself, decided by what lies in it: the choice of `launch`
//! without a command, of which the image's own ENTRYPOINT and CMD know nothing.
//!
//! | in the image | is started | by |
//! | --- | --- | --- |
//! | `/app/asdepackage/AsdePackage` | `permissions_check.sh`, companions, `sqlservr` | Azure SQL Edge |
//! | `/opt/mssql/bin/launch_sqlservr.sh` | that, with `sqlservr` | SQL Server 2022 CU18 and later, 2025 |
//! | `/opt/mssql/bin/permissions_check.sh` | that, before `sqlservr` | SQL Server 2019, 2022 up to CU17 |
//! | none of them | `sqlservr` | SQL Server 2017, images of one's own |
//!
//! The launcher `launch_sqlservr.sh` takes `sqlservr` as its argument: it checks permissions, starts the
//! engine and runs what sets up databases and users. In SQL Edge's image `permissions_check.sh` stands before
//! the shell line with the companions and `sqlservr`.
//!
//! What is not there is left out of the shell line, so that nothing is started that can't be. Reading the
//! root directory is all that happens here.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use rustix::fs::{Access, access};

/// The engine; without it there is nothing to start.
const SQLSERVR: &str = "/opt/mssql/bin/sqlservr";
/// The launcher of SQL Server's images since 2022 CU18.
const LAUNCHER: &str = "/opt/mssql/bin/launch_sqlservr.sh";
/// The entrypoint of older images and of SQL Edge: it looks at the permissions of /var/opt/mssql, and becomes
/// what it is given.
const PERMISSIONS: &str = "/opt/mssql/bin/permissions_check.sh";
/// The companion that is in SQL Edge's images only.
const COMPANION: &str = "/app/asdepackage/AsdePackage";
/// The launcher of external languages, and its arguments in SQL Edge's image.
const LAUNCHPAD: &str = "/opt/mssql/bin/launchpadd";
const LAUNCHPAD_ARGUMENTS: &str = "-usens=false -enableOutboundAccess=true -usesameuser=true -sqlGroup root -- -reparentOrphanedDescendants=true -useDefaultLaunchers=false";

/// A start command, and the kind of image that it was chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCommand {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// The kind that the image is taken for, as it is logged.
    pub kind: &'static str,
}

/// The image starts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{SQLSERVR} is not in this image, or can't be run: give the command that starts the engine after `--`"
)]
pub struct NoEngine;

/// Returns the command that the image whose files lie below `root` starts by itself.
///
/// # Errors
///
/// There is no engine in it.
pub fn command(root: &Path) -> Result<ImageCommand, NoEngine> {
    let runs = |path: &str| {
        let path = root.join(path.trim_start_matches('/'));
        path.is_file() && access(&path, Access::EXEC_OK).is_ok()
    };
    if !runs(SQLSERVR) {
        return Err(NoEngine);
    }
    let check = runs(PERMISSIONS).then_some(PERMISSIONS);
    let (words, kind): (Vec<&str>, _) = if runs(COMPANION) {
        let line = edge_line(runs(LAUNCHPAD));
        let words = check.into_iter().chain(["/bin/sh", "-c"]);
        let words = words.map(OsString::from).chain([line.into()]);
        return Ok(ImageCommand {
            words: words.collect(),
            kind: "Azure SQL Edge",
        });
    } else if runs(LAUNCHER) {
        (
            vec![LAUNCHER, SQLSERVR],
            "SQL Server with its own launcher (2022 CU18 and later)",
        )
    } else {
        let words = check.into_iter().chain([SQLSERVR]).collect();
        (words, "SQL Server without a launcher")
    };
    Ok(ImageCommand {
        words: words.into_iter().map(OsString::from).collect(),
        kind,
    })
}

/// Returns SQL Edge's shell line, the same in three dumps of `docker inspect`.
fn edge_line(launchpad: bool) -> String {
    let mut line = String::new();
    if launchpad {
        // Writing to a String does not fail.
        let _ = write!(line, "{LAUNCHPAD} {LAUNCHPAD_ARGUMENTS} & ");
    }
    line + COMPANION + " & " + SQLSERVR
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// A root directory with these programs; a path that begins with `!` is one that can't be run.
    fn root(name: &str, programs: &[&str]) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("image-{}-{name}", std::process::id()));
        for program in programs {
            let (mode, program) = match program.strip_prefix('!') {
                Some(program) => (0o644, program),
                None => (0o755, *program),
            };
            let path = root.join(program.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
            fs::write(&path, "").expect("writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        }
        root
    }

    #[test]
    fn an_image_starts_what_it_has() {
        const EDGE: &str = "/opt/mssql/bin/launchpadd -usens=false -enableOutboundAccess=true -usesameuser=true -sqlGroup root -- -reparentOrphanedDescendants=true -useDefaultLaunchers=false & /app/asdepackage/AsdePackage & /opt/mssql/bin/sqlservr";
        let cases: [(&str, &[&str], &[&str]); 9] = [
            (
                "edge",
                &[SQLSERVR, PERMISSIONS, COMPANION, LAUNCHPAD],
                &[PERMISSIONS, "/bin/sh", "-c", EDGE],
            ),
            (
                "edge-without-launchpad",
                &[SQLSERVR, PERMISSIONS, COMPANION],
                &[
                    PERMISSIONS,
                    "/bin/sh",
                    "-c",
                    "/app/asdepackage/AsdePackage & /opt/mssql/bin/sqlservr",
                ],
            ),
            (
                "edge-without-check",
                &[SQLSERVR, COMPANION, LAUNCHPAD],
                &["/bin/sh", "-c", EDGE],
            ),
            (
                "2022-cu18",
                &[SQLSERVR, PERMISSIONS, LAUNCHER],
                &[LAUNCHER, SQLSERVR],
            ),
            // With the package for external languages the image's launcher starts it or does not.
            (
                "extensibility",
                &[SQLSERVR, PERMISSIONS, LAUNCHER, LAUNCHPAD],
                &[LAUNCHER, SQLSERVR],
            ),
            (
                "2022-cu17",
                &[SQLSERVR, PERMISSIONS],
                &[PERMISSIONS, SQLSERVR],
            ),
            ("2017", &[SQLSERVR], &[SQLSERVR]),
            (
                "no-permission",
                &[SQLSERVR, "!/opt/mssql/bin/launch_sqlservr.sh"],
                &[SQLSERVR],
            ),
            ("none", &[PERMISSIONS, LAUNCHER, COMPANION], &[]),
        ];
        for (name, programs, expected) in cases {
            let root = root(name, programs);
            let found = command(&root);
            fs::remove_dir_all(&root).expect("it is there");
            match (found, expected) {
                (Err(NoEngine), []) => {}
                (Ok(found), expected) => assert_eq!(found.words, expected, "{name}"),
                (Err(NoEngine), _) => panic!("{name}: there is an engine"),
            }
        }
    }
}
