//! A device that has accepted one commit, and the bundle that brings the next.

use std::{fs, path::PathBuf};

use giter_edge::api::Oid;

use super::common::{
    device::{Device, Run},
    exchange::{DEVICE, Exchange, status_ref},
};

/// Where the stick is mounted, below the device's folder.
pub(crate) const STICK: &str = "stick";

/// A publisher and a device that meet by sticks alone.
pub(crate) struct Site {
    pub(crate) exchange: Exchange,
    pub(crate) device: Device,
}

impl Site {
    pub(crate) fn new() -> Self {
        let exchange = Exchange::new();
        let device = Device::new(&exchange, "unused");
        device.write_config(&device.config().replace("url = \"unused\"\n", ""));
        fs::create_dir(device.name(STICK)).unwrap();
        let site = Self { exchange, device };
        let first = site.commit("one");
        site.bundle(&["main"]);
        let run = site.device.run(&["sync", "--bundle", &site.carried().display().to_string()]);
        assert_eq!((run.exit, site.says()), (Some(0), "one".into()), "{}", run.err);
        site.commit("two");
        site.bundle(&[&format!("{first}..main")]);
        site
    }

    fn commit(&self, content: &str) -> Oid {
        self.exchange.publish_file(&self.device.name("files/motd"), content)
    }

    fn bundle(&self, what: &[&str]) {
        let file = self.carried().display().to_string();
        self.exchange.hub.git(&[&["bundle", "create", "--quiet", &file], what].concat());
    }

    /// The bundle that is to be carried.
    pub(crate) fn carried(&self) -> PathBuf {
        self.exchange.beside("carried.bundle")
    }

    /// The line that mounts a stick and puts the bundle on it, in a script for [`Device::mount`].
    pub(crate) fn mount(&self, mount: &str) {
        let to = format!("{STICK}/GITER/unnamed/to-device");
        let bundle = self.carried().display().to_string();
        self.device.mount(&format!("{mount}\nmkdir -p {to}\ncp '{bundle}' {to}/{DEVICE}.bundle"));
    }

    pub(crate) fn visit(&self) -> Run {
        self.device.run(&["sync", "--stick", &self.device.name(STICK).display().to_string()])
    }

    pub(crate) fn says(&self) -> String {
        fs::read_to_string(self.device.path("files/motd")).unwrap()
    }

    /// The file by which the stick takes statuses along.
    pub(crate) fn statuses(&self) -> PathBuf {
        self.device.path(&format!("{STICK}/GITER/unnamed/from-device/{DEVICE}.bundle"))
    }

    /// That the statuses on the stick are whole, and that git takes them.
    pub(crate) fn check_statuses(&self) {
        let bundle = self.statuses().display().to_string();
        self.exchange.hub.git(&["fetch", "--quiet", &bundle, &format!("+{0}:{0}", status_ref())]);
    }
}
