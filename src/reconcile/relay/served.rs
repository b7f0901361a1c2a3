//! What a gateway did for a device at the hub, and what there is to do now.
//!
//! ```text
//! handed on  the statuses and the request in its folder, by their digests; where the hub's ref stood then
//! served     the branch's tip, from the commit that the device says it has
//! ```
//!
//! It is asked for nothing while both are as they were. What a hub has answered stands until something changes; what did
//! not reach it is tried again.

use std::collections::BTreeMap;

use crate::{
    api::{Error, Oid, Reason},
    reconcile::outbox::Statuses,
};

/// How far a device was carried for. It is kept as text beside what is carried, which anybody may have written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The tip that it was served with.
    pub tip: Option<Oid>,
    /// The commit that it says it has; what it was served builds on that.
    pub base: Option<Oid>,
    /// Where its status ref was at the hub.
    pub status: Option<Oid>,
    /// The digest of the statuses that were handed on.
    pub statuses: Option<String>,
    /// The digests of the requests that were handed on.
    pub requests: Vec<String>,
    /// What went wrong the last time.
    pub failure: Option<Failure>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// What, in one line.
    pub message: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { reason: error.reason(), message: error.one_line() }
    }
}

impl Failure {
    /// Whether it may go better another time although nothing was changed here: the hub was not reached, or something moves
    /// there that is not the branch.
    pub fn may_pass(&self) -> bool {
        is_outage(self.reason)
            || matches!(
                self.reason,
                Reason::HostKeyRefused
                    | Reason::SshKeyRefused
                    | Reason::RepositoryNotFound
                    | Reason::StatusRefMoved
                    | Reason::EnrolmentConflict
            )
    }
}

/// Whether there is no sense in asking a hub for more that has failed so.
pub fn is_outage(reason: Reason) -> bool {
    matches!(reason, Reason::HubUnreachable | Reason::HubTimeout | Reason::Stopped)
}

/// What a gateway has of a device in its folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Papers<'a> {
    /// The digest of its statuses.
    pub statuses: Option<&'a str>,
    /// The digests of its requests.
    pub requests: &'a [&'a str],
    /// Whether there is a bundle for it, up to the tip.
    pub has_specs: bool,
}

impl Served {
    /// Whether there is something to do, with the branch at this tip.
    pub fn is_due(&self, tip: Oid, kept: &Papers<'_>) -> bool {
        let is_new = |request: &&str| !self.requests.iter().any(|handed| handed == request);
        let lacks_specs = self.failure.is_none() && self.base != Some(tip) && !kept.has_specs;
        self.tip != Some(tip)
            || kept.statuses.is_some() && kept.statuses != self.statuses.as_deref()
            || kept.requests.iter().any(is_new)
            || lacks_specs
            || self.failure.as_ref().is_some_and(Failure::may_pass)
    }

    /// Reads what [`Served::write`] wrote. What is not of its form says nothing.
    pub fn read(text: &str) -> Self {
        let rows: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(": ")).collect();
        let id = |key| rows.get(key).and_then(|id| id.parse().ok());
        let word = |key| rows.get(key).map(|word| (*word).to_owned());
        // It is shown to people.
        let message = rows.get("message").map(|message| message.replace(char::is_control, " "));
        let reason = rows.get("reason").and_then(|reason| Reason::named(reason));
        Self {
            tip: id("tip"),
            base: id("base"),
            status: id("status"),
            statuses: word("statuses"),
            requests: rows.get("requests").map_or(vec![], |words| words.split(' ').map(str::to_owned).collect()),
            failure: reason.map(|reason| Failure { reason, message: message.unwrap_or_default() }),
        }
    }

    /// A line for each thing that there is, with its name.
    pub fn write(&self) -> String {
        let id = |id: Option<Oid>| id.map(|id| id.to_string());
        let rows = [
            ("tip", id(self.tip)),
            ("base", id(self.base)),
            ("status", id(self.status)),
            ("statuses", self.statuses.clone()),
            ("requests", (!self.requests.is_empty()).then(|| self.requests.join(" "))),
            ("reason", self.failure.as_ref().map(|failure| failure.reason.to_string())),
            ("message", self.failure.as_ref().map(|failure| failure.message.clone())),
        ];
        rows.into_iter().filter_map(|(key, value)| Some(format!("{key}: {}\n", value?))).collect()
    }
}

/// What becomes of a device's statuses at the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handing {
    /// The hub has them.
    Known,
    /// So many of the last ones go on from where the hub is.
    Last(usize),
    /// Where the hub is they do not know: it may be behind them, or they have nothing to do with each other.
    Apart,
}

/// What becomes of statuses where the hub's ref is at that one.
pub fn handing(statuses: &Statuses, hub: Option<Oid>) -> Handing {
    match statuses.after(hub) {
        Some(0) => Handing::Known,
        Some(count) => Handing::Last(count),
        None => Handing::Apart,
    }
}

