//! A stick without room, at each size from nothing to enough.

use super::common::stick::{STICK, Site};

/// Most pages that are left free: the folder, the statuses and the report take fewer.
const PAGES: u64 = 8;

#[test]
fn what_the_stick_brings_is_taken_however_little_room_it_has() {
    let (mut full, mut enough) = (0, 0);
    for free in 0..=PAGES {
        let site = Site::waiting();
        // All that is left after the filler goes is so many pages.
        site.plug(&format!("mount -t tmpfs -o size=256k tmpfs {STICK}"));
        let filler = site.device.path(&format!("{STICK}/filler"));
        let written = std::io::copy(&mut std::io::repeat(0), &mut std::fs::File::create(&filler).unwrap());
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        let length = filler.metadata().unwrap().len();
        std::fs::File::options().write(true).open(&filler).unwrap().set_len(length - free * 4096).unwrap();
        let run = site.visit();
        assert_eq!(site.says(), "two", "{free} pages: {}", run.err);
        match run.exit {
            Some(0) => enough += 1,
            exit => {
                assert_eq!((run.said("reason"), exit), ("DiskFull", Some(3)), "{free} pages: {}", run.err);
                full += 1;
            }
        }
        if site.statuses().exists() {
            site.bring();
        }
        // With room again, nothing that there is to say was lost.
        std::fs::remove_file(filler).unwrap();
        let run = site.visit();
        assert_eq!(run.exit, Some(0), "{free} pages: {}", run.err);
        site.bring();
        assert_eq!(site.exchange.hub.git(&["rev-list", "--count", "refs/giter/status/pump-07"]), "2");
    }
    assert!(full > 0 && enough > 0, "{full} sizes were too small, {enough} enough");
}
