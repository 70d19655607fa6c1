//! `mssql.conf`, where a ConfigMap or a Secret of the same input holds it and the pod mounts it: in its
//! place, or in a folder from which a command or an init container copies it.

use super::node::Node;
use super::workload::{Workload, mentions};
use crate::config::mssql_conf::{MssqlConf, NAME as FILE};

/// The files `mssql.conf` that this pod may have.
#[derive(Clone, Debug, Default)]
pub struct Conf {
    files: Vec<MssqlConf>,
    /// The objects that may hold an `mssql.conf` and are not in the input in plain text, as
    /// `ConfigMap name`.
    pub elsewhere: Vec<String>,
    /// Whether one of the files is copied to the engine's directory, where the supervisor does not find it
    /// before the start.
    pub copied: bool,
}

impl Conf {
    /// Finds the files, by what the SQL container and the init containers mount.
    #[must_use]
    pub fn find(workload: &Workload<'_>, objects: &[&Node]) -> Self {
        let mut conf = Self::default();
        let sql = workload.sql();
        let all = workload.all_containers();
        let init = all.filter(|container| {
            !workload
                .containers
                .iter()
                .any(|one| std::ptr::eq(one, *container))
        });
        for container in std::iter::once(sql).chain(init) {
            for mount in container.items_of("volumeMounts") {
                conf.take(workload, container, mount, objects);
            }
        }
        conf
    }

    fn take(&mut self, workload: &Workload<'_>, container: &Node, mount: &Node, objects: &[&Node]) {
        let Some(volume) = workload.volume(mount.text_of("name").unwrap_or_default()) else {
            return;
        };
        let path = mount.text_of("mountPath").unwrap_or_default();
        let in_place = path.ends_with(&format!("/{FILE}"));
        // A single file of another name is not the engine's.
        if mount.get("subPath").is_some() && !in_place {
            return;
        }
        let wanted = mount.text_of("subPath").unwrap_or(FILE);
        let is_wanted = in_place || mentions(container, FILE);
        for (kind, source) in sources(volume) {
            let name = source
                .text_of("name")
                .or_else(|| source.text_of("secretName"));
            let name = name.unwrap_or_default();
            let Some(key) = key_of(source, wanted) else {
                continue;
            };
            let object = workload.named(objects, kind, name);
            let text = object.and_then(|object| {
                let plain = match kind {
                    "Secret" => "stringData",
                    _ => "data",
                };
                object.at(&[plain, key])?.text()
            });
            match text {
                Some(text) => {
                    self.files.push(MssqlConf::parse(text));
                    self.copied |= !in_place;
                }
                None if is_wanted => self.elsewhere.push(format!("{kind} {name}")),
                None => {}
            }
        }
    }

    /// Returns the value of a setting, from the first file that has it.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.files.iter().find_map(|file| file.get(section, key))
    }
}

/// Returns the ConfigMaps and Secrets that a volume is made from, with their kinds.
fn sources(volume: &Node) -> Vec<(&'static str, &Node)> {
    const KINDS: [(&str, &str); 2] = [("configMap", "ConfigMap"), ("secret", "Secret")];
    let projected = volume.at(&["projected", "sources"]).map(Node::items);
    let holders = std::iter::once(volume).chain(projected.unwrap_or_default());
    holders
        .flat_map(|holder| {
            KINDS
                .iter()
                .filter_map(|(key, kind)| Some((*kind, holder.get(key)?)))
        })
        .collect()
}

/// Returns the key of the file `path`: the one that `items` gives it, else the file's own name.
fn key_of<'n>(source: &'n Node, path: &'n str) -> Option<&'n str> {
    match source.get("items").filter(|items| !items.is_null()) {
        None => Some(path),
        Some(items) => {
            let mut items = items.items().iter();
            let item = items.find(|item| item.text_of("path") == Some(path))?;
            item.text_of("key")
        }
    }
}
