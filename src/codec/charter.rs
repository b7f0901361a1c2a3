//! A charter as keys and rights: who may sign what, as the roots wrote it into `exchange.yaml`.
//!
//! Its bytes count only where a root signed them. That is for the caller to prove, with [`signed_by`], before he reads
//! them with [`Charter::read`]; which root is trusted is not known here.

use super::{
    manifest,
    paper::Paper,
    pattern::PathPattern,
    pubkey::PublicKey,
    signers::{Keyring, Signer},
};
use crate::api::{Error, Exchange, ExchangeId, Policy, Reason, Result, exchange};

/// The charter's path in the exchange.
pub const PATH: &str = "exchange.yaml";
/// The path of its signatures.
pub const SIGNATURE_PATH: &str = "exchange.yaml.sig";

const PAPER: Paper = Paper { path: PATH, signatures: SIGNATURE_PATH, untrusted: Reason::CharterUntrusted };

/// What a charter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charter {
    /// The exchange it is for.
    pub id: ExchangeId,
    /// Rises with every change of the charter.
    pub serial: u64,
    /// How strict devices are at least, if it says.
    pub verify: Option<Policy>,
    /// Who may sign charters, and every commit; each called by his key's comment, or by its fingerprint.
    pub roots: Keyring,
    /// Who may sign commits besides.
    pub publishers: Vec<Publisher>,
}

/// Somebody who may sign commits that change certain paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// Who, with which key, in git's namespace alone, from when until when.
    pub signer: Signer,
    /// What he may change; nothing here allows all.
    pub paths: Vec<PathPattern>,
}

impl Charter {
    /// Reads the bytes of `exchange.yaml`.
    ///
    /// # Errors
    ///
    /// The first finding's reason; `MissingField` if it names no root.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        Self::of(&manifest::parse_exchange(PATH, bytes)?)
    }

    /// The keys and rights of an exchange.
    ///
    /// # Errors
    ///
    /// `MissingField` if it names no root; `InvalidValue` for a key, path or time that is none.
    pub fn of(exchange: &Exchange) -> Result<Self> {
        if exchange.roots.is_empty() {
            return Err(wrong(Reason::MissingField, "spec.roots", "a signed charter names at least one root"));
        }
        let roots = exchange.roots.iter().map(|line| root(line)).collect::<Result<_>>()?;
        let publishers = exchange.publishers.iter().map(Publisher::of).collect::<Result<_>>()?;
        let Exchange { id, serial, verify, .. } = exchange;
        Ok(Self { id: id.clone(), serial: *serial, verify: *verify, roots: Keyring::new(roots), publishers })
    }
}

impl Publisher {
    fn of(publisher: &exchange::Publisher) -> Result<Self> {
        let bad =
            |what: &str| wrong(Reason::InvalidValue, "spec.publishers", &format!("{}: {what}", publisher.principal));
        let exchange::Publisher { principal, key, valid_after, valid_before, .. } = publisher;
        let signer = Signer::from_manifest(principal, key, valid_after.as_deref(), valid_before.as_deref())
            .map_err(|e| bad("a key or time that is none").caused_by(e))?;
        let paths = publisher.paths.iter().map(|path| PathPattern::new(path)).collect::<Result<_, _>>();
        Ok(Self { signer, paths: paths.map_err(|e| bad("a path that is none").caused_by(e))? })
    }

    /// Whether the publisher may change whatever stands at the path of a folder, and all that can be below it; the
    /// outermost folder has no name.
    pub fn may_all_of(&self, folder: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.covers(folder))
    }

    /// Whether the publisher may change the file at this path.
    pub fn may(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path))
    }
}

/// Whether one of the signatures over a charter's bytes is by a root of the keyring, at the given second since 1970.
///
/// # Errors
///
/// `CharterUntrusted`: none is. The cause is the last signature's.
pub fn signed_by(roots: &Keyring, charter: &[u8], signatures: &[u8], at: i64) -> Result<()> {
    PAPER.signer(roots, charter, signatures, at).map(drop)
}

/// A root's line: `type base64 [comment]`.
fn root(line: &str) -> Result<Signer> {
    let key = PublicKey::from_openssh(line)
        .map_err(|e| wrong(Reason::InvalidValue, "spec.roots", "a key that is none").caused_by(e))?;
    let comment = line.split_ascii_whitespace().skip(2).collect::<Vec<_>>().join(" ");
    let principals = if comment.is_empty() { key.fingerprint() } else { comment };
    Ok(Signer { principals: principals.into(), key, namespaces: None, valid_after: None, valid_before: None })
}

