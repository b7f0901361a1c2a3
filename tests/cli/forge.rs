//! Records of statuses, honest and forged, made of what the agent makes them of and put where its pushes would be.

use giter_edge::{
    api::{
        Condition, ConditionStatus, ConditionType, DeviceId, DeviceStatus, Oid, ResourceStatus,
        condition::Text,
        device::principal,
        object::{NewObject, ObjectKind},
        status::{Clock, Field},
    },
    codec::{keyfile::SecretKey, sshsig, status},
    git::commit::{StatusDraft, object, status_commit},
};

use super::support::World;

/// When the first status of every record was made; each of the others a minute later.
pub(crate) const START: i64 = 1_795_000_000;

/// A hub whose branch has three commits, and which keeps a log of every ref.
pub(crate) struct Hub {
    pub(crate) world: World,
    /// The branch's commits, the oldest first.
    pub(crate) revisions: Vec<Oid>,
    /// The lines of the devices' keys.
    signers: String,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let world = World::new();
        world.identify();
        world.git(&["init", "-q", "--bare", "--initial-branch=main", "hub.git"]);
        world.git(&["-C", "hub.git", "config", "core.logAllRefUpdates", "always"]);
        let tree = world.git_with(&["-C", "hub.git", "mktree"], b"");
        let mut revisions: Vec<Oid> = Vec::new();
        for subject in ["one", "two", "three"] {
            let mut args = vec!["-C", "hub.git", "commit-tree", "-m", subject, &tree];
            let parent = revisions.last().map(Oid::to_string);
            parent.iter().for_each(|parent| args.extend(["-p", parent]));
            revisions.push(world.git(&args).parse().unwrap());
        }
        world.git(&["-C", "hub.git", "update-ref", "refs/heads/main", &revisions[2].to_string()]);
        Self { world, revisions, signers: String::new() }
    }

    /// A device whose key grows from a seed, and is known to be its.
    pub(crate) fn device(&mut self, name: &str, seed: u8) -> Device {
        let device = self.stranger(name, seed);
        self.trust(name, &device.key, "");
        device
    }

    /// Names a key of a device, with options.
    pub(crate) fn trust(&mut self, name: &str, key: &SecretKey, options: &str) {
        let principal = principal(&name.parse().unwrap());
        self.signers.push_str(&format!("{principal} namespaces=\"git\"{options} {}\n", key.public().to_openssh()));
        self.world.write("signers", &self.signers);
    }

    /// A device whose key nobody has named.
    pub(crate) fn stranger(&self, name: &str, seed: u8) -> Device {
        Device {
            id: name.parse().unwrap(),
            key: SecretKey::from_seed(&[seed; 32]),
            tip: None,
            time: START,
            status: first_status(name, seed, self.revisions[0]),
        }
    }

    /// Writes objects to the hub, as they are.
    pub(crate) fn write(&self, objects: &[NewObject]) {
        for NewObject { id, object } in objects {
            let kind = format!("{:?}", object.kind).to_lowercase();
            let args = ["-C", "hub.git", "hash-object", "--literally", "-t", &kind, "-w", "--stdin"];
            assert_eq!(self.world.git_with(&args, &object.data), id.to_string());
        }
    }

    /// Moves a device's ref to where its record stands.
    pub(crate) fn publish(&self, device: &Device) {
        self.set(&format!("refs/giter/status/{}", device.id), device.tip.unwrap());
    }

    pub(crate) fn set(&self, name: &str, id: Oid) {
        self.world.git(&["-C", "hub.git", "update-ref", name, &id.to_string()]);
    }

    /// Where the hub keeps an object.
    pub(crate) fn file_of(&self, id: Oid) -> std::path::PathBuf {
        let id = id.to_string();
        self.world.path(&format!("hub.git/objects/{}/{}", &id[..2], &id[2..]))
    }
}

/// A device, its key, and what it said last.
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) key: SecretKey,
    pub(crate) tip: Option<Oid>,
    pub(crate) time: i64,
    pub(crate) status: DeviceStatus,
}

impl Device {
    /// Says the next status, which differs from the last in what the caller changes.
    pub(crate) fn say(&mut self, hub: &Hub, change: impl FnOnce(&mut DeviceStatus)) -> [NewObject; 3] {
        if self.tip.is_some() {
            self.status.sequence += 1;
            self.status.uptime += 60;
            self.time += 60;
        }
        change(&mut self.status);
        self.sign(hub, status::encode(&self.status).unwrap(), "status.postcard")
    }

