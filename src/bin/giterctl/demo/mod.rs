//! `giterctl demo`: the whole story on this machine, with nothing installed but git.
//!
//! Every step is carried out by the programs themselves and proven by what they leave: exit codes, registers, files,
//! refs. One that is not as told ends the demo with its name.

mod stage;
mod story;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use giter_edge::{
    api::{Error, Exit, Reason, Result},
    cli,
};

use self::stage::Stage;

/// Plays the whole story in a temporary folder, and proves it
#[derive(clap::Args)]
#[command(
    after_help = "A publisher makes an exchange, a device on a simulated board follows it, a pin is moved behind the \
    agent's back, and a change that nobody signed is refused. The demo fails if anything is not as told."
)]
pub(crate) struct Args {
    /// Play in this folder, which must be empty or absent, and leave everything there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Wait for the return key after each step
    #[arg(long)]
    pause: bool,
}

/// Plays the story.
pub(crate) fn run(args: Args) -> Result<Exit> {
    let programs = programs()?;
    let (dir, temporary) = folder(args.keep.as_deref())?;
    cli::print(format_args!("The whole story of giter-edge, in {}\n", dir.display()))?;
    let mut stage = Stage::new(&dir, &programs, args.pause, anstream::stdout())?;
    story::play(&mut stage)?;
    let left = match temporary {
        Some(_) => "Nothing is left behind; --keep DIR leaves it.".into(),
        None => format!("Everything is left in {}.", dir.display()),
    };
    cli::print(format_args!("\nAll {} claims are proven. {left}\n", stage.proven()))?;
    Ok(Exit::Done)
}

/// The folder that both programs were built into.
fn programs() -> Result<PathBuf> {
    let own = env::current_exe().and_then(fs::canonicalize);
    let own = own.map_err(|e| Error::new(Reason::Bug, "this program cannot be found").caused_by(e))?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    for program in ["giterd", "giterctl"] {
        if !folder.join(program).is_file() {
            return Err(Error::new(Reason::Usage, format!("there is no {program} in {}", folder.display()))
                .hint("build both programs: cargo build"));
        }
    }
    Ok(folder.into())
}

/// The folder to play in, and what removes it at the end where it is nobody's.
fn folder(keep: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    let Some(dir) = keep else {
        let dir = tempfile::Builder::new().prefix("giter-demo-").tempdir();
        let dir = dir.map_err(|e| Error::io(Reason::Usage, "cannot make a temporary folder", e))?;
        return Ok((dir.path().into(), Some(dir)));
    };
    let failed = |e| Error::io(Reason::Usage, format!("cannot play in {}", dir.display()), e);
    fs::create_dir_all(dir).map_err(failed)?;
    if fs::read_dir(dir).map_err(failed)?.next().is_some() {
        return Err(Error::new(Reason::Usage, format!("{} is not empty", dir.display())).hint("name a new folder"));
    }
    Ok((fs::canonicalize(dir).map_err(failed)?, None))
}
