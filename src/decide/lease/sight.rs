//! The proof that one look at the highest claim gives: whose the claim is, and whether that holder is gone.
//!
//! **Whose it is.** A holder is known by what lives as long as its pod or its container, never by what a
//! restart of a container can lose. From one look three answers are possible, and only one of them is a
//! reason to end an engine:
//!
//! | relation | when | what follows |
//! | --- | --- | --- |
//! | own | the same id; or the claim names the engine that is seen here, by pid and start time | claimed on at once, the tenure goes on |
//! | another's | both are known by their pods' uids, which differ; or it was seen to be renewed from another boot, or from another pid namespace of this one; or it names another engine of this namespace | the gate stays shut, and an engine that runs here all the same is fenced |
//! | uncertain | anything else | it is watched: the gate stays shut, no engine is ended for the claim itself (under a strict lease it is, because nothing is held), and it is followed when it is stale |
//!
//! **Whether it is gone.** Two facts prove it without a wait, see `is_gone`. Everything else waits until
//! the claim is stale.

use super::{Claim, HolderIdentity, Record};
use crate::decide::observation::ProcessId;

/// The basis of a holder's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdentityBasis {
    /// The pod's uid.
    #[default]
    Pod,
    /// The pid namespace, which lives as long as the container, or as the pod that shares it.
    Namespace,
    /// The process alone, which runs in the machine's own pid namespace and shares it with everybody.
    Process,
}

/// A pid namespace of one boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PidNamespace {
    /// The inode of the namespace, which the kernel gives to another one later.
    pub inode: u64,
    /// The start time of the namespace's first process, clock ticks after boot: it distinguishes two
    /// namespaces with the same inode.
    pub start_ticks: u64,
}

/// The details that a holder writes of itself beside its claim, in its lock file. They mean something only
/// on the boot of the claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HolderDetails {
    /// The basis of the holder's id.
    pub basis: IdentityBasis,
    /// The pid namespace of the holder.
    pub namespace: PidNamespace,
    /// The engine that runs under the claim, in that namespace.
    pub engine: Option<ProcessId>,
    /// Whether a lock is held on the file for as long as the holder or its engine lives.
    pub locks: bool,
}

/// The state of a holder's lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LockState {
    /// The lock does not exist, or nothing can be concluded from it.
    #[default]
    Absent,
    /// A process of this machine holds the lock.
    Held,
    /// No process holds the lock.
    Free,
}

/// The machines that can write a file system at one time, by its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FileSystemReach {
    /// Several machines, or nobody knows.
    #[default]
    Shared,
    /// The processes of one kernel, with whose boot the file system ends: tmpfs. Locks count.
    Kernel,
    /// The processes of one machine: ext4, xfs and the like on a block device. Locks count, and the next
    /// boot or another machine mounts it only when the one before can write it no more.
    Machine,
}

/// The result of one look at the highest claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sight {
    /// The contents of the claim's file.
    pub record: Record,
    /// The details of the holder; absent where there are none of the run that wrote the claim.
    pub details: Option<HolderDetails>,
    /// The state of the holder's lock.
    pub lock: LockState,
    /// The machines that can write the file system.
    pub reach: FileSystemReach,
}

impl From<Record> for Sight {
    /// Creates the result of a look that found nothing but the record.
    fn from(record: Record) -> Self {
        Self {
            record,
            details: None,
            lock: LockState::Absent,
            reach: FileSystemReach::Shared,
        }
    }
}

/// The relation of a claim to the holder that looks, as far as it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The claim is this holder's: of another run of the same pod, or of the supervisor of the same engine.
    Own,
    /// The claim is another holder's.
    Other,
    /// The relation can't be proven.
    Uncertain,
}

/// The holder that looks at a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OwnHolder {
    /// The identity of this holder.
    pub identity: HolderIdentity,
    /// The ids under which earlier runs of the same pod may have claimed.
    pub earlier_ids: Vec<String>,
    /// The details of this holder.
    pub details: HolderDetails,
}

