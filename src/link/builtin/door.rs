//! What is asked at a hub's door: who the hub is, and who this device is.
//!
//! The hub shows its key first, which known_hosts must have; only then the device shows its own. One key is offered,
//! once, and no password.

use std::{fs::File, io::Read, path::Path};

use sunset::{OwnedSig, PubKey, SignKey, event, sshwire};

use super::{Place, session::broken};
use crate::{
    api::{Error, Reason, Result, limits},
    codec::{
        keyfile::SecretKey,
        known_hosts::{self, HostName, Standing},
        pubkey::PublicKey,
    },
    link::check_identity,
};

/// More than is signed to log in (RFC 4252 section 7): names, the session's id and the public key.
const SIGNED_BYTES: usize = 1024;

/// How far the device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing was shown.
    Outside,
    /// The device's key was offered.
    Offered,
    /// What the hub asked to be signed with it was signed.
    Signed,
    /// The hub has let the device in.
    Inside,
}

/// The answers on one connection.
pub(super) struct Door {
    place: Place,
    key: SecretKey,
    stage: Stage,
    /// The hub's key, once it was found to be one.
    host_key: Option<PublicKey>,
}

impl Door {
    /// A door that nobody has knocked at.
    ///
    /// # Errors
    ///
    /// `BadKeyFile` if the device's SSH key cannot be used.
    pub(super) fn new(place: &Place) -> Result<Self> {
        let key = read_key(&place.identity)?;
        Ok(Self { place: place.clone(), key, stage: Stage::Outside, host_key: None })
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// The account to log in to.
    pub(super) fn user(&self) -> &str {
        &self.place.user
    }

    /// Takes the hub's key or refuses it, at the first key exchange and at each that the hub begins later.
    pub(super) fn meet(&mut self, check: event::CheckHostkey<'_, '_>) -> Result<()> {
        let bytes = match check.hostkey().map_err(broken)? {
            PubKey::Ed25519(key) => Some(key.key.0),
            _ => None,
        };
        let key = bytes.and_then(|bytes| PublicKey::new(&bytes).ok()).ok_or_else(|| {
            Error::new(Reason::HostKeyRefused, format!("the host key of {} proves nothing", self.place.url))
        })?;
        if self.host_key != Some(key) {
            self.judge(&key)?;
        }
        self.host_key = Some(key);
        check.accept().map_err(broken)
    }

    /// Offers the device's key, unless it was offered already.
    pub(super) fn offer(&mut self, request: event::RequestPubkey<'_, '_>) -> Result<()> {
        if self.stage != Stage::Outside {
            return Err(self.refused("it does not accept this device's SSH key"));
        }
        self.stage = Stage::Offered;
        let blob = self.key.public().to_blob();
        let (key, _) = sshwire::read_ssh(&blob, None).map_err(broken)?;
        request.pubkey(SignKey::from_agent_pubkey(&key).map_err(broken)?).map_err(broken)
    }

    /// Signs what the hub wants to be signed. The private key stays here.
    pub(super) fn sign(&mut self, request: event::RequestSign<'_, '_>) -> Result<()> {
        let mut message = [0; SIGNED_BYTES];
        let length = sshwire::write_ssh(&mut message, &request.message().map_err(broken)?).map_err(broken)?;
        self.stage = Stage::Signed;
        request.signed(&OwnedSig::Ed25519(self.key.sign(&message[..length]))).map_err(broken)
    }

    /// The hub let the device in.
    pub(super) fn enter(&mut self) {
        self.stage = Stage::Inside;
    }

    /// The hub wants what this device does not have.
    pub(super) fn refused(&self, why: &str) -> Error {
        let hint = "add the public key to the account's authorized_keys at the hub";
        Error::new(Reason::SshKeyRefused, format!("{} does not accept this device's SSH key", self.place.url))
            .caused_by(why.to_owned())
            .hint(hint)
    }

    fn judge(&self, key: &PublicKey) -> Result<()> {
        let Place { url, known_hosts, .. } = &self.place;
        let file = known_hosts.display().to_string();
        let refuse = |what: String, hint: String| Err(Error::new(Reason::HostKeyRefused, what).hint(hint));
        let text = read(known_hosts, limits::KNOWN_HOSTS_BYTES).map_err(|e| {
            Error::new(Reason::HostKeyRefused, format!("cannot read {file}, which has the host key of {url}"))
                .caused_by(e)
                .hint(scan(&self.place))
        })?;
        let name = HostName::new(url.host(), url.port());
        let unknown = format!("the host key of {url} is not in {file}");
        match known_hosts::look_up(&file, &text, &name, key)? {
            Standing::Known => Ok(()),
            Standing::Revoked(line) => refuse(
                format!("the host key of {url} is revoked by {file}:{line}"),
                "whoever answers there has a key that must not be trusted: give the hub a new one".to_owned(),
            ),
            Standing::Another => refuse(
                format!("the host key of {url} is not the one in {file}"),
                format!("if the hub has a new key: take the old one out, then {}", scan(&self.place)),
            ),
            Standing::OtherType(kind) => refuse(
                format!("{unknown}, which has a key of type {kind} alone"),
                format!("the builtin client compares ed25519 keys: {}", scan(&self.place)),
            ),
            Standing::AuthorityOnly => refuse(
                format!("{unknown}, which has a @cert-authority alone"),
                format!("the builtin client reads no host certificates: {}", scan(&self.place)),
            ),
            Standing::Unknown => refuse(unknown, scan(&self.place)),
        }
    }
}

/// How a host key comes into known_hosts.
pub(super) fn scan(place: &Place) -> String {
    let (host, port, file) = (place.url.host(), place.url.port().unwrap_or(22), place.known_hosts.display());
    format!("`ssh-keyscan -t ed25519 -p {port} {host} >> {file}`, once it is compared with the hub's /etc/ssh/*.pub")
}

fn read_key(path: &Path) -> Result<SecretKey> {
    check_identity(path)?;
    let name = path.display().to_string();
    let text = read(path, limits::CONFIG_BYTES).map_err(|e| {
        Error::new(Reason::BadKeyFile, format!("cannot read the SSH key {name}"))
            .caused_by(e)
            .hint("run giterd as the key's owner")
    })?;
    SecretKey::from_openssh(&name, &zeroize::Zeroizing::new(text))
}

/// A file's bytes, one more than `limit` at most.
fn read(path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
