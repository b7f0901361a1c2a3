//! The link's contract, kept through ssh.

use giter_edge::{api::Oid, git::PackStore, reconcile::ports::Link};

use super::WAY;
use crate::{
    STATUS,
    common::{
        hub::{Hub, git_with},
        sshd::Sshd,
    },
    contract,
};

/// A hub behind a server.
struct Served<'a> {
    sshd: &'a Sshd,
    hub: Hub,
}

impl contract::Hub for Served<'_> {
    fn link(&self) -> Box<dyn Link + '_> {
        WAY.link(WAY.config(self.sshd, &self.hub.path()))
    }

    fn commit(&mut self, branch: &str, files: &[(&str, &str)]) -> Oid {
        let name = format!("refs/heads/{branch}");
        let from = self.hub.value(&name).map_or(String::new(), |parent| format!("from {parent}\n"));
        let head =
            format!("commit {name}\ncommitter Ops <ops@example.org> 1700000000 +0000\ndata 3\nset\n{from}deleteall\n");
        let file = |(path, text): &(&str, &str)| format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len());
        let changes: String = files.iter().map(file).collect();
        git_with(&self.hub.path(), &["fast-import", "--quiet"], (head + &changes + "done\n").as_bytes());
        self.hub.value(&name).unwrap()
    }

    fn rewind(&mut self, to: Oid) {
        self.hub.git(&["update-ref", "refs/heads/main", &to.to_string()]);
    }

    fn status(&self) -> Option<Oid> {
        self.hub.value(STATUS)
    }
}

#[test]
fn the_contract_of_every_link() {
    let (sshd, folder) = (WAY.start(), tempfile::tempdir().unwrap());
    let mut stores = (0..).map(|n| PackStore::open(&folder.path().join(n.to_string())).unwrap());
    let mut hub = || Served { sshd: &sshd, hub: Hub::empty() };
    contract::check(&mut hub, &mut || stores.next().unwrap());
}
