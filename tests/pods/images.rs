//! The two images, made once a run. There is no registry: the Dockerfiles are built for real on bases
//! that come from this machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::podman::podman;
use crate::{standin, subject};

const SUPERVISOR: &str = "localhost/sql-edge-supervisor:test";
const STANDIN: &str = "localhost/sql-edge-standin:test";
const SERVER: &str = "localhost/mssql-standin:test";
const BASE: &str = "localhost/standin-base:test";

/// What the image's shell and its scripts need of a base.
const PROGRAMS: [&str; 4] = ["dash", "sleep", "install", "chown"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The static binary that is shipped.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("PODS_BINARY") {
        Some(path) => path.into(),
        None => subject::build().expect("the static binary is built"),
    })
}

/// The image that is shipped.
pub fn supervisor() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        build_supervisor(SUPERVISOR);
    });
    SUPERVISOR
}

/// Builds the Dockerfile's last stage with the binary that is there instead of its first stage's; the
/// image's id.
pub fn build_supervisor(name: &str) -> String {
    let compiled = podman().home().join("compiled");
    fs::create_dir_all(compiled.join("out")).expect("writable");
    let copy = compiled.join("out/sql-edge-supervisor");
    // Another test may build at the same time: it reads the one or the other, both whole.
    let new = copy.with_extension(name.replace(['/', ':'], "-"));
    fs::copy(binary(), &new).expect("the binary is there");
    fs::rename(&new, &copy).expect("writable");
    let context = format!("--build-context=compiled={}", compiled.display());
    // The cache of buildah 1.28 takes a label of other arguments for the same.
    let mut words = vec![
        "build",
        "--quiet",
        "--no-cache",
        "--network=none",
        "--timestamp=0",
    ];
    words.extend(["--file=docker/Dockerfile", &context, "--tag", name]);
    let root = root().display().to_string();
    words.push(&root);
    podman().run(words)
}

/// The stand-in's image, as of SQL Edge.
pub fn standin() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let home = podman().home();
        let built = engine();
        // As sqlservr's in the image: the one that may bind low ports, without which exec fails.
        let program = home.join("engine/sqlservr");
        succeed(
            Command::new("setcap")
                .arg("cap_net_bind_service+ep")
                .arg(&program),
        );
        base(&home.join("base"), &built);
        build_standin(STANDIN, &root().join("docker/standin"));
    });
    STANDIN
}

/// The same as of SQL Server since 2022 CU18: without SQL Edge's companions, with a launcher that passes no
/// signal on, a script that sets a new instance up, and a sqlcmd.
pub fn server() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        // The base and the engine are the same.
        standin();
        let context = podman().home().join("server");
        let _ = fs::remove_dir_all(&context);
        fs::create_dir_all(&context).expect("writable");
        for from in ["docker/standin/opt", "docker/standin-server/opt"] {
            succeed(
                Command::new("cp")
                    .arg("-a")
                    .arg(root().join(from))
                    .arg(&context),
            );
        }
        build_standin(SERVER, &context);
    });
    SERVER
}

/// Copies the engine to where the Dockerfile's build context is; the program that was copied.
fn engine() -> PathBuf {
    let engine = podman().home().join("engine");
    fs::create_dir_all(&engine).expect("writable");
    let built = standin::handle::built_binary().expect("cargo build --example sqlservr");
    fs::copy(&built, engine.join("sqlservr")).expect("it is there");
    built
}

fn build_standin(name: &str, context: &Path) {
    let file = root().join("docker/standin.Dockerfile");
    let file = format!("--file={}", file.display());
    let base = format!("--build-arg=BASE={BASE}");
    let engine = podman().home().join("engine");
    let engine = format!("--build-context=engine={}", engine.display());
    let context = context.display().to_string();
    podman().run([
        "build",
        "--quiet",
        "--network=none",
        &file,
        &base,
        &engine,
        "--tag",
        name,
        &context,
    ]);
}

/// The stand-in's base image.
fn base(at: &Path, engine: &Path) {
    file_system(at, engine);
    let archive = at.with_extension("tar");
    succeed(
        Command::new("tar")
            .arg("-C")
            .arg(at)
            .arg("-cf")
            .arg(&archive)
            .args(["--owner=0", "--group=0", "."]),
    );
    podman().run(["import", "--quiet", &archive.display().to_string(), BASE]);
}

/// A root file system with a shell and what a program is linked with, from this machine's own.
pub fn file_system(at: &Path, linked: &Path) {
    let _ = fs::remove_dir_all(at);
    let folders = [
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "etc",
        "tmp",
        "proc",
        "sys",
        "dev",
        "run",
    ];
    for folder in folders {
        fs::create_dir_all(at.join(folder)).expect("writable");
    }
    fs::set_permissions(at.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("ours");
    for (link, to) in [
        ("bin", "usr/bin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ] {
        symlink(to, at.join(link)).expect("writable");
    }
    let users = "root:x:0:0::/root:/bin/sh\nmssql:x:10001:0::/var/opt/mssql:/bin/sh\n";
    fs::write(at.join("etc/passwd"), users).expect("writable");
    let programs = PROGRAMS.map(|name| Path::new("/usr/bin").join(name));
    for program in &programs {
        take(program, at);
        libraries(program)
            .iter()
            .for_each(|library| take(library, at));
    }
    libraries(linked)
        .iter()
        .for_each(|library| take(library, at));
    symlink("dash", at.join("usr/bin/sh")).expect("writable");
}

/// Copies a file of this machine to the same place below `root`.
fn take(file: &Path, root: &Path) {
    // /lib and /lib64 are links into /usr on every Debian that has this podman.
    let below = file
        .strip_prefix("/usr")
        .or_else(|_| file.strip_prefix("/"));
    let to = root.join("usr").join(below.expect("an absolute path"));
    fs::create_dir_all(to.parent().expect("it lies in a folder")).expect("writable");
    fs::copy(file, &to).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// The shared libraries of a program, with the dynamic linker; ldd(1).
fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = succeed(Command::new("ldd").arg(program));
    let paths = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).collect()
}

/// What it prints.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output();
    let output =
        output.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
