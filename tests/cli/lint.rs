//! `giterctl lint`: what a device would refuse, found before it is pushed.

use std::{fs, os::unix::fs::symlink};

use super::support::{OPS_KEY, OPS_PUB, World, golden, without_names};

const HEAD: &str = "apiVersion: edge.giter.dev/v1alpha1\n";

/// A working tree in which much is wrong.
fn broken() -> World {
    let world = World::new();
    let line = |name: &str, line: &str| {
        format!(
            "{HEAD}kind: GpioLine\nmetadata: {{name: {name}}}\nspec: {{line: {line}, direction: output, value: high, failsafe: low}}\n"
        )
    };
    world.write(
        "exchange.yaml",
        format!("{HEAD}kind: Exchange\nmetadata: {{name: plant-7}}\nspec: {{id: short, branch: main}}\n"),
    );
    world.write(
        "specs/site-a/pump-07/motd.yaml",
        format!("{HEAD}kind: File\nmetadata:\n  name: motd\nspec:\n  path: etc/motd\n  content: hello\n  mode: 0644\n  colour: red\n"),
    );
    world.write("specs/site-a/pump-07/relay.yaml", line("relay", "GPIO17") + "---\n" + &line("relay", "GPIO18"));
    world.write("specs/site-a/pump-07/syntax.yaml", "a: [b\n");
    world.write("specs/site-a/pump-07/kind.yaml", format!("{HEAD}kind: Pump\nmetadata: {{name: x}}\nspec: {{}}\n"));
    symlink("motd.yaml", world.path("specs/site-a/pump-07/link.yaml")).unwrap();
    world.write("specs/Edge_01/relay.yaml", line("relay", "GPIO17"));
    world.write("specs/edge-02/relay.yaml", line("relay", "GPIO99") + "---\n" + &line("other", "GPIO99"));
    world
}

fn good() -> World {
    let world = World::new();
    world.write(
        "specs/edge-01/conf.yaml",
        format!("{HEAD}kind: File\nmetadata: {{name: conf}}\nspec: {{path: /etc/app.yaml, source: app/conf.yaml, owner: nobody-here}}\n"),
    );
    world.write("specs/edge-01/app/conf.yaml", "no: [manifest\n");
    world
}

#[test]
fn findings_are_sorted_and_say_where() {
    let world = broken();
    golden("lint.txt", world.giterctl(&["lint"]).all());
    golden("lint-name.txt", world.giterctl(&["lint", "-o", "name"]).all());
    golden("lint.json", world.giterctl(&["lint", "-o", "json"]).stdout);
    golden("lint.yaml", world.giterctl(&["lint", "-o", "yaml"]).stdout);
}

#[test]
fn a_gateway_for_a_device_that_is_not_there_is_pointed_out() {
    let world = good();
    let gateway = |name: &str, relays: &str| {
        let text = format!("{HEAD}kind: Device\nmetadata: {{name: {name}}}\nspec: {{relays: [{relays}]}}\n");
        world.write(&format!("specs/{name}/device.yaml"), text);
    };
    gateway("gate-01", "edge-01, edge-02");
    gateway("gate-02", "gate-01");
    let warning =
        "warning: relays of gate-01 names edge-02, and there is no specs/edge-02/: approve it, or correct the name\n";
    for (arguments, said) in
        [(&["lint"][..], warning), (&["lint", "--device", "gate-01"], warning), (&["lint", "--device", "gate-02"], "")]
    {
        let ran = world.giterctl(arguments);
        assert_eq!((&*ran.stderr, ran.code), (said, Some(0)), "{}", ran.all());
    }
    gateway("edge-02", "");
    assert_eq!(world.giterctl(&["lint"]).stderr, "");
}

