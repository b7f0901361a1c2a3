//! A repository of real git in a temporary folder, and keys of real ssh-keygen in it.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use giter_edge::{
    api::{Error, Oid, Reason, Result},
    codec::signers::Keyring,
    reconcile::ports::{Object, ObjectKind, Objects},
};

/// A repository whose git knows nothing of the machine's own configuration.
pub(crate) struct Repo {
    folder: tempfile::TempDir,
    /// The date of the next commit.
    date: i64,
}

impl Repo {
    /// An empty repository with branch `main`.
    pub(crate) fn new() -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap(), date: 1_795_000_000 };
        repo.git(&["init", "-q", "-b", "main"]);
        repo.git(&["config", "gpg.format", "ssh"]);
        repo
    }

    /// A path in the repository's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs git; its output without the newline.
    ///
    /// # Panics
    ///
    /// If git fails.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.try_git(args);
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().into()
    }

    /// Runs git, whatever it says.
    pub(crate) fn try_git(&self, args: &[&str]) -> Output {
        let date = format!("{} +0000", self.date);
        self.isolated("git")
            .args(args)
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            .envs([("GIT_AUTHOR_NAME", "ops"), ("GIT_COMMITTER_NAME", "ops")])
            .envs([("GIT_AUTHOR_EMAIL", "ops@plant-7"), ("GIT_COMMITTER_EMAIL", "ops@plant-7")])
            .output()
            .expect("git is on the PATH")
    }

    /// Makes a key with ssh-keygen.
    pub(crate) fn key(&self, name: &str, kind: &str) -> SecretKeyFile {
        let path = self.path(name);
        let made = self.isolated("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-C", name, "-f"]).arg(&path).status();
        assert!(made.expect("ssh-keygen is on the PATH").success());
        SecretKeyFile(path)
    }

    /// Commits, signed by the key if one is given, with one more second on the clock.
    pub(crate) fn commit(&mut self, message: &str, key: Option<&SecretKeyFile>) -> Oid {
        self.date += 1;
        let sign = key.map_or("--no-gpg-sign".into(), SecretKeyFile::sign_option);
        self.git(&["commit", "-q", "--allow-empty", "-m", message, &sign]);
        self.oid("HEAD")
    }

    /// Sets the clock.
    pub(crate) fn set_date(&mut self, date: i64) {
        self.date = date;
    }

    /// Merges a branch with a merge commit.
    pub(crate) fn merge(&mut self, branch: &str, key: &SecretKeyFile) -> Oid {
        self.date += 1;
        self.git(&["merge", "-q", "--no-ff", "-m", "merge", &key.sign_option(), branch]);
        self.oid("HEAD")
    }

    /// What a revision names.
    pub(crate) fn oid(&self, revision: &str) -> Oid {
        self.git(&["rev-parse", "--verify", revision]).parse().unwrap()
    }

    /// Writes an object as it is and returns its name.
    pub(crate) fn write(&self, kind: &str, data: &[u8]) -> Oid {
        let args = ["hash-object", "-w", "--literally", "--stdin", "-t", kind];
        let name = self.pipe(self.isolated("git").args(args), data);
        assert!(name.status.success(), "{}", String::from_utf8_lossy(&name.stderr));
        String::from_utf8(name.stdout).unwrap().trim().parse().unwrap()
    }

    /// Runs a command in the repository with something on its standard input.
    pub(crate) fn pipe(&self, command: &mut Command, input: &[u8]) -> Output {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    /// A command in the repository's folder, away from the machine's configuration.
    pub(crate) fn isolated(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .envs([("HOME", self.folder.path()), ("GIT_CONFIG_GLOBAL", Path::new("/dev/null"))])
            .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C"), ("TZ", "UTC")])
            .env_remove("SSH_AUTH_SOCK");
        command
    }

    /// Every object there is.
    pub(crate) fn objects(&self) -> Snapshot {
        let args = ["cat-file", "--batch-all-objects", "--batch=%(objectname) %(objecttype) %(objectsize)"];
        let listing = self.try_git(&args).stdout;
        let mut objects = HashMap::new();
        let mut rest = &listing[..];
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let mut words = str::from_utf8(&rest[..end]).unwrap().split(' ');
            let (name, kind, size) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            let data = &rest[end + 1..][..size.parse().unwrap()];
            rest = &rest[end + 1 + data.len() + 1..];
            let kind = match kind {
                "commit" => ObjectKind::Commit,
                "tree" => ObjectKind::Tree,
                "blob" => ObjectKind::Blob,
                _ => continue,
            };
            objects.insert(name.parse().unwrap(), Object { kind, data: data.to_vec() });
        }
        Snapshot(objects)
    }
}

/// A private key file and its `.pub`.
pub(crate) struct SecretKeyFile(PathBuf);

impl SecretKeyFile {
    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// An allowed_signers line for it.
    pub(crate) fn line(&self, principal: &str, options: &str) -> String {
        format!("{principal} {options} {}\n", self.public())
    }

    /// The line of its `.pub` file.
    pub(crate) fn public(&self) -> String {
        fs::read_to_string(self.0.with_extension("pub")).unwrap().trim_end().into()
    }

    /// A keyring of it alone.
    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::parse("root.keys", self.line("ops@plant-7", "").as_bytes()).unwrap()
    }

    fn sign_option(&self) -> String {
        format!("--gpg-sign={}", self.0.display())
    }
}

/// Objects in memory.
#[derive(Clone)]
pub(crate) struct Snapshot(pub(crate) HashMap<Oid, Object>);

impl Objects for Snapshot {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        match self.0.get(&id) {
            Some(object) if object.data.len() > limit => {
                Err(Error::new(Reason::FileTooLarge, "an object is too large"))
            }
            object => Ok(object.cloned()),
        }
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.0.contains_key(&id))
    }
}
