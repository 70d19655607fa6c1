//! Work beside the answers: threads that compute, writes, memory. Follows the script.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::script::{Load, MAX_CPU_THREADS, MAX_IO_WRITES_PER_SECOND, MAX_MEMORY_MIB};

/// The length of one period of work and rest.
const CPU_PERIOD: Duration = Duration::from_millis(20);
const WRITE_BYTES: usize = 4096;
/// The file is written round and round, so that a long test does not fill the disk.
const FILE_WRITES: u64 = 256;
const PAGE_BYTES: usize = 4096;

/// Applies each change of the script's load, for ever.
pub async fn follow(engine: Arc<Engine>, data: PathBuf) {
    let mut script = engine.script.subscribe();
    let mut applied = Load::default();
    let mut running: Option<Running> = None;
    loop {
        let wanted = script.borrow_and_update().load.clone();
        if wanted != applied {
            // The old work ends first, so that its memory is free before the new is taken.
            drop(running.take());
            running = Some(Running::start(&wanted, &data));
            applied = wanted;
        }
        if script.changed().await.is_err() {
            return;
        }
    }
}

struct Running {
    stop: Arc<AtomicBool>,
    _memory: Vec<u8>,
}

impl Running {
    fn start(load: &Load, data: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let percent = match load.cpu_percent {
            0 => 100,
            percent => percent.min(100),
        };
        for _ in 0..load.cpu_threads.min(MAX_CPU_THREADS) {
            let stop = stop.clone();
            thread::spawn(move || compute(&stop, percent));
        }
        if load.io_writes_per_second > 0 {
            let rate = load.io_writes_per_second.min(MAX_IO_WRITES_PER_SECOND);
            let (stop, path) = (stop.clone(), data.join("tempdb_load.ndf"));
            // A write that fails ends the load; the scripted disk has the last word.
            thread::spawn(move || write(&stop, &path, rate));
        }
        Self {
            stop,
            _memory: touched(load.memory_mib.min(MAX_MEMORY_MIB)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Returns memory with a byte written into each page, so that it is resident.
fn touched(mib: u32) -> Vec<u8> {
    let mut memory = vec![0_u8; (mib as usize) << 20];
    for page in memory.iter_mut().step_by(PAGE_BYTES) {
        *page = 1;
    }
    memory
}

fn compute(stop: &AtomicBool, percent: u8) {
    let busy = CPU_PERIOD * u32::from(percent) / 100;
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        while start.elapsed() < busy {
            std::hint::spin_loop();
        }
        thread::sleep(CPU_PERIOD - busy);
    }
}

fn write(stop: &AtomicBool, path: &Path, per_second: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let pause = Duration::from_secs(1) / per_second;
    let block = [0x42; WRITE_BYTES];
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        file.seek(SeekFrom::Start(number % FILE_WRITES * WRITE_BYTES as u64))?;
        file.write_all(&block)?;
        file.sync_data()?;
        thread::sleep(pause);
    }
    Ok(())
}
