//! The objects that a recipe asks for, beside the sound exchange that every case begins with.
//!
//! ```text
//! base                      the commit that the device has accepted
//! good                      the tree of `base`:
//!   exchange.yaml           `charter`
//!   specs/pump-07/all.yaml  `manifest`: motd is "good\n", a line high, an LED
//!   specs/pump-07/note.txt  `note`
//!   specs/pump-08/all.yaml  `manifest`
//! changed, better           the same with other manifests: motd is "changed\n" or "better\n", the line low
//! ```
//!
//! Where the case is chartered, `charter` has [`PUBLISHERS`] and the root `root`, `exchange.yaml.sig` stands beside it
//! as `signatures`, and `root` signed both this and `base`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    path::{Path, PathBuf},
};

use giter_edge::api::Oid;

use crate::{
    forge::{self, Kind, Object},
    recipe::{Charter, Commit, Entry, Lie, Reset, Seal, Tree},
    seal,
};

/// 2026-11-21T00:00:00Z, the date of `base`.
pub(crate) const EPOCH: i64 = 1_795_219_200;
/// The exchange's id.
pub(crate) const ID: &str = "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d";

/// The objects by their names in the recipe.
pub(crate) struct Exchange {
    /// The test's folder, with the hub in it.
    folder: PathBuf,
    objects: HashMap<String, Object>,
    /// In the order in which they were made.
    order: Vec<String>,
    /// How many of them `base` is made of.
    floor: usize,
    /// The signed bytes of each commit and charter.
    payloads: HashMap<String, Vec<u8>>,
}

type Entries = Vec<(Vec<u8>, Vec<u8>, Oid)>;

impl Exchange {
    /// The sound exchange alone.
    pub(crate) fn new(folder: &Path, is_chartered: bool) -> Self {
        let mut it = Self {
            folder: folder.to_owned(),
            objects: HashMap::new(),
            order: Vec::new(),
            floor: 0,
            payloads: HashMap::new(),
        };
        if is_chartered {
            it.papers(["charter", "signatures"], &Charter { serial: Some(1), ..Charter::default() });
        } else {
            it.blob("charter", CHARTER);
        }
        it.blob("note", "a note\n");
        it.blob("manifest", &MANIFEST.replace("{motd}", "good").replace("{level}", "high"));
        it.mount("good", "", None, "manifest");
        let key = if is_chartered { "root" } else { "ops" };
        let base = format!("name = 'base'\nparents = []\ntree = 'good'\nat = 0\nseal = {{key = '{key}'}}");
        it.commit(&toml::from_str(&base).unwrap());
        it.floor = it.order.len();
        for name in ["changed", "better"] {
            let manifest = format!("{name}-manifest");
            it.blob(&manifest, &MANIFEST.replace("{motd}", name).replace("{level}", "low"));
            it.mount(name, "", None, &manifest);
        }
        it
    }

    /// Adds what the recipe asks for.
    pub(crate) fn add(&mut self, lie: &Lie) {
        for blob in &lie.blob {
            self.blob(&blob.name, &blob.text.repeat(blob.times));
        }
        lie.charter.iter().for_each(|charter| self.charter(charter));
        lie.reset.iter().for_each(|reset| self.reset(reset));
        lie.tree.iter().for_each(|tree| self.tree(tree));
        lie.commit.iter().for_each(|commit| self.commit(commit));
        for tag in &lie.tag {
            let of = self.id(&tag.of);
            let tagger = format!("Ops <ops@plant-7> {EPOCH} +0000");
            let text = format!("object {of}\ntype commit\ntag v1\ntagger {tagger}\n\nv1\n");
            self.put(&tag.name, Kind::Tag, text.into_bytes());
        }
    }

    /// A commit on top of `parent` that nothing is wrong with, of the tree `then` if the recipe has one.
    pub(crate) fn add_better(&mut self, parent: &str, at: i64, lie: &Lie) -> Oid {
        let tree = match &lie.then_charter {
            Some(charter) => format!("{charter}-better"),
            None if self.objects.contains_key("then") => "then".into(),
            None => "better".into(),
        };
        let key = &lie.then_key;
        let place = format!("parents = ['{parent}']\ntree = '{tree}'\nat = {at}");
        let text = format!("name = 'better-commit'\n{place}\nseal = {{key = '{key}'}}");
        self.commit(&toml::from_str(&text).unwrap());
        self.id("better-commit")
    }

