//! The stories of what is carried: sticks that bring, take along, are lost, come late or twice.

use giter_edge::{
    api::{Reason, board::Level::High},
    reconcile::tick::Tick,
};

use crate::{
    faults::every_fault,
    publisher::{
        Flaw,
        Wish::{self, File, Line},
    },
    run::Run,
    world::stick::Stick,
};

const ONE: &[Wish] = &[File("motd", "/etc/motd", "one")];
const TWO: &[Wish] = &[File("motd", "/etc/motd", "two"), Line("pump", "GPIO17", High)];
const THREE: &[Wish] = &[File("motd", "/etc/motd", "three")];

fn refusal(tick: &Tick) -> Option<Reason> {
    tick.sync_error.as_ref().map(|error| error.reason())
}

/// Unplugs the stick.
fn unplug(run: &Run) -> Stick {
    std::mem::take(&mut run.world().stick)
}

/// How many statuses it takes along.
fn taken(stick: &Stick) -> usize {
    stick.statuses.as_ref().map_or(0, |statuses| statuses.links.len())
}

#[test]
fn a_first_stick_and_the_next() {
    every_fault(|run| {
        run.publish(ONE);
        run.plug(None);
        run.visit();
        let first = unplug(run);
        run.publish(TWO);
        run.plug(Some(0));
        run.visit();
        assert_eq!(run.record().advances, 2);
        run.bring(&first);
        let second = unplug(run);
        run.bring(&second);
        let heard = run.world().hub.status;
        assert_eq!(heard, run.record().status.map(|status| status.commit));
    });
}

#[test]
fn a_stick_that_is_lost_takes_nothing_with_it() {
    every_fault(|run| {
        run.publish(ONE);
        run.plug(None);
        run.visit();
        let lost = taken(&unplug(run));
        run.publish(TWO);
        run.plug(Some(0));
        run.visit();
        let next = unplug(run);
        assert!(taken(&next) > lost);
        run.bring(&next);
        run.begin();
        run.publish(THREE);
        run.plug(Some(1));
        let heard = run.world().hub.status;
        run.world().stick.ack = heard;
        run.visit();
        let last = unplug(run);
        let base = last.statuses.as_ref().and_then(|statuses| statuses.base);
        assert_eq!(base, heard, "what the hub has heard is told again");
        run.bring(&last);
    });
}

#[test]
fn two_sticks_cross() {
    every_fault(|run| {
        run.publish(ONE);
        run.plug(None);
        run.visit();
        run.publish(TWO);
        run.plug(Some(0));
        let late = unplug(run);
        run.publish(THREE);
        run.plug(Some(0));
        run.visit();
        run.world().stick = late;
        let error = refusal(&run.visit());
        assert_eq!(error, Some(Reason::Rewound));
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn bundles_in_a_row_on_one_base() {
    every_fault(|run| {
        run.publish(ONE);
        run.plug(None);
        run.visit();
        for wishes in [TWO, THREE, ONE] {
            run.publish(wishes);
            run.plug(Some(0));
            assert_eq!(refusal(&run.visit()), None);
        }
        assert_eq!(run.record().advances, 4);
    });
}

#[test]
fn both_links_in_turn() {
    every_fault(|run| {
        run.publish(ONE);
        run.tick();
        run.publish(TWO);
        run.plug(Some(0));
        run.visit();
        run.tick();
        run.publish(THREE);
        run.tick();
        // The stick is older than what the hub has brought.
        assert_eq!(refusal(&run.visit()), Some(Reason::Rewound));
        run.tick();
    });
}

#[test]
fn a_stick_reaches_the_hub_after_the_device_did() {
    every_fault(|run| {
        run.publish(ONE);
        run.plug(None);
        run.visit();
        let stick = unplug(run);
        run.tick();
        run.bring(&stick);
        run.publish(TWO);
        run.tick();
    });
}

#[test]
fn what_a_stick_says_of_the_hub_is_believed_of_what_waits_alone() {
    every_fault(|run| {
        let commit = run.publish(ONE);
        run.plug(None);
        run.world().stick.ack = Some(commit);
        run.visit();
        let count = taken(&run.world().stick);
        assert!(count > 0);
        run.tick();
    });
}

#[test]
fn a_stick_that_cannot_be_written() {
    every_fault(|run| {
        run.publish(ONE);
        run.plug(None);
        run.world().stick.is_read_only = true;
        let tick = run.visit();
        assert_eq!(tick.publish_error.map(|error| error.reason()), Some(Reason::StickFailed));
        assert_eq!(run.record().advances, 1);
        run.world().stick.is_read_only = false;
        run.visit();
        assert!(taken(&run.world().stick) > 0);
    });
}

#[test]
fn a_base_that_the_device_does_not_have() {
    every_fault(|run| {
        run.publish(ONE);
        run.publish(TWO);
        run.plug(Some(0));
        assert_eq!(refusal(&run.visit()), Some(Reason::BundleBaseMissing));
        assert_eq!(run.record().tip, None);
        run.plug(None);
        assert_eq!(refusal(&run.visit()), None);
    });
}

#[test]
fn a_flawed_tip_on_a_stick() {
    every_fault(|run| {
        run.publish(ONE);
        run.plug(None);
        run.visit();
        run.publish_flawed(TWO, Flaw::Stranger);
        run.plug(Some(0));
        assert_eq!(refusal(&run.visit()), Some(Reason::UntrustedKey));
        run.publish(TWO);
        run.plug(Some(0));
        assert_eq!(refusal(&run.visit()), None);
    });
}

#[test]
fn a_device_that_lost_its_state_goes_on_from_the_status_that_a_stick_brings() {
    every_fault(|run| {
        run.publish(ONE);
        run.tick();
        run.publish(TWO);
        run.tick();
        run.begin();
        let before = run.record().status.unwrap().sequence;
        run.lose_floor();
        run.lose_state();
        run.plug(None);
        run.visit();
        assert!(run.record().status.unwrap().sequence >= before);
        run.tick();
    });
}
