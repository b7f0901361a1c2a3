//! From the next charter to a commit: signed by roots, proven as a device would, and only then on the branch.

use std::{fs, path::Path};

use giter_edge::{
    api::{Error, Exchange, Exit, Reason, Result},
    cli,
    codec::{
        charter::{Charter, PATH, SIGNATURE_PATH},
        pubkey::PublicKey,
        sshsig,
    },
};

use super::{change::Change, draft::Draft};
use crate::{
    charter::{self, Papers},
    commit::{self, Proposal},
    git::Git,
    keys::SigningKey,
    repository,
    roots::{self, Rotation},
    sign::sign,
};

/// How a change is signed and committed.
#[derive(clap::Args)]
pub(super) struct Options {
    /// A root's key to sign with; may be given several times [default: git's user.signingkey, else the only root's key in
    /// ~/.ssh and the agent]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<String>,

    /// The commit's message
    #[arg(short, long)]
    message: Option<String>,

    /// Write the files only
    #[arg(long)]
    no_commit: bool,

    /// Print what would change, and change nothing
    #[arg(long, conflicts_with = "no_commit")]
    dry_run: bool,
}

/// A working tree and the charter that its HEAD has.
pub(super) struct Site {
    git: Git,
    present: Papers,
}

/// The next charter, ready to be signed.
struct Next {
    text: String,
    exchange: Exchange,
    change: Change,
}

impl Site {
    /// # Errors
    ///
    /// `Usage` if there is no working tree; those of [`Papers::read`].
    pub(super) fn at(dir: &Path) -> Result<Self> {
        let git = Git::at(&commit::top(&Git::open(dir)?)?);
        let present = Papers::read(&git, &repository::commit(&git, None)?)?;
        Ok(Self { git, present })
    }

