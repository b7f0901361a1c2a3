//! Packs that go out, in git's pack format version 2 (gitformat-pack(5)): objects as they are; in a bundle and in a push,
//! where each byte counts, as deltas too, on what the other side has. And how one that was written here is read again.
//!
//! ```text
//! "PACK" 2 count | kind and size, zlib | kind and size, base, zlib | ... | SHA-1 over all before it
//! ```

use std::{
    borrow::Borrow,
    io::{self, Read, Write},
};

use gix::{
    hash::{Hasher, Kind as HashKind, hasher},
    zlib::{
        Compression, Inflate, Status,
        stream::deflate::{Compress, FlushCompress},
    },
};
use gix_pack::data::{self, Version, entry::Header, header};

use super::{convert, delta};
use crate::{
    api::{Error, Oid, Reason, Result},
    reconcile::ports::{NewObject, Object, ObjectKind, Objects},
};

/// The name of an object: SHA-1 over its kind, its size and its bytes.
///
/// # Errors
///
/// `PackInvalid` if the bytes are made to collide under SHA-1, which nothing but an attack is.
pub fn id_of(kind: ObjectKind, data: &[u8]) -> Result<Oid> {
    gix::objs::compute_hash(HashKind::Sha1, kind.into(), data)
        .map(Oid::from)
        .map_err(|e| Error::new(Reason::PackInvalid, "an object is made to collide under SHA-1").caused_by(e))
}

/// A whole pack of the given objects.
///
/// # Errors
///
/// `Bug` if there are more than 2^32 of them.
pub fn write(objects: &[NewObject]) -> Result<Vec<u8>> {
    whole(Stream::new(objects.len(), objects.iter().map(|new| Ok(&new.object)))?)
}

/// A thin pack of the given objects, for who has the `bases`: each as a delta on the last base of its kind, where that is
/// shorter.
///
/// # Errors
///
/// Those of [`write()`].
pub fn write_on(bases: &[NewObject], objects: &[NewObject]) -> Result<Vec<u8>> {
    if bases.is_empty() {
        return whole(Stream::tight(objects.len(), objects.iter().map(|new| Ok(&new.object)))?);
    }
    let tight = objects.iter().map(|NewObject { object, .. }| {
        let base = bases.iter().rev().find(|base| base.object.kind == object.kind);
        Ok(Tight { object: object.clone(), base: base.map(|base| (base.id, base.object.clone())) })
    });
    whole(Stream::tight(objects.len(), tight)?)
}

/// How many bytes a whole pack of the given objects has, which is not kept.
///
/// # Errors
///
/// Those of [`write()`].
pub fn size(objects: &[NewObject]) -> Result<u64> {
    let mut pack = Stream::new(objects.len(), objects.iter().map(|new| Ok(&new.object)))?;
    io::copy(&mut pack, &mut io::sink())
        .map_err(|e| unwrap(e, |e| Error::new(Reason::Bug, "cannot write a pack").caused_by(e)))
}

fn whole(mut stream: impl Read) -> Result<Vec<u8>> {
    let mut pack = Vec::new();
    stream
        .read_to_end(&mut pack)
        .map_err(|e| unwrap(e, |e| Error::new(Reason::Bug, "cannot write a pack").caused_by(e)))?;
    Ok(pack)
}

/// Reads a pack that [`write()`] wrote, of at most `limit` bytes once it is inflated.
///
/// # Errors
///
/// `PackInvalid` if it is another, or damaged; `PackTooLarge`.
pub fn read(bytes: &[u8], limit: usize) -> Result<Vec<NewObject>> {
    let invalid = || Error::new(Reason::PackInvalid, "the pack is not one that this agent wrote");
    let (body, _) = bytes.split_last_chunk::<20>().ok_or_else(invalid)?;
    let (head, mut rest) = body.split_first_chunk::<{ header::SIZE }>().ok_or_else(invalid)?;
    let is_whole = is_sound(&mut &*bytes).unwrap_or(false);
    let count = header::decode(head).ok().filter(|_| is_whole).ok_or_else(invalid)?.1;
    let (mut objects, mut left, mut inflate) = (Vec::new(), limit, Inflate::default());
    for _ in 0..count {
        let entry = data::Entry::from_read(&mut rest, 0, 20).map_err(|_| invalid())?;
        let kind = entry.header.as_kind().and_then(convert::kind).ok_or_else(invalid)?;
        let size = usize::try_from(entry.decompressed_size).ok().filter(|size| *size <= left);
        let size =
            size.ok_or_else(|| Error::new(Reason::PackTooLarge, format!("the pack has more than {limit} bytes")))?;
        left -= size;
        // A byte more than there is to come, so that the end is seen.
        let mut data = vec![0; size + 1];
        inflate.reset();
        let (status, used, made) = inflate.once(rest, &mut data).map_err(|_| invalid())?;
        if status != Status::StreamEnd || made != size {
            return Err(invalid());
        }
        data.truncate(size);
        rest = &rest[used..];
        objects.push(NewObject { id: id_of(kind, &data)?, object: Object { kind, data } });
    }
    if rest.is_empty() { Ok(objects) } else { Err(invalid()) }
}

