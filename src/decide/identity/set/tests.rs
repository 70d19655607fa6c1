use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::decide::identity::{ExpectedId, Membership};

fn volume(name: &str, uses: &[Use]) -> Arc<Volume> {
    let path = Path::new("/var/opt/mssql").join(name);
    Arc::new(Volume {
        name: name.to_owned(),
        engine_path: path.clone(),
        path,
        uses: uses.iter().copied().collect(),
    })
}

/// Three volumes: `data` with master.mdf, `log` with the transaction logs, and the top with `.system`.
struct Three {
    volumes: [Arc<Volume>; 3],
    facts: [IdentityFacts; 3],
}

const DATA: usize = 0;
const LOG: usize = 1;
const TOP: usize = 2;

fn facts(file: IdentityFile) -> IdentityFacts {
    IdentityFacts {
        expected: ExpectedId::Any,
        file,
        instance_id: None,
        master_present: None,
        empty: Some(false),
    }
}

/// The identity of a main volume of the set `id`, with instance `i`.
fn main_of(id: &str) -> IdentityFile {
    let members = [("log", "log"), ("top", "top")];
    let members = members.map(|(name, of)| (name.to_owned(), format!("{id}-{of}")));
    IdentityFile::Known(Identity {
        volume_id: id.to_owned(),
        instance_id: Some(format!("i-{id}")),
        members: members.into(),
        ..Identity::default()
    })
}

/// The identity of the main volume of the set `a`, with these members and no instance.
fn main_with(members: &[(&str, &str)]) -> IdentityFile {
    let members = members.iter();
    let members = members.map(|(name, id)| ((*name).to_owned(), (*id).to_owned()));
    IdentityFile::Known(Identity {
        volume_id: "a".to_owned(),
        members: members.collect(),
        ..Identity::default()
    })
}

fn member_of(id: &str, name: &str) -> IdentityFile {
    IdentityFile::Known(Identity {
        volume_id: format!("{id}-{name}"),
        set: Some(Membership {
            id: id.to_owned(),
            main: "data".to_owned(),
            name: name.to_owned(),
        }),
        ..Identity::default()
    })
}

impl Three {
    /// Returns the set `a` in order.
    fn established() -> Self {
        let mut data = facts(main_of("a"));
        data.master_present = Some(true);
        let mut top = facts(member_of("a", "top"));
        top.instance_id = Some("i-a".to_owned());
        Self {
            volumes: [
                volume("data", &[Use::Master, Use::Data]),
                volume("log", &[Use::Log]),
                volume("top", &[Use::System, Use::ErrorLog]),
            ],
            facts: [data, facts(member_of("a", "log")), top],
        }
    }

    /// Returns new volumes, all empty.
    fn empty() -> Self {
        let mut three = Self::established();
        for facts in &mut three.facts {
            facts.file = IdentityFile::Absent;
            facts.instance_id = None;
            facts.empty = Some(true);
        }
        three.facts[DATA].master_present = Some(false);
        three
    }

    /// Returns the set as an older version of the supervisor left it, which looked at the top alone.
    fn of_earlier_version() -> Self {
        let mut three = Self::established();
        three.facts[DATA].file = IdentityFile::Absent;
        three.facts[LOG].file = IdentityFile::Absent;
        three.facts[TOP].file = IdentityFile::Known(Identity {
            volume_id: "old".to_owned(),
            instance_id: Some("i-a".to_owned()),
            ..Identity::default()
        });
        three
    }

    fn seen(&self) -> Vec<Seen<'_>> {
        let both = self.volumes.iter().zip(&self.facts);
        let seen = both.map(|(volume, facts)| Seen {
            volume,
            facts: Some(facts),
        });
        seen.collect()
    }

    fn judge(&self) -> JudgedVolumes {
        self.judge_with(None, VolumeInit::Once)
    }

    fn judge_with(&self, remembered: Option<&str>, init: VolumeInit) -> JudgedVolumes {
        judge_set(&self.seen(), remembered, init)
    }

    /// Writes the identities that are missing until none is. Returns the number of rounds.
    fn settle(&mut self) -> usize {
        for round in 0..10 {
            let writes = self.judge().writes;
            if writes.is_empty() {
                return round;
            }
            self.write(writes);
        }
        panic!("it never ends: {:?}", self.judge());
    }

    fn write(&mut self, writes: Vec<IdentityWrite>) {
        for write in writes {
            let index = self.index(&write.volume);
            assert_eq!(self.facts[index].file, write.before);
            let mut identity = write.identity;
            if identity.volume_id.is_empty() {
                identity.volume_id = format!("new-{}", write.volume);
            }
            self.facts[index].file = IdentityFile::Known(identity);
        }
    }

    fn index(&self, name: &str) -> usize {
        let found = self.volumes.iter().position(|volume| volume.name == name);
        found.expect("it is one of the three")
    }
}

