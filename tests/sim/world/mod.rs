//! The simulated world: a hub, a disk, a board and a clock in memory, and the ports over them.
//!
//! ```text
//! SimLink --> hub   SimStore, SimLedger, SimFloor --> disk   SimBoard --> board
//!    `------------------------ each effect is numbered ------------------'
//! ```
//!
//! Whatever changes the hub, the disk or the board is one numbered effect. A [`Fault`] strikes at one of them: the power
//! goes, and this effect and all after it fail until [`World::reboot`]; or that effect alone fails, and the agent has to
//! live on. What the agent did is kept as [`Deed`]s, each with what was durable at that moment.

pub(crate) mod board;
pub(crate) mod dice;
pub(crate) mod disk;
pub(crate) mod floor;
pub(crate) mod hub;
pub(crate) mod ledger;
pub(crate) mod outbox;
pub(crate) mod stick;
pub(crate) mod store;

use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
};

use giter_edge::{
    api::{
        Error, Oid, Reason, Result,
        ledger::{Generation, Record},
    },
    reconcile::{goal::Step, tick::Moment},
};

use self::{
    board::Registers,
    disk::{Cache, Disk},
    hub::Hub,
    stick::Stick,
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power goes; the disk keeps what the cache says.
    Cut(Cache),
    /// The effect fails; the one after it does not.
    Fail,
}

/// Something that the agent did to the world, and what was durable then.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) done: Done,
    pub(crate) durable: Durable,
}

/// What was done.
#[derive(Debug)]
pub(crate) enum Done {
    /// A step on the board.
    Step(Step),
    /// The status ref was moved.
    Pushed {
        /// To this commit.
        commit: Oid,
    },
    /// Statuses were written to a stick.
    Carried {
        /// The last of them.
        commit: Oid,
    },
}

/// What would be found if the power went now.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) record: Record,
    /// Whether the objects of the record's tip are whole.
    pub(crate) tip_is_whole: bool,
    /// Whether those of the tip before are.
    pub(crate) previous_is_whole: bool,
}

pub(crate) struct World {
    pub(crate) hub: Hub,
    /// The stick that is plugged in.
    pub(crate) stick: Stick,
    pub(crate) disk: Disk,
    pub(crate) board: Registers,
    pub(crate) deeds: Vec<Deed>,
    /// The effects so far, by name.
    pub(crate) effects: Vec<String>,
    /// How many of them no fault is to strike, since they only lead up to the story.
    pub(crate) prelude: usize,
    /// What goes wrong, and at which effect, counted from 1.
    pub(crate) fault: Option<(usize, Fault)>,
    /// The power is gone, and this is what the disk keeps.
    pub(crate) dark: Option<Cache>,
    time: i64,
    uptime: u64,
    boot: u8,
}

/// The world, as the ports and the story share it.
#[derive(Clone)]
pub(crate) struct Shared(Rc<RefCell<World>>);

impl Shared {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(World {
            hub: Hub::default(),
            stick: Stick::default(),
            disk: Disk::new(),
            board: Registers::default(),
            deeds: Vec::new(),
            effects: Vec::new(),
            prelude: 0,
            fault: None,
            dark: None,
            time: 1_795_000_000,
            uptime: 0,
            boot: 1,
        })))
    }

    pub(crate) fn get(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }

    /// The world, if the power is on.
    fn powered(&self) -> Result<RefMut<'_, World>> {
        let world = self.get();
        if world.dark.is_some() { Err(power_cut()) } else { Ok(world) }
    }

    /// The world for one more effect, unless the fault strikes; `reason` is what the effect fails with then.
    fn effect(&self, reason: Reason, name: impl Into<String>) -> Result<RefMut<'_, World>> {
        let mut world = self.powered()?;
        world.effects.push(name.into());
        match world.fault {
            Some((at, fault)) if at == world.effects.len() => {
                world.fault = None;
                match fault {
                    Fault::Cut(cache) => {
                        world.dark = Some(cache);
                        Err(power_cut())
                    }
                    Fault::Fail => Err(Error::new(reason, "the simulated world was told to fail")),
                }
            }
            _ => Ok(world),
        }
    }

    fn disk_effect(&self, verb: &str, path: &str) -> Result<RefMut<'_, World>> {
        self.effect(Reason::DiskFull, format!("{verb} {path}"))
    }
}

impl World {
    /// The power is back: what was volatile is gone.
    pub(crate) fn reboot(&mut self) {
        let cache = self.dark.take().unwrap_or(Cache::Lazy);
        self.disk.cut(cache);
        self.board.lose_power();
        self.boot += 1;
        self.uptime = 0;
    }

    /// So many seconds pass in which the agent does nothing.
    pub(crate) fn pass(&mut self, seconds: u32) {
        self.time += i64::from(seconds);
        self.uptime += u64::from(seconds);
    }

    /// A minute passes.
    pub(crate) fn next_moment(&mut self) -> Moment {
        self.pass(60);
        Moment { time: self.time, uptime: self.uptime, boot_id: [self.boot; 16] }
    }

    pub(crate) fn durable(&self) -> Durable {
        let disk = self.disk.at_worst();
        let record = floor::raised(&disk, ledger::newest(&disk).unwrap_or_default());
        let is_whole =
            |generation: &Generation| !generation.packs.is_empty() && store::load(&disk, generation).is_some();
        let tip_is_whole = is_whole(&record.generation);
        let previous_is_whole = record.previous.as_ref().is_some_and(|(_, generation)| is_whole(generation));
        Durable { record, tip_is_whole, previous_is_whole }
    }

    fn did(&mut self, done: Done) {
        let durable = self.durable();
        self.deeds.push(Deed { done, durable });
    }
}

fn power_cut() -> Error {
    Error::new(Reason::StateFailed, "the power is gone")
}
