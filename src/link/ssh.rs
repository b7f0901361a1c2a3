//! The way to a hub through the system's `ssh`.
//!
//! ssh's own configuration counts, except where trust is concerned: host keys are never accepted or learned, nothing is
//! asked of anybody, nothing is forwarded. Host aliases, proxies and algorithms are the operator's.
//!
//! The first `ssh`, which runs `git-upload-pack`, is a master (ssh_config(5), ControlMaster): the programs beside it go over
//! its connection, and it outlives none of them. Where there is no place for its socket, or the program is dropbear's
//! `dbclient`, each program has a connection of its own.

mod command;
mod sockets;

use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use self::{
    command::{Share, command},
    sockets::Sockets,
};
use super::{
    cancel::Cancel,
    child::Child,
    diagnosis,
    patience::Patience,
    remote::{Manner, Remote},
    stream::{Connector, Deadline, Service, Stream, Version2},
    url::SshUrl,
};
use crate::{
    api::{Error, Reason, Result, ledger::HubTraits},
    codec::config::Algorithms,
};

/// The link to a git hub through the system's `ssh`.
pub type SshLink = Remote<SystemSsh>;

/// What a link through ssh needs to know.
#[derive(Clone, Debug)]
pub struct SshConfig {
    /// Where the repository is.
    pub url: SshUrl,
    /// The branch's short name.
    pub branch: String,
    /// The full name of the device's status ref.
    pub status_ref: String,
    /// The private key; ssh's own choice where there is none.
    pub identity: Option<PathBuf>,
    /// The only file that host keys are looked up in; ssh's own choice where there is none.
    pub known_hosts: Option<PathBuf>,
    /// The ssh program: a path, or a name to look up in `PATH`.
    pub program: PathBuf,
    /// What is offered to the hub's SSH server.
    pub algorithms: Algorithms,
    /// The folder in which connections are shared; `None` for each program at the hub having its own.
    pub sockets: Option<PathBuf>,
    /// How the hub is spoken with.
    pub manner: Manner,
    /// What was learned about the hub before: [`HubTraits::protocol_in_command`].
    pub protocol_in_command: bool,
}

impl SshLink {
    /// A link that nothing was said on yet.
    ///
    /// # Errors
    ///
    /// `BadConfig` if the program cannot be told what the configuration says.
    pub fn open(config: SshConfig, cancel: Cancel) -> Result<Self> {
        command(&config, Service::UploadPack, Version2::Unsaid, Share::Alone)?;
        let traits = HubTraits { protocol_in_command: config.protocol_in_command };
        let (branch, status_ref, manner) = (config.branch.clone(), config.status_ref.clone(), config.manner);
        let sockets = config.sockets.as_deref().and_then(Sockets::open);
        Ok(Self::over(SystemSsh { config, cancel, sockets }, &branch, &status_ref, manner, traits))
    }
}

/// Makes connections by running `ssh`.
pub struct SystemSsh {
    config: SshConfig,
    cancel: Cancel,
    sockets: Option<Sockets>,
}

impl Connector for SystemSsh {
    type Stream = SshStream;

    fn connect(&mut self, service: Service, version: Version2) -> Result<SshStream> {
        if let Some(key) = &self.config.identity {
            // ssh would go on without it, and then say that the hub refused.
            check_identity(key)?;
        }
        let share = match (&mut self.sockets, service) {
            (Some(sockets), Service::UploadPack) => Share::Master(sockets.renew()),
            (Some(sockets), _) => Share::Over(sockets.current()),
            (None, _) => Share::Alone,
        };
        let program = &self.config.program;
        let Manner { silence, exchange, .. } = self.config.manner;
        let mut command = command(&self.config, service, version, share)?;
        match Child::spawn(&mut command, Patience::new(silence, exchange), self.cancel.clone()) {
            Ok(child) => {
                let SshConfig { url, known_hosts, .. } = &self.config;
                let (url, known_hosts) = (url.clone(), known_hosts.clone());
                Ok(SshStream { child, url, known_hosts, is_dropbear: command::is_dropbear(program) })
            }
            Err(error) => Err(Error::new(Reason::SshNotFound, format!("cannot run {}", program.display()))
                .caused_by(error)
                .hint("install the OpenSSH client, for example `apt-get install openssh-client`")),
        }
    }

    fn has_room(&self) -> bool {
        true
    }

    fn hang_up(&mut self) {}
}

/// Whether ssh will take a private key: it is there, and if it is this user's, nobody else's too.
///
/// # Errors
///
/// `BadKeyFile`.
pub fn check_identity(key: &Path) -> Result<()> {
    let name = key.display();
    let found = std::fs::metadata(key).map_err(|e| {
        Error::new(Reason::BadKeyFile, format!("cannot read the SSH key {name}"))
            .caused_by(e)
            .hint("set `link.identity` to an OpenSSH private key")
    })?;
    let mode = found.mode() & 0o7777;
    if found.uid() == rustix::process::getuid().as_raw() && mode & 0o077 != 0 {
        return Err(Error::new(
            Reason::BadKeyFile,
            format!("the SSH key {name} can be read by others (mode {mode:04o})"),
        )
        .hint(format!("chmod 600 {name}")));
    }
    Ok(())
}

/// A running ssh.
pub struct SshStream {
    child: Child,
    url: SshUrl,
    known_hosts: Option<PathBuf>,
    is_dropbear: bool,
}

impl Read for SshStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.child.read(buffer)
    }
}

impl Write for SshStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.child.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.child.flush()
    }
}

impl Stream for SshStream {
    fn begin(&mut self, silence: Duration, visit: Option<Deadline>) {
        self.child.begin(silence, visit);
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        self.child.descriptor()
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.child.try_read(buffer)
    }

    fn close(self) {
        self.child.finish();
    }

    fn explain(self, error: Error) -> Error {
        // Only dropbear's client says something and then waits.
        let is_waiting = self.is_dropbear && error.reason() == Reason::HubTimeout;
        if !diagnosis::is_open(&error) && !is_waiting {
            return error;
        }
        diagnosis::explain(error, &self.child.finish(), &self.url, self.known_hosts.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_program_and_a_missing_key_have_their_reasons() {
        let mut config = command::tests::config("hub:x");
        config.program = "/nonexistent/ssh".into();
        let mut ssh = SystemSsh { config, cancel: Cancel::new().unwrap(), sockets: None };
        let reason = |ssh: &mut SystemSsh| ssh.connect(Service::UploadPack, Version2::Unsaid).err().map(|e| e.reason());
        assert_eq!(reason(&mut ssh), Some(Reason::SshNotFound));
        ssh.config.identity = Some("/nonexistent/key".into());
        assert_eq!(reason(&mut ssh), Some(Reason::BadKeyFile));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_before_ssh_does() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mode = |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let error = check_identity(file.path()).unwrap_err();
        assert!(error.to_string().ends_with("can be read by others (mode 0640)"), "{error}");
        assert_eq!(error.get_hint(), Some(&*format!("chmod 600 {}", file.path().display())));
        mode(0o600);
        check_identity(file.path()).unwrap();
    }
}
