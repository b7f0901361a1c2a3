//! Which folders under `specs/` are devices.
//!
//! A folder with manifests directly in it is a device's, and a device's folder may hold others. The exception: where
//! the `source` of a `File` leads from a device's folder into one below it, that one holds content, whatever the names
//! of its files.

use std::collections::{BTreeMap, BTreeSet};

use giter_edge::{
    api::{Finding, Findings},
    codec::manifest::{self, Document},
};

/// A manifest as its publisher wrote it.
pub(crate) struct Manifest {
    /// Its path in the exchange.
    pub(crate) path: String,
    /// Its documents, or what keeps it from being read.
    pub(crate) documents: Result<Vec<Document>, Vec<Finding>>,
}

impl Manifest {
    /// Reads a manifest.
    pub(crate) fn read(path: String, bytes: &[u8]) -> Self {
        let list = |findings: Findings| findings.iter().cloned().collect();
        let documents = manifest::documents(&path, bytes).map_err(list);
        Self { path, documents }
    }

    /// What keeps it, or documents of it, from being read, a line each.
    pub(crate) fn problems(&self) -> Vec<String> {
        match &self.documents {
            Err(findings) => findings.iter().map(|finding| format!("{finding}; see giterctl lint")).collect(),
            Ok(documents) => {
                let unknown = documents.iter().filter(|document| document.key.is_none() && !document.is_device());
                let line = |document: &Document| document.root.mark().line;
                unknown
                    .map(|document| {
                        format!("{}:{}: not a known resource; see giterctl lint", self.path, line(document))
                    })
                    .collect()
            }
        }
    }

    /// The files that its documents take content from, as paths in the exchange.
    fn sources(&self) -> Vec<String> {
        let (folder, _) = split(&self.path);
        let source = |document: &Document| Some(document.root.get("spec")?.get("source")?.scalar()?.to_owned());
        let documents = self.documents.as_deref().unwrap_or_default();
        documents.iter().filter_map(source).map(|source| format!("{folder}/{source}")).collect()
    }
}

/// Whether a file can be a manifest, by its path in the exchange.
pub(crate) fn is_manifest(path: &str) -> bool {
    path.starts_with("specs/") && [".yaml", ".yml"].iter().any(|ending| path.ends_with(ending))
}

/// Whether a manifest is in no device's folder, by its path in the exchange.
pub(crate) fn is_stray(path: &str) -> bool {
    split(path).0 == "specs"
}

/// The manifests by the name of their device's folder, which need not be a name that a device can have.
pub(crate) fn by_device(manifests: Vec<Manifest>) -> BTreeMap<String, Vec<Manifest>> {
    let mut folders: BTreeMap<String, Vec<Manifest>> = BTreeMap::new();
    for manifest in manifests {
        let (folder, _) = split(&manifest.path);
        if let Some(device) = folder.strip_prefix("specs/") {
            folders.entry(device.to_owned()).or_default().push(manifest);
        }
    }
    // A folder stands before those below it, so a device is known before what it takes its content from.
    let mut content: BTreeSet<String> = BTreeSet::new();
    folders.retain(|device, manifests| {
        let is_device = !content.contains(&format!("specs/{device}"));
        if is_device {
            let sources = manifests.iter().flat_map(Manifest::sources);
            content.extend(
                sources.map(|path| split(&path).0.to_owned()).filter(|folder| *folder != format!("specs/{device}")),
            );
        }
        is_device
    });
    folders
}

/// A path's folder and its last part.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(files: &[(&str, &str)]) -> Vec<String> {
        let manifests = files.iter().map(|(path, text)| Manifest::read((*path).into(), text.as_bytes()));
        by_device(manifests.collect()).into_keys().collect()
    }

    #[test]
    fn folders_with_manifests_are_devices_at_any_depth() {
        let files = [("specs/a/x.yaml", "a: b"), ("specs/a/b/x.yml", ""), ("specs/site/c/x.yaml", ": bad: :")];
        assert_eq!(devices(&files), ["a", "a/b", "site/c"]);
        assert_eq!(devices(&[("specs/x.yaml", "")]), [""; 0]);
    }

    #[test]
    fn a_folder_that_content_is_taken_from_is_not_a_device() {
        let files = [("specs/a/x.yaml", "spec: {source: app/conf.yaml}"), ("specs/a/app/conf.yaml", "port: 80")];
        assert_eq!(devices(&files), ["a"]);
    }

    #[test]
    fn manifests_are_yaml_under_specs() {
        assert!(is_manifest("specs/a/x.yaml") && is_manifest("specs/a/x.yml"));
        assert!(!is_manifest("specs/a/x.txt") && !is_manifest("exchange.yaml"));
    }
}
