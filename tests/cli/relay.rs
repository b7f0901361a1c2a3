//! A gateway that carries for a device behind it: both programs, from the hub to the device and back, by sticks alone.

use std::{fs, path::Path};

use giter_edge::codec::stick::Paper;
use serde_json::Value;

use super::{
    plant::{Board, Plant},
    support::Ran,
};

/// The hub's side, a gateway, and a device that only reaches the gateway.
struct Site {
    plant: Plant,
    gateway: Board,
    pump: Board,
}

impl Site {
    fn new() -> Self {
        let (gateway, pump) = (Board::new("site-a/gateway", 1), Board::new("site-a/pump-07", 2));
        let site = Self { plant: Plant::new(&[&gateway, &pump]), gateway, pump };
        site.plant.install("gateway", &site.gateway, "[relay]\ndevices = [\"site-a/pump-07\"]\n");
        site.plant.install("pump", &site.pump, "");
        site.set("one");
        site
    }

    /// Has both files say something else, and puts what the devices lack on the stick.
    fn set(&self, content: &str) {
        for (name, board) in [("gateway", &self.gateway), ("pump", &self.pump)] {
            self.plant.set_motd(name, board, content);
        }
        self.plant.publish(content);
        self.plant.export(&["--all"]);
    }

    /// A device meets a stick.
    fn meets(&self, name: &str, stick: &str) -> Ran {
        self.plant.meets(name, stick)
    }

    /// The gateway meets a stick: what it took from it and gave to it, by their last names.
    #[track_caller]
    fn passes(&self, stick: &str) -> [Vec<String>; 2] {
        let said: Value = serde_json::from_str(&done(self.meets("gateway", stick))).unwrap();
        ["took", "gave"].map(|way| {
            let paths = said["stick"]["relayed"][way].as_array().unwrap().iter();
            let name =
                |path: &Value| Path::new(path.as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
            paths.map(name).collect()
        })
    }

    fn says(&self, name: &str) -> String {
        self.plant.motd(name)
    }

    /// What the hub takes from the stick: device, result and reason.
    fn import(&self) -> Vec<[String; 3]> {
        let said = self.plant.import(&[]).0;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let files = said["files"].as_array().unwrap().iter();
        files.map(|row| ["device", "result", "reason"].map(|key| text(&row[key]))).collect()
    }

    /// Where something of the device lies in the folder that the gateway keeps.
    fn kept(&self, paper: Paper) -> std::path::PathBuf {
        self.plant
            .world
            .path(&format!("gateway/state/relay/{}", paper.place(&self.plant.exchange, &self.pump.id).path().display()))
    }
}

const KEPT: &str = "gateway/state/relay";

/// Calls with the file's bytes changed in one place of the pack, each time in another; then they are as before.
fn tampered(path: &Path, mut then: impl FnMut(usize)) {
    let sound = fs::read(path).unwrap();
    let pack = sound.windows(4).position(|bytes| bytes == b"PACK").unwrap();
    for at in (pack..sound.len()).step_by((sound.len() - pack) / 7) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(path, bytes).unwrap();
        then(at);
    }
    fs::write(path, sound).unwrap();
}

/// stdout of a program that succeeded, whatever it had to say of it.
#[track_caller]
fn done(ran: Ran) -> String {
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    ran.stdout
}

fn reason(ran: &Ran) -> &str {
    ran.stderr.lines().find_map(|line| line.strip_prefix("reason: ")).unwrap_or_default()
}

#[test]
fn specs_go_to_a_device_behind_a_gateway_and_statuses_come_back() {
    let site = Site::new();
    assert!(!site.passes("stick")[0].is_empty());
    assert_eq!((site.says("gateway"), site.says("pump")), ("one".into(), String::new()));
    // The device uses the gateway's folder as a stick.
    done(site.meets("pump", KEPT));
    assert_eq!(site.says("pump"), "one");
    assert_eq!(site.passes("stick")[1], ["pump-07.bundle", "pump-07.txt"]);
    let new = |board: &Board| [board.id.to_string(), "New".into(), String::new()];
    assert_eq!(site.import(), [new(&site.gateway), new(&site.pump)]);
    assert!(!site.plant.at_hub(&site.pump).is_empty());

    // Next time it is met by a stick that goes between the gateway and the device.
    site.set("two");
    assert!(site.passes("stick")[0].contains(&"pump-07.ack".into()));
    fs::create_dir(site.plant.world.path("between")).unwrap();
    assert!(site.passes("between")[1].contains(&"pump-07.ack".into()));
    done(site.meets("pump", "between"));
    assert_eq!(site.says("pump"), "two");
    assert_eq!(site.passes("between")[0], ["pump-07.bundle", "pump-07.txt"]);
    assert_eq!(site.passes("stick")[1], ["pump-07.bundle", "pump-07.txt"]);
    assert_eq!(site.import(), [new(&site.gateway), new(&site.pump)]);
    let statuses = ["-C", "hub.git", "rev-list", "--count", "refs/giter/status/site-a/pump-07"];
    assert_eq!(site.plant.world.git(&statuses), "2");
    let said = site.plant.world.giterd(&["--config", "gateway/giterd.toml", "check"]);
    assert!(said.stdout.contains("bytes for 1 of 1 device"), "{}", said.all());
}

