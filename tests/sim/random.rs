//! Stories and faults from a seed. `SIM_SEED=42 cargo test --test sim random` tells the story of that seed alone.

use std::env;

use giter_edge::{
    api::board::Level::{High, Low},
    reconcile::tick::Reach,
};

use crate::{
    faults::broken,
    publisher::{
        Flaw,
        Wish::{self, File, Led, Line},
    },
    run::{Run, sound_parts},
    world::{Fault, Shared, dice::Dice, disk::Cache},
};

const SEEDS: u64 = 300;
const ACTS: usize = 25;
/// Longer than all that happens without it being waited for.
const HEARTBEAT: u32 = 1_000_000;

#[test]
fn random_stories_hold_the_invariants() {
    let chosen = env::var("SIM_SEED").ok().map(|seed| seed.parse().expect("SIM_SEED is a number"));
    for seed in chosen.map_or(0..SEEDS, |seed: u64| seed..seed + 1) {
        if let Some(why) = broken(&Shared::new(), sound_parts, &|run: &mut Run| story(run, &mut Dice::new(seed))) {
            panic!("{why}\n  repeat: SIM_SEED={seed} cargo test --test sim random");
        }
    }
}

fn story(run: &mut Run, dice: &mut Dice) {
    run.heartbeat = Some(HEARTBEAT.into());
    for _ in 0..ACTS {
        act(run, dice);
        if dice.one_in(3) {
            let at = run.world().effects.len() + 1 + dice.below(20);
            let seed = dice.roll();
            let faults = [Cache::Lazy, Cache::Eager, Cache::Torn, Cache::Mixed(seed)].map(Fault::Cut);
            let fault = if dice.one_in(3) { Fault::Fail } else { faults[dice.below(faults.len())] };
            run.world().fault = Some((at, fault));
        }
        match dice.below(4) {
            0 => drop(run.tick_as_far_as(Reach::Board)),
            1 => {}
            _ => drop(run.tick()),
        }
    }
}

/// Something that a publisher or the world does.
fn act(run: &mut Run, dice: &mut Dice) {
    match dice.below(17) {
        0..=3 => drop(run.publish(&wishes(dice))),
        4 => {
            let flaws =
                [Flaw::Unsigned, Flaw::Stranger, Flaw::Garbled, Flaw::UnknownLine, Flaw::OtherKey, Flaw::Unrelated];
            // To a device that has no tip yet, none is unrelated.
            let choice = if run.record().tip.is_some() { flaws.len() } else { flaws.len() - 1 };
            let flaw = flaws[dice.below(choice)];
            run.publish_flawed(&wishes(dice), flaw);
        }
        5 if run.published() > 0 => {
            let older = dice.below(run.published());
            run.rewind(older);
        }
        6 => {
            let unreachable = dice.one_in(2);
            run.world().hub.unreachable = unreachable;
        }
        7 => run.world().hub.loses_reply = true,
        8 => run.move_status_ref(None),
        9 => run.reboot(),
        10 => {
            run.damage_newest_pack();
            run.reboot();
        }
        11 => run.world().board.files.clear(),
        12 => run.world().board.force("GPIO17", if dice.one_in(2) { Low } else { High }),
        13 | 14 => run.world().pass(HEARTBEAT),
        15 => {
            let is_forward_only = dice.one_in(2);
            run.world().hub.is_forward_only = is_forward_only;
        }
        _ => {}
    }
}

/// At most one resource for each target, under one of two names.
fn wishes(dice: &mut Dice) -> Vec<Wish> {
    let mut wishes = vec![File("always", "/etc/always", ["one", "two"][dice.below(2)])];
    let names = if dice.one_in(2) { ["a", "b", "c"] } else { ["c", "a", "b"] };
    for (name, path) in names.into_iter().zip(["/etc/a", "/etc/b", "/etc/c"]) {
        if dice.one_in(2) {
            wishes.push(File(name, path, ["red", "green", "blue"][dice.below(3)]));
        }
    }
    for (name, line) in names.into_iter().zip(["GPIO17", "GPIO22", "GPIO27"]) {
        if dice.one_in(2) {
            wishes.push(Line(name, line, if dice.one_in(2) { Low } else { High }));
        }
    }
    if dice.one_in(2) {
        wishes.push(Led(names[0], "ACT", [0, 17, 255][dice.below(3)]));
    }
    wishes
}
