//! `giterctl reset`: a root's word that devices may go back, as a signed commit.
//!
//! Signed is before anything is written, and committed is nothing but the reset.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use giter_edge::{
    api::{DeviceId, Error, ExchangeId, Exit, Name, Oid, Reason, Reset, Result, limits},
    cli,
    codec::{
        charter, manifest, pattern::PathPattern, pubkey::PublicKey, reset, signers::Keyring, signers::Signer, sshsig,
    },
};

use crate::{
    git::Git,
    repository::{Exchange, Places},
};

/// Lets devices go back to a commit, where what they accepted is lost
#[derive(clap::Args)]
#[command(
    after_help = "Writes reset.yaml and reset.yaml.sig in the working tree, whose branch is at the commit or descends \
    from it, and commits them, signed with the root's key. Devices that can go forward take it as any commit."
)]
pub(crate) struct Args {
    /// The devices: names, or patterns such as "site-a/**"
    #[arg(value_name = "DEVICE|PATTERN", required = true)]
    devices: Vec<String>,

    /// What they go back to
    #[arg(long, value_name = "COMMIT")]
    to: String,

    /// The root's private SSH key, or the public one of a key in ssh-agent
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The reset's name [default: reset-SERIAL]
    #[arg(long)]
    name: Option<Name>,
}

/// Makes the commit, and says what comes of it.
pub(crate) fn run(args: Args, repo: &Path) -> Result<Exit> {
    let tree = WorkingTree::open(repo)?;
    for device in &args.devices {
        PathPattern::new(device)
            .map_err(|why| Error::new(Reason::Usage, format!("{device:?} is no pattern of devices")).caused_by(why))?;
    }
    let key = fs::canonicalize(&args.key)
        .map_err(|e| Error::new(Reason::BadKeyFile, format!("cannot read {}", args.key.display())).caused_by(e))?;
    let commit = tree.ancestor(&args.to)?;
    let charter = tree.charter()?;
    let serial = tree.highest_serial()? + 1;
    let name = match args.name {
        Some(name) => name,
        None => {
            format!("reset-{serial}").parse().map_err(|e| Error::new(Reason::Bug, "a name is none").caused_by(e))?
        }
    };
    let devices = args.devices.iter().map(|device| device.as_str().into()).collect();
    let reset = Reset { name, exchange: charter.id, serial, devices, commit };
    let text = to_yaml(&reset);
    let signature = sign(&key, &text)?;
    check_is_root(&charter.roots, &key, &text, &signature)?;
    tree.commit(&reset, &text, &signature, &key)?;
    cli::print(tree.report(&reset)?)?;
    Ok(Exit::Done)
}

/// Whom the charter names.
struct Charter {
    id: ExchangeId,
    roots: Vec<Box<str>>,
}

/// The publisher's clone.
struct WorkingTree {
    git: Git,
    top: PathBuf,
}

impl WorkingTree {
    fn open(repo: &Path) -> Result<Self> {
        let top = Git::open(repo)?.ask(&["rev-parse", "--show-toplevel"])?.map_err(|words| {
            Error::new(Reason::Usage, format!("{} is no working tree", repo.display()))
                .hint("name a clone of the exchange with -C DIR")
                .caused_by(words)
        })?;
        Ok(Self { git: Git::at(Path::new(&top)), top: top.into() })
    }

