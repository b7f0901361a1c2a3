//! Commit objects: what the trust decision needs of them, and what their signature covers.
//!
//! The grammar is gix's. Whether a commit is to be believed is not known here.

use gix::objs::{CommitRefIter, commit::ref_iter::Token};

use crate::api::{Oid, limits};

const SHA1: gix::hash::Kind = gix::hash::Kind::Sha1;

/// A commit, as far as its place in history goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its tree.
    pub tree: Oid,
    /// Its parents, the first one first.
    pub parents: Vec<Oid>,
    /// The committer's date, in seconds since 1970: 0 to [`limits::LATEST_DATE`]. Only the committer vouches for it.
    pub date: i64,
}

/// A commit's signature and the bytes that it covers: all of the commit but the signature itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The armoured signature.
    pub armour: Vec<u8>,
    /// What it covers.
    pub payload: Vec<u8>,
}

/// Reads a commit object, as its bytes without the loose header.
///
/// # Errors
///
/// The bytes are not a whole commit; says in which way.
pub fn parse(data: &[u8]) -> Result<Commit, &'static str> {
    let (mut tree, mut parents, mut date) = (None, Vec::new(), None);
    for token in CommitRefIter::from_bytes(data, SHA1) {
        match token.map_err(|_| "its header is malformed")? {
            Token::Tree { id } => tree = Some(oid(&id)?),
            Token::Parent { id } => parents.push(oid(&id)?),
            Token::Committer { signature } => date = Some(seconds(signature.time)?),
            _ => {}
        }
    }
    let (Some(tree), Some(date)) = (tree, date) else { return Err("its header is cut short") };
    Ok(Commit { tree, parents, date })
}

/// The signature of a commit object that [`parse`] reads; `None` if it has none.
///
/// # Errors
///
/// There is not exactly one signature: git looks at one and ignores the others, and which one it is has changed.
pub fn seal(data: &[u8]) -> Result<Option<Seal>, &'static str> {
    let mut signatures = 0;
    for token in CommitRefIter::from_bytes(data, SHA1) {
        match token.map_err(|_| "its header is malformed")? {
            Token::ExtraHeader((name, _)) if name == "gpgsig" => signatures += 1,
            Token::ExtraHeader((name, _)) if name == "gpgsig-sha256" => {
                return Err("it has a gpgsig-sha256 header, which is for repositories of another object format");
            }
            _ => {}
        }
    }
    if signatures > 1 {
        return Err("it has more than one gpgsig header");
    }
    let found = CommitRefIter::signature(data, SHA1).map_err(|_| "its header is malformed")?;
    Ok(found.map(|(armour, signed)| Seal { armour: armour.to_vec(), payload: signed.to_bstring().into() }))
}

fn oid(id: &gix::oid) -> Result<Oid, &'static str> {
    id.as_bytes().try_into().map(Oid::new).map_err(|_| "an object name in it does not have 40 digits")
}

/// The seconds of `1795238229 +0000`.
fn seconds(time: &str) -> Result<i64, &'static str> {
    const NOT_A_DATE: &str = "its committer's date is not one between 1970 and 9999";
    let (seconds, zone) = time.split_once(' ').ok_or(NOT_A_DATE)?;
    let zone_is_sound = matches!(zone.as_bytes(), [b'+' | b'-', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
    let seconds: i64 = seconds.parse().map_err(|_| NOT_A_DATE)?;
    if zone_is_sound && (0..=limits::LATEST_DATE).contains(&seconds) { Ok(seconds) } else { Err(NOT_A_DATE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit that `git commit -S` of git 2.47.3 made, with `tests/vectors/ops.key`.
    const SIGNED: &[u8] = include_bytes!("../../tests/vectors/signed.commit");

    const PLAIN: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
        parent 0123456789abcdef0123456789abcdef01234567\n\
        parent 89abcdef0123456789abcdef0123456789abcdef\n\
        author A <a@b> 5 +0000\n\
        committer C <c@d> 1795238229 -0330\n\
        \n\
        message\n";

    #[test]
    fn a_plain_commit_is_read() {
        let commit = parse(PLAIN.as_bytes()).unwrap();
        assert_eq!(commit.tree.short(), "4b825dc642cb");
        assert_eq!(commit.parents.iter().map(Oid::short).collect::<Vec<_>>(), ["0123456789ab", "89abcdef0123"]);
        assert_eq!(commit.date, 1_795_238_229);
        assert_eq!(seal(PLAIN.as_bytes()), Ok(None));
    }

    #[test]
    fn the_seal_is_cut_out_of_what_it_covers() {
        let seal = seal(SIGNED).unwrap().unwrap();
        assert!(seal.armour.starts_with(b"-----BEGIN SSH SIGNATURE-----\n"));
        let header = format!("gpgsig {}\n", String::from_utf8(seal.armour).unwrap().trim_end().replace('\n', "\n "));
        let text = str::from_utf8(SIGNED).unwrap();
        assert_eq!(text.replace(&header, "").as_bytes(), seal.payload);
        assert_ne!(SIGNED, seal.payload);
    }

    #[test]
    fn a_second_signature_is_refused() {
        let header = "\ngpgsig x\n y\n";
        let once = PLAIN.replacen("\n\n", &format!("{header}\n"), 1);
        assert!(seal(once.as_bytes()).unwrap().is_some());
        let twice = PLAIN.replacen("\n\n", &format!("{header}gpgsig x\n\n"), 1);
        assert_eq!(seal(twice.as_bytes()), Err("it has more than one gpgsig header"));
        let other = PLAIN.replacen("\n\n", &format!("{header}gpgsig-sha256 x\n y\n\n"), 1);
        assert!(seal(other.as_bytes()).unwrap_err().contains("gpgsig-sha256"));
    }

    #[test]
    fn what_is_not_a_commit_is_refused() {
        for bad in [
            String::new(),
            PLAIN.replace("tree", "tre"),
            PLAIN.replace("4b825dc", "4b825d"),
            PLAIN.replace("committer", "commiter"),
            PLAIN.replace("1795238229 -0330", "1795238229"),
            PLAIN.replace("1795238229", "-1"),
            PLAIN.replace("1795238229", "253402300800"),
            PLAIN.replace("1795238229", "99999999999999999999"),
            PLAIN.replace("1795238229", "tomorrow"),
            PLAIN[..60].into(),
            "object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype commit\ntag v1\n\n".into(),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
