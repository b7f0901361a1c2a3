//! Running the programs that the measurements need, each in an environment that the machine's owner did not shape.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output},
};

use crate::Result;

/// A program that sees no configuration of git's and no language (which ssh would send along).
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|name| ["GIT", "LANG", "LC_"].iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(variable);
        }
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

/// Runs `git` in a folder and returns what it prints, without the last newline.
pub(crate) fn git<S: AsRef<OsStr>>(dir: &Path, arguments: impl IntoIterator<Item = S>) -> Result<String> {
    let output = run(program("git").arg("-C").arg(dir).args(arguments))?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Makes an ed25519 key without a passphrase at `path`, and returns the public key's type and base64.
pub(crate) fn ssh_keygen(path: &Path) -> Result<String> {
    run(program("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(path))?;
    Ok(std::fs::read_to_string(format!("{}.pub", path.display()))?.trim_end().to_owned())
}

/// Runs a program to its end; anything but success is an error with its last words.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} {}: {}\n{}", arguments.join(" "), output.status, words.trim_end()).into())
}
