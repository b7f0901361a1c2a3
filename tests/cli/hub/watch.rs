//! `giterctl watch`, on repositories that real git changes.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
};

use giter_edge::api::Oid;

use super::{super::support::World, FAN, PUMP, Site};

/// A running watch.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    /// Begins to watch; what it says first is not read yet.
    fn spawn(world: &World, args: &[&str]) -> Self {
        let mut command = world.command(env!("CARGO_BIN_EXE_giterctl"));
        command.arg("watch").args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Watches, and has said where the branch stands.
    #[track_caller]
    fn start(world: &World, args: &[&str], tip: impl ToString) -> Self {
        let mut watch = Self::spawn(world, args);
        assert_eq!(watch.next(), "giter-watch 1");
        assert_eq!(watch.next(), tip.to_string());
        watch
    }

    fn next(&mut self) -> String {
        self.lines.next().expect("a line").unwrap()
    }

    /// Waits for the end; the lines that were not read, what was said on stderr, and the exit code.
    fn ended(self) -> (Vec<String>, String, Option<i32>) {
        let Self { child, lines } = self;
        let rest = lines.map(Result::unwrap).collect();
        let output = child.wait_with_output().unwrap();
        (rest, String::from_utf8(output.stderr).unwrap(), output.status.code())
    }

    /// Hangs up; there was nothing more to read, nor to complain about.
    #[track_caller]
    fn hang_up(mut self) {
        drop(self.child.stdin.take());
        assert_eq!(self.ended(), (Vec::new(), String::new(), Some(0)));
    }
}

/// A bare repository without a hook.
fn repository(args: &[&str]) -> World {
    let world = World::new();
    world.identify();
    world.git(&[&["init", "-q", "--bare"], args, &["x.git"]].concat());
    world
}

/// A commit on top of a branch, or its first, that sets one file.
fn commit(world: &World, branch: &str, path: &str, text: &str) -> Oid {
    let parent = world.git(&["-C", "x.git", "for-each-ref", "--format=%(objectname)", branch]);
    let from = if parent.is_empty() { String::new() } else { format!("from {parent}\n") };
    let stream = format!(
        "commit {branch}\ncommitter A <a@b> 1700000000 +0000\ndata 1\nx\n{from}M 100644 inline {path}\ndata \
         {}\n{text}\ndone\n",
        text.len()
    );
    world.git_with(&["-C", "x.git", "fast-import", "--quiet"], stream.as_bytes());
    world.git(&["-C", "x.git", "rev-parse", branch]).parse().unwrap()
}

#[test]
fn a_gateway_is_told_of_changes_of_those_whom_it_carries_for() {
    let world = repository(&[]);
    let set = |path: &str, text: &str| commit(&world, "refs/heads/main", path, text).to_string();
    let device = |relays: &str| {
        let yaml = format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Device\nmetadata: {{name: gate}}\nspec: {{relays: [{relays}]}}\n"
        );
        set("specs/gate/device.yaml", &yaml)
    };
    world.git(&["-C", "x.git", "symbolic-ref", "HEAD", "refs/heads/main"]);
    let first = device(FAN);
    let mut gate = Watch::start(&world, &["x.git", "--device", "gate"], first);
    set(&format!("specs/{PUMP}/x"), "of no interest");
    let told = set(&format!("specs/{FAN}/x"), "one");
    assert_eq!(gate.next(), told);
    let told = device(PUMP);
    assert_eq!(gate.next(), told);
    set(&format!("specs/{FAN}/x"), "of no interest any more");
    let told = set(&format!("specs/{PUMP}/x"), "two");
    assert_eq!(gate.next(), told);
    gate.hang_up();
}

#[test]
fn a_change_of_ones_own_is_told_and_one_elsewhere_is_not() {
    let site = Site::new();
    let world = site.world();
    let mut pump = Watch::start(world, &["guarded.git", "--device", PUMP], site.head());
    let mut every = Watch::start(world, &["guarded.git"], site.head());
    let push = |path: &str, text: &str| {
        site.write(path, text);
        let tip = site.commit("a change").to_string();
        site.accepted(&site.push(&["main"]));
        tip
    };
    let motd = |text: &str| {
        format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: File\nmetadata: {{name: motd}}\nspec: {{path: /etc/giter/files/motd, \
             content: {text}}}\n"
        )
    };
    let elsewhere = push(&format!("specs/{FAN}/motd.yaml"), &motd("one"));
    let outside = push("README.md", "another text\n");
    let own = push(&format!("specs/{PUMP}/motd.yaml"), &motd("two"));
    assert_eq!(pump.next(), own);
    site.write_charter(2, "");
    let charter = site.commit("sign the charter").to_string();
    site.accepted(&site.push(&["main"]));
    assert_eq!(pump.next(), charter);
    for tip in [elsewhere, outside, own, charter] {
        assert_eq!(every.next(), tip);
    }
    pump.hang_up();
    every.hang_up();
}

#[test]
fn every_file_that_a_device_reads_counts() {
    let world = repository(&["--initial-branch=main"]);
    let first = commit(&world, "refs/heads/main", "README.md", "1");
    let mut watch = Watch::start(&world, &["x.git", "--device", "a/b"], first);
    for path in
        ["exchange.yaml", "exchange.yaml.sig", "reset.yaml", "reset.yaml.sig", "specs/a/b/x.yaml", "specs/a/b/c/d"]
    {
        for silent in ["specs/a/x.yaml", "specs/a/bc/x.yaml", "specs/ab/x.yaml", "reset.yml"] {
            commit(&world, "refs/heads/main", silent, path);
        }
        let tip = commit(&world, "refs/heads/main", path, "1");
        assert_eq!(watch.next(), tip.to_string(), "{path}");
    }
    watch.hang_up();
}

