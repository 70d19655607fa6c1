//! Views of the instance: its system, its memory, its schedulers and its waits. The numbers are a small
//! container's; nothing depends on them.

use super::super::super::tds::value::Value;
use super::{Needs, Place, View, World, row};

const CPU_COUNT: i64 = 2;
const MEMORY_KB: i64 = 4 << 20;
const MAX_WORKERS: i64 = 512;

pub const VIEWS: &[View] = &[
    View {
        name: "sys.dm_os_sys_info",
        needs: Needs::ViewServerState,
        edge_only: false,
        columns: &[
            ("ms_ticks", "bigint"),
            ("cpu_count", "int"),
            ("physical_memory_kb", "bigint"),
            ("committed_kb", "bigint"),
            ("committed_target_kb", "bigint"),
            ("max_workers_count", "int"),
            ("scheduler_count", "int"),
            ("sqlserver_start_time_ms_ticks", "bigint"),
            ("sqlserver_start_time", "datetime"),
            ("container_type", "int"),
            ("container_type_desc", "nvarchar(60)"),
        ],
        rows: system_info,
    },
    View {
        name: "sys.dm_os_process_memory",
        needs: Needs::ViewServerState,
        edge_only: false,
        columns: &[
            ("physical_memory_in_use_kb", "bigint"),
            ("large_page_allocations_kb", "bigint"),
            ("locked_page_allocations_kb", "bigint"),
            ("total_virtual_address_space_kb", "bigint"),
            ("virtual_address_space_reserved_kb", "bigint"),
            ("virtual_address_space_committed_kb", "bigint"),
            ("virtual_address_space_available_kb", "bigint"),
            ("page_fault_count", "bigint"),
            ("memory_utilization_percentage", "int"),
            ("available_commit_limit_kb", "bigint"),
            ("process_physical_memory_low", "bit"),
            ("process_virtual_memory_low", "bit"),
        ],
        rows: process_memory,
    },
    View {
        name: "sys.dm_os_sys_memory",
        needs: Needs::ViewServerState,
        edge_only: false,
        columns: &[
            ("total_physical_memory_kb", "bigint"),
            ("available_physical_memory_kb", "bigint"),
            ("total_page_file_kb", "bigint"),
            ("available_page_file_kb", "bigint"),
            ("system_cache_kb", "bigint"),
            ("kernel_paged_pool_kb", "bigint"),
            ("kernel_nonpaged_pool_kb", "bigint"),
            ("system_high_memory_signal_state", "bit"),
            ("system_low_memory_signal_state", "bit"),
            ("system_memory_state_desc", "nvarchar(256)"),
        ],
        rows: system_memory,
    },
    View {
        name: "sys.dm_os_schedulers",
        needs: Needs::ViewServerState,
        edge_only: false,
        columns: &[
            ("parent_node_id", "int"),
            ("scheduler_id", "int"),
            ("cpu_id", "int"),
            ("status", "nvarchar(60)"),
            ("is_online", "bit"),
            ("is_idle", "bit"),
            ("context_switches_count", "int"),
            ("current_tasks_count", "int"),
            ("runnable_tasks_count", "int"),
            ("current_workers_count", "int"),
            ("active_workers_count", "int"),
            ("work_queue_count", "bigint"),
            ("pending_disk_io_count", "int"),
            ("load_factor", "int"),
            ("yield_count", "int"),
        ],
        rows: schedulers,
    },
    View {
        name: "sys.dm_os_wait_stats",
        needs: Needs::ViewServerState,
        edge_only: false,
        columns: &[
            ("wait_type", "nvarchar(60)"),
            ("waiting_tasks_count", "bigint"),
            ("wait_time_ms", "bigint"),
            ("max_wait_time_ms", "bigint"),
            ("signal_wait_time_ms", "bigint"),
        ],
        rows: waits,
    },
    View {
        name: "sys.dm_tran_version_store_space_usage",
        needs: Needs::ViewServerState,
        edge_only: false,
        columns: &[
            ("database_id", "int"),
            ("reserved_page_count", "bigint"),
            ("reserved_space_kb", "bigint"),
        ],
        rows: version_store,
    },
];