    /// The commit of that name, which HEAD is at or descends from.
    fn ancestor(&self, name: &str) -> Result<Oid> {
        let spec = format!("{name}^{{commit}}");
        let full = self.git.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &spec])?.ok();
        let commit: Oid = full.and_then(|full| full.parse().ok()).ok_or_else(|| {
            Error::new(Reason::Usage, format!("there is no commit {name}"))
                .hint("name one with --to: the newest that the hub still has")
        })?;
        self.git.ask(&["merge-base", "--is-ancestor", &commit.to_string(), "HEAD"])?.map_err(|_| {
            Error::new(Reason::Usage, format!("HEAD does not descend from {}", commit.short()))
                .hint(format!("check out the branch that devices shall follow, such as: git reset --hard {name}"))
        })?;
        Ok(commit)
    }

    fn charter(&self) -> Result<Charter> {
        let mut batch = self.git.batch()?;
        let bytes = batch.read(&format!("HEAD:{}", charter::PATH), limits::MANIFEST_BYTES)?.ok_or_else(|| {
            Error::new(Reason::Usage, format!("HEAD has no {}", charter::PATH)).hint("name the exchange with -C DIR")
        })?;
        let exchange = manifest::parse_exchange(charter::PATH, &bytes)?;
        Ok(Charter { id: exchange.id, roots: exchange.roots })
    }

    /// The highest serial of a reset on any branch that is known here.
    fn highest_serial(&self) -> Result<u64> {
        let branches = self.git.run(&["for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes"])?;
        let mut batch = self.git.batch()?;
        let mut highest = 0;
        for branch in ["HEAD"].into_iter().chain(branches.lines()) {
            if let Some(bytes) = batch.read(&format!("{branch}:{}", reset::PATH), limits::MANIFEST_BYTES)? {
                highest = highest.max(manifest::parse_reset(reset::PATH, &bytes)?.serial);
            }
        }
        Ok(highest)
    }

    fn commit(&self, reset: &Reset, text: &str, signature: &str, key: &Path) -> Result<()> {
        for (path, content) in [(reset::PATH, text), (reset::SIGNATURE_PATH, signature)] {
            let path = self.top.join(path);
            fs::write(&path, content)
                .map_err(|e| Error::io(Reason::Usage, format!("cannot write {}", path.display()), e))?;
        }
        let files = [reset::PATH, reset::SIGNATURE_PATH];
        self.git.run(&["add", "--", files[0], files[1]])?;
        let key = format!("user.signingkey={}", key.display());
        let message =
            format!("Reset {} to {}\n\nSerial: {}", reset.devices.join(", "), reset.commit.short(), reset.serial);
        let settings = ["-c", "gpg.format=ssh", "-c", &key];
        let commit = ["commit", "-q", "-S", "-m", &message, "--only", "--", files[0], files[1]];
        self.git.run(&[&settings[..], &commit[..]].concat()).map(drop)
    }

    fn report(&self, reset: &Reset) -> Result<String> {
        let Reset { name, serial, devices, commit, .. } = reset;
        let exchange = Exchange::read(&self.git, &Places { revision: None, prefix: "refs/giter/status" })?;
        let named: Vec<&DeviceId> = exchange.devices.keys().filter(|device| reset::names(reset, device)).collect();
        if named.is_empty() {
            cli::talk(format_args!("warning: no device of this exchange is named by {}", devices.join(", ")));
        }
        let mut text = format!("Reset {name}, serial {serial}, back to {}, for:\n\n", commit.short());
        text.extend(named.iter().map(|device| format!("  {device}\n")));
        let branch = self.git.run(&["rev-parse", "--abbrev-ref", "HEAD"])?;
        text.push_str(&format!(
            "\nNext:\n\n  git push --force-with-lease origin {branch}\n\nA device that has accepted what this branch does \
             not hold goes back with its next poll, once, if it\ntrusts this root already; the others take the commit as \
             any other.\n"
        ));
        Ok(text)
    }
}

fn to_yaml(reset: &Reset) -> String {
    let Reset { name, exchange, serial, devices, commit } = reset;
    let devices: Vec<String> = devices.iter().map(|device| format!("{device:?}")).collect();
    format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Reset\nmetadata:\n  name: {name}\nspec:\n  exchange: {exchange}\n  \
         serial: {serial}\n  devices: [{}]\n  commit: {commit}\n",
        devices.join(", ")
    )
}

/// ssh-keygen's signature, with the key or ssh-agent's.
fn sign(key: &Path, text: &str) -> Result<String> {
    let failed = || Error::new(Reason::BadKeyFile, format!("cannot sign with {}", key.display()));
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-Y", "sign", "-n", sshsig::EXCHANGE, "-f"]).arg(key);
    let signature = keygen.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().and_then(|mut child| {
        child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?.write_all(text.as_bytes())?;
        child.wait_with_output()
    });
    let signature =
        signature.map_err(|e| failed().hint("install OpenSSH's ssh-keygen, which git signs with").caused_by(e))?;
    match String::from_utf8(signature.stdout) {
        Ok(armour) if signature.status.success() => Ok(armour),
        _ => Err(failed().hint("name a root's private key with --key, or a public one whose key ssh-agent holds")),
    }
}

/// Whether the charter, where it names roots, names the one who signed.
fn check_is_root(roots: &[Box<str>], key: &Path, text: &str, signature: &str) -> Result<()> {
    if roots.is_empty() {
        return Ok(());
    }
    let signer = |line: &str| {
        let key = PublicKey::from_openssh(line).ok()?;
        Some(Signer { principals: "root".into(), key, namespaces: None, valid_after: None, valid_before: None })
    };
    let keyring = Keyring::new(roots.iter().filter_map(|line| signer(line)).collect());
    reset::read(&keyring, text.as_bytes(), signature.as_bytes(), 0).map(drop).map_err(|error| {
        Error::new(error.reason(), format!("devices would not believe {}", key.display()))
            .hint(format!("sign with one of the roots in {}", charter::PATH))
            .caused_by(error)
    })
}
