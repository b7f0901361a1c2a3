//! `giterd run` as a program: real processes, real signals, a hub on this disk and the simulated board.
//!
//! Intervals of an hour stand for "not by itself within this test"; short ones for "often".

#[allow(dead_code, reason = "a bench needs more of it")]
#[path = "../common/daemon.rs"]
mod daemon;
mod relay;
mod site;
mod sticks;

use std::fs;

use daemon::eventually;
use rustix::process::Signal;
use site::{SPECS, Site};

const HIGH: &str = "[gpio]\nGPIO17 = \"high\"\n";
const LOW: &str = "[gpio]\nGPIO17 = \"low\"\n";

fn warnings(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).filter(|line| line.starts_with("warning: ")).collect()
}

#[test]
fn what_was_accepted_last_is_applied_at_the_start_with_the_hub_gone() {
    let site = Site::new(SPECS);
    site.configure_file("1h", "1h");
    assert_eq!(site.giterd("sync").status.code(), Some(0));
    fs::rename(site.path("hub.git"), site.path("gone.git")).unwrap();
    site.play(LOW);
    let daemon = site.start();
    let lines = daemon.wait_for("debug: polled");
    assert!(lines.iter().any(|line| line.contains("drift corrected: found low")), "{lines:?}");
    assert!(warnings(&lines)[0].starts_with("warning: RepositoryNotFound: "), "{lines:?}");
    assert!(site.registers().contains("GPIO17 = \"high\""));
    daemon.stop();
}

#[test]
fn sighup_polls_at_once() {
    let site = Site::new(SPECS);
    site.configure_file("1h", "1h");
    let daemon = site.start();
    daemon.wait_for("debug: polled");
    let commit = site.publish(&SPECS.replace("high", "low"));
    daemon.signal(Signal::HUP);
    daemon.wait_for(&format!("accepted {}", &commit[..12]));
    daemon.wait_for("debug: polled");
    assert!(site.registers().contains("GPIO17 = \"low\""));
    daemon.stop();
}

#[test]
fn sighup_during_a_poll_leads_to_one_more() {
    let site = Site::new(SPECS);
    site.configure_ssh("echo >> calls; while [ ! -e go ]; do sleep 0.01; done; exit 255");
    let calls = || fs::read_to_string(site.path("calls")).unwrap_or_default().lines().count();
    let daemon = site.start();
    eventually("the first call", || (calls() == 1).then_some(()));
    daemon.signal(Signal::HUP);
    fs::write(site.path("go"), "").unwrap();
    daemon.wait_for("debug: polled");
    daemon.wait_for("debug: polled");
    assert_eq!(calls(), 2);
    daemon.stop();
}

#[test]
fn drift_is_corrected_between_polls_and_reported() {
    let site = Site::new(SPECS);
    site.configure_file("1h", "20ms");
    let daemon = site.start();
    daemon.wait_for("debug: polled");
    site.play(LOW);
    daemon.wait_for("GpioLine/pump: drift corrected: found low");
    daemon.wait_for("debug: polled");
    assert!(site.registers().contains("GPIO17 = \"high\""));
    let statuses = site.statuses();
    assert_eq!(statuses.len(), 2);
    assert!(statuses[0].contains("GpioLine/pump: drift corrected: found low, drive GPIO17 high"), "{statuses:?}");
    daemon.stop();
}

#[test]
fn a_fight_is_won_every_time_and_the_hub_hears_of_it_once() {
    let site = Site::new(SPECS);
    site.configure_file("1h", "20ms");
    let daemon = site.start();
    daemon.wait_for("debug: polled");
    for _ in 0..20 {
        site.play(LOW);
        daemon.wait_for("drift corrected: found low");
    }
    daemon.wait_for("looked at the board");
    assert!(site.registers().contains("GPIO17 = \"high\""));
    assert_eq!(site.statuses().len(), 2);
    daemon.stop();
}

#[test]
fn drift_that_is_only_reported_is_reported_once() {
    let site = Site::new(&SPECS.replace("failsafe: low", "drift: report"));
    site.configure_file("1h", "20ms");
    let daemon = site.start();
    daemon.wait_for("debug: polled");
    site.play(LOW);
    let lines = daemon.wait_for("debug: polled");
    assert_eq!(warnings(&lines), ["warning: GpioLine/pump: drift reported: found low"]);
    for _ in 0..10 {
        let lines = daemon.wait_for("looked at the board: nothing new");
        assert!(warnings(&lines).is_empty(), "{lines:?}");
    }
    assert!(site.registers().contains("GPIO17 = \"low\""));
    assert_eq!(site.statuses().len(), 2);
    site.play(HIGH);
    daemon.wait_for("GpioLine/pump: ready again");
    daemon.stop();
}

