//! The charter of an exchange, as it stands in a commit: what it says, and which roots signed it.

use giter_edge::{
    api::{DeviceId, Error, Exchange, Oid, Policy, Reason, Result, ledger, limits},
    codec::{
        charter::{self, Charter, PATH, SIGNATURE_PATH},
        manifest,
        pubkey::PublicKey,
        signers::Keyring,
        sshsig::{self, SigError},
    },
    reconcile::verify::{Permit, Reads, Trust, Verified, verify},
};
use sha2::{Digest, Sha256};

use crate::{
    git::{Batch, Git},
    objects::GitObjects,
};

/// `exchange.yaml` and its signatures, in one commit.
pub(crate) struct Papers {
    /// The commit.
    pub(crate) commit: Oid,
    /// Its date, in seconds since 1970.
    pub(crate) date: i64,
    /// The blob of the charter.
    blob: Oid,
    /// The bytes of the charter.
    pub(crate) text: String,
    /// What it says.
    pub(crate) exchange: Exchange,
    /// Who may sign what; `None` where it names no root, as one that nobody signed may.
    pub(crate) charter: Option<Charter>,
    /// The file of signatures, where there is one.
    pub(crate) signatures: Option<Vec<u8>>,
    /// The roots of the charter that was in force before.
    former: Option<Keyring>,
    /// Whether the chain of charters leads to it.
    is_in_force: bool,
    /// The serial of the charter that the chain leads to; 0 where nobody ever signed one.
    highest: u64,
}

/// One of the signatures over a charter.
pub(crate) struct Signature {
    /// Whose it is, where it is sound.
    pub(crate) key: Result<PublicKey, SigError>,
    /// What the root is called that made it.
    pub(crate) root: Option<String>,
    /// Whether he is a root of this charter, and not only of the one before.
    pub(crate) is_own: bool,
}

/// A charter that was in force, as its chain is walked.
struct InForce {
    serial: u64,
    text: Vec<u8>,
    roots: Keyring,
}

