//! `giterctl init`: a new exchange, ready to be pushed.
//!
//! It is made aside and moved into place when its first commit is signed, so that a failure leaves nothing behind.

mod files;
mod key;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{DeviceId, Error, Exit, Name, Reason, Result},
    cli,
};

use self::{files::Exchange, key::Key};
use crate::git::Git;

/// Makes a new exchange: a git repository with a charter, example specs and whom to trust
#[derive(clap::Args)]
#[command(after_help = "The first commit is signed. The publisher's key becomes the exchange's root of trust.")]
pub(crate) struct Args {
    /// The folder; it must be empty or absent
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The exchange's name [default: that of DIR]
    #[arg(long)]
    name: Option<Name>,

    /// A device that gets example specs; may be given several times
    #[arg(long, value_name = "ID", default_value = "edge-01")]
    device: Vec<DeviceId>,

    /// The publisher's ed25519 SSH key [default: git's user.signingkey, else ~/.ssh/id_ed25519.pub]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// The branch that devices follow
    #[arg(long, default_value = "main")]
    branch: String,

    /// The folder, on the devices, of the example File
    #[arg(long, value_name = "DIR", default_value = "/etc/giter/files")]
    files: String,
}

/// Makes the exchange, and says what to do next.
pub(crate) fn run(args: Args) -> Result<Exit> {
    let dir = args.dir.clone();
    let made = make(args)?;
    cli::print(made.report(&dir))?;
    Ok(Exit::Done)
}

/// What was made.
struct Made {
    exchange: Exchange,
    key: Key,
}

fn make(args: Args) -> Result<Made> {
    check_free(&args.dir)?;
    let home = nearest_folder(&args.dir);
    let git = Git::at(&home);
    check_branch(&git, &args.branch)?;
    let name = match args.name {
        Some(name) => name,
        None => name_of(&args.dir)?,
    };
    let key = Key::find(&git, args.key.as_deref())?;
    let principal = principal(&git)?;
    let exchange = Exchange {
        name,
        id: random_id()?,
        branch: args.branch,
        devices: args.device,
        file_root: args.files,
        key: key.public.clone(),
        principal,
    };
    let failed = |e| Error::io(Reason::Usage, format!("cannot make {}", args.dir.display()), e);
    let aside = tempfile::Builder::new().prefix(".giterctl-").tempdir_in(&home).map_err(failed)?;
    for (path, text) in exchange.files()? {
        let path = aside.path().join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text)).map_err(failed)?;
    }
    commit(&Git::at(aside.path()), &exchange, &key)?;
    settle(aside, &args.dir).map_err(failed)?;
    Ok(Made { exchange, key })
}

/// The repository, its settings and its first commit.
fn commit(git: &Git, exchange: &Exchange, key: &Key) -> Result<()> {
    git.run(&["init", "-q", "--object-format=sha1", &format!("--initial-branch={}", exchange.branch)])?;
    for (name, value) in [
        ("gpg.format", "ssh"),
        ("user.signingkey", &key.setting),
        ("commit.gpgsign", "true"),
        ("gpg.ssh.allowedSignersFile", files::ALLOWED_SIGNERS),
        ("diff.giter-status.textconv", "giterctl decode"),
    ] {
        git.run(&["config", name, value])?;
    }
    git.run(&["add", "--all"])?;
    let message = format!("Found the exchange {}", exchange.name);
    git.run(&["commit", "-q", "-S", "-m", &message]).map(drop).map_err(|error| {
        let hint =
            format!("see that ssh-keygen can sign with {}: its private half beside it, or in ssh-agent", key.setting);
        Error::new(error.reason(), "cannot sign the first commit").hint(hint).caused_by(error.one_line())
    })
}

/// Moves what was made to where it belongs. A folder that is there already stays the one it is.
fn settle(aside: tempfile::TempDir, dir: &Path) -> io::Result<()> {
    if dir.exists() {
        for entry in fs::read_dir(aside.path())? {
            let entry = entry?;
            fs::rename(entry.path(), dir.join(entry.file_name()))?;
        }
        return aside.close();
    }
    dir.parent().map_or(Ok(()), fs::create_dir_all)?;
    // A temporary folder is its user's alone; an exchange is as any other working tree.
    let mode = fs::metadata(aside.path().join(".git"))?.permissions();
    fs::set_permissions(aside.path(), mode)?;
    fs::rename(aside.keep(), dir)
}

