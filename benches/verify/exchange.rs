//! An exchange for measuring: a charter that its root signed, and a line of commits that its publisher signed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{
        Oid,
        object::{NewObject, ObjectKind},
    },
    codec::{keyfile::SecretKey, sshsig},
    git::{commit::object, pack},
};

use crate::{
    Result,
    command::{git, program, run, ssh_keygen},
};

/// Devices of the exchange.
const DEVICES: usize = 20;
/// Manifests of each.
const MANIFESTS: usize = 4;
/// The date of the first commit; each further one is a minute later.
const BEGIN: usize = 1_795_238_229;

/// Whose folder the commits change.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Changes {
    /// That of the device which verifies.
    Own,
    /// Those of the others.
    Others,
}

/// An exchange of [`DEVICES`] devices, in a bare repository of git's.
///
/// The keys and the charter's signature are ssh-keygen's. The commits are sealed here, because git would take minutes
/// for them; that git accepts them is measured with them.
pub(crate) struct Exchange {
    dir: PathBuf,
    /// The line, the oldest commit first. The first one has the charter, and a root signed it.
    pub(crate) line: Vec<Oid>,
}

impl Exchange {
    /// The device that verifies.
    pub(crate) const DEVICE: &str = "device-00";

    /// Makes an exchange with as many commits after the first.
    pub(crate) fn create(dir: &Path, changes: Changes, commits: usize) -> Result<Self> {
        fs::create_dir_all(dir)?;
        git(dir, ["init", "-q", "--bare", "-b", "main", "hub.git"])?;
        let mut exchange = Self { dir: dir.to_owned(), line: Vec::new() };
        let (root, publisher) = (exchange.key("root")?, exchange.key("publisher")?);
        exchange.allow_git(&root, &publisher)?;

        let mut draft = Draft::new(&exchange.charter(&root.words, &publisher.words)?)?;
        exchange.line.push(draft.commit(&root.secret, None, 0)?);
        for number in 1..=commits {
            let device = match changes {
                Changes::Own => 0,
                Changes::Others => 1 + number % (DEVICES - 1),
            };
            draft.change(device, number)?;
            exchange.line.push(draft.commit(&publisher.secret, exchange.line.last().copied(), number)?);
        }
        let packed = exchange.beside("all.pack");
        fs::write(&packed, pack::write(&draft.objects)?)?;
        run(exchange.git().args(["index-pack", "--stdin"]).stdin(File::open(packed)?))?;
        Ok(exchange)
    }

    /// The root file of a device.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.beside("root.keys")
    }

    /// The pack that git makes of a commit and all behind it, or of what lies between two.
    pub(crate) fn pack(&self, from: Option<Oid>, to: Oid) -> Result<PathBuf> {
        let (wanted, packed) = (self.beside("wanted"), self.beside(&format!("{to}.pack")));
        fs::write(&wanted, format!("{to}\n{}", from.map(|from| format!("^{from}\n")).unwrap_or_default()))?;
        let mut command = self.git();
        command.args(["pack-objects", "-q", "--revs", "--thin", "--delta-base-offset", "--stdout"]);
        fs::write(&packed, run(command.stdin(File::open(wanted)?))?.stdout)?;
        Ok(packed)
    }

    /// `git verify-commit` of some commits, in one run.
    pub(crate) fn verify_by_git(&self, commits: &[Oid]) -> Result<()> {
        run(self.git().arg("verify-commit").args(commits.iter().map(Oid::to_string))).map(drop)
    }

    /// `git index-pack` of a thin pack, in one thread as here, without keeping it.
    pub(crate) fn index_by_git(&self, pack: &Path) -> Result<()> {
        let command = &mut self.git();
        command.args(["index-pack", "--threads=1", "--stdin", "--fix-thin"]).arg(self.beside("indexed.pack"));
        run(command.stdin(File::open(pack)?)).map(drop)
    }

    /// Git in the bare repository.
    fn git(&self) -> std::process::Command {
        let mut command = program("git");
        command.arg("-C").arg(self.beside("hub.git"));
        command
    }

    fn beside(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    fn key(&self, name: &str) -> Result<Key> {
        let path = self.beside(name);
        let words = ssh_keygen(&path)?;
        Ok(Key { words, secret: SecretKey::from_openssh(name, &fs::read(path)?)? })
    }

    /// Writes the root file, and tells git whom to trust.
    fn allow_git(&self, root: &Key, publisher: &Key) -> Result<()> {
        let line = |name: &str, key: &Key| format!("{name}@bench {}\n", key.words);
        fs::write(self.root_file(), line("root", root))?;
        let signers = self.beside("signers");
        fs::write(&signers, line("root", root) + &line("publisher", publisher))?;
        let (hub, signers) = (self.beside("hub.git"), signers.display().to_string());
        git(&hub, ["config", "gpg.format", "ssh"])?;
        git(&hub, ["config", "gpg.ssh.allowedSignersFile", &signers]).map(drop)
    }

    /// Writes and signs the charter. The publisher may change every spec, but by path: so each path is looked at.
    fn charter(&self, root: &str, publisher: &str) -> Result<[Vec<u8>; 2]> {
        let path = self.beside("exchange.yaml");
        let charter = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: bench}}\nspec:\n  \
             id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d\n  serial: 1\n  branch: main\n  verify: range\n  \
             roots: [\"{root} root@bench\"]\n  publishers:\n  \
             - {{principal: publisher@bench, key: \"{publisher}\", paths: [\"specs/**\"]}}\n"
        );
        fs::write(&path, &charter)?;
        run(program("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", sshsig::EXCHANGE, "-f"])
            .arg(self.beside("root"))
            .arg(&path))?;
        Ok([charter.into_bytes(), fs::read(self.beside("exchange.yaml.sig"))?])
    }
}

