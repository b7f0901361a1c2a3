//! A device on the simulated board, on which `giterd` is run as a program.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use giter_edge::{api::ledger::Record, disk::SlotLedger, reconcile::ports::Ledger};

use super::{
    exchange::{DEVICE, Exchange},
    sshd::is_root,
};

/// The folder of a device, beside its hub.
pub(crate) struct Device {
    folder: PathBuf,
    environment: RefCell<BTreeMap<String, String>>,
    /// Before the device's own path, to see what the device sees; and the process whose mounts that are.
    view: RefCell<Option<Mounts>>,
}

/// What a run of a program came to.
pub(crate) struct Run {
    /// The exit code.
    pub(crate) exit: Option<i32>,
    /// Data.
    pub(crate) out: String,
    /// Talk.
    pub(crate) err: String,
}

/// A file or folder of the state, as far as a write would show in it.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    inode: u64,
    modified: (i64, i64),
    /// A file's bytes.
    pub(crate) content: Option<Vec<u8>>,
}

/// The state folder and everything in it.
pub(crate) type State = BTreeMap<PathBuf, Stamp>;

/// The program under test: the one that was built, or another build of it, such as one for another processor behind
/// its emulator (`cross/sync-under-qemu`).
fn giterd() -> OsString {
    env::var_os("GITER_TEST_GITERD").unwrap_or_else(|| env!("CARGO_BIN_EXE_giterd").into())
}

impl Device {
    /// A device of an exchange that reaches the hub by the URL.
    pub(crate) fn new(exchange: &Exchange, url: &str) -> Self {
        let folder = exchange.beside("board");
        fs::create_dir_all(folder.join("files")).unwrap();
        let device = Self { folder, environment: RefCell::default(), view: RefCell::default() };
        device.write_config(&format!(
            "device = \"{DEVICE}\"\nstate = \"{board}/state\"\nboard = \"sim\"\n[link]\nurl = \"{url}\"\n\
             [trust]\nroot = \"{beside}/root.keys\"\n[status]\nkey = \"{beside}/device\"\n\
             [files]\nroots = [\"{board}/files\"]\n[sim]\nfile = \"{board}/sim.toml\"\n",
            board = device.folder.display(),
            beside = exchange.beside("").display().to_string().trim_end_matches('/'),
        ));
        device
    }

