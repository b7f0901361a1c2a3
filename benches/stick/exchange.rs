//! The exchange that sticks are written for: 100 sites of 100 devices, each approved, with one resource and a long history.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use giter_edge::{
    api::{
        Condition, ConditionStatus, ConditionType, Device, DeviceKey, DeviceStatus, Oid, ResourceStatus,
        condition::Text,
        object::{NewObject, ObjectKind},
        status::{Clock, Field},
    },
    codec::{config::Format, device::to_yaml, keyfile::SecretKey},
    git::{pack, seal::StatusSeal},
    reconcile::{report, tick::Seal},
};

use crate::{
    Result,
    command::{git, program, run},
    publisher::{self, Draft, Key},
};

/// Sites, and devices of each.
const SIDE: usize = 100;
/// Devices of the exchange.
pub(crate) const DEVICES: usize = SIDE * SIDE;
/// When the first status was made, in seconds since 1970.
const BEGIN: i64 = 1_795_238_229;

/// The name of a device.
pub(crate) fn name(number: usize) -> String {
    format!("{}/{}", site(number / SIDE), device(number % SIDE))
}

fn site(number: usize) -> String {
    format!("site-{number:02}")
}

fn device(number: usize) -> String {
    format!("device-{number:03}")
}

/// A bare repository, as it lies at the hub.
pub(crate) struct Exchange {
    dir: PathBuf,
    /// The branch, the oldest commit first.
    pub(crate) line: Vec<Oid>,
}

/// What the branch holds.
struct Fleet {
    draft: Draft,
    papers: [Oid; 2],
    approvals: Vec<Oid>,
    folders: Vec<Oid>,
    sites: Vec<Oid>,
}

impl Exchange {
    /// Makes it with so many commits after the first, each of which changes the resource of another device.
    pub(crate) fn create(dir: &Path, commits: usize) -> Result<Self> {
        git(dir, ["init", "-q", "--bare", "-b", "main", "hub.git"])?;
        let (root, publisher) = (Key::make(&dir.join("root"))?, Key::make(&dir.join("publisher"))?);
        let mut fleet = Fleet::new(&publisher::charter(dir, &root, &publisher, "specs/**")?)?;
        let mut line = vec![fleet.commit(&root.secret, None, 0)?];
        for number in 1..=commits {
            fleet.change(number * 7_919 % DEVICES, number)?;
            line.push(fleet.commit(&publisher.secret, line.last().copied(), number)?);
        }
        let exchange = Self { dir: dir.to_owned(), line };
        exchange.take_in(&fleet.draft.objects)?;
        exchange.set(&[("refs/heads/main".into(), exchange.tip())])?;
        git(&exchange.hub(), ["repack", "-adq"])?;
        Ok(exchange)
    }

    /// The branch's tip.
    pub(crate) fn tip(&self) -> Oid {
        self.line[self.line.len() - 1]
    }

    /// The bare repository.
    pub(crate) fn hub(&self) -> PathBuf {
        self.dir.join("hub.git")
    }

    /// Makes devices say which commit they have accepted: the statuses, each the only one of its device.
    pub(crate) fn report(&self, said: &[(usize, Oid)]) -> Result<()> {
        let (mut objects, mut refs) = (Vec::new(), Vec::new());
        for (number, revision) in said {
            let made = status(*number, 1, *revision, None)?;
            refs.push((format!("refs/giter/status/{}", name(*number)), made[2].id));
            objects.extend(made);
        }
        self.take_in(&objects)?;
        self.set(&refs)?;
        git(&self.hub(), ["pack-refs", "--all"]).map(drop)
    }

    /// Takes objects into the repository, as one pack.
    pub(crate) fn take_in(&self, objects: &[NewObject]) -> Result<()> {
        let packed = self.dir.join("new.pack");
        fs::write(&packed, pack::write(objects)?)?;
        let mut index: Command = program("git");
        index.arg("-C").arg(self.hub()).args(["index-pack", "--stdin"]).stdin(File::open(&packed)?);
        run(&mut index)?;
        Ok(fs::remove_file(packed)?)
    }

    /// Sets refs.
    pub(crate) fn set(&self, refs: &[(String, Oid)]) -> Result<()> {
        let lines: String = refs.iter().map(|(name, id)| format!("update {name} {id}\n")).collect();
        let mut update =
            program("git").arg("-C").arg(self.hub()).args(["update-ref", "--stdin"]).stdin(Stdio::piped()).spawn()?;
        update.stdin.take().ok_or("git update-ref has no stdin")?.write_all(lines.as_bytes())?;
        if update.wait()?.success() { Ok(()) } else { Err("git update-ref failed".into()) }
    }
}