#[test]
fn a_gateway_that_reaches_the_hub_carries_by_that_and_by_sticks() {
    let site = Site::new();
    let hub = site.plant.world.path("hub.git").display().to_string();
    site.plant.install(
        "gateway",
        &site.gateway,
        &format!("[link]\nurl = {hub:?}\n[relay]\ndevices = [\"site-a/pump-07\"]\n"),
    );
    let syncs = || {
        let said = done(site.plant.world.giterd(&["--config", "gateway/giterd.toml", "sync"]));
        let moved = said.lines().filter_map(|line| line.strip_prefix("took for ").or(line.strip_prefix("gave of ")));
        moved.map(|line| line.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(syncs(), ["pump-07.bundle"]);
    done(site.meets("pump", KEPT));
    assert_eq!((site.says("gateway"), site.says("pump")), ("one".into(), "one".into()));
    assert_eq!(syncs(), ["pump-07.ack", "pump-07.bundle"]);
    let heard = site.plant.at_hub(&site.pump);
    assert!(!heard.is_empty());
    assert_eq!(syncs(), [""; 0]);
    // What a stick that was at the hub before brings back stays until the next poll.
    let old = fs::read(site.plant.world.path(&site.plant.place(Paper::Specs, &site.pump)));
    let old = old.expect("it was exported before the gateway met any stick");
    site.set("two");
    assert_eq!(syncs(), ["pump-07.bundle"]);
    let specs = fs::read(site.kept(Paper::Specs)).unwrap();
    for junk in [old.as_slice(), b"", b"junk"] {
        fs::write(site.kept(Paper::Specs), junk).unwrap();
        assert_eq!(syncs(), ["pump-07.bundle"]);
        assert_eq!(fs::read(site.kept(Paper::Specs)).unwrap(), specs);
    }
    let old_stick = format!("old/{}", site.plant.place(Paper::Specs, &site.pump).strip_prefix("stick/").unwrap());
    site.plant.world.write(&old_stick, "");
    fs::write(site.plant.world.path(&old_stick), &old).unwrap();
    assert_eq!(site.passes("old")[0], ["pump-07.bundle"], "the gateway has not met that");
    assert_eq!(fs::read(site.kept(Paper::Specs)).unwrap(), old);
    assert_eq!(syncs(), ["pump-07.bundle"]);
    assert_eq!(fs::read(site.kept(Paper::Specs)).unwrap(), specs);
    // A stick without anything takes along what is there.
    fs::create_dir(site.plant.world.path("between")).unwrap();
    assert!(site.passes("between")[1].contains(&"pump-07.bundle".into()));
    done(site.meets("pump", "between"));
    assert_eq!(site.says("pump"), "two");
    assert!(site.passes("between")[0].contains(&"pump-07.bundle".into()));
    assert_eq!(syncs(), ["pump-07.ack", "pump-07.bundle"]);
    assert_ne!(site.plant.at_hub(&site.pump), heard);
    let said = site.plant.world.giterd(&["--config", "gateway/giterd.toml", "status"]);
    let row = said
        .stdout
        .lines()
        .find(|line| line.starts_with("site-a/pump-07 "))
        .unwrap_or_else(|| panic!("{}", said.all()));
    assert!(row.contains(&site.plant.at_hub(&site.pump)[..12]), "{row}");
}

#[test]
fn a_gateway_that_changes_what_it_carries_is_refused() {
    let site = Site::new();
    site.passes("stick");
    done(site.meets("pump", KEPT));
    site.passes("stick");
    site.import();
    site.set("two");
    site.passes("stick");
    let bundle = site.kept(Paper::Specs);
    let folder = bundle.parent().unwrap().parent().unwrap();
    let shared = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let specs =
        shared.chain([bundle]).find(|path| path.is_file() && path.extension().is_some_and(|end| end == "bundle"));
    tampered(&specs.expect("there are specs for the device"), |at| {
        let ran = site.meets("pump", KEPT);
        assert_eq!(site.says("pump"), "one", "flipped at {at}: {}", ran.all());
        assert!(["PackInvalid", "BundleInvalid"].contains(&reason(&ran)), "flipped at {at}: {}", ran.all());
    });
    done(site.meets("pump", KEPT));
    assert_eq!(site.says("pump"), "two");
    site.passes("stick");
    let heard = site.plant.at_hub(&site.pump);
    let is_said = |rows: &[[String; 3]], what: &str| {
        rows.iter().any(|[device, result, _]| *device == site.pump.id.to_string() && result == what)
    };
    tampered(&site.plant.world.path(&site.plant.place(Paper::Statuses, &site.pump)), |at| {
        assert!(is_said(&site.import(), "Refused"), "flipped at {at}");
        assert_eq!(site.plant.at_hub(&site.pump), heard);
    });
    assert!(is_said(&site.import(), "New"));
    assert_ne!(site.plant.at_hub(&site.pump), heard);
}

#[test]
fn a_device_with_both_links_goes_on_from_what_the_hub_has_heard() {
    let site = Site::new();
    let hub = site.plant.world.path("hub.git").display().to_string();
    site.plant.install("pump", &site.pump, &format!("[link]\nurl = {hub:?}\n"));
    let syncs = || done(site.plant.world.giterd(&["--config", "pump/giterd.toml", "sync"]));
    let count = || site.plant.world.git(&["-C", "hub.git", "rev-list", "--count", "refs/giter/status/site-a/pump-07"]);
    syncs();
    for (times, content) in ["two", "three"].into_iter().enumerate() {
        site.set(content);
        syncs();
        syncs();
        site.set(&format!("{content} by stick"));
        done(site.meets("pump", "stick"));
        assert_eq!(site.says("pump"), format!("{content} by stick"));
        // Either way may be the first.
        if times == 0 {
            assert_eq!(site.import()[0][1], "New");
        } else {
            site.set("by the hub");
        }
        syncs();
        assert_eq!(count(), ["3", "6"][times], "{content}");
    }
    site.plant.giterctl(&["verify", "site-a/pump-07"]).good();
}
