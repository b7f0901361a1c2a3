//! Which roots sign: those that the call names, or the one whose key is here.

use giter_edge::{
    api::{Error, Exchange, Reason, Result},
    codec::{
        charter::{Charter, PATH},
        pubkey::PublicKey,
        signers::{Keyring, Signer},
    },
};

use crate::{
    charter::Papers,
    git::Git,
    keys::{PublicLine, SigningKey},
};

/// A root that gives way to another.
pub(crate) struct Rotation {
    /// The new key, as the call names it.
    pub(crate) new: String,
    pub(crate) new_key: PublicKey,
    pub(crate) old: PublicKey,
    /// Whether the old root signs even where another one does.
    pub(crate) keep_signature: bool,
}

/// The keys to sign with, the one first that a device which follows the present charter knows.
///
/// # Errors
///
/// `BadKeyFile`, `KeyNotAllowed`, `Usage`.
pub(crate) fn choose(
    git: &Git,
    given: &[String],
    present: &Papers,
    next: &Exchange,
    rotation: Option<&Rotation>,
) -> Result<Vec<SigningKey>> {
    // Before the first signed charter there are no roots but those that it names.
    let next = Charter::of(next)?.roots;
    let own = present.charter.as_ref().filter(|_| present.check_signed().is_ok());
    let roots = own.map_or(&next, |charter| &charter.roots);
    let mut keys = match given {
        [] => vec![at_hand(git, roots, &next)?],
        given => given.iter().map(|key| SigningKey::given(key)).collect::<Result<Vec<_>>>()?,
    };
    keys.sort_by_key(|key| !holds(roots, &key.public.key));
    if !keys.first().is_some_and(|key| holds(roots, &key.public.key)) {
        let named: Vec<_> = keys.iter().map(|key| key.public.key.to_string()).collect();
        return Err(Error::new(Reason::KeyNotAllowed, format!("{} is no root of {PATH}", named.join(", ")))
            .hint(format!("sign with the key of {}", names(roots))));
    }
    if let Some(rotation) = rotation {
        keys.extend(of_rotation(git, rotation)?);
    }
    let mut seen: Vec<PublicKey> = Vec::new();
    keys.retain(|key| {
        let is_new = !seen.contains(&key.public.key);
        seen.push(key.public.key);
        is_new
    });
    Ok(keys)
}

/// A keyring of the keys that signed, as a root file that names them.
pub(crate) fn keyring(keys: &[SigningKey]) -> Keyring {
    let signer = |PublicLine { key, .. }: &PublicLine| Signer {
        principals: key.fingerprint().into(),
        key: *key,
        namespaces: None,
        valid_after: None,
        valid_before: None,
    };
    Keyring::new(keys.iter().map(|key| signer(&key.public)).collect())
}

/// The one root's key that is here: git's own, or the only one; of those one that stays, if there is one.
fn at_hand(git: &Git, roots: &Keyring, next: &Keyring) -> Result<SigningKey> {
    let of_git = SigningKey::of_git(git).ok().flatten().filter(|key| holds(roots, &key.public.key));
    let here: Vec<_> = SigningKey::at_hand().into_iter().filter(|key| holds(roots, &key.public.key)).collect();
    let (staying, leaving): (Vec<_>, Vec<_>) = here.into_iter().partition(|key| holds(next, &key.public.key));
    let (of_git_staying, of_git_leaving) = match of_git {
        Some(key) if holds(next, &key.public.key) => (Some(key), None),
        key => (None, key),
    };
    let choices =
        [of_git_staying.map(|key| vec![key]), Some(staying), of_git_leaving.map(|key| vec![key]), Some(leaving)];
    let mut found = choices.into_iter().flatten().find(|found| !found.is_empty()).unwrap_or_default();
    match (found.pop(), &found[..]) {
        (Some(only), []) => Ok(only),
        (Some(last), others) => {
            let files: Vec<_> = others.iter().chain([&last]).map(|key| key.setting.clone()).collect();
            Err(Error::new(Reason::Usage, "the keys of more than one root are here")
                .hint(format!("name who signs: --key {}", files.join(" or --key "))))
        }
        (None, _) => Err(Error::new(Reason::BadKeyFile, "no root's key is here to sign with").hint(format!(
            "name the key of {} with --key FILE; where it is on another machine, make the change in a clone there",
            names(roots)
        ))),
    }
}

/// Who else signs a rotation: the new root if his key is here, and the old one if he is to.
fn of_rotation(git: &Git, rotation: &Rotation) -> Result<Vec<SigningKey>> {
    let mut here: Vec<_> = SigningKey::of_git(git).ok().flatten().into_iter().chain(SigningKey::at_hand()).collect();
    here.extend(SigningKey::given(&rotation.new).ok().filter(SigningKey::is_at_hand));
    let mut find = |wanted: &PublicKey| {
        let at = here.iter().position(|key| key.public.key == *wanted)?;
        Some(here.swap_remove(at))
    };
    let old = rotation.keep_signature.then(|| {
        find(&rotation.old).ok_or_else(|| {
            Error::new(Reason::BadKeyFile, format!("the key of the old root, {}, is not here to sign", rotation.old))
                .hint("name it, too: --key FILE")
        })
    });
    Ok(old.transpose()?.into_iter().chain(find(&rotation.new_key)).collect())
}

fn holds(roots: &Keyring, key: &PublicKey) -> bool {
    roots.signers().iter().any(|root| root.key == *key)
}

fn names(roots: &Keyring) -> String {
    let names: Vec<_> = roots.signers().iter().map(|root| format!("{} ({})", root.principals, root.key)).collect();
    names.join(" or ")
}
