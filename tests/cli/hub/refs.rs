//! Other refs, several at once, and who logged in.

use std::fmt::Write;

use giter_edge::api::{Oid, limits};

use super::{FAN, OPS_PUB, PUMP, Site, key, open, request_ref, run, status_ref};

#[test]
fn work_for_review_is_signed_by_somebody_known() {
    let site = Site::new();
    site.git(&["checkout", "-q", "-b", "topic"]);
    // What nobody reads yet may be wrong.
    site.write("specs/site-a/pump-07/motd.yaml", "kind: [");
    site.commit("unfinished");
    site.accepted(&site.push(&["topic"]));
    site.git(&["tag", "-a", "-m", "one", "v1"]);
    site.accepted(&site.push(&["v1"]));
    site.commit_by("", "unsigned");
    site.refuses("UnsignedCommit", &["refused refs/heads/topic: commit "], || site.push(&["topic"]));
    site.git(&["tag", "v2"]);
    site.refuses("UnsignedCommit", &["refused refs/tags/v2: commit "], || site.push(&["v2"]));
    site.git(&["commit", "-q", "--amend", "--allow-empty", "-S", "-m", "signed"]);
    site.accepted(&site.push(&["topic"]));
    site.keygen("eve.key");
    site.commit_by("eve.key", "eve's");
    site.commit("on top of eve's");
    site.refuses("UntrustedKey", &["SHA256:"], || site.push(&["topic"]));
}

#[test]
fn so_many_commits_are_taken_at_once() {
    let site = Site::new();
    for (count, reason) in [(limits::RANGE_COMMITS, "UnsignedCommit"), (limits::RANGE_COMMITS + 1, "RangeTooLong")] {
        let refspec = format!("{}:refs/heads/topic", site.line(count));
        site.refuses(reason, &[], || site.push_board(&[&refspec]));
    }
}

#[test]
fn what_was_pushed_for_review_is_taken_away_by_a_publisher_alone() {
    let site = Site::new();
    site.git(&["checkout", "-q", "-b", "topic"]);
    site.commit("one");
    site.commit("two");
    site.accepted(&site.push(&["topic"]));
    site.refuses("DeletionRefused", &["ExposeAuthInfo"], || site.push(&[":topic"]));
    site.refuses("DeletionRefused", &["only lose commits"], || site.push(&["+topic~:topic"]));
    let stranger = open(&key(8));
    site.refuses("DeletionRefused", &[], || site.push_as(&stranger, &[":topic"]));
    // A signature stands behind what takes the place of the old commits.
    site.git(&["commit", "-q", "--amend", "--allow-empty", "-S", "-m", "another two"]);
    site.accepted(&site.push(&["+topic"]));
    site.accepted(&site.push_as(OPS_PUB.trim(), &["+topic~:topic"]));
    site.accepted(&site.push_as(OPS_PUB.trim(), &[":topic"]));
}

#[test]
fn refs_that_mean_nothing_are_refused() {
    let site = Site::new();
    for name in [
        "refs/notes/commits",
        "refs/replace/4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "refs/giter/anything",
        "refs/giter/status/Not_A_Device",
        "refs/giter/status/a/../b",
        "refs/stash",
    ] {
        let refspec = format!("main:{name}");
        if name.contains("..") {
            assert!(site.push(&[&refspec]).stderr.contains("invalid refspec"));
        } else {
            let words = [&*format!("refused {name}: "), "push refs/heads/main"];
            site.refuses("RefNotAllowed", &words, || site.push(&[&refspec]));
        }
    }
    let blob = site.world().git_with(&["-C", "work", "hash-object", "-w", "--stdin"], b"x");
    site.refuses("RefNotAllowed", &["does not lead to a commit"], || site.push(&[&format!("{blob}:refs/tags/x")]));
}

