//! The outbox: the statuses that wait for sticks, in one bundle in the state folder, which is what goes onto a stick.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{bundle, pack};
use crate::{
    api::{Error, Reason, Result, limits},
    codec::commit,
    disk::atomic::{self, Access},
    reconcile::{
        outbox::Statuses,
        ports::{NewObject, ObjectKind, Outbox},
    },
};

const FILE: &str = "outbox.bundle";
/// The largest file that is read, and the most that it may hold: a chain that is nearly full, and one more status.
const BYTES: usize = limits::OUTBOX_BYTES + 2 * limits::STATUS_FILE_BYTES;

/// A stick has a copy of what the device keeps.
const WRITTEN_AGAIN: &str = "the device keeps what was not acknowledged, and writes the file again when it is met next";

/// The outbox of one state folder. Who saves holds the folder's lock.
#[derive(Debug)]
pub struct OutboxFile {
    state: PathBuf,
    status_ref: String,
}

impl OutboxFile {
    /// The outbox in the given state folder, of statuses for this ref. Nothing is touched before the first `load` or
    /// `save`.
    pub fn new(state: &Path, status_ref: &str) -> Self {
        Self { state: state.to_owned(), status_ref: status_ref.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.state.join(FILE)
    }

    fn failed(&self, verb: &str) -> impl FnOnce(io::Error) -> Error {
        let what = format!("cannot {verb} {}", self.path().display());
        move |e| Error::state(what, e)
    }
}

impl Outbox for OutboxFile {
    fn load(&mut self) -> Result<Statuses> {
        let mut bytes = Vec::new();
        let read = File::open(self.path()).and_then(|file| file.take(BYTES as u64 + 1).read_to_end(&mut bytes));
        match read {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Statuses::default()),
            read => read.map_err(self.failed("read"))?,
        };
        decode(&bytes, &self.status_ref).map_err(|error| {
            Error::new(Reason::StateFailed, format!("{} is damaged", self.path().display()))
                .hint("what statuses it held is lost, unless a stick has brought them to the hub")
                .caused_by(error)
        })
    }

    fn save(&mut self, statuses: &Statuses) -> Result<()> {
        let folder = File::open(&self.state).map_err(self.failed("write"))?;
        let Some(bytes) = encode(statuses, &self.status_ref)? else {
            return match fs::remove_file(self.path()) {
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed.and_then(|()| folder.sync_all()).map_err(self.failed("remove")),
            };
        };
        atomic::replace(folder, FILE, &bytes, Access::PRIVATE).map_err(self.failed("write"))
    }
}

/// The statuses as a bundle; `None` where there is nothing to be kept.
///
/// # Errors
///
/// Those of [`bundle::write`].
pub fn encode(statuses: &Statuses, status_ref: &str) -> Result<Option<Vec<u8>>> {
    let objects = statuses.last(statuses.links.len());
    statuses.tip().map(|tip| bundle::write(status_ref, tip, statuses.base, &objects)).transpose()
}

/// Reads what [`encode`] wrote.
///
/// # Errors
///
/// `BundleInvalid`, `PackInvalid`, `PackTooLarge`: it is not that, or not whole.
pub fn decode(bytes: &[u8], status_ref: &str) -> Result<Statuses> {
    let mut rest = bytes;
    let bundle::Header { refs: [tip], prerequisites } = bundle::header(&mut rest, [status_ref])?;
    let objects = pack::read(rest, BYTES).map_err(|error| error.hint(WRITTEN_AGAIN))?;
    let (links, odd) = objects.as_chunks::<3>();
    let statuses = Statuses { base: prerequisites.first().copied(), links: links.to_vec() };
    let is_chain = odd.is_empty() && prerequisites.len() <= 1 && tip.is_some() && statuses.tip() == tip;
    match is_chain && follow_each_other(&statuses) {
        true => Ok(statuses),
        false => Err(Error::new(Reason::BundleInvalid, "it does not hold a chain of statuses")),
    }
}

fn follow_each_other(statuses: &Statuses) -> bool {
    let mut before = statuses.base;
    statuses.links.iter().all(|[_, _, NewObject { id, object }]| {
        let parent = before.replace(*id);
        object.kind == ObjectKind::Commit
            && commit::parse(&object.data).is_ok_and(|commit| commit.parents == Vec::from_iter(parent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REF: &str = "refs/giter/status/dev";

    fn blob(text: &str) -> NewObject {
        let object = crate::reconcile::ports::Object { kind: ObjectKind::Blob, data: text.into() };
        NewObject { id: pack::id_of(object.kind, &object.data).unwrap(), object }
    }

    #[test]
    fn what_is_damaged_is_named_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let mut outbox = OutboxFile::new(dir.path(), REF);
        let none = Statuses::none_after("0123456789abcdef0123456789abcdef01234567".parse().ok());
        let sound = encode(&none, REF).unwrap().unwrap();
        let no_chain = bundle::write(REF, blob("c").id, None, &["a", "b", "c"].map(blob)).unwrap();
        for bytes in [&b""[..], &[0; 4096], &sound[..sound.len() - 1], &no_chain, &vec![b'#'; BYTES + 4096]] {
            fs::write(outbox.path(), bytes).unwrap();
            let error = outbox.load().unwrap_err();
            assert_eq!(error.reason(), Reason::StateFailed);
            assert!(error.to_string().ends_with("outbox.bundle is damaged"), "{error}");
        }
        outbox.save(&none).unwrap();
        assert_eq!(outbox.load().unwrap(), none);
        outbox.save(&Statuses::default()).unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_failure_to_write_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let one = |digit: &str| Statuses::none_after(digit.repeat(40).parse().ok());
        OutboxFile::new(dir.path(), REF).save(&one("1")).unwrap();
        fs::create_dir(dir.path().join(atomic::temporary_name(FILE))).unwrap();
        assert!(OutboxFile::new(dir.path(), REF).save(&one("2")).is_err());
        assert_eq!(OutboxFile::new(dir.path(), REF).load().unwrap(), one("1"));
    }
}