#[test]
fn refs_may_be_packed_and_their_folders_come_and_go() {
    let world = repository(&["--initial-branch=site/main"]);
    let git = |args: &[&str]| world.git(&[&["-C", "x.git"], args].concat());
    let mut watch = Watch::spawn(&world, &["x.git", "--device", "a"]);
    assert_eq!(watch.next(), "giter-watch 1");
    for round in ["1", "2", "3"] {
        let tip = commit(&world, "refs/heads/site/main", "specs/a/x.yaml", round);
        assert_eq!(watch.next(), tip.to_string());
        git(&["pack-refs", "--all", "--prune"]);
        assert!(!world.path("x.git/refs/heads/site").exists(), "git packs the only ref of a folder, folder and all");
    }
    git(&["gc", "-q", "--prune=now"]);
    let tip = commit(&world, "refs/heads/live", "specs/a/x.yaml", "another branch");
    git(&["symbolic-ref", "HEAD", "refs/heads/live"]);
    assert_eq!(watch.next(), tip.to_string());
    // A branch that was away and is back with the same specs is no news, and with other specs it is.
    git(&["update-ref", "-d", "refs/heads/live"]);
    git(&["update-ref", "refs/heads/live", &tip.to_string()]);
    let tip = commit(&world, "refs/heads/live", "specs/a/x.yaml", "back");
    assert_eq!(watch.next(), tip.to_string());
    git(&["update-ref", "--no-deref", "HEAD", "refs/heads/site/main"]);
    assert_eq!(watch.next(), git(&["rev-parse", "refs/heads/site/main"]), "HEAD itself names a commit");
    watch.hang_up();
}

#[test]
fn refs_may_be_kept_as_reftable() {
    let world = repository(&["--initial-branch=main", "--ref-format=reftable"]);
    let first = commit(&world, "refs/heads/main", "specs/a/x.yaml", "1");
    let mut watch = Watch::start(&world, &["x.git", "--device", "a"], first);
    commit(&world, "refs/heads/main", "specs/b/x.yaml", "1");
    commit(&world, "refs/heads/other", "specs/a/x.yaml", "2");
    let tip = commit(&world, "refs/heads/main", "specs/a/x.yaml", "3");
    assert_eq!(watch.next(), tip.to_string());
    watch.hang_up();
}

#[test]
fn a_push_that_races_the_start_is_told() {
    let world = repository(&["--initial-branch=main"]);
    let mut before = commit(&world, "refs/heads/main", "specs/a/x.yaml", "before");
    for round in 0..20 {
        let mut watch = Watch::spawn(&world, &["x.git", "--device", "a"]);
        let tip = commit(&world, "refs/heads/main", "specs/a/x.yaml", &format!("round {round}"));
        assert_eq!(watch.next(), "giter-watch 1");
        let mut said = watch.next();
        if said == before.to_string() {
            said = watch.next();
        }
        assert_eq!(said, tip.to_string());
        before = tip;
        watch.hang_up();
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let world = repository(&["--initial-branch=main"]);
    let first = commit(&world, "refs/heads/main", "specs/a/x.yaml", "1");
    let mut watch = Watch::start(&world, &["x.git", "--device", "a"], first);
    // A tip whose tree is not there: git itself would not set a ref to it.
    let lost = format!("tree {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n", "1".repeat(40));
    let hash = ["-C", "x.git", "hash-object", "--literally", "-t", "commit", "-w", "--stdin"];
    for text in [lost.clone(), lost + "again\n"] {
        let tip = world.git_with(&hash, text.as_bytes());
        fs::write(world.path("x.git/refs/heads/main"), format!("{tip}\n")).unwrap();
        assert_eq!(watch.next(), tip);
    }
    watch.hang_up();
}

#[test]
fn it_ends_with_who_listens() {
    let world = repository(&["--initial-branch=main"]);
    let first = commit(&world, "refs/heads/main", "specs/a/x.yaml", "1");
    let mut talking = Watch::start(&world, &["x.git"], first);
    std::io::Write::write_all(talking.child.stdin.as_mut().unwrap(), &[b'x'; 4096]).unwrap();
    let tip = commit(&world, "refs/heads/main", "specs/a/x.yaml", "2");
    assert_eq!(talking.next(), tip.to_string(), "what is said to it is passed over");
    talking.hang_up();

    let Watch { mut child, lines } = Watch::start(&world, &["x.git"], tip);
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0), "nobody reads any more");

    let told = Watch::start(&world, &["x.git"], tip);
    let kill = Command::new("kill").arg(told.child.id().to_string()).status().unwrap();
    assert!(kill.success());
    assert_eq!(told.ended(), (Vec::new(), String::new(), None), "SIGTERM ends it");
}

#[test]
fn it_ends_with_the_repository() {
    let world = repository(&["--initial-branch=main"]);
    let first = commit(&world, "refs/heads/main", "specs/a/x.yaml", "1");
    let watch = Watch::start(&world, &["x.git"], first);
    fs::rename(world.path("x.git"), world.path("y.git")).unwrap();
    let (_, said, code) = watch.ended();
    assert!(code == Some(2) && said.ends_with("reason: RepositoryNotFound\n"), "{said}");
    assert!(said.contains("hint: name the hub's repository\n"), "{said}");

    let watch = Watch::start(&world, &["y.git"], first);
    fs::remove_dir_all(world.path("y.git")).unwrap();
    let (_, said, code) = watch.ended();
    assert!(code == Some(2) && said.ends_with("reason: RepositoryNotFound\n"), "{said}");
    let (said, error, code) = Watch::spawn(&world, &["y.git"]).ended();
    assert!(said.is_empty() && code == Some(2) && error.ends_with("reason: RepositoryNotFound\n"), "{error}");
}
