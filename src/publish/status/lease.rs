//! The part of `/status` that shows the lease on the volume.

use serde::Serialize;

use super::Seconds;
use crate::decide::lease::{Epoch, HolderIdentity, LeaseState};
use crate::decide::reason::Reason;
use crate::publish::view::View;

/// The state of the lease on the volume.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Lease<'a> {
    /// The state's word: `held`, `elsewhere`, `watched`, `lost`, `released`, `unknown` or `off`.
    state: &'static str,
    /// The epoch that is held, was lost, or is somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    /// The first epoch since which the lease is held without a break.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_epoch: Option<Epoch>,
    /// The holder of the lease, where that is somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<&'a HolderIdentity>,
    /// The age of the last successful renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed_seconds: Option<Seconds>,
    /// The time for which somebody else's lease has not changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    unchanged_seconds: Option<Seconds>,
    /// The reason why the last try to take or renew the lease failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    /// The age of what is known of the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<Seconds>,
}

impl<'a> Lease<'a> {
    pub fn of(view: &'a View) -> Option<Self> {
        if view
            .findings()
            .any(|found| found.reason == Reason::LeaseOff)
        {
            return Some(Self {
                state: "off",
                ..Self::default()
            });
        }
        let snapshot = &view.published.snapshot;
        let seen = snapshot.lease.as_ref()?;
        let mut part = Self {
            failure: seen.value.failure.as_deref(),
            age_seconds: Some(Seconds(view.ago(seen.at))),
            renewed_seconds: snapshot
                .lease_renewed
                .map(|renewed| Seconds(renewed.now(view.now()))),
            ..Self::default()
        };
        match &seen.value.state {
            LeaseState::Unknown => part.state = "unknown",
            LeaseState::Released => part.state = "released",
            LeaseState::Held { epoch, first, .. } => {
                part.state = "held";
                part.epoch = Some(*epoch);
                part.first_epoch = Some(*first);
            }
            LeaseState::Elsewhere {
                epoch,
                holder,
                unchanged,
                ..
            } => {
                part.state = "elsewhere";
                part.epoch = Some(*epoch);
                part.holder = holder.as_ref();
                part.unchanged_seconds = Some(Seconds(*unchanged));
            }
            LeaseState::Watched {
                epoch,
                holder,
                unchanged,
            } => {
                part.state = "watched";
                part.epoch = Some(*epoch);
                part.holder = Some(holder);
                part.unchanged_seconds = Some(Seconds(*unchanged));
            }
            LeaseState::Lost { epoch, holder, .. } => {
                part.state = "lost";
                part.epoch = Some(*epoch);
                part.holder = holder.as_ref();
            }
        }
        Some(part)
    }
}
