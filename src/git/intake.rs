//! Packs that come in: from untrusted bytes to a pack and an index that can be read without fear.
//!
//! ```text
//! reader -> Wire (bytes counted, hashed) -> Incoming (entries checked) -> thin bases put in -> file -> index
//! ```
//!
//! gix puts in the bases of a thin pack, writes the file, resolves the deltas and writes the index. What it leaves
//! open is closed here, before it sees an entry: how many objects there are, how large each is and comes to, how far
//! a compressed stream runs, how much memory a chain of deltas holds. So the cost of a pack is bounded by
//! [`Bounds`], whatever its bytes say, and the first thing that fails is what the caller is told.
//!
//! A hub takes a device that has a commit for one that has its whole tree, and may send deltas on what belongs to other
//! devices. A delta on an object that is not here is left out, with all that builds on it: who needs it, asks for it by
//! its name. A base inside the pack is named by its distance, which every request asks for (`ofs-delta`).

use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::atomic::AtomicBool,
};

use gix::{
    hash::{Hasher, Kind as HashKind, hasher},
    objs::Data,
    progress::Discard,
    zlib::{Compression, Decompress, FlushDecompress, Status},
};
use gix_pack::{
    data::{
        self,
        entry::Header,
        input::{EntriesToBytesIter, Entry, LookupRefDeltaObjectsIter},
    },
    index,
};

use super::{pack, packs::Packs};
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::ports::Objects,
};

/// What a link of a delta chain counts at least, so that a chain has an end even where its objects are tiny.
const LINK_BYTES: u64 = 4 << 10;

/// How much one pack may be.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    bytes: u64,
    objects: usize,
    unpacked: u64,
}

impl Bounds {
    /// A pack that comes over a link.
    pub(super) const LINK: Self =
        Self { bytes: limits::PACK_BYTES, objects: limits::PACK_OBJECTS, unpacked: limits::PACK_UNPACKED_BYTES };
    /// What is left of the bounds for packs that come after such ones.
    pub(super) fn after(self, (bytes, objects): (u64, usize)) -> Self {
        let (bytes, objects) = (self.bytes.saturating_sub(bytes), self.objects.saturating_sub(objects));
        Self { bytes, objects, ..self }
    }

    /// A pack of what is in the store already.
    pub(super) const OWN: Self = Self { bytes: u64::MAX, objects: usize::MAX, unpacked: u64::MAX };
}

/// Writes the pack that `source` yields to `stem.pack` and its index to `stem.idx`, completed with objects of `bases`
/// where it is thin. Returns its checksum, which is its name; `None`, and no files, for a pack without objects.
///
/// # Errors
///
/// `PackTooLarge`, `PackInvalid`; `DiskFull`, `StateReadOnly`, `StateFailed`; what the reader fails with, if that is
/// an [`Error`] in an [`io::Error`], else `HubUnreachable`. Files may be left.
pub(super) fn take_in(source: &mut dyn Read, bounds: Bounds, bases: &Packs, stem: &Path) -> Result<Option<Oid>> {
    let fault = Fault::default();
    let taken = copy_and_index(source, bounds, bases, stem, &fault);
    taken.map_err(|e| fault.into_inner().unwrap_or_else(|| invalid("the pack cannot be read").caused_by(e)))
}

fn copy_and_index(
    source: &mut dyn Read,
    bounds: Bounds,
    bases: &Packs,
    stem: &Path,
    fault: &Fault,
) -> gix::Result<Option<Oid>> {
    let mut entries = fault.note(Incoming::new(source, bounds, bases, fault))?.peekable();
    if entries.peek().is_none() {
        return Ok(None);
    }
    let path = stem.with_extension("pack");
    let file = fault.note(create(&path))?;
    let bases = Bases { packs: bases, fault };
    let whole = LookupRefDeltaObjectsIter::new(entries, bases, Compression::BEST_SPEED);
    let output = Output { file, path: &path, fault };
    let mut written = EntriesToBytesIter::new(whole, output, data::Version::V2, HashKind::Sha1);
    let index_path = stem.with_extension("idx");
    let mut index = BufWriter::new(Output { file: fault.note(create(&index_path))?, path: &index_path, fault });
    let outcome = index::write_data_iter_to_stream(
        index::Version::V2,
        || {
            let pack = data::File::at(&path, HashKind::Sha1).map_err(io::Error::other)?;
            Ok((entry_bytes, pack))
        },
        &mut written,
        Some(1),
        &mut Discard,
        &mut index,
        &AtomicBool::new(false),
        HashKind::Sha1,
        Some(limits::OBJECT_BYTES),
        data::Version::V2,
    )?;
    index.flush().map_err(gix::Error::from_error)?;
    Ok(Some(outcome.data_hash.into()))
}

