//! What the trust decision reads: commits, their signatures, and of their trees what the device reads.

use std::collections::{HashMap, HashSet};

use super::{
    Reads,
    lacks::Noted,
    painting::Painting,
    scope::{self, Leaf, Scope},
};
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    codec::{
        commit::{self, Commit},
        pubkey::PublicKey,
        sshsig,
    },
    reconcile::ports::{ObjectKind, Objects as _},
};

/// The commits, and of them what was read last.
pub(super) struct History<'a> {
    pub(super) objects: &'a Noted<'a>,
    pub(super) reads: Reads<'a>,
    commits: Recent<Option<Commit>>,
    scopes: Recent<Scope>,
}

impl<'a> History<'a> {
    pub(super) fn new(objects: &'a Noted<'a>, reads: Reads<'a>) -> Self {
        let (commits, scopes) = (Recent::of_at_most(limits::RECENT_NAMES), Recent::of_at_most(limits::RECENT_TREES));
        Self { objects, reads, commits, scopes }
    }

    /// The commit; `None` if it is not there.
    pub(super) fn commit(&mut self, id: Oid) -> Result<Option<&Commit>> {
        if self.commits.get(id).is_none() {
            let commit = match self.bytes(id)? {
                Some(data) => Some(commit::parse(&data).map_err(|how| bad_commit(id, how))?),
                None => None,
            };
            let names = 1 + commit.as_ref().map_or(0, |commit| commit.parents.len());
            self.commits.put(id, commit, names);
        }
        Ok(self.commits.get(id).and_then(Option::as_ref))
    }

    /// The date of a commit; `None` if it is not there.
    pub(super) fn date(&mut self, id: Oid) -> Result<Option<i64>> {
        Ok(self.commit(id)?.map(|commit| commit.date))
    }

    /// The parents of a commit; none if it is not there.
    pub(super) fn parents(&mut self, id: Oid) -> Result<Vec<Oid>> {
        Ok(self.commit(id)?.map(|commit| commit.parents.clone()).unwrap_or_default())
    }

    /// What the device reads of a commit; nothing if it is not there.
    pub(super) fn scope(&mut self, id: Oid) -> Result<Scope> {
        match self.commit(id)?.map(|commit| commit.tree) {
            Some(tree) => self.scope_of_tree(tree),
            None => Ok(Scope::default()),
        }
    }

    /// What the device reads of a tree.
    pub(super) fn scope_of_tree(&mut self, tree: Oid) -> Result<Scope> {
        if let Some(scope) = self.scopes.get(tree) {
            return Ok(*scope);
        }
        let scope = Scope::of_tree(self.objects, tree)?;
        self.scopes.put(tree, scope, 1);
        Ok(scope)
    }

    /// The key that signed a commit, whoever holds it.
    ///
    /// # Errors
    ///
    /// `UnsignedCommit`, `BadSignature`, `UnsupportedKey`; `BadCommit` if it is gone.
    pub(super) fn signature(&self, id: Oid) -> Result<PublicKey> {
        let data = self.bytes(id)?.ok_or_else(|| bad_commit(id, "it is gone"))?;
        let seal = commit::seal(&data).map_err(|how| {
            Error::new(Reason::BadSignature, format!("commit {} has no signature of its own: {how}", id.short()))
                .hint(SIGN)
        })?;
        let seal = seal.ok_or_else(|| {
            Error::new(Reason::UnsignedCommit, format!("commit {} is not signed", id.short())).hint(SIGN)
        })?;
        sshsig::verify(&seal.armour, sshsig::GIT, &seal.payload).map_err(|error| {
            let what = format!("the signature of commit {} is refused", id.short());
            Error::new(error.reason(), what).hint(SIGN).caused_by(error)
        })
    }

    /// Whether a branch has a place as it was where the branch parted from another one. False where that cannot be
    /// known.
    pub(super) fn left(&mut self, place: &str, branch: Oid, other: Oid) -> Result<bool> {
        let now = self.at(branch, place)?;
        let partings = self.partings(branch, other)?;
        for parting in &partings {
            let is_known = *parting == branch || self.commit(*parting)?.is_some();
            if !is_known || self.at(*parting, place)? != now {
                return Ok(false);
            }
        }
        Ok(!partings.is_empty())
    }

    /// What stands at a path of a commit; nothing if the commit is not there.
    fn at(&mut self, id: Oid, path: &str) -> Result<Option<Leaf>> {
        match self.commit(id)?.map(|commit| commit.tree) {
            Some(tree) => scope::at(self.objects, tree, path),
            None => Ok(None),
        }
    }

    /// The commits that two commits both reach, without those that another such commit reaches. None where too much
    /// history lies between, or some of what lies between is not there: a later parting could be behind it.
    pub(super) fn partings(&mut self, a: Oid, b: Oid) -> Result<HashSet<Oid>> {
        let mut painting = Painting::new(a, &[b], self)?;
        while (painting.is_open() || painting.is_cut()) && painting.advance(self)? {}
        let mut partings = painting.partings(self)?;
        if partings.len() > 1 {
            // One of them may be behind another, further down than was looked.
            while painting.advance(self)? {}
            partings = painting.partings(self)?;
        }
        if painting.is_cut() || painting.is_too_large() {
            partings.clear();
        }
        Ok(partings)
    }

    /// The bytes of a commit object; `None` if it is not there.
    fn bytes(&self, id: Oid) -> Result<Option<Vec<u8>>> {
        match self.objects.beneath().read(id, limits::COMMIT_BYTES) {
            Ok(Some(object)) if object.kind == ObjectKind::Commit => Ok(Some(object.data)),
            Ok(Some(_)) => Err(bad_commit(id, "it is another kind of object")),
            // An annotated tag is none of the kinds that are read.
            Ok(None) if self.objects.has(id)? => Err(bad_commit(id, "it is another kind of object")),
            Ok(None) => Ok(None),
            Err(error) if error.reason() == Reason::FileTooLarge => {
                Err(bad_commit(id, "it is longer than any commit that is read").caused_by(error))
            }
            Err(error) => Err(error),
        }
    }
}

/// What was read last. Where there is too much of it, all is forgotten: what is needed is read again.
struct Recent<V> {
    /// Most names of objects, in keys and values together.
    most: usize,
    names: usize,
    values: HashMap<Oid, V>,
}

impl<V> Recent<V> {
    fn of_at_most(most: usize) -> Self {
        Self { most, names: 0, values: HashMap::new() }
    }

    fn get(&self, id: Oid) -> Option<&V> {
        self.values.get(&id)
    }

    fn put(&mut self, id: Oid, value: V, names: usize) {
        if self.names + names > self.most {
            self.values.clear();
            self.names = 0;
        }
        self.names += names;
        self.values.insert(id, value);
    }
}

const SIGN: &str = "sign it, with git config gpg.format ssh: the tip with git commit --amend -S, one below it with \
    git rebase -f -S ACCEPTED, the commit that 'giterd status' names as accepted; then git push --force-with-lease";

fn bad_commit(id: Oid, how: &str) -> Error {
    Error::new(Reason::BadCommit, format!("{} is not a commit that can be verified: {how}", id.short()))
        .hint("push a branch made by git itself")
}
