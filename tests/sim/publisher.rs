//! The publisher: says in values what a device shall be, and puts it on the hub as signed commits.

use std::collections::BTreeMap;

use giter_edge::{
    api::{
        Oid,
        board::{LedState, Level},
        object::{NewObject, ObjectKind},
    },
    codec::{
        keyfile::SecretKey,
        signers::{Keyring, Signer},
        sshsig,
    },
};

use crate::{
    support::{blob, object, tree},
    world::{
        Shared,
        board::{File, LEDS, LINES, Registers},
        hub::BRANCH,
    },
};

/// The device that the stories are about.
pub(crate) const DEVICE: &str = "site-a/pump-07";

/// Its status ref.
pub(crate) const STATUS_REF: &str = "refs/giter/status/site-a/pump-07";

const EXCHANGE: &str = "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d";

/// One resource: its name, what it drives, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    File(&'static str, &'static str, &'static str),
    Line(&'static str, &'static str, Level),
    Led(&'static str, &'static str, u32),
}

impl Wish {
    fn manifest(&self) -> (String, String) {
        let (kind, name, spec) = match self {
            Wish::File(name, path, content) => ("File", name, format!("{{path: {path}, content: \"{content}\"}}")),
            Wish::Line(name, line, level) => {
                ("GpioLine", name, format!("{{line: {line}, direction: output, value: {level}}}"))
            }
            Wish::Led(name, led, brightness) => ("Led", name, format!("{{led: {led}, brightness: {brightness}}}")),
        };
        let text =
            format!("apiVersion: edge.giter.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n");
        (format!("specs/{DEVICE}/{}-{name}.yaml", kind.to_lowercase()), text)
    }
}

/// Whether the board is as these resources ask, and left alone otherwise.
pub(crate) fn differences(wishes: &[Wish], board: &Registers) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, is: String, should: String| {
        if is != should {
            found.push(format!("{what} is {is}, and should be {should}"));
        }
    };
    let (mut files, mut lines, mut leds) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for wish in wishes {
        match wish {
            Wish::File(_, path, content) => drop(files.insert(*path, content.as_bytes())),
            Wish::Line(_, line, level) => drop(lines.insert(*line, *level)),
            Wish::Led(_, led, brightness) => drop(leds.insert(*led, *brightness)),
        }
    }
    for path in board.files.keys().map(String::as_str).chain(files.keys().copied()) {
        let should = files.get(path).map(|&content| File { content: content.into(), mode: 0o644, uid: 0, gid: 0 });
        differ(path, format!("{:?}", board.files.get(path)), format!("{should:?}"));
    }
    for name in LINES {
        let line = &board.lines[name];
        // What happens to a line that nobody holds is not the agent's, but the level that it left there is.
        let left = line.driven.last().copied().unwrap_or(Level::Low);
        let (is, should) = match lines.get(name) {
            Some(&level) => ((line.held.is_some(), line.level), (true, level)),
            None => ((line.held.is_some(), left), (false, Level::Low)),
        };
        differ(name, format!("{is:?}"), format!("{should:?}"));
    }
    for name in LEDS {
        let should = LedState::Brightness(leds.get(name).copied().unwrap_or(0));
        differ(name, format!("{:?}", board.leds[name]), format!("{should:?}"));
    }
    found
}

/// The manifest that names the key which grows from a seed as the device's.
fn naming(seed: u8) -> (String, String) {
    let key = SecretKey::from_seed(&[seed; 32]).public().to_openssh();
    let text = format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Device\nmetadata: {{name: pump-07}}\n\
         spec: {{statusKeys: [{{key: {key}}}]}}\n"
    );
    (format!("specs/{DEVICE}/device.yaml"), text)
}

/// What is wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Unsigned,
    /// Signed by a key that nobody trusts.
    Stranger,
    /// Signed well, but no manifest that can be read.
    Garbled,
    /// Signed well, but it names a line that the board lacks.
    UnknownLine,
    /// Signed well, but it names another key as the device's.
    OtherKey,
    /// Signed well, but it does not descend from what was published before.
    Unrelated,
}

/// Writes commits on top of each other. What has a flaw is put on the branch, and never built upon.
pub(crate) struct Publisher {
    world: Shared,
    key: SecretKey,
    time: i64,
    /// The last reset and its signature.
    papers: Vec<(String, String)>,
    /// The key that sound commits name as the device's, by the seed that it grows from; `None` for none.
    pub(crate) names: Option<u8>,
    /// The sound commits in their order, each with what it asks for.
    pub(crate) sound: Vec<(Oid, Vec<Wish>)>,
}

impl Publisher {
    pub(crate) fn new(world: &Shared) -> Self {
        Self {
            world: world.clone(),
            key: SecretKey::from_seed(&[1; 32]),
            time: 1_795_000_000,
            papers: vec![],
            names: None,
            sound: Vec::new(),
        }
    }

