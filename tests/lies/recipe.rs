//! What a `lie.toml` can say: the attack as data, read strictly. `README.md` beside this file explains each word.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

/// One attack, or one control.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Lie {
    /// What is tried, in a sentence.
    pub(crate) claim: String,
    #[serde(default)]
    pub(crate) expect: Expect,
    /// The reason that giterd must give.
    pub(crate) reason: Option<String>,
    /// The exit code.
    pub(crate) exit: i32,
    /// Words that must be among what giterd prints.
    #[serde(default)]
    pub(crate) says: Says,
    /// What the device's `motd` must hold after a control.
    #[serde(default = "changed")]
    pub(crate) motd: String,
    /// The links by which it is tried.
    #[serde(default = "Way::all")]
    pub(crate) links: Vec<Way>,
    #[serde(default)]
    pub(crate) device: Device,
    /// `base` has a signed charter, and only its root is in root.keys.
    #[serde(default)]
    pub(crate) is_chartered: bool,
    #[serde(default)]
    pub(crate) blob: Vec<Blob>,
    #[serde(default)]
    pub(crate) charter: Vec<Charter>,
    #[serde(default)]
    pub(crate) reset: Vec<Reset>,
    #[serde(default)]
    pub(crate) tree: Vec<Tree>,
    #[serde(default)]
    pub(crate) commit: Vec<Commit>,
    #[serde(default)]
    pub(crate) tag: Vec<Tag>,
    /// Commits that the device accepts, one after the other, before the attack.
    #[serde(default)]
    pub(crate) accepted: Vec<String>,
    /// Where the branch then stands; the last commit unless said, and `-` for nowhere.
    pub(crate) tip: Option<String>,
    /// Objects that the hub does not have.
    #[serde(default)]
    pub(crate) omit: Vec<String>,
    /// How the `giterd sync` ends that takes the next good commit: 1 where something of the lie is still in its way.
    #[serde(default)]
    pub(crate) then_exit: i32,
    /// Who signs that commit.
    #[serde(default = "ops")]
    pub(crate) then_key: String,
    /// The charter that it has; that of `base` unless said.
    pub(crate) then_charter: Option<String>,
    /// What is done to the pack that a lying server sends.
    #[serde(default)]
    pub(crate) pack: PackTrick,
}

/// What has to come of it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expect {
    /// The tip is refused and nothing changes.
    #[default]
    Refused,
    /// A control: the tip is accepted and applied.
    Accepted,
    /// The tip is accepted, but what it asks for is not done.
    NotDone,
}

/// Words that giterd must say, by whatever link, or by each.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Says {
    Always(String),
    By { file: String, ssh: String },
}

impl Default for Says {
    fn default() -> Self {
        Self::Always(String::new())
    }
}

impl Says {
    pub(crate) fn by(&self, way: Way) -> &str {
        match (self, way) {
            (Self::Always(words), _) | (Self::By { file: words, .. }, Way::File) => words,
            (Self::By { ssh: words, .. }, Way::Ssh) => words,
        }
    }
}

/// How the device gets at the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// `file://`: the hub's folder itself is hostile.
    File,
    /// `ssh://`: a server that sends whatever bytes it likes.
    Ssh,
}

/// What is particular about the device.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Device {
    /// Its name; `pump-07`.
    pub(crate) name: Option<String>,
    /// `trust.verify`.
    pub(crate) verify: Option<String>,
    /// `trust.exchange`.
    pub(crate) exchange: Option<String>,
    /// Its root.keys from the beginning.
    pub(crate) keys: Option<String>,
    /// Its root.keys during the attack alone.
    pub(crate) then_keys: Option<String>,
    /// It has accepted nothing before the attack.
    pub(crate) is_new: bool,
    /// Symbolic links below its files root, and where they lead in the test's folder.
    pub(crate) links: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blob {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) text: String,
    /// How often the text is repeated.
    #[serde(default = "once")]
    pub(crate) times: usize,
}

