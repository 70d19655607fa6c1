//! `mssql.conf`, where a ConfigMap of the same file holds it and the SQL container has it.

use super::node::Node;
use super::workload::Workload;

/// The engine's file of settings, in its own directory.
pub const FILE: &str = "mssql.conf";

/// The texts of `mssql.conf` that this pod may have.
#[derive(Clone, Debug, Default)]
pub struct Conf<'a> {
    texts: Vec<&'a str>,
    /// The ConfigMaps that may hold one and are not in the file.
    pub elsewhere: Vec<&'a str>,
}

impl<'a> Conf<'a> {
    /// Finds them, by the ConfigMaps of the pod's volumes that the SQL container mounts.
    #[must_use]
    pub fn find(workload: &Workload<'a>, objects: &[&'a Node]) -> Self {
        let mut conf = Self::default();
        for mount in workload.mounts() {
            let name = mount.text_of("name").unwrap_or_default();
            let Some(map) = workload
                .volume(name)
                .and_then(|volume| volume.at(&["configMap", "name"]))
                .and_then(Node::text)
            else {
                continue;
            };
            let object = objects.iter().find(|object| {
                object.text_of("kind") == Some("ConfigMap")
                    && object.at(&["metadata", "name"]).and_then(Node::text) == Some(map)
            });
            let path = mount.text_of("mountPath").unwrap_or_default();
            match object.and_then(|object| object.at(&["data", FILE])) {
                Some(text) => conf.texts.extend(text.text()),
                None if object.is_none() && path.ends_with(FILE) => conf.elsewhere.push(map),
                None => {}
            }
        }
        conf
    }

    /// A setting's value, by its section and name; both are compared without case.
    #[must_use]
    pub fn get(&self, section: &str, name: &str) -> Option<&'a str> {
        self.texts.iter().find_map(|text| {
            let mut within = false;
            text.lines().map(str::trim).find_map(|line| {
                if let Some(head) = line.strip_prefix('[') {
                    within = head
                        .trim_end_matches(']')
                        .trim()
                        .eq_ignore_ascii_case(section);
                    return None;
                }
                let (key, value) = line.split_once('=')?;
                let is = within && key.trim().eq_ignore_ascii_case(name);
                is.then(|| value.trim()).filter(|value| !value.is_empty())
            })
        })
    }
}
