//! The reach of a volume: whether other nodes can write it, by its kind, its claim's access modes, its
//! storage class or the PersistentVolume that it is bound to, as far as the input shows.

use super::{EPHEMERAL, GIVEN, Volumes, kinds};
use crate::inject::node::Node;
use crate::inject::workload::Workload;

/// The kinds of volumes in a pod's own `volumes` that only one node at a time can attach.
const ONE_NODE: [&str; 5] = [
    "azureDisk",
    "awsElasticBlockStore",
    "gcePersistentDisk",
    "cinder",
    "vsphereVolume",
];
/// The kinds of a PersistentVolume that several nodes can reach whatever its access modes are.
const REACHED_BY_MANY: [&str; 7] = [
    "nfs",
    "hostPath",
    "iscsi",
    "fc",
    "cephfs",
    "glusterfs",
    "azureFile",
];
/// Parts of the names of shared file systems, as their storage classes, provisioners and drivers have them.
/// These file systems do not enforce ReadWriteOnce: any node can write them.
const SHARED_FILE_SYSTEMS: [&str; 9] = [
    "azurefile",
    "azure-file",
    "file.csi.azure.com",
    "efs",
    "nfs",
    "smb",
    "cifs",
    "cephfs",
    "filestore",
];

fn is_shared_file_system(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SHARED_FILE_SYSTEMS.iter().any(|part| name.contains(part))
}

fn is_many(claim: &Node) -> bool {
    let modes = claim.at(&["spec", "accessModes"]).map(Node::items);
    let mut modes = modes.unwrap_or_default().iter();
    modes.any(|mode| mode.text() == Some("ReadWriteMany"))
}

/// Returns the storage class of a claim or of a PersistentVolume; the annotation is the older way to set it.
fn class_of(object: &Node) -> &str {
    const ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
    let class = object.at(&["spec", "storageClassName"]);
    let class = class.or_else(|| object.at(&["metadata", "annotations", ANNOTATION]));
    class.and_then(Node::text).unwrap_or_default()
}

/// Returns a claim's storage class, where several nodes can reach its volumes.
fn shared_class<'a>(claim: &'a Node, objects: &[&'a Node]) -> Option<&'a str> {
    let class = Some(class_of(claim)).filter(|class| !class.is_empty())?;
    let defined = objects.iter().find(|object| {
        object.text_of("kind") == Some("StorageClass")
            && object.at(&["metadata", "name"]).and_then(Node::text) == Some(class)
    });
    let provisioner = defined.and_then(|defined| defined.text_of("provisioner"));
    is_shared_file_system(provisioner.unwrap_or(class)).then_some(class)
}

/// Returns the kind of the PersistentVolume of the input that a claim gets, where several nodes can reach it.
fn shared_volume<'a>(claim: &'a Node, objects: &[&'a Node]) -> Option<&'a str> {
    let name = |object: &'a Node| object.at(&["metadata", "name"]).and_then(Node::text);
    let bound = claim.at(&["spec", "volumeName"]).and_then(Node::text);
    let is_candidate = |object: &&&'a Node| {
        let reserved = object
            .at(&["spec", "claimRef", "name"])
            .and_then(Node::text);
        object.text_of("kind") == Some("PersistentVolume")
            && match (bound, reserved) {
                (Some(bound), _) => name(object) == Some(bound),
                (None, Some(reserved)) => name(claim) == Some(reserved),
                (None, None) => class_of(object) == class_of(claim),
            }
    };
    objects.iter().filter(is_candidate).find_map(|object| {
        let kind = REACHED_BY_MANY
            .iter()
            .find(|kind| object.at(&["spec", kind]).is_some());
        let driver = object.at(&["spec", "csi", "driver"]).and_then(Node::text);
        kind.copied()
            .or(driver.filter(|driver| is_shared_file_system(driver)))
    })
}

/// Returns the reason for which several nodes can reach the volumes of a claim, or of a claim template, if
/// they can.
fn of_claim(what: &str, claim: &Node, objects: &[&Node]) -> Option<String> {
    if is_many(claim) {
        return Some(format!("{what} is ReadWriteMany"));
    }
    if let Some(class) = shared_class(claim, objects) {
        return Some(format!(
            "{what} has the storage class {class}, a file system that any node can mount"
        ));
    }
    let kind = shared_volume(claim, objects)?;
    Some(format!(
        "{what} is of a PersistentVolume of the kind {kind}"
    ))
}

impl<'a> Volumes<'a> {
    /// Returns the reason for which several nodes can reach a volume, if they can, as far as the input shows.
    pub(super) fn reached_by_many(
        &mut self,
        workload: &Workload<'a>,
        objects: &[&'a Node],
        name: &str,
    ) -> Option<String> {
        if let Some(template) = workload.template(name) {
            return of_claim(&format!("the claim template {name}"), template, objects);
        }
        let volume = workload.volume(name)?;
        let claim = volume.at(&["persistentVolumeClaim", "claimName"]);
        let Some(claim) = claim.and_then(Node::text) else {
            let exclusive = [&ONE_NODE[..], &EPHEMERAL[..], &GIVEN[..]].concat();
            let other = kinds(volume).find(|kind| !exclusive.contains(kind))?;
            return Some(format!("the volume {name} is of the kind {other}"));
        };
        let Some(object) = workload.named(objects, "PersistentVolumeClaim", claim) else {
            if !self.unseen_claims.contains(&claim) {
                self.unseen_claims.push(claim);
            }
            return None;
        };
        of_claim(&format!("the claim {claim}"), object, objects)
    }
}
