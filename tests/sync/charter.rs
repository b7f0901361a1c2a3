//! Charters (`exchange.yaml`) of another exchange, or for another branch.

use super::common::case::{Case, World, check_all};

const MINE: &str = "5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d";
const OTHER: &str = "00000000000000000000000000000007";

fn charter(id: &str, branch: &str) -> String {
    format!(
        "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\n\
         spec: {{id: {id}, branch: {branch}}}\n"
    )
}

fn change(text: String) -> impl Fn(&World) {
    move |world| {
        world.exchange.write("exchange.yaml", &text);
        world.exchange.publish();
    }
}

fn chartered() -> World {
    let world = World::by_file();
    world.exchange.write("exchange.yaml", charter(MINE, "main"));
    world.accepted.set(world.exchange.publish());
    world.device.sync_well();
    assert_eq!(world.device.record().exchange.unwrap().to_string(), MINE);
    world
}

#[test]
fn charters() {
    let another = format!("belongs to exchange {OTHER}, this device to {MINE}");
    let cases = [
        Case::tip("of another exchange", "ExchangeMismatch", &another, change(charter(OTHER, "main"))),
        Case::tip("for another branch", "ExchangeMismatch", "is for the branch live", change(charter(MINE, "live"))),
        Case::tip(
            "gone",
            "ExchangeMismatch",
            "the branch has no exchange.yaml, this device belongs to exchange ",
            |world| {
                world.exchange.git(&["rm", "--quiet", "exchange.yaml"]);
                world.exchange.publish();
            },
        ),
        Case::tip("that cannot be read", "InvalidValue", "exchange.yaml:4:12: spec.id: ", change(charter("x", "main"))),
    ];
    check_all(cases, chartered);
}