/// Whether a pack is as it was written, by the digest at its end.
///
/// # Errors
///
/// Those of the reader.
pub fn is_sound(pack: &mut impl Read) -> io::Result<bool> {
    let (mut hash, mut buffer, mut held) = (hasher(HashKind::Sha1), vec![0; 16 << 10], 0);
    loop {
        // What may be the digest is held back until more comes.
        let count = pack.read(&mut buffer[held..])?;
        if count == 0 {
            return Ok(held == 20 && hash.try_finalize().is_ok_and(|hash| *hash.as_slice() == buffer[..20]));
        }
        let end = held + count;
        held = end.min(20);
        hash.update(&buffer[..end - held]);
        buffer.copy_within(end - held..end, 0);
    }
}

/// Reads the named objects one after the other, each of which must be there and of the kind that is said.
///
/// # Errors
///
/// `PackInvalid` if one is missing, `BadTreeEntry` if it is of another kind; those of [`Objects::read`].
pub fn pick<'a>(
    objects: &'a dyn Objects,
    names: &'a [(Oid, ObjectKind)],
    limit: usize,
) -> impl Iterator<Item = Result<Object>> + 'a {
    names.iter().map(move |&(id, kind)| match objects.read(id, limit)? {
        Some(object) if object.kind == kind => Ok(object),
        Some(_) => Err(Error::new(Reason::BadTreeEntry, format!("object {id} is not of the kind its tree says"))),
        None => Err(Error::new(Reason::PackInvalid, format!("object {id} is missing"))),
    })
}

/// What becomes an entry of a pack.
pub trait Packed {
    /// Writes the entry.
    ///
    /// # Errors
    ///
    /// `Bug` if it cannot be compressed.
    fn write_to(&self, pack: &mut Vec<u8>, deflate: &mut Deflate) -> Result<()>;
}

impl<O: Borrow<Object>> Packed for O {
    fn write_to(&self, pack: &mut Vec<u8>, deflate: &mut Deflate) -> Result<()> {
        let object = self.borrow();
        deflate.write_entry(header_of(object.kind), &object.data, pack)
    }
}

/// An object that goes as a delta on another one of its kind, which whoever reads the pack has, where that is shorter.
pub struct Tight {
    /// The object.
    pub object: Object,
    /// The other one.
    pub base: Option<(Oid, Object)>,
}

impl Packed for Tight {
    fn write_to(&self, pack: &mut Vec<u8>, deflate: &mut Deflate) -> Result<()> {
        let Self { object, base } = self;
        let start = pack.len();
        let delta = base.as_ref().and_then(|(id, base)| Some((*id, delta::encode(&base.data, &object.data)?)));
        if let Some((base, delta)) = delta {
            deflate.write_entry(Header::RefDelta { base_id: base.into() }, &delta, pack)?;
            // No object of the sort that is packed here compresses to less.
            if pack.len() - start < object.data.len() / 4 {
                return Ok(());
            }
        }
        let short = pack.split_off(start);
        object.write_to(pack, deflate)?;
        if !short.is_empty() && short.len() <= pack.len() - start {
            pack.truncate(start);
            pack.extend_from_slice(&short);
        }
        Ok(())
    }
}

/// The state of a compressor, which is large, and is made once for a whole pack.
pub struct Deflate(Compress);

impl Deflate {
    /// Writes an object of this kind, or a delta.
    fn write_entry(&mut self, header: Header, data: &[u8], pack: &mut Vec<u8>) -> Result<()> {
        const ROOM: usize = 16 << 10;
        header.write_to(data.len() as u64, pack).map_err(broken)?;
        self.0.reset();
        let mut left = data;
        loop {
            let (start, taken, made) = (pack.len(), self.0.total_in(), self.0.total_out());
            pack.resize(start + left.len().clamp(64, ROOM), 0);
            let status = self.0.compress(left, &mut pack[start..], FlushCompress::Finish).map_err(broken)?;
            let (taken, made) = (self.0.total_in() - taken, self.0.total_out() - made);
            pack.truncate(start + made as usize);
            left = &left[taken as usize..];
            match status {
                Status::StreamEnd => return Ok(()),
                _ if taken + made == 0 => return Err(Error::new(Reason::Bug, "a pack entry cannot be compressed")),
                _ => {}
            }
        }
    }
}