/// A device's status, sealed as the agent seals it: of one file that was changed, as most are.
pub(crate) fn status(number: usize, sequence: u64, revision: Oid, parent: Option<Oid>) -> Result<[NewObject; 3]> {
    let is = |kind, reason| Condition::new(kind, ConditionStatus::True, reason, "");
    let resource = ResourceStatus {
        key: "File/settings".parse()?,
        observed_digest: revision,
        conditions: [is(ConditionType::Ready, "Applied")].into_iter().collect(),
        observed: [Field::new("size", "42"), Field::new("mode", "0644"), Field::new("owner", "0:0")]
            .into_iter()
            .collect(),
    };
    let status = DeviceStatus {
        device: name(number).parse()?,
        board: Text::new("raspberry-pi-4b"),
        agent: Text::new("0.1.0"),
        boot_id: *b"\x5f\x0c\x1f\x0e\x3d\x5b\x4d\x0e\x9a\x7c\x2b\x6e\x8f\x1a\x4c\x3d",
        sequence,
        uptime: 60 * sequence,
        clock: Clock::Plausible,
        observed_revision: Some(revision),
        advances: sequence,
        conditions: [is(ConditionType::Synced, "Accepted"), is(ConditionType::Ready, "AllReady")].into_iter().collect(),
        resources: vec![resource],
        lost: 0,
    };
    let message = report::message(&status, [&"File/settings: changed".to_owned()]);
    let seal = StatusSeal::new(status.device.clone(), key(number), Format::Compact);
    Ok(seal.seal(&status, parent, BEGIN + 60 * sequence as i64, message)?.objects)
}

fn key(number: usize) -> SecretKey {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
    SecretKey::from_seed(&seed)
}

impl Fleet {
    fn new([charter, signature]: &[Vec<u8>; 2]) -> Result<Self> {
        let (mut draft, none) = (Draft::default(), Oid::new([0; 20]));
        let papers = [charter, signature].map(|paper| draft.add(ObjectKind::Blob, paper.clone()));
        let [charter, signature] = papers;
        let mut fleet = Self {
            papers: [charter?, signature?],
            draft,
            approvals: Vec::new(),
            folders: vec![none; DEVICES],
            sites: vec![none; SIDE],
        };
        for number in 0..DEVICES {
            let status_key =
                DeviceKey { key: key(number).public().to_openssh().into(), valid_after: None, valid_before: None };
            let says = Device {
                name: device(number % SIDE).parse()?,
                status_keys: vec![status_key],
                ssh_keys: vec![],
                relays: vec![],
            };
            let manifest = to_yaml(&says, &[].into())?.into_bytes();
            fleet.approvals.push(fleet.draft.add(ObjectKind::Blob, manifest)?);
            fleet.fold_device(number, 0)?;
        }
        (0..SIDE).try_for_each(|site| fleet.fold_site(site))?;
        Ok(fleet)
    }

    fn change(&mut self, number: usize, value: usize) -> Result<()> {
        self.fold_device(number, value)?;
        self.fold_site(number / SIDE)
    }

    fn fold_device(&mut self, number: usize, value: usize) -> Result<()> {
        let manifest = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata:\n  name: settings\n  labels:\n    \
             device: \"{number:05}\"\nspec:\n  path: /etc/giter/files/settings.conf\n  mode: \"0644\"\n  content: |\n    \
             # device {number:05}\n    value = \"{value:06}\"\n"
        );
        let resource = self.draft.add(ObjectKind::Blob, manifest.into_bytes())?;
        let entries = [("100644", "device.yaml", self.approvals[number]), ("100644", "settings.yaml", resource)];
        self.folders[number] = self.draft.tree(entries)?;
        Ok(())
    }

    fn fold_site(&mut self, number: usize) -> Result<()> {
        let folders = &self.folders[number * SIDE..][..SIDE];
        self.sites[number] = folder(&mut self.draft, device, folders)?;
        Ok(())
    }

    fn commit(&mut self, key: &SecretKey, parent: Option<Oid>, number: usize) -> Result<Oid> {
        let specs = folder(&mut self.draft, site, &self.sites)?;
        let root = self.draft.root(self.papers, specs)?;
        self.draft.commit(key, root, parent, number)
    }
}

/// A folder of folders with numbered names.
fn folder(draft: &mut Draft, name: impl Fn(usize) -> String, folders: &[Oid]) -> Result<Oid> {
    let names: Vec<_> = (0..folders.len()).map(name).collect();
    draft.tree(names.iter().zip(folders).map(|(name, id)| ("40000", name.as_str(), *id)))
}
