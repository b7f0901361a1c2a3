//! Whose signatures count, as charters follow one another.
//!
//! In the beginning these are the keys of the root file. A charter that one of the roots signed replaces them; the next
//! one has to be signed by a root of the one before. So a chain of charters leads from the root file to the keys of
//! today, and no link of it can be left out or put back.

use sha2::{Digest, Sha256};

use super::{
    Trust,
    scope::{Leaf, Papers},
};
use crate::{
    api::{Error, ExchangeId, Oid, Policy, Reason, Result, ledger, limits},
    codec::{
        charter::{self, Charter, Publisher},
        pubkey::PublicKey,
        signers::{Distrust, Keyring},
        sshsig,
    },
    reconcile::{
        decode::EntryKind,
        ports::{ObjectKind, Objects},
    },
};

/// Whom the device trusts at one point of history.
pub(super) struct Authority {
    roots: Keyring,
    publishers: Vec<Publisher>,
    policy: Option<Policy>,
    exchange: Option<ExchangeId>,
    /// The charter that says so; `None` where the root file does.
    charter: Option<ledger::Charter>,
    /// Its papers, where they were taken from a commit of this range.
    taken: Option<Papers>,
    /// The charter with the highest serial that was ever in force.
    highest: Option<(u64, Oid)>,
    anchor: [u8; 16],
}

/// Somebody whose signature counts.
pub(super) struct Holder<'a> {
    pub(super) name: &'a str,
    rights: Rights<'a>,
}

enum Rights<'a> {
    Root,
    Paths(Vec<&'a Publisher>),
}

impl Holder<'_> {
    /// Whether he may change the charter, and with it everything.
    pub(super) fn is_root(&self) -> bool {
        matches!(self.rights, Rights::Root)
    }

    /// Whether he may change whatever stands at the path of a folder, and all that can be below it.
    pub(super) fn may_all_of(&self, folder: &str) -> bool {
        match &self.rights {
            Rights::Root => true,
            Rights::Paths(publishers) => publishers.iter().any(|publisher| publisher.may_all_of(folder)),
        }
    }

    /// Whether he may change the spec at this path.
    pub(super) fn may(&self, path: &str) -> bool {
        match &self.rights {
            Rights::Root => true,
            Rights::Paths(publishers) => publishers.iter().any(|publisher| publisher.may(path)),
        }
    }
}

impl Authority {
    /// As it was at the floor. A charter counts as long as the root file is the one under which it was accepted: an
    /// operator who writes another root file begins a new chain, which can still not go back (see
    /// [`Authority::resume`]).
    ///
    /// # Errors
    ///
    /// `StateFailed` if the charter in force cannot be read again.
    pub(super) fn at_floor(trust: &Trust<'_>, objects: &dyn Objects) -> Result<Self> {
        let accepted = trust.floor.and_then(|floor| floor.charter.as_ref());
        let mut authority = Self {
            roots: trust.keyring.clone(),
            publishers: Vec::new(),
            policy: None,
            exchange: trust.exchange.cloned(),
            charter: None,
            taken: None,
            highest: accepted.map(|charter| (charter.serial, charter.blob)),
            anchor: short_digest(trust.keyring),
        };
        if let Some(accepted) = accepted.filter(|charter| charter.anchor == authority.anchor) {
            let lost = |e: Error| {
                Error::new(Reason::StateFailed, "the charter in force cannot be read again").caused_by(e.flattened())
            };
            let leaf = Leaf { kind: EntryKind::File, id: accepted.blob };
            let bytes = blob(objects, charter::PATH, leaf, limits::MANIFEST_BYTES).map_err(lost)?;
            if Sha256::digest(&bytes)[..] != accepted.sha256 {
                return Err(Error::new(Reason::StateFailed, "the charter in force is not the one that was accepted"));
            }
            authority.install(Charter::read(&bytes).map_err(lost)?, accepted.clone());
        }
        Ok(authority)
    }

    /// Where the root file is another one now, the charter at the floor stays in force if one of its roots signed it.
    ///
    /// # Errors
    ///
    /// The charter cannot be read.
    pub(super) fn resume(&mut self, papers: Papers, at: i64, objects: &dyn Objects) -> Result<()> {
        if self.charter.is_some() || self.highest.is_none() {
            return Ok(());
        }
        match self.follow(papers, false, at, objects) {
            // An older charter stands where a reset leads.
            Err(error) if matches!(error.reason(), Reason::CharterUntrusted | Reason::CharterRollback) => Ok(()),
            resumed => resumed,
        }
    }

    /// How much the charter in force wants to have proven, if it says.
    pub(super) fn policy(&self) -> Option<Policy> {
        self.policy
    }

    /// The charter in force, as the ledger keeps it.
    pub(super) fn charter(&self) -> Option<&ledger::Charter> {
        self.charter.as_ref()
    }

    /// Whether these are the papers of the charter in force. Its signatures may have changed since.
    pub(super) fn is_in_force(&self, papers: Papers) -> bool {
        let in_force = self.charter.as_ref().map(|charter| charter.blob);
        in_force.is_some() && papers.signatures.is_some() && papers.charter.map(|leaf| leaf.id) == in_force
    }

    /// Whether the charter in force was taken from exactly these papers, so that whoever has them brings nothing new.
    pub(super) fn has_taken(&self, papers: Papers) -> bool {
        self.taken == Some(papers)
    }

    /// Who may sign charters and resets.
    pub(super) fn roots(&self) -> &Keyring {
        &self.roots
    }

    /// The exchange, if that is known.
    pub(super) fn exchange(&self) -> Option<&ExchangeId> {
        self.exchange.as_ref()
    }

