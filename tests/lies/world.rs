//! The hub, the device's folder, the real giterd in it, and what can be seen of it afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use giter_edge::{
    api::{ConditionStatus, ConditionType, Oid, ledger::Record},
    codec::status,
    disk::SlotLedger,
    reconcile::ports::Ledger,
};
use tempfile::TempDir;

use crate::{
    exchange,
    forge::{self, Object},
    recipe::{Device, PackTrick, Way},
    seal,
};

/// What giterd left behind.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

/// All that an attack must not change.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    /// Every file outside the state folder and the hub: the board's registers, its files, what lies beside them.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// The ledger, without what is written about each verdict, and what it took to tell the hub.
    ledger: Record,
    /// The files of the store.
    store: BTreeSet<PathBuf>,
}

impl Seen {
    /// Whether what lies outside the files root is the same.
    pub(crate) fn same_elsewhere(&self, other: &Self) -> bool {
        let outside = |seen: &Self| {
            let files = seen.files.iter().filter(|(path, _)| path.iter().any(|part| part == "elsewhere"));
            files.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<Vec<_>>()
        };
        outside(self) == outside(other)
    }
}

/// One case's folder.
pub(crate) struct World {
    folder: PathBuf,
    way: Way,
    device: String,
    _dir: TempDir,
    /// What stands in for ssh. Apart from the rest, which may lie where nothing can be run.
    ssh: TempDir,
}

