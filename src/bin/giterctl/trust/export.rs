//! `giterctl trust export`: the keys of people and devices as OpenSSH's allowed_signers, for people's own git and for root
//! files.

use std::path::Path;

use giter_edge::{
    api::{Exit, Result},
    cli,
    codec::{
        charter::Charter,
        signers::{Keyring, Signer},
        sshsig::{EXCHANGE, GIT},
    },
};

use crate::{
    charter::Papers,
    devices::{Devices, device_signers},
    git::Git,
    repository,
};

/// Prints the keys of people and devices as allowed_signers, which git and ssh-keygen read
#[derive(clap::Args)]
#[command(after_help = "git knows who signed then: giterctl trust export > allowed_signers, and git config \
    gpg.ssh.allowedSignersFile allowed_signers. It does not know of paths: a device refuses what a publisher signs \
    outside of his.")]
pub(super) struct Args {
    /// Leave out the namespaces, for programs that do not know them
    #[arg(long)]
    namespace_less: bool,

    /// The roots alone, as a device's root file has to name them
    #[arg(long)]
    roots: bool,

    /// The commit or branch with the charter [default: HEAD, else the only branch]
    #[arg(long, value_name = "REV")]
    revision: Option<String>,
}

pub(super) fn run(args: Args, repo: &Path) -> Result<Exit> {
    let git = Git::open(repo)?;
    let commit = repository::commit(&git, args.revision.as_deref())?;
    let papers = Papers::read(&git, &commit)?;
    papers.check_signed()?;
    let charter = papers.charter.iter();
    let people = charter.flat_map(people).take_while(|signer| !args.roots || is_root(signer));
    let devices = if args.roots { Keyring::default() } else { device_signers(&Devices::at(&git, &commit)?)? };
    let signers = people.chain(devices.signers().iter().cloned());
    cli::print(allowed_signers(signers, !args.namespace_less))?;
    Ok(Exit::Done)
}

/// The roots, who may sign charters and commits, and then the publishers, who may sign commits.
pub(crate) fn people(charter: &Charter) -> impl Iterator<Item = Signer> {
    let namespaces = Some(format!("{GIT},{EXCHANGE}").into());
    let roots = charter.roots.signers().iter().cloned();
    let roots = roots.map(move |root| Signer { namespaces: namespaces.clone(), ..root });
    roots.chain(charter.publishers.iter().map(|publisher| publisher.signer.clone()))
}

fn is_root(signer: &Signer) -> bool {
    signer.namespaces.as_deref().is_some_and(|namespaces| namespaces != GIT)
}

/// The lines of an allowed_signers file.
fn allowed_signers(signers: impl Iterator<Item = Signer>, with_namespaces: bool) -> String {
    let line = |signer: Signer| {
        let principals = principal(&signer);
        let namespaces = signer.namespaces.filter(|_| with_namespaces);
        format!("{}\n", Signer { principals, namespaces, ..signer })
    };
    signers.map(line).collect()
}

/// Who it is, where the file can say so: a name with a pattern's letters in it would be one for others, too.
pub(crate) fn principal(signer: &Signer) -> Box<str> {
    let is_plain = |c: char| c.is_alphanumeric() || "@._+-/:".contains(c);
    match signer.principals.chars().all(is_plain) {
        true => signer.principals.clone(),
        false => signer.key.fingerprint().into(),
    }
}
