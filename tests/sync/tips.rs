//! Tips that nobody signed, that the wrong one signed, or that lead elsewhere.

use std::fs;

use super::common::{
    case::{Case, World, check_all},
    device::Device,
    exchange::{By, Exchange, MANIFEST, status_ref},
};

/// Changes the specs in the work tree.
fn change(world: &World) {
    world.exchange.write(MANIFEST, world.specs("changed\n"));
}

/// Pushes a change that is signed as said.
fn push_by(by: By) -> impl Fn(&World) {
    move |world| {
        change(world);
        world.exchange.commit(by);
        world.exchange.push();
    }
}

/// Has the device accept as many more commits that change nothing.
fn advance(world: &World, commits: usize) {
    (0..commits).for_each(|_| world.accepted.set(world.exchange.publish()));
    world.device.sync_well();
}

/// A commit's text with a signature put in, as git does it (gitformat-signature(5)).
fn with_signature(commit: &str, signature: &str) -> String {
    let (headers, message) = commit.split_once("\n\n").unwrap();
    format!("{headers}\ngpgsig {}\n\n{message}", signature.trim_end().replace('\n', "\n "))
}

#[test]
fn signatures() {
    let cases = [
        Case::tip("unsigned", "UnsignedCommit", " is not signed", push_by(By::Nobody)),
        Case::tip("signed by nobody the device knows", "UntrustedKey", ", which is not trusted", push_by(By::Eve)),
        Case::tip("altered after it was signed", "BadSignature", "the signature of commit ", |world| {
            change(world);
            world.exchange.commit(By::Ops);
            world.exchange.push_altered(|commit| commit.replace("\n\nset", "\n\nsent"));
        }),
        Case::tip("signed for another purpose", "BadSignature", "namespace", |world| {
            change(world);
            world.exchange.commit(By::Nobody);
            world.exchange.push_altered(|commit| with_signature(commit, &world.exchange.sign(commit, "file")));
        }),
        Case::tip("a signature that is none", "BadSignature", "the signature of commit ", |world| {
            change(world);
            world.exchange.commit(By::Nobody);
            world.exchange.push_altered(|commit| with_signature(commit, "-----BEGIN SSH SIGNATURE-----\nAAAA\n"));
        }),
        Case::tip("unsigned below a signed tip", "UnsignedCommit", " is not signed", |world| {
            change(world);
            world.exchange.commit(By::Nobody);
            world.exchange.publish();
        }),
        Case::tip("by a key that has expired", "KeyNotValid", ", which was valid until 2001-01-01", |world| {
            let roots = world.exchange.beside("root.keys");
            let line = fs::read_to_string(&roots).unwrap();
            fs::write(roots, line.replacen(' ', " valid-before=\"20010101Z\" ", 1)).unwrap();
            change(world);
            world.exchange.publish();
        })
        .mended(|world| {
            let roots = world.exchange.beside("root.keys");
            let line = fs::read_to_string(&roots).unwrap();
            fs::write(roots, line.replace("valid-before=\"20010101Z\" ", "")).unwrap();
        }),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn histories() {
    let cases = [
        Case::tip("rewound by one commit", "Rewound", "the branch was rewound from ", |world| {
            let older = world.accepted.get();
            advance(world, 1);
            world.exchange.reset(older);
            world.exchange.push();
        }),
        Case::tip("rewound by three", "Rewound", "the branch was rewound from ", |world| {
            let older = world.accepted.get();
            advance(world, 3);
            world.exchange.reset(older);
            world.exchange.push();
        }),
        Case::tip("amended", "NotFastForward", " does not descend from the accepted ", |world| {
            change(world);
            world.exchange.commit_with(By::Ops, &["--amend"]);
            world.exchange.push();
        }),
        Case::tip("begun anew", "NotFastForward", " does not descend from the accepted ", |world| {
            change(world);
            world.exchange.git(&["update-ref", "-d", "HEAD"]);
            world.exchange.publish();
        }),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn a_signed_tip_vouches_for_what_is_below_it_where_the_operator_says_so() {
    let world = World::by_file();
    world.device.set("TRUST_VERIFY", "tip");
    change(&world);
    world.exchange.commit(By::Nobody);
    world.exchange.publish();
    world.device.sync_well();
    world.check_holds("changed\n");
}

#[test]
fn what_the_operator_decides_anew_is_judged_anew() {
    let world = World::by_file();
    push_by(By::Eve)(&world);
    assert_eq!(world.device.sync().said("reason"), "UntrustedKey");
    let roots =
        ["ops", "eve"].map(|name| fs::read_to_string(world.exchange.beside(name).with_extension("pub")).unwrap());
    let lines: String = roots.iter().map(|key| format!("somebody {key}")).collect();
    fs::write(world.exchange.beside("root.keys"), lines).unwrap();
    world.device.sync_well();
    world.check_holds("changed\n");
}

#[test]
fn one_resource_that_no_longer_fits_the_device_does_not_stop_the_others() {
    let world = World::by_file();
    world.device.set("FILES_ROOTS", "/nowhere");
    world.device.tamper("high", "low");
    let run = world.device.sync();
    assert_eq!((run.said("reason"), run.exit), ("PathNotAllowed", Some(1)), "{}{}", run.out, run.err);
    assert_eq!(world.synced().reason.as_str(), "PathNotAllowed");
    // The line is put right, and the file that cannot be looked after is not let go.
    world.check_holds("hello\n");
    world.device.unset();
    world.device.sync_well();
    world.check_holds("hello\n");
}

#[test]
fn a_device_that_was_named_wrongly_is_judged_anew() {
    let world = World::by_file();
    world.exchange.git(&["mv", "specs/pump-07", "specs/pump-08"]);
    world.exchange.publish();
    assert_eq!(world.device.sync().said("reason"), "DeviceNotFound");
    world.device.set("DEVICE", "pump-08");
    assert!(world.device.sync().out.starts_with("accepted "));
}

#[test]
fn a_first_tip_that_is_refused_is_told_and_touches_nothing() {
    let exchange = Exchange::new();
    let device = Device::new(&exchange, &exchange.hub.path().display().to_string());
    exchange.write(MANIFEST, "kind: [\n");
    exchange.commit(By::Nobody);
    exchange.push();
    let run = device.sync();
    assert_eq!((run.said("reason"), run.exit), ("UnsignedCommit", Some(1)), "{}{}", run.out, run.err);
    assert_eq!(exchange.hub.git(&["rev-list", "--count", &status_ref()]), "1", "a status says so");
    let before = device.state();
    assert_eq!(device.sync().said("reason"), "UnsignedCommit");
    assert!(before == device.state(), "the state folder was written to");
    for verb in ["status", "plan"] {
        let run = device.run(&[verb]);
        assert_eq!((run.said("reason"), run.exit), ("NothingAccepted", Some(1)));
        assert!(run.said("error").contains("is not signed"), "{}", run.err);
    }
    assert!(!device.path("sim.toml").exists());
}