#[test]
fn a_reset_is_one_that_devices_believe() {
    let world = World::new();
    world.identify();
    world.write_key("ops.key", OPS_KEY);
    world.write("ops.key.pub", OPS_PUB);
    world.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "eve.key"]);
    world.giterctl(&["init", "work", "--device", "edge-01", "--key", "ops.key"]).good();
    world.giterctl(&["-C", "work", "reset", "edge-01", "--to", "HEAD"]).good();
    let lint = || without_names(&world.giterctl(&["lint", "work"]).all());
    assert!(lint().contains("nothing to object to\n"), "{}", lint());
    let (good, seal) = (world.read("work/reset.yaml"), world.read("work/reset.yaml.sig"));
    let sign = |text: &str, key: &str| {
        world.write("work/reset.yaml", text);
        fs::remove_file(world.path("work/reset.yaml.sig")).unwrap();
        world.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", key, "work/reset.yaml"]);
    };
    sign(&good, "eve.key");
    golden("lint-reset-stranger.txt", lint());
    let (head, tail) = good.split_once("exchange: ").unwrap();
    let bad = format!("{head}exchange: {}{}", "0".repeat(32), tail[32..].replace("serial: 1", "serial: 0"));
    sign(&bad, "ops.key");
    golden("lint-reset-wrong.txt", lint());
    sign(&bad.replace("serial: 0", "serial: 1"), "ops.key");
    golden("lint-reset-elsewhere.txt", lint());
    world.write("work/reset.yaml", good.replace("serial: 1", "serial: 2"));
    world.write("work/reset.yaml.sig", &seal);
    assert!(lint().contains("reset.yaml: reset.yaml.sig has no signature by a root"), "{}", lint());
    world.write("work/reset.yaml", &good);
    world.write("work/reset.yaml.sig", "#".repeat((64 << 10) + 1));
    assert!(lint().contains("reset.yaml.sig: it has more than 65536 bytes [FileTooLarge]"), "{}", lint());
    fs::remove_file(world.path("work/reset.yaml.sig")).unwrap();
    assert!(lint().contains("[UntrustedKey]"), "{}", lint());
    world.write("elsewhere", &seal);
    symlink("../elsewhere", world.path("work/reset.yaml.sig")).unwrap();
    assert!(lint().contains("reset.yaml.sig: put the file itself here [BadTreeEntry]"), "{}", lint());
}

#[test]
fn one_device_can_be_asked_for() {
    let world = broken();
    world.write("exchange.yaml", format!("{HEAD}kind: Exchange\nmetadata: {{name: x}}\nspec: {{id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d, branch: main}}\n"));
    golden("lint-device.txt", world.giterctl(&["lint", "--device", "edge-02"]).all());
    golden("lint-no-device.txt", world.giterctl(&["lint", "--device", "edge-99"]).all());
}

#[test]
fn a_board_knows_its_lines() {
    let world = World::new();
    let spec = "spec: {line: GPIO99, direction: input}\n";
    world.write("specs/a/x.yaml", format!("{HEAD}kind: GpioLine\nmetadata: {{name: x}}\n{spec}"));
    assert_eq!(world.giterctl(&["lint"]).good(), "1 device, 1 resource: nothing to object to\n");
    golden("lint-board.txt", world.giterctl(&["lint", "--board", "sim"]).all());
    golden("lint-no-board.txt", world.giterctl(&["lint", "--board", "toaster"]).all());
}

#[test]
fn content_and_owners_are_the_devices_own_matter() {
    assert_eq!(good().giterctl(&["lint", "."]).good(), "1 device, 1 resource: nothing to object to\n");
}

#[test]
fn what_no_device_reads_is_found() {
    let world = World::new();
    world.write("exchange.yaml", format!("{HEAD}kind: Exchange\nmetadata: {{name: x}}\nspec: {{id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d, branch: main}}\n"));
    golden("lint-no-specs.txt", world.giterctl(&["lint"]).all());
    world.write("specs/motd.yaml", "a: b\n");
    golden("lint-stray.txt", world.giterctl(&["lint"]).all());
}

#[test]
fn a_folder_of_a_working_tree_stands_for_all_of_it() {
    let world = good();
    let from_within = || world.giterctl(&["lint", "specs/edge-01/app"]);
    assert_eq!(from_within().code, Some(2));
    world.git(&["init", "-q"]);
    assert_eq!(from_within().good(), "1 device, 1 resource: nothing to object to\n");
}

#[test]
fn a_folder_that_is_no_exchange_is_the_callers_mistake() {
    let world = World::new();
    let ran = world.giterctl(&["lint", "."]);
    assert_eq!((ran.code, ran.stderr.lines().last()), (Some(2), Some("reason: Usage")), "{}", ran.stderr);
}
