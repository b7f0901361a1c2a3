//! `giterctl lint`: what a device would refuse, found before it is pushed.

use std::os::unix::fs::symlink;

use super::support::{World, golden};

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
