//! Where a hub is: `ssh://` URLs, their scp-like form, `file://` URLs and plain paths, as git reads them (git-fetch(1),
//! "GIT URLS").
//!
//! Parts that could become an option or a second word of a command line are refused here, once.

use std::{fmt, path::PathBuf, str::FromStr};

use gix::url::Scheme;

use crate::api::{Error, Reason, Result};

/// A hub's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url {
    /// A repository behind a server.
    Ssh(SshUrl),
    /// A repository on this machine.
    File(PathBuf),
}

/// A repository behind an SSH server. No part of it begins with `-` or holds a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshUrl {
    text: String,
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
}

impl SshUrl {
    /// What ssh connects to: `host` or `user@host`.
    pub fn destination(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        }
    }

    /// The user, where it is not ssh's own choice.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host, or what ssh's configuration calls it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where it is not ssh's own choice.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The repository's path at the server, as one word for a shell: quoted as git quotes it, since some servers take
    /// nothing else.
    pub fn quoted_path(&self) -> String {
        format!("'{}'", self.path.replace('\'', r"'\''").replace('!', r"'\!'"))
    }
}

impl fmt::Display for SshUrl {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Url {
    type Err = Error;

    /// # Errors
    ///
    /// `BadConfig`.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Error::new(Reason::BadConfig, format!("`{}` {why}", text.escape_debug()))
                .hint("write `ssh://user@host/path`, `user@host:path`, `file:///path` or a path")
        };
        if text.is_empty() || text.contains(char::is_control) {
            return Err(refuse("is not a URL"));
        }
        let url = gix::url::parse(text).map_err(|e| refuse("is not a URL").caused_by(e))?;
        let path = String::from_utf8(url.path.to_vec()).map_err(|_| refuse("has a path that is not UTF-8"))?;
        let host = url.host().unwrap_or_default().to_owned();
        match url.scheme {
            Scheme::File if matches!(host.as_str(), "" | "localhost") => Ok(Self::File(path.into())),
            Scheme::File => Err(refuse("names a file on another host")),
            Scheme::Ssh if url.password().is_some() => Err(refuse("holds a password, which ssh does not take")),
            Scheme::Ssh if !url.user().is_none_or(is_word) => Err(refuse("has no user that ssh takes")),
            Scheme::Ssh if !is_word(&host) => Err(refuse("has no host that ssh takes")),
            Scheme::Ssh if path.starts_with('-') || path.contains(char::is_control) => {
                Err(refuse("has an unsafe path"))
            }
            Scheme::Ssh => {
                let (text, user) = (text.to_owned(), url.user().map(str::to_owned));
                Ok(Self::Ssh(SshUrl { text, user, host, port: url.port, path }))
            }
            _ => Err(refuse("is of a kind that is not served")),
        }
    }
}

/// A user's or host's name that neither ssh nor a `ProxyCommand`'s shell can take for something else.
fn is_word(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%' | '+' | '@');
    !name.is_empty() && !name.starts_with('-') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(text: &str) -> (String, Option<u16>, String) {
        match text.parse().unwrap() {
            Url::Ssh(url) => (url.destination(), url.port(), url.path),
            Url::File(path) => panic!("{text} is a file, {path:?}"),
        }
    }

    #[test]
    fn the_forms_of_git_are_read() {
        assert_eq!(ssh("ssh://git@hub/exchange.git"), ("git@hub".into(), None, "/exchange.git".into()));
        assert_eq!(ssh("ssh://hub:2222/srv/a%20b"), ("hub".into(), Some(2222), "/srv/a b".into()));
        assert_eq!(ssh("ssh://git@hub/~git/x"), ("git@hub".into(), None, "~git/x".into()));
        assert_eq!(ssh("ssh://[::1]:22/x"), ("::1".into(), Some(22), "/x".into()));
        assert_eq!(ssh("git@hub:exchange.git"), ("git@hub".into(), None, "exchange.git".into()));
        assert_eq!(ssh("hub:/srv/x"), ("hub".into(), None, "/srv/x".into()));
        for (text, path) in [("file:///srv/x", "/srv/x"), ("/srv/x", "/srv/x"), ("./a:b", "./a:b")] {
            assert_eq!(text.parse::<Url>().unwrap(), Url::File(path.into()));
        }
    }

    #[test]
    fn what_could_become_an_option_or_a_command_is_refused() {
        for text in [
            "",
            "ssh://-oProxyCommand=id/x",
            "-oProxyCommand=id:x",
            "ssh://-l@hub/x",
            "git@hub:-x",
            "ssh://hub/a%0ab",
            "ssh://hub`id`/x",
            "ssh://a b@hub/x",
            "ssh:///x",
            "ssh://hub",
            "ssh://git:secret@hub/x",
            "ssh://hub:99999/x",
            "https://hub/x",
            "git://hub/x",
            "ext::sh -c id",
            "file://hub/x",
            "a\nb",
        ] {
            let reason = text.parse::<Url>().err().map(|error| error.reason());
            assert_eq!(reason, Some(Reason::BadConfig), "{text:?}");
        }
    }

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        let Url::Ssh(url) = "hub:it's new!".parse().unwrap() else { unreachable!() };
        assert_eq!(url.quoted_path(), r"'it'\''s new'\!''");
        assert_eq!(url.to_string(), "hub:it's new!");
    }
}
