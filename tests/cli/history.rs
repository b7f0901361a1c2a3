//! `giterctl history`: every sort of event, from both ends and in every form.

use giter_edge::api::{Condition, ConditionType, condition::Text, status::Clock};

use super::{
    device,
    forge::{Hub, condition, resource},
    support::{golden, without_dates, without_names},
};

/// A record in which everything happens once.
fn eventful() -> Hub {
    let mut hub = Hub::new();
    let mut device = hub.device("site-a/pump-07", 7);
    let revisions = hub.revisions.clone();
    device.go_on(&hub, 1);
    let relay = |digest, conditions: &[Condition], value| {
        let mut relay = resource("GpioLine/pump-relay", digest, &[("value", value)]);
        relay.conditions.extend(conditions.iter().cloned());
        relay
    };
    let drift = |is, reason: &str, message: &str| condition(ConditionType::Drifted, is, reason, message);
    let corrected = |times| drift(false, "DriftCorrected", &format!("corrected {times} since the spec last changed"));
    device.say(&hub, |status| status.resources[0] = relay(1, &[corrected("once")], "high"));
    device.say(&hub, |status| {
        status.resources[0] = relay(1, &[corrected("3 times")], "high");
        status.resources.push(resource("File/motd", 2, &[("size", "6"), ("sha256", &"0".repeat(64))]));
    });
    device.say(&hub, |status| {
        (status.observed_revision, status.advances) = (Some(revisions[2]), 3);
        status.resources[0] = relay(9, &[], "low");
        status.resources[1] = resource("File/motd", 2, &[("size", "6"), ("sha256", &"1".repeat(64))]);
    });
    device.say(&hub, |status| {
        let full = condition(ConditionType::Ready, false, "FileFailed", "cannot write /etc/motd: full");
        status.resources[1].conditions = [full].into_iter().collect();
        status.resources[1].observed.clear();
        status.conditions[0] =
            condition(ConditionType::Synced, false, "UnsignedCommit", "commit 0123456789ab is not signed");
    });
    device.say(&hub, |status| {
        status.resources[1] = resource("File/motd", 2, &[("size", "6"), ("sha256", &"1".repeat(64))]);
        status.conditions[0] = condition(ConditionType::Synced, false, "HubTimeout", "the hub did not answer in 30 s");
    });
    device.reboot(8);
    device.say(&hub, |status| {
        status.conditions[0] = condition(ConditionType::Synced, true, "Accepted", "");
        status.agent = Text::new("0.2.0");
        status.clock = Clock::Behind;
    });
    device.say(&hub, |status| {
        status.board = Text::new("raspberry-pi-4b");
        status.clock = Clock::Plausible;
        status.resources[0] = relay(9, &[drift(true, "DriftReported", "found high; drift is only reported")], "high");
        status.resources[0].conditions[0] = condition(ConditionType::Ready, false, "Drifted", "");
    });
    device.say(&hub, |status| {
        status.sequence += 2;
        status.resources = vec![relay(9, &[], "low")];
    });
    device.status.sequence += 1;
    device.sign(&hub, vec![1, 2, 3], "status.postcard");
    device.say(&hub, |_| ());
    device.say(&hub, |status| (status.lost, status.resources) = (7, vec![]));
    device.say(&hub, |status| status.sequence -= 5);
    hub.publish(&device);
    hub
}

fn history(hub: &Hub, args: &[&str]) -> String {
    hub.world.giterctl(&[&["-C", "hub.git", "history", "site-a/pump-07"], args].concat()).good()
}

#[test]
fn everything_that_happened_is_told() {
    let hub = eventful();
    golden("history.txt", history(&hub, &[]));
    golden("history-wide.txt", history(&hub, &["-o", "wide"]));
    golden("history-name.txt", history(&hub, &["-o", "name"]));
    golden("history.json", history(&hub, &["-o", "json"]));
    golden("history.yaml", history(&hub, &["-o", "yaml"]));
    serde_json::from_str::<serde_json::Value>(&history(&hub, &["-o", "json"])).unwrap();
}

#[test]
fn the_newest_first_tells_the_same() {
    let hub = eventful();
    // Within a status the order of events stays.
    let statuses = |text: String| {
        let lines: Vec<_> = text.lines().skip(1).map(str::to_owned).collect();
        lines.chunk_by(|a, b| commit(a) == commit(b)).map(<[String]>::to_vec).collect::<Vec<_>>()
    };
    let forward = statuses(history(&hub, &["-o", "wide"]));
    let mut backward = statuses(history(&hub, &["-o", "wide", "--reverse"]));
    backward.reverse();
    assert_eq!(forward, backward);
    assert!(forward.len() > 12, "{forward:?}");
}

/// The commit of a line of the wide table.
fn commit(line: &str) -> &str {
    &line[34..46]
}

#[test]
fn what_the_record_lacks_is_said_at_its_beginning() {
    let mut hub = Hub::new();
    let mut device = hub.device("pump-07", 1);
    device.status.sequence = 5;
    device.sign(&hub, b"hello".to_vec(), "greeting");
    device.go_on(&hub, 2);
    hub.publish(&device);
    for args in [&[][..], &["--reverse"]] {
        let ran = hub.world.giterctl(&[&["-C", "hub.git", "history", "pump-07"], args].concat());
        golden(if args.is_empty() { "history-late.txt" } else { "history-late-reverse.txt" }, ran.all());
    }
}

#[test]
fn a_device_without_a_status_is_a_no() {
    let mut hub = Hub::new();
    let mut device = hub.device("site-a/pump-07", 1);
    device.go_on(&hub, 1);
    hub.publish(&device);
    golden("history-no-device.txt", hub.world.giterctl(&["-C", "hub.git", "history", "site-a"]).all());
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let mut hub = Hub::new();
    let mut device = hub.device("pump-07", 1);
    // More than a pipe holds.
    let many = (0..900).map(|n| resource(&format!("File/x{n}"), 1, &[]));
    device.status.resources = many.collect();
    device.go_on(&hub, 2);
    hub.publish(&device);
    let giterctl = env!("CARGO_BIN_EXE_giterctl");
    let script = format!("{{ '{giterctl}' -C hub.git history pump-07 -o json 2>err; echo $? >code; }} | head -1");
    let output = hub.world.command("sh").args(["-c", &script]).output().unwrap();
    assert_eq!((String::from_utf8(output.stdout).unwrap(), hub.world.read("code")), ("{\n".into(), "0\n".into()));
    assert_eq!(hub.world.read("err"), "");
}

#[test]
fn what_the_agent_did_is_told() {
    let world = device::published();
    device::live(&world);
    let told = world.giterctl(&["-C", "hub.git", "history", "pump-07"]).good();
    golden("history-agent.txt", without_dates(&without_names(&told)));
}
