//! `giterctl decode`.

use super::support::{World, golden};

const COMPACT: &[u8] = include_bytes!("../vectors/status-v1.postcard");
const YAML: &str = include_str!("../vectors/status-v1.yaml");

#[test]
fn a_status_reads_as_yaml_from_a_file_and_from_stdin() {
    let world = World::new();
    world.write("status.postcard", COMPACT);
    assert_eq!(world.giterctl(&["decode", "status.postcard"]).good(), YAML);
    assert_eq!(world.giterctl_with(&["decode"], COMPACT).good(), YAML);
    golden("decode.json", world.giterctl(&["decode", "status.postcard", "-o", "json"]).good());
}

#[test]
fn yaml_passes_as_it_is() {
    let world = World::new();
    let text = format!("# a remark\n{YAML}");
    assert_eq!(world.giterctl_with(&["decode"], text.as_bytes()).good(), text);
}

#[test]
fn anything_else_is_refused() {
    let world = World::new();
    let cases: [&[u8]; 6] =
        [b"", b"hello\n", b"\x01", b"\xff\xfe\0", &COMPACT[..COMPACT.len() - 1], b"device: a\x1b[31m\n"];
    for bytes in cases {
        let ran = world.giterctl_with(&["decode"], bytes);
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{bytes:?}");
        assert!(ran.stderr.ends_with("reason: StatusInvalid\n"), "{bytes:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains('\u{1b}'), "{bytes:?}");
    }
    assert_eq!(world.giterctl(&["decode", "missing"]).code, Some(2));
}

#[test]
fn git_shows_it_by_textconv() {
    let world = World::new();
    world.identify();
    world.git(&["init", "-q"]);
    world.write(".gitattributes", "status.postcard diff=giter-status\n");
    world.write("status.postcard", COMPACT);
    world.git(&["add", "-A"]);
    world.git(&["commit", "-q", "-m", "one"]);
    let textconv = format!("diff.giter-status.textconv='{}' decode", env!("CARGO_BIN_EXE_giterctl"));
    let shown = world.git(&["-c", &textconv, "show", "--format=", "HEAD", "--", "status.postcard"]);
    assert!(shown.contains("\n+device: site-a/pump-07\n"), "{shown}");
}
