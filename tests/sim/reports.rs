//! Stories of what a device says when nothing happens, and when too much does.

use giter_edge::{
    api::{
        ConditionType, Reason,
        board::Level::{High, Low},
        limits,
    },
    codec::commit,
    reconcile::tick::{Published, Tick},
};

use crate::{
    faults::{broken, every_fault},
    publisher::Wish::{self, File, Line},
    run::{Run, sound_parts},
    world::Shared,
};

const MOTD: Wish = File("motd", "/etc/motd", "hello");
const PUMP: Wish = Line("pump", "GPIO17", High);
const HEARTBEAT: u32 = 3600;
const DAY: u32 = 24 * HEARTBEAT;

/// Tells a story in which nothing else goes wrong.
fn in_peace(story: impl Fn(&mut Run)) {
    assert_eq!(broken(&Shared::new(), sound_parts, &story), None);
}

/// A device with two resources that has said so.
fn quiet(run: &mut Run) {
    run.heartbeat = Some(HEARTBEAT.into());
    run.publish(&[MOTD, PUMP]);
    run.tick();
}

fn beat(run: &mut Run) -> Tick {
    run.world().pass(HEARTBEAT);
    run.tick()
}

/// How many statuses the hub's record has.
fn recorded(run: &mut Run) -> usize {
    let world = run.world();
    let before = |id| commit::parse(&world.hub.objects.0[&id].data).unwrap().parents.first().copied();
    std::iter::successors(world.hub.status, |id| before(*id)).count()
}

fn appended(run: &Run) -> Option<u32> {
    run.record().pushes.and_then(|pushes| pushes.appended)
}

/// Something that the device has to tell.
fn change(run: &mut Run, at: usize) -> Tick {
    run.publish(&[File("motd", "/etc/motd", at.to_string().leak()), PUMP]);
    run.tick()
}

#[test]
fn heartbeats_take_each_others_place() {
    every_fault(|run| {
        quiet(run);
        beat(run);
        run.world().hub.loses_reply = true;
        beat(run);
        run.world().board.force("GPIO17", Low);
        run.tick();
        beat(run);
    });
}

#[test]
fn a_quiet_device_adds_nothing_to_its_record() {
    in_peace(|run| {
        quiet(run);
        for beats in 1..=30 {
            assert!(matches!(beat(run).published, Published::Pushed(_)));
            assert_eq!((recorded(run), run.said().sequence), (2, beats + 1));
        }
        run.world().board.force("GPIO17", Low);
        run.tick();
        assert_eq!(recorded(run), 3, "what happened is put on top");
        beat(run);
        beat(run);
        assert_eq!(recorded(run), 4);
    });
}

#[test]
fn what_happened_again_stays_in_the_record() {
    in_peace(|run| {
        quiet(run);
        // So often that the count is not told each time.
        for _ in 0..9 {
            run.world().board.force("GPIO17", Low);
            run.tick();
        }
        let before = recorded(run);
        run.world().board.force("GPIO17", Low);
        run.tick();
        assert_eq!(recorded(run), before);
        beat(run);
        assert_eq!(recorded(run), before + 1, "its message tells of the tenth time");
        beat(run);
        beat(run);
        assert_eq!(recorded(run), before + 2, "the heartbeats after it tell of nothing");
    });
}

#[test]
fn a_reply_is_lost_after_a_heartbeat_took_anothers_place() {
    in_peace(|run| {
        quiet(run);
        beat(run);
        run.world().hub.loses_reply = true;
        run.world().pass(HEARTBEAT);
        run.tick();
        assert_eq!((recorded(run), run.said().sequence), (2, 3), "the ref was read, and nothing was told again");
    });
}

#[test]
fn a_hub_that_only_goes_forward() {
    every_fault(|run| {
        run.world().hub.is_forward_only = true;
        quiet(run);
        beat(run);
        beat(run);
        run.world().hub.is_forward_only = false;
        run.world().pass(6 * HEARTBEAT);
        run.tick();
    });
}

#[test]
fn where_the_hub_only_goes_forward_heartbeats_are_appended_and_rarer() {
    let factor = u32::try_from(limits::APPENDED_HEARTBEAT_FACTOR).unwrap();
    in_peace(|run| {
        run.world().hub.is_forward_only = true;
        quiet(run);
        beat(run);
        assert_eq!((recorded(run), appended(run)), (2, None), "there was nothing to replace");
        assert!(matches!(beat(run).published, Published::Pushed(_)), "it is appended at once");
        assert_eq!((recorded(run), appended(run)), (3, Some(1)));
        assert_eq!(beat(run).published, Published::Unchanged);
        run.reboot();
        run.tick();
        beat(run);
        assert_eq!((recorded(run), appended(run)), (4, Some(1)), "a restart does not make them more frequent");
        for _ in 1..limits::APPENDED_HEARTBEATS {
            run.world().pass(factor * HEARTBEAT);
            run.tick();
        }
        let before = recorded(run);
        run.world().hub.is_forward_only = false;
        run.world().pass(factor * HEARTBEAT);
        run.tick();
        assert_eq!((recorded(run), appended(run)), (before, None), "it was tried again");
    });
}

