//! Every bound on what the agent reads, keeps or says, in one place.
//!
//! A bound that is passed is an error with its own reason, or is counted in the status; nothing is cut in silence.

use std::time::Duration;

/// Largest pack taken from a link in one fetch, in bytes as it comes over the wire.
pub const PACK_BYTES: u64 = 64 << 20;
/// Most objects in one pack taken from a link.
pub const PACK_OBJECTS: usize = 131_072;
/// Most bytes that the objects of one pack come to after inflation, which bounds the time it takes to index it.
pub const PACK_UNPACKED_BYTES: u64 = 4 << 30;
/// Most bytes that one chain of deltas holds in memory while it is resolved; a link of it counts as 4 KiB at least.
pub const DELTA_CHAIN_BYTES: u64 = 32 << 20;
/// Most bytes of objects that an export keeps in memory, for each bundle that is made at a time.
pub const EXPORT_BYTES: usize = 16 << 20;
/// Longest part of a commit's subject in a bundle's header, in bytes.
pub const BUNDLE_SUBJECT_BYTES: usize = 60;
/// Most places of an object that are looked at to make a delta on it, evenly spread over a longer one.
pub const DELTA_BLOCKS: usize = 1 << 16;
/// Most places with the same beginning that are compared to find the longest run for a delta.
pub const DELTA_PROBES: usize = 32;
/// Largest single git object held in memory, in bytes after inflation.
pub const OBJECT_BYTES: usize = 4 << 20;
/// Largest commit object that is verified, in bytes.
pub const COMMIT_BYTES: usize = 64 << 10;
/// Largest armoured signature that is parsed, in bytes; one by a 16384-bit RSA key still has its kind named.
pub const SIGNATURE_BYTES: usize = 8 << 10;
/// Largest manifest (one `.yaml` file), in bytes.
pub const MANIFEST_BYTES: usize = 256 << 10;
/// Most that one manifest may hold once its aliases are written out: bytes of text, and 8 for each value and key.
pub const MANIFEST_WEIGHT: usize = 512 << 10;
/// Deepest nesting of lists and mappings in a manifest.
pub const MANIFEST_DEPTH: usize = 32;
/// All manifests of one device together, in bytes.
pub const MANIFESTS_BYTES: usize = 4 << 20;
/// Most labels, and most annotations, of one resource.
pub const LABELS: usize = 64;
/// Most resources that one resource can name in `edge.giter.dev/after`.
pub const AFTER: usize = 64;
/// Highest serial of a charter: the highest whole number that every reader of JSON keeps as it is.
pub const SERIAL: u64 = (1 << 53) - 1;
/// Most path patterns of one publisher.
pub const PUBLISHER_PATHS: usize = 256;
/// Most signatures of one charter that are looked at.
pub const CHARTER_SIGNATURES: usize = 16;
/// Largest file of a charter's signatures, in bytes.
pub const CHARTER_SIGNATURE_BYTES: usize = 64 << 10;
/// Largest file that a `File` resource takes its content from, in bytes.
pub const SOURCE_BYTES: usize = 1 << 20;
/// All files together that one device's `File` resources take their content from, in bytes.
pub const SOURCES_BYTES: usize = 4 << 20;
/// Most resources one device can have.
pub const RESOURCES: usize = 1024;
/// Most manifests in one device's folder.
pub const MANIFESTS: usize = 1024;
/// Most findings kept about one snapshot; the rest are counted.
pub const FINDINGS: usize = 32;
/// Most commits between the last accepted tip and a new one.
pub const RANGE_COMMITS: usize = 10_000;
/// Commits of the branch that are taken in one step when a range is verified.
pub const RANGE_STEP: usize = 256;
/// Most names of commits and of their parents that are kept in memory while a range is verified: a step and more.
pub const RECENT_NAMES: usize = 896;
/// Most trees of which it is kept what the device reads of them.
pub const RECENT_TREES: usize = 56;
/// Most objects that are lacking to a proof and fetched at once.
pub const PROOF_LACKS: usize = 4096;
/// Most objects that are named in one request to a hub.
pub const WANTS: usize = 1024;
/// Most requests in a row for what a device reads of one commit.
pub const FETCH_ROUNDS: usize = DEVICE_DEPTH + FOLDER_DEPTH;
/// Most entries of a device's folder that are compared to learn what one commit changes.
pub const CHANGED_ENTRIES: usize = 65_536;
/// Deepest nesting of folders in a device's folder.
pub const FOLDER_DEPTH: usize = 32;
/// Most trees that are held against those of a base to learn what devices lack of a pack: as many as can be in it.
pub const GAP_TREES: usize = PACK_OBJECTS;
/// Most bytes of trees that are read for that.
pub const GAP_BYTES: usize = 1 << 30;
/// Latest commit date that is believed, in seconds since 1970: 9999-12-31T23:59:59Z.
pub const LATEST_DATE: i64 = 253_402_300_799;
/// Most keys in an allowed_signers file.
pub const SIGNERS: usize = 256;
/// Largest allowed_signers file, in bytes.
pub const SIGNERS_BYTES: usize = 256 << 10;
/// Largest manifest of a request for enrolment, in bytes.
pub const REQUEST_BYTES: usize = 4 << 10;
/// Longest note of a request for enrolment that is shown, in characters.
pub const NOTE_CHARS: usize = 64;
/// Longest header of a bundle, in bytes.
pub const BUNDLE_HEADER_BYTES: u64 = 4 << 20;
/// Longest line of a bundle's header, in bytes: a ref, or a prerequisite with its subject.
pub const BUNDLE_LINE_BYTES: u64 = 64 << 10;
/// Most prerequisites of a bundle.
pub const BUNDLE_PREREQUISITES: usize = 1024;
/// Largest bundle that is taken from a stick, in bytes.
pub const BUNDLE_BYTES: u64 = PACK_BYTES + BUNDLE_HEADER_BYTES;
/// Most names in one folder of a stick that are looked at.
pub const STICK_ENTRIES: usize = 4096;
/// Most bundles for several devices on one stick that are looked into.
pub const STICK_BUNDLES: usize = 64;
/// Most devices for which one gateway carries.
pub const RELAY_DEVICES: usize = 256;
/// Most copies of papers that a gateway remembers to have met, for each device.
pub const RELAY_MEMORY: usize = 256;
/// Largest file in which a gateway remembers them, in bytes.
pub const RELAY_MEMORY_BYTES: u64 = 32 << 10;
/// Bytes of bundles that a gateway looks through for damage after a poll: the next ones with the next poll. The last of them is
/// looked through to its end.
pub const RELAY_CHECK_BYTES: u64 = 1 << 20;
/// How long a file has been as it is before its times tell whether it is another: five times what FAT's clock is coarse.
pub const STAMP_SETTLES: Duration = Duration::from_secs(10);
/// Most statuses that wait for sticks to carry them.
pub const OUTBOX_STATUSES: usize = 512;
/// Most bytes that statuses have which wait for sticks, before they are compressed; one of them may have more.
pub const OUTBOX_BYTES: usize = 1 << 20;
/// Most requests for enrolment that are read from one stick.
pub const STICK_REQUESTS: usize = 1024;
/// Largest bundle with a request for enrolment, in bytes.
pub const REQUEST_BUNDLE_BYTES: u64 = 64 << 10;
/// Largest receipt of a device for people, in bytes.
pub const RECEIPT_BYTES: u64 = 16 << 10;
/// Most lines of a receipt that are shown.
pub const RECEIPT_LINES: usize = 8;
/// Most names on one stick that an import looks at.
pub const STICK_FILES: usize = 65_536;
/// Most bytes of one device's statuses that are taken from a stick at once, uncompressed.
pub const STATUSES_BYTES: usize = 16 << 20;
/// Most bytes of statuses that one import takes, uncompressed.
pub const IMPORT_BYTES: usize = 64 << 20;
/// Keys of one device, of each sort.
pub const DEVICE_KEYS: usize = 16;
/// Most requests that wait at a hub for an answer.
pub const ENROLMENTS: usize = 1024;
/// Most refs that one push to a hub may change.
pub const PUSH_REFS: usize = 1024;
/// Most bytes that a push to a hub may bring: as much as a device takes from there.
pub const PUSH_BYTES: u64 = PACK_BYTES;
/// Most bytes that a push may bring in which no publisher speaks, but devices alone.
pub const DEVICE_PUSH_BYTES: u64 = 4 << 20;
/// Most statuses of one device in one push.
pub const PUSH_STATUSES: usize = 1024;
/// Most statuses before those of a push that they are held against.
pub const STATUS_WITNESSES: usize = 32;
/// Most lines that a hub's hook says about a push, and most bytes of one.
pub const HOOK_LINES: usize = 64;
/// Longest line that a hub's hook says about a push, in bytes.
pub const HOOK_LINE_BYTES: usize = 1024;
/// Most keys with which one login to a hub was proven.
pub const LOGIN_KEYS: usize = 16;
/// Longest command that a device's login to a hub may ask for, in bytes.
pub const COMMAND_BYTES: usize = 4 << 10;
/// Most folders and refs below the names of a device and of those that it carries for that are kept out of its sight one by
/// one.
pub const NESTED_DEVICES: usize = 1024;
/// Most keys of devices in a publisher's allowed_signers file.
pub const FLEET_SIGNERS: usize = 65_536;
/// Largest allowed_signers file of a publisher, in bytes.
pub const FLEET_SIGNERS_BYTES: usize = 16 << 20;
/// Largest configuration, key or board file, in bytes.
pub const CONFIG_BYTES: usize = 64 << 10;
/// Largest file that names users or groups, in bytes.
pub const ACCOUNTS_BYTES: usize = 1 << 20;
/// Largest attribute file that is read from sysfs, in bytes.
pub const SYSFS_BYTES: usize = 64 << 10;
/// Largest table of what is mounted that is read, in bytes.
pub const MOUNTINFO_BYTES: usize = 1 << 20;
/// Largest message of the kernel's about a device, in bytes: four times what it has room for.
pub const UEVENT_BYTES: usize = 8 << 10;
/// Most disks and partitions that are looked at for sticks.
pub const BLOCK_DEVICES: usize = 1024;
/// Largest ledger record, in bytes.
pub const RECORD_BYTES: usize = 512 << 10;
/// Largest second copy of the rollback floor, in bytes.
pub const FLOOR_BYTES: usize = 64 << 10;
/// Largest encoded status, in bytes.
pub const STATUS_BYTES: usize = 256 << 10;
/// Largest file of a status, in bytes: YAML takes about four times those of the compact form.
pub const STATUS_FILE_BYTES: usize = 8 * STATUS_BYTES;
/// Bytes that count for the push of a status beside its pack: what git, SSH and TCP/IP take in both directions, on a connection
/// that is there, at a hub that shows the device its own refs. Measured (1,900), and rounded up.
pub const PUSH_OVERHEAD: u64 = 2_000;
/// The largest status, before it is compressed, that is kept in memory so that the next one can be pushed as deltas on it.
pub const DELTA_STATUS_BYTES: usize = 16 << 10;
/// The least that statuses may be given for a day, in bytes: about one of them.
pub const LEAST_BUDGET: u64 = 3_000;
/// The part of a day's bytes for statuses that can be in hand at once, as one over this: the rest comes in over the day.
pub const BUDGET_IN_HAND: u64 = 2;
/// The part of what can be in hand that heartbeats leave, as one over this.
pub const HEARTBEAT_RESERVE: u64 = 2;
/// The part of what can be in hand that is left for errors, as one over this.
pub const ERROR_RESERVE: u64 = 4;
/// How many times rarer heartbeats are where the hub refuses to have one replaced.
pub const APPENDED_HEARTBEAT_FACTOR: u64 = 6;
/// After how many heartbeats that were appended for that reason it is tried again to replace one: a week of them, by the
/// default.
pub const APPENDED_HEARTBEATS: u32 = 28;
/// Longest condition message, in bytes of UTF-8.
pub const MESSAGE_BYTES: usize = 240;
/// Longest reason, in bytes.
pub const REASON_BYTES: usize = 48;
/// Most references listed by a hub that one poll reads.
pub const REFS: usize = 65_536;
/// Most lines of a hub's greeting or report, references aside.
pub const HUB_LINES: usize = 256;
/// Largest known_hosts file, in bytes.
pub const KNOWN_HOSTS_BYTES: usize = 256 << 10;
/// Most bytes that an SSH server sends before it has let the device in: its greeting, key exchange and banners.
pub const SSH_GREETING_BYTES: usize = 64 << 10;
/// Most bytes that a hub says while the device speaks, kept until it listens.
pub const SSH_AHEAD_BYTES: usize = 128 << 10;
/// Longest text taken from a hub (a hook's message, ssh's last words), in bytes.
pub const HUB_TEXT_BYTES: usize = 4 << 10;
/// Longest time that one exchange of words with a program at the hub takes, be it never silent: a listing with the fetches
/// after it, a push.
pub const EXCHANGE: Duration = Duration::from_secs(60 * 60);
/// Longest time that a gateway is busy at the hub with what it carries for others, before it looks after itself again.
pub const RELAY_VISIT: Duration = Duration::from_secs(10 * 60);
/// Longest silence of a connection that was held since the last poll, before another is made in its place.
pub const HELD_SILENCE: Duration = Duration::from_secs(10);
/// Longest time for which the answers on one connection are believed before everything is asked anew.
pub const HELD: Duration = Duration::from_secs(60 * 60);
/// Longest interval of polls between which a connection is held by itself: past it, it costs the hub memory for nothing.
pub const HELD_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How long a connection on which changes are told is quiet before it is asked whether it is still there.
pub const WATCH_PROBE: Duration = Duration::from_secs(4 * 60);
/// Longest line in which a hub tells of a change, in bytes.
pub const WATCH_LINE_BYTES: usize = 100;
/// Most changes that a hub tells of in a minute.
pub const WATCH_LINES: u32 = 60;
/// Most entries of one tree object that are read.
pub const TREE_ENTRIES: usize = 65_536;
/// Longest name of an entry of a device's folder, in bytes: Linux's `NAME_MAX`, past which nobody could check it out.
pub const NAME_BYTES: usize = 255;
/// Longest `specs/<device>` nesting, in path components.
pub const DEVICE_DEPTH: usize = 8;
