//! The files of the lease: their contents, and the steps of [`crate::decide::lease`] on them.
//!
//! A claim is one block of [`BLOCK`] bytes, written in one call: lines of text, blanks, and a sum over
//! all of it. A claim gets its name by link(2) of a file that is written and synced already, so that it
//! is never seen without its contents; where there are no hard links (SMB) by open(2) with `O_EXCL`.

use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, fstat, fsync, linkat, openat, unlinkat};
use rustix::io::{Errno, pread, pwrite};

use super::atomic::Folder;
use super::beneath;
use crate::decide::lease::{
    Claim, Epoch, HolderIdentity, LeaseReply, LeaseStep, MAX_EPOCH, Record,
};

/// Bytes of a claim: within one sector, which a disk writes whole.
pub const BLOCK: usize = 512;
/// What the names of claims begin with; the epoch follows, in ten digits.
const NAME: &str = "lease.";
/// What the name of a claim begins with before it has one.
const UNNAMED: &str = "claim-";
const HEAD: &str = "sql-edge-supervisor lease 1\n";
/// Bytes of each of the holder's names.
const MAX_NAME: usize = 64;
const MODE: Mode = Mode::RUSR
    .union(Mode::WUSR)
    .union(Mode::RGRP)
    .union(Mode::WGRP);

// Head, three names, five numbers and a sum, each with its word.
const _: () = assert!(HEAD.len() + 3 * (MAX_NAME + 8) + 5 * (20 + 11) + 24 <= BLOCK);

fn name(epoch: Epoch) -> String {
    format!("{NAME}{epoch:010}")
}

/// The epoch in a claim's name.
fn epoch(name: &str) -> Option<Epoch> {
    let digits = name.strip_prefix(NAME)?;
    let all_digits = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

/// FNV-1a, 64 bits: finds what is torn, not what is forged.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A name as it may stand in a record: without what would break its line, and not too long.
#[must_use]
pub fn plain(name: &str) -> String {
    let mut plain: String = name
        .chars()
        .filter(char::is_ascii_graphic)
        .take(MAX_NAME)
        .collect();
    if plain.is_empty() {
        plain.push('-');
    }
    plain
}

/// The block of a claim.
#[must_use]
pub fn encode(claim: &Claim) -> [u8; BLOCK] {
    let holder = &claim.holder;
    let mut text = String::with_capacity(BLOCK);
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "{HEAD}epoch {}\nfirst {}\nholder {}\nnode {}\nboot {}\nheartbeat {}\nnonce {}\nreleased {}\n",
        claim.epoch,
        claim.first,
        plain(&holder.id),
        plain(&holder.node),
        plain(&holder.boot_id),
        claim.heartbeat,
        claim.nonce,
        u8::from(claim.released),
    );
    let mut block = [b' '; BLOCK];
    block[..text.len()].copy_from_slice(text.as_bytes());
    let end = format!("\nsum {:016x}\n", sum(&block[..BLOCK - SUM]));
    block[BLOCK - SUM..].copy_from_slice(end.as_bytes());
    block
}

/// Bytes of the sum's line.
const SUM: usize = 22;

/// What a claim's file says.
#[must_use]
pub fn decode(bytes: &[u8]) -> Record {
    match parse(bytes) {
        Some(claim) => Record::Claim(claim),
        None => Record::Torn(sum(bytes)),
    }
}

fn parse(bytes: &[u8]) -> Option<Claim> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.len() != BLOCK {
        return None;
    }
    let mut lines = text.strip_prefix(HEAD)?.lines();
    let mut field = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    let name = |text: &str| match text {
        "-" => String::new(),
        text => text.to_owned(),
    };
    let claim = Claim {
        epoch: field("epoch")?.parse().ok()?,
        first: field("first")?.parse().ok()?,
        holder: HolderIdentity {
            id: name(field("holder")?),
            node: name(field("node")?),
            boot_id: name(field("boot")?),
        },
        heartbeat: field("heartbeat")?.parse().ok()?,
        nonce: field("nonce")?.parse().ok()?,
        released: match field("released")? {
            "0" => false,
            "1" => true,
            _ => return None,
        },
    };
    // Whatever it says, it is what this would have written, or it is torn.
    (encode(&claim) == bytes && claim.epoch <= MAX_EPOCH).then_some(claim)
}

/// The claims on a volume.
#[derive(Debug)]
pub struct Claims {
    data_dir: PathBuf,
    /// The claim that is being made or renewed.
    file: Option<OwnedFd>,
}

