//! `giterctl serve` as the forced command of a device's key, behind a real sshd: what the device can do with it, by both
//! of its clients, and what anybody else who holds the key cannot.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use super::{
    common::{
        case::World,
        exchange::{DEVICE, MANIFEST, status_ref},
        sshd::{Options, Sshd, run},
    },
    guarded::{GITERCTL, guard},
    system_to_openssh::stories::sync,
};

/// A hub with the hook, whose sshd knows the device's key by the exchange alone.
pub(super) struct Served {
    pub(super) sshd: Sshd,
    pub(super) world: World,
}

impl Served {
    pub(super) fn by_file(accept_env: bool) -> Self {
        let served = Self::new(Options { accept_env, ..Options::default() });
        let lines = run(Command::new(GITERCTL).arg("authorized-keys").arg(served.hub()));
        assert!(lines.starts_with("command=\"") && lines.contains(&format!(" serve {DEVICE} ")), "{lines}");
        fs::write(served.sshd.file("authorized_keys"), lines).unwrap();
        served
    }

    fn new(options: Options<'_>) -> Self {
        let sshd = Sshd::with(&options);
        let world = sync::world(&sshd);
        guard(&sshd, &world, "user_key");
        Self { sshd, world }
    }

    fn hub(&self) -> std::path::PathBuf {
        self.world.exchange.hub.path()
    }

