//! Errors as instructions: a stable reason, one line that says what failed on what, a hint that can be followed.
//!
//! The [`Reason`] is the contract: it is printed on stderr as `reason: CamelCase`, stands in the status, and decides
//! the exit code, the backoff and the default hint. A message never repeats its source; `std::error::Error::source` has it.

use std::fmt;

/// The result of anything that can fail in a way a user hears of.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who can mend an error, and so how long to wait before trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The world: try again, later each time.
    Retry,
    /// The publisher: the manifest or the history is wrong.
    FixManifest,
    /// The publisher or the operator: a key or signature is wrong.
    FixKeys,
    /// The operator: the configuration or the call is wrong.
    FixConfig,
    /// The integrator: the board is not as the board file says.
    FixBoard,
    /// Us.
    Bug,
}

/// The exit codes of both programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Answered "no": drift, not ready, findings, input refused.
    No = 1,
    /// The caller can fix it.
    Caller = 2,
    /// The world can fix it.
    World = 3,
    /// A bug.
    Bug = 4,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $class:ident, $exit:ident;)*) => {
        /// Why something was refused or failed; stable text for scripts and status alike. Its serde form is the text,
        /// so that a record outlives new reasons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &[Reason] = &[$(Reason::$name),*];

            /// The CamelCase text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)* }
            }

            /// The reason of that text, if there is one.
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
            }

            /// Who can mend it.
            pub const fn class(self) -> Class {
                match self { $(Reason::$name => Class::$class,)* }
            }

            /// The exit code of a program that ends with it.
            pub const fn exit(self) -> Exit {
                match self { $(Reason::$name => Exit::$exit,)* }
            }
        }
    };
}

