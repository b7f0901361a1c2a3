//! What an ended ssh meant, from its exit status and its words.
//!
//! ssh ends with 255 where it failed itself and with the hub's status otherwise (ssh(1), "EXIT STATUS"), so the hub's
//! words cannot pass for ssh's. dbclient ends with 1 and signs what it says. Matching words is for the reason alone: what was
//! said always stands in the error.

use std::path::Path;

use super::{child::Ending, url::SshUrl};
use crate::api::{Error, Reason};

/// The highest status that git ends with by itself, for a wrong command line; a shell adds a signal's number to 128.
const GITS_OWN: i32 = 129;

/// The status with which git dies.
const GITS_DEATH: i32 = 128;

/// How dropbear's client begins the last that it says of its own.
const DBCLIENT: &str = "dbclient: ";

/// What dropbear's client says of a host key that it does not know, before it waits for an answer.
const ASKS: &str = "is not in the trusted hosts file";

/// Whether the ending of ssh can tell more of an error of the conversation.
pub(super) fn is_open(error: &Error) -> bool {
    matches!(error.reason(), Reason::HubUnreachable | Reason::ProtocolError)
}

/// The error behind `error`.
pub(super) fn explain(error: Error, ending: &Ending, place: &SshUrl, known_hosts: Option<&Path>) -> Error {
    match ending.status.and_then(|status| status.code()) {
        Some(255) => of_ssh(&error, &ending.words, place, known_hosts),
        _ if ending.words.contains(ASKS) => of_host_key(place, known_hosts, false),
        Some(_) if ending.words.contains(DBCLIENT) => of_ssh(&error, &ending.words, place, known_hosts),
        Some(status) => of_git(error, status, &ending.words, place),
        None => error,
    }
}

fn of_ssh(error: &Error, words: &str, place: &SshUrl, known_hosts: Option<&Path>) -> Error {
    let says = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    let cause = if words.is_empty() { error.one_line() } else { words.to_owned() };
    if says(&["Host key verification failed", "no matching host key type", "validate host key", "host key mismatch"]) {
        of_host_key(place, known_hosts, says(&["has changed", "HAS CHANGED", "mismatch"])).caused_by(last(&cause))
    } else if says(&["UNPROTECTED PRIVATE KEY FILE", "bad permissions", "invalid format", "error in libcrypto"]) {
        Error::new(Reason::BadKeyFile, "ssh does not take the key in `link.identity`")
            .caused_by(cause)
            .hint("give it an OpenSSH private key without a passphrase, mode 0600")
    } else if says(&["dbclient: Exited: String too long", "dbclient: Exited: Bad buf"]) {
        Error::new(Reason::BadKeyFile, "dbclient does not take the key in `link.identity`")
            .caused_by(cause)
            .hint("give it one in dropbear's format: `dropbearconvert openssh dropbear KEY KEY.dropbear`")
    } else if says(&["Permission denied (", "Too many authentication failures", "auth methods", "'s password: "]) {
        Error::new(Reason::SshKeyRefused, format!("{place} does not accept this device's SSH key"))
            .caused_by(cause)
            .hint("add the public key to the account's authorized_keys at the hub")
    } else {
        Error::new(Reason::HubUnreachable, format!("no connection to {place}"))
            .caused_by(cause)
            .hint("see that the hub and the network are up, and that `link.url` is right")
    }
}

/// A host key that is another than the one that is known, or that nobody has said anything of.
fn of_host_key(place: &SshUrl, known_hosts: Option<&Path>, is_another: bool) -> Error {
    let file = known_hosts.unwrap_or(Path::new("~/.ssh/known_hosts")).display();
    let (host, port) = (place.host(), place.port().unwrap_or(22));
    let scan = format!("`ssh-keyscan -p {port} {host} >> {file}`, once it is compared with the hub's /etc/ssh/*.pub");
    let (what, hint) = match is_another {
        true => ("not the one", format!("if the hub has a new key: take the old one out, then {scan}")),
        false => ("not", scan),
    };
    Error::new(Reason::HostKeyRefused, format!("the host key of {place} is {what} in {file}")).hint(hint)
}

/// The last two things said: before them, ssh warns at length of a host key that has changed.
fn last(words: &str) -> String {
    let mut lines: Vec<_> = words.rsplit("; ").take(2).collect();
    lines.reverse();
    lines.join("; ")
}

