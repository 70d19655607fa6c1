//! The categories of waits, as the Query Store has them
//! (<https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-query-store-wait-stats-transact-sql>),
//! of which those that mean nothing by themselves are [`Category::Other`] here.

/// A category of waits, by what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// A processor.
    Cpu,
    /// A worker to run on.
    Worker,
    /// A lock on data.
    Lock,
    /// A latch on a structure of the engine that is no page.
    Latch,
    /// A latch on a page in memory.
    BufferLatch,
    /// A page from a file.
    BufferIo,
    /// Memory to compile a query in.
    Compilation,
    /// The writing of the log to the disk.
    Log,
    /// A client that does not fetch its rows.
    Network,
    /// The other threads of the same query.
    Parallelism,
    /// Memory to run a query in.
    Memory,
    /// Files used in other ways than through the buffer pool: backups, sorts.
    OtherIo,
    /// A call of the operating system.
    Preemptive,
    /// The begin or the end of a transaction.
    Transaction,
    /// All waits that have no category of their own here.
    Other,
}

impl Category {
    pub(super) const ALL: [Self; 15] = [
        Self::Cpu,
        Self::Worker,
        Self::Lock,
        Self::Latch,
        Self::BufferLatch,
        Self::BufferIo,
        Self::Compilation,
        Self::Log,
        Self::Network,
        Self::Parallelism,
        Self::Memory,
        Self::OtherIo,
        Self::Preemptive,
        Self::Transaction,
        Self::Other,
    ];

    /// Returns the value of the label `category`.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Worker => "worker",
            Self::Lock => "lock",
            Self::Latch => "latch",
            Self::BufferLatch => "buffer_latch",
            Self::BufferIo => "buffer_io",
            Self::Compilation => "compilation",
            Self::Log => "log",
            Self::Network => "network",
            Self::Parallelism => "parallelism",
            Self::Memory => "memory",
            Self::OtherIo => "other_io",
            Self::Preemptive => "preemptive",
            Self::Transaction => "transaction",
            Self::Other => "other",
        }
    }

    /// Returns the category of a wait; none where it is idle.
    pub(super) fn of(wait_type: &str) -> Option<Self> {
        if is_idle(wait_type) {
            return None;
        }
        let found = NAMES
            .iter()
            .find(|(pattern, _)| matches(pattern, wait_type));
        Some(found.map_or(Self::Other, |(_, category)| *category))
    }
}

/// Whether `pattern`, a name or, with a star, the beginning of one, matches `wait_type`.
fn matches(pattern: &str, wait_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => wait_type.starts_with(beginning),
        None => wait_type == pattern,
    }
}

fn is_idle(wait_type: &str) -> bool {
    let of_idle = |pattern: &&str| matches(pattern, wait_type);
    wait_type.contains("SLEEP") || IDLE.iter().any(of_idle)
}

/// Patterns of the idle waits, those of the engine's threads that have nothing to do.
const IDLE: &[&str] = &[
    "BROKER_*",
    "CHECKPOINT_QUEUE",
    "CHKPT",
    "CLR_AUTO_EVENT",
    "CLR_MANUAL_EVENT",
    "DIRTY_PAGE_POLL",
    "DISPATCHER_QUEUE_SEMAPHORE",
    "FSAGENT",
    "FT_IFTS_SCHEDULER_IDLE_WAIT",
    "FT_IFTSHC_MUTEX",
    "HADR_*",
    "KSOURCE_WAKEUP",
    "LOGMGR_QUEUE",
    "ONDEMAND_TASK_QUEUE",
    "PARALLEL_REDO_WORKER_WAIT_WORK",
    "PREEMPTIVE_HADR_LEASE_MECHANISM",
    "PREEMPTIVE_OS_FLUSHFILEBUFFERS",
    "PREEMPTIVE_XE_DISPATCHER",
    "PREEMPTIVE_XE_GETTARGETSTATE",
    "PREEMPTIVE_SP_SERVER_DIAGNOSTICS",
    "PVS_PREALLOCATE",
    "PWAIT_*",
    "QDS_*",
    "REQUEST_FOR_DEADLOCK_SEARCH",
    "RESOURCE_QUEUE",
    "SERVER_IDLE_CHECK",
    "SNI_HTTP_ACCEPT",
    "SOS_WORK_DISPATCHER",
    "SQLTRACE_*",
    "STARTUP_DEPENDENCY_MANAGER",
    "UCS_SESSION_REGISTRATION",
    "VDI_CLIENT_OTHER",
    "WAIT_FOR_RESULTS",
    "WAIT_XTP_*",
    "WAITFOR",
    "WAITFOR_TASKSHUTDOWN",
    "XE_*",
    "XTP_*",
];

