//! `giterctl hook install`: the hook, and the settings of git that belong to it.

use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Error, Exit, Reason, Result, limits},
    cli,
    codec::{enrolment, signers::Keyring},
};

use super::hub::{ROOT_KEYS, STATUS_PREFIX, STATUSES};
use crate::git::Git;

/// Installs the hook into a bare repository
#[derive(clap::Args)]
#[command(
    after_help = "Does nothing twice: run it again after giterctl has moved, or to give the hub another root file."
)]
pub(crate) struct Args {
    /// The repository [default: that of -C]
    #[arg(value_name = "REPO")]
    repo: Option<PathBuf>,

    /// Replace a pre-receive hook that is not giterctl's
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    options: Options,
}

/// What of a hub can be chosen.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The devices' root file (allowed_signers), for a hub whose charter no root has signed yet
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,

    /// The folder of the status refs
    #[arg(long, value_name = "REF", default_value = STATUSES)]
    status_prefix: String,
}

impl Options {
    /// The usual ones, with a root file or without.
    pub(crate) fn with_root(root: Option<PathBuf>) -> Self {
        Self { root, status_prefix: STATUSES.into() }
    }
}

/// Installs the hook, and says what was done.
pub(super) fn run(args: Args, repo: &Path) -> Result<Exit> {
    let repo = args.repo.as_deref().unwrap_or(repo);
    cli::print(install(repo, &args.options, args.force)?)?;
    Ok(Exit::Done)
}

/// Installs the hook into a bare repository; what was done, in lines.
///
/// # Errors
///
/// `RepositoryNotFound`, `RepositoryUnsupported`; `Usage` if another hook is there; `BadSigners`; `BadConfig` if git would
/// not run the hook; `FileFailed`.
pub(crate) fn install(repo: &Path, options: &Options, force: bool) -> Result<String> {
    let git = Git::open(repo)?;
    check_repository(&git, repo)?;
    check_prefix(&git, &options.status_prefix)?;
    let roots = options.root.as_deref().map(read_roots).transpose()?;
    let hook = repo.join("hooks/pre-receive");
    check_free(&hook, force)?;
    let mut lines = Vec::new();
    if let Some(roots) = roots {
        write(&repo.join(ROOT_KEYS), &roots, 0o644)?;
        lines.push(format!("{ROOT_KEYS}: the keys that count until a root has signed the charter"));
    }
    for (name, value) in settings(options) {
        git.run(&["config", name, &value])?;
        lines.push(format!("{name} = {value}"));
    }
    if let Some(branch) = lead_to_only_branch(&git)? {
        lines.push(format!("HEAD: {branch}, the branch of the specs"));
    }
    write(&hook, script(&program()?).as_bytes(), 0o755)?;
    lines.push("hooks/pre-receive: judges every push".into());
    if !repo.join(ROOT_KEYS).exists() {
        lines
            .push("no root file: a first push needs one, unless the charter is signed and in force; see --root".into());
    }
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    Ok(format!("Installed in {}:\n\n{lines}", repo.display()))
}