fn entry_bytes(range: data::EntryRange, pack: &data::File) -> Option<&[u8]> {
    pack.entry_slice(range)
}

fn create(path: &Path) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
    file.map_err(|e| Error::state(format!("cannot create {}", path.display()), e))
}

/// The first thing that failed, in our words: gix hands an error through, but in its own.
#[derive(Default)]
struct Fault(RefCell<Option<Error>>);

impl Fault {
    /// Keeps an error, and gives gix one to stop by.
    fn note<T>(&self, result: Result<T>) -> gix::Result<T> {
        result.map_err(|error| {
            let text = error.to_string();
            self.0.borrow_mut().get_or_insert(error);
            gix::Error::from_error(io::Error::other(text))
        })
    }

    fn into_inner(self) -> Option<Error> {
        self.0.into_inner()
    }
}

/// The reader, counted and hashed as it is consumed. Its errors are [`Error`]s in an [`io::Error`].
struct Wire<'a> {
    inner: BufReader<&'a mut dyn Read>,
    taken: u64,
    limit: u64,
    hash: Hasher,
}

impl Wire<'_> {
    /// Reads the checksum, which must be right and the last that there is.
    fn finish(&mut self) -> Result<()> {
        let hash = std::mem::replace(&mut self.hash, hasher(HashKind::Sha1)).try_finalize();
        let hash = hash.map_err(|e| invalid("the pack is made to collide under SHA-1").caused_by(e))?;
        let mut sum = [0; 20];
        self.read_exact(&mut sum).map_err(unread)?;
        if sum != hash.as_slice() {
            return Err(invalid("the pack does not match its checksum"));
        }
        if self.inner.fill_buf().map_err(unread)?.is_empty() { Ok(()) } else { Err(invalid("bytes follow the pack")) }
    }
}

impl BufRead for Wire<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken > self.limit {
            return Err(io::Error::other(too_large(format!("the pack has more than {} bytes", self.limit))));
        }
        let bytes = self.inner.fill_buf().map_err(|e| io::Error::other(unread(e)))?;
        if bytes.is_empty() { Err(io::Error::other(invalid("the pack ends early"))) } else { Ok(bytes) }
    }

    fn consume(&mut self, count: usize) {
        self.hash.update(&self.inner.buffer()[..count]);
        self.inner.consume(count);
        self.taken += count as u64;
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The entries of a pack that can be resolved, each within the bounds before gix sees it.
struct Incoming<'a> {
    wire: Wire<'a>,
    bounds: Bounds,
    bases: &'a Packs,
    fault: &'a Fault,
    left: u32,
    unpacked: u64,
    chains: Chains,
    inflate: Decompress,
}

impl<'a> Incoming<'a> {
    fn new(source: &'a mut dyn Read, bounds: Bounds, bases: &'a Packs, fault: &'a Fault) -> Result<Self> {
        let inner = BufReader::with_capacity(16 << 10, source);
        let mut wire = Wire { inner, taken: 0, limit: bounds.bytes, hash: hasher(HashKind::Sha1) };
        let mut head = [0; data::header::SIZE];
        wire.read_exact(&mut head).map_err(unread)?;
        let (_, left) = data::header::decode(&head).map_err(|e| invalid("the bytes are no pack").caused_by(e))?;
        if left as usize > bounds.objects {
            return Err(too_large(format!("the pack has {left} objects, more than {}", bounds.objects)));
        }
        if left == 0 {
            wire.finish()?;
        }
        let (chains, inflate) = (Chains::new(), Decompress::new());
        Ok(Self { wire, bounds, bases, fault, left, unpacked: 0, chains, inflate })
    }

