//! `giterctl serve` as sshd starts it: which commands and repositories it serves, and which refs git then shows. What
//! sshd has to do with it is in `tests/ssh`.

use std::process::Command;

use giter_edge::api::limits;

use super::{
    super::support::{Ran, run},
    FAN, PUMP, Site, request_ref, status_ref,
};

const SERVE: &str = env!("CARGO_BIN_EXE_giterctl");

impl Site {
    /// Serves a device what it asks for, as a login would.
    pub(super) fn serve(&self, device: &str, asked: &str, input: &[u8]) -> Ran {
        run(self.serving(device).env("SSH_ORIGINAL_COMMAND", asked), input)
    }

    fn serving(&self, device: &str) -> Command {
        let mut command = self.world().command(SERVE);
        command.arg("serve").arg(device).arg(self.world().path("guarded.git"));
        command
    }

    /// Runs git in the work tree, to a hub that serves a device.
    pub(super) fn git_as(&self, device: &str, args: &[&str]) -> Ran {
        let hub = self.world().path("guarded.git");
        let script = format!(
            "#!/bin/sh\nfor asked; do :; done\nSSH_ORIGINAL_COMMAND=$asked exec {SERVE} serve {device} {}\n",
            hub.display()
        );
        self.world().write("ssh", script);
        let mut git = self.world().command("git");
        let ssh = format!("core.sshCommand=sh {}", self.world().path("ssh").display());
        git.args(["-c", &ssh, "-c", "ssh.variant=simple", "-C", "work"]).args(args);
        run(&mut git, b"")
    }

    pub(super) fn url(&self) -> String {
        format!("hub:{}", self.world().path("guarded.git").display())
    }

    /// The names of the refs that a device is shown, HEAD aside.
    pub(super) fn sees(&self, device: &str) -> Vec<String> {
        let listing = self.git_as(device, &["ls-remote", &self.url()]).good();
        let names = listing.lines().filter_map(|line| Some(line.split_once('\t')?.1.to_owned()));
        names.filter(|name| name != "HEAD").collect()
    }

    /// The names of the refs that a device is shown when it pushes, and the bytes that this takes.
    pub(super) fn may_push(&self, device: &str) -> (Vec<String>, usize) {
        let asked = format!("git-receive-pack '{}'", self.world().path("guarded.git").display());
        let ran = self.serve(device, &asked, b"0000");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let refs = ran.stdout.lines().filter_map(|line| line.split('\0').next()?.split_once(' '));
        (refs.map(|(_, name)| name.to_owned()).collect(), ran.stdout.len())
    }

    /// Sets refs of the hub to its tip, whatever the hook would say.
    pub(super) fn set<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let tip = self.head();
        let lines: String = names.into_iter().map(|name| format!("update {name} {tip}\n")).collect();
        self.world().git_with(&["-C", "guarded.git", "update-ref", "--stdin"], lines.as_bytes());
    }
}

