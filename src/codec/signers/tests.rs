//! What an allowed_signers file says, and what it may not say.

use super::*;
use crate::codec::keyfile::SecretKey;

fn key(seed: u8) -> PublicKey {
    SecretKey::from_seed(&[seed; 32]).public()
}

fn ring(line: &str) -> Keyring {
    Keyring::parse("root.keys", line.replace("KEY", &key(1).to_openssh()).as_bytes()).unwrap()
}

fn refusal(line: &str) -> String {
    let error = Keyring::parse("root.keys", line.replace("KEY", &key(1).to_openssh()).as_bytes()).unwrap_err();
    assert_eq!(error.reason(), Reason::BadSigners, "{line}");
    error.to_string()
}

#[test]
fn lines_of_every_form_are_read() {
    for line in [
        "ops@plant-7 KEY",
        "ops@plant-7 KEY a comment, with \"anything\" in it",
        "  ops@plant-7\t KEY\r\n",
        "\"ops@plant-7\" KEY",
        "# who signs\n\n \t\r\nops@plant-7 namespaces=\"git\" KEY\n#",
        "ops@plant-7 NameSpaces=\"file,git\",valid-after=\"20200101\" KEY",
        "ops@plant-7 valid-before=\"20990101Z\"   KEY",
    ] {
        assert_eq!(ring(line).judge(&key(1), "git", 1_795_000_000), Ok("ops@plant-7"), "{line}");
        assert_eq!(ring(line).judge(&key(2), "git", 1_795_000_000), Err(Distrust::Unknown), "{line}");
    }
    assert_eq!(Keyring::parse("root.keys", b"").unwrap(), Keyring::default());
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    for (line, what) in [
        ("\n\nops@plant-7\n", "root.keys:3: it has no key"),
        ("ops@plant-7 cert-authority KEY", "certificate authorities are not accepted"),
        ("ops@plant-7 namespaces=\"git\",CERT-AUTHORITY KEY", "certificate authorities are not accepted"),
        ("ops@plant-7 ssh-rsa AAAA", "ssh-rsa keys are not accepted"),
        ("ops@plant-7 sk-ssh-ed25519@openssh.com AAAA", "it is not a public key"),
        ("ops@plant-7 sk-ecdsa-sha2-nistp256@openssh.com AAAA", "sk-ecdsa-sha2-nistp256@openssh.com keys are not"),
        ("ops@plant-7 namespaces=\"git\" ecdsa-sha2-nistp256 AAAA", "ecdsa-sha2-nistp256 keys are not accepted"),
        ("ops@plant-7 ssh-ed25519 AAAA", "it is not a public key"),
        ("ops@plant-7 ssh-ed25519", "it is not a public key"),
        ("ops@plant-7 namespaces=git KEY", "double quote"),
        ("ops@plant-7 namespaces KEY", "namespaces has no value"),
        ("ops@plant-7 namespaces=\"git KEY", "no closing quote"),
        ("ops@plant-7 namespaces=\"git\"KEY", "follows the closing quote"),
        ("ops@plant-7 namespaces=\"git\", KEY", "\"\" is neither"),
        ("ops@plant-7 namespaces=\"git\"", "it has no key"),
        ("ops@plant-7 namespaces=\"git\",namespaces=\"file\" KEY", "twice"),
        ("ops@plant-7 no-pty KEY", "\"no-pty\" is neither an option"),
        ("ops@plant-7 valid-after=\"20260102\",valid-before=\"20260101\" KEY", "not later"),
        ("ops@plant-7 valid-after=\"2026\" KEY", "is not a time"),
        ("\"ops@plant-7 KEY", "closing quote"),
        ("ops@plant-7,, KEY", "empty pattern"),
        ("ops@plant-7 \u{7f}\u{e9} KEY", "neither an option"),
    ] {
        assert!(refusal(line).contains(what), "{line}: {}", refusal(line));
    }
    assert!(Keyring::parse("root.keys", b"ops@plant-7 \xff").is_err());
}

#[test]
fn a_key_that_proves_nothing_is_refused_when_it_is_read() {
    let identity = "AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert!(refusal(&format!("ops@plant-7 ssh-ed25519 {identity}")).contains("small order"));
}

#[test]
fn the_bounds_hold() {
    let line = format!("ops@plant-7 {}\n", key(1).to_openssh());
    assert_eq!(ring(&line.repeat(limits::SIGNERS)).signers().len(), limits::SIGNERS);
    assert!(refusal(&line.repeat(limits::SIGNERS + 1)).contains("more than 256 keys"));
    assert!(refusal(&"#".repeat(limits::SIGNERS_BYTES + 1)).contains("bytes"));
}

