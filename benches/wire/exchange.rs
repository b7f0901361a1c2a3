//! The exchange that everything is measured with: 100 sites of 100 devices, three resources each, and who publishes there.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use giter_edge::{
    api::{Oid, object::ObjectKind},
    codec::keyfile::SecretKey,
    git::{
        commit::{StatusDraft, status_commit},
        pack,
        repository::{RefName, Repository},
    },
};

use crate::{
    Result,
    command::{git, program, run},
    publisher::{self, Draft, Key},
};

/// Sites, and devices of each.
const SIDE: usize = 100;
/// Devices of the fleet.
pub(crate) const DEVICES: usize = SIDE * SIDE;
/// Resources of each.
const RESOURCES: usize = 3;

/// A device by its number.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Number(pub(crate) usize);

impl Number {
    /// Its name.
    pub(crate) fn name(self) -> String {
        format!("{}/{}", site(self.0 / SIDE), device(self.0 % SIDE))
    }
}

fn site(number: usize) -> String {
    format!("site-{number:02}")
}

fn device(number: usize) -> String {
    format!("device-{number:03}")
}

/// A bare repository as `giterctl init --hub` makes it, but without the hook: it would judge git's pushes too, and
/// what it costs is the hub's processor time.
pub(crate) struct Exchange {
    dir: PathBuf,
    /// The folder below which `File` resources are, on the device's disk.
    files: PathBuf,
    publisher: SecretKey,
    branch: RefName,
    fleet: RefCell<Fleet>,
}

/// What the branch holds.
struct Fleet {
    papers: [Oid; 2],
    resources: Vec<[Oid; RESOURCES]>,
    folders: Vec<Oid>,
    sites: Vec<Oid>,
    tip: Option<Oid>,
    commits: usize,
}

impl Exchange {
    /// Makes and publishes it.
    pub(crate) fn create(dir: &Path, files: &Path) -> Result<Self> {
        let root = Key::make(&dir.join("root"))?;
        let publisher = Key::make(&dir.join("publisher"))?;
        fs::write(dir.join("root.keys"), format!("root@bench {}\n", root.words))?;
        run(program(env!("CARGO_BIN_EXE_giterctl"))
            .args(["init", "--hub"])
            .arg(dir.join("hub.git"))
            .arg("--root")
            .arg(dir.join("root.keys")))?;
        fs::remove_file(dir.join("hub.git/hooks/pre-receive"))?;
        git(&dir.join("hub.git"), ["config", "uploadpack.allowFilter", "true"])?;

        let none = Oid::new([0; 20]);
        let mut draft = Draft::default();
        let [charter, signature] = publisher::charter(dir, &root, &publisher, "specs/**")?;
        let mut fleet = Fleet {
            papers: [draft.add(ObjectKind::Blob, charter)?, draft.add(ObjectKind::Blob, signature)?],
            resources: vec![[none; RESOURCES]; DEVICES],
            folders: vec![none; DEVICES],
            sites: vec![none; SIDE],
            tip: None,
            commits: 0,
        };
        for number in 0..DEVICES {
            for resource in 0..RESOURCES {
                fleet.resources[number][resource] = resource_of(&mut draft, files, number, resource, 0)?;
            }
            fleet.fold_device(&mut draft, number)?;
        }
        (0..SIDE).try_for_each(|site| fleet.fold_site(&mut draft, site))?;
        let tip = fleet.commit(&mut draft, &root.secret)?;
        let (publisher, branch) = (publisher.secret, RefName::new("refs/heads/main")?);
        let exchange =
            Self { dir: dir.to_owned(), files: files.to_owned(), publisher, branch, fleet: RefCell::new(fleet) };
        exchange.take_in(&draft)?;
        exchange.repository()?.move_ref(&exchange.branch, None, tip)?;
        git(&exchange.hub(), ["repack", "-adq"])?;
        Ok(exchange)
    }

    /// Publishes another content of a device's first resource, as long as the one before. The tip.
    pub(crate) fn change(&self, number: Number) -> Result<Oid> {
        self.change_each(&[number])
    }

    /// The same of several devices, a commit for each.
    pub(crate) fn change_each(&self, numbers: &[Number]) -> Result<Oid> {
        let (fleet, mut draft) = (&mut *self.fleet.borrow_mut(), Draft::default());
        let old = fleet.tip;
        for &Number(number) in numbers {
            fleet.resources[number][0] = resource_of(&mut draft, &self.files, number, 0, fleet.commits)?;
            fleet.fold_device(&mut draft, number)?;
            fleet.fold_site(&mut draft, number / SIDE)?;
            fleet.commit(&mut draft, &self.publisher)?;
        }
        let repository = self.repository()?;
        repository.write(&draft.objects)?;
        let tip = fleet.tip.ok_or("nothing was published")?;
        repository.move_ref(&self.branch, old, tip)?;
        Ok(tip)
    }