    /// The object's name; 40 digits stand for themselves.
    pub(crate) fn id(&self, name: &str) -> Oid {
        let object = self.objects.get(name).map(|object| object.id);
        object.or_else(|| name.parse().ok()).unwrap_or_else(|| panic!("the recipe has no object {name:?}"))
    }

    /// What `base` is made of.
    pub(crate) fn sound(&self) -> Vec<&Object> {
        self.pick(0..self.floor, &mut HashSet::new())
    }

    /// All other objects but those.
    pub(crate) fn others(&self, omit: &[String]) -> Vec<&Object> {
        let known = self.sound().into_iter().map(|object| object.id);
        let mut seen: HashSet<Oid> = omit.iter().map(|name| self.id(name)).chain(known).collect();
        self.pick(self.floor..self.order.len(), &mut seen)
    }

    /// Objects in the order in which they were made, each once.
    fn pick(&self, range: Range<usize>, seen: &mut HashSet<Oid>) -> Vec<&Object> {
        let objects = self.order[range].iter().map(|name| &self.objects[name]);
        objects.filter(|object| seen.insert(object.id)).collect()
    }

    fn put(&mut self, name: &str, kind: Kind, data: Vec<u8>) {
        self.put_object(name, Object::new(kind, data));
    }

    fn put_object(&mut self, name: &str, object: Object) {
        assert!(self.objects.insert(name.into(), object).is_none(), "{name} is made twice");
        self.order.push(name.into());
    }

    /// A blob; `{files}`, `{dir}` and `{id}` in it are replaced.
    fn blob(&mut self, name: &str, text: &str) {
        let folder = self.folder.display().to_string();
        let text = text.replace("{files}", &format!("{folder}/files")).replace("{dir}", &folder).replace("{id}", ID);
        self.put(name, Kind::Blob, text.into_bytes());
    }

    /// A charter, and the exchange's trees with it.
    fn charter(&mut self, charter: &Charter) {
        let names = ["charter", "signatures"].map(|paper| format!("{}-{paper}", charter.name));
        self.papers(names.each_ref().map(String::as_str), charter);
        let modes = [&charter.mode, &charter.signatures_mode];
        let modes = modes.map(|mode| mode.as_deref().unwrap_or("100644").as_bytes().to_vec());
        let papers = ["exchange.yaml", "exchange.yaml.sig"].map(|path| path.as_bytes().to_vec());
        let papers = (0..2).map(|at| (modes[at].clone(), papers[at].clone(), self.id(&names[at])));
        let papers: Entries = papers.collect();
        for (specs, suffix) in [("good", "-good"), ("changed", ""), ("better", "-better")] {
            let specs = (b"40000".to_vec(), b"specs".to_vec(), self.id(&format!("{specs}:specs")));
            let tree = forge::tree(&[&papers[..], &[specs]].concat());
            self.put(&format!("{}{suffix}", charter.name), Kind::Tree, tree);
        }
    }

