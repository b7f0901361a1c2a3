//! `giterctl trust`: who may sign what in an exchange, and how that changes.
//!
//! ```text
//! change    what a verb makes of the charter      publish       signed, proven, committed
//! draft     the charter as value and as text      list, export  what is there
//! edit      the text, byte for byte
//! ```

mod change;
mod draft;
mod edit;
mod export;
mod list;
mod publish;

use std::{path::Path, time::SystemTime};

use clap::{Subcommand, builder::NonEmptyStringValueParser};
use giter_edge::{
    api::{Exit, Result},
    cli::Output,
    codec::pattern::PathPattern,
};

pub(crate) use self::export::{people, principal};
use self::{
    change::Validity,
    publish::{Options, Site},
};
use crate::{keys::PublicLine, roots::Rotation};

/// Shows and changes who may sign what: the charter, exchange.yaml
#[derive(clap::Args)]
#[command(
    after_help = "A change is made in exchange.yaml, signed by a root, proven as a device would, and committed with a \
    signature; nothing is left half done. Keys are ssh-ed25519 or sk-ssh-ed25519: a file, '-' for stdin, or the line \
    itself in quotes. Every other byte of exchange.yaml stays as it is."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    List(list::Args),
    /// Adds a publisher or a root
    #[command(subcommand)]
    Add(Add),
    Revoke(Revoke),
    /// Puts a new key in the place of another
    #[command(subcommand)]
    Rotate(Rotate),
    Sign(Sign),
    Export(export::Args),
}

#[derive(Subcommand)]
enum Add {
    Publisher(AddPublisher),
    Root(AddRoot),
}

/// Lets somebody sign commits
#[derive(clap::Args)]
struct AddPublisher {
    /// Who it is, such as ops@plant-7
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    principal: String,

    /// The public key
    #[arg(value_name = "KEY")]
    key: String,

    /// What he may change, such as 'specs/site-a/**'; may be given several times [default: everything but the charter]
    #[arg(long = "path", value_name = "PATTERN", value_parser = pattern)]
    paths: Vec<String>,

    #[command(flatten)]
    validity: Validity,

    #[command(flatten)]
    options: Options,
}

/// Lets somebody sign charters and every commit
#[derive(clap::Args)]
struct AddRoot {
    /// The public key; its comment is the root's name
    #[arg(value_name = "KEY")]
    key: String,

    #[command(flatten)]
    options: Options,
}

/// Takes a publisher or a root off the charter
#[derive(clap::Args)]
#[command(
    after_help = "A name takes off all keys of that publisher. A fingerprint takes off that key, whatever it may do."
)]
struct Revoke {
    /// A name or SHA256:... as giterctl trust list shows them
    #[arg(value_name = "NAME|FINGERPRINT")]
    named: String,

    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Rotate {
    Publisher(RotatePublisher),
    Root(RotateRoot),
}

/// Gives a publisher a new key, with the same paths
#[derive(clap::Args)]
struct RotatePublisher {
    /// A name or SHA256:... as giterctl trust list shows them
    #[arg(value_name = "NAME|FINGERPRINT")]
    named: String,

    /// The new public key
    #[arg(value_name = "KEY")]
    key: String,

    /// Let the old key count, too, until this day or second [default: it goes at once]
    #[arg(long, value_name = "TIME", value_parser = change::time)]
    overlap_until: Option<String>,

    /// The first day or second on which the new key counts no more
    #[arg(long, value_name = "TIME", value_parser = change::time)]
    valid_before: Option<String>,

    #[command(flatten)]
    options: Options,
}

/// Puts a new root in the place of another
#[derive(clap::Args)]
#[command(
    after_help = "A root of the present charter signs, so that devices follow; where the new root's private key is here, \
    he signs, too, so that new devices start with his root file and with the old one."
)]
struct RotateRoot {
    /// A name or SHA256:... as giterctl trust list shows them
    #[arg(value_name = "NAME|FINGERPRINT")]
    named: String,

    /// The new key; its comment is the root's name
    #[arg(value_name = "KEY")]
    key: String,

    /// Let the old root sign even where another one does, so that new devices start with a root file of his alone
    #[arg(long)]
    keep_signature: bool,

    #[command(flatten)]
    options: Options,
}

/// Signs exchange.yaml as it lies in the working tree, and commits it
#[derive(clap::Args)]
#[command(
    after_help = "The serial is raised where that was forgotten. Signatures by other keys stay as far as they are good: \
    so roots can sign one after the other, with --no-commit all but the last."
)]
struct Sign {
    #[command(flatten)]
    options: Options,
}

/// Carries out a verb.
pub(crate) fn run(args: Args, repo: &Path, output: Output) -> Result<Exit> {
    match args.verb {
        Verb::List(args) => list::run(args, repo, output),
        Verb::Export(args) => export::run(args, repo),
        Verb::Add(Add::Publisher(AddPublisher { principal, key, paths, validity, options })) => {
            let key = PublicLine::given(&key)?;
            Site::at(repo)?
                .change(&options, None, |draft| change::add_publisher(draft, &principal, &key, &paths, &validity))
        }
        Verb::Add(Add::Root(AddRoot { key, options })) => {
            let key = PublicLine::given(&key)?;
            Site::at(repo)?.change(&options, None, |draft| change::add_root(draft, &key))
        }
        Verb::Revoke(Revoke { named, options }) => {
            Site::at(repo)?.change(&options, None, |draft| change::revoke(draft, &named))
        }
        Verb::Rotate(Rotate::Publisher(RotatePublisher { named, key, overlap_until, valid_before, options })) => {
            let (key, overlap_until, valid_before) =
                (PublicLine::given(&key)?, overlap_until.as_deref(), valid_before.as_deref());
            Site::at(repo)?.change(&options, None, |draft| {
                change::rotate_publisher(draft, &named, &key, overlap_until, valid_before, now())
            })
        }
        Verb::Rotate(Rotate::Root(RotateRoot { named, key: new, keep_signature, options })) => {
            let (site, key) = (Site::at(repo)?, PublicLine::given(&new)?);
            let old = change::root(site.exchange(), &named)?.key.key;
            let rotation = Rotation { new, new_key: key.key, old, keep_signature };
            site.change(&options, Some(&rotation), |draft| change::rotate_root(draft, &named, &key))
        }
        Verb::Sign(Sign { options }) => Site::at(repo)?.sign(&options),
    }
}

fn pattern(text: &str) -> Result<String, String> {
    PathPattern::new(text).map(|_| text.to_owned()).map_err(|wrong| wrong.to_string())
}

/// The seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
