//! The outbox that is full: what waited is given up, which is said, and the hub takes what comes after.

use std::fs;

use giter_edge::{
    api::{DeviceStatus, ledger::Record, limits},
    codec::{commit, config::Format, keyfile::SecretKey, status},
    disk::SlotLedger,
    git::{OutboxFile, outbox, seal::StatusSeal},
    reconcile::{
        outbox::Statuses,
        ports::{Ledger, Outbox},
        report,
        tick::Seal,
    },
};

use super::common::{
    exchange::{DEVICE, Exchange, status_ref},
    hub::git_bytes,
    stick::Site,
};

impl Site {
    /// What the stick takes along.
    fn taken_along(&self) -> Statuses {
        outbox::decode(&fs::read(self.statuses()).unwrap(), &status_ref()).unwrap()
    }

    /// What the publisher's repository makes of the stick: the result, how many statuses are new, how many are replaced.
    fn import(&self) -> (String, u64, u64) {
        let stick = self.exchange.beside("stick").display().to_string();
        let run = self.giterctl(&["import", &stick, "--offline", "-o", "json"]);
        let said: serde_json::Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}", run.err));
        let row = &said["files"][0];
        let number = |name: &str| row[name].as_u64().unwrap_or_default();
        (row["result"].as_str().unwrap().to_owned(), number("statuses"), number("replaced"))
    }

    /// The last status that the publisher's repository has.
    fn heard(&self) -> DeviceStatus {
        let file = format!("{}:status.postcard", status_ref());
        status::decode(&git_bytes(&self.exchange.work(), &["cat-file", "blob", &file])).unwrap()
    }

    /// Has the device say so much more, which waits: as so many visits leave it whose sticks nobody brings home.
    fn say(&self, count: usize) {
        let (state, key) = (self.device.path("state"), fs::read(self.exchange.beside("device")).unwrap());
        let seal =
            StatusSeal::new(DEVICE.parse().unwrap(), SecretKey::from_openssh("device", &key).unwrap(), Format::Compact);
        let (mut ledger, mut file) = (SlotLedger::new(&state), OutboxFile::new(&state, &status_ref()));
        let (record, mut waiting, mut status) = (ledger.load().unwrap(), file.load().unwrap(), self.heard());
        let mut last = record.status.clone().unwrap();
        for _ in 0..count {
            last.sequence += 1;
            status.sequence = last.sequence;
            let message = report::message(&status, []);
            let made = seal.seal(&status, waiting.tip(), 1_795_000_000, message).unwrap().objects;
            last.parent = waiting.tip();
            last.commit = made[2].id;
            waiting.links.push(made);
        }
        file.save(&waiting).unwrap();
        ledger.save(&Record { serial: record.serial + 1, status: Some(last), ..record }).unwrap();
    }
}

#[test]
fn an_outbox_that_is_full_begins_anew_and_says_so() {
    let site = Site::with(Exchange::in_memory());
    site.approve();
    let first = site.commit("one");
    site.bundle(&site.own(), &["main"]);
    site.taken(first, "one");
    assert_eq!(site.import(), ("New".into(), 1, 0));
    let base = site.taken_along().tip();
    fs::write(site.stick(&format!("to-device/{DEVICE}.ack")), format!("{}\n", base.unwrap())).unwrap();
    assert_eq!(site.visit().exit, Some(0));

    // One less than the bound, and one more: all of it is kept, and comes home.
    site.say(limits::OUTBOX_STATUSES - 1);
    let second = site.commit("two");
    site.bundle(&site.own(), &[&format!("{first}..main")]);
    let run = site.visit();
    assert_eq!((run.exit, run.err.as_str(), site.says().as_str()), (Some(0), "", "two"));
    assert_eq!((site.taken_along().base, site.taken_along().links.len()), (base, limits::OUTBOX_STATUSES));
    assert_eq!(site.import(), ("New".into(), limits::OUTBOX_STATUSES as u64, 0));
    let sequence = site.heard().sequence;

    // The device does not get to know that, and has no room for the next.
    let third = site.commit("three");
    site.bundle(&site.own(), &[&format!("{second}..main")]);
    let run = site.visit();
    let said = "512 statuses that no stick is known to have brought to the hub were given up";
    assert_eq!((run.exit, site.says().as_str()), (Some(0), "three"), "{}", run.err);
    assert!(run.err.contains(said), "{}", run.err);
    let taken = site.taken_along();
    assert_eq!((taken.base, taken.links.len()), (base, 1));
    let [_, _, commit] = &taken.links[0];
    let message = String::from_utf8(commit.object.data.clone()).unwrap();
    assert!(message.contains(said), "{message}");
    assert_eq!(commit::parse(&commit.object.data).unwrap().parents, Vec::from_iter(base));
    assert_eq!(site.import(), ("New".into(), 1, limits::OUTBOX_STATUSES as u64));
    assert_eq!((site.heard().sequence, site.heard().observed_revision), (sequence + 1, Some(third)));
    assert_eq!(site.import().0, "AlreadyKnown");
}
