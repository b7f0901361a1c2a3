//! A stick without room, at each size from nothing to enough.

use std::{collections::BTreeMap, fs, path::Path};

use super::common::{
    device::Run,
    exchange::{DEVICE, Exchange},
    stick::{STICK, Site},
};

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

/// Files, by their names, with what is in them.
type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// A visit in which every file ends after so many bytes: the kernel writes as many, and fails the rest.
fn visit_with(site: &Site, bytes: usize) -> Run {
    let stick = site.device.name(STICK).display().to_string();
    let limit = format!("--fsize={bytes}");
    site.device.run_by("env", &["--ignore-signal=XFSZ", "prlimit", &limit], &["sync", "--stick", &stick])
}

#[test]
fn a_stick_that_is_full_at_each_byte_has_the_old_or_the_new() {
    let site = Site::waiting_with(Exchange::in_memory());
    site.visit();
    let old = fs::read(site.statuses()).unwrap();
    // The hub has heard that, and there is more to say. From here on nothing is left to be done but to write the stick.
    fs::write(site.stick(&format!("to-device/{DEVICE}.ack")), format!("{}\n", site.bring())).unwrap();
    assert_eq!(site.take(&site.carried()).exit, Some(0));
    site.visit();
    let (new, state) = (fs::read(site.statuses()).unwrap(), site.device.state());
    assert!(new != old && new.len() > 500);
    let folder = site.stick("from-device");
    let others =
        Files::from([("pump-08.bundle".to_owned(), b"theirs".to_vec()), ("notes.txt".into(), vec![b'x'; 5000])]);
    others.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
    for (before, step) in [(None, 17), (Some(old), 1)] {
        match &before {
            Some(old) => fs::write(site.statuses(), old).unwrap(),
            None => fs::remove_file(site.statuses()).unwrap(),
        }
        let (mut full, mut room) = (0, 0);
        loop {
            let run = visit_with(&site, room);
            let mut found = files(&folder);
            let (statuses, report) =
                (found.remove(&format!("{DEVICE}.bundle")), found.remove(&format!("{DEVICE}.txt")));
            assert_eq!(found, others, "{room} bytes");
            let report = String::from_utf8(report.unwrap()).unwrap();
            let is_whole =
                report.starts_with("device: pump-07\nexchange: ") && report.contains("\n\n") && report.ends_with('\n');
            assert!(is_whole, "{room} bytes: {report:?}");
            assert_eq!(site.device.state(), state, "{room} bytes");
            if run.exit == Some(0) {
                assert_eq!(statuses.as_ref(), Some(&new));
                break;
            }
            assert_eq!((run.said("reason"), run.exit), ("StickFailed", Some(3)), "{room} bytes: {}", run.err);
            assert_eq!(statuses, before, "{room} bytes");
            (full, room) = (full + 1, room + step);
        }
        assert!(full == new.len().div_ceil(step) && room >= new.len(), "{full} sizes, up to {room} of {}", new.len());
    }
    site.bring();
    assert_eq!(site.chain(), 2);
}
