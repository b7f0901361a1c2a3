//! The branch of the specs.

use std::{fs, os::unix::fs::symlink};

use super::{FAN, PUMP, Site, device_yaml, key, open};

const MOTD: &str = "specs/site-a/pump-07/motd.yaml";

#[test]
fn a_signed_change_is_let_in_without_a_word() {
    let site = Site::new();
    let tip = site.commit("nothing");
    site.accepted(&site.push(&["main"]));
    assert_eq!(site.value("refs/heads/main"), Some(tip));
}

#[test]
fn a_first_push_needs_the_root_file_and_its_key() {
    let site = Site::empty();
    let root = site.world().path("guarded.git/giter/root.keys");
    let keys = fs::read(&root).unwrap();
    fs::remove_file(&root).unwrap();
    site.refuses("BadSigners", &["giter/root.keys", "hook install --root"], || site.push(&["main"]));
    fs::write(&root, keys).unwrap();
    site.keygen("eve.key");
    site.commit_by("eve.key", "eve's");
    site.refuses("UntrustedKey", &["refused refs/heads/main: commit ", "SHA256:"], || site.push(&["main"]));
    site.git(&["reset", "-q", "--hard", "HEAD~"]);
    site.refuses("RefNotAllowed", &["the hub has no refs/heads/main yet"], || site.push(&["main:topic"]));
    site.accepted(&site.push(&["main"]));
}

#[test]
fn who_may_not_sign_is_refused() {
    let site = Site::new();
    let eve = site.keygen("eve.key");
    let tip = site.commit_by("", "unsigned");
    let short = tip.short();
    site.refuses("UnsignedCommit", &[&format!("commit {short} is not signed")], || site.push(&["main"]));
    site.reset();
    site.commit_by("eve.key", "eve's");
    let fingerprint = giter_edge::codec::pubkey::PublicKey::from_openssh(&eve).unwrap().fingerprint();
    site.refuses("UntrustedKey", &[&fingerprint, "is not trusted"], || site.push(&["main"]));
    // A signed commit on top vouches for nothing.
    site.commit("signed");
    site.refuses("UntrustedKey", &[&fingerprint], || site.push(&["main"]));
    site.reset();
    site.git(&["checkout", "-q", "-b", "side"]);
    site.commit_by("", "unsigned");
    site.git(&["checkout", "-q", "main"]);
    site.git(&["merge", "-q", "--no-ff", "-S", "-m", "merge", "side"]);
    site.refuses("UnsignedCommit", &[], || site.push(&["main"]));
    // A signature that is another commit's.
    site.reset();
    site.commit("signed");
    let text = site.git(&["cat-file", "commit", "HEAD"]).replace("\nsigned", "\nforged") + "\n";
    let forged =
        site.world().git_with(&["-C", "work", "hash-object", "-t", "commit", "-w", "--stdin"], text.as_bytes());
    site.refuses("BadSignature", &[&forged[..7]], || site.push(&[&format!("{forged}:main")]));
}

#[test]
fn the_branch_only_goes_forward() {
    let site = Site::new();
    site.commit("two");
    site.accepted(&site.push(&["main"]));
    site.refuses("Rewound", &["git revert"], || site.push(&["+main~:main"]));
    site.git(&["reset", "-q", "--hard", "HEAD~"]);
    site.commit("another two");
    site.refuses("NotFastForward", &["does not descend"], || site.push(&["+main"]));
    site.refuses("DeletionRefused", &["git update-ref -d"], || site.push(&[":main"]));
}

/// A name for what is wrong, the reason, words, and what makes it so.
type Wrong = (&'static str, &'static str, &'static [&'static str], fn(&Site));

