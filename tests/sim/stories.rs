//! The stories: what publishers and the world do to a device, and what must come of it.

use giter_edge::{
    api::{
        Reason,
        board::Level::{High, Low},
    },
    reconcile::tick::{Published, Reach},
};

use crate::{
    faults::every_fault,
    publisher::{
        Flaw,
        Wish::{self, File, Led, Line},
    },
    run::{KEY, Run},
};

const MOTD: Wish = File("motd", "/etc/motd", "hello");
const PUMP: Wish = Line("pump", "GPIO17", High);
const LAMP: Wish = Led("lamp", "ACT", 255);

/// Why the last tick does not follow the branch.
fn refusal(run: &mut Run) -> Option<Reason> {
    run.tick().sync_error.map(|error| error.reason())
}

#[test]
fn the_first_sync() {
    every_fault(|run| {
        assert_eq!(refusal(run), Some(Reason::RepositoryEmpty));
        run.publish(&[MOTD, PUMP, LAMP]);
        run.tick();
        assert_eq!(run.record().advances, 1);
    });
}

#[test]
fn a_change() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP, LAMP]);
        run.tick();
        run.publish(&[File("motd", "/etc/motd", "good morning"), Line("pump", "GPIO17", Low), Led("lamp", "ACT", 17)]);
        run.tick();
        run.publish(&[MOTD, PUMP, LAMP]);
        run.tick();
        assert_eq!(run.record().advances, 3);
    });
}

#[test]
fn several_changes_at_once() {
    every_fault(|run| {
        run.publish(&[MOTD]);
        run.tick();
        run.publish(&[MOTD, PUMP]);
        run.publish(&[PUMP]);
        run.publish(&[PUMP, LAMP]);
        run.tick();
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn a_commit_that_changes_nothing_for_the_device() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP]);
        run.tick();
        let status = run.world().hub.status;
        run.publish(&[MOTD, PUMP]);
        run.tick();
        assert_eq!(run.record().advances, 2);
        let told_again = run.world().hub.status != status;
        assert!(!told_again || run.record().status.unwrap().sequence > 1);
    });
}

#[test]
fn drift_is_corrected() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP, LAMP]);
        run.tick();
        run.world().board.tamper("/etc/motd", b"mine");
        run.world().board.force("GPIO17", Low);
        run.tick_as_far_as(Reach::Board);
        run.world().board.files.clear();
        run.tick();
    });
}

#[test]
fn resources_are_deleted() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP, LAMP, Line("valve", "GPIO27", High)]);
        run.tick();
        run.publish(&[PUMP]);
        run.tick();
        assert!(run.world().board.files.is_empty());
        assert_eq!(run.record().owned.len(), 1);
    });
}

#[test]
fn a_file_is_moved() {
    every_fault(|run| {
        run.publish(&[MOTD]);
        run.tick();
        run.publish(&[File("motd", "/etc/issue", "hello")]);
        run.tick();
        assert_eq!(run.world().board.files.keys().collect::<Vec<_>>(), ["/etc/issue"]);
    });
}

#[test]
fn a_line_passes_to_another_resource_without_a_glitch() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP]);
        run.tick();
        run.publish(&[MOTD, Line("valve", "GPIO17", High)]);
        run.tick();
        assert_eq!(run.world().board.lines["GPIO17"].driven, [High]);
        assert_eq!(run.record().owned.len(), 2);
    });
}

#[test]
fn two_resources_swap_their_lines_in_one_tick() {
    every_fault(|run| {
        run.publish(&[Line("pump", "GPIO17", High), Line("valve", "GPIO27", High)]);
        run.tick();
        run.publish(&[Line("pump", "GPIO27", High), Line("valve", "GPIO17", High)]);
        run.tick();
        for line in ["GPIO17", "GPIO27"] {
            assert_eq!(run.world().board.lines[line].driven, [High]);
        }
    });
}

#[test]
fn two_files_swap_their_paths_in_one_tick() {
    every_fault(|run| {
        run.publish(&[File("a", "/etc/a", "from a"), File("b", "/etc/b", "from b")]);
        run.tick();
        run.publish(&[File("a", "/etc/b", "from a"), File("b", "/etc/a", "from b")]);
        run.tick();
    });
}

#[test]
fn flawed_tips_are_refused_and_a_good_one_is_taken() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP]);
        run.tick();
        for (flaw, reason) in [
            (Flaw::Unsigned, Reason::UnsignedCommit),
            (Flaw::Stranger, Reason::UntrustedKey),
            (Flaw::Garbled, Reason::YamlSyntax),
            (Flaw::UnknownLine, Reason::UnknownLine),
            (Flaw::Unrelated, Reason::NotFastForward),
        ] {
            run.publish_flawed(&[LAMP], flaw);
            assert_eq!(refusal(run), Some(reason));
        }
        run.publish(&[MOTD, LAMP]);
        assert_eq!(refusal(run), None);
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn the_first_tip_is_refused() {
    every_fault(|run| {
        run.publish_flawed(&[MOTD], Flaw::Unsigned);
        assert_eq!(refusal(run), Some(Reason::UnsignedCommit));
        assert_eq!(run.record().tip, None);
        run.publish(&[MOTD]);
        assert_eq!(refusal(run), None);
    });
}

