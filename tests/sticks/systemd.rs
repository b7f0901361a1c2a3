//! The mount unit that docs/OPERATIONS.md supplies, as systemd itself judges it.

use std::{fs, path::Path, process::Command};

const UNIT: &str = "media-giter.mount";

/// What stands in the block after the line that names the file.
fn supplied() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md")).unwrap();
    let (_, after) = page.split_once(&format!("/etc/systemd/system/{UNIT}`:\n\n```ini\n")).unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

/// Whether systemd takes it, and its words.
fn verify(unit: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(UNIT), unit).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(folder.path().join(UNIT)).output();
    let output = output.expect("systemd-analyze is installed: apt-get install systemd");
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_mount_unit_is_one() {
    assert_eq!(verify(&supplied()), (true, String::new()));
    for (from, to) in
        [("Where=/media/giter", "Where=/media/other"), ("Options=", "Optoins="), ("What=/dev/giter-stick\n", "")]
    {
        assert!(supplied().contains(from));
        let (taken, words) = verify(&supplied().replace(from, to));
        assert!(!taken || !words.is_empty(), "{to}");
    }
}
