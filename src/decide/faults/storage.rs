//! Faults of files, of the volume and of its room.

use super::{Fault, ROW, Rank, number, text};
use crate::decide::reason::Reason;

/// The numbers under which the engine reports that a file can't be opened, made, enlarged or written.
const FILE: &[u32] = &[5120, 5123, 5133, 5149, 17_053, 17_204, 17_207];

/// The numbers under which the engine reports that master can't be opened.
const MASTER: &[u32] = &[17_113, 17_114];

/// The errors of a missing file: ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND.
const MISSING: &[u32] = &[2, 3];

/// The error of a refused access: ERROR_ACCESS_DENIED.
const DENIED: &[u32] = &[5];

/// The error of a read-only volume: ERROR_WRITE_PROTECT.
const PROTECTED: &[u32] = &[19];

/// The errors of a file that another process uses: ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
const LOCKED: &[u32] = &[32, 33];

/// The errors of missing room: ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED.
const NO_ROOM: &[u32] = &[112, 39, 1295];

/// ERROR_INVALID_PARAMETER, which EINVAL becomes: the error of open(2) where O_DIRECT is not known.
const INVALID: &[u32] = &[87];

/// The errors that EIO and its kin become: ERROR_NOT_READY, ERROR_CRC, ERROR_WRITE_FAULT, ERROR_READ_FAULT,
/// ERROR_GEN_FAILURE, ERROR_NETWORK_BUSY and the like, ERROR_IO_DEVICE, ERROR_DISK_CORRUPT.
const IO: &[u32] = &[
    6, 21, 23, 29, 30, 31, 51, 53, 54, 55, 59, 64, 121, 483, 1117, 1167, 1392, 1450,
];

/// The errors of an operation that the file system lacks: ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED.
const UNKNOWN: &[u32] = &[1, 50];

/// The errors of damage: ERROR_HANDLE_EOF, ERROR_INVALID_DATA, ERROR_BAD_FORMAT and ERROR_FILE_CORRUPT.
const DAMAGED: &[u32] = &[38, 13, 11, 1392];

/// The numbers under which the engine reports that a file can't be opened.
const OPEN: &[u32] = &[5120, 17_204, 17_207];

/// The name of master's data file, in whatever directory.
const DATA: &[&str] = &["/master.mdf"];

/// The name of master's log file, in whatever directory.
const LOG: &[&str] = &["/mastlog.ldf"];

