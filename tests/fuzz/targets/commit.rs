//! Commits: what is signed is the commit that is read, and a seal never covers itself.

use giter_edge::{
    api::limits,
    codec::{commit, sshsig},
};

pub(crate) fn check(data: &[u8]) {
    let parsed = commit::parse(data);
    if let Ok(commit) = &parsed {
        assert!((0..=limits::LATEST_DATE).contains(&commit.date));
    }
    if let Ok(Some(seal)) = commit::seal(data) {
        assert!(seal.payload.len() + seal.armour.len() < data.len());
        let _ = sshsig::verify(&seal.armour, sshsig::GIT, &seal.payload);
        // Without its signature's header a commit may be malformed in the headers behind it, but it is never another one.
        if let (Ok(commit), Ok(signed)) = (&parsed, commit::parse(&seal.payload)) {
            assert_eq!(*commit, signed);
            assert_eq!(commit::seal(&seal.payload), Ok(None));
        }
    }
}
