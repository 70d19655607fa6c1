//! Faults of the node, of the container's limits and of the way in which the engine is executed.

use super::{End, Engines, Fault, HostSign, ROW, Rank, end, text};
use crate::decide::reason::Reason;

/// Parts of the loader's messages where a security module forbids the loading, and the library is whole.
const PROTECTION: &[&str] = &["memory protection", "segment prot", "executable stack"];

/// The path of the engine itself, which has a row of its own where it can't be executed.
const SQLSERVR: &[&str] = &["/opt/mssql/bin/sqlservr"];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "page-size",
        reason: Reason::HostUnsupported,
        meaning: "the node's memory pages are not of 4 KiB",
        help: "Run it on an x86-64 node, or on a kernel that is built for pages of 4 KiB (arm64 kernels with 16 or 64 KiB are common: Raspberry Pi 5, RHEL 8, Ampere images).",
        host: HostSign::OtherPages,
        signs: &[
            text(&["Unsupported system page size"]),
            text(&["page size", "not supported"]),
            end(&[End::Crash]),
        ],
        ..ROW
    },
    Fault {
        name: "address-space",
        reason: Reason::HostUnsupported,
        meaning: "the address space is laid out in a way that the platform layer can't use",
        help: "An address 0x40... or 0x2aaa... on an arm64 machine is an emulator's: run the image on an x86-64 node (on Apple silicon: Rosetta, not qemu). Else give the container a stack limit (ulimits: stack 8 MiB; LimitSTACK of the container runtime must not be infinity), and leave vm.legacy_va_layout at 0.",
        host: HostSign::UnlimitedStack,
        signs: &[text(&["Invalid mapping of address"])],
        ..ROW
    },
    Fault {
        name: "cpu-instructions",
        reason: Reason::HostUnsupported,
        meaning: "the processor, or what the virtual machine shows of it, lacks instructions that the engine needs",
        help: "Give the virtual machine the host's processor model (SSE4.2 and AVX), or choose another node.",
        host: HostSign::LackingCpu,
        signs: &[
            text(&["Illegal instruction"]),
            text(&["SIGILL"]),
            text(&["requires", "AVX"]),
            text(&["requires", "SSE4"]),
            text(&["CPU does not support"]),
            text(&["processor does not support"]),
            text(&["processor that supports"]),
            end(&[End::IllegalInstruction]),
        ],
        ..ROW
    },
    Fault {
        name: "cpu-avx",
        reason: Reason::HostUnsupported,
        meaning: "the engine met an exception before its first line of log, as SQL Server 2025 does on a processor without AVX and under an emulator",
        help: "Look for avx in /proc/cpuinfo: give the virtual machine the host's processor model, or choose an x86-64 node that has it; 2025 CU1 and later do without. Else keep the dump under log/ for support; 2022 is less demanding, on a volume that 2025 has not upgraded.",
        engines: Engines::Since2025,
        host: HostSign::LackingCpu,
        signs: &[
            text(&["fatal error", "UNHANDLED_EXCEPTION"]),
            end(&[End::Crash]),
        ],
        ..ROW
    },
    Fault {
        name: "emulated",
        reason: Reason::HostUnsupported,
        meaning: "the engine is run under an emulator of its processor",
        help: "Run it on an x86-64 node: neither qemu-user nor Rosetta carries SQL Server reliably.",
        signs: &[
            text(&["qemu: uncaught target signal"]),
            text(&["qemu-x86_64"]),
            text(&["rosetta error"]),
        ],
        ..ROW
    },
    Fault {
        name: "architecture",
        reason: Reason::NotExecutable,
        meaning: "the image is built for another architecture than the node's",
        help: "Schedule it on an x86-64 node (nodeSelector kubernetes.io/arch: amd64); azure-sql-edge has no image for arm64 since 2023.",
        signs: &[
            text(&["exec format error"]),
            text(&["cannot execute binary file"]),
            text(&["does not match the specified platform"]),
            text(&["does not match the detected host platform"]),
        ],
        ..ROW
    },
    Fault {
        name: "capability",
        reason: Reason::NotExecutable,
        meaning: "the kernel refuses to execute sqlservr, whose file has capabilities that the container may not have",
        help: "With capabilities.drop: [ALL] add NET_BIND_SERVICE (and SYS_PTRACE for dumps where the policy allows it), and leave allowPrivilegeEscalation unset: the binary carries file capabilities. On OpenShift bind the service account to an SCC that allows it.",
        signs: &[
            text(&["sqlservr: Operation not permitted"]),
            text(&["sqlservr", "operation not permitted"]).without(&[
                "setpriority",
                "ptrace",
                "rlimit",
            ]),
            text(&["permissions_check.sh", "operation not permitted"]),
            text(&["launch_sqlservr.sh", "operation not permitted"]),
        ],
        ..ROW
    },
    Fault {
        name: "library",
        reason: Reason::NotExecutable,
        meaning: "a library that sqlservr is linked with is missing or damaged in the image",
        help: "Pull the image anew (remove it from the node first) and mount nothing over /usr, /lib or /opt/mssql; an image of your own has to keep the libraries of the one that it is made from.",
        signs: &[
            text(&["error while loading shared libraries"]).without(PROTECTION),
            text(&["version `", "' not found (required by"]),
        ],
        ..ROW
    },
    Fault {
        name: "package",
        reason: Reason::NotExecutable,
        meaning: "a file of the engine in the image is damaged, or can't be read",
        help: "Remove the image from the node and pull it anew; mount nothing over /opt/mssql; check the node's disk and memory. If it comes again, look at the processor's model that the virtual machine shows.",
        signs: &[
            text(&["file archive [", "is invalid"]),
            text(&["/opt/mssql/lib", ".sfp"]),
        ],
        ..ROW
    },
    Fault {
        name: "command",
        reason: Reason::NotExecutable,
        meaning: "the container's command can't be executed: it is not there, has no right to be, or was saved with the line ends of Windows",
        help: "Correct command and args (options of docker run stand before the image's name), chmod +x the script, save it with LF line ends. Where you need no command of your own, leave the image's.",
        signs: &[
            text(&["bad interpreter"]),
            text(&["env: ", "bash", "No such file or directory"]),
            text(&["\\r': command not found"]),
            text(&["exec /", "no such file or directory"]).without(SQLSERVR),
            text(&["exec /", "permission denied"]).without(SQLSERVR),
            text(&["exec user process caused", "no such file or directory"]),
            text(&["exec user process caused", "permission denied"]),
            text(&["exec: ", "permission denied"]),
            text(&["exec: ", "no such file or directory"]),
            text(&["exec: ", "invalid option"]),
            text(&["executable file not found in $PATH"]),
        ],
        ..ROW
    },
    Fault {
        name: "not-executable",
        reason: Reason::NotExecutable,
        meaning: "sqlservr can't be executed",
        help: "Look at what is mounted over /opt/mssql, at the volume's noexec, at SELinux or AppArmor on the node, and at the command of the container.",
        signs: &[
            text(&["/opt/mssql/bin", ": Permission denied"])
                .without(&["/var/opt/mssql", "handle-crash"]),
            text(&["/opt/mssql/bin", ": No such file or directory"]).without(&["/var/opt/mssql"]),
            text(&["/opt/mssql/bin", "not found"]).without(&["crash-support-functions"]),
            text(&["cannot apply additional memory protection"]),
            text(&["cannot restore segment prot"]),
            text(&["cannot enable executable stack"]),
            text(&["avc:", "denied"]),
            text(&["apparmor", "DENIED"]),
            end(&[End::NotExecutable]),
        ],
        ..ROW
    },
    Fault {
        name: "kernel",
        reason: Reason::KernelUnsupported,
        meaning: "the platform layer aborts at its start, as it does on Linux 6.7 and later",
        help: "Run it on a node with a kernel before 6.7, or use SQL Server 2022 CU11 or later; for SQL Edge, 2017 and 2019 there is no build that starts there.",
        engines: Engines::BeforeNewKernels,
        host: HostSign::NewKernel,
        signs: &[
            text(&["fatal error", "Reason: 0x00000001", "SIGABRT"]),
            text(&["fatal error", "Reason: 0x00000001", "SIGSEGV"]),
            text(&["Aborted", "core dumped", "sqlservr"]),
            end(&[End::Crash]),
        ],
        ..ROW
    },
    Fault {
        name: "memory-minimum",
        reason: Reason::MemoryTooSmall,
        meaning: "the machine, or the container's limit, has less memory than the engine asks for",
        help: "Raise the memory limit, or the memory of the virtual machine: 2000 MB for SQL Server (3250 MB for 2017 before CU2), 1 GB for SQL Edge, at the least.",
        signs: &[
            text(&["requires a machine with at least"]),
            text(&["at least", "megabytes of memory"]),
            text(&["at least", "gigabytes of memory"]),
        ],
        ..ROW
    },
    Fault {
        name: "platform-memory",
        reason: Reason::MemoryTooSmall,
        meaning: "the platform layer gets no memory",
        help: "Raise the container's memory limit or free memory on the node, set MSSQL_MEMORY_LIMIT_MB below the limit, and see that neither ulimit -v nor vm.overcommit_memory=2 keeps it from reserving address space.",
        restart_helps: true,
        signs: &[
            text(&["fatal error", "c0000017"]),
            text(&["fatal error", "Reason: 0x00000008"]),
            text(&["fatal error", "c000012d"]),
            text(&["fatal error", "c000009a"]),
            text(&["Status: 0xc0000017"]),
            text(&["Out of memory allocating"]),
            text(&["Cannot allocate memory"]),
            text(&["std::bad_alloc"]),
        ],
        ..ROW
    },
    Fault {
        name: "platform-packages",
        reason: Reason::HostUnsupported,
        meaning: "the platform layer may not map its own files as code",
        help: "With SELinux look at `ausearch -m avc` (execmod on system.sfp): run the container without --privileged, or restore the labels of the container storage. An unprivileged LXC container refuses it too: use a virtual machine. A restart ends the same.",
        signs: &[text(&["fatal error", "NT_SUCCESS(status)"])],
        ..ROW
    },
    Fault {
        name: "platform-syscall",
        reason: Reason::HostUnsupported,
        meaning: "the platform layer is refused a system call, or meets one that the kernel does not know",
        help: "Update the container runtime and libseccomp, and look at the seccomp profile (a start with an unconfined one tells); sandboxes such as gVisor and unprivileged LXC lack calls that the engine needs.",
        signs: &[text(&["fatal error", "__errno_location"])],
        ..ROW
    },
    Fault {
        name: "platform-service",
        meaning: "a part of the platform layer did not come up in time",
        help: "Give the container more processor time (limits, throttling, an emulated or overloaded node), and start again. If it comes again: look at the resolution of the host's own name and at a network policy on loopback.",
        rank: Rank::Final,
        restart_helps: true,
        signs: &[
            text(&["Failed to load LSA"]),
            text(&["CoInitializeSecurity failure"]),
        ],
        ..ROW
    },
    Fault {
        name: "killed-for-memory",
        reason: Reason::OomKilled,
        meaning: "the kernel killed sqlservr for want of memory",
        help: "Set MSSQL_MEMORY_LIMIT_MB below the container's memory limit, or raise the limit: SQL Edge, and SQL Server before 2022 CU20, do not see a cgroup v2 limit.",
        rank: Rank::Final,
        restart_helps: true,
        signs: &[
            text(&["out of memory", "sqlservr"]),
            text(&["oom-kill", "sqlservr"]),
            text(&["Killed process", "sqlservr"]),
            text(&["oom_reaper", "sqlservr"]),
            text(&["OOMKilled"]),
        ],
        ..ROW
    },
    Fault {
        name: "killed",
        reason: Reason::ProcessKilled,
        meaning: "sqlservr was killed by SIGKILL, as a rule by the kernel for want of memory, or after the grace of a stop",
        help: "Look at the container's last state (OOMKilled) and at the node's log. For want of memory set MSSQL_MEMORY_LIMIT_MB below the container's limit; else raise the grace period.",
        rank: Rank::Final,
        restart_helps: true,
        signs: &[text(&["Killed ", "/opt/mssql/bin/sqlservr"])],
        ..ROW
    },
    Fault {
        name: "start-memory",
        reason: Reason::MemoryTooSmall,
        meaning: "the engine finds too little memory for its own work",
        help: "Raise the memory limit, and MSSQL_MEMORY_LIMIT_MB with it: it has to stay below the limit.",
        signs: &[
            super::number(&[17_131, 17_132, 17_138, 17_140]),
            super::number(&[701, 802, 8645]).parts(&["'internal'"]),
        ],
        rank: Rank::Contributing,
        ..ROW
    },
    Fault {
        name: "limit-files",
        reason: Reason::HostUnsupported,
        meaning: "the container may not open as many files as the engine needs",
        help: "Raise the limit of open files (LimitNOFILE of the container runtime; ulimits nofile), and fs.file-max and fs.inotify.max_user_instances on the node.",
        signs: &[
            text(&["Too many open files"]).without(&["inotify"]),
            // The status of such an assertion is the errno of Linux.
            text(&["fatal error", "Reason: 0x00000003", "Status: 0x00000018"]),
            text(&["RLIMIT_NOFILE"]),
        ],
        ..ROW
    },
    Fault {
        name: "limit-aio",
        reason: Reason::HostUnsupported,
        meaning: "the node has no room for more asynchronous I/O",
        help: "Raise fs.aio-max-nr on the node (1048576 is usual for databases).",
        signs: &[
            text(&["io_setup"]),
            text(&["aio-max-nr"]),
            text(&["asynchronous I/O", "limit"]),
        ],
        ..ROW
    },
    Fault {
        name: "limit-inotify",
        reason: Reason::HostUnsupported,
        meaning: "the node has no inotify instance or watch left",
        help: "Raise fs.inotify.max_user_instances and fs.inotify.max_user_watches on the node.",
        signs: &[text(&["inotify"])],
        ..ROW
    },
    Fault {
        name: "limit-processes",
        reason: Reason::HostUnsupported,
        meaning: "the container may not start another thread or process",
        help: "Raise the limit of pids (podPidsLimit of the kubelet; pids.max of the control group; ulimit -u).",
        signs: &[
            text(&["Resource temporarily unavailable"]),
            text(&["pthread_create"]),
            text(&["Cannot fork"]),
            text(&["fork: retry"]),
        ],
        ..ROW
    },
    Fault {
        name: "limit-set",
        reason: Reason::HostUnsupported,
        meaning: "a limit of the container can't be set or is too low",
        help: "Look at the limits of the container runtime (ulimit -a in the container): stack, locked memory, open files.",
        signs: &[
            text(&["setrlimit"]),
            text(&["RLIMIT_"]),
            text(&["hugetlb"]),
            text(&["huge page", "fail"]),
        ],
        rank: Rank::Contributing,
        ..ROW
    },
];
