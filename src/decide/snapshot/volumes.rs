//! The volumes, as the last checks saw them.

use std::sync::Arc;

use super::Snapshot;
use crate::decide::identity::set::Seen;
use crate::decide::observation::{EngineLog, Observed, VolumeCheck, VolumeEvent, VolumeReport};
use crate::decide::time::Time;
use crate::decide::volumes::{Layout, Use, Volume};

/// A volume and its checks.
#[derive(Clone, Debug)]
pub struct VolumeState {
    /// The volume that is checked.
    pub volume: Arc<Volume>,
    /// The last finished check.
    pub checked: Option<Observed<VolumeCheck>>,
    /// The moment at which that check began.
    pub began: Option<Time>,
    /// The moment at which the check now in flight began.
    pub pending: Option<Time>,
}

impl VolumeState {
    fn new(volume: Arc<Volume>) -> Self {
        Self {
            volume,
            checked: None,
            began: None,
            pending: None,
        }
    }

    /// Returns the result of the last finished check.
    #[must_use]
    pub fn check(&self) -> Option<&VolumeCheck> {
        self.checked.as_ref().map(|seen| &seen.value)
    }

    /// Returns the moment at which the last finished check began to look.
    #[must_use]
    pub fn looked(&self) -> Option<Time> {
        self.began
            .or_else(|| self.checked.as_ref().map(|seen| seen.at))
    }
}

impl Snapshot {
    /// Returns the volume with `master.mdf`.
    #[must_use]
    pub fn main_volume(&self) -> Option<&VolumeState> {
        self.volumes.iter().find(|state| state.volume.is_main())
    }

    /// Returns evidence with the name of the volume that it is of; without, where all lies on one volume.
    #[must_use]
    pub fn named(&self, volume: &str, evidence: String) -> String {
        match self.volumes.as_slice() {
            [only] if only.volume.name == volume && only.volume.uses.contains(&Use::System) => {
                evidence
            }
            _ => format!("{volume}: {evidence}"),
        }
    }

    /// Returns the volumes with the facts of their identities.
    #[must_use]
    pub fn identities(&self) -> Vec<Seen<'_>> {
        let volumes = self.volumes.iter();
        let seen = volumes.map(|state| Seen {
            volume: &state.volume,
            facts: state.check().and_then(|check| check.identity.as_ref()),
        });
        seen.collect()
    }

    /// Returns the results of the finished checks, the main volume's first.
    pub fn checks(&self) -> impl Iterator<Item = &VolumeCheck> {
        self.volumes.iter().filter_map(VolumeState::check)
    }

    /// Returns the engine's logs that can be read, with their names.
    pub fn logs(&self) -> impl Iterator<Item = (&'static str, &EngineLog)> {
        self.logs_since(Time::ZERO)
    }

    /// Returns the engine's logs, where they were read by a check that began at `since` or later: an earlier
    /// one saw those of the start before.
    pub fn logs_since(&self, since: Time) -> impl Iterator<Item = (&'static str, &EngineLog)> {
        let find = |log: fn(&VolumeCheck) -> Option<&EngineLog>| {
            self.volumes.iter().find_map(move |state| {
                let log = log(state.check()?)?;
                (state.looked() >= Some(since)).then_some(log)
            })
        };
        let errorlog = find(|check| check.errorlog.as_ref()).or_else(|| {
            let by_agent = self.agent_log.as_ref();
            by_agent
                .filter(|seen| seen.at >= since)
                .map(|seen| &seen.value)
        });
        let output = find(|check| check.output.as_ref());
        [("errorlog", errorlog), ("output", output)]
            .into_iter()
            .filter_map(|(name, log)| Some((name, log?)))
    }

    /// Takes in the volumes that there are from now on: what was seen of them before stays, and one that is
    /// no volume any more is dropped.
    pub(super) fn apply_layout(&mut self, layout: Layout) {
        let mut before = std::mem::take(&mut self.volumes);
        self.outside = layout.outside;
        self.volumes = layout
            .volumes
            .into_iter()
            .map(|volume| {
                let known = before
                    .iter()
                    .position(|state| state.volume.name == volume.name);
                match known.map(|index| before.swap_remove(index)) {
                    Some(state) => VolumeState { volume, ..state },
                    None => VolumeState::new(volume),
                }
            })
            .collect();
    }

    pub(super) fn apply_volume(&mut self, at: Time, report: VolumeReport) {
        let known = self
            .volumes
            .iter()
            .position(|state| state.volume.name == report.volume.name);
        let index = known.unwrap_or_else(|| {
            self.volumes.push(VolumeState::new(report.volume));
            self.volumes.len() - 1
        });
        let state = &mut self.volumes[index];
        match report.event {
            VolumeEvent::Began => state.pending = Some(at),
            VolumeEvent::Checked(check) => {
                state.began = state.pending.take();
                state.checked = Some(Observed { at, value: *check });
            }
        }
    }
}