/// A charter with its signatures, and the trees `good`, `changed` and `better` with these.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Charter {
    /// Of the tree `changed` with this charter; the others are `NAME-good` and `NAME-better`, the blobs `NAME-charter`
    /// and `NAME-signatures`.
    pub(crate) name: String,
    /// 2 unless said.
    pub(crate) serial: Option<u64>,
    /// The names of the roots' keys; `root` unless said.
    pub(crate) roots: Option<Vec<String>>,
    /// The list of publishers in YAML; that of `base` unless said.
    pub(crate) publishers: Option<String>,
    /// Replacements in what is signed.
    pub(crate) edit: Vec<[String; 2]>,
    /// In hexadecimal, what follows the text.
    pub(crate) trailing: String,
    /// How many `#` follow it.
    pub(crate) padding: usize,
    /// Replacements in the charter after it was signed.
    pub(crate) tamper: Vec<[String; 2]>,
    /// The names of the keys that sign it as they should; `root` unless said.
    pub(crate) by: Option<Vec<String>>,
    /// Other signatures, behind those.
    pub(crate) seal: Vec<Seal>,
    /// Text behind all signatures.
    pub(crate) behind: String,
    /// The mode of `exchange.yaml`; 100644 unless said.
    pub(crate) mode: Option<String>,
    /// The mode of its signatures.
    pub(crate) signatures_mode: Option<String>,
}

/// A reset with its signatures, and a tree with both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reset {
    /// Of the tree.
    pub(crate) name: String,
    /// The tree that it is put into.
    pub(crate) tree: String,
    pub(crate) serial: u64,
    /// The patterns of devices, in YAML.
    pub(crate) devices: String,
    /// The commit that is gone back to.
    pub(crate) to: String,
    /// Replacements in what is signed.
    pub(crate) edit: Vec<[String; 2]>,
    /// Replacements in the reset after it was signed.
    pub(crate) tamper: Vec<[String; 2]>,
    /// The names of the keys that sign it; without one there is no file of signatures.
    pub(crate) by: Vec<String>,
    pub(crate) namespace: String,
}

