//! The namespaces that everything is measured in. Nothing of them has a name, so that nothing is left of them, however the
//! program ends: they are gone with the last process and the last open file that is in them.

use std::{
    env,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use crate::{Result, command::run};

/// The first argument of a program that is in its namespaces.
const INSIDE: &str = "--inside";

/// What is needed, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 10] = [
    ("bash", "bash"),
    ("git", "git"),
    ("ip", "iproute2"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mount", "mount"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("strace", "strace"),
    ("time", "time"),
    ("unshare", "util-linux"),
];

/// Whether this program is in namespaces of its own already, and its further arguments.
pub(crate) fn arguments() -> (bool, Vec<String>) {
    let mut words: Vec<_> = env::args().skip(1).collect();
    let is_inside = words.first().is_some_and(|word| word == INSIDE);
    if is_inside {
        words.remove(0);
    }
    (is_inside, words)
}

/// Runs this program again, in a network and a mount namespace of its own.
pub(crate) fn enter(words: &[String]) -> Result<ExitCode> {
    check()?;
    let folder = tempfile::tempdir()?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount", "--propagation", "private"]).arg(env::current_exe()?).arg(INSIDE).args(words);
    let status = unshare.env("TMPDIR", folder.path()).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether all is there that is needed.
fn check() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err("this needs root, for namespaces of its own: run it with sudo, or in a virtual machine".into());
    }
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let is_there = |program: &str| env::split_paths(&path).any(|folder| folder.join(program).exists());
    let missing: Vec<_> =
        PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("missing: {0}\ninstall with: apt-get install {0} (or what your system calls these)", missing.join(" "))
        .into())
}

/// Makes a network namespace; a thread that is moved there stays there, with the programs that it starts.
pub(crate) fn network() -> Result<File> {
    let mut holder = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && echo && exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let is_made = holder.stdout.take().is_some_and(|mut out| out.read_exact(&mut [0]).is_ok());
    let namespace = File::open(format!("/proc/{}/ns/net", holder.id()));
    holder.kill()?;
    holder.wait()?;
    if is_made { Ok(namespace?) } else { Err("cannot make a network namespace".into()) }
}

/// Makes the folder of temporary files one in memory, for all that is not measured. Its path.
pub(crate) fn memory() -> Result<PathBuf> {
    let folder = env::temp_dir();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=2g,mode=0755", "giter-bench"]).arg(&folder))?;
    Ok(folder)
}

/// Makes and mounts a disk of ext4 of its own, whose image is gone with the mount. The kernel's name of it.
pub(crate) fn mount_disk(image: &Path, at: &Path, bytes: u64) -> Result<String> {
    File::create(image)?.set_len(bytes)?;
    // Lazy initialisation would go on in the background, and be counted.
    let whole = "lazy_itable_init=0,lazy_journal_init=0";
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", whole]).arg(image))?;
    fs::create_dir_all(at)?;
    run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at))?;
    fs::remove_file(image)?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let device = mounts.lines().rev().find_map(|line| {
        let mut words = line.split(' ');
        let device = words.next()?;
        (Path::new(words.next()?) == at).then(|| device.trim_start_matches("/dev/").to_owned())
    });
    device.ok_or_else(|| format!("{} is not mounted", at.display()).into())
}
