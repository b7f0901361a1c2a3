//! The command lines of OpenSSH's `ssh` and of dropbear's `dbclient`, which is known by its name.
//!
//! `dbclient` takes few options (dbclient(1)): it looks host keys up in `.ssh/known_hosts` of its `HOME` alone, by the host's
//! name without the port, reads keys in dropbear's own format, and sends no environment.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::SshConfig;
use crate::{
    api::{Error, Reason, Result, limits},
    codec::config::Algorithms,
    link::stream::{Service, Version2},
};

/// Whose connection a program at the hub has.
pub(super) enum Share {
    /// Its own.
    Alone,
    /// Its own, and others may go over it by this socket.
    Master(PathBuf),
    /// The one behind this socket; its own where that is gone.
    Over(PathBuf),
}

/// What is offered beside ed25519 host keys where the lists are to be short.
const SHORT: [(&str, &str); 4] = [
    ("KexAlgorithms", "curve25519-sha256"),
    ("HostKeyAlgorithms", "ssh-ed25519"),
    ("Ciphers", "chacha20-poly1305@openssh.com,aes256-ctr"),
    ("MACs", "hmac-sha2-256"),
];

/// The command that runs a program at the hub.
///
/// # Errors
///
/// `BadConfig` if the program cannot be told what the configuration says.
pub(super) fn command(config: &SshConfig, service: Service, version: Version2, share: Share) -> Result<Command> {
    let mut command = Command::new(&config.program);
    if is_dropbear(&config.program) {
        dropbear(&mut command, config)?;
    } else {
        openssh(&mut command, config, version)?;
        shared(&mut command, share);
    }
    if let Some(port) = config.url.port() {
        command.args(["-p", &port.to_string()]);
    }
    let prefix = if version == Version2::InCommand { "GIT_PROTOCOL=version=2 " } else { "" };
    command.arg(config.url.destination());
    command.arg(format!("{prefix}{} {}", service.program(), config.url.quoted_path()));
    Ok(command)
}

/// Whether a program is dropbear's client.
pub(super) fn is_dropbear(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "dbclient")
}

fn openssh(command: &mut Command, config: &SshConfig, version: Version2) -> Result<()> {
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
    option(format!("ConnectTimeout={}", (config.manner.silence.as_secs() / 2).max(1)));
    if config.manner.watch {
        option(format!("ServerAliveInterval={}", limits::WATCH_PROBE.as_secs()));
    }
    if config.algorithms == Algorithms::Short {
        SHORT.iter().for_each(|(list, names)| option(format!("{list}={names}")));
    }
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
    Ok(())
}

fn shared(command: &mut Command, share: Share) {
    let (is_master, socket) = match share {
        Share::Alone => return,
        Share::Master(socket) => ("yes", socket),
        Share::Over(socket) => ("no", socket),
    };
    command.args(["-o", &format!("ControlMaster={is_master}"), "-o", "ControlPersist=no", "-S"]);
    // ssh expands it.
    command.arg(socket.display().to_string().replace('%', "%%"));
}