    /// The next entry; `None` if it is left out.
    fn entry(&mut self) -> Result<Option<Entry>> {
        self.left -= 1;
        let offset = self.wire.taken;
        let head = data::Entry::from_read(&mut self.wire, offset, 20).map_err(damaged)?;
        let size = head.decompressed_size;
        // gix writes each head anew in its shortest form: a longer one would shift all that follows it.
        if head.header_size() != head.header.size(size) {
            return Err(invalid("a pack entry is not written as git writes it"));
        }
        self.count(size)?;
        let (compressed, start) = self.inflate(size)?;
        let result = if head.header.is_delta() { result_size(&start)? } else { 0 };
        self.count(result)?;
        if self.left == 0 {
            self.wire.finish()?;
        }
        let Some((pack_offset, header)) = self.chains.add(offset, head.header, size + result, self.bases)? else {
            return Ok(None);
        };
        let header_size = header.size(size);
        let compressed_size = compressed.len() as u64;
        self.chains.end = pack_offset + header_size as u64 + compressed_size;
        let mut entry = Entry {
            header,
            header_size: header_size as u16,
            pack_offset,
            compressed_size,
            compressed: Some(compressed),
            crc32: None,
            decompressed_size: size,
            trailer: None,
        };
        entry.crc32 = Some(entry.compute_crc32());
        Ok(Some(entry))
    }

    /// Counts bytes that an entry comes to when it is inflated or resolved, before either is done.
    fn count(&mut self, bytes: u64) -> Result<()> {
        self.unpacked = self.unpacked.saturating_add(bytes);
        if bytes > limits::OBJECT_BYTES as u64 {
            return Err(too_large(format!(
                "the pack has an object of {bytes} bytes, more than {}",
                limits::OBJECT_BYTES
            )));
        }
        if self.unpacked > self.bounds.unpacked {
            return Err(too_large(format!("the pack comes to more than {} bytes", self.bounds.unpacked)));
        }
        Ok(())
    }

    /// Reads one compressed stream that must come to `size` bytes: as it is, and the first bytes of what it holds.
    fn inflate(&mut self, size: u64) -> Result<(Vec<u8>, Vec<u8>)> {
        // No writer makes a stream that is so much longer than what is in it.
        let longest = size + size / 8 + 1024;
        let (mut compressed, mut start, mut scratch) = (Vec::new(), Vec::new(), [0; 4096]);
        self.inflate.reset();
        loop {
            let input = self.wire.fill_buf().map_err(damaged)?;
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, &mut scratch, FlushDecompress::None);
            let status = status.map_err(|e| invalid("a pack entry cannot be inflated").caused_by(e))?;
            let used = (self.inflate.total_in() - before.0) as usize;
            let made = (self.inflate.total_out() - before.1) as usize;
            compressed.extend_from_slice(&input[..used]);
            start.extend_from_slice(&scratch[..made.min(DELTA_HEAD - start.len())]);
            self.wire.consume(used);
            let end = status == Status::StreamEnd;
            if self.inflate.total_out() > size || compressed.len() as u64 > longest || (!end && used + made == 0) {
                return Err(invalid("a pack entry is longer than it says"));
            }
            if end && self.inflate.total_out() == size {
                return Ok((compressed, start));
            } else if end {
                return Err(invalid("a pack entry is shorter than it says"));
            }
        }
    }
}

impl Iterator for Incoming<'_> {
    type Item = gix::Result<Entry>;

    /// The next entry; none after an error.
    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            let entry = self.entry();
            if entry.is_err() {
                self.left = 0;
            }
            if let Some(entry) = entry.transpose() {
                return Some(self.fault.note(entry));
            }
        }
        None
    }
}

/// Bytes at the start of a delta in which its two sizes stand.
const DELTA_HEAD: usize = 20;

