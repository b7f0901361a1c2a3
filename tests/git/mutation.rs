//! Bytes from the network, changed at random: whatever they are, no panic, and nothing that was not signed is proven.

use giter_edge::{
    api::{Oid, limits},
    codec::{commit, keyfile::SecretKey, signers::Keyring, sshsig},
    reconcile::{
        ports::{Object, ObjectKind},
        verify::{Policy, Reads, Trust, verify},
    },
};

use super::repo::Snapshot;

const SIGNATURE: &[u8] = include_bytes!("../vectors/hello.sha512.sig");
const COMMIT: &[u8] = include_bytes!("../vectors/signed.commit");
const KEY: &[u8] = include_bytes!("../vectors/ops.key");
const PUBLIC: &str = include_str!("../vectors/ops.key.pub");
const ROUNDS: u64 = 20_000;

/// SplitMix64, by the number of the round: a failure names the round, and the round is the seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// One to four changes: a byte flipped, set, taken out or put in, a piece repeated, the end cut off.
fn mutated(original: &[u8], round: u64) -> Vec<u8> {
    const TELLING: &[u8] = b"\0\n\r \"\\,=*!#\x7f\x80\xff-AZ09";
    let mut random = Random(round);
    let mut bytes = original.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            _ if bytes.is_empty() => bytes.push(random.next() as u8),
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = TELLING[random.below(TELLING.len())],
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
            4 => {
                let end = at + random.below(bytes.len() - at);
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn mutations(original: &[u8]) -> impl Iterator<Item = (u64, Vec<u8>)> {
    (0..ROUNDS).map(|round| (round, mutated(original, round))).filter(move |(_, bytes)| bytes != original)
}

#[test]
fn signatures() {
    let key = SecretKey::from_openssh("ops.key", KEY).unwrap().public();
    let blob = sshsig::SshSig::from_armour(SIGNATURE).unwrap().to_blob();
    for (round, bytes) in mutations(SIGNATURE) {
        // A change of the armour alone, such as a line broken elsewhere, leaves the signature what it is.
        if let Ok(signature) = sshsig::SshSig::from_armour(&bytes)
            && signature.verify("file", b"hello\n") == Ok(key)
        {
            assert_eq!(signature.to_blob(), blob, "round {round}");
        }
    }
    for (round, bytes) in mutations(&blob) {
        if let Ok(signature) = sshsig::SshSig::from_blob(&bytes) {
            assert!(signature.verify("file", b"hello\n").is_err(), "round {round}");
            assert_eq!(signature.to_blob(), bytes, "round {round}: one signature, one form");
        }
    }
}

#[test]
fn allowed_signers() {
    let file = format!(
        "# who signs\r\nops@plant-7 {PUBLIC}\"two words\" namespaces=\"git,!x*\",valid-after=\"20260101Z\" {PUBLIC}\
         a,b valid-before=\"20271231235959\" {PUBLIC}"
    );
    assert_eq!(Keyring::parse("root.keys", file.as_bytes()).unwrap().signers().len(), 3);
    for (round, bytes) in mutations(file.as_bytes()) {
        if let Ok(keyring) = Keyring::parse("root.keys", &bytes) {
            assert!(keyring.signers().len() <= limits::SIGNERS);
            let text: String = keyring.signers().iter().map(|signer| format!("{signer}\n")).collect();
            let again = Keyring::parse("again", text.as_bytes());
            assert_eq!(again.ok(), Some(keyring), "round {round}: {text}");
        }
    }
}

#[test]
fn commits() {
    let keyring = Keyring::parse("root.keys", format!("ops {PUBLIC}").as_bytes()).unwrap();
    let payload = commit::seal(COMMIT).unwrap().unwrap().payload;
    let tip = Oid::new([7; 20]);
    let accepted = |bytes: Vec<u8>| {
        // Whatever the commit's tree is called, it is empty.
        let tree = commit::parse(&bytes).map_or(tip, |commit| commit.tree);
        let empty = Object { kind: ObjectKind::Tree, data: Vec::new() };
        let objects = Snapshot([(tree, empty), (tip, Object { kind: ObjectKind::Commit, data: bytes })].into());
        let (policy, device) = (Policy::Range, "pump-07".parse().unwrap());
        let trust = Trust {
            floor: None,
            previous: None,
            policy,
            keyring: &keyring,
            exchange: None,
            reads: Reads::Device(&device),
            now: None,
        };
        verify(tip, &trust, &objects).is_ok()
    };
    assert!(accepted(COMMIT.to_vec()));
    for (round, bytes) in mutations(COMMIT) {
        if accepted(bytes.clone()) {
            let seal = commit::seal(&bytes).unwrap().unwrap();
            assert_eq!(seal.payload, payload, "round {round}");
        }
    }
}

#[test]
fn private_keys() {
    for (_, bytes) in mutations(KEY) {
        // Only that it returns: a comment may change, and the key's check numbers catch most of the rest.
        let _ = SecretKey::from_openssh("ops.key", &bytes);
    }
}
