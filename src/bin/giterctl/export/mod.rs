//! `giterctl export`: specs for devices that are reached by stick alone, and how far they were heard.
//!
//! ```text
//! select -> devices -> plan -> legs, bundles -> bundle --bytes--> stick
//! ```

mod bundle;
mod plan;
mod select;
mod stick;
mod view;

use std::{
    io::sink,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use giter_edge::{
    api::{DeviceId, Error, Exchange, Exit, Oid, Reason, Result, limits},
    cli::{self, Output},
    codec::{
        charter::Charter,
        stick::{Paper, write_ack},
    },
    reconcile::ports::Objects,
};
use indicatif::ProgressBar;

use self::{
    plan::{Bundle, From, Leg, Target},
    select::Select,
    stick::{Shared, Spot, Stick},
    view::{File, Report},
};
use crate::{
    charter,
    git::Git,
    objects::{GitObjects, Remembered, Snapshot},
    repository, statuses,
};

/// Writes specs for devices to a stick
#[derive(clap::Args)]
#[command(
    after_help = "A device gets what lies between the commit that its last status names and the tip; one that was never heard, \
    what it reads of the tip. Beside it lies how far the hub has heard the device. Files of others are left alone."
)]
pub(crate) struct Args {
    /// Where the stick is mounted
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// A device; may be given several times
    #[arg(value_name = "DEVICE", required_unless_present_any = ["all", "site"])]
    devices: Vec<DeviceId>,

    /// Every device of the exchange
    #[arg(long, conflicts_with_all = ["devices", "site"])]
    all: bool,

    /// Every device below this folder of specs
    #[arg(long, value_name = "SITE", conflicts_with = "devices")]
    site: Option<DeviceId>,

    /// They have this commit, whatever their statuses say
    #[arg(long, value_name = "REV", conflicts_with = "seed")]
    base: Option<String>,

    /// They have nothing, whatever their statuses say
    #[arg(long)]
    seed: bool,

    /// Whoever has nothing gets the whole history, which git can read too
    #[arg(long)]
    full: bool,

    /// Show what would be written
    #[arg(long)]
    dry_run: bool,

    /// The commit that devices are to have [default: HEAD, else the only branch]
    #[arg(long, value_name = "REV")]
    revision: Option<String>,

    /// The remote that statuses come to
    #[arg(long, value_name = "NAME", default_value = "origin")]
    remote: String,

    /// Ask no remote: take the statuses that were fetched
    #[arg(long)]
    offline: bool,

    /// The folder of the status refs
    #[arg(long, value_name = "REF", default_value = "refs/giter/status")]
    prefix: String,
}

impl Args {
    fn select(&self) -> Select<'_> {
        match (&self.site, self.all) {
            (Some(site), _) => Select::Site(site),
            (None, true) => Select::All,
            (None, false) => Select::Named(&self.devices),
        }
    }

    fn from(&self, git: &Git) -> Result<From> {
        Ok(match &self.base {
            Some(base) => From::Base(repository::commit_id(git, Some(base))?),
            None if self.seed => From::Nothing,
            None => From::Statuses,
        })
    }
}

/// Writes what the devices lack, and prints what that was.
pub(crate) fn run(args: Args, repo: &Path, output: Output) -> Result<Exit> {
    let git = Git::open(repo)?;
    let stick = Stick::at(&args.to)?;
    let prefix = args.prefix.trim_end_matches('/');
    // What was not fetched before is not fetched for show.
    if let Some(remote) = statuses::remote(&git, &args.remote, args.offline || args.dry_run)? {
        statuses::refresh(&git, remote, prefix)?;
    }
    let tip = repository::commit_id(&git, args.revision.as_deref())?;
    let there = Snapshot::at(&GitObjects::of(&git)?, tip)?;
    let (tree, exchange, folder) = (there.tree, there.exchange.as_ref(), there.folder());
    let target = Target { git: &git, tip, tree, branch: branch(&git, exchange)?, prefix };
    warn(&git, tip, exchange);
    if args.revision.is_none() {
        warn_of_another(&target, &args.remote)?;
    }
    let legs = plan::legs(&target, args.select().of(&git, &tip.to_string())?, args.from(&git)?)?;
    let others = stick.shared(folder, &target.branch).len();
    let bundles = plan::bundles(&legs, args.full, limits::STICK_BUNDLES.saturating_sub(others));
    let export = Export { target, stick, folder, legs, bundles, is_dry: args.dry_run };
    let files = export.write()?;
    let removed = export.finish(&files, args.all)?;
    let report = Report::of(&export, files, removed);
    report.print(output)?;
    report.exit()
}

/// Everything that goes to one stick.
struct Export<'a> {
    target: Target<'a>,
    stick: Stick,
    /// The name of the exchange's folder.
    folder: &'a str,
    legs: Vec<Leg>,
    bundles: Vec<Bundle>,
    is_dry: bool,
}

