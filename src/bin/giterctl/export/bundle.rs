//! One bundle, as bytes that are handed on while they are made.
//!
//! ```text
//! since   "# v2 git bundle" | -base subject | tip branch                   | every object that base..tip bring
//! seed    "# v2 git bundle" |               | tip branch, status its ref   | the tip, what the device reads of it, the status,
//!                                                                            and the way there from what that one has accepted
//! full    "# v2 git bundle" |               | tip branch, statuses         | all of their history, as git packs it
//! ```

use std::{
    collections::HashSet,
    io::{self, Read, Write},
};

use giter_edge::{
    api::{
        DeviceId, Error, Oid, Reason, Result, limits,
        object::{Object, ObjectKind},
    },
    git::{
        bundle,
        pack::{self, Stream, Tight},
        reads::Reads,
        seed,
        since::{New, since},
    },
    reconcile::ports::Objects,
};

use super::plan::{Content, Leg, Start, Target};

/// Writes a bundle for these devices; how many bytes it has.
///
/// # Errors
///
/// `PackTooLarge`, `RangeTooLong` for what devices do not take; what the writer fails with, as `StickFailed` or `DiskFull`; the
/// repository cannot be read.
pub(super) fn write(
    target: &Target<'_>,
    objects: &dyn Objects,
    content: Content,
    legs: &[&Leg],
    into: &mut dyn Write,
) -> Result<u64> {
    let mut into = Bounded { into, written: 0 };
    match content {
        Content::Since(base) => write_since(target, objects, base, &mut into)?,
        Content::Seed => write_seed(target, objects, legs, &mut into)?,
        Content::Full => write_full(target, legs, &mut into)?,
    }
    Ok(into.written)
}

fn write_since(target: &Target<'_>, objects: &dyn Objects, base: Oid, into: &mut Bounded<'_>) -> Result<()> {
    let commits = commits(target, base)?;
    let subject = target.git.run(&["log", "-1", "--format=%s", &base.to_string()])?;
    header(Some((base, &subject)), &[(target.tip, target.branch.clone())], into)?;
    let brought = since(objects, base, &commits)?;
    let entry = |New { id, kind, base }: &New| {
        let object = one(objects, *id, *kind)?;
        let base = base.map(|id| one(objects, id, *kind).map(|base| (id, base))).transpose()?;
        Ok(Tight { object, base })
    };
    copy(&mut Stream::tight(brought.len(), brought.iter().map(entry))?, into)
}

/// The commits that the tip reaches and the base does not.
fn commits(target: &Target<'_>, base: Oid) -> Result<Vec<Oid>> {
    let most = limits::RANGE_COMMITS;
    let (count, not) = (format!("--max-count={}", most + 1), format!("^{base}"));
    let listing = target.git.run(&["rev-list", "--topo-order", &count, &target.tip.to_string(), &not])?;
    let commits: Vec<Oid> = listing.lines().filter_map(|line| line.parse().ok()).collect();
    if commits.len() <= most {
        return Ok(commits);
    }
    let what = format!("more than {most} commits lie between {} and {}", base.short(), target.tip.short());
    Err(Error::new(Reason::RangeTooLong, what)
        .hint("let the device follow in steps: --revision REV, with an earlier commit"))
}

fn write_seed(target: &Target<'_>, objects: &dyn Objects, legs: &[&Leg], into: &mut Bounded<'_>) -> Result<()> {
    header(None, &refs(target, legs), into)?;
    let mut names: Vec<(Oid, ObjectKind)> = Vec::new();
    for leg in legs {
        if let Start::Lost(floor) = leg.start {
            names.extend(followed(target, objects, floor, &leg.device)?);
        }
        names.extend(seed::names(objects, target.tip, &leg.device, leg.heard)?);
    }
    let mut once = HashSet::new();
    names.retain(|(id, _)| once.insert(*id));
    let entries = names.iter().map(|&(id, kind)| one(objects, id, kind));
    copy(&mut Stream::tight(names.len(), entries)?, into)
}

/// What a device reads of a commit, and of all that lead from there to the tip: by these it proves that it goes forward.
fn followed(
    target: &Target<'_>,
    objects: &dyn Objects,
    floor: Oid,
    device: &DeviceId,
) -> Result<Vec<(Oid, ObjectKind)>> {
    let mut names = Vec::new();
    for commit in commits(target, floor)?.into_iter().chain([floor]) {
        names.extend(Reads::of(objects, commit, device)?.whole()?);
    }
    Ok(names)
}

fn write_full(target: &Target<'_>, legs: &[&Leg], into: &mut Bounded<'_>) -> Result<()> {
    let refs = refs(target, legs);
    header(None, &refs, into)?;
    let tips: String = refs.iter().map(|(id, _)| format!("{id}\n")).collect();
    let args = ["pack-objects", "--quiet", "--revs", "--stdout", "--delta-base-offset"];
    target.git.stream(&args, tips.as_bytes(), |pack| copy(pack, into))
}

/// The branch, and the statuses that the hub has.
fn refs(target: &Target<'_>, legs: &[&Leg]) -> Vec<(Oid, String)> {
    let status = |leg: &&Leg| Some((leg.heard?, format!("{}/{}", target.prefix, leg.device)));
    [(target.tip, target.branch.clone())].into_iter().chain(legs.iter().filter_map(status)).collect()
}

fn header(base: Option<(Oid, &str)>, refs: &[(Oid, String)], into: &mut Bounded<'_>) -> Result<()> {
    let base = base.map(|(base, subject)| (base, cut(subject)));
    let head = bundle::head(base, refs.iter().map(|(id, name)| (*id, &**name)));
    into.write_all(head.as_bytes()).map_err(failed)
}

/// As much of a commit's subject as people need to know it again.
fn cut(subject: &str) -> &str {
    &subject[..subject.floor_char_boundary(limits::BUNDLE_SUBJECT_BYTES)]
}

fn one(objects: &dyn Objects, id: Oid, kind: ObjectKind) -> Result<Object> {
    pack::pick(objects, &[(id, kind)], limits::OBJECT_BYTES).next().unwrap_or_else(|| unreachable!("one is asked for"))
}

fn copy(pack: &mut dyn Read, into: &mut Bounded<'_>) -> Result<()> {
    io::copy(pack, into).map(drop).map_err(failed)
}

fn failed(error: io::Error) -> Error {
    pack::unwrap(error, |e| Error::io(Reason::StickFailed, "cannot write a bundle", e))
}

/// A writer that takes no more than a device does.
struct Bounded<'a> {
    into: &'a mut dyn Write,
    written: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written + bytes.len() as u64 > limits::PACK_BYTES {
            let what = format!("a bundle has more than {} bytes", limits::PACK_BYTES);
            let error = Error::new(Reason::PackTooLarge, what);
            return Err(io::Error::other(
                error.hint("let devices follow in steps: --revision REV; keep large files out"),
            ));
        }
        let written = self.into.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}
