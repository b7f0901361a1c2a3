//! Histories of more than one step, and tangled ones.

use std::collections::HashSet;

use super::*;

const STEP: u32 = limits::RANGE_STEP as u32;

/// The commits 1 to `tip` in a line, signed.
fn line(tip: u32) -> World {
    let mut world = World::default();
    world.signed(1, &[]);
    for number in 2..=tip {
        world.signed(number, &[number - 1]);
    }
    world
}

fn reason(world: &World, tip: u32, policy: Policy) -> Option<Reason> {
    verify_by(world, tip, Some(&floor(1)), policy).err().map(|error| error.reason())
}

#[test]
fn every_commit_of_every_step_is_judged() {
    let tip = 2 * STEP + 100;
    let mut world = line(tip);
    assert_eq!(verify_by(&world, tip, Some(&floor(1)), Policy::Range).unwrap().commit(), id(tip));
    let cuts = [tip - STEP, tip - 2 * STEP];
    for at in cuts.into_iter().flat_map(|cut| [cut - 1, cut, cut + 1]).chain([2, tip - 1, tip]) {
        world.unsigned(at, &[at - 1], at.into());
        for policy in [Policy::Range, Policy::FirstParent] {
            assert_eq!(reason(&world, tip, policy), Some(Reason::UnsignedCommit), "{at} under {policy:?}");
        }
        world.signed(at, &[at - 1]);
    }
}

#[test]
fn a_side_that_left_in_an_earlier_step_is_judged_where_it_is_merged() {
    let (tip, side) = (2 * STEP + 100, 5_000);
    let mut world = line(tip);
    world.unsigned(side, &[5], 6);
    world.signed(tip - 10, &[tip - 11, side]);
    assert_eq!(reason(&world, tip, Policy::Range), Some(Reason::UnsignedCommit));
    assert_eq!(reason(&world, tip, Policy::FirstParent), None);
    world.signed_by(side, &[5], 6, &key(1));
    assert_eq!(reason(&world, tip, Policy::Range), None);
}

#[test]
fn dates_that_lie_across_steps_refuse_nothing() {
    let (tip, cut, side) = (2 * STEP + 100, STEP + 100, 5_000);
    let mut world = line(tip);
    // From the cut on nothing is known of the side's fork before this one is looked behind.
    world.signed_by(cut - 10, &[cut - 11], 0, &key(1));
    world.signed(side, &[cut - 20]);
    world.signed(tip - 10, &[tip - 11, side]);
    assert_eq!(reason(&world, tip, Policy::Range), None);
}

#[test]
fn the_steps_are_bounded_together() {
    let tip = STEP + 100;
    let mut world = line(tip);
    let side = |world: &mut World, first: u32, last: u32| {
        world.unsigned(first, &[1], first.into());
        for number in first + 1..=last {
            world.unsigned(number, &[number - 1], number.into());
        }
        last
    };
    let left = limits::RANGE_COMMITS as u32 - (tip - 1);
    let early = side(&mut world, 20_000, 20_000 + left / 2 - 1);
    let late = side(&mut world, 30_000, 30_000 + (left - left / 2) - 1);
    world.signed(50, &[49, early]);
    world.signed(tip - 10, &[tip - 11, late]);
    assert_eq!(reason(&world, tip, Policy::Tip), None);
    world.unsigned(late + 1, &[late], 31);
    world.signed(tip - 10, &[tip - 11, late + 1]);
    assert_eq!(reason(&world, tip, Policy::Tip), Some(Reason::RangeTooLong));
}

/// Where two commits parted, by looking at all that lies behind them; none if some of what lies between is not there.
fn partings(parents: &HashMap<u32, Vec<u32>>, a: u32, b: u32) -> HashSet<Oid> {
    let behind = |from: u32| {
        let (mut behind, mut open) = (HashSet::from([from]), vec![from]);
        while let Some(number) = open.pop() {
            let parents = parents.get(&number).into_iter().flatten();
            open.extend(parents.filter(|parent| behind.insert(**parent)));
        }
        behind
    };
    let (of_a, of_b) = (behind(a), behind(b));
    if of_a.symmetric_difference(&of_b).any(|number| !parents.contains_key(number)) {
        return HashSet::new();
    }
    let common: HashSet<u32> = of_a.intersection(&of_b).copied().collect();
    let inner: HashSet<u32> =
        common.iter().flat_map(|number| parents.get(number).into_iter().flatten()).copied().collect();
    common.difference(&inner).map(|number| id(*number)).collect()
}

#[test]
fn partings_are_found_without_looking_at_all_of_history() {
    // A small generator of numbers; what it yields from a seed is always the same.
    let mut state = 1u32;
    let mut below = |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % bound
    };
    let device = "site-a/pump".parse().unwrap();
    let mut found = [0; 3];
    for _ in 0..2_000 {
        let (mut world, mut parents) = (World::default(), HashMap::new());
        let tip = 4 + below(12);
        let lies = below(2) == 0;
        for number in 1..=tip {
            let count = below(4).min(number - 1);
            let chosen: Vec<_> = (0..count).map(|_| number - 1 - below((number - 1).min(5))).collect();
            let date = if lies { below(tip) } else { number };
            if below(20) > 0 || number + 1 >= tip {
                world.unsigned(number, &chosen, date.into());
                parents.insert(number, chosen);
            }
        }
        let expected = partings(&parents, tip, tip - 1);
        let partings =
            History::new(&Noted::new(&world), Reads::Device(&device)).partings(id(tip), id(tip - 1)).unwrap();
        assert_eq!(partings, expected, "{parents:?}");
        found[expected.len().min(2)] += 1;
    }
    assert!(found.iter().all(|count| *count > 50), "{found:?}");
}
