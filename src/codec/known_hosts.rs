//! Which host keys are believed: the known_hosts file of sshd(8), section SSH_KNOWN_HOSTS FILE FORMAT.
//!
//! ```text
//! hub.example.org,192.0.2.7 ssh-ed25519 AAAA... comment
//! [hub.example.org]:2222,*.plant,!test.plant ssh-ed25519 AAAA...
//! |1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= ssh-ed25519 AAAA...
//! @revoked * ssh-ed25519 AAAA...
//! ```
//!
//! A line that is not of this form refuses the file, since what it was to revoke is not known. ed25519 keys are
//! compared; keys of other types and certificate authorities are only told of. A host on another port than 22 is known
//! as `[host]:port` alone.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::{
    pattern,
    pubkey::{ED25519, PublicKey},
};
use crate::api::{Error, Reason, Result, limits};

/// The port that stands in no name.
const PORT: u16 = 22;

/// What a file says of a host and the key that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The key is the host's.
    Known,
    /// The key must never be accepted; holds the line that says so.
    Revoked(usize),
    /// The host has ed25519 keys, and this is none of them.
    Another,
    /// The host has no ed25519 key; holds the type of one that it has.
    OtherType(String),
    /// The host has a certificate authority alone.
    AuthorityOnly,
    /// The file has nothing of the host.
    Unknown,
}

/// A host as known_hosts files name it.
#[derive(Clone, Debug)]
pub struct HostName(String);

impl HostName {
    /// The name that a host goes by on a port.
    pub fn new(host: &str, port: Option<u16>) -> Self {
        let host = host.to_lowercase();
        Self(match port.filter(|port| *port != PORT) {
            Some(port) => format!("[{host}]:{port}"),
            None => host,
        })
    }
}

/// Looks a host and its key up in a file's text; `file` is what errors call it.
///
/// # Errors
///
/// `BadConfig` with the line that is not understood, or if the file is too long.
pub fn look_up(file: &str, text: &[u8], host: &HostName, key: &PublicKey) -> Result<Standing> {
    if text.len() > limits::KNOWN_HOSTS_BYTES {
        let what = format!("{file} is longer than {} bytes", limits::KNOWN_HOSTS_BYTES);
        return Err(Error::new(Reason::BadConfig, what).hint("leave only the hub's keys in it"));
    }
    let mut standing = Standing::Unknown;
    for (at, line) in String::from_utf8_lossy(text).lines().enumerate() {
        let wrong = |why: &str| {
            Error::new(Reason::BadConfig, format!("{file}:{}: {why}", at + 1))
                .hint(format!("write `host ssh-ed25519 AAAA...`, or take the line out of {file}"))
        };
        let Some(line) = Line::parse(line).map_err(wrong)? else { continue };
        if line.hosts.has(host).map_err(wrong)? {
            standing = graver(standing, line.says(at + 1, key));
        }
    }
    Ok(standing)
}

/// What two lines come to: a revocation wins, then what makes the key known, then what tells more of the host.
fn graver(one: Standing, other: Standing) -> Standing {
    let weight = |standing: &Standing| match standing {
        Standing::Revoked(_) => 5,
        Standing::Known => 4,
        Standing::Another => 3,
        Standing::OtherType(_) => 2,
        Standing::AuthorityOnly => 1,
        Standing::Unknown => 0,
    };
    if weight(&other) > weight(&one) { other } else { one }
}

#[derive(Clone, Copy)]
enum Marker {
    None,
    Authority,
    Revoked,
}

enum Key<'a> {
    Ed25519(PublicKey),
    Other(&'a str),
}

struct Line<'a> {
    marker: Marker,
    hosts: Hosts<'a>,
    key: Key<'a>,
}

impl<'a> Line<'a> {
    /// Reads a line; `None` if it is empty or a comment.
    fn parse(line: &'a str) -> Result<Option<Self>, &'static str> {
        let mut words = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty()).peekable();
        let marker = match words.peek() {
            None => return Ok(None),
            Some(word) if word.starts_with('#') => return Ok(None),
            Some(word) if !word.starts_with('@') => Marker::None,
            Some(&"@cert-authority") => Marker::Authority,
            Some(&"@revoked") => Marker::Revoked,
            Some(_) => return Err("there is no other marker than @revoked and @cert-authority"),
        };
        if !matches!(marker, Marker::None) {
            words.next();
        }
        let hosts = Hosts(words.next().ok_or("a host is missing")?);
        let (kind, base64) = words.next().zip(words.next()).ok_or("host, key type and key are not all there")?;
        let key = match kind {
            ED25519 => Key::Ed25519(
                PublicKey::from_openssh(&format!("{kind} {base64}")).map_err(|_| "the ed25519 key is damaged")?,
            ),
            _ if Base64::decode_vec(base64).is_err() => return Err("the key is not base64"),
            _ => Key::Other(kind),
        };
        Ok(Some(Self { marker, hosts, key }))
    }