#[test]
fn every_ref_has_its_verdict_and_one_refusal_refuses_all() {
    let site = Site::new();
    site.commit("good");
    let refs = ["main", "main:refs/notes/a", &format!("main:{}", status_ref(PUMP))];
    let said = site.refused(|| site.push(&refs));
    for line in [
        "refused refs/notes/a: this hub has no use for such a ref\n",
        "refused refs/giter/status/site-a/pump-07: no resource of kind Device ",
        "nothing against refs/heads/main\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn a_push_of_many_refs_is_refused_whole() {
    let site = Site::new();
    let tip = site.head();
    let tags = (0..=limits::PUSH_REFS).fold(String::new(), |mut tags, n| {
        writeln!(tags, "create refs/tags/t{n} {tip}").unwrap();
        tags
    });
    site.world().git_with(&["-C", "work", "update-ref", "--stdin"], tags.as_bytes());
    let said = site.refused(|| site.push(&["--tags"]));
    assert!(said.contains("more than 1024 refs\n") && said.contains("reason: PushTooLarge\n"), "{said}");
}

#[test]
fn a_ref_that_stays_where_it_is_carries_nothing() {
    // No git sends this, but another client can.
    let site = Site::new();
    let (world, tip) = (site.world(), site.head());
    world.write("quarantine/pack/pack-1.pack", vec![0; 5 << 20]);
    let judge = |new: Oid| {
        let mut hook = world.command(env!("CARGO_BIN_EXE_giterctl"));
        hook.args(["-C", "guarded.git", "hook", "pre-receive"]);
        hook.env("GIT_QUARANTINE_PATH", world.path("quarantine"));
        run(&mut hook, format!("{tip} {new} refs/heads/main\n").as_bytes())
    };
    let ran = judge(tip);
    assert!(ran.code == Some(1) && ran.stderr.contains("reason: PushTooLarge\n"), "{}", ran.stderr);
    let next = site.commit("by a publisher");
    world.git(&["-C", "guarded.git", "fetch", "-q", "../work", "main"]);
    assert_eq!(judge(next).code, Some(0));
}

#[test]
fn a_device_that_logged_in_pushes_its_own_refs_alone() {
    let site = Site::new();
    let mut pump = site.boards.stranger(PUMP, 1);
    let fan = site.boards.stranger(FAN, 2);
    site.write_device(PUMP, &[&pump.key], &[&key(11)]);
    site.write_device(FAN, &[&fan.key], &[]);
    site.commit("approve both");
    site.accepted(&site.push(&["main"]));
    let ssh = open(&key(11));
    // Everything here is signed by a publisher; the login alone is refused.
    site.commit("signed by ops");
    let words = ["the SSH key that logged in is the one of the device site-a/pump-07"];
    for refspec in ["main", "main:topic", "main:refs/tags/x", &format!("main:{}", request_ref(FAN))] {
        site.refuses("RefNotAllowed", &words, || site.push_as(&ssh, &[refspec]));
        site.refuses("RefNotAllowed", &words, || site.push_as(&open(&pump.key), &[refspec]));
    }
    pump.go_on(&site.boards, 1);
    site.git(&["fetch", "-q", "../hub.git", &pump.tip.unwrap().to_string()]);
    let own = format!("{}:{}", pump.tip.unwrap(), status_ref(PUMP));
    let words = ["is none of those of site-a/pump-07", "sshKeys"];
    site.refuses("RefNotAllowed", &words, || site.push_as(&open(&fan.key), &[&own]));
    site.accepted(&site.push_as(&ssh, &[&own]));
    // Where the login says nothing, signatures alone count: a key nobody knows, one of another type, a certificate.
    for login in [&open(&key(9)), "ssh-rsa AAAAB3NzaC1yc2E=", "ssh-ed25519-cert-v01@openssh.com AAAA"] {
        site.accepted(&site.push_as(login, &["main"]));
        site.commit("signed by ops");
    }
    site.accepted(&site.push_as(OPS_PUB.trim(), &["main"]));
}

#[test]
fn a_login_that_cannot_be_read_lets_nothing_in() {
    let site = Site::new();
    site.commit("good");
    let gone = site.world().path("gone");
    let ran = site.push_from("work", &["main"], &[("SSH_USER_AUTH", gone.as_os_str())]);
    assert!(ran.code == Some(1) && ran.stderr.contains("reason: BadConfig"), "{}", ran.stderr);
}
