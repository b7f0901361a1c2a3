//! What says whose keys count: the charter, and a Device.

use super::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID5Z3qgA6KaIKisTzbmldeOgtK3hyHmwaIBUB7S9Ao8u";

#[test]
fn the_charter_is_read() {
    let yaml = format!(
        "{HEAD}kind: Exchange\nmetadata: {{name: plant-7}}\nspec:\n  id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d\n  serial: 1\n  \
         branch: main\n  verify: range\n  roots: [\"{KEY} root@plant-7\"]\n  publishers:\n  - {{principal: \
         ops@plant-7, key: \"{KEY}\", paths: [\"specs/site-a/**\", \"groups/**\"], validAfter: \"2026-11-01\"}}\n"
    );
    let charter = parse_exchange("exchange.yaml", yaml.as_bytes()).unwrap();
    assert_eq!((charter.name.as_str(), charter.serial, &*charter.branch), ("plant-7", 1, "main"));
    assert_eq!(charter.id.as_str(), "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d");
    assert_eq!(charter.verify, Some(Policy::Range));
    assert_eq!(charter.roots, [format!("{KEY} root@plant-7").into()]);
    let [publisher] = &charter.publishers[..] else { panic!("{charter:?}") };
    assert_eq!((&*publisher.principal, &*publisher.key), ("ops@plant-7", KEY));
    assert_eq!(publisher.paths, ["specs/site-a/**".into(), "groups/**".into()]);
    assert_eq!((publisher.valid_after.as_deref(), publisher.valid_before.as_deref()), (Some("2026-11-01"), None));
}

#[test]
fn a_charter_whose_id_looks_like_a_number_is_read() {
    let yaml = format!("{HEAD}kind: Exchange\nmetadata: {{name: a}}\nspec: {{id: {}, branch: main}}\n", "1".repeat(32));
    assert_eq!(parse_exchange("exchange.yaml", yaml.as_bytes()).unwrap().id.as_str(), "1".repeat(32));
}

#[test]
fn a_wrong_charter_is_refused() {
    let charter = |spec: &str| format!("{HEAD}kind: Exchange\nmetadata: {{name: a}}\nspec: {{{spec}}}\n");
    let id = "id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d, branch: main";
    let cases: &[(String, &[&str])] = &[
        (String::new(), &["MissingField"]),
        (charter("branch: main"), &["4:7 MissingField spec.id"]),
        (charter(&format!("{id}, serial: -1")), &["4:68 InvalidValue spec.serial"]),
        (charter(&format!("{id}, serial: {}", limits::SERIAL + 1)), &["4:68 InvalidValue spec.serial"]),
        (charter(&format!("{id}, serial: {}", u128::MAX)), &["4:68 InvalidValue spec.serial"]),
        (charter(&format!("{id}, verify: all")), &["4:68 InvalidValue spec.verify"]),
        (charter(&format!("{id}, roots: {{}}")), &["4:67 InvalidValue spec.roots"]),
        (charter(&format!("{id}, roots: [1]")), &["4:68 InvalidValue spec.roots[0]"]),
        (charter(&format!("{id}, roots: [{KEY}, ssh-rsa AAAA]")), &["4:150 InvalidValue spec.roots[1]"]),
        (charter(&format!("{id}, publishers: [{{key: {KEY}}}]")), &["4:73 MissingField spec.publishers[0].principal"]),
        (
            charter(&format!("{id}, publishers: [{{key: a, principal: b}}]")),
            &["4:79 InvalidValue spec.publishers[0].key"],
        ),
        (
            charter(&format!("{id}, publishers: [{{principal: b, path: c, key: {KEY}}}]")),
            &["4:88 UnknownField spec.publishers[0].path"],
        ),
        (
            charter(&format!(
                "{id}, publishers: [{{principal: b, paths: [a/**, /a], validAfter: \"1.2.\", key: {KEY}}}]"
            )),
            &["4:102 InvalidValue spec.publishers[0].paths[1]", "4:119 InvalidValue spec.publishers[0].validAfter"],
        ),
        (charter(&format!("{id}, roots: [{}]", "a, ".repeat(limits::SIGNERS + 1))), &["4:67 TooMany spec.roots"]),
        (charter("id: xyz, branch: refs/heads/main"), &["4:12 InvalidValue spec.id", "4:25 InvalidValue spec.branch"]),
        (format!("{}---\n{}", charter(id), charter(id)), &["6:1 InvalidValue"]),
        (led("  led: ACT\n  brightness: 1"), &["2:7 UnknownKind kind"]),
    ];
    let found = |yaml: &str| parse_exchange("exchange.yaml", yaml.as_bytes()).unwrap_err().iter().map(short).collect();
    expect(cases.iter().map(|(yaml, expected)| (&**yaml, found(yaml), *expected)));
}

fn device(spec: &str) -> String {
    format!("{HEAD}kind: Device\nmetadata: {{name: pump-07}}\nspec: {{{spec}}}\n")
}

#[test]
fn a_device_names_its_keys() {
    let mut findings = Findings::default();
    let spec = format!(
        "statusKeys: [{{key: {KEY}, validBefore: \"2027-01-01\"}}], sshKeys: [\"{KEY} pump-07\"], relays: [fan-01]"
    );
    let yaml = format!("{}---\n{}", device(&spec), led("  led: ACT\n  brightness: 255"));
    let Manifest { resources, devices } = parse(PATH, blob(), yaml.as_bytes(), &mut findings);
    assert!(findings.is_empty() && resources.len() == 1, "{findings:?}");
    let [DeclaredDevice { device, .. }] = &devices[..] else { panic!("{devices:?}") };
    let [key] = &device.status_keys[..] else { panic!("{device:?}") };
    assert_eq!((device.name.as_str(), &*key.key), ("pump-07", KEY));
    assert_eq!((key.valid_after.as_deref(), key.valid_before.as_deref()), (None, Some("2027-01-01")));
    assert_eq!(device.ssh_keys, [format!("{KEY} pump-07").into()]);
    assert_eq!(device.relays, ["fan-01".parse().unwrap()]);
}

#[test]
fn a_wrong_device_is_refused() {
    let cases: &[(String, &[&str])] = &[
        (device("statusKeys: [a]"), &["4:21 InvalidValue spec.statusKeys[0]"]),
        (device("statusKeys: [{key: ssh-rsa AAAA}]"), &["4:27 InvalidValue spec.statusKeys[0].key"]),
        (
            device("statusKeys: [{validAfter: never}]"),
            &["4:34 InvalidValue spec.statusKeys[0].validAfter", "4:21 MissingField spec.statusKeys[0].key"],
        ),
        (device("sshKeys: [a]"), &["4:18 InvalidValue spec.sshKeys[0]"]),
        (device(&format!("sshKeys: [{}]", "a, ".repeat(limits::DEVICE_KEYS + 1))), &["4:17 TooMany spec.sshKeys"]),
        (device("relays: [Fan]"), &["4:17 InvalidValue spec.relays[0]"]),
        (device(&format!("relays: [{}]", "a, ".repeat(limits::RELAY_DEVICES + 1))), &["4:16 TooMany spec.relays"]),
        (device("keys: []"), &["4:8 UnknownField spec.keys"]),
        (format!("{HEAD}kind: Device\nspec: {{}}\n"), &["1:1 MissingField metadata"]),
    ];
    expect(cases.iter().map(|(yaml, expected)| (&**yaml, found(yaml), *expected)));
}
