//! `giterctl init`: a new exchange, ready to be pushed.
//!
//! It is made aside and moved into place when its first commit is signed, so that a failure leaves nothing behind.

mod files;
mod hub;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{DeviceId, Error, Exit, Name, Reason, Result},
    cli,
    codec::{charter, sshsig},
};

use self::files::Exchange;
use crate::{
    commit::{committer, unknown_committer},
    git::Git,
    keys::{PublicLine, SigningKey},
    sign::{announce, cannot_sign, sign},
};

/// Makes a new exchange: a git repository with a charter, example specs and whom to trust
#[derive(clap::Args)]
#[command(
    after_help = "The charter and the first commit are signed. The publisher's key becomes the exchange's root of trust, \
    unless --root names another; giterctl trust adds and changes keys later."
)]
pub(crate) struct Args {
    /// The folder; it must be empty or absent
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Make the hub instead, a bare repository with the hook that judges every push
    #[arg(long, conflicts_with_all = ["name", "device", "key", "files"])]
    hub: bool,

    /// The exchange's name [default: that of DIR]
    #[arg(long)]
    name: Option<Name>,

    /// A device that gets example specs; may be given several times
    #[arg(long, value_name = "ID", default_value = "edge-01")]
    device: Vec<DeviceId>,

    /// The publisher's ed25519 SSH key [default: git's user.signingkey, else ~/.ssh/id_ed25519.pub]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// A root's key, which signs the charter and may be kept apart [default: the publisher's key]; of a hub, the
    /// devices' root file, which it needs for a first push
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,

    /// The branch that devices follow
    #[arg(long, default_value = "main")]
    branch: String,

    /// The folder, on the devices, of the example File
    #[arg(long, value_name = "DIR", default_value = "/etc/giter/files")]
    files: String,
}

/// Makes the exchange, and says what to do next.
pub(crate) fn run(args: Args) -> Result<Exit> {
    if args.hub {
        cli::print(hub::make(&args.dir, &args.branch, args.root)?)?;
        return Ok(Exit::Done);
    }
    let dir = args.dir.clone();
    let made = make(args)?;
    cli::print(made.report(&dir))?;
    Ok(Exit::Done)
}

/// What was made.
struct Made {
    exchange: Exchange,
    keys: Keys,
}

/// Whose keys sign.
struct Keys {
    publisher: SigningKey,
    /// The root's, where it is another one.
    root: Option<SigningKey>,
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
    let keys = Keys::find(&git, args.key.as_deref(), args.root.as_deref())?;
    let publisher = PublicLine { comment: principal(&git)?, key: keys.publisher.public.key };
    let (root, publisher) = match &keys.root {
        Some(root) => (PublicLine { comment: format!("root@{name}"), key: root.public.key }, Some(publisher)),
        None => (publisher, None),
    };
    let exchange = Exchange {
        name,
        id: random_id()?,
        branch: args.branch,
        devices: args.device,
        file_root: args.files,
        root,
        publisher,
    };
    let failed = |e| Error::io(Reason::Usage, format!("cannot make {}", args.dir.display()), e);
    let aside = tempfile::Builder::new().prefix(".giterctl-").tempdir_in(&home).map_err(failed)?;
    for (path, text) in exchange.files()? {
        let path = aside.path().join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text)).map_err(failed)?;
    }
    commit(&Git::at(aside.path()), &exchange, &keys)?;
    settle(aside, &args.dir).map_err(failed)?;
    Ok(Made { exchange, keys })
}

impl Keys {
    /// The keys that the call names; the publisher's is else the one that git signs with, or ssh's usual one.
    fn find(git: &Git, publisher: Option<&Path>, root: Option<&Path>) -> Result<Self> {
        let publisher = match publisher {
            Some(file) => Some(SigningKey::from_file(file)?),
            None => SigningKey::of_git(git)?.map_or_else(SigningKey::usual, |key| Ok(Some(key)))?,
        };
        let publisher = publisher.ok_or_else(|| {
            Error::new(Reason::BadKeyFile, "there is no SSH key to sign with")
                .hint("make one with: ssh-keygen -t ed25519; or name one with --key FILE")
        })?;
        let root = root.map(SigningKey::from_file).transpose()?;
        Ok(Self { root: root.filter(|root| root.public.key != publisher.public.key), publisher })
    }

    fn root(&self) -> &SigningKey {
        self.root.as_ref().unwrap_or(&self.publisher)
    }
}

/// The repository, its settings and its first commit.
fn commit(git: &Git, exchange: &Exchange, keys: &Keys) -> Result<()> {
    git.run(&["init", "-q", "--object-format=sha1", &format!("--initial-branch={}", exchange.branch)])?;
    for (name, value) in [
        ("gpg.format", "ssh"),
        ("user.signingkey", &keys.publisher.setting),
        ("commit.gpgsign", "true"),
        ("gpg.ssh.allowedSignersFile", files::ALLOWED_SIGNERS),
        ("diff.giter-status.textconv", "giterctl decode"),
    ] {
        git.run(&["config", name, value])?;
    }
    let root = keys.root();
    let signature = sign(git, root, sshsig::EXCHANGE, charter::PATH, exchange.charter()?.as_bytes())?;
    let failed = |e| Error::io(Reason::FileFailed, format!("cannot write {}", charter::SIGNATURE_PATH), e);
    fs::write(git.dir().join(charter::SIGNATURE_PATH), signature).map_err(failed)?;
    git.run(&["add", "--all"])?;
    announce(&root.public.key, "the first commit");
    let (sign, message) = (format!("-S{}", root.setting), format!("Found the exchange {}", exchange.name));
    let committed = git.ask(&["commit", "-q", &sign, "-m", &message])?;
    committed.map(drop).map_err(|words| cannot_sign(root, "the first commit").caused_by(words))
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
    let ident = committer(git)?;
    let email = ident.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(email, _)| email);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@.+-_".contains(c);
    if email.is_empty() || !email.chars().all(is_plain) {
        return Err(unknown_committer().caused_by(format!("{email:?} cannot stand in an allowed_signers file")));
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
        let Exchange { name, id, branch, devices, root, publisher, .. } = &self.exchange;
        let dir = dir.display();
        let mut text = format!(
            "Made the exchange {name} in {dir}, signed by {} with {}:\n\n",
            root.comment,
            self.keys.root().setting
        );
        let mut line = |file: &str, what: &str| text.push_str(&format!("  {file:<28} {what}\n"));
        line(charter::PATH, &format!("the charter: id {id}, branch {branch}"));
        match publisher {
            Some(publisher) => line("", &format!("root {}, publisher {}", root.comment, publisher.comment)),
            None => line("", &format!("root {}, who may sign everything", root.comment)),
        }
        line(charter::SIGNATURE_PATH, "the root's signature over it");
        for device in devices {
            line(&format!("specs/{device}/"), "example specs: a File, a GpioLine, a Led");
        }
        line(files::ROOT_KEYS, "the root, whom devices trust first; copy it to each device");
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
