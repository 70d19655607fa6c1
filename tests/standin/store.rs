//! The durable table `dbo.journal(id bigint, epoch bigint)`: an append-only file of checksummed records.
//!
//! A row is on disk before the client sees its DONE, and is read back from disk by every SELECT, so that a
//! test can prove what a crash did and did not lose. The file is opened with O_APPEND: two engines on one
//! volume, which must not be, do not overwrite each other's rows, so that a test sees by their order and
//! their epochs who wrote when.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

const RECORD_BYTES: usize = 24;
/// The greatest number of rows. A test that writes more wants another tool; it also bounds what a SELECT
/// holds in memory.
const MAX_ROWS: u64 = 4_000_000;

/// The numbers of reads and writes, their bytes, and the time that they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    pub reads: u64,
    pub read_bytes: u64,
    pub read_ms: u64,
    pub writes: u64,
    pub written_bytes: u64,
    pub write_ms: u64,
}

#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// The table's file, for one writer at a time; `None` until the table exists.
    file: Mutex<Option<File>>,
    /// The number of acknowledged rows, given without touching the disk, which may be stalled.
    acknowledged: AtomicU64,
    io: Mutex<Io>,
}

impl Journal {
    /// Opens the table if it exists, and cuts off a record that a crash left half-written.
    pub fn open(data: &Path) -> io::Result<Self> {
        let path = data.join("journal.mdf");
        let mut acknowledged = 0;
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => {
                acknowledged = read_rows(&file)?.len() as u64;
                file.set_len(acknowledged * RECORD_BYTES as u64)?;
                file.sync_all()?;
                Some(file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            path,
            file: Mutex::new(file),
            acknowledged: AtomicU64::new(acknowledged),
            io: Mutex::default(),
        })
    }

    /// Returns what was read and written since the start.
    pub fn io(&self) -> Io {
        *self.io.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Io)) {
        change(&mut self.io.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns the number of rows that are on disk for certain.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        // A panic while the lock was held leaves a file whose tail is checked at each read anyway.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the table; `false` when it was there.
    pub fn create(&self) -> io::Result<bool> {
        let mut file = self.lock();
        if file.is_some() {
            return Ok(false);
        }
        let created = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .open(&self.path)?;
        created.sync_all()?;
        // The new name is durable only once its directory is.
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        *file = Some(created);
        Ok(true)
    }

    /// Appends rows and waits until they are on disk.
    pub fn append(&self, rows: &[(i64, i64)]) -> io::Result<()> {
        let mut guard = self.lock();
        let file = guard.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let end = file.seek(SeekFrom::End(0))?;
        if end / RECORD_BYTES as u64 + rows.len() as u64 > MAX_ROWS {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let bytes: Vec<u8> = rows.iter().flat_map(|row| encode(*row)).collect();
        let began = Instant::now();
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        self.note(|io| {
            io.writes += 1;
            io.written_bytes += bytes.len() as u64;
            io.write_ms += milliseconds_since(began);
        });
        if written.is_err() {
            // Half a batch must not become visible; if this fails too, the checksum still hides a torn
            // record.
            let _ = file.set_len(end);
        } else {
            self.acknowledged
                .fetch_add(rows.len() as u64, Ordering::Relaxed);
        }
        written
    }

    /// Returns all rows as they are on disk; `None` when the table does not exist.
    pub fn rows(&self) -> io::Result<Option<Vec<(i64, i64)>>> {
        let began = Instant::now();
        let rows = self.lock().as_ref().map(read_rows).transpose()?;
        self.note(|io| {
            let bytes = rows.as_ref().map_or(0, |rows| rows.len() * RECORD_BYTES);
            io.reads += 1;
            io.read_bytes += bytes as u64;
            io.read_ms += milliseconds_since(began);
        });
        Ok(rows)
    }

    pub fn checkpoint(&self) -> io::Result<()> {
        self.lock().as_ref().map_or(Ok(()), File::sync_all)
    }
}

fn milliseconds_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn encode((id, epoch): (i64, i64)) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(&id.to_le_bytes());
    record[8..16].copy_from_slice(&epoch.to_le_bytes());
    let sum = checksum(&record[..16]);
    record[16..].copy_from_slice(&sum.to_le_bytes());
    record
}

/// Returns the FNV-1a checksum: enough to tell a torn record from a whole one.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Reads the rows up to the first record that is not whole.
fn read_rows(mut file: &File) -> io::Result<Vec<(i64, i64)>> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(MAX_ROWS * RECORD_BYTES as u64)
        .read_to_end(&mut bytes)?;
    let rows = bytes.chunks_exact(RECORD_BYTES).map_while(|record| {
        let number = |at: usize| Some(i64::from_le_bytes(*record[at..].first_chunk()?));
        let row = (number(0)?, number(8)?);
        (encode(row)[..] == *record).then_some(row)
    });
    Ok(rows.collect())
}