impl Claims {
    /// Those of the volume at `data_dir`. Nothing is looked at yet.
    #[must_use]
    pub fn on(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            file: None,
        }
    }

    /// Carries out any step but [`LeaseStep::Rest`], which is not for the volume.
    ///
    /// The folder is opened anew for each: another volume may be mounted there by now, and one that is
    /// to be unmounted must not be held.
    pub fn carry_out(&mut self, step: &LeaseStep) -> LeaseReply {
        let done = match step {
            LeaseStep::Rest(_) => Ok(LeaseReply::Done),
            LeaseStep::List => self.list(),
            LeaseStep::Read(epoch) => self.open(*epoch, OFlags::RDONLY),
            LeaseStep::Open(epoch) => self.open(*epoch, OFlags::RDWR),
            LeaseStep::Create(claim) => self.create(claim),
            LeaseStep::Write(claim) => self.write(claim),
            LeaseStep::Sync => self.sync(),
            LeaseStep::SyncDirectory => self.sync_directory(),
            LeaseStep::Remove(epoch) => self.remove(*epoch),
        };
        if !matches!(
            step,
            LeaseStep::Create(_) | LeaseStep::Open(_) | LeaseStep::Write(_)
        ) || done.is_err()
        {
            self.file = None;
        }
        done.unwrap_or_else(|errno| match errno {
            // ESTALE: the server knows the file no more.
            Errno::NOENT | Errno::STALE => LeaseReply::Gone,
            Errno::EXIST => LeaseReply::Exists,
            errno => LeaseReply::Failed(format!("{}: {}", what(step), io::Error::from(errno))),
        })
    }

    fn folder(&self) -> Result<Folder, Errno> {
        // The data directory that is missing is no claim that has gone.
        Folder::make_on_volume(&self.data_dir).map_err(|error| match errno(&error) {
            Errno::NOENT => Errno::NOTDIR,
            errno => errno,
        })
    }

    fn list(&self) -> Result<LeaseReply, Errno> {
        let names = self.folder()?.names().map_err(|error| errno(&error))?;
        let mut epochs: Vec<Epoch> = names.iter().filter_map(|name| epoch(name)).collect();
        epochs.sort_unstable();
        Ok(LeaseReply::Listed(epochs))
    }

    fn open(&mut self, epoch: Epoch, mode: OFlags) -> Result<LeaseReply, Errno> {
        let folder = self.folder()?;
        let flags = mode | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = beneath::open(&folder, &name(epoch), flags, Mode::empty())?;
        // One byte more than there should be.
        let mut bytes = [0; BLOCK + 1];
        let mut filled = 0;
        while filled < bytes.len() {
            match pread(&file, &mut bytes[filled..], filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        self.file = Some(file);
        Ok(LeaseReply::Read(decode(&bytes[..filled])))
    }

    fn create(&mut self, claim: &Claim) -> Result<LeaseReply, Errno> {
        let folder = self.folder()?;
        let unnamed = format!("{UNNAMED}{:016x}", claim.nonce);
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match unlinkat(&folder, &unnamed, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let file = openat(&folder, &unnamed, flags, MODE)?;
        let linked = write_block(&file, claim).and_then(|()| {
            fsync(&file)?;
            let to = name(claim.epoch);
            linkat(&folder, &unnamed, &folder, to, AtFlags::empty())
        });
        // An answer of NFS that was lost and asked for again: it is linked.
        let linked = match linked {
            Err(Errno::EXIST) if fstat(&file)?.st_nlink > 1 => Ok(()),
            linked => linked,
        };
        // Left over it costs a little room; who next takes the lease removes it.
        let _ = unlinkat(&folder, &unnamed, AtFlags::empty());
        let file = match linked {
            Ok(()) => file,
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL) => {
                openat(&folder, name(claim.epoch), flags, MODE)?
            }
            Err(errno) => return Err(errno),
        };
        self.file = Some(file);
        Ok(LeaseReply::Done)
    }

    fn write(&self, claim: &Claim) -> Result<LeaseReply, Errno> {
        let file = self.file.as_ref().ok_or(Errno::BADF)?;
        write_block(file, claim).map(|()| LeaseReply::Done)
    }

    fn sync(&self) -> Result<LeaseReply, Errno> {
        fsync(self.file.as_ref().ok_or(Errno::BADF)?).map(|()| LeaseReply::Done)
    }

    fn sync_directory(&self) -> Result<LeaseReply, Errno> {
        let synced = self.folder()?.sync();
        synced
            .map_err(|error| errno(&error))
            .map(|()| LeaseReply::Done)
    }

    fn remove(&self, epoch: Epoch) -> Result<LeaseReply, Errno> {
        let folder = self.folder()?;
        // Those of contenders that died; one that lives tries again.
        for left in folder.names().unwrap_or_default() {
            if left.starts_with(UNNAMED) {
                let _ = unlinkat(&folder, left, AtFlags::empty());
            }
        }
        unlinkat(&folder, name(epoch), AtFlags::empty()).map(|()| LeaseReply::Done)
    }
}

/// The highest claim on the volume at `data_dir`, for somebody who only looks; none where there is none.
///
/// # Errors
/// The volume can't be read.
pub fn highest(data_dir: &Path) -> io::Result<Option<(Epoch, Record)>> {
    /// It may be unlinked between the two looks, because a higher one is there.
    const ATTEMPTS: u32 = 3;
    let Some(folder) = Folder::on_volume(data_dir)? else {
        return Ok(None);
    };
    for _ in 0..ATTEMPTS {
        let names = folder.names()?;
        let Some(epoch) = names.iter().filter_map(|name| epoch(name)).max() else {
            return Ok(None);
        };
        match folder.read(&name(epoch), BLOCK) {
            Ok(None) => {}
            Ok(Some(bytes)) => return Ok(Some((epoch, decode(&bytes)))),
            Err(super::atomic::Unreadable::Io(error)) => return Err(error),
            Err(_) => return Ok(Some((epoch, Record::Torn(0)))),
        }
    }
    Err(io::Error::other(
        "the claims change faster than they can be read",
    ))
}

fn write_block(file: &OwnedFd, claim: &Claim) -> Result<(), Errno> {
    let block = encode(claim);
    match pwrite(file, &block, 0)? {
        BLOCK => Ok(()),
        // A part of it is what a full volume takes.
        _ => Err(Errno::NOSPC),
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

const fn what(step: &LeaseStep) -> &'static str {
    match step {
        LeaseStep::Rest(_) => "a rest",
        LeaseStep::List => "listing the claims",
        LeaseStep::Read(_) | LeaseStep::Open(_) => "opening a claim",
        LeaseStep::Create(_) => "making a claim",
        LeaseStep::Write(_) => "writing a claim",
        LeaseStep::Sync | LeaseStep::SyncDirectory => "syncing a claim",
        LeaseStep::Remove(_) => "removing an old claim",
    }
}

#[cfg(test)]
mod tests;
