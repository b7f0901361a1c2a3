//! Each write, fsync, rename and removal of a sync fails in turn; and a disk has room for so much and no more.

use std::fs;

use super::{
    recording::{DEVICE, STICK, Step},
    story::Story,
    strace,
    trip::Trip,
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
    let steps: Vec<_> = story.recording.steps.iter().filter(|step| !story.recording.is_elsewhere(step)).collect();
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

/// A stick that is gone while the device has power, or is full, or turns out to be read-only.
#[test]
fn each_call_to_a_stick_that_fails() {
    let trip = Trip::next();
    let stick = trip.site.exchange.beside(STICK).display().to_string();
    let steps: Vec<_> = trip.recording.steps.iter().filter(|step| !trip.recording.is_elsewhere(step)).collect();
    let mut failed = Vec::new();
    for step in &steps {
        for (error, reason) in [("ENOSPC", "DiskFull"), ("EROFS", "StickFailed"), ("EIO", "StickFailed")] {
            trip.rewind();
            let run = strace::failing(&trip.site.device, &step.call, step.ordinal, error, &["sync", "--stick", &stick]);
            let what = format!("{} of {} fails with {error}", step.call, step.path.display());
            // To sync all once more is said to have failed whatever the error.
            let reason = if step.call == "syncfs" { "StickFailed" } else { reason };
            if (run.said("reason"), run.exit) != (reason, Some(3)) || run.said("hint").is_empty() {
                failed.push(format!("{what}: {:?}\n{}{}", run.exit, run.out, run.err));
            }
            failed.extend(trip.goes_on().err().map(|why| format!("{what}, and then: {why}")));
        }
    }
    println!("{} calls", steps.len());
    assert!(steps.len() > 8 && failed.is_empty(), "{}", failed.join("\n"));
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
