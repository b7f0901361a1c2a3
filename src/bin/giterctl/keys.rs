//! People's keys: public ones as a call gives them, and those that git and ssh-keygen can sign with here.

use std::{
    env, fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use giter_edge::{
    api::{Error, Reason, Result, limits},
    codec::pubkey::PublicKey,
};

use crate::git::Git;

/// A public key, and what its line says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicLine {
    pub(crate) key: PublicKey,
    /// The words after the key.
    pub(crate) comment: String,
}

impl PublicLine {
    /// The key that a call names: a file with the public or the private half, `-` for the standard input, or the text
    /// of a `.pub` file itself.
    ///
    /// # Errors
    ///
    /// `BadKeyFile`; a key of another type is refused by name.
    pub(crate) fn given(named: &str) -> Result<Self> {
        if named.contains(' ') && !Path::new(named).exists() {
            return Self::parse("the key", named);
        }
        if named != "-" {
            return Self::from_file(Path::new(named)).map(|(line, _)| line);
        }
        let mut text = String::new();
        let read = io::stdin().lock().take(limits::CONFIG_BYTES as u64).read_to_string(&mut text);
        read.map_err(|e| bad("cannot read a key from the standard input".into()).caused_by(e))?;
        Self::parse("the standard input", &text)
    }

    /// The key of a file, and where the file is.
    fn from_file(file: &Path) -> Result<(Self, PathBuf)> {
        let name = file.display().to_string();
        let unread = |e| bad(format!("cannot read the key {name}")).caused_by(e);
        let full = fs::canonicalize(file).map_err(unread)?;
        let text = read(&full).map_err(unread)?;
        let public = match text.starts_with("-----BEGIN") {
            true => public_of(&full)?,
            false => text,
        };
        Ok((Self::parse(&name, &public)?, full))
    }

    /// One line, `type base64 [comment]`; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// `BadKeyFile`.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let text = text.trim();
        if text.lines().count() > 1 {
            return Err(bad(format!("{name} holds more than one line")).hint("give one key at a time"));
        }
        let key = PublicKey::from_openssh(text).map_err(|e| bad(format!("{name} is not a key to use")).caused_by(e))?;
        let comment = text.split_ascii_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        Ok(Self { key, comment })
    }

    /// What the key is called where no better name is known: its comment, or else its fingerprint.
    pub(crate) fn name(&self) -> String {
        if self.comment.is_empty() { self.key.fingerprint() } else { self.comment.clone() }
    }
}

/// As in a `.pub` file.
impl fmt::Display for PublicLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, comment } = self;
        let space = if comment.is_empty() { "" } else { " " };
        write!(f, "{}{space}{comment}", key.to_openssh())
    }
}

/// A key whose private half is here, as far as one can tell without signing.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey {
    pub(crate) public: PublicLine,
    /// What git's `user.signingkey` has to be.
    pub(crate) setting: String,
}

impl SigningKey {
    /// The key of a file: its private half, or the public one of a key that lies beside it, in an agent or in hardware.
    ///
    /// # Errors
    ///
    /// `BadKeyFile`.
    pub(crate) fn from_file(file: &Path) -> Result<Self> {
        let (public, full) = PublicLine::from_file(file)?;
        Ok(Self { public, setting: full.display().to_string() })
    }

    /// The key that a call names: a file, or `key::` and the public half of one that an agent has.
    ///
    /// # Errors
    ///
    /// `BadKeyFile`.
    pub(crate) fn given(named: &str) -> Result<Self> {
        match literal(named) {
            Some(line) => Ok(Self { public: PublicLine::parse("the key", line)?, setting: named.into() }),
            None => Self::from_file(Path::new(named)),
        }
    }

    /// Whether the private half is known to be here: in the file, beside it or in the agent.
    pub(crate) fn is_at_hand(&self) -> bool {
        let file = Path::new(&self.setting);
        let is_beside = if is_public(file) { file.with_extension("").exists() } else { file.exists() };
        is_beside || Self::at_hand().iter().any(|key| key.public.key == self.public.key)
    }