    /// Replaces the configuration file.
    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.folder.join("giterd.toml"), text).unwrap();
    }

    /// The configuration file's text.
    pub(crate) fn config(&self) -> String {
        fs::read_to_string(self.folder.join("giterd.toml")).unwrap()
    }

    /// Sets a key of the configuration in the environment, such as `LINK_URL`, until [`Device::unset`].
    pub(crate) fn set(&self, key: &str, value: impl ToString) {
        self.environment.borrow_mut().insert(format!("GITERD_{key}"), value.to_string());
    }

    /// Makes the configuration file alone count again.
    pub(crate) fn unset(&self) {
        self.environment.borrow_mut().clear();
    }

    /// A path below the device's folder, by the name that configuration and specs give it.
    pub(crate) fn name(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A path below the device's folder, where what the device sees there now can be reached.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.name(name);
        match &*self.view.borrow() {
            Some(mounts) => mounts.root.join(path.strip_prefix("/").unwrap()),
            None => path,
        }
    }

    /// Has the device see other file systems: the script mounts them, in a namespace of its own, from the device's
    /// folder. It lasts until the next call, or [`Device::unmount`].
    pub(crate) fn mount(&self, script: &str) {
        *self.view.borrow_mut() = Some(Mounts::new(&self.folder, script));
    }

    /// Runs another script there, from the device's folder.
    pub(crate) fn within(&self, script: &str) {
        let view = self.view.borrow();
        let mut shell = view.as_ref().expect("it sees file systems of its own").enter(OsStr::new("sh"));
        let run = Run::of(shell.args(["-ec", &format!("cd '{}'\n{script}", self.folder.display())]));
        assert_eq!(run.exit, Some(0), "{script}: {}", run.err);
    }

    /// Has the device see what everybody sees.
    pub(crate) fn unmount(&self) {
        *self.view.borrow_mut() = None;
    }

    /// Runs `giterd`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Runs `giterd` by another program, which is given its command line after arguments of its own.
    pub(crate) fn run_by(&self, program: &str, own: &[&str], arguments: &[&str]) -> Run {
        let inner = self.command(arguments);
        let mut outer = Command::new(program);
        outer.args(own).arg(inner.get_program()).args(inner.get_args());
        for (key, value) in inner.get_envs() {
            match value {
                Some(value) => outer.env(key, value),
                None => outer.env_remove(key),
            };
        }
        Run::of(&mut outer)
    }

    /// Runs `giterd sync`.
    pub(crate) fn sync(&self) -> Run {
        self.run(&["sync"])
    }

    /// Syncs, which must go well; what it printed.
    pub(crate) fn sync_well(&self) -> String {
        let run = self.sync();
        assert_eq!((run.exit, run.err.as_str()), (Some(0), ""), "{}", run.out);
        run.out
    }

    /// `giterd` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let giterd = giterd();
        let mut command = match &*self.view.borrow() {
            Some(mounts) => mounts.enter(&giterd),
            None => Command::new(&giterd),
        };
        let inherited = env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("GITERD_"));
        for (key, _) in inherited {
            command.env_remove(key);
        }
        command.envs(&*self.environment.borrow()).arg("--config").arg(self.folder.join("giterd.toml")).args(arguments);
        command
    }

    /// What the board's registers hold, as the simulated board shows them.
    pub(crate) fn registers(&self) -> String {
        fs::read_to_string(self.path("sim.toml")).unwrap()
    }

    /// Changes the registers behind the agent's back.
    pub(crate) fn tamper(&self, from: &str, to: &str) {
        let registers = self.registers();
        assert!(registers.contains(from), "{registers}");
        fs::write(self.path("sim.toml"), registers.replace(from, to)).unwrap();
    }

    /// The newest record of the ledger.
    pub(crate) fn record(&self) -> Record {
        SlotLedger::new(&self.path("state")).load().unwrap()
    }

    /// Everything in the state folder, and the folder itself.
    pub(crate) fn state(&self) -> State {
        let mut stamps = State::new();
        stamp(&self.path("state"), &mut stamps);
        stamps
    }

    /// That nothing is half-written: the state folder holds what the ledger names, and no folder a temporary file.
    pub(crate) fn check_is_tidy(&self) {
        let record = self.record();
        let previous = record.previous.iter().flat_map(|(_, generation)| &generation.packs);
        let packs = record.generation.packs.iter().chain(previous);
        let packs = packs.flat_map(|pack| ["pack", "idx"].map(|kind| format!("store/packs/pack-{pack}.{kind}")));
        let mut named: BTreeSet<String> = packs.collect();
        named.extend(["lock", "ledger.a", "ledger.b"].map(str::to_owned));
        let state = self.path("state");
        let found: BTreeSet<String> = self
            .state()
            .into_iter()
            .filter(|(_, stamp)| stamp.content.is_some())
            .map(|(path, _)| path.strip_prefix(&state).unwrap().display().to_string())
            .collect();
        assert!(found.is_subset(&named), "the state folder holds {found:?}, the ledger names {named:?}");
        let packs = |names: &BTreeSet<String>| names.iter().filter(|name| name.starts_with("store")).count();
        assert_eq!(packs(&found), packs(&named), "the state folder holds {found:?}, the ledger names {named:?}");
        let files: Vec<_> = fs::read_dir(self.path("files")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(files.iter().all(|name| !name.to_string_lossy().contains("giter-tmp")), "{files:?}");
    }
}

impl Run {
    /// Runs a program of ours to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
        Self { exit: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What stands behind a word and a colon on the one line of stderr that begins so; empty if there is none.
    pub(crate) fn said(&self, word: &str) -> &str {
        let mut lines = self.err.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(": "));
        let said = lines.next().unwrap_or_default();
        assert_eq!(lines.next(), None, "more than one {word}: {}", self.err);
        said
    }
}

fn stamp(path: &Path, into: &mut State) {
    let about = path.symlink_metadata().unwrap();
    let content = about.is_file().then(|| fs::read(path).unwrap());
    if about.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| stamp(&entry.unwrap().path(), into));
    }
    let modified = (about.mtime(), about.mtime_nsec());
    into.insert(path.to_owned(), Stamp { inode: about.ino(), modified, content });
}

/// Mounts that one process holds, and those that enter with it see.
struct Mounts {
    holder: Child,
    root: PathBuf,
}

impl Mounts {
    fn new(folder: &Path, script: &str) -> Self {
        use std::io::{BufRead, BufReader};
        let mut unshare = Command::new("unshare");
        if !is_root() {
            unshare.arg("--map-root-user");
        }
        let script = format!("set -e\n{script}\necho mounted\nread -r end");
        unshare.args(["--mount", "sh", "-c", &script]).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = unshare.spawn().expect("unshare is installed: apt-get install util-linux");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "this machine lets nobody mount in a namespace of their own: {script}");
        let root = PathBuf::from(format!("/proc/{}/root", holder.id()));
        Self { holder, root }
    }

    fn enter(&self, program: &OsStr) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter.arg("--target").arg(self.holder.id().to_string()).arg("--mount");
        if !is_root() {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.arg("--").arg(program);
        nsenter
    }
}

impl Drop for Mounts {
    /// The holder waits for the end of its input.
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        self.holder.wait().unwrap();
    }
}