/// The volumes that are not as they should be, with the name of the judgement.
fn wrong(set: &JudgedVolumes) -> Vec<(String, String)> {
    let judged = set.judged.iter().filter_map(|judged| {
        let judgement = judged.judgement.as_ref()?;
        let debug = format!("{judgement:?}");
        let name = debug.split(|c: char| !c.is_alphanumeric()).next()?;
        (name != "Established").then(|| (judged.name.clone(), name.to_owned()))
    });
    judged.collect()
}

fn names(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = list
        .iter()
        .map(|(name, what)| ((*name).to_owned(), (*what).to_owned()));
    owned.collect()
}

#[test]
fn a_set_in_order_is_established_and_nothing_is_written() {
    for remembered in [None, Some("a")] {
        for init in [VolumeInit::Once, VolumeInit::Never] {
            let set = Three::established().judge_with(remembered, init);
            assert_eq!(wrong(&set), []);
            assert_eq!(set.writes, []);
            assert_eq!(set.id(), Some("a"));
        }
    }
}

#[test]
fn new_claims_become_a_set_and_get_their_instance_when_it_is_there() {
    let mut three = Three::empty();
    assert_eq!(three.settle(), 3, "the main one, the others, the record");
    let set = three.judge();
    assert_eq!(wrong(&set), []);
    assert_eq!(set.id(), Some("new-data"));
    three.facts[TOP].instance_id = Some("i".to_owned());
    assert_eq!(three.judge().writes, [], "its databases are not there yet");
    three.facts[DATA].master_present = Some(true);
    three.settle();
    let IdentityFile::Known(main) = &three.facts[DATA].file else {
        panic!("{three:?}", three = three.facts);
    };
    assert_eq!(main.instance_id.as_deref(), Some("i"));
    assert_eq!(main.members.len(), 2);
}

#[test]
fn each_swapped_claim_is_named_and_no_other() {
    // Another set's, one that has no identity but data, and an empty one.
    for (index, name) in [(DATA, "data"), (LOG, "log"), (TOP, "top")] {
        let mut three = Three::established();
        three.facts[index].file = match index {
            DATA => main_of("b"),
            _ => member_of("b", name),
        };
        let set = three.judge();
        assert_eq!(wrong(&set), names(&[(name, "Foreign")]), "{set:?}");
        assert_eq!(set.writes, []);

        let mut three = Three::established();
        three.facts[index].file = IdentityFile::Absent;
        assert_eq!(wrong(&three.judge()), names(&[(name, "Foreign")]));
        three.facts[index].empty = Some(true);
        if index == DATA {
            three.facts[DATA].master_present = Some(false);
        }
        let set = three.judge();
        assert_eq!(wrong(&set), names(&[(name, "Empty")]), "{set:?}");
        assert_eq!(set.writes, []);
    }
}

#[test]
fn while_one_was_not_seen_yet_nobody_is_called_the_wrong_one() {
    for swapped in [DATA, LOG, TOP] {
        let mut three = Three::established();
        three.facts[swapped].file = match swapped {
            DATA => main_of("b"),
            LOG => member_of("b", "log"),
            _ => member_of("b", "top"),
        };
        for unseen in [LOG, TOP] {
            let mut seen = three.seen();
            seen[unseen].facts = None;
            let set = judge_set(&seen, None, VolumeInit::Once);
            assert_eq!(wrong(&set), [], "{swapped} {unseen}: {set:?}");
            assert_eq!(set.writes, []);
        }
    }
}

