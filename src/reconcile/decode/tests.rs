use std::collections::HashMap;

use super::*;
use crate::{
    api::{Spec, ledger::Accepted, resource::Content},
    reconcile::ports::{Object, ObjectKind},
};

/// Objects in memory, named by a count.
#[derive(Default)]
struct Memory {
    objects: HashMap<Oid, Object>,
}

impl Objects for Memory {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        match self.objects.get(&id) {
            Some(object) if object.data.len() > limit => Err(Error::new(Reason::FileTooLarge, "too large")),
            object => Ok(object.cloned()),
        }
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.objects.contains_key(&id))
    }
}

impl Memory {
    fn add(&mut self, kind: ObjectKind, data: Vec<u8>) -> Oid {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&(self.objects.len() as u64 + 1).to_be_bytes());
        self.objects.insert(Oid::new(id), Object { kind, data });
        Oid::new(id)
    }

    fn blob(&mut self, data: &str) -> Oid {
        self.add(ObjectKind::Blob, data.into())
    }

    /// A tree object with the entries as they are given.
    fn tree(&mut self, entries: &[(&str, &[u8], Oid)]) -> Oid {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend([mode.as_bytes(), b" ", name, b"\0", id.as_bytes()].concat());
        }
        self.add(ObjectKind::Tree, data)
    }

    /// The root of an exchange with one device, `pump-07`, and the given entries in its folder.
    fn device(&mut self, entries: &[(&str, &[u8], Oid)]) -> Oid {
        let device = self.tree(entries);
        let specs = self.tree(&[("40000", b"pump-07", device)]);
        self.tree(&[("40000", b"specs", specs)])
    }

    /// The root of an exchange whose device has the given manifests.
    fn manifests(&mut self, files: &[(&str, &str)]) -> Oid {
        let entries: Vec<(&str, Oid)> = files.iter().map(|(name, text)| (*name, self.blob(text))).collect();
        let entries: Vec<(&str, &[u8], Oid)> =
            entries.iter().map(|(name, id)| ("100644", name.as_bytes(), *id)).collect();
        self.device(&entries)
    }

    fn decode(&self, tree: Oid) -> Result<Desired> {
        let commit = Oid::new([1; 20]);
        let verified =
            Verified::by_ledger(&Accepted { commit, tree, time: 0, signer: "ops".into(), charter: None, reset: 0 });
        decode(&verified, self, &"pump-07".parse().unwrap())
    }

    /// What is wrong, as `path:line:column Reason field`.
    fn wrong(&self, tree: Oid) -> Vec<String> {
        match read(&GitTree::new(self, tree), &"pump-07".parse().unwrap()) {
            Err(Refused::Wrong(findings)) => findings.iter().map(short).collect(),
            other => panic!("{other:?}"),
        }
    }
}

fn short(finding: &Finding) -> String {
    let at = finding.at.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
    format!("{}{at} {} {}", finding.path, finding.reason, finding.field).trim_end().to_owned()
}

fn led(name: &str) -> String {
    document("Led", name, "", "{led: ACT, brightness: 1}")
}

fn after(name: &str, after: &str) -> String {
    let annotations = format!(", annotations: {{edge.giter.dev/after: \"{after}\"}}");
    document("Led", name, &annotations, "{led: ACT, brightness: 1}")
}

fn sourced(name: &str, source: &str) -> String {
    document("File", name, "", &format!("{{path: /etc/{name}, source: {source}}}"))
}

fn document(kind: &str, name: &str, annotations: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: edge.giter.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}{annotations}}}\nspec: {spec}\n"
    )
}

fn names(desired: &Desired) -> Vec<&str> {
    desired.resources.iter().map(|resource| resource.key.name.as_str()).collect()
}

#[test]
fn resources_come_in_the_order_of_files_and_documents() {
    let mut memory = Memory::default();
    let other = memory.blob("not yaml: [");
    let (b, a) = (memory.blob(&led("b")), memory.blob(&(led("z") + &led("a"))));
    let sub = memory.tree(&[("100644", b"x.yaml", other)]);
    let tree = memory.device(&[
        ("100644", b"README.md", other),
        ("100755", b"a.yml", a),
        ("100644", b"b.yaml", b),
        ("40000", b"sub.yaml", sub),
    ]);
    let desired = memory.decode(tree).unwrap();
    assert_eq!(names(&desired), ["z", "a", "b"]);
    assert_eq!((desired.revision, &desired.exchange, &desired.branch), (Oid::new([1; 20]), &None, &None));
    let origins: Vec<String> = desired.resources.iter().map(|resource| resource.origin.to_string()).collect();
    assert_eq!(origins, ["specs/pump-07/a.yml:2", "specs/pump-07/a.yml:7", "specs/pump-07/b.yaml:2"]);
    assert_eq!(desired.resources[2].digest, b);
}

