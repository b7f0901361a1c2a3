//! The way to a hub through the system's `ssh`.
//!
//! ssh's own configuration counts, except where trust is concerned: host keys are never accepted or learned, nothing is
//! asked of anybody, nothing is forwarded. Host aliases, proxies and algorithms are the operator's.

use std::{
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    cancel::Cancel,
    child::Child,
    diagnosis,
    remote::Remote,
    stream::{Connector, Service, Stream, Version2},
    url::SshUrl,
};
use crate::api::{Error, Reason, Result, ledger::HubTraits};

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
    /// How long silence is borne.
    pub timeout: Duration,
    /// What was learned about the hub before: [`HubTraits::protocol_in_command`].
    pub protocol_in_command: bool,
}

impl SshLink {
    /// A link that nothing was said on yet.
    pub fn new(config: SshConfig, cancel: Cancel) -> Self {
        let traits = HubTraits { protocol_in_command: config.protocol_in_command };
        let (branch, status_ref) = (config.branch.clone(), config.status_ref.clone());
        Self::over(SystemSsh { config, cancel }, &branch, &status_ref, traits)
    }
}

/// Makes connections by running `ssh`.
pub struct SystemSsh {
    config: SshConfig,
    cancel: Cancel,
}

impl Connector for SystemSsh {
    type Stream = SshStream;

    fn connect(&mut self, service: Service, version: Version2) -> Result<SshStream> {
        if let Some(key) = &self.config.identity {
            // ssh would go on without it, and then say that the hub refused.
            check_identity(key)?;
        }
        let program = &self.config.program;
        let mut command = command(&self.config, service, version)?;
        match Child::spawn(&mut command, self.config.timeout, self.cancel.clone()) {
            Ok(child) => {
                let SshConfig { url, known_hosts, .. } = &self.config;
                Ok(SshStream { child, url: url.clone(), known_hosts: known_hosts.clone() })
            }
            Err(error) => Err(Error::new(Reason::SshNotFound, format!("cannot run {}", program.display()))
                .caused_by(error)
                .hint("install the OpenSSH client, for example `apt-get install openssh-client`")),
        }
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
    fn close(self) {
        self.child.finish();
    }

    fn explain(self, error: Error) -> Error {
        if !diagnosis::is_open(&error) {
            return error;
        }
        diagnosis::explain(error, &self.child.finish(), &self.url, self.known_hosts.as_deref())
    }
}

fn command(config: &SshConfig, service: Service, version: Version2) -> Result<Command> {
    let mut command = Command::new(&config.program);
    // Debian's ssh sends the locale along: bytes for nothing.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("LC_") || name.starts_with("LANG")) {
            command.env_remove(name);
        }
    }
    command.env_remove("GIT_PROTOCOL").args(["-T", "-a", "-x"]);
    let mut option = |text: String| {
        command.args(["-o", &text]);
    };
    option("BatchMode=yes".to_owned());
    option("ClearAllForwardings=yes".to_owned());
    option("LogLevel=ERROR".to_owned());
    option("StrictHostKeyChecking=yes".to_owned());
    option("UpdateHostKeys=no".to_owned());
    // Half of what is borne: where a host has a second address, there is time for it.
    option(format!("ConnectTimeout={}", (config.timeout.as_secs() / 2).max(1)));
    if let Some(file) = &config.known_hosts {
        option(format!("UserKnownHostsFile={}", value(file)?));
        option("GlobalKnownHostsFile=none".to_owned());
    }
    if let Some(file) = &config.identity {
        option(format!("IdentityFile={}", value(file)?));
        option("IdentitiesOnly=yes".to_owned());
    }
    if version == Version2::InEnvironment {
        option("SendEnv=GIT_PROTOCOL".to_owned());
        command.env("GIT_PROTOCOL", "version=2");
    }
    if let Some(port) = config.url.port() {
        command.args(["-p", &port.to_string()]);
    }
    let prefix = if version == Version2::InCommand { "GIT_PROTOCOL=version=2 " } else { "" };
    command.arg(config.url.destination());
    command.arg(format!("{prefix}{} {}", service.program(), config.url.quoted_path()));
    Ok(command)
}

/// A path as a value of ssh's configuration, which splits words and expands `%`.
fn value(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) if !text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) => {
            Ok(format!("\"{}\"", text.replace('%', "%%")))
        }
        _ => Err(Error::new(Reason::BadConfig, format!("ssh does not take the path {}", path.display()))
            .hint("name the file without quotes, backslashes and control characters")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::link::url::Url;

    fn config(url: &str) -> SshConfig {
        let Url::Ssh(url) = url.parse().unwrap() else { unreachable!() };
        SshConfig {
            url,
            branch: "main".to_owned(),
            status_ref: "refs/giter/status/a".to_owned(),
            identity: None,
            known_hosts: None,
            program: "ssh".into(),
            timeout: Duration::from_secs(60),
            protocol_in_command: false,
        }
    }

    fn arguments(config: &SshConfig, service: Service, version: Version2) -> Vec<String> {
        let command = command(config, service, version).unwrap();
        command.get_args().map(|argument| argument.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_command_is_one_word_behind_the_destination() {
        let config = config("ssh://git@hub:2222/it's");
        let arguments = arguments(&config, Service::UploadPack, Version2::InCommand);
        assert_eq!(
            arguments[arguments.len() - 4..],
            ["-p", "2222", "git@hub", r"GIT_PROTOCOL=version=2 git-upload-pack '/it'\''s'"]
        );
        assert!(!arguments.contains(&"SendEnv=GIT_PROTOCOL".to_owned()));
    }

    #[test]
    fn nothing_of_trust_is_left_to_chance() {
        let mut config = config("hub:x");
        config.known_hosts = Some("/etc/giter/known hosts%".into());
        config.identity = Some("/etc/giter/key".into());
        let arguments = arguments(&config, Service::ReceivePack, Version2::Unsaid);
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "UserKnownHostsFile=\"/etc/giter/known hosts%%\"",
            "GlobalKnownHostsFile=none",
            "IdentityFile=\"/etc/giter/key\"",
            "IdentitiesOnly=yes",
        ] {
            assert!(arguments.contains(&option.to_owned()), "{option}");
        }
        config.identity = Some("/a\"b".into());
        assert_eq!(command(&config, Service::UploadPack, Version2::Unsaid).unwrap_err().reason(), Reason::BadConfig);
    }

    #[test]
    fn a_missing_program_and_a_missing_key_have_their_reasons() {
        let mut config = config("hub:x");
        config.program = "/nonexistent/ssh".into();
        let mut ssh = SystemSsh { config: config.clone(), cancel: Cancel::new().unwrap() };
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
