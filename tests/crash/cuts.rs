//! The power is cut after each step of a sync, and the device goes on from every disk that this may leave.

use std::collections::HashSet;

use super::{
    disk::Disk,
    recording::Recording,
    states::Model::{self, Ordered, Unordered},
    story::Story,
};

/// The distinct disks that cuts of a recording may leave, each with the cut that promises most, latest first.
fn states(model: Model, recording: &Recording) -> impl Iterator<Item = (usize, Disk)> {
    let mut seen = HashSet::new();
    let cuts = (0..=recording.steps.len()).rev();
    let states = cuts.flat_map(move |cut| model.states(recording, cut).map(move |disk| (cut, disk)));
    states.filter(move |(_, disk)| seen.insert(disk.digest()))
}

/// Holds a story in every state of both models.
fn survives(story: &Story) {
    for model in [Ordered, Unordered] {
        let (mut count, mut failed) = (0, Vec::new());
        for (cut, disk) in states(model, &story.recording) {
            count += 1;
            failed.extend(story.check(&disk, cut).err().map(|why| told(story, model, cut, &why)));
        }
        println!("{model:?}: {} steps, {count} states", story.recording.steps.len());
        assert!(failed.is_empty(), "{} of {count} states:\n{}", failed.len(), failed.join("\n"));
    }
}

/// Why a story fails on a disk that says it has synced these paths, and has not.
fn fails(story: &Story, model: Model, unsynced: impl Fn(&str) -> bool) -> Option<String> {
    let lying = story.recording.without_syncs(unsynced);
    states(model, &lying).find_map(|(cut, disk)| Some(told(story, model, cut, &story.check(&disk, cut).err()?)))
}

fn told(story: &Story, model: Model, cut: usize, why: &str) -> String {
    let last = cut.checked_sub(1).map(|at| &story.recording.steps[at]);
    let place = last.map_or("at the start".to_owned(), |step| format!("after {} {}", step.call, step.path.display()));
    format!("{model:?}, cut {cut}, {place}: {why}")
}

#[test]
fn a_first_sync() {
    survives(&Story::first_sync());
}

#[test]
fn a_change() {
    survives(&Story::change());
}

#[test]
fn a_status_alone() {
    survives(&Story::drift());
}

#[test]
fn an_unchanged_sync_changes_nothing() {
    let story = Story::unchanged();
    let steps: Vec<_> = story.recording.steps.iter().map(|step| (&step.call, &step.path)).collect();
    assert!(steps.is_empty(), "{steps:?}");
}

/// The control: a disk on which fsync does nothing must be noticed, by each model in each story.
#[test]
fn a_disk_that_does_not_sync_is_noticed() {
    for (name, story) in [("first sync", Story::first_sync()), ("change", Story::change()), ("drift", Story::drift())] {
        for model in [Ordered, Unordered] {
            let why = fails(&story, model, |_| true);
            println!("{name}: {why:?}");
            assert!(why.is_some(), "{name}, {model:?}: no state fails");
        }
    }
}

/// Each fsync before which the record must not count is missed by itself.
#[test]
fn a_single_sync_that_is_left_out_is_noticed() {
    let story = Story::change();
    for path in ["/1.pack", "/1.idx", "/packs", ".giter-tmp", "/state"] {
        let why = fails(&story, Unordered, |synced| synced.ends_with(path));
        println!("{path}: {why:?}");
        assert!(why.is_some(), "nobody misses the fsync of {path}");
    }
}