/// What git at the hub meant, by the status and the words that it ended with.
pub(super) fn of_git(error: Error, status: i32, words: &str, place: &SshUrl) -> Error {
    const ABSENT: &[&str] = &[
        "does not appear to be a git repository",
        "not a git repository",
        "epository not found",
        "could not be found",
        "does not exist",
        "DENIED by",
    ];
    if words.contains("dubious ownership") {
        return Error::new(Reason::RepositoryNotFound, format!("git at the hub does not trust the owner of {place}"))
            .caused_by(words.to_owned())
            .hint("let the account that is logged in to own the repository, or set `safe.directory` there");
    }
    if ABSENT.iter().any(|text| words.contains(text)) {
        return Error::new(Reason::RepositoryNotFound, format!("no repository at {place}"))
            .caused_by(words.to_owned())
            .hint("see `link.url`, and that this device's SSH key may read it");
    }
    // That a signal ended the program says nothing of the repository.
    if status > GITS_OWN || (words.is_empty() && error.reason() == Reason::ProtocolError) {
        return error;
    }
    let cause = if words.is_empty() { error.one_line() } else { words.to_owned() };
    let explained = Error::new(Reason::ProtocolError, format!("the command at {place} ended with status {status}"));
    let hint = match status {
        127 => Some("install git at the hub, in the account's PATH"),
        GITS_DEATH => Some("see what git at the hub says; `git fsck` there finds a repository that is damaged"),
        _ => error.get_hint(),
    };
    match hint {
        Some(hint) => explained.caused_by(cause).hint(hint),
        None => explained.caused_by(cause),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::link::Url;

    fn explained(status: Option<i32>, words: &str, known_hosts: Option<&str>) -> Error {
        let Ok(Url::Ssh(url)) = "ssh://git@hub:2222/x".parse() else { unreachable!() };
        let status = status.map(|status| std::process::ExitStatus::from_raw(status << 8));
        let ending = Ending { status, words: words.to_owned() };
        explain(Error::new(Reason::HubUnreachable, "ended"), &ending, &url, known_hosts.map(Path::new))
    }

    fn reason(status: i32, words: &str) -> Reason {
        explained(Some(status), words, None).reason()
    }

    #[test]
    fn a_host_key_is_unknown_or_another() {
        let unknown = "No ED25519 host key is known for [hub]:2222 and you have requested strict checking.; \
                       Host key verification failed.";
        let error = explained(Some(255), unknown, Some("/etc/giter/known_hosts"));
        assert_eq!(error.to_string(), "the host key of ssh://git@hub:2222/x is not in /etc/giter/known_hosts");
        let scan = "`ssh-keyscan -p 2222 hub >> /etc/giter/known_hosts`";
        assert!(error.get_hint().unwrap().starts_with(scan));
        let changed = "Host key for [hub]:2222 has changed and you have requested strict checking.; \
                       Host key verification failed.";
        let error = explained(Some(255), changed, None);
        assert_eq!(error.to_string(), "the host key of ssh://git@hub:2222/x is not the one in ~/.ssh/known_hosts");
        assert!(error.get_hint().unwrap().starts_with("if the hub has a new key"));
    }

    #[test]
    fn ssh_speaks_with_status_255_alone() {
        for (words, expected) in [
            ("Host key verification failed.", Reason::HostKeyRefused),
            ("git@hub: Permission denied (publickey).", Reason::SshKeyRefused),
            ("Permissions 0644 for 'k' are too open; bad permissions; Permission denied (", Reason::BadKeyFile),
            ("ssh: Could not resolve hostname hub: Name or service not known", Reason::HubUnreachable),
            ("ssh: connect to host hub port 22: Connection refused", Reason::HubUnreachable),
            ("", Reason::HubUnreachable),
            ("ERROR: Repository not found.", Reason::HubUnreachable),
        ] {
            assert_eq!(reason(255, words), expected, "{words}");
        }
        for (words, expected) in [
            ("dbclient: Connection to git@hub:22 exited: Didn't validate host key", Reason::HostKeyRefused),
            (
                "dbclient: Connection to git@hub:22 exited: ; ssh-ed25519 host key mismatch for hub !",
                Reason::HostKeyRefused,
            ),
            ("dbclient: Exited: String too long", Reason::BadKeyFile),
            ("dbclient: Connection to git@hub:22 exited: No auth methods could be used.", Reason::SshKeyRefused),
            ("dbclient: Connection to git@hub:22 exited: Connect failed: Connection refused", Reason::HubUnreachable),
        ] {
            assert_eq!(reason(1, words), expected, "{words}");
        }
        assert_eq!(reason(1, "Permission denied (publickey)."), Reason::ProtocolError);
    }

    #[test]
    fn the_hubs_git_speaks_with_any_other() {
        for (words, expected) in [
            ("fatal: '/x' does not appear to be a git repository", Reason::RepositoryNotFound),
            ("ERROR: Repository not found.", Reason::RepositoryNotFound),
            ("FATAL: R any x git DENIED by fallthru", Reason::RepositoryNotFound),
            ("fatal: detected dubious ownership in repository at '/x'", Reason::RepositoryNotFound),
            ("sh: 1: git-upload-pack: not found", Reason::ProtocolError),
            ("", Reason::ProtocolError),
        ] {
            assert_eq!(reason(128, words), expected, "{words}");
        }
    }

    #[test]
    fn a_git_that_died_is_looked_after_at_the_hub() {
        let words = "error: inflate: data stream error; fatal: loose object 12 is corrupt";
        let error = explained(Some(128), words, None);
        assert_eq!(error.one_line(), format!("the command at ssh://git@hub:2222/x ended with status 128: {words}"));
        assert!(error.get_hint().unwrap().contains("`git fsck`"));
        assert!(!explained(Some(1), words, None).get_hint().unwrap().contains("`git fsck`"));
    }

    #[test]
    fn dropbears_client_waits_for_an_answer_to_an_unknown_host_key() {
        let words = "Host 'hub' is not in the trusted hosts file.; Do you want to continue connecting? (y/n)";
        assert_eq!(explained(None, words, None).reason(), Reason::HostKeyRefused);
    }

    #[test]
    fn a_program_that_was_killed_explains_nothing() {
        assert_eq!(explained(None, "Permission denied (publickey).", None).one_line(), "ended");
        assert_eq!(explained(Some(128 + 9), "Killed", None).one_line(), "ended");
    }
}
