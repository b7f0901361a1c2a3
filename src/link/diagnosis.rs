//! What an ended ssh meant, from its exit status and its words.
//!
//! ssh ends with 255 where it failed itself and with the hub's status otherwise (ssh(1), "EXIT STATUS"), so the hub's
//! words cannot pass for ssh's. Matching words is for the reason alone: what was said always stands in the error.

use std::fmt::Display;

use super::child::Ending;
use crate::api::{Error, Reason};

/// Whether the ending of ssh can tell more of an error of the conversation.
pub(super) fn is_open(error: &Error) -> bool {
    matches!(error.reason(), Reason::HubUnreachable | Reason::ProtocolError)
}

/// The error behind `error`.
pub(super) fn explain(error: Error, ending: &Ending, place: impl Display) -> Error {
    match ending.status.and_then(|status| status.code()) {
        Some(255) => of_ssh(&error, &ending.words, place),
        Some(status) => of_git(error, status, &ending.words, place),
        None => error,
    }
}

fn of_ssh(error: &Error, words: &str, place: impl Display) -> Error {
    let says = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    let cause = if words.is_empty() { error.one_line() } else { words.to_owned() };
    if says(&["Host key verification failed", "no matching host key type"]) {
        Error::new(Reason::HostKeyRefused, format!("the host key of {place} is not the one in known_hosts"))
            .caused_by(last(&cause))
            .hint("compare `ssh-keyscan HOST` with the hub's /etc/ssh/*.pub, then put it into `link.known_hosts`")
    } else if says(&["UNPROTECTED PRIVATE KEY FILE", "bad permissions", "invalid format", "error in libcrypto"]) {
        Error::new(Reason::BadKeyFile, "ssh does not take the key in `link.identity`")
            .caused_by(cause)
            .hint("give it an OpenSSH private key without a passphrase, mode 0600")
    } else if says(&["Permission denied (", "Too many authentication failures"]) {
        Error::new(Reason::SshKeyRefused, format!("{place} does not accept this device's SSH key"))
            .caused_by(cause)
            .hint("add the public key to the account's authorized_keys at the hub")
    } else {
        Error::new(Reason::HubUnreachable, format!("no connection to {place}"))
            .caused_by(cause)
            .hint("see that the hub and the network are up, and that `link.url` is right")
    }
}

/// The last two things said: before them, ssh warns at length of a host key that has changed.
fn last(words: &str) -> String {
    let mut lines: Vec<_> = words.rsplit("; ").take(2).collect();
    lines.reverse();
    lines.join("; ")
}

fn of_git(error: Error, status: i32, words: &str, place: impl Display) -> Error {
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
    if words.is_empty() && error.reason() == Reason::ProtocolError {
        return error;
    }
    let cause = if words.is_empty() { error.one_line() } else { words.to_owned() };
    let explained = Error::new(Reason::ProtocolError, format!("git at {place} ended with status {status}"));
    let hint = match status {
        127 => Some("install git at the hub, in the account's PATH"),
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

    fn reason(status: i32, words: &str) -> Reason {
        let ending = Ending { status: Some(std::process::ExitStatus::from_raw(status << 8)), words: words.to_owned() };
        explain(Error::new(Reason::HubUnreachable, "ended"), &ending, "ssh://hub/x").reason()
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
    fn a_program_that_was_killed_explains_nothing() {
        let ending = Ending { status: None, words: "Permission denied (publickey).".to_owned() };
        let error = explain(Error::new(Reason::HubUnreachable, "ended"), &ending, "hub");
        assert_eq!(error.one_line(), "ended");
    }
}
