//! Status refs.

use std::fs;

use giter_edge::{api::DeviceStatus, codec::status};

use super::{
    FAN, PUMP, Site,
    forge::{Device, Hub, unsigned},
    key, status_ref,
};

/// A hub, and a device that it has been told of.
fn site() -> (Site, Device) {
    let site = Site::new();
    let device = site.boards.stranger(PUMP, 1);
    site.approve(&device);
    (site, device)
}

/// The same, after two statuses.
fn spoken() -> (Site, Device) {
    let (site, mut device) = site();
    device.go_on(&site.boards, 2);
    site.accepted(&site.push_status(&device));
    (site, device)
}

#[test]
fn a_devices_own_statuses_are_let_in() {
    let (site, mut device) = site();
    for count in [1, 3, 1] {
        device.go_on(&site.boards, count);
        site.accepted(&site.push_status(&device));
        assert_eq!(site.value(&status_ref(PUMP)), device.tip);
    }
    device.reboot(7);
    device.go_on(&site.boards, 1);
    site.accepted(&site.push_status(&device));
    device.say(&site.boards, |status| status.sequence += 5);
    site.accepted(&site.push_status(&device));
    device.sign(&site.boards, status::to_yaml(&device.status).unwrap().into_bytes(), "status.yaml");
    site.refuses("StatusReplayed", &["commit "], || site.push_status(&device));
}

#[test]
fn a_device_that_nobody_approved_cannot_speak() {
    let site = Site::new();
    let mut device = site.boards.stranger(PUMP, 1);
    device.go_on(&site.boards, 1);
    let words = ["refused refs/giter/status/site-a/pump-07: ", "giterctl approve site-a/pump-07"];
    site.refuses("DeviceNotApproved", &words, || site.push_status(&device));
    let mut nobody = site.boards.stranger("no-such-device", 1);
    nobody.go_on(&site.boards, 1);
    site.refuses("DeviceNotApproved", &["specs/no-such-device"], || site.push_status(&nobody));
    // A branch's word that is not let in yet does not count.
    site.write_device(PUMP, &[&device.key], &[]);
    site.commit("approve");
    site.git(&["fetch", "-q", "../hub.git", &device.tip.unwrap().to_string()]);
    let both = ["main", &format!("{}:{}", device.tip.unwrap(), status_ref(PUMP))];
    let said = site.refused(|| site.push(&both));
    assert!(said.contains("nothing against refs/heads/main\n") && said.contains("DeviceNotApproved"), "{said}");
}

/// A name for what is wrong, the reason, words, and what is said after two good statuses.
type Wrong = (&'static str, &'static str, &'static [&'static str], fn(&Hub, &mut Device));

const WRONG: &[Wrong] = &[
    ("another key", "UntrustedKey", &["SHA256:", "is no key of site-a/pump-07"], |hub, device| {
        device.key = key(9);
        device.go_on(hub, 1);
    }),
    ("no signature", "UnsignedCommit", &["is not signed"], |hub, device| {
        let made = device.say(hub, |_| ());
        device.put(hub, unsigned(&made[2]).as_bytes());
    }),
    ("another namespace", "BadSignature", &["its signature proves nothing"], |hub, device| {
        device.say_as(hub, "file", str::to_owned);
    }),
    ("another device's", "WrongDevice", &["a status of site-b/fan-01"], |hub, device| {
        device.say(hub, |status| status.device = FAN.parse().unwrap());
    }),
    ("an old number", "StatusReplayed", &["status 1 follows status 2"], |hub, device| {
        device.say(hub, |status| status.sequence = 1);
    }),
    ("another boot's old number", "StatusForked", &["told by another boot"], |hub, device| {
        device.reboot(9);
        device.say(hub, |status| status.sequence = 2);
    }),
    ("two parents", "BadCommit", &["it has 2 parents"], |hub, device| {
        let parent = device.tip.unwrap();
        device.say_as(hub, "git", |text| text.replacen("\nauthor", &format!("\nparent {parent}\nauthor"), 1));
    }),
    ("something else than a status", "StatusInvalid", &["status.postcard is not"], |hub, device| {
        device.sign(hub, b"\x01junk".to_vec(), "status.postcard");
    }),
    ("another file", "StatusInvalid", &["not exactly one status.postcard"], |hub, device| {
        device.sign(hub, b"#!/bin/sh\n".to_vec(), "run-me");
    }),
    ("a wrong one under a good one", "StatusReplayed", &["status 1 follows"], |hub, device| {
        device.say(hub, |status| status.sequence = 1);
        device.say(hub, |status| status.sequence = 7);
    }),
    ("a new record", "NotFastForward", &["does not lead back to the last status"], |hub, device| {
        device.tip = None;
        device.go_on(hub, 1);
    }),
];

