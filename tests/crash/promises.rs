//! What must survive a cut: what was said to be durable, or was acted upon, before it.

use std::path::Path;

use giter_edge::codec::record;

use super::{
    disk::Disk,
    recording::{DEVICE, Recording},
};

/// How many tips the device had accepted for good, after each number of steps, from none.
///
/// A tip counts from the moment when the folder of a record that names it was synced; and before that, if a file of the
/// board has become what the newest tip wants.
pub(crate) fn advances(recording: &Recording, newest: u64, motd: &str) -> Vec<u64> {
    let mut disk = recording.before.clone();
    let mut promised = recorded(&disk);
    let is_driven = |disk: &Disk| disk.file(&Path::new(DEVICE).join("files/motd")) == Some(motd.as_bytes());
    let was_driven = is_driven(&disk);
    let mut all = vec![promised];
    for step in &recording.steps {
        step.changes.iter().for_each(|change| disk.apply(change));
        if disk.find(&Path::new(DEVICE).join("state")).is_some_and(|state| step.synced.contains(&state)) {
            promised = recorded(&disk);
        }
        if is_driven(&disk) && !was_driven {
            promised = newest;
        }
        all.push(promised);
    }
    all
}

/// What the newest record says.
fn recorded(disk: &Disk) -> u64 {
    let slots = ["ledger.a", "ledger.b"].map(|slot| Path::new(DEVICE).join("state").join(slot));
    let records = slots.iter().filter_map(|slot| record::decode(disk.file(slot)?).ok());
    records.max_by_key(|record| record.serial).map_or(0, |record| record.advances)
}