impl Papers {
    /// Reads them from a commit.
    ///
    /// # Errors
    ///
    /// `CharterUnsigned` if the commit has no charter; the first finding's reason if it cannot be read; `GitFailed`.
    pub(crate) fn read(git: &Git, commit: &str) -> Result<Self> {
        let no_charter = || {
            Error::new(Reason::CharterUnsigned, format!("commit {commit:.12} has no {PATH}"))
                .hint("name the exchange's repository with -C DIR, and the branch with --revision")
        };
        let mut batch = git.batch()?;
        let [text, signatures] = files(&mut batch, commit)?;
        let text = text.ok_or_else(no_charter)?;
        let date = git.run(&["log", "-1", "--format=%ct", commit])?;
        let date = date.parse().map_err(|_| Error::new(Reason::GitFailed, format!("git says no date of {commit}")))?;
        let (id, blob) = (named(git, commit)?, named(git, &format!("{commit}:{PATH}"))?);
        let exchange = parse(&text)?;
        let charter = if exchange.roots.is_empty() { None } else { Some(Charter::of(&exchange)?) };
        let (in_force, former) = chain(git, &mut batch, commit)?;
        let highest = in_force.as_ref().map_or(0, |in_force| in_force.serial);
        let is_in_force = in_force.is_some_and(|in_force| in_force.text == text);
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Self { commit: id, date, blob, text, exchange, charter, signatures, former, is_in_force, highest })
    }

    /// The signatures, each with the root that made it.
    pub(crate) fn signed_by(&self) -> Vec<Signature> {
        let own = self.charter.as_ref().map(|charter| &charter.roots);
        let name = |roots: Option<&Keyring>, key: &PublicKey| {
            roots?.judge(key, sshsig::EXCHANGE, self.date).ok().map(str::to_owned)
        };
        let signature = |key: Result<PublicKey, _>| {
            let of_own = key.as_ref().ok().and_then(|key| name(own, key));
            let of_former = || key.as_ref().ok().and_then(|key| name(self.former.as_ref(), key));
            Signature { is_own: of_own.is_some(), root: of_own.or_else(of_former), key }
        };
        signatures(self.text.as_bytes(), self.signatures.as_deref().unwrap_or_default())
            .map(|(_, key)| signature(key))
            .collect()
    }

    /// Whether a signature over it is by this key.
    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signed_by().iter().any(|signature| signature.key.as_ref() == Ok(key))
    }

    /// The serial that the next charter has to be above, if it is not this one again.
    pub(crate) fn floor(&self, next: &str) -> Option<u64> {
        let is_this = next == self.text && (self.is_in_force || self.highest == 0);
        (!is_this).then_some(self.exchange.serial.max(self.highest))
    }

    /// That a root signed it whom the charter before trusts, up to the first one, which speaks for itself.
    ///
    /// # Errors
    ///
    /// `CharterUnsigned`, `CharterUntrusted`, `CharterRollback`, each with the cure.
    pub(crate) fn check_signed(&self) -> Result<()> {
        const CURE: &str = "see that it says what it should; then, as a root: giterctl trust sign";
        let Some(armours) = &self.signatures else {
            let what = format!("{PATH} of commit {} has no signatures", self.commit.short());
            return Err(Error::new(Reason::CharterUnsigned, what).hint(CURE));
        };
        let own = self.charter.as_ref().map(|charter| &charter.roots);
        let roots = own.into_iter().chain(&self.former).flat_map(Keyring::signers).cloned().collect();
        let signed = charter::signed_by(&Keyring::new(roots), self.text.as_bytes(), armours, self.date);
        let (serial, highest) = (self.exchange.serial, self.highest);
        let (reason, why) = match signed {
            Ok(()) if self.is_in_force => return Ok(()),
            Ok(()) if serial <= highest => {
                (Reason::CharterRollback, format!("has serial {serial}, and {highest} was in force"))
            }
            _ => (Reason::CharterUntrusted, "is not signed by a root that was trusted".into()),
        };
        Err(Error::new(reason, format!("{PATH} of commit {} {why}", self.commit.short())).hint(CURE))
    }

    /// What a device that follows this charter makes of a commit on top of it. Where nobody signed the charter, that is
    /// a device whose root file names `otherwise`.
    ///
    /// # Errors
    ///
    /// Those of [`verify`].
    pub(crate) fn follow(&self, git: &Git, tip: Oid, otherwise: &Keyring) -> Result<Verified> {
        let (floor, roots) = (self.floor_of(git)?, self.roots(otherwise));
        judge(git, tip, Some(&floor), roots, &self.exchange)
    }

    /// That such a device goes back to a commit on top of it, by the reset there, from whatever it has accepted since.
    ///
    /// # Errors
    ///
    /// Those of [`Permit::at`].
    pub(crate) fn allow(&self, git: &Git, tip: Oid, otherwise: &Keyring) -> Result<()> {
        let (floor, keyring, exchange) = (self.floor_of(git)?, self.roots(otherwise), Some(&self.exchange.id));
        let reads = Reads::Everything;
        let trust =
            Trust { floor: Some(&floor), previous: None, policy: Policy::Range, keyring, exchange, reads, now: None };
        let permit = Permit::at(tip, &trust, &GitObjects::of(git)?)?;
        permit.map(drop).ok_or_else(|| Error::new(Reason::Bug, "the commit has no reset"))
    }

    fn own(&self) -> Option<&Charter> {
        self.charter.as_ref().filter(|_| self.check_signed().is_ok())
    }

    fn roots<'a>(&'a self, otherwise: &'a Keyring) -> &'a Keyring {
        self.own().map_or(otherwise, |own| &own.roots)
    }

    /// What the device has accepted.
    fn floor_of(&self, git: &Git) -> Result<ledger::Accepted> {
        let charter = self.own().map(|_| ledger::Charter {
            serial: self.exchange.serial,
            blob: self.blob,
            sha256: Sha256::digest(self.text.as_bytes()).into(),
            // Accepted under another root file than the one of now, which names the charter's own roots.
            anchor: [0; 16],
        });
        let tree = named(git, &format!("{}^{{tree}}", self.commit))?;
        Ok(ledger::Accepted { commit: self.commit, tree, time: self.date, signer: Box::default(), charter, reset: 0 })
    }
}