#[test]
fn a_folder_without_manifests_asks_for_nothing() {
    let mut memory = Memory::default();
    let empty = memory.device(&[]);
    assert_eq!(memory.decode(empty).unwrap().resources, []);
    let kept = memory.manifests(&[(".gitkeep", "")]);
    assert_eq!(memory.decode(kept).unwrap().resources, []);
}

#[test]
fn the_charter_names_the_exchange() {
    let mut memory = Memory::default();
    let id = "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d";
    let charter = document("Exchange", "plant-7", "", &format!("{{id: {id}, branch: main}}"));
    let (charter, wrong) = (memory.blob(&charter), memory.blob(&led("a")));
    let device = memory.tree(&[]);
    let specs = memory.tree(&[("40000", b"pump-07", device)]);
    let tree = memory.tree(&[("100644", b"exchange.yaml", charter), ("40000", b"specs", specs)]);
    let desired = memory.decode(tree).unwrap();
    assert_eq!((desired.exchange, desired.branch.as_deref()), (Some(id.parse().unwrap()), Some("main")));
    let tree = memory.tree(&[("100644", b"exchange.yaml", wrong), ("40000", b"specs", specs)]);
    assert_eq!(memory.wrong(tree), ["exchange.yaml:3:7 UnknownKind kind"]);
    let tree = memory.tree(&[("120000", b"exchange.yaml", wrong), ("40000", b"specs", specs)]);
    assert_eq!(memory.wrong(tree), ["exchange.yaml BadTreeEntry"]);
}

#[test]
fn a_device_speaks_of_itself_once_and_by_its_name() {
    let mut memory = Memory::default();
    let device = |name: &str| document("Device", name, "", "{}");
    let tree = memory.manifests(&[("a.yaml", &led("a")), ("device.yaml", &device("pump-07"))]);
    assert_eq!(memory.decode(tree).unwrap().device.map(|device| device.name), Some("pump-07".parse().unwrap()));
    let tree = memory.manifests(&[("device.yaml", &device("pump-08"))]);
    assert_eq!(memory.wrong(tree), ["specs/pump-07/device.yaml:4:18 InvalidValue metadata.name"]);
    let tree = memory.manifests(&[("a.yaml", &device("pump-07")), ("b.yaml", &device("pump-07"))]);
    assert_eq!(memory.wrong(tree), ["specs/pump-07/b.yaml:4:18 DuplicateResource metadata.name"]);
}

#[test]
fn a_device_needs_its_folder() {
    let mut memory = Memory::default();
    let blob = memory.blob("");
    let empty = memory.tree(&[]);
    assert_eq!(memory.wrong(empty), ["specs DeviceNotFound"]);
    let tree = memory.tree(&[("40000", b"specs", empty)]);
    assert_eq!(memory.wrong(tree), ["specs/pump-07 DeviceNotFound"]);
    assert_eq!(memory.decode(tree).unwrap_err().reason(), Reason::DeviceNotFound);
    for mode in ["100644", "120000", "160000"] {
        let tree = memory.tree(&[(mode, b"specs", blob)]);
        assert_eq!(memory.wrong(tree), ["specs BadTreeEntry"]);
        let specs = memory.tree(&[(mode, b"pump-07", blob)]);
        let tree = memory.tree(&[("40000", b"specs", specs)]);
        assert_eq!(memory.wrong(tree), ["specs/pump-07 BadTreeEntry"]);
    }
}

#[test]
fn entries_that_specs_cannot_hold_are_refused() {
    let mut memory = Memory::default();
    let blob = memory.blob(&led("a"));
    let cases: &[(&str, &[u8], &str)] = &[
        ("120000", b"a.yaml", "specs/pump-07/a.yaml BadTreeEntry"),
        ("120000", b"readme", "specs/pump-07/readme BadTreeEntry"),
        ("160000", b"sub", "specs/pump-07/sub BadTreeEntry"),
        ("100644", b"a\n.yaml", "specs/pump-07/a\u{fffd}.yaml BadTreeEntry"),
        ("100644", b"a\xff.yaml", "specs/pump-07/a\u{fffd}.yaml BadTreeEntry"),
        ("100644", b"..", "specs/pump-07/.. BadTreeEntry"),
        ("100644", b".GIT", "specs/pump-07/.GIT BadTreeEntry"),
        ("100644", b"a/b.yaml", "specs/pump-07/a/b.yaml BadTreeEntry"),
        ("100644", b"", "specs/pump-07/ BadTreeEntry"),
    ];
    for (mode, name, expected) in cases {
        let tree = memory.device(&[(mode, name, blob)]);
        assert_eq!(memory.wrong(tree), [*expected]);
    }
}