    /// What the charter of HEAD says.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.present.exchange
    }

    /// Changes the charter, and carries it as far as the options say.
    ///
    /// # Errors
    ///
    /// Nothing was changed then.
    pub(super) fn change(
        &self,
        options: &Options,
        rotation: Option<&Rotation>,
        change: impl FnOnce(&mut Draft) -> Result<Change>,
    ) -> Result<Exit> {
        let mut draft = Draft::of(match options.no_commit {
            true => self.written()?,
            false => {
                self.check_committed()?;
                self.present.text.clone()
            }
        })?;
        let change = change(&mut draft)?;
        self.raise(&mut draft)?;
        let (text, exchange) = draft.finish()?;
        let next = Next { text, exchange, change };
        if options.dry_run {
            return self.show(&next);
        }
        if options.no_commit {
            commit::write(&self.file(PATH), next.text.as_bytes())?;
            cli::print(format_args!("{}\nSign it as a root: giterctl trust sign\n", next.told("not signed yet")))?;
            return Ok(Exit::Done);
        }
        let keys = roots::choose(&self.git, &options.keys, &self.present, &next.exchange, rotation)?;
        self.check_signed(&keys)?;
        self.publish(options, &next, &keys, Vec::new())
    }

    /// Signs the charter as it lies in the working tree.
    ///
    /// # Errors
    ///
    /// Nothing was changed then.
    pub(super) fn sign(&self, options: &Options) -> Result<Exit> {
        let mut draft = Draft::of(self.written()?)?;
        self.raise(&mut draft)?;
        let (text, exchange) = draft.finish()?;
        let subject = format!("Sign the charter with serial {}", exchange.serial);
        let change =
            Change { subject, done: Vec::new(), concerns_roots: exchange.roots != self.present.exchange.roots };
        let next = Next { text, exchange, change };
        if options.dry_run {
            return self.show(&next);
        }
        let keys = roots::choose(&self.git, &options.keys, &self.present, &next.exchange, None)?;
        let kept = self.kept(&next.text, &keys)?;
        self.publish(options, &next, &keys, kept)
    }

    /// The signatures in the working tree that are over the text, and by other keys than those that sign now.
    fn kept(&self, text: &str, keys: &[SigningKey]) -> Result<Vec<u8>> {
        let file = self.file(SIGNATURE_PATH);
        let written = if file.exists() { fs::read(&file).map_err(|e| unread(SIGNATURE_PATH, e))? } else { Vec::new() };
        let mut kept = Vec::new();
        for (armour, by) in charter::signatures(text.as_bytes(), &written) {
            if by.is_ok_and(|by| keys.iter().all(|key| key.public.key != by)) {
                kept.extend_from_slice(armour);
            }
        }
        Ok(kept)
    }

    /// A serial above the one in force, where it is not yet.
    fn raise(&self, draft: &mut Draft) -> Result<()> {
        match self.present.floor(draft.text()) {
            Some(floor) if draft.exchange().serial <= floor => draft.set_serial(floor.saturating_add(1)),
            _ => Ok(()),
        }
    }

    fn publish(&self, options: &Options, next: &Next, keys: &[SigningKey], kept: Vec<u8>) -> Result<Exit> {
        let mut signatures = kept;
        for key in keys {
            let armour = sign(&self.git, key, sshsig::EXCHANGE, PATH, next.text.as_bytes())?;
            signatures.extend_from_slice(armour.as_bytes());
        }
        let charter = Charter::of(&next.exchange)?;
        let by: Vec<_> = keys.iter().map(|key| format!("{} {}", self.name(key, &charter), key.public.key)).collect();
        let told = next.told(&format!("signed by {}", by.join(" and ")));
        let is_there = next.text == self.present.text && self.present.signatures.as_ref() == Some(&signatures);
        if is_there && !options.no_commit {
            cli::print(format_args!("{told}HEAD has these signatures already: nothing to commit.\n"))?;
            return Ok(Exit::Done);
        }
        let files = vec![(PATH.to_owned(), next.text.clone().into_bytes()), (SIGNATURE_PATH.to_owned(), signatures)];
        if options.no_commit {
            files.iter().try_for_each(|(path, bytes)| commit::write(&self.file(path), bytes))?;
            cli::print(format_args!("{told}\nCommit it as a root: giterctl trust sign\n"))?;
            return Ok(Exit::Done);
        }

        let message = match &options.message {
            Some(message) => message.clone(),
            None => format!("{}\n\n{told}", next.change.subject),
        };
        // A new device wants its first tip signed by somebody whom the charter there trusts.
        let stays = |key: &&SigningKey| charter.roots.judge(&key.public.key, sshsig::GIT, 0).is_ok();
        let by = keys.iter().find(stays).or(keys.first()).ok_or_else(|| Error::new(Reason::Bug, "nobody signs"))?;
        let proposal = Proposal::make(&self.git, files, &message, by)?;
        proposal.adopt_if(self.present.follow(&self.git, proposal.id(), &charter.roots))?;
        cli::print(told + &self.committed(&proposal, next, &charter, keys)?)?;
        Ok(Exit::Done)
    }

    /// Who follows the commit, and what is left to do.
    fn committed(&self, proposal: &Proposal, next: &Next, charter: &Charter, keys: &[SigningKey]) -> Result<String> {
        let branch = &next.exchange.branch;
        let (id, head) = (proposal.id().short(), self.present.commit.short());
        let whom = match self.present.check_signed().is_ok() {
            true => format!("Devices that follow serial {}, up to {head}, follow it", self.present.exchange.serial),
            false => "Devices follow it whose root file names who signed, for the namespace giter-exchange".into(),
        };
        let mut text = format!("committed {id}. {whom}.\n");
        if next.change.concerns_roots {
            let names: Vec<_> = keys.iter().map(|key| self.name(key, charter)).collect();
            text += &format!("New devices start with a root file that names {}", names.join(" or "));
            let starts = charter::start(&self.git, proposal.id(), &roots::keyring(keys), &next.exchange);
            text += if starts.is_ok() { ".\n" } else { ", once a commit follows that the charter's own sign.\n" };
            text += "One of now: giterctl trust export --roots > root.keys\n";
        }
        let here = self.git.ask(&["symbolic-ref", "--short", "-q", "HEAD"])?;
        if here.as_deref() != Ok(&**branch) {
            text += &format!("Devices follow the branch {branch}, which this is not: merge it there.\n");
        }
        let stays = |key: &&SigningKey| charter.roots.judge(&key.public.key, sshsig::EXCHANGE, 0).is_ok();
        if !keys.iter().any(|key| stays(&key)) {
            text += "None of its own roots has signed it yet; as one of them: giterctl trust sign\n";
        }
        if let Some(key) = SigningKey::of_git(&self.git).ok().flatten().filter(|key| !counts(&key.public.key, charter))
        {
            text += &format!("git signs with {} here, which does not count any more: ", key.setting);
            text += "git config user.signingkey FILE\n";
        }
        Ok(text + "\nNext:\n\n  git push\n")
    }

    /// What the next charter or the present one calls the root, or his key itself.
    fn name(&self, key: &SigningKey, next: &Charter) -> String {
        let mut charters = [Some(next), self.present.charter.as_ref()].into_iter().flatten();
        let name = charters.find_map(|charter| charter.roots.judge(&key.public.key, sshsig::EXCHANGE, 0).ok());
        name.map_or_else(|| key.public.name(), str::to_owned)
    }

    /// That the charter to build upon is in force; or, where that cannot be told, that somebody signed it who signs now.
    fn check_signed(&self, keys: &[SigningKey]) -> Result<()> {
        let is_own = || keys.iter().any(|key| self.present.is_signed_by(&key.public.key));
        match self.present.check_signed() {
            Err(error) if error.reason() == Reason::CharterUntrusted && is_own() => Ok(()),
            checked => checked,
        }
    }

    fn check_committed(&self) -> Result<()> {
        let dirty = self.git.run(&["status", "--porcelain", "--", PATH, SIGNATURE_PATH])?;
        if dirty.is_empty() {
            return Ok(());
        }
        let files: Vec<_> = dirty.lines().filter_map(|line| line.get(3..)).collect();
        Err(Error::new(
            Reason::NotCommitted,
            format!("there are changes that are not committed in {}", files.join(", ")),
        )
        .hint("commit them with giterctl trust sign; or drop them: git restore --staged --worktree exchange.yaml*"))
    }

    fn show(&self, next: &Next) -> Result<Exit> {
        let blob = |text: &str| self.git.feed(&["hash-object", "-w", "--stdin"], text.as_bytes());
        let (old, new) = (blob(&self.present.text)?, blob(&next.text)?);
        let diff = self.git.run(&["diff", "--no-color", "--no-ext-diff", "--no-textconv", &old, &new])?;
        let hunks = diff.find("\n@@").map_or("", |at| &diff[at + 1..]);
        cli::print(match hunks {
            "" => String::new(),
            // It goes to a terminal, and a text of HEAD may be anybody's.
            hunks => format!("--- a/{PATH}\n+++ b/{PATH}\n{hunks}\n")
                .replace(|c: char| c.is_control() && !"\n\t".contains(c), "\u{fffd}"),
        })?;
        Ok(Exit::Done)
    }

    /// The charter as it lies in the working tree.
    fn written(&self) -> Result<String> {
        fs::read_to_string(self.file(PATH)).map_err(|e| unread(PATH, e))
    }

    fn file(&self, path: &str) -> std::path::PathBuf {
        self.git.dir().join(path)
    }
}

impl Next {
    fn told(&self, signed: &str) -> String {
        let done: String = self.change.done.iter().map(|line| format!("{line}\n")).collect();
        format!("{done}{PATH}: serial {}, {signed}\n", self.exchange.serial)
    }
}

/// Whether the charter lists a key at all.
fn counts(key: &PublicKey, charter: &Charter) -> bool {
    let publishers = charter.publishers.iter().map(|publisher| &publisher.signer);
    charter.roots.signers().iter().chain(publishers).any(|signer| signer.key == *key)
}

fn unread(path: &str, e: std::io::Error) -> Error {
    Error::io(Reason::FileFailed, format!("cannot read {path}"), e)
}