fn system_info(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    vec![row![
        world.uptime_ms,
        CPU_COUNT,
        MEMORY_KB,
        MEMORY_KB / 4,
        MEMORY_KB / 2,
        MAX_WORKERS,
        CPU_COUNT,
        0,
        world.started,
        1,
        "LINUX CONTAINER",
    ]]
}

fn process_memory(_: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    vec![row![
        MEMORY_KB / 4,
        0,
        0,
        MEMORY_KB * 1000,
        MEMORY_KB * 2,
        MEMORY_KB / 3,
        MEMORY_KB * 998,
        120_000,
        97,
        MEMORY_KB / 2,
        false,
        false,
    ]]
}

fn system_memory(_: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    vec![row![
        MEMORY_KB,
        MEMORY_KB / 2,
        MEMORY_KB * 2,
        MEMORY_KB,
        MEMORY_KB / 8,
        0,
        0,
        true,
        false,
        "Available physical memory is high",
    ]]
}

fn schedulers(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let visible = (0..CPU_COUNT).map(|id| (id, id, "VISIBLE ONLINE"));
    // Hidden ones serve the engine itself; the last is the administrator connection's.
    let hidden = [
        (1_048_576, 0, "HIDDEN ONLINE"),
        (1_048_578, 0, "VISIBLE ONLINE (DAC)"),
    ];
    let yields = i64::try_from(world.activity.batches).unwrap_or(i64::MAX);
    visible
        .chain(hidden)
        .map(|(id, cpu, status)| {
            row![
                0,
                id,
                cpu,
                status,
                true,
                false,
                10,
                9,
                0,
                12,
                5,
                0,
                0,
                1,
                100 + yields
            ]
        })
        .collect()
}

fn waits(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let journal = world.activity.journal;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let written = (number(journal.writes), number(journal.write_ms));
    [
        ("WRITELOG", 100 + written.0, 250 + written.1, 12),
        ("PAGEIOLATCH_SH", 80, 400, 10),
        ("PAGEIOLATCH_EX", 8, 40, 1),
        ("LCK_M_X", 3, 1500, 1),
        ("LCK_M_S", 2, 500, 1),
        ("LATCH_EX", 5, 10, 2),
        ("PAGELATCH_EX", 7, 3, 1),
        ("CXPACKET", 4, 90, 5),
        ("SOS_SCHEDULER_YIELD", 900, 60, 59),
        ("ASYNC_NETWORK_IO", 20, 35, 1),
        ("THREADPOOL", 0, 0, 0),
        ("RESOURCE_SEMAPHORE", 0, 0, 0),
        ("MEMORY_ALLOCATION_EXT", 5000, 9, 0),
        ("BACKUPIO", 10, 100, 1),
        ("ASYNC_IO_COMPLETION", 2, 900, 0),
        ("PREEMPTIVE_OS_WRITEFILE", 30, 20, 0),
        ("SLEEP_TASK", 9000, 900_000, 100),
        ("SP_SERVER_DIAGNOSTICS_SLEEP", 10, 100_000, 0),
        ("XE_TIMER_EVENT", 10, 300_000, 0),
        ("LAZYWRITER_SLEEP", 100, 100_000, 3),
        ("DIRTY_PAGE_POLL", 100, 100_000, 3),
        ("LOGMGR_QUEUE", 100, 100_000, 3),
        ("REQUEST_FOR_DEADLOCK_SEARCH", 20, 100_000, 100_000),
    ]
    .into_iter()
    .map(|(name, tasks, ms, signal)| row![name, tasks, ms, ms.min(500), signal])
    .collect()
}

fn version_store(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    (1..)
        .zip(&world.databases)
        .map(|(id, _)| row![id, 0, 0])
        .collect()
}