#[test]
fn a_resource_that_fails_is_tried_again_without_words() {
    let site = Site::new(SPECS);
    site.configure_file("1h", "20ms");
    site.play("[fail]\nGPIO17 = \"busy\"\n");
    let daemon = site.start();
    let lines = daemon.wait_for("debug: polled");
    assert_eq!(warnings(&lines).len(), 1, "{lines:?}");
    for _ in 0..10 {
        let lines = daemon.wait_for("looked at the board: nothing new");
        assert!(lines.iter().all(|line| line.starts_with("debug: ")), "{lines:?}");
    }
    site.play("");
    daemon.wait_for("GpioLine/pump: create: drive GPIO17 high");
    daemon.wait_for("debug: pushed status 2");
    daemon.stop();
}

#[test]
fn a_tick_without_a_change_says_nothing() {
    let site = Site::new(SPECS);
    site.configure_file("30ms", "10ms");
    let daemon = site.start();
    daemon.wait_for("debug: polled");
    for tick in ["looked at the board: nothing new", "debug: polled"].repeat(10) {
        let lines = daemon.wait_for(tick);
        assert!(lines.iter().all(|line| line.starts_with("debug: ")), "{lines:?}");
    }
    daemon.stop();
    assert_eq!(site.statuses().len(), 1);
}

#[test]
fn a_heartbeat_is_pushed_although_nothing_changed() {
    let site = Site::new(SPECS);
    site.configure_file("30ms", "1h");
    site.reconfigure("heartbeat = \"0s\"", "heartbeat = \"1s\"");
    let daemon = site.start();
    daemon.wait_for("debug: pushed status 1");
    let lines = daemon.wait_for("debug: pushed status 2");
    assert!(lines.iter().all(|line| line.starts_with("debug: ")), "{lines:?}");
    daemon.stop();
}

#[test]
fn a_hub_that_is_down_is_said_once_and_once_more_when_it_is_back() {
    let site = Site::new(SPECS);
    site.configure_file("30ms", "1h");
    let daemon = site.start();
    daemon.wait_for("debug: polled");
    fs::rename(site.path("hub.git"), site.path("gone.git")).unwrap();
    daemon.wait_for("warning: RepositoryNotFound: ");
    for _ in 0..3 {
        let lines = daemon.wait_for("debug: polled");
        assert!(warnings(&lines).is_empty(), "{lines:?}");
    }
    fs::rename(site.path("gone.git"), site.path("hub.git")).unwrap();
    let lines = daemon.wait_for("the branch is followed again");
    assert!(warnings(&lines).is_empty(), "{lines:?}");
    daemon.stop();
}

#[test]
fn a_state_folder_has_one_agent_at_a_time() {
    let site = Site::new(SPECS);
    site.configure_file("1h", "1h");
    let daemon = site.start();
    daemon.wait_for("debug: polled");
    let second = site.giterd("run");
    let words = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{words}");
    assert!(words.contains("reason: StateLocked\n"), "{words}");
    assert_eq!(daemon.stop()[0], "stopped");
    let third = site.start();
    third.wait_for("debug: polled");
    third.stop();
}

#[test]
fn a_silent_hub_does_not_delay_the_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new(SPECS);
        site.configure_ssh("echo $$ > pid.new; mv pid.new pid; exec sleep 3600");
        let daemon = site.start();
        let pid = eventually("ssh to start", || fs::read_to_string(site.path("pid")).ok());
        daemon.signal(signal);
        let (status, lines) = daemon.end();
        assert_eq!(status.code(), Some(0), "{lines:?}");
        assert!(warnings(&lines).is_empty(), "{lines:?}");
        assert!(!fs::exists(format!("/proc/{}", pid.trim())).unwrap(), "ssh outlived giterd");
        site.configure_file("1h", "1h");
        assert_eq!(site.giterd("sync").status.code(), Some(0));
    }
}

#[test]
fn specs_that_cannot_be_read_release_nothing() {
    let file = "---\napiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata: {name: motd}\n";
    let site = Site::new("");
    let path = site.path("files/motd");
    site.publish(&format!("{SPECS}{file}spec: {{path: {}, content: hello}}\n", path.display()));
    site.configure_file("1h", "20ms");
    assert_eq!(site.giterd("sync").status.code(), Some(0));
    site.reconfigure("/files\"]", "/other\"]");
    let daemon = site.start();
    let lines = daemon.wait_for("debug: polled");
    assert!(warnings(&lines)[0].starts_with("warning: PathNotAllowed: "), "{lines:?}");
    for _ in 0..3 {
        let lines = daemon.wait_for("looked at the board");
        assert!(warnings(&lines).is_empty(), "{lines:?}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "hello");
    assert!(site.registers().contains("GPIO17 = \"high\""));
    assert!(site.statuses()[0].contains("not synced: PathNotAllowed: "), "{:?}", site.statuses());
    daemon.stop();
    site.reconfigure("/other\"]", "/files\"]");
    assert_eq!(site.giterd("sync").status.code(), Some(0));
}