    /// The key that git signs with, if it signs with ssh.
    ///
    /// # Errors
    ///
    /// `BadKeyFile`, `GitNotFound`.
    pub(crate) fn of_git(git: &Git) -> Result<Option<Self>> {
        if git.ask(&["config", "gpg.format"])? != Ok("ssh".into()) {
            return Ok(None);
        }
        let Ok(setting) = git.ask(&["config", "--type=path", "user.signingkey"])? else { return Ok(None) };
        match literal(&setting) {
            Some(line) => Ok(Some(Self { public: PublicLine::parse("user.signingkey", line)?, setting })),
            None => Self::from_file(Path::new(&setting)).map(Some),
        }
    }

    /// The public half, where the setting is that and not a file: the private one is in the agent then.
    pub(crate) fn literal(&self) -> Option<&str> {
        literal(&self.setting)
    }

    /// ssh's usual key, `~/.ssh/id_ed25519.pub`, if it is there.
    ///
    /// # Errors
    ///
    /// `BadKeyFile`.
    pub(crate) fn usual() -> Result<Option<Self>> {
        let file = ssh_folder().map(|folder| folder.join("id_ed25519.pub")).filter(|file| file.exists());
        file.map(|file| Self::from_file(&file)).transpose()
    }

    /// The keys in `~/.ssh` whose private half lies beside them, and those of the agent. What is no key of an accepted
    /// type is passed over.
    pub(crate) fn at_hand() -> Vec<Self> {
        let entries = ssh_folder().and_then(|folder| fs::read_dir(folder).ok());
        let files = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        let mut pairs: Vec<_> = files.filter(|file| is_public(file) && file.with_extension("").exists()).collect();
        pairs.sort();
        let mut keys: Vec<_> = pairs.iter().filter_map(|file| Self::from_file(file).ok()).collect();
        for line in in_agent().lines() {
            let Ok(public) = PublicLine::parse("the agent's key", line) else { continue };
            if keys.iter().all(|key| key.public.key != public.key) {
                keys.push(Self { setting: format!("key::{}", public.key.to_openssh()), public });
            }
        }
        keys
    }
}

/// What git takes for a key itself (gitconfig(5), `user.signingKey`).
fn literal(setting: &str) -> Option<&str> {
    setting.strip_prefix("key::").or(setting.starts_with("ssh-").then_some(setting))
}

fn is_public(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "pub")
}

fn ssh_folder() -> Option<PathBuf> {
    env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh"))
}

/// The agent's public keys, a line each; none where there is no agent.
fn in_agent() -> String {
    let listed = Command::new("ssh-add").arg("-L").stdin(Stdio::null()).output();
    let listed = listed.ok().filter(|listed| listed.status.success());
    listed.map(|listed| String::from_utf8_lossy(&listed.stdout).into_owned()).unwrap_or_default()
}

fn read(file: &Path) -> io::Result<String> {
    let size = fs::metadata(file)?.len();
    if size > limits::CONFIG_BYTES as u64 {
        return Err(io::Error::other("it is too long for a key"));
    }
    fs::read_to_string(file)
}

/// The public half of a private key.
fn public_of(file: &Path) -> Result<String> {
    let output = Command::new("ssh-keygen").arg("-y").arg("-f").arg(file).stderr(Stdio::inherit()).output();
    let failed = || bad(format!("ssh-keygen cannot read the key {}", file.display()));
    let output =
        output.map_err(|e| failed().hint("install OpenSSH's ssh-keygen, which git signs with").caused_by(e))?;
    if output.status.success() { Ok(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Err(failed()) }
}

fn bad(what: String) -> Error {
    Error::new(Reason::BadKeyFile, what).hint("make one with: ssh-keygen -t ed25519; or name the file of another")
}
