use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

use super::*;

const EXCHANGE: &str = "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d";
const DEVICE: &str = "site-a/pump-07";

/// A gateway, and sticks by their names.
struct Site {
    dir: TempDir,
    relay: Relay,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let relay = Relay {
            folder: dir.path().join("kept"),
            scratch: dir.path().join("part"),
            devices: vec![DEVICE.parse().unwrap(), "pump-08".parse().unwrap()],
            bytes: 10_000,
            visit: limits::RELAY_VISIT,
            branch: "main".into(),
            prefix: "refs/giter/status".into(),
            known: Known::default(),
        };
        Self { dir, relay }
    }

    fn path(&self, stick: &str, paper: &str) -> PathBuf {
        self.dir.path().join(stick).join("GITER").join(EXCHANGE).join(paper)
    }

    fn put(&self, stick: &str, paper: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(stick, paper);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn has(&self, stick: &str, paper: &str) -> Option<String> {
        fs::read_to_string(self.path(stick, paper)).ok()
    }

    fn meet(&self, stick: &str) -> Passed {
        let root = self.dir.path().join(stick);
        fs::create_dir_all(&root).unwrap();
        self.relay.pass(&Folder::at(&root).unwrap(), EXCHANGE)
    }

    /// A stick from which everything passes: how much was taken, and how much given.
    #[track_caller]
    fn passes(&self, stick: &str) -> (usize, usize) {
        let passed = self.meet(stick);
        assert!(passed.failed.is_none(), "{:?}", passed.failed);
        (passed.took.len(), passed.gave.len())
    }

    #[track_caller]
    fn refuses(&self, stick: &str, reason: Reason) {
        let passed = self.meet(stick);
        assert_eq!(passed.failed.map(|error| error.reason()), Some(reason));
        assert!(passed.took.is_empty(), "{:?}", passed.took);
    }
}

fn specs(content: &str) -> String {
    format!("# v2 git bundle\n{} refs/heads/main\n\nPACK {content}", "1".repeat(40))
}

const OWN: &str = "to-device/site-a/pump-07.bundle";
const ACK: &str = "to-device/site-a/pump-07.ack";
const REPORT: &str = "from-device/site-a/pump-07.txt";

#[test]
fn papers_go_both_ways_and_an_old_stick_brings_nothing_back() {
    let site = Site::new();
    site.put("hub", OWN, specs("one"));
    site.put("hub", ACK, format!("{}\n", "2".repeat(40)));
    site.put("hub", "to-device/pump-09.bundle", specs("for a device of nobody's"));
    assert_eq!(site.passes("hub"), (2, 0));
    assert_eq!(site.passes("hub"), (0, 0));
    site.put("device", REPORT, "said");
    assert_eq!(site.passes("device"), (1, 2));
    assert_eq!(site.has("device", OWN), Some(specs("one")));
    assert_eq!(site.has("device", "to-device/pump-09.bundle"), None);
    assert_eq!(site.passes("hub"), (0, 1));
    assert_eq!(site.has("hub", REPORT), Some("said".into()));
    site.put("second hub", OWN, specs("two"));
    assert_eq!(site.passes("second hub"), (1, 2));
    for old in ["device", "hub"] {
        assert_eq!(site.passes(old), (0, 1));
        assert_eq!(site.has(old, OWN), Some(specs("two")));
    }
}

#[test]
fn bundles_for_several_are_kept_as_the_last_stick_had_them() {
    let site = Site::new();
    site.put("hub", "to-device/_one.bundle", specs("one"));
    site.put("hub", "to-device/_both.bundle", specs("both"));
    assert_eq!(site.passes("hub"), (2, 0));
    site.put("second hub", "to-device/_both.bundle", specs("both"));
    site.put("second hub", "to-device/_two.bundle", specs("two"));
    assert_eq!(site.passes("second hub"), (1, 0));
    assert_eq!(site.has("kept", "to-device/_one.bundle"), None);
    assert_eq!(site.passes("hub"), (0, 1));
    assert_eq!(site.passes("device"), (0, 2));
    assert_eq!(site.has("device", "to-device/_two.bundle"), Some(specs("two")));
}

#[test]
fn what_is_not_as_it_should_be_neither_passes_nor_replaces() {
    let site = Site::new();
    site.put("hub", OWN, specs("one"));
    assert_eq!(site.passes("hub"), (1, 0));
    let other = specs("two").replace("heads/main", "heads/other");
    for (bytes, reason) in
        [("", Reason::BundleInvalid), ("PACK", Reason::BundleInvalid), (&other, Reason::BundleInvalid)]
    {
        site.put("wrong", OWN, bytes);
        site.refuses("wrong", reason);
        assert_eq!(site.has("wrong", OWN).as_deref(), Some(bytes), "it is not for us to take away");
    }
    for paper in [ACK, "from-device/site-a/pump-07.bundle", "from-device/site-a/pump-07.enroll.bundle"] {
        site.put("odd", paper, specs("of the branch"));
        assert!(site.meet("odd").failed.is_some(), "{paper}");
        assert_eq!(site.has("kept", paper), None);
        fs::remove_dir_all(site.dir.path().join("odd")).unwrap();
    }
    let path = site.path("wrong", OWN);
    fs::remove_file(&path).unwrap();
    symlink(site.path("hub", OWN), &path).unwrap();
    site.refuses("wrong", Reason::StickFailed);
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(4 << 30).unwrap();
    site.refuses("wrong", Reason::PackTooLarge);
    assert_eq!(site.has("kept", OWN), Some(specs("one")));
    assert!(site.has("wrong", REPORT).is_none());
    // One that is wrong keeps no other back.
    site.put("wrong", REPORT, "said");
    assert_eq!(site.meet("wrong").took.len(), 1);
}

#[test]
fn what_is_kept_has_a_bound() {
    let site = Site::new();
    site.put("hub", OWN, specs(&"x".repeat(6_000)));
    assert_eq!(site.passes("hub"), (1, 0));
    site.put("second", "to-device/pump-08.bundle", specs(&"y".repeat(6_000)));
    site.refuses("second", Reason::DiskFull);
    // What takes the place of something has the room of that.
    site.put("third", OWN, specs(&"z".repeat(9_000)));
    assert_eq!(site.passes("third"), (1, 0));
    assert_eq!(site.relay.kept(EXCHANGE).unwrap().0, 1);
}

#[test]
fn what_a_device_left_in_pieces_is_not_handed_on_and_gives_way() {
    let site = Site::new();
    site.put("kept", OWN, "rotten");
    assert!(site.meet("empty").gave.is_empty());
    site.put("hub", OWN, specs("one"));
    assert_eq!(site.meet("hub").took.len(), 1);
    assert_eq!(site.has("kept", OWN), Some(specs("one")));
    assert_eq!(site.passes("empty"), (0, 1));
}

#[test]
fn a_request_of_a_device_that_knows_no_exchange_passes() {
    let site = Site::new();
    let request = format!("# v2 git bundle\n{} refs/giter/enroll/{DEVICE}\n\nPACK", "1".repeat(40));
    let path = |stick: &str| site.dir.path().join(stick).join("GITER/enroll/from-device/site-a/pump-07.enroll.bundle");
    fs::create_dir_all(path("kept").parent().unwrap()).unwrap();
    fs::write(path("kept"), &request).unwrap();
    assert_eq!(site.passes("hub"), (0, 1));
    assert_eq!(fs::read_to_string(path("hub")).unwrap(), request);
}