fn header_of(kind: ObjectKind) -> Header {
    match kind {
        ObjectKind::Commit => Header::Commit,
        ObjectKind::Tree => Header::Tree,
        ObjectKind::Blob => Header::Blob,
    }
}

/// A pack as a reader: holds one object at a time.
///
/// An error of the objects is the reader's, wrapped in [`io::Error::other`]; [`unwrap`] brings it back.
pub struct Stream<I> {
    objects: I,
    left: u32,
    hash: Option<Hasher>,
    deflate: Deflate,
    ready: Vec<u8>,
    at: usize,
}

impl<O: Packed, I: Iterator<Item = Result<O>>> Stream<I> {
    /// A pack of `count` objects, which `objects` yields.
    ///
    /// # Errors
    ///
    /// `Bug` if there are more than 2^32 of them.
    pub fn new(count: usize, objects: I) -> Result<Self> {
        Self::compressed(Compression::DEFAULT, count, objects)
    }

    /// The same in as few bytes as can be, which takes longer.
    ///
    /// # Errors
    ///
    /// Those of [`Stream::new`].
    pub fn tight(count: usize, objects: I) -> Result<Self> {
        Self::compressed(Compression::BEST, count, objects)
    }

    fn compressed(compression: Compression, count: usize, objects: I) -> Result<Self> {
        let left = u32::try_from(count).map_err(|e| Error::new(Reason::Bug, "cannot count a pack").caused_by(e))?;
        let ready = header::encode(Version::V2, left).to_vec();
        let mut hash = hasher(HashKind::Sha1);
        hash.update(&ready);
        Ok(Self { objects, left, hash: Some(hash), deflate: Deflate(Compress::new(compression)), ready, at: 0 })
    }

    fn refill(&mut self) -> Result<()> {
        self.ready.clear();
        self.at = 0;
        if self.left == 0 {
            if let Some(hash) = self.hash.take() {
                self.ready.extend_from_slice(hash.try_finalize().map_err(broken)?.as_slice());
            }
            return Ok(());
        }
        let object = self.objects.next().ok_or_else(|| Error::new(Reason::Bug, "a pack has too few objects"))??;
        self.left -= 1;
        object.write_to(&mut self.ready, &mut self.deflate)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&self.ready);
        }
        Ok(())
    }
}

