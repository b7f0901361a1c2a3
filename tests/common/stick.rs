//! A publisher and a device that meet by sticks alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use giter_edge::api::Oid;

use super::{
    device::{Device, Run},
    exchange::{DEVICE, Exchange, status_ref},
    hub::isolated,
};

/// Where the stick is, seen from the device's folder: there it is mounted, by tests that do.
pub(crate) const STICK: &str = "../stick";

/// A publisher, a device without a way to the hub, and a stick.
pub(crate) struct Site {
    pub(crate) exchange: Exchange,
    pub(crate) device: Device,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Exchange::new())
    }

    /// A site of this exchange.
    pub(crate) fn with(exchange: Exchange) -> Self {
        let device = Device::new(&exchange, "unused");
        device.write_config(&device.config().replace("url = \"unused\"\n", ""));
        let site = Self { exchange, device };
        fs::create_dir_all(site.stick("to-device")).unwrap();
        site
    }

    /// A site whose device has accepted a commit by stick.
    pub(crate) fn begun() -> (Self, Oid) {
        Self::begun_with(Exchange::new())
    }

    /// Likewise, of this exchange.
    pub(crate) fn begun_with(exchange: Exchange) -> (Self, Oid) {
        let site = Self::with(exchange);
        let first = site.commit("one");
        site.bundle(&site.own(), &["main"]);
        site.taken(first, "one");
        (site, first)
    }

    /// Names the device's key, with the next commit.
    pub(crate) fn approve(&self) {
        let key = fs::read_to_string(self.exchange.beside("device.pub")).unwrap();
        let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let says = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Device\nmetadata: {{name: {DEVICE}}}\n\
             spec:\n  statusKeys:\n  - key: {}\n",
            key.trim()
        );
        self.exchange.write(&format!("specs/{DEVICE}/device.yaml"), says);
    }

    /// One more commit that makes the file say so.
    pub(crate) fn commit(&self, content: &str) -> Oid {
        self.exchange.publish_file(&self.device.name("files/motd"), content)
    }

    pub(crate) fn says(&self) -> String {
        fs::read_to_string(self.device.path("files/motd")).unwrap_or_default()
    }

    /// A path on the stick that the device sees, below the exchange's folder.
    pub(crate) fn stick(&self, path: &str) -> PathBuf {
        self.device.path(STICK).join("GITER/unnamed").join(path)
    }

    /// The bundle for the device alone.
    pub(crate) fn own(&self) -> PathBuf {
        self.stick(&format!("to-device/{DEVICE}.bundle"))
    }

    /// The file by which the stick takes statuses along.
    pub(crate) fn statuses(&self) -> PathBuf {
        self.stick(&format!("from-device/{DEVICE}.bundle"))
    }

    /// Lets git bundle something of the hub into a file.
    pub(crate) fn bundle(&self, file: &Path, arguments: &[&str]) {
        let create = ["bundle", "create", "--quiet"];
        let (options, what): (Vec<&str>, _) = arguments.iter().partition(|argument| argument.starts_with("--version"));
        self.exchange.hub.git(&[&create, &options[..], &[&*file.display().to_string()], &what[..]].concat());
    }

    /// Runs `giterctl` in the publisher's work tree.
    pub(crate) fn giterctl(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_giterctl"));
        Run::of(isolated(&mut command).arg("-C").arg(self.exchange.work()).args(arguments))
    }

    /// The device meets the stick.
    pub(crate) fn visit(&self) -> Run {
        self.device.run(&["sync", "-o", "json", "--stick", &self.exchange.beside("stick").display().to_string()])
    }

    /// Likewise, with one bundle.
    pub(crate) fn take(&self, bundle: &Path) -> Run {
        self.device.run(&["sync", "-o", "json", "--bundle", &bundle.display().to_string()])
    }

    /// A visit that is refused so; nothing of it is applied.
    pub(crate) fn refused(&self, reason: &str, exit: i32) -> Run {
        let before = self.says();
        let run = self.visit();
        assert_eq!((run.said("reason"), run.exit), (reason, Some(exit)), "{}", run.err);
        assert_eq!(self.says(), before);
        run
    }

    /// A visit that takes a commit.
    pub(crate) fn taken(&self, commit: Oid, says: &str) -> serde_json::Value {
        let run = self.visit();
        assert_eq!(run.exit, Some(0), "{}", run.err);
        let said: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!((&said["revision"], &said["advanced"]), (&commit.to_string().into(), &true.into()), "{}", run.out);
        assert_eq!(self.says(), says);
        said
    }

    /// What the stick takes along is brought to the hub by git itself, if that has what it builds on.
    pub(crate) fn bring(&self) -> Oid {
        let bundle = self.statuses().display().to_string();
        self.exchange.hub.git(&["bundle", "verify", "--quiet", &bundle]);
        let refs = format!("+{0}:{0}", status_ref());
        self.exchange.hub.git(&["fetch", "--quiet", &bundle, &refs]);
        self.exchange.status().unwrap()
    }

    /// The statuses that the hub has.
    pub(crate) fn chain(&self) -> usize {
        self.exchange.hub.git(&["rev-list", "--count", &status_ref()]).parse().unwrap()
    }
}