impl OwnHolder {
    /// Returns the relation of `claim` to this holder. `renewed`: it was seen to change between two looks.
    #[must_use]
    pub fn relation(
        &self,
        claim: &Claim,
        details: Option<&HolderDetails>,
        renewed: bool,
    ) -> Relation {
        let (me, holder) = (&self.identity, &claim.holder);
        if holder.id == me.id || self.earlier_ids.contains(&holder.id) {
            return Relation::Own;
        }
        let same_boot = me.boot_id == holder.boot_id && !me.boot_id.is_empty();
        let same_namespace =
            same_boot && details.is_some_and(|theirs| theirs.namespace == self.details.namespace);
        let theirs = details.and_then(|theirs| theirs.engine);
        if let (true, Some(theirs), Some(own)) = (same_namespace, theirs, self.details.engine) {
            return match theirs == own {
                true => Relation::Own,
                false => Relation::Other,
            };
        }
        // A claim without details is one of version 1, whose holder has the same environment as this one if
        // it is of the same pod.
        let by_pod = |details: &HolderDetails| details.basis == IdentityBasis::Pod;
        if by_pod(&self.details) && details.is_none_or(by_pod) {
            return Relation::Other;
        }
        let in_own_namespace = |details: &HolderDetails| details.basis == IdentityBasis::Namespace;
        let elsewhere = !same_boot
            || (!same_namespace
                && in_own_namespace(&self.details)
                && details.is_some_and(in_own_namespace));
        match renewed && elsewhere {
            true => Relation::Other,
            false => Relation::Uncertain,
        }
    }

