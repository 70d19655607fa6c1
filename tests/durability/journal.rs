//! What stands on the volume, held against what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use sql_edge_supervisor::records::history::Entry;

/// Bytes of a row in the stand-in's table: id, epoch, and their sum.
const ROW: usize = 24;

/// What was promised so far.
#[derive(Debug, Default)]
pub struct Promises {
    /// Rows that an engine acknowledged.
    acknowledged: BTreeSet<i64>,
    /// Which pod's engines were started in which epoch.
    epochs: BTreeMap<i64, String>,
}

/// What a look at the table found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub rows: usize,
    /// Epochs in which something was written.
    pub epochs: usize,
    /// Rows of an epoch after rows of a later one, by an engine that was frozen over the takeover.
    pub late: usize,
}

impl Promises {
    /// These rows have to be there from now on.
    pub fn acknowledge(&mut self, rows: &[i64]) {
        self.acknowledged.extend(rows);
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// An engine of `pod` was started in `epoch`.
    pub fn start(&mut self, epoch: i64, pod: &str) -> anyhow::Result<()> {
        ensure!(epoch > 0, "{pod} started an engine without the lease");
        let first = self.epochs.entry(epoch).or_insert_with(|| pod.to_owned());
        ensure!(
            first == pod,
            "epoch {epoch} was {first}'s, and {pod} started an engine in it"
        );
        Ok(())
    }

    /// An entry of the history that names another pod than the one whose epoch it was is an error.
    pub fn contradicts(&self, entries: &[Entry]) -> anyhow::Result<()> {
        for entry in entries {
            let epoch = i64::try_from(entry.epoch).context("an epoch")?;
            if let Some(pod) = self.epochs.get(&epoch) {
                ensure!(*pod == entry.pod, "epoch {epoch} was {pod}'s: {entry:?}");
            }
        }
        Ok(())
    }

    /// Reads the table from the volume.
    pub fn check(&self, volume: &Path) -> anyhow::Result<Found> {
        let rows = read(volume)?;
        let mut ids = BTreeSet::new();
        let mut found = Found {
            rows: rows.len(),
            ..Found::default()
        };
        let (mut highest, mut epochs) = (0, BTreeSet::new());
        for (id, epoch) in &rows {
            ensure!(ids.insert(*id), "row {id} is there twice");
            ensure!(
                self.epochs.contains_key(epoch),
                "row {id} was written in epoch {epoch}, in which no engine was started"
            );
            found.late += usize::from(*epoch < highest);
            highest = highest.max(*epoch);
            epochs.insert(*epoch);
        }
        found.epochs = epochs.len();
        let lost: Vec<_> = self.acknowledged.difference(&ids).take(10).collect();
        if !lost.is_empty() {
            let count = self.acknowledged.difference(&ids).count();
            bail!("{count} acknowledged rows are lost, the first of them {lost:?}");
        }
        Ok(found)
    }
}

/// The rows in the order in which they were written. An engine that runs may be about to add one: what
/// is less than a row at the end is none yet.
pub fn read(volume: &Path) -> anyhow::Result<Vec<(i64, i64)>> {
    let path = volume.join("data/journal.mdf");
    let bytes = std::fs::read(&path).context("the table")?;
    let mut rows = Vec::with_capacity(bytes.len() / ROW);
    for record in bytes.chunks_exact(ROW) {
        let number = |at: usize| -> Option<i64> {
            Some(i64::from_le_bytes(*record.get(at..)?.first_chunk()?))
        };
        let (id, epoch) = number(0).zip(number(8)).context("a row")?;
        let sum = record[..16]
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        ensure!(
            record[16..] == sum.to_le_bytes(),
            "a torn row lies at number {} of the table",
            rows.len()
        );
        rows.push((id, epoch));
    }
    Ok(rows)
}
