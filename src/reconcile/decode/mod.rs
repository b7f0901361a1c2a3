//! From verified to desired: what the exchange asks of this device.
//!
//! ```text
//! Source -> manifests -codec-> declared -duplicates, sources, order-> resources
//! ```
//!
//! A snapshot is taken whole or not at all, and all that is wrong with it is said at once. The same walk runs over a
//! commit's tree on the device ([`decode`]) and over a working tree for `giterctl lint` ([`read`]). It reads the
//! charter and the device's own folder, never another device's, and it does not know the board.

mod order;
mod sources;
mod tree;

use std::collections::BTreeMap;

pub use self::tree::GitTree;
use self::{order::order, sources::Sources};
use super::{ports::Objects, verify::Verified};
use crate::{
    api::{
        Device, DeviceId, Error, Exchange, ExchangeId, Finding, Findings, Oid, Reason, Resource, ResourceKey, Result,
        limits,
    },
    codec::manifest::{self, Declared, DeclaredDevice, Manifest, Mark},
};

/// Everything that a snapshot asks of this device.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The commit it stands in.
    pub revision: Oid,
    /// The exchange's id, where `exchange.yaml` gives one.
    pub exchange: Option<ExchangeId>,
    /// The short name of the branch that `exchange.yaml` says counts.
    pub branch: Option<Box<str>>,
    /// What the folder says of the device itself, if it does.
    pub device: Option<Device>,
    /// The resources, each after those that its `after` names, otherwise in the order of the files' names.
    pub resources: Vec<Resource>,
}

/// Decodes what a verified tip asks of the device.
///
/// # Errors
///
/// The first finding's reason if the snapshot is wrong; `PackInvalid` if it leaves out objects, and what
/// [`Objects::read`] fails with.
pub fn decode(verified: &Verified, objects: &dyn Objects, device: &DeviceId) -> Result<Desired> {
    let snapshot = read(&GitTree::new(objects, verified.tree()), device)?;
    let (exchange, branch) = snapshot.exchange.map(|exchange| (exchange.id, exchange.branch)).unzip();
    let Snapshot { device, resources, .. } = snapshot;
    Ok(Desired { revision: verified.commit(), exchange, branch, device, resources })
}

/// The files of an exchange. Paths begin at its root and are for messages and for sources that read by path.
pub trait Source {
    /// The root folder.
    fn root(&self) -> Entry;

    /// The entries of a folder, in any order.
    ///
    /// # Errors
    ///
    /// [`Refused::Wrong`] if the folder is malformed, [`Refused::Unread`] if it cannot be read.
    fn list(&self, path: &str, folder: &Entry) -> Result<Vec<Entry>, Refused>;

    /// The bytes of a file; `None` if there are more than `limit`.
    ///
    /// # Errors
    ///
    /// [`Refused::Unread`] if it cannot be read.
    fn read(&self, path: &str, file: &Entry, limit: usize) -> Result<Option<Vec<u8>>, Refused>;
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name. What is not UTF-8 in it shows as U+FFFD.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// The name of its git object.
    pub id: Oid,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file, executable or not.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A submodule.
    Submodule,
}

impl EntryKind {
    fn describe(self) -> &'static str {
        match self {
            EntryKind::File => "a file",
            EntryKind::Folder => "a folder",
            EntryKind::Link => "a symbolic link",
            EntryKind::Submodule => "a submodule",
        }
    }
}

/// Why a snapshot is not taken.
#[derive(Debug)]
pub enum Refused {
    /// The exchange is wrong.
    Wrong(Findings),
    /// It cannot be read, which is not its fault.
    Unread(Error),
}

impl Refused {
    fn wrong(reason: Reason, path: &str, message: impl Into<String>) -> Self {
        finding(reason, path, message.into()).into()
    }
}

impl From<Finding> for Refused {
    fn from(finding: Finding) -> Self {
        Refused::Wrong(finding.into())
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wrong(findings) => findings.into(),
            Refused::Unread(error) => error,
        }
    }
}

/// A snapshot, read and found right.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The charter, if there is one.
    pub exchange: Option<Exchange>,
    /// What the folder says of the device itself, if it does.
    pub device: Option<Device>,
    /// The device's resources, in the order in which they are applied.
    pub resources: Vec<Resource>,
}