/// Parts of the names of the system databases' files.
const SYSTEM: &[&str] = &[
    "master",
    "mastlog",
    "model",
    "msdb",
    "temp",
    "mssqlsystemresource",
];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "half-made",
        reason: Reason::SystemDatabaseUnreadable,
        meaning: "master still names the files by where they were built: the first start on this volume was cut short before it had set the system databases up",
        help: "See what ended the first start (memory, room, a probe that kills, a stop). If the volume holds nothing but that start, empty its data directory and start again; databases of yours are not named by this master, keep their files and attach them afterwards. Else restore master from a backup.",
        signs: &[
            number(FILE).parts(&["mkmastr"]),
            text(&["File activation failure", "mkmastr"]),
        ],
        ..ROW
    },
    Fault {
        name: "stale",
        reason: Reason::VolumeDisconnected,
        meaning: "the server or daemon behind the mount is gone",
        help: "Bring the server back, then delete the pod, so that the volume is attached anew: such a mount does not heal by itself. Run DBCC CHECKDB afterwards.",
        rank: Rank::Contributing,
        signs: &[
            number(FILE).parts(&["Stale "]),
            number(MASTER).parts(&["Stale "]),
            text(&["Stale file handle"]),
            text(&["Stale NFS file handle"]),
            text(&["Transport endpoint is not connected"]),
        ],
        ..ROW
    },
    Fault {
        name: "read-only",
        reason: Reason::VolumeReadOnly,
        meaning: "the engine writes to a file system that is read-only",
        help: "Where it was mounted so: mount it writable (readOnly of the mount; with readOnlyRootFilesystem each directory that the engine writes needs a mount, /tmp too). Where it has become so after an error: look at the node's log and at the storage, then delete the pod.",
        rank: Rank::Contributing,
        signs: &[number(FILE).os(PROTECTED)],
        ..ROW
    },
    Fault {
        name: "read-only-start",
        reason: Reason::VolumeReadOnly,
        meaning: "the engine's directory is on a file system that is read-only",
        help: "Where it was mounted so: mount it writable (readOnly of the mount; with readOnlyRootFilesystem each directory that the engine writes needs a mount, /tmp too). Where it has become so after an error: look at the node's log and at the storage, then delete the pod.",
        signs: &[
            number(MASTER).os(PROTECTED),
            number(&[17_058]).os(PROTECTED),
            text(&["Setup FAILED copying system data file"]).os(PROTECTED),
            text(&["BootstrapSystemDataDirectories() failure"]).os(PROTECTED),
            text(&["irectory [", "could not be created", "(30)"]),
            text(&["/var/opt/mssql", "Read-only file system"]),
            text(&["fatal error", "c00000a2"]),
        ],
        ..ROW
    },
    Fault {
        name: "operation-unknown",
        reason: Reason::StorageUnsupported,
        meaning: "the file system does not know an operation that the engine needs",
        help: "Put the data on ext4 or XFS. Known not to work: host paths of a desktop (Docker Desktop's shared folders; use a named volume there), 9p, some FUSE and SMB mounts.",
        signs: &[
            number(MASTER).os(UNKNOWN),
            text(&["Setup FAILED copying system data file"]).os(UNKNOWN),
            text(&["BootstrapSystemDataDirectories() failure"]).os(UNKNOWN),
        ],
        ..ROW
    },
    Fault {
        name: "control-unknown",
        reason: Reason::StorageUnsupported,
        meaning: "the file system does not know a control operation, such as those for sparse files",
        help: "The engine goes on; snapshots, and DBCC CHECKDB without TABLOCK, may fail there. Put the data on ext4 or XFS.",
        rank: Rank::Problem,
        signs: &[number(&[17_053]).os(UNKNOWN).parts(&["DevIoCtl"])],
        ..ROW
    },
    Fault {
        name: "master-damaged",
        reason: Reason::SystemDatabaseUnreadable,
        meaning: "the file of master is empty, cut off or damaged",
        help: "See that the right volume is attached, and that a copy of it was not cut short; then restore master from a backup. Where the loss is accepted, an empty data directory makes a new instance: keep the files of your databases, and attach them afterwards.",
        signs: &[
            number(MASTER).os(DAMAGED),
            number(&[5171, 5172, 5173]).parts(DATA),
        ],
        ..ROW
    },
    Fault {
        name: "direct-io",
        reason: Reason::StorageUnsupported,
        meaning: "the file system refuses direct I/O (O_DIRECT), which is what error 87 means for a file that is there",
        help: "Put the data on ext4 or XFS. Known not to work: tmpfs before Linux 6.6, eCryptfs, ZFS before 0.8, some FUSE, 9p and shared-folder mounts (VirtualBox, Docker Desktop's host paths).",
        signs: &[
            number(MASTER).os(INVALID),
            text(&["Setup FAILED copying system data file"]).os(INVALID),
            text(&["BootstrapSystemDataDirectories() failure"]).os(INVALID),
            text(&["O_DIRECT"]),
        ],
        ..ROW
    },
    Fault {
        name: "direct-io-file",
        reason: Reason::StorageUnsupported,
        meaning: "the file system refuses direct I/O (O_DIRECT) to a file",
        help: "Put the directory of this file on ext4 or XFS.",
        rank: Rank::Contributing,
        signs: &[number(FILE).os(INVALID)],
        ..ROW
    },
    Fault {
        name: "sector-size",
        reason: Reason::StorageUnsupported,
        meaning: "the volume's sectors are not those that the files were made with, or are larger than 4096 bytes",
        help: "Attach the data to a volume whose sectors are of 512 or 4096 bytes, and as large as where the files were made; copy them with BACKUP and RESTORE instead. On a 4 KiB disk that shows 512 (512e) this costs speed only.",
        rank: Rank::Contributing,
        number: Some(9012),
        signs: &[
            number(&[5178, 5179, 9012]),
            text(&["misaligned log IOs"]),
            text(&["formatted with sector size"]),
            text(&["on a volume with sector size"]),
        ],
        ..ROW
    },
    Fault {
        name: "platform-volume",
        reason: Reason::StorageUnsupported,
        meaning: "the platform layer stops as it does on a volume that it can't use",
        help: "Put the data on ext4 or XFS; look at what is mounted at /var/opt/mssql (network shares, host paths of a desktop: use a named volume there, a file system in user space), and whether uid 10001 may write .system on it.",
        signs: &[
            text(&["fatal error", "persistent registry"]).without(&["c0000022", "c000007f"]),
            text(&["fatal error", "d000000d"]),
            text(&["Status: 0xd000000d"]),
        ],
        ..ROW
    },
    Fault {
        name: "master-in-use",
        reason: Reason::MasterFileDenied,
        meaning: "another engine has master open",
        help: "Find the pod or container that still runs on this volume (kubectl get pods -o wide; the volume's attachments) and let it end: strategy Recreate, one replica, ReadWriteOncePod. Do not change the owner of the files.",
        restart_helps: true,
        signs: &[
            number(MASTER).os(LOCKED),
            number(OPEN).os(LOCKED).parts(DATA),
            number(OPEN).os(LOCKED).parts(LOG),
            text(&["nother instance of SQL Server"]),
            text(&["nother instance", "running"]).without(&["Always On"]),
        ],
        ..ROW
    },
    Fault {
        name: "master-denied",
        reason: Reason::MasterFileDenied,
        meaning: "master is there and access to it is denied: another engine has it open (the old pod, on storage whose locks say \"denied\"), or its owner is another user",
        help: "See first whether another pod or container still runs on this volume, and let it end; then a new start succeeds by itself. Only where none does, look at the owner and the mode of the file: the engine runs as uid 10001.",
        restart_helps: true,
        signs: &[
            number(MASTER).os(DENIED),
            number(OPEN).os(DENIED).parts(DATA),
            number(OPEN).os(DENIED).parts(LOG),
        ],
        ..ROW
    },
    Fault {
        name: "master-no-room",
        reason: Reason::DiskFull,
        meaning: "there is no room on the volume for the system databases",
        help: "Enlarge the volume or free space (dumps and old errorlogs under log/), then start again.",
        signs: &[
            number(MASTER).os(NO_ROOM),
            text(&["Setup FAILED copying system data file"]).os(NO_ROOM),
            text(&["BootstrapSystemDataDirectories() failure"]).os(NO_ROOM),
            text(&["irectory [", "could not be created", "(28)"]),
            text(&["instance_id", "No space left"]),
            text(&["fatal error", "c000007f"]),
            text(&["fatal error", "Reason: 0x00000003", "Status: 0x0000001c"]),
            number(&[17_058]).os(NO_ROOM),
        ],
        ..ROW
    },
    Fault {
        name: "master-missing",
        reason: Reason::SystemDatabaseUnreadable,
        meaning: "a file of the system databases is not where the engine looks for it",
        help: "Attach the volume that holds it, or correct filelocation.masterdatafile and masterlogfile (MSSQL_MASTER_DATA_FILE, MSSQL_DATA_DIR). Only where the loss is accepted: an empty directory makes a new instance.",
        signs: &[
            number(MASTER).os(MISSING),
            number(OPEN).os(MISSING).parts(DATA),
            number(OPEN).os(MISSING).parts(LOG),
            text(&["Setup FAILED copying system data file"]).os(MISSING),
            text(&["BootstrapSystemDataDirectories() failure"]).os(MISSING),
        ],
        ..ROW
    },
    Fault {
        name: "master-io",
        reason: Reason::VolumeIoError,
        meaning: "the volume answers with an I/O error where the system databases are opened",
        help: "Look at the node's log and at the storage; then delete the pod, so that the volume is attached anew.",
        restart_helps: true,
        signs: &[
            number(MASTER).os(IO),
            text(&["Setup FAILED copying system data file"]).os(IO),
            text(&["BootstrapSystemDataDirectories() failure"]).os(IO),
        ],
        ..ROW
    },
    Fault {
        name: "directory-denied",
        reason: Reason::DataDirectoryDenied,
        meaning: "the engine may not make or open its own files",
        help: "Give the volume to the engine's user: fsGroup 10001, or chown -R 10001:0 on a volume without it; with SELinux relabel it (podman: the option Z of the mount).",
        signs: &[
            text(&["irectory [", "could not be created"]),
            text(&["instance_id", "Unable to"]),
            text(&["instance_id", "Permission denied"]),
            text(&["machine-key", "denied"]),
            text(&["machine-key", "Unable to"]),
            text(&["/var/opt/mssql", "Permission denied"]).without(&["mssql.conf"]),
            text(&["/.system", "denied"]),
            text(&["Setup FAILED copying system data file"]).os(DENIED),
            text(&["BootstrapSystemDataDirectories() failure"]).os(DENIED),
            number(&[17_058]).os(DENIED),
            number(&[17_058]).parts(&["denied"]),
            text(&["initerrlog", "denied"]),
            text(&["fatal error", "c0000022"]),
            text(&["fatal error", "Reason: 0x00000003", "Status: 0x0000000d"]),
        ],
        ..ROW
    },
    Fault {
        name: "errorlog-path",
        reason: Reason::ConfigurationInvalid,
        meaning: "the errorlog can't be opened where it is to be",
        help: "Correct filelocation.errorlogfile (MSSQL_ERROR_LOG_FILE): its directory has to be there and to belong to uid 10001.",
        signs: &[number(&[17_058]), text(&["initerrlog"])],
        ..ROW
    },
    Fault {
        name: "tempdb-denied",
        reason: Reason::TempdbUnavailable,
        meaning: "a file of tempdb can't be made or opened",
        help: "See that the directory of tempdb's files is there and belongs to uid 10001, and that the file is no left-over of another user. ALTER DATABASE tempdb MODIFY FILE moves it; tempdb holds nothing that has to be kept.",
        rank: Rank::Contributing,
        signs: &[
            number(&[5120, 5123, 5133, 17_204, 17_207])
                .os(DENIED)
                .parts(&["temp"]),
            number(&[5120, 5123, 5133, 17_204, 17_207])
                .os(MISSING)
                .parts(&["temp"]),
        ],
        ..ROW
    },
    Fault {
        name: "file-no-room",
        reason: Reason::DiskFull,
        meaning: "a file can't be made, enlarged or written for want of room",
        help: "Enlarge the volume or free space (dumps and old errorlogs under log/), then start again.",
        rank: Rank::Contributing,
        signs: &[
            number(FILE).os(NO_ROOM),
            number(FILE).parts(&["No space left"]),
            number(FILE).parts(&["uota exceeded"]),
            text(&["No space left on device"]),
            text(&["not enough space on the disk"]),
        ],
        ..ROW
    },
    Fault {
        name: "file-io",
        reason: Reason::VolumeIoError,
        meaning: "the volume answers with an I/O error",
        help: "Look at the storage and at the node's log (NFS: the server, hard mounts, the network; on a desktop: a shared folder, which is none for databases, or a full disk image); then delete the pod, so that the volume is attached anew. Run DBCC CHECKDB afterwards.",
        restart_helps: true,
        rank: Rank::Contributing,
        signs: &[number(FILE).os(IO), text(&["Write error during log flush"])],
        ..ROW
    },
    Fault {
        name: "file-in-use",
        reason: Reason::MasterFileDenied,
        meaning: "another process has a file of the databases open",
        help: "Find the pod or container that still runs on this volume, and let it end.",
        restart_helps: true,
        rank: Rank::Contributing,
        signs: &[number(FILE).os(LOCKED)],
        ..ROW
    },
    Fault {
        name: "file-header",
        reason: Reason::SystemDatabaseUnreadable,
        meaning: "a file is no file of this database: empty, cut off, damaged, or another's",
        help: "See that the right volume is attached, and that a copy of it was not cut short; then restore the database from a backup. Keep the file until then.",
        rank: Rank::Contributing,
        signs: &[number(&[5171, 5172, 5173, 5110, 5118])],
        ..ROW
    },
    Fault {
        name: "database-file",
        reason: Reason::DatabaseRecoveryPending,
        meaning: "a file of a user's database can't be opened",
        help: "2 and 3: it is not there, attach the volume that holds it; 5: see whether another engine has it open, then to its owner (uid 10001). Then ALTER DATABASE ... SET ONLINE: no restart is needed, and the other databases are not concerned.",
        rank: Rank::Problem,
        signs: &[number(OPEN).parts(&["/"]).without(SYSTEM)],
        ..ROW
    },
    Fault {
        name: "file-unreadable",
        reason: Reason::SystemDatabaseUnreadable,
        meaning: "a file of the databases can't be opened",
        help: "2 and 3: it is not there, attach the right volume; 5: see whether another engine has it open, then to its owner (uid 10001). Lost files of model or msdb: restore them, or take them from an empty volume that the same build has set up.",
        rank: Rank::Contributing,
        signs: &[
            number(&[5120, 5123, 5133, 5149, 17_204, 17_207]),
            text(&["FCB::Open failed"]),
        ],
        ..ROW
    },
    Fault {
        name: "master-unreadable",
        reason: Reason::SystemDatabaseUnreadable,
        meaning: "master can't be opened or set up",
        help: "Look the error of the operating system up; it is in the evidence.",
        signs: &[
            number(MASTER),
            text(&["Setup FAILED copying system data file"]),
            text(&["BootstrapSystemDataDirectories() failure"]),
        ],
        ..ROW
    },
    Fault {
        name: "os-error",
        reason: Reason::VolumeIoError,
        meaning: "the operating system refuses to read or write a file",
        help: "Look the error of the operating system up; it is in the evidence. Look at the storage and at the node's log.",
        rank: Rank::Contributing,
        signs: &[number(&[17_053])],
        ..ROW
    },
];
