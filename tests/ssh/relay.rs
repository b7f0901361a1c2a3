//! A gateway between a hub with the hook and `giterctl serve`, and a device that reaches nothing but the gateway's folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use super::{
    common::{
        device::Run,
        exchange::{DEVICE, keygen},
        hub::git,
    },
    guarded::public,
    served::Served,
};

const FAN: &str = "fan-01";
const FAN_REF: &str = "refs/giter/status/fan-01";

/// The hub, the gateway (the device of the other stories), and the device behind it.
struct Site {
    served: Served,
    fan: PathBuf,
}

impl Site {
    /// A gateway whose Device names these devices.
    fn new(client: &str, relays: &str) -> Self {
        let served = Served::by_file(true);
        let device = &served.world.device;
        device.set("LINK_SSH", client);
        device.write_config(&format!("{}[relay]\ndevices = [\"{FAN}\"]\n", device.config()));
        let site = Self { fan: served.world.exchange.beside("fan"), served };
        fs::create_dir_all(site.fan.join("files")).unwrap();
        keygen(&site.fan.join("key"), "");
        let at = |path: &str| site.fan.join(path).display().to_string();
        let config = format!(
            "device = \"{FAN}\"\nstate = {:?}\nboard = \"sim\"\n[trust]\nroot = {:?}\n[status]\nkey = {:?}\n\
             [files]\nroots = [{:?}]\n[sim]\nfile = {:?}\n",
            at("state"),
            site.served.world.exchange.beside("root.keys").display().to_string(),
            at("key"),
            at("files"),
            at("sim.toml"),
        );
        fs::write(site.fan.join("giterd.toml"), config).unwrap();
        site.name(relays);
        site.set("one");
        site
    }

    /// Has the publisher say for whom the gateway carries.
    fn name(&self, relays: &str) {
        let exchange = &self.served.world.exchange;
        let path = format!("specs/{DEVICE}/device.yaml");
        let before = fs::read_to_string(exchange.work().join(&path)).unwrap();
        let kept = before.lines().filter(|line| !line.starts_with("  relays:"));
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        exchange.write(&path, format!("{text}  relays: [{relays}]\n"));
        exchange.publish();
    }

    /// Publishes other specs of the device behind the gateway.
    fn set(&self, content: &str) {
        let head = "apiVersion: edge.giter.dev/v1alpha1\nkind:";
        let (key, file) = (public(&self.fan.join("key")), self.fan.join("files/motd"));
        let exchange = &self.served.world.exchange;
        exchange.write(
            &format!("specs/{FAN}/all.yaml"),
            format!(
                "{head} Device\nmetadata: {{name: {FAN}}}\nspec: {{statusKeys: [{{key: \"{key}\"}}]}}\n---\n\
                 {head} File\nmetadata: {{name: motd}}\nspec: {{path: {}, content: {content:?}}}\n",
                file.display()
            ),
        );
        exchange.publish();
    }

    fn kept(&self) -> PathBuf {
        self.served.world.device.path("state/relay")
    }

    /// The gateway's poll: what it brought and what it handed on, by their last names.
    #[track_caller]
    fn syncs(&self) -> [Vec<String>; 2] {
        let run = self.served.world.device.run(&["sync", "-o", "json"]);
        assert_eq!(run.exit, Some(0), "{}{}", run.out, run.err);
        moved(&run)
    }

    /// The device behind uses the gateway's folder as a stick.
    fn meets(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_giterd"));
        command.arg("--config").arg(self.fan.join("giterd.toml")).args(["sync", "--stick"]).arg(self.kept());
        command.output().unwrap()
    }

    #[track_caller]
    fn takes(&self, content: &str) {
        let output = self.meets();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(fs::read_to_string(self.fan.join("files/motd")).unwrap(), content);
    }

    /// How many statuses of the device the hub has.
    fn heard(&self) -> usize {
        let shown = self.served.world.exchange.hub.git(&["for-each-ref", FAN_REF]);
        match shown.is_empty() {
            true => 0,
            false => self.served.world.exchange.hub.git(&["rev-list", "--count", FAN_REF]).parse().unwrap(),
        }
    }

    /// The one bundle that goes to the device, or comes from it.
    fn bundle(&self, way: &str) -> PathBuf {
        let mut found = files(&self.kept().join("GITER/unnamed").join(way));
        found.retain(|path| path.extension().is_some_and(|end| end == "bundle"));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    fn status_of_gateway(&self) -> Value {
        let run = self.served.world.device.run(&["status", "-o", "json"]);
        serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}{}", run.out, run.err))
    }
}