#[test]
fn two_claims_in_each_others_place_are_both_named() {
    let mut three = Three::established();
    three.facts.swap(LOG, TOP);
    three.facts[TOP].instance_id = three.facts[LOG].instance_id.take();
    assert_eq!(
        wrong(&three.judge()),
        names(&[("log", "Foreign"), ("top", "Foreign")])
    );
    let mut three = Three::established();
    let data = three.facts[DATA].file.clone();
    three.facts[DATA].file = std::mem::replace(&mut three.facts[LOG].file, data);
    let wrong = wrong(&three.judge());
    assert_eq!(
        wrong[..2],
        names(&[("data", "Foreign"), ("log", "Foreign")])
    );
}

#[test]
fn of_two_that_differ_both_are_named_unless_it_is_known_which_is_meant() {
    let two = || {
        let mut three = Three::established();
        three.facts[DATA].file = main_of("b");
        three
    };
    let judge = |three: &Three, remembered| {
        let seen = [three.seen()[DATA], three.seen()[TOP]];
        judge_set(&seen, remembered, VolumeInit::Once)
    };
    let set = judge(&two(), None);
    assert!(
        wrong(&set).contains(&("data".to_owned(), "Foreign".to_owned())),
        "{set:?}"
    );
    assert_eq!(set.writes, []);
    let set = judge(&two(), Some("a"));
    assert_eq!(wrong(&set), names(&[("data", "Foreign")]), "{set:?}");
    let set = judge(&two(), Some("b"));
    assert!(
        !wrong(&set).contains(&("data".to_owned(), "Foreign".to_owned())),
        "{set:?}"
    );
    assert!(
        wrong(&set).contains(&("top".to_owned(), "Foreign".to_owned())),
        "{set:?}"
    );
    let mut expected = two();
    expected.facts[DATA].expected = ExpectedId::Id("a".to_owned());
    assert!(wrong(&judge(&expected, None)).contains(&("data".to_owned(), "Foreign".to_owned())));
}

#[test]
fn a_claim_that_is_missing_is_missed() {
    let three = Three::established();
    let without_log = [three.seen()[DATA], three.seen()[TOP]];
    let set = judge_set(&without_log, None, VolumeInit::Once);
    assert_eq!(wrong(&set), names(&[("log", "Incomplete")]));
    assert!(set.has_main());
    assert_eq!(set.writes, []);

    // Without `data`, the top is where master.mdf would be.
    let mut top = Three::established();
    top.facts[TOP].master_present = Some(false);
    let everything = volume("top", &[Use::Master, Use::Data, Use::System]);
    let alone = [Seen {
        volume: &everything,
        facts: Some(&top.facts[TOP]),
    }];
    for remembered in [None, Some("a")] {
        let set = judge_set(&alone, remembered, VolumeInit::Once);
        assert_eq!(wrong(&set), names(&[("top", "Incomplete")]), "{set:?}");
        assert!(!set.has_main());
        assert_eq!(set.writes, []);
    }
}

#[test]
fn a_main_volume_that_agrees_is_established_before_all_were_seen() {
    let three = Three::established();
    let mut seen = three.seen();
    seen[TOP].facts = None;
    let set = judge_set(&seen, None, VolumeInit::Once);
    assert_eq!(set.id(), Some("a"));
}

#[test]
fn what_an_earlier_version_left_is_taken_into_the_set() {
    let mut three = Three::of_earlier_version();
    // It remembered the id of the top, which was the only one that it knew.
    let set = three.judge_with(Some("old"), VolumeInit::Once);
    assert_eq!(
        wrong(&set),
        names(&[
            ("data", "Unmarked"),
            ("log", "FirstUse"),
            ("top", "Unmarked")
        ])
    );
    three.settle();
    let set = three.judge();
    assert_eq!(wrong(&set), []);
    let IdentityFile::Known(top) = &three.facts[TOP].file else {
        panic!("{set:?}");
    };
    assert_eq!(top.volume_id, "old", "its id stays");
    let IdentityFile::Known(main) = &three.facts[DATA].file else {
        panic!("{set:?}");
    };
    assert_eq!(main.instance_id.as_deref(), Some("i-a"));
}

#[test]
fn an_earlier_versions_volume_of_another_instance_is_not_taken() {
    let mut three = Three::established();
    three.facts[LOG].file = IdentityFile::Known(Identity {
        volume_id: "x".to_owned(),
        instance_id: Some("i-x".to_owned()),
        ..Identity::default()
    });
    assert_eq!(wrong(&three.judge()), names(&[("log", "Foreign")]));
    // Nor one on which another instance has set itself up, though nothing says so in an identity.
    let mut three = Three::established();
    three.facts[TOP].instance_id = Some("i-x".to_owned());
    assert_eq!(wrong(&three.judge()), names(&[("top", "Foreign")]));
}