impl Export<'_> {
    /// Writes the bundles, as many at a time as there are processors; what became of each.
    fn write(&self) -> Result<Vec<File>> {
        // Shown on a terminal alone.
        let progress = ProgressBar::new(self.bundles.len() as u64);
        let (next, files) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || -> Result<()> {
            let objects = GitObjects::of(self.target.git)?;
            let objects = Remembered::of(&objects, limits::EXPORT_BYTES);
            while let Some(bundle) = self.bundles.get(next.fetch_add(1, Ordering::Relaxed)) {
                let file = self.write_one(bundle, &objects);
                files.lock().unwrap_or_else(PoisonError::into_inner).push(file);
                progress.inc(1);
            }
            Ok(())
        };
        let count = thread::available_parallelism().map_or(1, usize::from).min(self.bundles.len());
        thread::scope(|scope| {
            let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        progress.finish_and_clear();
        let mut files = files.into_inner().unwrap_or_else(PoisonError::into_inner);
        files.sort_by(|one: &File, other| one.legs.cmp(&other.legs));
        Ok(files)
    }

    fn write_one(&self, Bundle { content, legs }: &Bundle, objects: &dyn Objects) -> File {
        let of: Vec<&Leg> = legs.iter().map(|leg| &self.legs[*leg]).collect();
        let spot = match content.base().filter(|_| of.len() > 1) {
            Some(base) => Spot::shared(self.folder, Shared { tip: self.target.tip, base }.name()),
            None => Paper::Specs.place(self.folder, &of[0].device).into(),
        };
        let bytes = match self.is_dry {
            true => bundle::write(&self.target, objects, *content, &of, &mut sink()),
            false => self.stick.prepare(&spot, |into| bundle::write(&self.target, objects, *content, &of, into)),
        };
        File { content: *content, legs: legs.clone(), spot, bytes }
    }

    /// Writes how far each device was heard, and lets all of it count; the files that nobody needs any more, which are taken
    /// away. Where a bundle failed, nothing is.
    fn finish(&self, files: &[File], is_all: bool) -> Result<Vec<Spot>> {
        let mut stale = self.stale(files, is_all)?;
        if self.is_dry {
            stale.retain(|spot| self.stick.has(spot));
            return Ok(stale);
        }
        for leg in &self.legs {
            if let Some(status) = leg.heard {
                let spot = Paper::Ack.place(self.folder, &leg.device).into();
                self.stick.prepare(&spot, |into| {
                    let failed = |e| Error::io(Reason::StickFailed, "cannot write an acknowledgement", e);
                    into.write_all(write_ack(status).as_bytes()).map_err(failed)
                })?;
            }
        }
        self.stick.settle(stale)
    }

    /// The bundles of these devices that others take the place of, and those for several that do: from the same commit, or
    /// from whatever commit where all devices were looked after.
    fn stale(&self, files: &[File], is_all: bool) -> Result<Vec<Spot>> {
        let is_new = |spot: &Spot| files.iter().any(|file| file.spot == *spot);
        if files.iter().any(|file| file.bytes.is_err()) {
            return Ok(Vec::new());
        }
        let own = self.legs.iter().map(|leg| Spot::from(Paper::Specs.place(self.folder, &leg.device)));
        let mut stale: Vec<Spot> = own.filter(|spot| !is_new(spot)).collect();
        for (spot, Shared { tip, base }) in self.stick.shared(self.folder, &self.target.branch) {
            let is_replaced = || files.iter().any(|file| file.content.base() == Some(base));
            if is_new(&spot) || !(is_all || is_replaced()) {
                continue;
            }
            if self.target.git.leads(&tip.to_string(), &self.target.tip.to_string())? {
                stale.push(spot);
            }
        }
        Ok(stale)
    }
}

/// Says what devices would refuse, as far as it shows without one: a new one, whose root file names the charter's roots.
fn warn(git: &Git, tip: Oid, exchange: Option<&Exchange>) {
    let verdict = match exchange.filter(|exchange| !exchange.roots.is_empty()) {
        Some(exchange) => {
            Charter::of(exchange).and_then(|own| charter::start(git, tip, &own.roots, exchange).map(drop))
        }
        None => Ok(()),
    };
    if let Err(error) = verdict {
        cli::talk(format_args!(
            "warning: devices will refuse {}: {} [{}]",
            tip.short(),
            error.one_line(),
            error.reason()
        ));
    }
}

/// Says where the remote's branch, as it was fetched, is elsewhere: most want devices to have what is there.
fn warn_of_another(target: &Target<'_>, remote: &str) -> Result<()> {
    let name = target.branch.trim_start_matches("refs/heads/");
    let theirs = target.git.ask(&["rev-parse", "--verify", "--quiet", &format!("refs/remotes/{remote}/{name}")])?;
    if let Ok(theirs) = theirs
        && theirs != target.tip.to_string()
    {
        let tip = target.tip.short();
        cli::talk(format_args!(
            "warning: {name} is at {theirs:.12} at {remote}, and {tip} is exported; pull or push first"
        ));
    }
    Ok(())
}

/// The branch that devices follow: the charter's word, or else where HEAD is.
fn branch(git: &Git, exchange: Option<&Exchange>) -> Result<String> {
    match exchange {
        Some(exchange) => Ok(format!("refs/heads/{}", exchange.branch)),
        None => git
            .run(&["symbolic-ref", "HEAD"])
            .map_err(|error| error.hint("check the exchange's branch out, or let exchange.yaml name it")),
    }
}
