//! The rows of the catalogue.

use serde::Serialize;

use super::{Evidence, Outcome, ReadyEffect, ReasonInfo};

reasons! {
    ProcessMissing: Restart level 1 on Process, ready Fails, lifeless;
        "No sqlservr process, though one ran here before and the container goes on.";
        "Nothing: the container is restarted. If it comes back, read the SQL container's log for what ended sqlservr."
    ProcessExited: Wait, ready Fails;
        "sqlservr exited.";
        "The runtime restarts the container. Read the exit code here and the SQL container's previous log (`kubectl logs -p`)."
    ProcessKilled: Wait, ready Fails;
        "A signal ended sqlservr.";
        "The runtime restarts the container. Signal 9 without an OOM kill comes from a person, the kubelet or the node; 6 and 11 are crashes: look for a dump under log/."
    OomKilled: Wait, ready Fails;
        "The kernel killed sqlservr for want of memory.";
        "Set MSSQL_MEMORY_LIMIT_MB below the container's memory limit: SQL Edge, and SQL Server before 2022 CU20, do not see a cgroup v2 limit."
    ProcessZombie: Restart level 1 on Process, ready Fails, lifeless;
        "sqlservr is dead and nobody reaps it.";
        "Nothing: the container is restarted. To avoid it, start the image through an init that reaps."
    EngineUnresponsive: Restart level 2 on Silence, ready Fails, lifeless;
        "Neither ping, login nor diagnostics were answered for the configured time, and no progress was seen.";
        "Nothing: the container is restarted. If it repeats, look at the volume's latency and for dumps under log/."
    BusyLimitExceeded: Restart level 2 on Silence, ready Fails;
        "The engine answered nothing for longer than `busy-limit`, though it uses processor time.";
        "Nothing: the container is restarted. If it repeats, look for what spins: dumps and non-yielding schedulers in the errorlog."
    EngineBusy: Wait, ready Fails;
        "Logins or queries time out, but the engine shows life.";
        "Find the load: blocking chains, worker use, cpu. A restart would only lose the work under way."
    NoFreshAnswer: Wait, ready Fails;
        "No query was answered recently enough to call the engine ready.";
        "Wait: it either answers again, or the evidence for a restart becomes complete."
    ListenerLost: Restart level 1 on Refusal, ready Fails;
        "The port is refused by a process that had been serving on it.";
        "Nothing: the container is restarted. Look in the errorlog for 17182, 17826 or 17120."
    ListeningElsewhere: Operator, ready None;
        "The engine listens on another address than the one that is configured.";
        "Set `sql-host` and `sql-port` to auto, or to the address in the evidence; see that the Service's target port is the one that the engine listens on."
    DiagnosticsUnavailable: Notice, ready None;
        "sp_server_diagnostics fails with an error that is not its own: the engine's own account of its health is missing.";
        "Look up the error number; it is in the evidence."
    SystemError: Restart level 3 on Report, ready Fails;
        "sp_server_diagnostics reports the component system in error, repeatedly.";
        "Nothing: the container is restarted. Look for dumps, access violations and orphaned spinlocks in the errorlog."
    ResourceError: Restart level 4 on Report, ready Fails;
        "sp_server_diagnostics reports the component resource in error, repeatedly.";
        "Give the instance more memory, or lower what else uses it."
    SchedulersDeadlocked: Restart level 5 on Report, ready Fails;
        "sp_server_diagnostics reports query_processing in error: deadlocked schedulers or an unsolvable deadlock.";
        "Look for the head of the blocking chain; raise max worker threads only with care."
    Restarting: Wait, ready Fails;
        "The supervisor ends the engine, so that its container is started anew.";
        "Nothing: the reason stands beside this one, in the log and in `status`."
    RestartFailed: Operator, ready Fails;
        "The supervisor could not end the engine: liveness fails instead, for the kubelet to do it.";
        "Run the supervisor with the uid of sqlservr (10001). A process that outlives SIGKILL waits for its volume: check the storage."
    NotYetObserved: Wait, ready Fails;
        "The supervisor has not seen the engine yet.";
        "Wait a few seconds. If it stays: share the PID namespace or use launch, and check the SQL address."
    Starting: Wait, ready Fails;
        "The engine is starting.";
        "Wait. The first start on an empty volume copies the system databases."
    StartupStalled: Restart level 2 on StartUnderWay, ready Fails, lifeless;
        "The start made no progress for the configured time.";
        "Nothing: the container is restarted. Read the SQL container's log and the errorlog's last line."
    StartFailed: Operator, ready Fails;
        "sqlservr ended during its start, for a reason that the table of faults does not have.";
        "Read the last error in the evidence, and the SQL container's log (`kubectl logs -p`). Exit codes 134, 139 and 255 are crashes; `engine-output` lets the supervisor read what it prints."
    EvaluationExpired: Operator, ready Fails, holds;
        "The evaluation period has expired (17051).";
        "Set MSSQL_PID to an edition that you may use; the data is kept."
    EulaNotAccepted: Operator, ready Fails, holds;
        "The licence terms were not accepted.";
        "Set ACCEPT_EULA=Y in the SQL container's environment."
    SaPasswordRejected: Operator, ready Fails, holds;
        "The engine refuses the password that it is to set up `sa` with: too weak, or missing.";
        "Give MSSQL_SA_PASSWORD at least 8 characters of three kinds: upper case, lower case, digits, symbols."
    MemoryTooSmall: Operator, ready Fails, holds;
        "The machine or the container has less memory than the engine asks for.";
        "Raise the memory limit: 2000 MB for SQL Server, 1 GB for SQL Edge, at the least."
    KernelUnsupported: Operator, ready Fails, holds;
        "SQL Edge, and SQL Server before 2022 CU11, crash at their start on Linux 6.7 and later.";
        "Run it on a node with a kernel before 6.7, or move to SQL Server 2022 CU11 or later (microsoft/mssql-docker issues 868 and 893). A restart ends the same."
    ListenFailed: Operator, ready Fails, holds;
        "The engine can't listen: the port is taken, or its certificate can't be loaded (17182, 17826, 17120).";
        "Free the port, or correct network.tlscert and network.tlskey in mssql.conf."
    DataDirectoryDenied: Operator, ready Fails, holds;
        "The engine may not write its data directory.";
        "Give the volume to uid 10001 (`fsGroup: 10001`; `chown -R 10001:0` on a volume without it)."
    SystemDatabaseUnreadable: Operator, ready Fails, holds;
        "The engine can't open or set up its system databases (17113).";
        "2 and 3 mean that a file is missing: attach the right volume, or correct the path. With 5, see whether another engine has it open before you look at its owner (uid 10001)."
    MasterUnrecoverable: Operator, ready Fails, holds;
        "The engine can't recover master (3417).";
        "Restore master from a backup, or rebuild it; read the errorlog for the cause before you do."
    UpgradeFailed: Operator, ready Fails, holds;
        "An upgrade script of the engine failed, so that it can't run (912).";
        "Mend the error that the script met (it stands in the evidence) and start again: the upgrade begins anew. Do not restore or rebuild master for it; until then the former image still runs on a volume whose upgrade did not begin."
    DowngradeRefused: Operator, ready Fails, holds;
        "The databases on the volume are of a newer version than this engine (946, 948).";
        "Run the image that wrote the volume last, or a newer one: there is no way back but a backup from before the upgrade. Pin the image's tag."
    StorageUnsupported: Operator, ready Fails, gate, holds;
        "The volume's file system or its sectors are nothing that the engine can work with.";
        "Put the data on ext4 or XFS, on a volume with sectors of 512 or 4096 bytes that allows direct I/O (O_DIRECT)."
    MasterFileDenied: Operator, ready Fails, holds;
        "The engine is refused its master database: another engine has it open, or the file is not its own (17113 with error 5, 32 or 33).";
        "See first whether another pod or container still runs on this volume, and let it end. Only where none does, see to the owner of the files: uid 10001."
    TempdbUnavailable: Operator, ready Fails, holds;
        "The engine can't make tempdb, and ends for it (1814, 1619).";
        "Look at the error beside it: room for tempdb's files, their directory, its owner. tempdb holds nothing that has to be kept."
    NotExecutable: Operator, ready Fails, holds;
        "The container may not or can't execute sqlservr.";
        "Add the capability NET_BIND_SERVICE where all are dropped, leave allowPrivilegeEscalation on, and run an image of the node's architecture."
    HostUnsupported: Operator, ready Fails, holds;
        "The node is none that the engine can run on: its page size, its processor, or how it lays out memory.";
        "Run it on an x86-64 node with pages of 4 KiB, SSE4.2 and AVX, a stack limit and the usual layout of memory."
    ConfigurationInvalid: Operator, ready Fails, holds;
        "The engine can't use its configuration: mssql.conf or a MSSQL_ variable.";
        "Correct what the evidence names; what stands in a variable counts more than what stands in mssql.conf."
    RecoveryStalled: Restart level 2 on RecoveryUnderWay, ready Fails;
        "The recovery of a required database made no progress for the configured time.";
        "Nothing: the container is restarted. If it repeats, look at the volume's latency and at the errorlog."
    Recovering: Wait, ready Fails;
        "A database is being recovered.";
        "Wait: a restart begins the recovery anew. Long recoveries come from long transactions and many virtual log files."
    ScriptUpgrade: Wait, ready Fails;
        "The engine runs its upgrade scripts (18401): it turns clients away, `sa` among them.";
        "Wait: a restart begins them anew."
    DumpInProgress: Wait, ready Fails, holds, excuses;
        "A dump is being written; the engine stands still meanwhile.";
        "Wait. Keep the dump for support; see that the volume has room for it."
    Stopping: Wait, ready Fails, holds;
        "The engine is being stopped on purpose.";
        "Nothing: liveness never kills a clean shutdown."
    Paused: Operator, ready Fails;
        "The engine was paused and takes no new connections (17142).";
        "Continue it, or find out who paused it."
    SingleUser: Operator, ready Fails;
        "The engine runs in single-user mode (18461): it takes one administrator and nobody else.";
        "Finish the maintenance, then start the engine without -m or -f. `pause` keeps the supervisor from taking the one connection."
    AdministratorsOnly: Operator, ready Fails;
        "Only administrators may log in (18451).";
        "It passes with the start or the stop that it belongs to; or finish the maintenance, then start the engine without -m or -f."
    LogonTriggerRefuses: Operator, ready Fails;
        "A logon trigger turns logins away (17892).";
        "Correct or drop the trigger; the administrator connection is not subject to it. If it is to refuse the supervisor alone, except the supervisor's login from it."
    LoginFailed: Operator, ready AsProven;
        "The engine refuses the supervisor's login (18456 and its like).";
        "Correct the password that the supervisor reads. MSSQL_SA_PASSWORD is used only when a volume is first set up; afterwards the login's own password counts."
    LoginDisabled: Operator, ready AsProven;
        "The supervisor's login is disabled or locked out (18470, 18486).";
        "ALTER LOGIN ... ENABLE, or UNLOCK; use a login of its own for the supervisor (`setup-sql`)."
    PasswordExpired: Operator, ready AsProven;
        "The login's password expired or must be changed (18487, 18488).";
        "Change it, or set CHECK_EXPIRATION = OFF for the supervisor's login."
    CredentialsUnreadable: Operator, ready AsProven;
        "The supervisor has no password it can read.";
        "Check the path and the permissions of the password file, or the secret that is mounted there."
    PermissionMissing: Operator, ready AsProven;
        "The supervisor's login may not read what it needs.";
        "Run the output of `setup-sql` as an administrator."
    TlsFailed: Operator, ready AsProven;
        "TLS could not be agreed upon with the engine.";
        "Give the supervisor the CA that signed network.tlscert, or trust the certificate on loopback; check the certificate's dates and name."
    EngineUnreachable: Operator, ready Fails;
        "The SQL address can't be reached at all: no route, no such name, or no TDS behind it.";
        "Check the SQL host and port that the supervisor is given."
    QueryRefused: Operator, ready Fails;
        "The engine answers the probe's query with an error that has no reason of its own.";
        "Look up the error number; it is in the evidence."
    DatabaseSuspect: Operator, ready Fails;
        "A required database is SUSPECT.";
        "Read the errorlog for the cause (files, log, checksum), mend the storage, then restore or ALTER DATABASE ... SET ONLINE."
    DatabaseRecoveryPending: Operator, ready Fails;
        "A required database is RECOVERY_PENDING: its files, memory or disk space were not to be had.";
        "Mend that, then ALTER DATABASE ... SET ONLINE; no restart is needed."
    DatabaseOffline: Operator, ready Fails;
        "A required database is OFFLINE or missing.";
        "ALTER DATABASE ... SET ONLINE, or correct the list of required databases."
    DatabaseEmergency: Operator, ready Fails;
        "A required database is in EMERGENCY mode.";
        "Finish the repair that it was set so for."
    DatabaseRestoring: Wait, ready Fails;
        "A required database is being restored.";
        "Wait, or finish the restore WITH RECOVERY."
    WorkersExhausted: Wait, ready Fails;
        "The engine has no worker or thread left.";
        "Find what holds the workers: blocking, parallelism; check the pids limit of the container."
    ConnectionsExhausted: Wait, ready Fails;
        "The engine takes no more connections.";
        "Raise user connections or find the client that leaks them."
    OutOfMemory: Restart level 4 on Report, ready Fails;
        "The engine has reported for a while that memory ran out (701, 802, 17803).";
        "Give it more memory, or lower max server memory's consumers. Set MSSQL_MEMORY_LIMIT_MB below the container's limit."
    IoSlow: Notice, ready None;
        "The engine reports reads or writes that took longer than 15 seconds (833).";
        "Look at the volume's latency and at the node's log: storage, throttling, a neighbour. A restart makes it worse."
    EngineFault: Notice, ready None;
        "The engine reports a fault of its own: an assertion, an access violation, a thread that does not yield, a dump.";
        "Keep the dump under log/ and the errorlog; update the image; take it to support if it comes again."
    MemoryPagedOut: Notice, ready None;
        "A large part of the engine's memory was paged out (17890).";
        "Set MSSQL_MEMORY_LIMIT_MB well below the memory limit, and turn swap off on the node."
    LogFull: Operator, ready Fails;
        "A transaction log is full (9002).";
        "Look at log_reuse_wait_desc: back up the log, end the transaction that holds it, or enlarge it."
    DiskFull: Operator, ready Fails, holds;
        "The volume, or a filegroup, has no room.";
        "Enlarge the volume or free space. The pod stays up, and an engine may be started, so that you can."
    DiskLow: Notice, ready None;
        "The volume is running low on bytes or inodes.";
        "Enlarge it before it fills; look for dumps under log/."
    DataCorruption: Operator, ready Fails, holds;
        "The engine read wrong data from storage (823, 824, 825 and their like).";
        "Stop writing, check the storage, run DBCC CHECKDB, restore. A restart mends nothing."
    VolumeUnchecked: Wait, ready None, gate, no_volume;
        "The first check of the volume has not finished.";
        "Wait a few seconds."
    VolumeNotMounted: Recreate, ready Fails, gate, holds, no_volume;
        "The data directory is not a mount of its own: what is written there dies with the container.";
        "Mount the persistent volume at the data directory; outside Kubernetes, allow it by name (`--require-mount false`)."
    VolumeEphemeral: Operator, ready Fails, gate, holds, no_volume;
        "The data directory's mount does not outlive the pod: an emptyDir, a tmpfs or a container's anonymous volume.";
        "Mount a persistent volume claim at the data directory. Where the data may be lost, allow it by name (`--allow-ephemeral true`). Back up what is there first."
    VolumeReplaced: Recreate, ready Fails, gate, holds, no_volume;
        "Another volume than before is mounted at the data directory beneath the running engine.";
        "Mount the former one again; or delete the pod, so that engine and volume start together. The engine's open files are on the former one."
    VolumeMissing: Recreate, ready Fails, gate, holds, no_volume;
        "The data directory does not exist.";
        "Mount the volume in the supervisor's container too, at the path given by `--data-dir`."
    VolumeUnidentified: Wait, ready None, gate;
        "Which volume this is has not been established yet.";
        "Wait a few seconds. If it stays, the evidence says what can't be read or written."
    VolumeForeign: Operator, ready Fails, gate, holds;
        "It is another volume than the one that is meant, or another instance's.";
        "Attach the right volume, or say `adopt` if this one is meant."
    VolumeEmpty: Recreate, ready Fails, gate, holds;
        "The system databases of this volume's instance are gone, or were never there.";
        "Do not restart by hand: the engine would set up an empty instance. Attach the right volume; say `adopt` if an empty one is meant."
    VolumeIdentityRefused: Operator, ready None, gate, holds;
        "The volume's identity can't be understood: torn, of another version, or not the supervisor's.";
        "Look at .sql-edge-supervisor/identity on the volume. If the volume is the right one say `adopt`: the file is kept aside and a new one written."
    VolumeReadOnly: Recreate, ready Fails, gate, holds;
        "The volume is read-only.";
        "Delete the pod, so that the volume is attached anew; check the node's and the storage's log."
    VolumeStalled: Recreate, ready Fails, gate, holds, excuses;
        "The volume does not finish a write in time.";
        "Check the storage. The engine is not restarted: it could not come back on this volume."
    VolumeSlow: Notice, ready None;
        "A check of the volume takes long, while the engine's own writes to it are done.";
        "Look at the storage's latency. Nothing is done about it while the engine gets its work done."
    VolumeIoError: Recreate, ready Fails, gate, holds;
        "The volume answers with an I/O error.";
        "Delete the pod, so that the volume is attached anew; check the storage."
    VolumeDisconnected: Recreate, ready Fails, gate, holds, no_volume;
        "The server or daemon behind the mount is gone (ESTALE, ENOTCONN).";
        "Bring it back, then delete the pod, so that the volume is attached anew: a mount that lost its daemon does not heal by itself."
    VolumePermissionDenied: Operator, ready None, gate;
        "The supervisor may not write its own folder on the volume.";
        "Give the volume to uid 10001 (fsGroup: 10001)."
    VolumeMismatch: Recreate, ready Fails, holds, no_volume;
        "The supervisor and sqlservr see different volumes at the data directory.";
        "Mount the same claim at the same path in both containers."
    SideVolumeFault: Notice, ready None;
        "A volume that holds no databases (backups, dumps, the errorlog, tempdb) has a fault.";
        "Read the evidence: it names the volume and what is wrong with it. The engine runs on without it, but backups, dumps or tempdb may fail."
    NotOnVolume: Notice, ready None;
        "Directories of the engine, or files of databases, lie on no volume: they go with the container.";
        "Mount a claim at the directories that the evidence names if they matter: databases do, and so does `secrets/machine-key` where anything is encrypted by it. The errorlog and `.system` are made anew."
    LeaseNotHeld: Wait, ready None, gate;
        "The volume's lease is not held yet.";
        "Wait: a claim that nobody renews is free after `lease-stale`. If it stays, the evidence says why it can't be taken."
    LeaseHeldElsewhere: Wait, ready Fails, gate, holds, fences;
        "Another pod holds the volume's lease.";
        "Wait until it ends. See that the Deployment's strategy is Recreate, and that each pod is given its own uid (`pod-uid`)."
    LeaseLost: Operator, ready Fails, gate, holds, fences;
        "The volume's lease was lost: another pod may have it, so this engine is fenced.";
        "See why two pods wanted one volume, or why the lease could not be renewed in time; delete the pod that is not meant."
    LeaseNotRenewed: Wait, ready None, gate;
        "The lease could not be renewed for a while; nobody else has taken it.";
        "Check the storage. With `lease: strict` the engine would have been fenced."
    LeaseOff: Notice, ready None;
        "There is no lease: nothing keeps two pods from writing one volume.";
        "Set `lease` to advisory, or to strict where several nodes can attach the volume."
    Fencing: Wait, ready Fails, holds;
        "The supervisor kills the engine: it may not write this volume.";
        "Nothing: the reason stands beside this one."
    FenceFailed: Restart level 1 on Fence, ready Fails, lifeless;
        "The supervisor could not kill an engine that may not write this volume: liveness fails, for the kubelet to do it.";
        "Run the supervisor with the uid of sqlservr (10001), or use launch. A process that outlives SIGKILL waits for its volume."
    CpuThrottled: Notice, ready None;
        "The container is throttled by its cpu limit: timeouts are stretched.";
        "Raise the cpu limit of the SQL container."
    CgroupFrozen: Wait, ready Fails, holds, excuses;
        "The container's control group is frozen.";
        "Thaw it: somebody, or a checkpoint of the container, froze it."
    SupervisorStalled: Notice, ready None;
        "The supervisor itself did not run for a while; that time counts for nothing.";
        "Look at the node's load and at the supervisor's cpu limit."
    SupervisorAway: Notice, ready None;
        "The supervisor is away: its last pass of readiness stands while the same engine answers.";
        "Look at the supervisor's container. Readiness ends after `ready-hold`, or with an engine that does not answer.";
        pending "in the answer of its `/readyz` on port 9434"
    RestartBudgetExhausted: Operator, ready Fails, holds;
        "Restarts did not help: the engine is left alone for inspection.";
        "Find the cause while the volume is accessible. `release` ends the hold; so does a minute of readiness."
    Maintenance: Wait, ready AsProven, holds, excuses;
        "Liveness is held for maintenance, and nothing of the supervisor's connects to the engine.";
        "It ends by itself, or by `resume`."
    Settling: Wait, ready Fails;
        "The evidence is good again and has to stay so for a moment.";
        "Nothing: it passes by itself."
}
