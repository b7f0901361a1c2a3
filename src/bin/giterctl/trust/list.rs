//! `giterctl trust list`: who may sign what, and whether a root says so.

use std::path::Path;

use giter_edge::{
    api::{Exit, Result},
    cli::{self, Output},
    codec::{
        calendar::Utc,
        charter::{PATH, SIGNATURE_PATH},
        signers::{Distrust, Signer},
        sshsig, yaml,
    },
};
use serde::Serialize;

use crate::{
    charter::{Papers, Signature},
    git::Git,
    repository,
};

/// Lists roots and publishers, and who signed the charter
#[derive(clap::Args)]
#[command(after_help = "The exit code is 1 where no root signed the charter.")]
pub(super) struct Args {
    /// The commit or branch with the charter [default: HEAD, else the only branch]
    #[arg(long, value_name = "REV")]
    revision: Option<String>,
}

pub(super) fn run(args: Args, repo: &Path, output: Output) -> Result<Exit> {
    let git = Git::open(repo)?;
    let papers = Papers::read(&git, &repository::commit(&git, args.revision.as_deref())?)?;
    let (report, signed) = (Report::of(&papers), papers.check_signed());
    if args.revision.is_none() && is_changed(&git)? {
        cli::talk(format_args!("{PATH} was changed in the working tree; this is what is committed"));
    }
    cli::print(match output {
        Output::Table => report.table() + &report.charter(),
        Output::Wide => report.wide() + &report.charter(),
        Output::Name => report.keys.iter().map(|key| format!("{}/{}\n", key.role.kind(), key.name)).collect(),
        Output::Yaml => yaml::to_string(&report)?,
        Output::Json => cli::json(&report)?,
    })?;
    signed.map(|()| Exit::Done)
}

/// Whether the working tree, if there is one, has another charter than HEAD.
fn is_changed(git: &Git) -> Result<bool> {
    let files = [PATH, SIGNATURE_PATH].map(|path| format!(":(top){path}"));
    let status = git.ask(&["status", "--porcelain", "--", &files[0], &files[1]])?;
    Ok(status.is_ok_and(|status| !status.is_empty()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    version: u32,
    exchange: String,
    id: String,
    serial: u64,
    branch: String,
    commit: String,
    /// When the states are.
    date: String,
    /// Whether a root signed it.
    signed: bool,
    signatures: Vec<By>,
    keys: Vec<Key>,
}

/// Who made a signature over the charter.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct By {
    /// The root's name; none where it is no root.
    root: Option<String>,
    fingerprint: Option<String>,
    /// Whether he is a root of the charter before, and not of this one.
    former: bool,
    /// Why it proves nothing.
    wrong: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    role: Role,
    name: String,
    fingerprint: String,
    #[serde(rename = "type")]
    kind: &'static str,
    paths: Vec<String>,
    valid_after: Option<String>,
    valid_before: Option<String>,
    state: State,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Root,
    Publisher,
}

/// What the key is worth at the commit's date.
#[derive(Clone, Copy, Debug, Serialize)]
enum State {
    Valid,
    NotYet,
    Expired,
}

impl Role {
    fn kind(self) -> &'static str {
        match self {
            Self::Root => "Root",
            Self::Publisher => "Publisher",
        }
    }
}

impl Report {
    fn of(papers: &Papers) -> Self {
        let charter = papers.charter.as_ref();
        let roots = charter.into_iter().flat_map(|charter| charter.roots.signers());
        let roots = roots.map(|root| Key::of(Role::Root, root, Vec::new(), papers.date));
        let publishers = charter.into_iter().flat_map(|charter| &charter.publishers);
        let publishers = publishers.map(|publisher| {
            let paths = publisher.paths.iter().map(ToString::to_string).collect();
            Key::of(Role::Publisher, &publisher.signer, paths, papers.date)
        });
        let exchange = &papers.exchange;
        Self {
            version: 1,
            exchange: exchange.name.to_string(),
            id: exchange.id.to_string(),
            serial: exchange.serial,
            branch: exchange.branch.to_string(),
            commit: papers.commit.to_string(),
            date: Utc::of_seconds(papers.date).to_string(),
            signed: papers.check_signed().is_ok(),
            signatures: papers.signed_by().into_iter().map(By::from).collect(),
            keys: roots.chain(publishers).collect(),
        }
    }

    fn table(&self) -> String {
        let cells = |key: &Key| {
            [
                key.role.kind().to_owned(),
                key.name.clone(),
                key.fingerprint.clone(),
                key.shown_paths(),
                format!("{:?}", key.state),
            ]
        };
        cli::table(["ROLE", "NAME", "FINGERPRINT", "PATHS", "STATE"], &self.keys.iter().map(cells).collect::<Vec<_>>())
    }

    fn wide(&self) -> String {
        let cells = |key: &Key| {
            [
                key.role.kind().to_owned(),
                key.name.clone(),
                key.fingerprint.clone(),
                key.shown_paths(),
                format!("{:?}", key.state),
                key.valid_after.clone().unwrap_or_default(),
                key.valid_before.clone().unwrap_or_default(),
                key.kind.to_owned(),
            ]
        };
        let headers = ["ROLE", "NAME", "FINGERPRINT", "PATHS", "STATE", "VALID-AFTER", "VALID-BEFORE", "TYPE"];
        cli::table(headers, &self.keys.iter().map(cells).collect::<Vec<_>>())
    }

    /// The charter itself, in a line, and a line for each signature.
    fn charter(&self) -> String {
        let Self { exchange, serial, commit, date, .. } = self;
        let mut text = format!("\n{PATH} of {exchange}: serial {serial}, commit {commit:.12} of {date}\n");
        for By { root, fingerprint, former, wrong } in &self.signatures {
            let by = fingerprint.as_deref().unwrap_or_default();
            text += &match (root, wrong) {
                (Some(root), _) if *former => format!("signed by {root} {by}, a root of the charter before\n"),
                (Some(root), _) => format!("signed by {root} {by}\n"),
                (None, None) => format!("signed by {by}, which is no root\n"),
                (None, Some(wrong)) => format!("a signature proves nothing: {wrong}\n"),
            };
        }
        text
    }
}

impl From<Signature> for By {
    fn from(Signature { key, root, is_own }: Signature) -> Self {
        let former = root.is_some() && !is_own;
        let fingerprint = key.as_ref().ok().map(|key| key.fingerprint());
        Self { root, fingerprint, former, wrong: key.err().map(|error| error.to_string()) }
    }
}

impl Key {
    fn of(role: Role, signer: &Signer, paths: Vec<String>, at: i64) -> Self {
        let state = match signer.distrust(sshsig::GIT, at) {
            Some(Distrust::NotYet(_)) => State::NotYet,
            Some(_) => State::Expired,
            None => State::Valid,
        };
        let time = |seconds: Option<i64>| seconds.map(|seconds| Utc::of_seconds(seconds).to_string());
        Self {
            role,
            name: signer.principals.to_string(),
            fingerprint: signer.key.fingerprint(),
            kind: signer.key.holder().type_name(),
            paths,
            valid_after: time(signer.valid_after),
            // A signer's is the last second, the charter's the first one after it.
            valid_before: time(signer.valid_before.map(|last| last + 1)),
            state,
        }
    }

    fn shown_paths(&self) -> String {
        match self.role {
            Role::Publisher if !self.paths.is_empty() => self.paths.join(","),
            Role::Publisher => "all but the charter".into(),
            Role::Root => "all".into(),
        }
    }
}
