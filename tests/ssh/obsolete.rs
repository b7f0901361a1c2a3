//! OpenSSH servers with which there is nothing to agree on.

use super::{
    WAY,
    stories::{hubs::served_by, sync::world},
};
use crate::common::{
    case::{Case, World, check_all},
    sshd::{Options, Sshd},
};

/// A server with these lines of configuration takes the first one's place.
fn configured(config: &'static str) -> impl Fn(&World) {
    move |world| {
        served_by(Sshd::with(&Options { server: WAY.server, config, accept_env: true, ..Options::default() }), world)
    }
}

#[test]
fn obsolete_algorithms_alone() {
    let says = "no connection to ssh://";
    let obsolete = |name, config| Case::link(name, ("HubUnreachable", 3), says, configured(config));
    let cases = [
        obsolete("of key exchange", "KexAlgorithms diffie-hellman-group1-sha1\n"),
        obsolete("of encryption", "Ciphers 3des-cbc\n"),
    ];
    let sshd = WAY.start();
    check_all(cases, || world(&sshd));
}
