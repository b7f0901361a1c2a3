//! Somebody else's repository on this machine's disk, as `git init` and `git clone` make it (gitrepository-layout(5)).
//!
//! Reads loose and packed objects (alternates too), loose and packed refs; writes loose objects and one ref. It knows
//! SHA-1 and the `files` ref backend. It runs no hooks, writes no reflog, and reads of the configuration only what
//! tells how the repository is kept.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use gix::{
    ObjectId,
    hash::Kind as HashKind,
    lock::acquire::Fail,
    objs::{Find, FindHeader, Write},
    odb,
    refs::{
        FullName, Target, file,
        store::{WriteReflog, init},
        transaction::{PreviousValue, RefEdit},
    },
};

use super::{convert, pack};
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::ports::{NewObject, Object, ObjectKind, Objects},
};

/// How many symbolic refs are followed from one ref, as git does.
const SYMREF_DEPTH: usize = 5;

/// The path that a URL names, if it names one on this machine: `file://` or no scheme at all.
pub fn local_path(url: &str) -> Option<PathBuf> {
    let url = gix::url::parse(url).ok()?;
    (url.scheme == gix::url::Scheme::File).then(|| PathBuf::from(url.path.to_string()))
}

/// A ref's full name, such as `refs/heads/main`, that git would take.
#[derive(Clone, Debug)]
pub struct RefName(FullName);

impl RefName {
    /// Checks a name by the rules of git-check-ref-format(1).
    ///
    /// # Errors
    ///
    /// `BadConfig` if git would not take it.
    pub fn new(name: &str) -> Result<Self> {
        FullName::try_from(name)
            .map(Self)
            .map_err(|e| Error::new(Reason::BadConfig, format!("{name:?} is no name of a ref")).caused_by(e))
    }

    /// The name as text.
    pub fn as_str(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.0.as_bstr())
    }
}

/// A repository that is open for reading.
pub struct Repository {
    dir: PathBuf,
    objects: odb::Handle,
    refs: file::Store,
}

impl Repository {
    /// Opens the repository at `path`, which is bare or has a `.git` folder.
    ///
    /// # Errors
    ///
    /// `RepositoryNotFound`, `RepositoryUnsupported`.
    pub fn open(path: &Path) -> Result<Self> {
        let dir = git_dir(path)?;
        check_format(&dir)?;
        let options = odb::store::init::Options {
            alloc_limit_bytes: Some(limits::DELTA_CHAIN_BYTES as usize + 2 * limits::OBJECT_BYTES),
            ..Default::default()
        };
        let objects = odb::at_opts(dir.join("objects"), HashKind::Sha1, None, options)
            .map_err(|e| not_found(path).caused_by(e))?;
        let options = init::Options { write_reflog: WriteReflog::Disable, ..Default::default() };
        let refs = file::Store::at_opts(dir.clone(), HashKind::Sha1, options);
        Ok(Self { dir, objects, refs })
    }

    /// The full name of the branch that HEAD leads to, there or not; `None` if HEAD names a commit.
    ///
    /// # Errors
    ///
    /// `ProtocolError` if HEAD is damaged.
    pub fn branch(&self) -> Result<Option<String>> {
        let head = self.refs.try_find("HEAD").map_err(|e| damaged("cannot read HEAD".into()).caused_by(e))?;
        Ok(match head.ok_or_else(|| damaged("the repository has no HEAD".into()))?.target {
            Target::Symbolic(name) => Some(name.as_bstr().to_string()),
            Target::Object(_) => None,
        })
    }

    /// The commit that a ref stands at; `None` if there is no such ref.
    ///
    /// # Errors
    ///
    /// `ProtocolError` if the refs are damaged.
    pub fn value(&self, name: &RefName) -> Result<Option<Oid>> {
        let mut name = name.0.clone();
        for _ in 0..=SYMREF_DEPTH {
            let found = self.refs.try_find(name.as_ref().as_partial_name());
            let found = found.map_err(|e| damaged(format!("cannot read {}", name.as_bstr())).caused_by(e))?;
            match found.filter(|reference| reference.name == name).map(|reference| reference.target) {
                None => return Ok(None),
                Some(Target::Object(id)) => return Ok(Some(id.into())),
                Some(Target::Symbolic(next)) => name = next,
            }
        }
        Err(damaged(format!("{} is a circle of symbolic refs", name.as_bstr())))
    }

    /// The kind of an object; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// `ProtocolError` if the repository is damaged.
    pub fn kind(&self, id: Oid) -> Result<Option<ObjectKind>> {
        let header = self.objects.try_header(&ObjectId::from(id));
        let header = header.map_err(|e| damaged(format!("cannot read object {id}")).caused_by(e))?;
        Ok(header.and_then(|header| convert::kind(header.kind)))
    }

    /// Whether there is any branch.
    ///
    /// # Errors
    ///
    /// `ProtocolError` if the refs are damaged.
    pub fn has_branches(&self) -> Result<bool> {
        let refs = self.refs.iter().map_err(|e| damaged("cannot list the refs".into()).caused_by(e))?;
        let heads = "refs/heads/".try_into().map_err(|e| Error::new(Reason::Bug, "a bad prefix").caused_by(e))?;
        let mut heads = refs.prefixed(heads).map_err(|e| damaged("cannot list the branches".into()).caused_by(e))?;
        Ok(heads.next().is_some())
    }

