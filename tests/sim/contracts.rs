//! The fakes keep to the ports' contracts, as the real adapters do: the suites are those of `tests/contracts`.

#[path = "../contracts/board.rs"]
mod board;
#[path = "../contracts/floor.rs"]
mod floor;
#[path = "../contracts/ledger.rs"]
mod ledger;
#[path = "../contracts/link.rs"]
mod link;
#[path = "../contracts/outbox.rs"]
mod outbox;
#[path = "../contracts/store.rs"]
mod store;

use giter_edge::{
    api::{Oid, board::Level, ledger::Record, resource::FilePath},
    link::stick::choose::Offer,
    reconcile::ports::{Board, Link},
};

use crate::{
    publisher,
    support::{blob, commit},
    world::{
        Shared,
        board::{LEDS, LINES, ROOT, SimBoard},
        floor::SimFloor,
        hub::{BRANCH, SimLink},
        ledger::SimLedger,
        outbox::SimOutbox,
        stick::SimStick,
        store::{SimStore, write},
    },
};

struct Bench {
    world: Shared,
    board: SimBoard,
}

impl Bench {
    fn new() -> Self {
        let world = Shared::new();
        Self { board: SimBoard::new(&world), world }
    }
}

impl board::World for Bench {
    fn board(&mut self) -> &mut dyn Board {
        &mut self.board
    }
}

impl board::FileWorld for Bench {
    fn allowed(&self, name: &str) -> FilePath {
        format!("{ROOT}{name}").parse().unwrap()
    }

    fn forbidden(&self) -> FilePath {
        "/elsewhere".parse().unwrap()
    }

    fn put(&mut self, path: &FilePath, content: &[u8]) {
        self.world.get().board.tamper(path.as_str(), content);
    }
}

impl board::LineWorld for Bench {
    fn line(&self) -> &str {
        LINES[0]
    }

    fn force(&mut self, level: Level) {
        self.world.get().board.force(LINES[0], level);
    }
}

impl board::LedWorld for Bench {
    fn led(&self) -> &str {
        LEDS[0]
    }
}

impl link::Hub for Shared {
    fn link(&self) -> Box<dyn Link + '_> {
        Box::new(SimLink::new(self))
    }

    fn commit(&mut self, branch: &str, files: &[(&str, &str)]) -> Oid {
        let mut world = self.get();
        let blobs: Vec<_> =
            files.iter().map(|(path, content)| ((*path).to_owned(), blob(content.as_bytes()))).collect();
        let mut objects = publisher::trees(&blobs);
        let parents = Vec::from_iter(world.hub.branches.get(branch).copied());
        objects.push(commit(objects.last().unwrap().id, &parents, "commit"));
        let tip = objects.last().unwrap().id;
        world.hub.add(blobs.into_iter().map(|(_, blob)| blob).chain(objects));
        world.hub.branches.insert(branch.into(), tip);
        tip
    }

    fn rewind(&mut self, to: Oid) {
        self.get().hub.branches.insert(BRANCH.into(), to);
    }

    fn status(&self) -> Option<Oid> {
        self.get().hub.status
    }
}

/// The hub of a device that is reached by a stick alone: all that the hub has goes there each time, and what it brings back
/// is taken.
struct Carrier(Shared);

impl Carrier {
    fn carry(&self) {
        let mut world = self.0.get();
        if let Some(statuses) = world.stick.statuses.take() {
            world.hub.status = statuses.tip();
            world.hub.add(statuses.links.into_iter().flatten());
        }
        let bundle = |tip| Offer { bundle: world.hub.all(), tip, status: world.hub.status, prerequisites: vec![] };
        world.stick.bundles = world.hub.branches.get(BRANCH).copied().map(bundle).into_iter().collect();
    }
}

impl link::Hub for Carrier {
    fn link(&self) -> Box<dyn Link + '_> {
        self.carry();
        Box::new(SimStick::new(&self.0, &Record::default()))
    }

    fn commit(&mut self, branch: &str, files: &[(&str, &str)]) -> Oid {
        self.0.commit(branch, files)
    }

    fn rewind(&mut self, to: Oid) {
        self.0.rewind(to);
    }

    fn status(&self) -> Option<Oid> {
        self.carry();
        self.0.status()
    }

    fn brings_history(&self) -> bool {
        true
    }
}

#[test]
fn board_files() {
    board::files(&mut Bench::new());
}

#[test]
fn board_lines() {
    board::lines(&mut Bench::new());
}

#[test]
fn board_leds() {
    board::leds(&mut Bench::new());
}

#[test]
fn ledgers() {
    let world = Shared::new();
    ledger::check(|| Box::new(SimLedger::new(&world)));
}

#[test]
fn floors() {
    let world = Shared::new();
    floor::check(|| Box::new(SimFloor::new(&world)));
}

#[test]
fn outboxes() {
    let world = Shared::new();
    outbox::check(|| Box::new(SimOutbox::new(&world)));
}

#[test]
fn stores() {
    store::check(&mut || SimStore::new(&Shared::new()), &write);
}

#[test]
fn links() {
    link::check(&mut Shared::new, &mut || SimStore::new(&Shared::new()));
}

#[test]
fn sticks() {
    link::check_carried(&mut || Carrier(Shared::new()), &mut || SimStore::new(&Shared::new()));
}