    /// The blobs of a charter and its signatures.
    fn papers(&mut self, [name, signatures]: [&str; 2], charter: &Charter) {
        let roots = charter.roots.clone().unwrap_or_else(|| vec!["root".into()]);
        let roots: String = roots.iter().map(|root| format!("  - {} {root}@plant-7\n", seal::public(root))).collect();
        let publishers = charter.publishers.as_deref().unwrap_or(PUBLISHERS);
        let serial = charter.serial.unwrap_or(2);
        let mut text = format!("{SIGNED_CHARTER}  serial: {serial}\n  roots:\n{roots}{}", keys(publishers));
        text = text.replace("{id}", ID);
        replace(&mut text, &charter.edit);
        text = keys(&text);
        let whole =
            |text: &str| [text.as_bytes(), &seal::hex(&charter.trailing), &vec![b'#'; charter.padding]].concat();
        self.payloads.insert(name.into(), whole(&text));

        let by = charter.by.clone().unwrap_or_else(|| vec!["root".into()]);
        let good = by.into_iter().map(|key| Seal { key, namespace: "giter-exchange".into(), ..Seal::default() });
        let seals: Vec<Seal> = good.collect();
        let mut armours = String::new();
        for seal in seals.iter().chain(&charter.seal) {
            let message = &self.payloads[seal.over.as_deref().unwrap_or(name)];
            armours += &seal::armour(seal, message, &self.folder);
        }
        self.put(signatures, Kind::Blob, (armours + &charter.behind).into_bytes());
        replace(&mut text, &charter.tamper);
        self.put(name, Kind::Blob, whole(&text));
    }

    /// The blobs of a reset and its signatures, and a tree with them.
    fn reset(&mut self, reset: &Reset) {
        let Reset { name, serial, devices, namespace, .. } = reset;
        let mut text = format!(
            "{RESET}  exchange: {ID}\n  serial: {serial}\n  devices: [{devices}]\n  commit: \"{}\"\n",
            self.id(&reset.to)
        );
        replace(&mut text, &reset.edit);
        let seal = |key: &String| Seal { key: key.clone(), namespace: namespace.clone(), ..Seal::default() };
        let armours = reset.by.iter().map(|key| seal::armour(&seal(key), text.as_bytes(), &self.folder));
        let armours: String = armours.collect();
        replace(&mut text, &reset.tamper);
        let mut entries = entries(&self.objects[&reset.tree]);
        for (path, content) in [("reset.yaml", text), ("reset.yaml.sig", armours)] {
            if !content.is_empty() {
                let blob = format!("{name}:{path}");
                self.put(&blob, Kind::Blob, content.into_bytes());
                entries.push((b"100644".to_vec(), path.as_bytes().to_vec(), self.id(&blob)));
            }
        }
        sort(&mut entries);
        self.put(name, Kind::Tree, forge::tree(&entries));
    }

