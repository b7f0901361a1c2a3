//! `giterctl authorized-keys`: who may log in to a hub, as sshd's authorized_keys, from what the exchange says of its
//! devices.
//!
//! A line is a command that the account's shell runs at each login, so nothing gets into one that is not made of plain
//! letters: names of devices are, keys are written anew from their bytes, and paths are refused that are not.

use std::{
    env,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{DeviceId, Error, Exit, Oid, Reason, Result},
    cli,
    codec::{pubkey::PublicKey, signers::Signer, sshsig::GIT},
    git::repository::git_dir,
};

use crate::{charter::Papers, devices::Devices, git::Git, hook, objects::GitObjects, repository, trust};

/// Prints sshd's authorized_keys, a line for each key of a device
#[derive(clap::Args)]
#[command(
    after_help = "Into a file: giterctl authorized-keys REPO > ~git/.ssh/authorized_keys, after each change of devices. \
    Or by sshd itself, in sshd_config:\n\n  AuthorizedKeysCommand /usr/local/bin/giterctl authorized-keys \
    /srv/git/plant-7.git %t %k\n  AuthorizedKeysCommandUser git\n\nThe devices are those of the branch that HEAD leads to, \
    which the hub's hook lets publishers alone change."
)]
pub(crate) struct Args {
    /// The hub's repository
    #[arg(value_name = "REPO")]
    repo: PathBuf,

    /// Only the key of this type, sshd's %t
    #[arg(value_name = "TYPE", requires = "key")]
    kind: Option<String>,

    /// and these base64 letters, sshd's %k
    #[arg(value_name = "KEY")]
    key: Option<String>,

    /// Also the keys of roots and publishers, who may fetch and push what the hook lets in
    #[arg(long)]
    people: bool,
}

/// Prints the lines.
pub(crate) fn run(args: Args) -> Result<Exit> {
    let repo = git_dir(&args.repo).map_err(|error| error.hint("name the hub's repository"))?;
    let (git, repo) = (Git::at(&repo), plain(&repo)?);
    let program = plain(&env::current_exe().unwrap_or_default())?;
    let only = match args.kind.zip(args.key) {
        None => None,
        // sshd asks for keys of every type; the exchange has none of the others.
        Some((kind, key)) => match PublicKey::from_openssh(&format!("{kind} {key}")) {
            Ok(key) => Some(key),
            Err(_) => return Ok(Exit::Done),
        },
    };
    let commit = repository::commit(&git, None)?;
    let people = if args.people { people(&git, &commit)? } else { Vec::new() };
    let is_asked = |key: &PublicKey| only.is_none_or(|only| only == *key);
    let mut lines = String::new();
    for person in people.iter().filter(|person| is_asked(&person.key)) {
        // Whatever else the account's shell would do, this does git alone.
        let command = r#"command="git-shell -c \"$SSH_ORIGINAL_COMMAND\"""#;
        lines.push_str(&format!("{command},restrict {} {}\n", person.key.to_openssh(), trust::principal(person)));
    }
    let is_persons = |key: &PublicKey| people.iter().any(|person| person.key == *key);
    for (device, key) in devices(&git, &commit, only)?.iter().filter(|(_, key)| !is_persons(key)) {
        let command = format!("command=\"{program} serve {device} {repo}\"");
        lines.push_str(&format!("{command},restrict {} {device}\n", key.to_openssh()));
    }
    cli::print(lines)?;
    Ok(Exit::Done)
}

/// The devices' keys, or whose one key is. A key that two devices have is nobody's: who logs in with it could be either.
fn devices(git: &Git, commit: &str, only: Option<PublicKey>) -> Result<Vec<(DeviceId, PublicKey)>> {
    let mut found = match only {
        Some(key) => {
            let tree: Option<Oid> = git.run(&["rev-parse", &format!("{commit}^{{tree}}")])?.parse().ok();
            let tree = tree.ok_or_else(|| Error::new(Reason::RepositoryUnsupported, "its objects are not SHA-1"))?;
            hook::Fleet::of(git, tree)?.holders(&GitObjects::of(git)?, &[key])?
        }
        None => {
            let devices = Devices::at(git, commit)?;
            let named =
                devices.iter().flat_map(|(id, says)| hook::named(says).into_iter().map(|key| (id.clone(), key)));
            named.collect()
        }
    };
    found.sort_by_cached_key(|(device, key)| (key.to_blob(), device.clone()));
    found.dedup();
    let mut own = Vec::new();
    for holders in found.chunk_by(|(_, one), (_, other)| one == other) {
        match holders {
            [only] => own.push(only.clone()),
            [(one, key), (other, _), ..] => {
                cli::talk(format_args!("warning: left out: {}", hook::shared(one, other, key).one_line()));
            }
            [] => {}
        }
    }
    own.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(own)
}

/// The roots and publishers whose keys count now: by the charter, or by the hub's root file until one is signed.
fn people(git: &Git, commit: &str) -> Result<Vec<Signer>> {
    let signed = Papers::read(git, commit).and_then(|papers| papers.check_signed().map(|()| papers));
    let people = match signed {
        Ok(Papers { charter: Some(charter), .. }) => trust::people(&charter).collect(),
        _ => hook::roots(git.dir())?.signers().to_vec(),
    };
    let (now, mut counts) = (trust::now(), Vec::<Signer>::new());
    for person in people {
        if person.distrust(GIT, now).is_none() && counts.iter().all(|other| other.key != person.key) {
            counts.push(person);
        }
    }
    Ok(counts)
}

/// A path as one word of a shell's line, and of sshd's.
fn plain(path: &Path) -> Result<String> {
    let full = path.canonicalize();
    let full = full.map_err(|e| Error::new(Reason::Usage, format!("cannot find {}", path.display())).caused_by(e))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-@:".contains(c);
    let text = full.to_str().filter(|text| text.chars().all(is_plain));
    text.map(str::to_owned).ok_or_else(|| {
        Error::new(Reason::Usage, format!("{} cannot stand in authorized_keys as it is", full.display()))
            .hint("give it a path of letters, digits and /._+-@: alone")
    })
}
