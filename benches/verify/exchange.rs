//! An exchange for measuring: a charter that its root signed, and a line of commits that its publisher signed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Oid, object::ObjectKind},
    codec::keyfile::SecretKey,
    git::pack,
};

use crate::{
    Result,
    command::{git, program, run},
    publisher::{self, Draft, Key},
};

/// Devices of the exchange.
const DEVICES: usize = 20;
/// Manifests of each.
const MANIFESTS: usize = 4;

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
        let (root, publisher) = (Key::make(&exchange.beside("root"))?, Key::make(&exchange.beside("publisher"))?);
        exchange.allow_git(&root, &publisher)?;

        // It covers no folder, so that each path is looked at.
        let mut line = Line::new(&publisher::charter(dir, &root, &publisher, "specs/**/*.yaml")?)?;
        exchange.line.push(line.commit(&root.secret, None, 0)?);
        for number in 1..=commits {
            let device = match changes {
                Changes::Own => 0,
                Changes::Others => 1 + number % (DEVICES - 1),
            };
            line.change(device, number)?;
            exchange.line.push(line.commit(&publisher.secret, exchange.line.last().copied(), number)?);
        }
        let packed = exchange.beside("all.pack");
        fs::write(&packed, pack::write(&line.draft.objects)?)?;
        run(exchange.git().args(["index-pack", "--stdin"]).stdin(File::open(packed)?))?;
        Ok(exchange)
    }

    /// The root file of a device.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.beside("root.keys")
    }

    /// The pack that git makes of what lies between two commits.
    pub(crate) fn pack(&self, from: Oid, to: Oid) -> Result<PathBuf> {
        let (wanted, packed) = (self.beside("wanted"), self.beside(&format!("{to}.pack")));
        fs::write(&wanted, format!("{to}\n^{from}\n"))?;
        let mut command = self.git();
        command.args(["pack-objects", "-q", "--revs", "--thin", "--delta-base-offset", "--stdout"]);
        fs::write(&packed, run(command.stdin(File::open(wanted)?))?.stdout)?;
        Ok(packed)
    }

    /// Packs a commit and all behind it where a device's store has its packs; the pack's name. Nothing else keeps a whole
    /// history there: it is what a quarantine shows while a range is proven.
    pub(crate) fn pack_for_store(&self, state: &Path, to: Oid) -> Result<Oid> {
        let wanted = self.beside("wanted");
        fs::write(&wanted, format!("{to}\n"))?;
        let mut command = self.git();
        command.args(["pack-objects", "-q", "--revs", "--delta-base-offset"]).arg(state.join("packs/pack"));
        Ok(String::from_utf8(run(command.stdin(File::open(wanted)?))?.stdout)?.trim().parse()?)
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
}

/// The next commit, and the objects made so far.
struct Line {
    draft: Draft,
    papers: [Oid; 2],
    manifests: Vec<[Oid; MANIFESTS]>,
    folders: Vec<Oid>,
}

impl Line {
    fn new(papers: &[Vec<u8>; 2]) -> Result<Self> {
        let none = Oid::new([0; 20]);
        let mut line = Self { draft: Draft::default(), papers: [none; 2], manifests: vec![], folders: vec![] };
        for (at, paper) in papers.iter().enumerate() {
            line.papers[at] = line.draft.add(ObjectKind::Blob, paper.clone())?;
        }
        for device in 0..DEVICES {
            line.manifests.push([none; MANIFESTS]);
            line.folders.push(none);
            for number in 0..MANIFESTS {
                line.manifests[device][number] = line.manifest(device, number, "first")?;
            }
            line.file(device)?;
        }
        Ok(line)
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
        let specs = self.draft.tree(folders)?;
        let root = self.draft.root(self.papers, specs)?;
        self.draft.commit(key, root, parent, number)
    }

    fn manifest(&mut self, device: usize, number: usize, value: &str) -> Result<Oid> {
        let manifest = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata:\n  name: file-{number}\nspec:\n  \
             path: /etc/bench/{device}-{number}.conf\n  mode: \"0644\"\n  content: |\n    value = \"{value}\"\n"
        );
        self.draft.add(ObjectKind::Blob, manifest.into_bytes())
    }

    /// Makes the device's folder of its manifests.
    fn file(&mut self, device: usize) -> Result<()> {
        let names: Vec<_> = (0..MANIFESTS).map(|number| format!("file-{number}.yaml")).collect();
        let entries = names.iter().zip(self.manifests[device]).map(|(name, id)| ("100644", name.as_str(), id));
        self.folders[device] = self.draft.tree(entries)?;
        Ok(())
    }
}