    /// Whether the holder of `claim` is proven to be gone, with its engine, so that the claim is followed
    /// without a wait.
    ///
    /// - The holder's lock is free, on a file system of one kernel or machine: whoever could hold it has
    ///   ended. The lock is held by the agent, by PID 1 of its container and by the engine, so that it is
    ///   free only when none of them is left.
    /// - The holder was of another boot, on a file system of one machine, nobody here holds its lock, and
    ///   the lease is advisory: this machine could not have mounted the file system while the other one
    ///   could write it.
    #[must_use]
    pub fn is_gone(&self, claim: &Claim, sight: &Sight, strict: bool) -> bool {
        let counts = sight.reach != FileSystemReach::Shared;
        let locks = sight.details.as_ref().is_some_and(|details| details.locks);
        if counts && locks {
            match sight.lock {
                LockState::Free => return true,
                LockState::Held => return false,
                LockState::Absent => {}
            }
        }
        let (mine, theirs) = (&self.identity.boot_id, &claim.holder.boot_id);
        let other_boot = mine != theirs && !mine.is_empty() && !theirs.is_empty();
        other_boot && !strict && sight.reach == FileSystemReach::Machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: PidNamespace = PidNamespace {
        inode: 7,
        start_ticks: 70,
    };
    const OTHER_NAMESPACE: PidNamespace = PidNamespace {
        inode: 7,
        start_ticks: 71,
    };
    const ENGINE: ProcessId = ProcessId {
        pid: 9,
        start_ticks: 90,
    };

    fn details(basis: IdentityBasis, namespace: PidNamespace) -> HolderDetails {
        HolderDetails {
            basis,
            namespace,
            engine: None,
            locks: false,
        }
    }

    fn runs(mut details: HolderDetails, pid: i32) -> HolderDetails {
        details.engine = Some(ProcessId { pid, ..ENGINE });
        details
    }

    fn identity(id: &str, boot: &str) -> HolderIdentity {
        HolderIdentity {
            id: id.to_owned(),
            node: String::new(),
            boot_id: boot.to_owned(),
        }
    }

    fn observer(details: HolderDetails) -> OwnHolder {
        OwnHolder {
            identity: identity("me", "boot"),
            earlier_ids: vec!["before".to_owned()],
            details,
        }
    }

    fn claim(id: &str, boot: &str) -> Claim {
        Claim {
            epoch: 4,
            first: 4,
            holder: identity(id, boot),
            heartbeat: 1,
            nonce: 1,
            released: false,
        }
    }

    /// Returns the relation of the claim of `id` on `boot` to `mine`, before and after a renewal was seen.
    fn relations(
        mine: &HolderDetails,
        (id, boot): (&str, &str),
        theirs: Option<&HolderDetails>,
    ) -> [Relation; 2] {
        let claim = claim(id, boot);
        [false, true].map(|renewed| observer(mine.clone()).relation(&claim, theirs, renewed))
    }

    #[test]
    fn a_pod_is_known_by_its_uid() {
        use IdentityBasis::{Namespace, Pod};
        use Relation::{Other, Own, Uncertain};
        let mine = details(Pod, NAMESPACE);
        let relations = |whose, theirs| relations(&mine, whose, theirs);
        assert_eq!(relations(("me", "boot"), None), [Own; 2]);
        assert_eq!(
            relations(("me", "other"), None),
            [Own; 2],
            "before a reboot"
        );
        let pod = details(Pod, OTHER_NAMESPACE);
        assert_eq!(relations(("you", "boot"), Some(&pod)), [Other; 2]);
        assert_eq!(relations(("you", "boot"), None), [Other; 2], "version 1");
        let container = details(Namespace, OTHER_NAMESPACE);
        assert_eq!(relations(("you", "boot"), Some(&container)), [Uncertain; 2]);
    }

    #[test]
    fn a_container_is_known_by_its_namespace_and_one_elsewhere_by_its_renewals() {
        use IdentityBasis::Namespace;
        use Relation::{Other, Own, Uncertain};
        let mine = details(Namespace, NAMESPACE);
        let relations = |whose, theirs| relations(&mine, whose, theirs);
        assert_eq!(relations(("before", "boot"), None), [Own; 2]);
        assert_eq!(
            relations(("you", "boot"), None),
            [Uncertain; 2],
            "version 1"
        );
        assert_eq!(relations(("you", "other"), None), [Uncertain, Other]);
        let theirs = details(Namespace, OTHER_NAMESPACE);
        let found = relations(("you", "boot"), Some(&theirs));
        assert_eq!(found, [Uncertain, Other]);
    }

    #[test]
    fn the_engine_under_a_claim_tells_whose_it_is() {
        use IdentityBasis::{Namespace, Process};
        use Relation::{Other, Own, Uncertain};
        let here = |pid| runs(details(Process, NAMESPACE), pid);
        let mine = here(9);
        let of_process =
            |boot: &str, theirs: HolderDetails| relations(&mine, ("you", boot), Some(&theirs));
        assert_eq!(of_process("boot", here(9)), [Own; 2]);
        assert_eq!(of_process("boot", here(8)), [Other; 2]);
        let quiet = details(Process, NAMESPACE);
        assert_eq!(of_process("boot", quiet), [Uncertain; 2], "no engine");
        assert_eq!(
            of_process("other", here(9)),
            [Uncertain, Other],
            "another boot's pid"
        );
        let mine = runs(details(Namespace, NAMESPACE), 9);
        let theirs = runs(details(Namespace, OTHER_NAMESPACE), 9);
        let found = relations(&mine, ("you", "boot"), Some(&theirs));
        assert_eq!(found, [Uncertain, Other], "another namespace's pid");
    }

    #[test]
    fn who_is_gone() {
        use FileSystemReach::{Kernel, Machine, Shared};
        use LockState::{Absent, Free, Held};
        let me = observer(HolderDetails::default());
        for (boot, reach, locks, lock, advisory, strict) in [
            ("boot", Machine, true, Free, true, true),
            ("boot", Kernel, true, Free, true, true),
            ("boot", Shared, true, Free, false, false),
            ("boot", Machine, true, Held, false, false),
            // A supervisor beside the engine does not lock: it may end while the engine runs.
            ("boot", Machine, false, Free, false, false),
            ("boot", Machine, false, Absent, false, false),
            ("other", Machine, false, Absent, true, false),
            ("other", Machine, true, Free, true, true),
            // Containers that are given a boot id of their own.
            ("other", Machine, true, Held, false, false),
            ("other", Kernel, false, Absent, false, false),
            ("other", Shared, false, Absent, false, false),
            ("", Machine, false, Absent, false, false),
        ] {
            let claim = claim("you", boot);
            let sight = Sight {
                record: Record::Claim(claim.clone()),
                details: Some(HolderDetails {
                    locks,
                    ..HolderDetails::default()
                }),
                lock,
                reach,
            };
            let gone = |strict| me.is_gone(&claim, &sight, strict);
            let row = format!("{boot} {reach:?} {locks} {lock:?}");
            assert_eq!((gone(false), gone(true)), (advisory, strict), "{row}");
        }
    }
}