reasons! {
    // The link.
    /// No connection, or it broke.
    HubUnreachable: Retry, World;
    /// The server's host key is not in known_hosts, or is another one.
    HostKeyRefused: FixConfig, Caller;
    /// The server does not accept the device's SSH key.
    SshKeyRefused: FixKeys, Caller;
    /// The ssh program is not there.
    SshNotFound: FixConfig, Caller;
    /// The server has no such repository, or does not show it to this key.
    RepositoryNotFound: FixConfig, Caller;
    /// The repository is kept in a format that this agent does not read.
    RepositoryUnsupported: FixConfig, Caller;
    /// The repository has no such branch.
    BranchNotFound: FixConfig, Caller;
    /// The repository has no commits.
    RepositoryEmpty: Retry, World;
    /// The server does not speak git protocol version 2.
    ProtocolV2Required: FixConfig, Caller;
    /// The server said something that the protocol does not allow.
    ProtocolError: Retry, World;
    /// The server did not answer in time.
    HubTimeout: Retry, World;
    /// The server does not have a commit that it is asked for by name.
    CommitNotFound: Retry, World;
    /// The server sends more than the device takes.
    PackTooLarge: FixManifest, No;
    /// The pack is damaged, or leaves out objects.
    PackInvalid: Retry, World;
    /// The status ref is not where this device left it.
    StatusRefMoved: FixKeys, No;
    /// The server refused the status push.
    PushRejected: FixConfig, World;

    // Trust.
    /// The commit has no signature.
    UnsignedCommit: FixKeys, No;
    /// The signature does not fit the commit.
    BadSignature: FixKeys, No;
    /// The signature is sound, its key is not trusted.
    UntrustedKey: FixKeys, No;
    /// The signature is by a kind of key that is not accepted.
    UnsupportedKey: FixKeys, No;
    /// The key is trusted, but not at the time of this commit.
    KeyNotValid: FixKeys, No;
    /// The key is trusted, but not for a path that the commit changes.
    KeyNotAllowed: FixKeys, No;
    /// `exchange.yaml` is gone or has no signature, where a signed one is in force.
    CharterUnsigned: FixKeys, No;
    /// No root that is trusted signed `exchange.yaml`.
    CharterUntrusted: FixKeys, No;
    /// `exchange.yaml` is older than the one in force: its serial did not rise.
    CharterRollback: FixKeys, No;
    /// The branch was rewound to an older commit.
    Rewound: FixManifest, No;
    /// The tip does not descend from the last accepted one.
    NotFastForward: FixManifest, No;
    /// More commits since the last accepted tip than are verified at once.
    RangeTooLong: FixManifest, No;
    /// The commit object is malformed.
    BadCommit: FixManifest, No;
    /// The exchange's id is not the pinned one.
    ExchangeMismatch: FixKeys, No;
    /// The exchange names keys of this device, and its own is not among those that are valid.
    NotApproved: FixKeys, No;

    // Enrolment.
    /// What stands where a request for enrolment should is none, or is another's.
    EnrolmentInvalid: FixKeys, No;
    /// No device of that name asks to be enrolled.
    EnrolmentNotFound: FixKeys, No;
    /// Another key asks under this device's name, or stands there already.
    EnrolmentConflict: FixKeys, No;
    /// The stick is not there, or cannot be read or written.
    StickFailed: Retry, World;

    // Bundles.
    /// The file is no bundle that can be read.
    BundleInvalid: FixManifest, No;
    /// There is no bundle for this device.
    BundleNotFound: Retry, World;
    /// The bundle builds on a commit that the device does not have.
    BundleBaseMissing: Retry, No;
    /// Several exchanges have something for this device.
    ExchangeAmbiguous: FixConfig, Caller;

    // Manifests.
    /// The YAML cannot be read.
    YamlSyntax: FixManifest, No;
    /// The YAML nests, aliases or repeats beyond reason.
    YamlTooComplex: FixManifest, No;
    /// A field that the kind does not have.
    UnknownField: FixManifest, No;
    /// A key stands twice in one mapping.
    DuplicateKey: FixManifest, No;
    /// A required field is missing.
    MissingField: FixManifest, No;
    /// A value of the wrong type or out of range.
    InvalidValue: FixManifest, No;
    /// Another `apiVersion` than ours.
    UnknownVersion: FixManifest, No;
    /// A kind that this agent does not have.
    UnknownKind: FixManifest, No;
    /// Two resources with the same kind and name.
    DuplicateResource: FixManifest, No;
    /// Two resources drive the same file, line or LED.
    TargetConflict: FixManifest, No;
    /// `after` names a resource that does not exist, or a circle.
    BadOrder: FixManifest, No;
    /// A manifest or source that is larger than is read.
    FileTooLarge: FixManifest, No;
    /// More resources or manifests than one device takes.
    TooMany: FixManifest, No;
    /// A symbolic link, submodule or other entry that specs cannot hold.
    BadTreeEntry: FixManifest, No;
    /// `source` names a file that the exchange does not have.
    SourceNotFound: FixManifest, No;
    /// The exchange has no `specs/<device>` folder.
    DeviceNotFound: FixManifest, No;
    /// The board has no such line.
    UnknownLine: FixManifest, No;
    /// The board has no such LED.
    UnknownLed: FixManifest, No;
    /// The path is outside the configured roots.
    PathNotAllowed: FixManifest, No;
    /// The user or group does not exist on this device.
    UnknownOwner: FixManifest, No;

    // The board.
    /// No GPIO chip, or it has no such line.
    NoGpioChip: FixBoard, World;
    /// Another program holds the line.
    LineBusy: FixBoard, World;
    /// The kernel refused the line.
    GpioFailed: FixBoard, World;
    /// The LED is not under the sysfs root, or refuses the value.
    LedFailed: FixBoard, World;
    /// The LED has no such trigger.
    UnknownTrigger: FixManifest, No;
    /// A file could not be read or written.
    FileFailed: FixBoard, World;
    /// No board file fits this machine.
    UnknownBoard: FixConfig, Caller;
    /// The board file or the sim file cannot be read.
    BadBoardFile: FixConfig, Caller;

    /// A resource that this one comes after is not ready.
    DependencyNotReady: FixManifest, No;
    /// The board took the change, and shows something else.
    NotConverged: FixBoard, No;

    // The publisher's side.
    /// There is no `git` program.
    GitNotFound: FixConfig, Caller;
    /// git refused what it was told to do.
    GitFailed: FixConfig, Caller;
    /// The working tree has a change that is not committed, where the committed state is to be changed.
    NotCommitted: FixConfig, Caller;
    /// A manifest cannot be changed in place.
    ManifestNotEditable: FixManifest, Caller;
    /// The charter has no such root or publisher.
    SignerNotFound: FixConfig, No;
    /// The exchange and its statuses have no such resource.
    ResourceNotFound: FixManifest, No;
    /// The file is not a device's status.
    StatusInvalid: Retry, No;
    /// Statuses are missing from a device's record.
    StatusGap: Retry, No;
    /// The repository lacks an object of a device's record.
    ObjectMissing: Retry, No;
    /// The status contradicts the one before it.
    StatusImplausible: Retry, No;
    /// The status names a commit that the branch does not hold, or an older one than before.
    RevisionUnproven: Retry, No;
    /// Nobody has said which key is the device's.
    DeviceKeyUnknown: FixConfig, No;
    /// The device's record was told a second time, or put back.
    StatusReplayed: FixKeys, No;
    /// Two boards speak with one key.
    StatusForked: FixKeys, No;
    /// The status speaks of another device than its ref.
    WrongDevice: FixKeys, No;
    /// No resource of kind Device names a status key of this device.
    DeviceNotApproved: FixKeys, No;
    /// Two devices would have one status key.
    KeyShared: FixKeys, No;
    /// The branch of the specs would hold a device's status.
    StatusInBranch: FixManifest, No;
    /// The hub does not take this ref, or not from this login.
    RefNotAllowed: FixKeys, No;
    /// The hub does not take a ref away.
    DeletionRefused: FixKeys, No;
    /// The login is for another repository or purpose than the command that it asks for.
    CommandNotAllowed: FixConfig, Caller;
    /// The kernel does not tell of changes to the hub's repository.
    WatchFailed: FixConfig, World;
    /// A push brings more than the hub takes.
    PushTooLarge: FixManifest, No;
    /// A step of the demo is not as told.
    NotAsTold: Bug, Bug;

    // The device itself.
    /// The command line is wrong.
    Usage: FixConfig, Caller;
    /// The configuration is wrong.
    BadConfig: FixConfig, Caller;
    /// A key file is missing, unreadable, or readable by others.
    BadKeyFile: FixConfig, Caller;
    /// The root file (allowed_signers) cannot be read.
    BadSigners: FixConfig, Caller;
    /// Another giterd works on this state folder.
    StateLocked: FixConfig, Caller;
    /// The state folder cannot be written.
    StateReadOnly: Retry, World;
    /// No space is left.
    DiskFull: Retry, World;
    /// A file of the state folder could not be read or written.
    StateFailed: Retry, World;
    /// The second copy of the rollback floor is damaged, or another device's.
    FloorDamaged: FixConfig, Caller;
    /// Both copies of the ledger are damaged.
    LedgerDamaged: FixConfig, Caller;
    /// Nothing was ever accepted.
    NothingAccepted: Retry, No;
    /// Something does not match: drift, or not ready.
    NotReady: FixManifest, No;
    /// The agent was told to stop.
    Stopped: Retry, World;
    /// A condition that should not be possible.
    Bug: Bug, Bug;
}

