//! The power is cut after each step of a sync, and the device goes on from every disk that this may leave.

use std::collections::HashSet;

use super::{
    disk::Disk,
    recording::Recording,
    states::Model::{self, Ordered, Unordered},
    story::Story,
    trip::Trip,
};

/// The distinct disks that cuts of a recording may leave, each with the cut that promises most, latest first.
fn states(model: Model, recording: &Recording) -> impl Iterator<Item = (usize, Disk)> {
    let mut seen = HashSet::new();
    let cuts = (0..=recording.steps.len()).rev();
    let states = cuts.flat_map(move |cut| model.states(recording, cut).map(move |disk| (cut, disk)));
    states.filter(move |(_, disk)| seen.insert(disk.digest()))
}

/// What has to hold of a disk that a cut after so many steps has left.
type Check<'a> = &'a dyn Fn(&Disk, usize) -> Result<(), String>;

/// Holds a recording to that in every state of both models.
fn survives(recording: &Recording, check: Check<'_>) {
    for model in [Ordered, Unordered] {
        let (mut count, mut failed) = (0, Vec::new());
        for (cut, disk) in states(model, recording) {
            count += 1;
            failed.extend(check(&disk, cut).err().map(|why| told(recording, model, cut, &why)));
        }
        println!("{model:?}: {} steps, {count} states", recording.steps.len());
        assert!(failed.is_empty(), "{} of {count} states:\n{}", failed.len(), failed.join("\n"));
    }
}

/// Why that does not hold on a disk that says it has synced these paths, and has not.
fn fails(recording: &Recording, check: Check<'_>, model: Model, unsynced: impl Fn(&str) -> bool) -> Option<String> {
    let lying = recording.without_syncs(unsynced);
    states(model, &lying).find_map(|(cut, disk)| Some(told(recording, model, cut, &check(&disk, cut).err()?)))
}

fn told(recording: &Recording, model: Model, cut: usize, why: &str) -> String {
    let last = cut.checked_sub(1).map(|at| &recording.steps[at]);
    let place = last.map_or("at the start".to_owned(), |step| format!("after {} {}", step.call, step.path.display()));
    format!("{model:?}, cut {cut}, {place}: {why}")
}

fn story_survives(story: &Story) {
    survives(&story.recording, &|disk, cut| story.check(disk, cut));
}

fn story_fails(story: &Story, model: Model, unsynced: impl Fn(&str) -> bool) -> Option<String> {
    fails(&story.recording, &|disk, cut| story.check(disk, cut), model, unsynced)
}

#[test]
fn a_first_sync() {
    story_survives(&Story::first_sync());
}

#[test]
fn a_change() {
    story_survives(&Story::change());
}

#[test]
fn a_status_alone() {
    story_survives(&Story::drift());
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
            let why = story_fails(&story, model, |_| true);
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
        let why = story_fails(&story, Unordered, |synced| synced.ends_with(path));
        println!("{path}: {why:?}");
        assert!(why.is_some(), "nobody misses the fsync of {path}");
    }
}

#[test]
fn a_stick_at_the_first_visit() {
    trip_survives(&Trip::first());
}

#[test]
fn a_stick_at_the_next_visit() {
    trip_survives(&Trip::next());
}

fn trip_survives(trip: &Trip) {
    survives(&trip.recording, &|disk, cut| trip.check(disk, cut));
}

/// The control, for sticks.
#[test]
fn a_stick_that_does_not_sync_is_noticed() {
    for trip in [Trip::first(), Trip::next()] {
        for (name, ending) in [("any file or folder", ""), ("the statuses", "bundle.giter-tmp")] {
            for model in [Ordered, Unordered] {
                let unsynced = |path: &str| path.ends_with(ending);
                let why = fails(&trip.recording, &|disk, cut| trip.check(disk, cut), model, unsynced);
                println!("{why:?}");
                assert!(why.is_some(), "{model:?}: nobody misses the fsync of {name}");
            }
        }
    }
}