/// The size of the object that a delta makes, by the delta's first bytes: two numbers, seven bits to a byte with the
/// lowest first, of the base's size and of the result's.
fn result_size(start: &[u8]) -> Result<u64> {
    let mut bytes = start.iter();
    let mut number = || {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = bytes.next()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    number().and_then(|_| number()).ok_or_else(|| invalid("a delta does not say how large its object is"))
}

/// How much memory the chains of deltas hold while they are resolved, where all that lead to one object are held; and
/// where each entry stands once others were left out.
struct Chains {
    /// The entries, in their order.
    entries: Vec<Place>,
    /// Where the next entry that is not left out begins.
    end: u64,
}

/// Where an entry begins in the pack that came, and what became of it.
struct Place {
    offset: u64,
    /// `None` if it was left out.
    kept: Option<Kept>,
}

/// Where an entry begins in the pack without what was left out, and what its chain holds.
#[derive(Clone, Copy)]
struct Kept {
    offset: u64,
    held: u64,
}

impl Chains {
    fn new() -> Self {
        Self { entries: Vec::new(), end: data::header::SIZE as u64 }
    }

    /// Adds an entry, and says where it begins and on what it builds; `None` if it is left out.
    fn add(&mut self, offset: u64, header: Header, bytes: u64, bases: &Packs) -> Result<Option<(u64, Header)>> {
        let held = bytes.max(LINK_BYTES);
        let kept = match header {
            Header::OfsDelta { base_distance } => {
                let base = offset.saturating_sub(base_distance);
                let at = self.entries.binary_search_by_key(&base, |entry| entry.offset);
                let at = at.map_err(|_| invalid("a delta has no base"))?;
                self.entries[at].kept.map(|base| {
                    let header = Header::OfsDelta { base_distance: self.end - base.offset };
                    (header, base.held + held)
                })
            }
            Header::RefDelta { base_id } => bases.kind(base_id.into())?.map(|_| (header, held)),
            _ => Some((header, held)),
        };
        if kept.is_some_and(|(_, held)| held > limits::DELTA_CHAIN_BYTES) {
            return Err(too_large(format!("the pack has a chain of deltas over {} bytes", limits::DELTA_CHAIN_BYTES)));
        }
        let begin = self.end;
        self.entries.push(Place { offset, kept: kept.map(|(_, held)| Kept { offset: begin, held }) });
        Ok(kept.map(|(header, _)| (begin, header)))
    }
}

/// The objects that a thin pack builds on, for gix.
struct Bases<'a> {
    packs: &'a Packs,
    fault: &'a Fault,
}

impl gix::objs::Find for Bases<'_> {
    fn try_find<'a>(&self, id: &gix::oid, buffer: &'a mut Vec<u8>) -> gix::Result<Option<Data<'a>>> {
        let Some(object) = self.fault.note(self.packs.read(id.into(), limits::OBJECT_BYTES))? else { return Ok(None) };
        *buffer = object.data;
        Ok(Some(Data { kind: object.kind.into(), object_hash: HashKind::Sha1, data: buffer }))
    }
}

/// A file whose failures are kept as ours.
struct Output<'a> {
    file: File,
    path: &'a Path,
    fault: &'a Fault,
}

impl Output<'_> {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let result = result.map_err(|e| Error::state(format!("cannot write {}", self.path.display()), e));
        self.fault.note(result).map_err(io::Error::other)
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes);
        self.note(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Output<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer);
        self.note(count)
    }
}

impl Seek for Output<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.file.seek(to);
        self.note(at)
    }
}

fn invalid(what: &str) -> Error {
    Error::new(Reason::PackInvalid, what)
}

fn too_large(what: String) -> Error {
    Error::new(Reason::PackTooLarge, what).hint("keep large files out of the exchange")
}

/// What the reader failed with.
fn unread(error: io::Error) -> Error {
    pack::unwrap(error, |e| Error::new(Reason::HubUnreachable, "the connection broke within a pack").caused_by(e))
}

/// What reading an entry failed with: the reader's error, or that the bytes are no entry.
fn damaged(error: io::Error) -> Error {
    pack::unwrap(error, |e| invalid("a pack entry is damaged").caused_by(e))
}
