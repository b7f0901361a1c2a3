//! A gateway that runs: what passes between the hub and its folder is told once, and so is what cannot pass.

use std::{fs, path::PathBuf};

use rustix::process::Signal;

use super::{
    daemon::Daemon,
    site::{SPECS, Site},
};

const BUNDLE: &str = "hub: took for others GITER/unnamed/to-device/fan-01.bundle";
const FAILURE: &str = "relay: fan-01: BundleInvalid: ";

/// A gateway that has polled once, and has something for the device behind it.
fn gateway() -> (Site, Daemon) {
    let site = Site::new(SPECS);
    site.configure_file("1h", "1h");
    site.reconfigure("[link]", "[relay]\ndevices = [\"fan-01\"]\n[link]");
    let daemon = site.start();
    daemon.wait_for(BUNDLE);
    daemon.wait_for("debug: polled");
    (site, daemon)
}

/// Leaves what are no statuses of the device's in the gateway's folder.
fn leave_junk(site: &Site) -> PathBuf {
    let folder = site.path("state/relay/GITER/unnamed/from-device");
    fs::create_dir_all(&folder).unwrap();
    let junk = folder.join("fan-01.bundle");
    fs::write(&junk, "not one").unwrap();
    junk
}

/// Has it poll once more; all that it said until then.
fn polls(daemon: &Daemon) -> Vec<String> {
    daemon.signal(Signal::HUP);
    daemon.wait_for("debug: polled")
}

#[test]
fn what_a_gateway_carries_is_told_once() {
    let (site, daemon) = gateway();
    let said = polls(&daemon);
    assert!(!said.iter().any(|line| line.contains("hub: ") || line.contains("relay: ")), "{said:?}");

    let junk = leave_junk(&site);
    let said = polls(&daemon);
    assert_eq!(said.iter().filter(|line| line.contains(FAILURE)).count(), 1, "{said:?}");
    assert!(said.iter().any(|line| line.contains("relay: fan-01: hint: ")), "{said:?}");
    let said = polls(&daemon);
    assert!(!said.iter().any(|line| line.contains(FAILURE)), "{said:?}");
    // The branch moves: it is tried again, and what stands in its way is known.
    let commit = site.publish(&SPECS.replace("high", "low"));
    let said = polls(&daemon);
    assert!(said.iter().any(|line| line.contains(&format!("accepted {}", &commit[..12]))), "{said:?}");
    assert!(said.iter().any(|line| line.contains(BUNDLE)), "{said:?}");
    assert!(said.iter().all(|line| !line.contains(FAILURE) || line.starts_with("debug: ")), "{said:?}");
    fs::remove_file(junk).unwrap();
    site.publish(SPECS);
    let said = polls(&daemon);
    assert!(said.iter().any(|line| line.contains("relay: fan-01: carried for again")), "{said:?}");
    daemon.stop();
}

#[test]
fn what_was_refused_is_tried_again_at_the_first_poll_that_reaches_the_hub() {
    let (site, daemon) = gateway();
    leave_junk(&site);
    assert!(polls(&daemon).iter().any(|line| line.contains(FAILURE)));
    daemon.stop();
    let (hub, away) = (site.path("hub.git"), site.path("away.git"));
    fs::rename(&hub, &away).unwrap();
    let daemon = site.start();
    daemon.wait_for("debug: polled");
    fs::rename(&away, &hub).unwrap();
    let said = polls(&daemon);
    assert!(said.iter().any(|line| line.contains(FAILURE)), "{said:?}");
    let said = polls(&daemon);
    assert!(!said.iter().any(|line| line.contains(FAILURE)), "{said:?}");
    daemon.stop();
}
