//! A client and a server, and a link between them.

use std::path::Path;

use giter_edge::{
    codec::config::{Algorithms, SshClient},
    link::{BuiltinLink, Cancel, Manner, SshConfig, SshLink, Url},
    reconcile::ports::Link,
};

use super::{
    LONG, STATUS,
    common::sshd::{Options, Server, Sshd},
};

/// Who talks to whom.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) client: SshClient,
    pub(crate) server: Server,
}

impl Way {
    /// A server as it is found.
    pub(crate) fn start(self) -> Sshd {
        self.start_with(None)
    }

    /// A server that runs a script instead of the client's command.
    pub(crate) fn start_forced(self, script: &str) -> Sshd {
        self.start_with(Some(script))
    }

    fn start_with(self, forced: Option<&str>) -> Sshd {
        Sshd::with(&Options { server: self.server, accept_env: true, forced, ..Options::default() })
    }

    /// How a link to a repository behind a server is configured, as its key and host key are.
    pub(crate) fn config(self, sshd: &Sshd, repository: &Path) -> SshConfig {
        self.config_at(sshd, &sshd.url(repository))
    }

    /// The same, with another URL.
    pub(crate) fn config_at(self, sshd: &Sshd, url: &str) -> SshConfig {
        let Url::Ssh(url) = url.parse().unwrap() else { panic!("{url} is a file") };
        SshConfig {
            url,
            branch: "main".to_owned(),
            status_ref: STATUS.to_owned(),
            identity: Some(sshd.file("user_key")),
            known_hosts: Some(sshd.file("known_hosts")),
            program: sshd.file("ssh"),
            algorithms: Algorithms::Ssh,
            sockets: Some(std::env::temp_dir()),
            manner: Manner { silence: LONG, exchange: LONG, hold: LONG, watch: false },
            // Learned before, where there is something to learn.
            protocol_in_command: self.server == Server::Dropbear,
        }
    }

    /// A link.
    pub(crate) fn link(self, config: SshConfig) -> Box<dyn Link + Send> {
        self.cancellable(config, Cancel::new().unwrap())
    }

    /// A link that can be cancelled.
    pub(crate) fn cancellable(self, config: SshConfig, cancel: Cancel) -> Box<dyn Link + Send> {
        match self.client {
            SshClient::System => Box::new(SshLink::open(config, cancel).unwrap()),
            SshClient::Builtin => Box::new(BuiltinLink::open(config, cancel).unwrap()),
        }
    }
}
