//! A real SSH server with keys and a configuration of its own: OpenSSH's sshd, or dropbear.
//!
//! It is run once for each connection (`-i`), on a socket that was listening before the test began: no port is
//! guessed and nothing has to be waited for.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tempfile::TempDir;

use super::dropbear;

const SSHD: &str = "/usr/sbin/sshd";

/// A running server.
pub(crate) struct Sshd {
    folder: TempDir,
    address: Ipv4Addr,
    port: u16,
    sessions: Arc<AtomicUsize>,
}

/// What serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Server {
    #[default]
    OpenSsh,
    Dropbear,
}

/// How a server differs from the stock one.
#[derive(Default)]
pub(crate) struct Options<'a> {
    /// What it is.
    pub(crate) server: Server,
    /// More lines for OpenSSH's sshd_config.
    pub(crate) config: &'a str,
    /// Whether it takes `GIT_PROTOCOL` from the client, which dropbear never does.
    pub(crate) accept_env: bool,
    /// A shell script that is run instead of the client's command, which is in `SSH_ORIGINAL_COMMAND`.
    pub(crate) forced: Option<&'a str>,
    /// Where it listens, if not on 127.0.0.1.
    pub(crate) address: Option<Ipv4Addr>,
}

impl Sshd {
    /// A server that takes `GIT_PROTOCOL` from the environment.
    pub(crate) fn start() -> Self {
        Self::with(&Options { accept_env: true, ..Options::default() })
    }

    /// A server with options.
    pub(crate) fn with(options: &Options<'_>) -> Self {
        assert!(Path::new(SSHD).exists(), "{SSHD} is missing: apt-get install openssh-server");
        let folder = tempfile::tempdir().unwrap();
        for key in ["host_key", "user_key", "other_key"] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.path().join(key)));
        }
        fs::copy(folder.path().join("user_key.pub"), folder.path().join("authorized_keys")).unwrap();
        let address = options.address.unwrap_or(Ipv4Addr::LOCALHOST);
        known_hosts(folder.path(), address, "known_hosts", "host_key");
        known_hosts(folder.path(), address, "other_hosts", "other_key");
        fs::write(folder.path().join("no_hosts"), "").unwrap();
        fs::write(folder.path().join("sshd_config"), configuration(folder.path(), options)).unwrap();
        if options.server == Server::Dropbear {
            dropbear::prepare(folder.path());
        }
        // The pid lets a test see that the program has ended; other people's configuration is none of ours.
        let program = format!("echo $$ >> '{}'\nexec ssh -F none \"$@\"", folder.path().join("pids").display());
        write_program(&folder.path().join("ssh"), &program);
        if is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let sessions = Arc::new(AtomicUsize::new(0));
        let (place, log) = (folder.path().to_owned(), File::create(folder.path().join("log")).unwrap());
        let (server, forced) = (options.server, options.forced.is_some());
        let counter = Arc::clone(&sessions);
        thread::spawn(move || {
            for connection in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                let command = match server {
                    Server::OpenSsh => sshd(&place),
                    Server::Dropbear => dropbear::command(&place, forced),
                };
                serve(connection.unwrap(), command, &log);
            }
        });
        Self { folder, address, port, sessions }
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a repository there.
    pub(crate) fn url(&self, path: &Path) -> String {
        url_at(self.address, self.port, path)
    }

    /// How many connections were made to it.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
    }

    /// A file of it: `user_key` (accepted), `other_key` (not), `known_hosts` (its own key), `other_hosts` (another's),
    /// `no_hosts` (nobody's), `ssh` (a client without configuration).
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The processes that `ssh` of [`Sshd::file`] has had.
    pub(crate) fn clients(&self) -> Vec<String> {
        fs::read_to_string(self.file("pids")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// Whether root runs this.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The URL of a repository behind a port of this machine.
pub(crate) fn url(port: u16, path: &Path) -> String {
    url_at(Ipv4Addr::LOCALHOST, port, path)
}

fn url_at(address: Ipv4Addr, port: u16, path: &Path) -> String {
    let user = run(Command::new("id").arg("-un"));
    format!("ssh://{}@{address}:{port}{}", user.trim(), path.display())
}

/// Counts the bytes of one connection to a port, in both directions, that `client` makes to the port it is given.
pub(crate) fn traffic(port: u16, client: impl FnOnce(u16)) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    let counted = thread::spawn(move || {
        let (near, far) = (listener.accept().unwrap().0, TcpStream::connect(("127.0.0.1", port)).unwrap());
        let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let up = thread::spawn(move || relay(near_too, far_too));
        relay(far, near) + up.join().unwrap()
    });
    client(here);
    counted.join().unwrap()
}

/// Writes a shell script. Another process does the writing: a file that this one has open for writing could not be
/// run while a thread beside this one starts a program.
pub(crate) fn write_program(path: &Path, script: &str) {
    let write = "umask 077; cat > \"$0\" && chmod 0755 \"$0\"";
    let mut child = Command::new("sh").arg("-c").arg(write).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "cannot write {}", path.display());
}

fn relay(mut from: TcpStream, mut to: TcpStream) -> u64 {
    let mut buffer = [0; 16 << 10];
    let mut total = 0;
    // A reset is an end like any other.
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        total += count as u64;
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    total
}

fn sshd(folder: &Path) -> Command {
    let mut command = Command::new(SSHD);
    command.args(["-i", "-e", "-f"]).arg(folder.join("sshd_config"));
    command
}

fn serve(connection: TcpStream, mut command: Command, log: &File) {
    let socket = || -> io::Result<Stdio> { Ok(OwnedFd::from(connection.try_clone()?).into()) };
    command.stdin(socket().unwrap()).stdout(socket().unwrap()).stderr(log.try_clone().unwrap());
    let mut session = command.spawn().unwrap();
    thread::spawn(move || session.wait());
}

fn configuration(folder: &Path, options: &Options<'_>) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut text = format!(
        "HostKey {0}/host_key\nAuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         ExposeAuthInfo yes\n\
         LogLevel VERBOSE\nSetEnv PATH={path} GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1\n",
        folder.display()
    );
    if options.accept_env {
        text.push_str("AcceptEnv GIT_PROTOCOL\n");
    }
    if let Some(script) = options.forced {
        write_program(&folder.join("forced"), script);
        text.push_str(&format!("ForceCommand {}/forced\n", folder.display()));
    }
    // What stands first counts (sshd_config(5)).
    options.config.to_owned() + &text
}

/// A known_hosts file in which every port of an address has the given key.
fn known_hosts(folder: &Path, address: Ipv4Addr, name: &str, key: &str) {
    let key = fs::read_to_string(folder.join(key).with_extension("pub")).unwrap();
    fs::write(folder.join(name), format!("[{address}]:* {key}")).unwrap();
}

pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
