//! A conversation that is held between polls: what it sees, and what it does where it ends.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use giter_edge::{
    api::{Oid, Reason},
    reconcile::ports::{Link, Listing, Want},
};

use super::WAY;
use crate::{
    Recorder, STATUS,
    common::{
        hub::Hub,
        sshd::{Sshd, url},
    },
    reason, status,
};

/// A poll as `giterd run` makes it.
fn poll(link: &mut dyn Link) -> Listing {
    let listing = link.list().unwrap();
    link.rest();
    listing
}

fn commit(hub: &Hub, content: &str) -> Oid {
    hub.commit("main", "specs/dev/0000.yaml", content)
}

/// A link that has polled once.
fn held(sshd: &Sshd, hub: &Hub) -> Box<dyn Link + Send> {
    let mut link = WAY.link(WAY.config(sshd, &hub.path()));
    poll(&mut *link);
    link
}

#[test]
fn many_polls_on_one_connection_see_every_change_at_once() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(3));
    let mut link = held(&sshd, &hub);
    for round in 0..9 {
        let tip = commit(&hub, &round.to_string());
        if round % 3 == 1 {
            hub.git(&["pack-refs", "--all"]);
        }
        if round % 3 == 2 {
            hub.git(&["gc", "--quiet", "--prune=now"]);
        }
        assert_eq!(poll(&mut *link).branch, tip, "round {round}");
        assert_eq!(poll(&mut *link).branch, tip, "round {round}");
    }
    assert_eq!(sshd.sessions(), 1);
}

#[test]
fn what_is_new_is_fetched_on_the_connection_that_found_it() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(3));
    let mut link = held(&sshd, &hub);
    for round in 0..4 {
        let tip = commit(&hub, &round.to_string());
        assert_eq!(link.list().unwrap().branch, tip);
        let mut pack = Recorder::default();
        link.fetch(Want::Whole(tip), &mut pack).unwrap();
        assert_eq!(&pack.0[..4], b"PACK");
        link.rest();
    }
    assert_eq!(sshd.sessions(), 1);
}

#[test]
fn statuses_that_are_pushed_while_it_is_held_are_known_to_the_next_poll() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let mut link = held(&sshd, &hub);
    let mut last = None;
    for round in 0..9 {
        assert_eq!(link.list().unwrap().status, last, "round {round}");
        let (new, objects) = status(last, &round.to_string());
        link.publish(last, new, &objects).unwrap();
        assert_eq!(hub.value(STATUS), Some(new));
        link.rest();
        last = Some(new);
        assert_eq!(poll(&mut *link).status, last, "round {round}");
    }
}

#[test]
fn a_status_ref_that_somebody_moved_is_noticed_by_the_push_and_by_the_next_conversation() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let mut config = WAY.config(&sshd, &hub.path());
    let mut link = held(&sshd, &hub);
    let (first, objects) = status(None, "one");
    link.list().unwrap();
    link.publish(None, first, &objects).unwrap();
    link.rest();
    hub.git(&["update-ref", "-d", STATUS]);
    assert_eq!(poll(&mut *link).status, Some(first), "a conversation that is held does not hear of it");
    let (second, objects) = status(Some(first), "two");
    link.list().unwrap();
    assert_eq!(reason(link.publish(Some(first), second, &objects)), Reason::StatusRefMoved);
    link.rest();
    assert_eq!(poll(&mut *link).status, None);

    // One that has been held for long is not believed any more.
    config.manner.hold = Duration::from_nanos(1);
    let mut link = WAY.link(config);
    assert_eq!(poll(&mut *link).status, None);
    hub.git(&["update-ref", STATUS, &hub.value("refs/heads/main").unwrap().to_string()]);
    assert_eq!(poll(&mut *link).status, hub.value("refs/heads/main"));
}

#[test]
fn where_head_leads_elsewhere_the_branch_is_asked_for_anew_each_time() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    hub.commit("other", "file", "x");
    hub.git(&["symbolic-ref", "HEAD", "refs/heads/other"]);
    let mut link = held(&sshd, &hub);
    for round in 0..5 {
        let tip = commit(&hub, &round.to_string());
        assert_eq!(poll(&mut *link).branch, tip);
    }
    hub.git(&["update-ref", "--no-deref", "HEAD", &hub.value("refs/heads/main").unwrap().to_string()]);
    let tip = commit(&hub, "detached");
    assert_eq!(poll(&mut *link).branch, tip);
}

#[test]
fn head_that_changes_while_a_conversation_is_held_is_not_believed() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let other = hub.commit("other", "file", "x");
    let mut link = held(&sshd, &hub);
    let tip = commit(&hub, "one");
    hub.git(&["symbolic-ref", "HEAD", "refs/heads/other"]);
    assert_eq!(poll(&mut *link).branch, tip);
    assert_ne!(tip, other);
    hub.git(&["symbolic-ref", "HEAD", "refs/heads/unborn"]);
    let tip = commit(&hub, "two");
    assert_eq!(poll(&mut *link).branch, tip);
    hub.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    let tip = commit(&hub, "three");
    assert_eq!(poll(&mut *link).branch, tip);
    hub.git(&["update-ref", "-d", "refs/heads/main"]);
    assert_eq!(reason(link.list()), Reason::BranchNotFound);
}