fn wrong(reason: Reason, field: &str, what: &str) -> Error {
    Error::new(reason, format!("{PATH}: {field}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::{super::signers::Distrust, *};
    use crate::{
        api::limits,
        codec::{keyfile::SecretKey, sshsig},
    };

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn yaml(spec: &str) -> String {
        format!(
            "apiVersion: edge.giter.dev/v1alpha1\nkind: Exchange\nmetadata: {{name: plant-7}}\nspec:\n  \
             id: 5f0c1f0e3d5b4d0e9a7c2b6e8f1a4c3d\n  branch: main\n{spec}"
        )
    }

    fn keyring(seed: u8, options: &str) -> Keyring {
        Keyring::parse("root.keys", format!("root {options} {}", key(seed).public().to_openssh()).as_bytes()).unwrap()
    }

    #[test]
    fn keys_and_rights_are_read() {
        let (root, ops) = (key(1).public(), key(2).public());
        let text = yaml(&format!(
            "  serial: 3\n  roots: [\"{} root@plant-7\", \"{}\"]\n  publishers:\n  - {{principal: ops, key: \"{}\", \
             paths: [specs/a/**], validAfter: \"1970-01-02\", validBefore: \"1970-01-03\"}}\n",
            root.to_openssh(),
            ops.to_openssh(),
            ops.to_openssh()
        ));
        let charter = Charter::read(text.as_bytes()).unwrap();
        assert_eq!((charter.serial, charter.verify), (3, None));
        assert_eq!(charter.roots.judge(&root, sshsig::EXCHANGE, 0), Ok("root@plant-7"));
        assert_eq!(charter.roots.judge(&ops, sshsig::GIT, 0), Ok(&*ops.fingerprint()));
        let [publisher] = &charter.publishers[..] else { panic!("{charter:?}") };
        assert!(
            publisher.may("specs/a/x.yaml") && !publisher.may("specs/b/x.yaml") && !publisher.may_all_of("specs/a")
        );
        for (at, expected) in [
            (86_399, Some(Distrust::NotYet(86_400))),
            (86_400, None),
            (172_799, None),
            (172_800, Some(Distrust::NoLonger(172_799))),
        ] {
            assert_eq!(publisher.signer.distrust(sshsig::GIT, at), expected);
        }
        assert_eq!(publisher.signer.distrust(sshsig::EXCHANGE, 86_400), Some(Distrust::Namespace));
    }

    #[test]
    fn a_charter_without_a_root_is_refused() {
        assert_eq!(Charter::read(yaml("").as_bytes()).unwrap_err().reason(), Reason::MissingField);
    }

    #[test]
    fn one_signature_by_a_root_is_enough() {
        let by = |seed: u8| sshsig::sign(&key(seed), sshsig::EXCHANGE, b"charter");
        let judge = |signatures: &str, roots: &Keyring| signed_by(roots, b"charter", signatures.as_bytes(), 0);
        assert!(judge(&by(1), &keyring(1, "")).is_ok());
        assert!(judge(&(by(2) + &by(1)), &keyring(1, "namespaces=\"git,giter-*\"")).is_ok());
        assert!(judge(&("junk\n".to_owned() + &by(2) + &by(1)), &keyring(1, "")).is_ok());
        let git = sshsig::sign(&key(1), sshsig::GIT, b"charter");
        let other = sshsig::sign(&key(1), sshsig::EXCHANGE, b"another");
        for (signatures, options, what) in [
            (by(2), "", "is no root"),
            (by(1), "namespaces=\"git\"", "not for the namespace giter-exchange"),
            (by(1), "valid-after=\"19700102Z\"", "is a root from 1970-01-02"),
            (git, "", "made for the namespace \"git\""),
            (other, "", "not this key's signature"),
            (String::new(), "", "no signature by a root"),
            (by(2).repeat(limits::CHARTER_SIGNATURES) + &by(1), "", "is no root"),
        ] {
            let error = judge(&signatures, &keyring(1, options)).unwrap_err();
            assert_eq!(error.reason(), Reason::CharterUntrusted);
            assert!(error.one_line().contains(what), "{error:?}");
        }
    }
}