impl Reason {
    /// What to do about it, where no more is known.
    const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::HubUnreachable => "see that the hub and the network are up",
            Self::RepositoryEmpty => "push a first commit to the branch",
            Self::PackTooLarge => "keep large files out of the exchange",
            Self::PackInvalid => "run 'git fsck' in the repository at the hub, if the next poll fails too",
            Self::PushRejected => "let this device's account write its status ref at the hub",
            Self::StickFailed => "see that the stick is plugged in and mounted, and that this user may write there",
            Self::BundleInvalid => "write it to the stick again, and let the stick be unmounted before it is pulled out",
            Self::BundleNotFound => "export one for this device: giterctl export --to DIR DEVICE",
            Self::BundleBaseMissing => {
                "bring this device's status to the hub and export again, or export without a base: --seed"
            }
            Self::ExchangeAmbiguous => "name the exchange in trust.exchange",
            Self::RangeTooLong => "let the device follow in steps: push an earlier commit first",
            Self::BadConfig | Self::BadBoardFile => "correct it there; 'giterd check' tells whether the rest is right",
            Self::StateReadOnly => "mount that file system writable, and let giterd's user write there",
            Self::DiskFull => "free space on that file system",
            Self::StateFailed => "look for errors of the disk in the kernel's log",
            Self::NotReady => "'giterd status -o wide' says more of each resource",
            Self::Bug => "report it, with what 'giterd -vv' says before it",
            _ => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something failed: the reason, what failed on what, and perhaps what to do.
pub struct Error(Box<Inner>);

struct Inner {
    reason: Reason,
    what: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with its reason and one line, lowercase, without a full stop, that says what failed on what.
    pub fn new(reason: Reason, what: impl Into<String>) -> Self {
        Self(Box::new(Inner { reason, what: what.into(), hint: None, source: None }))
    }

