//! A publisher, a hub and a device in a temporary folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::daemon::Daemon;

/// One line.
pub(crate) const SPECS: &str = "\
apiVersion: edge.giter.dev/v1alpha1
kind: GpioLine
metadata: {name: pump}
spec: {line: GPIO17, direction: output, value: high, failsafe: low}
";

/// The folder with all of it.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// A site whose hub has these specs for its device.
    pub(crate) fn new(specs: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        for key in ["ops", "device"] {
            let path = site.path(key);
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"]).arg(path));
        }
        let root = fs::read_to_string(site.path("ops.pub")).unwrap();
        fs::write(site.path("root.keys"), format!("ops@plant {root}")).unwrap();
        fs::create_dir(site.path("files")).unwrap();
        site.git(".", &["init", "-q", "--bare", "-b", "main", "hub.git"]);
        site.git(".", &["init", "-q", "-b", "main", "exchange"]);
        site.publish(specs);
        site
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Commits these specs, signed, and pushes them; the commit.
    pub(crate) fn publish(&self, specs: &str) -> String {
        let folder = self.path("exchange/specs/pump-07");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("all.yaml"), specs).unwrap();
        self.git("exchange", &["add", "."]);
        self.git("exchange", &["commit", "-q", "-S", "-m", "specs"]);
        self.git("exchange", &["push", "-q", "../hub.git", "main"]);
        self.git("exchange", &["rev-parse", "HEAD"])
    }

    /// The messages of the statuses at the hub, newest first.
    pub(crate) fn statuses(&self) -> Vec<String> {
        let log = self.git("hub.git", &["log", "-z", "--format=%B", "refs/giter/status/pump-07"]);
        log.split_terminator('\0').map(str::to_owned).collect()
    }

    /// Writes the configuration with these lines in it, which begin at the top level.
    fn configure(&self, more: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "device = \"pump-07\"\nstate = \"{folder}/state\"\nboard = \"sim\"\n{more}\
             [trust]\nroot = \"{folder}/root.keys\"\n[sim]\nfile = \"{folder}/sim.toml\"\n\
             [status]\nkey = \"{folder}/device\"\nheartbeat = \"0s\"\ncoalesce = \"0s\"\nbudget = \"0\"\n"
        );
        fs::write(self.path("giterd.toml"), text).unwrap();
    }

    /// Writes a configuration with the repository on this disk as its hub, polled and looked at so often.
    pub(crate) fn configure_file(&self, interval: &str, drift: &str) {
        let folder = self.folder.path().display();
        self.configure(&format!(
            "drift.interval = \"{drift}\"\nfiles.roots = [\"{folder}/files\"]\n\
             [link]\nurl = \"file://{folder}/hub.git\"\ninterval = \"{interval}\"\nsplay = \"0s\"\n"
        ));
    }

    /// Writes a configuration without a hub.
    pub(crate) fn configure_stick(&self, more: &str) {
        self.configure(&format!("drift.interval = \"1h\"\n{more}"));
    }

    /// Writes a configuration whose ssh program is this shell script.
    pub(crate) fn configure_ssh(&self, script: &str) {
        let (folder, program) = (self.folder.path().display(), self.path("fake-ssh"));
        write_program(&program, &format!("cd {folder} || exit 9\n{script}"));
        self.configure(&format!(
            "drift.interval = \"1h\"\n[link]\nurl = \"ssh://nobody@hub.invalid/hub.git\"\ninterval = \"1h\"\n\
             splay = \"0s\"\ntimeout = \"1h\"\nprogram = \"{}\"\n",
            program.display()
        ));
    }

    /// Replaces a part of the configuration.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("giterd.toml")).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.path("giterd.toml"), text.replace(from, to)).unwrap();
    }

    /// Moves a pin or plays a failure: the simulated board's registers become these.
    pub(crate) fn play(&self, registers: &str) {
        fs::write(self.path("sim.new"), registers).unwrap();
        fs::rename(self.path("sim.new"), self.path("sim.toml")).unwrap();
    }

    /// The simulated board's registers.
    pub(crate) fn registers(&self) -> String {
        fs::read_to_string(self.path("sim.toml")).unwrap_or_default()
    }

    /// Runs `giterd` with this verb to its end.
    pub(crate) fn giterd(&self, verb: &str) -> Output {
        self.command().arg(verb).output().unwrap()
    }

    /// Starts `giterd run`.
    pub(crate) fn start(&self) -> Daemon {
        Daemon::start(&mut self.command())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_giterd"));
        command.arg("--config").arg(self.path("giterd.toml")).stdin(Stdio::null());
        command
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let key = self.path("ops");
        let mut command = Command::new("git");
        command.current_dir(self.path(folder)).args(["-c", "gpg.format=ssh", "-c"]);
        command.arg(format!("user.signingkey={}", key.display())).args(arguments);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "ops").env(format!("GIT_{role}_EMAIL"), "ops@plant");
        }
        run(&mut command)
    }
}

/// Writes a shell script by another process: what this one has open for writing could not be run while a thread beside
/// it starts a program.
fn write_program(path: &Path, script: &str) {
    let write = "umask 077; printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 0755 \"$0\"";
    run(Command::new("sh").args(["-c", write]).arg(path).arg(script));
}

pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
