//! The settings of the allocator, for a program with few threads that is small and runs for long.
//!
//! With an arena of its own each thread would keep what it has freed. And the tree of commands, their help
//! and all settings' sources are built once and dropped: the allocator would keep their pages for a later use
//! that does not come. Three processes of a pod start like that.

#![allow(unsafe_code)]

/// Has all threads share one arena. To be called before there is a second thread.
pub fn share() {
    // SAFETY: it sets a number, mallopt(3). Where it is refused, each thread has its own arena as before.
    #[cfg(target_env = "gnu")]
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1);
    }
}

/// Gives free memory back to the kernel, as far as the allocator can.
pub fn give_back() {
    // SAFETY: it takes a number and touches nothing but what is free, malloc_trim(3). Its result says whether
    // there was any.
    #[cfg(target_env = "gnu")]
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