    fn says(&self, number: usize, shown: &PublicKey) -> Standing {
        let is_shown = matches!(&self.key, Key::Ed25519(key) if key == shown);
        match (self.marker, &self.key) {
            (Marker::Revoked, _) if is_shown => Standing::Revoked(number),
            (Marker::Revoked, _) => Standing::Unknown,
            (Marker::Authority, _) => Standing::AuthorityOnly,
            (Marker::None, Key::Other(kind)) => Standing::OtherType((*kind).to_owned()),
            (Marker::None, Key::Ed25519(_)) if is_shown => Standing::Known,
            (Marker::None, Key::Ed25519(_)) => Standing::Another,
        }
    }
}

/// A line's hosts: one hashed name, or a list of patterns.
struct Hosts<'a>(&'a str);

impl Hosts<'_> {
    fn has(&self, host: &HostName) -> Result<bool, &'static str> {
        if let Some(hashed) = self.0.strip_prefix('|') {
            return is_hash_of(hashed, host);
        }
        let matches = |pattern: &str| pattern::matches(&pattern.to_lowercase(), &host.0);
        let (mut not, mut any) = (false, false);
        for pattern in self.0.split(',') {
            match pattern.strip_prefix('!') {
                Some(pattern) => not |= matches(pattern),
                None => any |= matches(pattern),
            }
        }
        Ok(any && !not)
    }
}

