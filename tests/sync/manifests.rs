//! Manifests that say something else than they may: each is told where, by file, line, column and the field's path.

use giter_edge::api::ConditionType;

use super::common::{
    case::{Case, World, check_all},
    exchange::MANIFEST,
};

/// A manifest of one resource: its kind, and its spec.
fn one(kind: &str, spec: &str) -> String {
    format!("apiVersion: edge.giter.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: one\nspec:\n{spec}")
}

/// A manifest is replaced by a text, in which `{files}` is the folder for files.
fn manifest(name: &'static str, reason: &'static str, says: &str, text: impl Into<String>) -> Case {
    let (says, text) = (format!("{MANIFEST}{says}"), text.into());
    Case::tip(name, reason, &says, move |world| {
        let files = world.device.name("files").display().to_string();
        world.exchange.write(MANIFEST, text.replace("{files}", &files));
        world.exchange.publish();
    })
}

const LINE: &str = "  line: GPIO17\n  direction: output\n  value: high\n";
const LED: &str = "  led: ACT\n  brightness: 255\n";
const FILE: &str = "  path: {files}/motd\n  content: x\n  mode: \"0644\"\n";

#[test]
fn yaml() {
    let anchors =
        (1..9).map(|n| format!("- &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))).collect::<String>();
    let cases = [
        manifest("syntax", "YamlSyntax", ":2:", "kind: [File\nmetadata: }\n"),
        manifest("a tab", "YamlSyntax", ":2:", "spec:\n\tline: GPIO17\n"),
        Case::tip("not UTF-8", "YamlSyntax", "specs/pump-07/all.yaml:1:8: the file is not UTF-8 here", |world| {
            world.exchange.write(MANIFEST, b"kind: F\xffile\n");
            world.exchange.publish();
        }),
        manifest("a key twice", "DuplicateKey", ":9:3: spec.line: ", one("GpioLine", LINE) + "  line: GPIO18\n"),
        manifest("anchors that explode", "YamlTooComplex", ":", format!("- &a0 [x,x,x,x,x,x,x,x,x]\n{anchors}")),
        manifest("an anchor inside itself", "YamlTooComplex", ":1:", "&a [*a]\n"),
        manifest("too deep", "YamlTooComplex", ":1:", "[".repeat(1000)),
        manifest("more than is read", "FileTooLarge", ": ", "#".repeat(300 << 10)),
        manifest("a scalar", "InvalidValue", ":1:1: expected a mapping", "hello\n"),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn fields() {
    let version = |text: &str| one("Led", LED).replace("edge.giter.dev/v1alpha1", text);
    let cases = [
        manifest(
            "an unknown field",
            "UnknownField",
            ":8:3: spec.colour: unknown field",
            one("Led", LED) + "  colour: red\n",
        ),
        manifest("a missing field", "MissingField", ":6:3: spec.", one("GpioLine", "  line: GPIO17\n")),
        manifest("no kind", "MissingField", ":1:1: kind: ", "apiVersion: edge.giter.dev/v1alpha1\n"),
        manifest(
            "a wrong type",
            "InvalidValue",
            ":7:15: spec.brightness: ",
            one("Led", "  led: ACT\n  brightness: [1]\n"),
        ),
        manifest(
            "a number for text",
            "InvalidValue",
            ":8:9: spec.mode: ",
            one("File", &FILE.replace("\"0644\"", "0644")),
        ),
        manifest("an unknown kind", "UnknownKind", ":2:7: kind: unknown kind Pod", one("Pod", "  a: b\n")),
        manifest("an unknown version", "UnknownVersion", ":1:13: apiVersion: ", version("v1")),
        manifest("a wrong name", "InvalidValue", ":4:9: metadata.name: ", one("Led", LED).replace("one", "One")),
        manifest(
            "a path that climbs",
            "InvalidValue",
            ":6:9: spec.path: ",
            one("File", &FILE.replace("motd", "../motd")),
        ),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn resources() {
    let two = |first: String, second: String| first + "---\n" + &second;
    let after = |name: &str, other: &str| {
        one("Led", LED)
            .replace("  name: one", &format!("  name: {name}\n  annotations: {{edge.giter.dev/after: {other}}}"))
    };
    let cases = [
        manifest(
            "the same resource twice",
            "DuplicateResource",
            ":12:9: metadata.name: Led/one is declared at specs/pump-07/all.yaml:4:9 already",
            two(one("Led", LED), one("Led", LED)),
        ),
        Case::tip(
            "the same resource in two files",
            "DuplicateResource",
            "specs/pump-07/more.yaml:4:9: metadata.name: Led/one is declared at specs/pump-07/all.yaml:4:9 already",
            |world| {
                world.exchange.write(MANIFEST, one("Led", LED));
                world.exchange.write("specs/pump-07/more.yaml", one("Led", LED));
                world.exchange.publish();
            },
        ),
        manifest(
            "two resources on one line",
            "TargetConflict",
            ":15:9: spec.line: line GPIO17 is driven by GpioLine/one (specs/pump-07/all.yaml:1) too",
            two(one("GpioLine", LINE), one("GpioLine", &LINE.replace("GPIO17", "PIN11")).replace("one", "two")),
        ),
        manifest(
            "after itself",
            "BadOrder",
            ":5:39: metadata.annotations[edge.giter.dev/after]: the order is a circle: Led/one after Led/one",
            after("one", "Led/one"),
        ),
        manifest(
            "after each other",
            "BadOrder",
            ": the order is a circle: Led/one after Led/two after Led/one",
            two(after("one", "Led/two"), after("two", "Led/one").replace("ACT", "PWR")),
        )
        .saying("the order is a circle: Led/one after Led/two after Led/one"),
        manifest(
            "after nothing",
            "BadOrder",
            ":5:39: metadata.annotations[edge.giter.dev/after]: this device has no ",
            after("one", "File/absent"),
        ),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn what_this_board_does_not_have() {
    let line = |name: &str| one("GpioLine", &LINE.replace("GPIO17", name));
    let cases = [
        manifest(
            "a line",
            "UnknownLine",
            ":6:9: spec.line: board sim has no line GPIO99; use one of GPIO19, GPIO9, ",
            line("GPIO99"),
        ),
        manifest(
            "an LED",
            "UnknownLed",
            ":6:8: spec.led: board sim has no led USR0; use one of PWR, ACT",
            one("Led", &LED.replace("ACT", "USR0")),
        ),
        manifest(
            "a path outside the roots",
            "PathNotAllowed",
            ":6:9: spec.path: /etc/motd is outside the allowed roots; choose a path below {board}/files",
            one("File", &FILE.replace("{files}", "/etc")),
        ),
        manifest("an owner", "UnknownOwner", ":9:10: spec.owner: ", one("File", FILE) + "  owner: absent\n"),
    ];
    check_all(cases, World::by_file);
}

/// A path below a root that leads out of it is found when it is looked at, and the other resources are applied.
#[test]
fn a_path_through_a_link_out_of_the_roots() {
    let world = World::by_file();
    let files = world.device.path("files");
    std::os::unix::fs::symlink("/etc", files.join("etc")).unwrap();
    let file = one("File", &FILE.replace("{files}/motd", &format!("{}/etc/giter-motd", files.display())));
    world.exchange.write("specs/pump-07/more.yaml", file);
    world.exchange.write(MANIFEST, world.specs("changed\n"));
    let tip = world.exchange.publish();
    for _ in 0..2 {
        let run = world.device.sync();
        assert_eq!((run.said("reason"), run.exit), ("NotReady", Some(1)), "{}", run.err);
        let says =
            format!("1 of 4 resources are not ready, first File/one: PathNotAllowed: {}/etc is", files.display());
        assert!(run.said("error").starts_with(&says), "{}", run.err);
        assert!(run.said("hint").contains("give the path that it leads to"), "{}", run.err);
    }
    assert_eq!(std::fs::read_to_string(files.join("motd")).unwrap(), "changed\n");
    assert!(!std::path::Path::new("/etc/giter-motd").exists());
    let status = world.status();
    assert_eq!((status.sequence, status.observed_revision), (2, Some(tip)));
    let file = status.resources.iter().find(|resource| resource.key.to_string() == "File/one").unwrap();
    assert_eq!(file.condition(ConditionType::Degraded).unwrap().reason.as_str(), "PathNotAllowed");
}