fn moved(run: &Run) -> [Vec<String>; 2] {
    let said: Value = serde_json::from_str(&run.out).unwrap();
    ["took", "gave"].map(|way| {
        let paths = said["relayed"][way].as_array().unwrap().iter();
        let name = |path: &Value| Path::new(path.as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        paths.map(name).collect()
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn nothing() -> [Vec<String>; 2] {
    [vec![], vec![]]
}

#[test]
fn specs_go_to_a_device_behind_a_gateway_and_its_statuses_come_to_the_hub() {
    for client in ["system", "builtin"] {
        let site = Site::new(client, FAN);
        assert_eq!(site.syncs(), [vec!["fan-01.bundle".to_owned()], vec![]]);
        site.takes("one");
        assert_eq!(site.syncs(), [["fan-01.ack"], ["fan-01.bundle"]]);
        assert_eq!(site.heard(), 1);
        // A tick in which nothing changed makes the one connection that it makes by itself.
        let (sessions, before) = (site.served.sshd.sessions(), files(&site.kept()));
        assert_eq!(site.syncs(), nothing());
        assert_eq!((site.served.sshd.sessions(), files(&site.kept())), (sessions + 1, before));

        let (exchange, base) = (&site.served.world.exchange, site.served.world.exchange.head());
        let clone = exchange.beside("clone.git");
        git(&exchange.beside(""), &["clone", "-q", "--bare", &exchange.hub.path().display().to_string(), "clone.git"]);
        site.set("two");
        assert_eq!(site.syncs(), [vec!["fan-01.bundle".to_owned()], vec![]]);
        let bundle = site.bundle("to-device").display().to_string();
        assert!(fs::read(&bundle).unwrap().starts_with(format!("# v2 git bundle\n-{base}\n").as_bytes()));
        git(&clone, &["bundle", "verify", "-q", &bundle]);
        git(&clone, &["fetch", "-q", &bundle, "main:new"]);
        git(&clone, &["fsck", "--strict", "--no-dangling"]);
        site.takes("two");
        // The hub's word came with it: the device tells no more than what is new.
        let said = site.bundle("from-device");
        let header = fs::read(said).unwrap();
        assert!(header.starts_with(b"# v2 git bundle\n-"), "{}", String::from_utf8_lossy(&header[..80]));
        assert_eq!(site.syncs(), [["fan-01.ack"], ["fan-01.bundle"]]);
        assert_eq!(site.heard(), 2);
        let carried = &site.status_of_gateway()["relay"][0];
        assert_eq!(carried["device"], FAN);
        assert_eq!(carried["handedOnStatus"], exchange.hub.value(FAN_REF).unwrap().to_string());
        assert_eq!(
            (&carried["servedRevision"], &carried["reason"]),
            (&exchange.head().to_string().into(), &Value::Null)
        );
        let run = site.served.world.device.run(&["check"]);
        assert!(run.exit == Some(0) && run.out.contains("bytes for 1 of 1 device"), "{}{}", run.out, run.err);
    }
}

#[test]
fn a_gateway_that_its_device_does_not_name_is_refused_and_goes_on_itself() {
    let site = Site::new("system", "");
    site.syncs();
    site.takes("one");
    for _ in 0..2 {
        let run = site.served.world.device.run(&["sync", "-o", "json"]);
        assert_eq!((run.exit, run.said("reason")), (Some(3), "PushRejected"), "{}{}", run.out, run.err);
        assert!(run.said("hint").contains("relays of this gateway's Device"), "{}", run.err);
        assert_eq!(moved(&run), nothing());
    }
    assert_eq!(site.heard(), 0);
    let carried = &site.status_of_gateway()["relay"][0];
    assert_eq!(carried["reason"], "PushRejected");
    let run = site.served.world.device.run(&["check"]);
    assert!(run.exit == Some(3) && run.out.contains("of fan-01: "), "{}{}", run.out, run.err);
    // It follows the branch itself, and brings what is for the other one.
    let tip = site.served.world.exchange.head();
    assert_eq!(site.served.world.device.record().tip.unwrap().commit, tip);
    site.set("two");
    let run = site.served.world.device.sync();
    assert_eq!(run.exit, Some(3), "{}", run.err);
    site.takes("two");
    site.name(FAN);
    assert_eq!(site.syncs()[1], ["fan-01.bundle"]);
    assert_eq!(site.heard(), 2);
}

#[test]
fn what_a_gateway_changes_is_refused_by_the_device_and_by_the_hub() {
    let site = Site::new("system", FAN);
    site.syncs();
    site.takes("one");
    site.syncs();
    site.set("two");
    site.syncs();
    let bundle = site.bundle("to-device");
    let sound = fs::read(&bundle).unwrap();
    for at in (0..sound.len()).step_by(sound.len() / 40) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&bundle, bytes).unwrap();
        let output = site.meets();
        let said = fs::read_to_string(site.fan.join("files/motd")).unwrap();
        assert_eq!(said, "one", "flipped at {at}: {}", String::from_utf8_lossy(&output.stderr));
    }
    fs::write(&bundle, &sound).unwrap();
    site.takes("two");
    // A status that the device did not sign so: whole, and another.
    let said = site.bundle("from-device");
    let sound = fs::read(&said).unwrap();
    let name = FAN_REF;
    let mut statuses = giter_edge::git::outbox::decode(&sound, name).unwrap();
    let [_, _, commit] = statuses.links.last_mut().unwrap();
    let text = String::from_utf8(commit.object.data.clone()).unwrap().replacen("\nauthor ", "\nauthor X", 1);
    *commit = super::object(commit.object.kind, text);
    fs::write(&said, giter_edge::git::outbox::encode(&statuses, name).unwrap().unwrap()).unwrap();
    let heard = site.heard();
    let run = site.served.world.device.sync();
    assert_eq!((run.exit, run.said("reason")), (Some(3), "PushRejected"), "{}", run.err);
    assert!(run.err.contains("pre-receive hook declined"), "{}", run.err);
    assert!(!run.err.contains("relays of this gateway's Device"), "{}", run.err);
    assert_eq!(site.heard(), heard);
    fs::write(&said, &sound).unwrap();
    assert_eq!(site.syncs()[1], ["fan-01.bundle"]);
    assert!(site.heard() > heard);
}
