//! The identities of the volumes: whether they are the right ones, and belong together.

use super::super::findings::Findings;
use super::super::identity::Judgement;
use super::super::reason::Reason;
use super::View;

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    for judged in &view.identities.judged {
        // Where nothing was looked at, the volume's own rule says why.
        let Some(judgement) = &judged.judgement else {
            continue;
        };
        let (reason, evidence) = match judgement {
            Judgement::Established { .. } => continue,
            Judgement::Unknown(why) => (Reason::VolumeUnidentified, why.clone()),
            Judgement::FirstUse | Judgement::Unmarked => (
                Reason::VolumeUnidentified,
                "it has no identity yet: one is written once the lease is held".to_owned(),
            ),
            Judgement::Incomplete(why) => (Reason::VolumeNotMounted, why.clone()),
            Judgement::Empty(why) => (Reason::VolumeEmpty, why.clone()),
            Judgement::Foreign(why) => (Reason::VolumeForeign, why.clone()),
            Judgement::Refused(why) => (Reason::VolumeIdentityRefused, why.clone()),
        };
        findings.add_another(reason, view.snapshot.named(&judged.name, evidence));
    }
}
