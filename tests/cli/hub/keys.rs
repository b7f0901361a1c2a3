//! `giterctl authorized-keys`: the lines that sshd reads.

use super::{
    super::support::{OPS_PUB, Ran, golden},
    FAN, PUMP, Site, key, open,
};

impl Site {
    fn authorized_keys(&self, args: &[&str]) -> Ran {
        self.world().giterctl(&[&["authorized-keys", "guarded.git"], args].concat())
    }

    /// The same, of runs that go well, without what differs from machine to machine.
    fn lines(&self, args: &[&str]) -> String {
        let program = std::fs::canonicalize(env!("CARGO_BIN_EXE_giterctl")).unwrap();
        let lines = self.authorized_keys(args).good().replace(&*program.to_string_lossy(), "[GITERCTL]");
        self.world().without_dir(&lines)
    }

    fn publish_device(&self, id: &str, status: u8, ssh: &[u8]) {
        let ssh: Vec<_> = ssh.iter().map(|seed| key(*seed)).collect();
        self.write_device(id, &[&key(status)], &ssh.iter().collect::<Vec<_>>());
        self.commit("a device");
        self.accepted(&self.push(&["main"]));
    }
}

#[test]
fn a_line_for_each_key() {
    let site = Site::new();
    assert_eq!(site.lines(&[]), "");
    site.publish_device(FAN, 2, &[]);
    site.publish_device(PUMP, 1, &[11, 12]);
    golden("authorized-keys.txt", site.lines(&["--people"]));
    let all = site.lines(&[]);
    assert_eq!(all.lines().count(), 4, "two keys of sshKeys, and each device's status key: {all}");
    let one = |key: &str, more: &[&str]| site.lines(&[&key.split(' ').take(2).collect::<Vec<_>>(), more].concat());
    for line in all.lines() {
        let key = line.split_once(",restrict ").unwrap().1;
        assert_eq!(one(key, &[]), format!("{line}\n"));
    }
    assert_eq!(one(&open(&key(99)), &["--people"]), "", "nobody's");
    assert_eq!(one(OPS_PUB, &[]), "");
    assert!(one(OPS_PUB, &["--people"]).starts_with("command=\"git-shell -c "));
    for odd in ["ssh-rsa AAAAB3NzaC1yc2E=", "ssh-ed25519 x\"y", "ssh-ed25519-cert-v01@openssh.com AAAA"] {
        assert_eq!(one(odd, &["--people"]), "");
    }
}

#[test]
fn a_key_that_two_devices_have_is_nobodys() {
    let site = Site::new();
    site.publish_device(FAN, 2, &[12]);
    site.publish_device(PUMP, 1, &[11]);
    std::fs::remove_file(site.world().path("guarded.git/hooks/pre-receive")).unwrap();
    site.publish_device(PUMP, 1, &[11, 12]);
    let shared = open(&key(12));
    for args in [&[][..], &shared.split(' ').collect::<Vec<_>>()] {
        let ran = site.authorized_keys(args);
        assert!(ran.code == Some(0) && !ran.stdout.contains(&shared), "{}", ran.stdout);
        assert!(ran.stderr.starts_with("warning: left out: ") && ran.stderr.contains(FAN), "{}", ran.stderr);
    }
    assert_eq!(site.authorized_keys(&[]).stdout.lines().count(), 3);
    // A person's key stays the person's, whatever a device names.
    site.write(
        &format!("specs/{PUMP}/device.yaml"),
        super::device_yaml(PUMP, &format!("{{sshKeys: [\"{}\"]}}", OPS_PUB.trim())),
    );
    site.commit("the publisher's own key");
    site.accepted(&site.push(&["main"]));
    let ran = site.authorized_keys(&["--people"]);
    assert!(!ran.stdout.contains(PUMP) && ran.stdout.contains("git-shell"), "{}", ran.stdout);
}

#[test]
fn a_charter_says_who_people_are_once_it_is_signed() {
    let site = Site::new();
    let ana = site.keygen("ana.key");
    let publisher = |rest: &str| format!("  publishers:\n  - {{principal: 'ana \"*', key: \"{ana}\"{rest}}}\n");
    assert!(!site.lines(&["--people"]).contains(&ana));
    site.write_charter(1, &publisher(""));
    site.commit("sign the charter");
    site.accepted(&site.push(&["main"]));
    let lines = site.lines(&["--people"]);
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains(&format!("{ana} SHA256:")), "a name that is no plain word is not repeated: {lines}");
    site.write_charter(2, &publisher(", validBefore: \"2026-01-01\""));
    site.commit("until last year");
    site.accepted(&site.push(&["main"]));
    assert!(!site.lines(&["--people"]).contains(&ana), "it counts no more");
}

#[test]
fn what_cannot_stand_in_a_line_is_refused() {
    let site = Site::new();
    let world = site.world();
    for name in ["a b", "a\"b", "a;b", "a$b"] {
        std::fs::rename(world.path("guarded.git"), world.path(name)).unwrap();
        let ran = world.giterctl(&["authorized-keys", name]);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{name}");
        assert!(ran.stderr.contains("hint: give it a path of letters") && ran.stderr.ends_with("reason: Usage\n"));
        std::fs::rename(world.path(name), world.path("guarded.git")).unwrap();
    }
    let ran = world.giterctl(&["authorized-keys", "nowhere"]);
    assert!(ran.code == Some(2) && ran.stderr.ends_with("reason: RepositoryNotFound\n"), "{}", ran.stderr);
    world.giterctl(&["init", "--hub", "empty.git"]).good();
    let ran = world.giterctl(&["authorized-keys", "empty.git"]);
    assert!(ran.code == Some(2) && ran.stderr.ends_with("reason: BranchNotFound\n"), "{}", ran.stderr);
}