#[test]
fn malformed_trees_are_refused() {
    let mut memory = Memory::default();
    let blob = memory.blob("");
    let cases: &[&[(&str, &[u8], Oid)]] = &[
        &[("100644", b"b", blob), ("100644", b"a", blob)],
        &[("100644", b"a", blob), ("100644", b"a", blob)],
        &[("100644", b"a", blob), ("100644", b"a.b", blob), ("40000", b"a", blob)],
        &[("bad", b"a", blob)],
    ];
    for entries in cases {
        let tree = memory.device(entries);
        assert_eq!(memory.wrong(tree), ["specs/pump-07 BadTreeEntry"], "{entries:?}");
        let root = memory.tree(entries);
        assert_eq!(memory.wrong(root), ["/ BadTreeEntry"], "{entries:?}");
    }
    let cut = memory.add(ObjectKind::Tree, b"100644 a\0short".to_vec());
    assert_eq!(memory.wrong(cut), ["/ BadTreeEntry"]);
    let tree = memory.device(&[("40000", b"sub", blob), ("100644", b"x.yaml", cut)]);
    assert_eq!(memory.wrong(tree), ["specs/pump-07/x.yaml BadTreeEntry"]);
}

#[test]
fn a_snapshot_that_leaves_out_objects_is_not_its_publishers_fault() {
    let mut memory = Memory::default();
    let tree = memory.device(&[("100644", b"a.yaml", Oid::new([9; 20]))]);
    assert_eq!(memory.decode(tree).unwrap_err().reason(), Reason::PackInvalid);
    assert_eq!(memory.decode(Oid::new([9; 20])).unwrap_err().reason(), Reason::PackInvalid);
}