const WRONG: &[Wrong] = &[
    (
        "an unknown field",
        "UnknownField",
        &["specs/site-a/pump-07/motd.yaml:", "spec.colour", "giterctl lint"],
        |site| {
            site.write(
                MOTD,
                fs::read_to_string(site.world().path(&format!("work/{MOTD}"))).unwrap() + "  colour: red\n",
            );
        },
    ),
    ("a status in a resource", "UnknownField", &["status: only the device writes its status"], |site| {
        site.write(MOTD, fs::read_to_string(site.world().path(&format!("work/{MOTD}"))).unwrap() + "status: {}\n");
    }),
    ("a status file", "StatusInBranch", &["specs/site-a/pump-07/status.postcard", "git rm"], |site| {
        site.write("specs/site-a/pump-07/status.postcard", "x");
    }),
    ("a status file anywhere", "StatusInBranch", &["docs/status.yaml is a device's status"], |site| {
        site.write("docs/status.yaml", "x");
    }),
    ("a manifest of no device", "BadTreeEntry", &["specs/stray.yaml: no device reads it here"], |site| {
        site.write("specs/stray.yaml", "x");
    }),
    ("a folder of a bad name", "InvalidValue", &["specs/Site_A/x: no device can have this name"], |site| {
        site.write("specs/Site_A/x/a.yaml", "");
    }),
    ("a link", "BadTreeEntry", &["specs/site-a/pump-07/link.yaml", "symbolic link"], |site| {
        symlink("/etc/passwd", site.world().path("work/specs/site-a/pump-07/link.yaml")).unwrap();
    }),
    ("a device that is a link", "BadTreeEntry", &["specs/site-c/new/device.yaml", "symbolic link"], |site| {
        fs::create_dir_all(site.world().path("work/specs/site-c/new")).unwrap();
        symlink("../../site-a/pump-07/motd.yaml", site.world().path("work/specs/site-c/new/device.yaml")).unwrap();
    }),
    ("a site that is a link", "BadTreeEntry", &["specs/site-c: specs hold folders and files"], |site| {
        symlink("site-a", site.world().path("work/specs/site-c")).unwrap();
    }),
    ("specs that are a link", "BadTreeEntry", &["specs: specs hold folders and files"], |site| {
        fs::remove_dir_all(site.world().path("work/specs")).unwrap();
        symlink("elsewhere", site.world().path("work/specs")).unwrap();
    }),
    ("a name with control characters", "BadTreeEntry", &["specs/site-a/pump-07/a\u{fffd}[31m.yaml"], |site| {
        site.write("specs/site-a/pump-07/a\u{1b}[31m.yaml", "");
    }),
    ("a manifest that is too large", "FileTooLarge", &["specs/site-a/pump-07/big.yaml"], |site| {
        site.write("specs/site-a/pump-07/big.yaml", "#".repeat(300 << 10));
    }),
    ("two resources for one file", "TargetConflict", &["specs/site-b/fan-01/"], |site| {
        let text = fs::read_to_string(site.world().path("work/specs/site-b/fan-01/motd.yaml")).unwrap();
        site.write("specs/site-b/fan-01/twin.yaml", text.replacen("name: motd", "name: twin", 1));
    }),
    ("a Device of another name", "InvalidValue", &["specs/site-a/pump-07/device.yaml:", "pump-07"], |site| {
        site.write("specs/site-a/pump-07/device.yaml", device_yaml("pump-08", "{}"));
    }),
    ("another branch's charter", "ExchangeMismatch", &["for the branch live", "git symbolic-ref HEAD"], |site| {
        let text = site.world().read("work/exchange.yaml");
        site.write("exchange.yaml", text.replacen("branch: main", "branch: live", 1));
    }),
    ("another exchange's charter", "ExchangeMismatch", &["the branch belongs to exchange "], |site| {
        let text = site.world().read("work/exchange.yaml");
        let at = text.find("  id: ").unwrap() + 6;
        site.write("exchange.yaml", format!("{}{}{}", &text[..at], "0".repeat(32), &text[at + 32..]));
    }),
    ("no charter", "ExchangeMismatch", &["the new tip has none"], |site| {
        fs::remove_file(site.world().path("work/exchange.yaml")).unwrap();
    }),
    ("a charter that is none", "UnknownKind", &["exchange.yaml:"], |site| {
        let text = site.world().read("work/exchange.yaml");
        site.write("exchange.yaml", text.replacen("kind: Exchange", "kind: Led", 1));
    }),
];

