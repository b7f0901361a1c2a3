//! Every bound on what the agent reads, keeps or says, in one place.
//!
//! A bound that is passed is an error with its own reason, or is counted in the status; nothing is cut in silence.

/// Largest pack taken from a link in one fetch, in bytes as it comes over the wire.
pub const PACK_BYTES: u64 = 64 << 20;
/// Largest single git object held in memory, in bytes after inflation.
pub const OBJECT_BYTES: usize = 4 << 20;
/// Largest commit object that is verified, in bytes.
pub const COMMIT_BYTES: usize = 64 << 10;
/// Largest armoured signature that is parsed, in bytes; one by a 16384-bit RSA key still has its kind named.
pub const SIGNATURE_BYTES: usize = 8 << 10;
/// Largest manifest (one `.yaml` file), in bytes.
pub const MANIFEST_BYTES: usize = 256 << 10;
/// Largest file that a `File` resource takes its content from, in bytes.
pub const SOURCE_BYTES: usize = 1 << 20;
/// Most resources one device can have.
pub const RESOURCES: usize = 1024;
/// Most manifests in one device's folder.
pub const MANIFESTS: usize = 1024;
/// Most findings kept about one snapshot; the rest are counted.
pub const FINDINGS: usize = 32;
/// Most commits between the last accepted tip and a new one.
pub const RANGE_COMMITS: usize = 10_000;
/// Latest commit date that is believed, in seconds since 1970: 9999-12-31T23:59:59Z.
pub const LATEST_DATE: i64 = 253_402_300_799;
/// Most keys in an allowed_signers file.
pub const SIGNERS: usize = 256;
/// Largest allowed_signers file, in bytes.
pub const SIGNERS_BYTES: usize = 256 << 10;
/// Largest configuration, key or board file, in bytes.
pub const CONFIG_BYTES: usize = 64 << 10;
/// Largest ledger record, in bytes.
pub const RECORD_BYTES: usize = 512 << 10;
/// Largest encoded status, in bytes.
pub const STATUS_BYTES: usize = 256 << 10;
/// Longest condition message, in bytes of UTF-8.
pub const MESSAGE_BYTES: usize = 240;
/// Longest reason, in bytes.
pub const REASON_BYTES: usize = 48;
/// Packs kept side by side before they are rewritten into one.
pub const PACKS: usize = 12;
/// Most references listed by a hub that one poll reads.
pub const REFS: usize = 65_536;
/// Longest text taken from a hub (a hook's message, ssh's last words), in bytes.
pub const HUB_TEXT_BYTES: usize = 4 << 10;
/// Most entries of one tree object that are read.
pub const TREE_ENTRIES: usize = 65_536;
/// Longest `specs/<device>` nesting, in path components.
pub const DEVICE_DEPTH: usize = 8;
