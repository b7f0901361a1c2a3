//! What a client asks for by SSH: one of three programs and a repository, quoted as git quotes it.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use giter_edge::api::{Error, Reason, Result, limits};

/// Where sshd leaves what the client asked for (sshd(8), `command=`).
pub(super) const VARIABLE: &str = "SSH_ORIGINAL_COMMAND";

/// How a client that cannot send an environment asks for version 2 of git's protocol.
const VERSION_2: &str = "GIT_PROTOCOL=version=2 ";

/// The words before the repository.
const PROGRAMS: [(&str, Service); 5] = [
    ("git-upload-pack ", Service::UploadPack),
    ("git upload-pack ", Service::UploadPack),
    ("git-receive-pack ", Service::ReceivePack),
    ("git receive-pack ", Service::ReceivePack),
    ("giterctl watch ", Service::Watch),
];

/// How much of a command is repeated in an error, in characters.
const SHOWN_CHARS: usize = 80;

/// What a device may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// To fetch.
    UploadPack,
    /// To push.
    ReceivePack,
    /// To be told of changes.
    Watch,
}

impl Service {
    /// The verb of the program that does it.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
            Self::Watch => "watch",
        }
    }
}

/// A command that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) service: Service,
    /// Whether version 2 of the protocol stands before it.
    pub(super) has_version_2: bool,
    /// The repository, as the client spells it.
    pub(super) path: String,
}

impl Asked {
    /// Reads the command that a login asks for; none is a login that wants a shell.
    ///
    /// # Errors
    ///
    /// `CommandNotAllowed`.
    pub(super) fn read(text: Option<&OsStr>) -> Result<Self> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Err(refused("this login is a device's, and gives no shell".into()));
        };
        let parsed = text.to_str().filter(|text| text.len() <= limits::COMMAND_BYTES).and_then(Self::parse);
        parsed.ok_or_else(|| {
            let shown: String = text.to_string_lossy().chars().take(SHOWN_CHARS).collect();
            refused(format!("this login is a device's, and does not run {shown:?}"))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (has_version_2, text) = match text.strip_prefix(VERSION_2) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let named = |(words, service): (&str, Service)| Some((service, text.strip_prefix(words)?));
        let (service, word) = PROGRAMS.into_iter().find_map(named)?;
        Some(Self { service, has_version_2, path: unquote(word)? })
    }
}

/// Whether the client means this repository, by any of the names that git's programs take for it: `~` is the account's
/// home, `.git` may be left out, and links are followed.
///
/// # Errors
///
/// `RepositoryNotFound`.
pub(super) fn check_path(path: &str, repo: &Path) -> Result<()> {
    let at_home = |below: &str| Some(PathBuf::from(env::var_os("HOME")?).join(below));
    let user = env::var("USER").unwrap_or_default();
    let expanded = match path.strip_prefix('~').map(|path| path.split_once('/').unwrap_or((path, ""))) {
        Some((of, below)) if of.is_empty() || of == user => at_home(below),
        Some(_) => None,
        None => Some(path.into()),
    };
    let is_repo = |suffix: &&str| {
        let Some(mut name) = expanded.clone().map(PathBuf::into_os_string) else { return false };
        name.push(suffix);
        Path::new(&name).canonicalize().is_ok_and(|full| full == repo)
    };
    if ["", ".git", "/.git", ".git/.git"].iter().any(is_repo) {
        return Ok(());
    }
    let shown: String = path.chars().take(SHOWN_CHARS).collect();
    // The first words are those of git, which clients look for.
    let what = format!("{shown:?} does not appear to be a git repository that this login is for");
    Err(Error::new(Reason::RepositoryNotFound, what).hint(format!("ask for {}", repo.display())))
}

/// Takes the quotes off one word that git has quoted for a shell (`sq_quote_buf`): `'` in front and behind, and of what is
/// between, `'` as `'\''` and `!` as `'\!'`. `None` for anything else.
fn unquote(word: &str) -> Option<String> {
    let mut rest = word.strip_prefix('\'')?;
    let mut plain = String::new();
    loop {
        let (part, behind) = rest.split_once('\'')?;
        plain.push_str(part);
        if behind.is_empty() {
            return Some(plain).filter(|plain| !plain.is_empty() && !plain.contains(char::is_control));
        }
        let escaped = behind.strip_prefix('\\')?;
        let mark = escaped.chars().next().filter(|mark| matches!(mark, '\'' | '!'))?;
        plain.push(mark);
        rest = escaped[1..].strip_prefix('\'')?;
    }
}

fn refused(what: String) -> Error {
    Error::new(Reason::CommandNotAllowed, what).hint(
        "a device may ask for git-upload-pack, git-receive-pack and giterctl watch, each with one quoted repository; log \
         in with another key for anything else",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_and_the_agent_send_is_understood() {
        for (text, service, has_version_2, path) in [
            ("git-upload-pack '/srv/x.git'", Service::UploadPack, false, "/srv/x.git"),
            ("git upload-pack '/srv/x.git'", Service::UploadPack, false, "/srv/x.git"),
            ("GIT_PROTOCOL=version=2 git-upload-pack 'x'", Service::UploadPack, true, "x"),
            (r"git-receive-pack '/it'\''s new'\!''", Service::ReceivePack, false, "/it's new!"),
            ("git receive-pack '~/x'", Service::ReceivePack, false, "~/x"),
            ("giterctl watch '/srv/x.git'", Service::Watch, false, "/srv/x.git"),
        ] {
            let asked = Asked::read(Some(OsStr::new(text))).unwrap();
            assert_eq!(asked, Asked { service, has_version_2, path: path.into() }, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("git-upload-pack '{}'", "x".repeat(limits::COMMAND_BYTES));
        for text in [
            "sh",
            "git-upload-pack",
            "git-upload-pack ",
            "git-upload-pack /srv/x.git",
            "git-upload-pack ''",
            "git-upload-pack 'x'; id",
            "git-upload-pack 'x';id",
            "git-upload-pack 'x' 'y'",
            "git-upload-pack 'x''y'",
            r"git-upload-pack 'x'\$(id)''",
            "git-upload-pack 'x'$(id)",
            "git-upload-pack \"x\"",
            "git-upload-pack 'x",
            r"git-upload-pack 'x'\'",
            r"git-upload-pack 'x'\é''",
            "git-upload-pack 'x'\nid",
            "git-upload-pack 'x\ny'",
            "git-upload-pack --strict 'x'",
            "git-upload-pack  'x'",
            " git-upload-pack 'x'",
            "git -c core.pager=id upload-pack 'x'",
            "git-upload-archive 'x'",
            "git upload-archive 'x'",
            "GIT_PROTOCOL=version=1 git-upload-pack 'x'",
            "GIT_DIR=/ git-upload-pack 'x'",
            "GIT_PROTOCOL=version=2 GIT_PROTOCOL=version=2 git-upload-pack 'x'",
            "giterctl watch --device a 'x'",
            "giterctl get 'x'",
            "/usr/bin/giterctl watch 'x'",
            &long,
        ] {
            let refused = Asked::read(Some(OsStr::new(text)));
            assert!(refused.is_err_and(|error| error.reason() == Reason::CommandNotAllowed), "{text}");
        }
        assert_eq!(Asked::read(None).err().unwrap().reason(), Reason::CommandNotAllowed);
        let bytes = std::os::unix::ffi::OsStrExt::from_bytes(&b"git-upload-pack '\xff'"[..]);
        assert_eq!(Asked::read(Some(bytes)).err().unwrap().reason(), Reason::CommandNotAllowed);
    }
}