#[test]
fn a_device_that_is_not_approved_holds_what_it_has_and_says_nothing() {
    every_fault(|run| {
        run.publish_flawed(&[MOTD, PUMP], Flaw::OtherKey);
        assert_eq!(refusal(run), Some(Reason::NotApproved));
        assert_eq!(run.record().tip, None);
        run.publish(&[MOTD, PUMP]);
        assert_eq!(refusal(run), None);
        run.publish_flawed(&[LAMP], Flaw::OtherKey);
        run.world().board.force("GPIO17", Low);
        assert_eq!(refusal(run), Some(Reason::NotApproved));
        assert_eq!(run.world().board.lines["GPIO17"].level, High);
        run.publish(&[LAMP]);
        assert_eq!(refusal(run), None);
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn a_key_that_was_replaced_has_to_be_approved() {
    every_fault(|run| {
        run.name_key(KEY);
        run.publish(&[MOTD, PUMP]);
        assert_eq!(refusal(run), None);
        let status = run.world().hub.status;
        run.replace_key(KEY + 2);
        assert_eq!(refusal(run), Some(Reason::NotApproved), "the tip is the accepted one, and yet");
        run.publish_flawed(&[MOTD, LAMP], Flaw::OtherKey);
        assert_eq!(refusal(run), Some(Reason::NotApproved));
        assert_eq!((run.record().advances, run.world().hub.status), (1, status));
        run.name_key(KEY + 2);
        run.publish(&[MOTD, LAMP]);
        assert_eq!(refusal(run), None);
        assert_ne!(run.world().hub.status, status);
    });
}

#[test]
fn a_rewound_branch_is_refused() {
    every_fault(|run| {
        run.publish(&[MOTD]);
        run.publish(&[MOTD, LAMP]);
        run.tick();
        run.publish(&[MOTD, PUMP]);
        run.tick();
        // Of the commits before the last two the device knows nothing any more.
        for (older, reason) in [(1, Reason::Rewound), (0, Reason::NotFastForward)] {
            run.rewind(older);
            assert_eq!(refusal(run), Some(reason));
        }
        run.publish(&[PUMP]);
        assert_eq!(refusal(run), None);
    });
}

#[test]
fn the_status_ref_is_deleted() {
    every_fault(|run| {
        run.publish(&[MOTD]);
        run.tick();
        run.move_status_ref(None);
        run.tick();
        assert!(run.world().hub.status.is_some());
    });
}

#[test]
fn the_status_ref_is_moved_by_another() {
    every_fault(|run| {
        let elsewhere = run.publish(&[MOTD]);
        run.tick();
        run.move_status_ref(Some(elsewhere));
        run.publish(&[MOTD, PUMP]);
        let error = run.tick().publish_error.unwrap();
        assert_eq!(error.reason(), Reason::StatusRefMoved);
        run.move_status_ref(None);
        run.tick();
    });
}

#[test]
fn the_hub_takes_a_status_and_cannot_say_so() {
    every_fault(|run| {
        run.publish(&[MOTD]);
        run.world().hub.loses_reply = true;
        run.tick();
        run.publish(&[MOTD, PUMP]);
        run.tick();
        assert!(!run.world().hub.loses_reply);
    });
}

#[test]
fn the_hub_is_unreachable() {
    every_fault(|run| {
        run.world().hub.unreachable = true;
        assert_eq!(refusal(run), Some(Reason::HubUnreachable));
        run.world().hub.unreachable = false;
        run.publish(&[MOTD, PUMP]);
        run.tick();
        run.world().hub.unreachable = true;
        run.publish(&[MOTD, LAMP]);
        run.world().board.force("GPIO17", Low);
        let tick = run.tick();
        assert_eq!(tick.sync_error.map(|error| error.reason()), Some(Reason::HubUnreachable));
        assert_eq!(tick.published, Published::Unchanged);
        run.reboot();
        run.tick();
        run.world().hub.unreachable = false;
        run.tick();
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn damaged_objects_are_fetched_again() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP]);
        run.tick();
        run.publish(&[MOTD, LAMP]);
        run.tick();
        run.damage_newest_pack();
        run.reboot();
        run.tick();
        assert_eq!(run.record().advances, 2);
    });
}

#[test]
fn damaged_objects_leave_the_board_alone_until_the_hub_is_reached() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP]);
        run.tick();
        run.damage_newest_pack();
        run.world().hub.unreachable = true;
        run.reboot();
        run.tick();
        assert!(run.world().board.files.contains_key("/etc/motd"));
        run.world().hub.unreachable = false;
        run.tick();
    });
}

#[test]
fn a_damaged_tip_falls_back_to_the_one_before() {
    every_fault(|run| {
        run.publish(&[MOTD, PUMP]);
        run.tick();
        run.publish(&[File("motd", "/etc/motd", "new"), LAMP]);
        run.tick();
        run.damage_newest_pack();
        run.world().hub.unreachable = true;
        run.reboot();
        run.tick();
        run.world().hub.unreachable = false;
        run.tick();
    });
}

#[test]
fn reboots_in_between() {
    every_fault(|run| {
        run.reboot();
        run.publish(&[MOTD, PUMP, LAMP]);
        run.tick();
        run.reboot();
        run.tick_as_far_as(Reach::Board);
        run.publish(&[PUMP, LAMP]);
        run.reboot();
        run.tick();
    });
}

#[test]
fn many_changes_leave_the_disk_bounded() {
    const CONTENTS: [&str; 5] = ["0", "1", "2", "3", "4"];
    every_fault(|run| {
        for (at, content) in CONTENTS.into_iter().enumerate() {
            if at == CONTENTS.len() - 1 {
                run.begin();
            }
            run.publish(&[File("motd", "/etc/motd", content)]);
            run.tick();
        }
    });
}
