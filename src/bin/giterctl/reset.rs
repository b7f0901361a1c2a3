//! `giterctl reset`: a root's word that devices may go back, as a signed commit.
//!
//! Signed is before anything is written, and committed is nothing but the reset, once the device's own verifier has
//! taken it.

use std::path::Path;

use giter_edge::{
    api::{DeviceId, Error, Exit, Name, Oid, Reason, Reset, Result, limits},
    cli,
    codec::{charter, pattern::PathPattern, reset, sshsig},
};

use crate::{
    charter::Papers,
    commit::{self, Proposal},
    git::Git,
    keys::SigningKey,
    repository::{Exchange, Places},
    resets, roots,
    sign::sign,
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

    /// The root's key to sign with [default: git's user.signingkey, else the only root's key in ~/.ssh and the agent]
    #[arg(long, value_name = "FILE")]
    key: Option<String>,

    /// The reset's name [default: reset-SERIAL]
    #[arg(long)]
    name: Option<Name>,
}

/// Makes the commit, and says what comes of it.
pub(crate) fn run(args: Args, repo: &Path) -> Result<Exit> {
    for device in &args.devices {
        PathPattern::new(device)
            .map_err(|why| Error::new(Reason::Usage, format!("{device:?} is no pattern of devices")).caused_by(why))?;
    }
    let git = Git::at(&commit::top(&Git::open(repo)?)?);
    let commit = ancestor(&git, &args.to)?;
    let present = Papers::read(&git, "HEAD")?;
    let key = root(&git, &present, args.key)?;
    let serial = resets::highest_serial(&git, &["HEAD", "--branches", "--remotes"])? + 1;
    let name = match args.name {
        Some(name) => name,
        None => {
            format!("reset-{serial}").parse().map_err(|e| Error::new(Reason::Bug, "a name is none").caused_by(e))?
        }
    };
    let devices = args.devices.into_iter().map(Into::into).collect();
    let reset = Reset { name, exchange: present.exchange.id.clone(), serial, devices, commit };
    publish(&git, &present, &reset, &key)?;
    warn_of_newer_charter(&git, &present)?;
    cli::print(report(&git, &reset)?)?;
    Ok(Exit::Done)
}

/// The commit of that name, which HEAD is at or descends from.
fn ancestor(git: &Git, name: &str) -> Result<Oid> {
    let spec = format!("{name}^{{commit}}");
    let full = git.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &spec])?.ok();
    let commit: Oid = full.and_then(|full| full.parse().ok()).ok_or_else(|| {
        Error::new(Reason::Usage, format!("there is no commit {name}"))
            .hint("name one with --to: the newest that the hub still has")
    })?;
    if git.leads(&commit.to_string(), "HEAD")? {
        return Ok(commit);
    }
    Err(Error::new(Reason::Usage, format!("HEAD does not descend from {}", commit.short()))
        .hint(format!("check out the branch that devices shall follow, such as: git reset --hard {name}")))
}

/// Who signs: a root of the charter; of one that names none, whoever is named.
fn root(git: &Git, present: &Papers, given: Option<String>) -> Result<SigningKey> {
    match (&present.charter, &given) {
        (None, Some(key)) => SigningKey::given(key),
        (None, None) => Err(Error::new(Reason::BadKeyFile, format!("{} names no root", charter::PATH))
            .hint("name the key of one in the devices' root file: --key FILE")),
        (Some(_), _) => {
            // Where nobody signed the charter, the devices' root file counts, and its keys stand there.
            present.check_signed().or_else(|error| match error.reason() {
                Reason::CharterUnsigned => Ok(()),
                _ => Err(error),
            })?;
            let keys = roots::choose(git, given.as_slice(), present, &present.exchange, None)?;
            keys.into_iter().next().ok_or_else(|| Error::new(Reason::Bug, "nobody signs"))
        }
    }
}

/// Signs the reset and commits it, if devices would believe it, those that are ahead and those that are not.
fn publish(git: &Git, present: &Papers, reset: &Reset, key: &SigningKey) -> Result<()> {
    let text = to_yaml(reset);
    let signature = sign(git, key, sshsig::EXCHANGE, reset::PATH, text.as_bytes())?;
    let files =
        vec![(reset::PATH.to_owned(), text.into_bytes()), (reset::SIGNATURE_PATH.to_owned(), signature.into_bytes())];
    let message = format!("Reset {} to {}\n\nSerial: {}", reset.devices.join(", "), reset.commit.short(), reset.serial);
    let proposal = Proposal::make(git, files, &message, key)?;
    let otherwise = roots::keyring(std::slice::from_ref(key));
    let allowed = present.allow(git, proposal.id(), &otherwise);
    proposal.adopt_if(allowed.and_then(|()| present.follow(git, proposal.id(), &otherwise)))
}

/// Trust does not go back with the branch: the tip needs the charter in force, which another branch may still have.
fn warn_of_newer_charter(git: &Git, present: &Papers) -> Result<()> {
    let branches = git.run(&["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes"])?;
    let (mut batch, mut serial) = (git.batch()?, present.exchange.serial);
    for branch in branches.lines() {
        let bytes = batch.read(&format!("{branch}:{}", charter::PATH), limits::MANIFEST_BYTES)?;
        let Some(Ok(other)) = bytes.map(|bytes| crate::charter::parse(&bytes)) else { continue };
        if other.serial > serial {
            serial = other.serial;
            cli::talk(format_args!(
                "warning: {branch} has a charter with serial {serial}, and devices that follow it refuse this one; as a \
                 root: git reset --hard HEAD~; git restore --source {branch} {0} {1}; git commit -a -S; and reset again",
                charter::PATH,
                charter::SIGNATURE_PATH
            ));
        }
    }
    Ok(())
}

fn report(git: &Git, reset: &Reset) -> Result<String> {
    let Reset { name, serial, devices, commit, .. } = reset;
    let exchange = Exchange::read(git, &Places { revision: None, prefix: "refs/giter/status" })?;
    let named: Vec<&DeviceId> = exchange.devices.keys().filter(|device| reset::names(reset, device)).collect();
    if named.is_empty() {
        cli::talk(format_args!("warning: no device of this exchange is named by {}", devices.join(", ")));
    }
    let mut text = format!("Reset {name}, serial {serial}, back to {}, for:\n\n", commit.short());
    text.extend(named.iter().map(|device| format!("  {device}\n")));
    let branch = git.run(&["rev-parse", "--abbrev-ref", "HEAD"])?;
    text.push_str(&format!(
        "\nNext:\n\n  git push --force-with-lease origin {branch}\n\nA device that has accepted what this branch does \
         not hold goes back with its next poll, once, if it\ntrusts this root already; the others take the commit as \
         any other.\n"
    ));
    Ok(text)
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