    /// Says so many statuses in which nothing is new.
    pub(crate) fn go_on(&mut self, hub: &Hub, times: usize) {
        (0..times).for_each(|_| drop(self.say(hub, |_| ())));
    }

    /// Says so many heartbeats, each in the place of the one before.
    pub(crate) fn beat(&mut self, hub: &Hub, times: usize) {
        let parent = self.tip;
        for _ in 0..times {
            self.tip = parent;
            self.go_on(hub, 1);
        }
    }

    /// Says something new, after so many statuses that nobody gets to see.
    pub(crate) fn skip(&mut self, hub: &Hub, times: u64) {
        self.say(hub, |status| {
            status.sequence += times;
            status.lost += 1;
        });
    }

    /// Says whatever is given.
    pub(crate) fn sign(&mut self, hub: &Hub, content: Vec<u8>, file: &str) -> [NewObject; 3] {
        let draft =
            StatusDraft { device: &self.id, parent: self.tip, time: self.time, message: "status", file, content };
        let made = status_commit(draft, &self.key).unwrap();
        hub.write(&made);
        self.tip = Some(made[2].id);
        made
    }

    /// Says the next status in a commit whose text, before it is signed, is given by the caller.
    pub(crate) fn say_as(&mut self, hub: &Hub, namespace: &str, commit: impl FnOnce(&str) -> String) {
        let made = self.say(hub, |_| ());
        let text = commit(&unsigned(&made[2]));
        let (header, message) = text.split_once("\n\n").unwrap();
        let armour = sshsig::sign(&self.key, namespace, text.as_bytes());
        let signature = armour.trim_end().replace('\n', "\n ");
        self.put(hub, format!("{header}\ngpgsig {signature}\n\n{message}").as_bytes());
    }

    /// Puts a commit where the last status was.
    pub(crate) fn put(&mut self, hub: &Hub, commit: &[u8]) {
        let made = object(ObjectKind::Commit, commit.to_vec()).unwrap();
        self.tip = Some(made.id);
        hub.write(&[made]);
    }

    /// Starts the board again.
    pub(crate) fn reboot(&mut self, boot: u8) {
        self.status.boot_id = [boot; 16];
        self.status.uptime = 0;
    }
}

/// A commit's text without its signature.
pub(crate) fn unsigned(commit: &NewObject) -> String {
    let text = str::from_utf8(&commit.object.data).unwrap();
    let lines = text.split_inclusive('\n');
    let mut in_signature = false;
    let kept = lines.filter(|line| {
        in_signature = line.starts_with("gpgsig ") || (in_signature && line.starts_with(' '));
        !in_signature
    });
    kept.collect()
}

fn first_status(device: &str, boot: u8, revision: Oid) -> DeviceStatus {
    DeviceStatus {
        device: device.parse().unwrap(),
        board: Text::new("sim"),
        agent: Text::new("0.1.0"),
        boot_id: [boot; 16],
        sequence: 1,
        uptime: 30,
        clock: Clock::Plausible,
        observed_revision: Some(revision),
        advances: 1,
        conditions: [
            condition(ConditionType::Synced, true, "Accepted", ""),
            condition(ConditionType::Ready, true, "AllReady", ""),
        ]
        .into_iter()
        .collect(),
        resources: vec![resource("GpioLine/pump-relay", 1, &[("value", "high")])],
        lost: 0,
    }
}

pub(crate) fn condition(kind: ConditionType, is: bool, reason: &str, message: &str) -> Condition {
    let is = if is { ConditionStatus::True } else { ConditionStatus::False };
    Condition::new(kind, is, reason, message)
}

/// A resource that is ready.
pub(crate) fn resource(key: &str, digest: u8, observed: &[(&str, &str)]) -> ResourceStatus {
    ResourceStatus {
        key: key.parse().unwrap(),
        observed_digest: Oid::new([digest; 20]),
        conditions: [condition(ConditionType::Ready, true, "Applied", "")].into_iter().collect(),
        observed: observed.iter().map(|(name, value)| Field::new(name, value)).collect(),
    }
}