/// A port through which a server is reached, and the connections that go through it.
#[derive(Clone)]
struct Gate {
    port: u16,
    open: Arc<Mutex<Vec<Passage>>>,
}

/// One connection, and whether what it carries is lost.
type Passage = (TcpStream, Arc<AtomicBool>);

impl Gate {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self { port: listener.local_addr().unwrap().port(), open: Arc::default() };
        let open = Arc::clone(&gate.open);
        thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
                let loses = Arc::new(AtomicBool::new(false));
                open.lock().unwrap().push((near.try_clone().unwrap(), Arc::clone(&loses)));
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    let loses = Arc::clone(&loses);
                    thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            if !loses.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        gate
    }

    /// Ends every connection; how many there were.
    fn cut(&self) -> usize {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        open.iter().for_each(|(connection, _)| connection.shutdown(Shutdown::Both).unwrap_or_default());
        open.len()
    }

    /// Forgets every connection, as a router does: nobody is told, and nothing arrives.
    fn forget(&self) {
        self.open.lock().unwrap().iter().for_each(|(_, loses)| loses.store(true, Ordering::SeqCst));
    }
}

#[test]
fn a_connection_that_is_lost_between_two_polls_is_made_again_by_the_next() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let gate = Gate::to(sshd.port());
    let mut link = WAY.link(WAY.config_at(&sshd, &url(gate.port, &hub.path())));
    for round in 0..3 {
        let tip = commit(&hub, &round.to_string());
        assert_eq!(poll(&mut *link).branch, tip);
        assert_eq!(gate.cut(), 1, "round {round}");
    }
}

#[test]
fn a_connection_that_was_forgotten_on_the_way_is_not_waited_for_as_long_as_another() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let gate = Gate::to(sshd.port());
    let mut link = WAY.link(WAY.config_at(&sshd, &url(gate.port, &hub.path())));
    poll(&mut *link);
    gate.forget();
    let tip = commit(&hub, "new");
    // It would fail after LONG, if that were waited for.
    assert_eq!(poll(&mut *link).branch, tip);
    assert_eq!(sshd.sessions(), 2);
}

#[test]
fn a_connection_that_is_lost_during_a_fetch_fails_it_and_nothing_after_it() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(50));
    let gate = Gate::to(sshd.port());
    let mut link = WAY.link(WAY.config_at(&sshd, &url(gate.port, &hub.path())));
    poll(&mut *link);
    let tip = link.list().unwrap().branch;
    gate.cut();
    assert_eq!(reason(link.fetch(Want::Whole(tip), &mut Recorder::default())), Reason::HubUnreachable);
    link.rest();
    assert_eq!(link.list().unwrap().branch, tip);
    let mut pack = Recorder::default();
    link.fetch(Want::Whole(tip), &mut pack).unwrap();
    assert!(!pack.0.is_empty());
}

#[test]
fn a_hub_that_is_gone_for_a_while_is_unreachable_and_then_found_again() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let gate = Gate::to(sshd.port());
    let mut link = WAY.link(WAY.config_at(&sshd, &url(gate.port, &hub.path())));
    poll(&mut *link);
    let away = hub.beside("away.git");
    std::fs::rename(hub.path(), &away).unwrap();
    gate.cut();
    assert_eq!(reason(link.list()), Reason::RepositoryNotFound);
    link.rest();
    std::fs::rename(&away, hub.path()).unwrap();
    let tip = commit(&hub, "back");
    assert_eq!(poll(&mut *link).branch, tip);
}

#[test]
fn a_link_that_does_not_hold_has_a_connection_for_each_poll() {
    let (sshd, hub) = (WAY.start(), Hub::with_files(1));
    let mut config = WAY.config(&sshd, &hub.path());
    config.manner.hold = Duration::ZERO;
    let mut link = WAY.link(config);
    for _ in 0..3 {
        poll(&mut *link);
        assert!(link.listen().is_none());
    }
    assert_eq!(sshd.sessions(), 3);
}

#[test]
fn an_answer_that_trickles_without_end_ends() {
    let trickle = "printf '000eversion 2\n0000'; while printf '0039%040d refs/heads/x' 1; do sleep 0.02; done";
    let (sshd, hub) = (WAY.start_forced(trickle), Hub::with_files(1));
    let mut config = WAY.config(&sshd, &hub.path());
    config.manner.exchange = Duration::from_secs(1);
    let error = WAY.link(config).list().unwrap_err();
    assert_eq!(error.to_string(), "the hub was not done after 1 seconds");
}

#[test]
fn what_is_asked_for_others_ends_with_the_visit() {
    let trickle = "printf '000eversion 2\n0000'; while printf '0039%040d refs/heads/x' 1; do sleep 0.02; done";
    let (sshd, hub) = (WAY.start_forced(trickle), Hub::with_files(1));
    let mut link = WAY.link(WAY.config(&sshd, &hub.path()));
    let upstream = link.upstream().unwrap();
    upstream.within(Duration::from_secs(1));
    let error = upstream.refs(&["refs/heads/x".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "the hub was not done with what is carried for others after 1 seconds");
}