#[test]
fn an_earlier_versions_volume_is_not_taken_where_no_instance_is_known_unless_it_is_recorded() {
    let mut three = Three::established();
    three.facts[DATA].file = main_with(&[("top", "a-top")]);
    three.facts[TOP].instance_id = None;
    three.facts[LOG].file = IdentityFile::Known(Identity {
        volume_id: "a-log".to_owned(),
        instance_id: Some("i-x".to_owned()),
        ..Identity::default()
    });
    assert_eq!(wrong(&three.judge()), names(&[("log", "Foreign")]));
    three.facts[DATA].file = main_with(&[("log", "a-log"), ("top", "a-top")]);
    assert_eq!(wrong(&three.judge()), names(&[("log", "Unmarked")]));
}

#[test]
fn an_earlier_versions_volume_is_taken_by_its_instance_where_it_was_never_recorded() {
    for (instance, judgement) in [("I-A", "Unmarked"), ("i-x", "Foreign")] {
        let mut three = Three::established();
        if let IdentityFile::Known(main) = &mut three.facts[DATA].file {
            main.members.clear();
        }
        three.facts[LOG].file = IdentityFile::Known(Identity {
            volume_id: "x".to_owned(),
            instance_id: Some(instance.to_owned()),
            ..Identity::default()
        });
        assert_eq!(wrong(&three.judge()), names(&[("log", judgement)]));
    }
}

#[test]
fn an_instance_that_is_recorded_is_not_recorded_anew_for_its_letters() {
    let mut three = Three::established();
    three.facts[TOP].instance_id = Some("I-A".to_owned());
    let set = three.judge();
    assert_eq!(wrong(&set), []);
    assert_eq!(set.writes, []);
}

#[test]
fn two_claims_in_each_others_place_are_named_before_they_are_recorded() {
    let mut three = Three::established();
    three.facts[DATA].file = main_with(&[]);
    three.facts.swap(LOG, TOP);
    let set = three.judge();
    assert_eq!(
        wrong(&set),
        names(&[("log", "Foreign"), ("top", "Foreign")])
    );
    assert_eq!(set.writes, []);
}

#[test]
fn a_member_without_identity_is_judged_by_its_contents_and_by_what_may_be_written() {
    let judge = |empty, instance: Option<&str>, init| {
        let mut three = Three::established();
        three.facts[DATA].file = match main_of("a") {
            IdentityFile::Known(identity) => IdentityFile::Known(Identity {
                members: BTreeMap::new(),
                ..identity
            }),
            file => file,
        };
        three.facts[LOG] = facts(IdentityFile::Absent);
        three.facts[LOG].empty = Some(empty);
        three.facts[LOG].instance_id = instance.map(str::to_owned);
        wrong(&three.judge_with(None, init))
    };
    use VolumeInit::{Never, Once};
    // An id that stands for an instance is none that another one could differ from.
    let mut three = Three::established();
    three.facts[DATA].file = main_with(&[("top", "a-top")]);
    if let IdentityFile::Known(main) = &mut three.facts[DATA].file {
        main.instance_id = Some("a".to_owned());
    }
    three.facts[LOG] = facts(IdentityFile::Absent);
    three.facts[LOG].instance_id = Some("i-a".to_owned());
    assert_eq!(wrong(&three.judge()), names(&[("log", "FirstUse")]));
    for (empty, instance, init, judgement) in [
        (true, None, Never, "Empty"),
        (false, None, Never, "Foreign"),
        (true, None, Once, "FirstUse"),
        (false, Some("I-A"), Once, "FirstUse"),
        (false, Some("i-x"), Once, "Foreign"),
    ] {
        let case = format!("{empty} {instance:?} {init:?}");
        assert_eq!(
            judge(empty, instance, init),
            names(&[("log", judgement)]),
            "{case}"
        );
    }
}

#[test]
fn a_main_volume_with_an_engines_data_is_taken_with_its_instance_and_an_empty_one_without() {
    for (master, instance, why) in [
        (true, Some("i"), "an engine was set up here before"),
        (false, None, "first use"),
    ] {
        let mut three = Three::empty();
        three.facts[DATA].master_present = Some(master);
        three.facts[DATA].empty = Some(!master);
        three.facts[TOP].instance_id = Some("i".to_owned());
        let writes = three.judge().writes;
        assert_eq!(writes[0].identity.instance_id.as_deref(), instance);
        assert_eq!(writes[0].why, why);
    }
}