    /// Whose the key is, if its signature on a commit counts at the given second since 1970.
    ///
    /// # Errors
    ///
    /// It does not; the error is that of the line that comes nearest.
    pub(super) fn holder(&self, key: &PublicKey, at: i64) -> Result<Holder<'_>, Distrust> {
        let mut nearest = match self.roots.judge(key, sshsig::GIT, at) {
            Ok(name) => return Ok(Holder { name, rights: Rights::Root }),
            Err(distrust) => distrust,
        };
        let mut valid = Vec::new();
        for publisher in self.publishers.iter().filter(|publisher| publisher.signer.key == *key) {
            match publisher.signer.distrust(sshsig::GIT, at) {
                None => valid.push(publisher),
                Some(distrust) => nearest = distrust,
            }
        }
        match valid.first() {
            Some(publisher) => Ok(Holder { name: &publisher.signer.principals, rights: Rights::Paths(valid) }),
            None => Err(nearest),
        }
    }

    /// Step 5: a commit brings papers that were not there before. A signed charter replaces what was trusted; without
    /// signatures it says nothing about trust, and may stand as long as none was ever in force. A charter whose serial
    /// is not above the highest one is a step back, unless it stands `beside` the one in force, on a branch that left
    /// before it: then it is passed over.
    ///
    /// # Errors
    ///
    /// `CharterUnsigned`, `CharterUntrusted`, `CharterRollback`, `ExchangeMismatch`; what is wrong with the manifest.
    pub(super) fn follow(&mut self, papers: Papers, beside: bool, at: i64, objects: &dyn Objects) -> Result<()> {
        if self.is_in_force(papers) {
            return Ok(());
        }
        let (Some(leaf), Some(signatures)) = (papers.charter, papers.signatures) else {
            return if self.highest.is_some() { Err(unsigned(papers)) } else { Ok(()) };
        };
        let bytes = blob(objects, charter::PATH, leaf, limits::MANIFEST_BYTES)?;
        let signatures = blob(objects, charter::SIGNATURE_PATH, signatures, limits::CHARTER_SIGNATURE_BYTES)?;
        charter::signed_by(&self.roots, &bytes, &signatures, at)?;
        let charter = Charter::read(&bytes)?;
        if let Some(pinned) = self.exchange.as_ref().filter(|pinned| **pinned != charter.id) {
            let what = format!("the charter is of exchange {}, this device belongs to {pinned}", charter.id);
            return Err(Error::new(Reason::ExchangeMismatch, what).hint("exchange.yaml keeps the id it was made with"));
        }
        let is_older = |(serial, blob)| charter.serial < serial || charter.serial == serial && blob != leaf.id;
        match self.highest.filter(|highest| is_older(*highest)) {
            Some(_) if beside => Ok(()),
            Some((highest, _)) => Err(rollback(charter.serial, highest)),
            None => {
                let sha256 = Sha256::digest(&bytes).into();
                let anchor = self.anchor;
                let record = ledger::Charter { serial: charter.serial, blob: leaf.id, sha256, anchor };
                self.install(charter, record);
                self.taken = Some(papers);
                Ok(())
            }
        }
    }

    /// Step 8: the papers of the tip have to be those in force, so that no merge and no unproven commit can put back
    /// what a charter revoked, and whoever starts here finds the same.
    ///
    /// # Errors
    ///
    /// Those of [`Authority::follow`].
    pub(super) fn settle(&mut self, papers: Papers, at: i64, objects: &dyn Objects) -> Result<()> {
        self.follow(papers, false, at, objects)
    }

    fn install(&mut self, charter: Charter, record: ledger::Charter) {
        self.policy = charter.verify;
        self.highest = Some((record.serial, record.blob));
        self.exchange = Some(charter.id);
        self.charter = Some(record);
        self.roots = charter.roots;
        self.publishers = charter.publishers;
    }
}

pub(super) fn blob(objects: &dyn Objects, path: &str, leaf: Leaf, limit: usize) -> Result<Vec<u8>> {
    let no_file = || Error::new(Reason::BadTreeEntry, format!("{path} is not a file"));
    if leaf.kind != EntryKind::File {
        return Err(no_file());
    }
    match objects.read(leaf.id, limit) {
        Ok(Some(object)) if object.kind == ObjectKind::Blob => Ok(object.data),
        Ok(Some(_)) => Err(no_file()),
        Ok(None) => Err(Error::new(Reason::PackInvalid, format!("the hub left out the object of {path}"))),
        Err(error) if error.reason() == Reason::FileTooLarge => {
            Err(Error::new(Reason::FileTooLarge, format!("{path} has more than {limit} bytes")))
        }
        Err(error) => Err(error),
    }
}

/// Tells one root file from another.
pub(super) fn short_digest(keyring: &Keyring) -> [u8; 16] {
    let mut digest = Sha256::new();
    for signer in keyring.signers() {
        digest.update(format!("{signer}\n"));
    }
    let mut short = [0; 16];
    short.copy_from_slice(&digest.finalize()[..16]);
    short
}

fn unsigned(papers: Papers) -> Error {
    let what = match papers.charter {
        None => format!("{} is gone, where a signed one was in force", charter::PATH),
        Some(_) => format!("{} has no signatures any more, where a signed one was in force", charter::PATH),
    };
    Error::new(Reason::CharterUnsigned, what).hint(format!("restore {} as it was", charter::SIGNATURE_PATH))
}

fn rollback(serial: u64, highest: u64) -> Error {
    let what = format!("{} has serial {serial}, and {highest} was in force already", charter::PATH);
    Error::new(Reason::CharterRollback, what).hint(format!("give it serial {}, and sign it again", highest + 1))
}