    /// Whom the device trusts.
    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::new(vec![Signer {
            principals: "ops@plant-7".into(),
            key: self.key.public(),
            namespaces: None,
            valid_after: None,
            valid_before: None,
        }])
    }

    pub(crate) fn publish(&mut self, wishes: &[Wish]) -> Oid {
        let parent = self.sound.last().map(|(commit, _)| *commit);
        let commit = self.push(wishes, parent, None);
        self.sound.push((commit, wishes.to_vec()));
        commit
    }

    pub(crate) fn publish_flawed(&mut self, wishes: &[Wish], flaw: Flaw) -> Oid {
        let parent = self.sound.last().map(|(commit, _)| *commit).filter(|_| flaw != Flaw::Unrelated);
        self.push(wishes, parent, Some(flaw))
    }

    /// A root's commit on top of an earlier sound commit, which lets the device go back to that one.
    pub(crate) fn publish_reset(&mut self, serial: u64, to: usize, wishes: &[Wish]) -> Oid {
        let to = self.sound[to].0;
        let text = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Reset\nmetadata: {{name: hub-restored}}\n\
             spec: {{exchange: {EXCHANGE}, serial: {serial}, devices: [\"site-a/**\"], commit: \"{to}\"}}\n"
        );
        let seal = sshsig::sign(&self.key, sshsig::EXCHANGE, text.as_bytes());
        self.papers = vec![("reset.yaml".into(), text), ("reset.yaml.sig".into(), seal)];
        let commit = self.push(wishes, Some(to), None);
        self.sound.push((commit, wishes.to_vec()));
        commit
    }

    /// Moves the branch back to an earlier sound commit.
    pub(crate) fn rewind(&mut self, sound: usize) {
        self.world.get().hub.branches.insert(BRANCH.into(), self.sound[sound].0);
    }

    fn push(&mut self, wishes: &[Wish], parent: Option<Oid>, flaw: Option<Flaw>) -> Oid {
        self.time += 1;
        let charter = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\n\
             spec: {{id: {EXCHANGE}, branch: main}}\n"
        );
        let mut files: Vec<_> = wishes.iter().map(Wish::manifest).collect();
        files.push(("exchange.yaml".into(), charter));
        files.extend(self.papers.iter().cloned());
        match flaw {
            None => files.extend(self.names.map(naming)),
            Some(Flaw::Garbled) => files.push((format!("specs/{DEVICE}/garbled.yaml"), "kind: [".into())),
            Some(Flaw::OtherKey) => files.push(naming(4)),
            Some(Flaw::UnknownLine) => files.push(Wish::Line("nowhere", "GPIO99", Level::High).manifest()),
            _ => {}
        }
        let blobs: Vec<_> = files.into_iter().map(|(path, text)| (path, blob(text.as_bytes()))).collect();
        let trees = trees(&blobs);
        let commit = self.commit(trees.last().unwrap().id, parent, flaw);
        let tip = commit.id;
        let mut world = self.world.get();
        world.hub.add(blobs.into_iter().map(|(_, blob)| blob).chain(trees).chain([commit]));
        world.hub.branches.insert(BRANCH.into(), tip);
        tip
    }

    fn commit(&self, tree: Oid, parent: Option<Oid>, flaw: Option<Flaw>) -> NewObject {
        let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
        let who = format!("Ops <ops@plant-7> {} +0000", self.time);
        let header = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n");
        let message = "Publish\n";
        let stranger = SecretKey::from_seed(&[2; 32]);
        let key = match flaw {
            Some(Flaw::Unsigned) => return object(ObjectKind::Commit, format!("{header}\n{message}").as_bytes()),
            Some(Flaw::Stranger) => &stranger,
            _ => &self.key,
        };
        let armour = sshsig::sign(key, sshsig::GIT, format!("{header}\n{message}").as_bytes());
        let seal = armour.trim_end().replace('\n', "\n ");
        object(ObjectKind::Commit, format!("{header}gpgsig {seal}\n\n{message}").as_bytes())
    }
}

/// The trees of these files (path and blob), the root last.
pub(crate) fn trees(files: &[(String, NewObject)]) -> Vec<NewObject> {
    let mut here: BTreeMap<String, (&str, Oid)> = BTreeMap::new();
    let mut folders: BTreeMap<&str, Vec<(String, NewObject)>> = BTreeMap::new();
    for (path, blob) in files {
        match path.split_once('/') {
            Some((folder, rest)) => folders.entry(folder).or_default().push((rest.into(), blob.clone())),
            None => drop(here.insert(path.clone(), ("100644", blob.id))),
        }
    }
    let mut made = Vec::new();
    for (folder, files) in folders {
        made.extend(trees(&files));
        // Git sorts a folder as if its name ended in a slash.
        here.insert(format!("{folder}/"), ("40000", made[made.len() - 1].id));
    }
    let entries: Vec<_> = here.iter().map(|(name, &(mode, id))| (mode, name.trim_end_matches('/'), id)).collect();
    made.push(tree(&entries));
    made
}
