//! A device that has accepted one commit, and a stick that brings the next.

use std::{fs, path::PathBuf};

use super::common::{
    exchange::Exchange,
    stick::{STICK, Site},
};

impl Site {
    /// A site whose device has accepted one commit, and the bundle of the next, which is still to be carried.
    pub(crate) fn waiting() -> Self {
        let site = Self::waiting_with(Exchange::new());
        // FUSE mounts on nothing but an empty folder.
        fs::remove_dir_all(site.device.path(STICK).join("GITER")).unwrap();
        site
    }

    /// Likewise, of this exchange.
    pub(crate) fn waiting_with(exchange: Exchange) -> Self {
        let site = Self::with(exchange);
        let first = site.commit("one");
        site.bundle(&site.carried(), &["main"]);
        let run = site.take(&site.carried());
        assert_eq!((run.exit, site.says()), (Some(0), "one".into()), "{}", run.err);
        site.commit("two");
        site.bundle(&site.carried(), &[&format!("{first}..main")]);
        site
    }

    /// The bundle that is to be carried.
    pub(crate) fn carried(&self) -> PathBuf {
        self.exchange.beside("carried.bundle")
    }

    /// Plugs a stick in, which a script mounts, and puts the bundle on it.
    pub(crate) fn plug(&self, mount: &str) {
        let to = format!("{STICK}/GITER/unnamed/to-device");
        self.device.mount(&format!("{mount}\nmkdir -p {to}\ncp ../carried.bundle {to}/pump-07.bundle"));
    }
}