#[test]
fn a_new_main_volume_gets_the_id_that_is_asked_for() {
    let mut three = Three::empty();
    three.facts[DATA].expected = ExpectedId::Id("x".to_owned());
    let writes = three.judge().writes;
    assert_eq!(writes[0].volume, "data");
    assert_eq!(writes[0].identity.volume_id, "x");
}

#[test]
fn nothing_is_written_before_all_were_seen_or_while_one_is_refused() {
    let three = Three::empty();
    let mut seen = three.seen();
    seen[LOG].facts = None;
    assert_eq!(judge_set(&seen, None, VolumeInit::Once).writes, []);
    let mut three = Three::empty();
    three.facts[LOG].file = IdentityFile::Refused("torn".to_owned());
    let set = three.judge();
    assert_eq!(set.writes, []);
    assert!(wrong(&set).contains(&("log".to_owned(), "Refused".to_owned())));
    let set = Three::empty().judge_with(None, VolumeInit::Never);
    assert_eq!(wrong(&set)[0], ("data".to_owned(), "Empty".to_owned()));
    assert_eq!(set.writes, []);
}

#[test]
fn a_claim_for_data_alone_remembers_that_an_instance_was_there() {
    let data = volume("data", &[Use::Master, Use::Data]);
    let mut seen = facts(IdentityFile::Known(Identity {
        volume_id: "a".to_owned(),
        ..Identity::default()
    }));
    seen.master_present = Some(true);
    let judge = |facts: &IdentityFacts| {
        let seen = Seen {
            volume: &data,
            facts: Some(facts),
        };
        judge_set(&[seen], None, VolumeInit::Once)
    };
    let writes = judge(&seen).writes;
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].identity.instance_id.as_deref(), Some("a"));
    seen.file = IdentityFile::Known(writes[0].identity.clone());
    assert_eq!(judge(&seen).writes, []);
    // An engine would set up an empty one.
    seen.master_present = Some(false);
    assert_eq!(wrong(&judge(&seen)), names(&[("data", "Empty")]));
}

#[test]
fn the_id_that_stood_for_an_instance_gives_way_to_the_instances_own() {
    let mut three = Three::established();
    if let IdentityFile::Known(main) = &mut three.facts[DATA].file {
        main.instance_id = Some("a".to_owned());
    }
    let writes = three.judge().writes;
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].identity.instance_id.as_deref(), Some("i-a"));
    assert_eq!(writes[0].why, "the engine has set up its instance");
    three.facts[TOP].instance_id = None;
    assert_eq!(three.judge().writes, [], "it is not seen yet");
}

#[test]
fn adopting_writes_the_main_volume_and_then_each_of_the_others() {
    let mut three = Three::established();
    three.facts[DATA].file = main_of("b");
    three.facts[LOG].file = IdentityFile::Refused("torn".to_owned());
    let mut left: Vec<String> = ["data", "log", "top"].map(str::to_owned).into();
    let writes = adoption(&three.seen(), &left);
    assert_eq!(writes.len(), 1);
    assert!(writes[0].keep_aside);
    assert_eq!(writes[0].volume, "data");
    assert_eq!(writes[0].identity.volume_id, "b", "its id stays");
    assert_eq!(writes[0].identity.instance_id.as_deref(), Some("i-a"));
    three.write(writes);
    left.remove(0);
    let writes = adoption(&three.seen(), &left);
    let written: Vec<_> = writes.iter().map(|write| write.volume.as_str()).collect();
    assert_eq!(written, ["log", "top"]);
    assert_eq!(writes[0].identity.volume_id, "", "it can't be read");
    assert_eq!(writes[1].identity.volume_id, "a-top", "its id stays");
    for (write, name) in writes.iter().zip(["log", "top"]) {
        let mark = Membership {
            id: "b".to_owned(),
            main: "data".to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(write.identity.set, Some(mark));
    }
    three.write(writes);
    three.settle();
    let set = three.judge();
    assert_eq!(wrong(&set), []);
    assert_eq!(set.id(), Some("b"));
}
