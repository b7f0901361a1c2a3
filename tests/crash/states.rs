//! What a power cut may leave of what was done before it.
//!
//! * **ordered**, as ext4 with `data=ordered` at its worst: names, folders and modes are as they were at one moment since
//!   the last fsync of anything; what was written to a file since the last fsync of that file is there, or not, or in part,
//!   each file for itself, whatever name the file has by now.
//! * **unordered**, what POSIX leaves open: only what was fsynced counts. Each name of a folder stands for anything that it
//!   stood for since the last fsync of that folder, each for itself; files are as above.
//!
//! In both a rename within one folder happens whole or not at all, and a file is torn at the borders of blocks.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    disk::{Change, Disk, Id},
    recording::{Recording, Step},
};

/// What a disk writes at once.
const BLOCK: usize = 512;
/// Up to how many combinations are all looked at, in the unordered model; of more some, and that many by chance.
const COMBINATIONS: usize = 64;

/// Which disks are thought of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    Ordered,
    Unordered,
}

impl Model {
    /// The disks that a cut after so many steps may leave.
    pub(crate) fn states(self, recording: &Recording, cut: usize) -> Box<dyn Iterator<Item = Disk> + '_> {
        match self {
            Self::Ordered => Box::new(ordered(recording, cut)),
            Self::Unordered => Box::new(unordered(recording, cut)),
        }
    }
}

fn ordered(recording: &Recording, cut: usize) -> impl Iterator<Item = Disk> {
    let steps = &recording.steps[..cut];
    let written = Written::of(recording, cut);
    let choices = few_choices(&written.sizes());
    let committed =
        steps.iter().rposition(|step| !recording.is_elsewhere(step) && !step.synced.is_empty()).map_or(0, |at| at + 1);
    let names = move |journal: usize| {
        let mut disk = recording.before.clone();
        for (at, step) in steps.iter().enumerate() {
            let counts = |change: &&Change| recording.is_elsewhere(step) || at < journal && !is_of_bytes(change);
            step.changes.iter().filter(counts).for_each(|change| disk.apply(change));
        }
        disk
    };
    (committed..=cut).rev().map(names).flat_map(move |names| {
        let state = |choice: &Vec<usize>| written.put(choice, names.clone());
        choices.iter().map(state).collect::<Vec<_>>()
    })
}

fn unordered(recording: &Recording, cut: usize) -> impl Iterator<Item = Disk> {
    let written = Written::of(recording, cut);
    let names = Names::of(recording, cut);
    let sizes = [written.sizes(), names.sizes()].concat();
    let choices = match sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size)) {
        Some(product) if product <= COMBINATIONS => all_choices(&sizes),
        _ => [few_choices(&sizes), random_choices(&sizes, cut as u64)].concat(),
    };
    let whole = recording.after(cut);
    choices.into_iter().map(move |choice| {
        let (of_files, of_names) = choice.split_at(written.0.len());
        names.put(of_names, written.put(of_files, whole.clone()))
    })
}

fn is_of_bytes(change: &Change) -> bool {
    matches!(change, Change::Bytes { .. } | Change::Length { .. })
}

/// The device's files that were written to since they were last synced, or ever were: what each may be, newest first.
struct Written(Vec<(Id, Vec<Vec<u8>>)>);

impl Written {
    fn of(recording: &Recording, cut: usize) -> Self {
        let mut live = recording.before.clone();
        let mut durable = BTreeMap::<Id, Vec<u8>>::new();
        let mut dirty = BTreeSet::new();
        for step in recording.steps[..cut].iter().filter(|step| !recording.is_elsewhere(step)) {
            for change in &step.changes {
                if let Change::Bytes { file, .. } | Change::Length { file, .. } = change {
                    durable.entry(*file).or_insert_with(|| live.bytes(*file).to_vec());
                    dirty.insert(*file);
                }
                live.apply(change);
            }
            for file in step.synced.iter().filter(|id| dirty.remove(id)) {
                durable.insert(*file, live.bytes(*file).to_vec());
            }
        }
        Self(
            durable
                .into_iter()
                .map(|(file, old)| (file, variants(&dirty, file, old, live.bytes(file).to_vec())))
                .collect(),
        )
    }

    fn sizes(&self) -> Vec<usize> {
        self.0.iter().map(|(_, variants)| variants.len()).collect()
    }

    fn put(&self, choice: &[usize], mut disk: Disk) -> Disk {
        for ((file, variants), at) in self.0.iter().zip(choice) {
            disk.replace(*file, variants[*at].clone());
        }
        disk
    }
}

