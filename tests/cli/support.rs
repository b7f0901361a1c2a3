//! A folder, the two programs, and git with nothing of the machine's configuration.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use snapbox::{Assert, Data, data::DataFormat};
use tempfile::TempDir;

/// The publisher's key.
pub(crate) const OPS_KEY: &str = include_str!("../vectors/ops.key");
/// Its public half.
pub(crate) const OPS_PUB: &str = include_str!("../vectors/ops.key.pub");

/// A folder of its own for a test.
pub(crate) struct World {
    path: PathBuf,
    _dir: TempDir,
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { path: dir.path().canonicalize().unwrap(), _dir: dir }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A private key as ssh and the agent want it: for nobody else.
    pub(crate) fn write_key(&self, path: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.write(path, text);
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// A program in this folder, with nothing of the user's settings.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.path).env_clear().env("HOME", &self.path).env("COLUMNS", "100");
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("LC_ALL", "C");
        command.env("GIT_CONFIG_GLOBAL", self.path("gitconfig")).env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_DATE"), "2024-03-01T12:00:00Z");
        }
        command
    }

    pub(crate) fn giterctl(&self, args: &[&str]) -> Ran {
        run(self.command(env!("CARGO_BIN_EXE_giterctl")).args(args), b"")
    }

    pub(crate) fn giterctl_with(&self, args: &[&str], input: &[u8]) -> Ran {
        run(self.command(env!("CARGO_BIN_EXE_giterctl")).args(args), input)
    }

    pub(crate) fn giterd(&self, args: &[&str]) -> Ran {
        run(self.command(env!("CARGO_BIN_EXE_giterd")).args(args), b"")
    }

    /// What git prints; it has to succeed.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_with(args, b"")
    }

    pub(crate) fn git_with(&self, args: &[&str], input: &[u8]) -> String {
        let ran = run(self.command("git").args(args), input);
        assert_eq!(ran.code, Some(0), "git {args:?}: {}", ran.stderr);
        ran.stdout.trim_end().to_owned()
    }

    /// Runs another program, which has to succeed.
    pub(crate) fn run(&self, program: &str, args: &[&str]) {
        let ran = run(self.command(program).args(args), b"");
        assert_eq!(ran.code, Some(0), "{program} {args:?}: {}", ran.stderr);
    }

    /// Who commits, for git.
    pub(crate) fn identify(&self) {
        self.write("gitconfig", "[user]\n\tname = Ops\n\temail = ops@plant-7\n");
    }

    /// The text with this folder's path as `[DIR]`.
    pub(crate) fn without_dir(&self, text: &str) -> String {
        text.replace(&*self.path.to_string_lossy(), "[DIR]")
    }
}

impl Ran {
    /// stdout of a program that succeeded and had nothing to say on stderr.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// Everything that was printed, and how it ended.
    pub(crate) fn all(&self) -> String {
        let code = self.code.map_or("a signal".into(), |code| code.to_string());
        format!("{}--- stderr\n{}--- ended with {code}\n", self.stdout, self.stderr)
    }
}

/// Compares a text, to the byte, with a file of `golden/`.
#[track_caller]
pub(crate) fn golden(name: &str, text: impl AsRef<str>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    let expected = Data::read_from(&file, Some(DataFormat::Text)).raw();
    Assert::new().action_env("SNAPSHOTS").eq(Data::text(text.as_ref()).raw(), expected);
}

/// Runs a program with something on its stdin.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // A program that does not read its stdin closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

/// The text with names that differ from run to run replaced: hexadecimal ones of at least seven digits, and key
/// fingerprints.
pub(crate) fn without_names(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "+/".contains(c);
    let (mut out, mut word) = (String::new(), String::new());
    for c in text.chars().chain(['\0']) {
        if is_word(c) {
            word.push(c);
            continue;
        }
        out.push_str(match &*word {
            word if out.ends_with("SHA256:") && word.len() == 43 => "[FINGERPRINT]",
            "ed25519" => "ed25519",
            word if word.len() >= 7 && word.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) => "[ID]",
            word => word,
        });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

/// The text with its dates, such as `2026-11-21T05:17:09Z`, as `[DATE]`.
pub(crate) fn without_dates(text: &str) -> String {
    without(text, "0000-00-00T00:00:00Z", "[DATE]")
}

/// The text with the short fingerprints of keys as `[SHORT]`.
pub(crate) fn without_short_fingerprints(text: &str) -> String {
    without(text, "aaaa-aaaa-aaaa-aaaa", "[SHORT]")
}

/// The text with another word for those of a form, in which `0` stands for a digit and `a` for one or a small letter.
fn without(text: &str, form: &str, other: &str) -> String {
    let fits = |(byte, form): (u8, u8)| match form {
        b'0' => byte.is_ascii_digit(),
        b'a' => byte.is_ascii_digit() || byte.is_ascii_lowercase(),
        form => byte == form,
    };
    let word = |word: &str| match word.trim_end_matches('\n') {
        trimmed if trimmed.len() == form.len() && trimmed.bytes().zip(form.bytes()).all(fits) => {
            format!("{other}{}", &word[trimmed.len()..])
        }
        _ => word.to_owned(),
    };
    text.split_inclusive([' ', '\n'])
        .map(|piece| match piece.strip_suffix(' ') {
            Some(bare) => word(bare) + " ",
            None => word(piece),
        })
        .collect()
}
