//! Sticks in a mount namespace of their own: what is plugged, mounted and pulled here is seen by nobody else, and ends with
//! the test. Needs root, `unshare`, `nsenter`, `mount`, `losetup`, `fsfreeze`, `mkfs.ext4`, and a kernel with tmpfs, loop devices and
//! ext4.
//!
//! An automounter is played by `mount`. A stick that nobody mounts is a loop device, of which the kernel tells as of any
//! disk; that it can be removed says a file that is mounted over the one in sysfs.

use std::{
    fs,
    io::Read,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;

use crate::{
    daemon::{Daemon, eventually},
    site::{SPECS, Site, run},
};

/// What ends a visit, well or not.
const END: &str = "it may be pulled out";

/// A device without a hub, in a mount namespace of its own.
struct Room {
    site: Site,
    /// Keeps the namespace.
    keeper: Child,
}

impl Room {
    /// With these lines in the configuration's `[stick]`.
    fn new(more: &str) -> Self {
        let site = Site::new(SPECS);
        for name in ["media/a", "make", "leds/ACT"] {
            fs::create_dir_all(site.path(name)).unwrap();
        }
        for (name, value) in [("max_brightness", "255"), ("brightness", "7"), ("trigger", "[none]")] {
            fs::write(site.path("leds/ACT").join(name), value).unwrap();
        }
        let folder = site.path("");
        site.configure_stick(&format!(
            "[led]\nsysfs = \"{0}leds\"\n[stick]\nwatch = [\"{0}media\"]\nat = \"{0}at\"\nled = \"ACT\"\n{more}",
            folder.display()
        ));
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation=private", "sh", "-c", "echo; exec sleep infinity"]);
        let mut keeper = unshare.stdout(Stdio::piped()).spawn().unwrap();
        // Something is said from within once it is there.
        keeper.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        Self { site, keeper }
    }

    /// Runs a shell script there, in the site's folder.
    fn run(&self, script: &str) -> String {
        run(self.inside("sh").arg("-ec").arg(format!("cd {}; {script}", self.site.path("").display())))
    }

    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.keeper.id())).arg(program);
        command
    }

    fn start(&self) -> Daemon {
        let mut command = self.inside(env!("CARGO_BIN_EXE_giterd"));
        command.arg("--config").arg(self.site.path("giterd.toml")).stdin(Stdio::null());
        let daemon = Daemon::start(&mut command);
        daemon.wait_for("looked at the board");
        daemon
    }

    /// Plugs a stick in that has this folder, as an automounter does.
    fn plug(&self, folder: &str) {
        self.run(&format!("mount -t tmpfs stick make; mkdir make/{folder}; mount --move make media/a"));
    }

    /// Plugs a stick in with the exchange on it, after this has been done to it.
    fn plug_bundle(&self, more: &str) {
        let place = "make/GITER/unnamed/to-device";
        self.run(&format!(
            "mount -t tmpfs stick make; mkdir -p {place}; git -C exchange bundle create -q ../{place}/pump-07.bundle main; \
             {more}; mount --move make media/a"
        ));
    }

    /// Likewise, with a file system that is frozen: who writes there, waits.
    fn plug_frozen(&self) {
        self.make_image();
        self.run("mount -o loop,noatime image make; fsfreeze -f make; mount --move make media/a");
    }

    /// Makes the image of a stick with the exchange on it.
    fn make_image(&self) {
        let place = "tree/GITER/unnamed/to-device";
        self.run(&format!(
            "mkdir -p {place}; git -C exchange bundle create -q ../{place}/pump-07.bundle main; truncate -s 8M image; \
             mkfs.ext4 -q -d tree image"
        ));
    }

    /// That the stick takes along what the device has to say, whole.
    fn check_statuses(&self) {
        self.run("git -C exchange bundle verify -q ../media/a/GITER/unnamed/from-device/pump-07.bundle");
        self.run("cmp media/a/GITER/unnamed/from-device/pump-07.bundle state/outbox.bundle");
    }

    fn wait_for_led(&self, brightness: &str) {
        let file = self.site.path("leds/ACT/brightness");
        eventually("the LED", || (fs::read_to_string(&file).unwrap() == brightness).then_some(()));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

#[test]
fn a_stick_is_met_once_for_each_plugging_and_an_led_shows_it() {
    let room = Room::new("");
    let daemon = room.start();
    for _ in 0..2 {
        room.plug("GITER");
        daemon.wait_for(&format!("stick {}: met", room.site.path("media/a").display()));
        daemon.wait_for(END);
        room.wait_for_led("255");
        room.run("umount media/a");
        let lines = daemon.wait_for("a stick was pulled out");
        assert!(!lines.iter().any(|line| line.contains(": met")), "{lines:?}");
        room.wait_for_led("7");
    }
    daemon.stop();
}

#[test]
fn what_a_stick_brings_is_applied_and_answered() {
    let room = Room::new("");
    let daemon = room.start();
    room.plug_bundle("true");
    daemon.wait_for("accepted ");
    daemon.wait_for("read GITER/unnamed/to-device/pump-07.bundle");
    daemon.wait_for("wrote GITER/unnamed/from-device/pump-07.bundle");
    daemon.wait_for("done; it may be pulled out");
    room.wait_for_led("255");
    assert!(room.site.registers().contains("GPIO17 = \"high\""));
    room.run("cd exchange; git bundle list-heads ../media/a/GITER/unnamed/from-device/pump-07.bundle");
    daemon.stop();
}

#[test]
fn a_stick_that_can_only_be_read_brings_its_specs_all_the_same() {
    let room = Room::new("");
    let daemon = room.start();
    room.plug_bundle("mount -o remount,ro make");
    daemon.wait_for("accepted ");
    let lines = daemon.wait_for(END);
    assert!(lines.iter().any(|line| line.starts_with("warning: stick ")), "{lines:?}");
    assert!(lines.last().unwrap().contains("not all went well"), "{lines:?}");
    room.wait_for_led("0");
    assert!(room.site.registers().contains("GPIO17 = \"high\""));
    daemon.stop();
}

#[test]
fn a_stick_that_is_there_at_the_start_is_met_and_the_led_given_back_at_the_end() {
    let room = Room::new("");
    room.plug("GITER");
    let daemon = room.start();
    daemon.wait_for(END);
    room.wait_for_led("255");
    daemon.stop();
    room.wait_for_led("7");
}

#[test]
fn a_stick_of_somebody_else_is_left_alone() {
    let room = Room::new("");
    let daemon = room.start();
    room.plug("photos");
    daemon.wait_for("has no folder GITER: left alone");
    assert_eq!(room.run("ls media/a"), "photos");
    room.wait_for_led("7");
    daemon.stop();
}

#[test]
fn a_stick_that_nobody_mounts_is_mounted_visited_and_let_go() {
    let room = Room::new("mount = \"auto\"\n");
    room.run("mkdir -p tree/GITER; truncate -s 8M image; mkfs.ext4 -q -d tree image; echo 1 > one");
    let disk = room.run("losetup -f");
    room.run(&format!("mount --bind one /sys/block/{}/removable", disk.trim_start_matches("/dev/")));
    let daemon = room.start();
    room.run(&format!("losetup {disk} image"));
    daemon.wait_for(&format!("stick {disk}: met"));
    daemon.wait_for(END);
    let mounted = room.run(&format!("grep -c '^[^-]* - ext4 {disk} ' /proc/self/mountinfo || true"));
    room.run(&format!("losetup -d {disk}"));
    assert_eq!(mounted, "0");
    daemon.wait_for("a stick was pulled out");
    room.wait_for_led("7");
    daemon.stop();
}

/// Waits for a visit that is under way: what it brings is applied and what it has to say is written down, and to write that
/// to a frozen stick it waits.
fn wait_for_visit(room: &Room, daemon: &Daemon) {
    daemon.wait_for(&format!("stick {}: met", room.site.path("media/a").display()));
    eventually("the outbox", || room.site.path("state/outbox.bundle").exists().then_some(()));
    // At work: this LED has no trigger, so it is off.
    room.wait_for_led("0");
}

#[test]
fn a_stick_that_is_pulled_out_during_a_visit() {
    let room = Room::new("");
    let daemon = room.start();
    room.plug_frozen();
    wait_for_visit(&room, &daemon);
    // Lazily, as by who cannot wait: what is open there goes on, what is opened anew is something else.
    room.run("exec 9< media/a; umount --lazy media/a; fsfreeze -u /dev/fd/9");
    daemon.wait_for(END);
    daemon.wait_for("a stick was pulled out");
    room.wait_for_led("7");
    assert_eq!(room.run("ls media/a"), "", "something was written to where the stick had been");
    room.run("mount -o loop,noatime image media/a");
    daemon.wait_for("done; it may be pulled out");
    room.check_statuses();
    daemon.stop();
}

#[test]
fn a_stick_whose_disk_is_gone_when_it_is_read() {
    let room = Room::new("");
    let daemon = room.start();
    room.make_image();
    // What is where is known to the kernel by then; what is in it is not.
    room.run(
        "cp image whole; mount -o loop,ro,noload image make; ls -lR make > /dev/null; truncate -s 0 image; \
         mount --move make media/a",
    );
    let lines = daemon.wait_for(END);
    assert!(
        lines.iter().any(|line| line.contains("StickFailed: cannot read pump-07.bundle on the stick")),
        "{lines:?}"
    );
    assert!(lines.last().unwrap().contains("not all went well"), "{lines:?}");
    assert!(!room.site.registers().contains("GPIO17 = \"high\""));
    room.wait_for_led("0");
    room.run("umount media/a; mount -o loop whole media/a");
    daemon.wait_for("done; it may be pulled out");
    assert!(room.site.registers().contains("GPIO17 = \"high\""));
    room.check_statuses();
    room.wait_for_led("255");
    daemon.stop();
}

#[test]
fn an_agent_that_is_stopped_during_a_visit() {
    let room = Room::new("");
    let daemon = room.start();
    room.plug_frozen();
    wait_for_visit(&room, &daemon);
    daemon.signal(Signal::TERM);
    room.run("fsfreeze -u media/a");
    let (status, lines) = daemon.end();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    room.wait_for_led("7");
    assert!(room.site.registers().contains("GPIO17 = \"high\""));
    let daemon = room.start();
    daemon.wait_for("done; it may be pulled out");
    room.check_statuses();
    room.wait_for_led("255");
    daemon.stop();
}
