//! One of the engine's logs, read as it grows.
//!
//! Each check reads what is new, and no more than `MAX_READ_BYTES` of it. The first look at a long
//! log takes its head, which has the banner and the start, and its tail; where more than the limit
//! was written since the last look, the tail alone. The engine begins a new file at each start
//! (`errorlog` becomes `errorlog.1`), `tee` empties its own: with the file all that was read of it
//! is forgotten. A file is the same as long as it has its inode and its beginning, which holds a
//! date, and has not shrunk.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::decide::observation::EngineLog;
use crate::errorlog::{Lines, Reader};
use crate::records::beneath::Below;

/// Bytes that one check reads of one log: some 2,000 lines. An engine that writes more in an
/// interval repeats itself.
const MAX_READ_BYTES: u64 = 256 * 1024;

/// The head's share of the bytes that the first look at a log reads: a start with a hundred databases has a
/// third of it.
const HEAD_BYTES: u64 = 64 * 1024;

/// Bytes read at once; they lie on the thread's stack.
const CHUNK_BYTES: usize = 8 * 1024;

/// Bytes at the beginning by which a file is recognized.
const MARK_BYTES: usize = 64;

const _: () = assert!(
    HEAD_BYTES < MAX_READ_BYTES && MARK_BYTES < CHUNK_BYTES && HEAD_BYTES.is_multiple_of(2)
);

/// The place of a log.
#[derive(Debug)]
enum Place {
    /// A path that the configuration names.
    Named(PathBuf),
    /// A file on a volume.
    Below(Below),
}

impl Place {
    /// Opens the file without waiting: what is no regular file, a FIFO for one, must not hold the thread.
    fn open(&self) -> Option<File> {
        match self {
            Self::Named(path) => {
                let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
                let mut options = OpenOptions::new();
                options.read(true).custom_flags(flags).open(path).ok()
            }
            Self::Below(file) => file.file(),
        }
    }
}

/// Follows the file at one path.
#[derive(Debug)]
pub struct Log {
    path: Place,
    current: Option<Current>,
}

/// The file that was there at the last look.
#[derive(Debug)]
struct Current {
    device: u64,
    inode: u64,
    /// The first bytes of the file, fewer while it has fewer.
    mark: Vec<u8>,
    /// The offset up to which the file was read.
    offset: u64,
    lines: Lines,
    reader: Reader,
}

impl Log {
    /// Returns the log in a file that the configuration names; links to it are followed.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self {
            path: Place::Named(path),
            current: None,
        }
    }

    /// Returns the log in a file on a volume; no link to it is followed.
    #[must_use]
    pub fn below(file: Below) -> Self {
        Self {
            path: Place::Below(file),
            current: None,
        }
    }

    /// Reads what is new, and returns what the log reports now; absent where the file is not there or can't
    /// be read. May block for as long as the device does.
    pub fn read(&mut self) -> Option<EngineLog> {
        let file = self.path.open()?;
        let found = file.metadata().ok()?;
        if !found.is_file() {
            return None;
        }
        let mark = mark(&file).ok()?;
        if !matches!(&self.current, Some(current) if current.is(&found, &mark)) {
            self.current = None;
        }
        let current = self.current.get_or_insert_with(|| Current {
            device: found.dev(),
            inode: found.ino(),
            mark: Vec::new(),
            offset: 0,
            lines: Lines::default(),
            reader: Reader::default(),
        });
        current.mark = mark;
        current.follow(&file, found.len()).ok()?;
        Some(current.reader.log(found.len()))
    }
}

impl Current {
    fn is(&self, found: &Metadata, mark: &[u8]) -> bool {
        (self.device, self.inode) == (found.dev(), found.ino())
            && found.len() >= self.offset
            && mark.starts_with(&self.mark)
    }

    fn follow(&mut self, file: &File, length: u64) -> io::Result<()> {
        if self.mark.len() < 2 {
            return Ok(()); // too short to tell its encoding
        }
        if self.offset == 0 {
            self.lines = Lines::begin(&self.mark);
        }
        if length - self.offset > MAX_READ_BYTES {
            if self.offset == 0 {
                self.take(file, HEAD_BYTES)?;
            }
            // Even, for the sake of UTF-16.
            self.offset = (length - (MAX_READ_BYTES - HEAD_BYTES)) & !1;
            self.lines.jump();
            self.reader.gap();
        }
        self.take(file, length)
    }

    /// Reads on up to `end`, or to the end of the file where that comes first.
    fn take(&mut self, file: &File, end: u64) -> io::Result<()> {
        let mut chunk = [0; CHUNK_BYTES];
        while self.offset < end {
            let wanted = usize::try_from(end - self.offset)
                .map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let count = file.read_at(&mut chunk[..wanted], self.offset)?;
            if count == 0 {
                break;
            }
            self.offset += count as u64;
            let reader = &mut self.reader;
            self.lines
                .feed(&chunk[..count], &mut |line| reader.line(line));
        }
        Ok(())
    }
}

fn mark(file: &File) -> io::Result<Vec<u8>> {
    let mut mark = vec![0; MARK_BYTES];
    let count = file.read_at(&mut mark, 0)?;
    mark.truncate(count);
    Ok(mark)
}

#[cfg(test)]
mod tests;