fn dropbear(command: &mut Command, config: &SshConfig) -> Result<()> {
    let file = config.known_hosts.as_deref();
    let home = file.filter(|file| file.ends_with(".ssh/known_hosts")).and_then(|file| file.ancestors().nth(2));
    let Some(home) = home else {
        let what = "dbclient looks host keys up in `.ssh/known_hosts` of its home alone";
        return Err(Error::new(Reason::BadConfig, what)
            .hint("name `link.known_hosts` so, for example /etc/giter/.ssh/known_hosts, or use OpenSSH's ssh"));
    };
    command.env("HOME", home).args(["-T", "-q", "-o", "DisableTrivialAuth=yes"]);
    if config.manner.watch {
        command.args(["-K", &limits::WATCH_PROBE.as_secs().to_string()]);
    }
    if config.algorithms == Algorithms::Short {
        command.args(["-c", "chacha20-poly1305@openssh.com", "-m", "hmac-sha2-256"]);
    }
    if let Some(file) = &config.identity {
        command.arg("-i").arg(file);
    }
    Ok(())
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
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::link::{remote::Manner, url::Url};

    const MINUTE: Duration = Duration::from_secs(60);

    pub(in super::super) fn config(url: &str) -> SshConfig {
        let Url::Ssh(url) = url.parse().unwrap() else { unreachable!() };
        SshConfig {
            url,
            branch: "main".to_owned(),
            status_ref: "refs/giter/status/a".to_owned(),
            identity: None,
            known_hosts: None,
            program: "ssh".into(),
            algorithms: Algorithms::Ssh,
            sockets: None,
            manner: Manner { silence: MINUTE, exchange: MINUTE, hold: Duration::ZERO, watch: false },
            protocol_in_command: false,
        }
    }

    fn arguments(config: &SshConfig, service: Service, version: Version2, share: Share) -> Vec<String> {
        let command = command(config, service, version, share).unwrap();
        command.get_args().map(|argument| argument.to_str().unwrap().to_owned()).collect()
    }

    fn alone(config: &SshConfig) -> Vec<String> {
        arguments(config, Service::ReceivePack, Version2::Unsaid, Share::Alone)
    }

    #[test]
    fn the_command_is_one_word_behind_the_destination() {
        let config = config("ssh://git@hub:2222/it's");
        let arguments = arguments(&config, Service::UploadPack, Version2::InCommand, Share::Alone);
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
        let arguments = alone(&config);
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
        let refused = command(&config, Service::UploadPack, Version2::Unsaid, Share::Alone);
        assert_eq!(refused.unwrap_err().reason(), Reason::BadConfig);
    }

    #[test]
    fn a_master_outlives_nobody_and_the_others_go_over_it() {
        let config = config("hub:x");
        let over = |share| arguments(&config, Service::Watch, Version2::Unsaid, share).join(" ");
        let master = over(Share::Master("/run/%h/1".into()));
        assert!(
            master.contains("ControlMaster=yes -o ControlPersist=no -S /run/%%h/1 hub giterctl watch 'x'"),
            "{master}"
        );
        assert!(over(Share::Over("/run/1".into())).contains("ControlMaster=no -o ControlPersist=no -S /run/1 hub"));
        assert!(!over(Share::Alone).contains("Control"));
    }

    #[test]
    fn short_lists_and_probes_are_asked_for() {
        let mut config = config("hub:x");
        assert!(!alone(&config).join(" ").contains("Algorithms="));
        config.algorithms = Algorithms::Short;
        config.manner.watch = true;
        let arguments = alone(&config).join(" ");
        assert!(arguments.contains("-o ServerAliveInterval=240 -o KexAlgorithms=curve25519-sha256 "), "{arguments}");
    }

    #[test]
    fn dropbears_client_has_its_own_words() {
        let mut config = config("ssh://git@hub:2222/x");
        config.program = "/usr/bin/dbclient".into();
        config.identity = Some("/etc/giter/key".into());
        let refused =
            |config: &SshConfig| command(config, Service::UploadPack, Version2::Unsaid, Share::Alone).is_err();
        assert!(refused(&config));
        config.known_hosts = Some("/etc/giter/known_hosts".into());
        assert!(refused(&config));
        config.known_hosts = Some("/etc/giter/.ssh/known_hosts".into());
        let command =
            command(&config, Service::UploadPack, Version2::InCommand, Share::Master("/run/1".into())).unwrap();
        let home = command.get_envs().find(|(name, _)| *name == "HOME");
        assert_eq!(home.and_then(|(_, home)| home), Some("/etc/giter".as_ref()));
        let expected = "-T -q -o DisableTrivialAuth=yes -i /etc/giter/key -p 2222 git@hub \
                        GIT_PROTOCOL=version=2 git-upload-pack '/x'";
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
        assert_eq!(arguments.join(" "), expected);
    }
}