#[test]
fn what_is_not_the_devices_next_status_is_refused() {
    let (site, spoken) = spoken();
    for (name, reason, words, say) in WRONG {
        let mut device = site.boards.stranger(PUMP, 1);
        device.go_on(&site.boards, 2);
        assert_eq!(device.tip, spoken.tip, "the same words make the same commits");
        say(&site.boards, &mut device);
        let forced = format!("+{}:{}", device.tip.unwrap(), status_ref(PUMP));
        site.refuses_case(name, reason, words, || site.push_board(&[&forced]));
    }
}

#[test]
fn a_heartbeat_takes_the_place_of_a_heartbeat() {
    let (site, mut device) = spoken();
    let first = site.hub(&["rev-parse", &format!("{}~", status_ref(PUMP))]).parse().unwrap();
    for _ in 0..3 {
        device.tip = Some(first);
        device.go_on(&site.boards, 1);
        site.accepted(&site.push_forced(&device));
        assert_eq!(site.value(&status_ref(PUMP)), device.tip);
    }
    assert_eq!(site.hub(&["rev-list", "--count", &status_ref(PUMP)]), "2");
    device.say(&site.boards, |status| status.lost = 1);
    site.accepted(&site.push_status(&device));
    assert!(site.hub(&["reflog", "show", &status_ref(PUMP)]).lines().count() > 4, "the log has those that gave way");
}

/// What would take the place of a device's second status, and is refused.
type Usurper = (&'static str, &'static str, fn(&Hub, &mut Device, &mut DeviceStatus));

const USURPERS: &[Usurper] = &[
    ("a change", "would take the place of one", |hub, device, _| {
        device.say(hub, |status| status.lost = 1);
    }),
    ("a heartbeat after another boot", "would take the place of one", |hub, device, _| {
        device.reboot(9);
        device.go_on(hub, 1);
    }),
    ("one that forgets a commit", "would take the place of one", |hub, device, _| {
        device.say(hub, |status| status.advances -= 1);
    }),
    ("a heartbeat, of a change", "is no heartbeat", |hub, device, last| {
        last.lost = 1;
        device.go_on(hub, 1);
    }),
    ("a change, of a change", "is no heartbeat", |hub, device, last| {
        last.lost = 1;
        device.say(hub, |status| status.lost = 2);
    }),
];

#[test]
fn nothing_else_takes_the_place_of_anything() {
    for (name, words, usurp) in USURPERS {
        let (site, mut device) = site();
        device.go_on(&site.boards, 1);
        let (first, mut last) = (device.tip, device.status.clone());
        let mut usurper = site.boards.stranger(PUMP, 1);
        (usurper.tip, usurper.status.sequence, usurper.status.uptime) = (first, 2, 90);
        usurp(&site.boards, &mut usurper, &mut last);
        device.say(&site.boards, |status| status.lost = last.lost);
        site.accepted(&site.push_status(&device));
        site.refuses_case(name, "NotFastForward", &[words, "may take the place of a heartbeat"], || {
            site.push_forced(&usurper)
        });
    }
}

#[test]
fn a_heartbeat_with_an_old_number_takes_no_place() {
    let (site, mut device) = spoken();
    let first = site.hub(&["rev-parse", &format!("{}~", status_ref(PUMP))]).parse().unwrap();
    device.tip = Some(first);
    device.say(&site.boards, |status| {
        status.sequence = 2;
        status.uptime += 7;
    });
    site.refuses("StatusReplayed", &["status 2 follows status 2"], || site.push_forced(&device));
}

#[test]
fn many_gaps_hide_nothing() {
    let (site, mut device) = spoken();
    for _ in 0..=giter_edge::api::limits::FINDINGS {
        device.skip(&site.boards, 1);
    }
    site.refuses("TooMany", &["push them in several times"], || site.push_status(&device));
}

#[test]
fn so_many_statuses_are_taken_at_once() {
    let (site, _) = site();
    let most = giter_edge::api::limits::PUSH_STATUSES;
    for (count, reason) in [(most, "UnsignedCommit"), (most + 1, "NotFastForward")] {
        let refspec = format!("{}:{}", site.line(count), status_ref(PUMP));
        site.refuses(reason, &[], || site.push_board(&[&refspec]));
    }
}

