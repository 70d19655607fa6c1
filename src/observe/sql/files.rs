//! The directories in which the files of databases lie, and how many writes to them are done.
//!
//! The engine counts a write when it is done. Where it counts on while a check of the volume takes long,
//! the volume is slow and does not stall.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tiberius::Row;
use tokio::time::Instant;

use super::pace::is_denied;
use crate::decide::observation::{ContactError, EngineDirectory, Observation};
use crate::observe::Sink;
use crate::tds::deadline::Deadline;
use crate::tds::standing::Standing;
use crate::tds::value::Cells;

/// The query for the files: as many as a thousand databases have, each with its log.
const BATCH: &str = "SET LOCK_TIMEOUT 1000; SELECT TOP (2000) f.physical_name, s.num_of_writes \
     FROM sys.dm_io_virtual_file_stats(NULL, NULL) AS s \
     JOIN sys.master_files AS f ON f.database_id = s.database_id AND f.file_id = s.file_id";

/// The number of directories that are kept. More would be more volumes than a pod has.
const MAX_DIRECTORIES: usize = 64;

/// The time for which nothing is asked after a denial: the permission is VIEW SERVER STATE, which a login may
/// lack.
const DENIED_RETRY: Duration = Duration::from_secs(600);

/// The part that asks for the files, on the connection of the databases.
#[derive(Debug, Default)]
pub(super) struct Files {
    denied: Option<Instant>,
}

impl Files {
    /// Asks once, and sends the answer.
    pub(super) async fn ask(&mut self, standing: &mut Standing, deadline: Deadline, sink: &Sink) {
        if !self.is_due() {
            return;
        }
        let mut found = Found::default();
        let mut take = |_, row: &Row| found.take(&Cells::from(row));
        let asked = standing.query(BATCH, deadline, &mut take).await;
        self.remember(asked.as_ref().err());
        if asked.is_ok() {
            sink.send(Observation::Files(found.into_list())).await;
        }
    }

    /// Whether the engine has not denied the answer lately.
    fn is_due(&self) -> bool {
        self.denied.is_none_or(|at| at.elapsed() >= DENIED_RETRY)
    }

    /// Remembers a denial. A lock or a deadline has passed by the next interval, and the counts are needed
    /// then to tell a slow volume from one that stalls.
    fn remember(&mut self, error: Option<&ContactError>) {
        self.denied = error.is_some_and(is_denied).then(Instant::now);
    }
}

/// The number of writes by directory.
#[derive(Debug, Default)]
struct Found(BTreeMap<PathBuf, u64>);

impl Found {
    fn take(&mut self, cells: &Cells<'_>) {
        let Some(directory) = cells.text("physical_name").and_then(directory_of) else {
            return;
        };
        let writes = cells.integer("num_of_writes").unwrap_or_default();
        if self.0.len() < MAX_DIRECTORIES || self.0.contains_key(directory) {
            let sum = self.0.entry(directory.to_owned()).or_default();
            *sum = sum.saturating_add(u64::try_from(writes).unwrap_or_default());
        }
    }

    fn into_list(self) -> Vec<EngineDirectory> {
        let entries = self.0.into_iter();
        let list = entries.map(|(directory, writes)| EngineDirectory { directory, writes });
        list.collect()
    }
}

/// Returns the directory of a file in the engine's own file system; none for a URL, or a path of Windows.
fn directory_of(physical_name: &str) -> Option<&Path> {
    let path = Path::new(physical_name);
    path.parent().filter(|_| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::observation::{AttemptStage, ServerError};

    #[test]
    fn only_a_denial_ends_the_questions_for_a_while() {
        let server = |number| {
            ContactError::Server(ServerError {
                number,
                state: 1,
                class: 16,
            })
        };
        for (error, is_due) in [
            (None, true),
            (Some(server(1222)), true),
            (Some(ContactError::TimedOut(AttemptStage::Query)), true),
            (Some(ContactError::Closed), true),
            (Some(server(300)), false),
            (Some(server(208)), false),
        ] {
            let mut files = Files::default();
            files.remember(error.as_ref());
            assert_eq!(files.is_due(), is_due, "{error:?}");
        }
    }

    #[test]
    fn only_paths_of_this_system_have_a_directory() {
        let data = Some(Path::new("/var/opt/mssql/data"));
        assert_eq!(directory_of("/var/opt/mssql/data/master.mdf"), data);
        assert_eq!(directory_of("https://account.blob/container/a.mdf"), None);
        assert_eq!(directory_of("C:\\data\\a.mdf"), None);
        assert_eq!(directory_of("tempdb.mdf"), None);
    }
}
