//! Which keys are the devices': the lines of an allowed_signers file whose principals end in `@giter`.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{
        DeviceId, Error, Reason, Result,
        device::{PLACE, principal},
        limits,
    },
    codec::signers::Keyring,
};

use crate::git::Git;

/// The keys of a fleet.
pub(crate) struct DeviceKeys(Keyring);

impl DeviceKeys {
    /// Reads the file, or else the one that the repository's git verifies with, `gpg.ssh.allowedSignersFile`.
    ///
    /// # Errors
    ///
    /// `BadSigners` if there is none, it cannot be read, or a line that names a device is not understood.
    pub(crate) fn find(git: &Git, given: Option<PathBuf>) -> Result<Self> {
        let file = match given {
            Some(file) => file,
            None => configured(git)?,
        };
        let name = file.display().to_string();
        let mut bytes = Vec::new();
        File::open(&file)
            .and_then(|file| file.take(limits::FLEET_SIGNERS_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|e| bad(format!("cannot read {name}")).hint(HINT).caused_by(e))?;
        Keyring::parse_fleet(&name, &bytes, PLACE).map(Self)
    }

    /// The keys that are a device's.
    pub(crate) fn of(&self, device: &DeviceId) -> Keyring {
        self.0.of(&principal(device))
    }

    /// All of them.
    pub(crate) fn all(&self) -> &Keyring {
        &self.0
    }
}

const HINT: &str = "name the file with the devices' public keys: --signers FILE, or git config \
    gpg.ssh.allowedSignersFile; a line of it reads: DEVICE@giter namespaces=\"git\" ssh-ed25519 AAAA...";

/// git reads a relative name from the top of the working tree.
fn configured(git: &Git) -> Result<PathBuf> {
    let setting = git.ask(&["config", "--type=path", "gpg.ssh.allowedSignersFile"])?;
    let file = setting.map_err(|_| bad("nothing says which keys are the devices'".into()).hint(HINT))?;
    let top = git.ask(&["rev-parse", "--show-toplevel"])?;
    let top = match top {
        Ok(top) => top,
        Err(_) => git.run(&["rev-parse", "--absolute-git-dir"])?,
    };
    Ok(Path::new(&top).join(file))
}

fn bad(what: String) -> Error {
    Error::new(Reason::BadSigners, what)
}