/// A key as ssh-keygen made it.
struct Key {
    /// The public key's type and base64.
    words: String,
    secret: SecretKey,
}

/// The next commit, and the objects made so far.
struct Draft {
    objects: Vec<NewObject>,
    papers: [Oid; 2],
    manifests: Vec<[Oid; MANIFESTS]>,
    folders: Vec<Oid>,
}

impl Draft {
    fn new(papers: &[Vec<u8>; 2]) -> Result<Self> {
        let none = Oid::new([0; 20]);
        let mut draft = Self { objects: vec![], papers: [none; 2], manifests: vec![], folders: vec![] };
        for (at, paper) in papers.iter().enumerate() {
            draft.papers[at] = draft.add(ObjectKind::Blob, paper.clone())?;
        }
        for device in 0..DEVICES {
            draft.manifests.push([none; MANIFESTS]);
            draft.folders.push(none);
            for number in 0..MANIFESTS {
                draft.manifests[device][number] = draft.manifest(device, number, "first")?;
            }
            draft.file(device)?;
        }
        Ok(draft)
    }

    /// Changes a device's first manifest.
    fn change(&mut self, device: usize, number: usize) -> Result<()> {
        self.manifests[device][0] = self.manifest(device, 0, &number.to_string())?;
        self.file(device)
    }

    /// Commits what was changed.
    fn commit(&mut self, key: &SecretKey, parent: Option<Oid>, number: usize) -> Result<Oid> {
        let names: Vec<_> = (0..DEVICES).map(|device| format!("device-{device:02}")).collect();
        let folders = names.iter().zip(&self.folders).map(|(name, id)| ("40000", name.as_str(), *id));
        let specs = tree(folders);
        let specs = self.add(ObjectKind::Tree, specs)?;
        let [charter, signature] = self.papers;
        let root = [
            ("100644", "exchange.yaml", charter),
            ("100644", "exchange.yaml.sig", signature),
            ("40000", "specs", specs),
        ];
        let root = self.add(ObjectKind::Tree, tree(root))?;

        let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
        let who = format!("bench <root@bench> {} +0000", BEGIN + 60 * number);
        let header = format!("tree {root}\n{parent}author {who}\ncommitter {who}\n");
        let message = format!("\nSet value to {number}\n");
        let armour = sshsig::sign(key, sshsig::GIT, format!("{header}{message}").as_bytes());
        let signature = armour.trim_end().replace('\n', "\n ");
        self.add(ObjectKind::Commit, format!("{header}gpgsig {signature}\n{message}").into_bytes())
    }

    fn manifest(&mut self, device: usize, number: usize, value: &str) -> Result<Oid> {
        let manifest = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata:\n  name: file-{number}\nspec:\n  \
             path: /etc/bench/{device}-{number}.conf\n  mode: \"0644\"\n  content: |\n    value = \"{value}\"\n"
        );
        self.add(ObjectKind::Blob, manifest.into_bytes())
    }

    /// Makes the device's folder of its manifests.
    fn file(&mut self, device: usize) -> Result<()> {
        let names: Vec<_> = (0..MANIFESTS).map(|number| format!("file-{number}.yaml")).collect();
        let entries = names.iter().zip(self.manifests[device]).map(|(name, id)| ("100644", name.as_str(), id));
        let folder = tree(entries);
        self.folders[device] = self.add(ObjectKind::Tree, folder)?;
        Ok(())
    }

    fn add(&mut self, kind: ObjectKind, data: Vec<u8>) -> Result<Oid> {
        let new = object(kind, data)?;
        let id = new.id;
        self.objects.push(new);
        Ok(id)
    }
}

/// A tree of entries in its order: mode, name and object.
fn tree<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str, Oid)>) -> Vec<u8> {
    let mut data = Vec::new();
    for (mode, name, id) in entries {
        data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        data.extend_from_slice(id.as_bytes());
    }
    data
}
