//! Each write, fsync, rename and removal of a sync fails in turn; and a disk has room for so much and no more.

use std::fs;

use super::{
    recording::{DEVICE, Step},
    story::Story,
    strace,
};

/// What a disk says, and what the device makes of it.
const ERRORS: [(&str, &str); 3] = [("ENOSPC", "DiskFull"), ("EROFS", "StateReadOnly"), ("EIO", "StateFailed")];

/// What a failure comes to, by what failed.
fn expected(step: &Step, reason: &'static str) -> (&'static str, Option<i32>) {
    let path = step.path.strip_prefix(DEVICE).unwrap().to_string_lossy();
    let removes = matches!(step.call.as_str(), "unlink" | "unlinkat" | "rmdir");
    match path.split('/').next().unwrap() {
        // What is not swept costs space, and is swept later.
        "state" if removes => ("", Some(0)),
        "state" => (reason, Some(3)),
        // The first floor counts; the second is written again.
        "giter.floor" | ".giter.floor.giter-tmp" | "" => ("", Some(0)),
        "files" => ("NotReady", Some(1)),
        other => panic!("nobody writes {other} here"),
    }
}

#[test]
fn each_call_that_fails() {
    let story = Story::change();
    let steps: Vec<_> = story.recording.steps.iter().filter(|step| !step.is_at_hub()).collect();
    let mut failed = Vec::new();
    for step in &steps {
        for (error, reason) in ERRORS {
            story.rewind();
            let run = strace::failing(&story.world.device, &step.call, step.ordinal, error, &["sync"]);
            let found = (run.said("reason"), run.exit);
            let what = format!("{} of {} fails with {error}", step.call, step.path.display());
            if found != expected(step, reason) {
                failed.push(format!("{what}: {found:?}\n{}{}", run.out, run.err));
            }
            assert_eq!(found.1 == Some(0), run.said("hint").is_empty(), "{what}: {}", run.err);
            failed.extend(story.recovers().err().map(|why| format!("{what}, and then: {why}")));
        }
    }
    println!("{} calls, each failed {} times", steps.len(), ERRORS.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_disk_that_has_room_for_so_much() {
    let story = Story::change();
    let device = &story.world.device;
    let mut full = 0;
    for pages in 0..12 {
        story.rewind();
        device.mount(&format!(
            "mkdir full\nmount -t tmpfs -o size=256k tmpfs full\ncp -a state/. full\n\
             cat /dev/zero > full/lock 2> lock.err || true\nrm lock.err\n\
             truncate --size=-{} full/lock\nmount --move full state\nrmdir full",
            pages * 4096
        ));
        let run = device.sync();
        if run.exit != Some(0) {
            full += 1;
            assert_eq!((run.said("reason"), run.exit), ("DiskFull", Some(3)), "{pages} pages: {}", run.err);
        }
        fs::write(device.path("state/lock"), "").unwrap();
        story.recovers().unwrap_or_else(|why| panic!("{pages} pages, and then: {why}"));
        device.unmount();
    }
    println!("a sync fails with up to {full} pages of room");
    assert!((2..12).contains(&full), "{full}");
}
