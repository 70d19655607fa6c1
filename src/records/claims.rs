//! The files of the lease, and the steps of [`crate::decide::lease`] on them.
//!
//! | file | holds | its version |
//! | --- | --- | --- |
//! | `lease.<epoch>` | a claim, one [`block`] of [`BLOCK`] bytes written in one call | 1, in every release |
//! | `holder.<hash>` | what its holder records of itself, and its lock, see [`lock`] | 1 |
//!
//! Older and newer supervisors read and follow each other's claims. A supervisor that knows nothing of the
//! holder's file leaves it alone, and is judged by its claim.
//!
//! A claim gets its name by link(2) of a file that is written and synced already, so that it is never seen
//! without its contents; where there are no hard links (SMB) by open(2) with `O_EXCL`.

pub mod block;
pub mod lock;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, fstat, fsync, linkat, openat, unlinkat};
use rustix::io::{Errno, pread, pwrite};

pub use self::block::{BLOCK, plain};
use self::block::{decode, encode};
use self::lock::HolderFile;
use super::atomic::Folder;
use super::beneath;
use super::reserve;
use crate::decide::lease::sight::{LockState, Sight};
use crate::decide::lease::{Claim, Epoch, LeaseReply, LeaseStep, Record};
use crate::decide::observation::ProcessId;

/// The prefix of the names of claims; the epoch follows, in ten digits.
const NAME: &str = "lease.";
/// The prefix of a claim's name before it has its own.
const UNNAMED: &str = "claim-";
const MODE: Mode = Mode::RUSR
    .union(Mode::WUSR)
    .union(Mode::RGRP)
    .union(Mode::WGRP);

fn name(epoch: Epoch) -> String {
    format!("{NAME}{epoch:010}")
}

/// Returns the epoch in a claim's name.
fn epoch(name: &str) -> Option<Epoch> {
    let digits = name.strip_prefix(NAME)?;
    let all_digits = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

/// The claims on a volume.
#[derive(Debug)]
pub struct Claims {
    data_dir: PathBuf,
    /// The claim that is being made or renewed.
    file: Option<OwnedFd>,
    /// The holder's file beside its claims.
    holder: Option<HolderFile>,
    /// Whether the files of the holders before the present claim are removed.
    swept: bool,
}

impl Claims {
    /// Returns the claims on the volume at `data_dir`. Nothing is looked at yet.
    #[must_use]
    pub fn on(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            file: None,
            holder: None,
            swept: false,
        }
    }

    /// Returns the claims with this file beside those that are made.
    #[must_use]
    pub fn with_holder(mut self, holder: HolderFile) -> Self {
        self.holder = Some(holder);
        self
    }

    /// Takes back the keeper of the lock, for the claims of another run.
    pub fn take_keep(&mut self) -> Option<lock::Keep> {
        self.holder.as_mut()?.keep.take()
    }

    /// Takes note of the engine that runs under the claim, for the holder's file.
    pub fn see_engine(&mut self, engine: Option<ProcessId>) {
        if let Some(holder) = &mut self.holder {
            holder.see_engine(engine);
        }
    }

    /// Makes sure that the holder's file is there and up to date, and removes those of others, whose claims
    /// this one has followed. To be called while the claim is held.
    ///
    /// # Errors
    /// The volume can't be read or written.
    pub fn tend_holder(&mut self) -> io::Result<()> {
        let folder = self.folder()?;
        let Some(holder) = &mut self.holder else {
            return Ok(());
        };
        holder.tend(&folder)?;
        if std::mem::replace(&mut self.swept, true) {
            return Ok(());
        }
        let own = holder.name();
        for other in folder.names()? {
            if other.starts_with(lock::NAME) && other != own {
                // One that stays costs room only.
                let _ = unlinkat(&folder, other, AtFlags::empty());
            }
        }
        Ok(())
    }

    /// Carries out any step but [`LeaseStep::Rest`], which is not for the volume.
    ///
    /// The folder is opened anew for each step: another volume may be mounted there by now, and one that is
    /// to be unmounted must not be held.
    pub fn execute(&mut self, step: &LeaseStep) -> LeaseReply {
        let mut done = self.try_step(step);
        if let Err(errno) = done
            && reserve::is_wanted(errno)
            && self.folder().is_ok_and(|folder| reserve::spend(&folder))
        {
            done = self.try_step(step);
        }
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

    fn try_step(&mut self, step: &LeaseStep) -> Result<LeaseReply, Errno> {
        match step {
            LeaseStep::Rest(_) => Ok(LeaseReply::Done),
            LeaseStep::List => self.list(),
            LeaseStep::Read(epoch) => self.look(*epoch),
            LeaseStep::Lock => self.lock(),
            LeaseStep::Open(epoch) => self.open(*epoch, OFlags::RDWR).map(LeaseReply::Read),
            LeaseStep::Create(claim) => self.create(claim),
            LeaseStep::Write(claim) => self.write(claim),
            LeaseStep::Sync => self.sync(),
            LeaseStep::SyncDirectory => self.sync_directory(),
            LeaseStep::Remove(epoch) => self.remove(*epoch),
        }
    }

    fn folder(&self) -> Result<Folder, Errno> {
        // ENOENT means a claim that was removed; that the data directory itself is missing is another error.
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

    fn look(&mut self, epoch: Epoch) -> Result<LeaseReply, Errno> {
        let record = self.open(epoch, OFlags::RDONLY)?;
        let folder = self.folder()?;
        let (details, lock) = match &record {
            Record::Claim(claim) => lock::look(&folder, &claim.holder.id, claim.nonce),
            Record::Torn(_) => (None, LockState::Absent),
        };
        let reach = lock::reach(&folder);
        Ok(LeaseReply::Seen(Sight {
            record,
            details,
            lock,
            reach,
        }))
    }

    fn lock(&mut self) -> Result<LeaseReply, Errno> {
        let folder = self.folder()?;
        if let Some(holder) = &mut self.holder {
            holder.write(&folder)?;
        }
        self.swept = false;
        Ok(LeaseReply::Done)
    }

    fn open(&mut self, epoch: Epoch, mode: OFlags) -> Result<Record, Errno> {
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
        Ok(decode(&bytes[..filled]))
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

/// Returns the highest claim on the volume at `data_dir`, for a caller that only looks; none where there is
/// none.
///
/// # Errors
/// The volume can't be read.
pub fn highest(data_dir: &Path) -> io::Result<Option<(Epoch, Record)>> {
    /// The number of tries: a claim may be unlinked between two looks, because a higher one is there.
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
        LeaseStep::Lock => "taking the holder's lock",
        LeaseStep::Create(_) => "making a claim",
        LeaseStep::Write(_) => "writing a claim",
        LeaseStep::Sync | LeaseStep::SyncDirectory => "syncing a claim",
        LeaseStep::Remove(_) => "removing an old claim",
    }
}

#[cfg(test)]
mod tests;