    /// The entries of the exchange's folders, with this manifest in the device's.
    fn standard(&self, manifest: &str) -> BTreeMap<&'static str, Entries> {
        let file = |name: &str, is: &str| (b"100644".to_vec(), name.as_bytes().to_vec(), self.id(is));
        let signatures = self.objects.get("signatures").map(|_| file("exchange.yaml.sig", "signatures"));
        BTreeMap::from([
            ("specs/pump-07", vec![file("all.yaml", manifest), file("note.txt", "note")]),
            ("specs/pump-08", vec![file("all.yaml", "manifest")]),
            ("specs", vec![]),
            ("", std::iter::once(file("exchange.yaml", "charter")).chain(signatures).collect()),
        ])
    }

    /// The root tree `name` of the exchange, in which another tree stands at `at`.
    fn mount(&mut self, name: &str, at: &str, other: Option<Oid>, manifest: &str) {
        let mut folders = self.standard(manifest);
        if let Some(id) = other
            && !folders.contains_key(at)
        {
            let (above, last) = at.rsplit_once('/').unwrap_or(("", at));
            let entry = (b"40000".to_vec(), last.as_bytes().to_vec(), id);
            folders.get_mut(above).expect("the folder above is one of the exchange's").push(entry);
        }
        for path in ["specs/pump-07", "specs/pump-08", "specs", ""] {
            let mut entries = folders.remove(path).unwrap();
            sort(&mut entries);
            let object = Object::new(Kind::Tree, forge::tree(&entries));
            let id = if path == at { other.unwrap_or(object.id) } else { object.id };
            if id == object.id {
                self.put_object(&format!("{name}:{path}"), object);
            }
            if let Some((above, last)) = path.rsplit_once('/').or((!path.is_empty()).then_some(("", path))) {
                folders.get_mut(above).unwrap().push((b"40000".to_vec(), last.as_bytes().to_vec(), id));
            } else {
                let root = self.objects[&format!("{name}:")].clone();
                self.put_object(name, root);
            }
        }
    }

    fn tree(&mut self, tree: &Tree) {
        let place = tree.at.as_deref().unwrap_or("-");
        let mut entries = match &tree.raw {
            Some(raw) => raw.iter().map(|entry| self.entry(entry)).collect(),
            None => self.whole("changed", place),
        };
        for n in 0..tree.fill {
            entries.push((b"100644".to_vec(), format!("f{n:06}{}", tree.suffix).into_bytes(), self.id("note")));
        }
        entries.extend(tree.add.iter().map(|entry| self.entry(entry)));
        if tree.raw.is_none() {
            sort(&mut entries);
        }
        let data = tree.bytes.as_ref().map_or_else(|| forge::tree(&entries), |bytes| bytes.clone().into_bytes());
        let mut object = Object::new(Kind::Tree, data);
        for level in 0..tree.nest {
            let inside = object.id;
            self.put_object(&format!("{}/{level}", tree.name), object);
            object = Object::new(Kind::Tree, forge::tree(&[(b"40000".to_vec(), b"d".to_vec(), inside)]));
        }
        match tree.at.as_deref() {
            None | Some("") => self.put_object(&tree.name, object),
            Some(at) => {
                let id = object.id;
                self.put_object(&format!("{}@", tree.name), object);
                self.mount(&tree.name, at, Some(id), "changed-manifest");
            }
        }
    }

    /// The entries that a folder of the exchange has.
    fn whole(&self, name: &str, place: &str) -> Entries {
        self.objects.get(&format!("{name}:{place}")).map(entries).unwrap_or_default()
    }

    fn entry(&self, entry: &Entry) -> (Vec<u8>, Vec<u8>, Oid) {
        (entry.mode.clone().into_bytes(), unescaped(&entry.name).repeat(entry.times), self.id(&entry.is))
    }

    fn commit(&mut self, commit: &Commit) {
        let tree = self.id(&commit.tree);
        let parents: String = commit.parents.iter().map(|parent| format!("parent {}\n", self.id(parent))).collect();
        let who = format!("Ops <ops@plant-7> {} +0000", EPOCH + commit.at);
        let head = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n{}", commit.headers);
        let mut payload = format!("{head}\n{}", commit.message.repeat(commit.times));
        replace(&mut payload, &commit.edit);
        self.payloads.insert(commit.name.clone(), payload.clone().into_bytes());
        let mut text = if commit.seal.by.as_deref() == Some("git") {
            self.by_git(commit, tree)
        } else if commit.signed {
            self.sealed(commit, &payload)
        } else {
            payload
        };
        replace(&mut text, &commit.tamper);
        self.put(&commit.name, Kind::Commit, text.into_bytes());
    }

    /// The commit with its signature at the end of its header, where git puts it.
    fn sealed(&self, commit: &Commit, payload: &str) -> String {
        let seal = &commit.seal;
        let message = seal.over.as_ref().map_or(payload.as_bytes(), |other| &self.payloads[other]);
        let armour = seal::armour(seal, message, &self.folder).trim_end_matches('\n').replace('\n', "\n ");
        let mut headers = format!("{} {armour}\n", seal.header);
        if let Some(also) = &seal.also {
            headers.push_str(&format!("{also} {armour}\n"));
        }
        let at = payload.find("\n\n").expect("a commit has an empty line") + 1;
        format!("{}{headers}{}", &payload[..at], &payload[at..])
    }

    /// The commit by git itself.
    fn by_git(&self, commit: &Commit, tree: Oid) -> String {
        let hub = self.folder.join("hub.git");
        self.pick(0..self.order.len(), &mut HashSet::new()).iter().for_each(|object| object.write(&hub));
        let key = seal::write_key(&self.folder, &commit.seal.key);
        let mut arguments = vec!["-c".into(), "gpg.format=ssh".into(), "-c".into()];
        arguments.push(format!("user.signingKey={}", key.display()));
        arguments.extend(["commit-tree".into(), "-S".into(), tree.to_string(), "-m".into(), commit.message.clone()]);
        for parent in &commit.parents {
            arguments.extend(["-p".into(), self.id(parent).to_string()]);
        }
        let id = git(&hub, &arguments, EPOCH + commit.at);
        git(&hub, &["cat-file".into(), "commit".into(), id.trim().into()], EPOCH)
    }
}