#[test]
fn a_record_stays() {
    let (site, device) = spoken();
    site.refuses("DeletionRefused", &["git update-ref -d"], || site.push_board(&[&format!(":{}", status_ref(PUMP))]));
    let back = format!("+{}~:{}", device.tip.unwrap(), status_ref(PUMP));
    site.refuses("NotFastForward", &[], || site.push_board(&[&back]));
}

#[test]
fn a_device_does_not_write_another_ones_record() {
    let (site, mut pump) = spoken();
    let fan = site.boards.stranger(FAN, 2);
    site.approve(&fan);
    pump.go_on(&site.boards, 1);
    let there = format!("{}:{}", pump.tip.unwrap(), status_ref(FAN));
    site.refuses("UntrustedKey", &["refused refs/giter/status/site-b/fan-01"], || site.push_board(&[&there]));
}

#[test]
fn a_key_that_expired_does_not_speak_any_more() {
    let site = Site::new();
    let mut device = site.boards.stranger(PUMP, 1);
    device.time = 1_700_000_000;
    let spec = format!("{{statusKeys: [{{key: \"{}\", validBefore: \"2024-06-01\"}}]}}", super::open(&device.key));
    site.write(&format!("specs/{PUMP}/device.yaml"), super::device_yaml(PUMP, &spec));
    site.commit("for a while");
    site.accepted(&site.push(&["main"]));
    device.go_on(&site.boards, 1);
    site.refuses("KeyNotValid", &["counts no more today"], || site.push_status(&device));
}

#[test]
fn a_device_brings_little() {
    let (site, mut device) = spoken();
    device.go_on(&site.boards, 1);
    // Bytes that do not compress.
    let mut seed = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(5 << 20)
    .collect();
    let before = device.tip;
    device.sign(&site.boards, noise[..3 << 20].to_vec(), "status.postcard");
    site.refuses("ObjectMissing", &["or too large"], || site.push_status(&device));
    device.tip = before;
    device.sign(&site.boards, noise, "status.postcard");
    let said = site.refused(|| site.push_status(&device));
    assert!(said.contains("reason: ObjectMissing\n") && said.contains("reason: PushTooLarge\n"), "{said}");
    assert!(said.contains("at most 4194304 are taken"), "{said}");
}

#[test]
fn a_status_costs_the_same_in_a_large_fleet() {
    let (site, mut device) = spoken();
    let processes = |site: &Site, device: &Device| {
        let trace = site.world().path("trace");
        let _ = fs::remove_file(&trace);
        let mut env = vec![("GIT_TRACE", trace.as_os_str())];
        let name = format!("{}:{}", device.tip.unwrap(), status_ref(PUMP));
        site.accepted(&site.push_from("hub.git", &[&name], &std::mem::take(&mut env)));
        let text = fs::read_to_string(&trace).unwrap();
        text.lines().filter(|line| line.contains("built-in: git ")).count()
    };
    device.go_on(&site.boards, 1);
    let few = processes(&site, &device);
    for count in 0..300 {
        let id = format!("site-c/dev-{count}");
        site.write(&format!("specs/{id}/device.yaml"), super::device_yaml(&id, "{}"));
    }
    site.commit("a fleet");
    site.accepted(&site.push(&["main"]));
    device.go_on(&site.boards, 1);
    assert_eq!(processes(&site, &device), few);
    // Another device's folder is not even looked at.
    let lost = site.hub(&["rev-parse", "main:specs/site-c/dev-7"]);
    site.hub(&["repack", "-q", "-a", "-d"]);
    let packs = site.world().path("guarded.git/objects/pack");
    let pack = fs::read_dir(&packs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension() == Some("pack".as_ref()));
    let pack = pack.unwrap();
    let aside = site.world().path("aside.pack");
    fs::rename(&pack, &aside).unwrap();
    fs::remove_file(pack.with_extension("idx")).unwrap();
    site.world().git_with(&["-C", "guarded.git", "unpack-objects", "-q"], &fs::read(&aside).unwrap());
    fs::remove_file(site.world().path(&format!("guarded.git/objects/{}/{}", &lost[..2], &lost[2..]))).unwrap();
    device.go_on(&site.boards, 1);
    site.accepted(&site.push_status(&device));
}