#[test]
fn what_a_device_would_refuse_is_refused() {
    let site = Site::new();
    for (name, reason, words, make) in WRONG {
        make(&site);
        site.commit(name);
        site.refuses_case(name, reason, words, || site.push(&["main"]));
        site.reset();
    }
}

#[test]
fn all_that_is_wrong_is_said_in_few_lines() {
    let site = Site::new();
    for count in 0..200 {
        site.write(&format!("specs/site-a/pump-07/{count:03}.yaml"), "kind: [");
    }
    site.commit("much that is wrong");
    let said = site.refused(|| site.push(&["main"]));
    assert!(said.contains("  specs/site-a/pump-07/001.yaml:1:7: ") && said.contains("  and 168 more\n"), "{said}");
    assert!(said.lines().count() <= giter_edge::api::limits::HOOK_LINES, "{said}");
}

#[test]
fn only_what_changed_is_judged() {
    // What was let in before the hook was there is somebody else's to mend.
    let site = Site::empty();
    site.write("specs/site-b/fan-01/bad.yaml", "kind: [");
    let bad = site.commit("bad");
    site.world().git(&["-C", "guarded.git", "fetch", "-q", "../work", "main"]);
    site.hub(&["update-ref", "refs/heads/main", &bad.to_string()]);
    site.write("specs/site-a/pump-07/note.txt", "x");
    site.commit("good");
    site.accepted(&site.push(&["main"]));
    site.write("specs/site-b/fan-01/note.txt", "x");
    site.commit("beside the bad one");
    site.refuses("YamlSyntax", &["specs/site-b/fan-01/bad.yaml"], || site.push(&["main"]));
    fs::remove_file(site.world().path("work/specs/site-b/fan-01/bad.yaml")).unwrap();
    site.commit("mended");
    site.accepted(&site.push(&["main"]));
}

#[test]
fn a_publisher_keeps_to_the_paths_of_the_charter() {
    let site = Site::new();
    let (a, b) = (site.keygen("a.key"), site.keygen("b.key"));
    site.write_charter(
        2,
        &format!(
            "  publishers:\n  - {{principal: a@plant-7, key: \"{a}\", paths: [specs/site-a/**]}}\n  \
             - {{principal: b@plant-7, key: \"{b}\", paths: [specs/site-b/**]}}\n"
        ),
    );
    site.commit("charter");
    site.accepted(&site.push(&["main"]));
    site.write("specs/site-a/pump-07/note", "a");
    site.commit_by("a.key", "a's own");
    site.accepted(&site.push(&["main"]));
    site.write("specs/site-b/fan-01/note", "a");
    site.commit_by("a.key", "not a's");
    let words = ["SHA256:", "the key of a@plant-7", "may not change specs/site-b/fan-01/note"];
    site.refuses("KeyNotAllowed", &words, || site.push(&["main"]));
    site.reset();
    site.write("README.md", "a");
    site.commit_by("a.key", "nobody's");
    site.refuses("KeyNotAllowed", &["may not change README.md"], || site.push(&["main"]));
    site.reset();
    site.write_charter(3, "");
    site.commit_by("a.key", "a charter");
    site.refuses("KeyNotAllowed", &["may not change exchange.yaml", "let a root sign"], || site.push(&["main"]));
    site.reset();
    // Each site's branch is merged by somebody who may change the other one alone.
    site.git(&["checkout", "-q", "-b", "b"]);
    site.write("specs/site-b/fan-01/note", "b");
    site.commit_by("b.key", "b's own");
    site.git(&["checkout", "-q", "main"]);
    site.write("specs/site-a/pump-07/note", "b");
    site.commit_by("a.key", "a's own");
    let signing = format!("user.signingkey={}", site.world().path("a.key").display());
    site.git(&["-c", &signing, "merge", "-q", "--no-ff", "-S", "-m", "merge", "b"]);
    site.accepted(&site.push(&["main"]));
    site.write_charter(2, "");
    site.commit("a charter of the same serial");
    site.refuses("CharterRollback", &["serial 2"], || site.push(&["main"]));
    site.reset();
    site.write_charter(3, "");
    site.commit("without publishers");
    site.write("specs/site-a/pump-07/note", "c");
    site.commit_by("a.key", "a was let go");
    site.refuses("UntrustedKey", &["SHA256:"], || site.push(&["main"]));
}

