//! The volume fails the engine: a restart of the container changes nothing about it, and may not come
//! back on it.

use super::{hang, heal};
use crate::scenario::{Deed, FAULT, HEAL, Scenario, Told, UP, Volume, VolumeDeed, scenario};

pub fn all() -> Vec<Scenario> {
    let passing = |name, what, begins, ends, codes| {
        scenario(name, what)
            .at(FAULT, Deed::Volume(begins))
            .at(HEAL, Deed::Volume(ends))
            .serves(UP, FAULT)
            .unfit(FAULT, HEAL)
            .serves(HEAL, 160.0)
            .told(Told::Ready(codes))
    };
    vec![
        passing(
            "disk-full",
            "the volume is full; queries that write nothing are answered",
            VolumeDeed::Fill,
            VolumeDeed::Empty,
            &["DiskFull"],
        ),
        passing(
            "volume-read-only",
            "the volume turns read-only, as after an error of the storage",
            VolumeDeed::ReadOnly,
            VolumeDeed::Writable,
            &["VolumeReadOnly"],
        ),
        passing(
            "volume-covered",
            "another, empty volume is mounted over the data directory",
            VolumeDeed::Cover,
            VolumeDeed::Writable,
            &["VolumeReplaced", "VolumeEmpty"],
        ),
        scenario("volume-unmounted", "the volume is gone, below it is an empty directory: a restart would set up a new instance")
            .at(FAULT, Deed::Volume(VolumeDeed::Unmount))
            .serves(UP, FAULT)
            .unfit(FAULT, 160.0)
            .told(Told::Ready(&[
                "VolumeNotMounted",
                "VolumeMissing",
                "VolumeEmpty",
            ])),
        scenario("volume-stalled", "the volume answers nothing for 80 s, and so the engine hangs: it could not come back on it")
            .on(Volume::Fuse)
            .at(FAULT, Deed::Process(hang))
            .at(FAULT, Deed::Volume(VolumeDeed::Stall))
            .at(HEAL, Deed::Volume(VolumeDeed::Resume))
            // An engine does not answer in the moment in which its volume does.
            .at(HEAL + 5.0, Deed::Process(heal))
            .serves(UP, FAULT)
            .unfit(FAULT, HEAL)
            .serves(HEAL + 10.0, 170.0)
            .length(170.0)
            .told(Told::Ready(&["VolumeStalled", "NoFreshAnswer", "EngineBusy"])),
    ]
}