/// Whether `1|salt|hash` is HMAC-SHA1 of the name by the salt.
fn is_hash_of(hashed: &str, host: &HostName) -> Result<bool, &'static str> {
    let parts = hashed.strip_prefix("1|").and_then(|rest| rest.split_once('|'));
    let (salt, hash) = parts.ok_or("a hashed host is not of the form |1|salt|hash")?;
    let decode = |part| Base64::decode_vec(part).ok().filter(|bytes| bytes.len() == 20);
    let (salt, hash) = decode(salt).zip(decode(hash)).ok_or("salt or hash of a host is damaged")?;
    let mac = Hmac::<Sha1>::new_from_slice(&salt).map_err(|_| "the salt of a host is damaged")?;
    Ok(mac.chain_update(&host.0).verify_slice(&hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::keyfile::SecretKey;

    /// By `ssh-keygen -H -f` of OpenSSH 9.2, from the lines `hub.example.org`, `[hub.example.org]:2222`, `192.0.2.7`,
    /// each with the key of `tests/vectors/ops.key.pub`.
    const HASHED: &str = include_str!("../../tests/vectors/known_hosts.hashed");
    const OPS_PUB: &str = include_str!("../../tests/vectors/ops.key.pub");

    fn ops() -> PublicKey {
        PublicKey::from_openssh(OPS_PUB).unwrap()
    }

    fn other() -> PublicKey {
        SecretKey::from_seed(&[7; 32]).public()
    }

    fn look(text: &str, host: &str, port: Option<u16>) -> Result<Standing> {
        look_up("known_hosts", text.as_bytes(), &HostName::new(host, port), &ops())
    }

    fn standing(text: &str, host: &str, port: Option<u16>) -> Standing {
        look(text, host, port).unwrap()
    }

    fn line(hosts: &str) -> String {
        format!("{hosts} {OPS_PUB}")
    }

    #[test]
    fn names_that_ssh_keygen_hashed_are_found() {
        for (host, port) in [
            ("hub.example.org", None),
            ("HUB.example.org", Some(22)),
            ("hub.example.org", Some(2222)),
            ("192.0.2.7", None),
        ] {
            assert_eq!(standing(HASHED, host, port), Standing::Known, "{host}:{port:?}");
        }
        for (host, port) in [("example.org", None), ("hub.example.org", Some(2223)), ("192.0.2.7", Some(2222))] {
            assert_eq!(standing(HASHED, host, port), Standing::Unknown, "{host}:{port:?}");
        }
    }

    #[test]
    fn every_change_of_a_hashed_line_makes_the_host_unknown_or_is_refused() {
        let first = HASHED.lines().next().unwrap();
        assert_eq!(standing(first, "hub.example.org", None), Standing::Known);
        let comment = first.rfind(' ').unwrap();
        for at in 0..comment {
            let mut bytes = first.as_bytes().to_vec();
            bytes[at] ^= 1;
            let found = look_up("f", &bytes, &HostName::new("hub.example.org", None), &ops());
            assert_ne!(found.ok(), Some(Standing::Known), "byte {at} of {first}");
        }
        for end in 0..comment {
            assert_ne!(look(&first[..end], "hub.example.org", None).ok(), Some(Standing::Known), "cut at {end}");
        }
    }

    #[test]
    fn patterns_ports_and_several_keys() {
        let known = |hosts: &str, host: &str, port| standing(&line(hosts), host, port) == Standing::Known;
        assert!(known("hub", "hub", None) && known("Hub", "hUb", Some(22)) && known("a,hub", "hub", None));
        assert!(known("*.plant", "hub.plant", None) && !known("*.plant", "plant", None));
        assert!(!known("*.plant,!test.plant", "test.plant", None) && known("*,!test.plant", "hub", None));
        assert!(known("[hub]:2222", "hub", Some(2222)) && known("[hub]:*", "hub", Some(9)));
        assert!(!known("[hub]:2222", "hub", None) && !known("hub", "hub", Some(2222)));
        assert!(known("::1", "::1", None) && known("[::1]:2222", "::1", Some(2222)));

        let another = format!("hub {}\n", other().to_openssh());
        assert_eq!(standing(&another, "hub", None), Standing::Another);
        assert_eq!(standing(&(another + &line("hub")), "hub", None), Standing::Known);
        let rsa = "hub ssh-rsa AAAAB3NzaC1yc2E=\n";
        assert_eq!(standing(rsa, "hub", None), Standing::OtherType("ssh-rsa".into()));
        assert_eq!(standing(&format!("{rsa}{}", line("hub")), "hub", None), Standing::Known);
        let text = format!("# a comment\n\n \t\r\n{}\r\n", line("hub").trim_end());
        assert_eq!(standing(&text, "hub", None), Standing::Known);
    }

    #[test]
    fn what_is_revoked_is_never_known_and_authorities_make_nothing_known() {
        for text in [
            line("@revoked *") + &line("hub"),
            line("hub") + &line("@revoked\t*"),
            format!("  {}{}", line("hub"), line(&format!("  @revoked   {}", HASHED.split(' ').next().unwrap()))),
        ] {
            let host = if text.contains("|1|") { "hub.example.org" } else { "hub" };
            assert!(matches!(standing(&text, host, None), Standing::Revoked(_)), "{text}");
        }
        let text = format!("@revoked hub {}\n{}", other().to_openssh(), line("hub"));
        assert_eq!(standing(&text, "hub", None), Standing::Known, "another key of the host is revoked");
        assert_eq!(standing(&line("@cert-authority hub"), "hub", None), Standing::AuthorityOnly);
        assert_eq!(standing(&line("@cert-authority else"), "hub", None), Standing::Unknown);
    }

    #[test]
    fn what_is_not_understood_refuses_the_file_and_names_the_line() {
        for bad in [
            "hub",
            "hub ssh-ed25519",
            "@revoked",
            "@revoked hub ssh-ed25519",
            "@Revoked hub ssh-rsa AAAA",
            "@revoked hub ssh-rsa !!!",
            "hub ssh-ed25519 AAAA",
            "hub ssh-rsa AAA",
            "|2|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= ssh-rsa AAAA",
            "|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI= ssh-rsa AAAA",
            "|1|AAAA|USECr3SWf1JUPsms5AqfD5QfxkM= ssh-rsa AAAA",
            "\u{0}\u{1}\u{fffd}",
        ] {
            let error = look(&format!("{}{bad}\n", line("hub")), "hub", None).unwrap_err();
            assert_eq!(error.reason(), Reason::BadConfig, "{bad}");
            assert!(error.to_string().starts_with("known_hosts:2: "), "{error}");
        }
        let long = "#".repeat(limits::KNOWN_HOSTS_BYTES + 1);
        assert_eq!(look(&long, "hub", None).unwrap_err().reason(), Reason::BadConfig);
        let ending = [line("hub").as_bytes(), b"hub2 ssh-rsa AAAA \xff\xfe\n"].concat();
        let found = look_up("f", &ending, &HostName::new("hub", None), &ops());
        assert_eq!(found.unwrap(), Standing::Known, "a comment may be in any encoding");
    }
}
