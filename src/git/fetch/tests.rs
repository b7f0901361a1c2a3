use std::io::Cursor;

use super::*;

/// A hub that says what it says, whatever it hears.
struct Script {
    says: Cursor<Vec<u8>>,
    heard: Vec<u8>,
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.says.read(buffer)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heard.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const ONE: &str = "1111111111111111111111111111111111111111";
const GREETING: &[&str] = &["version 2\n", "agent=git/2.47.3\n", "object-format=sha1\n", ""];

/// The hub's lines, framed; an empty one is a flush.
fn hub(lines: impl IntoIterator<Item = impl AsRef<str>>) -> UploadPack<Script> {
    let frame = |line: &str| match line {
        "" => "0000".to_owned(),
        line => format!("{:04x}{line}", line.len() + 4),
    };
    let says: String = lines.into_iter().map(|line| frame(line.as_ref())).collect();
    UploadPack::new(Script { says: Cursor::new(says.into_bytes()), heard: Vec::new() }, Some(usize::MAX))
}

fn after_greeting(lines: &[&str]) -> UploadPack<Script> {
    hub(GREETING.iter().chain(lines))
}

#[test]
fn only_the_refs_asked_for_count() {
    let lines = [format!("{ONE} refs/heads/main-2"), format!("{ONE} refs/heads/main\n"), String::new()];
    let mut hub = hub(GREETING.iter().map(ToString::to_string).chain(lines));
    let listed = hub.list(["refs/heads/main", "refs/giter/status/a"]).unwrap();
    assert_eq!(listed, ([Some(ONE.parse().unwrap()), None], None));
    let heard = String::from_utf8(hub.into_stream().heard).unwrap();
    assert_eq!(
        heard,
        "0013command=ls-refs0001000bsymrefs0013ref-prefix HEAD001eref-prefix refs/heads/main\
         0022ref-prefix refs/giter/status/a0000"
    );
}

#[test]
fn head_is_asked_for_again_and_believed_where_it_leads_somewhere() {
    for (line, target) in [
        (format!("{ONE} HEAD symref-target:refs/heads/main\n"), Some("refs/heads/main")),
        (format!("{ONE} HEAD unborn:x symref-target:refs/heads/other"), Some("refs/heads/other")),
        (format!("{ONE} HEAD"), None),
        (format!("{ONE} HEAD symref-target:refs/heads/\u{e9}"), Some("refs/heads/\u{e9}")),
        (format!("{ONE} HEAD-2 symref-target:refs/heads/main"), None),
        (String::new(), None),
    ] {
        let ([], head) = after_greeting(&[&line, ""]).list([]).unwrap();
        assert_eq!(head.map(|head| head.target).as_deref(), target, "{line}");
    }
    let mut hub = after_greeting(&["", ""]);
    hub.list([]).unwrap();
    assert_eq!(hub.into_stream().heard, b"0013command=ls-refs0001000bsymrefs0013ref-prefix HEAD0000");
}

#[test]
fn an_older_protocol_is_refused() {
    let v0 = format!("{ONE} HEAD\0multi_ack\n");
    let zero = format!("{} capabilities^{{}}\0agent=x", "0".repeat(40));
    for greeting in ["version 1\n", &v0, &zero] {
        let error = hub([greeting]).list(["refs/heads/main"]).unwrap_err();
        assert_eq!(error.reason(), Reason::ProtocolV2Required, "{greeting}");
    }
    let error = hub(["version 3\n"]).list(["refs/heads/main"]).unwrap_err();
    assert_eq!(error.reason(), Reason::ProtocolError);
}

#[test]
fn another_hash_is_refused() {
    let error = hub(["version 2\n", "object-format=sha256\n", ""]).list(["refs/heads/main"]).unwrap_err();
    assert_eq!(error.one_line(), "the repository's objects are not named by SHA-1");
}

#[test]
fn a_hub_that_is_not_ready_sends_no_pack() {
    let (base, tip) = (ONE.parse().unwrap(), "2".repeat(40).parse().unwrap());
    let ask = |hub: &mut UploadPack<Script>| hub.pack_since(base, tip, &mut |_| panic!("there is no pack"));
    let acknowledged = format!("ACK {ONE}\n");
    for lines in [&["acknowledgments\n", "NAK\n", ""][..], &["acknowledgments\n", &acknowledged, ""]] {
        assert!(!ask(&mut after_greeting(lines)).unwrap(), "{lines:?}");
    }
    let mut asked = after_greeting(&["acknowledgments\n", "NAK\n", ""]);
    ask(&mut asked).unwrap();
    let heard = String::from_utf8(asked.into_stream().heard).unwrap();
    assert!(heard.ends_with(&format!("0034shallow {ONE}0031have {ONE}0000")) && !heard.contains("done"), "{heard}");
    for (lines, leads) in [(&["acknowledgments", "NAK", ""][..], false), (&["acknowledgments", "ready", "", ""], true)]
    {
        let mut asked = after_greeting(lines);
        assert_eq!(asked.leads(base, tip).unwrap(), leads);
        assert!(!String::from_utf8(asked.into_stream().heard).unwrap().contains("shallow"));
    }
    let many = vec!["NAK"; limits::HUB_LINES + 1];
    for lines in [
        &["packfile\n"][..],
        &[""],
        &["acknowledgments\n", "ready\n", "", ""],
        &[&["acknowledgments"], &*many].concat(),
    ] {
        assert!(ask(&mut after_greeting(lines)).is_err(), "{lines:.80?}");
    }
    let mut ready = after_greeting(&["acknowledgments\n", "ready\n", "", "packfile\n", "\u{1}PACK", ""]);
    let mut bytes = Vec::new();
    let read = |pack: &mut dyn Read| pack.read_to_end(&mut bytes).map(drop).map_err(broken);
    let mut read = Some(read);
    assert!(ready.pack_since(base, tip, &mut |pack| read.take().unwrap()(pack)).unwrap());
    assert_eq!(bytes, b"PACK");
}

#[test]
fn a_filter_that_is_refused_is_told_from_other_refusals() {
    let refused = |words: &str, depth| {
        let error = Error::new(Reason::ProtocolError, "the hub's git gave up").caused_by(words.to_owned());
        refused_filter(&error, depth)
    };
    assert_eq!(refused("upload-pack: filter 'tree' not supported", 0), Some(None));
    assert_eq!(refused("tree filter allows max depth 0, but got 1", 1), Some(Some(0)));
    assert_eq!(refused("tree filter allows max depth 12, but got 13", 13), Some(Some(12)));
    assert_eq!(refused("tree filter allows max depth 3, but got 2", 2), Some(None), "it would go on for ever");
    assert_eq!(refused("tree filter allows max depth 99999999999999999999", 2), Some(None));
    assert_eq!(refused("access denied", 1), None);
}

#[test]
fn a_malformed_listing_is_refused() {
    for line in ["unborn HEAD", "1234 refs/heads/main", &ONE[..39], &"é".repeat(40)] {
        let error = after_greeting(&[line, ""]).list(["refs/heads/main"]).unwrap_err();
        assert_eq!(error.reason(), Reason::ProtocolError, "{line}");
    }
}

#[test]
fn endless_lists_end() {
    let line = format!("{ONE} refs/heads/x");
    let refs = GREETING.iter().copied().chain(std::iter::repeat_n(line.as_str(), limits::REFS + 1));
    assert_eq!(hub(refs).list(["refs/heads/main"]).unwrap_err().reason(), Reason::ProtocolError);
    let greeting = ["version 2"].into_iter().chain(std::iter::repeat_n("x", limits::HUB_LINES + 1));
    assert_eq!(hub(greeting).list(["refs/heads/main"]).unwrap_err().reason(), Reason::ProtocolError);
}

#[test]
fn a_repository_is_empty_when_neither_head_nor_a_branch_is_there() {
    let branch = format!("{ONE} refs/heads/x");
    assert!(after_greeting(&["", ""]).is_empty().unwrap());
    assert!(!after_greeting(&["", &branch, ""]).is_empty().unwrap());
    assert!(!after_greeting(&[&format!("{ONE} HEAD"), ""]).is_empty().unwrap());
}
