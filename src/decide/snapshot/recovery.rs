//! The progress of recoveries, by `sys.databases` and by the logs.

use super::Snapshot;

/// The progress of recoveries: the listed percentages, and phase and percentage in each log.
pub type Recovered = (Vec<f64>, Vec<(Option<u8>, u8)>);

impl Snapshot {
    /// Returns the progress of the recoveries that are listed or logged.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        let lists = self.databases.iter();
        let listed = lists.flat_map(|list| &list.value.databases);
        let logged = self.logs().filter_map(|(_, log)| log.recovery.as_ref());
        (
            listed
                .filter_map(|database| database.recovery_percent)
                .collect(),
            logged
                .map(|recovery| (recovery.phase, recovery.percent))
                .collect(),
        )
    }
}