fn check_free(dir: &Path) -> Result<()> {
    let taken = |what| Err(Error::new(Reason::Usage, format!("{} {what}", dir.display())).hint("name a new folder"));
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => taken("is not empty"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => taken("is not a folder"),
        Err(e) => Err(Error::new(Reason::Usage, format!("cannot look into {}", dir.display())).caused_by(e)),
    }
}

/// The folder itself, or the nearest above it that exists.
fn nearest_folder(dir: &Path) -> PathBuf {
    let existing = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    if existing.as_os_str().is_empty() { ".".into() } else { existing.into() }
}

fn name_of(dir: &Path) -> Result<Name> {
    let full = std::path::absolute(dir).unwrap_or_else(|_| dir.into());
    let name = full.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.parse().map_err(|wrong| {
        Error::new(Reason::Usage, format!("an exchange cannot be called {name:?}"))
            .hint("give it a name: --name NAME")
            .caused_by(wrong)
    })
}

fn check_branch(git: &Git, branch: &str) -> Result<()> {
    let valid = git.ask(&["check-ref-format", "--branch", branch])?.is_ok();
    if valid && !branch.starts_with(['-', '@']) && !branch.starts_with("refs/") {
        return Ok(());
    }
    Err(Error::new(Reason::Usage, format!("{branch:?} is no name for a branch")).hint("such as --branch main"))
}

/// Who signs: the email address that git puts into commits.
fn principal(git: &Git) -> Result<String> {
    let unknown = |words: String| {
        Error::new(Reason::BadConfig, "git does not know who you are")
            .hint("git config --global user.name NAME; git config --global user.email you@example.com")
            .caused_by(words)
    };
    let ident = git.ask(&["var", "GIT_COMMITTER_IDENT"])?.map_err(unknown)?;
    let email = ident.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(email, _)| email);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@.+-_".contains(c);
    if email.is_empty() || !email.chars().all(is_plain) {
        return Err(unknown(format!("{email:?} cannot stand in an allowed_signers file")));
    }
    Ok(email.into())
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::new(Reason::Bug, "the system has no random numbers").caused_by(e.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Made {
    fn report(&self, dir: &Path) -> String {
        let Exchange { name, id, branch, devices, principal, .. } = &self.exchange;
        let dir = dir.display();
        let mut text =
            format!("Made the exchange {name} in {dir}, signed by {principal} with {}:\n\n", self.key.setting);
        let mut line = |file: &str, what: &str| text.push_str(&format!("  {file:<28} {what}\n"));
        line("exchange.yaml", &format!("the charter: id {id}, branch {branch}"));
        for device in devices {
            line(&format!("specs/{device}/"), "example specs: a File, a GpioLine, a Led");
        }
        line(files::ROOT_KEYS, "whose commits devices accept; copy it to each device");
        line(files::ALLOWED_SIGNERS, "whom your git believes");
        line("README.md", "how to go on");
        let device = devices.first().map_or("DEVICE", DeviceId::as_str);
        let host = devices.first().and_then(|device| device.as_str().rsplit('/').next()).unwrap_or_default();
        text.push_str(&format!(
            "\nNext:\n\n  \
             git -C {dir} remote add origin ssh://git@hub/{name}.git\n  \
             git -C {dir} config --add remote.origin.fetch '+refs/giter/status/*:refs/giter/status/*'\n  \
             git -C {dir} push -u origin {branch}\n  \
             scp {dir}/{} root@{host}:/etc/giter/{}\n  \
             giterd enroll                     # on the device, with its /etc/giter/giterd.toml\n  \
             giterctl -C {dir} approve {device} --push\n",
            files::ROOT_KEYS,
            files::ROOT_KEYS
        ));
        text
    }
}