impl World {
    /// A bare hub, and a device that knows nothing yet.
    pub(crate) fn new(way: Way, device: &Device, keys: &str) -> Self {
        let dir = tempfile::tempdir_in(memory()).unwrap();
        let name = device.name.clone().unwrap_or_else(|| "pump-07".into());
        let (folder, ssh) = (dir.path().canonicalize().unwrap(), tempfile::tempdir().unwrap());
        let world = Self { folder, way, device: name, _dir: dir, ssh };
        for folder in ["hub.git/objects", "hub.git/refs/heads", "files", "elsewhere"] {
            fs::create_dir_all(world.at(folder)).unwrap();
        }
        fs::write(world.at("hub.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        for (link, to) in &device.links {
            std::os::unix::fs::symlink(world.at(to), world.at("files").join(link)).unwrap();
        }
        seal::write_key(&world.folder, "device");
        world.trust(keys);
        world.write_program();
        fs::write(world.at("giterd.toml"), world.configuration(device)).unwrap();
        world
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Replaces root.keys.
    pub(crate) fn trust(&self, keys: &str) {
        fs::write(self.at("root.keys"), exchange::keys(keys)).unwrap();
    }

    /// Puts objects into the hub, and its branch on one of them, or on none.
    pub(crate) fn publish(&self, objects: &[&Object], tip: Option<Oid>) {
        objects.iter().for_each(|object| object.write(&self.at("hub.git")));
        let branch = self.at("hub.git/refs/heads/main");
        match tip {
            Some(tip) => fs::write(branch, format!("{tip}\n")).unwrap(),
            None => drop(fs::remove_file(branch)),
        }
    }

    /// Lets the server say that the branch is at `tip`, and send this pack whatever it is asked for then.
    pub(crate) fn lie(&self, objects: &[&Object], trick: &PackTrick, tip: Oid) {
        let (mut reply, mut answer) = (Vec::new(), Vec::new());
        for greeting in ["version 2\n", "ls-refs\n", "fetch=shallow\n", "object-format=sha1\n"] {
            packet(&mut reply, greeting.as_bytes());
        }
        reply.extend(FLUSH);
        packet(&mut reply, format!("{tip} HEAD symref-target:refs/heads/main\n").as_bytes());
        if let Some(status) = self.status_ref() {
            packet(&mut reply, format!("{status} {}\n", self.status_name()).as_bytes());
        }
        reply.extend(FLUSH);
        packet(&mut answer, b"packfile\n");
        for chunk in forge::pack(objects, trick).chunks(65515) {
            packet(&mut answer, &[b"\x01", chunk].concat());
        }
        answer.extend(FLUSH);
        fs::write(self.at("answer"), answer).unwrap();
        fs::write(self.at("reply"), reply).unwrap();
    }

    /// Lets the server be honest again.
    pub(crate) fn stop_lying(&self) {
        let _ = fs::remove_file(self.at("reply"));
    }

    /// One `giterd sync`.
    pub(crate) fn sync(&self) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_giterd"));
        command.arg("--config").arg(self.at("giterd.toml")).arg("sync").env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", &self.folder);
        let output = command.output().unwrap();
        let said = [output.stdout, b"--- stderr\n".to_vec(), output.stderr].concat();
        Ran { code: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() }
    }

    /// What is there now.
    pub(crate) fn look(&self) -> Seen {
        let mut files = BTreeMap::new();
        for name in ["files", "elsewhere", "sim.toml", "giterd.toml", "device.key"] {
            walk(&self.at(name), &mut |path| files.extend([(path.to_owned(), fs::read(path).unwrap_or_default())]));
        }
        let mut store = BTreeSet::new();
        walk(&self.at("state/store"), &mut |path| store.extend([path.to_owned()]));
        let ledger = self.record();
        let ledger = Record { serial: 0, status: None, refused: None, hub: Default::default(), pushes: None, ..ledger };
        Seen { files, ledger, store }
    }

    /// The ledger's record.
    pub(crate) fn record(&self) -> Record {
        SlotLedger::new(&self.at("state")).load().unwrap()
    }

    /// The message of the day on the board.
    pub(crate) fn motd(&self) -> Option<String> {
        fs::read_to_string(self.at("files/motd")).ok()
    }

    /// The reason in the `Synced` condition of the status that stands at the hub.
    pub(crate) fn synced(&self) -> (ConditionStatus, String) {
        let blob = format!("{}:status.postcard", self.status_ref().expect("the device has a status"));
        let hub = self.at("hub.git");
        let output = Command::new("git").arg("-C").arg(&hub).args(["cat-file", "blob", &blob]).output().unwrap();
        let status = status::decode(&output.stdout).unwrap();
        let synced = status.conditions.iter().find(|condition| condition.kind == ConditionType::Synced);
        let synced = synced.expect("a status says whether it is synced");
        (synced.status, synced.reason.to_string())
    }

    /// The store has what the ledger names, and nothing else.
    pub(crate) fn check_store(&self, seen: &Seen) {
        let previous = seen.ledger.previous.iter().flat_map(|(_, generation)| &generation.packs);
        let packs = self.at("state/store/packs");
        let files = |pack: &Oid| ["pack", "idx"].map(|kind| packs.join(format!("pack-{pack}.{kind}")));
        let named: BTreeSet<_> = seen.ledger.generation.packs.iter().chain(previous).flat_map(files).collect();
        assert_eq!(seen.store, named, "the store does not have what the ledger names");
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn status_name(&self) -> String {
        format!("refs/giter/status/{}", self.device)
    }

    fn status_ref(&self) -> Option<String> {
        fs::read_to_string(self.at("hub.git").join(self.status_name())).ok().map(|value| value.trim().to_owned())
    }

    fn configuration(&self, device: &Device) -> String {
        let at = |path: &str| format!("{:?}", self.at(path));
        let hub = self.at("hub.git").display().to_string();
        let url = match self.way {
            Way::File => format!("file://{hub}"),
            Way::Ssh => format!("ssh://hub{hub}"),
        };
        let mut trust = format!("root = {}\n", at("root.keys"));
        for (key, value) in [("verify", &device.verify), ("exchange", &device.exchange)] {
            trust.extend(value.as_ref().map(|value| format!("{key} = {value:?}\n")));
        }
        format!(
            "device = {:?}\nstate = {}\nboard = \"sim\"\n[link]\nurl = {url:?}\nprogram = {}\n[trust]\n{trust}\
             [status]\nkey = {}\n[files]\nroots = [{}]\n[sim]\nfile = {}\n",
            self.device,
            at("state"),
            format_args!("{:?}", self.ssh.path().join("ssh")),
            at("device.key"),
            at("files"),
            at("sim.toml")
        )
    }

    /// Stands in for ssh: runs what the hub would run, or tells the lie that was prepared, to each request the same.
    fn write_program(&self) {
        use std::os::unix::fs::PermissionsExt;
        let [reply, answer] = ["reply", "answer"].map(|name| self.at(name).display().to_string());
        let program = format!(
            r#"#!/bin/sh
for command; do :; done
is_asked() {{ dd bs=64k count=1 2>/dev/null | grep -q .; }}
case $command in *upload-pack*)
    if [ -e '{reply}' ]; then
        is_asked && cat '{reply}'
        while is_asked; do cat '{answer}'; done
        exit
    fi
esac
eval "exec $command"
"#
        );
        let path = self.ssh.path().join("ssh");
        fs::write(&path, program).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

/// A folder in memory, if there is one: most of the time would go into fsync, which is not what is tried here.
fn memory() -> PathBuf {
    Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir()).unwrap_or_else(std::env::temp_dir)
}

const FLUSH: &[u8] = b"0000";

/// A line as git's protocol frames it (gitprotocol-common(5)).
fn packet(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(format!("{:04x}", bytes.len() + 4).into_bytes());
    out.extend(bytes);
}

/// Visits everything below a path that is not a folder.
fn walk(path: &Path, visit: &mut dyn FnMut(&Path)) {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {
            fs::read_dir(path).unwrap().for_each(|entry| walk(&entry.unwrap().path(), visit));
        }
        Ok(_) => visit(path),
        Err(_) => {}
    }
}
