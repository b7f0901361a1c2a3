//! Hubs on a disk: missing, empty, without the branch, with a status that is somebody else's.

use super::common::{
    case::{Case, World, check_all},
    exchange::status_ref,
};

#[test]
fn repositories() {
    let elsewhere = |world: &World, name: &str| {
        world.device.set("LINK_URL", format!("file://{}", world.exchange.beside(name).display()));
    };
    let cases = [
        Case::link("missing", ("RepositoryNotFound", 2), "{beside}/absent.git", move |world| {
            elsewhere(world, "absent.git")
        }),
        Case::link("a folder that is none", ("RepositoryNotFound", 2), "{beside}/board", move |world| {
            elsewhere(world, "board")
        }),
        Case::link("empty", ("RepositoryEmpty", 3), "{beside}/empty.git has no commits", move |world| {
            world.exchange.git(&["init", "--quiet", "--bare", "../empty.git"]);
            elsewhere(world, "empty.git");
        }),
        Case::link("no such branch", ("BranchNotFound", 2), "has no refs/heads/live", |world| {
            world.device.set("LINK_BRANCH", "live");
        }),
    ];
    check_all(cases, World::by_file);
}

#[test]
fn statuses() {
    let cases =
        [Case::link("moved by somebody else", ("StatusRefMoved", 1), "the status ref of pump-07 is at ", |world| {
            world.exchange.hub.git(&["update-ref", &status_ref(), &world.accepted.get().to_string()]);
        })
        .mended(|world| {
            world.exchange.hub.git(&["update-ref", "-d", &status_ref()]);
        })];
    check_all(cases, World::by_file);
}