    /// Writes objects, each as a loose file, and makes them durable.
    ///
    /// # Errors
    ///
    /// `PushRejected` if the repository cannot be written; `DiskFull`; `Bug` if a name is not its object's.
    pub fn write(&self, objects: &[NewObject]) -> Result<()> {
        let loose = odb::loose::Store::at(self.dir.join("objects"), HashKind::Sha1);
        for new in objects {
            let id = loose
                .write_buf(new.object.kind.into(), &new.object.data)
                .map_err(|e| unwritable(format!("cannot write object {} to {}", new.id, self.dir.display()), e))?;
            if Oid::from(id) != new.id {
                return Err(Error::new(Reason::Bug, format!("object {} is sent as {}", Oid::from(id), new.id)));
            }
            let path = loose.object_path(&id);
            path.ancestors().take(3).try_for_each(sync)?;
        }
        Ok(())
    }

    /// Moves a ref from `old` (absent where there is none) to `new`, and makes that durable.
    ///
    /// # Errors
    ///
    /// `StatusRefMoved` if it is elsewhere; `PushRejected` if it cannot be written; `DiskFull`.
    pub fn move_ref(&self, name: &RefName, old: Option<Oid>, new: Oid) -> Result<()> {
        let expected = match old {
            Some(old) => PreviousValue::MustExistAndMatch(Target::Object(old.into())),
            None => PreviousValue::MustNotExist,
        };
        let edit = RefEdit::update(name.0.clone(), ObjectId::from(new), expected, "");
        let prepared = match self.refs.transaction().prepare([edit], Fail::Immediately, Fail::Immediately) {
            Ok(prepared) => prepared,
            Err(_) if self.value(name)? != old => {
                let what = format!("{} in {} was moved by somebody else", name.as_str(), self.dir.display());
                return Err(Error::new(Reason::StatusRefMoved, what));
            }
            Err(e) => return Err(unwritable(format!("cannot lock {} in {}", name.as_str(), self.dir.display()), e)),
        };
        let path = self.dir.join(&*name.as_str());
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        sync(Path::new(&lock))?;
        let moved = prepared.commit(None);
        moved.map_err(|e| unwritable(format!("cannot move {} in {}", name.as_str(), self.dir.display()), e))?;
        path.ancestors().skip(1).take_while(|folder| *folder != self.dir).try_for_each(sync)
    }
}

impl Objects for Repository {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        let name = ObjectId::from(id);
        let unreadable = |e: gix::Error| damaged(format!("cannot read object {id}")).caused_by(e);
        let Some(header) = self.objects.try_header(&name).map_err(unreadable)? else { return Ok(None) };
        if header.size > limit as u64 {
            let what = format!("object {id} has {} bytes, more than {limit}", header.size);
            return Err(Error::new(Reason::FileTooLarge, what));
        }
        let Some(kind) = convert::kind(header.kind) else { return Ok(None) };
        let mut data = Vec::new();
        self.objects.try_find(&name, &mut data).map_err(unreadable)?;
        if pack::id_of(kind, &data)? != id {
            return Err(damaged(format!("object {id} does not hash to its name")));
        }
        Ok(Some(Object { kind, data }))
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(gix::objs::Exists::exists(&self.objects, &ObjectId::from(id)))
    }
}

/// The folder in which git keeps the repository at `path`, which is bare or has a `.git` folder.
///
/// # Errors
///
/// `RepositoryNotFound`.
pub fn git_dir(path: &Path) -> Result<PathBuf> {
    let is_repository =
        |dir: &PathBuf| dir.join("HEAD").exists() && dir.join("objects").is_dir() && dir.join("refs").is_dir();
    [path.to_owned(), path.join(".git")].into_iter().find(is_repository).ok_or_else(|| not_found(path))
}

fn not_found(path: &Path) -> Error {
    Error::new(Reason::RepositoryNotFound, format!("no git repository at {}", path.display()))
        .hint("check link.url, that the disk is mounted, and that giterd's user may read it")
}

/// Refuses a repository that is kept in another way than is read here (the `extensions` of git-config(1)).
fn check_format(dir: &Path) -> Result<()> {
    let path = dir.join("config");
    let config = match fs::read_to_string(&path) {
        Ok(config) => config.to_ascii_lowercase(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => {
            let what = format!("cannot read {}", path.display());
            return Err(Error::io(Reason::RepositoryNotFound, what, e));
        }
    };
    let value = |name| {
        let mut settings = config.lines().filter_map(|line| line.split_once('='));
        settings.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
    };
    let unsupported = |what: String| Err(Error::new(Reason::RepositoryUnsupported, what));
    match (value("objectformat").as_deref(), value("refstorage").as_deref()) {
        (None | Some("sha1"), None | Some("files")) => Ok(()),
        (None | Some("sha1"), Some(backend)) => {
            unsupported(format!("the repository at {} keeps its refs as {backend}, not as files", dir.display()))
        }
        (Some(hash), _) => {
            unsupported(format!("the repository at {} names its objects by {hash}, not by sha1", dir.display()))
        }
    }
}

fn sync(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|e| Error::io(Reason::PushRejected, format!("cannot sync {}", path.display()), e))
}

/// A failure to write: the disk's own reason where gix has one, as deep as it may lie.
fn unwritable(what: String, error: gix::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Error::io(Reason::PushRejected, what, io::Error::from(io.kind()));
        }
        source = cause.source();
    }
    Error::new(Reason::PushRejected, what).caused_by(error)
}

fn damaged(what: String) -> Error {
    Error::new(Reason::ProtocolError, what).hint("run git fsck in the hub's repository")
}