/// What git itself sees to.
fn settings(options: &Options) -> [(&'static str, String); 6] {
    [
        ("receive.fsckObjects", "true".into()),
        ("receive.maxInputSize", limits::PUSH_BYTES.to_string()),
        ("receive.shallowUpdate", "false".into()),
        ("core.logAllRefUpdates", "always".into()),
        ("uploadpack.allowFilter", "true".into()),
        (STATUS_PREFIX, options.status_prefix.trim_end_matches('/').into()),
    ]
}

fn check_repository(git: &Git, repo: &Path) -> Result<()> {
    let unsupported = |what: &str, hint: &str| {
        Err(Error::new(Reason::RepositoryUnsupported, format!("{} {what}", repo.display())).hint(hint))
    };
    if git.run(&["rev-parse", "--is-bare-repository"])? != "true" {
        return unsupported("is not a bare repository", "make one with: giterctl init --hub DIR");
    }
    if git.run(&["rev-parse", "--git-dir"])? != "." {
        return unsupported("is a folder in a repository", "name the repository itself");
    }
    if git.ask(&["config", "extensions.objectFormat"])?.is_ok_and(|format| format != "sha1") {
        return unsupported(
            "does not have SHA-1 objects",
            "devices read no others; make one with: giterctl init --hub DIR",
        );
    }
    if let Ok(elsewhere) = git.ask(&["config", "core.hooksPath"])? {
        let what = format!("git looks for hooks in {elsewhere}, by core.hooksPath, and not in the repository");
        return Err(Error::new(Reason::BadConfig, what)
            .hint("let the repository have its own: git config core.hooksPath is to be unset for the hub's user"));
    }
    Ok(())
}

fn check_prefix(git: &Git, prefix: &str) -> Result<()> {
    let folder = prefix.trim_end_matches('/');
    let is_taken = ["refs/heads", "refs/tags", enrolment::REFS].contains(&folder);
    let is_ref = folder.starts_with("refs/") && git.ask(&["check-ref-format", &format!("{folder}/device")])?.is_ok();
    if is_ref && !is_taken {
        return Ok(());
    }
    Err(Error::new(Reason::Usage, format!("{prefix:?} is no folder of refs for statuses"))
        .hint(format!("such as {STATUSES}")))
}

fn read_roots(file: &Path) -> Result<Vec<u8>> {
    let name = file.display().to_string();
    let unread = |e| Error::new(Reason::BadSigners, format!("cannot read {name}")).caused_by(e);
    let bytes = fs::read(file).map_err(unread)?;
    if Keyring::parse(&name, &bytes)?.signers().is_empty() {
        return Err(Error::new(Reason::BadSigners, format!("{name} has no key"))
            .hint("it is the root.keys of giterctl init, which devices have too"));
    }
    Ok(bytes)
}

/// Where HEAD names a branch that is not there and there is one other, that one is meant.
fn lead_to_only_branch(git: &Git) -> Result<Option<String>> {
    let head = git.run(&["symbolic-ref", "HEAD"])?;
    let branches = git.run(&["for-each-ref", "--format=%(refname)", "refs/heads"])?;
    match branches.lines().collect::<Vec<_>>()[..] {
        [only] if only != head => {
            git.run(&["symbolic-ref", "HEAD", only])?;
            Ok(Some(only.into()))
        }
        _ => Ok(None),
    }
}

/// The second line of the hook, by which it is known again.
const MARK: &str = "# Written by 'giterctl hook install', which may write it again.";

fn check_free(hook: &Path, force: bool) -> Result<()> {
    let there = match fs::read(hook) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|e| failed(hook, e))?,
    };
    if force || there.split(|byte| *byte == b'\n').any(|line| line == MARK.as_bytes()) {
        return Ok(());
    }
    Err(Error::new(Reason::Usage, format!("{} is another hook", hook.display()))
        .hint("--force replaces it; to keep it, rename it and call it from a hook of your own that also runs 'giterctl hook pre-receive'"))
}

/// This program, by a path that stays.
fn program() -> Result<PathBuf> {
    env::current_exe().map_err(|e| Error::new(Reason::Bug, "cannot tell where giterctl is").caused_by(e))
}

/// A hook that lets nothing in where giterctl is gone.
fn script(program: &Path) -> String {
    let program = program.display().to_string().replace('\'', r"'\''");
    format!(
        "#!/bin/sh\n{MARK}\n\
         giterctl='{program}'\n\
         if [ ! -x \"$giterctl\" ]; then\n\
         \techo \"error: the hub cannot judge this push: $giterctl is gone\" >&2\n\
         \techo 'hint: on the hub, install giterctl and run: giterctl hook install --force REPOSITORY' >&2\n\
         \texit 2\n\
         fi\n\
         exec \"$giterctl\" hook pre-receive\n"
    )
}

/// Replaces a file whole, and makes the folder above it.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let replace = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    replace().map_err(|e| failed(path, e))
}

fn failed(path: &Path, e: io::Error) -> Error {
    Error::io(Reason::FileFailed, format!("cannot write {}", path.display()), e)
}
