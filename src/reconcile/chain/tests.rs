use std::collections::HashMap;

use super::*;
use crate::{
    api::{
        DeviceStatus,
        condition::Text,
        object::{NewObject, Object},
        status::Clock,
    },
    codec::{config::Format, keyfile::SecretKey},
    git::{
        commit::{StatusDraft, object, status_commit},
        seal::StatusSeal,
    },
    reconcile::tick::Seal,
};

#[derive(Default)]
struct World(HashMap<Oid, Object>);

impl Objects for World {
    fn read(&self, id: Oid, limit: usize) -> Result<Option<Object>> {
        match self.0.get(&id) {
            Some(object) if object.data.len() > limit => Err(Error::new(Reason::FileTooLarge, "too large")),
            object => Ok(object.cloned()),
        }
    }

    fn has(&self, id: Oid) -> Result<bool> {
        Ok(self.0.contains_key(&id))
    }
}

impl World {
    /// Puts objects there; the name of the last.
    fn add(&mut self, objects: impl IntoIterator<Item = NewObject>) -> Oid {
        let mut last = Oid::new([0; 20]);
        for NewObject { id, object } in objects {
            self.0.insert(id, object);
            last = id;
        }
        last
    }

    fn prove(&self, commit: Oid) -> Result<Own> {
        Own::prove(commit, &device(), &key(3).public(), self)
    }
}

fn device() -> DeviceId {
    "site-a/pump-07".parse().unwrap()
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn status(device: DeviceId) -> DeviceStatus {
    DeviceStatus {
        device,
        board: Text::new("sim"),
        agent: Text::new("0.1.0"),
        boot_id: [7; 16],
        sequence: 300,
        uptime: 60,
        clock: Clock::Plausible,
        observed_revision: Some(Oid::new([0xab; 20])),
        advances: 17,
        conditions: Default::default(),
        resources: vec![],
        lost: 0,
    }
}

fn sealed(device: DeviceId, seed: u8, format: Format) -> [NewObject; 3] {
    let seal = StatusSeal::new(device.clone(), key(seed), format);
    seal.seal(&status(device), Some(Oid::new([9; 20])), 1_795_000_000, "Ready".into()).unwrap().objects
}

/// A status commit of this device's key that holds something else.
fn holding(file: &str, content: &[u8]) -> [NewObject; 3] {
    let draft = StatusDraft {
        device: &device(),
        parent: None,
        time: 1_795_000_000,
        message: "Ready",
        file,
        content: content.to_vec(),
    };
    status_commit(draft, &key(3)).unwrap()
}

#[test]
fn what_the_device_signed_is_its_own_in_either_form() {
    for format in [Format::Compact, Format::Yaml] {
        let mut world = World::default();
        let commit = world.add(sealed(device(), 3, format));
        let own = world.prove(commit).unwrap();
        let claim =
            Claim { device: device(), sequence: 300, observed_revision: Some(Oid::new([0xab; 20])), advances: 17 };
        assert_eq!(own, Own { commit, parent: Some(Oid::new([9; 20])), claim });
        let last = |sequence| LastStatus {
            commit: Oid::new([1; 20]),
            parent: None,
            replaces: None,
            sequence,
            digest: [1; 16],
            heartbeat: false,
        };
        assert_eq!(own.as_last(Some(&last(299))).sequence, 300);
        assert_eq!(own.as_last(Some(&last(301))).sequence, 301);
        assert_eq!(own.as_last(None).commit, commit);
    }
}

#[test]
fn anything_else_is_not() {
    let text = |objects: &[NewObject; 3]| String::from_utf8(objects[2].object.data.clone()).unwrap();
    let changed = |from: &str, to: &str| {
        let mut objects = sealed(device(), 3, Format::Compact);
        let text = text(&objects);
        assert!(text.contains(from));
        objects[2] = object(ObjectKind::Commit, text.replacen(from, to, 1).into_bytes()).unwrap();
        objects
    };
    let unsigned = {
        let mut objects = sealed(device(), 3, Format::Compact);
        let text = text(&objects);
        let (head, rest) = text.split_once("gpgsig ").unwrap();
        let (_, message) = rest.split_once("\n\n").unwrap();
        objects[2] = object(ObjectKind::Commit, format!("{head}\n{message}").into_bytes()).unwrap();
        objects
    };
    let other: DeviceId = "site-a/pump-08".parse().unwrap();
    let cases: Vec<(&str, Vec<NewObject>)> = vec![
        ("signed it", sealed(device(), 4, Format::Compact).into()),
        ("it is not signed", unsigned.into()),
        ("its signature is refused", changed("Ready", "Broken").into()),
        ("its signature is refused", changed("parent 09", "parent 08").into()),
        ("more than one gpgsig", changed("\ngpgsig ", "\ngpgsig x\n y\ngpgsig ").into()),
        ("it is of the device site-a/pump-08", sealed(other.clone(), 3, Format::Compact).into()),
        ("it is of the device site-a/pump-08", sealed(other, 3, Format::Yaml).into()),
        ("one status and nothing else", holding("status.json", b"{}").into()),
        ("it is empty", holding("status.postcard", b"").into()),
        ("it names no device", holding("status.yaml", b"sequence: 1\n").into()),
        ("a number is missing", holding("status.yaml", b"device: a\nsequence: -1\nadvances: 1\n").into()),
        ("it is not text", holding("status.yaml", b"\xff").into()),
        ("larger than any status", holding("status.yaml", &vec![b'x'; limits::STATUS_FILE_BYTES + 1]).into()),
        ("an object of it is missing", sealed(device(), 3, Format::Compact)[1..].into()),
        ("an object of it is missing", sealed(device(), 3, Format::Compact)[2..].into()),
        ("another kind", vec![object(ObjectKind::Blob, b"x".into()).unwrap()]),
        ("header", vec![object(ObjectKind::Commit, b"x".into()).unwrap()]),
    ];
    for (why, objects) in cases {
        let mut world = World::default();
        let commit = world.add(objects);
        let error = world.prove(commit).unwrap_err();
        assert_eq!(error.reason(), Reason::StatusRefMoved);
        assert!(error.one_line().contains(why), "{why}: {error:?}");
    }
}

#[test]
fn a_merge_and_a_second_file_are_not_even_with_its_signature() {
    let [blob, tree, commit] = sealed(device(), 3, Format::Compact);
    let text = String::from_utf8(commit.object.data).unwrap();
    let (head, rest) = text.split_once("gpgsig ").unwrap();
    let message = rest.split_once("\n\n").unwrap().1;
    let resigned = |head: String| {
        let armour = sshsig::sign(&key(3), sshsig::GIT, format!("{head}\n{message}").as_bytes());
        let seal = armour.trim_end().replace('\n', "\n ");
        object(ObjectKind::Commit, format!("{head}gpgsig {seal}\n\n{message}").into_bytes()).unwrap()
    };
    let more = [&tree.object.data[..], b"100644 zzz\0", blob.id.as_bytes()].concat();
    let more = object(ObjectKind::Tree, more).unwrap();
    let parent = format!("parent {}\n", Oid::new([9; 20]));
    for (why, commit) in [
        ("it is a merge", resigned(head.replace(&parent, &parent.repeat(2)))),
        ("one status and nothing else", resigned(head.replace(&tree.id.to_string(), &more.id.to_string()))),
    ] {
        let mut world = World::default();
        let commit = world.add([blob.clone(), tree.clone(), more.clone(), commit]);
        assert!(world.prove(commit).unwrap_err().one_line().contains(why), "{why}");
    }
}