/// Reads what the exchange asks of the device.
///
/// # Errors
///
/// All that is wrong with it, or why it cannot be read.
pub fn read(source: &dyn Source, device: &DeviceId) -> Result<Snapshot, Refused> {
    let mut findings = Findings::default();
    let root = source.list("", &source.root())?;
    let exchange = keep(charter(source, &root), &mut findings)?.flatten();
    let (mut declared, mut itself) = (Vec::new(), None);
    if let Some((folder, entries)) = keep(device_folder(source, root, device), &mut findings)? {
        let read = manifests(source, &folder, &entries, &mut findings);
        let read = keep(read, &mut findings)?.unwrap_or_default();
        itself = the_device(read.devices, device, &mut findings);
        declared = read.resources;
        let is_complete = findings.is_empty();
        check_duplicates(&declared, &mut findings);
        Sources::new(source, folder, entries).resolve(&mut declared, &mut findings)?;
        declared = order(declared, is_complete, &mut findings);
    }
    let resources = declared.into_iter().map(|declared| declared.resource).collect();
    findings.or(Snapshot { exchange, device: itself, resources }).map_err(Refused::Wrong)
}

/// Reads what the exchange says of a device itself, whatever is wrong with the device's resources.
///
/// # Errors
///
/// The device has no folder, or more than one Device; or why it cannot be read.
pub fn itself(source: &dyn Source, device: &DeviceId) -> Result<Option<Device>, Refused> {
    let root = source.list("", &source.root())?;
    let (folder, entries) = device_folder(source, root, device)?;
    let read = manifests(source, &folder, &entries, &mut Findings::default())?;
    let mut findings = Findings::default();
    let itself = the_device(read.devices, device, &mut findings);
    findings.or(itself).map_err(Refused::Wrong)
}

/// Reads the charter's words, whoever signed them.
///
/// # Errors
///
/// All that is wrong with it, or why it cannot be read.
pub fn exchange(source: &dyn Source) -> Result<Option<Exchange>, Refused> {
    charter(source, &source.list("", &source.root())?)
}

/// Keeps what is wrong, so that the reading can go on.
fn keep<T>(result: Result<T, Refused>, findings: &mut Findings) -> Result<Option<T>, Refused> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Refused::Wrong(wrong)) => {
            findings.append(wrong);
            Ok(None)
        }
        Err(unread) => Err(unread),
    }
}

fn charter(source: &dyn Source, root: &[Entry]) -> Result<Option<Exchange>, Refused> {
    const PATH: &str = "exchange.yaml";
    let Some(entry) = root.iter().find(|entry| entry.name == PATH) else { return Ok(None) };
    let bytes = file(source, PATH, entry, limits::MANIFEST_BYTES)?;
    manifest::parse_exchange(PATH, &bytes).map(Some).map_err(Refused::Wrong)
}

/// The path and the entries of `specs/<device>`, if every step on the way is a folder.
fn device_folder(source: &dyn Source, root: Vec<Entry>, device: &DeviceId) -> Result<(String, Vec<Entry>), Refused> {
    let (mut path, mut entries) = (String::new(), root);
    for name in std::iter::once("specs").chain(device.as_str().split('/')) {
        path = join(&path, name);
        let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
            let message = format!(
                "the exchange has no such folder; add specs/{device} with the device's manifests, or correct 'device' \
                 in the device's configuration"
            );
            return Err(Refused::wrong(Reason::DeviceNotFound, &path, message));
        };
        if entry.kind != EntryKind::Folder {
            let message = format!("expected a folder, not {}", entry.kind.describe());
            return Err(Refused::wrong(Reason::BadTreeEntry, &path, message));
        }
        entries = source.list(&path, entry)?;
    }
    Ok((path, entries))
}

