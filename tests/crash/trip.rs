//! A visit of a stick that is recorded, and what has to hold wherever in it the stick was pulled out or the power was cut.
//! The device's own disk is as it was at that moment: what cuts leave there is told by the other stories.

use std::{collections::BTreeSet, fs, panic, path::PathBuf};

use giter_edge::{api::Oid, git::outbox, reconcile::outbox::Statuses};

use super::{
    common::{
        exchange::{DEVICE as NAME, Exchange, status_ref},
        stick::Site,
    },
    disk::Disk,
    recording::{DEVICE, Recording, STICK},
    story, strace,
};

/// A site, and one visit there.
pub(crate) struct Trip {
    pub(crate) site: Site,
    /// What the visit did.
    pub(crate) recording: Recording,
    /// The statuses on the stick before, and after.
    old: Option<Vec<u8>>,
    new: Vec<u8>,
    tip: Oid,
    says: &'static str,
}

impl Trip {
    /// A device that has nothing yet meets a stick on which it has never written.
    pub(crate) fn first() -> Self {
        let (site, tip) = site("one");
        site.bundle(&site.own(), &["main"]);
        Self::record(site, tip, "one")
    }

    /// The next one is met by the stick that has its last statuses still, and brings the next commit.
    pub(crate) fn next() -> Self {
        let (site, first) = site("one");
        site.bundle(&site.own(), &["main"]);
        site.taken(first, "one");
        let tip = site.commit("two");
        site.bundle(&site.own(), &[&format!("{first}..main")]);
        Self::record(site, tip, "two")
    }

    fn record(site: Site, tip: Oid, says: &'static str) -> Self {
        let root = site.exchange.beside("");
        let before = Disk::scan(&root, &[DEVICE, STICK]);
        let old = fs::read(site.statuses()).ok();
        let (run, calls) =
            strace::record(&site.device, &["sync", "--stick", &site.exchange.beside(STICK).display().to_string()]);
        assert_eq!((run.exit, run.err.as_str()), (Some(0), ""), "{}", run.out);
        let recording = Recording::new(&root, STICK, before, &calls);
        let replayed = recording.after(recording.steps.len());
        let found = Disk::scan(&root, &[DEVICE, STICK]);
        assert_eq!(replayed.difference(&found), None, "the recording does not come to what the visit came to");
        let new = fs::read(site.statuses()).unwrap();
        assert_ne!(Some(&new), old.as_ref());
        Self { site, recording, old, new, tip, says }
    }

    /// Puts all back to before the visit.
    pub(crate) fn rewind(&self) {
        self.recording.before.write_out(&self.site.exchange.beside(""));
    }

    /// Makes stick and device what a cut after so many steps left; why anything is lost, or cannot go on.
    pub(crate) fn check(&self, left: &Disk, cut: usize) -> Result<(), String> {
        let checked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            left.write_out(&self.site.exchange.beside(""));
            let found = fs::read(self.site.statuses()).ok();
            let may_be_old = found == self.old && cut < self.recording.steps.len();
            assert!(may_be_old || found.as_ref() == Some(&self.new), "what is taken along is neither old nor new");
            self.check_goes_on();
        }));
        checked.map_err(|panic| story::told(&*panic))
    }

    /// Has the device go on from whatever there is now; why it cannot.
    pub(crate) fn goes_on(&self) -> Result<(), String> {
        let checked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            let found = fs::read(self.site.statuses()).ok();
            let is_new = |found: Vec<u8>| decode(&found).tip() == self.last_status();
            assert!(found == self.old || found.is_some_and(is_new), "what is taken along is neither old nor new");
            self.check_goes_on();
        }));
        checked.map_err(|panic| story::told(&*panic))
    }

    /// The publisher takes what is there.
    fn check_import(&self) {
        let stick = self.site.exchange.beside(STICK).display().to_string();
        let run = self.site.giterctl(&["import", &stick, "--offline", "--dry-run", "-o", "json"]);
        let said: serde_json::Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("import: {}", run.err));
        let rows = said["files"].as_array().unwrap();
        assert_eq!((rows.len(), run.exit), (usize::from(self.site.statuses().exists()), Some(0)), "import: {said}");
        assert!(rows.iter().all(|row| row["result"] == "New"), "import: {said}");
    }

    /// The next visit brings everything to where it would be without the cut, and loses nothing that was said.
    fn check_goes_on(&self) {
        self.check_import();
        let spoken = self.spoken();
        let run = self.site.visit();
        assert_eq!((run.exit, run.err.as_str()), (Some(0), ""), "{}", run.out);
        assert_eq!(self.site.device.record().tip.map(|tip| tip.commit), Some(self.tip));
        assert_eq!(self.site.says(), self.says);
        let statuses = decode(&fs::read(self.site.statuses()).unwrap());
        assert_eq!(statuses.tip(), self.last_status(), "the last status is not taken along");
        let said: Vec<_> = statuses.links.iter().map(|[_, _, commit]| commit.id).collect();
        assert!(spoken.iter().all(|status| said.contains(status)), "{spoken:?} were said, {said:?} are taken along");
        let folder = fs::read_dir(self.site.stick("from-device")).unwrap();
        let names: BTreeSet<PathBuf> = folder.map(|entry| entry.unwrap().file_name().into()).collect();
        assert_eq!(names, [format!("{NAME}.bundle").into(), format!("{NAME}.txt").into()].into());
        self.site.exchange.hub.git(&["bundle", "verify", "--quiet", &self.site.statuses().display().to_string()]);
    }

    /// Every status that the stick or the record has spoken of.
    fn spoken(&self) -> Vec<Oid> {
        let on_stick = fs::read(self.site.statuses()).map(|bytes| decode(&bytes)).unwrap_or_default();
        on_stick.links.into_iter().map(|[_, _, commit]| commit.id).chain(self.last_status()).collect()
    }

    fn last_status(&self) -> Option<Oid> {
        self.site.device.record().status.map(|status| status.commit)
    }
}

fn decode(bundle: &[u8]) -> Statuses {
    outbox::decode(bundle, &status_ref()).unwrap()
}

/// A site whose publisher knows the device's key, and a commit.
fn site(content: &str) -> (Site, Oid) {
    let site = Site::with(Exchange::in_memory());
    site.approve();
    let commit = site.commit(content);
    (site, commit)
}
