//! A story again and again: once in peace, to count its effects, then with a fault at each of them in turn.
//!
//! `SIM=17:lazy cargo test --test sim stories::a_change` tells that story once, with the power cut at effect 17 and
//! nothing kept that was not synced. The faults are `lazy`, `eager`, `torn`, `mixed` (see [`Cache`]) and `fail`.

use std::{
    any::type_name_of_val,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    run::{Run, Workshop, sound_parts},
    world::{Fault, Shared, World, disk::Cache},
};

const FAULTS: [&str; 5] = ["lazy", "eager", "torn", "mixed", "fail"];

/// Tells the story with every fault at every effect, and says how to repeat the first that breaks an invariant.
pub(crate) fn every_fault(story: impl Fn(&mut Run)) {
    let name = type_name_of_val(&story).trim_start_matches("sim::").trim_end_matches("::{{closure}}").to_owned();
    let broken = match env::var("SIM") {
        Ok(text) => once(&story, &text),
        Err(_) => first_broken(Shared::new, sound_parts, &story),
    };
    if let Some(Broken { fault, effect, why }) = broken {
        panic!("{why}\n  with `{fault}` at effect {effect}\n  repeat: SIM={fault} cargo test --test sim {name}");
    }
}

/// A story that broke an invariant.
pub(crate) struct Broken {
    /// As `SIM` takes it.
    fault: String,
    effect: String,
    pub(crate) why: String,
}

/// The first fault with which the story breaks an invariant.
pub(crate) fn first_broken(world: fn() -> Shared, workshop: Workshop, story: &impl Fn(&mut Run)) -> Option<Broken> {
    let peaceful = world();
    if let Some(why) = broken(&peaceful, workshop, story) {
        return Some(Broken { fault: "0:none".into(), effect: "none".into(), why });
    }
    let World { effects, prelude, .. } = &*peaceful.get();
    assert!(effects.len() > 10, "the story has only {} effects", effects.len());
    let struck = |(at, effect): (usize, &String)| {
        FAULTS.iter().find_map(|fault| {
            let world = world();
            world.get().fault = Some((at, named(fault, at)));
            let why = broken(&world, workshop, story)?;
            Some(Broken { fault: format!("{at}:{fault}"), effect: effect.clone(), why })
        })
    };
    (1..).zip(effects).skip(*prelude).find_map(struck)
}

fn once(story: &impl Fn(&mut Run), text: &str) -> Option<Broken> {
    let (at, fault) = text.split_once(':').expect("SIM is an effect and a fault, such as 17:lazy");
    let at = at.parse().expect("SIM begins with an effect's number");
    let world = Shared::new();
    world.get().fault = (at > 0).then(|| (at, named(fault, at)));
    let why = broken(&world, sound_parts, story)?;
    let effect = at.checked_sub(1).and_then(|at| world.get().effects.get(at).cloned());
    Some(Broken { fault: text.into(), effect: effect.unwrap_or_default(), why })
}

fn named(fault: &str, at: usize) -> Fault {
    match fault {
        "lazy" => Fault::Cut(Cache::Lazy),
        "eager" => Fault::Cut(Cache::Eager),
        "torn" => Fault::Cut(Cache::Torn),
        "mixed" => Fault::Cut(Cache::Mixed(at as u64)),
        "fail" => Fault::Fail,
        other => panic!("{other} is not one of {FAULTS:?}"),
    }
}

/// Tells the story to its end; why it could not be, if an assertion failed on the way.
pub(crate) fn broken(world: &Shared, workshop: Workshop, story: &impl Fn(&mut Run)) -> Option<String> {
    let told = catch_unwind(AssertUnwindSafe(|| {
        let mut run = Run::new(world, workshop);
        story(&mut run);
        run.end();
    }));
    told.err().map(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or("a panic without words".into(), |text| (*text).into()),
    })
}
