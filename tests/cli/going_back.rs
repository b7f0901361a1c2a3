//! What `giterctl verify` makes of devices that went back, with and without a root's word: real git, real ssh-keygen.

use giter_edge::api::Oid;

use super::{
    forge,
    support::{OPS_KEY, OPS_PUB, World},
};

/// A publisher's clone beside a hub, whose branch has lost its second commit and goes on with a reset.
struct Site {
    hub: forge::Hub,
    first: Oid,
    lost: Oid,
    reset: Oid,
}

impl Site {
    fn new() -> Self {
        Self::with("ops.key", |reset| reset)
    }

    /// Of the reset as `giterctl` makes it, something is changed before this key signs it.
    fn with(key: &str, change: impl FnOnce(String) -> String) -> Self {
        let hub = forge::Hub::new();
        let world = &hub.world;
        world.write_key("ops.key", OPS_KEY);
        world.write("ops.key.pub", OPS_PUB);
        world.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "other.key"]);
        world.giterctl(&["init", "work", "--device", "pump-07", "--key", "ops.key"]).good();
        let first = head(world);
        world.git(&["-C", "work", "commit", "-q", "-S", "--allow-empty", "-m", "two"]);
        let lost = head(world);
        world.git(&["-C", "work", "reset", "-q", "--hard", "HEAD~"]);
        world.giterctl(&["-C", "work", "reset", "pump-07", "--to", "HEAD"]).good();
        world.write("work/reset.yaml", change(world.read("work/reset.yaml")));
        std::fs::remove_file(world.path("work/reset.yaml.sig")).unwrap();
        world.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "giter-exchange", "-f", key, "work/reset.yaml"]);
        world.git(&["-C", "work", "commit", "-q", "-a", "-S", "--amend", "--no-edit"]);
        let reset = head(world);
        Self { hub, first, lost, reset }
    }

    /// The verdict on a device that observed these commits, one after the other.
    fn verdict(mut self, observed: &[Oid]) -> String {
        self.hub.world.git(&["-C", "hub.git", "fetch", "-q", "../work", "+main:main"]);
        let mut device = self.hub.device("pump-07", 7);
        for revision in observed {
            device.say(&self.hub, |status| status.observed_revision = Some(*revision));
        }
        self.hub.publish(&device);
        let signers = self.hub.world.path("signers").display().to_string();
        let ran = self.hub.world.giterctl(&["-C", "hub.git", "verify", "--signers", &signers]);
        let reason = ran.stderr.lines().find_map(|line| line.strip_prefix("reason: "));
        reason.map_or(ran.stdout.lines().nth(1).unwrap().rsplit(' ').next().unwrap(), |reason| reason).into()
    }
}

fn head(world: &World) -> Oid {
    world.git(&["-C", "work", "rev-parse", "HEAD"]).parse().unwrap()
}

#[test]
fn what_a_root_allowed_is_proven() {
    let site = Site::new();
    let observed = [site.first, site.lost, site.reset];
    assert_eq!(site.verdict(&observed), "Proven");
    // A device that has yet to follow stands where a root said that the branch was lost.
    let site = Site::new();
    let observed = [site.first, site.lost];
    assert_eq!(site.verdict(&observed), "Proven");
}

#[test]
fn what_no_root_allowed_is_not() {
    let others = |text: String| text.replace("pump-07", "pump-08");
    let elsewhere = |text: String| {
        let (head, tail) = text.split_once("exchange: ").unwrap();
        format!("{head}exchange: {}{}", "0".repeat(32), &tail[32..])
    };
    for (what, site) in [
        ("another device's", Site::with("ops.key", others)),
        ("another exchange's", Site::with("ops.key", elsewhere)),
        ("a stranger's", Site::with("other.key", |text| text)),
    ] {
        let observed = [site.first, site.lost, site.reset];
        assert_eq!(site.verdict(&observed), "RevisionUnproven", "{what}");
    }
}

#[test]
fn a_reset_is_followed_once_and_to_where_it_leads() {
    let site = Site::new();
    site.hub.world.git(&["-C", "work", "commit", "-q", "-S", "--allow-empty", "-m", "lost, too"]);
    let lost_too = head(&site.hub.world);
    site.hub.world.git(&["-C", "work", "reset", "-q", "--hard", "HEAD~"]);
    let observed = [site.first, site.lost, site.reset, lost_too, site.reset];
    assert_eq!(site.verdict(&observed), "RevisionUnproven");
    let site = Site::new();
    let observed = [site.first, site.lost, site.first];
    assert_eq!(site.verdict(&observed), "RevisionUnproven");
}
