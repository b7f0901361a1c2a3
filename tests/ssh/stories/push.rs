//! Pushing the status ref.

use giter_edge::{
    api::{Oid, Reason},
    reconcile::ports::ObjectKind,
};

use super::WAY;
use crate::{STATUS, common::hub::Hub, object, reason, status};

#[test]
fn a_status_is_made_and_moved_and_moved_only_from_where_it_was() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    let (first, objects) = status(None, "one");
    link.list().unwrap();
    link.publish(None, first, &objects).unwrap();
    assert_eq!(hub.value(STATUS), Some(first));
    assert_eq!(hub.git(&["cat-file", "blob", &format!("{first}:status")]), "one");

    let (second, objects) = status(Some(first), "two");
    link.publish(Some(first), second, &objects).unwrap();
    assert_eq!(hub.value(STATUS), Some(second));
    link.publish(Some(first), second, &objects).unwrap();
    assert_eq!(hub.value(STATUS), Some(second), "what arrived already is left");

    let (third, objects) = status(Some(first), "three");
    assert_eq!(reason(link.publish(Some(first), third, &objects)), Reason::StatusRefMoved);
    assert_eq!(reason(link.publish(None, third, &objects)), Reason::StatusRefMoved);
    assert_eq!(hub.value(STATUS), Some(second));
    assert_eq!(link.list().unwrap().status, Some(second));
}

#[test]
fn a_status_ref_that_was_removed_has_moved() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let (new, objects) = status(None, "one");
    let published = WAY.link(WAY.config(&sshd, &hub.path())).publish(Some(Oid::new([7; 20])), new, &objects);
    assert_eq!(reason(published), Reason::StatusRefMoved);
    assert_eq!(hub.value(STATUS), None);
}

#[test]
fn a_status_ref_that_moves_during_the_push_has_moved() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let other = hub.value("refs/heads/main").unwrap();
    hub.hook("pre-receive", &format!("unset GIT_QUARANTINE_PATH; git update-ref {STATUS} {other}"));
    let (new, objects) = status(None, "one");
    assert_eq!(reason(WAY.link(WAY.config(&sshd, &hub.path())).publish(None, new, &objects)), Reason::StatusRefMoved);
    assert_eq!(hub.value(STATUS), Some(other));
}

#[test]
fn a_hook_that_declines_is_quoted() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    hub.hook("pre-receive", "echo 'not on a Sunday' >&2; exit 1");
    let (new, objects) = status(None, "one");
    let error = WAY.link(WAY.config(&sshd, &hub.path())).publish(None, new, &objects).unwrap_err();
    assert_eq!(error.reason(), Reason::PushRejected);
    assert!(error.one_line().ends_with("pre-receive hook declined (not on a Sunday)"), "{}", error.one_line());
}

#[test]
fn a_hidden_ref_is_rejected_with_what_to_do() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    hub.git(&["config", "receive.hideRefs", "refs/giter"]);
    let (new, objects) = status(None, "one");
    let error = WAY.link(WAY.config(&sshd, &hub.path())).publish(None, new, &objects).unwrap_err();
    assert_eq!(error.reason(), Reason::PushRejected);
    assert!(error.get_hint().unwrap().contains("receive.hideRefs"));
}

#[test]
fn a_push_that_leaves_out_objects_or_names_no_ref_is_rejected() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let (new, objects) = status(None, "one");
    let mut bad = WAY.config(&sshd, &hub.path());
    bad.status_ref = "refs/giter/status/a..b".to_owned();
    assert_eq!(reason(WAY.link(bad).publish(None, new, &objects)), Reason::PushRejected);
    let (new, mut objects) = status(None, "two");
    objects.remove(0);
    assert_eq!(reason(WAY.link(WAY.config(&sshd, &hub.path())).publish(None, new, &objects)), Reason::PushRejected);
    assert_eq!(hub.value(STATUS), None);
}

#[test]
fn a_hub_that_refuses_early_is_heard_while_the_pack_is_on_its_way() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    hub.git(&["config", "receive.maxInputSize", "1000"]);
    // Bytes that do not compress, more than pipes and windows hold.
    let mut seed = 1u32;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    });
    let (new, mut objects) = status(None, "one");
    objects.push(object(ObjectKind::Blob, noise.take(8 << 20).collect::<Vec<_>>()));
    let error = WAY.link(WAY.config(&sshd, &hub.path())).publish(None, new, &objects).unwrap_err();
    assert_eq!(error.reason(), Reason::PushRejected, "{}", error.one_line());
}

#[test]
fn a_hub_that_is_lost_after_the_pack_was_sent_is_unreachable() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    hub.hook("pre-receive", "kill -9 $PPID");
    let (new, objects) = status(None, "one");
    assert_eq!(reason(WAY.link(WAY.config(&sshd, &hub.path())).publish(None, new, &objects)), Reason::HubUnreachable);
}

#[test]
fn a_hub_that_only_goes_forward_says_so() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    // git's own `receive.denyNonFastForwards` is about branches alone.
    let is_ancestor = "read old new name; case $old in 000*) exit 0;; esac; git merge-base --is-ancestor $old $new";
    hub.hook("pre-receive", &format!("{is_ancestor} || {{ echo 'only forward' >&2; exit 1; }}"));
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    let (first, objects) = status(None, "one");
    link.publish(None, first, &objects).unwrap();
    let (second, objects) = status(Some(first), "two");
    link.publish(Some(first), second, &objects).unwrap();
    let (third, objects) = status(Some(first), "three");
    let error = link.publish(Some(second), third, &objects).unwrap_err();
    assert_eq!(error.reason(), Reason::PushRejected);
    assert!(error.one_line().contains("only forward"), "{}", error.one_line());
    let (fourth, objects) = status(Some(second), "four");
    link.publish(Some(second), fourth, &objects).unwrap();
    assert_eq!(hub.value(STATUS), Some(fourth));
}

#[test]
fn a_missing_repository_is_said_so() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let (new, objects) = status(None, "one");
    let published = WAY.link(WAY.config(&sshd, &hub.beside("none.git"))).publish(None, new, &objects);
    assert_eq!(reason(published), Reason::RepositoryNotFound);
}