/// Runs git at a given time, out of reach of this machine's configuration.
pub(crate) fn git(repository: &Path, arguments: &[String], time: i64) -> String {
    let mut command = std::process::Command::new("git");
    command.arg("-C").arg(repository).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Ops").env(format!("GIT_{role}_EMAIL"), "ops@plant-7");
        command.env(format!("GIT_{role}_DATE"), format!("{time} +0000"));
    }
    let output = command.output().expect("the tests need git");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn replace(text: &mut String, edits: &[[String; 2]]) {
    for [from, to] in edits {
        assert!(text.contains(from.as_str()), "the commit has no {from:?}");
        *text = text.replacen(from.as_str(), to, 1);
    }
}

/// The entries of a tree.
fn entries(tree: &Object) -> Entries {
    let (mut entries, mut rest) = (Vec::new(), &tree.data[..]);
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        let (head, tail) = rest.split_at(zero);
        let space = head.iter().position(|byte| *byte == b' ').unwrap();
        let id = Oid::new(tail[1..21].try_into().unwrap());
        entries.push((head[..space].to_vec(), head[space + 1..].to_vec(), id));
        rest = &tail[21..];
    }
    entries
}

/// Git's order: a folder sorts as if its name ended in a slash.
fn sort(entries: &mut Entries) {
    entries.sort_by_key(|(mode, name, _)| {
        let end: &[u8] = if mode == b"40000" { b"/" } else { b"" };
        [name, end].concat()
    });
}

/// The name with `%` and two digits turned into a byte.
fn unescaped(name: &str) -> Vec<u8> {
    let mut parts = name.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.extend(seal::hex(&part[..2]));
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes
}

/// The text of an allowed_signers file, in which `{key:NAME}` stands for a key.
pub(crate) fn keys(text: &str) -> String {
    let mut keys = String::new();
    let mut parts = text.split("{key:");
    keys.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once('}').expect("{key:NAME} is closed");
        keys.push_str(&seal::public(name));
        keys.push_str(rest);
    }
    keys
}

const CHARTER: &str = "\
apiVersion: edge.giter.dev/v1alpha1
kind: Exchange
metadata: {name: plant-7}
spec: {id: {id}, branch: main}
";

const SIGNED_CHARTER: &str = "\
apiVersion: edge.giter.dev/v1alpha1
kind: Exchange
metadata: {name: plant-7}
spec:
  id: {id}
  branch: main
";

const RESET: &str = "\
apiVersion: edge.giter.dev/v1alpha1
kind: Reset
metadata: {name: hub-restored}
spec:
";

/// Who may sign what in a chartered case, unless the charter says otherwise.
const PUBLISHERS: &str = "  publishers:
  - {principal: ops@plant-7, key: \"{key:ops}\"}
  - {principal: here@plant-7, key: \"{key:here}\", paths: [specs/pump-07/**]}
  - {principal: there@plant-7, key: \"{key:there}\", paths: [specs/pump-08/**]}
  - {principal: past@plant-7, key: \"{key:past}\", validBefore: \"2026-11-21T00:01:00Z\"}
  - {principal: future@plant-7, key: \"{key:future}\", validAfter: \"2026-11-22\"}
  - {principal: hand@plant-7, key: \"{key:hand@ssh:}\"}
";

const MANIFEST: &str = "\
apiVersion: edge.giter.dev/v1alpha1
kind: File
metadata: {name: motd}
spec: {path: {files}/motd, content: \"{motd}\\n\"}
---
apiVersion: edge.giter.dev/v1alpha1
kind: GpioLine
metadata: {name: pump-relay}
spec: {line: GPIO17, direction: output, value: {level}}
---
apiVersion: edge.giter.dev/v1alpha1
kind: Led
metadata: {name: activity}
spec: {led: ACT, brightness: 255}
";
