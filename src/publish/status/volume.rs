//! The volumes in `/status`, with what the engine writes there about itself.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::Seconds;
use crate::decide::identity::{Identity, IdentityFile};
use crate::decide::observation::{
    Dumps, EngineMount, LoggedError, LoggedRecovery, Mount, Space, WriteCheck,
};
use crate::decide::snapshot::VolumeState;
use crate::decide::volumes::Use;
use crate::publish::view::View;
use crate::publish::words;

/// A volume.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume<'a> {
    name: &'a str,
    path: &'a Path,
    uses: &'a BTreeSet<Use>,
    /// The age of the last finished check.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<Seconds>,
    /// The time for which a check has been in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_seconds: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mount: Option<&'a Mount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_mount: Option<&'a EngineMount>,
    #[serde(flatten)]
    space: Option<Space>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_seconds: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_fault: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    master_present: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a Identity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errorlog_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errorlog_errors: Option<&'a [LoggedError]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logged_recovery: Option<Recovery<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dumps: Option<Dumps>,
}

/// The recovery that the engine last reported in its log.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recovery<'a> {
    database: &'a str,
    percent: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_seconds: Option<Seconds>,
}

impl<'a> From<&'a LoggedRecovery> for Recovery<'a> {
    fn from(recovery: &'a LoggedRecovery) -> Self {
        Self {
            database: &recovery.database,
            percent: recovery.percent,
            phase: recovery.phase,
            remaining_seconds: recovery.remaining.map(Seconds),
        }
    }
}

impl<'a> Volume<'a> {
    /// Returns the volume with `master.mdf`.
    pub fn main(view: &'a View) -> Option<Self> {
        let state = view.published.snapshot.main_volume()?;
        Some(Self::of(view, state))
    }

    /// Returns the volumes beside the main one.
    pub fn others(view: &'a View) -> Vec<Self> {
        let volumes = view.published.snapshot.volumes.iter();
        let others = volumes.filter(|state| !state.volume.is_main());
        others.map(|state| Self::of(view, state)).collect()
    }

    fn of(view: &'a View, state: &'a VolumeState) -> Self {
        let check = state.check();
        let errorlog = check.and_then(|check| check.errorlog.as_ref());
        let output = check.and_then(|check| check.output.as_ref());
        let mut logs = [errorlog, output].into_iter().flatten();
        let recovery = logs.find_map(|log| log.recovery.as_ref());
        let (write_seconds, write_fault) = match check.map(|check| check.write) {
            Some(WriteCheck::Written(latency)) => (Some(Seconds(latency)), None),
            Some(WriteCheck::Failed(fault)) => (None, Some(words::volume_fault_kind(fault))),
            Some(WriteCheck::Skipped) | None => (None, None),
        };
        let checked = state.checked.as_ref();
        Self {
            name: &state.volume.name,
            path: &state.volume.path,
            uses: &state.volume.uses,
            age_seconds: checked.map(|seen| Seconds(view.ago(seen.at))),
            pending_seconds: state.pending.map(|at| Seconds(view.ago(at))),
            mount: check.and_then(|check| check.mount.as_ref()),
            engine_mount: check.and_then(|check| check.engine_mount.as_ref()),
            space: check.and_then(|check| check.space),
            write_seconds,
            write_fault,
            master_present: check.and_then(|check| check.master_present),
            identity: check.and_then(|check| match &check.identity.as_ref()?.file {
                IdentityFile::Known(identity) => Some(identity),
                _ => None,
            }),
            errorlog_bytes: errorlog.map(|log| log.bytes),
            errorlog_errors: errorlog.map(|log| log.errors.as_slice()),
            logged_recovery: recovery.map(Recovery::from),
            dumps: check.and_then(|check| check.dumps),
        }
    }
}