impl<O: Packed, I: Iterator<Item = Result<O>>> Read for Stream<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.ready.len() {
            self.refill().map_err(io::Error::other)?;
        }
        let count = buffer.len().min(self.ready.len() - self.at);
        buffer[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Writes one pack of all that is in another, which has so many bytes, and of `count` objects behind that. The deltas in it
/// stay what they are, since what they are on stands as far before them.
///
/// # Errors
///
/// `PackInvalid` if the other is none; what the reader and the writer fail with, as [`Error`] or `StateFailed`; those of
/// [`Stream::new`] and of the objects.
pub fn extend<O: Packed>(
    pack: &mut dyn Read,
    bytes: u64,
    count: usize,
    more: impl Iterator<Item = Result<O>>,
    into: &mut dyn Write,
) -> Result<()> {
    let failed = |e| unwrap(e, |e| Error::state("cannot write a pack".to_owned(), e));
    let invalid = || Error::new(Reason::PackInvalid, "the bytes are no pack");
    let mut head = [0; header::SIZE];
    pack.read_exact(&mut head).map_err(failed)?;
    let (version, before) = header::decode(&head).map_err(|e| invalid().caused_by(e))?;
    let count = u32::try_from(count).ok().and_then(|count| before.checked_add(count)).ok_or_else(invalid)?;
    let body = bytes.checked_sub(header::SIZE as u64 + SUM_BYTES).ok_or_else(invalid)?;
    let mut into = Hashed { into, hash: hasher(HashKind::Sha1) };
    into.write_all(&header::encode(version, count)).map_err(failed)?;
    io::copy(&mut pack.take(body), &mut into).map_err(failed)?;
    let (mut deflate, mut entry) = (Deflate(Compress::new(Compression::BEST)), Vec::new());
    for object in more {
        entry.clear();
        object?.write_to(&mut entry, &mut deflate)?;
        into.write_all(&entry).map_err(failed)?;
    }
    let Hashed { into, hash } = into;
    into.write_all(hash.try_finalize().map_err(broken)?.as_slice()).map_err(failed)
}

/// How many bytes the checksum at the end of a pack has.
const SUM_BYTES: u64 = 20;

/// A writer that takes the checksum of all that is written.
struct Hashed<'a> {
    into: &'a mut dyn Write,
    hash: Hasher,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.into.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// The error that a reader wrapped in [`io::Error::other`], or what is made of any other I/O error.
pub fn unwrap(error: io::Error, otherwise: impl FnOnce(io::Error) -> Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(otherwise)
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Reason::Bug, "cannot write a pack entry").caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn blob(data: &[u8]) -> NewObject {
        let object = Object { kind: ObjectKind::Blob, data: data.to_vec() };
        NewObject { id: id_of(object.kind, data).unwrap(), object }
    }

    #[test]
    fn names_are_gits() {
        assert_eq!(blob(b"").id.to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(id_of(ObjectKind::Tree, b"").unwrap().to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }

    #[test]
    fn an_empty_pack_is_gits_empty_pack() {
        let pack = write(&[]).unwrap();
        assert_eq!(pack.len(), 32);
        assert_eq!(&pack[..12], b"PACK\0\0\0\x02\0\0\0\0");
        assert_eq!(pack[12..16], [0x02, 0x9d, 0x08, 0x82]);
    }

    #[test]
    fn damage_is_found_by_the_digest_at_the_end() {
        let long = blob(&(0..40_000u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
        for pack in [write(&[]).unwrap(), write(&[blob(b"one"), long]).unwrap()] {
            assert!(is_sound(&mut pack.as_slice()).unwrap());
            let (one, other) = pack.split_at(pack.len() / 2);
            assert!(is_sound(&mut one.chain(other)).unwrap());
            assert!(!is_sound(&mut [&pack, &b"x"[..]].concat().as_slice()).unwrap());
            for at in (0..40.min(pack.len())).chain(pack.len() - 30..pack.len()) {
                let mut bytes = pack.clone();
                bytes[at] ^= 1;
                assert!(!is_sound(&mut bytes.as_slice()).unwrap(), "flipped at {at}");
                assert!(!is_sound(&mut &pack[..at]).unwrap(), "cut at {at}");
            }
        }
    }

    #[test]
    fn a_small_pack_is_small() {
        let objects: Vec<_> = (0..4u8).map(|n| blob(&[b'a' + n; 150])).collect();
        assert!(write(&objects).unwrap().len() < 200);
    }

    #[test]
    fn what_hardly_changed_is_short_for_who_has_it() {
        let [old, new] = ["old", "new"].map(|word| blob(format!("{:0256x}{word}", 7u128.pow(40)).as_bytes()));
        let (whole, thin) = (write(slice::from_ref(&new)).unwrap(), write_on(&[old], slice::from_ref(&new)).unwrap());
        assert_eq!(write_on(&[], &[new]).unwrap().len(), whole.len());
        assert!(thin.len() < whole.len(), "{} and {}", thin.len(), whole.len());
    }

    #[test]
    fn what_was_written_is_read_again() {
        let objects: Vec<_> = [&b""[..], b"one", &[7; 100_000]].map(blob).to_vec();
        let pack = write(&objects).unwrap();
        assert_eq!(read(&pack, 100_003).unwrap(), objects);
        assert_eq!(read(&pack, 100_002).unwrap_err().reason(), Reason::PackTooLarge);
        for end in 0..pack.len() {
            assert_eq!(read(&pack[..end], 100_003).unwrap_err().reason(), Reason::PackInvalid, "{end}");
        }
        for at in 0..pack.len() {
            let mut bytes = pack.clone();
            bytes[at] ^= 1;
            assert_eq!(read(&bytes, 100_003).unwrap_err().reason(), Reason::PackInvalid, "{at}");
        }
    }

    #[test]
    fn a_pack_is_extended_and_is_one_again() {
        let objects: Vec<_> = [&b"one"[..], b"two", &[7; 100_000]].map(blob).to_vec();
        for at in 0..=objects.len() {
            let (first, more) = objects.split_at(at);
            let (pack, mut whole) = (write(first).unwrap(), Vec::new());
            let more = more.iter().map(|new| Ok(&new.object));
            extend(&mut pack.as_slice(), pack.len() as u64, objects.len() - at, more, &mut whole).unwrap();
            assert_eq!(read(&whole, 200_000).unwrap(), objects);
            if at == objects.len() {
                assert_eq!(whole, pack);
            }
        }
        let none = std::iter::empty::<Result<Object>>();
        for bytes in [&b""[..], b"PACK", b"PACK\0\0\0\x02\0\0\0\0", &[0; 40]] {
            extend(&mut &*bytes, bytes.len() as u64, 0, none.clone(), &mut Vec::new()).unwrap_err();
        }
    }

    #[test]
    fn an_error_of_the_objects_comes_out_whole() {
        let objects = [Err::<Object, _>(Error::new(Reason::DiskFull, "no room"))].into_iter();
        let error = Stream::new(1, objects).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(unwrap(error, |_| unreachable!()).reason(), Reason::DiskFull);
    }
}
