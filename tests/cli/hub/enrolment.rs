//! Requests to be let in.

use giter_edge::{
    api::{Oid, limits, object::ObjectKind},
    codec::{keyfile::SecretKey, sshsig},
    git::commit::object,
};

use super::{PUMP, Site, device_yaml, key, open, request_ref};

/// A commit that asks, where devices push from: its files, signed in a namespace, with a parent or none.
struct Request<'a> {
    device: String,
    entries: Vec<(&'a str, &'a str, String)>,
    signer: Option<SecretKey>,
    namespace: &'a str,
    parent: Option<Oid>,
}

impl Request<'_> {
    /// As `giterd enroll` makes it.
    fn of(asks: u8) -> Self {
        Self::of_device(PUMP, asks)
    }

    fn of_device(device: &str, asks: u8) -> Self {
        let spec = format!("{{statusKeys: [{{key: \"{}\"}}]}}", open(&key(asks)));
        Self {
            device: device.into(),
            entries: vec![("100644", "device.yaml", device_yaml(device, &spec))],
            signer: Some(key(asks)),
            namespace: "git",
            parent: None,
        }
    }

    fn make(&self, site: &Site) -> Oid {
        let mut tree = Vec::new();
        let mut objects = Vec::new();
        for (mode, name, text) in &self.entries {
            let blob = object(ObjectKind::Blob, text.clone().into_bytes()).unwrap();
            tree.extend([mode.as_bytes(), b" ", name.as_bytes(), b"\0", blob.id.as_bytes()].concat());
            objects.push(blob);
        }
        let tree = object(ObjectKind::Tree, tree).unwrap();
        let parent = self.parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
        let who = format!("{0} <{0}@giter> 1700000000 +0000", self.device);
        let head = format!("tree {}\n{parent}author {who}\ncommitter {who}\n", tree.id);
        let tail = "\nlet me in\n";
        let signature = self.signer.as_ref().map(|signer| {
            let armour = sshsig::sign(signer, self.namespace, format!("{head}{tail}").as_bytes());
            format!("gpgsig {}\n", armour.trim_end().replace('\n', "\n "))
        });
        let text = format!("{head}{}{tail}", signature.unwrap_or_default());
        let commit = object(ObjectKind::Commit, text.into_bytes()).unwrap();
        let id = commit.id;
        objects.extend([tree, commit]);
        site.boards.write(&objects);
        id
    }

    fn push(&self, site: &Site) -> super::Ran {
        site.push_board(&[&format!("+{}:{}", self.make(site), request_ref(PUMP))])
    }
}

#[test]
fn anybody_may_ask_and_ask_again() {
    let site = Site::new();
    site.accepted(&Request::of(1).push(&site));
    let first = site.value(&request_ref(PUMP)).unwrap();
    let mut again = Request::of(1);
    again.entries[0].2.push_str("# again\n");
    site.accepted(&again.push(&site));
    assert_ne!(site.value(&request_ref(PUMP)), Some(first));
    let words = [&*key(1).public().fingerprint(), &*key(2).public().fingerprint()];
    site.refuses("UntrustedKey", &words, || Request::of(2).push(&site));
}

