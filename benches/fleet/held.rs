//! What a connection costs the hub that is held and says nothing.

use std::{
    io::Read,
    process::{Child, Stdio},
};

use crate::{
    Result,
    command::program,
    exchange::Exchange,
    hub::{Hub, Sshd},
    process,
};

/// Connections that are held at once.
const HELD: u64 = 20;

/// The memory of an idle session with an upload-pack that waits for the next command, in bytes.
pub(crate) fn memory(hub: &Hub, sshd: &Sshd, exchange: &Exchange) -> Result<u64> {
    let before = sshd.memory()?;
    let held = (0..HELD).map(|_| Held::open(hub, exchange)).collect::<Result<Vec<_>>>()?;
    let grown = sshd.memory()?.saturating_sub(before);
    drop(held);
    Ok(grown / HELD)
}

/// A git-upload-pack of protocol version 2 at the other end of an ssh.
struct Held(Child);

impl Held {
    /// Waits for the server's advertisement.
    fn open(hub: &Hub, exchange: &Exchange) -> Result<Self> {
        let mut ssh = program("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-p", &hub.port().to_string()]);
        ssh.arg("-o").arg(format!("UserKnownHostsFile={}", hub.known_hosts().display()));
        ssh.arg("-i").arg(exchange.key()).arg(format!("{}@127.0.0.1", process::user()));
        ssh.arg(format!("GIT_PROTOCOL=version=2 git-upload-pack '{}'", hub.repository().display()));
        let mut held = Self(ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        let mut greeting = [0; 14];
        held.0.stdout.as_mut().ok_or("ssh has no stdout")?.read_exact(&mut greeting)?;
        if greeting != *b"000eversion 2\n" { Err("the hub does not speak version 2".into()) } else { Ok(held) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        process::end(self.0.id());
        // It has been told to end, and there is nobody left to tell.
        let _ = self.0.wait();
    }
}
