//! The device's own keys: the one that signs its statuses, and the one that opens the hub. They are made here, and never
//! leave.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use giter_edge::{
    api::{DeviceId, Error, Reason, Result, device::principal},
    cli,
    codec::{config::Config, keyfile::SecretKey, pubkey::PublicKey},
    disk::{
        StateLock,
        atomic::{self, Access},
        folder,
    },
    link,
};
use zeroize::Zeroizing;

use crate::device;

/// What a device asks with.
pub struct Keys {
    /// The key that signs.
    pub status: SecretKey,
    /// When it was made, in seconds since 1970, as far as its file knows.
    pub made: i64,
    /// The public half of the key that opens the hub, where it can be told.
    pub ssh: Option<PublicKey>,
}

impl Keys {
    /// The keys that the configuration names; those that are missing are made.
    ///
    /// # Errors
    ///
    /// `BadKeyFile`, `DiskFull`, `StateReadOnly`; `StateLocked` if another giterd makes keys.
    pub fn find_or_make(config: &Config) -> Result<Self> {
        let path = &config.status.key;
        make_if_missing(config, path)?;
        let status = device::read_key(path)?;
        let made = fs::metadata(path).map_or(0, |about| about.mtime());
        let ssh = match &config.link.identity {
            Some(identity) => {
                make_if_missing(config, identity)?;
                public_half(identity)
            }
            None => None,
        };
        Ok(Self { status, made, ssh })
    }
}

/// The public half of the SSH key, if it is one that a request can hold.
fn public_half(identity: &Path) -> Option<PublicKey> {
    let read = link::check_identity(identity).and_then(|()| {
        let failed = |e| Error::new(Reason::BadKeyFile, format!("cannot read {}", identity.display())).caused_by(e);
        SecretKey::from_openssh(&identity.display().to_string(), &Zeroizing::new(fs::read(identity).map_err(failed)?))
    });
    read.map(|key| key.public())
        .inspect_err(|error| cli::talk(format_args!("the SSH key is not in the request: {}", error.one_line())))
        .ok()
}

fn make_if_missing(config: &Config, path: &Path) -> Result<()> {
    // A link that leads nowhere is there, too: nothing is put in its place.
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    // Two that make one key at a time would each be left with half of the work.
    let _lock = StateLock::take(&config.state)?;
    match make(&config.device, path) {
        Ok(()) => cli::talk(format_args!("made the key {}", path.display())),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => {
            let error = Error::io(Reason::BadKeyFile, format!("cannot make the key {}", path.display()), e);
            return Err(error.hint("run this as giterd's user, who has to be able to write to that folder"));
        }
    }
    Ok(())
}

/// Makes an ed25519 key: whole, durable, and from the first moment on for nobody else.
fn make(device: &DeviceId, path: &Path) -> io::Result<()> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(io::Error::other)?;
    let text = SecretKey::from_seed(&seed).to_openssh(&principal(device)).map_err(io::Error::other)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder::make(folder, 0o755)?;
    atomic::create(File::open(folder)?, name, text.as_bytes(), Access::PRIVATE)
}
