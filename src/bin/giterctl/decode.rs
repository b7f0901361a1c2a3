//! `giterctl decode`: a device's status as text, for people and as git's textconv.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use giter_edge::{
    api::{Error, Exit, Reason, Result},
    cli::{self, Output},
    codec::status::{self, StatusView},
};

use crate::statusfile;

/// Shows a status file as YAML
#[derive(clap::Args)]
#[command(
    after_help = "As git's textconv it makes `git log -p` on a status ref readable: `giterctl init` sets `git config \
    diff.giter-status.textconv 'giterctl decode'`, and the line `status.postcard diff=giter-status` in .gitattributes."
)]
pub(crate) struct Args {
    /// A status.postcard or status.yaml [default: stdin]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Prints the status. What is YAML already passes as it is.
pub(crate) fn run(args: Args, output: Output) -> Result<Exit> {
    let (name, bytes) = read(args.file)?;
    let status = statusfile::read(&name, &bytes)?;
    cli::print(match output {
        Output::Json => cli::json(&StatusView::from(&status))?,
        Output::Name => format!("Device/{}\n", status.device),
        _ if statusfile::is_yaml(&bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => status::to_yaml(&status)?,
    })?;
    Ok(Exit::Done)
}

fn read(file: Option<PathBuf>) -> Result<(String, Vec<u8>)> {
    let name = file.as_ref().map_or("stdin".into(), |file| file.display().to_string());
    let source: io::Result<Box<dyn Read>> = match file {
        Some(file) => File::open(file).map(|file| Box::new(file) as _),
        None => Ok(Box::new(io::stdin())),
    };
    let mut bytes = Vec::new();
    source
        .and_then(|source| source.take(statusfile::BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| Error::new(Reason::Usage, format!("cannot read {name}")).caused_by(e))?;
    Ok((name, bytes))
}
