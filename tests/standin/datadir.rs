//! The data directory as the engine lays it out, and its complaints when it cannot.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const SYSTEM_FILES: [&str; 8] = [
    "master.mdf",
    "mastlog.ldf",
    "model.mdf",
    "modellog.ldf",
    "msdbdata.mdf",
    "msdblog.ldf",
    "tempdb.mdf",
    "templog.ldf",
];
/// Small stand-ins of the template files, which are some MiB in the image.
const TEMPLATE: [u8; 8192] = [0x5a; 8192];

/// A message for the container's output; the process then exits with status 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartFailure(pub String);

pub struct DataDirectory {
    pub root: PathBuf,
    /// The files copied from the template: this is a new instance (or had lost them).
    pub copied: Vec<String>,
    pub instance_id: String,
}

impl DataDirectory {
    /// Creates what is missing. An empty volume silently becomes a new instance, as in the real engine.
    pub fn open(root: &Path) -> Result<Self, StartFailure> {
        let system = root.join(".system");
        fs::create_dir_all(&system).map_err(|error| {
            StartFailure(format!(
                "/opt/mssql/bin/sqlservr: Error: The system directory [/.system] could not be created. \
                 File: LinuxDirectory.cpp:420 [{}]",
                status(&error)
            ))
        })?;
        let instance_id = instance_id(&system.join("instance_id"))?;
        let data = root.join("data");
        for directory in [&data, &root.join("log"), &root.join("secrets")] {
            fs::create_dir_all(directory).map_err(|error| bootstrap_failure(&error))?;
        }
        let mut copied = Vec::new();
        for name in SYSTEM_FILES {
            if copy_template(&data.join(name), name)? {
                copied.push(name.to_owned());
            }
        }
        sync_directory(&data).map_err(|error| bootstrap_failure(&error))?;
        Ok(Self {
            root: root.to_owned(),
            copied,
            instance_id,
        })
    }

    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns an error as the platform layer prints it: NT status and errno.
fn status(error: &io::Error) -> String {
    let errno = error.raw_os_error().unwrap_or(0);
    let name = match error.kind() {
        io::ErrorKind::PermissionDenied => "0xC0000022 Access Denied",
        io::ErrorKind::ReadOnlyFilesystem => "0xC00000A2 Media Write Protected",
        io::ErrorKind::StorageFull => "0xC000007F Disk Full",
        io::ErrorKind::NotFound => "0xC0000034 Object Name Not Found",
        _ => "0xC0000001 Unsuccessful",
    };
    format!("Status: {name} errno = {errno:#X}({errno}) {error}")
}

/// Returns the Windows error number that the messages carry.
fn windows_error(error: &io::Error) -> (u32, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => (2, "The system cannot find the file specified."),
        io::ErrorKind::PermissionDenied => (5, "Access is denied."),
        io::ErrorKind::ReadOnlyFilesystem => (19, "The media is write protected."),
        io::ErrorKind::StorageFull => (112, "There is not enough space on the disk."),
        _ => (31, "A device attached to the system is not functioning."),
    }
}

fn bootstrap_failure(error: &io::Error) -> StartFailure {
    let (number, text) = windows_error(error);
    StartFailure(format!(
        "ERROR: Setup FAILED copying system data file 'C:\\templatedata\\master.mdf' to '/var/opt/mssql/data/master.mdf': \
         {number}({text})\n\
         ERROR: BootstrapSystemDataDirectories() failure (HRESULT 0x8007{number:04x})"
    ))
}

fn instance_id(path: &Path) -> Result<String, StartFailure> {
    let failure = |error: io::Error| {
        StartFailure(format!(
            "Unable to open {}: {}",
            path.display(),
            status(&error)
        ))
    };
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = fs::read_to_string("/proc/sys/kernel/random/uuid")
                .map_err(failure)?
                .trim()
                .to_ascii_uppercase();
            let mut file = File::create(path).map_err(failure)?;
            file.write_all(id.as_bytes()).map_err(failure)?;
            file.sync_all().map_err(failure)?;
            Ok(id)
        }
        Err(error) => Err(failure(error)),
    }
}

/// Copies a template file; returns `true` when the file was made, or an error when an existing one cannot be
/// opened for writing.
fn copy_template(path: &Path, name: &str) -> Result<bool, StartFailure> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    match opened {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = File::create(path).and_then(|mut file| {
                file.write_all(&TEMPLATE)?;
                file.sync_all()
            });
            made.map_err(|error| bootstrap_failure(&error))?;
            Ok(true)
        }
        Err(error) => {
            let (number, text) = windows_error(&error);
            Err(StartFailure(format!(
                "Error: 17113, Severity: 16, State: 1.\n\
                 Error {number}({text}) occurred while opening file '{}' to obtain configuration information at \
                 startup. An invalid startup option might have caused the error. ({name})",
                path.display()
            )))
        }
    }
}