/// The charter in force at a commit, and the roots of the one before it: as a device would have followed them, of
/// whose root file the first signed charter is taken to speak.
fn chain(git: &Git, batch: &mut Batch, commit: &str) -> Result<(Option<InForce>, Option<Keyring>)> {
    let (mut in_force, mut former) = (None::<InForce>, None);
    let commits = git.run(&["rev-list", "--reverse", "--topo-order", commit, "--", PATH, SIGNATURE_PATH])?;
    for commit in commits.lines() {
        let [Some(text), Some(armours)] = files(batch, commit)? else { continue };
        let Ok(charter) = Charter::read(&text) else { continue };
        let roots = in_force.as_ref().map_or(&charter.roots, |in_force| &in_force.roots);
        let is_newer = in_force.as_ref().is_none_or(|in_force| in_force.serial < charter.serial);
        if is_newer && charter::signed_by(roots, &text, &armours, 0).is_ok() {
            let next = InForce { serial: charter.serial, text, roots: charter.roots };
            former = in_force.replace(next).map(|before| before.roots);
        }
    }
    Ok((in_force, former))
}

/// The charter of a commit and its signatures, where they are there.
fn files(batch: &mut Batch, commit: &str) -> Result<[Option<Vec<u8>>; 2]> {
    let text = batch.read(&format!("{commit}:{PATH}"), limits::MANIFEST_BYTES)?;
    Ok([text, batch.read(&format!("{commit}:{SIGNATURE_PATH}"), limits::CHARTER_SIGNATURE_BYTES)?])
}

/// What a new device makes of a tip, whose root file names these roots.
///
/// # Errors
///
/// Those of [`verify`].
pub(crate) fn start(git: &Git, tip: Oid, roots: &Keyring, exchange: &Exchange) -> Result<Verified> {
    judge(git, tip, None, roots, exchange)
}

/// The verdict of the device's own verifier. What the device reads besides the charter is of no matter here, so it is
/// one without specs.
fn judge(git: &Git, tip: Oid, floor: Option<&ledger::Accepted>, keyring: &Keyring, of: &Exchange) -> Result<Verified> {
    let device: DeviceId = "any".parse().map_err(|_| Error::new(Reason::Bug, "no device can be called any"))?;
    let exchange = Some(&of.id);
    let reads = Reads::Device(&device);
    let trust = Trust { floor, previous: None, policy: Policy::Range, keyring, exchange, reads, now: None };
    verify(tip, &trust, &GitObjects::of(git)?)
}

/// The charter in some bytes.
///
/// # Errors
///
/// The first finding's reason.
pub(crate) fn parse(bytes: &[u8]) -> Result<Exchange> {
    manifest::parse_exchange(PATH, bytes).map_err(Error::from)
}

/// Each of the signatures in a file of them, and whose it is, where it is one over these bytes.
pub(crate) fn signatures<'a>(
    text: &'a [u8],
    signatures: &'a [u8],
) -> impl Iterator<Item = (&'a [u8], Result<PublicKey, SigError>)> {
    let armours = sshsig::armours(signatures).take(limits::CHARTER_SIGNATURES);
    armours.map(move |armour| (armour, sshsig::verify(armour, sshsig::EXCHANGE, text)))
}

fn named(git: &Git, name: &str) -> Result<Oid> {
    let id = git.run(&["rev-parse", "--verify", name])?;
    id.parse().map_err(|_| Error::new(Reason::GitFailed, format!("git says no name of {name}")))
}
