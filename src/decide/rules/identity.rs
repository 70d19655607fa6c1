//! Which volume it is.

use super::super::findings::Findings;
use super::super::identity::{Judgement, judge};
use super::super::reason::Reason;
use super::View;

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    // Where nothing was looked at, the volume's own rule says why.
    let check = view.snapshot.volume.as_ref();
    let Some(facts) = check.and_then(|seen| seen.value.identity.as_ref()) else {
        return;
    };
    let judged = judge(facts, view.volume_id, view.policy.volume_init);
    let (reason, evidence) = match judged {
        Judgement::Established { .. } => return,
        Judgement::Unknown(why) => (Reason::VolumeUnidentified, why),
        Judgement::FirstUse | Judgement::Adopting => (
            Reason::VolumeUnidentified,
            "it has no identity yet: one is written once the lease is held".to_owned(),
        ),
        Judgement::Empty(why) => (Reason::VolumeEmpty, why),
        Judgement::Foreign(why) => (Reason::VolumeForeign, why),
        Judgement::Refused(why) => (Reason::VolumeIdentityRefused, why),
    };
    findings.add(reason, evidence);
}
