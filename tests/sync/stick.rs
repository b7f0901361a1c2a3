//! A stick in the place of the hub: bundles that git itself makes, and every way in which what lies there can be wrong.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
};

use giter_edge::api::Oid;
use serde_json::Value;

use super::common::{
    device::Run,
    exchange::{By, DEVICE, status_ref},
    stick::Site,
};

impl Site {
    fn acknowledge(&self, status: Oid) {
        fs::write(self.stick(&format!("to-device/{DEVICE}.ack")), format!("{status}\n")).unwrap();
    }

    /// Why the last stick was not taken, as the device tells it later.
    fn last_stick(&self) -> Option<Value> {
        json(&self.device.run(&["status", "-o", "json"])).get("stick").cloned()
    }

    /// How many statuses the stick takes along.
    fn takes(&self) -> usize {
        let bundle = fs::read(self.statuses()).unwrap();
        let pack = bundle.windows(4).position(|bytes| bytes == b"PACK").unwrap() + 8;
        u32::from_be_bytes(bundle[pack..pack + 4].try_into().unwrap()) as usize / 3
    }
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}{}", run.out, run.err))
}

#[test]
fn whatever_git_bundles_is_taken() {
    let site = Site::new();
    let first = site.commit("one");
    site.exchange.hub.git(&["-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "-m", "a tag", "v1", "main"]);
    site.bundle(&site.own(), &["main", "v1"]);
    site.taken(first, "one");
    let second = site.commit("two");
    site.bundle(&site.own(), &["--version=3", &format!("{first}..main")]);
    site.taken(second, "two");
    site.commit("three");
    let fourth = site.commit("four");
    site.exchange.hub.git(&["branch", "other", "main"]);
    site.bundle(&site.own(), &["--all", &format!("^{second}")]);
    site.taken(fourth, "four");
    let fifth = site.commit("five");
    site.bundle(&site.own(), &["--all"]);
    site.taken(fifth, "five");
}

#[test]
fn a_bundle_for_several_is_taken_where_the_own_brings_nothing() {
    let (site, first) = Site::begun();
    let second = site.commit("two");
    site.bundle(&site.stick("to-device/_all.bundle"), &[&format!("{first}..main")]);
    let said = site.taken(second, "two");
    assert_eq!(said["stick"]["read"], "GITER/unnamed/to-device/_all.bundle");
}

#[test]
fn statuses_of_several_trips_arrive_in_order_and_once() {
    let (site, first) = Site::begun();
    // The stick is lost: the next one takes the same along, and what came since.
    fs::remove_dir_all(site.stick("from-device")).unwrap();
    let second = site.commit("two");
    site.bundle(&site.own(), &[&format!("{first}..main")]);
    site.taken(second, "two");
    assert_eq!(site.takes(), 2);
    site.acknowledge(site.bring());
    assert_eq!(site.chain(), 2);
    let third = site.commit("three");
    site.bundle(&site.own(), &[&format!("{second}..main")]);
    site.taken(third, "three");
    assert_eq!(site.takes(), 1, "what the hub has heard is not told again");
    site.bring();
    assert_eq!(site.chain(), 3);
    let signers = format!("gpg.ssh.allowedSignersFile={}", site.exchange.beside("device.signers").display());
    site.exchange.hub.git(&["-c", &signers, "verify-commit", &status_ref()]);
}

#[test]
fn a_device_that_is_met_again_writes_nothing() {
    let (site, _) = Site::begun();
    let bundle = site.statuses();
    let (stick, state) = (bundle.metadata().unwrap().ino(), site.device.state());
    let run = site.visit();
    assert_eq!(run.exit, Some(0), "{}", run.err);
    assert_eq!(bundle.metadata().unwrap().ino(), stick, "the statuses were written again");
    assert_eq!(site.device.state(), state);
}

#[test]
fn bundles_made_in_a_row_survive_each_other() {
    let (site, first) = Site::begun();
    // The hub has not heard of the second when it makes the third, and so on.
    for content in ["two", "three", "four"] {
        let next = site.commit(content);
        site.bundle(&site.own(), &[&format!("{first}..main")]);
        site.taken(next, content);
    }
}

#[test]
fn what_the_hub_hears_first_is_not_told_by_sticks() {
    let (site, first) = Site::begun();
    let second = site.commit("two");
    site.bundle(&site.own(), &[&format!("{first}..main")]);
    site.taken(second, "two");
    site.device.set("LINK_URL", site.exchange.hub.path().display());
    site.commit("three");
    assert_eq!(site.device.sync().exit, Some(0));
    assert_eq!((site.chain(), site.says()), (3, "three".into()));
    // The stick that is met next is older than what the hub has brought.
    let run = site.refused("Rewound", 1);
    assert_eq!((site.takes(), site.says()), (1, "three".into()));
    let own = format!("GITER/unnamed/to-device/{DEVICE}.bundle: ");
    let told = site.last_stick().unwrap();
    let message = format!("{own}{}", json(&run)["message"].as_str().unwrap());
    assert_eq!((&told["reason"], &told["message"]), (&"Rewound".into(), &message.into()));
    let shown = site.device.run(&["status"]);
    assert_eq!(shown.exit, Some(0), "it follows the branch all the same: {}", shown.out);
    assert!(shown.out.contains("synced     True (Accepted)\n"), "{}", shown.out);
    let line = shown.out.lines().find(|line| line.starts_with("stick      refused at ")).unwrap();
    assert!(line.contains(&format!("(Rewound): {own}")), "{line}");
    site.bring();
    assert_eq!(site.chain(), 4);
    // Met again, it is the same, and nothing is written; one that has nothing wrong ends that.
    let before = site.device.state();
    site.refused("Rewound", 1);
    assert_eq!((site.device.state(), site.last_stick()), (before, Some(told)));
    fs::remove_file(site.own()).unwrap();
    assert_eq!(site.visit().exit, Some(0));
    assert_eq!(site.last_stick(), None);
}

#[test]
fn a_bundle_that_does_not_fit_is_refused_and_said() {
    let site = Site::new();
    let first = site.commit("one");
    let second = site.commit("two");
    site.bundle(&site.own(), &[&format!("{first}..main")]);
    let run = site.refused("BundleBaseMissing", 1);
    assert!(run.said("hint").contains("--seed"), "{}", run.err);
    let shown = site.device.run(&["status"]);
    assert!(shown.said("error").contains("yet; the last stick was refused: the bundle of "), "{}", shown.err);
    assert_eq!(site.takes(), 1, "the hub hears why");
    site.bundle(&site.own(), &["main"]);
    site.taken(second, "two");
    site.exchange.reset(first);
    site.commit("another");
    site.bundle(&site.own(), &["main"]);
    site.refused("NotFastForward", 1);
    site.exchange.reset(second);
    site.exchange.commit(By::Eve);
    site.exchange.push();
    site.bundle(&site.own(), &[&format!("{second}..main")]);
    site.refused("UntrustedKey", 1);
    site.exchange.hub.git(&["branch", "--force", "other", &first.to_string()]);
    site.bundle(&site.own(), &["other"]);
    assert_eq!(site.visit().said("reason"), "", "a bundle without the branch is none for this device");
}

#[test]
fn a_stick_may_be_wrong_in_any_way() {
    let site = Site::new();
    let first = site.commit("one");
    site.bundle(&site.own(), &["main"]);
    let sound = fs::read(site.own()).unwrap();
    site.taken(first, "one");
    let second = site.commit("two");
    site.bundle(&site.own(), &[&format!("{first}..main")]);
    let next = fs::read(site.own()).unwrap();
    for end in (0..next.len()).step_by(29) {
        fs::write(site.own(), &next[..end]).unwrap();
        let run = site.visit();
        assert!(["BundleInvalid", "PackInvalid"].contains(&run.said("reason")), "cut at {end}: {}", run.err);
    }
    for at in (0..next.len()).step_by(31) {
        let mut bytes = next.clone();
        bytes[at] ^= 0x10;
        fs::write(site.own(), &bytes).unwrap();
        site.visit();
        assert_eq!(site.says(), "one", "flipped at {at}");
    }
    let path = site.own();
    let replaced = |by: &dyn Fn(&Path)| {
        fs::remove_file(&path).unwrap();
        by(&path);
    };
    let outside = site.exchange.beside("outside.bundle");
    fs::write(&outside, &next).unwrap();
    replaced(&|path| symlink(&outside, path).unwrap());
    site.refused("StickFailed", 3);
    replaced(&|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()));
    site.refused("StickFailed", 3);
    replaced(&|path| drop(UnixListener::bind(path).unwrap()));
    site.refused("StickFailed", 3);
    replaced(&|path| fs::File::create(path).unwrap().set_len(4 << 30).unwrap());
    site.refused("PackTooLarge", 1);
    replaced(&|path| fs::create_dir(path).unwrap());
    site.refused("StickFailed", 3);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, &sound).unwrap();
    fs::write(site.stick("to-device/mine.txt"), "untouched").unwrap();
    fs::rename(&outside, site.stick("to-device/_two.bundle")).unwrap();
    site.taken(second, "two");
    assert_eq!(fs::read(site.stick("to-device/mine.txt")).unwrap(), b"untouched");
}

