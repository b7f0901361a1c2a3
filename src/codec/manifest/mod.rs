//! Manifests: YAML in which a publisher writes resources in Kubernetes' shape, one or several documents in a file.
//!
//! ```text
//! bytes -compose-> documents (nodes that know their line and column) -fields, one file per kind-> resources
//! ```
//!
//! * The size is bounded before anything is parsed, and what is parsed by weight and depth, aliases included.
//! * Whatever is wrong is a [`Finding`] with line, column, the field's path and a reason of its own. Reading goes on
//!   after it, in the document where that makes sense and in the next one else, so that all is said at once.
//! * Nothing is guessed: text that another reader of YAML would take for a number or a boolean must stand in quotes.
//!
//! It does not know the board or the other files of the exchange; [`reconcile::decode`](crate::reconcile::decode) and
//! the board do.

mod compose;
mod credentials;
mod device;
mod exchange;
mod fields;
mod file;
mod gpio_line;
mod led;
mod metadata;
mod node;
mod place;
mod reset;

use std::{rc::Rc, str::FromStr, sync::Arc};

use self::{
    compose::each_document,
    fields::Fields,
    metadata::Metadata,
    place::{Path, Sink, clipped},
};
pub use self::{metadata::AFTER, node::Node, place::Mark};
use crate::api::{
    API_VERSION, Device, Exchange, Finding, Findings, Kind, Name, Oid, Reason, Reset, Resource, ResourceKey, Spec,
    limits, resource::Origin,
};

/// The kind of the resource in which a device's folder speaks of the device itself.
const DEVICE: &str = "Device";

/// A resource, and where in its manifest the fields stand that refer to something outside of it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The resource.
    pub resource: Resource,
    /// Where its name stands.
    pub name_at: Mark,
    /// Where its `edge.giter.dev/after` stands.
    pub after_at: Option<Mark>,
    /// Where its `spec.source` stands.
    pub source_at: Option<Mark>,
}

/// What a device's manifest says of the device itself, and where.
#[derive(Clone, Debug)]
pub struct DeclaredDevice {
    /// What it says.
    pub device: Device,
    /// The manifest.
    pub path: Arc<str>,
    /// Where its name stands.
    pub name_at: Mark,
}

/// A manifest that was read.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// Its resources.
    pub resources: Vec<Declared>,
    /// Its documents of kind Device.
    pub devices: Vec<DeclaredDevice>,
}

/// Reads the manifest at `path`, whose blob is `blob`. What is wrong is added to the findings, and documents in which
/// something is wrong are left out.
pub fn parse(path: &str, blob: Oid, bytes: &[u8], findings: &mut Findings) -> Manifest {
    let file: Arc<str> = path.into();
    let mut manifest = Manifest::default();
    each(path, bytes, findings, |root, sink| {
        let root: &Node = root;
        let at = |path: &[&str]| path.iter().try_fold(root, |node, key| node.get(key)).map(Node::mark);
        let name_at = at(&["metadata", "name"]).unwrap_or(root.mark());
        if is_device(root) {
            if let Some(device) = device(root, sink)
                && sink.is_clean()
            {
                manifest.devices.push(DeclaredDevice { device, path: Arc::clone(&file), name_at });
            }
        } else if let Some((key, after, spec)) = resource(root, sink)
            && sink.is_clean()
        {
            let fields = of_the_device(root);
            let origin = Origin { path: Arc::clone(&file), line: root.mark().line, fields };
            manifest.resources.push(Declared {
                resource: Resource { key, origin, digest: blob, after, spec },
                name_at,
                after_at: at(&["metadata", "annotations", AFTER]),
                source_at: at(&["spec", "source"]),
            });
        }
    });
    manifest
}

fn is_device(root: &Node) -> bool {
    root.get("kind").and_then(Node::scalar) == Some(DEVICE)
}