    /// Adds what to do, as an instruction.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// An I/O error on something in the state folder: a full or read-only disk has its own reason.
    pub fn state(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::io(Reason::StateFailed, what, source)
    }

    /// An I/O error: a full or read-only file system has its own reason, anything else the given one.
    pub fn io(otherwise: Reason, what: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let reason = match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Reason::DiskFull,
            ErrorKind::ReadOnlyFilesystem => Reason::StateReadOnly,
            ErrorKind::PermissionDenied if otherwise == Reason::StateFailed => Reason::StateReadOnly,
            _ => otherwise,
        };
        Self::new(reason, what).caused_by(source)
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// What to do: the error's own hint, else its reason's, if there is one.
    pub fn get_hint(&self) -> Option<&str> {
        self.0.hint.as_deref().or(self.0.reason.hint())
    }

    /// A copy whose message has the sources in it.
    #[must_use]
    pub fn flattened(&self) -> Self {
        let hint = self.0.hint.clone();
        Self(Box::new(Inner { reason: self.0.reason, what: self.one_line(), hint, source: None }))
    }

    /// The message and its sources in one line, as it stands in the status. A source that only repeats the one before
    /// it is left out.
    pub fn one_line(&self) -> String {
        let mut line = self.0.what.clone();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let cause_says = cause.to_string();
            if !line.ends_with(&cause_says) {
                line.push_str(": ");
                line.push_str(&cause_says);
            }
            source = cause.source();
        }
        line.retain(|c| c != '\r');
        line.replace('\n', " ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason, self.one_line())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_guide_says_what_to_do_about_every_reason() {
        let guide = include_str!("../../docs/OPERATIONS.md");
        let is_missing = |reason: &&Reason| !guide.contains(&format!("| `{reason}` |"));
        assert_eq!(Reason::ALL.iter().filter(is_missing).collect::<Vec<_>>(), [] as [&Reason; 0]);
    }

    #[test]
    fn an_error_says_its_causes_in_one_line() {
        let cause = std::io::Error::other("line\r\nbroken");
        let error = Error::new(Reason::HubUnreachable, "cannot reach hub:22").caused_by(cause);
        assert_eq!(error.one_line(), "cannot reach hub:22: line broken");
        assert_eq!(error.reason().exit(), Exit::World);
    }

    #[test]
    fn a_cause_that_repeats_itself_is_said_once() {
        let cause = || Error::new(Reason::BadKeyFile, "it is cut short");
        let error = Error::new(Reason::BadKeyFile, "cannot read the key").caused_by(cause().caused_by(cause()));
        assert_eq!(error.one_line(), "cannot read the key: it is cut short");
    }

    #[test]
    fn a_full_disk_has_its_own_reason() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Error::state("cannot write ledger.a", full).reason(), Reason::DiskFull);
        let other = std::io::Error::from(std::io::ErrorKind::InvalidData);
        assert_eq!(Error::io(Reason::FileFailed, "cannot write /etc/motd", other).reason(), Reason::FileFailed);
    }

    #[test]
    fn an_error_without_a_hint_of_its_own_has_its_reasons() {
        let error = Error::new(Reason::DiskFull, "cannot write ledger.a");
        assert_eq!(error.get_hint(), Some("free space on that file system"));
        assert_eq!(error.hint("remove core").get_hint(), Some("remove core"));
        assert_eq!(Error::new(Reason::UnknownField, "spec.colour").get_hint(), None);
    }

    #[test]
    fn reasons_fit_the_status() {
        assert!(Reason::ALL.iter().all(|reason| reason.as_str().len() <= super::super::limits::REASON_BYTES));
    }
}