/// What the manifests declare that stand directly in the folder.
fn manifests(
    source: &dyn Source,
    folder: &str,
    entries: &[Entry],
    findings: &mut Findings,
) -> Result<Manifest, Refused> {
    let (mut declared, mut left) = (Manifest::default(), limits::MANIFESTS_BYTES);
    let mut manifests = Vec::new();
    for entry in entries {
        if let Some(wrong) = wrong_entry(entry) {
            let mut shown = entry.name.replace(char::is_control, "\u{fffd}");
            shown.truncate(shown.floor_char_boundary(limits::NAME_BYTES));
            findings.push(finding(Reason::BadTreeEntry, &join(folder, &shown), wrong));
        } else if entry.kind == EntryKind::File && (entry.name.ends_with(".yaml") || entry.name.ends_with(".yml")) {
            manifests.push(entry);
        }
    }
    if manifests.len() > limits::MANIFESTS {
        let message = format!("the folder has more than {} manifests; join some", limits::MANIFESTS);
        return Err(Refused::wrong(Reason::TooMany, folder, message));
    }
    manifests.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in manifests {
        let path = join(folder, &entry.name);
        let Some(bytes) = keep(file(source, &path, entry, limits::MANIFEST_BYTES), findings)? else { continue };
        left = left.checked_sub(bytes.len()).ok_or_else(|| {
            let message = format!("the manifests together have more than {} bytes", limits::MANIFESTS_BYTES);
            Refused::wrong(Reason::FileTooLarge, folder, message)
        })?;
        let Manifest { resources, devices } = manifest::parse(&path, entry.id, &bytes, findings);
        declared.resources.extend(resources);
        declared.devices.extend(devices);
        if declared.resources.len() > limits::RESOURCES {
            let message = format!("the device has more than {} resources", limits::RESOURCES);
            return Err(Refused::wrong(Reason::TooMany, folder, message));
        }
    }
    Ok(declared)
}

/// What the folder says of the device: at most once, and by its name.
fn the_device(declared: Vec<DeclaredDevice>, device: &DeviceId, findings: &mut Findings) -> Option<Device> {
    let name = device.as_str().rsplit('/').next().unwrap_or_default();
    let mut first: Option<DeclaredDevice> = None;
    for declared in declared {
        let refused = match &first {
            Some(DeclaredDevice { path, name_at: Mark { line, column }, .. }) => {
                Some((Reason::DuplicateResource, format!("a Device is declared at {path}:{line}:{column} already")))
            }
            None if declared.device.name.as_str() != name => {
                Some((Reason::InvalidValue, format!("the Device in the folder of {device} is called {name}")))
            }
            None => None,
        };
        match refused {
            Some((reason, message)) => {
                let (path, at) = (declared.path.to_string(), Some((declared.name_at.line, declared.name_at.column)));
                findings.push(Finding { reason, path, at, field: "metadata.name".into(), message });
            }
            None => first = Some(declared),
        }
    }
    first.map(|declared| declared.device)
}

fn check_duplicates(declared: &[Declared], findings: &mut Findings) {
    let mut seen: BTreeMap<&ResourceKey, &Declared> = BTreeMap::new();
    for declared in declared {
        let key = &declared.resource.key;
        if let Some(first) = seen.get(key) {
            let (path, at) = (&first.resource.origin.path, first.name_at);
            let message = format!("{key} is declared at {path}:{}:{} already", at.line, at.column);
            findings.push(about(declared, declared.name_at, Reason::DuplicateResource, "metadata.name", message));
        } else {
            seen.insert(key, declared);
        }
    }
}

/// The bytes of an entry that has to be a file.
fn file(source: &dyn Source, path: &str, entry: &Entry, limit: usize) -> Result<Vec<u8>, Refused> {
    if entry.kind != EntryKind::File {
        let message = format!("expected a file, not {}", entry.kind.describe());
        return Err(Refused::wrong(Reason::BadTreeEntry, path, message));
    }
    let too_large = || Refused::wrong(Reason::FileTooLarge, path, format!("the file has more than {limit} bytes"));
    source.read(path, entry, limit)?.ok_or_else(too_large)
}

/// Why an entry cannot stand in a device's folder.
fn wrong_entry(entry: &Entry) -> Option<String> {
    use gix::validate::path::component;
    let unix = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    if matches!(entry.kind, EntryKind::Link | EntryKind::Submodule) {
        Some(format!("specs cannot hold {}; put the file itself here", entry.kind.describe()))
    } else if entry.name.contains(is_odd)
        || gix::validate::path::component(entry.name.as_str().into(), None, unix).is_err()
    {
        Some("a name is UTF-8 without control characters, and not '.', '..' or a form of '.git'; rename it".into())
    } else if entry.name.len() > limits::NAME_BYTES {
        Some(format!("a name has at most {} bytes; rename it", limits::NAME_BYTES))
    } else {
        None
    }
}

fn finding(reason: Reason, path: &str, message: String) -> Finding {
    Finding { reason, path: path.into(), at: None, field: String::new(), message }
}

/// A finding about a field of a resource.
fn about(declared: &Declared, at: Mark, reason: Reason, field: &str, message: String) -> Finding {
    let path = declared.resource.origin.path.to_string();
    Finding { reason, path, at: Some((at.line, at.column)), field: field.into(), message }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.into() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests;