#[test]
fn an_expired_key_signs_no_old_date() {
    // Commits here are of March 2024, when the key counted; devices, which have no clock, would believe them.
    let site = Site::new();
    let a = site.keygen("a.key");
    site.write_charter(
        2,
        &format!("  publishers:\n  - {{principal: a@plant-7, key: \"{a}\", validBefore: \"2024-06-01\"}}\n"),
    );
    site.commit("charter");
    site.accepted(&site.push(&["main"]));
    site.commit_by("a.key", "back-dated");
    site.refuses("KeyNotValid", &["was valid until 2024-05-31T23:59:59Z"], || site.push(&["main"]));
}

#[test]
fn devices_do_not_share_a_key() {
    let site = Site::new();
    site.write_device(PUMP, &[&key(1), &key(2)], &[]);
    site.commit("one");
    site.accepted(&site.push(&["main"]));
    site.write_device(FAN, &[&key(3), &key(2)], &[]);
    site.commit("two");
    let words = [&*key(2).public().fingerprint(), PUMP, FAN];
    site.refuses("KeyShared", &words, || site.push(&["main"]));
    let escaped = open(&key(3)).replacen("AAAA", "\\x41AAA", 1);
    let spec = format!("{{statusKeys: [{{key: \"{escaped}\"}}]}}");
    site.write(&format!("specs/{FAN}/device.yaml"), device_yaml(FAN, &spec));
    site.commit("hidden");
    site.refuses("InvalidValue", &["without escapes"], || site.push(&["main"]));
    let escaped = open(&key(4)).replacen("AAAA", "\\x41AAA", 1);
    let spec = format!("{{statusKeys: [{{key: \"{}\"}}], sshKeys: [\"{escaped}\"]}}", open(&key(3)));
    site.write(&format!("specs/{FAN}/device.yaml"), device_yaml(FAN, &spec));
    site.commit("hidden");
    site.refuses("InvalidValue", &["without escapes"], || site.push(&["main"]));
    site.write_device(FAN, &[&key(3)], &[]);
    site.commit("each its own");
    site.accepted(&site.push(&["main"]));
}

#[test]
fn trees_that_lead_out_are_refused() {
    let site = Site::new();
    let blob = site.world().git_with(&["-C", "work", "hash-object", "-w", "--stdin"], b"x");
    for (name, mode) in [("..", "100644"), (".git", "100644"), ("a/b", "100644")] {
        let mut entry = format!("{mode} {name}\0").into_bytes();
        entry.extend(blob.parse::<giter_edge::api::Oid>().unwrap().as_bytes());
        let write = ["-C", "work", "hash-object", "--literally", "-t", "tree", "-w", "--stdin"];
        let tree = site.world().git_with(&write, &entry);
        let commit = site.git(&["commit-tree", "-S", "-p", "HEAD", "-m", "x", &tree]);
        let ran = site.push(&[&format!("{commit}:main")]);
        // git's own fsck, which the installation asks for, is the first to see it.
        assert!(ran.code == Some(1) && ran.stderr.contains("fsck error"), "{name}: {}", ran.stderr);
    }
}
