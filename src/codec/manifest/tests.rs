use super::*;
use crate::api::{
    Drift, Policy,
    board::{Bias, LedState, Level, LineConfig},
    resource::{Content, FileSpec, GpioLineSpec, LedSpec, Mode, OnDelete},
};

mod keys;

const PATH: &str = "specs/pump-07/all.yaml";
const HEAD: &str = "apiVersion: edge.giter.dev/v1alpha1\n";

fn blob() -> Oid {
    Oid::new([7; 20])
}

fn read(yaml: impl AsRef<[u8]>) -> (Vec<Declared>, Findings) {
    let mut findings = Findings::default();
    let manifest = parse(PATH, blob(), yaml.as_ref(), &mut findings);
    (manifest.resources, findings)
}

fn one(yaml: &str) -> Resource {
    let (declared, findings) = read(yaml);
    assert!(findings.is_empty(), "{findings:?}");
    let [declared]: [Declared; 1] = declared.try_into().unwrap();
    declared.resource
}

/// The findings as `line:column Reason field`, and whether every one of them has a message.
fn found(yaml: impl AsRef<[u8]>) -> Vec<String> {
    let (_, findings) = read(yaml);
    assert!(findings.iter().all(|finding| !finding.message.is_empty() && finding.path == PATH), "{findings:?}");
    findings.iter().map(short).collect()
}

fn short(finding: &Finding) -> String {
    let at = finding.at.map(|(line, column)| format!("{line}:{column} ")).unwrap_or_default();
    format!("{at}{} {}", finding.reason, finding.field).trim_end().to_owned()
}

