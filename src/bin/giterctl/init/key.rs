//! The publisher's key: given, or the one that git signs with, or ssh's usual one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use giter_edge::api::{Error, Reason, Result, limits};

use crate::git::Git;

/// A key that the publisher can sign with.
pub(super) struct Key {
    /// Its public half, `ssh-ed25519 AAAA...`.
    pub(super) public: String,
    /// What git's `user.signingkey` has to be.
    pub(super) setting: String,
}

impl Key {
    /// # Errors
    ///
    /// `BadKeyFile`, with how to make a key.
    pub(super) fn find(git: &Git, given: Option<&Path>) -> Result<Self> {
        if let Some(file) = given {
            return Self::from_file(file);
        }
        let is_ssh = git.ask(&["config", "gpg.format"])? == Ok("ssh".into());
        if is_ssh && let Ok(setting) = git.ask(&["config", "--type=path", "user.signingkey"])? {
            let literal = setting.strip_prefix("key::").unwrap_or(&setting);
            return match literal.starts_with("ssh-") {
                true => Ok(Self { public: ed25519("user.signingkey", literal)?, setting }),
                false => Self::from_file(Path::new(&setting)),
            };
        }
        let usual = env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh/id_ed25519.pub"));
        match usual.filter(|file| file.exists()) {
            Some(file) => Self::from_file(&file),
            None => Err(bad("there is no SSH key to sign with".into())),
        }
    }

    /// A key file's public half, or its private one with the public one beside or inside it.
    fn from_file(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        let unread = |e| bad(format!("cannot read the key {name}")).caused_by(e);
        let full = fs::canonicalize(file).map_err(unread)?;
        let text = read(&full).map_err(unread)?;
        let public = match text.starts_with("-----BEGIN") {
            true => public_of(&full)?,
            false => text,
        };
        Ok(Self { public: ed25519(&name, &public)?, setting: full.display().to_string() })
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let size = fs::metadata(file)?.len();
    if size > limits::CONFIG_BYTES as u64 {
        return Err(std::io::Error::other("it is too long for a key"));
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

/// The first two words, if they are a key of the type that devices accept.
fn ed25519(name: &str, public: &str) -> Result<String> {
    match public.split_whitespace().collect::<Vec<_>>()[..] {
        [kind @ "ssh-ed25519", key, ..] if key.len() == 68 => Ok(format!("{kind} {key}")),
        _ => Err(bad(format!("{name} is not an SSH key of the type ssh-ed25519"))),
    }
}

fn bad(what: String) -> Error {
    Error::new(Reason::BadKeyFile, what).hint("make one with: ssh-keygen -t ed25519; or name one with --key FILE")
}
