//! The parts that the programs consist of, by name, so that a test can have each of them panic.
//!
//! A build with debug assertions looks for a file with the part's name in the directory that
//! `SQL_EDGE_SUPERVISOR_PANICS` names, takes it away and panics. A release build has nothing of it.
//!
//! **Invariant:** a panic in any part costs no engine: `it::launch::panics`.

/// Runs a part.
#[cfg(not(debug_assertions))]
pub async fn part<F: Future>(_name: &'static str, run: F) -> F::Output {
    run.await
}

/// Marks a turn of a part that is a thread's loop.
#[cfg(not(debug_assertions))]
pub fn turn(_name: &'static str) {}

#[cfg(debug_assertions)]
pub use injected::{part, turn};

#[cfg(debug_assertions)]
mod injected {
    use std::future::pending;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::time::Duration;

    /// The pause between two looks for the file.
    const LOOK: Duration = Duration::from_millis(10);

    /// Runs a part, until a test has it panic.
    pub async fn part<F: Future>(name: &'static str, run: F) -> F::Output {
        tokio::select! {
            output = run => output,
            () = asked(name) => injected(name),
        }
    }

    /// Marks a turn of a part that is a thread's loop, in which a test may have it panic.
    pub fn turn(name: &'static str) {
        if is_asked(name) {
            injected(name)
        }
    }

    async fn asked(name: &str) {
        if directory().is_none() {
            pending::<()>().await;
        }
        while !is_asked(name) {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_asked(name: &str) -> bool {
        let file = directory().map(|directory| directory.join(name));
        file.is_some_and(|file| std::fs::remove_file(file).is_ok())
    }

    fn directory() -> Option<&'static PathBuf> {
        static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
        let given = || std::env::var_os("SQL_EDGE_SUPERVISOR_PANICS").map(PathBuf::from);
        DIRECTORY.get_or_init(given).as_ref()
    }

    #[allow(clippy::panic, reason = "that is what it is for")]
    fn injected(name: &str) -> ! {
        panic!("a test has the part {name} panic")
    }
}