#[test]
fn validity_includes_both_ends() {
    let ring = ring("ops@plant-7 valid-after=\"20260101\",valid-before=\"202606302359\" KEY");
    let (first, last) = (1_767_225_600, 1_782_863_940);
    assert_eq!(ring.judge(&key(1), "git", first - 1), Err(Distrust::NotYet(first)));
    assert_eq!(ring.judge(&key(1), "git", first), Ok("ops@plant-7"));
    assert_eq!(ring.judge(&key(1), "git", last), Ok("ops@plant-7"));
    assert_eq!(ring.judge(&key(1), "git", last + 1), Err(Distrust::NoLonger(last)));
}

#[test]
fn a_line_is_written_as_it_is_read() {
    let ring = ring(concat!(
        "ops@plant-7 KEY\n",
        "\"two words\" namespaces=\"git,x\\\"y\" KEY\n",
        "a valid-after=\"20260101\",valid-before=\"20261231235959Z\" KEY",
    ));
    let text: String = ring.signers().iter().map(|signer| format!("{signer}\n")).collect();
    assert_eq!(Keyring::parse("again", text.as_bytes()).unwrap(), ring);
}

#[test]
fn any_line_of_a_key_may_speak_for_it() {
    let ring = ring("a valid-before=\"20200101\" KEY\nb namespaces=\"file\" KEY\nc valid-after=\"20300101\" KEY");
    assert_eq!(ring.judge(&key(1), "file", 1_795_000_000), Ok("b"));
    assert_eq!(ring.judge(&key(1), "git", 1_900_000_000), Ok("c"));
    assert_eq!(ring.judge(&key(1), "git", 1_795_000_000).unwrap_err().reason(), Reason::KeyNotValid);
    let file_only = super::Keyring::new(ring.signers()[1..2].to_vec());
    assert_eq!(file_only.judge(&key(1), "git", 0).unwrap_err(), Distrust::Namespace);
}

#[test]
fn a_fleets_keys_are_read_among_peoples() {
    let line = |who: &str, seed| format!("{who} {}\n", key(seed).to_openssh());
    let text = format!("ops@plant-7 ssh-rsa AAAA\n{}{}", line("pump-07@giter", 1), line("site-a/*@giter", 2));
    let ring = Keyring::parse_fleet("allowed_signers", text.as_bytes(), "@giter").unwrap();
    let keys = |principal| ring.of(principal).signers().iter().map(|signer| signer.key).collect::<Vec<_>>();
    assert_eq!(keys("pump-07@giter"), [key(1)]);
    assert_eq!(keys("site-a/pump-08@giter"), [key(2)]);
    assert_eq!(keys("pump-09@giter"), []);
    let error = Keyring::parse_fleet("x", b"\npump-07@giter ssh-rsa AAAA", "@giter").unwrap_err();
    assert!(error.to_string().starts_with("x:2: ssh-rsa keys are not accepted"), "{error}");
}

#[test]
fn times_are_read_as_utc() {
    for (text, seconds) in [
        ("19700101", 0),
        ("19700101Z", 0),
        ("20000229", 951_782_400),
        ("20261121", 1_795_219_200),
        ("202611210517", 1_795_238_220),
        ("20261121051709Z", 1_795_238_229),
        ("99991231235959Z", limits::LATEST_DATE),
    ] {
        assert_eq!(time(text), Ok(seconds), "{text}");
    }
    for text in [
        "",
        "Z",
        "2026112",
        "20261301",
        "20260229",
        "20261100",
        "202611212400",
        "20261121051760",
        "19691231",
        "2026-1-1",
        "+2026112",
        "always",
        "2026１121",
    ] {
        assert!(time(text).is_err(), "{text}");
    }
}

#[test]
fn patterns_match_as_in_ssh_config() {
    for (list, text, expected) in [
        ("git", "git", true),
        ("git", "gitt", false),
        ("g?t", "git", true),
        ("*", "", true),
        ("?", "", false),
        ("giter-*", "giter-exchange", true),
        ("*-ex*ge", "giter-exchange", true),
        ("file,git", "git", true),
        ("*,!git", "git", false),
        ("!git", "file", false),
        ("", "git", false),
    ] {
        assert_eq!(list_matches(list, text), expected, "{list} {text}");
    }
    assert!(!matches(&"*a".repeat(5_000), &"a".repeat(4_000)));
}