    /// Makes all devices have a status at the hub, each of its own, but for some.
    pub(crate) fn report_all_but(&self, some: &[Number]) -> Result<()> {
        let (key, mut draft, mut refs) = (SecretKey::from_seed(&[7; 32]), Draft::default(), String::new());
        for number in (0..DEVICES).map(Number).filter(|number| !some.contains(number)) {
            let name = number.name();
            let (device, content) = (name.parse()?, format!("status of {name}\n").into_bytes());
            let file = "status.postcard";
            let status = StatusDraft { device: &device, parent: None, time: 0, message: "Ready", file, content };
            let objects = status_commit(status, &key)?;
            refs.push_str(&format!("create refs/giter/status/{name} {}\n", objects[2].id));
            draft.objects.extend(objects);
        }
        self.take_in(&draft)?;
        let mut update =
            program("git").arg("-C").arg(self.hub()).args(["update-ref", "--stdin"]).stdin(Stdio::piped()).spawn()?;
        update.stdin.take().ok_or("git update-ref has no stdin")?.write_all(refs.as_bytes())?;
        if !update.wait()?.success() {
            return Err("git update-ref failed".into());
        }
        git(&self.hub(), ["pack-refs", "--all"]).map(drop)
    }

    /// The bytes that prove a range: its commits and their root trees, as git packs them for who has the floor.
    pub(crate) fn proof(&self, floor: Oid, tip: Oid) -> Result<u64> {
        let wanted = self.dir.join("wanted");
        fs::write(&wanted, format!("{tip}\n^{floor}\n"))?;
        let mut command = program("git");
        command.arg("-C").arg(self.hub());
        command.args(["pack-objects", "-q", "--revs", "--thin", "--delta-base-offset", "--filter=tree:1", "--stdout"]);
        Ok(run(command.stdin(File::open(wanted)?))?.stdout.len() as u64)
    }

    /// The branch's tip.
    pub(crate) fn tip(&self) -> Option<Oid> {
        self.fleet.borrow().tip
    }

    /// The bare repository.
    pub(crate) fn hub(&self) -> PathBuf {
        self.dir.join("hub.git")
    }

    /// The root file of a device.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.dir.join("root.keys")
    }

    /// The folder of the files that the resources are about.
    pub(crate) fn files(&self) -> &Path {
        &self.files
    }

    fn repository(&self) -> Result<Repository> {
        Ok(Repository::open(&self.hub())?)
    }

    /// Takes many objects into the repository, as one pack.
    fn take_in(&self, draft: &Draft) -> Result<()> {
        let packed = self.dir.join("new.pack");
        fs::write(&packed, pack::write(&draft.objects)?)?;
        let mut index: Command = program("git");
        index.arg("-C").arg(self.hub()).args(["index-pack", "--stdin"]).stdin(File::open(&packed)?);
        run(&mut index)?;
        Ok(fs::remove_file(packed)?)
    }
}

impl Fleet {
    fn fold_device(&mut self, draft: &mut Draft, number: usize) -> Result<()> {
        let names: Vec<_> = (0..RESOURCES).map(|resource| format!("resource-{resource}.yaml")).collect();
        let entries = names.iter().zip(self.resources[number]).map(|(name, id)| ("100644", name.as_str(), id));
        self.folders[number] = draft.tree(entries)?;
        Ok(())
    }

    fn fold_site(&mut self, draft: &mut Draft, number: usize) -> Result<()> {
        let folders = &self.folders[number * SIDE..][..SIDE];
        self.sites[number] = folder(draft, device, folders)?;
        Ok(())
    }

    /// Commits what the sites are now.
    fn commit(&mut self, draft: &mut Draft, key: &SecretKey) -> Result<Oid> {
        let specs = folder(draft, site, &self.sites)?;
        let root = draft.root(self.papers, specs)?;
        let tip = draft.commit(key, root, self.tip, self.commits)?;
        self.tip = Some(tip);
        self.commits += 1;
        Ok(tip)
    }
}

/// A folder of folders with numbered names.
fn folder(draft: &mut Draft, name: impl Fn(usize) -> String, folders: &[Oid]) -> Result<Oid> {
    let names: Vec<_> = (0..folders.len()).map(name).collect();
    draft.tree(names.iter().zip(folders).map(|(name, id)| ("40000", name.as_str(), *id)))
}

/// A resource: a file, a line and an LED. The file's content is what changes.
fn resource_of(draft: &mut Draft, files: &Path, number: usize, resource: usize, content: usize) -> Result<Oid> {
    let (kind, spec) = match resource {
        0 => {
            let path = files.join(format!("{number:05}.conf"));
            let content =
                format!("  mode: \"0644\"\n  content: |\n    # device {number:05}\n    value = \"{content:06}\"\n");
            ("File", format!("  path: {}\n{content}", path.display()))
        }
        1 => ("GpioLine", "  line: GPIO17\n  direction: output\n  value: high\n  failsafe: low\n".to_owned()),
        _ => ("Led", format!("  led: ACT\n  brightness: {}\n", 1 + number % 255)),
    };
    let labels = format!("  labels:\n    device: \"{number:05}\"\n");
    let name = kind.to_lowercase();
    let manifest = format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: {name}-{number:05}\n{labels}spec:\n{spec}"
    );
    draft.add(ObjectKind::Blob, manifest.into_bytes())
}
