//! The layout of a stick: where on it lies what, and the small file by which a hub says how far it has heard a device.
//!
//! ```text
//! GITER/<exchange>/to-device/<device>.bundle           specs for one device
//! GITER/<exchange>/to-device/_<name>.bundle            specs for several; no device has such a name
//! GITER/<exchange>/to-device/<device>.ack              the device's last status that the hub has
//! GITER/<exchange>/from-device/<device>.bundle         statuses
//! GITER/<exchange>/from-device/<device>.enroll.bundle  a request for enrolment
//! GITER/<exchange>/from-device/<device>.txt            what the device did, for people
//! ```
//!
//! A device below a site lies in the folder of that name. All names are lower case, so that FAT and its kin tell them
//! apart. Nothing of this is trusted: what counts is in signed commits.

use std::path::PathBuf;

use crate::api::{DeviceId, Error, ExchangeId, Oid, Reason, Result, limits};

/// The folder at the top of a stick.
pub const TOP: &str = "GITER";
/// What goes to devices, below an exchange's folder.
pub const TO_DEVICE: &str = "to-device";
/// What comes from devices, below an exchange's folder.
pub const FROM_DEVICE: &str = "from-device";
/// The folder of an exchange whose charter names no id.
pub const UNNAMED: &str = "unnamed";
/// The folder of requests by devices that know of no exchange yet.
pub const ENROLL: &str = "enroll";
/// With what the name of a bundle for several devices begins.
pub const SHARED: char = '_';

/// What lies on a stick for one device, or from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// Specs for it.
    Specs,
    /// How far the hub has heard it.
    Ack,
    /// Its statuses.
    Statuses,
    /// Its request for enrolment.
    Request,
    /// What it did, for people.
    Report,
}

impl Paper {
    /// Below which folder it lies.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Specs | Self::Ack => TO_DEVICE,
            Self::Statuses | Self::Request | Self::Report => FROM_DEVICE,
        }
    }

    /// What follows the device's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Specs | Self::Statuses => ".bundle",
            Self::Ack => ".ack",
            Self::Request => ".enroll.bundle",
            Self::Report => ".txt",
        }
    }

    /// Most bytes that such a file has.
    pub const fn most(self) -> u64 {
        match self {
            Self::Specs => limits::BUNDLE_BYTES,
            Self::Statuses => limits::DEVICE_PUSH_BYTES,
            Self::Request => limits::REQUEST_BUNDLE_BYTES,
            Self::Ack | Self::Report => limits::RECEIPT_BYTES,
        }
    }

    /// Where it lies. `exchange` is the name of the exchange's folder.
    pub fn place<'a>(self, exchange: &'a str, device: &'a DeviceId) -> Place<'a> {
        let (above, last) = device.as_str().rsplit_once('/').unwrap_or(("", device.as_str()));
        let above = above.split('/').filter(|name| !name.is_empty());
        let folders = [TOP, exchange, self.folder()].into_iter().chain(above).collect();
        Place { folders, file: format!("{last}{}", self.ending()) }
    }
}

/// A file of a stick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The names of the folders on the way, from the top of the stick.
    pub folders: Vec<&'a str>,
    /// The file's name.
    pub file: String,
}

impl Place<'_> {
    /// The whole way, from the top of the stick.
    pub fn path(&self) -> PathBuf {
        self.folders.iter().copied().chain([&*self.file]).collect()
    }
}

/// The name of the file with a bundle for several devices, which leads from a commit, or from nothing, to another.
pub fn shared_name(tip: Oid, base: Option<Oid>) -> String {
    let from = base.map_or(FULL.into(), |base| base.short());
    format!("{SHARED}{}-{from}{}", tip.short(), Paper::Specs.ending())
}

/// Whether a file's name is one of those.
pub fn is_shared_name(name: &str) -> bool {
    let is_short = |text: &str| text.len() == 12 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let ends = name.strip_prefix(SHARED).and_then(|name| name.strip_suffix(Paper::Specs.ending()));
    ends.and_then(|ends| ends.split_once('-'))
        .is_some_and(|(tip, from)| is_short(tip) && (is_short(from) || from == FULL))
}

/// What stands for the base in the name of a bundle with a whole history.
const FULL: &str = "full";

/// The name of an exchange's folder.
pub fn folder_of(exchange: Option<&ExchangeId>) -> &str {
    exchange.map_or(UNNAMED, ExchangeId::as_str)
}

/// The bytes of an [`Ack`](Paper::Ack): the status commit that the hub has.
pub fn write_ack(status: Oid) -> String {
    format!("{status}\n")
}

/// Reads an [`Ack`](Paper::Ack).
///
/// # Errors
///
/// `StickFailed` if it is none.
pub fn read_ack(bytes: &[u8]) -> Result<Oid> {
    let id = bytes.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    id.ok_or_else(|| Error::new(Reason::StickFailed, "the acknowledgement is not one line with the name of a commit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_paper_has_its_place() {
        let device = "site-a/pump-07".parse().unwrap();
        let path = |paper: Paper| paper.place("5f0c", &device).path();
        assert_eq!(path(Paper::Specs), PathBuf::from("GITER/5f0c/to-device/site-a/pump-07.bundle"));
        assert_eq!(path(Paper::Ack), PathBuf::from("GITER/5f0c/to-device/site-a/pump-07.ack"));
        assert_eq!(path(Paper::Statuses), PathBuf::from("GITER/5f0c/from-device/site-a/pump-07.bundle"));
        assert_eq!(path(Paper::Request), PathBuf::from("GITER/5f0c/from-device/site-a/pump-07.enroll.bundle"));
        assert_eq!(path(Paper::Report), PathBuf::from("GITER/5f0c/from-device/site-a/pump-07.txt"));
        let flat = "pump".parse().unwrap();
        assert_eq!(Paper::Specs.place(UNNAMED, &flat).path(), PathBuf::from("GITER/unnamed/to-device/pump.bundle"));
    }

    #[test]
    fn no_device_has_the_name_of_what_is_for_several() {
        assert!(format!("{SHARED}all").parse::<DeviceId>().is_err());
    }

    #[test]
    fn a_bundle_for_several_is_named_by_its_ends() {
        let [tip, base] = [1, 2].map(|byte| Oid::new([byte; 20]));
        assert_eq!(shared_name(tip, Some(base)), "_010101010101-020202020202.bundle");
        assert_eq!(shared_name(tip, None), "_010101010101-full.bundle");
        assert!(is_shared_name(&shared_name(tip, Some(base))) && is_shared_name(&shared_name(tip, None)));
        for other in
            ["_all.bundle", "_010101010101-0202.bundle", "010101010101-full.bundle", "_010101010101-FULL.bundle"]
        {
            assert!(!is_shared_name(other), "{other}");
        }
    }

    #[test]
    fn an_acknowledgement_is_one_line() {
        let id: Oid = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".parse().unwrap();
        assert_eq!(read_ack(write_ack(id).as_bytes()).unwrap(), id);
        for wrong in ["", "\n", "e69d\n", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "\u{0}\n"] {
            assert_eq!(read_ack(wrong.as_bytes()).unwrap_err().reason(), Reason::StickFailed, "{wrong:?}");
        }
    }
}