/// What is left of a file: the new bytes; where they are not synced, also a part of them in several ways, and the old.
fn variants(dirty: &BTreeSet<Id>, file: Id, old: Vec<u8>, new: Vec<u8>) -> Vec<Vec<u8>> {
    if !dirty.contains(&file) {
        return vec![new];
    }
    let half = new.len() / 2 / BLOCK * BLOCK;
    let torn = |is_new: &dyn Fn(usize) -> bool| -> Vec<u8> {
        let byte = |at: usize| if is_new(at) { new[at] } else { old.get(at).copied().unwrap_or_default() };
        (0..new.len()).map(byte).collect()
    };
    let short = new[..half].to_vec();
    let mut all = vec![new.clone(), short, torn(&|_| false), torn(&|at| at < half), torn(&|at| at >= half), old];
    let mut seen = BTreeSet::new();
    all.retain(|one| seen.insert(one.clone()));
    all
}

/// The names in the device's folders that were changed since their folder was last synced: what those that go together
/// may stand for, newest first.
struct Names(Vec<Group>);

struct Group {
    folder: Id,
    history: Vec<BTreeMap<String, Option<Id>>>,
}

impl Names {
    fn of(recording: &Recording, cut: usize) -> Self {
        let mut live = recording.before.clone();
        let mut groups = Vec::<Group>::new();
        for step in recording.steps[..cut].iter().filter(|step| !recording.is_elsewhere(step)) {
            for (folder, entries) in entries(step) {
                note(&mut groups, &live, folder, entries);
            }
            step.changes.iter().for_each(|change| live.apply(change));
            groups.retain(|group| !step.synced.contains(&group.folder));
        }
        groups.iter_mut().for_each(|group| group.history.reverse());
        Self(groups)
    }

    fn sizes(&self) -> Vec<usize> {
        self.0.iter().map(|group| group.history.len()).collect()
    }

    fn put(&self, choice: &[usize], mut disk: Disk) -> Disk {
        for (group, at) in self.0.iter().zip(choice) {
            for (name, to) in &group.history[*at] {
                disk.apply(&Change::Entry { folder: group.folder, name: name.clone(), to: *to });
            }
        }
        disk
    }
}

/// What a step makes of names, by folder.
fn entries(step: &Step) -> BTreeMap<Id, BTreeMap<String, Option<Id>>> {
    let mut folders = BTreeMap::<Id, BTreeMap<String, Option<Id>>>::new();
    for change in &step.changes {
        if let Change::Entry { folder, name, to } = change {
            folders.entry(*folder).or_default().insert(name.clone(), *to);
        }
    }
    folders
}

/// Adds to the histories of a folder that these names change, from now on together.
fn note(groups: &mut Vec<Group>, live: &Disk, folder: Id, entries: BTreeMap<String, Option<Id>>) {
    let goes_along =
        |group: &mut Group| group.folder == folder && entries.keys().any(|name| group.history[0].contains_key(name));
    let mut history = vec![entries.keys().map(|name| (name.clone(), live.entry(folder, name))).collect()];
    for group in groups.extract_if(.., goes_along) {
        let with = |later: &BTreeMap<String, Option<Id>>| {
            let mut all = later.clone();
            move |earlier: &BTreeMap<String, Option<Id>>| {
                all.extend(earlier.clone());
                all.clone()
            }
        };
        history = history.iter().flat_map(|later| group.history.iter().map(with(later))).collect();
    }
    let mut newest = history.last().cloned().unwrap_or_default();
    newest.extend(entries);
    history.push(newest);
    groups.push(Group { folder, history });
}

/// All at their newest, all at their oldest, and each by itself otherwise.
fn few_choices(sizes: &[usize]) -> Vec<Vec<usize>> {
    let newest = vec![0; sizes.len()];
    let oldest: Vec<_> = sizes.iter().map(|size| size - 1).collect();
    let mut choices = vec![newest.clone(), oldest.clone()];
    for (at, size) in sizes.iter().enumerate() {
        for other in 0..*size {
            for from in [&newest, &oldest] {
                let mut choice = from.clone();
                choice[at] = other;
                choices.push(choice);
            }
        }
    }
    choices
}

fn all_choices(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut choices = vec![vec![]];
    for size in sizes {
        let longer = |choice: &Vec<usize>| {
            let choice = choice.clone();
            (0..*size).map(move |at| [&choice[..], &[at]].concat())
        };
        choices = choices.iter().flat_map(longer).collect();
    }
    choices
}

/// The same for the same seed.
fn random_choices(sizes: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..COMBINATIONS).map(|_| sizes.iter().map(|size| next() % size).collect()).collect()
}
