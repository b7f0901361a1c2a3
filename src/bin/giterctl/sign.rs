//! Signatures over files, by the program that git signs with: `ssh-keygen -Y sign`, or what `gpg.ssh.program` names.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use giter_edge::{
    api::{Error, Reason, Result},
    cli,
    codec::{
        pubkey::{Holder, PublicKey},
        sshsig,
    },
};

use crate::{
    git::{Git, last_words},
    keys::SigningKey,
};

/// The armoured signature of a file's bytes, in a namespace. It is proven before it is returned.
///
/// # Errors
///
/// `BadKeyFile` if the key does not sign.
pub(crate) fn sign(git: &Git, key: &SigningKey, namespace: &str, name: &str, bytes: &[u8]) -> Result<String> {
    announce(&key.public.key, name);
    let failed = |cause: String| cannot_sign(key, name).caused_by(cause);
    let folder =
        tempfile::tempdir().map_err(|e| Error::io(Reason::StateFailed, "cannot make a temporary folder", e))?;
    let file = folder.path().join(name);
    fs::write(&file, bytes).map_err(|e| Error::io(Reason::StateFailed, format!("cannot write {name}"), e))?;

    let program = git.ask(&["config", "--type=path", "gpg.ssh.program"])?.unwrap_or_else(|_| "ssh-keygen".into());
    let mut command = Command::new(&program);
    command.args(["-Y", "sign", "-n", namespace, "-f"]).stdin(Stdio::null());
    match key.literal() {
        // As git does: the public half in a file, the private one in the agent.
        Some(literal) => {
            let public = folder.path().join("key.pub");
            fs::write(&public, literal).map_err(|e| Error::io(Reason::StateFailed, "cannot write a key", e))?;
            command.arg(public).arg("-U")
        }
        None => command.arg(Path::new(&key.setting)),
    };
    let output = command.arg(&file).output().map_err(|e| failed(format!("cannot start {program}: {e}")))?;
    let armour = fs::read_to_string(folder.path().join(format!("{name}.sig")));
    let armour = match armour {
        Ok(armour) if output.status.success() => armour,
        _ => return Err(failed(last_words(&output.stderr))),
    };
    match sshsig::verify(armour.as_bytes(), namespace, bytes) {
        Ok(by) if by == key.public.key => Ok(armour),
        Ok(by) => Err(failed(format!("it signed with {by}"))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// A key in hardware waits for a touch, and what ssh-keygen says of that does not get through git.
pub(crate) fn announce(key: &PublicKey, what: &str) {
    if key.holder() == Holder::Authenticator {
        cli::talk(format_args!("Touch the authenticator of {key} to sign {what}."));
    }
}

/// The error of a key that does not sign.
pub(crate) fn cannot_sign(key: &SigningKey, what: &str) -> Error {
    let hint =
        format!("see that ssh-keygen can sign with {}: its private half beside it, or in ssh-agent", key.setting);
    Error::new(Reason::BadKeyFile, format!("cannot sign {what} with {}", key.public.key)).hint(hint)
}
