//! Stories of what a device forgets, and by what it knows again how far it had come.

use giter_edge::{
    api::{Reason, board::Level::High},
    reconcile::tick::Published,
};

use crate::{
    faults::{broken, every_fault},
    publisher::Wish::{self, File, Led, Line},
    run::{Run, holding_parts, sound_parts},
    world::Shared,
};

const MOTD: Wish = File("motd", "/etc/motd", "hello");
const PUMP: Wish = Line("pump", "GPIO17", High);
const LAMP: Wish = Led("lamp", "ACT", 255);

fn refusal(run: &mut Run) -> Option<Reason> {
    run.tick().sync_error.map(|error| error.reason())
}

/// Two tips, of which the device has accepted both, or the second alone.
fn two_tips(run: &mut Run) {
    run.publish(&[MOTD]);
    run.tick();
    run.publish(&[MOTD, LAMP]);
    run.tick();
}

#[test]
fn the_state_folder_is_lost_and_the_floor_is_not() {
    every_fault(|run| {
        two_tips(run);
        run.lose_state();
        run.rewind(0);
        assert_eq!(refusal(run), Some(Reason::Rewound));
        assert_eq!(run.record().advances, 2);
        assert_eq!(run.said().observed_revision, run.record().tip.map(|tip| tip.commit));
        run.publish(&[PUMP]);
        assert_eq!(refusal(run), None);
        assert_eq!(run.record().advances, 3);
    });
}

#[test]
fn the_state_folder_and_the_floor_are_lost_and_the_last_status_is_not() {
    every_fault(|run| {
        two_tips(run);
        run.lose_floor();
        run.lose_state();
        run.rewind(0);
        assert_eq!(refusal(run), Some(Reason::Rewound));
        assert_eq!(run.record().advances, 2);
        run.publish(&[PUMP]);
        assert_eq!(refusal(run), None);
        assert_eq!(run.record().advances, 3);
    });
}

#[test]
fn everything_is_lost_and_the_first_sync_believes_what_it_finds() {
    every_fault(|run| {
        two_tips(run);
        run.lose_floor();
        run.lose_state();
        run.begin_anew();
        run.rewind(0);
        assert_eq!(refusal(run), None);
        assert_eq!(run.record().advances, 1);
        run.publish(&[PUMP]);
        run.tick();
    });
}

#[test]
fn a_damaged_floor_is_written_again() {
    every_fault(|run| {
        two_tips(run);
        run.damage_floor();
        run.reboot();
        run.lose_state();
        run.rewind(0);
        assert_eq!(refusal(run), Some(Reason::Rewound));
    });
}

#[test]
fn a_damaged_floor_is_not_believed() {
    every_fault(|run| {
        two_tips(run);
        run.damage_floor();
        run.lose_state();
        run.rewind(0);
        assert_eq!(refusal(run), Some(Reason::Rewound));
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn the_only_record_of_a_tip_rots() {
    every_fault(|run| {
        run.publish(&[MOTD]);
        run.tick();
        // Nothing is new to say of this one, so that no status and no second record tell of it.
        run.publish(&[MOTD]);
        run.tick();
        run.damage_newest_record();
        run.rewind(0);
        assert_eq!(refusal(run), Some(Reason::Rewound));
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn the_record_of_a_status_rots_and_there_is_no_second_copy() {
    every_fault(|run| {
        two_tips(run);
        run.lose_floor();
        run.damage_newest_record();
        run.tick();
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn a_hub_that_went_back_behind_a_device_without_memory_is_refused() {
    every_fault(|run| {
        two_tips(run);
        let floor = run.record().tip.unwrap().commit;
        let said = run.world().hub.status;
        let commit = run.world().hub.objects.0.remove(&floor).unwrap();
        run.lose_floor();
        run.lose_state();
        run.rewind(0);
        let tick = run.tick_that_is_lost();
        assert_eq!(tick.sync_error.map(|error| error.reason()), Some(Reason::CommitNotFound));
        assert_eq!((tick.published, run.record().tip), (Published::Unchanged, None));
        assert_eq!(run.world().hub.status, said, "what the device knew was buried");
        run.world().hub.objects.0.insert(floor, commit);
        assert_eq!(refusal(run), Some(Reason::Rewound));
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn a_root_takes_a_device_back() {
    every_fault(|run| {
        two_tips(run);
        run.rewind(0);
        assert_eq!(refusal(run), Some(Reason::Rewound));
        run.publish_reset(1, 0, &[PUMP]);
        assert_eq!(refusal(run), None);
        assert_eq!(run.record().tip.unwrap().reset, 1);
        run.rewind(1);
        assert_eq!(refusal(run), Some(Reason::Rewound));
        run.publish(&[PUMP, LAMP]);
        assert_eq!(refusal(run), None);
        assert_eq!(run.record().advances, 4);
    });
}

#[test]
fn a_root_takes_a_device_back_that_remembers_nothing() {
    every_fault(|run| {
        two_tips(run);
        let lost = run.record().tip.unwrap().commit;
        run.world().hub.objects.0.remove(&lost);
        run.lose_floor();
        run.lose_state();
        run.publish_reset(1, 0, &[MOTD, LAMP, PUMP]);
        assert_eq!(refusal(run), None);
        assert_eq!((run.record().advances, run.record().tip.unwrap().reset), (3, 1));
        run.publish(&[PUMP, LAMP]);
        assert_eq!(refusal(run), None);
    });
}

#[test]
fn a_root_takes_a_device_back_that_knows_its_floor_and_cannot_have_it() {
    every_fault(|run| {
        two_tips(run);
        let lost = run.record().tip.unwrap().commit;
        run.world().hub.objects.0.remove(&lost);
        run.lose_state();
        run.publish_reset(1, 0, &[MOTD, LAMP, PUMP]);
        assert_eq!(refusal(run), None);
        assert_eq!((run.record().advances, run.record().tip.unwrap().reset), (3, 1));
    });
}

#[test]
fn two_boards_with_one_key_do_not_take_turns_for_ever() {
    let story = |run: &mut Run| {
        two_tips(run);
        run.hear_twin();
        assert_eq!(refusal(run), None);
        assert_eq!(run.said().boot_id, [1; 16], "the first time it goes on from there");
        run.hear_twin();
        let there = run.world().hub.status;
        run.move_status_ref(there);
        let error = run.tick().publish_error.unwrap();
        assert_eq!(error.reason(), Reason::StatusRefMoved);
        assert!(error.get_hint().unwrap().contains("the other board that has the key"), "{error:?}");
        run.publish(&[PUMP]);
        run.tick();
        assert_eq!(run.record().advances, 3);
        run.reboot();
        assert!(run.tick().publish_error.is_none());
    };
    assert_eq!(broken(&Shared::new(), sound_parts, &story), None);
}

#[test]
fn what_happens_to_the_status_ref_behind_a_held_conversation_is_found_by_the_push() {
    let story = |run: &mut Run| {
        two_tips(run);
        let before = run.said().sequence;
        run.move_status_ref(None);
        assert!(run.tick_that_is_lost().publish_error.is_none(), "nobody has told the device");
        run.publish(&[MOTD, PUMP]);
        let error = run.tick_that_is_lost().publish_error.unwrap();
        assert_eq!((error.reason(), run.world().hub.status), (Reason::StatusRefMoved, None));
        run.tick();
        assert!(run.said().sequence > before);
        assert_eq!(run.record().advances, 3);
    };
    assert_eq!(broken(&Shared::new(), holding_parts, &story), None);
}
