//! Ways to the hub: adapters behind the [`Link`] port.
//!
//! ```text
//! remote::Remote --gather, git::push, watch--> stream::Stream <--makes-- stream::Connector (ssh::SystemSsh,
//!                                                                                          builtin::Builtin)
//! file::FileLink --git::repository--------> a repository on a mounted file system
//! stick::StickLink --git::bundle----------> a stick, or one bundle
//! relay::Relay --a hub, or a stick--------> the folder of what is carried for others
//! ```
//!
//! A link moves bytes and refs. It trusts nobody and decides nothing: what it fetched is proven elsewhere, before it
//! counts.

pub mod builtin;
pub mod cancel;
mod child;
mod diagnosis;
pub mod file;
mod gather;
mod nowhere;
mod patience;
pub mod relay;
pub mod remote;
pub mod ssh;
pub mod stick;
pub mod stream;
pub mod url;
mod watch;

use std::path::PathBuf;

pub use builtin::BuiltinLink;
pub use cancel::Cancel;
pub use file::FileLink;
pub use nowhere::Nowhere;
pub use remote::Manner;
pub use ssh::{SshConfig, SshLink, check_identity};
pub use stick::StickLink;
pub use url::{SshUrl, Url};

use crate::{
    api::{Result, ledger::HubTraits},
    codec::config::{Algorithms, SshClient},
    reconcile::ports::Link,
};

/// Where the hub is and how it is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ssh://`, scp form, `file://` or a path.
    pub url: String,
    /// The branch's short name.
    pub branch: String,
    /// The full name of the device's status ref.
    pub status_ref: String,
    /// The SSH client.
    pub ssh: SshClient,
    /// The SSH private key; ssh's own choice where there is none.
    pub identity: Option<PathBuf>,
    /// The only file that host keys are looked up in; ssh's own choice where there is none.
    pub known_hosts: Option<PathBuf>,
    /// The ssh program: a path, or a name to look up in `PATH`.
    pub program: PathBuf,
    /// What the ssh program offers to the hub's server.
    pub algorithms: Algorithms,
    /// The folder in which ssh programs share a connection; `None` for each having its own.
    pub sockets: Option<PathBuf>,
    /// How the hub is spoken with.
    pub manner: Manner,
}

/// The link that the URL asks for. Nothing is contacted yet.
///
/// # Errors
///
/// `BadConfig` if the URL is none, a name is none that git takes, or the SSH client lacks what it needs.
pub fn open(settings: &Settings, learned: HubTraits, cancel: Cancel) -> Result<Box<dyn Link>> {
    let Settings { branch, status_ref, .. } = settings;
    Ok(match settings.url.parse()? {
        Url::File(path) => Box::new(FileLink::open(&path, branch, status_ref)?),
        Url::Ssh(url) => {
            let config = SshConfig {
                url,
                branch: branch.clone(),
                status_ref: status_ref.clone(),
                identity: settings.identity.clone(),
                known_hosts: settings.known_hosts.clone(),
                program: settings.program.clone(),
                algorithms: settings.algorithms,
                sockets: settings.sockets.clone(),
                manner: settings.manner,
                protocol_in_command: learned.protocol_in_command,
            };
            match settings.ssh {
                SshClient::System => Box::new(SshLink::open(config, cancel)?),
                SshClient::Builtin => Box::new(BuiltinLink::open(config, cancel)?),
            }
        }
    })
}