impl Default for Reset {
    fn default() -> Self {
        Self {
            name: "reset".into(),
            tree: "changed".into(),
            serial: 1,
            devices: "pump-07".into(),
            to: "base".into(),
            edit: Vec::new(),
            tamper: Vec::new(),
            by: vec!["root".into()],
            namespace: "giter-exchange".into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tree {
    pub(crate) name: String,
    /// The folder of the exchange in whose place it stands; without it, it stands alone.
    pub(crate) at: Option<String>,
    /// Entries put among those that the folder has, in git's order.
    #[serde(default)]
    pub(crate) add: Vec<Entry>,
    /// All entries, as they stand here.
    pub(crate) raw: Option<Vec<Entry>>,
    /// The tree object itself, as text.
    pub(crate) bytes: Option<String>,
    /// How many files are added, and how their names end.
    #[serde(default)]
    pub(crate) fill: usize,
    #[serde(default)]
    pub(crate) suffix: String,
    /// How many folders, one in the other, are put around it.
    #[serde(default)]
    pub(crate) nest: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) mode: String,
    /// Its name, in which `%` and two digits stand for a byte.
    pub(crate) name: String,
    /// How often the name is repeated.
    #[serde(default = "once")]
    pub(crate) times: usize,
    /// The object: by its name here, or by 40 digits.
    pub(crate) is: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Commit {
    pub(crate) name: String,
    #[serde(default = "base")]
    pub(crate) parents: Vec<String>,
    #[serde(default = "changed_tree")]
    pub(crate) tree: String,
    /// Its date, in seconds after 2026-11-21T00:00:00Z, which is the date of `base`.
    #[serde(default = "minute")]
    pub(crate) at: i64,
    #[serde(default = "change")]
    pub(crate) message: String,
    /// How often the message is repeated.
    #[serde(default = "once")]
    pub(crate) times: usize,
    /// Header lines after the committer.
    #[serde(default)]
    pub(crate) headers: String,
    /// Replacements in what is signed.
    #[serde(default)]
    pub(crate) edit: Vec<[String; 2]>,
    /// Replacements in the commit after it was signed.
    #[serde(default)]
    pub(crate) tamper: Vec<[String; 2]>,
    #[serde(default = "yes")]
    pub(crate) signed: bool,
    #[serde(default)]
    pub(crate) seal: Seal,
}

/// A signature, and how it departs from a good one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Seal {
    /// Who makes it: the tests' own hand, `ssh-keygen`, or `git` (which then makes the commit, too).
    pub(crate) by: Option<String>,
    /// The key's name. `NAME@APPLICATION` is an authenticator's, which signs for that application.
    pub(crate) key: String,
    /// Whether the authenticator was touched.
    pub(crate) touched: bool,
    pub(crate) namespace: String,
    pub(crate) hash: String,
    pub(crate) magic: String,
    pub(crate) version: u32,
    pub(crate) reserved: String,
    /// Sign another commit, or charter, instead.
    pub(crate) over: Option<String>,
    /// The key's type and, in hexadecimal, what follows it.
    pub(crate) key_type: Option<String>,
    pub(crate) key_body: Option<String>,
    /// In hexadecimal, the 32 bytes of the point.
    pub(crate) point: Option<String>,
    pub(crate) signature_type: Option<String>,
    /// In hexadecimal, the bytes of the signature.
    pub(crate) signature: Option<String>,
    /// Add the group's order to S.
    pub(crate) unreduced: bool,
    /// In hexadecimal, what follows the signature inside the armour.
    pub(crate) trailing: String,
    /// How many zero bytes follow the signature inside the armour.
    pub(crate) padding: usize,
    /// Replacements in the armour; `\n` is there.
    pub(crate) armour: Vec<[String; 2]>,
    /// The armour itself.
    pub(crate) text: Option<String>,
    /// The header's name.
    pub(crate) header: String,
    /// The name of a second header with the same signature.
    pub(crate) also: Option<String>,
}

impl Default for Seal {
    fn default() -> Self {
        Self {
            by: None,
            key: "ops".into(),
            touched: true,
            namespace: "git".into(),
            hash: "sha512".into(),
            magic: "SSHSIG".into(),
            version: 1,
            reserved: String::new(),
            over: None,
            key_type: None,
            key_body: None,
            point: None,
            signature_type: None,
            signature: None,
            unreduced: false,
            trailing: String::new(),
            padding: 0,
            armour: Vec::new(),
            text: None,
            header: "gpgsig".into(),
            also: None,
        }
    }
}

/// An annotated tag.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) of: String,
}

/// What is wrong with a pack.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PackTrick {
    /// A delta is added that says it comes to so many bytes.
    pub(crate) bomb: Option<u64>,
    /// So many bytes are missing at its end.
    pub(crate) cut: usize,
    /// Text that follows it.
    pub(crate) trailing: String,
    /// It says to have so many objects.
    pub(crate) count: Option<u32>,
    /// The byte at this place is turned over, and the checksum made right again.
    pub(crate) turn: Option<usize>,
}

impl Lie {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        toml::from_str(&text).map_err(|e| e.to_string())
    }

    /// What root.keys holds from the beginning.
    pub(crate) fn keys(&self) -> &str {
        let usual = match self.is_chartered {
            true => "root@plant-7 {key:root}\n",
            false => "ops@plant-7 namespaces=\"git\" {key:ops}\n",
        };
        self.device.keys.as_deref().unwrap_or(usual)
    }

    pub(crate) fn tip(&self) -> &str {
        let last = self.commit.last().map(|commit| commit.name.as_str());
        self.tip.as_deref().or(last).unwrap_or("base")
    }
}

impl Way {
    fn all() -> Vec<Self> {
        vec![Way::File, Way::Ssh]
    }
}

fn once() -> usize {
    1
}

fn minute() -> i64 {
    60
}

fn yes() -> bool {
    true
}

fn ops() -> String {
    "ops".into()
}

fn base() -> Vec<String> {
    vec!["base".into()]
}

fn changed_tree() -> String {
    "changed".into()
}

fn changed() -> String {
    "changed\n".into()
}

fn change() -> String {
    "Change the message of the day\n".into()
}
