//! Content that stands in files of its own (`source`), read through the device's folder.

use std::{collections::BTreeMap, sync::Arc};

use super::{Entry, EntryKind, Refused, Source, about, join, keep};
use crate::{
    api::{Findings, Reason, Result, Spec, limits, resource::Content},
    codec::manifest::Declared,
};

/// The files beside and below the manifests. Each is read once, however many resources name it.
pub(super) struct Sources<'a> {
    source: &'a dyn Source,
    folder: String,
    /// The folders that were listed, by path.
    folders: BTreeMap<String, Vec<Entry>>,
    files: BTreeMap<String, Arc<[u8]>>,
    /// How many bytes the device may still take.
    left: usize,
}

impl<'a> Sources<'a> {
    pub(super) fn new(source: &'a dyn Source, folder: String, entries: Vec<Entry>) -> Self {
        let folders = BTreeMap::from([(folder.clone(), entries)]);
        Self { source, folder, folders, files: BTreeMap::new(), left: limits::SOURCES_BYTES }
    }

    /// Replaces each `source` by the bytes that it names.
    pub(super) fn resolve(&mut self, declared: &mut [Declared], findings: &mut Findings) -> Result<(), Refused> {
        for declared in declared {
            let Spec::File(file) = &declared.resource.spec else { continue };
            let Content::Source(name) = &file.content else { continue };
            let Some(bytes) = keep(self.bytes(name, declared), findings)? else { continue };
            if let Spec::File(file) = &mut declared.resource.spec {
                file.content = Content::Bytes(bytes);
            }
        }
        Ok(())
    }

    fn bytes(&mut self, name: &str, by: &Declared) -> Result<Arc<[u8]>, Refused> {
        let path = join(&self.folder, name);
        if let Some(bytes) = self.files.get(&path) {
            return Ok(Arc::clone(bytes));
        }
        let at = by.source_at.unwrap_or(by.name_at);
        let wrong = |reason, message| Refused::from(about(by, at, reason, "spec.source", message));
        let entry = match self.find(name)? {
            Some(entry) if entry.kind == EntryKind::File => entry,
            Some(entry) => {
                let message = format!("{path} is {}; name a file", entry.kind.describe());
                return Err(wrong(Reason::BadTreeEntry, message));
            }
            None => return Err(wrong(Reason::SourceNotFound, format!("the exchange has no file {path}"))),
        };
        let bytes = self.source.read(&path, &entry, limits::SOURCE_BYTES)?;
        let bytes = bytes.ok_or_else(|| {
            wrong(Reason::FileTooLarge, format!("{path} has more than {} bytes", limits::SOURCE_BYTES))
        })?;
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| {
            let message = format!("the device's sources together have more than {} bytes", limits::SOURCES_BYTES);
            wrong(Reason::FileTooLarge, message)
        })?;
        let bytes: Arc<[u8]> = bytes.into();
        self.files.insert(path, Arc::clone(&bytes));
        Ok(bytes)
    }

    /// The entry of that name, where every step on the way is a folder.
    fn find(&mut self, name: &str) -> Result<Option<Entry>, Refused> {
        let (mut path, mut steps) = (self.folder.clone(), name.split('/').peekable());
        while let Some(step) = steps.next() {
            let entry = self.folders.get(&path).and_then(|entries| entries.iter().find(|entry| entry.name == step));
            let Some(entry) = entry.cloned() else { return Ok(None) };
            if steps.peek().is_none() {
                return Ok(Some(entry));
            }
            if entry.kind != EntryKind::Folder {
                return Ok(None);
            }
            path = join(&path, step);
            if !self.folders.contains_key(&path) {
                let entries = self.source.list(&path, &entry)?;
                self.folders.insert(path.clone(), entries);
            }
        }
        Ok(None)
    }
}