#[test]
fn nothing_but_three_programs_is_run() {
    let site = Site::new();
    let hub = site.world().path("guarded.git").display().to_string();
    let marker = site.world().path("marker");
    let touch = format!("touch {}", marker.display());
    let upload = format!("git-upload-pack '{hub}'");
    let with = |option: &str| format!("git-upload-pack {option} '{hub}'");
    for asked in [
        "",
        &touch,
        &format!("{upload}; {touch}"),
        &format!("{upload}\n{touch}"),
        &format!("{upload} && {touch}"),
        &format!("{upload} | {touch}"),
        &format!("git-upload-pack '{hub}'$({touch})"),
        &format!("git-upload-pack '{hub}\n{touch}'"),
        &format!("git-upload-pack {hub}"),
        &format!("git-upload-pack \"{hub}\""),
        &with(&format!("--upload-pack='{touch}'")),
        &with("--strict"),
        &with("--"),
        &format!("git -c core.fsmonitor='{touch}' upload-pack '{hub}'"),
        &format!("GIT_CONFIG_COUNT=1 {upload}"),
        &format!("GIT_PROTOCOL=version=2;{touch} {upload}"),
        &format!("git-upload-archive '{hub}'"),
        &format!("git upload-archive '{hub}'"),
        &format!("giterctl hook install '{hub}'"),
        &format!("giterctl watch '{hub}' --device {FAN}"),
        &format!("sh -c '{touch}'"),
        &format!("{} '{hub}'", "x".repeat(5000)),
    ] {
        let ran = site.serve(PUMP, asked, b"");
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{asked}");
        assert!(ran.stderr.ends_with("reason: CommandNotAllowed\n") && ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
    let shell = run(site.serving(PUMP).env_remove("SSH_ORIGINAL_COMMAND"), b"");
    assert!(shell.code == Some(2) && shell.stderr.contains("gives no shell"), "{}", shell.stderr);
    assert!(!marker.exists(), "a client's words were run");
}

#[test]
fn one_repository_by_all_its_names() {
    let site = Site::new();
    let world = site.world();
    world.git(&["clone", "-q", "--bare", "guarded.git", "other.git"]);
    std::os::unix::fs::symlink(world.path("guarded.git"), world.path("it's linked!")).unwrap();
    let hub = world.path("guarded.git").display().to_string();
    // Tests run in the account's home.
    for path in [
        &*hub,
        hub.trim_end_matches(".git"),
        &format!("{hub}/"),
        &format!("{hub}/objects/../"),
        "guarded.git",
        "./guarded",
        "~/guarded.git",
        "~git/guarded",
        r"it'\''s linked'\!'",
    ] {
        for prefix in ["", "GIT_PROTOCOL=version=2 "] {
            let asked = format!("{prefix}git-upload-pack '{path}'");
            let ran = run(site.serving(PUMP).env("USER", "git").env("SSH_ORIGINAL_COMMAND", &asked), b"0000");
            assert_eq!(ran.code, Some(0), "{asked}: {}", ran.stderr);
            assert_eq!(ran.stdout.contains("version 2\n"), !prefix.is_empty(), "{asked}: {}", ran.stdout);
        }
    }
    let other = world.path("other.git").display().to_string();
    for path in
        [&*other, "other", "~/other.git", "~root/guarded.git", "/", ".", "nowhere", "guarded.git/objects", "--help"]
    {
        for program in ["git-upload-pack", "git-receive-pack", "giterctl watch"] {
            let ran = site.serve(PUMP, &format!("{program} '{path}'"), b"");
            assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{program} {path}");
            assert!(ran.stderr.ends_with("reason: RepositoryNotFound\n"), "{}", ran.stderr);
            assert!(ran.stderr.contains(&format!("hint: ask for {hub}\n")), "{}", ran.stderr);
        }
    }
    let mut elsewhere = world.command(SERVE);
    elsewhere.args(["serve", PUMP, "nowhere.git"]).env("SSH_ORIGINAL_COMMAND", "git-upload-pack 'nowhere.git'");
    let ran = run(&mut elsewhere, b"");
    assert!(ran.code == Some(2) && ran.stderr.ends_with("reason: RepositoryNotFound\n"), "{}", ran.stderr);
}

#[test]
fn a_device_sees_the_branch_and_its_own() {
    let site = Site::new();
    let own = [status_ref(PUMP), request_ref(PUMP)];
    let others = [status_ref(FAN), request_ref(FAN), "refs/heads/topic".into(), "refs/tags/v1".into()];
    site.set(own.iter().chain(&others).map(|name| &**name));
    assert_eq!(site.sees(PUMP), [&*own[1], &own[0], "refs/heads/main"]);
    assert_eq!(site.may_push(PUMP).0, [&*own[1], &own[0]]);
    // What the repository or the login says of hidden refs changes nothing.
    site.hub(&["config", "receive.hideRefs", "!refs/heads"]);
    site.hub(&["config", "uploadpack.hideRefs", "!refs/tags"]);
    site.hub(&["config", "transfer.hideRefs", &own[0]]);
    assert_eq!(site.sees(PUMP), [&*own[1], &own[0], "refs/heads/main"]);
    assert_eq!(site.may_push(PUMP).0, [&*own[1], &own[0]]);
    // Filters are allowed, whatever the repository says.
    site.hub(&["config", "uploadpack.allowFilter", "false"]);
    let asked = format!("git-upload-pack '{}'", site.world().path("guarded.git").display());
    let ran = run(site.serving(PUMP).env("SSH_ORIGINAL_COMMAND", asked).env("GIT_PROTOCOL", "version=2"), b"0000");
    assert!(ran.stdout.contains("fetch=shallow ") && ran.stdout.contains(" filter"), "{}", ran.stdout);
}

#[test]
fn the_statuses_have_the_folder_that_the_repository_names() {
    let site = Site::new();
    site.hub(&["config", "giter.statusPrefix", "refs/heads/status/"]);
    site.set([&*status_ref(PUMP), &format!("refs/heads/status/{PUMP}"), &format!("refs/heads/status/{FAN}")]);
    assert_eq!(site.sees(PUMP), ["refs/heads/main", &format!("refs/heads/status/{PUMP}")]);
    assert_eq!(site.may_push(PUMP).0, [format!("refs/heads/status/{PUMP}")]);
}

#[test]
fn an_advertisement_does_not_grow_with_the_fleet() {
    let site = Site::new();
    site.set([&*status_ref(PUMP)]);
    let before = site.may_push(PUMP);
    let fleet: Vec<String> = (0..2000).map(|n| status_ref(&format!("site-{}/dev-{n:04}", n % 40))).collect();
    site.set(fleet.iter().map(|name| &**name));
    for pack in [false, true] {
        if pack {
            site.hub(&["pack-refs", "--all"]);
        }
        assert_eq!(site.may_push(PUMP), before);
        assert_eq!(site.sees(PUMP), [&*status_ref(PUMP), "refs/heads/main"]);
    }
}

#[test]
fn other_refs_are_refused() {
    let site = Site::new();
    let mut pump = site.boards.stranger(PUMP, 1);
    site.approve(&pump);
    site.set([&*status_ref(FAN)]);
    site.commit("by ops, through a device's login");
    let url = site.url();
    for refspec in [
        "main:main",
        "main:topic",
        "main:refs/tags/v1",
        "main:refs/notes/x",
        &format!("+main:{}", status_ref(FAN)),
        &format!(":{}", status_ref(FAN)),
        &format!("main:{}", request_ref(FAN)),
        &format!("main:{}/below", status_ref(PUMP)),
        &format!("main:{}/below", request_ref(PUMP)),
        "main:refs/giter/status/site-a",
    ] {
        let before = site.hub(&["for-each-ref"]);
        let ran = site.git_as(PUMP, &["push", &url, refspec]);
        assert_eq!(ran.code, Some(1), "{refspec}: {}", ran.stderr);
        assert!(ran.stderr.contains("reason: RefNotAllowed"), "{refspec}: {}", ran.stderr);
        assert_eq!(site.hub(&["for-each-ref"]), before, "{refspec}");
    }
    pump.go_on(&site.boards, 2);
    site.git(&["fetch", "-q", "../hub.git", &pump.tip.unwrap().to_string()]);
    let push = |refspec: String| site.git_as(PUMP, &["push", "-q", &url, &refspec]);
    site.accepted(&push(format!("{}:{}", pump.tip.unwrap(), status_ref(PUMP))));
    for (refspec, reason) in [
        (format!("+{}~:{}", pump.tip.unwrap(), status_ref(PUMP)), "NotFastForward"),
        (format!(":{}", status_ref(PUMP)), "DeletionRefused"),
    ] {
        let ran = push(refspec);
        assert!(ran.code == Some(1) && ran.stderr.contains(&format!("reason: {reason}")), "{}", ran.stderr);
    }
    assert_eq!(site.value(&status_ref(PUMP)), pump.tip);
}

#[test]
fn devices_below_one_another_are_apart() {
    let site = Site::new();
    site.set([&*status_ref(PUMP), &request_ref(PUMP), &status_ref("site-a/fan-02")]);
    assert_eq!(site.sees("site-a"), ["refs/heads/main"]);
    assert_eq!(site.sees("site-a/pump"), ["refs/heads/main"]);
    assert_eq!(site.sees(PUMP), [&*request_ref(PUMP), &status_ref(PUMP), "refs/heads/main"]);
    let fleet: Vec<String> = (0..=limits::NESTED_DEVICES).map(|n| status_ref(&format!("site-c/dev-{n}"))).collect();
    site.set(fleet[1..].iter().map(|name| &**name));
    assert_eq!(site.sees("site-c"), ["refs/heads/main"]);
    site.set([&*fleet[0]]);
    let asked = format!("git-upload-pack '{}'", site.world().path("guarded.git").display());
    let ran = site.serve("site-c", &asked, b"");
    assert!(ran.code == Some(1) && ran.stderr.ends_with("reason: TooMany\n"), "{}", ran.stderr);
    // Without a hook, too, one cannot write to where the other one is or will be.
    std::fs::remove_file(site.world().path("guarded.git/hooks/pre-receive")).unwrap();
    site.write("specs/site-a/new-01/x.yaml", "");
    site.commit("another device");
    site.accepted(&site.push(&["main"]));
    for device in ["pump-07", "fan-02", "new-01"] {
        let refspec = format!("+main:{}", status_ref(&format!("site-a/{device}")));
        let ran = site.git_as("site-a", &["push", &site.url(), &refspec]);
        assert!(ran.code == Some(1) && ran.stderr.contains("deny updating a hidden ref"), "{}", ran.stderr);
    }
}