#[test]
fn a_hub_that_takes_no_status_at_all_teaches_nothing() {
    in_peace(|run| {
        quiet(run);
        beat(run);
        run.world().hub.declines = true;
        run.world().pass(HEARTBEAT);
        let error = run.tick_that_is_lost().publish_error.unwrap();
        assert_eq!((error.reason(), appended(run)), (Reason::PushRejected, None));
        run.world().hub.declines = false;
        run.tick();
        beat(run);
        beat(run);
        assert_eq!((recorded(run), appended(run)), (2, None));
    });
}

#[test]
fn the_hub_is_restored_to_where_a_heartbeat_had_not_been() {
    in_peace(|run| {
        quiet(run);
        let first = run.world().hub.status;
        beat(run);
        beat(run);
        run.restore_status(first);
        run.tick();
        assert_eq!((recorded(run), run.said().sequence), (2, 4));
    });
}

#[test]
fn the_hub_is_restored_to_a_heartbeat_that_gave_way() {
    every_fault(|run| {
        quiet(run);
        beat(run);
        let older = run.world().hub.status;
        beat(run);
        beat(run);
        run.restore_status(older);
        run.tick();
        beat(run);
    });
}

#[test]
fn the_state_folder_is_lost_between_heartbeats() {
    every_fault(|run| {
        quiet(run);
        beat(run);
        run.lose_state();
        run.tick();
        beat(run);
    });
}

#[test]
fn a_twin_is_not_replaced() {
    in_peace(|run| {
        quiet(run);
        beat(run);
        run.hear_twin();
        let before = recorded(run);
        beat(run);
        assert_eq!(recorded(run), before + 1, "what another board said stays, and shows that there are two");
    });
}

#[test]
fn changes_soon_after_a_push_go_together() {
    every_fault(|run| {
        run.coalesce = 3600;
        quiet(run);
        change(run, 0);
        run.world().pass(3600);
        run.tick();
        run.reboot();
        change(run, 1);
    });
    in_peace(|run| {
        run.coalesce = 3600;
        quiet(run);
        assert!(matches!(change(run, 0).published, Published::Held(Some(3420..=3540))));
        assert!(matches!(change(run, 1).published, Published::Held(Some(_))));
        assert_eq!(recorded(run), 1);
        run.world().pass(3600);
        assert!(matches!(run.tick().published, Published::Pushed(_)));
        assert_eq!((recorded(run), waited(run).as_deref()), (2, Some("Coalesced")));
        run.world().pass(3600);
        change(run, 2);
        assert_eq!(waited(run), None);
    });
}

/// Why the device's last status had to wait, if it had to.
fn waited(run: &mut Run) -> Option<String> {
    let said = run.said();
    let reported = said.conditions.iter().find(|condition| condition.kind == ConditionType::Reported);
    reported.map(|condition| condition.reason.to_string())
}

#[test]
fn a_budget_holds_over_faults_and_restarts() {
    every_fault(|run| {
        run.budget = Some(12_000);
        quiet(run);
        change(run, 0);
        change(run, 1);
        run.world().pass(DAY);
        run.tick();
    });
}

#[test]
fn a_budget_is_kept_and_what_it_holds_back_is_told_later() {
    in_peace(|run| {
        run.budget = Some(128_000);
        quiet(run);
        let told = (0..60).filter(|at| matches!(change(run, *at).published, Published::Pushed(_))).count();
        assert!((10..30).contains(&told), "half a day's bytes, but for the reserve, are {told} statuses");
        assert_eq!(change(run, 60).published, Published::Held(None));
        run.reboot();
        assert_eq!(run.tick().published, Published::Held(None), "a restart brings nothing back");
        run.publish_flawed(&[PUMP], crate::publisher::Flaw::Unsigned);
        assert!(matches!(run.tick().published, Published::Pushed(_)), "there is a reserve for errors");
        assert_eq!(waited(run).as_deref(), Some("BudgetLow"));
        run.world().pass(DAY);
        change(run, 61);
        assert_eq!(waited(run), None);
    });
}