#[test]
fn everything_is_bounded() {
    let mut memory = Memory::default();
    let big = " ".repeat(limits::MANIFEST_BYTES + 1);
    let tree = memory.manifests(&[("a.yaml", &big), ("b.yaml", "kind: [")]);
    assert_eq!(memory.wrong(tree), ["specs/pump-07/a.yaml FileTooLarge", "specs/pump-07/b.yaml:1:7 YamlSyntax"]);

    let names: Vec<String> = (0..=limits::MANIFESTS).map(|n| format!("{n:04}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let tree = memory.manifests(&files);
    assert_eq!(memory.wrong(tree), ["specs/pump-07 TooMany"]);

    let full = " ".repeat(limits::MANIFEST_BYTES);
    let files: Vec<(&str, &str)> = names
        .iter()
        .take(limits::MANIFESTS_BYTES / full.len() + 1)
        .map(|name| (name.as_str(), full.as_str()))
        .collect();
    let tree = memory.manifests(&files);
    assert_eq!(memory.wrong(tree), ["specs/pump-07 FileTooLarge"]);
    let tree = memory.manifests(&files[1..]);
    assert_eq!(memory.decode(tree).unwrap().resources, []);

    let half = |from: usize, to: usize| (from..to).map(|n| led(&format!("a{n}"))).collect::<String>();
    let (first, second) = (half(0, limits::RESOURCES / 2), half(limits::RESOURCES / 2, limits::RESOURCES));
    let tree = memory.manifests(&[("a.yaml", &first), ("b.yaml", &second)]);
    assert_eq!(memory.decode(tree).unwrap().resources.len(), limits::RESOURCES);
    let tree = memory.manifests(&[("a.yaml", &first), ("b.yaml", &second), ("c.yaml", &led("c"))]);
    assert_eq!(memory.wrong(tree), ["specs/pump-07 TooMany"]);
}

#[test]
fn duplicates_name_both_places() {
    let mut memory = Memory::default();
    let tree = memory.manifests(&[("a.yaml", &led("x")), ("b.yaml", &(led("y") + &led("x")))]);
    assert_eq!(memory.wrong(tree), ["specs/pump-07/b.yaml:9:18 DuplicateResource metadata.name"]);
    let error = memory.decode(tree).unwrap_err();
    assert_eq!(error.reason(), Reason::DuplicateResource);
    assert!(error.to_string().contains("Led/x is declared at specs/pump-07/a.yaml:4:18 already"), "{error}");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let mut memory = Memory::default();
    let wrong = document("Led", "x", "", "{led: ACT, brightness: on}");
    let two = led("x") + &wrong + &led("x") + &sourced("motd", "motd") + &after("z", "Led/nobody");
    let tree = memory.manifests(&[("a.yaml", "kind: ["), ("b.yaml", &two)]);
    let expected = [
        "specs/pump-07/a.yaml:1:7 YamlSyntax",
        "specs/pump-07/b.yaml:10:30 InvalidValue spec.brightness",
        "specs/pump-07/b.yaml:14:18 DuplicateResource metadata.name",
        "specs/pump-07/b.yaml:20:33 SourceNotFound spec.source",
    ];
    assert_eq!(memory.wrong(tree), expected);
}

#[test]
fn sources_are_read_from_beside_and_below_the_manifests() {
    let mut memory = Memory::default();
    let manifest = sourced("a", "motd") + &sourced("b", "files/motd") + &sourced("c", "files/motd");
    let (manifest, beside, below) = (memory.blob(&manifest), memory.blob("beside"), memory.blob("below"));
    let files = memory.tree(&[("100644", b"motd", below)]);
    let tree =
        memory.device(&[("100644", b"a.yaml", manifest), ("40000", b"files", files), ("100644", b"motd", beside)]);
    let desired = memory.decode(tree).unwrap();
    let content = |at: usize| match &desired.resources[at].spec {
        Spec::File(file) => match &file.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Source(source) => panic!("{source} was not read"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!((&*content(0), &*content(1)), (&b"beside"[..], &b"below"[..]));
    assert!(std::sync::Arc::ptr_eq(&content(1), &content(2)));
}

#[test]
fn wrong_sources_are_refused_where_they_are_named() {
    let mut memory = Memory::default();
    let big = memory.blob(&" ".repeat(limits::SOURCE_BYTES + 1));
    let names = ["big", "folder", "folder/link", "folder/none", "big/x", "none/x"];
    let manifest: String = names.iter().enumerate().map(|(n, name)| sourced(&format!("a{n}"), name)).collect();
    let manifest = memory.blob(&manifest);
    let folder = memory.tree(&[("120000", b"link", big)]);
    let tree = memory.device(&[("100644", b"a.yaml", manifest), ("100644", b"big", big), ("40000", b"folder", folder)]);
    let expected = [
        "specs/pump-07/a.yaml:5:31 FileTooLarge spec.source",
        "specs/pump-07/a.yaml:10:31 BadTreeEntry spec.source",
        "specs/pump-07/a.yaml:15:31 BadTreeEntry spec.source",
        "specs/pump-07/a.yaml:20:31 SourceNotFound spec.source",
        "specs/pump-07/a.yaml:25:31 SourceNotFound spec.source",
        "specs/pump-07/a.yaml:30:31 SourceNotFound spec.source",
    ];
    assert_eq!(memory.wrong(tree), expected);
}

#[test]
fn sources_are_bounded_together_and_counted_once() {
    let mut memory = Memory::default();
    let full = memory.blob(&" ".repeat(limits::SOURCE_BYTES));
    let fit = limits::SOURCES_BYTES / limits::SOURCE_BYTES;
    let (names, manifest) = (["a", "b", "c", "d", "e"], |count: usize| -> String {
        (0..2 * count).map(|n| sourced(&format!("x{n}"), ["a", "b", "c", "d", "e"][n % count])).collect()
    });
    let (fits, exceeds) = (memory.blob(&manifest(fit)), memory.blob(&manifest(fit + 1)));
    let mut entries: Vec<(&str, &[u8], Oid)> = names.iter().map(|name| ("100644", name.as_bytes(), full)).collect();
    entries.push(("100644", b"x.yaml", fits));
    let tree = memory.device(&entries);
    assert_eq!(memory.decode(tree).unwrap().resources.len(), 2 * fit);
    entries[names.len()].2 = exceeds;
    let tree = memory.device(&entries);
    assert_eq!(memory.wrong(tree)[0], "specs/pump-07/x.yaml:25:31 FileTooLarge spec.source");
}

#[test]
fn after_decides_the_order() {
    let mut memory = Memory::default();
    let yaml = after("a", "Led/c,Led/d") + &led("b") + &after("c", "Led/e") + &led("d") + &led("e");
    let tree = memory.manifests(&[("a.yaml", &yaml)]);
    assert_eq!(names(&memory.decode(tree).unwrap()), ["b", "d", "e", "c", "a"]);
}

#[test]
fn unknown_names_and_circles_are_refused() {
    let mut memory = Memory::default();
    let tree = memory.manifests(&[("a.yaml", &after("a", "Led/b, File/a"))]);
    assert_eq!(
        memory.wrong(tree),
        ["specs/pump-07/a.yaml:4:57 BadOrder metadata.annotations[edge.giter.dev/after]"; 2]
    );

    let yaml = after("a", "Led/b") + &after("b", "Led/c") + &after("c", "Led/b") + &led("d");
    let tree = memory.manifests(&[("a.yaml", &yaml)]);
    let error = memory.decode(tree).unwrap_err();
    assert_eq!(error.reason(), Reason::BadOrder);
    assert!(error.to_string().ends_with("the order is a circle: Led/b after Led/c after Led/b"), "{error}");
    assert!(error.to_string().starts_with("specs/pump-07/a.yaml:9:57: "), "{error}");

    let tree = memory.manifests(&[("a.yaml", &after("a", "Led/a"))]);
    let error = memory.decode(tree).unwrap_err();
    assert!(error.to_string().ends_with("the order is a circle: Led/a after Led/a"), "{error}");
}