#[test]
fn a_request_is_one_file_signed_by_the_key_in_it() {
    let site = Site::new();
    let main = site.head();
    site.boards.world.git(&["-C", "hub.git", "fetch", "-q", "../work", "main"]);
    let text = || Request::of(1).entries[0].2.clone();
    let device = |mode| Request { entries: vec![(mode, "device.yaml", text())], ..Request::of(1) };
    let yaml = |text: String| Request { entries: vec![("100644", "device.yaml", text)], ..Request::of(1) };
    let two = format!("{{statusKeys: [{{key: \"{}\"}}, {{key: \"{}\"}}]}}", open(&key(1)), open(&key(2)));
    let cases = [
        ("no signature", "UnsignedCommit", "is not signed", Request { signer: None, ..Request::of(1) }),
        ("another key", "EnrolmentInvalid", "asks for another key", Request { signer: Some(key(2)), ..Request::of(1) }),
        ("another namespace", "BadSignature", "the signature of", Request { namespace: "file", ..Request::of(1) }),
        ("a parent", "EnrolmentInvalid", "has a parent", Request { parent: Some(main), ..Request::of(1) }),
        ("a link", "EnrolmentInvalid", "exactly one file", device("120000")),
        ("no file", "EnrolmentInvalid", "exactly one file", Request { entries: vec![], ..Request::of(1) }),
        (
            "another file beside it",
            "EnrolmentInvalid",
            "exactly one file",
            Request { entries: vec![("100644", "a", "x".into()), ("100644", "device.yaml", text())], ..Request::of(1) },
        ),
        (
            "another file",
            "EnrolmentInvalid",
            "exactly one file",
            Request { entries: vec![("100644", "specs.yaml", text())], ..Request::of(1) },
        ),
        ("another name", "EnrolmentInvalid", "names pump-08", yaml(device_yaml("pump-08", "{}"))),
        ("no key", "EnrolmentInvalid", "has 0 status keys", yaml(device_yaml(PUMP, "{}"))),
        ("two keys", "EnrolmentInvalid", "2 status keys", yaml(device_yaml(PUMP, &two))),
        ("another kind", "EnrolmentInvalid", "cannot be read", yaml(text().replacen("Device", "Led", 1))),
        ("a status", "EnrolmentInvalid", "only the device writes", yaml(text() + "status: {}\n")),
        ("no YAML", "EnrolmentInvalid", "cannot be read", yaml("kind: [".into())),
        ("too much", "EnrolmentInvalid", "too large", yaml(text() + &"#".repeat(limits::REQUEST_BYTES))),
    ];
    for (name, reason, words, request) in cases {
        site.refuses_case(name, reason, &["refused refs/giter/enroll/site-a/pump-07: ", words], || request.push(&site));
    }
    let to = format!("{main}:{}", request_ref("Not_A_Device"));
    site.refuses("RefNotAllowed", &[], || site.push(&[&to]));
}

#[test]
fn a_request_goes_when_it_is_answered() {
    let site = Site::new();
    let mut device = site.boards.stranger(PUMP, 1);
    device.key = key(1);
    let gone = format!(":{}", request_ref(PUMP));
    site.accepted(&Request::of(1).push(&site));
    site.refuses("DeletionRefused", &["names the key that asks"], || site.push(&[&gone]));
    site.approve(&device);
    site.accepted(&site.push(&[&gone]));
    site.accepted(&Request::of(2).push(&site));
    site.refuses("DeletionRefused", &[], || site.push(&[&gone]));
    site.accepted(&site.push_as(super::OPS_PUB.trim(), &[&gone]));
    assert_eq!(site.value(&request_ref(PUMP)), None);
}

#[test]
fn only_so_many_wait() {
    let site = Site::new();
    let tip = site.head();
    let refs = |count| (0..count).map(|n| format!("create refs/giter/enroll/dev-{n} {tip}\n")).collect::<String>();
    let update = ["-C", "guarded.git", "update-ref", "--stdin"];
    site.world().git_with(&update, refs(limits::ENROLMENTS).as_bytes());
    site.refuses("TooMany", &["1024 requests wait"], || Request::of(1).push(&site));
    site.hub(&["update-ref", "-d", "refs/giter/enroll/dev-0"]);
    // Two at once would be one too many, and one alone is not.
    let ask = |device| format!("{}:{}", Request::of_device(device, 1).make(&site), request_ref(device));
    let both = ["dev-0", "dev-9999"].map(ask);
    site.refuses("TooMany", &["1023 requests wait", "it brings 2"], || {
        site.push_board(&both.each_ref().map(|to| &**to))
    });
    site.accepted(&Request::of(1).push(&site));
}