#[test]
fn what_a_stick_says_the_hub_has_heard_counts_where_the_device_said_it() {
    let (site, first) = Site::begun();
    for forged in [first.to_string(), "0".repeat(40), "x".repeat(5000)] {
        fs::write(site.stick(&format!("to-device/{DEVICE}.ack")), format!("{forged}\n")).unwrap();
        assert_eq!(site.visit().exit, Some(0));
        assert_eq!(site.takes(), 1);
    }
}

#[test]
fn two_exchanges_on_one_stick_are_told_apart_by_the_operator() {
    let site = Site::new();
    let first = site.commit("one");
    site.bundle(&site.own(), &["main"]);
    let other = site.exchange.beside("stick/GITER/5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d/to-device");
    fs::create_dir_all(&other).unwrap();
    fs::copy(site.own(), other.join(format!("{DEVICE}.bundle"))).unwrap();
    site.refused("ExchangeAmbiguous", 2);
    fs::remove_dir_all(other).unwrap();
    site.taken(first, "one");
}

#[test]
fn a_stick_that_cannot_be_written_brings_its_specs() {
    let site = Site::new();
    let first = site.commit("one");
    site.bundle(&site.own(), &["main"]);
    let stick = site.exchange.beside("stick").display().to_string();
    site.device.mount(&format!("mount --bind '{stick}' '{stick}'\nmount -o remount,bind,ro '{stick}'"));
    let run = site.visit();
    assert_eq!((run.said("reason"), run.exit), ("StickFailed", Some(3)), "{}", run.err);
    assert_eq!(site.says(), "one");
    site.device.unmount();
    let second = site.commit("two");
    site.bundle(&site.own(), &[&format!("{first}..main")]);
    site.taken(second, "two");
    assert_eq!(site.takes(), 2, "what the first one could not take along");
}

#[test]
fn one_bundle_is_taken_and_what_there_is_to_say_waits() {
    let site = Site::new();
    let first = site.commit("one");
    let file = site.exchange.beside("one.bundle");
    site.bundle(&file, &["main"]);
    let run = site.device.run(&["sync", "--bundle", &file.display().to_string()]);
    assert_eq!(run.exit, Some(0), "{}", run.err);
    assert!(run.out.contains(&format!("accepted {}", first.short())), "{}", run.out);
    assert!(run.out.contains("status 1 waits in the outbox"), "{}", run.out);
    site.visit();
    assert_eq!(site.takes(), 1);
    let run = site.device.run(&["sync", "--bundle", "/nonexistent"]);
    assert_eq!((run.said("reason"), run.exit), ("StickFailed", Some(3)));
    let run = site.device.sync();
    assert_eq!((run.said("reason"), run.exit), ("BadConfig", Some(2)));
    assert!(run.said("hint").contains("--stick"), "{}", run.err);
}
