//! A hub that tells of changes, and one that does so badly.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    process::Command,
    time::Duration,
};

use giter_edge::{
    api::{Oid, limits},
    link::SshConfig,
    reconcile::ports::{Heard, Link},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{WAY, sync::world};
use crate::{
    common::{hub::Hub, sshd::Sshd},
    daemon::Daemon,
};

/// A server whose `giterctl watch` is this script, and whose git is git.
fn start(watch: &str) -> Sshd {
    WAY.start_forced(&format!(
        "case \"$SSH_ORIGINAL_COMMAND\" in 'giterctl watch '*) {watch};; *) eval \"$SSH_ORIGINAL_COMMAND\";; esac"
    ))
}

/// A server whose watch greets and tells what is written to a pipe, until the device hangs up.
fn telling(pipe: &Path) -> (Sshd, File) {
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let tell = "echo giter-watch 1; cat <&3 & cat > /dev/null; kill $!";
    let sshd = start(&format!("exec 3<> '{}'; {tell}", pipe.display()));
    // Open for reading too, so that nobody has to be there first.
    (sshd, OpenOptions::new().read(true).write(true).open(pipe).unwrap())
}

fn watched(sshd: &Sshd, hub: &Hub) -> SshConfig {
    let mut config = WAY.config(sshd, &hub.path());
    config.manner.watch = true;
    config
}

/// Waits for the hub to say something that matters; `None` if it says nothing unasked.
fn hear(link: &mut dyn Link) -> Option<Heard> {
    loop {
        match link.heard() {
            Heard::Nothing => {}
            heard => return Some(heard),
        }
        let descriptor = link.listen()?;
        let mut fds = [PollFd::new(&descriptor, PollFlags::IN)];
        let patience = Timespec::try_from(Duration::from_secs(120)).unwrap();
        assert_eq!(poll(&mut fds, Some(&patience)), Ok(1), "the hub was silent");
    }
}

fn listed(link: &mut dyn Link) -> Oid {
    let branch = link.list().unwrap().branch;
    link.rest();
    branch
}

#[test]
fn a_change_is_told_and_found_on_the_same_connection() {
    let hub = Hub::with_files(1);
    let (sshd, mut pipe) = telling(&hub.beside("told"));
    let mut link = WAY.link(watched(&sshd, &hub));
    let first = listed(&mut *link);
    assert_eq!(hear(&mut *link), Some(Heard::News), "what happened before the greeting has to be looked for");
    assert_eq!(listed(&mut *link), first);
    for round in 0..3 {
        let tip = hub.commit("main", "specs/dev/0000.yaml", &round.to_string());
        // What the device knows is no news to it.
        write!(pipe, "{first}\n{tip}\n").unwrap();
        assert_eq!(hear(&mut *link), Some(Heard::News));
        assert_eq!(listed(&mut *link), tip);
    }
    assert_eq!(sshd.sessions(), 1);
}

/// Takes in what the hub says until that is nothing at all any more: the watch has ended, or nothing came for a while.
fn exhaust(link: &mut dyn Link) {
    let patience = Timespec::try_from(Duration::from_millis(500)).unwrap();
    loop {
        let descriptor = link.listen().expect("the connection is held");
        if poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&patience)).unwrap() == 0 {
            return;
        }
        link.heard();
    }
}

#[test]
fn a_hub_that_does_not_watch_or_does_it_badly_is_polled_on_the_same_connection() {
    let flood = format!("echo giter-watch 1; seq -f %040.0f 0 {}; cat > /dev/null", limits::WATCH_LINES);
    let refusals = ["exec giterctl-that-is-not-there", "echo no such command >&2; exit 128", "exit 0"];
    let garbage = ["echo welcome; cat > /dev/null", "echo giter-watch 1; echo x; exit 0", &flood];
    for watch in refusals.into_iter().chain(garbage) {
        let (hub, sshd) = (Hub::with_files(1), start(watch));
        let mut link = WAY.link(watched(&sshd, &hub));
        listed(&mut *link);
        exhaust(&mut *link);
        let tip = hub.commit("main", "specs/dev/0000.yaml", "changed");
        assert_eq!(listed(&mut *link), tip, "{watch}");
        exhaust(&mut *link);
        assert_eq!(sshd.sessions(), 1, "{watch}");
    }
}

#[test]
fn a_connection_that_is_lost_is_told_from_news() {
    let hub = Hub::with_files(1);
    let pids = hub.beside("server");
    // The session's server is the parent of what it runs.
    let lose = format!("echo $PPID > '{}'; echo giter-watch 1; cat > /dev/null", pids.display());
    let sshd = start(&lose);
    let mut link = WAY.link(watched(&sshd, &hub));
    listed(&mut *link);
    assert_eq!(hear(&mut *link), Some(Heard::News));
    let server = fs::read_to_string(&pids).unwrap();
    assert!(Command::new("kill").args(["-9", server.trim()]).status().unwrap().success());
    assert_eq!(hear(&mut *link), Some(Heard::Loss));
    assert!(link.listen().is_none());
    listed(&mut *link);
    assert_eq!(hear(&mut *link), Some(Heard::News), "another connection is watched again");
}

#[test]
fn from_push_to_applied_without_a_poll() {
    let folder = tempfile::tempdir().unwrap();
    let (sshd, mut pipe) = telling(&folder.path().join("told"));
    let world = world(&sshd);
    for (key, value) in [("INTERVAL", "1h"), ("WATCH", "on")] {
        world.device.set(&format!("LINK_{key}"), value);
    }
    let daemon = Daemon::start(&mut world.device.command(&[]));
    // Once as every daemon does, and once since the hub has begun to tell.
    daemon.wait_for("debug: polled");
    daemon.wait_for("debug: polled");
    // As many as use up a connection twice, where one has room for so many programs only.
    for round in ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n"] {
        let tip = world.publish_next(round);
        writeln!(pipe, "{tip}").unwrap();
        daemon.wait_for(&format!("accepted {}", tip.short()));
        daemon.wait_for("debug: polled");
        world.check_holds(round);
        world.accepted.set(tip);
    }
    daemon.stop();
}
