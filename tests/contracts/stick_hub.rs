//! A hub that is reached by a stick alone: git bundles all that it has, and takes what the stick brings back.

use std::{fs, path::PathBuf};

use giter_edge::{
    api::{Oid, Reason, ledger::Record},
    git::outbox,
    link::{
        StickLink,
        stick::{Place, Settings, medium::Folder},
    },
    reconcile::ports::{Carried, Link},
};

use crate::{
    file_hub::FileHub,
    link::Hub,
    support::{device, git, snapshot},
};

const STATUS_REF: &str = "refs/giter/status/dev";

/// A hub, and the stick that goes to and fro.
pub(crate) struct StickHub {
    hub: FileHub,
    stick: PathBuf,
}

impl StickHub {
    /// An empty hub in a folder that does not exist yet, and an empty stick.
    pub(crate) fn new(folder: PathBuf) -> Self {
        let stick = folder.join("stick");
        fs::create_dir_all(stick.join("GITER/unnamed/to-device")).unwrap();
        Self { hub: FileHub::new(folder), stick }
    }

    fn path(&self, path: &str) -> String {
        self.stick.join("GITER/unnamed").join(path).display().to_string()
    }

    /// The stick comes home, and goes out again.
    fn carry(&self) {
        let home = self.path("from-device/dev.bundle");
        if fs::exists(&home).unwrap() {
            git(self.hub.path(), &["fetch", "-q", &home, &format!("+{STATUS_REF}:{STATUS_REF}")]);
        }
        if !git(self.hub.path(), &["for-each-ref"]).is_empty() {
            git(self.hub.path(), &["bundle", "create", "-q", &self.path("to-device/dev.bundle"), "--all"]);
        }
    }
}

impl Hub for StickHub {
    fn link(&self) -> Box<dyn Link + '_> {
        self.carry();
        let settings =
            Settings { device: device().clone(), branch: "main".into(), status_ref: STATUS_REF.into(), exchange: None };
        Box::new(StickLink::open(Place::Stick(Folder::at(&self.stick).unwrap()), &settings, &Record::default()))
    }

    fn commit(&mut self, branch: &str, files: &[(&str, &str)]) -> Oid {
        self.hub.commit(branch, files)
    }

    fn rewind(&mut self, to: Oid) {
        self.hub.rewind(to);
    }

    fn status(&self) -> Option<Oid> {
        self.carry();
        self.hub.status()
    }

    fn brings_history(&self) -> bool {
        true
    }
}

/// What a stick says where a hub would say that it is empty, or has no such branch.
#[test]
fn a_stick_without_the_branch_has_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = StickHub::new(folder.path().join("hub"));
    assert_eq!(hub.link().list().unwrap_err().reason(), Reason::BundleNotFound);
    hub.commit("other", &[("exchange.yaml", "one")]);
    let mut link = hub.link();
    assert_eq!(link.list().unwrap_err().reason(), Reason::BundleNotFound);
    assert_eq!(link.carried(), Some(Carried::default()), "it takes statuses all the same");
}

/// What a stick does where a hub would compare and swap: it has no ref, and what is published is all that it takes along.
#[test]
fn a_stick_takes_along_what_was_published_last() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = StickHub::new(folder.path().join("hub"));
    hub.commit("main", &[("exchange.yaml", "one")]);
    let first = snapshot(b"status one", &[]);
    let second = snapshot(b"status two", &[first[2].id]);
    let mut link = hub.link();
    link.list().unwrap();
    link.publish(None, first[2].id, &first).unwrap();
    link.publish(None, second[2].id, &[first.clone(), second.clone()].concat()).unwrap();
    assert_eq!(hub.status(), Some(second[2].id));
    // Whether the hub has what that builds on is the hub's to say.
    let third = snapshot(b"status three", &[second[2].id])[2].id;
    let fourth = snapshot(b"status four", &[third]);
    link.publish(Some(third), fourth[2].id, &fourth).unwrap();
    let taken = outbox::decode(&fs::read(hub.path("from-device/dev.bundle")).unwrap(), STATUS_REF).unwrap();
    assert_eq!((taken.base, taken.tip()), (Some(third), Some(fourth[2].id)));
}
