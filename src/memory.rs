//! Keeps this process's resident memory small: one arena, and pages given back at the start and each minute.
//!
//! With an arena of its own each thread would keep what it has freed. The tree of commands, their help and all
//! settings' sources are built once and dropped: the allocator would keep their pages for a later use that does
//! not come. And most of the program's code runs at the start alone, or after a failure: it would stay mapped,
//! counted as resident and last to be reclaimed where memory is short. Three processes of a pod are like that.

#![allow(unsafe_code)]

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The time from the start of a process until it is known which code it needs.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// The pace at which memory is given back: what a failure has needed does not stay.
const GIVE_BACK_INTERVAL: Duration = Duration::from_secs(60);

/// Has all threads share one arena. To be called before there is a second thread.
pub fn share() {
    // SAFETY: it sets a number, mallopt(3). Where it is refused, each thread has its own arena as before.
    #[cfg(target_env = "gnu")]
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1);
    }
}

/// Gives memory back to the kernel: what is free, as far as the allocator can, and the program's own code,
/// of which what is still needed comes back from the page cache at its next use, 64 KiB at once. In the binary
/// that is shipped, what a running pod needs lies side by side (`docker/hot-code.ld`).
pub fn give_back() {
    // SAFETY: it takes a number and touches nothing but what is free, malloc_trim(3). Its result says whether
    // there was any.
    #[cfg(target_env = "gnu")]
    unsafe {
        nix::libc::malloc_trim(0);
    }
    unmap_code();
}

/// Gives memory back once the process has settled, and from then on each minute.
pub async fn give_back_regularly() {
    let mut ticks = interval_at(Instant::now() + SETTLED_AFTER, GIVE_BACK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        give_back();
    }
}

/// Takes the pages of the program's file that are never written out of this process' page table.
fn unmap_code() {
    let code = code();
    // SAFETY: nothing writes there, relocations neither (the linker refuses those of code): the pages are
    // private and clean, and are the file's again at their next use, madvise(2). Where it is refused, they
    // stay.
    unsafe {
        let start = code.as_ptr().cast::<nix::libc::c_void>().cast_mut();
        nix::libc::madvise(start, code.len(), nix::libc::MADV_DONTNEED);
    }
}

/// Returns what of the program is never written, in whole pages: its headers, its code, and with some linkers
/// its constants.
#[cfg(target_env = "gnu")]
fn code() -> &'static [u8] {
    use rustix::param::page_size;

    unsafe extern "C" {
        /// The first byte of the program, by its linker.
        static __executable_start: u8;
        /// The first byte behind the code.
        static etext: u8;
    }
    let (start, end) = (&raw const __executable_start, &raw const etext);
    // The last page may hold the first of what is written.
    let length = (end.addr() / page_size() * page_size()).saturating_sub(start.addr());
    // SAFETY: the program is mapped there, readable, for as long as it runs.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// Returns nothing: how the linker of another C library calls the program's parts is not known.
#[cfg(not(target_env = "gnu"))]
fn code() -> &'static [u8] {
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of looks, of which the least counts.
    const LOOKS: usize = 200;

    /// The resident pages of files, in KiB.
    fn resident() -> u64 {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let of = |name: &str| -> u64 {
            let line = rollup.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        of("Rss:") - of("Anonymous:")
    }

    #[test]
    fn code_that_is_not_needed_is_not_resident() {
        let sum: u64 = code().iter().step_by(4096).copied().map(u64::from).sum();
        let before = resident();
        // Other tests run beside it, and may have most of theirs back by the time of the look.
        let looks = std::iter::repeat_with(|| {
            give_back();
            resident()
        });
        let after = looks.take(LOOKS).min().unwrap();
        assert!(
            sum > 0 && after < before / 2,
            "{before} KiB, then {after} KiB"
        );
    }
}
