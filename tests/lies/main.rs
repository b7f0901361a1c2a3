//! The lies: one folder per attack, each with what must come of it, told to the real `giterd`.
//!
//! `README.md` says how a case is written. A case is tried over each link: by `file://` on a hostile repository, and
//! by `ssh://` with a server that sends whatever bytes it likes. `LIE=trees/dot-dot cargo test --test lies` runs one.

mod exchange;
mod forge;
#[path = "../support/packfile.rs"]
mod packfile;
mod recipe;
mod seal;
mod world;

use std::{
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use exchange::Exchange;
use giter_edge::{
    api::{Class, ConditionStatus, Exit, Reason},
    codec::pattern::PathPattern,
};
use recipe::{Expect, Lie, Way};
use world::{Ran, World};

#[test]
fn every_lie_is_refused_for_its_own_reason() {
    let cases = cases();
    assert!(!cases.is_empty(), "there is no such case");
    let (work, failures) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    let worker = || {
        loop {
            let next = work.lock().unwrap().next();
            let Some((name, path)) = next else { return };
            let lie = Lie::read(&path).unwrap_or_else(|e| panic!("{e}"));
            for way in &lie.links {
                if let Err(what) = panic::catch_unwind(AssertUnwindSafe(|| try_over(*way, &lie))) {
                    let what = format!("LIE={name}: by {way:?}, {}\n{}", lie.claim, words(&*what));
                    failures.lock().unwrap().push(what);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(worker);
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} lies went wrong:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn there_are_as_many_lies_as_promised() {
    let cases: Vec<_> = all().into_iter().map(|(name, path)| (name, Lie::read(&path).unwrap())).collect();
    let (controls, lies): (Vec<_>, Vec<_>) = cases.iter().partition(|(_, lie)| lie.expect == Expect::Accepted);
    assert!(lies.len() >= 60, "{} lies", lies.len());
    assert!(controls.len() >= 10, "{} controls", controls.len());
    for (name, lie) in &lies {
        let reason = lie.reason.as_deref().unwrap_or_else(|| panic!("{name} has no reason"));
        assert!(Reason::named(reason).is_some(), "{name}: there is no reason {reason}");
        assert!(lie.links.iter().all(|way| !lie.says.by(*way).is_empty()), "{name} does not say what giterd says");
    }
    assert!(cases.iter().all(|(_, lie)| lie.claim.ends_with('.')), "a claim is a sentence");
}

#[test]
fn the_threats_name_lies_that_are_told() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TRUST.md")).unwrap();
    let (_, table) = text.split_once("| shown by |").expect("docs/TRUST.md has the table of threats");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 30, "{} threats", rows.len());
    let (all, mut group) = (all(), "");
    for row in rows {
        let shown = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap();
        for name in shown.split('`').skip(1).step_by(2) {
            let (of, name) = name.split_once('/').unwrap_or((group, name));
            group = of;
            let pattern = PathPattern::new(&format!("{group}/{name}")).unwrap();
            assert!(all.iter().any(|(name, _)| pattern.matches(name)), "docs/TRUST.md names {pattern}");
        }
    }
}

/// Name and recipe of each case there is.
fn all() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lies");
    let folders = |path: &Path| {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let mut cases = Vec::new();
    for folder in folders(&root).iter().flat_map(|group| folders(group)) {
        let name = folder.strip_prefix(&root).unwrap().display().to_string();
        cases.push((name, folder.join("lie.toml")));
    }
    cases.sort();
    cases
}

fn cases() -> Vec<(String, PathBuf)> {
    let only = std::env::var("LIE").unwrap_or_default();
    all().into_iter().filter(|(name, _)| name.starts_with(&only)).collect()
}

fn try_over(way: Way, lie: &Lie) {
    let world = World::new(way, &lie.device, lie.keys());
    let mut exchange = Exchange::new(world.folder(), lie.is_chartered);
    exchange.add(lie);
    let floor = accept(&world, &exchange, lie);

    let before = world.look();
    let ran = attack(way, &world, &exchange, lie);
    let after = world.look();
    world.check_store(&after);
    let tip = world.record().tip.map(|tip| tip.commit);
    match lie.expect {
        Expect::Refused => {
            assert_eq!(before, after, "the lie changed something:\n{}", ran.said);
            check_verdict(&world, lie);
            attack(way, &world, &exchange, lie);
            assert_eq!(before, world.look(), "the lie changed something when it was told again");
        }
        Expect::Accepted => assert_eq!(world.motd().as_deref(), Some(lie.motd.as_str()), "{}", ran.said),
        Expect::NotDone => assert!(before.same_elsewhere(&after), "something outside was touched:\n{}", ran.said),
    }
    let top = if lie.expect == Expect::Refused { floor } else { lie.tip() };
    assert!(top == "-" || lie.device.is_new || tip == Some(exchange.id(top)), "{}", ran.said);

    // The next good commit.
    world.stop_lying();
    if lie.device.then_keys.is_some() {
        world.trust(lie.keys());
    }
    let better = exchange.add_better(top, 1_000_000, lie);
    world.publish(&exchange.others(&lie.omit), Some(better));
    let ran = world.sync();
    assert_eq!((ran.code, world.motd().as_deref()), (Some(lie.then_exit), Some("better\n")), "then:\n{}", ran.said);
}

/// Has the device accept what it accepts before the attack; says what was the last.
fn accept<'a>(world: &World, exchange: &Exchange, lie: &'a Lie) -> &'a str {
    let mut floor = "base";
    world.publish(&exchange.sound(), Some(exchange.id(floor)));
    if lie.device.is_new {
        return floor;
    }
    if !lie.accepted.is_empty() {
        world.publish(&exchange.others(&lie.omit), None);
    }
    for name in std::iter::once(floor).chain(lie.accepted.iter().map(String::as_str)) {
        world.publish(&[], Some(exchange.id(name)));
        let ran = world.sync();
        assert_eq!(ran.code, Some(0), "{name} is not accepted:\n{}", ran.said);
        floor = name;
    }
    floor
}

/// Tells the lie, and lets the device hear it.
fn attack(way: Way, world: &World, exchange: &Exchange, lie: &Lie) -> Ran {
    if let Some(keys) = &lie.device.then_keys {
        world.trust(keys);
    }
    let tip = (lie.tip() != "-").then(|| exchange.id(lie.tip()));
    let mut objects = exchange.others(&lie.omit);
    match (way, tip) {
        (Way::Ssh, Some(tip)) => {
            objects.extend(exchange.sound());
            world.lie(&objects, &lie.pack, tip);
        }
        _ => world.publish(&objects, tip),
    }
    let ran = world.sync();
    check_words(way, lie, &ran);
    ran
}

fn check_words(way: Way, lie: &Lie, ran: &Ran) {
    let says = lie.says.by(way);
    assert_eq!(ran.code, Some(lie.exit), "the exit code is wrong:\n{}", ran.said);
    assert!(ran.said.contains(says), "it does not say {says:?}:\n{}", ran.said);
    match &lie.reason {
        Some(reason) => assert!(ran.said.contains(&format!("\nreason: {reason}\n")), "not {reason}:\n{}", ran.said),
        None => assert!(!ran.said.contains("reason: "), "{}", ran.said),
    }
}

/// What the ledger remembers of the verdict, and the status at the hub says.
fn check_verdict(world: &World, lie: &Lie) {
    let reason = lie.reason.as_deref().and_then(Reason::named).expect("a lie has a reason");
    if matches!(reason.class(), Class::FixManifest | Class::FixKeys) {
        assert_eq!(world.record().refused.map(|refused| refused.reason), Some(reason.as_str().into()));
    }
    if reason.exit() != Exit::Caller && lie.tip() != "-" {
        assert_eq!(world.synced(), (ConditionStatus::False, reason.as_str().to_owned()));
    }
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}