/// Patterns of waits with their categories; the first pattern that matches counts.
const NAMES: &[(&str, Category)] = &[
    ("SOS_SCHEDULER_YIELD", Category::Cpu),
    ("THREADPOOL", Category::Worker),
    ("LCK_M_*", Category::Lock),
    ("LATCH_*", Category::Latch),
    ("PAGELATCH_*", Category::BufferLatch),
    ("PAGEIOLATCH_*", Category::BufferIo),
    ("RESOURCE_SEMAPHORE_QUERY_COMPILE", Category::Compilation),
    ("WRITELOG", Category::Log),
    ("LOGBUFFER", Category::Log),
    ("LOGMGR*", Category::Log),
    ("ASYNC_NETWORK_IO", Category::Network),
    ("NET_WAITFOR_PACKET", Category::Network),
    ("PROXY_NETWORK_IO", Category::Network),
    ("CX*", Category::Parallelism),
    ("EXCHANGE", Category::Parallelism),
    ("HT*", Category::Parallelism),
    ("BMP*", Category::Parallelism),
    ("BP*", Category::Parallelism),
    ("RESOURCE_SEMAPHORE", Category::Memory),
    ("CMEMTHREAD", Category::Memory),
    ("CMEMPARTITIONED", Category::Memory),
    ("EE_PMOLOCK", Category::Memory),
    ("MEMORY_*", Category::Memory),
    ("RESERVED_MEMORY_ALLOCATION_EXT", Category::Memory),
    ("ASYNC_IO_COMPLETION", Category::OtherIo),
    ("IO_*", Category::OtherIo),
    ("BACKUP*", Category::OtherIo),
    ("WRITE_COMPLETION", Category::OtherIo),
    ("DISKIO_SUSPEND", Category::OtherIo),
    ("PREEMPTIVE_*", Category::Preemptive),
    ("XACT*", Category::Transaction),
    ("DTC*", Category::Transaction),
    ("TRAN_MARKLATCH_*", Category::Transaction),
    ("MSQL_XACT_*", Category::Transaction),
    ("TRANSACTION_MUTEX", Category::Transaction),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_have_their_category_and_idle_ones_have_none() {
        for (wait_type, category) in [
            ("WRITELOG", Some(Category::Log)),
            ("LOGMGR_FLUSH", Some(Category::Log)),
            ("LOGMGR_QUEUE", None),
            ("PAGEIOLATCH_SH", Some(Category::BufferIo)),
            ("PAGELATCH_EX", Some(Category::BufferLatch)),
            ("LATCH_EX", Some(Category::Latch)),
            ("LCK_M_X", Some(Category::Lock)),
            ("RESOURCE_SEMAPHORE", Some(Category::Memory)),
            (
                "RESOURCE_SEMAPHORE_QUERY_COMPILE",
                Some(Category::Compilation),
            ),
            ("PREEMPTIVE_OS_WRITEFILE", Some(Category::Preemptive)),
            ("PREEMPTIVE_XE_DISPATCHER", None),
            ("SLEEP_TASK", None),
            ("SP_SERVER_DIAGNOSTICS_SLEEP", None),
            ("QDS_ASYNC_QUEUE", None),
            ("SOMETHING_NEW", Some(Category::Other)),
            ("", Some(Category::Other)),
        ] {
            assert_eq!(Category::of(wait_type), category, "{wait_type}");
        }
    }

    #[test]
    fn every_category_is_among_all_with_a_word_of_its_own() {
        let mut words: Vec<_> = Category::ALL
            .iter()
            .map(|category| category.word())
            .collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Category::ALL.len());
        assert!(
            NAMES
                .iter()
                .all(|(_, category)| Category::ALL.contains(category))
        );
    }

    #[test]
    fn no_pattern_is_hidden_by_an_idle_one() {
        for (pattern, _) in NAMES {
            assert!(!is_idle(pattern.trim_end_matches('*')), "{pattern}");
        }
    }
}