/// Where the fields stand that name something of the device.
fn of_the_device(root: &Node) -> Box<[(&'static str, (u32, u32))]> {
    const FIELDS: [(&str, &str); 4] =
        [("path", "spec.path"), ("owner", "spec.owner"), ("line", "spec.line"), ("led", "spec.led")];
    let spec = root.get("spec");
    let place = |(name, field)| Some((field, spec?.get(name)?.mark()));
    FIELDS.into_iter().filter_map(place).map(|(field, mark)| (field, (mark.line, mark.column))).collect()
}

/// Reads the charter, which is one document of kind Exchange.
///
/// # Errors
///
/// All that is wrong with it.
pub fn parse_exchange(path: &str, bytes: &[u8]) -> Result<Exchange, Findings> {
    only(path, bytes, ["the charter", "Exchange"], exchange)
}

/// Reads a reset, which is one document of kind Reset.
///
/// # Errors
///
/// All that is wrong with it.
pub fn parse_reset(path: &str, bytes: &[u8]) -> Result<Reset, Findings> {
    only(path, bytes, ["a reset", "Reset"], reset)
}

/// Reads a file that is one document.
fn only<T>(
    path: &str,
    bytes: &[u8],
    [what, kind]: [&str; 2],
    read: fn(&Node, &Sink<'_>) -> Option<T>,
) -> Result<T, Findings> {
    let (mut findings, mut only, mut documents) = (Findings::default(), None, 0);
    each(path, bytes, &mut findings, |root, sink| {
        documents += 1;
        if documents == 1 {
            only = read(root, sink);
        } else {
            sink.say(Reason::InvalidValue, root.mark(), Path::Root, format!("{what} is one document; remove this one"));
        }
    });
    if documents == 0 && findings.is_empty() {
        findings.push(of_file(path, Reason::MissingField, &format!("the file has no document of kind {kind}")));
    }
    match only {
        Some(only) => findings.or(only),
        None => Err(findings),
    }
}

/// One document of a manifest, as its publisher wrote it.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document.
    pub root: Rc<Node>,
    /// Its kind and name, where they can be read and are a resource's.
    pub key: Option<ResourceKey>,
}

impl Document {
    /// Whether it speaks of the device itself.
    pub fn is_device(&self) -> bool {
        is_device(&self.root)
    }
}

/// The documents of a manifest, as their publisher wrote them, whether or not they are right.
///
/// # Errors
///
/// What keeps it from being read as YAML.
pub fn documents(path: &str, bytes: &[u8]) -> Result<Vec<Document>, Findings> {
    let (mut findings, mut documents) = (Findings::default(), Vec::new());
    let word = |node: &Node| node.scalar().map(str::to_owned);
    each(path, bytes, &mut findings, |root, _| {
        let kind = root.get("kind").and_then(word).and_then(|kind| kind.parse().ok());
        let name = root.get("metadata").and_then(|metadata| metadata.get("name")).and_then(word);
        let key = kind.zip(name.and_then(|name| name.parse().ok())).map(|(kind, name)| ResourceKey { kind, name });
        documents.push(Document { root: Rc::clone(root), key });
    });
    findings.or(documents)
}

/// Calls `visit` with every document that is not empty.
fn each(path: &str, bytes: &[u8], findings: &mut Findings, mut visit: impl FnMut(&Rc<Node>, &Sink<'_>)) {
    if bytes.len() > limits::MANIFEST_BYTES {
        let message = format!("the manifest has {} bytes, more than {}; split it", bytes.len(), limits::MANIFEST_BYTES);
        return findings.push(of_file(path, Reason::FileTooLarge, &message));
    }
    let sink = Sink::new(path);
    match std::str::from_utf8(bytes) {
        Ok(text) => each_document(text, &sink, |root| {
            if !root.is_null() {
                visit(&root, &sink);
            }
        }),
        Err(error) => {
            let message = "the file is not UTF-8 here; save it as UTF-8";
            sink.say(Reason::YamlSyntax, end_of(&bytes[..error.valid_up_to()]), Path::Root, message);
        }
    }
    findings.append(sink.into_findings());
}

fn resource(root: &Node, sink: &Sink<'_>) -> Option<(ResourceKey, Vec<ResourceKey>, Spec)> {
    let mut envelope = Envelope::read(root, sink)?;
    let kind = envelope.kind(|kind| match (Kind::from_str(kind), kind) {
        (Ok(kind), _) => Ok(kind),
        (Err(()), "Exchange") => Err("an Exchange stands in exchange.yaml at the root of the exchange".into()),
        (Err(()), "Reset") => Err("a Reset stands in reset.yaml at the root of the exchange".into()),
        (Err(()), _) => {
            let kinds: Vec<String> = Kind::ALL.iter().map(ToString::to_string).collect();
            Err(format!("unknown kind {}; there are {}, {DEVICE}", clipped(kind), kinds.join(", ")))
        }
    });
    let metadata = envelope.metadata();
    let spec = envelope.spec(kind.is_some()).zip(kind).and_then(|(mut fields, kind)| {
        let spec = match kind {
            Kind::File => file::read(&mut fields).map(Spec::File),
            Kind::GpioLine => gpio_line::read(&mut fields).map(Spec::GpioLine),
            Kind::Led => led::read(&mut fields).map(Spec::Led),
        };
        fields.finish();
        spec
    });
    envelope.fields.finish();
    let metadata = metadata?;
    Some((ResourceKey { kind: kind?, name: metadata.name? }, metadata.after, spec?))
}

fn device(root: &Node, sink: &Sink<'_>) -> Option<Device> {
    let mut envelope = Envelope::read(root, sink)?;
    let kind = envelope.kind(|_| Ok(()));
    let metadata = envelope.metadata();
    let spec = envelope.spec(kind.is_some()).map(|mut fields| {
        let spec = device::read(&mut fields, sink);
        fields.finish();
        spec
    });
    envelope.fields.finish();
    let (name, device::Spec { status_keys, ssh_keys, relays }) = (metadata?.name?, spec?);
    Some(Device { name, status_keys, ssh_keys, relays })
}

fn exchange(root: &Node, sink: &Sink<'_>) -> Option<Exchange> {
    let mut envelope = Envelope::read(root, sink)?;
    let kind = envelope.kind(|kind| match kind {
        "Exchange" => Ok(()),
        other => Err(format!("the charter's kind is Exchange, not {}", clipped(other))),
    });
    let metadata = envelope.metadata();
    let spec = envelope.spec(kind.is_some()).and_then(|mut fields| {
        let spec = exchange::read(&mut fields, sink);
        fields.finish();
        spec
    });
    envelope.fields.finish();
    let (name, spec): (Name, exchange::Spec) = (metadata?.name?, spec?);
    let exchange::Spec { id, serial, branch, verify, roots, publishers } = spec;
    Some(Exchange { name, id, serial, branch, verify, roots, publishers })
}

fn reset(root: &Node, sink: &Sink<'_>) -> Option<Reset> {
    let mut envelope = Envelope::read(root, sink)?;
    let kind = envelope.kind(|kind| match kind {
        "Reset" => Ok(()),
        other => Err(format!("a reset's kind is Reset, not {}", clipped(other))),
    });
    let metadata = envelope.metadata();
    let spec = envelope.spec(kind.is_some()).and_then(|mut fields| {
        let spec = reset::read(&mut fields, sink);
        fields.finish();
        spec
    });
    envelope.fields.finish();
    let (name, spec): (Name, reset::Spec) = (metadata?.name?, spec?);
    let reset::Spec { exchange, serial, devices, commit } = spec;
    Some(Reset { name, exchange, serial, devices, commit })
}

/// The fields that every kind has.
struct Envelope<'a> {
    fields: Fields<'a>,
    sink: &'a Sink<'a>,
}

impl<'a> Envelope<'a> {
    /// Begins to read a document. Of another `apiVersion` than ours nothing more is read.
    fn read(root: &'a Node, sink: &'a Sink<'a>) -> Option<Self> {
        let mut fields = Fields::of(root, Path::Root, sink)?;
        if let Some(version) = fields.required_node("apiVersion")
            && version.scalar() != Some(API_VERSION)
        {
            let message = format!("expected {API_VERSION}, not {}", version.meaning().describe());
            sink.say(Reason::UnknownVersion, version.mark(), Path::Root.field("apiVersion"), message);
            return None;
        }
        Some(Self { fields, sink })
    }

    fn kind<T>(&mut self, known: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let node = self.fields.required_node("kind")?;
        let kind = node.scalar().ok_or_else(|| format!("expected a kind, not {}", node.meaning().describe()));
        let say = |message| self.sink.say(Reason::UnknownKind, node.mark(), Path::Root.field("kind"), message);
        kind.and_then(known).map_err(say).ok()
    }

    fn metadata(&mut self) -> Option<Metadata> {
        metadata::read(self.fields.required_node("metadata")?, self.sink)
    }

    /// The spec, if the kind is known that says what is in it.
    fn spec(&mut self, kind_is_known: bool) -> Option<Fields<'a>> {
        let node = self.fields.required_node("spec")?;
        if kind_is_known { Fields::of(node, Path::Root.field("spec"), self.sink) } else { None }
    }
}

fn of_file(path: &str, reason: Reason, message: &str) -> Finding {
    Finding { reason, path: path.into(), at: None, field: String::new(), message: message.into() }
}

/// The position after some valid text.
fn end_of(text: &[u8]) -> Mark {
    let text = String::from_utf8_lossy(text);
    let last = text.rsplit('\n').next().unwrap_or_default();
    Mark { line: text.matches('\n').count() as u32 + 1, column: last.chars().count() as u32 + 1 }
}

#[cfg(test)]
mod tests;
