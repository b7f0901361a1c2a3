//! What passes a gateway: of two copies of a paper, the one that a stick has and the one that is kept, which goes on. What
//! there is to do at the hub is decided in [`served`].
//!
//! A gateway has no key of the devices that it carries for, so it cannot tell what is true. It goes by what it has seen:
//! a copy that it has not met before is news; one that it met and has replaced since comes from an old stick. Statuses
//! are told apart by what they build on as well.

pub mod served;

use std::collections::VecDeque;

use super::outbox::Statuses;
use crate::api::limits;

/// Which way a paper goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Both copies stay where they are.
    Stays,
    /// From the stick to the gateway.
    Taken,
    /// From the gateway to the stick.
    Given,
}

/// How a copy that was not met before stands to the one that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It goes on from there.
    Later,
    /// The one that is kept goes on from it.
    Earlier,
    /// Neither goes on from the other.
    Apart,
}

/// Decides by the digests of both copies. `order` is asked where that is not enough.
pub fn way(stick: Option<&str>, kept: Option<&str>, memory: &Memory, order: impl FnOnce() -> Order) -> Way {
    match (stick, kept) {
        (None, None) => Way::Stays,
        (Some(_), None) => Way::Taken,
        (None, Some(_)) => Way::Given,
        (Some(stick), Some(kept)) if stick == kept => Way::Stays,
        (Some(stick), Some(_)) if memory.has_met(stick) => Way::Given,
        (Some(_), Some(kept)) => match order() {
            Order::Later => Way::Taken,
            Order::Earlier => Way::Given,
            Order::Apart if memory.has_given(kept) => Way::Taken,
            Order::Apart => Way::Stays,
        },
    }
}

/// How the statuses of a stick stand to those that are kept.
pub fn order(stick: &Statuses, kept: &Statuses) -> Order {
    let holds = |one: &Statuses, other: &Statuses| other.tip().is_some() && one.after(other.tip()).is_some();
    match (holds(stick, kept), holds(kept, stick)) {
        (true, _) => Order::Later,
        (false, true) => Order::Earlier,
        (false, false) => Order::Apart,
    }
}

/// The copies that a gateway has met, by their digests, the latest [`limits::RELAY_MEMORY`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(VecDeque<(String, bool)>);

impl Memory {
    /// Reads what [`Memory::write`] wrote. A line that is none matches nothing.
    pub fn read(text: &str) -> Self {
        let lines = text.lines().take(limits::RELAY_MEMORY);
        Self(
            lines
                .map(|line| line.split_once(' ').map_or((line.into(), false), |(met, _)| (met.into(), true)))
                .collect(),
        )
    }

    /// A line for each, the oldest first: the digest, and ` given` where a stick was given that copy.
    pub fn write(&self) -> String {
        self.0.iter().map(|(met, given)| format!("{met}{}\n", if *given { " given" } else { "" })).collect()
    }

    /// Whether a copy was met.
    pub fn has_met(&self, digest: &str) -> bool {
        self.0.iter().any(|(met, _)| met == digest)
    }

    /// Whether a stick was given a copy.
    pub fn has_given(&self, digest: &str) -> bool {
        self.0.iter().any(|(met, given)| met == digest && *given)
    }

    /// Remembers a copy, and forgets the oldest where there are too many.
    pub fn meet(&mut self, digest: &str, is_given: bool) {
        match self.0.iter_mut().find(|(met, _)| met == digest) {
            Some((_, given)) => *given |= is_given,
            None => {
                self.0.push_back((digest.to_owned(), is_given));
                if self.0.len() > limits::RELAY_MEMORY {
                    self.0.pop_front();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::Oid,
        reconcile::ports::{NewObject, Object, ObjectKind},
    };

    fn id(digit: char) -> Oid {
        digit.to_string().repeat(40).parse().unwrap()
    }

    /// Statuses with these names, on that base.
    fn chain(base: Option<char>, names: &str) -> Statuses {
        let new = |name| NewObject { id: id(name), object: Object { kind: ObjectKind::Commit, data: vec![] } };
        Statuses { base: base.map(id), links: names.chars().map(|name| [new(name), new(name), new(name)]).collect() }
    }

    fn memory(met: &[(&str, bool)]) -> Memory {
        let mut memory = Memory::default();
        met.iter().for_each(|(digest, given)| memory.meet(digest, *given));
        memory
    }

    #[test]
    fn news_is_taken_and_an_old_stick_is_given_what_is_kept() {
        let memory = memory(&[("old", false), ("kept", false)]);
        let way = |stick, kept| way(stick, kept, &memory, || Order::Later);
        assert_eq!(way(None, None), Way::Stays);
        assert_eq!(way(Some("new"), None), Way::Taken);
        assert_eq!(way(None, Some("kept")), Way::Given);
        assert_eq!(way(Some("kept"), Some("kept")), Way::Stays);
        assert_eq!(way(Some("new"), Some("kept")), Way::Taken);
        assert_eq!(way(Some("old"), Some("kept")), Way::Given);
    }

    #[test]
    fn statuses_that_are_apart_wait_for_each_other() {
        let met = |given| memory(&[("kept", given)]);
        let way = |given, order| way(Some("new"), Some("kept"), &met(given), || order);
        assert_eq!(way(false, Order::Later), Way::Taken);
        assert_eq!(way(true, Order::Earlier), Way::Given);
        assert_eq!(way(false, Order::Apart), Way::Stays);
        assert_eq!(way(true, Order::Apart), Way::Taken);
    }

    #[test]
    fn statuses_are_later_where_they_hold_the_others() {
        let first = chain(None, "12");
        assert_eq!(order(&chain(None, "123"), &first), Order::Later);
        assert_eq!(order(&first, &chain(None, "123")), Order::Earlier);
        // The hub has heard the second: what follows builds on that.
        assert_eq!(order(&chain(Some('2'), "3"), &first), Order::Later);
        assert_eq!(order(&chain(Some('3'), "4"), &first), Order::Apart);
        assert_eq!(order(&chain(None, "15"), &first), Order::Apart);
        assert_eq!(order(&Statuses::default(), &first), Order::Apart);
    }

    #[test]
    fn a_memory_is_read_as_it_was_written_and_has_an_end() {
        let mut memory = memory(&[("one", false), ("two", true)]);
        memory.meet("one", true);
        memory.meet("two", false);
        assert_eq!(memory.write(), "one given\ntwo given\n");
        assert_eq!(Memory::read(&memory.write()), memory);
        (0..limits::RELAY_MEMORY).for_each(|count| memory.meet(&count.to_string(), false));
        assert!(!memory.has_met("two") && memory.has_met("0"));
        assert_eq!(memory.write().lines().count(), limits::RELAY_MEMORY);
    }
}
