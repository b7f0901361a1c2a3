//! Who logged in: the SSH key in force, where sshd tells it.
//!
//! With `ExposeAuthInfo yes` sshd names a file in `SSH_USER_AUTH` that has a line for each method that was passed
//! (sshd_config(5)), such as `publickey ssh-ed25519 AAAA...`. Keys of other types and certificates are nobody's here, and
//! signatures alone count then. What `giterctl serve` says of the device that it serves narrows that down further.

use std::{cell::OnceCell, env, fs::File, io::Read};

use giter_edge::{
    api::{DeviceId, Error, Reason, Result, limits},
    codec::pubkey::PublicKey,
};

use super::{
    fleet::Fleet,
    hub::{Hub, Sort},
};
use crate::serve;

/// The keys with which somebody logged in.
pub(super) struct Login {
    /// As `ssh-ed25519 AAAA...`, of whatever type.
    keys: Vec<String>,
    /// Whether one of them is a root's or publisher's.
    is_trusted: bool,
    /// The devices that are known by one of them; the whole fleet is asked once, if at all.
    devices: OnceCell<Vec<DeviceId>>,
    /// The device that `giterctl serve` serves, whatever the keys.
    served: Option<DeviceId>,
}

impl Login {
    /// The login that this process serves; one without keys, where sshd does not tell.
    ///
    /// # Errors
    ///
    /// `BadConfig` if what sshd or `giterctl serve` tells cannot be read.
    pub(super) fn from_env(hub: &Hub<'_>) -> Result<Self> {
        let served = served()?;
        let Some(path) = env::var_os("SSH_USER_AUTH") else {
            return Ok(Self { keys: Vec::new(), is_trusted: false, devices: OnceCell::new(), served });
        };
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(limits::CONFIG_BYTES as u64).read_to_string(&mut text))
            .map_err(|e| Error::new(Reason::BadConfig, "cannot read what sshd tells of the login").caused_by(e))?;
        let keys: Vec<String> = keys(&text);
        let is_trusted =
            |key: &String| PublicKey::from_openssh(key).is_ok_and(|key| hub.standing.holder(&key, hub.now).is_some());
        Ok(Self { is_trusted: keys.iter().any(is_trusted), keys, devices: OnceCell::new(), served })
    }

    /// Whether a root or publisher logged in.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Whether this login may change such a ref, whatever is signed: a device may only change its own and those of devices
    /// that it carries for, and where a Device resource names SSH keys, only they may change that device's status beside.
    ///
    /// # Errors
    ///
    /// `RefNotAllowed`.
    pub(super) fn check(&self, hub: &Hub<'_>, sort: &Sort) -> Result<()> {
        let own = match sort {
            Sort::Status(device) | Sort::Request(device) => Some(device),
            Sort::Branch | Sort::Review | Sort::Other => None,
        };
        if let Some(served) = self.served.as_ref().filter(|served| own != Some(served)) {
            return match own {
                Some(own) if hub.is_carried(own, std::slice::from_ref(served))? => Ok(()),
                _ => Err(not_its_own(hub, "the forced command of the SSH key that logged in is", served)),
            };
        }
        if self.is_trusted || self.keys.is_empty() {
            return Ok(());
        }
        if let Sort::Status(device) = sort {
            return self.check_status(hub, device);
        }
        let devices = self.devices(hub)?;
        match devices.first() {
            None => Ok(()),
            Some(_) if own.is_some_and(|own| devices.contains(own)) => Ok(()),
            Some(holder) => match own {
                Some(own) if hub.is_carried(own, devices)? => Ok(()),
                _ => Err(not_its_own(hub, "the SSH key that logged in is", holder)),
            },
        }
    }

    /// The whole fleet is not asked for each status: that another device cannot sign it is enough.
    fn check_status(&self, hub: &Hub<'_>, device: &DeviceId) -> Result<()> {
        let Some(says) = hub.device(device)? else { return Ok(()) };
        let status_keys = says.status_keys.iter().map(|key| &key.key);
        let is_own = says.ssh_keys.iter().chain(status_keys).any(|key| self.keys.contains(&without_comment(key)));
        if is_own || says.ssh_keys.is_empty() || hub.is_carried(device, self.devices(hub)?)? {
            return Ok(());
        }
        let fingerprints: Vec<String> = self.public().iter().map(PublicKey::fingerprint).collect();
        let what = format!("the SSH key that logged in, {}, is none of those of {device}", fingerprints.join(", "));
        Err(Error::new(Reason::RefNotAllowed, what)
            .hint(format!("push with a key that the Device of {device} names in sshKeys, or name this one there")))
    }

    fn devices(&self, hub: &Hub<'_>) -> Result<&[DeviceId]> {
        if let Some(devices) = self.devices.get() {
            return Ok(devices);
        }
        let holders = match hub.tree() {
            Some(tree) => Fleet::of(hub.git, tree)?.holders(hub.objects, &self.public())?,
            None => Vec::new(),
        };
        Ok(self.devices.get_or_init(|| holders.into_iter().map(|(holder, _)| holder).collect()))
    }

    fn public(&self) -> Vec<PublicKey> {
        self.keys.iter().filter_map(|key| PublicKey::from_openssh(key).ok()).collect()
    }
}

/// The device that `giterctl serve` serves, if it is it that git was started by.
fn served() -> Result<Option<DeviceId>> {
    let Some(named) = env::var_os(serve::DEVICE) else { return Ok(None) };
    let device = named.to_str().and_then(|name| name.parse().ok());
    let invalid = || Error::new(Reason::BadConfig, format!("{} names no device: {named:?}", serve::DEVICE));
    device.map(Some).ok_or_else(|| invalid().hint("let giterctl serve alone set it"))
}

fn not_its_own(hub: &Hub<'_>, who: &str, device: &DeviceId) -> Error {
    Error::new(Reason::RefNotAllowed, format!("{who} the one of the device {device}"))
        .hint(format!(
            "a device pushes its own refs alone, {}/{device}, and those of the devices that its Device names in relays; log \
             in with a publisher's key",
            hub.statuses
        ))
}

fn keys(text: &str) -> Vec<String> {
    let key = |line: &str| line.strip_prefix("publickey ").map(without_comment);
    text.lines().filter_map(key).take(limits::LOGIN_KEYS).collect()
}

fn without_comment(key: &str) -> String {
    key.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sshd_tells_is_read() {
        let text = "password\npublickey ssh-ed25519 AAAA me@here\npublickey ssh-rsa BBBB\nhostbased x\n";
        assert_eq!(keys(text), ["ssh-ed25519 AAAA", "ssh-rsa BBBB"]);
        assert_eq!(keys(&"publickey a b\n".repeat(limits::LOGIN_KEYS + 1)).len(), limits::LOGIN_KEYS);
    }
}