    /// ssh with the device's key, and what it is to ask for.
    fn ssh(&self, asked: &[&str]) -> Command {
        let mut ssh = Command::new("ssh");
        let url = self.sshd.url(Path::new("/"));
        ssh.args(["-F", "none", "-T", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", "-i"]);
        ssh.arg(self.sshd.file("user_key")).arg("-o");
        ssh.arg(format!("UserKnownHostsFile={}", self.sshd.file("known_hosts").display()));
        ssh.arg(url.trim_end_matches('/')).args(asked).stdin(Stdio::null());
        ssh
    }

    /// Publishes other specs, which the device is to apply and report.
    fn changes(&self, text: &str) {
        let before = self.world.status().sequence;
        self.world.exchange.write(MANIFEST, self.world.specs(text));
        let tip = self.world.exchange.publish();
        let out = self.world.device.sync_well();
        assert!(out.starts_with(&format!("accepted {}, ", tip.short())) && out.contains("pushed as "), "{out}");
        self.world.check_holds(text);
        assert_eq!(self.world.status().sequence, before + 1);
    }
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_device_syncs_by_its_forced_command() {
    for accept_env in [true, false] {
        let served = Served::by_file(accept_env);
        for client in ["system", "builtin"] {
            served.world.device.set("LINK_SSH", client);
            served.changes(&format!("by {client}\n"));
        }
        // Spelled another way, and through a link.
        let link = served.world.exchange.beside("link");
        std::os::unix::fs::symlink(served.hub(), link.with_extension("git")).unwrap();
        served.world.device.set("LINK_URL", served.sshd.url(&link));
        served.changes("through a link\n");
    }
}

#[test]
fn sshd_asks_for_the_key_itself() {
    let program = format!("/usr/bin/env {GITERCTL} authorized-keys");
    let user = run(Command::new("id").arg("-un"));
    let served = Served::new(Options { accept_env: true, ..Options::default() });
    let config = fs::read_to_string(served.sshd.file("sshd_config")).unwrap();
    let command = format!("AuthorizedKeysCommand {program} {} %t %k", served.hub().display());
    let config = format!("AuthorizedKeysFile none\n{command}\nAuthorizedKeysCommandUser {user}{config}");
    fs::write(served.sshd.file("sshd_config"), config).unwrap();
    served.changes("asked for\n");
    let refused = served.ssh(&["id"]).output().unwrap();
    let (code, words) = said(&refused);
    assert!(code == Some(2) && words.ends_with("reason: CommandNotAllowed\n"), "{words}");
    // A publisher takes the key away, and with it the login.
    fs::remove_file(served.world.exchange.work().join(format!("specs/{DEVICE}/device.yaml"))).unwrap();
    served.world.exchange.publish();
    let run = served.world.device.sync();
    assert_eq!((run.exit, run.said("reason")), (Some(2), "SshKeyRefused"), "{}", run.err);
}

#[test]
fn the_key_is_good_for_nothing_else() {
    let served = Served::by_file(true);
    let hub = served.hub().display().to_string();
    let marker = served.world.exchange.beside("marker");
    let touch = format!("touch {}", marker.display());
    for asked in [
        &[][..],
        &["sh"],
        &[&touch],
        &["git-upload-pack", &format!("'{hub}';"), &touch],
        &["git-upload-pack", &format!("'{hub}'$({touch})")],
        &["git-upload-archive", &format!("'{hub}'")],
        &["giterctl", "hook", "install", &format!("'{hub}'")],
    ] {
        let (code, words) = said(&served.ssh(asked).output().unwrap());
        assert!(code == Some(2) && words.ends_with("reason: CommandNotAllowed\n"), "{asked:?}: {words}");
    }
    for asked in [&["-s", "sftp"][..], &["-s", "x"]] {
        let output = served.ssh(&[]).args(asked).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{asked:?}");
        assert!(output.stdout.is_empty(), "{asked:?}");
    }
    let (code, words) = said(&served.ssh(&["git-upload-pack", "'/etc'"]).output().unwrap());
    assert!(code == Some(2) && words.ends_with("reason: RepositoryNotFound\n"), "{words}");
    assert!(!marker.exists(), "a client's words were run");
    served.world.device.set("LINK_URL", served.sshd.url(&served.world.exchange.beside("other.git")));
    let run = served.world.device.sync();
    assert_eq!((run.exit, run.said("reason")), (Some(2), "RepositoryNotFound"), "{}", run.err);
}

#[test]
fn git_is_shown_and_takes_the_devices_own_alone() {
    let served = Served::by_file(true);
    let (world, hub) = (&served.world, served.hub());
    let ssh = format!(
        "ssh -F none -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={}",
        served.sshd.file("user_key").display(),
        served.sshd.file("known_hosts").display()
    );
    let url = served.sshd.url(&hub);
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(world.exchange.work()).args(args).env("GIT_SSH_COMMAND", &ssh);
        git.output().unwrap()
    };
    let tip = world.exchange.head();
    for name in ["refs/giter/status/fan-01", "refs/heads/topic", "refs/tags/v1"] {
        world.exchange.hub.git(&["update-ref", name, &tip.to_string()]);
    }
    let listing = String::from_utf8(git(&["ls-remote", &url]).stdout).unwrap();
    let names: Vec<_> = listing.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
    assert_eq!(names, ["HEAD", &status_ref(), "refs/heads/main"]);
    let before = world.exchange.hub.git(&["for-each-ref"]);
    for refspec in ["+HEAD:refs/giter/status/fan-01", ":refs/giter/status/fan-01", "HEAD:refs/heads/new", "HEAD:main"] {
        let (code, words) = said(&git(&["push", &url, refspec]));
        let is_known = refspec == "HEAD:main" && words.contains("hidden");
        assert!(code == Some(1) && (is_known || words.contains("reason: RefNotAllowed")), "{refspec}: {words}");
    }
    for refspec in [format!("+HEAD:{}", status_ref()), format!(":{}", status_ref())] {
        let (code, words) = said(&git(&["push", &url, &refspec]));
        assert!(code == Some(1) && words.contains("pre-receive hook declined"), "{refspec}: {words}");
    }
    assert_eq!(world.exchange.hub.git(&["for-each-ref"]), before);
}

#[test]
fn a_connected_device_is_told_of_its_changes() {
    let served = Served::by_file(true);
    let (world, hub) = (&served.world, served.hub().display().to_string());
    let mut ssh = served.ssh(&["giterctl", "watch", &format!("'{hub}'")]);
    let mut watch = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "giter-watch 1");
    assert_eq!(lines.next().unwrap(), world.exchange.head().to_string());
    world.exchange.write("README", "of no interest to the device\n");
    world.exchange.publish();
    world.exchange.write(MANIFEST, world.specs("told\n"));
    let tip = world.exchange.publish();
    assert_eq!(lines.next().unwrap(), tip.to_string());
    drop(watch.stdin.take());
    assert_eq!(lines.next(), None);
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}
