//! A set of packs on the disk, open for reading.
//!
//! Packs are mapped, not loaded: the kernel keeps of them what is read and drops it when memory is short. Deltas are
//! resolved within each pack, which is whole (the intake completes thin ones). Nothing is cached: what is read is
//! hashed again, so that a byte that the disk lost is an error and never a wrong spec.

use std::{cell::RefCell, path::Path};

use gix::{objs::Kind, zlib::Inflate};
use gix_pack::{
    Bundle, cache,
    data::decode::{entry, header},
};

use super::{convert, pack};
use crate::{
    api::{Error, Oid, Reason, Result, limits},
    reconcile::ports::{Object, ObjectKind, Objects},
};

/// Memory that one object may take while its chain of deltas is resolved. No chain that was taken in takes more.
const DECODE_BYTES: usize = limits::DELTA_CHAIN_BYTES as usize + 2 * limits::OBJECT_BYTES;

/// Packs, searched newest first.
#[derive(Default)]
pub(super) struct Packs {
    packs: Vec<Bundle>,
    inflate: RefCell<Inflate>,
}

impl Packs {
    /// Opens the pack and index at `stem` (a path without its extension).
    ///
    /// # Errors
    ///
    /// `StateFailed` if one of them is missing or malformed.
    pub(super) fn open(&mut self, stem: &Path) -> Result<()> {
        let bundle = Bundle::at(stem.with_extension("idx"), gix::hash::Kind::Sha1)
            .map_err(|e| damaged(format!("cannot open pack {}", stem.display())).caused_by(e))?;
        let Bundle { pack, index } = bundle;
        self.packs.push(Bundle { pack: pack.with_alloc_limit_bytes(Some(DECODE_BYTES)), index });
        Ok(())
    }

    /// Bytes and objects of the packs after the first `skip`.
    pub(super) fn size(&self, skip: usize) -> (u64, usize) {
        let sizes = self.packs.iter().skip(skip).map(|bundle| (bundle.pack.data_len(), bundle.index.num_objects()));
        sizes.fold((0, 0), |sum, (bytes, objects)| (sum.0 + bytes as u64, sum.1 + objects as usize))
    }

    /// Whether the first pack has these objects, each named once, and no others.
    pub(super) fn is_first(&self, names: &[(Oid, ObjectKind)]) -> bool {
        let Some(Bundle { index, .. }) = self.packs.first() else { return false };
        index.num_objects() as usize == names.len()
            && names.iter().all(|&(id, _)| index.lookup(gix::ObjectId::from(id)).is_some())
    }

    /// The kind of an object; `None` if it is not there.
    pub(super) fn kind(&self, id: Oid) -> Result<Option<ObjectKind>> {
        let Some((bundle, offset)) = self.find(id) else { return Ok(None) };
        Ok(convert::kind(self.header(bundle, offset, id)?.0))
    }

    fn find(&self, id: Oid) -> Option<(&Bundle, u64)> {
        let name = gix::ObjectId::from(id);
        self.packs.iter().rev().find_map(|bundle| {
            let at = bundle.index.lookup(name)?;
            Some((bundle, bundle.index.pack_offset_at_index(at)))
        })
    }

    /// Kind and size of an object, inflating no more than the first bytes of each of its deltas.
    fn header(&self, bundle: &Bundle, offset: u64, id: Oid) -> Result<(Kind, u64)> {
        let base = |name: &gix::oid| in_pack(bundle, name, header::ResolvedBase::InPack);
        let entry = bundle.pack.entry(offset).map_err(|e| unreadable(id, e))?;
        let header = bundle.pack.decode_header(entry, &mut self.inflate.borrow_mut(), &base);
        header.map(|header| (header.kind, header.object_size)).map_err(|e| unreadable(id, e))
    }
}

impl Objects for Packs {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        let Some((bundle, offset)) = self.find(id) else { return Ok(None) };
        let (kind, size) = self.header(bundle, offset, id)?;
        if size > limit as u64 {
            let what = format!("object {id} has {size} bytes, more than {limit}");
            return Err(Error::new(Reason::FileTooLarge, what));
        }
        let Some(kind) = convert::kind(kind) else { return Ok(None) };
        let base = |name: &gix::oid, _: &mut Vec<u8>| in_pack(bundle, name, entry::ResolvedBase::InPack);
        let entry = bundle.pack.entry(offset).map_err(|e| unreadable(id, e))?;
        let mut data = Vec::new();
        bundle
            .pack
            .decode_entry(entry, &mut data, &mut self.inflate.borrow_mut(), &base, &mut cache::Never)
            .map_err(|e| unreadable(id, e))?;
        if pack::id_of(kind, &data)? != id {
            return Err(damaged(format!("object {id} does not hash to its name")));
        }
        Ok(Some(Object { kind, data }))
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.find(id).is_some())
    }
}

fn in_pack<T>(bundle: &Bundle, name: &gix::oid, found: impl Fn(gix_pack::data::Entry) -> T) -> gix::Result<Option<T>> {
    let Some(at) = bundle.index.lookup(name) else { return Ok(None) };
    bundle.pack.entry(bundle.index.pack_offset_at_index(at)).map(|entry| Some(found(entry)))
}

fn unreadable(id: Oid, error: gix::Error) -> Error {
    damaged(format!("cannot read object {id}")).caused_by(error)
}

fn damaged(what: String) -> Error {
    Error::new(Reason::StateFailed, what)
        .hint("restart giterd: it falls back to the last sound state and fetches again")
}