/// Compares what was found with what is expected, and shows all that differ.
fn expect<'a>(cases: impl Iterator<Item = (&'a str, Vec<String>, &'a [&'a str])>) {
    let differ = cases.filter(|(_, found, expected)| found != expected);
    let differ: Vec<String> = differ.map(|(yaml, found, _)| format!("{yaml:?} gives {found:?}")).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

fn message(yaml: &str) -> String {
    let (_, findings) = read(yaml);
    findings.iter().next().unwrap().message.clone()
}

/// A File with the given lines added to its spec; the first of them is line 5.
fn file(lines: &str) -> String {
    format!("{HEAD}kind: File\nmetadata: {{name: motd}}\nspec:\n{lines}\n")
}

fn gpio(lines: &str) -> String {
    format!("{HEAD}kind: GpioLine\nmetadata: {{name: relay}}\nspec:\n{lines}\n")
}

fn led(lines: &str) -> String {
    format!("{HEAD}kind: Led\nmetadata: {{name: activity}}\nspec:\n{lines}\n")
}

#[test]
fn a_file_with_its_defaults_and_with_every_field() {
    let resource = one(&file("  path: /etc/motd\n  content: \"hello\\n\""));
    assert_eq!(resource.key.to_string(), "File/motd");
    assert_eq!((resource.origin.to_string(), resource.digest), (format!("{PATH}:1"), blob()));
    let spec = FileSpec {
        path: "/etc/motd".parse().unwrap(),
        content: Content::Bytes(b"hello\n"[..].into()),
        mode: Mode::DEFAULT,
        owner: None,
        drift: Drift::Correct,
        on_delete: OnDelete::Remove,
    };
    assert_eq!(resource.spec, Spec::File(spec.clone()));

    let every = "  path: /etc/motd\n  source: files/motd\n  mode: \"0600\"\n  owner: root:adm\n  drift: report\n  onDelete: keep";
    let spec = FileSpec {
        content: Content::Source("files/motd".into()),
        mode: "0600".parse().unwrap(),
        owner: Some("root:adm".parse().unwrap()),
        drift: Drift::Report,
        on_delete: OnDelete::Keep,
        ..spec
    };
    assert_eq!(one(&file(every)).spec, Spec::File(spec));
}

#[test]
fn a_line_with_its_defaults_and_with_every_field() {
    let output = GpioLineSpec {
        line: "GPIO17".into(),
        config: LineConfig { output: Some(Level::High), active_low: false, bias: None },
        failsafe: Some(Level::Low),
        drift: Drift::Correct,
        on_delete: OnDelete::Failsafe,
    };
    let resource = one(&gpio("  line: GPIO17\n  direction: output\n  value: high"));
    assert_eq!(resource.spec, Spec::GpioLine(output.clone()));

    let every = "  line: GPIO17\n  direction: output\n  value: low\n  activeLow: true\n  bias: pull-up\n  \
                 failsafe: high\n  drift: ignore\n  onDelete: keep";
    let spec = GpioLineSpec {
        config: LineConfig { output: Some(Level::Low), active_low: true, bias: Some(Bias::PullUp) },
        failsafe: Some(Level::High),
        drift: Drift::Ignore,
        on_delete: OnDelete::Keep,
        ..output.clone()
    };
    assert_eq!(one(&gpio(every)).spec, Spec::GpioLine(spec));

    let config = LineConfig { output: None, active_low: false, bias: Some(Bias::PullDown) };
    let spec = GpioLineSpec { config, failsafe: None, ..output };
    assert_eq!(one(&gpio("  line: GPIO17\n  direction: input\n  bias: pull-down")).spec, Spec::GpioLine(spec));
}

#[test]
fn an_led_with_its_defaults_and_with_every_field() {
    let steady = LedSpec {
        led: "ACT".into(),
        state: LedState::Brightness(255),
        failsafe: 0,
        drift: Drift::Correct,
        on_delete: OnDelete::Failsafe,
    };
    assert_eq!(one(&led("  led: ACT\n  brightness: 255")).spec, Spec::Led(steady.clone()));
    let every = "  led: ACT\n  trigger: heartbeat\n  failsafe: 1\n  drift: report\n  onDelete: keep";
    let spec = LedSpec {
        state: LedState::Trigger("heartbeat".into()),
        failsafe: 1,
        drift: Drift::Report,
        on_delete: OnDelete::Keep,
        ..steady
    };
    assert_eq!(one(&led(every)).spec, Spec::Led(spec));
}

#[test]
fn metadata_gives_the_order() {
    let yaml = format!(
        "{HEAD}kind: Led\nmetadata:\n  name: activity\n  labels: {{app: pump, example.org/tier: \"1\"}}\n  annotations:\n    \
         edge.giter.dev/after: File/motd, GpioLine/relay\nspec: {{led: ACT, brightness: 0}}\n"
    );
    let after: Vec<String> = one(&yaml).after.iter().map(ToString::to_string).collect();
    assert_eq!(after, ["File/motd", "GpioLine/relay"]);
    assert_eq!(read(&yaml).0[0].after_at, Some(Mark { line: 7, column: 27 }));
}

#[test]
fn several_documents_and_what_is_wrong_in_each() {
    let good = led("  led: ACT\n  brightness: 1");
    let yaml = format!("# nothing\n---\n{good}---\n---\nkind: [\n---\n{}...\n---\n{good}", led("  led: ACT"));
    let (declared, findings) = read(&yaml);
    assert_eq!(declared.iter().map(|d| d.resource.origin.line).collect::<Vec<_>>(), [3, 20]);
    let found: Vec<String> = findings.iter().map(short).collect();
    assert_eq!(found, ["11:7 YamlSyntax", "17:3 MissingField spec"]);
}

#[test]
fn files_without_a_resource_are_fine() {
    for empty in ["", "\n", "---\n", "---\n---\n...\n", "# only a comment\n", "\u{feff}", "null\n", "--- ~\n"] {
        let (declared, findings) = read(empty);
        assert!(declared.is_empty() && findings.is_empty(), "{empty:?}: {findings:?}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_fine() {
    let yaml = led("  led: ACT\n  brightness: 1").replace('\n', "\r\n");
    assert_eq!(one(&format!("\u{feff}{yaml}")).origin.line, 1);
    assert_eq!(found(yaml.replace("1", "x")), ["1:13 UnknownVersion apiVersion"]);
}

#[test]
fn syntax_is_named_with_its_place() {
    let cases: &[(&str, &str)] = &[
        ("kind: [a, b\n", "1:7 YamlSyntax"),
        ("kind: \"a\n", "2:1 YamlSyntax"),
        ("kind: a\n\tname: b\n", "1:7 YamlSyntax"),
        ("metadata:\n\t- a\n", "2:2 YamlSyntax"),
        ("kind: a: b\n", "1:8 YamlSyntax"),
        ("kind: @a\n", "1:7 YamlSyntax"),
        ("kind: *nobody\n", "1:7 YamlSyntax"),
        ("kind: \"\\q\"\n", "1:7 YamlSyntax"),
        ("a: 1\n b: 2\n", "2:3 YamlSyntax"),
        ("%YAML 9.9\n---\nkind: a\n", "1:1 YamlSyntax"),
        ("kind: }\n", "1:7 YamlSyntax"),
    ];
    expect(cases.iter().map(|(yaml, expected)| (*yaml, found(yaml), std::slice::from_ref(expected))));
    assert_eq!(found(b"kind: a\nname: \xff\n"), ["2:7 YamlSyntax"]);
    assert_eq!(found(b"\xff\xfek\0i\0n\0d\0"), ["1:1 YamlSyntax"]);
}

#[test]
fn hostile_documents_are_refused() {
    let laughs = (1..=20).fold("a0: &a0 [lol]\n".to_owned(), |yaml, n| {
        let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
        yaml + &format!("a{n}: &a{n} [{aliases}]\n")
    });
    assert_eq!(found(&laughs), ["6:20 YamlTooComplex"]);
    let chain = (1..=40).fold("a0: &a0 [lol]\n".to_owned(), |yaml, n| yaml + &format!("a{n}: &a{n} [*a{}]\n", n - 1));
    assert_eq!(found(&chain), ["32:12 YamlTooComplex a31[0]"]);
    assert_eq!(found("a: &a [*a]\n"), ["1:8 YamlTooComplex a[0]"]);
    assert_eq!(found("[".repeat(10_000)), ["1:33 YamlTooComplex"]);
    assert_eq!(found("{a: ".repeat(10_000)), ["1:129 YamlTooComplex"]);
    assert_eq!(found("- ".repeat(10_000)), ["1:65 YamlTooComplex"]);
    let mixed = format!("{}{}{}", "- ".repeat(20), "[".repeat(20), "]".repeat(20));
    assert_eq!(found(mixed), [format!("1:53 YamlTooComplex {}", "[0]".repeat(32))]);
    assert_eq!(found(format!("[{}]", "a,".repeat(100_000))), ["1:116508 YamlTooComplex"]);
    assert_eq!(found("---\na\n".repeat(40_000)).len(), limits::FINDINGS);
    let big = vec![b'#'; 10 << 20];
    assert_eq!(found(&big), ["FileTooLarge"]);
    assert_eq!(found(&big[..=limits::MANIFEST_BYTES]), ["FileTooLarge"]);
    assert_eq!(found(&big[..limits::MANIFEST_BYTES]), [""; 0]);
}

#[test]
fn aliases_within_bounds_are_read() {
    let yaml = file("  path: &path /etc/motd\n  content: *path");
    let Spec::File(spec) = one(&yaml).spec else { panic!("not a File") };
    assert_eq!(spec.content, Content::Bytes(b"/etc/motd"[..].into()));
}

#[test]
fn the_envelope_is_judged() {
    let cases: &[(String, &[&str])] = &[
        ("hello\n".into(), &["1:1 InvalidValue"]),
        ("- a\n".into(), &["1:1 InvalidValue"]),
        (
            "{}\n".into(),
            &[
                "1:1 MissingField apiVersion",
                "1:1 MissingField kind",
                "1:1 MissingField metadata",
                "1:1 MissingField spec",
            ],
        ),
        ("apiVersion: v1\nkind: ConfigMap\n".into(), &["1:13 UnknownVersion apiVersion"]),
        (format!("{HEAD}kind: Pump\nmetadata: {{name: a}}\nspec: {{}}\n"), &["2:7 UnknownKind kind"]),
        (format!("{HEAD}kind: Exchange\nmetadata: {{name: a}}\nspec: {{}}\n"), &["2:7 UnknownKind kind"]),
        (format!("{HEAD}kind: [File]\nmetadata: {{name: a}}\nspec: {{}}\n"), &["2:7 UnknownKind kind"]),
        (led("  led: ACT\n  brightness: 1\nstatus: {}"), &["7:1 UnknownField status"]),
        (led("  led: ACT\n  brightness: 1\nkind: Led"), &["7:1 DuplicateKey kind"]),
        (format!("{HEAD}kind: Led\nmetadata: a\nspec: a\n"), &["3:11 InvalidValue metadata", "4:7 InvalidValue spec"]),
        (
            format!("{HEAD}kind: Led\nmetadata: {{}}\nspec: {{led: a, brightness: 1}}\n"),
            &["3:11 MissingField metadata.name"],
        ),
    ];
    expect(cases.iter().map(|(yaml, expected)| (&**yaml, found(yaml), *expected)));
    assert_eq!(message(&cases[4].0), "unknown kind Pump; there are File, GpioLine, Led, Device");
}

#[test]
fn metadata_is_judged() {
    let cases: &[(&str, &str)] = &[
        ("name: Motd", "InvalidValue metadata.name"),
        ("name: 7", "InvalidValue metadata.name"),
        ("name: [a]", "InvalidValue metadata.name"),
        ("name: a, namespace: b", "UnknownField metadata.namespace"),
        ("name: a, name: b", "DuplicateKey metadata.name"),
        ("name: a, labels: [a]", "InvalidValue metadata.labels"),
        ("name: a, labels: {a: 1}", "InvalidValue metadata.labels.a"),
        ("name: a, labels: {a: b c}", "InvalidValue metadata.labels.a"),
        ("name: a, labels: {-a: b}", "InvalidValue metadata.labels.-a"),
        ("name: a, labels: {a/b/c: d}", "InvalidValue metadata.labels[a/b/c]"),
        ("name: a, annotations: {\"\": d}", "InvalidValue metadata.annotations."),
        (
            "name: a, annotations: {edge.giter.dev/after: motd}",
            "InvalidValue metadata.annotations[edge.giter.dev/after]",
        ),
        (
            "name: a, annotations: {edge.giter.dev/after: \"File/a,\"}",
            "InvalidValue metadata.annotations[edge.giter.dev/after]",
        ),
    ];
    for (metadata, expected) in cases {
        let yaml = format!("{HEAD}kind: Led\nmetadata: {{{metadata}}}\nspec: {{led: ACT, brightness: 1}}\n");
        let found: Vec<String> = found(&yaml).iter().map(|found| found.split_once(' ').unwrap().1.to_owned()).collect();
        assert_eq!(found, [*expected], "{metadata}");
    }
    let many: String = (0..=limits::LABELS).map(|n| format!("a{n}: b, ")).collect();
    let yaml =
        format!("{HEAD}kind: Led\nmetadata: {{name: a, labels: {{{many}}}}}\nspec: {{led: ACT, brightness: 1}}\n");
    assert_eq!(found(yaml), ["3:29 TooMany metadata.labels"]);
}

#[test]
fn fields_are_judged() {
    let path = "  path: /a\n  content: a\n";
    let cases: &[(String, &[&str])] = &[
        (file(&format!("{path}  mode: 0644")), &["7:9 InvalidValue spec.mode"]),
        (file(&format!("{path}  mode: 420")), &["7:9 InvalidValue spec.mode"]),
        (file(&format!("{path}  mode: \"4755\"")), &["7:9 InvalidValue spec.mode"]),
        (file(&format!("{path}  mode:")), &["7:7 InvalidValue spec.mode"]),
        (file(&format!("{path}  moed: \"0644\"")), &["7:3 UnknownField spec.moed"]),
        (file(&format!("{path}  content: b")), &["7:3 DuplicateKey spec.content"]),
        (file(&format!("{path}  source: b")), &["7:11 InvalidValue spec.source"]),
        (file(&format!("{path}  owner: a b")), &["7:10 InvalidValue spec.owner"]),
        (file(&format!("{path}  drift: off")), &["7:10 InvalidValue spec.drift"]),
        (file(&format!("{path}  onDelete: failsafe")), &["7:13 InvalidValue spec.onDelete"]),
        (file(&format!("{path}  <<: {{mode: \"0600\"}}")), &["7:3 UnknownField spec[<<]"]),
        (file("  path: /a"), &["5:3 MissingField spec"]),
        (file("  content: a"), &["5:3 MissingField spec.path"]),
        (file("  path: /a\n  sorce: a"), &["6:3 UnknownField spec.sorce"]),
        (file("  content: a\n  colour: red"), &["5:3 MissingField spec.path", "6:3 UnknownField spec.colour"]),
        (file("  path: a\n  content: .nan"), &["5:9 InvalidValue spec.path", "6:12 InvalidValue spec.content"]),
        (file("  path: /a\n  content: 99999999999999999999999999"), &["6:12 InvalidValue spec.content"]),
        (file("  path: /a\n  content: !!binary aGVsbG8="), &["6:21 InvalidValue spec.content"]),
        (file("  path: /a\n  source: ../b"), &["6:11 InvalidValue spec.source"]),
        (file("  path: /a\n  source: /b"), &["6:11 InvalidValue spec.source"]),
        (file("  path: /a\n  content: {}\n  ? [a]\n  : b"), &["7:5 InvalidValue spec"]),
        (gpio("  line: a\n  direction: output\n  value: on"), &["7:10 InvalidValue spec.value"]),
        (gpio("  line: a\n  direction: output\n  value: 1"), &["7:10 InvalidValue spec.value"]),
        (gpio("  line: a\n  direction: output"), &["5:3 MissingField spec.value"]),
        (gpio("  line: a\n  direction: output\n  valeu: high"), &["7:3 UnknownField spec.valeu"]),
        (gpio("  line: a\n  direction: out"), &["6:14 InvalidValue spec.direction"]),
        (gpio("  line: a"), &["5:3 MissingField spec.direction"]),
        (gpio("  line: 17\n  direction: input"), &["5:9 InvalidValue spec.line"]),
        (
            gpio("  line: a\n  direction: input\n  value: low\n  failsafe: low"),
            &["7:10 InvalidValue spec.value", "8:13 InvalidValue spec.failsafe"],
        ),
        (gpio("  line: a\n  direction: input\n  activeLow: yes"), &["7:14 InvalidValue spec.activeLow"]),
        (gpio("  line: a\n  direction: input\n  activeLow: \"true\""), &["7:14 InvalidValue spec.activeLow"]),
        (gpio("  line: a\n  direction: input\n  bias: up"), &["7:9 InvalidValue spec.bias"]),
        (led("  led: ../ACT\n  brightness: 1"), &["5:8 InvalidValue spec.led"]),
        (led("  led: ACT\n  brightness: 1\n  trigger: none"), &["7:12 InvalidValue spec.trigger"]),
        (led("  led: ACT\n  brightness: -1"), &["6:15 InvalidValue spec.brightness"]),
        (led("  led: ACT\n  brightness: 1.0"), &["6:15 InvalidValue spec.brightness"]),
        (led("  led: ACT\n  brightness: 0x1"), &["6:15 InvalidValue spec.brightness"]),
        (led("  led: ACT\n  brightness: 010"), &["6:15 InvalidValue spec.brightness"]),
        (led("  led: ACT\n  brightness: \"1\""), &["6:15 InvalidValue spec.brightness"]),
        (led("  led: ACT\n  brightness: 4294967296"), &["6:15 InvalidValue spec.brightness"]),
        (led("  led: ACT\n  brightness: .inf"), &["6:15 InvalidValue spec.brightness"]),
    ];
    expect(cases.iter().map(|(yaml, expected)| (&**yaml, found(yaml), *expected)));
}

#[test]
fn a_document_in_which_anything_is_wrong_declares_nothing() {
    for wrong in ["  brightness: 1", "  <<: {}", "  drift: off", "  x: y"] {
        let (declared, findings) = read(led(&format!("  led: ACT\n  brightness: 1\n{wrong}")));
        assert!(declared.is_empty() && findings.iter().len() == 1, "{wrong}: {findings:?}");
    }
}

#[test]
fn messages_say_what_would_be_right() {
    let path = "  path: /a\n  content: a\n";
    let mode = message(&file(&format!("{path}  mode: 0644")));
    assert_eq!(mode, "expected text, and without quotes 0644 is none; write it in quotes: \"0644\"");
    let moed = message(&file(&format!("{path}  moed: \"0644\"")));
    let expected = "unknown field; did you mean mode? there are path, content, source, mode, owner, drift, onDelete";
    assert_eq!(moed, expected);
    let value = message(&gpio("  line: a\n  direction: output\n  value: on"));
    assert_eq!(value, "expected high or low, not the boolean on");
    let brightness = message(&led("  led: ACT\n  brightness: bright"));
    assert_eq!(brightness, "expected a whole number from 0 to 4294967295, not 'bright'");
}

#[test]
fn documents_are_as_their_publisher_wrote_them() {
    let yaml = format!("{}---\nhello: [1, 1.0, 0644, yes, true, ~, \"2\"]\n", led("  led: ACT\n  brightness: 255"));
    let documents = documents(PATH, yaml.as_bytes()).unwrap();
    let keys: Vec<Option<String>> = documents.iter().map(|d| d.key.as_ref().map(ToString::to_string)).collect();
    assert_eq!(keys, [Some("Led/activity".into()), None]);
    let json: Vec<String> = documents.iter().map(|d| serde_json::to_string(&*d.root).unwrap()).collect();
    let led = r#""kind":"Led","metadata":{"name":"activity"},"spec":{"led":"ACT","brightness":255}}"#;
    assert_eq!(json[0], format!(r#"{{"apiVersion":"edge.giter.dev/v1alpha1",{led}"#));
    assert_eq!(json[1], r#"{"hello":[1,"1.0","0644","yes",true,null,"2"]}"#);
    assert!(super::documents(PATH, b"a: [").is_err());
}

#[test]
fn mutations_never_panic() {
    let seed = [
        file("  path: &p /etc/motd\n  content: |\n    hello\n  mode: \"0644\"\n  owner: *p"),
        gpio("  line: 'GPIO17'\n  direction: output\n  value: high\n  activeLow: false"),
        "a: &a [1, {b: c}]\nd: [*a, *a, !!str e]\n? f\n: >-\n  g\n  h\n".into(),
    ]
    .join("---\n");
    let parts: &[&[u8]] =
        &[b"---\n", b"\n", b"\t", b"[", b"{", b"*p", b"&p ", b"!!x ", b"<<: ", b"\xff", b": ", b"- ", b"'", b"\""];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.below(256) as u8,
                1 => drop(bytes.drain(at..(at + random.below(20)).min(bytes.len()))),
                2 => drop(bytes.splice(at..at, parts[random.below(parts.len())].iter().copied())),
                _ => bytes.extend_from_within(at..(at + random.below(40)).min(bytes.len())),
            }
        }
        let (declared, findings) = read(&bytes);
        assert!(declared.len() <= 16 && findings.iter().len() <= limits::FINDINGS);
    }
}

/// Xorshift: the same mutations in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
