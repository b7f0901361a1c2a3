//! A branch that goes back by a root's reset.

use std::fs;

use super::{FAN, PUMP, Site};

/// A hub whose branch has a second commit, and a clone that is back at the first.
fn gone_back() -> Site {
    let site = Site::new();
    site.commit("two");
    site.accepted(&site.push(&["main"]));
    site.git(&["reset", "-q", "--hard", "HEAD~"]);
    site
}

impl Site {
    /// A commit with a root's reset for these devices, back to where the clone is.
    fn reset_for(&self, devices: &[&str]) {
        let ran = self.world().giterctl(&[&["-C", "work", "reset", "--to", "HEAD"], devices].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    /// Changes the reset, signs it with a key, and has another key sign the commit.
    fn change_reset(&self, change: impl FnOnce(String) -> String, key: &str, by: &str) {
        self.write("reset.yaml", change(self.world().read("work/reset.yaml")));
        fs::remove_file(self.world().path("work/reset.yaml.sig")).unwrap();
        self.world().run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", key, "work/reset.yaml"]);
        let signing = format!("user.signingkey={}", self.world().path(by).display());
        self.git(&["-c", &signing, "commit", "-q", "--all", "-S", "--amend", "--no-edit"]);
    }
}

#[test]
fn a_root_takes_the_branch_back_with_every_device() {
    let site = gone_back();
    site.reset_for(&["**"]);
    site.accepted(&site.push(&["+main"]));
    assert_eq!(site.value("refs/heads/main"), Some(site.head()));
    site.commit("on top");
    site.accepted(&site.push(&["main"]));
    // The serial is spent.
    site.git(&["reset", "-q", "--hard", "HEAD~"]);
    site.commit("beside");
    site.refuses("NotFastForward", &["has serial 1, and 1 was seen already"], || site.push(&["+main"]));
    site.reset_for(&["site-a/*", FAN]);
    site.accepted(&site.push(&["+main"]));
    // Also where the reset itself was taken out since.
    site.git(&["rm", "-q", "reset.yaml", "reset.yaml.sig"]);
    site.commit("without");
    site.accepted(&site.push(&["main"]));
    site.git(&["reset", "-q", "--hard", "HEAD~"]);
    site.commit("beside that");
    site.refuses("NotFastForward", &["has serial 2, and 2 was seen already"], || site.push(&["+main"]));
    site.git(&["reset", "-q", "--hard", "HEAD~"]);
    site.refuses("Rewound", &["has serial 2, and 2 was seen already"], || site.push(&["+main"]));
}

#[test]
fn a_reset_that_some_device_would_not_follow_is_refused() {
    let site = gone_back();
    site.keygen("eve.key");
    let id = |text: String| {
        let (head, tail) = text.split_once("exchange: ").unwrap();
        format!("{head}exchange: {}{}", "0".repeat(32), &tail[32..])
    };
    let two = site.value("refs/heads/main").unwrap().to_string();
    let to_two = |text: String| format!("{}commit: {two}\n", text.split_once("commit: ").unwrap().0);
    let same = |text: String| text;
    type Case<'a> = (&'a str, &'a str, &'a dyn Fn(String) -> String, &'a str, &'a str);
    let cases: [Case<'_>; 6] = [
        ("one device alone", "does not name site-b/fan-01", &|text| text.replace("**", PUMP), "ops.key", "ops.key"),
        ("a stranger's", "has no signature by a root", &same, "eve.key", "ops.key"),
        ("a stranger's commit", "is not trusted", &same, "ops.key", "eve.key"),
        ("another exchange's", "is for exchange 0000", &id, "ops.key", "ops.key"),
        ("to what was taken back", "does not descend from", &to_two, "ops.key", "ops.key"),
        ("what is none", "reset.yaml:", &|text| text.replace("serial: 1", "serial: 0"), "ops.key", "ops.key"),
    ];
    for (name, words, change, key, by) in cases {
        site.git(&["checkout", "-q", "-f", "-B", "main", &format!("{two}~")]);
        site.reset_for(&["**"]);
        site.change_reset(change, key, by);
        let all = ["and reset.yaml does not allow it: ", words, "giterctl reset '**'"];
        site.refuses_case(name, "NotFastForward", &all, || site.push(&["+main"]));
    }
    // What stands below the reset is judged as ever.
    site.git(&["checkout", "-q", "-f", "-B", "main", &format!("{two}~")]);
    site.commit_by("", "unsigned");
    site.world().giterctl(&["-C", "work", "reset", "**", "--to", "HEAD~"]);
    site.refuses("NotFastForward", &["is not signed"], || site.push(&["+main"]));
}

#[test]
fn a_publishers_reset_is_none() {
    let site = Site::new();
    let a = site.keygen("a.key");
    site.write_charter(2, &format!("  publishers:\n  - {{principal: a@plant-7, key: \"{a}\"}}\n"));
    site.commit("charter");
    site.commit_by("a.key", "two");
    site.accepted(&site.push(&["main"]));
    for (key, by, words) in
        [("a.key", "ops.key", "has no signature by a root"), ("ops.key", "a.key", "may not change reset.yaml")]
    {
        site.git(&["reset", "-q", "--hard", "HEAD~"]);
        site.reset_for(&["**"]);
        site.change_reset(|text| text, key, by);
        site.refuses("NotFastForward", &[words], || site.push(&["+main"]));
    }
    // Back to before the charter that let a publisher in: it does not go back with the branch.
    site.git(&["reset", "-q", "--hard", "HEAD~2"]);
    site.reset_for(&["**"]);
    let words = ["no signatures any more", "git restore --source OLD_TIP exchange.yaml"];
    site.refuses("NotFastForward", &words, || site.push(&["+main"]));
    // Brought along by a root, it stays, and the branch may go back.
    site.git(&["reset", "-q", "--hard", "HEAD~"]);
    let tip = site.value("refs/heads/main").unwrap().to_string();
    site.git(&["restore", "--source", &tip, "exchange.yaml", "exchange.yaml.sig"]);
    site.commit("keep the charter");
    site.reset_for(&["**"]);
    site.accepted(&site.push(&["+main"]));
}
