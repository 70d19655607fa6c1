//! The lease on the volume, looked at without the supervisor: whether another pod's engine may be
//! writing it.
//!
//! A claim of another's that is renewed is a living one. One that nobody has renewed for `lease-stale`,
//! by this process's own monotonic clock, is a dead one's, or that of this pod's own supervisor, which
//! can't be reached.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::config::Config;
use crate::decide::lease::{LeaseMode, Record};
use crate::records::claims::highest;

/// A look takes this long at most; the volume may stall.
const LOOK: Duration = Duration::from_secs(5);

/// What a look brings: the highest claim, with its epoch.
type Seen = Option<(u64, Record)>;

/// The claims on the volume, watched.
#[derive(Debug)]
pub struct Claims {
    data_dir: PathBuf,
    mode: LeaseMode,
    own: Option<String>,
    stale: Duration,
    /// The claim of another's, and since when it has been the same.
    watched: Option<(Seen, Instant)>,
    /// A look that the volume has not answered yet.
    pending: Option<JoinHandle<std::io::Result<Seen>>>,
}

impl Claims {
    /// Those on the volume of `config`, as this container sees it.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            data_dir: config.volume.engine_data_dir.clone(),
            mode: config.policy.lease,
            own: config.lease.pod_uid.clone(),
            stale: config.lease.stale,
            watched: None,
            pending: None,
        }
    }

    /// Why the engine must not be started now; none where nothing speaks against it. Cancel safe.
    pub async fn obstacle(&mut self) -> Option<String> {
        if self.mode == LeaseMode::Off {
            return None;
        }
        let data_dir = self.data_dir.clone();
        let look = self
            .pending
            .get_or_insert_with(|| spawn_blocking(move || highest(&data_dir)));
        let Ok(looked) = timeout(LOOK, look).await else {
            return Some("the volume does not answer".to_owned());
        };
        self.pending = None;
        match looked {
            Ok(Ok(seen)) => self.judge(seen, Instant::now()),
            Ok(Err(error)) => {
                warn!(%error, "the lease on the volume can't be read");
                None
            }
            // Nothing aborts it.
            Err(_) => None,
        }
    }

    fn judge(&mut self, seen: Seen, now: Instant) -> Option<String> {
        let (epoch, record) = seen.as_ref()?;
        let whose = match record {
            Record::Claim(claim) if claim.released => return None,
            Record::Claim(claim) if Some(&claim.holder.id) == self.own.as_ref() => return None,
            Record::Claim(claim) => format!("{} on node {}", claim.holder.id, claim.holder.node),
            Record::Torn(_) => "unknown".to_owned(),
        };
        let text = format!("lease {epoch} is held: {whose}");
        let since = match self.watched.take() {
            Some((before, since)) if before == seen => since,
            _ => now,
        };
        self.watched = Some((seen, since));
        (now.duration_since(since) < self.stale).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::lease::{Claim, HolderIdentity};

    fn claims() -> Claims {
        Claims {
            data_dir: PathBuf::from("/nowhere"),
            mode: LeaseMode::Advisory,
            own: Some("us".to_owned()),
            stale: Duration::from_secs(30),
            watched: None,
            pending: None,
        }
    }

    fn claim(id: &str, heartbeat: u64, released: bool) -> Seen {
        let holder = HolderIdentity {
            id: id.to_owned(),
            ..HolderIdentity::default()
        };
        let claim = Claim {
            epoch: 4,
            first: 4,
            holder,
            heartbeat,
            nonce: 1,
            released,
        };
        Some((4, Record::Claim(claim)))
    }

    #[test]
    fn only_anothers_that_lives_is_in_the_way() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(claims().judge(None, now), None);
        assert_eq!(claims().judge(claim("us", 1, false), now), None);
        assert_eq!(claims().judge(claim("them", 1, true), now), None);
        let mut watch = claims();
        let held = watch.judge(claim("them", 1, false), now).unwrap();
        assert!(held.contains("them"), "{held}");
        assert!(watch.judge(claim("them", 1, false), later(29)).is_some());
        // It is renewed: it counts from then on.
        assert!(watch.judge(claim("them", 2, false), later(29)).is_some());
        assert!(watch.judge(claim("them", 2, false), later(58)).is_some());
        assert_eq!(watch.judge(claim("them", 2, false), later(59)), None);
        let torn = || Some((4, Record::Torn(9)));
        assert!(
            watch.judge(torn(), later(60)).is_some(),
            "somebody writes it"
        );
        assert_eq!(watch.judge(torn(), later(90)), None);
    }
}