/// The bundles that are to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundles {
    /// From each commit that devices have, and which devices those are.
    pub since: BTreeMap<Oid, Vec<usize>>,
    /// Those that have nothing yet.
    pub seeds: Vec<usize>,
}

/// The bundles that bring devices to a tip, by the commits that they say they have. Those who are there need none.
pub fn bundles(bases: impl IntoIterator<Item = (usize, Option<Oid>)>, tip: Oid) -> Bundles {
    let mut bundles = Bundles::default();
    for (device, base) in bases {
        match base {
            Some(base) if base == tip => {}
            Some(base) => bundles.since.entry(base).or_default().push(device),
            None => bundles.seeds.push(device),
        }
    }
    bundles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::ports::{NewObject, Object, ObjectKind};

    fn oid(number: u8) -> Oid {
        Oid::new([number; 20])
    }

    fn served() -> Served {
        Served {
            tip: Some(oid(2)),
            base: Some(oid(1)),
            status: Some(oid(7)),
            statuses: Some("one".into()),
            ..Served::default()
        }
    }

    const KEPT: Papers<'_> = Papers { statuses: Some("one"), requests: &[], has_specs: true };

    #[test]
    fn nothing_is_due_while_nothing_changes() {
        let served = served();
        assert!(!served.is_due(oid(2), &KEPT));
        assert!(!served.is_due(oid(2), &Papers { statuses: None, ..KEPT }), "a device takes its statuses back");
        assert!(served.is_due(oid(3), &KEPT));
        assert!(served.is_due(oid(2), &Papers { statuses: Some("two"), ..KEPT }));
        assert!(served.is_due(oid(2), &Papers { requests: &["one"], ..KEPT }));
        let asked = Served { requests: vec!["one".into()], ..served.clone() };
        assert!(!asked.is_due(oid(2), &Papers { requests: &["one"], ..KEPT }));
        assert!(asked.is_due(oid(2), &Papers { requests: &["one", "two"], ..KEPT }));
        assert!(served.is_due(oid(2), &Papers { has_specs: false, ..KEPT }));
        let there = Served { base: Some(oid(2)), ..served };
        assert!(!there.is_due(oid(2), &Papers { has_specs: false, ..KEPT }));
        assert!(Served::default().is_due(oid(2), &Papers::default()));
    }

    #[test]
    fn what_the_hub_answered_is_not_asked_again() {
        let is_due = |reason, tip, has_specs| {
            let failure = Some(Failure { reason, message: "no".into() });
            Served { failure, ..served() }.is_due(tip, &Papers { has_specs, ..KEPT })
        };
        let may_pass = [
            Reason::HubUnreachable,
            Reason::HubTimeout,
            Reason::Stopped,
            Reason::HostKeyRefused,
            Reason::SshKeyRefused,
            Reason::RepositoryNotFound,
            Reason::StatusRefMoved,
            Reason::EnrolmentConflict,
        ];
        for &reason in Reason::ALL {
            assert_eq!(is_due(reason, oid(2), false), may_pass.contains(&reason), "{reason}");
            assert!(is_due(reason, oid(3), true), "{reason}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_anything_else_says_nothing() {
        let failure = Some(Failure { reason: Reason::PushRejected, message: "the hub: does not".into() });
        for served in
            [Served::default(), served(), Served { requests: vec!["r".into(), "s".into()], failure, ..served() }]
        {
            assert_eq!(Served::read(&served.write()), served);
        }
        for odd in ["", "tip", "tip: x\nreason: None\n", "\u{0}: \u{0}"] {
            assert_eq!(Served::read(odd), Served::default(), "{odd:?}");
        }
        let red = Served::read("reason: DiskFull\nmessage: \u{1b}[31mred\u{9b}\n").failure.unwrap();
        assert_eq!(red.message, " [31mred ");
    }

    #[test]
    fn statuses_go_on_from_where_the_hub_is() {
        let link = |number| {
            [0; 3].map(|_| NewObject { id: oid(number), object: Object { kind: ObjectKind::Blob, data: vec![] } })
        };
        let statuses = Statuses { base: Some(oid(1)), links: vec![link(2), link(3)] };
        let of = |hub: Option<u8>| handing(&statuses, hub.map(oid));
        assert_eq!(of(Some(1)), Handing::Last(2));
        assert_eq!(of(Some(2)), Handing::Last(1));
        assert_eq!(of(Some(3)), Handing::Known);
        assert_eq!((of(None), of(Some(9))), (Handing::Apart, Handing::Apart));
        assert_eq!(handing(&Statuses { base: None, ..statuses }, None), Handing::Last(2));
    }

    #[test]
    fn who_stands_at_one_commit_shares_a_bundle() {
        let bases = [Some(oid(1)), None, Some(oid(9)), Some(oid(1)), Some(oid(2))].into_iter().enumerate();
        let Bundles { since, seeds } = bundles(bases, oid(9));
        assert_eq!(since, BTreeMap::from([(oid(1), vec![0, 3]), (oid(2), vec![4])]));
        assert_eq!(seeds, [1]);
    }
}
