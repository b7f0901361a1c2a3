//! Which keys are the devices': those that the exchange's `Device` resources name, and the lines of an allowed_signers
//! file whose principals end in `@giter`.

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
    /// The keys that the exchange names, and those of the file, or else of the one that the repository's git verifies
    /// with, `gpg.ssh.allowedSignersFile`. Where the exchange names any, there need not be a file.
    ///
    /// # Errors
    ///
    /// `BadSigners` if nothing names a key, the file cannot be read, or a line that names a device is not understood.
    pub(crate) fn find(git: &Git, given: Option<PathBuf>, named: Keyring) -> Result<Self> {
        let file = match (given, configured(git)?) {
            (Some(file), _) | (None, Some(file)) => file,
            (None, None) if !named.signers().is_empty() => return Ok(Self(named)),
            (None, None) => return Err(bad("nothing says which keys are the devices'".into()).hint(HINT)),
        };
        let name = file.display().to_string();
        let mut bytes = Vec::new();
        File::open(&file)
            .and_then(|file| file.take(limits::FLEET_SIGNERS_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|e| bad(format!("cannot read {name}")).hint(HINT).caused_by(e))?;
        let listed = Keyring::parse_fleet(&name, &bytes, PLACE)?;
        Ok(Self(Keyring::new([named.signers(), listed.signers()].concat())))
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

const HINT: &str = "enrol the devices, with giterctl approve; or name a file with their public keys: --signers FILE, or git \
    config gpg.ssh.allowedSignersFile; a line of it reads: DEVICE@giter namespaces=\"git\" ssh-ed25519 AAAA...";

/// git reads a relative name from the top of the working tree.
fn configured(git: &Git) -> Result<Option<PathBuf>> {
    let Ok(file) = git.ask(&["config", "--type=path", "gpg.ssh.allowedSignersFile"])? else { return Ok(None) };
    let top = git.ask(&["rev-parse", "--show-toplevel"])?;
    let top = match top {
        Ok(top) => top,
        Err(_) => git.run(&["rev-parse", "--absolute-git-dir"])?,
    };
    Ok(Some(Path::new(&top).join(file)))
}

fn bad(what: String) -> Error {
    Error::new(Reason::BadSigners, what)
}
